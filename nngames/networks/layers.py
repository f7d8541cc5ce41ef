"""One layer of a pass, dense or sparse, and the errors that name its player."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from nngames.activations import Activation
from nngames.core.errors import DomainError
from nngames.core.operators import LinearMap, SparseMap
from nngames.core.profiles import Array, Player
from nngames.networks.compiled.maps import FusedMap, fused_map
from nngames.networks.compiled.sparse_map import fused_sparse_map
from nngames.networks.couplings import Coupling, LinearCoupling
from nngames.networks.piecewise import answers_by_pieces

if TYPE_CHECKING:
    from nngames.networks.network import Network


class Layer:
    """One layer of a pass: where it stands, what it listens to, how it responds."""

    __slots__ = ("activation", "bias", "by_pieces", "others", "player", "single", "source", "where")

    def __init__(self, network: Network, player: Player, couplings: Sequence[Coupling], dtype: Any) -> None:
        slices = network.space.slices
        self.player, self.where = player, slices[player]
        self.bias = np.asarray(network.effective_bias(player), dtype=dtype)
        self.activation: Activation = network.activations[player]
        self.single: LinearMap | None = None
        self.source: slice | None = None
        rest = list(couplings)
        if rest and isinstance(rest[0], LinearCoupling):
            self.single = rest[0].weight.astype(dtype)
            self.source = slices[rest[0].source]
            rest = rest[1:]
        self.others = [(coupling, [slices[s] for s in coupling.sources]) for coupling in rest]
        self.by_pieces = answers_by_pieces(self)

    def preactivation(self, x: Array, out: Array) -> Array:
        """Write v_l(x) into ``out``."""
        if self.single is None:
            out[...] = self.bias
        else:
            self.single.apply(x[..., self.source], out)
            out += self.bias
        for coupling, sources in self.others:
            out += coupling.apply([x[..., s] for s in sources])
        return out

    def preactivation_change(self, x: Array, d: Array, out: Array) -> Array:
        """Write the derivative of v_l at x (N,) along d (N,) or (count, N) into ``out``."""
        if self.single is None:
            out[...] = 0.0
        else:
            self.single.apply(d[..., self.source], out)
        for coupling, sources in self.others:
            out += coupling.jvp([x[s] for s in sources], [d[..., s] for s in sources])
        return out


def answer_in_ring(layer: Layer, x: Array, out: Array) -> None:
    """Write a layer's answer to the one that it listens to into ``out``."""
    if layer.single is None:
        out[...] = layer.bias + layer.others[0][0].apply([x])
    else:
        layer.single.apply(x, out)
        out += layer.bias
    layer.activation(out, out=out)


def fused_layer(layer: Layer) -> FusedMap | None:
    """Return the packed map of the one layer of a network; None where the kernels do not take it."""
    if isinstance(layer.single, SparseMap):
        return None if layer.others else fused_sparse_map(layer.single, layer.bias, [(layer.where, layer.activation)])
    return fused_map([layer], composite=True)


def located(player: Player, error: DomainError) -> DomainError:
    """Return the error of an activation with the player whose pre-activation it refused."""
    return DomainError(f"the pre-activation of player {player}: {error}")


def refusal(activation: Activation, v: Array) -> DomainError | None:
    """Return the error with which an activation refuses v, if it does."""
    try:
        activation(v)
    except DomainError as error:
        return error
    return None
