"""Whether the operator of the inclusion view is monotone or strongly monotone: the least eigenvalue of (M + M')/2."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nngames.certificates.certificate import Certificate, certificate_named
from nngames.certificates.figures import round_up, shown
from nngames.certificates.inclusion_matrix import exact_symmetric_part, response_reach, symmetric_part
from nngames.certificates.least_eigenvalue import form_upper, least_eigenvalue
from nngames.certificates.norms import several_answers_reason
from nngames.core.errors import NotApplicableError
from nngames.core.exact import EXACT_ORDER, fraction, is_positive_semidefinite, nearest_float, rational
from nngames.core.verdicts import Decision, Verdict
from nngames.games import CoupledGame, Game

_METHOD = "safe enclosure of the least eigenvalue of (M + M')/2"


@certificate_named("monotone")
class Monotone(Certificate):
    """x -> M x + q is monotone iff (M + M')/2 >= 0, strongly with modulus mu iff (M + M')/2 >= mu I.

    With F convex, dF + M is then maximally monotone [bauschke2017, ch. 25], the property behind extragradient and
    its kin; strong monotonicity gives existence and uniqueness of the equilibrium [bauschke2017, ch. 23], plain
    monotonicity no existence. Where the enclosure contains 0, semidefiniteness is decided in rationals, component by
    component of the graph of (M + M')/2, for components up to order 48. z = R(x), the map of the game's residual, has
    (Q - k)(x - z) - (M x + q) in dF(z), Q its metric (I for a network) and k the shift that makes F convex, so with e =
    x - x*: <M e, e> <= <(Q - k)(x - z), e> + <M e, x - z>, and mu |e| <= (|Q - k| + |M|) |x - z|. Witness: ``modulus``
    and ``norm_bound`` (an upper bound on |M|), ``error_factor`` (|Q - k| + |M|)/mu, by which |x - x*| is bounded by
    |R(x) - x|; or a ``direction`` d with d'Md < 0 and that ``value``, an upper bound or exact.
    """

    map = "inclusion"

    def applies(self, game: Game) -> str | None:
        """Return a reason unless the game has an inclusion view with linear couplings that can be written out."""
        try:
            game.inclusion()
        except NotApplicableError as error:
            return str(error)
        if not isinstance(game, CoupledGame):
            return "the game has no linear couplings between its players"
        if not game.linear:
            return "a coupling is not linear"
        if not all(hasattr(w, "matrix") or w.has_dense for w in game.network.weights.values()):
            return "a coupling is a map without a matrix, too large to be written out"
        # The inclusion's solutions are Nash equilibria, but perhaps no fixed points of the selection r.
        return several_answers_reason(game)

    def decide(self, game: Any) -> Verdict:
        """Decide by the least eigenvalue."""
        matrix, error = symmetric_part(game)
        lower, upper, direction = least_eigenvalue(matrix, error)
        if direction is None:
            return _proved(game, lower)
        bound = form_upper(matrix, error, direction)
        if bound < 0:
            return _refuted(direction, bound / float(direction @ direction), bound)
        exact = _decide_exactly(game, matrix)
        if exact is True:
            return _proved(game, 0.0)
        if exact is not None:
            size = sum(d * d for d in exact[0])
            return _refuted(exact[0], nearest_float(exact[1] / size), exact[1])
        statement = (
            f"the inclusion's operator M is not decided: the least eigenvalue of (M + M')/2 lies in "
            f"[{lower:.3g}, {upper:.3g}]"
        )
        change = "data that leave a clearer least eigenvalue, or few enough players for exact arithmetic"
        evidence = {"interval": [lower, upper]}
        return Verdict(Decision.UNDECIDED, statement, _METHOD, None, evidence, would_change=change)


def _proved(game: CoupledGame, modulus: float) -> Verdict:
    bound = game.inclusion().norm_bound
    witness = {"modulus": modulus, "norm_bound": bound}
    if modulus > 0:
        statement = (
            f"the inclusion's operator M is strongly monotone with modulus {shown(modulus)}, so there is exactly one "
            "equilibrium"
        )
        evidence = {**witness, "unique": True}
        if math.isfinite(bound):
            evidence["error_factor"] = round_up((response_reach(game) + Fraction(bound)) / Fraction(modulus))
        change = f"weights that move M by at least {shown(modulus)} in norm"
        references = ("bauschke2017",)
        return Verdict(Decision.PROVED, statement, _METHOD, modulus, evidence, references, would_change=change)
    statement = (
        "the inclusion's operator M is monotone: (M + M')/2 is positive semidefinite, and not shown to be definite"
    )
    method = "exact rational arithmetic: the characteristic polynomial's signs alternate"
    change = "a change of the weights, perhaps however small, since the least eigenvalue is not shown to be above 0"
    return Verdict(Decision.PROVED, statement, method, 0.0, witness, ("bauschke2017",), would_change=change)


def _refuted(direction: Any, curvature: float, value: Any) -> Verdict:
    statement = f"the inclusion's operator M is not monotone: a direction d has d'Md = {shown(curvature)} |d|^2 < 0"
    witness = {"direction": direction, "value": value}
    method = "a direction of negative curvature, its sign proved"
    change = "a change of M by at least the size of that curvature in norm"
    return Verdict(Decision.REFUTED, statement, method, -curvature, witness, would_change=change)


def _decide_exactly(game: CoupledGame, matrix: Any) -> Any:
    """Return True if M is monotone, (d, d'Md) in fractions if it is not, None if a component is too large."""
    from scipy.sparse.csgraph import connected_components

    count, labels = connected_components(matrix, directed=False)
    if int(np.bincount(labels).max()) > EXACT_ORDER:
        return None
    for label in range(count):
        indices = np.flatnonzero(labels == label)
        exact = exact_symmetric_part(game, indices)
        if not is_positive_semidefinite(exact):
            return _negative_direction(exact, indices, matrix.shape[0])
    return True


def _negative_direction(exact: Any, indices: NDArray[np.intp], n: int) -> Any:
    """Return a rational d with d'Sd < 0 by inverse iteration in rationals, rounded to 2^-160 in each step; or None."""
    from flint import fmpq, fmpq_mat, fmpz

    k = exact.nrows()
    identity = fmpq_mat(k, k, [int(i == j) for i in range(k) for j in range(k)])
    # Of a size that floats and their squares have.
    unit = max(abs(entry) for entry in exact.entries())
    exact = exact * (1 / unit)
    values = np.linalg.eigvalsh(np.array([[float(fraction(exact[i, j])) for j in range(k)] for i in range(k)]))
    shift = rational(-abs(float(values[0])) - 1e-12 * float(np.abs(values).max()))
    d = fmpq_mat(k, 1, [rational(x) for x in np.linspace(1.0, 2.0, k)])
    for _ in range(12):
        solved = (exact - shift * identity).solve(d)
        largest = max(abs(x) for x in solved.entries())
        grid = fmpz(2) ** 160
        d = fmpq_mat(k, 1, [fmpq((x / largest * grid).floor(), grid) for x in solved.entries()])
        value = (d.transpose() * exact * d)[0, 0]
        if value < 0:
            full = [fraction(fmpq(0))] * n
            for index, x in zip(indices, d.entries(), strict=True):
                full[int(index)] = fraction(x)
            return full, fraction(value * unit)
    return None
