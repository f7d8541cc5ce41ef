"""Second routes to every activation: CVXPY, exact rational and ball arithmetic."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from activation_draws import (
    ALL,
    IDS,
    MONOTONE,
    domain_points,
    inputs_of,
    normals,
    points,
    size_of,
)

from nngames.activations import Activation

each = pytest.mark.parametrize("a", ALL, **IDS)
each_monotone = pytest.mark.parametrize("a", MONOTONE, **IDS)


@each_monotone
def test_cvxpy_form_of_the_conjugate(a: Activation) -> None:
    import cvxpy as cp

    z = cp.Variable(size_of(a))
    form = a.conjugate_cvxpy(z)
    if form is None:
        return
    expression, constraints = form
    point = domain_points(a, 1, 1.0, seed=25)[0]
    problem = cp.Problem(cp.Minimize(expression), [*constraints, z == point])
    assert problem.is_dcp()
    value = problem.solve(solver="CLARABEL")
    assert value == pytest.approx(float(a.layer_sum(a.conjugate(point))), rel=1e-5, abs=1e-6)
    outside = normals(a, 20, 4.0, 26)
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
    np.testing.assert_allclose(z.value, a(v), rtol=2e-4, atol=2e-4)


def rationals(row: np.ndarray) -> list[Any]:
    from nngames.core.exact import rational

    return [rational(float(t)) for t in row]


@each
def test_exact_response_is_the_floating_one(a: Activation) -> None:
    from flint import fmpq

    for row in points(a, 10, 2.0, 28):
        exact = a.flint_response(rationals(row))
        assert len(exact) == np.size(a(row))
        if a.piecewise_linear:
            assert all(isinstance(t, fmpq) for t in exact)
        for t, r in zip(exact, np.atleast_1d(a(row)), strict=True):
            value = float(t.p) / float(t.q) if isinstance(t, fmpq) else float(t)
            assert value == pytest.approx(float(r), rel=1e-12, abs=1e-13)


@each
def test_ball_response_contains_the_response_of_every_point_of_the_ball(a: Activation) -> None:
    from flint import arb

    rng = np.random.default_rng(29)
    ends = inputs_of(a)
    for row in points(a, 4, 1.5, 30):
        for size in (1e-3, 0.5):
            radius = min(size, 0.9 * float(np.min([row - ends.lower, ends.upper - row])))
            balls = [arb(float(t), radius) for t in row]
            image = a.flint_response(balls)
            for _ in range(5):
                inside = row + radius * rng.uniform(-1, 1, size=row.shape)
                for t, r in zip(image, np.atleast_1d(a(inside)), strict=True):
                    assert arb(t).overlaps(arb(float(r), 1e-13))


@each_monotone
def test_exact_conjugate_is_the_floating_one(a: Activation) -> None:
    from flint import fmpq

    for row in domain_points(a, 10, 2.0, 31):
        exact_row = a.flint_response(rationals(row)) if not a.separable and a.piecewise_linear else rationals(row)
        hull = a.domain.affine_hull(size_of(a))
        if hull.exact_projector == "sum_zero" and not a.piecewise_linear:
            exact_row[-1] = rationals(np.round([np.sum(hull.point)], 9))[0] - sum(exact_row[:-1])
        exact = a.flint_conjugate(exact_row)
        assert exact is not None
        if a.piecewise_linear:
            assert isinstance(exact, fmpq)
        value = float(exact.p) / float(exact.q) if isinstance(exact, fmpq) else float(exact)
        assert value == pytest.approx(float(a.layer_sum(a.conjugate(row))), rel=1e-12, abs=1e-13)


@each_monotone
def test_exact_conjugate_is_none_off_the_domain(a: Activation) -> None:
    z = normals(a, 30, 3.0, 32)
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
