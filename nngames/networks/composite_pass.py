"""The composite map O of a ring evaluated with few Python steps: layer after layer, from the last one's output on."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from nngames.core.errors import DomainError
from nngames.core.operators import SparseMap
from nngames.core.profiles import Array, Player
from nngames.networks.bound_passes import BoundPass, Stage, bound_composite, bound_outputs, dense_stages
from nngames.networks.compiled.maps import FusedMap, fused_map
from nngames.networks.compiled.single_pass import Compilable, CompiledPass, CompiledSparsePass
from nngames.networks.elimination import Elimination, elimination
from nngames.networks.from_base import NearStage, near_stages
from nngames.networks.layers import Layer, answer_in_ring, located
from nngames.networks.linearisation import CompositeLinearisation, response_change
from nngames.networks.piecewise import Visit, answer_by_pieces
from nngames.networks.roundings import ACTIVATION, rounding_at

if TYPE_CHECKING:
    from nngames.networks.network import Network


class CompositePass(Compilable):
    """The composite map of a ring: from the last layer's output through all layers, one after the other."""

    def __init__(self, network: Network, order: tuple[Player, ...]) -> None:
        self._network = network
        self.order = order
        self.state = network.space.slices[order[-1]]
        self._layers: dict[Any, list[Layer]] = {}
        self._bound: dict[Any, tuple[list[Stage] | None, BoundPass | None]] = {}

    @property
    def size(self) -> int:
        """The size of the last layer, on which the composite map acts."""
        return self._network.dims[self.order[-1]]

    def __call__(self, state: Array, out: Array | None = None) -> Array:
        """Return the profile (y_1, ..., y_L) of one forward pass from x_L = ``state``, (n_L,) or (batch, n_L).

        y_L, at ``profile[..., self.state]``, is O(x_L).
        """
        if out is None:
            out = np.empty((*state.shape[:-1], self._network.size), dtype=state.dtype)
        if state.ndim == 1 and out.flags.c_contiguous:
            compiled = self.compiled(state.dtype)
            if compiled is not None:
                return self._unpacked(compiled, state, out)
            bound = self._dense(state.dtype)[1]
            if bound is not None:
                return bound(state, out)
        return self._respond(state, out, self.layers(state.dtype))

    def completed(self, state: Array) -> Array:
        """Return the profile (y_1, ..., y_{L-1}, x_L) of x_L = ``state``, (n_L,) or (batch, n_L)."""
        out = np.empty((*state.shape[:-1], self._network.size), dtype=state.dtype)
        single = state.ndim == 1 and len(self.order) > 1
        compiled = self.compiled(state.dtype) if single else None
        stages = self._dense(state.dtype)[0] if single and compiled is None else None
        if compiled is not None:
            self._unpacked(compiled, state, out)
        elif stages is not None:
            bound_outputs(stages[:-1])(state, out)
        else:
            self._respond(state, out, self.layers(state.dtype)[:-1])
        out[..., self.state] = state
        return out

    def _respond(self, state: Array, out: Array, layers: Sequence[Layer]) -> Array:
        previous = state
        for layer in layers:
            target = out[..., layer.where]
            try:
                if layer.by_pieces and state.ndim == 1 and previous.flags.c_contiguous and target.flags.c_contiguous:
                    answer_by_pieces(layer, previous, target)
                else:
                    answer_in_ring(layer, previous, target)
            except DomainError as error:
                raise located(layer.player, error) from None
            previous = target
        return out

    def visited(self, state: Array, out: Array, visit: Visit) -> bool:
        """Write O(x_L) into ``out`` and visit each piece of it, if there is one layer that answers so; say whether."""
        layers = self.layers(state.dtype)
        if not (len(layers) == 1 and layers[0].by_pieces and state.flags.c_contiguous and out.flags.c_contiguous):
            return False
        compiled = self.compiled(state.dtype)
        if isinstance(compiled, CompiledSparsePass):
            compiled.visited(state, out, visit)
            return True
        try:
            answer_by_pieces(layers[0], state, out, visit)
        except DomainError as error:
            raise located(layers[0].player, error) from None
        return True

    def linearise(self, state: Array) -> CompositeLinearisation:
        """Return d -> J(x_L) d, J a generalised Jacobian of O, for x_L (n_L,) and d (n_L,) or (count, n_L)."""
        layers = []
        previous = state
        for layer in self.layers(state.dtype):
            if layer.single is None:
                v = layer.bias + layer.others[0][0].apply([previous])
            else:
                v = layer.single.apply(previous) + layer.bias
            layers.append((layer, previous, response_change(layer.activation, v)))
            previous = layer.activation(v)
        return CompositeLinearisation(layers, state.size, state.dtype)

    def rounding(self, profile: Array) -> float:
        """Return how far T may answer a pass's outputs, a profile, from these: in compiled passes sums differ."""
        dtype, joint = profile.dtype, self._network.joint
        same = not joint.assembled and self.compiled(dtype) is None and joint.compiled(dtype) is None
        return rounding_at(profile, (ACTIVATION, 0.0) if same else self.apart)

    @cached_property
    def elimination(self) -> Elimination | None:
        """What eliminates the layers before the last in linear systems; None where they are not dense and separable."""
        return elimination(self.layers)

    def bound(self, dtype: Any) -> BoundPass:
        """Return x_L -> O(x_L) for single states of that precision, a function (x, out) with buffers of its own."""
        compiled = self.compiled(dtype)
        if compiled is not None:
            return compiled
        stages = self._dense(dtype)[0]
        if stages is not None:
            return bound_composite(stages)
        if len(self.order) == 1:
            return lambda x, out: self(x, out)
        outputs = np.empty(self._network.size, dtype=dtype)

        def evaluate(x: Array, out: Array) -> Array:
            np.copyto(out, self(x, outputs)[self.state])
            return out

        return evaluate

    @cached_property
    def fused(self) -> FusedMap | None:
        """The map on x_L packed for the compiled kernels; None where they do not take it."""
        layers = self.layers(np.dtype(np.float64))
        if len(layers) == 1 and isinstance(layers[0].single, SparseMap):
            # The same map, packed once.
            return self._network.joint.fused
        return fused_map(layers, composite=True)

    @cached_property
    def near(self) -> list[NearStage] | None:
        """The stages of passes near a base; None of other layers than large dense ones."""
        return near_stages(self.layers)

    def _unpacked(self, compiled: CompiledPass | CompiledSparsePass, state: Array, out: Array) -> Array:
        """Write the outputs of all layers into ``out``."""
        outputs = compiled.outputs(state, out[self.state])
        layers = self.layers(state.dtype)
        if self._evenly:
            out.reshape(len(layers), -1)[...] = outputs[:, : self.size]
        else:
            for layer, output in zip(layers, outputs, strict=True):
                out[layer.where] = output[: layer.bias.size]
        return out

    @cached_property
    def _evenly(self) -> bool:
        """Whether the layers have one size and stand in a profile as in the ring."""
        slices, size = self._network.space.slices, self.size
        return all(slices[player] == slice(k * size, (k + 1) * size) for k, player in enumerate(self.order))

    def _dense(self, dtype: Any) -> tuple[list[Stage] | None, BoundPass | None]:
        """Return the stages of dense layers, and their outputs as a function (x, out); None for other layers."""
        if dtype not in self._bound:
            stages = dense_stages(self.layers(dtype))
            self._bound[dtype] = (stages, None if stages is None else bound_outputs(stages))
        return self._bound[dtype]

    def layers(self, dtype: Any) -> list[Layer]:
        """Return the layers in the order of the pass, in that precision."""
        if dtype not in self._layers:
            incoming = {coupling.target: [coupling] for coupling in self._network.couplings}
            self._layers[dtype] = [Layer(self._network, p, incoming[p], dtype) for p in self.order]
        return self._layers[dtype]
