"""Which players may move on an improvement cycle: directed cycles of who hears whom, without those that cannot help.

Two players whose couplings are positive multiples of each other have a weighted potential between them, and so have
the players of a cycle whose couplings multiply to the same in both directions. What is left is listed from short to
long, and within a length from the clearest imbalance on.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from nngames.core.profiles import Player

Cycle = tuple[Player, ...]
#: The same with the players' places.
_Places = tuple[int, ...]

#: The longest cycles that are listed, and how many of each length are kept and looked at.
LONGEST = 6
MOST_CYCLES = 16
_LOOKED_AT = 480
_MOST_STEPS = 20_000
# An imbalance below this is rounding.
_BALANCED = 1e-10
# Exponentials of more are no floats.
_LARGEST = 700.0


def mover_cycles(
    game: Any, coupling: Any, heard: Any, culprit: Sequence[Player] = (), deadline: float = math.inf
) -> list[Cycle]:
    """Return cycles of players, each in the order in which its players hear each other.

    Parameters
    ----------
    game : Game
    coupling : sparse (N, N)
        The effective coupling.
    heard : sparse (L, L)
        The listening matrix: an entry (k, l) where l hears k.
    culprit : sequence of players
        A pair or a cycle of players that is known to have no weighted potential; it is listed first.
    deadline : float
        A moment of time.monotonic, after which no other cycle is looked at.
    """
    from scipy.sparse.csgraph import connected_components

    players, graph = game.players, _Graph(heard)
    sizes = _Sizes(game, coupling)
    _, labels = connected_components(heard, connection="strong")
    found: list[_Places] = []
    for label in np.flatnonzero(np.bincount(labels) > 1):
        graph.within = labels == label
        listed = [cycle for length in range(2, LONGEST + 1) for cycle in _clearest(graph, length, sizes, deadline)]
        if not listed:
            some = graph.some_cycle()
            listed = [some] if sizes.imbalance(some) > _BALANCED else []
        found += listed
    found.sort(key=len)
    graph.within = None
    place = {player: i for i, player in enumerate(players)}
    chosen = dict.fromkeys([*_through(graph, tuple(place[player] for player in culprit)), *found])
    return [tuple(players[i] for i in cycle) for cycle in chosen]


class _Graph:
    """The listening matrix as lists of who hears a player, all or within one component."""

    def __init__(self, heard: Any) -> None:
        self._heard = heard
        self._hearers: dict[int, list[int]] = {}
        self._within: Any = None

    @property
    def within(self) -> Any:
        """Which players count; None for all."""
        return self._within

    @within.setter
    def within(self, players: Any) -> None:
        self._within = players
        self._hearers = {}

    def hearers(self, player: int) -> list[int]:
        """Return who hears a player."""
        if player not in self._hearers:
            row = self._heard.indices[self._heard.indptr[player] : self._heard.indptr[player + 1]]
            self._hearers[player] = (row if self._within is None else row[self._within[row]]).tolist()
        return self._hearers[player]

    def way(self, start: int, end: int) -> list[int]:
        """Return a shortest path; empty where there is none."""
        from scipy.sparse.csgraph import breadth_first_order

        _, before = breadth_first_order(self._heard, start)
        path = [end]
        while path[-1] != start and before[path[-1]] >= 0:
            path.append(int(before[path[-1]]))
        return path[::-1] if path[-1] == start else []

    def some_cycle(self) -> _Places:
        """Return a shortest cycle through the first player of the component."""
        first = int(np.flatnonzero(self._within)[0])
        ways: list[list[int]] = [self.way(hearer, first) for hearer in self.hearers(first)]
        return tuple(sorted(ways, key=len)[0])

    @property
    def starts(self) -> list[int]:
        """The players that count, in their order."""
        return [int(i) for i in np.flatnonzero(self._within)]


def _clearest(graph: _Graph, length: int, sizes: _Sizes, deadline: float) -> list[_Places]:
    """Return the cycles of one length with the clearest imbalances among those that are looked at."""
    weighed = []
    for cycle in itertools.islice(_of_length(graph, length), _LOOKED_AT):
        if time.monotonic() > deadline:
            break
        weighed.append((sizes.imbalance(cycle), cycle))
    kept = [(value, cycle) for value, cycle in weighed if value > _BALANCED]
    return [cycle for _, cycle in sorted(kept, key=lambda pair: -pair[0])[:MOST_CYCLES]]


def _of_length(graph: _Graph, length: int) -> Iterator[_Places]:
    """Yield the simple cycles of a length, each from its first player in the order, until so many steps were taken."""
    steps = 0
    for first in graph.starts:
        paths: list[_Places] = [(first,)]
        while paths:
            path = paths.pop()
            steps += 1
            if steps > _MOST_STEPS:
                return
            hearers = graph.hearers(path[-1])
            if len(path) == length:
                if first in hearers:
                    yield path
                continue
            paths += [(*path, k) for k in reversed(hearers) if k > first and k not in path]


def _through(graph: _Graph, culprit: _Places) -> list[_Places]:
    """Return the culprit as cycles of the graph: in both directions, or a pair's shortest way back."""
    if len(culprit) < 2:
        return []
    if len(culprit) == 2:
        ways = [pair for pair in (culprit, culprit[::-1]) if pair[1] in graph.hearers(pair[0])]
        back = [graph.way(other, one) for one, other in ways]
        return [(path[-1], *path[:-1]) for path in back if path]
    turned = (culprit, culprit[::-1])
    steps = [(way, itertools.pairwise((*way, way[0]))) for way in turned]
    return [way for way, pairs in steps if all(k in graph.hearers(i) for i, k in pairs)]


class _Sizes:
    """Norms of the couplings between players, and what a cycle's couplings miss for a weighted potential."""

    def __init__(self, game: Any, coupling: Any) -> None:
        self._slices, self._coupling = list(game.space.slices.values()), coupling
        self._blocks: dict[tuple[int, int], tuple[Any, float]] = {}

    def imbalance(self, cycle: _Places) -> float:
        """Return 0 where the couplings along the cycle are known to be balanced, else a positive number.

        Of a pair: |A/|A| - C/|C|| for A = B_lk and C = B_kl'. Of a longer cycle of single numbers: the logarithm of
        the product of |B_lk| along it over that in the other direction, as far as it is positive: then some sizes of
        actions make every player hear the one before it more than the one after it. Vectors may do so in some
        directions; of them the products of norms tell only which cycles come first.
        """
        if len(cycle) == 2:
            a, c = (self._block(*edge)[0] for edge in (cycle, cycle[::-1]))
            return float(np.linalg.norm(a - c.T)) if a.any() and c.any() else 0.0
        steps = list(itertools.pairwise((*cycle, cycle[0])))
        ahead, back = ([self._block(*edge[::turn])[1] for edge in steps] for turn in (-1, 1))
        if -math.inf in (*ahead, *back):
            return math.inf if -math.inf not in ahead else 0.0
        value = sum(a - b for a, b in zip(ahead, back, strict=True))
        scalar = all(self._slices[p].stop - self._slices[p].start == 1 for p in cycle)
        return value if scalar else math.exp(min(value, _LARGEST))

    def _block(self, target: int, source: int) -> tuple[Any, float]:
        """Return the block over its norm, and the norm's logarithm."""
        if (target, source) not in self._blocks:
            block = self._coupling[self._slices[target]][:, self._slices[source]].toarray()
            largest = float(np.abs(block).max())
            if largest > 0:
                # The smallest floats have no inverse.
                block = np.ldexp(block, -math.frexp(largest)[1])
                norm = float(np.linalg.norm(block))
                size = math.log(norm) + math.frexp(largest)[1] * math.log(2)
                self._blocks[target, source] = block / norm, size
            else:
                self._blocks[target, source] = block, -math.inf
        return self._blocks[target, source]
