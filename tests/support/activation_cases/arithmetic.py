"""Functions in mpmath's arithmetic that the exact gaps of several families share."""

from __future__ import annotations

from typing import Any

import mpmath
from mpmath import mpf


def t_log_t(t: Any) -> Any:
    return t * mpmath.log(t) if t > 0 else mpf(0)


def dilog(z: Any) -> Any:
    """Li2 on (-inf, 1], by series at arguments of at most 1/2 in size after Landen's and Euler's identities."""
    if z == 1:
        return mpmath.pi**2 / 6
    if z < 0:
        return -dilog(z / (z - 1)) - mpmath.log1p(-z) ** 2 / 2
    if z > 0.5:
        return mpmath.pi**2 / 6 - mpmath.log(z) * mpmath.log1p(-z) - dilog(1 - z)
    # Li2(z)/z = 1 + z/4 + z^2/9 + ... in integers.
    bits = mpmath.mp.prec + 20
    size, power, total, k = int(mpmath.ldexp(z, bits)), 1 << bits, 0, 1
    while power:
        total, power, k = total + power // k**2, (power * size) >> bits, k + 1
    return z * mpmath.ldexp(mpf(total), -bits)
