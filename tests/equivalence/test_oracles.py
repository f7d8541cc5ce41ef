"""The second route against the first: costs minimised through the penalty, best responses from the forward pass."""

from __future__ import annotations

import numpy as np
import pytest

import nngames as nng
from nngames.activations.foundations.projections import SetProjection
from nngames.core.errors import NotApplicableError, OptionError
from nngames.games.oracles import minimise_cost

#: Relative accuracy of the costs, as the oracles' docstring states it.
ACCURACY = 1e-9


def games_of(name, seed, n=3):
    rng = np.random.default_rng(seed)
    activation = nng.activation(name)
    n = activation.size or n
    weights = [rng.normal(size=(n, n)) for _ in range(2)]
    return nng.Network.ring(weights, [rng.normal(size=n) for _ in range(2)], [activation] * 2).game()


def fits(game, engine):
    """Return whether the engine takes the cost of player 1."""
    try:
        minimise_cost(game, 1, np.zeros(game.size), engine)
    except NotApplicableError:
        return False
    return True


def disagreement(game, player, profile, engine):
    """Return the relative difference of the two least costs, and the squared distance of the actions over its bound."""
    action, cost = minimise_cost(game, player, profile, engine)
    answered = np.array(profile)
    answered[game.space.slice(player)] = game.best_response(player, profile)
    least = game.cost(player, answered)
    at_action = np.array(profile)
    at_action[game.space.slice(player)] = action
    assert game.cost(player, at_action) == cost
    return (cost - least) / max(1.0, abs(least)), action - game.best_response(player, profile)


def is_total(name):
    """Whether the activation takes every layer into itself, so that a ring with random weights has a game."""
    activation = nng.activation(name)
    inputs = getattr(activation, "inputs", None)
    return activation.self_map and (inputs is None or (inputs.lower, inputs.upper) == (-np.inf, np.inf))


@pytest.mark.parametrize("engine", ["cvxpy", "scipy", "auto"])
@pytest.mark.parametrize("name", [name for name in nng.activations() if is_total(name)])
def test_costs_minimised_through_the_penalty_are_those_of_the_best_response(name, engine):
    game = games_of(name, 1)
    if not fits(game, engine):
        assert engine != "auto", "some engine must take every cost"
        return
    rng = np.random.default_rng(2)
    for scale in (0.01, 0.3, 1.0, 10.0):
        profile = scale * rng.normal(size=game.size)
        difference, distance = disagreement(game, 1, profile, engine)
        assert abs(difference) <= ACCURACY
        if game.cost_name == "proximal" and 0 < game.own[1].modulus < np.inf:
            # Strong convexity: a cost within e of the least one is reached within sqrt(2 e / m) of the best response.
            bound = 2 * ACCURACY * max(1.0, abs(game.cost(1, profile))) / game.own[1].modulus
            if np.isfinite(bound):
                assert distance @ distance <= bound


@pytest.mark.parametrize("name", ["identity", "tanh", "softplus_beta", "relu", "hard_tanh"])
@pytest.mark.parametrize("engine", ["scipy", "auto"])
def test_neurons_with_self_loops(name, engine):
    rng = np.random.default_rng(3)
    weight = rng.normal(size=(4, 4))
    np.fill_diagonal(weight, [-2.0, 0.0, 0.4, 0.9])
    game = nng.Network.recurrent(weight, rng.normal(size=4), name).game("neurons")
    profile = game.best_responses(rng.normal(size=4))
    for player in game.players:
        difference, _ = disagreement(game, player, profile, engine)
        assert abs(difference) <= ACCURACY


METRICS = {
    "identity": np.eye(3),
    "diagonal": np.diag([0.5, 1.0, 3.0]),
    "dense": np.array([[2.0, 0.5, 0.0], [0.5, 1.0, -0.3], [0.0, -0.3, 0.7]]),
}


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("engine", ["cvxpy", "scipy", "auto"])
@pytest.mark.parametrize("penalty", [None, "nonnegative", "box", "simplex", "ball", "halfspace", "tanh"])
def test_quadratic_games(penalty, engine, metric):
    rng = np.random.default_rng(4)
    options = {"halfspace": {"normal": [1.0, 2.0, -1.0], "offset": 0.5}}.get(penalty, {})
    penalties = {} if penalty is None else {1: nng.activation(penalty, **options)}
    game = nng.QuadraticGame(
        quadratic={1: METRICS[metric], 2: np.eye(2)},
        coupling={(1, 2): rng.normal(size=(3, 2)), (2, 1): rng.normal(size=(2, 3))},
        linear={1: rng.normal(size=3)},
        penalties=penalties,
    )
    if not fits(game, engine):
        assert engine != "auto"
        return
    for scale in (0.3, 2.0):
        profile = scale * rng.normal(size=game.size)
        difference, _ = disagreement(game, 1, profile, engine)
        assert abs(difference) <= ACCURACY


def test_large_layers_are_minimised_at_once():
    game = games_of("tanh", 5, n=60)
    profile = np.random.default_rng(6).normal(size=game.size)
    difference, _ = disagreement(game, 2, profile, "auto")
    assert abs(difference) <= ACCURACY


def test_a_saturated_response_is_found_at_the_end_of_its_interval():
    for name, low, high in (("sigmoid", 0.0, 1.0), ("tanh", -1.0, 1.0), ("relu", 0.0, None)):
        game = nng.Network.ring([[[1.0]], [[1.0]]], [[0.0], [0.0]], [name, "identity"]).game()
        for drive in (-40.0, -25.0, 25.0):
            action, cost = minimise_cost(game, 1, [0.0, drive], "scipy")
            answered = [float(game.best_response(1, [0.0, drive])[0]), drive]
            assert cost - game.cost(1, answered) <= ACCURACY * max(1.0, abs(cost))
            assert action[0] >= low
            assert high is None or action[0] <= high


def test_a_response_that_does_not_fit_its_penalty_is_found_out():
    """The routes share no code: a wrong forward pass shows as a cost that the oracle undercuts."""
    game = games_of("tanh", 7)
    profile = np.random.default_rng(8).normal(size=game.size)
    wrong = np.array(profile)
    wrong[game.space.slice(1)] = 0.9 * game.best_response(1, profile)
    _, least = minimise_cost(game, 1, profile)
    assert game.cost(1, wrong) - least > 1e-4


def test_the_sets_among_the_activations_are_covered():
    sets = [name for name in nng.activations() if isinstance(nng.activation(name), SetProjection)]
    assert {"box", "simplex", "ball", "polyhedron"} <= set(sets)


def test_unknown_engines_and_unfit_ones_say_so():
    game = games_of("tanh", 9)
    with pytest.raises(OptionError, match=r"unknown engine 'cvx'; valid: auto, cvxpy, scipy"):
        minimise_cost(game, 1, np.zeros(game.size), "cvx")
    with pytest.raises(NotApplicableError, match="no convex CVXPY expression: use scipy"):
        minimise_cost(games_of("softplus_beta", 9), 1, np.zeros(6), "cvxpy")
    with pytest.raises(NotApplicableError, match="use scipy"):
        minimise_cost(games_of("silu", 9), 1, np.zeros(6), "cvxpy")
    with pytest.raises(NotApplicableError, match="no SciPy route is known for the penalty of 'ball': use cvxpy"):
        minimise_cost(games_of("ball", 9), 1, np.zeros(6), "scipy")
