"""Tables of comparisons: medians and quartiles by game and method, ratios to the fastest, totals by method."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nngames.report.expectation_tables import print_expectations
from nngames.report.layout import Cell, coloured, columns, heading, line
from nngames.report.result_tables import print_comparison
from nngames.report.scenario_tables import print_scenario
from nngames.report.words import number_words, seconds_words
from nngames.results.comparison import Comparison
from nngames.results.summary import Group, Quantiles, Total
from nngames.scenario.comparing import ComparisonReport

_HEADER = ("method", "outcome", "first call", "warm runs", "median", "quartiles", "passes", "ratio")
_TOTALS = ("method", "solved", "median ratio", "worst ratio")
#: Reasons of one method on one game that are printed; all are in --json.
SHOWN_REASONS = 3


def print_comparison_report(console: Any, report: ComparisonReport) -> None:
    """Print a comparison on scenarios: its times, and which expectations are not met."""
    if report.single is not None:
        print_scenario(console, report.single)
        if len(report.single.results) > 1:
            heading(console, "Times")
            print_groups(console, report.comparison.summary().groups, reasons=False)
    else:
        print_summary(console, report.comparison)
        for name, found in report.reports.items():
            missed = [statement for statement in found.expectations if statement.met is False]
            if missed:
                heading(console, name)
                print_expectations(console, missed)
        if report.unexpected:
            console.print()
            line(console, f"Not converged, and no expectation says so: {'; '.join(report.unexpected)}", "bold red")
    for note in report.comparison.notes:
        line(console, note)


def print_runs(console: Any, comparison: Comparison) -> None:
    """Print a comparison of games: every run, then the times where there are several to compare."""
    print_comparison(console, comparison)
    if len({row.game for row in comparison.rows}) > 1 or any(row.repeat for row in comparison.rows):
        console.print()
        print_summary(console, comparison, reasons=False)


def print_summary(console: Any, comparison: Comparison, reasons: bool = True) -> None:
    """Print the times game by game and, where there are several games, the totals by method."""
    summary = comparison.summary()
    for number, game in enumerate(dict.fromkeys(group.game for group in summary.groups)):
        if number:
            console.print()
        line(console, game, "bold")
        print_groups(console, [group for group in summary.groups if group.game == game], reasons)
    hosts = {row.host for row in comparison.rows if row.ran}
    if len(hosts) > 1:
        line(console, f"The runs were made on {len(hosts)} machines: their times are not of the same conditions.")
    if len({group.game for group in summary.groups}) > 1:
        heading(console, "All games (ratios: seconds in units of the fastest method's, on the games solved)")
        columns(console, [_total(total) for total in summary.totals], _TOTALS, right=range(1, 4))


def print_groups(console: Any, groups: Sequence[Group], reasons: bool) -> None:
    """Print the times of methods on one game and, if asked for, the reasons of those that did not converge."""
    columns(console, [_group(group) for group in groups], _HEADER, right=range(2, 8))
    for group in groups if reasons else ():
        for reason in group.reasons[:SHOWN_REASONS]:
            line(console, reason if reason.startswith(group.method) else f"{group.method}: {reason}", indent=4)
        if len(group.reasons) > SHOWN_REASONS:
            more = len(group.reasons) - SHOWN_REASONS
            line(console, f"{group.method}: and {more} more reason{'s' * (more > 1)}; all are in --json", indent=4)


def _group(group: Group) -> list[Cell]:
    return [
        group.method,
        _outcome(group),
        "-" if group.first is None else seconds_words(group.first),
        str(group.warm),
        "-" if group.seconds is None else seconds_words(group.seconds.median),
        "-" if group.seconds is None or group.warm < 2 else _range(group.seconds),
        "-" if group.evaluations is None else number_words(group.evaluations.median),
        "-" if group.ratio is None else f"{group.ratio:.3g}",
    ]


def _outcome(group: Group) -> Cell:
    if len(group.statuses) == 1:
        status = next(iter(group.statuses))
        word = coloured(status.replace("_", " "), default="red")
        return word if group.runs == 1 else (f"{word[0]} x{group.runs}", word[1])
    return (", ".join(f"{count} {status.replace('_', ' ')}" for status, count in group.statuses.items()), "red")


def _range(quantiles: Quantiles) -> str:
    return f"{seconds_words(quantiles.low)} - {seconds_words(quantiles.high)}"


def _total(total: Total) -> list[Cell]:
    return [
        total.method,
        f"{total.solved} of {total.games}",
        "-" if total.median_ratio is None else f"{total.median_ratio:.3g}",
        "-" if total.worst_ratio is None else f"{total.worst_ratio:.3g}",
    ]
