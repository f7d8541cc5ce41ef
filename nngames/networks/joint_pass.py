"""The joint map T evaluated with few Python steps and no copies.

A pass is the inner loop of every feed and solver. A single profile is written straight into the result: each layer
is one product into its slice, one addition of the bias and one activation in place.
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from nngames.activations import Activation
from nngames.core.errors import DomainError
from nngames.core.norms import LEAST, euclidean_length
from nngames.core.operators import SparseMap
from nngames.core.profiles import Array, Player
from nngames.networks.assembly import activation_runs, assembled_weight, is_assembled
from nngames.networks.bound_passes import BoundPass, bound_joint, dense_stages
from nngames.networks.compiled.loading import kernels
from nngames.networks.compiled.maps import FusedMap, fused_map
from nngames.networks.compiled.single_pass import Compilable
from nngames.networks.compiled.sparse_map import fused_sparse_map
from nngames.networks.couplings import Coupling
from nngames.networks.from_base import NearStage, near_stages
from nngames.networks.layers import Layer, fused_layer, located, refusal
from nngames.networks.linearisation import JointLinearisation, response_change, stored
from nngames.networks.piecewise import answer_by_pieces, displacement_by_pieces, is_zero
from nngames.networks.roundings import rounding_at

if TYPE_CHECKING:
    from nngames.networks.forward import ForwardPass
    from nngames.networks.network import Network


class JointPass(Compilable):
    """The joint map T(x)_l = r_l(v_l(x)) of a network, for profiles (N,) or (batch, N)."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._by_target: dict[Player, list[Coupling]] = {player: [] for player in network.players}
        for coupling in network.couplings:
            self._by_target[coupling.target].append(coupling)
        self._layers: dict[Any, list[Layer]] = {}
        self._assembled: dict[Any, tuple[SparseMap, Array]] = {}
        self.assembled = is_assembled(network)
        self.runs = activation_runs(network)
        self._bound: dict[Any, BoundPass] = {}
        self._position = {player: i for i, player in enumerate(network.players)}

    @cached_property
    def multiplications(self) -> int:
        """Scalar multiplications of the largest single product."""
        sizes = [coupling.multiplications for coupling in self._network.couplings]
        return (sum(sizes) if self.assembled else max(sizes, default=0)) if sizes else 0

    def __call__(self, x: Array, out: Array | None = None) -> Array:
        """Return T(x); ``out`` must not be x."""
        if out is None:
            out = np.empty_like(x)
        if x.ndim == 1 and out.flags.c_contiguous:
            return self.bound(x.dtype)(x, out)
        return self._general(x, out)

    @cached_property
    def fused(self) -> FusedMap | None:
        """The map packed for the compiled kernels; None where they do not take it."""
        dtype = np.dtype(np.float64)
        if self.assembled:
            return fused_sparse_map(*self._sparse(dtype), self.runs)
        layers = self.layers(dtype)
        return fused_layer(layers[0]) if len(layers) == 1 else fused_map(layers, composite=False)

    @cached_property
    def near(self) -> list[NearStage] | None:
        """The stages of passes near a base; None of other layers than large dense ones."""
        return None if self.assembled else near_stages(self.layers)

    def _general(self, x: Array, out: Array) -> Array:
        v = self.preactivations(x, out)
        return self.respond(v, v)

    def bound(self, dtype: Any) -> BoundPass:
        """Return the map for single profiles of that precision as a function (x, out)."""
        compiled = None if self.assembled else self.compiled(dtype)
        if compiled is not None:
            return compiled
        if dtype not in self._bound:
            layers = [] if self.assembled else self.layers(dtype)
            stages = dense_stages(layers) if layers else None
            if stages is not None:
                self._bound[dtype] = bound_joint(stages, self.runs)
            elif layers and all(layer.by_pieces for layer in layers):
                self._bound[dtype] = self._by_pieces
            else:
                self._bound[dtype] = self._general
        return self._bound[dtype]

    def _by_pieces(self, x: Array, out: Array) -> Array:
        if not x.flags.c_contiguous:
            return self._general(x, out)
        for layer in self.layers(x.dtype):
            try:
                answer_by_pieces(layer, x[layer.source], out[layer.where])
            except DomainError as error:
                raise located(layer.player, error) from None
        return out

    def rounding(self, profile: Array) -> float:
        """Return how far T(x) may be from what compiled steps tell of it, where there are such: sums differ in them."""
        if kernels(limited=True) is None or self.fused is None:
            return 0.0
        if self.assembled:
            # Nobody has the bounds of thousands of layers.
            return math.inf
        return rounding_at(profile, self.apart)

    def distance(self, x: Array) -> float:
        """Return |T(x) - x|_2 of a single profile (N,), of long layers without room for T(x)."""
        layers = [] if self.assembled or not x.flags.c_contiguous else self.layers(x.dtype)
        # Compiled passes need that room, but take less time, unless there is nothing to multiply.
        if layers and all(layer.by_pieces for layer in layers) and (self.compiled(x.dtype) is None or is_zero(x)):
            length = math.hypot(*(self._displacement(layer, x) for layer in layers))
            if LEAST[x.dtype] <= length < math.inf:
                return length
        image = self(x)
        image -= x
        return euclidean_length(image)

    def _displacement(self, layer: Layer, x: Array) -> float:
        try:
            return displacement_by_pieces(layer, x[layer.source], x[layer.where])
        except DomainError as error:
            raise located(layer.player, error) from None

    def preactivations(self, x: Array, out: Array | None = None) -> Array:
        """Return v(x) = (v_1(x), ..., v_L(x)); ``out`` must not be x."""
        if out is None:
            out = np.empty_like(x)
        if self.assembled:
            matrix, bias = self._sparse(x.dtype)
            out[...] = matrix.apply(x)
            out += bias
            return out
        for layer in self.layers(x.dtype):
            layer.preactivation(x, out[..., layer.where])
        return out

    def respond(self, v: Array, out: Array) -> Array:
        """Return (r_1(v_1), ..., r_L(v_L)); ``out`` may be v."""
        for where, activation in self.runs:
            target = out[..., where]
            try:
                # The same view twice needs no look at whether two overlap.
                activation(target if v is out else v[..., where], out=target)
            except DomainError as error:
                # The activation looks before it writes, so v is still whole there.
                raise self._located(v, where, activation, error) from None
        return out

    def _located(self, v: Array, where: slice, activation: Activation, error: DomainError) -> DomainError:
        """Return the error with the first player whose v_l ``activation`` refused, found by halving the run."""
        slices = self._network.space.slices.items()
        parts = [(player, part) for player, part in slices if where.start <= part.start < where.stop]
        while len(parts) > 1:
            half = parts[: len(parts) // 2]
            refused = refusal(activation, v[..., half[0][1].start : half[-1][1].stop])
            parts = half if refused is not None else parts[len(half) :]
        (player, part) = parts[0]
        return located(player, refusal(activation, v[..., part]) or error)

    def preactivation_changes(self, x: Array, d: Array) -> Array:
        """Return the derivative of v at x (N,) along d (N,) or (count, N)."""
        out = np.empty_like(d)
        if self.assembled:
            out[...] = self._sparse(d.dtype)[0].apply(d)
            return out
        for layer in self.layers(d.dtype):
            layer.preactivation_change(x, d, out[..., layer.where])
        return out

    def linearise(self, x: Array) -> JointLinearisation:
        """Return d -> J(x) d, J a generalised Jacobian of T, for x (N,) and d (N,) or (count, N)."""
        v = self.preactivations(x)
        return JointLinearisation(self, x, [(where, response_change(r, v[where])) for where, r in self.runs])

    def transposed_weights(self, dtype: Any) -> Array | None:
        """Return W' as a fresh dense matrix (N, N); None where a coupling is not linear or not stored."""
        network = self._network
        if not network.linear:
            return None
        if self.assembled:
            return stored(self._sparse(dtype)[0]).T.copy()  # type: ignore[union-attr]
        out = np.zeros((network.size,) * 2, dtype=dtype)
        for (target, source), weight in network.weights.items():
            matrix = stored(weight)
            if matrix is None:
                return None
            out[network.space.slices[source], network.space.slices[target]] = matrix.T
        return out

    def layer(self, player: Player, x: Array) -> Array:
        """Return v_l(x) of one player."""
        n = self._network.dims[player]
        layer = self.layers(x.dtype)[self._position[player]]
        return layer.preactivation(x, np.empty((*x.shape[:-1], n), dtype=x.dtype))

    def layers(self, dtype: Any) -> list[Layer]:
        """Return the layers in the order of a profile, in that precision."""
        if dtype not in self._layers:
            self._layers[dtype] = [Layer(self._network, p, self._by_target[p], dtype) for p in self._network.players]
        return self._layers[dtype]

    def _sparse(self, dtype: Any) -> tuple[SparseMap, Array]:
        if dtype not in self._assembled:
            network = self._network
            bias = np.concatenate([network.effective_bias(player) for player in network.players]).astype(dtype)
            self._assembled[dtype] = (assembled_weight(network).astype(dtype), bias)
        return self._assembled[dtype]

    def assembly(self, dtype: Any) -> tuple[SparseMap, Array]:
        """Return W as one sparse matrix, of a single sparse layer its own one, and the biases, in that precision."""
        network = self._network
        alone = next(iter(network.weights.values()), None) if len(network.players) == 1 else None
        if not isinstance(alone, SparseMap):
            return self._sparse(dtype)
        layer = self.layers(dtype)[0]
        return alone.astype(dtype), layer.bias

    @cached_property
    def forward(self) -> ForwardPass | None:
        """The forward pass, which ends at the equilibrium; None where a signal may return to where it came from."""
        return self.forward_before(math.inf)

    def forward_before(self, deadline: float) -> ForwardPass | None:
        """Return ``forward``. Raises TimeUpError where it is not known before ``deadline``."""
        from nngames.networks.forward import forward_pass

        kept = vars(self)
        if "forward" not in kept:
            kept["forward"] = forward_pass(self._network, deadline)
        found: ForwardPass | None = kept["forward"]
        return found
