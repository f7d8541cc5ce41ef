"""Descent on potentials: the potential never rises, the proved bounds hold, and the minima are equilibria."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import nngames as nng

Array = NDArray[np.float64]
SCENARIOS = Path(__file__).parents[2] / "scenarios"


def scenario(name: str) -> Any:
    return nng.load_scenario(SCENARIOS / f"{name}.yaml").game


def pair(rng: np.random.Generator, n: int, names: list[Any], size: float, ratio: float = 1.0) -> Any:
    """Two layers with W_12 = ratio W_21' of norm ``size``: an exact potential for ratio 1, else a weighted one."""
    weight = rng.standard_normal((n, n))
    weight *= size / np.linalg.norm(weight, 2)
    return nng.Network.ring([ratio * weight.T, weight], list(rng.standard_normal((2, n))), names).game()


def cournot(rng: np.random.Generator, n: int) -> Any:
    """Firms with slopes of their own in the price: a weighted potential with different weights."""
    slopes = rng.uniform(0.2, 3.0, n)
    return nng.QuadraticGame(
        {i: 2 * slopes[i] for i in range(n)},
        {(i, j): slopes[i] for i in range(n) for j in range(n) if i != j},
        {i: slopes[i] * (rng.uniform(1, 8) - 10) for i in range(n)},
        dict.fromkeys(range(n), "nonnegative"),
    )


def imitators(rng: np.random.Generator, n: int, activation: Any) -> Any:
    """Neurons with a symmetric coupling."""
    half = rng.standard_normal((n, n)) / np.sqrt(n)
    weight = half + half.T
    np.fill_diagonal(weight, 0.0)
    return nng.Network.recurrent(weight, rng.standard_normal(n), activation).game("neurons")


def games() -> dict[str, Any]:
    rng = np.random.default_rng(1)
    return {
        "cournot": scenario("economics/cournot"),
        "public_goods": scenario("economics/public_goods"),
        "peer_effects": scenario("economics/peer_effects"),
        "hopfield": scenario("examples/hopfield"),
        "weighted": scenario("examples/weighted_potential"),
        "firms": cournot(rng, 6),
        "tanh": pair(rng, 5, ["tanh", "sigmoid"], 0.9),
        "tanh, not convex": pair(rng, 5, ["tanh", "tanh"], 4.0),
        "weighted, not convex": pair(rng, 5, ["tanh", "hard_tanh"], 2.0, ratio=0.3),
        "steep": pair(rng, 4, [{"name": "tanh", "scale": 3.0}, "identity"], 0.2),
        "softmax": pair(rng, 6, ["softmax", "simplex"], 5.0),
        "boxes": imitators(rng, 12, "hard_tanh"),
        "relu": pair(rng, 6, ["relu", "leaky_relu"], 0.95),
    }


GAMES = games()
BOUNDED = ("hopfield", "tanh, not convex", "weighted, not convex", "softmax", "boxes")
CONVEX = ("cournot", "public_goods", "peer_effects", "weighted", "firms", "tanh", "steep", "relu")


@pytest.mark.parametrize("engine", ["auto", "lbfgs"])
@pytest.mark.parametrize("name", GAMES)
def test_the_potential_never_rises_and_the_end_is_an_equilibrium(name: str, engine: str) -> None:
    game = GAMES[name]
    start = np.random.default_rng(2).standard_normal(game.size)
    potential = nng.check_potential(game).potential
    assert potential is not None
    solver = nng.solver("potential_descent", engine=engine)
    values = [float(potential(state.profile)) for state in islice(solver.iterate(game, start), 60)]
    assert np.isfinite(values).all()
    rounding = 1e-13 * max(map(abs, values))
    assert np.diff(values).max() <= rounding
    result = nng.solve(game, solver, start=start, tolerance=1e-11)
    assert result.converged, result.message
    assert game.residual(result.profile) <= 1e-11 * game.scale


@pytest.mark.parametrize("name", GAMES)
def test_the_change_of_the_potential_is_that_of_the_report(name: str) -> None:
    game, rng = GAMES[name], np.random.default_rng(3)
    report = nng.check_potential(game)
    assert report.potential is not None
    assert report.weights is not None
    largest = max(float(w) for w in report.weights.values())
    problem = nng.solver("potential_descent", engine="lbfgs").problem(game, rng)
    for size in (1.0, 1e-3):
        state = problem.begin(rng.standard_normal(game.size))
        p, value_p, _ = problem._proximal_step(state.x, state.memory)
        v = problem._preactivation(state.x, state.memory, p)
        other = problem.begin(p + size * rng.standard_normal(game.size))
        change = problem.change(p, v, value_p, other.x, other.memory)
        values = [float(report.potential(x)) / largest for x in (p, other.x)]
        assert change == pytest.approx(values[1] - values[0], rel=1e-6, abs=1e-12 * max(map(abs, values)))


def test_the_change_keeps_its_digits_next_to_a_minimum() -> None:
    # By hand: P = x^2/2 - x + y^2/2; around x = 1 the change in x is exactly d^2/2.
    game = nng.QuadraticGame({0: 1.0, 1: 1.0}, {}, {0: -1.0, 1: 0.0})
    problem = nng.solver("potential_descent").problem(game, np.random.default_rng(0))
    state = problem.begin(np.array([1.0, 0.0]))
    p, value, _ = problem._proximal_step(state.x, state.memory)
    for d in (2.0**-20, 2.0**-30, 2.0**-40):
        w = problem.begin(np.array([1.0 + d, 0.0]))
        assert problem.change(p, problem._preactivation(state.x, state.memory, p), value, w.x, w.memory) == d * d / 2


@pytest.mark.parametrize("engine", ["auto", "lbfgs"])
@pytest.mark.parametrize("name", CONVEX)
def test_the_proved_rate_holds_at_every_iteration(name: str, engine: str) -> None:
    game = GAMES[name]
    solver = nng.solver("potential_descent", engine=engine)
    guarantee = solver.guarantee(game)
    assert guarantee.proved, guarantee.statement
    assert guarantee.witness["unique"]
    assert guarantee.rate is not None
    equilibrium = nng.solve(game, "best_response", tolerance=1e-14, max_iterations=20_000).profile
    assert game.residual(equilibrium) < 1e-11
    measure, bound = guarantee.rate.norm, guarantee.rate.bound
    start = 5 * np.random.default_rng(4).standard_normal(game.size)
    distances = [measure(state.profile - equilibrium) for state in islice(solver.iterate(game, start), 80)]
    initial = measure(start - equilibrium)
    for k, distance in enumerate(distances):
        assert distance <= bound(k, initial) + 1e-10
    assert bound(3, 1.0) < bound(2, 1.0)


def test_the_plain_steps_keep_the_rate_too() -> None:
    # Without trials: the bound is proved for these, whatever the trials add.
    game = GAMES["firms"]
    solver = nng.solver("potential_descent", engine="lbfgs")
    rate = solver.guarantee(game).rate
    assert rate is not None
    equilibrium = nng.solve(game, "best_response", tolerance=1e-14, max_iterations=20_000).profile
    problem = solver.problem(game, np.random.default_rng(0))
    state = problem.begin(np.full(game.size, 7.0))
    potential = nng.check_potential(game).potential
    assert potential is not None
    largest = max(float(w) for w in (nng.check_potential(game).weights or {}).values())
    x, value, initial, step = state.x, state.memory, rate.norm(state.x - equilibrium), 1.0
    for k in range(60):
        assert rate.norm(x - equilibrium) <= rate.bound(k, initial) + 1e-12
        p, value_p, _ = problem._proximal_step(x, value)
        assert problem.step <= step
        step, d = problem.step, rate.norm(p - x)
        fall = (float(potential(x)) - float(potential(p))) / largest
        assert fall >= d * d / (2 * step) - 1e-12 * abs(float(potential(x)))
        x, value = p, value_p
    assert step >= solver.guarantee(game).witness["step"]


@pytest.mark.parametrize("name", BOUNDED)
def test_bounded_domains_prove_that_the_residual_vanishes(name: str) -> None:
    guarantee = nng.solver("potential_descent").guarantee(GAMES[name])
    assert guarantee.proved
    assert guarantee.rate is None
    assert "every cluster point of the iterates is an equilibrium" in guarantee.statement


def test_a_potential_without_a_minimum_has_no_guarantee() -> None:
    game = scenario("counterexamples/no_equilibrium")
    solver = nng.solver("potential_descent")
    guarantee = solver.guarantee(game)
    assert not guarantee.proved
    assert "neither strongly convex" in guarantee.statement
    potential = nng.check_potential(game).potential
    assert potential is not None
    values = [float(potential(state.profile)) for state in islice(solver.iterate(game), 20)]
    assert np.diff(values).max() < 0


# The convex program


@pytest.mark.parametrize("name", ["cournot", "public_goods", "peer_effects", "firms"])
def test_the_convex_program_is_polished_beyond_its_own_accuracy(name: str) -> None:
    game = GAMES[name]
    expected = nng.solve(game, "best_response", tolerance=1e-14, max_iterations=20_000).profile
    start = np.full(game.size, 2.0)
    states = list(islice(nng.solver("potential_descent", engine="cvxpy").iterate(game, start), 2))
    np.testing.assert_allclose(states[1].profile, expected, atol=1e-4)
    result = nng.solve(game, "potential_descent", engine="cvxpy", start=start, tolerance=1e-13)
    assert result.converged, result.message
    np.testing.assert_allclose(result.profile, expected, atol=1e-11)


def test_convex_programs_with_penalties_of_their_own() -> None:
    # W negative semidefinite: the part beside the penalties is convex for every activation.
    rng = np.random.default_rng(5)
    for activation in ("tanh", "sigmoid", "relu"):
        root = rng.standard_normal((4, 4)) / 2
        weight = -(root @ root.T)
        weight[np.diag_indices(4)] = 0.0
        weight -= np.eye(4) * max(0.0, np.linalg.eigvalsh(weight)[-1])
        game = nng.Network.recurrent(weight, rng.standard_normal(4), activation).game("neurons")
        by_program = nng.solve(game, "potential_descent", engine="cvxpy", tolerance=1e-12)
        by_descent = nng.solve(game, "potential_descent", engine="lbfgs", tolerance=1e-12)
        assert by_program.converged, by_program.message
        assert by_program.iterations <= by_descent.iterations
        np.testing.assert_allclose(by_program.profile, by_descent.profile, atol=1e-10)


@pytest.mark.parametrize(
    "activation",
    [
        "relu",
        {"name": "relu", "slope": 0.5, "bias": 0.3},
        {"name": "relu", "slope": 1.4, "bias": -0.3},
        "hard_sigmoid",
        {"name": "linear", "slope": 0.7, "bias": 0.2},
    ],
)
def test_quadratic_penalties_belong_to_the_quadratic_part(activation: Any) -> None:
    """M is positive definite, M - Id is not."""
    rng = np.random.default_rng(1)
    weight = rng.standard_normal((8, 8))
    weight += weight.T
    np.fill_diagonal(weight, 0.0)
    weight *= 0.6 / np.abs(np.linalg.eigvalsh(weight)).max()
    game = nng.Network.recurrent(weight, rng.standard_normal(8), activation).game("neurons")
    expected = nng.solve(game, "potential_descent", engine="lbfgs", tolerance=1e-13).profile
    states = list(islice(nng.solver("potential_descent", engine="cvxpy").iterate(game), 2))
    np.testing.assert_allclose(states[1].profile, expected, atol=1e-5)


# What is refused


def test_a_game_without_a_proved_potential_is_refused_by_its_verdict() -> None:
    solver = nng.solver("potential_descent")
    reason = solver.applies(scenario("economics/clearing"))
    assert reason is not None
    assert reason.startswith("no potential is proved; weighted_potential is REFUTED: the game with the proximal cost")
    assert "no weights balance players bank 2 and bank 3" in reason
    tracking = solver.applies(scenario("examples/silu_tracking"))
    assert tracking is not None
    assert tracking.startswith("no potential is proved; weighted_potential is REFUTED")
    with pytest.raises(nng.NotApplicableError, match="potential_descent does not apply: no potential is proved"):
        nng.solve(scenario("economics/clearing"), "potential_descent")


def test_a_program_that_is_not_convex_is_refused() -> None:
    program = nng.solver("potential_descent", engine="cvxpy")
    assert "the quadratic part beside the penalties has the eigenvalue" in str(program.applies(GAMES["boxes"]))
    with pytest.raises(nng.OptionError, match="engine='newton' is unknown; valid: auto, cvxpy, lbfgs"):
        nng.solver("potential_descent", engine="newton")
