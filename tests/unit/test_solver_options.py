"""The options of solvers at the ends of their ranges, and what messages say there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nngames as nng
from nngames.solvers.advice import existence_proved
from nngames.solvers.golden_ratio import adapted

HUGE = 10**400

NUMBERS = [
    ("extragradient", "step_size", "be a positive number"),
    ("golden_ratio", "step_size", "be a positive number"),
    ("forward_backward", "step_size", "be a positive number"),
    ("anderson", "mixing", r"lie in \(0, 1\]"),
    ("anderson", "regularization", "be finite and nonnegative"),
    ("anderson", "growth", "be a number of at least 1"),
    ("broyden", "growth", "be a number of at least 1"),
    ("best_response", "damping", r"lie in \(0, 1\]"),
]


def pair(weight: float, activation: Any = "identity") -> Any:
    return nng.Network.ring([[[weight]], [[-weight]]], [[1.0], [0.0]], [activation] * 2).game()


@pytest.mark.parametrize(("method", "name", "must"), NUMBERS)
def test_what_is_no_real_number_is_refused(method: str, name: str, must: str) -> None:
    wrong = (HUGE, -HUGE, 10**5000, np.nan, np.inf, -1, True, np.bool_(True), 1j, np.complex128(1), "1", [1.0], None)
    for value in wrong[: -1 if name == "step_size" else None]:
        with pytest.raises(nng.OptionError, match=f"^{method}: {name} must {must}; got "):
            nng.solver(method, **{name: value})


@pytest.mark.parametrize(("method", "name", "must"), NUMBERS)
@pytest.mark.parametrize("one", [1, np.int64(1), np.float32(1), np.float64(1), np.uint8(1)])
def test_numbers_of_numpy_are_numbers(method: str, name: str, must: str, one: Any) -> None:
    value = nng.solver(method, **{name: one}).options[name]
    assert type(value) is float
    assert value == 1.0


def test_a_single_precision_step_does_not_round_the_proof() -> None:
    step = np.float32(0.1)
    found, same = (nng.solver("popov", step_size=size).guarantee(pair(1.0)) for size in (step, float(step)))
    assert found.witness == same.witness
    assert found.margin == same.margin


@pytest.mark.parametrize("name", ["tolerance", "max_iterations", "max_seconds"])
def test_limits_that_are_no_real_numbers_are_refused(name: str) -> None:
    wrong = (-HUGE, -(10**5000), np.nan, 1j, np.complex128(0.5), True, "1", [1.0])
    # Any number of iterations is one.
    for value in wrong if name == "max_iterations" else (*wrong, HUGE, 10**5000):
        with pytest.raises(nng.OptionError, match=f"^{name} must be a .*; got "):
            nng.solve(pair(0.5), "km", **{name: value})


def test_relaxations_that_are_no_real_numbers_are_refused() -> None:
    for value in (HUGE, 10**5000, np.nan, -1.0, 1j, np.complex128(0.5), True, b"x", bytearray(b"x"), memoryview(b"x")):
        for given in (value, [0.5, value], {"initial": value}, {"power": value}):
            with pytest.raises(nng.OptionError, match=r"^relaxation"):
                nng.solver("km", relaxation=given)
        with pytest.raises(nng.OptionError, match=r"^the relaxation at step 0 "):
            nng.solve(pair(0.5), "km", relaxation=lambda step, value=value: value)


def test_a_relaxation_that_falls_below_the_floats_stands_still() -> None:
    result = nng.solve(pair(0.5), "km", relaxation={"initial": 0.5, "power": 1e300}, max_iterations=20)
    assert result.status == "max_iterations"


@pytest.mark.parametrize(("method", "name"), [("golden_ratio", "adaptive"), ("accelerated_gradient", "restart")])
@pytest.mark.parametrize("value", [1, 0.0, np.True_, "no", None, [], np.nan])
def test_switches_are_true_or_false(method: str, name: str, value: Any) -> None:
    with pytest.raises(nng.OptionError, match=f"^{method}: {name} must be true or false; got "):
        nng.solver(method, **{name: value})


@pytest.mark.parametrize("method", ["anderson", "broyden"])
@pytest.mark.parametrize("memory", [np.int64(3), np.uint8(3), 10**30])
def test_every_memory_runs(method: str, memory: Any) -> None:
    solver = nng.solver(method, memory=memory)
    assert type(solver.options["memory"]) is int
    assert nng.solve(pair(3.0), solver).converged


@pytest.mark.parametrize(
    ("method", "options", "beyond"),
    [
        ("newton", {}, ""),
        ("anderson", {}, " beyond 4 times the smallest"),
        ("broyden", {"growth": 1.5}, " beyond 1.5 times the smallest"),
        ("broyden", {"growth": 1}, ""),
    ],
)
def test_the_safeguard_claims_only_its_growth(method: str, options: dict[str, Any], beyond: str) -> None:
    guarantee = nng.solver(method, **options).guarantee(pair(3.0))
    assert guarantee.status == "UNDECIDED"
    assert guarantee.statement.endswith(f"keeps the proposals from raising the residual{beyond}")


def test_adaptive_steps_survive_what_overflows() -> None:
    game = nng.Network.ring([[[0.5]], [[0.9]]], [[1.0], [0.0]], ["tanh", "relu"]).game()
    for step in (1e200, 1e308, 1e-300):
        solver = nng.solver("golden_ratio", adaptive=True, step_size=step)
        nng.solve(game, solver, max_iterations=200)
        problem = solver.problem(game, np.random.default_rng(0))
        with np.errstate(all="ignore"):
            state = solver.start(problem, np.zeros(2))
            for _ in range(50):
                state = solver.step(problem, state)
                assert 0 < state.memory[2] < np.inf
                assert 0 < state.memory[3] < np.inf


def test_an_adaptive_step_does_not_depend_on_the_size_of_the_differences() -> None:
    moved, change = np.array([3.0, -4.0]), np.array([1.0, 7.0])
    expected = adapted(0.5, 1.2, moved, change, 1e6)
    assert expected[0] == pytest.approx(1.5 * 1.2 / 2 * 25 / 50)
    for size in (1e-200, 1e200):
        assert adapted(0.5, 1.2, size * moved, size * change, 1e6) == pytest.approx(expected)
    assert adapted(0.5, 1.2, moved, np.array([np.inf, 1.0]), 1e6) == (0.5, 1.5)
    assert adapted(0.5, 1.2, np.array([np.nan, 1.0]), change, 1e6) == (0.5, 1.5)
    assert adapted(1e200, 1e-250, moved, change, 1e206)[0] > 0


def test_a_bound_on_the_element_is_not_one_on_the_residual() -> None:
    for activation, what in (("softsign_probit", "the inclusion's residual |G_k|"), ("identity", "the residual")):
        guarantee = nng.solver("anchored_extragradient").guarantee(pair(0.5, activation))
        assert guarantee.proved, guarantee
        assert (guarantee.rate is None) == (activation == "softsign_probit")
        assert f": {what} falls to 0 like 1/k" in guarantee.statement


def test_strong_monotonicity_proves_existence_whatever_the_rate() -> None:
    solver = nng.solver("anchored_extragradient")
    strong = nng.Network.recurrent([[-3.0]], [1.0], "linear").game()
    merely = nng.Network.ring([[[1.0]], [[1.0]]], [[1.0], [0.0]], ["tanh"] * 2).game()
    assert existence_proved(solver.guarantee(strong))
    assert not existence_proved(solver.guarantee(merely))
    message = nng.solve(strong, solver, max_iterations=3).message
    assert "convergence is proved, so allow more" in message


def test_a_step_just_outside_is_shown_with_its_digits() -> None:
    game = pair(2.0)
    longest = 1 / game.inclusion().norm_bound
    statement = nng.solver("anchored_extragradient", step_size=longest).guarantee(game).statement
    assert statement.endswith(f"the step {longest:.17g} is not below 1/|M| = {longest:.17g} up to rounding")
    assert "is above 1/|M|" in nng.solver("anchored_extragradient", step_size=1.1 * longest).guarantee(game).statement


@pytest.mark.parametrize(
    ("method", "source"),
    [
        ("popov", "Popov (1980)"),
        ("golden_ratio", "Malitsky (2020)"),
        ("projected_reflected", "Malitsky and Tam (2020)"),
        ("forward_backward_forward", "Tseng (2000)"),
    ],
)
def test_derived_rates_say_where_they_are_derived(method: str, source: str) -> None:
    guarantee = nng.solver(method).guarantee(pair(3.0))
    assert guarantee.rate.quantity == "distance"
    assert guarantee.method == f"monotone, derivation in the docstring, after {source}"
