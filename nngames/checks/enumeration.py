"""All equilibria of a game: isolated points, continua of them, and a proof that there is no other, if there is one."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np

from nngames.checks.check import Check, check_named, require_game
from nngames.checks.enumerating.cells import CellSearch, Findings, Node, exact_data, whole_game
from nngames.checks.enumerating.continua import gather
from nngames.checks.enumerating.faces import OutOfTimeError
from nngames.checks.enumerating.smooth import smooth_equilibria, smooth_reason
from nngames.core.errors import NotApplicableError, check_positive
from nngames.core.exact import fraction, nearest_float
from nngames.core.seeds import Seed
from nngames.core.verdicts import Decision, Verdict
from nngames.games import Game
from nngames.results.equilibria import Component, EquilibriumSet, ExactPoint
from nngames.solvers.piecewise_equation import PiecewiseEquation

_METHOD = (
    "branching over the linear pieces; relaxations without a solution by multipliers, cells by elimination, all in "
    "rationals"
)
#: So many undecided sets of pieces are listed.
LISTED = 100


@check_named("enumeration")
@dataclass(frozen=True)
class EnumerationCheck(Check):
    """All equilibria of a game with separable responses, and whether it is proved that there is no other.

    Parameters
    ----------
    max_seconds : float
        As for ``enumerate_equilibria``.
    """

    max_seconds: float = 10.0

    def __post_init__(self) -> None:
        check_positive("max_seconds", self.max_seconds)

    def run(self, game: Game, seed: Seed = None) -> EquilibriumSet:
        """Return the equilibria; none and UNDECIDED where the game is of a kind that cannot be enumerated."""
        try:
            return enumerate_equilibria(game, self.max_seconds)
        except NotApplicableError as error:
            verdict = Verdict(Decision.UNDECIDED, f"it is not decided which equilibria there are: {error}", _METHOD)
            return EquilibriumSet(np.empty((0, game.size)), (), verdict)


def enumerate_equilibria(game: Game, max_seconds: float = 10.0) -> EquilibriumSet:
    """Return all equilibria of a game with linear couplings and separable responses, and whether these are proved to
    be all.

    Parameters
    ----------
    game : Game
        A network game with either cost, or a quadratic game, on any graph. If all responses are continuous and
        piecewise linear (relu, leaky relu, hard tanh, boxes, the identity, the absolute value), the equilibria are
        exact; some thirty neurons are workable. Else about six neurons are, where a box holds all equilibria, as with
        bounded responses.
    max_seconds : float
        After which no further set of pieces, or box, is examined.

    Returns
    -------
    EquilibriumSet

    Raises
    ------
    NotApplicableError
        If a coupling is not linear, a response is not separable, or no box that holds every equilibrium is known.
    OptionError, InputError
        If an argument is not usable.

    Notes
    -----
    *Piecewise linear.* On each cell, one linear piece a neuron, the equilibria solve linear equations within linear
    inequalities [cottle2009]; they are found by elimination in rationals. Cells are not examined one by one: a set of
    cells is dropped where the linear relaxation by the convex envelopes of the responses has no solution, which
    nonnegative multipliers prove (Farkas). HiGHS finds them in floating point, and they are accepted if they hold
    exactly. Floats are the rationals they are. A cell with many equilibria gives a face; faces that meet are one
    component.

    *Others.* Interval branch and prune with Krawczyk's test, see ``nngames.checks.enumerating.smooth``: each point
    comes with a bound on its distance to the equilibrium, the only one near it; multiple roots and continua stay
    unresolved.
    """
    game = require_game(game)
    check_positive("max_seconds", max_seconds)
    deadline = time.monotonic() + max_seconds
    try:
        equation = PiecewiseEquation(game, nondecreasing=False)
    except NotApplicableError as error:
        reason = smooth_reason(game)
        if reason is None:
            return replace(smooth_equilibria(game, max_seconds), players=tuple(game.players))
        raise NotApplicableError(f"the equilibria cannot be enumerated: {error}; and by intervals: {reason}") from error
    try:
        weight, bias = exact_data(equation, deadline)
    except OutOfTimeError:
        result = gathered(equation, Findings(undecided=[whole_game(equation)], stopped=True), max_seconds)
    else:
        found = CellSearch(equation, weight, bias).run(deadline)
        result = gathered(equation, found, max_seconds, weight, bias)
    return replace(result, players=tuple(game.players))


def gathered(
    equation: PiecewiseEquation,
    found: Findings,
    max_seconds: float,
    weight: Sequence[Sequence[Any]] = (),
    bias: Sequence[Any] = (),
) -> EquilibriumSet:
    """Return the distinct isolated points and the connected components of what a search found."""
    points, components = gather(equation, weight, bias, found.faces)
    unresolved = [_described(equation, node) for node in found.undecided[:LISTED]]
    array = np.array([[nearest_float(x) for x in point] for point in points]).reshape(len(points), equation.size)
    verdict = _verdict(found, points, components, max_seconds)
    return EquilibriumSet(array, components, verdict, points, None, unresolved)


def _verdict(
    found: Findings, points: Sequence[ExactPoint], components: Sequence[Component], max_seconds: float
) -> Verdict:
    number = f"{len(points)} isolated {'equilibrium' if len(points) == 1 else 'equilibria'}"
    number += f" and {len(components)} {'continuum' if len(components) == 1 else 'continua'}" if components else ""
    effort = f"{found.nodes} sets of pieces examined, {found.cuts} dropped by multipliers, {found.leaves} cells solved"
    witness = {"nodes": found.nodes, "cuts": found.cuts, "leaves": found.leaves, "undecided": len(found.undecided)}
    if not found.undecided:
        statement = (
            f"the game has {number} and no other: {effort}; the data were taken as exact, and "
            "only other data would change it"
        )
        return Verdict(Decision.PROVED, statement, _METHOD, witness=witness, references=("cottle2009",))
    reasons, remedies = [], []
    if found.stopped:
        reasons.append(f"the {max_seconds:g} s ran out with {len(found.undecided) - found.undescribed} sets left")
        remedies.append("a larger max_seconds would decide more")
    if found.undescribed:
        reasons.append(f"{found.undescribed} cells may have continua with too many faces to describe")
        remedies.append("only another game would have fewer")
    statement = (
        f"{number} found; there may be others, since {' and '.join(reasons)} ({effort}); {', and '.join(remedies)}"
    )
    return Verdict(Decision.UNDECIDED, statement, _METHOD, witness=witness, references=("cottle2009",))


def _described(equation: PiecewiseEquation, node: Node) -> dict[str, Any]:
    """Return where the pre-activations lie in an undecided set of pieces: an interval for each neuron."""

    def end(value: Any) -> Fraction | None:
        return None if value is None else fraction(value)

    return {
        "preactivations": [
            (
                end(pieces.breaks[first - 1] if first > 0 else None),
                end(pieces.breaks[last] if last < len(pieces.breaks) else None),
            )
            for pieces, (first, last) in zip(equation.pieces, node, strict=True)
        ]
    }
