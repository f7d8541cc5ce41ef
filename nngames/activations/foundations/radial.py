"""Activations that change the length of a vector and keep its direction: r(v) = rho(|v|) v/|v|, rho increasing.

With G the primitive of rho and G* its conjugate: g(v) = G(|v|), g*(z) = G*(|z|), and the gap falls apart into that of
the lengths and that of the directions,
    g*(x) + g(v) - <x, v> = (G*(|x|) + G(|v|) - |x||v|) + |x||v| |x/|x| - v/|v||^2/2,
two nonnegative terms without cancellation between them. The Jacobian has the eigenvalue rho'(|v|) along v and
rho(|v|)/|v| across; the prox of step f acts on the length as the scalar one does.
"""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
from numpy.typing import ArrayLike

from nngames.activations.foundations.base import Activation, Array
from nngames.activations.numerics.directions import as_layer, polar
from nngames.activations.numerics.rounding import EPS, Mask, settle, wide

_LARGEST = float(np.finfo(np.float64).max)


class RadialActivation(Activation):
    """r(v) = rho(|v|) v/|v| with the r(0) = 0; see the module."""

    @property
    def slope_range(self) -> tuple[float, float]:
        """Eigenvalues from 0 to 1."""
        return (0.0, 1.0)

    @abstractmethod
    def share(self, length: Array, out: Array | None = None) -> Array:
        """Return rho(t)/t for t = ``length`` >= 0, its limit at 0."""

    @abstractmethod
    def stretch(self, length: Array) -> Array:
        """Return rho'(t)."""

    @abstractmethod
    def length_primitive(self, length: Array) -> Array:
        """Return G(t)."""

    @abstractmethod
    def length_prox(self, u: Array, step: Array) -> Array:
        """Return the prox of step F, f(z) = F(|z|), at u >= 0."""

    @abstractmethod
    def gap_parts(self, x: Array, v: Array) -> tuple[Array, Array, Mask]:
        """Return the gap of x and v (..., n), a bound on its error, and where x is off the domain."""

    def __call__(self, v: ArrayLike, out: Array | None = None) -> Array:
        """Return v times rho(|v|)/|v|."""
        array = as_layer(self.name, v)
        with np.errstate(over="ignore", under="ignore"):
            square = np.einsum("...i,...i->...", array, array)[..., None]
            # Where the squares neither overflow nor underflow, as nearly always.
            if np.all((square < np.finfo(array.dtype).max) & (square > np.finfo(array.dtype).tiny / EPS)):
                return np.multiply(array, self.share(np.sqrt(square, out=square)).astype(array.dtype), out=out)
            point = wide(array)
            length, direction = polar(point)
            image = point * self.share(np.minimum(length, _LARGEST))
            result = np.where(length < np.inf, image, self.far(point, direction))
            if out is None:
                return result.astype(array.dtype, copy=False)
            np.copyto(out, result, casting="same_kind")
        return out

    def far(self, v: Array, direction: Array) -> Array:
        """Return r at so long a v that its length overflows."""
        return direction

    def jvp(self, v: Array, d: Array) -> Array:
        """Return rho'(|v|) times the part of d along v, rho(|v|)/|v| times the part across."""
        length, direction = polar(wide(v))
        length = np.minimum(length, _LARGEST)
        along = direction * np.sum(direction * d, axis=-1, keepdims=True)
        result = self.stretch(length) * along + self.share(length) * (d - along)
        return result.astype(np.result_type(v, d), copy=False)

    def primitive(self, v: ArrayLike) -> Array:
        """Return G(|v|)."""
        length = polar(wide(as_layer(self.name, v)))[0][..., 0]
        return np.where(length < np.inf, self.length_primitive(np.minimum(length, _LARGEST)), np.inf)

    def prox(self, u: ArrayLike, step: ArrayLike = 1.0) -> Array:
        """Return the prox of step f at u: it shortens u as the prox of step F does |u|."""
        steps = self.layer_steps(step)
        point = wide(as_layer(self.name, u))
        point = np.broadcast_to(point, np.broadcast_shapes(point.shape, steps.shape))
        length, direction = polar(point)
        # A length that overflows is that of the largest numbers.
        with np.errstate(over="ignore", under="ignore"):
            return direction * self.length_prox(np.minimum(length, _LARGEST), steps)

    def gap(self, x: Array, v: Array) -> tuple[Array, Array]:
        """Return the gap of the lengths plus |x||v| |x/|x| - v/|v||^2/2; +inf off dom f."""
        x, v = np.broadcast_arrays(wide(as_layer(self.name, x)), wide(as_layer(self.name, v)))
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            value, error, outside = self.gap_parts(x, v)
            return settle(np.where(np.isnan(value), np.inf, value), error, outside)
