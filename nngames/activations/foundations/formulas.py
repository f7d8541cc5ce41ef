"""Parts of the formulas in which activations state their penalties: numbers, quotients and sums."""

from __future__ import annotations

#: Significant digits of the numbers.
DIGITS = 6


def decimal(value: float) -> str:
    """Return a number to six digits."""
    return f"{value:.{DIGITS}g}"


def quotient(factor: str, divisor: float) -> str:
    """Return a factor over a number, itself for 1."""
    return factor if divisor == 1 else f"{factor}/{decimal(divisor)}"


def multiple(number: float, factor: str) -> str:
    """Return a number times a factor, the factor for 1."""
    return combination((number, factor))


def combination(*terms: tuple[float, str]) -> str:
    """Return the sum of numbers times products (times sums for the number 1); an empty product is 1, 0 is left out."""
    result = ""
    for number, product in terms:
        if number != 0:
            size = decimal(abs(number))
            term = size if not product else product if size == "1" else f"{size}*{product}"
            result += ((" - " if number < 0 else " + ") if result else ("-" if number < 0 else "")) + term
    return result or "0"
