"""A run of the outcome check: feeds of many starts gathered into outcomes, equilibria from several methods, tests."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from nngames.checks.equilibria import Resolved, resolve, roots, solutions
from nngames.checks.feed_batches import FedMap, Settled, defined, fed_map, settle
from nngames.checks.outcome_clusters import FoundEquilibrium, Outcome, OutcomeReport, nearest, same_cycle
from nngames.checks.outcome_verdicts import equilibria_are_outcomes, limits_are_equilibria, with_lost_starts
from nngames.checks.second_route import largest_improvement
from nngames.core.deadlines import TimeUpError
from nngames.core.errors import OptionError
from nngames.core.profiles import Array
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
#: So many floats the batch of starts has at most.
MAX_ENTRIES = 5_000_000


class OutcomeSurvey:
    """One run of ``check_outcomes``, whose arguments it takes."""

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
        # A game without such a map says so here, however little time there is.
        _ = self.fed.unit
        if starts > max(1, MAX_ENTRIES // self.fed.size):
            most = f"at most {MAX_ENTRIES // self.fed.size} for states of {self.fed.size} coordinates"
            raise OptionError(f"starts must be {most}; got {starts!r}")
        self.relaxations: dict[str, Relaxation | None] = {"iterated": None, "averaged": relaxation}
        self.radius = 4 * float(np.sqrt(tolerance)) * game.scale
        scales = np.resize(SCALES, starts - 1)[:, None]
        drawn = scales * rng.normal(size=(starts - 1, self.fed.size))
        self.starts = np.vstack([np.zeros((1, self.fed.size)), drawn])
        self.outcomes: list[Outcome] = []
        self.equilibria: list[FoundEquilibrium] = []
        self.open_feeds, self.searched = 0, "the search for equilibria by other methods did not begin"

    def report(self) -> OutcomeReport:
        """Run the feeds and the methods, and gather what they found."""
        kinds: dict[str, dict[str, int]] = {}
        left: dict[str, int] = {}
        for rule in RULES:
            # Feeds that cannot begin are as undecided as those that did not end.
            ends = [] if self._late() else self._settle(self.starts, rule)
            left[rule] = sum(settled.left for settled in ends)
            kinds[rule] = self._gather(ends, rule)
        self._search()
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
            self._timed(limits, outcomes, equilibria),
            self._timed(
                equilibria_are_outcomes(self.game, self.fed.name, equilibria, self.steps), outcomes, equilibria
            ),
            kinds,
            len(self.starts),
            left,
            self.stopped,
        )

    def _late(self) -> bool:
        """Whether the time is up, which is noted."""
        self.stopped = self.stopped or time.monotonic() > self.deadline
        return self.stopped

    def _timed(self, verdict: Verdict, outcomes: Sequence[Outcome], equilibria: Sequence[FoundEquilibrium]) -> Verdict:
        """Return the verdict with a word on the time and on what is left, where that was up."""
        if not self.stopped:
            return verdict
        left = []
        if self.open_feeds:
            left.append(f"{self.open_feeds} of {len(RULES) * len(self.starts)} feeds were not decided")
        if self.searched:
            left.append(self.searched)
        untested = sum(e.untested or (e.improvement is not None and e.improvement.late) for e in equilibria)
        if untested:
            left.append(f"{untested} of the {len(equilibria)} equilibria were not tested or not for all players")
        cycles = [outcome for outcome in outcomes if outcome.cycle is not None]
        if any(outcome.returns is None for outcome in cycles):
            left.append("not all cycles were displaced")
        left = left or ["not all displacements settled"]
        note = f"{self.max_seconds:g} s did not suffice for all: {', '.join(left)}"
        more = f"{verdict.would_change}; more max_seconds would tell the rest"
        return replace(verdict, statement=f"{verdict.statement}; {note}", would_change=more)

    def _settle(self, starts: Array, rule: str) -> list[Settled]:
        relaxation, multiplications = self.relaxations[rule], self.game.multiplications
        ends = settle(self.fed, starts, relaxation, self.steps, self.tolerance, multiplications, self.deadline)
        self.stopped = self.stopped or any(end.late for end in ends)
        return ends

    # Outcomes

    def _gather(self, ends: Sequence[Settled], rule: str) -> dict[str, int]:
        """Count the outcomes of the starts of one rule, and return how many there are of each kind."""
        kinds = dict.fromkeys((kind.value for kind in TrajectoryKind), 0)
        # Those that came to no point and no cycle are told apart by the reason alone: how many, and how many drawn.
        others: dict[tuple[TrajectoryKind, str], list[int]] = {}
        decided_drawn = 0
        for i, settled in enumerate(ends):
            if settled.late:
                continue
            outcome: Outcome | None = None
            kind: TrajectoryKind
            if settled.kind not in (TrajectoryKind.FIXED_POINT, TrajectoryKind.LIMIT_CYCLE):
                kind, reason = settled.kind, self._reason(settled)
            else:
                outcome = None if self._late() else self._outcome(settled)
                if outcome is None:
                    continue
                kind, reason = outcome.kind, outcome.reason
            decided_drawn += i > 0
            kinds[kind.value] += 1
            if outcome is not None and kind is settled.kind:
                self._count(outcome, rule, 1, int(i > 0))
                continue
            counted = others.setdefault((kind, reason), [0, 0])
            counted[0] += 1
            counted[1] += i > 0
        open_feeds = len(self.starts) - sum(kinds.values())
        if open_feeds:
            self.stopped = True
            self.open_feeds += open_feeds
            kinds[TrajectoryKind.UNDECIDED.value] += open_feeds
            others[TrajectoryKind.UNDECIDED, "the time was up"] = [open_feeds, len(self.starts) - 1 - decided_drawn]
        for (kind, reason), (number, drawn) in others.items():
            self._count(Outcome(kind, None, None, None, {}, {}, reason), rule, number, drawn)
        return kinds

    def _reason(self, settled: Settled) -> str:
        """Return why the feed of a start came to nothing."""
        if settled.left:
            return "it left the set where an activation is defined"
        undecided = settled.kind is TrajectoryKind.UNDECIDED
        return f"no rule decided within {self.steps} steps" if undecided else "its norm grew"

    def _outcome(self, settled: Settled) -> Outcome | None:
        """Return the outcome of a start whose feed recurs; None where the time is up before.

        A fixed point counts as one only if its profile counts as an equilibrium, and is undecided else.
        """
        if settled.cycle is not None:
            period = len(settled.cycle)
            return Outcome(settled.kind, None, period, settled.cycle, {}, {}, f"it recurs with period {period}")
        profile = self.fed.lift(settled.state)
        reached = [outcome for outcome in self.outcomes if outcome.profile is not None]
        known = nearest([o.profile for o in reached if o.profile is not None], profile, self.radius)
        if known is not None:
            return reached[known]
        try:
            resolved = resolve(self.game, self.fed, profile, self.tolerance, self.deadline)
        except TimeUpError:
            return None
        if isinstance(resolved, str):
            return Outcome(TrajectoryKind.UNDECIDED, None, None, None, {}, {}, f"its residual is small, but {resolved}")
        self._add(resolved, None, {})
        return Outcome(settled.kind, resolved.profile, 1, None, {}, {}, resolved.how)

    def _count(self, outcome: Outcome, rule: str, number: int, drawn: int) -> None:
        place = next((i for i, other in enumerate(self.outcomes) if self._same(outcome, other)), None)
        if place is None:
            place = len(self.outcomes)
            none = dict.fromkeys(RULES, 0)
            self.outcomes.append(replace(outcome, starts=none, drawn=none))
        known = self.outcomes[place]
        started = {**known.starts, rule: known.starts[rule] + number}
        by_draw = {**known.drawn, rule: known.drawn[rule] + drawn}
        self.outcomes[place] = replace(known, starts=started, drawn=by_draw)
        if known.profile is not None:
            at = nearest([e.profile for e in self.equilibria], known.profile, self.radius)
            if at is not None:
                self._credit(at, f"{rule} feed", {rule: drawn})

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

    def _search(self) -> None:
        """Look for equilibria by other methods until the time is up."""
        if self._late():
            return
        starts = self.starts[:ROOT_STARTS]
        # Where the feed cannot start, a solver may: at zero as a profile.
        profiles = list(self.fed.lift(starts[defined(self.fed, starts)])) or [np.zeros(self.game.size)]
        found = itertools.chain(
            roots(self.game, profiles, self.deadline),
            solutions(self.game, profiles[:SOLVER_STARTS], deadline=self.deadline),
        )
        self.searched = "the search for equilibria by other methods did not end"
        try:
            for method, profile in found:
                resolved = resolve(self.game, self.fed, profile, self.tolerance, self.deadline)
                if isinstance(resolved, Resolved):
                    self._add(resolved, method, {})
        except TimeUpError:
            self.stopped = True
        else:
            self.searched = ""

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
        try:
            improvement = largest_improvement(self.game, equilibrium.profile, self.rng, self.deadline)
        except TimeUpError:
            self.stopped = True
            return replace(equilibrium, untested=True)
        self.stopped = self.stopped or (improvement is not None and improvement.late)
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
                late = np.array([end.late for end in ends])
                returns[rule] = _all_of(off <= self.radius, unsettled & nearer | late)
        return replace(equilibrium, improvement=improvement, returns=returns)


def _all_of(back: Iterable[bool], creeps: Iterable[bool]) -> bool | None:
    """Whether all displacements came back; None where the others are on the way."""
    pairs = list(zip(back, creeps, strict=True))
    if all(there for there, _ in pairs):
        return True
    return None if all(there or creeping for there, creeping in pairs) else False
