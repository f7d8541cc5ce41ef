"""Solved games and their results can be pickled and copied, whatever they keep; the copies answer as they do."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest
from scipy import sparse

import nngames as nng
from nngames.core.exact import rational
from nngames.networks import from_base


def dense(count: int = 1, activation: str = "relu", **options: str) -> nng.NetworkGame:
    rng = np.random.default_rng(0)
    weights = [0.05 * rng.standard_normal((20, 20)) for _ in range(count)]
    biases = [rng.standard_normal(20) for _ in range(count)]
    if count == 1:
        return nng.Network.recurrent(weights[0], biases[0], activation).game(**options)
    return nng.Network.ring(weights, biases, [activation] * count).game(**options)


def thin() -> nng.NetworkGame:
    weight = sparse.random(600, 600, 0.01, random_state=1) * 0.3
    return nng.Network.recurrent(sparse.csr_array(weight), np.ones(600), "tanh").game()


def quadratic() -> nng.QuadraticGame:
    coupling = np.random.default_rng(0).standard_normal((3, 3))
    games = {1: 2 * np.eye(3), 2: np.diag([1.0, 2.0, 3.0])}
    return nng.QuadraticGame(games, {(1, 2): coupling, (2, 1): -coupling.T}, penalties={1: "nonnegative"})


GAMES = {
    "dense": dense,
    "neurons": lambda: dense(players="neurons"),
    "ring": lambda: dense(5, "tanh"),
    "tracking": lambda: dense(2, "gelu"),
    "sparse": thin,
    "quadratic": quadratic,
}


@pytest.mark.parametrize("method", ["auto", "picard", "newton", "anderson", "best_response", "douglas_rachford"])
@pytest.mark.parametrize("kind", GAMES)
def test_a_solved_game_has_copies(kind: str, method: str) -> None:
    make: Callable[[], nng.NetworkGame] = GAMES[kind]
    game = make()
    if method != "auto" and nng.solver(method).applies(game) is not None:
        game.residual(np.zeros(game.size))
        method = "picard"
    result = nng.solve(game, method, max_iterations=20)
    size = len(pickle.dumps(make()))
    for again in (pickle.loads(pickle.dumps(game)), copy.deepcopy(game), copy.copy(game)):
        x = np.random.default_rng(1).standard_normal(game.size)
        np.testing.assert_array_equal(again.residuals(x), game.residuals(x))
        repeated = nng.solve(again, method, max_iterations=20)
        np.testing.assert_array_equal(repeated.profile, result.profile)
        assert repeated.status is result.status
    assert size <= len(pickle.dumps(game)) + 100


@pytest.mark.parametrize(
    ("kind", "method"),
    [("tracking", "auto"), *(("quadratic", method) for method in ("auto", "km", "scipy:hybr", "random"))],
)
def test_results_can_be_pickled_and_say_the_same_afterwards(kind: str, method: str) -> None:
    game: nng.NetworkGame = GAMES[kind]()
    if method == "random":
        # One that ends early, from a start of its own and with a generator.
        result = nng.solve(game, "best_response", np.ones(game.size), max_iterations=1, order="random", seed=2)
    else:
        result = nng.solve(game, method, max_iterations=300)
    untouched = pickle.dumps(result)
    asked = result.guarantee, result.error_bound, result.nash_gap, result.actions
    for again in (pickle.loads(untouched), copy.deepcopy(result)):
        assert again.to_dict() == result.to_dict()
        assert (again.guarantee.statement, again.error_bound, again.nash_gap) == (asked[0].statement, *asked[1:3])
        assert again.actions.keys() == asked[3].keys()
        np.testing.assert_array_equal(again.profile, result.profile)
    # A run's buffers are no part of it.
    assert len(untouched) <= len(pickle.dumps(game)) + 16 * game.size + 64 * len(result.trace.residual) + 20_000


def test_results_come_back_from_another_process() -> None:
    game = dense(2, "tanh")
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        result = pool.submit(nng.solve, game, "km").result()
    here = nng.solve(game, "km")
    np.testing.assert_array_equal(result.profile, here.profile)
    assert result.guarantee.statement == here.guarantee.statement


def test_results_of_batches_and_of_runs_that_were_not_made_can_be_pickled() -> None:
    game = dense(2, "tanh")
    batch = nng.solve_batch(game, np.ones((3, game.size)), "km")
    assert batch.guarantee.proved
    again = pickle.loads(pickle.dumps(batch))
    np.testing.assert_array_equal(again.profiles, batch.profiles)
    assert again.to_dict() == batch.to_dict()
    (skipped,) = nng.compare(game, ["potential_descent"]).rows
    assert skipped.result.status == "skipped"
    assert pickle.loads(pickle.dumps(skipped.result)).message == skipped.result.message


@pytest.mark.parametrize("kind", ["composite", "joint"])
def test_passes_near_a_base_are_no_part_of_a_copy(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(from_base, "LARGE_PRODUCT", 0)
    game = dense(2, "softmax")
    assert game.fixed_point(kind).from_base() is not None
    for again in (pickle.loads(pickle.dumps(game)), copy.deepcopy(game)):
        assert "near" not in vars(again.network.joint)
        assert "near" not in vars(again.network.composite)
        x = np.random.default_rng(1).standard_normal(game.size)
        np.testing.assert_array_equal(again.residuals(x), game.residuals(x))


@pytest.mark.parametrize("name", ["affine", "sinu_sigmoidal", "polyhedron"])
def test_exact_numbers_that_an_activation_derived_are_no_part_of_a_copy(name: str) -> None:
    activation = nng.activation(name)
    activation.flint_response([rational(0.5)] * (activation.size or 1))
    assert len(activation.slope_range) == 2
    for again in (pickle.loads(pickle.dumps(activation)), copy.deepcopy(activation), copy.copy(activation)):
        assert again == activation
        assert again.slope_range == activation.slope_range
