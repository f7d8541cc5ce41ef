"""Rounding errors of squares, cubics and products, to be put right in exponentials whose arguments are large."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from nngames.activations.numerics.elementwise import Kernel
from nngames.activations.numerics.rounding import Array

#: An exponential of a rounded u is corrected where u is beyond this: half a unit of u is then more than 3e-15.
FAR = 32.0
#: An exponential of minus this is 0, even times the largest float.
VANISHED = 1500.0

#: Places of a flattened array, and the factors by which its entries there are to be multiplied.
Correction = tuple[NDArray[np.intp], Array]


def is_power_of_two(factor: float) -> bool:
    """Return whether products with the factor are exact, up to underflow and overflow."""
    return abs(math.frexp(factor)[0]) == 0.5


def corrected(result: Array, correction: Correction | None) -> Array:
    """Return the result with its entries multiplied as the correction says."""
    if correction is None:
        return result
    places, factors = correction
    if not isinstance(result, np.ndarray):
        result = np.asarray(result)
    fill(result, places, taken(result, places) * factors)
    return result


def square_error(v: Array, square: Array) -> Array:
    """Return v^2 - square where square is v^2 rounded, for |v| <= 1e18 in double precision.

    The high part of v has the 24 bits of single precision, so that its square is exact.
    """
    high = v.astype(np.float32).astype(np.float64)
    return (high * high - square) + (v - high) * (v + high)


def gaussian(v: Array, weight: float = 1.0, out: Array | None = None) -> Array:
    """Return e^(-weight v^2) for v in double precision, to relative rounding also where it is small."""
    return bell_and_far(v, weight, out)[0]


def bell_and_far(v: Array, weight: float = 1.0, out: Array | None = None) -> tuple[Array, bool]:
    """Return ``gaussian`` and whether a v^2 is above 40 or NaN."""
    with np.errstate(over="ignore"):
        square = np.asarray(np.square(v))
    # Where v^2 is large its rounding shows, until the result is below all normal numbers.
    some = square.size > 0 and not square.max() <= 40.0
    if some:
        places = np.flatnonzero((square > 40.0) & (square < 750.0 / weight))
        factor = 1.0 - weight * square_error(taken(v, places), taken(square, places))
    result = np.asarray(np.multiply(square, -weight, out=out))
    np.exp(result, out=result)
    if some:
        fill(result, places, taken(result, places) * factor)
    return result if out is None else out, some


def far_left(factor: Array, v: Array) -> Array:
    """Return factor e^v where e^v underflows and the product need not."""
    root = np.exp(0.5 * v)
    return factor * root * root


def taken(values: Array, places: NDArray[np.intp]) -> Array:
    """Return the entries at places of the flattened array."""
    return np.asarray(values).reshape(-1).take(places)


def fill(result: Array, places: NDArray[np.intp], values: Array) -> None:
    """Set the entries at places of the flattened array; faster than by a mask."""
    if result.flags.c_contiguous:
        result.reshape(-1)[places] = values
    else:
        result.flat[places] = values


def in_double(kernel: Kernel, v: Array, out: Array | None) -> Array:
    """Return kernel(v, out), computed in double precision and rounded to that of v."""
    if v.dtype == np.float64:
        return kernel(v, out)
    result = kernel(v.astype(np.float64), None)
    if out is None:
        return result.astype(v.dtype)
    np.copyto(out, result, casting="same_kind")
    return out


def product_error(v: Array, factor: float, product: Array) -> Array:
    """Return factor * v - product where product is that rounded, of at most 1e30 in size, in double precision.

    The high parts have the 24 bits of single precision, so that their product is exact.
    """
    mantissa, exponent = math.frexp(factor)
    scaled, high_factor = np.ldexp(v, exponent), float(np.float32(mantissa))
    high = scaled.astype(np.float32).astype(np.float64)
    return (high * high_factor - product) + high * (mantissa - high_factor) + (scaled - high) * mantissa


def sum_error(a: Array, b: float, total: Array) -> Array:
    """Return a + b - total where total is that rounded (Knuth's two-sum)."""
    part = total - a
    return (a - (total - part)) + (b - part)


def exponential_correction(v: Array, factor: float, product: Array) -> Correction | None:
    """Return by what e^(factor v) differs from e^product where that is far below 1 and the difference shows."""
    if is_power_of_two(factor) or v.dtype != np.float64 or not np.min(product, initial=0.0) < -FAR:
        return None
    places = np.flatnonzero((product < -FAR) & (product > -VANISHED))
    return places, 1 + product_error(taken(v, places), factor, taken(product, places))


def exponential(v: Array, factor: float) -> Array:
    """Return e^(factor v) for v in double precision, to relative rounding also where the product is large."""
    with np.errstate(over="ignore"):
        product = np.asarray(np.multiply(v, factor))
        result = np.asarray(np.exp(product))
    if is_power_of_two(factor) or not np.max(np.abs(product), initial=0.0) > 16.0:
        return result
    size = np.abs(product)
    far = (size > 16.0) & (size < 800.0)
    result[far] *= 1.0 + product_error(np.asarray(v)[far], factor, product[far])
    return result
