"""Facts special to clipped lines and shrinkage."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from flint import fmpq

from nngames.activations import activation
from nngames.core.errors import OptionError, StepError


def test_piecewise_linear_is_continuous_at_its_kinks() -> None:
    a = activation("piecewise_linear")
    v = np.array([-0.5, np.nextafter(-0.5, 0), 0.0, 0.5 - 2.0**-53, 0.5, np.nextafter(0.5, 1)])
    np.testing.assert_array_equal(a(v), [0, 2.0**-54, 0.5, 1 - 2.0**-53, 1, 1])
    np.testing.assert_array_equal(a.derivative(v), [0, 1, 1, 1, 0, 0])
    np.testing.assert_array_equal(a.penalty([0.0, 0.25, 1.0]), [0, -0.125, -0.5])


def test_hard_sigmoid_is_relu6_of_v_plus_3_over_6_exactly() -> None:
    a = activation("hard_sigmoid")
    for numerator in range(-40, 41):
        v = fmpq(numerator, 7)
        (r,) = a.flint_response([v])
        assert r == min(max(v + 3, fmpq(0)), fmpq(6)) / 6
        assert float(a(numerator / 7)) == pytest.approx(int(r.p) / int(r.q), rel=1e-15, abs=1e-16)
    assert a.slope_range_exact[1].number == Fraction(1, 6)
    assert a.slope_range == (0.0, np.nextafter(1 / 6, 1))
    # Next to the lower kink the response keeps its relative accuracy.
    assert float(a(-3 + 2.0**-40)) == pytest.approx(2.0**-40 / 6, rel=1e-15)


@pytest.mark.parametrize(("name", "width"), [("piecewise_linear", 1), ("hard_sigmoid", 6)])
def test_prox_of_a_clipped_line_meets_its_optimality_condition(name: str, width: int) -> None:
    a = activation(name)
    for u, step in product((-2.0, -0.3, 0.0, 0.4, 0.9, 3.0), (0.1, 0.5, 1.0, 4.0)):
        p = float(a.prox(u, step))
        # The derivative of step f(p) + (p - u)^2/2, which points out of [0, 1] at an end.
        slope = step * ((width - 1) * p - width / 2) + p - u
        assert abs(slope) < 1e-14 or (p == 0 and slope > 0) or (p == 1 and slope < 0)
    # For endless steps only f counts: its minimum on [0, 1].
    minimiser = 1.0 if width == 1 else 0.6
    assert float(a.prox(0.3, 1e308)) == pytest.approx(minimiser, rel=1e-15)


def test_the_two_names_of_soft_thresholding_agree() -> None:
    v = np.random.default_rng(0).normal(size=200) * 2
    one, other = activation("softshrink", lambda_=0.7), activation("soft_threshold", threshold=0.7)
    np.testing.assert_array_equal(one(v), other(v))
    np.testing.assert_array_equal(one(v), np.sign(v) * np.maximum(np.abs(v) - 0.7, 0))
    np.testing.assert_array_equal(one.gap(v, v[::-1]), other.gap(v, v[::-1]))
    # The prox of step * 0.7 |z| thresholds at step * 0.7.
    np.testing.assert_array_equal(one.prox(v, 3.0), activation("softshrink", lambda_=3.0 * 0.7)(v))


@pytest.mark.parametrize(
    "options", [("softshrink", "lambda_"), ("soft_threshold", "threshold"), ("hardshrink", "lambda_")]
)
def test_thresholds_of_zero_make_the_identity_and_negative_ones_no_sense(options: tuple[str, str]) -> None:
    name, parameter = options
    a = activation(name, **{parameter: 0.0})
    v = np.array([-2.0, -0.0, 0.0, 1e-300, 3.0])
    np.testing.assert_array_equal(a(v), v)
    np.testing.assert_array_equal(a.derivative(v), 1.0)
    np.testing.assert_array_equal(a.penalty(v), 0.0)
    np.testing.assert_array_equal(a.prox(v, 5.0), v)
    assert (a.slope_range, a.continuous, a.averagedness) == ((1.0, 1.0), True, 0.0)
    with pytest.raises(OptionError, match=f"{parameter} must not be negative; got -0.5"):
        activation(name, **{parameter: -0.5})


@pytest.mark.parametrize("name", ["softshrink", "hardshrink"])
def test_thresholds_beyond_single_precision_leave_nothing(name: str) -> None:
    a = activation(name, lambda_=1e300)
    with np.errstate(all="raise"):
        np.testing.assert_array_equal(a(np.array([-3e38, 1.0], dtype=np.float32)), 0.0)


def test_hardshrink_jumps_between_two_minimisers() -> None:
    a = activation("hardshrink", lambda_=1.5)
    v = np.array([-1.5, 1.5, np.nextafter(1.5, 2)])
    np.testing.assert_array_equal(a(v), [0, 0, v[2]])
    z = np.linspace(-3, 3, 601)
    cost = a.penalty(z) + 0.5 * (z - 1.5) ** 2
    best = cost <= cost.min() + 1e-12
    np.testing.assert_allclose(z[best], np.linspace(0, 1.5, 151), atol=1e-12)
    assert a.slope_range == (0.0, np.inf)
    assert not a.continuous
    assert a.not_averaged_because == "it is not continuous"
    assert a.penalty_modulus == 1.0


def test_hardshrink_prox_is_firm_thresholding_below_step_one() -> None:
    a = activation("hardshrink", lambda_=2.0)
    u = np.array([-3.0, -2.0, -1.5, -1.0, 0.0, 0.5, 1.25, 1.75, 2.0, 5.0])
    np.testing.assert_array_equal(a.prox(u, 0.5), [-3, -2, -1, 0, 0, 0, 0.5, 1.5, 2, 5])
    np.testing.assert_array_equal(a.prox(u, 1.0), a(u))
    below = 1 - 2.0**-40
    # From 2 * step to 2 the prox rises from 0 to 2.
    middle = 2 - 2.0**-40
    assert a.prox([2 * below, middle, 2.0], below) == pytest.approx([0.0, 1.0, 2.0], abs=1e-15)
    with pytest.raises(StepError, match="the slopes are unbounded, so the step must be at most 1"):
        a.prox(u, 1.0000001)


def test_hardshrink_gap_is_exact_on_short_dyadic_numbers() -> None:
    a, t = activation("hardshrink", lambda_=0.75), Fraction(3, 4)
    numbers = [k / 8 for k in range(-16, 17)]
    for x, v in product(numbers, numbers):
        action, drive = Fraction(x), Fraction(v)
        own = t * abs(action) if abs(action) <= t else (action**2 + t**2) / 2
        exact = own + max(drive**2 - t**2, Fraction(0)) / 2 - action * drive
        assert Fraction(float(a.gap(np.array(x), np.array(v))[0])) == exact
