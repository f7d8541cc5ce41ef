"""The equation v = W r(v) + b of a game whose responses are separable, continuous and piecewise linear.

Its solutions are the equilibria, x = r(v). Each r_i has finitely many pieces; a *cell* names one piece for each
coordinate, and on it the equation is linear: (I - W D) v = W c + b with r_i(v) = D_i v + c_i. A ring is solved by
elimination to one layer, any other game by a dense system of the coordinates that are not constant on the cell.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nngames.activations import Activation
from nngames.core.errors import NotApplicableError
from nngames.core.exact import fraction, nearest_float, rational
from nngames.core.profiles import Array, Player
from nngames.games import Game, QuadraticGame
from nngames.games.network_game import NetworkGame

Cell = NDArray[np.intp]
#: Systems that are not those of a ring are written out up to this size, and a ring's up to this size of a layer.
DENSE_SIZE = 2000
#: A ring's elimination is repeated as one dense system if it misses the equation by more than this, relative.
_LOST = 1e-8


@dataclass(frozen=True)
class Pieces:
    """The pieces of a scalar response from left to right, in rationals of flint.

    Attributes
    ----------
    breaks : tuple (m,)
        Where the pieces meet, increasing.
    slopes, offsets : tuple (m + 1,)
        r(v) = slope v + offset on each piece.
    """

    breaks: tuple[Any, ...]
    slopes: tuple[Any, ...]
    offsets: tuple[Any, ...]


class PiecewiseEquation:
    """v = W r(v) + b of one game.

    Parameters
    ----------
    game : Game
    nondecreasing : bool
        Whether every response must be so, as the solvers need it and the enumeration does not.

    Attributes
    ----------
    game : Game
    network : Network
    size : int
    bias : ndarray (N,)
    pieces : list of Pieces (N,)
    breaks : ndarray (N, K - 1)
        Infinite where a coordinate has fewer than K pieces.
    slopes, offsets : ndarray (N, K)

    Raises
    ------
    NotApplicableError
        If the game has another form, or is too large for the linear systems.
    """

    def __init__(self, game: Game, nondecreasing: bool = True) -> None:
        if not isinstance(game, NetworkGame | QuadraticGame):
            raise NotApplicableError(f"a {type(game).__name__} is no network and no quadratic game")
        network = game.network
        if not network.linear:
            raise NotApplicableError("a coupling is not linear")
        if not all(weight.has_dense or hasattr(weight, "matrix") for weight in network.weights.values()):
            raise NotApplicableError("a coupling is a map without a matrix, too large to be written out")
        self.game, self.network, self.size = game, network, network.size
        self.ring = _ring(game)
        if self.ring is None and self.size > DENSE_SIZE:
            raise NotApplicableError(
                f"its linear systems have {self.size} unknowns and are written out up to {DENSE_SIZE} only, or on a "
                "ring with a layer of that size"
            )
        self.bias = np.concatenate([network.effective_bias(player) for player in network.players]).astype(np.float64)
        self.pieces: list[Pieces] = []
        for player, n in network.dims.items():
            self.pieces += pieces_of(player, network.activations[player], n, nondecreasing)
        self._write_table()

    def _write_table(self) -> None:
        most = max(len(found.slopes) for found in self.pieces)
        self.breaks = np.full((self.size, max(most - 1, 1)), np.inf)
        self.slopes, self.offsets = np.empty((self.size, most)), np.empty((self.size, most))
        for i, found in enumerate(self.pieces):
            m = len(found.breaks)
            self.breaks[i, :m] = [nearest_float(fraction(x)) for x in found.breaks]
            for table, exact in ((self.slopes, found.slopes), (self.offsets, found.offsets)):
                table[i, : m + 1] = [nearest_float(fraction(x)) for x in exact]
                table[i, m + 1 :] = table[i, m]
        self._rows = np.arange(self.size)

    @cached_property
    def weight(self) -> Array:
        """W as a dense matrix (N, N): of a quadratic game I - Q + B."""
        return self.coupling if self.metric is None else self.coupling + (np.eye(self.size) - self.metric)

    @cached_property
    def coupling(self) -> Array:
        """The network's own weights as a dense matrix (N, N): B of a quadratic game."""
        full, slices = np.zeros((self.size, self.size)), self.network.space.slices
        for (target, source), weight in self.network.weights.items():
            full[slices[target], slices[source]] = weight.dense
        return full

    @cached_property
    def metric(self) -> Array | None:
        """The players' own Q of a quadratic game, block-diagonal; None for a network."""
        game = self.game
        if not isinstance(game, QuadraticGame):
            return None
        full = np.zeros((self.size, self.size))
        for block, where in game.blocks.slices.items():
            own, n = game.own[block].metric, where.stop - where.start
            full[where, where] = np.eye(n) if own is None else np.diag(own) if own.ndim == 1 else own
        return full

    def rational_row(self, i: int) -> list[Any]:
        """Return the row i of W in rationals of flint, as the data define it: of a quadratic game of I - Q + B."""
        row = [rational(x) for x in self.coupling[i].tolist()]
        if self.metric is not None:
            for j in np.flatnonzero(self.metric[i]):
                row[j] -= rational(float(self.metric[i, j]))
            row[i] += 1
        return row

    @property
    def flat_start(self) -> bool:
        """Whether every response is constant to the left."""
        return not self.slopes[:, 0].any()

    @property
    def bounded(self) -> bool:
        """Whether every response is bounded."""
        return self.flat_start and not self.slopes[:, -1].any()

    def cell_of(self, v: Array) -> Cell:
        """Return the cell of v, the left one at a break."""
        return np.sum(v[:, None] > self.breaks, axis=1)

    def slopes_at(self, cell: Cell) -> Array:
        """Return D."""
        return self.slopes[self._rows, cell]

    def offsets_at(self, cell: Cell) -> Array:
        """Return c."""
        return self.offsets[self._rows, cell]

    def drive(self, x: Array) -> Array:
        """Return W x + b by one pass."""
        heard = self.network.joint.preactivations(x)
        return heard if self.metric is None else heard + x - self.metric @ x

    def response(self, v: Array) -> Array:
        """Return r(v)."""
        return self.network.joint.respond(v, np.empty_like(v))

    def settled(self, v: Array) -> Array:
        """Return v with, on a ring, all layers but the last one in line with r: by one pass from r(v) of that layer.

        Off the cell on which v was solved for, deep rings would else leave the outputs that they can have.
        """
        if self.ring is None:
            return v
        result = np.empty_like(v)
        x = self.response(v)[self.ring[-1].where]
        for layer in self.ring:
            heard = layer.weight @ x + self.bias[layer.where]
            result[layer.where] = heard
            x = layer.activation(heard)
        return result

    def solve(self, cell: Cell) -> Array | None:
        """Return the solution v of the cell's linear system; None where it is singular."""
        slopes, offsets = self.slopes_at(cell), self.offsets_at(cell)
        try:
            if self.ring is None:
                v = self._solve_dense(slopes, offsets)
            else:
                v = _solve_ring(self.ring, slopes, offsets, self.bias)
                miss = np.abs(v - self.drive(slopes * v + offsets)).max()
                if not miss <= _LOST * max(1.0, float(np.abs(v).max())) and self.size <= DENSE_SIZE:
                    v = self._solve_dense(slopes, offsets)
        except np.linalg.LinAlgError:
            return None
        return v if np.isfinite(v).all() else None

    def _solve_dense(self, slopes: Array, offsets: Array) -> Array:
        """Solve for the coordinates that vary on the cell; the others follow."""
        heard = self.weight @ offsets + self.bias
        active = np.flatnonzero(slopes)
        if not active.size:
            return heard
        columns = self.weight[:, active] * slopes[active]
        varying = np.linalg.solve(np.eye(active.size) - columns[active], heard[active])
        result = heard + columns @ varying
        result[active] = varying
        return result


def pieces_of(player: Player, activation: Activation, n: int, nondecreasing: bool = True) -> list[Pieces]:
    """Return the pieces of a layer's n responses.

    Raises
    ------
    NotApplicableError
        If the activation is not separable, continuous, piecewise linear and, where asked for, nondecreasing.
    """
    name = f"player {player}: activation {activation.name!r}"
    if not (activation.separable and activation.piecewise_linear):
        raise NotApplicableError(f"{name} is not piecewise linear in each coordinate")
    if not activation.continuous or (nondecreasing and not activation.monotone):
        raise NotApplicableError(f"{name} is not continuous{' and nondecreasing' if nondecreasing else ''}")
    if activation.size is not None:
        form = activation.polyhedral_form(n)
        assert form is not None  # noqa: S101 - what lists values by coordinate here is a box
        return [_clip(low, high) for low, high in zip(form[1].tolist(), form[2].tolist(), strict=True)]
    return [_lines(activation)] * n


def _clip(low: float, high: float) -> Pieces:
    """Return the pieces of v -> min(max(v, low), high)."""
    zero, one = rational(0.0), rational(1.0)
    if low == high:
        return Pieces((), (zero,), (rational(low),))
    ends = [end for end in (low, high) if np.isfinite(end)]
    below = [(zero, rational(low))] if np.isfinite(low) else []
    above = [(zero, rational(high))] if np.isfinite(high) else []
    lines = [*below, (one, zero), *above]
    return Pieces(tuple(map(rational, ends)), tuple(line[0] for line in lines), tuple(line[1] for line in lines))


@lru_cache(maxsize=256)
def _lines(activation: Any) -> Pieces:
    """Return the pieces of a scalar response: the lines through two exact values of each, and where they meet."""
    cuts = _cuts(activation)
    lines: list[tuple[Any, Any]] = []
    for left, right in zip([-np.inf, *cuts], [*cuts, np.inf], strict=True):
        first, second = (rational(x) for x in _inside(left, right))
        values = activation.flint_response_at(first), activation.flint_response_at(second)
        slope = (values[1] - values[0]) / (second - first)
        line = (slope, values[0] - slope * first)
        if not lines or lines[-1] != line:
            lines.append(line)
    breaks = [(before[1] - after[1]) / (after[0] - before[0]) for before, after in pairwise(lines)]
    return Pieces(tuple(breaks), tuple(line[0] for line in lines), tuple(line[1] for line in lines))


def _cuts(activation: Any) -> list[float]:
    """Return where the charts of the slope meet, as floats, increasing."""
    from nngames.core.ball_ranges import as_ball

    ends = set()
    for chart in activation.slope_charts():
        for t, compact in ((chart.lower, -1), (chart.upper, 1)):
            if chart.point is None:
                ends.add(float(t))
            elif t != compact:
                ends.add(float(chart.point(as_ball(t)).mid()))
    return sorted(ends)


def _inside(left: float, right: float) -> tuple[float, float]:
    """Return two points between the ends."""
    if np.isfinite(left) and np.isfinite(right):
        return left + 0.25 * (right - left), left + 0.75 * (right - left)
    if np.isfinite(left):
        far = max(1.0, abs(left))
        return left + far, left + 2 * far
    far = max(1.0, abs(right)) if np.isfinite(right) else 1.0
    end = right if np.isfinite(right) else 0.0
    return end - 2 * far, end - far


@dataclass(frozen=True, eq=False)
class _RingLayer:
    where: slice
    activation: Activation
    weight: Array


def _ring(game: Any) -> list[_RingLayer] | None:
    """Return the layers of a ring in their order, a smallest one last; None for other games."""
    network = game.network
    order = network.ring_order
    if isinstance(game, QuadraticGame) or order is None or len(order) == 1:
        return None
    smallest = min(range(len(order)), key=lambda i: network.dims[order[i]])
    order = (*order[smallest + 1 :], *order[: smallest + 1])
    if network.dims[order[-1]] > DENSE_SIZE or not all(w.has_dense for w in network.weights.values()):
        return None
    slices = network.space.slices
    return [
        _RingLayer(
            slices[player],
            network.activations[player],
            np.asarray(network.weights[player, source].dense, dtype=np.float64),
        )
        for source, player in zip((order[-1], *order[:-1]), order, strict=True)
    ]


def _solve_ring(ring: list[_RingLayer], slopes: Array, offsets: Array, bias: Array) -> Array:
    """Solve the cell's system by elimination: y, the entries of the last layer that vary, determines all layers.

    Each layer is x_l = D_l (W_l x_{l-1} + b_l) + c_l; only rows with D != 0 depend on y.
    """
    last = ring[-1].where
    moving = np.flatnonzero(slopes[last])
    varying: Any = moving
    share: Any = None
    constant = np.where(slopes[last] == 0, offsets[last], 0.0)
    for layer in ring:
        d, rows = slopes[layer.where], np.flatnonzero(slopes[layer.where])
        part = layer.weight[np.ix_(rows, varying)]
        share = d[rows, None] * (part if share is None else part @ share)
        constant = d * (layer.weight @ constant + bias[layer.where]) + offsets[layer.where]
        varying = rows
    y = np.linalg.solve(np.eye(moving.size) - share, constant[moving]) if moving.size else np.empty(0)
    x = np.where(slopes[last] == 0, offsets[last], 0.0)
    x[moving] = y
    v = np.empty_like(bias)
    for layer in ring:
        v[layer.where] = layer.weight @ x + bias[layer.where]
        x = slopes[layer.where] * v[layer.where] + offsets[layer.where]
    return v
