"""Rings of projections: their cycles, under-relaxed cycles, and the points of least squared distances to the sets."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nngames.activations import Activation
from nngames.activations.foundations.projections import SetProjection
from nngames.core.errors import NotApplicableError
from nngames.core.profiles import Array, Player
from nngames.games import Game, NetworkGame
from nngames.networks.linearisation import response_change

#: Steps of a fixed-point iteration; now and then Newton's method tries to finish it.
MOST_STEPS, BETWEEN_TRIES, NEWTON_STEPS = 20_000, 50, 20
#: The residual, relative to max(1, |x|), at which a point counts as found.
SMALL = 1e-12
#: Points are tried around a minimiser, at this distance relative to max(1, |x|), for the least curvature.
NEAR, TRIED = 1e-7, 16
#: A projection's derivative that changes by so much between these points has a jump there, as at the border of a set.
JUMP = 0.1


@dataclass(frozen=True)
class ProjectionRing:
    """Sets C_1, ..., C_m in one space, projected on in turn.

    Attributes
    ----------
    players : tuple
        In the order of the projections.
    sets : tuple of Activation
        P_1, ..., P_m.
    size : int
        The dimension of the space.
    """

    players: tuple[Player, ...]
    sets: tuple[Activation, ...]
    size: int

    @staticmethod
    def of(game: Game) -> ProjectionRing:
        """Return the ring of a game.

        Raises
        ------
        NotApplicableError
            If the game is not that of a ring of at least two projections, each of the layer before, without weights
            and biases.
        """
        if not isinstance(game, NetworkGame) or game.network.ring_order is None or not game.network.linear:
            raise NotApplicableError("the game is not that of a ring")
        network, order = game.network, game.network.ring_order
        assert order is not None  # noqa: S101 - said above
        if len(order) < 2:
            raise NotApplicableError("one set alone has no cycle of projections")
        if game.neurons:  # type: ignore[attr-defined]
            raise NotApplicableError("the players are neurons: use players='layers'")
        for player in order:
            if not isinstance(network.activations[player], SetProjection):
                name = network.activations[player].name
                raise NotApplicableError(
                    f"player {player}'s activation {name!r} is not given as the projection on a set; the sets of ReLU "
                    "and of hard tanh are 'nonnegative' and 'box'"
                )
            if np.any(network.effective_bias(player)):
                raise NotApplicableError(f"player {player} has a bias")
        for (target, _), weight in network.weights.items():
            square = weight.shape[0] == weight.shape[1]
            if not (square and weight.has_dense and np.array_equal(weight.dense, np.eye(weight.shape[0]))):
                raise NotApplicableError(f"player {target} hears the layer before it with a weight, not as it is")
        return ProjectionRing(order, tuple(network.activations[p] for p in order), network.dims[order[0]])

    # Cycles

    def cycle(self, relaxation: float, start: Array, deadline: float) -> tuple[list[Array], float]:
        """Return the points y_1, ..., y_m of a cycle y_i = y_(i-1) + relaxation (P_i y_(i-1) - y_(i-1)), y_0 = y_m,
        and its residual relative to max(1, |y_m|), which says whether it was found; by ``time.monotonic`` the search
        stops at the deadline.
        """

        def passed(x: Array) -> Array:
            return self._turn(relaxation, x)[-1]

        def slope(x: Array) -> Array:
            total = np.eye(self.size)
            for projection, point in zip(self.sets, [x, *self._turn(relaxation, x)[:-1]], strict=True):
                change = response_change(projection, point)(np.eye(self.size)).T
                total = total + relaxation * (change - np.eye(self.size)) @ total
            return total

        x = _fixed_point(passed, slope, start, deadline)
        return self._turn(relaxation, x), _residual(passed, x)

    def _turn(self, relaxation: float, x: Array) -> list[Array]:
        points: list[Array] = []
        for projection in self.sets:
            x = x + relaxation * (projection(x) - x)
            points.append(x)
        return points

    # Least squares

    def least_squares(self, start: Array, deadline: float) -> tuple[Array, float]:
        """Return a point where sum_i d(x, C_i)^2 is least, and its residual |mean P_i x - x| relative to max(1, |x|).

        The sum is convex and differentiable with gradient 2 sum_i (x - P_i x), so that it is least exactly there.
        """
        x = _fixed_point(self._mean, self._mean_slope, start, deadline)
        return x, _residual(self._mean, x)

    def around(self, x: Array, rng: np.random.Generator) -> list[Array]:
        """Return x and points drawn around it."""
        drawn = NEAR * max(1.0, float(np.linalg.norm(x))) * rng.normal(size=(TRIED, self.size))
        return [x, *(x + d for d in drawn)]

    def curvature(self, points: list[Array], deadline: float) -> float | None:
        """Return the least eigenvalue of Id - mean P_i' over the points, in floating point; None if time runs out.

        Where it is positive the minimiser is the only one, as far as the tried points tell.
        """
        least = np.inf
        for point in points:
            if time.monotonic() > deadline:
                return None
            s = self._mean_slope(point)
            least = min(least, float(np.linalg.eigvalsh(np.eye(self.size) - (s + s.T) / 2)[0]))
        return least

    def rate(self, points: list[Array], deadline: float) -> float | None:
        """Return the limit of |y_m - x|/relaxation at the under-relaxed cycles as the relaxation tends to 0.

        With g_i = P_i - Id and s_i = g_1(x) + ... + g_(i-1)(x), a cycle has sum_i g_i(y_(i-1)) = 0 and
        y_(i-1) = y_m + relaxation s_i to first order. Where all P_i are differentiable at the least-squares point x,
        y_m - x = -relaxation (sum g_i')^-1 sum g_i' s_i to first order. None where they are not, as far as the points
        after the first, x, tell, or time runs out.
        """
        x = points[0]
        for projection in self.sets:
            slope = response_change(projection, x)(np.eye(self.size))
            for point in points[1:]:
                if time.monotonic() > deadline:
                    return None
                if np.abs(response_change(projection, point)(np.eye(self.size)) - slope).max() > JUMP / self.size:
                    return None
        total, moved, passed = np.zeros((self.size, self.size)), np.zeros(self.size), np.zeros(self.size)
        for projection in self.sets:
            slope = response_change(projection, x)(np.eye(self.size)).T - np.eye(self.size)
            total, moved = total + slope, moved + slope @ passed
            passed = passed + projection(x) - x
        return float(np.linalg.norm(np.linalg.solve(total, moved)))

    def _mean(self, x: Array) -> Array:
        return np.mean([projection(x) for projection in self.sets], axis=0)

    def _mean_slope(self, x: Array) -> Array:
        changes = [response_change(projection, x)(np.eye(self.size)).T for projection in self.sets]
        return np.mean(changes, axis=0)


def _fixed_point(
    function: Callable[[Array], Array], slope: Callable[[Array], Array], start: Array, deadline: float
) -> Array:
    """Return a fixed point of an averaged map: its own iteration, which Newton's method finishes where it can."""
    x = start
    for step in range(MOST_STEPS):
        if time.monotonic() > deadline:
            break
        if step % BETWEEN_TRIES == 0:
            tried = _newton(function, slope, x, deadline)
            if _residual(function, tried) <= SMALL:
                return tried
        following = function(x)
        if np.array_equal(following, x) or not np.isfinite(following).all():
            break
        x = following
    return x


def _newton(function: Callable[[Array], Array], slope: Callable[[Array], Array], x: Array, deadline: float) -> Array:
    """Return the last point of Newton's method whose residual is less than the one before."""
    miss = _residual(function, x)
    for _ in range(NEWTON_STEPS):
        if time.monotonic() > deadline:
            break
        step = np.linalg.lstsq(np.eye(x.size) - slope(x), function(x) - x, rcond=None)[0]
        tried = _residual(function, x + step)
        if not tried < miss:
            break
        x, miss = x + step, tried
    return x


def _residual(function: Callable[[Array], Array], x: Array) -> float:
    size = float(np.linalg.norm(x))
    # Relative to a size that overflows, any miss would count as none.
    return float(np.linalg.norm(function(x) - x)) / max(1.0, size) if np.isfinite(size) else np.inf
