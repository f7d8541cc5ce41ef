"""Comparisons: the runs of several methods on several games, side by side, failures included."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nngames.results.bound_curve import BoundCurve
from nngames.results.performance_profile import PerformanceProfile, performance_profile
from nngames.results.result import Result, Status
from nngames.results.summary import Summary, summarised

Path = str | os.PathLike[str]


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
        A skipped or failed run has one too, with its reason as message. Of runs on scenarios, the first repetition
        keeps profile and trace; they are empty in the others.
    seed : int or None
        Where a comparison has several seeds, the run's own.
    call : {"first", "warm", "fresh"}
        Whether the run was the first of its method on its game in the process; ``fresh``: in a process started for it.
    host : str
        The machine; empty for this one.
    """

    game: str
    method: str
    repeat: int
    result: Result
    seed: int | None = None
    call: str = "first"
    host: str = ""
    _bound: Callable[[NDArray[np.floating[Any]]], BoundCurve | None] | None = field(default=None, repr=False)

    @property
    def case(self) -> str:
        """The game's label, with the seed where there are several."""
        return self.game if self.seed is None else f"{self.game} (seed {self.seed})"

    @property
    def ran(self) -> bool:
        """Whether the method made a pass, so that its seconds and passes mean something."""
        return self.result.evaluations > 0 and self.result.status is not Status.INTERRUPTED

    def bound(self, equilibrium: NDArray[np.floating[Any]]) -> BoundCurve | None:
        """Return the proved bound on the course of the run, from its distance to an equilibrium; None if none is."""
        return None if self._bound is None else self._bound(equilibrium)

    def to_dict(self, full: bool = True) -> dict[str, Any]:
        """Return the row as plain data; without profile, guarantee and provenance unless ``full``."""
        data = self.result.to_dict(trace=False) if full else self.result.figures()
        own = {"game": self.game, "method": self.method, "repeat": self.repeat, "seed": self.seed, "call": self.call}
        return {**data, **own, "host": self.host}


@dataclass(frozen=True, eq=False)
class Comparison:
    """Several methods on several games.

    Attributes
    ----------
    rows : tuple of Row
        In the order of the games, then the seeds, the methods, the repetitions.
    notes : tuple of str
        What the runner has to say: files of a store that could not be used.
    """

    rows: Sequence[Row]
    notes: Sequence[str] = ()

    def results(self) -> dict[str, Result]:
        """Return the first result of each method, with the game's label where there are several games."""
        several = len({row.case for row in self.rows}) > 1
        found: dict[str, Result] = {}
        for row in self.rows:
            found.setdefault(f"{row.case}: {row.method}" if several else row.method, row.result)
        return found

    def cases(self) -> dict[str, dict[str, Row]]:
        """Return the first row of each method, by game and seed."""
        found: dict[str, dict[str, Row]] = {}
        for row in self.rows:
            found.setdefault(row.case, {}).setdefault(row.method, row)
        return found

    def summary(self) -> Summary:
        """Return medians and quantiles of seconds and passes for each game and method, and the totals by method."""
        return summarised(self.rows)

    def profile(self, measure: str = "seconds") -> PerformanceProfile:
        """Return the performance profile of the methods over the games and seeds [dolan2002].

        Parameters
        ----------
        measure : {"seconds", "evaluations"}

        Raises
        ------
        OptionError
            If there is no such measure.
        """
        return performance_profile(self.rows, measure)

    def to_dict(self, full: bool = True) -> dict[str, Any]:
        """Return the comparison as plain JSON-ready data.

        Parameters
        ----------
        full : bool
            Whether each row has its profile, guarantee and provenance.
        """
        return {
            "rows": [row.to_dict(full) for row in self.rows],
            "summary": self.summary().to_dict(),
            "notes": list(self.notes),
        }

    def to_csv(self, path: Path) -> FilePath:
        """Write one line a run, its figures and reason, with exact numbers; the file appears at once and whole."""
        from nngames.results.tables import write_csv

        return write_csv(self.rows, path)

    def to_parquet(self, path: Path) -> FilePath:
        """Write the table of ``to_csv`` as a Parquet file.

        Raises
        ------
        MissingExtraError
            Without the extra ``tables``.
        """
        from nngames.results.tables import write_parquet

        return write_parquet(self.rows, path)

    def plot(self, path: Path | None = None) -> Any:
        """Draw residual and Nash gap against passes for each method, proved bounds dashed; save to ``path`` if given.

        Where there are several games, each has a panel with its residuals.
        """
        from nngames.report.plots import plot_comparison

        return plot_comparison(self, path)

    def plot_profile(self, path: Path | None = None, measure: str = "seconds") -> Any:
        """Draw the performance profile; save to ``path`` if given, and return the figure."""
        from nngames.report.plots import plot_profile

        return plot_profile(self.profile(measure), path)
