"""Fenchel-Young gaps against 50-digit arithmetic: the error bounds hold, and tiny gaps keep their relative accuracy."""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from typing import Any

import mpmath
import numpy as np
import pytest
from activation_cases import GAPS, VECTOR_GAPS
from activation_draws import IDS, MONOTONE, SCALAR_MONOTONE, admissible
from mpmath import mpf

from nngames.activations import Activation
from nngames.activations.foundations.domain import Simplex

#: Without the constant responses, whose domain is a point.
SCALAR = [a for a in SCALAR_MONOTONE if a.slope_range[1] > 0]
VECTOR = [a for a in MONOTONE if a not in SCALAR_MONOTONE]
#: Maps of R^n with a domain whose points floats can be.
RELATIVE = ("softmax", "simplex", "affine", "box")


def exact_scalar_gap(a: Activation, x: float, v: float) -> Any:
    """The gap of two floats, with as many digits as the cancellation takes."""
    small = max([-np.log10(abs(t)) for t in (x, v) if 0 < abs(t) < 1], default=0)
    with mpmath.workdps(60 + int(min(750, abs(v))) + 2 * int(small)):
        return +GAPS[a.name](a, mpf(x), mpf(v))


def drives(rng: np.random.Generator) -> np.ndarray:
    spread = 10.0 ** rng.uniform(-10, 7, 12) * rng.choice([-1, 1], 12)
    return np.concatenate([rng.normal(size=14) * 2, rng.normal(size=6) * 15, spread, [0.0, 40.0, -40.0]])


@pytest.mark.parametrize("a", SCALAR, **IDS)
def test_scalar_gap_is_within_its_bound(a: Activation) -> None:
    rng = np.random.default_rng(1)
    for v in admissible(a, drives(rng)):
        p = float(a(v))
        moves = np.concatenate([[0.0], 10.0 ** rng.uniform(-17, 1, 5) * rng.choice([-1, 1], 5)])
        x = a.domain.project(np.concatenate([p + moves, p * (1 + moves[:3]), rng.normal(size=1) * 3]))
        # Far away hundreds of digits cancel, and three actions have to do.
        x = x[:: 1 if abs(v) < 100 else 4]
        x = x[np.isfinite(x)]
        for action, value, error in zip(x, *a.gap(x, np.full(x.shape, v)), strict=True):
            exact = exact_scalar_gap(a, float(action), float(v))
            assert abs(mpf(float(value)) - exact) <= mpf(float(error)), (action, v)


@pytest.mark.parametrize("a", SCALAR, **IDS)
def test_scalar_gap_keeps_relative_accuracy_at_1e_minus_20(a: Activation) -> None:
    rng = np.random.default_rng(2)
    v = admissible(a, rng.normal(size=60) * 1.5)
    if np.sum(a.derivative(v) > 0) < 30:
        # Mostly flat: more draws find the part that is not.
        v = admissible(a, rng.normal(size=1000) * 1.5)
        v = v[a.derivative(v) > 0][:60]
    slopes = a.derivative(v)
    x = a.domain.project(a(v) + np.sqrt(2e-20 * slopes) * rng.choice([-1, 1], v.shape))
    seen = 0
    for action, drive, value, error in zip(x.tolist(), v.tolist(), *a.gap(x, v), strict=True):
        exact = exact_scalar_gap(a, action, drive)
        if 1e-22 < exact < 1e-18:
            seen += 1
            # x - r(v) is about 1e-10 and known to a few units of r(v): a few 1e-6 of it.
            assert abs(value - float(exact)) <= 1e-4 * float(exact)
            assert error <= 1e-2 * float(exact)
    assert seen >= 20


@pytest.mark.parametrize("a", [a for a in SCALAR if a.inputs.lower < 0 < a.inputs.upper and float(a(0.0)) == 0], **IDS)
def test_scalar_gap_keeps_relative_accuracy_of_tiny_actions(a: Activation) -> None:
    """Where r(0) = 0, actions of size 1e-9 that differ from r(v) in the sixth digit have a gap near 1e-30."""
    rng = np.random.default_rng(6)
    for v in rng.normal(size=20) * 1e-9:
        if float(a.derivative(v)) == 0:
            continue
        x = float(a(v)) * (1 + 1e-6)
        value, error = (float(t) for t in a.gap(np.array(x), np.array(v)))
        exact = float(exact_scalar_gap(a, x, float(v)))
        assert 0 < exact < 1e-26
        assert value == pytest.approx(exact, rel=1e-8)
        assert error <= 1e-7 * exact


def solve(matrix: list[list[Fraction]], right: list[Fraction]) -> list[Fraction] | None:
    """Gaussian elimination; None if singular."""
    rows = [[*row, b] for row, b in zip(matrix, right, strict=True)]
    n = len(rows)
    for i in range(n):
        pivot = next((k for k in range(i, n) if rows[k][i] != 0), None)
        if pivot is None:
            return None
        rows[i], rows[pivot] = rows[pivot], rows[i]
        rows[i] = [t / rows[i][i] for t in rows[i]]
        for k in range(n):
            if k != i and rows[k][i] != 0:
                rows[k] = [s - rows[k][i] * t for s, t in zip(rows[k], rows[i], strict=True)]
    return [row[-1] for row in rows]


def exact_projection(form: tuple[np.ndarray, np.ndarray, np.ndarray], v: list[Fraction]) -> list[Fraction]:
    """The projection on {lower <= A z <= upper}: of the set of active rows that meets all optimality conditions."""
    matrix, low, high = form
    rows = [[Fraction(t) for t in row] for row in matrix.tolist()]
    choices = [
        ("=",) if a == b else ("",) + (("<",) if a > -np.inf else ()) + ((">",) if b < np.inf else ())
        for a, b in zip(low, high, strict=True)
    ]
    for signs in product(*choices):
        active = [i for i, sign in enumerate(signs) if sign]
        ends = [Fraction(float(low[i] if signs[i] == "<" else high[i])) for i in active]
        gram = [[sum(s * t for s, t in zip(rows[i], rows[j], strict=True)) for j in active] for i in active]
        level = [sum(s * t for s, t in zip(rows[i], v, strict=True)) - e for i, e in zip(active, ends, strict=True)]
        y = solve(gram, level)
        if y is None or any(
            (signs[i] == "<" and t > 0) or (signs[i] == ">" and t < 0) for i, t in zip(active, y, strict=True)
        ):
            continue
        p = [t - sum(y[k] * rows[i][j] for k, i in enumerate(active)) for j, t in enumerate(v)]
        values = [sum(s * t for s, t in zip(row, p, strict=True)) for row in rows]
        if all(
            (a == -np.inf or t >= Fraction(float(a))) and (b == np.inf or t <= Fraction(float(b)))
            for t, a, b in zip(values, low, high, strict=True)
        ):
            return p
    raise AssertionError("no active set is optimal")


def exact_vector_gap(a: Any, x: np.ndarray, v: np.ndarray) -> Any:
    """The gap at the point of the domain nearest to x, on simplexes at x rescaled to the right sum, with 60 digits."""
    form = a.polyhedral_form(len(x))
    with mpmath.workdps(80):
        if form is not None:
            action = [Fraction(float(t)) for t in x]
            if isinstance(a.domain, Simplex):
                action = [t * Fraction(a.domain.total) / sum(action) for t in action]
            else:
                action = exact_projection(form, action)
            drive = [Fraction(float(t)) for t in v]
            p = exact_projection(form, drive)
            total = sum(s * s / 2 + t * q - q * q / 2 - s * t for s, t, q in zip(action, drive, p, strict=True))
            return mpf(total.numerator) / mpf(total.denominator)
        return VECTOR_GAPS[a.name](a, [mpf(float(t)) for t in x], [mpf(float(t)) for t in v])


@pytest.mark.parametrize("a", VECTOR, **IDS)
def test_vector_gap_is_within_its_bound(a: Activation) -> None:
    rng = np.random.default_rng(3)
    n = a.size or 3
    for scale in (0.5, 3.0, 100.0):
        for _ in range(3):
            v = rng.normal(size=n) * scale
            others = [a(v + 10.0**e * rng.normal(size=n)) for e in (-14, -10, -6, -2, 0)]
            x = np.array([a(v), *others, a.domain.project(rng.normal(size=n))])
            value, error = a.gap(x, v)
            value, error = a.layer_sum(value), a.layer_sum(error)
            for action, computed, bound in zip(x, value, error, strict=True):
                exact = exact_vector_gap(a, action, v)
                assert abs(mpf(float(computed)) - exact) <= mpf(float(bound)), (action, v)
                assert bound <= 1e-11 * scale**2 * (1 + float(exact))


@pytest.mark.parametrize("a", [a for a in VECTOR if a.name in RELATIVE and a.slope_range[1] > 0], **IDS)
def test_vector_gap_keeps_relative_accuracy_at_1e_minus_20(a: Activation) -> None:
    rng = np.random.default_rng(4)
    n, seen = a.size or 3, 0
    for _ in range(30):
        v = rng.normal(size=n)
        x = a(v + 1e-10 * rng.normal(size=n))
        value, exact = float(a.layer_sum(a.gap(x, v)[0])), float(exact_vector_gap(a, x, v))
        if 1e-22 < exact < 1e-18:
            seen += 1
            assert value == pytest.approx(exact, rel=1e-4)
    assert seen >= 10


@pytest.mark.parametrize("a", [a for a in VECTOR if a.polyhedral_form(a.size or 3) is not None], **IDS)
def test_projection_is_exact_to_1e_minus_12(a: Activation) -> None:
    rng = np.random.default_rng(5)
    n = a.size or 3
    form = a.polyhedral_form(n)
    assert form is not None
    for scale in (1.0, 30.0, 1e4):
        v = rng.normal(size=n) * scale
        exact = exact_projection(form, [Fraction(float(t)) for t in v])
        np.testing.assert_allclose(a(v), [float(t) for t in exact], rtol=0, atol=1e-12 * max(1.0, 1e-3 * scale))


def test_references_cover_every_scalar_activation() -> None:
    assert {a.name for a in SCALAR_MONOTONE} <= set(GAPS)


def test_references_cover_every_other_monotone_activation() -> None:
    assert {a.name for a in VECTOR if a.polyhedral_form(a.size or 3) is None} <= set(VECTOR_GAPS)
