"""Nonnegative networks: concave parts of activations, existence by the asymptotic map, convergence with its rate."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

import nngames as nng
from nngames.certificates import verdict_of
from nngames.certificates.concave_responses import _PARTS, concave_part

PARAMETERS = {
    "relu": [{}, {"slope": 2.0, "bias": -1.0}, {"slope": 0.3, "bias": 0.7}],
    "linear": [{}, {"slope": 0.25, "bias": 1.5}, {"slope": 0.0, "bias": 2.0}],
    "leaky_relu": [{}, {"slope": 1.5}],
    "prelu": [{}, {"slope": 0.0}],
    "box": [{}, {"lower": 0.0, "upper": 2.5}, {"lower": 0.5, "upper": np.inf}, {"lower": -np.inf, "upper": 1.0}],
    "tanh": [{}, {"scale": 3.0}],
    "elu": [{}, {"alpha": 2.0}],
    "celu": [{}, {"alpha": 0.5}],
    "isru": [{}, {"excess": -1.0}, {"excess": 3.0}],
    "logistic": [{}, {"slope": 2.0, "bias": -3.0}],
    "heaviside_approx": [{}, {"epsilon": 0.5}],
}
CASES = [(name, parameters) for name in sorted(_PARTS) for parameters in PARAMETERS.get(name, [{}])]


@pytest.mark.parametrize(("name", "parameters"), CASES, ids=lambda value: str(value))
def test_activations_are_concave_where_the_table_says(name, parameters):
    activation = nng.activation(name, **parameters)
    part = concave_part(activation)
    start, root, recession, offset = (float(x) for x in (part.start, part.root_above, part.recession, part.offset))
    left = max(start, -20.0)
    v = left + np.concatenate([np.linspace(0, 1, 401) ** 2 * 4, 4 + np.linspace(0, 40, 400)[1:]])
    r = activation(v)
    slopes = np.diff(r) / np.diff(v)
    assert (slopes >= -1e-12).all()
    assert (np.diff(slopes) <= 1e-7).all()
    if np.isfinite(root):
        assert activation(np.array([root]))[0] == pytest.approx(0.0, abs=1e-12)
        assert (activation(np.maximum(v, root + 1e-6)) > 0).all()
    elif root == -np.inf:
        assert (r > 0).all()
    assert activation(np.array([1e12]))[0] / 1e12 == pytest.approx(recession, abs=1e-9)
    if recession > 0:
        np.testing.assert_allclose(r, recession * v + offset, atol=1e-9)
    else:
        assert (r <= offset).all()


def test_other_activations_are_not_in_the_table():
    for name in ("softplus", "gelu", "softmax", "absolute_value", "mish"):
        assert concave_part(nng.activation(name)) is None
    assert concave_part(nng.activation("relu", slope=-1.0)) is None


def recurrent(weight, bias, activation):
    return nng.Network.recurrent(np.asarray(weight, dtype=float), bias, activation).game(players="neurons")


def random_weight(rng, n, radius):
    weight = rng.uniform(0, 1, (n, n)) * (rng.random((n, n)) < 0.6)
    np.fill_diagonal(weight, 0)
    weight[np.arange(n), (np.arange(n) + 1) % n] += 0.1
    return weight * radius / np.abs(np.linalg.eigvals(weight)).max()


@pytest.mark.parametrize("radius", [0.5, 0.99, 1.01, 2.0])
@pytest.mark.parametrize("seed", range(4))
def test_relu_networks_have_an_equilibrium_iff_the_radius_is_below_one(seed, radius):
    rng = np.random.default_rng(seed)
    weight = random_weight(rng, 6, radius)
    bias = rng.uniform(0, 1, 6) * (np.arange(6) % 2 == seed % 2)
    game = recurrent(weight, bias, "relu")
    verdict = verdict_of("nonnegative", game)
    if radius < 1:
        assert verdict.proved
        assert verdict.witness["unique"]
        equilibrium = np.linalg.solve(np.eye(6) - weight, bias)
        assert game.residual(equilibrium) < 1e-11
        assert (equilibrium <= verdict.witness["upper"] * (1 + 1e-12)).all()
    else:
        assert verdict.refuted
        u = verdict.witness["growing"]
        support = u > 0
        assert (u >= 0).all()
        assert ((weight @ u)[support] >= u[support] * (1 - 1e-15)).all()
        # Monotone iterates from zero grow without end.
        x = np.zeros(6)
        for _ in range(3000):
            x = np.minimum(game.network.joint(x), 1e12)
        assert x.max() > 1e3


@pytest.mark.parametrize(
    ("weights", "biases", "activation", "status"),
    [
        ([1.0, 1.0], [1.0, 0.0], "relu", "REFUTED"),  # x = x + 1
        ([1.0, 1.0], [0.0, 0.0], "relu", "UNDECIDED"),  # a ray of equilibria
        ([1.0, 1.0 - 2**-53], [1.0, 0.0], "relu", "UNDECIDED"),  # one, at the end of the floats
        ([4.0, 0.125], [1.0, 0.0], "relu", "PROVED"),
        ([4.0, 0.25], [0.0, 1.0], "relu", "REFUTED"),
        ([100.0, 50.0], [0.1, 0.0], "tanh", "PROVED"),
        ([100.0, 50.0], [0.0, 0.0], "sigmoid", "PROVED"),
        ([100.0, 50.0], [-1.0, 0.0], "sigmoid", "UNDECIDED"),  # convex left of 0
        ([0.5, -0.5], [1.0, 1.0], "relu", "UNDECIDED"),
        ([0.5, 0.5], [1.0, 1.0], "softplus", "UNDECIDED"),
    ],
)
def test_rings_of_two(weights, biases, activation, status):
    game = nng.Network.ring([[[w]] for w in weights], [[b] for b in biases], [activation] * 2).game()
    assert verdict_of("nonnegative", game).status == status


def test_uniqueness_is_claimed_for_the_orthant_only_where_responses_can_be_negative():
    # x = tanh(2x + 0.1) has one nonnegative fixed point and two negative ones.
    game = nng.Network.ring([[[2.0]], [[1.0]]], [[0.1], [0.0]], ["tanh", "identity"]).game()
    verdict = verdict_of("nonnegative", game)
    assert verdict.proved
    assert verdict.witness["unique"] is False
    assert "in the nonnegative orthant" in verdict.statement
    low, high = (nng.solve(game, "picard", start=[s, s]).profile for s in (-1.0, 1.0))
    assert low[0] < -0.5 < 0.5 < high[0]
    assert not nng.solver("picard").guarantee(game).proved


@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "relu6", "hard_tanh", "softsign"])
@pytest.mark.parametrize("seed", range(3))
def test_the_rate_holds_at_every_iteration(seed, activation):
    rng = np.random.default_rng(seed)
    n = 5
    game = recurrent(random_weight(rng, n, 3.0), rng.uniform(0.1, 0.5, n), activation)
    verdict = verdict_of("nonnegative", game)
    assert verdict.proved
    rate, upper, lower = (verdict.witness[key] for key in ("rate", "upper", "lower"))
    x = np.zeros(n)
    for _ in range(3000):
        x = game.network.joint(x)
    equilibrium = x
    assert game.residual(equilibrium) < 1e-13
    assert (lower <= equilibrium).all()
    assert (equilibrium <= upper).all()
    for start in (np.zeros(n), 5 * rng.random(n), 100 * rng.random(n)):
        x, first = start, np.max(np.abs(start - equilibrium) / equilibrium)
        for k in range(60):
            assert np.max(np.abs(x - equilibrium) / equilibrium) <= rate**k * first + 1e-12
            x = game.network.joint(x)


def test_picard_is_licensed_on_both_maps_without_a_contraction():
    game = nng.Network.ring([[[8.0]], [[9.0]]], [[0.0], [0.0]], ["sigmoid", "sigmoid"]).game()
    for kind in ("joint", "composite"):
        guarantee = nng.solver("picard", map=kind).guarantee(game)
        assert guarantee.proved
        assert guarantee.witness["certificate"] == "nonnegative"
        assert nng.solve(game, "picard", map=kind, start=[-50.0, -50.0]).status == "converged"


def test_clearing_payments_on_a_graph_with_few_endowments():
    rng = np.random.default_rng(0)
    n, edges = 30_000, 150_000
    rows, columns = rng.integers(n, size=edges), rng.integers(n, size=edges)
    liabilities = sparse.csr_array((rng.random(edges), (rows, columns)), shape=(n, n))
    # Every bank owes its neighbour on a cycle, so that money comes everywhere.
    liabilities += sparse.csr_array((np.full(n, 0.1), ((np.arange(n) + 1) % n, np.arange(n))), shape=(n, n))
    owed = np.asarray(liabilities.sum(axis=0)).ravel()
    weight = liabilities @ sparse.diags_array(1 / owed)
    endowment = np.where(rng.random(n) < 0.01, rng.random(n), 0.0)
    clearing = nng.activation("box", lower=0.0, upper=owed)
    game = nng.Network.recurrent(weight, endowment, clearing).game(players="neurons")
    verdict = verdict_of("nonnegative", game)
    assert verdict.proved
    assert verdict.witness["unique"]
    assert verdict.margin == 1.0
    assert not verdict_of("neuron_contraction", game).proved


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_the_rate_does_not_depend_on_the_units(activation):
    """Nothing absolute is added to bounds: biases of 1e-300 have the rate of any others where r is near linear."""
    rates = []
    for scale in (1e-8, 1e-30, 1e-300):
        game = recurrent([[0.0, 0.5], [0.3, 0.1]], scale * np.array([1.0, 2.0]), activation)
        witness = verdict_of("nonnegative", game).witness
        exact = np.linalg.solve([[1.0, -0.5], [-0.3, 0.9]], [1.0, 2.0]) * scale
        assert (witness["upper"] >= exact * (1 - 1e-14)).all()
        assert (witness["upper"] <= exact * (1 + 1e-5)).all()
        assert (witness["lower"] <= scale * np.array([1.0, 2.0])).all()
        rates.append(witness["rate"])
    assert rates == pytest.approx([1 - 1 / 2.53333, *[rates[0]] * 2], rel=1e-5)


def test_a_rate_is_below_1_or_not_claimed():
    # x = x/2 + 1/2 + a bias 2^-60 for the second player: 1 - T(0)/x* rounds to 1.
    game = recurrent([[0.5, 0.0], [0.5, 0.0]], [1.0, 2.0**-60], "relu")
    verdict = verdict_of("nonnegative", game)
    assert verdict.proved
    assert "rate" not in verdict.witness


def test_an_input_that_cancels_is_no_positive_bias():
    """The first layer hears 1e9 - 1e9 and its rounding, about 1e-7: not proved positive or nonnegative."""
    game = nng.Network.chain([[[1e9, -1e9]]], [[1e-9]], ["relu"], input=[1 / 3, 1 / 3]).game(players="neurons")
    reason = nng.certify(game)["nonnegative"].statement
    assert "is not concave from its bias on" in reason


@pytest.mark.parametrize(("weight", "activation"), [(2.0, "tanh"), (1.0, "relu")])
def test_where_nothing_becomes_positive_nothing_is_claimed(weight, activation):
    # Two of the three solutions of x = tanh(2x) are nonnegative; every x >= 0 solves x = max(0, x).
    game = nng.Network.ring([[[weight]], [[1.0]]], [[0.0]] * 2, [activation, "relu"]).game()
    verdict = verdict_of("nonnegative", game)
    assert verdict.status == "UNDECIDED"
    assert "never positive" in verdict.statement
