"""Whether the joint map contracts in a weighted maximum norm of single coordinates."""

from __future__ import annotations

from typing import Any

import numpy as np

from nngames.certificates.certificate import Certificate, certificate_named
from nngames.certificates.figures import bound_below_one, error_factor, radius_reaches_one, shown
from nngames.certificates.joint_contraction import joint_name
from nngames.certificates.norms import coordinate_lipschitz, no_lipschitz_map_reason
from nngames.certificates.perron import contraction_weights
from nngames.core.bounds import collatz_wielandt
from nngames.core.profiles import Array
from nngames.core.verdicts import Decision, Verdict
from nngames.games import Game, NetworkGame
from nngames.networks.assembly import assembled_weight

#: The norm of a verdict with weights u by coordinate.
WEIGHTED_MAXIMUM = "max over i of |x_i| / weights[i]"


@certificate_named("neuron_contraction")
class NeuronContraction(Certificate):
    """The joint map contracts if diag(d)|W| has a spectral radius below 1, d the coordinates' Lipschitz constants.

    |T(x) - T(y)| <= diag(d)|W| |x - y| coordinate by coordinate, so N u <= q u with u > 0 gives a contraction by q in
    max_i |x_i| / u_i [bertsekas1989, ch. 3]. For the game of a network the map is T; for another game with couplings B
    it is the best-response map, d_i the inverse of the modulus of i's own cost. Works for separable activations, and
    for any activation on a layer of one coordinate. A spectral radius of 1 or more says nothing. Witness: ``factor`` q,
    ``weights`` u (N,), ``unique``, ``unweighted_factor`` the bound max_i d_i sum_j |w_ij| for u = 1: below 1 it is a
    contraction factor in the plain infinity norm. ``error_factor`` 1/(1 - q) bounds |x - x*|_u by |T(x) - x|_u.
    """

    map = "joint"

    def applies(self, game: Game) -> str | None:
        """Return a reason unless couplings are linear and every response acts by coordinate, Lipschitz everywhere."""
        reason = no_lipschitz_map_reason(game)
        return reason if reason is not None else _mixing(game)

    def decide(self, game: Any) -> Verdict:
        """Decide by a positive vector whether the spectral radius of diag(d)|W| is below 1."""
        constants = _coordinate_constants(game)
        if not np.isfinite(constants).all():
            place = int(np.argmin(np.isfinite(constants)))
            statement = f"{joint_name(game)} is not shown to contract: the answer of coordinate {place} has no bound"
            method, change = "Lipschitz constants of the coordinates' answers", "a bound on that answer's slope"
            return Verdict(Decision.UNDECIDED, statement, method, would_change=change)
        scaled = _coordinate_matrix(game, constants)
        weights, factor = contraction_weights(scaled)
        unweighted = collatz_wielandt(scaled, np.ones(game.network.size))
        name = joint_name(game)
        method = "positive weights u with diag(d)|W| u <= q u (Collatz-Wielandt)"
        witness: dict[str, Any] = {"factor": factor, "weights": weights, "unweighted_factor": unweighted}
        if factor < 1:
            statement = (
                f"{name} contracts with factor {shown(factor)} in a weighted maximum norm of the coordinates, so there "
                "is exactly one equilibrium"
            )
            witness |= {"norm": WEIGHTED_MAXIMUM, "unique": True, "error_factor": error_factor(factor)}
            references, change = ("bertsekas1989",), radius_reaches_one(factor)
            return Verdict(Decision.PROVED, statement, method, 1 - factor, witness, references, would_change=change)
        statement = (
            f"{name} is not shown to contract: diag(d)|W| has spectral radius up to {shown(factor)}, and below 1 is "
            "only sufficient"
        )
        references, change = ("bertsekas1989",), bound_below_one(factor)
        return Verdict(Decision.UNDECIDED, statement, method, None, witness, references, would_change=change)


def _mixing(game: Any) -> str | None:
    """Return why the game cannot be asked coordinate by coordinate."""
    for player, n in game.network.dims.items():
        activation = game.network.activations[player]
        if n > 1 and not activation.separable:
            return f"player {player} has activation {activation.name!r}, which is not separable"
        if n > 1 and not isinstance(game, NetworkGame) and np.ndim(game.own[player].metric) == 2:
            return f"the own cost of player {player} couples its coordinates"
    if not all(hasattr(w, "matrix") or w.has_dense for w in game.network.weights.values()):
        return "a coupling is a map without a matrix, too large to be written out"
    return None


def _coordinate_matrix(game: Any, constants: Array) -> Any:
    """Return diag(d)|W|, sparse."""
    from scipy import sparse

    weight: Any = assembled_weight(game.network)
    stored = weight.matrix
    entries = np.abs(stored.data) * np.repeat(constants, np.diff(stored.indptr))
    return sparse.csr_array((entries, stored.indices, stored.indptr), shape=stored.shape)


def _coordinate_constants(game: Any) -> Array:
    if isinstance(game, NetworkGame):
        return np.concatenate([np.full(n, game.network.activations[p].lipschitz) for p, n in game.network.dims.items()])
    return np.concatenate([coordinate_lipschitz(game.own[block], n) for block, n in game.network.dims.items()])
