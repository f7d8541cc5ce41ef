"""The game of a network: the proximal cost J_l = f_l(z) + |z - v_l(x)|^2/2, and the choice of players and cost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from nngames.core.errors import InputError, NotApplicableError, check_choice
from nngames.core.norms import euclidean_length
from nngames.core.operators import LinearMap
from nngames.core.profiles import Array, Player, Profile
from nngames.games.coupled_game import CoupledGame, ResponseMap, _no_map
from nngames.games.game import Game
from nngames.games.own_cost import OwnCost
from nngames.games.self_loops import diagonal, is_symmetric, self_loops
from nngames.games.views.fixed_points import FixedPoint
from nngames.networks import Network
from nngames.networks.bound_passes import BoundPass
from nngames.networks.column_passes import ColumnPass, composite_columns, joint_columns
from nngames.networks.compiled.maps import FusedMap
from nngames.networks.composite_pass import CompositePass
from nngames.networks.elimination import Elimination
from nngames.networks.from_base import PassesFromBase
from nngames.networks.joint_pass import JointPass
from nngames.networks.piecewise import Visit
from nngames.networks.roundings import rounding_at


class NetworkGame(Game):
    """The game of a network, with the proximal or the tracking cost; build it with ``network.game(players, cost)``.

    Attributes
    ----------
    network : Network
    cost_name : str
        ``"proximal"`` or ``"tracking"``.
    """

    network: Network

    @staticmethod
    def of(network: Network, players: str = "auto", cost: str = "auto") -> NetworkGame:
        """Return the game of ``network``.

        Parameters
        ----------
        network : Network
        players : {"auto", "layers", "neurons"}
            Whole layers, or every coordinate of separable activations. ``auto``: layers, and neurons where a layer
            feeds itself with a nonsymmetric weight.
        cost : {"auto", "proximal", "tracking"}
            ``auto``: proximal where every activation is monotone, tracking otherwise.

        Raises
        ------
        OptionError, InputError, NotApplicableError
            If the choice does not fit the network; the message names the layer or neuron.
        """
        for what, value, valid in (
            ("players", players, ("auto", "layers", "neurons")),
            ("cost", cost, ("auto", "proximal", "tracking")),
        ):
            check_choice(what, value, valid)
        if cost == "auto":
            cost = "proximal" if all(a.monotone for a in network.activations.values()) else "tracking"
        if cost == "tracking":
            from nngames.games.tracking_game import TrackingGame

            return TrackingGame(network, neurons=players == "neurons")
        return ProximalGame(network, players)

    def residuals(self, profile: Profile) -> Array:
        """Return T(x) - x for the network's joint map T."""
        x = self.space.array(profile, batch=True, finite=False)
        image = self.network.joint(x)
        image -= x
        return image

    def distance(self, profile: Array) -> float:
        """Return |T(x) - x|_2 of one profile (N,)."""
        return self.network.joint.distance(profile)

    def fixed_point(self, kind: str = "auto") -> FixedPoint:
        """Return the view of the composite map O (a ring's default) or of the joint map T."""
        if kind == "auto":
            kind = "joint" if self.network.ring_order is None else "composite"
        if kind == "joint":
            return NetworkMap(self.network)
        if kind == "composite" and self.network.ring_order is not None:
            return CompositeMap(self.network)
        raise _no_map(kind)


class ProximalGame(NetworkGame, CoupledGame):
    """The game with costs J_l = f_l(z) + |z - v_l(x)|^2/2; a self-loop moves into its player's own cost."""

    cost_name = "proximal"

    def __init__(self, network: Network, players: str) -> None:
        for player, activation in network.activations.items():
            if not activation.monotone:
                raise NotApplicableError(f"player {player}: {activation.no_penalty()}")
        loops = self_loops(network)
        if players == "auto":
            whole = all(weight.has_dense and is_symmetric(weight) for weight in loops.values())
            players = "layers" if whole else "neurons"
        own, self_weights = (_neuron_costs if players == "neurons" else _layer_costs)(network, loops)
        CoupledGame.__init__(self, network, own, self_weights, neurons=players == "neurons")

    def cost_constant(self, block: Player, coordinate: int | None, u: Array) -> Any:
        """Return |v_l|^2/2, which completes the square; no player of a block that feeds itself pays such a term."""
        if block in self.self_weights:
            return 0.0
        return 0.5 * (np.sum(u**2, axis=-1) if coordinate is None else u[..., coordinate] ** 2)

    def explain(self, format: str = "text") -> str:
        """Return the players, action spaces, costs and couplings, as ``"text"`` or ``"latex"``."""
        from nngames.games.explain import explain_proximal

        return explain_proximal(self, format)


class _BoundPasses(dict[Any, BoundPass]):
    """The passes of one view by precision, each bound when it is first asked for: that takes as long as a short one."""

    def __init__(self, source: JointPass | CompositePass) -> None:
        super().__init__()
        self._source = source

    def __missing__(self, dtype: Any) -> BoundPass:
        self[dtype] = found = self._source.bound(dtype)
        return found


class NetworkMap(ResponseMap):
    """The joint map T of a network."""

    def __init__(self, network: Network) -> None:
        super().__init__(network.joint, network.joint.linearise, network.size)
        self._joint, self._bound = network.joint, _BoundPasses(network.joint)

    def evaluate(self, x: Array, out: Array) -> Array:
        """Write T(x) into ``out``."""
        return self._bound[x.dtype](x, out)

    def apart(self, x: Array) -> float | None:
        """Return how far |T(x) - x|, as steps tell it, may be from what the game's own pass tells."""
        return self._joint.rounding(x)

    def from_base(self) -> BoundPass | None:
        """Return T as passes near a base; None where a layer is no large dense one."""
        near = self._joint.near
        return None if near is None else PassesFromBase(near, composite=False)

    @property
    def fused(self) -> FusedMap | None:
        """T packed for the compiled kernels; None where they do not take it."""
        return self._joint.fused

    def columns(self, dtype: np.dtype[Any]) -> ColumnPass:
        """Return T on many profiles at once."""
        return joint_columns(self._joint, dtype)

    def jacobian(self, x: Array) -> Array:
        """Return an element of the generalised Jacobian of T as a matrix."""
        return self._joint.linearise(x).transposed().T


class CompositeMap(FixedPoint):
    """The composite map O of a ring, on the last layer's output x_L.

    The profile of x_L is (y_1, ..., y_{L-1}, x_L), y the outputs of the pass from x_L: all layers but the last answer
    exactly, so that the residual of T there is |O(x_L) - x_L|.
    """

    name = "composite"

    def __init__(self, network: Network) -> None:
        self._composite = network.composite
        self.size = self._composite.size
        self._state = self._composite.state
        self._whole = self.size == network.size
        self._bound = _BoundPasses(self._composite)

    def evaluate(self, x: Array, out: Array) -> Array:
        """Write O(x) into ``out``."""
        return self._bound[x.dtype](x, out)

    def from_base(self) -> BoundPass | None:
        """Return O as passes near a base; None where a layer is no large dense one."""
        near = self._composite.near
        return None if near is None else PassesFromBase(near, composite=True)

    def evaluate_by_pieces(self, x: Array, out: Array, visit: Visit) -> None:
        """Write O(x) into ``out`` and visit the pieces of it."""
        if not self._composite.visited(x, out, visit):
            super().evaluate_by_pieces(x, out, visit)

    @property
    def fused(self) -> FusedMap | None:
        """O packed for the compiled kernels; None where they do not take it."""
        return self._composite.fused

    def columns(self, dtype: np.dtype[Any]) -> ColumnPass:
        """Return O on many arguments at once."""
        return composite_columns(self._composite, dtype)

    def restrict(self, profile: Array) -> Array:
        """Return x_L."""
        return profile[..., self._state]

    def profile(self, x: Array) -> Array:
        """Return (y_1, ..., y_{L-1}, x_L) by a pass from x_L, of which the last layer is left out where it can be.

        x itself where there is one layer.
        """
        return x if self._whole else self._composite.completed(x)

    def told(self, x: Array) -> tuple[Array, float, float] | None:
        """Return (y_1, ..., y_{L-1}, x_L) and |y_L - x_L|, y the outputs of a pass from x_L; None of one layer."""
        if self._whole:
            return None
        profile = self._composite(x)
        last = profile[self._state]
        residual = euclidean_length(last - x)
        last[...] = x
        return profile, residual, self._composite.rounding(profile)

    def apart(self, x: Array) -> float | None:
        """Return how far |O(x) - x| may be from |T(x) - x|, of the one layer there is."""
        return self._composite.rounding(x) if self._whole else None

    def rounding(self, profiles: Array) -> float:
        """Return how far the layers' answers may be from those that columns tell, which count as exact."""
        if self._whole or profiles.dtype != np.float64:
            return 0.0
        return rounding_at(profiles, self._composite.apart)

    def linearise(self, x: Array) -> Callable[[Array], Array]:
        """Return d -> J(x) d, the product of the layers' Jacobians."""
        return self._composite.linearise(x)

    def jacobian(self, x: Array) -> Array:
        """Return an element of the generalised Jacobian of O as a matrix."""
        return self._composite.linearise(x).transposed().T

    @property
    def elimination(self) -> Elimination | None:
        """What eliminates the layers before the last."""
        return self._composite.elimination


def _layer_costs(network: Network, loops: dict[Player, LinearMap]) -> tuple[dict[Player, OwnCost], dict[Player, Array]]:
    for player, weight in loops.items():
        if not is_symmetric(weight):
            raise _no_layer_costs(network, player)
    own = {player: OwnCost(activation) for player, activation in network.activations.items()}
    for player, weight in loops.items():
        activation, matrix = network.activations[player], weight.dense
        alone = activation.separable and np.array_equal(matrix, np.diag(np.diag(matrix)))
        own[player] = OwnCost(activation, _left_of_one(np.diag(matrix)) if alone else np.eye(len(matrix)) - matrix)
    return own, {player: weight.dense for player, weight in loops.items()}


def _neuron_costs(
    network: Network, loops: dict[Player, LinearMap]
) -> tuple[dict[Player, OwnCost], dict[Player, Array]]:
    diagonals = {player: diagonal(weight) for player, weight in loops.items()}
    diagonals = {player: entries for player, entries in diagonals.items() if entries.any()}
    own = {}
    for player, activation in network.activations.items():
        if not activation.separable:
            nonsymmetric = next((p for p, weight in loops.items() if not is_symmetric(weight)), None)
            if nonsymmetric is not None:
                raise _no_layer_costs(network, nonsymmetric)
            raise InputError(
                f"player {player} has activation {activation.name!r}, which is not separable: use players='layers'"
            )
        own[player] = OwnCost(activation, _left_of_one(diagonals[player]) if player in diagonals else None)
    return own, diagonals


def _left_of_one(weights: Array) -> Array:
    """Return 1 - w in double precision: of weights in single, the difference is no number of theirs."""
    return np.asarray(1 - weights.astype(np.float64, copy=False))


def _no_layer_costs(network: Network, player: Player) -> InputError:
    """Return the error for a player that feeds itself with a nonsymmetric weight, with what is left to do."""
    whole = f"player {player} feeds itself with a nonsymmetric weight, so no cost of the whole layer has its answer as "
    whole += "minimiser"
    mixing = next((p for p, activation in network.activations.items() if not activation.separable), None)
    if mixing is None:
        return InputError(f"{whole}; use players='neurons'")
    whose = "its" if mixing == player else f"player {mixing}'s"
    return InputError(
        f"{whole}, and {whose} activation {network.activations[mixing].name!r} is not separable, so its neurons are no "
        "players either: the network has no game; iterate it with network.feed, or make the weight symmetric"
    )
