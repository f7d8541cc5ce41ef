"""Parameters of layers that are given as dense weights and biases, checked and put into one profile."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from nngames.core.errors import InputError, ShapeError
from nngames.core.profiles import Array, Player, float_array
from nngames.training.layer_problem import LayerProblem


def stacked(layers: Mapping[Player, LayerProblem], pairs: Mapping[Any, tuple[ArrayLike, ArrayLike]]) -> Array:
    """Return the profile of the layers' weights and biases by layer.

    Raises
    ------
    InputError, ShapeError
        If a layer is missing, is a convolution or is none of these, or a shape does not fit.
    """
    parts = []
    if not isinstance(pairs, Mapping):
        raise InputError(f"parameters are a mapping layer -> (weight, bias); got {type(pairs).__name__}")
    for player in pairs:
        if player not in layers:
            raise InputError(f"parameters has the layer {player!r}; the layers are {', '.join(map(str, layers))}")
    for player, layer in layers.items():
        if player in pairs and (not isinstance(pairs[player], tuple | list) or len(pairs[player]) != 2):
            raise InputError(f"layer {player}: parameters are a pair (weight, bias)")
        if player not in pairs or layer.features.convolution is not None:
            raise InputError(f"dense weights of layer {player} are needed, and it must not be a convolution")
        weight, bias = (np.asarray(float_array(a, f"layer {player}"), dtype=float) for a in pairs[player])
        channels, features = layer.features.shape
        if weight.shape != (channels, features - 1) or bias.shape != (channels,):
            raise ShapeError(
                f"layer {player} has weight {weight.shape} and bias {bias.shape}; expected "
                f"({channels}, {features - 1}) and ({channels},)"
            )
        parts.append(np.concatenate([weight, bias[:, None]], axis=1).ravel())
    return np.concatenate(parts)
