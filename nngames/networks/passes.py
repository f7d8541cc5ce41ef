"""Passes: the joint map T and the composite map O evaluated with few Python steps and no copies.

A pass is the inner loop of every feed and solver. A single profile is written straight into the result: each layer
is one product into its slice, one addition of the bias and one activation in place. Networks of many small
players are assembled into one sparse matrix with runs of equal activations.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from nngames.activations import Activation
from nngames.core.errors import DomainError
from nngames.core.norms import euclidean_length
from nngames.core.operators import LinearMap, SparseMap
from nngames.core.profiles import Array, Player
from nngames.networks.bound_passes import BoundPass, Stage, bound_composite, bound_joint, bound_outputs, dense_stages
from nngames.networks.compiled.maps import FusedMap, fused_map
from nngames.networks.compiled.single_pass import Compilable, CompiledPass, CompiledSparsePass
from nngames.networks.compiled.sparse_map import fused_sparse_map
from nngames.networks.couplings import Coupling, LinearCoupling
from nngames.networks.elimination import Elimination, elimination
from nngames.networks.from_base import NearStage, near_stages
from nngames.networks.linearisation import (
    CompositeLinearisation,
    JointLinearisation,
    response_change,
    stored,
)
from nngames.networks.piecewise import Visit, answer_by_pieces, answers_by_pieces
from nngames.networks.roundings import ACTIVATION, UNITS, answers_apart

if TYPE_CHECKING:
    from nngames.networks.forward import ForwardPass
    from nngames.networks.network import Network

#: From this many players on, a linear network of small couplings is assembled into one sparse matrix.
ASSEMBLE_PLAYERS = 12
#: Couplings of more entries than this on average are faster one by one: a dense product beats a sparse one there.
ASSEMBLE_ENTRIES = 2500


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


class JointPass(Compilable):
    """The joint map T(x)_l = r_l(v_l(x)) of a network, for profiles (N,) or (batch, N)."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._by_target: dict[Player, list[Coupling]] = {player: [] for player in network.players}
        for coupling in network.couplings:
            self._by_target[coupling.target].append(coupling)
        self._layers: dict[Any, list[Layer]] = {}
        self._assembled: dict[Any, tuple[SparseMap, Array]] = {}
        self.assembled = len(network.players) >= ASSEMBLE_PLAYERS and _gains_from_assembly(network)
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
                    _answer(layer, previous, target)
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
        factor, constant = (ACTIVATION, 0.0) if same else self.apart
        return UNITS[dtype] * (factor * euclidean_length(profile) + constant)

    @cached_property
    def apart(self) -> tuple[float, float]:
        """How far answers may be apart that sum in other orders; see ``answers_apart``."""
        return answers_apart(self.layers(np.dtype(np.float64)))

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


def _answer(layer: Layer, x: Array, out: Array) -> None:
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


def activation_runs(network: Network) -> list[tuple[slice, Activation]]:
    """Return the activations with the stretch of a profile each acts on; equal separable neighbours are merged."""
    runs: list[tuple[slice, Activation]] = []
    for player, where in network.space.slices.items():
        activation = network.activations[player]
        if runs and activation.separable and activation.size is None and runs[-1][1] == activation:
            runs[-1] = (slice(runs[-1][0].start, where.stop), activation)
        else:
            runs.append((where, activation))
    return runs


def assembled_weight(network: Network) -> SparseMap:
    """Return W, the matrix (N, N) with blocks W_lk, sparse and float64: sums of float32 entries keep their digits."""
    from scipy import sparse

    rows, columns, values = [], [], []
    for (target, source), weight in network.weights.items():
        block = sparse.coo_array(weight.matrix if hasattr(weight, "matrix") else weight.dense)
        rows.append(block.row + network.space.slices[target].start)
        columns.append(block.col + network.space.slices[source].start)
        values.append(block.data.astype(np.float64))
    n = network.size
    if not values:
        return SparseMap(sparse.csr_array((n, n)))
    entries = (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns)))
    return SparseMap(sparse.csr_array(entries, shape=(n, n)))


def _gains_from_assembly(network: Network) -> bool:
    """Whether every weight is stored and the couplings are small on average."""
    if not network.linear or not all(hasattr(weight, "matrix") for weight in network.weights.values()):
        return False
    return sum(weight.multiplications for weight in network.weights.values()) <= ASSEMBLE_ENTRIES * len(network.weights)
