"""Contraction certificates: what they prove holds in 50-digit arithmetic, in exact fractions and along the maps."""

from __future__ import annotations

from fractions import Fraction

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from nngames.certificates import verdict_of
from nngames.core.verdicts import Decision
from nngames.games import QuadraticGame
from nngames.networks import Network


def ring(weights, activations, **options):
    weights = [np.atleast_2d(np.asarray(w, dtype=float)) for w in weights]
    return Network.ring(weights, [np.zeros(len(w)) for w in weights], activations).game(**options)


def exact_norm(matrix):
    """The spectral norm to 50 digits, by mpmath's own singular values."""
    with mpmath.workdps(50):
        exact = matrix if isinstance(matrix, mpmath.matrix) else mpmath.matrix(np.asarray(matrix).tolist())
        return max(mpmath.svd_r(exact, compute_uv=False))


def exact_product(a, b):
    with mpmath.workdps(50):
        return mpmath.matrix(np.asarray(a).tolist()) * mpmath.matrix(np.asarray(b).tolist())


# Composite map


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("ulps", [-400, -20, -2, 0, 2, 20, 400])
def test_norms_scaled_to_one_are_never_misjudged(seed, ulps):
    rng = np.random.default_rng([seed, ulps + 1000])
    matrix = rng.standard_normal((int(rng.integers(1, 6)), 5))
    matrix = matrix @ matrix.T if seed % 2 else matrix[:, : len(matrix)]
    matrix = matrix / float(exact_norm(matrix)) * (1 + ulps * 2.0**-53)
    game = ring([np.eye(len(matrix)), matrix], ["identity"] * 2)
    norm = exact_norm(matrix)
    contraction, nonexpansive = (verdict_of(f"composite_{name}", game) for name in ("contraction", "nonexpansive"))
    assert not (contraction.proved and norm >= 1)
    assert not (contraction.refuted and norm < 1)
    assert not (nonexpansive.proved and norm > 1)
    assert not (nonexpansive.refuted and norm <= 1)
    if ulps == -400:
        assert contraction.proved
        assert contraction.witness["factor"] >= norm
    if ulps == 400:
        assert contraction.refuted
        assert nonexpansive.refuted


@given(st.lists(st.floats(0.0, 4.0), min_size=2, max_size=5))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_scalar_rings_are_decided_by_the_exact_product(weights):
    product = Fraction(1)
    for w in weights:
        product *= Fraction(w)
    game = ring([[[w]] for w in weights], ["relu"] * len(weights))
    verdict = verdict_of("composite_contraction", game)
    assert verdict.proved == (product <= Fraction(1 - 2**-53))
    assert verdict_of("composite_nonexpansive", game).proved == (product <= 1)
    if verdict.proved:
        assert 0 <= Fraction(verdict.witness["factor"]) - product <= Fraction(2) ** -52


@pytest.mark.parametrize(
    ("weights", "activations", "expected"),
    [
        ([[[1, -1], [1, 1]], [[0.5, 0.5], [-0.5, 0.5]]], ["relu", "tanh"], True),  # sqrt(2) times sqrt(1/2)
        ([[[3, 4], [-4, 3]], [[0.125, 0], [0, 0.0625]]], ["relu", "relu"], True),  # 5/8
        ([[[3, 4], [-4, 3]], [[0.2, 0], [0, 0.1]]], ["relu", "relu"], False),  # the float 0.2 exceeds 1/5
        ([[[2, 0], [0, 0.5]], [[0.5, 0], [0, 2]]], ["identity", "relu"], True),  # the merged product is I
        ([[[2, 0], [0, 0.5]], [[0.5, 0], [0, 2]]], ["relu", "relu"], False),
        ([np.eye(40)[::-1] * 2, np.eye(40) / 2], ["relu", "relu"], True),
    ],
)
def test_the_threshold_of_nonexpansiveness_is_decided_exactly(weights, activations, expected):
    verdict = verdict_of("composite_nonexpansive", ring(weights, activations))
    assert verdict.proved is expected
    if expected:
        assert verdict.witness["lipschitz"] <= 1


@pytest.mark.parametrize(("shift", "expected"), [(0.0, True), (2.0**-53, False)])
def test_the_threshold_counts_the_activations_slopes(shift, expected):
    steep = {"name": "tanh", "scale": 2.0}
    game = ring([[[0.5, -0.5], [0.5, 0.5 + shift]], [[0.5, 0.5], [-0.5, 0.5]]], [steep, "relu"])
    assert game.network.activations[1].lipschitz == 2
    assert verdict_of("composite_nonexpansive", game).proved is expected


@pytest.mark.parametrize("seed", range(8))
def test_products_that_cancel_are_never_misjudged(seed):
    rng = np.random.default_rng(seed)
    first = rng.standard_normal((5, 5)) @ np.diag([1, 10, 100, 1e3, 1e4])
    second = np.linalg.inv(first)
    exact = exact_product(second, first)
    for target in (1 - 1e-10, 1 - 1e-13, 1 - 1e-15, 1 + 1e-15, 1 + 1e-13, 1 + 1e-10):
        scaled = second * float(target / exact_norm(exact))
        norm = exact_norm(exact_product(scaled, first))
        game = ring([first, scaled], ["identity", "relu"])
        contraction, nonexpansive = (verdict_of(f"composite_{name}", game) for name in ("contraction", "nonexpansive"))
        assert not (contraction.proved and norm >= 1)
        assert not (nonexpansive.proved and norm > 1)
        assert contraction.witness["factor"] >= norm
    assert verdict_of("composite_contraction", ring([first, second * 0.99], ["identity", "relu"])).proved


@pytest.mark.parametrize("scale", [1e-300, 1e300])
def test_numbers_out_of_range_stay_bounds(scale):
    w = np.array([[1.0, -2.0], [0.5, 3.0]]) * scale
    for game in (ring([w, w], ["identity", "relu"]), ring([w, w / scale / 3], ["identity", "identity"])):
        verdict = verdict_of("composite_contraction", game)
        assert verdict.proved == (scale < 1)
        assert verdict.witness["factor"] > 0 if verdict.proved else not verdict.witness.get("factor", 2) < 1
        assert verdict_of("joint_contraction", game).proved == (scale < 1)
    chain = Network.chain([w] * 4, [np.zeros(2)] * 4, ["tanh"] * 4, np.zeros(2)).game()
    for name in ("joint_contraction", "neuron_contraction"):
        assert verdict_of(name, chain).proved or scale > 1


def test_an_affine_isometry_does_not_contract():
    game = ring([[[0, -1], [1, 0]]], ["identity"], players="neurons")
    assert verdict_of("composite_contraction", game).refuted
    assert verdict_of("composite_nonexpansive", game).proved


@pytest.mark.parametrize(
    ("scale", "expected"), [(1 - 1e-15, Decision.PROVED), (1, Decision.REFUTED), (1 + 1e-15, Decision.REFUTED)]
)
def test_margins_next_to_one(scale, expected):
    assert verdict_of("composite_contraction", ring([[[scale]], [[1.0]]], ["identity"] * 2)).status is expected


def test_a_large_product_says_nothing_about_a_nonlinear_map():
    game = ring([[[3.0]], [[3.0]]], ["relu", "tanh"])
    verdict = verdict_of("composite_contraction", game)
    assert verdict.status is Decision.UNDECIDED
    assert "only sufficient" in verdict.statement


def test_merged_layers_contract_where_the_plain_product_does_not():
    weights = [np.diag([3.0, 0.1]), np.diag([0.1, 3.0])]
    verdict = verdict_of("composite_contraction", ring(weights, ["identity", "tanh"]))
    assert verdict.proved
    assert verdict.witness["factor"] == pytest.approx(0.3, rel=1e-12)
    assert verdict.witness["merged"] == ((1, 2),)
    assert not verdict_of("composite_contraction", ring(weights, ["tanh", "identity"])).proved


def test_a_constant_layer_makes_the_composite_map_constant():
    game = ring([[[7.0]], [[7.0]]], [{"name": "singleton", "point": 2.0}, "relu"])
    verdict = verdict_of("composite_contraction", game)
    assert verdict.proved
    assert verdict.witness["factor"] == 0


@pytest.mark.parametrize("seed", range(5))
def test_a_proved_factor_bounds_the_composite_map(seed):
    rng = np.random.default_rng(seed)
    names = rng.choice(["tanh", "relu", "sigmoid", "softmax", "leaky_relu", "identity", "softplus_beta"], 3).tolist()
    game = ring([rng.standard_normal((4, 4)) / 4 for _ in range(3)], names)
    verdict = verdict_of("composite_contraction", game)
    assert verdict.proved
    x, y = rng.standard_normal((2, 200, 4)) * 3
    where = game.network.composite.state
    image = [game.network.composite(z)[:, where] for z in (x, y)]
    ratios = np.linalg.norm(image[0] - image[1], axis=1) / np.linalg.norm(x - y, axis=1)
    assert ratios.max() <= verdict.witness["factor"] * (1 + 1e-9)


# Joint map


def random_graph(rng, players, size, density):
    dims = {i: int(rng.integers(1, size + 1)) for i in range(players)}
    weights = {
        (i, j): rng.standard_normal((dims[i], dims[j])) * rng.uniform(0, 1)
        for i in range(players)
        for j in range(players)
        if i != j and rng.random() < density
    }
    return weights, dims


@pytest.mark.parametrize("seed", range(10))
def test_joint_weights_prove_the_factor_in_fifty_digits(seed):
    rng = np.random.default_rng(seed)
    weights, dims = random_graph(rng, 5, 3, 0.6)
    weights = {edge: w * 0.5 for edge, w in weights.items()}
    names = rng.choice(["tanh", "relu", "sigmoid", "softmax"], 5).tolist()
    game = Network.graph(weights, {i: np.zeros(n) for i, n in dims.items()}, dict(enumerate(names))).game()
    verdict = verdict_of("joint_contraction", game)
    u, q = verdict.witness["weights"], mpmath.mpf(verdict.witness["factor"])
    assert all(value > 0 for value in u.values())
    with mpmath.workdps(50):
        for i in dims:
            row = sum(exact_norm(w) * u[k] for (target, k), w in weights.items() if target == i)
            assert game.network.activations[i].lipschitz * row <= q * u[i]
    radius = np.abs(
        np.linalg.eigvals(
            [
                [
                    game.network.activations[i].lipschitz * np.linalg.norm(weights.get((i, j), np.zeros((1, 1))), 2)
                    for j in dims
                ]
                for i in dims
            ]
        )
    ).max()
    assert verdict.witness["factor"] >= radius * (1 - 1e-9)
    assert verdict.proved == (verdict.witness["factor"] < 1)
    assert verdict.proved or radius > 0.999


@pytest.mark.parametrize("seed", range(4))
def test_the_joint_map_contracts_in_the_witness_norm(seed):
    rng = np.random.default_rng(seed)
    weights = {
        (1, 2): rng.standard_normal((3, 2)),
        (2, 1): rng.standard_normal((2, 3)) * 0.05,
        (3, 1): rng.standard_normal((2, 3)) * 40,
        (3, 3): np.diag([0.3, -0.2]),
    }
    game = Network.graph(weights, {1: np.ones(3), 2: np.ones(2), 3: np.zeros(2)}, "tanh").game()
    verdict = verdict_of("joint_contraction", game)
    assert verdict.proved
    assert verdict.witness["unique"] is True
    x, y = rng.standard_normal((2, 300, 7))
    scale = np.array([verdict.witness["weights"][player] for player in (1, 2, 3)])

    def norm(z):
        blocks = [np.linalg.norm(z[:, where], axis=1) for where in game.network.space.slices.values()]
        return np.max(np.array(blocks) / scale[:, None], axis=0)

    ratios = norm(game.network.joint(x) - game.network.joint(y)) / norm(x - y)
    assert ratios.max() <= verdict.witness["factor"] * (1 + 1e-9)


@pytest.mark.parametrize("length", [1, 2, 7, 40])
def test_open_chains_contract_however_large_their_weights(length):
    rng = np.random.default_rng(length)
    weights = [50 * rng.standard_normal((3, 3)) for _ in range(length)]
    game = Network.chain(weights, [np.zeros(3)] * length, ["tanh"] * length, np.ones(3)).game()
    assert verdict_of("joint_contraction", game).proved
    assert verdict_of("neuron_contraction", game).proved


def test_a_ring_of_unequal_norms_is_balanced_by_its_weights():
    norms = [1e6, 1e-3, 0.5, 1e-4]
    game = ring([[[w]] for w in norms], ["relu"] * 4)
    verdict = verdict_of("joint_contraction", game)
    assert verdict.proved
    assert verdict.witness["factor"] == pytest.approx(np.prod(norms) ** 0.25, rel=1e-9)


@pytest.mark.parametrize(("w", "expected"), [(1 - 1e-12, True), (1 - 1e-16, False), (1.0, False)])
def test_joint_margins_next_to_one(w, expected):
    assert verdict_of("joint_contraction", ring([[[w]]] * 3, ["relu"] * 3)).proved is expected


def test_a_quadratic_game_is_judged_by_its_best_response_map():
    quadratic = {"a": [[2.0, 0.5], [0.5, 1.0]], "b": 4.0}
    coupling = {("a", "b"): [[0.4], [-0.3]], ("b", "a"): [[1.0, 2.0]]}
    game = QuadraticGame(quadratic, coupling, penalties={"b": "nonnegative"})
    verdict = verdict_of("joint_contraction", game)
    slowest = np.linalg.eigvalsh(np.array(quadratic["a"]))[0]
    product = (0.5 / slowest) * (np.sqrt(5) / 4)
    assert verdict.proved
    assert "best-response map" in verdict.statement
    assert verdict.witness["factor"] == pytest.approx(np.sqrt(product), rel=1e-9)
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, 100, 3)) * 3
    u = np.array([verdict.witness["weights"][p] for p in ("a", "b")])
    gaps = [game.best_responses(x) - game.best_responses(y), x - y]
    norms = [np.maximum(np.linalg.norm(g[:, :2], axis=1) / u[0], np.abs(g[:, 2]) / u[1]) for g in gaps]
    assert (norms[0] <= verdict.witness["factor"] * norms[1] * (1 + 1e-9)).all()


# Neurons


@pytest.mark.parametrize("seed", range(8))
def test_neuron_weights_prove_the_factor_in_fractions(seed):
    rng = np.random.default_rng(seed)
    n = 6
    w = rng.standard_normal((n, n)) * (rng.random((n, n)) < 0.6) * rng.uniform(0.1, 0.9)
    game = Network.recurrent(w, np.zeros(n), "tanh").game(players="neurons")
    verdict = verdict_of("neuron_contraction", game)
    u, q = [Fraction(x) for x in verdict.witness["weights"].tolist()], Fraction(verdict.witness["factor"])
    for i in range(n):
        assert sum(abs(Fraction(float(w[i, j]))) * u[j] for j in range(n)) <= q * u[i]
    radius = np.abs(np.linalg.eigvals(np.abs(w))).max()
    assert verdict.proved == (q < 1)
    assert q >= Fraction(float(radius)) * Fraction(999_999_999, 1_000_000_000)
    assert verdict.proved or radius > 0.999


def test_neurons_contract_where_layers_do_not():
    w = np.array([[0.0, 5.0], [0.01, 0.0]])
    game = Network.recurrent(w, [0.0, 0.0], "relu").game(players="neurons")
    assert verdict_of("joint_contraction", game).status is Decision.UNDECIDED
    verdict = verdict_of("neuron_contraction", game)
    assert verdict.proved
    assert verdict.witness["factor"] == pytest.approx(np.sqrt(0.05), rel=1e-9)


def test_neurons_of_a_quadratic_game_use_their_own_curvatures():
    game = QuadraticGame({"a": np.diag([4.0, 0.5]), "b": 1.0}, {("a", "b"): [[1.0], [1.0]], ("b", "a"): [[1.0, 0.125]]})
    verdict = verdict_of("neuron_contraction", game)
    bound = np.array([[0, 0, 0.25], [0, 0, 2.0], [1.0, 0.125, 0]])
    assert verdict.proved
    assert verdict.witness["factor"] == pytest.approx(np.abs(np.linalg.eigvals(bound)).max(), rel=1e-9)


def test_softmax_layers_are_no_neurons():
    game = ring([np.eye(2), np.eye(2)], ["softmax", "tanh"])
    verdict = verdict_of("neuron_contraction", game)
    assert verdict.status is Decision.UNDECIDED
    assert verdict.statement == "not applicable: player 1 has activation 'softmax', which is not separable"


# Large sparse layers and the plain norms


def large_weight(kind, n):
    rng = np.random.default_rng(5)
    edges = 5 * n
    if kind == "without circuits":
        rows = rng.integers(1, n, edges)
        places = (rows, (rng.random(edges) * rows).astype(int))
    else:
        places = (rng.integers(n, size=edges), rng.integers(n, size=edges))
    matrix = sparse.csr_array((rng.random(edges), places), shape=(n, n))
    if kind == "columns":
        sums = np.maximum(np.asarray(matrix.sum(axis=0)).ravel(), 1e-9)
        return sparse.csr_array(matrix @ sparse.diags_array(0.95 / sums))
    if kind == "rows":
        sums = np.maximum(np.asarray(matrix.sum(axis=1)).ravel(), 1e-9)
        return sparse.csr_array(sparse.diags_array(0.95 / sums) @ matrix)
    return matrix


@pytest.mark.parametrize("kind", ["rows", "columns", "without circuits"])
def test_large_sparse_layers_get_weights_that_anyone_can_check(kind):
    n = 25_000
    weight = large_weight(kind, n)
    game = Network.recurrent(weight, np.ones(n), "relu").game(players="neurons")
    verdict = verdict_of("neuron_contraction", game)
    assert verdict.proved
    u, factor = verdict.witness["weights"], verdict.witness["factor"]
    assert (u > 0).all()
    assert (abs(weight) @ u <= factor * u * (1 + 1e-12)).all()
    assert factor <= (0.951 if kind != "without circuits" else 0.999)


def test_a_large_layer_that_does_not_contract_is_left_undecided():
    weight = large_weight("rows", 25_000) * 1.1
    verdict = verdict_of("neuron_contraction", Network.recurrent(weight, np.ones(25_000), "relu").game("neurons"))
    assert verdict.status is Decision.UNDECIDED
    assert verdict.witness["factor"] >= 1.04


def test_the_plain_infinity_norm_is_in_the_witness():
    weight = np.array([[0.0, 0.5, 0.4], [2.0, 0.0, 0.0], [0.1, 0.1, 0.1]])
    verdict = verdict_of("neuron_contraction", Network.recurrent(weight, np.zeros(3), "tanh").game("neurons"))
    assert verdict.witness["unweighted_factor"] == pytest.approx(2.0)
    assert verdict.witness["factor"] >= np.abs(np.linalg.eigvals(weight)).max()


@pytest.mark.parametrize("seed", range(8))
def test_the_euclidean_factor_of_the_joint_map_is_the_norm_of_the_scaled_matrix(seed):
    rng = np.random.default_rng(seed)
    weights = {(i, j): rng.standard_normal((2, 2)) * 0.2 for i in range(3) for j in range(3) if i != j}
    kinds = ["sigmoid", {"name": "tanh", "scale": 1.5}, "softmax"]
    game = Network.graph(weights, {i: np.zeros(2) for i in range(3)}, dict(enumerate(kinds))).game()
    whole = np.zeros((6, 6))
    for (i, j), w in weights.items():
        whole[2 * i : 2 * i + 2, 2 * j : 2 * j + 2] = w * game.network.activations[i].lipschitz
    verdict = verdict_of("euclidean_contraction", game)
    norm = exact_norm(whole)
    assert norm <= verdict.witness["factor"] <= float(norm) * (1 + 1e-9)
    assert verdict.proved == (norm < 1)
    x, y = rng.standard_normal((2, 50, 6))
    distance = np.linalg.norm(game.network.joint(x) - game.network.joint(y), axis=1)
    assert (distance <= verdict.witness["factor"] * np.linalg.norm(x - y, axis=1) * (1 + 1e-9)).all()


def test_an_affine_joint_map_of_norm_one_is_no_contraction():
    assert verdict_of("euclidean_contraction", ring([2 * np.eye(2), np.eye(2)], ["identity"] * 2)).refuted
    assert verdict_of("euclidean_contraction", ring([2 * np.eye(2), np.eye(2)], ["relu"] * 2)).status is (
        Decision.UNDECIDED
    )
