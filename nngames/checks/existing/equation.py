"""The equation x = r(Ax + b) whose roots are a game's equilibria, evaluated with proved bounds.

A = W for the game of a network. Where a player's own cost has a curvature Q_l of its own, x_l minimises
f_l(z) + z'Q_l z/2 - <z, u_l> iff x_l = r_l(x_l - Q_l x_l + u_l), the prox of f_l being r_l; so A = W + I - Q there.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from nngames.activations.foundations.domain import BoxDomain, Interval
from nngames.activations.foundations.projections import SetProjection
from nngames.activations.foundations.scalar import ScalarActivation
from nngames.activations.foundations.slope_enclosures import SlopeEnclosure
from nngames.activations.rectifiers import Relu
from nngames.core.enclosures import Enclosed, enclosed
from nngames.core.errors import DomainError
from nngames.core.profiles import Array, Player
from nngames.games import CoupledGame, Game, NetworkGame, TrackingGame
from nngames.networks.assembly import assembled_weight
from nngames.networks.rational_bias import rational_bias

#: Larger systems are not written out as matrices of balls.
MOST_COORDINATES = 1000
_UNIT = 2.0**-53
_BITS = 192
_RANGE_BITS = 64


def equation_reason(game: Game) -> str | None:
    """Return why the equilibria of a game are not the roots of x = r(Ax + b) with known bounds; None if they are."""
    if not isinstance(game, CoupledGame | TrackingGame):
        return f"no equation x = r(Ax + b) is known for a {type(game).__name__}"
    if not game.network.linear:
        return "a coupling is not linear"
    if not all(weight.has_dense for weight in game.network.weights.values()):
        return "a coupling is too large to be written out"
    if game.size > MOST_COORDINATES:
        return f"it has {game.size} coordinates; at most {MOST_COORDINATES} are written out"
    for player, activation in game.network.activations.items():
        if not activation.continuous:
            return f"the response of {player}, {activation.name!r}, is not continuous"
    return None


class EquilibriumEquation:
    """x = r(Ax + b), its residual and its slopes with bounds.

    Parameters
    ----------
    game : Game
        One for which ``equation_reason`` is None.

    Attributes
    ----------
    matrix, error : ndarray (N, N)
        A, and a componentwise bound on what floats lose of it.
    absolute : ndarray (N, N)
        An upper bound on |A|.
    """

    def __init__(self, game: Any) -> None:
        self.game = game
        assembled: Any = assembled_weight(game.network)
        self.weight = np.asarray(assembled.matrix.toarray(), dtype=np.float64)
        self.metrics: dict[Player, Array] = {}
        if not isinstance(game, NetworkGame):
            metrics = {block: own.metric for block, own in game.own.items() if own.metric is not None}
            self.metrics = {block: np.diag(q) if q.ndim == 1 else q for block, q in metrics.items()}
        self.matrix, self.error = self.weight.copy(), np.zeros_like(self.weight)
        for block, q in self.metrics.items():
            where = game.network.space.slices[block]
            identity = np.eye(len(q))
            # Q - I is rounded once, its sum with W again.
            self.matrix[where, where] += identity - q
            self.error[where, where] = 3 * _UNIT * (identity + np.abs(q) + np.abs(self.weight[where, where]))
        self.absolute = np.abs(self.matrix) + self.error

    @property
    def size(self) -> int:
        """The number of coordinates."""
        return len(self.matrix)

    @property
    def separable(self) -> bool:
        """Whether every response acts on each coordinate alone, so that ``slopes`` is known."""
        return all(a.separable for a in self.game.network.activations.values())

    # At a point

    def preactivations(self, x: Array) -> list[Any]:
        """Return balls around Ax + b at the floats x."""
        from flint import arb, ctx

        with ctx.workprec(_BITS):
            point = _column(x)
            total = (self._weight_balls * point + self._bias).entries()
            for block, metric in self._metric_balls.items():
                where = self.game.network.space.slices[block]
                own = _column(x[where])
                move = (own - metric * own).entries()
                total[where] = [arb(a) + b for a, b in zip(total[where], move, strict=True)]
            return list(total)

    def residual(self, x: Array, v: list[Any]) -> Enclosed:
        """Return bounds on x - r(v), v the pre-activations of x.

        Raises
        ------
        NotApplicableError
            If no ball form of a response is known.
        DomainError
            If a response is not defined there.
        """
        from flint import arb, ctx

        with ctx.workprec(_BITS):
            balls = [arb(t) - arb(r) for t, r in zip(x.tolist(), self.responses(v), strict=True)]
            return enclosed(balls)

    def responses(self, v: list[Any]) -> list[Any]:
        """Return r at balls."""
        result: list[Any] = []
        for block, where in self.game.network.space.slices.items():
            activation = self.game.network.activations[block]
            if isinstance(activation, ScalarActivation) and not activation.defined_everywhere:
                ends = activation.inputs
                if not all(t > ends.lower and t < ends.upper for t in v[where]):
                    raise DomainError(f"player {block}: activation {activation.name!r} is not defined there")
            result += activation.flint_response(v[where])
        return result

    # On boxes

    def spread(self, v: Enclosed, radii: Array) -> Enclosed:
        """Return the pre-activations of all points within ``radii`` of the one that has v."""
        n = self.size
        reach = (self.absolute @ radii) * (1 + 4 * (n + 2) * _UNIT) + 1e-290
        return Enclosed(v.middle, (v.radius + reach) * (1 + 4 * _UNIT))

    def slopes(self, v: Enclosed) -> tuple[Array, Array]:
        """Return bounds on each coordinate's difference quotients of r over all pairs of pre-activations."""
        low, high = v.low, v.high
        least, most = np.empty(self.size), np.empty(self.size)
        for block, where in self.game.network.space.slices.items():
            activation = self.game.network.activations[block]
            ends = _clipped_at(activation)
            if ends is not None:
                # What touches an end has both slopes, the float being perhaps the nearest one only.
                outside = (high[where] < np.nextafter(ends[0], -np.inf)) | (low[where] > np.nextafter(ends[1], np.inf))
                inside = (low[where] > np.nextafter(ends[0], np.inf)) & (high[where] < np.nextafter(ends[1], -np.inf))
                least[where], most[where] = np.where(inside, 1.0, 0.0), np.where(outside, 0.0, 1.0)
                continue
            enclosure = self._enclosures[block]
            inputs = activation.inputs if isinstance(activation, ScalarActivation) else None
            for i in range(where.start, where.stop):
                if inputs is not None and not (inputs.lower < low[i] and high[i] < inputs.upper):
                    least[i], most[i] = -np.inf, np.inf
                else:
                    least[i], most[i] = enclosure(float(low[i]), float(high[i]))
        return least, most

    def response_range(self, v: Enclosed) -> tuple[Array, Array]:
        """Return bounds on r over boxes of pre-activations, for separable responses that are defined there."""
        from flint import arb, ctx

        low, high = v.low, v.high
        with ctx.workprec(_RANGE_BITS):
            rising = {block: a.slope_range[0] >= 0 for block, a in self.game.network.activations.items()}
            first, last = (enclosed(self.responses([arb(t) for t in end.tolist()])) for end in (low, high))
            down, up = np.minimum(first.low, last.low), np.maximum(first.high, last.high)
            if not all(rising.values()):
                # A ball of the whole interval, for the coordinates on which r is not monotone.
                boxes = [arb(a).union(arb(b)) for a, b in zip(low.tolist(), high.tolist(), strict=True)]
                whole = enclosed(self.responses(boxes))
                mean_low, mean_high = self._mean_value_range(low, high)
                for block, where in self.game.network.space.slices.items():
                    if not rising[block]:
                        down[where] = np.maximum(whole.low, mean_low)[where]
                        up[where] = np.minimum(whole.high, mean_high)[where]
        return down, up

    def _mean_value_range(self, low: Array, high: Array) -> tuple[Array, Array]:
        """Return r(m) -+ s rad, m the middles of intervals and s their steepest slopes."""
        from flint import arb

        middle = low + 0.5 * (high - low)
        value = enclosed(self.responses([arb(t) for t in middle.tolist()]))
        least, most = self.slopes(Enclosed(middle, np.nextafter(np.maximum(high - middle, middle - low), np.inf)))
        reach = np.maximum(np.abs(least), np.abs(most)) * np.nextafter(high - middle, np.inf) * (1 + 8 * _UNIT) + 1e-290
        return np.nextafter(value.low - reach, -np.inf), np.nextafter(value.high + reach, np.inf)

    @cached_property
    def _enclosures(self) -> dict[Player, SlopeEnclosure]:
        return {block: SlopeEnclosure(a) for block, a in self.game.network.activations.items()}

    @cached_property
    def _weight_balls(self) -> Any:
        from flint import arb_mat

        return arb_mat(self.size, self.size, self.weight.ravel().tolist())

    @cached_property
    def _bias(self) -> Any:
        from flint import arb, arb_mat, ctx

        network = self.game.network
        with ctx.workprec(_BITS):
            exact = [arb(b) for block in network.players for b in rational_bias(network, block)]
            return arb_mat(len(exact), 1, exact)

    @cached_property
    def _metric_balls(self) -> dict[Player, Any]:
        from flint import arb_mat

        return {block: arb_mat(len(q), len(q), q.ravel().tolist()) for block, q in self.metrics.items()}


def _clipped_at(activation: Any) -> tuple[Array, Array] | None:
    """Return between which ends a response is the identity, constant beyond; None for another one."""
    if isinstance(activation, Relu) and (activation.slope, activation.bias) == (1, 0):
        return np.array(0.0), np.array(np.inf)
    if isinstance(activation, SetProjection) and isinstance(activation.domain, BoxDomain | Interval):
        return np.asarray(activation.domain.lower), np.asarray(activation.domain.upper)
    return None


def _column(values: Array) -> Any:
    from flint import arb_mat

    return arb_mat(len(values), 1, [float(value) for value in values])
