"""Passes of many arguments at once, held as the columns of a matrix, so that a layer is one product of matrices.

A dense layer takes its bias with the product: the argument has a row of ones below each layer, and the weight the bias
as its last column. What is left of a pass beside the products are the activations, in place on contiguous blocks.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from nngames.activations import Activation
from nngames.core.profiles import Array
from nngames.core.workspace import MOST_KEPT, Block, aligned, taken
from nngames.networks.bound_passes import dense_coupling
from nngames.networks.forms import RECTIFIED, SIGMOID, TANH, form_of
from nngames.networks.fused import Kernels, kernels
from nngames.networks.passes import CompositePass, JointPass, Layer

#: Entries of a block of rows whose differences stay in the cache.
BLOCK = 16384


def kernels_for(dtype: np.dtype[Any]) -> Kernels | None:
    """Return the compiled kernels if they are loaded and take that precision."""
    return kernels(limited=True) if dtype == np.float64 else None


class ColumnDistances:
    """The distances between the columns of two matrices of one shape, no wider than ``like``, block by block."""

    def __init__(self, like: Array) -> None:
        self._compiled = kernels_for(like.dtype)
        if self._compiled is None:
            self._entries = aligned((min(max(BLOCK, like.shape[1]), like.size),), like.dtype)

    def squares(self, x: Array, y: Array) -> Array:
        """Return the squares of the distances."""
        rows, columns = x.shape
        if self._compiled is not None:
            squares = np.empty(columns)
            self._compiled.squared_distances(x, y, squares)
            return squares
        step = len(self._entries) // columns
        block = self._entries[: step * columns].reshape(step, columns)
        squares = np.zeros(columns, dtype=x.dtype)
        for first in range(0, rows, step):
            last = min(first + step, rows)
            differences = np.subtract(x[first:last], y[first:last], out=block[: last - first])
            squares += np.einsum("ij,ij->j", differences, differences)
        return squares

    def __call__(self, x: Array, y: Array) -> Array:
        """Return the distances."""
        return np.asarray(np.sqrt(self.squares(x, y)))


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
    #: The form and the scale of an activation that is faster compiled.
    form: tuple[int, float] | None

    def write(self, argument: Array, block: Array, compiled: Kernels | None) -> None:
        """Write the layer's output into ``block`` (n, batch), contiguous."""
        np.matmul(self.weight, argument, out=block)
        if compiled is not None and self.form is not None:
            compiled.respond_in_place(*self.form, block)
        elif self.activation.separable and self.activation.size is None:
            self.activation(block, out=block)
        else:
            block[...] = self.activation(np.array(block.T, order="C")).T


class _Examination:
    """Room for the columns that are examined apart from the others, and for what the map answers to them."""

    def __init__(self, rows: int, dtype: np.dtype[Any]) -> None:
        self._chosen, self._images = Block(rows, dtype), Block(rows, dtype)

    def chosen(self, columns: Array, those: NDArray[np.intp]) -> Array:
        """Return ``those`` columns side by side: the array itself where they are all."""
        if len(those) == columns.shape[1]:
            return columns
        return taken(columns, those, axis=1, out=self._chosen.of(len(those)))

    def images(self, chosen: Array) -> Array:
        """Return the room for the answers to the chosen columns."""
        return self._images.of(chosen.shape[1])

    def distances(self, images: Array, chosen: Array) -> Array:
        """Return the distances of the answers to the chosen columns."""
        return ColumnDistances(chosen)(images, chosen)


class JointColumns(ColumnPass):
    """The joint map of dense layers: each stands in its own rows, with a row of ones below."""

    def __init__(self, stages: Sequence[_Stage]) -> None:
        self._stages = stages
        self._compiled = kernels_for(stages[0].weight.dtype)
        self._rows = sum(len(stage.weight) + 1 for stage in stages)
        self._apart = _Examination(self._rows, stages[0].weight.dtype)
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
        chosen = self._apart.chosen(columns, those)
        images = self.evaluate(chosen, self._apart.images(chosen))
        return self.leave(chosen), self._apart.distances(images, chosen)

    def evaluate(self, columns: Array, out: Array) -> Array:
        """Write T of the columns into ``out``."""
        for stage, rows, heard in self._places:
            stage.write(columns[heard], out[rows], self._compiled)
            out[rows.stop] = 1.0
        return out


class CompositeColumns(ColumnPass):
    """The composite map of a ring of dense layers, on the outputs of the last one with a row of ones below."""

    def __init__(self, stages: Sequence[_Stage]) -> None:
        self._stages = stages
        self._compiled = kernels_for(stages[0].weight.dtype)
        dtype = stages[0].weight.dtype
        self._blocks = [Block(len(stage.weight) + 1, dtype) for stage in stages[:-1]]
        self._apart = _Examination(len(stages[-1].weight) + 1, dtype)
        #: What the layers between answered to the last argument, with rows of ones.
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
        return self._evaluate(columns, out)

    def _evaluate(self, columns: Array, out: Array) -> Array:
        if not self._between or self._between[0].shape[1] != columns.shape[1]:
            self._between = [block.of(columns.shape[1]) for block in self._blocks]
            for between in self._between:
                between[-1] = 1.0
        for stage, buffer in zip(self._stages, (*self._between, out), strict=True):
            stage.write(columns, buffer[:-1], self._compiled)
            columns = buffer
        out[-1] = 1.0
        return out

    def examined(self, columns: Array, those: NDArray[np.intp]) -> tuple[Array, Array]:
        """Return the answers of the layers between and the columns themselves, and the residuals.

        Those of the layers between are 0, for what they hear is in the profile too.
        """
        last = self._apart.chosen(columns, those)
        images = self._evaluate(last, self._apart.images(last))
        profiles = np.empty((len(those), sum(len(stage.weight) for stage in self._stages)), dtype=last.dtype)
        for stage, block in zip(self._stages, (*self._between, last), strict=True):
            profiles[:, stage.where] = block[:-1].T
        return profiles, self._apart.distances(images, last)


_stages: WeakKeyDictionary[JointPass | CompositePass, dict[np.dtype[Any], list[_Stage] | None]] = WeakKeyDictionary()


def joint_columns(joint: JointPass, dtype: np.dtype[Any]) -> ColumnPass:
    """Return the joint map on batches of that precision."""
    stages = None if joint.assembled else _stages_of(joint, dtype)
    return TransposedPass(joint) if stages is None else JointColumns(stages)


def composite_columns(composite: CompositePass, dtype: np.dtype[Any]) -> ColumnPass:
    """Return the composite map on batches of that precision."""
    stages = _stages_of(composite, dtype)
    if stages is not None:
        return CompositeColumns(stages)
    return TransposedPass(lambda state: composite(state)[..., composite.state])


def _stages_of(source: JointPass | CompositePass, dtype: np.dtype[Any]) -> list[_Stage] | None:
    """Return the stages of a map, which keeps them where its weights with the biases take little memory."""
    known = _stages.setdefault(source, {})
    if dtype in known:
        return known[dtype]
    stages = _dense_stages(source.layers(dtype), dtype)
    if sum(stage.weight.nbytes for stage in stages or ()) <= MOST_KEPT:
        known[dtype] = stages
    return stages


def _compiled_form(activation: Activation) -> tuple[int, float] | None:
    """Return the form and the scale of an activation that takes columns compiled; None for others."""
    form, first, second = form_of(activation) or (None, 0.0, 0.0)
    if form in (TANH, SIGMOID) or (form == RECTIFIED and first == 1.0 and second == 0.0):
        return form, float(first)
    return None


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
        stages.append(_Stage(widened, layer.activation, source, layer.where, _compiled_form(layer.activation)))
    return stages
