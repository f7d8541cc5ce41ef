"""Fenchel-Young gaps in floating point: shared formulas without cancellation, and the bounds on their rounding.

Every formula here is written for exact inputs with stated errors; the constants are generous (NumPy's elementary
functions are good to 4 units in the last place), so that the bounds hold and are not merely typical.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nngames.core.profiles import float_array

Array = NDArray[np.floating[Any]]
Mask = NDArray[np.bool_]

_PRECISIONS = (np.dtype(np.float64), np.dtype(np.float32))
#: Twice the unit roundoff; bounds the relative error of two roundings.
EPS = float(np.finfo(np.float64).eps)
#: Covers gradual underflow of the few operations of one formula.
UNDERFLOW = 1e-320


def floating(values: ArrayLike) -> Array:
    """Return the values as an array, in double precision unless they are float32.

    Raises
    ------
    InputError
        If they are not real numbers.
    """
    if isinstance(values, np.ndarray) and values.dtype in _PRECISIONS:
        return values
    return float_array(values, "the argument")


def wide(values: ArrayLike) -> Array:
    """Return the values in double precision, where a float32 value is exact; raises as ``floating`` does."""
    return np.asarray(floating(values), dtype=np.float64)


def settle(value: Array, error: Array, outside: Mask | None = None) -> tuple[Array, Array]:
    """Return a gap and its error bound: nonnegative, and (inf, 0) where the action is off the domain.

    An error bound that overflow made NaN is no bound: it becomes inf.
    """
    value, error = np.maximum(value, 0.0), np.where(np.isnan(error), np.inf, error + UNDERFLOW)
    if outside is None or not np.any(outside):
        return value, error
    return np.where(outside, np.inf, value), np.where(outside, 0.0, error)


def quadratic(difference: Array, error: Array, weight: float = 1.0) -> tuple[Array, Array]:
    """Return weight * d^2/2 and the bound on its error when d carries at most ``error``."""
    value = (0.5 * weight) * np.square(difference)
    return value, weight * (np.abs(difference) + error) * error + 4 * EPS * value


def odd_tail(y: Array) -> Array:
    """Return atanh(y) - y = y^3/3 + y^5/5 + ... for |y| <= 1/3, to rounding."""
    square = np.square(y)
    total = np.full_like(y, 1 / 37)
    for k in range(35, 1, -2):
        total = total * square + 1 / k
    return total * square * y


def log_excess(t: Array, log1p_t: Array) -> Array:
    """Return h(t) = t - log(1 + t) >= 0 for t > -1, to relative rounding.

    Notes
    -----
    With y = t/(2 + t): h = 2 y^2/(1 - y) - 2 (atanh(y) - y) where |t| <= 1/2; the plain difference elsewhere, where it
    keeps all but a factor of six. ``log1p_t`` is log(1 + t), passed since near t = -1 the caller knows it better.
    """
    near = np.abs(t) <= 0.5
    s = np.where(near, t, 0.0)
    y = s / (2 + s)
    return np.where(near, 2 * np.square(y) / (1 - y) - 2 * odd_tail(y), t - log1p_t)


def exp_excess(v: Array) -> Array:
    """Return e^v - 1 - v, to relative rounding."""
    near = np.abs(v) <= 1
    small = np.where(near, v, 0.0)
    total = np.ones_like(small)
    for k in range(20, 2, -1):
        total = 1.0 + total * small / k
    return np.where(near, 0.5 * np.square(small) * total, np.expm1(v) - v)


def sine_excess(d: Array) -> Array:
    """Return d - sin d to relative rounding."""
    near = np.abs(d) <= 1
    small = np.where(near, d, 0.0)
    square = np.square(small)
    total = np.ones_like(small)
    for k in range(21, 4, -2):
        total = 1.0 - total * square / (k * (k - 1))
    return np.where(near, total * square * small / 6, d - np.sin(d))


def relative_entropy(
    x: Array, p: Array, difference: Array, log_p: Array, error: Array, relative: Array | float = 8 * EPS
) -> tuple[Array, Array]:
    """Return the generalised Kullback-Leibler term x log(x/p) - x + p for x >= 0, p >= 0, and its error bound.

    Parameters
    ----------
    x : ndarray
        Good to four units of relative rounding.
    p, log_p : ndarray
        p, good to the relative error ``relative``, and log p, good to that and its own rounding; log p counts where
        x and p are apart, also where p underflows.
    difference, error : ndarray
        x - p, good to ``error``.
    relative : ndarray or float
        See p.

    Notes
    -----
    With s = (x - p)/p the term is p ((1 + s) log(1 + s) - s); for |s| <= 1/2 and y = s/(2 + s) that is
    p (2/(1 - y)) (y atanh(y) + (atanh(y) - y)), without cancellation. Its derivative in s is p log(1 + s).
    """
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        near = (np.abs(difference) <= 0.5 * p) & (p > 0)
        safe = np.where(near, p, 1.0)
        s = np.where(near, difference, 0.0) / safe
        y = s / (2 + s)
        tail = odd_tail(y)
        close = safe * ((2 / (1 - y)) * (y * (y + tail) + tail))
        close_error = error * (2 * np.abs(s) + 2 * error / safe) + (32 * EPS + 2 * relative) * close
        log_x = np.log(np.where(x > 0, x, 1.0))
        apart = np.where(x > 0, x * (log_x - log_p), 0.0) - difference
        # log x and log p may be large and cancel: their own sizes bound the rounding.
        logs = np.where(x > 0, x * (16 * EPS * (np.abs(log_x) + np.abs(log_p)) + relative), 0.0)
        apart_error = logs + 16 * EPS * (x + p) + error
    return np.where(near, close, apart), np.where(near, close_error, apart_error)


def dilogarithm(w: Array) -> Array:
    """Return -Li2(-e^w), the primitive of log(1 + e^w) that vanishes at -infinity, to relative rounding.

    Notes
    -----
    For w <= -2 the power series in e^w; for w > 0 the inversion w^2/2 + pi^2/6 + Li2(-e^-w).
    """
    from scipy.special import spence

    with np.errstate(over="ignore", under="ignore"):
        q = np.exp(-np.abs(w))
        small = np.where(np.abs(w) >= 2, q, 0.0)
        series = np.zeros_like(q)
        for k in range(18, 0, -1):
            series = (1.0 if k % 2 else -1.0) / k**2 + series * small
        lower = np.where(np.abs(w) >= 2, series * q, -spence(1 + q))
        return np.where(w > 0, 0.5 * np.square(np.maximum(w, 0.0)) + (np.pi**2 / 6 - lower), lower)
