"""Solvers: every status reached on a designed game with its message, options, traces, time, seeds and interruption."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import nngames as nng
from nngames.core.errors import InputError, NotApplicableError, OptionError, ShapeError, UnknownNameError
from nngames.networks.generators import generate
from nngames.solvers import Interrupted, loop, stopping
from nngames.solvers.solver import State
from nngames.solvers.stopping import Watch

Array = NDArray[np.float64]


def ring(weights: Any, biases: Any = None, activation: str = "identity", players: str = "auto") -> Any:
    biases = [0.0] * len(weights) if biases is None else biases
    return nng.Network.ring(weights, biases, [activation] * len(weights)).game(players)


def near_isometry() -> Any:
    """Return a game whose composite map turns around its equilibrium, and contracts by 1 - 1e-9."""
    return generate("iso", 3, size=2, layers=1).network.game()


def contraction() -> Any:
    return ring([0.5, 0.5], [1.0, 0.0], "tanh")


def turning(angle: float, factor: float = 1.0) -> Any:
    c, s = factor * np.cos(angle), factor * np.sin(angle)
    return ring([[[c, -s], [s, c]]], [[1.0, 0.0]], players="neurons")


SHIFT_5 = np.roll(np.eye(5), 1, axis=0)


# Statuses


@pytest.mark.parametrize(
    ("game", "method", "options", "status", "message"),
    [
        (
            contraction(),
            "best_response",
            {},
            "converged",
            "best_response converged: residual 2.12e-11 <= 1.00e-09 after 9 iterations",
        ),
        (
            ring([1.0, 1.0, 1.0]),
            "picard",
            {"map": "joint", "start": [0, 0, 1]},
            "cycling",
            "picard cycles with period 3; M is monotone (margin 0.00): try --method extragradient",
        ),
        (
            ring([1.0, -1.0]),
            "best_response",
            {"start": [1, 1]},
            "cycling",
            "best_response cycles with period 2; M is monotone (margin 1.00): try --method extragradient",
        ),
        (
            ring([1.0, -1.0]),
            "picard",
            {"map": "joint", "start": [1, 1]},
            "cycling",
            "picard cycles with period 4; M is monotone (margin 1.00): try --method extragradient",
        ),
        (
            # The least eigenvalue of (M + M')/2 is 1 - (7.998 - 6)/2.
            ring([-6.0, 7.998], [1.0, 0.0]),
            "picard",
            {},
            "diverged",
            "picard diverges: residual 9.77e+10 after 6 iterations; M is monotone (margin 1.0e-03): try --method "
            "extragradient",
        ),
        (
            ring([-2.0] * 3, [1.0, 0.0, 0.0]),
            "km",
            {"map": "joint"},
            "diverged",
            "km diverges: residual 1.32e+10 after 84 iterations; M is monotone (margin 0.00): try --method "
            "extragradient",
        ),
        (
            ring([2.0, 2.0], [1.0, 0.0]),
            "picard",
            {},
            "diverged",
            "picard diverges: residual 3.44e+10 after 17 iterations; no certificate licenses a scheme here: try "
            "--method auto",
        ),
        (
            ring([1e200] * 3, [1.0, 0.0, 0.0]),
            "picard",
            {},
            "not_finite",
            "picard left the finite numbers after 0 iterations; no certificate licenses a scheme here: try "
            "--method auto",
        ),
        (
            contraction(),
            "extragradient",
            {"tolerance": 1e-17},
            "stalled",
            "extragradient makes no more progress: residual 2.48e-16 > 1.00e-17 after 2000 iterations; the joint map "
            "contracts by 0.5 in a weighted maximum norm over the players: try --method best_response",
        ),
        (
            contraction(),
            "km",
            {"max_iterations": 3},
            "max_iterations",
            "km used its 3 iterations; residual 5.67e-02 > 1.00e-09; convergence is proved, so allow more: "
            "--max-iterations 1000",
        ),
        (
            contraction(),
            "picard",
            {"max_iterations": 0},
            "max_iterations",
            "picard used its 0 iterations; residual 3.63e-01 > 1.00e-09; convergence is proved, so allow more: "
            "--max-iterations 1000",
        ),
        (
            near_isometry(),
            "picard",
            {"max_iterations": 50},
            "max_iterations",
            "picard used its 50 iterations; residual 1.65e+00 > 2.34e-09; convergence is proved, but not at a rate "
            "worth waiting for; M is monotone (margin 0.66): try --method extragradient",
        ),
        (
            near_isometry(),
            "km",
            {"max_iterations": 12},
            "max_iterations",
            "km used its 12 iterations; residual 1.89e-01 > 2.34e-09; convergence is proved, so allow more: "
            "--max-iterations 1000",
        ),
        (
            ring([1.0, 1.0], [1.0, 0.0]),
            "extragradient",
            {"max_iterations": 500},
            "max_iterations",
            "extragradient used its 500 iterations; residual 7.07e-01 > 1.00e-09; convergence is proved if there is an "
            "equilibrium, which is not proved: allow more, --max-iterations 5000",
        ),
        (
            contraction(),
            "km",
            {"max_seconds": 1e-12},
            "max_seconds",
            "km used its time after 0 iterations; residual 3.63e-01 > 1.00e-09; convergence is proved, so allow more: "
            "a larger --max-seconds",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) and " " not in value else "",
)
def test_every_status_has_its_message(
    game: Any, method: str, options: dict[str, Any], status: str, message: str
) -> None:
    result = nng.solve(game, method, **options)
    assert result.status == status
    assert result.message == message
    assert result.converged == (status == "converged")


@pytest.mark.parametrize(("parts", "expected"), [(2, 2), (3, 3), (4, 4), (5, 5), (40, 40), (600, 600)])
def test_cycles_are_found_with_their_period(parts: int, expected: int) -> None:
    result = nng.solve(turning(2 * np.pi / parts), "picard")
    assert result.status == "cycling"
    assert f"with period {expected};" in result.message


def test_a_permutation_cycles_with_the_length_of_its_orbit() -> None:
    game = ring([SHIFT_5], [np.zeros(5)], players="neurons")
    assert "with period 5;" in nng.solve(game, "picard", start=np.eye(5)[2]).message
    assert nng.solve(game, "picard", start=np.ones(5)).converged


@pytest.mark.parametrize("angle", [1.0, 2 * np.pi / 7 + 1e-12, np.pi + 1e-7, 2 * np.pi * 0.6180339887498949])
@pytest.mark.parametrize("factor", [1.0, 1 - 1e-10])
def test_quasi_periodic_runs_and_slow_spirals_are_not_called_cycles(angle: float, factor: float) -> None:
    result = nng.solve(turning(angle, factor), "picard", max_iterations=4000)
    assert result.status in ("stalled", "max_iterations")
    assert "cycles" not in result.message


def test_a_slow_spiral_by_a_fraction_of_the_circle_is_not_called_a_cycle() -> None:
    for factor in (1 - 1e-10, 1 + 1e-11):
        assert nng.solve(turning(np.pi / 2, factor), "picard", max_iterations=3000).status != "cycling"


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("best_response", {"damping": 1e-10}),
        ("best_response", {"damping": 1e-16, "order": "simultaneous"}),
        ("km", {"relaxation": 1e-10}),
        ("km", {"relaxation": 1e-10, "map": "joint"}),
        ("km", {"relaxation": 0.0}),
        ("extragradient", {"step_size": 1e-10}),
        ("extragradient", {"step_size": 1e-10, "operator": "identity_minus_map"}),
    ],
)
def test_tiny_steps_never_converge_and_never_cycle(method: str, options: dict[str, Any]) -> None:
    # x/2 + 1 from 3: the damped step is 5e-11 long, the fixed point is 2.
    game = ring([0.5, 1.0], [1.0, 0.0])
    result = nng.solve(game, method, start=[3.0, 3.0], **options)
    assert result.status == "stalled"
    assert game.residual(result.profile) > 0.4


def test_converged_means_the_recomputed_residual() -> None:
    # A sweep that moves by little is not convergence: the displacement is not the residual.
    game = ring([0.99, 1.0], [1.0, 0.0])
    for method in ("best_response", "km", "picard", "extragradient"):
        result = nng.solve(game, method, tolerance=1e-6, max_iterations=200_000)
        assert result.converged
        assert game.residual(result.profile) <= 1e-6 * result.scale
        assert result.residual == pytest.approx(game.residual(result.profile), rel=1e-6, abs=1e-15)


def test_a_sweep_that_moves_little_is_not_taken_for_convergence() -> None:
    # b hears c a little, a hears b a million times louder: when c has settled, b moves by 1e-10 and a has yet to.
    game = nng.Network.graph({("a", "b"): 1e6, ("b", "c"): 1e-10}, {"a": 0.0, "b": 0.0, "c": 0.0}, "identity").game()
    result = nng.solve(game, "best_response", start=[1e-4, 1e-10, 1.0])
    assert result.trace.residual.tolist() == [1.0, 1.0, 1e-10, 1e-4, 0.0]
    assert result.converged
    np.testing.assert_array_equal(result.profile, np.zeros(3))


def test_the_scale_is_fixed_before_the_run() -> None:
    game = ring([0.5, 0.5], [300.0, 400.0])
    result = nng.solve(game, "km", start=[1e6, 1e6], tolerance=1e-6)
    assert result.scale == 500.0
    assert result.residual <= 1e-6 * 500.0


def test_a_run_that_waits_for_a_signal_does_not_stall() -> None:
    # The residual is 1 until the signal has passed through all 1500 layers.
    network = nng.Network.chain([1.0] * 1500, [0.0] * 1500, ["identity"] * 1500, [1.0])
    result = nng.solve(network.game(), "picard")
    assert (result.status, result.iterations) == ("converged", 1500)
    assert set(np.round(result.trace.residual, 12)) == {0.0, 1.0}


def test_slow_sublinear_convergence_does_not_stall() -> None:
    game = turning(1e-3)
    result = nng.solve(game, "km", max_iterations=20_000)
    assert result.status == "max_iterations"
    residuals = result.trace.residual
    assert residuals[-1] < residuals[0]


@pytest.mark.parametrize("shrink", [0.999_999_9, 0.999_999_999])
def test_stalling_weighs_the_pace_against_the_budget(shrink: float) -> None:
    # x -> -shrink x moves far, comes back, and loses a fixed share each time: with enough budget it gets there.
    def status(most: int) -> Any:
        watch = Watch(target=1e-9, scale=1.0, autonomous=False, max_iterations=most)
        for k in range(3001):
            x = np.array([(-shrink) ** k])
            found = watch.look(State(x, (1 + shrink) * abs(float(x[0])), k), k)
            if found:
                return found
        return None

    assert status(5000) == "stalled"
    assert status(int(40 / (1 - shrink))) is None


def test_a_long_start_is_compared_with_later_iterates_without_a_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another first iterate is copied, and so are later ones: the steps may write into them."""
    monkeypatch.setattr(stopping, "LONG", 3)
    start = np.zeros(3)
    for first, start_of, same in ((np.zeros(3), start, True), (np.ones(3), start, False), (np.zeros(3), None, False)):
        watch = Watch(target=1e-9, scale=1.0, autonomous=False, max_iterations=9000, start=start_of)
        assert watch.look(State(first, 1.0, 1), 0) is None
        assert (watch._checkpoint_state is start) == same
        np.testing.assert_array_equal(watch._checkpoint_state, first)
        kept = first.copy()
        first += 1e-9
        np.testing.assert_array_equal(watch._checkpoint_state, kept)
        for k in range(1, 1000):
            assert watch.look(State(first, 1.0, k + 1), k) is None
        # It moved by less than the residual, which did not fall.
        assert watch.look(State(first, 1.0, 1001), 1000) == "stalled"
        assert watch._checkpoint_state is not first
        np.testing.assert_array_equal(watch._checkpoint_state, first)


# Options and arguments


@pytest.mark.parametrize(
    ("method", "options", "error", "message"),
    [
        ("km", {"relax": 0.5}, OptionError, "method 'km' has no option 'relax'; did you mean 'relaxation'? valid: map, "
         "precision, relaxation"),
        ("best_response", {"step": 1}, OptionError, "method 'best_response' has no option 'step'; valid: damping, "
         "delay, order"),
        ("kmm", {}, UnknownNameError, f"unknown method 'kmm'; did you mean 'km'? valid: {', '.join(nng.methods())}"),
        ("auto", {"damping": 1.0}, OptionError, "auto chooses the options itself; name a method to set 'damping'"),
        ("km", {"map": "sweep"}, OptionError, "km: map='sweep' is unknown; valid: auto, composite, joint"),
        ("picard", {"map": "T"}, OptionError, "picard: map='T' is unknown; valid: auto, composite, joint"),
        ("km", {"relaxation": -1}, OptionError, "relaxation must be finite and nonnegative; got -1"),
        ("best_response", {"order": "any"}, OptionError, "best_response: order='any' is unknown; valid: sequential, "
         "simultaneous, random, asynchronous, topological"),
        ("best_response", {"damping": 0}, OptionError, "best_response: damping must lie in (0, 1]; got 0"),
        ("best_response", {"damping": 1.5}, OptionError, "best_response: damping must lie in (0, 1]; got 1.5"),
        ("extragradient", {"step_size": 0.0}, OptionError, "extragradient: step_size must be a positive number; got "
         "0.0"),
        ("extragradient", {"operator": "M"}, OptionError, "extragradient: operator='M' is unknown; valid: inclusion, "
         "identity_minus_map"),
        ("km", {"tolerance": 0}, OptionError, "tolerance must be a number between 0 and 1; got 0"),
        ("km", {"tolerance": "1e-6"}, OptionError, "tolerance must be a number between 0 and 1; got '1e-6'"),
        ("km", {"max_iterations": -1}, OptionError, "max_iterations must be a nonnegative integer; got -1"),
        ("km", {"max_iterations": 10.0}, OptionError, "max_iterations must be a nonnegative integer; got 10.0"),
        ("km", {"max_seconds": 0}, OptionError, "max_seconds must be a positive number; got 0"),
        ("km", {"seed": -3}, InputError, "seed must be a nonnegative integer or a numpy Generator; got -3"),
        ("km", {"start": [1.0]}, ShapeError, "start has shape (1,); expected (2,), the actions of 1 (1), 2 (1)"),
        ("km", {"start": [1.0, np.inf]}, InputError, "start[1] is inf; every entry must be finite"),
        ("km", {"start": {1: 0.0}}, InputError, "start has no action for 2"),
    ],
)  # fmt: skip
def test_wrong_arguments_are_refused_exactly(
    method: str, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error) as caught:
        nng.solve(contraction(), method, **options)
    assert str(caught.value) == message


def test_auto_is_no_scheme_by_itself() -> None:
    with pytest.raises(nng.NotApplicableError, match="auto chooses a scheme for a game"):
        nng.solver("auto")


def test_what_is_no_game_is_refused() -> None:
    network = contraction().network
    with pytest.raises(InputError, match=r"pass network\.game\(\)$"):
        nng.solve(network)
    with pytest.raises(InputError, match=r"pass network\.game\(\)$"):
        next(nng.solver("km").iterate(network))
    with pytest.raises(InputError, match=r"takes a game; got int$"):
        nng.solve(3)  # type: ignore[arg-type]


def test_a_method_that_cannot_run_says_why() -> None:
    graph = nng.Network.graph({(1, 2): 0.5}, {1: 0.0, 2: 0.0}, "silu").game()
    with pytest.raises(NotApplicableError) as caught:
        nng.solve(graph, "extragradient")
    assert str(caught.value) == "extragradient does not apply: a game with the tracking cost has no inclusion view"
    assert nng.solver("extragradient").applies(graph) == "a game with the tracking cost has no inclusion view"
    assert nng.solver("km").applies(graph) is None
    with pytest.raises(NotApplicableError, match=r"^picard does not apply: the composite map belongs to "):
        nng.solve(graph, "picard", map="composite")


def test_solver_objects_are_methods() -> None:
    game = contraction()
    scheme = nng.solver("km", relaxation=0.7)
    assert (
        nng.solve(game, scheme).trace.residual.tolist() == nng.solve(game, "km", relaxation=0.7).trace.residual.tolist()
    )
    assert scheme.options == {"relaxation": 0.7, "map": "auto", "precision": "double"}
    with pytest.raises(OptionError) as caught:
        nng.solve(game, scheme, relaxation=0.5)
    assert str(caught.value) == "options ['relaxation'] were given beside a solver object; set them on the object"


# Traces, time, seeds


@pytest.mark.parametrize("method", ["best_response", "km", "picard", "extragradient"])
def test_traces_have_an_entry_for_each_iterate(method: str) -> None:
    game = contraction()
    result = nng.solve(game, method, trace_nash_gap=True)
    count = result.iterations + 1
    trace = result.trace
    assert len(trace.residual) == len(trace.evaluations) == len(trace.seconds) == len(trace.nash_gap) == count
    assert (np.diff(trace.evaluations) == (2 if method == "extragradient" else 1)).all()
    assert trace.evaluations[-1] == result.evaluations
    assert (np.diff(trace.seconds) >= 0).all()
    profiles = [step.profile for _, step in zip(range(count), nng.solver(method).iterate(game), strict=False)]
    assert trace.nash_gap.tolist() == [game.nash_gap(profile) for profile in profiles]
    assert nng.solve(game, method).trace.nash_gap is None
    if method != "best_response":
        np.testing.assert_allclose(trace.residual, [game.residual(p) for p in profiles], rtol=1e-9, atol=1e-15)


class _Clock:
    """A clock that moves only when it is told to, or by a fixed amount with each reading."""

    def __init__(self, tick: float = 0.0) -> None:
        self.now, self.tick = 1000.0, tick

    def perf_counter(self) -> float:
        self.now += self.tick
        return self.now


def test_the_time_of_callbacks_is_not_charged(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = _Clock()
    monkeypatch.setattr(loop, "time", clock)

    def slow(_: Any) -> None:
        clock.now += 100.0

    result = nng.solve(contraction(), "km", callback=slow, max_seconds=1.0)
    assert result.converged
    assert result.seconds == 0.0
    assert result.trace.seconds.max() == 0.0


def test_the_time_limit_ends_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "time", _Clock(tick=1.0))
    result = nng.solve(turning(1.0), "picard", max_seconds=20.0)
    assert result.status == "max_seconds"
    assert 20.0 <= result.trace.seconds[-1] <= 22.0


def test_auto_spends_its_time_limit_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "time", _Clock(tick=1.0))
    result = nng.solve(ring([1.0, 1.0], [1.0, 1.0], "silu"), max_seconds=50.0)
    assert 50.0 <= result.seconds <= 60.0


def test_random_order_follows_its_seed() -> None:
    rng = np.random.default_rng(0)
    game = ring([rng.standard_normal((1, 1)) * 0.6 for _ in range(6)], list(rng.standard_normal((6, 1))), "tanh")

    def trace(seed: Any) -> list[float]:
        return nng.solve(game, "best_response", order="random", seed=seed).trace.residual.tolist()

    assert trace(1) == trace(1) == trace(np.random.default_rng(1))
    assert trace(None) == trace(0)
    assert trace(1) != trace(2)


def test_results_write_themselves_out() -> None:
    result = nng.solve(contraction(), "km", relaxation=[0.9, 0.5], seed=3)
    data = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert data["status"] == "converged"
    assert data["provenance"]["options"] == {"relaxation": [0.9, 0.5], "map": "auto", "precision": "double"}
    assert data["provenance"]["seed"] == 3
    assert data["guarantee"]["status"] == "PROVED"
    assert len(data["trace"]["residual"]) == result.iterations + 1
    assert "trace" not in result.to_dict(trace=False)
    assert result.actions.keys() == {1, 2}
    np.testing.assert_array_equal(np.concatenate(list(result.actions.values())), result.profile)
    assert result.nash_gap == contraction().nash_gap(result.profile)
    broken = nng.solve(ring([1e200] * 3, [1.0, 0.0, 0.0]), "picard")
    json.dumps(broken.to_dict(), allow_nan=False)


def test_the_start_is_not_changed() -> None:
    start = np.array([3.0, -2.0])
    for method in ("best_response", "km", "picard", "extragradient", "auto"):
        nng.solve(contraction(), method, start=start)
        np.testing.assert_array_equal(start, [3.0, -2.0])


# Interruption


@pytest.mark.parametrize("method", ["best_response", "km", "picard", "extragradient", "auto"])
def test_an_interrupted_run_hands_over_what_it_reached(method: str) -> None:
    game = ring([0.9, 1.0], [1.0, 0.0], "leaky_relu")
    seen: list[Any] = []

    def stop(iterate: Any) -> None:
        seen.append(iterate)
        if iterate.iteration == 3:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted) as caught:
        nng.solve(game, method, callback=stop)
    assert isinstance(caught.value, KeyboardInterrupt)
    result = caught.value.result
    assert result.status == "interrupted"
    assert result.iterations == 3
    np.testing.assert_array_equal(result.profile, seen[-1].profile)
    assert result.residual == pytest.approx(game.residual(result.profile))
    assert len(result.trace.residual) == 4
    assert result.message.endswith(f"was interrupted after 3 iterations; residual {result.residual:.2e}")


@pytest.mark.parametrize("relaxation", [1.0, 0.4])
def test_an_interruption_within_a_pass_leaves_a_whole_iterate(
    relaxation: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    game = ring([0.9, 1.0], [1.0, 0.0])
    clean = [
        step.profile for _, step in zip(range(12), nng.solver("km", relaxation=relaxation).iterate(game), strict=False)
    ]
    view = type(game.fixed_point("composite"))
    original, calls = view.evaluate, []

    def broken(self: Any, x: Array, out: Array) -> Array:
        calls.append(0)
        if len(calls) == 10:
            out[...] = np.nan
            raise KeyboardInterrupt
        return original(self, x, out)

    monkeypatch.setattr(view, "evaluate", broken)
    with pytest.raises(Interrupted) as caught:
        nng.solve(game, "km", relaxation=relaxation)
    assert caught.value.result.iterations == 8
    np.testing.assert_array_equal(caught.value.result.profile, clean[8])


def test_an_error_in_a_callback_is_not_swallowed() -> None:
    def fail(_: Any) -> None:
        raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        nng.solve(contraction(), "km", callback=fail)


# Warnings


def test_runs_that_overflow_do_not_warn() -> None:
    game = ring([-3.0, 4.0], [1.0, 0.0])
    for name in ("picard", "km", "best_response", "extragradient"):
        nng.solve(game, name, max_iterations=2000)
        options = {"step_size": 3.0} if name == "extragradient" else {}
        for iterate in nng.solver(name, **options).iterate(game, start=[1.0, 1.0]):
            if iterate.iteration == 1500:
                break
