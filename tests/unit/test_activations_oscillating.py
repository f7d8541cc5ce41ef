"""Gated, oscillating and bell-shaped activations: closed forms at many digits, tails, flat points, proved slopes."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
import pytest
from activation_cases.oscillating import inverse, snake_gap
from mpmath import mpf

from nngames.activations import Activation, activation
from nngames.claims.slope_proofs import prove_slopes
from nngames.core.ball_ranges import working_precision
from nngames.core.errors import NotApplicableError, OptionError

RESPONSES: dict[str, Callable[[Any, Any], Any]] = {
    "gelu": lambda a, v: mpf(a.scale) * v * mpmath.erfc(-v / mpmath.sqrt(2)) / 2,
    "gelu_tanh": lambda a, v: (
        mpf(a.scale) * v / (1 + mpmath.exp(-2 * mpmath.sqrt(2 / mpmath.pi) * (v + mpf("0.044715") * v**3)))
    ),
    "mish": lambda a, v: v * mpmath.tanh(mpmath.log1p(mpmath.exp(v))),
    "gaussian": lambda a, v: mpmath.exp(-v * v),
    "linear_gaussian": lambda a, v: v * mpmath.exp(-v * v),
    "sin": lambda a, v: mpmath.sin(v),
    "sinc": lambda a, v: mpmath.sinc(v),
    "absolute_value": lambda a, v: abs(v),
    "hardswish": lambda a, v: v * min(max(v + 3, mpf(0)), mpf(6)) / 6,
    "snake": lambda a, v: v + mpmath.sin(a.frequency * v) ** 2 / mpf(a.frequency),
    "tanhshrink": lambda a, v: v - mpmath.tanh(v),
    "sinu_sigmoidal": lambda a, v: (v + a.amplitude * mpmath.sin(a.frequency * v)) / (1 + mpmath.exp(-v)),
}
CASES = [
    *((name, {}) for name in RESPONSES),
    ("gelu", {"scale": -0.3}),
    ("gelu_tanh", {"scale": 2.5}),
    ("snake", {"frequency": -0.25}),
    ("sinu_sigmoidal", {"amplitude": -1.0}),
    ("sinu_sigmoidal", {"amplitude": 0.25, "frequency": 8.0}),
]
each = pytest.mark.parametrize(("name", "options"), CASES, ids=str)


def spread(seed: int) -> np.ndarray:
    """Numbers of all sizes from 1e-12 to 40."""
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.normal(size=60) * 3, 10.0 ** rng.uniform(-12, 1.6, 60) * rng.choice([-1, 1], 60)])


@each
def test_response_has_fourteen_digits(name: str, options: dict[str, float]) -> None:
    a = activation(name, **options)
    v = spread(1)
    with mpmath.workdps(50):
        for drive, response in zip(v.tolist(), a(v).tolist(), strict=True):
            exact = RESPONSES[name](a, mpf(drive))
            if abs(exact) < 1e-300:
                assert abs(response) < 1e-299
                continue
            # Only the products v * frequency and sums of terms of opposite signs cost more.
            assert abs(mpf(response) - exact) <= mpf("1e-14") * abs(exact), drive


@each
def test_slope_is_the_derivative(name: str, options: dict[str, float]) -> None:
    a = activation(name, **options)
    v = spread(2)
    with mpmath.workdps(60):
        h = mpf(10) ** -25
        for drive, slope in zip(v.tolist(), a.derivative(v).tolist(), strict=True):
            exact = (RESPONSES[name](a, mpf(drive) + h) - RESPONSES[name](a, mpf(drive) - h)) / (2 * h)
            assert abs(mpf(slope) - exact) <= mpf("1e-13") * abs(exact) + mpf("2e-14") * (abs(exact) > 1e-5), drive


@each
@pytest.mark.parametrize("end", [-34.0, -1.02, -0.98, -1e-4, 0.35, 1.02, 7.5])
def test_primitive_is_the_integral(name: str, options: dict[str, float], end: float) -> None:
    a = activation(name, **options)
    with mpmath.workdps(25):
        pieces = sorted({0.0, end, *(t for t in np.linspace(-33, 33, 23).tolist() if min(0, end) < t < max(0, end))})
        exact = mpmath.quad(lambda v: RESPONSES[name](a, v), pieces) * (1 if end > 0 else -1)
        value = float(a.primitive(end)) - float(a.primitive(0.0))
        assert value == pytest.approx(float(exact), rel=2e-14)


@each
def test_slope_range_is_proved(name: str, options: dict[str, float]) -> None:
    assert prove_slopes(activation(name, **options)).proved


@pytest.mark.parametrize("name", ["gelu", "gelu_tanh", "mish", "gaussian", "linear_gaussian", "sinc", "sinu_sigmoidal"])
def test_inner_extremes_are_slopes_at_zeros_of_the_second_derivative(name: str) -> None:
    a = activation(name)

    def response(v: Any) -> Any:
        return RESPONSES[name](a, v)

    with mpmath.workdps(60):
        for end in a.slope_range_exact:
            middle = mpf(sum(end.pair)) / 2
            place = mpmath.findroot(lambda v: mpmath.diff(response, v, 2), middle)
            assert abs(place - middle) < 1e-5
            slope = mpmath.diff(response, place)
            assert abs(mpf(end.digits) - slope) <= mpf(10) ** -29 * max(1, abs(slope))


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("gelu", "-0.128904145185154786340744442262", "1.12890414518515478634074444226"),
        ("gelu_tanh", "-0.128993068658771765455904470400", "1.12899306865877176545590447040"),
        ("mish", "-0.112526122389462556407327901149", "1.08849816125172786122829362739"),
        ("gaussian", "-0.857763884960706796480189641279", "0.857763884960706796480189641279"),
        ("linear_gaussian", "-0.446260320296859657866560941528", "1"),
        ("sinc", "-0.436181817271458495088788056883", "0.436181817271458495088788056883"),
        ("sinu_sigmoidal", "-0.235864268482946000454821576723", "2.00797072252265746832888545141"),
        ("sin", "-1", "1"),
        ("absolute_value", "-1", "1"),
        ("hardswish", "-0.500000000000000000000000000000", "1.50000000000000000000000000000"),
        ("snake", "0", "2"),
        ("tanhshrink", "0", "1"),
    ],
)
def test_slope_ends_to_thirty_digits(name: str, low: str, high: str) -> None:
    assert tuple(end.digits for end in activation(name).slope_range_exact) == (low, high)


def test_gelu_extremes_are_at_the_roots_of_two() -> None:
    with mpmath.workdps(50):
        root, low = mpmath.sqrt(2), activation("gelu").slope_range_exact[0]
        assert mpmath.almosteq(mpf(low.digits), mpmath.ncdf(-root) - root * mpmath.npdf(root), mpf(10) ** -29)


def test_a_negative_scale_flips_the_slopes_and_zero_is_a_point() -> None:
    for name in ("gelu", "gelu_tanh"):
        low, high = activation(name).slope_range
        flipped = activation(name, scale=-2.0).slope_range
        assert flipped == pytest.approx((-2 * high, -2 * low), rel=1e-15)
        flat = activation(name, scale=0.0)
        assert flat.slope_range == (0.0, 0.0)
        assert str(flat.domain) == "{0}^n"


def test_hardswish_is_rational_for_a_rational() -> None:
    from flint import fmpq

    a = activation("hardswish")
    assert a.flint_response([fmpq(-3), fmpq(-1), fmpq(1, 3), fmpq(3), fmpq(7)]) == [0, fmpq(-1, 3), fmpq(5, 27), 3, 7]
    assert a(np.array([-3.0, -1.0, 3.0, 7.0])).tolist() == [0.0, -1 / 3, 3.0, 7.0]
    assert a.derivative(np.array([-4.0, -3.0, 0.0, 3.0, 4.0])).tolist() == [0.0, -0.25, 0.5, 1.25, 1.0]


def test_values_where_the_exponential_underflows() -> None:
    """Results that are normal numbers keep their digits; the exponential in them is none."""
    for name, v in (("mish", -712.3), ("sinu_sigmoidal", -712.3), ("gelu_tanh", -21.1), ("gelu", -37.4)):
        a = activation(name)
        with mpmath.workdps(40):
            exact = RESPONSES[name](a, mpf(v))
        assert abs(exact) > 2.3e-308
        assert float(a(v)) == pytest.approx(float(exact), rel=1e-14)


# Snake


@pytest.mark.parametrize("turn", [0, 1, -1, 7, -2000, 10**6])
def test_snake_gap_next_to_a_flat_point_is_relatively_accurate(turn: int) -> None:
    """There r is flat to the third order: the inverse is conditioned as a cube root, the gap is of the fourth order."""
    a = activation("snake")
    flat = -np.pi / 4 + np.pi * turn
    for distance in (1e-4, 3e-3, -0.02):
        v, w = flat + distance, flat - 2 * distance
        if abs(distance) < 1e-7 * abs(flat):
            continue
        x = float(a(w))
        value, error = (float(t) for t in a.gap(np.array(x), np.array(v)))
        with mpmath.workdps(60):
            exact = snake_gap(a, mpf(x), mpf(v))
        assert abs(value - exact) <= error
        assert error <= 1e-9 * max(1, abs(turn)) * exact
        assert 0 < exact < 1e-5


def test_snake_conjugate_and_penalty() -> None:
    a = activation("snake", frequency=2.0)
    z = np.concatenate([np.linspace(-4, 4, 41), [1e-12, -1e-12, 1e5]])
    with mpmath.workdps(50):
        for action, conjugate, penalty in zip(z.tolist(), a.conjugate(z).tolist(), a.penalty(z).tolist(), strict=True):
            x = mpf(action)
            w = inverse(lambda t, x=x: t + mpmath.sin(2 * t) ** 2 / 2 - x, x - 1, x + 1) if action else mpf(0)
            exact = x * w - w * w / 2 - w / 4 + mpmath.sin(4 * w) / 16
            assert conjugate == pytest.approx(float(exact), rel=1e-13)
            assert penalty == pytest.approx(float(exact - x * x / 2), rel=1e-12, abs=1e-20)


def test_snake_penalty_is_weakly_convex_with_modulus_one_half() -> None:
    assert activation("snake", frequency=5.0).penalty_modulus == 0.5
    with pytest.raises(OptionError, match="frequency must not be 0"):
        activation("snake", frequency=0.0)


@pytest.mark.parametrize(
    "a", [activation("snake"), activation("snake", frequency=3.0), activation("tanhshrink")], ids=str
)
def test_conjugate_balls_are_narrow_and_hold_the_conjugate(a: Activation) -> None:
    from flint import arb, fmpq

    for z in (fmpq(0), fmpq(1, 10**9), fmpq(-1, 7), fmpq(5, 4), fmpq(-300)):
        value = float(a.conjugate(float(z.p) / float(z.q)))
        for bits in (53, 200):
            with working_precision(bits):
                enclosure = a.flint_conjugate([z])
                assert float(enclosure.rad()) <= 2.0 ** (8 - bits) * abs(value)
            assert float(enclosure) == pytest.approx(value, rel=1e-13)
    wide = a.flint_conjugate([arb(0.5, 0.25)])
    for z in np.linspace(0.25, 0.75, 11):
        assert arb(wide).overlaps(arb(float(a.conjugate(z)), 1e-13))


# Tanhshrink


def test_tanhshrink_penalty_is_a_power_near_zero() -> None:
    """f = (3z)^(4/3)/4 (1 + O(z^(2/3))), and f grows as |z| less a constant."""
    a = activation("tanhshrink")
    z = np.array([1e-30, 1e-21, -1e-18])
    np.testing.assert_allclose(a.penalty(z), np.cbrt(3 * np.abs(z)) ** 4 / 4, rtol=1e-10)
    assert float(a.penalty(1e6)) == pytest.approx(1e6 + 0.5 - np.log(2.0), rel=1e-15)
    assert float(a.penalty(1e308)) == 1e308


def test_tanhshrink_inverse_has_relative_accuracy() -> None:
    from nngames.activations.tanhshrink import Tanhshrink

    z = 10.0 ** np.linspace(-300, 5, 62)
    w = Tanhshrink().inverse(z)
    with mpmath.workdps(340):
        for action, own in zip(z.tolist()[::4], w.tolist()[::4], strict=True):
            residual = mpf(own) - mpmath.tanh(mpf(own)) - mpf(action)
            assert abs(residual) <= 32 * np.finfo(float).eps * mpf(action)


# Sinu-sigmoidal


@pytest.mark.parametrize(
    ("amplitude", "frequency", "limit"),
    [
        (1.0, 1.0, False),
        (-1.0, 1.0, False),
        (0.5, 3.0, True),
        (-2.0, 5.0, True),
        (10.0, 3.0, True),
        (0.05, 40.0, True),
        (0.01, 70.0, False),
        (-100.0, 0.01, False),
        (2e4, 0.01, True),
        (1.0, 100.0, True),
        (1e-5, 1e-5, False),
    ],
)
def test_sinu_slopes_are_enclosed_and_met(amplitude: float, frequency: float, limit: bool) -> None:
    a = activation("sinu_sigmoidal", amplitude=amplitude, frequency=frequency)
    size = abs(Fraction(amplitude) * Fraction(frequency))
    low, high = a.slope_range_exact
    assert low.attained is not limit
    assert low.rational is limit
    if limit:
        assert low.number == 1 - size
    assert high.attained
    assert high.ball() > 1 + float(size) * (1 - 1e-15) - 1e-15
    grid = np.concatenate([np.linspace(-30, 30, 40001), *(np.linspace(*end.pair, 101) for end in (low, high))])
    slopes = a.derivative(grid)
    least, greatest = (float(end.ball()) for end in (low, high))
    slack = 1e-12 * (1 + float(size))
    assert slopes.min() == pytest.approx(least, abs=slack + (1e-9 if limit else 0))
    assert slopes.max() == pytest.approx(greatest, abs=slack)
    assert slopes.min() >= least - slack
    assert slopes.max() <= greatest + slack


def test_sinu_without_oscillation_is_silu() -> None:
    silu, v = activation("silu"), np.linspace(-5, 5, 11)
    for options in ({"amplitude": 0.0}, {"frequency": 0.0}):
        a = activation("sinu_sigmoidal", **options)
        np.testing.assert_array_equal(a(v), silu(v))
        np.testing.assert_array_equal(a.primitive(v), silu.primitive(v))
        assert a.slope_range == silu.slope_range


def test_sinu_is_never_monotone_and_says_so_without_its_slopes() -> None:
    for amplitude, frequency in ((1.0, 1.0), (1e-9, 1e3), (-0.5, 2.0)):
        a = activation("sinu_sigmoidal", amplitude=amplitude, frequency=frequency)
        assert not a.monotone
        place = -2 * (1 + abs(amplitude * frequency)) - abs(amplitude) - 0.1
        assert float(a.derivative(place)) < 0


def test_sinu_refuses_what_it_cannot_prove() -> None:
    with pytest.raises(OptionError, match=r"frequency must be at most 1000 in size; got 2000\.0"):
        activation("sinu_sigmoidal", frequency=2000.0)
    with pytest.raises(OptionError, match=r"amplitude must be at most 1e\+06 in size"):
        activation("sinu_sigmoidal", amplitude=-1e7)
    a = activation("sinu_sigmoidal", amplitude=1e-9, frequency=1e3)
    with pytest.raises(NotApplicableError, match=r"amplitude=1e-09 and frequency=1000\.0 have no proved range"):
        _ = a.slope_range
