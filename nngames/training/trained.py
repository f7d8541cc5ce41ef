"""A trained chain: its weights and activations, what it answers, and the network that it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from nngames.activations import Activation
from nngames.core.errors import ShapeError
from nngames.core.profiles import Array, float_array
from nngames.networks import Network
from nngames.training.data import sample_rows


@dataclass(frozen=True, eq=False)
class TrainedNetwork:
    """A chain of dense layers.

    Attributes
    ----------
    weights : tuple of L ndarray (n_l, n_{l-1})
    biases : tuple of L ndarray (n_l,)
    activations : tuple of L Activation
    """

    weights: tuple[Array, ...]
    biases: tuple[Array, ...]
    activations: tuple[Activation, ...]

    @classmethod
    def of_matrices(cls, matrices: Sequence[Array], activations: Sequence[Activation]) -> TrainedNetwork:
        """Return the chain of the matrices (W, b)."""
        weights = tuple(np.array(matrix[:, :-1]) for matrix in matrices)
        return cls(weights, tuple(np.array(matrix[:, -1]) for matrix in matrices), tuple(activations))

    def predict(self, inputs: ArrayLike) -> Array:
        """Return the answers (T, n_L) to inputs (T, n_0).

        Raises
        ------
        ShapeError
            If the inputs have another number of columns.
        """
        x = sample_rows(inputs, "inputs")
        if x.shape[1] != self.weights[0].shape[1]:
            raise ShapeError(f"inputs has {x.shape[1]} columns; expected {self.weights[0].shape[1]}")
        for weight, bias, activation in zip(self.weights, self.biases, self.activations, strict=True):
            x = activation(x @ weight.T + bias)
        return x

    def chain(self, input: ArrayLike) -> Network:
        """Return the open chain on one input (n_0,)."""
        return Network.chain(
            list(self.weights), list(self.biases), list(self.activations), input=float_array(input, "input")
        )

    def ring(self) -> Network:
        """Return the ring that feeds its answers back as inputs.

        Raises
        ------
        ShapeError
            If inputs and answers have different sizes.
        """
        before, after = self.weights[0].shape[1], self.weights[-1].shape[0]
        if before != after:
            raise ShapeError(f"a ring needs answers of the inputs' size; the network maps {before} numbers to {after}")
        return Network.ring(list(self.weights), list(self.biases), list(self.activations))
