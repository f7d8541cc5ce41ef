"""Cycles of projections and under-relaxed ones against plain iterations and constrained least squares by SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

import nngames as nng
from nngames.checks import check_periodic_projections, registry
from nngames.core.errors import NotApplicableError, OptionError


def ring(*sets, size=2):
    return nng.Network.ring([np.eye(size)] * len(sets), [np.zeros(size)] * len(sets), list(sets)).game()


def polygon(matrix, offset):
    return {"name": "polyhedron", "matrix": matrix, "offset": offset}


TRIANGLE = polygon([[-1.0, 0.0], [0.0, -1.0], [1.0, 1.0]], [0.0, 0.0, 1.0])
SLAB = polygon([[1.0, 2.0], [-1.0, -2.0]], [10.0, -8.0])
CORNER = polygon([[-1.0, 0.5], [0.0, 1.0]], [-4.0, -2.0])
WEDGE = polygon([[1.0, -1.0], [1.0, 3.0]], [-5.0, 2.0])
FAMILIES = {
    "two": (TRIANGLE, SLAB),
    "three": (TRIANGLE, SLAB, CORNER),
    "four": (TRIANGLE, SLAB, CORNER, WEDGE),
    "ball": ({"name": "ball", "radius": 0.5}, SLAB, CORNER),
}


def squared_distances(sets, start):
    """argmin of the sum of |x - c_i|^2 over x and c_i in polyhedra, by SLSQP."""
    n, m = 2, len(sets)
    constraints = [
        {
            "type": "ineq",
            "fun": lambda z, i=i, s=s: np.array(s["offset"]) - np.array(s["matrix"]) @ z[n * (i + 1) : n * (i + 2)],
        }
        for i, s in enumerate(sets)
    ]

    def total(z):
        return sum(np.sum((z[:n] - z[n * (i + 1) : n * (i + 2)]) ** 2) for i in range(m))

    start = np.concatenate([start] * (m + 1))
    return minimize(total, start, constraints=constraints, method="SLSQP", options={"ftol": 1e-15, "maxiter": 500}).x[
        :n
    ]


@pytest.mark.parametrize("family", FAMILIES)
def test_the_cycle_is_where_the_projections_lead(family):
    sets = FAMILIES[family]
    game = ring(*sets)
    report = check_periodic_projections(game)
    x = np.array([3.0, -7.0])
    for _ in range(400):
        for player in game.players:
            x = game.network.activations[player](x)
    assert report.exists.proved
    assert np.allclose(report.cycle[game.players[-1]], x, atol=1e-9)
    assert game.residual(report.cycle) < 1e-9
    assert np.allclose(sum(report.displacements.values()), 0, atol=1e-12)


@pytest.mark.parametrize("family", ["two", "three", "four"])
def test_under_relaxed_cycles_tend_to_the_least_squares_point_at_the_predicted_rate(family):
    sets = FAMILIES[family]
    game = ring(*sets)
    report = check_periodic_projections(game)
    assert np.allclose(report.least_squares, squared_distances(sets, np.zeros(2)), atol=1e-5)
    assert report.curvature > 0.01
    assert [cycle.relaxation for cycle in report.under_relaxed] == [2.0**-k for k in range(1, 13)]
    # One of them by plain iteration.
    third = report.under_relaxed[2]
    x = np.zeros(2)
    for _ in range(3000):
        for player in game.players:
            x = x + third.relaxation * (game.network.activations[player](x) - x)
    assert np.allclose(third.point, x, atol=1e-9)
    ratios = [cycle.distance / cycle.relaxation for cycle in report.under_relaxed]
    assert ratios[-1] == pytest.approx(report.rate, rel=2e-3)
    errors = np.abs(np.array(ratios[-4:]) - report.rate)
    assert np.all(errors[1:] < 0.7 * errors[:-1])
    assert report.limit.proved
    assert "pierro" in report.limit.cite().lower()


def test_the_rate_of_three_half_planes_is_that_of_the_hand():
    game = nng.load_scenario("gallery:counterexamples/three_projections").game
    report = check_periodic_projections(game)
    # By symmetry the least-squares point is 0, and a cycle goes around it: |y| = relaxation/sqrt(3) to first order.
    assert np.allclose(report.least_squares, 0, atol=1e-12)
    assert report.rate == pytest.approx(1 / np.sqrt(3))
    assert report.exists.proved
    assert "polyhedra" in report.exists.statement
    assert report.functional.refuted


def test_where_the_least_squares_point_is_not_unique_no_rate_is_claimed():
    sets = [{"name": "box", "lower": [0, y], "upper": [1, y]} for y in (0, 1, 2)]
    report = check_periodic_projections(ring(*sets))
    assert report.curvature == 0
    assert report.rate is None
    assert "not found to be one point" in report.limit.statement


def test_where_a_projection_has_a_kink_no_rate_is_claimed():
    """On the line, with a half-line that ends at the least-squares point 0: by hand y = s + O(s^2) against -s/2.

    From y_3 = y the points are y_1 = y + s (1 - y), y_2 = y_1 - s y_1^+ and y_3 = y_2 + s (-1 - y_2). To first order
    in s with y = c s: y_1 = (c + 1) s, and the sum of the steps is 0 iff -c - (c + 1)^+ - (c + 1) = 0: c = -2/3.
    """
    ends = [{"name": "singleton", "point": [x]} for x in (1.0, -1.0)]
    report = check_periodic_projections(ring(ends[0], {"name": "halfspace", "normal": [1.0]}, ends[1], size=1), seed=0)
    assert report.least_squares == pytest.approx([0.0], abs=1e-12)
    assert report.curvature > 0.5
    last = report.under_relaxed[-1]
    assert last.distance / last.relaxation == pytest.approx(2 / 3, rel=1e-3)
    assert report.rate is None
    assert "predicted" not in report.limit.statement


def test_searches_stop_in_time_and_say_so():
    rng = np.random.default_rng(0)
    balls = [{"name": "ball", "center": list(3 * rng.normal(size=200))} for _ in range(3)]
    report = check_periodic_projections(ring(*balls, size=200), seed=0, max_seconds=1e-6)
    assert report.under_relaxed == ()
    assert report.rate is None
    assert "the time ran out after 0 of 12 relaxations" in report.limit.statement
    assert "a larger max_seconds would measure more" in report.limit.would_change
    with pytest.raises(OptionError, match="max_seconds must be a positive number; got 0"):
        check_periodic_projections(ring(*balls, size=200), max_seconds=0)


def test_distances_that_overflow_are_not_found():
    far = {"name": "ball", "center": [1e300, 0.0]}
    report = check_periodic_projections(ring({"name": "ball"}, far, {"name": "ball", "center": [0.0, 1e300]}), seed=0)
    assert report.cycle is None
    assert report.least_squares is None
    assert report.exists.proved


def test_two_sets_are_nearest_in_their_cycle():
    report = check_periodic_projections(nng.load_scenario("gallery:examples/two_projections").game)
    assert report.functional.proved
    assert report.functional.witness["distance"] == pytest.approx(2, abs=1e-9)
    sets = FAMILIES["two"]
    report = check_periodic_projections(ring(*sets))
    constraints = [
        {"type": "ineq", "fun": lambda z: np.array(sets[0]["offset"]) - np.array(sets[0]["matrix"]) @ z[:2]},
        {"type": "ineq", "fun": lambda z: np.array(sets[1]["offset"]) - np.array(sets[1]["matrix"]) @ z[2:]},
    ]
    least = minimize(lambda z: np.sum((z[:2] - z[2:]) ** 2), np.zeros(4), constraints=constraints, method="SLSQP")
    assert report.functional.witness["distance"] == pytest.approx(np.sqrt(least.fun), abs=1e-6)


@pytest.mark.parametrize(
    ("game", "message"),
    [
        (nng.Network.ring([[[2.0]], [[1.0]]], [[0.0]] * 2, ["relu6", "hard_tanh"]).game(), "player 1 hears .* weight"),
        (nng.Network.ring([[[1.0]], [[1.0]]], [[0.0], [1.0]], ["relu6", "hard_tanh"]).game(), "player 2 has a bias"),
        (
            nng.Network.ring([[[1.0]], [[1.0]]], [[0.0]] * 2, ["tanh", "hard_tanh"]).game(),
            "'tanh' is not given as the projection",
        ),
        (nng.Network.recurrent([[0.5]], [0.0], "hard_tanh").game(), "no cycle of projections"),
        (nng.QuadraticGame({1: [[1.0]]}), "not that of a ring"),
    ],
)
def test_other_games_are_refused_by_the_function_and_left_undecided_by_the_check(game, message):
    with pytest.raises(NotApplicableError, match=message):
        check_periodic_projections(game)
    report = registry.create("periodic_projections").run(game)
    assert report.exists.status == report.functional.status == report.limit.status == "UNDECIDED"


@pytest.mark.parametrize(
    ("game", "exists", "functional"),
    [
        (ring(*FAMILIES["two"]), "an unbounded set that is no polyhedron", "a third set"),
        (ring(*FAMILIES["ball"]), "an unbounded set in its place", "two sets"),
    ],
)
def test_every_verdict_says_what_would_change_it(game, exists, functional):
    report = check_periodic_projections(game, seed=0)
    assert exists in report.exists.would_change
    assert functional in report.functional.would_change
    assert "cycles that do not stay bounded" in report.limit.would_change
