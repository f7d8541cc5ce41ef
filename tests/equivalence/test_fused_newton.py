"""The compiled steps of Newton's method against those in NumPy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import nngames as nng
from nngames.networks import forms, fused_newton
from nngames.results.result import Result
from nngames.solvers import loop, newton
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
    monkeypatch.setattr(loop, "kernels", lambda limited: kernels)
    with np.errstate(all="ignore"):
        yield made


def ring(sizes: list[int], activation: str, size: float, seed: int) -> Any:
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
    slopes = [fused_newton.slope(form, float(a), float(b), float(v)) for v in points]
    np.testing.assert_allclose(slopes, activation.derivative(np.array(points)), rtol=1e-10, atol=1e-15)


def test_the_forms_are_all_of_the_table() -> None:
    made = {forms.form_of(nng.activation(label, **options))[0] for label, options in FORMS.items()}  # type: ignore[index]
    assert made == set(range(12))


@pytest.mark.parametrize("sizes", [[7], [5, 5], [3, 9, 6], [6, 2, 8, 5]])
def test_a_compiled_system_is_that_of_the_view(sizes: list[int]) -> None:
    view = ring(sizes, "elu", 0.5, 0).fixed_point()
    n, rng, rows = view.size, np.random.default_rng(1), max(sizes)
    x, matrix = rng.standard_normal((1, n)), np.empty((n, n))
    fused_newton.system(*view.fused.arguments(), x, np.full((2, rows, n), np.nan), matrix)
    np.testing.assert_allclose(matrix, np.eye(n) - view.jacobian(x[0]), rtol=0, atol=1e-12)
    g, d, pivots = rng.standard_normal((1, n)), np.empty((1, n)), np.empty(n, dtype=np.int64)
    expected = np.linalg.solve(matrix, g[0])
    assert fused_newton.factorise(matrix, pivots)
    fused_newton.substitute(matrix, pivots, g, d)
    np.testing.assert_allclose(d[0], expected, rtol=1e-10)


@pytest.mark.parametrize("matrix", [[[1.0, 2.0], [0.5, 1.0]], [[np.nan, 1.0], [1.0, 1.0]], [[0.0, 1.0], [0.0, 1.0]]])
def test_singular_and_infinite_systems_are_refused(matrix: list[list[float]]) -> None:
    assert not fused_newton.factorise(np.array(matrix), np.empty(2, dtype=np.int64))


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
    # It forms a Jacobian of its own.
    assert following.evaluations == state.evaluations + 10
    assert following.residual < residuals[-1]


def test_which_runs_have_compiled_steps() -> None:
    def taken(game: Any, **options: Any) -> bool:
        return nng.solver("newton", **options).problem(game, np.random.default_rng(0)).fused is not None

    small = ring([8, 8], "tanh", 1.0, 0)
    assert taken(small)
    assert not taken(small, map="joint")
    assert not taken(small, linear_solver="gmres")
    assert not taken(ring([80], "tanh", 1.0, 0))
    assert not taken(ring([40, 40, 40], "tanh", 1.0, 0))
    # A step takes as long as a Jacobian of 4 + 4/3 passes and five others, by which an interruption can wait.
    seconds = small.fixed_point().fused.seconds
    problem = nng.solver("newton").problem(small, np.random.default_rng(0))
    assert problem.fused.seconds == pytest.approx((5 + 4 + 4 / 3) * seconds)
    assert small.fixed_point().fused.seconds == seconds
    # One product of matrices beside the factors: 40 * 40 * 12 + 40^3 / 3.
    fused = ring([12, 40], "tanh", 1.0, 0).fixed_point().fused
    assert newton.compiled_multiplications(fused) == 40 * 480 + 40**3 / 3 <= newton.COMPILED
    assert newton.compiled_multiplications(None) == np.inf
