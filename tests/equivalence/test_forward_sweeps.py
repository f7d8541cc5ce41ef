"""One sweep in topological order against plain iteration to the fixed point, with loops of the tests' own."""

from __future__ import annotations

import time
import tracemalloc
from typing import Any

import numpy as np
import pytest
from scipy import sparse

import nngames as nng
from nngames.core.deadlines import TimeUpError, ending, ends_within
from nngames.networks import forward, levels
from nngames.networks.compiled import fused_rows
from nngames.networks.forward import LayerSweep, RowSweep
from nngames.results.result import Status
from nngames.solvers import best_response
from nngames.solvers.solver import Ended

RESPONSES = {
    "relu": lambda v: np.maximum(v, 0),
    "tanh": np.tanh,
    "identity": lambda v: v,
    # No kernel knows it.
    "softplus": lambda v: np.logaddexp(0, v),
}


@pytest.fixture(autouse=True)
def interpreted_unless_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other tests of the process may have loaded the kernels."""
    monkeypatch.setattr(best_response, "kernels", lambda limited: None)


def random_dag(n: int, widths: int, rng: np.random.Generator, shuffled: bool = True) -> np.ndarray:
    """Return a matrix whose coordinates listen to earlier groups of up to ``widths``, in a shuffled order."""
    group = np.sort(rng.integers(0, max(1, n // widths) + 1, n))
    matrix = np.where(rng.random((n, n)) < min(1.0, 4 / n), rng.standard_normal((n, n)), 0.0)
    matrix[group[:, None] <= group[None, :]] = 0
    order = rng.permutation(n) if shuffled else np.arange(n)
    return matrix[order][:, order]


def iterated(matrix: np.ndarray, bias: np.ndarray, respond: Any) -> np.ndarray:
    """Return the point at which plain iteration stands still."""
    x = np.zeros(len(bias))
    for _ in range(len(bias) + 1):
        before, x = x, respond(matrix @ x + bias)
    np.testing.assert_array_equal(x, before)
    return x


def heights(matrix: np.ndarray) -> list[int]:
    """Return the longest path that ends at each coordinate, by recursion."""
    known: dict[int, int] = {}

    def height(i: int) -> int:
        if i not in known:
            known[i] = max((1 + height(int(j)) for j in np.flatnonzero(matrix[i])), default=0)
        return known[i]

    return [height(i) for i in range(len(matrix))]


def interpreted(limited: bool) -> Any:
    """Return a kernel that is compiled with Numba and interpreted without."""
    return type("Kernels", (), {"answer_in_order": staticmethod(fused_rows.answer_in_order)})


@pytest.mark.parametrize("wide", [0, 3, 10**9])
def test_levels_are_the_longest_paths(wide: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(levels, "WIDE", wide)
    monkeypatch.setattr(levels, "PIECE", 5)
    rng = np.random.default_rng(0)
    for n in (1, 2, 7, 40, 90):
        matrix = random_dag(n, int(rng.integers(1, 12)), rng)
        found = levels.levels_of(sparse.csr_array(matrix))
        assert found is not None
        of = np.array(heights(matrix))
        assert found.order.tolist() == np.lexsort((np.arange(n), of)).tolist()
        assert found.bounds.tolist() == [0, *np.cumsum(np.bincount(of))]
        assert levels.strictly_lower(sparse.csr_array(matrix)) == (not np.triu(matrix).any())
        if n > 2:
            source = int(found.order[-1])
            heard = np.flatnonzero(matrix[source])
            if len(heard):
                matrix[heard[0], source] = 1.0
                assert levels.levels_of(sparse.csr_array(matrix)) is None


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize("activation", RESPONSES)
def test_random_networks(activation: str, kept: bool, compiled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of widths from 1 to 50, in any order, with a matrix that is kept in that of the levels or reordered by rows."""
    if compiled:
        monkeypatch.setattr(best_response, "kernels", interpreted)
    if not kept:
        monkeypatch.setattr(forward, "_KEPT", 0)
        monkeypatch.setattr(forward, "_AT_ONCE", 40)
        monkeypatch.setattr(forward, "CLOCKED", 2)
    rng = np.random.default_rng(1)
    for n, width in ((2, 1), (13, 1), (60, 3), (60, 11), (200, 50)):
        matrix, bias = random_dag(n, width, rng, shuffled=bool(n % 4)), rng.standard_normal(n)
        expected = iterated(matrix, bias, RESPONSES[activation])
        game = nng.Network.recurrent(sparse.csr_array(matrix), bias, activation).game(players="neurons")
        result = nng.solve(game, start=rng.standard_normal(n))
        assert (result.method, result.iterations, result.evaluations) == ("auto:best_response", 1, 2)
        assert ", with best_response in topological order" in result.message
        np.testing.assert_allclose(result.profile, expected, rtol=1e-12, atol=1e-12)
        if not compiled:
            # Its sums are those of a plain pass.
            assert result.residual == 0
        np.testing.assert_array_equal(nng.solve(game, start=rng.standard_normal(n)).profile, result.profile)


@pytest.mark.parametrize("compiled", [False, True])
def test_players_of_one_neuron_with_several_activations(compiled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Isolated players and sources among them; the pass of so many small players is one sparse product."""
    if compiled:
        monkeypatch.setattr(best_response, "kernels", interpreted)
    rng = np.random.default_rng(2)
    n = 120
    matrix, bias = random_dag(n, 6, rng), rng.standard_normal(n)
    matrix[:, 5] = matrix[5] = 0
    kinds = ["relu", "tanh", nng.activation("prelu", slope=0.5)]

    def respond(v: np.ndarray) -> np.ndarray:
        return np.choose(np.arange(n) % 3, [np.maximum(v, 0), np.tanh(v), np.maximum(v, v / 2)])

    edges = {(int(i), int(j)): [[matrix[i, j]]] for i, j in np.argwhere(matrix)}
    network = nng.Network.graph(edges, {i: [bias[i]] for i in range(n)}, {i: kinds[i % 3] for i in range(n)})
    assert isinstance(network.joint.forward, RowSweep)
    result = nng.solve(network.game())
    assert (result.iterations, result.evaluations) == (1, 2)
    np.testing.assert_allclose(result.profile, iterated(matrix, bias, respond), rtol=1e-12, atol=1e-13)


def test_layers_that_mix_or_are_coupled_otherwise_answer_in_order() -> None:
    rng = np.random.default_rng(3)
    weights = {(t, s): rng.standard_normal((4, 4)) for t, s in (("a", "c"), ("d", "a"), ("d", "c"), ("b", "d"))}
    biases = {player: rng.standard_normal(4) for player in "abcd"}
    network = nng.Network.graph(weights, biases, {"a": "softmax", "b": "relu", "c": "tanh", "d": "layer_norm"})
    sweep = network.joint.forward
    assert isinstance(sweep, LayerSweep)
    assert not sweep.in_listed_order
    x = {}
    for player in "cadb":
        v = biases[player] + sum(weights[t, s] @ x[s] for t, s in weights if t == player)
        x[player] = network.activations[player](v)
    result = nng.solve(network.game(cost="tracking"), start=rng.standard_normal(16))
    assert (result.iterations, result.evaluations) == (1, 2)
    np.testing.assert_allclose(result.profile, np.concatenate([x[p] for p in "abcd"]), rtol=1e-13)


@pytest.mark.parametrize("compiled", [False, True])
def test_a_chain_of_5000_players(compiled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if compiled:
        monkeypatch.setattr(best_response, "kernels", interpreted)
    n = 5000
    rng = np.random.default_rng(4)
    gains, bias = rng.uniform(-1.2, 1.2, n), rng.standard_normal(n)
    network = nng.Network.graph(
        {(i, i - 1): [[gains[i]]] for i in range(1, n)}, {i: [bias[i]] for i in range(n)}, "tanh"
    )
    result = nng.solve(network.game())
    expected, last = np.empty(n), 0.0
    for i in range(n):
        expected[i] = last = np.tanh(gains[i] * last * (i > 0) + bias[i])
    assert result.iterations == 1
    np.testing.assert_allclose(result.profile, expected, rtol=1e-12)


@pytest.mark.parametrize("n", [1, 3, 20])
def test_sources_only(n: int) -> None:
    game = nng.Network.graph({}, {i: [i - 1.0] for i in range(n)}, "relu").game()
    result = nng.solve(game, start=np.ones(n) / 3)
    assert result.iterations == 1
    assert result.profile.tolist() == [max(0.0, i - 1.0) for i in range(n)]


def test_coordinates_may_be_acyclic_where_layers_are_not() -> None:
    """Each layer's first neuron feeds the other layer's second one."""
    lower = sparse.csr_array([[0.0, 0.0], [2.0, 0.0]])
    network = nng.Network.graph(
        {("a", "b"): lower, ("b", "a"): lower, ("a", "a"): 3 * lower}, {"a": [1, 2], "b": [3, 4]}, "relu"
    )
    assert network.ring_order is None
    result = nng.solve(network.game())
    assert result.iterations == 1
    assert result.profile.tolist() == [1.0, 2 + 3 * 2 + 2 * 3.0, 3.0, 4 + 2.0]


def test_a_dense_layer_may_be_full_below_its_diagonal() -> None:
    game = nng.Network.recurrent(np.tril(np.ones((4, 4)), -1), np.ones(4), "identity").game(players="neurons")
    result = nng.solve(game)
    assert (result.method, result.iterations) == ("auto:best_response", 1)
    assert result.profile.tolist() == [1.0, 2.0, 4.0, 8.0]


def test_stored_zeros_are_no_edges() -> None:
    """A walk from neuron to neuron meets the stored zero, and with it a circle."""
    entries, places = [0.0, 3.0, 2.0], ([0, 1, 2], [1, 0, 1])
    network = nng.Network.recurrent(sparse.csr_array((entries, places), shape=(3, 3)), [1.0, 0.0, 0.0], "relu")
    assert network.weights[1, 1].matrix.nnz == 3
    result = nng.solve(network.game(players="neurons"))
    assert (result.method, result.iterations) == ("auto:best_response", 1)
    assert result.profile.tolist() == [1.0, 3.0, 6.0]


def test_a_box_with_ends_of_its_own_for_each_coordinate_is_not_split() -> None:
    box = nng.activation("box", lower=[-1.0, 0.0, 0.0], upper=[1.0, 1.0, 0.5])
    below = sparse.csr_array(np.tril(np.full((3, 3), 2.0), -1))
    assert nng.Network.recurrent(below, np.ones(3), box).joint.forward is None


def test_a_start_in_single_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which is nothing for the kernels."""
    monkeypatch.setattr(best_response, "kernels", lambda limited: type("Kernels", (), {}))
    matrix, bias = random_dag(50, 5, np.random.default_rng(5)), np.ones(50)
    game = nng.Network.recurrent(sparse.csr_array(matrix), bias, "tanh").game(players="neurons")
    result = nng.solve(game, start=np.zeros(50, dtype=np.float32), tolerance=1e-5)
    assert result.profile.dtype == np.float32
    assert (result.iterations, result.residual) == (1, 0)
    np.testing.assert_allclose(result.profile, iterated(matrix, bias, np.tanh), rtol=1e-4, atol=1e-6)


def test_the_listed_order_is_swept_as_by_the_players_one_by_one() -> None:
    rng = np.random.default_rng(6)
    matrix, bias, start = random_dag(30, 4, rng, shuffled=False), rng.standard_normal(30), rng.standard_normal(30)
    game = nng.Network.recurrent(sparse.csr_array(matrix), bias, "tanh").game(players="neurons")
    x = start.copy()
    for i in range(30):
        x[i] = np.tanh(matrix[i] @ x + bias[i])
    first, second = list(nng.solver("best_response").iterate(game, start=start))[:2]
    np.testing.assert_array_equal(first.profile, start)
    np.testing.assert_allclose(second.profile, x, rtol=1e-13)
    listed = nng.solve(game, "best_response", start=start)
    assert (listed.iterations, listed.evaluations, listed.residual) == (1, 2, 0)
    assert listed.guarantee.proved
    damped = nng.solve(game, "best_response", start=start, damping=0.5, max_iterations=3)
    np.testing.assert_allclose(damped.trace.residual[0], listed.trace.residual[0])
    assert damped.iterations == 3


def test_another_listed_order_is_kept() -> None:
    """The last player is the source: a sweep in the listed order brings its signal on by one player."""
    n = 10
    game = nng.Network.recurrent(sparse.csr_array(np.eye(n, k=1)), np.eye(n)[-1], "relu").game(players="neurons")
    listed = nng.solve(game, "best_response")
    assert listed.iterations == n + 1
    ordered = nng.solve(game, "best_response", order="topological")
    assert (ordered.iterations, ordered.method) == (1, "best_response")
    assert ordered.profile.tolist() == listed.profile.tolist() == [1.0] * n


def test_the_guarantee_is_one_sweep() -> None:
    rng = np.random.default_rng(7)
    matrix, bias = 50 * random_dag(40, 4, rng), rng.standard_normal(40)
    game = nng.Network.recurrent(sparse.csr_array(matrix), bias, "relu").game(players="neurons")
    scheme = nng.solver("best_response", order="topological")
    guarantee = scheme.guarantee(game)
    assert guarantee.proved
    assert guarantee.witness == {"map": "joint", "sweeps": 1, "unique": True}
    assert guarantee.rate is not None
    assert (guarantee.rate.bound(0, 3.0), guarantee.rate.bound(1, 3.0)) == (3.0, 0.0)
    assert nng.solve(game).guarantee.statement == f"auto begins with best_response, and {guarantee.statement}"
    ends = [nng.solve(game, scheme, start=rng.standard_normal(40)).profile for _ in range(2)]
    np.testing.assert_array_equal(*ends)
    # The shuffled order is no such order.
    assert "one sweep" not in nng.solver("best_response").guarantee(game).statement


def test_self_loops_are_the_players_own_and_no_forward_pass() -> None:
    """x = max(0, 0.5 x + 1) ends at 2, and y = max(0, -y + x) at 1: listed, each hears itself and earlier ones only."""
    matrix = sparse.csr_array([[0.5, 0.0], [1.0, -1.0]])
    game = nng.Network.recurrent(matrix, [1.0, 0.0], "relu").game()
    assert game.network.joint.forward is None
    for order in ("sequential", "topological"):
        scheme = nng.solver("best_response", order=order)
        assert scheme.guarantee(game).witness["sweeps"] == 1
        result = nng.solve(game, scheme)
        assert result.iterations <= 2
        np.testing.assert_allclose(result.profile, [2.0, 1.0], rtol=1e-15)
    assert nng.solve(game).profile == pytest.approx([2.0, 1.0])
    # Whole layers, the source listed last: a = max(0, a/2 + b).
    layers = nng.Network.graph({("a", "a"): [[0.5]], ("a", "b"): [[1.0]]}, {"a": [0.0], "b": [1.0]}, "relu").game()
    result = nng.solve(layers, "best_response", order="topological")
    assert result.guarantee.witness["sweeps"] == 1
    np.testing.assert_allclose(result.profile, [2.0, 1.0], rtol=1e-15)


def test_quadratic_games_in_topological_order() -> None:
    """Player a answers to b, and b to nobody: b = 1/2, a = (3 - b)/1."""
    game = nng.QuadraticGame({"a": [[1.0]], "b": [[2.0]]}, {("a", "b"): [[1.0]]}, {"a": [-3.0], "b": [-1.0]})
    result = nng.solve(game, "best_response", order="topological")
    np.testing.assert_allclose(result.profile, [2.5, 0.5])
    assert result.guarantee.witness["sweeps"] == 1
    assert "one sweep" not in nng.solver("best_response").guarantee(game).statement


def test_where_signals_return_there_is_no_such_order() -> None:
    game = nng.Network.ring([[[0.5]], [[0.5]]], [[1.0], [1.0]], ["relu", "relu"]).game()
    with pytest.raises(nng.NotApplicableError) as caught:
        nng.solve(game, "best_response", order="topological")
    assert str(caught.value) == (
        "best_response does not apply: no order of the players has each after all that it listens to; use "
        "order='sequential'"
    )
    with pytest.raises(nng.OptionError) as refused:
        nng.solver("best_response", order="topological", damping=0.5)
    assert str(refused.value) == (
        "best_response: order='topological' ends after one sweep of full responses: damping=0.5 is for the other orders"
    )
    # A layer that mixes its coordinates hears itself through them.
    below = sparse.csr_array([[0.0, 0.0], [3.0, 0.0]])
    assert nng.Network.recurrent(below, np.ones(2), "softmax").joint.forward is None


@pytest.mark.parametrize("single", [True, False])
def test_a_refused_preactivation_is_its_players(single: bool) -> None:
    """softsign_probit is defined on (0, 1) only; the second player's 0.5 + 4 r(0.9) is beyond, but not at the start."""
    if single:
        entries = sparse.csr_array([[0.0, 0.0, 0.0], [4.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
        network, name = nng.Network.recurrent(entries, [0.9, 0.5, 0.1], "softsign_probit"), "1"
    else:
        edges = {("b", "a"): [[4.0]], ("c", "b"): [[1.0]]}
        network = nng.Network.graph(edges, {"a": [0.9], "b": [0.5], "c": [0.1]}, "softsign_probit")
        name = "b"
    assert network.joint.forward is not None
    x = np.full(3, 9.0)
    with pytest.raises(nng.DomainError, match=f"the pre-activation of player {name}: "):
        network.joint.forward(x)
    game = network.game()
    result = nng.solve(game, "best_response", order="topological")
    assert result.status is Status.FAILED
    assert f"the pre-activation of player {name}" in result.message
    assert not nng.solver("best_response").guarantee(game).proved


def test_refused_players_are_found_among_many() -> None:
    n = 40
    bias = np.full(n, 0.5)
    bias[29] = 5.0
    network = nng.Network.graph({(1, 0): [[0.5]]}, {i: [bias[i]] for i in range(n)}, "softsign_probit")
    assert isinstance(network.joint.forward, RowSweep)
    with pytest.raises(nng.DomainError, match="the pre-activation of player 29: "):
        network.joint.forward(np.zeros(n))


def test_the_time_is_looked_at_between_levels() -> None:
    game = nng.Network.generate("dag", 0, size=50).game()
    assert game.network.joint.forward is not None
    with pytest.raises(TimeUpError):
        game.network.joint.forward(np.zeros(50), deadline=-np.inf)
    layers = nng.Network.graph({("b", "a"): [[1.0]]}, {"a": [1.0], "b": [1.0]}, "relu").joint.forward
    assert isinstance(layers, LayerSweep)
    with pytest.raises(TimeUpError):
        layers(np.zeros(2), deadline=-np.inf)
    scheme: Any = nng.solver("best_response", order="topological")
    problem = scheme.problem(game, None)
    state = scheme.start(problem, np.zeros(50))
    with pytest.raises(Ended) as ended, ends_within(-1.0):
        scheme.step(problem, state)
    assert ended.value.status is Status.MAX_SECONDS


def test_the_time_is_looked_at_while_the_levels_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """And what was not found in time is found by the next run."""
    monkeypatch.setattr(levels, "CLOCKED", 2)
    game = nng.Network.generate("dag", 0, size=50).game()
    with pytest.raises(TimeUpError):
        game.network.joint.forward_before(-np.inf)
    short = nng.solve(game, max_seconds=1e-9)
    assert (short.status, short.method, short.iterations) == (Status.MAX_SECONDS, "auto:picard", 0)
    assert nng.solve(game).method == "auto:best_response"


def test_callbacks_and_traces_see_both_states() -> None:
    seen: list[tuple[int, float]] = []
    game = nng.Network.generate("dag", 0, size=50).game()
    result = nng.solve(game, callback=lambda iterate: seen.append((iterate.iteration, iterate.residual)))
    assert [iteration for iteration, _ in seen] == [0, 1]
    assert seen[1][1] == 0 < seen[0][1] == result.trace.residual[0]
    assert result.trace.evaluations.tolist() == [1, 2]


def test_a_sweep_that_rounds_too_coarsely_is_made_again_as_passes_round(monkeypatch: pytest.MonkeyPatch) -> None:
    game = nng.Network.generate("dag", 0, size=50).game()

    def coarse(*arguments: Any) -> None:
        fused_rows.answer_in_order(*arguments)
        arguments[-1][...] += 1e-3

    monkeypatch.setattr(best_response, "kernels", lambda limited: type("Kernels", (), {"answer_in_order": coarse}))
    for method in ("auto", "best_response"):
        result = nng.solve(game, method)
        assert (result.iterations, result.evaluations, result.residual) == (2, 3, 0)


def test_where_no_sweep_is_exact_enough_plain_methods_follow(monkeypatch: pytest.MonkeyPatch) -> None:
    game = nng.Network.generate("dag", 0, size=50).game()
    exact = RowSweep.__call__

    def coarse(self: RowSweep, x: np.ndarray, *rest: Any) -> bool:
        exact(self, x, *rest)
        x += 1e-3
        return False

    monkeypatch.setattr(RowSweep, "__call__", coarse)
    result = nng.solve(game)
    assert result.converged
    assert "(before, best_response: came to no end" in result.message
    alone = nng.solve(game, "best_response")
    assert alone.status is Status.STALLED
    assert alone.message.startswith("another sweep would change nothing; best_response makes no more progress: ")


def test_an_equilibrium_beyond_the_floats_is_not_finite() -> None:
    """x_i = 1e100^i overflows at the fourth: what is no number has no residual of 0, and is nothing to go on from."""
    game = nng.Network.recurrent(sparse.csr_array(1e100 * np.eye(6, k=-1)), np.ones(6), "relu").game(players="neurons")
    result = nng.solve(game, "best_response", order="topological")
    assert (result.status, result.iterations) == (Status.NOT_FINITE, 1)
    assert np.isnan(result.trace.residual[1])
    assert np.isfinite(nng.solve(game, max_iterations=2).profile).all()


def test_the_room_of_many_players() -> None:
    """The network's own copy of the data is the first half of the bound."""
    n = 400_000
    rng = np.random.default_rng(8)
    rows = np.repeat(np.arange(1, n), 3)
    weight = sparse.csr_array(
        (rng.standard_normal(len(rows)), (rows, rows - rng.integers(1, np.minimum(rows, 5000) + 1))), shape=(n, n)
    )
    place = rng.permutation(n).astype(np.int32)
    weight = weight[place][:, place].tocsr()
    weight.sum_duplicates()
    bias = rng.standard_normal(n)
    data = weight.data.nbytes + weight.indices.nbytes + weight.indptr.nbytes + bias.nbytes
    nng.solve(nng.Network.generate("dag", 0, size=50).game())
    tracemalloc.start()
    try:
        game = nng.Network.recurrent(weight, bias, "tanh").game()
        result = nng.solve(game)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert result.iterations == 1
    assert peak <= 2 * data
    assert "players" not in vars(game.space)


def test_the_time_of_a_named_scheme_counts_while_its_levels_are_sought(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []

    def late(game: nng.Game) -> None:
        asked.append(ending())
        raise TimeUpError("the time was up")

    game = nng.Network.recurrent(np.tril(np.ones((4, 4)), -1), np.ones(4), "tanh").game(players="neurons")
    assert nng.solve(game, "best_response", max_seconds=60).iterations == 1
    monkeypatch.setattr(best_response, "forward_pass", late)
    before = time.monotonic()
    result = nng.solve(game, "best_response", max_seconds=1e-9)
    assert (result.status, result.iterations) == (Status.MAX_SECONDS, 0)
    assert asked[0] < before + 60
    np.testing.assert_array_equal(result.profile, np.zeros(4))
