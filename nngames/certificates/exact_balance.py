"""Exact balance: the weights of ``balance`` in rational arithmetic, for data that are what their floats say."""

from __future__ import annotations

from collections import deque
from fractions import Fraction
from typing import Any

from nngames.certificates.balance import Balance, tree_path
from nngames.certificates.coupling_pairs import CouplingPairs
from nngames.core.exact import fraction
from nngames.core.verdicts import Decision


def find_exact_weights(pairs: CouplingPairs) -> Balance:
    """Find weights with c_l A = c_k C for every pair, as fractions, or the pair or cycle that forbids them."""
    neighbours: dict[int, list[tuple[int, Fraction]]] = {}
    ratios: dict[int, Fraction] = {}
    for pair, (i, j) in enumerate(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True)):
        a, c = pairs.rational_entries(pair)
        if not any(a) and not any(c):
            continue
        ratio = _ratio(a, c)
        if ratio is None:
            return Balance(Decision.REFUTED, _mismatch(pairs, pair), pair=pair)
        ratios[pair] = ratio
        neighbours.setdefault(i, []).append((j, 1 / ratio))
        neighbours.setdefault(j, []).append((i, ratio))
    weights, parent = _traverse(neighbours, len(pairs.players))
    for pair, ratio in ratios.items():
        i, j = int(pairs.first[pair]), int(pairs.second[pair])
        if weights[i] != ratio * weights[j]:
            cycle = tree_path(parent, i, j)
            return Balance(Decision.REFUTED, _mismatch(pairs, pair), pair=pair, cycle=cycle)
    return Balance(Decision.PROVED, 0.0, weights)


def _ratio(a: list[Any], c: list[Any]) -> Fraction | None:
    """Return the positive c_l / c_k with c_l a = c_k c in every entry; None if there is none."""
    at = next((i for i, x in enumerate(a) if x != 0), None)
    if at is None:
        return None
    ratio = c[at] / a[at]
    if not ratio > 0 or any(x * ratio != y for x, y in zip(a, c, strict=True)):
        return None
    return fraction(ratio)


def _traverse(neighbours: dict[int, list[tuple[int, Fraction]]], n: int) -> tuple[list[Any], list[int]]:
    """Follow the ratios breadth first from the first player of each component."""
    weights: list[Any] = [None] * n
    parent = [-1] * n
    for root in range(n):
        if weights[root] is not None:
            continue
        weights[root] = Fraction(1)
        queue = deque([root])
        while queue:
            node = queue.popleft()
            for other, ratio in neighbours.get(node, ()):
                if weights[other] is None:
                    weights[other], parent[other] = weights[node] * ratio, node
                    queue.append(other)
    return weights, parent


def _mismatch(pairs: CouplingPairs, pair: int) -> float:
    return pairs.own_mismatch(pair, pairs.ratio(pair), 1.0)
