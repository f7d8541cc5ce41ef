"""Stackelberg solutions and cycles of projections on a terminal: verdicts, profiles with their costs, distances."""

from __future__ import annotations

from typing import Any

from nngames.checks import PeriodicProjectionsReport, StackelbergReport
from nngames.checks.leading.played import PlayedProfile
from nngames.core.exact import nearest_float
from nngames.report.layout import Cell, columns, line
from nngames.report.structure_tables import print_verdicts
from nngames.report.words import action_words, player_words

#: So many profiles, and players of one, are printed.
SHOWN_PROFILES, SHOWN_PLAYERS = 10, 6
#: A fraction of more characters is printed as a float.
SHOWN_DIGITS = 12


def print_stackelberg(console: Any, report: StackelbergReport) -> None:
    """Print the verdicts, then what is played and paid in the solutions and in the equilibria."""
    print_verdicts(console, {"equals_nash": report.equals_nash, "solution": report.solution})
    line(console, f"leading: {', '.join(map(player_words, report.leaders[:SHOWN_PLAYERS])) or 'nobody'}", indent=2)
    rows = [
        *(_row("solution", played) for played in report.solutions[:SHOWN_PROFILES]),
        *(_row("equilibrium", played) for played in report.equilibria[:SHOWN_PROFILES]),
    ]
    if rows:
        columns(console, rows, ["", "profile", "costs"], indent=4)
    hidden = max(len(report.solutions), len(report.equilibria)) - SHOWN_PROFILES
    if hidden > 0:
        line(console, "more profiles are in --json and to_dict()", indent=4)
    first = player_words(report.order[0][0])
    if report.optimistic is not None and report.pessimistic is not None and report.pessimistic != report.optimistic:
        words = f"{first} pays {_value(report.optimistic)} if ties are broken in its favour, and can secure "
        line(console, words + f"{_value(report.pessimistic)} if they are broken against it", indent=2)
    if report.gain is not None and len(report.order[0]) == 1:
        line(console, f"{first} gains {_value(report.gain)} on its best known equilibrium", indent=2)


def _row(what: str, played: PlayedProfile) -> list[Cell]:
    paid = [f"{player} {_value(value)}" for player, value in list(played.costs.items())[:SHOWN_PLAYERS]]
    more = ", ..." if len(played.costs) > SHOWN_PLAYERS else ""
    return [what, action_words(played.profile, digits=6), ", ".join(paid) + more]


def _value(value: Any) -> str:
    text = str(value)
    return text if len(text) <= SHOWN_DIGITS else f"{nearest_float(value):.6g}"


def print_periodic_projections(console: Any, report: PeriodicProjectionsReport) -> None:
    """Print the verdicts, the cycle with its displacements, and how far the under-relaxed cycles are away."""
    print_verdicts(console, {"exists": report.exists, "functional": report.functional, "limit": report.limit})
    if report.cycle is not None and report.displacements is not None:
        rows: list[list[Cell]] = [
            [player_words(player), action_words(point, digits=6), action_words(report.displacements[player], digits=6)]
            for player, point in list(report.cycle.items())[:SHOWN_PROFILES]
        ]
        columns(console, rows, ["", "cycle", "step from the one before"], indent=4)
    if report.least_squares is not None:
        point = action_words(report.least_squares, digits=6)
        line(console, f"least squared distances at {point}", indent=2)
    if report.under_relaxed:
        rows = [
            [f"{c.relaxation:.3g}", f"{c.distance:.4g}", f"{c.distance / c.relaxation:.4g}"]
            for c in report.under_relaxed
        ]
        columns(console, rows, ["relaxation", "distance", "distance/relaxation"], right=[0, 1, 2], indent=4)
