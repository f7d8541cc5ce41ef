"""Reports of checks as tables: each kind's own, and for a kind without one its verdicts and fields in plain lines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from nngames.checks import OutcomeReport, PeriodicProjectionsReport, PotentialReport, StackelbergReport
from nngames.checks.certify import CertificateReport
from nngames.core.plain import plain
from nngames.core.verdicts import Verdict
from nngames.report.commitment_tables import print_periodic_projections, print_stackelberg
from nngames.report.equilibrium_tables import print_equilibria
from nngames.report.layout import columns, line
from nngames.report.outcome_tables import print_outcomes
from nngames.report.structure_tables import print_cycle, print_potential, print_verdicts
from nngames.results.cycle import Cycle
from nngames.results.equilibria import EquilibriumSet
from nngames.scenario.scenario_report import NotApplicable

#: Characters of a value that a report without a table of its own shows.
SHOWN_CHARACTERS = 400


def print_check(console: Any, report: Any) -> None:
    """Print what a check found, or what decided it: a report, a verdict, verdicts by name, or a cycle."""
    match report:
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
