"""Forecasts: what the first passes of a run and the sizes of a game tell about the time that each scheme will take.

For an affine map R with linear part J the displacements of plain passes are g_j = J^j g_0, so every polynomial scheme
can be judged by combinations of them, without a pass of its own: the Krasnoselskii-Mann scheme with relaxation 1/2 has
after m steps the displacement 2^-m sum_j binom(m, j) g_j, and Anderson acceleration finds the affine combination of
smallest norm. Elsewhere the figures are estimates, and a run that does not keep to them is forecast again. Costs are
counted, not measured, so that the same run makes the same choices on every machine.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nngames.core.operators import SparseMap
from nngames.core.profiles import Array
from nngames.games import CoupledGame, Game, NetworkGame
from nngames.networks.couplings import LinearCoupling
from nngames.solvers.newton import DENSE_SIZE

#: Displacements of plain passes from which the schemes are judged.
DISPLACEMENTS = 7
#: Of these the last four steps count: the first ones tell about the start.
JUDGED = 4
#: Displacements of more entries are judged by their triangular factor, which needs no copy of them.
BLOCK = 32768
#: Relaxed and accelerated steps are expected to need 1/CAUTION times as many as their first ones promise.
CAUTION = 0.5
#: Below this share of the first displacement a combination of several is rounding.
EXHAUSTED = 1e-10
#: Seconds for a multiplication and addition in a dense product with a vector, a sparse one, and a product of matrices.
DENSE_PRODUCT, SPARSE_PRODUCT, MATRIX_PRODUCT = 3e-10, 1.5e-9, 6e-11
#: Seconds for a call into compiled code, for an entry of a separable response, and for a response that is an algorithm.
CALL, ENTRY, ALGORITHM = 1.5e-6, 4e-9, 1e-4
#: Seconds that the loop takes for a plain step, and an accelerated one beside the products of its memory.
PLAIN_STEP, ACCELERATED_STEP = 4e-6, 3e-5
#: Newton directions that a run takes on a map that is not affine.
DIRECTIONS = 4
#: Passes for a direction by a Krylov method.
KRYLOV_PASSES = 60


@dataclass(frozen=True)
class Costs:
    """Estimated seconds of a plain step, an accelerated step, and a whole run of Newton's method."""

    plain: float
    accelerated: float
    newton: float


@dataclass(frozen=True)
class Factors:
    """By how much a step lowers the residual in the mean: plain, with relaxation 1/2, and accelerated."""

    plain: float
    relaxed: float
    accelerated: float


def costs_of(game: Game, size: int) -> Costs:
    """Return the estimates for a game whose fixed-point map has ``size`` variables."""
    once = pass_seconds(game)
    accelerated = once + ACCELERATED_STEP + 2e-9 * size * 2 * JUDGED
    return Costs(once + PLAIN_STEP, accelerated, _newton_seconds(game, size, once))


def pass_seconds(game: Game) -> float:
    """Return the estimated seconds of one pass over the game."""
    if not isinstance(game, NetworkGame | CoupledGame):
        return ALGORITHM
    network, total = game.network, 0.0
    if network.joint.assembled:
        total = CALL + SPARSE_PRODUCT * network.joint.multiplications
    else:
        for coupling in network.couplings:
            sparse = isinstance(coupling, LinearCoupling) and isinstance(coupling.weight, SparseMap)
            total += 2 * CALL + coupling.multiplications * (SPARSE_PRODUCT if sparse else DENSE_PRODUCT)
    for where, activation in network.joint.runs:
        total += CALL + ENTRY * (where.stop - where.start) if activation.separable else ALGORITHM
    return total if isinstance(game, NetworkGame) else total + 2e-5 * len(game.own)


def affine(game: Game) -> bool:
    """Whether the game's map is affine for all one can see: linear couplings and responses of one slope."""
    if not isinstance(game, NetworkGame) or not game.network.linear:
        return False
    return all(r.separable and r.slope_range[0] == r.slope_range[1] for r in game.network.activations.values())


def _newton_seconds(game: Game, size: int, once: float) -> float:
    directions = 1 if affine(game) else DIRECTIONS
    if size > DENSE_SIZE or not isinstance(game, NetworkGame):
        return directions * min(size, KRYLOV_PASSES) * (once + ACCELERATED_STEP)
    products = sum(coupling.multiplications for coupling in game.network.couplings)
    layers = len(game.network.players)
    # On a ring of L layers L - 1 products of matrices make the Jacobian.
    jacobian = MATRIX_PRODUCT * size * products * (layers - 1) / layers + 2e-9 * size**2
    factors = MATRIX_PRODUCT * size**3 * 2 / 3
    return directions * (6e-5 + jacobian + factors + 4 * once)


def factors_of(displacements: Sequence[Array]) -> Factors:
    """Return what the last displacements g_0, ..., g_m of plain passes say about each scheme.

    The factor is that of the last two steps, since the first ones of a scheme that averages pay more than the later
    ones; those of relaxed and accelerated steps still do, so they are taken to the power ``CAUTION``.
    """
    last = _condensed(displacements[-JUDGED - 1 :])
    m = len(last) - 1
    first = _norm(last[0])
    plain = _mean_factor(first, _norm(last[m - 2]), _norm(last[m]))
    relaxed = _mean_factor(first, _norm(_averaged(last[: m - 1])), _norm(_averaged(last)))
    accelerated = _mean_factor(first, _least(last[: m - 1]), _least(last))
    return Factors(plain, relaxed**CAUTION, accelerated**CAUTION)


def steps_to(target: float, residual: float, factor: float) -> float:
    """Return how many steps lower the residual to the target; inf where the factor does not."""
    if residual <= target:
        return 0.0
    if not 0 <= factor < 1:
        return math.inf
    return 1.0 if factor == 0 else math.log(residual / target) / -math.log(factor)


def _condensed(displacements: Sequence[Array]) -> Array:
    """Return vectors with the same Gram matrix: of long ones the triangular factor, made block by block."""
    size = displacements[0].size
    if size <= BLOCK:
        return np.array(displacements)
    parts = (np.array([d[i : i + BLOCK] for d in displacements]).T for i in range(0, size, BLOCK))
    triangle: Any = np.linalg.qr(np.concatenate([np.linalg.qr(part, mode="r") for part in parts]), mode="r")
    return triangle.T


def _least(displacements: Array) -> float:
    """Return the smallest norm of an affine combination: its square is 1 / (1' G^-1 1), G the Gram matrix."""
    differences = np.diff(displacements, axis=0)
    coefficients, *_ = np.linalg.lstsq(differences.T, displacements[-1], rcond=1e-12)
    return _norm(displacements[-1] - coefficients @ differences)


def _averaged(displacements: Array) -> Array:
    """Return 2^-m sum_j binom(m, j) g_j."""
    m = len(displacements) - 1
    return np.array([math.comb(m, j) for j in range(m + 1)]) @ displacements / 2.0**m


def _mean_factor(first: float, before: float, after: float) -> float:
    """Return the factor of one of the two steps between two norms; 0 where they left nothing but rounding."""
    return math.sqrt(after / before) if before > EXHAUSTED * first else 0.0


def _norm(d: Array) -> float:
    return math.sqrt(float(d @ d))
