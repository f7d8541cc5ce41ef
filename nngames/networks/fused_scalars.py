"""Functions of numbers that the compiled kernels share, and how all of them are compiled."""

from __future__ import annotations

import math
from collections.abc import Callable
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
_HALF_LN2 = 0.5 * math.log(2.0)
_C2, _C3, _C4, _C5, _C6, _C7, _C8, _C9, _C10, _C11, _C12, _C13 = (1 / math.factorial(k) for k in range(2, 14))
#: The coefficients of (h coth h - 1) / h^2 in h^2, for |h| <= ln(2)/4.
_H1, _H2, _H3, _H4, _H5 = (
    0.3333333333333332,
    -0.022222222222051644,
    0.0021164020709437984,
    -0.0002116359699553381,
    2.121611231687858e-05,
)


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


#: As written, but for a product that is added: one rounding less.
_inlined = compiled(forceinline=True, fastmath={"contract"})


@_inlined
def power(k: float) -> float:
    """Return 2^k for an integer k + _ROUND, by its last bits."""
    return np.int64((np.float64(k).view(np.int64) << 52) + _ONE_BITS).view(np.float64)


@_inlined
def hyperbolic_tangent(v: float) -> float:
    """Return tanh(v), good to a few units in the last place.

    Without a branch, so that several are made at a time. v = k ln(2)/2 + h with |h| <= ln(2)/4 gives e^2v = 2^k e^2h.
    With s = 2^k and H = h coth h that makes tanh v = (H (s - 1) + h (s + 1)) / (H (s + 1) + h (s - 1)), where no
    difference loses digits. H is replaced by its interpolant in h^2 at Chebyshev points, good to 4e-18. Beyond 20
    tanh v is 1.
    """
    above = -20.0 if v < -20.0 else v
    bounded = 20.0 if above > 20.0 else above
    shifted = bounded * (2.0 * _LOG2_E) + _ROUND
    h = bounded - (shifted - _ROUND) * _HALF_LN2
    q = h * h
    even = 1.0 + q * (_H1 + q * (_H2 + q * (_H3 + q * (_H4 + q * _H5))))
    s = power(shifted)
    return (even * (s - 1.0) + h * (s + 1.0)) / (even * (s + 1.0) + h * (s - 1.0))


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
