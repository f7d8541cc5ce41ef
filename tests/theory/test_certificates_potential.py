"""Exact and weighted potentials: against closed paths of unilateral steps that use the costs alone."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from scipy import sparse

from nngames.certificates import verdict_of
from nngames.certificates.exact_potential import exact_potential
from nngames.certificates.potential import potential_function
from nngames.certificates.weighted_potential import weighted_potential
from nngames.core.errors import OptionError
from nngames.core.verdicts import Decision
from nngames.games import QuadraticGame
from nngames.networks import BilinearCoupling, LinearCoupling, Network

KINDS = {"identity": 3, "tanh": 2, "softmax": 3, "relu": 2, "sigmoid": 1}
POINT = {"name": "singleton", "point": [0.5, -1.0]}
BOX = {"name": "box", "lower": [-1.0, 0.25, 0.0], "upper": [1.0, 0.25, 2.0]}
PLANE = {"name": "affine", "matrix": [[1.0, 2.0, -1.0]], "offset": [0.7]}


def feasible(rng, game, scale=1.5):
    """A random profile in the players' domains: responses to random pre-activations."""
    if game.cost_name == "tracking":
        return rng.standard_normal(game.size) * scale
    own = game.own if hasattr(game, "own") else {}
    blocks = game.network.space.slices
    v = rng.standard_normal(game.size) * scale
    return np.concatenate([own[b].activation(v[where]) for b, where in blocks.items()])


def moved(game, x, player, y):
    """x with the player's action replaced by the one in y."""
    where = game.space.slice(player)
    z = x.copy()
    z[where] = y[where]
    return z


def cycle_sum(game, first, second, x, y, weights):
    """The weighted cost changes along x -> first moves -> second moves -> first back -> second back."""
    a = moved(game, x, first, y)
    b = moved(game, a, second, y)
    c = moved(game, x, second, y)
    steps = [(first, x, a), (second, a, b), (first, b, c), (second, c, x)]
    terms = [weights[p] * (game.cost(p, end) - game.cost(p, start)) for p, start, end in steps]
    return sum(terms), max(1e-3, max(abs(t) for t in terms))


def largest_cycle_sum(game, weights, pair=None, seed=0, tries=12):
    rng = np.random.default_rng(seed)
    pairs = [pair] if pair else [(p, q) for i, p in enumerate(game.players) for q in game.players[:i]]
    found = 0.0
    for first, second in pairs:
        for _ in range(tries):
            total, size = cycle_sum(game, first, second, feasible(rng, game), feasible(rng, game), weights)
            assert np.isfinite(total)
            found = max(found, abs(total) / size)
    return found


def largest_potential_error(game, weights, seed=0, tries=30):
    """The difference between the potential's and the weighted costs' changes over random unilateral steps."""
    rng = np.random.default_rng(seed)
    potential = potential_function(game, weights)
    found = 0.0
    for _ in range(tries):
        player = game.players[rng.integers(len(game.players))]
        x, y = feasible(rng, game), feasible(rng, game)
        z = moved(game, x, player, y)
        mine = float(weights[player]) * (game.cost(player, z) - game.cost(player, x))
        assert np.isfinite(potential(z))
        found = max(found, abs(potential(z) - potential(x) - mine) / max(1.0, abs(mine), abs(potential(x))))
    return found


def balanced_weights(rng, sizes, activations, factors, density=1.0):
    """Couplings with c_l P_l W_lk P_k = c_k (P_k W_kl P_l)' for the factors c, plus what the domains do not feel."""
    weights = {}
    for i in sizes:
        for k in sizes:
            if i < k and rng.random() < density:
                s = rng.standard_normal((sizes[i], sizes[k]))
                weights[i, k] = s / factors[i] + unfelt(rng, activations[i], activations[k], s.shape)
                weights[k, i] = s.T / factors[k] + unfelt(rng, activations[k], activations[i], s.T.shape)
    return weights


def unfelt(rng, target, source, shape):
    """A random matrix that the direction spaces of the two domains hide."""
    total = np.zeros(shape)
    for normal, at_rows in ((hidden(target, shape[0]), True), (hidden(source, shape[1]), False)):
        for d in normal:
            other = rng.standard_normal(shape[1] if at_rows else shape[0])
            total += np.outer(d, other) if at_rows else np.outer(other, d)
    return total


def hidden(activation, n):
    """Directions orthogonal to the domain's direction space, written down here for each kind."""
    if activation == "softmax":
        return [np.ones(n)]
    if activation is POINT:
        return list(np.eye(n))
    if activation is BOX:
        return [np.eye(n)[1]]
    if activation is PLANE:
        return [np.array([1.0, 2.0, -1.0])]
    return []


def random_potential_game(seed, weighted, density=1.0):
    rng = np.random.default_rng(seed)
    choice = [*KINDS.items(), (POINT, 2), (BOX, 3), (PLANE, 3)]
    chosen = [choice[i] for i in rng.permutation(len(choice))[:4]]
    activations = {i: name for i, (name, _) in enumerate(chosen)}
    sizes = {i: n for i, (_, n) in enumerate(chosen)}
    factors = rng.uniform(0.2, 5, 4) if weighted else np.ones(4)
    weights = balanced_weights(rng, sizes, activations, factors, density)
    return Network.graph(weights, {i: rng.standard_normal(n) for i, n in sizes.items()}, activations).game(
        players="layers", cost="proximal"
    )


# Potentials that exist


@pytest.mark.parametrize("seed", range(12))
def test_exact_potentials_with_every_kind_of_domain(seed):
    game = random_potential_game(seed, weighted=False)
    verdict = verdict_of("exact_potential", game)
    assert verdict.proved
    assert verdict.witness["weights"] == dict.fromkeys(game.players, 1.0)
    assert largest_cycle_sum(game, verdict.witness["weights"]) < 1e-9
    assert largest_potential_error(game, verdict.witness["weights"]) < 1e-9
    assert verdict_of("weighted_potential", game).witness["weights"] == verdict.witness["weights"]


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("density", [1.0, 0.4])
def test_weighted_potentials_with_every_kind_of_domain(seed, density):
    game = random_potential_game(seed, weighted=True, density=density)
    verdict = verdict_of("weighted_potential", game)
    assert verdict.proved
    weights = verdict.witness["weights"]
    assert all(c > 0 for c in weights.values())
    assert largest_cycle_sum(game, weights) < 1e-9
    assert largest_potential_error(game, weights) < 1e-9


@pytest.mark.parametrize("seed", range(6))
def test_exact_and_weighted_verdicts_match_the_costs_closed_paths(seed):
    game = random_potential_game(seed, weighted=True)
    exact = verdict_of("exact_potential", game)
    sums = largest_cycle_sum(game, dict.fromkeys(game.players, 1.0))
    assert exact.refuted == (sums > 1e-6)
    if exact.refuted:
        assert largest_cycle_sum(game, dict.fromkeys(game.players, 1.0), tuple(exact.witness["pair"])) > 1e-6


def test_self_loops_belong_to_their_players():
    s = np.array([[0.3, 0.1], [0.1, -0.5]])
    w = np.array([[1.0, 2.0, 0.5], [0.0, 1.0, -1.0]])
    game = Network.graph({(1, 1): s, (1, 2): w, (2, 1): 3 * w.T}, {1: [0.1, 0.2], 2: np.zeros(3)}, "relu").game()
    verdict = verdict_of("weighted_potential", game)
    assert verdict.proved
    assert verdict.witness["weights"] == pytest.approx({1: 1.0, 2: 1 / 3})
    assert largest_cycle_sum(game, verdict.witness["weights"]) < 1e-9
    assert largest_potential_error(game, verdict.witness["weights"]) < 1e-9


@pytest.mark.parametrize("activation", ["tanh", "relu", "hard_tanh", "identity", BOX])
def test_neurons_of_a_recurrent_layer(activation):
    rng = np.random.default_rng(3)
    s = rng.standard_normal((3, 3))
    s = s + s.T
    c = np.array([1.0, 0.25, 6.0])
    w = s / c[:, None]
    np.fill_diagonal(w, [0.5, 0.0, -0.3])
    game = Network.recurrent(w, rng.standard_normal(3), activation).game(players="neurons")
    verdict = verdict_of("weighted_potential", game)
    assert verdict.proved
    weights = verdict.witness["weights"]
    if activation is not BOX:
        assert list(weights.values()) == pytest.approx(c)
    assert largest_cycle_sum(game, weights) < 1e-9
    assert largest_potential_error(game, weights) < 1e-9
    assert verdict_of("exact_potential", game).refuted


def test_a_hopfield_net_has_its_energy():
    rng = np.random.default_rng(4)
    w = rng.standard_normal((5, 5))
    w = (w + w.T) / 2
    np.fill_diagonal(w, 0)
    b = rng.standard_normal(5)
    game = Network.recurrent(w, b, "tanh").game(players="neurons")
    verdict = verdict_of("exact_potential", game)
    assert verdict.proved
    potential = potential_function(game, verdict.witness["weights"])
    x = np.tanh(rng.standard_normal((7, 5)))
    integral = np.sum(x * np.arctanh(x) + 0.5 * np.log1p(-(x**2)), axis=1)
    energy = -0.5 * np.einsum("bi,ij,bj->b", x, w, x) - x @ b + integral
    np.testing.assert_allclose(potential(x), energy, rtol=1e-12)
    assert potential(np.full(5, 1.5)) == np.inf


@pytest.mark.parametrize("factor", [1.0, 2.5])
def test_quadratic_games(factor):
    rng = np.random.default_rng(5)
    r = rng.standard_normal((2, 3))
    root = rng.standard_normal((3, 3))
    game = QuadraticGame(
        {"a": [[2.0, 0.5], [0.5, 1.0]], "b": root @ root.T + np.eye(3), "c": 1.5},
        {("a", "b"): r, ("b", "a"): factor * r.T, ("a", "c"): [[1.0], [0.0]], ("c", "a"): [[factor, 0.0]]},
        {"a": [1.0, 0.0], "c": [-1.0]},
        {"b": "simplex", "c": "nonnegative"},
    )
    assert verdict_of("exact_potential", game).proved == (factor == 1)
    verdict = verdict_of("weighted_potential", game)
    assert verdict.proved
    assert verdict.witness["weights"] == pytest.approx({"a": 1.0, "b": 1 / factor, "c": 1 / factor})
    assert "quadratic costs" in verdict.statement
    assert largest_cycle_sum(game, verdict.witness["weights"]) < 1e-9
    assert largest_potential_error(game, verdict.witness["weights"]) < 1e-9


# Degenerate and small cases


def scalar_graph(edges, n, activation="relu", **options):
    return Network.graph({e: [[float(w)]] for e, w in edges.items()}, {i: [0.5] for i in range(n)}, activation).game(
        **options
    )


@pytest.mark.parametrize(
    ("edges", "n", "exact", "weighted"),
    [
        ({}, 1, "PROVED", "PROVED"),
        ({}, 3, "PROVED", "PROVED"),
        ({(0, 1): 0.0, (1, 0): 0.0}, 2, "PROVED", "PROVED"),
        ({(0, 1): 1}, 2, "REFUTED", "REFUTED"),
        ({(0, 1): 2, (1, 0): 2}, 2, "PROVED", "PROVED"),
        ({(0, 1): 2, (1, 0): 5}, 2, "REFUTED", "PROVED"),
        ({(0, 1): 1, (1, 0): -1}, 2, "REFUTED", "REFUTED"),
        ({(0, 1): -2, (1, 0): -5}, 2, "REFUTED", "PROVED"),
        ({(0, 1): 1, (1, 2): 1, (2, 0): 1}, 3, "REFUTED", "REFUTED"),
        ({(0, 1): 1, (1, 0): 2, (1, 2): 1, (2, 1): 2, (2, 0): 4, (0, 2): 1}, 3, "REFUTED", "PROVED"),
        ({(0, 1): 1, (1, 0): 2, (1, 2): 1, (2, 1): 2, (2, 0): 2, (0, 2): 1}, 3, "REFUTED", "REFUTED"),
        ({(0, 1): 1, (1, 0): 3, (2, 3): 5, (3, 2): 1}, 5, "REFUTED", "PROVED"),
    ],
)
@pytest.mark.parametrize("tolerance", [1e-12, 0])
def test_scalar_graphs(edges, n, exact, weighted, tolerance):
    game = scalar_graph(edges, n)
    assert exact_potential(game, tolerance).status == exact
    verdict = weighted_potential(game, tolerance)
    assert verdict.status == weighted
    if verdict.proved:
        assert largest_potential_error(game, verdict.witness["weights"]) < 1e-12
    elif "pair" in verdict.witness:
        unit = dict.fromkeys(game.players, 1.0)
        assert largest_cycle_sum(game, unit, tuple(verdict.witness["pair"])) > 1e-6


def test_an_inconsistent_cycle_is_named_with_its_product():
    edges = {(0, 1): 1, (1, 0): 2, (1, 2): 1, (2, 1): 2, (2, 0): 2, (0, 2): 1}
    for tolerance in (1e-12, 0):
        witness = weighted_potential(scalar_graph(edges, 3), tolerance).witness
        cycle = witness["cycle"]
        assert cycle[0] == cycle[-1]
        assert sorted(cycle[:-1]) == [0, 1, 2]
        product = Fraction(1)
        for first, second in pairwise(cycle):
            product *= Fraction(edges[second, first], edges[first, second])
        assert product != 1
        assert witness["product"] == pytest.approx(float(product), rel=1e-12)


@pytest.mark.parametrize("length", [3, 4, 7])
def test_rings_of_three_or_more_have_none(length):
    game = Network.ring([[[1.0]]] * length, [[0.0]] * length, ["relu"] * length).game()
    assert verdict_of("exact_potential", game).refuted
    assert verdict_of("weighted_potential", game).refuted


def test_a_ring_of_two_is_exact_iff_transposed():
    w = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    for second, exact, weighted in ((w.T, True, True), (2 * w.T, False, True), (w[::-1].T, False, False)):
        game = Network.ring([w, second], [np.zeros(2), np.zeros(3)], ["tanh", "tanh"]).game()
        for tolerance in (1e-12, 0):
            assert exact_potential(game, tolerance).proved is exact
            assert weighted_potential(game, tolerance).proved is weighted


def test_a_pair_that_no_weights_balance_shows_two_ratios():
    w = np.array([[1.0, 2.0], [3.0, 4.0]])
    game = Network.ring([w, [[1.0, 3.0], [2.0, 5.0]]], [np.zeros(2)] * 2, ["tanh"] * 2).game()
    witness = verdict_of("weighted_potential", game).witness
    (a, c), (b, d) = witness["values"], witness["other_values"]
    assert a * d != b * c
    row, column = witness["entry"]
    assert {a, c} == {game.network.weights[1, 2].dense[row, column], game.network.weights[2, 1].dense[column, row]}


def test_a_singleton_frees_the_others():
    edges = {(0, 1): [[1.0]], (1, 2): [[1.0]], (2, 0): [[1.0]]}
    activations = {0: {"name": "singleton", "point": 1.0}, 1: "relu", 2: "relu"}
    game = Network.graph(edges, {i: [0.0] for i in range(3)}, activations).game()
    verdict = verdict_of("exact_potential", game)
    assert verdict.refuted
    assert verdict.witness["pair"] == [1, 2]
    edges[2, 1] = [[1.0]]
    assert verdict_of("exact_potential", Network.graph(edges, game.network.biases, activations).game()).proved


def test_couplings_that_softmax_hides_count_for_nothing():
    a, b = np.arange(3.0), np.arange(2.0) + 1
    w = np.outer(np.ones(3), b)
    game = Network.graph({(1, 2): w, (2, 1): np.outer(np.ones(2), a)}, {1: a, 2: b}, "softmax").game()
    for tolerance in (1e-12, 0):
        assert exact_potential(game, tolerance).proved
        assert weighted_potential(game, tolerance).proved
    assert largest_potential_error(game, {1: 1.0, 2: 1.0}) < 1e-12


# Data known to a tolerance


@pytest.mark.parametrize(
    ("relative", "expected"),
    [
        (0.0, Decision.PROVED),
        (5e-13, Decision.PROVED),
        (1.5e-12, Decision.UNDECIDED),
        (5e-12, Decision.UNDECIDED),
        (1.2e-11, Decision.REFUTED),
        (5e-11, Decision.REFUTED),
    ],
)
def test_the_band_of_undecided_mismatches(relative, expected):
    w = np.array([[1.0, -2.0], [0.5, 4.0]])
    game = Network.ring([w, w.T * (1 + relative)], [np.zeros(2)] * 2, ["tanh"] * 2).game()
    verdict = exact_potential(game)
    assert verdict.status is expected
    assert "data tolerance 1e-12" in verdict.statement
    assert exact_potential(game, 0).status is (Decision.PROVED if relative == 0 else Decision.REFUTED)
    assert weighted_potential(game).proved
    triangle = {(0, 1): 1, (1, 0): 2, (1, 2): 1, (2, 1): 2, (2, 0): 4 * (1 + relative), (0, 2): 1}
    verdict = weighted_potential(scalar_graph(triangle, 3))
    assert verdict.status is expected
    if expected is not Decision.PROVED:
        assert weighted_potential(scalar_graph(triangle, 3), 0).refuted
        assert weighted_potential(scalar_graph(triangle, 3), 1e-6).proved


def test_long_cycles_may_miss_by_what_their_data_allow():
    n = 400
    rng = np.random.default_rng(6)
    c = rng.uniform(0.5, 2, n)
    edges = {}
    for i in range(n):
        k = (i + 1) % n
        edges[i, k], edges[k, i] = 1 / c[i], (1 + 4e-13) / c[k]
    verdict = weighted_potential(scalar_graph(edges, n))
    # Each coupling is within 4e-13 of a balanced one: refuting would be wrong, though the cycle misses by 400 times it.
    assert verdict.status is Decision.UNDECIDED
    assert verdict.witness["mismatch"] > 1e-10
    edges[0, 1] = float(1 + rng.uniform(1e-3, 2e-3))
    assert weighted_potential(scalar_graph(edges, n)).refuted


def test_a_tiny_answer_counts_as_none_within_the_tolerance_and_not_exactly():
    game = scalar_graph({(0, 1): 1.0, (1, 0): 1e-14}, 2)
    assert weighted_potential(game).proved  # each scalar coupling is data of its own
    w = np.array([[0.0, 1.0], [1e-14, 0.0]])
    neurons = Network.recurrent(w, [0.0, 0.0], "relu").game(players="neurons")
    assert weighted_potential(neurons).refuted  # one matrix, known to 1e-12 of its largest entry
    assert weighted_potential(neurons, 0).proved


def test_weights_come_from_the_couplings_that_are_known_best():
    c = np.array([1.0, 3.0, 0.2])
    s = np.array([[0.0, 1e-9, 1.0], [1e-9, 0.0, 1.0], [1.0, 1.0, 0.0]])
    w = s / c[:, None]
    w[1, 0] += 5e-13
    game = Network.recurrent(w, np.zeros(3), "tanh").game(players="neurons")
    verdict = verdict_of("weighted_potential", game)
    assert verdict.proved
    assert list(verdict.witness["weights"].values()) == pytest.approx(c, rel=1e-11)


def test_what_a_plane_hides_leaves_the_rest_exact():
    w = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    back = np.outer([1.0, -1.0], PLANE["matrix"][0]) + 2.0**-47 * w.T
    game = Network.graph({(1, 2): w, (2, 1): back}, {1: np.zeros(3), 2: np.zeros(2)}, {1: PLANE, 2: "tanh"}).game()
    assert weighted_potential(game).refuted
    verdict = weighted_potential(game, 0)
    assert verdict.proved
    assert verdict.witness["weights"] == {1: 1, 2: 2**47}


def plane_game(n, sign):
    """Return the game of a plane in R^n, whose normal is (1, 2, ..., n), and a tanh that answers by sign W'."""
    plane = {"name": "affine", "matrix": [list(range(1, n + 1))], "offset": [0.0]}
    w = np.random.default_rng(n).integers(-3, 4, size=(n, 2)).astype(float)
    return Network.graph(
        {(1, 2): w, (2, 1): sign * w.T}, {1: np.zeros(n), 2: np.zeros(2)}, {1: plane, 2: "tanh"}
    ).game()


def test_a_plane_is_decided_exactly():
    assert exact_potential(plane_game(3, 1), 0).proved
    assert weighted_potential(plane_game(3, 1), 0).proved
    assert exact_potential(plane_game(3, -1), 0).refuted
    assert weighted_potential(plane_game(3, -1), 0).refuted


def test_a_large_computed_plane_is_not_decided_exactly():
    game = plane_game(60, 1)
    assert exact_potential(game).proved
    assert exact_potential(game, 0).status is Decision.UNDECIDED
    assert weighted_potential(game, 0).status is Decision.UNDECIDED
    assert exact_potential(plane_game(60, -1), 0).refuted
    assert weighted_potential(plane_game(60, -1), 0).refuted


@pytest.mark.parametrize("tolerance", [-1e-3, 1.0, float("nan")])
def test_a_tolerance_must_be_a_small_number(tolerance):
    game = scalar_graph({}, 2)
    for decide in (exact_potential, weighted_potential):
        with pytest.raises(OptionError, match=r"data_tolerance must be a number in \[0, 1\); got"):
            decide(game, tolerance)


# Tracking costs


def test_affine_tracking_games_are_quadratic():
    slow = {"name": "linear", "slope": -0.5, "bias": 0.3}
    w = np.array([[1.0, 2.0], [0.5, -1.0], [0.0, 3.0]])
    network = Network.graph({(1, 2): w, (2, 1): -0.5 * w.T}, {1: [1.0, 0, 2], 2: [0.5, 0]}, {1: slow, 2: "identity"})
    game = network.game(cost="tracking")
    verdict = verdict_of("exact_potential", game)
    assert verdict.proved
    assert "tracking cost" in verdict.statement
    assert largest_cycle_sum(game, verdict.witness["weights"]) < 1e-9
    assert largest_potential_error(game, verdict.witness["weights"]) < 1e-9
    neurons = network.game(cost="tracking", players="neurons")
    assert verdict_of("exact_potential", neurons).proved
    assert exact_potential(neurons, 0).proved
    assert exact_potential(game, 0).proved
    assert largest_potential_error(neurons, verdict_of("exact_potential", neurons).witness["weights"]) < 1e-9


def test_a_nonlinear_response_refutes_a_tracking_potential():
    w = np.array([[1.0, 0.5]])
    network = Network.graph({(1, 2): w, (2, 1): w.T}, {1: [0.0], 2: [0.0, 0.0]}, {1: "silu", 2: "identity"})
    game = network.game()
    assert game.cost_name == "tracking"
    for name in ("exact_potential", "weighted_potential"):
        verdict = verdict_of(name, game)
        assert verdict.refuted
        assert "silu" in verdict.statement
    assert largest_cycle_sum(game, {1: 1.0, 2: 1.0}, (1, 2)) > 1e-3
    assert verdict_of("exact_potential", network.game(players="neurons")).refuted


def test_a_tracking_game_without_couplings_has_a_potential():
    game = Network.graph({(1, 2): [[0.0]]}, {1: [0.5], 2: [1.0]}, {1: "silu", 2: "tanh"}).game()
    verdict = verdict_of("exact_potential", game)
    assert verdict.proved
    assert largest_potential_error(game, verdict.witness["weights"]) < 1e-12


def test_softmax_tracking_is_left_undecided():
    w = np.eye(3)
    game = Network.ring([w, w], [np.zeros(3)] * 2, ["softmax", "softmax"]).game(cost="tracking")
    for name in ("exact_potential", "weighted_potential"):
        assert verdict_of(name, game).status is Decision.UNDECIDED


# What the certificates cannot take, and large games


def test_a_bilinear_coupling_is_refused():
    couplings = [LinearCoupling(1, 2, Network.ring([[[1.0]]] * 2, [[0.0]] * 2, ["relu"] * 2).weights[1, 2])]
    couplings.append(BilinearCoupling(3, (1, 2), np.ones((1, 1, 1))))
    game = Network(couplings, {1: [0.0], 2: [0.0], 3: [0.0]}, dict.fromkeys((1, 2, 3), "tanh")).game()
    verdict = verdict_of("weighted_potential", game)
    assert verdict.status is Decision.UNDECIDED
    assert verdict.statement == "not applicable: a coupling is not linear"


def test_sparse_couplings_behind_softmax():
    w = np.array([[1.0, 0.0, 2.0], [0.0, 3.0, 0.0], [0.0, 0.0, 1.0]])
    hidden_part = np.outer(np.ones(3), [1.0, 2.0, 3.0])
    for first, second in ((w, w.T + hidden_part), (w, 2 * w.T), (w, w @ w)):
        networks = [
            Network.ring([kind(first), kind(second)], [np.zeros(3)] * 2, ["softmax", "softmax"])
            for kind in (sparse.csr_array, np.asarray)
        ]
        for decide in (exact_potential, weighted_potential):
            for tolerance in (1e-12, 0):
                verdicts = [decide(network.game(), tolerance) for network in networks]
                assert verdicts[0].status is verdicts[1].status
                assert verdicts[0].status is not Decision.UNDECIDED


def test_a_coupling_too_large_to_project_is_refused():
    n = 3000
    network = Network.ring([sparse.eye_array(n)] * 2, [np.zeros(n)] * 2, ["softmax", "tanh"])
    verdict = verdict_of("exact_potential", network.game())
    assert verdict.statement == (
        "not applicable: the coupling of 1 with 2 is too large for the projection on the domain of 1"
    )


@pytest.mark.parametrize("players", ["neurons", "layers"])
def test_large_sparse_games(players):
    n = 20_000
    rng = np.random.default_rng(7)
    s = sparse.random(n, n, density=2 / n, rng=rng, format="csr")
    scale = sparse.diags_array(rng.uniform(0.5, 2, n))
    other = s.T @ scale if players == "neurons" else 3 * s.T
    game = Network.ring([s, other.tocsr()], [np.zeros(n)] * 2, ["tanh"] * 2).game(players=players)
    assert verdict_of("exact_potential", game).refuted
    verdict = verdict_of("weighted_potential", game)
    assert verdict.proved
    exact = weighted_potential(game, 0)
    if players == "layers":
        # The floats 3 w are rounded, so that no fraction fits all of them.
        assert exact.refuted
        assert weighted_potential(Network.ring([s, 4 * s.T], [np.zeros(n)] * 2, ["tanh"] * 2).game(), 0).proved
    wrong = s.T.tolil()
    row, column = s.tocoo().row[0], s.tocoo().col[0]
    wrong[column, row] = -1.0
    game = Network.ring([s, wrong.tocsr()], [np.zeros(n)] * 2, ["tanh"] * 2).game(players=players)
    verdict = verdict_of("weighted_potential", game)
    assert verdict.refuted
    assert verdict.witness["values"][0] * verdict.witness["values"][1] < 0
