"""What every registered activation promises, tested on each with its defaults and on variants of its parameters."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nngames.activations import Activation, activation, activations
from nngames.core.errors import NotApplicableError, StepError

VARIANTS: list[tuple[str, dict[str, Any]]] = [
    ("linear", {"slope": 0.7, "bias": 0.3}),
    ("linear", {"slope": 2.5, "bias": -1.0}),
    ("linear", {"slope": 0.0, "bias": 0.5}),
    ("linear", {"slope": -0.5, "bias": 0.2}),
    ("relu", {"slope": 0.3, "bias": 0.7}),
    ("relu", {"slope": 3.0, "bias": -0.7}),
    ("relu", {"slope": 0.0, "bias": 0.4}),
    ("relu", {"slope": 0.0, "bias": -0.4}),
    ("relu", {"slope": -1.0}),
    ("leaky_relu", {"slope": 0.0}),
    ("leaky_relu", {"slope": 3.0}),
    ("leaky_relu", {"slope": -1.0}),
    ("prelu", {"slope": 1.0}),
    ("tanh", {"scale": 0.7}),
    ("tanh", {"scale": 3.0}),
    ("tanh", {"scale": 0.0}),
    ("tanh", {"scale": -0.5}),
    ("elu", {"alpha": 0.3}),
    ("elu", {"alpha": 2.5}),
    ("elu", {"alpha": 0.0}),
    ("elu", {"alpha": -0.5}),
    ("softplus_beta", {"beta": 0.3}),
    ("softplus_beta", {"beta": 10.0}),
    ("softmax", {"gain": 0.4}),
    ("softmax", {"gain": 6.0}),
    ("box", {"lower": -0.3, "upper": 0.7}),
    ("box", {"lower": 0.0, "upper": np.inf}),
    ("box", {"lower": [-1.0, 0.5, -np.inf], "upper": [1.0, 0.5, 2.0]}),
    ("singleton", {"point": [0.5, -2.0, 1.0]}),
    ("simplex", {"total": 2.5}),
    ("ball", {"radius": 2.0, "center": 0.5}),
    ("ball", {"radius": 0.5, "center": [1.0, -1.0, 0.0, 2.0]}),
    ("halfspace", {"normal": [1.0, -2.0, 0.5], "offset": 0.3}),
    ("affine", {"matrix": [[1.0, 2.0, -1.0, 0.5], [0.0, 1.0, 1.0, 1.0]], "offset": [1.0, -0.5]}),
    ("affine", {"matrix": [[1.0, 0.0], [0.0, 2.0]], "offset": [1.0, 1.0]}),
    ("polyhedron", {"matrix": [[1.0, 1.0, 1.0], [-1.0, 0.0, 0.5], [0.0, -2.0, 1.0]], "offset": [1.0, 0.5, 0.25]}),
    ("polyhedron", {"matrix": [[1.0, 1.0], [-1.0, -1.0], [1.0, 0.0], [-1.0, 0.0]], "offset": [1.0, -1.0, 1.0, 0.0]}),
]
ALL = [activation(name) for name in activations()] + [activation(name, **options) for name, options in VARIANTS]
MONOTONE = [a for a in ALL if a.monotone]
IDS = {"ids": lambda a: repr(a).replace(" ", "") if isinstance(a, Activation) else str(a)}
each = pytest.mark.parametrize("a", ALL, **IDS)
each_monotone = pytest.mark.parametrize("a", MONOTONE, **IDS)


def size_of(a: Activation) -> int:
    return a.size or 4


def points(a: Activation, count: int, scale: float = 2.0, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, size_of(a))) * scale


def domain_points(a: Activation, count: int, scale: float = 2.0, seed: int = 1) -> np.ndarray:
    """Points of dom f: projections, drawn a little to the inside where r has interior values."""
    z = a.domain.project(points(a, count, scale, seed))
    return a.domain.project(0.5 * z + 0.5 * a(points(a, count, scale, seed + 1)))


def inner(a: Activation, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return x * y if a.separable else np.sum(x * y, axis=-1)


def squared(a: Activation, x: np.ndarray) -> np.ndarray:
    return inner(a, x, x)


def away_from_kinks(a: Activation, v: np.ndarray, d: np.ndarray, h: float) -> np.ndarray:
    """Return where r has one Jacobian along v - h d .. v + h d (its jvp hardly changes)."""
    low, high = a.jvp(v - 2 * h * d, d), a.jvp(v + 2 * h * d, d)
    return np.abs(low - high).max(axis=-1) <= 1e-3


@each
def test_precision_and_shape_are_kept(a: Activation) -> None:
    v = points(a, 6).reshape(2, 3, -1)
    assert a(v).dtype == np.float64
    assert a(v).shape == v.shape
    assert a(v.astype(np.float32)).dtype == np.float32
    np.testing.assert_allclose(a(v.astype(np.float32)), a(v), rtol=1e-5, atol=1e-5)
    assert a(np.round(v).astype(int)).dtype == np.float64
    np.testing.assert_allclose(a(np.round(v).astype(int)), a(np.round(v)), rtol=1e-14)
    assert np.asarray(a(v[0, 0].tolist())).dtype == np.float64


@each
def test_a_batch_is_its_rows(a: Activation) -> None:
    v, d = points(a, 6).reshape(2, 3, -1), points(a, 6, seed=5).reshape(2, 3, -1)
    for i in np.ndindex(2, 3):
        np.testing.assert_allclose(a(v)[i], a(v[i]), rtol=1e-14, atol=1e-15)
        np.testing.assert_allclose(a.jvp(v, d)[i], a.jvp(v[i], d[i]), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(a.primitive(v)[1], a.primitive(v[1]), rtol=1e-13, atol=1e-15)


@each
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_out_is_filled_and_may_be_the_input_or_a_view_of_it(a: Activation, dtype: type) -> None:
    v = points(a, 4).astype(dtype)
    expected = a(v)
    out = np.empty_like(v)
    assert a(v, out=out) is out
    np.testing.assert_array_equal(out, expected)
    same = v.copy()
    assert a(same, out=same) is same
    np.testing.assert_array_equal(same, expected)
    whole = v.copy()
    a(whole[1:3], out=whole[1:3])
    np.testing.assert_array_equal(whole, np.concatenate([v[:1], expected[1:3], v[3:]]))


@each
@pytest.mark.parametrize("size", [1e308, 3e38, 1e-308, 5e-324, 0.0])
def test_extreme_inputs_give_no_nan_and_no_warning(a: Activation, size: float) -> None:
    signs = np.array([[1, 1, 1, 1], [-1, -1, -1, -1], [1, -1, 1, -1], [-1, 1, 1, 0]])[:, np.arange(size_of(a)) % 4]
    v = size * signs
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        assert not np.isnan(a(v)).any()
        assert not np.isnan(a.jvp(v, np.ones_like(v))).any()
        assert not np.isnan(a.primitive(v)).any()
        if size <= 3e38:
            with np.errstate(under="ignore"):
                assert not np.isnan(a(v.astype(np.float32))).any()
        if a.monotone:
            x = a.domain.project(np.where(np.isfinite(a(v)), a(v), 0.0))
            value, error = a.gap(x, v)
            assert not np.isnan(value).any()
            assert not np.isnan(error).any()
            assert (value >= 0).all()
            assert not np.isnan(a.conjugate(x)).any()
            assert not np.isnan(a.penalty(x)).any()
            for step in (1e-3, 0.7, 1.01):
                assert not np.isnan(a.prox(v, step)).any()


@each
def test_jacobian_products_are_finite_differences(a: Activation) -> None:
    v, d, h = points(a, 60), points(a, 60, 1.0, seed=3), 1e-6
    smooth = away_from_kinks(a, v, d, h)
    assert smooth.sum() >= 20
    quotient = (a(v + h * d) - a(v - h * d)) / (2 * h)
    np.testing.assert_allclose(a.jvp(v, d)[smooth], quotient[smooth], rtol=1e-5, atol=1e-7)
    u = points(a, 60, 1.0, seed=4)
    np.testing.assert_allclose(np.sum(a.jvp(v, d) * u, -1), np.sum(a.vjp(v, u) * d, -1), rtol=1e-9, atol=1e-12)


@each
def test_derivative_is_the_jacobian_of_a_separable_response(a: Activation) -> None:
    v, d = points(a, 8), points(a, 8, seed=3)
    if a.separable:
        np.testing.assert_array_equal(a.jvp(v, d), a.derivative(v) * d)
        assert a.derivative(v.astype(np.float32)).dtype == np.float32
    else:
        with pytest.raises(NotApplicableError, match="not separable"):
            a.derivative(v)


@each
def test_primitive_has_the_response_as_gradient(a: Activation) -> None:
    v, d, h = points(a, 60), points(a, 60, 1.0, seed=3), 1e-5
    quotient = (a.layer_sum(a.primitive(v + h * d)) - a.layer_sum(a.primitive(v - h * d))) / (2 * h)
    np.testing.assert_allclose(quotient, np.sum(a(v) * d, axis=-1), rtol=1e-6, atol=2e-5)


@each
def test_slope_range_encloses_difference_quotients(a: Activation) -> None:
    low, high = a.slope_range
    for scale in (0.1, 2.0, 10.0):
        x, y = points(a, 300, scale, 6), points(a, 300, scale, 7)
        dx, dr = x - y, a(x) - a(y)
        slack = 1e-12 * (1 + squared(a, dx))
        assert (inner(a, dx, dr) <= high * squared(a, dx) + slack).all()
        assert (inner(a, dx, dr) >= low * squared(a, dx) - slack).all()
        assert (squared(a, dr) <= (a.lipschitz**2) * squared(a, dx) + slack).all()


@each
def test_slope_range_is_approached(a: Activation) -> None:
    if a.separable:
        grid = np.concatenate([np.linspace(-3, 3, 1201) + 1e-9, [-1e5, -30.0, -1e-9, 30.0, 1e5]])
        slopes = a.derivative(grid if a.size is None else np.repeat(grid[:, None], a.size, axis=1))
    else:
        special = points(a, 40, 1.5)
        special[:10] *= 0.1
        special[10:20] *= 100
        special[20:30, :2] = 40.0
        special[30:] = np.mean(domain_points(a, 200), axis=0)
        basis = np.eye(size_of(a))
        slopes = np.linalg.eigvalsh(np.array([[a.jvp(v, e) for e in basis] for v in special]))
    low, high = a.slope_range
    assert slopes.min() <= low + 2e-3 * max(1, abs(high))
    assert slopes.max() >= high - 2e-3 * max(1, abs(high))
    assert slopes.min() >= low - 1e-12
    assert slopes.max() <= high + 1e-12


@each
def test_exact_slopes_are_stated(a: Activation) -> None:
    for text, value in zip(a.slope_range_exact, a.slope_range, strict=True):
        assert text
        numbers = text.split("/")
        if all(part.replace(".", "").lstrip("-").isdigit() for part in numbers):
            exact = float(numbers[0]) / float(numbers[1] if len(numbers) > 1 else 1)
            assert exact == pytest.approx(value, rel=1e-15)


@each
def test_averagedness_is_the_infimum(a: Activation) -> None:
    gamma = a.averagedness
    if gamma is None:
        assert a.slope_range[1] > 1 or a.slope_range[0] < -1
        return
    x = np.concatenate([points(a, 400, s, 8) for s in (0.01, 1.0, 30.0)])
    y = x + np.concatenate([points(a, 400, s, 9) for s in (0.01, 0.01, 30.0)])
    dx, dr = x - y, a(x) - a(y)

    def holds(g: float) -> bool:
        moved = g * dx + dr - dx
        return bool((np.sum(moved**2, -1) <= g**2 * np.sum(dx**2, -1) * (1 + 1e-9) + 1e-18).all())

    assert holds(gamma)
    if gamma > 0.01:
        assert not holds(0.9 * gamma)


@each
def test_bounded_means_a_bounded_range(a: Activation) -> None:
    far = np.concatenate([points(a, 50, 1e7, s) for s in (1, 2)])
    assert (np.abs(a(far)).max() < 1e3) == a.bounded


@each
def test_equal_parameters_make_equal_activations(a: Activation) -> None:
    again = activation(a.name, **a.parameters)
    assert again == a
    assert hash(again) == hash(a)
    assert again is not a


@pytest.mark.parametrize("a", [a for a in ALL if not a.monotone], **IDS)
def test_what_is_not_monotone_is_the_prox_of_nothing(a: Activation) -> None:
    v = points(a, 2)
    for ask in (lambda: a.domain, lambda: a.conjugate(v), lambda: a.penalty(v), lambda: a.prox(v), lambda: a.gap(v, v)):
        with pytest.raises(NotApplicableError, match="prox of no function: use cost='tracking'"):
            ask()


@each_monotone
def test_fenchel_young_equality_at_the_response(a: Activation) -> None:
    v = points(a, 50)
    p = a.domain.project(a(v))
    value, error = a.gap(p, v)
    assert (value <= error + 1e-14).all()
    naive = a.conjugate(p) + a.primitive(v) - inner(a, p, v)
    np.testing.assert_allclose(naive, 0, atol=1e-13 * (1 + np.abs(inner(a, p, v)).max()))


@each_monotone
def test_gap_is_the_naive_sum_where_that_is_well_conditioned(a: Activation) -> None:
    x, v = domain_points(a, 200), points(a, 200, seed=11)
    value, error = a.gap(x, v)
    naive = a.conjugate(x) + a.primitive(v) - inner(a, x, v)
    np.testing.assert_allclose(value, naive, rtol=1e-12, atol=1e-12)
    assert (error <= 1e-11 * (1 + value)).all()
    assert (value >= 0).all()


@each_monotone
def test_gap_is_at_least_the_squared_distance_over_twice_the_slope(a: Activation) -> None:
    high = a.slope_range[1]
    x, v = domain_points(a, 200, seed=12), points(a, 200, 3.0, seed=14)
    value, error = a.gap(x, v)
    if high > 0:
        assert (value + error >= squared(a, x - a(v)) / (2 * high) * (1 - 1e-12) - 1e-15).all()


@each_monotone
def test_gap_and_penalties_are_infinite_off_the_domain(a: Activation) -> None:
    x, v = points(a, 50, 3.0, 15), points(a, 50, 1.0, 16)
    away = a.domain.project(x) - x
    off = np.abs(away) > 1e-6 if a.separable else np.linalg.norm(away, axis=-1) > 1e-6
    value, error = a.gap(x, v)
    for values in (value, a.conjugate(x), a.penalty(x)):
        np.testing.assert_array_equal(values == np.inf, off)
    assert not np.isnan(error).any()


@each_monotone
def test_float32_actions_are_on_the_domain(a: Activation) -> None:
    v = points(a, 20).astype(np.float32)
    x = a.domain.project(a(v))
    value, error = a.gap(x, v)
    assert x.dtype == np.float32
    assert np.isfinite(value).all()
    assert (value <= 1e-4 + error).all()


@each_monotone
def test_penalty_is_the_conjugate_less_half_the_square(a: Activation) -> None:
    x = domain_points(a, 50)
    np.testing.assert_allclose(a.penalty(x), a.conjugate(x) - 0.5 * squared(a, x), rtol=1e-11, atol=1e-12)


@each_monotone
def test_domain_projection_is_the_nearest_point(a: Activation) -> None:
    z, others = points(a, 40, 3.0, 17), domain_points(a, 40, seed=18)
    p = a.domain.project(z)
    np.testing.assert_allclose(a.domain.project(p), p, rtol=1e-12, atol=1e-14)
    assert (np.sum((z - p) * (others - p), axis=-1) <= 1e-11 * (1 + np.sum(z * z, axis=-1))).all()
    np.testing.assert_allclose(a.domain.distance(z), np.linalg.norm(z - p, axis=-1))
    assert np.isfinite(a.layer_sum(a.penalty(p))).all()
    assert str(a.domain)


@each_monotone
def test_affine_hull_holds_the_domain_and_no_more(a: Activation) -> None:
    n = size_of(a)
    hull = a.domain.affine_hull(n)
    x = domain_points(a, 3 * n + 3, 3.0)
    directions = x[1:] - x[0]
    basis = np.eye(n) if hull.basis is None else hull.basis
    np.testing.assert_allclose(basis.T @ basis, np.eye(basis.shape[1]), atol=1e-13)
    d = points(a, 5, seed=20)
    np.testing.assert_allclose(hull.project_directions(d), d @ basis @ basis.T, atol=1e-12)
    np.testing.assert_allclose(hull.project_directions(directions), directions, atol=1e-12)
    np.testing.assert_allclose((x[0] - hull.point) @ basis @ basis.T, x[0] - hull.point, atol=1e-12)
    assert np.linalg.matrix_rank(directions, tol=1e-9) == basis.shape[1]
    projector = {"identity": np.eye(n), "zero": np.zeros((n, n)), "sum_zero": np.eye(n) - 1 / n}
    if hull.exact_projector in projector:
        np.testing.assert_allclose(basis @ basis.T, projector[hull.exact_projector], atol=1e-13)
    else:
        assert hull.exact_projector == "floating"


@each_monotone
def test_polyhedral_form_describes_the_domain(a: Activation) -> None:
    n = size_of(a)
    form = a.polyhedral_form(n)
    if form is None:
        return
    matrix, low, high = form
    x, z = domain_points(a, 30), points(a, 200, 2.0, 21)
    assert (x @ matrix.T <= high + 1e-12).all()
    assert (x @ matrix.T >= low - 1e-12).all()
    inside = ((z @ matrix.T <= high + 1e-12) & (z @ matrix.T >= low - 1e-12)).all(axis=-1)
    np.testing.assert_array_equal(a.layer_sum(a.penalty(z)) < np.inf, inside)
    np.testing.assert_array_equal(a.penalty(x), 0.0)


def steps_of(a: Activation) -> list[float]:
    high = a.slope_range[1]
    limit = high / (high - 1) if high > 1 else np.inf
    return [0.05, 0.5, 1.0] + ([1.7, 6.0] if limit == np.inf else [0.5 * (1 + limit), 1 + 0.98 * (limit - 1)])


@each_monotone
def test_prox_minimises(a: Activation) -> None:
    """The value exceeds the minimum by the strong convexity term at every point of the domain, near and far."""
    high = a.slope_range[1]
    u = points(a, 6, 3.0, 22)
    for step in steps_of(a):
        p = a.prox(u, step)
        assert np.isfinite(a.penalty(p)).all()
        modulus = 1 - step * (1 - 1 / high) if high > 1 else 1.0

        def cost(z: np.ndarray, step: float = step) -> np.ndarray:
            return a.layer_sum(step * a.penalty(z) + (0.5 * squared(a, z - u)))

        for distance in (1e-4, 1e-2, 1.0, 10.0):
            for seed in range(4):
                q = a.domain.project(p + distance * points(a, 6, 1.0, 30 + seed))
                excess = cost(q) - cost(p) - 0.5 * modulus * np.sum((q - p) ** 2, axis=-1)
                assert (excess >= -1e-12 * (1 + np.abs(cost(p)))).all(), (step, distance)


@pytest.mark.parametrize("a", [a for a in MONOTONE if a.separable and a.size is None], **IDS)
def test_scalar_prox_agrees_with_numerical_minimisation(a: Activation) -> None:
    from scipy.optimize import minimize_scalar

    rng = np.random.default_rng(23)
    for step in steps_of(a):
        for u in rng.normal(size=3) * 3:
            p = float(a.prox(u, step))
            ends = a.domain.project(np.array([p - 5.0, p + 5.0]))
            if ends[0] == ends[1]:
                assert p == ends[0]
                continue
            found = minimize_scalar(
                lambda z, u=u, step=step: float(step * a.penalty(z) + 0.5 * (z - u) ** 2),
                bounds=tuple(ends),
                method="bounded",
                options={"xatol": 1e-12},
            )
            assert p == pytest.approx(found.x, rel=1e-6, abs=1e-5)


@each_monotone
def test_prox_with_step_one_is_the_response(a: Activation) -> None:
    u = points(a, 8)
    np.testing.assert_allclose(a.prox(u), a(u), rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(a.prox(u, 1 + 1e-13), a(u), rtol=1e-11, atol=1e-11)


@each_monotone
def test_prox_steps_may_vary(a: Activation) -> None:
    u, steps = points(a, 3), np.array([[0.3], [0.9], [1.01]])
    expected = np.array([a.prox(row, float(step[0])) for row, step in zip(u, steps, strict=True)])
    np.testing.assert_allclose(a.prox(u, steps), expected, rtol=1e-12, atol=1e-14)
    varied = np.linspace(0.3, 0.9, size_of(a))
    if a.separable:
        rows = np.array([a.prox(u, float(step))[:, i] for i, step in enumerate(varied)]).T
        np.testing.assert_allclose(a.prox(u, varied), rows, rtol=1e-12, atol=1e-14)
    elif size_of(a) > 1:
        with pytest.raises(StepError, match="one number for the layer"):
            a.prox(u, varied)


@each_monotone
@pytest.mark.parametrize("step", [0.0, -1.0, np.nan, np.inf])
def test_prox_steps_must_be_positive(a: Activation, step: float) -> None:
    with pytest.raises(StepError, match="the step must be positive and finite"):
        a.prox(points(a, 1), step)


@pytest.mark.parametrize("a", [a for a in MONOTONE if a.slope_range[1] > 1], **IDS)
def test_prox_steps_beyond_weak_convexity_are_refused(a: Activation) -> None:
    high = a.slope_range[1]
    a.prox(points(a, 1), 0.999 * high / (high - 1))
    for step in (high / (high - 1), 10.0 * high / (high - 1)):
        with pytest.raises(StepError, match=r"weakly convex \(slopes up to .*the step must be below S/\(S - 1\) = "):
            a.prox(points(a, 1), step)


@each_monotone
def test_cvxpy_form_of_the_conjugate(a: Activation) -> None:
    import cvxpy as cp

    n = size_of(a)
    z = cp.Variable(n)
    form = a.conjugate_cvxpy(z)
    if form is None:
        assert a.name in ("arctan", "softplus_beta")
        return
    expression, constraints = form
    for point in domain_points(a, 2, 1.0, seed=25):
        problem = cp.Problem(cp.Minimize(expression), [*constraints, z == point])
        assert problem.is_dcp()
        value = problem.solve(solver="CLARABEL")
        assert value == pytest.approx(float(a.layer_sum(a.conjugate(point))), rel=1e-5, abs=1e-6)
    outside = points(a, 20, 4.0, 26)
    outside = outside[a.domain.distance(outside) > 0.1]
    if len(outside):
        problem = cp.Problem(cp.Minimize(expression), [*constraints, z == outside[0]])
        problem.solve(solver="CLARABEL")
        assert problem.status in ("infeasible", "infeasible_inaccurate")


@pytest.mark.parametrize("a", [a for a in MONOTONE if a.conjugate_cvxpy is not Activation.conjugate_cvxpy], **IDS)
def test_response_minimises_the_cost_that_cvxpy_sees(a: Activation) -> None:
    import cvxpy as cp

    z = cp.Variable(size_of(a))
    form = a.conjugate_cvxpy(z)
    if form is None:
        return
    v = points(a, 1, 1.5, 27)[0]
    cp.Problem(cp.Minimize(form[0] - v @ z), form[1]).solve(solver="CLARABEL")
    np.testing.assert_allclose(z.value, a(v), atol=2e-4)


def rationals(row: np.ndarray) -> list[Any]:
    from nngames.core.exact import rational

    return [rational(float(t)) for t in row]


@each
def test_exact_response_is_the_floating_one(a: Activation) -> None:
    from flint import fmpq

    for row in points(a, 10, 2.0, 28):
        exact = a.flint_response(rationals(row))
        assert len(exact) == len(row)
        if a.piecewise_linear:
            assert all(isinstance(t, fmpq) for t in exact)
        for t, r in zip(exact, a(row), strict=True):
            value = float(t.p) / float(t.q) if isinstance(t, fmpq) else float(t)
            assert value == pytest.approx(float(r), rel=1e-12, abs=1e-13)


@each
def test_ball_response_contains_the_response_of_every_point_of_the_ball(a: Activation) -> None:
    from flint import arb

    rng = np.random.default_rng(29)
    for row in points(a, 4, 1.5, 30):
        for radius in (1e-3, 0.5):
            balls = [arb(float(t), radius) for t in row]
            image = a.flint_response(balls)
            for _ in range(5):
                inside = row + radius * rng.uniform(-1, 1, size=row.shape)
                for t, r in zip(image, a(inside), strict=True):
                    assert arb(t).overlaps(arb(float(r), 1e-13))


@each_monotone
def test_exact_conjugate_is_the_floating_one(a: Activation) -> None:
    from flint import fmpq

    for row in domain_points(a, 10, 2.0, 31):
        exact_row = a.flint_response(rationals(row)) if not a.separable and a.piecewise_linear else rationals(row)
        if a.name == "softmax":
            exact_row[-1] = 1 - sum(exact_row[:-1])
        exact = a.flint_conjugate(exact_row)
        assert exact is not None
        if a.piecewise_linear:
            assert isinstance(exact, fmpq)
        value = float(exact.p) / float(exact.q) if isinstance(exact, fmpq) else float(exact)
        assert value == pytest.approx(float(a.layer_sum(a.conjugate(row))), rel=1e-12, abs=1e-13)


@each_monotone
def test_exact_conjugate_is_none_off_the_domain(a: Activation) -> None:
    z = points(a, 30, 3.0, 32)
    for row in z[a.domain.distance(z) > 1e-6]:
        assert a.flint_conjugate(rationals(row)) is None


@each_monotone
def test_ball_conjugate_contains_the_conjugate(a: Activation) -> None:
    from flint import arb

    for row in domain_points(a, 5, 1.0, 33):
        enclosure = a.flint_conjugate([arb(float(t), 1e-9) for t in row])
        assert enclosure is not None
        value = float(a.layer_sum(a.conjugate(row)))
        assert arb(enclosure).overlaps(arb(value, 1e-12 * (1 + abs(value))))


finite = st.floats(-1e6, 1e6)


@pytest.mark.parametrize("a", [a for a in MONOTONE if a.separable and a.size is None], **IDS)
@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(x=finite, v=finite)
def test_gap_of_any_numbers_is_the_naive_sum_up_to_its_rounding(a: Activation, x: float, v: float) -> None:
    x = float(a.domain.project(np.array(x)))
    value, error = a.gap(np.array(x), np.array(v))
    terms = float(a.conjugate(x)), float(a.primitive(v)), -x * v
    assert float(value) >= 0
    assert abs(float(value) - sum(terms)) <= float(error) + 1e-13 * sum(map(abs, terms)) + 1e-14


@pytest.mark.parametrize("a", [a for a in MONOTONE if a.separable and a.size is None], **IDS)
@settings(max_examples=25, deadline=None, derandomize=True)
@given(u=finite, share=st.floats(0.01, 0.99))
def test_prox_of_any_number_satisfies_its_optimality_condition(a: Activation, u: float, share: float) -> None:
    """p = r(w) at the w with (1 - step) p + step w = u: the gap of (p, w) vanishes."""
    high = a.slope_range[1]
    step = share * (high / (high - 1) if high > 1 else 5.0)
    p = float(a.prox(u, step))
    w = (u - (1 - step) * p) / step
    slack = 1e-12 * (1 + abs(u) / step)
    assert float(a(np.array(w - slack))) - slack <= p <= float(a(np.array(w + slack))) + slack
