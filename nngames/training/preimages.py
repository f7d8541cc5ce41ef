"""Preimages r^-1(y) = y + df(y) of nondecreasing scalar activations: an interval for each target, by bisection."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nngames.activations import Activation
from nngames.core.errors import InputError, NotApplicableError
from nngames.core.profiles import Array

Mask = NDArray[np.bool_]
Places = NDArray[np.int64]
#: Pre-activations beyond this are not looked at.
FARTHEST = 1e150


def preimages(activation: Activation, targets: Array, what: str) -> tuple[Array, Array]:
    """Return the ends (T, n) of the intervals {v: r(v) = y}, infinite where they have none.

    The ends are found to the last float at which the computed r(v) is y; where r takes y once both are that point, up
    to what rounding of r hides.

    Parameters
    ----------
    activation : Activation
        Nondecreasing and acting on each coordinate.
    targets : ndarray (T, n)
    what : str
        What to call the targets in a message.

    Raises
    ------
    NotApplicableError
        If the activation is not of that kind.
    InputError
        If r does not take a target; the message names the row.
    """
    if not (activation.separable and activation.monotone):
        raise NotApplicableError(
            f"preimages are found for nondecreasing activations of single coordinates, which {activation.name!r} is not"
        )
    lower = _first(activation, targets, strict=False)
    upper = _first(activation, targets, strict=True)
    # The last v with r(v) <= y comes before the first with r(v) > y.
    upper = np.where(np.isfinite(upper), np.nextafter(upper, -np.inf), upper)
    nearest = np.clip(0.0, lower, upper)
    with np.errstate(invalid="ignore", over="ignore"):
        away = np.abs(activation(np.clip(nearest, -FARTHEST, FARTHEST)) - targets)
    # r need not pass through the float y: a preimage of a float next to it counts.
    slope = max(activation.lipschitz, 1.0) if np.isfinite(activation.lipschitz) else 1.0
    size = np.where(np.isfinite(nearest), np.abs(nearest), 1.0)
    missed = away > 16 * np.finfo(float).eps * (np.abs(targets) + slope * size)
    strict_end = ~np.isfinite(nearest) | ((not activation.slope_range_exact[0].attained) & _is_end(activation, targets))
    bad = missed | strict_end
    if bad.any():
        row, column = (int(i) for i in np.argwhere(bad)[0])
        raise InputError(
            f"{what}: row {row}, column {column} is {targets[row, column]:.6g}, which {activation.name!r} does not "
            "take: it is at most a limit of its values"
        )
    swapped = lower > upper
    lower, upper = np.where(swapped, upper, lower), np.where(swapped, lower, upper)
    return lower, upper


def _is_end(activation: Activation, targets: Array) -> Mask:
    domain = activation.domain
    low, high = getattr(domain, "lower", -np.inf), getattr(domain, "upper", np.inf)
    return (targets <= low) | (targets >= high)


def _first(activation: Activation, targets: Array, strict: bool) -> Array:
    """Return the first float v with r(v) >= y (> y where ``strict``); inf where there is none, -inf where all are."""

    def holds(v: Array) -> Mask:
        with np.errstate(over="ignore", invalid="ignore"):
            value = activation(v)
        return np.asarray(value > targets if strict else value >= targets)

    low, high = np.full(targets.shape, -FARTHEST), np.full(targets.shape, FARTHEST)
    never, always = ~holds(high), holds(low)
    # Bisection over the floats in their order takes 64 steps, over their values hundreds.
    first, last = _order(low), _order(high)
    for _ in range(66):
        # The mean without overflow.
        middle = (first & last) + ((first ^ last) >> 1)
        good = holds(_number(middle))
        last = np.where(good, middle, last)
        first = np.where(good, first, middle)
    return np.where(never, np.inf, np.where(always, -np.inf, _number(last)))


def _order(v: Array) -> Places:
    """Return the places of floats in their order, as integers."""
    bits = np.ascontiguousarray(v, dtype=np.float64).view(np.int64)
    return np.where(bits >= 0, bits, np.iinfo(np.int64).min - bits)


def _number(place: Places) -> Array:
    """Return the floats at those places."""
    bits = np.where(place >= 0, place, np.iinfo(np.int64).min - place)
    return np.ascontiguousarray(bits, dtype=np.int64).view(np.float64)
