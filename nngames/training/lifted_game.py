"""The lifted game: each layer's weights and each hidden layer's answers are players, and the answers need not be exact.

With c_l > 0 and z_0 = x, z_L = y given, player ("weights", l) chooses Theta_l and pays the layer's Fenchel-Young loss

    c_l sum_t omega_t [g_l(v_lt) + g_l*(z_lt) - <v_lt, z_lt>] + ridge_l |W_l|^2/2,  v_lt = W_l z_{l-1,t} + b_l,

and player ("activations", l) chooses z_l and pays the losses of its own layer and of the next. No loss is counted twice
by one player, and each enters with the same factor for all who feel it, so the sum E of all of them is an exact
potential. E is convex in each player's action, strongly in z_l, and not jointly. Without ridges it is 0 exactly where
every layer answers its input, z_l = r_l(v_l): then the network fits. At other equilibria the z_l are not the answers of
the network. These are the Fenchel lifted networks of [gu2020], read as a game.

Whether nobody can gain is told by gaps: with u = v_l - (c_{l+1}/c_l) W_{l+1}'(r_{l+1}(v_{l+1}) - z_{l+1}), convexity of
the next loss bounds what ("activations", l) could gain by c_l sum_t omega_t [g_l*(z_l) + g_l(u) - <z_l, u>], which is 0
exactly at z_l = r_l(u).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np

from nngames.activations import Activation
from nngames.core.errors import NotApplicableError, check_choice
from nngames.core.profiles import Array, Player, Profile, ProfileSpace
from nngames.games import Alternation, Descent, ProfileMap
from nngames.games.game import scalar
from nngames.results.result import Status
from nngames.training.constraints import project_spectral
from nngames.training.duality import regret_bound
from nngames.training.explain import gathered
from nngames.training.layer_features import LayerFeatures
from nngames.training.layer_problem import LayerProblem
from nngames.training.lifted_moves import LiftedMoves
from nngames.training.lifted_rounding import (
    rounding_of_bound,
    rounding_of_gaps,
    rounding_of_preactivations,
    rounding_of_pulled,
)
from nngames.training.lifted_slopes import LinearisedLift
from nngames.training.training_game import SCALE, TrainingGame


def role(player: Player) -> tuple[str, int]:
    """Return what a player of the lifted game holds, ``"weights"`` or ``"activations"``, and of which layer."""
    named: Any = player
    return named[0], named[1]


class LiftedGame(TrainingGame):
    """The game of a chain's weights and hidden answers; its profile holds W and b of layer 1, z_1, W and b of 2, ...

    Parameters
    ----------
    inputs : ndarray (T, n_0)
    targets : ndarray (T, n_L)
    activations : tuple of L Activation
        Gradients of convex functions with Lipschitz constants.
    widths : tuple of int
        n_1, ..., n_{L-1}.
    weights : ndarray (T,)
        omega.
    ridge : tuple of L floats
    shares : tuple of L floats
        c_l.
    bounds : tuple of L floats or None
        Bounds on |W_l|_2.
    """

    cost_name = "lifted loss"
    called = "lifted game"
    solved_by = "; alternating and backpropagation train where hidden targets are found"
    instead = "the lifted game has no best-response map: solve it with --method alternating"

    def __init__(
        self,
        inputs: Array,
        targets: Array,
        activations: tuple[Activation, ...],
        widths: tuple[int, ...],
        weights: Array,
        ridge: tuple[float, ...],
        shares: tuple[float, ...],
        bounds: tuple[float | None, ...],
    ) -> None:
        self.inputs, self.targets, self.activations = inputs, targets, activations
        self.weights, self.ridge, self.shares, self.bounds = weights, ridge, shares, bounds
        self.sizes = (inputs.shape[1], *widths, targets.shape[1])
        self.depth = len(activations)
        self._metric: Array | None = None
        players: list[Player] = []
        dims: list[int] = []
        for layer in range(1, self.depth + 1):
            players.append(("weights", layer))
            dims.append(self.sizes[layer] * (self.sizes[layer - 1] + 1))
            if layer < self.depth:
                players.append(("activations", layer))
                dims.append(len(inputs) * self.sizes[layer])
        self.space = ProfileSpace(tuple(players), tuple(dims))

    @property
    def multiplications(self) -> int:
        """Scalar multiplications of the largest single product of a pass."""
        return len(self.inputs) * max(a * b for a, b in zip(self.sizes, self.sizes[1:], strict=False))

    # What the players hold

    def matrix(self, layer: int, x: Array) -> Array:
        """Return (W, b) (n_l, n_{l-1} + 1) of a layer, a view of the profile."""
        shape = (self.sizes[layer], self.sizes[layer - 1] + 1)
        return x[self.space.slices[("weights", layer)]].reshape(shape)

    def answers_held(self, layer: int, x: Array) -> Array:
        """Return z_l (T, n_l): of layer 0 the inputs, of the last one the targets."""
        if layer == 0:
            return self.inputs
        if layer == self.depth:
            return self.targets
        return x[self.space.slices[("activations", layer)]].reshape(len(self.inputs), self.sizes[layer])

    def preactivations(self, layer: int, x: Array) -> Array:
        """Return v_l (T, n_l)."""
        theta = self.matrix(layer, x)
        return self.answers_held(layer - 1, x) @ theta[:, :-1].T + theta[:, -1]

    def layer_problem(self, layer: int, x: Array) -> LayerProblem:
        """Return the problem of ("weights", l) among the others' actions, divided by c_l."""
        features = self._first if layer == 1 else LayerFeatures(self.answers_held(layer - 1, x), self.sizes[layer])
        held = self.answers_held(layer, x)
        ridge = self.ridge[layer - 1] / self.shares[layer - 1]
        problem = LayerProblem(features, held, self.activations[layer - 1], self.weights, ridge, self.bounds[layer - 1])
        if layer == 1:
            # Of the inputs alone, which stay as they are.
            if self._metric is None:
                self._metric = problem.metric
            problem.metric = self._metric
        return problem

    @cached_property
    def _first(self) -> LayerFeatures:
        return LayerFeatures(self.inputs, self.sizes[1])

    def loss(self, layer: int, x: Array) -> float:
        """Return c_l times the layer's loss, without the ridge."""
        activation = self.activations[layer - 1]
        gaps, _ = activation.gap(self.answers_held(layer, x), self.preactivations(layer, x))
        return self.shares[layer - 1] * float(np.dot(self.weights, activation.layer_sum(gaps)))

    def ridge_loss(self, layer: int, x: Array) -> float:
        """Return ridge_l |W_l|^2/2."""
        return 0.5 * self.ridge[layer - 1] * float(np.sum(self.matrix(layer, x)[:, :-1] ** 2))

    @property
    def potential_reason(self) -> str | None:
        """Every loss enters alike for all who feel it."""
        return (
            "each loss has the same factor for all players who feel it, so the sum of all losses is an exact potential"
        )

    def potential(self, profile: Profile) -> float:
        """Return E: the sum of all losses and ridges, an exact potential."""
        x = self.space.array(profile)
        return sum(self.loss(layer, x) + self.ridge_loss(layer, x) for layer in range(1, self.depth + 1))

    # The protocol

    @np.errstate(over="ignore", invalid="ignore")
    def cost(self, player: Player, profile: Profile) -> Any:
        """Return what the player pays; +inf where held answers leave the domain."""
        self.space.slice(player)
        given = self.space.array(profile, batch=True)
        kind, layer = role(player)
        costs = []
        for x in np.atleast_2d(given):
            if kind == "weights":
                costs.append(self.loss(layer, x) + self.ridge_loss(layer, x))
            else:
                costs.append(self.loss(layer, x) + self.loss(layer + 1, x))
        return scalar(np.array(costs).reshape(given.shape[:-1]))

    def pulled(self, layer: int, x: Array) -> Array:
        """Return u (T, n_l), at whose answers r_l(u) nobody pulls z_l any more."""
        misses = self.activations[layer](self.preactivations(layer + 1, x)) - self.answers_held(layer + 1, x)
        ratio = self.shares[layer] / self.shares[layer - 1]
        return self.preactivations(layer, x) - ratio * misses @ self.matrix(layer + 1, x)[:, :-1]

    def regret_bounds(self, profile: Profile) -> dict[Player, tuple[Any, Any]]:
        """Return, in place of each player's regret, an upper bound on it, with its rounding error."""
        x = self.space.array(profile)
        bounds: dict[Player, tuple[Any, Any]] = {}
        for player in self.players:
            kind, layer = role(player)
            share, activation = self.shares[layer - 1], self.activations[layer - 1]
            if kind == "weights":
                bound, rounding = regret_bound(self.layer_problem(layer, x), self.matrix(layer, x))
                off = rounding_of_preactivations(self, layer, x)
                rounding += rounding_of_bound(activation, bound, self.weights, off)
            else:
                z, u = self.answers_held(layer, x), self.pulled(layer, x)
                gaps, errors = activation.gap(z, u)
                bound = float(np.dot(self.weights, activation.layer_sum(gaps)))
                errors = activation.layer_sum(errors)
                errors = errors + rounding_of_gaps(activation, z, u, rounding_of_pulled(self, layer, x))
                rounding = float(np.dot(self.weights, errors))
            bounds[player] = (share * bound, share * rounding)
        return bounds

    def alternation(self) -> Alternation:
        """Return the players' moves in turn, each of which lowers E."""
        return self._moves

    @cached_property
    def _moves(self) -> LiftedMoves:
        return LiftedMoves(self)

    def advice(self, method: str, ended: Status, more: str) -> str:
        """Return what moves in turn need to settle."""
        if method != "alternating":
            return "try --method alternating, whose moves never raise the sum of all losses"
        if ended not in (Status.MAX_ITERATIONS, Status.MAX_SECONDS):
            return f"try another --seed or {SCALE}"
        obstacle = self.alternation().obstacle
        if obstacle is None:
            return f"the residual is proved to tend to 0, so allow more: {more}"
        return f"the sum of all losses never increases, but {obstacle}, so nothing more is proved: allow more, {more}"

    def descent(self) -> Descent:
        """Refuse: the network's own loss is paid in another game.

        Raises
        ------
        NotApplicableError
            Always.
        """
        raise NotApplicableError(
            "the players of the lifted game do not share one loss; nngames train and run let it play the game of the "
            "whole network, LiftedTraining.chain()"
        )

    @cached_property
    def map(self) -> LiftedMap:
        """The gradient step of every weight, and z_l -> r_l(u) of every hidden layer."""
        return LiftedMap(self)

    def explain(self, format: str = "text") -> str:
        """Return the players, action spaces and costs, as ``"text"`` or ``"latex"``."""
        check_choice("format", format, ("text", "latex"))
        lines = []
        for player, n in self.dims.items():
            kind, layer = role(player)
            name = self.activations[layer - 1].name
            ridge, bound = self.ridge[layer - 1], self.bounds[layer - 1]
            paid = f"D_{layer}"
            if kind == "activations":
                paid += f" + D_{layer + 1}"
            elif ridge:
                paid += rf" + \frac{{{ridge:g}}}{{2}}\|W\|^2" if format == "latex" else f" + {ridge:g} |W|^2/2"
            limit = ""
            if kind == "weights" and bound is not None:
                limit = rf",\ \|W\|_2 \le {bound:g}" if format == "latex" else f", |W|_2 <= {bound:g}"
            if format == "latex":
                lines.append(rf"\text{{{kind} {layer}}} \in \mathbb{{R}}^{{{n}}}{limit}:\quad J = {paid}")
            else:
                lines.append(f"{kind} of layer {layer} ({name}): R^{n}{limit}, J = {paid}")
        if format == "latex":
            return gathered(lines)
        lines.append(
            "D_l = c_l sum_t omega_t [g_l(v) + g_l*(z) - <v, z>], v = W_l z_{l-1} + b_l; their sum is a potential."
        )
        return "\n".join(lines)


class LiftedMap(ProfileMap):
    """R: a projected gradient step, a safe one, of each layer's weights, and z_l -> r_l(u_l) of each hidden layer."""

    def __init__(self, game: LiftedGame) -> None:
        self._game, self.size = game, game.size

    def profile(self, x: Array) -> Array:
        """Return x, its weights moved onto their bounds: the game's residual there is at most |map(x) - x|."""
        bounds = self._game.bounds
        if all(bound is None for bound in bounds):
            return x
        moved = x.copy()
        for layer, bound in enumerate(bounds, start=1):
            if bound is not None:
                matrix = self._game.matrix(layer, moved)
                matrix[:, :-1] = project_spectral(matrix[:, :-1], bound)
        return moved

    def evaluate(self, x: Array, out: Array) -> Array:
        """Write R at the profile of x into ``out``."""
        game, x = self._game, self.profile(x)
        for player, where in game.space.slices.items():
            kind, layer = role(player)
            if kind == "weights":
                problem, theta = game.layer_problem(layer, x), game.matrix(layer, x)
                out[where] = problem.project(theta - problem.gradient(theta) / problem.steady_metric).ravel()
            else:
                out[where] = game.activations[layer - 1](game.pulled(layer, x)).ravel()
        return out

    def linearise(self, x: Array) -> Callable[[Array], Array]:
        """Return d -> J(x) d, in which the step sizes count as constants: at an equilibrium their change is worth 0.

        Raises
        ------
        NotApplicableError
            If weights are bounded.
        """
        if any(bound is not None for bound in self._game.bounds):
            raise NotApplicableError("the map of the lifted game is not linearised where weights are bounded")
        linear = LinearisedLift(self._game, x)
        return lambda d: linear(d) if d.ndim == 1 else np.array([linear(row) for row in d])
