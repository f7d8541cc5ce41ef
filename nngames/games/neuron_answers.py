"""Best responses of single neurons, each from its own row of W, without a pass over its layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from nngames.core.operators import DENSE_ENTRIES
from nngames.core.profiles import Array, Player
from nngames.games.own_cost import OwnCost
from nngames.networks import Network
from nngames.networks.assembly import assembled_weight


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
        from scipy import sparse

        weight: Any = assembled_weight(network)
        own_part = np.zeros(network.size)
        for layer, entries in self_weights.items():
            own_part[network.space.slices[layer]] = entries
        others = sparse.csr_array(weight.matrix - sparse.diags_array(own_part))
        self._dense = others.toarray() if network.size**2 <= DENSE_ENTRIES else None
        self._starts, self._sources, self._values = others.indptr, others.indices, others.data
        # In double precision: a float of Python beside a number in single precision would become one.
        self._bias = np.concatenate([network.effective_bias(layer) for layer in network.players], dtype=np.float64)
        self._own: list[OwnCost] = []
        for layer, n in network.space.dims.items():
            cost = own[layer]
            metrics = [None] * n if cost.metric is None else [cost.metric[i : i + 1] for i in range(n)]
            self._own += [OwnCost(cost.activation, metric) for metric in metrics]

    def __call__(self, index: int, x: Array) -> Array:
        """Return the answer of the neuron at ``index`` to the profile x (N,)."""
        return self._own[index].response(np.array([self._bias[index] + self._heard(index, x)]))

    def _heard(self, index: int, x: Array) -> float:
        if self._dense is not None:
            return float(self._dense[index] @ x)
        row = slice(self._starts[index], self._starts[index + 1])
        return float(self._values[row] @ x[self._sources[row]])
