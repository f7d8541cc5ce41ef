"""Improvement cycles of several amplitudes near an equilibrium, for couplings whose signs agree but whose sizes do not.

Along directions d_l the game is, to second order, J_l = q_l t_l^2/2 - t_l sum_k a_lk t_k, and mover l improves iff it
comes closer to its best response c_l = sum_k a_lk t_k / q_l: t_l' = c_l - h (t_l - c_l) for |h| < 1; h = 1 is a
reflection, which costs nothing. A sequence of such moves is a linear map P(h); an eigenvalue 1 at some h in (-1, 1) is
a closed path of strict improvements. The reflections of a weighted potential game preserve its potential, and no such
h exists. Otherwise the products round a cycle of movers differ between its two directions, the product of all
reflections has an eigenvalue off the unit circle, and a suitable h can be sought between P(-1) = Id and P(1).

k reflections of R^m that preserve a quadratic form have the determinant (-1)^k, and with it the eigenvalue 1 if k - m
is odd. In a game close to a potential one that eigenvalue is close to 1, above it for a word or for its reverse, and an
h close to 1 brings it down to 1: words of such lengths are tried in both directions, and such values of h.
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
from nngames.games import CoupledGame, Game

_GRID = np.concatenate([np.linspace(-0.9, 0.98, 48), 1 - np.geomspace(1e-2, 1e-10, 17)])
_DRAWN_WORDS = 64
_MOST_PATHS = 8
#: The step at which curvatures are measured, and the weights of costs at multiples of it.
_MEASURE = 2.0**-7
_SECOND = np.array([1 / 90, -3 / 20, 3 / 2, -49 / 18, 3 / 2, -3 / 20, 1 / 90])
#: A path that gains less is rounding.
_LEAST = 1e-10
#: More amplitudes: what is left of an improvement in a game close to a potential one is small.
_SMALL = tuple(2.0**k for k in (-22, -26))


def reflection_paths(
    game: Any,
    coupling: Any,
    base: Array,
    movers: Sequence[Player],
    directions: Sequence[Array],
    rng: np.random.Generator,
) -> Iterator[list[Step]]:
    """Yield closed paths of (mover, profile before) that improve to second order, the shortest ones first."""
    curvature, coupling = _local_game(game, coupling, base, movers, directions)
    if not (curvature > 0).all() or not np.isfinite(coupling).all():
        return
    found = [path for word in _words(len(movers), rng) for path in _closed_paths(coupling / curvature[:, None], word)]
    found.sort(key=lambda path: (len(path[1]), -path[0]))
    for (_, local), amplitude in itertools.product(found[:_MOST_PATHS], (*AMPLITUDES, *_SMALL)):
        path = []
        for i, t in local:
            x = base.copy()
            for mover, direction, value in zip(movers, directions, t, strict=True):
                x[game.space.slices[mover]] += amplitude * value * direction
            path.append((movers[i], into_domain(game, x)))
        yield path


def _local_game(
    game: Game, coupling: Any, base: Array, movers: Sequence[Player], directions: Sequence[Array]
) -> tuple[Array, Array]:
    """Return q (m,) and a (m, m) with zero diagonal: curvatures from differences of costs around ``base``."""
    m = len(movers)
    steps = np.zeros((m, base.size))
    for i, (mover, direction) in enumerate(zip(movers, directions, strict=True)):
        steps[i, game.space.slices[mover]] = _MEASURE * direction
    curvature = np.empty(m)
    with np.errstate(invalid="ignore", over="ignore"):
        for i, mover in enumerate(movers):
            costs = game.cost(mover, base + np.arange(-3.0, 4.0)[:, None] * steps[i])
            curvature[i] = float(_SECOND @ costs) / _MEASURE**2
    if isinstance(game, CoupledGame):
        between = (steps @ (coupling @ steps.T)) / _MEASURE**2
        np.fill_diagonal(between, 0.0)
        return curvature, between
    return curvature, _measured_coupling(game, base, movers, steps)


def _measured_coupling(game: Game, base: Array, movers: Sequence[Player], steps: Array) -> Array:
    """Return a (m, m) from differences of costs."""
    m = len(movers)
    coupling = np.zeros((m, m))
    signs = np.array(list(itertools.product((1.0, -1.0), repeat=2)))
    with np.errstate(invalid="ignore", over="ignore"):
        for i, j in itertools.permutations(range(m), 2):
            costs = game.cost(movers[i], base + signs[:, :1] * steps[i] + signs[:, 1:] * steps[j])
            coupling[i, j] = -float(np.sum(signs[:, 0] * signs[:, 1] * costs)) / (4 * _MEASURE**2)
    return coupling


def _words(m: int, rng: np.random.Generator) -> Iterator[list[int]]:
    """Yield sequences of movers: round the cycle in both directions, repeatedly, and drawn ones without repeats."""
    for repeats in (1, 2, 3, 4):
        yield list(range(m)) * repeats
        yield list(range(m))[::-1] * repeats
    for number in range(_DRAWN_WORDS):
        length = 3 * m if number % 5 == 0 else m + 1 + 2 * (number % 4)
        word = [int(rng.integers(m))]
        while len(word) < length:
            word.append(int((word[-1] + 1 + rng.integers(m - 1)) % m))
        if word[0] != word[-1] and len(set(word)) == m:
            yield word
            yield word[::-1]


def _closed_paths(responses: Array, word: list[int]) -> Iterator[tuple[float, list[tuple[int, Array]]]]:
    """Yield (smallest distance gained, [(mover, amplitudes before)]) for each h at which P(h) has the eigenvalue 1."""
    from scipy.optimize import brentq

    m = len(responses)

    def defect(h: float) -> float:
        return float(np.linalg.det(_products(responses, word, np.array([h]))[0] - np.eye(m)))

    values = np.linalg.det(_products(responses, word, _GRID) - np.eye(m))
    for (low, high), (a, b) in zip(itertools.pairwise(_GRID), itertools.pairwise(values), strict=True):
        if a * b < 0:
            h = float(brentq(defect, low, high))
            t = np.linalg.svd(_products(responses, word, np.array([h]))[0] - np.eye(m))[2][-1]
            path, gained, end = [], np.inf, t
            for i in word:
                path.append((i, end))
                c = float(responses[i] @ end)
                gained = min(gained, (1 - h * h) * (end[i] - c) ** 2)
                end = end.copy()
                end[i] = c - h * (end[i] - c)
            closes = np.linalg.norm(end - t) <= 1e-6 * np.linalg.norm(t)
            if closes and gained > _LEAST:
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


def _products(responses: Array, word: list[int], h: Array) -> Array:
    """Return P(h) for each h, (k, m, m)."""
    product = np.repeat(np.eye(len(responses))[None], len(h), axis=0)
    h = h[:, None]
    for i in word:
        product[:, i] = (1 + h) * (responses[i] @ product) - h * product[:, i]
    return product
