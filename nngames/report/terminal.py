"""Reports on a terminal: ``render`` prints whatever the toolkit returns, as tables and plain sentences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from nngames.checks import OutcomeReport, PeriodicProjectionsReport, PotentialReport, StackelbergReport
from nngames.checks.certify import CertificateReport
from nngames.core.plain import plain
from nngames.core.verdicts import Verdict
from nngames.report.commitment_tables import print_periodic_projections, print_stackelberg
from nngames.report.diagnosis import Diagnosis, print_diagnosis
from nngames.report.equilibrium_tables import print_equilibria
from nngames.report.layout import columns, line
from nngames.report.outcome_tables import print_outcomes
from nngames.report.result_tables import print_result
from nngames.report.structure_tables import print_cycle, print_potential, print_verdicts
from nngames.results.comparison import Comparison
from nngames.results.cycle import Cycle
from nngames.results.equilibria import EquilibriumSet
from nngames.results.result import Result
from nngames.scenario.comparing import ComparisonReport
from nngames.scenario.saved import SavedCheck
from nngames.scenario.scenario_report import NotApplicable, ScenarioReport
from nngames.scenario.train import TrainingReport

#: Characters of a value that a report without a table of its own shows.
SHOWN_CHARACTERS = 400


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
    from nngames.report.comparison_tables import print_comparison_report, print_runs
    from nngames.report.scenario_tables import print_scenario
    from nngames.report.training_tables import print_training

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
        case PotentialReport():
            print_potential(console, report)
        case OutcomeReport():
            print_outcomes(console, report)
        case StackelbergReport():
            print_stackelberg(console, report)
        case PeriodicProjectionsReport():
            print_periodic_projections(console, report)
        case EquilibriumSet():
            print_equilibria(console, report)
        case CertificateReport():
            print_verdicts(console, report.verdicts)
        case Cycle():
            print_cycle(console, report)
        case Verdict():
            line(console, str(report))
        case NotApplicable():
            line(console, f"skipped: {report.reason}", indent=2)
        case Mapping() if all(isinstance(value, Verdict) for value in report.values()):
            print_verdicts(console, report)
        case _:
            _print_fields(console, report)


def _print_saved(console: Any, report: SavedCheck) -> None:
    line(console, f"{report.file}: the results of {report.scenario} hold, recomputed from this file")
    for label, result in report.results.items():
        figures = f"residual {result.residual:.3g}, tolerance * scale {result.tolerance * result.scale:.3g}"
        line(console, f"  {label}: {result.status}, {figures}")
    print_verdicts(console, {label: r.existence for label, r in report.results.items() if r.existence is not None})


def _print_fields(console: Any, report: Any) -> None:
    """Print a report that has no table of its own: its verdicts first, then its other values in one line each."""
    if is_dataclass(report):
        values = {field.name: getattr(report, field.name) for field in fields(report)}
    else:
        values = dict(report.to_dict())
    print_verdicts(console, {name: value for name, value in values.items() if isinstance(value, Verdict)})
    rows = [[name.replace("_", " "), _short(value)] for name, value in values.items() if not isinstance(value, Verdict)]
    columns(console, rows)


def _short(value: Any) -> str:
    words = " ".join(str(plain(value)).split())
    if len(words) <= SHOWN_CHARACTERS:
        return words
    return f"{words[:SHOWN_CHARACTERS]} ... ({len(words)} characters; all in --json and to_dict())"
