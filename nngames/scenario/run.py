"""Running scenarios: solving, checking and comparing with what is expected, in that order."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from nngames.compare import compare
from nngames.core.errors import DomainError, NotApplicableError, suggestion
from nngames.results.result import REPORTED, Result
from nngames.scenario.choices import Chosen
from nngames.scenario.expectations import MissingPathError, Statement, evaluate, unasked
from nngames.scenario.loader import load_scenario
from nngames.scenario.problems import Problem, ScenarioError
from nngames.scenario.scenario import Scenario
from nngames.scenario.scenario_report import NotApplicable, ScenarioReport
from nngames.scenario.solve_sections import choose_methods
from nngames.solvers.loop import Interrupted

Progress = Callable[[str], Any]


class RunInterrupted(KeyboardInterrupt):
    """Ctrl-C during a run.

    Attributes
    ----------
    report : ScenarioReport or ComparisonReport
        What was reached so far; its expectations are not decided.
    """

    def __init__(self, report: Any) -> None:
        super().__init__("interrupted")
        self.report = report


def run_scenario(
    source: str | os.PathLike[str] | Scenario,
    methods: Sequence[Any] | None = None,
    progress: Progress | None = None,
    gaps: bool = False,
) -> ScenarioReport:
    """Do what a scenario says: solve, check, compare with what it expects, and write the files it names.

    Parameters
    ----------
    source : path, "gallery:NAME", text or Scenario
    methods : sequence, optional
        Methods instead of the scenario's, each a name or ``{"method": name, options, "label": text}``. Expectations
        about the others are left open.
    progress : callable, optional
        Called with a line before each step.
    gaps : bool
        Whether the traces hold the Nash gap of each iterate, as a picture needs.

    Returns
    -------
    ScenarioReport

    Raises
    ------
    ScenarioError
        If the scenario is not valid, or an expectation's path leads nowhere.
    OptionError
        If a method is not usable.
    RunInterrupted
        On Ctrl-C; it carries what was reached so far.
    """
    scenario = source if isinstance(source, Scenario) else load_scenario(source)
    output = scenario.section.output
    _check_folders(scenario)
    chosen = scenario.methods if methods is None else choose_methods(methods)
    report = run_parts(scenario, chosen, scenario.section.checks, progress, gaps or output.plot is not None)
    if output.save is not None:
        report.save(output.save)
    if output.plot is not None:
        report.plot(output.plot)
    return report


def run_parts(
    scenario: Scenario,
    methods: Sequence[Chosen],
    checks: Sequence[Chosen],
    progress: Progress | None = None,
    gaps: bool = False,
) -> ScenarioReport:
    """Run methods and checks on a scenario's game, and decide its expectations about them.

    Parameters
    ----------
    scenario : Scenario
    methods, checks : sequence of Chosen
    progress : callable, optional
    gaps : bool
        Whether the traces hold the Nash gap of each iterate, as a picture needs.

    Raises
    ------
    ScenarioError, RunInterrupted
        As ``run_scenario``; unknown methods and checks in expectations are found before anything runs.
    """
    say = progress or (lambda line: None)
    results: dict[str, Result] = {}
    reports: dict[str, Any] = {}
    check_paths(scenario, methods, checks)
    _ = scenario.game, scenario.start
    try:
        for method in methods:
            say(f"solving by {method.label}")
            results[method.label] = _solve(scenario, method, gaps)
        for check in checks:
            say(f"checking: {check.name}")
            reports[check.name] = _check(scenario, check)
    except Interrupted as interruption:
        results[method.label] = interruption.result
        raise RunInterrupted(undecided(scenario, results, reports)) from None
    except KeyboardInterrupt:
        raise RunInterrupted(undecided(scenario, results, reports)) from None
    report = ScenarioReport(scenario, results, reports)
    return ScenarioReport(scenario, results, reports, decided(report, methods, checks))


def _check_folders(scenario: Scenario) -> None:
    """Raise ScenarioError, before anything runs, for output files in folders that do not exist."""
    output = scenario.section.output
    problems = [
        scenario.document.problem(("output", key), f"there is no folder {str(Path(name).parent)!r} to write into")
        for key, name in (("save", output.save), ("plot", output.plot))
        if name is not None and not Path(name).parent.is_dir()
    ]
    if problems:
        raise ScenarioError(problems)


def _solve(scenario: Scenario, method: Chosen, gaps: bool) -> Result:
    stopping = scenario.section.stopping
    comparison = compare(
        {scenario.name: scenario.game_of(method.name)},
        [{"method": method.name, "label": method.label, **method.options}],
        start=scenario.start_of(method.name),
        tolerance=stopping.tolerance,
        max_iterations=stopping.max_iterations,
        max_seconds=stopping.max_seconds,
        seed=scenario.section.seed,
        trace_nash_gap=gaps,
    )
    return comparison.rows[0].result


def _check(scenario: Scenario, check: Chosen) -> Any:
    try:
        return check.entry.run(scenario.game, seed=scenario.section.seed)
    except (NotApplicableError, DomainError) as error:
        return NotApplicable(str(error))


def undecided(scenario: Scenario, results: Mapping[str, Result], reports: Mapping[str, Any]) -> ScenarioReport:
    """Return the report on a run that was interrupted: its expectations are open."""
    return ScenarioReport(scenario, results, reports, [unasked(given) for given in scenario.section.expect])


def decided(report: ScenarioReport, methods: Iterable[Chosen], checks: Iterable[Chosen]) -> list[Statement]:
    """Return the scenario's expectations, each compared with a report on methods and checks.

    Raises
    ------
    ScenarioError
        If an expectation's path leads nowhere.
    """
    scenario = report.scenario
    asked = _asked(scenario, methods, checks)
    # A label that was not asked for may begin with one that was.
    known = asked | _own(scenario)
    findings = report.findings_at([e.what for e in scenario.section.expect if _part(e.what, known) in asked])
    problems: list[Problem] = []
    statements = []
    for i, expectation in enumerate(scenario.section.expect):
        if _part(expectation.what, known) not in asked:
            statements.append(unasked(expectation))
            continue
        try:
            statements.append(evaluate(expectation, findings))
        except MissingPathError as error:
            problems.append(scenario.document.problem(("expect", i, "what"), str(error)))
    if problems:
        raise ScenarioError(problems)
    return statements


def _asked(scenario: Scenario, methods: Iterable[Chosen], checks: Iterable[Chosen]) -> set[str]:
    """Return the beginnings of the paths that lead into the report."""
    parts = ("solve",) if scenario.section.training is None else ("solve", "training")
    solves = {f"{part}.{method.label}" for method in methods for part in parts}
    return {"scenario", "game", *solves, *(check.name for check in checks)}


def _own(scenario: Scenario) -> set[str]:
    """Return those of the parts that the scenario itself asks for."""
    return _asked(scenario, scenario.methods, scenario.section.checks)


def _part(what: str, parts: Iterable[str]) -> str | None:
    # A label may hold a dot, and begin with another one.
    return max((part for part in parts if what == part or what.startswith(f"{part}.")), key=len, default=None)


def check_paths(scenario: Scenario, methods: Iterable[Chosen], checks: Iterable[Chosen]) -> None:
    """Raise ScenarioError for expectations about what neither the scenario nor this run asks for."""
    known = _asked(scenario, methods, checks) | _own(scenario)
    problems = []
    for i, expectation in enumerate(scenario.section.expect):
        part = _part(expectation.what, known)
        if part is None:
            message = f"nothing in this scenario reports {expectation.what!r}; "
            message += suggestion(expectation.what, tuple(sorted(known)))
        else:
            word = expectation.what.removeprefix(part).removeprefix(".").split(".")[0]
            if not part.startswith("solve.") or word in ("", *REPORTED):
                continue
            message = f"{part} has no {word!r}; {suggestion(word, REPORTED)}"
        problems.append(scenario.document.problem(("expect", i, "what"), message))
    if problems:
        raise ScenarioError(problems)
