"""The outcome report: where the feeds of a network go, which equilibria its game has, and whether they are the same."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nngames.checks.check import Check, check_named, require_game
from nngames.checks.equilibria import Resolved, resolve, roots, solutions
from nngames.checks.feed_batches import FedMap, Settled, defined, fed_map, settle
from nngames.checks.outcome_clusters import FoundEquilibrium, Outcome, nearest, same_cycle
from nngames.checks.outcome_verdicts import equilibria_are_outcomes, limits_are_equilibria, with_lost_starts
from nngames.checks.second_route import largest_improvement
from nngames.core.errors import OptionError, check_positive
from nngames.core.plain import plain
from nngames.core.profiles import Array
from nngames.core.seeds import Seed, generator
from nngames.core.verdicts import Verdict
from nngames.games import Game
from nngames.networks.relaxation import Constant, Relaxation
from nngames.results.trajectory import TrajectoryKind

RULES = ("iterated", "averaged")
#: Standard deviations of the drawn starts, in turn.
SCALES = (1.0, 0.1, 10.0)
#: Starts of the root finder and of the solvers, and displacements around an equilibrium.
ROOT_STARTS = 12
SOLVER_STARTS = 1
DISPLACEMENTS = 4
#: All starts are fed as one batch, and each settled one is classified by itself.
MAX_STARTS = 100_000


@dataclass(frozen=True, eq=False)
class OutcomeReport:
    """Where the feeds go, and the equilibria.

    Attributes
    ----------
    outcomes : tuple of Outcome
        Distinct ones, each with the number of starts that went there by each rule.
    equilibria : tuple of FoundEquilibrium
        Distinct ones, found by the feeds or by other methods, each tested by the second route.
    limits_are_equilibria : Verdict
        Whether every limit of a feed is an equilibrium.
    equilibria_are_outcomes : Verdict
        Whether every equilibrium is the outcome of some start; how many attract drawn starts is said apart.
    kinds : mapping rule -> mapping kind -> int
        How many starts went where.
    starts : int
        Starts of each rule; the first one is zero, the others are drawn.
    left : mapping rule -> int
        How many of them left the set where an activation is defined: they are undecided.
    stopped : bool
        Whether the time was up: feeds may be undecided for that, searches left out, and equilibria not tested.
    """

    outcomes: tuple[Outcome, ...]
    equilibria: tuple[FoundEquilibrium, ...]
    limits_are_equilibria: Verdict
    equilibria_are_outcomes: Verdict
    kinds: Mapping[str, Mapping[str, int]]
    starts: int
    left: Mapping[str, int]
    stopped: bool = False

    @property
    def count(self) -> int:
        """The number of distinct fixed points and limit cycles that the feeds reached."""
        settled = (TrajectoryKind.FIXED_POINT, TrajectoryKind.LIMIT_CYCLE)
        return sum(outcome.kind in settled for outcome in self.outcomes)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain JSON-ready data."""
        return {**{name: plain(value) for name, value in vars(self).items()}, "count": self.count}


@check_named("outcomes")
@dataclass(frozen=True)
class OutcomesCheck(Check):
    """Where both feeds go from many starts, and whether their limits and the game's equilibria are the same.

    Parameters
    ----------
    starts, steps : int
    tolerance, relaxation, max_seconds : float
        As for ``check_outcomes``.
    """

    starts: int = 32
    steps: int = 3000
    tolerance: float = 1e-9
    relaxation: float = 0.5
    max_seconds: float = 60.0

    def __post_init__(self) -> None:
        _check_options(self.starts, self.steps, self.tolerance, self.relaxation, self.max_seconds)

    def run(self, game: Game, seed: Seed = None) -> OutcomeReport:
        """Return the report."""
        return check_outcomes(game, self.starts, seed, self.steps, self.tolerance, self.relaxation, self.max_seconds)


def check_outcomes(
    game: Game,
    starts: int = 32,
    seed: Seed = None,
    steps: int = 3000,
    tolerance: float = 1e-9,
    relaxation: float = 0.5,
    max_seconds: float = 60.0,
) -> OutcomeReport:
    """Feed a network from many starts by both rules, find equilibria by other methods, and compare.

    Parameters
    ----------
    game : Game
        Of a network; for a game without one the best-response map is fed.
    starts : int
        The zero start and drawn ones, Gaussian with standard deviations 1, 0.1 and 10 in turn.
    seed : int or Generator, optional
    steps : int
        Of each feed.
    tolerance : float
        Of the classification, relative to max(1, |R(0)|).
    relaxation : float
        Constant relaxation of the averaged feed.
    max_seconds : float
        After which feeds end undecided and no search or test begins.

    Returns
    -------
    OutcomeReport

    Raises
    ------
    OptionError, InputError
        If an argument is not usable.

    Notes
    -----
    Every limit is an equilibrium where the map R that is fed is continuous, that is but for activations that jump or
    are not defined everywhere. If x_{t+1} = R(x_t) tends to x, so does R(x_t),
    which tends to R(x). If x_{t+1} = x_t + lambda_t (R(x_t) - x_t) tends to x and d = R(x) - x were not 0, then from
    some t on <R(x_t) - x_t, d> >= |d|^2/2, so <x_t, d> would grow by at least |d|^2/2 times the sum of the lambda_t,
    which is infinite.

    Conversely x = R(x) is the outcome of the feed that starts at x. That says nothing about other starts: the origin of
    x = tanh(2x) is an equilibrium that drawn starts leave.

    Neither needs that the floating-point findings be right; they are evidence, each equilibrium tested by the second
    route.
    """
    game = require_game(game)
    _check_options(starts, steps, tolerance, relaxation, max_seconds)
    average = Constant(float(relaxation))
    return _Survey(game, starts, generator(seed), steps, tolerance, average, float(max_seconds)).report()


def _check_options(starts: Any, steps: Any, tolerance: Any, relaxation: Any, max_seconds: Any) -> None:
    for name, value in (("starts", starts), ("steps", steps)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
            raise OptionError(f"{name} must be a positive integer; got {value!r}")
    if starts > MAX_STARTS:
        raise OptionError(f"starts must be at most {MAX_STARTS}; got {starts!r}")
    for name, value in (("tolerance", tolerance), ("relaxation", relaxation), ("max_seconds", max_seconds)):
        check_positive(name, value)
    if not tolerance < 1e-3:
        raise OptionError(f"tolerance must be below 1e-3; got {tolerance!r}")


class _Survey:
    """One run of the check."""

    def __init__(
        self,
        game: Game,
        starts: int,
        rng: np.random.Generator,
        steps: int,
        tolerance: float,
        relaxation: Constant,
        max_seconds: float,
    ) -> None:
        self.max_seconds, self.deadline, self.stopped = max_seconds, time.monotonic() + max_seconds, False
        self.game, self.rng, self.steps, self.tolerance = game, rng, steps, tolerance
        self.fed: FedMap = fed_map(game)
        self.relaxations: dict[str, Relaxation | None] = {"iterated": None, "averaged": relaxation}
        self.radius = 4 * float(np.sqrt(tolerance)) * game.scale
        scales = np.resize(SCALES, starts - 1)[:, None]
        drawn = scales * rng.normal(size=(starts - 1, self.fed.size))
        self.starts = np.vstack([np.zeros((1, self.fed.size)), drawn])
        self.outcomes: list[Outcome] = []
        self.equilibria: list[FoundEquilibrium] = []

    def report(self) -> OutcomeReport:
        """Run the feeds and the methods, and gather what they found."""
        kinds: dict[str, dict[str, int]] = {}
        left: dict[str, int] = {}
        for rule in RULES:
            ends = self._settle(self.starts, rule)
            left[rule] = sum(settled.left for settled in ends)
            found = [self._outcome(settled) for settled in ends]
            kinds[rule] = {kind.value: sum(o.kind is kind for o in found) for kind in TrajectoryKind}
            for i, outcome in enumerate(found):
                self._count(outcome, rule, drawn=i > 0)
        for method, profile in self._searched() if not self._late() else ():
            if self._late():
                break
            resolved = resolve(self.game, self.fed, profile, self.tolerance)
            if isinstance(resolved, Resolved):
                self._add(resolved, method, {})
        equilibria = tuple(self._tested(equilibrium) for equilibrium in self.equilibria)
        order = list(TrajectoryKind)
        outcomes = tuple(
            sorted(map(self._displaced, self.outcomes), key=lambda o: (order.index(o.kind), -sum(o.starts.values())))
        )
        limits = with_lost_starts(
            limits_are_equilibria(self.game, self.fed.name, outcomes, equilibria), left, len(self.starts)
        )
        return OutcomeReport(
            outcomes,
            equilibria,
            self._timed(limits),
            self._timed(equilibria_are_outcomes(self.game, self.fed.name, equilibria, self.steps)),
            kinds,
            len(self.starts),
            left,
            self.stopped,
        )

    def _late(self) -> bool:
        """Whether the time is up, which is noted."""
        self.stopped = self.stopped or time.monotonic() > self.deadline
        return self.stopped

    def _timed(self, verdict: Verdict) -> Verdict:
        """Return the verdict with a word on the time, where that was up."""
        if not self.stopped:
            return verdict
        note = f"the {self.max_seconds:g} s were up before all was looked at: allow more, max_seconds"
        return replace(verdict, statement=f"{verdict.statement}; {note}")

    def _settle(self, starts: Array, rule: str) -> list[Settled]:
        relaxation, multiplications = self.relaxations[rule], self.game.multiplications
        ends = settle(self.fed, starts, relaxation, self.steps, self.tolerance, multiplications, self.deadline)
        self.stopped = self.stopped or any(end.late for end in ends)
        return ends

    # Outcomes

    def _outcome(self, settled: Settled) -> Outcome:
        """Return the outcome of one start; a fixed point counts as one only if its profile counts as an equilibrium."""
        if settled.kind is TrajectoryKind.LIMIT_CYCLE and settled.cycle is not None:
            period = len(settled.cycle)
            return Outcome(settled.kind, None, period, settled.cycle, {}, {}, f"it recurs with period {period}")
        if settled.left:
            reason = "it left the set where an activation is defined"
            return Outcome(settled.kind, None, None, None, {}, {}, reason)
        if settled.kind is not TrajectoryKind.FIXED_POINT:
            undecided = settled.kind is TrajectoryKind.UNDECIDED
            reason = f"no rule decided within {self.steps} steps" if undecided else "its norm grew"
            reason = "the time was up" if settled.late else reason
            return Outcome(settled.kind, None, None, None, {}, {}, reason)
        profile = self.fed.lift(settled.state)
        known = nearest([o.profile for o in self.outcomes if o.profile is not None], profile, self.radius)
        if known is not None:
            return [o for o in self.outcomes if o.profile is not None][known]
        resolved = resolve(self.game, self.fed, profile, self.tolerance)
        if isinstance(resolved, str):
            return Outcome(TrajectoryKind.UNDECIDED, None, None, None, {}, {}, f"its residual is small, but {resolved}")
        self._add(resolved, None, {})
        return Outcome(settled.kind, resolved.profile, 1, None, {}, {}, resolved.how)

    def _count(self, outcome: Outcome, rule: str, drawn: bool) -> None:
        place = next((i for i, other in enumerate(self.outcomes) if self._same(outcome, other)), None)
        if place is None:
            place = len(self.outcomes)
            none = dict.fromkeys(RULES, 0)
            self.outcomes.append(replace(outcome, starts=none, drawn=none))
        known = self.outcomes[place]
        started = {**known.starts, rule: known.starts[rule] + 1}
        by_draw = {**known.drawn, rule: known.drawn[rule] + drawn}
        self.outcomes[place] = replace(known, starts=started, drawn=by_draw)
        if known.profile is not None:
            at = nearest([e.profile for e in self.equilibria], known.profile, self.radius)
            if at is not None:
                self._credit(at, f"{rule} feed", {rule: int(drawn)})

    def _same(self, a: Outcome, b: Outcome) -> bool:
        if a.kind is not b.kind:
            return False
        if a.profile is not None and b.profile is not None:
            return bool(np.linalg.norm(a.profile - b.profile) <= self.radius)
        if a.cycle is not None and b.cycle is not None:
            return same_cycle(a.cycle, b.cycle, self.radius)
        return a.reason == b.reason

    def _displaced(self, outcome: Outcome) -> Outcome:
        """Return a limit cycle with whether the feeds that went there come back to it; other outcomes as they are."""
        if outcome.cycle is None or self._late():
            return outcome
        cycle = outcome.cycle
        displaced = cycle[0] + self._displacements()
        returns: dict[str, bool | None] = {}
        for rule in RULES:
            if outcome.starts[rule]:
                ends = self._settle(displaced, rule)
                back = [end.cycle is not None and same_cycle(end.cycle, cycle, self.radius) for end in ends]
                creeps = [end.kind is TrajectoryKind.UNDECIDED and not end.left for end in ends]
                returns[rule] = _all_of(back, creeps)
        return replace(outcome, returns=returns)

    def _displacements(self) -> Array:
        """Return a few random displacements, large against the radius within which outcomes are the same."""
        moves = self.rng.normal(size=(DISPLACEMENTS, self.fed.size))
        return 100 * self.radius * moves / np.linalg.norm(moves, axis=1, keepdims=True)

    # Equilibria

    def _searched(self) -> Iterator[tuple[str, Array]]:
        starts = self.starts[:ROOT_STARTS]
        # Where the feed cannot start, a solver may: at zero as a profile.
        profiles = list(self.fed.lift(starts[defined(self.fed, starts)])) or [np.zeros(self.game.size)]
        yield from roots(self.game, profiles)
        yield from solutions(self.game, profiles[:SOLVER_STARTS])

    def _add(self, resolved: Resolved, method: str | None, drawn: Mapping[str, int]) -> None:
        at = nearest([e.profile for e in self.equilibria], resolved.profile, self.radius)
        if at is None:
            at = len(self.equilibria)
            none = dict.fromkeys(RULES, 0)
            self.equilibria.append(
                FoundEquilibrium(
                    resolved.profile, resolved.residual, (), resolved.isolated, resolved.how, None, none, None
                )
            )
        self._credit(at, method, drawn)

    def _credit(self, at: int, method: str | None, drawn: Mapping[str, int]) -> None:
        known = self.equilibria[at]
        found_by = known.found_by if method is None or method in known.found_by else (*known.found_by, method)
        counts = {rule: known.drawn[rule] + drawn.get(rule, 0) for rule in RULES}
        self.equilibria[at] = replace(known, found_by=found_by, drawn=counts)

    def _tested(self, equilibrium: FoundEquilibrium) -> FoundEquilibrium:
        """Return the equilibrium with the second route's figure and with what the feeds do around it."""
        if self._late():
            return equilibrium
        improvement = largest_improvement(self.game, equilibrium.profile, self.rng)
        returns: dict[str, bool | None] | None = None
        if equilibrium.isolated:
            state = self.fed.restrict(equilibrium.profile)
            moves = self._displacements()
            returns = {}
            for rule in RULES:
                ends = self._settle(state + moves, rule)
                off = np.array([np.inf if end.left else np.linalg.norm(end.state - state) for end in ends])
                unsettled = np.array([end.kind is TrajectoryKind.UNDECIDED for end in ends])
                # By more than rounding makes of a rotation.
                nearer = off < (1 - 1e-6) * np.linalg.norm(moves, axis=1)
                returns[rule] = _all_of(off <= self.radius, unsettled & nearer)
        return replace(equilibrium, improvement=improvement, returns=returns)


def _all_of(back: Iterable[bool], creeps: Iterable[bool]) -> bool | None:
    """Whether all displacements came back; None where the others are on the way."""
    pairs = list(zip(back, creeps, strict=True))
    if all(there for there, _ in pairs):
        return True
    return None if all(there or creeping for there, creeping in pairs) else False
