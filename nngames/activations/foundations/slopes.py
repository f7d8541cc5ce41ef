"""The ends of an activation's slope range, exactly: closed form or defining equation, digits, and where it is met.

A slope of a scalar r is a difference quotient; of a map of R^n, a Rayleigh quotient <x - y, r(x) - r(y)>/|x - y|^2.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np

from nngames.core.exact import nearest_float

#: Two points whose slope is that of an end to 1e-9, or grows without bound towards it: numbers, or vectors as tuples;
#: empty tuples for an end that is only a bound, or that no layer of workable size comes near.
Pair = tuple[Any, Any]

#: Significant digits that ``SlopeEnd.digits`` gives.
DIGITS = 30


@dataclass(frozen=True)
class SlopeEnd:
    """The infimum or the supremum of the slopes.

    Attributes
    ----------
    expression : str
        The number in closed form, or in terms of what ``equation`` defines.
    number : Fraction, float or callable
        The number: a Fraction where it is rational, an infinity, or a function that returns a ball (flint's arb) around
        it at flint's working precision.
    pair : (x, y)
        Two points whose slope is within 1e-9 of the number, or within 1e-9 times its size if that is above 1; where it
        is infinite, two points with a slope beyond 1e3.
    attained : bool
        Whether the derivative, one-sided at kinks, takes the number; otherwise it is a limit.
    equation : str
        What defines the letters of ``expression``; empty where there are none.
    """

    expression: str
    number: Fraction | float | Callable[[], Any]
    pair: Pair = field(compare=False)
    attained: bool = True
    equation: str = ""

    @property
    def finite(self) -> bool:
        """Whether the end is a number."""
        return not isinstance(self.number, float) or math.isfinite(self.number)

    @property
    def rational(self) -> bool:
        """Whether the end is a rational number."""
        return isinstance(self.number, Fraction)

    def ball(self) -> Any:
        """Return a ball (flint's arb) around the number at flint's working precision."""
        from flint import arb, fmpq

        if isinstance(self.number, Fraction):
            return arb(fmpq(self.number.numerator, self.number.denominator))
        return arb(self.number) if isinstance(self.number, float) else self.number()

    @property
    def digits(self) -> str:
        """The number to 30 significant digits, all of them right to one unit of the last."""
        if not self.finite:
            return "inf" if self.number == math.inf else "-inf"
        from nngames.core.ball_ranges import working_precision

        if isinstance(self.number, Fraction) and self.number.denominator == 1 and abs(self.number) < 10**DIGITS:
            return str(self.number.numerator)
        with working_precision(200):
            return str(self.ball().str(DIGITS, radius=False))

    def times(self, factor: float | Fraction, pair: Pair | None = None) -> SlopeEnd:
        """Return the end of the slopes of factor * r, with the pair that is given, or its own.

        What was an infimum is a supremum where the factor is negative.
        """
        scale = Fraction(factor)
        product: Fraction | float | Callable[[], Any]
        if not self.finite:
            product = float(self.number) * float(factor) if factor else Fraction(0)  # type: ignore[arg-type]
        elif isinstance(self.number, Fraction):
            product = self.number * scale
        else:
            product = _product(self.number, scale)
        if isinstance(product, Fraction):
            expression = exact_text(product)
        elif isinstance(product, float):
            expression = "inf" if product > 0 else "-inf"
        else:
            expression = self.expression if factor == 1 else f"{exact_text(scale)} ({self.expression})"
        return SlopeEnd(expression, product, self.pair if pair is None else pair, self.attained, self.equation)

    def __str__(self) -> str:
        return f"{self.expression}, {self.equation}" if self.equation else self.expression


def rational_end(value: float | Fraction, pair: Pair, attained: bool = True) -> SlopeEnd:
    """Return the end that is a rational number or infinite; a float counts as the rational that it equals."""
    if isinstance(value, float) and not math.isfinite(value):
        return SlopeEnd("inf" if value > 0 else "-inf", value, pair, attained=False)
    number = Fraction(value)
    return SlopeEnd(exact_text(number), number, pair, attained)


def exact_text(number: Fraction) -> str:
    """Return a rational number as a person writes it.

    It is 1/4, or the shortest decimals of a float: where the number is that float, or is those decimals exactly.
    """
    value = nearest_float(number)
    if number.denominator <= 1000 and abs(number) < 10**DIGITS:
        return str(number)
    return repr(value) if math.isfinite(value) and number in (Fraction(value), Fraction(repr(value))) else str(number)


def outward(low: SlopeEnd, high: SlopeEnd) -> tuple[float, float]:
    """Return the ends as floats, rounded outwards where they are no floats."""
    return _rounded(low, -math.inf), _rounded(high, math.inf)


def symmetric_pair(point: float, half: float = 1e-5) -> Pair:
    """Return two points around the one at which a smooth slope has its extreme; their quotient is within half^2."""
    return (point - half, point + half)


def root_ball(function: Callable[[Any], Any], start: float) -> Callable[[], Any]:
    """Return a function that returns a ball around the zero that an equation has next to a float.

    ``function`` is the left side less the right, on flint's power series. The ball has about flint's working precision;
    that it holds a zero, and one only, is proved by a step of the interval Newton method.
    """

    def ball() -> Any:
        from flint import arb, arb_series, ctx

        from nngames.core.ball_ranges import working_precision

        with working_precision(ctx.prec + 32, 2):
            middle = arb(start)
            for _ in range(2 + ctx.prec.bit_length()):
                terms = arb_series(function(arb_series([middle, 1], prec=2)))
                middle = (middle - terms[0] / terms[1]).mid()
            radius = (abs(middle) + arb(2) ** -ctx.prec).upper() * arb(2) ** (16 - ctx.prec)
            box = middle + arb(0, radius)
            slope = arb_series(function(arb_series([box, 1], prec=2)))[1]
            image = middle - arb_series(function(arb_series([middle, 1], prec=2)))[0] / slope
            if not box.contains_interior(image):
                raise ArithmeticError(f"no zero next to {start!r} is proved")
            return image

    return ball


def _product(number: Any, scale: Fraction) -> Callable[[], Any]:
    def ball() -> Any:
        from flint import fmpq

        return number() * fmpq(scale.numerator, scale.denominator)

    return ball


def _rounded(end: SlopeEnd, towards: float) -> float:
    if not end.finite:
        return float(end.number)  # type: ignore[arg-type]
    if isinstance(end.number, Fraction):
        value = float(end.number)
        exact = Fraction(value)
        inside = exact > end.number if towards < 0 else exact < end.number
        return float(np.nextafter(value, towards)) if inside else value
    from nngames.core.ball_ranges import working_precision

    with working_precision(200):
        ball = end.ball()
        value = float(ball.mid())
        beyond = ball < value if towards < 0 else ball > value
        return float(np.nextafter(value, towards)) if beyond else value
