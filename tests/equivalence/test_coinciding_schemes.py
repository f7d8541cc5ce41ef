"""Schemes that must coincide, iterate by iterate: orders of best responses, SuperMann, Broyden and the relaxed step."""

from __future__ import annotations

from itertools import islice
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import nngames as nng
from nngames.solvers.broyden import InverseJacobian

Array = NDArray[np.float64]


def ring(seed: int, layers: int = 4, n: int = 5, norm: float = 0.8) -> Any:
    rng = np.random.default_rng(seed)
    weights = [norm * rng.standard_normal((n, n)) / np.sqrt(n) for _ in range(layers)]
    return nng.Network.ring(weights, list(rng.standard_normal((layers, n))), ["tanh"] * layers)


def graph(seed: int, players: int = 6, n: int = 3) -> Any:
    rng = np.random.default_rng(seed)
    names = [f"p{i}" for i in range(players)]
    weights = {
        (a, b): 0.5 * rng.standard_normal((n, n)) / players
        for a in names
        for b in names
        if a != b and rng.random() < 0.6
    }
    return nng.Network.graph(weights, {name: rng.standard_normal(n) for name in names}, "sigmoid")


def quadratic(seed: int) -> Any:
    rng = np.random.default_rng(seed)
    names = ("a", "b", "c")
    return nng.QuadraticGame(
        {k: 3 * np.eye(2) for k in names},
        {(k, m): rng.standard_normal((2, 2)) / 3 for k in names for m in names if k != m},
        {k: rng.standard_normal(2) for k in names},
        {"a": "nonnegative"},
    )


GAMES = [
    pytest.param(ring(0).game(), id="ring"),
    pytest.param(graph(1).game(), id="graph"),
    pytest.param(graph(2).game("neurons"), id="neurons"),
    pytest.param(quadratic(3), id="quadratic"),
]


class InTurn(np.random.Generator):
    """A generator that leaves the players in their order and draws one fixed lag for each event."""

    def __init__(self, lags: Any = lambda event: 0) -> None:
        super().__init__(np.random.PCG64(0))
        self.lags, self.event = lags, 0

    def permutation(self, count: Any, axis: int = 0) -> Any:
        return np.arange(count)

    def integers(
        self, low: Any, high: Any = None, size: Any = None, dtype: Any = np.int64, endpoint: bool = False
    ) -> Any:
        self.event += 1
        # No draw is made at the first event of all, at which nobody has answered yet.
        return np.full(size, self.lags(self.event))


def profiles(method: str, game: Any, count: int, seed: Any = 7, **options: Any) -> Array:
    """Return the profiles of the first iterates of a scheme."""
    start = np.random.default_rng(0).standard_normal(game.size)
    steps = nng.solver(method, **options).iterate(game, start=start, seed=seed)
    return np.array([iterate.profile for iterate in islice(steps, count)])


# Best responses


@pytest.mark.parametrize("game", GAMES)
@pytest.mark.parametrize("damping", [1.0, 0.4])
def test_asynchronous_without_delay_is_random(game: Any, damping: float) -> None:
    np.testing.assert_array_equal(
        profiles("best_response", game, 15, order="asynchronous", damping=damping),
        profiles("best_response", game, 15, order="random", damping=damping),
    )


@pytest.mark.parametrize("game", GAMES)
@pytest.mark.parametrize("delay", [0, 5])
def test_asynchronous_in_turn_without_lags_is_sequential(game: Any, delay: int) -> None:
    np.testing.assert_array_equal(
        profiles("best_response", game, 15, seed=InTurn(), order="asynchronous", delay=delay),
        profiles("best_response", game, 15, order="sequential"),
    )


@pytest.mark.parametrize("game", GAMES)
@pytest.mark.parametrize("damping", [1.0, 0.4])
def test_asynchronous_in_turn_that_hears_the_last_sweep_is_simultaneous(game: Any, damping: float) -> None:
    # The j-th player of a sweep hears what was there j events before: no answer of its own sweep.
    count = len(game.players)
    hears_the_last_sweep = InTurn(lambda event: event % count)
    np.testing.assert_allclose(
        profiles(
            "best_response",
            game,
            15,
            seed=hears_the_last_sweep,
            order="asynchronous",
            delay=count - 1,
            damping=damping,
        ),
        profiles("best_response", game, 15, order="simultaneous", damping=damping),
        rtol=1e-12,
        atol=1e-14,
    )


@pytest.mark.parametrize("seed", range(3))
def test_sequential_best_responses_of_a_ring_are_composite_picard(seed: int) -> None:
    game = ring(seed).game()
    last = game.space.slices[game.players[-1]]
    np.testing.assert_allclose(
        profiles("best_response", game, 10)[:, last], profiles("picard", game, 10)[:, last], rtol=1e-13, atol=1e-15
    )


@pytest.mark.parametrize("game", GAMES)
def test_simultaneous_best_responses_are_joint_picard_and_km_at_one(game: Any) -> None:
    picard = profiles("picard", game, 12, map="joint")
    np.testing.assert_array_equal(profiles("km", game, 12, relaxation=1.0, map="joint"), picard)
    np.testing.assert_allclose(
        profiles("best_response", game, 12, order="simultaneous"), picard, rtol=1e-12, atol=1e-14
    )


# SuperMann


@pytest.mark.parametrize(("relaxation", "averagedness"), [(1.0, 1.0), (1.4, 1.0), (0.6, 0.5)])
@pytest.mark.parametrize("kind", ["composite", "joint"])
def test_supermann_without_directions_is_km(
    relaxation: float, averagedness: float, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(InverseJacobian, "__call__", lambda self, g: np.full_like(g, np.nan))
    game = ring(1).game()
    np.testing.assert_allclose(
        profiles("supermann", game, 20, relaxation=relaxation, averagedness=averagedness, map=kind),
        profiles("km", game, 20, relaxation=relaxation / (2 * averagedness), map=kind),
        rtol=1e-13,
        atol=1e-15,
    )


def test_supermann_that_keeps_to_its_candidates_is_broyden() -> None:
    # Every step lowers the residual enough for both, and the memory lasts for all of them.
    game = ring(2, layers=3, n=8, norm=0.5).game()
    last = game.space.slices[game.players[-1]]
    supermann = profiles("supermann", game, 7, memory=30)
    np.testing.assert_allclose(supermann[:, last], profiles("broyden", game, 7, memory=30)[:, last], rtol=1e-9)


def test_supermann_without_memory_on_a_contraction_is_picard() -> None:
    # H = -Id proposes R(x) itself, which lowers the residual by the contraction factor at least.
    game = ring(3, layers=2, n=6, norm=0.3).game()
    assert nng.solver("picard").guarantee(game).margin > 0.01
    np.testing.assert_allclose(
        profiles("supermann", game, 12, memory=0), profiles("picard", game, 12), rtol=1e-13, atol=1e-15
    )
