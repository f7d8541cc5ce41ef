"""Whether the operator of the inclusion view is cocoercive: <M x, x> >= beta |M x|^2, and the largest beta proved."""

from __future__ import annotations

import sys
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nngames.certificates import monotone
from nngames.certificates.certificate import Certificate, certificate_named
from nngames.certificates.figures import round_down, shown
from nngames.certificates.inclusion_matrix import exact_matrix, full_matrix
from nngames.core.bounds import symmetric_extremes
from nngames.core.exact import EXACT_ORDER, fraction, is_positive_semidefinite, nearest_float, rational, row_echelon
from nngames.core.profiles import Array
from nngames.core.verdicts import Decision, Verdict
from nngames.games import CoupledGame, Game
from nngames.games.self_loops import is_symmetric

_UNIT = 2.0**-53
# By these shares the constant found in floats is lowered until it can be proved.
_LOSSES = (1e-12, 1e-9, 1e-6, 1e-3, 0.1)
_EXACT_LOSSES = (1e-9, 0.1, 0.9)
#: Up to this order the largest beta is sought by dense factorisations.
_DENSE_ORDER = 800


@certificate_named("cocoercive")
class Cocoercive(Certificate):
    """x -> M x + q is beta-cocoercive iff (M + M')/2 - beta M'M >= 0; forward-backward then takes steps below 2 beta.

    For S = (M + M')/2 > 0 the largest beta is 1/lambda_max(M S^-1 M'), found in floats and proved by a safe least
    eigenvalue. Always proved where M is monotone and symmetric, beta = 1/|M| [Baillon-Haddad], or strongly monotone,
    beta = mu/|M|^2. Where M is singular and neither, the components of its graph up to order 48 are decided in
    rationals: there is a beta iff S >= 0 and S x = 0 implies M x = 0. Cocoercive operators are monotone and
    (1/beta)-Lipschitz [bauschke2017, ch. 4]; existence is not claimed. REFUTED by a vector x with <M x, x> < 0, or with
    <M x, x> = 0 and M x != 0. Witness: ``beta``; or ``direction`` x and ``value``, an upper bound on <M x, x> or exact.
    """

    map = "inclusion"

    def applies(self, game: Game) -> str | None:
        """Return a reason unless the game has an inclusion view with linear couplings that can be written out."""
        return monotone.Monotone().applies(game)

    def decide(self, game: Any) -> Verdict:
        """Decide by the best of the lower bounds on beta; else by a vector."""
        from nngames.certificates import verdict_of

        known = verdict_of("monotone", game)
        if known.refuted:
            return _refuted(known.witness["direction"], known.witness["value"], float(known.margin or 0.0))
        symmetric = is_symmetric(game.inclusion().matrix)
        beta, method = _general(game, known, symmetric)
        if not symmetric and game.size <= _DENSE_ORDER:
            tight = _dense(*(part.toarray() for part in full_matrix(game)))
            beta, method = max((beta, method), (tight, "safe least eigenvalue of (M + M')/2 - beta M'M"))
        if beta > 0:
            return _proved(beta, method)
        exact = _decide_exactly(game)
        if isinstance(exact, float):
            return _proved(exact, "exact rational arithmetic on the components of the graph of M")
        if exact is not None:
            return _refuted(exact, Fraction(0), 0.0)
        statement = f"the inclusion's operator M is not shown to be cocoercive: {known.statement}"
        change = "a clearer least eigenvalue of (M + M')/2: one above 0 proves it, one below 0 refutes it"
        return Verdict(Decision.UNDECIDED, statement, "bounds by eigenvalues", would_change=change)


def _proved(beta: float, method: str) -> Verdict:
    statement = (
        f"the inclusion's operator M is cocoercive with beta = {shown(beta)}: <M x, x> >= beta |M x|^2, so "
        f"forward-backward steps below 2 beta = {2 * beta:.6g} converge where there is an equilibrium"
    )
    change = "weights with which some x has <M x, x> <= 0 and M x != 0"
    return Verdict(Decision.PROVED, statement, method, beta, {"beta": beta}, ("bauschke2017",), would_change=change)


def _refuted(direction: Any, value: Any, margin: float) -> Verdict:
    what = "< 0" if value < 0 else "= 0 and M x != 0"
    statement = f"the inclusion's operator M is not cocoercive: a vector x has <M x, x> {what}"
    witness = {"direction": direction, "value": value}
    method, change = "a vector, its products' signs proved", "weights that make <M x, x> positive at this x, or M x 0"
    return Verdict(Decision.REFUTED, statement, method, margin, witness, would_change=change)


def _general(game: CoupledGame, known: Verdict, symmetric: bool) -> tuple[float, str]:
    """Return the larger of 1/|M|, for a symmetric monotone M, and mu/|M|^2, with its name; 0 where neither is known."""
    if not known.proved:
        return 0.0, "none"
    inclusion, modulus = game.inclusion(), Fraction(known.witness["modulus"])
    bound = inclusion.norm_bound
    if not np.isfinite(bound):
        return 0.0, "none"
    if bound == 0:
        return 1.0, "M = 0"
    # Off the diagonal an entry of M is one of -W or one of a block Q as it is given, so nothing is rounded there.
    if symmetric:
        return round_down(1 / Fraction(bound)), "M is symmetric and monotone: 1/|M|"
    return round_down(modulus / Fraction(bound) ** 2), "M is strongly monotone: mu/|M|^2"


def _dense(matrix: Array, error: Array) -> float:
    """Return a beta with S - beta M'M >= 0 proved by a safe least eigenvalue; 0 where none is."""
    symmetric = matrix / 2 + matrix.T / 2
    if not np.isfinite(symmetric).all() or not np.isfinite(matrix).all():
        return 0.0
    with np.errstate(over="ignore", invalid="ignore"):
        try:
            factor = np.linalg.cholesky(symmetric)
            reach = float(np.linalg.norm(np.linalg.solve(factor, matrix.T), 2))
        except np.linalg.LinAlgError:
            # Not positive definite, or too wide a range of sizes for a factorisation.
            return 0.0
        largest, gram = reach * reach, matrix.T @ matrix
    if not 0 < largest < np.inf or not np.isfinite(gram).all():
        return 0.0
    absolute = np.abs(matrix)
    terms = (len(matrix) + 4) * _UNIT
    gram_error = 1.02 * (terms * (absolute.T @ absolute) + error.T @ (absolute + error) + absolute.T @ error) + 1e-290
    own_error = (error + error.T) / 2 + 2 * _UNIT * np.abs(symmetric)
    for loss in _LOSSES:
        beta = (1 - loss) / largest
        form = symmetric - beta * (gram + gram.T) / 2
        spread = 1.01 * (own_error + beta * (gram_error + 4 * _UNIT * np.abs(gram)) + 4 * _UNIT * np.abs(form))
        if symmetric_extremes((form + form.T) / 2, np.maximum(spread, spread.T))[0].lower >= 0:
            return beta
    return 0.0


def _decide_exactly(game: CoupledGame) -> Any:
    """Return beta, a rational x in the kernel of S with M x != 0, or None if a component is too large or undecided."""
    from scipy.sparse.csgraph import connected_components

    matrix, _ = full_matrix(game)
    count, labels = connected_components(matrix, directed=False)
    if int(np.bincount(labels).max()) > EXACT_ORDER:
        return None
    constants = []
    for label in range(count):
        indices = np.flatnonzero(labels == label)
        exact = exact_matrix(game, indices)
        if not any(exact.entries()):
            continue
        symmetric = (exact + exact.transpose()) * rational(0.5)
        if not is_positive_semidefinite(symmetric):
            return None
        vector = _kernel_vector(symmetric, exact)
        if vector is not None:
            return _embedded(vector, indices, matrix.shape[0])
        beta = _exact_beta(symmetric, exact)
        if beta == 0:
            return None
        constants.append(beta)
    return min(constants, default=1.0)


def _embedded(vector: list[Fraction], indices: NDArray[np.intp], n: int) -> list[Fraction]:
    full = [Fraction(0)] * n
    for index, x in zip(indices, vector, strict=True):
        full[int(index)] = x
    return full


def _kernel_vector(symmetric: Any, exact: Any) -> list[Fraction] | None:
    """Return x with S x = 0 and M x != 0, or None if there is none."""
    from flint import fmpq_mat

    n = symmetric.nrows()
    reduced, pivots = row_echelon(symmetric)
    for free in sorted(set(range(n)) - set(pivots)):
        x = fmpq_mat(n, 1)
        x[free, 0] = 1
        for i, pivot in enumerate(pivots):
            x[pivot, 0] = -reduced[i, free]
        if any((exact * x).entries()):
            return [fraction(entry) for entry in x.entries()]
    return None


def _exact_beta(symmetric: Any, exact: Any) -> float:
    """Return a beta > 0 with S - beta M'M >= 0 in rationals, near the largest one."""
    size = [nearest_float(fraction(x)) for x in exact.entries()]
    m = np.array(size).reshape(exact.nrows(), -1)
    s = m / 2 + m.T / 2
    if not np.isfinite(s).all():
        return 0.0
    with np.errstate(over="ignore", invalid="ignore"):
        form = m @ np.linalg.pinv(s, rcond=1e-10, hermitian=True) @ m.T
    if not np.isfinite(form).all():
        return 0.0
    largest = float(np.linalg.eigvalsh(form)[-1])
    if not 0 < largest < np.inf:
        return 0.0
    gram = exact.transpose() * exact
    for loss in _EXACT_LOSSES:
        beta = min((1 - loss) / largest, sys.float_info.max)
        if is_positive_semidefinite(symmetric - gram * rational(beta)):
            return beta
    return 0.0
