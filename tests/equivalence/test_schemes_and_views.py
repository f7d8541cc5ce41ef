"""Special cases that must coincide: schemes with each other, iterate by iterate, and views of one game."""

from __future__ import annotations

from itertools import islice, pairwise
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import aslinearoperator

import nngames as nng
from nngames.networks import assembly

Array = NDArray[np.float64]
KINDS = ("tanh", "sigmoid", "relu", "arctan", "leaky_relu", "softplus_beta")


def ring(seed: int, layers: int = 4, n: int = 5, norm: float = 0.8) -> Any:
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, n + 1, layers)
    weights = [norm * rng.standard_normal((sizes[i], sizes[i - 1])) / np.sqrt(n) for i in range(layers)]
    biases = [rng.standard_normal(size) for size in sizes]
    return nng.Network.ring(weights, biases, [KINDS[i] for i in rng.integers(len(KINDS), size=layers)])


def graph(seed: int, players: int = 6, n: int = 3, density: float = 0.5) -> Any:
    rng = np.random.default_rng(seed)
    names = [f"p{i}" for i in range(players)]
    sizes = dict(zip(names, rng.integers(1, n + 1, players), strict=True))
    weights = {
        (a, b): 0.5 * rng.standard_normal((sizes[a], sizes[b])) / players
        for a in names
        for b in names
        if a != b and rng.random() < density
    }
    biases = {name: rng.standard_normal(size) for name, size in sizes.items()}
    activations = {name: KINDS[i] for name, i in zip(names, rng.integers(len(KINDS), size=players), strict=True)}
    return nng.Network.graph(weights, biases, activations)


def profiles(method: str, game: Any, start: Array, count: int, **options: Any) -> Array:
    """Return the profiles of the first iterates of a scheme."""
    solver = nng.solver(method, **options)
    return np.array([iterate.profile for iterate in islice(solver.iterate(game, start=start), count)])


def drawn(game: Any, seed: int = 0, *shape: int) -> Array:
    return np.random.default_rng(seed).standard_normal((*shape, game.size))


# Schemes with each other


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("view", ["composite", "joint"])
def test_km_at_relaxation_one_is_picard(seed: int, view: str) -> None:
    game = ring(seed).game()
    start = drawn(game)
    np.testing.assert_array_equal(
        profiles("km", game, start, 12, relaxation=1.0, map=view), profiles("picard", game, start, 12, map=view)
    )


def test_km_at_relaxation_one_is_picard_on_a_graph() -> None:
    game = graph(1).game()
    np.testing.assert_array_equal(
        profiles("km", game, drawn(game), 12, relaxation=1.0), profiles("picard", game, drawn(game), 12)
    )


@pytest.mark.parametrize("seed", range(4))
def test_sequential_best_responses_on_a_ring_are_the_forward_pass(seed: int) -> None:
    network = ring(seed)
    game = network.game()
    answers = profiles("best_response", game, drawn(game), 8)
    picard = profiles("picard", game, drawn(game), 8)
    last = game.space.slices[game.players[-1]]
    np.testing.assert_allclose(answers[:, last], picard[:, last], rtol=1e-13, atol=1e-15)
    for before, after in pairwise(answers):
        np.testing.assert_allclose(after, np.concatenate(network.forward(before[last])), rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("network", [ring(0), graph(3)], ids=["ring", "graph"])
def test_simultaneous_best_responses_are_joint_picard(network: Any) -> None:
    game = network.game()
    start = drawn(game)
    np.testing.assert_allclose(
        profiles("best_response", game, start, 12, order="simultaneous"),
        profiles("picard", game, start, 12, map="joint"),
        rtol=1e-13,
        atol=1e-15,
    )


def test_damped_simultaneous_best_responses_are_joint_km() -> None:
    game = ring(5).game()
    start = drawn(game)
    np.testing.assert_allclose(
        profiles("best_response", game, start, 12, order="simultaneous", damping=0.3),
        profiles("km", game, start, 12, relaxation=0.3, map="joint"),
        rtol=1e-13,
        atol=1e-15,
    )


@pytest.mark.parametrize("relaxation", [0.3, 0.5, "diminishing", {"initial": 0.8, "power": 0.6}, [0.9, 0.2, 0.6]])
@pytest.mark.parametrize("seed", range(2))
def test_averaged_feed_is_km_on_the_composite_map(seed: int, relaxation: Any) -> None:
    network = ring(seed)
    game = network.game()
    start = drawn(game)
    last = game.space.slices[game.players[-1]]
    trajectory = network.feed(start[last], rule="averaged", relaxation=relaxation, steps=15, tolerance=1e-14)
    expected = profiles("km", game, start, 16, relaxation=relaxation, map="composite")[:, last]
    np.testing.assert_allclose(trajectory.states, expected, rtol=1e-13, atol=1e-15)


def test_iterated_feed_is_picard() -> None:
    network = ring(2, norm=3.0)
    game = network.game()
    last = game.space.slices[game.players[-1]]
    trajectory = network.feed(drawn(game)[last], steps=6, tolerance=1e-14)
    np.testing.assert_array_equal(trajectory.states, profiles("picard", game, drawn(game), 7)[:, last])


def test_averaged_feed_on_a_graph_is_joint_km() -> None:
    network = graph(7)
    game = network.game()
    trajectory = network.feed(drawn(game), rule="averaged", relaxation=0.4, steps=10, tolerance=1e-14)
    np.testing.assert_allclose(
        trajectory.states, profiles("km", game, drawn(game), 11, relaxation=0.4), rtol=1e-13, atol=1e-15
    )


def test_extragradient_without_penalty_is_its_formula() -> None:
    rng = np.random.default_rng(3)
    weights, biases = [rng.standard_normal((3, 3)) for _ in range(3)], [rng.standard_normal(3) for _ in range(3)]
    game = nng.Network.ring(weights, biases, ["identity"] * 3).game()
    matrix = np.eye(9)
    for i in range(3):
        matrix[3 * i : 3 * i + 3, 3 * ((i - 1) % 3) : 3 * ((i - 1) % 3) + 3] -= weights[i]
    shift, tau, x = -np.concatenate(biases), 0.1, drawn(game)
    for found in profiles("extragradient", game, x, 10, step_size=tau):
        np.testing.assert_allclose(found, x, rtol=1e-12, atol=1e-13)
        x = x - tau * (matrix @ (x - tau * (matrix @ x + shift)) + shift)


def test_extragradient_on_the_displacement_is_that_on_the_inclusion_without_penalty() -> None:
    rng = np.random.default_rng(4)
    weights = {(a, b): rng.standard_normal((2, 2)) for a in "abc" for b in "abc" if a < b or (a, b) == ("c", "a")}
    game = nng.Network.graph(weights, {name: rng.standard_normal(2) for name in "abc"}, "identity").game()
    assert game.network.ring_order is None
    np.testing.assert_allclose(
        profiles("extragradient", game, drawn(game), 10, step_size=0.2),
        profiles("extragradient", game, drawn(game), 10, step_size=0.2, operator="identity_minus_map"),
        rtol=1e-12,
        atol=1e-13,
    )


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("picard", {}),
        ("picard", {"map": "joint"}),
        ("km", {}),
        ("km", {"relaxation": "diminishing", "map": "joint"}),
        ("best_response", {}),
        ("best_response", {"order": "random"}),
        ("best_response", {"order": "simultaneous", "damping": 0.5}),
        ("extragradient", {}),
        ("extragradient", {"operator": "identity_minus_map"}),
    ],
)
def test_iterating_by_hand_is_the_trace_of_solve(method: str, options: dict[str, Any]) -> None:
    game = ring(1).game()
    start = drawn(game)
    seen: list[Any] = []
    result = nng.solve(game, method, start=start, max_iterations=20, seed=7, callback=seen.append, **options)
    stepped = list(islice(nng.solver(method, **options).iterate(game, start=start, seed=7), result.iterations + 1))
    assert [s.residual for s in stepped] == result.trace.residual.tolist() == [s.residual for s in seen]
    assert [s.evaluations for s in stepped] == result.trace.evaluations.tolist()
    assert [s.iteration for s in stepped] == list(range(result.iterations + 1)) == [s.iteration for s in seen]
    np.testing.assert_array_equal(stepped[-1].profile, result.profile)
    np.testing.assert_array_equal(np.array([s.profile for s in stepped]), np.array([s.profile for s in seen]))


# Views of one game with each other


def _as_quadratic(network: Any, penalties: dict[Any, str]) -> Any:
    return nng.QuadraticGame(
        {player: np.eye(n) for player, n in network.dims.items()},
        {edge: -weight.dense for edge, weight in network.weights.items()},
        {player: -bias for player, bias in network.biases.items()},
        penalties,
    )


@pytest.mark.parametrize(
    ("activation", "penalty"),
    [("identity", None), ("relu", "nonnegative"), ("hard_tanh", {"name": "box", "lower": -1.0, "upper": 1.0})],
)
def test_a_quadratic_game_with_unit_curvature_is_the_network_game(activation: str, penalty: Any) -> None:
    rng = np.random.default_rng(11)
    sizes = {"a": 2, "b": 3, "c": 1}
    weights = {(k, m): 0.3 * rng.standard_normal((sizes[k], sizes[m])) for k in sizes for m in sizes if k != m}
    network = nng.Network.graph(weights, {k: rng.standard_normal(n) for k, n in sizes.items()}, activation)
    game, quadratic = network.game(), _as_quadratic(network, dict.fromkeys(sizes, penalty) if penalty else {})
    x = np.maximum(drawn(game), 0.0).clip(-1, 1)
    np.testing.assert_allclose(quadratic.best_responses(x), game.best_responses(x), rtol=1e-14, atol=1e-15)
    assert quadratic.residual(x) == pytest.approx(game.residual(x), rel=1e-14)
    for player in sizes:
        v = game.drive(x)[game.space.slices[player]]
        assert quadratic.cost(player, x) + 0.5 * v @ v == pytest.approx(game.cost(player, x), rel=1e-12, abs=1e-13)
        assert quadratic.regrets(x)[player] == pytest.approx(game.regrets(x)[player], rel=1e-12, abs=1e-15)
    np.testing.assert_allclose(quadratic.inclusion().matrix.dense, game.inclusion().matrix.dense)
    for method in ("picard", "best_response", "extragradient", "km"):
        np.testing.assert_allclose(
            profiles(method, quadratic, x, 10), profiles(method, game, x, 10), rtol=1e-12, atol=1e-13
        )


@pytest.mark.parametrize("cost", ["proximal", "tracking"])
@pytest.mark.parametrize("players", ["layers", "neurons"])
@pytest.mark.parametrize("network", [ring(0), ring(1), graph(2)], ids=["ring", "ring 2", "graph"])
def test_a_batch_is_row_by_row(network: Any, players: str, cost: str) -> None:
    game = network.game(players, cost)
    batch = np.clip(np.abs(drawn(game, 1, 6)), 0.01, 0.9)
    rows = list(batch)
    np.testing.assert_allclose(
        game.best_responses(batch), np.array([game.best_responses(x) for x in rows]), rtol=1e-13, atol=1e-15
    )
    np.testing.assert_allclose(game.residual(batch), [game.residual(x) for x in rows], rtol=1e-12)
    np.testing.assert_allclose(game.nash_gap(batch), [game.nash_gap(x) for x in rows], rtol=1e-11)
    for player in game.players:
        np.testing.assert_allclose(game.cost(player, batch), [game.cost(player, x) for x in rows], rtol=1e-11)
        np.testing.assert_allclose(
            game.best_response(player, batch), [game.best_response(player, x) for x in rows], rtol=1e-13, atol=1e-15
        )
        np.testing.assert_allclose(game.regrets(batch)[player], [game.regrets(x)[player] for x in rows], rtol=1e-10)
        np.testing.assert_array_equal(
            game.best_response(player, rows[0]), game.best_response(player, game.space.actions(rows[0]))
        )


def test_a_batch_of_forward_passes_is_row_by_row() -> None:
    network = ring(3)
    states = np.random.default_rng(0).standard_normal((5, network.dims[4]))
    for outputs, player in zip(network.forward(states), network.players, strict=True):
        rows = np.array([network.forward(state)[player - 1] for state in states])
        np.testing.assert_allclose(outputs, rows, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("penalty", ["simplex", "nonnegative", None, {"name": "ball", "radius": 0.5}])
def test_a_batch_of_a_quadratic_game_is_row_by_row(penalty: Any) -> None:
    rng = np.random.default_rng(5)
    half = rng.standard_normal((3, 3))
    game = nng.QuadraticGame(
        {"a": half @ half.T + np.eye(3), "b": 2.0},
        {("a", "b"): rng.standard_normal((3, 1)), ("b", "a"): rng.standard_normal((1, 3))},
        {"a": rng.standard_normal(3)},
        {"a": penalty} if penalty else {},
    )
    batch = drawn(game, 2, 4)
    batch = game.best_responses(batch)
    np.testing.assert_allclose(
        game.best_responses(batch), np.array([game.best_responses(x) for x in batch]), rtol=1e-12, atol=1e-14
    )
    np.testing.assert_allclose(game.nash_gap(batch), [game.nash_gap(x) for x in batch], rtol=1e-10, atol=1e-16)


@pytest.mark.parametrize("convert", [sparse.csr_array, sparse.coo_matrix, aslinearoperator], ids=["csr", "coo", "op"])
@pytest.mark.parametrize("layers", [3, 13])
def test_dense_sparse_and_matrix_free_weights_agree(convert: Any, layers: int) -> None:
    rng = np.random.default_rng(6)
    weights = [rng.standard_normal((4, 4)) * (rng.random((4, 4)) < 0.5) / 3 for _ in range(layers)]
    biases = [rng.standard_normal(4) for _ in range(layers)]
    dense = nng.Network.ring(weights, biases, ["tanh"] * layers)
    other = nng.Network.ring([convert(w) for w in weights], biases, ["tanh"] * layers)
    x = drawn(dense, 0, 3)
    np.testing.assert_allclose(other.joint(x), dense.joint(x), rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(other.joint(x[0]), dense.joint(x[0]), rtol=1e-13, atol=1e-15)
    for a, b in zip(other.forward(x[:, -4:]), dense.forward(x[:, -4:]), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-13, atol=1e-15)
    for method in ("best_response", "km", "extragradient"):
        result, expected = nng.solve(other.game(), method), nng.solve(dense.game(), method)
        assert result.converged
        np.testing.assert_allclose(result.profile, expected.profile, rtol=0, atol=1e-8)
    for name, verdict in nng.certify(dense.game()).items():
        assert nng.certify(other.game())[name].status == verdict.status, name


def test_matrix_free_couplings_of_a_quadratic_game_agree() -> None:
    rng = np.random.default_rng(8)
    coupling = {("a", "b"): rng.standard_normal((3, 2)), ("b", "a"): rng.standard_normal((2, 3))}
    curvature = {"a": 4.0 * np.eye(3), "b": 3.0 * np.eye(2)}
    games = [
        nng.QuadraticGame(curvature, {edge: convert(matrix) for edge, matrix in coupling.items()})
        for convert in (np.asarray, sparse.csr_array, aslinearoperator)
    ]
    x = drawn(games[0])
    for game in games[1:]:
        np.testing.assert_allclose(game.best_responses(x), games[0].best_responses(x), rtol=1e-14)
        np.testing.assert_allclose(game.inclusion().matrix.dense, games[0].inclusion().matrix.dense)


@pytest.mark.parametrize("network_of", [lambda: graph(0, players=30, n=2, density=0.3), lambda: ring(9, layers=20)])
def test_an_assembled_pass_is_the_plain_loop(network_of: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assembled = network_of()
    monkeypatch.setattr(assembly, "ASSEMBLE_PLAYERS", 10**9)
    plain = network_of()
    batch = drawn(plain, 0, 3)
    monkeypatch.undo()
    assert assembled.joint.assembled
    np.testing.assert_allclose(assembled.joint(batch), plain.joint(batch), rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(assembled.joint(batch[0]), plain.joint(batch[0]), rtol=1e-13, atol=1e-15)
    small = batch.astype(np.float32)
    assert assembled.joint(small).dtype == plain.joint(small).dtype == np.float32
    np.testing.assert_allclose(assembled.joint(small), plain.joint(small), rtol=1e-4, atol=1e-6)


def test_large_dense_layers_are_not_assembled() -> None:
    network = nng.Network.ring([np.eye(60)] * 12, [np.zeros(60)] * 12, ["tanh"] * 12)
    assert not network.joint.assembled


@pytest.mark.parametrize("method", ["best_response", "km", "extragradient", "picard"])
def test_neurons_and_layers_have_the_same_equilibria(method: str) -> None:
    rng = np.random.default_rng(10)
    half = rng.standard_normal((4, 4))
    loop = 0.4 * (half + half.T) / np.linalg.norm(half + half.T, 2)
    network = nng.Network.graph(
        {
            ("a", "a"): loop,
            ("a", "b"): 0.3 * rng.standard_normal((4, 2)),
            ("b", "a"): 0.3 * rng.standard_normal((2, 4)),
        },
        {"a": rng.standard_normal(4), "b": rng.standard_normal(2)},
        {"a": "tanh", "b": "softplus_beta"},
    )
    layers, neurons = network.game("layers"), network.game("neurons")
    assert len(neurons.players) == 6
    first, second = (nng.solve(game, method, tolerance=1e-12) for game in (layers, neurons))
    assert first.converged
    assert second.converged
    np.testing.assert_allclose(first.profile, second.profile, rtol=0, atol=1e-10)
    for game in (layers, neurons):
        assert game.nash_gap(first.profile) <= 1e-20
        assert game.residual(first.profile) <= 1e-11


def test_a_ring_given_as_a_graph_in_any_order_is_the_ring() -> None:
    network = ring(4)
    order = [3, 1, 4, 2]
    shuffled = nng.Network.graph(
        {edge: weight.dense for edge, weight in network.weights.items()},
        {player: network.biases[player] for player in order},
        {player: network.activations[player] for player in order},
    )
    assert shuffled.players == (3, 1, 4, 2)
    assert shuffled.ring_order == (3, 4, 1, 2)
    x = drawn(network)
    actions = network.space.actions(x)
    game, other = network.game(), shuffled.game()
    for player in order:
        np.testing.assert_array_equal(other.best_response(player, actions), game.best_response(player, actions))
    found = nng.solve(other, "picard")
    np.testing.assert_allclose(
        np.concatenate([found.actions[p] for p in network.players]), nng.solve(game, "picard").profile, atol=1e-8
    )


def test_a_float32_start_stays_float32() -> None:
    game = ring(0).game()
    start = drawn(game).astype(np.float32)
    for method in ("picard", "km", "best_response"):
        result = nng.solve(game, method, start=start, tolerance=1e-5)
        assert result.converged
        assert result.profile.dtype == np.float32
        np.testing.assert_allclose(result.profile, nng.solve(game, method).profile, rtol=0, atol=1e-4)
