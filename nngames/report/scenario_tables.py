"""The report on a scenario: the game, its solves, its checks, and which expectations are met."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nngames.games import FiniteGame
from nngames.report.layout import Cell, coloured, columns, heading, line
from nngames.report.result_tables import print_results
from nngames.report.training_tables import print_outcomes
from nngames.report.words import action_words
from nngames.scenario.expectations import Statement
from nngames.scenario.scenario_report import ScenarioReport

#: How a check's part of the report is headed; another check's name stands for itself.
_HEADINGS = {
    "certify": "What is proved (certificates)",
    "potential": "Potentials and improvement cycles",
    "outcomes": "Outcomes and equilibria",
    "enumeration": "All equilibria",
    "stackelberg": "Commitment (Stackelberg)",
}


def print_scenario(console: Any, report: ScenarioReport) -> None:
    """Print a scenario's report."""
    from nngames.report.terminal import render

    scenario = report.scenario
    line(console, scenario.name, "bold")
    for paragraph in scenario.description.strip().split("\n\n"):
        if paragraph.strip():
            line(console, " ".join(paragraph.split()))
    line(console, _game_words(scenario.game), "dim")
    if report.results:
        heading(console, "Solves")
        print_results(console, report.results)
    if report.trained:
        heading(console, "Training")
        print_outcomes(console, {label: report.outcome(label) for label in report.trained}, report.results)
    for name, found in report.checks.items():
        heading(console, _HEADINGS.get(name, name.replace("_", " ").capitalize()))
        render(found, console)
    if report.expectations:
        print_expectations(console, report.expectations)
    if report.unexpected:
        console.print()
        names = ", ".join(report.unexpected)
        line(console, f"Not converged, and no expectation says so: {names}", "bold red")


def _game_words(game: Any) -> str:
    names = ", ".join(str(player) for player in game.players[:6]) + (", ..." if len(game.players) > 6 else "")
    players = f"{len(game.players)} player{'s' * (len(game.players) != 1)} ({names})"
    if isinstance(game, FiniteGame):
        return f"Game: {players}, {game.size} profiles, finite"
    return f"Game: {players}, profiles in R^{game.size}, {game.cost_name} cost"


def print_expectations(console: Any, statements: Sequence[Statement]) -> None:
    """Print each expectation: met or not, the value expected and found, and where the expected one comes from."""
    counts = {True: "met", False: "not met", None: "not asked here"}
    tally = [f"{sum(s.met is met for s in statements)} {words}" for met, words in counts.items()]
    heading(console, "Expectations: " + ", ".join(words for words in tally if not words.startswith("0 ")))
    columns(console, [_expectation(statement) for statement in statements])


def _expectation(statement: Statement) -> list[Cell]:
    words = {"is": "is", "near": "is near", "at_most": "is at most", "at_least": "is at least"}
    said = f"{statement.what} {words[statement.comparison]} {_value(statement.expected)}"
    if statement.tolerance is not None:
        said += f" to {statement.tolerance:g}"
    if statement.met is None:
        return [coloured("not asked"), said]
    found = "" if statement.met and statement.comparison == "is" else f"; it is {_value(statement.found)}"
    return [coloured("met" if statement.met else "NOT MET"), f"{said}{found} [{' '.join(statement.origin.split())}]"]


def _value(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list) and value and all(isinstance(v, int | float) for v in value):
        return action_words(np.array(value, dtype=float), digits=6)
    return str(value)
