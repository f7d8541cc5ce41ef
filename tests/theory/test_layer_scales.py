"""Residuals and steps of layers with parameters of very different curvature: large ridges, features of any size."""

from __future__ import annotations

import numpy as np
import pytest

import nngames as nng
from nngames.training import LayerGame, LayerProblem, TrainingProblem
from nngames.training.layer_features import Convolution, LayerFeatures

ROWS = np.random.default_rng(0).normal(size=(200, 3))
LABELS = (np.random.default_rng(1).uniform(size=200) < 1 / (1 + np.exp(-ROWS @ [1, -0.5, 0.3] - 1))).astype(float)


def newton(scales: np.ndarray, ridge: float) -> np.ndarray:
    """Return the pre-activations of ridge logistic regression, by Newton's method on columns scaled to size 1."""
    rows, penalty = np.column_stack([ROWS, np.ones(200)]), np.append(ridge / scales**2, 0.0)
    z = np.zeros(4)
    for _ in range(50):
        p = 1 / (1 + np.exp(-rows @ z))
        hessian = rows.T @ (rows * (p * (1 - p))[:, None]) / 200 + np.diag(penalty)
        unit = 1 / np.sqrt(np.diag(hessian))
        gradient = rows.T @ (p - LABELS) / 200 + penalty * z
        z = z - unit * np.linalg.solve(hessian * unit * unit[:, None], unit * gradient)
    return rows @ z


@pytest.mark.parametrize(
    ("scales", "ridge"),
    [((1, 1, 1), 1e8), ((1, 1, 1), 1e12), ((1e-8, 1, 1e8), 0.0), ((1e-8, 1, 1e8), 0.1), ((1e40, 1e-40, 1), 1e-3)],
)
@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("newton_descent", {}),
        ("scipy:l-bfgs-b", {}),
        ("accelerated_gradient", {}),
        ("gradient_descent", {"rule": "features"}),
        ("gradient_descent", {}),
        ("anderson", {}),
        ("auto", {}),
    ],
)
def test_converged_means_near_the_minimiser(
    scales: tuple[float, ...], ridge: float, method: str, options: dict[str, str]
) -> None:
    problem = TrainingProblem(ROWS * scales, LABELS, ["logistic"], ridge=ridge)
    result = nng.solve(problem.game(), method=method, tolerance=1e-7, max_iterations=300, **options)
    if not options and method == "gradient_descent":
        # One step for all parameters is too short for the bias, which is said.
        assert result.status != "converged"
        return
    assert result.status == "converged"
    found = problem.layers[1].features.preactivations(result.profile.reshape(1, 4)).ravel()
    np.testing.assert_allclose(found, newton(np.array(scales, dtype=float), ridge), atol=3e-6)


def test_the_residual_is_that_of_features_of_size_one() -> None:
    scales = np.exp2([-40.0, 0, 60, 0])
    rng = np.random.default_rng(2)
    theta = rng.normal(size=4)
    for bounds in (None, 1e3):
        plain = TrainingProblem(ROWS, LABELS, ["logistic"], bounds=bounds).game()
        scaled = TrainingProblem(ROWS * scales[:3], LABELS, ["logistic"], bounds=bounds).game()
        if bounds is None:
            assert scaled.residual(theta / scales) == pytest.approx(plain.residual(theta), rel=1e-12)
        rows = np.column_stack([ROWS, np.ones(200)])
        gradient = rows.T @ (1 / (1 + np.exp(-rows @ theta)) - LABELS) / 200
        size = np.sqrt(np.mean(rows**2, axis=0))
        if bounds is not None:
            size[:3] = size[:3].max()
        # logistic has slopes up to 1/4; no bound is active.
        assert plain.residual(theta) == pytest.approx(np.linalg.norm(4 * gradient / size), rel=1e-12)


def problems() -> list[LayerProblem]:
    rng = np.random.default_rng(3)
    weights = rng.uniform(0.1, 1, 15)
    scaled = rng.normal(size=(15, 4)) * [1e-3, 1, 1e3, 1] + [0, 5, 0, 0]
    shape = Convolution(3, 3, (2, 2), channels=2)
    pair = nng.activation("identity")
    return [
        LayerProblem(LayerFeatures(scaled, 2), np.zeros((15, 2)), pair, weights, 0.3),
        LayerProblem(LayerFeatures(scaled, 2), np.zeros((15, 2)), nng.activation("selu"), weights),
        LayerProblem(LayerFeatures(scaled, 2), np.zeros((15, 2)), pair, weights, 2.0, bound=1e-3),
        LayerProblem(LayerFeatures(scaled, 2, np.eye(2, 4)), np.zeros((15, 2)), pair, weights, 1e6),
        LayerProblem(LayerFeatures(rng.normal(size=(15, 9)), 8, None, shape), np.zeros((15, 8)), pair, weights, 0.1),
        # A column of zeros, and one whose squares underflow.
        LayerProblem(LayerFeatures(scaled * [0, 1, 1e-200, 1], 1), np.zeros((15, 1)), pair, weights),
    ]


@pytest.mark.parametrize("place", range(6))
def test_the_metrics_exceed_the_hessian(place: int) -> None:
    problem = problems()[place]
    features, slope = problem.features, float(problem.activation.lipschitz)
    rows, weights = features.rows, np.repeat(problem.weights, features.positions)
    hessian = slope * (rows * weights[:, None]).T @ rows + problem.ridge * np.diag([1.0] * (rows.shape[1] - 1) + [0])
    assert (problem.metric <= problem.dominance * problem.own_curvature * (1 + 1e-12)).all()
    for metric in (problem.metric, problem.dominance * problem.own_curvature):
        root = 1 / np.sqrt(metric)
        largest = np.linalg.eigvalsh(hessian * root * root[:, None])[-1]
        assert largest <= 1 + 1e-12
        if problem.bound is None and place < 5:
            assert largest > 0.3


@pytest.mark.parametrize("bounds", [None, 0.2])
@pytest.mark.parametrize(("rule", "size"), [("features", 1.0), ("features", 1.9), ("curvature", 1.5), ("printed", 0.9)])
def test_rates_hold_with_a_ridge_and_features_of_different_size(bounds: float | None, rule: str, size: float) -> None:
    problem = TrainingProblem(ROWS * [0.1, 1, 5], LABELS, ["logistic"], ridge=0.5, bounds=bounds)
    game = problem.game()
    best = nng.solve(game, method="accelerated_gradient", tolerance=1e-13, max_iterations=10_000).profile
    solver = nng.solver("gradient_descent", rule=rule, step_size=size)
    guarantee = solver.guarantee(game)
    assert guarantee.proved
    rate, start = guarantee.rate, np.array([1.0, -2, 3, 4])
    assert rate is not None
    start = game.minimisation().project(start)
    distance = before = rate.norm(start - best)
    for k, state in zip(range(100), solver.iterate(game, start), strict=False):
        now = rate.norm(state.profile - best)
        assert now <= distance * (1 + 1e-9) + 1e-11
        assert state.residual <= rate.bound(k, before) * (1 + 1e-9)
        distance = now


@pytest.mark.parametrize("bounds", [None, 100.0])
@pytest.mark.parametrize("rule", ["features", "curvature"])
def test_a_rate_counts_that_the_residual_has_other_steps(bounds: float | None, rule: str) -> None:
    # A constant column beside the bias: kappa is 2, and the first residual is twice the distance.
    game = TrainingProblem([1.0, 1.0], [0.0, 0.0], ["identity"], bounds=bounds).game()
    start, solver = np.array([1.0, 1.0]), nng.solver("gradient_descent", rule=rule)
    rate = solver.guarantee(game).rate
    assert rate is not None
    assert game.residual(start) == pytest.approx(2 * np.sqrt(2))
    assert game.residual(start) <= rate.bound(0, rate.norm(start)) <= 2 * game.residual(start)


def test_a_rate_counts_that_small_steps_are_slow() -> None:
    game = TrainingProblem([1.0, -1.0], [0.0, 0.0], ["identity"], bounds=10.0).game()
    solver = nng.solver("gradient_descent", step_size=0.01)
    rate = solver.guarantee(game).rate
    assert rate is not None
    for k, state in zip(range(40), solver.iterate(game, np.array([1.0, 0.0])), strict=False):
        # The bound on the curvature is a little larger than 1.
        assert 0.99**k * (1 - 1e-9) <= state.residual <= 0.991**k
        assert state.residual <= rate.bound(k, 1.0)


def test_scales_at_the_ends_of_floats_are_no_errors() -> None:
    wide = TrainingProblem(ROWS * [1e99, 1e-99, 1], LABELS, ["logistic"]).game()
    guarantee = nng.solver("gradient_descent").guarantee(wide)
    # The residual is in units that are beyond the curvature's range.
    assert guarantee.proved
    assert guarantee.rate is None
    steep = TrainingProblem(ROWS, ROWS, ["identity"], ridge=1e308, bounds=1e200).game()
    assert nng.solve(steep, method="gradient_descent", rule="printed", max_iterations=50).status in (
        "diverged",
        "not_finite",
    )
    steep = TrainingProblem(ROWS, ROWS, ["identity"], ridge=1e308, certificate="monotone").game()
    assert nng.solve(steep, method="gradient_descent", rule="printed", max_iterations=50).status in (
        "diverged",
        "not_finite",
    )
    tiny = nng.solver("gradient_descent", step_size=5e-324).guarantee(TrainingProblem(30 * ROWS, LABELS, "tanh").game())
    assert str(tiny).endswith("a step is too small for floats")


def test_the_gradient_map_is_linearised_in_its_units() -> None:
    rng = np.random.default_rng(4)
    features = LayerFeatures(ROWS[:12] * [1e-2, 1, 1e2], 2)
    problem = LayerProblem(
        features, np.tanh(rng.normal(size=(12, 2))), nng.activation("tanh"), np.full(12, 1 / 12), 0.1
    )
    game = LayerGame({1: problem})
    theta, d, h = rng.normal(size=8) / np.tile(problem.units, 2), rng.normal(size=8), 1e-6
    z = game.map.restrict(theta)
    np.testing.assert_allclose(game.map.profile(z), theta, rtol=1e-14)
    out = game.map.evaluate(z, np.empty(8))
    np.testing.assert_allclose(out - z, game.residuals(theta), atol=1e-12)
    ahead, behind = (game.map.evaluate(z + way * h * d, np.empty(8)) for way in (1, -1))
    np.testing.assert_allclose(game.map.linearise(z)(d), (ahead - behind) / (2 * h), atol=1e-7)
