"""Asynchronous best responses: their bound at every sweep, their order and their delays."""

from __future__ import annotations

from collections import Counter
from itertools import islice, pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import nngames as nng
from nngames.core import references

Array = NDArray[np.float64]


def contraction(seed: int, players: int, n: int, row_sum: float = 0.9, neurons: bool = False) -> tuple[Any, Array]:
    """A graph game with identity responses whose equilibrium is drawn first, and that equilibrium."""
    rng = np.random.default_rng(seed)
    names = [f"p{i}" for i in range(players)]
    units = rng.uniform(0.1, 10.0, players)
    shares = rng.random((players, players)) * (rng.random((players, players)) < 0.7)
    np.fill_diagonal(shares, 0.0)
    sums = shares.sum(axis=1)
    shares *= np.where(sums > 0, row_sum / np.where(sums > 0, sums, 1), 0.0)[:, None]
    weights, outputs = {}, {name: rng.standard_normal(n) for name in names}
    for i, k in enumerate(names):
        for j, m in enumerate(names):
            if shares[i, j] > 0:
                # Signed permutations: |W_kl| = share u_k / u_l is attained in every direction.
                turn = np.eye(n)[rng.permutation(n)] * rng.choice([-1.0, 1.0], n)
                weights[k, m] = shares[i, j] * units[i] / units[j] * turn
    biases = {
        k: outputs[k] - sum((weights[k, m] @ outputs[m] for m in names if (k, m) in weights), np.zeros(n))
        for k in names
    }
    network = nng.Network.graph(weights, biases, "identity")
    return network.game("neurons" if neurons else "auto"), np.concatenate([outputs[k] for k in names])


@settings(max_examples=80, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 2**32 - 1),
    players=st.integers(2, 7),
    n=st.integers(1, 3),
    delay=st.integers(0, 25),
    damping=st.sampled_from([1.0, 0.6]),
    neurons=st.booleans(),
)
def test_the_bound_holds_at_every_sweep(
    seed: int, players: int, n: int, delay: int, damping: float, neurons: bool
) -> None:
    game, equilibrium = contraction(seed, players, n, neurons=neurons)
    solver = nng.solver("best_response", order="asynchronous", delay=delay, damping=damping)
    guarantee = solver.guarantee(game)
    assert guarantee.proved, guarantee
    rate, factor = guarantee.rate, guarantee.witness["factor"]
    sweeps = 1 + -(-delay // len(game.players))
    assert guarantee.witness["sweeps"] == sweeps
    assert factor <= (1 - 0.1 * damping) * (1 + 1e-6)
    start = equilibrium + np.random.default_rng(seed).standard_normal(game.size)
    initial = rate.norm(start - equilibrium)
    for iterate in islice(solver.iterate(game, start=start, seed=seed), 60):
        bound = rate.bound(iterate.iteration, initial)
        assert bound == pytest.approx(factor ** -(-iterate.iteration // sweeps) * initial)
        assert rate.norm(iterate.profile - equilibrium) <= bound * (1 + 1e-9) + 1e-12 * (1 + initial)


def test_with_delays_a_single_sweep_need_not_contract() -> None:
    # Delays of up to 2N - 1 events let an answer hear what was there before the last sweep.
    game, equilibrium = contraction(3, 2, 1, row_sum=0.5)
    start = equilibrium + np.array([1.0, 1.0])
    failed = 0
    for seed in range(20):
        solver = nng.solver("best_response", order="asynchronous", delay=3)
        rate = solver.guarantee(game).rate
        states = list(islice(solver.iterate(game, start=start, seed=seed), 6))
        distances = [rate.norm(state.profile - equilibrium) for state in states]
        failed += any(after > 0.51 * before + 1e-15 for before, after in pairwise(distances))
    assert failed > 0


@pytest.mark.parametrize("delay", [0, 1, 3, 7, 40])
def test_order_and_delays_are_those_stated(delay: int, monkeypatch: pytest.MonkeyPatch) -> None:
    game, _ = contraction(1, 6, 2)
    heard: list[tuple[Any, Array, Array]] = []
    answer = game.answer

    def recorded(player: Any, x: Array) -> Array:
        action = answer(player, x)
        heard.append((player, x.copy(), action.copy()))
        return action

    monkeypatch.setattr(game, "answer", recorded)
    start = np.random.default_rng(0).standard_normal(game.size)
    solver = nng.solver("best_response", order="asynchronous", delay=delay)
    last = list(islice(solver.iterate(game, start=start, seed=5), 41))[-1].profile
    slices, count = game.space.slices, len(game.players)
    assert len(heard) == 40 * count
    for first in range(0, len(heard), count):
        assert {player for player, _, _ in heard[first : first + count]} == set(game.players)
    for first in range(len(heard) - 2 * count + 2):
        assert {player for player, _, _ in heard[first : first + 2 * count - 1]} == set(game.players)
    # The profiles after each event, rebuilt from the answers alone.
    history = [start]
    lags: Counter[int] = Counter()
    for player, profile, action in heard:
        for other in game.players:
            ages = range(min(delay, len(history) - 1) + 1)
            seen = profile[slices[other]]
            fits = [age for age in ages if np.array_equal(history[-1 - age][slices[other]], seen)]
            assert fits, "an action that was never played within the delay"
            assert other != player or 0 in fits
            lags[fits[0]] += other != player
        following = history[-1].copy()
        following[slices[player]] += action - following[slices[player]]
        history.append(following)
    np.testing.assert_allclose(history[-1], last, rtol=1e-12, atol=1e-14)
    assert (max(lags) > delay / 2) if delay else (max(lags) == 0)


def test_the_residual_is_that_of_the_profile_and_its_pass_is_counted() -> None:
    game, _ = contraction(2, 5, 2)
    solver = nng.solver("best_response", order="asynchronous", delay=4)
    for iterate in islice(solver.iterate(game, start=np.ones(game.size), seed=0), 20):
        assert iterate.residual == pytest.approx(game.residual(iterate.profile), rel=1e-12, abs=1e-15)
        assert iterate.evaluations == 1 + 2 * iterate.iteration


def test_runs_are_repeated_by_their_seed() -> None:
    game, equilibrium = contraction(4, 5, 2)
    options = {"order": "asynchronous", "delay": 6}
    runs = [nng.solve(game, "best_response", seed=seed, tolerance=1e-12, **options) for seed in (1, 1, 2)]
    assert all(run.converged for run in runs)
    np.testing.assert_array_equal(runs[0].trace.residual, runs[1].trace.residual)
    assert runs[0].trace.residual.tolist() != runs[2].trace.residual.tolist()
    np.testing.assert_allclose(runs[2].profile, equilibrium, atol=1e-9)
    guarantee = nng.solver("best_response", **options).guarantee(game)
    assert set(guarantee.references) <= set(references.keys())
    assert "3 sweeps with delays of up to 6 events contract by" in guarantee.statement


@pytest.mark.parametrize("delay", [0, 1, 30])
def test_a_self_loop_and_a_quadratic_game(delay: int) -> None:
    rng = np.random.default_rng(0)
    names = ("a", "b", "c")
    quadratic = nng.QuadraticGame(
        {k: 3 * np.eye(3) for k in names},
        {(k, m): rng.standard_normal((3, 3)) / 4 for k in names for m in names if k != m},
        {k: rng.standard_normal(3) for k in names},
        {"a": "nonnegative", "b": "simplex"},
    )
    loop = nng.Network.recurrent(0.3 * np.array([[1.0, -1.0], [0.5, 1.0]]), [1.0, -2.0], "tanh").game("neurons")
    for game in (quadratic, loop):
        solver = nng.solver("best_response", order="asynchronous", delay=delay)
        rate = solver.guarantee(game).rate
        equilibrium = nng.solve(game, "best_response", tolerance=1e-15, max_iterations=300).profile
        start = np.ones(game.size)
        initial = rate.norm(start - equilibrium)
        for iterate in islice(solver.iterate(game, start=start, seed=1), 100):
            bound = rate.bound(iterate.iteration, initial)
            assert rate.norm(iterate.profile - equilibrium) <= bound * (1 + 1e-9) + 1e-12


def test_without_a_contraction_nothing_is_proved_and_delays_can_undo_convergence() -> None:
    # x_1 = x_2, x_2 = -x_1: one after the other is a rotation by 180 degrees, and never converges.
    game = nng.Network.ring([1.0, -1.0], [0.0, 0.0], ["identity"] * 2).game()
    solver = nng.solver("best_response", order="asynchronous", delay=2)
    assert not solver.guarantee(game).proved
    assert not nng.solve(game, solver, start=[1.0, 1.0], seed=0, max_iterations=200).converged


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"delay": 2}, "best_response: delay=2 is for order='asynchronous'; the order is 'sequential'"),
        ({"delay": 1, "order": "random"}, "best_response: delay=1 is for order='asynchronous'; the order is 'random'"),
        ({"delay": -1, "order": "asynchronous"}, "best_response: delay must be a nonnegative integer; got -1"),
        ({"delay": 1.5, "order": "asynchronous"}, "best_response: delay must be a nonnegative integer; got 1.5"),
        (
            {"order": "asynchronus"},
            "best_response: order='asynchronus' is unknown; valid: sequential, simultaneous, random, asynchronous, "
            "topological",
        ),
    ],
)
def test_wrong_options_are_refused_exactly(options: dict[str, Any], message: str) -> None:
    with pytest.raises(nng.OptionError) as caught:
        nng.solver("best_response", **options)
    assert str(caught.value) == message
