"""Stackelberg solutions: what players play who commit one after another, and whether these are the equilibria."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from nngames.checks.check import Check, check_named, require_game
from nngames.checks.leading.order import (
    Levels,
    effective_leaders,
    followers_acyclic,
    hearing,
    levels_of,
    listening_order,
)
from nngames.checks.leading.patterns import MOST_PATTERNS, patterns_of
from nngames.checks.leading.played import (
    Equilibria,
    PlayedProfile,
    certified_equilibrium,
    exact_equilibria,
    forward_pass,
)
from nngames.checks.leading.rational_costs import RationalCosts
from nngames.checks.leading.routes import Findings, by_induction, by_patterns, by_search, by_tracking, undecided
from nngames.core.errors import NotApplicableError, check_positive
from nngames.core.plain import plain
from nngames.core.profiles import Array, Player
from nngames.core.seeds import Seed, generator
from nngames.core.verdicts import Decision, Verdict
from nngames.games import Game
from nngames.solvers.piecewise_equation import PiecewiseEquation

#: Solutions are sought in rationals up to this size of a profile.
MOST_ACTIONS = 60


@dataclass(frozen=True, eq=False)
class StackelbergReport:
    """What players play who commit in an order, compared with the equilibria. It belongs to the cost that it names.

    Attributes
    ----------
    order : tuple of tuples of players
        The levels; the first moves first, and the players of one level move at the same time.
    cost : str
        Which cost the players pay: "proximal", as printed with |v|^2/2, "tracking" or "quadratic".
    leaders : tuple of players
        Those to whom their own commitment comes back through later players; to all others it makes no difference
        that they move early.
    equals_nash : Verdict
        Whether the Stackelberg solutions are the equilibria, no more and no fewer.
    solution : Verdict
        Whether the solution is the leader's best commitment over all, or only the best that was found.
    solutions : tuple of PlayedProfile
        The solutions, ties broken in the leader's favour, with what each player pays.
    equilibria : tuple of PlayedProfile
        The equilibria that are known, with what each player pays.
    optimistic, pessimistic : Fraction, float or None
        The first player's cost if ties are broken in its favour, and the least that it can secure if they are broken
        against it; None where there is no single first player or the value is not known.
    gain : Fraction, float or None
        What the first player pays in its best known equilibrium, less ``optimistic``.
    """

    order: Levels
    cost: str
    leaders: tuple[Player, ...]
    equals_nash: Verdict
    solution: Verdict
    solutions: tuple[PlayedProfile, ...]
    equilibria: tuple[PlayedProfile, ...]
    optimistic: Fraction | float | None
    pessimistic: Fraction | float | None
    gain: Fraction | float | None

    @property
    def profile(self) -> Array | None:
        """The first of the solutions; None if none is known."""
        return self.solutions[0].profile if self.solutions else None

    @property
    def count(self) -> int:
        """The number of solutions that are known."""
        return len(self.solutions)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain JSON-ready data, exact numbers as texts."""
        return {**{name: plain(value) for name, value in vars(self).items()}, "count": self.count}


@check_named("stackelberg")
@dataclass(frozen=True)
class StackelbergCheck(Check):
    """What players play who commit in an order, and whether these Stackelberg solutions are the equilibria.

    Parameters
    ----------
    order : list of players and of lists of players, optional
    max_seconds : float
        As for ``check_stackelberg``.
    """

    order: Any = None
    max_seconds: float = 10.0

    def __post_init__(self) -> None:
        check_positive("max_seconds", self.max_seconds)

    def run(self, game: Game, seed: Seed = None) -> StackelbergReport:
        """Return the report."""
        return check_stackelberg(game, self.order, seed, self.max_seconds)


def check_stackelberg(game: Game, order: Any = None, seed: Seed = None, max_seconds: float = 10.0) -> StackelbergReport:
    """Find what players play who commit in an order, each level knowing what was played and how later ones answer.

    Parameters
    ----------
    game : Game
    order : sequence, optional
        The players, leader first; a tuple or list inside it moves at the same time. Players that it leaves out move
        last, together. Default: one after another, as in ``game.players``.
    seed : int or Generator, optional
        Of the first commitments that a search draws.
    max_seconds : float
        After which searches stop.

    Returns
    -------
    StackelbergReport

    Raises
    ------
    InputError, UnknownNameError, OptionError
        If the order names a player twice or one that there is not, or another argument is not usable.

    Notes
    -----
    *Whose commitment matters.* Player l's cost depends on x_l and on the actions that it hears, through v_l. Where
    later players answer uniquely, an answer depends only on what reaches it along the couplings through later players.
    So if l lies on no cycle of couplings on which everybody else moves later, v_l does not depend on x_l, and l plays
    its best response, which is unique as its own cost is strongly convex. If that holds for everybody and the players
    after the first level have no cycle among themselves, then by induction from the last level a profile is a
    Stackelberg solution iff it is an equilibrium. On an open chain, and on every graph without cycles, it holds for
    *every* order: the only solution is the forward pass. On a ring every cycle goes through all players: two or more
    players that move first, or at once, play an equilibrium; a single first player leads, and the order of the others
    makes no difference.

    *The cost* matters: with the proximal cost f_l(z) + |z - v_l|^2/2 the leader also counts |v_l|^2/2, which it can
    change through the others' answers; Nash equilibria do not see this term. With the tracking cost a leader pays 0
    exactly in equilibrium, so the solutions are the equilibria.

    *Exactly:* affine responses by backward induction, any order and graph; piecewise linear responses with one leader
    by a quadratic program for each pattern of pieces. Others: a commitment that is proved to cost less than an
    equilibrium refutes equality; a lower bound over all commitments is proved for a leader with one number in a bounded
    interval and followers without cycles; the rest is only sampled, and UNDECIDED. [djehiche2023]
    """
    game = require_game(game)
    check_positive("max_seconds", max_seconds)
    rng = generator(seed)
    levels = levels_of(game, order)
    try:
        heard = hearing(game)
    except NotApplicableError as error:
        return _report(
            game,
            levels,
            (),
            undecided(str(error), "a game whose couplings are written out, with at most so many neurons"),
        )
    leaders = effective_leaders(heard, levels)
    acyclic = followers_acyclic(heard, levels)
    what = f"(order {_order_words(levels)}; {_cost_words(game)})"
    if not leaders and (acyclic or len(levels) == 1):
        return _report(game, levels, leaders, _nobody_leads(game, heard, levels, what, max_seconds))
    costs = _rational_costs(game)
    alone = len(levels[0]) == 1 and (acyclic or len(levels) == 2)
    if game.cost_name == "tracking" and alone:
        findings = by_tracking(game, levels[0][0], what, max_seconds)
    elif costs is not None and all(len(p.slopes) == 1 for p in costs.pieces):
        findings = by_induction(costs, levels, what, max_seconds)
    elif not alone:
        findings = undecided(
            f"several players lead {what}, or the followers' answers are not unique",
            "affine responses, for which any order is decided, or one first player and all others after it at once",
        )
    else:
        why = _not_exact(game, costs, levels[0][0])
        if costs is not None and why is None:
            findings = by_patterns(costs, levels[0][0], acyclic, what, max_seconds)
        else:
            findings = by_search(game, levels[0][0], heard, str(why), what, rng, max_seconds)
    return _report(game, levels, leaders, findings)


def _report(game: Game, levels: Levels, leaders: tuple[Player, ...], found: Findings) -> StackelbergReport:
    first = levels[0][0]
    gain = None
    if found.optimistic is not None and found.equilibria:
        gain = min(nash.costs[first] for nash in found.equilibria) - found.optimistic
    return StackelbergReport(levels, game.cost_name, leaders, **vars(found), gain=gain)


def _nobody_leads(game: Game, heard: Any, levels: Levels, what: str, max_seconds: float) -> Findings:
    """Return the findings where no commitment comes back to its player."""
    order = listening_order(heard, game.players)
    if order is not None:
        equilibria = Equilibria((forward_pass(game, order),), True)
        statement = f"the only Stackelberg solution {what} is the forward pass, the only equilibrium: the couplings "
        statement += "have no cycle, so that no commitment comes back to its player, in whatever order they commit"
    else:
        equilibria = _equilibria(game, max_seconds)
        statement = f"the Stackelberg solutions {what} are the equilibria: "
        statement += (
            "all move at once"
            if len(levels) == 1
            else "on every cycle of the couplings several players move first, so that no commitment comes back"
        )
    change = "a coupling that closes a cycle through a player whom all others on it follow"
    if order is None:
        change = "an order in which a single player of a cycle of the couplings moves before the others on it"
    verdict = Verdict(
        Decision.PROVED,
        statement,
        "induction from the last level along the couplings",
        references=("djehiche2023",),
        would_change=change,
    )
    value = None
    if equilibria.complete and len(equilibria.found) == 1:
        value = equilibria.found[0].costs[levels[0][0]]
    solution = verdict
    if not equilibria.found:
        solution = Verdict(
            Decision.UNDECIDED,
            f"no equilibrium is proved to exist; {statement}",
            verdict.method,
            would_change="a proof that one exists, or that there is none; a larger max_seconds, where it ran out",
        )
    return Findings(verdict, solution, equilibria.found, equilibria.found, value, value)


def _equilibria(game: Game, max_seconds: float) -> Equilibria:
    costs = _rational_costs(game)
    if costs is not None:
        return exact_equilibria(costs, max_seconds)
    return certified_equilibrium(game, max_seconds)


def _rational_costs(game: Game) -> RationalCosts | None:
    """Return the exact costs; None for the tracking cost, large games and responses that are not piecewise linear."""
    if game.cost_name == "tracking" or game.size > MOST_ACTIONS:
        return None
    try:
        return RationalCosts(PiecewiseEquation(game))
    except NotApplicableError:
        return None


def _not_exact(game: Game, costs: RationalCosts | None, leader: Player) -> str | None:
    """Return why the leader's problem is not solved exactly; None if it is."""
    if game.size > MOST_ACTIONS:
        return f"{game.size} numbers are more than the {MOST_ACTIONS} up to which it is solved exactly"
    if costs is None:
        return "the responses are not piecewise linear"
    count = patterns_of(costs, leader)
    return f"{count} patterns of pieces are more than {MOST_PATTERNS}" if count > MOST_PATTERNS else None


def _order_words(levels: Levels) -> str:
    shown = ["{" + ", ".join(map(str, level)) + "}" if len(level) > 1 else str(level[0]) for level in levels[:8]]
    words = ", then ".join(shown) + (", then ..." if len(levels) > 8 else "")
    return words if len(words) <= 200 else f"of {len(levels)} levels"


def _cost_words(game: Any) -> str:
    if game.cost_name != "proximal":
        return f"{game.cost_name} cost"
    return "proximal cost " + ("as printed, |v|^2/2 included" if not game.self_weights else "without |v|^2/2 in loops")
