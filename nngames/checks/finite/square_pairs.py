"""Pairs of players of a finite game: their costs around the closed paths of four deviations by two players.

For players l < k and the others' strategies fixed, the square of strategies {0, i} x {0, j} gives

    A = c_l(i, j) - c_l(0, j) - c_l(i, 0) + c_l(0, 0)    and C, the same of c_k.

A game has an exact potential iff A = C on every square, a weighted one iff w_l A = w_k C for weights w > 0
[monderer1996]; squares without the first strategies are sums of these.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations
from math import inf
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nngames.certificates.coupling_pairs import CouplingPairs
from nngames.core.deadlines import look
from nngames.core.exact import nearest_float
from nngames.core.profiles import Array
from nngames.games import FiniteGame
from nngames.games.finite.numbers import Numbers

_UNIT = 2.0**-53
# Entries between two looks at the clock.
_CHUNK = 65_536


class SquarePairs(CouplingPairs):
    """All pairs of players with more than one strategy.

    A pair's mismatch under weights is max|w_l A - w_k C| / max(w_l max|c_l|, w_k max|c_k|).

    Parameters
    ----------
    game : FiniteGame
    deadline : float
        A moment of time.monotonic, after which TimeUpError is raised wherever another pair would be looked at.
    """

    def __init__(self, game: FiniteGame, deadline: float = inf) -> None:
        self.players, self._sizes = game.players, game.sizes
        self.deadline = deadline
        self._last: tuple[Array, Array] | None = None
        self._numbers, self._floats = game.numbers, _in_unit(game.numbers, deadline)
        movers = [m for m, size in enumerate(game.sizes) if size > 1]
        edges = list(combinations(movers, 2))
        self.first = np.array([i for i, _ in edges], dtype=np.intp)
        self.second = np.array([j for _, j in edges], dtype=np.intp)
        largest = np.array([np.abs(costs).max() for costs in self._floats])
        self._largest = largest[self.first], largest[self.second]
        ahead = np.array([np.abs(self._side(i, i, j)).max() for i, j in edges])
        back = np.array([np.abs(self._side(j, i, j)).max() for i, j in edges])
        self.forward, self.backward = (
            np.divide(values, sizes, out=np.zeros(len(edges)), where=sizes > 0)
            for values, sizes in zip((ahead, back), self._largest, strict=True)
        )
        # Four rounded numbers and three sums on either side.
        self.rounding = np.full(len(edges), 32 * _UNIT)
        self.exact = True
        self.scalar, self.unrounded = sorted(size for size in game.sizes if size > 1) == [2, 2], False

    def mismatch_at(self, first: Array, second: Array) -> Array:
        """Return each pair's mismatch."""
        weights = np.array([first, second])
        if self._last is None or not np.array_equal(self._last[0], weights):
            self._last = weights, np.array([self.own_mismatch(pair, *w) for pair, w in enumerate(weights.T)])
        return self._last[1]

    def own_mismatch(self, pair: int, first: Any, second: Any) -> float:
        """Return one pair's mismatch."""
        a, c = self._sides(pair)
        u, v = self._scaled(first, second)
        scale = max(u * self._largest[0][pair], v * self._largest[1][pair])
        return float(np.abs(u * a - v * c).max()) / scale if scale > 0 else 0.0

    def ratios(self) -> Array:
        """Return |c_p| / |a_p| at the largest entry a_p of A; |C| / |A| where the signs there differ."""
        return np.array([self.ratio(pair) for pair in range(self.first.size)])

    def ratio(self, pair: int) -> float:
        """Return one pair's ratio."""
        a, c = self._sides(pair)
        at = int(np.abs(a).argmax())
        x, y = float(a.flat[at]), float(c.flat[at])
        if x * y <= 0:
            x, y = float(np.abs(a).max()), float(np.abs(c).max())
        return abs(y / x) if x != 0 and y != 0 else 1.0

    def entry(self, pair: int, first: float = 1.0, second: float = 1.0) -> tuple[list[int], list[float]]:
        """Return the profile with the strategies i and j of the square that differs most, and A and C there."""
        at = self.square(pair, first, second)
        return list(at), [nearest_float(self.side(m, pair, at)) for m in (self.first[pair], self.second[pair])]

    def square(self, pair: int, first: float = 1.0, second: float = 1.0) -> tuple[int, ...]:
        """Return the profile with the strategies i and j of the square where first * A and second * C differ most."""
        a, c = self._sides(pair)
        u, v = self._scaled(first, second)
        return self._place(pair, a.shape, int(np.abs(u * a - v * c).argmax()))

    def telling(self, pair: int) -> list[tuple[int, ...]]:
        """Return squares whose A and C are no positive multiples of each other, if there are any such."""
        squares = [self.square(pair, 1.0, 0.0), self.square(pair, 0.0, 1.0), self.square(pair, self.ratio(pair))]
        if self._numbers.exact:
            a, c = (_mixed(self._numbers.values[m], self.first[pair], self.second[pair]) for m in self._movers(pair))
            at = int(abs(a).argmax())
            largest = int(a.flat[at]), int(c.flat[at])
            # What floats do not tell apart, integers do.
            apart = abs(a.astype(object) * largest[1] - c.astype(object) * largest[0])
            squares += [self._place(pair, a.shape, at), self._place(pair, a.shape, int(apart.argmax()))]
        return list(dict.fromkeys(squares))

    def _movers(self, pair: int) -> tuple[Any, Any]:
        return self.first[pair], self.second[pair]

    def _place(self, pair: int, shape: tuple[int, ...], at: int) -> tuple[int, ...]:
        """Return the profile with the strategies i and j of a square, given by its place among all."""
        place = [int(i) for i in np.unravel_index(at, shape)]
        place[self.first[pair]] += 1
        place[self.second[pair]] += 1
        return tuple(place)

    def path(self, pair: int, square: tuple[int, ...]) -> list[tuple[int, ...]]:
        """Return the four profiles of a square in the order of its closed path, from strategies 0 and 0 on."""
        corners = []
        for move, answer in ((False, False), (True, False), (True, True), (False, True)):
            corner = list(square)
            corner[self.first[pair]] *= move
            corner[self.second[pair]] *= answer
            corners.append(tuple(corner))
        return corners

    def side(self, player: Any, pair: int, square: tuple[int, ...]) -> Fraction:
        """Return A, or C, of a square as the number that it is."""
        values = (self._numbers.values[(int(player), *corner)] for corner in self.path(pair, square))
        corners = [Fraction(self._numbers.number(value)) for value in values]
        return corners[0] - corners[1] + corners[2] - corners[3]

    def unequal(self) -> int | None:
        """Return the first pair with A != C in exact arithmetic; None if there is none."""
        for pair, (i, j) in enumerate(zip(self.first, self.second, strict=True)):
            look(self.deadline)
            if (_mixed(self._numbers.values[i], i, j) != _mixed(self._numbers.values[j], i, j)).any():
                return pair
        return None

    def unequal_square(self, pair: int) -> tuple[int, ...]:
        """Return the profile with the strategies i and j of the square where A and C differ most, in exact numbers."""
        i, j = self.first[pair], self.second[pair]
        difference = abs(_mixed(self._numbers.values[i], i, j) - _mixed(self._numbers.values[j], i, j))
        return self._place(pair, difference.shape, int(difference.argmax()))

    def rational_entries(self, pair: int) -> tuple[list[Any], list[Any]]:
        """Return distinct pairs of entries, times the costs' common denominator: all, or some that rule out weights."""
        from flint import fmpq

        look(self.deadline)
        i, j = self.first[pair], self.second[pair]
        a, c = (_mixed(self._numbers.values[m], i, j) for m in (i, j))
        found = self._opposed(pair, a, c) or self._distinct(a, c)
        return [fmpq(int(x)) for x, _ in found], [fmpq(int(y)) for _, y in found]

    def _opposed(self, pair: int, a: NDArray[Any], c: NDArray[Any]) -> list[tuple[int, int]]:
        """Return three pairs of entries if no positive factor makes the one side the other there; else none."""
        u, v = self._sides(pair)
        at = [np.abs(u).argmax(), np.abs(v).argmax(), np.abs(self.ratio(pair) * u - v).argmax()]
        found = [(int(a.flat[k]), int(c.flat[k])) for k in at]
        signs = any(x * y < 0 or (x == 0) != (y == 0) for x, y in found)
        return found if signs or any(x * d != y * b for x, y in found for b, d in found) else []

    def _distinct(self, a: NDArray[Any], c: NDArray[Any]) -> list[tuple[int, int]]:
        found: set[tuple[int, int]] = set()
        for start in range(0, a.size, _CHUNK):
            look(self.deadline)
            found.update(zip(*(side.flat[start : start + _CHUNK].tolist() for side in (a, c)), strict=True))
        return sorted(found)

    def _side(self, player: Any, i: Any, j: Any) -> Array:
        look(self.deadline)
        return _mixed(self._floats[player], i, j)

    def _sides(self, pair: int) -> tuple[Array, Array]:
        i, j = self.first[pair], self.second[pair]
        return self._side(i, i, j), self._side(j, i, j)

    @staticmethod
    def _scaled(first: Any, second: Any) -> tuple[float, float]:
        largest = max(float(first), float(second))
        return float(first) / largest, float(second) / largest


def _mixed(costs: NDArray[Any], i: Any, j: Any) -> NDArray[Any]:
    """Return the alternating sums of one player's costs over the squares of the axes i and j."""

    def part(moved: bool, answered: bool) -> NDArray[Any]:
        place = [slice(None)] * costs.ndim
        place[i] = slice(1, None) if moved else slice(0, 1)
        place[j] = slice(1, None) if answered else slice(0, 1)
        return costs[tuple(place)]

    result: NDArray[Any] = part(True, True) - part(False, True) - part(True, False) + part(False, False)
    return result


def _in_unit(numbers: Numbers, deadline: float) -> Array:
    """Return floats in [-1, 1] that are proportional to the numbers, up to rounding."""
    values = numbers.values
    largest = max(values.max(), -values.min())
    if largest == 0:
        return np.zeros(values.shape)
    if not numbers.exact:
        return np.ldexp(values, -int(np.frexp(largest)[1]))
    if values.dtype != object:
        return np.asarray(values / float(largest))
    result, unit = np.empty(values.shape), int(largest)
    for line, row in zip(result.reshape(-1, values.shape[-1]), values.reshape(-1, values.shape[-1]), strict=True):
        look(deadline)
        line[:] = [x / unit for x in row.tolist()]
    return result
