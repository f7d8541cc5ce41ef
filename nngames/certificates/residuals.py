"""Values and residuals of maps with their rounding: T(x) enclosed, upper bounds on |R(x) - x|, by coordinate."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from nngames.core.ball_ranges import working_precision
from nngames.core.enclosures import Enclosed, enclosed
from nngames.core.errors import NNGamesError
from nngames.core.operators import LinearMap
from nngames.core.profiles import Array
from nngames.games import Game, NetworkGame

_UNIT = 2.0**-53
_LEAST = 5e-324
_BITS = 80
#: Beyond so many coordinates responses are not evaluated in balls.
BALL_COORDINATES = 20_000
# Where a response has no ball form, it is taken to be computed within so many units of rounding.
_RESPONSE_UNITS = 64


@dataclass(frozen=True, eq=False)
class Residual:
    """Upper bounds on |R(x) - x|.

    Attributes
    ----------
    size : ndarray (n,)
        By coordinate.
    enclosed : bool
        Whether all rounding is in them: that of sums by its bound, that of responses by ball arithmetic. If not, the
        responses are taken to be computed within some units of rounding, times the condition of a linear system.
    """

    size: Array
    enclosed: bool


def joint_residual(game: Any, x: Array) -> Residual:
    """Return bounds on |R(x) - x| for the joint map, or the best-response map of a game without a network."""
    parts = game.network.space.slices if _has_matrices(game) else {}
    if not parts:
        return _as_computed(game, "joint", x)
    size, certain = np.empty_like(x), True
    known = {player: Enclosed(x[where], np.zeros_like(x[where])) for player, where in parts.items()}
    for player, where in parts.items():
        answer, proved = _answer(game.network, player, known)
        size[where] = _distance(answer, x[where])
        certain &= proved
    return Residual(size, certain)


def composite_residual(game: Any, x: Array) -> Residual:
    """Return bounds on |O(x_L) - x_L| for the composite map of a ring, at the last layer of the profile x."""
    network = game.network
    if not _has_matrices(game):
        return _as_computed(game, "composite", x)
    order, certain = network.ring_order, True
    last = x[network.space.slices[order[-1]]]
    known = {order[-1]: Enclosed(last, np.zeros_like(last))}
    for player in order:
        answer, proved = _answer(network, player, known)
        known = {player: answer}
        certain &= proved
    return Residual(_distance(answer, last), certain)


def joint_values(network: Any, x: Array) -> tuple[Array, Array, bool]:
    """Return bounds low <= T(x) <= high of a linear network with stored weights, and whether they are proved."""
    known = {player: Enclosed(x[where], np.zeros_like(x[where])) for player, where in network.space.slices.items()}
    answers = [_answer(network, player, known) for player in network.players]
    low, high = (np.concatenate([getattr(answer, end) for answer, _ in answers]) for end in ("low", "high"))
    return low, high, all(proved for _, proved in answers)


def bias_rounding(network: Any, player: Any) -> Array:
    """Return a bound on the rounding of a player's effective bias: of the product with a fixed input, else 0."""
    bias = np.asarray(network.effective_bias(player), dtype=np.float64)
    weight = network.input_weight if network.input is not None and player == network.players[0] else None
    if weight is None:
        return np.zeros_like(bias)
    if not (hasattr(weight, "matrix") or weight.has_dense):
        return np.full_like(bias, np.inf)
    size = abs(_matrix(weight)) @ np.abs(np.asarray(network.input, dtype=np.float64)) + np.abs(network.biases[player])
    terms = weight.shape[1] + 3
    # A network in single precision rounds by that.
    unit = float(np.finfo(network.effective_bias(player).dtype).eps) / 2
    return np.asarray(1.01 * terms * unit * size * (1 + 4 * terms * _UNIT) + terms * _LEAST)


def _has_matrices(game: Game) -> bool:
    return (
        isinstance(game, NetworkGame)
        and game.network.linear
        and all(hasattr(weight, "matrix") or weight.has_dense for weight in game.network.weights.values())
    )


def _as_computed(game: Game, kind: str, x: Array) -> Residual:
    view = game.fixed_point(kind)
    start = np.array(view.restrict(x))
    answer = np.array(view.evaluate(start, np.empty_like(start)))
    rounding = _RESPONSE_UNITS * _UNIT * (np.abs(answer) + np.abs(start) + _magnified(game, answer))
    return Residual(np.abs(answer - start) + rounding, enclosed=False)


def _magnified(game: Any, answer: Array) -> Array:
    """Return the size of each block's answer times the condition number of the own metric it was solved with, or 0."""
    size = np.zeros_like(answer)
    for block, cost in getattr(game, "own", {}).items():
        if cost.metric is not None and cost.metric.ndim == 2:
            where = game.blocks.slices[block]
            largest = float(np.abs(answer[where]).max())
            size[where] = largest * answer[where].size * float(np.linalg.cond(cost.metric))
    return size


def _distance(answer: Enclosed, x: Array) -> Array:
    return np.asarray((np.abs(answer.middle - x) + answer.radius) * (1 + 4 * _UNIT) + _LEAST)


def _answer(network: Any, player: Any, known: dict[Any, Enclosed]) -> tuple[Enclosed, bool]:
    """Return the response of one layer to vectors known up to a radius, and whether it is proved."""
    bias = np.asarray(network.effective_bias(player), dtype=np.float64)
    heard, size, spread, terms = bias.copy(), np.abs(bias), np.zeros_like(bias), 2
    for (target, source), weight in network.weights.items():
        if target != player:
            continue
        matrix, given = _matrix(weight), known[source]
        absolute = abs(matrix)
        heard = heard + matrix @ given.middle
        size = size + absolute @ np.abs(given.middle)
        spread = spread + absolute @ given.radius
        terms += matrix.shape[1] + 1
    # |fl(v) - v| <= gamma_k (|W||x| + |b|) in every order of summation [Rump 2011], and half a subnormal a product.
    radius = (1.01 * terms * _UNIT * size + spread) * (1 + 4 * terms * _UNIT) + terms * _LEAST
    radius = radius + bias_rounding(network, player)
    return _responses(network.activations[player], Enclosed(heard, radius))


def _matrix(weight: LinearMap) -> Any:
    return (weight.matrix if hasattr(weight, "matrix") else weight.dense).astype(np.float64)


def _responses(activation: Any, heard: Enclosed) -> tuple[Enclosed, bool]:
    if heard.middle.size <= BALL_COORDINATES and np.isfinite(heard.middle).all() and np.isfinite(heard.radius).all():
        try:
            return _in_balls(activation, heard), True
        except NNGamesError:
            # The activation has no ball form.
            pass
    middle = np.asarray(activation(heard.middle), dtype=np.float64)
    moved = activation.lipschitz * heard.radius if math.isfinite(activation.lipschitz) else np.zeros_like(middle)
    return Enclosed(middle, moved * (1 + 4 * _UNIT) + _RESPONSE_UNITS * _UNIT * np.abs(middle)), False


def _in_balls(activation: Any, heard: Enclosed) -> Enclosed:
    from flint import arb

    with working_precision(_BITS):
        balls = [arb(m, r) for m, r in zip(heard.middle.tolist(), heard.radius.tolist(), strict=True)]
        return enclosed(activation.flint_response(balls))
