"""Existence: boxes that are mapped into themselves and hold every equilibrium, and games with none."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from nngames import solve
from nngames.activations import registry as activations
from nngames.certificates import existence, verdict_of
from nngames.certificates.response_boxes import ResponseBounds, bias_bounds, invariant_box, mapped_box
from nngames.core.verdicts import Decision
from nngames.games import QuadraticGame
from nngames.networks import BilinearCoupling, Network
from nngames.networks.assembly import assembled_weight


def recurrent(weight, activation="relu", bias=None):
    n = np.shape(weight)[0]
    return Network.recurrent(weight, np.ones(n) if bias is None else bias, activation).game(players="neurons")


def decided(game):
    """Return the verdict, its box checked: T maps random points and corners of it into it."""
    verdict = verdict_of("existence", game)
    assert not verdict.refuted
    if "box" in verdict.witness:
        low, high = verdict.witness["box"]["lower"], verdict.witness["box"]["upper"]
        assert np.isfinite(low).all()
        assert np.isfinite(high).all()
        rng = np.random.default_rng(0)
        mixes = np.concatenate([rng.random((200, game.size)), rng.integers(0, 2, (200, game.size))])
        for share in mixes:
            x = low + share * (high - low)
            image = x + game.residuals(x)
            slack = 1e-12 * (1 + np.abs(image))
            assert ((low - slack <= image) & (image <= high + slack)).all()
    return verdict


def inside(box, x, slack=1e-8):
    return bool(((box["lower"] - slack <= x) & (x <= box["upper"] + slack)).all())


def loose(rng, n, scale=1.0):
    weight = scale * rng.standard_normal((n, n))
    np.fill_diagonal(weight, 0.0)
    return weight


def test_an_order_of_the_players_gives_exactly_one_whatever_the_responses():
    weights = {("b", "a"): [[7.0]], ("c", "a"): [[-3.0]], ("c", "b"): [[2.0]]}
    game = Network.graph(
        weights, {key: [1.0] for key in "abc"}, {"a": "hardshrink", "b": "hardshrink", "c": "relu"}
    ).game()
    verdict = decided(game)
    assert verdict.proved
    assert verdict.witness["unique"] is True
    cyclic = Network.graph(weights | {("a", "c"): [[1.0]]}, {key: [1.0] for key in "abc"}, "hardshrink").game()
    assert verdict_of("existence", cyclic).status is Decision.UNDECIDED


@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "hard_tanh"])
def test_bounded_responses_have_an_equilibrium_however_large_the_weights(activation):
    verdict = decided(recurrent(loose(np.random.default_rng(0), 5, 50.0), activation))
    assert verdict.proved
    assert "unique" not in verdict.witness
    assert "Brouwer" in verdict.method


def test_bounded_layers_without_a_known_box_are_proved_without_one():
    game = Network.ring([np.eye(2) * 5] * 2, [np.zeros(2)] * 2, ["ball", "sin"]).game()
    verdict = decided(game)
    assert verdict.proved
    assert "box" not in verdict.witness


def test_one_bounded_layer_on_every_cycle_is_enough():
    game = Network.ring([[[10.0]]] * 3, [[0.0]] * 3, ["softplus", "relu", "tanh"]).game()
    box = decided(game).witness["box"]
    assert box["upper"] == pytest.approx([10 + np.log(2), 100 + 10 * np.log(2), 1.0])
    unmeasured = Network.ring([9 * np.eye(3)] * 2, [np.zeros(3)] * 2, ["ball", "softplus"]).game()
    verdict = decided(unmeasured)
    assert verdict.proved
    assert verdict.witness["growth"] < 1


def test_substitutes_are_boxed_by_what_each_does_alone():
    rng = np.random.default_rng(1)
    weight = -np.abs(loose(rng, 6, 3.0))
    bias = rng.standard_normal(6)
    box = decided(recurrent(weight, "relu", bias)).witness["box"]
    assert np.all(box["lower"] == 0)
    assert box["upper"] == pytest.approx(np.maximum(bias, 0), abs=1e-12)


@pytest.mark.parametrize("seed", range(12))
def test_the_box_holds_every_equilibrium_of_relu(seed):
    rng = np.random.default_rng(seed)
    n = 4
    weight, bias = loose(rng, n, [0.3, 1.0][seed % 2]), rng.standard_normal(n)
    if seed % 3 == 0:
        weight = -np.abs(weight)
    verdict = decided(recurrent(weight, "relu", bias))
    found = []
    for active in itertools.product([False, True], repeat=n):
        on = np.flatnonzero(active)
        x = np.zeros(n)
        x[on] = np.linalg.solve(np.eye(on.size) - weight[np.ix_(on, on)], bias[on])
        if (np.where(active, x, -(weight @ x + bias)) >= 0).all():
            found.append(x)
    if verdict.proved:
        assert found
        assert all(inside(verdict.witness["box"], x) for x in found if "box" in verdict.witness)


@pytest.mark.parametrize("activation", ["silu", "gelu", "leaky_relu", "softplus", "tanhshrink", "identity"])
def test_growth_below_1_bounds_every_equilibrium(activation):
    rng = np.random.default_rng(2)
    weights = [0.4 * rng.standard_normal((3, 3)) / np.sqrt(3), rng.standard_normal((3, 3)) / np.sqrt(3)]
    game = Network.ring(weights, [rng.standard_normal(3) for _ in range(2)], [activation, "relu"]).game()
    verdict = decided(game)
    assert verdict.proved
    for start in (np.zeros(6), 10 * rng.standard_normal(6)):
        result = solve(game, "km", start=start)
        assert result.status == "converged"
        assert inside(verdict.witness["box"], result.profile)


def test_games_without_an_equilibrium_are_not_proved():
    without = {
        "softplus": Network.ring([[[1.0]]] * 3, [[0.0]] * 3, ["softplus"] * 3).game(),
        "relu": Network.ring([[[1.0]]] * 2, [[1.0]] * 2, ["relu"] * 2).game(),
        "identity": Network.ring([[[1.0]]] * 2, [[1.0], [0.0]], ["identity"] * 2).game(),
        "steep": Network.ring([[[2.0]]] * 2, [[1.0]] * 2, ["relu"] * 2).game(),
    }
    for name, game in without.items():
        refuted = name in ("relu", "steep")
        assert verdict_of("existence", game).status is (Decision.REFUTED if refuted else Decision.UNDECIDED)


def test_other_certificates_are_asked_last():
    skew = 3 * np.array([[0.0, 1.0], [-1.0, 0.0]])
    verdict = decided(recurrent(skew, "leaky_relu"))
    assert verdict.proved
    assert verdict.witness["certificate"] == "monotone"
    assert verdict.witness["unique"] is True
    minors = recurrent(np.array([[0.0, 3.0, 0.0], [0.0, 0.0, 3.0], [-3.0, 0.0, 0.0]]), "leaky_relu")
    assert decided(minors).witness["certificate"] == "p_matrix"


def test_couplings_that_are_not_linear():
    coupling = BilinearCoupling(1, (2, 3), np.ones((1, 1, 1)))
    biases = {i: [0.0] for i in (1, 2, 3)}
    loop = [coupling, BilinearCoupling(2, (1, 3), np.ones((1, 1, 1)))]
    relu, tanh = dict.fromkeys(biases, "relu"), dict.fromkeys(biases, "tanh")
    assert decided(Network([coupling], biases, relu).game()).witness["unique"] is True
    assert decided(Network(loop, biases, tanh).game()).proved
    assert verdict_of("existence", Network(loop, biases, relu).game()).status is Decision.UNDECIDED


@pytest.mark.parametrize(
    ("own", "penalty"), [(1.0, "nonnegative"), (2.5, "nonnegative"), ([[2.0, 1.0], [1.0, 2.0]], "box")]
)
def test_quadratic_games(own, penalty):
    n = np.atleast_2d(own).shape[0]
    game = QuadraticGame(
        {"a": own, "b": own},
        {("a", "b"): 9 * np.ones((n, n)), ("b", "a"): 9 * np.ones((n, n))},
        {"a": -np.ones(n), "b": -2 * np.ones(n)},
        {"a": penalty, "b": penalty},
    )
    verdict = decided(game)
    assert verdict.proved
    assert "box" in verdict.witness


@pytest.mark.parametrize("size", [1e-200, 1e200])
def test_data_out_of_range(size):
    assert decided(recurrent(-size * np.array([[0.0, 1.0], [1.0, 0.0]]), "relu")).proved
    assert decided(recurrent(size * np.array([[0.0, 1.0], [1.0, 0.0]]), "tanh")).proved
    growing = recurrent(np.array([[0.0, size], [0.25 / size, 0.0]]), "relu")
    assert verdict_of("existence", growing).proved


def test_float32_data():
    weight = np.array([[0.0, -2.0], [-3.0, 0.0]], dtype=np.float32)
    assert decided(recurrent(weight)).proved


def test_an_operator_of_any_size_is_bounded_by_its_responses():
    from scipy.sparse.linalg import LinearOperator

    n = 3000
    half = LinearOperator((n, n), matvec=lambda x: x / 2, rmatvec=lambda x: x / 2, dtype=float)
    verdict = verdict_of("existence", Network.ring([half, half], [np.zeros(n)] * 2, ["tanh"] * 2).game())
    assert verdict.proved
    assert np.all(verdict.witness["box"]["upper"] == 1)


@pytest.mark.parametrize(
    "activation", ["relu", "tanh", "silu", "snake", "softplus", "sin", "elu", "hardswish", "cloglog"]
)
def test_images_of_intervals_hold_the_values(activation):
    rng = np.random.default_rng(4)
    game = Network.graph({}, {"a": np.zeros(1)}, activation).game()
    bounds = ResponseBounds.of(game)
    respond = game.network.activations["a"]
    for _ in range(100):
        ends = np.sort(rng.standard_normal(2) * 10.0 ** rng.uniform(-1, 1.5))
        low, high = bounds.image(ends[:1], ends[1:])
        values = respond(np.linspace(*ends, 50))
        assert low[0] - 1e-12 <= values.min()
        assert values.max() <= high[0] + 1e-12


def test_a_half_line_passes_through_weights_of_one_sign():
    game = recurrent(np.array([[0.0, -1.0], [0.0, 0.0]]), "relu", np.array([1.0, 1.0]))
    bounds = ResponseBounds.of(game)
    weight, bias = assembled_weight(game.network).matrix, bias_bounds(game.network)
    low, high = invariant_box(weight, bias, bounds, (bounds.low, bounds.high))
    assert np.all(low == 0)
    assert high == pytest.approx([1, 1], rel=1e-12)


def only_euclidean():
    """A conference matrix of order 6, C'C = 5 I: |W|_2 = 0.9 where the spectral radius of |W| is 2."""
    first = np.array([0, 1, -1, -1, 1])
    core = np.array([np.roll(first, k) for k in range(5)])
    conference = np.block([[np.zeros((1, 1)), np.ones((1, 5))], [np.ones((5, 1)), core]])
    np.testing.assert_array_equal(conference.T @ conference, 5 * np.eye(6))
    weights = {(i, j): [[0.4 * conference[i, j]]] for i in range(6) for j in range(6) if i != j}
    return Network.graph(weights, {i: [1.0] for i in range(6)}, "absolute_value").game()


def only_masks():
    """The masks of 4 hidden coordinates show that O contracts, where the products of norms are above 1."""
    rng = np.random.default_rng(1)
    weights = [rng.standard_normal((4, 60)), rng.standard_normal((60, 4)) * [1.0, 1.5, 2.0, 3.0]]
    signs = itertools.product((-1, 1), repeat=4)
    weights[0] *= 0.999 / max(np.linalg.norm(weights[1] @ np.diag(s) @ weights[0], 2) for s in signs)
    biases = [rng.standard_normal(4), rng.standard_normal(60)]
    return Network.ring(weights, biases, ["absolute_value"] * 2).game()


@pytest.mark.parametrize(
    ("make", "name"), [(only_euclidean, "euclidean_contraction"), (only_masks, "composite_lipschitz")]
)
def test_other_proofs_of_existence_are_used(make, name, monkeypatch):
    # A diagonal metric is sought before the masks, and found here too.
    others = [other for other in existence._OTHERS if other != "diagonal_stability"]
    monkeypatch.setattr(existence, "_OTHERS", others)
    verdict = decided(make())
    assert verdict.proved
    assert verdict.witness["certificate"] == name
    assert verdict.witness["unique"]
    assert verdict.margin == verdict_of(name, make()).margin > 0


def test_margins_say_how_far_the_edge_is():
    # An order or a range has no edge.
    assert (
        verdict_of("existence", Network.graph({("b", "a"): [[5.0]]}, {"a": [1.0], "b": [1.0]}, "relu").game()).margin
        is None
    )
    assert verdict_of("existence", recurrent(9 * np.ones((2, 2)) - 9 * np.eye(2), "tanh")).margin is None


def test_a_box_that_shrinks_to_a_point_still_holds_the_exact_equilibrium():
    """The constants 1 are exact, and floats lose 1e16 + 1 - 1e16 = 1 whole."""
    constant = activations["singleton"](1.0)
    network = Network.graph({(2, 1): [[1e16, 1.0, -1e16]]}, {1: np.zeros(3), 2: [0.0]}, {1: constant, 2: "identity"})
    low, high = mapped_box(network.game())
    assert low[:3].tolist() == high[:3].tolist() == [1.0] * 3
    assert low[3] <= 1 <= high[3] < 100
