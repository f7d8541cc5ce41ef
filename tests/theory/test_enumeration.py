"""Enumeration against brute force over all patterns in fractions, continua by hand, time limits, what is refused."""

from __future__ import annotations

import itertools
import json
from fractions import Fraction

import mpmath
import numpy as np
import pytest

import nngames as nng
from nngames.checks.enumerating import infeasible, relaxations
from nngames.checks.enumerating.cells import CellSearch, exact_data
from nngames.checks.enumerating.envelopes import envelope
from nngames.checks.enumerating.faces import OutOfTimeError, solutions
from nngames.checks.enumerating.infeasible import confirmed, in_floats, separate
from nngames.checks.enumerating.ranges import RangePropagation, Ranges
from nngames.checks.enumerating.relaxations import Relaxations
from nngames.core.errors import NotApplicableError, OptionError
from nngames.core.exact import fraction, rational
from nngames.core.verdicts import Decision
from nngames.solvers.piecewise_equation import PiecewiseEquation

#: Pieces of a response by hand: the range of v, slope and offset.
PIECES = {
    "relu": [(None, 0, 0, 0), (0, None, 1, 0)],
    "hard_tanh": [(None, -1, 0, -1), (-1, 1, 1, 0), (1, None, 0, 1)],
    # Unbounded on both sides, where negative weights turn what is not bounded below to what is not above.
    "prelu": [(None, 0, Fraction(1, 4), 0), (0, None, 1, 0)],
    "soft_threshold": [(None, -1, 1, 1), (-1, 1, 0, 0), (1, None, 1, -1)],
}


def eliminated(matrix, right):
    """Return the solution of a square system in fractions; None where singular, an empty list where there is none."""
    n = len(right)
    rows = [[*matrix[i], right[i]] for i in range(n)]
    done = 0
    for column in range(n):
        pivot = next((i for i in range(done, n) if rows[i][column]), None)
        if pivot is None:
            continue
        rows[done], rows[pivot] = rows[pivot], rows[done]
        rows[done] = [x / rows[done][column] for x in rows[done]]
        for i in range(n):
            if i != done:
                factor = rows[i][column]
                rows[i] = [a - factor * b for a, b in zip(rows[i], rows[done], strict=True)]
        done += 1
    if any(rows[i][n] for i in range(done, n)):
        return []
    return [rows[i][n] for i in range(n)] if done == n else None


def brute_force(weight, bias, activation):
    """Return the equilibria of regular cells, and whether a singular cell has solutions of its equations."""
    n = len(bias)
    weight = [[Fraction(w) for w in row] for row in weight]
    bias = [Fraction(b) for b in bias]
    points, singular = set(), False
    for cell in itertools.product(PIECES[activation], repeat=n):
        matrix = [[int(i == j) - cell[i][2] * weight[i][j] for j in range(n)] for i in range(n)]
        x = eliminated(matrix, [cell[i][2] * bias[i] + cell[i][3] for i in range(n)])
        if x is None:
            singular = True
        elif x:
            v = [bias[i] + sum(a * b for a, b in zip(weight[i], x, strict=True)) for i in range(n)]
            if all((c[0] is None or c[0] <= t) and (c[1] is None or t <= c[1]) for c, t in zip(cell, v, strict=True)):
                points.add(tuple(x))
    return points, singular


def random_game(seed, activation):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 6 if activation == "relu" else 5))
    weight = rng.integers(-4, 5, size=(n, n)) / 2
    np.fill_diagonal(weight, 0)
    return weight, rng.integers(-3, 4, size=n) / 2


@pytest.mark.parametrize(
    ("seed", "activation"),
    [*itertools.product(range(25), ["relu", "hard_tanh"]), *itertools.product(range(10), ["prelu", "soft_threshold"])],
)
def test_it_is_brute_force(seed, activation):
    weight, bias = random_game(seed, activation)
    points, singular = brute_force(weight.tolist(), bias.tolist(), activation)
    found = nng.enumerate_equilibria(nng.Network.recurrent(weight, bias, activation).game())
    assert found.complete.status is Decision.PROVED
    if singular:
        assert set(found.exact) <= points
        # What brute force finds beside lies on a continuum.
        assert not points - set(found.exact) or found.components
        for component in found.components:
            for face in component.faces:
                for vertex, ray in itertools.product(face.vertices, [None, *face.rays]):
                    x = np.array([float(t) for t in vertex]) + (0 if ray is None else 3 * np.array(ray, dtype=float))
                    assert nng.Network.recurrent(weight, bias, activation).game().residual(x) <= 1e-12
    else:
        assert set(found.exact) == points
        assert not found.components


@pytest.mark.parametrize("activation", ["relu", "hard_tanh"])
def test_ten_neurons(activation):
    rng = np.random.default_rng(7)
    weight = rng.integers(-2, 3, size=(10, 10)) / 4
    np.fill_diagonal(weight, 0)
    for k in (0, 2, 4):
        weight[k, k + 1], weight[k + 1, k] = 2, 1
    bias = np.where(np.arange(10) % 2, 0.25, -0.75)
    assert np.linalg.norm(weight, 2) > 1
    game = nng.Network.recurrent(weight, bias, activation).game()
    found = nng.enumerate_equilibria(game, max_seconds=60)
    assert found.complete.proved
    if activation == "relu":
        points, singular = brute_force(weight.tolist(), bias.tolist(), activation)
        assert not singular
        assert set(found.exact) == points
    assert all(game.residual(point) <= 1e-12 for point in found.points)
    assert len(found) > 1


def test_the_hidden_equilibrium_and_a_kink_count_once():
    game = nng.Network.ring([[[2.0]], [[1.0]]], [[-1.0], [0.0]], ["relu", "relu"]).game()
    found = nng.enumerate_equilibria(game)
    assert found.exact == ((0, 0), (1, 1))
    assert "2 isolated equilibria and no other" in found.complete.statement
    assert json.dumps(found.to_dict())


def ring(weight, bias, activation):
    return nng.Network.ring([[[weight]], [[1.0]]], [[bias], [0.0]], [activation, activation]).game()


def test_a_ray_a_line_a_segment_and_nothing():
    (ray,) = nng.enumerate_equilibria(ring(1.0, 0.0, "relu")).components[0].faces
    assert (ray.dimension, ray.vertices, ray.rays, ray.lines) == (1, ((0, 0),), ((1, 1),), ())
    (line,) = nng.enumerate_equilibria(ring(1.0, 0.0, "identity")).components[0].faces
    assert (line.dimension, line.rays, line.lines) == (1, (), ((1, 1),))
    (segment,) = nng.enumerate_equilibria(ring(1.0, 0.0, "hard_tanh")).components[0].faces
    assert set(segment.vertices) == {(-1, -1), (1, 1)}
    none = nng.enumerate_equilibria(ring(1.0, 1.0, "identity"))
    assert none.complete.proved
    assert len(none) == 0 == len(none.components)


def test_a_continuum_beside_an_isolated_point_and_a_square():
    # x = hard_tanh(2 x) has three points; with an identity pair beside them three lines.
    weights = {("a", "b"): [[2.0]], ("b", "a"): [[1.0]], ("c", "d"): [[1.0]], ("d", "c"): [[1.0]]}
    responses = {"a": "hard_tanh", "b": "identity", "c": "hard_tanh", "d": "hard_tanh"}
    game = nng.Network.graph(weights, {p: [0.0] for p in "abcd"}, responses).game()
    found = nng.enumerate_equilibria(game)
    assert len(found) == 0
    assert sorted(component.dimension for component in found.components) == [1, 1, 1]
    # Two independent segments make a square, one component of dimension 2.
    square = {("a", "b"): [[1.0]], ("b", "a"): [[1.0]], ("c", "d"): [[1.0]], ("d", "c"): [[1.0]]}
    game = nng.Network.graph(square, {p: [0.0] for p in "abcd"}, dict.fromkeys("abcd", "hard_tanh")).game()
    (component,) = nng.enumerate_equilibria(game).components
    assert component.dimension == 2
    (face,) = component.faces  # its edges, which other cells have as well, are not listed beside it
    assert len(face.vertices) == 4
    assert face.conditions == ((-1, 1, 1, 0),) * 4
    assert found.players == game.players


def test_a_quadratic_game_over_the_nonnegative_half_line():
    # x = max(0, 2 - y), y = max(0, 2 - x)/1 with substitutes at rate 1: a segment of equilibria.
    game = nng.QuadraticGame(
        quadratic={"a": [[1.0]], "b": [[1.0]]},
        coupling={("a", "b"): [[1.0]], ("b", "a"): [[1.0]]},
        linear={"a": [-2.0], "b": [-2.0]},
        penalties={"a": "nonnegative", "b": "nonnegative"},
    )
    (component,) = nng.enumerate_equilibria(game).components
    ends = {vertex for face in component.faces for vertex in face.vertices}
    assert {(0, 2), (2, 0)} <= ends
    assert all(x + y == 2 for x, y in ends)


def test_an_open_chain_has_its_forward_pass_exactly():
    network = nng.Network.chain([[[0.1]], [[3.0]]], [[0.2], [0.0]], ["relu", "relu"], input=[0.7])
    (point,) = nng.enumerate_equilibria(network.game()).exact
    first = Fraction(0.1) * Fraction(0.7) + Fraction(0.2)
    assert point == (first, 3 * first)


def test_smooth_responses_go_by_intervals():
    game = nng.Network.ring([[[2.0]], [[1.0]]], [[0.0], [0.0]], ["tanh", "tanh"]).game()
    found = nng.enumerate_equilibria(game)
    assert len(found) == 3
    assert found.complete.proved
    assert found.radii is not None


def test_the_time_is_kept_and_what_is_left_is_told():
    rng = np.random.default_rng(0)
    weight = rng.normal(size=(24, 24))
    np.fill_diagonal(weight, 0)
    found = nng.enumerate_equilibria(nng.Network.recurrent(weight, rng.normal(size=24), "hard_tanh").game(), 0.2)
    assert found.complete.status is Decision.UNDECIDED
    assert "the 0.2 s ran out" in found.complete.statement
    assert found.unresolved
    assert found.complete.witness["undecided"] >= len(found.unresolved)


@pytest.mark.parametrize("seconds", [0, -1, True, "1", float("nan")])
def test_bad_seconds(seconds):
    with pytest.raises(OptionError, match="max_seconds must be a positive number"):
        nng.enumerate_equilibria(ring(0.5, 0.0, "relu"), seconds)


def test_what_is_not_separable_is_named():
    game = nng.Network.ring([np.eye(2), np.eye(2)], [[0.0, 0.0]] * 2, ["softmax", "relu"]).game()
    with pytest.raises(NotApplicableError, match="cannot be enumerated: player 1: activation 'softmax'"):
        nng.enumerate_equilibria(game)


@pytest.mark.parametrize("activation", ["relu", "hard_tanh", "leaky_relu"])
def test_envelopes_hold_and_touch(activation):
    equation = PiecewiseEquation(ring(0.5, 0.0, activation))
    pieces = equation.pieces[0]
    respond = nng.activation(activation)
    for first, last in itertools.combinations(range(len(pieces.slopes)), 2):
        e = envelope(pieces, first, last)
        low = -5.0 if e.low is None else float(fraction(e.low))
        high = 5.0 if e.high is None else float(fraction(e.high))
        v = np.linspace(low, high, 401)
        below = [float(fraction(s)) * v + float(fraction(c)) for s, c in e.lower]
        above = [float(fraction(s)) * v + float(fraction(c)) for s, c in e.upper]
        assert all((line <= respond(v) + 1e-12).all() for line in below)
        assert all((line >= respond(v) - 1e-12).all() for line in above)
        # On a bounded range both envelopes meet the response at the ends.
        if e.low is not None and e.high is not None:
            for k in (0, -1):
                assert max(line[k] for line in below) == pytest.approx(min(line[k] for line in above), abs=1e-12)


def test_multipliers_are_confirmed_in_rationals_only():
    one, zero = rational(1.0), rational(0.0)
    tiny = rational(Fraction(1, 10**30))
    apart = [([one], -tiny), ([-one], zero)]
    # x <= -1e-30 and x >= 0: floats cannot tell, so nothing is claimed.
    assert separate(apart, [in_floats(row) for row in apart])[0] is False
    clear = [([one], -one), ([-one], zero)]
    assert separate(clear, [in_floats(row) for row in clear])[0] is True
    touching = [([one], zero), ([-one], zero)]
    assert separate(touching, [in_floats(row) for row in touching])[0] is False


def test_multipliers_must_be_nonnegative_and_their_value_negative():
    one, two, zero, half = rational(1.0), rational(2.0), rational(0.0), np.array([0.5, 0.5])
    # x <= 0 and -x <= 0 hold at 0: the multipliers give 0 <= 0.
    assert not confirmed([([one], zero), ([-one], zero)], half)
    # x <= -5 and 2 x <= 1 hold at -5: only (2, -1) cancels x, and it gives 0 <= -11.
    assert not confirmed([([one], rational(-5.0)), ([two], one)], half)
    assert confirmed([([one], -one), ([-one], zero)], half)


def test_absolute_values_against_their_two_lines():
    # x = |2 y - 1|, y = x: x = 2 x - 1 and x = 1 - 2 x.
    game = nng.Network.ring([[[2.0]], [[1.0]]], [[-1.0], [0.0]], ["absolute_value", "absolute_value"]).game()
    found = nng.enumerate_equilibria(game)
    assert found.complete.proved
    assert found.exact == ((Fraction(1, 3), Fraction(1, 3)), (1, 1))
    # x = |y|, y = |x|: a ray.
    game = nng.Network.ring([[[1.0]], [[1.0]]], [[0.0], [0.0]], ["absolute_value", "absolute_value"]).game()
    (face,) = nng.enumerate_equilibria(game).components[0].faces
    assert (face.vertices, face.rays, face.lines) == (((0, 0),), ((1, 1),), ())


def test_an_equilibrium_beyond_the_floats():
    found = nng.enumerate_equilibria(nng.Network.ring([[[0.5]], [[1.0]]], [[1.5e308], [0.0]], ["relu", "relu"]).game())
    assert found.complete.proved
    assert found.exact == ((2 * Fraction(1.5e308),) * 2,)
    assert np.isposinf(found.points).all()


def test_a_face_and_large_data_keep_the_time():
    one, zero = rational(1.0), rational(0.0)
    corner = [([-one, zero], zero), ([zero, -one], zero)]
    with pytest.raises(OutOfTimeError):
        solutions([([zero, zero], zero)], corner, (0, 0), deadline=0.0)
    found = nng.enumerate_equilibria(nng.Network.recurrent(np.eye(9) / 4, np.ones(9), "relu").game(), 1e-9)
    assert found.complete.status is Decision.UNDECIDED
    assert found.unresolved == [{"preactivations": [(None, None)] * 9}]


@pytest.mark.parametrize(("name", "weight"), [("gaussian", 2.0), ("gaussian", -3.0), ("linear_gaussian", 4.0)])
def test_bells_are_bounded_by_their_range(name, weight):
    """x_1 = r(w x_2), x_2 = r(w x_1), of Lipschitz constant above 1: the roots of both signs of a grid, refined."""
    graph = {(0, 1): [[weight]], (1, 0): [[weight]]}
    game = nng.Network.graph(graph, {0: [0.0], 1: [0.0]}, {0: name, 1: name}).game()
    found = nng.enumerate_equilibria(game)
    assert found.complete.proved, found.complete.statement

    def r(v):
        return mpmath.exp(-v * v) * (v if name == "linear_gaussian" else 1)

    def twice(x):
        return r(weight * r(weight * x)) - x

    grid = [mpmath.mpf(i) / 2000 + mpmath.mpf("0.00013") for i in range(-2001, 2001)]
    signs = [twice(x) > 0 for x in grid]
    brackets = [(a, b) for a, b, s, t in zip(grid, grid[1:], signs, signs[1:], strict=False) if s != t]
    roots = [mpmath.findroot(twice, bracket, solver="anderson", tol=1e-30) for bracket in brackets]
    assert len(roots) == len(found.points)
    for x, point in zip(sorted(roots), sorted(found.points.tolist()), strict=True):
        assert abs(point[0] - x) < 1e-9


def test_a_long_box_is_not_printed_in_full():
    rng = np.random.default_rng(0)
    weight = 3 * rng.normal(size=(30, 30))
    graph = {(0, 1): weight, (1, 0): weight}
    game = nng.Network.graph(graph, {i: np.zeros(30) for i in (0, 1)}, dict.fromkeys((0, 1), "tanh")).game()
    found = nng.enumerate_equilibria(game, max_seconds=0.01).complete
    assert len(found.statement) < 400
    assert "1 box that is open" in found.statement
    assert "max_seconds" in found.would_change


def test_what_would_change_the_answer_is_told():
    """By hand: x = max(0, y/2 + 1) and the same for y have v = (2, 2), which moves by (I - W)^-1 db.

    The rows of (I - W)^-1 = 4/3 [[1, 1/2], [1/2, 1]] have the sum 2: v reaches 0 where both biases have lost 1.
    """
    half = np.array([[0.0, 0.5], [0.5, 0.0]])
    found = nng.enumerate_equilibria(nng.Network.recurrent(half, [1.0, 1.0], "relu").game(players="neurons")).complete
    assert found.witness["bias_margin"] == 1
    assert "the isolated equilibrium stays, moved, where every bias changes by less than 1" in str(found)
    weight = np.array([[0.0, 2.0], [1.0, 0.0]])
    found = nng.enumerate_equilibria(nng.Network.recurrent(weight, [-1.0, 0.0], "relu").game(players="neurons"))
    assert found.exact == ((0, 0), (1, 1))
    assert "at a kink of a response may vanish, or split, by the least change" in found.complete.would_change
    # With b = (-1, -1/4): (0, 0) has v = (-1, -1/4) and moves with b alone.
    found = nng.enumerate_equilibria(nng.Network.recurrent(weight, [-1.0, -0.25], "relu").game(players="neurons"))
    assert found.complete.witness["bias_margin"] == Fraction(1, 4)
    assert "each isolated equilibrium stays, moved, where every bias changes by less than 0.25" in str(found.complete)
    # x = 1 since v_1 = 4, and y = x/2 = 1/2: v_2 is 1/2 away from 1, and v_1 moves by db_1 + 2 db_2, 3 away from 1.
    one = np.array([[0.0, 2.0], [0.5, 0.0]])
    found = nng.enumerate_equilibria(nng.Network.recurrent(one, [3.0, 0.0], "hard_tanh").game(players="neurons"))
    assert found.exact == ((1, Fraction(1, 2)),)
    assert found.complete.witness["bias_margin"] == Fraction(1, 2)
    # v = (1, 2), and the rows of the inverse are (4, 2)/5 and (-2, 4)/5: 5/6, which the nearest float is above.
    turned = np.array([[0.0, 0.5], [-0.5, 0.0]])
    found = nng.enumerate_equilibria(nng.Network.recurrent(turned, [0.0, 2.5], "relu").game(players="neurons"))
    margin = found.complete.witness["bias_margin"]
    assert 0 < Fraction(5, 6) - Fraction(margin) < 1e-15
    continuum = nng.enumerate_equilibria(ring(1.0, 0.0, "hard_tanh")).complete
    assert "the least change may leave some points of a continuum" in continuum.would_change


def test_a_distance_to_a_kink_below_all_floats_is_not_taken_as_none():
    least = float(np.nextafter(0, 1))
    game = nng.Network.graph({(0, 1): [[0.5]], (1, 0): [[0.5]]}, {0: [least], 1: [0.0]}, "relu").game()
    found = nng.enumerate_equilibria(game).complete
    assert found.proved
    assert "bias_margin" not in found.witness
    assert "kink" not in found.would_change


def test_the_cells_that_are_left_are_counted():
    rng = np.random.default_rng(0)
    weight = rng.normal(size=(12, 12))
    np.fill_diagonal(weight, 0)
    game = nng.Network.recurrent(weight, rng.normal(size=12), "relu").game(players="neurons")
    found = nng.enumerate_equilibria(game, 1e-9).complete
    assert found.witness["undecided_cells"] == "4096"
    assert "of 4096 cells 4096 are not decided" in found.statement
    assert found.would_change == "a larger max_seconds, which would decide more of them"


def test_a_long_ring_is_refused_before_its_couplings_are_written_out():
    network = nng.Network.ring([[[0.5]]] * 5000, [[1.0]] * 5000, ["relu"] * 5000)
    with pytest.raises(NotApplicableError, match="5000 coordinates, and is examined up to 3000"):
        nng.enumerate_equilibria(network.game())


@pytest.mark.parametrize("activation", ["relu", "hard_tanh", "leaky_relu", "absolute_value"])
def test_ranges_hold_the_exact_values(activation):
    """Sums that floats round, as 0.1 + 0.2 does and 10^16 + 1 - 10^16: the bounds are on the exact side of them."""
    weight = np.array([[0.0, 0.1, 0.2], [1e16, 0.0, -1e16], [0.3, -0.7, 0.0]])
    bias = np.array([0.1, 1.0, 0.2])
    graph = {(i, j): [[weight[i, j]]] for i, j in zip(*np.nonzero(weight), strict=True)}
    network = nng.Network.graph(graph, {i: [b] for i, b in enumerate(bias)}, dict.fromkeys(range(3), activation))
    equation = PiecewiseEquation(network.game(), False)
    rows, right = exact_data(equation)
    ranges = RangePropagation(equation, rows, right)
    respond = nng.activation(activation)
    rng = np.random.default_rng(0)
    for _ in range(40):
        ends = np.sort(rng.normal(size=(2, 3)) * 10.0 ** rng.integers(-2, 3), axis=0)
        last = np.array([len(pieces.slopes) - 1 for pieces in equation.pieces])
        allowed = (ranges.numbers <= last[:, None]) & (ranges.starts <= ends[1][:, None])
        least, most = ranges._responses(allowed & (ranges.stops >= ends[0][:, None]), *ends)
        inside = ends[0] + rng.random((20, 3)) * (ends[1] - ends[0])
        for v in (*ends, *np.clip(inside, *ends)):
            exact = [fraction(respond.flint_response_at(rational(float(t)))) for t in v]
            assert all(low <= x <= high for low, x, high in zip(least, exact, most, strict=True))
        low, high = ranges._heard(least, most)
        for corner in itertools.product(*zip(least.tolist(), most.tolist(), strict=True)):
            for i in range(3):
                v = Fraction(bias[i]) + sum(Fraction(w) * Fraction(x) for w, x in zip(weight[i], corner, strict=True))
                assert low[i] <= v <= high[i]


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_response_that_overflows_is_without_bound(sign):
    """x = 4 v at v beyond 10^308: no end of v is infinite, and one of 4 v is, for floats."""
    loud = {"name": "linear", "slope": 4.0 * sign}
    game = nng.Network.graph({(1, 0): [[1.0]]}, {0: [1e308], 1: [0.0]}, {0: loud, 1: "identity"}).game()
    (point,) = nng.enumerate_equilibria(game).exact
    assert point == (Fraction(4 * sign) * Fraction(1e308),) * 2
    equation = PiecewiseEquation(game, False)
    ranges = RangePropagation(equation, *exact_data(equation))
    ends = np.array([1e308, -1.0]), np.array([1.5e308, 1.0])
    least, most = ranges._responses(np.ones((2, 1), dtype=bool), *ends)
    assert (least[0], most[0]) == (-np.inf, np.inf)
    assert least[1] <= -1 < 1 <= most[1]


@pytest.mark.parametrize("seed", range(6))
def test_what_multipliers_bound_holds_at_every_equilibrium(seed):
    """Any multipliers, good or bad, bound v from below at the equilibria; those of the program do so closely."""
    weight, bias = random_game(seed, "hard_tanh")
    points, _ = brute_force(weight.tolist(), bias.tolist(), "hard_tanh")
    game = nng.Network.recurrent(weight, bias, "hard_tanh").game(players="neurons")
    equation = PiecewiseEquation(game, False)
    relaxed = Relaxations(equation, *exact_data(equation))
    n = game.size
    ranges = relaxed.ranges.narrowed(np.zeros(n, int), np.full(n, 2), np.full(n, -np.inf), np.full(n, np.inf))
    heard = []
    for x in points:
        sums = [sum(Fraction(w) * t for w, t in zip(row, x, strict=True)) for row in weight.tolist()]
        heard.append([Fraction(b) + total for b, total in zip(bias.tolist(), sums, strict=True)])
    rng = np.random.default_rng(seed)
    relaxation = relaxed._of(ranges, np.inf)
    assert fraction(relaxed._least(relaxation.support(np.zeros(len(relaxation.owners))), ranges)) == 0
    for i, sign in itertools.product(range(n), (1, -1)):
        y = rng.random(len(relaxation.owners)) * (rng.random(len(relaxation.owners)) < 0.4)
        bound = fraction(relaxed._least(relaxation.support(y), ranges, (i, sign)))
        assert all(bound <= sign * v[i] for v in heard)
        assert fraction(relaxed._least(relaxation.support(y), ranges)) <= 0
    tighter = relaxed.tightened(ranges, np.inf)
    for v in heard:
        assert all(low <= t <= high for low, t, high in zip(tighter.low, v, tighter.high, strict=True))
    assert (tighter.high - tighter.low <= ranges.high - ranges.low).all()


@pytest.mark.parametrize("activation", ["relu", "hard_tanh"])
def test_what_is_not_found_when_the_time_runs_out_lies_in_what_is_left(activation, monkeypatch):
    """However far the search is: the three points of each of two bistable pairs, or two, are nine, or four."""
    weight = np.kron(np.eye(2), [[0.0, 2.0], [1.0, 0.0]])
    game = nng.Network.recurrent(weight, np.full(4, -0.25), activation).game(players="neurons")
    equation = PiecewiseEquation(game, False)
    data = exact_data(equation)
    whole = {face.vertices[0] for face in CellSearch(equation, *data).run(np.inf).faces}
    assert len(whole) == (4 if activation == "relu" else 9)
    for calls in range(12):
        search = CellSearch(equation, *data)
        separated, left = search.relaxations.separated, iter(range(calls))

        def stopped(ranges, deadline, separated=separated, left=left):
            if next(left, None) is None:
                raise OutOfTimeError
            return separated(ranges, deadline)

        monkeypatch.setattr(search.relaxations, "separated", stopped)
        found = search.run(np.inf)
        for x in whole - {face.vertices[0] for face in found.faces}:
            v = np.array([float(t) for t in x]) @ weight.T - 0.25
            cell = equation.cell_of(v)
            assert any(all(a <= k <= b for (a, b), k in zip(node, cell, strict=True)) for node in found.undecided)
        assert found.stopped or calls > 4


def test_where_the_box_is_open_nothing_is_bounded():
    """v_0 = 1 - x_1 with x_1 >= 0: at most 1, and not bounded below."""
    game = nng.Network.graph({(0, 1): [[-1.0]]}, {0: [1.0], 1: [2.0]}, "relu").game()
    equation = PiecewiseEquation(game, False)
    relaxed = Relaxations(equation, *exact_data(equation))
    endless = np.full(2, np.inf)
    ranges = Ranges(np.zeros(2, int), np.ones(2, int), -endless, endless, np.zeros(2), endless)
    assert relaxed._least([], ranges, (0, 1)) is None
    assert fraction(relaxed._least([], ranges, (0, -1))) == -1


def test_multipliers_of_nothing_drop_no_set(monkeypatch):
    game = nng.Network.recurrent([[0.0, 0.5], [0.5, 0.0]], [0.1, 0.2], "hard_tanh").game(players="neurons")
    equation = PiecewiseEquation(game, False)
    relaxed = Relaxations(equation, *exact_data(equation))
    ranges = relaxed.ranges.narrowed(np.zeros(2, int), np.full(2, 2), np.full(2, -np.inf), np.full(2, np.inf))
    none = infeasible.Multipliers(None, *(np.zeros(k) for k in (len(relaxed._of(ranges, np.inf).owners), 2, 2)))
    monkeypatch.setattr(relaxations, "multipliers", lambda *_: none)
    assert relaxed.separated(ranges, np.inf) == (False, None)


def test_memories_whose_couplings_have_a_low_rank_are_all_found():
    """Couplings of Hopfield: multipliers that cancel x in floats only must be made up for on the box."""
    rng = np.random.default_rng(1)
    stored = rng.choice([-1.0, 1.0], size=(2, 6))
    weight = 2.1 * stored.T @ stored / 6
    np.fill_diagonal(weight, 0)
    bias = 0.05 * rng.normal(size=6)
    found = nng.enumerate_equilibria(nng.Network.recurrent(weight, bias, "hard_tanh").game(players="neurons"))
    points, singular = brute_force(weight.tolist(), bias.tolist(), "hard_tanh")
    assert not singular
    assert found.complete.proved
    assert set(found.exact) == points
    assert len(points) > 2
    assert found.complete.witness["nodes"] < 100  # of 729 cells


def test_ranges_that_shrink_to_a_kink_end_the_search():
    """x = max(0, 0) lies at its kink whatever is known of it, and y = 0.01 (3 x - 6)."""
    graph = {(1, 0): [[3.0]]}
    game = nng.Network.graph(graph, {0: [0.0], 1: [-6.0]}, {0: "relu", 1: "leaky_relu"}).game()
    found = nng.enumerate_equilibria(game, 5)
    assert found.complete.proved
    assert found.exact == ((0, -6 * Fraction(0.01)),)
