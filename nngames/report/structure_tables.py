"""What is decided about a game's structure: verdicts, potentials with their improvement cycle, and outcomes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nngames.checks import PotentialReport
from nngames.core.verdicts import Verdict
from nngames.report.layout import Cell, coloured, columns, line
from nngames.report.words import action_words, gain_words, number_words, player_words
from nngames.results.cycle import Cycle, Deviation

#: Steps of a cycle that are printed: the first ones, and the last of a longer cycle.
FIRST_STEPS, LAST_STEPS = 30, 3
#: A profile of more characters is left out of a cycle's table.
PROFILE_CHARACTERS = 40
#: Weights of at most so many players are printed.
SHOWN_WEIGHTS = 12


def print_verdicts(console: Any, verdicts: Mapping[str, Verdict]) -> None:
    """Print one line for each verdict: its name, its status and what it says."""
    columns(
        console,
        [[name.replace("_", " "), coloured(str(v.status)), v.text] for name, v in verdicts.items()],
    )


def print_potential(console: Any, report: PotentialReport) -> None:
    """Print the five verdicts on potentials, the weights, and the improvement cycle step by step."""
    names = ("exact", "weighted", "ordinal", "acyclic", "best_response_acyclic")
    print_verdicts(console, {name: getattr(report, name) for name in names})
    if report.weights is not None:
        line(console, f"weights: {_weights(report.weights)}", indent=2)
    if report.asymmetry is not None:
        words = f"antisymmetric share of the coupling: {report.asymmetry:.3g}"
        if report.distance is not None:
            words += f"; the nearest exact potential game is at distance {report.distance:.3g}"
        line(console, words, indent=2)
    if report.cycle is not None:
        console.print()
        print_cycle(console, report.cycle)


def _weights(weights: Mapping[Any, float]) -> str:
    if len(set(weights.values())) == 1:
        return f"all {number_words(next(iter(weights.values())), 6)}"
    shown = [f"{player_words(player)} {number_words(value, 6)}" for player, value in weights.items()]
    more = f", and {len(shown) - SHOWN_WEIGHTS} more" if len(shown) > SHOWN_WEIGHTS else ""
    return ", ".join(shown[:SHOWN_WEIGHTS]) + more


def print_cycle(console: Any, cycle: Cycle) -> None:
    """Print an improvement cycle so that a person can follow it: who moves, from where to where, and what it gains."""
    steps = cycle.deviations
    kind = "best response" if cycle.best_responses else "deviation"
    gains = "strictly improves" if cycle.strict else "does not worsen"
    words = (
        f"Improvement cycle ({cycle.cost} cost): {len(steps)} {kind}s lead back to the start; each {gains} its mover."
    )
    line(console, words, indent=2)
    profiles = [action_words(step.after, digits=6, whole=True) for step in steps]
    with_profile = max(map(len, profiles)) <= PROFILE_CHARACTERS
    rows = [_step(number, step, with_profile) for number, step in enumerate(steps, 1)]
    if len(rows) > FIRST_STEPS + LAST_STEPS:
        left_out = len(rows) - FIRST_STEPS - LAST_STEPS
        rows = [*rows[:FIRST_STEPS], ["...", f"{left_out} more"], *rows[-LAST_STEPS:]]
    start = action_words(steps[0].before, digits=6, whole=True)
    if with_profile:
        rows.insert(0, ["start", "", "", "", "", start])
    header = ["step", "mover", "from", "to", "gain", *(["profile"] if with_profile else [])]
    columns(console, rows, header, right=[0, 4], indent=4)
    exact = all(step.gain is not None for step in steps)
    rounded = exact and any(gain_words(step) != str(step.gain) for step in steps)
    how = "exact" if exact else "enclosed in ball arithmetic"
    line(console, f"Gains are {how}{'; the full fractions are in --json and to_dict()' * rounded}.", indent=4)


def _step(number: int, step: Deviation, with_profile: bool) -> list[Cell]:
    moved = step.before != step.after
    before, after = (action_words(profile[moved], digits=6) for profile in (step.before, step.after))
    row: list[Cell] = [str(number), player_words(step.mover), before, after, gain_words(step)]
    return [*row, action_words(step.after, digits=6, whole=True)] if with_profile else row
