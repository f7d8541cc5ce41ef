"""Passes of many arguments at once, held as the columns of a matrix, so that a layer is one product of matrices.

What is left of a pass beside the products are the biases and activations, in place on contiguous blocks; where a run
asks how far the answers lie from the arguments, the last layer's sweep over its block tells that too.
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
from nngames.core.workspace import Block, aligned, taken
from nngames.networks.bound_passes import dense_coupling
from nngames.networks.compiled.loading import Kernels, kernels
from nngames.networks.composite_pass import CompositePass
from nngames.networks.forms import RECTIFIED, SIGMOID, TANH, form_of
from nngames.networks.joint_pass import JointPass
from nngames.networks.layers import Layer

#: Entries of a block of rows whose differences stay in the cache.
BLOCK = 16384


class ColumnPass(ABC):
    """A map on batches, whose arguments (batch, n) it holds as columns, in one precision."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self._compiled = kernels(limited=True) if dtype in (np.float32, np.float64) else None
        self._entries: Array | None = None

    def enter(self, x: Array) -> Array:
        """Return the columns of the arguments (batch, n), as a fresh contiguous array."""
        columns = aligned((x.shape[1], len(x)), x.dtype)
        np.copyto(columns, x.T)
        return columns

    def leave(self, columns: Array) -> Array:
        """Return the arguments (batch, n) of the columns, as a fresh contiguous array."""
        return np.array(columns.T, order="C")

    def tell(self, columns: Array, those: NDArray[np.intp], profiles: Array, rows: NDArray[np.intp]) -> bool:
        """Write the profiles of ``those`` columns of the last argument into ``rows`` of ``profiles`` (batch, N).

        Return whether the last pass told them: that they are not written where they take another one.
        """
        return False

    @abstractmethod
    def evaluate(self, columns: Array, out: Array) -> Array:
        """Write the columns of the map's values into ``out``, which is not ``columns``, and return it."""

    def distances(self, columns: Array, out: Array) -> Array:
        """Evaluate, and return the distances between the columns of ``out`` and the arguments."""
        squares = np.zeros(columns.shape[1], columns.dtype)
        self.add_squares(self.evaluate(columns, out), columns, squares)
        return np.sqrt(squares, out=squares)

    def add_squares(self, x: Array, y: Array, squares: Array) -> None:
        """Add the squares of the distances between the columns of two matrices, block by block."""
        if self._compiled is not None:
            self._compiled.add_squares(x, y, squares)
            return
        rows, columns = x.shape
        step = max(1, BLOCK // columns)
        if self._entries is None or self._entries.size < min(step, rows) * columns:
            self._entries = aligned((min(step, rows) * columns,), x.dtype)
        for first in range(0, rows, step):
            last = min(first + step, rows)
            block = self._entries[: (last - first) * columns].reshape(-1, columns)
            differences = np.subtract(x[first:last], y[first:last], out=block)
            squares += np.einsum("ij,ij->j", differences, differences)


class TransposedPass(ColumnPass):
    """A map given by a function of batches (batch, n)."""

    def __init__(self, respond: Callable[[Array], Array], dtype: np.dtype[Any]) -> None:
        super().__init__(dtype)
        self._respond = respond

    def evaluate(self, columns: Array, out: Array) -> Array:
        """Write the transposed values into ``out``."""
        out[...] = self._respond(columns.T).T
        return out


class _Stage(NamedTuple):
    """A dense layer: respond(weight @ argument + bias), with the bias as a column."""

    weight: Array
    bias: Array
    activation: Activation
    source: slice
    where: slice
    #: The form and the scale of an activation that is faster compiled.
    form: tuple[int, float] | None

    def write(self, argument: Array, block: Array, compiled: Kernels | None) -> None:
        """Write the layer's output into ``block`` (n, batch), contiguous."""
        np.matmul(self.weight, argument, out=block)
        if compiled is not None and self.form is not None:
            compiled.respond_in_place(*self.form, self.bias, block)
            return
        np.add(block, self.bias, out=block)
        if self.activation.separable and self.activation.size is None:
            self.activation(block, out=block)
        else:
            block[...] = self.activation(np.array(block.T, order="C")).T


class _DenseColumns(ColumnPass):
    """A map of dense layers."""

    def __init__(self, stages: Sequence[_Stage]) -> None:
        dtype = stages[0].weight.dtype
        super().__init__(dtype)
        self._stages = stages
        self._chosen = Block(max(len(stage.weight) for stage in stages), dtype)

    def _tell(
        self, block: Array, those: NDArray[np.intp], profiles: Array, rows: NDArray[np.intp], where: slice
    ) -> None:
        """Write ``those`` columns of a layer's answers into its stretch of the profiles."""
        chosen = taken(block, those, axis=1, out=self._chosen.of(len(those))[: len(block)])
        profiles[rows, where] = chosen.T

    def _compare(self, stage: _Stage, argument: Array, block: Array, before: Array, squares: Array) -> None:
        """Write the layer's output into ``block`` and add the squares of its columns' distances to ``before``."""
        if self._compiled is not None and stage.form is not None:
            np.matmul(stage.weight, argument, out=block)
            self._compiled.respond_and_compare(*stage.form, stage.bias, block, before, squares)
        else:
            stage.write(argument, block, self._compiled)
            self.add_squares(block, before, squares)


class JointColumns(_DenseColumns):
    """The joint map of dense layers."""

    def tell(self, columns: Array, those: NDArray[np.intp], profiles: Array, rows: NDArray[np.intp]) -> bool:
        """Write ``those`` columns: they are the profiles."""
        for stage in self._stages:
            self._tell(columns[stage.where], those, profiles, rows, stage.where)
        return True

    def evaluate(self, columns: Array, out: Array) -> Array:
        """Write T of the columns into ``out``."""
        for stage in self._stages:
            stage.write(columns[stage.source], out[stage.where], self._compiled)
        return out

    def distances(self, columns: Array, out: Array) -> Array:
        """Evaluate and compare layer by layer."""
        squares = np.zeros(columns.shape[1], columns.dtype)
        for stage in self._stages:
            where = stage.where
            self._compare(stage, columns[stage.source], out[where], columns[where], squares)
        return np.sqrt(squares, out=squares)


class CompositeColumns(_DenseColumns):
    """The composite map of a ring of dense layers, on the outputs of the last one."""

    def __init__(self, stages: Sequence[_Stage]) -> None:
        super().__init__(stages)
        self._blocks = [Block(len(stage.weight), stage.weight.dtype) for stage in stages[:-1]]
        #: What the layers between answered to the last argument.
        self._between: list[Array] = []

    def tell(self, columns: Array, those: NDArray[np.intp], profiles: Array, rows: NDArray[np.intp]) -> bool:
        """Write what the layers between answered, which heard the last argument, and ``those`` columns of it."""
        for stage, block in zip(self._stages, (*self._between, columns), strict=True):
            self._tell(block, those, profiles, rows, stage.where)
        return True

    def evaluate(self, columns: Array, out: Array) -> Array:
        """Write O of the columns into ``out``."""
        last = self._stages[-1]
        last.write(self._through(columns), out, self._compiled)
        return out

    def distances(self, columns: Array, out: Array) -> Array:
        """Evaluate, and compare in the last layer's sweep."""
        squares = np.zeros(columns.shape[1], columns.dtype)
        self._compare(self._stages[-1], self._through(columns), out, columns, squares)
        return np.sqrt(squares, out=squares)

    def _through(self, columns: Array) -> Array:
        """Return what the last layer hears."""
        if not self._between or self._between[0].shape[1] != columns.shape[1]:
            self._between = [block.of(columns.shape[1]) for block in self._blocks]
        for stage, block in zip(self._stages[:-1], self._between, strict=True):
            stage.write(columns, block, self._compiled)
            columns = block
        return columns


_stages: WeakKeyDictionary[JointPass | CompositePass, dict[np.dtype[Any], list[_Stage] | None]] = WeakKeyDictionary()


def joint_columns(joint: JointPass, dtype: np.dtype[Any]) -> ColumnPass:
    """Return the joint map on batches of that precision."""
    stages = None if joint.assembled else _stages_of(joint, dtype)
    return TransposedPass(joint, dtype) if stages is None else JointColumns(stages)


def composite_columns(composite: CompositePass, dtype: np.dtype[Any]) -> ColumnPass:
    """Return the composite map on batches of that precision."""
    stages = _stages_of(composite, dtype)
    if stages is not None:
        return CompositeColumns(stages)
    return TransposedPass(lambda state: composite(state)[..., composite.state], dtype)


def _stages_of(source: JointPass | CompositePass, dtype: np.dtype[Any]) -> list[_Stage] | None:
    """Return the stages of a map, made once."""
    known = _stages.setdefault(source, {})
    if dtype not in known:
        known[dtype] = _dense_stages(source.layers(dtype))
    return known[dtype]


def _compiled_form(activation: Activation, dtype: np.dtype[Any]) -> tuple[int, float] | None:
    """Return the form and the scale of an activation that is faster compiled; None for others."""
    form, first, second = form_of(activation) or (-1, 0.0, 0.0)
    # In single precision NumPy's own tanh is the faster one.
    curved = form in (TANH, SIGMOID) and dtype == np.float64
    return (form, float(first)) if curved or (form == RECTIFIED and first == 1.0 and second == 0.0) else None


def _dense_stages(layers: Sequence[Layer]) -> list[_Stage] | None:
    """Return the stages of layers with one dense coupling each and activations that refuse nothing; else None."""
    stages = []
    for layer in layers:
        coupling = dense_coupling(layer)
        if coupling is None:
            return None
        matrix, source = coupling
        # A copy, for compiled functions take no array that is read-only.
        bias = np.array(layer.bias)[:, None]
        form = _compiled_form(layer.activation, matrix.dtype)
        stages.append(_Stage(matrix, bias, layer.activation, source, layer.where, form))
    return stages
