"""The constant part of a pre-activation in rationals, as the data define it: no rounding of a fixed input's product."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from nngames.core.errors import NotApplicableError
from nngames.core.exact import rational
from nngames.core.profiles import Player

if TYPE_CHECKING:
    from nngames.networks.network import Network


def rational_bias(network: Network, player: Player) -> list[Any]:
    """Return a player's bias and, in a chain, the weighted input, in rationals of flint; see ``effective_bias``.

    Raises
    ------
    NotApplicableError
        If the weight of the input is a map without a matrix.
    """
    bias = [rational(float(b)) for b in network.biases[player].tolist()]
    weight: Any = network.input_weight
    if weight is None or network.input is None or player != network.players[0]:
        return bias
    if not (weight.has_dense or hasattr(weight, "matrix")):
        raise NotApplicableError("the weight of the fixed input is a map without a matrix")
    matrix = np.asarray(weight.dense if weight.has_dense else weight.matrix.toarray(), dtype=np.float64)
    given = [rational(x) for x in np.asarray(network.input, dtype=np.float64).tolist()]
    for i, row in enumerate(matrix.tolist()):
        bias[i] = sum((rational(w) * x for w, x in zip(row, given, strict=True) if w), bias[i])
    return bias
