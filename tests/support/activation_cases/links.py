"""Link functions, cloglog, logit and the softsign of probit: gaps in mpmath's arithmetic."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import mpmath
from mpmath import mpf
from scipy.special import ndtri


def entire_integral(q: Any) -> Any:
    """Ein(q) = E1(q) + log q + gamma; E1 is below every precision in use where q is large."""
    if q == 0:
        return mpf(0)
    # The sum has no more digits than q is larger than 10^-dps.
    with mpmath.extradps(int(max(0, -mpmath.log10(q)))):
        tail = mpmath.e1(q) if q < 10000 else mpf(0)
        return tail + mpmath.log(q) + mpmath.euler


def cloglog_gap(a: Any, x: Any, v: Any) -> Any:
    drive = entire_integral(mpmath.exp(v)) if v > -1e4 else mpf(0)
    if x == 0:
        return drive
    if x == 1:
        return -mpmath.euler + drive - v
    q = -mpmath.log1p(-x)
    return x * mpmath.log(q) - entire_integral(q) + drive - x * v


@lru_cache(maxsize=4096)
def quantile(v: float) -> Any:
    """The normal quantile of a float to 50 digits, by Newton's steps."""
    with mpmath.workdps(60):
        q = mpf(float(ndtri(v)))
        for _ in range(3):
            left = mpmath.erfc(-q / mpmath.sqrt(2)) / 2
            q -= (left - mpf(v)) / mpmath.npdf(q)
        return q


def softsign_probit_gap(a: Any, x: Any, v: Any) -> Any:
    """The integral of (x - s(t)) phi(t) over t from the quantile of v to x/(1 - |x|), cut where it is negligible."""
    with mpmath.workdps(40):
        q = quantile(float(v))
        y = x / (1 - abs(x)) if abs(x) < 1 else mpf("inf") * x

        low, high = min(q, y), max(q, y)
        peak = min(max(mpf(0), low), high)

        def integrand(t: Any) -> Any:
            # Without cancellation where the signs agree.
            if t * x >= 0 and abs(x) < 1:
                rise = (y - t) / ((1 + abs(y)) * (1 + abs(t)))
            else:
                rise = x - t / (1 + abs(t))
            # Relative to the greatest density, since mpmath's tolerance is absolute.
            return rise * mpmath.exp((peak - t) * (peak + t) / 2)

        # From this depth on the rest is below 1e-30 of the integral.
        depth = mpmath.sqrt(peak**2 + 200)
        low, high = max(low, -depth), min(high, depth)
        cuts = sorted({low, high, *(t for t in (mpf(0), peak + 1, peak - 1, peak + 4, peak - 4) if low < t < high)})
        return mpmath.quad(integrand, cuts) * mpmath.npdf(peak) * (1 if y >= q else -1)


GAPS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "cloglog": cloglog_gap,
    "softsign_probit": softsign_probit_gap,
}
