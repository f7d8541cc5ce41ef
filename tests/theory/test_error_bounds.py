"""A posteriori error bounds hold along iterates and at random profiles, in the norm they name."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

import nngames as nng
from nngames.certificates.error_bounds import error_bound, error_bounds
from nngames.certificates.residuals import composite_residual, joint_residual
from nngames.core.exact import fraction, rational_matrix


def scaled(rng, rows, columns, norm):
    matrix = rng.standard_normal((rows, columns))
    return matrix * norm / np.linalg.norm(matrix, 2)


def contraction(rng):
    weights = [scaled(rng, 3, 4, 1.1), scaled(rng, 4, 3, 0.7)]
    return nng.Network.ring(weights, [rng.uniform(0.2, 1, 3), rng.uniform(0.2, 1, 4)], ["tanh", "relu"]).game()


def euclidean(rng):
    return nng.Network.recurrent(scaled(rng, 5, 5, 0.9), rng.standard_normal(5), "tanh").game(players="neurons")


def weighted(rng):
    weight = np.triu(rng.uniform(-4, 4, (5, 5)), 1) + 0.3 * np.diag(rng.uniform(0, 1, 5))
    return nng.Network.recurrent(weight, rng.standard_normal(5), "relu").game(players="neurons")


def strongly_monotone(rng):
    a, b = rng.standard_normal((5, 5)) / 2, 2 * rng.standard_normal((5, 5))
    return nng.Network.recurrent(0.7 * np.eye(5) - a.T @ a + b - b.T, rng.standard_normal(5), "relu").game()


def steep(rng):
    """Slopes up to 2: F is convex after a shift only."""
    b = scaled(rng, 4, 4, 1.5)
    weight = b - b.T - 0.2 * np.eye(4)
    return nng.Network.recurrent(weight, rng.standard_normal(4), {"name": "tanh", "scale": 2.0}).game()


def quadratic(rng):
    root = rng.standard_normal((2, 2))
    return nng.QuadraticGame(
        {"a": root @ root.T + np.eye(2), "b": 2.0},
        {("a", "b"): rng.uniform(-0.5, 0.5, (2, 1)), ("b", "a"): rng.uniform(-0.5, 0.5, (1, 2))},
        {"a": rng.standard_normal(2), "b": rng.standard_normal(1)},
        {"a": "nonnegative", "b": "box"},
    )


def positive(rng):
    weight = rng.uniform(0, 0.6, (4, 4))
    np.fill_diagonal(weight, 0)
    return nng.Network.recurrent(weight, rng.uniform(0.3, 1, 4), "tanh").game(players="neurons")


def masked(rng):
    """Slopes in [0, 1]: the masks show a contraction of O where the product of norms does not."""
    while True:
        weights = [rng.standard_normal((3, 3)) for _ in range(2)]
        masks = [np.diag([i >> k & 1 for k in range(3)]) for i in range(8)]
        worst = max(np.linalg.norm(weights[1] @ mask @ weights[0], 2) for mask in masks)
        weights[0] *= 0.9 / worst
        if np.linalg.norm(weights[0], 2) * np.linalg.norm(weights[1], 2) > 1.3:
            return nng.Network.ring(weights, list(rng.standard_normal((2, 3))), ["relu", "relu"]).game()


def stable(rng):
    """A strong one-way coupling: monotone in a diagonal metric only."""
    weight = np.array([[-0.2, 6.0, 0.0], [0.1, -0.3, 5.0], [0.0, -0.1, 0.2]])
    return nng.Network.recurrent(weight, rng.standard_normal(3), "relu").game()


FAMILIES = {
    masked: ("composite_lipschitz",),
    stable: ("diagonal_stability",),
    contraction: ("joint_contraction", "composite_contraction"),
    euclidean: ("euclidean_contraction", "joint_contraction"),
    weighted: ("neuron_contraction",),
    strongly_monotone: ("monotone",),
    steep: ("monotone",),
    quadratic: ("monotone", "joint_contraction"),
    positive: ("nonnegative",),
}


def solved(game):
    """The equilibrium, to near rounding, by a scheme that its own residual judges."""
    for method in ("auto", "newton", "extragradient"):
        result = nng.solve(game, method, tolerance=1e-13, max_iterations=100_000)
        if result.residual < 1e-11:
            return result.profile
    raise AssertionError("not solved")


def distance(bound, error, game, profile_size):
    if bound.norm == "|x|_2":
        return np.linalg.norm(error)
    if bound.norm.startswith("|x_L|"):
        return np.linalg.norm(error[-game.network.dims[game.network.ring_order[-1]] :])
    verdict = nng.certify(game)[bound.certificate]
    if bound.certificate == "diagonal_stability":
        return np.sqrt(np.sum(verdict.witness["multipliers"] * error**2))
    weights = verdict.witness["upper"] if "upper" in bound.norm else verdict.witness["weights"]
    if isinstance(weights, dict):
        parts = game.network.space.slices
        return max(np.linalg.norm(error[where]) / weights[block] for block, where in parts.items())
    return np.max(np.abs(error) / weights)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.__name__)
@pytest.mark.parametrize("seed", range(3))
def test_the_distance_is_within_every_bound(family, seed):
    rng = np.random.default_rng(seed)
    game = family(rng)
    equilibrium = solved(game)
    profiles = [equilibrium + scale * rng.standard_normal(game.size) for scale in (1e-6, 1e-2, 1.0, 30.0)]
    profiles += [np.abs(profile) for profile in profiles]
    view = game.fixed_point("joint")
    x = np.abs(rng.standard_normal(game.size))
    for _ in range(10):
        profiles.append(x)
        x = np.array(view.evaluate(x, np.empty_like(x)))
    proved = set()
    for profile in profiles:
        bounds = error_bounds(game, profile)
        proved |= set(bounds)
        error = profile - equilibrium
        for bound in bounds.values():
            assert distance(bound, error, game, game.size) <= bound.value + 1e-10
            assert np.linalg.norm(error) <= bound.euclidean + 1e-10
        best = error_bound(game, profile)
        finite = [bound.euclidean for bound in bounds.values() if np.isfinite(bound.euclidean)]
        assert (best.euclidean if best else None) == min(finite, default=None)
    assert set(FAMILIES[family]) <= proved


def test_composite_bounds_reach_the_whole_profile():
    rng = np.random.default_rng(3)
    game = masked(rng)
    bounds = error_bounds(game, rng.standard_normal(6))
    assert "composite_contraction" not in bounds
    assert bounds["composite_lipschitz"].value < bounds["composite_lipschitz"].euclidean < np.inf


@pytest.mark.parametrize("activation", ["relu", "identity"])
def test_rounding_is_on_the_safe_side(activation):
    """At the float nearest to the equilibrium the computed residual may vanish, and the distance does not."""
    rng, vanished = np.random.default_rng(0), 0
    for _ in range(40):
        a, b = float(rng.uniform(0.1, 0.9)), float(rng.uniform(0.5, 2))
        exact = Fraction(b) / (1 - Fraction(a))
        x = float(exact)
        game = nng.Network.recurrent([[a]], [b], activation).game(players="neurons")
        vanished += a * x + b == x
        bounds = error_bounds(game, [x])
        assert {"joint_contraction", "composite_contraction", "monotone", "diagonal_stability"} <= set(bounds)
        for bound in bounds.values():
            assert bound.enclosed
            assert abs(Fraction(x) - exact) <= Fraction(bound.euclidean) < Fraction(1e-11)
    assert vanished > 5


def test_residuals_enclose_the_exact_ones():
    """Sums that cancel: the computed residual misses the exact one by far more than its last digit."""
    rng = np.random.default_rng(1)

    def exact(matrix, bias, x, response):
        heard = [sum(Fraction(w) * y for w, y in zip(row, x, strict=True)) for row in matrix.tolist()]
        return [response(v + Fraction(b)) for v, b in zip(heard, bias.tolist(), strict=True)]

    responses = {"identity": lambda v: v, "relu": lambda v: max(v, Fraction(0))}
    for name, response in responses.items():
        weights = [rng.standard_normal((4, 4)) * 10.0 ** rng.integers(-2, 3, 4) for _ in range(2)]
        x = rng.standard_normal(8)
        biases = [rng.standard_normal(4), -weights[1] @ rng.standard_normal(4)]
        for _ in range(2):
            game = nng.Network.ring(weights, biases, [name, name]).game()
            first, last = [[Fraction(v) for v in part] for part in (x[:4].tolist(), x[4:].tolist())]
            answers = [
                *exact(weights[0], biases[0], last, response),
                *exact(weights[1], biases[1], first, response),
            ]
            around = exact(weights[1], biases[1], exact(weights[0], biases[0], last, response), response)
            for found, values, start in (
                (joint_residual(game, x), answers, [*first, *last]),
                (composite_residual(game, x), around, last),
            ):
                assert found.enclosed
                for size, value, own in zip(found.size.tolist(), values, start, strict=True):
                    assert abs(value - own) <= Fraction(size)
                    assert Fraction(size) <= abs(value - own) + Fraction(1e-3)
            # The first layer's sums cancel: little but rounding goes on to the second one.
            weights = [1e6 * weights[0], weights[1]]
            biases = [-(weights[0] @ x[4:]) + 1e-3, rng.uniform(0.5, 1, 4)]


def test_tiny_and_huge_residuals_keep_their_bounds():
    for scale in (1e-200, 1e200):
        game = nng.Network.recurrent([[0.5]], [scale], "identity").game(players="neurons")
        assert error_bound(game, [0.0]).euclidean == pytest.approx(2 * scale, rel=1e-8)


@pytest.mark.parametrize("exponent", [4, 6, 8])
def test_bounds_hold_where_the_own_costs_are_ill_conditioned(exponent):
    # A response is a linear system's solution: its rounding is magnified by the condition of Q.
    rng = np.random.default_rng(exponent)
    for _ in range(5):
        basis, n = np.linalg.qr(rng.standard_normal((4, 4)))[0], 4
        own = basis @ np.diag(10.0 ** np.linspace(0, exponent, n)) @ basis.T
        own, across = (own + own.T) / 2, 0.1 * rng.standard_normal((n, n))
        linear = {player: 10.0**exponent * rng.standard_normal(n) for player in (0, 1)}
        coupling = {(0, 1): across, (1, 0): -across.T}
        game = nng.QuadraticGame(quadratic={0: own, 1: own}, coupling=coupling, linear=linear)
        matrix = rational_matrix(np.block([[own, across], [-across.T, own]]))
        exact = matrix.solve(rational_matrix(-np.concatenate([linear[0], linear[1]])[:, None])).entries()
        profile = nng.solve(game).profile
        squares = sum((Fraction(x) - fraction(y)) ** 2 for x, y in zip(profile.tolist(), exact, strict=True))
        bounds = error_bounds(game, profile)
        assert {"monotone", "euclidean_contraction"} <= bounds.keys()
        assert all(squares <= Fraction(bound.euclidean) ** 2 for bound in bounds.values())


def test_a_result_carries_its_bound():
    game = euclidean(np.random.default_rng(0))
    result = nng.solve(game, "picard", tolerance=1e-6)
    assert result.error_bound == nng.error_bound(game, result.profile)
    assert 0 < result.error_bound.euclidean < 1e-4
    assert set(result.error_bound.to_dict()) == {"value", "norm", "certificate", "euclidean", "enclosed"}
    ring = nng.Network.ring([[[2.0]], [[2.0]]], [[0.5], [-0.5]], ["tanh", "tanh"]).game()
    assert nng.solve(ring, "picard").error_bound is None


def test_the_bounds_are_attained_by_affine_games():
    # x = x/2 + 1 at x = 0: the residual is 1, the equilibrium 2.
    game = nng.Network.recurrent([[0.5]], [1.0], "identity").game(players="neurons")
    bounds = error_bounds(game, [0.0])
    for name in ("joint_contraction", "neuron_contraction", "euclidean_contraction"):
        assert bounds[name].euclidean == pytest.approx(2.0, rel=1e-8)


def test_without_a_proof_there_is_no_bound():
    game = nng.Network.ring([[[2.0]], [[2.0]]], [[1.0], [1.0]], ["relu", "relu"]).game()
    assert error_bounds(game, [0.0, 0.0]) == {}
    assert error_bound(game, [0.0, 0.0]) is None


def test_bad_arguments_are_refused():
    game = nng.Network.ring([[[0.5]], [[0.5]]], [[1.0], [1.0]], ["relu", "relu"]).game()
    with pytest.raises(nng.InputError):
        error_bounds("game", [0.0])
    with pytest.raises(nng.ShapeError):
        error_bounds(game, [0.0])


def test_a_layer_that_magnifies_is_further_off_than_the_last_one():
    # x_1 = 4 x_2 + 1, x_2 = x_1/10: with x_1 = 4 x_2 + 1 at a wrong x_2 the first layer is off by 4 times as much.
    game = nng.Network.ring([[[4.0]], [[0.1]]], [[1.0], [0.0]], ["identity"] * 2).game()
    equilibrium = np.array([5 / 3, 1 / 6])
    profile = equilibrium + np.array([4.0, 1.0])
    bounds = error_bounds(game, profile)
    for name in ("composite_contraction", "composite_lipschitz"):
        assert bounds[name].value == pytest.approx(1.0, rel=1e-6)
        assert bounds[name].euclidean == pytest.approx(np.sqrt(17), rel=1e-6)


def test_the_bound_of_nonnegative_networks_is_for_nonnegative_profiles():
    game = nng.Network.ring([[[0.5]], [[0.5]]], [[1.0]] * 2, ["tanh"] * 2).game()
    assert "nonnegative" in error_bounds(game, [0.5, 0.0])
    assert "nonnegative" not in error_bounds(game, [0.5, -0.1])
