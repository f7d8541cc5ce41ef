"""The verbs that solve or decide on one scenario: run, check, certify, diagnose."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nngames.cli.printing import Json, emit, say

if TYPE_CHECKING:
    from nngames.scenario import Scenario, ScenarioReport

File = Annotated[str, typer.Argument(metavar="FILE", help="A scenario file, or gallery:NAME.")]
Plot = Annotated[str | None, typer.Option("--plot", metavar="FILE", help="Draw a picture: .png, .svg or .pdf.")]
Methods = Annotated[
    list[str] | None,
    typer.Option(
        "--method", "--methods", metavar="NAMES", help="Methods instead of the file's: names, separated by commas."
    ),
]
Tolerance = Annotated[float | None, typer.Option(help="Instead of the file's stopping.tolerance.")]
MaxIterations = Annotated[int | None, typer.Option(help="Instead of the file's stopping.max_iterations.")]
MaxSeconds = Annotated[float | None, typer.Option(help="Instead of the file's stopping.max_seconds.")]
Seed = Annotated[int | None, typer.Option(help="Instead of the file's seed.")]


def run(
    file: File,
    json: Json = False,
    plot: Plot = None,
    method: Methods = None,
    tolerance: Tolerance = None,
    max_iterations: MaxIterations = None,
    max_seconds: MaxSeconds = None,
    seed: Seed = None,
    save: Annotated[
        str | None, typer.Option("--save", metavar="FILE", help="Write the report as JSON that 'check' verifies.")
    ] = None,
) -> int:
    """Do what a scenario says, and compare with what it expects.

    It solves, then checks, then decides the expectations; the exit code is 0 if all are met.
    """
    from nngames.scenario import run_scenario

    def make() -> ScenarioReport:
        scenario = _loaded(file, tolerance, max_iterations, max_seconds, seed)
        return run_scenario(scenario, methods=names_of(method), progress=say, gaps=plot is not None)

    return _reported(make, json, plot, save)


def check(
    file: File,
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[CHECK...]", help="Which checks; by default the file's.")
    ] = None,
    json: Json = False,
    plot: Plot = None,
    seed: Seed = None,
) -> int:
    """Decide structure only, or verify a saved report.

    Structure: potentials, cycles, outcomes, by the checks that are named, else by the file's, else by all. A report
    of 'run --save' is verified from its file alone: residuals and statuses are recomputed, equilibria certified.
    """
    from nngames.scenario.saved import is_saved_report

    if is_saved_report(file):
        return _verified(file, bool(names or plot or seed is not None), json)
    from nngames.checks import registry
    from nngames.scenario import run_parts
    from nngames.scenario.solve_sections import choose_checks

    def make() -> ScenarioReport:
        scenario = _loaded(file, seed=seed)
        chosen = choose_checks(names) if names else [c for c in scenario.section.checks if c.name != "certify"]
        every = [name for name in registry.names() if name != "certify"]
        return run_parts(scenario, (), chosen or choose_checks(every), say)

    return _reported(make, json, plot)


def _verified(file: str, more: bool, as_json: bool) -> int:
    from nngames.core.errors import OptionError
    from nngames.scenario.saved import check_saved

    if more:
        raise OptionError("a saved report is verified as it is: leave out the checks, --plot and --seed")
    report = check_saved(file)
    emit(report, as_json)
    return 0 if report.ok else 1


def certify(file: File, json: Json = False, plot: Plot = None, seed: Seed = None) -> int:
    """Prove convergence and uniqueness only, by every certificate."""
    from nngames.scenario import run_parts
    from nngames.scenario.solve_sections import choose_checks

    return _reported(lambda: run_parts(_loaded(file, seed=seed), (), choose_checks(["certify"]), say), json, plot)


def diagnose(file: File, json: Json = False, seed: Seed = None) -> int:
    """Say whether a game settles, how fast, and what to try next."""
    from nngames.report.diagnose import diagnosis_of

    scenario = _loaded(file, seed=seed)
    emit(diagnosis_of(scenario.game, seed=scenario.section.seed), json)
    return 0


def _loaded(
    file: str,
    tolerance: float | None = None,
    max_iterations: int | None = None,
    max_seconds: float | None = None,
    seed: int | None = None,
) -> Scenario:
    from nngames.scenario import load_scenario

    return load_scenario(file).with_changes(
        seed=seed, tolerance=tolerance, max_iterations=max_iterations, max_seconds=max_seconds
    )


def names_of(given: list[str] | None) -> list[str] | None:
    """Return the names in an option that may be given several times, each time with several of them."""
    from nngames.core.errors import OptionError

    if not given:
        return None
    for names in given:
        if not all(name.strip() for name in names.split(",")):
            raise OptionError(f"a name is missing in {names!r}; give one, or several with commas between them")
    return [name.strip() for names in given for name in names.split(",")]


def check_picture(plot: str, option: str) -> None:
    """Raise, before anything runs, if a picture cannot be written where the option says."""
    from nngames.report.figures import check_path

    check_path(plot)
    check_file(plot, option)


def check_file(file: str, option: str) -> None:
    """Raise, before anything runs, if a file cannot be written where the option says."""
    from nngames.core.errors import InputError

    path = Path(file)
    if path.is_dir():
        raise InputError(f"{option} {file}: that is a folder; give the name of a file")
    if path.exists() and not path.is_file():
        # A device or a pipe is written into as it is.
        if not os.access(path, os.W_OK):
            raise InputError(f"{option} {file}: it is not writable")
        return
    if not path.parent.is_dir():
        raise InputError(f"{option} {file}: there is no folder {str(path.parent)!r} to write into")
    # It is written beside its place and renamed, so the folder's permission decides.
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise InputError(f"{option} {file}: the folder {str(path.parent)!r} is not writable")


def _reported(make: Callable[[], Any], as_json: bool, plot: str | None, save: str | None = None) -> int:
    """Print the report that ``make`` returns, draw its picture, save it, and return the exit code."""
    from nngames.scenario import RunInterrupted

    if plot is not None:
        check_picture(plot, "--plot")
    if save is not None:
        check_file(save, "--save")
    try:
        report = make()
    except RunInterrupted as interruption:
        emit(interruption.report, as_json)
        raise
    emit(report, as_json)
    if save is not None:
        report.save(save)
    if plot is not None:
        report.plot(plot)
    return 0 if report.ok else 1
