"""Boxes for equilibria: intervals of actions that the joint map of a game sends into themselves, rounded outwards.

A coordinate's response r has slopes in [s, S], a value r(0) in [c, C] and a range in [a, A], any of them unbounded. So
on [v, V] it stays below min(A, C + max(S V, s V)) and above max(a, c + min(s v, S v)), where it is nondecreasing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from nngames.activations import Activation
from nngames.activations.foundations.domain import BoxDomain, Interval, Simplex
from nngames.certificates.figures import round_down, round_up
from nngames.certificates.residuals import bias_rounding
from nngames.certificates.sectors import response_slopes
from nngames.core.enclosures import Enclosed, outward_floats
from nngames.core.errors import DomainError, NotApplicableError
from nngames.core.profiles import Array, Player
from nngames.games import NetworkGame
from nngames.networks.assembly import assembled_weight

_UNIT = 2.0**-53
_PASSES = 50


@dataclass(frozen=True)
class ResponseBounds:
    """What bounds the responses: for each coordinate, slopes, the value at 0 and the range; infinite where unknown.

    Attributes
    ----------
    low, high : ndarray (N,)
        Of the range.
    at_zero : tuple of ndarray (N,)
        Lower and upper bounds on r(0).
    slopes : tuple of ndarray (N,)
    """

    low: Array
    high: Array
    at_zero: tuple[Array, Array]
    slopes: tuple[Array, Array]

    @classmethod
    def of(cls, game: Any) -> ResponseBounds:
        """Collect the bounds on the responses of a game with couplings."""
        columns = [_bounds(game, player, n) for player, n in game.network.dims.items()]
        low, high, least, most, down, up = (np.concatenate(part) for part in zip(*columns, strict=True))
        return cls(low, high, (least, most), (down, up))

    def image(self, below: Array, above: Array) -> tuple[Array, Array]:
        """Return a box that contains r(v) for every v with below <= v <= above."""
        (c, most), (s, slope) = self.at_zero, self.slopes
        with np.errstate(invalid="ignore", over="ignore"):
            rise = np.maximum(_times(slope, above), _times(s, above))
            fall = np.minimum(_times(slope, below), _times(s, below))
            falling = s < 0
            rise = np.where(falling, np.maximum(rise, np.maximum(_times(slope, below), _times(s, below))), rise)
            fall = np.where(falling, np.minimum(fall, np.minimum(_times(slope, above), _times(s, above))), fall)
            high, low = _up(most + _up(rise)), _down(c + _down(fall))
        high = np.where(np.isnan(high), np.inf, high)
        low = np.where(np.isnan(low), -np.inf, low)
        return np.maximum(low, self.low), np.minimum(high, self.high)


def mapped_box(game: Any) -> tuple[Array, Array] | None:
    """Return a finite box that is mapped into itself and contains every equilibrium; None if none is found.

    Parameters
    ----------
    game : Game
        With linear couplings, of which maps without a matrix leave only the ranges of the responses.
    """
    network, bounds = game.network, ResponseBounds.of(game)
    box = bounds.low, bounds.high
    if all(hasattr(w, "matrix") or w.has_dense for w in network.weights.values()):
        assembled: Any = assembled_weight(network)
        weight, bias = assembled.matrix, bias_bounds(network)
        box = invariant_box(weight, bias, bounds, box)
        if not all(np.isfinite(end).all() for end in box):
            start = growth_box(weight, bias, bounds)
            if start is None:
                return None
            low, high = np.maximum(start[0], bounds.low), np.minimum(start[1], bounds.high)
            box = invariant_box(weight, bias, bounds, (low, high))
    return box if all(np.isfinite(end).all() for end in box) else None


def bias_bounds(network: Any) -> Enclosed:
    """Return the constant parts of all pre-activations, with what the product with a fixed input loses by rounding."""
    players = network.players
    middle = np.concatenate([np.asarray(network.effective_bias(player), dtype=np.float64) for player in players])
    return Enclosed(middle, np.concatenate([bias_rounding(network, player) for player in players]))


def invariant_box(
    weight: Any, bias: Enclosed, bounds: ResponseBounds, start: tuple[Array, Array]
) -> tuple[Array, Array]:
    """Return a box that contains every equilibrium in ``start`` by passing it through x -> r(Wx + b) while it shrinks.

    ``start`` must contain the images of its points. Each image lies in the box before it, so that a box all of whose
    ends are finite is mapped into itself and, T being continuous, contains a fixed point (Brouwer).
    """
    from scipy import sparse

    positive, negative = sparse.csr_array(weight.maximum(0)), sparse.csr_array(weight.minimum(0))
    # A stored zero would make 0 inf of an end that is infinite.
    positive.eliminate_zeros()
    negative.eliminate_zeros()
    low, high = start
    for _ in range(_PASSES):
        below, above = _preactivations(positive, negative, bias, low, high)
        lower, upper = bounds.image(below, above)
        lower, upper = np.maximum(lower, low), np.minimum(upper, high)
        finite = np.isfinite(low) & np.isfinite(high)
        with np.errstate(invalid="ignore"):
            gained = (finite < (np.isfinite(lower) & np.isfinite(upper))) | (
                np.nan_to_num(upper - lower) < 0.999 * np.nan_to_num(high - low)
            )
        low, high = lower, upper
        if not gained.any():
            break
    return low, high


def _preactivations(positive: Any, negative: Any, bias: Enclosed, low: Array, high: Array) -> tuple[Array, Array]:
    """Return bounds on Wx + b over low <= x <= high; W = positive + negative, sparse."""
    terms = int(max(np.diff(positive.indptr).max(initial=0), np.diff(negative.indptr).max(initial=0))) + 8
    return (
        _lower_sum(positive, low, negative, high, np.where(bias.radius > 0, bias.low, bias.middle), terms),
        -_lower_sum(positive, -high, negative, -low, -np.where(bias.radius > 0, bias.high, bias.middle), terms),
    )


def _lower_sum(first: Any, x: Array, second: Any, y: Array, bias: Array, terms: int) -> Array:
    """Return a lower bound on first x + second y + bias; -inf where that is inf - inf."""
    with np.errstate(invalid="ignore", over="ignore"):
        total = first @ x + second @ y + bias
        size = abs(first) @ np.abs(x) + abs(second) @ np.abs(y) + np.abs(bias)
        total = total - 2.1 * terms * _UNIT * size - 1e-290
    return np.where(np.isnan(total), -np.inf, total)


def growth_box(weight: Any, bias: Enclosed, bounds: ResponseBounds) -> tuple[Array, Array] | None:
    """Return a box |x| <= h that contains every equilibrium and is mapped into itself, if growth allows; else None.

    |r(v)| <= a |v| + c with a = 0 where the range of r is bounded and its Lipschitz constant else, so an equilibrium
    has |x| <= N |x| + k with N = diag(a)|W|, k = a|b| + c. With N u <= q u, u > 0 and q < 1 the box h = t u has
    N h + k <= h for t = max_i k_i / ((1 - q) u_i), so T maps it into itself; and (I - N)|x| <= k <= (I - N)h gives
    |x| <= h, the inverse of I - N being nonnegative.
    """
    from scipy import sparse

    from nngames.certificates.perron import contraction_weights

    largest = np.maximum(np.abs(bounds.low), np.abs(bounds.high))
    bounded = np.isfinite(largest)
    gain = np.where(bounded, 0.0, np.maximum(np.abs(bounds.slopes[0]), np.abs(bounds.slopes[1])))
    constant = np.where(bounded, largest, np.maximum(np.abs(bounds.at_zero[0]), np.abs(bounds.at_zero[1])))
    if not (np.isfinite(gain).all() and np.isfinite(constant).all()):
        return None
    with np.errstate(over="ignore"):
        matrix = sparse.csr_array(sparse.diags_array(gain) @ abs(weight) * (1 + 4 * _UNIT))
    if not np.isfinite(matrix.data).all():
        return None
    matrix.eliminate_zeros()
    u, q = contraction_weights(matrix)
    if not q < 1:
        return None
    with np.errstate(over="ignore", invalid="ignore"):
        largest_bias = np.abs(bias.middle) + bias.radius
        needed = (gain * largest_bias + constant) * (1 + 8 * _UNIT) + 1e-290
        reach = float(np.max(needed / u)) / (1 - q) * (1 + 8 * _UNIT)
        h = reach * u * (1 + 4 * _UNIT)
    return (-h, h) if np.isfinite(h).all() else None


def _times(slope: Array, v: Array) -> Array:
    """Return slope * v where a zero slope makes a zero of an infinite v."""
    return np.where(slope == 0, 0.0, np.where(v == 0, 0.0, slope * v))


def _up(x: Array) -> Array:
    return np.nextafter(x, np.inf)


def _down(x: Array) -> Array:
    return np.nextafter(x, -np.inf)


def _bounds(game: Any, player: Player, n: int) -> tuple[Array, ...]:
    """Return (low, high, r(0) below, r(0) above, s, S) of one layer, each (n,)."""
    activation = game.network.activations[player]
    low, high = range_of(activation, n)
    unknown = np.full(n, np.inf)
    slopes, joint = response_slopes(game, player, n)
    zero = _at_zero(activation, n) if activation.separable and not joint else None
    if zero is not None and not isinstance(game, NetworkGame) and game.own[player].metric is not None:
        # Of a cost with a curvature of its own, 0 is the best response to 0 where r(0) = 0.
        zero = None if np.any(zero) else zero
    if zero is None or isinstance(slopes, str):
        return low, high, -unknown, unknown, -unknown, unknown
    down, up = (np.array([rounded(pair) for pair in slopes], dtype=np.float64) for rounded in (_floor, _ceiling))
    return low, high, *zero, *(np.broadcast_to(end, n) for end in (down, up))


def _floor(pair: tuple[Any, Any]) -> float:
    return -round_up(-pair[0]) if pair[0] < 0 else round_down(pair[0])


def _ceiling(pair: tuple[Any, Any]) -> float:
    return round_up(pair[1])


def range_of(activation: Activation, n: int) -> tuple[Array, Array]:
    """Return the ends of a box that contains r(R^n), infinite where none are known."""
    low, high = np.full(n, -np.inf), np.full(n, np.inf)
    if not activation.monotone:
        low[:], high[:] = _whole_range(activation)
        return low, high
    domain = activation.domain
    if isinstance(domain, Simplex):
        return np.zeros(n), np.full(n, float(domain.total))
    if isinstance(domain, Interval | BoxDomain):
        # An end may be the float nearest to it.
        low[:], high[:] = domain.lower, domain.upper
        return _down_unless_whole(low), -_down_unless_whole(-high)
    return low, high


def _whole_range(activation: Activation) -> tuple[float, float]:
    """Return bounds on a separable response over the line, in ball arithmetic; infinite where it gives none."""
    from flint import arb

    if not activation.separable or not activation.defined_everywhere:
        return -math.inf, math.inf
    try:
        ball = arb(activation.flint_response([arb(0, math.inf)])[0])
    except (NotApplicableError, ValueError, ZeroDivisionError):
        return -math.inf, math.inf
    return outward_floats(ball, ball)


def _down_unless_whole(x: Array) -> Array:
    return np.where(np.isfinite(x) & (x != np.round(x)), _down(x), x)


def _at_zero(activation: Activation, n: int) -> tuple[Array, Array] | None:
    """Return bounds (n,) on r(0) from exact or ball arithmetic; None where no such form is known."""
    from flint import arb, fmpq

    try:
        # Only the projection on a box has ends of its own for each coordinate.
        several = isinstance(activation.domain, BoxDomain) if activation.monotone else False
        values = activation.flint_response([fmpq(0)] * (n if several else 1))
    except (NotApplicableError, DomainError):
        return None
    ends = np.array([_enclosed(arb(value)) for value in values], dtype=np.float64)
    if not np.isfinite(ends).all():
        return None
    return np.broadcast_to(ends[:, 0], n), np.broadcast_to(ends[:, 1], n)


def _enclosed(ball: Any) -> tuple[float, float]:
    from flint import arb

    low, high = float(ball.lower()), float(ball.upper())
    if low == high and arb(low) == ball:
        return low, high
    return math.nextafter(low, -math.inf), math.nextafter(high, math.inf)
