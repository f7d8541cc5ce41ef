"""Best responses of single neurons, each from its own row of W, without a pass over its layer."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nngames.core.profiles import Array, Player
from nngames.games.own_cost import OwnCost
from nngames.networks import Network
from nngames.networks.passes import assembled_weight


class NeuronAnswers:
    """The answers of the neurons of a linear network with separable activations.

    Parameters
    ----------
    network : Network
    own : mapping layer -> OwnCost
        With a 1-d metric or none.
    self_weights : mapping layer -> ndarray (n,)
        The diagonal weights that belong to the neurons' own costs.
    """

    def __init__(self, network: Network, own: Mapping[Player, OwnCost], self_weights: Mapping[Player, Array]) -> None:
        self._rows = assembled_weight(network).dense.copy()
        self._bias = np.concatenate([network.effective_bias(layer) for layer in network.players])
        self._own: list[OwnCost] = []
        for layer, where in network.space.slices.items():
            cost, diagonal = own[layer], self_weights.get(layer)
            for i in range(where.stop - where.start):
                if diagonal is not None:
                    self._rows[where.start + i, where.start + i] -= diagonal[i]
                metric = None if cost.metric is None else cost.metric[i : i + 1]
                self._own.append(OwnCost(cost.activation, metric))

    def __call__(self, index: int, x: Array) -> Array:
        """Return the answer of the neuron at ``index`` to the profile x (N,)."""
        return self._own[index].response(np.array([self._bias[index] + self._rows[index] @ x]))
