"""Automatic batches: plain passes of all while they pay, and ``solve`` for each start that leaves the block."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st

import nngames as nng
from nngames.activations import activation, activations
from nngames.core.errors import OptionError
from nngames.results.result import Status
from nngames.solvers.automatic.costs import (
    ALGORITHM,
    BEGINNING,
    ENTRY,
    MATRIX_PRODUCT,
    SPARSE_PRODUCT,
    costs_of,
    shared_pass_seconds,
)
from nngames.solvers.automatic.forecast import steps_to
from nngames.solvers.batches import automatic
from nngames.solvers.batches.automatic import FIRST, LONGEST, PayingWatch, worthwhile_passes
from nngames.solvers.batches.run import BatchRun


def ring(norm: float, name: str = "tanh", n: int = 12, layers: int = 2) -> nng.NetworkGame:
    rng = np.random.default_rng(0)
    weights = [norm * np.linalg.qr(rng.standard_normal((n, n)))[0] for _ in range(layers)]
    return nng.Network.ring(weights, [rng.standard_normal(n) for _ in weights], [name] * layers).game()


def rotation(angle: float = 2.0) -> nng.NetworkGame:
    """A ring whose composite map turns the plane: plain passes stay at one distance from the equilibrium."""
    turn = [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
    return nng.Network.ring([turn, np.eye(2)], [[1.0, 0.0], [0.0, 0.0]], ["identity"] * 2).game()


def half_turning() -> nng.NetworkGame:
    """A ring of one neuron that settles from a start near zero and is turned about from all that are not."""
    return nng.Network.ring([[[-3.0]]], [[0.0]], ["tanh"]).game()


def starts_of(game: nng.Game, count: int = 9) -> np.ndarray:
    return np.random.default_rng(5).standard_normal((count, game.size)) * np.logspace(-2, 2, count)[:, None]


@pytest.mark.parametrize("name", ["tanh", "relu"])
def test_where_passes_pay_it_is_picard_in_mixed_precision(name: str) -> None:
    game = ring(0.8, name)
    starts = starts_of(game)
    batch, plain = nng.solve_batch(game, starts), nng.solve_batch(game, starts, "picard", precision="mixed")
    assert batch.converged.all()
    assert batch.method == "auto"
    np.testing.assert_array_equal(batch.profiles, plain.profiles)
    np.testing.assert_array_equal(batch.evaluations, plain.evaluations)
    assert batch.message == plain.message.replace("picard:", "auto:")


def test_a_start_that_leaves_goes_as_solve_from_it() -> None:
    game = rotation()
    starts = starts_of(game)
    batch = nng.solve_batch(game, starts)
    assert batch.converged.all()
    assert not nng.solve_batch(game, starts, "picard", max_iterations=1000).converged.any()
    for k, start in enumerate(starts):
        alone = nng.solve(game, start=start)
        np.testing.assert_array_equal(batch.profiles[k], alone.profile)
        assert batch.residuals[k] == alone.residual
        # All leave at the first forecast; the passes until then count.
        assert batch.iterations[k] == FIRST + alone.iterations
        assert batch.evaluations[k] == FIRST + 1 + alone.evaluations
    assert batch.message.endswith("(alone: 9 with newton)")


def test_each_start_leaves_by_itself() -> None:
    # x -> tanh(-3 x): exactly at zero the passes stay, elsewhere they come to turn about a cycle of two.
    game = half_turning()
    starts = np.array([[0.0], [0.5], [-1.0]])
    batch = nng.solve_batch(game, starts)
    assert batch.statuses.tolist() == [Status.CONVERGED] * 3
    assert batch.iterations[0] == 0
    np.testing.assert_array_equal(batch.profiles[1], nng.solve(game, start=starts[1]).profile)


def test_games_whose_map_takes_one_argument_are_solved_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    game = nng.Network.graph({(1, 2): 0.5, (2, 1): 0.3}, {1: 0.0, 2: 1.0}, "silu").game()
    starts = starts_of(game, 3)
    monkeypatch.setattr(
        type(game.fixed_point()), "columns", lambda *_: (_ for _ in ()).throw(nng.NotApplicableError("one at a time"))
    )
    with pytest.raises(nng.NotApplicableError):
        nng.solve_batch(game, starts, "picard")
    batch = nng.solve_batch(game, starts)
    for k, start in enumerate(starts):
        np.testing.assert_array_equal(batch.profiles[k], nng.solve(game, start=start).profile)


def test_starts_in_single_precision_stay_in_it() -> None:
    for game in (ring(0.8), rotation()):
        batch = nng.solve_batch(game, starts_of(game).astype(np.float32), tolerance=1e-4)
        assert batch.profiles.dtype == np.float32
        assert batch.converged.all()
    plain = nng.solve_batch(ring(0.8), starts_of(ring(0.8)).astype(np.float32), "picard", tolerance=1e-4)
    batch = nng.solve_batch(ring(0.8), starts_of(ring(0.8)).astype(np.float32), tolerance=1e-4)
    np.testing.assert_array_equal(batch.profiles, plain.profiles)
    np.testing.assert_array_equal(batch.evaluations, plain.evaluations)


def test_steps_in_the_block_count_for_the_limit() -> None:
    game = rotation()
    starts = starts_of(game)
    for most in (0, 1, 2):
        batch = nng.solve_batch(game, starts, max_iterations=most)
        assert batch.statuses.tolist() == [Status.MAX_ITERATIONS] * 9
        assert (batch.iterations == most).all()
        # No run alone is made without a step.
        assert (batch.evaluations == most + 1).all()
        np.testing.assert_allclose(batch.residuals, game.residual(batch.profiles), rtol=1e-6)


@pytest.mark.parametrize(("most", "first"), [(3, 2), (4, 2), (8, 4), (15, 4), (16, 8), (31, 8), (32, 16), (1000, 16)])
def test_starts_leave_while_half_of_the_steps_are_left(most: int, first: int) -> None:
    game = rotation()
    batch = nng.solve_batch(game, starts_of(game), max_iterations=most)
    # Newton's method needs one step.
    assert batch.converged.all()
    assert (batch.iterations == first + 1).all()


def test_a_start_that_the_passes_left_do_not_bring_there_leaves() -> None:
    # By 0.9 a pass, 200 are needed, and Newton's method ends at once.
    game = ring(0.9**0.5, "identity")
    starts = starts_of(game)
    assert nng.solve_batch(game, starts, max_iterations=300).message.endswith(f"at most {1e-9 * game.scale:.2e}")
    batch = nng.solve_batch(game, starts, max_iterations=100)
    assert batch.converged.all()
    assert batch.message.endswith("(alone: 9 with newton)")


def test_when_the_time_is_up_the_profiles_of_the_block_remain(monkeypatch: pytest.MonkeyPatch) -> None:
    game = rotation()
    starts = starts_of(game)
    left = iter([1.0] * (FIRST + 1) + [0.0] * 100)
    monkeypatch.setattr(automatic.AutoBatchRun, "_seconds_left", lambda _: next(left))
    batch = nng.solve_batch(game, starts)
    assert batch.statuses.tolist() == [Status.MAX_SECONDS] * 9
    assert (batch.iterations == FIRST).all()
    # No run alone is made without time.
    assert (batch.evaluations == FIRST + 1).all()
    np.testing.assert_allclose(batch.residuals, game.residual(batch.profiles), rtol=1e-6)


def test_runs_alone_have_the_time_that_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    given_seconds = []

    def alone(run: BatchRun, row: int, seconds: float | None) -> nng.Result:
        given_seconds.append(seconds)
        return run_alone(run, row, seconds)

    run_alone = BatchRun._run_alone
    monkeypatch.setattr(BatchRun, "_run_alone", alone)
    monkeypatch.setattr(automatic.AutoBatchRun, "_seconds_left", lambda _: 5.0)
    game = rotation()
    assert nng.solve_batch(game, starts_of(game)).converged.all()
    assert given_seconds == [5.0] * 9


@pytest.mark.parametrize(
    ("weight", "dtype", "ends"),
    [
        (-1.0, np.float32, Status.CYCLING),
        (-1e3, np.float32, Status.DIVERGED),
        (-1e30, np.float64, Status.DIVERGED),
        (-1e100, np.float64, Status.NOT_FINITE),
    ],
)
def test_starts_whose_passes_end_before_a_forecast_go_alone(weight: float, dtype: Any, ends: Status) -> None:
    # Cycles are looked for from the first pass on where all passes are in one precision.
    game = nng.Network.ring([[[weight]], [[1.0]]], [[1.0], [0.0]], ["identity"] * 2).game()
    starts = np.array([[3.0, 3.0], [-2.0, -2.0]], dtype)
    plain = nng.solve_batch(game, starts, "picard", tolerance=1e-4)
    assert plain.statuses.tolist() == [ends] * 2
    assert plain.iterations.max() < FIRST
    batch = nng.solve_batch(game, starts, tolerance=1e-4)
    assert batch.converged.all()


def test_starts_outside_the_domain_fail_alone() -> None:
    narrow = next(name for name in activations() if not activation(name).defined_everywhere)
    game = nng.Network.ring([[[1.0]], [[0.1]]], [[0.0], [0.5]], [narrow, "linear"]).game()
    starts = np.array([[0.0, 0.5], [0.0, 50.0], [0.0, 0.6]])
    batch = nng.solve_batch(game, starts)
    assert batch.statuses.tolist() == [Status.CONVERGED, Status.FAILED, Status.CONVERGED]
    np.testing.assert_array_equal(batch.profiles[2], nng.solve(game, start=starts[2]).profile)


def test_it_takes_no_options() -> None:
    with pytest.raises(OptionError, match="auto chooses the options itself; name a method to set 'precision'"):
        nng.solve_batch(ring(0.8), starts_of(ring(0.8)), precision="mixed")


def test_it_is_proved_where_auto_is() -> None:
    game = ring(0.8)
    assert nng.solve_batch(game, starts_of(game)).guarantee.status == nng.solve(game).guarantee.status


@given(st.floats(0.01, 1.2), st.floats(1e-12, 1e-3), st.floats(10, 5000))
def test_a_start_stays_while_its_passes_pay(factor: float, target: float, worthwhile: float) -> None:
    watch = PayingWatch(worthwhile, target, 1.0, False, 10_000, 1, 1)
    last, residual = 0, 1.0
    for iteration in range(10_000):
        stalled = watch.stalled(np.zeros((1, 1)), np.array([residual]), iteration)
        if stalled is not None and stalled[0]:
            break
        last, residual = iteration, max(residual * factor, 1e-300)
        if residual <= target:
            # The run ends by converging.
            assert steps_to(target, 1.0, factor) <= worthwhile + 2 * FIRST + last
            return
    # At a power of two, where the steps that are left are too many, or there were too many already.
    assert iteration >= FIRST
    assert iteration & (iteration - 1) == 0
    most = min(worthwhile, 10_000 - iteration)
    assert steps_to(target, residual, factor) > most * (1 - 1e-6) or iteration >= LONGEST * worthwhile


def leaves(worthwhile: float, residuals: list[float]) -> list[int]:
    """Return after how many passes a start with these residuals is told to leave, for the target 1e-9."""
    watch = PayingWatch(worthwhile, 1e-9, 1.0, False, 10_000, 1, 1)
    told = [watch.stalled(np.zeros((1, 1)), np.array([r]), k) for k, r in enumerate(residuals)]
    return [k for k, stalled in enumerate(told) if stalled is not None and stalled[0]]


def test_passes_pay_up_to_as_many_as_are_worth_a_run_alone() -> None:
    # By 0.9 a pass log(1e-9) / log(0.9) = 196.7 are needed: 180.7 after 16 of them.
    residuals = [0.9**k for k in range(FIRST + 1)]
    assert leaves(181, residuals) == []
    assert leaves(180, residuals) == [FIRST]


def test_no_start_stays_for_many_times_what_a_run_alone_takes() -> None:
    # After each forecast it does not do what that promised, and promises it again.
    residuals = [1.0] * 33 + [1e-8] * 32 + [1.1e-9] * 64
    assert LONGEST == 4
    assert [k for k in leaves(20, residuals) if k > 32] == [128]
    assert [k for k in leaves(33, residuals) if k > 32] == []


@pytest.mark.parametrize(
    "residuals", [[math.inf] * 40, [math.nan] * 40, [1.0] * 40, [1e300 * 2.0**k for k in range(10)]]
)
def test_residuals_that_do_not_fall_do_not_pay(residuals: list[float]) -> None:
    watch = PayingWatch(1e9, 1e-9, 1.0, False, 10_000, 1, 1)
    with np.errstate(invalid="ignore", over="ignore"):
        told = [
            watch.stalled(np.zeros((1, 1)), np.array([r]), k) for k, r in enumerate((residuals * FIRST)[: FIRST + 1])
        ]
    assert [k for k, stalled in enumerate(told) if stalled is not None] == [FIRST]
    assert told[-1] is not None
    assert told[-1].tolist() == [True]


def test_long_runs_of_newton_are_worth_more_passes() -> None:
    small, large = (worthwhile_passes(ring(0.9, n=n), limited=False) for n in (400, 800))
    # Of n neurons the system costs n^3 and a pass n^2; both sizes have their factors in one precision.
    assert small > FIRST
    assert 1.8 * small < large < 2.2 * small


@pytest.mark.parametrize(("limited", "found"), [(False, None), (True, None), (False, object()), (True, object())])
def test_a_run_alone_is_as_long_as_the_kernels_that_it_has_make_it(
    limited: bool, found: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    game = ring(0.9, n=20)
    monkeypatch.setattr(automatic, "kernels", lambda limited: asked.append(limited) or found)
    # A multiplication and an addition for each weight of two layers, and a response for each neuron.
    shared = 2 * 20**2 * MATRIX_PRODUCT + 2 * 20 * ENTRY
    alone = BEGINNING + costs_of(game, found is not None).newton
    assert worthwhile_passes(game, limited) == pytest.approx(alone / shared)
    assert asked == [limited]


def test_what_a_start_takes_of_a_pass() -> None:
    sparse = scipy.sparse.csr_array(np.eye(30))
    game = nng.Network.ring([sparse, sparse], [np.zeros(30)] * 2, ["softmax", "tanh"]).game()
    assert shared_pass_seconds(game) == pytest.approx(60 * SPARSE_PRODUCT + ALGORITHM + 30 * ENTRY)
    other: Any = object()
    assert shared_pass_seconds(other) == ALGORITHM


def test_a_limit_of_time_is_told_to_the_forecast(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[bool] = []
    monkeypatch.setattr(automatic, "worthwhile_passes", lambda _, limited: told.append(limited) or 1000.0)
    for seconds in (None, 60.0):
        nng.solve_batch(ring(0.8), starts_of(ring(0.8)), max_seconds=seconds)
    assert told == [False, True]


def test_the_same_call_gives_the_same_result() -> None:
    game = ring(4.0)
    starts = starts_of(game)
    one, other = (nng.solve_batch(game, starts, max_iterations=500) for _ in range(2))
    np.testing.assert_array_equal(one.profiles, other.profiles)
    assert one.message == other.message
