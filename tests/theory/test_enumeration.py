"""Enumeration against brute force over all patterns in fractions, continua by hand, time limits, what is refused."""

from __future__ import annotations

import itertools
import json
from fractions import Fraction

import mpmath
import numpy as np
import pytest

import nngames as nng
from nngames.checks.enumerating.envelopes import envelope
from nngames.checks.enumerating.faces import OutOfTimeError, solutions
from nngames.checks.enumerating.infeasible import _confirmed, in_floats, separate
from nngames.core.errors import NotApplicableError, OptionError
from nngames.core.exact import fraction, rational
from nngames.core.verdicts import Decision
from nngames.solvers.piecewise_equation import PiecewiseEquation

#: Pieces of a response by hand: the range of v, slope and offset.
PIECES = {
    "relu": [(None, 0, 0, 0), (0, None, 1, 0)],
    "hard_tanh": [(None, -1, 0, -1), (-1, 1, 1, 0), (1, None, 0, 1)],
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


@pytest.mark.parametrize("activation", ["relu", "hard_tanh"])
@pytest.mark.parametrize("seed", range(25))
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
    assert not _confirmed([([one], zero), ([-one], zero)], half)
    # x <= -5 and 2 x <= 1 hold at -5: only (2, -1) cancels x, and it gives 0 <= -11.
    assert not _confirmed([([one], rational(-5.0)), ([two], one)], half)
    assert _confirmed([([one], -one), ([-one], zero)], half)


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
    statement = nng.enumerate_equilibria(game, max_seconds=0.01).complete.statement
    assert len(statement) < 400
    assert "1 box that is open" in statement
    assert "more seconds may decide the rest" in statement
