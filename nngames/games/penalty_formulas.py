"""Closed forms of penalties f, entry by entry, for explanations; the tests compare each with the activation's own f.

A formula is written with z for the entry, ``*``, ``^``, e, pi, ln, cos, artanh, abs, min and Li2 (the
dilogarithm), as a person would type it.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from nngames.activations import Activation
from nngames.activations.projections import SetProjection


def penalty_formula(activation: Activation) -> str | None:
    """Return f on its domain as a formula in one entry z, to be added over the entries; None where none is known."""
    if activation.name == "identity" or isinstance(activation, SetProjection):
        return "0"
    known = _FORMULAS.get(activation.name)
    return None if known is None or activation.slope_range[1] == 0 else known(*activation.parameters.values())


def _number(value: float) -> str:
    return f"{value:.6g}"


def _scaled(z: str, scale: float) -> str:
    return z if scale == 1 else f"{z}/{_number(scale)}"


def _relu(slope: float, bias: float) -> str:
    quadratic = "" if slope == 1 else f"{_number((1 / slope - 1) / 2)}*z^2"
    linear = "" if bias == 0 else f"{_number(-bias / slope)}*z"
    return " + ".join(part for part in (quadratic, linear) if part) or "0"


def _linear(slope: float, bias: float) -> str:
    constant = "" if bias == 0 else f" + {_number(bias**2 / (2 * slope))}"
    return _relu(slope, bias) + constant


def _two_slopes(slope: float) -> str:
    return f"{_number((1 / slope - 1) / 2)}*min(z, 0)^2" if slope != 0 else "0"


def _tanh(scale: float) -> str:
    y = _scaled("z", scale)
    factor = "" if scale == 1 else f"{_number(scale)}*"
    square = "z^2" if scale == 1 else f"({y})^2"
    return f"z*artanh({y}) + {factor}ln(1 - {square})/2 - z^2/2"


def _elu(alpha: float) -> str:
    a, y = _number(alpha), _scaled("min(z, 0)", alpha)
    return f"(min(z, 0) + {a})*ln(1 + {y}) - min(z, 0) - min(z, 0)^2/2" if alpha != 0 else "0"


def _softplus(beta: float) -> str:
    b = "" if beta == 1 else f"{_number(beta)}*"
    square = "" if beta == 1 else f"/{_number(beta)}^2"
    return f"(Li2(e^(-{b}z)) - pi^2/6){square}"


def _softmax(gain: float) -> str:
    return f"{_scaled('z*ln(z)', gain)} - z^2/2"


_FORMULAS: dict[str, Callable[..., str]] = {
    "linear": _linear,
    "relu": _relu,
    "leaky_relu": _two_slopes,
    "prelu": _two_slopes,
    "tanh": _tanh,
    "sigmoid": lambda: "z*ln(z) + (1 - z)*ln(1 - z) - z^2/2",
    "elu": _elu,
    "softplus_beta": _softplus,
    "arctan": lambda: "-ln(cos(z)) - z^2/2",
    "softsign": lambda: "-ln(1 - abs(z)) - abs(z) - z^2/2",
    "softmax": _softmax,
}


def as_text(formula: str) -> str:
    """Return a formula for a terminal: products by juxtaposition, ``|z|`` for abs(z)."""
    return formula.replace("abs(z)", "|z|").replace("*", " ")


def as_latex(formula: str) -> str:
    """Return a formula in LaTeX's math mode."""
    named = re.sub(r"\b(ln|cos|min|pi)\b", r"\\\1", formula.replace("abs(z)", r"\lvert z \rvert"))
    named = named.replace("artanh", r"\operatorname{artanh}").replace("Li2", r"\operatorname{Li}_{2}")
    powers = re.sub(r"\^(\d+)", r"^{\1}", re.sub(r"e\^\(([^()]*)\)", r"e^{\1}", named))
    tens = re.sub(r"(\d)e([+-]?)0*(\d+)", lambda m: rf"{m[1]} \cdot 10^{{{m[2].replace('+', '')}{m[3]}}}", powers)
    return tens.replace("*", r" \, ")
