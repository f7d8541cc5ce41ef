"""Maps of a whole layer to one number: the largest entry, and its smooth form with a 0 among the entries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nngames.activations.foundations.base import Array, FlintNumber, activation_named
from nngames.activations.foundations.penalty_free import OutsideMap
from nngames.activations.numerics.directions import as_layer
from nngames.activations.numerics.flint_forms import ball, larger


@activation_named("maxout")
@dataclass(frozen=True)
class Maxout(OutsideMap):
    """r(v) = max_k v_k, from (..., n) to (..., 1).

    Its gradients are unit vectors where the maximum is taken once, so its Lipschitz constant is 1.
    """

    piecewise_linear = True
    maps = "R^n to R"
    instead = "use 'relu', max(0, v_i) by coordinate, or 'softmax', which takes a share of each entry"

    @property
    def lipschitz(self) -> float:
        """1, along any axis on which the maximum is taken."""
        return 1.0

    def __call__(self, v: ArrayLike, out: Array | None = None) -> Array:
        """Return the largest entry, (..., 1)."""
        result: Array = np.max(as_layer(self.name, v), axis=-1, keepdims=True, out=out)
        return result

    def jvp(self, v: Array, d: Array) -> Array:
        """Return the entry of d where v is largest (the first such), (..., 1)."""
        place = np.argmax(v, axis=-1, keepdims=True)
        return np.take_along_axis(d, place, axis=-1)

    def vjp(self, v: Array, u: Array) -> Array:
        """Return u (..., 1) where v is largest (the first such), 0 elsewhere."""
        result = np.zeros(np.shape(v), dtype=np.result_type(v, u))
        np.put_along_axis(result, np.argmax(v, axis=-1, keepdims=True), u, axis=-1)
        return result

    def flint_response(self, v: Sequence[FlintNumber]) -> list[FlintNumber]:
        """Return the largest entry."""
        return [reduce(larger, v)]


@activation_named("log_sum_exp_one")
@dataclass(frozen=True)
class LogSumExpOne(OutsideMap):
    """r(v) = log(1 + sum_k e^(v_k)), from (..., n) to (..., 1): the softplus of a vector.

    Its gradients p, p_k = e^(v_k)/(1 + sum e^(v_j)), are shorter than 1 and come near 1: the Lipschitz constant is 1.
    """

    maps = "R^n to R"
    instead = "use 'softplus', which takes log(1 + e^(v_i)) of each coordinate"

    @property
    def lipschitz(self) -> float:
        """1, in the limit of one large entry."""
        return 1.0

    def __call__(self, v: ArrayLike, out: Array | None = None) -> Array:
        """Return log(1 + sum e^v), (..., 1): the largest of 0 and the entries, and log1p of the other terms."""
        top, _, terms = _terms(as_layer(self.name, v))
        return np.add(top, np.log1p(np.sum(terms, axis=-1, keepdims=True)), out=out)

    def jvp(self, v: Array, d: Array) -> Array:
        """Return <p, d>, (..., 1)."""
        return np.sum(self._shares(v) * d, axis=-1, keepdims=True)

    def vjp(self, v: Array, u: Array) -> Array:
        """Return p u for u (..., 1)."""
        return self._shares(v) * u

    def _shares(self, v: Array) -> Array:
        top, place, terms = _terms(v)
        total = 1 + np.sum(terms, axis=-1, keepdims=True)
        np.put_along_axis(terms, place, np.where(top > 0, 1.0, np.take_along_axis(terms, place, axis=-1)), axis=-1)
        return terms / total

    def flint_response(self, v: Sequence[FlintNumber]) -> list[FlintNumber]:
        """Return log(1 + sum e^v) as a ball."""
        return [sum(ball(t).exp() for t in v).log1p()]


def _terms(v: Array) -> tuple[Array, NDArray[np.intp], Array]:
    """Return m = max(0, v_1, ..., v_n), the place of the largest entry, and the e^(v_k - m) with e^-m there if m > 0.

    Those are all terms of 1 + sum e^v over e^m, less the largest one, which is 1; where m = 0 that one is the constant.
    """
    place = np.argmax(v, axis=-1, keepdims=True)
    largest = np.take_along_axis(v, place, axis=-1)
    top = np.maximum(largest, v.dtype.type(0.0))
    with np.errstate(over="ignore"):
        terms = np.exp(v - top)
    np.put_along_axis(terms, place, np.exp(-np.abs(largest)), axis=-1)
    return top, place, terms
