"""The inclusion view of coupled games: 0 in dF(x) + M x + q with M = diag(Q_l) - B."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from nngames.core.operators import DENSE_ENTRIES, DenseMap, LinearMap, SparseMap
from nngames.core.profiles import Array
from nngames.games.views import Inclusion
from nngames.networks.passes import assembled_weight

if TYPE_CHECKING:
    from nngames.games.coupled_game import CoupledGame


class CoupledInclusion(Inclusion):
    """0 in dF(x) + M x + q with M x + q = Q x - u(x) of a coupled game."""

    def __init__(self, game: CoupledGame) -> None:
        self.game = game
        self.size = game.size
        self._parts = []
        for block, where in game.blocks.slices.items():
            cost = game.own[block]
            slope = cost.activation.slope_range[1]
            self._parts.append((where, cost, 1 - 1 / slope if slope > 1 else 0.0))
        # Where Q = I and no self-loop was moved, u = v and M x + q = (1 - k) x - v(x) in two vector operations.
        self._plain = not game.self_weights and all(cost.metric is None for _, cost, _ in self._parts)
        shifts = np.concatenate([np.full(where.stop - where.start, 1 - shift) for where, _, shift in self._parts])
        self._diagonal: Array | None = None if (shifts == 1).all() else shifts

    def operator(self, x: Array, out: Array) -> Array:
        """Write M x + q into ``out``."""
        if self._plain:
            self.game.network.joint.preactivations(x, out)
            return np.subtract(self._shifted(x), out, out=out)
        u = self.game.drive(x)
        for where, cost, shift in self._parts:
            out[where] = cost.quadratic(x[where]) - shift * x[where] - u[where]
        return out

    def _shifted(self, x: Array) -> Array:
        """Return (1 - k) x."""
        return x if self._diagonal is None else self._diagonal * x

    def prox(self, u: Array, step: float) -> Array:
        """Return the prox of step F: with F = f + k|.|^2/2, the prox of step/(1 + k step) f at u/(1 + k step)."""
        result = np.empty_like(u)
        for where, cost, shift in self._parts:
            grown = 1 + step * shift
            result[where] = cost.activation.prox(u[where] / grown, step / grown)
        return result

    def response(self, x: Array, value: Array) -> Array:
        """Return the game's response at x from ``value`` = M x + q."""
        game = self.game
        if self._plain:
            v = self._shifted(x) - value
            return game.network.joint.respond(v, v)
        result = np.empty_like(x)
        for where, cost, shift in self._parts:
            u = cost.quadratic(x[where]) - shift * x[where] - value[where]
            result[where] = cost.response(u)
        return result

    @cached_property
    def matrix(self) -> LinearMap:
        """M as a linear map."""
        return _matrix(self.game, [shift for _, _, shift in self._parts])

    @cached_property
    def norm_bound(self) -> float:
        """A safe upper bound on |M|: an enclosure where M can be stored, inf otherwise."""
        from nngames.core.bounds import spectral_norm

        if not self.game.linear:
            return float("inf")
        return spectral_norm(self.matrix).upper


def _matrix(game: CoupledGame, shifts: list[float]) -> LinearMap:
    from scipy import sparse

    weight: Any = assembled_weight(game.network)
    diagonal_blocks = []
    for (block, where), shift in zip(game.blocks.slices.items(), shifts, strict=True):
        n = where.stop - where.start
        cost, own = game.own[block], game.self_weights.get(block)
        metric = np.ones(n) if cost.metric is None else cost.metric
        # u leaves the block's own weight out and Q has it; M = diag(Q) - B keeps each entry once.
        if own is not None:
            metric = metric + own
        part = sparse.diags_array(metric - shift) if metric.ndim == 1 else sparse.csr_array(metric - shift * np.eye(n))
        diagonal_blocks.append(part)
    matrix = sparse.csr_array(sparse.block_diag(diagonal_blocks)) - weight.matrix
    if game.size**2 <= DENSE_ENTRIES:
        return DenseMap(matrix.toarray())
    return SparseMap(matrix)
