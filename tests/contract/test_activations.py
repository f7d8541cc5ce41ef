"""What every registered activation promises of r and its slopes, tested with the defaults and with variants."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from activation_draws import (
    ALL,
    IDS,
    MONOTONE,
    SCALAR,
    SCALAR_MONOTONE,
    admissible,
    domain_points,
    inner,
    inputs_of,
    lengths,
    normals,
    pairs,
    points,
    size_of,
    squared,
    step_limit,
    steps_of,
)

from nngames.activations import Activation, Interval, activation
from nngames.activations.foundations.charts import Chart
from nngames.activations.foundations.slopes import SlopeEnd
from nngames.activations.numerics.elementwise import BLOCK
from nngames.claims.slope_proofs import Evidence, prove_slopes
from nngames.core.ball_ranges import as_ball, enclose_range, working_precision
from nngames.core.errors import DomainError, NotApplicableError, StepError

each = pytest.mark.parametrize("a", ALL, **IDS)
each_gradient = pytest.mark.parametrize("a", [a for a in ALL if a.gradient], **IDS)
each_self_map = pytest.mark.parametrize("a", [a for a in ALL if a.self_map], **IDS)
each_scalar = pytest.mark.parametrize("a", SCALAR, **IDS)
each_monotone = pytest.mark.parametrize("a", MONOTONE, **IDS)
each_scalar_monotone = pytest.mark.parametrize("a", SCALAR_MONOTONE, **IDS)


def away_from_kinks(a: Activation, v: np.ndarray, d: np.ndarray, h: float) -> np.ndarray:
    """Return where r has one Jacobian along v - h d .. v + h d (its jvp hardly changes)."""
    low, high = a.jvp(v - 2 * h * d, d), a.jvp(v + 2 * h * d, d)
    return np.abs(low - high).max(axis=-1) <= 1e-3


# The response


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


# The slopes


def rounding(a: Activation, x: np.ndarray, y: np.ndarray, images: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Bound the rounding of r(x) - r(y): that of the values, and of a multiple of the argument with a bias inside."""
    of_values = 1e-14 * (lengths(a, images[0]) + lengths(a, images[1]))
    high = a.lipschitz
    return of_values + (1e-15 * high * (1 + lengths(a, x) + lengths(a, y)) if high < np.inf else 0.0)


def sampled(a: Activation, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw pairs; return their differences, those of their images, and the rounding of these."""
    x, y = pairs(a, count // 50 if a.name == "polyhedron" else count)
    with np.errstate(over="ignore", invalid="ignore"):
        images = a(x), a(y)
        dx, dr, slack = x - y, images[0] - images[1], rounding(a, x, y, images)
        # Squares of what is known must not overflow.
        known = lengths(a, dr) < 1e150
    return dx[known], dr[known], slack[known]


@each
def test_slope_range_and_lipschitz_constant_bound_sampled_differences(a: Activation) -> None:
    """A hundred thousand difference quotients, or Rayleigh quotients <dx, dr>/|dx|^2 of maps of R^n."""
    dx, dr, slack = sampled(a, 100_000)
    assert len(dx) >= (2_000 if a.name == "polyhedron" else 90_000)
    if a.lipschitz < np.inf:
        assert (lengths(a, dr) <= a.lipschitz * lengths(a, dx) + slack).all()
    if a.self_map:
        low, high = a.slope_range
        product, square, slack = inner(a, dx, dr), squared(a, dx), slack * lengths(a, dx)
        assert high == np.inf or (product <= high * square + slack).all()
        assert low == -np.inf or (product >= low * square - slack).all()


@each_self_map
def test_jacobians_have_slopes_in_the_range(a: Activation) -> None:
    low, high = a.slope_range
    if a.separable:
        grid = np.concatenate([np.linspace(-3, 3, 1201) + 1e-9, [-1e5, -30.0, -1e-9, 30.0, 1e5]])
        slopes = a.derivative(admissible(a, grid if a.size is None else np.repeat(grid[:, None], a.size, axis=1)))
    else:
        special = points(a, 40, 1.5)
        special[:10] *= 0.1
        special[10:20] *= 100
        special[20:30, :2] = 40.0
        basis = np.eye(size_of(a))
        jacobians = np.array([[a.jvp(v, e) for e in basis] for v in special])
        slopes = np.linalg.eigvalsh(0.5 * (jacobians + np.swapaxes(jacobians, 1, 2)))
        if a.gradient:
            np.testing.assert_allclose(jacobians, np.swapaxes(jacobians, 1, 2), atol=1e-12 * np.abs(jacobians).max())
    slack = 1e-12 * max(1.0, *(abs(t) for t in (low, high) if np.isfinite(t)))
    assert slopes.min() >= low - slack
    assert slopes.max() <= high + slack


def quotient_of(a: Activation, end: SlopeEnd) -> float:
    x, y = (np.asarray(t, dtype=np.float64) for t in end.pair)
    dx, dr = y - x, a(y) - a(x)
    return float(np.sum(dx * dr) / np.sum(dx * dx))


@each_self_map
def test_ends_of_the_slope_range_are_attained_or_approached(a: Activation) -> None:
    ends, floats = a.slope_range_exact, a.slope_range
    for end, value, sign in zip(ends, floats, (-1, 1), strict=True):
        assert end.expression
        assert "\n" not in str(end)
        assert end.finite == np.isfinite(value)
        if end.pair == ((), ()):
            # A bound, or a limit that no layer of workable size comes near.
            assert not a.separable
            assert not end.attained
            continue
        found = quotient_of(a, end)
        if not end.finite:
            assert value == sign * np.inf
            assert not end.attained
            assert sign * found > 1e3
            assert float(end.digits) == value
            continue
        assert abs(found - value) <= 1e-9 * max(1.0, abs(value))
        assert abs(float(end.digits) - value) <= 4.5e-16 * abs(value)
        if end.rational:
            assert end.number == value or abs(float(end.number) - value) <= 2.3e-16 * abs(value)
        if a in SCALAR and end.attained:
            places = np.array([end.pair[0], 0.5 * end.pair[0] + 0.5 * end.pair[1], end.pair[1]])
            assert np.abs(a.derivative(places) - value).min() <= 1e-9 * max(1.0, abs(value))
    assert floats[0] <= floats[1]


@each
def test_averagedness_is_the_infimum_of_its_constants(a: Activation) -> None:
    """|(x - y) + (r(x) - r(y) - (x - y))/gamma| <= |x - y| at gamma on all pairs, and not at gamma - 1e-6 on one."""
    if a.self_map and not a.gradient:
        with pytest.raises(NotApplicableError, match=r"the infimum of the averagedness constants of .* is not known"):
            _ = a.averagedness
        return
    gamma = a.averagedness
    if gamma is None:
        assert not a.self_map or a.slope_range[1] > 1 or a.slope_range[0] < -1
        assert a.not_averaged_because
        return
    assert a.not_averaged_because is None
    assert 0 <= gamma <= 1
    dx, dr, slack = sampled(a, 10_000)
    assert (lengths(a, gamma * dx + (dr - dx)) <= gamma * lengths(a, dx) + slack).all()
    if gamma > 1e-6 and a.gradient:
        x, y = (np.asarray(t, dtype=np.float64) for t in a.slope_range_exact[0].pair)
        dx, dr = x - y, a(x) - a(y)
        assert np.linalg.norm(np.atleast_1d((gamma - 1e-6) * dx + (dr - dx))) > (gamma - 1e-6) * np.linalg.norm(
            np.atleast_1d(dx)
        )


@each
def test_penalty_modulus_is_what_makes_the_penalty_convex(a: Activation) -> None:
    modulus = a.penalty_modulus
    if not a.monotone:
        assert modulus is None
        return
    high = a.slope_range[1]
    assert modulus == (0 if high <= 1 else 1 - 1 / high)
    assert a.convex_penalty == (modulus == 0)
    x, y = domain_points(a, 100, 2.0, 40), domain_points(a, 100, 2.0, 42)
    middle = a.domain.project(0.5 * (x + y))

    def raised(z: np.ndarray) -> np.ndarray:
        return a.conjugate(z) - (1 - modulus) * 0.5 * squared(a, z)

    assert (raised(middle) <= 0.5 * (raised(x) + raised(y)) + 1e-11 * (1 + np.abs(raised(x)) + np.abs(raised(y)))).all()


# The charts of the slope


def charts_of(a: Any) -> tuple[Any, ...]:
    try:
        return a.slope_charts()
    except NotApplicableError:
        return ()


WITH_CHARTS = [a for a in SCALAR if charts_of(a)]
each_with_charts = pytest.mark.parametrize("a", WITH_CHARTS, **IDS)


def end_of(value: Any) -> Any:
    return as_ball(value() if callable(value) else value)


@each_with_charts
def test_the_slope_range_is_proved_in_ball_arithmetic(a: Any) -> None:
    proof = prove_slopes(a)
    assert proof.evidence is Evidence.BALLS, proof.method


@each_with_charts
def test_charts_give_the_derivative(a: Any) -> None:
    from flint import arb_series

    for part in a.slope_charts():
        if isinstance(part, Chart):
            low, high = (float(end_of(t)) for t in (part.lower, part.upper))
            for share in (0.137, 0.411, 0.768):
                t = low + share * (high - low)
                with working_precision(120, 8):
                    slope = float(arb_series(part.slope(arb_series([as_ball(t), 1], prec=3)))[0])
                    x = t if part.point is None else float(part.point(as_ball(t)))
                assert float(a.derivative(x)) == pytest.approx(slope, rel=1e-9, abs=1e-12)
        else:
            with working_precision(120):
                low, high = (float(end) for end in part.bounds(as_ball(part.start)))
            beyond = part.start + part.sign * np.concatenate([np.linspace(0, 5, 500), np.geomspace(5, 1e6, 200)])
            if part.point is not None:
                with working_precision(120):
                    beyond = np.array([float(part.point(as_ball(t))) for t in beyond[1:]])
            slopes = a.derivative(beyond[(beyond > a.inputs.lower) & (beyond < a.inputs.upper)])
            assert len(slopes)
            assert (slopes >= low - 1e-15 * (1 + abs(low))).all()
            assert (slopes <= high + 1e-15 * (1 + abs(high))).all()


@each_with_charts
def test_charts_prove_the_slope_range(a: Any) -> None:
    """Enclosures are within 1e-25 of the stated ends, exact where these are; an end is attained if a chart says so."""
    lows, highs = [], []
    for part in a.slope_charts():
        if isinstance(part, Chart):
            ends = [t() if callable(t) else t for t in (part.lower, part.upper)]
            found = enclose_range(part.slope, *ends, exact_points=part.exact_points)
            for extreme, values in ((found.low, lows), (found.high, highs)):
                at_limit = any(extreme.place.overlaps(end_of(getattr(part, name))) for name in part.limits)
                values.append((extreme.value, None if extreme.rivals else not at_limit))
        else:
            with working_precision(200):
                low, high = part.bounds(as_ball(part.start))
            lows.append((low, False))
            highs.append((high, False))
    with working_precision(200):
        for end, values, sign in ((a.slope_range_exact[0], lows, 1), (a.slope_range_exact[1], highs, -1)):
            if not end.finite:
                assert any(not value.is_finite() for value, _ in values)
                continue
            assert all(value.is_finite() for value, _ in values)
            exact = end.ball()
            assert not any(sign * value < sign * exact for value, _ in values)
            at_end = [(value, attained) for value, attained in values if value.overlaps(exact)]
            narrow = [value for value, _ in at_end if value.rad() <= 1e-25 * max(1.0, abs(a.slope_range[0]))]
            assert narrow
            if end.rational and exact.is_exact():
                assert any(value.is_exact() and value == exact for value in narrow)
            if all(attained is not None for _, attained in at_end):
                assert end.attained == any(attained for _, attained in at_end)


@pytest.mark.parametrize("a", [a for a in ALL if not a.monotone], **IDS)
def test_what_is_not_monotone_is_the_prox_of_nothing(a: Activation) -> None:
    v = points(a, 2)
    for ask in (lambda: a.domain, lambda: a.conjugate(v), lambda: a.penalty(v), lambda: a.prox(v), lambda: a.gap(v, v)):
        advice = "prox of no function.*: use cost='tracking'" if a.self_map else "it is the prox of no function: "
        with pytest.raises(NotApplicableError, match=advice):
            ask()


# Penalty, primitive, conjugate


@each_monotone
def test_fenchel_young_equality_at_the_response(a: Activation) -> None:
    v = points(a, 50)
    p = a.domain.project(a(v))
    value, error = a.gap(p, v)
    assert (value <= error + 1e-14).all()
    naive = a.conjugate(p) + a.primitive(v) - inner(a, p, v)
    np.testing.assert_allclose(naive, 0, atol=1e-13 * (1 + np.abs(inner(a, p, v)).max()))


@each_scalar_monotone
def test_conjugate_is_the_supremum(a: Any) -> None:
    """g*(z) >= z v - g(v) for many v, with equality at the maximiser, found by bisection on r(v) = z."""
    z = domain_points(a, 20).ravel()
    conjugate = a.conjugate(z)
    v = admissible(a, np.sinh(np.linspace(-12, 12, 2001)))
    with np.errstate(over="ignore", invalid="ignore"):
        below = z[:, None] * v - a.primitive(v)
        slack = 1e-13 * (1 + np.abs(conjugate)[:, None] + np.abs(z[:, None] * v) + np.abs(a.primitive(v)))
    known = np.isfinite(below)
    assert known.sum() >= 10_000
    assert (below <= conjugate[:, None] + slack)[known].all()
    low, high = np.full(z.shape, -1e5), np.full(z.shape, 1e5)
    for _ in range(80):
        middle = 0.5 * low + 0.5 * high
        with np.errstate(over="ignore"):
            above = a(admissible(a, middle)) > z
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    best = admissible(a, low)
    value = z * best - a.primitive(best)
    np.testing.assert_array_less(np.abs(conjugate - value), 1e-9 * (1 + np.abs(conjugate)))


@each_monotone
def test_gap_is_the_naive_sum_where_that_is_well_conditioned(a: Activation) -> None:
    x, v = domain_points(a, 200), points(a, 200, seed=11)
    value, error = a.gap(x, v)
    naive = a.conjugate(x) + a.primitive(v) - inner(a, x, v)
    np.testing.assert_allclose(value, naive, rtol=1e-12, atol=1e-12)
    assert (error <= 1e-11 * (1 + value)).all()
    assert (value >= 0).all()


def numbers_of_all_sizes(count: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    special = np.array([0.0, -0.0, 1.0, -1.0, 0.5, 1e6, -1e6, 5e-324, 1e-200])
    sizes = 10.0 ** np.concatenate([rng.uniform(-3, 2, count // 2), rng.uniform(-20, 6, count - count // 2)])
    return rng.permutation(np.concatenate([special, sizes * rng.choice([-1, 1], count)]))


@each_scalar_monotone
def test_gap_of_any_numbers_is_the_naive_sum_up_to_its_rounding(a: Any) -> None:
    x, v = a.domain.project(numbers_of_all_sizes(2000, 50)), admissible(a, numbers_of_all_sizes(2000, 51))
    value, error = a.gap(x, v)
    terms = np.array([a.conjugate(x), a.primitive(v), -x * v])
    assert (value >= 0).all()
    assert not np.isnan(error).any()
    known = np.isfinite(terms).all(axis=0)
    assert known.sum() >= 1000
    sizes, terms, value, error = (np.abs(terms).sum(axis=0)[known], terms[:, known], value[known], error[known])
    assert (np.abs(value - terms.sum(axis=0)) <= error + 1e-13 * sizes + 1e-14).all()


@each_monotone
def test_gap_is_at_least_the_squared_distance_over_twice_the_slope(a: Activation) -> None:
    high = a.slope_range[1]
    x, v = domain_points(a, 200, seed=12), points(a, 200, 3.0, seed=14)
    value, error = a.gap(x, v)
    if 0 < high < np.inf:
        assert (value + error >= squared(a, x - a(v)) / (2 * high) * (1 - 1e-12) - 1e-15).all()


@each_monotone
def test_gap_and_penalties_are_infinite_off_the_domain(a: Activation) -> None:
    x, v = normals(a, 50, 3.0, 15), points(a, 50, 1.0, 16)
    away = a.domain.project(x) - x
    off = np.abs(away) > 1e-6 if a.separable else np.linalg.norm(away, axis=-1) > 1e-6
    value, error = a.gap(x, v)
    for values in (value, a.conjugate(x), a.penalty(x)):
        np.testing.assert_array_equal(values == np.inf, off)
    assert not np.isnan(error).any()


@each_scalar_monotone
def test_penalty_is_finite_at_the_closed_ends_of_the_domain_only(a: Any) -> None:
    own = a.domain
    ends = ((own.lower, own.closed_lower, -1.0), (own.upper, own.closed_upper, 1.0))
    for end, closed, sign in ends:
        if np.isinf(end):
            continue
        beyond = np.nextafter(end, sign * np.inf)
        assert a.penalty(beyond) == a.conjugate(beyond) == np.inf
        last = end if closed else np.nextafter(end, -sign * np.inf)
        assert np.isfinite(a.penalty(last))
        if own.lower == own.upper:
            continue
        width = min(1.0, own.upper - own.lower)
        near = a.conjugate(np.array([end - sign * 1e-3 * width, end - sign * 1e-9 * width, last]))
        growth = near[1] - near[0], near[2] - near[1]
        if closed:
            assert abs(growth[1]) <= 0.05 * abs(growth[0]) + 1e-12 * (1 + abs(near[2]))
        else:
            # It grows without bound: from 1e-9 to the last float nearly as much as from 1e-3 to 1e-9.
            assert growth[1] >= 0.5 * growth[0] > 0


@each_monotone
def test_float32_actions_are_on_the_domain(a: Activation) -> None:
    v = points(a, 20).astype(np.float32)
    x = a.domain.project(a(v))
    value, error = a.gap(x, v)
    assert x.dtype == np.float32
    assert np.isfinite(value).all()
    assert (value <= 1e-4 + error).all()


@each_monotone
def test_penalty_is_the_conjugate_less_half_the_square(a: Activation) -> None:
    x = domain_points(a, 50)
    np.testing.assert_allclose(a.penalty(x), a.conjugate(x) - 0.5 * squared(a, x), rtol=1e-11, atol=1e-12)


@each_monotone
def test_domain_projection_is_the_nearest_point(a: Activation) -> None:
    z, others = normals(a, 40, 3.0, 17), domain_points(a, 40, seed=18)
    p = a.domain.project(z)
    np.testing.assert_allclose(a.domain.project(p), p, rtol=1e-12, atol=1e-14)
    assert (np.sum((z - p) * (others - p), axis=-1) <= 1e-11 * (1 + np.sum(z * z, axis=-1))).all()
    np.testing.assert_allclose(a.domain.distance(z), np.linalg.norm(z - p, axis=-1))
    assert np.isfinite(a.layer_sum(a.penalty(p))).all()
    assert str(a.domain)


@each_monotone
def test_affine_hull_holds_the_domain_and_no_more(a: Activation) -> None:
    n = size_of(a)
    hull = a.domain.affine_hull(n)
    x = domain_points(a, 3 * n + 3, 3.0)
    directions = x[1:] - x[0]
    basis = np.eye(n) if hull.basis is None else hull.basis
    np.testing.assert_allclose(basis.T @ basis, np.eye(basis.shape[1]), atol=1e-13)
    d = normals(a, 5, seed=20)
    np.testing.assert_allclose(hull.project_directions(d), d @ basis @ basis.T, atol=1e-12)
    np.testing.assert_allclose(hull.project_directions(directions), directions, atol=1e-12)
    np.testing.assert_allclose((x[0] - hull.point) @ basis @ basis.T, x[0] - hull.point, atol=1e-12)
    assert np.linalg.matrix_rank(directions, tol=1e-9) == basis.shape[1]
    projector = {"identity": np.eye(n), "zero": np.zeros((n, n)), "sum_zero": np.eye(n) - 1 / n}
    if hull.exact_projector in projector:
        np.testing.assert_allclose(basis @ basis.T, projector[hull.exact_projector], atol=1e-13)
    else:
        assert hull.exact_projector == "floating"


@each_monotone
def test_polyhedral_form_describes_the_domain(a: Activation) -> None:
    n = size_of(a)
    form = a.polyhedral_form(n)
    if form is None:
        return
    matrix, low, high = form
    x, z = domain_points(a, 30), normals(a, 200, 2.0, 21)
    assert (x @ matrix.T <= high + 1e-12).all()
    assert (x @ matrix.T >= low - 1e-12).all()
    inside = ((z @ matrix.T <= high + 1e-12) & (z @ matrix.T >= low - 1e-12)).all(axis=-1)
    np.testing.assert_array_equal(a.layer_sum(a.penalty(z)) < np.inf, inside)
    np.testing.assert_array_equal(a.penalty(x), 0.0)


# The prox


@each_monotone
def test_prox_minimises(a: Activation) -> None:
    """The value exceeds the minimum by the strong convexity term at every point of the domain, near and far."""
    modulus = a.penalty_modulus or 0.0
    u = points(a, 6, 3.0, 22)
    moves = np.concatenate([size * normals(a, 24, 1.0, 30).reshape(4, 6, -1) for size in (1e-4, 1e-2, 1.0, 10.0)])
    for step in steps_of(a):
        p = a.prox(u, step)
        assert np.isfinite(a.penalty(p)).all()

        def cost(z: np.ndarray, step: float = step) -> np.ndarray:
            return a.layer_sum(step * a.penalty(z) + (0.5 * squared(a, z - u)))

        q = a.domain.project(p + moves)
        excess = cost(q) - cost(p) - 0.5 * (1 - step * modulus) * np.sum((q - p) ** 2, axis=-1)
        assert (excess >= -1e-12 * (1 + np.abs(cost(p)))).all(), step


@each_scalar_monotone
def test_prox_beats_every_candidate_of_a_numerical_minimiser(a: Any) -> None:
    """A grid over the domain around u, then golden sections of the best cell; SciPy's minimiser on one of the cases."""
    from scipy.optimize import minimize_scalar

    u, steps = admissible(a, np.random.default_rng(23).normal(size=4) * 3)[:, None], np.array(steps_of(a))
    u, steps = (t.ravel() for t in np.broadcast_arrays(u, steps))
    p = a.prox(u, steps)

    def cost(z: np.ndarray, which: Any = slice(None)) -> np.ndarray:
        return steps[which] * a.penalty(z) + 0.5 * (z - u[which]) ** 2

    least = cost(p) - 1e-9 * (1 + np.abs(cost(p)))
    grid = a.domain.project(np.concatenate([t + np.sinh(np.linspace(-12, 12, 801))[:, None] for t in (u, 0 * u)]))
    grid.sort(axis=0)
    costs = cost(grid)
    assert (costs >= least).all()
    best, columns = np.argmin(costs, axis=0), np.arange(len(u))
    low, high = grid[np.maximum(best - 1, 0), columns], grid[np.minimum(best + 1, len(grid) - 1), columns]
    share = 0.5 * (np.sqrt(5) - 1)
    for _ in range(50):
        inside = high - share * (high - low), low + share * (high - low)
        values = cost(inside[0]), cost(inside[1])
        assert (np.minimum(*values) >= least).all()
        left = values[0] <= values[1]
        low, high = np.where(left, low, inside[0]), np.where(left, inside[1], high)
    which = len(steps_of(a)) // 2
    ends = grid[max(best[which] - 1, 0), which], grid[min(best[which] + 1, len(grid) - 1), which]
    if ends[0] < ends[1]:
        found = minimize_scalar(
            lambda z: float(cost(z, which)), bounds=ends, method="bounded", options={"xatol": 1e-12}
        )
        assert found.fun >= least[which]
        assert p[which] == pytest.approx(found.x, rel=1e-6, abs=1e-5)


@pytest.mark.parametrize("a", [a for a in MONOTONE if not a.separable], **IDS)
def test_vector_prox_beats_every_candidate_of_a_numerical_minimiser(a: Any) -> None:
    """SciPy's Nelder-Mead over the domain, written as projections of free points, from near and far starts."""
    from scipy.optimize import minimize

    rng = np.random.default_rng(24)
    n = a.size or 3
    for step in steps_of(a):
        u = 2 * rng.normal(size=n)
        p = a.prox(u, step)

        def cost(z: np.ndarray, u: np.ndarray = u, step: float = step) -> float:
            inside = a.domain.project(z)
            return float(step * a.penalty(inside) + 0.5 * np.sum((inside - u) ** 2))

        least = cost(p) - 1e-9 * (1 + abs(cost(p)))
        for start in (p + 0.1 * rng.normal(size=n), 2 * rng.normal(size=n)):
            found = minimize(cost, start, method="Nelder-Mead", options={"maxfev": 300, "xatol": 1e-9, "fatol": 1e-13})
            assert found.fun >= least, step


@each_scalar_monotone
def test_prox_of_any_number_satisfies_its_optimality_condition(a: Any) -> None:
    """p = r(w) at the w with (1 - step) p + step w = u: the gap of (p, w) vanishes."""
    u = admissible(a, numbers_of_all_sizes(300, 52))
    share = np.random.default_rng(53).uniform(0.01, 0.99, u.shape)
    steps = share * min(step_limit(a), 5.0)
    p = a.prox(u, steps)
    w = (u - (1 - steps) * p) / steps
    slack = 1e-12 * (1 + np.abs(u) / steps)
    ends, limits = a.inputs, a.limits
    inside = np.nextafter(ends.lower, np.inf), np.nextafter(ends.upper, -np.inf)
    for bound, sign, end, limit in zip((w - slack, w + slack), (-1, 1), (ends.lower, ends.upper), limits, strict=True):
        reached = np.where(sign * (end - bound) > 0, a(np.clip(bound, *inside)), limit)
        assert (sign * (reached - p) >= -slack).all()


@each_monotone
def test_prox_with_step_one_is_the_response(a: Activation) -> None:
    u = points(a, 8)
    np.testing.assert_allclose(a.prox(u), a(u), rtol=1e-13, atol=1e-15)
    near = 1 - 1e-13 if step_limit(a) == 1 else 1 + 1e-13
    if a.continuous:
        np.testing.assert_allclose(a.prox(u, near), a(u), rtol=1e-11, atol=1e-11)


@each_monotone
def test_prox_steps_may_vary(a: Activation) -> None:
    u, steps = points(a, 3), np.array([[0.3], [0.9], [1.01 if step_limit(a) > 1.01 else 0.99]])
    expected = np.array([a.prox(row, float(step[0])) for row, step in zip(u, steps, strict=True)])
    np.testing.assert_allclose(a.prox(u, steps), expected, rtol=1e-12, atol=1e-14)
    varied = np.linspace(0.3, 0.9, size_of(a))
    if a.separable:
        rows = np.array([a.prox(u, float(step))[:, i] for i, step in enumerate(varied)]).T
        np.testing.assert_allclose(a.prox(u, varied), rows, rtol=1e-12, atol=1e-14)
    elif size_of(a) > 1:
        with pytest.raises(StepError, match="one number for the layer"):
            a.prox(u, varied)


@each_monotone
def test_prox_steps_must_be_positive_and_keep_the_minimiser_unique(a: Activation) -> None:
    u, high, limit = points(a, 1), a.slope_range[1], step_limit(a)
    for step in (0.0, -1.0, np.nan, np.inf):
        with pytest.raises(StepError, match="the step must be positive and finite"):
            a.prox(u, step)
    if high == np.inf:
        for step in (1.0 + 1e-15, 10.0):
            with pytest.raises(StepError, match="the slopes are unbounded, so the step must be at most 1"):
                a.prox(u, step)
    elif high > 1:
        a.prox(u, 0.999 * limit)
        for step in (limit, 10.0 * limit):
            with pytest.raises(
                StepError, match=r"weakly convex \(slopes up to .*the step must be below S/\(S - 1\) = "
            ):
                a.prox(u, step)


# Second routes


@each_monotone
def test_cvxpy_form_of_the_conjugate(a: Activation) -> None:
    import cvxpy as cp

    z = cp.Variable(size_of(a))
    form = a.conjugate_cvxpy(z)
    if form is None:
        return
    expression, constraints = form
    point = domain_points(a, 1, 1.0, seed=25)[0]
    problem = cp.Problem(cp.Minimize(expression), [*constraints, z == point])
    assert problem.is_dcp()
    value = problem.solve(solver="CLARABEL")
    assert value == pytest.approx(float(a.layer_sum(a.conjugate(point))), rel=1e-5, abs=1e-6)
    outside = normals(a, 20, 4.0, 26)
    outside = outside[a.domain.distance(outside) > 0.1]
    if len(outside):
        problem = cp.Problem(cp.Minimize(expression), [*constraints, z == outside[0]])
        problem.solve(solver="CLARABEL")
        assert problem.status in ("infeasible", "infeasible_inaccurate")


@pytest.mark.parametrize("a", [a for a in MONOTONE if a.conjugate_cvxpy is not Activation.conjugate_cvxpy], **IDS)
def test_response_minimises_the_cost_that_cvxpy_sees(a: Activation) -> None:
    import cvxpy as cp

    z = cp.Variable(size_of(a))
    form = a.conjugate_cvxpy(z)
    if form is None:
        return
    v = points(a, 1, 1.5, 27)[0]
    cp.Problem(cp.Minimize(form[0] - v @ z), form[1]).solve(solver="CLARABEL")
    np.testing.assert_allclose(z.value, a(v), rtol=2e-4, atol=2e-4)


def rationals(row: np.ndarray) -> list[Any]:
    from nngames.core.exact import rational

    return [rational(float(t)) for t in row]


@each
def test_exact_response_is_the_floating_one(a: Activation) -> None:
    from flint import fmpq

    for row in points(a, 10, 2.0, 28):
        exact = a.flint_response(rationals(row))
        assert len(exact) == np.size(a(row))
        if a.piecewise_linear:
            assert all(isinstance(t, fmpq) for t in exact)
        for t, r in zip(exact, np.atleast_1d(a(row)), strict=True):
            value = float(t.p) / float(t.q) if isinstance(t, fmpq) else float(t)
            assert value == pytest.approx(float(r), rel=1e-12, abs=1e-13)


@each
def test_ball_response_contains_the_response_of_every_point_of_the_ball(a: Activation) -> None:
    from flint import arb

    rng = np.random.default_rng(29)
    ends = inputs_of(a)
    for row in points(a, 4, 1.5, 30):
        for size in (1e-3, 0.5):
            radius = min(size, 0.9 * float(np.min([row - ends.lower, ends.upper - row])))
            balls = [arb(float(t), radius) for t in row]
            image = a.flint_response(balls)
            for _ in range(5):
                inside = row + radius * rng.uniform(-1, 1, size=row.shape)
                for t, r in zip(image, np.atleast_1d(a(inside)), strict=True):
                    assert arb(t).overlaps(arb(float(r), 1e-13))


@each_monotone
def test_exact_conjugate_is_the_floating_one(a: Activation) -> None:
    from flint import fmpq

    for row in domain_points(a, 10, 2.0, 31):
        exact_row = a.flint_response(rationals(row)) if not a.separable and a.piecewise_linear else rationals(row)
        hull = a.domain.affine_hull(size_of(a))
        if hull.exact_projector == "sum_zero" and not a.piecewise_linear:
            exact_row[-1] = rationals(np.round([np.sum(hull.point)], 9))[0] - sum(exact_row[:-1])
        exact = a.flint_conjugate(exact_row)
        assert exact is not None
        if a.piecewise_linear:
            assert isinstance(exact, fmpq)
        value = float(exact.p) / float(exact.q) if isinstance(exact, fmpq) else float(exact)
        assert value == pytest.approx(float(a.layer_sum(a.conjugate(row))), rel=1e-12, abs=1e-13)


@each_monotone
def test_exact_conjugate_is_none_off_the_domain(a: Activation) -> None:
    z = normals(a, 30, 3.0, 32)
    for row in z[a.domain.distance(z) > 1e-6]:
        assert a.flint_conjugate(rationals(row)) is None


@each_monotone
def test_ball_conjugate_contains_the_conjugate(a: Activation) -> None:
    from flint import arb

    for row in domain_points(a, 5, 1.0, 33):
        enclosure = a.flint_conjugate([arb(float(t), 1e-9) for t in row])
        assert enclosure is not None
        value = float(a.layer_sum(a.conjugate(row)))
        assert arb(enclosure).overlaps(arb(value, 1e-12 * (1 + abs(value))))
