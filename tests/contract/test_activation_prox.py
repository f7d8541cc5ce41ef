"""What every monotone activation promises of the proximity operator of its penalty."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from activation_draws import (
    IDS,
    MONOTONE,
    SCALAR_MONOTONE,
    admissible,
    normals,
    numbers_of_all_sizes,
    points,
    size_of,
    squared,
    step_limit,
    steps_of,
)

from nngames.activations import Activation
from nngames.core.errors import StepError

each_monotone = pytest.mark.parametrize("a", MONOTONE, **IDS)
each_scalar_monotone = pytest.mark.parametrize("a", SCALAR_MONOTONE, **IDS)


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
