"""The compiled steps of Newton's method against those in NumPy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import nngames as nng
from nngames.networks import forms
from nngames.networks.compiled import fused_factors, fused_newton, fused_systems
from nngames.results.result import Result
from nngames.solvers import loop, newton, newton_compiled, newton_systems
from nngames.solvers.stopping import Stretch

FORMS = {
    "identity": {},
    "linear": {"slope": 0.7, "bias": -0.2},
    "relu": {"slope": 0.5, "bias": 0.1},
    "leaky_relu": {},
    "prelu": {"slope": 2.0},
    "tanh": {"scale": 0.8},
    "sigmoid": {},
    "hard_tanh": {},
    "relu6": {},
    "box": {"lower": -0.5, "upper": np.inf},
    "piecewise_linear": {},
    "hard_sigmoid": {},
    "softsign": {},
    "soft_threshold": {},
    "arctan": {},
    "elu": {"alpha": 0.5},
}


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The kernel in use, compiled with Numba and interpreted without; how many steps its calls made."""
    made: list[int] = []

    def newton_steps(*arguments: Any) -> int:
        made.append(fused_newton.newton_steps(*arguments))
        return made[-1]

    kernels: Any = type("Kernels", (), {"newton_steps": staticmethod(newton_steps)})
    monkeypatch.setattr(loop, "installed", lambda: True)
    monkeypatch.setattr(loop, "kernels_come", lambda limited: True)
    monkeypatch.setattr(loop, "kernels", lambda limited: kernels)
    with np.errstate(all="ignore"):
        yield made


def ring(sizes: list[int], activation: Any, size: float, seed: int) -> Any:
    """Return the game of a ring with weights of about that norm."""
    rng = np.random.default_rng(seed)
    weights = [
        size * rng.standard_normal((n, sizes[layer - 1])) / (2 * np.sqrt(max(n, sizes[layer - 1])))
        for layer, n in enumerate(sizes)
    ]
    biases = [rng.standard_normal(n) for n in sizes]
    network = nng.Network.ring(weights, biases, [activation] * len(sizes))
    return network.game(players="neurons" if len(sizes) == 1 else "auto")


@pytest.mark.parametrize("label", FORMS)
def test_a_compiled_slope_is_the_derivative(label: str) -> None:
    """At kinks too, which -3, ..., 3 in steps of 1/2 and -0.2 have among them."""
    activation = nng.activation(label, **FORMS[label])
    form, a, b = forms.form_of(activation)  # type: ignore[misc]
    points = [*np.arange(-3, 6.25, 0.5), -0.2, *np.random.default_rng(0).uniform(-40, 40, 50)]
    slopes = [fused_systems.slope(form, float(a), float(b), float(v)) for v in points]
    np.testing.assert_allclose(slopes, activation.derivative(np.array(points)), rtol=1e-10, atol=1e-15)


def test_the_forms_are_all_of_the_table() -> None:
    made = {forms.form_of(nng.activation(label, **options))[0] for label, options in FORMS.items()}  # type: ignore[index]
    assert made == set(range(12))


def solved(view: Any, single: bool, far: float = 1.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return Id - J at a point so far away, g, and the d that compiled factors have for it, times 1e-60."""
    n, rng = view.size, np.random.default_rng(1)
    x, g, d = far * rng.standard_normal((1, n)), 1e-60 * rng.standard_normal((1, n)), np.empty((1, n))
    room = newton_compiled.room_for(view.fused)
    zeros, slopes, places, orders, double, bits, *_, pivots, _, _ = room
    if single:
        double = np.empty(double.shape, dtype=np.float32)
        bits = double.view(np.int32)
    double[...] = np.nan
    weights, biases, parameters, stages, *work = view.fused.arguments()
    found = slopes, places, orders
    with np.errstate(all="ignore"):
        fused_systems.write_slopes(weights, biases, parameters, stages, *work, x, *found)
        assert fused_systems.factors_at(weights, *found, double, bits, pivots)
        fused_systems.solve(weights, zeros, stages, *work, *found, double, pivots, g, d)
    return np.eye(n) - view.jacobian(x[0]), 1e60 * g[0], 1e60 * d[0]


@pytest.mark.parametrize("activation", ["elu", "relu"])
@pytest.mark.parametrize("sizes", [[7], [5, 5], [3, 9, 6], [6, 2, 8, 5], [9, 9, 3], [17, 21], [25]])
def test_a_compiled_direction_solves_the_system_of_the_view(sizes: list[int], activation: str) -> None:
    """With one panel of columns and with several, all entries active and some."""
    view = ring(sizes, activation, 0.5, 0).fixed_point()
    matrix, g, d = solved(view, single=False)
    np.testing.assert_allclose(d, np.linalg.solve(matrix, g), rtol=0, atol=1e-11)
    matrix, g, d = solved(view, single=True)
    miss = np.abs(matrix @ d - g).max()
    assert 1e-10 < miss < 1e-4 or not (matrix != np.eye(len(matrix))).any()


def test_slopes_below_zero_are_no_zeros() -> None:
    view = ring([6, 2, 8, 5], {"name": "linear", "slope": -0.7}, 0.5, 0).fixed_point()
    matrix, g, d = solved(view, single=False)
    np.testing.assert_allclose(d, np.linalg.solve(matrix, g), rtol=0, atol=1e-11)
    assert not np.array_equal(d, g)


@pytest.mark.parametrize("activation", ["softsign", "hard_tanh", "relu"])
def test_a_direction_where_nothing_changes_is_the_displacement_to_the_last_bit(activation: str) -> None:
    """From far away x + d is then the image. Slopes of 1e-60, of 0 in each layer, and of 0 in the first layer."""
    weights = [np.ones((5, 9)), -np.ones((9, 5))] if activation == "relu" else [np.ones((5, 9)), np.ones((9, 5))]
    biases = [np.full(5, -1e40 if activation == "relu" else 0.0), np.zeros(9) + (activation == "relu")]
    view = nng.Network.ring(weights, biases, [activation] * 2).game().fixed_point()
    _, g, d = solved(view, single=False, far=1e30)
    np.testing.assert_array_equal(d, g)
    _, g, d = solved(view, single=True, far=1e30)
    np.testing.assert_allclose(d, g, rtol=1e-7)


@pytest.mark.parametrize("n", [1, 8, 9, 30])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_factors_need_their_pivots(n: int, kind: type) -> None:
    """The entries where none is found but by pivoting: a matrix with zeros on its diagonal."""
    rng = np.random.default_rng(n)
    matrix = rng.standard_normal((n, n)) + (n > 1) * 3 * np.roll(np.eye(n), 1, axis=0)
    np.fill_diagonal(matrix, float(n == 1))
    right = rng.standard_normal(n)
    factors, columns, pivots = matrix.astype(kind), np.empty((n, n), dtype=kind), np.empty(n, dtype=np.int64)
    bits = columns.view(np.int32 if kind is np.float32 else np.int64)
    assert fused_factors.factorise(factors, columns, bits, np.empty((8, n), dtype=kind), pivots)
    found = right.astype(kind)
    fused_factors.substitute(factors, columns, pivots, found)
    error = np.abs(found - np.linalg.solve(matrix, right)).max()
    assert error <= 1000 * np.finfo(kind).eps * np.linalg.cond(matrix)


@pytest.mark.parametrize("matrix", [[[1.0, 2.0], [0.5, 1.0]], [[np.nan, 1.0], [1.0, 1.0]], [[0.0, 1.0], [0.0, 1.0]]])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_singular_and_infinite_systems_are_refused(matrix: list[list[float]], kind: type) -> None:
    columns = np.empty((2, 2), dtype=kind)
    bits = columns.view(np.int32 if kind is np.float32 else np.int64)
    above, pivots = np.empty((8, 2), dtype=kind), np.empty(2, dtype=np.int64)
    with np.errstate(invalid="ignore"):
        assert not fused_factors.factorise(np.array(matrix, dtype=kind), columns, bits, above, pivots)


def both(game: Any, request: pytest.FixtureRequest, **options: Any) -> tuple[Result, Result, list[int]]:
    """Return the run in NumPy, the compiled one, and how many steps each call of the kernel made."""
    plain = nng.solve(game, "newton", **options)
    made: list[int] = request.getfixturevalue("compiled")
    return plain, nng.solve(game, "newton", **options), made


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("activation", ["tanh", "hard_tanh", "relu", "sigmoid", "soft_threshold"])
@pytest.mark.parametrize(("sizes", "size"), [([8], 1.0), ([8], 4.0), ([4, 6], 2.0), ([5, 3, 4], 1.5)])
def test_a_compiled_run_is_the_run(
    sizes: list[int], size: float, activation: str, seed: int, request: pytest.FixtureRequest
) -> None:
    game = ring(sizes, activation, size, seed)
    plain, compiled, made = both(game, request, max_iterations=40, tolerance=1e-8)
    assert made
    assert compiled.status is plain.status
    np.testing.assert_array_equal(compiled.trace.evaluations, plain.trace.evaluations)
    np.testing.assert_allclose(compiled.trace.residual, plain.trace.residual, rtol=1e-4, atol=1e-11)
    np.testing.assert_allclose(compiled.profile, plain.profile, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(("activation", "size"), [("tanh", 2.0), ("relu", 1.0)])
@pytest.mark.parametrize("sizes", [[12], [9, 12]])
def test_a_compiled_run_in_single_precision_is_the_run(
    sizes: list[int], activation: str, size: float, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With small systems in it: directions are refined, and those of later steps are not."""
    for module in (newton_systems, newton_compiled):
        monkeypatch.setattr(module, "SINGLE", 4)
    monkeypatch.setattr(newton, "_RULES", np.array([*newton._RULES[:6], 4.0, newton_systems.FORCING]))
    plain, compiled, made = both(ring(sizes, activation, size, 3), request, max_iterations=40, tolerance=1e-8)
    assert sum(made) == plain.iterations >= 1
    n = sizes[-1]
    assert n + 3 in np.diff(plain.trace.evaluations)
    np.testing.assert_array_equal(compiled.trace.evaluations, plain.trace.evaluations)
    np.testing.assert_allclose(compiled.trace.residual, plain.trace.residual, rtol=1e-2, atol=1e-8)
    np.testing.assert_allclose(compiled.profile, plain.profile, rtol=0, atol=1e-6)


def test_single_precision_that_does_not_serve_is_left_to_numpy(
    compiled: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No miss is allowed: NumPy goes on in double precision, and so do the compiled steps after it."""
    for module in (newton_systems, newton_compiled):
        monkeypatch.setattr(module, "SINGLE", 2)
    monkeypatch.setattr(newton_systems, "FORCING", 0.0)
    monkeypatch.setattr(newton, "_RULES", np.array([*newton._RULES[:6], 2.0, 0.0]))
    game, scheme, kernels = ring([6], "softsign", 2.0, 0), nng.solver("newton"), loop.kernels(limited=False)
    problem = scheme.problem(game, np.random.default_rng(0))
    state = scheme.start(problem, np.zeros(6))
    following, residuals, _ = problem.several_steps(kernels, state, Stretch(3, 0, 1e-14, np.inf, 1.0))
    assert compiled == [0]
    assert len(residuals) == 1
    assert not problem._systems.single
    # Two directions of six columns, and the pass that prepares each.
    assert following.evaluations == state.evaluations + 2 * 7 + 1
    problem._factorised = None
    following, _, _ = problem.several_steps(kernels, following, Stretch(1, 1, 1e-14, np.inf, 1.0))
    assert compiled == [0, 1]
    assert problem._held_single == 0


def test_a_direction_that_fails_is_left_to_numpy(request: pytest.FixtureRequest) -> None:
    """x = x + 1 above 0: Id - J is singular there, and relaxed steps follow."""
    weights, biases = [np.eye(3), np.eye(3)], [np.zeros(3), np.ones(3)]
    game = nng.Network.ring(weights, biases, ["relu", "relu"]).game()
    plain, compiled, made = both(game, request, max_iterations=30)
    assert 0 in made
    # Relaxed steps; and a Jacobian of three columns, the pass that prepares it, four shares, and a relaxed step.
    assert set(np.diff(plain.trace.evaluations)) == {1, 9}
    assert compiled.status is plain.status
    np.testing.assert_array_equal(compiled.trace.evaluations, plain.trace.evaluations)
    np.testing.assert_allclose(compiled.profile, plain.profile, rtol=1e-9)


@pytest.mark.parametrize(
    ("weight", "activation", "passes"), [(1 - 1e-12, "identity", 1 + 1 + 1), (-0.95, "relu", 1 + 1 + 2)]
)
def test_compiled_steps_have_the_licence_and_the_shares_of_those_in_numpy(
    weight: float, activation: str, passes: int, request: pytest.FixtureRequest
) -> None:
    """A direction 1e12 times as long as the residual is not taken; after a half step no factors are used again.

    The second game is x = 1 - 0.95 max(0, x), from 0, where J = 0: half of d = 1 lowers the residual from 1 to 0.025.
    """
    weights, biases = [np.ones((1, 1)), np.full((1, 1), weight)], [np.zeros(1), np.ones(1)]
    game = nng.Network.ring(weights, biases, [activation, "identity"]).game()
    plain, compiled, made = both(game, request, start=np.zeros(2), max_iterations=8)
    assert made
    assert plain.trace.evaluations[1] == 1 + passes
    assert compiled.status is plain.status
    np.testing.assert_array_equal(compiled.trace.evaluations, plain.trace.evaluations)
    np.testing.assert_allclose(compiled.trace.residual, plain.trace.residual, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("initial", "accepted"), [(1e-7, 0), (1.0, 10**7)])
def test_a_residual_far_above_the_first_one_has_no_licence(initial: float, accepted: int, compiled: list[int]) -> None:
    """Nor has one that fell too little in so many steps."""
    scheme = nng.solver("newton")
    problem = scheme.problem(ring([8], "tanh", 1.0, 0), np.random.default_rng(0))
    state = scheme.start(problem, np.zeros(8))
    problem._initial, problem._accepted = initial * state.residual, accepted
    problem.several_steps(loop.kernels(limited=False), state, Stretch(3, 0, 1e-14, np.inf, 1.0))
    assert compiled == [0]
    assert problem.rejected


def test_compiled_steps_end_above_the_bound(compiled: list[int]) -> None:
    scheme = nng.solver("newton")
    problem = scheme.problem(ring([8], "tanh", 1.0, 0), np.random.default_rng(0))
    problem.several_steps(loop.kernels(limited=False), scheme.start(problem, np.zeros(8)), Stretch(3, 0, 0.0, 0.0, 1.0))
    assert compiled == [1]


def test_an_updated_step_without_a_licence_costs_no_pass(compiled: list[int]) -> None:
    """Where the last step is the direction itself, the step that Broyden's formula tells is infinite."""
    scheme, kernels = nng.solver("newton"), loop.kernels(limited=False)
    problem = scheme.problem(ring([8], "tanh", 1.0, 0), np.random.default_rng(0))
    state, _, _ = problem.several_steps(kernels, scheme.start(problem, np.zeros(8)), Stretch(1, 0, 0.0, np.inf, 1.0))
    assert problem._held == 1
    zeros, slopes, places, orders, double, *_, pivots, steps, _ = problem._room
    weights, _, _, stages, *work = problem.fused.arguments()
    g = state.memory.reshape(1, 8)
    fused_systems.solve(weights, zeros, stages, *work, slopes, places, orders, double, pivots, g, steps[:1])
    following, _, _ = problem.several_steps(kernels, state, Stretch(1, 1, 0.0, np.inf, 1.0))
    assert compiled == [1, 1]
    # A Jacobian of eight columns, the pass that prepares it, and the one at the new step.
    assert following.evaluations == state.evaluations + 10


def test_factors_take_no_more_updates_than_there_is_room_for(
    compiled: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(newton_compiled, "UPDATES", 1)
    result = nng.solve(ring([6, 8], "tanh", 2.0, 0), "newton")
    assert sum(compiled) == result.iterations > 2
    assert result.converged
    assert (np.diff(result.trace.evaluations) >= 10).all()


def test_a_direction_that_failed_is_not_made_again(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Relaxed steps follow at once; what was tried before counts, with a step by factors that were there."""
    game = ring([6, 7], "soft_threshold", 8.0, 0)
    plain = nng.solve(game, "newton", max_iterations=30)
    # A step by the last factors, a Jacobian of seven columns, the pass that prepares it, four shares, a relaxed step.
    assert 14 in np.diff(plain.trace.evaluations)
    made: list[int] = request.getfixturevalue("compiled")
    monkeypatch.setattr(newton_systems.Systems, "solve", None)
    compiled = nng.solve(game, "newton", max_iterations=30)
    assert sum(made) < compiled.iterations == 30
    np.testing.assert_array_equal(compiled.trace.evaluations, plain.trace.evaluations)
    np.testing.assert_allclose(compiled.profile, plain.profile, rtol=1e-9, atol=1e-12)


def test_a_step_in_numpy_leaves_nothing_of_the_compiled_factors(compiled: list[int]) -> None:
    game = ring([8], "tanh", 1.0, 0)
    scheme = nng.solver("newton")
    problem = scheme.problem(game, np.random.default_rng(0))
    state = scheme.start(problem, problem.restrict(np.zeros(8)))
    kernels = loop.kernels(limited=False)
    state, residuals, _ = problem.several_steps(kernels, state, Stretch(3, 0, 1e-14, np.inf, 1.0))
    assert compiled == [3]
    assert problem._held > 0
    following = scheme.step(problem, state)
    assert problem._held == 0
    assert problem._accepted == 4
    # It forms a Jacobian of its own.
    assert following.evaluations == state.evaluations + 10
    assert following.residual < residuals[-1]


def test_which_runs_have_compiled_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(newton_compiled, "installed", lambda: True)

    def taken(game: Any, **options: Any) -> bool:
        return nng.solver("newton", **options).problem(game, np.random.default_rng(0)).fused is not None

    small = ring([8, 8], "tanh", 1.0, 0)
    assert taken(small)
    assert not taken(small, map="joint")
    assert not taken(small, linear_solver="gmres")
    assert taken(ring([80], "tanh", 1.0, 0))
    assert taken(ring([40, 40, 40], "tanh", 1.0, 0))
    # The factors of an affine game are kept with it, and its large ones serve better.
    assert taken(ring([8, 8], "identity", 1.0, 0))
    large = ring([80, 80], "identity", 1.0, 0)
    assert not taken(large)
    assert "fused" not in vars(large.network.composite)
    # A step takes as long as five passes and a direction, by which an interruption can wait.
    seconds = small.fixed_point().fused.seconds
    problem = nng.solver("newton").problem(small, np.random.default_rng(0))
    multiplications = 8**3 + 8**3 / 3
    expected = newton_compiled.PER_MULTIPLICATION * multiplications + newton_compiled.PER_COLUMN * 8
    assert problem.fused.seconds == pytest.approx(5 * seconds + expected)
    assert small.fixed_point().fused.seconds == seconds
    # One product of matrices beside the factors: 40 * 40 * 12 + 40^3 / 3.
    fused = ring([12, 40], "tanh", 1.0, 0).fixed_point().fused
    assert newton_compiled.compiled_multiplications(fused) == 40 * 480 + 40**3 / 3 <= newton_compiled.COMPILED
    assert newton_compiled.compiled_multiplications(None) == np.inf
