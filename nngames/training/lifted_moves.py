"""The moves of the lifted game's players: a few steps down each player's own convex cost, none of which raises it.

("weights", l) makes Newton steps with a line search. ("activations", l) makes accelerated proximal gradient steps: its
cost is c_l sum omega [g_l*(z) - <z, v_l>] with a prox, and the next layer's loss, smooth with the curvature
c_{l+1} S_{l+1} |W_{l+1}|_2^2. With k = c_l s/(1 + c_l s) the step s from p goes to the prox of k f_l at
(p - s slope + c_l s v_l)/(1 + c_l s). Accelerated steps may overshoot: the last one is kept only where the cost is not
above that of one plain step, which lowers it by at least |change|^2/(2 s).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from nngames.core.profiles import Array
from nngames.games import Alternation
from nngames.training.descent import newton_steps

if TYPE_CHECKING:
    from nngames.training.lifted_game import LiftedGame

#: Newton steps of a layer's weights in a turn, and accelerated steps of a layer's answers.
NEWTON_STEPS, ANSWER_STEPS = 1, 12


class LiftedMoves(Alternation):
    """The players' moves in a round: from the last hidden answers to the first, then all weights."""

    def __init__(self, game: LiftedGame) -> None:
        self._game = game
        hidden = [("activations", layer) for layer in range(game.depth - 1, 0, -1)]
        self._order = [*hidden, *(("weights", layer) for layer in range(1, game.depth + 1))]
        self.turns = len(self._order)

    def value(self, x: Array) -> float:
        """Return E."""
        return self._game.potential(x)

    def move(self, x: Array, turn: int) -> Array:
        """Return the profile after the mover's steps."""
        kind, layer = self._order[turn]
        following = x.copy()
        where = self._game.space.slices[(kind, layer)]
        if kind == "weights":
            problem = self._game.layer_problem(layer, x)
            following[where] = newton_steps(problem, self._game.matrix(layer, x), NEWTON_STEPS).ravel()
        else:
            following[where] = self._better_answers(layer, x).ravel()
        return following

    def _better_answers(self, layer: int, x: Array) -> Array:
        game, activation = self._game, self._game.activations[layer - 1]
        share, v = game.shares[layer - 1], game.preactivations(layer, x)
        trial, start = x.copy(), game.answers_held(layer, x)
        where = game.space.slices[("activations", layer)]

        def slope(z: Array) -> tuple[Array, float]:
            trial[where] = z.ravel()
            return game.hidden_slope(layer, trial)

        def cost(z: Array) -> float:
            trial[where] = z.ravel()
            return game.loss(layer, trial) + game.loss(layer + 1, trial)

        first, curvature = slope(start)
        size = 1 / curvature if curvature > 0 else 1 / share
        weight = share * size / (1 + share * size)

        def stepped(point: Array, gradient: Array) -> Array:
            return activation.prox((point - size * gradient + share * size * v) / (1 + share * size), weight)

        plain = stepped(start, first)
        z, ahead, t = plain, plain, 1.0
        for _ in range(ANSWER_STEPS - 1):
            following = stepped(ahead, slope(ahead)[0])
            if float(np.sum((ahead - following) * (following - z))) > 0:
                t, ahead = 1.0, following
            else:
                longer = (1 + math.sqrt(1 + 4 * t * t)) / 2
                ahead, t = following + (t - 1) / longer * (following - z), longer
            z = following
        return z if cost(z) <= cost(plain) else plain
