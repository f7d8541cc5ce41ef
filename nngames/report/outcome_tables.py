"""Where the feeds of a network go and which equilibria were found, as tables."""

from __future__ import annotations

from typing import Any

import numpy as np

from nngames.checks import OutcomeReport
from nngames.checks.outcome_clusters import FoundEquilibrium, Outcome
from nngames.report.layout import Cell, columns, line
from nngames.report.structure_tables import print_verdicts
from nngames.report.words import action_words, small_words

#: So many outcomes and equilibria are printed; the others are counted.
SHOWN = 12
#: A longer profile is abbreviated.
PROFILE_ENTRIES = 8
#: So many states of a limit cycle are printed.
SHOWN_STATES = 4


def print_outcomes(console: Any, report: OutcomeReport) -> None:
    """Print where the starts went, the distinct outcomes, and the equilibria with how they were found."""
    names = ("limits_are_equilibria", "equilibria_are_outcomes")
    print_verdicts(console, {name: getattr(report, name) for name in names})
    console.print()
    line(console, f"Outcomes of {report.starts} starts by each rule:", indent=2)
    rules = list(report.kinds)
    rows = [_outcome(outcome, rules) for outcome in report.outcomes[:SHOWN]]
    columns(
        console, rows, ["outcome", *rules, "profile, or states of the cycle"], right=range(1, 1 + len(rules)), indent=4
    )
    _count_more(console, report.outcomes)
    console.print()
    if not report.equilibria:
        line(console, "No equilibrium was found, by the feeds or by any other method.", indent=2)
        return
    untested = sum(equilibrium.untested for equilibrium in report.equilibria)
    tested = "each tested by minimising the costs"
    if untested:
        tested = f"{len(report.equilibria) - untested} of them tested by minimising the costs before the time was up"
    line(console, f"Equilibria found ({len(report.equilibria)}), {tested}:", indent=2)
    header = ["stable", "isolated", "residual", "most to gain", "profile", "found by"]
    columns(console, [_equilibrium(e) for e in report.equilibria[:SHOWN]], header, right=(2, 3), indent=4)
    _count_more(console, report.equilibria)


def _count_more(console: Any, found: tuple[Any, ...]) -> None:
    if len(found) > SHOWN:
        line(console, f"and {len(found) - SHOWN} more; all are in --json and to_dict()", indent=4)


def _outcome(outcome: Outcome, rules: list[str]) -> list[Cell]:
    kind = str(outcome.kind).replace("_", " ")
    if outcome.period is not None and outcome.period > 1:
        kind += f" of period {outcome.period}"
    if outcome.profile is not None:
        where = _profile(outcome.profile)
    elif outcome.cycle is not None:
        states = [_profile(state) for state in outcome.cycle[:SHOWN_STATES]]
        where = " -> ".join([*states, *["..."] * (len(outcome.cycle) > SHOWN_STATES)])
        answers = () if outcome.returns is None else outcome.returns.values()
        if any(answers):
            where += "; it draws small displacements back"
        elif None in answers:
            where += "; whether small displacements come back to it is not decided within the steps"
        else:
            where += "; small displacements do not come back to it"
    else:
        where = outcome.reason
    return [kind, *(str(outcome.starts.get(rule, 0)) for rule in rules), where]


def _equilibrium(found: FoundEquilibrium) -> list[Cell]:
    gain = "-" if found.improvement is None else small_words(max(0.0, found.improvement.value))
    return [
        {True: "yes", False: "no", None: "undecided"}[found.stable],
        "yes" if found.isolated else "no",
        small_words(found.residual),
        gain,
        _profile(found.profile),
        ", ".join(found.found_by),
    ]


def _profile(profile: Any) -> str:
    return action_words(profile, digits=6, whole=np.size(profile) <= PROFILE_ENTRIES)
