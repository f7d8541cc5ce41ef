"""Passes of many arguments at once, held as the columns of a matrix, so that a layer is one product of matrices.

A dense layer takes its bias with the product: the argument has a row of ones below each layer, and the weight the bias
as its last column. What is left of a pass beside the products are the activations, in place on contiguous blocks.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nngames.activations import Activation
from nngames.core.profiles import Array
from nngames.core.workspace import aligned
from nngames.networks.bound_passes import dense_coupling
from nngames.networks.passes import CompositePass, JointPass, Layer


def squares_of_columns(columns: Array) -> Array:
    """Return the sums of the squares in the columns."""
    return np.einsum("ij,ij->j", columns, columns)


class ColumnPass(ABC):
    """A map on batches, whose arguments (batch, n) it holds as columns."""

    @abstractmethod
    def enter(self, x: Array) -> Array:
        """Return the columns of the arguments (batch, n), as a fresh contiguous array."""

    @abstractmethod
    def leave(self, columns: Array) -> Array:
        """Return the arguments (batch, n) of the columns, as a fresh contiguous array."""

    def examined(self, columns: Array, those: NDArray[np.intp]) -> tuple[Array, Array] | None:
        """Return the profiles (batch, N) of ``those`` columns and, by another pass, the norms |T(p) - p| there.

        None where the map does not tell them.
        """
        return None

    @abstractmethod
    def evaluate(self, columns: Array, out: Array) -> Array:
        """Write the columns of the map's values into ``out``, which is not ``columns``, and return it."""


class TransposedPass(ColumnPass):
    """A map given by a function of batches (batch, n)."""

    def __init__(self, respond: Callable[[Array], Array]) -> None:
        self._respond = respond

    def enter(self, x: Array) -> Array:
        """Return the transpose."""
        return np.array(x.T, order="C")

    def leave(self, columns: Array) -> Array:
        """Return the transpose."""
        return np.array(columns.T, order="C")

    def evaluate(self, columns: Array, out: Array) -> Array:
        """Write the transposed values into ``out``."""
        out[...] = self._respond(columns.T).T
        return out


class _Stage(NamedTuple):
    """A dense layer: out[:n] = respond(weight @ argument), its last column the bias."""

    weight: Array
    activation: Activation
    source: slice
    where: slice

    def write(self, argument: Array, block: Array) -> None:
        """Write the layer's output into ``block`` (n, batch), contiguous."""
        np.matmul(self.weight, argument, out=block)
        if self.activation.separable and self.activation.size is None:
            self.activation(block, out=block)
        else:
            block[...] = self.activation(np.array(block.T, order="C")).T


class JointColumns(ColumnPass):
    """The joint map of dense layers: each stands in its own rows, with a row of ones below."""

    def __init__(self, stages: Sequence[_Stage]) -> None:
        self._stages = stages
        self._rows = sum(len(stage.weight) + 1 for stage in stages)
        starts = {stage.where.start: stage.where.start + place for place, stage in enumerate(stages)}
        # By layer: its rows, those of its source with the ones, and the stretch of a profile.
        self._places = []
        for stage in stages:
            first, heard = starts[stage.where.start], starts[stage.source.start]
            rows = slice(first, first + len(stage.weight))
            self._places.append((stage, rows, slice(heard, heard + stage.weight.shape[1])))

    def enter(self, x: Array) -> Array:
        """Return the transposed layers with the rows of ones."""
        columns = aligned((self._rows, len(x)), x.dtype)
        for stage, rows, _ in self._places:
            columns[rows] = x[:, stage.where].T
            columns[rows.stop] = 1.0
        return columns

    def leave(self, columns: Array) -> Array:
        """Return the profiles."""
        x = np.empty((columns.shape[1], self._rows - len(self._stages)), dtype=columns.dtype)
        for stage, rows, _ in self._places:
            x[:, stage.where] = columns[rows].T
        return x

    def examined(self, columns: Array, those: NDArray[np.intp]) -> tuple[Array, Array]:
        """Return the profiles and the residuals of ``those`` columns."""
        taken = _taken(columns, those)
        images = self.evaluate(taken, aligned(taken.shape, taken.dtype))
        images -= taken
        return self.leave(taken), np.sqrt(squares_of_columns(images))

    def evaluate(self, columns: Array, out: Array) -> Array:
        """Write T of the columns into ``out``."""
        for stage, rows, heard in self._places:
            stage.write(columns[heard], out[rows])
            out[rows.stop] = 1.0
        return out


class CompositeColumns(ColumnPass):
    """The composite map of a ring of dense layers, on the outputs of the last one with a row of ones below."""

    def __init__(self, stages: Sequence[_Stage]) -> None:
        self._stages = stages
        # The argument of the last pass, and what the layers between answered to it.
        self._argument: Array | None = None
        self._between: list[Array] = []

    def enter(self, x: Array) -> Array:
        """Return the transpose with the row of ones."""
        columns = aligned((x.shape[1] + 1, len(x)), x.dtype)
        columns[:-1], columns[-1] = x.T, 1.0
        return columns

    def leave(self, columns: Array) -> Array:
        """Return the outputs of the last layer."""
        return np.array(columns[:-1].T, order="C")

    def evaluate(self, columns: Array, out: Array) -> Array:
        """Write O of the columns into ``out``."""
        self._argument = columns
        for stage, buffer in zip(self._stages, (*self._buffers(columns), out), strict=True):
            stage.write(columns, buffer[:-1])
            columns = buffer
        out[-1] = 1.0
        return out

    def examined(self, columns: Array, those: NDArray[np.intp]) -> tuple[Array, Array]:
        """Return the outputs of the layers between and the columns themselves, and the residuals of all layers."""
        if columns is not self._argument:
            self.evaluate(columns, aligned(columns.shape, columns.dtype))
        blocks = [_taken(block, those) for block in (*self._between, columns)]
        batch, heard = blocks[-1].shape[1], blocks[-1]
        profiles = np.empty((batch, sum(len(stage.weight) for stage in self._stages)), dtype=columns.dtype)
        squares = np.zeros(batch, dtype=columns.dtype)
        for stage, block in zip(self._stages, blocks, strict=True):
            profiles[:, stage.where] = block[:-1].T
            answers = aligned((len(block) - 1, batch), columns.dtype)
            stage.write(heard, answers)
            answers -= block[:-1]
            squares += squares_of_columns(answers)
            heard = block
        return profiles, np.sqrt(squares)

    def _buffers(self, columns: Array) -> list[Array]:
        """Return the arrays of the layers between, which are made anew when columns were dropped."""
        batch = columns.shape[1]
        if not self._between or self._between[0].shape[1] != batch:
            shapes = ((len(stage.weight) + 1, batch) for stage in self._stages[:-1])
            self._between = [aligned(shape, columns.dtype) for shape in shapes]
            for between in self._between:
                between[-1] = 1.0
        return self._between


def _taken(columns: Array, those: NDArray[np.intp]) -> Array:
    """Return ``those`` columns side by side: the array itself where they are all."""
    if len(those) == columns.shape[1]:
        return columns
    return np.take(columns, those, axis=1, out=aligned((len(columns), len(those)), columns.dtype), mode="clip")


def joint_columns(joint: JointPass, dtype: np.dtype[Any]) -> ColumnPass:
    """Return the joint map on batches of that precision."""
    stages = None if joint.assembled else _dense_stages(joint.layers(dtype), dtype)
    return TransposedPass(joint) if stages is None else JointColumns(stages)


def composite_columns(composite: CompositePass, dtype: np.dtype[Any]) -> ColumnPass:
    """Return the composite map on batches of that precision."""
    stages = _dense_stages(composite.layers(dtype), dtype)
    if stages is not None:
        return CompositeColumns(stages)
    return TransposedPass(lambda state: composite(state)[..., composite.state])


def _dense_stages(layers: Sequence[Layer], dtype: np.dtype[Any]) -> list[_Stage] | None:
    """Return the stages of layers with one dense coupling each and activations that refuse nothing; else None."""
    stages = []
    for layer in layers:
        coupling = dense_coupling(layer)
        if coupling is None:
            return None
        matrix, source = coupling
        rows, columns = matrix.shape
        # Rows that begin at multiples of eight numbers make the product a little faster.
        widened = np.empty((rows, -(-(columns + 1) // 8) * 8), dtype=dtype)[:, : columns + 1]
        widened[:, :-1], widened[:, -1] = matrix, layer.bias
        stages.append(_Stage(widened, layer.activation, source, layer.where))
    return stages
