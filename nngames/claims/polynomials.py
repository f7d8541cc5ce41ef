"""Polynomials of degree at most 2 whose coefficients are rational or balls: values, combinations, real roots."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

from nngames.core.ball_ranges import as_ball

#: A coefficient: rational, or a function that returns a ball at flint's working precision.
Coefficient = Fraction | Callable[[], Any]

#: Coefficients by power, the constant first; at most quadratic.
Polynomial = tuple[Coefficient, ...]


def value_of(coefficient: Coefficient) -> Any:
    """Return a coefficient as a Fraction or a ball."""
    return coefficient() if callable(coefficient) else coefficient


def evaluate(polynomial: Polynomial, u: Any) -> Any:
    """Return the polynomial's value at a rational or a ball: a Fraction where all is rational, else a ball."""
    total: Any = Fraction(0)
    for coefficient in reversed(polynomial):
        total = _add(_multiply(total, u), value_of(coefficient))
    return total


def written(polynomial: Polynomial, variable: str) -> str:
    """Return the polynomial as text, rational coefficients exactly and others to 10 digits."""
    powers = ("", f" {variable}", f" {variable}^2")
    terms = [(value_of(c), power) for c, power in zip(polynomial, powers, strict=False)]
    text = ""
    for value, power in terms:
        if value == 0:
            continue
        number = str(abs(value)) if isinstance(value, Fraction) else str(abs(value).str(10, radius=False))
        sign = "-" if value < 0 else "+"
        term = power.strip() if power and number == "1" else number + power
        text += f" {sign} {term}" if text else term if sign == "+" else f"-{term}"
    return text or "0"


def _add(a: Any, b: Any) -> Any:
    return a + b if isinstance(a, Fraction) and isinstance(b, Fraction) else as_ball(a) + as_ball(b)


def _multiply(a: Any, b: Any) -> Any:
    if a == 0 or b == 0:
        return Fraction(0)
    return a * b if isinstance(a, Fraction) and isinstance(b, Fraction) else as_ball(a) * as_ball(b)


def combine(terms: Sequence[tuple[Fraction, Polynomial]]) -> Polynomial:
    """Return the sum of multiples of polynomials, with its coefficients evaluated."""
    length = max(len(polynomial) for _, polynomial in terms)
    result = []
    for power in range(length):
        total: Any = Fraction(0)
        for factor, polynomial in terms:
            if power < len(polynomial):
                total = _add(total, _multiply(factor, value_of(polynomial[power])))
        result.append(total if isinstance(total, Fraction) else _constant(total))
    return tuple(result)


def _constant(ball: Any) -> Callable[[], Any]:
    return lambda: ball


def roots(coefficients: list[Any]) -> list[Any]:
    """Return the real roots of a polynomial of degree at most 2."""
    while coefficients and coefficients[-1] == 0:
        coefficients.pop()
    if len(coefficients) == 2:
        c0, c1 = coefficients
        if c0 == 0:
            return [Fraction(0)]
        rational = isinstance(c0, Fraction) and isinstance(c1, Fraction)
        return [-c0 / c1 if rational else -as_ball(c0) / as_ball(c1)]
    if len(coefficients) == 3:
        if all(isinstance(c, Fraction) for c in coefficients):
            return _rational_quadratic_roots(*coefficients)
        if coefficients[0] == 0:
            return [Fraction(0), *roots(coefficients[1:])]
        return _ball_quadratic_roots(*(as_ball(c) for c in coefficients))
    return []


def _rational_quadratic_roots(c0: Fraction, c1: Fraction, c2: Fraction) -> list[Any]:
    """Return the real roots of a quadratic with rational coefficients: rational where they are."""
    square = c1 * c1 - 4 * c0 * c2
    if square < 0:
        return []
    top, bottom = math.isqrt(square.numerator), math.isqrt(square.denominator)
    if top * top == square.numerator and bottom * bottom == square.denominator:
        root = Fraction(top, bottom)
        return [(-c1 - root) / (2 * c2), (-c1 + root) / (2 * c2)][: 1 if root == 0 else 2]
    return _ball_quadratic_roots(as_ball(c0), as_ball(c1), as_ball(c2))


def _ball_quadratic_roots(c0: Any, c1: Any, c2: Any) -> list[Any]:
    """Return the real roots of a quadratic whose discriminant has a sign in ball arithmetic."""
    square = c1 * c1 - 4 * c0 * c2
    if square < 0:
        return []
    if not square > 0:
        raise ArithmeticError("a double root cannot be decided in ball arithmetic")
    root = square.sqrt()
    return [(-c1 - root) / (2 * c2), (-c1 + root) / (2 * c2)]
