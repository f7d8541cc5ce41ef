"""The prox of scalar activations for steps and points of all sizes, against its equation solved in ball arithmetic."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np
import pytest
from activation_draws import IDS, SCALAR_MONOTONE

from nngames.activations import activation
from nngames.activations.numerics.elementwise import BLOCK
from nngames.core.ball_ranges import working_precision
from nngames.core.errors import NotApplicableError, OptionError, StepError
from nngames.core.exact import rational
from nngames.core.roots import increasing_root

DEFAULTS = [a for a in SCALAR_MONOTONE if a == activation(a.name)]
#: Scaled ones, whose equation is solved before the scaling, and steep ones.
SCALED = [
    activation("softplus", scale=0.5),
    activation("bent_identity", scale=0.5),
    activation("tanh", scale=0.25),
    activation("elu", alpha=0.5),
    activation("celu", alpha=3.0),
    activation("isru", excess=-0.75),
    activation("linear", slope=1e8, bias=0.3),
    activation("relu", slope=1e8, bias=0.3),
    activation("leaky_relu", slope=1e-9),
]
STEPS = [1e-300, 1e-12, 1e-3, 0.3, 0.999, 1.7, 1e3, 1e12, 1e30, 1e300]
SIZES = [0.0, 1e-300, 1e-8, 0.5, 30.0, 1e10, 1e300, 1.7e308]
LARGEST = float(np.finfo(np.float64).max)
POINTS = np.array(sorted({sign * size for size in SIZES for sign in (-1.0, 1.0)}))


def accepted(a: Any) -> Iterator[float]:
    """Yield the steps that the activation's prox takes."""
    for step in STEPS:
        try:
            a.prox(0.5, step)
        except StepError:
            continue
        yield step


def ranks(w: float) -> int:
    bits = int(np.float64(w).view(np.int64))
    return -(bits + 2**63) if bits < 0 else bits


def ranked(rank: int) -> float:
    size = float(np.int64(abs(rank)).view(np.float64))
    return size if rank >= 0 else -size


def exact_prox(a: Any, u: float, step: float) -> tuple[Any, Any]:
    """Return the ends, in ball arithmetic, of where p is, by bisection of (1 - step) r(w) + step w = u over w.

    w runs over the cubes of the floats, for it may overflow; between two neighbours p is between the values of r, and
    for step < 1 between those of (u - step w)/(1 - step).
    """
    from flint import arb

    t, target, (first, last) = rational(step), rational(u), a.limits

    def at(rank: int) -> Any:
        w = rational(ranked(rank))
        return w * w * w if a.defined_everywhere else w

    def response_at(w: Any) -> Any:
        value = arb(a.flint_response_at(w))
        if value.is_finite():
            return value
        limit = first if w < 0 else last
        steep = arb(a.slope_range[1])
        return arb(limit) if np.isfinite(limit) else steep * w

    ends = (a.inputs.lower, a.inputs.upper) if not a.defined_everywhere else (-LARGEST, LARGEST)
    low, high = (ranks(end) for end in ends)
    with working_precision(2600 if step > 1e30 or abs(u) < 1e-30 else 500):
        below, above = (arb(end) if np.isfinite(end) else None for end in (first, last))
        while high - low > 1:
            middle = (low + high) // 2
            w = at(middle)
            response = response_at(w)
            side = (1 - t) * response + t * w - target
            if side > 0:
                high, above = middle, response
            elif side < 0:
                low, below = middle, response
            else:
                return response, response
        inside = ranks(ends[0]) < low and high < ranks(ends[1])
        if step < 1 and inside and above is not None and below is not None:
            # Next to a jump, and where r is steep, the equation tells p.
            return below.max(arb((target - t * at(high)) / (1 - t))), above.min(arb((target - t * at(low)) / (1 - t)))
        return below, above


def agrees(p: float, low: Any, high: Any, relative: float, absolute: float) -> bool:
    slack = rational(relative * abs(p) + absolute)
    return not (low is not None and low > rational(p) + slack) and not (high is not None and high < rational(p) - slack)


@pytest.mark.parametrize("a", [*DEFAULTS, *SCALED], **IDS)
def test_prox_solves_its_equation_for_steps_and_points_of_all_sizes(a: Any) -> None:
    steps = list(accepted(a))
    assert len(steps) >= 5
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        found = a.prox(POINTS, np.array(steps)[:, None])
    for (i, step), (j, u) in product(enumerate(steps), enumerate(POINTS.tolist())):
        low, high = exact_prox(a, u, step)
        p = float(found[i, j])
        if np.isinf(p):
            # So is the solution.
            assert max(step, a.slope_range[1]) > 1
            assert (high if p < 0 else -low) < -rational(0.999) * rational(LARGEST)
        elif step > 1 and abs(u) / step < 1e-305 and a(0.0) == 0:
            # The equation's right side underflows: p may be closer to 0, where the cost is u^2/2 at most.
            assert abs(p) <= 1.001 * abs(u)
            assert agrees(p, low, high, 1e-12, abs(u))
        else:
            # Shorter steps than 1 do not magnify an error of p.
            absolute = 1e-15 if step < 1 else 1e-322
            if not agrees(p, low, high, 1e-12, absolute):
                # Where the prox magnifies changes of u, p is that of a point closer to u than its rounding.
                ends = exact_prox(a, u * (1 - 1e-15), step), exact_prox(a, u * (1 + 1e-15), step)
                (low, _), (_, high) = ends if u > 0 else ends[::-1]
                assert agrees(p, low, high, 1e-12, absolute), (step, u, p, low, high)


@pytest.mark.parametrize("step", [1e16, 1e30, 1e100, 1e300])
@pytest.mark.parametrize("name", ["arctan", "tanh", "isru", "softsign", "sqnl", "elu", "isrlu"])
def test_no_candidate_costs_less_for_long_steps(name: str, step: float) -> None:
    a = activation(name)
    u = np.array([-1e10, -0.5, -1e-8])
    p = a.prox(u, step)
    sizes = np.geomspace(1e-150, 1e-3, 4000)[:, None]
    candidates = np.concatenate([-sizes + 0 * u, p * (1 + np.linspace(-0.5, 0.5, 101)[:, None]), 0 * u[None, :]])

    def cost(z: np.ndarray) -> np.ndarray:
        return step * a.penalty(z) + 0.5 * np.square(z - u)

    assert (cost(p) <= cost(candidates).min(axis=0) + 1e-9 * (1 + np.abs(cost(p)))).all()


def test_roots_of_any_size_are_found_to_rounding() -> None:
    goal = np.array([1e-300, -1e-300, 8e-90, 1e300, -27.0, 0.0])
    with np.errstate(over="ignore"):
        root = increasing_root(lambda w: w * w * w - goal, lambda w: 3 * w * w, np.ones(6))
    np.testing.assert_allclose(root, np.cbrt(goal), rtol=1e-15, atol=1e-107)
    far = increasing_root(lambda w: w - 1.7e308, lambda w: np.ones_like(w), np.array(-1e300))
    assert far == pytest.approx(1.7e308)


@pytest.mark.parametrize("name", ["sigmoid", "tanh", "relu", "softsign", "linear"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_out_may_overlap_the_input_at_other_places(name: str, dtype: Any) -> None:
    a = activation(name) if name != "relu" else activation(name, slope=2.0)
    whole = np.random.default_rng(3).normal(size=3 * BLOCK + 5).astype(dtype)
    for size in (7, whole.size):
        for given, filled in ((np.s_[:-1], np.s_[1:]), (np.s_[1:], np.s_[:-1]), (np.s_[:], np.s_[::-1])):
            for function in (a, a.derivative):
                buffer = whole[:size].copy()
                expected = function(buffer[given].copy())
                function(buffer[given], out=buffer[filled])
                np.testing.assert_allclose(buffer[filled], expected, rtol=4 * np.finfo(dtype).eps)


@pytest.mark.parametrize("value", [np.complex128(1 + 5j), 1j, True, np.bool_(True), np.array(True), "1", [1.0], None])
@pytest.mark.parametrize(("name", "parameter"), [("tanh", "scale"), ("elu", "alpha")])
def test_parameters_that_are_no_real_numbers_are_refused(name: str, parameter: str, value: Any) -> None:
    with pytest.raises(OptionError, match=f"{name}.*{parameter} must be a finite number"):
        activation(name, **{parameter: value})


@pytest.mark.parametrize(
    "value", [np.complex128(1 + 5j), True, np.bool_(True), np.array(True), [True, 2.0], [1j], [[1.0], 2.0], ["1"], None]
)
def test_ends_that_are_no_real_numbers_are_refused(value: Any) -> None:
    with pytest.raises(OptionError, match="upper must be a number or a nonempty list of numbers"):
        activation("box", lower=-5.0, upper=value)
    with pytest.raises(OptionError, match="point must be a number or a nonempty list of numbers"):
        activation("singleton", point=value)


@pytest.mark.parametrize("kind", [float, Fraction, Decimal, np.float32, np.array, int])
def test_any_real_number_is_a_parameter(kind: Any) -> None:
    assert activation("tanh", scale=kind(2)).scale == 2.0
    assert activation("box", upper=kind(2)).upper == 2.0
    assert activation("singleton", point=[kind(2), 1.5]).point == (2.0, 1.5)


@pytest.mark.parametrize("name", ["box", "hard_tanh", "nonnegative", "relu6", "singleton"])
def test_exact_forms_of_one_coordinate(name: str) -> None:
    a = activation(name)
    for v in map(rational, (-7.0, -0.25, 0.0, 0.5, 9.0)):
        assert a.flint_response_at(v) == a.flint_response([v])[0] == rational(float(a(float(v))))
        assert a.flint_conjugate_at(v) == a.flint_conjugate([v])
    with pytest.raises(NotApplicableError, match="the ends differ by coordinate"):
        activation("box", upper=(1.0, 2.0)).flint_response_at(rational(1.0))


def test_softmax_jacobian_keeps_its_digits_where_one_share_is_nearly_one() -> None:
    v, d = np.array([[40.0, 0.0, 1.0], [0.0, 45.0, 0.0]]), np.array([1.0, 3.0, -0.5])
    e = np.exp(v - v.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    expected = np.stack([p[:, i] * sum(p[:, j] * (d[i] - d[j]) for j in range(3)) for i in range(3)], axis=1)
    np.testing.assert_allclose(activation("softmax").jvp(v, d), expected, rtol=1e-14)


def test_softmax_gap_of_a_wide_spread_gives_no_warning() -> None:
    a = activation("softmax")
    x, v = np.array([0.5, 0.5]), np.array([0.0, -720.0])
    with np.errstate(over="raise", divide="raise", invalid="raise"):
        value, error = a.gap(x, v)
    assert float(value) == pytest.approx(360.0 - np.log(2.0))
    assert float(error) < 1e-9
