"""What every registered activation promises of its response, tested on each with its defaults and on variants."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from activation_draws import (
    ALL,
    IDS,
    SCALAR,
    admissible,
    inputs_of,
    normals,
    points,
    size_of,
    step_limit,
)

from nngames.activations import Activation, Interval, activation
from nngames.activations.numerics.elementwise import BLOCK
from nngames.core.errors import DomainError, NotApplicableError

each = pytest.mark.parametrize("a", ALL, **IDS)
each_self_map = pytest.mark.parametrize("a", [a for a in ALL if a.self_map], **IDS)
each_scalar = pytest.mark.parametrize("a", SCALAR, **IDS)


def away_from_kinks(a: Activation, v: np.ndarray, d: np.ndarray, h: float) -> np.ndarray:
    """Return where r has one Jacobian along v - h d .. v + h d (its jvp hardly changes)."""
    low, high = a.jvp(v - 2 * h * d, d), a.jvp(v + 2 * h * d, d)
    return np.abs(low - high).max(axis=-1) <= 1e-3


@each
def test_precision_and_shape_are_kept(a: Activation) -> None:
    v = points(a, 6).reshape(2, 3, -1)
    assert a(v).dtype == np.float64
    assert a(v).shape[:-1] == v.shape[:-1]
    assert (a(v).shape == v.shape) or not a.self_map
    assert a(v.astype(np.float32)).dtype == np.float32
    np.testing.assert_allclose(a(v.astype(np.float32)), a(v), rtol=1e-5, atol=1e-5)
    assert np.asarray(a(v[0, 0].tolist())).dtype == np.float64
    if inputs_of(a) == Interval():
        assert a(np.round(v).astype(int)).dtype == np.float64
        np.testing.assert_allclose(a(np.round(v).astype(int)), a(np.round(v)), rtol=1e-14)


@each
def test_a_batch_is_its_rows(a: Activation) -> None:
    v, d = points(a, 6).reshape(2, 3, -1), normals(a, 6, seed=5).reshape(2, 3, -1)
    for i in np.ndindex(2, 3):
        np.testing.assert_allclose(a(v)[i], a(v[i]), rtol=1e-14, atol=1e-15)
        np.testing.assert_allclose(a.jvp(v, d)[i], a.jvp(v[i], d[i]), rtol=1e-12, atol=1e-14)
    if a.gradient:
        np.testing.assert_allclose(a.primitive(v)[1], a.primitive(v[1]), rtol=1e-13, atol=1e-15)


@each_self_map
def test_out_is_filled_and_may_be_the_input_or_a_view_of_it(a: Activation) -> None:
    for dtype in (np.float64, np.float32):
        v = points(a, 4).astype(dtype)
        for function in (a, a.derivative) if a.separable else (a,):
            expected = function(v)
            out = np.empty_like(v)
            assert function(v, out=out) is out
            np.testing.assert_array_equal(out, expected)
            same = v.copy()
            assert function(same, out=same) is same
            np.testing.assert_array_equal(same, expected)
            whole = v.copy()
            function(whole[1:3], out=whole[1:3])
            np.testing.assert_array_equal(whole, np.concatenate([v[:1], expected[1:3], v[3:]]))
            assert expected.dtype == dtype


@each_scalar
def test_large_arrays_are_done_block_by_block_to_the_same_bits(a: Any) -> None:
    size = 2 * BLOCK + 1001
    v = admissible(a, np.random.default_rng(2).normal(size=size) * 3)
    where = np.r_[0:5, 4090:4100, BLOCK - 5 : BLOCK + 5, 2 * BLOCK - 5 : 2 * BLOCK + 5, size - 5 : size]
    for function in (a, a.derivative):
        whole = function(v)
        for i in where:
            assert whole[i] == function(v[i : i + 1])[0]
        out = np.empty_like(v)
        np.testing.assert_array_equal(function(v, out=out), whole)
        same = v.copy()
        np.testing.assert_array_equal(function(same, out=same), whole)
        wide = np.zeros((size, 2))
        wide[:, 0] = v
        np.testing.assert_allclose(function(wide[:, 0]), whole, rtol=1e-14, atol=1e-300)
        function(v, out=wide[:, 1])
        np.testing.assert_allclose(wide[:, 1], whole, rtol=1e-14, atol=1e-300)
        even = v[: 2 * BLOCK + 1000]
        np.testing.assert_array_equal(function(even.reshape(4, -1)), whole[: even.size].reshape(4, -1))


@each
def test_extreme_inputs_give_no_nan_and_no_warning(a: Activation) -> None:
    signs = np.array([[1, 1, 1, 1], [-1, -1, -1, -1], [1, -1, 1, -1], [-1, 1, 1, 0]])[:, np.arange(size_of(a)) % 4]
    for size in (1e308, 3e38, 1e-308, 5e-324, 0.0):
        v = admissible(a, size * signs)
        with np.errstate(over="raise", invalid="raise", divide="raise"):
            assert not np.isnan(a(v)).any()
            assert not np.isnan(a.jvp(v, np.ones_like(v))).any()
            if a.gradient:
                assert not np.isnan(a.primitive(v)).any()
            if size <= 3e38:
                with np.errstate(under="ignore"):
                    assert not np.isnan(a(admissible(a, (size * signs).astype(np.float32)))).any()
            if a.monotone:
                x = a.domain.project(np.where(np.isfinite(a(v)), a(v), 0.0))
                value, error = a.gap(x, v)
                assert not np.isnan(value).any()
                assert not np.isnan(error).any()
                assert (value >= 0).all()
                assert not np.isnan(a.conjugate(x)).any()
                assert not np.isnan(a.penalty(x)).any()
                for step in (1e-3, 0.7, 1.01 if step_limit(a) > 1.01 else 0.99):
                    assert not np.isnan(a.prox(v, step)).any()


@each
def test_jacobian_products_are_finite_differences(a: Activation) -> None:
    v, d, h = points(a, 60), normals(a, 60, 1.0, seed=3), 1e-6
    smooth = away_from_kinks(a, v, d, h)
    assert smooth.sum() >= 20
    quotient = (a(v + h * d) - a(v - h * d)) / (2 * h)
    np.testing.assert_allclose(a.jvp(v, d)[smooth], quotient[smooth], rtol=1e-5, atol=1e-7)
    u = np.random.default_rng(4).normal(size=quotient.shape)
    np.testing.assert_allclose(np.sum(a.jvp(v, d) * u, -1), np.sum(a.vjp(v, u) * d, -1), rtol=1e-9, atol=1e-12)


@each
def test_derivative_is_the_jacobian_of_a_separable_response(a: Activation) -> None:
    v, d = points(a, 8), normals(a, 8, seed=3)
    if a.separable:
        np.testing.assert_array_equal(a.jvp(v, d), a.derivative(v) * d)
        assert a.derivative(v.astype(np.float32)).dtype == np.float32
    else:
        with pytest.raises(NotApplicableError, match="not separable"):
            a.derivative(v)


@each
def test_primitive_has_the_response_as_gradient(a: Activation) -> None:
    v, d, h = points(a, 60), normals(a, 60, 1.0, seed=3), 1e-5
    if not a.gradient:
        with pytest.raises(NotApplicableError):
            a.primitive(v)
        return
    quotient = (a.layer_sum(a.primitive(v + h * d)) - a.layer_sum(a.primitive(v - h * d))) / (2 * h)
    np.testing.assert_allclose(quotient, np.sum(a(v) * d, axis=-1), rtol=1e-6, atol=2e-5)


@each
def test_bounded_means_a_bounded_range(a: Activation) -> None:
    if a in SCALAR and not np.isnan(a.limits).any():
        assert a.bounded == np.isfinite(a.limits).all()
    far = np.concatenate([points(a, 50, 1e7, s) for s in (1, 2)])
    if inputs_of(a) == Interval():
        assert (np.abs(a(far)).max() < 1e3) == a.bounded


@each_scalar
def test_limits_are_approached(a: Any) -> None:
    ends, limits = inputs_of(a), a.limits
    for sign, end, limit in zip((-1.0, 1.0), (ends.lower, ends.upper), limits, strict=True):
        far = admissible(a, sign * np.array([30.0, 1e3, 1e6, 1e12, 1e100, 1e300]))
        with np.errstate(over="ignore"):
            values = np.clip(a(far), -1e308, 1e308)
        if np.isnan(limit):
            assert np.ptp(a(admissible(a, sign * np.linspace(1e3, 1e3 + 20, 400)))) > 1e-3
        elif np.isinf(limit):
            assert (np.diff(values) * np.sign(limit) >= 0).all()
            assert (values[-1] - values[0]) * np.sign(limit) > 1
        else:
            off = np.abs(values - limit)
            assert (np.diff(off) <= 1e-15 * (1 + abs(limit))).all()
            # At a finite end of the inputs floats may be too coarse for r to come near.
            assert off[-1] <= (1e-9 if np.isinf(end) else 0.2) * max(1.0, abs(limit))


@each_scalar
def test_arguments_beyond_the_inputs_are_refused(a: Any) -> None:
    ends = a.inputs
    assert ends.lower < ends.upper
    for end, towards in ((ends.lower, np.inf), (ends.upper, -np.inf)):
        if np.isfinite(end):
            assert np.isfinite(a(np.nextafter(end, towards)))
            assert not np.isnan(a.derivative(np.nextafter(end, towards)))
            for function in (a, a.derivative):
                with pytest.raises(DomainError, match="is defined on"):
                    function(np.array([end]))


@each
def test_equal_parameters_make_equal_activations(a: Activation) -> None:
    again = activation(a.name, **a.parameters)
    assert again == a
    assert hash(again) == hash(a)
    assert again is not a
