"""The default method: what it starts with, when it leaves a scheme, what it ends with, and what it says."""

from __future__ import annotations

from dataclasses import replace
from itertools import count, islice
from typing import Any

import numpy as np
import pytest
from scipy import sparse

import nngames as nng
from nngames.core.errors import DomainError, InputError, NotApplicableError, OptionError
from nngames.networks import order
from nngames.results.result import Status
from nngames.solvers import anderson
from nngames.solvers.automatic import auto, changes, costs, forecast, judging, last_resorts, remembered, stages, turns
from nngames.solvers.mixed_precision import MixedProblem
from nngames.solvers.solver import Budget, State, registry


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
    game = generated("orthogonal", size=50, layers=3, scale=0.999, activation="tanh", spread=0.05)
    result = nng.solve(game)
    assert result.converged
    assert result.method == "auto:newton"
    assert "(before, picard: promised " in result.message
    # Compiled passes cost so little that more of them are made.
    assert any(f" more steps after {k})" in result.message for k in (costs.EARLY, costs.DISPLACEMENTS))


def test_an_affine_ring_is_one_system_of_equations() -> None:
    result = nng.solve(generated("orthogonal", size=50, layers=3, scale=0.999, activation="linear"))
    assert (result.method, result.converged, result.iterations) == ("auto:newton", True, 1)
    assert "before" not in result.message


@pytest.mark.parametrize("bias", [0.0, 1.0])
def test_plain_passes_follow_where_the_system_of_an_affine_ring_is_singular(
    bias: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """x_1 = x_1 + bias has every solution or none, and x_2 = -x_2 / 2 + 1 has one."""
    game = nng.Network.ring([np.diag([1.0, -0.5]), np.eye(2)], [[bias, 1.0], [0.0, 0.0]], ["identity"] * 2).game()
    result = nng.solve(game, max_iterations=1000)
    assert result.converged == (bias == 0)
    assert bias == 0 or result.message.startswith("no equilibrium exists")
    monkeypatch.setattr(registry["newton"], "step", lambda self, problem, state: replace(state, residual=1e9))
    left = nng.solve(nng.Network.ring([0.5 * np.eye(2)], [[1.0, 1.0]], ["identity"]).game())
    assert (left.method, left.converged) == ("auto:picard", True)
    assert "before, newton: residual 1.0e+09" in left.message


def large_ring(scale: float = 0.5, bias: float = 1.0) -> nng.NetworkGame:
    """A ring of one layer whose passes take the time of reading its weights."""
    rng = np.random.default_rng(0)
    weight = scale * np.linalg.qr(rng.standard_normal((370, 370)))[0]
    return nng.Network.ring([weight], [bias * rng.standard_normal(370)], ["leaky_relu"]).game()


@pytest.fixture
def continued(monkeypatch: pytest.MonkeyPatch) -> list[np.dtype[Any]]:
    """The precisions in which plain passes went on."""
    precisions = []
    method = MixedProblem.continued

    def noted(self: MixedProblem, state: State) -> State:
        following = method(self, state)
        precisions.append(following.x.dtype)
        return following

    monkeypatch.setattr(MixedProblem, "continued", noted)
    return precisions


def test_many_passes_over_large_dense_layers_go_on_in_single_precision(continued: list[np.dtype[Any]]) -> None:
    game = large_ring()
    result = nng.solve(game)
    assert continued == [np.float32]
    assert (result.method, result.converged, result.profile.dtype) == ("auto:picard", True, np.float64)
    assert game.residual(result.profile) <= result.tolerance * result.scale
    plain = nng.solve(game, "picard")
    assert abs(result.evaluations - plain.evaluations) <= 1
    np.testing.assert_allclose(result.profile, plain.profile, rtol=0, atol=4e-9 * game.scale)
    # Few passes are not worth it, nor are those of small layers.
    assert nng.solve(large_ring(0.02)).converged
    assert nng.solve(generated("gaussian", size=100, norm=0.9)).converged
    assert len(continued) == 1


def test_what_single_precision_cannot_hold_goes_on_in_double(continued: list[np.dtype[Any]]) -> None:
    result = nng.solve(large_ring(bias=1e60))
    assert continued == [np.float64]
    assert result.converged


def test_a_scheme_that_follows_passes_in_single_precision_has_double(
    continued: list[np.dtype[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    method, steps = MixedProblem._state, count()

    def wild(self: MixedProblem, x: Any, spare: Any, evaluations: int) -> State:
        state = method(self, x, spare, evaluations)
        # By then the best profile is one in single precision.
        return state if next(steps) < 9 else replace(state, residual=1e30)

    monkeypatch.setattr(MixedProblem, "_state", wild)
    game = large_ring()
    result = nng.solve(game)
    assert continued == [np.float32]
    assert result.method != "auto:picard"
    assert (result.converged, result.profile.dtype) == (True, np.float64)
    assert "picard: residual 1.0e+30" in result.message
    assert game.residual(result.profile) <= result.tolerance * result.scale


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
    """The residual does not fall for thirty passes, and then is 0; a box of its own for each neuron is no level's."""
    n = 30
    boxes = nng.activation("box", lower=np.zeros(n), upper=np.full(n, np.inf))
    game = nng.Network.recurrent(np.eye(n, k=-1), np.eye(n)[0] + 1, boxes).game()
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
    monkeypatch.setattr(judging.Judge, "promises", lambda self, smallest: {})
    monkeypatch.setattr(judging, "FALL", 0.0)
    monkeypatch.setattr(judging, "SHORT", 0.0)
    monkeypatch.setattr(turns, "keeps_factors", lambda game, view: False)


@pytest.mark.usefixtures("only_last_resorts")
def test_the_run_ends_with_the_scheme_that_is_proved() -> None:
    game = scalar_ring([-2.0] * 3, [1.0, 0.0, 0.0])
    result = nng.solve(game)
    assert result.converged
    assert result.method in ("auto:complementarity", "auto:douglas_rachford")
    scheme, guarantee = next(last_resorts.licensed_schemes(game))
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
    monkeypatch.setattr(changes, "TRIAL", 10**9)
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


def test_dear_passes_round_a_cycle_are_left_though_they_promise_to_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every fourth residual is a share of the second one before it, in a cycle of eight."""
    monkeypatch.setattr(changes, "costs_of", lambda game, compiled: costs.Costs(1e-2, 1.05e-2, 1e3))
    rng, n = np.random.default_rng(17), 8
    units = 10.0 ** rng.uniform(-2, 2, n)
    around = np.roll(np.eye(n), -1, axis=0) * units[:, None] / units
    bias = rng.standard_normal(n) * 10.0 ** rng.uniform(-2, 2, n)
    wide = nng.activation("ball", radius=1e9)
    game = nng.Network.ring([np.eye(n), around], [np.zeros(n), bias], [wide, wide]).game()
    plain = nng.solve(game, "picard", max_iterations=16).trace.residual
    np.testing.assert_allclose(plain[8:], plain[:9], rtol=1e-9)
    assert plain[3] < 0.1 * plain[1]
    assert plain[7] < 0.5 * plain[5]
    result = nng.solve(game, max_iterations=60)
    assert "tried picard: residual " in result.message


def test_a_profile_takes_the_place_of_the_best_one_only_with_a_smaller_residual() -> None:
    course = auto.Auto().problem(scalar_ring([1.0, 1.0], [1.0, 1.0], "silu"), np.random.default_rng(0))
    state = course.begin(np.zeros(2))
    other = np.ones_like(state.x)
    course._remember(State(other, state.residual * (1 + 1e-9), 1))
    np.testing.assert_array_equal(course.best_profile()[1:], state.x)
    course._remember(State(other, state.residual * (1 - 1e-9), 1))
    np.testing.assert_array_equal(course.best_profile()[1:], other)


def test_steps_do_not_write_into_the_start_that_a_run_remembers() -> None:
    game = generated("orthogonal", size=20, layers=3)
    course = auto.Auto().problem(game, np.random.default_rng(0))
    auto.Auto().prepare(course, Budget(1e-9, 100, None))
    state = course.begin(np.ones(game.size))
    start, first, displacement = course._best[1].copy(), state.residual, state.memory - state.x
    for _ in range(2):
        state = course.advance(state)
    assert course._smallest == first
    np.testing.assert_array_equal(course._best[1], start)
    np.testing.assert_array_equal(course._best[2], displacement)


@pytest.mark.parametrize(("fall", "rounds"), [(1.0, 4), (0.995, 4), (0.5, 20)])
def test_rounds_of_last_resorts_go_on_while_the_residual_falls(fall: float, rounds: int) -> None:
    residuals = (fall**k for k in count())
    resorts = last_resorts.last_resorts(scalar_ring([1.0, 1.0], [1.0, 1.0], "silu"), lambda: next(residuals))
    found = list(islice(resorts, 60))
    assert {resort.scheme.name for resort in found[:3]} == {"anderson", "km", "best_response"}
    assert [resort.steps for resort in found[::3]] == [100 * 2**k for k in range(rounds)]
    assert len(found) == 3 * rounds


def test_a_run_that_stalls_ends_with_its_best_profile() -> None:
    """Rounding of the actions, up to 4e10 here, leaves residuals above the target, which the later schemes spoil."""
    weights = {("a", "b"): [[0, 0], [0, 0], [0.25, 0]], ("b", "a"): [[-5e9, 1e10, 2e10], [8e9, 7e9, -1e10]]}
    biases, names = {"a": [3.0, 2.0, -1.0], "b": [3.0, -1.0]}, {"a": "silu", "b": "identity"}
    game = nng.Network.graph(weights, biases, names).game()
    result = nng.solve(game)
    assert result.status is Status.STALLED
    assert result.residual == game.residual(result.profile)
    assert result.residual <= result.trace.residual.min() / stages.REMEMBERED < 1e-3
    assert f"residual {result.residual:.2e} > " in result.message


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


@pytest.mark.usefixtures("only_last_resorts")
def test_the_next_proved_scheme_follows_one_that_cannot_start(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Any, problem: Any, x0: Any) -> Any:
        raise NotApplicableError("no factor")

    monkeypatch.setattr(registry["douglas_rachford"], "start", refuse)
    monkeypatch.setattr(changes, "TRIAL", 10**9)
    result = nng.solve(generated("monotone", size=20, norm=10.0))
    assert (result.method, result.converged) == ("auto:golden_ratio", True)
    assert "douglas_rachford: cannot start" in result.message


@pytest.mark.usefixtures("only_last_resorts")
def test_pivots_without_an_end_are_left_for_the_proved_scheme(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(last_resorts, "existence_proved", lambda guarantee: False)
    monkeypatch.setattr(last_resorts, "DECIDING", 40)
    monkeypatch.setattr(changes, "TRIAL", 10**9)
    monkeypatch.setattr(registry["complementarity"], "step", lambda self, problem, state: replace(state, residual=1e9))
    result = nng.solve(generated("monotone", size=20, norm=10.0))
    assert (result.method, result.converged) == ("auto:douglas_rachford", True)
    assert "complementarity: residual " in result.message


def test_a_proved_scheme_that_overflows_is_not_said_to_be_missing() -> None:
    game = scalar_ring([0.5, 0.5], [1.0, 0.0])
    result = nng.solve(game, start=np.full(2, 1e200))
    assert result.status is Status.NOT_FINITE
    assert "in exact arithmetic auto ends with picard" in result.message
    assert "scale the weights, biases or the start down" in result.message
    assert "no certificate" not in result.message


# What a scheme is handed


def test_acceleration_goes_on_from_the_displacements_of_plain_passes() -> None:
    """Its first residual is the smallest one of all affine combinations of the known displacements, one pass on."""
    rng = np.random.default_rng(3)
    n, passes = 12, 7
    matrix = 0.99 * np.linalg.qr(rng.standard_normal((n, n)))[0]
    game = nng.Network.recurrent(matrix, rng.standard_normal(n), "identity").game()
    steps = zip(nng.solver("picard").iterate(game), range(passes), strict=False)
    profiles = [np.array(iterate.profile) for iterate, _ in steps]
    known = np.array([game.residuals(x) for x in profiles])
    scheme = nng.solver("anderson", memory=10)
    problem = scheme.problem(game, np.random.default_rng(0))
    problem.know(known, len(known))
    # Not from the last one: the differences tell the map's Jacobian, wherever they were made.
    state = problem.resume(State(profiles[2], float(np.linalg.norm(known[2])), 3, known[2]))
    following = scheme.step(problem, state)
    changes = np.diff(known, axis=0)
    left = known[2] - changes.T @ np.linalg.lstsq(changes.T, known[2], rcond=None)[0]
    assert following.residual == pytest.approx(float(np.linalg.norm(matrix @ left)), rel=1e-9)
    assert following.evaluations == 4


def test_a_scheme_is_resumed_without_a_pass() -> None:
    game = generated("orthogonal", size=50, layers=3, scale=0.999, activation="linear")
    result = nng.solve(game)
    handed = result.iterations - 1
    np.testing.assert_array_equal(result.trace.evaluations[: handed + 1], np.arange(1, handed + 2))
    # One prepares the Jacobian of 50 columns, and one is that of the step.
    assert result.evaluations == handed + 1 + 1 + 50 + 1
    assert result.trace.residual[handed] == result.trace.residual[: handed + 1].min()


@pytest.mark.parametrize("method", ["km", "picard"])
def test_relaxed_steps_are_resumed_where_they_were(method: str) -> None:
    game = generated("iso", size=20, layers=1)
    scheme = nng.solver(method)
    problem = scheme.problem(game, np.random.default_rng(0))
    first = scheme.step(problem, scheme.start(problem, problem.restrict(np.ones(20))))
    resumed = scheme.problem(game, np.random.default_rng(0))
    state = resumed.resume(State(first.x.copy(), first.residual, first.evaluations, problem.difference.copy()))
    again, after = scheme.step(resumed, state), scheme.step(problem, first)
    np.testing.assert_allclose(again.x, after.x, rtol=1e-12, atol=1e-14)
    assert again.evaluations == after.evaluations


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
    assert forecast._least(gram)[-1] ** 0.5 == pytest.approx(least, rel=1e-8)
    plain = [float(np.linalg.norm(g)) for g in displacements]
    assert forecast.plain_factor(displacements) == pytest.approx((plain[-1] / plain[-3]) ** 0.5)
    found = forecast.Factors(displacements)
    assert found.relaxed == pytest.approx((averaged[m] / averaged[m - 2]) ** (0.5 * forecast.CAUTION))


@pytest.mark.parametrize(
    ("residual", "factor", "steps"),
    [(1.0, 0.1, 9), (1.0, 1.0, np.inf), (1e-9, 2.0, 0), (1, 0, 1), (1e300, 0.1, 309)],
)
def test_steps_to_the_target(residual: float, factor: float, steps: float) -> None:
    assert forecast.steps_to(1e-9, residual, factor) == pytest.approx(steps)


@pytest.mark.parametrize("long", [False, True])
def test_dear_passes_are_forecast_again(monkeypatch: pytest.MonkeyPatch, long: bool) -> None:
    # The first displacements of a clearing game, where many players are at a bound, say little about the later ones.
    monkeypatch.setattr(changes, "costs_of", lambda game, compiled: costs.Costs(1e-2, 1.05e-2, 1e3))
    monkeypatch.setattr(turns, "LONG_ITERATE", 1)
    game = nng.Network.generate("clearing", 1, size=500).game()
    short = nng.solve(game)
    if long:
        for module in (changes, remembered, anderson):
            monkeypatch.setattr(module, "LONG", 1)
    plain, accelerated, result = (nng.solve(game, method) for method in ("picard", "anderson", "auto"))
    assert result.converged
    assert result.method == "auto:anderson"
    assert accelerated.evaluations - 4 <= result.evaluations <= accelerated.evaluations + 8 < plain.evaluations - 15
    np.testing.assert_allclose(result.profile, plain.profile, atol=1e-6)
    # Long differences take the place of the displacements, and the run goes on as it would beside them.
    np.testing.assert_allclose(result.trace.residual, short.trace.residual, rtol=1e-6, atol=1e-9)


def test_an_acyclic_network_is_told_without_another_copy_of_it() -> None:
    entries = sparse.csr_array(([1.0, 0.0, 2.0], ([1, 0, 2], [0, 2, 1])), shape=(3, 3))
    network = nng.Network.recurrent(entries, np.ones(3), "relu")
    assert order.is_acyclic(network)
    stored: Any = network.weights[1, 1]
    assert stored.matrix.nnz == 3
    closed = sparse.csr_array(([1.0, 0.5, 2.0], ([1, 0, 2], [0, 2, 1])), shape=(3, 3))
    assert not order.is_acyclic(nng.Network.recurrent(closed, np.ones(3), "relu"))


def test_a_layer_that_mixes_its_coordinates_is_one_in_an_order() -> None:
    """In the second network the softmax layer hears its first coordinate from the second one, through relu."""
    below = np.array([[0.0, 0.0], [3.0, 0.0]])
    assert order.is_acyclic(nng.Network.recurrent(below, np.ones(2), "relu"))
    assert not order.is_acyclic(nng.Network.recurrent(below, np.ones(2), "softmax"))
    biases, names = {"a": np.ones(2), "b": np.ones(2)}, {"a": "softmax", "b": "relu"}
    weights = {("b", "a"): [[0.0, 1.0], [0.0, 0.0]], ("a", "b"): [[1.0, 0.0], [0.0, 0.0]], ("b", "b"): below}
    for mixed, acyclic in (("softmax", False), ("relu", True)):
        network = nng.Network.graph(weights, biases, {**names, "a": mixed})
        assert order.is_acyclic(network) == acyclic
    onwards = {("b", "a"): below, ("b", "b"): below}
    assert order.is_acyclic(nng.Network.graph(onwards, biases, names))


def test_acyclic_networks_are_told_from_others() -> None:
    """Against powers of the pattern; a short walk alone finds cycles, and never one that is not there."""
    rng = np.random.default_rng(0)
    found = 0
    for k in range(120):
        n = int(rng.integers(2, 10))
        matrix = (rng.random((n, n)) < 0.25) * rng.standard_normal((n, n))
        if k % 2:
            order_of = rng.permutation(n)
            matrix = np.tril(matrix, -1)[order_of][:, order_of]
        acyclic = not np.linalg.matrix_power(matrix != 0, n).any()
        assert order.is_acyclic(nng.Network.recurrent(sparse.csr_array(matrix), np.ones(n), "relu")) == acyclic
        walks = order._walks_in_a_circle(sparse.csr_array(matrix))
        assert not (walks and acyclic)
        found += walks
    assert found > 20


@pytest.mark.parametrize("size", [5, 20, 200])
def test_first_passes_that_end_before_a_look_would_pay_are_not_interrupted(size: int) -> None:
    """They are those whose residual, falling by one factor, reaches the target in the time of a look, or quick ones."""
    game, target = nng.Network.ring([0.5 * np.eye(size)], [np.ones(size)], ["tanh"]).game(), 1e-9
    counted = costs.costs_of(game, compiled=True)
    most, pause = judging.uninterrupted(counted, target, 2.0)
    factor = (pause / 2.0) ** (1 / costs.DISPLACEMENTS)
    later, plain = most - costs.DISPLACEMENTS, counted.plain
    if size == 200:
        assert factor == pytest.approx(costs.QUICK)
        assert 2.0 * factor ** (later + 1) < target <= 2.0 * factor**later
        assert later * plain > costs.LOOK
    else:
        assert factor > costs.QUICK
        assert 2.0 * factor ** (most + 1) < target <= 2.0 * factor**most
        assert later * plain <= costs.LOOK < (later + 1) * plain


@pytest.mark.parametrize("method", ["auto", "picard", "newton"])
def test_a_scheme_that_draws_nothing_leaves_the_generator_as_it_is(method: str) -> None:
    rng = np.random.default_rng(3)
    before = rng.bit_generator.state
    game = scalar_ring([0.5, 0.5], [0.0, 1.0])
    assert nng.solve(game, method, seed=rng).converged
    assert rng.bit_generator.state == before
    with pytest.raises(InputError, match="seed must be a nonnegative integer"):
        nng.solve(game, method, seed=-1)


def test_a_ring_of_many_small_layers_begins_with_plain_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are assembled into one sparse matrix, but plain passes of the composite map answer in turn already."""
    game = generated("gaussian", size=20, layers=16)
    assert game.network.joint.assembled
    monkeypatch.setattr(turns, "kernels", lambda limited: object())
    assert turns.first_scheme(game).name == "picard"
    monkeypatch.setattr(turns, "_sweeps", lambda game: True)
    one = generated("gaussian", size=20, layers=1)
    assert turns.first_scheme(one).name == "spectral"
