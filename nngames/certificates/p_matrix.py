"""Whether the equilibrium is unique for every bias, by principal minors: I - W is a P-matrix."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nngames.certificates.certificate import Certificate, certificate_named
from nngames.certificates.figures import shown
from nngames.certificates.joint_contraction import joint_name
from nngames.certificates.norms import no_continuous_map_reason
from nngames.certificates.principal_minors import (
    MINORS_ORDER,
    Minor,
    dominance,
    nonpositive_minor,
    opposed_pair,
    suspected_minor,
    symmetric_direction,
)
from nngames.certificates.sectors import sectors
from nngames.certificates.slope_matrix import exact_slope_matrix, slope_matrix
from nngames.core.exact import EXACT_ORDER, fraction, nearest_float
from nngames.core.verdicts import Decision, Verdict
from nngames.games import Game, NetworkGame

Indices = NDArray[np.intp]


@certificate_named("p_matrix")
class PMatrix(Certificate):
    """If A = diag(1/S) - W is a P-matrix, x = r(Wx + b) has exactly one solution for every b; slopes of r in [0, S].

    All principal minors positive means that every d != 0 has an i with d_i (A d)_i > 0. With d the difference of two
    profiles, d - e that of T's values, (d_i - e_i)((A d)_i - e_i/S_i) <= 0 for each i, so |d| <= c |e|: Id - T is
    injective, continuous and proper, hence onto. For A = I - W it is also necessary if it is to hold for every
    separable r with slopes in [0, 1] and every b, and for ReLU alone: then x = max(0, Wx + b) is the linear
    complementarity problem of I - W and -b [cottle2009, Theorem 3.3.7]. For a game without a network
    A = Q - I + diag(1/S) + R.

    A is a P-matrix iff its diagonal blocks on the strongly connected components of its graph are. A block is shown to
    be one by a comparison matrix that is an M-matrix, by a positive definite symmetric part or by diagonal stability of
    the whole. It is refuted by a minor of order 2, by one of the minors where the symmetric part is most negative or,
    up to order 48, by its determinant; up to order 14 it is decided by all of its minors.

    The margin of PROVED: A + E is a P-matrix for every E that stays within the blocks and is smaller there: |E_ii| in a
    block of order 1, |E| u <= e u with e below the margin where the comparison matrix was used (u its positive vector),
    |E|_2 where the symmetric part was. None where a block was decided by its minors or by the whole, which tell no
    distance. That of REFUTED is the size of the minor. Witness: ``blocks``, the number decided by each test,
    ``unique``; or ``indices`` of a principal minor and its exact ``value``.
    """

    map = "joint"

    def applies(self, game: Game) -> str | None:
        """Return a reason unless couplings are linear and responses separable, continuous and nondecreasing."""
        reason = no_continuous_map_reason(game)
        if reason is not None:
            return reason
        network: Any = game.network  # type: ignore[attr-defined]
        for player, n in network.dims.items():
            activation = network.activations[player]
            if n > 1 and not activation.separable:
                return f"player {player} has activation {activation.name!r}, which is not separable"
            if not activation.monotone:
                return f"the activation {activation.name!r} of player {player} decreases somewhere"
        if not all(hasattr(w, "matrix") or w.has_dense for w in network.weights.values()):
            return "a coupling is a map without a matrix, too large to be written out"
        return None

    def decide(self, game: Any) -> Verdict:
        """Decide block by block."""
        matrix, error = slope_matrix(game)
        if not np.isfinite(matrix.data).all() or not np.isfinite(error.data).all():
            return _undecided(game, "its entries leave the range of floats")
        counts: dict[str, int] = {}
        left = 0
        margins: list[float | None] = []
        single, blocks = _blocks(matrix)
        minor = _single_minor(game, matrix, error, single)
        if minor is not None:
            return _refuted(game, minor)
        if single.size:
            counts["positive diagonal entry"] = int(single.size)
            margins.append(max(0.0, float((matrix.diagonal() - 1.1 * error.diagonal())[single].min())))
        for indices in blocks:
            finding = _decide_block(game, matrix, error, indices)
            if isinstance(finding, Minor):
                return _refuted(game, finding)
            if finding is None:
                left = max(left, indices.size)
            else:
                test, distance = finding
                counts[test] = counts.get(test, 0) + 1
                margins.append(distance)
        if left and not _stable(game):
            return _undecided(game, f"a strongly connected block of order {left} passes no sufficient test")
        if left:
            counts["diagonal stability of the whole"] = 1
        return _proved(game, counts, None if left else _least(margins))


def _least(margins: list[float | None]) -> float | None:
    """Return the least margin; None where a block has none."""
    known = [margin for margin in margins if margin is not None]
    return min(known) if len(known) == len(margins) else None


def _blocks(matrix: Any) -> tuple[Indices, list[Indices]]:
    """Return the coordinates that are strongly connected with no other, and the larger components, by size."""
    from scipy.sparse.csgraph import connected_components

    count, labels = connected_components(matrix, connection="strong")
    sizes = np.bincount(labels, minlength=count)
    order, stops = np.argsort(labels, kind="stable"), np.cumsum(sizes)
    larger = [order[stops[i] - sizes[i] : stops[i]] for i in np.flatnonzero(sizes > 1)]
    larger.sort(key=len)
    return np.flatnonzero(sizes[labels] == 1), larger


def _single_minor(game: Any, matrix: Any, error: Any, indices: Indices) -> Minor | None:
    """Return a diagonal entry among ``indices`` that is not positive."""
    doubtful = indices[matrix.diagonal()[indices] <= 1.1 * error.diagonal()[indices]]
    minors = (_exact_minor(game, doubtful[i : i + 1]) for i in range(doubtful.size))
    return next((minor for minor in minors if minor is not None), None)


def _decide_block(game: Any, matrix: Any, error: Any, indices: Indices) -> tuple[str, float | None] | Minor | None:
    """Return the test that shows the block to be a P-matrix with its margin, a minor that refutes it, or None."""
    minor = _single_minor(game, matrix, error, indices)
    block, spread = matrix[indices][:, indices], error[indices][:, indices]
    pair = opposed_pair(block) if minor is None else None
    if pair is not None:
        minor = _exact_minor(game, indices[list(pair)])
    if minor is not None:
        return minor
    margin = dominance(block, spread)
    if margin is not None:
        return "comparison matrix an M-matrix", margin
    least, direction = symmetric_direction(block, spread)
    if direction is None:
        return "positive definite symmetric part", least
    if indices.size <= MINORS_ORDER:
        minor = nonpositive_minor(exact_slope_matrix(game, indices))
        if minor is None:
            return "all principal minors in exact rationals", None
        return Minor(tuple(int(indices[i]) for i in minor.indices), minor.value)
    suspected = suspected_minor(block, direction)
    minor = None if suspected is None else _exact_minor(game, indices[suspected])
    if minor is None and indices.size <= EXACT_ORDER:
        minor = _exact_minor(game, indices)
    return minor


def _exact_minor(game: Any, indices: Indices) -> Minor | None:
    """Return the minor of these rows and columns if it is not positive."""
    value = exact_slope_matrix(game, indices).det()
    return Minor(tuple(indices.tolist()), fraction(value)) if value <= 0 else None


def _stable(game: Any) -> bool:
    """Whether A is diagonally stable: with P A + A'P > 0 all principal minors are positive."""
    from nngames.certificates import verdict_of

    found = sectors(game)
    # With lower slopes above 0 the certificate is about another matrix.
    return not isinstance(found, str) and not found.lower.any() and verdict_of("diagonal_stability", game).proved


def _name(game: Any) -> str:
    """Return the matrix as a statement calls it."""
    steep = any(a.slope_range[1] != 1 for a in game.network.activations.values())
    own = "I" if isinstance(game, NetworkGame) else "Q"
    return f"{own} - I + diag(1/S) - W" if own == "Q" else "diag(1/S) - W" if steep else "I - W"


def _proved(game: Any, counts: dict[str, int], margin: float | None) -> Verdict:
    statement = (
        f"{joint_name(game)} has exactly one fixed point, for every bias: {_name(game)} is a P-matrix, slopes being "
        "nonnegative and at most S"
    )
    method = "strongly connected blocks: " + ", ".join(f"{count} by {test}" for test, count in counts.items())
    witness = {"blocks": counts, "unique": True}
    change = "weights or slopes with which a principal minor is not positive"
    return Verdict(Decision.PROVED, statement, method, margin, witness, ("cottle2009",), would_change=change)


def _refuted(game: Any, minor: Minor) -> Verdict:
    activations = game.network.activations.values()
    if {a.name for a in activations} <= {"relu", "nonnegative"}:
        meaning = f"so {joint_name(game)} has several fixed points or none for some bias"
    elif all(a.slope_range[1] < math.inf for a in activations):
        meaning = (
            f"so {joint_name(game)} of some responses with slopes from 0 to the same S has several fixed points or "
            "none for some bias; this one's are not decided by it"
        )
    else:
        meaning = f"which leaves open whether {joint_name(game)} has one fixed point"
    size = len(minor.indices)
    statement = (
        f"{_name(game)} is no P-matrix: a principal minor of order {size} is {shown(nearest_float(minor.value))}, "
        f"{meaning}"
    )
    witness = {"indices": minor.indices, "value": minor.value}
    margin, method = abs(nearest_float(minor.value)), "a principal minor in exact rationals"
    change = "weights or slopes that make this minor positive"
    return Verdict(Decision.REFUTED, statement, method, margin, witness, ("cottle2009",), would_change=change)


def _undecided(game: Any, reason: str) -> Verdict:
    statement = f"{joint_name(game)} is not decided by principal minors of {_name(game)}: {reason}"
    method, change = "tests of the strongly connected blocks", "smaller blocks or weights, or a minor that refutes it"
    return Verdict(Decision.UNDECIDED, statement, method, would_change=change)
