"""The verbs that solve or decide on one scenario: run, check, certify, diagnose."""

from __future__ import annotations

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
) -> int:
    """Do what a scenario says, and compare with what it expects.

    It solves, then checks, then decides the expectations; the exit code is 0 if all are met.
    """
    from nngames.scenario import run_scenario

    def make() -> ScenarioReport:
        scenario = _loaded(file, tolerance, max_iterations, max_seconds, seed)
        return run_scenario(scenario, methods=names_of(method), progress=say, gaps=plot is not None)

    return _reported(make, json, plot)


def check(
    file: File,
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[CHECK...]", help="Which checks; by default the file's.")
    ] = None,
    json: Json = False,
    plot: Plot = None,
    seed: Seed = None,
) -> int:
    """Decide structure only: potentials, cycles, outcomes.

    By the checks that are named, else by the file's, else by all.
    """
    from nngames.checks import registry
    from nngames.scenario import run_parts
    from nngames.scenario.solve_sections import choose_checks

    def make() -> ScenarioReport:
        scenario = _loaded(file, seed=seed)
        chosen = choose_checks(names) if names else [c for c in scenario.section.checks if c.name != "certify"]
        every = [name for name in registry.names() if name != "certify"]
        return run_parts(scenario, (), chosen or choose_checks(every), say)

    return _reported(make, json, plot)


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
    return [name.strip() for names in given for name in names.split(",")] if given else None


def check_picture(plot: str, option: str) -> None:
    """Raise, before anything runs, if a picture cannot be written where the option says."""
    from nngames.core.errors import InputError
    from nngames.report.figures import check_path

    check_path(plot)
    if not Path(plot).parent.is_dir():
        raise InputError(f"{option} {plot}: there is no folder {str(Path(plot).parent)!r} to write into")


def _reported(make: Callable[[], Any], as_json: bool, plot: str | None) -> int:
    """Print the report that ``make`` returns, draw its picture, and return the exit code."""
    from nngames.scenario import RunInterrupted

    if plot is not None:
        check_picture(plot, "--plot")
    try:
        report = make()
    except RunInterrupted as interruption:
        emit(interruption.report, as_json)
        raise
    emit(report, as_json)
    if plot is not None:
        report.plot(plot)
    return 0 if report.ok else 1
