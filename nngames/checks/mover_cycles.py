"""Which players may move on an improvement cycle: directed cycles of who hears whom, without those that cannot help.

Two players whose couplings are positive multiples of each other have a weighted potential between them, and so have
the players of a cycle whose couplings multiply to the same in both directions. What is left is listed from short to
long, and within a length from the clearest imbalance on.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from nngames.core.profiles import Player

Cycle = tuple[Player, ...]

#: The longest cycles that are listed, and how many of each length are kept and looked at.
LONGEST = 6
MOST_CYCLES = 16
_LOOKED_AT = 480
_MOST_STEPS = 20_000
# An imbalance below this is rounding.
_BALANCED = 1e-10


def mover_cycles(game: Any, coupling: Any, graph: Any, culprit: Sequence[Player] = ()) -> list[Cycle]:
    """Return cycles of players, each in the order in which its players hear each other.

    Parameters
    ----------
    game : Game
    coupling : sparse (N, N)
        The effective coupling.
    graph : networkx.DiGraph
        An edge k -> l where l hears k.
    culprit : sequence of players
        A pair or a cycle of players that is known to have no weighted potential; it is listed first.
    """
    import networkx

    sizes = _Sizes(game, coupling)
    found: list[Cycle] = []
    for component in networkx.strongly_connected_components(graph):
        if len(component) > 1:
            order = {player: i for i, player in enumerate(player for player in graph if player in component)}
            hearers = {player: [k for k in graph.succ[player] if k in order] for player in order}
            listed = [cycle for length in range(2, LONGEST + 1) for cycle in _clearest(hearers, order, length, sizes)]
            if not listed:
                some = tuple(edge[0] for edge in networkx.find_cycle(graph.subgraph(order)))
                listed = [some] if sizes.imbalance(some) > _BALANCED else []
            found += listed
    found.sort(key=len)
    return list(dict.fromkeys([*_through(graph, tuple(culprit)), *found]))


def _clearest(
    hearers: Mapping[Player, Sequence[Player]], order: Mapping[Player, int], length: int, sizes: _Sizes
) -> list[Cycle]:
    """Return the cycles of one length with the clearest imbalances among those that are looked at."""
    cycles = itertools.islice(_of_length(hearers, order, length), _LOOKED_AT)
    weighed = [(sizes.imbalance(cycle), cycle) for cycle in cycles]
    kept = [(value, cycle) for value, cycle in weighed if value > _BALANCED]
    return [cycle for _, cycle in sorted(kept, key=lambda pair: -pair[0])[:MOST_CYCLES]]


def _of_length(hearers: Mapping[Player, Sequence[Player]], order: Mapping[Player, int], length: int) -> Iterator[Cycle]:
    """Yield the simple cycles of a length, each from its first player in the order, until so many steps were taken."""
    steps = 0
    for first, rank in order.items():
        paths: list[Cycle] = [(first,)]
        while paths:
            path = paths.pop()
            steps += 1
            if steps > _MOST_STEPS:
                return
            if len(path) == length:
                if first in hearers[path[-1]]:
                    yield path
                continue
            paths += [(*path, k) for k in reversed(hearers[path[-1]]) if order[k] > rank and k not in path]


def _through(graph: Any, culprit: Cycle) -> list[Cycle]:
    """Return the culprit as cycles of the graph: in both directions, or a pair's shortest way back."""
    import networkx

    if len(culprit) < 2:
        return []
    if len(culprit) == 2:
        ways = [pair for pair in (culprit, culprit[::-1]) if graph.has_edge(*pair)]
        back = [(one, other) for one, other in ways if networkx.has_path(graph, other, one)]
        return [(pair[0], *networkx.shortest_path(graph, pair[1], pair[0])[:-1]) for pair in back]
    turned = (culprit, culprit[::-1])
    return [way for way in turned if all(graph.has_edge(*step) for step in itertools.pairwise((*way, way[0])))]


class _Sizes:
    """Norms of the couplings between players, and what a cycle's couplings miss for a weighted potential."""

    def __init__(self, game: Any, coupling: Any) -> None:
        self._slices, self._coupling = game.space.slices, coupling
        self._blocks: dict[tuple[Player, Player], Any] = {}
        self._norms: dict[tuple[Player, Player], float] = {}

    def imbalance(self, cycle: Cycle) -> float:
        """Return 0 where the couplings along the cycle are known to be balanced, else a positive number.

        Of a pair: |A/|A| - C/|C|| for A = B_lk and C = B_kl'. Of a longer cycle of single numbers: the logarithm of
        the product of |B_lk| along it over that in the other direction, as far as it is positive: then some sizes of
        actions make every player hear the one before it more than the one after it. Vectors may do so in some
        directions; of them the products of norms tell only which cycles come first.
        """
        if len(cycle) == 2:
            a, c = self._block(*cycle), self._block(*cycle[::-1]).T
            if min(self._norm(*cycle), self._norm(*cycle[::-1])) == 0:
                return 0.0
            return float(np.linalg.norm(a / self._norm(*cycle) - c / self._norm(*cycle[::-1])))
        steps = list(itertools.pairwise((*cycle, cycle[0])))
        ahead, back = ([self._norm(*edge[::turn]) for edge in steps] for turn in (-1, 1))
        if min(*ahead, *back) == 0:
            return math.inf if min(ahead) > 0 else 0.0
        value = sum(math.log(a / b) for a, b in zip(ahead, back, strict=True))
        scalar = all(self._slices[p].stop - self._slices[p].start == 1 for p in cycle)
        return value if scalar else math.exp(value)

    def _block(self, target: Player, source: Player) -> Any:
        if (target, source) not in self._blocks:
            self._blocks[target, source] = self._coupling[self._slices[target]][:, self._slices[source]].toarray()
        return self._blocks[target, source]

    def _norm(self, target: Player, source: Player) -> float:
        if (target, source) not in self._norms:
            self._norms[target, source] = float(np.linalg.norm(self._block(target, source)))
        return self._norms[target, source]
