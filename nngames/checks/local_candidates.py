"""Where to look for improvement cycles near a profile at which no mover gains to first order, an equilibrium for
instance.

With actions x*_l + s_l e d_l, s_l in {-1, 1}, around such an x* that stands inside the domains, mover l changes its
cost by -2 e^2 s_l sum_k s_k <d_l, B_lk d_k> + O(e^3) when it takes the sign s_l: it gains if it disagrees with what it
hears. Where the movers hear each other in turn, each through a_l = <d_l, B_{l,l-1} d_{l-1}> != 0, a disagreement
travels round: with a negative product of the a_l one disagreement never stops, which needs two movers; with a positive
product two disagreements chase each other, which needs three.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from nngames.activations.foundations.domain import Simplex
from nngames.checks.feasible_profiles import into_domain
from nngames.core.profiles import Array, Player
from nngames.games import CoupledGame, Game, TrackingGame

#: Amplitudes e.
AMPLITUDES = tuple(2.0**k for k in (0, -2, 2, -4, -7, -10, -14, -18))


def local_candidates(
    game: Any, coupling: Any, base: Array, movers: Sequence[Player], rng: np.random.Generator
) -> Iterator[tuple[Array, Array]]:
    """Yield pairs of profiles (low, high) around ``base`` along directions in which the movers hear each other.

    Parameters
    ----------
    game : CoupledGame or TrackingGame
    coupling : sparse (N, N)
        The effective coupling.
    base : ndarray (N,)
    movers : sequence of players
        Each hears the one before it, the first one the last.
    rng : Generator
    """
    for directions in directions_along(game, coupling, base, movers, rng):
        for amplitude in AMPLITUDES:
            step = np.zeros_like(base)
            for mover, direction in zip(movers, directions, strict=True):
                step[game.space.slices[mover]] = amplitude * direction
            yield into_domain(game, base - step), into_domain(game, base + step)


def directions_along(
    game: Any, coupling: Any, base: Array | None, movers: Sequence[Player], rng: np.random.Generator
) -> Iterator[list[Array]]:
    """Yield unit directions of the movers, each the one in which it hears the mover before it.

    The arguments are those of ``local_candidates``; without a base, all directions of the domains count, for a
    CoupledGame.
    """
    heard = _Heard(game, coupling, base)
    if len(movers) == 2:
        yield from _opposed_pairs(heard, movers, rng)
    for first in _first_directions(heard, movers, rng):
        directions = [first]
        for previous, mover in itertools.pairwise(movers):
            directions.append(_unit(heard(mover, previous, directions[-1])))
        if all(d.any() for d in directions):
            yield directions


def _opposed_pairs(heard: _Heard, movers: Sequence[Player], rng: np.random.Generator) -> Iterator[list[Array]]:
    """Yield (d_1, d_2) with <d_1, B_12 d_2> > 0 > <d_2, B_21 d_1>.

    With f = B_12' d_1 and g = B_21 d_1, d_2 = f/|f| - g/|g| does it unless f and g have one direction.
    """
    one, two = movers
    n = heard.free(one).size
    drawn = [np.ones(n)] if n == 1 else [*rng.normal(size=(6, n)), *np.eye(n)[:3]]
    for d in drawn:
        first = _unit(heard.tangent(one, d))
        f, g = _unit(heard.adjoint(one, two, first)), _unit(heard(two, one, first))
        second = _unit(f - g)
        if np.linalg.norm(f - g) > 1e-9 and f.any() and g.any():
            yield [first, second]


def _first_directions(heard: _Heard, movers: Sequence[Player], rng: np.random.Generator) -> Iterator[Array]:
    """Yield directions d of the first mover, first those with the largest |<d, C d>|, C the product round the cycle."""
    n = heard.free(movers[0]).size
    if n == 1:
        yield heard.free(movers[0]).astype(float)
        return
    if n <= 200:
        columns = []
        for basis in np.eye(n):
            d = heard.tangent(movers[0], basis)
            for previous, mover in itertools.pairwise((*movers, movers[0])):
                d = heard(mover, previous, d)
            columns.append(d)
        product = np.array(columns) + np.array(columns).T
        if not np.isfinite(product).all():
            return
        values, vectors = np.linalg.eigh(product)
        for i in np.argsort(-np.abs(values))[:3]:
            yield _unit(heard.tangent(movers[0], vectors[:, i]))
    for d in rng.normal(size=(2, n)):
        yield _unit(heard.tangent(movers[0], d))


class _Heard:
    """What movers hear of each other near a profile, seen through the directions in which they can move both ways."""

    def __init__(self, game: Any, coupling: Any, base: Array | None) -> None:
        self._game, self._coupling = game, coupling
        self._slopes: Any = None
        self._blocks: dict[tuple[Player, Player], Any] = {}
        if isinstance(game, TrackingGame) and base is not None:
            v = game.network.joint.preactivations(base)
            parts = [
                game.network.activations[block].jvp(v[where], np.ones(where.stop - where.start))
                for block, where in game.network.space.slices.items()
            ]
            self._slopes = np.concatenate(parts)
        self._free = _free_coordinates(game, base)

    def free(self, player: Player) -> Any:
        """Return which coordinates of a player can move both ways."""
        return self._free[self._game.space.slices[player]]

    def tangent(self, player: Player, d: Array) -> Array:
        """Return the part of a direction in which the player can move both ways."""
        free = self.free(player)
        result = np.where(free, d, 0.0)
        game = self._game
        if isinstance(game, CoupledGame) and not game.neurons and free.any():
            domain = game.own[player].activation.domain
            if isinstance(domain, Simplex):
                return np.where(free, result - result[free].mean(), 0.0)
            return domain.affine_hull(d.size).project_directions(result)
        return result

    def __call__(self, target: Player, source: Player, d: Array) -> Array:
        """Return what ``target`` hears when ``source`` moves along d, as a direction of ``target``."""
        heard = self._block(target, source) @ d
        if self._slopes is not None:
            heard = heard * self._slopes[self._game.space.slices[target]]
        return self.tangent(target, heard)

    def adjoint(self, target: Player, source: Player, d: Array) -> Array:
        """Return the direction of ``source`` that ``target`` hears most along d."""
        if self._slopes is not None:
            d = d * self._slopes[self._game.space.slices[target]]
        return self.tangent(source, self._block(target, source).T @ d)

    def _block(self, target: Player, source: Player) -> Any:
        if (target, source) not in self._blocks:
            slices = self._game.space.slices
            self._blocks[target, source] = self._coupling[slices[target]][:, slices[source]]
        return self._blocks[target, source]


def _free_coordinates(game: Game, base: Array | None) -> Any:
    """Return which coordinates stand clear of the ends of their interval, or of 0 on a simplex."""
    free = np.ones(game.size, dtype=bool)
    if isinstance(game, CoupledGame) and base is not None:
        for block, where in game.blocks.slices.items():
            domain, z = game.own[block].activation.domain, base[where]
            if isinstance(domain, Simplex):
                free[where] = z > 1e-9
            elif game.own[block].activation.separable:
                low, high = (domain.project(np.full(z.size, end)) for end in (-np.inf, np.inf))
                free[where] = (z > low + 1e-9 * (1 + np.abs(z))) & (z < high - 1e-9 * (1 + np.abs(z)))
    return free


def _unit(d: Array) -> Array:
    size = float(np.linalg.norm(d))
    return d / size if size > 1e-12 else np.zeros_like(d)
