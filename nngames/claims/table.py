"""The source's table of activations: 47 rows, each with the constant it claims and what decides the claim.

Rows are numbered in the source's order. What a row claims is told in our words; its parameter is called u in the
pieces: on each, the ends of the slopes and the claimed constant are polynomials in u.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from nngames.activations import activation
from nngames.claims.parameter_sets import Piece
from nngames.claims.polynomials import Coefficient

ZERO, ONE, HALF = Fraction(0), Fraction(1), Fraction(1, 2)
INFINITY = math.inf


@dataclass(frozen=True)
class Claim:
    """One row of the table.

    Attributes
    ----------
    number : int
        Its place, from 1.
    name : str
        The activation, as registered.
    title : str
        What the row is called.
    claimed : str
        The claimed constant.
    pieces : tuple of Piece
        Where the constant is claimed; none where the claim is not well-posed.
    variable : str
        What u is, such as ``scale`` or ``1/epsilon``; empty for a row without parameter.
    at : Fraction
        The u of the source's own function, or of our default.
    parameters : callable
        The activation's parameters for a u.
    law : str
        Why the slopes are what the pieces say for every u.
    witness : (u, x, y), optional
        A parameter and two points at which the inequality fails.
    obstacle : str
        Why the claim is not well-posed; empty where it is.
    note : str
        What else is to be said.
    """

    number: int
    name: str
    title: str
    claimed: str
    pieces: tuple[Piece, ...] = ()
    variable: str = ""
    at: Fraction = ONE
    parameters: Callable[[Fraction], Mapping[str, Any]] = field(default=lambda u: {})
    law: str = ""
    witness: tuple[Fraction, Any, Any] | None = None
    obstacle: str = ""
    note: str = ""


def _ends(name: str, **parameters: Any) -> tuple[Coefficient, Coefficient]:
    """Return the exact ends of an activation's slopes as coefficients."""
    low, high = (
        Fraction(end.number) if end.rational else end.ball  # type: ignore[arg-type]
        for end in activation(name, **parameters).slope_range_exact
    )
    return low, high


def _single(low: Coefficient, high: Coefficient | None, constant: Fraction) -> tuple[Piece, ...]:
    """Return the piece of a row without parameter, at u = 1."""
    return (Piece(ONE, ONE, (low,), None if high is None else (high,), (constant,)),)


def _number(name: str) -> Callable[[Fraction], Mapping[str, Any]]:
    """Return the mapping of u to the parameter of that name."""
    return lambda u: {name: float(u)}


def _scaled(
    ends: tuple[Coefficient, Coefficient],
    left: tuple[Fraction, ...],
    right: tuple[Fraction, ...],
    reach: Fraction | float,
    opened: bool = False,
) -> tuple[Piece, ...]:
    """Return the pieces u <= 0 and u >= 0 of slopes that are u times ``ends``, with the constant on each side."""
    low, high = ends
    return (
        Piece(-reach, ZERO, (ZERO, high), (ZERO, low), left, ("lower",) if opened else ()),
        Piece(ZERO, reach, (ZERO, low), (ZERO, high), right, ("upper",) if opened else ()),
    )


#: (1 + |u|)/2 for u <= 0 and for u >= 0.
_HALF_SUM = ((HALF, -HALF), (HALF, HALF))
_UNIT = (ZERO, ONE)


def _constants() -> list[Claim]:
    """Return the rows without parameter whose claim is a number."""
    rows: list[tuple[int, str, str, str, Fraction, tuple[Any, Any] | None, str]] = [
        (1, "identity", "Identity", "1", ONE, None, ""),
        (5, "sigmoid", "Sigmoid", "5/8", Fraction(5, 8), None, ""),
        (15, "leaky_relu", "Leaky ReLU", "1", ONE, None, ""),
        (17, "silu", "Sigmoid linear unit", "1", ONE, (2, 3), ""),
        (25, "metallic_mean", "Metallic mean", "1/2", HALF, None, ""),
        (26, "arctan", "Arc tangent", "1", ONE, None, ""),
        (27, "softsign", "Softsign", "1", ONE, None, ""),
        (30, "sqnl", "Square nonlinearity", "1", ONE, None, ""),
        (34, "softsign_norm", "Softsign by the norm", "as softsign: 1", ONE, None,
         "the superscript k of the printed formula is read as the index of a component"),
        (35, "sin", "Sinusoid", "1", ONE, None, ""),
        (36, "sinc", "Sinc", "1", ONE, None, ""),
        (37, "piecewise_linear", "Piecewise linear", "1", ONE, None,
         "read as the continuous function: the printed indicators leave out x = 1/2, where the printed value is 0, so "
         "that the map as printed jumps there and is averaged with no constant"),
        (39, "cloglog", "Complementary log-log", "3/4", Fraction(3, 4), None, ""),
        (40, "bipolar_sigmoid", "Bipolar sigmoid", "as tanh: 3/4", Fraction(3, 4), None,
         "it is tanh(x/2), with slopes up to 1/2; the row refers to tanh, read with (1 + 1/2)/2"),
        (41, "hard_tanh", "Hard tanh", "1", ONE, None, ""),
        (42, "absolute_value", "Absolute value", "1", ONE, None, ""),
        (44, "softsign_probit", "Softsign of probit", "9/10", Fraction(9, 10), (Fraction(1, 4), Fraction(3, 4)),
         "every slope exceeds 1; it maps (0, 1) onto (-1, 1), so as a self-map the claim is not well-posed either"),
    ]  # fmt: skip
    claims = []
    for number, name, title, claimed, constant, witness, note in rows:
        low, high = activation(name).slope_range_exact
        top = high.ball if not high.rational else Fraction(high.number)  # type: ignore[arg-type]
        bottom = low.ball if not low.rational else Fraction(low.number)  # type: ignore[arg-type]
        pieces = _single(bottom, top if high.finite else None, constant)
        failing = None if witness is None else (ONE, *witness)
        claims.append(Claim(number, name, title, claimed, pieces, witness=failing, note=note))
    return claims


def _ill_posed() -> list[Claim]:
    """Return the rows that make no well-posed claim."""
    rows = [
        (12, "log_sum_exp_one", "Softplus of a vector", "1", None,
         "it maps R^d to R, so it is no self-map unless d = 1, where it is the softplus of the row before"),
        (20, "maxout", "Maxout", "1", None, "it maps R^n to R, so it is no self-map unless n = 1, the identity"),
        (24, "mish", "Mish", "see composition", (1, 2),
         "it is the product of x and tanh(softplus(x)), not a composition of averaged maps: the rule says nothing"),
        (33, "soft_clipping", "Soft clipping", "none is printed", None, "no constant is printed"),
        (38, "sinu_sigmoidal", "Sinu-sigmoidal linear unit", "see composition", (4, 7),
         "it is the product of x + amplitude sin(frequency x) and a sigmoid, not a composition of averaged maps"),
        (43, "logit", "Logit", "3/4", (Fraction(6, 25), Fraction(1, 4)),
         "it is not continuous: the indicator of [1/4, 3/4] makes it jump at both ends (on [1/4, 3/4] alone the slopes "
         "fill [2/5, 8/15], and 3/10 would be the infimum)"),
        (46, "attention", "Attention", "see composition", None,
         "the score map r_0 is not defined; the rule needs it to be averaged, and a linear map of norm above 1 is not"),
        (47, "attention_gaussian", "Gaussian of attention", "see composition", None,
         "the score map r_0 is not defined; the rule needs it to be averaged, and a linear map of norm above 1 is not"),
    ]  # fmt: skip
    return [
        Claim(number, name, title, claimed, witness=None if witness is None else (ONE, *witness), obstacle=obstacle)
        for number, name, title, claimed, witness, obstacle in rows
    ]


def _parametrised() -> list[Claim]:
    """Return the rows with a parameter."""
    gelu, gelu_tanh, silu = _ends("gelu"), _ends("gelu_tanh"), _ends("silu")
    steep = _ends("inverse_multiquadric")
    swish = (HALF, Fraction(11, 20))
    printed = _ends("selu_as_printed")[1]
    claim = "(1 + |{0}|)/2 for |{0}| {1} 1"
    product = "<{0}, x> is read as a number times x: as a scalar product it would map R^n to R"
    scaled, driven = "r is {0} times one map", "r is one map of {0} x + bias, so slopes are {0} times its own"
    pieces = "r is affine on two half-lines"
    line = (ONE, ONE)
    return [
        Claim(2, "linear", "Linear", claim.format("slope", "<="), _scaled(line, *_HALF_SUM, ONE), "slope",
              parameters=_number("slope"), law="r is affine with that slope", note=product.format("slope")),
        Claim(3, "relu", "ReLU of an affine function", claim.format("slope", "<="), _scaled(_UNIT, *_HALF_SUM, ONE),
              "slope", parameters=_number("slope"), law=driven.format("slope"), note=product.format("slope")),
        Claim(4, "logistic", "Logistic", "(4 + |slope|)/8 for |slope| <= 1",
              _scaled((ZERO, Fraction(1, 4)), (HALF, -Fraction(1, 8)), (HALF, Fraction(1, 8)), ONE), "slope",
              parameters=_number("slope"), law=driven.format("slope"),
              note=f"valid for |slope| <= 4 too; {product.format('slope')}"),
        Claim(6, "tanh", "Hyperbolic tangent", claim.format("scale", "<"), _scaled(_UNIT, *_HALF_SUM, ONE, opened=True),
              "scale", parameters=_number("scale"), law=scaled.format("scale")),
        Claim(7, "softmax", "Softmax", claim.format("gain", "<"),
              _scaled((ZERO, HALF), *_HALF_SUM, ONE, opened=True), "gain", parameters=_number("gain"),
              law="the Jacobian gain (diag(p) - pp') has eigenvalues between 0 and gain/2",
              note="at the gain 0 the map is constant; it is not offered as an activation"),
        Claim(8, "gelu_tanh", "GELU by tanh", "18/20",
              _scaled(gelu_tanh, (Fraction(9, 10),), (Fraction(9, 10),), INFINITY), "scale",
              parameters=_number("scale"), law=scaled.format("scale"), witness=(ONE, 1, 2),
              note="the row names no range; scale = 1 is the activation in use"),
        Claim(9, "gelu", "GELU", claim.format("scale", "<="), _scaled(gelu, *_HALF_SUM, ONE), "scale",
              parameters=_number("scale"), law=scaled.format("scale"), witness=(ONE, 1, 2),
              note="the printed lambda(x) is read as lambda x"),
        Claim(10, "softplus", "Softplus, scaled", claim.format("scale", "<="), _scaled(_UNIT, *_HALF_SUM, ONE),
              "scale", parameters=_number("scale"), law=scaled.format("scale")),
        Claim(11, "softplus_beta", "Softplus, sharpened", "1",
              (Piece(ZERO, INFINITY, (ZERO,), (ONE,), (ONE,), ("lower",)),), "beta", parameters=_number("beta"),
              law="r(x) = s(beta x)/beta with one map s",
              note="for beta < 0, which is not offered as an activation, the slopes fill (0, 1) as well"),
        Claim(13, "elu", "ELU", "1",
              (Piece(-INFINITY, ZERO, _UNIT, line[:1], line[:1]), Piece(ZERO, ONE, (ZERO,), line[:1], line[:1]),
               Piece(ONE, INFINITY, (ZERO,), _UNIT, line[:1])), "alpha", parameters=_number("alpha"),
              law="the slopes are alpha e^x on the left and 1 on the right", witness=(Fraction(2), Fraction(-1, 2), 0)),
        Claim(14, "selu_as_printed", "SELU, with the printed constants", "scale * alpha = 0.03413631",
              _single(ZERO, printed, Fraction("0.0507") * Fraction("0.6733")), witness=(ONE, -2, -1),
              note="the printed constants are the standard scale 1.0507 and alpha 1.6733, exchanged and without their "
              "leading 1, and the line has the slope scale * alpha in place of scale"),
        Claim(16, "prelu", "Parametric ReLU", "1",
              (Piece(-INFINITY, ONE, _UNIT, line[:1], line[:1]), Piece(ONE, INFINITY, line[:1], _UNIT, line[:1])),
              "slope", at=Fraction(1, 4), parameters=_number("slope"), law=pieces, witness=(Fraction(2), -1, 0)),
        Claim(18, "swish", "Swish", "(10 + 11 scale)/20", _scaled(silu, swish, swish, INFINITY), "scale",
              parameters=_number("scale"), law="r(x) = scale s(beta x)/beta with one map s",
              witness=(-HALF, 2, 3),
              note="whatever beta is; beyond scale = 10/11 the claimed constant exceeds 1, though the map is averaged "
              "up to 0.9092; at scale = 1, where the claim is 21/20, it is averaged with no constant"),
        Claim(19, "gaussian", "Gaussian", "(1 + 1/e)/2",
              (Piece(ONE, ONE, _ends("gaussian")[:1], _ends("gaussian")[1:], (_half_inverse_e,)),),
              witness=(ONE, 0, 1), note="<x, x> is read as x^2: on R^n it would map to R"),
        Claim(21, "heaviside_approx", "Approximate Heaviside step", "(1 + 4 epsilon)/(8 epsilon) for epsilon >= 1/4",
              (Piece(ZERO, Fraction(4), (ZERO,), (ZERO, Fraction(1, 4)), (HALF, Fraction(1, 8)), ("lower",)),),
              "1/epsilon", at=Fraction(4), parameters=lambda u: {"epsilon": float(1 / u)},
              law="r(x) = s(x/epsilon) with the sigmoid s"),
        Claim(22, "multiquadric", "Multiquadric", "1",
              (Piece(-INFINITY, INFINITY, (-ONE,), line[:1], line[:1]),), "width", parameters=_number("width"),
              law="the slopes are y/sqrt(y^2 + width^2), y = x - center"),
        Claim(23, "inverse_multiquadric", "Inverse multiquadric", "(2 + width_excess)/(2 (1 + width_excess))",
              (Piece(-INFINITY, ZERO, (ZERO, ZERO, steep[0]), (ZERO, ZERO, steep[1]), (HALF, HALF), ("upper",)),
               Piece(ZERO, INFINITY, (ZERO, ZERO, steep[0]), (ZERO, ZERO, steep[1]), (HALF, HALF), ("lower",)),),
              "1/(1 + width_excess)", parameters=lambda u: {"width_excess": float(1 / u - 1)},
              law="r(x) = q(y/w)/w with one map q and the width w = 1 + width_excess", witness=(-HALF, -2, 0),
              note="that is, for width_excess >= 0; between -1 and 0 the claimed constant exceeds 1"),
        Claim(28, "isru", "Inverse square root unit", "(1 + sqrt(1 + excess))/(2 sqrt(1 + excess))",
              (Piece(ZERO, INFINITY, (ZERO,), line[:1], (HALF, HALF), ("lower",)),), "1/sqrt(1 + excess)",
              at=ONE, parameters=lambda u: {"excess": float(1 / u**2 - 1)},
              law="r(x) = s(k x)/k with one map s and k = sqrt(1 + excess)",
              note="that is, for excess >= 0; between -1 and 0 the claimed constant exceeds 1"),
        Claim(29, "isrlu", "Inverse square root linear unit", "1",
              (Piece(ZERO, ZERO, line[:1], line[:1], line[:1]),
               Piece(ZERO, INFINITY, (ZERO,), line[:1], line[:1], ("lower",))), "lambda_",
              parameters=_number("lambda_"),
              law="r(x) = s(k x)/k with one map s and k = sqrt(lambda_), the identity for 0",
              note="below 0 it is defined on a half-line only"),
        Claim(31, "bent_identity", "Bent identity", "scale",
              (Piece(-INFINITY, ZERO, _UNIT, (ZERO, Fraction(1, 3)), _UNIT),
               Piece(ZERO, INFINITY, (ZERO, Fraction(1, 3)), _UNIT, _UNIT)), "scale", parameters=_number("scale"),
              law=scaled.format("scale"), witness=(Fraction(1, 4), -20, -10)),
        Claim(32, "soft_exponential", "Soft exponential", "1",
              (Piece(-INFINITY, ZERO, (ZERO,), None, line[:1], ("upper",)),
               Piece(ZERO, ZERO, line[:1], line[:1], line[:1]),
               Piece(ZERO, INFINITY, (ZERO,), None, line[:1], ("lower",))), "exponent", parameters=_number("exponent"),
              law="the slopes are e^(exponent x), or 1/(1 - exponent (x + exponent)) below 0", witness=(ONE, 0, 1),
              note="at 0 it is the identity; below 0 it is defined on a half-line only"),
        Claim(45, "linear_gaussian", "Linear Gaussian", "(2 + sqrt(e))/4",
              (Piece(ONE, ONE, _ends("linear_gaussian")[:1], _ends("linear_gaussian")[1:], (_half_root_e,)),)),
    ]  # fmt: skip


def _half_inverse_e() -> Any:
    """Return (1 + 1/e)/2."""
    from flint import arb

    return (1 + 1 / arb.const_e()) / 2


def _half_root_e() -> Any:
    """Return (2 + sqrt(e))/4."""
    from flint import arb

    return (2 + arb.const_e().sqrt()) / 4


def claims() -> tuple[Claim, ...]:
    """Return the rows of the table in the source's order."""
    return tuple(sorted([*_constants(), *_ill_posed(), *_parametrised()], key=lambda claim: claim.number))
