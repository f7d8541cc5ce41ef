"""Quadratic programs keep their active set at every scale of the data."""

from __future__ import annotations

import numpy as np
import pytest

from nngames.core.errors import InputError
from nngames.core.quadratic_program import minimise_quadratic

Q = np.array([[2.0, 1.0], [1.0, 2.0]])


@pytest.mark.parametrize("scale", [1.0, 1e-8, 1e-13, 1e-20, 1e-200, 1e10, 1e15, 1e25])
def test_a_cone_is_met_at_every_scale(scale):
    # z_2 = 0 is active at u = (1, -3), since its multiplier is 3 + 1/2; then z_1 = 1/2.
    z = minimise_quadratic(Q, scale * np.array([1.0, -3.0]), np.eye(2), np.zeros(2), np.full(2, np.inf))
    np.testing.assert_allclose(z / scale, [0.5, 0.0], rtol=0, atol=1e-14)


@pytest.mark.parametrize("scale", [1e-200, 1e-13, 1.0, 1e12])
def test_a_box_is_met_at_every_scale_of_box_and_drive(scale):
    # u = (8, -8) pushes to the corner (1, -1): the gradient there is Qz - u = (-7, 7).
    z = minimise_quadratic(Q, 8 * scale * np.array([1.0, -1.0]), np.eye(2), np.full(2, -scale), np.full(2, scale))
    np.testing.assert_allclose(z / scale, [1.0, -1.0], rtol=0, atol=1e-14)


@pytest.mark.parametrize("scale", [1e-200, 1.0, 1e19, 1e21, 1e29, 1e31, 1e100, 1e150])
def test_what_lies_inside_a_box_is_no_end_of_it_at_any_scale(scale):
    # At z_1 = 3/2, where u = (1, 1) presses against it by 3 - 1/4 - 1, z_2 = (1 - 3/2)/2.
    lower, upper = scale * np.array([1.5, -0.75]), scale * np.array([2.0, -0.125])
    z = minimise_quadratic(Q, scale * np.ones(2), np.eye(2), lower, upper)
    np.testing.assert_allclose(z / scale, [1.5, -0.25], rtol=0, atol=1e-14)


@pytest.mark.parametrize("scale", [1.0, 1e10, 1e15, 1e22, 1e100])
def test_a_corner_is_met_exactly_whatever_presses_into_it(scale):
    # On the simplex u = (3, 1, -1) scale leads to (1, 0, 0) as soon as scale exceeds the differences in Q.
    q = np.array([[2.0, 1.0, 0.5], [1.0, 2.0, 0.25], [0.5, 0.25, 1.0]])
    rows, lower = np.vstack([np.ones(3), np.eye(3)]), np.array([1.0, 0.0, 0.0, 0.0])
    z = minimise_quadratic(q, scale * np.array([3.0, 1.0, -1.0]), rows, lower, np.array([1.0, *[np.inf] * 3]))
    np.testing.assert_allclose(z, [1.0, 0.0, 0.0], rtol=0, atol=1e-14)


@pytest.mark.parametrize("press", [0.0, 2.0**10, 2.0**33])
def test_coordinates_that_stay_free_on_a_plane_are_optimal(press):
    # z_1 >= 1/4 is active: its multiplier is 151/32. On z_2 + z_3 = 3/4 the two others' gradients agree where
    # 1/4 + 2 z_2 + z_3/4 = 1/8 + z_2/4 + z_3 - 1. What presses against the plane does not matter.
    q = np.array([[2.0, 1.0, 0.5], [1.0, 2.0, 0.25], [0.5, 0.25, 1.0]])
    rows, lower, upper = np.array([[1.0, 1.0, 1.0], [1.0, 0.0, 0.0]]), np.array([1.0, 0.25]), np.array([1.0, np.inf])
    z = minimise_quadratic(q, press + np.array([-4.0, 0.0, 1.0]), rows, lower, upper)
    np.testing.assert_allclose(z, [0.25, -0.225, 0.975], rtol=0, atol=1e-14)


def test_no_point_is_an_error_at_every_scale():
    rows = np.array([[1.0, 0.0], [1.0, 0.0]])
    for scale in (1e-6, 1.0, 1e6):
        with pytest.raises(InputError, match="have no solution"):
            minimise_quadratic(Q, np.ones(2), rows, np.array([-np.inf, scale]), np.array([-scale, np.inf]))


@pytest.mark.parametrize("scale", [1e-300, 1e-20, 1e-12, 1.0, 1e12, 1e20, 1e300])
def test_the_unit_of_the_cost_does_not_matter(scale):
    # In units of the cost: z = (0, 0, 1/3) with the multipliers Qz - u = (1/3 + 1, 1/3, 0) of z >= 0.
    q, u = np.array([[2.0, 1.0, 1.0], [1.0, 2.0, 1.0], [1.0, 1.0, 3.0]]), np.array([-1.0, 0.0, 1.0])
    z = minimise_quadratic(scale * q, scale * u, np.eye(3), np.zeros(3), np.full(3, np.inf))
    np.testing.assert_allclose(z, [0.0, 0.0, 1 / 3], rtol=0, atol=1e-15)


def test_coordinates_of_different_units_are_told_apart():
    # With z_i = d_i y_i the program in y is the one in units of about 1, whatever d is.
    rng = np.random.default_rng(3)
    for _ in range(20):
        root, d = rng.standard_normal((3, 3)), 10.0 ** rng.uniform(-6, 6, 3)
        q, u = root @ root.T + 0.1 * np.eye(3), rng.standard_normal(3)
        y = minimise_quadratic(q, u, np.eye(3), np.zeros(3), np.full(3, np.inf))
        z = minimise_quadratic(q / d / d[:, None], u / d, np.eye(3), np.zeros(3), np.full(3, np.inf))
        np.testing.assert_allclose(z / d, y, rtol=0, atol=1e-9 * (1 + np.abs(y).max()))
