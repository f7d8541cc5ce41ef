"""Closed paths of best responses proved to exist by ball arithmetic, where their profiles are no floats.

If every player's best responses, one after the other in some order, map a box of profiles into itself, then by
Brouwer's theorem some profile of the box comes back: a closed path of best responses runs through it. Where the balls
of one mover before and after its move are disjoint, that move changes its action, and since best responses are unique
it strictly gains.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nngames.checks.cycle_certificates import Certifier
from nngames.core.deadlines import TimeUpError, look
from nngames.core.errors import NNGamesError
from nngames.core.exact import rational
from nngames.core.plain import plain
from nngames.core.profiles import Array, Player
from nngames.games import Game

#: With more players nothing is tried.
MOST_PLAYERS = 40
#: Starts, sweeps from each before a recurrence is looked for, and the longest recurrence in sweeps.
MOST_STARTS = 64
SWEEPS = 60
_LONGEST = 4
_INFLATIONS = 8
_FARTHEST = 1e9


@dataclass(frozen=True, eq=False)
class EnclosedPath:
    """A box that a sequence of best responses maps into itself.

    Attributes
    ----------
    order : sequence of players
        The movers, one after the other.
    centre, radius : ndarray (N,)
        The box of profiles before the first move.
    mover : player
    before, after : ndarray (n_l,)
        Centres of the actions of one mover whose balls before and after its move are disjoint.
    """

    order: Sequence[Player]
    centre: Array
    radius: Array
    mover: Player
    before: Array
    after: Array

    def to_dict(self) -> dict[str, Any]:
        """Return the box and the order as plain data."""
        return {name: plain(value) for name, value in vars(self).items()}


@dataclass(frozen=True, eq=False)
class EnclosedSearch:
    """What a search for such a path gave.

    Attributes
    ----------
    found : EnclosedPath or None
    starts, orders : int
        Profiles from which the players answered in turn, in so many orders.
    out_of_time : bool
        Whether it ended before the last order.
    """

    found: EnclosedPath | None
    starts: int = 0
    orders: int = 0
    out_of_time: bool = False


def enclosed_path(
    certifier: Certifier, equilibria: Sequence[Array], rng: np.random.Generator, deadline: float = np.inf
) -> EnclosedSearch:
    """Search for a closed path of best responses and prove it by an enclosure.

    Parameters
    ----------
    certifier : Certifier
    equilibria : sequence of ndarray (N,)
        Profiles whose actions are mixed to start from: on a ring, mixing two equilibria starts such a path.
    rng : Generator
    deadline : float
        A moment of time.monotonic.
    """
    game = certifier.game
    if not can_enclose(certifier):
        return EnclosedSearch(None)
    starts = _starts(game, equilibria, rng)
    players = list(game.players)
    shuffled = [players[i] for i in rng.permutation(len(players))]
    followed = 0
    try:
        for order in (players, players[::-1], shuffled):
            for start, sweeps in _recurrent(game, starts, order, deadline):
                look(deadline)
                found = _enclose(certifier, start, order * sweeps)
                if found is not None:
                    return EnclosedSearch(found, len(starts), followed + 1)
            followed += 1
    except TimeUpError:
        return EnclosedSearch(None, len(starts), followed, True)
    return EnclosedSearch(None, len(starts), followed)


def can_enclose(certifier: Certifier) -> bool:
    """Return whether the search is made at all."""
    game = certifier.game
    if len(game.players) > MOST_PLAYERS or not certifier.encloses_responses:
        return False
    # Brouwer's theorem needs continuous responses, and the search some that are defined wherever it looks.
    return all(a.continuous and a.defined_everywhere for a in game.network.activations.values())


def _starts(game: Game, equilibria: Sequence[Array], rng: np.random.Generator) -> Array:
    """Return mixtures of equilibria by player, and drawn profiles."""
    result = [scale * rng.normal(size=game.size) for scale in (1.0, 3.0) for _ in range(8)]
    sizes = list(game.dims.values())
    for low, high in itertools.combinations(equilibria[:4], 2):
        if len(sizes) <= 6:
            masks = np.array(list(itertools.product((False, True), repeat=len(sizes))))[1:-1]
        else:
            masks = rng.random((16, len(sizes))) < 0.5
        result += [np.where(np.repeat(mask, sizes), high, low) for mask in masks]
    return np.array(result[:MOST_STARTS])


def _recurrent(game: Game, starts: Array, order: Sequence[Player], deadline: float) -> list[tuple[Array, int]]:
    """Return profiles that come back after some sweeps, though the sweeps change them, with the number of sweeps."""
    x = starts.copy()
    with np.errstate(all="ignore"):
        for _ in range(SWEEPS):
            look(deadline)
            moves = _sweep(game, x, order)
            # What runs away does not come back, and far out a response may fail; what stands still stays.
            x = x[(np.abs(x) <= _FARTHEST).all(axis=1) & (moves > 1e-12)]
            if not x.size:
                return []
        first, y = x.copy(), x.copy()
        moved = np.zeros(len(x))
        found: list[tuple[Array, int]] = []
        for sweeps in range(1, _LONGEST + 1):
            look(deadline)
            moved = np.maximum(moved, _sweep(game, y, order))
            scale = np.maximum(1.0, np.linalg.norm(first, axis=1))
            back = np.linalg.norm(y - first, axis=1) <= 1e-9 * scale
            found += [(first[i], sweeps) for i in np.flatnonzero(back & (moved > 1e-4 * scale))]
    return found[:4]


def _sweep(game: Game, x: Array, order: Sequence[Player]) -> Array:
    """Let the players answer in turn, in place; return each row's largest move."""
    largest = np.zeros(len(x))
    for player in order:
        where = game.space.slices[player]
        answer = game.answer(player, x)
        largest = np.maximum(largest, np.abs(answer - x[:, where]).max(axis=1, initial=0.0))
        x[:, where] = answer
    return largest


def _enclose(certifier: Certifier, start: Array, order: Sequence[Player]) -> EnclosedPath | None:
    """Inflate a box around ``start`` until the best responses map it into itself."""
    from flint import arb, ctx

    radius = np.full(start.size, 1e-10)
    with ctx.workprec(128):
        for _ in range(_INFLATIONS):
            box = [arb(rational(c), rational(r)) for c, r in zip(start.tolist(), radius.tolist(), strict=True)]
            try:
                image, strict = _follow(certifier, box, order)
            except NNGamesError:
                return None
            if image is None or not all(t.is_finite() for t in image):
                return None
            if strict is not None and all(b.contains_interior(t) for b, t in zip(box, image, strict=True)):
                return EnclosedPath(tuple(order), start, radius, *strict)
            reach = [float((t - rational(c)).abs_upper()) for t, c in zip(image, start.tolist(), strict=True)]
            radius = 1.5 * np.array(reach) + 1e-14
            if not (radius < 1e-2).all():
                return None
    return None


def _follow(certifier: Certifier, box: list[Any], order: Sequence[Player]) -> tuple[list[Any] | None, Any]:
    """Return the image of a box, and a move (mover, before, after) that certainly changes its mover's action."""
    from flint import arb

    x, strict = list(box), None
    for player in order:
        where = certifier.game.space.slices[player]
        response = certifier.enclosed_response(player, x) if all(t.is_finite() for t in x) else None
        if response is None:
            return None, None
        # Who listens to nobody answers with exact rationals.
        answer = [arb(t) for t in response]
        if strict is None and any(not old.overlaps(new) for old, new in zip(x[where], answer, strict=True)):
            strict = (player, _centres(x[where]), _centres(answer))
        x[where] = answer
    return x, strict


def _centres(balls: Sequence[Any]) -> Array:
    return np.array([float(t.mid()) for t in balls])
