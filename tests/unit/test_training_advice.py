"""What a training run that does not converge is told, and residuals that do not round with the parameters' size."""

from __future__ import annotations

import numpy as np
import pytest

import nngames as nng
from nngames.report.learning_drawing import LINE, _lines
from nngames.training.chain import ChainShape
from nngames.training.chain_game import ChainGame
from nngames.training.chain_loss import ChainLoss

RNG = np.random.default_rng(0)
INPUTS = RNG.normal(size=(12, 3))
CLASSES = np.eye(2)[RNG.integers(0, 2, size=12)]


def chain(bounds=(None, None)):
    return ChainGame(ChainLoss(ChainShape(INPUTS, CLASSES, ["tanh", "softmax"], [4]), list(bounds)))


def advice(game, method, start=None, **options):
    result = nng.solve(game, method=method, start=start, **options)
    assert not result.converged
    return result.message.split("; ", 2)[2]


def test_layers_are_told_a_faster_scheme_and_that_separable_classes_have_no_minimiser():
    few = {"max_iterations": 3, "tolerance": 1e-14}
    scale = "samples on one scale, data: standardize: true"
    free = nng.TrainingProblem(INPUTS, CLASSES, ["softmax"]).game()
    longer = "--max-iterations 1000"
    separable = "; without a ridge separable classes have no minimiser"
    assert advice(free, "gradient_descent", **few) == f"try --method newton_descent or {longer} or {scale}{separable}"
    assert advice(free, "newton_descent", **few) == f"try {longer} or {scale}{separable}"
    bounded = nng.TrainingProblem(INPUTS, CLASSES, ["softmax"], bounds=1e-2).game()
    assert advice(bounded, "gradient_descent", max_iterations=1, tolerance=1e-14) == (
        f"try --method accelerated_gradient or {longer} or {scale}"
    )
    # Of least squares every problem has a minimiser, whatever the size of the game.
    linear = nng.TrainingProblem(RNG.normal(size=(9, 60)), RNG.normal(size=(9, 50)), ["identity"]).game()
    assert linear.size > 2000
    assert advice(linear, "gradient_descent", **few) == f"try --method newton_descent or {longer} or {scale}"


@pytest.mark.parametrize(
    ("activation", "ridge", "said"),
    [
        ("tanh", 0.1, "the residual is proved to tend to 0, so allow more: --max-iterations 1000"),
        ("relu", 0.1, "the sum of all losses never increases, but the answers of layer 1 are not bounded, so nothing"),
        ("tanh", 0.0, "the sum of all losses never increases, but the weights of layer 2 have neither a ridge nor a"),
    ],
)
def test_moves_in_turn_are_told_what_is_proved(activation, ridge, said):
    training = nng.LiftedTraining(INPUTS, CLASSES, [activation, "softmax"], widths=[4], ridge=ridge)
    start = training.start(0)
    assert advice(training.game(), "alternating", start, max_iterations=2).startswith(said)
    assert advice(training.game(), "picard", start, max_iterations=2).startswith("try --method alternating")


def test_back_propagation_is_told_that_nothing_is_proved():
    game = chain()
    start = RNG.normal(size=game.size)
    assert advice(game, "backpropagation", start, max_iterations=2) == (
        "nothing is proved of a loss that is not convex; if it still falls, allow more: --max-iterations 1000"
    )
    assert advice(game, "picard", start, max_iterations=2).startswith("try --method backpropagation")


def test_the_residual_of_a_network_is_its_gradient_however_large_its_weights_are():
    rng = np.random.default_rng(1)
    for bounds in ((None, None), (None, 1e12)):
        game = chain(bounds)
        # Saturated layers: gradients are far below the rounding of the parameters.
        theta = 1e9 * rng.normal(size=game.size)
        gradient = game.loss.value_and_gradient(theta)[1]
        assert 0 < np.linalg.norm(gradient) < 1e9
        assert np.array_equal(game.residuals(theta), -gradient)
        assert game.loss.natural_step(theta, 1e-9 * gradient) == pytest.approx(-1e-9 * gradient, rel=1e-15, abs=0)
    game = chain((0.5, None))
    theta = game.loss.project(rng.normal(size=game.size))
    gradient = game.loss.value_and_gradient(theta)[1]
    step = game.loss.project(theta - gradient) - theta
    assert game.residuals(theta) == pytest.approx(step, abs=1e-14)
    assert not np.allclose(step, -gradient)


def test_the_status_of_many_runs_is_told_in_lines_that_fit():
    words = [f"method {number}: max iterations, 1000 passes" for number in range(9)] + ["x" * 150]
    lines = _lines(words).split("\n")
    assert [word for line in lines for word in line.split("; ")] == words
    assert all(len(line) <= LINE for line in lines[:-1])
    assert len(lines) == 4
