"""How the formulas in which activations state their penalties are shown, in text and in LaTeX.

What they are written with is said at ``Activation.penalty_formula``.
"""

from __future__ import annotations

import re


def as_text(formula: str) -> str:
    """Return a formula for a terminal: products by juxtaposition, ``|z|`` for abs(z)."""
    return formula.replace("abs(z)", "|z|").replace("*", " ")


def as_latex(formula: str) -> str:
    """Return a formula in LaTeX's math mode."""
    bars = formula.replace("abs(z)", r"\lvert z \rvert")
    braced = _braced(_braced(bars, "sqrt", r"\sqrt"), "e^", "e^")
    named = re.sub(r"\b(ln|cos|min|max|pi)\b", r"\\\1", braced)
    named = named.replace("artanh", r"\operatorname{artanh}").replace("Li2", r"\operatorname{Li}_{2}")
    powers = re.sub(r"\^(\d+(?:\.\d+)?)", r"^{\1}", named)
    tens = re.sub(r"(\d)e([+-]?)0*(\d+)", lambda m: rf"{m[1]} \cdot 10^{{{m[2].replace('+', '')}{m[3]}}}", powers)
    return tens.replace("*", r" \, ")


def _braced(formula: str, name: str, command: str) -> str:
    """Return the formula with ``name(...)`` as ``command{...}``."""
    before, found, rest = formula.partition(f"{name}(")
    if not found:
        return formula
    depth, end = 1, 0
    while depth:
        depth += {"(": 1, ")": -1}.get(rest[end], 0)
        end += 1
    inner, after = rest[: end - 1], rest[end:]
    return f"{before}{command}{{{_braced(inner, name, command)}}}{_braced(after, name, command)}"
