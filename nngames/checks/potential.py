"""The potential report: whether a game has a potential, of which kind, and if not, a cycle that shows it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from nngames.certificates.cost_structure import check_tolerance, costs_reason, coupling_pairs, nonlinear_response
from nngames.certificates.coupling_pairs import CouplingPairs
from nngames.certificates.exact_potential import exact_potential
from nngames.certificates.potential import potential_function
from nngames.certificates.weighted_potential import weighted_potential
from nngames.checks.check import Check, check_named, require_game
from nngames.checks.cycle_certificates import certification_reason
from nngames.checks.effective_coupling import asymmetry_and_distance, effective_coupling
from nngames.checks.finite.report import finite_report
from nngames.checks.potential_findings import Findings, Known, undecidable_verdicts, verdicts_of_potential
from nngames.core.errors import NotApplicableError, check_positive
from nngames.core.plain import plain
from nngames.core.profiles import Player
from nngames.core.seeds import Seed, generator
from nngames.core.verdicts import Verdict
from nngames.games import CoupledGame, FiniteGame, Game
from nngames.results.cycle import Cycle


@dataclass(frozen=True, eq=False)
class PotentialReport:
    """What is decided about the potentials of a game. Every verdict belongs to the cost and the players that it names.

    Attributes
    ----------
    exact, weighted : Verdict
        One function whose differences under unilateral deviations are the cost differences, times a positive weight of
        the mover.
    ordinal : Verdict
        One function that falls under a unilateral deviation iff the mover's cost falls.
    acyclic : Verdict
        No closed path of unilateral deviations strictly improves every mover.
    best_response_acyclic : Verdict
        No closed path of best responses strictly improves a mover.
    potential : callable or None
        Profile -> value of an exact or weighted potential, where there is one and its weights are floats.
    weights : mapping player -> float or Fraction, or None
        Its weights.
    cycle : Cycle or None
        A certified improvement cycle.
    asymmetry : float or None
        The antisymmetric share of the effective coupling B, |B - B'|^2 / (|B - B'|^2 + |B + B'|^2) [letcher2019];
        None where couplings are not linear.
    distance : float or None
        |B - B'|/2 in the Frobenius norm, how far B is from the nearest game with an exact potential; None where costs
        are not bilinear in what the players hear. ``potential_distance`` tells how far weighted ones are.
    """

    exact: Verdict
    weighted: Verdict
    acyclic: Verdict
    ordinal: Verdict
    best_response_acyclic: Verdict
    potential: Callable[[Any], Any] | None
    weights: Mapping[Player, Any] | None
    cycle: Cycle | None
    asymmetry: float | None
    distance: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain JSON-ready data; the potential is given by its weights."""
        return {
            "exact": self.exact.to_dict(),
            "weighted": self.weighted.to_dict(),
            "acyclic": self.acyclic.to_dict(),
            "ordinal": self.ordinal.to_dict(),
            "best_response_acyclic": self.best_response_acyclic.to_dict(),
            "weights": plain(self.weights),
            "cycle": plain(self.cycle),
            "asymmetry": plain(self.asymmetry),
            "distance": plain(self.distance),
        }


@check_named("potential")
@dataclass(frozen=True)
class PotentialCheck(Check):
    """Whether the game has an exact, weighted or ordinal potential, and an improvement cycle where it has none.

    Parameters
    ----------
    data_tolerance, max_seconds : float
        As for ``check_potential``.
    """

    data_tolerance: float = 1e-12
    max_seconds: float = 5.0

    def __post_init__(self) -> None:
        check_tolerance(self.data_tolerance)
        check_positive("max_seconds", self.max_seconds)

    def run(self, game: Game, seed: Seed = None) -> PotentialReport:
        """Return the report."""
        return check_potential(game, self.data_tolerance, seed, self.max_seconds)


def check_potential(
    game: Game | FiniteGame, data_tolerance: float = 1e-12, seed: Seed = None, max_seconds: float = 5.0
) -> PotentialReport:
    """Decide which potentials a game has, and look for an improvement cycle where it has none that is known.

    Parameters
    ----------
    game : Game
    data_tolerance : float
        The couplings are known to this relative tolerance; 0 asks for the exact rational answer.
    seed : int or Generator, optional
        Of the starts and directions that the search for cycles draws.
    max_seconds : float
        After which the proofs and searches for cycles end, and what they leave open says how far they came. Exact and
        weighted potentials of a network are decided in any case.

    Returns
    -------
    PotentialReport

    Raises
    ------
    OptionError, InputError
        If an argument is not usable.

    Notes
    -----
    A weighted potential is an ordinal one, and an ordinal potential falls along every improvement path. In infinite
    games the converse fails: the game J_1 = x_1^2/2, J_2 = (x_2 - x_1)^2/2 has no closed path of strict
    improvements and no ordinal potential (player 1 is indifferent between -1 and 1, and between them player 2 changes
    its mind). So ``acyclic`` can be PROVED where ``ordinal`` is not. A closed path of strict improvements refutes
    both, and a generalised ordinal potential as well [monderer1996]; one of best responses also refutes a
    best-response potential [voorneveld2000].
    """
    check_tolerance(data_tolerance)
    check_positive("max_seconds", max_seconds)
    if isinstance(game, FiniteGame):
        return PotentialReport(**finite_report(game, data_tolerance, max_seconds))
    return _network_report(require_game(game), data_tolerance, seed, max_seconds)


# What floats do not hold is found by comparisons to be undecided, and every candidate is certified in exact numbers.
@np.errstate(all="ignore")
def _network_report(game: Game, data_tolerance: float, seed: Seed, max_seconds: float) -> PotentialReport:
    began = time.monotonic()
    reason = certification_reason(game)
    pairs = _coupling_pairs(game)
    exact, weighted = (decide(game, data_tolerance, pairs) for decide in (exact_potential, weighted_potential))
    coupling = effective_coupling(game) if reason is None else None
    share, distance = (None, None) if reason is not None else asymmetry_and_distance(coupling)
    distance = distance if isinstance(game, CoupledGame) else None
    proved = exact if exact.proved else weighted
    if proved.proved:
        weights = proved.witness["weights"]
        kind = "exact" if exact.proved else "weighted"
        verdicts = verdicts_of_potential(game, kind, data_tolerance, proved.would_change)
        return PotentialReport(exact, weighted, *verdicts, _potential(game, weights), weights, None, share, distance)
    if reason is not None:
        verdicts = undecidable_verdicts(game, reason)
        return PotentialReport(exact, weighted, *verdicts, None, None, None, share, distance)
    left = max(max_seconds - (time.monotonic() - began), 0.0)
    findings = Findings(game, data_tolerance, generator(seed), left, max_seconds, Known(coupling, pairs))
    return PotentialReport(exact, weighted, *findings.verdicts, None, None, findings.cycle, share, distance)


def _coupling_pairs(game: Any) -> CouplingPairs | None:
    """Return the pairs that decide on exact and weighted potentials; None where something else does."""
    if game.potential_reason is not None or costs_reason(game) is not None:
        return None
    return coupling_pairs(game) if nonlinear_response(game, "exact") is None else None


def _potential(game: Game, weights: Mapping[Player, Any]) -> Callable[[Any], Any] | None:
    """Return the potential as a function; None where its weights lie outside the range of floats."""
    try:
        return potential_function(game, weights)
    except NotApplicableError:
        return None
