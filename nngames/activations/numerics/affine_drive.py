"""The affine map k v + b in front of a scaled activation, with what its rounding does."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from math import frexp

import numpy as np
from numpy.typing import ArrayLike

from nngames.activations.numerics.compensated import (
    FAR,
    VANISHED,
    Correction,
    is_power_of_two,
    product_error,
    sum_error,
    taken,
)
from nngames.activations.numerics.elementwise import logistic_share
from nngames.activations.numerics.rounding import EPS, UNDERFLOW, Array, floating
from nngames.core.exact import nearest_float


@dataclass(frozen=True)
class AffineDrive:
    """u = k v + b with k = ``inner``, b = ``shift``.

    Attributes
    ----------
    inner : float or Fraction
        Not 0; it or its reciprocal is a float.
    shift : float
    """

    inner: float | Fraction
    shift: float

    @cached_property
    def factor(self) -> float:
        """k, rounded."""
        return nearest_float(self.inner)

    @cached_property
    def reciprocal(self) -> float:
        """1/k, rounded."""
        return nearest_float(1 / Fraction(self.inner))

    @cached_property
    def divides(self) -> bool:
        """Whether the division by 1/k has fewer rounding errors than the product with k."""
        return self.factor != self.inner and self.reciprocal == 1 / Fraction(self.inner)

    @cached_property
    def is_identity(self) -> bool:
        """Whether u = v."""
        return self.inner == 1 and self.shift == 0

    @cached_property
    def is_exact(self) -> bool:
        """Whether u is v times a power of two."""
        return self.shift == 0 and not self.divides and is_power_of_two(self.factor)

    def __call__(self, v: Array, out: Array | None = None) -> Array:
        """Return k v + b, infinite where that overflows; v itself where it is that."""
        if self.is_identity:
            return v
        if not self.divides:
            return affine_response(v, self.factor, self.shift, out)
        with np.errstate(over="ignore"):
            result = np.divide(v, self.reciprocal, out=out)
            return result if self.shift == 0 else np.add(result, self.shift, out=out)

    def finite(self, v: Array, out: Array | None = None) -> Array:
        """Return k v + b, cut at the largest floats."""
        result = self(v, out)
        if abs(self.factor) <= 1 and abs(self.shift) <= 1e20:
            return result
        largest = np.finfo(v.dtype).max
        return np.minimum(np.maximum(result, -largest, out=out), largest, out=out)

    def with_error(self, v: Array) -> tuple[Array, Array]:
        """Return k v + b cut at the largest floats, and a bound on its error, infinite where it overflowed."""
        result = self.finite(v)
        if self.divides:
            error = EPS * (np.abs(v / self.reciprocal) + (np.abs(result) if self.shift else 0.0)) + UNDERFLOW
        elif self.is_exact:
            error = np.where(np.isfinite(v * self.factor), UNDERFLOW, np.inf)
        else:
            error = affine_with_error(v, self.factor, self.shift)[1]
        return result, np.where(np.isfinite(error), error, np.inf)

    def logistic_correction(self, v: Array, u: Array, least: float | None = None) -> Correction | None:
        """Return the factors by which the rounding of u = k v + b changes 1/(1 + e^-u) where that shows.

        ``least`` is the least entry of u or a lower one, if it is known.
        """
        if self.is_exact or v.dtype != np.float64 or abs(self.shift) > 1e30:
            return None
        shifted = abs(self.shift) > FAR
        if not shifted and (np.min(u, initial=0.0) if least is None else least) >= -FAR:
            return None
        places = np.flatnonzero((u < (FAR if shifted else -FAR)) & (u > -VANISHED))
        u = taken(u, places)
        return places, 1 + self._error(taken(v, places), u) * logistic_share(-u)

    def _error(self, v: Array, u: Array) -> Array:
        """Return k v + b less its rounded value u."""
        if self.divides:
            product = u if self.shift == 0 else v / self.reciprocal
            mantissa, exponent = frexp(self.reciprocal)
            error = product_error(product, mantissa, np.ldexp(v, -exponent)) / -mantissa
        else:
            product = v * self.factor
            error = product_error(v, self.factor, product)
        return error if self.shift == 0 else error + sum_error(product, self.shift, u)


def affine_response(v: ArrayLike, slope: float, bias: float, out: Array | None = None) -> Array:
    """Return slope * v + bias; overflow is silent where it can happen, and not guarded where it cannot."""
    v = floating(v)
    if slope == 0:
        # 0 times an infinity is the bias too; NaN stays.
        return np.add(np.minimum(np.maximum(v, 0.0), 0.0), bias, out=out)
    if abs(slope) > 1 or abs(bias) > 1e20:
        with np.errstate(over="ignore"):
            scaled = np.multiply(v, slope, out=out)
            return scaled if bias == 0 else np.add(scaled, bias, out=out)
    scaled = np.multiply(v, slope, out=out)
    return scaled if bias == 0 else np.add(scaled, bias, out=out)


def affine_with_error(v: Array, slope: float, bias: float) -> tuple[Array, Array]:
    """Return slope * v + bias and a bound on its rounding error, 0 where slope = 1 and bias = 0."""
    scaled = v * slope
    value = scaled + bias
    error = np.zeros_like(v) if slope == 1 else EPS * np.abs(scaled) + UNDERFLOW
    return value, error if bias == 0 else error + EPS * np.abs(value)
