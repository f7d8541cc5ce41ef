"""Network games against brute force and 50-digit arithmetic: costs, responses, regrets, players, domains, views."""

from __future__ import annotations

from typing import Any

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

import nngames as nng
from nngames.core.errors import DomainError, InputError, NotApplicableError, OptionError, ShapeError, UnknownNameError
from nngames.games.metric_prox import DenseResponse

Array = NDArray[np.float64]
#: Separable activations with a bounded search interval for the actions.
SCALAR: dict[str, tuple[Any, float, float]] = {
    "tanh": ("tanh", -1.0, 1.0),
    "steep tanh": ({"name": "tanh", "scale": 2.0}, -2.0, 2.0),
    "sigmoid": ("sigmoid", 0.0, 1.0),
    "relu": ("relu", 0.0, 30.0),
    "leaky_relu": ("leaky_relu", -200.0, 30.0),
    "softplus_beta": ("softplus_beta", 0.0, 30.0),
    "arctan": ("arctan", -1.5707, 1.5707),
    "softsign": ("softsign", -0.99999, 0.99999),
    "elu": ("elu", -0.999999, 30.0),
    "identity": ("identity", -30.0, 30.0),
    "linear": ({"name": "linear", "slope": 0.5}, -30.0, 30.0),
    "box": ({"name": "box", "lower": -0.5, "upper": 2.0}, -0.5, 2.0),
    "hard_tanh": ("hard_tanh", -1.0, 1.0),
}
VECTOR: dict[str, Any] = {
    "softmax": "softmax",
    "cold softmax": {"name": "softmax", "gain": 3.0},
    "simplex": "simplex",
    "ball": {"name": "ball", "radius": 0.7},
}


def pair(activation: Any, seed: int = 0, n: int = 3, loop: float | None = None) -> Any:
    """Return a network of two players that listen to each other, the first with the activation and maybe a loop."""
    rng = np.random.default_rng(seed)
    weights = {("a", "b"): rng.standard_normal((n, 2)), ("b", "a"): rng.standard_normal((2, n))}
    if loop is not None:
        half = rng.standard_normal((n, n))
        form = half @ half.T
        weights["a", "a"] = loop * form / np.linalg.norm(form, 2)
    return nng.Network.graph(
        weights, {"a": rng.standard_normal(n), "b": rng.standard_normal(2)}, {"a": activation, "b": "tanh"}
    )


def feasible(game: Any, seed: int = 0, *shape: int) -> Array:
    """Return profiles inside every domain: responses to drawn profiles, mixed with each other."""
    rng = np.random.default_rng(seed)
    drawn = game.best_responses(2 * rng.standard_normal((2, *shape, game.size)).reshape(-1, game.size))
    half = len(drawn) // 2
    mixed = 0.7 * drawn[:half] + 0.3 * drawn[half:]
    return mixed.reshape(*shape, game.size)


# Costs and responses by brute force


@pytest.mark.parametrize("loop", [None, 0.4, -3.0])
@pytest.mark.parametrize("name", SCALAR)
def test_neurons_answer_and_regret_as_a_scalar_minimisation_says(name: str, loop: float | None) -> None:
    activation, low, high = SCALAR[name]
    game = pair(activation, loop=loop).game("neurons")
    assert game.players == ("a[0]", "a[1]", "a[2]", "b[0]", "b[1]")
    x = feasible(game, 1)
    for player in ("a[0]", "a[1]", "a[2]"):
        where = game.space.slices[player]

        def cost(z: float, where: slice = where, player: str = player) -> float:
            moved = x.copy()
            moved[where] = z
            return game.cost(player, moved)

        found = minimize_scalar(cost, bounds=(low, high), method="bounded", options={"xatol": 1e-10})
        answer = float(game.best_response(player, x)[0])
        assert cost(answer) <= found.fun + 1e-12
        assert answer == pytest.approx(found.x, abs=2e-4)
        assert game.regrets(x)[player] == pytest.approx(cost(float(x[where][0])) - cost(answer), rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("loop", [None, 0.4, -3.0])
@pytest.mark.parametrize("name", [*SCALAR, *VECTOR])
def test_no_deviation_of_a_layer_beats_its_answer(name: str, loop: float | None) -> None:
    activation = SCALAR[name][0] if name in SCALAR else VECTOR[name]
    game = pair(activation, loop=loop).game("layers")
    x = feasible(game, 2)
    for player in game.players:
        where = game.space.slices[player]
        best = x.copy()
        best[where] = game.best_response(player, x)
        least = game.cost(player, best)
        assert game.regrets(x)[player] == pytest.approx(game.cost(player, x) - least, rel=1e-7, abs=1e-13)
        for other in feasible(game, 3, 50):
            for share in (1e-4, 0.1, 1.0):
                moved = best.copy()
                moved[where] = (1 - share) * best[where] + share * other[where]
                assert game.cost(player, moved) >= least - 1e-13


@pytest.mark.parametrize("name", [*SCALAR, *VECTOR])
def test_the_cost_is_the_penalty_and_half_the_square(name: str) -> None:
    activation = SCALAR[name][0] if name in SCALAR else VECTOR[name]
    network = pair(activation)
    game = network.game()
    x = feasible(game, 4)
    v = network.weights["a", "b"].dense @ x[3:] + network.biases["a"]
    penalty = np.sum(network.activations["a"].penalty(x[:3]))
    assert game.cost("a", x) == pytest.approx(penalty + 0.5 * np.sum((x[:3] - v) ** 2), rel=1e-12, abs=1e-13)
    np.testing.assert_allclose(game.best_response("a", x), network.activations["a"](v), rtol=1e-14, atol=1e-16)


def test_a_self_loop_moves_into_its_players_cost() -> None:
    network = pair("tanh", loop=0.4)
    game = network.game()
    x = feasible(game, 5)
    loop, z = network.weights["a", "a"].dense, x[:3]
    heard = network.weights["a", "b"].dense @ x[3:] + network.biases["a"]
    expected = np.sum(network.activations["a"].penalty(z)) + 0.5 * z @ (np.eye(3) - loop) @ z - z @ heard
    assert game.cost("a", x) == pytest.approx(expected, rel=1e-12)
    answer = game.best_response("a", x)
    # The answer is a fixed point of the layer with its own loop.
    np.testing.assert_allclose(answer, np.tanh(loop @ answer + heard), rtol=0, atol=1e-14)
    moved = np.concatenate([answer, x[3:]])
    assert game.regrets(moved)["a"] <= 1e-28


def test_a_nonsymmetric_loop_makes_neurons_the_players() -> None:
    network = nng.Network.recurrent([[0.3, 1.0], [-1.0, 0.2]], [0.5, -0.5], "tanh")
    game = network.game()
    assert game.players == ("1[0]", "1[1]")
    x = np.array([0.3, -0.2])
    answer = game.best_response("1[0]", x)
    np.testing.assert_allclose(answer, np.tanh(0.3 * answer + 1.0 * x[1] + 0.5), atol=1e-15)
    np.testing.assert_allclose(game.best_responses(x)[:1], answer, rtol=1e-15)
    assert game.residual(x) == pytest.approx(np.linalg.norm(network.joint(x) - x))


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (
            lambda: nng.Network.recurrent([[0.5, 0.1], [0.3, 2.0]], [0.0, 0.0], "tanh").game(),
            InputError,
            "1[1]: its own cost has curvature -1, not above 1 - 1/S = 0 for activation 'tanh', so its best response is "
            "not unique; a self-weight must be below 1/S (network.feed and nng.diagnose work without a game)",
        ),
        (
            lambda: nng.Network.recurrent([[0.5]], [0.0], {"name": "tanh", "scale": 2.0}).game(),
            InputError,
            "1[0]: its own cost has curvature 0.5, not above 1 - 1/S = 0.5 for activation 'tanh', so its best response "
            "is not unique; a self-weight must be below 1/S (network.feed and nng.diagnose work without a game)",
        ),
        (
            lambda: nng.Network.recurrent([[0.5, 0.1], [0.3, 0.2]], [0.0, 0.0], "tanh").game("layers"),
            InputError,
            "player 1 feeds itself with a nonsymmetric weight, so no cost of the whole layer has its answer as "
            "minimiser; use players='neurons'",
        ),
        (
            lambda: nng.Network.recurrent([[0.0, 2.0], [2.0, 0.0]], [0.0, 0.0], "relu").game(),
            InputError,
            "1: the smallest eigenvalue of its own curvature is -1, not above 1 - 1/S = 0 for activation 'relu', so "
            "its best response is not unique; a self-weight must be below 1/S (network.feed and nng.diagnose work "
            "without a game)",
        ),
        (
            lambda: pair("softmax").game("neurons"),
            InputError,
            "player a has activation 'softmax', which is not separable: use players='layers'",
        ),
        (lambda: pair("tanh").game("layer"), OptionError, "players='layer' is unknown; valid: auto, layers, neurons"),
        (
            lambda: pair("tanh").game(cost="free"),
            OptionError,
            "cost='free' is unknown; valid: auto, proximal, tracking",
        ),
        (
            lambda: nng.Network.recurrent(0.5, 0.0, "silu").game(),
            NotApplicableError,
            "player 1 feeds itself, and the tracking cost is not equivalent to the network there: use monotone "
            "activations with the proximal cost, or iterate the network with network.feed",
        ),
        (
            lambda: pair("softmax").game("neurons", "tracking"),
            InputError,
            "player a has activation 'softmax', which is not separable: use players='layers'",
        ),
    ],
)
def test_games_that_do_not_exist_are_refused_exactly(build: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        build()
    assert str(caught.value) == message


def test_a_prox_of_nothing_has_no_proximal_cost() -> None:
    with pytest.raises(
        NotApplicableError, match=r"^player a: activation 'silu' is not monotone .*use cost='tracking'$"
    ):
        pair("silu").game(cost="proximal")


def test_self_weights_up_to_the_bound_have_unique_answers() -> None:
    for weight, activation in (
        (0.999, "tanh"),
        (3.9, "sigmoid"),
        (-50.0, "relu"),
        (0.49, {"name": "tanh", "scale": 2.0}),
    ):
        network = nng.Network.recurrent(weight, 0.1, activation)
        game = network.game()
        answer = float(game.best_response(1, [0.0])[0])
        fixed = network.activations[1](np.array([weight * answer + 0.1]))[0]
        assert answer == pytest.approx(fixed, rel=1e-12)
        assert game.regrets([answer])[1] <= 1e-20


# Tracking


@pytest.mark.parametrize("players", ["layers", "neurons"])
def test_the_tracking_cost_is_half_the_squared_distance_to_the_response(players: str) -> None:
    network = pair("silu")
    assert network.game().cost_name == "tracking"
    game = network.game(players)
    x = np.random.default_rng(0).standard_normal(5)
    responses = network.joint(x)
    for player, where in game.space.slices.items():
        expected = 0.5 * np.sum((x - responses)[where] ** 2)
        assert game.cost(player, x) == pytest.approx(expected, rel=1e-13)
        assert game.regrets(x)[player] == pytest.approx(expected, rel=1e-13)
        np.testing.assert_allclose(game.best_response(player, x), responses[where], rtol=1e-14)
    assert game.nash_gap(x) == pytest.approx(0.5 * np.sum((x - responses) ** 2), rel=1e-13)
    assert game.residual(x) == pytest.approx(np.linalg.norm(x - responses), rel=1e-13)
    with pytest.raises(NotApplicableError, match=r"^a game with the tracking cost has no inclusion view$"):
        game.inclusion()
    result = nng.solve(game)
    assert result.converged
    assert game.nash_gap(result.profile) <= 1e-17


def test_both_costs_have_the_same_equilibria() -> None:
    network = pair("tanh", seed=3)
    proximal, tracking = network.game(cost="proximal"), network.game(cost="tracking")
    result = nng.solve(proximal, "extragradient", tolerance=1e-12)
    assert result.converged
    assert tracking.nash_gap(result.profile) <= 1e-22
    assert proximal.nash_gap(result.profile) <= 1e-22


# Domains


def test_rounding_off_the_simplex_is_forgiven_and_more_is_not() -> None:
    game = pair("softmax").game()
    x = np.concatenate([game.best_response("a", np.zeros(5)), [0.1, -0.2]])
    near = x.copy()
    near[0] += 3e-10
    far = x.copy()
    far[0] += 1e-3
    assert game.regrets(near)["a"] == pytest.approx(game.regrets(x)["a"], rel=1e-6, abs=1e-15)
    assert game.regrets(far)["a"] == np.inf
    assert game.nash_gap(far) == np.inf
    assert game.domain_distances(x)["a"] <= 1e-15
    assert game.domain_distances(far)["a"] == pytest.approx(1e-3 / np.sqrt(3), rel=1e-6)
    assert game.cost("a", far) == np.inf
    assert np.isfinite(game.cost("b", far))


def test_actions_off_a_box_have_infinite_regret_in_their_own_coordinate_only() -> None:
    network = pair({"name": "box", "lower": 0.0, "upper": 1.0})
    neurons, layers = network.game("neurons"), network.game("layers")
    x = np.array([0.5, 1.0 + 1e-12, -0.1, 0.0, 0.0])
    regrets = neurons.regrets(x)
    assert np.isfinite(regrets["a[0]"])
    assert np.isfinite(regrets["a[1]"])
    assert regrets["a[2]"] == np.inf
    assert layers.regrets(x)["a"] == np.inf
    assert neurons.domain_distances(x)["a[2]"] == pytest.approx(0.1)
    assert layers.domain_distances(x)["a"] == pytest.approx(0.1)
    batch = neurons.regrets(np.array([x, np.full(5, 0.2)]))["a[2]"]
    assert batch[0] == np.inf
    assert np.isfinite(batch[1])


@pytest.mark.parametrize("cost", ["proximal", "tracking"])
@pytest.mark.parametrize("players", ["layers", "neurons"])
def test_what_overflows_is_infinite_and_never_nan(players: str, cost: str) -> None:
    rng = np.random.default_rng(0)
    weights = {("a", "b"): 1e200 * rng.standard_normal((3, 2)), ("b", "a"): 1e200 * rng.standard_normal((2, 3))}
    for activation in ("identity", "leaky_relu", "relu", "tanh"):
        network = nng.Network.graph(weights, {"a": np.zeros(3), "b": np.zeros(2)}, activation)
        game = network.game(players, cost)
        for x in (np.ones(5), 1e150 * np.ones(5), 1e308 * rng.choice([-1.0, 1.0], 5)):
            regrets = np.array(list(game.regrets(x).values()))
            assert not np.isnan(regrets).any()
            assert (regrets >= 0).all()
            assert game.nash_gap(x) > 0
            network.forward(x)


# Regrets in 50 digits


def _conjugate(name: str) -> Any:
    """Return g* of an activation, for mpmath numbers."""
    return {
        "tanh": lambda z: ((1 + z) * mp.log(1 + z) + (1 - z) * mp.log(1 - z)) / 2,
        "sigmoid": lambda z: z * mp.log(z) + (1 - z) * mp.log(1 - z),
        "arctan": lambda z: -mp.log(mp.cos(z)),
        "softsign": lambda z: -abs(z) - mp.log(1 - abs(z)),
        "identity": lambda z: z**2 / 2,
        "leaky_relu": lambda z: z**2 / 2 if z >= 0 else 100 * z**2 / 2,
    }[name]


def _exact_regret(name: str, curvature: float, u: float, x: float) -> Any:
    """Return phi(x) - x u less its minimum, phi(z) = g*(z) + (curvature - 1) z^2/2, to 50 digits."""
    inverse = {
        "tanh": mp.atanh,
        "sigmoid": lambda z: mp.log(z / (1 - z)),
        "arctan": mp.tan,
        "softsign": lambda z: z / (1 - abs(z)),
        "identity": lambda z: z,
        "leaky_relu": lambda z: z if z >= 0 else z / mp.mpf(0.01),
    }[name]
    ends = {"tanh": (-1, 1), "sigmoid": (0, 1), "arctan": (-mp.pi / 2, mp.pi / 2), "softsign": (-1, 1)}
    low, high = (mp.mpf(end) for end in ends.get(name, (-100, 100)))
    q, v = mp.mpf(curvature) - 1, mp.mpf(u)
    for _ in range(220):
        middle = (low + high) / 2
        if inverse(middle) + q * middle > v:
            high = middle
        else:
            low = middle
    conjugate = _conjugate(name)

    def cost(z: Any) -> Any:
        return conjugate(z) + q * z**2 / 2 - z * v

    return cost(mp.mpf(x)) - cost((low + high) / 2)


@pytest.mark.parametrize("curvature", [1.0, 0.7, 3.0])
@pytest.mark.parametrize("name", ["tanh", "sigmoid", "arctan", "softsign", "identity", "leaky_relu"])
def test_regrets_are_exact_within_their_bound_and_accurate_down_to_1e_minus_20(name: str, curvature: float) -> None:
    with mp.workdps(60):
        for bias in (-2.0, -0.3, 0.0, 0.6, 3.0):
            network = nng.Network.graph({("a", "a"): 1 - curvature}, {"a": bias}, {"a": name})
            game = network.game()
            own = 1 - (1 - curvature)
            answer = float(game.best_response("a", [0.0])[0])
            for distance in (1e-10, -3e-9, 1e-6, 1e-3, 0.05):
                x = answer + distance
                if x != network.activations["a"].domain.project(np.array([x]))[0]:
                    continue
                value, bound = game.regret_bounds([x])["a"]
                exact = _exact_regret(name, own, bias, x)
                assert abs(mp.mpf(value) - exact) <= mp.mpf(bound), (bias, distance)
                assert value == pytest.approx(float(exact), rel=1e-4 if abs(distance) < 1e-8 else 1e-7)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32 - 1), name=st.sampled_from(sorted([*SCALAR, *VECTOR])), loop=st.booleans())
def test_regrets_are_nonnegative_zero_at_answers_and_bounded_below(seed: int, name: str, loop: bool) -> None:
    activation = SCALAR[name][0] if name in SCALAR else VECTOR[name]
    network = pair(activation, seed, loop=0.3 if loop else None)
    game = network.game()
    x = feasible(game, seed)
    slope = network.activations["a"].lipschitz
    value, bound = game.regret_bounds(x)["a"]
    distance = np.linalg.norm(x[:3] - game.best_response("a", x))
    assert value >= 0
    if not loop:
        # Fenchel-Young: at least |x - r(v)|^2/(2S).
        assert value + bound >= distance**2 / (2 * slope) * (1 - 1e-9)
    answered = np.concatenate([game.best_response("a", x), x[3:]])
    assert game.regrets(answered)["a"] <= 1e-24 * max(1.0, float(np.abs(answered).max())) ** 2


@settings(max_examples=40, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 4), layers=st.integers(2, 4))
def test_the_joint_map_contracts_as_certified(seed: int, n: int, layers: int) -> None:
    rng = np.random.default_rng(seed)
    weights = [rng.standard_normal((n, n)) / n for _ in range(layers)]
    game = nng.Network.ring(weights, [rng.standard_normal(n) for _ in range(layers)], ["tanh"] * layers).game()
    x, y = rng.standard_normal((2, game.size))
    joint, composite = nng.certify(game)["joint_contraction"], nng.certify(game)["composite_nonexpansive"]
    if joint.proved:

        def measure(d: Array) -> float:
            return max(np.linalg.norm(d[w]) / joint.witness["weights"][p] for p, w in game.space.slices.items())

        moved = measure(game.network.joint(x) - game.network.joint(y))
        assert moved <= joint.witness["factor"] * measure(x - y) * (1 + 1e-12)
    if composite.proved:
        view = game.fixed_point("composite")
        a, b = view.restrict(x), view.restrict(y)
        images = [view.evaluate(z, np.empty(n)) for z in (a, b)]
        assert np.linalg.norm(images[0] - images[1]) <= np.linalg.norm(a - b) * (1 + 1e-12)


# Views


@pytest.mark.parametrize("kind", ["layers", "neurons"])
@pytest.mark.parametrize("activation", ["tanh", {"name": "tanh", "scale": 2.0}, "relu", "leaky_relu"])
@pytest.mark.parametrize("loop", [None, 0.3])
def test_the_inclusion_says_what_the_game_says(activation: Any, kind: str, loop: float | None) -> None:
    network = pair(activation, loop=loop)
    game = network.game(kind)
    view = game.inclusion()
    x, y = np.random.default_rng(1).standard_normal((2, 5))
    at, other = view.operator(x, np.empty(5)), view.operator(y, np.empty(5))
    np.testing.assert_allclose(at - other, view.matrix.apply(x - y), rtol=1e-12, atol=1e-13)
    slopes = np.array([max(1.0, network.activations[p].slope_range[1]) for p in "aaabb"])
    weight = np.zeros((5, 5))
    for (target, source), block in network.weights.items():
        rows, columns = network.space.slices[target], network.space.slices[source]
        weight[rows, columns] = block.dense
    np.testing.assert_allclose(view.matrix.dense, np.diag(1 / slopes) - weight, atol=1e-15)
    assert view.norm_bound >= np.linalg.norm(view.matrix.dense, 2)
    assert view.norm_bound <= np.linalg.norm(view.matrix.dense, 2) * (1 + 1e-9)
    # The residual is that of T, also where a self-loop makes the answers another map.
    np.testing.assert_allclose(view.response(x, at), game.residuals(x) + x, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(view.response(x, at), network.joint(x), rtol=1e-10, atol=1e-12)
    # An equilibrium is a zero: x = prox(x - step (Mx + q)) for every step.
    found = nng.solve(game, "best_response", tolerance=1e-13, start=np.zeros(5), damping=0.5, max_iterations=3000)
    if found.converged:
        value = view.operator(found.profile, np.empty(5))
        for step in (0.05, 0.7):
            np.testing.assert_allclose(view.prox(found.profile - step * value, step), found.profile, atol=1e-10)


def test_a_large_inclusion_gets_the_bound_of_its_blocks() -> None:
    rng = np.random.default_rng(0)
    blocks = [np.linalg.qr(rng.standard_normal((400, 400)))[0] for _ in range(4)]
    game = nng.Network.ring(blocks, [np.zeros(400)] * 4, ["tanh"] * 4).game()
    assert 2 - 1e-9 <= game.inclusion().norm_bound <= 2 + 1e-6


def test_fixed_point_views() -> None:
    network = nng.Network.ring([[[1.0, 2.0]], [[3.0], [-1.0]]], [[0.5], [0.0, 1.0]], ["identity", "relu"])
    game = network.game()
    assert [game.fixed_point(kind).name for kind in ("auto", "composite", "joint")] == [
        "composite",
        "composite",
        "joint",
    ]
    composite, joint = game.fixed_point("composite"), game.fixed_point("joint")
    x = np.array([9.0, 1.0, 1.0])
    np.testing.assert_allclose(composite.evaluate(composite.restrict(x), np.empty(2)), [10.5, 0.0])
    np.testing.assert_allclose(composite.profile(np.array([1.0, 1.0])), [3.5, 1.0, 1.0])
    assert game.residual([3.5, 1.0, 1.0]) == pytest.approx(np.hypot(9.5, 1.0))
    np.testing.assert_allclose(joint.evaluate(x, np.empty(3)), network.joint(x))
    graph = pair("tanh", loop=0.3).game()
    assert graph.fixed_point().name == "joint"
    for wrong in (graph, pair("tanh", loop=0.3).game(cost="proximal")):
        with pytest.raises(NotApplicableError) as caught:
            wrong.fixed_point("composite")
        assert str(caught.value) == "the composite map belongs to a network that is a ring: use the joint map"
    with pytest.raises(OptionError) as unknown:
        game.fixed_point("sweep")
    assert str(unknown.value) == "unknown map 'sweep'; valid: auto, composite, joint"


# Profiles and names


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda game: game.cost("c", np.zeros(5)), UnknownNameError, "unknown player 'c'; valid: a, b"),
        (lambda game: game.best_response("c", np.zeros(5)), UnknownNameError, "unknown player 'c'; valid: a, b"),
        (
            lambda game: game.regrets(np.zeros(4)),
            ShapeError,
            "profile has shape (4,); expected (5,) or (batch, 5), the actions of a (3), b (2)",
        ),
        (lambda game: game.regrets({"a": [0, 0, 0]}), InputError, "profile has no action for b"),
        (
            lambda game: game.best_responses([0, 0, 0, 0, np.nan]),
            InputError,
            "profile[4] is nan; every entry must be finite",
        ),
    ],
)
def test_wrong_questions_are_refused_exactly(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        call(pair("tanh").game())
    assert str(caught.value) == message


def test_a_mapping_is_accepted_wherever_a_profile_is() -> None:
    game = pair("tanh").game()
    x = np.linspace(-0.5, 0.5, 5)
    actions = {"b": x[3:], "a": x[:3].tolist()}
    for ask in (game.residual, game.nash_gap, game.best_responses, lambda p: game.cost("a", p), game.regrets):
        np.testing.assert_array_equal(np.asarray(ask(actions), dtype=object), np.asarray(ask(x), dtype=object))
    assert game.scale == max(1.0, game.residual(np.zeros(5)))


# The metric prox


@pytest.mark.parametrize("condition", [0, 2, 4])
@pytest.mark.parametrize("name", [*SCALAR, *VECTOR, "affine", "polyhedron", "halfspace"])
def test_dense_metric_answers_satisfy_their_equation(name: str, condition: int) -> None:
    rng = np.random.default_rng([condition, len(name)])
    n = 4
    sized: dict[str, Any] = {
        "affine": {"name": "affine", "matrix": rng.standard_normal((2, n)).tolist(), "offset": [1.0, -0.5]},
        "polyhedron": {"name": "polyhedron", "matrix": rng.standard_normal((5, n)).tolist(), "offset": [1.0] * 5},
        "halfspace": {"name": "halfspace", "normal": rng.standard_normal(n).tolist(), "offset": -0.3},
    }
    chosen = SCALAR[name][0] if name in SCALAR else VECTOR.get(name, sized.get(name))
    activation = nng.activation(chosen) if isinstance(chosen, str) else nng.activation(**_renamed(chosen))
    basis = np.linalg.qr(rng.standard_normal((n, n)))[0]
    metric = basis @ np.diag(10.0 ** np.linspace(0, condition, n)) @ basis.T + 0.1 * np.eye(n)
    metric = (metric + metric.T) / 2
    response = DenseResponse(activation, metric)
    batch = 10 ** (condition / 2) * rng.standard_normal((4, n))
    for u, z in zip(batch, response(batch), strict=True):
        # Stationarity: u - Qz is a subgradient of f at z, so z = r(u - Qz + z).
        np.testing.assert_allclose(activation(u - metric @ z + z), z, rtol=0, atol=2e-15 * 10**condition * 10)
        np.testing.assert_allclose(response(u), z, rtol=1e-13, atol=1e-15)


def _renamed(mapping: dict[str, Any]) -> dict[str, Any]:
    return dict(mapping)


@pytest.mark.parametrize("penalty", ["nonnegative", "box", "simplex"])
@pytest.mark.parametrize("unit", [1e-100, 1e-12, 1e12, 1e20, 1e100])
def test_the_unit_of_a_cost_changes_neither_answers_nor_equilibria(penalty: str, unit: float) -> None:
    rng = np.random.default_rng(7)
    roots, coupling, linear = rng.standard_normal((2, 3, 3)), 0.3 * rng.standard_normal((3, 3)), rng.normal(size=(2, 3))

    def game(c: float) -> nng.QuadraticGame:
        return nng.QuadraticGame(
            quadratic={p: c * (roots[p] @ roots[p].T + 0.5 * np.eye(3)) for p in (0, 1)},
            coupling={(0, 1): c * coupling, (1, 0): -c * coupling.T},
            linear={p: -2 * c * linear[p] for p in (0, 1)},
            penalties={0: penalty, 1: penalty},
        )

    plain, scaled = game(1.0), game(unit)
    x = rng.standard_normal(6)
    np.testing.assert_allclose(scaled.answers(x), plain.answers(x), rtol=0, atol=1e-13)
    result = nng.solve(scaled)
    assert result.status == "converged"
    np.testing.assert_allclose(result.profile, nng.solve(plain).profile, rtol=0, atol=1e-8)


def test_an_indefinite_metric_within_the_bound_still_has_its_answer() -> None:
    # sigmoid: S = 1/4, so every Q > -3 gives a strongly convex cost.
    sigmoid = nng.activation("sigmoid")
    metric = np.array([[-2.0, 0.5], [0.5, 1.0]])
    u = np.array([0.3, -0.4])
    z = DenseResponse(sigmoid, metric)(u)
    np.testing.assert_allclose(np.log(z / (1 - z)) - z + metric @ z, u, atol=1e-13)


def test_domain_errors_are_input_errors() -> None:
    assert issubclass(DomainError, InputError)


@pytest.mark.parametrize("players", ["neurons", "layers"])
def test_weights_in_single_precision_are_the_game_of_the_same_numbers_in_double(players: str) -> None:
    """1 - w_ii is no number of single precision, nor is what a neuron hears in double beside its bias."""
    rng = np.random.default_rng(4)
    weight = (0.1 * rng.standard_normal((6, 6))).astype(np.float32)
    if players == "layers":
        weight = np.diag(np.diag(weight))
    bias = rng.standard_normal(6).astype(np.float32)
    single = nng.Network.recurrent(weight, bias, "tanh").game(players)
    double = nng.Network.recurrent(weight.astype(float), bias.astype(float), "tanh").game(players)
    x = rng.standard_normal(6)
    for player in double.players:
        np.testing.assert_allclose(
            single.best_response(player, x), double.best_response(player, x), rtol=1e-14, atol=1e-15
        )
        assert single.cost(player, x) == pytest.approx(double.cost(player, x), rel=1e-14)
    assert single.nash_gap(x) == pytest.approx(double.nash_gap(x), rel=1e-13)
    assert nng.solve(single, "best_response").converged
