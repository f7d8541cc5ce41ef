"""The tracking game of a network: J_l = |z - r_l(v_l(x))|^2/2, for activations that are the prox of nothing."""

from __future__ import annotations

from typing import Any

import numpy as np

from nngames.core.errors import DomainError, InputError, NotApplicableError
from nngames.core.profiles import Array, Player, Profile
from nngames.games.coupled_game import neuron_space, player_places
from nngames.games.game import scalar
from nngames.games.network_game import NetworkGame
from nngames.games.self_loops import self_loops
from nngames.networks import Network
from nngames.networks.layers import located

_EPS = float(np.finfo(np.float64).eps)


class TrackingGame(NetworkGame):
    """The game with costs |z - r_l(v_l(x))|^2/2: the same equilibria as the network, no hidden convexity.

    Raises
    ------
    NotApplicableError
        If a layer feeds itself: then z enters r_l(v_l) too and the best response is not r_l(v_l).
    """

    cost_name = "tracking"

    def __init__(self, network: Network, neurons: bool) -> None:
        loops = self_loops(network)
        if loops:
            raise NotApplicableError(
                f"player {next(iter(loops))} feeds itself, and the tracking cost is not equivalent to the network "
                "there: use monotone activations with the proximal cost, or iterate the network with network.feed"
            )
        for player, activation in network.activations.items():
            if neurons and not activation.separable:
                raise InputError(
                    f"player {player} has activation {activation.name!r}, which is not separable: use players='layers'"
                )
        self.network = network
        self.neurons = neurons
        self.space = neuron_space(network.space) if neurons else network.space
        self._places = player_places(network.space, neurons)

    @property
    def multiplications(self) -> int:
        """Scalar multiplications of the largest single product of a pass."""
        return self.network.joint.multiplications

    def answers(self, x: Array) -> Array:
        """Return T(x)."""
        return self.network.joint(x)

    def answer(self, player: Player, x: Array) -> Array:
        """Return r_l(v_l(x)) of one player."""
        layer, coordinate = self._places[player]
        try:
            answer = self.network.activations[layer](self.network.joint.layer(layer, x))
        except DomainError as error:
            raise located(layer, error) from None
        return answer if coordinate is None else answer[..., coordinate : coordinate + 1]

    @np.errstate(over="ignore", invalid="ignore")
    def cost(self, player: Player, profile: Profile) -> Any:
        """Return |x_l - r_l(v_l(x))|^2/2."""
        x = self.space.array(profile, batch=True)
        return scalar(0.5 * np.sum((x - self.network.joint(x))[..., self.space.slice(player)] ** 2, axis=-1))

    def regret_bounds(self, profile: Profile) -> dict[Player, tuple[Any, Any]]:
        """Return each player's regret, which is its cost, with a bound on the rounding of x_l - r_l(v_l)."""
        x = self.space.array(profile, batch=True)
        answers = self.network.joint(x)
        result: dict[Player, tuple[Any, Any]] = {}
        for player, where in self.space.slices.items():
            d = np.nan_to_num((x - answers)[..., where], nan=np.inf)
            size, rounding = np.linalg.norm(d, axis=-1), 8 * _EPS * np.linalg.norm(answers[..., where], axis=-1)
            result[player] = (scalar(0.5 * size**2), scalar(size * rounding + rounding**2 + 8 * _EPS * size**2))
        return result

    def explain(self, format: str = "text") -> str:
        """Return the players, action spaces, costs and couplings, as ``"text"`` or ``"latex"``."""
        from nngames.games.explain import explain_tracking

        return explain_tracking(self, format)
