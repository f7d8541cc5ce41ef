"""What every monotone activation promises of its penalty, primitive, conjugate and gap."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from activation_draws import (
    IDS,
    MONOTONE,
    SCALAR_MONOTONE,
    admissible,
    domain_points,
    inner,
    normals,
    numbers_of_all_sizes,
    points,
    size_of,
    squared,
)

from nngames.activations import Activation

each_monotone = pytest.mark.parametrize("a", MONOTONE, **IDS)
each_scalar_monotone = pytest.mark.parametrize("a", SCALAR_MONOTONE, **IDS)


@each_monotone
def test_fenchel_young_equality_at_the_response(a: Activation) -> None:
    v = points(a, 50)
    p = a.domain.project(a(v))
    value, error = a.gap(p, v)
    assert (value <= error + 1e-14).all()
    naive = a.conjugate(p) + a.primitive(v) - inner(a, p, v)
    np.testing.assert_allclose(naive, 0, atol=1e-13 * (1 + np.abs(inner(a, p, v)).max()))


@each_scalar_monotone
def test_conjugate_is_the_supremum(a: Any) -> None:
    """g*(z) >= z v - g(v) for many v, with equality at the maximiser, found by bisection on r(v) = z."""
    z = domain_points(a, 20).ravel()
    conjugate = a.conjugate(z)
    v = admissible(a, np.sinh(np.linspace(-12, 12, 2001)))
    with np.errstate(over="ignore", invalid="ignore"):
        below = z[:, None] * v - a.primitive(v)
        slack = 1e-13 * (1 + np.abs(conjugate)[:, None] + np.abs(z[:, None] * v) + np.abs(a.primitive(v)))
    known = np.isfinite(below)
    assert known.sum() >= 10_000
    assert (below <= conjugate[:, None] + slack)[known].all()
    low, high = np.full(z.shape, -1e5), np.full(z.shape, 1e5)
    for _ in range(80):
        middle = 0.5 * low + 0.5 * high
        with np.errstate(over="ignore"):
            above = a(admissible(a, middle)) > z
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    best = admissible(a, low)
    value = z * best - a.primitive(best)
    np.testing.assert_array_less(np.abs(conjugate - value), 1e-9 * (1 + np.abs(conjugate)))


@each_monotone
def test_gap_is_the_naive_sum_where_that_is_well_conditioned(a: Activation) -> None:
    x, v = domain_points(a, 200), points(a, 200, seed=11)
    value, error = a.gap(x, v)
    naive = a.conjugate(x) + a.primitive(v) - inner(a, x, v)
    np.testing.assert_allclose(value, naive, rtol=1e-12, atol=1e-12)
    assert (error <= 1e-11 * (1 + value)).all()
    assert (value >= 0).all()


@each_scalar_monotone
def test_gap_of_any_numbers_is_the_naive_sum_up_to_its_rounding(a: Any) -> None:
    x, v = a.domain.project(numbers_of_all_sizes(2000, 50)), admissible(a, numbers_of_all_sizes(2000, 51))
    value, error = a.gap(x, v)
    terms = np.array([a.conjugate(x), a.primitive(v), -x * v])
    assert (value >= 0).all()
    assert not np.isnan(error).any()
    known = np.isfinite(terms).all(axis=0)
    assert known.sum() >= 1000
    sizes, terms, value, error = (np.abs(terms).sum(axis=0)[known], terms[:, known], value[known], error[known])
    assert (np.abs(value - terms.sum(axis=0)) <= error + 1e-13 * sizes + 1e-14).all()


@each_monotone
def test_gap_is_at_least_the_squared_distance_over_twice_the_slope(a: Activation) -> None:
    high = a.slope_range[1]
    x, v = domain_points(a, 200, seed=12), points(a, 200, 3.0, seed=14)
    value, error = a.gap(x, v)
    if 0 < high < np.inf:
        assert (value + error >= squared(a, x - a(v)) / (2 * high) * (1 - 1e-12) - 1e-15).all()


@each_monotone
def test_gap_and_penalties_are_infinite_off_the_domain(a: Activation) -> None:
    x, v = normals(a, 50, 3.0, 15), points(a, 50, 1.0, 16)
    away = a.domain.project(x) - x
    off = np.abs(away) > 1e-6 if a.separable else np.linalg.norm(away, axis=-1) > 1e-6
    value, error = a.gap(x, v)
    for values in (value, a.conjugate(x), a.penalty(x)):
        np.testing.assert_array_equal(values == np.inf, off)
    assert not np.isnan(error).any()


@each_scalar_monotone
def test_penalty_is_finite_at_the_closed_ends_of_the_domain_only(a: Any) -> None:
    own = a.domain
    ends = ((own.lower, own.closed_lower, -1.0), (own.upper, own.closed_upper, 1.0))
    for end, closed, sign in ends:
        if np.isinf(end):
            continue
        beyond = np.nextafter(end, sign * np.inf)
        assert a.penalty(beyond) == a.conjugate(beyond) == np.inf
        last = end if closed else np.nextafter(end, -sign * np.inf)
        assert np.isfinite(a.penalty(last))
        if own.lower == own.upper:
            continue
        width = min(1.0, own.upper - own.lower)
        near = a.conjugate(np.array([end - sign * 1e-3 * width, end - sign * 1e-9 * width, last]))
        growth = near[1] - near[0], near[2] - near[1]
        if closed:
            assert abs(growth[1]) <= 0.05 * abs(growth[0]) + 1e-12 * (1 + abs(near[2]))
        else:
            # It grows without bound: from 1e-9 to the last float nearly as much as from 1e-3 to 1e-9.
            assert growth[1] >= 0.5 * growth[0] > 0


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
    z, others = normals(a, 40, 3.0, 17), domain_points(a, 40, seed=18)
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
    d = normals(a, 5, seed=20)
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
    x, z = domain_points(a, 30), normals(a, 200, 2.0, 21)
    assert (x @ matrix.T <= high + 1e-12).all()
    assert (x @ matrix.T >= low - 1e-12).all()
    inside = ((z @ matrix.T <= high + 1e-12) & (z @ matrix.T >= low - 1e-12)).all(axis=-1)
    np.testing.assert_array_equal(a.layer_sum(a.penalty(z)) < np.inf, inside)
    np.testing.assert_array_equal(a.penalty(x), 0.0)
