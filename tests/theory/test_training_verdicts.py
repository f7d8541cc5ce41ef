"""Verdicts on trained parameters against oracles of their own: separable classes, fits, distances, regrets, rates."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from scipy.optimize import linprog

import nngames as nng
from nngames.training import LayerProblem, TrainingProblem
from nngames.training.constraints import SpectralBall
from nngames.training.duality import regret_bound
from nngames.training.layer_features import Convolution, LayerFeatures


def separable(signed: np.ndarray, equal: np.ndarray) -> bool:
    """Whether some D has signed D >= 0, equal D = 0 and an entry of signed D >= 1: the program that caps each at 1."""
    count, width = signed.shape
    if not count:
        return False
    found = linprog(
        np.r_[np.zeros(width), -np.ones(count)],
        A_ub=np.hstack([-signed, np.eye(count)]),
        b_ub=np.zeros(count),
        A_eq=np.hstack([equal, np.zeros((len(equal), count))]),
        b_eq=np.zeros(len(equal)),
        bounds=[(None, None)] * width + [(0, 1)] * count,
    )
    return -found.fun > 0.5


OPTIONS = ({}, {"masks"}, {"ridge"}, {"bounds"}, {"masks", "ridge"})


def posed(rng: np.random.Generator, names: set[str], outputs: int, m: int) -> tuple[dict[str, object], np.ndarray]:
    """Return options of a problem, and which parameters can run away."""
    mask = rng.integers(0, 2, (outputs, m))
    every = {"masks": {1: mask}, "ridge": 0.1, "bounds": 1.0}
    free = np.ones((outputs, m + 1), dtype=bool)
    if "masks" in names:
        free[:, :-1] = mask
    if names & {"ridge", "bounds"}:
        free[:, :-1] = False
    return {name: every[name] for name in names}, free


@pytest.mark.parametrize("seed", range(40))
def test_separable_neurons_are_those_of_another_program(seed: int) -> None:
    rng = np.random.default_rng(seed)
    samples, m = int(rng.integers(1, 9)), int(rng.integers(1, 4))
    name, low, high = (("logistic", 0, 1), ("tanh", -1, 1), ("elu", -1, np.inf))[seed % 3]
    inputs = rng.integers(-2, 3, (samples, m)).astype(float)
    targets = rng.choice([low, 0.3, min(high, 2.5)], size=(samples, 2), p=[0.45, 0.1, 0.45])
    options, free = posed(rng, set(OPTIONS[seed % 5]), 2, m)
    rows = np.column_stack([inputs, np.ones(samples)])
    expected = False
    for neuron in range(2):
        used, y = rows[:, free[neuron]], targets[:, neuron]
        signs = np.where(y == high, 1, np.where(y == low, -1, 0))
        expected |= separable(signs[signs != 0, None] * used[signs != 0], used[signs == 0])
    problem = TrainingProblem(inputs, targets, [name], **options)
    verdict = problem.report(rng.normal(size=problem.game().size)).minimiser
    assert verdict.status == ("REFUTED" if expected else "PROVED")


@pytest.mark.parametrize("seed", range(90))
def test_separable_softmax_classes_are_those_of_another_program(seed: int) -> None:
    rng = np.random.default_rng(seed)
    samples, m, classes = int(rng.integers(1, 8)), int(rng.integers(1, 4)), int(rng.integers(1, 5))
    inputs = rng.integers(-2, 3, (samples, m)).astype(float)
    targets = np.eye(classes)[rng.integers(0, classes, samples)]
    if seed % 4 == 0 and classes > 1:
        targets[0] = (np.eye(classes)[0] + np.eye(classes)[1]) / 2
    options, free = posed(rng, set(OPTIONS[seed % 5]), classes, m)
    signed, equal = [np.zeros((0, free.sum()))], [np.zeros((0, free.sum()))]
    for x, y in zip(inputs, targets, strict=True):
        for j in range(classes):
            if j != y.argmax():
                line = np.zeros(free.shape)
                line[y.argmax()], line[j] = np.r_[x, 1], -np.r_[x, 1]
                (equal if y[j] > 0 else signed).append(line[free][None])
    problem = TrainingProblem(inputs, targets, ["softmax"], **options)
    verdict = problem.report((seed % 3) * rng.normal(size=problem.game().size)).minimiser
    expected = separable(np.concatenate(signed), np.concatenate(equal))
    assert verdict.status == ("REFUTED" if expected else "PROVED")
    if expected:
        direction = np.array(verdict.witness["direction"], dtype=float)
        assert not direction[~free[:, -direction.shape[1] :]].any()


@pytest.mark.parametrize(
    ("inputs", "targets"),
    [
        # Only the second sample moves along (1, 0), by 1e-20.
        ([[0.0], [1e-20], [0.0]], [0.5, 1, 0.5]),
        # Only the first sample moves along (-1, 1, 0), by 1e-10, or 1e-13.
        (np.column_stack([np.arange(1, 7), np.arange(1, 7) + np.eye(6)[0] * 1e-10]), [1, 0, 1, 0, 1, 0]),
        (np.column_stack([np.arange(1, 7), np.arange(1, 7) + np.eye(6)[0] * 1e-13]), [1, 0.5, 0.4, 0.3, 0.2, 0.6]),
    ],
)
def test_no_minimiser_is_claimed_where_a_tiny_difference_separates(inputs: object, targets: object) -> None:
    problem = TrainingProblem(inputs, targets, ["logistic"])
    verdict = problem.report(np.zeros(problem.game().size)).minimiser
    assert not verdict.proved
    if verdict.refuted:
        assert np.any(np.array(verdict.witness["direction"], dtype=float))


def test_classes_that_overlap_by_a_rounding_are_not_called_separable() -> None:
    problem = TrainingProblem([0.0, 1.0, 1 - 1e-13, 2.0], [0.0, 0, 1, 1], ["logistic"])
    assert not problem.report(np.zeros(2)).minimiser.refuted


def test_a_feature_of_the_last_class_alone_can_separate() -> None:
    problem = TrainingProblem([-1.0, 1.0], np.eye(2), ["softmax"], masks={1: [[0], [1]]})
    assert problem.report(np.zeros(4)).minimiser.refuted


def test_overlapping_classes_are_proved_with_dependent_columns() -> None:
    rng = np.random.default_rng(1)
    kinds = np.eye(4)[rng.integers(0, 4, 300)]
    inputs = np.column_stack([rng.normal(size=(300, 5)), kinds, kinds[:, 0], np.full(300, 3.0), np.zeros(300)])
    labels = rng.integers(0, 3, 300)
    problem = TrainingProblem(inputs, (labels > 0).astype(float), ["logistic"])
    assert problem.report(np.zeros(13)).minimiser.proved
    assert TrainingProblem(inputs, np.eye(3)[labels], ["softmax"]).report(np.zeros(39)).minimiser.proved
    # Of two equal columns the mask may leave the other one.
    apart = TrainingProblem([[1.0, 1], [2, 2], [3, 3]], [0, 0, 1.0], ["logistic"], masks={1: [[0, 1]]})
    assert apart.report(np.zeros(3)).minimiser.refuted


def test_what_stays_open_about_minimisers_is_said() -> None:
    relu = TrainingProblem([0.0, 1.0], [0.0, 0.0], ["relu"]).report(np.zeros(2)).minimiser
    assert relu.status == "UNDECIDED"
    assert "'relu' is constant in places" in relu.statement
    shape = Convolution(2, 2, (1, 2), channels=1)
    problem = TrainingProblem(np.eye(4), np.tile([1.0, 0.0], (4, 1)), ["softmax"], convolutions={1: shape})
    assert problem.report(np.zeros(3)).minimiser.status == "UNDECIDED"


def test_a_fit_is_not_claimed_within_less_than_the_rounding() -> None:
    inputs, theta = np.array([1e8 + 1 / 3, 1e8 + 2 / 3]), np.array([1e8 + 0.1, 1 / 3])
    targets = inputs * theta[0] + theta[1]
    missed = [
        abs(Fraction(x) * Fraction(theta[0]) + Fraction(theta[1]) - Fraction(y))
        for x, y in zip(inputs.tolist(), targets.tolist(), strict=True)
    ]
    problem = TrainingProblem(inputs, targets, ["identity"])
    assert max(missed) > 0.5
    assert problem.report(theta, tolerance=0.1).fits.status == "UNDECIDED"
    assert problem.report(theta, tolerance=100.0).fits.proved
    assert problem.report(theta + np.array([1e-3, 0]), tolerance=0.1).fits.refuted


def test_a_solution_is_not_claimed_within_less_than_the_rounding() -> None:
    problem = TrainingProblem([1.0, 2.0], [0.1, 0.2], ["identity"])
    assert problem.report([0.1, 0.0], tolerance=1e-18).solves.status == "UNDECIDED"
    assert problem.report([0.1, 0.0], tolerance=1e-14).solves.proved


@pytest.mark.parametrize("name", ["identity", "tanh", "relu", "logistic", "selu", "softplus"])
@pytest.mark.parametrize("masked", [False, True])
def test_parameters_that_fit_lie_outside_the_distance_that_a_report_gives(name: str, masked: bool) -> None:
    rng = np.random.default_rng(4)
    activation, inputs = nng.activation(name), rng.normal(size=(20, 3))
    mask = np.array([[1, 0, 1], [1, 1, 0]])
    teacher = rng.normal(size=(2, 4))
    if masked:
        teacher[:, :3] *= mask
    targets = activation(inputs @ teacher[:, :3].T + teacher[:, 3])
    problem = TrainingProblem(inputs, targets, [name], masks={1: mask} if masked else None)
    for size in (1e-6, 1e-2, 1.0, 10.0):
        theta = teacher + size * rng.normal(size=teacher.shape) * (problem.layers[1].features.mask if masked else 1)
        distance = problem.report(theta.ravel(), tolerance=1e-9).fits.margin
        assert 0 < distance <= np.linalg.norm(theta - teacher)


def test_the_distance_is_attained_and_the_largest_of_the_layers() -> None:
    alone = TrainingProblem([0.0], [1.0], ["identity"]).report(np.zeros(2))
    assert alone.fits.margin == pytest.approx(1, rel=1e-6)
    assert "no parameters within 1 of these" in alone.fits.statement
    steep = nng.activation("selu")
    near = TrainingProblem([0.0], [steep(np.array(-1e-6))], ["selu"]).report(np.zeros(2), tolerance=1e-9)
    assert 0.999e-6 < near.fits.margin <= 1e-6
    two = TrainingProblem([0.0], [1.0], ["identity", "identity"], hidden=[[2.0]])
    assert two.report([0, 2 - 1e-5, 0, 0]).fits.margin == pytest.approx(np.hypot(2, 1) / np.hypot(2, 1) ** 2, rel=1e-6)
    for options in ({"ridge": 0.1}, {"bounds": 0.5}):
        assert TrainingProblem([1.0], [1.0], ["identity"], **options).report([0.0, 0.0]).fits.margin is None


def test_a_bounded_layer_s_report_counts_the_projection() -> None:
    problem = TrainingProblem([1.0, 2.0, 3.0], [1.0, 2.0, 3.0], ["identity"], bounds=0.5)
    # The best bias for the weight 1/2, at which the operator is not 0.
    report = problem.report([0.5, 1.0])
    assert report.kind == "solution"
    assert np.linalg.norm(problem.operator([0.5, 1.0])[1]) > 0.1
    assert problem.residual([0.5, 1.0]) < 1e-15


@pytest.mark.parametrize("bounds", [None, 1e9])
def test_a_residual_that_is_small_against_the_parameters_is_not_lost(bounds: float | None) -> None:
    # F is 3e-9 in a weight of 1e8, beyond its digits; the fit is 3e7 away.
    problem = TrainingProblem([1e-8, -1e-8], [1.3, -1.3], ["identity"], bounds=bounds)
    report = problem.report(np.array([1e8, 0.0]), 1e-9)
    assert not report.solves.proved
    if bounds is None:
        assert report.solves.refuted
        assert problem.residual(np.array([1e8, 0.0])) == pytest.approx(3e-9)
        assert report.fits.margin == pytest.approx(3e7, rel=1e-4)


def test_parameters_near_which_classes_separate_are_no_fit() -> None:
    report = TrainingProblem([-1.0, 1.0], [0.0, 1.0], ["logistic"]).report([40.0, 0.0])
    assert report.fits.proved
    assert report.kind == "no minimiser"


@pytest.mark.parametrize("name", ["identity", "tanh", "logistic"])
@pytest.mark.parametrize("mask", [None, np.array([[1, 1, 0]])])
def test_regret_bounds_hold_for_features_of_any_size(name: str, mask: np.ndarray | None) -> None:
    rng = np.random.default_rng(0)
    activation, teacher = nng.activation(name), np.array([[0.4, -1.3, 0.0, 0.7]])
    inputs = rng.normal(size=(30, 3))
    targets = activation(inputs @ teacher[:, :3].T + teacher[:, 3])
    for size in (1.0, 1e-6, 1e-12, 1e12):
        scale = np.array([1, size, 1, 1])
        problem = LayerProblem(
            LayerFeatures(inputs * scale[:3], 1, mask), targets, activation, np.full(30, 1 / 30), ridge=0.0
        )
        least = problem.value(teacher / scale)
        for theta in (np.zeros((1, 4)), teacher * [1, 0, 1, 1], (teacher + 0.1) / scale):
            bound, rounding = regret_bound(problem, theta)
            assert bound + rounding >= (problem.value(theta) - least) * (1 - 1e-9)
        bound, rounding = regret_bound(problem, (teacher + np.array([1e-7, 0, 0, 0])) / scale)
        assert bound + rounding < 1e-9


@pytest.mark.parametrize("ridge", [1e-9, 1e-3, 1.0, 1e6])
def test_regret_bounds_are_of_the_size_of_the_regret_for_every_ridge(ridge: float) -> None:
    rng = np.random.default_rng(11)
    inputs, labels = rng.normal(size=(50, 3)), (rng.uniform(size=50) < 0.5).astype(float)
    problem = TrainingProblem(inputs, labels, ["logistic"], ridge=ridge)
    theta = nng.solve(problem.game(), method="newton_descent", tolerance=1e-12).profile
    layer = problem.layers[1]
    least = layer.value(theta.reshape(1, 4))
    for distance in (1e-3, 1e-2):
        other = theta + distance * np.array([1.0, -1, 1, 0.5]) * np.array([*[min(1, 1 / ridge)] * 3, 1.0])
        regret = layer.value(other.reshape(1, 4)) - least
        bound, rounding = regret_bound(layer, other.reshape(1, 4))
        assert regret <= bound + rounding + 1e-15
        assert bound + rounding <= 3 * regret + 1e-12


def test_a_regret_bound_counts_the_rounding_of_the_pre_activations() -> None:
    # Least squares in rationals; near the fit a bound is smaller than what the rounding of W x + b changes in it.
    for seed in range(40):
        rng = np.random.default_rng(seed)
        inputs, theta = 1e3 * rng.normal(size=4), np.array([1e3, 1.0]) * rng.normal(size=2)
        near = theta + np.array([1e-9, 1e-6]) * rng.normal(size=2)
        problem = TrainingProblem(inputs, inputs * near[0] + near[1], ["identity"])
        bound, rounding = regret_bound(problem.layers[1], theta[None])
        x, y = ([Fraction(z) for z in values.ravel().tolist()] for values in (inputs, problem.targets[1]))
        square, mean, target = sum(a * a for a in x), sum(x), sum(y)
        product = sum(a * b for a, b in zip(x, y, strict=True))
        slope = (4 * product - mean * target) / (4 * square - mean * mean)
        best, given = (slope, (target - slope * mean) / 4), [Fraction(z) for z in theta.tolist()]
        losses = [
            sum((a * w + b) ** 2 / 2 - (a * w + b) * c for a, c in zip(x, y, strict=True)) / 4 for w, b in (given, best)
        ]
        regret = losses[0] - losses[1]
        assert regret <= Fraction(bound) + Fraction(rounding)
        assert bound <= float(regret) * 1.1 + 1e-15


def test_a_regret_bound_counts_what_is_left_of_its_equations() -> None:
    # The fit, weights of 1e9 in a direction that squares hide, is beyond what a bound is proved for; this is not.
    first, hidden = np.array([1.0, -1, 1, -1]), np.array([1.0, 1, -1, -1])
    layer = TrainingProblem(np.column_stack([first, first + 1e-9 * hidden]), hidden, ["identity"]).layers[1]
    theta, near = np.zeros((1, 3)), np.array([[-0.9, 0.9, 0.0]])
    bound, rounding = regret_bound(layer, theta)
    assert 5e-10 < layer.value(theta) - layer.value(near) <= bound + rounding


@pytest.mark.parametrize("ridge", [1.0, 1e6, 1e12])
@pytest.mark.parametrize("centre", [0.0, 0.1])
def test_a_ridge_within_bounds_leaves_a_regret_of_second_order(ridge: float, centre: float) -> None:
    rng = np.random.default_rng(13)
    inputs, targets = rng.normal(size=(30, 3)), rng.normal(size=(30, 3))
    features = LayerFeatures(inputs, 3)
    layer = LayerProblem(
        features, targets, nng.activation("identity"), np.full(30, 1 / 30), ridge, SpectralBall(5.0, centre)
    )
    rows, penalty = features.rows, np.diag([ridge] * 3 + [0.0])
    best = np.linalg.solve(rows.T @ rows / 30 + penalty, rows.T @ targets / 30).T
    # The set does not move what lies inside, however small it is.
    np.testing.assert_array_equal(layer.project(best), best)
    assert layer.natural_step(best, layer.gradient(best))[0] == pytest.approx(0.0, abs=1e-14 * ridge**0.5 + 1e-14)
    assert sum(regret_bound(layer, best)) < 1e-12
    off = best * (1 + 1e-3)
    regret = float(np.sum((off - best) @ (rows.T @ rows / 30 + penalty) * (off - best)) / 2)
    bound, rounding = regret_bound(layer, off)
    assert regret * (1 - 1e-9) <= bound + rounding <= 3 * regret + 1e-12


def test_parameters_beyond_floats_have_no_bound_and_no_warning() -> None:
    layer = TrainingProblem(np.eye(3), np.eye(3), ["softmax"], ridge=0.1).layers[1]
    for size in (1e160, 1e305, 1.7e308):
        assert regret_bound(layer, np.full((3, 4), size)) == (np.inf, 0.0)


@pytest.mark.parametrize("ridge", [0.0, 1e-3])
@pytest.mark.parametrize("tiny", [1e-160, 1e-266, 5e-324])
def test_regrets_are_bounded_beside_features_whose_squares_underflow(ridge: float, tiny: float) -> None:
    rng = np.random.default_rng(12)
    inputs = np.column_stack([rng.normal(size=30), tiny * rng.choice([-1.0, 1.0], size=30)])
    problem = TrainingProblem(inputs, np.eye(3)[rng.integers(0, 3, size=30)], ["softmax"], ridge=ridge)
    theta = nng.solve(problem.game(), method="newton_descent", tolerance=1e-10).profile
    # Without a ridge the weights of the tiny feature run far.
    bound, rounding = regret_bound(problem.layers[1], theta.reshape(3, 3) if ridge else np.zeros((3, 3)))
    assert bound + rounding < (1e-12 if ridge else 1)


def test_rates_hold_where_they_are_nearly_met() -> None:
    for bounds in (None, 10.0):
        game = TrainingProblem([0.0], [1.0], ["identity"], bounds=bounds).game()
        for size in (0.1, 1.0, 1.9):
            solver = nng.solver("gradient_descent", step_size=size)
            rate = solver.guarantee(game).rate
            for k, state in zip(range(30), solver.iterate(game, np.zeros(2)), strict=False):
                assert state.residual == pytest.approx(abs(1 - size) ** k)
                assert state.residual <= rate.bound(k, 1.0) * (1 + 1e-9)
        assert rate.bound(0, 1.0) < 5
        assert not nng.solver("gradient_descent", step_size=2.005).guarantee(game).proved


def test_blocks_of_different_curvature_converge_within_bounds() -> None:
    inputs = np.r_[np.full(4, 10.0), np.full(4, 0.1)][:, None]
    targets = np.r_[10.0, 11, 9, 10, 1, 2, 3, 4]
    for bounds in (None, 0.3):
        game = TrainingProblem(inputs, targets, ["identity"], bounds=bounds).game()
        exact = nng.solve(game, method="accelerated_gradient", tolerance=1e-12).profile
        found = nng.solve(game, method="block_iterative", blocks=2, tolerance=1e-10, max_iterations=20_000)
        assert found.status == "converged"
        np.testing.assert_allclose(found.profile, exact, atol=1e-5)
        if bounds:
            assert abs(found.profile[0]) <= bounds * (1 + 1e-12)


def test_accelerated_steps_keep_the_bounds_and_the_rate() -> None:
    # The weight runs into its bound with momentum.
    game = TrainingProblem([-0.1, 0.1], [-1.0, 1.0], ["identity"], bounds=0.3).game()
    view, best = game.minimisation(), np.array([0.3, 0.0])
    solver = nng.solver("accelerated_gradient", restart=False)
    problem = solver.problem(game, np.random.default_rng(0))
    state = solver.start(problem, np.zeros(2))
    for k in range(1, 200):
        state = solver.step(problem, state)
        x = state.memory[1][0]
        assert max(abs(x[0]), abs(state.x[0])) <= 0.3 * (1 + 1e-12)
        above = view.value(x) - view.value(best)
        assert above <= 2 * view.curvature[0] * 0.3**2 / (k + 1) ** 2 + 1e-15


def test_more_blocks_than_samples_are_promised_nothing() -> None:
    game = TrainingProblem([0.0, 1.0], [0.0, 1.0], ["identity"]).game()
    with pytest.raises(nng.NotApplicableError, match="3 blocks of samples are asked for, and there are 2 samples"):
        nng.solver("block_iterative", blocks=3).guarantee(game)


def test_operators_of_weighted_convolutions_and_masks() -> None:
    rng = np.random.default_rng(5)
    shape = Convolution(3, 4, (2, 2), channels=2)
    inputs, weights = rng.normal(size=(5, 12)), rng.uniform(0.1, 3, 5)
    features = LayerFeatures(inputs, shape.output_size, convolution=shape)
    units = np.eye(features.size).reshape(-1, *features.shape)
    maps = np.array([features.preactivations(unit) for unit in units])  # (parameters, samples, outputs)
    norms = [np.linalg.norm(maps[:, t], 2) ** 2 for t in range(5)]
    np.testing.assert_allclose(features.squared_norms(), norms)
    whole = np.einsum("ptn,qtn,t->pq", maps, maps, weights)
    assert features.gram_norm(weights) == pytest.approx(np.linalg.eigvalsh(whole)[-1])
    masked = LayerFeatures(inputs[:, :3], 2, np.array([[1, 0, 1], [0, 1, 1]]))
    assert not masked.adjoint(rng.normal(size=(5, 2)))[masked.mask == 0].any()
    assert TrainingProblem(inputs, inputs[:, 0], ["identity"], weights=weights).weights.sum() == pytest.approx(1)


def test_verification_is_open_where_a_saturated_target_hides_its_preimage() -> None:
    inputs, theta = np.array([-1.0, 0.0, 1.0]), np.array([14.0, 2.0])
    problem = TrainingProblem(inputs, np.tanh(theta[0] * inputs + theta[1]), ["tanh"])
    report = problem.verify(theta)
    assert (report.fits.status, report.equilibrium.status) == ("UNDECIDED", "UNDECIDED")
    assert problem.verify(theta, tolerance=10.0).fits.proved
    assert problem.verify([14.0, 7.0]).fits.refuted
