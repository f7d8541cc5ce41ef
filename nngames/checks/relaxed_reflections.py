"""Improvement cycles of several amplitudes near an equilibrium, for couplings whose signs agree but whose sizes do not.

Along directions d_l the game is, to second order, J_l = q_l t_l^2/2 - t_l sum_k a_lk t_k, and mover l improves iff it
comes closer to its best response c_l = sum_k a_lk t_k / q_l: t_l' = c_l - h (t_l - c_l) for |h| < 1; h = 1 is a
reflection, which costs nothing. A sequence of such moves is a linear map P(h); an eigenvalue 1 at some h in (-1, 1) is
a closed path of strict improvements. The reflections of a weighted potential game preserve its potential, and no such
h exists. Otherwise the products round a cycle of movers differ between its two directions, the product of all
reflections has an eigenvalue off the unit circle, and a suitable h can be sought between P(-1) = Id and P(1).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from nngames.checks.cycle_certificates import Step
from nngames.checks.feasible_profiles import into_domain
from nngames.checks.local_candidates import AMPLITUDES
from nngames.core.profiles import Array, Player
from nngames.games import Game

_GRID = np.linspace(-0.9, 0.98, 48)
_DRAWN_WORDS = 16
#: The step at which the local game is measured.
_MEASURE = 2.0**-10


def reflection_paths(
    game: Any, base: Array, movers: Sequence[Player], directions: Sequence[Array], rng: np.random.Generator
) -> Iterator[list[Step]]:
    """Yield closed paths of (mover, profile before) that improve to second order, the largest smallest gain first."""
    curvature, coupling = _local_game(game, base, movers, directions)
    if not (curvature > 0).all() or not np.isfinite(coupling).all():
        return
    best: tuple[float, list[tuple[int, Array]]] | None = None
    for word in _words(len(movers), rng):
        for found in _closed_paths(coupling / curvature[:, None], word):
            if best is None or found[0] > best[0]:
                best = found
    if best is None:
        return
    for amplitude in AMPLITUDES:
        path = []
        for i, t in best[1]:
            x = base.copy()
            for mover, direction, value in zip(movers, directions, t, strict=True):
                x[game.space.slices[mover]] += amplitude * value * direction
            path.append((movers[i], into_domain(game, x)))
        yield path


def _local_game(game: Game, base: Array, movers: Sequence[Player], directions: Sequence[Array]) -> tuple[Array, Array]:
    """Return q (m,) and a (m, m) with zero diagonal, from differences of costs around ``base``."""
    m = len(movers)
    steps = np.zeros((m, base.size))
    for i, (mover, direction) in enumerate(zip(movers, directions, strict=True)):
        steps[i, game.space.slices[mover]] = _MEASURE * direction
    curvature, coupling = np.empty(m), np.zeros((m, m))
    with np.errstate(invalid="ignore", over="ignore"):
        for i, mover in enumerate(movers):
            ahead, here, back = game.cost(mover, base + np.array([[1.0], [0.0], [-1.0]]) * steps[i])
            curvature[i] = (ahead - 2 * here + back) / _MEASURE**2
            for j in range(m):
                if j != i:
                    signs = np.array(list(itertools.product((1.0, -1.0), repeat=2)))
                    costs = game.cost(mover, base + signs[:, :1] * steps[i] + signs[:, 1:] * steps[j])
                    coupling[i, j] = -float(np.sum(signs[:, 0] * signs[:, 1] * costs)) / (4 * _MEASURE**2)
    return curvature, coupling


def _words(m: int, rng: np.random.Generator) -> Iterator[list[int]]:
    """Yield sequences of movers: round the cycle in both directions, repeatedly, and drawn ones without repeats."""
    for repeats in (1, 2, 3, 4):
        yield list(range(m)) * repeats
        yield list(range(m))[::-1] * repeats
    for _ in range(_DRAWN_WORDS):
        word = [int(rng.integers(m))]
        while len(word) < 3 * m:
            word.append(int((word[-1] + 1 + rng.integers(m - 1)) % m))
        if word[0] != word[-1] and len(set(word)) == m:
            yield word


def _closed_paths(responses: Array, word: list[int]) -> Iterator[tuple[float, list[tuple[int, Array]]]]:
    """Yield (smallest distance gained, [(mover, amplitudes before)]) for each h at which P(h) has the eigenvalue 1."""
    from scipy.optimize import brentq

    m = len(responses)

    def defect(h: float) -> float:
        return float(np.linalg.det(_product(responses, word, h) - np.eye(m)))

    values = [defect(h) for h in _GRID]
    for (low, high), (a, b) in zip(itertools.pairwise(_GRID), itertools.pairwise(values), strict=True):
        if a * b < 0:
            h = float(brentq(defect, low, high))
            t = np.linalg.svd(_product(responses, word, h) - np.eye(m))[2][-1]
            path, gained, end = [], np.inf, t
            for i in word:
                path.append((i, end))
                c = float(responses[i] @ end)
                gained = min(gained, (1 - h * h) * (end[i] - c) ** 2)
                end = end.copy()
                end[i] = c - h * (end[i] - c)
            closes = np.linalg.norm(end - t) <= 1e-6 * np.linalg.norm(t)
            if closes and gained > 1e-6:
                yield gained, _closed_exactly(path, word, t)


def _closed_exactly(path: list[tuple[int, Array]], word: list[int], start: Array) -> list[tuple[int, Array]]:
    """Return the path with each mover's amplitude after its last move replaced by its first one."""
    last = {i: k for k, i in enumerate(word)}
    result = []
    for k, (i, t) in enumerate(path):
        settled = [j for j in last if last[j] < k]
        t = t.copy()
        t[settled] = start[settled]
        result.append((i, t))
    return result


def _product(responses: Array, word: list[int], h: float) -> Array:
    product = np.eye(len(responses))
    for i in word:
        product[i] = (1 + h) * (responses[i] @ product) - h * product[i]
    return product
