"""Relaxed steps that follow the compiled plain passes of an automatic run in the same call: promises and whole runs."""

from __future__ import annotations

import numpy as np
import pytest

import nngames as nng
from nngames.networks.compiled import fused_promises
from nngames.results.result import Status
from nngames.solvers.automatic import costs, forecast, stages

pytestmark = pytest.mark.usefixtures("dense_kernels")


def iso(seed: int, size: int, layers: int = 1) -> nng.NetworkGame:
    players = "neurons" if layers == 1 else "auto"
    return nng.Network.generate("iso", seed, size=size, layers=layers).game(players=players)


def powers(matrix: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the displacements J^j g_0 of plain passes (count, 1, n), and their norms."""
    vectors = [np.random.default_rng(1).standard_normal(len(matrix))]
    for _ in range(count - 1):
        vectors.append(matrix @ vectors[-1])
    rows = np.array(vectors)
    return rows[:, np.newaxis], np.linalg.norm(rows, axis=1)


def rotation(angles: list[float], scale: float = 1.0) -> np.ndarray:
    matrix = np.zeros((2 * len(angles), 2 * len(angles)))
    for k, angle in enumerate(angles):
        c, s = np.cos(angle), np.sin(angle)
        matrix[2 * k : 2 * k + 2, 2 * k : 2 * k + 2] = scale * np.array([[c, -s], [s, c]])
    return matrix


@pytest.mark.parametrize("angle", [np.pi / 3, 2.0, 3.0])
def test_what_is_promised_on_a_rotation_is_kept_exactly(angle: float) -> None:
    """One angle t: the eigenvalues of (Id + J)/2 have modulus cos(t/2), and so each relaxed step falls by that."""
    rows, norms = powers(rotation([angle]), 7)
    assert fused_promises.relaxed_fall(rows, norms, 1.0) == pytest.approx(-np.log(np.cos(angle / 2)))


def test_the_promise_is_that_of_a_forecast() -> None:
    rows, norms = powers(rotation([1.2, 2.0, 3.0], 0.99), 7)
    factors = forecast.Factors(rows[:, 0])
    fall = fused_promises.relaxed_fall(rows, norms, forecast.CAUTION)
    assert fall == pytest.approx(-np.log(factors.relaxed))
    assert fall > -np.log(factors.plain)


@pytest.mark.parametrize(
    ("matrix", "why"),
    [
        (rotation([2.0], 1.01), "the passes raise the residual"),
        (0.5 * np.eye(2), "plain steps fall by more"),
        (np.eye(2), "means do not fall"),
        (np.full((2, 2), np.nan), "not a number"),
    ],
)
def test_nothing_is_promised(matrix: np.ndarray, why: str) -> None:
    rows, norms = powers(matrix, 7)
    assert fused_promises.relaxed_fall(rows, norms, 1.0) == 0.0, why


def test_one_pass_that_raised_the_residual_is_enough() -> None:
    rows, norms = powers(rotation([2.0]), 7)
    norms[0] *= 0.9
    assert fused_promises.relaxed_fall(rows, norms, 1.0) == 0.0


@pytest.mark.parametrize(("size", "layers"), [(5, 1), (20, 1), (20, 2)])
def test_a_rotation_is_solved_without_a_pause(size: int, layers: int) -> None:
    """Seven plain passes, then steps with relaxation 1/2 from where these are, each with one pass."""
    game = iso(0, size, layers)
    result = nng.solve(game)
    assert result.method == "auto:km"
    assert "picard: promised" in result.message
    assert result.evaluations == result.iterations + 1
    view = game.fixed_point()
    x, residuals = np.array(view.restrict(np.zeros(game.size))), []
    for k in range(result.iterations + 1):
        g = view.evaluate(x, np.empty_like(x)) - x
        residuals.append(np.linalg.norm(g))
        x = x + (1.0 if k < costs.DISPLACEMENTS else 0.5) * g
    np.testing.assert_allclose(result.trace.residual, residuals, rtol=1e-6, atol=1e-13)


@pytest.mark.parametrize("budget", [5, 7, 8, 60, 121])
def test_no_step_is_made_beyond_the_budget(budget: int) -> None:
    """Nor are relaxed steps begun that promise to need more: 122 are made of all."""
    result = nng.solve(iso(0, 20), max_iterations=budget)
    assert result.iterations <= budget
    assert len(result.trace.residual) == result.iterations + 1
    assert result.status is (Status.MAX_ITERATIONS if budget < 8 else Status.CONVERGED)
    assert result.method != "auto:km"


def test_steps_that_would_end_just_below_the_budget_are_not_begun() -> None:
    """They promise to need a few less than they do, and nobody else would have a turn."""
    game = iso(17, 20)
    needed = nng.solve(game)
    assert needed.method == "auto:km"
    result = nng.solve(game, max_iterations=needed.iterations - 4)
    assert (result.status, result.method) == (Status.CONVERGED, "auto:newton")


def test_steps_that_break_their_promise_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """As those of a map that only seems to be nonexpansive do: here they promise to fall twelve times as fast."""
    monkeypatch.setattr(stages, "RELAXED_CAUTION", 12 * costs.RELAXED_CAUTION)
    result = nng.solve(iso(0, 20))
    assert (result.status, result.method) == (Status.CONVERGED, "auto:newton")
    assert f"after {fused_promises.WATCHED} steps" in result.message


def test_steps_that_keep_their_pace_go_on_beyond_what_they_promised(monkeypatch: pytest.MonkeyPatch) -> None:
    game, most = iso(0, 20), 106
    monkeypatch.setattr(stages, "RELAXED_CAUTION", 0.765)
    object.__setattr__(costs.costs_of(game, compiled=True), "relaxed", most)
    result = nng.solve(game)
    assert (result.status, result.method) == (Status.CONVERGED, "auto:km")
    assert costs.DISPLACEMENTS + most < result.iterations < costs.DISPLACEMENTS + 1.25 * most
    assert result.evaluations == result.iterations + 1


def test_acyclic_networks_have_plain_passes_only() -> None:
    rng = np.random.default_rng(0)
    chain = nng.Network.recurrent(np.tril(rng.standard_normal((6, 6)), -1), rng.standard_normal(6), "tanh")
    assert costs.costs_of(chain.game(players="neurons"), compiled=True).relaxed == 0
    assert costs.costs_of(iso(0, 6), compiled=True).relaxed > 0
