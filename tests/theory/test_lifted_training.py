"""The lifted game is a potential game with convex moves and honest regrets; back-propagation is the gradient."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.optimize import minimize

import nngames as nng
from nngames.training import lifted_moves
from nngames.training.chain import ChainShape, forward_pass, initial_parameters
from nngames.training.chain_loss import ChainLoss
from nngames.training.layer_game import LayerGame
from nngames.training.lifted_game import LiftedGame

HIDDEN = ("relu", "tanh", "hard_tanh", "logistic", "softplus", "identity", "elu")
DERIVABLE = [
    name
    for name in nng.activations()
    if nng.activation(name).self_map and nng.activation(name).continuous and nng.activation(name).defined_everywhere
]


def training(hidden: str = "relu", seed: int = 0, last: str = "softmax", **options: object) -> nng.LiftedTraining:
    rng = np.random.default_rng(seed)
    inputs, labels = rng.normal(size=(9, 3)), np.arange(9) % 3
    targets = np.eye(3)[labels] if last == "softmax" else rng.normal(size=(9, 3))
    return nng.LiftedTraining(inputs, targets, [hidden, hidden, last], [4, 2], **options)  # type: ignore[arg-type]


def somewhere(game: LiftedGame, rng: np.random.Generator) -> np.ndarray:
    """A profile whose hidden answers lie in the domains, off those of the forward pass."""
    x = rng.normal(size=game.size)
    for layer in range(1, game.depth):
        where = game.space.slices[("activations", layer)]
        x[where] = game.activations[layer - 1](rng.normal(size=(9, game.sizes[layer]))).ravel()
    return x


@pytest.mark.parametrize("hidden", HIDDEN)
def test_one_function_tells_every_player_s_gain(hidden: str) -> None:
    problem = training(hidden, ridge=0.1, shares=[1.0, 0.5, 2.0], weights=np.arange(1, 10))
    game, rng = problem.game(), np.random.default_rng(1)
    x, y = somewhere(game, rng), somewhere(game, rng)
    for player, where in game.space.slices.items():
        moved = x.copy()
        moved[where] = y[where]
        gain = game.cost(player, moved) - game.cost(player, x)
        assert gain == pytest.approx(game.potential(moved) - game.potential(x), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("hidden", HIDDEN)
def test_the_function_is_zero_exactly_where_every_layer_answers(hidden: str) -> None:
    problem = training(hidden)
    game, x = problem.game(), problem.start(3)
    targets = problem.trained(x).predict(problem.shape.inputs)
    met = nng.LiftedTraining(problem.shape.inputs, targets, problem.shape.activations, problem.shape.widths)
    assert met.game().potential(x) == pytest.approx(0, abs=1e-14)
    assert met.game().nash_gap(x) == pytest.approx(0, abs=1e-12)
    assert met.game().residual(x) < 1e-7
    assert game.potential(somewhere(game, np.random.default_rng(2))) > 1e-3


@pytest.mark.parametrize("hidden", ["logistic", "identity"])
def test_regret_bounds_are_above_what_a_player_can_gain(hidden: str) -> None:
    problem = training(hidden, ridge=0.2, shares=[1.0, 0.7, 1.3])
    game = problem.game()
    x = somewhere(game, np.random.default_rng(4))
    bounds = game.regret_bounds(x)
    for player in (("activations", 1), ("activations", 2)):
        where = game.space.slices[player]
        activation = game.activations[player[1] - 1]

        def cost(v: np.ndarray, where: slice = where, player: tuple = player, activation: object = activation) -> float:
            moved = x.copy()
            moved[where] = activation(v)  # type: ignore[operator]
            return float(game.cost(player, moved))

        # Answers written as r(v) stay in the domain.
        found = min(
            (minimize(cost, start, method="BFGS") for start in (np.zeros(len(x[where])), x[where])), key=lambda f: f.fun
        )
        gain = game.cost(player, x) - found.fun
        bound, rounding = bounds[player]
        assert bound + rounding >= gain - 1e-9
        assert gain > 0


@pytest.mark.parametrize("hidden", HIDDEN)
def test_moves_lower_the_function_and_lead_to_an_equilibrium(hidden: str) -> None:
    problem = training(hidden, ridge=0.05)
    game = problem.game()
    moves, x = game.alternation(), problem.start(5)
    value = moves.value(x)
    for turn in [*range(moves.turns)] * 2:
        following = moves.move(x, turn)
        changed = [p for p, where in game.space.slices.items() if not np.array_equal(following[where], x[where])]
        assert len(changed) <= 1
        assert moves.value(following) <= value + 1e-14
        x, value = following, moves.value(following)
    assert game.residual(x) < game.residual(problem.start(5))


@pytest.mark.parametrize("hidden", ["relu", "hard_tanh", "identity"])
def test_alternating_moves_end_at_an_equilibrium(hidden: str) -> None:
    problem = training(hidden, ridge=0.05)
    game = problem.game()
    result = nng.solve(game, method="alternating", start=problem.start(6), tolerance=1e-7, max_iterations=3000)
    assert result.status == "converged"
    assert np.linalg.norm(problem.trained(result.profile).weights[0]) > 0.5
    assert result.nash_gap < 1e-9
    assert max(gain for gain, _ in game.regret_bounds(result.profile).values()) < 1e-9


@pytest.mark.parametrize("hidden", ["tanh", "logistic", "selu", "relu", "softplus"])
def test_a_step_of_answers_falls_by_its_share_of_the_regret(hidden: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifted_moves, "STEPS", 1)
    game = training(hidden, shares=[0.5, 1.0, 40.0]).game()
    moves, x = game.alternation(), somewhere(game, np.random.default_rng(11))
    own, after = game.activations[1], game.activations[2]
    following = moves.move(x, moves.turns - 1)
    where = game.space.slices[("activations", 2)]
    d = following[where] - x[where]
    assert np.any(d)
    weight = game.matrix(3, x)[:, :-1]
    # The smallest share that any direction could have; the step itself takes more.
    least = 1 / (1 + own.lipschitz * after.lipschitz * 40.0 * np.linalg.norm(weight, 2) ** 2)
    bound, _ = game.regret_bounds(x)[("activations", 2)]
    assert game.potential(x) - game.potential(following) >= least * bound
    for _ in range(2000):
        x = moves.move(x, moves.turns - 1)
    assert game.regret_bounds(x)[("activations", 2)][0] < 1e-6 * bound


def test_a_step_of_answers_is_as_long_as_is_safe(monkeypatch: pytest.MonkeyPatch) -> None:
    # Of one neuron and identities every bound holds with equality: the step ends at the best answer.
    monkeypatch.setattr(lifted_moves, "STEPS", 1)
    rng = np.random.default_rng(4)
    shape = {"widths": [1], "shares": [0.7, 2.1], "ridge": 0.1}
    problem = nng.LiftedTraining(rng.normal(size=(5, 2)), rng.normal(size=(5, 3)), ["identity"] * 2, **shape)
    game = problem.game()
    x = rng.normal(size=game.size)
    moved = game.alternation().move(x, 2)
    where = game.space.slices[("activations", 1)]
    assert np.abs(game.residuals(x)[where]).min() > 0.1
    np.testing.assert_allclose(game.residuals(moved)[where], 0, atol=1e-13)


@pytest.mark.parametrize("bounds", [None, 0.7])
@pytest.mark.parametrize("last", ["softmax", "identity"])
def test_a_move_of_weights_falls_by_the_square_of_its_residual(last: str, bounds: float | None) -> None:
    game = training("tanh", last=last, ridge=0.1, bounds=bounds, shares=[2.0, 1.0, 3.0]).game()
    moves, x = game.alternation(), somewhere(game, np.random.default_rng(12))
    for layer in (1, 2, 3):
        game.matrix(layer, x)[:, :-1] *= 0.2
    parts = game.residuals(x)
    for turn, layer in enumerate((1, 2, 3)):
        part = game.matrix(layer, parts)
        metric = game.layer_problem(layer, x).steady_metric
        following = moves.move(x, turn)
        fall = game.potential(x) - game.potential(following)
        assert fall >= 0.5 * game.shares[layer - 1] * float(np.sum(metric * part**2)) * (1 - 1e-9)
        if bounds is not None:
            assert np.linalg.norm(game.matrix(layer, following)[:, :-1], 2) <= bounds * (1 + 1e-12)


@pytest.mark.parametrize("bounds", [None, 0.7])
def test_more_steps_of_weights_never_raise_the_cost(bounds: float | None, monkeypatch: pytest.MonkeyPatch) -> None:
    game = training("relu", last="identity", bounds=bounds).game()
    problem = game.layer_problem(3, somewhere(game, np.random.default_rng(14)))
    theta = problem.project(np.full(problem.features.shape, 3.0))
    losses = [problem.value(theta)]
    for steps in range(1, 60):
        monkeypatch.setattr(lifted_moves, "STEPS", steps)
        losses.append(problem.value(lifted_moves.better_weights(problem, theta)))
    assert np.diff(losses).max() <= 1e-14 * losses[0]
    solved = nng.solve(LayerGame({1: problem}), method="accelerated_gradient", tolerance=1e-12).profile
    assert losses[-1] - problem.value(solved.reshape(theta.shape)) < 1e-8 * losses[0]


@pytest.mark.parametrize("hidden", ["tanh", "relu"])
def test_regret_bounds_of_weights_are_above_what_minimising_finds(hidden: str) -> None:
    game = training(hidden, ridge=0.2, shares=[1.0, 0.7, 1.3]).game()
    x = somewhere(game, np.random.default_rng(13))
    for player in (("weights", 1), ("weights", 2), ("weights", 3)):
        where = game.space.slices[player]

        def cost(theta: np.ndarray, where: slice = where, player: tuple = player) -> float:
            moved = x.copy()
            moved[where] = theta
            return float(game.cost(player, moved))

        gain = game.cost(player, x) - minimize(cost, x[where], method="BFGS").fun
        bound, rounding = game.regret_bounds(x)[player]
        assert gain > 0.01
        assert bound + rounding >= gain - 1e-9


def test_a_report_encloses_every_regret_and_names_who_gains() -> None:
    problem = training("tanh", ridge=0.05, bounds=[None, 0.8, 2.0])
    game = problem.game()
    start = problem.report(problem.start(1))
    assert start.equilibrium.refuted
    assert start.equilibrium.witness["player"] == ["activations", 2]
    assert set(start.drift) == {1, 2}
    assert max(start.drift.values()) < 1e-15
    result = nng.solve(game, method="alternating", start=problem.start(1), tolerance=1e-7, max_iterations=3000)
    found = problem.report(result.profile)
    assert found.equilibrium.proved
    for report in (start, found):
        assert all(0 <= gain <= bound for gain, bound in report.regrets.values())
    ridges = sum(game.ridge_loss(layer, result.profile) for layer in (1, 2, 3))
    assert found.potential == pytest.approx(sum(found.losses.values()) + ridges)
    assert np.linalg.norm(problem.trained(result.profile).weights[1], 2) <= 0.8 * (1 + 1e-12)
    # A player moved off the equilibrium is the one that gains.
    off = result.profile.copy()
    off[game.space.slices[("activations", 2)]] *= 0.9
    assert problem.report(off).equilibrium.witness["player"] == ["activations", 2]
    assert "activations of layer 2 gain" in str(problem.report(off))
    gain, bound = (max(regrets[i] for regrets in start.regrets.values()) for i in (0, 1))
    assert bound > 1.01 * gain
    between = problem.report(problem.start(1), np.sqrt(gain * bound)).equilibrium
    assert between.status == "UNDECIDED"


@pytest.mark.parametrize("inputs", list(itertools.permutations([1e16, 1.0, -1e16])))
@pytest.mark.parametrize("depth", [1, 2])
def test_what_rounding_hides_is_not_proved(inputs: tuple[float, ...], depth: int) -> None:
    # v is 1 and its target 0, a regret of 1/2 for whoever pays; in floats v comes out as 0 or 1, by the order.
    problem = nng.LiftedTraining([inputs], [[0.0]], ["identity"] * depth, [1] * (depth - 1))
    profile = np.zeros(problem.game().size)
    profile[:3] = 1
    report = problem.report(profile)
    assert not report.equilibrium.proved
    payers = [("weights", 1), ("activations", 1)][:depth]
    assert all(report.regrets[player][1] >= 0.5 for player in payers)
    assert all(report.regrets[player][0] <= 0.5 for player in payers)


@pytest.mark.parametrize("hidden", ["tanh", "softmax", "relu"])
def test_a_start_off_the_domain_comes_into_it(hidden: str) -> None:
    problem = training(hidden, ridge=0.1)
    game, x = problem.game(), problem.start(1)
    x[game.space.slices[("activations", 1)]] = -5.0
    assert game.cost(("activations", 1), x) == np.inf
    assert problem.report(x).equilibrium.refuted
    result = nng.solve(game, method="alternating", start=x, max_iterations=1)
    assert np.isfinite(game.potential(result.profile))
    assert np.isfinite(result.nash_gap)


def test_rounds_are_proved_to_settle_where_answers_and_weights_are_bounded() -> None:
    solver = nng.solver("alternating")
    assert solver.guarantee(training("tanh", ridge=[0, 0.1, 0.1]).game()).proved
    assert solver.guarantee(training("tanh", bounds=[None, 1.0, 2.0]).game()).proved
    assert "weights of layer 3 have neither" in solver.guarantee(training("tanh", ridge=[1, 1, 0]).game()).statement
    assert "answers of layer 1 are not bounded" in solver.guarantee(training("relu", ridge=1.0).game()).statement


@pytest.mark.parametrize("hidden", ["tanh", "softplus", "softmax"])
def test_the_map_is_linearised_with_its_step_sizes_fixed(hidden: str) -> None:
    problem = training(hidden, ridge=[0.1, 0.2, 0.3], shares=[1.0, 0.5, 2.0])
    game, rng = problem.game(), np.random.default_rng(15)
    x, d = somewhere(game, rng), rng.normal(size=game.size)
    steps = {layer: 1 / game.layer_problem(layer, x).steady_metric for layer in (1, 2, 3)}

    def moved(y: np.ndarray) -> np.ndarray:
        out = game.fixed_point().evaluate(y, np.empty_like(y))
        for layer, step in steps.items():
            theta = game.matrix(layer, y)
            gradient = game.layer_problem(layer, y).gradient(theta)
            out[game.space.slices[("weights", layer)]] = (theta - step * gradient).ravel()
        return out

    slope = (moved(x + 1e-6 * d) - moved(x - 1e-6 * d)) / 2e-6
    np.testing.assert_allclose(game.fixed_point().linearise(x)(d), slope, atol=1e-7 * np.linalg.norm(slope))


def test_newton_polishes_what_moves_in_turn_began() -> None:
    problem = training("tanh", last="identity", ridge=[0.1, 0.2, 0.3])
    game = problem.game()
    x = nng.solve(game, method="alternating", start=problem.start(2), tolerance=1e-3).profile
    polished = nng.solve(game, method="newton", start=x, tolerance=1e-13, max_iterations=200)
    assert polished.status == "converged"
    assert game.potential(polished.profile) <= game.potential(x)


def test_what_is_not_linearised_does_not_end_auto() -> None:
    problem = training("tanh", ridge=0.05, bounds=0.8)
    result = nng.solve(problem.game(), start=problem.start(1), max_iterations=200)
    assert result.status in ("converged", "max_iterations", "stalled")


@pytest.mark.parametrize("name", DERIVABLE)
def test_back_propagation_is_the_gradient_for_every_hidden_activation(name: str) -> None:
    rng = np.random.default_rng(6)
    activation = nng.activation(name)
    size = activation.size or 3
    shape = ChainShape(
        rng.normal(size=(6, 2)), np.eye(3)[rng.integers(0, 3, 6)], [activation, "softmax"], [size], ridge=[0.1, 0.0]
    )
    loss = ChainLoss(shape, [None, None])
    theta = np.concatenate([m.ravel() for m in initial_parameters(shape, rng)]) + 0.1 * rng.normal(size=loss.size)
    _, gradient = loss.value_and_gradient(theta)
    d = rng.normal(size=loss.size)
    h = 1e-6
    slope = (loss.value_and_gradient(theta + h * d)[0] - loss.value_and_gradient(theta - h * d)[0]) / (2 * h)
    assert float(gradient @ d) == pytest.approx(slope, rel=1e-5, abs=1e-6)


def test_back_propagation_through_three_layers_and_some_samples() -> None:
    rng = np.random.default_rng(7)
    shape = ChainShape(
        rng.normal(size=(8, 3)), rng.normal(size=(8, 2)), ["tanh", "silu", "identity"], [4, 5], ridge=0.3
    )
    loss = ChainLoss(shape, [None] * 3)
    theta, rows = rng.normal(size=loss.size), np.array([0, 3, 4])
    _, gradient = loss.value_and_gradient(theta, rows)
    for i in range(0, loss.size, 7):
        d = np.zeros(loss.size)
        d[i] = 1e-6
        slope = (loss.value_and_gradient(theta + d, rows)[0] - loss.value_and_gradient(theta - d, rows)[0]) / 2e-6
        assert gradient[i] == pytest.approx(slope, abs=1e-7)
    alone = ChainShape(shape.inputs[rows], shape.targets[rows], shape.activations, shape.widths, ridge=0.3)
    np.testing.assert_allclose(ChainLoss(alone, [None] * 3).value_and_gradient(theta)[1], gradient)


@pytest.mark.parametrize("method", ["lbfgs", "projected_gradient"])
def test_one_layer_is_its_convex_problem(method: str) -> None:
    rng = np.random.default_rng(8)
    inputs, labels = rng.normal(size=(60, 3)), np.eye(3)[rng.integers(0, 3, 60)]
    trained = nng.train_by_backpropagation(inputs, labels, ["softmax"], [], method=method, ridge=0.1, tolerance=1e-7)
    assert trained.status == "converged"
    problem = nng.TrainingProblem(inputs, labels, ["softmax"], ridge=0.1)
    solved = nng.solve(problem.game(), method="newton_descent", tolerance=1e-10)
    weight, bias = problem.weights_and_biases(solved.profile)[1]
    np.testing.assert_allclose(trained.network.weights[0], weight, atol=1e-5)
    np.testing.assert_allclose(
        trained.network.biases[0] - trained.network.biases[0].mean(), bias - bias.mean(), atol=1e-5
    )
    assert trained.loss == pytest.approx(problem.game().cost(1, solved.profile), abs=1e-10)


def test_projected_gradients_keep_the_bounds_and_end_at_a_projected_critical_point() -> None:
    rng = np.random.default_rng(9)
    inputs, targets = rng.normal(size=(50, 4)), rng.normal(size=(50, 4))
    trained = nng.train_by_backpropagation(
        inputs,
        targets,
        ["tanh", "identity"],
        [6],
        method="projected_gradient",
        bounds=[0.8, 0.9],
        seed=1,
        max_iterations=5000,
    )
    assert trained.status == "converged"
    norms = [np.linalg.norm(w, 2) for w in trained.network.weights]
    assert norms[0] <= 0.8 * (1 + 1e-12)
    assert norms[1] <= 0.9 * (1 + 1e-12)
    assert trained.residual <= 1e-4
    # The ring of the trained layers contracts, by the certificate's own proof.
    assert nng.certify(trained.network.ring().game())["composite_contraction"].proved


def test_same_seed_same_network_and_statuses_are_honest() -> None:
    rng = np.random.default_rng(10)
    inputs, targets = rng.normal(size=(40, 3)), np.eye(2)[rng.integers(0, 2, 40)]
    runs = [
        nng.train_by_backpropagation(inputs, targets, ["relu", "softmax"], [5], method="adam", seed=3, max_iterations=4)
        for _ in range(2)
    ]
    np.testing.assert_array_equal(runs[0].network.weights[0], runs[1].network.weights[0])
    assert runs[0].status == "max_iterations"
    assert "allow more iterations" in runs[0].message
    assert runs[0].losses.shape == (5,)
    blown = nng.train_by_backpropagation(
        inputs, inputs, ["identity"] * 4, [3] * 3, method="adam", step_size=1e200, seed=3
    )
    assert blown.status == "not_finite"
    late = nng.train_by_backpropagation(inputs, targets, ["relu", "softmax"], [5], max_seconds=1e-9)
    assert late.status == "max_seconds"


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (
            {"method": "sgd"},
            nng.OptionError,
            "train_by_backpropagation: method='sgd' is unknown; valid: lbfgs, adam, projected_gradient",
        ),
        ({"bounds": 1.0}, nng.OptionError, "bounds are kept by method='projected_gradient'; got method='lbfgs'"),
        ({"max_iterations": 0}, nng.OptionError, "train_by_backpropagation: max_iterations must be at least 1; got 0"),
        ({"start": [np.zeros((2, 2))]}, nng.OptionError, "start must be the matrices (W, b) of shapes (4, 3), (1, 5)"),
        ({"widths": [0]}, nng.InputError, "widths must be positive integers; got 0"),
        ({"widths": []}, nng.ShapeError, "2 layers have 1 hidden widths; widths has 0"),
    ],
)
def test_bad_options_of_back_propagation(options: dict, error: type[Exception], message: str) -> None:
    given = {"widths": [4], **options}
    with pytest.raises(error) as caught:
        nng.train_by_backpropagation(np.eye(3)[:, :2], [0.1, 0.2, 0.3], ["tanh", "identity"], **given)
    assert str(caught.value) == message


def test_what_lifted_training_refuses() -> None:
    with pytest.raises(nng.NotApplicableError, match="'silu' is not monotone"):
        training("silu")
    with pytest.raises(nng.InputError, match="shares must be positive numbers; got 0"):
        training(shares=0)
    with pytest.raises(nng.NotApplicableError, match="have no moves to make in turn"):
        nng.solve(nng.Network.recurrent([[0.5]], [1.0], "tanh").game(), method="alternating")
    game = training().game()
    with pytest.raises(nng.NotApplicableError, match="solve it with --method alternating"):
        game.best_response(("weights", 1), np.zeros(game.size))
    assert "activations of layer 1 (relu): R^36, J = D_1 + D_2" in game.explain()
    assert r"\text{weights 3}" in game.explain("latex")
    bounded = training(ridge=[0.5, 0, 0], bounds=[2.0, None, None]).game()
    assert "weights of layer 1 (relu): R^16, |W|_2 <= 2, J = D_1 + 0.5 |W|^2/2" in bounded.explain()
    assert r"\|W\|_2 \le 2:\quad J = D_1 + \frac{0.5}{2}\|W\|^2" in bounded.explain("latex")


def test_a_trained_network_is_a_chain_and_a_ring() -> None:
    problem = training("tanh", last="identity")
    network = problem.trained(problem.start(1))
    x = np.array([0.1, -0.2, 0.3])
    chain = network.chain(x)
    np.testing.assert_allclose(chain.joint(chain.joint(chain.joint(np.zeros(9))))[-3:], network.predict(x[None])[0])
    ring = network.ring()
    assert ring.feed(x, steps=1) is not None
    assert training().trained(training().start(1)).ring().space.sizes == (4, 2, 3)
    _, answers = forward_pass(
        problem.shape, [problem.game().matrix(k, problem.start(1)) for k in (1, 2, 3)], problem.shape.inputs
    )
    np.testing.assert_allclose(answers[-1], network.predict(problem.shape.inputs))
    with pytest.raises(nng.ShapeError, match="the network maps 2 numbers to 3"):
        nng.LiftedTraining(np.eye(2), np.eye(3)[:2], ["relu", "softmax"], [4]).trained(np.zeros(35)).ring()


def test_the_check_knows_the_potentials_of_training_games() -> None:
    problem = training("tanh", ridge=0.1)
    lifted, rng = problem.game(), np.random.default_rng(11)
    layered = nng.TrainingProblem(rng.normal(size=(6, 2)), np.tanh(rng.normal(size=(6, 2))), ["tanh"]).game()
    for game, x, y in (
        (lifted, somewhere(lifted, rng), somewhere(lifted, rng)),
        (layered, rng.normal(size=6), rng.normal(size=6)),
    ):
        report = nng.check_potential(game)
        assert report.exact.proved
        assert report.weighted.proved
        assert report.ordinal.proved
        assert report.potential is not None
        for player, where in game.space.slices.items():
            moved = x.copy()
            moved[where] = y[where]
            gain = game.cost(player, moved) - game.cost(player, x)
            assert report.potential(moved) - report.potential(x) == pytest.approx(gain, abs=1e-9)
    with pytest.raises(nng.NotApplicableError, match="the form of the proximal cost alone gives no potential"):
        nng.Network.recurrent([[0.5]], [1.0], "tanh").game().potential([0.0])
