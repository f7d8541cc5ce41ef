"""The default method: what it starts with, when it leaves a scheme, what it ends with, and what it says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nngames as nng
from nngames.core.errors import DomainError, OptionError
from nngames.results.result import Status
from nngames.solvers import auto, forecast, last_resorts, stages
from nngames.solvers.solver import registry


def scalar_ring(weights: list[float], biases: list[float], activation: str = "identity") -> nng.NetworkGame:
    return nng.Network.ring([[[w]] for w in weights], [[b] for b in biases], [activation] * len(weights)).game()


def generated(name: str, **parameters: Any) -> nng.NetworkGame:
    return nng.Network.generate(name, seed=0, **parameters).game()


def test_a_contraction_is_left_to_plain_passes() -> None:
    game = generated("gaussian", size=20, layers=3)
    result, plain = nng.solve(game), nng.solve(game, "picard")
    assert result.method == "auto:picard"
    assert result.message.startswith("auto converged: residual ")
    assert result.message.endswith(f"after {plain.iterations} iterations, with picard")
    np.testing.assert_array_equal(result.profile, plain.profile)
    np.testing.assert_array_equal(result.trace.residual, plain.trace.residual)
    assert result.guarantee.proved
    assert result.guarantee.statement.startswith("auto ends with picard, and the composite map contracts by ")


def test_a_slow_map_is_handed_to_newton_after_a_few_passes() -> None:
    game = generated("orthogonal", size=50, layers=3, scale=0.999, activation="linear")
    result = nng.solve(game)
    assert result.converged
    assert result.method == "auto:newton"
    assert result.iterations == forecast.DISPLACEMENTS + 1
    assert "(before, picard: promised " in result.message
    assert " more steps after 7)" in result.message


def test_expensive_responses_are_accelerated() -> None:
    game = generated("projections", size=20, layers=3)
    result = nng.solve(game)
    assert result.converged
    assert result.evaluations < nng.solve(game, "picard").evaluations


def test_one_sweep_ends_an_open_chain() -> None:
    result = nng.solve(generated("chain", size=5, layers=30))
    assert (result.method, result.converged) == ("auto:best_response", True)
    assert result.iterations <= 2


def test_plain_passes_end_where_no_signal_returns() -> None:
    """The residual does not fall for a hundred passes, and then is 0."""
    n = 100
    game = nng.Network.recurrent(np.eye(n, k=-1), np.eye(n)[0] + 1, "relu").game()
    result = nng.solve(game)
    assert (result.method, result.converged) == ("auto:picard", True)
    assert result.residual == 0
    assert result.iterations == n


@pytest.mark.parametrize("activation", ["relu", "tanh", "hard_tanh"])
@pytest.mark.parametrize("norm", [2.0, 50.0])
def test_monotone_games_without_a_contraction_are_solved(activation: str, norm: float) -> None:
    game = generated("monotone", size=20, norm=norm, activation=activation)
    result = nng.solve(game)
    assert result.converged
    assert game.residual(result.profile) <= 1e-9 * game.scale
    assert result.guarantee.proved
    assert result.guarantee.statement.startswith("auto ends with ")
    assert result.guarantee.rate is None


@pytest.mark.parametrize("layers", [1, 2, 3, 8])
def test_rotations_are_solved(layers: int) -> None:
    assert nng.solve(generated("iso", size=20, layers=layers)).converged


def test_the_same_run_makes_the_same_choices() -> None:
    game = generated("monotone", size=20, norm=10.0, activation="hard_tanh")
    first, second = nng.solve(game), nng.solve(game)
    assert first.method == second.method
    np.testing.assert_array_equal(first.profile, second.profile)
    np.testing.assert_array_equal(first.trace.residual, second.trace.residual)


# Left schemes


@pytest.fixture
def only_last_resorts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the fast schemes promise nothing, so that a run comes to its last resorts."""
    monkeypatch.setattr(stages.Course, "_promises", lambda self: {})
    monkeypatch.setattr(stages, "FALL", 0.0)


@pytest.mark.usefixtures("only_last_resorts")
def test_the_run_ends_with_the_scheme_that_is_proved() -> None:
    game = scalar_ring([-2.0] * 3, [1.0, 0.0, 0.0])
    result = nng.solve(game)
    assert result.converged
    assert result.method in ("auto:complementarity", "auto:douglas_rachford")
    scheme, guarantee = last_resorts.licensed_scheme(game)
    assert scheme.name == "douglas_rachford"
    assert guarantee.proved


@pytest.mark.usefixtures("only_last_resorts")
def test_a_trial_of_newton_does_not_change_the_proved_scheme(monkeypatch: pytest.MonkeyPatch) -> None:
    """Newton's steps that lead nowhere leave the iterates of the last resort as they are."""
    game = generated("monotone", size=20, norm=50.0)
    newton = registry["newton"]
    monkeypatch.setattr(newton, "step", lambda self, problem, state: problem.relax(state, state.evaluations))
    result = nng.solve(game)
    assert result.method == "auto:douglas_rachford"
    assert result.converged
    assert "newton" in result.message
    monkeypatch.setattr(stages, "TRIAL", 10**9)
    without = nng.solve(game)
    assert without.method == "auto:douglas_rachford"
    assert "newton" not in without.message
    np.testing.assert_array_equal(result.profile, without.profile)
    # The trials come in between, and no residual of the proved scheme is missing.
    kept = set(result.trace.residual.tolist())
    assert all(residual in kept for residual in without.trace.residual.tolist())


def test_where_nothing_is_proved_and_nothing_helps_the_run_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(last_resorts, "STEPS", 5)
    game = scalar_ring([1.0, 1.0], [1.0, 1.0], "silu")
    result = nng.solve(game)
    assert result.status is Status.STALLED
    assert "no scheme makes progress from here" in result.message
    assert "try another start, nng.solve(game, start=...)" in result.message


def test_no_equilibrium_is_proved_where_it_can_be() -> None:
    result = nng.solve(scalar_ring([1.0, 1.0], [1.0, 1.0], "relu"))
    assert result.status is Status.FAILED
    assert result.message.startswith("no equilibrium exists: with y = ")


def test_a_scheme_that_cannot_start_is_followed_by_others() -> None:
    weights = [[[0.58, 1.29], [-0.75, 1.69]], [[-0.29, 1.57], [-0.43, -0.74]]]
    game = nng.Network.ring(weights, [[0.36, 0.69], [0.66, 0.63]], ["softsign_probit"] * 2).game()
    for start in (None, np.zeros(4)):
        result = nng.solve(game, "auto", start=start)
        assert result.converged
        assert "picard: cannot start" in result.message
    with pytest.raises(DomainError, match=r"^auto cannot start there: the pre-activation of player .*; give another"):
        nng.solve(game, "auto", start=np.full(4, 3.0))


def test_a_run_that_cannot_start_at_zero_has_failed() -> None:
    game = nng.Network.ring([[[0.5]], [[0.5]]], [[5.0], [5.0]], ["softsign_probit"] * 2).game()
    result = nng.solve(game)
    assert (result.status, result.method) == (Status.FAILED, "auto")
    assert result.message.startswith("auto cannot start at zero: ")


def test_a_proved_scheme_is_not_left_because_its_residual_grows() -> None:
    """A contraction in a weighted maximum norm may raise the Euclidean residual by the ratio of its weights."""
    c = 1e6
    weight = np.array([[0, c, 0], [0, 0, c], [0.9 / c**2, 0, 0]])
    game = nng.Network.recurrent(weight, np.array([1.0, -1.0, 1.0]), "softplus").game()
    result = nng.solve(game, start=np.ones(3))
    assert result.guarantee.proved
    assert result.converged


# Budgets and options


def test_auto_takes_no_options() -> None:
    with pytest.raises(OptionError) as caught:
        nng.solve(scalar_ring([0.5, 0.5], [1.0, 0.0]), "auto", relaxation=0.5)
    assert str(caught.value) == "auto chooses the options itself; name a method to set 'relaxation'"


@pytest.mark.parametrize("budget", [0, 1, 2, 7, 8, 20])
def test_auto_keeps_its_budget(budget: int) -> None:
    result = nng.solve(scalar_ring([-3.0, 3.0], [1.0, 0.0], "silu"), max_iterations=budget)
    assert result.iterations <= budget
    assert len(result.trace.residual) == result.iterations + 1
    assert result.converged or "--max-iterations" in result.message


def test_a_guarantee_names_the_scheme_it_rests_on() -> None:
    game = scalar_ring([-2.0] * 3, [1.0, 0.0, 0.0])
    verdict = auto.Auto().guarantee(game)
    assert verdict.witness["scheme"] == "douglas_rachford"
    assert verdict.proved
    unproved = auto.Auto().guarantee(scalar_ring([-3.0, 3.0], [1.0, 0.0], "silu"))
    assert not unproved.proved


# Forecasts


def test_factors_are_those_of_the_schemes_on_an_affine_map() -> None:
    """Displacements of plain passes tell the residuals of the other schemes on an affine map."""
    rng = np.random.default_rng(0)
    n, m = 30, forecast.JUDGED
    matrix = np.linalg.qr(rng.standard_normal((n, n)))[0] * rng.uniform(0.2, 0.95, n)
    game = nng.Network.recurrent(matrix, rng.standard_normal(n), "identity").game()
    kept = [np.array(it.profile) for it, _ in zip(nng.solver("picard").iterate(game), range(m + 1), strict=False)]
    displacements = [game.residuals(x) for x in kept]
    relaxed = nng.solve(game, "km", max_iterations=m).trace.residual
    rows = np.array(displacements)
    gram = rows @ rows.T
    averaged = [forecast._averaged(gram[: j + 1, : j + 1]) ** 0.5 for j in range(m + 1)]
    np.testing.assert_allclose(averaged, relaxed[: m + 1], rtol=1e-12)
    # GMRES minimises over the same combinations.
    differences = np.diff(rows, axis=0)
    coefficients = np.linalg.lstsq(differences.T, rows[-1], rcond=None)[0]
    least = float(np.linalg.norm(rows[-1] - coefficients @ differences))
    assert forecast._least(gram) ** 0.5 == pytest.approx(least, rel=1e-8)
    plain = [float(np.linalg.norm(g)) for g in displacements]
    assert forecast.plain_factor(displacements) == pytest.approx((plain[-1] / plain[-3]) ** 0.5)
    found = forecast.factors_of(displacements)
    assert found.relaxed == pytest.approx((averaged[m] / averaged[m - 2]) ** (0.5 * forecast.CAUTION))


@pytest.mark.parametrize(
    ("residual", "factor", "steps"), [(1.0, 0.1, 9), (1.0, 1.0, np.inf), (1e-9, 2.0, 0), (1, 0, 1)]
)
def test_steps_to_the_target(residual: float, factor: float, steps: float) -> None:
    assert forecast.steps_to(1e-9, residual, factor) == pytest.approx(steps)
