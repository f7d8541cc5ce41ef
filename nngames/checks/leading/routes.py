"""The ways in which a Stackelberg solution is found and compared with the equilibria: one function for each kind of
game.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np

from nngames.checks.leading.backward import NoSolution, affine_solution
from nngames.checks.leading.commitments import (
    Answers,
    CostBalls,
    best_commitment,
    enclosed_cost,
    enclosed_cost_near,
    least_cost_bound,
)
from nngames.checks.leading.comparison import compared, listed, none_exists, number, numbers, shown, worse_equilibrium
from nngames.checks.leading.order import Hearing
from nngames.checks.leading.patterns import LeaderProblem, leader_problem
from nngames.checks.leading.played import (
    Equilibria,
    PlayedProfile,
    certified_equilibrium,
    exact_equilibria,
    played,
    played_exactly,
)
from nngames.checks.leading.rational_costs import RationalCosts
from nngames.checks.leading.worst_answers import pessimistic_value
from nngames.core.exact import fraction
from nngames.core.profiles import Player
from nngames.core.verdicts import Decision, Verdict
from nngames.games import Game


@dataclass(frozen=True)
class Findings:
    """What a route found; see ``StackelbergReport``."""

    equals_nash: Verdict
    solution: Verdict
    solutions: tuple[PlayedProfile, ...] = ()
    equilibria: tuple[PlayedProfile, ...] = ()
    optimistic: Fraction | float | None = None
    pessimistic: Fraction | float | None = None


#: What changes an exact answer.
OTHER_DATA = "other data, since these were taken as exact"
_EXISTENCE = "a proof that an equilibrium exists, as certify_equilibrium gives near a regular one"
#: What decides a search that the time ended.
MORE_TIME = "a larger max_seconds"


def undecided(reason: str, would_change: str) -> Findings:
    """Return the findings where nothing is decided, and what would decide it."""
    statement = f"the Stackelberg solution is not decided: {reason}"
    verdict = Verdict(Decision.UNDECIDED, statement, "none applies", would_change=would_change)
    return Findings(verdict, verdict)


def by_induction(costs: RationalCosts, levels: Any, what: str, max_seconds: float) -> Findings:
    """Return the findings for affine responses: backward induction in rationals."""
    method = "backward induction, each level's answers affine in what came before, in exact rational arithmetic"
    leader = levels[0][0]
    equilibria = exact_equilibria(costs, max_seconds)
    found = affine_solution(costs, levels)
    if isinstance(found, NoSolution):
        status = Decision.REFUTED if found.unbounded else Decision.UNDECIDED
        change = (
            "bounds on that player's actions, or other data"
            if found.unbounded
            else "slightly other data, which leave no such line"
        )
        statement = f"there is no single Stackelberg solution {what}: {found.reason}"
        solution = Verdict(status, statement, method, would_change=change)
        if not found.unbounded:
            return Findings(replace(solution, status=Decision.UNDECIDED), solution, (), equilibria.found)
        return Findings(none_exists(equilibria, solution), solution, (), equilibria.found)
    at = played_exactly(costs, found)
    solution = Verdict(
        Decision.PROVED,
        f"the only Stackelberg solution {what} is {shown(at)}",
        method,
        witness={"profile": at.exact, "costs": at.costs},
        would_change=f"{OTHER_DATA}; another order, or another cost",
    )
    value = at.costs[leader] if len(levels[0]) == 1 else None
    equal = compared(costs, equilibria, [at], True, leader, what)
    return Findings(equal, solution, (at,), equilibria.found, value, value)


def by_patterns(costs: RationalCosts, leader: Player, answers_unique: bool, what: str, max_seconds: float) -> Findings:
    """Return the findings for piecewise linear responses and one leader: a quadratic program for each pattern."""
    method = "a quadratic program for each pattern of the responses' pieces, its faces in exact rational arithmetic"
    deadline = time.monotonic() + max_seconds
    equilibria = exact_equilibria(costs, max_seconds / 2)
    problem = leader_problem(costs, leader, deadline)
    counted = f"{problem.patterns} patterns, {len(problem.reactions)} of them with answers"
    if problem.unbounded is not None:
        solution = Verdict(
            Decision.REFUTED,
            f"there is no Stackelberg solution {what}: player {leader}'s cost, with the others' answers, is unbounded "
            f"below ({counted})",
            method,
            would_change=f"bounds on player {leader}'s actions, or other data",
        )
        return Findings(none_exists(equilibria, solution), solution, (), equilibria.found)
    if problem.undecided:
        reason, change = problem.undecided[0]
        best = tuple(played_exactly(costs, profile) for profile in problem.profiles)
        statement = f"the Stackelberg solution {what} is not decided: {reason} ({counted})"
        solution = Verdict(Decision.UNDECIDED, statement, method, would_change=change)
        return Findings(
            worse_equilibrium(equilibria, best, leader, what, method, change), solution, best, equilibria.found
        )
    if problem.value is None:
        statement = f"no commitment has an answer {what} ({counted})"
        solution = Verdict(Decision.REFUTED, statement, method, would_change=OTHER_DATA)
        return Findings(none_exists(equilibria, solution), solution, (), equilibria.found)
    solutions = tuple(played_exactly(costs, profile) for profile in problem.profiles)
    pessimistic = _pessimistic(costs, leader, answers_unique, problem, deadline)
    solution = Verdict(
        Decision.PROVED,
        f"player {leader}'s least cost {what} is {number(fraction(problem.value))}, at {listed(solutions)}"
        + ("" if problem.unique else " and perhaps elsewhere")
        + _ties(answers_unique, pessimistic)
        + f" ({counted})",
        method,
        witness={"profiles": [s.exact for s in solutions], "cost": fraction(problem.value)},
        would_change=f"{OTHER_DATA}; another first player, or another cost",
    )
    equal = compared(costs, equilibria, solutions, problem.unique, leader, what)
    return Findings(equal, solution, solutions, equilibria.found, fraction(problem.value), pessimistic)


def _pessimistic(
    costs: RationalCosts, leader: Player, answers_unique: bool, found: LeaderProblem, deadline: float
) -> Fraction | None:
    if answers_unique:
        return fraction(found.value)
    own = costs.places(leader)
    return pessimistic_value(found.reactions, own[0], deadline) if len(own) == 1 else None


def _ties(answers_unique: bool, pessimistic: Fraction | None) -> str:
    if answers_unique:
        return ""
    if pessimistic is None:
        return "; followers break ties in its favour, and what it can secure if they do not is not computed"
    return (
        f"; followers break ties in its favour, and if they break them against it, it can secure {number(pessimistic)}"
    )


def by_tracking(game: Game, leader: Player, what: str, max_seconds: float) -> Findings:
    """Return the findings for the tracking cost and one leader, followed by the others at once or without cycles.

    The leader pays |z - r(v)|^2/2 >= 0, and 0 iff z answers v. With the others' answers that is an equilibrium; so if
    there is any, the leader's best commitments, ties in its favour, are those of the equilibria.
    """
    equilibria = certified_equilibrium(game, max_seconds)
    method = "the tracking cost is least, 0, exactly at best answers"
    if not equilibria.found:
        statement = f"no equilibrium is proved to exist, so the Stackelberg solutions {what} are not decided"
        verdict = Verdict(Decision.UNDECIDED, statement, method, would_change=f"{_EXISTENCE}; or {MORE_TIME}")
        return Findings(verdict, verdict)
    equal = Verdict(
        Decision.PROVED,
        f"the Stackelberg solutions {what} are the equilibria: player {leader} pays nothing exactly there, ties broken "
        "in its favour",
        method,
        witness={"equilibrium": equilibria.found[0].profile, "radius": equilibria.found[0].radius},
        would_change="the proximal cost, with which a leader also counts what it hears",
    )
    return Findings(equal, equal, equilibria.found, equilibria.found, 0.0)


def by_search(
    game: Game, leader: Player, heard: Hearing, why: str, what: str, rng: np.random.Generator, max_seconds: float
) -> Findings:
    """Return the findings for other games and one leader: commitments sought in floats, costs enclosed in balls.

    ``why`` says why nothing exact is known.
    """
    method = "commitments sought in floating point, their costs in ball arithmetic"
    deadline = time.monotonic() + max_seconds
    equilibria = certified_equilibrium(game, max_seconds / 3)
    answers = Answers(game, leader, heard)
    start = equilibria.found[0].profile if equilibria.found else np.zeros(game.size)
    commitment = best_commitment(answers, start, rng, deadline - max_seconds / 3)
    profile = answers.profile(commitment, start)
    if profile is None:
        return undecided(
            f"the followers' answers to {numbers(commitment)} were not found in floating point",
            "followers whose couplings have no cycle, or are small enough for their answers to settle",
        )
    at = played(game, profile)
    value = at.costs[leader]
    balls = CostBalls.of(answers) if answers.unique else None
    bound = None if balls is None else least_cost_bound(balls, float(value), deadline)
    solution = _enclosed(leader, at, bound, why, what, method)
    equal = _improved(equilibria, balls, commitment, leader, why, what, method)
    return Findings(equal, solution, (at,), equilibria.found, value, value if answers.unique else None)


def _enclosed(leader: Player, at: PlayedProfile, bound: float | None, why: str, what: str, method: str) -> Verdict:
    value = float(at.costs[leader])
    found = f"the best commitment found {what} is {shown(at)}, where player {leader} pays {value:.9g}"
    if bound is None:
        statement = f"{found}; others were only sampled, since {why}"
        change = "a bounded action of one number and followers that answer uniquely, for which there is a bound; or a "
        change += "better commitment, which would replace this one"
        return Verdict(Decision.UNDECIDED, statement, method, would_change=change)
    gap = value - bound
    witness = {"profile": at.profile, "cost": value, "lower_bound": bound}
    if gap <= 1e-3 * max(1.0, abs(value)):
        statement = f"{found}, and it is proved that no commitment costs less than {bound:.9g}"
        change = f"{OTHER_DATA}; a better commitment can gain at most {_rounded_up(max(gap, 0.0))}"
        return Verdict(Decision.PROVED, statement, method, gap, witness, would_change=change)
    statement = f"{found}; it is proved that no commitment costs less than {bound:.6g}"
    change = f"{MORE_TIME}, which raises this bound, or a better commitment: {_rounded_up(gap)} is between the two"
    return Verdict(Decision.UNDECIDED, statement, method, gap, witness, would_change=change)


def _rounded_down(value: float) -> str:
    text = f"{value:.3g}"
    return text if float(text) <= value else f"{value * (1 - 5e-3):.3g}"


def _rounded_up(value: float) -> str:
    """Return a positive number as text of three digits, not smaller than it is."""
    text = f"{value:.3g}"
    return text if float(text) >= value else f"{value * (1 + 5e-3):.3g}"


def _improved(
    equilibria: Equilibria, balls: CostBalls | None, commitment: Any, leader: Player, why: str, what: str, method: str
) -> Verdict:
    """Return whether some equilibrium is proved to cost the leader more than the commitment does."""
    nash = equilibria.found[0] if equilibria.found else None
    if balls is not None and nash is not None and nash.radius is not None:
        before, after = enclosed_cost_near(balls, nash.profile, nash.radius), enclosed_cost(balls, commitment)
        if before is not None and after is not None and before[0] > after[1]:
            statement = (
                f"an equilibrium is no Stackelberg solution {what}: player {leader} pays at least {before[0]:.9g} "
                f"there and at most {after[1]:.9g} after committing to {numbers(commitment)}"
            )
            witness = {
                "equilibrium": nash.profile,
                "radius": nash.radius,
                "equilibrium_cost": before,
                "commitment": commitment,
                "commitment_cost": after,
            }
            change = f"{OTHER_DATA}; the two costs differ by at least {_rounded_down(before[0] - after[1])}"
            return Verdict(Decision.REFUTED, statement, method, before[0] - after[1], witness, would_change=change)
    statement = (
        f"it is not decided whether the Stackelberg solutions {what} are the equilibria: "
        + ("no better commitment is proved" if equilibria.found else "no equilibrium is proved to exist")
        + f", and {why}"
    )
    change = "a commitment that is proved to cost less than an equilibrium, " if equilibria.found else f"{_EXISTENCE}, "
    return Verdict(Decision.UNDECIDED, statement, method, would_change=f"{change}or piecewise linear responses")
