"""Algebraic activations, soft exponentials and soft clipping: high precision, ends of domains, extreme parameters."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
import pytest
from mpmath import mpf

from nngames.activations import Activation, activation
from nngames.core.errors import DomainError, NotApplicableError, OptionError, StepError

#: Digits that hold the exponentials and the cancellation of every formula here.
DIGITS = 680

SIZES = [
    0.0,
    5e-324,
    1e-310,
    1e-160,
    1e-20,
    1e-9,
    1e-3,
    0.3,
    0.49,
    0.77,
    1.0,
    1.7,
    3.0,
    15.0,
    41.0,
    300.0,
    1e5,
    1e10,
    1e17,
    1e160,
]
NUMBERS = np.array([*SIZES, *(-t for t in SIZES), 1e308, -1e308])


def root(t: Any) -> Any:
    return mpmath.sqrt(t)


def upper_root(a: Any, v: Any) -> Any:
    return (v + root(v * v + mpf(getattr(a, "b", 4)))) / 2


def arc(k: Any, v: Any) -> Any:
    return v / root(1 + k * v * v)


def square_nonlinearity(a: Any, v: Any) -> Any:
    u = min(max(v, mpf(-2)), mpf(2))
    return u - u * abs(u) / 4


def bent_identity(a: Any, v: Any) -> Any:
    return mpf(a.scale) * (v + (root(1 + v * v) - 1) / 2) * 2 / 3


def soft_exponential(a: Any, v: Any) -> Any:
    c = mpf(a.exponent)
    if c == 0:
        return v
    return c + mpmath.expm1(c * v) / c if c > 0 else -mpmath.log(1 - c * (v + c)) / c


def soft_clipping(a: Any, v: Any) -> Any:
    s = mpf(a.sharpness)
    left, right = (max(w, 0) + mpmath.log1p(mpmath.exp(-abs(w))) for w in (s * v, s * (v - 1)))
    return (left - right) / s


def multiquadric(a: Any, v: Any) -> Any:
    return root((v - mpf(a.center)) ** 2 + mpf(a.width) ** 2)


def inverse_multiquadric(a: Any, v: Any) -> Any:
    return 1 / root((v - mpf(a.center)) ** 2 + (1 + mpf(a.width_excess)) ** 2)


RESPONSES: dict[str, Callable[[Any, Any], Any]] = {
    "squareplus": upper_root,
    "metallic_mean": upper_root,
    "isru": lambda a, v: arc(1 + mpf(a.excess), v),
    "isrlu": lambda a, v: arc(mpf(a.lambda_), v) if v < 0 else v,
    "sqnl": square_nonlinearity,
    "bent_identity": bent_identity,
    "soft_exponential": soft_exponential,
    "soft_clipping": soft_clipping,
    "multiquadric": multiquadric,
    "inverse_multiquadric": inverse_multiquadric,
}


def upper_root_slope(a: Any, v: Any) -> Any:
    return (1 + v / root(v * v + mpf(getattr(a, "b", 4)))) / 2


def soft_exponential_slope(a: Any, v: Any) -> Any:
    c = mpf(a.exponent)
    return mpmath.exp(c * v) if c >= 0 else 1 / (1 - c * (v + c))


def soft_clipping_slope(a: Any, v: Any) -> Any:
    s = mpf(a.sharpness)
    return 1 / (1 + mpmath.exp(-s * v)) - 1 / (1 + mpmath.exp(-s * (v - 1)))


SLOPES: dict[str, Callable[[Any, Any], Any]] = {
    "squareplus": upper_root_slope,
    "metallic_mean": upper_root_slope,
    "isru": lambda a, v: root(1 + (1 + mpf(a.excess)) * v * v) ** -3,
    "isrlu": lambda a, v: root(1 + mpf(a.lambda_) * v * v) ** -3 if v < 0 else mpf(1),
    "sqnl": lambda a, v: max(1 - abs(v) / 2, mpf(0)),
    "bent_identity": lambda a, v: mpf(a.scale) * (2 + v / root(1 + v * v)) / 3,
    "soft_exponential": soft_exponential_slope,
    "soft_clipping": soft_clipping_slope,
    "multiquadric": lambda a, v: (v - mpf(a.center)) / multiquadric(a, v) if v != mpf(a.center) else mpf(0),
    "inverse_multiquadric": lambda a, v: -(v - mpf(a.center)) * inverse_multiquadric(a, v) ** 3,
}

CASES: list[Activation] = [
    activation("metallic_mean"),
    *(activation("squareplus", b=b) for b in (0.7, 1e-300, 1e300, 5e-324)),
    *(activation("isru", excess=t) for t in (1.0, -1.0, 0.7, -1 + 1e-16, 1e300)),
    *(activation("isrlu", lambda_=t) for t in (1.0, 0.0, 0.7, 5e-324, 1e300)),
    activation("sqnl"),
    *(activation("bent_identity", scale=t) for t in (1.0, -0.7, 1e-3)),
    *(activation("soft_exponential", exponent=t) for t in (1.0, 0.7, 0.999, 2.3, 1e-9, 1e-100, 1e100)),
    *(activation("soft_exponential", exponent=t) for t in (0.0, -1.0, -0.7, -2.3, -1e-9, -1e-100)),
    *(activation("soft_clipping", sharpness=t) for t in (1.0, 0.7, 1e-200, 5.0, 79.0, 81.0, 1e5)),
    *(activation("multiquadric", center=c, width=w) for c, w in ((0.0, 1.0), (0.3, -0.7), (1.0, 0.0), (0.0, 1e-200))),
    *(activation("inverse_multiquadric", center=c, width_excess=w) for c, w in ((0.0, 0.0), (0.3, -1.7), (0.0, 1e200))),
]
IDS: dict[str, Any] = {"ids": lambda a: repr(a).replace(" ", "") if isinstance(a, Activation) else str(a)}


def inputs(a: Any) -> np.ndarray:
    """The numbers above where r is defined, and some just inside of a finite end."""
    low = a.inputs.lower
    near = [np.nextafter(low, np.inf), low + 1e-9 * abs(low), low + 0.1 * abs(low)] if np.isfinite(low) else []
    centered = [a.center, a.center + 1e-9] if hasattr(a, "center") else []
    return np.array([v for v in [*NUMBERS, *near, *centered, 0.5 - 1e-9, 0.5 + 1e-9, 0.99, 2.0, -2.0] if v > low])


def misses(function: Any, formula: Any, a: Any, tolerance: float, least: float) -> list[tuple[float, float, float]]:
    found = []
    v = inputs(a)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        values = function(v)
    with mpmath.workdps(DIGITS):
        for t, value in zip(v.tolist(), values.tolist(), strict=True):
            exact = formula(a, mpf(t))
            if (
                not (value == np.inf and exact > mpf(1.797e308))
                and not abs(value - exact) <= tolerance * abs(exact) + least
            ):
                found.append((t, value, float(exact)))
    return found


@pytest.mark.parametrize("a", CASES, **IDS)
def test_responses_and_slopes_are_accurate_everywhere(a: Any) -> None:
    assert misses(a, RESPONSES[a.name], a, 1e-14, 5e-324) == []
    assert misses(a.derivative, SLOPES[a.name], a, 1e-14, 5e-324) == []


@pytest.mark.parametrize("a", CASES, **IDS)
def test_single_precision_is_that_of_the_double_one(a: Any) -> None:
    v = np.random.default_rng(0).normal(size=50).astype(np.float32)
    v = v[v.astype(np.float64) > a.inputs.lower]
    largest = float(np.finfo(np.float32).max)
    with np.errstate(over="ignore", under="ignore"):
        wide = a(v.astype(np.float64))
        known = np.abs(wide) < largest
        assert a(v).dtype == np.float32
        np.testing.assert_allclose(a(v)[known], wide[known], rtol=3e-6, atol=3e-7)
        np.testing.assert_array_equal(np.abs(a(v)[~known]), np.inf)


@pytest.mark.parametrize("a", [a for a in CASES if a.monotone], **IDS)
@pytest.mark.parametrize("step", [0.02, 0.6, 1.0])
def test_prox_solves_its_equation(a: Any, step: float) -> None:
    """p = r(w) at the w with (1 - step) p + step w = u, here u made from w in high precision."""
    for w in (-3.0, -0.2, 0.0, 0.4, 1.0, 2.5):
        if not w > a.inputs.lower or abs(getattr(a, "exponent", 1.0)) > 50:
            continue
        with mpmath.workdps(DIGITS):
            p = RESPONSES[a.name](a, mpf(w))
            u = (1 - mpf(step)) * p + mpf(step) * mpf(w)
            near = SLOPES[a.name](a, mpf(w))
            # What a unit in the last place of u moves p.
            slack = abs(u) * near / ((1 - mpf(step)) * near + mpf(step))
        found = float(a.prox(float(u), step))
        assert abs(found - p) <= 1e-14 * abs(p) + 4e-15 * slack + 5e-324, w


@pytest.mark.parametrize("a", [a for a in CASES if a.monotone], **IDS)
def test_penalty_has_the_slope_that_the_response_inverts(a: Any) -> None:
    """The derivative of f at r(v) is v - r(v), and that of g* is v."""
    for v in (-1.3, 0.2, 0.9):
        if not v > a.inputs.lower:
            continue
        p = float(a(v))
        h = 1e-5 * min(float(a.derivative(v)), 1.0)
        ends = p - h, p + h
        if not (ends[0] < p < ends[1]) or not np.isfinite(a.penalty(np.array(ends))).all():
            continue
        high, low = a.conjugate(ends[1]), a.conjugate(ends[0])
        rounding = 4e-16 * (abs(high) + abs(low)) / h
        assert (high - low) / (ends[1] - ends[0]) == pytest.approx(v, rel=1e-6, abs=1e-6 + rounding)


def test_metallic_means() -> None:
    a = activation("metallic_mean")
    assert float(a(1.0)) == pytest.approx((1 + 5**0.5) / 2, rel=1e-16)
    assert float(a(2.0)) == pytest.approx(1 + 2**0.5, rel=1e-16)
    n = np.arange(1.0, 20.0)
    # Reciprocals, fractional parts.
    np.testing.assert_allclose(a(n) - 1 / a(n), n, rtol=1e-15)
    np.testing.assert_array_equal(a(n), activation("squareplus", b=4.0)(n))


def test_squareplus_tends_to_relu() -> None:
    v = np.array([-3.0, -1e-3, 0.0, 2.0])
    np.testing.assert_allclose(activation("squareplus", b=1e-30)(v), np.maximum(v, 0), atol=1e-15)
    with pytest.raises(OptionError, match=r"b must be positive; for b = 0 it is 'relu'"):
        activation("squareplus", b=0)
    with pytest.raises(OptionError, match="b must be a positive number; got -1"):
        activation("squareplus", b=-1.0)


def test_squareplus_prox_is_squareplus_of_a_scaled_b() -> None:
    u = np.linspace(-8, 8, 33)
    prox = activation("squareplus", b=3.0).prox(u, 0.25)
    np.testing.assert_allclose(prox, activation("squareplus", b=0.75)(u), rtol=1e-15)
    # Beyond 1 too: f is convex.
    prox = activation("squareplus", b=3.0).prox(u, 50.0)
    np.testing.assert_allclose(prox, activation("squareplus", b=150.0)(u), rtol=1e-15)


@pytest.mark.parametrize("excess", [1.0, 0.1, -0.9, 4.7, 1e-17, 1e20])
def test_isru_domain_is_the_largest_floats_inside(excess: float) -> None:
    a = activation("isru", excess=excess)
    high, k = a.domain.upper, 1 + Fraction(excess)
    beyond = float(np.nextafter(high, np.inf))
    assert Fraction(high) ** 2 * k <= 1 < Fraction(beyond) ** 2 * k
    assert a.domain.lower == -high
    assert np.isfinite(a.conjugate(high))
    assert a.conjugate(beyond) == np.inf
    # The distance to the end keeps its digits there.
    with mpmath.workdps(60):
        exact = high**2 / (1 + root(1 - (1 + mpf(excess)) * mpf(high) ** 2))
        assert abs(mpf(float(a.conjugate(high))) - exact) <= 1e-15 * exact


def test_isru_gap_at_the_end_of_its_domain() -> None:
    """At x = 1 = r(infinity) for k = 1, sqrt(1 + v^2) - v: near 1/(2 v), to relative rounding."""
    a = activation("isru", excess=0.0)
    v = np.array([1.0, 1e3, 1e8, 1e20, 1e100, 1e300])
    value, error = a.gap(np.ones(6), v)
    with mpmath.workdps(700):
        exact = [float(root(1 + mpf(t) ** 2) - mpf(t)) for t in v]
    np.testing.assert_allclose(value, exact, rtol=1e-14)
    assert (error <= 1e-13 * value).all()


def test_degenerate_parameters_are_the_identity() -> None:
    v = np.linspace(-3, 3, 7)
    for a in (
        activation("isru", excess=-1),
        activation("isrlu", lambda_=0),
        activation("soft_exponential", exponent=0),
    ):
        np.testing.assert_array_equal(a(v), v)
        np.testing.assert_array_equal(a.penalty(v), 0.0)
        assert a.slope_range == (1.0, 1.0)
        assert a.averagedness == 0.0
        assert not a.bounded


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("isru", {"excess": -1.5}, r"excess must be at least -1, for 1 \+ excess >= 0; got -1.5"),
        ("isrlu", {"lambda_": -0.1}, "lambda_ must not be negative; got -0.1"),
        (
            "inverse_multiquadric",
            {"width_excess": -1},
            r"width_excess must not be -1: the width 1 \+ width_excess would",
        ),
        ("soft_exponential", {"exponent": 1e-101}, "exponent must be 0, or at least 1e-100 in size; got 1e-101"),
        ("soft_exponential", {"exponent": -1e-300}, "exponent must be 0, or at least 1e-100 in size; got -1e-300"),
        ("soft_clipping", {"sharpness": 0.0}, "sharpness must be a positive number; got 0.0"),
        ("bent_identity", {"scale": np.inf}, "scale must be a finite number; got inf"),
    ],
)
def test_parameters_without_a_response_are_refused(name: str, options: dict[str, float], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        activation(name, **options)


def test_square_nonlinearity_in_rationals() -> None:
    from flint import fmpq

    a: Any = activation("sqnl")
    assert a.flint_response_at(fmpq(1, 3)) == fmpq(11, 36)
    assert a.flint_response_at(fmpq(-3, 2)) == fmpq(-15, 16)
    assert a.flint_response_at(fmpq(-7, 2)) == -1
    # q = 1/2 at z = 3/4: (2/3)(1/4)(2) = 1/3; q = 0 at the ends.
    np.testing.assert_allclose(a.conjugate([0.75, -0.75, 1.0, -1.0, 0.0]), [1 / 3, 1 / 3, 2 / 3, 2 / 3, 0], rtol=1e-15)
    assert a.flint_conjugate_at(fmpq(3, 4)).overlaps(fmpq(1, 3))
    assert a.flint_conjugate_at(fmpq(5, 4)) is None
    assert a.conjugate(np.nextafter(1.0, 2)) == np.inf
    z = np.array([1e-9, 1e-100])
    np.testing.assert_allclose(a.penalty(z), z**3 / 12, rtol=1e-8)


def test_bent_identity_as_printed() -> None:
    """Its slopes go from a third of the scale to the scale; the usual one, v + (R - 1)/2, from 1/2 to 3/2."""
    a = activation("bent_identity")
    v = np.linspace(-4, 4, 9)
    np.testing.assert_allclose(a(v), (2 / 3) * (v + (np.sqrt(v * v + 1) - 1) / 2), rtol=1e-14, atol=1e-16)
    np.testing.assert_allclose(1.5 * a(v), activation("bent_identity", scale=1.5)(v), rtol=1e-15)
    assert activation("bent_identity", scale=0.6).averagedness == pytest.approx(0.4)
    # f grows like z/3: no digits are lost to z^2.
    with mpmath.workdps(50):
        c = 3 * mpf(1e9) + 1
        w = (2 * c - root(c * c + 3)) / 3
        primitive = w * w / 3 + (w * (c - 2 * w) + mpmath.asinh(w)) / 6 - w / 3
        exact = mpf(1e9) * w - primitive - mpf(1e9) ** 2 / 2
    assert float(a.penalty(1e9)) == pytest.approx(float(exact), rel=1e-15)


@pytest.mark.parametrize("scale", [-0.7, -1e-9])
def test_a_falling_bent_identity_is_the_prox_of_nothing(scale: float) -> None:
    a = activation("bent_identity", scale=scale)
    for ask in (lambda: a.domain, lambda: a.penalty(0.0), lambda: a.prox(0.0), lambda: a.gap(0.0, 0.0)):
        with pytest.raises(NotApplicableError, match="prox of no function"):
            ask()


@pytest.mark.parametrize("exponent", [1.0, 0.4, 2.5, 1e-6])
def test_soft_exponentials_of_opposite_exponents_are_inverse(exponent: float) -> None:
    up, down = activation("soft_exponential", exponent=exponent), activation("soft_exponential", exponent=-exponent)
    v = np.linspace(-2, 3, 21)
    np.testing.assert_allclose(down(up(v)), v, rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(up.conjugate(up(v)), down.primitive(up(v)), rtol=1e-15)
    np.testing.assert_allclose(up.primitive(v), down.conjugate(v), rtol=1e-15)
    x = up(np.linspace(-1.5, 2.5, 21))
    for forth, back in zip(up.gap(x, v), down.gap(v, x), strict=True):
        np.testing.assert_array_equal(forth, back)
    assert up.domain.lower == pytest.approx(down.inputs.lower, rel=1e-15, abs=1e-300)


@pytest.mark.parametrize("exponent", [-1.0, -0.4, -3.3])
def test_soft_logarithms_are_defined_beyond_their_end_only(exponent: float) -> None:
    a: Any = activation("soft_exponential", exponent=exponent)
    exact = 1 / Fraction(exponent) - Fraction(exponent)
    low = a.inputs.lower
    assert Fraction(low) <= exact < Fraction(float(np.nextafter(low, np.inf)))
    for ask in (a, a.derivative, a.primitive, a.prox):
        with pytest.raises(DomainError, match=r"activation 'soft_exponential' is defined on .* only; entry \[1\] is"):
            ask(np.array([low + 1.0, low]))
    # With a step below 1 the prox is defined everywhere.
    p = float(a.prox(low - 5.0, 0.5))
    c = -exponent
    assert 0.5 * p + 0.5 * (c + np.expm1(c * p) / c) == pytest.approx(low - 5.0, rel=1e-14)
    with pytest.raises(StepError, match="the slopes are unbounded, so the step must be at most 1"):
        a.prox(1.0, 1.1)


def test_soft_exponential_with_the_exponent_1_is_the_exponential() -> None:
    a = activation("soft_exponential")
    np.testing.assert_array_equal(a(NUMBERS[NUMBERS < 700]), np.exp(NUMBERS[NUMBERS < 700]))
    assert a(1e308) == np.inf
    assert (a.domain.lower, a.domain.closed_lower) == (0.0, True)
    assert float(a.conjugate(0.0)) == 1.0
    np.testing.assert_allclose(a.conjugate([1.0, np.e]), [0.0, 1.0], atol=1e-15)


@pytest.mark.parametrize("sharpness", [1e-6, 0.5, 1.0, 1.5, 20.0, 100.0, 1e4])
def test_soft_clipping_symmetries_and_ends(sharpness: float) -> None:
    a = activation("soft_clipping", sharpness=sharpness)
    np.testing.assert_allclose(a.conjugate([0.0, 1.0]), [0.0, 0.5], atol=1e-16)
    np.testing.assert_array_equal(a.penalty([0.0, 1.0]), 0.0)
    assert a.conjugate(-5e-324) == a.conjugate(np.nextafter(1.0, 2)) == np.inf
    assert float(a(0.5)) == pytest.approx(0.5, rel=1e-15)
    v = np.array([0.75, 1.0, 1.25, 1.5]) - 1.0
    np.testing.assert_allclose(a(1 - v), 1 - a(v), rtol=1e-14)
    np.testing.assert_allclose(a.primitive(1 - v), a.primitive(v) + 0.5 - v, rtol=1e-13)


@pytest.mark.parametrize("sharpness", [1e-6, 0.5, 1.0, 1.5, 20.0, 100.0])
@pytest.mark.parametrize("z", [1e-200, 1e-12, 1e-3, 0.2, 0.5, 0.9])
def test_soft_clipping_penalty_keeps_its_digits(sharpness: float, z: float) -> None:
    """f is the integral of (log(1 - e^(-s t)) - log(1 - e^(-s (1 - t))))/s; it is small at the ends."""
    from activation_cases.arithmetic import dilog

    with mpmath.workdps(260):
        s, t = mpf(sharpness), mpf(z)
        exact = (dilog(mpmath.exp(-s * t)) + dilog(mpmath.exp(-s * (1 - t))) - dilog(mpmath.exp(-s))) / s**2
        exact -= mpmath.pi**2 / 6 / s**2
        assert float(activation("soft_clipping", sharpness=sharpness).penalty(z)) == pytest.approx(
            float(exact), rel=2e-14
        )


@pytest.mark.parametrize("sharpness", [0.5, 3.0, 40.0])
def test_soft_clipping_is_steepest_in_the_middle(sharpness: float) -> None:
    a: Any = activation("soft_clipping", sharpness=sharpness)
    with mpmath.workdps(40):
        steepest = mpmath.tanh(mpf(sharpness) / 4)
        assert abs(mpf(a.slope_range_exact[1].digits) - steepest) < mpf(10) ** -29
        assert abs(soft_clipping_slope(a, mpf(0.5)) - steepest) < mpf(10) ** -35
        assert mpmath.diff(lambda v: soft_clipping_slope(a, v), 0.5) == pytest.approx(0, abs=1e-15)
    assert a.slope_range[1] >= float(a.derivative(0.5)) * (1 - 1e-15)


@pytest.mark.parametrize("options", [{}, {"center": 0.3, "width_excess": 0.7}, {"width_excess": -3.0}])
def test_inverse_multiquadric_slopes(options: dict[str, float]) -> None:
    a: Any = activation("inverse_multiquadric", **options)
    with mpmath.workdps(50):
        c = abs(1 + mpf(a.width_excess))
        steepest = 2 / (3 * root(mpf(3)) * c**2)
        for end, sign in zip(a.slope_range_exact, (-1, 1), strict=True):
            place = mpf(a.center) - sign * c / root(mpf(2))
            assert abs(SLOPES[a.name](a, place) - sign * steepest) < mpf(10) ** -40
            assert abs(mpf(end.digits) - sign * steepest) < mpf(10) ** -29
            assert end.attained
    assert (
        activation("inverse_multiquadric", width_excess=-2.0).slope_range
        == activation("inverse_multiquadric").slope_range
    )


def test_multiquadric_without_width_is_the_absolute_value() -> None:
    from flint import fmpq

    a: Any = activation("multiquadric", center=0.25, width=0.0)
    v = np.array([-2.0, 0.25, 1.0, 1e308, -1e308])
    np.testing.assert_array_equal(a(v), np.abs(v - 0.25))
    np.testing.assert_array_equal(a.derivative(v), [-1, 0, 1, 1, -1])
    np.testing.assert_allclose(a.primitive(v[:3]), np.array([-2.53125, 0, 0.28125]), rtol=1e-15)
    assert [end.attained for end in a.slope_range_exact] == [True, True]
    assert a.flint_response_at(fmpq(-1, 3)) == fmpq(7, 12)
    wide: Any = activation("multiquadric", width=2.0)
    assert [end.attained for end in wide.slope_range_exact] == [False, False]
    assert wide.slope_range == (-1.0, 1.0)


@pytest.mark.parametrize(("center", "width"), [(0.0, 1.0), (0.3, 1e-3), (-2.0, 1e200), (0.0, 1e-200)])
def test_multiquadric_primitives(center: float, width: float) -> None:
    a = activation("multiquadric", center=center, width=width)
    v = np.array([-1e5, -1.0, 1e-9, 0.4, 7.0])
    with mpmath.workdps(700):
        for t, value in zip(v.tolist(), a.primitive(v).tolist(), strict=True):
            u, w = mpf(t) - mpf(center), mpf(width)
            exact = (u * root(u * u + w * w) + w * w * mpmath.asinh(u / w)) / 2
            assert abs(value - exact) <= 1e-15 * abs(exact)
