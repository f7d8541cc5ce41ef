"""The search for improvement cycles: candidates from several constructions, each kept only if certified."""

from __future__ import annotations

import contextlib
import functools
import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nngames.checks.best_response_cycles import best_response_cycle
from nngames.checks.cycle_certificates import Certifier
from nngames.checks.cycle_rounding import rounded_cycle
from nngames.checks.effective_coupling import effective_coupling, listening_matrix
from nngames.checks.equilibria import roots, solutions
from nngames.checks.far_candidates import far_candidates, forward_candidates
from nngames.checks.local_candidates import directions_along, local_candidates
from nngames.checks.mover_cycles import mover_cycles
from nngames.checks.relaxed_reflections import reflection_paths
from nngames.checks.restricted_games import restricted_cycle
from nngames.checks.torn_candidates import SHARES, torn_candidates
from nngames.core.deadlines import TimeUpError, look
from nngames.core.errors import NNGamesError
from nngames.core.profiles import Array, Player
from nngames.games import CoupledGame, Game
from nngames.results.cycle import Cycle

#: Starts from which equilibria are sought, and drawn pairs of profiles far from them.
STARTS = 3
DRAWN = 12
#: Drawn actions of each mover from which the others' answers are followed.
FORWARD = 20
#: Movers of longer cycles begin in turn only up to this number.
MOST_TURNS = 6
#: The share of the time in which a shorter cycle is sought after one of best responses was found.
_SHORTENING = 0.2
#: The first groups of movers, where a culprit is among them, are tried more thoroughly before the others.
_LIKELY = 2
#: The shares of the time that profiles on plain scales, exact best responses and the groups of movers may take.
_PLAIN = 0.25
_ANSWERS = 0.3
_LISTING = 0.3


@dataclass(frozen=True, eq=False)
class Search:
    """What a search found.

    Attributes
    ----------
    cycle : Cycle or None
        Certified; every step strictly improves its mover.
    answers : Cycle or None
        A certified cycle of best responses; ``cycle`` may be a shorter one of other deviations.
    tried : int
        Restricted games whose cycles were looked for.
    equilibria : tuple of ndarray (N,)
        The profiles around which was searched.
    mover_sets : int
        Cycles of players that hear each other in turn, whose moves were looked at.
    out_of_time : bool
        Whether it ended before its last candidate.
    followed : int
        Profiles from which exact best responses were followed.
    """

    cycle: Cycle | None = None
    answers: Cycle | None = None
    tried: int = 0
    equilibria: tuple[Array, ...] = ()
    mover_sets: int = 0
    out_of_time: bool = False
    followed: int = 0


def find_improvement_cycle(
    game: Any,
    tolerance: float,
    rng: np.random.Generator,
    max_seconds: float,
    culprit: Sequence[Player] = (),
    coupling: Any | None = None,
) -> Search:
    """Search for a closed path of unilateral deviations, each strictly improving its mover.

    In this order: best responses in exact arithmetic from small starts; two actions per mover on plain scales; two
    actions between which the movers are torn, wherever that is; two actions around equilibria; two drawn actions;
    several amplitudes around equilibria. A path of m movers has at least 2m moves, so pairs of movers come first, and a
    longer cycle of best responses is replaced where a shorter one is found at once. What is found is moved to the
    roundest numbers whose gains are still certified.

    Parameters
    ----------
    game : CoupledGame or TrackingGame
        One that can be certified.
    tolerance : float
        Below it, relatively, an effective coupling counts as none.
    rng : Generator
    max_seconds : float
        After which no new candidate is begun.
    culprit : sequence of players
        A pair or a cycle of players that is known to have no weighted potential.
    coupling : sparse (N, N), optional
        The effective coupling, where it is known already.
    """
    began = time.monotonic()
    deadline = began + max_seconds
    certifier = Certifier(game, began + _ANSWERS * max_seconds)
    followed = best_response_cycle(certifier, rng, certifier.deadline)
    certifier.deadline = deadline
    answers = cycle = None
    search = _Search(game, certifier, rng, deadline)
    with contextlib.suppress(TimeUpError):
        answers = cycle = None if followed.path is None else certifier.cycle(followed.path)
        search.prepare(tolerance, culprit, coupling)
        if answers is None:
            cycle = search.run()
        elif few := [movers for movers in search.cycles if 2 * len(movers) < len(answers.deviations)]:
            search.deadline = min(deadline, time.monotonic() + _SHORTENING * max_seconds)
            search.cycles = few
            shorter = search.run()
            if shorter is not None and len(shorter.deviations) < len(answers.deviations):
                cycle = shorter
        if cycle is not None and cycle is not answers:
            cycle = rounded_cycle(certifier, cycle, deadline)
    out_of_time = time.monotonic() > deadline
    return Search(cycle, answers, search.tried, tuple(search.bases), len(search.cycles), out_of_time, followed.profiles)


class _Search:
    def __init__(self, game: Game, certifier: Certifier, rng: np.random.Generator, deadline: float) -> None:
        self.game, self.certifier, self.rng, self.deadline = game, certifier, rng, deadline
        self.coupling: Any = None
        self.cycles: list[tuple[Player, ...]] = []
        self.bases: list[Array] = []
        self.tried = 0

    def prepare(self, tolerance: float, culprit: Sequence[Player], coupling: Any | None) -> None:
        """List the groups of players whose moves are looked at, in a share of the time."""
        look(self.deadline)
        self.coupling = effective_coupling(self.game) if coupling is None else coupling
        look(self.deadline)
        heard = listening_matrix(self.game, tolerance, self.coupling)
        now = time.monotonic()
        listed = now + _LISTING * (self.deadline - now)
        self.cycles = mover_cycles(self.game, self.coupling, heard, culprit, listed)

    def run(self) -> Cycle | None:
        """Return the first certified cycle, from the cheapest construction on; TimeUpError where time was up before."""
        if not self.cycles:
            return None
        attempts: Iterator[Callable[[], Cycle | None]] = itertools.chain(
            [lambda: self._among(far_candidates(self.game, self.rng, 0), _PLAIN), lambda: self._torn(SHARES[0])],
            (functools.partial(self._around, base) for base in self._equilibria(roots)),
            (functools.partial(self._reflected, base, self.cycles[:_LIKELY]) for base in self.bases),
            (functools.partial(self._torn, share) for share in SHARES[1:]),
            [lambda: self._among(far_candidates(self.game, self.rng, DRAWN), 1.0), self._forward],
            (functools.partial(self._around, base) for base in self._equilibria(solutions)),
            (functools.partial(self._reflected, base, self.cycles) for base in self.bases),
        )
        for attempt in attempts:
            try:
                found = attempt()
            except (NNGamesError, np.linalg.LinAlgError):
                # A candidate whose answers an activation does not define, or floats do not hold, is none.
                continue
            if found is not None:
                return found
            look(self.deadline)
        return None

    def _equilibria(self, method: Callable[..., Iterator[tuple[str, Array]]]) -> Iterator[Array]:
        """Yield the profiles that a method finds and that are new."""
        drawn: Array = self.rng.normal(size=(STARTS - 1, self.game.size))
        with contextlib.suppress(NNGamesError):
            answers = self.game.best_responses(drawn)
            drawn = answers[np.isfinite(answers).all(axis=1)]
        for _, profile in method(self.game, [np.zeros(self.game.size), *drawn], deadline=self.deadline):
            if all(np.linalg.norm(profile - other) > 1e-5 * self.game.scale for other in self.bases):
                self.bases.append(profile)
                yield profile

    def _among(self, pairs: Iterator[tuple[Array, Array]], share: float) -> Cycle | None:
        """Return the first certified cycle among pairs of profiles, for every cycle of movers, in a share of the time
        left.
        """
        now = time.monotonic()
        deadline = now + share * (self.deadline - now)
        for low, high in pairs:
            for movers in self.cycles:
                if time.monotonic() > deadline:
                    return None
                found = self._restricted(low, high, movers)
                if found is not None:
                    return found
        return None

    def _around(self, base: Array) -> Cycle | None:
        for movers in self.cycles:
            for low, high in local_candidates(self.game, self.coupling, base, movers, self.rng):
                found = self._restricted(low, high, movers)
                if found is not None:
                    return found
        return None

    def _torn(self, share: float) -> Cycle | None:
        """Return the first certified cycle between actions that leave the movers torn."""
        if not isinstance(self.game, CoupledGame):
            return None
        for movers in self.cycles:
            for low, high in torn_candidates(self.game, self.coupling, movers, self.rng, share, self.deadline):
                found = self._restricted(low, high, movers)
                if found is not None:
                    return found
        return None

    def _forward(self) -> Cycle | None:
        turns = ((movers, first) for movers in self.cycles for first in range(min(len(movers), MOST_TURNS)))
        for movers, first in turns:
            look(self.deadline)
            turned = (*movers[first:], *movers[:first])
            for low, high in forward_candidates(self.game, turned, self.rng, FORWARD, self.deadline):
                found = self._restricted(low, high, movers)
                if found is not None:
                    return found
        return None

    def _restricted(self, low: Array, high: Array, movers: tuple[Any, ...]) -> Cycle | None:
        self.tried += 1
        path = restricted_cycle(self.game, low, high, movers, self.deadline)
        return None if path is None else self.certifier.cycle(path)

    def _reflected(self, base: Array, cycles: Sequence[tuple[Player, ...]]) -> Cycle | None:
        for movers in cycles:
            if len(movers) < 3:
                continue
            look(self.deadline)
            for directions in itertools.islice(directions_along(self.game, self.coupling, base, movers, self.rng), 2):
                for path in reflection_paths(self.game, self.coupling, base, movers, directions, self.rng):
                    look(self.deadline)
                    self.tried += 1
                    found = self.certifier.cycle(path)
                    if found is not None:
                        return found
        return None
