"""The verb that compares methods on scenarios, seeds and repetitions."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nngames.cli.printing import Json, emit, say
from nngames.cli.running import (
    MaxIterations,
    MaxSeconds,
    Methods,
    Plot,
    Seed,
    Tolerance,
    check_file,
    check_picture,
    names_of,
)

if TYPE_CHECKING:
    from nngames.scenario import ComparisonReport

Files = Annotated[
    list[str],
    typer.Argument(metavar="FILE...", help="Scenario files, gallery:NAME, or folders of them such as gallery:bench."),
]


def compare(
    files: Files,
    json: Json = False,
    plot: Plot = None,
    method: Methods = None,
    tolerance: Tolerance = None,
    max_iterations: MaxIterations = None,
    max_seconds: MaxSeconds = None,
    seed: Seed = None,
    seeds: Annotated[
        str | None,
        typer.Option(metavar="SEEDS", help="Several seeds: 0,1,5, or a number n for 0 to n - 1; each is run."),
    ] = None,
    repeat: Annotated[
        int, typer.Option(help="Runs of each method; the first call is told apart from the warm ones.")
    ] = 1,
    full: Annotated[bool, typer.Option("--full", help="Take the sub-folders of a folder too.")] = False,
    workers: Annotated[int | None, typer.Option(help="Processes on this machine that make the runs.")] = None,
    cluster: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="A Dask scheduler whose workers make the runs (extra dask).")
    ] = None,
    store: Annotated[
        str | None,
        typer.Option(metavar="FOLDER", help="Keep each finished run there; the same command does not repeat it."),
    ] = None,
    pin: Annotated[bool, typer.Option("--pin", help="Keep each process that makes runs on one core.")] = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Make the first run of each method in a process of its own.")
    ] = False,
    csv: Annotated[str | None, typer.Option("--csv", metavar="FILE", help="Write one line a run.")] = None,
    parquet: Annotated[
        str | None, typer.Option("--parquet", metavar="FILE", help="Write the same table as Parquet (extra tables).")
    ] = None,
    profile: Annotated[
        str | None, typer.Option("--profile", metavar="FILE", help="Draw the performance profile: .png, .svg or .pdf.")
    ] = None,
    measure: Annotated[
        str, typer.Option(metavar="MEASURE", help="What the profile is about: seconds or evaluations.")
    ] = "seconds",
) -> int:
    """Solve only, by many methods side by side.

    By each file's methods, or by all if it names none. One BLAS thread; repetitions are interleaved.
    """
    from nngames.core.errors import OptionError, check_choice
    from nngames.results.performance_profile import MEASURES
    from nngames.scenario import RunInterrupted, compare_scenarios, load_suite
    from nngames.scenario.solve_sections import choose_methods

    check_choice("--measure", measure, MEASURES)
    outputs = _Outputs(plot, csv, parquet, profile, measure)
    outputs.check()
    scenarios = [
        scenario.with_changes(seed=seed, tolerance=tolerance, max_iterations=max_iterations, max_seconds=max_seconds)
        for scenario in load_suite(files, full)
    ]
    if seed is not None and seeds is not None:
        raise OptionError("give --seed or --seeds, not both")
    names = names_of(method)
    chosen = None if names is None else choose_methods(names)
    stopped: RunInterrupted | None = None
    with _progress() as (told, finished):
        try:
            reached = compare_scenarios(
                scenarios,
                chosen,
                repeat,
                None if seeds is None else _seeds(seeds),
                gaps=plot is not None and len(scenarios) == 1 and seeds is None,
                progress=told,
                finished=finished,
                workers=workers,
                cluster=cluster,
                store=store,
                pin=pin,
                fresh=fresh,
            )
        except RunInterrupted as interruption:
            reached, stopped = interruption.report, interruption
    emit(reached, json)
    outputs.write(reached, stopped is not None)
    if stopped is not None:
        raise stopped
    return 0 if reached.ok else 1


class _Outputs:
    """The files that a comparison writes beside what it prints."""

    def __init__(
        self, plot: str | None, csv: str | None, parquet: str | None, profile: str | None, measure: str
    ) -> None:
        self._plot, self._csv, self._parquet, self._profile, self._measure = plot, csv, parquet, profile, measure

    def check(self) -> None:
        """Raise, before anything runs, if a file cannot be written."""
        from nngames.core.errors import InputError
        from nngames.results.tables import require_parquet

        for name, picture in (("plot", self._plot), ("profile", self._profile)):
            if picture is not None:
                check_picture(picture, f"--{name}")
        for name, file in (("csv", self._csv), ("parquet", self._parquet)):
            if file is not None:
                check_file(file, f"--{name}")
        named = [Path(file).resolve() for file in (self._plot, self._csv, self._parquet, self._profile) if file]
        if len(set(named)) < len(named):
            raise InputError("two outputs name the same file")
        if self._parquet is not None:
            require_parquet()

    def write(self, report: ComparisonReport, interrupted: bool) -> None:
        """Write the tables and, of a whole comparison, the pictures."""
        comparison = report.comparison
        if self._csv is not None:
            comparison.to_csv(self._csv)
        if self._parquet is not None:
            comparison.to_parquet(self._parquet)
        if interrupted:
            return
        if self._plot is not None:
            comparison.plot(self._plot)
        if self._profile is not None:
            comparison.plot_profile(self._profile, self._measure)


def _seeds(text: str) -> int | list[int]:
    """Return the seeds that are listed, or their number."""
    from nngames.core.errors import OptionError

    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() for part in parts if part) or not parts[0]:
        raise OptionError(f"--seeds takes whole numbers such as 0,1,5, or how many; got {text!r}")
    try:
        return int(parts[0]) if len(parts) == 1 else [int(part) for part in parts if part]
    except ValueError:
        # Python reads no number of more than some thousands of digits.
        raise OptionError(f"--seeds takes numbers of a few digits; got one of {max(map(len, parts))}") from None


@contextmanager
def _progress() -> Iterator[tuple[Callable[[str], Any], Callable[[int, int], Any]]]:
    """Show a bar on stderr; where that is no terminal, a line before each run."""
    if not sys.stderr.isatty():
        yield say, lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    parts = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}", markup=False))
    with Progress(*parts, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)
        yield (
            lambda line: bar.update(task, description=line),
            lambda done, total: bar.update(task, completed=done, total=total),
        )
