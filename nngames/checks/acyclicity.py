"""Proofs that a game has no improvement cycle, or no cycle of best responses; the search for cycles is elsewhere."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from nngames.certificates import verdict_of
from nngames.certificates.balance import find_weights
from nngames.certificates.cost_structure import coupling_pairs, nonlinear_response
from nngames.certificates.coupling_pairs import CouplingPairs
from nngames.certificates.exact_balance import find_exact_weights
from nngames.certificates.figures import floored
from nngames.certificates.potential_changes import weighted_change
from nngames.checks.effective_coupling import effective_coupling, listening_matrix
from nngames.checks.one_way_players import one_way_players
from nngames.core.bounds import TIGHT_SIDE
from nngames.core.deadlines import look
from nngames.core.profiles import Array, Player
from nngames.core.verdicts import Decision

# Seconds to bound the norm of an m x n matrix, m <= n, over m^2 n; and what no step waits for.
_NORM = 1e-9
_SHORT = 0.3
# A factor that is rounded up from 1/2 allows couplings to grow by 2, not by 1.99.
_DIGITS = 1 + 1e-9


@dataclass(frozen=True)
class Components:
    """What the strongly connected components of the listening graph prove.

    Attributes
    ----------
    proof : str or None
        How it is proved that the game has no closed path of strict improvements; None where it is not.
    culprit : tuple of players
        Otherwise a pair or a cycle inside a component that no weights balance, where one is known.
    change : str
        What would change the proof.
    """

    proof: str | None
    culprit: tuple[Player, ...] = ()
    change: str = ""


@dataclass(frozen=True)
class Contraction:
    """How it is proved that closed paths of best responses never move.

    Attributes
    ----------
    proof : str
    change : str
        What would change it.
    """

    proof: str
    change: str


def acyclic_by_components(game: Any, tolerance: float) -> str | None:
    """Return how it is proved that the game has no closed path of strict improvements; None where it is not.

    See ``examine_components``.
    """
    return examine_components(game, tolerance).proof


def examine_components(
    game: Any,
    tolerance: float,
    deadline: float = math.inf,
    coupling: Any | None = None,
    pairs: CouplingPairs | None = None,
) -> Components:
    """Decide whether every group of players that hears itself round a cycle is a weighted potential game.

    After the ``deadline``, a moment of time.monotonic, TimeUpError is raised. The effective ``coupling`` and the
    coupling ``pairs`` are those of the game, where they are known already.

    Proved where every strongly connected component of the listening graph, without the players that can improve in one
    direction only, is a weighted potential game, whatever the others do; a component of one player is one. Where the
    data decide that only as known to the relative ``tolerance``, the answer says so.

    Proof: on a closed path of strict improvements a player that improves in one direction only never moves. Among the
    components that move take one that hears no other of them. What its players hear from outside stays fixed along the
    path, so they play a weighted potential game in which each of their moves strictly lowers the potential, and the
    others' moves do not change it; but at the end of the path it has its first value. For costs with bilinear couplings
    the weights do not depend on what is heard from outside.
    """
    still = one_way_players(game, deadline)
    ones = f"player{'s' if len(still) > 1 else ''} {', '.join(map(str, still))}"
    but = f" (without {ones}, who can improve in one direction only)" if still else ""
    alone = f"no group of players hears itself round a cycle{but}"
    apart = set(still)
    moving = np.array([player not in apart for player in game.players])
    closing = "couplings through which a group of players hears itself round a cycle"
    freed = f", or data with which {ones} can improve both ways" if still else ""
    coupling = effective_coupling(game) if coupling is None else coupling
    look(deadline)
    if _groups(game, 0.0, moving, coupling)[0] == len(moving):
        return Components(alone, change=closing + freed)
    to_tolerance = f" (data tolerance {tolerance:.3g})" if tolerance > 0 else ""
    look(deadline)
    groups, labels = _groups(game, tolerance, moving, coupling)
    if groups == len(moving):
        smaller = f"{closing}{freed}, or a smaller data tolerance: the couplings that close a cycle are within it"
        return Components(alone + to_tolerance, change=smaller)
    if nonlinear_response(game, "weighted") is not None:
        return Components(None)
    look(deadline)
    pairs = coupling_pairs(game) if pairs is None else pairs
    inside = _PairsWithin(pairs, np.flatnonzero(labels[pairs.first] == labels[pairs.second]))
    if tolerance > 0:
        balance = find_weights(inside, tolerance)
    elif pairs.exact:
        balance = find_exact_weights(inside)
    else:
        return Components(None)
    if balance.decision is Decision.PROVED:
        proof = f"every group of players that hears itself round a cycle{but} is a weighted potential game"
        return Components(
            proof + to_tolerance, change=f"in such a group, {weighted_change(inside, balance, tolerance)}{freed}"
        )
    places = balance.cycle
    if not places and balance.pair is not None:
        places = (int(inside.first[balance.pair]), int(inside.second[balance.pair]))
    return Components(None, tuple(pairs.players[i] for i in places))


def _groups(game: Any, tolerance: float, moving: Array, coupling: Any) -> tuple[int, Array]:
    """Return the number of strongly connected components of who hears whom, and each player's; who stays is alone."""
    from scipy.sparse.csgraph import connected_components

    heard = listening_matrix(game, tolerance, coupling).tocoo()
    kept = moving[heard.row] & moving[heard.col]
    heard = type(heard)((heard.data[kept], (heard.row[kept], heard.col[kept])), shape=heard.shape)
    return connected_components(heard.tocsr(), connection="strong")


class _PairsWithin(CouplingPairs):
    """Some of the pairs of another ``CouplingPairs``."""

    def __init__(self, pairs: CouplingPairs, kept: Any) -> None:
        self._pairs, self._kept = pairs, kept
        self.players, self.exact = pairs.players, pairs.exact
        self.scalar, self.unrounded = pairs.scalar, pairs.unrounded
        self.first, self.second = pairs.first[kept], pairs.second[kept]
        self.forward, self.backward = pairs.forward[kept], pairs.backward[kept]
        self.rounding = pairs.rounding[kept]

    def mismatch_at(self, first: Array, second: Array) -> Array:
        """Return the mismatch of each pair."""
        whole = np.ones((2, len(self._pairs.first)))
        whole[0, self._kept], whole[1, self._kept] = first, second
        return self._pairs.mismatch_at(whole[0], whole[1])[self._kept]

    def ratios(self) -> Array:
        """Return the ratio of each pair."""
        return self._pairs.ratios()[self._kept]

    def entry(self, pair: int, first: float = 1.0, second: float = 1.0) -> tuple[list[int], list[float]]:
        """Return an entry of a pair."""
        return self._pairs.entry(int(self._kept[pair]), first, second)

    def rational_entries(self, pair: int) -> tuple[list[Any], list[Any]]:
        """Return the rational entries of a pair."""
        return self._pairs.rational_entries(int(self._kept[pair]))


def best_response_acyclic_by_contraction(game: Any, deadline: float = math.inf) -> Contraction | None:
    """Return which contraction proves that closed paths of best responses never move; None where none is proved.

    A certificate is one long step: none is begun that would end long after the ``deadline``, a moment of
    time.monotonic; then TimeUpError is raised.

    Let the joint map T contract by q < 1 in |x|_u = max_l |x_l| / u_l, |.| a norm of each player's actions.

    1. Player l's best response y = BR_l(x) solves y = T_l(y, x_-l), also where it hears itself. For two profiles x and
       x' with answers y and y': |y - y'| / u_l <= q max(|y - y'| / u_l, D), D the largest |x_k - x'_k| / u_k over
       k != l. The first entry cannot be the larger one unless it is 0, so |y - y'| / u_l <= q D.
    2. Take a closed path of best responses and let K be its movers; the others stay at a. With a fixed, the players in
       K have best responses that contract by q in the same norm, so there is one profile e of K in which each answers
       the others.
    3. Let D_t be the largest |x_l - e_l| / u_l over l in K along the path. By step 1 a move of l makes its own entry at
       most q D_t and leaves the others: D never grows, and since the path is closed it is constant. Going round once,
       every l in K has moved, after which its entry was at most q D until its next move; so D <= q D and D = 0.
    4. Every mover thus always stands at e_l: no move changes an action, and none gains.

    The players' norms must be those of the certificate: with neurons as players, a contraction in a maximum norm over
    coordinates; with layers either that one, each layer with its part of the maximum, or one in block norms.
    """
    names = ("neuron_contraction",) if getattr(game, "neurons", False) else ("joint_contraction", "neuron_contraction")
    for name in names:
        look(deadline - (_norm_seconds(game) if name == "joint_contraction" else 0.0))
        verdict = verdict_of(name, game)
        if verdict.proved:
            factor = float(verdict.witness["factor"])
            size = "norm" if name == "joint_contraction" else "absolute value"
            change = (
                f"couplings that grow in {size}, by a factor of more than {floored(_DIGITS / factor)}"
                if factor > 0
                else "couplings through which players hear each other"
            )
            return Contraction(f"{name}: the best responses contract by {factor:.6g}", change)
    return None


def _norm_seconds(game: Any) -> float:
    """Return how much longer than a short step the norms of the couplings take."""
    shapes = [weight.shape for weight in game.network.weights.values()]
    work = sum(_NORM * float(np.prod(shape)) * min(shape) for shape in shapes if min(shape) <= TIGHT_SIDE)
    return max(work - _SHORT, 0.0)
