"""Attention with u e^(-u^2) applied to its shares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from nngames.activations.attention import Attention, checked_parameters
from nngames.activations.foundations.base import Array, FlintNumber, activation_named
from nngames.activations.foundations.parameters import Matrix, Vector, store
from nngames.activations.foundations.penalty_free import PenaltyFreeActivation, bound_ends
from nngames.activations.foundations.slopes import SlopeEnd
from nngames.activations.gaussian import LinearGaussian

_GAUSSIAN = LinearGaussian()
#: K, rounded up.
_STEEPEST = 0.29180909446113262


@activation_named("attention_gaussian")
@dataclass(frozen=True)
class AttentionGaussian(PenaltyFreeActivation):
    """r(v) = phi(softmax(S v + b)) by coordinate with phi(u) = u e^(-u^2); S and b are those of ``attention``.

    The Jacobian is D A S with A = diag(p) - pp' and D = diag(phi'(p)), phi'(u) = (1 - 2 u^2) e^(-u^2) from -1/e to 1
    on [0, 1]: it is not symmetric. |D A| <= |D A^(1/2)| |A^(1/2)|, where |D A^(1/2)|^2 = |D A D| is at most
    max_i p_i phi'(p_i)^2, as A <= diag(p), and |A| <= 1/2. The maximum of u phi'(u)^2 on [0, 1] is where
    8 u^4 - 14 u^2 + 1 = 0, that is at u^2 = (7 - sqrt 41)/8. So K |s|, or K |C S| for a matrix, is a Lipschitz
    constant, K = sqrt(u/2) phi'(u) = 0.2918...; it need not be the least one, and is below the 1/2 that |D| <= 1 gives.
    """

    score: float | Matrix = 1.0
    bias: float | Vector = 0.0

    def __post_init__(self) -> None:
        score, bias = checked_parameters(self)
        store(self, score=score, bias=bias)

    @cached_property
    def _attention(self) -> Attention:
        return Attention(self.score, self.bias)

    @property
    def size(self) -> int | None:
        """That of the attention."""
        return self._attention.size

    @property
    def bounded(self) -> bool:
        """Always."""
        return True

    @property
    def slope_range_exact(self) -> tuple[SlopeEnd, SlopeEnd]:
        """Bounds from the product of the norms."""
        whole = isinstance(self.score, tuple)
        size = 2 * self._attention.score_bound if isinstance(self.score, tuple) else abs(self.score)
        size = 0.0 if self.size == 1 else size
        bound = float(np.nextafter(_STEEPEST * size, np.inf)) if size else 0.0
        factor = "|C S| " if whole else "" if size == 1 else f"{size!r} "
        expression = f"{factor}sqrt(u/2) (1 - 2 u^2) e^(-u^2)"
        also = ", C = I - 11'/n" if whole else ""
        return bound_ends(bound, expression, f"u^2 = (7 - sqrt 41)/8{also}", self.size or 1)

    def __call__(self, v: ArrayLike, out: Array | None = None) -> Array:
        """Return p e^(-p^2), p = softmax(S v + b)."""
        return _GAUSSIAN(self._attention(v), out)

    def jvp(self, v: Array, d: Array) -> Array:
        """Return phi'(p) (diag(p) - pp') S d."""
        return _GAUSSIAN.derivative(self._attention(v)) * self._attention.jvp(v, d)

    def vjp(self, v: Array, u: Array) -> Array:
        """Return S' (diag(p) - pp') phi'(p) u."""
        return self._attention.vjp(v, _GAUSSIAN.derivative(self._attention(v)) * u)

    def flint_response(self, v: Sequence[FlintNumber]) -> list[FlintNumber]:
        """Return p e^(-p^2) as balls."""
        return [_GAUSSIAN.flint_response_at(p) for p in self._attention.flint_response(v)]
