"""Stackelberg solutions compared with equilibria, in verdicts that write out what differs."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from nngames.checks.leading.played import Equilibria, PlayedProfile
from nngames.checks.leading.rational_costs import RationalCosts
from nngames.core.exact import nearest_float, rational
from nngames.core.profiles import Player
from nngames.core.verdicts import Decision, Verdict

#: Solutions and equilibria that a statement writes out: profiles of at most so many numbers.
_SHOWN = 6
#: Fractions are written out up to this many characters.
_DIGITS = 20
_ALL = "a larger max_seconds, where it ended the search for equilibria; where they are a continuum, other data"


def none_exists(equilibria: Equilibria, solution: Verdict) -> Verdict:
    """Return the comparison where no solution exists."""
    if equilibria.found:
        statement = f"the equilibrium {shown(equilibria.found[0])} is no Stackelberg solution: {solution.statement}"
        witness = {"equilibrium": equilibria.found[0].exact}
        return Verdict(Decision.REFUTED, statement, solution.method, None, witness, would_change=solution.would_change)
    if equilibria.complete:
        statement = f"there is no equilibrium either: {solution.statement}"
        return Verdict(Decision.PROVED, statement, solution.method, would_change=solution.would_change)
    statement = f"it is not decided whether there are equilibria: {solution.statement}"
    return Verdict(Decision.UNDECIDED, statement, solution.method, would_change=_ALL)


def compared(
    costs: RationalCosts,
    equilibria: Equilibria,
    solutions: Sequence[PlayedProfile],
    all_solutions: bool,
    leader: Player,
    what: str,
) -> Verdict:
    """Return whether the exactly known solutions are the equilibria."""
    method = "solutions and equilibria compared as exact rationals"
    for at in solutions:
        if at.exact is not None and not costs.is_equilibrium([rational(t) for t in at.exact]):
            statement = f"the Stackelberg solution {what}, {shown(at)}, is no equilibrium"
            if equilibria.complete:
                nash = f"the equilibria are {listed(equilibria.found)}" if equilibria.found else "there is none"
                statement += f"; {nash}"
            return _refuted(statement, equilibria.found, at, leader, method)
    worse = worse_equilibrium(equilibria, solutions, leader, what, method, _ALL) if all_solutions else None
    if worse is not None and worse.refuted:
        return worse
    missing = [e for e in equilibria.found if e.exact not in {s.exact for s in solutions}]
    if missing and all_solutions:
        statement = f"the equilibrium {shown(missing[0])} is no Stackelberg solution {what}: {listed(solutions)}"
        return _refuted(statement, missing, solutions[0], leader, method)
    if equilibria.complete and all_solutions and not missing:
        statement = f"the Stackelberg solutions {what} are the equilibria: {listed(solutions)}"
        witness = {"profiles": [s.exact for s in solutions]}
        change = f"other data, since these were taken as exact; another first player than {leader}, or another cost"
        return Verdict(Decision.PROVED, statement, method, witness=witness, would_change=change)
    statement = f"it is not decided whether the Stackelberg solutions {what} are the equilibria: one of them is a "
    statement += "continuum, or not all are known"
    return Verdict(Decision.UNDECIDED, statement, method, would_change=_ALL)


def worse_equilibrium(
    equilibria: Equilibria, solutions: Sequence[PlayedProfile], leader: Player, what: str, method: str, change: str
) -> Verdict:
    """Return the refutation by an equilibrium that costs the leader more than a commitment, if there is one.

    ``change`` says what would decide it, if there is none.
    """
    for nash in equilibria.found:
        for at in solutions:
            if nash.costs[leader] > at.costs[leader]:
                both = at.exact in {e.exact for e in equilibria.found}
                kept = ", a solution that is an equilibrium too" if both else ""
                statement = (
                    f"the equilibrium {shown(nash)} is no Stackelberg solution {what}: player {leader} pays "
                    f"{number(nash.costs[leader])} there and {number(at.costs[leader])} at {shown(at)}{kept}"
                )
                return _refuted(statement, [nash], at, leader, method)
    statement = f"it is not decided whether the Stackelberg solutions {what} are the equilibria"
    return Verdict(Decision.UNDECIDED, statement, method, would_change=change)


def _refuted(statement: str, nash: Sequence[PlayedProfile], at: PlayedProfile, leader: Player, method: str) -> Verdict:
    witness: dict[str, Any] = {"profile": at.exact, "cost": at.costs[leader], "leader": leader}
    margin = None
    if nash:
        least = min(nash, key=lambda e: e.costs[leader])
        witness |= {"equilibrium": least.exact, "equilibrium_cost": least.costs[leader]}
        margin = nearest_float(least.costs[leader] - at.costs[leader])
        if "pays" not in statement:
            statement += f"; player {leader} pays {number(least.costs[leader])} in equilibrium and "
            statement += f"{number(at.costs[leader])} so"
    change = f"other data, since these were taken as exact; another first player than {leader}, or another cost"
    return Verdict(Decision.REFUTED, statement, method, margin, witness, ("djehiche2023",), would_change=change)


def shown(at: PlayedProfile) -> str:
    """Return a profile as text: exactly where that is short."""
    if at.profile.size > _SHOWN:
        return f"a profile of {at.profile.size} numbers"
    return f"({', '.join(map(number, at.exact))})" if at.exact is not None else numbers(at.profile)


def number(value: Fraction | float) -> str:
    """Return a number as text: a fraction of few digits as it is."""
    text = str(value)
    return text if isinstance(value, Fraction) and len(text) <= _DIGITS else f"{nearest_float(value):.9g}"


def listed(profiles: Sequence[PlayedProfile]) -> str:
    """Return the first profiles as text."""
    more = f" and {len(profiles) - _SHOWN} more" if len(profiles) > _SHOWN else ""
    return ", ".join(map(shown, profiles[:_SHOWN])) + more


def numbers(x: Any) -> str:
    """Return the first floats of an array as text."""
    return f"({', '.join(f'{t:.9g}' for t in x[:_SHOWN])}{', ...' if len(x) > _SHOWN else ''})"
