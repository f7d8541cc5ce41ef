"""Tables of expectations: which of a scenario's are met, what was found instead, and where the expected comes from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nngames.report.layout import Cell, coloured, columns, heading
from nngames.report.words import action_words
from nngames.scenario.expectations import Statement


def print_expectations(console: Any, statements: Sequence[Statement]) -> None:
    """Print each expectation: met or not, the value expected and found, and where the expected one comes from."""
    counts = {True: "met", False: "not met", None: "not asked here"}
    tally = [f"{sum(s.met is met for s in statements)} {words}" for met, words in counts.items()]
    heading(console, "Expectations: " + ", ".join(words for words in tally if not words.startswith("0 ")))
    columns(console, [_expectation(statement) for statement in statements])


def _expectation(statement: Statement) -> list[Cell]:
    words = {"is": "is", "near": "is near", "at_most": "is at most", "at_least": "is at least"}
    said = f"{statement.what} {words[statement.comparison]} {_value(statement.expected)}"
    if statement.tolerance is not None:
        said += f" to {statement.tolerance:g}"
    if statement.met is None:
        return [coloured("not asked"), said]
    found = "" if statement.met and statement.comparison == "is" else f"; it is {_value(statement.found)}"
    return [coloured("met" if statement.met else "NOT MET"), f"{said}{found} [{' '.join(statement.origin.split())}]"]


def _value(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list) and value and all(isinstance(v, int | float) for v in value):
        return action_words(np.array(value, dtype=float), digits=6)
    return str(value)
