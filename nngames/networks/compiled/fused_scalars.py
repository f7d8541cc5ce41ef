"""Functions of numbers that the compiled kernels share, and how all of them are compiled."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np

try:
    from numba import njit
except ImportError:
    njit = None

_LOG2_E = 1.4426950408889634
#: ln 2 in two parts, the first of which has trailing zeros: its product with an integer is exact.
_LN2_HIGH, _LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
#: Added to a number below 2^51 it leaves the nearest integer in the last bits.
_ROUND = 6755399441055744.0
_ONE_BITS = np.int64(4607182418800017408)
_C2, _C3, _C4, _C5, _C6, _C7, _C8, _C9, _C10, _C11, _C12, _C13 = (1 / math.factorial(k) for k in range(2, 14))
#: tanh at the multiples of 1/_STEPS up to _LAST, beyond which it is 1, correctly rounded; a power of two of places.
_STEPS, _LAST, _PLACES = 32.0, 20.0, 1024
_TANH = np.ones(_PLACES)
_TANH[: int(_LAST * _STEPS)] = [
    float((e - 1) / (e + 1)) for e in ((Decimal(k) / int(_STEPS / 2)).exp() for k in range(int(_LAST * _STEPS)))
]
_IN_TABLE = np.uint64(_PLACES - 1)
#: The coefficients of (tanh(h) - h) / h^3 in h^2, the next of which is below 3e-2: enough for |h| <= 1/64.
_T3, _T5, _T7 = -1 / 3, 2 / 15, -17 / 315


def compiled(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Return the decorator that compiles a function where Numba is installed, with its cache where there is a place."""

    def decorate(function: Callable[..., Any]) -> Any:
        if njit is None:
            return function
        try:
            return njit(cache=True, error_model="numpy", **options)(function)
        except RuntimeError:
            # No folder for the cache can be written.
            return njit(error_model="numpy", **options)(function)

    return decorate


if njit is not None:
    from numba.core import types
    from numba.extending import intrinsic

    @intrinsic
    def wide(_typing: Any) -> Any:
        """Let the function that calls this use the widest registers, for work beside products that use them as well."""

        def attribute(context: Any, builder: Any, *_: Any) -> Any:
            # LLVM halves them on its own account, and llvmlite lists no attribute with a value.
            set.add(builder.function.attributes, '"prefer-vector-width"="512"')
            return context.get_dummy_value()

        return types.none(), attribute

else:

    def wide() -> None:
        """Do nothing where nothing is compiled."""


#: As written, but for a product that is added: one rounding less.
_inlined = compiled(forceinline=True, fastmath={"contract"})


@_inlined
def power(k: float) -> float:
    """Return 2^k for an integer k + _ROUND, by its last bits."""
    return np.int64((np.float64(k).view(np.int64) << 52) + _ONE_BITS).view(np.float64)


@_inlined
def hyperbolic_tangent(v: float) -> float:
    """Return tanh(v), good to three units in the last place.

    Without a branch or a division, so that several are made at a time. |v| = a + h with a in the table and |h| <= 1/64,
    and with c = tanh a and t = tanh h, tanh |v| = c + (1 - c^2) t / (1 + c t): a correction of what the table has, for
    which 1/(1 + e) = (1 - e)(1 + e^2)(1 + e^4) up to e^8, e = c t, is exact enough, for e is at most 1/64 and 0 where
    c is.
    """
    size = abs(v)
    bounded = _LAST if size > _LAST else size
    shifted = bounded * _STEPS + _ROUND
    h = bounded - (shifted - _ROUND) * (1.0 / _STEPS)
    c = _TANH[np.float64(shifted).view(np.uint64) & _IN_TABLE]
    q = h * h
    t = h * (1.0 + q * (_T3 + q * (_T5 + q * _T7)))
    e = c * t
    squared = e * e
    corrected = t - t * e
    corrected += corrected * squared
    corrected += corrected * (squared * squared)
    return math.copysign(c + (1.0 - c * c) * corrected, v)


@_inlined
def exponential(y: float) -> tuple[float, float]:
    """Return (s, p) with e^y = s (1 + p), s a power of two and |p| < 1/2, for y in [-708, 0].

    Without a branch, so that several are made at a time. y = k ln 2 + r with |r| <= ln(2)/2, s = 2^k and p = e^r - 1 by
    its Taylor polynomial of degree 13, the rest of which is below 5e-18 r.
    """
    shifted = y * _LOG2_E + _ROUND
    k = shifted - _ROUND
    r = (y - k * _LN2_HIGH) - k * _LN2_LOW
    q = r * r
    low = _C2 + r * _C3 + q * (_C4 + r * _C5)
    high = (_C6 + r * _C7) + q * (_C8 + r * _C9) + (q * q) * ((_C10 + r * _C11) + q * (_C12 + r * _C13))
    return power(shifted), r + q * (low + (q * q) * high)
