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
from nngames.training.prepared_lift import LiftedOutcome

#: The columns, what they hold, and whether they are shown where no run has it.
_FIGURES = (
    ("loss", "loss"),
    ("VI residual", "residual"),
    ("fit error", "fit_error"),
    ("largest regret", "regret"),
    ("own gradient", "critical"),
    ("training error", "training_error"),
    ("test error", "test_error"),
    ("training accuracy", "training_accuracy"),
    ("test accuracy", "test_accuracy"),
)


#: Of these the size says all.
_SMALL = ("residual", "regret", "critical")


def print_outcomes(console: Any, outcomes: Mapping[str, Any], results: Mapping[str, Result]) -> None:
    """Print what runs came to side by side, with the verdicts that say why."""
    first = next(iter(outcomes.values()))
    shown = [(title, name) for title, name in _FIGURES if getattr(first, name, None) is not None]
    rows: list[list[Cell]] = [
        [label, outcome.kind, *(_words(name, getattr(outcome, name)) for _, name in shown)]
        for label, outcome in outcomes.items()
    ]
    columns(console, rows, ("method", "kind", *(title for title, _ in shown)), right=range(2, 2 + len(shown)))
    if isinstance(first, LiftedOutcome):
        console.print()
        _print_regrets(console, outcomes)
    for label, outcome in outcomes.items():
        console.print()
        if len(outcomes) > 1:
            line(console, f"{label}:", indent=2)
        print_verdicts(console, outcome.verdicts)
        neither = isinstance(outcome, TrainingOutcome) and outcome.kind == "neither"
        if neither and results[label].converged and outcome.residual > REPORTED:
            # Its residual is in the units of the pre-activations.
            wanted = results[label].tolerance * REPORTED / outcome.residual / 2
            line(console, f"{label} met its own tolerance; to solve it, ask for --tolerance {wanted:.0e}", indent=2)
    for note in first.notes:
        line(console, f"Note: {note}.", indent=2)


def _words(name: str, value: float) -> str:
    if name.endswith("accuracy"):
        return f"{100 * value:.2f} %"
    return small_words(value) if name in _SMALL else f"{value:.6g}"


def _print_regrets(console: Any, outcomes: Mapping[str, LiftedOutcome]) -> None:
    """Print what each player of the lifted game could still gain by deviating alone, at most."""
    players = next(iter(outcomes.values())).regrets
    rows: list[list[Cell]] = [
        [f"{player} may gain", *(small_words(outcome.regrets[player][1]) for outcome in outcomes.values())]
        for player in players
    ]
    off = [small_words(outcome.drift) for outcome in outcomes.values()]
    rows.append(["hidden targets off the network's answers", *off])
    columns(console, rows, ("at most", *outcomes), right=range(1, 1 + len(outcomes)))


def print_training(console: Any, report: TrainingReport) -> None:
    """Print training runs: how they ended, what they came to, and which expectations are met."""
    scenario, results, outcomes = report.report.scenario, report.results, report.outcomes
    line(console, scenario.name, "bold")
    line(console, scenario.summary, "dim")
    heading(console, "Run" if len(results) == 1 else "Runs")
    rows: list[list[Cell]] = []
    for label, result in results.items():
        figures = f"{result.iterations} steps, {result.evaluations} passes, {seconds_words(result.seconds)}"
        rows.append([label, coloured(str(result.status).replace("_", " "), default="red"), figures])
    columns(console, rows)
    for label, result in results.items():
        if not result.converged:
            told = result.message if len(results) == 1 or label in result.message else f"{label}: {result.message}"
            line(console, told, indent=2)
    if outcomes:
        heading(console, "Training")
        print_outcomes(console, outcomes, results)
    if report.expectations:
        print_expectations(console, report.expectations)
    if report.report.unexpected:
        console.print()
        line(console, f"Not converged, and no expectation says so: {', '.join(report.report.unexpected)}", "bold red")
