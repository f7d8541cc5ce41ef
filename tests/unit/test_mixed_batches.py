"""Batches of mixed precision: each start ends as alone and as in double precision, whatever becomes of the others."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nngames as nng
from nngames.core.errors import DomainError, InputError
from nngames.networks import column_passes
from nngames.results.result import Status
from nngames.solvers.batches.mixed import Progress
from nngames.solvers.mixed_precision import NOISE, PATIENCE, UNIT


def ring(names: tuple[str, ...] = ("tanh", "relu"), norm: float = 0.9, n: int = 12) -> nng.NetworkGame:
    rng = np.random.default_rng(0)
    weights = [norm * np.linalg.qr(rng.standard_normal((n, n)))[0] for _ in names]
    return nng.Network.ring(weights, [rng.standard_normal(n) for _ in names], list(names)).game()


def graph() -> nng.NetworkGame:
    rng = np.random.default_rng(2)
    edges = {(i, (i + k) % 15): [[0.2 * rng.standard_normal()]] for i in range(15) for k in (1, 4)}
    return nng.Network.graph(edges, {i: [0.1 * i] for i in range(15)}, "softplus").game()


def quadratic() -> nng.QuadraticGame:
    return nng.QuadraticGame(
        quadratic={1: 2 * np.eye(2), 2: [[3.0]]},
        coupling={(1, 2): [[0.5], [0.2]], (2, 1): [[-0.7, 0.1]]},
        linear={1: [-1.0, -2.0], 2: [-0.5]},
        penalties={1: "nonnegative", 2: "nonnegative"},
    )


def linear(first: Any, second: Any, bias: float = 0.0) -> nng.NetworkGame:
    biases = [np.full(len(first), bias), np.zeros(len(second))]
    return nng.Network.ring([first, second], biases, ["linear", "linear"]).game()


def spread_starts(game: nng.Game, count: int = 11) -> np.ndarray:
    return np.random.default_rng(5).standard_normal((count, game.size)) * np.logspace(-3, 3, count)[:, None]


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[tuple[np.dtype[Any], int]]:
    """The precision and the width of the block at each pass of a dense composite map."""
    seen: list[tuple[np.dtype[Any], int]] = []
    through = column_passes.CompositeColumns._through

    def noted(self: Any, columns: np.ndarray) -> np.ndarray:
        seen.append((columns.dtype, columns.shape[1]))
        return through(self, columns)

    monkeypatch.setattr(column_passes.CompositeColumns, "_through", noted)
    return seen


@pytest.mark.parametrize(
    "make", [ring, lambda: ring(("tanh", "softmax", "relu")), lambda: ring(("linear",) * 2, 0.97), graph, quadratic]
)
@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("picard", {}),
        ("picard", {"map": "joint"}),
        ("km", {"relaxation": 0.7}),
        ("km", {"relaxation": {"initial": 1.0, "power": 0.3}}),
    ],
)
def test_each_start_reaches_what_it_reaches_alone(make: Any, method: str, options: dict[str, Any]) -> None:
    game = make()
    starts = spread_starts(game)
    batch = nng.solve_batch(game, starts, method, precision="mixed", **options)
    double = nng.solve_batch(game, starts, method, **options)
    assert batch.converged.all()
    assert batch.profiles.dtype == np.float64
    target = batch.tolerance * batch.scale
    # By another pass, row by row.
    assert (game.residual(batch.profiles) <= target * (1 + 1e-6)).all()
    np.testing.assert_allclose(batch.residuals, game.residual(batch.profiles), rtol=1e-5, atol=1e-14 * batch.scale)
    np.testing.assert_allclose(batch.profiles, double.profiles, rtol=0, atol=4 * target / (1 - 0.97))
    assert batch.options["precision"] == "mixed"
    for k, start in enumerate(starts):
        alone = nng.solve(game, method, start=start, precision="mixed", **options)
        # The last digits of single precision depend on the width of the block.
        assert abs(batch.iterations[k] - alone.iterations) <= 2 + alone.iterations / 50
        assert batch.evaluations[k] - batch.iterations[k] == alone.evaluations - alone.iterations


def test_single_precision_first_and_starts_wait_for_nobody(passes: list[tuple[np.dtype[Any], int]]) -> None:
    game = ring(norm=0.97)
    starts = spread_starts(game, 32)
    result = nng.solve_batch(game, starts, "km", relaxation=0.5, precision="mixed")
    assert result.converged.all()
    change = [dtype for dtype, _ in passes].index(np.dtype(np.float64))
    assert change > 10
    assert {dtype for dtype, _ in passes[:change]} == {np.dtype(np.float32)}
    assert {dtype for dtype, _ in passes[change:]} == {np.dtype(np.float64)}
    for part in (passes[:change], passes[change:]):
        widths = [width for _, width in part]
        assert widths[0] == 32
        assert widths == sorted(widths, reverse=True)
    assert passes[change - 1][1] < 8
    # Starts that are done, or wait, stay in the block until a quarter of it does; else each pass is one start's own.
    made = sum(width for _, width in passes)
    assert result.evaluations.sum() <= made <= result.evaluations.sum() / (1 - 1 / 4) + len(passes)
    assert result.evaluations.max() > 1.3 * result.evaluations.min()


def test_runs_that_grow_end_where_they_do_in_double_precision() -> None:
    game = linear([[2.0]], [[1.0]])
    starts = np.array([[1.0, 1.0], [0.0, 0.0], [1e300, 1e300], [1e-3, 2e5], [1e18, 1e18]])
    double = nng.solve_batch(game, starts, "picard", max_iterations=3000)
    mixed = nng.solve_batch(game, starts, "picard", max_iterations=3000, precision="mixed")
    assert mixed.statuses.tolist() == double.statuses.tolist()
    assert set(mixed.statuses) == {Status.DIVERGED, Status.CONVERGED, Status.NOT_FINITE}
    # Their bounds are those of their first residuals, from before the change.
    np.testing.assert_array_equal(mixed.iterations, double.iterations)


def test_cycles_are_found_and_no_rounding_is_taken_for_one() -> None:
    turning = nng.Network.recurrent([[0.0, -1.0], [1.0, 0.0]], [0.0, 0.0], "linear").game()
    starts = np.array([[1.0, 0.0], [0.0, 0.0], [3.0, 1.0]])
    mixed = nng.solve_batch(turning, starts, "picard", precision="mixed", max_iterations=200)
    assert mixed.statuses.tolist() == [Status.CYCLING, Status.CONVERGED, Status.CYCLING]
    # None of the steps in single precision, which come to an end by themselves, counts.
    assert (mixed.iterations[[0, 2]] > PATIENCE + 8).all()
    # In single precision the iterates of a contraction near 1 stand still or go round long before the target is met.
    slow = ring(("tanh", "tanh"), 0.999)
    result = nng.solve_batch(slow, spread_starts(slow), "picard", precision="mixed", tolerance=1e-13)
    assert result.converged.all()


@pytest.mark.parametrize(("method", "options"), [("picard", {}), ("km", {"relaxation": 1.5})])
def test_one_run_ends_by_the_same_rules_as_a_batch(method: str, options: dict[str, Any]) -> None:
    """Of cycles, of stalling from the change of precision on, and of a start beyond single precision."""
    turn = np.array([[0.0, -1.0], [1.0, 0.0]])
    turning = nng.Network.recurrent(turn, [0.0, 0.0], "linear").game()
    folding = nng.Network.ring([turn, np.eye(2)], [[1.0, 0.3], [-0.5, 0.0]], ["relu", "hard_tanh"]).game()
    for game in (turning, folding):
        starts = spread_starts(game)
        starts[1] *= 1e60
        batch = nng.solve_batch(game, starts, method, precision="mixed", max_iterations=4000, **options)
        for k, start in enumerate(starts):
            alone = nng.solve(game, method, start=start, precision="mixed", max_iterations=4000, **options)
            assert alone.status is batch.statuses[k]
            assert alone.iterations == batch.iterations[k]
        if method == "picard" and game is turning:
            assert set(batch.statuses) == {Status.CYCLING}


def test_a_start_in_single_precision_is_told_in_it_alone_and_in_a_batch() -> None:
    """Also with ``precision="mixed"``: a profile in double precision would miss a target that single meets."""
    game = ring(n=5)
    start = np.ones(game.size, np.float32)
    alone = nng.solve(game, "picard", start=start, precision="mixed")
    batch = nng.solve_batch(game, start[np.newaxis], "picard", precision="mixed")
    assert alone.profile.dtype == batch.profiles.dtype == np.float32
    plain = nng.solve(game, "picard", start=start)
    assert (alone.status, alone.iterations) == (plain.status, plain.iterations)
    np.testing.assert_array_equal(alone.profile, plain.profile)


def test_a_stall_is_one_in_both_precisions() -> None:
    game = nng.Network.ring([[[1.0]], [[1.0]]], [[0.0], [1.0]], ["relu", "relu"]).game()
    starts = np.array([[0.0, 1.0], [0.0, 30.0]])
    options: dict[str, Any] = {"relaxation": {"initial": 1.0, "power": 2.0}, "max_iterations": 4000}
    double = nng.solve_batch(game, starts, "km", **options)
    mixed = nng.solve_batch(game, starts, "km", precision="mixed", **options)
    assert mixed.statuses.tolist() == double.statuses.tolist() == [Status.STALLED] * 2


def test_what_single_precision_cannot_hold_goes_on_in_double_and_holds_nobody() -> None:
    # From the second start the first layer overflows in single precision and the last one subtracts infinities; the
    # squares of the third one's steps overflow; the fourth one does not fit at all.
    game = linear(10 * np.eye(2), [[0.025, 0.025], [-0.025, 0.025]], 10.0)
    sizes = np.array([1.0, 3e38, 1e30, 1e100, 2.0, 3.0])
    starts = np.ones(4) * sizes[:, None]
    mixed = nng.solve_batch(game, starts, "picard", precision="mixed", tolerance=1e-12)
    double = nng.solve_batch(game, starts, "picard", tolerance=1e-12)
    assert mixed.converged.all()
    np.testing.assert_allclose(mixed.profiles, double.profiles, rtol=0, atol=1e-9)
    # A pass in single precision was in vain for two of them.
    np.testing.assert_array_equal(mixed.evaluations - mixed.iterations, [1, 2, 2, 1, 1, 1])
    assert (abs(mixed.iterations - double.iterations) <= 1).all()

    large = linear([[0.5]], [[1.0]], 1e30)
    result = nng.solve_batch(large, [[0.0, 0.0], [1e100, 1e100]], "picard", precision="mixed")
    assert result.converged.all()
    np.testing.assert_allclose(result.profiles, 2e30, rtol=1e-6)


def test_the_target_is_tested_in_double_precision(passes: list[tuple[np.dtype[Any], int]]) -> None:
    game = ring()
    coarse = nng.solve_batch(game, spread_starts(game), "picard", precision="mixed", tolerance=1e-4)
    assert coarse.converged.all()
    assert {dtype for dtype, _ in passes} == {np.dtype(np.float32)}
    assert (game.residual(coarse.profiles) <= 1e-4 * game.scale).all()
    np.testing.assert_allclose(coarse.residuals, game.residual(coarse.profiles), rtol=1e-9)
    # In single precision x = (1 - 1e-9) x + 1e-9 stands still everywhere near 1/2; its residual there is not 0.
    slow = linear([[1 - 1e-9]], [[1.0]], 1e-9)
    starts = np.full((3, 2), 0.5)
    result = nng.solve_batch(slow, starts, "picard", precision="mixed", tolerance=1e-12, max_iterations=50)
    assert not result.converged.any()
    assert (result.residuals > 1e-12 * result.scale).all()
    np.testing.assert_allclose(result.residuals, slow.residual(result.profiles), rtol=1e-6)


def test_steps_before_the_change_count() -> None:
    game = ring(("relu", "relu"), 0.9)
    starts = spread_starts(game, 7)
    enough = nng.solve_batch(game, starts, "picard", precision="mixed").iterations
    for budget in range(enough.max() + 2):
        mixed = nng.solve_batch(game, starts, "picard", precision="mixed", max_iterations=budget)
        np.testing.assert_array_equal(mixed.iterations, np.minimum(enough, budget))
        assert mixed.converged.tolist() == (enough <= budget).tolist()
        assert set(mixed.statuses) <= {Status.CONVERGED, Status.MAX_ITERATIONS}
        np.testing.assert_allclose(mixed.residuals, game.residual(mixed.profiles), rtol=1e-5, atol=1e-14)


def test_what_is_known_of_a_start_stays_with_it_when_others_leave() -> None:
    # One start turns for good; the others are done soon, and the block is made smaller.
    weight = np.block([[np.array([[0.0, -1.0], [1.0, 0.0]]), np.zeros((2, 1))], [np.zeros((1, 2)), 0.05]])
    game = nng.Network.recurrent(weight, [0.0, 0.0, 1.0], "linear").game()
    starts = np.vstack((np.eye(3)[[2, 2, 2, 2]] * 5, [[1.0, 0.0, 0.0]]))
    together = nng.solve_batch(game, starts, "picard", precision="mixed")
    alone = nng.solve_batch(game, starts[4:], "picard", precision="mixed")
    assert together.statuses.tolist() == [Status.CONVERGED] * 4 + [Status.CYCLING]
    assert together.iterations[4] == alone.iterations[0]
    assert together.evaluations[4] == alone.evaluations[0]

    # Each goes on with its own relaxation, many steps later for the third one, when the first two are done.
    slow = linear([[0.5]], [[1.0]], 1.0)
    starts = np.array([[2.0, 2.000001], [2.0, 2.000001], [1e12, 1e12]])
    options: dict[str, Any] = {"precision": "mixed", "relaxation": {"initial": 1.0, "power": 0.3}}
    together = nng.solve_batch(slow, starts, "km", **options)
    alone = nng.solve_batch(slow, starts[2:], "km", **options)
    assert together.converged.all()
    assert together.iterations[2] > 60
    assert together.iterations[2] == alone.iterations[0]


def test_a_start_that_is_lost_in_single_precision_keeps_nobody_there(passes: list[tuple[np.dtype[Any], int]]) -> None:
    # From 3e38 the first residual is the difference of infinities.
    game, calm = linear(10 * np.eye(2), [[0.025, 0.025], [-0.025, 0.025]], 10.0), np.arange(1.0, 7.0)
    made = []
    for sizes in (calm, [*calm, 3e38]):
        passes.clear()
        nng.solve_batch(game, np.ones(4) * np.array(sizes)[:, None], "picard", precision="mixed", tolerance=1e-12)
        made.append([dtype for dtype, _ in passes].count(np.dtype(np.float32)))
    assert made[0] == made[1] > 1


def test_a_whole_step_from_far_away_is_the_answer_itself() -> None:
    # Neither of the last two fits into single precision; x + (R(x) - x) would lose R(x).
    game, starts = ring(n=3), np.ones((3, 6)) * np.array([1.0, 1e100, -1e60])[:, None]
    options: dict[str, Any] = {"precision": "mixed", "relaxation": [1.0, 0.5], "max_iterations": 1}
    batch = nng.solve_batch(game, starts, "km", **options)
    for k in (1, 2):
        alone = nng.solve(game, "km", start=starts[k], **options)
        np.testing.assert_allclose(batch.profiles[k], alone.profile, rtol=1e-12)


def test_the_length_of_an_iterate_is_known_when_it_counts() -> None:
    progress = Progress(np.zeros((2, 2), np.float32))
    first, second = np.full((2, 2), 1e3, np.float32), np.full((2, 2), 1e6, np.float32)
    assert progress.enough(first * 0, np.array([2e3, 2e3]), 2e3, 1.0) is None
    small = NOISE * UNIT * np.linalg.norm(first[:, 0])
    assert progress.enough(first, np.array([0.9 * small, 1.1 * small]), 2e6, 1.0).tolist() == [True, False]
    small = NOISE * UNIT * np.linalg.norm(second[:, 0])
    assert progress.enough(second, np.array([1.1 * small, 0.9 * small]), 1.0, 1.0).tolist() == [False, True]


def test_no_time_left_is_no_convergence() -> None:
    game = ring()
    result = nng.solve_batch(game, spread_starts(game), "km", precision="mixed", max_seconds=1e-9)
    assert set(result.statuses) == {Status.MAX_SECONDS}
    np.testing.assert_allclose(result.residuals, game.residual(result.profiles), rtol=1e-9)


def test_starts_outside_the_domain_fail_alone() -> None:
    from nngames.activations import activation, activations

    narrow = next(name for name in activations() if not activation(name).defined_everywhere)
    game = nng.Network.ring([[[1.0]], [[0.1]]], [[0.0], [0.5]], [narrow, "linear"]).game()
    starts = np.array([[0.0, 0.5], [0.0, 50.0], [0.0, 0.6]])
    batch = nng.solve_batch(game, starts, "picard", precision="mixed")
    for k, start in enumerate(starts):
        try:
            alone: Any = nng.solve(game, "picard", start=start, precision="mixed").status
        except DomainError:
            alone = Status.FAILED
        assert batch.statuses[k] is alone
    assert set(batch.statuses) == {Status.FAILED, Status.CONVERGED}


def test_starts_that_are_refused_and_starts_in_single_precision() -> None:
    game = ring()
    starts = spread_starts(game, 3)
    single = nng.solve_batch(game, starts.astype(np.float32), "km", precision="mixed", tolerance=1e-4)
    assert single.converged.all()
    assert single.profiles.dtype == np.float32
    starts[1, 3] = np.nan
    with pytest.raises(InputError, match=r"starts\[1, 3\] is nan"):
        nng.solve_batch(game, starts, precision="mixed")
