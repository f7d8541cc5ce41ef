"""Where improvement cycles are sought: movers that matter, actions between which they are torn, rounder numbers."""

from __future__ import annotations

import itertools
import time

import numpy as np
import pytest
from flint import arb

import nngames as nng
from nngames.checks.acyclicity import examine_components
from nngames.checks.cycle_certificates import Certifier
from nngames.checks.cycle_rounding import rounded_cycle
from nngames.checks.effective_coupling import effective_coupling, listening_matrix
from nngames.checks.enclosed_best_responses import _follow
from nngames.checks.improvement_cycles import find_improvement_cycle
from nngames.checks.mover_cycles import mover_cycles
from nngames.checks.one_way_players import one_way_players
from nngames.checks.restricted_games import restricted_cycle
from nngames.checks.torn_candidates import torn_candidates


def neurons(weight, activation="identity", bias=None):
    weight = np.asarray(weight, dtype=float)
    bias = np.zeros(len(weight)) if bias is None else bias
    return nng.Network.recurrent(weight, bias, activation).game("neurons")


def movers_of(game, tolerance=1e-12, culprit=()):
    return mover_cycles(game, effective_coupling(game), listening_matrix(game, tolerance), culprit)


# Movers


def test_balanced_pairs_and_balanced_cycles_are_no_movers():
    symmetric = np.array([[0, 1.0, 2.0], [1.0, 0, 3.0], [2.0, 3.0, 0]])
    assert movers_of(neurons(np.diag([1.0, 2.0, 5.0]) @ symmetric)) == []
    broken = symmetric.copy()
    broken[0, 1] = 4.0
    game = neurons(broken)
    one, two, three = game.players
    # 1 hears 2 more than balance allows: the way 2 -> 1 -> 3 -> 2 is the louder one.
    assert [set(c) for c in movers_of(game)] == [{one, two, three}]
    (cycle,) = movers_of(game)
    assert cycle[(cycle.index(two) + 1) % 3] == one


def test_pairs_of_opposed_signs_come_first_and_short_cycles_before_long_ones():
    rng = np.random.default_rng(0)
    game = neurons(rng.normal(size=(6, 6)) * (1 - np.eye(6)))
    found = movers_of(game)
    lengths = [len(c) for c in found]
    assert lengths == sorted(lengths)
    weight = effective_coupling(game).toarray()
    place = {p: i for i, p in enumerate(game.players)}
    opposed = {
        frozenset(pair)
        for pair in itertools.combinations(game.players, 2)
        if weight[place[pair[0]], place[pair[1]]] * weight[place[pair[1]], place[pair[0]]] < 0
    }
    assert {frozenset(c) for c in found if len(c) == 2} == opposed


def test_a_bad_pair_is_found_in_a_large_graph_with_a_weighted_potential():
    rng = np.random.default_rng(1)
    n = 80
    weight = rng.normal(size=(n, n)) / 9
    weight = np.diag(rng.uniform(0.5, 2, n)) @ (np.triu(weight, 1) + np.triu(weight, 1).T)
    weight[70, 75] = -weight[70, 75]
    game = neurons(weight, "tanh")
    culprit = examine_components(game, 1e-12).culprit
    assert set(culprit) == {game.players[70], game.players[75]}
    assert movers_of(game, culprit=culprit)[0] in (culprit, culprit[::-1])
    report = nng.check_potential(game, max_seconds=3.0, seed=0)
    assert {step.mover for step in report.cycle.deviations} == set(culprit)
    assert len(report.cycle.deviations) == 4


# Torn movers


def torn_pairs(game, movers, share=1.0, seed=0):
    return list(torn_candidates(game, effective_coupling(game), movers, np.random.default_rng(seed), share))


@pytest.mark.parametrize("activation", ["identity", "tanh", "relu", "hard_tanh", "softmax", "simplex", "elu"])
def test_movers_are_indifferent_when_the_others_stand_in_the_middle(activation):
    rng = np.random.default_rng(2)
    n = 3
    weights = {(i, k): rng.normal(size=(n, n)) for i, k in itertools.permutations(range(3), 2)}
    game = nng.Network.graph(weights, {i: rng.normal(size=n) for i in range(3)}, activation).game()
    found = torn_pairs(game, (0, 1), share=0.2)
    assert found
    # The two actions of a mover lie in its domain as they are, on both sides of the middle.
    for low, high in torn_pairs(game, (0, 1), share=1.0):
        for mover in (0, 1):
            place = game.space.slices[mover]
            assert np.isfinite(game.cost(mover, low))
            assert np.isfinite(game.cost(mover, high))
        assert restricted_cycle(game, low, high, (0, 1)) is not None
    indifferent = cycles = 0
    for low, high in found:
        middle = (low + high) / 2
        worst = 0.0
        for mover in (0, 1):
            place = game.space.slices[mover]
            ends = []
            for end in (low, high):
                x = middle.copy()
                x[place] = end[place]
                ends.append(game.cost(mover, x))
            assert np.isfinite(ends).all()
            worst = max(worst, abs(ends[1] - ends[0]) / (1 + abs(ends[0])))
        indifferent += worst < 1e-9
        cycles += restricted_cycle(game, low, high, (0, 1)) is not None
    assert indifferent >= 1
    assert cycles >= indifferent


def test_three_movers_need_amplitudes_of_their_own():
    # All couplings agree in sign, and 1 -> 2 -> 3 -> 1 is only just the louder way: equal amplitudes give no cycle.
    weight = np.array([[0, 5.0, 0.3], [1.01, 0, 2.0], [1.0, 6.0, 0]])
    weight[0, 2] = weight[0, 1] * weight[1, 2] * weight[2, 0] / (weight[1, 0] * weight[2, 1]) * 1.05
    game = neurons(weight, "tanh")
    one, two, three = game.players
    low, high = -0.1 * np.ones(3), 0.1 * np.ones(3)
    assert restricted_cycle(game, low, high, (one, two, three)) is None
    ahead, back = torn_pairs(game, (one, two, three), 0.2), torn_pairs(game, (three, two, one), 0.2)
    assert back == []
    assert any(restricted_cycle(game, *pair, (one, two, three)) is not None for pair in ahead)


def test_a_cycle_away_from_every_equilibrium_is_found():
    # The equilibrium is at the vertex (0, 0), where the movers can only grow; inside they chase each other.
    game = nng.QuadraticGame(
        {"a": 1.0, "b": 1.0, "c": 1.0},
        {("a", "b"): -1.0, ("b", "a"): 1.0, ("b", "c"): -1.0},
        {"a": [1.0], "b": [1.0], "c": [0.0]},
        {"a": "nonnegative", "b": "nonnegative"},
    )
    report = nng.check_potential(game, seed=0)
    assert report.acyclic.refuted
    assert {step.mover for step in report.cycle.deviations} == {"a", "b"}


# What is kept


def test_a_shorter_cycle_replaces_one_of_best_responses_which_stays_a_witness():
    ring, pennies = np.roll(np.eye(3), 1, axis=0), np.array([[0, 0.5], [-0.5, 0]])
    weight = np.block([[ring, np.zeros((3, 2))], [np.zeros((2, 3)), pennies]])
    report = nng.check_potential(neurons(weight), seed=0)
    assert len(report.cycle.deviations) == 4
    assert not report.cycle.best_responses
    answers = report.best_response_acyclic.witness["cycle"]
    assert len(answers["deviations"]) == 6
    assert all(step["best_response"] for step in answers["deviations"])


@pytest.mark.parametrize("seed", range(6))
def test_found_cycles_are_moved_to_round_numbers_in_the_domains(seed):
    rng = np.random.default_rng(seed)
    network = nng.Network.ring([rng.normal(size=(4, 4)) for _ in range(2)], [np.zeros(4)] * 2, ["softmax"] * 2)
    game = network.game()
    cycle = nng.check_potential(game, seed=0).cycle
    for step in cycle.deviations:
        # 2^-12 is far below the amplitudes and far above the rounding of what was found first.
        assert (step.before * 2.0**12 == np.rint(step.before * 2.0**12)).all()
        assert (step.before.reshape(2, 4).sum(axis=1) == 1).all()
        assert step.strict
    again = rounded_cycle(Certifier(game), cycle, time.monotonic() + 5)
    assert again.to_dict() == cycle.to_dict()
    assert rounded_cycle(Certifier(game), cycle, 0.0) is cycle


def test_the_search_says_how_it_ended():
    game = nng.Network.ring([[[0.5]]] * 3, [[0.0]] * 3, ["relu"] * 3).game()
    whole = find_improvement_cycle(game, 1e-12, np.random.default_rng(0), 30.0)
    assert whole.cycle is None
    assert not whole.out_of_time
    cut = find_improvement_cycle(game, 1e-12, np.random.default_rng(0), 1e-3)
    assert cut.out_of_time
    assert cut.tried < whole.tried
    assert "time was up" in nng.check_potential(game, max_seconds=1e-3).acyclic.statement
    assert "went through all its candidates" in nng.check_potential(game, max_seconds=30.0).acyclic.statement


def test_balls_without_end_prove_nothing():
    game = nng.Network.ring([np.eye(2)] * 2, [np.zeros(2)] * 2, ["simplex"] * 2).game()
    assert _follow(Certifier(game), [arb("nan")] * 4, list(game.players)) == (None, None)


# Players that can improve in one direction only


@pytest.mark.parametrize(("bias", "still"), [(-1.0, True), (-0.9375, False)])
def test_shares_that_cannot_reach_a_player_leave_it_still(bias, still):
    # The shares' part of what 1 hears is at most 1, at a vertex; shares between 0 and 1 alone would allow 1.5.
    weights = {(1, 2): [[1.0, 0.5]], (2, 1): [[-1.0], [0.0]]}
    game = nng.Network.graph(weights, {1: [bias], 2: [0.0, 0.0]}, {1: "relu", 2: "softmax"}).game()
    assert one_way_players(game) == [1] * still
    assert nng.check_potential(game, max_seconds=0.2).acyclic.proved == still


@pytest.mark.parametrize(("linear", "coupling", "still"), [(2, 1, 1), (2, 1.125, 0), (-3, 1, 1), (-3, 1.125, 0)])
def test_two_shares_that_always_go_one_way_stand_still(linear, coupling, still):
    # Along (1, -1) the slope is x_1 Q_11 - x_2 Q_22 + linear + coupling b: from -1 to 2, and b from -1 to 1.
    game = nng.QuadraticGame(
        {"a": [[2.0, 0.0], [0.0, 1.0]], "b": 1.0},
        {("a", "b"): [[coupling], [0.0]], ("b", "a"): [[-1.0, 0.0]]},
        {"a": [linear, 0.0]},
        {"a": "simplex", "b": "box"},
    )
    assert one_way_players(game) == ["a"] * still
    answers = {tuple(game.best_response("a", {"a": [0.5, 0.5], "b": [b]})) for b in (-1.0, 0.0, 1.0)}
    assert (len(answers) == 1) == bool(still)


# Several amplitudes


@pytest.mark.parametrize("activation", ["identity", "tanh"])
@pytest.mark.parametrize("excess", [1e-1, 1e-6])
def test_four_players_round_a_square_need_more_than_two_actions(activation, excess):
    # Every pair is balanced and no amplitudes let each player hear one neighbour more: 0.5 * 0.6 > 0.2 * 0.3.
    weight = np.zeros((4, 4))
    for i, value in enumerate((0.5, 0.2, 0.6, 0.3)):
        weight[i, (i + 1) % 4] = weight[(i + 1) % 4, i] = value
    game = neurons(weight, activation, 0.1 * np.ones(4))
    assert nng.check_potential(game, seed=0).exact.proved
    weight[0, 1] *= 1 + excess
    game = neurons(weight, activation, 0.1 * np.ones(4))
    for cycle in movers_of(game):
        assert torn_pairs(game, cycle) == []
    report = nng.check_potential(game, seed=0)
    assert report.acyclic.refuted
    assert {step.mover for step in report.cycle.deviations} == set(game.players)
    assert len(report.cycle.deviations) < 12  # Odd numbers of reflections of R^4, not three times round.
