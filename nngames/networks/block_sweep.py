"""Sweeps over a sparse network: pieces of players answer in turn, each to what those before have just answered."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np

from nngames.core.operators import added_product
from nngames.core.profiles import Array
from nngames.networks.bound_passes import in_place
from nngames.networks.compiled.loading import kernels
from nngames.networks.compiled.sparse_map import PIECE, FusedSparseMap
from nngames.networks.network import Network
from nngames.networks.order import kept_as_one


def block_sweep(network: Network) -> BlockSweep | None:
    """Return the sweep over a network; None where the kernels do not take its joint map, or it is not a sparse one.

    Nor is there one where an activation has a parameter for each coordinate.
    """
    fused = _fused(network)
    return None if fused is None else BlockSweep(network, fused.in_turn)


def compiled_sweep(network: Network) -> Callable[[Array], float] | None:
    """Return what lets each coordinate answer alone, in their order, and write its answer into x (N,) at once.

    x is in double precision and contiguous. It returns how far x moved, |S(x) - x|_2. None where ``block_sweep`` has
    none, and where the kernels are not loaded.
    """
    loaded = kernels(limited=True)
    fused = None if loaded is None else _fused(network)
    if loaded is None or fused is None:
        return None
    evaluate, arguments = loaded.sparse_evaluate, fused.one_by_one.arguments()
    return lambda x: evaluate(*arguments, x, x)


def _fused(network: Network) -> FusedSparseMap | None:
    """Return the packed joint map; None where it is no sparse one, or an activation has its size in parameters."""
    joint = network.joint
    simple = kept_as_one(network) and all(activation.size is None for _, activation in joint.runs)
    fused = joint.fused if simple else None
    return fused if isinstance(fused, FusedSparseMap) else None


class BlockSweep:
    """The map S of a block Gauss-Seidel sweep: the pieces of ``fused`` answer one after the other, each at once.

    Its fixed points are those of the joint map R. If R contracts in a weighted maximum norm, S contracts by the same
    factor in that norm: by induction over the pieces, the change of each answer is at most the factor times the largest
    change of what it hears, old or new.

    Parameters
    ----------
    network : Network
    fused : FusedSparseMap
    """

    def __init__(self, network: Network, fused: FusedSparseMap) -> None:
        weight, self._bias = network.joint.assembly(np.dtype(np.float64))
        self._matrix: Any = weight.matrix
        self.fused = fused
        self._runs = network.joint.runs

    @cached_property
    def _stages(self) -> list[tuple[int, int, Callable[[Array, Array], Any]]]:
        """The pieces with their responses."""
        ends = [(where.stop, in_place(activation, PIECE)) for where, activation in self._runs]
        stages, run = [], 0
        for first, last in self.fused.pieces[:, :2].tolist():
            run += last > ends[run][0]
            stages.append((first, last, ends[run][1]))
        return stages

    def __call__(self, x: Array) -> None:
        """Write S(x) into x (N,), in double precision."""
        loaded = kernels(limited=True)
        if loaded is not None:
            loaded.sparse_evaluate(*self.fused.arguments(), x, x)
            return
        matrix, product, n = self._matrix, added_product(), len(self._bias)
        for first, last, respond in self._stages:
            v = self._bias[first:last].copy()
            product(last - first, n, matrix.indptr[first : last + 1], matrix.indices, matrix.data, x, v)
            respond(v, x[first:last])
