"""Safe bounds: enclosures of spectral norms and of extreme eigenvalues that hold despite every rounding error.

The computed eigenvectors V only *precondition*: for a symmetric S the congruence V'SV is nearly diagonal, its
Gershgorin discs are narrow, and ||V'V - I|| < 1 carries the enclosure back to S. Every floating product A B with inner
dimension k is enclosed by the componentwise bound |fl(AB) - AB| <= gamma_k |A||B|, gamma_k = k u / (1 - k u), which
holds for every order of summation [Rump 2011]. So a bound never depends on the eigenvalue routine being right.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nngames.core.deadlines import look_ahead
from nngames.core.operators import DenseMap, LinearMap, SparseMap

Array = NDArray[np.floating[Any]]

_UNIT = 2.0**-53
#: Matrices whose smaller side is at most this are enclosed tightly; larger ones by sqrt(|A|_1 |A|_inf).
TIGHT_SIDE = 1500
#: Seconds that the enclosed eigenvalues of a matrix take at least on one core, over the cube of its order.
EIGENVALUES = 3e-10
# Error bounds are themselves computed in floating point; this factor covers that rounding many times over.
_SLACK = 1.01


@dataclass(frozen=True)
class Enclosure:
    """An interval that contains the exact value.

    Attributes
    ----------
    lower, upper : float
        Its ends.
    method : str
        How it was obtained.
    """

    lower: float
    upper: float
    method: str


def _gamma(terms: int) -> float:
    return terms * _UNIT / (1 - terms * _UNIT)


def _power_of_two_scale(matrix: Array) -> float:
    largest = float(np.abs(matrix).max(initial=0.0))
    return math.ldexp(1.0, min(math.frexp(largest)[1], 1023)) if largest > 0 and math.isfinite(largest) else 1.0


def _scaled(lower: float, upper: float, scale: float, method: str) -> Enclosure:
    """Return [lower, upper] * scale for a power of two, outwards where the product is not exact."""
    low, high = lower * scale, upper * scale
    # Gradual underflow rounds, overflow leaves the numbers.
    if abs(low) < 1e-300 and low / scale != lower:
        low = math.nextafter(low, -math.inf)
    if abs(high) < 1e-300 and high / scale != upper:
        high = math.nextafter(high, math.inf)
    largest = math.nextafter(math.inf, 0.0)
    return Enclosure(min(low, largest), max(high, -largest), method)


def symmetric_extremes(matrix: Array, error: Array | float = 0.0) -> tuple[Enclosure, Enclosure]:
    """Enclose the smallest and the largest eigenvalue of a symmetric matrix.

    Parameters
    ----------
    matrix : ndarray (n, n)
        A symmetric floating-point matrix S.
    error : ndarray (n, n) or float
        A componentwise bound on how far the exact symmetric matrix may be from ``matrix``.

    Returns
    -------
    tuple of Enclosure
        Of the smallest and of the largest eigenvalue.

    Raises
    ------
    TimeUpError
        In a run that has to end before.

    Notes
    -----
    With V'V - I of norm at most a < 1 and V'SV >= g I: S >= g/(1+a) I if g >= 0 and S >= g/(1-a) I if g < 0.
    The inner ends are Rayleigh quotients of the computed extreme eigenvectors.
    """
    if not np.any(matrix) and not np.any(error):
        return (Enclosure(0.0, 0.0, "exact"),) * 2
    if not np.isfinite(matrix).all() or not np.isfinite(error).all():
        return (Enclosure(-math.inf, math.inf, "entries that leave the range of floats"),) * 2
    scale = _power_of_two_scale(matrix)
    s = np.asarray(matrix, dtype=np.float64) / scale
    n = s.shape[0]
    look_ahead(EIGENVALUES * n**3)
    perturbation = float(np.max(np.sum(np.broadcast_to(np.abs(error) / scale, s.shape), axis=1), initial=0.0)) * _SLACK
    _, v = np.linalg.eigh(s)
    gamma = _gamma(n + 2) * _SLACK
    absolute = np.abs(v)
    gram_error = gamma * (absolute.T @ absolute) * _SLACK + 1e-290
    defect = float(np.max(np.sum(np.abs(v.T @ v - np.eye(n)) + gram_error, axis=1))) * _SLACK + 1e-290
    product = s @ v
    product_error = gamma * (np.abs(s) @ absolute) * _SLACK + 1e-290
    congruent = v.T @ product
    congruent_error = absolute.T @ product_error * _SLACK + gamma * (absolute.T @ np.abs(product)) * _SLACK + 1e-290
    off = np.abs(congruent) + congruent_error
    np.fill_diagonal(off, congruent_error.diagonal())
    radii = np.sum(off, axis=1) * _SLACK
    centres = congruent.diagonal()
    if not defect < 0.5 or not np.isfinite(radii).all():
        bound = float(np.max(np.sum(np.abs(s), axis=1))) * _SLACK + perturbation
        wide = _scaled(-bound, bound, scale, "row sums")
        return wide, wide
    low = float(np.min(centres - radii))
    high = float(np.max(centres + radii))
    low = (low / (1 + defect) if low >= 0 else low / (1 - defect)) - perturbation
    high = (high / (1 - defect) if high >= 0 else high / (1 + defect)) + perturbation
    low_inner = _rayleigh(congruent, congruent_error, defect, 0, upper=True) + perturbation
    high_inner = _rayleigh(congruent, congruent_error, defect, n - 1, upper=False) - perturbation
    method = "Gershgorin discs of the congruence by computed eigenvectors, with rounding enclosed"
    pad = 4 * _UNIT
    return (
        _scaled(low - pad * abs(low), low_inner + pad * abs(low_inner), scale, method),
        _scaled(high_inner - pad * abs(high_inner), high + pad * abs(high), scale, method),
    )


def _rayleigh(congruent: Array, error: Array, defect: float, index: int, *, upper: bool) -> float:
    """Bound v'Sv / v'v for the computed eigenvector ``index`` from above or below."""
    centre = float(congruent[index, index])
    value = centre + float(error[index, index]) if upper else centre - float(error[index, index])
    shrink = (value >= 0) == upper
    return value / (1 - defect) if shrink else value / (1 + defect)


def largest_eigenvalue_bound(matrix: Array, squarings: int = 10) -> float:
    """Return an upper bound on the largest eigenvalue of a positive semidefinite matrix, by squaring it repeatedly.

    For a symmetric A and B = A/|A|_F, lambda_max(A)^2 = |A|_F^2 lambda_max(B^2), and the computed square C of B is off
    by at most gamma |B|_F^2 = gamma in norm, so lambda_max(A) <= |A|_F sqrt(lambda_max(C) + gamma); in the end
    lambda_max(C) <= |C|_F. After k squarings the bound exceeds lambda_max by a factor of at most n^(1/2^(k+1)) beside
    rounding: for n = 200 and k = 10 by 0.3 per cent, at a third of the cost of the eigenvalues.

    Parameters
    ----------
    matrix : ndarray (n, n)
        Symmetric, positive semidefinite up to rounding.
    squarings : int
        k.
    """
    size = len(matrix)
    gamma = 1.1 * (size + 4) * _UNIT
    unit = _power_of_two_scale(matrix)
    factor, power, current = unit, 1.0, matrix / unit
    # lambda_max(A) <= prod_i f_i^(2^-i), with f_i the scales that are taken out.
    for _ in range(squarings):
        scale = float(np.linalg.norm(current)) * (1 + gamma)
        if not 0 < scale < math.inf:
            return scale
        factor *= scale**power
        scaled = current / scale
        current, power = scaled @ scaled, power / 2
        current.flat[:: size + 1] += gamma
    return math.nextafter(factor * float(np.linalg.norm(current)) ** power * (1 + 1e-13), math.inf)


def spectral_norm(matrix: LinearMap) -> Enclosure:
    """Enclose the spectral norm of a linear map.

    The upper end is a true upper bound. For a matrix whose smaller side is at most ``TIGHT_SIDE`` the enclosure has a
    relative width of about n^2 units of rounding (below 1e-9 up to that size), and |A| <= 1 is decided exactly where
    that leaves it open, up to order ``exact.EXACT_ORDER``; larger stored matrices get [max column norm,
    sqrt(|A|_1 |A|_inf)]; of a matrix-free map too large to write out nothing is known: [0, inf].
    """
    m, n = matrix.shape
    if matrix.has_dense and min(m, n) <= TIGHT_SIDE:
        return _settle_at_one(matrix.dense, _dense_norm(matrix.dense))
    if not isinstance(matrix, SparseMap | DenseMap):
        return Enclosure(0.0, math.inf, "a matrix-free map gives no upper bound")
    absolute = abs(matrix.matrix).astype(np.float64)
    scale = _power_of_two_scale(absolute.data if isinstance(matrix, SparseMap) else absolute)
    absolute = absolute / scale
    squares = absolute.multiply(absolute) if isinstance(matrix, SparseMap) else absolute**2
    grow = 1 + 2 * _gamma(max(m, n) + 4)
    upper = math.sqrt(float(absolute.sum(axis=0).max()) * float(absolute.sum(axis=1).max())) * grow
    lower = math.sqrt(float(squares.sum(axis=0).max())) / grow
    return _scaled(lower, upper, scale, "sqrt(|A|_1 |A|_inf)")


def _settle_at_one(a: Array, found: Enclosure) -> Enclosure:
    """Decide |A| <= 1 exactly where the enclosure leaves it open: the threshold of nonexpansiveness.

    The norm is the largest one of the blocks into which the rows and columns fall apart, so a permutation or a matrix
    of small rotations is decided at any size.
    """
    from nngames.core import exact

    if not found.lower <= 1 < found.upper:
        return found
    blocks = _independent_blocks(a)
    if all(min(block.shape) <= exact.EXACT_ORDER for block in blocks) and all(map(_at_most_one, blocks)):
        return Enclosure(found.lower, 1.0, "exact: I - A'A is positive semidefinite")
    return found


def _independent_blocks(a: Array) -> list[Array]:
    """Return the blocks of a matrix that share no row and no column with each other; zero ones are left out."""
    from scipy import sparse
    from scipy.sparse.csgraph import connected_components

    m = a.shape[0]
    rows, columns = np.nonzero(a)
    links = sparse.coo_array((np.ones(rows.size), (rows, columns + m)), shape=(sum(a.shape),) * 2)
    _, labels = connected_components(links, directed=False)
    order = np.argsort(labels, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(labels[order])) + 1)
    inside = [(group[group < m], group[group >= m] - m) for group in groups]
    return [a[np.ix_(i, j)] for i, j in inside if i.size and j.size]


def _at_most_one(a: Array) -> bool:
    """Decide |A| <= 1 in exact arithmetic."""
    from nngames.core import exact

    if a.size == 1:
        return abs(float(a[0, 0])) <= 1
    from flint import fmpq_mat

    rational = exact.rational_matrix(a if a.shape[0] >= a.shape[1] else a.T)
    n = rational.ncols()
    identity = fmpq_mat(n, n, [int(i == j) for i in range(n) for j in range(n)])
    return exact.is_positive_semidefinite(identity - rational.transpose() * rational)


def _dense_norm(a: Array) -> Enclosure:
    scale = _power_of_two_scale(a)
    a = a / scale
    if not a.any():
        return Enclosure(0.0, 0.0, "exact")
    if a.shape == (1, 1):
        value = float(abs(a[0, 0])) * scale
        return Enclosure(value, value, "exact")
    if _is_monomial(a):
        value = float(np.abs(a).max()) * scale
        return Enclosure(value, value, "exact")
    if a.shape[0] < a.shape[1]:
        a = a.T
    look_ahead(EIGENVALUES * a.shape[1] ** 3)
    gram = a.T @ a
    gram = (gram + gram.T) / 2
    absolute = np.abs(a)
    error = _gamma(a.shape[0] + 3) * (absolute.T @ absolute) * _SLACK + 1e-290
    _, largest = symmetric_extremes(gram, error)
    pad = 8 * _UNIT
    upper = math.sqrt(max(largest.upper, 0.0)) * (1 + pad)
    lower = math.sqrt(max(largest.lower, 0.0)) * (1 - pad)
    return _scaled(lower, upper, scale, largest.method)


def _is_monomial(a: Array) -> bool:
    """Whether no row and no column has two entries, as of a diagonal matrix or a permutation."""
    rows, columns = np.nonzero(a)
    return rows.size <= min(a.shape) and np.unique(rows).size == rows.size == np.unique(columns).size


def collatz_wielandt(matrix: Array | Any, weights: Array) -> float:
    """Return an upper bound on the spectral radius of a nonnegative matrix: max_i (N u)_i / u_i for u > 0.

    The bound holds for every positive u (Collatz-Wielandt); rounding is added to it. ``matrix`` may be sparse.
    """
    n = matrix.shape[1]
    rows = getattr(matrix, "indptr", None) if getattr(matrix, "format", "") == "csr" else None
    terms = n if rows is None else int(np.diff(rows).max(initial=0))
    # Each product may lose half a smallest subnormal to underflow.
    product = np.asarray(matrix @ weights).ravel() + n * 5e-324
    with np.errstate(over="ignore"):
        return float(np.max(product / weights)) * (1 + 2 * _gamma(terms + 4)) + 1e-290


def perron_weights(matrix: Array | Any, iterations: int = 500) -> Array:
    """Return a positive vector u for which ``collatz_wielandt`` is small: iterations of (N + small) u, normalised.

    A small positive constant keeps u positive on reducible matrices; any positive u is valid, only the bound varies.
    """
    n = matrix.shape[0]
    top = float(np.asarray(matrix.sum(axis=1)).max()) if n else 0.0
    shift = 1e-9 * top + 1e-300
    weights = np.ones(n)
    for _ in range(iterations):
        # (N + I top/8): the shift keeps periodic matrices from oscillating and does not move the eigenvector.
        updated = np.asarray(matrix @ weights).ravel() + 0.125 * top * weights + shift * weights.sum()
        largest = float(updated.max())
        if largest <= 0:
            return np.ones(n)
        updated = np.maximum(updated / largest, 1e-150)
        if np.max(np.abs(updated - weights)) <= 1e-15:
            return updated
        weights = updated
    return weights
