"""What scalar activations do at infinite inputs and at NaN: their limits, slopes without warnings, and NaN."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from activation_draws import IDS, SCALAR

import nngames as nng
from nngames.activations.numerics.elementwise import BLOCK

#: sin is NaN at infinities, with NumPy's own warning.
ON_THE_LINE = [a for a in SCALAR if a.defined_everywhere and a.name != "sin"]
each = pytest.mark.parametrize("a", ON_THE_LINE, **IDS)
each_precision = pytest.mark.parametrize("kind", [np.float64, np.float32])

#: Those with slopes at NaN that are numbers: they are one of the slopes of a piece, which only comparisons choose.
PIECEWISE = {
    "absolute_value", "box", "hard_sigmoid", "hard_tanh", "hardshrink", "identity", "leaky_relu", "linear",
    "nonnegative", "piecewise_linear", "prelu", "relu", "relu6", "singleton", "soft_threshold", "softshrink",
}  # fmt: skip


def quietly(function: Any, *arguments: Any, **options: Any) -> Any:
    """Return what the function returns, a warning being an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return function(*arguments, **options)


@each
@each_precision
def test_the_response_at_infinities_is_its_limit(a: Any, kind: Any) -> None:
    with np.errstate(over="ignore", under="ignore"):
        limits = np.array(a.limits).astype(kind)
    known = ~np.isnan(limits)
    ends = np.array([-np.inf, np.inf], dtype=kind)
    # In company, alone, without a dimension, in place, and beside so many others that there are blocks.
    company = np.array([-np.inf, 0.5, np.inf, -1e30, 1e30, np.nan], dtype=kind)
    many = np.zeros(BLOCK + 3, dtype=kind)
    many[[BLOCK // 2, -1]] = ends
    filled, same = np.empty_like(ends), ends.copy()
    found = [
        quietly(a, company)[[0, 2]],
        np.concatenate([quietly(a, ends[:1]), quietly(a, ends[1:])]),
        np.array([quietly(a, ends[0:1].reshape(())), quietly(a, ends[1:2].reshape(()))]),
        quietly(a, ends, out=filled),
        quietly(a, same, out=same),
        quietly(a, many)[[BLOCK // 2, -1]],
    ]
    for values in found:
        assert values.dtype == kind
        np.testing.assert_allclose(values[known], limits[known], rtol=4 * np.finfo(kind).eps, atol=0)


@each
@each_precision
def test_nan_stays_nan_and_leaves_the_others_alone(a: Any, kind: Any) -> None:
    v = np.array([np.nan, -3.0, 0.25, np.nan, 2.0], dtype=kind)
    missing = np.isnan(v)
    for function in (a, a.derivative):
        values = quietly(function, v)
        assert not np.isnan(values[~missing]).any()
        np.testing.assert_allclose(values[~missing], function(v[~missing]), rtol=16 * np.finfo(kind).eps, atol=0)
        constant = a.slope_range[0] == a.slope_range[1]
        if function is a or not (constant or a.name in PIECEWISE):
            assert np.isnan(values[missing]).all()


@each
@each_precision
def test_slopes_at_infinities_are_those_far_out(a: Any, kind: Any) -> None:
    ends = np.array([-np.inf, np.inf], dtype=kind)
    slopes = quietly(a.derivative, ends)
    assert slopes.dtype == kind
    same = ends.copy()
    np.testing.assert_array_equal(quietly(a.derivative, same, out=same), slopes)
    # A comparison with an infinite end of a set is a tie, and the slopes of the oscillating ones have no limit.
    if a.name not in {"snake", "sinu_sigmoidal", "box", "nonnegative"}:
        np.testing.assert_allclose(slopes, a.derivative(np.array([-1e18, 1e18], dtype=kind)), rtol=1e-6, atol=1e-6)


def test_no_oscillation_has_a_slope_at_infinity_outside_its_range() -> None:
    for name in ("snake", "sinu_sigmoidal"):
        a = nng.activation(name)
        slopes = quietly(a.derivative, np.array([-np.inf, np.inf]))
        assert (slopes >= a.slope_range[0]).all()
        assert (slopes <= a.slope_range[1]).all()
