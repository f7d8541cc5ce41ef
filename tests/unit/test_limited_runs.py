"""Runs with a limit of time: sweeps, orders and proofs end with it, and what they would have told is left open."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

import nngames as nng
from nngames.certificates import verdict_of
from nngames.core import bounds, deadlines
from nngames.core.deadlines import TimeUpError, ending, ends_within, look_ahead
from nngames.results.result import Status
from nngames.solvers.automatic.last_resorts import last_resorts, licensed_schemes


class Clock:
    """A clock that moves by one second with each reading."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        self.now += 1.0
        return self.now


def expanding(n: int = 12) -> nng.NetworkGame:
    """A game on which nothing is proved but by matrices, and no scheme converges."""
    rng = np.random.default_rng(0)
    weights = [4 * rng.standard_normal((n, n)) for _ in range(2)]
    return nng.Network.ring(weights, [rng.standard_normal(n) for _ in weights], ["softplus"] * 2).game()


def ring_of_neurons(n: int = 5) -> nng.NetworkGame:
    weight = 0.3 * np.roll(np.eye(n), 1, axis=1)
    return nng.Network.recurrent(weight, np.arange(1.0, n + 1), "tanh").game("neurons")


def test_the_end_of_a_run_holds_inside_only() -> None:
    assert ending() == np.inf
    with ends_within(60):
        assert time.monotonic() < ending() < time.monotonic() + 61
        with ends_within(None):
            assert ending() == np.inf
        look_ahead()
        look_ahead(50)
        with pytest.raises(TimeUpError):
            look_ahead(70)
        deadlines.postpone(20)
        look_ahead(70)
    assert ending() == np.inf


def test_a_verdict_that_came_too_late_is_found_when_there_is_time() -> None:
    game = ring_of_neurons()
    with ends_within(-1), pytest.raises(TimeUpError):
        verdict_of("joint_contraction", game)
    assert verdict_of("joint_contraction", game).proved
    with ends_within(-1):
        assert verdict_of("joint_contraction", game).proved


@pytest.mark.parametrize(
    "options",
    [
        {"order": "sequential"},
        {"order": "sequential", "damping": 0.5},
        {"order": "random"},
        {"order": "asynchronous", "delay": 3},
    ],
)
def test_a_sweep_ends_with_the_time_at_the_last_whole_one(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    game = ring_of_neurons()
    whole = nng.solve(game, "best_response", max_iterations=2, seed=3, **options)
    assert whole.status is Status.MAX_ITERATIONS
    monkeypatch.setattr(deadlines, "time", Clock())
    # Each of the five players looks at the clock once a sweep: the time is up within the third one.
    short = nng.solve(game, "best_response", max_seconds=12.5, seed=3, **options)
    assert short.status is Status.MAX_SECONDS
    assert short.iterations == 2
    np.testing.assert_array_equal(short.profile, whole.profile)
    assert short.residual == whole.residual
    assert short.message.startswith("the time was up within a sweep, which does not count; best_response used its time")


@pytest.mark.parametrize("method", ["best_response", "auto"])
def test_an_order_is_sought_within_the_time(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    game = nng.Network.generate("dag", 0, size=3000).game()
    monkeypatch.setattr(deadlines, "time", Clock())
    options = {"order": "topological"} if method == "best_response" else {}
    result = nng.solve(game, method, max_seconds=0.5, **options)
    assert (result.status, result.iterations) == (Status.MAX_SECONDS, 0)
    np.testing.assert_array_equal(result.profile, np.zeros(game.size))
    assert result.residual == game.residual(result.profile)
    monkeypatch.undo()
    assert nng.solve(game, method, **options).converged


def test_an_automatic_run_proves_nothing_that_takes_longer_than_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    """And does not say that nothing is proved: it ends with its time."""
    monkeypatch.setattr(bounds, "EIGENVALUES", 1e6)
    game = expanding()
    began = time.perf_counter()
    result = nng.solve(game, max_seconds=3)
    assert result.status is Status.MAX_SECONDS
    assert result.message.endswith("see nngames certify for what is proved about this game")
    assert time.perf_counter() - began < 60
    with ends_within(3), pytest.raises(TimeUpError):
        list(licensed_schemes(game))
    resorts = last_resorts(game, lambda: 1.0)
    with ends_within(3):
        with pytest.raises(TimeUpError):
            [resort.steps for resort in resorts]
        # Schemes were tried all the same.
        assert next(last_resorts(game, lambda: 1.0)).scheme.name == "anderson"
    monkeypatch.undo()
    assert nng.solve(game, max_seconds=60).status is not Status.MAX_SECONDS


@pytest.mark.parametrize("method", ["extragradient", "golden_ratio"])
def test_a_step_size_that_takes_longer_than_the_run_has_ends_it(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "EIGENVALUES", 1e6)
    game = ring_of_neurons()
    result = nng.solve(game, method, start=np.ones(5), max_seconds=60)
    assert (result.status, result.iterations) == (Status.MAX_SECONDS, 0)
    assert result.message == f"{method} used its time before its first step: try a larger --max-seconds"
    np.testing.assert_array_equal(result.profile, np.ones(5))
    assert result.residual == game.residual(np.ones(5))
    if method == "extragradient":
        batch = nng.solve_batch(game, np.ones((2, 5)), method, max_seconds=60)
        assert set(batch.statuses) == {Status.MAX_SECONDS}
        np.testing.assert_array_equal(batch.profiles, np.ones((2, 5)))
    monkeypatch.undo()
    assert nng.solve(game, method, max_seconds=60).converged


def test_the_gap_of_a_run_without_time_to_begin_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A layer that feeds itself has a matrix in its cost, whose eigenvalues its best responses need."""
    weight = -np.array([[2.0, 1.0], [1.0, 3.0]])
    game = nng.Network.recurrent(weight, [1.0, -1.0], "relu").game("layers")
    monkeypatch.setattr(bounds, "EIGENVALUES", 1e6)
    result = nng.solve(game, "extragradient", start=np.ones(2), max_seconds=60, trace_nash_gap=True)
    assert (result.status, result.iterations) == (Status.MAX_SECONDS, 0)
    np.testing.assert_array_equal(result.trace.nash_gap, [game.nash_gap(np.ones(2))])


def test_no_end_outlives_a_run_that_is_interrupted_before_it_is_reset(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: ends_within, *raised: object) -> None:
        raise KeyboardInterrupt

    game = ring_of_neurons()
    monkeypatch.setattr(ends_within, "__exit__", interrupted)
    with pytest.raises(KeyboardInterrupt):
        nng.solve(game, "picard", max_seconds=60)
    assert ending() == np.inf
    with pytest.raises(KeyboardInterrupt):
        nng.solve_batch(game, np.ones((2, 5)), "picard", max_seconds=60)
    assert ending() == np.inf


def test_what_a_callback_computes_has_no_end_and_is_not_charged() -> None:
    game, ends = ring_of_neurons(), []
    result = nng.solve(game, "picard", max_seconds=60, callback=lambda _: ends.append(ending()))
    assert result.converged
    assert set(ends) == {np.inf}
