"""Tables of runs: one row a run, failed and skipped ones with their reasons, and the equilibria that were found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from nngames.report.layout import Cell, coloured, columns, line
from nngames.report.words import action_words, number_words, player_words, seconds_words, small_words
from nngames.results.comparison import Comparison
from nngames.results.result import Result

#: Actions of at most so many players are printed.
SHOWN_PLAYERS = 12
#: Profiles this far apart, relative to their size, are told apart.
APART = 1e-4
_HEADER = ("method", "status", "residual", "Nash gap", "passes", "steps", "time", "guarantee")


def print_result(console: Any, result: Result) -> None:
    """Print one run with the profile it ended at."""
    print_results(console, {result.method: result})


def print_comparison(console: Any, comparison: Comparison) -> None:
    """Print every run of a comparison, by game where there are several, and by repetition."""
    games = list(dict.fromkeys(row.game for row in comparison.rows))
    for game in games:
        rows = [row for row in comparison.rows if row.game == game]
        repeated = any(row.repeat for row in rows)
        if len(games) > 1:
            line(console, game, "bold")
        labels = [f"{row.method} #{row.repeat + 1}" if repeated else row.method for row in rows]
        print_results(console, dict(zip(labels, (row.result for row in rows), strict=True)))


def print_results(console: Any, results: Mapping[str, Result]) -> None:
    """Print runs on one game side by side, what to do about those that did not converge, and what was found."""
    columns(console, [_row(label, result) for label, result in results.items()], _HEADER, right=range(2, 7))
    # Repetitions say the same: once is enough.
    remarks = dict.fromkeys(text for label, result in results.items() for text in _remarks(label, result))
    if remarks:
        console.print()
        columns(console, [[text] for text in remarks])
    converged = {label: result for label, result in results.items() if result.converged}
    if converged:
        console.print()
        _print_found(console, converged)


def _row(label: str, result: Result) -> list[Cell]:
    # A run that failed on the way has a residual, one that never began has none.
    ran = result.trace.residual.size > 0
    with np.errstate(all="ignore"):
        gap = float(result.nash_gap) if ran else float("nan")
    guarantee = result.guarantee.status if ran else None
    return [
        label,
        coloured(str(result.status).replace("_", " "), default="red"),
        small_words(result.residual),
        small_words(gap),
        str(result.evaluations) if ran else "-",
        str(result.iterations) if ran else "-",
        seconds_words(result.seconds) if ran else "-",
        "-" if guarantee is None else coloured(str(guarantee)) if result.guarantee.proved else "none",
    ]


def _remarks(label: str, result: Result) -> list[str]:
    """Return what to do about a run that did not converge, and what proves that one has to."""
    name = label.split(" #")[0]
    remarks = []
    if not result.converged:
        remarks.append(result.message if result.message.startswith(name) else f"{name}: {result.message}")
    if result.guarantee.proved:
        remarks.append(f"{name} is proved to converge: {result.guarantee.statement}")
    return remarks


def _print_found(console: Any, converged: Mapping[str, Result]) -> None:
    label, first = next(iter(converged.items()))
    players = list(first.actions.items())
    line(console, f"Profile found by {label}:", indent=2)
    shown = [[player_words(player), action_words(action, digits=6)] for player, action in players[:SHOWN_PLAYERS]]
    columns(console, shown, indent=4)
    if len(players) > SHOWN_PLAYERS:
        line(console, f"and {len(players) - SHOWN_PLAYERS} more players; all are in .actions and in --json", indent=4)
    # Training by different games ends at profiles of different sizes.
    converged = {name: result for name, result in converged.items() if result.profile.size == first.profile.size}
    if len(converged) > 1:
        apart = {name: float(np.linalg.norm(result.profile - first.profile)) for name, result in converged.items()}
        far = [
            name for name, distance in apart.items() if distance > 1e-4 * max(1.0, float(np.linalg.norm(first.profile)))
        ]
        if far:
            words = ", ".join(f"{name} ({number_words(apart[name])} away)" for name in far)
            line(console, f"These runs ended elsewhere: {words}", indent=2)
        else:
            words = f"The {len(converged)} converged runs agree to {small_words(max(apart.values()))}."
            line(console, words, indent=2)
