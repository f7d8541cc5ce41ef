"""The monotone certificate: moduli in 50-digit arithmetic, directions in exact fractions, and the singular boundary."""

from __future__ import annotations

from fractions import Fraction

import mpmath
import numpy as np
import pytest
from scipy import sparse

from nngames.certificates import least_eigenvalue as least_module
from nngames.certificates import verdict_of
from nngames.certificates.least_eigenvalue import least_eigenvalue, weighted_rows
from nngames.core.bounds import TIGHT_SIDE
from nngames.core.verdicts import Decision
from nngames.games import QuadraticGame
from nngames.networks import Network


def dense_operator(game):
    """M in exact fractions, assembled here from the game's data alone."""
    slices, network = game.network.space.slices, game.network
    m = [[Fraction(0)] * game.size for _ in range(game.size)]
    for player, where in slices.items():
        slope = Fraction(network.activations[player].slope_range[1])
        metric = getattr(game, "own", {})[player].metric if isinstance(game, QuadraticGame) else None
        for i in range(where.start, where.stop):
            m[i][i] -= 1 - 1 / slope if slope > 1 else 0
            for j in range(where.start, where.stop):
                a, b = i - where.start, j - where.start
                entry = float(a == b) if metric is None else metric[a, b] if metric.ndim == 2 else metric[a] * (a == b)
                m[i][j] += Fraction(float(entry))
    for (target, source), weight in network.weights.items():
        for (a, b), w in np.ndenumerate(weight.dense):
            m[slices[target].start + a][slices[source].start + b] -= Fraction(float(w))
    return m


def least_eigenvalue_exactly(m):
    with mpmath.workdps(50):
        s = mpmath.matrix([[(m[i][j] + m[j][i]) / 2 for j in range(len(m))] for i in range(len(m))])
        return min(mpmath.eigsy(s, eigvals_only=True))


def form(m, d):
    d = [Fraction(x) for x in d]
    return sum(d[i] * m[i][j] * d[j] for i in range(len(m)) for j in range(len(m)))


def agrees(game):
    """Compare the verdict with the 50-digit least eigenvalue, and return both."""
    m, verdict = dense_operator(game), verdict_of("monotone", game)
    least = least_eigenvalue_exactly(m)
    if verdict.proved:
        assert least >= verdict.witness["modulus"] - mpmath.mpf(10) ** -40
        assert verdict.witness["modulus"] >= 0
        assert verdict.witness.get("unique", False) is (verdict.witness["modulus"] > 0)
    if verdict.refuted:
        direction = verdict.witness["direction"]
        value = form(m, direction if isinstance(direction, list) else direction.tolist())
        assert value < 0
        assert value <= Fraction(verdict.witness["value"])
    return verdict, least


def random_game(rng, kind):
    sizes = rng.integers(1, 4, 3)
    weights = {
        (i, j): rng.standard_normal((sizes[i], sizes[j])) * rng.uniform(0, 0.9)
        for i in range(3)
        for j in range(3)
        if i != j
    }
    if kind == "network":
        names = [
            rng.choice(["tanh", "relu", "softmax"]),
            "identity",
            {"name": "tanh", "scale": float(rng.choice([1, 3, 0.5]))},
        ]
        return Network.graph(weights, {i: np.zeros(n) for i, n in enumerate(sizes)}, dict(enumerate(names))).game()
    quadratic = {}
    for i, n in enumerate(sizes):
        root = rng.standard_normal((n, n))
        quadratic[i] = (root @ root.T + (root @ root.T).T) / 2 + 0.5 * np.eye(n)
    return QuadraticGame(quadratic, weights)


@pytest.mark.parametrize("kind", ["network", "quadratic"])
@pytest.mark.parametrize("seed", range(15))
def test_random_games_agree_with_fifty_digits(kind, seed):
    verdict, least = agrees(random_game(np.random.default_rng(seed), kind))
    assert verdict.status is (Decision.PROVED if least > 0 else Decision.REFUTED)
    if verdict.proved:
        assert verdict.witness["modulus"] == pytest.approx(float(least), rel=1e-9, abs=1e-11)


@pytest.mark.parametrize("seed", range(6))
def test_the_norm_bound_is_above_the_norm(seed):
    game = random_game(np.random.default_rng(100 + seed), "quadratic")
    verdict = verdict_of("monotone", game)
    if verdict.proved:
        m = np.array([[float(x) for x in row] for row in dense_operator(game)])
        norm = np.linalg.norm(m, 2)
        assert norm * (1 - 1e-12) <= verdict.witness["norm_bound"] <= norm * (1 + 1e-9)


# The boundary


def scalar_ring(weights, activation="identity"):
    return Network.ring([[[w]] for w in weights], [[0.0]] * len(weights), [activation] * len(weights)).game()


def test_the_singular_ring_is_monotone_and_not_strongly():
    verdict, least = agrees(scalar_ring([-2.0] * 3))
    assert verdict.proved
    assert abs(least) < 1e-40
    assert verdict.witness["modulus"] == 0
    assert "unique" not in verdict.witness
    assert "exact rational" in verdict.method


@pytest.mark.parametrize("excess", [2.0**-51, 2.0**-40, 1e-9])
def test_beyond_the_singular_ring_a_direction_refutes(excess):
    verdict, least = agrees(scalar_ring([-2.0 - excess] * 3))
    assert verdict.refuted
    assert least < 0


@pytest.mark.parametrize("deficit", [2.0**-51, 1e-9])
def test_short_of_the_singular_ring_it_is_monotone(deficit):
    verdict, _ = agrees(scalar_ring([-2.0 + deficit] * 3))
    assert verdict.proved


def test_many_singular_components_are_decided_one_by_one():
    n = 60
    weights = [-2 * np.eye(n)] * 3
    game = Network.ring(weights, [np.zeros(n)] * 3, ["relu"] * 3).game()
    verdict = verdict_of("monotone", game)
    assert verdict.proved
    assert verdict.witness["modulus"] == 0


def test_a_large_singular_component_is_left_undecided():
    n = 60
    orthogonal = np.linalg.qr(np.random.default_rng(0).standard_normal((n, n)))[0]
    weights = {(1, 2): orthogonal, (2, 1): orthogonal.T}
    game = Network.graph(weights, {1: np.zeros(n), 2: np.zeros(n)}, "relu").game()
    verdict = verdict_of("monotone", game)
    assert verdict.status is Decision.UNDECIDED
    assert verdict.witness["interval"][0] <= 0 <= verdict.witness["interval"][1] + 1e-12


def test_skew_couplings_are_strongly_monotone_with_modulus_one():
    w = np.random.default_rng(1).standard_normal((4, 3)) * 50
    game = Network.graph({(1, 2): w, (2, 1): -w.T}, {1: np.zeros(4), 2: np.zeros(3)}, "tanh").game()
    verdict = verdict_of("monotone", game)
    assert verdict.proved
    assert verdict.witness["modulus"] == pytest.approx(1, abs=1e-9)
    assert verdict.witness["modulus"] <= 1


def test_a_steep_activation_lowers_the_diagonal():
    # S = 4: M has 1/4 on the diagonal, and w = 1/4 is exactly the boundary.
    steep = {"name": "linear", "slope": 4.0}
    assert verdict_of("monotone", scalar_ring([0.25, 0.25], steep)).witness["modulus"] == 0
    assert verdict_of("monotone", scalar_ring([0.25, 0.24], steep)).witness["modulus"] > 0
    assert verdict_of("monotone", scalar_ring([0.25, 0.26], steep)).refuted
    assert verdict_of("monotone", scalar_ring([0.25, 0.25 + 2.0**-54], steep)).refuted


def test_a_self_loop_counts_in_the_operator():
    game = Network.recurrent([[0.5, 3.0], [-3.0, 0.25]], [0.0, 0.0], "tanh").game(players="neurons")
    verdict, _ = agrees(game)
    assert verdict.witness["modulus"] == pytest.approx(0.5, abs=1e-12)


def test_a_tracking_game_has_no_inclusion():
    game = Network.ring([[[0.5]], [[0.5]]], [[0.0]] * 2, ["silu", "tanh"]).game()
    verdict = verdict_of("monotone", game)
    assert verdict.status is Decision.UNDECIDED
    assert verdict.statement.startswith("not applicable: a game with the tracking cost has no inclusion view")


# Beyond the order of the tight enclosure


def path_matrix(n, off):
    return sparse.csr_array(
        sparse.diags_array([np.full(n - 1, off), np.ones(n), np.full(n - 1, off)], offsets=[-1, 0, 1])
    )


@pytest.mark.parametrize("n", [TIGHT_SIDE + 100, 6000])
@pytest.mark.parametrize("off", [-0.4, 0.4, -0.7, 0.7])
def test_large_sparse_matrices_have_safe_bounds(n, off):
    matrix = path_matrix(n, off)
    lower, upper, direction = least_eigenvalue(matrix, abs(matrix) * 2.0**-52)
    exact = 1 - 2 * abs(off) * np.cos(np.pi / (n + 1))
    assert lower <= exact <= upper
    assert (lower > 0) == (direction is None) == (exact > 0)
    if exact > 0:
        assert lower > exact - 1e-3
    else:
        assert upper < 0
        assert direction @ (matrix @ direction) < 0


def test_a_factorisation_proves_what_row_bounds_do_not():
    # The circulant I + 0.6 (P + P') + 0.3 (P^2 + P'^2): its least eigenvalue is known, and row bounds fail.
    n = TIGHT_SIDE + 20
    angles = 2 * np.pi * np.arange(n) / n
    exact = float((1 + 1.2 * np.cos(angles) + 0.6 * np.cos(2 * angles)).min())
    offsets = {0: 1.0, 1: 0.6, 2: 0.3, n - 2: 0.3, n - 1: 0.6}
    parts = [sparse.diags_array(np.full(n - k, value), offsets=k) for k, value in offsets.items()]
    matrix = sparse.csr_array(sum(part + part.T for part in parts[1:]) + parts[0])
    assert weighted_rows(matrix, 0 * matrix) < 0
    lower, upper, direction = least_eigenvalue(matrix, 0 * matrix)
    assert direction is None
    assert 0.9 * exact < lower <= exact * (1 + 1e-12)
    assert exact <= upper * (1 + 1e-12)


def test_orders_where_lanczos_does_not_converge_are_decided():
    """Eight orthogonal layers: eigenvalues of (M + M')/2 crowd at 1 - cos(angle/8), the least one about 6e-6."""
    rng = np.random.default_rng(0)
    weights = [np.linalg.qr(rng.standard_normal((200, 200)))[0] for _ in range(8)]
    game = Network.ring(weights, np.zeros((8, 200)), ["relu"] * 8).game()
    angles = np.abs(np.angle(np.linalg.eigvals(np.linalg.multi_dot(weights[::-1]))))
    least = 1 - np.cos(angles.min() / 8)
    verdict = verdict_of("monotone", game)
    assert verdict.proved
    assert least - 2e-8 < verdict.witness["modulus"] <= least + 1e-13


@pytest.mark.parametrize("dense", [0, 1000])
@pytest.mark.parametrize("order", [0, 1000])
def test_every_route_to_a_direction_bounds_the_least_eigenvalue(dense, order, monkeypatch):
    monkeypatch.setattr(least_module, "TIGHT_SIDE", 0)
    monkeypatch.setattr(least_module, "_DENSE_ORDER", dense)
    monkeypatch.setattr(least_module, "CHOLESKY_ORDER", order)
    rng = np.random.default_rng(1)
    basis = np.linalg.qr(rng.standard_normal((60, 60)))[0]
    for least in (1e-3, -1e-3):
        values = np.linspace(least, 2, 60)
        symmetric = (basis * values) @ basis.T
        symmetric = (symmetric + symmetric.T) / 2
        error = sparse.csr_array(np.full((60, 60), 1e-16))
        lower, upper, direction = least_module.least_eigenvalue(sparse.csr_array(symmetric), error)
        assert lower <= least + 1e-13
        assert upper >= least - 1e-13
        if order and least > 0:
            assert lower >= least - 5e-8
        if order:
            assert (direction is None) == (least > 0)


@pytest.mark.parametrize("shift", [0.5, -0.5])
def test_a_verdict_changes_only_beyond_the_perturbation_that_it_names(shift):
    generator = np.random.default_rng(4)
    weight = generator.standard_normal((6, 6))
    weight -= (np.linalg.eigvalsh((weight + weight.T) / 2).max() - 1 + shift) * np.eye(6)

    def decided(change):
        return verdict_of("monotone", Network.ring([weight - change], [np.zeros(6)], ["tanh"]).game())

    verdict = decided(np.zeros((6, 6)))
    assert verdict.status is (Decision.PROVED if shift > 0 else Decision.REFUTED)
    assert "in norm" in verdict.would_change
    vectors = np.linalg.eigh(np.eye(6) - (weight + weight.T) / 2).eigenvectors
    worst = np.outer(vectors[:, 0], vectors[:, 0])
    for size in (0.99 * verdict.margin, 1.01 * verdict.margin):
        changed = decided(-np.sign(shift) * size * worst)
        assert (changed.status is verdict.status) is (size < verdict.margin)
