"""The prox of softmax's penalty: its optimality conditions to rounding, and convex programming as a second route."""

from __future__ import annotations

import numpy as np
import pytest

from nngames.activations import activation


@pytest.mark.parametrize("gain", [0.5, 1.0, 2.0, 3.0, 10.0])
def test_optimality_conditions_hold_to_rounding(gain: float) -> None:
    """k log p + (1 - step) p - u is constant: the error it leaves in p is that over the curvature k/p + 1 - step."""
    a = activation("softmax", gain=gain)
    rng = np.random.default_rng(int(10 * gain))
    high = gain / 2
    limit = high / (high - 1) if high > 1 else 1e3
    steps = [1e-6, 1e-3, 0.1, 0.5, 1 - 1e-9, 1 + 1e-8, 1.01, 1.2, 2.0, 5.0, 100.0, 0.99 * limit, 0.999999 * limit]
    for step in (s for s in steps if s < limit):
        for n in (1, 2, 3, 10, 100):
            for scale in (0.1, 1.0, 30.0):
                u = rng.normal(size=(3, n)) * scale
                p = a.prox(u, step)
                assert (p >= 0).all()
                np.testing.assert_allclose(p.sum(axis=-1), 1, atol=1e-14)
                weight = step / gain
                seen = p > 1e-250
                safe = np.where(seen, p, 1.0)
                level = weight * np.log(safe) + (1 - step) * safe - u
                top = np.take_along_axis(level, np.argmax(p, axis=-1)[:, None], axis=-1)
                curvature = weight / safe + 1 - step
                error = np.abs(level - top) / np.maximum(np.abs(curvature), 1e-3)
                assert error[seen].max() < 1e-13


@pytest.mark.parametrize("step", [0.2, 0.9])
def test_convex_programming_finds_the_same_point(step: float) -> None:
    import cvxpy as cp

    rng = np.random.default_rng(3)
    for gain in (0.7, 3.0):
        a = activation("softmax", gain=gain)
        u = rng.normal(size=4)
        z = cp.Variable(4)
        cost = -(step / gain) * cp.sum(cp.entr(z)) + 0.5 * (1 - step) * cp.sum_squares(z) - u @ z
        cp.Problem(cp.Minimize(cost), [cp.sum(z) == 1]).solve(
            solver="CLARABEL", tol_gap_abs=1e-11, tol_gap_rel=1e-11, tol_feas=1e-11
        )
        np.testing.assert_allclose(a.prox(u, step), z.value, atol=1e-6)


@pytest.mark.parametrize(("gain", "step"), [(1.0, 3.0), (2.0, 20.0), (3.0, 2.5), (6.0, 1.4)])
def test_nonlinear_programming_finds_the_same_point_beyond_step_one(gain: float, step: float) -> None:
    from scipy.optimize import minimize

    a = activation("softmax", gain=gain)
    rng = np.random.default_rng(4)
    for _ in range(3):
        u = rng.normal(size=3) * 2

        def cost(z: np.ndarray, u: np.ndarray = u) -> float:
            safe = np.maximum(z, 1e-12)
            return float((step / gain) * np.sum(safe * np.log(safe)) + 0.5 * (1 - step) * np.sum(z * z) - u @ z)

        found = minimize(
            cost,
            np.full(3, 1 / 3),
            bounds=[(1e-12, 1)] * 3,
            constraints={"type": "eq", "fun": lambda z: np.sum(z) - 1},
            options={"ftol": 1e-15, "maxiter": 500},
        )
        p = a.prox(u, step)
        assert cost(p) <= found.fun + 1e-12
        np.testing.assert_allclose(p, found.x, atol=2e-4)


def test_ties_and_far_points() -> None:
    a = activation("softmax", gain=3.0)
    np.testing.assert_allclose(a.prox(np.zeros(4), 2.9), 0.25, atol=1e-14)
    np.testing.assert_allclose(a.prox(np.array([1e308, -1e308, 0.0]), 0.3), [1.0, 0.0, 0.0], rtol=0, atol=3e-16)
    far = a.prox(np.array([100.0, 100.0, -100.0]), 0.5)
    np.testing.assert_allclose(far, [0.5, 0.5, 0.0], atol=1e-14)
