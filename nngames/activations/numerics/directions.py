"""Lengths and directions of vectors without overflow, to known errors, and how far a vector is from a sphere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from nngames.activations.numerics.flint_forms import FlintNumber, half_square, nonnegative_root
from nngames.activations.numerics.rounding import EPS, Array, floating
from nngames.core.errors import ShapeError


def as_layer(name: str, v: ArrayLike) -> Array:
    """Return v (..., n), n >= 1, as floats, or raise ShapeError."""
    array = floating(v)
    if array.ndim == 0 or array.shape[-1] == 0:
        given = "a single number" if array.ndim == 0 else "an empty one"
        raise ShapeError(f"activation {name!r} acts on a layer; got {given}")
    return array


def polar(v: Array) -> tuple[Array, Array]:
    """Return the length (..., 1) of v (..., n), inf where it overflows, and the direction, 0 where v = 0.

    Both are good to n + 8 halves of ``EPS``, whatever the size of v.
    """
    largest = np.max(np.abs(v), axis=-1, keepdims=True)
    # A power of two, so that nothing is rounded; frexp of 1e308 gives 2^1024, which is no number.
    scale = np.where(largest > 0, np.ldexp(1.0, np.frexp(largest)[1] - 1), 1.0)
    scaled = v / scale
    length = np.sqrt(np.sum(np.square(scaled), axis=-1, keepdims=True))
    with np.errstate(over="ignore"):
        return length * scale, scaled / np.where(length > 0, length, 1.0)


def deficit(x: Array, total: float) -> tuple[Array, Array]:
    """Return total - |x|^2 for x (..., n), below 0 for any |x_i| > 2 sqrt(total), and a bound on its error.

    The squares and their sum are taken without error (Dekker's product, Knuth's sum), and what rounding left out is
    added at the end: the plain difference has no digits where |x|^2 = total up to rounding.
    """
    cut = 2 * np.sqrt(total)
    short = np.clip(x, -cut, cut)
    high = short * (2.0**27 + 1)
    high = high - (high - short)
    low = short - high
    square = short * short
    slip = low * low - ((square - high * high) - 2 * high * low)
    sums = np.cumsum(np.concatenate([np.full((*x.shape[:-1], 1), total), -square], axis=-1), axis=-1)
    before, after = sums[..., :-1], sums[..., 1:]
    back = after - before
    lost = (before - (after - back)) - (square + back)
    value = after[..., -1] + np.sum(lost - slip, axis=-1)
    unit = (x.shape[-1] + 8) * EPS
    return value, EPS * np.abs(value) + np.square(unit) * (total + np.sum(square, axis=-1))


def turning(x: Array, v: Array) -> tuple[Array, Array, Array, Array]:
    """Return |x|, |v|, |x/|x| - v/|v||^2/2 (the angle's 1 - cos) and the bound on its error, each (...)."""
    unit = (x.shape[-1] + 8) * EPS
    (size, towards), (length, direction) = polar(x), polar(v)
    apart = np.linalg.norm(towards - direction, axis=-1)
    # Where one of them is 0 its length makes the term vanish.
    return size[..., 0], length[..., 0], 0.5 * np.square(apart), (apart + unit) * unit


def length_ball(v: Sequence[FlintNumber]) -> Any:
    """Return |v| as a ball."""
    return nonnegative_root(2 * sum(half_square(t) for t in v))
