"""Whether the joint map contracts in a weighted maximum of the blocks' Euclidean norms."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

from nngames.certificates.certificate import Certificate, certificate_named
from nngames.certificates.figures import bound_below_one, error_factor, product, radius_reaches_one, round_up, shown
from nngames.certificates.norms import coupling_norms, no_lipschitz_map_reason, response_lipschitz
from nngames.certificates.perron import contraction_weights
from nngames.core.profiles import Player
from nngames.core.verdicts import Decision, Verdict
from nngames.games import Game, NetworkGame

#: The norm of a verdict with weights u by block.
BLOCK_MAXIMUM = "max over l of |x_l|_2 / weights[l]"


@certificate_named("joint_contraction")
class JointContraction(Certificate):
    """The joint map contracts if the matrix N_lk = lip_l |W_lk|_2 has a spectral radius below 1.

    N u <= q u with u > 0 gives |T(x) - T(y)|_u <= q |x - y|_u in the norm |x|_u = max_l |x_l|_2 / u_l
    [bertsekas1989, ch. 3]. Blocks that answer one after the other, in any order, contract by q as well, and so do best
    responses to self-loops: one changes by d_l <= N_ll d_l + q - N_ll in units of u_l, so by (q - N_ll)/(1 - N_ll) <= q
    at most. For the game of a network the map is T; for another game with couplings B_lk it is the best-response map,
    lip_l = 1 / modulus of l's own cost. The blocks are the layers also where the players are neurons. A spectral radius
    of 1 or more says nothing. Witness: ``factor`` q, ``weights`` u by block, ``unique``,
    ``error_factor`` 1/(1 - q), by which |x - x*|_u is bounded by |T(x) - x|_u.
    """

    map = "joint"

    def applies(self, game: Game) -> str | None:
        """Return a reason unless the game's couplings are linear and its responses Lipschitz on the whole space."""
        return no_lipschitz_map_reason(game)

    def decide(self, game: Any) -> Verdict:
        """Decide by a positive vector whether the spectral radius of N is below 1."""
        name = joint_name(game)
        matrix, unbounded = norm_matrix(game)
        method = "positive weights u with N u <= q u for the matrix of safe norm bounds (Collatz-Wielandt)"
        if unbounded is not None:
            statement = f"{name} is not shown to contract: {unbounded}"
            change = "bounds on every coupling and every response's slope"
            return Verdict(Decision.UNDECIDED, statement, method, would_change=change)
        weights, factor = contraction_weights(matrix)
        players = game.network.players
        witness: dict[str, Any] = {"factor": factor, "weights": dict(zip(players, weights.tolist(), strict=True))}
        if factor < 1:
            statement = (
                f"{name} contracts with factor {shown(factor)} in a weighted maximum of the blocks' Euclidean norms, "
                "so there is exactly one equilibrium"
            )
            witness |= {"norm": BLOCK_MAXIMUM, "unique": True, "error_factor": error_factor(factor)}
            references, change = ("bertsekas1989",), radius_reaches_one(factor)
            return Verdict(Decision.PROVED, statement, method, 1 - factor, witness, references, would_change=change)
        statement = (
            f"{name} is not shown to contract: the matrix of block norms has spectral radius up to {shown(factor)}, "
            "and below 1 is only sufficient"
        )
        references, change = ("bertsekas1989",), bound_below_one(factor)
        return Verdict(Decision.UNDECIDED, statement, method, None, witness, references, would_change=change)


def joint_name(game: Game) -> str:
    """Return what the joint map of ``game`` is called in a statement."""
    return "the joint map T" if isinstance(game, NetworkGame) else "the best-response map"


def norm_matrix(game: Any) -> tuple[Any, str | None]:
    """Return the matrix N_lk = lip_l |W_lk|_2 of block norms, sparse, or why there is none."""
    from scipy import sparse

    index = {player: i for i, player in enumerate(game.network.players)}
    constants = lipschitz_constants(game)
    rows, columns, values = [], [], []
    for (target, source), norm in coupling_norms(game.network).items():
        value = round_up(product((constants[target], norm.upper)))
        if math.isinf(constants[target]):
            return None, f"the best response of {target} has no Lipschitz constant"
        if math.isinf(value):
            unbounded = f"no upper bound is known on the coupling of {target} with {source}, a map without a matrix"
            return None, unbounded
        rows.append(index[target])
        columns.append(index[source])
        values.append(value)
    return sparse.csr_array((values, (rows, columns)), shape=(len(index), len(index))), None


def lipschitz_constants(game: Any) -> dict[Player, Fraction | float]:
    """Return a Lipschitz constant of each block's response to what it hears."""
    if isinstance(game, NetworkGame):
        return {player: Fraction(a.lipschitz) for player, a in game.network.activations.items()}
    return {block: response_lipschitz(cost) for block, cost in game.own.items()}
