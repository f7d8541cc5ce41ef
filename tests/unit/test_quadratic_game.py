"""Quadratic games: answers against CVXPY and SciPy, costs and regrets, classical games, and refusals."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import cvxpy as cp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import nngames as nng
from nngames.core.errors import InputError, NotApplicableError, OptionError, ShapeError, UnknownNameError
from nngames.core.exact import fraction, rational_matrix

Array = NDArray[np.float64]
N = 4
rng = np.random.default_rng(12)
ROWS, NORMAL = rng.standard_normal((5, N)), rng.standard_normal(N)
LEFT = rng.standard_normal((2, N))
#: Penalties by set name, and the same set for CVXPY.
SETS: dict[str, tuple[Any, Any]] = {
    "none": (None, lambda z: []),
    "nonnegative": ("nonnegative", lambda z: [z >= 0]),
    "box": ({"name": "box", "lower": -0.2, "upper": 0.3}, lambda z: [z >= -0.2, z <= 0.3]),
    "uneven box": (
        {"name": "box", "lower": [-1, 0, 0.1, -np.inf], "upper": [0, 0, np.inf, 0.5]},
        lambda z: [z[0] >= -1, z[0] <= 0, z[1] == 0, z[2] >= 0.1, z[3] <= 0.5],
    ),
    "simplex": ("simplex", lambda z: [z >= 0, cp.sum(z) == 1]),
    "ball": ({"name": "ball", "radius": 0.5}, lambda z: [cp.norm2(z) <= 0.5]),
    "halfspace": (
        {"name": "halfspace", "normal": NORMAL.tolist(), "offset": -0.4},
        lambda z: [NORMAL @ z <= -0.4],
    ),
    "affine": (
        {"name": "affine", "matrix": LEFT.tolist(), "offset": [0.3, -0.2]},
        lambda z: [LEFT @ z == np.array([0.3, -0.2])],
    ),
    "polyhedron": (
        {"name": "polyhedron", "matrix": ROWS.tolist(), "offset": [0.5] * 5},
        lambda z: [ROWS @ z <= 0.5],
    ),
    "singleton": (
        {"name": "singleton", "point": [0.1, 0.2, 0.3, 0.4]},
        lambda z: [z == np.array([0.1, 0.2, 0.3, 0.4])],
    ),
    "hard_tanh object": (nng.activation("hard_tanh"), lambda z: [z >= -1, z <= 1]),
}


def metric(kind: str, seed: int) -> Array:
    draw = np.random.default_rng(seed)
    if kind == "identity":
        return np.eye(N)
    if kind == "multiple":
        return 2.5 * np.eye(N)
    if kind == "diagonal":
        return np.diag(draw.uniform(0.2, 3.0, N))
    half = draw.standard_normal((N, N))
    return half @ half.T + 0.1 * np.eye(N)


def game_of(penalty: Any, kind: str, seed: int = 0) -> Any:
    draw = np.random.default_rng([seed, 1])
    return nng.QuadraticGame(
        {"a": metric(kind, seed), "b": 2.0},
        {("a", "b"): draw.standard_normal((N, 1)), ("b", "a"): draw.standard_normal((1, N))},
        {"a": draw.standard_normal(N), "b": [0.5]},
        {"a": penalty} if penalty is not None else None,
    )


# CVXPY warns where the cone solver ends short of its tolerance; the comparison below has its own.
@pytest.mark.filterwarnings("ignore:Solution may be inaccurate")
@pytest.mark.parametrize("kind", ["identity", "multiple", "diagonal", "dense"])
@pytest.mark.parametrize("name", SETS)
def test_answers_on_sets_are_those_of_cvxpy(name: str, kind: str) -> None:
    penalty, constraints = SETS[name]
    game = game_of(penalty, kind)
    x = np.append(np.zeros(N), 1.5)
    q, u = metric(kind, 0), game.block_drive("a", x)
    z = cp.Variable(N)
    problem = cp.Problem(cp.Minimize(cp.quad_form(z, cp.psd_wrap(q)) / 2 - u @ z), constraints(z))
    problem.solve(solver=cp.CLARABEL, tol_gap_abs=1e-10, tol_gap_rel=1e-10, tol_feas=1e-10)
    answer = game.best_response("a", x)
    np.testing.assert_allclose(answer, z.value, atol=1e-5)
    answered = np.append(answer, 1.5)
    assert game.cost("a", answered) == pytest.approx(problem.value, rel=1e-9, abs=1e-10)
    assert game.domain_distances(answered)["a"] <= 1e-14
    value, bound = game.regret_bounds(answered)["a"]
    assert value <= bound <= 1e-11


@pytest.mark.parametrize("kind", ["diagonal", "dense"])
@pytest.mark.parametrize(
    ("name", "parameters"),
    [("tanh", {}), ("softmax", {}), ("sigmoid", {}), ("softmax", {"gain": 1.5}), ("softplus_beta", {}), ("elu", {})],
)
def test_answers_with_the_penalty_of_an_activation_are_stationary(name: str, parameters: Any, kind: str) -> None:
    activation = nng.activation(name, **parameters)
    game = game_of(activation, kind)
    x = np.append(activation(np.zeros(N)), -0.7)
    u, q = game.block_drive("a", x), metric(kind, 0)
    answer = game.best_response("a", x)
    # u - Qz is a subgradient of f at z.
    np.testing.assert_allclose(activation(u - q @ answer + answer), answer, atol=1e-13)
    value = game.cost("a", np.append(answer, -0.7))
    for seed in range(20):
        other = activation(2 * np.random.default_rng(seed).standard_normal(N))
        for share in (1e-3, 0.3, 1.0):
            assert game.cost("a", np.append((1 - share) * answer + share * other, -0.7)) >= value - 1e-13


@settings(max_examples=60, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32 - 1), name=st.sampled_from(sorted(SETS)), kind=st.sampled_from(["diagonal", "dense"]))
def test_regrets_are_cost_differences(seed: int, name: str, kind: str) -> None:
    game = game_of(SETS[name][0], kind, seed)
    draw = np.random.default_rng(seed)
    x = 0.5 * game.best_responses(draw.standard_normal(N + 1)) + 0.5 * game.best_responses(draw.standard_normal(N + 1))
    for player, where in game.space.slices.items():
        best = x.copy()
        best[where] = game.best_response(player, x)
        value, bound = game.regret_bounds(x)[player]
        difference = game.cost(player, x) - game.cost(player, best)
        assert value >= 0
        assert value == pytest.approx(difference, rel=1e-8, abs=1e-12 + bound)


def test_costs_are_the_formula() -> None:
    game = game_of(None, "dense")
    x = np.random.default_rng(5).standard_normal(N + 1)
    coupling = np.random.default_rng([0, 1])
    r_ab, r_ba, linear = coupling.standard_normal((N, 1)), coupling.standard_normal((1, N)), coupling.standard_normal(N)
    a, b = x[:N], x[N:]
    assert game.cost("a", x) == pytest.approx(0.5 * a @ metric("dense", 0) @ a + a @ (r_ab @ b + linear))
    assert game.cost("b", x) == pytest.approx(float(b[0] ** 2 + b[0] * (r_ba @ a)[0] + 0.5 * b[0]))
    assert game.residual(x) == pytest.approx(np.linalg.norm(game.best_responses(x) - x))
    np.testing.assert_allclose(
        game.inclusion().matrix.dense, np.block([[metric("dense", 0), r_ab], [r_ba, np.array([[2.0]])]])
    )


def test_regrets_of_free_players_are_exact_quadratics() -> None:
    game = nng.QuadraticGame({"a": 3.0, "b": [[2.0, 0.5], [0.5, 1.0]]}, linear={"a": -1.5, "b": [1.0, 0.0]})
    step = np.array([1e-10, -2e-10])
    answer = np.linalg.solve([[2.0, 0.5], [0.5, 1.0]], [-1.0, 0.0])
    x = np.concatenate([[0.5 + 1e-11], answer + step])
    regrets = game.regrets(x)
    assert regrets["a"] == pytest.approx(1.5 * (x[0] - 0.5) ** 2, rel=1e-4)
    assert regrets["b"] == pytest.approx(0.5 * step @ np.array([[2.0, 0.5], [0.5, 1.0]]) @ step, rel=1e-4)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 2**32 - 1), n=st.integers(1, 4), spread=st.floats(0, 6), distance=st.sampled_from([0, 1e-9, 1])
)
def test_regrets_of_free_players_are_within_their_bound_of_the_rational_ones(
    seed: int, n: int, spread: float, distance: float
) -> None:
    draw = np.random.default_rng(seed)
    basis = np.linalg.qr(draw.standard_normal((n, n)))[0]
    q = basis @ np.diag(10.0 ** -np.linspace(0, spread, n)) @ basis.T
    q, linear = q + q.T, draw.standard_normal(n)
    game = nng.QuadraticGame({"a": q}, linear={"a": linear})
    x = game.best_response("a", np.zeros(n)) + distance * draw.standard_normal(n)
    value, bound = game.regret_bounds(x)["a"]
    matrix, gradient = rational_matrix(q), rational_matrix(linear[:, None])
    off = rational_matrix(x[:, None]) + matrix.inv() * gradient
    exact = fraction((off.transpose() * matrix * off)[0, 0]) / 2
    assert abs(Fraction(value) - exact) <= Fraction(bound)
    if distance == 1:
        assert value == pytest.approx(float(exact), rel=1e-13 * 10**spread)


# Classical games


def test_cournot_duopoly() -> None:
    # Price 1 - x_1 - x_2, cost c_i x_i: J_i = -(1 - x_1 - x_2 - c_i) x_i; equilibrium (1 - 2 c_i + c_j)/3.
    costs = {"first": 0.1, "second": 0.25}
    game = nng.QuadraticGame(
        dict.fromkeys(costs, 2.0),
        {("first", "second"): 1.0, ("second", "first"): 1.0},
        {firm: c - 1 for firm, c in costs.items()},
        dict.fromkeys(costs, "nonnegative"),
    )
    expected = [(1 - 0.2 + 0.25) / 3, (1 - 0.5 + 0.1) / 3]
    # Losses that are to be minimised, and games whose players move in turn.
    others = {"accelerated_gradient", "alternating", "backpropagation", "block_iterative", "gradient_descent"}
    for method in sorted({*nng.methods(external=False)} - others - {"newton_descent", "stochastic_gradient"}):
        # The proved rate of these two is 1/k, and no better in practice: they are asked for less.
        slow = method in ("halpern", "anchored_extragradient")
        result = nng.solve(game, method, tolerance=1e-4 if slow else 1e-9, max_iterations=20_000)
        assert result.converged, result.message
        np.testing.assert_allclose(result.profile, expected, atol=1e-3 if slow else 1e-8)
    profit = -game.cost("first", nng.solve(game).profile)
    assert profit == pytest.approx(expected[0] ** 2, rel=1e-7)


def test_a_monopolist_who_drives_the_other_out() -> None:
    game = nng.QuadraticGame(
        {1: 2.0, 2: 2.0}, {(1, 2): 1.0, (2, 1): 1.0}, {1: -1.0, 2: -0.3}, dict.fromkeys((1, 2), "nonnegative")
    )
    np.testing.assert_allclose(nng.solve(game).profile, [0.5, 0.0], atol=1e-9)


def test_matching_pennies_with_quadratic_effort_needs_extragradient() -> None:
    game = nng.QuadraticGame({1: 1.0, 2: 1.0}, {(1, 2): 3.0, (2, 1): -3.0}, {1: 1.0, 2: 0.0})
    assert not nng.solve(game, "best_response").converged
    result = nng.solve(game, "extragradient")
    assert result.guarantee.proved
    np.testing.assert_allclose(result.profile, np.linalg.solve([[1.0, 3.0], [-3.0, 1.0]], [-1.0, 0.0]), atol=1e-8)


# Refusals


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (({},), InputError, "a quadratic game needs at least one player: quadratic is empty"),
        (({1: np.ones((2, 3))},), ShapeError, "the quadratic term of 1 has shape (2, 3); expected a square matrix"),
        (
            ({1: [[1.0, 2.0], [0.0, 1.0]]},),
            InputError,
            "the quadratic term of 1 is not symmetric; give (Q + Q')/2, which has the same cost",
        ),
        (
            ({1: [[1.0, 2.0], [2.0, 1.0]]},),
            InputError,
            "the quadratic term of 1 is not positive definite: its smallest eigenvalue is -1",
        ),
        (({1: 0.0},), InputError, "the quadratic term of 1 is not positive definite: its smallest eigenvalue is 0"),
        (({1: 1.0}, {(1, 1): 2.0}), InputError, "the coupling of 1 with 1: a player's own curvature belongs into "
         "quadratic"),
        (({1: 1.0}, {(1, 2): 2.0}), UnknownNameError, "unknown player in the coupling of 1 with 2: 2; valid: 1"),
        (({1: 1.0}, {1: 2.0}), InputError, "coupling has the key 1; expected a pair (player, other)"),
        (
            ({1: 1.0, 2: np.eye(2)}, {(1, 2): [[1.0]]}),
            ShapeError,
            "the coupling of 1 with 2 has shape (1, 1); expected (1, 2)",
        ),
        (({1: 1.0}, None, {2: 1.0}), UnknownNameError, "unknown player in linear 2; valid: 1"),
        (({1: 1.0}, None, {1: [1.0, 2.0]}), ShapeError, "the linear term of 1 has shape (2,); expected (1,)"),
        (({1: 1.0}, None, {1: np.nan}), InputError, "the bias of 1 has an entry that is not finite: [0] is nan"),
        (({1: 1.0}, None, None, {2: "simplex"}), UnknownNameError, "unknown player in penalties 2; valid: 1"),
        (
            ({1: 1.0}, None, None, {1: {"name": "box", "lower": [0, 0], "upper": 1}}),
            ShapeError,
            "the penalty of 1: activation 'box' has parameters for size 2; the layer has size 1",
        ),
    ],
)  # fmt: skip
def test_wrong_games_are_refused_exactly(arguments: tuple[Any, ...], error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        nng.QuadraticGame(*arguments)
    assert str(caught.value) == message


def test_penalties_are_named_by_sets_and_not_by_prox() -> None:
    with pytest.raises(InputError, match=r"^the penalty of 1: 'relu' names an activation, the prox of a penalty; "):
        nng.QuadraticGame({1: 1.0}, penalties={1: "relu"})
    with pytest.raises(UnknownNameError, match=r"^unknown penalty of 1: 'simplx'; did you mean 'simplex'\? valid: "):
        nng.QuadraticGame({1: 1.0}, penalties={1: "simplx"})
    with pytest.raises(OptionError, match=r"^activation 'box' has no option 'low'; "):
        nng.QuadraticGame({1: 1.0}, penalties={1: {"name": "box", "low": 0}})
    with pytest.raises(NotApplicableError, match=r"is the prox of no function"):
        nng.QuadraticGame({1: 1.0}, penalties={1: nng.activation("silu")})


def test_a_game_without_a_network_has_no_composite_map() -> None:
    game = nng.QuadraticGame({1: 1.0, 2: 1.0}, {(1, 2): 0.5, (2, 1): 0.5})
    assert game.fixed_point().name == "joint"
    with pytest.raises(NotApplicableError) as caught:
        nng.solve(game, "km", map="composite")
    assert str(caught.value) == (
        "km does not apply: the composite map belongs to a network that is a ring: use the joint map"
    )
