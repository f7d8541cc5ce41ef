"""Expectations: statements about a report, each compared with the value that stands at its path."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nngames.core.errors import suggestion
from nngames.scenario.expect_section import COMPARISONS, Expectation
from nngames.scenario.problems import shown
from nngames.scenario.sections import is_number


class MissingPathError(LookupError):
    """A path that leads nowhere in a report; the message names the keys where it ends."""


@dataclass(frozen=True)
class Statement:
    """An expectation with what was found.

    Attributes
    ----------
    what : str
        The path into the report.
    comparison : {"is", "near", "at_most", "at_least"}
    expected, found : plain data
    met : bool or None
        None if the part of the report that it is about was not asked for.
    origin : str
        Where the expected value comes from.
    tolerance : float or None
        Of ``near``.
    """

    what: str
    comparison: str
    expected: Any
    found: Any
    met: bool | None
    origin: str
    tolerance: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the statement as plain data."""
        return {
            "what": self.what,
            self.comparison: self.expected,
            **({"tolerance": self.tolerance} if self.tolerance is not None else {}),
            "found": self.found,
            "met": self.met,
            "origin": self.origin,
        }

    def __str__(self) -> str:
        words = {"is": "is", "near": "is near", "at_most": "is at most", "at_least": "is at least"}
        text = f"{self.what} {words[self.comparison]} {_text(self.expected)}"
        if self.tolerance is not None:
            text += f" to {self.tolerance:g}"
        if self.met is None:
            return f"{text}: not asked here"
        return f"{text}: met" if self.met else f"{text}: not met, it is {_text(self.found)}"


def evaluate(expectation: Expectation, report: Any) -> Statement:
    """Compare an expectation with a report.

    Parameters
    ----------
    expectation : Expectation
    report : dict
        Plain data.

    Raises
    ------
    MissingPathError
        If there is nothing at its path.
    """
    found = find(report, expectation.what)
    comparison, expected = comparison_of(expectation)
    met = {
        "is": lambda: same(found, expected),
        "near": lambda: near(found, expected, expectation.tolerance or 0.0),
        "at_most": lambda: is_number(found) and found <= expected,
        "at_least": lambda: is_number(found) and found >= expected,
    }[comparison]()
    return _statement(expectation, found, bool(met))


def unasked(expectation: Expectation) -> Statement:
    """Return the statement of an expectation whose part of the report was not asked for."""
    return _statement(expectation, None, None)


def comparison_of(expectation: Expectation) -> tuple[str, Any]:
    """Return the kind of comparison and the expected value."""
    values = (expectation.equal, expectation.near, expectation.at_most, expectation.at_least)
    return next((key, value) for key, value in zip(COMPARISONS, values, strict=True) if value is not None)


def find(report: Any, path: str) -> Any:
    """Return the value at a dotted path; keys may hold dots themselves, and numbers index lists.

    Raises
    ------
    MissingPathError
        If there is nothing.
    """
    steps = path.split(".")
    value, done = report, 0
    while done < len(steps):
        value, done = _step(value, steps, done)
    return value


def _step(value: Any, steps: Sequence[str], done: int) -> tuple[Any, int]:
    """Follow the longest key that begins the remaining path."""
    before = ".".join(steps[:done]) or "the report"
    if isinstance(value, dict):
        for stop in range(len(steps), done, -1):
            key = ".".join(steps[done:stop])
            if key in value:
                return value[key], stop
        raise MissingPathError(f"{before} has no {steps[done]!r}; {suggestion(steps[done], tuple(value))}")
    if isinstance(value, list):
        if steps[done].isdigit() and int(steps[done]) < len(value):
            return value[int(steps[done])], done + 1
        valid = f"0 to {len(value) - 1}" if value else "none, it is empty"
        raise MissingPathError(f"{before} is a list and has no entry {steps[done]!r}; valid: {valid}")
    raise MissingPathError(f"{before} is {shown(value)}, which has no {steps[done]!r}")


def same(found: Any, expected: Any) -> bool:
    """Return whether two plain values are equal; true is not 1."""
    if isinstance(found, list) and isinstance(expected, list):
        return len(found) == len(expected) and all(same(a, b) for a, b in zip(found, expected, strict=True))
    if isinstance(found, bool) or isinstance(expected, bool):
        return found is expected
    return bool(found == expected)


def near(found: Any, expected: Any, tolerance: float) -> bool:
    """Return whether every number is within ``tolerance`` of the expected one, in the same shape."""
    if isinstance(found, list) and isinstance(expected, list):
        pairs = zip(found, expected, strict=False)
        return len(found) == len(expected) and all(near(a, b, tolerance) for a, b in pairs)
    return is_number(found) and is_number(expected) and abs(found - expected) <= tolerance


def _statement(expectation: Expectation, found: Any, met: bool | None) -> Statement:
    comparison, expected = comparison_of(expectation)
    return Statement(expectation.what, comparison, expected, found, met, expectation.origin, expectation.tolerance)


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.10g}"
    if isinstance(value, list):
        entries = ", ".join(map(_text, value[:8]))
        return f"[{entries}{', ...' if len(value) > 8 else ''}]"
    if isinstance(value, dict):
        return f"a mapping with {', '.join(list(value)[:8])}"
    return str(value)
