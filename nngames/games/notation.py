"""How an explanation writes its mathematics: one vocabulary with two spellings, plain text and LaTeX."""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from nngames.activations import Activation
from nngames.core.bounds import Enclosure
from nngames.core.errors import check_choice
from nngames.games.formula_rendering import as_latex, as_text


class Notation(ABC):
    """The spelling of one format. Formulas stand in prose between what ``math`` adds."""

    inner: str
    times: str
    element: str
    arrow: str
    dots: str
    prime: str

    @abstractmethod
    def math(self, formula: str) -> str:
        """Return a formula as it stands in prose."""

    @abstractmethod
    def prose(self, words: str) -> str:
        """Return words with the characters escaped that the format reads as commands."""

    @abstractmethod
    def indexed(self, symbol: str, *indices: Any) -> str:
        """Return a symbol with players as indices."""

    @abstractmethod
    def space(self, n: int) -> str:
        """Return R^n."""

    @abstractmethod
    def half(self, factor: str) -> str:
        """Return one half of a factor."""

    @abstractmethod
    def square(self, expression: str, n: int = 2) -> str:
        """Return the squared norm of an expression of size n; a plain square for a scalar."""

    @abstractmethod
    def product(self, a: str, b: str, n: int) -> str:
        """Return the inner product of two expressions of size n; a plain product for scalars."""

    @abstractmethod
    def sum_over(self, index: str, term: str) -> str:
        """Return the sum of a term over an index."""

    @abstractmethod
    def domain(self, domain: str, n: int) -> str:
        """Return a domain, given in the text notation with the size n."""

    @abstractmethod
    def number(self, value: float) -> str:
        """Return a number to six digits."""

    @abstractmethod
    def formula(self, formula: str) -> str:
        """Return a formula as activations state it, see ``Activation.penalty_formula``."""

    @abstractmethod
    def page(self, title: str, opening: Sequence[str], sections: Sequence[Section]) -> str:
        """Return the whole explanation."""


#: A heading with labelled entries; an entry without label is a paragraph.
Section = tuple[str, Sequence[tuple[str, str]]]


class Text(Notation):
    """Plain text of ASCII characters."""

    times, element, arrow, dots, prime = " x ", " in ", " -> ", "...", "'"

    def math(self, formula: str) -> str:
        """Return the formula itself."""
        return formula

    def prose(self, words: str) -> str:
        """Return the words themselves."""
        return words

    def indexed(self, symbol: str, *indices: Any) -> str:
        """Return ``W_2,1``; names that are not plain words stand in brackets."""
        names = [str(index) for index in indices]
        joined = ",".join(names)
        return f"{symbol}_{joined}" if all(_PLAIN.fullmatch(name) for name in names) else f"{symbol}_{{{joined}}}"

    def space(self, n: int) -> str:
        """Return R or R^n."""
        return "R" if n == 1 else f"R^{n}"

    def half(self, factor: str) -> str:
        """Return ``1/2 ...``."""
        return f"1/2 {factor}"

    def square(self, expression: str, n: int = 2) -> str:
        """Return ``|...|^2`` or ``(...)^2``."""
        if n == 1:
            return f"{expression}^2" if _PLAIN.fullmatch(expression) else f"({expression})^2"
        return f"|{expression}|^2"

    def product(self, a: str, b: str, n: int) -> str:
        """Return ``<a, b>`` or ``a b``."""
        return f"<{a}, {b}>" if n > 1 else f"{a} ({b})" if " " in b else f"{a} {b}"

    def sum_over(self, index: str, term: str) -> str:
        """Return ``sum_k ...``."""
        return f"sum_{index} {term}"

    def domain(self, domain: str, n: int) -> str:
        """Return the domain with n put in, such as ``[-1, 1]^4``."""
        return _sized(domain, n)

    def number(self, value: float) -> str:
        """Return ``%.6g``."""
        return f"{value:.6g}"

    def formula(self, formula: str) -> str:
        """Return it with ``|z|`` for abs(z) and products by juxtaposition."""
        return as_text(formula)

    def page(self, title: str, opening: Sequence[str], sections: Sequence[Section]) -> str:
        """Return headings with aligned, indented entries."""
        lines = [title, *opening]
        for heading, entries in sections:
            lines += ["", heading]
            width = max((len(label) for label, _ in entries), default=0)
            lines += [f"  {label:<{width}}  {content}" if label else f"  {content}" for label, content in entries]
        return "\n".join(lines)


class Latex(Notation):
    """LaTeX for a document that loads amsmath and amssymb."""

    times, element, arrow, dots, prime = r" \times ", r" \in ", r" \to ", r"\dots", r"^{\top}"

    def math(self, formula: str) -> str:
        """Return ``$...$``."""
        return f"${formula}$"

    def prose(self, words: str) -> str:
        """Return the words with LaTeX's special characters escaped."""
        return "".join(_ESCAPES.get(character, character) for character in words)

    def indexed(self, symbol: str, *indices: Any) -> str:
        """Return ``W_{2,1}``; names other than numbers and single letters are upright."""
        names = [str(i) if _VARIABLE.fullmatch(str(i)) else rf"\text{{{self.prose(str(i))}}}" for i in indices]
        return f"{symbol}_{{{','.join(names)}}}"

    def space(self, n: int) -> str:
        """Return the blackboard R with its dimension."""
        return r"\mathbb{R}" if n == 1 else rf"\mathbb{{R}}^{{{n}}}"

    def half(self, factor: str) -> str:
        """Return a half as a small fraction."""
        return rf"\tfrac{{1}}{{2}} {factor}"

    def square(self, expression: str, n: int = 2) -> str:
        """Return a squared norm or a plain square."""
        if n == 1:
            return f"{expression}^{{2}}" if _PLAIN.fullmatch(expression) else f"({expression})^{{2}}"
        return rf"\lVert {expression} \rVert^{{2}}"

    def product(self, a: str, b: str, n: int) -> str:
        """Return an inner product or a plain one."""
        return rf"\langle {a}, {b} \rangle" if n > 1 else f"{a} ({b})" if " " in b else f"{a} {b}"

    def sum_over(self, index: str, term: str) -> str:
        """Return a sum with its index below."""
        return rf"\sum_{{{index}}} {term}"

    def domain(self, domain: str, n: int) -> str:
        """Return the domain, translated from the text notation; what is not a formula stays upright."""
        parts = re.split(r"(R\^\d+|R\b|\^\d+|[A-Za-z]{2,}|>=|<=|[{}_%&#$~\\]| x )", _sized(domain, n))
        return "".join(_latex_token(part, self.space) for part in parts if part)

    def number(self, value: float) -> str:
        """Return ``%.6g`` with a power of ten written out."""
        mantissa, _, exponent = f"{value:.6g}".partition("e")
        return rf"{mantissa} \cdot 10^{{{int(exponent)}}}" if exponent else mantissa

    def formula(self, formula: str) -> str:
        """Return it with LaTeX's commands."""
        return as_latex(formula)

    def page(self, title: str, opening: Sequence[str], sections: Sequence[Section]) -> str:
        """Return a section with one description list for each heading."""
        lines = [r"% needs \usepackage{amsmath, amssymb}", rf"\section*{{{title}}}", *opening]
        for heading, entries in sections:
            lines += ["", rf"\subsection*{{{heading}}}"]
            lines += [content for label, content in entries if not label]
            labelled = [rf"\item[{{{label}}}] {content}" for label, content in entries if label]
            if labelled:
                lines += [r"\begin{description}", *labelled, r"\end{description}"]
        return "\n".join(lines)


_PLAIN = re.compile("[A-Za-z0-9]+")
_VARIABLE = re.compile("[0-9]+|[A-Za-z]|ii")
_ESCAPES = {c: f"\\{c}" for c in "#$%&_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
}
_SYMBOLS = {"inf": r"\infty", "in": r"\in", ">=": r"\geq", "<=": r"\leq", " x ": r" \times ", "sum": r"\textstyle\sum"}


def _sized(domain: str, n: int) -> str:
    """Return the domain with n put in."""
    return re.sub(r"\bn\b", str(n), re.sub(r"\^n\b", "" if n == 1 else f"^{n}", domain))


def _latex_token(token: str, space: Any) -> str:
    if token == "R" or token.startswith("R^"):
        return str(space(int(token[2:] or 1)))
    if token.startswith("^"):
        return f"^{{{token[1:]}}}"
    if token in _SYMBOLS:
        return _SYMBOLS[token]
    if token in "{}_%&#$~\\":
        return _ESCAPES[token]
    return rf"\text{{{token}}}" if len(token) > 1 and token.isalpha() else token


_NOTATIONS: dict[str, type[Notation]] = {"latex": Latex, "text": Text}


def notation(format: str) -> Notation:
    """Return the notation of that name.

    Raises
    ------
    OptionError
        If there is none; the message names the valid ones.
    """
    check_choice("format", format, tuple(_NOTATIONS))
    return _NOTATIONS[format]()


def norm_words(norm: Enclosure) -> str:
    """Return the safe upper end of a norm in words, rounded up to four digits."""
    if math.isinf(norm.upper):
        return "norm unknown (matrix-free)"
    shown = float(f"{norm.upper:.4g}")
    if shown < norm.upper:
        shown = float(f"{norm.upper + 10.0 ** (math.floor(math.log10(norm.upper)) - 3) / 2:.4g}")
    return f"norm at most {shown:.4g}"


def activation_words(activation: Activation) -> str:
    """Return an activation's name with the parameters that differ from their defaults."""
    usual: dict[str, Any] = {field.name: field.default for field in fields(activation)}  # type: ignore[arg-type]
    given = [f"{k} = {_short(v)}" for k, v in activation.parameters.items() if v != usual[k]]
    return f"{activation.name} ({', '.join(given)})" if given else activation.name


def _short(value: Any) -> str:
    if isinstance(value, float | int):
        return f"{value:.6g}"
    if isinstance(value, tuple) and all(isinstance(v, float | int) for v in value):
        shown = ", ".join(f"{v:.6g}" for v in value[:4])
        return f"[{shown}{', ...' if len(value) > 4 else ''}]"
    return f"{len(value)} rows" if isinstance(value, tuple) else str(value)


def convexity_words(activation: Activation) -> str:
    """Return whether f is convex, in words."""
    if activation.convex_penalty:
        return "convex"
    steepest = activation.slope_range_exact[1]
    return f"weakly convex with modulus {f'1 - 1/S, S = {steepest}' if steepest.finite else '1'}"
