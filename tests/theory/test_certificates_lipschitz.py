"""Lipschitz constants of the composite map: the orders that are theorems, difference quotients, exact verification."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest

from nngames.certificates import lipsdp as lipsdp_module
from nngames.certificates import verdict_of
from nngames.certificates.activation_masks import MASKED_COORDINATES
from nngames.certificates.lipsdp import LIPSDP_ORDER, lipsdp
from nngames.core.exact import is_positive_semidefinite, rational
from nngames.networks import Network

LAYERS = [
    ([2, 2], ["relu", "relu"]),
    ([3, 2, 3], ["relu", "relu", "relu"]),
    ([2, 3, 2], ["tanh", "relu", "sigmoid"]),
    ([3, 3], ["silu", "tanh"]),
    ([2, 2, 2, 2], ["relu", "leaky_relu", "sin", "relu"]),
    ([3, 2], ["identity", "relu"]),
    ([2, 3], [{"name": "tanh", "scale": 2.0}, "identity"]),
]


def ring(seed, sizes, activations, scale=1.0):
    rng = np.random.default_rng(seed)
    weights = [scale * rng.standard_normal((n, sizes[i - 1])) / np.sqrt(n) for i, n in enumerate(sizes)]
    return Network.ring(weights, [rng.standard_normal(n) for n in sizes], activations)


def parts(network):
    order = network.ring_order
    weights = [network.weights[p, k].dense for p, k in zip(order, (order[-1], *order[:-1]), strict=True)]
    return weights, [network.activations[p] for p in order]


def product(weights, diagonals):
    total = weights[0]
    for d, weight in zip(diagonals, weights[1:], strict=True):
        total = weight @ (d[:, None] * total)
    return total


def masked(network):
    """Return the largest norm over all vertices of the slopes, by brute force."""
    weights, activations = parts(network)
    ends = [
        itertools.product(a.slope_range, repeat=len(w)) for a, w in zip(activations[:-1], weights[:-1], strict=True)
    ]
    norms = [np.linalg.norm(product(weights, [np.array(d) for d in ds]), 2) for ds in itertools.product(*ends)]
    return activations[-1].lipschitz * max(norms)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("layers", LAYERS)
def test_the_orders_that_are_theorems(layers, seed):
    network = ring(seed, *layers)
    verdict = verdict_of("composite_lipschitz", network.game())
    bounds = verdict.witness["bounds"]
    least = masked(network)
    assert bounds["masks"] == pytest.approx(least, rel=1e-9)
    assert verdict.witness["masks_lower"] <= least * (1 + 1e-12)
    assert bounds["masks"] <= bounds["combettes_pesquet"] <= bounds["norm_product"]
    weights, activations = parts(network)
    if all(a.slope_range[1] == 1 for a in activations):
        linear = np.linalg.norm(product(weights, [np.ones(len(w)) for w in weights[:-1]]), 2)
        assert linear <= bounds["masks"] * (1 + 1e-12)
    found = lipsdp(network)
    assert found is not None
    assert least <= found[0] * (1 + 1e-12)
    # The multiplier of an affine layer grows without bound, so that the solver stops short of the optimum there.
    loss = 1e-3 if "identity" in layers[1][:-1] else 1e-4
    assert found[0] <= bounds["norm_product"] * (1 + loss)
    if len(weights) == 2:
        # With one hidden layer and one multiplier for all of it the S-procedure is lossless.
        assert found[0] <= bounds["combettes_pesquet"] * (1 + loss)
    assert verdict.witness["lipschitz"] == min(bounds.values())


@pytest.mark.parametrize("layers", LAYERS)
def test_no_slopes_in_between_go_beyond_the_masks(layers):
    network = ring(7, *layers)
    weights, activations = parts(network)
    least, rng = masked(network), np.random.default_rng(0)
    for _ in range(200):
        diagonals = [rng.uniform(*a.slope_range, len(w)) for a, w in zip(activations, weights, strict=True)]
        total = diagonals[-1][:, None] * product(weights, diagonals[:-1])
        assert np.linalg.norm(total, 2) <= least * (1 + 1e-12)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("layers", [*LAYERS, ([6, 6], ["relu", "softmax"]), ([7, 3], ["softmax", "tanh"])])
def test_difference_quotients_stay_below_the_constant(layers, seed):
    network = ring(seed, *layers)
    game = network.game()
    bound = verdict_of("composite_lipschitz", game).witness["lipschitz"]
    found = lipsdp(network)
    view, rng = game.fixed_point("composite"), np.random.default_rng(seed)
    x = rng.standard_normal((100, view.size)) * 10.0 ** rng.uniform(-1, 1, (100, 1))
    y = x + rng.standard_normal(x.shape) * 10.0 ** rng.uniform(-3, 1, (100, 1))
    images = [np.array([view.evaluate(p, np.empty_like(p)).copy() for p in points]) for points in (x, y)]
    quotients = np.linalg.norm(images[0] - images[1], axis=1) / np.linalg.norm(x - y, axis=1)
    assert quotients.max() <= min(bound, found[0]) * (1 + 1e-9)


def exact_form(weights, activations, multipliers, square):
    """Return the matrix of the LipSDP form in exact fractions, assembled by its blocks."""
    from flint import fmpq_mat

    sizes = [w.shape[1] for w in weights]
    starts = np.cumsum([0, *sizes])
    n = int(starts[-1])
    matrix = [[Fraction(0)] * n for _ in range(n)]

    def add(i, j, value):
        matrix[i][j] += value / 2
        matrix[j][i] += value / 2

    for i in range(sizes[0]):
        add(i, i, square)
    last = [[Fraction(float(x)) for x in row] for row in weights[-1]]
    for i, j, k in itertools.product(range(sizes[-1]), range(sizes[-1]), range(len(last))):
        add(int(starts[-2]) + i, int(starts[-2]) + j, -last[k][i] * last[k][j])
    for layer, (w, a, t) in enumerate(zip(weights[:-1], activations[:-1], multipliers, strict=True)):
        low, high = (Fraction(end) for end in a.slope_range)
        before, after = int(starts[layer]), int(starts[layer + 1])
        for k, row in enumerate(w):
            entries, weight = [Fraction(float(x)) for x in row], 2 * Fraction(float(t[k]))
            add(after + k, after + k, weight)
            for i, v in enumerate(entries):
                add(after + k, before + i, -weight * (low + high) * v)
                for j, u in enumerate(entries):
                    add(before + i, before + j, weight * low * high * v * u)
    return fmpq_mat(n, n, [rational(x) for row in matrix for x in row])


@pytest.mark.parametrize("scale", [1.0, 5.0, 2.0**-40])
@pytest.mark.parametrize("layers", LAYERS[:4])
def test_the_semidefinite_bound_is_verified_in_exact_fractions(layers, scale):
    network = ring(3, *layers, scale)
    weights, activations = parts(network)
    bound, multipliers = lipsdp(network)
    square = (Fraction(bound) / Fraction(activations[-1].lipschitz)) ** 2
    assert all(np.all(t >= 0) for t in multipliers)
    assert is_positive_semidefinite(exact_form(weights, activations, multipliers, square))


def test_multipliers_that_floats_cannot_hold_are_left_out():
    network = ring(3, *LAYERS[0])
    (first, second), _ = parts(network)
    far = Network.ring([2.0**-700 * first, 2.0**700 * second], [[0, 0]] * 2, ["relu"] * 2)
    bound, multipliers = lipsdp(far)
    assert bound == lipsdp(network)[0]
    assert multipliers is None
    assert verdict_of("composite_lipschitz", far.game()).proved


def test_a_lying_solver_gives_no_bound_that_is_too_small(monkeypatch):
    network = ring(0, [3, 2, 3], ["relu"] * 3)
    least = masked(network)
    honest = lipsdp_module._solve
    for change in (
        lambda found: (0.0, found[1]),
        lambda found: (found[0] * 0.9, found[1]),
        lambda found: (found[0], [0 * t for t in found[1]]),
        lambda found: (found[0], [3 * t for t in found[1]]),
        lambda found: None,
    ):
        monkeypatch.setattr(lipsdp_module, "_solve", lambda *a, change=change: change(honest(*a)))
        found = lipsdp(network)
        assert found is None or found[0] >= least


@pytest.mark.parametrize("seed", range(6))
def test_the_cuts_license_a_contraction_that_the_norms_do_not(seed):
    network = ring(seed, [6, 6, 6], ["relu"] * 3)
    cuts = verdict_of("composite_lipschitz", network.game()).witness["bounds"]["combettes_pesquet"]
    scale = (0.98 / cuts) ** (1 / 3)
    scaled = ring(seed, [6, 6, 6], ["relu"] * 3, scale)
    bounds = verdict_of("composite_lipschitz", scaled.game()).witness["bounds"]
    verdict = verdict_of("composite_contraction", scaled.game())
    assert bounds["norm_product"] > 1 > bounds["combettes_pesquet"]
    nonexpansive = verdict_of("composite_nonexpansive", scaled.game())
    assert nonexpansive.proved
    assert nonexpansive.witness["lipschitz"] == bounds["combettes_pesquet"]
    assert verdict.proved
    assert verdict.witness["factor"] == pytest.approx(0.98, rel=1e-9)
    assert verdict.witness["error_factor"] == pytest.approx(50, rel=1e-6)


def test_a_constant_below_1_is_a_contraction_and_says_so():
    below = verdict_of("composite_lipschitz", ring(0, [3, 3], ["relu"] * 2, 0.3).game())
    above = verdict_of("composite_lipschitz", ring(0, [3, 3], ["relu"] * 2, 3.0).game())
    assert "contracts" in below.statement
    assert below.witness["unique"] is True
    assert below.margin == 1 - below.witness["lipschitz"]
    assert above.proved
    assert "contracts" not in above.statement
    assert "unique" not in above.witness
    assert above.margin == 0


def test_one_layer_has_the_norm_of_its_weight():
    network = Network.recurrent([[0.3, 0.4], [0.4, 0.3]], [0.0, 0.0], "relu")
    verdict = verdict_of("composite_lipschitz", network.game())
    assert verdict.witness["lipschitz"] == pytest.approx(0.7, rel=1e-12)


def test_sizes_decide_which_bounds_are_taken():
    masks = ring(0, [3, MASKED_COORDINATES, 3][1:], ["relu"] * 2)
    program = ring(0, [4, MASKED_COORDINATES + 1, 4][1:], ["relu"] * 2)
    neither = ring(0, [LIPSDP_ORDER, MASKED_COORDINATES + 1], ["relu"] * 2)
    names = [set(verdict_of("composite_lipschitz", n.game()).witness["bounds"]) for n in (masks, program, neither)]
    cheap = {"norm_product", "combettes_pesquet"}
    assert names == [cheap | {"masks"}, cheap | {"lipsdp"}, cheap]


@pytest.mark.parametrize("size", [1e-200, 1e200])
def test_data_out_of_range(size):
    first, second = np.array([[1.0, 2.0], [0.0, 1.0]]), np.array([[0.5, 0.0], [0.3, -0.2]])
    plain = Network.ring([first, second], [np.zeros(2)] * 2, ["relu"] * 2)
    scaled = Network.ring([first * size, second / size], [np.zeros(2)] * 2, ["relu"] * 2)
    found, expected = (verdict_of("composite_lipschitz", n.game()).witness["bounds"] for n in (scaled, plain))
    for name, bound in expected.items():
        assert found[name] == pytest.approx(bound, rel=1e-9)
    assert lipsdp(scaled)[0] == pytest.approx(lipsdp(plain)[0], rel=1e-4)


def test_zero_weights_and_float32():
    zero = Network.ring([np.zeros((2, 2)), np.eye(2)], [np.ones(2)] * 2, ["relu"] * 2)
    assert verdict_of("composite_lipschitz", zero.game()).witness["lipschitz"] <= 1e-5
    single = Network.ring([np.eye(2, dtype=np.float32) * np.float32(0.1)], [np.ones(2)], ["relu"])
    bound = verdict_of("composite_lipschitz", single.game()).witness["lipschitz"]
    assert float(np.float32(0.1)) <= bound <= float(np.float32(0.1)) * (1 + 1e-12)


def test_the_order_of_the_bounds_holds_where_the_product_is_zero():
    """W_2 W_1 = 0 with an affine layer between: every bound is 0, whatever underflow may add to an enclosure."""
    weights = [np.array([[1.0, 0.0], [0.0, 0.0]]), np.array([[0.0, 0.0], [0.0, 1.0]])]
    for activations in (["identity", "relu"], ["relu", "relu"]):
        game = Network.ring(weights, [np.zeros(2)] * 2, activations).game()
        bounds = verdict_of("composite_lipschitz", game).witness["bounds"]
        assert bounds["masks"] <= bounds["combettes_pesquet"] <= bounds["norm_product"]
    zero = Network.ring([np.zeros((2, 2)), np.eye(2)], [np.zeros(2)] * 2, ["relu", "relu"]).game()
    bounds = verdict_of("composite_lipschitz", zero).witness["bounds"]
    assert list(bounds.values()) == [0.0, 0.0, 0.0]
