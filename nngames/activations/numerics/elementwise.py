"""Elementwise functions of large arrays, block by block, so that temporaries stay in the cache."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from nngames.activations.numerics.rounding import Array

#: Entries of a block: a few temporaries of this size fit into a core's second-level cache.
BLOCK = 32768

#: For each precision a v for which e^v is large and finite.
EXPONENT_CAP = {np.dtype(np.float64): 700.0, np.dtype(np.float32): 85.0}

#: A function (v, out) -> result that fills ``out``, if given, which may be v itself.
Kernel = Callable[[Array, Array | None], Array]


def blockwise(kernel: Kernel, v: Array, out: Array | None) -> Array:
    """Return kernel(v, out), done block by block where v is large and both arrays are contiguous."""
    if v.size <= BLOCK or not v.flags.c_contiguous:
        return kernel(v, out)
    result = np.empty_like(v) if out is None else out
    if not result.flags.c_contiguous or result.shape != v.shape:
        return kernel(v, out)
    flat, filled = v.reshape(-1), result.reshape(-1)
    for start in range(0, flat.size, BLOCK):
        kernel(flat[start : start + BLOCK], filled[start : start + BLOCK])
    return result


def scaled(values: Array, factor: float, out: Array | None = None) -> Array:
    """Return factor * values, the values themselves for 1; overflow is silent where it can happen."""
    if factor == 1:
        return values
    if abs(factor) <= 1:
        return np.multiply(values, factor, out=out)
    with np.errstate(over="ignore"):
        return np.multiply(values, factor, out=out)


def logistic_share(v: Array, out: Array | None = None) -> Array:
    """Return 1/(1 + e^-v) to relative rounding; faster on blocks than SciPy's expit."""
    # e/(1 + e) with e = e^v keeps the tail on the left; on the right it is 1 long before e^v overflows.
    e = np.asarray(np.minimum(v, EXPONENT_CAP[v.dtype]))
    np.exp(e, out=e)
    return np.divide(e, 1 + e, out=out)


def gated(v: Array, w: Array, out: Array | None = None, least: float | None = None) -> Array:
    """Return v/(1 + e^-w) to relative rounding, also where e^w underflows and the result does not.

    ``least`` is the least entry of w or a lower one, if it is known.
    """
    if (np.min(w, initial=0.0) if least is None else least) >= -EXPONENT_CAP[w.dtype]:
        e = np.asarray(np.exp(-w))
        e += e.dtype.type(1.0)
        return np.divide(v, e, out=out)
    with np.errstate(over="ignore"):
        share = v / (1 + np.exp(-w))
    # np.where is slow: it is left to blocks that need it.
    half = np.exp(0.5 * np.minimum(w, 0.0))
    return np.positive(np.where(w < -EXPONENT_CAP[w.dtype], v * half * half, share), out=out)


def hypotenuse(v: Array, width: float) -> Array:
    """Return sqrt(v^2 + width^2) for width >= 0; faster than NumPy's hypot wherever no square overflows or vanishes."""
    limits = np.finfo(v.dtype)
    with np.errstate(over="ignore"):
        square = np.asarray(np.square(v))
    own = width * width
    safe = limits.tiny / limits.eps < own < limits.max / 4
    if not safe or not square.max(initial=0.0) < limits.max / 2:
        return np.hypot(v, v.dtype.type(width))
    square += square.dtype.type(own)
    return np.sqrt(square, out=square)


def stored(values: Array, out: Array | None) -> Array:
    """Return the values, in ``out`` if given."""
    if out is None:
        return values
    out[...] = values
    return out
