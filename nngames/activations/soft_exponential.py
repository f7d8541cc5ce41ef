"""The soft exponential: from a logarithm over the identity to an exponential, as its exponent grows through 0."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from nngames.activations.foundations.base import Array, FlintNumber, activation_named
from nngames.activations.foundations.charts import Chart, SlopePart, TailBound
from nngames.activations.foundations.domain import Domain, Interval
from nngames.activations.foundations.formulas import decimal
from nngames.activations.foundations.parameters import number, refusal, store
from nngames.activations.foundations.reparametrised import Reparametrised
from nngames.activations.foundations.scalar import ScalarActivation
from nngames.activations.foundations.slopes import SlopeEnd, rational_end
from nngames.activations.linear import Identity
from nngames.activations.numerics.compensated import exponential, in_double
from nngames.activations.numerics.elementwise import stored
from nngames.activations.numerics.exponential_pair import Pair
from nngames.activations.numerics.flint_forms import ball, entropy_term
from nngames.activations.numerics.rounding import floating, settle, wide
from nngames.core.exact import rational

#: The least exponent in size but 0: below it, squares of c times a number may vanish.
_LEAST = 1e-100


@dataclass(frozen=True)
class Exponential(ScalarActivation):
    """r = E of a pair: slopes e^(c v), dom f = [c - 1/c, inf) with its end."""

    pair: Pair
    name: ClassVar[str] = "soft_exponential"

    @property
    def slope_range_exact(self) -> tuple[SlopeEnd, SlopeEnd]:
        """Slopes from 0 at -infinity to infinity."""
        unit, far, step = 1 / self.pair.c, 40 / self.pair.c, 1 / self.pair.c + abs(self.pair.end[0])
        late = (20 + 2 * max(math.log(self.pair.c), 0.0)) * unit
        return (rational_end(0, (-far - step, -far), attained=False), rational_end(np.inf, (late, late + unit)))

    @property
    def domain(self) -> Domain:
        """[c - 1/c, inf)^n."""
        nearest, rest = self.pair.end
        return Interval(nearest if rest <= 0 else math.nextafter(nearest, np.inf))

    @property
    def limits(self) -> tuple[float, float]:
        """c - 1/c and infinity."""
        return (self.pair.end[0], np.inf)

    def _response(self, v: Array, out: Array | None) -> Array:
        """Return E(v)."""
        if self.pair.c == 1:
            with np.errstate(over="ignore"):
                return np.exp(v, out=out)
        return in_double(lambda w, into: stored(self.pair.exponent(w), into), v, out)

    def _slope(self, v: Array, out: Array | None) -> Array:
        """Return e^(c v)."""
        if self.pair.c == 1:
            return self._response(v, out)
        return in_double(lambda w, into: stored(exponential(w, self.pair.c), into), v, out)

    def slope_charts(self) -> tuple[SlopePart, ...]:
        """Return the left half line, where the slope is the variable, and the right one."""
        c = rational(self.pair.c)
        chart = Chart(0, 1, lambda t: t, lambda t: t.log() / c, "t = e^(c x) for x <= 0", ("lower",))

        def bounds(start: Any) -> tuple[Any, Any]:
            return (c * start).exp(), start.pos_inf()

        how = "e^(c x) grows to infinity"
        return (chart, TailBound(0.0, 1, lambda x: (c * x).exp(), bounds, how, ("high",)))

    def primitive(self, v: ArrayLike) -> Array:
        """Return c v + (e^(c v) - 1 - c v)/c^2."""
        return self.pair.exponent_primitive(wide(v))

    def conjugate(self, z: ArrayLike) -> Array:
        """Return (Z log Z - Z + 1)/c^2, Z = 1 + c (z - c), on the domain."""
        return self.pair.logarithm_primitive(wide(z))

    def prox(self, u: ArrayLike, step: ArrayLike = 1.0) -> Array:
        """Return E(w) with (1 - step) E(w) + step w = u."""
        point, steps = np.broadcast_arrays(wide(u), self.check_step(step))
        w = np.where(steps == 1, point, self.pair.mixed_root(point, np.where(steps == 1, 0.5, 1 - steps)))
        with np.errstate(over="ignore", invalid="ignore"):
            value = self.pair.exponent(w)
            # Where E grows fast, the equation knows it better.
            steep = (steps < 1) & (self.pair.c * w > 1) & ((1 - steps) * value > steps * np.abs(w))
            return np.where(steep, (point - steps * w) / np.where(steep, 1 - steps, 1.0), value)

    def gap(self, x: Array, v: Array) -> tuple[Array, Array]:
        """Return the divergence of 1 + c (x - c) from e^(c v) over c^2, for x in the domain."""
        return settle(*self.pair.distance(*np.broadcast_arrays(wide(x), wide(v))))

    def conjugate_cvxpy(self, z: Any) -> tuple[Any, list[Any]]:
        """Return the divergence of 1 + c (z - c) from 1 over c^2."""
        import cvxpy as cp

        c = self.pair.c
        return cp.sum(cp.kl_div(1 - c * c + c * z, 1)) / c**2, []

    def flint_conjugate_at(self, z: FlintNumber) -> FlintNumber | None:
        """Return (Z log Z - Z + 1)/c^2."""
        return _logarithm_primitive(z, self.pair.c)

    def flint_response_at(self, v: FlintNumber) -> FlintNumber:
        """Return c + (e^(c v) - 1)/c."""
        c = rational(self.pair.c)
        return c + ball(c * v).expm1() / c


@dataclass(frozen=True)
class Logarithm(ScalarActivation):
    """r = L of a pair on (c - 1/c, inf): slopes 1/(1 + c (v - c)), f finite everywhere."""

    pair: Pair
    name: ClassVar[str] = "soft_exponential"

    @cached_property
    def inputs(self) -> Interval:
        """(c - 1/c, inf), the lower end rounded down."""
        nearest, rest = self.pair.end
        low = nearest if rest >= 0 else math.nextafter(nearest, -np.inf)
        return Interval(low, closed_lower=False)

    @property
    def slope_range_exact(self) -> tuple[SlopeEnd, SlopeEnd]:
        """Slopes from infinity at the end to 0 at infinity."""
        unit, low = 1 / self.pair.c, self.inputs.lower
        first = max(low + 1e-5 * unit, math.nextafter(low, np.inf))
        second = max(low + 2e-5 * unit, math.nextafter(first, np.inf))
        high = 2 * abs(low) + 1e10 * unit
        return (rational_end(0, (high, 2 * high), attained=False), rational_end(np.inf, (first, second)))

    @property
    def domain(self) -> Domain:
        """R^n."""
        return Interval()

    @property
    def limits(self) -> tuple[float, float]:
        """-infinity and infinity."""
        return (-np.inf, np.inf)

    def _response(self, v: Array, out: Array | None) -> Array:
        """Return L(v)."""
        return in_double(lambda w, into: stored(self.pair.logarithm(w), into), v, out)

    def _slope(self, v: Array, out: Array | None) -> Array:
        """Return 1/(1 + c (v - c))."""
        return in_double(lambda w, into: stored(self.pair.logarithm_slope(w), into), v, out)

    def slope_charts(self) -> tuple[SlopePart, ...]:
        """Return the left part, and the right one, where the slope is the variable."""
        c = rational(self.pair.c)

        def point(t: Any) -> Any:
            return c + (1 / t - 1) / c

        def bounds(start: Any) -> tuple[Any, Any]:
            return start.exp(), start.pos_inf()

        # The variable s with 1 + c (x - c) = e^-s, so that x goes to the end of the inputs as s grows.
        how = "1/(1 + c (x - c)) = e^s grows to infinity"
        left = TailBound(0.0, 1, lambda s: s.exp(), bounds, how, ("high",), lambda s: c + ((-s).exp() - 1) / c)
        return (left, Chart(0, 1, lambda t: t, point, "t = 1/(1 + c (x - c)) for x >= c", ("lower",)))

    def primitive(self, v: ArrayLike) -> Array:
        """Return (V log V - V + 1)/c^2, V = 1 + c (v - c)."""
        return self.pair.logarithm_primitive(wide(self._admitted(v)))

    def conjugate(self, z: ArrayLike) -> Array:
        """Return c z + (e^(c z) - 1 - c z)/c^2."""
        return self.pair.exponent_primitive(wide(z))

    def prox(self, u: ArrayLike, step: ArrayLike = 1.0) -> Array:
        """Return the p with (1 - step) p + step E(p) = u.

        Raises
        ------
        DomainError
            If the step is 1 and r is not defined at an entry of u: there the cost has no minimum.
        """
        point, steps = np.broadcast_arrays(wide(u), self.check_step(step))
        whole = steps == 1
        known = np.where(whole, point, self.pair.c)
        return np.where(whole, self(known), self.pair.mixed_root(point, np.where(whole, 0.5, steps)))

    def gap(self, x: Array, v: Array) -> tuple[Array, Array]:
        """Return the divergence of 1 + c (v - c) from e^(c x) over c^2."""
        x, v = np.broadcast_arrays(wide(x), wide(self._admitted(v)))
        return settle(*self.pair.distance(v, x))

    def conjugate_cvxpy(self, z: Any) -> tuple[Any, list[Any]]:
        """Return c z + (e^(c z) - 1 - c z)/c^2."""
        import cvxpy as cp

        c = self.pair.c
        return cp.sum(cp.exp(c * z) - 1 - c * (1 - c * c) * z) / c**2, []

    def flint_conjugate_at(self, z: FlintNumber) -> FlintNumber:
        """Return c z + (e^(c z) - 1 - c z)/c^2."""
        c = rational(self.pair.c)
        with _guarded(self.pair.c):
            drive = ball(c * z)
            return drive + (drive.expm1() - drive) / c**2

    def flint_response_at(self, v: FlintNumber) -> FlintNumber:
        """Return log(1 + c (v - c))/c."""
        c = rational(self.pair.c)
        return ball(c * (v - c)).log1p() / c


@activation_named("soft_exponential")
@dataclass(frozen=True)
class SoftExponential(Reparametrised):
    """r(v) = a + (e^(a v) - 1)/a for an exponent a > 0, v for a = 0, -log(1 - a (v + a))/a for a < 0.

    For a < 0 it is defined on (1/a - a, inf) only. For a != 0 the slopes e^(a v), or 1/(1 - a (v + a)), fill (0, inf),
    so that f is weakly convex with modulus 1 and no less. The inverse for a is the response for -a, hence g* for a is g
    for -a. With c = |a| it is c z + (e^(c z) - 1 - c z)/c^2 for a < 0, and (Z log Z - Z + 1)/c^2 with
    Z = 1 + c (z - c) on [c - 1/c, inf) for a > 0.
    """

    exponent: float = 1.0

    def __post_init__(self) -> None:
        exponent = number(self, "exponent")
        if 0 < abs(exponent) < _LEAST:
            raise refusal(self, "exponent", f"must be 0, or at least {_LEAST:g} in size; got {exponent!r}")
        store(self, exponent=exponent)

    @cached_property
    def base(self) -> ScalarActivation:
        """Itself: one of its three forms."""
        if self.exponent == 0:
            return Identity()
        pair = Pair(abs(self.exponent))
        return Exponential(pair) if self.exponent > 0 else Logarithm(pair)

    @property
    def inputs(self) -> Interval:
        """The line, or (1/a - a, inf) for a < 0."""
        return self.base.inputs

    def __call__(self, v: ArrayLike, out: Array | None = None) -> Array:
        """Return r(v), into ``out`` if given; raises DomainError where r is not defined."""
        if self.exponent != 1:
            return super().__call__(v, out)
        # One pass without temporaries: blocks would only cost.
        with np.errstate(over="ignore"):
            return np.exp(floating(v), out=out)

    @property
    def scaled_formula(self) -> str | None:
        """g for -a less z^2/2, by the sign of a."""
        c = abs(self.exponent)
        if c == 0:
            return "0"
        if self.exponent > 0:
            if c == 1:
                return "z*ln(z) - z + 1 - z^2/2"
            offset = f"{decimal(c)}*(z - {decimal(c)})"
            return f"((1 + {offset})*ln(1 + {offset}) - {offset})/{decimal(c)}^2 - z^2/2"
        if c == 1:
            return "e^z - 1 - z^2/2"
        drive = f"{decimal(c)}*z"
        return f"{drive} + (e^({drive}) - 1 - {drive})/{decimal(c)}^2 - z^2/2"

    def gap(self, x: Array, v: Array) -> tuple[Array, Array]:
        """Return a divergence over a^2; +inf off the domain."""
        y, outside = self._seen(x)
        y, v = np.broadcast_arrays(y, wide(v))
        value, bound = self.base.gap(y, v)
        return settle(value, bound, np.broadcast_to(outside, value.shape))


@contextmanager
def _guarded(c: float) -> Iterator[None]:
    """Raise flint's precision by the bits that a division by c^2 loses."""
    from flint import ctx

    from nngames.core.ball_ranges import working_precision

    with working_precision(ctx.prec + 4 * max(0, -math.frexp(c)[1])):
        yield


def _logarithm_primitive(y: FlintNumber, c_float: float) -> FlintNumber | None:
    """Return (Y log Y - Y + 1)/c^2, Y = 1 + c (y - c); None where Y < 0."""
    c = rational(c_float)
    inside = 1 + c * (y - c)
    if inside < 0:
        return None
    with _guarded(c_float):
        value = (entropy_term(inside) - inside + 1) / c**2
    return +value
