"""The sinu-sigmoidal linear unit (v + A sin(o v))/(1 + e^-v), an oscillating silu, which is never monotone."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from nngames.activations.foundations.base import Array, FlintNumber, activation_named
from nngames.activations.foundations.charts import SlopePart, TailBound, chart_of
from nngames.activations.foundations.parameters import number, refusal, store
from nngames.activations.foundations.scalar import NonMonotoneActivation
from nngames.activations.foundations.slopes import SlopeEnd
from nngames.activations.numerics.bregman import quadrature
from nngames.activations.numerics.compensated import far_left, fill, in_double, taken
from nngames.activations.numerics.elementwise import stored
from nngames.activations.numerics.flint_forms import ball
from nngames.activations.numerics.rounding import sine_excess, wide
from nngames.activations.numerics.sinu_slopes import ProvedEnd, SinuSlopes
from nngames.activations.silu import Silu, gated_primitive
from nngames.core.exact import rational

#: The greatest amplitude and frequency.
_AMPLITUDE, _FREQUENCY = 1e6, 1e3
#: Terms of the polynomial for 1/(1 + q) on [0, 1]: its error falls like (3 + sqrt(8))^-terms.
_TERMS = 24


@activation_named("sinu_sigmoidal")
@dataclass(frozen=True)
class SinuSigmoidal(NonMonotoneActivation):
    """r(v) = (v + A sin(o v))/(1 + e^-v) with amplitude = A and frequency = o, at most 1e6 and 1e3 in size.

    With a = |A o| != 0 the slopes tend to 0 on the left, where they are negative, and oscillate towards 1 - a and 1 + a
    on the right; so r is the prox of nothing, whatever A and o are. The supremum exceeds 1 + a and is attained; the
    infimum is attained unless it is 1 - a. Both are found and proved in ball arithmetic for the given parameters. For
    a = 0 it is silu. g is that of silu and A times an integral of sin(o t)/(1 + e^-t), computed by an exponential sum.

    Raises
    ------
    NotApplicableError
        By what asks for the slopes, if their range is not proved: the search for it is bounded.
    """

    amplitude: float = 1.0
    frequency: float = 1.0

    def __post_init__(self) -> None:
        store(self, amplitude=number(self, "amplitude"), frequency=number(self, "frequency"))
        for name, value, most in (("amplitude", self.amplitude, _AMPLITUDE), ("frequency", self.frequency, _FREQUENCY)):
            if abs(value) > most:
                raise refusal(self, name, f"must be at most {most:g} in size; got {value!r}")

    @property
    def monotone(self) -> bool:
        """Never."""
        return False

    @property
    def slope_range_exact(self) -> tuple[SlopeEnd, SlopeEnd]:
        """The ends proved for these parameters."""
        return self._ends

    @cached_property
    def _ends(self) -> tuple[SlopeEnd, SlopeEnd]:
        if self._silu is not None:
            return self._silu.slope_range_exact
        low, high = self._proved
        if not low.limit:
            return self._end(low), self._end(high)
        limit, place = 1 - self._slopes.size, self._slopes.trough(30.0)
        text = f"1 - |{self.amplitude!r} * {self.frequency!r}|"
        return SlopeEnd(text, limit, self._pair(place, float(limit)), attained=False), self._end(high)

    @cached_property
    def _slopes(self) -> SinuSlopes:
        return SinuSlopes(self.amplitude, self.frequency)

    @cached_property
    def _proved(self) -> tuple[ProvedEnd, ProvedEnd]:
        return self._slopes.ends()

    @cached_property
    def _silu(self) -> Silu | None:
        """The response for A = 0 or o = 0."""
        return None if self.amplitude and self.frequency else Silu()

    def _end(self, end: ProvedEnd) -> SlopeEnd:
        """Return an attained end in the form of all activations."""
        place = self._slopes.crest(30.0) if end.place is None else end.place
        known = f"at t = {place:.15g}..." if end.place is not None else "at a t > 1 + a"
        pair = self._pair(place, float(end.value))
        return SlopeEnd("r'(t)", lambda: end.value, pair, equation=f"r''(t) = 0 {known}")

    def _pair(self, place: float, slope: float) -> tuple[float, float]:
        """Return points around the place of an extreme of the slope.

        They are about as far apart as the size of r''' asks for; of such pairs, the one whose slope is rounded best.
        """
        bend = (1 + float(self._slopes.size)) * (1 + self.frequency**2)
        halves = np.cbrt(1e-15 * max(1.0, abs(place)) / bend) * np.linspace(0.25, 1.0, 64)
        left, right = place - halves, place + halves
        best = np.argmin(np.abs((self(right) - self(left)) / (right - left) - slope))
        return (float(left[best]), float(right[best]))

    @property
    def limits(self) -> tuple[float, float]:
        """0 and infinity."""
        return (0.0, np.inf)

    def _response(self, v: Array, out: Array | None) -> Array:
        """Return (v + A sin(o v))/(1 + e^-v)."""
        if self._silu is not None:
            return self._silu._response(v, out)
        return in_double(self._kernel, v, out)

    def _kernel(self, v: Array, out: Array | None) -> Array:
        """Return r(v) in double precision."""
        far = np.abs(v) > 700.0
        if not np.count_nonzero(far):
            e = np.asarray(np.exp(-v))
            e += 1.0
            return np.divide(self._height(v), e, out=out)
        # There e^-v may overflow; infinities would make sines and products NaN.
        left, infinite = np.flatnonzero(v < -700.0), v == np.inf
        v = np.minimum(np.maximum(v, -1e5), 1e300)
        height = self._height(v)
        result = np.asarray(height / (1 + np.exp(-np.maximum(v, -700.0))))
        fill(result, left, far_left(taken(height, left), taken(v, left)))
        return stored(np.where(infinite, np.inf, result), out)

    def _height(self, v: Array) -> Array:
        """Return v + A sin(o v) in double precision, next to 0 to relative rounding."""
        wave = self._wave(v)
        height = np.asarray(np.sin(wave))
        height *= self.amplitude
        height += v
        if self._slopes.product < -0.5:
            # Near 0 the terms cancel: v (1 + A o) - A (o v - sin(o v)).
            places = np.flatnonzero(np.abs(wave) < 1)
            own = float(1 + self._slopes.product) * taken(v, places)
            fill(height, places, own - self.amplitude * sine_excess(taken(wave, places)))
        return height

    def _wave(self, v: Array) -> Array:
        """Return o v, cut where it overflows, and r(v) does not depend on it."""
        if abs(self.frequency) <= 1:
            return np.asarray(v * self.frequency)
        return np.asarray(np.minimum(np.maximum(v, -1e300), 1e300) * self.frequency)

    def _slope(self, v: Array, out: Array | None) -> Array:
        """Return s (1 + A o cos(o v) + (v + A sin(o v)) (1 - s)), s = 1/(1 + e^-v)."""
        if self._silu is not None:
            return self._silu._slope(v, out)

        def kernel(v: Array, out: Array | None) -> Array:
            v = np.minimum(np.maximum(v, -1600.0), 1e300)
            inner, product = np.minimum(v, 700.0), self._slopes.product
            # e^(v/2) twice, for e^v alone underflows where the slope does not.
            root = np.exp(0.5 * inner)
            total = 1 + root * root
            if product < -0.5:
                # 1 + A o cos(o v), next to 0 without cancellation.
                own = float(1 + product) - float(2 * product) * np.square(np.sin(0.5 * self._wave(v)))
            else:
                own = 1 + float(product) * np.cos(self._wave(v))
            slope = (own + self._height(inner) / total) * (root / total)
            return np.multiply(slope, root, out=out)

        return in_double(kernel, v, out)

    def primitive(self, v: ArrayLike) -> Array:
        """Return the integral of r over [0, v]: that of silu, and A times that of sin(o t)/(1 + e^-t).

        Notes
        -----
        With x = |v|, K(x) the integral of sin(o t)/(1 + e^t) over [0, x] is T(0) - T(x), T(x) the integral from x to
        infinity. The wanted integral is K(x) for v < 0 and (1 - cos o x)/o - K(x) for v > 0. In T, 1/(1 + q) with
        q = e^-t is replaced by its polynomial of ``_weights``, which leaves integrals of q^k sin(o t). The
        error is a few roundings of the greater one of the two parts. Near 0 the integral of r is done by quadrature.
        """
        v = wide(v)
        result = gated_primitive(v, 1.0)
        if self._silu is not None:
            return result
        o = self.frequency
        near = np.abs(v) <= 1 / max(1.0, abs(o))
        small, x = np.where(near, v, 0.0), np.abs(np.where(near, 1.0, v))
        close = np.zeros_like(small)
        for node, weight in quadrature(14):
            close = close + weight * self._kernel(node * small, None)
        wave, q = self._wave(x), np.exp(-x)
        decayed = self._tail(np.zeros(()), np.ones(())) - self._tail(wave, q)
        grown = 2 * np.square(np.sin(0.5 * wave)) / o - decayed
        with np.errstate(over="ignore"):
            return np.where(near, close * small, result + self.amplitude * np.where(v < 0, decayed, grown))

    def _tail(self, wave: Array, q: Array) -> Array:
        """Return T(x) from o x and e^-x."""
        o, sine, cosine = self.frequency, np.zeros_like(q), np.zeros_like(q)
        for k in range(_TERMS, 0, -1):
            scaled = _weights()[k - 1] / (k * k + o * o)
            sine, cosine = (sine + k * scaled) * q, (cosine + o * scaled) * q
        return np.sin(wave) * sine + np.cos(wave) * cosine

    def flint_response_at(self, v: FlintNumber) -> FlintNumber:
        """Return (v + A sin(o v))/(1 + e^-v)."""
        return self._flint(ball(v))

    def _flint(self, v: Any) -> Any:
        """Return r of a ball or a power series."""
        return (v + rational(self.amplitude) * (rational(self.frequency) * v).sin()) / (1 + (-v).exp())

    def slope_charts(self) -> tuple[SlopePart, ...]:
        """Return the interval that holds the attained ends, between two tails."""
        if self._silu is not None:
            return self._silu.slope_charts()
        from nngames.core.ball_ranges import as_ball

        slopes, size = self._slopes, as_ball(self._slopes.size)
        left, right = slopes.left, slopes.end_of_search(self._proved[1])

        def before(start: Any) -> tuple[Any, Any]:
            bound = slopes.left_bound(start)
            return -bound, bound

        def beyond(start: Any) -> tuple[Any, Any]:
            return 1 - size, 1 + size + slopes.right_excess(start)

        how = (
            "1 - a < slope <= 1 + a + x e^-x + |A/o| e^(-2x) for x >= max(4, log(4 |A/o|)); 1 - a is the limit inferior"
        )
        return (
            TailBound(
                left, -1, slopes.slope, before, "|slope| <= (1 + a) (1 + |x|) e^x, a = |A o|, which increases for x < 0"
            ),
            chart_of(self._flint, left, right),
            TailBound(right, 1, slopes.slope, beyond, how, ("low",)),
        )


@cache
def _weights() -> tuple[float, ...]:
    """Return the coefficients in q of a polynomial that is 1/(1 + q) on [0, 1] to rounding.

    They are those by which Cohen, Rodriguez Villegas and Zagier accelerate alternating series: from the Chebyshev
    polynomial of 1 + 2q.
    """
    total = (3 + 8**0.5) ** _TERMS
    total = (total + 1 / total) / 2
    term, rest, weights = -1.0, -total, []
    for k in range(_TERMS):
        rest = term - rest
        weights.append(rest / total)
        term *= (k + _TERMS) * (k - _TERMS) / ((k + 0.5) * (k + 1))
    return tuple(weights)
