"""The averagedness of composite maps: the recurrence, its orders, its alpha, two points, and the steps it licenses."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import combinations, pairwise

import numpy as np
import pytest

import nngames as nng
from nngames.certificates import composite_cuts, figures, verdict_of
from nngames.certificates.composite_cuts import cut_bounds
from nngames.certificates.norms import coupling_norms
from nngames.core.verdicts import Decision


def scaled(rng, n, norm):
    matrix = rng.standard_normal((n, n))
    return matrix * (norm / np.linalg.norm(matrix, 2))


def ring(weights, activations, biases=None):
    weights = [np.atleast_2d(np.asarray(w, dtype=float)) for w in weights]
    if isinstance(activations, str):
        activations = [activations] * len(weights)
    biases = [np.full(len(w), 0.1) for w in weights] if biases is None else biases
    return nng.Network.ring(weights, biases, activations).game()


def norm_of(weights, first, last):
    """|W_last ... W_first|, 1-based."""
    product = np.eye(weights[first - 1].shape[1])
    for w in weights[first - 1 : last]:
        product = w @ product
    return np.linalg.norm(product, 2)


def theta_by_subsets(weights):
    """The sum over all J subset {1, ..., m-1} of the products of norms between the cuts."""
    m, total = len(weights), 0.0
    for size in range(m):
        for cuts in combinations(range(1, m), size):
            ends = (0, *cuts, m)
            total += np.prod([norm_of(weights, a + 1, b) for a, b in pairwise(ends)])
    return total


@pytest.mark.parametrize("m", [1, 2, 3, 4, 6])
def test_the_recurrence_is_the_sum_over_all_sets_of_cuts(m):
    rng = np.random.default_rng(m)
    sizes = rng.integers(2, 6, m)
    weights = [rng.standard_normal((sizes[i], sizes[i - 1])) / 2 for i in range(m)]
    bounds = cut_bounds(nng.Network.ring(weights, [np.zeros(n) for n in sizes], ["relu"] * m))
    theta = theta_by_subsets(weights)
    assert bounds.window == m
    assert float(bounds.theta) == pytest.approx(theta, rel=1e-9)
    assert bounds.theta >= theta * (1 - 1e-14)


@pytest.mark.parametrize("seed", range(10))
def test_the_lipschitz_constant_lies_between_the_product_and_the_product_of_norms(seed):
    rng = np.random.default_rng(seed)
    m = int(rng.integers(2, 7))
    weights = [scaled(rng, 5, rng.uniform(0.5, 1.5)) for _ in range(m)]
    lipschitz = float(cut_bounds(ring(weights, "relu").network).lipschitz)
    norms = np.prod([np.linalg.norm(w, 2) for w in weights])
    assert norm_of(weights, 1, m) <= lipschitz * (1 + 1e-12)
    assert lipschitz <= norms * (1 + 1e-12)
    assert lipschitz < norms * 0.999
    # With centred slopes the bound of every other activation is below its product of constants too.
    others = [["sigmoid", "silu", "tanh", {"name": "tanh", "scale": 2.0}][i] for i in rng.integers(4, size=m)]
    network = nng.Network.ring(weights, [np.zeros(5)] * m, others)
    product = norms * np.prod([network.activations[p].lipschitz for p in network.players])
    assert float(cut_bounds(network).lipschitz) <= product * (1 + 1e-12)


def test_long_rings_get_a_cheaper_bound_that_is_never_smaller():
    rng = np.random.default_rng(0)
    weights = [scaled(rng, 4, 1.05) for _ in range(40)]
    bounds = cut_bounds(ring(weights, "relu").network)
    assert 1 < bounds.window < 40
    exact = np.zeros(40)
    norms = {(j, k): norm_of(weights, j + 1, k + 1) for k in range(40) for j in range(k + 1)}
    for k in range(40):
        exact[k] = norms[0, k] + sum(norms[j + 1, k] * exact[j] for j in range(k))
    assert exact[-1] / 2**39 <= float(bounds.lipschitz) <= 1.05**40


def test_of_very_long_rings_only_the_norms_of_the_layers_count(monkeypatch):
    """The recurrence over the last cut with |W_k ... W_j| = |W_k| ... |W_j| is a product of m factors."""
    monkeypatch.setattr(composite_cuts, "_MOST_PRODUCTS", 0)
    asked = []
    monkeypatch.setattr(composite_cuts, "product", lambda values: asked.append(1) or figures.product(values))
    rng, m = np.random.default_rng(0), 9
    kinds = ["relu", "tanh", {"name": "prelu", "slope": 0.5}] * 3
    network = nng.Network.ring([scaled(rng, 3, rng.uniform(0.5, 1.5)) for _ in range(m)], [np.zeros(3)] * m, kinds)
    bounds = cut_bounds(network)
    assert bounds.window == 1
    assert len(asked) <= m
    norms = [Fraction(coupling_norms(network)[k, m if k == 1 else k - 1].upper) for k in range(1, m + 1)]
    centres, radii = [split.centre for split in bounds.splits], [split.radius for split in bounds.splits]
    reach = []
    for k in range(m):
        cuts = [math.prod(centres[j + 1 : k]) * radii[j] * math.prod(norms[j + 1 : k + 1]) * reach[j] for j in range(k)]
        straight = math.prod(centres[:k]) * math.prod(norms[: k + 1])
        reach.append(sum(cuts) + straight)
    assert bounds.reach == reach[-1]
    assert bounds.rest == (centres[-1] + radii[-1]) * reach[-1] - centres[-1] * straight


def test_what_partial_products_miss_costs_no_third_power_of_the_layers(monkeypatch):
    asked = []
    monkeypatch.setattr(composite_cuts, "product", lambda values: asked.append(1) or figures.product(values))
    rng, m = np.random.default_rng(1), 60
    bounds = cut_bounds(ring([scaled(rng, 2, 1.05) for _ in range(m)], "relu").network)
    assert 1 < bounds.window < 4
    assert len(asked) <= (bounds.window + 1) * m**2 / 2


def holds(weights, alpha):
    """The printed condition of Combettes and Pesquet at alpha, by how much."""
    m = len(weights)
    whole = np.linalg.multi_dot(weights[::-1]) if m > 1 else weights[0]
    shifted = np.linalg.norm(whole - 2**m * (1 - alpha) * np.eye(len(whole)), 2)
    return 2**m * alpha - (shifted - np.linalg.norm(whole, 2) + 2 * theta_by_subsets(weights))


@pytest.mark.parametrize("seed", range(8))
def test_alpha_is_the_smallest_that_the_condition_allows(seed):
    rng = np.random.default_rng(100 + seed)
    weights = [scaled(rng, 4, rng.uniform(0.6, 1.0)) for _ in range(2 + seed % 3)]
    verdict = verdict_of("composite_averaged", ring(weights, "relu"))
    assert verdict.proved
    alpha = verdict.witness["alpha"]
    assert verdict.witness["theta"] == pytest.approx(theta_by_subsets(weights), rel=1e-9)
    if verdict.witness["rule"] == "cuts":
        assert holds(weights, alpha) >= -1e-9
        assert holds(weights, alpha - 1e-6) < 0
    assert verdict.margin == 1 - alpha
    assert verdict.witness["relaxations"][1] <= Fraction(1) / Fraction(alpha)


@pytest.mark.parametrize(
    ("weights", "activation", "expected"),
    [
        ([np.eye(3)] * 3, "relu", 3 / 4),  # three firmly nonexpansive maps
        ([np.eye(3)] * 5, "tanh", 5 / 6),
        ([np.zeros((2, 2))] * 2, "relu", 1 / 2),
        ([np.diag([1.0, 0.5]), np.diag([1.0, 0.0])], "relu", 10 / 13),  # odds 1/3 + 1 and 1 + 1
        ([np.eye(2), np.eye(2)], "identity", 2.0**-20),
        ([[[1.0]], [[-0.5]]], "identity", 3 / 4),  # the map -x/2
        ([[[0.0, 0.5], [-0.5, 0.0]], np.eye(2)], "identity", 5 / 8),  # (1 - a)^2 + 1/4 = a^2
        ([[[4.0]], [[1.0]]], "sigmoid", 9 / 16),  # c = g = 1/8, t_2 = 1: 2 beta = 1 - 3/16 + 1/16
    ],
)
def test_constants_that_are_known(weights, activation, expected):
    verdict = verdict_of("composite_averaged", ring(weights, activation))
    assert verdict.proved
    assert verdict.witness["alpha"] == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("seed", range(12))
def test_a_proved_map_is_averaged_on_random_pairs(seed):
    rng = np.random.default_rng(seed)
    names = ["relu", "tanh", "sigmoid", "absolute_value", "leaky_relu", "silu", "softplus"]
    m = int(rng.integers(2, 5))
    chosen = [names[i] for i in rng.integers(len(names), size=m)]
    game = ring([scaled(rng, 3, rng.uniform(0.3, 0.9)) for _ in range(m)], chosen)
    verdict = verdict_of("composite_averaged", game)
    assert verdict.proved
    x, y = (rng.standard_normal((400, 3)) * 3 for _ in range(2))
    network = game.network
    images = [network.composite(point)[..., network.composite.state] for point in (x, y)]
    before, after = x - y, images[0] - images[1]
    alpha, lipschitz = verdict.witness["alpha"], verdict.witness["lipschitz"]
    shifted, distance = np.linalg.norm(after - (1 - alpha) * before, axis=1), np.linalg.norm(before, axis=1)
    assert (shifted <= alpha * distance * (1 + 1e-9)).all()
    assert (np.linalg.norm(after, axis=1) <= lipschitz * distance * (1 + 1e-9)).all()


def exact_image(network, point):
    value = [Fraction(float(x)) for x in point]
    order = network.ring_order
    for player, source in zip(order, (order[-1], *order[:-1]), strict=True):
        weight, bias = network.weights[player, source].dense, network.biases[player]
        rows = zip(weight.tolist(), bias.tolist(), strict=True)
        drive = [sum((Fraction(w) * v for w, v in zip(row, value, strict=True)), Fraction(b)) for row, b in rows]
        value = [max(d, Fraction(0)) if network.activations[player].name == "relu" else d for d in drive]
    return value


@pytest.mark.parametrize("kind", ["permutation", "orthogonal", "expanding", "rotation"])
def test_two_points_refute_in_exact_arithmetic(kind):
    rng = np.random.default_rng(3)
    n = 6
    weights = {
        "permutation": lambda: np.eye(n)[rng.permutation(n)],
        "orthogonal": lambda: np.linalg.qr(rng.standard_normal((n, n)))[0],
        "expanding": lambda: scaled(rng, n, 1.5),
        "rotation": lambda: np.kron(np.eye(n // 2), [[0.0, -1.0], [1.0, 0.0]]),
    }[kind]
    game = ring([weights() for _ in range(3)], "identity" if kind == "rotation" else "relu", [np.full(n, 5.0)] * 3)
    verdict = verdict_of("composite_averaged", game)
    assert verdict.status is Decision.REFUTED
    x, y = verdict.witness["points"]
    images = [exact_image(game.network, point) for point in (x, y)]
    before = [Fraction(float(a)) - Fraction(float(b)) for a, b in zip(x, y, strict=True)]
    after = [a - b for a, b in zip(*images, strict=True)]
    assert sum(d * d for d in after) >= (1 + Fraction(verdict.witness["growth"])) * sum(d * d for d in before)
    assert after != before


def test_smooth_rings_that_expand_are_refuted_in_balls():
    verdict = verdict_of("composite_averaged", ring([[[2.0]], [[1.5]]], "tanh"))
    assert verdict.refuted
    assert "ball arithmetic" in verdict.method
    x, y = (float(point[0]) for point in verdict.witness["points"])
    o = [np.tanh(1.5 * np.tanh(2 * t + 0.1) + 0.1) for t in (x, y)]
    assert abs(o[0] - o[1]) > abs(x - y)


@pytest.mark.parametrize("angle", [0.1, 1.0, 3.0])
@pytest.mark.parametrize("norm", [0.9, 0.999])
def test_affine_rings_get_their_smallest_constant(angle, norm):
    c, s = norm * np.cos(angle), norm * np.sin(angle)
    turn = np.array([[c, -s], [s, c]])
    verdict = verdict_of("composite_averaged", ring([turn, np.eye(2)], "identity"))
    # |norm e^{i angle} - (1 - a)| = a
    alpha = (1 - 2 * c + norm**2) / (2 * (1 - c))
    assert verdict.witness["alpha"] == pytest.approx(max(alpha, 2.0**-20), rel=1e-6)


def active_ring(rng, weights, n):
    """A relu ring whose equilibrium is positive everywhere, and that equilibrium."""
    outputs = [rng.uniform(0.1, 2.0, n) for _ in weights]
    biases = [x - w @ before for w, x, before in zip(weights, outputs, (outputs[-1], *outputs[:-1]), strict=True)]
    return ring(weights, "relu", biases), np.concatenate(outputs)


def steady(rng, n):
    return np.diag(np.concatenate([[1.0, 1.0], rng.uniform(0, 1, n - 2)]))


@pytest.mark.parametrize("share", [0.5, 1.0, 0.999])
@pytest.mark.parametrize("layers", [2, 3])
def test_relaxations_up_to_one_over_alpha_keep_their_bound_at_every_iteration(share, layers):
    rng = np.random.default_rng(layers)
    game, equilibrium = active_ring(rng, [steady(rng, 5) for _ in range(layers)], 5)
    verdict = verdict_of("composite_averaged", game)
    assert verdict.proved
    assert not verdict_of("composite_contraction", game).proved
    longest = verdict.witness["relaxations"][1]
    relaxation = 1.0 if share == 1.0 else share * longest
    solver = nng.solver("picard") if share == 1.0 else nng.solver("km", relaxation=relaxation)
    guarantee = solver.guarantee(game)
    assert guarantee.proved
    assert guarantee.witness["certificate"] == "composite_averaged"
    assert share != 0.999 or relaxation > 1
    state, network = equilibrium[-5:], game.network
    start = equilibrium + rng.standard_normal(equilibrium.size)
    first = None
    for k, iterate in enumerate(solver.iterate(game, start=start)):
        x = iterate.profile[-5:]
        if k == 0:
            # The scheme starts from the last layer of the start.
            x = start[-5:]
            first = guarantee.rate.norm(x - state)
        residual = np.linalg.norm(network.composite(x)[network.composite.state] - x) if k == 0 else iterate.residual
        assert residual <= guarantee.rate.bound(k, first) * (1 + 1e-9) + 1e-13
        if k == 60:
            break
    assert nng.solver("km", relaxation=longest * 1.01).guarantee(game).status == "UNDECIDED"


def test_each_relaxed_step_comes_closer_by_the_stated_amount():
    rng = np.random.default_rng(7)
    game, equilibrium = active_ring(rng, [steady(rng, 4), steady(rng, 4)], 4)
    alpha = verdict_of("composite_averaged", game).witness["alpha"]
    view = game.fixed_point("composite")
    for relaxation in (0.3, 1.0, 0.99 / alpha):
        x, fixed = 3 * rng.standard_normal(4), equilibrium[-4:]
        for _ in range(40):
            step = view.evaluate(x, np.empty(4)) - x
            following = x + relaxation * step
            fall = np.sum((x - fixed) ** 2) - np.sum((following - fixed) ** 2)
            assert fall >= relaxation * (1 / alpha - relaxation) * np.sum(step**2) - 1e-12
            x = following


def test_layers_whose_shifted_squares_are_multiples_of_the_identity_up_to_entries_near_the_least_floats():
    rng = np.random.default_rng(5)
    weights = [factor * rng.standard_normal((17, 17)) for factor in (1e-150, 1e150)]
    assert verdict_of("composite_averaged", ring(weights, "relu")).status in (Decision.PROVED, Decision.UNDECIDED)
