"""The graph of a finite game's better replies: its arcs, cycles, sinks, and sink components."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from math import inf
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nngames.core.deadlines import TimeUpError, look
from nngames.core.errors import NotApplicableError
from nngames.core.exact import nearest_float
from nngames.games import FiniteGame
from nngames.results.cycle import Cycle, Deviation

Indices = NDArray[np.intp]

#: The most unilateral deviations of a game whose graph is built.
MOST_ARCS = 30_000_000
#: Profiles through which a shortest cycle is sought, and visits of all searches together.
_STARTS = 256
_VISITS = 2_000_000
# Seconds for the components of a graph or to sort its arcs, over the arcs; and what no step waits for.
_STEP = 2e-7
_SHORT = 0.3


class Deviations:
    """All unilateral deviations of a game as arcs between profiles, which are numbered in lexicographic order.

    A gain counts as positive beyond ten times the tolerance and as zero within it, relative to the mover's largest
    |cost|; what lies between is open. Exact costs have no tolerance.

    Parameters
    ----------
    game : FiniteGame
    tolerance : float
    deadline : float
        A moment of time.monotonic.

    Attributes
    ----------
    sources, targets : ndarray of int (arcs,)
    improves, keeps, best : ndarray of int (arcs,)
        For each arc 2 where it surely improves, 1 where that is open, else 0; likewise for "does not worsen" and "leads
        to a best response".
    least_gains : list of pair of number
        Each player's least |gain| and largest |cost|.

    Raises
    ------
    NotApplicableError
        If there are more than 30,000,000 deviations.
    TimeUpError
        If the deadline comes before all are listed, or in a later search.
    """

    def __init__(self, game: FiniteGame, tolerance: float = 0.0, deadline: float = inf) -> None:
        arcs = game.size * sum(size - 1 for size in game.sizes)
        if arcs > MOST_ARCS:
            raise NotApplicableError(f"the game has {arcs} unilateral deviations; at most {MOST_ARCS} are searched")
        self.game, self.count, self.deadline = game, game.size, deadline
        self.least_gains: list[tuple[Fraction, Fraction]] = []
        number = np.arange(self.count, dtype=np.int32).reshape(game.sizes)
        sources, targets, positive, nonnegative, best = [], [], [], [], []
        for m, size in enumerate(game.sizes):
            costs = game.numbers.values[m]
            largest = max(costs.max(), -costs.min())
            limit = 0 if game.exact else tolerance * largest
            smallest = []
            least = costs.min(axis=m, keepdims=True)
            for i in range(size):
                for j in range(size):
                    if i != j:
                        before, after = np.take(costs, i, axis=m), np.take(costs, j, axis=m)
                        look(deadline)
                        gain = before - after
                        smallest.append(abs(gain).min())
                        loss = after - np.take(least, 0, axis=m)
                        sources.append(np.take(number, i, axis=m).ravel())
                        targets.append(np.take(number, j, axis=m).ravel())
                        positive.append(_grades(gain, limit))
                        nonnegative.append(_not_negative(gain, limit))
                        best.append(_grades(loss, limit, zero=True))
            if smallest:
                least, most = (Fraction(game.numbers.number(figure)) for figure in (min(smallest), largest))
                self.least_gains.append((least, most))
        self.sources, self.targets = _joined(sources, np.int32), _joined(targets, np.int32)
        self.improves, self.keeps, self.best = (_joined(parts, np.int8) for parts in (positive, nonnegative, best))

    def profile(self, number: int) -> tuple[int, ...]:
        """Return the strategies' indices of a profile's number."""
        return tuple(int(i) for i in np.unravel_index(number, self.game.sizes))

    def components(self, arcs: NDArray[np.bool_]) -> tuple[int, NDArray[np.int32]]:
        """Return the number of strongly connected components of the graph of these arcs, and each profile's."""
        from scipy import sparse
        from scipy.sparse.csgraph import connected_components

        count = int(arcs.sum())
        # One long step: it is not begun where it would end long after the deadline.
        look(self.deadline - max(_STEP * count - _SHORT, 0.0))
        entries = (np.ones(count, dtype=np.int8), (self.sources[arcs], self.targets[arcs]))
        graph = sparse.csr_array(entries, shape=(self.count, self.count))
        return connected_components(graph, directed=True, connection="strong")

    def closed_path(self, arcs: NDArray[np.bool_], closing: NDArray[np.bool_]) -> list[int] | None:
        """Return a closed path of ``arcs`` through one that is ``closing``, first profile repeated; None if none is.

        The shortest one through any of up to 256 profiles, in the smallest components first.
        """
        count, labels = self.components(arcs)
        look(self.deadline - max(_STEP * arcs.size - _SHORT, 0.0))
        inside = arcs & (labels[self.sources] == labels[self.targets])
        closing = closing & inside
        if not closing.any():
            return None
        sizes = np.bincount(labels, minlength=count)
        reached = np.zeros(self.count, dtype=bool)
        reached[self.targets[closing]] = True
        ends = np.flatnonzero(reached)
        ends = ends[np.argsort(sizes[labels[ends]], kind="stable")][:_STARTS]
        heads, tails = self.sources[inside], self.targets[inside]
        look(self.deadline - max(_STEP * heads.size - _SHORT, 0.0))
        order = np.argsort(heads, kind="stable")
        tails, starts = tails[order], np.searchsorted(heads[order], np.arange(self.count + 1))
        back: dict[int, set[int]] = {}
        chosen = closing & np.isin(self.targets, ends)
        for source, target in zip(self.sources[chosen].tolist(), self.targets[chosen].tolist(), strict=True):
            back.setdefault(target, set()).add(source)
        shortest: list[int] | None = None
        visits = _VISITS
        for end in ends.tolist():
            longest = len(shortest) - 2 if shortest else self.count
            try:
                found, used = _path(end, back[end], tails, starts, longest, self.deadline)
            except TimeUpError:
                if shortest is None:
                    raise
                break
            shortest = found or shortest
            visits -= used
            if visits < 0 or (shortest is not None and len(shortest) <= 5):
                break
        return shortest

    def cycle(self, path: list[int]) -> Cycle:
        """Return the closed path as deviations with exact gains; profiles are the strategies' indices."""
        steps = []
        for before, after in pairwise(path):
            start, end = self.profile(before), self.profile(after)
            mover = next(m for m, (i, j) in enumerate(zip(start, end, strict=True)) if i != j)
            player = self.game.players[mover]
            gain = Fraction(self.game.cost(player, start)) - Fraction(self.game.cost(player, end))
            best = end[mover] in self.game.best_responses(player, start)
            steps.append(Deviation(player, np.array(start), np.array(end), gain, _enclosed(gain), best))
        return Cycle(tuple(steps), "finite")


@dataclass(frozen=True, eq=False)
class BetterReplyGraph:
    """Where the better replies of a finite game lead.

    Attributes
    ----------
    sinks : ndarray (count, L)
        The profiles without a better reply: the pure equilibria.
    sink_components : tuple of ndarray (k, L)
        The strongly connected components that no better reply leaves, each by its profiles; single sinks among them.
    weakly_acyclic : bool
        Whether every profile has a path of better replies to a pure equilibrium.
    """

    sinks: Indices
    sink_components: tuple[Indices, ...]
    weakly_acyclic: bool


def better_reply_graph(game: FiniteGame) -> BetterReplyGraph:
    """Return the sinks and sink components of the graph of a finite game's strictly better replies.

    Costs are compared as they are given, without a tolerance.

    Raises
    ------
    NotApplicableError
        If the game has more than 30,000,000 unilateral deviations.
    """
    deviations = Deviations(game)
    arcs = deviations.improves == 2
    count, labels = deviations.components(arcs)
    heads, tails = labels[deviations.sources[arcs]], labels[deviations.targets[arcs]]
    left = np.zeros(count, dtype=bool)
    left[heads[heads != tails]] = True
    kept = np.flatnonzero(~left[labels])
    kept = kept[np.argsort(labels[kept], kind="stable")]
    ends = np.flatnonzero(np.diff(labels[kept])) + 1
    groups = sorted(np.split(kept, ends), key=lambda group: int(group[0]))
    parts = tuple(np.stack(np.unravel_index(group, game.sizes), axis=1) for group in groups)
    return BetterReplyGraph(game.pure_equilibria(), parts, all(len(group) == 1 for group in groups))


def _path(
    start: int, ends: set[int], tails: NDArray[Any], starts: NDArray[Any], longest: int, deadline: float
) -> tuple[list[int] | None, int]:
    """Return the shortest closed path start -> ... -> one of ``ends`` -> start of fewer than ``longest`` + 1 arcs."""
    parent, queue = {start: -1}, deque([(start, 0)])
    while queue:
        look(deadline)
        node, depth = queue.popleft()
        if depth + 1 > longest:
            break
        if node in ends:
            path = [start]
            while node >= 0:
                path.append(node)
                node = parent[node]
            return path[::-1], len(parent)
        for other in tails[starts[node] : starts[node + 1]].tolist():
            if other not in parent:
                parent[other] = node
                queue.append((other, depth + 1))
    return None, len(parent)


def _grades(values: NDArray[Any], limit: Any, zero: bool = False) -> NDArray[np.int8]:
    """Return 2 where a value is surely positive, 1 where that is open, else 0; with ``zero``, surely zero instead."""
    grades = (values > limit).astype(np.int8) + (values > 10 * limit)
    return (2 - grades if zero else grades).astype(np.int8).ravel()


def _not_negative(gain: NDArray[Any], limit: Any) -> NDArray[np.int8]:
    """Return 2 where a gain is surely zero or positive, 1 where it may be either, else 0."""
    magnitude = abs(gain)
    sure = (magnitude <= limit) | (gain > 10 * limit)
    return (2 * sure + (~sure & (magnitude <= 10 * limit))).astype(np.int8).ravel()


def _joined(parts: list[NDArray[Any]], dtype: type) -> NDArray[Any]:
    return np.concatenate(parts) if parts else np.zeros(0, dtype=dtype)


def _enclosed(gain: Fraction) -> tuple[float, float]:
    nearest = nearest_float(gain)
    if Fraction(nearest) == gain if np.isfinite(nearest) else False:
        return nearest, nearest
    return float(np.nextafter(nearest, -np.inf)), float(np.nextafter(nearest, np.inf))
