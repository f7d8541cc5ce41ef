"""The potential structure of drawn games and the gains of their cycles, from the drawn data alone, in rationals.

Nothing of the package is used: projections, balance of pairs, products round cycles, strongly connected components and
the movers' gains are written anew with ``fractions`` and ``mpmath``.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
from structure_games import Drawn

# Below the first relative mismatch a pair is balanced, above the second it is not; drawn games have none in between.
BALANCED, UNBALANCED = Fraction(1, 10**13), Fraction(1, 10**9)


@dataclass(frozen=True)
class Structure:
    """What the drawn data say: is there an exact, a weighted potential; which cyclic components have no weighted one.

    None where a mismatch lies between rounding and a real one.
    """

    exact: bool | None
    weighted: bool | None
    unbalanced: tuple[frozenset[Any], ...]


def decide(drawn: Drawn, exactly: bool) -> Structure:
    """Decide on the floats as rationals, or up to what rounding leaves."""
    pairs = _projected_pairs(drawn)
    small, large = (Fraction(0), Fraction(0)) if exactly else (BALANCED, UNBALANCED)
    exact = _all(_judged(_mismatch(pair, Fraction(1), Fraction(1)), small, large) for pair in pairs.values())
    everyone = frozenset(drawn.sizes)
    unbalanced = []
    for component in _components(everyone, pairs, small):
        if len(component) > 1 and _balance(component, pairs, small, large) is not True:
            unbalanced.append(component)
    return Structure(exact, _balance(everyone, pairs, small, large), tuple(unbalanced))


def _all(answers: Any) -> bool | None:
    listed = list(answers)
    return False if False in listed else None if None in listed else True


def _judged(mismatch: Fraction, small: Fraction, large: Fraction) -> bool | None:
    return True if mismatch <= small else False if mismatch > large else None


@dataclass(frozen=True)
class _Pair:
    ahead: list[list[Fraction]]
    back: list[list[Fraction]]
    size_ahead: Fraction
    size_back: Fraction


def _projected_pairs(drawn: Drawn) -> dict[tuple[Any, Any], _Pair]:
    pairs = {}
    for i, k in itertools.combinations(drawn.sizes, 2):
        if (i, k) not in drawn.couplings and (k, i) not in drawn.couplings:
            continue
        shape = (drawn.sizes[i], drawn.sizes[k])
        ahead = _rational(drawn.couplings.get((i, k), np.zeros(shape)))
        back = _transposed(_rational(drawn.couplings.get((k, i), np.zeros(shape[::-1]))))
        sizes = [max(abs(t) for row in m for t in row) for m in (ahead, back)]
        felt = [
            _transposed(_project(_transposed(_project(m, drawn.penalties[i])), drawn.penalties[k]))
            for m in (ahead, back)
        ]
        pairs[i, k] = _Pair(*felt, *sizes)
    return pairs


def _rational(matrix: np.ndarray) -> list[list[Fraction]]:
    return [[Fraction(t) for t in row] for row in np.asarray(matrix).tolist()]


def _transposed(matrix: list[list[Fraction]]) -> list[list[Fraction]]:
    return [list(column) for column in zip(*matrix, strict=True)]


def _project(matrix: list[list[Fraction]], penalty: Any) -> list[list[Fraction]]:
    """Project the columns on the directions in which a player with this penalty can move."""
    name = penalty if isinstance(penalty, str) else penalty["name"]
    if name in ("softmax", "simplex"):
        means = [sum(column) / len(matrix) for column in zip(*matrix, strict=True)]
        return [[t - m for t, m in zip(row, means, strict=True)] for row in matrix]
    if name == "singleton":
        return [[Fraction(0)] * len(row) for row in matrix]
    if name == "box" and not isinstance(penalty, str):
        ends = zip(penalty["lower"], penalty["upper"], strict=True)
        return [row if a < b else [Fraction(0)] * len(row) for row, (a, b) in zip(matrix, ends, strict=True)]
    return matrix


def _entries(pair: _Pair) -> list[tuple[Fraction, Fraction]]:
    return [ends for rows in zip(pair.ahead, pair.back, strict=True) for ends in zip(*rows, strict=True)]


def _mismatch(pair: _Pair, first: Fraction, second: Fraction) -> Fraction:
    scale = max(first * pair.size_ahead, second * pair.size_back)
    return max(abs(first * a - second * c) for a, c in _entries(pair)) / scale if scale else Fraction(0)


def _felt(pair: _Pair, small: Fraction) -> tuple[bool, bool]:
    return (
        max(abs(a) for a, _ in _entries(pair)) > small * pair.size_ahead,
        max(abs(c) for _, c in _entries(pair)) > small * pair.size_back,
    )


def _balance(players: frozenset[Any], pairs: dict, small: Fraction, large: Fraction) -> bool | None:
    """Whether some c > 0 balance all pairs among the players: by a spanning forest and every other pair."""
    ratios: dict[tuple[Any, Any], Fraction] = {}
    for (i, k), pair in pairs.items():
        if i not in players or k not in players:
            continue
        ahead, back = _felt(pair, small)
        if ahead != back:
            return False
        if ahead:
            a, c = max(_entries(pair), key=lambda ends: abs(ends[0]))
            if c / a <= 0:
                return False
            ratios[i, k] = c / a  # c_i a = c_k c
    weights: dict[Any, Fraction] = {}
    for root in players:
        if root in weights:
            continue
        weights[root], stack = Fraction(1), [root]
        while stack:
            node = stack.pop()
            for (i, k), ratio in ratios.items():
                if node == i and k not in weights:
                    weights[k] = weights[i] / ratio
                    stack.append(k)
                elif node == k and i not in weights:
                    weights[i] = weights[k] * ratio
                    stack.append(i)
    return _all(_judged(_mismatch(pairs[i, k], weights[i], weights[k]), small, large) for i, k in ratios)


def _components(players: frozenset[Any], pairs: dict, small: Fraction) -> list[frozenset[Any]]:
    """Return the strongly connected components of who hears whom, by the transitive closure."""
    hears = {(p, p) for p in players}
    for (i, k), pair in pairs.items():
        ahead, back = _felt(pair, small)
        hears |= {(i, k)} if ahead else set()
        hears |= {(k, i)} if back else set()
    for middle, a, b in itertools.product(players, repeat=3):
        if (a, middle) in hears and (middle, b) in hears:
            hears.add((a, b))
    for middle, a, b in itertools.product(players, repeat=3):
        if (a, middle) in hears and (middle, b) in hears:
            hears.add((a, b))
    return list({frozenset(q for q in players if (p, q) in hears and (q, p) in hears) for p in players})


# Gains


def gains_of(drawn: Drawn, cycle: Any, number: Any = Fraction) -> list[Any]:
    """Check that a cycle is a closed path of unilateral deviations; return each mover's decrease of cost anew."""
    starts = dict(zip(drawn.sizes, itertools.accumulate(drawn.sizes.values(), initial=0), strict=False))
    steps, gains = list(cycle.deviations), []
    for step, following in zip(steps, [*steps[1:], steps[0]], strict=True):
        assert np.array_equal(step.after, following.before)
        changed = np.flatnonzero(step.before != step.after)
        begin = starts[step.mover]
        assert changed.size
        assert begin <= changed[0] <= changed[-1] < begin + drawn.sizes[step.mover]
        gains.append(gain_of(drawn, step.mover, step.before, step.after, number))
    return gains


def gain_of(drawn: Drawn, mover: Any, before: np.ndarray, after: np.ndarray, number: Any = Fraction) -> Any:
    """Return J_mover(before) - J_mover(after), J = phi(z) - <z, b + sum_k B_lk x_k>."""
    starts = dict(zip(drawn.sizes, itertools.accumulate(drawn.sizes.values(), initial=0), strict=False))

    def action(player: Any, profile: np.ndarray) -> list[Any]:
        return [number(t) for t in profile[starts[player] : starts[player] + drawn.sizes[player]].tolist()]

    heard = [number(t) for t in drawn.biases[mover].tolist()]
    for (target, source), matrix in drawn.couplings.items():
        if target == mover:
            x = action(source, before)
            rows = matrix.tolist()
            heard = [
                h + sum(number(w) * t for w, t in zip(row, x, strict=True)) for h, row in zip(heard, rows, strict=True)
            ]
    costs = []
    for z in (action(mover, before), action(mover, after)):
        cost = penalty_of(drawn.penalties[mover], z) - sum(a * b for a, b in zip(z, heard, strict=True))
        own, loop = drawn.own.get(mover), number(drawn.loops.get(mover, 0.0))
        if own is None:
            cost += (1 - loop) * sum(t * t for t in z) / 2
        else:
            quadratic = (number(q) * z[i] * z[j] for i, row in enumerate(own.tolist()) for j, q in enumerate(row))
            cost += sum(quadratic) / 2
        costs.append(cost)
    return costs[0] - costs[1]


SMOOTH = ("tanh", "sigmoid", "elu", "softmax")


def penalty_of(penalty: Any, z: list[Any]) -> Any:
    """Return f(z); it must be finite."""
    name = penalty if isinstance(penalty, str) else penalty["name"]
    if name in ("softmax", "simplex"):
        assert all(t >= 0 for t in z)
        assert sum(z) == 1
        return sum(_xlogx(t) - t * t / 2 for t in z) if name == "softmax" else 0 * z[0]
    if name in ("relu", "nonnegative"):
        assert all(t >= 0 for t in z)
    elif name == "hard_tanh":
        assert all(-1 <= t <= 1 for t in z)
    elif name == "singleton":
        assert z == [type(z[0])(t) for t in penalty["point"]]
    elif name == "box":
        lower, upper = (
            ([-1.0] * len(z), [1.0] * len(z))
            if isinstance(penalty, str)
            else (
                penalty["lower"],
                penalty["upper"],
            )
        )
        assert all(a <= t <= b for a, t, b in zip(lower, z, upper, strict=True))
    elif name == "leaky_relu":
        return sum(3 * t * t / 2 for t in z if t < 0) + 0 * z[0]  # slope 1/4
    elif name == "tanh":
        assert all(-1 <= t <= 1 for t in z)
        return sum(_xlogx(1 + t) / 2 + _xlogx(1 - t) / 2 - t * t / 2 for t in z)
    elif name == "sigmoid":
        assert all(0 <= t <= 1 for t in z)
        return sum(_xlogx(t) + _xlogx(1 - t) - t * t / 2 for t in z)
    elif name == "elu":
        assert all(t >= -1 for t in z)
        return sum(_xlogx(1 + t) - t - t * t / 2 for t in z if t < 0) + 0 * z[0]
    else:
        assert name == "identity"
    return 0 * z[0]


def _xlogx(t: Any) -> Any:
    return mpmath.mpf(0) if t == 0 else t * mpmath.log(t)


def is_smooth(drawn: Drawn, player: Any) -> bool:
    """Whether a player's cost needs logarithms."""
    penalty = drawn.penalties[player]
    return (penalty if isinstance(penalty, str) else penalty["name"]) in SMOOTH
