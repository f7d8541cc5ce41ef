"""Improvement cycles: the known ones, their gains recomputed by other code, and none where a potential forbids them."""

from __future__ import annotations

import itertools
import time
from fractions import Fraction

import mpmath
import numpy as np
import pytest

import nngames as nng
from nngames.checks.cycle_certificates import Certifier
from nngames.checks.enclosed_best_responses import enclosed_path
from nngames.checks.improvement_cycles import find_improvement_cycle
from nngames.checks.restricted_games import restricted_cycle
from nngames.core.verdicts import Decision

PROVED, REFUTED, UNDECIDED = Decision.PROVED, Decision.REFUTED, Decision.UNDECIDED


def scalar_ring(weights, activation, bias=0.0, **options):
    count = len(weights)
    names = [activation] * count if isinstance(activation, str) else activation
    return nng.Network.ring([[[w]] for w in weights], [[bias]] * count, names, **options).game()


def random_ring(rng, count, n, activation, scale=1.0):
    weights = [scale * rng.normal(size=(n, n)) for _ in range(count)]
    return nng.Network.ring(weights, [rng.normal(size=n) for _ in range(count)], [activation] * count).game()


def statuses(report):
    return (
        report.exact.status,
        report.weighted.status,
        report.acyclic.status,
        report.ordinal.status,
        report.best_response_acyclic.status,
    )


# Costs written anew, with fractions or 60 digits: nothing here is shared with the search.


def penalty(name, z):
    if name == "identity":
        return 0 * z[0]
    if name in ("relu", "nonnegative"):
        assert all(t >= 0 for t in z)
        return 0 * z[0]
    if name == "box":
        assert all(t >= 0 for t in z)
        return 0 * z[0]
    if name == "hard_tanh":
        assert all(-1 <= t <= 1 for t in z)
        return 0 * z[0]
    if name == "simplex":
        assert all(t >= 0 for t in z)
        assert sum(z) == 1
        return 0 * z[0]
    if name == "tanh":
        assert all(-1 <= t <= 1 for t in z)
        return sum(xlogx(1 + t) / 2 + xlogx(1 - t) / 2 - t * t / 2 for t in z)
    if name == "softmax":
        assert all(t >= 0 for t in z)
        assert sum(z) == 1
        return sum(xlogx(t) - t * t / 2 for t in z)
    raise KeyError(name)


def xlogx(t):
    return mpmath.mpf(0) if t == 0 else t * mpmath.log(t)


def response(name, v):
    return [t / (1 + mpmath.exp(-t)) for t in v] if name == "silu" else [mpmath.tanh(t) for t in v]


def independent_gains(game, cycle, number):
    """Return each step's decrease of the mover's cost, from the network's floats taken as numbers of one kind."""
    network = game.network
    gains = []
    for step in cycle.deviations:
        layer, coordinate = step.mover, None
        if game.cost_name != "quadratic" and game.neurons:
            layer, coordinate = next(
                (p, i) for p, n in network.dims.items() for i in range(n) if f"{p}[{i}]" == step.mover
            )
        costs = []
        for profile in (step.before, step.after):
            x = {p: [number(t) for t in profile[where].tolist()] for p, where in network.space.slices.items()}
            v = [number(t) for t in network.biases[layer].tolist()]
            for (target, source), weight in network.weights.items():
                if target == layer:
                    rows = weight.dense.tolist()
                    v = [
                        b + sum(number(w) * t for w, t in zip(row, x[source], strict=True))
                        for b, row in zip(v, rows, strict=True)
                    ]
            z = x[layer]
            name = network.activations[layer].name
            if game.cost_name == "tracking":
                costs.append(sum((a - b) ** 2 for a, b in zip(z, response(name, v), strict=True)) / 2)
            elif coordinate is None:
                costs.append(penalty(name, z) + sum((a - b) ** 2 for a, b in zip(z, v, strict=True)) / 2)
            else:
                own = number(network.weights[layer, layer].dense[coordinate, coordinate])
                t = z[coordinate]
                costs.append(penalty(name, [t]) + (1 - own) * t * t / 2 - t * (v[coordinate] - own * t))
        gains.append(costs[0] - costs[1])
    return gains


def assert_closed_path(game, cycle):
    steps = cycle.deviations
    assert len(steps) >= 4
    for step, following in zip(steps, [*steps[1:], steps[0]], strict=True):
        np.testing.assert_array_equal(step.after, following.before)
        changed = step.before != step.after
        assert changed.any()
        where = game.space.slices[step.mover]
        assert not np.delete(changed, np.arange(where.start, where.stop)).any()


def assert_strict_cycle(game, cycle):
    """Check a certified cycle by independent arithmetic."""
    assert cycle is not None
    assert cycle.strict
    assert_closed_path(game, cycle)
    if all(step.gain is not None for step in cycle.deviations):
        gains = independent_gains(game, cycle, Fraction)
        assert [step.gain for step in cycle.deviations] == gains
        assert all(gain > 0 for gain in gains)
        return
    with mpmath.workdps(60):
        for step, gain in zip(cycle.deviations, independent_gains(game, cycle, mpmath.mpf), strict=True):
            low, high = step.gain_bounds
            assert 0 < low <= gain <= high
            assert high - low <= 1e-5 * high


# The two cycles of the literature


def test_three_imitators_have_the_known_cycle_of_best_responses():
    game = scalar_ring([1.0, 1.0, 1.0], "identity")
    report = nng.check_potential(game)
    profiles = [tuple(step.before.tolist()) for step in report.cycle.deviations]
    assert profiles == [(0, 0, 1), (1, 0, 1), (1, 0, 0), (1, 1, 0), (0, 1, 0), (0, 1, 1)]
    assert [step.mover for step in report.cycle.deviations] == [1, 3, 2, 1, 3, 2]
    assert [step.gain for step in report.cycle.deviations] == [Fraction(1, 2)] * 6
    assert report.cycle.best_responses
    assert_strict_cycle(game, report.cycle)
    assert statuses(report) == (REFUTED, REFUTED, REFUTED, REFUTED, REFUTED)
    assert report.asymmetry == 0.5
    assert report.potential is None
    assert "proximal cost" in report.ordinal.statement
    assert "layers" in report.ordinal.statement
    assert report.ordinal.witness["cycle"]["deviations"][0]["gain"] == "1/2"


def test_matching_pennies_has_the_known_cycle_of_best_responses():
    game = scalar_ring([1.0, -1.0], "identity")
    report = nng.check_potential(game)
    profiles = [tuple(step.before.tolist()) for step in report.cycle.deviations]
    assert profiles == [(1, 1), (1, -1), (-1, -1), (-1, 1)]
    assert [step.gain for step in report.cycle.deviations] == [2, 2, 2, 2]
    assert report.cycle.best_responses
    assert_strict_cycle(game, report.cycle)
    assert statuses(report) == (REFUTED, REFUTED, REFUTED, REFUTED, REFUTED)
    assert report.asymmetry == 1.0


# Rings


@pytest.mark.parametrize("count", [3, 4, 5, 6])
@pytest.mark.parametrize(
    ("activation", "weight"), [("identity", 0.5), ("identity", -2.0), ("tanh", 1.5), ("relu", 1.25)]
)
def test_scalar_rings_have_improvement_cycles(count, activation, weight):
    game = scalar_ring([weight] * count, activation)
    report = nng.check_potential(game)
    assert statuses(report)[:4] == (REFUTED, REFUTED, REFUTED, REFUTED)
    assert_strict_cycle(game, report.cycle)


@pytest.mark.parametrize(
    ("activation", "count"),
    [*itertools.product(["identity", "tanh", "relu", "softmax", "silu"], [2, 3, 5]), ("simplex", 2), ("simplex", 3)],
)
def test_rings_of_vectors_have_improvement_cycles(activation, count):
    game = random_ring(np.random.default_rng(count), count, 3, activation, 2.0)
    report = nng.check_potential(game)
    assert report.acyclic.status is REFUTED
    assert report.ordinal.status is REFUTED
    assert_strict_cycle(game, report.cycle)


def test_a_long_ring_has_the_cycle_of_two_disagreements():
    game = random_ring(np.random.default_rng(0), 11, 4, "tanh", 0.7)
    report = nng.check_potential(game)
    assert len(report.cycle.deviations) == 22
    assert_strict_cycle(game, report.cycle)


def test_a_ring_of_two_with_proportional_weights_has_a_weighted_potential_only():
    game = scalar_ring([1.0, 3.0], "tanh")
    report = nng.check_potential(game)
    assert statuses(report) == (REFUTED, PROVED, PROVED, PROVED, PROVED)
    assert report.cycle is None
    assert report.weights[1] / report.weights[2] == pytest.approx(3)


def test_a_symmetric_ring_of_two_has_an_exact_potential():
    rng = np.random.default_rng(3)
    w = rng.normal(size=(3, 2))
    game = nng.Network.ring([w, w.T], [rng.normal(size=3), rng.normal(size=2)], ["tanh", "softmax"]).game()
    report = nng.check_potential(game)
    assert statuses(report) == (PROVED,) * 5
    assert report.asymmetry == pytest.approx(0, abs=1e-30)
    x = game.best_responses(rng.normal(size=5))
    y = x.copy()
    y[3:] = game.best_response(2, rng.normal(size=5))
    assert report.potential(y) - report.potential(x) == pytest.approx(game.cost(2, y) - game.cost(2, x), abs=1e-14)


def test_a_hopfield_net_has_a_potential_and_an_asymmetric_one_has_a_cycle_of_neurons():
    rng = np.random.default_rng(4)
    w = rng.normal(size=(5, 5))
    symmetric = np.tril(w, -1) + np.tril(w, -1).T
    assert (
        statuses(nng.check_potential(nng.Network.recurrent(symmetric, np.zeros(5), "tanh").game("neurons")))
        == (PROVED,) * 5
    )
    np.fill_diagonal(w, 0.25)
    game = nng.Network.recurrent(w, np.zeros(5), "tanh").game("neurons")
    report = nng.check_potential(game)
    assert report.acyclic.status is REFUTED
    assert "neurons" in report.acyclic.statement
    assert_strict_cycle(game, report.cycle)


def test_couplings_of_one_sign_but_different_products_have_a_cycle():
    # a12 a23 a31 = 1/8 and a21 a32 a13 = 1/4: each pair has a weighted potential, the three have none.
    w = np.array([[0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 1.0, 0]])
    game = nng.Network.recurrent(w, np.zeros(3), "identity").game("neurons")
    report = nng.check_potential(game)
    assert statuses(report)[:4] == (REFUTED, REFUTED, REFUTED, REFUTED)
    assert_strict_cycle(game, report.cycle)


def test_quadratic_games_without_a_network():
    duel = nng.QuadraticGame(
        quadratic={"a": [[2.0]], "b": [[3.0]]},
        coupling={("a", "b"): [[1.0]], ("b", "a"): [[-1.0]]},
        linear={"a": [0.5], "b": [0.0]},
    )
    report = nng.check_potential(duel)
    assert report.acyclic.status is REFUTED
    assert_closed_path(duel, report.cycle)
    for step in report.cycle.deviations:
        own, sign, shift = (2, 1, Fraction(1, 2)) if step.mover == "a" else (3, -1, 0)
        i = 0 if step.mover == "a" else 1
        old, new, other = (Fraction(t) for t in (step.before[i], step.after[i], step.before[1 - i]))
        gain = Fraction(own, 2) * (old**2 - new**2) + (old - new) * (sign * other + shift)
        assert step.gain == gain > 0
    oligopoly = nng.QuadraticGame(
        quadratic={1: [[2.0]], 2: [[2.0]]},
        coupling={(1, 2): [[1.0]], (2, 1): [[1.0]]},
        linear={1: [-1.0], 2: [-1.0]},
        penalties={1: "nonnegative", 2: "nonnegative"},
    )
    assert statuses(nng.check_potential(oligopoly)) == (PROVED,) * 5


# Absence


def test_an_open_chain_is_acyclic_and_claims_no_potential():
    chain = nng.Network.chain([[[1.0]], [[2.0]], [[1.0]]], [[0.0], [0.0], [0.5]], ["tanh", "relu", "identity"], [1.0])
    report = nng.check_potential(chain.game())
    assert statuses(report)[:3] == (REFUTED, REFUTED, PROVED)
    assert report.best_response_acyclic.status is PROVED
    assert report.ordinal.status is REFUTED
    assert "gives no potential" in report.acyclic.statement
    assert report.cycle is None
    assert report.potential is None


def test_a_leader_and_a_follower_have_neither_an_improvement_cycle_nor_an_ordinal_potential():
    # J_1 = x_1^2/2, J_2 = (x_2 - x_1)^2/2.
    game = nng.Network.graph({(2, 1): [[1.0]]}, {1: [0.0], 2: [0.0]}, "identity").game()
    report = nng.check_potential(game)
    assert statuses(report) == (REFUTED, REFUTED, PROVED, REFUTED, PROVED)
    path = report.ordinal.witness["path"]
    (z, _), ((w, _), (same, _)) = path["first"], path["second"]
    (p,), (q,) = path["actions"]
    assert (path["indifferent"], path["improving"]) == (1, 2)
    assert w == same == -z != 0
    for x, better, worse, least in ((z, p, q, path["gains"][0]), (w, q, p, path["gains"][1])):
        gain = (Fraction(worse) - Fraction(x)) ** 2 / 2 - (Fraction(better) - Fraction(x)) ** 2 / 2
        assert 0 < Fraction(least) <= gain


@pytest.mark.parametrize("seed", range(4))
def test_an_indifference_between_floats_is_enclosed(seed):
    rng = np.random.default_rng(seed)
    network = nng.Network.chain(
        [rng.normal(size=(2, 2)), rng.normal(size=(2, 2))],
        list(rng.normal(size=(2, 2))),
        ["tanh", "identity"],
        [1.0, 0.5],
    )
    report = nng.check_potential(network.game())
    assert report.acyclic.status is PROVED
    assert report.ordinal.status is REFUTED
    path = report.ordinal.witness["path"]
    with mpmath.workdps(60):
        drive = [mpmath.mpf(float(t)) for t in network.effective_bias(1)]

        def pays(profile):
            z = [mpmath.mpf(t) for t in profile[:2]]
            return penalty("tanh", z) + sum((a - b) ** 2 for a, b in zip(z, drive, strict=True)) / 2

        near, beyond = path["second"]
        assert pays(near) < pays(path["first"]) < pays(beyond)
        weight, bias = network.weights[2, 1].dense.tolist(), network.biases[2].tolist()
        p, q = path["actions"]
        for profile, better, worse, least in ((path["first"], p, q, 0), (near, q, p, 1), (beyond, q, p, 1)):
            x = [mpmath.mpf(t) for t in profile[:2]]
            v = [bias[i] + weight[i][0] * x[0] + weight[i][1] * x[1] for i in range(2)]
            gain = sum((mpmath.mpf(worse[i]) - v[i]) ** 2 - (mpmath.mpf(better[i]) - v[i]) ** 2 for i in range(2)) / 2
            assert 0 < path["gains"][least] <= gain


def test_a_player_that_can_only_grow_breaks_a_ring_open():
    # Clearing payments: what bank 3 receives is at least its cash, all it owes; it never pays less again.
    boxes = {b: {"name": "box", "lower": 0.0, "upper": u} for b, u in ((1, 30.0), (2, 29.0), (3, 10.0))}
    weights = {(2, 1): [[2 / 3]], (3, 1): [[1 / 3]], (1, 2): [[5 / 29]], (3, 2): [[24 / 29]], (1, 3): [[1.0]]}
    game = nng.Network.graph(weights, {b: [10.0] for b in boxes}, boxes).game()
    report = nng.check_potential(game)
    assert statuses(report)[:3] == (REFUTED, REFUTED, PROVED)
    assert "without player 3, who can improve in one direction only" in report.acyclic.statement
    poorer = nng.Network.graph(weights, {1: [10.0], 2: [10.0], 3: [-10.0]}, boxes).game()
    report = nng.check_potential(poorer)
    assert report.acyclic.status is not PROVED
    if report.cycle is not None:
        assert_strict_cycle(poorer, report.cycle)


def test_components_that_are_weighted_potential_games_are_acyclic_together():
    # Two pairs, each weighted; the second pair hears the first one.
    weights = {(1, 2): [[1.0]], (2, 1): [[3.0]], (3, 4): [[2.0]], (4, 3): [[1.0]], (3, 1): [[1.0]]}
    game = nng.Network.graph(weights, {p: [0.1] for p in (1, 2, 3, 4)}, "tanh").game()
    for tolerance in (1e-12, 0):
        report = nng.check_potential(game, data_tolerance=tolerance)
        assert statuses(report)[:3] == (REFUTED, REFUTED, PROVED)
    skew = nng.Network.graph({**weights, (4, 3): [[-1.0]]}, {p: [0.1] for p in (1, 2, 3, 4)}, "tanh").game()
    assert nng.check_potential(skew).acyclic.status is REFUTED


def test_a_tracking_chain_is_acyclic_and_a_tracking_ring_with_affine_responses_is_treated_as_quadratic():
    chain = nng.Network.chain([[[1.0]], [[2.0]]], [[0.0], [0.0]], ["silu", "silu"], [1.0]).game()
    assert chain.cost_name == "tracking"
    assert nng.check_potential(chain).acyclic.status is PROVED
    ring = nng.Network.ring([[[1.0]], [[1.0]]], [[0.0], [0.0]], ["identity", "identity"]).game(cost="tracking")
    assert nng.check_potential(ring).exact.status is PROVED


@pytest.mark.parametrize("seed", range(4))
def test_a_contraction_has_no_cycle_of_best_responses_although_it_has_improvement_cycles(seed):
    rng = np.random.default_rng(seed)
    weights = [w / np.linalg.norm(w, 2) * 0.9 for w in rng.normal(size=(3, 2, 2))]
    game = nng.Network.ring(weights, [rng.normal(size=2) for _ in range(3)], ["tanh"] * 3).game()
    report = nng.check_potential(game)
    assert report.acyclic.status is REFUTED
    assert report.best_response_acyclic.status is PROVED
    assert "contract" in report.best_response_acyclic.statement
    assert_strict_cycle(game, report.cycle)
    assert not report.cycle.best_responses
    # The theorem's step: a best response comes closer to the movers' equilibrium in the weighted norm.
    verdict = nng.certify(game)["joint_contraction"]
    factor, weights = verdict.witness["factor"], verdict.witness["weights"]
    equilibrium = nng.solve(game, "best_response", tolerance=1e-13).profile
    for _ in range(20):
        x = equilibrium + rng.normal(size=game.size)
        far = {p: np.linalg.norm((x - equilibrium)[where]) / weights[p] for p, where in game.space.slices.items()}
        for player, where in game.space.slices.items():
            move = np.linalg.norm(game.best_response(player, x) - equilibrium[where]) / weights[player]
            assert move <= factor * max(far.values()) * (1 + 1e-12)


def potential_games(count_of_games):
    """Yield games with an exact or weighted potential in the very floats: all data are small dyadic numbers."""
    names = ["identity", "tanh", "relu", "hard_tanh", "sigmoid", "softplus_beta"]
    for seed in range(count_of_games):
        rng = np.random.default_rng(seed)
        count, n = int(rng.integers(2, 5)), int(rng.integers(1, 3))
        scales = 2.0 ** rng.integers(-1, 2, size=count) if seed % 2 else np.ones(count)
        weights = {}
        for i, k in itertools.combinations(range(count), 2):
            block = rng.integers(-4, 5, size=(n, n)) / 4
            weights[i, k], weights[k, i] = scales[i] * block, scales[k] * block.T
        biases = {i: rng.integers(-4, 5, size=n) / 8 for i in range(count)}
        yield nng.Network.graph(weights, biases, names[seed % len(names)]).game()


def test_no_cycle_is_ever_certified_in_a_potential_game():
    tried = 0
    for seed, game in enumerate(potential_games(100)):
        # The time of a search is bounded: a busy machine tries fewer candidates a game, and takes more games.
        if seed >= 12 and tried > 500:
            break
        assert nng.check_potential(game, data_tolerance=0).weighted.status is PROVED
        rng = np.random.default_rng(seed)
        search = find_improvement_cycle(game, 1e-12, rng, max_seconds=0.4)
        assert search.cycle is None
        tried += search.tried
        assert enclosed_path(Certifier(game), search.equilibria, rng).found is None
    assert tried > 500


@pytest.mark.parametrize("seed", range(3))
def test_couplings_that_a_simplex_does_not_feel_make_no_cycle(seed):
    # Shares sum to 1: a constant added to a row or a column of W changes no difference of costs.
    rng = np.random.default_rng(seed)
    w = rng.integers(-4, 5, size=(3, 2)) / 4
    unfelt = rng.integers(-4, 5, size=(1, 3)) / 4 + rng.integers(-4, 5, size=(2, 1)) / 4
    network = nng.Network.ring([w, w.T + unfelt], [np.zeros(3), np.zeros(2)], ["softmax", "simplex"])
    game = network.game()
    assert nng.check_potential(game, data_tolerance=0).exact.status is PROVED
    search = find_improvement_cycle(game, 1e-12, np.random.default_rng(seed), max_seconds=0.4)
    assert search.cycle is None


def test_restricted_potential_games_have_no_cycle():
    for seed, game in enumerate(potential_games(40)):
        if game.size > 4:
            continue
        rng = np.random.default_rng(seed)
        for _ in range(10):
            low, high = game.best_responses(2 * rng.normal(size=(2, game.size)))
            assert restricted_cycle(game, low, high, game.players) is None


def test_the_certifier_refuses_what_is_no_cycle():
    game = scalar_ring([1.0, 1.0, 1.0], "identity")
    certifier = Certifier(game)
    good = nng.check_potential(game).cycle
    path = [(step.mover, step.before) for step in good.deviations]
    assert certifier.cycle(path) is not None
    assert certifier.cycle(path[::-1]) is None
    assert certifier.cycle(path[:-1]) is None
    wrong = [(1 if mover == 2 else mover, x) for mover, x in path]
    assert certifier.cycle(wrong) is None
    box = Certifier(scalar_ring([1.0, 1.0, 1.0], "hard_tanh"))
    assert box.cycle([(mover, 2 * x) for mover, x in path]) is None  # off the domain of the penalty


# Cycles of best responses that are no floats


@pytest.mark.parametrize(
    ("weights", "activation"), [([2.0] * 3, "tanh"), ([2.0, -2.0], "tanh"), ([-1.5] * 4, "sigmoid")]
)
def test_an_enclosed_path_of_best_responses_comes_back(weights, activation):
    bias = 0.75 if activation == "sigmoid" else 0.0
    weights = [4 * w for w in weights] if activation == "sigmoid" else weights
    game = scalar_ring(weights, activation, 4 * bias)
    report = nng.check_potential(game)
    assert report.best_response_acyclic.status is REFUTED
    assert "Brouwer" in report.best_response_acyclic.method
    path = report.best_response_acyclic.witness["path"]
    with mpmath.workdps(40):
        function = mpmath.tanh if activation == "tanh" else lambda t: 1 / (1 + mpmath.exp(-t))
        x = [mpmath.mpf(t) for t in path["centre"]]
        for _ in range(40):  # The path attracts: following it longer finds the profile that comes back.
            start, moved = list(x), 0
            for mover in path["order"]:
                i = mover - 1
                new = function(mpmath.mpf(weights[i]) * x[i - 1] + 4 * mpmath.mpf(bias))
                moved = max(moved, abs(new - x[i]))
                x[i] = new
        assert max(abs(a - b) for a, b in zip(x, start, strict=True)) < 1e-12
        assert moved > 0.1
        assert all(abs(a - c) <= r for a, c, r in zip(x, path["centre"], path["radius"], strict=True))


@pytest.mark.parametrize("activation", ["relu", "box"])
def test_a_player_who_listens_to_nobody_leaves_the_enclosed_path_of_the_others(activation):
    # The source's answer is exact; without it the other two players' best responses turn for ever.
    network = nng.Network.graph(
        weights={("a", "b"): [[3.0]], ("b", "a"): [[-3.0]], ("a", "source"): [[0.1]]},
        biases={"source": [0.25], "a": [0.0], "b": [0.0]},
        activations={"source": activation, "a": "tanh", "b": "tanh"},
    )
    found = nng.check_potential(network.game()).best_response_acyclic
    assert found.refuted
    assert "best responses in turn map a box of radius" in found.statement


def test_the_search_is_reproducible_and_keeps_to_its_time():
    game = random_ring(np.random.default_rng(7), 3, 3, "elu", 2.0)
    first, second = (nng.check_potential(game, seed=5).cycle for _ in range(2))
    assert first.to_dict() == second.to_dict()
    began = time.perf_counter()
    nng.check_potential(scalar_ring([0.5] * 3, "relu"), max_seconds=0.05)
    assert time.perf_counter() - began < 5  # A bound on hanging, not a measurement.


def test_undecided_says_how_far_the_search_went_and_what_would_decide():
    # On the nonnegative half-line with W <= 1/2 an action that grows stays below the one it hears, so that the largest
    # one is never reached again: there is no improvement cycle, but nothing in the check proves that.
    report = nng.check_potential(scalar_ring([0.5] * 3, "relu"), max_seconds=1.0)
    assert report.acyclic.status is UNDECIDED
    assert "showed no improvement cycle whose gains could be certified" in report.acyclic.statement
    assert "an improvement cycle or a potential would decide" in report.acyclic.would_change
    assert report.best_response_acyclic.status is PROVED


def test_a_player_whose_domain_is_one_point_is_no_obstacle():
    network = nng.Network.graph(
        weights={("p", "r"): [[1.0], [-1.0]], ("s", "p"): [[1.0, 0.3]], ("r", "s"): [[0.7]], ("r", "b"): [[0.4]]},
        biases={"p": [0.4, -0.7], "s": [0.0], "r": [0.1], "b": [0.2]},
        activations={"p": "simplex", "s": "simplex", "r": "relu", "b": "box"},
    )
    report = nng.check_potential(network.game())
    # s can only answer 1, so p -> s and s -> r carry nothing, and what is left, b -> r -> p, has no way back.
    assert report.acyclic.proved
    assert report.cycle is None
