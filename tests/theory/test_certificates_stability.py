"""Diagonal stability: the form in exact fractions, the error bound on pairs of profiles, and solvers that lie."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from scipy import sparse

from nngames.certificates import diagonal_stability, sectors, verdict_of
from nngames.core.exact import is_positive_semidefinite, rational
from nngames.games import QuadraticGame
from nngames.networks import Network

ACTIVATIONS = [
    "relu",
    "tanh",
    "silu",
    "leaky_relu",
    "identity",
    "softmax",
    "selu",
    {"name": "tanh", "scale": 0.5},
    "sin",
]


def recurrent(weight, activation="relu"):
    return Network.recurrent(weight, np.full(np.shape(weight)[0], 0.1), activation).game(players="neurons")


def random_game(rng, scale):
    """Return a game of three layers that all listen to each other."""
    sizes = rng.integers(1, 4, 3)
    weights = {(i, j): rng.standard_normal((sizes[i], sizes[j])) * scale for i in range(3) for j in range(3) if i != j}
    biases = {i: rng.standard_normal(n) for i, n in enumerate(sizes)}
    return Network.graph(weights, biases, {i: ACTIVATIONS[rng.integers(len(ACTIVATIONS))] for i in range(3)}).game()


def slopes_and_weights(game):
    """Return s, (tau, sigma) and W in exact fractions, from the activations alone."""
    network, n = game.network, game.size
    low, pairs = [], []
    for player, size in network.dims.items():
        s, top = (Fraction(end) for end in network.activations[player].slope_range)
        low += [s] * size
        pairs += [(Fraction(1), Fraction(float(1 / top))) if top > 1 else (top, Fraction(1))] * size
    weight = [[Fraction(0)] * n for _ in range(n)]
    for (target, source), block in network.weights.items():
        for (a, b), w in np.ndenumerate(block.dense):
            weight[network.space.slices[target].start + a][network.space.slices[source].start + b] += Fraction(float(w))
    return low, pairs, weight


def factors(game):
    low, pairs, weight = slopes_and_weights(game)
    n = len(low)
    first = [[int(i == j) - low[i] * weight[i][j] for j in range(n)] for i in range(n)]
    second = [[pairs[i][1] * int(i == j) - pairs[i][0] * weight[i][j] for j in range(n)] for i in range(n)]
    return first, second


def form(game, multipliers, modulus):
    """Return sym((I - sW)'P(sigma - tau W)) - m P as a flint matrix."""
    from flint import fmpq_mat

    first, second = factors(game)
    n, p = len(first), [Fraction(float(x)) for x in multipliers]
    product = [[sum(first[k][i] * p[k] * second[k][j] for k in range(n)) for j in range(n)] for i in range(n)]
    entries = [
        rational((product[i][j] + product[j][i]) / 2 - (Fraction(modulus) * p[i] if i == j else 0))
        for i in range(n)
        for j in range(n)
    ]
    return fmpq_mat(n, n, entries)


def check(game):
    """Check what a verdict says in exact fractions, and return it."""
    verdict = verdict_of("diagonal_stability", game)
    if verdict.proved:
        assert np.all(verdict.witness["multipliers"] > 0)
        assert is_positive_semidefinite(form(game, verdict.witness["multipliers"], verdict.witness["modulus"]))
        for player, where in game.network.space.slices.items():
            if not game.network.activations[player].separable:
                assert np.ptp(verdict.witness["multipliers"][where]) == 0
    if verdict.refuted:
        assert max(totals(game, verdict.witness["directions"])) <= 0
    return verdict


def totals(game, directions):
    """Return <YY', dH/dp> for every multiplier, exactly."""
    first, second = factors(game)
    columns = [[Fraction(float(x)) for x in column] for column in directions.T]
    assert any(x for column in columns for x in column)
    n = len(first)
    values = [
        sum(sum(first[i][j] * y[j] for j in range(n)) * sum(second[i][j] * y[j] for j in range(n)) for y in columns)
        for i in range(n)
    ]
    grouped = []
    for player, where in game.network.space.slices.items():
        part = values[where]
        grouped += part if game.network.activations[player].separable else [sum(part)]
    return grouped


@pytest.mark.parametrize("seed", range(24))
def test_random_games_agree_with_exact_fractions_and_bound_errors(seed):
    rng = np.random.default_rng(seed)
    game = random_game(rng, [0.15, 0.3, 1.2][seed % 3])
    verdict = check(game)
    if verdict.proved:
        p, c = verdict.witness["multipliers"], verdict.witness["error_factor"]
        for _ in range(200):
            x, y = (rng.standard_normal(game.size) * 10.0 ** rng.uniform(-2, 2) for _ in range(2))
            gap = (x - game.network.joint(x)) - (y - game.network.joint(y))
            assert np.sqrt(p @ (x - y) ** 2) <= c * np.sqrt(p @ gap**2) * (1 + 1e-9)


def test_games_of_each_kind_are_proved_and_refuted():
    found = [
        verdict_of("diagonal_stability", random_game(np.random.default_rng(s), [0.15, 0.3, 1.2][s % 3]))
        for s in range(24)
    ]
    assert sum(v.proved for v in found) >= 8
    assert sum(v.refuted for v in found) >= 3


def test_slopes_from_0_to_1_give_the_symmetric_part():
    w = np.array([[0.0, -3.0], [1.0, 0.0]])
    verdict = check(recurrent(w))
    p = verdict.witness["multipliers"]
    scaled = np.sqrt(p)[:, None] * (np.eye(2) - w) / np.sqrt(p)
    assert verdict.witness["modulus"] == pytest.approx(np.linalg.eigvalsh((scaled + scaled.T) / 2)[0], rel=1e-12)
    assert verdict.margin == verdict.witness["modulus"]


def test_slopes_from_minus_1_to_1_give_a_contraction_in_the_metric():
    w = np.array([[0.0, 4.0], [0.2, 0.0]])
    game = Network.graph({(1, 2): [[4.0]], (2, 1): [[0.2]]}, {1: [0.0], 2: [0.0]}, "sin").game()
    verdict = check(game)
    p = np.diag(verdict.witness["multipliers"])
    assert np.linalg.eigvalsh(p - w.T @ p @ w)[0] > 0
    assert not check(Network.graph({(1, 2): [[4.0]], (2, 1): [[0.26]]}, {1: [0.0], 2: [0.0]}, "sin").game()).proved


@pytest.mark.parametrize("scale", [1.0, 3.0, 1e6])
def test_steep_responses_count_by_the_inverse_of_their_slope(scale):
    activation = {"name": "tanh", "scale": scale}
    inside = Network.ring([[[-1.9 / scale]]] * 3, [[0.0]] * 3, [activation] * 3).game()
    outside = Network.ring([[[-2.1 / scale]]] * 3, [[0.0]] * 3, [activation] * 3).game()
    assert check(inside).proved
    assert check(outside).refuted


@pytest.mark.parametrize(("w", "proved"), [(-2.0 + 1e-9, True), (-2.0, False), (-2.0 - 1e-9, False)])
def test_next_to_the_singular_ring(w, proved):
    assert check(Network.ring([[[w]]] * 3, [[0.0]] * 3, ["relu"] * 3).game()).proved is proved


def test_an_affine_map_is_stable_unless_it_is_singular():
    assert check(Network.ring([[[-2.0]]] * 3, [[0.0]] * 3, ["identity"] * 3).game()).proved
    assert check(Network.ring([[[5.0]]] * 3, [[0.0]] * 3, ["identity"] * 3).game()).proved
    assert not check(Network.ring([[[1.0]]] * 3, [[0.0]] * 3, ["identity"] * 3).game()).proved


@pytest.mark.parametrize("spread", [1.0, 8.0])
def test_a_diagonal_metric_is_found_where_the_euclidean_one_fails(spread):
    rng = np.random.default_rng(0)
    skew = rng.standard_normal((8, 8))
    scale = 10.0 ** np.linspace(-spread / 2, spread / 2, 8)
    game = recurrent(scale[:, None] * (0.5 * np.eye(8) + skew - skew.T) / scale)
    assert verdict_of("monotone", game).refuted
    assert check(game).proved


def test_a_metric_that_only_the_semidefinite_program_finds():
    rng = np.random.default_rng(15)
    w = rng.standard_normal((16, 16)) / np.sqrt(16) * 0.9
    w *= np.outer(d := np.exp(0.5 * rng.standard_normal(16)), 1 / d)
    np.fill_diagonal(w, 0)
    verdict = check(recurrent(w))
    assert verdict.proved
    assert "semidefinite" in verdict.method


def test_what_a_lying_solver_says_is_not_believed(monkeypatch):
    game = recurrent(np.array([[0.0, 3.0], [3.0, 0.0]]))
    for answer in [
        (np.ones(2), np.ones((2, 1))),
        (np.array([1.0, 1e-300]), np.zeros((2, 1))),
        (np.array([np.nan, 1.0]), np.array([[1.0], [-1.0]])),
        None,
    ]:
        monkeypatch.setattr(diagonal_stability, "semidefinite_multipliers", lambda *_, answer=answer: answer)
        verdict = diagonal_stability.DiagonalStability().decide(game)
        assert not verdict.proved
        if verdict.refuted:
            assert max(totals(game, verdict.witness["directions"])) <= 0
    stable = recurrent(np.array([[0.0, 3.0], [-3.0, 0.0]]))
    monkeypatch.setattr(diagonal_stability, "explicit_multipliers", lambda *_: iter(()))
    monkeypatch.setattr(
        diagonal_stability, "semidefinite_multipliers", lambda *_: (np.array([1.0, 1e-6]), np.array([[1.0], [1.0]]))
    )
    assert not diagonal_stability.DiagonalStability().decide(stable).proved
    assert not diagonal_stability.DiagonalStability().decide(stable).refuted


@pytest.mark.parametrize("size", [1e-200, 1e200])
def test_data_out_of_range(size):
    tiny = {"name": "tanh", "scale": min(1 / size, 1e300)}
    check(recurrent(np.array([[0.0, size], [-size, 0.0]])))
    check(recurrent(np.array([[0.0, -0.5 * size], [0.5 * size, 0.0]]), tiny))
    assert check(recurrent(np.array([[0.0, 0.1 * size], [0.1 / size, 0.0]]))).witness.get("unique", True)


def test_float32_data_are_the_numbers_they_are():
    w = np.array([[0.0, -3.3], [1.1, 0.0]], dtype=np.float32)
    assert check(recurrent(w)).proved


def test_a_constant_response_is_no_obstacle():
    game = Network.graph({(1, 2): [[50.0]], (2, 1): [[50.0]]}, {1: [0.0], 2: [0.0]}, {1: "singleton", 2: "relu"}).game()
    assert check(game).proved


def test_large_sparse_games_are_decided_by_a_comparison_matrix():
    rng = np.random.default_rng(0)
    n = 4000
    pairs = rng.integers(0, n, (3 * n, 2))
    graph = sparse.coo_array((np.ones(3 * n), pairs.T), shape=(n, n)).tocsr()
    graph.setdiag(0)
    rows = np.maximum(graph.sum(axis=1), 1)
    heights = np.exp(rng.standard_normal(n))
    weight = sparse.csr_array(sparse.diags_array(-0.9 * heights / rows) @ graph @ sparse.diags_array(1 / heights))
    verdict = verdict_of("diagonal_stability", recurrent(weight))
    assert verdict.proved
    assert np.isfinite(verdict.witness["error_factor"])


@pytest.mark.parametrize("quadratic", [2.0, [[2.0, 0.5], [0.5, 1.0]], [[2.0, 0.0], [0.0, 1.0]]])
def test_quadratic_games_bound_the_error_of_best_responses(quadratic):
    rng = np.random.default_rng(3)
    n = np.atleast_2d(quadratic).shape[0]
    coupling = rng.standard_normal((n, 1))
    game = QuadraticGame(
        {"a": quadratic, "b": 1.0},
        {("a", "b"): coupling, ("b", "a"): -9 * coupling.T},
        {"a": rng.standard_normal(n), "b": [1.0]},
        {"a": "nonnegative", "b": "box"},
    )
    verdict = verdict_of("diagonal_stability", game)
    assert verdict.proved
    assert "BR(x)" in verdict.statement
    p, c = verdict.witness["multipliers"], verdict.witness["error_factor"]
    for _ in range(200):
        x, y = (3 * rng.standard_normal(game.size) for _ in range(2))
        gap = game.residuals(x) - game.residuals(y)
        assert np.sqrt(p @ (x - y) ** 2) <= c * np.sqrt(p @ gap**2) * (1 + 1e-7)


def test_unbounded_slopes_and_jumps():
    steep = Network.graph({(1, 2): [[-1.0]], (2, 1): [[1.0]]}, {1: [0.0], 2: [0.0]}, "soft_exponential").game()
    assert not verdict_of("diagonal_stability", steep).refuted
    jump = Network.graph({(1, 2): [[-1.0]], (2, 1): [[1.0]]}, {1: [0.0], 2: [0.0]}, "hardshrink").game()
    assert verdict_of("diagonal_stability", jump).statement.startswith("not applicable")


def test_a_response_that_is_no_gradient_turns_either_way():
    # Of a Lipschitz constant c alone, |dr| <= c |dv| is all that is known, with one multiplier for the block.
    network = Network.ring([np.eye(2), np.eye(2)], [np.zeros(2)] * 2, ["attention_gaussian", "relu"])
    found, c = sectors.sectors(network.game()), network.activations[1].lipschitz
    np.testing.assert_array_equal(found.lower, [-c, -c, 0.0, 0.0])
    np.testing.assert_array_equal(found.tau, [c, c, 1.0, 1.0])
    np.testing.assert_array_equal(found.groups, [0, 0, 1, 2])
