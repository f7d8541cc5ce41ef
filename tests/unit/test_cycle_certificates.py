"""Certified gains are those of the game's own data, self-loops included; searches survive responses that run away."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

import nngames as nng
from nngames.checks.cycle_certificates import Certifier


def test_the_gain_with_a_self_loop_is_that_of_the_weight_not_of_the_rounded_metric() -> None:
    # 1 - 0.1 is rounded in floats; J(z) = z^2/2 - w z^2/2 - z u exactly.
    game = nng.Network.graph({(1, 1): 0.1, (1, 2): 1.0, (2, 1): -1.0}, {1: [0.0], 2: [0.0]}, "identity").game()
    before, after = np.array([2.0, 1.0]), np.array([1.0, 1.0])
    own = (1 - Fraction(0.1)) / 2
    for players in ("layers", "neurons"):
        game = game.network.game(players=players)
        step = Certifier(game).deviation(game.players[0], before, after)
        assert step is not None
        assert step.gain == own * 4 - 2 - (own - 1)
        assert Fraction(1 - 0.1) != 1 - Fraction(0.1)


def test_the_exact_response_with_a_self_loop_is_that_of_the_weight() -> None:
    game = nng.Network.graph({(1, 1): 0.1, (1, 2): 1.0}, {1: [0.0], 2: [1.0]}, "identity").game()
    certifier = Certifier(game)
    from nngames.checks.exact_game import rationals
    from nngames.core.exact import fraction

    response = certifier.response(1, rationals(np.array([0.0, 1.0])))
    assert response is not None
    assert fraction(response[0]) == 1 / (1 - Fraction(0.1))


def test_the_input_of_a_chain_is_weighted_exactly() -> None:
    # In floats the input's product, 1e17 + 1 - 1e17, is 0.
    network = nng.Network.chain(
        [[[1e17, 1.0, -1e17]], [[1.0]]], [[0.0], [0.0]], ["relu", "relu"], input=[1.0, 1.0, 1.0]
    )
    for cost in ("proximal", "tracking"):
        game = network.game(cost=cost)
        step = Certifier(game).deviation(1, np.array([0.0, 0.0]), np.array([1.0, 0.0]))
        assert step is not None
        assert step.gain == Fraction(1, 2)
        assert step.best_response


def test_sweeps_that_run_away_from_a_box_with_a_metric_end_the_search_quietly() -> None:
    rng = np.random.default_rng(0)
    loop = np.array([[0.1, 0.05], [0.05, -0.2]])
    weights = {(1, 1): loop, (1, 2): 9 * rng.normal(size=(2, 2)), (2, 1): 9 * rng.normal(size=(2, 2))}
    game = nng.Network.graph(weights, {1: [1.0, 1.0], 2: [0.5, -1.0]}, {1: "nonnegative", 2: "identity"}).game()
    report = nng.check_potential(game, seed=0, max_seconds=0.2)
    assert report.exact.refuted
