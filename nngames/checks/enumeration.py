"""All equilibria of a game: isolated points, continua of them, and a proof that there is no other, if there is one."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import log10, prod
from typing import Any

import numpy as np

from nngames.checks.check import Check, check_named, require_game
from nngames.checks.enumerating.cells import CellSearch, Findings, Node, exact_data, whole_game
from nngames.checks.enumerating.continua import gather
from nngames.checks.enumerating.faces import OutOfTimeError
from nngames.checks.enumerating.persistence import bias_margin
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
#: Games with more coordinates are not examined: their couplings are written out.
MOST_COORDINATES = 3000
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
            verdict = Verdict(
                Decision.UNDECIDED,
                f"it is not decided which equilibria there are: {error}",
                _METHOD,
                would_change="a game with linear couplings and separable responses, and a box that holds every "
                "equilibrium where these are not piecewise linear",
            )
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
        After which the search stops.

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
    cells is dropped where interval arithmetic leaves a neuron no piece, or where the linear relaxation by the convex
    envelopes of the responses has no solution, which nonnegative multipliers prove (Farkas). Where all actions are
    bounded, the ranges of the pre-activations are tightened by the relaxation's least and largest values of them, which
    multipliers bound as well. HiGHS finds the multipliers in floating point, and what they prove is computed in
    rationals. Floats are the rationals they are. A cell with many equilibria gives a face; faces that meet are one
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
    if equation.size > MOST_COORDINATES:
        raise NotApplicableError(
            f"the equilibria cannot be enumerated: the game has {equation.size} coordinates, and is examined up to "
            f"{MOST_COORDINATES}"
        )
    try:
        weight, bias = exact_data(equation, deadline)
    except OutOfTimeError:
        result = gathered(equation, Findings(undecided=[whole_game(equation)], stopped=True), max_seconds, deadline)
    else:
        found = CellSearch(equation, weight, bias).run(deadline)
        result = gathered(equation, found, max_seconds, deadline, weight, bias)
    return replace(result, players=tuple(game.players))


def gathered(
    equation: PiecewiseEquation,
    found: Findings,
    max_seconds: float,
    deadline: float,
    weight: Sequence[Sequence[Any]] = (),
    bias: Sequence[Any] = (),
) -> EquilibriumSet:
    """Return the distinct isolated points and the connected components of what a search found."""
    points, components = gather(equation, weight, bias, found.faces)
    unresolved = [_described(equation, node) for node in found.undecided[:LISTED]]
    array = np.array([[nearest_float(x) for x in point] for point in points]).reshape(len(points), equation.size)
    margin = None if found.undecided else bias_margin(equation, weight, bias, points, deadline)
    verdict = _verdict(equation, found, points, components, max_seconds, margin)
    return EquilibriumSet(array, components, verdict, points, None, unresolved)


def _verdict(
    equation: PiecewiseEquation,
    found: Findings,
    points: Sequence[ExactPoint],
    components: Sequence[Component],
    max_seconds: float,
    margin: float | None,
) -> Verdict:
    number = f"{len(points)} isolated {'equilibrium' if len(points) == 1 else 'equilibria'}"
    number += f" and {len(components)} {'continuum' if len(components) == 1 else 'continua'}" if components else ""
    effort = f"sets of pieces examined: {found.nodes}, dropped by ranges: {found.outside}, by multipliers: "
    effort += f"{found.cuts}; cells solved: {found.leaves}"
    left = sum(_cells(node) for node in found.undecided)
    witness: dict[str, Any] = {
        "nodes": found.nodes,
        "outside": found.outside,
        "cuts": found.cuts,
        "leaves": found.leaves,
        "undecided": len(found.undecided),
        "undecided_cells": _count(left),
    }
    if not found.undecided:
        statement = f"the game has {number} and no other: {effort}"
        if margin is not None:
            witness["bias_margin"] = margin
        change = _would_change(points, components, margin)
        return Verdict(Decision.PROVED, statement, _METHOD, None, witness, ("cottle2009",), would_change=change)
    reasons, remedies = [], []
    if found.stopped:
        reasons.append(f"the {max_seconds:g} s ran out with {len(found.undecided) - found.undescribed} sets left")
        remedies.append("a larger max_seconds, which would decide more of them")
    if found.undescribed:
        reasons.append(f"{found.undescribed} cells may have continua with too many faces to describe")
        remedies.append("another game, whose continua have fewer faces: no option of the search describes more")
    statement = f"{number} found; there may be others, since {' and '.join(reasons)}: of {_count(_whole(equation))} "
    statement += f"cells {_count(left)} are not decided ({effort})"
    return Verdict(
        Decision.UNDECIDED,
        statement,
        _METHOD,
        None,
        witness,
        ("cottle2009",),
        would_change=" and ".join(remedies),
    )


def _would_change(points: Sequence[ExactPoint], components: Sequence[Component], margin: float | None) -> str:
    change = "other data, since these were taken as exact"
    if components:
        change += "; the least change may leave some points of a continuum, or none"
    if margin is None:
        return change
    if margin == 0:
        return change + "; an equilibrium at a kink of a response may vanish, or split, by the least change"
    each = "the isolated equilibrium" if len(points) == 1 else "each isolated equilibrium"
    return change + f"; {each} stays, moved, where every bias changes by less than {_rounded_down(margin)}"


def _rounded_down(value: float) -> str:
    """Return a positive number as text of three digits, not larger than it is."""
    text = f"{value:.3g}"
    return text if float(text) <= value else f"{value * (1 - 5e-3):.3g}"


def _whole(equation: PiecewiseEquation) -> int:
    return _cells(whole_game(equation))


def _cells(node: Node) -> int:
    return prod(last - first + 1 for first, last in node)


def _count(number: int) -> str:
    # Python writes out no number of more than some thousand digits.
    return str(number) if number < 10**6 else f"about 10^{number.bit_length() * log10(2):.0f}"


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
