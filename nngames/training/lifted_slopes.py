"""The derivative of the lifted game's map: what a change of weights and answers does to gradients and answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nngames.core.profiles import Array

if TYPE_CHECKING:
    from nngames.training.lifted_game import LiftedGame


class LinearisedLift:
    """d -> J d at a profile x, the metrics of the layers' problems held fixed.

    With dv = dW z + db + W dz of each layer, its gradient changes by sum omega [(r'(v) dv - dz) (z, 1)' + (r(v) - z)
    (dz, 0)'] and the ridge's part, and u, of the answers r(u), by dv less what the next layer's misses and weights add.
    """

    def __init__(self, game: LiftedGame, x: Array) -> None:
        self._game, self._x = game, x
        layers = range(1, game.depth + 1)
        self._v = {layer: game.preactivations(layer, x) for layer in layers}
        self._misses = {
            layer: game.activations[layer - 1](self._v[layer]) - game.answers_held(layer, x) for layer in layers
        }
        self._metric = {layer: game.layer_problem(layer, x).steady_metric for layer in layers}
        self._pulled = {layer: game.pulled(layer, x) for layer in layers[:-1]}

    def __call__(self, d: Array) -> Array:
        """Return J d for one direction (N,)."""
        game, x, result = self._game, self._x, np.empty_like(d)
        changed, bent = {}, {}
        for layer in range(1, game.depth + 1):
            theta, turned = game.matrix(layer, x), game.matrix(layer, d)
            changed[layer] = game.answers_held(layer - 1, x) @ turned[:, :-1].T + turned[:, -1]
            if layer > 1:
                changed[layer] += game.answers_held(layer - 1, d) @ theta[:, :-1].T
            bent[layer] = game.activations[layer - 1].jvp(self._v[layer], changed[layer])
            if layer < game.depth:
                bent[layer] = bent[layer] - game.answers_held(layer, d)
        for layer in range(1, game.depth + 1):
            turned, omega = game.matrix(layer, d), game.weights[:, None]
            slope = np.empty_like(turned)
            slope[:, :-1] = (omega * bent[layer]).T @ game.answers_held(layer - 1, x)
            slope[:, -1] = (omega * bent[layer]).sum(axis=0)
            if layer > 1:
                slope[:, :-1] += (omega * self._misses[layer]).T @ game.answers_held(layer - 1, d)
            slope[:, :-1] += game.ridge[layer - 1] / game.shares[layer - 1] * turned[:, :-1]
            where = game.space.slices[("weights", layer)]
            result[where] = (turned - slope / self._metric[layer]).ravel()
        for layer in range(1, game.depth):
            ratio = game.shares[layer] / game.shares[layer - 1]
            after = bent[layer + 1] @ game.matrix(layer + 1, x)[:, :-1]
            after = after + self._misses[layer + 1] @ game.matrix(layer + 1, d)[:, :-1]
            drawn = game.activations[layer - 1].jvp(self._pulled[layer], changed[layer] - ratio * after)
            result[game.space.slices[("activations", layer)]] = drawn.ravel()
        return result
