"""The inclusion view of coupled games: 0 in dF(x) + M x + q with M = diag(Q_l) - B."""

from __future__ import annotations

import math
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from nngames.activations import Activation
from nngames.core.bounds import TIGHT_SIDE, spectral_norm
from nngames.core.deadlines import look_ahead
from nngames.core.operators import DENSE_ENTRIES, DenseMap, LinearMap, SparseMap
from nngames.core.profiles import Array
from nngames.games.resolvent import AffineResolvent, mean_singular_value
from nngames.games.views.inclusions import Inclusion, Resolvent
from nngames.networks.assembly import activation_runs, assembled_weight

if TYPE_CHECKING:
    from nngames.games.coupled_game import CoupledGame

#: Up to this many blocks the matrix of block norms is worth its cost.
_MOST_BLOCKS = 100
#: Below this share of Q the difference Q - B has lost six digits, and long steps multiply rounding of M x + q, which
#: is relative to Q x.
_FLAT = 2.0**-20


class CoupledInclusion(Inclusion):
    """0 in dF(x) + M x + q with M x + q = Q x - u(x) of a coupled game."""

    def __init__(self, game: CoupledGame) -> None:
        self.game = game
        self.size = game.size
        self._parts = []
        for block, where in game.blocks.slices.items():
            self._parts.append((where, game.own[block], _shift(game.own[block].activation)))
        self._runs = [(where, activation, _shift(activation)) for where, activation in activation_runs(game.network)]
        # Where Q is the identity but for moved self-loops, M x + q = (1 - k) x - v(x) in two vector operations.
        self._plain = all(game.own[block].metric is None or block in game.self_weights for block in game.own)
        shifts = np.concatenate([np.full(where.stop - where.start, 1 - shift) for where, _, shift in self._parts])
        self._diagonal: Array | None = None if (shifts == 1).all() else shifts
        self._resolvent: tuple[float, AffineResolvent] | None = None

    def __getstate__(self) -> dict[str, Any]:
        # A sparse factor has no copies.
        return vars(self) | {"_resolvent": None}

    def operator(self, x: Array, out: Array) -> Array:
        """Write M x + q into ``out``."""
        if self._plain:
            self.game.network.joint.preactivations(x, out)
            return np.subtract(self._shifted(x), out, out=out)
        u = self.game.drive(x)
        for where, cost, shift in self._parts:
            part = x[..., where]
            out[..., where] = cost.quadratic(part) - shift * part - u[..., where]
        return out

    def _shifted(self, x: Array) -> Array:
        """Return (1 - k) x."""
        return x if self._diagonal is None else self._diagonal * x

    def prox(self, u: Array, step: float) -> Array:
        """Return the prox of step F: with F = f + k|.|^2/2, the prox of step/(1 + k step) f at u/(1 + k step)."""
        result = np.empty_like(u)
        for where, activation, shift in self._runs:
            grown = 1 + step * shift
            result[..., where] = activation.prox(u[..., where] / grown, step / grown)
        return result

    def response(self, x: Array, value: Array) -> Array:
        """Return R(x) from ``value`` = M x + q, R the map of the residual: T for a network, else the responses."""
        game = self.game
        if self._plain:
            v = self._shifted(x) - value
            return game.network.joint.respond(v, v)
        result = np.empty_like(x)
        for where, cost, shift in self._parts:
            part = x[..., where]
            result[..., where] = cost.response(cost.quadratic(part) - shift * part - value[..., where])
        return result

    @cached_property
    def norm_bound(self) -> float:
        """A safe upper bound on |M|: an enclosure where M can be stored, inf otherwise.

        A large M also gets the norm of the matrix of its blocks' norms, which is tighter where the blocks are dense.
        Where Q - B nearly vanishes it is no less than a share of Q: steps of 0.9 / |M| would multiply rounding.
        Raises TimeUpError in a run that has to end before.
        """
        if not self.game.linear:
            return float("inf")
        look_ahead()
        bound = spectral_norm(self.matrix).upper
        if self.size > TIGHT_SIDE and len(self._parts) <= _MOST_BLOCKS:
            bound = min(bound, _block_norm(self.matrix, [where for where, _, _ in self._parts]))
        rounding = self._diagonal_rounding()
        if rounding > 0:
            # A sum is rounded to the nearest float.
            bound = math.nextafter(bound + rounding, math.inf)
        if bound == 0:
            return 0.0
        _, metrics, _ = self.curvatures()
        return max(bound, _FLAT * max(float(np.abs(metric).max()) for metric in metrics))

    def _diagonal_rounding(self) -> float:
        """Bound how far the computed diagonal of M is from Q - k - W, entry by entry."""
        weight: Any = assembled_weight(self.game.network)
        own = weight.matrix.diagonal()
        largest = 0.0
        for where, metric, shift in zip(*self.curvatures(), strict=True):
            base = metric if metric.ndim == 1 else np.diag(metric)
            shifted, first = _two_sum(base, np.full(base.shape, -shift))
            _, second = _two_sum(shifted, -own[where])
            largest = max(largest, float(np.max(np.abs(first) + np.abs(second))))
        return largest * (1 + 1e-15)

    def curvatures(self) -> tuple[list[slice], list[Array], list[float]]:
        """Return where each block stands, its Q as M has it, and its shift k."""
        places, metrics = [], []
        for (block, where), (_, cost, _) in zip(self.game.blocks.slices.items(), self._parts, strict=True):
            # A self-loop was moved from B to Q, so M keeps the identity there.
            plain = cost.metric is None or block in self.game.self_weights
            places.append(where)
            metrics.append(np.ones(where.stop - where.start) if plain else np.asarray(cost.metric))
        return places, metrics, [shift for _, _, shift in self._parts]

    def resolvent(self, step: float) -> Resolvent:
        """Return the resolvent of x -> M x + q, its factor kept until another step is asked for."""
        if self._resolvent is None or self._resolvent[0] != step:
            self._resolvent = step, AffineResolvent(self, step)
        return self._resolvent[1]

    @cached_property
    def mean_singular_value(self) -> float:
        """|M|_F / sqrt(N)."""
        return mean_singular_value(self)

    @cached_property
    def matrix(self) -> LinearMap:
        """M as a linear map."""
        matrix = self.assembled()
        return DenseMap(matrix.toarray()) if self.size**2 <= DENSE_ENTRIES else SparseMap(matrix)

    def assembled(self) -> Any:
        """Return M as a sparse array."""
        from scipy import sparse

        weight: Any = assembled_weight(self.game.network)
        parts = []
        for _, metric, shift in zip(*self.curvatures(), strict=True):
            dense = metric.ndim == 2
            parts.append(
                sparse.csr_array(metric - shift * np.eye(len(metric))) if dense else sparse.diags_array(metric - shift)
            )
        return sparse.csr_array(sparse.block_diag(parts)) - weight.matrix


def _shift(activation: Activation) -> float:
    """Return the k that makes f + k|.|^2/2 convex."""
    slope = activation.slope_range[1]
    return 1 - 1 / slope if slope > 1 else 0.0


def _two_sum(a: Array, b: Array) -> tuple[Array, Array]:
    """Return the rounded sum and its exact error [Knuth]."""
    total = a + b
    virtual = total - a
    return total, (a - (total - virtual)) + (b - virtual)


def _block_norm(matrix: LinearMap, places: list[slice]) -> float:
    """Bound |M| by the norm of the matrix of its blocks' norms."""
    stored: Any = matrix
    norms = np.zeros((len(places), len(places)))
    for i, rows in enumerate(places):
        band = stored.matrix[rows]
        for j, columns in enumerate(places):
            block = band[:, columns]
            if abs(block).max() > 0:
                norms[i, j] = spectral_norm(
                    DenseMap(block) if isinstance(block, np.ndarray) else SparseMap(block)
                ).upper
    return spectral_norm(DenseMap(norms)).upper
