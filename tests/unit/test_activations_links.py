"""Facts special to cloglog, logit and the softsign of probit."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from activation_cases.links import cloglog_gap, quantile, softsign_probit_gap
from flint import arb, fmpq
from mpmath import mpf

from nngames.activations import activation
from nngames.core.errors import DomainError, NotApplicableError

CLOGLOG, LOGIT, PROBIT = activation("cloglog"), activation("logit"), activation("softsign_probit")


def relative_error(value: float, exact: mpf) -> float:
    return float(abs((mpf(float(value)) - exact) / exact))


def test_cloglog_and_its_primitive_keep_relative_accuracy() -> None:
    rng = np.random.default_rng(0)
    with mpmath.workdps(360):
        for v in [*rng.uniform(-700, -1, 10), *rng.uniform(-1, 6, 20), 0.0]:
            q = mpmath.exp(mpf(v))
            assert relative_error(CLOGLOG(v), -mpmath.expm1(-q)) < 1e-15
            assert relative_error(CLOGLOG.primitive(v), mpmath.e1(q) + v + mpmath.euler) < 1e-15
            assert relative_error(CLOGLOG.derivative(v), q * mpmath.exp(-q)) < 1e-15 * (4 + float(q))


def test_cloglog_conjugate_is_finite_at_both_ends_and_accurate_next_to_them() -> None:
    np.testing.assert_array_equal(CLOGLOG.conjugate([0.0, 1.0]), [0.0, -np.euler_gamma])
    rng = np.random.default_rng(1)
    with mpmath.workdps(360):
        for z in [
            *10.0 ** rng.uniform(-300, -1, 15),
            *rng.uniform(0, 1, 15),
            *(1 - 10.0 ** rng.uniform(-15.9, -1, 15)),
        ]:
            q = -mpmath.log1p(-mpf(z))
            exact = mpf(z) * mpmath.log(q) - (mpmath.e1(q) + mpmath.log(q) + mpmath.euler)
            assert relative_error(CLOGLOG.conjugate(z), exact) < 1e-15


def test_cloglog_gap_at_the_ends_is_an_exponential_integral() -> None:
    for v in (-800.0, -30.0, -0.5, 0.0, 1.5, 3.0):
        at_1, at_0 = (float(CLOGLOG.gap(np.array(x), np.array(v))[0]) for x in (1.0, 0.0))
        with mpmath.workdps(400):
            tail = mpmath.e1(mpmath.exp(mpf(v)))
            assert relative_error(at_1, tail) < 1e-14
            if v > -700:
                assert relative_error(at_0, tail + v + mpmath.euler) < 1e-14


def test_cloglog_gap_holds_where_the_response_saturates() -> None:
    """From v = 3.6 on r(v) rounds to 1, but the gap of an action below 1 has all its digits."""
    for v, rest in [(3.5, 2.0**-50), (3.7, 2.0**-53), (5.0, 2.0**-53), (100.0, 1e-10), (1.0, 2.0**-53), (2.5, 1e-9)]:
        x = 1 - rest
        value, error = CLOGLOG.gap(np.array(x), np.array(v))
        with mpmath.workdps(80):
            exact = cloglog_gap(CLOGLOG, mpf(x), mpf(v))
        assert abs(mpf(float(value)) - exact) <= mpf(float(error))
        assert error <= 1e-11 * float(exact)


def test_cloglog_steepest_slope() -> None:
    v = np.linspace(-3, 3, 601)
    assert np.argmax(CLOGLOG.derivative(v)) == 300
    assert float(CLOGLOG.derivative(0.0)) == pytest.approx(np.exp(-1), rel=1e-15)
    assert CLOGLOG.slope_range_exact[1].digits == "0.367879441171442321595523770161"


def test_cloglog_ball_conjugate_at_the_ends() -> None:
    for around, inside in ((arb(0, 0.1), (0.0, 0.03, 0.1)), (arb(1, 0.1), (0.9, 0.97, 1.0))):
        ball = CLOGLOG.flint_conjugate([around])
        for z in inside:
            assert ball.overlaps(arb(float(CLOGLOG.conjugate(z)), 1e-14))
        assert ball.rad() < 0.4
    assert CLOGLOG.flint_conjugate([fmpq(-1, 10**30)]) is None


def test_logit_is_total_and_jumps_at_the_ends_of_its_middle() -> None:
    v = np.array([-7.0, np.nextafter(0.25, 0), 0.25, 0.5, 0.75, np.nextafter(0.75, 1), 1.0, 1e308])
    third = np.log(3) / 10
    np.testing.assert_allclose(LOGIT(v), [0, 0, -third, 0, third, 0, 0, 0], rtol=1e-15)
    assert not np.signbit(LOGIT(v)[[0, 1, 5, 6, 7]]).any()
    np.testing.assert_allclose(LOGIT.derivative(v), [0, 0, 8 / 15, 0.4, 8 / 15, 0, 0, 0], rtol=1e-15)
    assert not LOGIT.continuous
    assert LOGIT.bounded
    with pytest.raises(NotApplicableError, match="is the prox of no function"):
        LOGIT.penalty(0.5)


def test_logit_keeps_relative_accuracy_next_to_its_zero() -> None:
    with mpmath.workdps(50):
        for h in (1e-15, 3e-9, -1e-5, 0.2):
            v = 0.5 + h
            assert relative_error(LOGIT(v), mpmath.log(mpf(v) / (1 - mpf(v))) / 10) < 1e-15


def test_logit_primitive_is_its_integral() -> None:
    with mpmath.workdps(30):
        for v in (0.2, 0.25, 0.3, 0.5, 0.74, 0.75, 2.0):
            exact = mpmath.quad(lambda t: mpmath.log(t / (1 - t)) / 10, [0.25, min(max(v, 0.25), 0.75)])
            assert float(LOGIT.primitive(v)) == pytest.approx(float(exact), rel=1e-14, abs=1e-17)


def test_logit_slopes_across_its_jumps_stay_below_those_beside_them() -> None:
    v = np.linspace(0.1, 0.9, 1601)
    rise, run = LOGIT(v)[:, None] - LOGIT(v), v[:, None] - v
    quotients = rise[run > 0] / run[run > 0]
    assert quotients.max() <= 8 / 15 + 1e-12
    assert quotients.min() < -100


def test_logit_ball_response_across_an_end_holds_both_sides() -> None:
    (ball,) = LOGIT.flint_response([arb(0.25, 0.01)])
    assert ball.contains(0)
    assert ball.overlaps(arb(float(LOGIT(0.25)), 1e-15))
    assert ball.rad() < 0.06
    (ball,) = LOGIT.flint_response([arb(0.5, 1)])
    assert ball.rad() < 0.11


@pytest.mark.parametrize("ask", ["__call__", "derivative", "primitive"])
def test_softsign_probit_names_the_first_entry_outside_its_inputs(ask: str) -> None:
    v = np.array([[0.5, 0.1], [0.2, 1.0], [0.0, 0.3]])
    with pytest.raises(DomainError, match=r"is defined on \(0, 1\) only; entry \[1, 1\] is 1\.0"):
        getattr(PROBIT, ask)(v)
    with pytest.raises(DomainError, match=r"entry \[2, 0\] is 0\.0"):
        getattr(PROBIT, ask)(np.where(v == 1, 0.9, v))
    with pytest.raises(DomainError, match="is defined on"):
        PROBIT.flint_response([fmpq(1, 2), fmpq(3, 2)])


def test_softsign_probit_and_its_slope_keep_relative_accuracy() -> None:
    rng = np.random.default_rng(2)
    with mpmath.workdps(50):
        for v in [*rng.uniform(0, 1, 20), *10.0 ** rng.uniform(-300, -1, 20), 5e-324, 1 - 2.0**-53, 0.5 + 1e-12]:
            q = quantile(v)
            assert relative_error(PROBIT(v), q / (1 + abs(q))) < 2e-15
            slope = 1 / ((1 + abs(q)) ** 2 * mpmath.npdf(q))
            if slope < 1e308:
                assert relative_error(PROBIT.derivative(v), slope) < 4e-15


def test_softsign_probit_is_least_steep_at_quantiles_of_size_one() -> None:
    least = float(mpmath.sqrt(2 * mpmath.pi * mpmath.e) / 4)
    one = 0.8413447460685429
    np.testing.assert_allclose(PROBIT.derivative([one, 1 - one]), least, rtol=1e-14)
    assert (PROBIT.derivative(np.linspace(1e-4, 1 - 1e-4, 2001)) >= least).all()
    assert PROBIT.slope_range == (1.0331828385306232, np.inf)
    assert PROBIT.slope_range_exact[0].digits == "1.03318283853062323461734797107"


def test_softsign_probit_primitive_and_conjugate_are_their_integrals() -> None:
    rng = np.random.default_rng(3)
    assert float(PROBIT.primitive(0.5)) == 0.0
    assert float(PROBIT.conjugate(0.0)) == 0.0
    with mpmath.workdps(30):
        for v in [*rng.uniform(0, 1, 4), 1e-12, 0.5 - 1e-9]:
            exact = mpmath.quad(lambda t: t / (1 + t) * mpmath.npdf(t), mpmath.linspace(0, abs(quantile(v)), 4))
            assert relative_error(PROBIT.primitive(v), exact) < 2e-14
        for z in [*rng.uniform(-1, 1, 4), 1e-9, 0.95]:
            exact = mpmath.quad(lambda t: mpmath.ncdf(t / (1 - abs(t))), mpmath.linspace(0, mpf(z), 6))
            assert relative_error(PROBIT.conjugate(z), exact) < 2e-14
        whole = mpmath.quad(lambda t: t / (1 + t) * mpmath.npdf(t), [0, 2, 5, 10, 30])
        assert float(PROBIT.conjugate(-1.0)) == pytest.approx(-float(whole), rel=1e-15)
        assert float(PROBIT.conjugate(1.0)) == pytest.approx(1 - float(whole), rel=1e-15)
        assert float(PROBIT.primitive(1e-300)) == pytest.approx(float(whole), rel=1e-15)


def test_softsign_probit_ball_conjugate_holds_the_floating_one() -> None:
    for z in (-1.0, -0.999, -0.3, 0.0, 1e-5, 0.5, 1 - 2.0**-40, 1.0):
        ball = PROBIT.flint_conjugate([arb(z)])
        assert ball.overlaps(arb(float(PROBIT.conjugate(z)), 1e-15))
        assert ball.rad() < 1e-13
    assert PROBIT.flint_conjugate([arb(0.3, 0.1)]).contains(arb(float(PROBIT.conjugate(0.21))))
    assert PROBIT.flint_conjugate([fmpq(11, 10)]) is None


@pytest.mark.parametrize("step", [0.05, 0.5, 0.999, 1.0])
def test_softsign_probit_prox_solves_its_equation_or_is_an_end(step: float) -> None:
    """p = r(w) with (1 - step) p + step w = u where there is such a w in (0, 1); beyond, p is an end of [-1, 1]."""
    u = np.array([-3.0, step - 1, 0.6 * (step - 1), 0.01, 0.4, 0.97, 1.0, 2.0])
    p = PROBIT.prox(u, step)
    np.testing.assert_array_equal(p[[0, 1, 6, 7]], [-1, -1, 1, 1])
    for target, z in zip(u, p, strict=True):
        if step - 1 < target < 1 and abs(z) < 1:
            share = mpmath.ncdf(mpf(float(z)) / (1 - abs(float(z))))
            assert float((1 - step) * z + step * share) == pytest.approx(target, rel=1e-12, abs=1e-14)
    assert (np.diff(p) >= 0).all()


def test_softsign_probit_gap_is_the_integral_of_the_inverse() -> None:
    """The gap of x and v is the integral of Phi(z/(1 - |z|)) - v over z from r(v) to x."""
    with mpmath.workdps(30):
        for x, v in [(0.3, 0.4), (-0.7, 0.9), (0.9, 0.2), (-0.1, 0.45), (0.55, 0.99)]:
            q = quantile(v)
            start = q / (1 + abs(q))
            cuts = sorted([start, mpf(x), *([mpf(0)] if (start < 0) != (x < 0) else [])], reverse=bool(start > x))
            exact = mpmath.quad(lambda z, v=v: mpmath.ncdf(z / (1 - abs(z))) - mpf(v), cuts)
            assert relative_error(PROBIT.gap(np.array(x), np.array(v))[0], exact) < 1e-13


def test_softsign_probit_gap_is_within_its_bound_and_keeps_relative_accuracy() -> None:
    rng = np.random.default_rng(4)
    drives = [*rng.uniform(0, 1, 4), *10.0 ** rng.uniform(-300, -1, 4), 1 - 1e-13, 0.5, 0.5 + 1e-9, 5e-324]
    for v in drives:
        p = float(PROBIT(v))
        x = PROBIT.domain.project(np.array([p, p + 1e-12, p * (1 - 1e-5), p + 0.1, -p, 0.0, 1.0, -1.0, 1 - 2.0**-53]))
        for action, value, error in zip(x, *PROBIT.gap(x, np.full(x.shape, v)), strict=True):
            exact = softsign_probit_gap(PROBIT, mpf(float(action)), mpf(float(v)))
            assert abs(mpf(float(value)) - exact) <= mpf(float(error)), (action, v)
            if abs(action - p) > 1e-3:
                assert error <= 1e-9 * float(exact) + 1e-319
