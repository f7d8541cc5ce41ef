"""Batches of starts: each start goes as it goes alone, ends by the same rules, and is dropped when it is done."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from scipy import sparse

import nngames as nng
from nngames.core.errors import DomainError, InputError, NotApplicableError, OptionError, ShapeError, UnknownNameError
from nngames.core.operators import DenseMap
from nngames.networks import column_passes
from nngames.results.result import Status

FIXED_STEP = (
    "extragradient",
    "popov",
    "forward_backward",
    "forward_backward_forward",
    "forward_reflected_backward",
    "projected_reflected",
    "golden_ratio",
)


def dense_ring(activations: tuple[str, ...] = ("tanh", "relu", "softmax")) -> nng.NetworkGame:
    rng = np.random.default_rng(0)
    weights = [0.8 * np.linalg.qr(rng.standard_normal((9, 9)))[0] for _ in activations]
    return nng.Network.ring(weights, [rng.standard_normal(9) for _ in activations], list(activations)).game()


def sparse_recurrent() -> nng.NetworkGame:
    weight = sparse.random_array((40, 40), density=0.1, rng=np.random.default_rng(1), format="csr")
    weight = weight * (0.8 / abs(weight).sum(axis=1).max())
    return nng.Network.recurrent(weight, np.linspace(-1, 1, 40), "tanh").game()


def many_players() -> nng.NetworkGame:
    rng = np.random.default_rng(2)
    edges = {(i, (i + k) % 15): [[0.2 * rng.standard_normal()]] for i in range(15) for k in (1, 4)}
    return nng.Network.graph(edges, {i: [0.1 * i] for i in range(15)}, "softplus").game()


def two_way_graph() -> nng.NetworkGame:
    rng = np.random.default_rng(3)
    sizes = {"a": 3, "b": 2, "c": 4}
    weights = {(t, s): 0.2 * rng.standard_normal((n, m)) for t, n in sizes.items() for s, m in sizes.items() if t != s}
    return nng.Network.graph(weights, {p: rng.standard_normal(n) for p, n in sizes.items()}, "tanh").game()


def quadratic() -> nng.QuadraticGame:
    return nng.QuadraticGame(
        quadratic={1: 2 * np.eye(2), 2: [[3.0]]},
        coupling={(1, 2): [[0.5], [0.2]], (2, 1): [[-0.7, 0.1]]},
        linear={1: [1.0, -1.0], 2: [0.5]},
        penalties={1: "nonnegative", 2: "nonnegative"},
    )


def bilinear() -> nng.NetworkGame:
    tensor = 0.1 * np.random.default_rng(4).standard_normal((2, 2, 2))
    couplings = [
        nng.BilinearCoupling(1, (2, 3), tensor),
        nng.LinearCoupling(2, 1, DenseMap(0.3 * np.eye(2))),
        nng.LinearCoupling(3, 2, DenseMap(0.2 * np.eye(2))),
    ]
    return nng.Network(couplings, {key: [0.5, -0.5] for key in (1, 2, 3)}, dict.fromkeys((1, 2, 3), "tanh")).game()


def monotone() -> nng.NetworkGame:
    return nng.Network.generate("monotone", size=8, norm=3.0, seed=0).game()


def spread_starts(game: nng.Game, count: int = 11) -> np.ndarray:
    """Return starts at distances over four decades, so that they are done at different times."""
    rng = np.random.default_rng(5)
    return rng.standard_normal((count, game.size)) * np.logspace(-2, 2, count)[:, None]


def check_rows(game: nng.Game, method: str, starts: np.ndarray, **options: Any) -> nng.BatchResult:
    """Assert that every row is the result of its start alone."""
    batch = nng.solve_batch(game, starts, method, **options)
    assert len(batch) == len(starts)
    for k, start in enumerate(starts):
        alone = nng.solve(game, method, start=start, **options)
        assert (batch.statuses[k], batch.iterations[k], batch.evaluations[k]) == (
            alone.status,
            alone.iterations,
            alone.evaluations,
        )
        np.testing.assert_allclose(batch.profiles[k], alone.profile, rtol=1e-12, atol=1e-12, equal_nan=True)
        np.testing.assert_allclose(batch.residuals[k], alone.residual, rtol=1e-6, atol=1e-13, equal_nan=True)
    return batch


@pytest.mark.parametrize("make", [dense_ring, sparse_recurrent, many_players, two_way_graph, quadratic, bilinear])
@pytest.mark.parametrize(("method", "options"), [("picard", {}), ("km", {"relaxation": 0.7})])
def test_each_start_goes_as_it_goes_alone(make: Any, method: str, options: dict[str, Any]) -> None:
    game = make()
    batch = check_rows(game, method, spread_starts(game), **options)
    assert batch.converged.all()
    assert len(set(batch.iterations)) > 1
    assert (game.residual(batch.profiles) <= batch.tolerance * batch.scale).all()


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("picard", {"map": "joint"}),
        ("km", {"relaxation": "diminishing", "tolerance": 1e-3}),
        ("halpern", {"tolerance": 1e-2, "max_iterations": 200}),
        ("anchored_extragradient", {"tolerance": 1e-2, "max_iterations": 200}),
        ("best_response", {"order": "simultaneous"}),
        ("best_response", {"order": "simultaneous", "damping": 0.6}),
        *((method, {}) for method in FIXED_STEP),
    ],
)
def test_every_rowwise_scheme_takes_batches(method: str, options: dict[str, Any]) -> None:
    game = dense_ring(("tanh", "relu"))
    check_rows(game, method, spread_starts(game, 9), **options)


@pytest.mark.parametrize("method", ["extragradient", "forward_backward_forward"])
def test_a_monotone_game_beyond_every_contraction(method: str) -> None:
    game = monotone()
    assert check_rows(game, method, spread_starts(game, 9)).converged.all()


def test_statuses_of_runs_that_do_not_converge() -> None:
    rotation = [[0.0, -1.0], [1.0, 0.0]]
    turning = nng.Network.recurrent(rotation, [0.0, 0.0], "linear").game()
    batch = check_rows(turning, "picard", np.array([[1.0, 0.0], [0.0, 0.0], [3.0, 1.0]]))
    assert batch.statuses.tolist() == [Status.CYCLING, Status.CONVERGED, Status.CYCLING]
    assert "1 of 3 starts converged" in batch.message
    assert "2 cycling" in batch.message
    # Alone in the block: all residuals are those of the stored iterate.
    assert check_rows(turning, "picard", np.array([[1.0, 0.0]])).statuses.tolist() == [Status.CYCLING]

    growing = nng.Network.ring([[[2.0]], [[1.0]]], [[0.0], [0.0]], ["linear", "linear"]).game()
    batch = check_rows(growing, "picard", np.array([[1.0, 1.0], [0.0, 0.0], [1e300, 1e300]]), max_iterations=3000)
    assert batch.statuses.tolist() == [Status.DIVERGED, Status.CONVERGED, Status.NOT_FINITE]
    assert batch.converged.tolist() == [False, True, False]

    short = nng.solve_batch(dense_ring(), spread_starts(dense_ring()), "km", max_iterations=3)
    assert set(short.statuses) == {Status.MAX_ITERATIONS}
    assert (short.iterations == 3).all()
    # The squares are too large from the first pass on, of every start of the block.
    for method in ("picard", "km"):
        batch = check_rows(turning, method, np.array([[1e200, 0.0], [3e200, 1e200]]), max_iterations=9)
        assert batch.statuses.tolist() == [Status.NOT_FINITE] * 2
        single = np.array([[1e37, 0.0], [3e37, 1e37]], np.float32)
        assert check_rows(turning, method, single, max_iterations=9).statuses.tolist() == [Status.NOT_FINITE] * 2
    late = nng.solve_batch(turning, [[1.0, 0.0]], "km", max_seconds=1e-9)
    assert late.statuses.tolist() == [Status.MAX_SECONDS]


def test_a_cycle_is_seen_after_other_starts_left_the_block() -> None:
    # The iterate to which the second start returns was stored beside the first one, which is done before.
    shift = np.roll(np.eye(12), 1, axis=0)
    game = nng.Network.recurrent(
        np.block([[shift, np.zeros((12, 1))], [np.zeros((1, 12)), 0.5]]), np.zeros(13), "linear"
    )
    starts = np.vstack((np.eye(13)[12], np.eye(13)[0], np.eye(13)[12]))
    batch = check_rows(game.game(), "picard", starts)
    assert batch.statuses.tolist() == [Status.CONVERGED, Status.CYCLING, Status.CONVERGED]
    assert 16 < batch.iterations[0] < batch.iterations[1] <= 40


def test_stalled_starts_are_found() -> None:
    game = nng.Network.ring([[[1.0]], [[1.0]]], [[0.0], [1.0]], ["relu", "relu"]).game()
    options = {"relaxation": {"initial": 1.0, "power": 2.0}, "max_iterations": 4000}
    batch = check_rows(game, "km", np.array([[0.0, 1.0], [0.0, 30.0]]), **options)
    assert Status.CONVERGED not in batch.statuses


def test_starts_outside_the_domain_fail_alone() -> None:
    from nngames.activations import activation, activations

    narrow = [name for name in activations() if not activation(name).defined_everywhere]
    assert narrow
    network = nng.Network.ring([[[1.0]], [[0.1]]], [[0.0], [0.5]], [narrow[0], "linear"])
    game = network.game()
    starts = np.array([[0.0, 0.5], [0.0, 50.0], [0.0, 0.6]])
    batch = nng.solve_batch(game, starts, "picard")
    for k, start in enumerate(starts):
        try:
            alone: Any = nng.solve(game, "picard", start=start).status
        except DomainError:
            alone = Status.FAILED
        assert batch.statuses[k] is alone
    assert Status.FAILED in batch.statuses


def test_the_block_gets_smaller(monkeypatch: pytest.MonkeyPatch) -> None:
    widths: list[int] = []
    evaluate = column_passes.CompositeColumns.evaluate

    def counted(self: Any, columns: Any, out: Any) -> Any:
        widths.append(columns.shape[1])
        return evaluate(self, columns, out)

    monkeypatch.setattr(column_passes.CompositeColumns, "evaluate", counted)
    game = dense_ring(("tanh", "relu"))
    batch = nng.solve_batch(game, spread_starts(game, 32), "km", relaxation=0.3)
    assert widths == sorted(widths, reverse=True)
    # Starts that are done stay in the block until a quarter of it is.
    for k, width in enumerate(widths):
        going = np.count_nonzero(batch.evaluations > k)
        assert going <= width <= going / (1 - 1 / 4) + 1
    assert widths[0] == 32
    assert widths[-1] < 8


@pytest.mark.parametrize("make", [dense_ring, two_way_graph, sparse_recurrent, monotone])
@pytest.mark.parametrize(
    ("method", "options"),
    [("picard", {}), ("picard", {"map": "joint"}), ("km", {"relaxation": 0.6}), ("halpern", {})],
)
@pytest.mark.parametrize("steps", [0, 1, 5, 9, 14, 400])
def test_residuals_belong_to_the_profiles(make: Any, method: str, options: dict[str, Any], steps: int) -> None:
    """What the last pass of the block told is what a pass over the rows says, for starts that leave it at all times."""
    game = make()
    batch = nng.solve_batch(game, spread_starts(game), method, tolerance=1e-3, max_iterations=steps, **options)
    apart = np.linalg.norm(game.residuals(batch.profiles), axis=1)
    largest = np.linalg.norm(batch.profiles, axis=1) + batch.scale
    assert (abs(batch.residuals - apart) <= 2e-14 * largest).all()


def test_single_precision_starts_stay_single() -> None:
    game = dense_ring(("tanh", "relu"))
    batch = nng.solve_batch(game, spread_starts(game, 4).astype(np.float32), tolerance=1e-5)
    assert batch.profiles.dtype == np.float32
    assert batch.converged.all()


@pytest.mark.parametrize("method", ["extragradient", "golden_ratio", "picard"])
def test_residuals_of_single_precision_starts_are_those_of_the_profiles(method: str) -> None:
    game = dense_ring(("tanh", "relu"))
    starts = spread_starts(game, 4).astype(np.float32)
    # The schemes on the inclusion go on in double precision, and so must what they return.
    tolerance = 1e-5 if method == "picard" else 1e-10
    batch = nng.solve_batch(game, starts, method, tolerance=tolerance)
    assert batch.profiles.dtype == nng.solve(game, method, start=starts[0], tolerance=tolerance).profile.dtype
    assert batch.converged.all()
    assert (game.residual(batch.profiles) <= tolerance * batch.scale).all()


def test_a_batch_of_one_and_of_starts_that_are_done() -> None:
    game = dense_ring(("tanh", "relu"))
    check_rows(game, "halpern", spread_starts(game, 1), tolerance=1e-2)
    solution = nng.solve(game, "picard", tolerance=1e-12).profile
    done = check_rows(game, "picard", np.stack([solution, solution]))
    assert done.iterations.tolist() == [0, 0]
    # With a start that converges, one that is far away, and a budget that only the first ones keep.
    mixed = check_rows(game, "km", np.stack([solution, solution + 1e-6, solution + 1e6]), max_iterations=20)
    assert mixed.statuses.tolist() == [Status.CONVERGED, Status.CONVERGED, Status.MAX_ITERATIONS]
    none = check_rows(game, "km", np.stack([solution, solution + 1.0]), max_iterations=0)
    assert none.statuses.tolist() == [Status.CONVERGED, Status.MAX_ITERATIONS]


def test_the_same_batch_twice_is_the_same() -> None:
    game = dense_ring()
    first, second = (nng.solve_batch(game, spread_starts(game), "km") for _ in range(2))
    np.testing.assert_array_equal(first.profiles, second.profiles)
    np.testing.assert_array_equal(first.residuals, second.residuals)
    np.testing.assert_array_equal(first.iterations, second.iterations)
    assert first.statuses.tolist() == second.statuses.tolist()


def test_one_wild_start_leaves_the_others_as_they_are() -> None:
    turning = nng.Network.recurrent([[0.0, -2.0], [2.0, 0.0]], [0.0, 0.0], "linear").game()
    calm = np.array([[0.0, 0.0], [1e-200, 0.0], [1.0, 2.0]])
    wild = np.vstack([calm, [[1e308, -1e308]]])
    batch, beside = nng.solve_batch(turning, calm), nng.solve_batch(turning, wild)
    np.testing.assert_array_equal(beside.profiles[:3], batch.profiles)
    assert beside.statuses.tolist() == [*batch.statuses, Status.NOT_FINITE]
    assert json.loads(json.dumps(beside.to_dict()))["statuses"][3] == "not_finite"


def test_starts_by_player_and_results_as_data() -> None:
    game = two_way_graph()
    starts = spread_starts(game, 3)
    parts = game.space.actions(starts)
    batch = nng.solve_batch(game, parts)
    np.testing.assert_array_equal(batch.profiles, nng.solve_batch(game, starts).profiles)
    data = json.loads(json.dumps(batch.to_dict()))
    assert data["statuses"] == ["converged"] * 3
    assert np.shape(data["profiles"]) == (3, game.size)
    assert data["guarantee"]["status"] == str(batch.guarantee.status)
    # The caller's starts stay as they were.
    np.testing.assert_array_equal(starts, spread_starts(game, 3))


def test_what_takes_one_start_at_a_time_says_so() -> None:
    game = dense_ring()
    starts = spread_starts(game, 2)
    with pytest.raises(NotApplicableError, match=r"anderson.*one start at a time.*picard"):
        nng.solve_batch(game, starts, "anderson")
    with pytest.raises(NotApplicableError, match="best_response with order='simultaneous'"):
        nng.solve_batch(game, starts, "best_response")
    with pytest.raises(NotApplicableError, match="golden_ratio"):
        nng.solve_batch(game, starts, "golden_ratio", adaptive=True)
    with pytest.raises(NotApplicableError, match="use the operator 'inclusion'"):
        nng.solve_batch(game, starts, "extragradient", operator="identity_minus_map")
    with pytest.raises(OptionError, match="auto chooses the options itself; name a method to set 'map'"):
        nng.solve_batch(game, starts, map="joint")
    with pytest.raises(ShapeError, match=r"expected \(batch, 27\)"):
        nng.solve_batch(game, starts[0])
    with pytest.raises(ShapeError):
        nng.solve_batch(game, starts[:0])
    with pytest.raises(OptionError, match="tolerance"):
        nng.solve_batch(game, starts, tolerance=0)
    with pytest.raises(OptionError, match="max_iterations"):
        nng.solve_batch(game, starts, max_iterations=-1)
    with pytest.raises(OptionError, match="max_seconds"):
        nng.solve_batch(game, starts, max_seconds=0)
    with pytest.raises(OptionError, match="relaxaton"):
        nng.solve_batch(game, starts, "km", relaxaton=0.5)
    with pytest.raises(UnknownNameError, match="picard"):
        nng.solve_batch(game, starts, "picrad")
    with pytest.raises(ShapeError, match=r"starts has shape \(2, 26\)"):
        nng.solve_batch(game, starts[:, 1:])
    starts[1, 3] = np.nan
    with pytest.raises(InputError, match=r"starts\[1, 3\] is nan"):
        nng.solve_batch(game, starts)
