"""Verdicts on outcomes and equilibria: proved by the continuity of the map, with what the findings say about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from nngames.certificates.norms import partial_response_reason, several_answers_reason
from nngames.checks.outcome_clusters import FoundEquilibrium, Outcome
from nngames.checks.second_route import ACCURACY
from nngames.core.verdicts import Decision, Verdict
from nngames.games import CoupledGame, Game, NetworkGame
from nngames.results.trajectory import TrajectoryKind

#: What changes neither verdict.
_DATA = {True: "nothing in the weights or biases", False: "nothing in the numbers of the game"}
_UNCONTINUOUS = {
    True: "an activation that jumps or is not defined everywhere",
    False: "a best response that jumps or is not defined everywhere",
}


def limits_are_equilibria(
    game: Game, fed: str, outcomes: Sequence[Outcome], equilibria: Sequence[FoundEquilibrium]
) -> Verdict:
    """Return the verdict that limits of the feeds are equilibria; see ``check_outcomes`` for the proof.

    It rests on each response being the minimiser of its cost. Where the second route contradicts that at an equilibrium
    found, or where the map is not known to be continuous everywhere, the verdict is UNDECIDED.
    """
    reason = partial_response_reason(game) or several_answers_reason(game)
    if reason is not None:
        statement = f"it is not decided whether the limits of the feed of {fed} are equilibria: {reason}"
        change = "an activation in its place that is continuous and defined everywhere, with which it is proved"
        return Verdict(Decision.UNDECIDED, statement, "continuity of the map", would_change=change)
    improvements = [e.improvement for e in equilibria if e.improvement is not None]
    wrong = [improvement for improvement in improvements if not improvement.consistent]
    if wrong:
        figures = ", ".join(f"{improvement.value:.3g} by {improvement.player}" for improvement in wrong)
        statement = (
            f"limits of the feed of {fed} are fixed points, since the map is continuous, but at {len(wrong)} of "
            f"{len(improvements)} equilibria found, minimising a cost directly gives another value ({figures}): there "
            "a response and its penalty do not agree"
        )
        change = (
            f"a penalty that belongs to the response, so that the two routes agree within {ACCURACY:g} of the costs' "
            "values, or an optimiser that comes nearer to the least cost"
        )
        method = "continuity of the map, against the second route"
        return Verdict(Decision.UNDECIDED, statement, method, would_change=change)
    limits = sum(outcome.kind is TrajectoryKind.FIXED_POINT for outcome in outcomes)
    largest = max((abs(improvement.value) for improvement in improvements), default=0.0)
    statement = (
        f"every limit of the feed of {fed}, iterated or averaged with relaxations of infinite sum, is an equilibrium "
        f"of the game with the {game.cost_name} cost, since the map is continuous; fixed points reached: {limits}"
    )
    if improvements:
        tested, costs = (sum(getattr(i, name) for i in improvements) for name in ("tested", "players"))
        which = "each cost" if tested == costs else f"{tested} of their {costs} costs"
        noun = "equilibrium" if len(improvements) == 1 else "equilibria"
        within = f"within {largest:.2g} of its value"
        statement += f"; at {len(improvements)} {noun} found, minimising {which} directly agrees {within}"
    evidence = {"limits": limits, "tested": len(improvements), "improvement": largest, "accuracy": ACCURACY}
    return Verdict(
        Decision.PROVED,
        statement,
        "continuity of the map",
        witness=evidence,
        references=("djehiche2023",),
        would_change=f"{_DATA[isinstance(game, NetworkGame)]}; only {_UNCONTINUOUS[isinstance(game, NetworkGame)]}, or "
        "relaxations whose sum is finite",
    )


def equilibria_are_outcomes(game: Game, fed: str, equilibria: Sequence[FoundEquilibrium], steps: int) -> Verdict:
    """Return the verdict that every equilibrium is the outcome of a start, its own; ``steps`` those of the feeds."""
    reason = several_answers_reason(game)
    if reason is not None and isinstance(game, CoupledGame):
        statement = f"it is not decided whether every equilibrium is a fixed point of {fed}: {reason}"
        change = "a continuous activation in its place, with which it is proved"
        return Verdict(Decision.UNDECIDED, statement, "fixed points of the map", would_change=change)
    stable = sum(equilibrium.stable is True for equilibrium in equilibria)
    open_ones = sum(equilibrium.stable is None for equilibrium in equilibria)
    statement = f"every equilibrium x is the outcome of the feed of {fed} that starts there, since x = R(x)"
    if equilibria:
        statement += (
            f"; of the {len(equilibria)} found, {stable} attracted a drawn start or drew back small displacements, and "
            f"{len(equilibria) - stable - open_ones} did not"
        )
        late = sum(equilibrium.untested and equilibrium.stable is None for equilibrium in equilibria)
        if open_ones > late:
            statement += f"; whether {open_ones - late} would is not decided within {steps} steps"
        if late:
            statement += f"; for {late} there was no time to see"
    else:
        statement += "; none was found, which does not prove that there is none"
    change = f"{_DATA[isinstance(game, NetworkGame)]}; only a feed of another map, with other fixed points"
    if open_ones > sum(equilibrium.untested for equilibrium in equilibria):
        change += "; more steps may tell which of the open ones attract"
    evidence = {"found": len(equilibria), "stable": stable, "open": open_ones}
    return Verdict(Decision.PROVED, statement, "fixed points of the map", witness=evidence, would_change=change)


def with_lost_starts(verdict: Verdict, left: Mapping[str, int], starts: int) -> Verdict:
    """Return the verdict with how many starts of each rule left the set where an activation is defined."""
    lost = [f"{number} of {starts} starts of the {rule} feed" for rule, number in left.items() if number]
    if not lost:
        return verdict
    statement = f"{verdict.statement}; {' and '.join(lost)} left the set where an activation is defined"
    return replace(verdict, statement=statement)
