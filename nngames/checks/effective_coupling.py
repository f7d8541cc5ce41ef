"""The effective coupling of a game: what players hear from each other, seen through the directions they can move in."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nngames.certificates.direction_spaces import DirectionSpace
from nngames.games import CoupledGame


def effective_coupling(game: Any) -> Any:
    """Return B with blocks P_l B_lk P_k between distinct players, sparse (N, N).

    P_l is the projector on the direction space of dom f_l. In the tracking game B is W, since its actions are free.

    Parameters
    ----------
    game : CoupledGame or TrackingGame
        With linear couplings that can be written out.
    """
    from scipy import sparse

    from nngames.networks.assembly import assembled_weight

    assembled: Any = assembled_weight(game.network)
    matrix = assembled.matrix
    if isinstance(game, CoupledGame):
        spaces = _spaces(game)
        matrix = _project_rows(_project_rows(matrix, game, spaces).T, game, spaces).T
    matrix = sparse.csr_array(matrix)
    own = np.repeat(np.arange(len(game.players)), list(game.dims.values()))
    counts = np.diff(matrix.indptr)
    between = np.repeat(own, counts) != own[matrix.indices]
    if between.all():
        return matrix
    before = np.concatenate([[0], np.cumsum(between)])
    kept = (matrix.data[between], matrix.indices[between], before[matrix.indptr])
    return sparse.csr_array(kept, shape=matrix.shape)


def asymmetry(coupling: Any) -> float:
    """Return |B - B'|^2 / (|B - B'|^2 + |B + B'|^2) in Frobenius norms, B the effective coupling; 0 where B = 0.

    0 is a symmetric coupling (an exact potential), 1 an antisymmetric one [letcher2019].
    """
    return asymmetry_and_distance(coupling)[0]


def exact_distance(coupling: Any) -> float:
    """Return |B - B'|/2, the Frobenius distance of the effective coupling to the nearest symmetric one, (B + B')/2."""
    return asymmetry_and_distance(coupling)[1]


def asymmetry_and_distance(coupling: Any) -> tuple[float, float]:
    """Return both; |B - B'|^2 + |B + B'|^2 is 4 |B|^2."""
    # A power of two does not change the quotient and keeps the squares in range.
    unit = power_of_two(float(np.abs(coupling.data).max(initial=0.0)))
    coupling = coupling / unit
    odd, whole = (float((part.data**2).sum()) for part in (coupling - coupling.T, coupling))
    return min(odd / (4 * whole), 1.0) if whole > 0 else 0.0, unit * math.sqrt(odd) / 2


def power_of_two(value: float) -> float:
    """Return a power of two near a size; dividing by it changes no digit and keeps squares in range."""
    return math.ldexp(1.0, min(math.frexp(value)[1], 1023))


def listening_matrix(game: Any, tolerance: float, effective: Any | None = None) -> Any:
    """Return who hears whom as a sparse matrix of the players: an entry (k, l) where l hears k.

    An effective coupling below ``tolerance`` times the largest entry of the given B_lk counts as none; at tolerance 0
    it counts as none only where that is exact. ``effective`` is the effective coupling, where it is known already.
    """
    from scipy import sparse

    coupling = (effective_coupling(game) if effective is None else effective).tocoo()
    kept = np.abs(coupling.data) > 0
    if tolerance > 0:
        blocks = game.network.space
        place = {player: i for i, player in enumerate(blocks.players)}
        block_of = np.repeat(np.arange(len(blocks.players)), list(blocks.sizes))
        stored = game.network.weights.items()
        entries = [float(abs(w.matrix if hasattr(w, "matrix") else w.dense).max()) for _, w in stored]
        edges = [place[target] for (target, _), _ in stored], [place[source] for (_, source), _ in stored]
        sizes = sparse.csr_array((entries, edges), shape=(len(place),) * 2)
        known = np.asarray(sizes[block_of[coupling.row], block_of[coupling.col]]).ravel()
        kept = np.abs(coupling.data) > tolerance * known
    player_of = np.repeat(np.arange(len(game.players)), list(game.dims.values()))
    sources, targets = player_of[coupling.col[kept]], player_of[coupling.row[kept]]
    if tolerance == 0 and isinstance(game, CoupledGame):
        unknown = sorted(_unknown_edges(game))
        sources = np.concatenate([sources, np.array([k for k, _ in unknown], dtype=sources.dtype)])
        targets = np.concatenate([targets, np.array([k for _, k in unknown], dtype=targets.dtype)])
    count = len(game.players)
    heard = sparse.csr_array((np.ones(len(sources)), (sources, targets)), shape=(count, count))
    heard.sort_indices()
    return heard


def _unknown_edges(game: CoupledGame) -> set[tuple[int, int]]:
    """Return the couplings whose projection is not exact in floating point: there a zero proves nothing."""
    index = {player: i for i, player in enumerate(game.players)}
    spaces = _spaces(game)
    masked = {block: spaces[block].mask is not None for block in game.blocks.players}
    return {
        (index[source], index[target])
        for target, source in game.network.weights
        if target != source and not (masked[target] and masked[source])
    }


def _spaces(game: CoupledGame) -> dict[Any, DirectionSpace]:
    dims = game.blocks.dims
    return {block: DirectionSpace(game.own[block].activation.domain.affine_hull(n), n) for block, n in dims.items()}


def _project_rows(matrix: Any, game: CoupledGame, spaces: dict[Any, DirectionSpace]) -> Any:
    """Return diag(P_l) times a sparse matrix."""
    from scipy import sparse

    if all(space.whole for space in spaces.values()):
        return sparse.csr_array(matrix)
    rows = sparse.csr_array(matrix)
    parts = []
    for block, where in game.blocks.slices.items():
        part = rows[where]
        space = spaces[block]
        parts.append(sparse.csr_array(space.project(part if space.mask is not None else part.toarray())))
    return sparse.csr_array(sparse.vstack(parts))
