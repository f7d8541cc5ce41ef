"""Tables of training: what each run came to, and whether that is a fit, a solution, or neither."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nngames.report.expectation_tables import print_expectations
from nngames.report.layout import Cell, coloured, columns, heading, line
from nngames.report.structure_tables import print_verdicts
from nngames.report.words import seconds_words, small_words
from nngames.results.result import Result
from nngames.scenario.train import TrainingReport
from nngames.training.prepared import REPORTED, TrainingOutcome

#: The columns, what they hold, and whether they are shown where no run has it.
_FIGURES = (
    ("loss", "loss"),
    ("VI residual", "residual"),
    ("fit error", "fit_error"),
    ("training error", "training_error"),
    ("test error", "test_error"),
    ("training accuracy", "training_accuracy"),
    ("test accuracy", "test_accuracy"),
)


def print_outcomes(console: Any, outcomes: Mapping[str, TrainingOutcome], results: Mapping[str, Result]) -> None:
    """Print what runs came to side by side, with the verdicts that say why."""
    first = next(iter(outcomes.values()))
    shown = [(title, name) for title, name in _FIGURES if getattr(first, name) is not None]
    rows: list[list[Cell]] = [
        [label, outcome.kind, *(_words(name, getattr(outcome, name)) for _, name in shown)]
        for label, outcome in outcomes.items()
    ]
    columns(console, rows, ("method", "kind", *(title for title, _ in shown)), right=range(2, 2 + len(shown)))
    for label, outcome in outcomes.items():
        console.print()
        if len(outcomes) > 1:
            line(console, f"{label}:", indent=2)
        print_verdicts(console, outcome.verdicts)
        if outcome.kind == "neither" and results[label].converged:
            # Its residual is in units of the largest curvature.
            wanted = results[label].tolerance * REPORTED / outcome.residual / 2
            line(console, f"{label} met its own tolerance; to solve it, ask for --tolerance {wanted:.0e}", indent=2)
    for note in first.notes:
        line(console, f"Note: {note}.", indent=2)


def _words(name: str, value: float) -> str:
    if name.endswith("accuracy"):
        return f"{100 * value:.2f} %"
    return small_words(value) if name == "residual" else f"{value:.6g}"


def print_training(console: Any, report: TrainingReport) -> None:
    """Print a training run: how it ended, what it came to, and which expectations are met."""
    scenario, result, outcome = report.report.scenario, report.result, report.outcome
    line(console, scenario.name, "bold")
    line(console, scenario.summary, "dim")
    heading(console, "Run")
    figures = f"{result.iterations} steps, {result.evaluations} passes, {seconds_words(result.seconds)}"
    columns(console, [[report.label, coloured(str(result.status).replace("_", " "), default="red"), figures]])
    if not result.converged:
        line(console, result.message, indent=2)
    if outcome is not None:
        heading(console, "Training")
        print_outcomes(console, {report.label: outcome}, report.report.results)
    if report.expectations:
        print_expectations(console, report.expectations)
    if report.report.unexpected:
        console.print()
        line(console, f"Not converged, and no expectation says so: {report.label}", "bold red")
