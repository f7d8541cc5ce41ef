"""Two points at which an averagedness inequality fails, checked in rational or ball arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any

from nngames.activations.foundations.base import Activation
from nngames.claims.polynomials import Polynomial, evaluate
from nngames.core.ball_ranges import as_ball, working_precision


@dataclass(frozen=True)
class Witness:
    """Two points that refute a constant gamma: |gamma (x - y) + r(x) - r(y) - (x - y)| > gamma |x - y|.

    Attributes
    ----------
    x, y : str
        The points, as exact numbers or vectors of them.
    constant : str
        gamma: the claimed constant there, or 1 where the claim names none.
    slope : float
        The quotient <x - y, r(x) - r(y)>/|x - y|^2.
    parameters : mapping
        The activation's parameters.
    """

    x: str
    y: str
    constant: str
    slope: float
    parameters: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Return the witness as plain JSON-ready data."""
        return asdict(self)


def refuting(activation: Activation, x: Any, y: Any, constant: Polynomial, u: Fraction) -> Witness:
    """Return the witness that the inequality fails at x and y for the constant at u.

    Raises
    ------
    ArithmeticError
        If it does not, or cannot be decided.
    """
    with working_precision(200):
        gamma = evaluate(constant, u)
        moved, apart, product = _differences(activation, _vector(x), _vector(y))
        # |gamma d + (r - d)|^2 - gamma^2 |d|^2 with d = x - y, r = r(x) - r(y), written out.
        excess = moved - 2 * product + apart + 2 * as_ball(gamma) * (product - apart)
        if not excess > 0:
            raise ArithmeticError(f"the inequality of {activation.name!r} does not fail at {x} and {y}: {excess}")
        told = str(gamma) if isinstance(gamma, Fraction) else str(gamma.str(30, radius=False))
        return Witness(_text(x), _text(y), told, float(product / apart), dict(activation.parameters))


def _differences(activation: Activation, x: list[Fraction], y: list[Fraction]) -> tuple[Any, Any, Any]:
    """Return |r(x) - r(y)|^2, |x - y|^2 and <x - y, r(x) - r(y)> as balls."""
    first, second = (activation.flint_response([_rational(t) for t in point]) for point in (x, y))
    response = [as_ball(a) - as_ball(b) for a, b in zip(first, second, strict=True)]
    points = [as_ball(a) - as_ball(b) for a, b in zip(x, y, strict=True)]
    zero = as_ball(0)
    return (
        sum((t * t for t in response), zero),
        sum((t * t for t in points), zero),
        sum((s * t for s, t in zip(points, response, strict=True)), zero),
    )


def _vector(point: Any) -> list[Fraction]:
    return [Fraction(t) for t in point] if isinstance(point, Sequence) else [Fraction(point)]


def _rational(t: Fraction) -> Any:
    from flint import fmpq

    return fmpq(t.numerator, t.denominator)


def _text(point: Any) -> str:
    return str(point) if not isinstance(point, Sequence) else "(" + ", ".join(map(str, point)) + ")"
