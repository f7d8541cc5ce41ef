"""Candidates for the multipliers of diagonal stability: explicit ones first, then those of a semidefinite program.

Nothing here has to be right for a verdict to hold: what a candidate is worth is decided by ``StabilityForm``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nngames.certificates.norms import coupling_norms
from nngames.certificates.perron import contraction_weights
from nngames.certificates.sectors import Sectors
from nngames.certificates.stability_form import StabilityForm
from nngames.core.profiles import Array

#: Semidefinite programs are set up to this order; their time grows with its sixth power.
SEMIDEFINITE_ORDER = 40
# Multipliers keep this many binary digits, so that a witness is made of simple rationals.
_DIGITS = 20


def explicit_multipliers(game: Any, weight: Any, sectors: Sectors) -> Iterator[tuple[Array, str]]:
    """Yield P = I, and P = diag(w_i / (u_i sigma_i)) from vectors u, w > 0 with N u < u and N' w < w.

    For a nonnegative N and such u, w the matrix P(I - N) has a positive definite symmetric part: times u it is
    positive, and so is its transpose. With N = (tau/sigma)|W|, by coordinates or by blocks with norms for entries, that
    carries over to P(sigma - tau W), and to slopes in [-S, S] as N'PN < P; to slopes in [s, S] with P over 1 - s/S.
    """
    groups = sectors.groups
    yield np.ones(groups.size), "P = I"
    if not (sectors.sigma > 0).all():
        return
    for n, places in _comparisons(game, weight, sectors):
        right, left = contraction_weights(n)[0], contraction_weights(n.T.tocsr())[0]
        with np.errstate(all="ignore"):
            p = (left / right)[places] / sectors.sigma / _narrowness(sectors)
            p = np.exp(_grouped_mean(np.log(p), groups))
        yield p, "P from positive vectors of a comparison matrix"


def _narrowness(sectors: Sectors) -> Array:
    """Return 1 - s/S, by which a multiplier for [0, S] or [-S, S] serves [s, S] as well; at least 1/16."""
    share = np.zeros(sectors.lower.size)
    np.divide(sectors.lower * sectors.sigma, sectors.tau, out=share, where=sectors.lower != 0)
    return np.maximum(1 - share, 1 / 16)


def _comparisons(game: Any, weight: Any, sectors: Sectors) -> Iterator[tuple[Any, NDArray[np.intp]]]:
    """Yield (N, index of its row for each coordinate)."""
    from scipy import sparse

    with np.errstate(over="ignore"):
        slope = np.maximum(sectors.tau / sectors.sigma, np.abs(sectors.lower))
    if np.isfinite(slope).all():
        # A coordinate's own weight only counts with its sign where slopes are not negative.
        own = weight.diagonal()
        entries = abs(weight) - sparse.diags_array(np.abs(own)) + sparse.diags_array(np.maximum(own, 0))
        with np.errstate(over="ignore"):
            matrix = sparse.csr_array(
                sparse.diags_array(slope) @ (entries if (sectors.lower >= 0).all() else abs(weight))
            )
        if np.isfinite(matrix.data).all():
            yield matrix, np.arange(weight.shape[0])
    players = {player: i for i, player in enumerate(game.network.players)}
    if not 1 < len(players) < weight.shape[0]:
        return
    sizes = np.array(list(game.network.dims.values()))
    places = np.repeat(np.arange(sizes.size), sizes)
    largest = np.maximum.reduceat(slope, np.cumsum(sizes) - sizes)
    rows, columns, values = [], [], []
    for (target, source), norm in coupling_norms(game.network).items():
        rows.append(players[target])
        columns.append(players[source])
        values.append(norm.upper * largest[players[target]])
    if np.isfinite(values).all():
        yield sparse.csr_array((values, (rows, columns)), shape=(sizes.size,) * 2), places


def _grouped_mean(values: Array, groups: NDArray[np.intp]) -> Array:
    counts = np.bincount(groups)
    return (np.bincount(groups, weights=values) / counts)[groups]


def semidefinite_multipliers(form: StabilityForm, groups: NDArray[np.intp], base: Array) -> tuple[Array, Array] | None:
    """Return (p, Y) from max t with H(diag p) >= t P_0, sum of p over p_0 = number of groups; None without an answer.

    P_0 is the diagonal matrix of ``base``; Y Y' is the solver's dual matrix Z, which has <Z, H_i> <= t p_0i for every
    multiplier and so refutes the condition if t < 0.
    """
    import cvxpy as cp

    first, second = form.in_metric(base)
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        return None
    scale = float(np.abs(first).max()) * float(np.abs(second).max())
    count = int(groups.max()) + 1
    q, level = cp.Variable(count, nonneg=True), cp.Variable()
    product = first.T @ cp.diag(q[groups]) @ (second / scale)
    definite = (product + product.T) / 2 - level * np.eye(groups.size) >> 0
    problem = cp.Problem(cp.Maximize(level), [definite, cp.sum(q) == count])
    if not solved(problem) or q.value is None or definite.dual_value is None:
        return None
    dual = np.asarray(definite.dual_value)
    values, vectors = np.linalg.eigh((dual + dual.T) / 2)
    directions = vectors * np.sqrt(np.maximum(values, 0.0)) / np.sqrt(base)[:, None]
    return np.maximum(q.value, 0.0)[groups] * base, directions


def solved(problem: Any) -> bool:
    """Solve a CVXPY problem by interior points; return whether it ended with some answer, be it inaccurate."""
    import warnings

    import cvxpy as cp

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # such as that the answer may be inaccurate
        try:
            problem.solve(solver=cp.CLARABEL)
        except cp.error.SolverError:
            return False
    return problem.status in ("optimal", "optimal_inaccurate")


def simple(multipliers: Array) -> Array:
    """Return the multipliers over the largest of them, rounded to few binary digits."""
    with np.errstate(all="ignore"):
        digits, exponents = np.frexp(multipliers / np.max(multipliers))
    return np.ldexp(np.round(digits * 2.0**_DIGITS) / 2.0**_DIGITS, exponents)
