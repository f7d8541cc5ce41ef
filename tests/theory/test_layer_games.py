"""The layers' losses, their derivatives, curvatures and regrets, and the schemes that minimise them, against theory."""

from __future__ import annotations

import cvxpy
import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.signal import correlate2d

import nngames as nng
from nngames.training import LayerGame, LayerProblem, TrainingProblem
from nngames.training.duality import regret_bound
from nngames.training.layer_features import Convolution, LayerFeatures

SMOOTH = ("tanh", "logistic", "arctan", "softsign", "softplus", "identity", "elu")
METHODS = (
    ("gradient_descent", {}),
    ("gradient_descent", {"step_size": 1.9}),
    ("gradient_descent", {"rule": "printed", "step_size": 0.9}),
    ("accelerated_gradient", {}),
    ("accelerated_gradient", {"restart": False}),
    ("newton_descent", {}),
    ("block_iterative", {"blocks": 5}),
    ("block_iterative", {"blocks": 5, "schedule": "random", "step_size": 1.7}),
    ("stochastic_gradient", {"batch": 10}),
    ("picard", {}),
    ("km", {}),
    ("anderson", {}),
    ("auto", {}),
)


def usable(name: str) -> bool:
    activation = nng.activation(name)
    return activation.monotone and activation.self_map and np.isfinite(activation.lipschitz)


def layer(
    name: str, rng: np.random.Generator, samples: int = 12, ridge: float = 0.0, **options: object
) -> LayerProblem:
    activation = nng.activation(name)
    n = activation.size or 4
    inputs, v = rng.normal(size=(samples, 3)), rng.normal(size=(samples, n))
    weights = rng.uniform(0.5, 1.5, samples)
    weights /= weights.sum()
    return LayerProblem(LayerFeatures(inputs, n), activation(v), activation, weights, ridge, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", [name for name in nng.activations() if usable(name)])
def test_the_operator_is_the_gradient_of_the_loss(name: str) -> None:
    rng = np.random.default_rng(3)
    problem = layer(name, rng, ridge=0.3)
    theta, d = rng.normal(size=problem.features.shape), rng.normal(size=problem.features.shape)
    h = 1e-5
    slope = (problem.value(theta + h * d) - problem.value(theta - h * d)) / (2 * h)
    # Kinks between the two points cost up to h times the curvature.
    assert slope == pytest.approx(np.sum(problem.gradient(theta) * d), abs=1e-7 + h * problem.curvature * np.sum(d * d))


@pytest.mark.parametrize("name", [name for name in nng.activations() if usable(name)])
def test_the_operator_is_cocoercive_with_the_curvature(name: str) -> None:
    rng = np.random.default_rng(4)
    problem = layer(name, rng, ridge=0.2)
    for scale in (1e-3, 1.0, 30.0):
        a, b = (scale * rng.normal(size=problem.features.shape) for _ in range(2))
        f = problem.gradient(a) - problem.gradient(b)
        inner = np.sum(f * (a - b))
        assert inner >= np.sum(f * f) / problem.curvature * (1 - 1e-9) - 1e-13 * scale**2
        assert inner <= problem.curvature * np.sum((a - b) ** 2) * (1 + 1e-9)


@pytest.mark.parametrize("name", [*SMOOTH, "softmax"])
def test_the_hessian_is_the_derivative_of_the_operator(name: str) -> None:
    rng = np.random.default_rng(5)
    problem = layer(name, rng, ridge=0.1)
    theta, d = rng.normal(size=problem.features.shape), rng.normal(size=problem.features.shape)
    h = 1e-6
    difference = (problem.gradient(theta + h * d) - problem.gradient(theta - h * d)) / (2 * h)
    np.testing.assert_allclose(problem.hessian(theta)(d), difference, atol=2e-6)


@pytest.mark.parametrize("ridge", [0.0, 0.5])
@pytest.mark.parametrize("name", ["tanh", "logistic", "softmax", "softplus", "identity", "relu"])
def test_regret_bounds_hold_and_vanish_at_minimisers(name: str, ridge: float) -> None:
    rng = np.random.default_rng(6)
    problem = layer(name, rng, ridge=ridge)
    shape = problem.features.shape
    game = LayerGame({1: problem})
    solved = nng.solve(game, method="newton_descent", tolerance=1e-12)
    found = minimize(
        lambda x: problem.value(x.reshape(shape)),
        np.zeros(game.size),
        jac=lambda x: problem.gradient(x.reshape(shape)).ravel(),
    )
    least = min(found.fun, problem.value(solved.profile.reshape(shape)))
    for distance in (1e-4, 1e-2, 0.1):
        theta = solved.profile.reshape(shape) + distance * rng.normal(size=shape)
        bound, rounding = regret_bound(problem, theta)
        assert bound >= problem.value(theta) - least - rounding - 1e-14
    at_minimiser, _ = regret_bound(problem, solved.profile.reshape(shape))
    assert at_minimiser <= 1e-13
    near, _ = regret_bound(problem, solved.profile.reshape(shape) + 1e-4 * rng.normal(size=shape))
    assert near < 1e-5


@pytest.mark.parametrize("name", ["tanh", "identity"])
def test_regret_bounds_hold_with_a_bound_on_the_weight(name: str) -> None:
    rng = np.random.default_rng(7)
    problem = layer(name, rng, ridge=0.1, bound=0.3)
    shape = problem.features.shape
    game = LayerGame({1: problem})
    solved = nng.solve(game, method="accelerated_gradient", tolerance=1e-12)
    assert solved.status == "converged"
    theta = solved.profile.reshape(shape)
    assert np.linalg.norm(theta[:, :-1], 2) <= 0.3 * (1 + 1e-12)
    assert regret_bound(problem, theta)[0] <= 1e-10
    for _ in range(20):
        other = problem.project(theta + 0.2 * rng.normal(size=shape))
        assert problem.value(other) >= problem.value(theta) - 1e-12
        assert regret_bound(problem, other)[0] >= problem.value(other) - problem.value(theta) - 1e-12


def test_a_bounded_linear_layer_is_what_cvxpy_finds() -> None:
    rng = np.random.default_rng(8)
    inputs, targets = rng.normal(size=(30, 4)), rng.normal(size=(30, 3))
    problem = TrainingProblem(inputs, targets, "identity", bounds=0.2)
    result = nng.solve(problem.game(), method="gradient_descent", tolerance=1e-12)
    weight, bias = cvxpy.Variable((3, 4)), cvxpy.Variable(3)
    loss = cvxpy.sum_squares(inputs @ weight.T + cvxpy.vstack([bias] * 30) - targets)
    cvxpy.Problem(cvxpy.Minimize(loss), [cvxpy.norm(weight, 2) <= 0.2]).solve(solver="CLARABEL")
    found, _ = problem.weights_and_biases(result.profile)[1]
    np.testing.assert_allclose(found, weight.value, atol=1e-5)


@pytest.mark.parametrize(("method", "options"), METHODS)
def test_every_scheme_finds_least_squares(method: str, options: dict[str, object]) -> None:
    rng = np.random.default_rng(9)
    inputs, targets = rng.normal(size=(60, 4)), rng.normal(size=(60, 2))
    problem = TrainingProblem(inputs, targets, ["identity"])
    result = nng.solve(problem.game(), method=method, tolerance=1e-11, max_iterations=5000, seed=1, **options)
    assert result.status == "converged"
    rows = np.column_stack([inputs, np.ones(60)])
    expected = np.linalg.lstsq(rows, targets, rcond=None)[0].T
    np.testing.assert_allclose(result.profile.reshape(2, 5), expected, atol=1e-8)
    assert problem.residual(result.profile) < 1e-9


@pytest.mark.parametrize(("method", "options"), METHODS)
def test_every_scheme_finds_ridge_logistic_regression(method: str, options: dict[str, object]) -> None:
    rng = np.random.default_rng(10)
    inputs, labels = rng.normal(size=(80, 3)), (rng.uniform(size=80) < 0.4).astype(float)
    problem = TrainingProblem(inputs, labels, ["logistic"], ridge=0.05)
    result = nng.solve(problem.game(), method=method, tolerance=1e-11, max_iterations=5000, seed=1, **options)
    assert result.status == "converged"
    # Iteratively reweighted least squares, by its own formulas.
    rows, theta, penalty = np.column_stack([inputs, np.ones(80)]), np.zeros(4), np.diag([0.05] * 3 + [0.0])
    for _ in range(50):
        p = 1 / (1 + np.exp(-rows @ theta))
        hessian = rows.T @ (rows * (p * (1 - p))[:, None]) / 80 + penalty
        theta = theta - np.linalg.solve(hessian, rows.T @ (p - labels) / 80 + penalty @ theta)
    np.testing.assert_allclose(result.profile, theta, atol=1e-8)


def test_picard_on_the_gradient_map_is_gradient_descent_in_the_features_units() -> None:
    rng = np.random.default_rng(11)
    game = LayerGame({1: layer("tanh", rng)})
    descent = nng.solver("gradient_descent", rule="features")
    for one, other, _ in zip(nng.solver("picard").iterate(game), descent.iterate(game), range(30), strict=False):
        np.testing.assert_allclose(one.profile, other.profile, rtol=1e-12, atol=1e-14)


def test_an_epoch_of_batches_that_are_all_alike_is_as_many_gradient_steps() -> None:
    problem = TrainingProblem(np.full((6, 1), 2.0), np.full((6, 1), 0.3), ["tanh"])
    game, start = problem.game(), np.array([1.0, -0.5])
    descent = nng.solver("gradient_descent", step_size=0.1).iterate(game, start)
    steps = [state.profile for _, state in zip(range(10), descent, strict=False)]
    epochs = nng.solver("stochastic_gradient", batch=2, step_size=0.1).iterate(game, start)
    for k, state in zip(range(4), epochs, strict=False):
        np.testing.assert_allclose(state.profile, steps[3 * k], rtol=1e-13)


@pytest.mark.parametrize("size", [0.5, 1.0, 1.9])
@pytest.mark.parametrize("name", ["tanh", "logistic", "relu", "identity"])
def test_below_two_over_the_curvature_the_distance_falls_and_the_rate_holds(name: str, size: float) -> None:
    rng = np.random.default_rng(12)
    inputs, parameters = rng.normal(size=(40, 3)), rng.normal(size=(2, 4))
    targets = nng.activation(name)(inputs @ parameters[:, :3].T + parameters[:, 3])
    problem = TrainingProblem(inputs, targets, [name])
    game, fit = problem.game(), parameters.ravel()
    assert problem.residual(fit) < 1e-15
    solver = nng.solver("gradient_descent", step_size=size)
    guarantee = solver.guarantee(game)
    assert guarantee.proved
    start = np.zeros(game.size)
    distance = rate_start = np.linalg.norm(start - fit)
    for k, state in zip(range(200), solver.iterate(game, start), strict=False):
        now = np.linalg.norm(state.profile - fit)
        assert now <= distance * (1 + 1e-12)
        assert guarantee.rate is not None
        assert state.residual <= guarantee.rate.bound(k, float(rate_start)) * (1 + 1e-12)
        distance = now


def test_above_two_over_the_curvature_an_instance_diverges() -> None:
    rng = np.random.default_rng(13)
    inputs = rng.normal(size=(30, 3))
    problem = TrainingProblem(inputs, inputs @ rng.normal(size=3), ["identity"])
    game = problem.game()
    rows = np.column_stack([inputs, np.ones(30)])
    largest = np.linalg.eigvalsh(rows.T @ rows / 30)[-1]
    assert game.minimisation().curvature[0] == pytest.approx(largest, rel=1e-10)
    result = nng.solve(game, method="gradient_descent", step_size=2.05, max_iterations=5000)
    assert result.status == "diverged"
    assert not nng.solver("gradient_descent", step_size=2.05).guarantee(game).proved
    assert nng.solve(game, method="gradient_descent", step_size=1.95, max_iterations=5000).status == "converged"


def test_the_source_s_steps_are_those_of_the_game_with_parameters_for_each_sample() -> None:
    rng = np.random.default_rng(14)
    inputs, targets = rng.normal(size=(4, 2)), np.tanh(rng.normal(size=(4, 3)))
    problem = TrainingProblem(inputs, targets, ["tanh"])
    game, gamma = problem.per_sample_game(), 0.8
    weights, biases = np.zeros((4, 3, 2)), np.zeros((4, 3))
    for _, state in zip(
        range(10), nng.solver("gradient_descent", rule="printed", step_size=gamma).iterate(game), strict=False
    ):
        for t in range(4):
            mine = state.profile[game.space.slices[(1, t)]].reshape(3, 3)
            np.testing.assert_allclose(mine, np.column_stack([weights[t], biases[t]]), atol=1e-14)
            u = np.tanh(weights[t] @ inputs[t] + biases[t]) - targets[t]
            step = gamma / (2 * (1 + inputs[t] @ inputs[t]))
            weights[t], biases[t] = weights[t] - step * np.outer(u, inputs[t]), biases[t] - step * u
    solved = nng.solve(game, method="gradient_descent", tolerance=1e-12)
    # Each sample is fitted by parameters of its own, which differ, and whose mean solves nothing.
    own = np.array([solved.profile[game.space.slices[(1, t)]] for t in range(4)])
    assert np.ptp(own, axis=0).max() > 0.1
    assert problem.residual(own.mean(axis=0)) > 1e-3


def test_a_mask_is_regression_on_the_columns_it_keeps() -> None:
    rng = np.random.default_rng(15)
    inputs, targets = rng.normal(size=(50, 4)), rng.normal(size=(50, 3))
    mask = np.array([[1, 0, 1, 0], [1, 1, 1, 1], [0, 0, 0, 1]])
    problem = TrainingProblem(inputs, targets, ["identity"], masks={1: mask})
    result = nng.solve(problem.game(), method="accelerated_gradient", tolerance=1e-12)
    weight, bias = problem.weights_and_biases(result.profile)[1]
    for i, kept in enumerate(mask.astype(bool)):
        rows = np.column_stack([inputs[:, kept], np.ones(50)])
        expected = np.linalg.lstsq(rows, targets[:, i], rcond=None)[0]
        np.testing.assert_allclose(weight[i, kept], expected[:-1], atol=1e-9)
        np.testing.assert_array_equal(weight[i, ~kept], 0)
        assert bias[i] == pytest.approx(expected[-1], abs=1e-9)
    assert result.nash_gap < 1e-15


def test_a_convolution_is_a_correlation() -> None:
    rng = np.random.default_rng(16)
    shape = Convolution(5, 6, (2, 3), channels=2, input_channels=2)
    inputs = rng.normal(size=(7, shape.input_size))
    features = LayerFeatures(inputs, shape.output_size, convolution=shape)
    theta = rng.normal(size=features.shape)
    v = features.preactivations(theta).reshape(7, 4, 4, 2)
    kernels = theta[:, :-1].reshape(2, 2, 3, 2)
    for t, image in enumerate(inputs.reshape(7, 5, 6, 2)):
        for c in range(2):
            maps = [correlate2d(image[..., k], kernels[c, ..., k], mode="valid") for k in range(2)]
            np.testing.assert_allclose(v[t, ..., c], sum(maps) + theta[c, -1], atol=1e-12)
    weight, bias = features.weight_and_bias(theta)
    np.testing.assert_allclose(inputs @ weight.T + bias, features.preactivations(theta), atol=1e-12)
    u, d = rng.normal(size=(7, shape.output_size)), rng.normal(size=features.shape)
    assert np.sum(features.adjoint(u) * d) == pytest.approx(np.sum(u * features.preactivations(d)))
    largest = np.linalg.eigvalsh(features.gram(np.full(7, 1 / 7)))[-1]
    assert features.gram_norm(np.full(7, 1 / 7)) == pytest.approx(largest)


def test_a_convolution_is_learned() -> None:
    rng = np.random.default_rng(17)
    shape = Convolution(6, 6, (3, 3), channels=2)
    inputs = rng.normal(size=(40, 36))
    theta = rng.normal(size=(2, 10)) / 3
    targets = np.tanh(LayerFeatures(inputs, shape.output_size, convolution=shape).preactivations(theta))
    problem = TrainingProblem(inputs, targets, ["tanh"], convolutions={1: shape})
    result = nng.solve(problem.game(), method="newton_descent", tolerance=1e-12)
    np.testing.assert_allclose(result.profile.reshape(2, 10), theta, atol=1e-9)


@pytest.mark.parametrize("samples", [200, 1000])
@pytest.mark.parametrize("name", ["tanh", "logistic", "softplus", "identity", "arctan", "leaky_relu"])
def test_teachers_are_found_and_the_fit_obeys_the_conditioning(name: str, samples: int) -> None:
    """sum omega |r(A theta) - y|^2 <= S <F(theta), theta - theta'> <= S |F| |theta - theta'| for a fit theta'."""
    rng = np.random.default_rng(18)
    inputs = rng.normal(size=(samples, 20))
    first = rng.normal(size=(10, 21)) / 5
    second = rng.normal(size=(5, 11)) / 4
    activation = nng.activation(name)
    hidden = activation(inputs @ first[:, :-1].T + first[:, -1])
    targets = activation(hidden @ second[:, :-1].T + second[:, -1])
    problem = TrainingProblem(inputs, targets, [name, name], hidden=[hidden])
    result = nng.solve(problem.game(), method="accelerated_gradient", tolerance=2e-12, max_iterations=20_000)
    assert result.status == "converged"
    assert problem.residual(result.profile) <= 1e-10
    teacher = np.concatenate([first.ravel(), second.ravel()])
    report = problem.report(result.profile, tolerance=1e-8)
    assert report.kind == "fit"
    operators, matrices = problem.operator(result.profile), problem.game().matrices(result.profile)
    for player, theta in ((1, first), (2, second)):
        misses = problem.layers[player].errors(matrices[player])
        mean_square = float(np.mean(np.sum(misses**2, axis=1)))
        reach = np.linalg.norm(operators[player]) * np.linalg.norm(matrices[player] - theta)
        assert mean_square <= activation.lipschitz * reach + 1e-28
    np.testing.assert_allclose(problem.predict(result.profile), targets, atol=1e-7)
    # The curvature below, where the slopes are positive, makes the teacher the only solution.
    assert np.linalg.norm(result.profile - teacher) < 1e-6


def test_without_a_fit_a_solution_is_found_and_none_is_claimed() -> None:
    rng = np.random.default_rng(19)
    inputs, targets = rng.normal(size=(60, 3)), np.tanh(rng.normal(size=(60, 2)))
    problem = TrainingProblem(inputs, targets, ["tanh"])
    result = nng.solve(problem.game(), method="newton_descent", tolerance=1e-12)
    report = problem.report(result.profile)
    assert report.kind == "solution"
    assert report.solves.proved
    assert report.fits.refuted
    assert report.minimiser.proved
    # No parameters within that distance fit, so no random ones there do.
    assert report.fits.margin is not None
    assert report.fits.margin > 1e6
    assert problem.report(result.profile + 0.1).kind == "neither"


@pytest.mark.parametrize("seed", range(40))
def test_separable_classes_on_a_line_are_those_whose_intervals_do_not_overlap(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = np.arange(6) % 2
    inputs = rng.integers(0, 5, size=6) + (seed % 3) * 3.0 * labels
    zero, one = inputs[labels == 0], inputs[labels == 1]
    # Quasi-separable at a shared end; constant inputs leave the bias alone, which both labels hold.
    separable = (zero.max() <= one.min() or one.max() <= zero.min()) and np.ptp(inputs) > 0
    problem = TrainingProblem(inputs, labels, ["logistic"])
    verdict = problem.report(np.zeros(2)).minimiser
    assert verdict.status == ("REFUTED" if separable else "PROVED")
    if separable:
        slope, offset = verdict.witness["direction"]
        signs = (2 * labels - 1) * (slope * inputs + offset)
        assert signs.min() >= 0
        assert signs.max() > 0
    softmax = TrainingProblem(inputs, np.eye(2)[labels], ["softmax"])
    assert softmax.report(np.zeros(4)).minimiser.status == verdict.status


def test_a_ridge_leaves_only_the_bias_to_run_away() -> None:
    inputs, labels = np.array([0.0, 1.0, 2.0]), np.array([0.0, 0.0, 1.0])
    assert TrainingProblem(inputs, labels, ["logistic"], ridge=0.1).report(np.zeros(2)).minimiser.proved
    ones = TrainingProblem(inputs, np.ones(3), ["logistic"], ridge=0.1).report(np.zeros(2)).minimiser
    assert ones.refuted
    assert np.isfinite(ones.witness["direction"]).all()


def test_scipy_s_minimiser_comes_as_close_as_the_loss_can_be_told_apart() -> None:
    rng = np.random.default_rng(20)
    game = LayerGame({1: layer("tanh", rng), 2: layer("logistic", rng, ridge=0.1)})
    loose = nng.solve(game, method="scipy:l-bfgs-b", tolerance=1e-6)
    assert loose.status == "converged"
    tight = nng.solve(game, method="scipy:l-bfgs-b", tolerance=1e-15)
    assert tight.status == "stalled"
    assert tight.message.startswith("scipy:l-bfgs-b says: ")
    few = nng.solve(game, method="scipy:l-bfgs-b", tolerance=1e-12, max_iterations=2)
    assert (few.status, few.iterations) == ("max_iterations", 2)
    exact = nng.solve(game, method="newton_descent", tolerance=1e-12)
    np.testing.assert_allclose(loose.profile, exact.profile, atol=1e-4)
    refused = nng.solver("scipy:l-bfgs-b").applies(nng.Network.recurrent([[0.5]], [1.0], "tanh").game())
    assert refused == "a game with the proximal cost is not given as the minimum of one function"
