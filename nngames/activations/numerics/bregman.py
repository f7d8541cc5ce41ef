"""Fenchel-Young gaps of scalar responses from their inverse: the Bregman distance of the primitive, by quadrature."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np

from nngames.activations.numerics.rounding import EPS, Array

#: Nodes of the quadrature: it is exact to rounding for an analytic slope whose singularities are as far from the
#: segment as the segment is long (the error falls like (2 + sqrt(5))^(-2 nodes) there).
NODES = 13


def gap_by_inverse(
    slope: Callable[[Array], Array],
    primitive: Callable[[Array], Array],
    x: Array,
    v: Array,
    w: Array,
    x_error: Array,
    w_error: Array,
    reach: float | Array,
) -> tuple[Array, Array]:
    """Return the gap g*(x) + g(v) - x v of a scalar response and a bound on its error.

    Parameters
    ----------
    slope, primitive : callable
        r' and g, elementwise; r' good to a few units of relative rounding, g likewise.
    x, v : ndarray
        Actions and pre-activations.
    w : ndarray
        The pre-activations of the actions, r(w) = x.
    x_error, w_error : ndarray
        Bounds on |r(w) - x| and on the error of w.
    reach : float or ndarray
        A lower bound on the distance of the singularities of r' from the segment between v and w.

    Notes
    -----
    With d = w - v the gap is the Bregman distance g(v) - g(w) - x (v - w), the integral of t r'(v + t) over [0, d]: a
    positive integrand, so nothing cancels; Gauss-Legendre nodes where |d| is at most ``reach``, the closed form beyond.
    The distance has the derivative r'(w) (w - v) in w, so the error of w costs at most x_error (|d| + w_error).
    """
    d = w - v
    near = np.abs(d) <= reach
    short = np.where(near, d, 0.0)
    total = np.zeros_like(short)
    for node, weight in quadrature(NODES):
        total = total + weight * node * slope(v + node * short)
    close = np.square(short) * total
    terms = primitive(v), primitive(w), x * d
    apart = terms[0] - terms[1] + terms[2]
    sizes = np.abs(terms[0]) + np.abs(terms[1]) + np.abs(terms[2])
    value = np.where(near, close, apart)
    # v and w are rounded to their own precision, so d is good to a unit of them.
    rounding = np.where(near, 32 * EPS * close, 16 * EPS * sizes)
    return value, rounding + x_error * (np.abs(d) + w_error)


@cache
def quadrature(count: int) -> tuple[tuple[float, float], ...]:
    """Return the nodes of Gauss and Legendre on [0, 1] with their weights."""
    nodes, weights = np.polynomial.legendre.leggauss(count)
    return tuple(zip((0.5 + 0.5 * nodes).tolist(), (0.5 * weights).tolist(), strict=True))
