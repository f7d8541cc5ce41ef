"""The curves of activations: sampled finely where they bend, broken where they jump, and cut where they leave a panel.

Nothing here draws.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nngames.activations import Activation, Interval
from nngames.core.errors import NotApplicableError, ShapeError

Array = NDArray[np.floating[Any]]

#: Half the width of a panel's window, unless an activation asks for another.
HALF = 4.0
#: A window is widened for a slope's extreme up to here.
FARTHEST = 12.0
#: Of a curve's height: a step between neighbours larger than this is halved, until it is seen to be a jump.
FINE = 1 / 150
#: Rounds of halving: a step that is still there spans a few units of the last place.
ROUNDS = 46
_POINTS, _MOST = 601, 20_000


@dataclass(frozen=True)
class Curve:
    """Curves over one axis.

    Attributes
    ----------
    x : ndarray (m,)
        With NaN at jumps.
    y : ndarray (m, k)
        One column a curve; NaN at jumps, and where it is beyond the limits.
    lower, upper : float
        The values between which it is shown.
    cuts : tuple of (x, upwards)
        Where a curve leaves the limits.
    """

    x: Array
    y: Array
    lower: float
    upper: float
    cuts: tuple[tuple[float, bool], ...]


def nodes(lower: float, upper: float, open_lower: bool = False, open_upper: bool = False) -> Array:
    """Return a grid of an interval; towards an end that is left out it becomes finer."""
    inner = np.linspace(lower, upper, _POINTS)
    near = (upper - lower) * np.logspace(-9, -3, 25)
    left, right = (lower + near, inner[1:]) if open_lower else ([], inner)
    return np.unique(np.concatenate([left, right[:-1], upper - near] if open_upper else [left, right]))


def trace(function: Callable[[Array], Array], grid: Array, limits: tuple[float, float] | None = None) -> Curve:
    """Sample functions (m,) -> (m,) or (m, k) on a grid and finer; limits are found where none are given."""
    x, y = grid, values_at(function, grid)
    lower, upper = sensible_limits(x, y) if limits is None else limits
    x, y = _refined(function, x, y, lower, upper)
    if (wider := _widened(y, lower, upper)) != (lower, upper):
        lower, upper = wider
        x, y = _refined(function, x, y, lower, upper)
    beyond = [(y < lower), (y > upper)]
    cuts = _cuts(x, beyond)
    shown = np.where(beyond[0] | beyond[1], np.nan, y)
    jumps = np.flatnonzero(_rough(y, lower, upper)) + 1
    return Curve(np.insert(x, jumps, np.nan), np.insert(shown, jumps, np.nan, axis=0), lower, upper, cuts)


def values_at(function: Callable[[Array], Array], x: Array) -> Array:
    """Return the values (m, k) of functions at x (m,)."""
    # Overflow and infinite values are what the limits are for.
    with np.errstate(all="ignore"):
        return np.asarray(function(x), dtype=np.float64).reshape(x.size, -1)


def _refined(function: Callable[[Array], Array], x: Array, y: Array, lower: float, upper: float) -> tuple[Array, Array]:
    """Return more points: where the curves are steep between the limits, down to the last place at a jump."""
    for _ in range(ROUNDS):
        middle = 0.5 * (x[:-1] + x[1:])
        rough = _rough(y, lower, upper) & (middle > x[:-1]) & (middle < x[1:])
        if not rough.any() or x.size > _MOST:
            break
        places = np.flatnonzero(rough) + 1
        x = np.insert(x, places, middle[rough])
        y = np.insert(y, places, values_at(function, middle[rough]), axis=0)
    return x, y


def _rough(y: Array, lower: float, upper: float) -> NDArray[np.bool_]:
    steps = np.abs(np.diff(np.clip(y, lower, upper), axis=0))
    return np.any(steps > FINE * (upper - lower), axis=1)


def _widened(y: Array, lower: float, upper: float) -> tuple[float, float]:
    """Return the limits with room for what a finer grid found a little beyond them."""
    finite, room = y[np.isfinite(y)], 0.1 * (upper - lower)
    least, most = (float(finite.min()), float(finite.max())) if finite.size else (lower, upper)
    return min(lower, least) if least >= lower - room else lower, max(upper, most) if most <= upper + room else upper


def _cuts(x: Array, beyond: list[NDArray[np.bool_]]) -> tuple[tuple[float, bool], ...]:
    """Return where curves pass into what lies beyond the limits, and whether upwards."""
    inside = ~(beyond[0] | beyond[1])
    found = set()
    for upwards in (False, True):
        out = beyond[upwards]
        for i, j in (*np.argwhere(inside[:-1] & out[1:]), *np.argwhere(out[:-1] & inside[1:])):
            found.add((float(x[i] if inside[i, j] else x[i + 1]), upwards))
    return tuple(sorted(found))


def sensible_limits(x: Array, y: Array, flat_room: float = 0.5) -> tuple[float, float]:
    """Return the least and the largest value, without what shoots up on a small part of the axis.

    Where there is one value only, there is room around it.
    """
    even = y[np.searchsorted(x, np.linspace(x[0], x[-1], 400)).clip(0, x.size - 1)]
    finite = y[np.isfinite(y)]
    even = even[np.isfinite(even)]
    if not finite.size or not even.size:
        return (-1.0, 1.0)
    low, high = (float(q) for q in np.quantile(even, (0.03, 0.97)))
    spread = high - low
    least, most = float(finite.min()), float(finite.max())
    if spread > 0:
        least, most = max(least, low - 0.6 * spread), min(most, high + 0.6 * spread)
    if most - least <= 1e-12 * max(abs(most), abs(least)):
        room = flat_room * max(1.0, 0.2 * abs(most))
        return least - room, most + room
    return least, most


def window(a: Activation) -> tuple[float, float]:
    """Return between which v a separable r is drawn: the extremes of its slope and all its bends are inside."""
    low, high = -HALF, HALF
    for end in a.slope_range_exact:
        nearest = 1.15 * float(min(np.ravel(end.pair), key=abs))
        if end.attained and abs(nearest) <= FARTHEST:
            low, high = min(low, nearest), max(high, nearest)
    ends = getattr(a, "inputs", Interval())
    if np.isfinite(ends.lower) or np.isfinite(ends.upper):
        low = max(low, ends.lower) if ends.lower < high else ends.lower
        high = min(high, ends.upper) if ends.upper > low else ends.upper
        if not low < high:
            low, high = (low, low + 2 * HALF) if np.isfinite(ends.lower) else (high - 2 * HALF, high)
        return low, high
    return _bends(a, low, high)


def _bends(a: Activation, low: float, high: float) -> tuple[float, float]:
    """Return a narrower window where r is affine in all but a small part of the given one."""
    v = np.linspace(low, high, 2001)
    slope = np.diff(a(v)) / np.diff(v)
    bent = np.flatnonzero(np.abs(np.diff(slope)) > 1e-6 * (np.abs(slope).max() + 1e-300))
    if bent.size == 0:
        return low, high
    left, right = v[bent[0]], v[bent[-1] + 2]
    if not 0.2 < right - left < 0.3 * (high - low):
        return low, high
    middle, half = 0.5 * (left + right), 1.25 * (right - left)
    return max(low, middle - half), min(high, middle + half)


def length_of(a: Activation) -> int:
    """Return the size of the vectors along which an activation is drawn."""
    if a.size is not None:
        return a.size
    for n in (3, 4):
        try:
            a(np.zeros(n))
        except ShapeError:
            continue
        return n
    raise NotApplicableError(f"activation {a.name!r} takes neither vectors of length 3 nor of length 4")


def direction(a: Activation) -> Array:
    """Return the direction of the line through 0 along which an activation of vectors is drawn.

    e_1, but for a map to another space that is affine there, as products with a gate are: then (1, ..., 1).
    """
    first = np.eye(length_of(a))[0]
    if not a.self_map and np.ptp(first_slopes(a, first, np.linspace(-HALF, HALF, 9))) == 0:
        return np.ones_like(first)
    return first


def first_entries(values: Array) -> Array:
    """Return the first entry of each of the values (m, k) or (m,)."""
    return np.reshape(values, (len(values), -1))[:, 0]


def first_slopes(a: Activation, line: Array, t: Array) -> Array:
    """Return the derivative in t of the first entry of r(t line)."""
    v = np.multiply.outer(t, line)
    return first_entries(a.jvp(v, np.broadcast_to(line, v.shape)))


def eigenvalues(a: Activation, v: Array) -> Array:
    """Return the eigenvalues (m, n) of the Jacobians of r at v, of their symmetric parts if they are not symmetric."""
    matrices = np.stack([a.jvp(v, np.broadcast_to(e, v.shape)) for e in np.eye(v.shape[1])], axis=-1)
    return np.linalg.eigvalsh(0.5 * (matrices + np.swapaxes(matrices, 1, 2)))
