"""Verdicts on outcomes and equilibria: proved by the continuity of the map, with what the findings say about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from nngames.certificates.norms import partial_response_reason, several_answers_reason
from nngames.checks.outcome_clusters import FoundEquilibrium, Outcome
from nngames.checks.second_route import ACCURACY
from nngames.core.verdicts import Decision, Verdict
from nngames.games import CoupledGame, Game
from nngames.results.trajectory import TrajectoryKind


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
        return Verdict(Decision.UNDECIDED, statement, "continuity of the map")
    improvements = [e.improvement for e in equilibria if e.improvement is not None]
    wrong = [improvement for improvement in improvements if not improvement.consistent]
    if wrong:
        figures = ", ".join(f"{improvement.value:.3g} by {improvement.player}" for improvement in wrong)
        statement = (
            f"limits of the feed of {fed} are fixed points, since the map is continuous, but at {len(wrong)} of "
            f"{len(improvements)} equilibria found, minimising a cost directly gives another value ({figures}): there "
            "a response and its penalty do not agree"
        )
        return Verdict(Decision.UNDECIDED, statement, "continuity of the map, against the second route")
    limits = sum(outcome.kind is TrajectoryKind.FIXED_POINT for outcome in outcomes)
    largest = max((abs(improvement.value) for improvement in improvements), default=0.0)
    statement = (
        f"every limit of the feed of {fed}, iterated or averaged with relaxations of infinite sum, is an equilibrium "
        f"of the game with the {game.cost_name} cost, since the map is continuous; fixed points reached: {limits}"
    )
    if improvements:
        statement += (
            f"; at the {len(improvements)} equilibria found, minimising each cost directly agrees within {largest:.2g} "
            "of its value"
        )
    statement += "; an activation that jumps, or is not defined everywhere, would change it"
    evidence = {"limits": limits, "tested": len(improvements), "improvement": largest, "accuracy": ACCURACY}
    return Verdict(Decision.PROVED, statement, "continuity of the map", witness=evidence, references=("djehiche2023",))


def equilibria_are_outcomes(game: Game, fed: str, equilibria: Sequence[FoundEquilibrium], steps: int) -> Verdict:
    """Return the verdict that every equilibrium is the outcome of a start, its own; ``steps`` those of the feeds."""
    reason = several_answers_reason(game)
    if reason is not None and isinstance(game, CoupledGame):
        statement = f"it is not decided whether every equilibrium is a fixed point of {fed}: {reason}"
        return Verdict(Decision.UNDECIDED, statement, "fixed points of the map")
    stable = sum(equilibrium.stable is True for equilibrium in equilibria)
    open_ones = sum(equilibrium.stable is None for equilibrium in equilibria)
    statement = f"every equilibrium x is the outcome of the feed of {fed} that starts there, since x = R(x)"
    if equilibria:
        statement += (
            f"; of the {len(equilibria)} found, {stable} attracted a drawn start or drew back small displacements, and "
            f"{len(equilibria) - stable - open_ones} did not"
        )
        if open_ones:
            statement += f"; whether {open_ones} would is not decided within {steps} steps, more steps may decide it"
    else:
        statement += "; none was found, which does not prove that there is none"
    statement += "; only a map whose fixed points are not the equilibria would change it"
    evidence = {"found": len(equilibria), "stable": stable, "open": open_ones}
    return Verdict(Decision.PROVED, statement, "fixed points of the map", witness=evidence)


def with_lost_starts(verdict: Verdict, left: Mapping[str, int], starts: int) -> Verdict:
    """Return the verdict with how many starts of each rule left the set where an activation is defined."""
    lost = [f"{number} of {starts} starts of the {rule} feed" for rule, number in left.items() if number]
    if not lost:
        return verdict
    statement = f"{verdict.statement}; {' and '.join(lost)} left the set where an activation is defined"
    return replace(verdict, statement=statement)
