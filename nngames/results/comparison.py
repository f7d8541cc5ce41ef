"""Comparisons: the results of several methods on several games, side by side, failures included."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nngames.results.result import Result


@dataclass(frozen=True, eq=False)
class Row:
    """One run of a comparison.

    Attributes
    ----------
    game, method : str
        The labels.
    repeat : int
        Which repetition.
    result : Result
        A skipped or failed run has one too, with its reason as message.
    """

    game: str
    method: str
    repeat: int
    result: Result

    def to_dict(self) -> dict[str, Any]:
        """Return the row as plain data."""
        data = self.result.to_dict(trace=False)
        return {**data, "game": self.game, "method": self.method, "repeat": self.repeat}


@dataclass(frozen=True, eq=False)
class Comparison:
    """Several methods on several games.

    Attributes
    ----------
    rows : tuple of Row
        In the order of the games, then the methods, then the repetitions.
    """

    rows: Sequence[Row]

    def results(self) -> dict[str, Result]:
        """Return the first result of each method, with the game's label where there are several games."""
        several = len({row.game for row in self.rows}) > 1
        found: dict[str, Result] = {}
        for row in self.rows:
            found.setdefault(f"{row.game}: {row.method}" if several else row.method, row.result)
        return found

    def to_dict(self) -> dict[str, Any]:
        """Return the comparison as plain JSON-ready data."""
        return {"rows": [row.to_dict() for row in self.rows]}

    def plot(self, path: str | None = None) -> Any:
        """Draw residual and Nash gap against passes for each method; save to ``path`` if given."""
        from nngames.report.plots import plot_results

        return plot_results(self.results(), path)
