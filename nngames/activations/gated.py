"""Gated linear units: of a layer (a, b) of two halves one is the signal and the other, through a gate, its factor.

Dauphin et al. (2017) gate by the second half, a sigmoid(b). The variants of Shazeer (2020) put their function on the
first half, phi(a) b, and so do the transformers that use them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from nngames.activations.foundations.base import Array, FlintNumber, activation_named, registry
from nngames.activations.foundations.penalty_free import OutsideMap
from nngames.activations.foundations.scalar import ScalarActivation
from nngames.activations.numerics.directions import as_layer
from nngames.core.errors import ShapeError


class GatedUnit(OutsideMap):
    """r(a, b) = phi(gate) * signal by coordinate, (..., 2m) to (..., m); a subclass says which half is the gate.

    A product of two arguments has no Lipschitz constant. Where phi and the signal are numbers, the Jacobian by
    coordinate is (phi'(gate) signal, phi(gate)).
    """

    maps = "R^(2m) to R^m"
    #: The registered name of phi.
    gate_name: ClassVar[str]
    #: Whether the second half is the gate.
    gates_by_second: ClassVar[bool] = False

    @cached_property
    def _gate(self) -> ScalarActivation:
        gate: ScalarActivation = registry.create(self.gate_name)
        return gate

    @property
    def lipschitz(self) -> float:
        """There is none."""
        return np.inf

    def _halves(self, v: ArrayLike) -> tuple[Array, Array]:
        """Return the gate's half and the signal's."""
        array = as_layer(self.name, v)
        if array.shape[-1] % 2:
            raise ShapeError(f"activation {self.name!r} acts on two halves; got {array.shape[-1]} entries")
        first, second = np.split(array, 2, axis=-1)
        return (second, first) if self.gates_by_second else (first, second)

    def __call__(self, v: ArrayLike, out: Array | None = None) -> Array:
        """Return phi(gate) * signal, (..., m)."""
        gate, signal = self._halves(v)
        # Beyond 1e308 the product is infinite, and 0 times a finite number is 0.
        with np.errstate(over="ignore"):
            # Contiguous, so that the gate goes block by block.
            return np.multiply(self._gate(np.ascontiguousarray(gate)), signal, out=out)

    def jvp(self, v: Array, d: Array) -> Array:
        """Return phi'(gate) signal d_gate + phi(gate) d_signal, (..., m)."""
        (gate, signal), (moved_gate, moved_signal) = self._halves(v), self._halves(d)
        with np.errstate(over="ignore"):
            return self._gate.derivative(gate) * signal * moved_gate + self._gate(gate) * moved_signal

    def vjp(self, v: Array, u: Array) -> Array:
        """Return J(v)' u for u (..., m)."""
        gate, signal = self._halves(v)
        with np.errstate(over="ignore"):
            parts = (self._gate.derivative(gate) * signal * u, self._gate(gate) * u)
        return np.concatenate(parts[::-1] if self.gates_by_second else parts, axis=-1)

    def flint_response(self, v: Sequence[FlintNumber]) -> list[FlintNumber]:
        """Return phi(gate) * signal."""
        half = len(v) // 2
        first, second = list(v[:half]), list(v[half:])
        gate, signal = (second, first) if self.gates_by_second else (first, second)
        return [self._gate.flint_response_at(s) * t for s, t in zip(gate, signal, strict=True)]


@activation_named("glu")
@dataclass(frozen=True)
class Glu(GatedUnit):
    """r(a, b) = a * sigmoid(b): the second half is the gate (Dauphin et al. 2017)."""

    gate_name = "sigmoid"
    gates_by_second = True
    instead = "use 'silu', v sigmoid(v), the case a = b"


@activation_named("swiglu")
@dataclass(frozen=True)
class Swiglu(GatedUnit):
    """r(a, b) = silu(a) * b (Shazeer 2020)."""

    gate_name = "silu"
    instead = "use 'silu', which gates by the same entry"


@activation_named("geglu")
@dataclass(frozen=True)
class Geglu(GatedUnit):
    """r(a, b) = gelu(a) * b, with the exact Gaussian distribution function (Shazeer 2020)."""

    gate_name = "gelu"
    instead = "use 'gelu', which gates by the same entry"


@activation_named("reglu")
@dataclass(frozen=True)
class Reglu(GatedUnit):
    """r(a, b) = max(0, a) * b (Shazeer 2020)."""

    gate_name = "relu"
    instead = "use 'relu', which gates by the same entry"
