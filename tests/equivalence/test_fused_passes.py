"""Compiled passes against the passes in NumPy: activations, maps, and whole runs step by step.

Without Numba the kernels are ordinary functions, so all but the last tests run there too, on few steps.
"""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from threading import Barrier, Thread
from time import sleep
from types import FrameType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy import sparse

import nngames as nng
from nngames.compare import execution
from nngames.networks import column_passes, composite_pass, forms
from nngames.networks.compiled import (
    fused_anderson,
    fused_columns,
    fused_kernels,
    fused_newton,
    fused_rows,
    fused_sparse,
    loading,
)
from nngames.networks.compiled.loading import Kernels
from nngames.results.result import Status
from nngames.solvers import loop
from nngames.solvers.automatic import judging, stages, turns
from nngames.solvers.fixed_point import FixedPointProblem
from nngames.solvers.multisecant import solve_gram
from nngames.solvers.stopping import Stretch

FORMS = {
    "identity": nng.activation("identity"),
    "linear": nng.activation("linear", slope=0.7, bias=-0.2),
    "constant": nng.activation("linear", slope=0.0, bias=0.3),
    "relu": nng.activation("relu"),
    "shifted relu": nng.activation("relu", slope=0.5, bias=0.1),
    "leaky_relu": nng.activation("leaky_relu"),
    "prelu": nng.activation("prelu", slope=-0.3),
    "prelu 0": nng.activation("prelu", slope=0.0),
    "steep prelu": nng.activation("prelu", slope=2.0),
    "tanh": nng.activation("tanh"),
    "scaled tanh": nng.activation("tanh", scale=0.8),
    "sigmoid": nng.activation("sigmoid"),
    "hard_tanh": nng.activation("hard_tanh"),
    "relu6": nng.activation("relu6"),
    "nonnegative": nng.activation("nonnegative"),
    "box": nng.activation("box", lower=-0.5, upper=np.inf),
    "piecewise_linear": nng.activation("piecewise_linear"),
    "hard_sigmoid": nng.activation("hard_sigmoid"),
    "softsign": nng.activation("softsign"),
    "soft_threshold": nng.activation("soft_threshold"),
    "softshrink": nng.activation("softshrink"),
    "arctan": nng.activation("arctan"),
    "elu": nng.activation("elu", alpha=0.5),
}


def _kernels() -> Kernels:
    """Return the kernels: compiled with Numba, interpreted without."""
    return Kernels(
        fused_kernels.evaluate,
        fused_kernels.relaxed_steps,
        fused_anderson.anderson_steps,
        fused_columns.respond_in_place,
        fused_columns.respond_and_compare,
        fused_columns.add_squares,
        fused_sparse.evaluate,
        fused_sparse.relaxed_steps,
        fused_sparse.spectral_steps,
        fused_newton.newton_steps,
        fused_rows.answer_in_order,
    )


@pytest.fixture(autouse=True, scope="module")
def _loaded_here_only() -> Iterator[None]:
    """Let no other test find the kernels that a test of this file loads."""
    process = loading._process()
    before = process.kernels
    yield
    process.kernels = before


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The kernels in use: compiled with Numba, interpreted without."""
    kernels = _kernels()
    monkeypatch.setattr(loop, "installed", lambda: True)
    monkeypatch.setattr(loop, "kernels_come", lambda limited: True)
    monkeypatch.setattr(loop, "kernels", lambda limited: kernels)
    # Where nothing is compiled, the kernels warn of overflow as any function of NumPy's numbers does.
    with np.errstate(all="ignore"):
        yield


def ring(sizes: list[int], activations: list[object], norm: float, seed: int = 0) -> nng.NetworkGame:
    """Return the game of a ring with weights of one norm."""
    rng = np.random.default_rng(seed)
    weights = []
    for layer, n in enumerate(sizes):
        weight = rng.standard_normal((n, sizes[layer - 1]))
        weights.append(norm * weight / np.linalg.norm(weight, 2))
    biases = [rng.standard_normal(n) for n in sizes]
    return nng.Network.ring(weights, biases, activations).game(players="neurons" if len(sizes) == 1 else "auto")


@pytest.mark.parametrize("label", FORMS)
def test_a_compiled_activation_agrees_with_the_activation(label: str) -> None:
    rng = np.random.default_rng(1)
    near, far = rng.standard_normal(120), 10.0 ** rng.uniform(-300, 2.8, 40)
    v = np.concatenate([near, far, -far, [0.0, -0.0, 700.0, -700.0, np.inf, -np.inf, np.nan]])
    form, first, second = forms.form_of(FORMS[label])
    parameters = np.zeros((2, 1, v.size))
    parameters[0], parameters[1] = first, second
    out = np.empty((1, v.size))
    with np.errstate(all="ignore"):
        fused_kernels.respond(form, parameters, 0, v.size, v, out, 0)
        expected = FORMS[label](v)
    np.testing.assert_allclose(out[0], expected, rtol=6e-16, atol=5e-324)


def test_the_table_of_forms_has_no_activation_untested() -> None:
    assert {type(activation) for activation in FORMS.values()} | {type(nng.activation("singleton", point=1.0))} >= set(
        forms._FORMS
    )


def test_ends_of_a_box_may_differ_by_coordinate() -> None:
    box = nng.activation("box", lower=[-1.0, 0.0, -np.inf], upper=[0.5, 0.25, 3.0])
    game = ring([3], [box], 2.0)
    view = game.fixed_point()
    x = np.array([1.0, -2.0, 3.0])
    image = np.empty((1, 3))
    fused_kernels.evaluate(*view.fused.arguments(), x.reshape(1, 3), image)
    np.testing.assert_allclose(image[0], view.evaluate(x, np.empty(3)), rtol=1e-15)


@pytest.mark.parametrize("kind", ["composite", "joint"])
@pytest.mark.parametrize("sizes", [[5], [4, 4, 4], [3, 9, 6]])
def test_a_compiled_map_agrees_with_the_view(sizes: list[int], kind: str) -> None:
    names = ["tanh", "relu", "sigmoid"][: len(sizes)]
    view = ring(sizes, names, 1.5).fixed_point(kind)
    if kind == "joint" and len(set(sizes)) > 1:
        assert view.fused is None
        return
    x = np.random.default_rng(3).standard_normal(view.size)
    image = np.empty(view.fused.shape)
    fused_kernels.evaluate(*view.fused.arguments(), x.reshape(view.fused.shape), image)
    np.testing.assert_allclose(image.ravel(), view.evaluate(x, np.empty(view.size)), rtol=1e-14, atol=1e-15)


def test_networks_that_the_kernels_do_not_take() -> None:
    from scipy import sparse

    biases = {"a": np.ones(3), "b": np.ones(3)}
    dense = np.eye(3) / 2
    two = nng.Network.graph({("a", "b"): dense, ("a", "a"): dense, ("b", "a"): dense}, biases, "tanh")
    assert two.joint.fused is None
    assert nng.Network.graph({("a", "b"): sparse.eye(3), ("b", "a"): dense}, biases, "tanh").joint.fused is None
    assert nng.Network.graph({("a", "b"): dense, ("b", "a"): dense}, biases, "softmax").joint.fused is None
    alone = nng.Network.graph({}, biases, "tanh")
    assert alone.joint.fused is None
    assert nng.solve(alone.game()).converged
    open_chain = nng.Network.chain([dense, dense], [np.ones(3), np.ones(3)], ["tanh", "relu"], input=np.ones(3))
    x, image = np.zeros((2, 3)), np.empty((2, 3))
    fused_kernels.evaluate(*open_chain.joint.fused.arguments(), x, image)
    np.testing.assert_allclose(image.ravel(), open_chain.joint(x.ravel()), rtol=1e-15)


CASES = [
    ("picard", {}, "composite", "converged"),
    ("picard", {}, "joint", "converged"),
    ("km", {"relaxation": 0.3}, "composite", "converged"),
    ("anderson", {}, "composite", "converged"),
    ("anderson", {"memory": 3, "mixing": 0.5}, "joint", "converged"),
    ("anderson", {"memory": 0}, "composite", "converged"),
    ("anderson", {"type": "I"}, "composite", "converged"),
    ("anderson", {"regularization": 1e-12}, "composite", "converged"),
]


@pytest.mark.parametrize(("method", "options", "kind", "status"), CASES)
def test_a_compiled_run_is_the_run(
    request: pytest.FixtureRequest, method: str, options: dict, kind: str, status: str
) -> None:
    game = ring([6, 6], ["tanh", "relu"], 0.9)
    plain = nng.solve(game, method, map=kind, **options)
    request.getfixturevalue("compiled")
    result = nng.solve(game, method, map=kind, **options)
    same(result, plain)
    assert result.status == status


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize(("accepted", "moves"), [(0, True), (10**13, False)])
def test_anderson_moves_to_its_orbit_only_with_the_licence_of_a_proposal(accepted: int, moves: bool) -> None:
    """After so many accepted steps the licence asks for more than a residual below the smallest one."""
    game = ring([3, 3], ["tanh", "relu"], 0.5)
    scheme = nng.solver("anderson")
    orbit = nng.solve(game, "picard", tolerance=1e-3).profile[3:]

    def prepared() -> tuple[Any, Any]:
        problem = scheme.problem(game, np.random.default_rng(0))
        state = problem.begin(np.ones(3))
        problem._orbit = orbit.copy(), problem.view.evaluate(orbit, np.empty(3)) - orbit
        problem.behind, problem._lead, problem._accepted = True, 2.0, accepted
        return problem, state

    problem, state = prepared()
    single = scheme.step(problem, state)
    problem, state = prepared()
    several, _, _ = problem.several_steps(loop.kernels(limited=True), state, Stretch(1, 0, 0.0, np.inf, 1.0))
    for following in (single, several):
        assert following.evaluations == state.evaluations + 1
        assert (following.residual < 0.01 * state.residual) == moves
        assert np.array_equal(following.x, state.x) != moves


@pytest.mark.usefixtures("compiled")
def test_anderson_gives_up_an_orbit_that_is_lost() -> None:
    """One whose residual grows by a factor of 1e12 owes nothing any more."""
    game = linear_ring(1e12 * np.eye(2), np.ones(2))
    scheme = nng.solver("anderson")
    ended = []
    for several in (False, True):
        problem = scheme.problem(game, np.random.default_rng(0))
        state = problem.begin(np.ones(2))
        problem.behind, problem._lead = True, 3.0
        if several:
            problem.several_steps(loop.kernels(limited=True), state, Stretch(1, 0, 0.0, np.inf, 1.0))
        else:
            scheme.step(problem, state)
        ended.append((problem.behind, problem._lead, problem._orbit))
    assert ended == [(False, 0.0, None)] * 2


def same(result: nng.Result, plain: nng.Result, rtol: float = 1e-6) -> None:
    """Assert that two runs took the same steps up to rounding."""
    assert (result.status, result.iterations, result.evaluations) == (plain.status, plain.iterations, plain.evaluations)
    np.testing.assert_array_equal(result.trace.evaluations, plain.trace.evaluations)
    np.testing.assert_allclose(result.trace.residual, plain.trace.residual, rtol=rtol, atol=1e-13)
    np.testing.assert_allclose(result.profile, plain.profile, rtol=1e-9, atol=1e-11)
    assert len(result.trace.seconds) == result.iterations + 1
    assert (np.diff(result.trace.seconds) >= 0).all()
    assert result.trace.seconds[-1] <= result.seconds


def linear_ring(matrix: np.ndarray, bias: np.ndarray, activation: str = "identity") -> nng.NetworkGame:
    """Return the game whose composite map is r(W x + b): a ring, for a layer that feeds itself need not be a game."""
    identity, none = np.eye(len(bias)), np.zeros(len(bias))
    return nng.Network.ring([identity, matrix], [none, bias], ["identity", activation]).game()


def rotation(angle: float, factor: float = 1.0) -> np.ndarray:
    """Return a rotation of the plane times a factor."""
    return factor * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize(("kept", "pause", "made"), [(0, 0.0, 5), (3, np.inf, 5), (3, 0.0, 3), (9, 0.0, 5)])
def test_compiled_steps_give_the_first_displacements(kept: int, pause: float, made: int) -> None:
    game = ring([6, 6], ["tanh", "relu"], 0.9)
    scheme = nng.solver("km", relaxation=0.7)
    problem = scheme.problem(game, np.random.default_rng(0))
    state = scheme.start(problem, problem.restrict(np.ones(12)))
    displacements = np.full((kept, 6), np.nan)
    stretch = Stretch(5, 0, 0.0, np.inf, 1.0, displacements=displacements, pause=pause)
    _, residuals, _ = problem.several_steps(loop.kernels(limited=True), state, stretch)
    assert len(residuals) == made
    single = scheme.start(problem, problem.restrict(np.ones(12)))
    for row in displacements[:5]:
        single = scheme.step(problem, single)
        np.testing.assert_allclose(row, problem.difference, rtol=1e-9, atol=1e-14)
    assert np.isnan(displacements[5:]).all()


def test_an_automatic_run_makes_its_first_passes_compiled(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it decides may depend on what compiled passes cost; the plain passes before do not."""
    monkeypatch.setattr(turns, "keeps_factors", lambda game, view: False)
    game = ring([6, 6], ["tanh", "relu"], 0.9)
    request.getfixturevalue("compiled")
    same(nng.solve(game, max_iterations=5), nng.solve(game, "picard", max_iterations=5))
    assert nng.solve(game).converged
    rotated = nng.solve(linear_ring(rotation(2.0), np.array([1.0, 0.5])))
    assert rotated.converged
    quick = ring([6, 6], ["tanh", "relu"], 0.5)
    # Nobody looks in between, so it is the plain run, and forecasts are not worth while.
    same(nng.solve(quick), nng.solve(quick, "picard"))
    assert len(rotated.trace.residual) == rotated.iterations + 1
    assert rotated.trace.evaluations[stages.DISPLACEMENTS - 1] == stages.DISPLACEMENTS


def calls(game: nng.Game, method: str) -> int:
    """Return how many functions of the solvers a solve calls once all that is kept is known."""
    nng.solve(game, method)
    folder, count = str(Path(loop.__file__).parent), 0

    def watch(frame: FrameType, event: str, _: Any) -> None:
        nonlocal count
        count += event == "call" and frame.f_code.co_filename.startswith(folder)

    sys.setprofile(watch)
    try:
        nng.solve(game, method)
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.usefixtures("compiled")
def test_an_automatic_run_that_ends_at_once_does_little_more_than_the_plain_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each function that it calls beside the passes takes as long as some of these; nothing is judged."""
    monkeypatch.setattr(turns, "keeps_factors", lambda game, view: False)
    monkeypatch.delattr(judging.Judge, "__init__")
    for layers, norm in ((2, 0.05), (8, 0.5)):
        game = ring([6] * layers, ["tanh"] * layers, norm)
        assert nng.solve(game).method == "auto:picard"
        assert calls(game, "auto") - calls(game, "picard") <= 10


@pytest.mark.usefixtures("compiled")
def test_displacements_that_are_kept_stay_as_they_were_written() -> None:
    game = ring([6, 6], ["tanh", "relu"], 0.9)
    scheme = nng.solver("picard")
    problem = scheme.problem(game, np.random.default_rng(0))
    problem.room = 5
    start = scheme.start(problem, problem.restrict(np.ones(12)))
    stretch = Stretch(6, 0, 0.0, np.inf, 1.0, displacements=problem.rows[1:])
    state, _, _ = problem.several_steps(loop.kernels(limited=True), start, stretch)
    written = problem.rows.copy()
    np.testing.assert_array_equal(written[0], start.memory - start.x)
    np.testing.assert_array_equal(problem.difference, state.memory - state.x)
    for _ in range(3):
        state = scheme.step(problem, state)
        np.testing.assert_array_equal(problem.difference, state.memory - state.x)
    np.testing.assert_array_equal(problem.rows, written)


@pytest.mark.parametrize("period", [3, 7, 50])
def test_compiled_runs_find_cycles_at_the_same_iteration(request: pytest.FixtureRequest, period: int) -> None:
    game = linear_ring(rotation(2 * np.pi / period), np.array([1.0, 0.5]))
    plain = nng.solve(game, "picard", max_iterations=900)
    request.getfixturevalue("compiled")
    result = nng.solve(game, "picard", max_iterations=900)
    assert plain.status is Status.CYCLING
    assert f"period {period}" in result.message
    same(result, plain)


def test_a_slow_spiral_is_no_cycle_in_compiled_steps_either(request: pytest.FixtureRequest) -> None:
    game = linear_ring(rotation(2 * np.pi / 5, 1 - 1e-4), np.array([1.0, 0.5]))
    plain = nng.solve(game, "picard", max_iterations=300)
    request.getfixturevalue("compiled")
    same(nng.solve(game, "picard", max_iterations=300), plain)
    assert plain.status is Status.MAX_ITERATIONS


def test_compiled_runs_diverge_and_overflow_alike(request: pytest.FixtureRequest) -> None:
    diverging = linear_ring(rotation(1.0, 3.0), np.array([1.0, 0.5]))
    overflowing = linear_ring(np.diag([1e200, 0.1]), np.array([1.0, 0.5]))
    plain = [nng.solve(game, method) for game in (diverging, overflowing) for method in ("picard", "anderson")]
    request.getfixturevalue("compiled")
    results = [nng.solve(game, method) for game in (diverging, overflowing) for method in ("picard", "anderson")]
    for result, expected in zip(results, plain, strict=True):
        assert (result.status, result.iterations) == (expected.status, expected.iterations)
    assert plain[0].status is Status.DIVERGED
    assert plain[2].status is Status.NOT_FINITE


def test_compiled_runs_stall_alike(request: pytest.FixtureRequest) -> None:
    # x = x + 1e-3 has no solution: every step is as long as the residual, which never falls.
    game = linear_ring(np.eye(1), np.array([1e-3]))
    plain = nng.solve(game, "km", max_iterations=2500)
    request.getfixturevalue("compiled")
    same(nng.solve(game, "km", max_iterations=2500), plain)


@pytest.mark.parametrize("seed", range(4))
def test_compiled_anderson_rejects_and_takes_turns_alike(request: pytest.FixtureRequest, seed: int) -> None:
    """A ring that expands at first, so that proposals fail, and a shift, on which acceleration does not pay."""
    rng = np.random.default_rng(seed)
    wild = linear_ring(3 * rng.standard_normal((4, 4)), rng.standard_normal(4), "tanh")
    shift = linear_ring(np.eye(24, k=-1) * 0.95, rng.standard_normal(24))
    growing = linear_ring(np.tril(rng.standard_normal((16, 16)), -1) + 2 * np.eye(16, k=-1), rng.standard_normal(16))
    quick = linear_ring(0.05 * rng.standard_normal((6, 6)), rng.standard_normal(6), "tanh")
    open_chain = nng.Network.generate("chain", seed, size=6, layers=5, norm=4.0).game()
    limits = {"max_iterations": 14}
    cases = [
        (wild, {"memory": 2, "growth": 1.2, **limits}),
        (shift, {"memory": 2}),
        (shift, {"memory": 2, "mixing": 0.9, **limits}),
        (growing, {"memory": 2, "max_iterations": 20}),
        (quick, {}),
        (open_chain, {}),
    ]
    plain = [nng.solve(game, "anderson", **options) for game, options in cases]
    request.getfixturevalue("compiled")
    results = [nng.solve(game, "anderson", **options) for game, options in cases]
    for result, expected in zip(results, plain, strict=True):
        same(result, expected)
    # Some proposal was rejected, which costs a pass.
    assert plain[0].evaluations > plain[0].iterations + 1


@pytest.mark.usefixtures("compiled")
def test_dependent_differences_are_left_to_the_factorisation(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a line in the plane all differences are parallel: no Gram matrix of two of them is trusted."""
    calls = []
    step = nng.solvers.anderson.Anderson.step
    monkeypatch.setattr(
        nng.solvers.anderson.Anderson, "step", lambda self, *arguments: calls.append(1) or step(self, *arguments)
    )
    game = nng.Network.recurrent(np.diag([0.9, 0.0]), np.array([1.0, 0.0]), "arctan").game(players="neurons")
    result = nng.solve(game, "anderson", memory=2)
    assert result.converged
    assert calls


@pytest.mark.usefixtures("compiled")
def test_what_keeps_runs_from_compiled_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    several = []
    made = nng.solvers.picard.FixedPointProblem.several_steps
    monkeypatch.setattr(
        nng.solvers.picard.FixedPointProblem,
        "several_steps",
        lambda self, *arguments: several.append(1) or made(self, *arguments),
    )
    game = ring([4, 4], ["tanh", "tanh"], 0.5)
    nng.solve(game, "picard", callback=lambda iterate: None)
    nng.solve(game, "picard", trace_nash_gap=True)
    nng.solve(game, "picard", start=np.zeros(8, dtype=np.float32), tolerance=1e-4)
    nng.solve(game, "km", relaxation="diminishing", max_iterations=20)
    nng.solve(game, "halpern", max_iterations=20)
    assert not several
    result = nng.solve(game, "picard", max_iterations=3)
    assert several
    assert (result.status, result.iterations) == (Status.MAX_ITERATIONS, 3)
    assert nng.solve(game, "picard", max_seconds=10.0).converged


@pytest.mark.usefixtures("compiled")
def test_a_limit_of_time_ends_compiled_steps() -> None:
    game = linear_ring(rotation(1.0), np.array([1.0, 0.5]))
    result = nng.solve(game, "km", relaxation=1e-6, tolerance=1e-12, max_seconds=0.02, max_iterations=10**9)
    assert result.status is Status.MAX_SECONDS
    assert result.seconds < 1.0


@pytest.mark.parametrize("rows", [1, 2, 5])
def test_gram_systems_are_solved_alike(rows: int) -> None:
    rng = np.random.default_rng(rows)
    changes = rng.standard_normal((rows, 8))
    right = rng.standard_normal(rows)
    gram = changes @ changes.T
    expected = np.linalg.solve(gram, right)
    found, head = right.copy(), 2
    shifted = np.zeros((rows + 2, rows + 2))
    shifted[head:, head:] = gram
    assert fused_anderson.solve_gram(shifted, head, found, np.empty((rows, rows)), np.empty(rows))
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    np.testing.assert_allclose(solve_gram(gram, right), expected, rtol=1e-9)


@pytest.mark.parametrize("share", [1e-7, 0.0, np.nan, np.inf])
def test_nearly_dependent_rows_are_refused_alike(share: float) -> None:
    changes = np.array([[1.0, 2.0, 0.0], [1.0, 2.0, share]])
    with np.errstate(all="ignore"):
        gram = changes @ changes.T
        assert solve_gram(gram, np.ones(2)) is None
        assert not fused_anderson.solve_gram(gram, 0, np.ones(2), np.empty((2, 2)), np.empty(2))


@pytest.mark.parametrize("name", ["tanh", "scaled tanh", "sigmoid", "relu"])
def test_columns_answer_as_in_numpy(name: str) -> None:
    form, scale, _ = forms.form_of(FORMS[name])  # type: ignore[misc]
    sizes = np.concatenate([10.0 ** np.arange(-300, 300, 40), np.linspace(0.01, 40, 77), [0.0, 5e-324, np.inf]])
    v = np.stack([sizes, -sizes])
    block, none = v.copy(), np.zeros((2, 1))
    with np.errstate(all="ignore"):
        fused_columns.respond_in_place(form, float(scale), none, block)
        np.testing.assert_allclose(block, FORMS[name](v), rtol=1.2e-15, atol=0)
    missing = np.full((1, 1), np.nan)
    with np.errstate(all="ignore"):
        fused_columns.respond_in_place(form, float(scale), none[:1], missing)
    assert np.isnan(missing).all()


@pytest.mark.parametrize(
    ("name", "precision"),
    # In single precision the compiled responses serve ReLU alone.
    [*((name, np.float64) for name in ("tanh", "scaled tanh", "sigmoid", "relu")), ("relu", np.float32)],
)
def test_columns_take_biases_and_are_compared(name: str, precision: type) -> None:
    form, scale, _ = forms.form_of(FORMS[name])  # type: ignore[misc]
    rng = np.random.default_rng(0)
    v, before = rng.standard_normal((2, 3, 5)).astype(precision)
    bias, squares = rng.standard_normal((3, 1)).astype(precision), np.arange(5, dtype=precision)
    answers = FORMS[name](v + bias)
    wanted = squares + ((answers - before) ** 2).sum(axis=0)
    alone = v.copy()
    unit = np.finfo(precision).eps
    with np.errstate(all="ignore"):
        fused_columns.respond_in_place(form, float(scale), bias, alone)
        fused_columns.respond_and_compare(form, float(scale), bias, v, before, squares)
    np.testing.assert_allclose(v, answers, rtol=8 * unit, atol=0)
    np.testing.assert_allclose(alone, answers, rtol=8 * unit, atol=0)
    np.testing.assert_allclose(squares, wanted, rtol=16 * unit)
    fused_columns.add_squares(v, before, squares)
    np.testing.assert_allclose(squares, 2 * wanted - np.arange(5), rtol=32 * unit)


def test_tanh_is_good_to_its_last_digits() -> None:
    mpmath = pytest.importorskip("mpmath")
    rng = np.random.default_rng(0)
    v = np.concatenate([rng.uniform(-20, 20, 400), rng.uniform(-0.2, 0.2, 400), rng.uniform(0.015, 0.016, 400)])
    block = v[None].copy()
    with np.errstate(all="ignore"):
        fused_columns.respond_in_place(forms.TANH, 1.0, np.zeros((1, 1)), block)
    with mpmath.workdps(40):
        errors = [
            abs(float((mpmath.mpf(t) - mpmath.tanh(a)) / mpmath.tanh(a))) for a, t in zip(v, block[0], strict=True)
        ]
    assert max(errors) < 4.5e-16


@pytest.mark.parametrize("activations", [["tanh", "relu"], ["sigmoid", "tanh", "arctan"]])
@pytest.mark.parametrize(("method", "options"), [("picard", {}), ("picard", {"map": "joint"}), ("km", {})])
def test_batches_end_alike(
    monkeypatch: pytest.MonkeyPatch, activations: list[str], method: str, options: dict[str, str]
) -> None:
    game = ring([5] * len(activations), activations, 0.9)
    starts = np.random.default_rng(1).standard_normal((7, game.size)) * np.logspace(-3, 1, 7)[:, None]
    plain = nng.solve_batch(game, starts, method, **options)
    used: list[int] = []
    kernels = _kernels()

    def respond(form: int, scale: float, bias: np.ndarray, block: np.ndarray) -> None:
        used.append(form)
        kernels.respond_in_place(form, scale, bias, block)

    def compare(form: int, *arrays: Any) -> None:
        used.append(form)
        kernels.respond_and_compare(form, *arrays)

    loaded = kernels._replace(respond_in_place=respond, respond_and_compare=compare)
    monkeypatch.setattr(column_passes, "kernels", lambda limited: loaded)
    with np.errstate(all="ignore"):
        fast = nng.solve_batch(game, starts, method, **options)
    assert used
    assert fast.statuses.tolist() == plain.statuses.tolist()
    np.testing.assert_array_equal(fast.iterations, plain.iterations)
    np.testing.assert_allclose(fast.profiles, plain.profiles, rtol=0, atol=1e-14)
    np.testing.assert_allclose(fast.residuals, plain.residuals, rtol=1e-5, atol=1e-15)
    assert (game.residual(fast.profiles) <= fast.tolerance * fast.scale).all()


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of layers of each compiled pass made while kernels are loaded."""
    kernels, passes = _kernels(), []

    def evaluate(*arguments: Any) -> None:
        passes.append(len(arguments[3]))
        # Compiled, it takes no others.
        assert all(array.flags.carray for array in arguments)
        kernels.evaluate(*arguments)

    monkeypatch.setattr(loading._process(), "kernels", kernels._replace(evaluate=evaluate))
    return passes


def shuffled_ring(sizes: list[int], order: list[int]) -> nng.Network:
    """Return a ring whose layers stand in a profile in another order than signals meet them."""
    rng, count = np.random.default_rng(3), len(sizes)
    heard = {order[k]: order[k - 1] for k in range(count)}
    return nng.Network.graph(
        {(to, by): rng.standard_normal((sizes[to], sizes[by])) / np.sqrt(sizes[by]) for to, by in heard.items()},
        {player: rng.standard_normal(sizes[player]) for player in range(count)},
        {player: nng.activation("tanh" if player % 2 else "relu") for player in range(count)},
    )


@pytest.mark.parametrize(
    ("sizes", "order"),
    [
        ([5] * 6, [0, 1, 2, 3, 4, 5]),
        ([5] * 6, [3, 0, 5, 1, 4, 2]),
        ([4, 7, 3, 6, 5], [0, 2, 1, 3, 4]),
        ([1] * 4, [2, 0, 1, 3]),
        ([130] * 2, [0, 1]),
    ],
)
def test_single_passes_are_compiled_where_layers_are_many_or_large(
    sizes: list[int], order: list[int], loaded: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    network = shuffled_ring(sizes, order)
    x = np.random.default_rng(4).standard_normal(network.size)
    state = x[network.space.slices[order[-1]]]
    with np.errstate(all="ignore"):
        compiled = network.composite(state), network.joint(x), network.game().fixed_point().evaluate(state, state + 0.0)
    # The joint map is packed only where its layers have one size.
    assert len(loaded) == (3 if len({*sizes}) == 1 else 2)
    monkeypatch.setattr(loading._process(), "kernels", None)
    network = shuffled_ring(sizes, order)
    plain = network.composite(state), network.joint(x), network.game().fixed_point().evaluate(state, state + 0.0)
    for ours, theirs in zip(compiled, plain, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-13, atol=1e-14)


def test_a_compiled_pass_takes_what_is_read_only_or_has_gaps_and_lives_on_in_copies(loaded: list[int]) -> None:
    network = shuffled_ring([5] * 6, [3, 0, 5, 1, 4, 2])
    x = np.random.default_rng(4).standard_normal(2 * network.size)[::2]
    x.flags.writeable = False
    last = network.composite.state
    with np.errstate(all="ignore"):
        for _ in range(2):
            # Batches are not compiled here.
            np.testing.assert_allclose(network.joint(x), network.joint(x[None])[0], rtol=1e-13, atol=1e-14)
            profile = network.composite(x[last])
            np.testing.assert_allclose(profile, network.composite(x[None, last])[0], rtol=1e-13, atol=1e-14)
            completed = network.composite.completed(x[last])
            np.testing.assert_array_equal(np.delete(completed, last), np.delete(profile, last))
            network = deepcopy(network)
    assert len(loaded) == 6


def test_passes_of_two_threads_do_not_mix(loaded: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    network, kernels = shuffled_ring([5] * 6, [0, 1, 2, 3, 4, 5]), loading.kernels(limited=True)
    states = np.random.default_rng(4).standard_normal((2, 5))

    def evaluate(*arguments: Any) -> None:
        kernels.evaluate(*arguments)
        if len(loaded) == 1:
            # Where the interpreter may turn to the other one.
            network.composite(states[1])

    monkeypatch.setattr(loading._process(), "kernels", kernels._replace(evaluate=evaluate))
    with np.errstate(all="ignore"):
        first = network.composite(states[0])
    assert len(loaded) == 2
    np.testing.assert_allclose(first, network.composite(states)[0], rtol=1e-13, atol=1e-14)


def test_single_passes_are_not_compiled_where_that_gains_nothing(loaded: list[int]) -> None:
    for network in (
        nng.Network.ring([np.eye(3)] * 3, [np.ones(3)] * 3, ["tanh"] * 3),
        nng.Network.ring([np.eye(120)] * 2, [np.ones(120)] * 2, ["tanh"] * 2),
        nng.Network.ring([sparse.eye_array(200, format="csr")], [np.ones(200)], ["tanh"]),
        nng.Network.ring([np.eye(501)] * 4, [np.ones(501)] * 4, ["tanh"] * 4),
        nng.Network.ring([np.eye(3)] * 4, [np.ones(3)] * 4, ["tanh", "tanh", "softplus", "tanh"]),
    ):
        network.joint(np.zeros(network.size))
        network.composite(np.zeros(len(network.composite(np.zeros(network.composite.size))[network.composite.state])))
    small = nng.Network.ring([np.eye(3)] * 4, [np.ones(3)] * 4, ["tanh"] * 4)
    single = small.joint(np.zeros(12, dtype=np.float32))
    assert single.dtype == np.float32
    small.joint(np.zeros((2, 12)))
    assert not loaded


def test_import_loads_no_numba() -> None:
    solving = "n.solve(n.Network.recurrent([[.5]], [1.], 'tanh').game())"
    code = f"import nngames as n, sys; {solving}; assert 'numba' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_without_numba_compiling_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading._process(), "installed", False)
    with pytest.raises(nng.NotApplicableError, match=r"pip install 'nngames\[fast\]'"):
        nng.compile_passes()


def test_one_thread_loads_the_kernels_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once they are loaded, nothing can be compiled any more."""
    process, times, together = loading._Process(), [], Barrier(3)

    def loaded() -> Kernels:
        times.append(1)
        sleep(0.05)
        return _kernels()

    def ask() -> None:
        together.wait()
        process.load()

    monkeypatch.setattr(process, "_loaded", loaded)
    threads = [Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert process.kernels is not None
    assert times == [1]


class TestPolicy:
    """When the kernels are loaded by themselves."""

    @pytest.fixture
    def process(self, monkeypatch: pytest.MonkeyPatch) -> loading._Process:
        process = loading._Process()
        process.installed, process.spent = True, 0.0
        process._wanted_after = 1.0
        loaded = _kernels()
        monkeypatch.setattr(process, "load", lambda: setattr(process, "kernels", loaded))
        monkeypatch.setattr(loading, "_process", lambda: process)
        return process

    def test_not_before_runs_took_as_long(self, process: loading._Process) -> None:
        loading.ran_without(0.9)
        assert loading.kernels(limited=False) is None
        loading.ran_without(0.2)
        assert loading.kernels(limited=True) is None
        assert loading.kernels(limited=False) is not None
        assert loading.kernels(limited=True) is not None

    def test_only_runs_that_could_have_used_them_count(self, process: loading._Process) -> None:
        game = ring([4, 4], ["tanh", "tanh"], 0.5)
        nng.solve(game, "best_response")
        nng.solve(ring([4, 4], ["tanh", "softplus"], 0.5), "picard")
        assert process.spent == 0
        nng.solve(game, "picard")
        spent = process.spent
        assert spent > 0
        nng.solve_batch(game, np.zeros((2, game.size)), "extragradient")
        assert process.spent == spent
        batch = nng.solve_batch(game, np.zeros((2, game.size)), "picard")
        # Of a batch only what they would have saved.
        assert 0 < process.spent - spent < 0.2 * batch.seconds

    @pytest.mark.parametrize("loaded", [False, True])
    def test_a_map_is_packed_before_a_run_only_if_there_are_kernels(
        self, process: loading._Process, monkeypatch: pytest.MonkeyPatch, loaded: bool
    ) -> None:
        order: list[str] = []
        pack, advance = composite_pass.fused_map, stages.Course.advance

        def packed(*given: Any, **options: Any) -> Any:
            order.append("packed")
            return pack(*given, **options)

        def advanced(course: stages.Course, state: Any) -> Any:
            order.append("step")
            return advance(course, state)

        monkeypatch.setattr(composite_pass, "fused_map", packed)
        monkeypatch.setattr(stages.Course, "advance", advanced)
        if loaded:
            process.load()
        assert nng.solve(ring([4, 4], ["tanh", "tanh"], 0.5)).converged
        assert order[-1 if not loaded else 0] == "packed"
        assert order.count("packed") == 1
        assert loaded or "step" in order[:-1]

    @pytest.mark.parametrize("given", ["game", "scenario"])
    def test_a_comparison_loads_them_between_first_calls_and_warm_runs(
        self, process: loading._Process, monkeypatch: pytest.MonkeyPatch, given: str
    ) -> None:
        had = []
        steps = FixedPointProblem.start

        def start(problem: Any, x: Any) -> Any:
            had.append(process.kernels is not None)
            return steps(problem, x)

        monkeypatch.setattr(FixedPointProblem, "start", start)
        # A second run of each is the last, however slow interpreted kernels are.
        monkeypatch.setattr(execution, "SHORT", math.inf)
        monkeypatch.setattr(execution, "time", SimpleNamespace(perf_counter=iter([0.0, math.inf] * 2).__next__))
        if given == "game":
            nng.compare(ring([4, 4], ["tanh", "tanh"], 0.5), ["picard", "km"], repeat=2, max_seconds=60.0)
        else:
            nng.compare(nng.load_scenario("gallery:bench/gaussian_tanh_200_3"), ["picard", "km"], repeat=2)
        assert had == [False, False, True, True, True, True]


@pytest.mark.parametrize("method", ["picard", "anderson", "newton"])
def test_numba_compiles_what_runs_alike(monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    pytest.importorskip("numba")
    game = ring([20] * 3, ["tanh", "sigmoid", "relu"], 1.1)
    plain = nng.solve(game, method)
    monkeypatch.setattr(loading._process(), "installed", True)
    nng.compile_passes()
    assert type(loading.kernels(limited=True).relaxed_steps).__name__ == "CPUDispatcher"
    same(nng.solve(game, method), plain)
