"""Schemes for monotone inclusions against their formulas in plain NumPy, and against each other where they coincide."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import islice, pairwise
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import nngames as nng
from nngames.core.operators import as_linear_map

Array = NDArray[np.float64]
Map = Callable[[Array], Array]
#: (operator, prox, step, start) -> the points at which the scheme stands, without end.
Formula = Callable[[Map, Map, float, Array], Any]
METHODS = {
    "popov": 1,
    "forward_reflected_backward": 1,
    "projected_reflected": 1,
    "golden_ratio": 1,
    "forward_backward": 1,
    "forward_backward_forward": 2,
    "anchored_extragradient": 2,
}


def game_of(seed: int, activation: str = "hard_tanh", norm: float = 2.0) -> Any:
    rng = np.random.default_rng(seed)
    weight = rng.standard_normal((4, 3))
    weight *= norm / np.linalg.norm(weight, 2)
    biases = [rng.standard_normal(4), rng.standard_normal(3)]
    return nng.Network.ring([weight, -0.8 * weight.T], biases, [activation] * 2).game()


def affine(game: Any) -> Map:
    """Return x -> x - W x - b, written from the network's own data."""
    network, n = game.network, game.size
    matrix, shift = np.eye(n), np.zeros(n)
    for (target, source), weight in network.weights.items():
        matrix[game.space.slices[target], game.space.slices[source]] -= weight.dense
    for player, bias in network.biases.items():
        shift[game.space.slices[player]] = -bias
    return lambda x: matrix @ x + shift


def clip(u: Array) -> Array:
    """The prox of the penalty of hard_tanh, the indicator of [-1, 1], for every step."""
    return np.clip(u, -1.0, 1.0)


def free(u: Array) -> Array:
    return u


def profiles(method: str, game: Any, start: Array, count: int, **options: Any) -> Array:
    solver = nng.solver(method, **options)
    return np.array([iterate.profile for iterate in islice(solver.iterate(game, start=start), count)])


def start_of(game: Any, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal(game.size)


# The textbook formulas


def popov(operator: Map, prox: Map, tau: float, x: Array) -> Any:
    y = x
    while True:
        yield y
        x = prox(x - tau * operator(y))
        y = prox(x - tau * operator(y))


def forward_backward_forward(operator: Map, prox: Map, tau: float, x: Array) -> Any:
    while True:
        yield x
        y = prox(x - tau * operator(x))
        x = y + tau * (operator(x) - operator(y))


def forward_reflected_backward(operator: Map, prox: Map, tau: float, x: Array) -> Any:
    before = x
    while True:
        yield x
        x, before = prox(x - tau * (2 * operator(x) - operator(before))), x


def projected_reflected(operator: Map, prox: Map, tau: float, x: Array) -> Any:
    before = x
    while True:
        yield 2 * x - before
        x, before = prox(x - tau * operator(2 * x - before)), x


def forward_backward(operator: Map, prox: Map, tau: float, x: Array) -> Any:
    while True:
        yield x
        x = prox(x - tau * operator(x))


def golden_ratio(operator: Map, prox: Map, tau: float, x: Array) -> Any:
    phi, mean = (1 + math.sqrt(5)) / 2, x
    while True:
        yield x
        mean = ((phi - 1) * x + mean) / phi
        x = prox(mean - tau * operator(x))


def adaptive_golden_ratio(operator: Map, prox: Map, tau: float, x: Array) -> Any:
    phi, mean, ratio = 1.5, x, 1.0
    while True:
        yield x
        mean = ((phi - 1) * x + mean) / phi
        x, before = prox(mean - tau * operator(x)), x
        moved, change = np.sum((x - before) ** 2), np.sum((operator(x) - operator(before)) ** 2)
        following = min((1 / phi + 1 / phi**2) * tau, phi * ratio / (4 * tau) * moved / change)
        tau, ratio = following, phi * following / tau


def anchored_extragradient(operator: Map, prox: Map, tau: float, x: Array) -> Any:
    start, subgradient, k = x, np.zeros_like(x), 0
    while True:
        yield x
        base = x + (start - x) / (k + 1)
        y = base - (k / (k + 1)) * tau * (operator(x) + subgradient)
        shifted = base - tau * operator(y)
        x = prox(shifted)
        subgradient, k = (shifted - x) / tau, k + 1


FORMULAS: dict[str, tuple[Formula, str, dict[str, Any]]] = {
    "popov": (popov, "popov", {}),
    "forward_backward_forward": (forward_backward_forward, "forward_backward_forward", {}),
    "forward_reflected_backward": (forward_reflected_backward, "forward_reflected_backward", {}),
    "projected_reflected": (projected_reflected, "projected_reflected", {}),
    "forward_backward": (forward_backward, "forward_backward", {}),
    "golden_ratio": (golden_ratio, "golden_ratio", {}),
    "adaptive": (adaptive_golden_ratio, "golden_ratio", {"adaptive": True}),
    "anchored_extragradient": (anchored_extragradient, "anchored_extragradient", {}),
}


@pytest.mark.parametrize("name", FORMULAS)
@pytest.mark.parametrize(("activation", "prox"), [("hard_tanh", clip), ("identity", free)])
@pytest.mark.parametrize("seed", range(3))
def test_a_scheme_is_its_formula(name: str, activation: str, prox: Map, seed: int) -> None:
    formula, method, options = FORMULAS[name]
    game, tau = game_of(seed, activation), 0.17
    start = start_of(game)
    found = profiles(method, game, start, 25, step_size=tau, **options)
    expected = np.array(list(islice(formula(affine(game), prox, tau, start), 25)))
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-11)


# Schemes with each other


@pytest.mark.parametrize("activation", ["identity", "hard_tanh", "tanh"])
@pytest.mark.parametrize("seed", range(3))
def test_projected_reflected_is_forward_reflected_backward_for_a_linear_operator(activation: str, seed: int) -> None:
    # M (2 x_k - x_{k-1}) + q = 2 u_k - u_{k-1}: the same x_k, of which one scheme shows the reflection.
    game = game_of(seed, activation)
    start = start_of(game)
    plain = profiles("forward_reflected_backward", game, start, 30, step_size=0.2)
    reflected = profiles("projected_reflected", game, start, 30, step_size=0.2)
    np.testing.assert_allclose(reflected[1:], 2 * plain[1:] - plain[:-1], rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("seed", range(3))
def test_popov_is_projected_reflected_and_optimistic_without_penalty(seed: int) -> None:
    game, tau = game_of(seed, "identity"), 0.2
    operator, start = affine(game), start_of(game)
    found = profiles("popov", game, start, 30, step_size=tau)
    np.testing.assert_allclose(
        found, profiles("projected_reflected", game, start, 30, step_size=tau), rtol=1e-10, atol=1e-12
    )
    # Its points follow the optimistic gradient method, from another second point.
    for before, now, after in zip(found, found[1:], found[2:], strict=False):
        np.testing.assert_allclose(after, now - tau * (2 * operator(now) - operator(before)), rtol=1e-9, atol=1e-11)
    optimistic = profiles("forward_reflected_backward", game, start, 30, step_size=tau)
    np.testing.assert_allclose(found[1:], 2 * optimistic[1:] - optimistic[:-1], rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("seed", range(3))
def test_golden_ratio_moves_its_mean_like_gradient_descent_with_delay_without_penalty(seed: int) -> None:
    # x_{k+1} = m_k - tau u_k and m_{k+1} = m_k - tau (1 - 1/phi) u_k.
    phi, tau = (1 + math.sqrt(5)) / 2, 0.2
    game = game_of(seed, "identity")
    operator = affine(game)
    found = profiles("golden_ratio", game, start_of(game), 30, step_size=tau)
    means = [(following + tau * operator(x)) for x, following in pairwise(found)]
    for x, mean, following in zip(found, means, means[1:], strict=False):
        np.testing.assert_allclose(following, mean - tau * (1 - 1 / phi) * operator(x), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("seed", range(3))
def test_forward_backward_forward_is_extragradient_without_penalty(seed: int) -> None:
    game = game_of(seed, "identity")
    np.testing.assert_allclose(
        profiles("forward_backward_forward", game, start_of(game), 30, step_size=0.2),
        profiles("extragradient", game, start_of(game), 30, step_size=0.2),
        rtol=1e-10,
        atol=1e-12,
    )


def test_forward_backward_forward_is_not_extragradient_with_a_penalty() -> None:
    game = game_of(0)
    first, second = (
        profiles(method, game, 3 * start_of(game), 5, step_size=0.2)
        for method in ("forward_backward_forward", "extragradient")
    )
    assert np.abs(first[1] - second[1]).max() > 1e-3


@pytest.mark.parametrize("relaxation", [0.1, 0.5, 1.0])
def test_forward_backward_without_penalty_is_the_relaxed_joint_map(relaxation: float) -> None:
    game = game_of(1, "identity", norm=0.8)
    np.testing.assert_allclose(
        profiles("forward_backward", game, start_of(game), 30, step_size=relaxation),
        profiles("km", game, start_of(game), 30, map="joint", relaxation=relaxation),
        rtol=1e-10,
        atol=1e-12,
    )


@pytest.mark.parametrize("activation", ["hard_tanh", "tanh", "relu", "sigmoid", "softplus_beta"])
def test_forward_backward_with_step_one_is_picard_on_the_joint_map(activation: str) -> None:
    game = game_of(2, activation, norm=0.8)
    np.testing.assert_allclose(
        profiles("forward_backward", game, start_of(game), 20, step_size=1.0),
        profiles("picard", game, start_of(game), 20, map="joint"),
        rtol=1e-9,
        atol=1e-11,
    )


@pytest.mark.parametrize("method", ["popov", "forward_reflected_backward", "projected_reflected", "golden_ratio"])
def test_the_first_prox_step_is_that_of_forward_backward(method: str) -> None:
    game = game_of(3)
    start = start_of(game)
    first = profiles("forward_backward", game, start, 2, step_size=0.2)[1]
    solver = nng.solver(method, step_size=0.2)
    problem = solver.problem(game, np.random.default_rng(0))
    state = solver.step(problem, solver.start(problem, start.copy()))
    reached = state.memory[0] if method in ("popov", "projected_reflected") else state.x
    np.testing.assert_allclose(reached, first, rtol=1e-12, atol=1e-14)


# The contract of a scheme


@pytest.mark.parametrize("method", [*METHODS, "adaptive"])
def test_a_step_costs_its_passes_and_gives_the_residual_where_it_stands(method: str) -> None:
    options = {"adaptive": True} if method == "adaptive" else {}
    method = "golden_ratio" if method == "adaptive" else method
    for game in (
        game_of(4),
        nng.Network.graph({(1, 1): 0.2, (1, 2): -0.9, (2, 1): 1.1}, {1: 0.3, 2: 0.1}, "tanh").game(),
    ):
        view, passes = type(game.inclusion()), []
        original = view.operator

        def counted(self: Any, x: Array, out: Array, original: Any = original, passes: list[int] = passes) -> Array:
            passes.append(0)
            return original(self, x, out)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(view, "operator", counted)
            result = nng.solve(game, method, start=start_of(game), max_iterations=30, **options)
        assert result.evaluations == len(passes)
        assert (np.diff(result.trace.evaluations) == METHODS[method]).all()
        steps = islice(nng.solver(method, **options).iterate(game, start=start_of(game)), result.iterations + 1)
        np.testing.assert_allclose(
            result.trace.residual, [game.residual(step.profile) for step in steps], rtol=1e-9, atol=1e-14
        )
        assert result.residual == pytest.approx(game.residual(result.profile), rel=1e-12)


@pytest.mark.parametrize("method", [*METHODS, "adaptive"])
def test_iterating_by_hand_is_the_trace_of_solve(method: str) -> None:
    options = {"adaptive": True} if method == "adaptive" else {}
    method = "golden_ratio" if method == "adaptive" else method
    game, seen = game_of(5), []
    start = start_of(game)
    kept = start.copy()
    result = nng.solve(game, method, start=start, max_iterations=20, callback=seen.append, **options)
    stepped = list(islice(nng.solver(method, **options).iterate(game, start=start), result.iterations + 1))
    assert [s.residual for s in stepped] == result.trace.residual.tolist() == [s.residual for s in seen]
    np.testing.assert_array_equal(np.array([s.profile for s in stepped]), np.array([s.profile for s in seen]))
    np.testing.assert_array_equal(stepped[-1].profile, result.profile)
    np.testing.assert_array_equal(start, kept)


@pytest.mark.parametrize("method", METHODS)
def test_a_network_and_its_quadratic_game_agree(method: str) -> None:
    network = game_of(6).network
    quadratic = nng.QuadraticGame(
        {player: np.eye(n) for player, n in network.dims.items()},
        {edge: -weight.dense for edge, weight in network.weights.items()},
        {player: -bias for player, bias in network.biases.items()},
        {player: {"name": "box", "lower": -1.0, "upper": 1.0} for player in network.players},
    )
    game, start = network.game(), start_of(network.game())
    np.testing.assert_allclose(
        profiles(method, quadratic, start, 20, step_size=0.1), profiles(method, game, start, 20, step_size=0.1),
        rtol=1e-10, atol=1e-12,
    )  # fmt: skip


@pytest.mark.parametrize("method", METHODS)
def test_wrong_steps_and_missing_views_are_refused(method: str) -> None:
    for wrong in (0.0, -1, math.inf, True, "1e-3"):
        with pytest.raises(nng.NNGamesError, match=f"^{method}: step_size must be a positive number; got "):
            nng.solver(method, step_size=wrong)
    tracking = nng.Network.graph({(1, 2): 0.5}, {1: 0.0, 2: 0.0}, "silu").game()
    assert nng.solver(method).applies(tracking) == "a game with the tracking cost has no inclusion view"


def test_adaptive_is_a_truth_value() -> None:
    assert nng.solver("golden_ratio", adaptive=True).options == {"step_size": None, "adaptive": True}
    with pytest.raises(nng.NNGamesError, match=r"^golden_ratio: adaptive must be true or false; got 'yes'$"):
        nng.solver("golden_ratio", adaptive="yes")


def test_only_adaptive_steps_do_without_a_bound_on_the_operator() -> None:
    # A coupling that is not linear has no norm.
    rng = np.random.default_rng(1)
    couplings = [
        nng.BilinearCoupling("c", ("a", "b"), 0.2 * rng.standard_normal((2, 3, 2))),
        nng.LinearCoupling("a", "c", as_linear_map(0.3 * rng.standard_normal((3, 2)), "W")),
        nng.LinearCoupling("b", "a", as_linear_map(0.3 * rng.standard_normal((2, 3)), "W")),
    ]
    game = nng.Network(
        couplings, {"a": np.ones(3), "b": np.ones(2), "c": np.zeros(2)}, dict.fromkeys("abc", "tanh")
    ).game()
    for method in METHODS:
        reason = nng.solver(method).applies(game)
        assert reason == f"no safe bound on |M| is known for this game: give {method} a step"
        assert nng.solver(method).guarantee(game).status == "UNDECIDED"
        if method != "anchored_extragradient":
            assert nng.solve(game, method, step_size=0.2).converged
    result = nng.solve(game, "golden_ratio", adaptive=True)
    assert result.converged
    assert result.guarantee.status == "UNDECIDED"
