"""The report on a scenario: the game, its solves, its checks, and which expectations are met."""

from __future__ import annotations

from typing import Any

from nngames.games import FiniteGame
from nngames.report.check_tables import print_check
from nngames.report.expectation_tables import print_expectations
from nngames.report.layout import heading, line
from nngames.report.result_tables import print_results
from nngames.report.training_tables import print_outcomes
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
        print_check(console, found)
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
