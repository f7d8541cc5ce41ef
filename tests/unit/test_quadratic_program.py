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


def test_no_point_is_an_error_at_every_scale():
    rows = np.array([[1.0, 0.0], [1.0, 0.0]])
    for scale in (1e-6, 1.0, 1e6):
        with pytest.raises(InputError, match="have no solution"):
            minimise_quadratic(Q, np.ones(2), rows, np.array([-np.inf, scale]), np.array([-scale, np.inf]))
