"""The proved bounds of the schemes for monotone inclusions hold at every iteration, on games with a known equilibrium.

A game is drawn from its M: W = diag(1/S) - M, v* is drawn, x* = r(v*) with the activations written here, and
b = v* - W x*. Every pair (family, method) below must be PROVED, so that proving nothing does not pass.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import nngames as nng
from nngames.solvers import golden_ratio
from nngames.solvers.inclusion import start_growth

Array = NDArray[np.float64]
GOLDEN = (1 + math.sqrt(5)) / 2

#: name, parameters -> the largest slope and the response.
ACTIVATIONS: dict[str, tuple[dict[str, Any], float, Callable[[Array], Array]]] = {
    "tanh": ({"name": "tanh"}, 1.0, np.tanh),
    "relu": ({"name": "relu"}, 1.0, lambda v: np.maximum(v, 0.0)),
    "leaky_relu": ({"name": "leaky_relu", "slope": 0.1}, 1.0, lambda v: np.where(v > 0, v, 0.1 * v)),
    "hard_tanh": ({"name": "hard_tanh"}, 1.0, lambda v: np.clip(v, -1.0, 1.0)),
    "identity": ({"name": "identity"}, 1.0, lambda v: v),
    "steep_tanh": ({"name": "tanh", "scale": 2.0}, 2.0, lambda v: 2 * np.tanh(v)),
    "steep_linear": ({"name": "linear", "slope": 4.0}, 4.0, lambda v: 4 * v),
}
GENTLE = ("tanh", "relu", "leaky_relu", "hard_tanh", "identity")
STEEP = (*GENTLE, "steep_tanh", "steep_linear")


@dataclass(frozen=True)
class Case:
    """A game with an equilibrium."""

    game: Any
    equilibrium: Array


def scalar_players(rng: np.random.Generator, operator: Array, names: tuple[str, ...]) -> Case:
    """Return the game of scalar players whose inclusion has this M."""
    n = len(operator)
    chosen = [ACTIVATIONS[names[i]] for i in rng.integers(len(names), size=n)]
    weight = np.diag([1 / slope for _, slope, _ in chosen]) - operator
    drive = rng.standard_normal(n)
    profile = np.array([float(response(np.array(v))) for (_, _, response), v in zip(chosen, drive, strict=True)])
    bias = drive - weight @ profile
    network = nng.Network.graph(
        {(i, j): weight[i, j] for i in range(n) for j in range(n)},
        {i: bias[i] for i in range(n)},
        {i: mapping for i, (mapping, _, _) in enumerate(chosen)},
    )
    return _checked(network.game("neurons"), profile)


def two_layers(rng: np.random.Generator, first: Array, second: Array, names: tuple[str, ...]) -> Case:
    """Return the ring x_1 = r(first x_2 + b_1), x_2 = r(second x_1 + b_2)."""
    chosen = [ACTIVATIONS[names[i]] for i in rng.integers(len(names), size=2)]
    drives = [rng.standard_normal(len(first)) for _ in range(2)]
    outputs = [response(drive) for (_, _, response), drive in zip(chosen, drives, strict=True)]
    biases = [drives[0] - first @ outputs[1], drives[1] - second @ outputs[0]]
    network = nng.Network.ring([first, second], biases, [mapping for mapping, _, _ in chosen])
    return _checked(network.game(), np.concatenate(outputs))


def _checked(game: Any, profile: Array) -> Case:
    assert game.residual(profile) <= 1e-12 * game.scale * game.size
    return Case(game, profile)


def _scaled(matrix: Array, size: float) -> Array:
    return matrix * (size / np.linalg.norm(matrix, 2))


def _permutation(rng: np.random.Generator, n: int) -> Array:
    return np.eye(n)[rng.permutation(n)] * rng.choice([-1.0, 1.0], n)


def strong(rng: np.random.Generator, n: int, size: float, names: tuple[str, ...] = GENTLE) -> Case:
    """M a skew part and a positive definite one, |M| = size."""
    half, root = rng.standard_normal((2, n, n))
    root = root @ root.T + np.eye(n)
    return scalar_players(rng, _scaled(half - half.T + 0.3 * root, size), names)


def steep_strong(rng: np.random.Generator, n: int, size: float) -> Case:
    """The same with slopes up to 4: penalties that are weakly convex only."""
    return strong(rng, n, size, STEEP)


def skew(rng: np.random.Generator, n: int, size: float) -> Case:
    """M = Id + K, K skew-symmetric of norm size."""
    weight = _scaled(rng.standard_normal((n, n)), size)
    return two_layers(rng, weight, -weight.T, GENTLE)


def merely_monotone(rng: np.random.Generator, n: int, size: float) -> Case:
    """W_1 + W_2' = 2 U, U a signed permutation, so the least eigenvalue of (M + M')/2 is 0, exactly: dyadic entries."""
    weight = np.round(16 * _scaled(rng.standard_normal((n, n)), size)) / 16
    return two_layers(rng, weight, (2 * _permutation(rng, n) - weight).T, GENTLE)


def steep_merely_monotone(rng: np.random.Generator, n: int, size: float) -> Case:
    """The same with slopes of exactly 2, where M has Id/2."""
    weight = np.round(16 * _scaled(rng.standard_normal((n, n)), size)) / 16
    return two_layers(rng, weight, (_permutation(rng, n) - weight).T, ("steep_tanh",))


def symmetric(rng: np.random.Generator, n: int, size: float) -> Case:
    """M symmetric and positive definite."""
    root = rng.standard_normal((n, n))
    matrix = _scaled(root @ root.T + 0.1 * np.eye(n), size)
    return scalar_players(rng, (matrix + matrix.T) / 2, STEEP)


def symmetric_singular(rng: np.random.Generator, n: int, size: float) -> Case:
    """M = [[Id, -U], [-U', Id]], U a signed permutation: symmetric, eigenvalues 0 and 2."""
    turn = _permutation(rng, n)
    return two_layers(rng, turn, turn.T, GENTLE)


def minus_two(rng: np.random.Generator, n: int, size: float) -> Case:
    """The ring L = 3, W_l = -2 Id, r = Id, on which Picard iteration and Krasnoselskii-Mann on T diverge."""
    profile = rng.standard_normal((3, n))
    biases = [profile[i] + 2 * profile[i - 1] for i in range(3)]
    return _checked(nng.Network.ring([-2 * np.eye(n)] * 3, biases, ["identity"] * 3).game(), profile.ravel())


#: The largest tau |M| that is proved, and the passes an iteration.
LIMITS = {
    "popov": (0.5, 1),
    "forward_reflected_backward": (0.5, 1),
    "projected_reflected": (0.5, 1),
    "golden_ratio": (GOLDEN / 2, 1),
    "forward_backward_forward": (1.0, 2),
    "anchored_extragradient": (1.0, 2),
}
ADAPTIVE = ("golden_ratio", {"adaptive": True})
Method = tuple[str, Any]
#: A method with options, or with the share of its longest step.
ALL: tuple[Method, ...] = (
    *((name, share) for name in LIMITS for share in (None, 0.99)),
    ("golden_ratio", 1 - 1e-12),
    ("anchored_extragradient", 1 - 1e-12),
    ADAPTIVE,
)
FORWARD_BACKWARD: tuple[Method, ...] = (("forward_backward", {}),)
SIZES = ((1, 0.5), (4, 2.0), (9, 20.0))
LAYERS = ((1, 2.0), (4, 1.0), (30, 20.0))

#: family, (n, |M|) pairs, the methods that must be PROVED, whether linearly (at steps inside the range).
FAMILIES: tuple[tuple[Callable[..., Case], tuple[tuple[int, float], ...], tuple[Method, ...], bool], ...] = (
    (strong, SIZES, (*ALL, *FORWARD_BACKWARD), True),
    (steep_strong, SIZES, (*ALL, *FORWARD_BACKWARD), True),
    (skew, LAYERS, (*ALL, *FORWARD_BACKWARD), True),
    (symmetric, SIZES, (*ALL, *FORWARD_BACKWARD), True),
    (merely_monotone, LAYERS, ALL, False),
    (steep_merely_monotone, LAYERS, ALL, False),
    (symmetric_singular, ((1, 2.0), (6, 2.0)), (*ALL, *FORWARD_BACKWARD), False),
    (minus_two, ((1, 3.0), (4, 3.0)), ALL, False),
)


def solver_of(case: Case, method: Method) -> Any:
    """Return the solver, its step from the share where one is given."""
    name, options = method
    if isinstance(options, dict):
        return nng.solver(name, **options)
    if options is None:
        return nng.solver(name)
    return nng.solver(name, step_size=options * LIMITS[name][0] / case.game.inclusion().norm_bound)


_cases: dict[tuple[str, int, float], Case] = {}


def case_of(family: Callable[..., Case], n: int, size: float) -> Case:
    """Return the case of a family, built once."""
    key = (family.__name__, n, size)
    if key not in _cases:
        _cases[key] = family(np.random.default_rng([n, int(10 * size)]), n, size)
    return _cases[key]


def _pairs() -> list[Any]:
    return [
        pytest.param(family, n, size, method, linear, id=f"{family.__name__}-{n}-{size}-{method[0]}-{number}")
        for family, sizes, methods, linear in FAMILIES
        for n, size in sizes
        for number, method in enumerate(methods)
    ]


def start_of(case: Case) -> Array:
    return case.equilibrium + np.random.default_rng(case.game.size).standard_normal(case.game.size)


def follow(case: Case, method: Method, linear: bool | None, steps: int) -> None:
    """Compare the bound with the iterates, and the trace's residual with the game's."""
    solver = solver_of(case, method)
    guarantee = solver.guarantee(case.game)
    assert guarantee.proved, guarantee
    rate = guarantee.rate
    if method == ADAPTIVE:
        assert rate is None
        return
    if linear and method[0] != "anchored_extragradient" and method[1] != 1 - 1e-12:
        assert rate.quantity == "distance"
    elif linear is False:
        assert rate.quantity != "distance"
    floor = 1e-10 * max(1.0, float(np.abs(case.equilibrium).max())) * case.game.scale
    start = start_of(case)
    initial, best = float(np.linalg.norm(start - case.equilibrium)), np.inf
    for iterate in islice(solver.iterate(case.game, start=start), steps):
        k = iterate.iteration
        assert iterate.residual == pytest.approx(case.game.residual(iterate.profile), rel=1e-6, abs=floor)
        best = min(best, iterate.residual)
        distance = float(np.linalg.norm(iterate.profile - case.equilibrium))
        reached = {"distance": distance, "residual": iterate.residual, "best_residual": best}[rate.quantity]
        assert reached <= rate.bound(k, initial) * (1 + 1e-9) + floor, f"iteration {k}"


@pytest.mark.parametrize(("family", "n", "size", "method", "linear"), _pairs())
def test_bound_holds_at_every_iteration(
    family: Callable[..., Case], n: int, size: float, method: Method, linear: bool
) -> None:
    follow(case_of(family, n, size), method, linear, 60)


@pytest.mark.parametrize("family", [strong, steep_strong, skew, merely_monotone, steep_merely_monotone])
@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(1, 5),
    size=st.sampled_from([0.5, 1.5, 6.0, 20.0]),
    pick=st.integers(0, len(ALL) - 1),
)
def test_bound_holds_on_drawn_games(family: Callable[..., Case], seed: int, n: int, size: float, pick: int) -> None:
    follow(family(np.random.default_rng(seed), n, size), ALL[pick], None, 40)


@pytest.mark.parametrize(
    ("family", "n", "size", "method"),
    [
        pytest.param(family, *sizes[1], method, id=f"{family.__name__}-{method[0]}-{number}")
        for family, sizes, methods, _ in FAMILIES
        for number, method in enumerate(methods)
        if method[0] != "anchored_extragradient" and family is not strong
    ],
)
def test_proved_schemes_converge(family: Callable[..., Case], n: int, size: float, method: Method) -> None:
    case = case_of(family, n, size)
    result = nng.solve(case.game, solver_of(case, method), tolerance=1e-8, max_iterations=40_000)
    assert result.converged, result.message
    assert case.game.residual(result.profile) <= 1e-8 * result.scale


@pytest.mark.parametrize("method", [*((name, None) for name in LIMITS), ADAPTIVE], ids=lambda m: str(m))
def test_the_ring_of_minus_two_is_solved(method: Method) -> None:
    case = case_of(minus_two, 4, 3.0)
    tolerance = 1e-3 if method[0] == "anchored_extragradient" else 1e-9
    result = nng.solve(case.game, solver_of(case, method), tolerance=tolerance)
    assert result.converged, result.message
    assert np.abs(result.profile - case.equilibrium).max() <= 10 * tolerance * result.scale
    for beaten in ("picard", "km"):
        assert nng.solve(case.game, beaten, map="joint").status == "diverged"


# Sharpness


def skew_pair(weight: float = 20.0) -> Any:
    """M = [[1, -w], [w, 1]] without penalty."""
    return nng.Network.ring([[[weight]], [[-weight]]], [[1.0], [0.0]], ["identity"] * 2).game()


@pytest.mark.parametrize("name", [*LIMITS, "forward_backward"])
def test_twice_the_longest_step_diverges_on_a_skew_game(name: str) -> None:
    game = skew_pair(20.0 if name in LIMITS else 3.0)
    bound = game.inclusion().norm_bound
    longest = LIMITS[name][0] / bound if name in LIMITS else 2 / bound**2
    solver = nng.solver(name, step_size=2 * longest)
    assert solver.guarantee(game).status == "UNDECIDED"
    assert nng.solve(game, solver).status == "diverged"
    inside = nng.solver(name, step_size=0.95 * longest)
    assert inside.guarantee(game).proved
    assert nng.solve(game, inside, tolerance=1e-3).converged


def test_forward_backward_spirals_outwards_exactly_beyond_its_range() -> None:
    # |1 - tau (1 + 3 i)| < 1 iff tau < 2/10.
    game = skew_pair(3.0)
    for step, status in ((0.19, "converged"), (0.25, "diverged")):
        assert nng.solve(game, "forward_backward", step_size=step).status == status


def test_forward_reflected_backward_needs_its_minus_sign() -> None:
    game = skew_pair(3.0)
    view = game.inclusion()
    matrix, shift, tau = view.matrix.dense, view.operator(np.zeros(2), np.empty(2)), 0.45 / view.norm_bound
    assert nng.solve(game, "forward_reflected_backward", step_size=tau).converged
    x, before = np.zeros(2), shift
    for _ in range(200):
        value = matrix @ x + shift
        x, before = x - tau * (2 * value + before), value
    assert np.abs(x).max() > 1e6


@pytest.mark.parametrize("weight", [0.25, 1.0, 20.0])
def test_adaptive_golden_ratio_needs_squared_norms(weight: float, monkeypatch: pytest.MonkeyPatch) -> None:
    game = skew_pair(weight)
    assert nng.solve(game, "golden_ratio", adaptive=True).converged
    # From a first step a hundred times off, both ways.
    for step in (0.01 / weight, 10 / weight):
        assert nng.solve(game, "golden_ratio", adaptive=True, step_size=step).converged

    def unsquared(tau: float, ratio: float, moved: Array, change: Array, longest: float) -> tuple[float, float]:
        quotient = float(np.linalg.norm(moved) / np.linalg.norm(change))
        following = min(10 / 9 * tau, longest, 1.5 * ratio / (4 * tau) * quotient)
        return following, 1.5 * following / tau

    monkeypatch.setattr(golden_ratio, "adapted", unsquared)
    if weight == 20.0:
        assert nng.solve(game, "golden_ratio", adaptive=True).status in ("diverged", "not_finite")


@settings(max_examples=30, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 6), size=st.sampled_from([0.5, 3.0, 20.0]))
def test_adaptive_steps_meet_both_conditions_of_the_proof(seed: int, n: int, size: float) -> None:
    case = strong(np.random.default_rng(seed), n, size)
    solver, phi = nng.solver("golden_ratio", adaptive=True), 1.5
    problem = solver.problem(case.game, np.random.default_rng(0))
    state = solver.start(problem, start_of(case))
    tau, ratio = state.memory[2:]
    assert (tau, ratio) == (problem.step, 1.0)
    matrix = case.game.inclusion().matrix.dense
    shortest = min(tau, phi / (4e6 * tau * case.game.inclusion().norm_bound ** 2))
    for _ in range(60):
        following = solver.step(problem, state)
        after, grown = following.memory[2:]
        moved = following.x - state.x
        assert after <= 10 / 9 * tau * (1 + 1e-12)
        assert grown == pytest.approx(phi * after / tau)
        if np.linalg.norm(moved) > 1e-9:
            # tau_k^2 |M d_k|^2 <= h_k h_{k-1} |d_k|^2 / 4
            left, right = after * np.linalg.norm(matrix @ moved), math.sqrt(grown * ratio) * np.linalg.norm(moved) / 2
            assert left <= right * (1 + 1e-5)
            assert after >= shortest
        state, tau, ratio = following, after, grown


@pytest.mark.parametrize("weight", [0.5, 4.0, 20.0])
def test_anchored_element_falls_like_its_bound(weight: float) -> None:
    # Without F the element G_k is M x_k + q itself.
    game = skew_pair(weight)
    view = game.inclusion()
    tau = 1 / (view.norm_bound * (1 + 1e-12))
    solver = nng.solver("anchored_extragradient", step_size=tau)
    matrix, shift = view.matrix.dense, view.operator(np.zeros(2), np.empty(2))
    distance = np.linalg.norm(np.linalg.solve(matrix, -shift))
    problem = solver.problem(game, np.random.default_rng(0))
    state = solver.start(problem, np.zeros(2))
    for k in range(1, 300):
        state = solver.step(problem, state)
        value = matrix @ state.x + shift
        np.testing.assert_allclose(state.memory[2], value, atol=1e-9 * np.abs(shift).max() * weight)
        assert np.linalg.norm(value) <= 2 * distance / (tau * k) + 1e-9


@settings(max_examples=50, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32 - 1), reach=st.floats(0.01, 1.0))
def test_the_first_prox_step_stays_within_its_bound(seed: int, reach: float) -> None:
    rng = np.random.default_rng(seed)
    case = strong(rng, 4, 3.0)
    view = case.game.inclusion()
    tau, start = reach / view.norm_bound, start_of(case)
    first = view.prox(start - tau * view.operator(start, np.empty(4)), tau)
    left = np.sum((first - case.equilibrium) ** 2) + np.sum((first - start) ** 2)
    assert left <= start_growth(reach) * np.sum((start - case.equilibrium) ** 2) * (1 + 1e-9)


# What is not proved


def ring_of(*weights: float) -> Any:
    return nng.Network.ring([[[w]] for w in weights], [[1.0]] * len(weights), ["identity"] * len(weights)).game()


@pytest.mark.parametrize(
    ("game", "name", "options", "reason"),
    [
        (ring_of(-2.0, -2.0, -2.0), "popov", {"step_size": 1 / 6}, "not below (1/2)/|M|"),
        (ring_of(-2.0, -2.0, -2.0), "forward_reflected_backward", {"step_size": 1 / 6}, "not below (1/2)/|M|"),
        (ring_of(-2.0, -2.0, -2.0), "projected_reflected", {"step_size": 1 / 6}, "not below (1/2)/|M|"),
        (ring_of(-2.0, -2.0, -2.0), "golden_ratio", {"step_size": 0.2698}, "above (phi/2)/|M|"),
        (ring_of(-2.0, -2.0, -2.0), "forward_backward_forward", {"step_size": 1 / 3}, "not below 1/|M|"),
        (ring_of(-2.0, -2.0, -2.0), "anchored_extragradient", {"step_size": 0.334}, "above 1/|M|"),
        (ring_of(-2.0, -2.0, -2.0), "forward_backward", {}, "M is not proved cocoercive"),
        (ring_of(-3.0, 3.0), "forward_backward", {"step_size": 0.21}, "not below 2 beta = 0.2"),
        (ring_of(1.0, 1.0), "forward_backward", {"step_size": 1.0}, "not below 2 beta = 1"),
        *(
            (ring_of(2.0, 2.0), name, options, "M is not proved monotone")
            for name, options in [*((name, {}) for name in LIMITS), ADAPTIVE, ("forward_backward", {})]
        ),
    ],
)
def test_no_guarantee_where_no_theorem_applies(game: Any, name: str, options: dict[str, Any], reason: str) -> None:
    guarantee = nng.solver(name, **options).guarantee(game)
    assert guarantee.status == "UNDECIDED"
    assert guarantee.rate is None
    assert reason in guarantee.statement


def test_forward_backward_takes_the_best_proved_step() -> None:
    for family, expected in (
        (symmetric, lambda mu, bound, beta: 2 / (mu + bound)),
        (strong, lambda mu, bound, beta: beta),
        (symmetric_singular, lambda mu, bound, beta: 1 / bound),
    ):
        game = case_of(family, *((1, 2.0) if family is symmetric_singular else (4, 2.0))).game
        verdicts = nng.certify(game)
        witness, beta = verdicts["monotone"].witness, verdicts["cocoercive"].witness["beta"]
        assert beta >= witness["modulus"] / witness["norm_bound"] ** 2
        problem = nng.solver("forward_backward").problem(game, np.random.default_rng(0))
        assert problem.step == pytest.approx(expected(witness["modulus"], witness["norm_bound"], beta), rel=1e-12)


@pytest.mark.parametrize(("step", "factor"), [(None, 2 / 3), (0.1, 0.9), (0.35, 0.75)])
def test_a_symmetric_game_contracts_at_the_rate_of_its_extreme_eigenvalues(step: float | None, factor: float) -> None:
    # M = diag(1, 5) without penalty: r = max(1 - tau, 5 tau - 1), which is 2/3 at the default 2/(1 + 5).
    case = scalar_players(np.random.default_rng(0), np.diag([1.0, 5.0]), ("identity",))
    solver = nng.solver("forward_backward", step_size=step)
    assert solver.guarantee(case.game).witness["factor"] == pytest.approx(factor, rel=1e-9)
    start = case.equilibrium + (np.array([1.0, 0.0]) if step == 0.1 else np.array([0.0, 1.0]))
    profiles = [iterate.profile for iterate in islice(solver.iterate(case.game, start=start), 20)]
    distances = [np.linalg.norm(profile - case.equilibrium) for profile in profiles]
    np.testing.assert_allclose(np.divide(distances[1:], distances[:-1]), factor, rtol=1e-6)


@pytest.mark.parametrize("name", [*LIMITS, "forward_backward"])
def test_linear_bounds_hold_where_the_slowest_direction_decides(name: str) -> None:
    # M = diag(0.02, 1) and a start along the first axis: the distance falls by 1 - 0.02 tau at every step, or less.
    case = scalar_players(np.random.default_rng(0), np.diag([0.02, 1.0]), ("identity",))
    solver = nng.solver(name, step_size=0.3)
    rate = solver.guarantee(case.game).rate
    start = case.equilibrium + np.array([1.0, 0.0])
    for iterate in islice(solver.iterate(case.game, start=start), 600):
        reached = iterate.residual if rate.quantity == "residual" else abs(iterate.profile - case.equilibrium).max()
        assert reached <= rate.bound(iterate.iteration, 1.0) + 1e-10


@pytest.mark.parametrize("name", ["popov", "golden_ratio", "anchored_extragradient", "forward_backward_forward"])
def test_unbounded_slopes_leave_convergence_without_a_rate(name: str) -> None:
    # M is the skew part alone, and the residual is not bounded by the distance to a prox.
    game = nng.Network.ring([[[-1.0]], [[1.0]]], [[0.5], [0.5]], ["soft_exponential"] * 2).game()
    guarantee = nng.solver(name).guarantee(game)
    assert guarantee.proved
    assert guarantee.rate is None
