"""Conjugates in ball arithmetic of monotone responses whose inverse has no closed form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nngames.activations.numerics.flint_forms import FlintNumber, ball


def conjugate_ball(
    response: Callable[[Any], Any],
    primitive: Callable[[Any], Any],
    slope: Callable[[Any], Any],
    guess: float,
    z: FlintNumber,
) -> Any:
    """Return a ball around g*(z) = sup_w z w - g(w) for a response R -> R that increases from -inf to inf.

    Parameters
    ----------
    response, primitive, slope : callable
        r, g and r' on balls; the slope only steers Newton's steps.
    guess : float
        A number close to the w with r(w) = z.
    z : fmpq or arb

    Notes
    -----
    For any w, g*(z) exceeds z w - g(w) by the integral of z - r from w to the w' with r(w') = z, which is at most
    |w' - w| |z - r(w)|; |w' - w| <= d if r(w - d) <= z <= r(w + d). Since g* has the derivative w', a radius of z
    costs at most its product with |w| + d.
    """
    from flint import arb, ctx

    from nngames.core.ball_ranges import working_precision

    precision = ctx.prec
    # Next to 0 the two terms may cancel.
    with working_precision(precision + 64):
        target = ball(z)
        middle, radius = target.mid(), target.rad()
        w = arb(guess)
        for _ in range(8):
            step = (w - (response(w) - middle) / slope(w)).mid()
            if not step.is_finite() or not abs(response(step) - middle) < abs(response(w) - middle):
                break
            w = step
        miss = (response(w) - middle).abs_upper()
        distance = (miss + radius + abs(w) * arb(2) ** -precision + arb(2) ** (-4 * precision)).upper()
        for _ in range(8 * precision):
            if response(w - distance) <= target.lower() and response(w + distance) >= target.upper():
                spread = (radius * (abs(w) + distance)).upper()
                return middle * w - primitive(w) + arb(0).union((distance * miss).upper()) + arb(0, spread)
            distance = 2 * distance
    return arb(0, float("inf"))
