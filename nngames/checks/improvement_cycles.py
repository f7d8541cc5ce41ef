"""The search for improvement cycles: candidates from several constructions, each kept only if certified."""

from __future__ import annotations

import contextlib
import functools
import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from nngames.checks.best_response_cycles import best_response_cycle
from nngames.checks.cycle_certificates import Certifier
from nngames.checks.effective_coupling import effective_coupling, listening_graph
from nngames.checks.equilibria import roots, solutions
from nngames.checks.far_candidates import far_candidates, forward_candidates
from nngames.checks.local_candidates import directions_along, local_candidates
from nngames.checks.relaxed_reflections import reflection_paths
from nngames.checks.restricted_games import restricted_cycle
from nngames.core.errors import DomainError
from nngames.core.profiles import Array, Player
from nngames.games import Game
from nngames.results.cycle import Cycle

#: Starts from which equilibria are sought, and drawn pairs of profiles far from them.
STARTS = 3
DRAWN = 12
#: Drawn actions of each mover from which the others' answers are followed.
FORWARD = 20
#: The longest cycles of movers that are listed, and how many.
LONGEST = 6
MOST_CYCLES = 24


@dataclass(frozen=True, eq=False)
class Search:
    """What a search found.

    Attributes
    ----------
    cycle : Cycle or None
        Certified; every step strictly improves its mover.
    tried : int
        Restricted games whose cycles were looked for.
    equilibria : tuple of ndarray (N,)
        The profiles around which was searched.
    """

    cycle: Cycle | None
    tried: int
    equilibria: tuple[Array, ...]


def find_improvement_cycle(game: Any, tolerance: float, rng: np.random.Generator, max_seconds: float) -> Search:
    """Search for a closed path of unilateral deviations, each strictly improving its mover.

    In this order: best responses in exact arithmetic from small starts; two actions per mover on plain scales; two
    actions around equilibria; two drawn actions; several amplitudes around equilibria.

    Parameters
    ----------
    game : CoupledGame or TrackingGame
        One that can be certified.
    tolerance : float
        Below it, relatively, an effective coupling counts as none.
    rng : Generator
    max_seconds : float
        After which no new candidate is begun.
    """
    certifier = Certifier(game)
    deadline = time.perf_counter() + max_seconds
    path = best_response_cycle(certifier, rng, min(deadline, time.perf_counter() + 0.3 * max_seconds))
    if path is not None:
        cycle = certifier.cycle(path)
        if cycle is not None:
            return Search(cycle, 0, ())
    search = _Search(game, certifier, tolerance, rng, deadline)
    return Search(search.run(), search.tried, tuple(search.bases))


class _Search:
    def __init__(
        self, game: Game, certifier: Certifier, tolerance: float, rng: np.random.Generator, deadline: float
    ) -> None:
        self.game, self.certifier, self.rng, self.deadline = game, certifier, rng, deadline
        self.coupling = effective_coupling(game)
        self.cycles = mover_cycles(listening_graph(game, tolerance))
        self.bases: list[Array] = []
        self.tried = 0

    def run(self) -> Cycle | None:
        """Return the first certified cycle, from the cheapest construction on."""
        if not self.cycles:
            return None
        attempts: Iterator[Callable[[], Cycle | None]] = itertools.chain(
            [lambda: self._among(far_candidates(self.game, self.rng, 0))],
            (functools.partial(self._around, base) for base in self._equilibria(roots)),
            [lambda: self._among(far_candidates(self.game, self.rng, DRAWN)), self._forward],
            (functools.partial(self._around, base) for base in self._equilibria(solutions)),
            (functools.partial(self._reflected, base) for base in self.bases),
        )
        for attempt in attempts:
            try:
                found = attempt()
            except DomainError:
                # A candidate whose answers an activation does not define is none.
                continue
            if found is not None or self.over:
                return found
        return None

    @property
    def over(self) -> bool:
        return time.perf_counter() > self.deadline

    def _equilibria(self, method: Callable[..., Iterator[tuple[str, Array]]]) -> Iterator[Array]:
        """Yield the profiles that a method finds and that are new."""
        drawn: Array = self.rng.normal(size=(STARTS - 1, self.game.size))
        with contextlib.suppress(DomainError):
            answers = self.game.best_responses(drawn)
            drawn = answers[np.isfinite(answers).all(axis=1)]
        for _, profile in method(self.game, [np.zeros(self.game.size), *drawn]):
            if all(np.linalg.norm(profile - other) > 1e-5 * self.game.scale for other in self.bases):
                self.bases.append(profile)
                yield profile

    def _among(self, pairs: Iterator[tuple[Array, Array]]) -> Cycle | None:
        """Return the first certified cycle among pairs of profiles, for every cycle of movers."""
        for low, high in pairs:
            for movers in self.cycles:
                found = None if self.over else self._restricted(low, high, movers)
                if found is not None:
                    return found
        return None

    def _around(self, base: Array) -> Cycle | None:
        for movers in self.cycles:
            for low, high in local_candidates(self.game, self.coupling, base, movers, self.rng):
                found = None if self.over else self._restricted(low, high, movers)
                if found is not None:
                    return found
        return None

    def _forward(self) -> Cycle | None:
        turns = ((movers, first) for movers in self.cycles for first in range(min(len(movers), LONGEST)))
        for movers, first in turns:
            if self.over:
                return None
            turned = (*movers[first:], *movers[:first])
            for low, high in forward_candidates(self.game, turned, self.rng, FORWARD):
                found = None if self.over else self._restricted(low, high, movers)
                if found is not None:
                    return found
        return None

    def _restricted(self, low: Array, high: Array, movers: tuple[Any, ...]) -> Cycle | None:
        self.tried += 1
        path = restricted_cycle(self.game, low, high, movers)
        return None if path is None else self.certifier.cycle(path)

    def _reflected(self, base: Array) -> Cycle | None:
        for movers in self.cycles:
            if len(movers) < 3 or self.over:
                continue
            for directions in itertools.islice(directions_along(self.game, self.coupling, base, movers, self.rng), 2):
                for path in reflection_paths(self.game, base, movers, directions, self.rng):
                    self.tried += 1
                    found = self.certifier.cycle(path)
                    if found is not None:
                        return found
        return None


def mover_cycles(graph: Any) -> list[tuple[Player, ...]]:
    """Return directed cycles of players in the listening graph, shorter ones first, each in the order of hearing.

    Of every strongly connected component there is at least one; pairs that hear each other come first.
    """
    import networkx

    found: list[tuple[Player, ...]] = []
    for component in networkx.strongly_connected_components(graph):
        if len(component) > 1:
            inside = graph.subgraph([player for player in graph if player in component])
            short = networkx.simple_cycles(inside, length_bound=LONGEST)
            listed = [tuple(cycle) for cycle in itertools.islice(short, 20 * MOST_CYCLES)]
            listed = listed or [tuple(edge[0] for edge in networkx.find_cycle(inside))]
            found += sorted(listed, key=len)[:MOST_CYCLES]
    return sorted(found, key=len)
