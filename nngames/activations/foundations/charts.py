"""Where an activation's slope is analytic: the charts and tails by which its range is proved in ball arithmetic."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

#: A number: exact, or a function that returns a ball around it (for pi, say).
Exact = int | float | Fraction | Callable[[], Any]

#: A function of flint's power series (arb_series), written with operations that balls have too.
SeriesFunction = Callable[[Any], Any]


@dataclass(frozen=True)
class Chart:
    """A part of the line on which the slope is an analytic function of a variable t in a compact interval.

    Attributes
    ----------
    lower, upper : number
        The interval of t.
    slope : callable
        r' as a function of t, on power series.
    point : callable, optional
        The x that belongs to t, on balls; None where t is x. An end of t may stand for an infinite x.
    statement : str
        The substitution, such as ``t = e^-x for x >= 0``.
    limits : tuple of "lower", "upper"
        The ends of t at which the slope is a limit that it does not take.
    exact_points : tuple of numbers
        Values of t at which the slope has an exactly known critical point.
    """

    lower: Exact
    upper: Exact
    slope: SeriesFunction
    point: Callable[[Any], Any] | None = None
    statement: str = "t = x"
    limits: tuple[str, ...] = ()
    exact_points: tuple[int | float | Fraction, ...] = ()


@dataclass(frozen=True)
class TailBound:
    """The line beyond ``start``, to the right for sign 1 and to the left for sign -1, with bounds on the slope there.

    Attributes
    ----------
    start : float or Fraction
        The first value of the variable t.
    sign : 1 or -1
    slope : callable
        r' as a function of t, on power series: the bounds are checked against it.
    bounds : callable
        Returns (low, high), balls, for the start as a ball: every slope beyond it lies between low's lower and high's
        upper end; an infinite ball where the slope is unbounded.
    statement : str
        Why the bounds hold, for every start from the given one on.
    limits : tuple of "low", "high"
        The bounds that the slope comes arbitrarily close to.
    point : callable, optional
        The x that belongs to t, on balls; None where t is x.
    """

    start: float | Fraction
    sign: int
    slope: SeriesFunction
    bounds: Callable[[Any], tuple[Any, Any]]
    statement: str
    limits: tuple[str, ...] = ()
    point: Callable[[Any], Any] | None = None


SlopePart = Chart | TailBound


def chart_of(
    response: SeriesFunction,
    lower: Exact,
    upper: Exact,
    exact_points: tuple[int | float | Fraction, ...] = (),
    statement: str = "t = x",
) -> Chart:
    """Return the chart t = x on [lower, upper] of a response given on power series; its derivative is the slope."""
    return Chart(lower, upper, derivative_of(response), None, statement, (), exact_points)


def derivative_of(response: SeriesFunction) -> SeriesFunction:
    """Return the derivative of a function on power series, at the series [x, 1]."""

    def slope(t: Any) -> Any:
        from flint import arb_series

        # One order more goes in, since differentiation loses one.
        return response(arb_series([t[0], 1], prec=t.prec + 1)).derivative()

    return slope


def constant_chart(slope: int | float | Fraction, lower: Exact, upper: Exact) -> Chart:
    """Return the chart of a piece on which r is affine; an infinite end is one of t = x/(1 + |x|), moved to the other.

    Notes
    -----
    The charts are x = lower + t/(1 - t) on [0, 1], x = upper + t/(1 + t) on [-1, 0], and x = t/(1 - t^2) on [-1, 1].
    """

    def value(t: Any) -> Any:
        from nngames.core.ball_ranges import as_ball

        return as_ball(slope) + 0 * t

    left, right = _is_infinite(lower), _is_infinite(upper)
    if not (left or right):
        return Chart(lower, upper, value, None, "affine piece")

    def point(t: Any) -> Any:
        from nngames.core.ball_ranges import as_ball

        if left and right:
            return t / (1 - t * t)
        start = upper if left else lower
        return as_ball(start() if callable(start) else start) + (t / (1 + t) if left else t / (1 - t))

    return Chart(-1 if left else 0, 1 if right else 0, value, point, "affine piece, compactified")


def _is_infinite(end: Exact) -> bool:
    return isinstance(end, float) and not math.isfinite(end)


def moved_part(part: SlopePart, factor: Fraction, inner: Fraction, shift: Fraction) -> SlopePart:
    """Return the part on which inner x + shift is in the given one, with its slopes times the factor."""
    from nngames.core.ball_ranges import as_ball

    moved = inner != 1 or shift != 0
    how = f"{part.statement}, with {float(inner):g} x + {float(shift):g} for x" if moved else part.statement
    own = part.point

    def point(t: Any) -> Any:
        return ((t if own is None else own(t)) - as_ball(shift)) / as_ball(inner)

    def slope(t: Any) -> Any:
        return as_ball(factor) * part.slope(t)

    where = point if moved else own
    if isinstance(part, Chart):
        return replace(part, slope=slope, point=where, statement=how)

    def bounds(start: Any) -> tuple[Any, Any]:
        low, high = (as_ball(factor) * end for end in part.bounds(start))
        return (low, high) if factor > 0 else (high, low)

    swapped = {"low": "high", "high": "low"}
    limits = part.limits if factor > 0 else tuple(swapped[name] for name in part.limits)
    return replace(part, slope=slope, bounds=bounds, statement=how, limits=limits, point=where)
