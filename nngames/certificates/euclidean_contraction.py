"""Whether the joint map contracts in the Euclidean norm of the whole profile."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nngames.certificates.certificate import Certificate, certificate_named
from nngames.certificates.composite_bounds import is_affine, norm_by_sums
from nngames.certificates.figures import bound_below_one, bound_reaches_one, error_factor, round_up, shown
from nngames.certificates.joint_contraction import joint_name, lipschitz_constants, norm_matrix
from nngames.certificates.norms import no_lipschitz_map_reason
from nngames.core.bounds import TIGHT_SIDE, spectral_norm
from nngames.core.operators import DenseMap, SparseMap
from nngames.core.verdicts import Decision, Verdict
from nngames.games import Game, NetworkGame
from nngames.networks.assembly import assembled_weight

_UNIT = 2.0**-53
# Up to this many blocks the matrix of their norms is worth its own norm.
_MOST_BLOCKS = 200


@certificate_named("euclidean_contraction")
class EuclideanContraction(Certificate):
    """The joint map contracts with factor q = |D W|_2 if q < 1, D the blocks' Lipschitz constants.

    |T(x) - T(y)|^2 <= sum_l lip_l^2 |(W (x - y))_l|^2 = |D W (x - y)|^2, so there is exactly one equilibrium (Banach).
    For the game of a network the map is T; for another game with couplings it is the best-response map, lip_l = 1 /
    modulus of l's own cost. The norm is enclosed up to 1500 coordinates, bounded by sqrt(|D W|_1 |D W|_inf) beyond,
    and by the norm of the matrix lip_l |W_lk|. REFUTED only where T is affine. Witness: ``factor`` q, ``unique``,
    ``error_factor`` 1/(1 - q), by which |x - x*| is bounded by |T(x) - x|.
    """

    map = "joint"

    def applies(self, game: Game) -> str | None:
        """Return a reason unless the game's couplings are linear and its responses Lipschitz on the whole space."""
        return no_lipschitz_map_reason(game)

    def decide(self, game: Any) -> Verdict:
        """Decide whether a safe bound on the norm is below 1."""
        name, method = joint_name(game), "safe bound on the spectral norm of D W"
        upper, lower = _bounds(game)
        if upper < 1:
            statement = (
                f"{name} contracts in the Euclidean norm with factor {shown(upper)}, so there is exactly one "
                "equilibrium"
            )
            witness = {"factor": upper, "norm": "|x|_2", "unique": True, "error_factor": error_factor(upper)}
            references, change = ("bauschke2017",), bound_reaches_one(upper)
            return Verdict(Decision.PROVED, statement, method, 1 - upper, witness, references, would_change=change)
        affine = isinstance(game, NetworkGame) and all(map(is_affine, game.network.activations.values()))
        if affine and lower >= 1:
            statement = (
                f"{name} is affine and the norm of its linear part is at least {shown(lower)}, so it is no contraction "
                "in the Euclidean norm"
            )
            evidence, change = {"norm_lower": lower}, "weights that bring the norm of the linear part below 1"
            return Verdict(Decision.REFUTED, statement, method, lower - 1, evidence, would_change=change)
        statement = f"{name} is not shown to contract in the Euclidean norm: |D W| is at most {shown(upper)}"
        witness = {"factor": upper} if math.isfinite(upper) else {}
        return Verdict(Decision.UNDECIDED, statement, method, None, witness, would_change=bound_below_one(upper))


def _bounds(game: Any) -> tuple[float, float]:
    """Return an upper and a lower bound on |D W|."""
    blocks, unbounded = norm_matrix(game)
    upper, lower = math.inf, 0.0
    if unbounded is None and blocks.shape[0] <= _MOST_BLOCKS:
        upper = spectral_norm(DenseMap(blocks.toarray())).upper
    stored = all(hasattr(weight, "matrix") or weight.has_dense for weight in game.network.weights.values())
    constants = {player: round_up(value) for player, value in lipschitz_constants(game).items()}
    if not stored or math.inf in constants.values():
        return upper, lower
    weight: Any = assembled_weight(game.network)
    scales = np.concatenate([np.full(n, constants[player]) for player, n in game.network.dims.items()])
    with np.errstate(over="ignore"):
        scaled = weight.matrix * scales[:, None]
    if not np.isfinite(scaled.data).all():
        return upper, lower
    # The products were rounded once each, and the constants perhaps up.
    if game.size <= TIGHT_SIDE:
        dense = scaled.toarray()
        found, error = spectral_norm(DenseMap(dense)), norm_by_sums(_UNIT * np.abs(dense) + 1e-307)
        return min(upper, found.upper + error), max(0.0, found.lower - 4 * error)
    found = spectral_norm(SparseMap(scaled))
    return min(upper, found.upper * (1 + 4 * _UNIT) + 1e-300), lower
