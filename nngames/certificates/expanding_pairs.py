"""Expanding pairs: two points that the composite map brings no closer, proved in rationals or in balls."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from nngames.certificates.figures import round_down
from nngames.core.ball_ranges import working_precision
from nngames.core.errors import NNGamesError
from nngames.core.exact import fraction, rational_matrix
from nngames.core.profiles import Array
from nngames.networks import Network

_PRECISION = 300
# Weights with more entries are not multiplied in exact arithmetic, and not more pairs are.
_MOST_ENTRIES, _MOST_CHECKS = 300_000, 12
#: After how many passes from zero a point is tried.
_PASSES = (0, 1, 3, 10, 40)
_STEPS = (1.0, 2.0**-6, 2.0**-16)
_FARTHEST = 1e8


@dataclass(frozen=True)
class ExpandingPair:
    """Points x, y with |O(x) - O(y)|^2 >= (1 + growth) |x - y|^2, growth >= 0, and O(x) - O(y) != x - y."""

    points: tuple[Array, Array]
    growth: float
    method: str


def unaveraged_pair(game: Any) -> ExpandingPair | None:
    """Return two points that no averaged map can have, found by singular vectors of Jacobians and proved; or None."""
    network = game.network
    entries = sum(math.prod(weight.shape) for weight in network.weights.values())
    if entries > _MOST_ENTRIES or not all(weight.has_dense for weight in network.weights.values()):
        return None
    try:
        with working_precision(_PRECISION):
            return _first_proved(game, islice(_candidates(game), _MOST_CHECKS))
    except NNGamesError:
        # An activation without a ball form, or one that is not defined where the search came to.
        return None


def _first_proved(game: Any, candidates: Iterator[tuple[Array, Array]]) -> ExpandingPair | None:
    balls = _Evaluation(game.network, exact=False)
    exact = all(activation.piecewise_linear for activation in game.network.activations.values())
    rationals: _Evaluation | None = None
    for x, y in candidates:
        excess, before, _ = balls.excess(x, y)
        if excess > 0:
            # Points that grow apart have O(x) - O(y) != x - y.
            growth = max(0.0, math.nextafter(float((excess / before).lower()), 0.0))
            return ExpandingPair((x, y), growth, f"ball arithmetic of {_PRECISION} bits")
        if exact and not excess < 0:
            rationals = rationals or _Evaluation(game.network, exact=True)
            excess, before, same = rationals.excess(x, y)
            if excess >= 0 and not same:
                return ExpandingPair((x, y), round_down(fraction(excess / before)), "exact rational arithmetic")
    return None


def _candidates(game: Any) -> Iterator[tuple[Array, Array]]:
    """Yield pairs whose images are at least as far apart, up to rounding."""
    view = game.fixed_point("composite")
    rng = np.random.default_rng(0)
    x = np.zeros(view.size)
    for k in range(max(_PASSES) + 1):
        if k:
            x = np.array(view.evaluate(x, np.empty_like(x)))
        if not (np.abs(x) <= _FARTHEST).all():
            return
        if k not in _PASSES:
            continue
        jacobian = np.asarray(view.linearise(x)(np.eye(view.size))).T
        with np.errstate(over="ignore", invalid="ignore"):
            gram = jacobian.T @ jacobian
        if not np.isfinite(gram).all():
            return
        values, vectors = np.linalg.eigh(gram)
        if values[-1] < 1 - 1e-9:
            continue
        # Where many directions keep their length, rounding decides which of them do not lose any.
        drawn = rng.standard_normal((view.size, 3)) if values[0] > 1 - 1e-9 else np.empty((view.size, 0))
        for direction in np.hstack([vectors[:, :-3:-1], np.eye(view.size)[:, :1], drawn]).T:
            for step in _STEPS:
                y = x + step * direction / np.linalg.norm(direction)
                images = [np.array(view.evaluate(point, np.empty_like(x))) for point in (x, y)]
                if np.linalg.norm(images[1] - images[0]) >= np.linalg.norm(y - x) * (1 - 1e-12):
                    yield x.copy(), y
                    break


class _Evaluation:
    """O in balls or, where it is piecewise affine, in rationals."""

    def __init__(self, network: Network, exact: bool) -> None:
        order = network.ring_order or ()
        self._matrix = rational_matrix if exact else _ball_matrix
        self._layers: list[tuple[Any, Any, Any]] = []
        for player, source in zip(order, (order[-1], *order[:-1]), strict=True):
            weight = self._matrix(network.weights[player, source].dense)
            bias = self._matrix(np.asarray(network.effective_bias(player)).reshape(-1, 1))
            self._layers.append((weight, bias, network.activations[player]))

    def excess(self, x: Array, y: Array) -> tuple[Any, Any, bool]:
        """Return |O(x) - O(y)|^2 - |x - y|^2, |x - y|^2, and whether O(x) - O(y) and x - y are the same numbers."""
        start = self._matrix(x.reshape(-1, 1)) - self._matrix(y.reshape(-1, 1))
        change = self._image(x) - self._image(y)
        before, after = ((d.transpose() * d)[0, 0] for d in (start, change))
        return after - before, before, start == change

    def _image(self, point: Array) -> Any:
        value = self._matrix(point.reshape(-1, 1))
        for weight, bias, activation in self._layers:
            answer = activation.flint_response((weight * value + bias).entries())
            value = type(weight)(len(answer), 1, list(answer))
        return value


def _ball_matrix(matrix: Array) -> Any:
    from flint import arb_mat

    return arb_mat(*matrix.shape, np.asarray(matrix, dtype=np.float64).ravel().tolist())
