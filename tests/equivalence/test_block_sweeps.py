"""Sweeps in which pieces of players of a sparse network answer in turn: against loops, step by step, and in runs."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy import sparse

import nngames as nng
from nngames.core import pieces as division
from nngames.core.errors import NotApplicableError, OptionError
from nngames.games import ProximalGame
from nngames.networks import block_sweep
from nngames.networks.compiled import fused_sparse, sparse_map
from nngames.networks.compiled import single_pass as compiled_pass
from nngames.solvers import loop, spectral
from nngames.solvers.automatic import stages, turns
from nngames.solvers.best_response import BestResponse
from nngames.solvers.solver import State
from nngames.solvers.stopping import Stretch


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The kernels in use: compiled with Numba, interpreted without."""
    kernels = SimpleNamespace(
        sparse_evaluate=fused_sparse.evaluate,
        sparse_relaxed_steps=fused_sparse.relaxed_steps,
        spectral_steps=fused_sparse.spectral_steps,
    )
    monkeypatch.setattr(loop, "installed", lambda: True)
    monkeypatch.setattr(loop, "kernels_come", lambda limited: True)
    for module in (loop, turns, block_sweep, compiled_pass):
        monkeypatch.setattr(module, "kernels", lambda limited: kernels)
    with np.errstate(all="ignore"):
        yield


def weights(n: int, seed: int = 0, norm: float = 0.9) -> Any:
    """Return a sparse matrix (n, n) of rows of very different lengths, with maximum norm ``norm``."""
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, 12, n)
    rows = np.repeat(np.arange(n), counts)
    columns = rng.integers(0, n, len(rows))
    matrix = sparse.csr_array((rng.standard_normal(len(rows)), (rows, columns)), shape=(n, n))
    return sparse.csr_array(matrix * (norm / abs(matrix).sum(axis=1).max()))


def game(n: int, activation: Any = "tanh", seed: int = 0, norm: float = 0.9) -> nng.NetworkGame:
    """Return the game of a sparse layer that feeds itself."""
    bias = np.random.default_rng(7).uniform(-1, 1, n)
    return nng.Network.recurrent(weights(n, seed, norm), bias, activation).game()


def swept(network: nng.Network, x: np.ndarray, pieces: list[tuple[int, int]]) -> np.ndarray:
    """Return the profile after the pieces answered, one after the other, by dense products and whole activations."""
    dense, bias = network.weights[1, 1].dense, network.biases[1]
    x = x.copy()
    for first, last in pieces:
        x[first:last] = network.activations[1](dense @ x + bias)[first:last]
    return x


@pytest.mark.parametrize("n", [1, 31, 33, 300, 600])
@pytest.mark.parametrize("way", ["numpy", "compiled"])
def test_a_sweep_lets_each_piece_hear_those_before(request: pytest.FixtureRequest, n: int, way: str) -> None:
    played = game(n, {"name": "box", "lower": -0.4, "upper": 0.5})
    if way == "compiled":
        request.getfixturevalue("compiled")
    sweep = block_sweep.block_sweep(played.network)
    assert sweep is not None
    size = min(sparse_map.PIECE, max(sparse_map.SMALLEST_PIECE, -(-n // sparse_map.TURNS)))
    x = np.random.default_rng(1).standard_normal(n)
    expected = swept(played.network, x, [(first, min(first + size, n)) for first in range(0, n, size)])
    sweep(x)
    np.testing.assert_allclose(x, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.usefixtures("compiled")
def test_players_with_several_activations_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    n = 90
    weight = weights(n).tocoo()
    edges = {(int(i), int(j)): [[w]] for i, j, w in zip(weight.row, weight.col, weight.data, strict=True) if i != j}
    kinds = ["relu"] * 20 + ["tanh"] * 50 + [{"name": "box", "lower": 0.0, "upper": 0.5}] * 20
    network = nng.Network.graph(edges, {player: [0.3] for player in range(n)}, dict(enumerate(kinds)))
    sweep = block_sweep.block_sweep(network)
    assert sweep is not None
    x = np.random.default_rng(1).standard_normal(n)
    compiled, plain = x.copy(), x.copy()
    sweep(compiled)
    monkeypatch.setattr(block_sweep, "kernels", lambda limited: None)
    sweep(plain)
    np.testing.assert_allclose(compiled, plain, rtol=1e-12, atol=1e-14)
    changed, now = plain.copy(), x.copy()
    for first, last in sweep.fused.pieces[:, :2].tolist():
        now[first:last] = network.joint(now)[first:last]
    np.testing.assert_allclose(changed, now, rtol=1e-12, atol=1e-14)


@pytest.mark.usefixtures("compiled")
def test_rows_in_the_order_of_their_lengths_make_the_same_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sparse_map, "REMEMBERED", 100)
    n = 2 * sparse_map.PIECE + 9
    even = sparse.csr_array(np.roll(np.eye(n), 1, axis=0) * 0.5)
    assert nng.Network.recurrent(even, np.ones(n), "tanh").joint.fused.arguments()[-3].size == 0
    network = game(n).network
    order = network.joint.fused.arguments()[-3]
    assert (order[: sparse_map.PIECE] != np.arange(sparse_map.PIECE)).any()
    x, image = np.random.default_rng(2).standard_normal(n), np.empty(n)
    fused_sparse.evaluate(*network.joint.fused.arguments(), x, image)
    np.testing.assert_allclose(image, np.tanh(network.weights[1, 1].matrix @ x + network.biases[1]), rtol=1e-12)


@pytest.mark.usefixtures("compiled")
def test_a_compiled_pass_visits_each_piece_after_it_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(division, "PIECE", 2**14)
    n = 2**14 + 300
    network = game(n).network
    passed = compiled_pass.CompiledSparsePass(network.composite.fused, loop.kernels(limited=True))
    x, out, seen = np.random.default_rng(2).standard_normal(n), np.full(n, np.nan), []

    def visit(piece: slice) -> None:
        assert np.isfinite(out[: piece.stop]).all()
        assert np.isnan(out[piece.stop :]).all()
        seen.append(piece)

    passed.visited(x, out, visit)
    assert [piece.stop for piece in seen] == [2**14, n]
    np.testing.assert_allclose(out, np.tanh(network.weights[1, 1].matrix @ x + network.biases[1]), rtol=1e-12)


@pytest.mark.parametrize("growth", [1.0, 100.0])
@pytest.mark.parametrize("norm", [0.95, 3.0])
def test_a_compiled_run_with_sweeps_is_the_run(request: pytest.FixtureRequest, growth: float, norm: float) -> None:
    """Where the map expands, proposals fail and relaxed steps take their place."""
    options: Any = {"order": "sequential", "growth": growth, "max_iterations": 12}
    played = game(300, "arctan", norm=norm)
    plain = nng.solve(played, "spectral", **options)
    request.getfixturevalue("compiled")
    result = nng.solve(played, "spectral", **options)
    assert (result.status, result.evaluations) == (plain.status, plain.evaluations)
    np.testing.assert_array_equal(result.trace.evaluations, plain.trace.evaluations)
    np.testing.assert_allclose(result.trace.residual, plain.trace.residual, rtol=1e-5, atol=1e-13)
    np.testing.assert_allclose(result.profile, plain.profile, rtol=1e-5, atol=1e-9)


def test_relaxed_steps_go_on_from_where_the_sweep_began() -> None:
    """Of x -> S(x) a state holds S(x) and S(x) - x: a step of any length starts from x."""
    played = game(100, norm=0.9)
    problem: Any = nng.solver("spectral", order="sequential").problem(played, np.random.default_rng(0))
    x = np.random.default_rng(4).standard_normal(100)
    state = problem.begin(x.copy())
    pieces = [tuple(piece) for piece in problem.fused.pieces[:, :2].tolist()]
    y = swept(played.network, x, pieces)
    np.testing.assert_allclose(state.x, y, atol=1e-13)
    np.testing.assert_allclose(state.memory, y - x, atol=1e-13)
    # That is no displacement of the joint map, with which another scheme might go on.
    assert turns.known_displacement(problem, state) is None
    relaxed = problem.relax(state, state.evaluations)
    start = x + 0.5 * (y - x)
    np.testing.assert_allclose(relaxed.x, swept(played.network, start, pieces), atol=1e-13)
    resumed = problem.resume(State(x, 1.0, 5, 0.3 * np.ones(100)))
    np.testing.assert_allclose(resumed.x, swept(played.network, x + 0.3, pieces), atol=1e-13)
    assert resumed.evaluations == 6
    tried, _ = problem.attempt(state, 0.7 * state.memory)
    np.testing.assert_allclose(tried.x, swept(played.network, x + 0.7 * (y - x), pieces), atol=1e-13)


@pytest.mark.parametrize("seed", range(3))
def test_sweeps_contract_where_the_joint_map_does_in_a_weighted_maximum_norm(seed: int) -> None:
    """By its factor, in the Perron norm of |W|, which is far below the maximum norm here."""
    matrix = weights(120, seed)
    scaling = np.exp(np.random.default_rng(seed).uniform(-2, 2, 120))
    matrix = sparse.csr_array(sparse.diags_array(scaling) @ matrix @ sparse.diags_array(1 / scaling))
    played = nng.Network.recurrent(matrix, np.ones(120), "tanh").game(players="neurons")
    guarantee = nng.solver("spectral", order="sequential").guarantee(played)
    assert guarantee.proved
    assert "sweeps" in guarantee.statement
    sweep, rng = block_sweep.block_sweep(played.network), np.random.default_rng(seed)
    assert sweep is not None
    for _ in range(20):
        x, y = rng.standard_normal((2, 120)) * scaling
        before = np.max(abs(x - y) / scaling)
        sweep(x)
        sweep(y)
        assert np.max(abs(x - y) / scaling) <= 0.9 * before * (1 + 1e-12)


def test_nothing_is_proved_of_sweeps_without_such_a_norm() -> None:
    skew = weights(60)
    skew = sparse.csr_array(skew - skew.T) * 0.9
    skew = skew * (0.95 / np.linalg.norm(skew.toarray(), 2))
    played = nng.Network.recurrent(skew, np.ones(60), "tanh").game()
    assert nng.solver("spectral").guarantee(played).proved
    assert not nng.solver("spectral", order="sequential").guarantee(played).proved


def test_what_cannot_sweep_is_said() -> None:
    with pytest.raises(OptionError, match="spectral: order"):
        nng.solver("spectral", order="random")
    with pytest.raises(OptionError, match="'auto' or 'joint'"):
        nng.solver("spectral", order="sequential", map="composite")
    ends = np.linspace(0.1, 0.6, 40)
    by_entry = game(40, nng.activation("box", lower=-ends, upper=ends))
    dense = nng.Network.recurrent(weights(40).toarray(), np.ones(40), "tanh").game()
    for played in (by_entry, dense, nng.Network.generate("gaussian", 0, size=5, layers=2).game()):
        with pytest.raises(NotApplicableError, match="one sparse matrix"):
            nng.solve(played, "spectral", order="sequential")


@pytest.mark.parametrize("name", ["public_goods", "clearing"])
@pytest.mark.usefixtures("compiled")
def test_an_automatic_run_sweeps_and_needs_two_thirds_of_the_passes(name: str) -> None:
    played = nng.Network.generate(name, 3, size=600).game()
    result = nng.solve(played)
    assert result.converged
    assert result.method == "auto:spectral"
    assert "in sequential order" in result.message
    residual = played.network.joint(result.profile) - result.profile
    assert np.linalg.norm(residual) <= 1e-9 * played.scale
    assert result.evaluations <= 0.75 * nng.solve(played, "spectral").evaluations


@pytest.mark.usefixtures("compiled")
def test_an_automatic_run_leaves_sweeps_that_do_not_help() -> None:
    """The shares of an expanding map; plain passes and what they forecast follow."""
    rng = np.random.default_rng(1)
    matrix = weights(150, 1)
    turned = sparse.csr_array(matrix - matrix.T)
    turned = turned * (20 / np.linalg.norm(turned.toarray(), 2)) - sparse.eye_array(150)
    played = nng.Network.recurrent(sparse.csr_array(turned), rng.standard_normal(150), "relu").game()
    result = nng.solve(played)
    assert result.converged
    assert result.method != "auto:spectral"
    assert "spectral" in result.message


@pytest.mark.parametrize(("factor", "why"), [(1e150, "left the finite numbers at once"), (1e3, "after 1 steps")])
@pytest.mark.usefixtures("compiled")
def test_an_automatic_run_goes_back_to_the_start_from_sweeps_that_lead_away(factor: float, why: str) -> None:
    """Each piece of an expanding map multiplies what the last one made of the start."""
    matrix = weights(400)
    matrix = sparse.csr_array(abs(matrix - sparse.diags_array(matrix.diagonal()))) * factor
    played = nng.Network.recurrent(matrix, np.ones(400), "relu").game(players="neurons")
    result = nng.solve(played, max_iterations=6)
    assert why in result.message
    start = np.zeros(400)
    assert result.residual <= np.linalg.norm(played.network.joint(start) - start)


@pytest.mark.parametrize("n", [7, 20])
def test_the_last_digits_do_not_hang_on_where_arrays_lie(n: int) -> None:
    """Compiled loops look whether what they write is near what they read, and would sum in another order there."""
    fused = game(n, "softsign").network.joint.fused.in_turn
    x, g = np.random.default_rng(5).standard_normal((2, n))
    seen = set()
    for gap in (0, 1, 2, 4, 8, 16, 100):
        room = np.empty((4, n + gap))
        here, there, spare, other = room[:, :n]
        here[:], there[:] = x, g
        residual = fused_sparse.evaluate(*fused.arguments(), here, spare)
        numbers = np.array((0.0, np.inf, 1.0, 100.0, 1.0, 0.5, 1.0))
        counts, rest = np.array((6, 1, 0, 0, 1)), (np.empty(6), np.empty(6, dtype=np.int64))
        made = fused_sparse.spectral_steps(
            *fused.arguments(), here, here, there, spare, other, spectral._RULES, numbers, counts, *rest
        )
        seen.add((made, residual, numbers.tobytes(), rest[0].tobytes()))
    assert len(seen) == 1


@pytest.mark.parametrize(("factor", "iterations"), [(1.0, 40), (1e3, 6)])
def test_an_automatic_run_in_single_precision_stays_there(
    request: pytest.FixtureRequest, factor: float, iterations: int
) -> None:
    """Sweeps are in double precision, and compiled steps that follow would take nothing else."""
    matrix = weights(200)
    matrix = sparse.csr_array(abs(matrix - sparse.diags_array(matrix.diagonal()))) * factor
    played = nng.Network.recurrent(matrix, np.ones(200), "relu").game(players="neurons")
    options: Any = {"start": np.zeros(200, dtype=np.float32), "tolerance": 1e-4, "max_iterations": iterations}
    plain = nng.solve(played, **options)
    request.getfixturevalue("compiled")
    result = nng.solve(played, **options)
    assert result.profile.dtype == plain.profile.dtype == np.float32
    assert result.status is plain.status
    np.testing.assert_array_equal(result.trace.residual, plain.trace.residual)


def without_loops(n: int, activation: Any) -> nng.Network:
    """Return a sparse layer whose neurons do not listen to themselves."""
    weight = weights(n)
    others = sparse.csr_array(weight - sparse.diags_array(weight.diagonal()))
    others.eliminate_zeros()
    return nng.Network.recurrent(others, np.linspace(-1, 1, n), activation)


@pytest.mark.parametrize("n", [3, 31, 300])
@pytest.mark.usefixtures("compiled")
def test_sequential_best_responses_of_neurons_are_compiled_sweeps(monkeypatch: pytest.MonkeyPatch, n: int) -> None:
    """Player by player, with the moves' norm as the residual of each step."""
    network = without_loops(n, {"name": "leaky_relu", "slope": 0.3})
    played = network.game(players="neurons")
    start = np.random.default_rng(3).standard_normal(n)
    answered, moves = start.copy(), 0.0
    for i, player in enumerate(played.players):
        move = float(played.answer(player, answered)[0] - answered[i])
        answered[i] += move
        moves += move * move
    sweep = block_sweep.compiled_sweep(network)
    assert sweep is not None
    x = start.copy()
    assert sweep(x) == pytest.approx(np.sqrt(moves), rel=1e-12, abs=1e-300)
    np.testing.assert_allclose(x, answered, rtol=1e-12, atol=1e-14)
    compiled = nng.solve(played, "best_response", start=start)
    monkeypatch.setattr(block_sweep, "kernels", lambda limited: None)
    alone = nng.solve(played, "best_response", start=start)
    assert (compiled.status, compiled.iterations) == (alone.status, alone.iterations) == ("converged", alone.iterations)
    np.testing.assert_allclose(compiled.trace.residual, alone.trace.residual, rtol=1e-6, atol=1e-14)


def answers_counted(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Return the list to which every answer of a single player is added from now on."""
    asked: list[Any] = []
    answer = ProximalGame.answer

    def counted(self: ProximalGame, player: Any, x: np.ndarray) -> np.ndarray:
        asked.append(player)
        return answer(self, player, x)

    monkeypatch.setattr(ProximalGame, "answer", counted)
    return asked


@pytest.mark.usefixtures("compiled")
def test_no_other_best_responses_are_compiled_sweeps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not those of neurons that solve for what they tell themselves, with damping or in single precision."""
    network = without_loops(40, "tanh")
    loops = sparse.csr_array(weights(40) + sparse.diags_array(np.full(40, 0.05)))
    asked = answers_counted(monkeypatch)
    neurons = network.game(players="neurons")
    looped = nng.Network.recurrent(loops, np.ones(40), "relu").game(players="neurons")
    for played, method, start in (
        (looped, "best_response", None),
        (neurons, BestResponse(damping=0.5), None),
        (neurons, BestResponse(order="random"), None),
        (neurons, "best_response", np.zeros(40, dtype=np.float32)),
    ):
        before = len(asked)
        assert nng.solve(played, method, start=start, tolerance=1e-5).converged
        assert len(asked) > before
    before = len(asked)
    assert nng.solve(neurons, "best_response").converged
    assert len(asked) == before


@pytest.mark.usefixtures("compiled")
def test_plain_passes_after_sweeps_go_from_where_the_joint_map_has_the_smaller_residual(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The sweeps' own residual is below that at the start here, and the joint one where they ended above it."""
    matrix = weights(40, 1, 6.0)
    matrix = sparse.csr_array(abs(matrix - sparse.diags_array(matrix.diagonal())))
    bias = np.random.default_rng(1).uniform(-1, 1, 40)
    played = nng.Network.recurrent(matrix, bias, "elu").game(players="neurons")
    begun: list[Any] = []
    enter = stages.Course._enter_plainly

    def noted(course: stages.Course, evaluations: int) -> Any:
        swept, smallest = course.best_profile(), course._smallest
        state = enter(course, evaluations)
        rows = course._rows[0].copy(), course._best[2]
        begun.append((swept, smallest, np.array(state.x), state, course._smallest, rows, evaluations))
        return state

    monkeypatch.setattr(stages.Course, "_enter_plainly", noted)
    nng.solve(played, max_iterations=40)
    swept, smallest, x, state, least, (row, displacement), evaluations = begun[0]
    at_start = np.linalg.norm(played.network.joint(np.zeros(40)))
    assert smallest < at_start < np.linalg.norm(played.network.joint(swept) - swept)
    np.testing.assert_array_equal(x, np.zeros(40))
    assert state.residual == least == pytest.approx(at_start)
    np.testing.assert_allclose(row, played.network.joint(x))
    np.testing.assert_array_equal(displacement, row)
    # The passes at the start and where the sweeps ended.
    assert state.evaluations == evaluations + 2


@pytest.mark.parametrize("order", ["simultaneous", "sequential"])
@pytest.mark.parametrize(("best", "growth"), [(1.0, 1.0), (1.0, 100.0), (0.02, 4.0), (1e-3, 1e4)])
@pytest.mark.parametrize("expanding", [False, True])
@pytest.mark.usefixtures("compiled")
def test_compiled_steps_go_by_what_was_remembered(order: str, best: float, growth: float, expanding: bool) -> None:
    """The smallest residual, the relaxation, the length and the accepted steps; where <s, y> >= 0 the length is 1."""
    matrix = weights(60, 3, 3.0 if expanding else 0.9)
    matrix = sparse.csr_array(abs(matrix - sparse.diags_array(matrix.diagonal()))) if expanding else matrix
    played = nng.Network.recurrent(matrix, np.ones(60), "leaky_relu").game(players="neurons")
    scheme: Any = nng.solver("spectral", order=order, growth=growth)
    found = []
    for way in ("plain", "compiled"):
        problem = scheme.problem(played, np.random.default_rng(0))
        state = problem.begin(np.random.default_rng(4).standard_normal(60))
        problem._best, problem._relaxation, problem.length, problem._accepted = best * state.residual, 0.125, 1.3, 5
        if way == "compiled":
            stretch = Stretch(4, 0, 0.0, np.inf, 1.0)
            state, residuals, evaluations = problem.several_steps(loop.kernels(limited=True), state, stretch)
            trace = [*zip(residuals.tolist(), evaluations.tolist(), strict=True)]
        else:
            trace = []
            for _ in range(4):
                state = problem.move(state)
                trace.append((state.residual, state.evaluations))
        kept = (problem._best, problem._relaxation, problem.length, problem._accepted)
        found.append((state.x, state.memory, np.array(trace), np.array(kept)))
    for plain, compiled_ones in zip(*found, strict=True):
        np.testing.assert_allclose(compiled_ones, plain, rtol=1e-9, atol=1e-12)
