"""Feeds: each rule of the classifier on a trajectory known by hand, relaxations, schedules and perturbations."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import nngames as nng
from nngames.core.errors import NotApplicableError, OptionError
from nngames.networks import Constant, Diminishing, Given, as_relaxation

Array = NDArray[np.float64]


def recurrent(weight: Any, bias: Any = 0.0, activation: Any = "identity") -> Any:
    return nng.Network.recurrent(weight, bias, activation)


def turn(angle: float, factor: float = 1.0) -> Array:
    return factor * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def shift(period: int) -> Array:
    """Return the cyclic shift of R^period: every orbit from a unit vector has that period."""
    return np.roll(np.eye(period), 1, axis=0)


# Fixed points


def test_a_contraction_reaches_its_fixed_point() -> None:
    network = nng.Network.ring([0.5, -0.5], [1.0, 2.0], ["identity", "identity"])
    trajectory = network.feed([0.0])
    assert trajectory.kind == "fixed_point"
    assert trajectory.period == 1
    # x_1 = 0.5 x_2 + 1, x_2 = -0.5 x_1 + 2
    np.testing.assert_allclose(trajectory.limit, [1.6, 1.2], atol=1e-8)
    assert len(trajectory.residuals) == trajectory.steps + 1 == len(trajectory.states)
    assert trajectory.residuals[-1] <= 1e-9 * 2.0
    assert trajectory.condition is None
    assert trajectory.cycle is None
    assert trajectory.reason.startswith(f"after {trajectory.steps} steps the residual is ")
    data = trajectory.to_dict()
    assert data["kind"] == "fixed_point"
    assert data["period"] == 1


def test_a_start_at_the_fixed_point_is_recognised_at_once() -> None:
    trajectory = recurrent(1.0).feed([3.0])
    assert (trajectory.kind, trajectory.steps) == ("fixed_point", 0)
    np.testing.assert_array_equal(trajectory.limit, [3.0])


@pytest.mark.parametrize("factor", [0.9, 0.99, -0.99])
def test_slow_contractions_are_still_fixed_points(factor: float) -> None:
    trajectory = recurrent(factor, 1.0).feed([0.0], steps=5000)
    assert trajectory.kind == "fixed_point"
    np.testing.assert_allclose(trajectory.limit, 1 / (1 - factor), atol=1e-6)


def test_a_finite_chain_settles_exactly() -> None:
    network = nng.Network.chain([2.0, 3.0, 5.0], [1.0, 1.0, 1.0], ["identity"] * 3, [1.0])
    trajectory = network.feed(np.zeros(3))
    assert trajectory.kind == "fixed_point"
    assert trajectory.steps <= 3
    np.testing.assert_array_equal(trajectory.limit, [3.0, 10.0, 51.0])


# Creeping: small residuals are not enough


@pytest.mark.parametrize("start", [-5.0, 0.0, 10.0, 22.0, 24.0, 25.0, 26.0, 27.0])
def test_softplus_creeps_to_infinity_and_is_not_called_convergent(start: float) -> None:
    # x + log(1 + e^-x) has no fixed point; from 22 on every residual is below the tolerance.
    trajectory = recurrent(1.0, 0.0, "softplus_beta").feed([start], steps=2000)
    assert trajectory.kind == "undecided"
    assert trajectory.limit is None
    assert trajectory.period is None
    assert trajectory.reason == "no rule decided within the steps allowed"


def test_a_coarse_tolerance_does_not_make_softplus_convergent() -> None:
    assert recurrent(1.0, 0.0, "softplus_beta").feed([0.0], steps=3000, tolerance=1e-3).kind == "undecided"


def test_a_translation_is_undecided_until_it_is_far_away() -> None:
    trajectory = recurrent(1.0, 1.0).feed([0.0], steps=300)
    assert trajectory.kind == "undecided"
    assert trajectory.steps == 300
    np.testing.assert_array_equal(trajectory.states[:, 0], np.arange(301))


def test_a_tiny_relaxation_neither_converges_nor_cycles() -> None:
    for relaxation in (1e-10, 1e-14, 1e-20):
        trajectory = recurrent(0.5, 1.0).feed([0.0], rule="averaged", relaxation=relaxation, steps=1500)
        assert trajectory.kind == "undecided", relaxation


# Limit cycles


@pytest.mark.parametrize("period", [2, 3, 4, 5, 7, 12, 64, 511, 512])
def test_permutations_cycle_with_their_period(period: int) -> None:
    trajectory = recurrent(shift(period), np.zeros(period)).feed(np.eye(period)[0], steps=4000)
    assert (trajectory.kind, trajectory.period) == ("limit_cycle", period)
    assert trajectory.limit is None
    assert trajectory.cycle.shape == (period, period)
    states = {tuple(state) for state in trajectory.cycle.tolist()}
    assert states == {tuple(row) for row in np.eye(period).tolist()}


def test_a_period_beyond_the_longest_is_undecided() -> None:
    assert recurrent(shift(513), np.zeros(513)).feed(np.eye(513)[0], steps=3000).kind == "undecided"


@pytest.mark.parametrize("parts", [2, 3, 4, 5, 6, 9, 40])
def test_rotations_by_a_fraction_of_the_circle_cycle(parts: int) -> None:
    trajectory = recurrent(turn(2 * np.pi / parts), [1.0, 0.0]).feed([0.0, 0.0], steps=500)
    assert (trajectory.kind, trajectory.period) == ("limit_cycle", parts)


def test_an_attracting_cycle_is_found_after_its_transient() -> None:
    # x -> -tanh(2x) has the stable cycle +-a with a = tanh(2a).
    trajectory = nng.Network.ring([-2.0], [0.0], ["tanh"]).feed([0.01])
    assert (trajectory.kind, trajectory.period) == ("limit_cycle", 2)
    a, b = sorted(trajectory.cycle[:, 0])
    assert a == pytest.approx(-b)
    assert b == pytest.approx(np.tanh(2 * b), rel=1e-9)


def test_a_slowly_attracting_cycle_is_found() -> None:
    # x -> -tanh(1.02 x): the twofold map has a slope close to 1 at the cycle.
    trajectory = nng.Network.ring([-1.02], [0.0], ["tanh"]).feed([0.5], steps=5000)
    assert (trajectory.kind, trajectory.period) == ("limit_cycle", 2)


@pytest.mark.parametrize("angle", [1.0, 2 * np.pi * (np.sqrt(5) - 1) / 2, 2 * np.pi / 7 + 1e-12, np.pi + 1e-6])
def test_quasi_periodic_rotations_are_not_called_cycles(angle: float) -> None:
    assert recurrent(turn(angle), [1.0, 0.0]).feed([0.0, 0.0], steps=3000).kind == "undecided"


@pytest.mark.parametrize("factor", [1 - 1e-10, 1 - 1e-12, 1 + 1e-11])
@pytest.mark.parametrize("parts", [2, 4])
def test_slow_spirals_are_not_called_cycles(factor: float, parts: int) -> None:
    trajectory = recurrent(turn(2 * np.pi / parts, factor), [1.0, 0.0]).feed([5.0, 0.0], steps=2000)
    assert trajectory.kind == "undecided"


def test_averaging_stops_the_cycle() -> None:
    network = recurrent(turn(np.pi / 2), [1.0, 0.0])
    trajectory = network.feed([0.0, 0.0], rule="averaged")
    assert trajectory.kind == "fixed_point"
    np.testing.assert_allclose(trajectory.limit, [0.5, 0.5], atol=1e-8)


# Divergence


@pytest.mark.parametrize("weight", [2.0, -1.5, 1.05])
def test_growth_is_divergence(weight: float) -> None:
    trajectory = recurrent(weight, 1.0).feed([1.0])
    assert trajectory.kind == "diverged"
    assert trajectory.limit is None
    assert np.isfinite(trajectory.residuals).all()
    assert " exceeds " in trajectory.reason


def test_overflow_is_divergence_without_a_warning() -> None:
    trajectory = recurrent(1e200, 1.0).feed([1.0])
    assert trajectory.kind == "diverged"


def test_the_ring_of_minus_two_diverges_and_its_small_relaxation_converges() -> None:
    network = nng.Network.ring([-2.0] * 3, [1.0, 0.0, 0.0], ["identity"] * 3)
    assert network.feed([1.0]).kind == "diverged"
    assert network.feed([1.0], rule="averaged", relaxation=0.25).kind == "diverged"
    trajectory = network.feed([1.0], rule="averaged", relaxation=0.2)
    assert trajectory.kind == "fixed_point"
    np.testing.assert_allclose(trajectory.limit, [1 / 9, -2 / 9, 4 / 9], atol=1e-8)


# Bookkeeping


def test_long_runs_keep_the_last_states(monkeypatch: pytest.MonkeyPatch) -> None:
    from nngames.networks import feeds

    monkeypatch.setattr(feeds, "KEPT_NUMBERS", 10)
    trajectory = recurrent(1.0, 1.0).feed([0.0], steps=100)
    np.testing.assert_array_equal(trajectory.states[:, 0], np.arange(91, 101))
    assert len(trajectory.residuals) == 101


def test_a_float32_start_stays_float32() -> None:
    trajectory = recurrent(0.5, 1.0, "tanh").feed(np.zeros(1, np.float32), tolerance=1e-5)
    assert trajectory.kind == "fixed_point"
    assert trajectory.states.dtype == np.float32


# Relaxations


@pytest.mark.parametrize(
    ("value", "first", "averagedness", "expected"),
    [
        (0.5, [0.5, 0.5, 0.5], 1.0, True),
        (1.0, [1.0, 1.0], 1.0, False),
        (1.0, [1.0, 1.0], 0.9, True),
        (1.9, [1.9], 0.5, True),
        (2.0, [2.0], 0.5, False),
        (0.0, [0.0], 0.5, False),
        ("diminishing", [1.0, 0.5, 1 / 3], 1.0, True),
        ({"initial": 0.5, "power": 0.5}, [0.5, 0.5 / 2**0.5], 1.0, True),
        ({"initial": 0.5, "power": 1.01}, [0.5], 1.0, False),
        ({"initial": 0.5, "power": 0}, [0.5, 0.5], 1.0, True),
        ({"initial": 1.0, "power": 0}, [1.0, 1.0], 1.0, False),
        ({"initial": 1.2}, [1.2, 0.6], 1.0, False),
        ({"initial": 1.2}, [1.2, 0.6], 0.75, True),
        ([0.9, 0.1], [0.9, 0.1, 0.1, 0.1], 1.0, True),
        ([0.9, 1.0], [0.9, 1.0, 1.0], 1.0, False),
        ([0.9, 0.0], [0.9, 0.0], 1.0, False),
        (lambda t: 1 / (t + 2), [0.5, 1 / 3], 1.0, None),
    ],
)
def test_relaxations_and_their_condition(value: Any, first: list[float], averagedness: float, expected: Any) -> None:
    relaxation = as_relaxation(value)
    np.testing.assert_allclose([relaxation(t) for t in range(len(first))], first)
    assert relaxation.satisfies(averagedness) is expected
    verdict = relaxation.condition(averagedness)
    assert verdict.status == {True: "PROVED", False: "REFUTED", None: "UNDECIDED"}[expected]
    assert relaxation.condition(None).status == "UNDECIDED"
    assert as_relaxation(relaxation) is relaxation
    assert isinstance(relaxation, Constant | Diminishing | Given)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (-0.1, "relaxation must be finite and nonnegative; got -0.1"),
        (float("nan"), "relaxation must be finite and nonnegative; got nan"),
        (True, "relaxation must be a nonnegative number; got True"),
        (None, "relaxation must be a nonnegative number; got None"),
        ("shrinking", "relaxation 'shrinking' is unknown; valid: a number, 'diminishing', a mapping, a list"),
        ([], "relaxation is an empty list; give at least one value"),
        ([0.5, -1], "relaxation[1] must be finite and nonnegative; got -1"),
        (
            {"initial": 1, "pwer": 2},
            "a diminishing relaxation has no option 'pwer'; did you mean 'power'? valid: initial, power",
        ),
        ({"initial": "x"}, "relaxation initial must be a nonnegative number; got 'x'"),
    ],
)
def test_wrong_relaxations_are_refused_exactly(value: Any, message: str) -> None:
    for use in (as_relaxation, lambda v: recurrent(0.5).feed([1.0], rule="averaged", relaxation=v)):
        with pytest.raises(OptionError) as caught:
            use(value)
        assert str(caught.value) == message


def test_a_function_that_returns_no_number_is_refused_at_its_step() -> None:
    with pytest.raises(OptionError) as caught:
        recurrent(0.5).feed([1.0], rule="averaged", relaxation=lambda t: 0.5 if t < 3 else -1)
    assert str(caught.value) == "the relaxation at step 3 must be finite and nonnegative; got -1"


@pytest.mark.parametrize(
    ("network", "relaxation", "status", "averagedness"),
    [
        (recurrent(turn(np.pi / 2).round(), [1.0, 0.0]), 0.5, "PROVED", 1.0),
        (recurrent(turn(np.pi / 2).round(), [1.0, 0.0]), 1.0, "REFUTED", 1.0),
        (nng.Network.ring([0.5, 0.5], [0.0, 0.0], ["tanh"] * 2), 1.5, "PROVED", 0.625),
        (nng.Network.ring([0.5, 0.5], [0.0, 0.0], ["tanh"] * 2), 1.7, "REFUTED", 0.625),
        (nng.Network.ring([4.0, 0.25], [0.0, 0.0], ["relu"] * 2), 0.9, "PROVED", 1.0),
        (nng.Network.ring([2.0, 2.0], [0.0, 0.0], ["sigmoid"] * 2), 1.0, "PROVED", 0.625),
        (nng.Network.ring([1.01, 1.0], [0.0, 0.0], ["tanh"] * 2), 0.5, "UNDECIDED", None),
        (nng.Network.graph({(1, 2): 0.1}, {1: 0.0, 2: 0.0}, "tanh"), 0.5, "UNDECIDED", None),
    ],
)
def test_the_averaged_feed_says_whether_its_relaxation_is_licensed(
    network: Any, relaxation: float, status: str, averagedness: float | None
) -> None:
    state = np.zeros(network.size if network.ring_order is None else network.dims[network.players[-1]])
    condition = network.feed(state, rule="averaged", relaxation=relaxation, steps=1).condition
    assert condition.status == status
    assert condition.witness.get("averagedness") == averagedness


# Schedules and perturbations


def _contraction() -> Any:
    rng = np.random.default_rng(0)
    weights = [0.5 * rng.standard_normal((3, 3)) / 3 for _ in range(3)]
    return nng.Network.ring(weights, [rng.standard_normal(3) for _ in range(3)], ["tanh", "relu", "sigmoid"])


def _nonexpansive() -> Any:
    return nng.Network.ring([turn(np.pi / 2).round(), np.eye(2)], [[1.0, 0.0], [0.0, 0.5]], ["identity"] * 2)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("network", "rule"),
    [(_contraction(), "iterated"), (_contraction(), "averaged"), (_nonexpansive(), "averaged")],
    ids=["contraction iterated", "contraction averaged", "nonexpansive averaged"],
)
def test_a_summable_perturbation_leads_to_an_equilibrium_of_the_limit_network(
    network: Any, rule: str, seed: int
) -> None:
    perturbation = nng.Perturbation(scale=0.5, power=3.0, seed=seed)
    assert perturbation.summable
    state = np.ones(network.dims[network.players[-1]])
    trajectory = network.feed(state, rule=rule, steps=4000, tolerance=1e-7, schedule=perturbation)
    assert trajectory.kind == "fixed_point", trajectory.reason
    game = network.game()
    assert game.residual(trajectory.limit) <= 1e-6
    assert game.nash_gap(trajectory.limit) <= 1e-12
    plain = network.feed(state, rule=rule, steps=4000, tolerance=1e-7)
    # The path differs, the limit network is the same.
    assert not np.allclose(trajectory.states[1], plain.states[1], atol=1e-3)
    np.testing.assert_allclose(trajectory.limit, plain.limit, atol=1e-4)


@pytest.mark.parametrize("rule", ["iterated", "averaged"])
def test_a_perturbation_that_does_not_vanish_never_settles(rule: str) -> None:
    perturbation = nng.Perturbation(scale=0.1, power=0.0, seed=1)
    assert not perturbation.summable
    trajectory = _contraction().feed(np.zeros(3), rule=rule, steps=400, schedule=perturbation)
    assert trajectory.kind == "undecided"
    assert trajectory.residuals[-100:].min() > 1e-4


def test_perturbations_are_reproducible_and_of_the_stated_size() -> None:
    network = _contraction()
    perturbation = nng.Perturbation(scale=0.3, power=2.0, seed=7)
    first, second = (network.feed(np.zeros(3), steps=30, schedule=perturbation).states for _ in range(2))
    np.testing.assert_array_equal(first, second)
    at = perturbation.schedule(network)
    for step in range(3):
        moved = at(step)
        for edge, weight in network.weights.items():
            error = moved.weights[edge].dense - weight.dense
            assert np.linalg.norm(error) == pytest.approx(0.3 / (step + 1) ** 2)
        for player, bias in network.biases.items():
            assert np.linalg.norm(moved.biases[player] - bias) == pytest.approx(0.3 / (step + 1) ** 2)


def test_a_schedule_of_networks_is_followed() -> None:
    target = recurrent(0.5, 1.0)
    trajectory = target.feed([0.0], steps=3, schedule=lambda t: recurrent(0.5, 1.0 + 2.0**-t))
    state, expected = 0.0, [0.0]
    for t in range(3):
        state = 0.5 * state + 1.0 + 2.0**-t
        expected.append(state)
    np.testing.assert_allclose(trajectory.states[:, 0], expected)
    np.testing.assert_allclose(trajectory.residuals, [abs(1 - 0.5 * x) for x in expected])


def test_a_schedule_needs_linear_couplings_to_perturb() -> None:
    coupling = nng.BilinearCoupling("c", ("a", "b"), np.ones((1, 1, 1)))
    network = nng.Network([coupling], {"a": 0.0, "b": 0.0, "c": 0.0}, dict.fromkeys("abc", "tanh"))
    with pytest.raises(NotApplicableError, match=r"^a coupling of this network is not linear"):
        network.feed(np.zeros(3), schedule=nng.Perturbation(0.1))


@pytest.mark.parametrize(("scale", "power"), [(-1.0, 2.0), (1.0, -2.0), (float("nan"), 1.0)])
def test_wrong_perturbations_are_refused(scale: float, power: float) -> None:
    with pytest.raises(OptionError, match=r"^a perturbation needs scale >= 0 and power >= 0; got "):
        nng.Perturbation(scale, power)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 4), layers=st.integers(1, 4), relaxation=st.floats(0.05, 1.0))
def test_contractions_settle_and_the_residual_of_the_averaged_feed_never_grows(
    seed: int, n: int, layers: int, relaxation: float
) -> None:
    rng = np.random.default_rng(seed)
    weights = [rng.standard_normal((n, n)) for _ in range(layers)]
    weights = [0.9 * w / np.linalg.norm(w, 2) for w in weights]
    network = nng.Network.ring(weights, [rng.standard_normal(n) for _ in range(layers)], ["tanh"] * layers)
    trajectory = network.feed(rng.standard_normal(n), rule="averaged", relaxation=relaxation, steps=10_000)
    assert trajectory.kind == "fixed_point"
    for before, after in pairwise(trajectory.residuals):
        assert after <= before * (1 + 1e-9) + 1e-15
    assert network.game("neurons" if layers == 1 else "auto").nash_gap(trajectory.limit) <= 1e-14


def test_a_ring_takes_a_full_profile_and_uses_its_last_layer() -> None:
    network = nng.Network.graph({("a", "b"): 0.5, ("b", "a"): -0.5}, {"a": 1.0, "b": 2.0}, "tanh")
    for profile in ([9.0, 0.3], {"a": 9.0, "b": 0.3}, {"b": 0.3}):
        np.testing.assert_array_equal(network.forward(profile), network.forward([0.3]))
        np.testing.assert_array_equal(network.feed(profile).residuals, network.feed([0.3]).residuals)
    np.testing.assert_array_equal(network.forward([[9.0, 0.3], [8.0, 0.4]])[1], network.forward([[0.3], [0.4]])[1])


def test_the_way_to_a_large_equilibrium_is_no_divergence() -> None:
    network = nng.Network.graph({("a", "a"): 0.5, ("b", "a"): 1e9}, {"a": 0.5, "b": 0.0}, "identity")
    trajectory = network.feed([0.0, 0.0])
    assert trajectory.kind == "fixed_point"
    np.testing.assert_allclose(trajectory.limit, [1.0, 1e9], rtol=1e-12)
