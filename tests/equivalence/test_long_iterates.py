"""Long iterates: passes that are followed piece by piece, arrays that are used again, passes that are not made."""

from __future__ import annotations

import math
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy import sparse

import nngames as nng
from nngames.core import pieces
from nngames.networks import from_base, joint_pass, piecewise
from nngames.networks.compiled import fused_sparse, maps, single_pass
from nngames.solvers import anderson, fixed_point, loop, reused_arrays, spectral
from nngames.solvers.automatic import changes, costs, remembered, stages, turns
from nngames.solvers.long_spectral import LongSpectralProblem
from nngames.solvers.solver import State
from nngames.solvers.stopping import Stretch


@pytest.fixture
def long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Treat all iterates as long ones, in pieces that do not divide them."""
    for module in (anderson, fixed_point, loop, piecewise, single_pass, spectral, changes, remembered, reused_arrays):
        monkeypatch.setattr(module, "LONG", 1)
    monkeypatch.setattr(pieces, "PIECE", 7)


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The kernels in use: compiled with Numba, interpreted without."""
    steps = {"sparse_relaxed_steps": fused_sparse.relaxed_steps, "spectral_steps": fused_sparse.spectral_steps}
    kernels = SimpleNamespace(**steps, sparse_evaluate=fused_sparse.evaluate)
    monkeypatch.setattr(loop, "installed", lambda: True)
    monkeypatch.setattr(loop, "kernels_come", lambda limited: True)
    monkeypatch.setattr(loop, "kernels", lambda limited: kernels)
    with np.errstate(all="ignore"):
        yield kernels


def weights(n: int, norm: float, symmetric: bool = True) -> Any:
    """Return a sparse matrix (n, n) of that norm."""
    rng = np.random.default_rng(n)
    entries = sparse.csr_array((rng.standard_normal(4 * n), rng.integers(0, n, (2, 4 * n))), shape=(n, n))
    entries = entries + entries.T if symmetric else entries
    return (entries * (norm / np.linalg.norm(entries.toarray(), 2))).tocsr()


def layer(n: int, activation: Any = "relu", norm: float = 0.9, symmetric: bool = True) -> nng.NetworkGame:
    """Return the game of a sparse layer that feeds itself."""
    bias = np.random.default_rng(1).uniform(-0.5, 1.5, n)
    return nng.Network.recurrent(weights(n, norm, symmetric), bias, activation).game()


def counted(monkeypatch: pytest.MonkeyPatch, game: nng.NetworkGame) -> list[int]:
    """Return a list that grows with each pass that the game makes to tell its residuals."""
    made: list[int] = []
    original = type(game).distance

    def distance(self: Any, profile: Any) -> Any:
        made.append(1)
        return original(self, profile)

    monkeypatch.setattr(type(game), "distance", distance)
    return made


# Passes that are not made


def test_a_compiled_pass_at_zero_makes_no_product(compiled: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would meet entries that are no numbers."""
    monkeypatch.setattr(single_pass, "LONG", 40)
    n, entries = 40, weights(40, 0.9)
    network = nng.Network.recurrent(entries, np.linspace(-1, 1, n), "tanh")
    network.weights[1, 1].matrix.data[:] = np.nan
    passed = single_pass.CompiledSparsePass(network.composite.fused, compiled)
    expected = np.tanh(network.biases[1])
    for zero in (0.0, -0.0):
        np.testing.assert_allclose(passed(np.full(n, zero), np.empty(n)), expected, rtol=1e-15)
    out = np.empty(n)
    passed.visited(np.zeros(n), out, lambda piece: None)
    np.testing.assert_allclose(out, expected, rtol=1e-15)
    assert np.isnan(passed(np.eye(n)[n - 1], out)).any()
    shorter = nng.Network.recurrent(weights(39, 0.9), np.ones(39), "tanh")
    shorter.weights[1, 1].matrix.data[:] = np.nan
    passed = single_pass.CompiledSparsePass(shorter.composite.fused, compiled)
    assert np.isnan(passed(np.zeros(39), np.empty(39))).any()


@pytest.mark.usefixtures("long")
@pytest.mark.parametrize(
    ("method", "options"),
    [("picard", {}), ("km", {"relaxation": 0.7}), ("anderson", {}), ("spectral", {}), ("auto", {})],
)
def test_the_pass_that_ends_a_run_is_not_made_again(
    monkeypatch: pytest.MonkeyPatch, method: str, options: dict[str, Any]
) -> None:
    game = layer(60)
    assert game.scale > 1
    made = counted(monkeypatch, game)
    result = nng.solve(game, method, **options)
    assert result.converged
    assert not made
    assert result.residual == pytest.approx(game.residual(result.profile), rel=1e-6)
    assert result.residual == pytest.approx(result.trace.residual[-1], rel=1e-12)


@pytest.mark.usefixtures("long")
@pytest.mark.parametrize(("name", "method"), [("clearing", "anderson"), ("public_goods", "spectral")])
def test_a_long_result_is_no_part_of_more(name: str, method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would keep all rows of plain passes, in which later schemes make their iterates, as long as it is there."""
    accelerated = 1.05e-2 if method == "anderson" else 1.0
    monkeypatch.setattr(changes, "costs_of", lambda game, compiled: costs.Costs(1e-2, accelerated, 1e3, 1.01e-2))
    monkeypatch.setattr(turns, "SHORT_PASSES", 0.0)
    for seed in range(4):
        result = nng.solve(nng.Network.generate(name, seed, size=300).game())
        assert result.converged
        assert result.method == f"auto:{method}"
        assert result.profile.base is None


@pytest.mark.usefixtures("long")
def test_how_far_compiled_steps_may_be_from_the_joint_map(compiled: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing without kernels; beyond any bound where a network is packed as one matrix of many layers."""
    network, x = layer(60).network, np.linspace(-1, 1, 60)
    view = nng.solver("spectral", map="joint").problem(network.game(), np.random.default_rng(0)).view
    monkeypatch.setattr(joint_pass, "kernels", lambda limited: None)
    assert view.apart(x) == 0.0
    monkeypatch.setattr(joint_pass, "kernels", lambda limited: compiled)
    matrix = network.weights[1, 1].matrix
    terms = int(np.diff(matrix.indptr).max()) + 2
    sizes = 8 + terms * sparse.linalg.norm(matrix), terms * np.linalg.norm(network.biases[1])
    expected = np.finfo(float).eps * (sizes[0] * np.linalg.norm(x) + sizes[1])
    assert view.apart(x) == pytest.approx(expected)
    assert network.composite.rounding(x) <= view.apart(x)
    monkeypatch.setattr(network.joint, "assembled", True)
    assert view.apart(x) == math.inf


@pytest.mark.usefixtures("long")
def test_compiled_steps_end_without_another_pass(monkeypatch: pytest.MonkeyPatch, compiled: Any) -> None:
    game = layer(60)
    assert game.scale > 1
    made = counted(monkeypatch, game)
    result = nng.solve(game, "picard")
    assert result.converged
    assert not made
    assert result.residual == pytest.approx(game.residual(result.profile), rel=1e-6)
    made.clear()
    # A sweep tells nothing of the residual where it ends, but a pass is made in an array that the run has.
    swept = nng.solve(game, "spectral", order="sequential")
    assert swept.converged
    assert not made
    v = game.network.weights[1, 1].matrix @ swept.profile + game.network.biases[1]
    assert swept.residual == pytest.approx(np.linalg.norm(np.maximum(v, 0.0) - swept.profile), rel=1e-6)
    assert abs(swept.residual - swept.trace.residual[-1]) > 0.01 * swept.residual


@pytest.mark.usefixtures("long")
def test_residuals_of_which_rounding_decides_are_recomputed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Next to the target, on rings of several layers, and in single precision."""
    game = layer(60)
    problem: Any = nng.solver("picard").problem(game, np.random.default_rng(0))
    start = np.linspace(0, 1, 60)
    residual, scale = game.residual(start), game.scale
    # The rule at the start, whose residual is just below the target and well below it.
    for share, passes in ((0.9999, 1), (0.99, 0)):
        made = counted(monkeypatch, game)
        assert nng.solve(game, "picard", start=start, tolerance=residual / (share * scale)).iterations == 0
        assert len(made) == passes
    state = problem.start(start.copy())
    assert problem.passed(state)[1] == pytest.approx(residual)
    single = problem.start(start.astype(np.float32))
    assert problem.passed(single) is None
    ring = nng.Network.ring([weights(60, 0.9)] * 2, [np.ones(60)] * 2, ["relu"] * 2).game()
    problem = nng.solver("anderson").problem(ring, np.random.default_rng(0))
    assert problem.passed(problem.begin(np.zeros(60))) is None


@pytest.mark.usefixtures("long", "dense_kernels")
def test_passes_that_read_weights_in_single_precision_tell_no_residual(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their rounding is none of double precision; those of several dense layers are of profiles as long as these."""
    monkeypatch.setattr(from_base, "LARGE_PRODUCT", 0)
    monkeypatch.setattr(maps, "SINGLE_PRODUCT", 0)
    turn = 0.5 * np.linalg.qr(np.random.default_rng(0).standard_normal((6, 6)))[0]
    game, stretch = nng.Network.ring([turn] * 3, [np.ones(6)] * 3, ["tanh"] * 3).game(), Stretch(3, 0, 0.0, np.inf, 1.0)
    for single in (False, True):
        plain: Any = nng.solver("picard", map="joint").problem(game, np.random.default_rng(0))
        plain.refined = single
        state = plain.start(np.zeros(18))
        assert plain.passed(state) is not None
        state, _, _ = plain.several_steps(loop.kernels(limited=True), state, stretch)
        assert (plain.passed(state) is None) == single
        following: Any = nng.solver("km", map="joint").problem(game, np.random.default_rng(0))
        following.follow(plain)
        assert (following.passed(state) is None) == single
        accelerated: Any = nng.solver("anderson", map="joint").problem(game, np.random.default_rng(0))
        accelerated.refined = single
        assert (accelerated.passed(accelerated.begin(np.zeros(18))) is None) == single


def test_short_runs_recompute_their_residual(monkeypatch: pytest.MonkeyPatch) -> None:
    game = layer(60)
    assert game.scale > 1
    made = counted(monkeypatch, game)
    assert nng.solve(game, "picard").converged
    assert len(made) == 1


# Steps piece by piece


@pytest.mark.parametrize(("norm", "growth", "symmetric"), [(0.9, 100.0, True), (3.0, 1.0, False), (1.5, 4.0, False)])
def test_long_spectral_steps_are_the_steps(
    request: pytest.FixtureRequest, norm: float, growth: float, symmetric: bool
) -> None:
    """Where the map expands and is far from symmetric, proposals fail and relaxed steps take their place."""
    game = layer(50, "arctan", norm, symmetric)
    scheme: Any = nng.solver("spectral", growth=growth)
    found = []
    for way in ("whole", "long"):
        if way == "long":
            request.getfixturevalue("long")
        problem = scheme.problem(game, np.random.default_rng(0))
        assert isinstance(problem, LongSpectralProblem) == (way == "long")
        state, trace, refused = problem.begin(np.linspace(-1, 1, 50)), [], 0
        for _ in range(9):
            state = scheme.step(problem, state)
            refused += problem.rejected
            trace.append((state.residual, problem.length, state.evaluations))
        found.append((np.array(trace), state.x.copy(), state.memory.copy(), refused))
    for whole, pieced in zip(*found, strict=True):
        np.testing.assert_allclose(pieced, whole, rtol=1e-7, atol=1e-12)
    assert (found[0][3] > 0) == (growth == 1.0)


@pytest.mark.usefixtures("long")
def test_long_plain_steps_are_the_steps() -> None:
    game = layer(50, "arctan")
    problem: Any = nng.solver("km", relaxation=0.6).problem(game, np.random.default_rng(0))
    state = problem.start(np.linspace(-1, 1, 50))
    x = state.x.copy()
    for _ in range(5):
        g = game.residuals(x)
        np.testing.assert_allclose(problem.difference, g, atol=1e-14)
        assert state.residual == pytest.approx(np.linalg.norm(g))
        state, x = problem.relax(state, 0.6), x + 0.6 * g
        np.testing.assert_allclose(state.x, x, atol=1e-13)


# Arrays that are used again


@pytest.mark.usefixtures("long")
def test_long_spectral_steps_take_turns_in_two_pairs_of_arrays() -> None:
    game = layer(50)
    scheme: Any = nng.solver("spectral")
    problem = scheme.problem(game, np.random.default_rng(0))
    given = State(np.linspace(0, 1, 50), 1.0, 3, game.residuals(np.linspace(0, 1, 50)))
    kept, state = (given.x.copy(), given.memory.copy()), problem.resume(given)
    arrays = []
    for _ in range(8):
        state = scheme.step(problem, state)
        arrays += [state.x, state.memory]
    assert len({id(array) for array in arrays}) == 4
    # The run goes on from what others know.
    np.testing.assert_array_equal(given.x, kept[0])
    np.testing.assert_array_equal(given.memory, kept[1])


@pytest.mark.usefixtures("long")
def test_long_spectral_steps_write_into_the_rows_of_the_plain_ones() -> None:
    game = layer(50)
    rows = np.random.default_rng(0).standard_normal((5, 50))
    problem: Any = nng.solver("spectral").problem(game, np.random.default_rng(0))
    assert not problem.overwritten(rows).size
    problem.know(rows, 4)
    rest, given = rows[4].copy(), np.linspace(0, 1, 50)
    kept, state = given.copy(), problem.resume(State(given, np.linalg.norm(rows[3]), 4, rows[3]))
    following = problem.move(state)
    np.testing.assert_array_equal(problem._spare[-1], rows[3])
    for _ in range(4):
        assert np.shares_memory(following.x, rows)
        assert np.shares_memory(following.memory, rows)
        following = problem.move(following)
    # They need no row into which nobody has written yet, and leave the iterate that others know.
    np.testing.assert_array_equal(rows[4], rest)
    np.testing.assert_array_equal(given, kept)


@pytest.mark.usefixtures("long")
def test_long_accelerated_steps_use_the_row_that_is_none_of_a_difference() -> None:
    game = layer(50)
    rows = np.random.default_rng(0).standard_normal((5, 50))
    problem: Any = nng.solver("anderson", memory=4).problem(game, np.random.default_rng(0))
    # The first four become the differences, in single precision.
    assert np.shares_memory(problem.overwritten(rows), rows[3])
    assert not np.shares_memory(problem.overwritten(rows), rows[4])
    problem.know(rows, 5)
    state, used = problem.resume(State(np.zeros(50), np.linalg.norm(rows[4]), 5, rows[4])), []
    for _ in range(4):
        state = problem.accelerate(state)
        used.append(np.shares_memory(state.x, rows[4]) or np.shares_memory(state.memory, rows[4]))
    assert any(used)
    # A run that ends takes the iterate itself.
    profile, residual, rounding = problem.passed(state)
    assert profile is state.x
    assert abs(residual - np.linalg.norm(state.memory)) <= rounding < 1e-12


@pytest.mark.parametrize("order", ["simultaneous", "sequential"])
def test_compiled_spectral_steps_take_turns_in_two_pairs_of_arrays(compiled: Any, order: str) -> None:
    game = layer(50)
    scheme: Any = nng.solver("spectral", order=order)
    problem = scheme.problem(game, np.random.default_rng(0))
    state, kept = problem.begin(np.linspace(0, 1, 50)), []
    arrays = [state.x, state.memory]
    for steps in (3, 2, 1, 4):
        stretch = Stretch(steps, 0, 0.0, np.inf, 1.0)
        # What was remembered of a state stays whole.
        kept.append((known := turns.known_displacement(problem, state), None if known is None else known.copy()))
        state, _, _ = problem.several_steps(compiled, state, stretch)
        arrays += [state.x, state.memory]
    assert len({id(array) for array in arrays}) <= 4
    for known, copied in kept:
        np.testing.assert_array_equal(known, copied)


def test_compiled_spectral_steps_leave_what_others_know(compiled: Any) -> None:
    game = layer(50)
    problem: Any = nng.solver("spectral").problem(game, np.random.default_rng(0))
    given = State(np.linspace(0, 1, 50), 1.0, 3, game.residuals(np.linspace(0, 1, 50)))
    kept, state = (given.x.copy(), given.memory.copy()), problem.resume(given)
    own: Any = nng.solver("spectral").problem(game, np.random.default_rng(0))
    other = own.begin(given.x.copy())
    for _ in range(3):
        state, _, _ = problem.several_steps(compiled, state, Stretch(2, 0, 0.0, np.inf, 1.0))
        other, _, _ = own.several_steps(compiled, other, Stretch(2, 0, 0.0, np.inf, 1.0))
        # Nor do they begin with what stood in the arrays that they take in place of those.
        np.testing.assert_allclose(state.x, other.x, atol=1e-12)
    np.testing.assert_array_equal(given.x, kept[0])
    np.testing.assert_array_equal(given.memory, kept[1])


@pytest.mark.usefixtures("long")
def test_a_lent_iterate_stays_whole_until_another_takes_its_place() -> None:
    """Where the residual rises in between, the steps take a third array for iterates."""
    for method, options in (("spectral", {}), ("anderson", {"memory": 2})):
        game = layer(50, "arctan")
        scheme: Any = nng.solver(method, **options)
        problem = scheme.problem(game, np.random.default_rng(0))
        state = problem.begin(np.linspace(0, 1, 50))
        problem.lend(state.x, None)
        lent, copy, iterates = state.x, state.x.copy(), []
        for _ in range(4):
            state = scheme.step(problem, state)
            np.testing.assert_array_equal(lent, copy)
            iterates.append(id(state.x))
        problem.lend(state.x, lent)
        assert any(array is lent for array in problem._spare)
        last, copy = state.x, state.x.copy()
        for _ in range(4):
            state = scheme.step(problem, state)
            np.testing.assert_array_equal(last, copy)
            iterates.append(id(state.x))
        arrays = {id(state.x), id(state.memory), id(last), *(id(array) for array in problem._spare)}
        # Two displacements and three iterates.
        assert len(arrays) == 5
        assert len({id(array) for array in problem._spare}) == len(problem._spare)


@pytest.mark.usefixtures("long")
@pytest.mark.parametrize("method", ["anderson", "spectral"])
def test_a_long_iterate_is_told_of_without_a_copy(method: str) -> None:
    game = layer(50)
    scheme: Any = nng.solver(method)
    problem = scheme.problem(game, np.random.default_rng(0))
    state = problem.begin(np.linspace(0, 1, 50))
    for _ in range(3):
        state = scheme.step(problem, state)
    before, spare = state.x.copy(), len(problem._spare)
    profile, residual, _ = problem.told(state.x)
    assert profile is state.x
    np.testing.assert_array_equal(profile, before)
    assert residual == pytest.approx(np.linalg.norm(game.residuals(before)))
    # The pass has its place among the spare arrays, and leaves it there.
    assert spare
    assert len(problem._spare) == spare


@pytest.mark.usefixtures("long")
@pytest.mark.parametrize(("name", "method"), [("clearing", "anderson"), ("public_goods", "spectral")])
def test_an_interruption_between_two_steps_finds_the_iterate_whole(
    monkeypatch: pytest.MonkeyPatch, name: str, method: str
) -> None:
    """The step before it has set that iterate free, whose place the pass that tells its residual must not take."""
    accelerated = 1.05e-2 if method == "anderson" else 1.0
    monkeypatch.setattr(changes, "costs_of", lambda game, compiled: costs.Costs(1e-2, accelerated, 1e3, 1.01e-2))
    monkeypatch.setattr(turns, "SHORT_PASSES", 0.0)
    game = nng.Network.generate(name, 1, size=500).game()
    advance, freed = stages.Course.advance, []

    def interrupted(self: stages.Course, state: State) -> State:
        following = advance(self, state)
        if any(array is state.x for array in getattr(self.turn.problem, "_spare", ())):
            freed.append(True)
            raise KeyboardInterrupt
        return following

    monkeypatch.setattr(stages.Course, "advance", interrupted)
    with pytest.raises(loop.Interrupted) as caught:
        nng.solve(game)
    result = caught.value.result
    assert freed
    v = game.network.weights[1, 1].matrix @ result.profile + game.network.biases[1]
    answer = np.clip(v, 0.0, 1.0) if name == "clearing" else np.maximum(v, 0.0)
    assert result.residual == pytest.approx(np.linalg.norm(answer - result.profile), rel=1e-9)
    assert result.residual > 0


@pytest.mark.usefixtures("long")
@pytest.mark.parametrize("memory", [2, 4])
def test_accelerated_steps_use_their_arrays_again(memory: int) -> None:
    """Also where proposals fail, and where a plain orbit goes on apart from the iterate."""
    game = layer(50, "relu", norm=3.0, symmetric=False)
    problem: Any = nng.solver("anderson", memory=memory, growth=1.0).problem(game, np.random.default_rng(0))
    state, apart, rejected = problem.begin(np.linspace(-1, 1, 50)), 0, 0
    for _ in range(40):
        state = problem.follow(state) if problem.behind else problem.accelerate(state)
        np.testing.assert_allclose(state.memory, game.residuals(state.x), atol=1e-9)
        in_use = [state.x, state.memory, *(problem._orbit or ())]
        assert not {id(array) for array in in_use} & {id(array) for array in problem._spare}
        if problem._orbit is not None:
            x, g = problem._orbit
            np.testing.assert_allclose(g, game.residuals(x), atol=1e-9)
        apart, rejected = apart + (problem._orbit is not None), rejected + problem.rejected
    assert apart
    assert rejected
    # An iterate, what is tried, what a relaxed step leads to, and the orbit.
    assert len(problem._spare) + len(in_use) <= 8


@pytest.mark.usefixtures("long")
@pytest.mark.parametrize(("name", "method"), [("clearing", "anderson"), ("public_goods", "spectral")])
def test_the_best_profile_is_lent_and_not_copied(monkeypatch: pytest.MonkeyPatch, name: str, method: str) -> None:
    """It stays whole as long as it is the best, and no scheme writes into the start."""
    accelerated = 1.05e-2 if method == "anderson" else 1.0
    monkeypatch.setattr(changes, "costs_of", lambda game, compiled: costs.Costs(1e-2, accelerated, 1e3, 1.01e-2))
    monkeypatch.setattr(turns, "SHORT_PASSES", 0.0)
    game = nng.Network.generate(name, 1, size=500).game()
    start = np.linspace(0.1, 0.9, 500)
    given, rises, fresh = start.copy(), [], []
    advance, array = stages.Course.advance, reused_arrays.ReusedArrays._array

    def advanced(self: stages.Course, state: State) -> State:
        following = advance(self, state)
        _, x, displacement = self._best
        assert game.residual(x) == pytest.approx(self._smallest, rel=1e-6)
        if displacement is not None:
            np.testing.assert_allclose(displacement, game.residuals(x), atol=1e-12)
        # It is the state's own where that is the best one, but for what the first plain passes do not look at.
        plain = self.turn.displacements is not None
        assert x is following.x or plain or self._smallest < following.residual or following.residual <= self.target
        rises.append(following.residual > state.residual)
        return following

    def counted_array(self: Any, like: Any) -> Any:
        fresh.append(not self._spare)
        return array(self, like)

    monkeypatch.setattr(stages.Course, "advance", advanced)
    monkeypatch.setattr(reused_arrays.ReusedArrays, "_array", counted_array)
    result = nng.solve(game, start=start)
    assert result.converged
    assert result.method == f"auto:{method}"
    np.testing.assert_array_equal(start, given)
    # The arrays of the plain passes serve all steps, with one more for an iterate that is not the best.
    assert sum(fresh) <= any(rises)


@pytest.mark.usefixtures("long")
@pytest.mark.parametrize("accelerated", [1.05e-2, 1.0])
def test_no_profile_is_the_users_start(monkeypatch: pytest.MonkeyPatch, accelerated: float) -> None:
    """Where plain passes raise the residual, the scheme that follows begins at the start itself, and may end there."""
    monkeypatch.setattr(changes, "costs_of", lambda game, compiled: costs.Costs(1e-2, accelerated, 1e3, 1.01e-2))
    monkeypatch.setattr(turns, "SHORT_PASSES", 0.0)
    entries = weights(60, 3.0, symmetric=False)
    entries -= sparse.diags_array(entries.diagonal())
    game = nng.Network.recurrent(entries.tocsr(), np.zeros(60), "tanh").game()
    start, schemes = 1e-3 * np.random.default_rng(2).standard_normal(60), set()
    for most in range(10):
        result = nng.solve(game, start=start, max_iterations=most)
        assert not np.may_share_memory(result.profile, start)
        schemes.add(result.method)
    assert len(schemes) > 1


@pytest.mark.usefixtures("long")
def test_plain_passes_that_raise_the_residual_leave_a_copy_of_the_best_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first ones lower it here, so that the run goes on with them after a forecast."""
    monkeypatch.setattr(changes, "costs_of", lambda game, compiled: costs.Costs(1e-2, 1e3, 1e3, 1e3))
    monkeypatch.setattr(turns, "SHORT_PASSES", 0.0)
    # A signal that shrinks on its way and is amplified at its end.
    factors = np.concatenate((np.full(5, 0.9), np.full(14, 1.3), np.full(20, 0.2)))
    chain = sparse.diags_array(factors, offsets=-1, shape=(40, 40)) + sparse.coo_array(([1e-3], ([0], [39])), (40, 40))
    game = nng.Network.recurrent(chain.tocsr(), np.eye(40)[0], "identity").game()
    advance, kept, copies = stages.Course.advance, [], []

    def advanced(self: stages.Course, state: State) -> State:
        following = advance(self, state)
        _, x, displacement = self._best
        assert game.residual(x) == pytest.approx(self._smallest, rel=1e-9)
        if displacement is not None:
            np.testing.assert_allclose(displacement, game.residuals(x), atol=1e-14)
        kept.append(self.turn.displacements is not None)
        copies.append(x is not following.x and x is not state.x)
        return following

    monkeypatch.setattr(stages.Course, "advance", advanced)
    nng.solve(game, max_iterations=12)
    assert sum(kept) > 5
    assert any(copies[4:])
