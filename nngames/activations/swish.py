"""Swish, the silu with two scales, and quick_gelu: not monotone, except where they are affine."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from nngames.activations.foundations.base import Array, activation_named
from nngames.activations.foundations.parameters import number, store
from nngames.activations.foundations.reparametrised import Reparametrised
from nngames.activations.linear import Linear
from nngames.activations.numerics.compensated import corrected
from nngames.activations.numerics.elementwise import gated, scaled
from nngames.activations.numerics.rounding import wide
from nngames.activations.silu import Silu, gated_primitive

_SILU = Silu()


class ScaledSilu(Reparametrised):
    """r(v) = c v/(1 + e^(-b v)) = (c/b) silu(b v); a subclass gives c and b.

    The slopes are c times those of silu, whatever b is, except for b = 0, where r(v) = c v/2.
    """

    @property
    @abstractmethod
    def coefficients(self) -> tuple[float, float]:
        """c and b."""

    @property
    def base(self) -> Silu:
        """The sigmoid linear unit."""
        return _SILU

    @property
    def outer(self) -> Fraction:
        """c/b, 0 where b = 0."""
        c, b = self.coefficients
        return Fraction(c) / Fraction(b) if b else Fraction(0)

    @property
    def inner(self) -> float:
        """b."""
        return self.coefficients[1]

    @cached_property
    def affine(self) -> Linear | None:
        """c v/2 where c = 0 or b = 0."""
        c, b = self.coefficients
        return None if c and b else Linear(c / 2)

    def _response(self, v: Array, out: Array | None) -> Array:
        """Return c v/(1 + e^(-b v)), without the detour by c/b."""
        if self.affine is not None:
            return self.affine._response(v, out)
        drive = self.drive(v)
        least = float(np.min(drive, initial=0.0))
        correction = self.drive.logistic_correction(v, drive, least)
        return corrected(scaled(gated(v, drive, out, least), self.coefficients[0], out), correction)

    def primitive(self, v: ArrayLike) -> Array:
        """Return c times the integral of t/(1 + e^(-b t)) over [0, v]."""
        c, b = self.coefficients
        with np.errstate(over="ignore"):
            return c * gated_primitive(wide(v), b) if self.affine is None else self.affine.primitive(v)


@activation_named("swish")
@dataclass(frozen=True)
class Swish(ScaledSilu):
    """r(v) = c v/(1 + e^(-b v)) with the scale c and beta = b.

    For b = 0 it is c v/2, the prox of a penalty if c >= 0; for b != 0 and c != 0 it is not monotone: its slopes are c
    times those of silu, between c (2 - t)/4 and c (2 + t)/4 with t tanh(t/2) = 2, whatever b is.
    """

    scale: float = 1.0
    beta: float = 1.0

    def __post_init__(self) -> None:
        store(self, scale=number(self, "scale"), beta=number(self, "beta"))

    @property
    def coefficients(self) -> tuple[float, float]:
        """The parameters."""
        return (self.scale, self.beta)


@activation_named("quick_gelu")
@dataclass(frozen=True)
class QuickGelu(ScaledSilu):
    """r(v) = v/(1 + e^(-1.702 v)), with the slopes of silu; it is not monotone. 1.702 is the float next to it."""

    @property
    def coefficients(self) -> tuple[float, float]:
        """1 and 1.702."""
        return (1.0, 1.702)
