"""Scaled activations against closed forms in many digits, their identities, and the ends of their parameters."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
import pytest
from activation_cases.arithmetic import dilog
from activation_cases.reparametrised import VARIANTS
from mpmath import mpf

from nngames.activations import activation
from nngames.activations.foundations.charts import Chart
from nngames.activations.foundations.scalar import ScalarActivation
from nngames.activations.selus import ALPHA, LAMBDA
from nngames.claims.slope_proofs import prove_slopes
from nngames.core.ball_ranges import enclose_range
from nngames.core.errors import NotApplicableError, OptionError

DEFAULTS = [
    (name, {})
    for name in (
        "logistic",
        "heaviside_approx",
        "bipolar_sigmoid",
        "selu",
        "selu_as_printed",
        "celu",
        "softplus",
        "log_sigmoid",
        "swish",
        "quick_gelu",
    )
]
CASES: list[tuple[str, dict[str, Any]]] = [*DEFAULTS, *VARIANTS]
each = pytest.mark.parametrize(("name", "options"), CASES, ids=lambda t: str(t).replace(" ", ""))


def share(w: Any) -> Any:
    return 1 / (1 + mpmath.exp(-w))


def log1p_exp(v: Any) -> Any:
    return max(v, mpf(0)) + mpmath.log1p(mpmath.exp(-abs(v)))


RESPONSES: dict[str, Callable[[Any, Any], Any]] = {
    "logistic": lambda a, v: share(mpf(a.slope) * v + mpf(a.bias)),
    "heaviside_approx": lambda a, v: share(v / mpf(a.epsilon)),
    "bipolar_sigmoid": lambda a, v: -mpmath.expm1(-v) / (1 + mpmath.exp(-v)),
    "selu": lambda a, v: mpf(LAMBDA) * (v if v > 0 else mpf(ALPHA) * mpmath.expm1(v)),
    "selu_as_printed": lambda a, v: mpf(0.03413631) * (v if v > 0 else mpmath.expm1(v)),
    "celu": lambda a, v: v if v > 0 else mpf(a.alpha) * mpmath.expm1(v / mpf(a.alpha)),
    "softplus": lambda a, v: mpf(a.scale) * log1p_exp(v),
    "softplus_beta": lambda a, v: log1p_exp(mpf(a.beta) * v) / mpf(a.beta),
    "log_sigmoid": lambda a, v: mpmath.log(share(v)) if v < 30 else -mpmath.log1p(mpmath.exp(-v)),
    "swish": lambda a, v: mpf(a.scale) * v * share(mpf(a.beta) * v),
    "quick_gelu": lambda a, v: v * share(mpf(1.702) * v),
}


@pytest.mark.parametrize(
    ("name", "options"),
    [
        *CASES,
        ("logistic", {"slope": 3.3, "bias": 100.0}),
        ("softplus_beta", {"beta": 0.3}),
        ("swish", {"beta": 1e-300}),
    ],
    ids=lambda t: str(t).replace(" ", ""),
)
def test_response_has_full_accuracy_from_denormals_to_1e300(name: str, options: dict[str, Any]) -> None:
    """Also in exponential tails, where the rounding of the drive would cost hundreds of units."""
    a: Any = activation(name, **options)
    sizes = [5e-324, 1e-310, 1e-300, 1e-12, 1e-4, 0.3, 1.7, 20.0, 30.3, 97.9, 300.0, 701.3, 720.0, 1e5, 1e300, 3e302]
    v = np.array([*sizes, *(-t for t in sizes), *np.random.default_rng(3).normal(size=60) * 150])
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        values = a(v)
    with mpmath.workdps(60):
        for point, value in zip(v.tolist(), values.tolist(), strict=True):
            exact = RESPONSES[name](a, mpf(point))
            assert abs(mpf(value) - exact) <= 1e-14 * abs(exact) + mpf(1e-323), point


@each
def test_slope_range_is_proved_by_the_charts(name: str, options: dict[str, Any]) -> None:
    a: Any = activation(name, **options)
    assert isinstance(a, ScalarActivation)
    assert prove_slopes(a).proved


def test_rational_slopes_come_out_exactly() -> None:
    for name, options, low, high in (
        ("logistic", {"slope": 3.0, "bias": 0.1}, 0, 0.75),
        ("logistic", {"slope": -2.0, "bias": 0.5}, -0.5, 0),
        ("heaviside_approx", {}, 0, 1),
        ("bipolar_sigmoid", {}, 0, 0.5),
        ("softplus", {"scale": -1.5}, -1.5, 0),
        ("log_sigmoid", {}, 0, 1),
    ):
        a: Any = activation(name, **options)
        (part,) = a.slope_charts()
        assert isinstance(part, Chart)
        found = enclose_range(part.slope, part.lower, part.upper, exact_points=part.exact_points)
        assert (found.low.value, found.high.value) == (low, high)
        assert found.low.value.rad() == found.high.value.rad() == 0


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("logistic", {}), ("sigmoid", {})),
        (("heaviside_approx", {"epsilon": 0.25}), ("logistic", {"slope": 4.0})),
        (("softplus", {}), ("softplus_beta", {})),
        (("celu", {}), ("elu", {})),
        (("swish", {}), ("silu", {})),
        (("swish", {"beta": 1.702}), ("quick_gelu", {})),
        (("swish", {"scale": 3.0, "beta": 0.0}), ("linear", {"slope": 1.5})),
    ],
)
def test_special_parameters_give_other_activations(one: Any, other: Any) -> None:
    a, b = activation(one[0], **one[1]), activation(other[0], **other[1])
    v = np.concatenate([np.linspace(-30, 30, 301), [-800.0, 800.0, 1e300]])
    np.testing.assert_array_equal(a(v), b(v))
    np.testing.assert_array_equal(a.derivative(v), b.derivative(v))
    np.testing.assert_array_equal(a.primitive(v), b.primitive(v))
    assert a.slope_range == b.slope_range
    if a.monotone:
        x = a.domain.project(a(v) + 0.1)
        np.testing.assert_array_equal(a.gap(x, v)[0], b.gap(x, v)[0])
        np.testing.assert_array_equal(a.prox(v, 0.6), b.prox(v, 0.6))
        np.testing.assert_array_equal(a.penalty(x), b.penalty(x))


def test_selu_keeps_mean_0_and_variance_1() -> None:
    """The equations that define its constants, for a standard normal input."""
    with mpmath.workdps(30):
        half, root = mpf(1) / 2, mpmath.sqrt(2 * mpmath.pi)
        # The integrals of e^v and e^(2v) against the normal density over v < 0.
        first = mpmath.exp(half) * mpmath.erfc(1 / mpmath.sqrt(2)) / 2
        second = mpmath.exp(2) * mpmath.erfc(mpmath.sqrt(2)) / 2
        mean = 1 / root + mpf(ALPHA) * (first - half)
        square = mpf(LAMBDA) ** 2 * (half + mpf(ALPHA) ** 2 * (second - 2 * first + half))
        assert abs(mean) < 1e-15
        assert abs(square - 1) < 1e-15


def test_selu_slopes_are_the_product_of_its_constants() -> None:
    low, high = activation("selu").slope_range_exact
    assert (low.number, high.number) == (0, Fraction(LAMBDA) * Fraction(ALPHA))
    assert high.digits == "1.75809934084737668124355809134"
    assert str(high) == "lambda alpha, lambda = 1.0507009873554805, alpha = 1.6732632423543772"
    assert activation("selu").penalty_modulus == pytest.approx(1 - 1 / 1.7580993408473768)


def test_selu_as_printed_multiplies_the_printed_constants() -> None:
    assert Fraction("0.0507") * Fraction("0.6733") == Fraction("0.03413631")
    assert float(activation("selu_as_printed")(2.0)) == 2 * 0.03413631
    assert activation("selu_as_printed").slope_range == (0.0, 0.03413631)


@pytest.mark.parametrize("alpha", [1e-300, 0.3, 2.4, 1e10, 1e300])
def test_celu_is_the_identity_on_the_right_and_near_zero(alpha: float) -> None:
    a = activation("celu", alpha=alpha)
    v = np.array([5e-324, 1e-310, 1e-5, 1.3, 7e300])
    np.testing.assert_array_equal(a(v), v)
    np.testing.assert_array_equal(a.prox(v, 3.0), v)
    if alpha > 1:
        np.testing.assert_array_equal(a(-v[:2]), -v[:2])
    assert float(a(-np.inf)) == -alpha


def test_swish_has_the_slopes_of_silu_for_every_beta() -> None:
    silu = activation("silu").slope_range
    for beta in (1e-300, -0.2, 1.0, 40.0, -1e300):
        a = activation("swish", beta=beta)
        assert a.slope_range == silu
        assert not a.monotone
        for end in a.slope_range_exact:
            x, y = end.pair
            assert (float(a(y)) - float(a(x))) / (y - x) == pytest.approx(float(end.digits), abs=1e-9)
    low, high = activation("swish", scale=-2.0, beta=3.0).slope_range_exact
    assert (str(low), str(high)) == ("-2 ((2 + t)/4), t tanh(t/2) = 2", "-2 ((2 - t)/4), t tanh(t/2) = 2")


def test_swish_is_affine_where_beta_or_the_scale_is_0() -> None:
    assert activation("swish", scale=1.4, beta=0.0).slope_range == (0.7, 0.7)
    assert activation("swish", scale=1.4, beta=0.0).monotone
    assert activation("swish", scale=0.0, beta=2.0).bounded
    assert str(activation("swish", scale=0.0).domain) == "{0}^n"
    with pytest.raises(NotApplicableError, match="activation 'swish' is not monotone"):
        activation("swish", scale=-1.0, beta=0.0).prox(1.0)


@pytest.mark.parametrize("beta", [1e-200, -1e-5, 0.3, 1.0, 1.702, -40.0, 1e5])
def test_swish_primitive_is_the_dilogarithm_to_all_digits(beta: float) -> None:
    a = activation("swish", scale=0.7, beta=beta)
    with mpmath.workdps(60):
        for v in (1e-8, -1e-3, 0.4, -0.99, 1.01, 2.5, -7.0, 60.0, -1e3):
            w = mpf(beta) * v
            if abs(w) < 1e-20:
                exact = mpf(0.7) * mpf(v) ** 2 * (mpf(1) / 4 + w / 12)
            else:
                own = w**2 / 2 + mpmath.pi**2 / 6 + dilog(-mpmath.exp(-w)) if w > 0 else -dilog(-mpmath.exp(w))
                exact = mpf(0.7) * (w * log1p_exp(w) - own + mpmath.pi**2 / 12) / mpf(beta) ** 2
            assert float(a.primitive(v)) == pytest.approx(float(exact), rel=4e-15), v


def test_constants_are_penalties_at_a_point() -> None:
    a = activation("logistic", slope=0.0, bias=1.0)
    value = 1 / (1 + np.exp(-1.0))
    np.testing.assert_array_equal(a(np.array([-1e308, 0.0, 3.0])), value)
    np.testing.assert_array_equal(a.prox(np.array([5.0, -2.0]), 0.3), value)
    np.testing.assert_array_equal(a.gap(np.array([value, 0.5]), np.zeros(2))[0], [0.0, np.inf])
    assert float(a.penalty(value)) == -0.5 * value**2
    assert (a.slope_range, a.limits, a.bounded) == ((0.0, 0.0), (value, value), True)


def test_domains_and_limits_follow_the_signs() -> None:
    a = activation("log_sigmoid")
    assert (str(a.domain), a.limits) == ("(-inf, 0]^n", (-np.inf, 0.0))
    assert activation("softplus", scale=-2.0).limits == (0.0, -np.inf)
    assert activation("logistic", slope=-1.0).limits == (1.0, 0.0)
    assert str(activation("celu", alpha=0.25).domain) == "[-0.25, inf)^n"
    assert str(activation("bipolar_sigmoid").domain) == "[-1, 1]^n"
    assert activation("swish", scale=-1.0, beta=-1.0).limits == (np.inf, 0.0)


def test_prox_of_a_response_of_slope_factor_1_solves_the_scalar_equation() -> None:
    u = np.array([-1e200, -300.0, -4.0, -1e-3, 0.0, 1e-9, 0.7, 55.0])
    for name, options in (("celu", {"alpha": 2.4}), ("log_sigmoid", {})):
        a: Any = activation(name, **options)
        for step in (0.2, 1.9, 6.0):
            np.testing.assert_allclose(a.prox(u, step), ScalarActivation.prox(a, u, step), rtol=1e-13, atol=1e-300)


def test_log_sigmoid_prox_is_the_identity_far_to_the_left() -> None:
    u = np.array([-1e3, -1e100, -1e308])
    np.testing.assert_array_equal(activation("log_sigmoid").prox(u, 4.0), u)


def test_gap_is_finite_at_the_ends_of_the_domain() -> None:
    """Where z/c rounds beyond the base's domain, z is still in it."""
    v = np.array([-60.0, -3.0, 0.0, 2.0])
    for name, options in (("selu", {}), ("celu", {"alpha": 0.3}), ("heaviside_approx", {"epsilon": 0.03})):
        a: Any = activation(name, **options)
        end = float(a(-np.inf))
        value, error = a.gap(np.full(4, end), v)
        assert np.isfinite(value).all()
        assert (error <= 1e-12 * (1 + value)).all()
        assert value[0] <= error[0] + 1e-20
        assert np.isfinite(a.conjugate(end))


def test_a_drive_that_overflows_gives_no_bound_and_no_nan() -> None:
    value, error = activation("logistic", slope=2.0, bias=1.0).gap(np.array([0.0, 0.5, 1.0]), np.full(3, 1e308))
    assert not np.isnan(value).any()
    np.testing.assert_array_equal(error, np.inf)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_an_entry_does_not_depend_on_its_neighbours(dtype: type) -> None:
    """Blocks with steep entries take another way."""
    rng = np.random.default_rng(0)
    mild: np.ndarray = rng.normal(size=40).astype(dtype)
    steep = np.concatenate([mild, np.array([-1e4, -800.0, -95.0, 2e4], dtype=dtype)])
    for name, options in (("sigmoid", {}), ("silu", {}), ("swish", {"beta": 3.0}), ("celu", {"alpha": 3.0})):
        a: Any = activation(name, **options)
        np.testing.assert_array_equal(a(steep)[:40], a(mild))
        np.testing.assert_array_equal(a(steep), [float(a(t)) for t in steep])


def test_denormal_shares_are_kept() -> None:
    assert float(activation("sigmoid")(-740.0)) == pytest.approx(np.exp(-740.0), rel=1e-2)
    with mpmath.workdps(40):
        exact = float(mpf(-7.4e302) * share(mpf(-7.4e302) * mpf(1e-300)))
    assert exact < 0
    assert float(activation("swish", beta=1e-300)(-7.4e302)) == pytest.approx(exact, rel=1e-12)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("heaviside_approx", {"epsilon": 0.0}, "epsilon must be a positive number; got 0.0"),
        ("heaviside_approx", {"epsilon": 1e-310}, "epsilon is so small that 1/epsilon overflows"),
        ("celu", {"alpha": -1.0}, "alpha must be a positive number; got -1.0"),
        ("celu", {"alpha": 1e-310}, "alpha is so small that 1/alpha overflows"),
        ("logistic", {"slope": np.inf}, "slope must be a finite number; got inf"),
        ("swish", {"beta": "1"}, "beta must be a finite number; got '1'"),
        ("softplus", {"scale": np.nan}, "scale must be a finite number; got nan"),
    ],
)
def test_parameters_without_sense_are_refused(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=f"activation '{name}': {message}"):
        activation(name, **options)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("logistic", {"slope": 1e308}),
        ("logistic", {"slope": 5e-324}),
        ("logistic", {"slope": 1e308, "bias": -1e308}),
        ("heaviside_approx", {"epsilon": 1e-307}),
        ("heaviside_approx", {"epsilon": 1e308}),
        ("celu", {"alpha": 1e-300}),
        ("celu", {"alpha": 1e300}),
        ("softplus", {"scale": 1e308}),
        ("softplus", {"scale": 1e-308}),
        ("swish", {"scale": 1e308, "beta": 1e308}),
        ("swish", {"scale": -1e308, "beta": 1e-308}),
    ],
)
def test_extreme_parameters_give_no_nan_and_no_warning(name: str, options: dict[str, Any]) -> None:
    a: Any = activation(name, **options)
    v = np.array([1e308, -1e308, 1.0, -1.0, 0.0, 1e-308, 5e-324, 1e200, -1e200, 30.0])
    low, high = a.slope_range
    assert low <= high
    assert all(end.digits for end in a.slope_range_exact)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        results = [a(v), a.derivative(v), a.primitive(v), *a.limits]
        if a.monotone:
            x = a.domain.project(np.where(np.isfinite(a(v)), a(v), 0.0))
            results += [*a.gap(x, v), a.conjugate(x), a.penalty(x), a.prox(v, 0.3), a.prox(v)]
    assert not any(np.isnan(values).any() for values in results)
