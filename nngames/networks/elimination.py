"""Elimination: the linear systems of a ring's composite map, reduced to the active entries of its last layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nngames.core.profiles import Array
from nngames.networks.bound_passes import dense_coupling, in_place, slopes_of

if TYPE_CHECKING:
    from nngames.networks.layers import Layer

#: Up to this size of a layer its zero slopes are not looked for: that takes longer than the arithmetic it saves.
SMALL = 64

#: A layer's product, bias, slopes (v, None) and response (v, out).
_Stage = tuple[Callable[[Array], Array], Array, Callable[[Array, None], Array], Callable[[Array, Array], Any]]


class Elimination:
    """The composite map of a ring of dense couplings and separable responses, as its layers for linear systems.

    Parameters
    ----------
    layers : callable
        dtype -> the layers in that precision, in the order of a pass.
    """

    def __init__(self, layers: Callable[[Any], Sequence[Layer]]) -> None:
        self._layers = layers
        self._stages: dict[Any, list[_Stage]] = {}

    def at(self, x: Array) -> Slopes:
        """Return the responses' slopes at x, by one pass."""
        if x.dtype not in self._stages:
            self._stages[x.dtype] = [
                (matrix.dot, layer.bias, slopes_of(r, layer.bias.size), in_place(r, layer.bias.size))
                for matrix, layer in zip(self.weights(x.dtype), self._layers(x.dtype), strict=True)
                for r in (layer.activation,)
            ]
        *before, (product, bias, slope, _) = self._stages[x.dtype]
        slopes = []
        for apply, shift, derivative, respond in before:
            x = apply(x)
            x += shift
            slopes.append(derivative(x, None))
            respond(x, x)
        x = product(x)
        x += bias
        slopes.append(slope(x, None))
        return Slopes(self, slopes)

    def weights(self, dtype: Any) -> list[Array]:
        """Return W_1, ..., W_L in that precision, which is one of passes."""
        return [layer.single.matrix for layer in self._layers(dtype)]  # type: ignore[union-attr]


class Slopes:
    """J = D_L W_L ... D_1 W_1 at one point, D_l the slopes of layer l.

    With A the active entries, those of nonzero slope in D_L, off A the solution of (Id - J) d = g is d = g, and on A

        (Id - J)_AA d_A = (g + J g~)_A,        g~ = g off A, 0 on A.

    In the products of weights only those rows and columns are taken that no zero slope annuls.

    Attributes
    ----------
    order : int
        The number of active entries, which is the order of the system.
    whole : bool
        Whether all entries count as active.
    """

    def __init__(self, elimination: Elimination, slopes: Sequence[Array]) -> None:
        self._elimination, self._slopes = elimination, slopes
        self._active = [None if s.size <= SMALL or s.all() else np.flatnonzero(s) for s in slopes]
        last = self._active[-1]
        self.whole = last is None
        self.order = slopes[-1].size if last is None else last.size

    def change(self, d: Array) -> Array:
        """Return J d."""
        for matrix, slopes in zip(self._weights, self._slopes, strict=True):
            d = np.dot(matrix, d)
            d *= slopes
        return d

    def system(self, dtype: Any) -> Array:
        """Return the matrix (Id - J)_AA, computed in that precision: weights beyond its range are infinite in it.

        No weights in a precision other than the passes' are kept: they are used once, and fresh memory is dear.
        """
        first, *others = self._weights
        product = _part(first, self._active[0], self._active[-1], dtype)
        for matrix, rows, heard, slopes in zip(others, self._active[1:], self._active, self._slopes, strict=False):
            shares = slopes if heard is None else slopes[heard]
            if not (shares == 1).all():
                product = _scaled(product, shares, product is not first)
            product = np.dot(_part(matrix, rows, heard, dtype), product)
        active, slopes = self._active[-1], self._slopes[-1]
        product = _scaled(product, -(slopes if active is None else slopes[active]), product is not first)
        product.reshape(-1)[:: len(product) + 1] += 1
        return product

    def reduced(self, g: Array) -> Array:
        """Return the right-hand side of the system on A."""
        active = self._active[-1]
        if active is None:
            return g
        rest = g.copy()
        rest[active] = 0
        right = g[active]
        # After a full step the entries that stay without slope already answer.
        return right + self.change(rest)[active] if rest.any() else right

    def completed(self, d: Array, g: Array) -> Array:
        """Return the solution of (Id - J) d = g from its entries on A."""
        active = self._active[-1]
        if active is None:
            return d
        whole = g.copy()
        whole[active] = d
        return whole

    @cached_property
    def _weights(self) -> list[Array]:
        return self._elimination.weights(self._slopes[0].dtype)


def _part(matrix: Array, rows: NDArray[np.intp] | None, columns: NDArray[np.intp] | None, dtype: Any) -> Array:
    """Return the rows and columns of the matrix in that precision: the matrix itself where it is that."""
    if rows is not None:
        matrix = matrix.take(rows, 0)
    if columns is not None:
        matrix = matrix.take(columns, 1)
    return matrix.astype(dtype, copy=False)


def _scaled(matrix: Array, shares: Array, overwrite: bool) -> Array:
    """Return the matrix with its rows times these, in its place where it may be overwritten."""
    return np.multiply(matrix, shares.astype(matrix.dtype, copy=False)[:, None], out=matrix if overwrite else None)


def elimination(layers: Callable[[Any], Sequence[Layer]]) -> Elimination | None:
    """Return what eliminates the layers of a ring; None unless each has a dense coupling and a separable response.

    None also where an activation may refuse an argument.
    """
    known = layers(np.dtype(np.float64))
    usable = all(dense_coupling(layer) is not None and layer.activation.separable for layer in known)
    return Elimination(layers) if usable else None
