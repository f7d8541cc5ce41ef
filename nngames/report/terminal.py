"""Reports on a terminal: ``render`` prints whatever the toolkit returns, as tables and plain sentences."""

from __future__ import annotations

from typing import Any

from nngames.report.check_tables import print_check
from nngames.report.comparison_tables import print_comparison_report, print_runs
from nngames.report.diagnosis import Diagnosis, print_diagnosis
from nngames.report.expectation_tables import print_expectations
from nngames.report.layout import line
from nngames.report.result_tables import print_result
from nngames.report.scenario_tables import print_scenario
from nngames.report.structure_tables import print_verdicts
from nngames.report.training_tables import print_training
from nngames.results.comparison import Comparison
from nngames.results.result import Result
from nngames.scenario.comparing import ComparisonReport
from nngames.scenario.saved import SavedCheck
from nngames.scenario.scenario_report import ScenarioReport
from nngames.scenario.train import TrainingReport


def render(report: Any, console: Any) -> None:
    """Print a report.

    Parameters
    ----------
    report : Result, Comparison, Verdict, mapping name -> Verdict, report of a check, ScenarioReport,
        ComparisonReport, TrainingReport or Diagnosis
        Anything else with ``to_dict()`` is printed field by field.
    console : rich.console.Console
        Off a terminal the output has no colour, and every row is one line.
    """
    match report:
        case Result():
            print_result(console, report)
        case Comparison():
            print_runs(console, report)
        case ComparisonReport():
            print_comparison_report(console, report)
        case ScenarioReport():
            print_scenario(console, report)
        case TrainingReport():
            print_training(console, report)
        case SavedCheck():
            _print_saved(console, report)
        case Diagnosis():
            print_diagnosis(console, report)
        case _:
            print_check(console, report)


def _print_saved(console: Any, report: SavedCheck) -> None:
    line(console, f"{report.file}: the results of {report.scenario} hold, recomputed from this file")
    for label, result in report.results.items():
        figures = f"residual {result.residual:.3g}, tolerance * scale {result.tolerance * result.scale:.3g}"
        line(console, f"  {label}: {result.status}, {figures}")
    print_verdicts(console, {label: r.existence for label, r in report.results.items() if r.existence is not None})
    missed = [statement for statement in report.expectations if statement.met is False]
    if missed:
        print_expectations(console, missed)
    if report.taken:
        line(console, f"  taken from the file, not recomputed: the reports of {', '.join(report.taken)}")
