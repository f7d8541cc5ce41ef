"""A chain of dense layers to train on samples: its checked data and sizes, random first weights, and forward passes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from nngames.activations import Activation
from nngames.core.errors import InputError, ShapeError
from nngames.core.profiles import Array
from nngames.training.data import check_reach, read_activation, read_numbers, sample_rows, sample_weights


class ChainShape:
    """The data, sizes and activations of a chain, checked.

    Attributes
    ----------
    inputs, targets : ndarray (T, n_0), (T, n_L)
    activations : tuple of L Activation
    widths : tuple of L - 1 int
    weights : ndarray (T,)
    ridge : tuple of L floats
    sizes : tuple of L + 1 int
    depth : int
        L.
    """

    def __init__(
        self,
        inputs: ArrayLike,
        targets: ArrayLike,
        activations: Sequence[Any],
        widths: Sequence[int],
        *,
        weights: ArrayLike | None = None,
        ridge: Any = 0.0,
    ) -> None:
        if isinstance(activations, str) or not activations:
            raise InputError("activations must be a sequence with one activation for each layer")
        self.activations: tuple[Activation, ...] = tuple(read_activation(a) for a in activations)
        self.depth = len(self.activations)
        given = list(widths)
        if len(given) != self.depth - 1:
            raise ShapeError(f"{self.depth} layers have {self.depth - 1} hidden widths; widths has {len(given)}")
        for width in given:
            if isinstance(width, bool) or not isinstance(width, int | np.integer) or width < 1:
                raise InputError(f"widths must be positive integers; got {width!r}")
        self.widths = tuple(int(width) for width in given)
        self.inputs = sample_rows(inputs, "inputs")
        self.targets = check_reach(sample_rows(targets, "targets", len(self.inputs)), self.activations[-1], "targets")
        self.sizes = (self.inputs.shape[1], *self.widths, self.targets.shape[1])
        for activation, size in zip(self.activations, self.sizes[1:], strict=True):
            activation.check_size(size)
        self.weights = sample_weights(weights, len(self.inputs))
        self.ridge: tuple[float, ...] = tuple(read_numbers("ridge", ridge, self.depth, none=False))


def initial_parameters(shape: ChainShape, rng: np.random.Generator) -> list[Array]:
    """Return random matrices (W, b): W uniform in +- sqrt(6/(n_in + n_out)), b = 0 [glorot2010]."""
    matrices = []
    for before, after in zip(shape.sizes, shape.sizes[1:], strict=False):
        reach = np.sqrt(6 / (before + after))
        weight = rng.uniform(-reach, reach, size=(after, before))
        matrices.append(np.concatenate([weight, np.zeros((after, 1))], axis=1))
    return matrices


def forward_pass(shape: ChainShape, matrices: Sequence[Array], inputs: Array) -> tuple[list[Array], list[Array]]:
    """Return the pre-activations v_1, ..., v_L and the answers z_0, ..., z_L, each (T, n_l)."""
    preactivations: list[Array] = []
    answers: list[Array] = [inputs]
    for matrix, activation in zip(matrices, shape.activations, strict=True):
        preactivations.append(answers[-1] @ matrix[:, :-1].T + matrix[:, -1])
        answers.append(activation(preactivations[-1]))
    return preactivations, answers
