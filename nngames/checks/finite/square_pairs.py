"""Pairs of players of a finite game: their costs around the closed paths of four deviations by two players.

For players l < k and the others' strategies fixed, the square of strategies {0, i} x {0, j} gives

    A = c_l(i, j) - c_l(0, j) - c_l(i, 0) + c_l(0, 0)    and C, the same of c_k.

A game has an exact potential iff A = C on every square, a weighted one iff w_l A = w_k C for weights w > 0
[monderer1996]; squares without the first strategies are sums of these.
"""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nngames.certificates.coupling_pairs import CouplingPairs
from nngames.core.profiles import Array
from nngames.games import FiniteGame
from nngames.games.finite.numbers import Numbers

_UNIT = 2.0**-53


class SquarePairs(CouplingPairs):
    """All pairs of players with more than one strategy.

    A pair's mismatch under weights is max|w_l A - w_k C| / max(w_l max|c_l|, w_k max|c_k|).

    Parameters
    ----------
    game : FiniteGame
    """

    def __init__(self, game: FiniteGame) -> None:
        self.players, self._sizes = game.players, game.sizes
        self._numbers, self._floats = game.numbers, _in_unit(game.numbers)
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

    def mismatch_at(self, first: Array, second: Array) -> Array:
        """Return each pair's mismatch."""
        result = np.zeros(self.first.size)
        for pair in range(self.first.size):
            a, c = self._sides(pair)
            u, v = self._scaled(first[pair], second[pair])
            scale = max(u * self._largest[0][pair], v * self._largest[1][pair])
            result[pair] = float(np.abs(u * a - v * c).max()) / scale if scale > 0 else 0.0
        return result

    def ratios(self) -> Array:
        """Return |c_p| / |a_p| at the largest entry a_p of A; |C| / |A| where the signs there differ."""
        result = np.ones(self.first.size)
        for pair in range(self.first.size):
            a, c = self._sides(pair)
            at = int(np.abs(a).argmax())
            x, y = float(a.flat[at]), float(c.flat[at])
            if x * y <= 0:
                x, y = float(np.abs(a).max()), float(np.abs(c).max())
            result[pair] = abs(y / x) if x != 0 and y != 0 else 1.0
        return result

    def entry(self, pair: int, first: float = 1.0, second: float = 1.0) -> tuple[list[int], list[float]]:
        """Return the profile with the strategies i and j of the square that differs most, and A and C there."""
        at = self.square(pair, first, second)
        return list(at), [float(self.side(self.first[pair], pair, at)), float(self.side(self.second[pair], pair, at))]

    def square(self, pair: int, first: float = 1.0, second: float = 1.0) -> tuple[int, ...]:
        """Return the profile with the strategies i and j of the square where first * A and second * C differ most."""
        a, c = self._sides(pair)
        u, v = self._scaled(first, second)
        place = [int(i) for i in np.unravel_index(int(np.abs(u * a - v * c).argmax()), a.shape)]
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

    def side(self, player: Any, pair: int, square: tuple[int, ...]) -> Any:
        """Return A, or C, of a square as the number that it is."""
        corners = [self._numbers.values[(int(player), *corner)] for corner in self.path(pair, square)]
        return self._numbers.number(corners[0] - corners[1] + corners[2] - corners[3])

    def unequal(self) -> int | None:
        """Return the first pair with A != C in exact arithmetic; None if there is none."""
        for pair, (i, j) in enumerate(zip(self.first, self.second, strict=True)):
            if (_mixed(self._numbers.values[i], i, j) != _mixed(self._numbers.values[j], i, j)).any():
                return pair
        return None

    def unequal_square(self, pair: int) -> tuple[int, ...]:
        """Return the profile with the strategies i and j of the square where A and C differ most, in exact numbers."""
        i, j = self.first[pair], self.second[pair]
        difference = abs(_mixed(self._numbers.values[i], i, j) - _mixed(self._numbers.values[j], i, j))
        place = [int(k) for k in np.unravel_index(int(difference.argmax()), difference.shape)]
        place[i] += 1
        place[j] += 1
        return tuple(place)

    def rational_entries(self, pair: int) -> tuple[list[Any], list[Any]]:
        """Return the distinct pairs of entries, times the costs' common denominator."""
        from flint import fmpq

        i, j = self.first[pair], self.second[pair]
        sides = (_mixed(self._numbers.values[m], i, j).ravel().tolist() for m in (i, j))
        found = sorted(set(zip(*sides, strict=True)))
        return [fmpq(int(a)) for a, _ in found], [fmpq(int(c)) for _, c in found]

    def _side(self, player: Any, i: Any, j: Any) -> Array:
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


def _in_unit(numbers: Numbers) -> Array:
    """Return floats in [-1, 1] that are proportional to the numbers, up to rounding."""
    values = numbers.values
    largest = max(values.max(), -values.min())
    if largest == 0:
        return np.zeros(values.shape)
    if not numbers.exact:
        return np.ldexp(values, -int(np.frexp(largest)[1]))
    if values.dtype != object:
        return np.asarray(values / float(largest))
    flat = [x / int(largest) for x in values.ravel().tolist()]
    return np.array(flat, dtype=np.float64).reshape(values.shape)
