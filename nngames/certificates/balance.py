"""Balance: weights c > 0 of the players with c_l A_lk = c_k C_lk for every coupling pair, or what forbids them.

Along a spanning forest each pair fixes the ratio of two weights; every other pair closes a cycle and is checked
(Kolmogorov's cycle criterion). Data are known to a relative tolerance, so each ratio is known to that tolerance over
the pair's relative size; the forest takes the best-known pairs, and a cycle forbids weights only if its product misses
1 by more than all its ratios allow. A coupling below the tolerance counts as none: weights so far apart that they
would make up for it are not considered.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nngames.certificates.coupling_pairs import CouplingPairs
from nngames.core.profiles import Array
from nngames.core.verdicts import Decision

_UNIT = 2.0**-53
_FAR = 1e290


@dataclass(frozen=True)
class Balance:
    """What was found.

    Attributes
    ----------
    decision : Decision
    mismatch : float
        The largest mismatch under the weights where PROVED; else that of the pair which decides.
    weights : list of float or Fraction, or None
        Where PROVED: 1 for the first player of each connected component.
    pair : int or None
        The pair that decides otherwise.
    cycle : tuple of int
        The players of the cycle that it closes, as indices; empty where the pair alone decides.
    """

    decision: Decision
    mismatch: float
    weights: list[Any] | None = None
    pair: int | None = None
    cycle: tuple[int, ...] = ()


def decide_mismatch(mismatch: Array, rounding: Array, tolerance: float) -> Decision:
    """Return PROVED if every mismatch is within the tolerance, REFUTED if one exceeds it ten times, else UNDECIDED."""
    if (mismatch + rounding <= tolerance).all():
        return Decision.PROVED
    return Decision.REFUTED if (mismatch - rounding > 10 * tolerance).any() else Decision.UNDECIDED


def find_weights(pairs: CouplingPairs, tolerance: float) -> Balance:
    """Find weights that balance every pair within a positive relative ``tolerance`` of the data."""
    equal = np.ones(len(pairs.players))
    unweighted = pairs.mismatch(equal)
    if decide_mismatch(unweighted, pairs.rounding, tolerance) is Decision.PROVED:
        return Balance(Decision.PROVED, float(unweighted.max(initial=0.0)), equal.tolist())
    weaker, stronger = np.minimum(pairs.forward, pairs.backward), np.maximum(pairs.forward, pairs.backward)
    both = weaker > tolerance
    ratios = pairs.ratios()
    # A ratio that floats do not hold refutes nothing.
    far = both & ~((ratios > 1 / _FAR) & (ratios < _FAR))
    both, ratios = both & ~far, np.where(far, 1.0, ratios)
    own = np.where(both, pairs.mismatch_at(ratios, np.ones_like(ratios)), np.where(stronger > tolerance, stronger, 0.0))
    own = np.where(far, 0.0, own)
    if (own - pairs.rounding > 10 * tolerance).any():
        at = int(np.argmax(own))
        return Balance(Decision.REFUTED, float(own[at]), pair=at)
    if far.any():
        return Balance(Decision.UNDECIDED, float(own.max()), pair=int(np.argmax(far)))
    forest = _Forest(pairs, ratios, both, tolerance)
    if np.abs(forest.logarithms).max() > 300:
        return Balance(Decision.UNDECIDED, float(own.max()), pair=int(np.argmax(own)))
    weights = np.exp(forest.logarithms)
    mismatch = np.where(both, pairs.mismatch(weights), own)
    decision, at = decide_mismatch(mismatch, pairs.rounding, tolerance), int(np.argmax(mismatch))
    if decision is Decision.PROVED:
        return Balance(decision, float(mismatch[at]), weights.tolist())
    # Beyond ten times the tolerance, and beyond what the data allow the ratios along the cycle.
    excess = np.where(mismatch - pairs.rounding > 10 * tolerance, forest.excess(), 0.0)
    if not (excess > 1).any():
        return Balance(Decision.UNDECIDED, float(mismatch[at]), pair=at)
    at = int(np.argmax(excess))
    return Balance(Decision.REFUTED, float(mismatch[at]), pair=at, cycle=forest.cycle(at))


class _Forest:
    """A spanning forest of the two-sided pairs, best-known ratios first, and the weights' logarithms along it."""

    def __init__(self, pairs: CouplingPairs, ratios: Array, both: NDArray[np.bool_], tolerance: float) -> None:
        from scipy import sparse
        from scipy.sparse.csgraph import minimum_spanning_tree

        n = len(pairs.players)
        self._pairs, self._chosen = pairs, np.flatnonzero(both)
        self._first, self._second = pairs.first[both], pairs.second[both]
        self._steps = np.log(ratios[both])
        forward, backward = pairs.forward[both], pairs.backward[both]
        strength = np.minimum(forward, backward)
        self._doubt = tolerance * (1 / forward + 1 / backward) + pairs.rounding[both] / strength + 4 * _UNIT
        lengths = 1 - np.log2(np.minimum(strength, 1.0))
        graph = sparse.csr_array((lengths, (self._first, self._second)), shape=(n, n))
        self._traverse(minimum_spanning_tree(graph).tocoo(), n)

    def _traverse(self, tree: Any, n: int) -> None:
        from scipy import sparse
        from scipy.sparse.csgraph import breadth_first_order, connected_components

        links = sparse.csr_array((np.ones(tree.nnz), (tree.row, tree.col)), shape=(n, n))
        count, labels = connected_components(links, directed=False)
        roots = np.full(count, -1)
        roots[labels[::-1]] = np.arange(n)[::-1]
        keys = self._first.astype(np.int64) * n + self._second
        order = np.argsort(keys)
        self.logarithms, self._reach, self._parent = np.zeros(n), np.zeros(n), np.full(n, -1)
        for root in roots[np.bincount(labels, minlength=count) > 1]:
            nodes, parents = breadth_first_order(links, root, directed=False)
            children, above = nodes[1:], parents[nodes[1:]]
            wanted = np.minimum(children, above).astype(np.int64) * n + np.maximum(children, above)
            places = order[np.searchsorted(keys, wanted, sorter=order)]
            signs = np.where(children < above, 1.0, -1.0)
            for child, parent, at, sign in zip(children.tolist(), above.tolist(), places.tolist(), signs, strict=True):
                self.logarithms[child] = self.logarithms[parent] + sign * self._steps[at]
                self._reach[child] = self._reach[parent] + self._doubt[at]
                self._parent[child] = parent

    def excess(self) -> Array:
        """Return for each pair how many times its cycle's product misses 1 beyond what the data allow."""
        gap = np.abs(self.logarithms[self._first] - self.logarithms[self._second] - self._steps)
        allowed = 1.1 * (self._reach[self._first] + self._reach[self._second] + self._doubt)
        result = np.zeros(len(self._pairs.first))
        result[self._chosen] = gap / allowed
        return result

    def cycle(self, pair: int) -> tuple[int, ...]:
        """Return the players of the cycle that a pair closes, from its first to its second player along the forest."""
        return tree_path(self._parent, int(self._pairs.first[pair]), int(self._pairs.second[pair]))


def tree_path(parent: Any, start: int, end: int) -> tuple[int, ...]:
    """Return the nodes from ``start`` to ``end`` in a forest given by each node's parent, -1 for roots."""
    up, down = _ancestors(parent, start), _ancestors(parent, end)
    common = set(down)
    meeting = next(node for node in up if node in common)
    return (*up[: up.index(meeting) + 1], *reversed(down[: down.index(meeting)]))


def _ancestors(parent: Any, node: int) -> list[int]:
    path = [node]
    while parent[path[-1]] >= 0:
        path.append(int(parent[path[-1]]))
    return path
