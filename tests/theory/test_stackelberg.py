"""Stackelberg solutions: the exact ones against independent minimisation, the theorem on who leads, and limits."""

from __future__ import annotations

import itertools
import json
from fractions import Fraction

import numpy as np
import pytest
from scipy.optimize import minimize, minimize_scalar

import nngames as nng
from nngames.checks.leading.order import effective_leaders, hearing, levels_of, listening_order
from nngames.checks.leading.patterns import Reaction
from nngames.checks.leading.quadratic_minimum import UnboundedError, UndecidedError, minimise
from nngames.checks.leading.rational_costs import Quadratic, RationalCosts
from nngames.checks.leading.worst_answers import pessimistic_value
from nngames.core.errors import InputError, OptionError, UnknownNameError
from nngames.core.exact import fraction, rational, rational_matrix
from nngames.solvers.piecewise_equation import PiecewiseEquation

LEAKY = {"name": "leaky_relu", "slope": 0.25}
STEEP = {"name": "linear", "slope": 1.5}
ACTIVATIONS = ["identity", "relu", "hard_tanh", LEAKY, STEEP, {"name": "box", "lower": -2, "upper": 1}]


def halver():
    activations = [{"name": "linear", "slope": 0.5}, "identity"]
    return nng.Network.ring([[[1.0]], [[0.5]]], [[1.0], [0.0]], activations).game()


def relu_pair():
    return nng.Network.ring([[[2.0]], [[1.0]]], [[-1.0], [0.0]], ["relu", "relu"]).game()


def quarters(rng, *shape):
    return rng.integers(-8, 9, size=shape) / 4


def random_ring(rng, length=None):
    sizes = [int(rng.integers(1, 3)) for _ in range(length or int(rng.integers(2, 5)))]
    chosen = [ACTIVATIONS[rng.integers(len(ACTIVATIONS))] for _ in sizes]
    weights = [quarters(rng, n, sizes[i - 1]) for i, n in enumerate(sizes)]
    return nng.Network.ring(weights, [quarters(rng, n) for n in sizes], chosen).game()


def followed(game, leader, z):
    """The pass around the ring from the leader's commitment."""
    ring = list(game.players)
    k = ring.index(leader)
    x = np.zeros(game.size)
    x[game.space.slice(leader)] = z
    for player in ring[k + 1 :] + ring[:k]:
        x[game.space.slice(player)] = game.best_response(player, x)
    return x


# The two counterexamples


def test_a_commitment_that_pays_against_a_search_that_knows_the_cost_only():
    report = nng.check_stackelberg(halver(), [1, 2])
    # f(z) = z^2/2 has the prox v/2, and the follower plays z/2.
    found = minimize_scalar(lambda z: z**2 / 2 + (z - z / 2 - 1) ** 2 / 2, options={"xtol": 1e-12})
    assert report.equals_nash.refuted
    assert report.solution.proved
    assert report.solutions[0].exact == (Fraction(2, 5), Fraction(1, 5))
    assert float(report.optimistic) == pytest.approx(found.fun, abs=1e-12)
    assert report.profile[0] == pytest.approx(found.x, abs=1e-7)
    assert report.equilibria[0].exact == (Fraction(2, 3), Fraction(1, 3))
    assert report.equilibria[0].costs == {1: Fraction(4, 9), 2: 0}
    assert (report.optimistic, report.gain) == (Fraction(2, 5), Fraction(2, 45))
    assert report.equals_nash.margin == pytest.approx(2 / 45)
    assert "proximal cost as printed" in report.equals_nash.statement


def test_a_follower_with_no_penalty_gains_nothing_by_leading():
    report = nng.check_stackelberg(halver(), [2])
    assert report.order == ((2,), (1,))
    assert report.equals_nash.proved
    assert report.gain == 0


def test_of_two_equilibria_one_remains():
    report = nng.check_stackelberg(relu_pair(), [1])
    assert [s.exact for s in report.solutions] == [(1, 1)]
    assert report.equals_nash.refuted
    assert report.equals_nash.witness["equilibrium"] == (0, 0)
    assert report.equals_nash.witness["equilibrium_cost"] == Fraction(1, 2)
    both = nng.check_stackelberg(relu_pair(), [2])
    assert {s.exact for s in both.solutions} == {(0, 0), (1, 1)}
    assert both.equals_nash.proved


# Who leads


def test_on_an_open_chain_every_order_gives_the_forward_pass():
    network = nng.Network.chain(
        [[[2.0]], [[-1.5]], [[1.0]]], [[0.5], [1.0], [0.0]], ["tanh", "relu", "softplus"], [0.3]
    )
    game = network.game()
    forward = np.concatenate(network.forward([0.3]))
    for order in [*itertools.permutations(game.players), [(1, 2, 3)], [(1, 3), 2]]:
        report = nng.check_stackelberg(game, order)
        assert report.equals_nash.proved
        assert report.leaders == ()
        assert np.allclose(report.profile, forward, rtol=0, atol=1e-15)


def nested(game, order):
    """The first player's cost by nested one-dimensional searches; three players with one number each."""
    first, second, third = order

    def whole(a, b):
        x = np.zeros(3)
        x[game.space.slice(first)], x[game.space.slice(second)] = a, b
        x[game.space.slice(third)] = game.best_response(third, x)
        return x

    def answered(a):
        return whole(a, minimize_scalar(lambda b: game.cost(second, whole(a, b)), options={"xtol": 1e-11}).x)

    return minimize_scalar(lambda a: game.cost(first, answered(a)), options={"xtol": 1e-9}).fun


@pytest.mark.parametrize("seed", [0, 1])
def test_on_a_ring_only_a_single_first_player_leads(seed):
    rng = np.random.default_rng(seed)
    weights = [rng.integers(1, 5, size=(1, 1)) / 8 for _ in range(3)]
    activations = [{"name": "linear", "slope": 0.5}, {"name": "linear", "slope": 0.75}, "identity"]
    game = nng.Network.ring(weights, rng.normal(size=(3, 1)).round(2), activations).game()
    for first in game.players:
        others = [p for p in game.players if p != first]
        orders = [[first, *others], [first, *others[::-1]], [first]]
        reports = [nng.check_stackelberg(game, order) for order in orders]
        assert {r.solutions[0].exact for r in reports} == {reports[0].solutions[0].exact}
        assert {r.leaders for r in reports} == {(first,)}
        for order in orders[:2]:
            assert nested(game, order) == pytest.approx(float(reports[0].optimistic), abs=1e-7)
    together = nng.check_stackelberg(game, [(1, 2), 3])
    assert together.leaders == ()
    assert together.equals_nash.proved
    assert game.residual(together.profile) < 1e-12


def test_leaders_are_those_on_a_cycle_of_later_players():
    edges = [(1, 2), (2, 1), (3, 2), (4, 3), (2, 4)]
    graph = nng.Network.graph(
        {edge: [[0.1]] for edge in edges}, {p: [0.0] for p in (1, 2, 3, 4)}, dict.fromkeys((1, 2, 3, 4), "relu")
    )
    game = graph.game()
    for order in itertools.permutations(game.players):
        # Cycles: 1 2, and 2 3 4; the first of each leads.
        expected = {min(c, key=order.index) for c in ((1, 2), (2, 3, 4))}
        assert set(effective_leaders(hearing(game), levels_of(game, order))) == expected


# Exact solutions against searches


def test_three_oligopolists_in_turn_are_the_textbook_ones():
    players = (1, 2, 3)
    game = nng.QuadraticGame(
        {p: [[2.0]] for p in players},
        {(p, q): [[1.0]] for p in players for q in players if p != q},
        {p: [-12.0] for p in players},
    )
    report = nng.check_stackelberg(game)
    assert report.solutions[0].exact == (6, 3, Fraction(3, 2))
    assert report.leaders == (1, 2)
    assert report.equilibria[0].exact == (3, 3, 3)
    one = nng.check_stackelberg(game, [2])
    assert one.solutions[0].exact == (2, 6, 2)
    assert nng.check_stackelberg(game, [(1, 2)]).solutions[0].exact == (4, 4, 2)


@pytest.mark.parametrize("seed", range(4))
def test_affine_games_on_any_graph_against_nested_searches(seed):
    rng = np.random.default_rng(seed)
    players = (1, 2, 3)
    game = nng.QuadraticGame(
        {p: [[float(rng.integers(2, 6))]] for p in players},
        {(p, q): rng.integers(-6, 7, size=(1, 1)) / 8 for p in players for q in players if p != q},
        {p: rng.integers(-6, 7, size=1) / 8 for p in players},
    )
    order = [int(p) for p in rng.permutation(players)]
    report = nng.check_stackelberg(game, order)
    assert report.solution.proved
    assert nested(game, order) == pytest.approx(float(report.optimistic), abs=1e-6)


@pytest.mark.parametrize("seed", range(14))
def test_piecewise_linear_rings_against_a_search_from_many_starts(seed):
    rng = np.random.default_rng(seed)
    game = random_ring(rng)
    order = [game.players[i] for i in rng.permutation(len(game.players))]
    leader = order[0]
    report = nng.check_stackelberg(game, order)
    domain = game.network.activations[leader].domain

    def cost(z):
        return min(game.cost(leader, followed(game, leader, z)), 1e12)

    starts = [domain.project(s * rng.normal(size=game.dims[leader])) for s in (0.3, 1, 4, 20) * 3]
    options = {"xatol": 1e-9, "fatol": 1e-11, "maxiter": 800}
    best = min(minimize(cost, z, method="Nelder-Mead", options=options).fun for z in starts)
    if report.solution.refuted:
        assert best < -1e6
        return
    assert report.solution.proved
    value = float(report.optimistic)
    for solution in report.solutions:
        z = solution.profile[game.space.slice(leader)]
        assert np.allclose(followed(game, leader, z), solution.profile, atol=1e-12)
        assert cost(z) == pytest.approx(value, abs=1e-9)
    assert value - 1e-8 <= best <= value + 1e-3 * max(1, abs(value))
    if report.equals_nash.proved:
        assert all(game.residual(solution.profile) < 1e-9 for solution in report.solutions)


def test_ties_are_broken_for_the_leader_and_against_it():
    # The followers imitate each other: x = clip(2 y + z), y = clip(x). Near z = 0 they may settle at -1, -z or 1.
    weights = {("f", "g"): [[2.0]], ("f", "l"): [[1.0]], ("g", "f"): [[1.0]], ("l", "f"): [[1.0]]}
    biases = {"l": [0.25], "f": [0.0], "g": [0.0]}
    half = {"name": "box", "lower": -0.5, "upper": 0.5}
    game = nng.Network.graph(weights, biases, {"l": half, "f": "hard_tanh", "g": "hard_tanh"}).game()
    report = nng.check_stackelberg(game, ["l"])
    z = np.linspace(-0.5, 0.5, 4001)
    costs = np.array([(z - x - 0.25) ** 2 / 2 for x in (np.ones_like(z), -np.ones_like(z), -z)])
    assert float(report.optimistic) == pytest.approx(costs.min(), abs=1e-6)
    assert float(report.pessimistic) == pytest.approx(costs.max(axis=0).min(), abs=1e-6)
    assert (report.optimistic, report.pessimistic) == (0, Fraction(1, 2))
    assert report.solutions[0].exact == (Fraction(1, 8), Fraction(-1, 8), Fraction(-1, 8))
    # Without the bounds the leader goes where one answer is left.
    free = nng.Network.graph(weights, biases, {"l": "identity", "f": "hard_tanh", "g": "hard_tanh"}).game()
    assert nng.check_stackelberg(free, ["l"]).pessimistic == 0
    assert "against it" in report.solution.statement


def test_where_a_cost_falls_without_bound_there_is_no_solution():
    # The leader pays -z^2/6 + (z - v)^2/2 with v = 2z: convex; with the steeper follower it hears z and gains forever.
    flat = nng.Network.ring([[[1.0]], [[1.0]]], [[0.5], [0.0]], [STEEP, "identity"]).game()
    report = nng.check_stackelberg(flat, [1])
    assert report.solution.refuted
    assert "unbounded below" in report.solution.statement
    assert report.solutions == ()
    assert report.equilibria[0].exact == (Fraction(-3, 2), Fraction(-3, 2))
    assert report.equals_nash.refuted


def test_a_leader_may_have_a_solution_where_there_is_no_equilibrium():
    # x = y + 1/2 and y = x have no solution; the leader pays z^2/2 + (z - 2z - 1)^2/2.
    activations = [{"name": "linear", "slope": 0.5}, "identity"]
    game = nng.Network.ring([[[2.0]], [[1.0]]], [[1.0], [0.0]], activations).game()
    report = nng.check_stackelberg(game, [1])
    assert report.solutions[0].exact == (Fraction(-1, 2), Fraction(-1, 2))
    assert report.optimistic == Fraction(1, 4)
    assert report.equilibria == ()
    assert report.equals_nash.refuted
    assert report.equals_nash.statement.endswith("is no equilibrium; there is none")


@pytest.mark.parametrize(
    "game",
    [
        random_ring(np.random.default_rng(1), 3),
        nng.Network.recurrent([[0.25, 0.5], [-0.5, 0.125]], [0.5, 0.25], "relu").game(),
        nng.Network.recurrent([[0.25, 0.5], [0.5, -0.125]], [0.5, 0.25], LEAKY).game(),
        nng.Network.ring([[[1.0, 2.0]], [[1.0], [0.5]]], [[0.5], [0.25, 0.5]], [LEAKY, "relu"]).game(players="neurons"),
        nng.QuadraticGame({1: [[2.0, 0.5], [0.5, 1.0]], 2: [[3.0]]}, {(1, 2): [[1.0], [2.0]]}, {1: [1.0, -1.0]}),
        nng.QuadraticGame({1: [[2.0]], 2: [[3.0]]}, {(1, 2): [[1.0]]}, None, {1: "nonnegative", 2: "box"}),
        nng.Network.ring([[[1.0]]] * 2, [[0.5]] * 2, [{"name": "linear", "slope": 0.5, "bias": 2.0}, "relu6"]).game(),
    ],
)  # fmt: skip
def test_rational_costs_are_the_costs(game):
    costs = RationalCosts(PiecewiseEquation(game))
    for z in np.random.default_rng(0).integers(-12, 13, size=(20, game.size)) / 4:
        for player in game.players:
            x = [rational(float(t)) for t in z]
            exact, paid = costs.value(player, x), game.cost(player, z)
            if exact is None:
                assert paid == np.inf
                continue
            assert float(fraction(exact)) == pytest.approx(paid, rel=1e-12, abs=1e-12)
            # The quadratic form of the pieces that hold there.
            pieces = [
                next(
                    p
                    for p in costs.own_pieces(i)
                    if (p.low is None or x[i] >= p.low) and (p.high is None or x[i] <= p.high)
                )
                for i in costs.places(player)
            ]
            assert costs.with_own(player, pieces)(x) == exact


@pytest.mark.parametrize("seed", range(12))
def test_quadratic_minima_against_a_grid(seed):
    rng = np.random.default_rng(seed)
    hessian = rng.integers(-3, 4, size=(2, 2)).astype(float)
    hessian = hessian + hessian.T if seed % 2 else hessian @ hessian.T
    slope, cuts = rng.integers(-4, 5, size=2), rng.integers(-3, 4, size=(3, 2))
    heights = rng.integers(0, 4, size=3)
    rows = [(g, h) for g, h in zip(cuts.tolist(), heights.tolist(), strict=True)]
    rows += [([1, 0], 2), ([-1, 0], 2), ([0, 1], 2), ([0, -1], 2)]
    exact = [([rational(float(a)) for a in g], rational(float(h))) for g, h in rows]
    function = Quadratic(rational_matrix(hessian), [rational(float(s)) for s in slope], rational(0.0))
    found = minimise(function, exact)
    x, y = np.meshgrid(*[np.linspace(-2, 2, 801)] * 2)
    allowed = np.all([g[0] * x + g[1] * y <= h + 1e-12 for g, h in rows], axis=0)
    values = (hessian[0, 0] * x**2 + hessian[1, 1] * y**2) / 2 + hessian[0, 1] * x * y + slope[0] * x + slope[1] * y
    point = [float(fraction(t)) for t in found.point]
    assert all(np.dot(g, point) <= h + 1e-12 for g, h in rows)
    assert float(fraction(function(found.point))) == float(fraction(found.value))
    assert values[allowed].min() - 0.1 <= float(fraction(found.value)) <= values[allowed].min() + 1e-9


def test_quadratic_minima_that_are_none():
    zero, one = rational(0.0), rational(1.0)
    falls = Quadratic(rational_matrix(np.zeros((1, 1))), [one], zero)
    with pytest.raises(UnboundedError):
        minimise(falls, [([one], one)])
    assert minimise(falls, [([one], -one), ([-one], -one)]) is None
    saddle = Quadratic(rational_matrix(np.array([[1.0, 0.0], [0.0, -1.0]])), [zero, zero], zero)
    with pytest.raises(UnboundedError):
        minimise(saddle, [([-one, zero], zero)])
    # On the cone x >= |y| the value x^2 - y^2 is never negative, but 0 along its edges.
    with pytest.raises(UndecidedError, match="not convex"):
        minimise(saddle, [([-one, one], zero), ([-one, -one], zero)])
    # On x >= 2|y| it grows in all directions; x^2/2 - 2xy + y^2/2 falls inside the quadrant and grows along its edges.
    inside = minimise(saddle, [([-one, one * 2], zero), ([-one, -one * 2], zero)])
    assert (inside.value, inside.point, inside.unique) == (0, [0, 0], True)
    product = Quadratic(rational_matrix(np.array([[1.0, -2.0], [-2.0, 1.0]])), [zero, zero], zero)
    with pytest.raises(UnboundedError):
        minimise(product, [([-one, zero], zero), ([zero, -one], zero)])


# Other responses


def test_a_smooth_leader_gains_as_balls_prove_and_its_least_cost_is_bounded():
    game = nng.Network.ring([[[1.0]], [[0.5]]], [[1.0], [0.0]], ["tanh", "tanh"]).game()
    report = nng.check_stackelberg(game, [1], max_seconds=5)
    nash = nng.solve(game, tolerance=1e-13)

    def cost(z):
        # f + z^2/2 = z artanh z + log(1 - z^2)/2 has the derivative artanh.
        v = np.tanh(z / 2) + 1
        return z * np.arctanh(z) + np.log(1 - z**2) / 2 - z * v + v**2 / 2

    found = minimize_scalar(cost, bounds=(-1 + 1e-9, 1 - 1e-9), method="bounded", options={"xatol": 1e-12})
    assert report.equals_nash.refuted
    assert report.equals_nash.margin == pytest.approx(cost(nash.profile[0]) - found.fun, abs=1e-6)
    assert report.optimistic == pytest.approx(found.fun, abs=1e-9)
    assert report.solution.proved
    assert found.fun - 1e-3 <= report.solution.witness["lower_bound"] <= found.fun


def test_the_tracking_cost_is_least_in_equilibrium():
    game = nng.Network.ring([[[0.5]], [[0.5]]], [[1.0], [0.5]], ["sin", "sin"]).game()
    report = nng.check_stackelberg(game, [1])
    assert report.cost == "tracking"
    assert report.equals_nash.proved
    assert "tracking cost" in report.equals_nash.statement
    # And with the proximal cost of a pair whose responses are the same near the equilibrium it is not.
    assert nng.check_stackelberg(halver()).equals_nash.refuted
    assert nng.check_stackelberg(halver().network.game(cost="tracking"), [1]).equals_nash.proved


def test_what_is_sampled_only_stays_undecided():
    network = nng.Network.ring([np.eye(2), 2 * np.eye(2)], [[1.0, 0.0], [0.0, 0.5]], ["softmax", "tanh"])
    report = nng.check_stackelberg(network.game(), [1], max_seconds=2)
    assert report.solution.status == report.equals_nash.status == "UNDECIDED"
    assert "sampled" in report.solution.statement
    several = nng.Network.graph(
        {(p, q): [[0.2]] for p in (1, 2, 3) for q in (1, 2, 3) if p != q}, {p: [0.1] for p in (1, 2, 3)},
        dict.fromkeys((1, 2, 3), "relu"),
    )  # fmt: skip
    report = nng.check_stackelberg(several.game())
    assert report.leaders == (1, 2)
    assert report.solution.status == "UNDECIDED"
    assert "several players lead" in report.solution.statement


# Limits and errors


def test_a_search_that_is_cut_short_says_so():
    rng = np.random.default_rng(0)
    wide = nng.Network.ring(rng.normal(size=(2, 9, 9)), rng.normal(size=(2, 9)), ["relu", "relu"]).game()
    report = nng.check_stackelberg(wide, [1], max_seconds=1e-6)
    assert report.solution.status == "UNDECIDED"
    assert "the time ran out" in report.solution.statement
    wider = nng.Network.ring(rng.normal(size=(2, 17, 17)), rng.normal(size=(2, 17)), ["relu", "relu"]).game()
    report = nng.check_stackelberg(wider, [1], max_seconds=0.3)
    assert report.solution.status == "UNDECIDED"
    assert "131072 patterns" in report.solution.statement


@pytest.mark.parametrize("activations", [["relu", "relu"], ["tanh", "tanh"], ["hard_tanh", "identity"]])
@pytest.mark.parametrize("cost", ["proximal", "tracking"])
def test_costs_beyond_the_floats_are_told(activations, cost):
    """Exact costs of about 1e600, and searches among infinite ones; warnings are errors here."""
    game = nng.Network.ring([[[1e300]], [[1e300]]], [[1e300], [0.0]], activations).game(cost=cost)
    report = nng.check_stackelberg(game, [1], seed=0, max_seconds=1)
    assert json.dumps(report.to_dict())
    if activations[1] == "relu":
        assert report.equals_nash.status == ("REFUTED" if cost == "proximal" else "UNDECIDED")


@pytest.mark.parametrize(
    ("order", "error", "message"),
    [
        ([3], UnknownNameError, "player in order '?3"),
        ([1, 1], InputError, "order names player 1 twice"),
        ([(1, 2), 2], InputError, "order names player 2 twice"),
        ([()], InputError, "empty level"),
        ([(1, 7)], UnknownNameError, "player in order"),
        (["1"], UnknownNameError, "player in order '1'"),
        (1, InputError, "order must be a list of players, leader first; got 1"),
        ("12", InputError, "order must be a list of players"),
        ({1: 2}, InputError, "order must be a list of players"),
        ({1, 2}, InputError, "order must be a list of players"),
    ],
)
def test_orders_that_are_none(order, error, message):
    with pytest.raises(error, match=message):
        nng.check_stackelberg(halver(), order)


def test_players_are_called_by_the_names_of_the_game():
    report = nng.check_stackelberg(halver(), np.array([1.0, 2.0]))
    assert [[type(player) for player in level] for level in report.order] == [[int], [int]]
    assert "(order 1, then 2;" in report.solution.statement


def test_listening_order_follows_the_couplings_and_nothing_else():
    heard = {p: frozenset(sources) for p, sources in {"c": "ba", "a": "", "b": "ae", "d": "", "e": "c"}.items()}
    assert listening_order(heard, "abcd") == ("a", "d", "b", "c")
    assert listening_order(heard, "abcde") is None


def test_other_arguments_that_are_no_use():
    with pytest.raises(OptionError, match="max_seconds must be a positive number; got -1"):
        nng.check_stackelberg(halver(), max_seconds=-1)
    with pytest.raises(InputError, match=r"a check takes a game, not a network: pass network.game\(\)"):
        nng.check_stackelberg(halver().network)


@pytest.mark.parametrize(
    ("game", "order", "change"),
    [
        (halver(), [1, 2], "another first player than 1, or another cost"),
        (halver(), [2], "another first player"),
        (relu_pair(), [1], "other data, since these were taken as exact"),
        (halver(), [(1, 2)], "an order in which a single player of a cycle of the couplings moves before"),
        (nng.Network.chain([[[2.0]]], [[0.5]], ["tanh"], [0.3]).game(), None, "a coupling that closes a cycle"),
        (halver().network.game(cost="tracking"), [1], "the proximal cost"),
        (nng.Network.ring([[[1.0]], [[1.0]]], [[0.5], [0.0]], [STEEP, "identity"]).game(), [1], "bounds on"),
        (nng.Network.ring([[[1.0]], [[0.5]]], [[1.0], [0.0]], ["tanh", "tanh"]).game(), [1], "the two costs differ by"),
        (nng.Network.ring([np.eye(2)] * 2, [[1.0, 0.0]] * 2, ["softmax", "tanh"]).game(), [1], "a commitment that is"),
    ],
)  # fmt: skip
def test_every_verdict_says_what_would_change_it(game, order, change):
    report = nng.check_stackelberg(game, order, seed=0, max_seconds=2)
    assert change in report.equals_nash.would_change
    for verdict in (report.equals_nash, report.solution):
        assert verdict.would_change
        assert str(verdict).endswith(f"; what would change this: {verdict.would_change}")


def test_the_proved_bound_is_the_gain_that_is_told():
    report = nng.check_stackelberg(nng.Network.ring([[[1.0]], [[0.5]]], [[1.0], [0.0]], ["tanh", "tanh"]).game(), [1])
    told = float(report.solution.would_change.rsplit(" ", 1)[1])
    assert told >= report.solution.witness["cost"] - report.solution.witness["lower_bound"]
    assert told <= 1.02 * report.solution.margin
    told = float(report.equals_nash.would_change.rsplit(" ", 1)[1])
    assert 0.98 * report.equals_nash.margin <= told <= report.equals_nash.margin


def test_minima_and_secured_costs_keep_the_time():
    one, zero = rational(1.0), rational(0.0)
    function = Quadratic(rational_matrix(-np.eye(1)), [zero], zero)
    with pytest.raises(UndecidedError, match="the time ran out") as caught:
        minimise(function, [([one], one), ([-one], one)], deadline=0.0)
    assert "max_seconds" in caught.value.would_change
    function = Quadratic(rational_matrix(np.eye(1)), [zero], zero)
    reactions = [Reaction([zero], [[one]], [([one], one), ([-one], one)], function)]
    assert pessimistic_value(reactions, 0) == 0
    assert pessimistic_value(reactions, 0, deadline=0.0) is None
