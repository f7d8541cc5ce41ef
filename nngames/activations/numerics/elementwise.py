"""Elementwise functions of large arrays, block by block, so that temporaries stay in the cache."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from nngames.activations.numerics.rounding import Array

#: Entries of a block: a few temporaries of this size fit into a core's second-level cache.
BLOCK = 32768

#: From so many entries on NumPy's clip takes less time than its maximum of an array and a number.
LONG_MAXIMUM = 2048

#: For each precision a v for which e^v is large and finite.
EXPONENT_CAP: dict[np.dtype[Any], float] = {np.dtype(np.float64): 700.0, np.dtype(np.float32): 85.0}

#: That and 1 as arrays, which small arrays meet in less time than numbers.
_CAP_AND_ONE = {kind: (np.array(cap, kind), np.array(1, kind)) for kind, cap in EXPONENT_CAP.items()}

#: The largest float of each precision.
LARGEST = {kind: float(np.finfo(kind).max) for kind in EXPONENT_CAP}

#: By precision: bounds between which a square is ordinary, and that of the other square in a sum.
_SQUARES = {
    kind: (float(t.tiny / t.eps), float(t.max / 4), float(t.max / 2))
    for kind, t in ((kind, np.finfo(kind)) for kind in EXPONENT_CAP)
}

#: A function (v, out) -> result that fills ``out``, if given, which may be v itself.
Kernel = Callable[[Array, Array | None], Array]


def blockwise(kernel: Kernel, v: Array, out: Array | None) -> Array:
    """Return kernel(v, out), done block by block where v is large and both arrays are contiguous.

    ``out`` may be v, or overlap it in any other way: then v is copied first.
    """
    if out is not None and out is not v and np.may_share_memory(v, out) and not _same_entries(v, out):
        v = v.copy()
    if v.size <= BLOCK or not v.flags.c_contiguous:
        return kernel(v, out)
    result = np.empty_like(v) if out is None else out
    if not result.flags.c_contiguous or result.shape != v.shape:
        return kernel(v, out)
    flat, filled = v.reshape(-1), result.reshape(-1)
    for start in range(0, flat.size, BLOCK):
        kernel(flat[start : start + BLOCK], filled[start : start + BLOCK])
    return result


def _same_entries(v: Array, out: Array) -> bool:
    """Return whether each entry of v is the one of out at the same place, or the two share none."""
    if v.ctypes.data == out.ctypes.data and v.shape == out.shape and v.strides == out.strides and v.dtype == out.dtype:
        return True
    return not np.shares_memory(v, out)


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
    cap, one = _CAP_AND_ONE[v.dtype]
    e = np.asarray(np.minimum(v, cap))
    np.exp(e, e)
    total = np.asarray(e + one)
    return np.divide(e, total, total) if out is None else np.divide(e, total, out)


def gated(v: Array, w: Array, out: Array | None = None, least: float | None = None) -> Array:
    """Return v/(1 + e^-w) to relative rounding, also where e^w underflows and the result does not.

    Where w is -infinity it is a zero with the sign of v, also for infinite v. ``least`` is the least entry of w or a
    lower one, if it is known.
    """
    if (np.min(w, initial=0.0) if least is None else least) >= -EXPONENT_CAP[w.dtype]:
        e = np.asarray(np.exp(-w))
        e += e.dtype.type(1.0)
        return np.divide(v, e, out=out)
    # np.where is slow: it is left to blocks that need it.
    left, largest = w < -EXPONENT_CAP[w.dtype], LARGEST[v.dtype]
    v = np.where(left, np.minimum(np.maximum(v, -largest), largest), v)
    with np.errstate(over="ignore"):
        share = v / (1 + np.exp(-w))
    half = np.exp(0.5 * np.minimum(w, 0.0))
    return np.positive(np.where(left, v * half * half, share), out=out)


def gated_slope(v: Array, out: Array | None = None) -> Array:
    """Return the derivative of v/(1 + e^-v), also where e^v underflows and the derivative does not."""
    inner = np.minimum(np.maximum(v, -1600.0), EXPONENT_CAP[v.dtype])
    root = np.exp(0.5 * inner)
    total = 1 + root * root
    return np.multiply((1 + inner / total) * (root / total), root, out=out)


def plain_root(v: Array, width: float) -> Array | None:
    """Return sqrt(v^2 + width^2) for width >= 0 as it is written; None where a square overflows or vanishes."""
    limits = _SQUARES[v.dtype]
    with np.errstate(over="ignore"):
        square = np.asarray(np.square(v))
    own = width * width
    if not limits[0] < own < limits[1] or not square.max(initial=0.0) < limits[2]:
        return None
    square += square.dtype.type(own)
    return np.sqrt(square, out=square)


def hypotenuse(v: Array, width: float) -> Array:
    """Return sqrt(v^2 + width^2) for width >= 0; faster than NumPy's hypot wherever no square overflows or vanishes."""
    root = plain_root(v, width)
    return np.hypot(v, v.dtype.type(width)) if root is None else root


def hyperbolic_share(v: Array, width: float, out: Array | None = None) -> Array:
    """Return v/sqrt(v^2 + width^2) for width > 0, also for large and infinite v."""
    root = plain_root(v, width)
    if root is not None:
        return np.divide(v, root, out=out)
    with np.errstate(over="ignore"):
        root = np.hypot(v, v.dtype.type(width))
    large = np.isinf(root)
    # By halves where the root overflows.
    half = 0.5 * np.where(large & np.isfinite(v), v, 1.0)
    share = np.where(large, half / np.hypot(half, 0.5 * width), np.where(large, 1.0, v) / np.where(large, 1.0, root))
    return stored(np.where(np.isinf(v), np.sign(v), share).astype(v.dtype), out)


def positive_part(v: Array, out: Array | None) -> Array:
    """Return max(0, v), into ``out`` if given, which may be v itself."""
    if v.size < LONG_MAXIMUM:
        return np.maximum(v, 0.0, out=out)
    clipped: Array = v.clip(0.0, math.inf, out=out)
    return clipped


def of_precision(value: float, v: Array) -> Any:
    """Return the value in the precision of v, infinite where it overflows."""
    if v.dtype == np.float64:
        return value
    return v.dtype.type(value if abs(value) <= LARGEST[v.dtype] else math.copysign(math.inf, value))


def stored(values: Array, out: Array | None) -> Array:
    """Return the values, in ``out`` if given."""
    if out is None:
        return values
    out[...] = values
    return out
