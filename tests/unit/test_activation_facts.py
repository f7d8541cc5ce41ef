"""Facts about single activations, each from a source of its own: closed forms, exact slopes, degenerate parameters."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
import pytest

from nngames.activations import AffineHull, Interval, activation
from nngames.activations.foundations.base import registry
from nngames.activations.foundations.charts import constant_chart
from nngames.activations.foundations.projections import SetProjection
from nngames.activations.foundations.slopes import root_ball
from nngames.activations.numerics.rounding import dilogarithm, exp_excess, log_excess, relative_entropy
from nngames.core.errors import NotApplicableError


@pytest.mark.parametrize(
    ("name", "options", "gamma"),
    [
        ("identity", {}, 0.0),
        ("linear", {"slope": -0.5}, 0.75),
        ("linear", {"slope": -1.0}, 1.0),
        ("linear", {"slope": 1.5}, None),
        ("linear", {"slope": -1.5}, None),
        ("relu", {}, 0.5),
        ("leaky_relu", {}, 0.495),
        ("prelu", {}, 0.375),
        ("tanh", {}, 0.5),
        ("tanh", {"scale": 2.0}, None),
        ("sigmoid", {}, 0.5),
        ("softmax", {}, 0.5),
        ("softmax", {"gain": 2.5}, None),
        ("silu", {}, None),
        ("singleton", {}, 0.5),
        ("affine", {}, 0.5),
        ("affine", {"matrix": [[0.0, 0.0]], "offset": [0.0]}, 0.0),
        ("polyhedron", {"matrix": [[0.0, 0.0]], "offset": [0.0]}, 0.0),
        ("box", {"lower": -np.inf, "upper": np.inf}, 0.0),
    ],
)
def test_averagedness(name: str, options: dict[str, Any], gamma: float | None) -> None:
    assert activation(name, **options).averagedness == (gamma if gamma is None else pytest.approx(gamma, abs=1e-15))


def test_slopes_of_silu_are_rounded_outwards() -> None:
    from flint import arb, ctx

    low, high = activation("silu").slope_range
    with mpmath.workdps(40):
        t = mpmath.findroot(lambda t: t * mpmath.tanh(t / 2) - 2, 2.4)
        assert 0 <= (2 - t) / 4 - mpmath.mpf(low) < 2e-17
        assert 0 <= mpmath.mpf(high) - (2 + t) / 4 < 3e-16
    previous, ctx.prec = ctx.prec, 120
    try:
        slope = arb("2.39935728052051")
        s = 1 / (1 + (-slope).exp())
        assert abs(s * (1 + slope * (1 - s)) - arb(high)) < arb("1e-15")
    finally:
        ctx.prec = previous


@pytest.mark.parametrize(
    ("name", "options", "low", "high"),
    [
        ("identity", {}, ("1", True), ("1", True)),
        ("linear", {"slope": 0.7, "bias": 0.3}, ("0.7", True), ("0.7", True)),
        ("linear", {"slope": 1.0, "bias": 1e20}, ("1", True), ("1", True)),
        ("relu", {"slope": 3.0, "bias": -0.7}, ("0", True), ("3", True)),
        ("relu", {"slope": -1.0, "bias": 2.0}, ("-1", True), ("0", True)),
        ("relu", {"slope": 0.0, "bias": 2.0}, ("0", True), ("0", True)),
        ("leaky_relu", {}, ("0.01", True), ("1", True)),
        ("prelu", {"slope": 3.0}, ("1", True), ("3", True)),
        ("sigmoid", {}, ("0", False), ("1/4", True)),
        ("tanh", {"scale": -0.5}, ("-1/2", True), ("0", False)),
        ("tanh", {"scale": 0.0}, ("0", True), ("0", True)),
        ("arctan", {}, ("0", False), ("1", True)),
        ("softsign", {}, ("0", False), ("1", True)),
        ("elu", {"alpha": 0.3}, ("0", False), ("1", True)),
        ("elu", {"alpha": 2.5}, ("0", False), ("5/2", True)),
        ("elu", {"alpha": 0.0}, ("0", True), ("1", True)),
        ("elu", {"alpha": -0.5}, ("-1/2", True), ("1", True)),
        ("softplus_beta", {"beta": 0.3}, ("0", False), ("1", False)),
        ("silu", {}, ("(2 - t)/4", True), ("(2 + t)/4", True)),
        ("softmax", {}, ("0", True), ("1/2", True)),
        ("softmax", {"gain": -3.0}, ("-3/2", True), ("0", True)),
        ("box", {"lower": 0.0, "upper": np.inf}, ("0", True), ("1", True)),
        ("box", {"lower": [1.0, 0.0], "upper": [1.0, 0.5]}, ("0", True), ("1", True)),
        ("box", {"lower": -np.inf, "upper": np.inf}, ("1", True), ("1", True)),
        ("singleton", {"point": [0.5, -2.0]}, ("0", True), ("0", True)),
        ("ball", {"center": 1e6}, ("0", True), ("1", True)),
        ("halfspace", {"normal": [3.0, -4.0], "offset": -2.0}, ("0", True), ("1", True)),
        ("affine", {"matrix": [[0.0, 0.0]], "offset": [0.0]}, ("1", True), ("1", True)),
        ("affine", {"matrix": [[1.0, 0.0], [0.0, 2.0]], "offset": [1.0, 1.0]}, ("0", True), ("0", True)),
        ("polyhedron", {"matrix": [[1.0, 0.0], [-1.0, 0.0]], "offset": [1e-6, 0.0]}, ("0", True), ("1", True)),
        ("polyhedron", {"matrix": [[1.0], [-1.0]], "offset": [1e-6, 0.0]}, ("0", True), ("1", True)),
        ("polyhedron", {"matrix": [[1.0], [-1.0]], "offset": [0.0, 0.0]}, ("0", True), ("0", True)),
        ("polyhedron", {"matrix": [[0.0, 0.0]], "offset": [0.0]}, ("1", True), ("1", True)),
    ],
)
def test_exact_ends_of_the_slope_range(
    name: str, options: dict[str, Any], low: tuple[str, bool], high: tuple[str, bool]
) -> None:
    a = activation(name, **options)
    ends = a.slope_range_exact
    assert [(end.expression, end.attained) for end in ends] == [low, high]
    for end, value in zip(ends, a.slope_range, strict=True):
        x, y = (np.asarray(t, dtype=np.float64) for t in end.pair)
        assert np.sum((y - x) * (a(y) - a(x))) / np.sum((y - x) ** 2) == pytest.approx(value, abs=1e-9)


def test_digits_of_an_end_are_right() -> None:
    with mpmath.workdps(50):
        t = mpmath.findroot(lambda t: t * mpmath.tanh(t / 2) - 2, 2.4)
        for end, value in zip(activation("silu").slope_range_exact, ((2 - t) / 4, (2 + t) / 4), strict=True):
            assert abs(mpmath.mpf(end.digits) - value) <= mpmath.mpf(10) ** -30
            assert end.equation == "t tanh(t/2) = 2"
    assert activation("sigmoid").slope_range_exact[1].digits == "0.250000000000000000000000000000"
    assert activation("elu", alpha=0.1).slope_range_exact[0].digits == "0"
    assert activation("tanh", scale=0.1).slope_range_exact[1].digits == "0.100000000000000005551115123126"


def test_zeros_of_equations_are_enclosed_or_refused() -> None:
    from flint import arb, ctx

    previous = ctx.prec
    root = root_ball(lambda t: t * t - 2, 1.4)
    try:
        for bits in (53, 300):
            ctx.prec = bits
            value = root()
            assert value.overlaps(arb(2).sqrt())
            assert value.rad() < arb(2) ** (20 - bits)
        for equation, start in ((lambda t: t * t + 1, 0.3), (lambda t: t * t, 1e-3)):
            with pytest.raises(ArithmeticError, match="no zero next to"):
                root_ball(equation, start)()
        assert ctx.prec == 300
    finally:
        ctx.prec = previous


def test_affine_pieces_reach_their_ends() -> None:
    from flint import arb

    right, left = constant_chart(2, Fraction(1, 3), np.inf), constant_chart(2, -np.inf, Fraction(1, 3))
    both, middle = constant_chart(2, -np.inf, np.inf), constant_chart(2, -1, Fraction(1, 3))
    assert (right.lower, right.upper, left.lower, left.upper) == (0, 1, -1, 0)
    assert (both.lower, both.upper, middle.lower, middle.upper) == (-1, 1, -1, Fraction(1, 3))
    assert middle.point is None
    assert right.point(arb(0)).overlaps(arb(1) / 3)
    assert left.point(arb(0)).overlaps(arb(1) / 3)
    assert right.point(arb("0.5")).overlaps(arb(4) / 3)
    assert left.point(arb("-0.5")).overlaps(-arb(2) / 3)
    assert both.point(arb("0.5")).overlaps(arb(2) / 3)
    for chart, end in ((right, 1), (left, -1), (both, 1), (both, -1)):
        assert not chart.point(arb(end)).is_finite()


def test_a_box_whose_ends_differ_by_coordinate_has_no_charts() -> None:
    with pytest.raises(NotApplicableError, match="the ends differ by coordinate"):
        activation("box", lower=[0.0, 1.0]).slope_charts()


def test_softmax_with_a_negative_gain_prefers_small_entries() -> None:
    a, b = activation("softmax", gain=-2.0), activation("softmax", gain=2.0)
    v = np.random.default_rng(7).normal(size=(5, 3))
    np.testing.assert_allclose(a(v), b(-v), rtol=1e-15)
    np.testing.assert_allclose(a.primitive(v), -b.primitive(-v), rtol=1e-15)
    np.testing.assert_array_equal(a(np.array([1e308, 0.0, -1e308])), [0.0, 0.0, 1.0])
    assert (a.monotone, a.averagedness, a.slope_range) == (False, 1.0, (-1.0, 0.0))
    assert not activation("softmax", gain=-2.5).averagedness


def test_sets_are_the_projections_by_name() -> None:
    sets = {name for name in registry if issubclass(registry[name], SetProjection)}
    assert sets - {"hard_tanh", "relu6", "sparsemax"} == {
        "affine", "ball", "box", "halfspace", "nonnegative", "polyhedron", "simplex", "singleton",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "options", "text"),
    [
        ("identity", {}, "R^n"),
        ("relu", {}, "[0, inf)^n"),
        ("relu", {"slope": 0.0, "bias": 2.0}, "{2}^n"),
        ("tanh", {"scale": 2.0}, "[-2, 2]^n"),
        ("softsign", {}, "(-1, 1)^n"),
        ("arctan", {}, "(-1.5708, 1.5708)^n"),
        ("elu", {"alpha": 0.5}, "[-0.5, inf)^n"),
        ("elu", {"alpha": 0.0}, "[0, inf)^n"),
        ("tanh", {"scale": -0.0}, "{0}^n"),
        ("softmax", {}, "{z in R^n: z >= 0, sum z = 1}"),
        ("box", {"lower": [0.0, 1.0, -np.inf], "upper": [1.0, 1.0, 2.0]}, "[0, 1] x {1} x (-inf, 2]"),
        ("box", {"lower": [0.0] * 9}, "a box in R^9"),
        ("ball", {}, "{z in R^n: |z| <= 1}"),
        ("ball", {"center": 1.0, "radius": 2.0}, "{z in R^n: |z - c| <= 2}"),
        ("halfspace", {}, "{z in R^1: <normal, z> <= 0}"),
        ("affine", {}, "{z in R^2: A z = b}"),
        ("polyhedron", {}, "{z in R^1: A z <= b}"),
    ],
)
def test_domains_are_written_as_usual(name: str, options: dict[str, Any], text: str) -> None:
    assert str(activation(name, **options).domain) == text


@pytest.mark.parametrize("slope", [0.0, -0.0])
def test_a_constant_response_is_the_prox_of_a_point(slope: float) -> None:
    for a, point in (
        (activation("linear", slope=slope, bias=0.5), 0.5),
        (activation("relu", slope=slope, bias=0.5), 0.5),
        (activation("relu", slope=slope, bias=-0.5), 0.0),
        (activation("tanh", scale=slope), 0.0),
    ):
        hull = a.domain.affine_hull(3)
        assert hull.exact_projector == "zero"
        np.testing.assert_array_equal(hull.point, np.full(3, point))
        np.testing.assert_array_equal(a.domain.project(np.array([1.0, -1.0])), [point, point])
        assert a.bounded
        assert a.slope_range == (0.0, 0.0)
        assert a.prox(np.array([3.0]), 7.0) == point
        value, error = a.gap(np.array([point, point + 1e-15]), np.array([2.0, -3.0]))
        np.testing.assert_array_equal(value, [0.0, np.inf])
        np.testing.assert_array_equal(a.penalty(np.array([point, 1.0])), [-0.5 * point**2, np.inf])
        assert error[1] == 0


@pytest.mark.parametrize(
    ("options", "projector", "dimension"),
    [
        ({"matrix": [[1.0, 1.0, 1.0]], "offset": [1.0]}, "sum_zero", 2),
        ({"matrix": [[0.0, 0.0, 0.0]], "offset": [0.0]}, "identity", 3),
        ({"matrix": [[2.0, 2.0, 2.0], [1.0, 1.0, 1.0]], "offset": [2.0, 1.0]}, "sum_zero", 2),
        ({"matrix": [[1.0, 1.0, 0.0]], "offset": [1.0]}, "floating", 2),
        ({"matrix": np.eye(3).tolist(), "offset": [1.0, 2.0, 3.0]}, "zero", 0),
    ],
)
def test_affine_hull_of_an_affine_subspace(options: dict[str, Any], projector: str, dimension: int) -> None:
    a = activation("affine", **options)
    hull: AffineHull = a.domain.affine_hull(3)
    assert hull.exact_projector == projector
    assert (3 if hull.basis is None else hull.basis.shape[1]) == dimension
    np.testing.assert_allclose(np.array(options["matrix"]) @ hull.point, options["offset"], atol=1e-14)


def test_inequalities_that_force_an_equation_lower_the_affine_hull() -> None:
    triangle = activation(
        "polyhedron", matrix=[[1, 1, 1], [-1, -1, -1], [-1, 0, 0], [0, -1, 0], [0, 0, -1]], offset=[1, -1, 0, 0, 0]
    )
    hull = triangle.domain.affine_hull(3)
    assert hull.basis is not None
    assert hull.basis.shape == (3, 2)
    np.testing.assert_allclose(hull.basis.T @ np.ones(3), 0, atol=1e-12)
    v = np.random.default_rng(0).normal(size=(20, 3)) * 3
    np.testing.assert_allclose(triangle(v), activation("simplex")(v), atol=1e-14)
    point = activation("polyhedron", matrix=[[1, 1], [-1, 0], [0, -1]], offset=[0, 0, 0])
    assert point.domain.affine_hull(2).exact_projector == "zero"
    assert point.slope_range == (0.0, 0.0)
    thin = activation("polyhedron", matrix=[[1, 0], [-1, 0]], offset=[1e-6, 0])
    assert thin.domain.affine_hull(2).exact_projector == "identity"


def test_two_projections_on_one_set_agree() -> None:
    rng = np.random.default_rng(1)
    v = rng.normal(size=(30, 3)) * 2
    box = activation("box", lower=[-1.0, 0.0, -2.0], upper=[1.0, 0.5, -1.0])
    rows = np.vstack([np.eye(3), -np.eye(3)])
    same = activation("polyhedron", matrix=rows, offset=[1.0, 0.5, -1.0, 1.0, 0.0, 2.0])
    np.testing.assert_allclose(box(v), same(v), atol=1e-15)
    half = activation("halfspace", normal=[1.0, 2.0, -1.0], offset=0.5)
    np.testing.assert_allclose(
        half(v), activation("polyhedron", matrix=[[1.0, 2.0, -1.0]], offset=[0.5])(v), atol=1e-14
    )
    plane = activation("polyhedron", matrix=[[1.0, 2.0, -1.0], [-1.0, -2.0, 1.0]], offset=[0.5, -0.5])
    np.testing.assert_allclose(activation("affine", matrix=[[1.0, 2.0, -1.0]], offset=[0.5])(v), plane(v), atol=1e-13)
    np.testing.assert_array_equal(activation("nonnegative")(v), activation("relu")(v))
    np.testing.assert_array_equal(activation("hard_tanh")(v), activation("box")(v))
    segment = v[:, :1]
    np.testing.assert_allclose(activation("ball", radius=0.7)(segment), np.clip(segment, -0.7, 0.7), atol=1e-16)


@pytest.mark.parametrize("size", [1.0, 1e6, 1e12, 1e38, 1e200, 1e308])
def test_projections_of_far_points_stay_on_the_set(size: float) -> None:
    rng = np.random.default_rng(2)
    v = size * rng.uniform(-1, 1, size=(6, 3))
    square = activation("polyhedron", matrix=np.vstack([np.eye(3), -np.eye(3)]), offset=[1.0] * 6)
    np.testing.assert_allclose(square(v), np.clip(v, -1, 1), atol=1e-13)
    simplex = activation("simplex")(v)
    np.testing.assert_allclose(simplex.sum(axis=-1), 1, atol=1e-15)
    np.testing.assert_allclose(
        np.linalg.norm(activation("ball")(v), axis=-1), np.minimum(np.linalg.norm(v / size, axis=-1) * size, 1)
    )
    half = activation("halfspace", normal=[1.0, -1.0, 2.0])
    assert half.contains(half(v)).all()
    plane = activation("affine", matrix=[[1.0, -1.0, 2.0]], offset=[0.0])
    assert plane.contains(plane(v)).all()


def test_float32_sets_have_float32_ends() -> None:
    a = activation("box", lower=-0.1, upper=0.1)
    x = a(np.array([1.0, -1.0], dtype=np.float32))
    assert x.dtype == np.float32
    np.testing.assert_array_equal(a.gap(x, np.array([1.0, -1.0], dtype=np.float32))[0] < 1.0, True)
    np.testing.assert_array_equal(a.penalty(x), 0.0)
    point = activation("singleton", point=0.1)
    y = point(np.zeros(3, dtype=np.float32))
    np.testing.assert_array_equal(point.gap(y, np.ones(3, dtype=np.float32))[0], 0.0)
    scaled = activation("tanh", scale=0.1)
    z = scaled(np.array([30.0], dtype=np.float32))
    assert np.isfinite(scaled.gap(z, np.array([30.0], dtype=np.float32))[0]).all()


def test_open_ends_project_to_the_next_number_inside() -> None:
    open_interval = Interval(-1.0, 1.0, closed_lower=False, closed_upper=False)
    np.testing.assert_array_equal(open_interval.project(np.array([-5.0, 0.5, 5.0])), [-1 + 2**-53, 0.5, 1 - 2**-53])
    assert open_interval.project(np.array([5.0], dtype=np.float32)) == np.float32(1 - 2**-24)
    a = activation("softsign")
    assert np.isfinite(a.penalty(a.domain.project(a(np.array([1e300]))))).all()


def exact_log_excess(t: float) -> Any:
    return mpmath.mpf(t) - mpmath.log1p(mpmath.mpf(t))


def test_helper_formulas_keep_relative_accuracy() -> None:
    rng = np.random.default_rng(3)
    t = np.concatenate(
        [rng.uniform(-0.99, 3, 60), 10.0 ** rng.uniform(-150, 0, 40), -(10.0 ** rng.uniform(-150, -0.4, 40))]
    )
    with mpmath.workdps(400):
        for value, computed in zip(t, log_excess(t, np.log1p(t)), strict=True):
            assert float(abs(computed / exact_log_excess(value) - 1)) < 3e-15
        v = -np.abs(t)
        for value, computed in zip(v, exp_excess(v), strict=True):
            exact = mpmath.expm1(mpmath.mpf(value)) - mpmath.mpf(value)
            assert float(abs(computed / exact - 1)) < 2e-15
        p = 10.0 ** rng.uniform(-6, 0, 60)
        x = p * (1 + np.concatenate([rng.uniform(-1, 4, 30), rng.normal(size=30) * 10.0 ** rng.uniform(-12, -1, 30)]))
        d = x - p
        value, bound = relative_entropy(x, p, d, np.log(p), 2e-16 * np.abs(d))
        for s, q, computed, error in zip(x, p, value, bound, strict=True):
            exact = mpmath.mpf(s) * mpmath.log(mpmath.mpf(s) / mpmath.mpf(q)) - mpmath.mpf(s) + mpmath.mpf(q)
            assert abs(computed - exact) <= error
            assert abs(computed - exact) <= 1e-13 * exact + 1e-15 * s * abs(np.log(q)) * (abs(s - q) > 0.4 * q)
    with mpmath.workdps(30):
        w = np.concatenate([rng.normal(size=30) * 3, [-50.0, -2.0, 0.0, 2.0, 50.0]])
        for value, computed in zip(w, dilogarithm(w), strict=True):
            exact = -mpmath.re(mpmath.polylog(2, -mpmath.exp(mpmath.mpf(value))))
            assert float(abs(computed / exact - 1)) < 3e-15


@pytest.mark.parametrize(
    "name", ["tanh", "sigmoid", "arctan", "softsign", "elu", "softmax", "softplus_beta", "ball", "silu"]
)
def test_ball_forms_are_as_sharp_as_the_precision(name: str) -> None:
    from flint import arb, ctx, fmpq

    a = activation(name)
    v = [fmpq(1, 3), fmpq(-5, 4), fmpq(7, 2)]
    previous, ctx.prec = ctx.prec, 200
    try:
        response = a.flint_response(v)
        assert all(arb(t).rad() < arb("1e-50") for t in response)
        if a.monotone:
            point = response if name not in ("softmax",) else [fmpq(1, 2), fmpq(1, 3), fmpq(1, 6)]
            conjugate = a.flint_conjugate(point)
            assert arb(conjugate).rad() < arb("1e-45")
            floating = np.array([float(arb(t).mid()) for t in point])
            assert float(a.layer_sum(a.conjugate(floating))) == pytest.approx(float(conjugate), rel=1e-12)
    finally:
        ctx.prec = previous


def test_ball_forms_at_the_ends_of_the_domain() -> None:
    from flint import arb, fmpq

    assert activation("sigmoid").flint_conjugate([fmpq(0), fmpq(1)]) == 0
    assert abs(float(activation("tanh").flint_conjugate([fmpq(-1)])) - np.log(2)) < 1e-15
    assert activation("softplus_beta").flint_conjugate([fmpq(0)]) == 0
    assert abs(float(activation("elu").flint_conjugate([fmpq(-1)])) - 1) < 1e-15
    assert activation("softsign").flint_conjugate([fmpq(1)]) is None
    assert activation("softmax").flint_conjugate([fmpq(1), fmpq(0)]) == 0
    near = activation("sigmoid").flint_conjugate([arb(0, 1e-9)])
    assert near.contains(0)
    assert near.contains(arb(float(activation("sigmoid").conjugate(5e-10))))
    both = activation("ball").flint_response([arb(1, 1e-3), arb(0)])
    assert both[0].contains(1)
    assert both[0].contains(arb("0.9995"))


def test_matrices_and_vectors_are_accepted_as_arrays_and_lists() -> None:
    rows = np.array([[1.0, 2.0], [0.0, -1.0]])
    a = activation("polyhedron", matrix=rows, offset=np.array([1, 1]))
    assert a == activation("polyhedron", matrix=rows.tolist(), offset=[1.0, 1.0])
    assert a.parameters == {"matrix": ((1.0, 2.0), (0.0, -1.0)), "offset": (1.0, 1.0)}
    assert activation("box", lower=np.float32(-1), upper=[1, 2]).parameters == {"lower": -1.0, "upper": (1.0, 2.0)}
