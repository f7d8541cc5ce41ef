"""Coupling pairs: what each two players' costs have in common, on which potentials depend alone.

Player l's cost holds -<x_l, B_lk x_k>, player k's -<x_k, B_kl x_l>. Only A = P_l B_lk P_k and C = (P_k B_kl P_l)'
count, P the projectors on the players' direction spaces. A pair is balanced by weights c if c_l A = c_k C; its
*mismatch* is max|c_l A - c_k C| / max(c_l max|B_lk|, c_k max|B_kl|), the relative change of the data that would mend
it up to a factor of two.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nngames.certificates.direction_spaces import DirectionSpace
from nngames.core.exact import rational, rational_matrix
from nngames.core.profiles import Array, Player

Indices = NDArray[np.intp]
# Ratios are cut to this range: outside floats lose digits, or are 0 or infinite.
RATIOS = 1e-300, 1e300
LARGE = 1e300
# Of more entries some are compared before all are.
_MANY = 256


class CouplingPairs(ABC):
    """The pairs of distinct players of whom at least one listens to the other.

    Attributes
    ----------
    players : tuple
    first, second : ndarray of int (m,)
        The two players l < k of each pair, as indices.
    forward, backward : ndarray (m,)
        max|A| / max|B_lk| and max|C| / max|B_kl|; 0 where there is no coupling.
    rounding : ndarray (m,)
        A bound on the rounding in a pair's mismatch, beyond a few units.
    exact : bool
        Whether the projectors are known exactly.
    scalar : bool
        Whether every A and C is one number.
    unrounded : bool
        Whether the entries of A and C are numbers of the data, as they are.
    """

    players: tuple[Player, ...]
    first: Indices
    second: Indices
    forward: Array
    backward: Array
    rounding: Array
    exact: bool
    scalar: bool
    unrounded: bool

    def mismatch(self, weights: Array) -> Array:
        """Return each pair's mismatch for the players' weights (N,)."""
        return self.mismatch_at(weights[self.first], weights[self.second])

    @abstractmethod
    def mismatch_at(self, first: Array, second: Array) -> Array:
        """Return each pair's mismatch for weights (m,) of its first and of its second player."""

    def own_mismatch(self, pair: int, first: float, second: float) -> float:
        """Return one pair's mismatch for weights of its two players."""
        weights = np.ones((2, self.first.size))
        weights[:, pair] = first, second
        return float(self.mismatch_at(*weights)[pair])

    def ratio(self, pair: int) -> float:
        """Return the ratio of one pair."""
        return float(self.ratios()[pair])

    def unequal(self) -> int | None:
        """Return the first pair with A != C, None if there is none; only where the projectors are known exactly."""
        for pair in range(len(self.first)):
            a, c = self.rational_entries(pair)
            if a != c:
                return pair
        return None

    @abstractmethod
    def ratios(self) -> Array:
        """Return for each pair a positive c_l / c_k that balances it if any does; where it cannot, any number.

        Ratios beyond 1e300 are cut: none outside [1e-290, 1e290] is to be relied on.
        """

    @abstractmethod
    def entry(self, pair: int, first: float = 1.0, second: float = 1.0) -> tuple[list[int], list[float]]:
        """Return the position at which first * A and second * C differ most, and the entries of A and C there.

        With second = 0 that is where A is largest.
        """

    @abstractmethod
    def rational_entries(self, pair: int) -> tuple[list[Any], list[Any]]:
        """Return the entries of A and C as flint rationals; only where ``exact``."""


@dataclass(frozen=True)
class _Block:
    """B_lk as given (dense or sparse) times the factor of player l's response."""

    matrix: Any
    factor: float

    @property
    def size(self) -> float:
        return float(abs(self.matrix).max()) * abs(self.factor)


class LayerPairs(CouplingPairs):
    """Pairs of players with whole blocks as actions.

    Parameters
    ----------
    players : tuple
    couplings : mapping (l, k) -> matrix
        B_lk for distinct players, dense or sparse arrays.
    spaces : mapping player -> DirectionSpace
    factors : mapping player -> float
        What multiplies all B_lk of a player l.
    """

    def __init__(
        self,
        players: tuple[Player, ...],
        couplings: dict[tuple[Player, Player], Any],
        spaces: dict[Player, DirectionSpace],
        factors: dict[Player, float],
    ) -> None:
        self.players = players
        index = {player: i for i, player in enumerate(players)}
        edges = sorted({tuple(sorted((index[target], index[source]))) for target, source in couplings})
        self.first = np.array([i for i, _ in edges], dtype=np.intp)
        self.second = np.array([j for _, j in edges], dtype=np.intp)
        self._spaces = [spaces[player] for player in players]
        self._blocks = {
            (index[target], index[source]): _Block(matrix, factors[target])
            for (target, source), matrix in couplings.items()
        }
        self._views = [self._view(i, j) for i, j in edges]
        self.forward, self.backward = (
            np.array([_share(view[side], view[side + 2]) for view in self._views]) for side in (0, 1)
        )
        spread = [self._spaces[i].rounding + self._spaces[j].rounding for i, j in edges]
        self.rounding = np.array(spread, dtype=float)
        self.exact = all(self._spaces[i].exact for edge in edges for i in edge)
        self.scalar = all(a.shape == (1, 1) for a, *_ in self._views)
        # Projecting rationals takes long; several questions in a row are about one pair.
        self._last: tuple[int, tuple[list[Any], list[Any]]] | None = None
        masked = all(self._spaces[i].mask is not None for edge in edges for i in edge)
        self.unrounded = masked and all(block.factor == 1 for block in self._blocks.values())

    def _view(self, i: int, j: int) -> tuple[Any, Any, float, float]:
        """Return A, C and the sizes of B_lk and B_kl."""
        rows, columns = self._spaces[i], self._spaces[j]
        ahead, back = self._blocks.get((i, j)), self._blocks.get((j, i))
        shape = ahead.matrix.shape if ahead is not None else back.matrix.shape[::-1]  # type: ignore[union-attr]
        a: Any = np.zeros(shape) if ahead is None else _seen(ahead, rows, columns)
        c: Any = np.zeros(shape) if back is None else _seen(back, columns, rows).T
        if hasattr(a, "tocsr") != hasattr(c, "tocsr"):
            a, c = _alike(a), _alike(c)
        return a, c, 0.0 if ahead is None else ahead.size, 0.0 if back is None else back.size

    def mismatch_at(self, first: Array, second: Array) -> Array:
        """Return each pair's mismatch."""
        result = np.zeros(len(self._views))
        for pair, (a, c, size, other) in enumerate(self._views):
            u, v = scaled(first[pair], second[pair], max(size, other))
            scale = max(u * size, v * other)
            result[pair] = float(abs(u * a - v * c).max()) / scale if scale > 0 else 0.0
        return result

    def ratios(self) -> Array:
        """Return |c_p| / |a_p| at the largest entry a_p of A; |C| / |A| where the signs there differ."""
        result = np.ones(len(self._views))
        for pair, (a, c, _, _) in enumerate(self._views):
            row, column = _largest(a)
            x, y = float(a[row, column]), float(c[row, column])
            if x * y <= 0:
                x, y = float(abs(a).max()), float(abs(c).max())
            result[pair] = abs(y / x) if x != 0 and y != 0 else 1.0
        return np.clip(result, *RATIOS)

    def entry(self, pair: int, first: float = 1.0, second: float = 1.0) -> tuple[list[int], list[float]]:
        """Return the position of the largest difference, and both entries."""
        a, c, _, _ = self._views[pair]
        u, v = scaled(first, second, LARGE)
        row, column = _largest(u * a - v * c)
        return [row, column], [float(a[row, column]), float(c[row, column])]

    def unequal(self) -> int | None:
        """Return the first pair with A != C."""
        if not self.unrounded:
            return super().unequal()
        with np.errstate(over="ignore"):
            unequal = (pair for pair, (a, c, _, _) in enumerate(self._views) if abs(a - c).max() > 0)
            return next(unequal, None)

    def rational_entries(self, pair: int) -> tuple[list[Any], list[Any]]:
        """Return the entries of A and C as flint rationals: all, or some that no positive multiple makes equal."""
        if self.unrounded and self._views[pair][0].shape[0] * self._views[pair][0].shape[1] > _MANY:
            weights = (1.0, 0.0), (0.0, 1.0), (self.ratio(pair), 1.0)
            found = [tuple(map(rational, self.entry(pair, *both)[1])) for both in weights]
            if any(a * c < 0 or (a == 0) != (c == 0) or a * d != b * c for a, c in found for b, d in found):
                return [a for a, _ in found], [c for _, c in found]
        i, j = int(self.first[pair]), int(self.second[pair])
        shape = self._views[pair][0].shape
        if self._spaces[i].mask is not None and self._spaces[j].mask is not None:
            return self._stored_entries(i, j, shape)
        if self._last is None or self._last[0] != pair:
            a, c = self._rational(i, j, shape), self._rational(j, i, shape[::-1]).transpose()
            self._last = pair, (a.entries(), c.entries())
        return self._last[1]

    def _stored_entries(self, i: int, j: int, shape: tuple[int, int]) -> tuple[list[Any], list[Any]]:
        """Return the entries where A or C is not zero; they are the data times a factor."""
        from scipy import sparse

        sides: list[dict[tuple[int, int], Any]] = []
        for pair, turned in (((i, j), False), ((j, i), True)):
            block = self._blocks.get(pair, _Block(np.zeros(shape[::-1] if turned else shape), 1.0))
            rows, columns = (self._spaces[index] for index in pair)
            seen = columns.project(rows.project(block.matrix).T).T
            entries = sparse.coo_array(seen.T if turned else seen)
            stored = zip(entries.row.tolist(), entries.col.tolist(), entries.data.tolist(), strict=True)
            factor = rational(block.factor)
            sides.append({(row, column): rational(x) * factor for row, column, x in stored if x != 0})
        ahead, back = sides
        places, none = [*ahead, *(place for place in back if place not in ahead)], rational(0.0)
        return [ahead.get(place, none) for place in places], [back.get(place, none) for place in places]

    def _rational(self, i: int, j: int, shape: tuple[int, int]) -> Any:
        block = self._blocks.get((i, j))
        if block is None:
            return rational_matrix(np.zeros(shape))
        exact = rational_matrix(_dense(block.matrix)) * rational(block.factor)
        left = self._spaces[i].exact_project(exact)
        return self._spaces[j].exact_project(left.transpose()).transpose()


def _seen(block: _Block, rows: DirectionSpace, columns: DirectionSpace) -> Any:
    return columns.project(rows.project(block.matrix * block.factor).T).T


def _share(matrix: Any, size: float) -> float:
    return float(abs(matrix).max()) / size if size > 0 else 0.0


def scaled(u: Any, v: Any, size: Any) -> tuple[Any, Any]:
    """Return weights in proportion, at most 1, or 1/4 where a difference of entries of this size would overflow."""
    largest = np.maximum(u, v) * np.where(size >= LARGE, 4.0, 1.0)
    return u / largest, v / largest


def _largest(matrix: Any) -> tuple[int, int]:
    position = int(abs(matrix).argmax())
    return position // matrix.shape[1], position % matrix.shape[1]


def _dense(matrix: Any) -> Array:
    return np.asarray(matrix.toarray() if hasattr(matrix, "toarray") else matrix, dtype=np.float64)


def _alike(matrix: Any) -> Any:
    """Return a zero array or a sparse array in the form that both sides can take."""
    from scipy import sparse

    return matrix.tocsr() if hasattr(matrix, "tocsr") else sparse.csr_array(matrix)
