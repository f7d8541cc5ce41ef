"""The P-matrix certificate: all minors in fractions, equilibria counted pattern by pattern, and large blocks."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest
from scipy import sparse

from nngames.certificates import verdict_of
from nngames.certificates.principal_minors import MINORS_ORDER, dominance, nonpositive_minor
from nngames.core.exact import rational_matrix
from nngames.core.verdicts import Decision
from nngames.games import QuadraticGame
from nngames.networks import Network


def recurrent(weight, activation="relu"):
    return Network.recurrent(weight, np.zeros(np.shape(weight)[0]), activation).game(players="neurons")


def determinant(matrix):
    """Return the determinant of a list of rows of fractions, by expansion along the first row."""
    if not matrix:
        return Fraction(1)
    return sum(
        (-1) ** j * x * determinant([row[:j] + row[j + 1 :] for row in matrix[1:]])
        for j, x in enumerate(matrix[0])
        if x
    )


def minor(matrix, indices):
    return determinant([[Fraction(float(matrix[i][j])) for j in indices] for i in indices])


def all_minors(matrix):
    n = len(matrix)
    return [minor(matrix, c) for k in range(1, n + 1) for c in itertools.combinations(range(n), k)]


def check(game, matrix):
    """Compare the verdict with all minors of the matrix."""
    verdict = verdict_of("p_matrix", game)
    assert verdict.status is (Decision.PROVED if min(all_minors(matrix)) > 0 else Decision.REFUTED)
    if verdict.refuted:
        value = minor(matrix, verdict.witness["indices"])
        assert value == verdict.witness["value"]
        assert value <= 0
    return verdict


def loose(rng, n, values):
    """Return a weight without self-loops."""
    weight = rng.choice(values, (n, n))
    np.fill_diagonal(weight, 0.0)
    return weight


@pytest.mark.parametrize("seed", range(40))
def test_small_matrices_are_decided_by_all_minors(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 6))
    weight = loose(rng, n, [-1.0, -0.5, 0.0, 0.25, 0.5, 1.0])
    check(recurrent(weight), np.eye(n) - weight)


def equilibria(weight, bias):
    """Count the solutions of x = max(0, Wx + b) over all sets of active coordinates; None next to a degenerate one."""
    n, count = len(bias), 0
    for active in itertools.product([False, True], repeat=n):
        on = np.flatnonzero(active)
        x = np.zeros(n)
        block = np.eye(on.size) - weight[np.ix_(on, on)]
        if on.size and abs(np.linalg.det(block)) < 1e-6:
            return None
        x[on] = np.linalg.solve(block, bias[on])
        v = weight @ x + bias
        sure = np.where(active, x, -v)
        if np.abs(sure).min() < 1e-6:
            return None
        count += bool((sure > 0).all())
    return count


@pytest.mark.parametrize("seed", range(16))
def test_relu_has_one_equilibrium_for_every_bias_iff_proved(seed):
    rng = np.random.default_rng(seed)
    n = 3 + seed % 2
    # Few binary digits, so that I - W is exact.
    weight = np.round(rng.standard_normal((n, n)) * [0.6, 1.2][seed // 2 % 2] * 2**20) / 2**20
    np.fill_diagonal(weight, np.minimum(weight.diagonal(), 0.5))
    verdict = check(recurrent(weight), np.eye(n) - weight)
    counts = {equilibria(weight, rng.standard_normal(n)) for _ in range(300)} - {None}
    if verdict.proved:
        assert counts == {1}
    elif verdict.witness["value"] < -0.2:
        assert counts != {1}
        assert "several fixed points or none for some bias" in verdict.statement


@pytest.mark.parametrize("w", [1.0, 1.0 + 2.0**-52, 1.0 - 2.0**-53, -2.0])
def test_rings_next_to_singular(w):
    game = Network.ring([[[w]]] * 3, [[0.0]] * 3, ["relu"] * 3).game()
    verdict = verdict_of("p_matrix", game)
    assert verdict.proved is (w < 1)
    if w >= 1:
        assert verdict.witness["value"] == 1 - Fraction(w) ** 3


@pytest.mark.parametrize("scale", [3.0, 0.25])
def test_steeper_responses_move_the_threshold(scale):
    activation = {"name": "tanh", "scale": scale}
    for w, expected in [(0.99 / scale, True), (1.01 / scale, False)]:
        game = Network.ring([[[w]]] * 3, [[0.0]] * 3, [activation] * 3).game()
        verdict = verdict_of("p_matrix", game)
        assert verdict.proved is expected
        assert expected or "this one's are not decided by it" in verdict.statement


def test_unbounded_slopes_claim_nothing_by_a_minor():
    game = Network.graph({(1, 2): [[1.0]], (2, 1): [[1.0]]}, {1: [0.0], 2: [0.0]}, "soft_exponential").game()
    assert "leaves open" in verdict_of("p_matrix", game).statement


def test_a_constant_response_takes_its_coordinate_out():
    weights = {(1, 2): [[50.0]], (2, 1): [[50.0]]}
    assert verdict_of(
        "p_matrix", Network.graph(weights, {1: [0.0], 2: [0.0]}, {1: "singleton", 2: "relu"}).game()
    ).proved


def test_decreasing_and_coupling_responses_are_refused():
    weights = {(1, 2): np.eye(2), (2, 1): np.eye(2)}
    for activation, word in [("sin", "decreases somewhere"), ("softmax", "not separable")]:
        game = Network.graph(weights, {1: [0.0] * 2, 2: [0.0] * 2}, activation).game()
        assert word in verdict_of("p_matrix", game).statement


@pytest.mark.parametrize("seed", range(10))
def test_quadratic_games_count_their_own_curvature(seed):
    rng = np.random.default_rng(seed)
    root = rng.standard_normal((2, 2))
    own = {"a": root @ root.T + 0.2 * np.eye(2), "b": 1.5}
    own["a"] = (own["a"] + own["a"].T) / 2
    coupling = {("a", "b"): rng.standard_normal((2, 1)), ("b", "a"): rng.standard_normal((1, 2))}
    matrix = np.block([[own["a"], coupling["a", "b"]], [coupling["b", "a"], np.array([[1.5]])]])
    check(QuadraticGame(own, coupling, penalties={"a": "nonnegative", "b": "nonnegative"}), matrix)


# Beyond all minors


def test_components_decide_a_large_triangular_matrix():
    rng = np.random.default_rng(0)
    n = 3000
    pairs = np.sort(rng.integers(0, n, (5 * n, 2)), axis=1)
    pairs = pairs[pairs[:, 0] < pairs[:, 1]]
    upper = sparse.coo_array((10 * rng.standard_normal(len(pairs)), pairs.T), shape=(n, n)).tolil()
    assert verdict_of("p_matrix", recurrent(upper.tocsr())).proved
    upper[101, 100], upper[100, 101] = 2.0, 0.5
    verdict = verdict_of("p_matrix", recurrent(upper.tocsr()))
    assert verdict.refuted
    assert sorted(verdict.witness["indices"]) == [100, 101]
    assert verdict.witness["value"] == 0


def test_tests_for_large_blocks():
    n = 40
    rng = np.random.default_rng(1)
    skew = rng.standard_normal((n, n))
    by_method = {
        "positive definite symmetric part": skew - skew.T,
        "comparison matrix an M-matrix": 0.9 * np.roll(np.eye(n), 1, axis=0),
        "diagonal stability": (skew - skew.T) * np.outer(d := np.exp(rng.standard_normal(n)), 1 / d),
    }
    for method, weight in by_method.items():
        verdict = verdict_of("p_matrix", recurrent(weight))
        assert verdict.proved
        assert method in verdict.method
    assert n > MINORS_ORDER


def test_a_large_block_is_refuted_by_its_determinant():
    n = 30
    game = recurrent(1.5 * np.roll(np.eye(n), 1, axis=0))
    verdict = verdict_of("p_matrix", game)
    assert verdict.refuted
    assert verdict.witness["value"] == 1 - Fraction(3, 2) ** n


def test_a_minor_is_found_within_a_large_block():
    n = 200
    star = np.roll(np.eye(n), 1, axis=0) * 0.3
    star[0, 50:70] = star[50:70, 0] = -0.3
    game = recurrent(star)
    verdict = verdict_of("p_matrix", game)
    assert verdict.refuted
    assert verdict.witness["value"] == minor(np.eye(n) - star, sorted(verdict.witness["indices"]))
    assert verdict.witness["value"] < 0


def test_a_large_block_that_passes_no_test_is_left_open():
    n = 60
    verdict = verdict_of("p_matrix", recurrent(1.5 * np.roll(np.eye(n), 1, axis=0)))
    assert verdict.status is Decision.UNDECIDED
    assert "order 60" in verdict.statement


def test_lower_slopes_above_0_prove_nothing_about_minors():
    n = 50
    game = recurrent(-1.5 * np.roll(np.eye(n), 1, axis=0), "identity")
    assert verdict_of("diagonal_stability", game).proved
    assert not verdict_of("p_matrix", game).proved


@pytest.mark.parametrize("size", [1e-200, 1e200])
def test_scales_do_not_matter(size):
    for w, expected in [(0.5, True), (2.0, False)]:
        game = recurrent(np.array([[0.0, w * size], [1 / size, 0.0]]))
        assert verdict_of("p_matrix", game).proved is expected


def test_float32_data_are_the_numbers_they_are():
    weight = np.array([[0.0, 1.1], [np.float32(1) / np.float32(1.1), 0.0]], dtype=np.float32)
    product = Fraction(float(weight[0, 1])) * Fraction(float(weight[1, 0]))
    assert verdict_of("p_matrix", recurrent(weight)).proved is (product < 1)


def test_a_minor_has_the_value_of_its_determinant():
    matrix = np.array([[1.0, 2.0, 0.0], [0.0, 1.0, 3.0], [-1.0, 0.0, 1.0]])
    found = nonpositive_minor(rational_matrix(matrix))
    assert found is not None
    assert (found.indices, found.value) == ((0, 1, 2), -5)


def test_dominance_allows_for_the_error():
    matrix = sparse.csr_array(np.array([[1.0, -0.999], [-1.0, 1.0]]))
    assert dominance(matrix, 0 * abs(matrix)) is not None
    assert dominance(matrix, 0.01 * abs(matrix)) is None


@pytest.mark.parametrize("kind", ["dominant", "symmetric", "single"])
def test_the_margin_of_a_proof_is_a_safe_change(kind):
    """Changes within the blocks and below the margin, in the norm of the test, keep all minors positive."""
    rng = np.random.default_rng(3)
    skew = rng.standard_normal((5, 5)) * 2
    A = {
        "dominant": np.eye(5) + 0.2 * rng.uniform(-1, 1, (5, 5)),
        "symmetric": 0.5 * np.eye(5) + skew - skew.T,
        "single": np.triu(rng.standard_normal((5, 5)), 1) + np.diag([0.3, 0.5, 0.7, 0.9, 1.0]),
    }[kind]
    game = Network.recurrent(np.eye(5) - A, np.zeros(5), "relu").game()
    margin = verdict_of("p_matrix", game).margin
    least = {"dominant": 0.2, "symmetric": 0.5, "single": 0.3}[kind]
    assert least * (1 - 1e-9) - (0.15 if kind == "dominant" else 0) <= margin <= (1.0 if kind == "dominant" else least)
    for _ in range(20):
        if kind != "symmetric":
            # Within every weighted maximum norm.
            E = np.diag(rng.choice([-1, 1], 5) * 0.999 * margin)
        else:
            E = rng.standard_normal((5, 5))
            E *= 0.999 * margin / np.linalg.norm(E, 2)
        assert nonpositive_minor(rational_matrix(A + E)) is None


def test_minors_alone_know_no_distance():
    cyclic = np.array([[1.0, -3.0, 0.0], [0.0, 1.0, -3.0], [3.0, 0.0, 1.0]])
    verdict = verdict_of("p_matrix", Network.recurrent(np.eye(3) - cyclic, np.zeros(3), "relu").game())
    assert verdict.proved
    assert verdict.margin is None
