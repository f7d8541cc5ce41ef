"""Problems of a scenario file: each one a line with its place, key and reason; all of them raised at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from nngames.core.errors import InputError

#: Problems printed at once; the rest is counted.
SHOWN = 50

#: A key's way from the top of a document: mapping keys and list indices.
Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a scenario.

    Attributes
    ----------
    file : str
        The file, as the user named it.
    line, column : int
        Where, counted from 1.
    path : str
        The key, such as ``network.layers[0].weight``; empty for the whole file.
    message : str
        What is wrong and what is valid.
    """

    file: str
    line: int
    column: int
    path: str
    message: str

    def __str__(self) -> str:
        key = f"{self.path}: " if self.path else ""
        return printable(f"{self.file}:{self.line}:{self.column}: {key}{self.message}")


class ScenarioError(InputError):
    """A scenario cannot be used; the message has one line ``FILE:LINE:COLUMN: key.path: what is wrong`` a problem.

    Parameters
    ----------
    problems : iterable of Problem
        At least one; they are sorted by place.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda p: (p.file, p.line, p.column, p.path)))
        lines = [str(problem) for problem in self.problems[:SHOWN]]
        if len(self.problems) > SHOWN:
            lines.append(f"{self.problems[0].file}: and {len(self.problems) - SHOWN} more problems")
        super().__init__("\n".join(lines))


def dotted(path: Path) -> str:
    """Return a path in dots and brackets: ``network.layers[0].weight``."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def shown(value: Any) -> str:
    """Return a value for a message: quoted text, plain numbers, and only the kind of a list or mapping."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:56]}...{text[-1]}"


def printable(text: str) -> str:
    """Return ``text`` with every control character escaped: a message stays one line and changes no terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
