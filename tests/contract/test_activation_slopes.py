"""What every registered activation promises of its slopes: ranges, ends, averagedness, charts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from activation_draws import (
    ALL,
    IDS,
    SCALAR,
    admissible,
    domain_points,
    inner,
    lengths,
    pairs,
    points,
    size_of,
    squared,
)

from nngames.activations import Activation
from nngames.activations.foundations.charts import Chart
from nngames.activations.foundations.slopes import SlopeEnd
from nngames.claims.slope_proofs import Evidence, prove_slopes
from nngames.core.ball_ranges import as_ball, enclose_range, working_precision
from nngames.core.errors import NotApplicableError

each = pytest.mark.parametrize("a", ALL, **IDS)
each_self_map = pytest.mark.parametrize("a", [a for a in ALL if a.self_map], **IDS)


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
