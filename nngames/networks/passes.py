"""Passes: the joint map T and the composite map O evaluated with few Python steps and no copies.

A pass is the inner loop of every feed and solver. A single profile is written straight into the result: each layer
is one product into its slice, one addition of the bias and one activation in place. Networks of many small
players are assembled into one sparse matrix with runs of equal activations.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from nngames.activations import Activation
from nngames.core.errors import DomainError
from nngames.core.operators import LinearMap
from nngames.core.profiles import Array, Player
from nngames.networks.couplings import Coupling, LinearCoupling

if TYPE_CHECKING:
    from nngames.networks.network import Network

#: From this many players on, a linear network of small couplings is assembled into one sparse matrix.
ASSEMBLE_PLAYERS = 12
#: Couplings of more entries than this on average are faster one by one: a dense product beats a sparse one there.
ASSEMBLE_ENTRIES = 2500


class _Layer:
    """One layer of a pass: where it stands, what it listens to, how it responds."""

    __slots__ = ("activation", "bias", "others", "player", "single", "source", "where")

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

    def preactivation(self, x: Array, out: Array) -> Array:
        """Write v_l(x) into ``out``."""
        if self.single is None:
            out[...] = self.bias
        elif x.ndim == 1:
            self.single.apply(x[self.source], out)
            out += self.bias
        else:
            out[...] = self.single.apply(x[..., self.source])
            out += self.bias
        for coupling, sources in self.others:
            out += coupling.apply([x[..., s] for s in sources])
        return out

    def preactivation_change(self, x: Array, d: Array, out: Array) -> Array:
        """Write the derivative of v_l at x (N,) along d (N,) or (count, N) into ``out``."""
        if self.single is None:
            out[...] = 0.0
        elif d.ndim == 1:
            self.single.apply(d[self.source], out)
        else:
            out[...] = self.single.apply(d[..., self.source])
        for coupling, sources in self.others:
            out += coupling.jvp([x[s] for s in sources], [d[..., s] for s in sources])
        return out


class JointPass:
    """The joint map T(x)_l = r_l(v_l(x)) of a network, for profiles (N,) or (batch, N)."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._by_target: dict[Player, list[Coupling]] = {player: [] for player in network.players}
        for coupling in network.couplings:
            self._by_target[coupling.target].append(coupling)
        self._layers: dict[Any, list[_Layer]] = {}
        self._assembled: dict[Any, tuple[LinearMap, Array]] = {}
        self._assemble = len(network.players) >= ASSEMBLE_PLAYERS and _gains_from_assembly(network)
        self._runs = activation_runs(network)
        self._position = {player: i for i, player in enumerate(network.players)}

    @property
    def multiplications(self) -> int:
        """Scalar multiplications of the largest single product."""
        sizes = [coupling.multiplications for coupling in self._network.couplings]
        return (sum(sizes) if self._assemble else max(sizes, default=0)) if sizes else 0

    def __call__(self, x: Array, out: Array | None = None) -> Array:
        """Return T(x); ``out`` must not be x."""
        v = self.preactivations(x, out)
        return self.respond(v, v)

    def preactivations(self, x: Array, out: Array | None = None) -> Array:
        """Return v(x) = (v_1(x), ..., v_L(x)); ``out`` must not be x."""
        if out is None:
            out = np.empty_like(x)
        if self._assemble:
            matrix, bias = self._sparse(x.dtype)
            out[...] = matrix.apply(x)
            out += bias
            return out
        for layer in self._cast(x.dtype):
            layer.preactivation(x, out[..., layer.where])
        return out

    def respond(self, v: Array, out: Array) -> Array:
        """Return (r_1(v_1), ..., r_L(v_L)); ``out`` may be v."""
        for where, activation in self._runs:
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
            refusal = _refusal(activation, v[..., half[0][1].start : half[-1][1].stop])
            parts = half if refusal is not None else parts[len(half) :]
        (player, part) = parts[0]
        return located(player, _refusal(activation, v[..., part]) or error)

    def preactivation_changes(self, x: Array, d: Array) -> Array:
        """Return the derivative of v at x (N,) along d (N,) or (count, N)."""
        out = np.empty_like(d)
        if self._assemble:
            out[...] = self._sparse(d.dtype)[0].apply(d)
            return out
        for layer in self._cast(d.dtype):
            layer.preactivation_change(x, d, out[..., layer.where])
        return out

    def linearise(self, x: Array) -> Callable[[Array], Array]:
        """Return d -> J(x) d, J a generalised Jacobian of T, for x (N,) and d (N,) or (count, N)."""
        v = self.preactivations(x)
        runs = [(where, response_change(activation, v[where])) for where, activation in self._runs]

        def change(d: Array) -> Array:
            out = self.preactivation_changes(x, d)
            for where, respond in runs:
                out[..., where] = respond(out[..., where])
            return out

        return change

    def layer(self, player: Player, x: Array) -> Array:
        """Return v_l(x) of one player."""
        n = self._network.dims[player]
        layer = self._cast(x.dtype)[self._position[player]]
        return layer.preactivation(x, np.empty((*x.shape[:-1], n), dtype=x.dtype))

    def _cast(self, dtype: Any) -> list[_Layer]:
        if dtype not in self._layers:
            self._layers[dtype] = [_Layer(self._network, p, self._by_target[p], dtype) for p in self._network.players]
        return self._layers[dtype]

    def _sparse(self, dtype: Any) -> tuple[LinearMap, Array]:
        if dtype not in self._assembled:
            network = self._network
            bias = np.concatenate([network.effective_bias(player) for player in network.players]).astype(dtype)
            self._assembled[dtype] = (assembled_weight(network).astype(dtype), bias)
        return self._assembled[dtype]


class CompositePass:
    """The composite map of a ring: from the last layer's output through all layers, one after the other."""

    def __init__(self, network: Network, order: tuple[Player, ...]) -> None:
        self._network = network
        self.order = order
        self.state = network.space.slices[order[-1]]
        self._layers: dict[Any, list[_Layer]] = {}

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
        previous = state
        for layer in self._cast(state.dtype):
            target = out[..., layer.where]
            if layer.single is None:
                target[...] = layer.bias + layer.others[0][0].apply([previous])
            else:
                if target.ndim == 1:
                    layer.single.apply(previous, target)
                else:
                    target[...] = layer.single.apply(previous)
                target += layer.bias
            try:
                layer.activation(target, out=target)
            except DomainError as error:
                raise located(layer.player, error) from None
            previous = target
        return out

    def linearise(self, state: Array) -> Callable[[Array], Array]:
        """Return d -> J(x_L) d, J a generalised Jacobian of O, for x_L (n_L,) and d (n_L,) or (count, n_L)."""
        layers: list[tuple[_Layer, Array, Callable[[Array], Array]]] = []
        previous = state
        for layer in self._cast(state.dtype):
            if layer.single is None:
                v = layer.bias + layer.others[0][0].apply([previous])
            else:
                v = layer.single.apply(previous) + layer.bias
            layers.append((layer, previous, response_change(layer.activation, v)))
            previous = layer.activation(v)

        def change(d: Array) -> Array:
            for layer, x, respond in layers:
                d = respond(layer.others[0][0].jvp([x], [d]) if layer.single is None else layer.single.apply(d))
            return d

        return change

    def _cast(self, dtype: Any) -> list[_Layer]:
        if dtype not in self._layers:
            incoming = {coupling.target: [coupling] for coupling in self._network.couplings}
            self._layers[dtype] = [_Layer(self._network, p, incoming[p], dtype) for p in self.order]
        return self._layers[dtype]


def located(player: Player, error: DomainError) -> DomainError:
    """Return the error of an activation with the player whose pre-activation it refused."""
    return DomainError(f"the pre-activation of player {player}: {error}")


def _refusal(activation: Activation, v: Array) -> DomainError | None:
    try:
        activation(v)
    except DomainError as error:
        return error
    return None


def response_change(activation: Activation, v: Array) -> Callable[[Array], Array]:
    """Return d -> J(v) d for one layer's v (n,) and d (n,) or (count, n), J a generalised Jacobian of r."""
    if activation.separable:
        slopes = activation.derivative(v)
        return lambda d: slopes * d
    return lambda d: activation.jvp(np.broadcast_to(v, (*d.shape[:-1], v.size)), d)


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


def assembled_weight(network: Network) -> LinearMap:
    """Return W, the matrix (N, N) with blocks W_lk, sparse and float64: sums of float32 entries keep their digits."""
    from scipy import sparse

    from nngames.core.operators import SparseMap

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
