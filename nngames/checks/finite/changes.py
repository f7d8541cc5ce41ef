"""What would change a verdict on a finite game: how far its costs may move before a strict inequality turns.

Changes of all costs by less than d change a gain by less than 2d, the sum of gains around four deviations by less than
8d, and one mover's share of that sum by less than 4d. Data known to a tolerance count a gain as positive beyond ten
times it, relative to the mover's largest |cost|, which grows by less than d itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from nngames.certificates.balance import Balance
from nngames.certificates.coupling_pairs import CouplingPairs
from nngames.certificates.figures import floored, raised
from nngames.certificates.potential_changes import (
    TAKEN_EXACTLY,
    cycle_change,
    cycle_doubt,
    logarithm,
    multiple_change,
    still_apart,
)
from nngames.checks.finite.better_replies import Deviations
from nngames.core.profiles import Array
from nngames.core.verdicts import Decision
from nngames.games import FiniteGame
from nngames.results.cycle import Cycle, Deviation

_APART = "costs of two movers that change differently around a closed path of four deviations"


def exact_change(
    pairs: CouplingPairs, decision: Decision, mismatch: Array, square: Mapping[str, Any], tolerance: float | None
) -> str:
    """Return what would change a verdict on an exact potential, for a tolerance or exact costs (None)."""
    least = float(np.max(mismatch + pairs.rounding, initial=0.0))
    most = Fraction(float(np.max(mismatch - pairs.rounding, initial=0.0))) / 10
    if decision is Decision.PROVED:
        if not pairs.first.size:
            return "two players with a choice each"
        if tolerance is None:
            return f"{_APART}, however little"
        below = f"a positive data tolerance below {floored(least)}"
        return f"{_APART} by more than {10 * tolerance:.3g} of the larger one's costs, or {below}"
    if decision is Decision.UNDECIDED:
        proof = f"; a data tolerance of {raised(least)} or more, which would prove it" if least < 1 else ""
        refutation = f"; a positive one below {floored(most)}, which would refute it" if most > 0 else ""
        return f"{TAKEN_EXACTLY}{proof}{refutation}"
    apart, known = abs(square["sum"]), float(np.max(mismatch, initial=0.0))
    bound = still_apart(apart, apart / Fraction(known) if known > 0 else 0, tolerance or 0.0, 8)
    figure = f"by at least {floored(bound)} " if bound > 0 else ""
    change = f"a change {figure}of one of the costs along those four deviations"
    return (
        change if tolerance is None or not 0 < most < 1 else f"{change}, or a data tolerance of {raised(most)} or more"
    )


def weighted_change(
    pairs: CouplingPairs, balance: Balance, witness: Mapping[str, Any], size: Fraction, tolerance: float | None
) -> str:
    """Return what would change a verdict on a weighted potential; ``size`` is the largest |cost| of the game."""
    if balance.decision is Decision.PROVED:
        if not pairs.first.size:
            return "two players with a choice each"
        return f"{_APART} under any weights" + (
            ", however little" if tolerance is None else f", by more than {tolerance:.3g} of the larger one's costs"
        )
    if balance.decision is Decision.UNDECIDED:
        return TAKEN_EXACTLY
    entries = [tuple(square["values"]) for square in witness["squares"]]
    if "cycle" in witness:
        doubt = cycle_doubt(pairs, balance.cycle, tolerance or 0.0)
        share = cycle_change(max(abs(logarithm(witness["product"])) - doubt, 0.0), len(entries))
        bound = Fraction(share) * min(abs(value) for entry in entries for value in entry) / 4
    else:
        bound = still_apart(multiple_change(entries), size, tolerance or 0.0, 4)
    if bound > 0:
        return f"a change by at least {floored(bound)} of one of the costs along those closed paths"
    if any(a for a, _ in entries) and any(c for _, c in entries):
        return "a change of one of the costs along those closed paths"
    return "costs of the one that change along those closed paths as a positive multiple of the other's do"


def of_arcs(graph: Deviations, tolerance: float) -> str:
    """Return what would change the proof that no closed path exists."""
    bound = min((_room(gain, largest, tolerance) for gain, largest in graph.least_gains), default=None)
    if bound is None:
        return "a player with a choice"
    if bound <= 0:
        return "a change, however small, of costs that tie, or that tie to within the data: it orders them anew"
    return f"costs changed by {floored(bound)} or more: with smaller changes every deviation still improves or worsens"


def of_path(game: FiniteGame, cycle: Cycle, answers: bool, tolerance: float) -> str:
    """Return what would break a closed path."""
    bounds = [
        _room(lead, _largest(game, step), tolerance)
        for step in cycle.deviations
        for lead in _leads(game, step, answers)
    ]
    if min(bounds) <= 0:
        return "a change, however small, of costs that tie along this path"
    moves = "answers as it does" if answers else "gains"
    return (
        f"costs changed by {floored(min(bounds))} or more: with smaller changes every mover on this path still {moves}"
    )


def _leads(game: FiniteGame, step: Deviation, answers: bool) -> Sequence[Fraction]:
    """Return a step's gain; of a best response by how much it is better than each other strategy."""
    after = [int(i) for i in step.after]
    if not answers:
        assert step.gain is not None  # noqa: S101 - finite games' gains are exact
        return [step.gain]
    at = game.players.index(step.mover)
    others = [(*after[:at], i, *after[at + 1 :]) for i in range(game.sizes[at]) if i != after[at]]
    best = Fraction(game.cost(step.mover, after))
    return [Fraction(game.cost(step.mover, profile)) - best for profile in others]


def _largest(game: FiniteGame, step: Deviation) -> Fraction:
    costs = game.numbers.values[game.players.index(step.mover)]
    return abs(Fraction(game.numbers.number(max(costs.max(), -costs.min()))))


def _room(gain: Fraction, largest: Fraction, tolerance: float) -> Fraction:
    """Return the d below which changes of the costs leave a gain beyond ten times the tolerance."""
    tenfold = 10 * Fraction(tolerance)
    return (gain - tenfold * largest) / (2 + tenfold)
