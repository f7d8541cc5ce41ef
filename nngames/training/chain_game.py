"""The game of a whole network: its layers are the players, and all of them pay the network's own loss.

Every layer chooses its weights and pays the same E(theta) of ``chain_loss``, an exact potential, which is convex in the
last layer's action alone. The residual |theta - P(theta - E'(theta))| is 0 exactly at critical
points, of which equilibria are some: this is the game that back-propagation plays.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from nngames.core.errors import NotApplicableError, check_choice
from nngames.core.profiles import Array, Player, Profile, ProfileSpace
from nngames.games import Descent, ProfileMap
from nngames.games.game import scalar
from nngames.results.result import Status
from nngames.training.chain import forward_pass
from nngames.training.chain_loss import ChainLoss
from nngames.training.duality import regret_bound
from nngames.training.explain import gathered
from nngames.training.layer_features import LayerFeatures
from nngames.training.layer_problem import LayerProblem
from nngames.training.training_game import SCALE, TrainingGame


class ChainGame(TrainingGame):
    """The game of the layers 1, ..., L of a chain that all pay its loss.

    Parameters
    ----------
    loss : ChainLoss
    """

    cost_name = "network loss"
    called = "game of a whole network"
    solved_by = "; backpropagation trains it"
    instead = "this game has no best-response map: solve it with --method backpropagation"

    def __init__(self, loss: ChainLoss) -> None:
        self.loss = loss
        sizes = loss.shape.sizes
        layers = range(1, loss.shape.depth + 1)
        self.space = ProfileSpace(tuple(layers), tuple(sizes[k] * (sizes[k - 1] + 1) for k in layers))

    @property
    def multiplications(self) -> int:
        """Scalar multiplications of the largest single product of a pass."""
        sizes = self.loss.shape.sizes
        return len(self.loss.shape.inputs) * max(a * b for a, b in pairwise(sizes))

    @property
    def potential_reason(self) -> str | None:
        """All pay the same."""
        return "all players pay the same, so that is an exact potential"

    @np.errstate(over="ignore", invalid="ignore")
    def potential(self, profile: Profile) -> float:
        """Return E."""
        return self.loss.value_and_gradient(self.space.array(profile))[0]

    @np.errstate(over="ignore", invalid="ignore")
    def cost(self, player: Player, profile: Profile) -> Any:
        """Return what every player pays."""
        self.space.slice(player)
        given = self.space.array(profile, batch=True)
        costs = [self.loss.value_and_gradient(x)[0] for x in np.atleast_2d(given)]
        return scalar(np.array(costs).reshape(given.shape[:-1]))

    @np.errstate(over="ignore", invalid="ignore")
    def regret_bounds(self, profile: Profile) -> dict[Player, tuple[Any, Any]]:
        """Return, in place of each player's regret, an upper bound on it, with an estimate of its rounding error.

        Of the last layer by weak duality; of the others, whose problems are not convex, all that they pay, as no loss
        is negative.
        """
        x, shape = self.space.array(profile), self.loss.shape
        matrices = self.loss.matrices(x)
        _, answers = forward_pass(shape, matrices, shape.inputs)
        ridges = [0.5 * r * float(np.sum(m[:, :-1] ** 2)) for r, m in zip(shape.ridge, matrices, strict=True)]
        loss = self.loss.value_and_gradient(x)[0] - sum(ridges)
        bounds: dict[Player, tuple[Any, Any]] = {
            player: (loss + ridges[layer], 1e-12 * (loss + ridges[layer])) for layer, player in enumerate(self.players)
        }
        last = LayerProblem(
            LayerFeatures(answers[-2], shape.sizes[-1]),
            shape.targets,
            shape.activations[-1],
            shape.weights,
            shape.ridge[-1],
            self.loss.bounds[-1],
        )
        bounds[self.players[-1]] = min(regret_bound(last, matrices[-1]), bounds[self.players[-1]])
        return bounds

    @np.errstate(over="ignore", invalid="ignore")
    def residuals(self, profile: Profile) -> Array:
        """Return P(theta - E'(theta)) - theta."""
        given = self.space.array(profile, batch=True, finite=False)
        steps = [self.loss.natural_step(x, self.loss.value_and_gradient(x)[1]) for x in np.atleast_2d(given)]
        return np.array(steps).reshape(given.shape)

    def advice(self, method: str, ended: Status, more: str) -> str:
        """Return what goes on towards a critical point."""
        if ended in (Status.MAX_ITERATIONS, Status.MAX_SECONDS):
            if method == "backpropagation":
                return f"nothing is proved of a loss that is not convex; if it still falls, allow more: {more}"
            return f"try --method backpropagation, which goes on to a critical point, or {more}"
        if ended is Status.STALLED and method == "backpropagation":
            return f"try a larger --tolerance, another --seed or {SCALE}"
        if method == "backpropagation":
            return f"try {SCALE}, or of optimiser: adam a smaller step_size"
        return "try --method backpropagation, which goes on to a critical point"

    def descent(self) -> Descent:
        """Return E with its gradient."""
        return self.loss

    @cached_property
    def map(self) -> ChainMap:
        """theta -> P(theta - E'(theta))."""
        return ChainMap(self)

    def explain(self, format: str = "text") -> str:
        """Return the players, action spaces and costs, as ``"text"`` or ``"latex"``."""
        check_choice("format", format, ("text", "latex"))
        lines = []
        for (player, n), activation in zip(self.dims.items(), self.loss.shape.activations, strict=True):
            if format == "latex":
                lines.append(rf"\text{{layer {player}}} \in \mathbb{{R}}^{{{n}}}:\quad J = E(\theta)")
            else:
                lines.append(f"layer {player} ({activation.name}): R^{n}, J = E")
        if format == "latex":
            return gathered(lines)
        lines.append("E is the network's loss with its ridges: the last layer's Fenchel-Young loss at its own answers.")
        return "\n".join(lines)


class ChainMap(ProfileMap):
    """theta -> P(theta - E'(theta))."""

    def __init__(self, game: ChainGame) -> None:
        self._loss, self.size = game.loss, game.size

    def profile(self, x: Array) -> Array:
        """Return x, the weights moved into the set that is allowed: the residual there is at most |map(x) - x|."""
        return self._loss.project(x)

    def evaluate(self, x: Array, out: Array) -> Array:
        """Write the projected gradient step at the profile of x into ``out``."""
        theta = self.profile(x)
        out[:] = self._loss.project(theta - self._loss.value_and_gradient(theta)[1])
        return out

    def linearise(self, x: Array) -> Callable[[Array], Array]:
        """Refuse: second derivatives of a network's loss are not computed.

        Raises
        ------
        NotApplicableError
            Always.
        """
        raise NotApplicableError("the map of a whole network's loss is not linearised")
