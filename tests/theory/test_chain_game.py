"""The game of a whole network, and the steps of back-propagation: against dense formulas, and scikit-learn."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import nngames as nng
from nngames.solvers import backpropagation
from nngames.solvers.backpropagation import ENOUGH, FLATTER, PAIRS, Backpropagation, DescentProblem, _curved, _line
from nngames.solvers.solver import State


def lift(last: str = "softmax", bounds: Any = None, ridge: Any = 0.05) -> nng.LiftedTraining:
    rng = np.random.default_rng(2)
    inputs, targets = rng.normal(size=(30, 3)), np.eye(3)[rng.integers(0, 3, 30)]
    return nng.LiftedTraining(inputs, targets, ["tanh", last], [4], ridge=ridge, bounds=bounds, shares=[1, 0.2])


def test_all_layers_pay_the_networks_own_loss() -> None:
    training = lift(ridge=[0.05, 0.3])
    game = training.chain()
    theta = np.random.default_rng(3).normal(size=game.size)
    (w1, w2) = game.loss.matrices(theta)
    x, y = training.shape.inputs, training.shape.targets
    v = np.tanh(x @ w1[:, :-1].T + w1[:, -1]) @ w2[:, :-1].T + w2[:, -1]
    likelihood = np.sum(y * (v - np.log(np.exp(v).sum(axis=1, keepdims=True))), axis=1)
    expected = -likelihood.mean() + 0.025 * np.sum(w1[:, :-1] ** 2) + 0.15 * np.sum(w2[:, :-1] ** 2)
    assert game.cost(1, theta) == game.cost(2, theta) == game.potential(theta)
    assert game.potential(theta) == pytest.approx(expected, rel=1e-12)
    for i in range(0, game.size, 5):
        d = np.zeros(game.size)
        d[i] = 1e-6
        slope = (game.potential(theta + d) - game.potential(theta - d)) / 2e-6
        assert -game.residuals(theta)[i] == pytest.approx(slope, abs=1e-8)
    assert nng.check_potential(game).exact.proved


def test_bounds_on_regrets_hold_and_that_of_the_last_layer_is_its_gain() -> None:
    training = lift()
    game = training.chain()
    rng = np.random.default_rng(4)
    theta = rng.normal(size=game.size)
    bounds = {player: sum(pair) for player, pair in game.regret_bounds(theta).items()}
    w1 = game.loss.matrices(theta)[0]
    features = np.tanh(training.shape.inputs @ w1[:, :-1].T + w1[:, -1])
    alone = nng.TrainingProblem(features, training.shape.targets, ["softmax"], ridge=0.05)
    best = nng.solve(alone.game(), method="newton_descent", tolerance=1e-12).profile
    moved = theta.copy()
    moved[game.space.slice(2)] = best
    gain = game.cost(2, theta) - game.cost(2, moved)
    assert gain <= bounds[2]
    at_best = game.regret_bounds(moved)[2]
    assert sum(at_best) <= 1e-9
    for _ in range(50):
        other = theta.copy()
        other[game.space.slice(1)] *= rng.uniform(0, 1)
        assert game.cost(1, theta) - game.cost(1, other) <= bounds[1]


def test_the_critical_points_of_back_propagation_have_no_residual() -> None:
    for bounds, optimiser in ((None, "lbfgs"), ([1.5, 0.8], "projected_gradient")):
        training = lift("identity", bounds)
        game = training.chain()
        start = training.start(1)
        weights = np.concatenate([matrix.ravel() for matrix in training.matrices(start)])
        result = nng.solve(
            game, method="backpropagation", optimiser=optimiser, start=weights, tolerance=1e-8, max_iterations=5000
        )
        assert result.converged
        assert np.linalg.norm(game.residuals(result.profile)) <= 1e-8
        for player in game.players:
            matrix = game.loss.matrices(result.profile)[game.players.index(player)][:, :-1]
            if bounds:
                assert np.linalg.norm(matrix, 2) <= bounds[game.players.index(player)] * (1 + 1e-12)
        # Held with its forward pass, no layer but the last has anything to gain.
        report = training.report(training.lifted(game.loss.matrices(result.profile)))
        assert report.losses[1] <= 1e-15
        assert max(report.drift.values()) == 0


def test_the_two_loops_are_the_inverse_of_bfgs() -> None:
    rng = np.random.default_rng(5)
    n, pairs = 6, 4
    root = rng.normal(size=(n, n))
    curvature = root @ root.T + np.eye(n)
    steps = rng.normal(size=(pairs, n))
    bends = steps @ curvature
    inverse = np.eye(n) * (steps[-1] @ bends[-1]) / (bends[-1] @ bends[-1])
    for s, y in zip(steps, bends, strict=True):
        left = np.eye(n) - np.outer(s, y) / (s @ y)
        inverse = left @ inverse @ left.T + np.outer(s, s) / (s @ y)
    g = rng.normal(size=n)
    np.testing.assert_allclose(_curved(g, steps, bends), inverse @ g, rtol=1e-11)


class Kinked:
    """x -> |x_1| + 2 |x_2| + x_1^2, whose gradient jumps."""

    samples, constrained = 1, False

    def project(self, x):
        return x

    def value_and_gradient(self, x, rows=None):
        slope = np.array([np.sign(x[0]) + 2 * x[0], 2 * np.sign(x[1])])
        return float(abs(x[0]) + 2 * abs(x[1]) + x[0] ** 2), slope


@pytest.mark.parametrize("size", [1e-6, 0.3, 50.0])
def test_the_line_search_ends_with_the_weak_wolfe_conditions(size: float) -> None:
    problem: Any = object.__new__(DescentProblem)
    problem.view = Kinked()
    x = np.array([0.7, -1.3])
    value, gradient = problem.view.value_and_gradient(x)
    state = State(x, 1.0, 1, {"value": value, "gradient": gradient})
    found = _line(problem, state, -gradient, size)
    assert found is not None
    slope = -gradient @ gradient
    length = np.linalg.norm(found[0] - x) / np.linalg.norm(gradient)
    assert found[1] <= value + ENOUGH * length * slope
    assert found[2] @ -gradient >= FLATTER * slope
    assert _line(problem, state, gradient, size) is None


def test_l_bfgs_remembers_so_many_pairs_and_goes_on_until_rounding_hides_the_rest() -> None:
    training = lift("identity")
    game = training.chain()
    scheme = Backpropagation()
    problem = scheme.problem(game, np.random.default_rng(0))
    state = scheme.start(problem, np.random.default_rng(6).normal(size=game.size))
    values = [state.memory["value"]]
    for _ in range(PAIRS + 5):
        state = scheme.step(problem, state)
        values.append(state.memory["value"])
    assert np.all(np.diff(values) < 0)
    assert state.memory["steps"].shape == state.memory["bends"].shape == (PAIRS, game.size)
    result = nng.solve(game, method="backpropagation", start=state.x, tolerance=1e-300, max_iterations=5000)
    # Whether steps within rounding end depends on the last digits.
    assert result.status in ("stalled", "max_iterations")
    assert result.residual < 1e-14


def test_a_run_whose_line_search_finds_nothing_ends_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    game = lift("identity").chain()
    searches = []

    def nothing(problem: Any, state: State, direction: Any, size: float) -> None:
        searches.append(direction @ state.memory["gradient"])

    monkeypatch.setattr(backpropagation, "_line", nothing)
    result = nng.solve(game, method="backpropagation", tolerance=1e-9, seed=1)
    assert result.status == "stalled"
    assert result.message.startswith("no step lowers the loss: rounding hides the rest")
    assert result.iterations == 0
    assert searches
    assert max(searches) < 0


def test_adam_is_its_recursion() -> None:
    training = lift("identity")
    game = training.chain()
    x = np.random.default_rng(7).normal(size=game.size)
    found = nng.solve(
        game, method="backpropagation", optimiser="adam", batch=8, step_size=0.01, start=x, seed=3, max_iterations=2
    )
    rng, mean, square, step = np.random.default_rng(3), 0.0, 0.0, 0
    for _ in range(2):
        for rows in np.array_split(rng.permutation(30), 4):
            g = game.loss.value_and_gradient(x, rows)[1]
            step += 1
            mean, square = 0.9 * mean + 0.1 * g, 0.999 * square + 0.001 * g**2
            share = np.sqrt(1 - float(Fraction(999, 1000) ** step)) / (1 - float(Fraction(9, 10) ** step))
            x = x - 0.01 * share * mean / (np.sqrt(square) + 1e-8 * np.sqrt(1 - 0.999**step))
    np.testing.assert_allclose(found.profile, x, rtol=1e-10)


def test_options_and_games_that_back_propagation_refuses() -> None:
    with pytest.raises(nng.OptionError, match="optimiser='sgd' is unknown; valid: lbfgs, adam, projected_gradient"):
        nng.solver("backpropagation", optimiser="sgd")
    with pytest.raises(nng.NotApplicableError, match="optimiser: projected_gradient does"):
        nng.solve(lift(bounds=1.0).chain(), method="backpropagation")
    with pytest.raises(nng.NotApplicableError, match=r"LiftedTraining.chain\(\)"):
        nng.solve(lift().game(), method="backpropagation")
    game = lift().chain()
    with pytest.raises(nng.NotApplicableError, match="solve it with --method backpropagation"):
        game.best_response(1, np.zeros(game.size))
    with pytest.raises(nng.NotApplicableError, match="is not linearised"):
        game.fixed_point().linearise(np.zeros(game.size))
    assert "layer 1 (tanh): R^16, J = E" in game.explain()
    assert r"\text{layer 2}" in game.explain("latex")
    assert game.scale == 1.0


def test_scikit_learns_perceptron_is_its_own() -> None:
    network = pytest.importorskip("sklearn.neural_network")
    rng = np.random.default_rng(8)
    inputs, labels = rng.normal(size=(60, 3)), rng.integers(0, 3, 60)
    for classes in (3, 2):
        labels = np.where(labels >= classes, 0, labels)
        training = nng.LiftedTraining(inputs, np.eye(classes)[labels], ["relu", "softmax"], [5])
        game = training.chain()
        result = nng.solve(game, method="sklearn:mlp", seed=4, max_iterations=30)
        drawn = int(np.random.default_rng(4).integers(2**31))
        with pytest.warns(UserWarning, match="Maximum iterations"):
            theirs = network.MLPClassifier(hidden_layer_sizes=(5,), max_iter=30, random_state=drawn).fit(inputs, labels)
        ours = nng.TrainedNetwork.of_matrices(game.loss.matrices(result.profile), training.shape.activations)
        np.testing.assert_allclose(ours.predict(inputs), theirs.predict_proba(inputs), atol=1e-12)
        assert (result.status, result.iterations) == ("max_iterations", 30)
    numbers = nng.LiftedTraining(inputs, inputs[:, 0], ["tanh", "identity"], [4]).chain()
    result = nng.solve(numbers, method="sklearn:mlp", optimiser="lbfgs", seed=4, tolerance=1e-2)
    drawn = int(np.random.default_rng(4).integers(2**31))
    theirs = network.MLPRegressor(
        hidden_layer_sizes=(4,), activation="tanh", solver="lbfgs", max_iter=10_000, random_state=drawn
    )
    theirs.fit(inputs, inputs[:, 0])
    ours = nng.TrainedNetwork.of_matrices(
        numbers.loss.matrices(result.profile), [nng.activation("tanh"), nng.activation("identity")]
    )
    np.testing.assert_allclose(ours.predict(inputs)[:, 0], theirs.predict(inputs), atol=1e-10)
    with pytest.raises(nng.NotApplicableError, match="equal hidden layers of identity, logistic, tanh, relu"):
        nng.solve(nng.LiftedTraining(inputs, inputs, ["softsign", "identity"], [4]).chain(), method="sklearn:mlp")


def test_projected_gradients_are_their_recursion() -> None:
    training = lift("identity", bounds=[0.9, 0.9])
    game = training.chain()
    start = np.random.default_rng(9).normal(size=game.size)
    seen: list[Any] = []
    nng.solve(
        game,
        method="backpropagation",
        optimiser="projected_gradient",
        start=start,
        max_iterations=40,
        callback=lambda iterate: seen.append(iterate.profile),
    )

    def inside(theta: Any) -> Any:
        parts = []
        for shape, part in zip([(4, 4), (3, 5)], np.split(theta, [16]), strict=True):
            matrix = part.reshape(shape).copy()
            u, s, v = np.linalg.svd(matrix[:, :-1], full_matrices=False)
            matrix[:, :-1] = (u * np.minimum(s, 0.9)) @ v
            parts.append(matrix.ravel())
        return np.concatenate(parts)

    x = inside(start)
    value, g = game.loss.value_and_gradient(x)
    losses, size, risen = [value], 1.0, 0
    for number in range(40):
        np.testing.assert_allclose(seen[number], x, rtol=1e-8, atol=1e-10)
        length = size
        while True:
            y = inside(x - length * g)
            value, h = game.loss.value_and_gradient(y)
            # Below the largest of the last ten losses, not below the last one.
            if value <= max(losses[-10:]) - 1e-4 / length * np.sum((y - x) ** 2):
                break
            length /= 2
        risen += value > losses[-1]
        curved = (y - x) @ (h - g)
        size = (y - x) @ (y - x) / curved if curved > 0 else 2 * size
        x, g = y, h
        losses.append(value)
    assert risen > 0
