"""What would change a verdict on cycles: how far the data may move before a gain on a certified cycle vanishes.

A mover's step z -> z' gains phi(z) - phi(z') - <z - z', u(x)> with a coupled cost. Changes of every bias and coupling
by at most d change u by at most d (1 + |x_-|_1) in each entry, x_- the other players' actions, and z'Qz by at most d in
each entry of Q. So the gain changes by at most

    d [ |z - z'|_1 (1 + |x_-|_1) + sum_ij |z_i z_j - z'_i z'_j| / 2 ],

which some changes attain. The tracking cost's gain <z - z', (z + z')/2 - r(v(x))> changes by at most
d Lip(r) |z - z'|_1 (1 + |x_-|_1) for a response by coordinate; for others n^(1/2) |z - z'|_2 replaces |z - z'|_1.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np

from nngames.certificates.figures import floored
from nngames.core.profiles import Array
from nngames.games import TrackingGame
from nngames.results.cycle import Cycle, Deviation

# Profiles of at most so many entries are measured in exact numbers.
_MOST_EXACT = 60
# Products of more entries are bounded by those of the norms.
_MOST_PRODUCTS = 300
# Sums of floats are rounded by less.
_SLACK = 1 + 1e-9


def gain_change(game: Any, cycle: Cycle) -> Fraction:
    """Return a bound: while biases and couplings change by less, every gain on the cycle is positive; 0 if unknown."""
    return min(_allowed(game, step) for step in cycle.deviations)


def of_cycle(game: Any, cycle: Cycle) -> str:
    """Return what would take a gain on the cycle away."""
    bound = gain_change(game, cycle)
    if not bound:
        return "data with which a mover on this cycle gains nothing"
    return f"couplings or biases changed by {floored(bound)} or more: with smaller changes every move here still gains"


def of_answers(game: Any, cycle: Cycle) -> str:
    """Return what would take a cycle of best responses away."""
    bound = gain_change(game, cycle)
    moves = "data with which one of these moves is no best response any more"
    if not bound:
        return moves
    return f"{moves}; the gains stay positive while couplings and biases change by less than {floored(bound)}"


def _allowed(game: Any, step: Deviation) -> Fraction:
    """Return the largest d that surely leaves a step a gain."""
    where = game.space.slices[step.mover]
    before, after = step.before[where], step.after[where]
    exact = step.before.size <= _MOST_EXACT
    if exact:
        before, after = (np.array([Fraction(t) for t in z.tolist()], dtype=object) for z in (before, after))
    rest = np.delete(step.before, where)
    with np.errstate(over="ignore", invalid="ignore"):
        others = 1 + (sum(map(Fraction, np.abs(rest).tolist())) if exact else np.abs(rest).sum())
        if isinstance(game, TrackingGame):
            felt = _tracked(game, step, before - after) * float(others) * _SLACK
        else:
            felt = np.abs(before - after).sum() * others + _products(before, after) / 2
            felt = felt if exact else felt * _SLACK
    gain = Fraction(step.gain_bounds[0]) if step.gain is None else step.gain
    return gain / Fraction(felt) if 0 < felt < math.inf and gain > 0 else Fraction(0)


def _tracked(game: TrackingGame, step: Deviation, change: Array) -> float:
    """Return Lip(r) times the norm of a change that goes with the largest entry of what r hears."""
    start = game.space.slices[step.mover].start
    block = next(block for block, where in game.network.space.slices.items() if where.start <= start < where.stop)
    activation, sizes = game.network.activations[block], np.abs(change).astype(float)
    norm = sizes.sum() if activation.separable else math.sqrt(sizes.size) * np.linalg.norm(sizes)
    return float(activation.lipschitz) * float(norm)


def _products(before: Any, after: Any) -> Any:
    """Return sum_ij |z_i z_j - z'_i z'_j|, or more."""
    if before.size <= _MOST_PRODUCTS:
        return np.abs(np.outer(before, before) - np.outer(after, after)).sum()
    return np.abs(before - after).sum() * (np.abs(before).sum() + np.abs(after).sum())
