"""Networks: a directed graph of layers with weights, biases and activations, and its constructors."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from nngames.activations import Activation
from nngames.core.errors import DomainError, InputError, NotApplicableError, ShapeError, unknown_option
from nngames.core.operators import LinearMap, as_linear_map
from nngames.core.profiles import Array, Player, ProfileSpace, float_array
from nngames.core.seeds import Seed
from nngames.networks.composite_pass import CompositePass
from nngames.networks.couplings import Coupling, LinearCoupling
from nngames.networks.inputs import ActivationLike, activations_of, bias_vector, listed, player_names
from nngames.networks.joint_pass import JointPass
from nngames.networks.layers import located

if TYPE_CHECKING:
    from nngames.results.trajectory import Trajectory


class Network:
    """A network: players (layers) with couplings, biases and activations.

    Build one with ``ring``, ``chain``, ``recurrent``, ``graph`` or ``generate``; this constructor takes general
    couplings.

    Parameters
    ----------
    couplings : sequence of Coupling
        At most one for each target and tuple of sources.
    biases : mapping player -> array_like (n_l,)
        Its keys are the players, in their order.
    activations : mapping player -> name, {"name": ..., parameters} or Activation
        One for each player.

    Raises
    ------
    ShapeError, InputError, UnknownNameError, OptionError
        If a shape does not fit (the message names the edge, the expected and the given shape), an entry is not
        finite, a player is unknown or missing, or an activation is not known.
    """

    def __init__(
        self,
        couplings: Sequence[Coupling],
        biases: Mapping[Any, ArrayLike],
        activations: Mapping[Any, ActivationLike],
    ) -> None:
        if not biases:
            raise InputError("a network needs at least one player: biases is empty")
        self.biases = {player: bias_vector(player, bias) for player, bias in biases.items()}
        self.space = ProfileSpace(tuple(self.biases), tuple(len(bias) for bias in self.biases.values()))
        self.activations = activations_of(activations, self.space)
        self.couplings = tuple(couplings)
        self.input: Array | None = None
        self._input_weight: LinearMap | None = None
        self._check_couplings()

    # Constructors

    @classmethod
    def ring(
        cls,
        weights: Sequence[Any],
        biases: Sequence[ArrayLike],
        activations: Sequence[ActivationLike],
        names: Sequence[Hashable] | None = None,
    ) -> Network:
        """Return the ring in which layer l listens to layer l - 1, and the first one to the last.

        Parameters
        ----------
        weights : sequence of L matrices
            weights[l] is (n_l, n_{l-1}); weights[0] closes the ring from the last layer. Dense, sparse or
            LinearOperator.
        biases : sequence of L vectors
            biases[l] is (n_l,).
        activations : sequence of L activations
            Names, mappings with a name, or objects.
        names : sequence of L hashables, optional
            The players; default 1, ..., L.

        Raises
        ------
        ShapeError, InputError, UnknownNameError, OptionError
            As the class says.
        """
        players = player_names(weights, biases, activations, names)
        sources = (players[-1], *players[:-1])
        return cls.graph(
            {(player, source): weight for player, source, weight in zip(players, sources, weights, strict=True)},
            dict(zip(players, biases, strict=True)),
            dict(zip(players, activations, strict=True)),
        )

    @classmethod
    def chain(
        cls,
        weights: Sequence[Any],
        biases: Sequence[ArrayLike],
        activations: Sequence[ActivationLike],
        input: ArrayLike,
        names: Sequence[Hashable] | None = None,
    ) -> Network:
        """Return the open chain that feeds the fixed ``input`` forward through the layers; otherwise as ``ring``.

        Parameters
        ----------
        input : array_like (n_0,)
            The fixed input x_0; weights[0] is (n_1, n_0).
        """
        players = player_names(weights, biases, activations, names)
        fixed = np.atleast_1d(float_array(input, "input"))
        if fixed.ndim != 1 or not np.isfinite(fixed).all():
            raise InputError("input must be a vector of finite numbers")
        first = as_linear_map(weights[0], f"the weight of the input -> {players[0]}", (None, fixed.size))
        network = cls.graph(
            {(players[i], players[i - 1]): weights[i] for i in range(1, len(players))},
            dict(zip(players, biases, strict=True)),
            dict(zip(players, activations, strict=True)),
        )
        if first.shape[0] != network.space.dims[players[0]]:
            raise ShapeError(
                f"the weight of the input -> {players[0]} has shape {first.shape}; "
                f"expected ({network.space.dims[players[0]]}, {fixed.size})"
            )
        network.input, network._input_weight = fixed, first
        return network

    @classmethod
    def recurrent(cls, weight: Any, bias: ArrayLike, activation: ActivationLike) -> Network:
        """Return the one-layer network x = r(W x + b) that feeds itself; its player is 1."""
        return cls.ring([weight], [bias], [activation])

    @classmethod
    def graph(
        cls,
        weights: Mapping[tuple[Any, Any], Any],
        biases: Mapping[Any, ArrayLike],
        activations: Mapping[Any, ActivationLike] | ActivationLike,
    ) -> Network:
        """Return the network of a directed graph.

        Parameters
        ----------
        weights : mapping (target, source) -> matrix (n_target, n_source)
            The edges; a player without an incoming edge answers r_l(b_l).
        biases : mapping player -> vector
            Its keys are the players.
        activations : mapping player -> activation, or one activation for all
            As for the class.
        """
        for what, mapping in (("weights", weights), ("biases", biases)):
            if not isinstance(mapping, Mapping):
                raise InputError(f"{what} must be a mapping; got {type(mapping).__name__}")
        if isinstance(activations, str | Activation) or (isinstance(activations, Mapping) and "name" in activations):
            activations = dict.fromkeys(biases, activations)
        sizes = {player: len(bias_vector(player, bias)) for player, bias in biases.items()}
        couplings = []
        for edge, weight in weights.items():
            if not isinstance(edge, tuple) or len(edge) != 2:
                raise InputError(f"weights has the key {edge!r}; expected a pair (target, source)")
            target, source = edge
            what = f"the weight of the edge {source} -> {target}"
            for player in edge:
                if player not in sizes:
                    raise InputError(f"{what}: {player!r} is not a player; players: {listed(sizes)}")
            couplings.append(
                LinearCoupling(target, source, as_linear_map(weight, what, (sizes[target], sizes[source])))
            )
        return cls(couplings, biases, activations)

    @classmethod
    def generate(cls, name: str, seed: Seed = None, **parameters: Any) -> Network:
        """Return a network drawn from a seed; see ``nngames.networks.generators``.

        Parameters
        ----------
        name : str
            A generator, as ``nngames list generators`` shows them.
        seed : int or Generator, optional
            Default 0.
        **parameters
            The generator's own.

        Raises
        ------
        UnknownNameError, OptionError
            If there is no such generator or parameter, or a value is out of range.
        """
        from nngames.networks.generators import generate

        return generate(name, seed, **parameters).network

    # Structure

    @property
    def players(self) -> tuple[Player, ...]:
        """The layers, in the order of a profile."""
        return self.space.players

    @property
    def dims(self) -> dict[Player, int]:
        """The size of each layer."""
        return self.space.dims

    @property
    def size(self) -> int:
        """N, the length of a profile."""
        return self.space.size

    @cached_property
    def linear(self) -> bool:
        """Whether every coupling is linear."""
        return all(coupling.linear for coupling in self.couplings)

    @cached_property
    def weights(self) -> dict[tuple[Player, Player], LinearMap]:
        """The linear maps W_lk by (target, source).

        Raises
        ------
        NotApplicableError
            If a coupling is not linear.
        """
        if not self.linear:
            raise NotApplicableError("a coupling of this network is not linear, so it has no weights W_lk")
        return {(c.target, c.source): c.weight for c in self.couplings if isinstance(c, LinearCoupling)}

    @cached_property
    def ring_order(self) -> tuple[Player, ...] | None:
        """The players in the order in which a ring passes them on, ending with the last player; None if not a ring.

        A single layer that feeds itself is a ring of length 1.
        """
        source: dict[Player, Player] = {}
        for coupling in self.couplings:
            if len(coupling.sources) != 1 or coupling.target in source:
                return None
            source[coupling.target] = coupling.sources[0]
        if len(source) != len(self.players):
            return None
        order = [self.players[-1]]
        while source[order[-1]] != self.players[-1]:
            order.append(source[order[-1]])
            if len(order) > len(self.players):
                return None
        if len(order) != len(self.players):
            return None
        return (*reversed(order[1:]), order[0])

    @property
    def maps_into_a_ball(self) -> bool:
        """Whether T is known to be continuous with a bounded range, so that it has a fixed point (Brouwer)."""
        return all(a.bounded and a.continuous and a.defined_everywhere for a in self.activations.values())

    @property
    def digraph(self) -> Any:
        """The graph of couplings as a networkx.DiGraph; each edge carries its ``coupling``."""
        import networkx

        graph = networkx.DiGraph()
        for player, n in self.dims.items():
            graph.add_node(player, size=n, activation=self.activations[player].name)
        for coupling in self.couplings:
            for source in coupling.sources:
                graph.add_edge(source, coupling.target, coupling=coupling)
        return graph

    # Evaluation

    def effective_bias(self, player: Player) -> Array:
        """Return the constant part of a player's pre-activation: its bias and, in a chain, the weighted input."""
        self.space.slice(player)
        bias = self.biases[player]
        if self._input_weight is not None and self.input is not None and player == self.players[0]:
            return bias + self._input_weight.apply(self.input)
        return bias

    @property
    def input_weight(self) -> LinearMap | None:
        """The weight of a chain's fixed input for its first layer; None where there is none."""
        return self._input_weight

    @cached_property
    def joint(self) -> JointPass:
        """The joint map T: all layers respond at once."""
        return JointPass(self)

    @cached_property
    def composite(self) -> CompositePass:
        """The composite map O of a ring.

        Raises
        ------
        NotApplicableError
            If the network is not a ring.
        """
        if self.ring_order is None:
            raise NotApplicableError("the composite map belongs to a ring; this network is not one: use the joint map")
        return CompositePass(self, self.ring_order)

    @np.errstate(over="ignore", invalid="ignore")
    def forward(self, x0: ArrayLike | None = None) -> tuple[Array, ...]:
        """Return the layers' outputs after one pass.

        Parameters
        ----------
        x0 : array_like
            On a ring, x_L, the last layer's output, or a full profile, of which x_L is used; on a chain, the input
            (default: its fixed input); on another graph a profile, at which all layers respond at once. A leading batch
            axis is allowed.

        Returns
        -------
        tuple of ndarray
            One output for each player, in the order of ``players``.
        """
        if self._input_weight is not None:
            return self._forward_chain(x0)
        if x0 is None:
            raise InputError("forward needs x0: the last layer's output on a ring, a profile on another graph")
        if self.ring_order is None:
            profile = self.joint(self.space.array(x0, batch=True, what="x0"))
        else:
            profile = self.composite(self.ring_state(x0))
        return tuple(profile[..., where] for where in self.space.slices.values())

    def ring_state(self, x0: Any) -> Array:
        """Return x_L, (n_L,) or (batch, n_L), from x_L itself or from a full profile, which contains it."""
        last = self.players[-1]
        if isinstance(x0, Mapping):
            whole = len(x0) > 1
        else:
            x0 = float_array(x0, "x0")
            whole = x0.shape[-1:] == (self.size,)
        if whole:
            return self.space.array(x0, batch=True, what="x0")[..., self.space.slices[last]]
        return ProfileSpace((last,), (self.space.sizes[-1],)).array(x0, batch=True, what="x0")

    def _forward_chain(self, x0: ArrayLike | None) -> tuple[Array, ...]:
        weight: Any = self._input_weight
        given: Any = self.input if x0 is None else np.atleast_1d(float_array(x0, "x0"))
        if given.shape[-1] != weight.shape[1]:
            raise ShapeError(f"x0 has shape {given.shape}; expected ({weight.shape[1]},)")
        outputs: list[Array] = []
        for i, player in enumerate(self.players):
            heard = self.weights[player, self.players[i - 1]].apply(outputs[-1]) if i else weight.apply(given)
            try:
                outputs.append(self.activations[player](self.biases[player] + heard))
            except DomainError as error:
                raise located(player, error) from None
        return tuple(outputs)

    def feed(
        self, x0: Any, rule: str = "iterated", relaxation: Any = 0.5, steps: int = 1000, **options: Any
    ) -> Trajectory:
        """Feed the output back to the input and classify what happens; see ``nngames.networks.feeds.feed``."""
        from nngames.networks.feeds import feed

        for option in options:
            if option not in ("tolerance", "schedule"):
                raise unknown_option("feed", option, ("rule", "relaxation", "steps", "tolerance", "schedule"))
        return feed(self, x0, rule=rule, relaxation=relaxation, steps=steps, **options)

    def game(self, players: str = "auto", cost: str = "auto") -> Any:
        """Return the network's game; see ``nngames.games.NetworkGame``."""
        from nngames.games import NetworkGame

        return NetworkGame.of(self, players=players, cost=cost)

    def with_parameters(self, weights: Mapping[Any, Any], biases: Mapping[Any, ArrayLike]) -> Network:
        """Return this network with other weights and biases of the same shapes; what is not named stays.

        Parameters
        ----------
        weights : mapping (target, source) -> matrix
        biases : mapping player -> vector

        Raises
        ------
        ShapeError, InputError
            If an edge or a player does not exist, or a shape differs.
        """
        for edge in weights:
            if edge not in self.weights:
                raise InputError(f"weights names {edge!r}, which is not an edge (target, source) of this network")
        for player, bias in biases.items():
            if player not in self.dims:
                raise InputError(f"biases names {player!r}, which is not a player; players: {listed(self.dims)}")
            if len(bias_vector(player, bias)) != self.dims[player]:
                raise ShapeError(f"the bias of {player} has shape {np.shape(bias)}; expected ({self.dims[player]},)")
        kept = {edge: weights.get(edge, weight) for edge, weight in self.weights.items()}
        network = Network.graph(kept, {p: biases.get(p, b) for p, b in self.biases.items()}, self.activations)
        network.input, network._input_weight = self.input, self._input_weight
        return network

    def _check_couplings(self) -> None:
        seen = set()
        for coupling in self.couplings:
            edge = f"the coupling {', '.join(map(str, coupling.sources))} -> {coupling.target}"
            for player, n in zip(
                (coupling.target, *coupling.sources), (coupling.output_size, *coupling.source_sizes), strict=True
            ):
                if player not in self.dims:
                    raise InputError(f"{edge}: {player!r} is not a player; players: {listed(self.dims)}")
                if self.dims[player] != n:
                    raise ShapeError(f"{edge} has size {n} for {player}; expected {self.dims[player]}")
            if (coupling.target, coupling.sources) in seen:
                raise InputError(f"{edge} is given twice; add the two maps")
            if not coupling.is_finite():
                raise InputError(f"{edge} has an entry that is not finite")
            seen.add((coupling.target, coupling.sources))
