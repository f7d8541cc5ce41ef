"""Networks: constructors, forward passes, structure, couplings and the errors that name the edge."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import nngames as nng
from nngames.core.errors import InputError, NotApplicableError, OptionError, ShapeError, UnknownNameError

Array = NDArray[np.float64]


def two_layers() -> Any:
    return nng.Network.ring(
        [[[1.0, 2.0]], [[3.0], [-1.0]]], [[0.5], [0.0, 1.0]], ["identity", "relu"], names=["a", "b"]
    )


# Passes


def test_a_ring_passes_its_last_output_on() -> None:
    network = two_layers()
    first, second = network.forward([1.0, 1.0])
    np.testing.assert_allclose(first, [3.5])
    np.testing.assert_allclose(second, [10.5, 0.0])
    np.testing.assert_allclose(network.composite(np.array([1.0, 1.0])), [3.5, 10.5, 0.0])
    # All layers at once: each answers to the profile as it was.
    np.testing.assert_allclose(network.joint(np.array([2.0, 1.0, 1.0])), [3.5, 6.0, 0.0])


def test_a_chain_feeds_its_input_forward() -> None:
    network = nng.Network.chain([[[2.0, 0.0]], [[1.0], [1.0]]], [[1.0], [0.0, -9.0]], ["identity", "relu"], [3.0, 7.0])
    first, second = network.forward()
    np.testing.assert_allclose(first, [7.0])
    np.testing.assert_allclose(second, [7.0, 0.0])
    np.testing.assert_allclose(network.forward([0.0, 0.0])[0], [1.0])
    batch = network.forward(np.array([[3.0, 7.0], [0.0, 0.0]]))
    np.testing.assert_allclose(batch[0], [[7.0], [1.0]])
    assert network.ring_order is None
    profile = np.concatenate(network.forward())
    assert network.game().residual(profile) == 0.0
    assert network.game().nash_gap(profile) == 0.0
    trajectory = network.feed(np.zeros(3))
    assert trajectory.kind == "fixed_point"
    np.testing.assert_allclose(trajectory.limit, profile)


def test_a_recurrent_layer_is_a_ring_of_one() -> None:
    network = nng.Network.recurrent([[0.0, 1.0], [0.5, 0.0]], [1.0, 0.0], "tanh")
    assert network.players == (1,)
    assert network.ring_order == (1,)
    np.testing.assert_allclose(network.forward([0.2, -0.1])[0], np.tanh([0.9, 0.1]))
    np.testing.assert_allclose(network.joint(np.array([0.2, -0.1])), np.tanh([0.9, 0.1]))


def test_a_graph_answers_all_at_once_and_sums_what_it_hears() -> None:
    network = nng.Network.graph(
        {("c", "a"): 2.0, ("c", "b"): [[1.0, 1.0]], ("b", "c"): [[1.0], [0.0]]},
        {"a": 1.0, "b": [0.0, 5.0], "c": -1.0},
        {"a": "identity", "b": "relu", "c": {"name": "leaky_relu", "slope": 0.5}},
    )
    a, b, c = network.forward([1.0, 2.0, 3.0, -4.0])
    np.testing.assert_allclose(a, [1.0])  # No incoming edge: r(b).
    np.testing.assert_allclose(b, [0.0, 5.0])
    np.testing.assert_allclose(c, [6.0])
    assert network.dims == {"a": 1, "b": 2, "c": 1}
    assert network.size == 4
    graph = network.digraph
    assert set(graph.edges) == {("a", "c"), ("b", "c"), ("c", "b")}
    assert graph.nodes["b"] == {"size": 2, "activation": "relu"}
    assert graph.edges["a", "c"]["coupling"].weight.dense == 2.0


@pytest.mark.parametrize(
    ("edges", "expected"),
    [
        ([(2, 1), (3, 2), (1, 3)], (1, 2, 3)),
        ([(1, 2), (2, 3), (3, 1)], (2, 1, 3)),
        ([(2, 1), (1, 2), (3, 3)], None),
        ([(2, 1), (3, 2)], None),
        ([(2, 1), (3, 2), (1, 3), (1, 2)], None),
        ([(1, 1), (2, 2), (3, 3)], None),
        ([(1, 2), (2, 1), (3, 2)], None),
    ],
)
def test_ring_order(edges: list[tuple[int, int]], expected: tuple[int, ...] | None) -> None:
    network = nng.Network.graph(dict.fromkeys(edges, 1.0), {1: 0.0, 2: 0.0, 3: 0.0}, "identity")
    assert network.ring_order == expected
    if expected is None:
        with pytest.raises(NotApplicableError, match=r"^the composite map belongs to a ring; this network is not one"):
            _ = network.composite


def test_repeated_calls_do_not_change_inputs_or_earlier_outputs() -> None:
    network = two_layers()
    x = np.array([2.0, 1.0, 1.0])
    first = network.joint(x)
    network.joint(x + 1)
    np.testing.assert_allclose(first, [3.5, 6.0, 0.0])
    np.testing.assert_allclose(x, [2.0, 1.0, 1.0])


def test_other_parameters_keep_the_rest() -> None:
    network = two_layers()
    other = network.with_parameters({("a", "b"): [[0.0, 0.0]]}, {"b": [1.0, 1.0]})
    np.testing.assert_allclose(other.forward([1.0, 1.0])[0], [0.5])
    np.testing.assert_allclose(other.forward([1.0, 1.0])[1], [2.5, 0.5])
    np.testing.assert_allclose(network.forward([1.0, 1.0])[0], [3.5])


@pytest.mark.parametrize(
    ("weights", "biases", "message"),
    [
        ({("b", "b"): 1.0}, {}, "weights names ('b', 'b'), which is not an edge (target, source) of this network"),
        ({}, {"z": 1.0}, "biases names 'z', which is not a player; players: 'a', 'b'"),
        ({}, {"a": [1.0, 2.0]}, "the bias of a has shape (2,); expected (1,)"),
        ({("a", "b"): [[1.0]]}, {}, "the weight of the edge b -> a has shape (1, 1); expected (1, 2)"),
    ],
)
def test_other_parameters_must_fit(weights: Any, biases: Any, message: str) -> None:
    with pytest.raises(InputError) as caught:
        two_layers().with_parameters(weights, biases)
    assert str(caught.value) == message


# Errors


def _ring(weights: Any = (1.0, 1.0), biases: Any = (0.0, 0.0), activations: Any = ("tanh", "tanh"), **more: Any) -> Any:
    return nng.Network.ring(weights, biases, activations, **more)


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (
            lambda: _ring([np.eye(2), np.ones((3, 1))], [np.zeros(2), np.zeros(3)]),
            ShapeError,
            "the weight of the edge 2 -> 1 has shape (2, 2); expected (2, 3)",
        ),
        (
            lambda: _ring([np.ones((2, 3)), np.ones((3, 1))], [np.zeros(2), np.zeros(3)]),
            ShapeError,
            "the weight of the edge 1 -> 2 has shape (3, 1); expected (3, 2)",
        ),
        (lambda: _ring([1.0, np.nan]), InputError, "the weight of the edge 1 -> 2 has an entry that is not finite: "
         "[0, 0] is nan"),
        (lambda: _ring(biases=[0.0, np.inf]), InputError, "the bias of 2 has an entry that is not finite: [0] is inf"),
        (lambda: _ring(biases=[0.0, np.eye(2)]), ShapeError, "the bias of 2 has shape (2, 2); expected a vector (n,)"),
        (lambda: _ring(biases=[0.0]), InputError, "biases has 1 entries; expected 2, one for each of the weights"),
        (lambda: _ring(biases=1.0), InputError, "biases must be a list with one entry for each layer; got 1.0"),
        (lambda: _ring(weights={}), InputError, "weights must be a list with one entry for each layer; got {}"),
        (lambda: _ring([], [], []), InputError, "a network needs at least one layer: weights is empty"),
        (lambda: _ring(names=["a", "a"]), InputError, "names must be distinct; got ['a', 'a']"),
        (lambda: _ring(names=["a"]), InputError, "names has 1 entries; expected 2, one for each of the weights"),
        (
            lambda: _ring(activations="tanh"),
            InputError,
            "activations must be a list with one activation for each layer",
        ),
        (
            lambda: _ring(activations=["tanh", 3]),
            InputError,
            "3 is not an activation; give a name, a mapping with a 'name', or an object",
        ),
        (
            lambda: _ring(activations=["tanh", {"slope": 2}]),
            InputError,
            "{'slope': 2} is not an activation; give a name, a mapping with a 'name', or an object",
        ),
        (
            lambda: _ring(activations=["tanh", {"name": "box", "lower": [0, 0], "upper": 1}]),
            ShapeError,
            "player 2: activation 'box' has parameters for size 2; the layer has size 1",
        ),
        (
            lambda: nng.Network.graph({(1, 2): 1.0}, {1: 0.0}, "tanh"),
            InputError,
            "the weight of the edge 2 -> 1: 2 is not a player; players: 1",
        ),
        (
            lambda: nng.Network.graph({1: 1.0}, {1: 0.0}, "tanh"),
            InputError,
            "weights has the key 1; expected a pair (target, source)",
        ),
        (
            lambda: nng.Network.graph({}, {}, "tanh"),
            InputError,
            "a network needs at least one player: biases is empty",
        ),
        (
            lambda: nng.Network.graph({}, {1: 0.0, 2: 0.0}, {1: "tanh"}),
            InputError,
            "activations has none for the player 2",
        ),
        (
            lambda: nng.Network.graph({}, {1: 0.0}, {1: "tanh", 7: "tanh"}),
            InputError,
            "activations names 7, which is not a player; players: 1",
        ),
        (
            lambda: nng.Network.graph({}, {1: 0.0}, 5),  # type: ignore[arg-type]
            InputError,
            "activations must map each player to an activation; got 5",
        ),
        (
            lambda: nng.Network.chain([[[1.0, 2.0]]], [[0.0]], ["tanh"], [1.0]),
            ShapeError,
            "the weight of the input -> 1 has shape (1, 2); expected (any, 1)",
        ),
        (
            lambda: nng.Network.chain([[[1.0], [2.0]]], [[0.0]], ["tanh"], [1.0]),
            ShapeError,
            "the weight of the input -> 1 has shape (2, 1); expected (1, 1)",
        ),
        (
            lambda: nng.Network.chain([1.0], [0.0], ["tanh"], [np.nan]),
            InputError,
            "input must be a vector of finite numbers",
        ),
        (
            lambda: two_layers().forward(),
            InputError,
            "forward needs x0: the last layer's output on a ring, a profile on another graph",
        ),
        (lambda: two_layers().forward([1.0]), ShapeError, "x0 has shape (1,); expected (2,) or (batch, 2), the actions "
         "of b (2)"),
        (
            lambda: nng.Network.chain([1.0], [0.0], ["tanh"], [1.0]).forward([1.0, 2.0]),
            ShapeError,
            "x0 has shape (2,); expected (1,)",
        ),
        (
            lambda: two_layers().feed([1.0, np.inf]),
            InputError,
            "x0[1] is inf; every entry must be finite",
        ),
        (lambda: two_layers().feed(np.zeros((3, 2))), InputError, "feed takes one start; use check_outcomes for many"),
        (lambda: two_layers().feed([1, 1], rule="twice"), OptionError, "unknown feed rule 'twice'; valid: averaged, "
         "iterated"),
        (lambda: two_layers().feed([1, 1], steps=0), OptionError, "steps must be a positive integer; got 0"),
        (lambda: two_layers().feed([1, 1], tolerance=1), OptionError, "tolerance must lie between 0 and 1; got 1"),
    ],
)  # fmt: skip
def test_wrong_networks_are_refused_exactly(build: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        build()
    assert str(caught.value) == message


def test_unknown_activations_and_parameters_suggest_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match=r"^unknown activation 'tanhh'; did you mean 'tanh'\? valid: "):
        _ring(activations=["tanh", "tanhh"])
    with pytest.raises(OptionError, match=r"^activation 'tanh' has no option 'scal'; did you mean 'scale'\? valid: "):
        _ring(activations=["tanh", {"name": "tanh", "scal": 2}])


# Couplings


def _bilinear(rng: np.random.Generator, strength: float = 0.2) -> tuple[Any, Any]:
    tensor = strength * rng.standard_normal((2, 3, 2))
    couplings = [
        nng.BilinearCoupling("c", ("a", "b"), tensor),
        _linear("a", "c", 0.3 * rng.standard_normal((3, 2))),
        _linear("b", "a", 0.3 * rng.standard_normal((2, 3))),
    ]
    biases = {"a": rng.standard_normal(3), "b": rng.standard_normal(2), "c": rng.standard_normal(2)}
    return nng.Network(couplings, biases, {"a": "tanh", "b": "sigmoid", "c": "softplus_beta"}), tensor


def _linear(target: str, source: str, weight: Array) -> Any:
    from nngames.core.operators import as_linear_map

    return nng.LinearCoupling(target, source, as_linear_map(weight, "W"))


def test_the_bilinear_term_is_its_formula_and_takes_batches() -> None:
    rng = np.random.default_rng(0)
    coupling = nng.BilinearCoupling("c", ("a", "b"), rng.standard_normal((2, 3, 4)))
    x, y = rng.standard_normal((5, 3)), rng.standard_normal((5, 4))
    for row in range(5):
        expected = [x[row] @ coupling.tensor[i] @ y[row] for i in range(2)]
        np.testing.assert_allclose(coupling.apply([x[row], y[row]]), expected)
        np.testing.assert_allclose(coupling.apply([x, y])[row], expected)
    assert coupling.output_size == 2
    assert coupling.source_sizes == (3, 4)
    assert coupling.multiplications == 24
    assert not coupling.linear


@settings(max_examples=30, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32 - 1), bilinear=st.booleans())
def test_derivatives_of_couplings_agree_with_differences_and_with_each_other(seed: int, bilinear: bool) -> None:
    rng = np.random.default_rng(seed)
    if bilinear:
        coupling: Any = nng.BilinearCoupling("c", ("a", "b"), rng.standard_normal((2, 3, 4)))
    else:
        coupling = _linear("c", "a", rng.standard_normal((2, 3)))
    at = [rng.standard_normal(n) for n in coupling.source_sizes]
    along = [rng.standard_normal(n) for n in coupling.source_sizes]
    u, h = rng.standard_normal(2), 1e-5
    ahead, behind = ([x + s * h * d for x, d in zip(at, along, strict=True)] for s in (1, -1))
    derivative = coupling.jvp(at, along)
    np.testing.assert_allclose(derivative, (coupling.apply(ahead) - coupling.apply(behind)) / (2 * h), atol=1e-7)
    transposed = coupling.vjp(at, u)
    assert sum(d @ t for d, t in zip(along, transposed, strict=True)) == pytest.approx(u @ derivative)


def test_a_network_with_a_bilinear_coupling_solves_and_has_regrets() -> None:
    network, tensor = _bilinear(np.random.default_rng(1))
    assert not network.linear
    assert network.ring_order is None
    game = network.game()
    x = np.random.default_rng(2).standard_normal(7)
    expected = np.logaddexp(0, [x[:3] @ tensor[i] @ x[3:5] for i in range(2)] + network.biases["c"])
    np.testing.assert_allclose(game.best_response("c", x), expected)
    np.testing.assert_allclose(game.best_responses(np.array([x, x]))[0], game.best_responses(x))
    for method in ("picard", "best_response", "km"):
        result = nng.solve(game, method)
        assert result.converged, result.message
        assert game.nash_gap(result.profile) <= 1e-15
    moved = result.profile + 0.1
    regrets = game.regrets(moved)
    for player in game.players:
        better = moved.copy()
        better[game.space.slices[player]] = game.best_response(player, moved)
        assert game.cost(player, moved) - game.cost(player, better) == pytest.approx(regrets[player], rel=1e-8)
        assert regrets[player] > 0
    with pytest.raises(NotApplicableError, match=r"^extragradient does not apply: no safe bound on \|M\| is known"):
        nng.solve(game, "extragradient")
    assert nng.solve(game, "extragradient", step_size=0.2).converged
    assert nng.solve(game).converged
    for verdict in nng.certify(game).values():
        assert verdict.status == "UNDECIDED"
    with pytest.raises(NotApplicableError, match=r"^a coupling of this network is not linear"):
        _ = network.weights


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: nng.BilinearCoupling("c", ("a", "a"), np.ones((1, 1, 1))), "a bilinear coupling has two distinct "
         "sources; got ('a', 'a')"),
        (lambda: nng.BilinearCoupling("c", ("a", "b"), np.ones((1, 1))), "a bilinear coupling needs a tensor "
         "(n_l, n_j, n_k); got shape (1, 1)"),
        (lambda: nng.BilinearCoupling("c", ("a", "b"), [[["x"]]]), "the tensor of a bilinear coupling is not an array "
         "of real numbers: it holds texts"),
        (lambda: _general([nng.BilinearCoupling("c", ("a", "b"), np.ones((2, 1, 1)))]), "the coupling a, b -> c has "
         "size 2 for c; expected 1"),
        (lambda: _general([nng.BilinearCoupling("c", ("a", "z"), np.ones((1, 1, 1)))]), "the coupling a, z -> c: 'z' "
         "is not a player; players: 'a', 'b', 'c'"),
        (lambda: _general([nng.BilinearCoupling("c", ("a", "b"), np.full((1, 1, 1), np.nan))]), "the coupling "
         "a, b -> c has an entry that is not finite"),
        (lambda: _general([_linear("a", "b", np.eye(1))] * 2), "the coupling b -> a is given twice; add the two maps"),
    ],
)  # fmt: skip
def test_wrong_couplings_are_refused_exactly(build: Any, message: str) -> None:
    with pytest.raises(InputError) as caught:
        build()
    assert str(caught.value) == message


def _general(couplings: list[Any]) -> Any:
    return nng.Network(couplings, {"a": 0.0, "b": 0.0, "c": 0.0}, dict.fromkeys("abc", "tanh"))
