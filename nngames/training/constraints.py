"""Projections onto the sets of weights for which a certificate holds, in the Frobenius norm."""

from __future__ import annotations

import numpy as np

from nngames.core.profiles import Array


def project_spectral(weight: Array, bound: float) -> Array:
    """Return the nearest matrix with |W|_2 <= bound: singular values above the bound become the bound.

    For W = U diag(s) V' the minimiser of |X - W|_F over |X|_2 <= bound is U diag(min(s, bound)) V', by von Neumann's
    trace inequality.
    """
    if np.linalg.norm(weight) <= bound:
        return weight
    left, values, right = np.linalg.svd(weight, full_matrices=False)
    if values[0] <= bound:
        return weight
    return (left * np.minimum(values, bound)) @ right


def project_monotone(weight: Array, ceiling: Array | float) -> Array:
    """Return the nearest matrix with (W + W')/2 <= diag(ceiling); I - W is monotone with modulus m for 1 - m.

    Symmetric and skew parts are orthogonal, so the skew part stays. With C = diag(ceiling), the symmetric part S goes
    to C + V diag(min(e, 0)) V', where S - C = V diag(e) V': the nearest negative semidefinite matrix, moved by C.
    """
    symmetric = (weight + weight.T) / 2
    excess = symmetric - ceiling * np.eye(len(weight))
    values, vectors = np.linalg.eigh(excess)
    above = values > 0
    if not above.any():
        return weight
    return weight - (vectors[:, above] * values[above]) @ vectors[:, above].T
