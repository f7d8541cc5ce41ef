"""Long differences, rounded to single precision and worked on by pieces, against the formulas in double precision."""

from __future__ import annotations

import math
import tracemalloc
from typing import Any

import numpy as np
import pytest
from scipy import sparse

import nngames as nng
from nngames.core import pieces
from nngames.core.operators import SparseMap
from nngames.networks import piecewise
from nngames.solvers import Iterate, anderson
from nngames.solvers.automatic import changes, remembered, stages, turns
from nngames.solvers.differences import Differences
from nngames.solvers.long_anderson import LongAndersonProblem
from nngames.solvers.long_differences import LongDifferences
from nngames.solvers.multisecant import solve_gram, solve_independent


@pytest.fixture
def long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Treat all iterates as long ones, in pieces that do not divide them."""
    for module in (anderson, piecewise):
        monkeypatch.setattr(module, "LONG", 1)
    monkeypatch.setattr(pieces, "PIECE", 7)


def rounded(rows: Any) -> Any:
    return np.asarray(rows, dtype=np.float32).astype(np.float64)


@pytest.mark.usefixtures("long")
@pytest.mark.parametrize("most", [1, 2, 4])
@pytest.mark.parametrize("filled", [0, 3, 6])
def test_every_difference_is_where_it_belongs(most: int, filled: int) -> None:
    rng = np.random.default_rng(most)
    points, values = rng.standard_normal((2, 12, 20))
    known = LongDifferences(most, 20, gram=True)
    known.push(*points[:2], *values[:2])
    known.clear()
    # Plain steps: each moves by its displacement.
    points[: filled + 1] = points[0] + np.vstack((np.zeros(20), np.cumsum(values[:filled], axis=0)))
    rows = np.vstack((values[: filled + 1], np.empty((most, 20))))
    known.take_over(rows, filled + 1)
    # No second copy of them is made.
    assert np.shares_memory(known.rows, rows) == (filled > 0)
    for k in range(filled, 11):
        known.push(points[k], points[k + 1], values[k], values[k + 1])
        first = max(0, k + 1 - most)
        moves = np.diff(points[first : k + 2], axis=0)[::-1]
        changes = np.diff(values[first : k + 2], axis=0)[::-1]
        found = known.newest_first(np.dtype(np.float64))
        np.testing.assert_array_equal(found[1], rounded(changes))
        np.testing.assert_allclose(found[0], moves, atol=4e-7)
        for g in (values[k + 1], rng.standard_normal(20)):
            gamma: Any = known.least_squares(g)
            np.testing.assert_allclose(gamma, np.linalg.lstsq(changes.T, g, rcond=None)[0], rtol=1e-5, atol=1e-6)
            assert known.count == len(gamma) == min(most, k + 1)


@pytest.mark.usefixtures("long")
def test_rows_too_few_for_all_that_will_be_kept_are_copied() -> None:
    rows = np.random.default_rng(0).standard_normal((8, 20))
    taken, filled = LongDifferences(12, 20, gram=True), Differences(12, gram=True)
    filled.fill(rows[:6].copy())
    taken.take_over(rows, 6)
    assert not np.shares_memory(taken.rows, rows)
    assert taken.count == 5
    for found, expected in zip(taken.newest_first(np.dtype(np.float64)), filled.newest_first, strict=True):
        np.testing.assert_allclose(found, expected, atol=4e-7)


@pytest.mark.usefixtures("long")
@pytest.mark.parametrize("beta", [1.0, 0.25])
@pytest.mark.parametrize("pushed", [0, 2, 3, 5])
def test_a_step_and_the_difference_it_makes(beta: float, pushed: int) -> None:
    rng = np.random.default_rng(pushed)
    points, values = rng.standard_normal((2, pushed + 1, 20))
    known = LongDifferences(3, 20, gram=True)
    for k in range(pushed):
        known.push(points[k], points[k + 1], values[k], values[k + 1])
    x, g, new, out = points[-1], values[-1], rng.standard_normal(20), np.empty(20)
    moves, changes = known.newest_first(np.dtype(np.float64))
    gamma: Any = rng.standard_normal(known.count)
    step = beta * g - gamma @ (moves + beta * changes)
    assert known.step(x, g, gamma, beta, out) == pytest.approx(float(np.linalg.norm(step)), rel=1e-6)
    np.testing.assert_allclose(out, x + step, atol=2e-6)
    size = np.abs(gamma) @ (np.abs(moves) + np.abs(changes))
    assert (np.abs(out - x - step) <= 2.0**-23 * (known.most + 3) * size + 1e-15).all()
    for piece in pieces.pieces(20):
        known.take(piece, g, new)
    known.end(new)
    after = known.newest_first(np.dtype(np.float64))
    np.testing.assert_allclose(after[0][0], step, atol=2e-6)
    np.testing.assert_array_equal(after[1][0], rounded(new - g))
    np.testing.assert_array_equal(after[1][1:], changes[: known.count - 1])
    expected = np.linalg.lstsq(after[1].T, new, rcond=None)[0]
    np.testing.assert_allclose(known.least_squares(new), expected, rtol=1e-5, atol=1e-6)
    known.clear()
    assert known.step(x, g, np.zeros(0), beta, out) == pytest.approx(beta * float(np.linalg.norm(g)))
    # A plain step is not rounded.
    np.testing.assert_array_equal(out, x + beta * g)


@pytest.mark.usefixtures("long")
def test_products_with_the_newest_difference_follow_from_those_with_displacements(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """So that each old difference is multiplied once in a step; its own square is a product of its own."""
    rng = np.random.default_rng(0)
    known, x, g, out = LongDifferences(3, 20, gram=True), np.zeros(20), rng.standard_normal(20), np.empty(20)
    for k in range(7):
        # Differences much smaller than the displacements.
        new = g + 1e-3 * rng.standard_normal(20)
        gamma: Any = known.least_squares(g) if k != 4 else np.zeros(0)
        if k == 4:
            # Nothing was asked of this displacement.
            known._known = None
        known.step(x, g, gamma, 1.0, out)
        for piece in pieces.pieces(20):
            known.take(piece, g, new)
        assert known._told == (k != 4)
        known.end(new)
        rows = known.newest_first(np.dtype(np.float64))[1]
        sizes = np.linalg.norm(rows, axis=1)
        found = known.gram[np.ix_(known.order, known.order)]
        np.testing.assert_array_less(abs(found - rows @ rows.T), 2.0**-23 * np.outer(sizes, sizes))
        np.testing.assert_allclose(known._products[known.order], rows @ new, rtol=1e-12, atol=1e-15)
        np.testing.assert_array_equal(found, found.T)
        x, g = out.copy(), new


@pytest.mark.usefixtures("long")
def test_rows_in_single_precision_are_taken_over_without_their_squares() -> None:
    """Squares of them would say too little about dependence."""
    game = nng.Network.recurrent(0.5 * np.eye(20), np.ones(20), "relu").game()
    problem = anderson.Anderson().problem(game, np.random.default_rng(0))
    assert isinstance(problem, LongAndersonProblem)
    rows = np.random.default_rng(0).standard_normal((8, 20)).astype(np.float32)
    problem.resume(anderson.State(np.zeros(20, np.float32), 1.0, 0, rows[5]))
    problem.know(rows, 6)
    assert problem._differences.count == 5
    assert problem._differences.least_squares(rows[5]) is None
    following = problem.accelerate(anderson.State(np.zeros(20, np.float32), 1.0, 0, rows[5]))
    assert following.x.dtype == np.float32


@np.errstate(invalid="ignore")
@pytest.mark.usefixtures("long")
def test_a_difference_that_depends_on_newer_ones_counts_for_nothing() -> None:
    rng = np.random.default_rng(0)
    known, (change, other, g) = LongDifferences(3, 20, gram=True), rng.standard_normal((3, 20))
    for new in (change, other, 2 * change):
        known.push(np.zeros(20), np.ones(20), np.zeros(20), new)
    expected = np.linalg.lstsq(np.array([2 * change, other]).T, g, rcond=None)[0]
    np.testing.assert_allclose(known.least_squares(g), [*expected, 0.0], atol=1e-6)


@np.errstate(invalid="ignore")
def test_dependent_rows_are_left_out_of_a_gram_system() -> None:
    rng = np.random.default_rng(0)
    changes = rng.standard_normal((3, 50))
    rows = np.vstack((changes[0], 2 * changes[0], changes[1], changes[0] - changes[1] + 1e-7 * changes[2], changes[2]))
    g = rng.standard_normal(50)
    gram, right = rows @ rows.T, rows @ g
    assert solve_gram(gram, right) is None
    expected = np.zeros(5)
    expected[[0, 2, 4]] = np.linalg.lstsq(rows[[0, 2, 4]].T, g, rcond=None)[0]
    np.testing.assert_allclose(solve_independent(gram, right), expected, atol=1e-12)
    assert not solve_independent(np.full((2, 2), np.nan), np.ones(2)).any()


def games() -> dict[str, nng.Game]:
    rng = np.random.default_rng(0)
    weights = [0.95 * np.linalg.qr(rng.standard_normal((15, 15)))[0] for _ in range(2)]
    ring = nng.Network.ring(weights, [rng.standard_normal(15) for _ in range(2)], ["relu", "tanh"])
    acyclic = nng.Network.recurrent(np.tril(rng.standard_normal((40, 40)), -1), rng.standard_normal(40), "relu")
    entries = sparse.random_array((40, 40), density=0.2, rng=rng, format="csr")
    scattered = nng.Network.recurrent(0.2 * entries, rng.standard_normal(40), "tanh")
    return {"ring": ring.game(), "acyclic": acyclic.game(), "scattered": scattered.game()}


@pytest.mark.parametrize("name", ["ring", "acyclic", "scattered"])
@pytest.mark.parametrize(
    "options",
    [{}, {"memory": 1}, {"memory": 20}, {"type": "I"}, {"mixing": 0.5}, {"regularization": 1e-10}, {"memory": 0}],
)
def test_runs_take_the_same_steps_but_for_rounding(
    name: str, options: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    game = games()[name]
    ordinary: list[Iterate] = []
    nng.solve(game, "anderson", max_iterations=9, callback=ordinary.append, **options)
    request.getfixturevalue("long")
    # A fresh game, whose passes are bound to pieces.
    game = games()[name]
    taken: list[Iterate] = []
    result = nng.solve(game, "anderson", max_iterations=9, callback=taken.append, **options)
    assert taken
    assert [step.evaluations for step in taken] == [step.evaluations for step in ordinary]
    for one, other in zip(taken, ordinary, strict=True):
        scale = 1 + np.linalg.norm(other.profile)
        # Many differences of the acyclic map depend on each other but for a few digits.
        close = 1e-3 if (name, options) == ("acyclic", {"memory": 20}) else 1e-5
        np.testing.assert_allclose(one.profile, other.profile, atol=close * scale)
        assert game.residual(one.profile) == pytest.approx(one.residual, rel=1e-9, abs=1e-13)
    np.testing.assert_array_equal(result.profile, taken[-1].profile)


def test_long_steps_are_licensed_alike(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a step may be little longer than the displacement, some are refused without a pass."""
    monkeypatch.setattr("nngames.solvers.safeguard.STEP_LIMIT", 1.2)
    ordinary = nng.solve(games()["scattered"], "anderson", max_iterations=12).trace
    request.getfixturevalue("long")
    found = nng.solve(games()["scattered"], "anderson", max_iterations=12).trace
    np.testing.assert_array_equal(found.evaluations, ordinary.evaluations)
    np.testing.assert_allclose(found.residual, ordinary.residual, rtol=1e-4)
    monkeypatch.undo()
    assert not np.allclose(
        nng.solve(games()["scattered"], "anderson", max_iterations=12).trace.residual, found.residual
    )


@pytest.mark.usefixtures("long")
def test_rounded_differences_cost_neither_passes_nor_the_last_digits() -> None:
    game = nng.Network.generate("clearing", 1, size=500).game()
    result = nng.solve(game, "anderson", tolerance=1e-13)
    assert result.converged
    assert result.residual <= 1e-13 * result.scale
    assert result.evaluations <= 55


@pytest.mark.usefixtures("long")
def test_an_iterate_that_was_handed_over_stays_whole() -> None:
    view = games()["ring"].fixed_point()
    problem = LongAndersonProblem(view, anderson.Anderson())
    x = np.random.default_rng(0).standard_normal(view.size)
    displacement = view.evaluate(x, np.empty_like(x)) - x
    state = problem.resume(anderson.State(x, float(np.linalg.norm(displacement)), 1, displacement))
    given, kept = (x, displacement), (x.copy(), displacement.copy())
    for _ in range(6):
        state = problem.accelerate(state)
        displacement = view.evaluate(state.x, np.empty_like(x)) - state.x
        np.testing.assert_allclose(state.memory, displacement, atol=1e-14)
    assert state.evaluations == 7
    np.testing.assert_array_equal(given, kept)


@pytest.mark.usefixtures("long")
def test_what_a_run_remembers_of_long_steps_stays_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "LONG", 1)
    monkeypatch.setattr(remembered, "LONG", 1)
    game = games()["ring"]
    view, course = game.fixed_point(), stages.Course(game, np.random.default_rng(0))
    state = course.begin(np.zeros(game.size))
    state = course._enter(turns.fast_scheme("anderson"), state.evaluations, 2)
    residuals = []
    for _ in range(10):
        state = course.advance(state)
        course.turn.check = course.turn.count + 2
        _, x, displacement = course._best
        residuals.append(course._smallest)
        found = view.evaluate(x, np.empty_like(x)) - x
        assert float(np.linalg.norm(found)) == pytest.approx(residuals[-1])
        if displacement is not None:
            np.testing.assert_allclose(displacement, found, atol=1e-14)
    assert residuals[-1] < residuals[0]


@pytest.mark.usefixtures("long")
def test_differences_beyond_single_precision_leave_relaxed_steps() -> None:
    entries = sparse.random_array((40, 40), density=0.2, rng=np.random.default_rng(0), format="csr")
    game = nng.Network.recurrent(0.2 * entries, np.linspace(-1e44, 3e44, 40), "relu").game()
    result = nng.solve(game, "anderson", tolerance=1e-12)
    assert result.converged
    assert game.residual(result.profile) <= 1e-12 * game.scale
    assert result.evaluations < nng.solve(game, "km", tolerance=1e-12).evaluations


@pytest.mark.usefixtures("long")
def test_a_pass_at_zero_makes_no_product(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = sparse.random_array((30, 30), density=0.2, rng=np.random.default_rng(0), format="csr")
    network = nng.Network.recurrent(entries, np.arange(30.0) - 15, "relu")
    products: list[slice] = []
    add_rows = SparseMap.add_rows
    monkeypatch.setattr(
        SparseMap, "add_rows", lambda self, rows, x, out: products.append(rows) or add_rows(self, rows, x, out)
    )
    np.testing.assert_array_equal(network.composite(np.zeros(30)), np.maximum(network.biases[1], 0.0))
    assert network.game().scale == pytest.approx(float(np.linalg.norm(np.maximum(network.biases[1], 0.0))))
    assert not products
    network.composite(np.eye(30)[29])
    assert products


@pytest.mark.usefixtures("long")
def test_passes_by_pieces_are_passes() -> None:
    rng = np.random.default_rng(0)
    entries = sparse.random_array((30, 30), density=0.2, rng=rng, format="csr")
    network = nng.Network.recurrent(entries, rng.standard_normal(30), "relu")
    x = rng.standard_normal(30)
    expected = np.maximum(entries @ x + network.biases[1], 0.0)
    visited: list[slice] = []
    out = np.empty(30)
    view = network.game().fixed_point()
    view.evaluate_by_pieces(x, out, lambda piece: visited.append(piece) or np.negative(out[piece], out[piece]))
    np.testing.assert_allclose(-out, expected, atol=1e-14)
    assert visited == [slice(0, 7), slice(7, 14), slice(14, 21), slice(21, 28), slice(28, 30)]
    for evaluate in (network.joint, network.composite, lambda x: view.evaluate(x, np.empty(30))):
        np.testing.assert_allclose(evaluate(x), expected, atol=1e-14)
        # A view that is not contiguous, and many profiles at once.
        np.testing.assert_allclose(evaluate(np.repeat(x, 2)[::2]), expected, atol=1e-14)
    np.testing.assert_allclose(network.joint(np.array([x, x])), [expected, expected], atol=1e-14)


@pytest.mark.usefixtures("long")
def test_layers_that_do_not_answer_by_pieces() -> None:
    """A number for each entry, answers that depend on other entries, and two couplings."""
    rng = np.random.default_rng(0)
    a, b, c = (sparse.random_array((30, 30), density=0.2, rng=rng, format="csr") for _ in range(3))
    x, bias, ends = rng.standard_normal(60), rng.standard_normal(30), rng.uniform(0.1, 0.6, 30)
    for activation in (nng.activation("box", lower=-ends, upper=ends), nng.activation("softmax")):
        network = nng.Network.recurrent(a, bias, activation)
        for evaluate in (network.joint, network.composite):
            np.testing.assert_allclose(evaluate(x[:30]), activation(a @ x[:30] + bias), atol=1e-14)
    edges = {("p", "p"): a, ("q", "p"): b, ("p", "q"): c, ("q", "q"): a}
    both = nng.Network.graph(edges, {"p": bias, "q": ends}, "relu")
    forms = (sparse.bmat([[both.weights[t, s].matrix for s in "pq"] for t in "pq"]) @ x, np.concatenate((bias, ends)))
    np.testing.assert_allclose(both.joint(x), np.maximum(sum(forms), 0.0), atol=1e-14)


@pytest.mark.usefixtures("long")
def test_a_refused_argument_names_the_player() -> None:
    network = nng.Network.recurrent(sparse.eye_array(30, format="csr") * 0.1, np.full(30, 0.5), "softsign_probit")
    x = np.zeros(30)
    x[20] = 100.0
    for evaluate in (network.joint, network.composite):
        with pytest.raises(nng.core.errors.DomainError, match="player 1"):
            evaluate(x)


def long_networks() -> dict[str, nng.Network]:
    """Return networks whose layers answer by pieces, and those with a layer that does not."""
    rng = np.random.default_rng(1)
    a, b = (sparse.random_array((30, 30), density=0.2, rng=rng, format="csr") for _ in range(2))
    ring = nng.Network.ring([a, b], [np.ones(30), rng.standard_normal(30)], ["tanh", "relu"])
    return {
        "layer": nng.Network.recurrent(a, rng.standard_normal(30), "relu"),
        "ring": ring,
        "mixed": nng.Network.ring([a, b], [np.ones(30), rng.standard_normal(30)], ["tanh", "softmax"]),
        "softmax": nng.Network.recurrent(0.1 * (a + a.T), rng.standard_normal(30), "softmax"),
    }


@pytest.mark.usefixtures("long")
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("network", long_networks().values(), ids=long_networks())
def test_the_distance_from_the_answers_is_that_of_the_joint_map(network: nng.Network, dtype: Any) -> None:
    x = np.random.default_rng(2).standard_normal(network.size).astype(dtype)
    game = network.game()
    for profile in (x, np.zeros_like(x), np.repeat(x, 2)[::2], 1e200 * x.astype(np.float64), 1e-200 * x):
        expected = game.residuals(profile)
        with np.errstate(over="ignore"):
            distance = game.distance(profile)
        assert distance == pytest.approx(math.hypot(*expected.tolist()), rel=30 * float(np.finfo(dtype).eps))
    assert game.residual(x) == game.distance(x)
    assert math.isnan(game.distance(np.full_like(x, np.nan)))


@pytest.mark.usefixtures("long")
def test_the_distance_of_long_layers_takes_no_room_for_their_answers() -> None:
    size = 50_000
    game = nng.Network.recurrent(sparse.eye_array(size, format="csr") * 0.5, np.ones(size), "relu").game()
    x = np.linspace(0, 1, size)
    assert game.distance(x) == pytest.approx(np.linalg.norm(1 - 0.5 * x))
    tracemalloc.start()
    game.distance(x)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < x.nbytes / 4


@pytest.mark.usefixtures("long")
def test_the_distance_of_a_refused_argument_names_the_player() -> None:
    network = nng.Network.recurrent(sparse.eye_array(30, format="csr") * 0.1, np.full(30, 0.5), "softsign_probit")
    x = np.zeros(30)
    x[20] = 100.0
    with pytest.raises(nng.core.errors.DomainError, match="player 1"):
        network.joint.distance(x)
