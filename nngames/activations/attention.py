"""Softmax after an affine map of its layer: the attention of one query."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from nngames.activations.foundations.base import Activation, Array, FlintNumber, activation_named
from nngames.activations.foundations.domain import Domain
from nngames.activations.foundations.parameters import Matrix, Vector, matrix, number, refusal, scalar_or_vector, store
from nngames.activations.foundations.penalty_free import bound_ends, unknown_averagedness
from nngames.activations.foundations.projections import row_scale
from nngames.activations.foundations.slopes import Pair, SlopeEnd, rational_end
from nngames.activations.numerics.directions import as_layer
from nngames.activations.numerics.rounding import EPS, settle, wide
from nngames.activations.softmax import Softmax
from nngames.core.bounds import spectral_norm
from nngames.core.errors import NotApplicableError, ShapeError
from nngames.core.exact import rational
from nngames.core.operators import DenseMap


@activation_named("attention")
@dataclass(frozen=True)
class Attention(Activation):
    """r(v) = softmax(S v + b), S = ``score`` a number or a square matrix (rows), b = ``bias`` a number or a vector.

    One number b for all entries changes nothing, since softmax does not see a common shift.

    With a number S = s: g(v) = log(sum e^(s v_i + b_i))/s and, for s > 0, g*(z) = (sum z_i log z_i - <z, b>)/s on the
    simplex: softmax with gain s at v + b/s. The Jacobian s (diag(p) - pp') has eigenvalues between 0 and s/2.

    With a matrix the Jacobian (diag(p) - pp') S is not symmetric in general (it is for S = c I + 1 w', when the
    number c does the same), and r is not treated as a gradient. Since diag(p) - pp' = (diag(p) - pp') C with C = I -
    11'/n, and the norm of diag(p) - pp' is at most 1/2, |C S|/2 is a Lipschitz constant and bounds the eigenvalues of
    the symmetric parts; it need not be the least one.
    """

    score: float | Matrix = 1.0
    bias: float | Vector = 0.0

    def __post_init__(self) -> None:
        score, bias = checked_parameters(self)
        store(self, score=score, bias=bias)

    @property
    def gradient(self) -> bool:  # type: ignore[override]
        """Whether the score is a number."""
        return not isinstance(self.score, tuple)

    @property
    def size(self) -> int | None:
        """The number of rows of the score, or of entries of the bias."""
        listed = self.score if isinstance(self.score, tuple) else self.bias
        return len(listed) if isinstance(listed, tuple) else None

    @cached_property
    def _rows(self) -> Array:
        return np.asarray(self.score, dtype=np.float64)

    @cached_property
    def _shift(self) -> Array | None:
        """b, None where it is one number for all entries."""
        return np.asarray(self.bias) if isinstance(self.bias, tuple) else None

    @property
    def _gain(self) -> float:
        """The score that is a number; 1 for a matrix."""
        return 1.0 if isinstance(self.score, tuple) else self.score

    @cached_property
    def _plain(self) -> Softmax:
        """The softmax with that gain."""
        return Softmax(self._gain)

    @property
    def bounded(self) -> bool:
        """Always."""
        return True

    @cached_property
    def score_bound(self) -> float:
        """An upper bound on |C S|/2 for a matrix S."""
        s = self._rows
        n = len(s)
        scale = float(np.max(row_scale(s)))
        s = s / scale
        centred = s - np.mean(s, axis=0)
        # Of every entry: n + 2 roundings of the sizes in its column.
        error = (n + 2) * EPS * np.sqrt(n) * float(np.linalg.norm(np.max(np.abs(s), axis=0)))
        upper = Fraction(spectral_norm(DenseMap(centred)).upper) + Fraction(error if s.any() and n > 1 else 0.0)
        return float(np.nextafter(float(upper * Fraction(scale) / 2), np.inf)) if upper else 0.0

    @property
    def slope_range_exact(self) -> tuple[SlopeEnd, SlopeEnd]:
        """0 along equal entries and s/2 where two shares are 1/2; bounds for a matrix."""
        if isinstance(self.score, tuple):
            return bound_ends(self.score_bound, "|C S|/2", "C = I - 11'/n", len(self.score))
        if self.size == 1:
            return rational_end(0, ((0.0,), (1.0,))), rational_end(0, ((0.0,), (1.0,)))
        n = self.size or 2
        flat = rational_end(0, ((0.0,) * n, (1.0,) * n))
        steep = rational_end(Fraction(self._gain) / 2, self._steep_pair(n))
        return (flat, steep) if self._gain > 0 else (steep, flat)

    def _steep_pair(self, n: int) -> Pair:
        """Return two points around one where the first two shares are 1/2."""
        center = np.full(n, -1000.0)
        center[:2] = 0.0
        center = (center - (0.0 if self._shift is None else self._shift)) / self._gain
        step = np.zeros(n)
        step[:2] = (1e-5 / self._gain, -1e-5 / self._gain)
        return tuple((center - step).tolist()), tuple((center + step).tolist())

    @property
    def averagedness(self) -> float | None:
        """The infimum for a number as score; for a matrix it is not known. Raises NotApplicableError there."""
        if not self.gradient:
            raise unknown_averagedness(self)
        return super().averagedness

    @property
    def domain(self) -> Domain:
        """The simplex."""
        self.require_penalty()
        return self._plain.domain

    @property
    def penalty_obstacle(self) -> str:
        """Why r is the prox of nothing."""
        if self.gradient:
            return super().penalty_obstacle
        return (
            f"activation {self.name!r} with a matrix as score is treated as the prox of no function (its Jacobians "
            "(diag(p) - pp') S are symmetric for S = c I + 1 w' only, and there the number c as score does the same)"
        )

    def _checked(self, v: ArrayLike) -> Array:
        array = as_layer(self.name, v)
        if self.size is not None and array.shape[-1] != self.size:
            raise ShapeError(
                f"activation {self.name!r} has parameters for size {self.size}; got an array of {array.shape}"
            )
        return array

    def _drive(self, v: Array) -> Array:
        """Return S v + b less a common shift, in the precision of v; -inf far below the largest entry."""
        with np.errstate(over="ignore"):
            if not isinstance(self.score, tuple):
                result = v - self._plain.top(v)
                result *= v.dtype.type(self.score)
            else:
                # Powers of two keep the products from overflowing; the largest entry is 0 before they come back.
                point = wide(v)
                scales = row_scale(point), row_scale(self._rows.reshape(-1))
                product = (point / scales[0]) @ (self._rows / scales[1]).T
                product = product - np.max(product, axis=-1, keepdims=True)
                result = ((product * scales[0]) * scales[1]).astype(v.dtype, copy=False)
            if self._shift is not None:
                result += self._shift.astype(v.dtype)
            return result

    def _apply(self, d: Array) -> Array:
        return d @ self._rows.T if isinstance(self.score, tuple) else self._rows * d

    def __call__(self, v: ArrayLike, out: Array | None = None) -> Array:
        """Return softmax(S v + b)."""
        array = self._checked(v)
        if self.gradient and self._shift is None:
            return self._plain(array, out)
        drive = self._drive(array)
        return _SOFTMAX(drive, drive if out is None else out)

    def jvp(self, v: Array, d: Array) -> Array:
        """Return (diag(p) - pp') S d."""
        p = self(v)
        d = self._apply(d).astype(np.result_type(v, d), copy=False)
        return p * (d - np.sum(p * d, axis=-1, keepdims=True))

    def vjp(self, v: Array, u: Array) -> Array:
        """Return S' (diag(p) - pp') u."""
        p = self(v)
        image = p * (u - np.sum(p * u, axis=-1, keepdims=True))
        result = image @ self._rows if isinstance(self.score, tuple) else self._rows * image
        return result.astype(np.result_type(v, u), copy=False)

    def primitive(self, v: ArrayLike) -> Array:
        """Return log(sum e^(s v_i + b_i))/s."""
        if isinstance(self.score, tuple):
            raise NotApplicableError(f"activation {self.name!r} with a matrix as score is treated as no gradient")
        array = wide(self._checked(v))
        if not isinstance(self.bias, tuple):
            return self._plain.primitive(array) + self.bias / self._gain
        return self._plain.top(array)[..., 0] + _SOFTMAX.primitive(self._drive(array)) / self._gain

    def conjugate(self, z: ArrayLike) -> Array:
        """Return (sum z log z - <z, b>)/s on the simplex, up to rounding of the sum; +inf off it."""
        self.require_penalty()
        array = self._checked(z)
        value = self._plain.conjugate(array)
        finite = np.isfinite(value)
        return np.where(finite, value - self._linear(np.where(finite[..., None], wide(array), 0.0)), np.inf)

    def _linear(self, z: Array) -> Array:
        """Return <z, b>/s."""
        return np.sum(z * np.asarray(self.bias), axis=-1) / self._gain

    def prox(self, u: ArrayLike, step: ArrayLike = 1.0) -> Array:
        """Return the prox of step f at u: that of softmax with gain s at u + step b/s."""
        steps = self.layer_steps(step)
        point = wide(self._checked(u))
        if self._shift is not None:
            point = point + steps * (self._shift / self._gain)
        return self._plain.prox(point, steps)

    def gap(self, x: Array, v: Array) -> tuple[Array, Array]:
        """Return the gap of softmax at S v + b, over s; +inf off the simplex.

        That gap has the derivative p - x in the pre-activation w, and its second derivative is at most diag(p): that
        bounds what the rounding of w adds.
        """
        self.require_penalty()
        x, v = self._checked(x), wide(self._checked(v))
        if self._shift is None:
            return self._plain.gap(x, v)
        w = self._drive(v)
        value, error = _SOFTMAX.gap(x, w)
        p = _SOFTMAX(w)
        with np.errstate(over="ignore", invalid="ignore"):
            slip = 2 * EPS * (np.abs(w - self._shift) + np.abs(w))
            first = np.where(x == p, 0.0, (np.abs(x - p) + 8 * EPS * p) * slip)
            second = np.where(p > 0, 2 * p * np.square(slip), 0.0)
            error = error + np.sum(first + second, axis=-1)
        return settle(value / self._gain, (error + 2 * EPS * value) / self._gain, ~np.isfinite(value))

    def conjugate_cvxpy(self, z: Any) -> tuple[Any, list[Any]]:
        """Return the negative entropy less <z, b>, over s, with sum(z) = 1."""
        self.require_penalty()
        expression, constraints = self._plain.conjugate_cvxpy(z)
        return expression - z @ np.broadcast_to(self.bias, z.shape) / self._gain, constraints

    def flint_conjugate(self, z: Sequence[FlintNumber]) -> FlintNumber | None:
        """Return (sum z log z - <z, b>)/s; None if an entry is negative or the sum cannot be 1."""
        self.require_penalty()
        value = self._plain.flint_conjugate(z)
        if value is None:
            return None
        return value - sum(t * b for t, b in zip(z, self._exact_bias(len(z)), strict=True)) / rational(self._gain)

    def _exact_bias(self, n: int) -> list[Any]:
        return [rational(float(b)) for b in np.broadcast_to(self.bias, n)]

    def flint_response(self, v: Sequence[FlintNumber]) -> list[FlintNumber]:
        """Return softmax(S v + b) as balls."""
        if isinstance(self.score, tuple):
            drive = [sum(rational(s) * t for s, t in zip(row, v, strict=True)) for row in self.score]
        else:
            drive = [rational(self.score) * t for t in v]
        return _SOFTMAX.flint_response([w + b for w, b in zip(drive, self._exact_bias(len(v)), strict=True)])


def checked_parameters(owner: Any) -> tuple[float | Matrix, float | Vector]:
    """Return the score and the bias of an activation in stored form, or raise OptionError."""
    bias = scalar_or_vector(owner, "bias")
    if not isinstance(owner.score, Sequence | np.ndarray) or np.ndim(owner.score) == 0:
        score = number(owner, "score")
        if score == 0:
            raise refusal(owner, "score", "must not be 0: the response would be constant")
        return score, bias
    rows = matrix(owner, "score")
    if len(rows) != len(rows[0]):
        raise refusal(owner, "score", f"must be a number or a square matrix; got shape ({len(rows)}, {len(rows[0])})")
    if isinstance(bias, tuple) and len(bias) != len(rows):
        raise refusal(owner, "bias", f"must have one entry for each row of score, {len(rows)}; got {len(bias)}")
    return rows, bias


_SOFTMAX = Softmax()
