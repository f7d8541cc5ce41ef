"""Games in which player l pays phi_l(z) - <z, u_l(x)> plus a constant: the proximal cost and quadratic games.

phi_l(z) = f_l(z) + z'Q_l z/2 is the player's own cost and u_l(x) = c_l + sum_{k != l} B_lk x_k what the others do.
The sources of u are held as a network whose pre-activations are computed in one pass; a self-loop W_ll is moved out
of u into Q_l. Players are whole blocks (layers) or, where every own cost is separable, single coordinates (neurons).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import numpy as np

from nngames.core.errors import DomainError, NotApplicableError, OptionError
from nngames.core.operators import LinearMap, SparseMap
from nngames.core.profiles import Array, CoordinateSpace, Player, Profile, ProfileSpace
from nngames.games.coupled_inclusion import CoupledInclusion
from nngames.games.game import Game, scalar
from nngames.games.neuron_answers import NeuronAnswers
from nngames.games.own_cost import OwnCost
from nngames.games.views.fixed_points import FixedPoint, ProfileMap
from nngames.games.views.inclusions import Inclusion
from nngames.networks import Network
from nngames.networks.column_passes import ColumnPass, TransposedPass
from nngames.networks.layers import located

#: An action at most this far (relative) off the domain of its penalty is taken to be off by rounding.
DOMAIN_TOLERANCE = 1e-8


class CoupledGame(Game):
    """A game with costs phi_l(z) - <z, u_l(x)>.

    Parameters
    ----------
    network : Network
        Its pre-activations are v(x); its players are the blocks.
    own : mapping block -> OwnCost
        phi_l for each block; with a 1-d metric its coordinates may be players of their own.
    self_weights : mapping block -> array
        What of v_l(x) is the block's own: (n,) a diagonal, (n, n) a matrix; u_l(x) = v_l(x) - that @ x_l.
    neurons : bool
        Whether each coordinate is a player.
    """

    network: Network

    def __init__(
        self, network: Network, own: Mapping[Player, OwnCost], self_weights: Mapping[Player, Array], neurons: bool
    ) -> None:
        self.network = network
        self.own = dict(own)
        self.self_weights = dict(self_weights)
        self.neurons = neurons
        self.space = neuron_space(network.space) if neurons else network.space
        for block, cost in self.own.items():
            cost.require_strongly_convex(str(block), looped=block in self.self_weights)

    # Structure, for certificates and checks

    @property
    def blocks(self) -> ProfileSpace:
        """The blocks of the profile: the players themselves, or the layers that neurons belong to."""
        return self.network.space

    @property
    def linear(self) -> bool:
        """Whether every coupling is linear."""
        return self.network.linear

    @property
    def multiplications(self) -> int:
        """Scalar multiplications of the largest single product of a pass."""
        return self.network.joint.multiplications

    def block_of(self, player: Player) -> tuple[Player, int | None]:
        """Return the block of a player and, for a neuron, its coordinate in it."""
        self.space.slice(player)
        return self._places[player]

    @cached_property
    def _places(self) -> dict[Player, tuple[Player, int | None]]:
        return player_places(self.blocks, self.neurons)

    def couplings(self) -> dict[tuple[Player, Player], LinearMap]:
        """Return the maps B_lk between distinct blocks, by (l, k): the signs are those of u = c + sum B x.

        Raises
        ------
        NotApplicableError
            If a coupling is not linear.
        """
        return {edge: weight for edge, weight in self.network.weights.items() if edge[0] != edge[1]}

    # Evaluation

    def drive(self, x: Array) -> Array:
        """Return u(x) = (u_1, ..., u_L) for x (..., N)."""
        u = self.network.joint.preactivations(x)
        self._take_own(x, u)
        return u

    def _take_own(self, x: Array, u: Array) -> None:
        """Take what the blocks' own actions contribute out of ``u``."""
        for block, weight in self.self_weights.items():
            where = self.blocks.slices[block]
            u[..., where] -= weight * x[..., where] if weight.ndim == 1 else x[..., where] @ weight.T

    def block_drive(self, block: Player, x: Array) -> Array:
        """Return u_l(x) of one block."""
        u = self.network.joint.layer(block, x)
        weight = self.self_weights.get(block)
        if weight is not None:
            part = x[..., self.blocks.slices[block]]
            u = u - (weight * part if weight.ndim == 1 else part @ weight.T)
        return u

    def answers(self, x: Array) -> Array:
        """Return all best responses for a valid x (..., N)."""
        u = self.drive(x)
        if all(cost.metric is None for cost in self.own.values()):
            return self.network.joint.respond(u, u)
        for block, where in self.blocks.slices.items():
            u[..., where] = self._block_answer(block, u[..., where])
        return u

    def _block_answer(self, block: Player, u: Array) -> Array:
        """Return the answers of one block to u_l."""
        try:
            return self.own[block].response(u)
        except DomainError as error:
            raise located(block, error) from None

    def linearise_answers(self, x: Array) -> Callable[[Array], Array]:
        """Return d -> J(x) d, J a generalised Jacobian of the best responses, for x (N,) and d (N,) or (count, N)."""
        u = self.drive(x)
        changes = [(where, self.own[block].linearise(u[where])) for block, where in self.blocks.slices.items()]

        def change(d: Array) -> Array:
            out = self.network.joint.preactivation_changes(x, d)
            self._take_own(d, out)
            for where, respond in changes:
                out[..., where] = respond(out[..., where])
            return out

        return change

    def answer(self, player: Player, x: Array) -> Array:
        """Return one player's best response for a valid x (..., N)."""
        block, coordinate = self._places[player]
        if coordinate is not None and self._neurons_alone is not None and x.ndim == 1:
            try:
                return self._neurons_alone(self.space.slices[player].start, x)
            except DomainError as error:
                raise located(player, error) from None
        answer = self._block_answer(block, self.block_drive(block, x))
        return answer if coordinate is None else answer[..., coordinate : coordinate + 1]

    @cached_property
    def _neurons_alone(self) -> NeuronAnswers | None:
        """The answers of single neurons from single rows of W; None where W cannot be stored by rows."""
        sized = any(cost.activation.size is not None for cost in self.own.values())
        if sized or not self.linear or not all(map(_has_rows, self.network.weights.values())):
            return None
        return NeuronAnswers(self.network, self.own, self.self_weights)

    @np.errstate(over="ignore", invalid="ignore")
    def cost(self, player: Player, profile: Profile) -> Any:
        """Return J_player at the profile, with the constant that ``cost_constant`` adds."""
        x = self.space.array(profile, batch=True)
        block, coordinate = self.block_of(player)
        z, u, own = x[..., self.blocks.slices[block]], self.block_drive(block, x), self.own[block]
        if coordinate is None:
            value = own.value(z) - np.sum(z * u, axis=-1)
        else:
            terms = own.activation.penalty(z) + 0.5 * z * own.quadratic(z) - z * u
            value = terms[..., coordinate]
        return scalar(value + self.cost_constant(block, coordinate, u))

    def cost_constant(self, block: Player, coordinate: int | None, u: Array) -> Any:
        """Return the part of the cost that does not depend on the player's own action; 0 unless a game has one."""
        return 0.0

    def regret_bounds(self, profile: Profile) -> dict[Player, tuple[Any, Any]]:
        """Return each player's regret with a bound on its rounding error; see ``Game``."""
        x = self.space.array(profile, batch=True)
        u = self.drive(x)
        result: dict[Player, tuple[Any, Any]] = {}
        names = iter(self.players)
        for block, where in self.blocks.slices.items():
            own = self.own[block]
            try:
                value, error = _regret(own, x[..., where], u[..., where], self.neurons)
            except DomainError as refusal:
                raise located(block, refusal) from None
            if self.neurons:
                for i in range(value.shape[-1]):
                    result[next(names)] = (scalar(value[..., i]), scalar(error[..., i]))
            else:
                result[next(names)] = (scalar(value), scalar(error))
        return result

    def domain_distances(self, profile: Profile) -> dict[Player, Any]:
        """Return the distance of each player's action to the domain of its penalty."""
        x = self.space.array(profile, batch=True)
        result: dict[Player, Any] = {}
        for player in self.players:
            block, coordinate = self.block_of(player)
            z = x[..., self.blocks.slices[block]]
            gaps = z - self.own[block].activation.domain.project(z)
            result[player] = scalar(
                np.linalg.norm(gaps, axis=-1) if coordinate is None else np.abs(gaps[..., coordinate])
            )
        return result

    def residuals(self, profile: Profile) -> Array:
        """Return BR(x) - x."""
        x = self.space.array(profile, batch=True, finite=False)
        answers = self.answers(x)
        answers -= x
        return answers

    def fixed_point(self, kind: str = "auto") -> FixedPoint:
        """Return the view of the best-response map."""
        if kind in ("auto", "joint"):
            return ResponseMap(self.answers, self.linearise_answers, self.size)
        raise _no_map(kind)

    def inclusion(self) -> Inclusion:
        """Return the inclusion 0 in dF(x) + M x + q with M = diag(Q_l) - B."""
        return self._inclusion

    @cached_property
    def _inclusion(self) -> Inclusion:
        return CoupledInclusion(self)


class ResponseMap(ProfileMap):
    """The joint map of all players' answers, from a function of the profile and its linearisation."""

    def __init__(
        self,
        respond: Callable[[Array], Array],
        linearise: Callable[[Array], Callable[[Array], Array]],
        size: int,
    ) -> None:
        self._respond, self._linearise = respond, linearise
        self.size = size

    def evaluate(self, x: Array, out: Array) -> Array:
        """Write the answers to x into ``out``."""
        out[...] = self._respond(x)
        return out

    def apart(self, x: Array) -> float | None:
        """Return 0: the game's residual is that of this map."""
        return 0.0

    def linearise(self, x: Array) -> Callable[[Array], Array]:
        """Return d -> J(x) d, J an element of the generalised Jacobian."""
        return self._linearise(x)

    def columns(self, dtype: np.dtype[Any]) -> ColumnPass:
        """Return the answers to many profiles at once."""
        return TransposedPass(self._respond, dtype)


def _has_rows(weight: LinearMap) -> bool:
    return isinstance(weight, SparseMap) or weight.has_dense


def _regret(own: OwnCost, z: Array, u: Array, neurons: bool) -> tuple[Array, Array]:
    """Return the regrets and their error bounds; off dom f by rounding alone, those of the projected action."""
    regret = own.coordinate_regret if neurons else own.regret
    value, error = regret(z, u)
    # Beyond about 1e154 squares overflow, and inf - inf says nothing.
    value = np.where(np.isnan(value), np.inf, value)
    outside = np.isinf(value)
    if not np.any(outside):
        return value, error
    projected, forgiven = _into_domain(own, z, neurons)
    nearest, nearest_error = regret(projected, u)
    use = outside & forgiven
    return np.where(use, nearest, value), np.where(use, nearest_error, error)


def _into_domain(own: OwnCost, z: Array, neurons: bool) -> tuple[Array, Any]:
    """Return z projected on dom f, and where it was inside up to rounding: by coordinate for neurons."""
    projected = own.activation.domain.project(z)
    if neurons:
        return projected, np.abs(projected - z) <= DOMAIN_TOLERANCE * np.maximum(1, np.abs(z))
    size = np.linalg.norm(z, axis=-1)
    return projected, np.linalg.norm(projected - z, axis=-1) <= DOMAIN_TOLERANCE * np.maximum(1, size)


def player_places(blocks: ProfileSpace, neurons: bool) -> dict[Player, tuple[Player, int | None]]:
    """Return the block of each player and, for neurons, the coordinate in it."""
    if not neurons:
        return {player: (player, None) for player in blocks.players}
    places = [(block, i) for block, n in blocks.dims.items() for i in range(n)]
    return dict(zip(neuron_space(blocks).players, places, strict=True))


def neuron_space(blocks: ProfileSpace) -> ProfileSpace:
    """Return the space in which every coordinate is a player, named ``layer[i]``."""
    return CoordinateSpace(blocks)


def _no_map(kind: str) -> Exception:
    if kind == "composite":
        return NotApplicableError("the composite map belongs to a network that is a ring: use the joint map")
    return OptionError(f"unknown map {kind!r}; valid: auto, composite, joint")
