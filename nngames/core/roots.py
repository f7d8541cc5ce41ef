"""Scalar equations, many at once: safeguarded Newton for strictly increasing functions, to the last bits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]
_LARGEST = float(np.finfo(np.float64).max)
#: The bits of -0.0.
_SMALLEST = np.int64(np.iinfo(np.int64).min)


def increasing_root(
    function: Callable[[Array], Array],
    derivative: Callable[[Array], Array],
    start: Array,
    noise: Callable[[Array], Array] | None = None,
) -> Array:
    """Solve function(w) = 0 elementwise for continuous, strictly increasing, unbounded functions.

    Parameters
    ----------
    function, derivative : callable
        Elementwise; the derivative only steers Newton's steps and may be any selection at kinks.
    start : ndarray
        Starting points.
    noise : callable, optional
        Elementwise bound on the rounding error of the function: a value below it counts as 0. Without it a root near
        0 of terms that cancel is sought to digits that the function does not have.

    Returns
    -------
    ndarray
        The roots, to about one unit in the last place of w or of the function's own rounding.

    Notes
    -----
    A bracket is grown by doubling steps, up to the largest floats, then each Newton step that leaves the bracket, does
    not shrink the function value by half, or is long next to w though the ends of the bracket are of different sizes,
    is replaced by bisection; so the number of steps is bounded. Every other bisection halves the floats between the
    ends, not the distance, for roots of any size. Newton's steps approach a root from one side, so one that is at
    rounding level is lengthened to four units, to find the sign change beyond it.
    """
    w = np.array(start, dtype=np.float64)
    value = function(w)
    low, high = _bracket(function, w, value)
    for count in range(200):
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            change = value / derivative(w)
            unit = 8.9e-16 * np.abs(w)
            newton = w - np.where(np.abs(change) < unit, np.copysign(unit, value), change)
        middle = _middle(low, high, count)
        good = (newton > low) & (newton < high)
        candidate = np.where(good, newton, middle)
        updated = function(candidate)
        apart = np.minimum(np.abs(low), np.abs(high)) < 0.0625 * np.maximum(np.abs(low), np.abs(high))
        long = apart & (np.abs(candidate - w) > 0.25 * np.abs(candidate))
        slow = good & ((np.abs(updated) > 0.5 * np.abs(value)) | long)
        candidate = np.where(value == 0, w, candidate)
        updated = np.where(value == 0, value, updated)
        low, high = np.where(updated <= 0, candidate, low), np.where(updated >= 0, candidate, high)
        if slow.any():
            middle = np.where(slow, _middle(low, high, count), candidate)
            at_middle = function(middle)
            low, high = np.where(at_middle <= 0, middle, low), np.where(at_middle >= 0, middle, high)
            better = slow & (np.abs(at_middle) < np.abs(updated))
            candidate, updated = np.where(better, middle, candidate), np.where(better, at_middle, updated)
        settled = np.abs(updated) <= (0.0 if noise is None else noise(candidate))
        done = settled | (high - low <= 2e-16 * np.maximum(np.abs(low), np.abs(high)))
        stuck = np.array_equal(candidate, w)
        w, value = candidate, updated
        if done.all() or stuck:
            break
    return w


def _middle(low: Array, high: Array, count: int) -> Array:
    """Return the middle between the ends; for odd counts of the floats between them."""
    if count % 2 == 0:
        return 0.5 * low + 0.5 * high
    first, second = _ranks(low), _ranks(high)
    rank = (first >> 1) + (second >> 1) + (first & second & 1)
    return np.asarray(np.where(rank < 0, _SMALLEST - np.minimum(rank, 0), rank)).view(np.float64)


def _ranks(w: Array) -> NDArray[np.int64]:
    """Return integers in the order of the floats: their bits, mirrored for negative ones."""
    bits = np.ascontiguousarray(w).view(np.int64).reshape(w.shape)
    return np.where(bits < 0, _SMALLEST - np.minimum(bits, 0), bits)


def _bracket(function: Callable[[Array], Array], w: Array, value: Array) -> tuple[Array, Array]:
    low, high = w.copy(), w.copy()
    step = np.maximum(1.0, np.abs(value))
    for _ in range(1100):
        need_low, need_high = (function(low) > 0) & (low > -_LARGEST), (function(high) < 0) & (high < _LARGEST)
        if not (need_low.any() or need_high.any()):
            break
        with np.errstate(over="ignore"):
            low = np.where(need_low, np.maximum(low - step, -_LARGEST), low)
            high = np.where(need_high, np.minimum(high + step, _LARGEST), high)
            step = 2 * step
    return low, high
