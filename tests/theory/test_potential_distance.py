"""Distances to potential games: closed forms, another minimisation over the weights, and sampled cost changes."""

from __future__ import annotations

import itertools
import time

import numpy as np
import pytest
from scipy.optimize import minimize
from structure_games import Drawn, drawn_game

import nngames as nng
from nngames.core.errors import InputError, NotApplicableError, OptionError
from nngames.core.verdicts import Decision

PROVED, UNDECIDED = Decision.PROVED, Decision.UNDECIDED


def pair(forward, backward, activation="identity"):
    return nng.Network.ring([[[forward]], [[backward]]], [[0.0], [0.0]], [activation] * 2).game()


def felt(drawn):
    """The effective coupling of a drawn game, its projectors written down here."""
    blocks = []
    for player, n in drawn.sizes.items():
        penalty = drawn.penalties[player]
        name = penalty if isinstance(penalty, str) else penalty["name"]
        projector = np.eye(n)
        if name in ("softmax", "simplex"):
            projector -= np.full((n, n), 1 / n)
        if name == "singleton":
            projector = np.zeros((n, n))
        if name == "box" and not isinstance(penalty, str):
            projector = np.diag([float(a < b) for a, b in zip(penalty["lower"], penalty["upper"], strict=True)])
        blocks.append(projector)
    rows = []
    for target, left in zip(drawn.sizes, blocks, strict=True):
        row = []
        for source, right in zip(drawn.sizes, blocks, strict=True):
            given = drawn.couplings.get((target, source), np.zeros((drawn.sizes[target], drawn.sizes[source])))
            row.append(left @ given @ right)
        rows.append(row)
    return np.block(rows)


def least_by_many_starts(coupling, sizes, ratio, starts=60):
    """The least |B - D| over couplings D with a weighted potential, by local minimisation over log c."""
    owner = np.repeat(np.arange(len(sizes)), sizes)

    def squared(t):
        c = np.exp(t)[owner]
        weighted = c[:, None] * coupling
        return 0.5 * np.sum((weighted - weighted.T) ** 2 / (c[:, None] ** 2 + c[None, :] ** 2))

    bounds = [(0.0, np.log(ratio))] * len(sizes)
    rng = np.random.default_rng(0)
    drawn = rng.uniform(0, np.log(ratio), size=(starts, len(sizes)))
    return float(np.sqrt(min(minimize(squared, t, method="L-BFGS-B", bounds=bounds).fun for t in drawn)))


@pytest.mark.parametrize("number", [*range(3, 11), 16, 19, 20, 28])
def test_distances_equal_those_of_another_route(number):
    drawn = drawn_game(number)
    coupling = felt(drawn)
    found = nng.potential_distance(drawn.game, ratio=10.0, max_seconds=1.0)
    assert found.size == pytest.approx(np.linalg.norm(coupling), rel=1e-13)
    assert found.exact == pytest.approx(np.linalg.norm(coupling - coupling.T) / 2, rel=1e-12)
    other = least_by_many_starts(coupling, list(drawn.sizes.values()), 10.0)
    assert found.weighted == pytest.approx(other, rel=1e-6)
    assert found.lower_bound <= other * (1 + 1e-6)
    assert found.weighted <= found.exact * (1 + 1e-12)
    assert found.optimal.proved == (found.lower_bound >= (1 - 1e-6) * found.weighted)
    assert max(found.weights.values()) <= 10.0 * (1 + 1e-9)
    report = nng.check_potential(drawn.game, max_seconds=0.05)
    assert report.distance == found.exact
    assert found.exact == pytest.approx(found.size * np.sqrt(report.asymmetry), rel=1e-12)


@pytest.mark.parametrize("kind", ["exact", "weighted"])
def test_the_nearest_game_has_the_potential_and_the_distance(kind):
    drawn = drawn_game(5)
    found = nng.potential_distance(drawn.game)
    nearest = found.nearest(kind)
    weights = dict.fromkeys(drawn.sizes, 1.0) if kind == "exact" else found.weights
    places = drawn.game.space.slices
    moved, coupling = np.zeros((drawn.game.size,) * 2), felt(drawn)
    for (target, source), block in nearest.items():
        moved[places[target], places[source]] = block
        np.testing.assert_allclose(
            weights[target] * block, weights[source] * nearest[source, target].T, rtol=1e-12, atol=1e-14
        )
    assert np.linalg.norm(coupling - moved) == pytest.approx(getattr(found, kind), rel=1e-12)
    game = nng.Network.graph(nearest, dict.fromkeys(drawn.sizes, 0.0) | drawn.biases, drawn.penalties).game()
    assert getattr(nng.check_potential(game, max_seconds=0.05), kind).proved


def test_two_numbers_have_the_closed_form():
    # |c_1 a - c_2 b|^2 / (c_1^2 + c_2^2) over c_1 / c_2 in [1/2, 2]: monotone for opposite signs.
    found = nng.potential_distance(pair(1.0, -0.5), ratio=2.0)
    expected = min(abs(c - -0.5) / np.sqrt(c**2 + 1) for c in (0.5, 2.0))
    assert found.weighted == pytest.approx(expected, rel=1e-12)
    assert found.optimal.status is PROVED
    assert found.exact == pytest.approx(1.5 / np.sqrt(2))
    assert found.weights[2] / found.weights[1] == pytest.approx(2.0)


def test_the_unbounded_infimum_of_a_one_way_coupling_is_not_attained():
    game = nng.Network.graph({(2, 1): [[1.0]]}, {1: [0.0], 2: [0.0]}, "identity").game()
    for ratio in (1.0, 10.0, 1e6):
        found = nng.potential_distance(game, ratio=ratio)
        assert found.weighted == pytest.approx(1 / np.sqrt(1 + ratio**2), rel=1e-9)
        assert found.optimal.status is PROVED


def test_a_weighted_potential_game_is_at_distance_zero():
    found = nng.potential_distance(drawn_game(1).game, max_seconds=120.0)
    assert found.weighted <= 1e-12 * found.size
    assert found.optimal.status is PROVED
    assert found.exact > 0.1


def test_the_time_is_kept_and_the_gap_is_said():
    rng = np.random.default_rng(0)
    n = 14
    game = nng.Network.recurrent(rng.normal(size=(n, n)) * (1 - np.eye(n)), np.zeros(n), "tanh").game("neurons")
    began = time.perf_counter()
    found = nng.potential_distance(game, max_seconds=0.2)
    assert time.perf_counter() - began < 10  # A bound on hanging, not a measurement.
    assert found.optimal.status is UNDECIDED
    assert 0 <= found.lower_bound < found.weighted
    assert "would close the gap" in found.optimal.would_change


@pytest.mark.parametrize("options", [{"ratio": 0.5}, {"ratio": np.inf}, {"ratio": "2"}, {"max_seconds": 0}])
def test_options_must_be_usable(options):
    with pytest.raises(OptionError, match=next(iter(options))):
        nng.potential_distance(pair(1.0, 2.0), **options)


def test_a_tracking_cost_has_no_distance():
    with pytest.raises(NotApplicableError, match="not bilinear"):
        nng.potential_distance(pair(1.0, 2.0, "silu"))
    assert nng.check_potential(pair(1.0, 2.0, "silu"), max_seconds=0.1).distance is None


# The maximum pairwise difference


def sampled_difference(drawn, box, tries):
    """The largest difference of cost changes that is met, to the nearest game with u_l - sum_k A_lk (x_k - m_k)."""
    coupling = felt(drawn)
    odd = (coupling - coupling.T) / 2
    rng = np.random.default_rng(0)
    corners = []
    for player, n in drawn.sizes.items():
        simplex = drawn.penalties[player] in ("softmax", "simplex")
        corners.append(np.eye(n) if simplex else np.array(list(itertools.product(*[box] * n))))
    middle = np.concatenate([c.mean(axis=0) for c in corners])
    places = list(drawn.game.space.slices.values())
    largest = 0.0
    for _ in range(tries):
        x = np.concatenate([c[rng.integers(len(c))] for c in corners])
        for place, c in zip(places, corners, strict=True):
            changes = (c[:, None] - c[None, :]).reshape(-1, c.shape[1])
            largest = max(largest, float(np.abs(changes @ odd[place] @ (x - middle)).max()))
    return largest


@pytest.mark.parametrize("penalties", [("identity", "identity"), ("softmax", "identity"), ("simplex", "softmax")])
def test_the_pairwise_difference_is_the_largest_over_vertices(penalties):
    rng = np.random.default_rng(3)
    weights = {(i, k): rng.normal(size=(3, 3)) for i, k in itertools.permutations(range(3), 2)}
    kinds = {0: penalties[0], 1: penalties[1], 2: "identity"}
    game = nng.Network.graph(weights, {i: np.zeros(3) for i in range(3)}, kinds).game()
    drawn = Drawn("", game, dict.fromkeys(range(3), 3), weights, {i: np.zeros(3) for i in range(3)}, kinds)
    found = nng.maximum_pairwise_difference(game, (-0.5, 1.5))
    sampled = sampled_difference(drawn, (-0.5, 1.5), 1500)
    assert found.nearest[0] == found.nearest[1] == pytest.approx(sampled, rel=1e-12)
    assert 0 < found.least <= found.nearest[0]


def test_two_numbers_have_equal_bounds_and_the_costs_show_them():
    game = pair(1.0, -0.5)
    found = nng.maximum_pairwise_difference(game, (-1.0, 1.0))
    # Four steps between the corners sum to 4 (1 + 0.5), so that one step of any potential game differs by 1.5.
    assert found.nearest == pytest.approx((1.5, 1.5))
    assert found.least == pytest.approx(1.5)
    corners = [np.array(c) for c in ([-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0])]
    steps = zip((1, 2, 1, 2), corners, [*corners[1:], corners[0]], strict=True)
    total = sum(game.cost(player, after) - game.cost(player, before) for player, before, after in steps)
    assert abs(total) == pytest.approx(4 * found.least)


def test_long_actions_are_bounded_from_both_sides():
    rng = np.random.default_rng(5)
    w = rng.normal(size=(14, 3))
    game = nng.Network.graph({(0, 1): w}, {0: np.zeros(14), 1: np.zeros(3)}, "tanh").game()
    low, high = nng.maximum_pairwise_difference(game).nearest
    exact = max(float(np.abs(w @ np.array(s)).sum()) for s in itertools.product((-1, 1), repeat=3))
    assert low <= exact * (1 + 1e-12)
    assert exact <= high * (1 + 1e-12)
    assert high < 3 * low


def test_a_box_is_asked_for_where_actions_have_no_bound():
    with pytest.raises(InputError, match="player 1 have no bound: give box"):
        nng.maximum_pairwise_difference(pair(1.0, 2.0))
    with pytest.raises(InputError, match="pair"):
        nng.maximum_pairwise_difference(pair(1.0, 2.0), (1.0, 2.0, 3.0))
    assert nng.maximum_pairwise_difference(pair(1.0, -1.0, "tanh")).least == pytest.approx(2.0)
