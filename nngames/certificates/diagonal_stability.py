"""Whether a diagonal metric makes the equilibrium unique: P > 0 diagonal with P(I - W) + (I - W)'P > 0."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from nngames.certificates.certificate import Certificate, certificate_named
from nngames.certificates.figures import round_up, shown
from nngames.certificates.joint_contraction import joint_name
from nngames.certificates.norms import no_continuous_map_reason
from nngames.certificates.sectors import sectors
from nngames.certificates.stability_form import StabilityForm, usable
from nngames.certificates.stability_multipliers import (
    SEMIDEFINITE_ORDER,
    explicit_multipliers,
    semidefinite_multipliers,
    simple,
)
from nngames.core.profiles import Array
from nngames.core.verdicts import Decision, Verdict
from nngames.games import Game
from nngames.networks.assembly import assembled_weight


@certificate_named("diagonal_stability")
class DiagonalStability(Certificate):
    """x = r(Wx + b) has exactly one solution, for every b, if H(P) > 0 for some diagonal P > 0.

    For slopes in [s, S], S <= 1: H(P) = sym((I - sW)' P (I - SW)); row i over S_i where S_i > 1, so that S may be
    infinite. For slopes in [0, 1] that is P(I - W) + (I - W)'P > 0, in [0, S] with diag(1/S) for I, and in [-1, 1] it
    is W'PW < P. A layer whose response is not separable has one multiplier. Take e = d - dr for differences d of two
    profiles and dr of T's values there. Then <dr - s W d, P(tau W d - sigma dr)> >= 0 (``sectors``) reads
    d'H(P)d <= e'P(sigma - tau W + sigma(I - sW)) d - e'P sigma e, and with H(P) >= m P

        |x - y|_P <= c |(x - T(x)) - (y - T(y))|_P,    |d|_P = (sum_i p_i d_i^2)^(1/2),
        c = |P^(1/2) (sigma - tau W + sigma(I - sW)) P^(-1/2)| / m.

    So Id - T is injective, continuous and proper, hence onto (invariance of domain): there is exactly one equilibrium
    x*, and |x - x*|_P <= c |x - T(x)|_P. For a game without a network T is its best-response map and W its couplings.

    P is sought among explicit candidates at any size, then by a semidefinite program up to order 40, and is verified
    apart from that. REFUTED says that no P exists, which does not decide uniqueness: Z = YY' has <Z, H(P)> <= 0 for all
    P >= 0. Witness: ``multipliers`` p (N,), ``modulus`` m, ``error_factor`` c, ``norm``, ``unique``; or the
    ``directions`` Y (N, k).
    """

    map = "joint"

    def applies(self, game: Game) -> str | None:
        """Return a reason unless couplings are linear and written out, and responses continuous everywhere."""
        reason = no_continuous_map_reason(game)
        if reason is not None:
            return reason
        network: Any = game.network  # type: ignore[attr-defined]
        if not all(hasattr(w, "matrix") or w.has_dense for w in network.weights.values()):
            return "a coupling is a map without a matrix, too large to be written out"
        found = sectors(game)
        return found if isinstance(found, str) else None

    def decide(self, game: Any) -> Verdict:
        """Decide by explicit multipliers, then by a semidefinite program."""
        constraints: Any = sectors(game)
        assembled: Any = assembled_weight(game.network)
        weight = assembled.matrix
        form = StabilityForm.of(weight, constraints)
        if form is None:
            return _undecided(game, "the matrix W'PW would be too large")
        base = np.ones(weight.shape[0])
        for candidate, source in explicit_multipliers(game, weight, constraints):
            verdict = _verified(game, form, candidate, source)
            if verdict is not None:
                return verdict
            base = simple(candidate) if usable(simple(candidate)) else base
        if constraints.groups.size > SEMIDEFINITE_ORDER:
            return _undecided(game, f"no explicit P fits, and beyond order {SEMIDEFINITE_ORDER} no other is sought")
        answer = semidefinite_multipliers(form, constraints.groups, base)
        if answer is not None:
            verdict = _verified(game, form, answer[0], "P from a semidefinite program, verified apart from its solver")
            if verdict is not None:
                return verdict
            totals = np.bincount(constraints.groups, weights=form.nonpositive(answer[1]))
            if (totals * (1 + 1e-12) < 0).all():
                method = "dual matrix of a semidefinite program, verified apart from its solver"
                return _refuted(game, answer[1], float(-totals.max()), method)
        return _undecided(game, "neither a P nor a proof that there is none was found")


def _verified(game: Any, form: StabilityForm, candidate: Array, source: str) -> Verdict | None:
    """Return the PROVED verdict of a candidate P; None if H(P) > 0 is not shown."""
    multipliers = simple(candidate)
    if not usable(multipliers):
        return None
    modulus = form.definiteness(multipliers)
    if modulus <= 0:
        return None
    gain = form.residual_gain(multipliers)
    factor = round_up(Fraction(gain) / Fraction(modulus)) if np.isfinite(gain) else np.inf
    witness: dict[str, Any] = {"multipliers": multipliers, "modulus": modulus, "unique": True}
    bound = ""
    if np.isfinite(factor):
        witness |= {"error_factor": factor, "norm": "sqrt(sum over i of multipliers[i] x_i^2)"}
        bound = f" x*, and |x - x*|_P <= {shown(factor)} |x - {'T' if _is_network(game) else 'BR'}(x)|_P"
    statement = (
        f"{joint_name(game)} has exactly one fixed point{bound}: its form in the diagonal metric P is at least "
        f"{shown(modulus)} P"
    )
    method = f"{source}; safe lower bound on the least eigenvalue"
    change = "larger weights or slopes; this proof holds until the form's bound in the metric P reaches 0"
    references = ("bauschke2017", "facchinei2003")
    return Verdict(Decision.PROVED, statement, method, modulus, witness, references, would_change=change)


def _is_network(game: Game) -> bool:
    return joint_name(game) == "the joint map T"


def _refuted(game: Game, directions: Array, margin: float, method: str) -> Verdict:
    statement = (
        f"no diagonal metric P makes the form of {joint_name(game)} positive definite; that does not decide whether "
        "its fixed point is unique"
    )
    change = "other weights or slopes, since the dual matrix excludes every diagonal P"
    return Verdict(Decision.REFUTED, statement, method, margin, {"directions": directions}, would_change=change)


def _undecided(game: Game, reason: str) -> Verdict:
    statement = f"{joint_name(game)} is not shown to be stable in a diagonal metric: {reason}"
    change = "a diagonal P that another search finds, or smaller weights"
    return Verdict(Decision.UNDECIDED, statement, "candidates for P", would_change=change)
