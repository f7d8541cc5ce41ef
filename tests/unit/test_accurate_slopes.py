"""Slopes, penalties and exact ends where a plain formula loses digits: large inputs, tails, small factors."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
import pytest

from nngames.activations import activation

PRECISIONS = [np.float64, np.float32]


def exactly(function: Any, points: np.ndarray) -> np.ndarray:
    """Return the function's values at 400 digits, rounded."""
    with mpmath.workdps(400):
        return np.array([float(function(mpmath.mpf(float(t)))) for t in points])


@pytest.mark.parametrize("kind", PRECISIONS)
@pytest.mark.parametrize("frequency", [1.0, 2.0, -0.5])
def test_the_slope_of_snake_is_accurate_at_large_inputs(kind: Any, frequency: float) -> None:
    v = np.array([1e2, -3.3e4, 1e8, -1e20, 7e30, 1e37], dtype=kind)
    if kind is np.float64:
        v = np.append(v, [1e300, -1.7e307])
    slopes = activation("snake", frequency=frequency).derivative(v)
    assert slopes.dtype == kind
    expected = exactly(lambda t: 1 + mpmath.sin(2 * frequency * t), v)
    np.testing.assert_allclose(slopes, expected, rtol=0, atol=8 * np.finfo(kind).eps)


def test_the_slope_of_snake_is_small_next_to_its_zeros() -> None:
    v = (np.arange(-6, 7) - 0.25) * np.pi + np.logspace(-7, -1, 13)
    expected = exactly(lambda t: 1 + mpmath.sin(2 * t), v)
    slopes = activation("snake").derivative(v)
    np.testing.assert_array_less(np.abs(slopes - expected), 4e-16 * 4 * np.sqrt(expected) + 1e-31)


@pytest.mark.parametrize(("amplitude", "frequency"), [(1.0, 1.0), (0.5, 2.5), (-3.0, 0.7)])
def test_the_slope_of_sinu_sigmoidal_is_accurate_where_the_exponential_underflows(
    amplitude: float, frequency: float
) -> None:
    v = np.array([-720.0, -715.5, -710.0, -709.0, -650.0, -30.0, -1.0, 2.0, 40.0])

    def response(t: Any) -> Any:
        return (t + amplitude * mpmath.sin(frequency * t)) / (1 + mpmath.exp(-t))

    def slope(t: Any) -> Any:
        share = 1 / (1 + mpmath.exp(-t))
        return share * (1 + amplitude * frequency * mpmath.cos(frequency * t)) + response(t) * (1 - share)

    a = activation("sinu_sigmoidal", amplitude=amplitude, frequency=frequency)
    np.testing.assert_allclose(a.derivative(v), exactly(slope, v), rtol=2e-13, atol=5e-324)
    np.testing.assert_allclose(a(v), exactly(response, v), rtol=2e-13, atol=5e-324)


def test_the_slope_of_silu_is_accurate_where_the_exponential_underflows() -> None:
    v = np.array([-740.0, -725.0, -710.0, -709.0, -300.0, -2.0, 0.0, 3.0, 700.0, 1e300])

    def slope(t: Any) -> Any:
        share = 1 / (1 + mpmath.exp(-t))
        return share * (1 + t * mpmath.exp(-t) / (1 + mpmath.exp(-t))) if t > -1e4 else 0

    np.testing.assert_allclose(activation("silu").derivative(v[:-1]), exactly(slope, v[:-1]), rtol=4e-15, atol=5e-324)
    assert activation("silu").derivative(v[-1]) == 1.0


@pytest.mark.parametrize("name", ["leaky_relu", "prelu"])
@pytest.mark.parametrize("kind", PRECISIONS)
def test_the_slopes_of_a_rectifier_are_its_parameters(name: str, kind: Any) -> None:
    for slope in (0.01, 0.3, 1e16, -7.3, 1e-30, 1e300):
        with np.errstate(over="ignore"):
            steep = kind(slope)
        for a, sides in (
            (activation(name, slope=slope), [steep, 1.0]),
            (activation("relu", slope=slope), [0.0, steep]),
        ):
            right = sides if slope > 0 or name != "relu" else sides[::-1]
            v = np.array([-1.0, 1.0], dtype=kind)
            if a.name == "relu" and slope < 0:
                right = sides[::-1]
            with np.errstate(all="raise"):
                found = a.derivative(v)
            assert found.dtype == kind
            np.testing.assert_array_equal(found, np.array(right, dtype=kind))


@pytest.mark.parametrize("slope", [0.4, 1e-3, 1e-8, 1e-12, 1e-17, 1e-100])
def test_penalties_of_small_slopes_do_not_cancel(slope: float) -> None:
    z = np.array([0.0, 1e-9, 0.3, 1.0])

    def penalty(t: Any) -> Any:
        entropy = sum(x * mpmath.log(x) for x in (t, 1 - t) if x)
        return entropy / mpmath.mpf(slope) - t * t / 2

    np.testing.assert_allclose(activation("logistic", slope=slope).penalty(z), exactly(penalty, z), rtol=2e-15)
    assert activation("logistic", slope=slope).penalty(1.0) == -0.5
    assert activation("heaviside_approx", epsilon=1 / slope).penalty(1.0) == -0.5


def test_the_printed_constants_of_selu_are_decimals() -> None:
    end = activation("selu_as_printed").slope_range_exact[1]
    assert end.number == Fraction(3413631, 10**8)
    assert (end.expression, end.digits) == ("0.03413631", "0.0341363100000000000000000000000")


def test_digits_of_large_integers_are_few() -> None:
    end = activation("elu", alpha=1e300).slope_range_exact[1]
    assert end.digits == "1.00000000000000005250476025520e+300"
    assert end.expression == "1e+300"
    assert activation("elu", alpha=1e20).slope_range_exact[1].digits == "100000000000000000000"
