"""Where to look for improvement cycles far from equilibria, where nothing is proved in advance: pairs of profiles."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from nngames.checks.feasible_profiles import into_domain
from nngames.core.deadlines import look
from nngames.core.profiles import Array, Player

#: Scales of the profiles.
SCALES = (1.0, 10.0, 100.0)
# Steps t of the first mover of forward candidates.
_STEPS = np.concatenate([-np.geomspace(0.02, 6.0, 40)[::-1], np.geomspace(0.02, 6.0, 40)])


def far_candidates(game: Any, rng: np.random.Generator, drawn: int) -> Iterator[tuple[Array, Array]]:
    """Yield pairs of profiles on several scales: zeros and ones, signs; or, if any are drawn, only drawn ones."""
    one, zero = np.ones(game.size), np.zeros(game.size)
    for scale in () if drawn else SCALES:
        yield into_domain(game, zero), into_domain(game, scale * one)
        yield into_domain(game, -scale * one), into_domain(game, scale * one)
    for scale in itertools.islice(itertools.cycle(SCALES), drawn):
        pair = scale * rng.normal(size=(2, game.size))
        for low, high in (pair, game.best_responses(pair)):
            if np.isfinite(low).all() and np.isfinite(high).all():
                yield into_domain(game, low), into_domain(game, high)


def forward_candidates(
    game: Any, movers: Sequence[Player], rng: np.random.Generator, drawn: int, deadline: float = math.inf
) -> Iterator[tuple[Array, Array]]:
    """Yield pairs of profiles in which every mover but the first answers the one before it.

    The first mover has the actions p and q = p + t d, the next one its best responses to them, and so on round the
    cycle: each but the first strictly prefers the action that goes with what it hears, wherever they differ. The first
    does too, or always the other one, iff its preference between p and q changes with what it hears last: t is sought
    for that. After the ``deadline``, a moment of time.monotonic, TimeUpError is raised.
    """
    where = game.space.slices[movers[0]]
    n = where.stop - where.start
    for scale in itertools.islice(itertools.cycle(SCALES), drawn):
        answers = game.best_responses(scale * rng.normal(size=game.size))
        if not np.isfinite(answers).all():
            continue
        low = into_domain(game, answers)
        d = rng.normal(size=n) if rng.random() < 0.5 else np.eye(n)[rng.integers(n)]
        high = np.repeat(low[None, :], len(_STEPS), axis=0)
        high[:, where] += scale * np.outer(_STEPS, d / np.linalg.norm(d))
        high = into_domain(game, high)
        for mover in movers[1:]:
            look(deadline)
            place = game.space.slices[mover]
            low[place] = game.answer(mover, low)
            high[:, place] = game.answer(mover, high)
        high = high[np.isfinite(high).all(axis=1)]
        if len(high) and np.isfinite(low).all():
            yield from _changed_minds(game, movers[0], low, high)


def _changed_minds(game: Any, first: Player, low: Array, high: Array) -> Iterator[tuple[Array, Array]]:
    """Yield the pairs in which what the first mover hears changes its preference, the clearest ones first."""
    where = game.space.slices[first]
    lows = np.repeat(low[None, :], len(high), axis=0)
    mixed, other = lows.copy(), high.copy()
    mixed[:, where], other[:, where] = high[:, where], low[where]
    with np.errstate(invalid="ignore", over="ignore"):
        before = game.cost(first, mixed) - game.cost(first, lows)
        after = game.cost(first, high) - game.cost(first, other)
        clear = np.where(before * after < 0, np.minimum(np.abs(before), np.abs(after)), 0.0)
    for i in np.argsort(-clear)[:2]:
        if clear[i] > 0:
            yield into_domain(game, low), into_domain(game, high[i])
