"""Proved ranges of functions of one variable against closed forms and, as a second route, mpmath."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import flint
import mpmath
import numpy as np
import pytest
from flint import arb, ctx, fmpq
from hypothesis import given, settings
from hypothesis import strategies as st

from nngames.core.ball_ranges import Extreme, Range, as_ball, enclose_range, working_precision
from nngames.core.errors import InputError

DIGITS = 60


def logistic(x: Any) -> Any:
    return 1 / (1 + (-x).exp())


def tanh(x: Any) -> Any:
    q = (-2 * x).exp()
    return (1 - q) / (1 + q)


def silu(x: Any) -> Any:
    return x * logistic(x)


def number(value: Any) -> arb:
    """Return a number as a ball: exactly if rational, and from mpmath with its rounding error."""
    if isinstance(value, mpmath.mpf):
        man, exp = int(value.man) * (-1 if value < 0 and value.man > 0 else 1), int(value.exp)
        return arb((man, exp), abs(arb((man, exp))) * arb(10) ** (3 - DIGITS) + arb(10) ** (3 - DIGITS))
    return as_ball(value)


def agree(extreme: Extreme, value: Any, radius: float = 1e-35) -> bool:
    """Return whether an extreme is narrow and its enclosure meets the value known from elsewhere."""
    with working_precision(250):
        return bool(extreme.value.rad() <= radius and extreme.value.overlaps(number(value)))


def at(extreme: Extreme, place: Any) -> bool:
    with working_precision(250):
        return bool(extreme.resolved and extreme.place.rad() < 1e-30 and extreme.place.overlaps(number(place)))


def refutes(extreme: Extreme, value: Any) -> bool:
    """Return whether the enclosure excludes a value next to the right one."""
    with working_precision(250):
        return not any(extreme.value.overlaps(number(value) + shift) for shift in (arb("1e-30"), arb("-1e-30")))


@pytest.fixture(autouse=True)
def _mpmath_digits() -> Any:
    with mpmath.workdps(DIGITS):
        yield


CASES: dict[str, tuple[Callable[[Any], Any], Any, Any, Callable[[], tuple[Any, Any, Any, Any]]]] = {
    # The function, the ends, and the minimum, its place, the maximum and its place.
    "linear": (lambda x: 3 - 2 * x, -1, 4, lambda: (-5, 4, 5, -1)),
    "end": (lambda x: x.exp(), -1, 0.5, lambda: (mpmath.exp(-1), -1, mpmath.exp(0.5), 0.5)),
    "rational end": (
        lambda x: x * x,
        Fraction(1, 3),
        fmpq(2, 3),
        lambda: (Fraction(1, 9), Fraction(1, 3), Fraction(4, 9), Fraction(2, 3)),
    ),
    "sine on a short interval": (lambda x: x.sin(), 1, 5, lambda: (-1, 3 * mpmath.pi / 2, 1, mpmath.pi / 2)),
    "inside and at an end": (lambda x: x * x.log(), 0.125, 1, lambda: (-mpmath.exp(-1), mpmath.exp(-1), 0, 1)),
    "x exp(-x^2)": (
        lambda x: x * (-x * x).exp(),
        -3,
        5,
        lambda: (
            -mpmath.exp(-0.5) / mpmath.sqrt(2),
            -mpmath.sqrt(0.5),
            mpmath.exp(-0.5) / mpmath.sqrt(2),
            mpmath.sqrt(0.5),
        ),
    ),
    "second slope of tanh": (
        lambda x: tanh(x).derivative().derivative(),
        -6,
        6,
        lambda: (
            -4 / (3 * mpmath.sqrt(3)),
            mpmath.atanh(1 / mpmath.sqrt(3)),
            4 / (3 * mpmath.sqrt(3)),
            -mpmath.atanh(1 / mpmath.sqrt(3)),
        ),
    ),
    "slope of gelu": (
        lambda x: (x * (1 + (x / arb(2).sqrt()).erf()) / 2).derivative(),
        -30,
        30,
        # Its own slope is (2 - x^2) times the normal density.
        lambda: (
            mpmath.ncdf(-mpmath.sqrt(2)) - mpmath.sqrt(2) * mpmath.npdf(mpmath.sqrt(2)),
            -mpmath.sqrt(2),
            mpmath.ncdf(mpmath.sqrt(2)) + mpmath.sqrt(2) * mpmath.npdf(mpmath.sqrt(2)),
            mpmath.sqrt(2),
        ),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_ranges_with_closed_forms(case: str) -> None:
    function, lower, upper, known = CASES[case]
    least, where_least, greatest, where_greatest = known()
    found = enclose_range(function, lower, upper)
    assert agree(found.low, least)
    assert agree(found.high, greatest)
    assert at(found.low, where_least)
    assert at(found.high, where_greatest)
    assert found.low.rivals == found.high.rivals == 0
    # A value that is off by 1e-30 is refuted, so that agreement is no matter of wide enclosures.
    assert refutes(found.low, least)
    assert refutes(found.high, greatest)


def test_slope_of_silu() -> None:
    """With t tanh(t/2) = 2 the extremes are (2 -+ t)/4, taken at -+t."""
    t = mpmath.findroot(lambda t: t * mpmath.tanh(t / 2) - 2, 2.4)
    for reach in (30, 700):
        found = enclose_range(lambda x: silu(x).derivative(), -reach, reach, exact_points=(0,))
        assert agree(found.low, (2 - t) / 4)
        assert agree(found.high, (2 + t) / 4)
        assert at(found.low, -t)
        assert at(found.high, t)
        assert refutes(found.high, (2 + t) / 4)


def test_exact_maximum_at_an_exact_point() -> None:
    for reach in (6, 30):
        found = enclose_range(lambda x: tanh(x).derivative(), -reach, reach, exact_points=(0,))
        assert found.high == Extreme(arb(1), arb(0), True)
        assert found.high.value.is_exact()
        assert found.high.place.is_exact()
        # The two ends tie, and their values cannot be told apart.
        assert found.low.rivals == 1
        assert found.low.resolved
        assert agree(found.low, mpmath.sech(reach) ** 2)
    without = enclose_range(lambda x: tanh(x).derivative(), -6, 6)
    assert not without.high.value.is_exact()
    assert agree(without.high, 1)


def test_exact_points_that_are_not_critical_are_no_candidates() -> None:
    found = enclose_range(lambda x: x * x, -1, 2, exact_points=(1, Fraction(1, 3), 5))
    assert (found.low.value, found.high.value) == (0, 4)
    assert found.low.place == 0


def test_equal_extremes() -> None:
    """Where extremes tie, the value encloses all and is resolved, and the rivals are counted."""
    found = enclose_range(lambda x: x.sin(), 0, 10)
    assert agree(found.high, 1)
    assert found.high.resolved
    assert found.high.rivals == 1
    assert agree(found.low, -1)
    assert found.low.rivals == 0
    assert at(found.low, 3 * mpmath.pi / 2)
    # Values that are exact tie without doubt.
    found = enclose_range(lambda x: x * x, -3, 3)
    assert found.high == Extreme(arb(9), found.high.place, True)
    assert abs(found.high.place) == 3
    # An exact value and one that is only known to be close to it.
    found = enclose_range(lambda x: x.cos(), 0, 7)
    assert found.high.value.contains(1)
    assert found.high.rivals == 1


@pytest.mark.parametrize(
    "function", [lambda x: 0 * x + 3, lambda x: 3, lambda x: (x + 3) - x, lambda x: x * x + 3 - x * x]
)
def test_constant_functions(function: Callable[[Any], Any]) -> None:
    found = enclose_range(function, -1, 1)
    assert found.low.value.overlaps(arb(3))
    assert found.high.value.overlaps(arb(3))
    assert found.low.value.rad() < 1e-40
    assert found.boxes == 1


def test_naive_evaluation_overestimates() -> None:
    """Over [0, 4] the terms of (x^2 - 4 x + 4) (1 + x) - (x - 2)^2 x, which is (x - 2)^2, cancel."""

    def function(x: Any) -> Any:
        return (x * x - 4 * x + 4) * (1 + x) - (x - 2) * (x - 2) * x

    naive = function(arb(2, 2))
    assert naive.lower() < -20
    found = enclose_range(function, 0, 3)
    assert agree(found.low, 0)
    assert agree(found.high, 4)
    assert at(found.low, 2)


@pytest.mark.parametrize("power", [4, 5, 6])
def test_degenerate_critical_points(power: int) -> None:
    """A critical point of higher order is one point if it is given, and a small unresolved box else."""
    given_point = enclose_range(lambda x: (x - 0.5) ** power, -1, 1, exact_points=(0.5,))
    searched = enclose_range(lambda x: (x - 0.5) ** power, -1, 1)
    least = Fraction(0) if power % 2 == 0 else Fraction(-3, 2) ** power
    assert given_point.low.value == as_ball(least)
    assert given_point.low.resolved
    assert agree(searched.low, least)
    assert searched.low.resolved == (power % 2 == 1)
    assert searched.boxes < 1000


def test_inexact_ends() -> None:
    """An end that is known as a ball is covered wherever it is in the ball."""
    ball = arb(1, 0.25)
    found = enclose_range(lambda x: x * x - x, ball, 2)
    for end in np.linspace(0.75, 1.25, 11):
        exact = enclose_range(lambda x: x * x - x, float(end), 2)
        assert found.low.value.contains(exact.low.value)
    assert found.high == Extreme(arb(2), arb(2), True)
    with working_precision(250):
        pi = arb.pi()
    found = enclose_range(lambda x: x.sin(), 0, pi)
    assert agree(found.low, 0)
    assert agree(found.high, 1)
    # The maximum in an inexact end's ball.
    assert agree(enclose_range(lambda x: x.sin(), 0, pi / 2, digits=15).high, 1, 1e-30)
    point = enclose_range(lambda x: x.exp(), 1, 1)
    assert point.low == point.high or point.low.value.overlaps(point.high.value)
    assert at(point.low, 1)


def test_a_critical_point_too_close_to_an_end_is_not_claimed() -> None:
    """The end is 1e-75 off pi/2, which 114 bits cannot tell: whether the slope vanishes before it stays open."""
    with working_precision(250):
        for end in ((arb.pi() / 2).lower(), (arb.pi() / 2).upper()):
            found = enclose_range(lambda x: x.sin(), 0, end, digits=15)
            assert agree(found.high, 1, 1e-29)
            assert not found.high.resolved
            assert found.low == Extreme(arb(0), arb(0), True)


def test_too_few_boxes_give_a_wide_rigorous_range() -> None:
    def function(x: Any) -> Any:
        return (x * x).sin() + x / 10

    fine = enclose_range(function, 0, 20)
    assert fine.high.resolved
    for boxes in (1, 10, 40):
        coarse = enclose_range(function, 0, 20, max_boxes=boxes)
        assert coarse.boxes == boxes
        assert not coarse.high.resolved
        assert coarse.low.value.overlaps(fine.low.value)
        assert coarse.high.value.contains(fine.high.value)
        assert coarse.high.value.rad() > 0.01


def test_functions_that_cannot_be_evaluated_have_no_finite_range() -> None:
    for function in (lambda x: 1 / x, lambda x: x.log(), lambda x: x.sqrt()):
        found = enclose_range(function, -1, 4, max_boxes=500)
        assert not found.low.value.is_finite()
        assert not found.low.resolved
        assert not found.high.resolved


RATIONALS = st.fractions(min_value=-5, max_value=5, max_denominator=12)


def check_cubic(coefficients: tuple[Fraction, ...], lower: Fraction, upper: Fraction, found: Range) -> None:
    """Check a cubic's range: at its exact ends and at its critical points from mpmath and from numpy."""

    def value(x: Any) -> Any:
        return sum(mpmath.mpf(c.numerator) / c.denominator * x**k for k, c in enumerate(coefficients))

    ends = [mpmath.mpf(end.numerator) / end.denominator for end in (lower, upper)]
    c1, c2, c3 = (mpmath.mpf(c.numerator) / c.denominator * k for k, c in enumerate(coefficients) if k)
    inner = []
    if c3:
        root = c2 * c2 - 4 * c1 * c3
        inner = [(-c2 + sign * mpmath.sqrt(root)) / (2 * c3) for sign in (1, -1)] if root >= 0 else []
    elif c2:
        inner = [-c1 / c2]
    values = [value(x) for x in (*ends, *(x for x in inner if ends[0] <= x <= ends[1]))]
    assert agree(found.low, min(values), 1e-30)
    assert agree(found.high, max(values), 1e-30)
    sampled = np.polynomial.Polynomial([float(c) for c in coefficients])(np.linspace(float(lower), float(upper), 201))
    assert float(found.low.value.lower()) <= sampled.min() + 1e-9
    assert float(found.high.value.upper()) >= sampled.max() - 1e-9


@settings(max_examples=60, deadline=None)
@given(st.tuples(RATIONALS, RATIONALS, RATIONALS, RATIONALS), RATIONALS, RATIONALS)
def test_random_cubics(coefficients: tuple[Fraction, ...], one: Fraction, other: Fraction) -> None:
    lower, upper = min(one, other), max(one, other)

    def cubic(x: Any) -> Any:
        c = [fmpq(c.numerator, c.denominator) for c in coefficients]
        return ((c[3] * x + c[2]) * x + c[1]) * x + c[0]

    with mpmath.workdps(DIGITS):
        check_cubic(coefficients, lower, upper, enclose_range(cubic, lower, upper))


def test_the_checks_refuse_a_wrong_range() -> None:
    """A search that misses the critical points, or is off by 1e-25, does not pass the checks above."""
    coefficients = (Fraction(0), Fraction(-1), Fraction(0), Fraction(1, 3))
    lower, upper = Fraction(-3, 2), Fraction(3, 2)
    found = enclose_range(lambda x: x * x * x / 3 - x, lower, upper)
    check_cubic(coefficients, lower, upper, found)
    ends_only = Extreme(as_ball(Fraction(3, 8)), arb(-1.5), True)
    for wrong in (ends_only, Extreme(found.high.value + arb("1e-25"), arb(-1), True)):
        with pytest.raises(AssertionError):
            check_cubic(coefficients, lower, upper, Range(found.low, wrong, 1))


def test_conversions_are_exact() -> None:
    assert as_ball(2**300 + 1) == arb(2**300 + 1)
    for value in (
        0.1,
        Fraction(0.1),
        fmpq(*(0.1).as_integer_ratio()),
        np.float64(0.1),
        Fraction(3**200, 2**400),
        -7,
        0,
    ):
        ball = as_ball(value)
        assert ball.is_exact()
        man, exp = ball.man_exp()
        assert Fraction(int(man)) * Fraction(2) ** int(exp) == Fraction(*map(int, fraction_of(value)))
    third = as_ball(Fraction(1, 3))
    assert not third.is_exact()
    assert third.contains(fmpq(1, 3))
    assert as_ball(third) is third


def fraction_of(value: Any) -> tuple[Any, Any]:
    return (value.p, value.q) if isinstance(value, fmpq) else value.as_integer_ratio()


def test_precision_is_restored() -> None:
    before = ctx.prec, ctx.cap
    with working_precision(321):
        assert ctx.prec == 321
    enclose_range(lambda x: x.sin(), 0, 1, digits=90)

    def broken(x: Any) -> Any:
        raise TypeError("broken")

    with pytest.raises(TypeError, match="broken"):
        enclose_range(broken, 0, 1)
    assert (ctx.prec, ctx.cap) == before


def test_more_digits_narrow_the_range() -> None:
    radii = [enclose_range(lambda x: silu(x).derivative(), -9, 9, digits=d).high.value.rad() for d in (15, 40, 90)]
    assert radii[0] < 1e-15
    assert radii[1] < 1e-40
    assert radii[2] < 1e-90


@pytest.mark.parametrize(("lower", "upper"), [(1, 0), (float("nan"), 1), (0, float("inf"))])
def test_unusable_intervals_are_refused(lower: float, upper: float) -> None:
    with pytest.raises(InputError, match="lower <= upper"):
        enclose_range(lambda x: x, lower, upper)


def test_a_function_that_keeps_too_few_terms_is_refused() -> None:
    with pytest.raises(InputError, match="too few"):
        enclose_range(lambda x: flint.arb_series([x[0], 1], prec=2), 0, 1)


def test_the_module_imports_without_flint() -> None:
    code = "import sys, nngames.core.ball_ranges; sys.exit('flint' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
