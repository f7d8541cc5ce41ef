"""The maximum pairwise difference between a game and potential games: how far unilateral cost changes are apart."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from nngames.activations.foundations.domain import BoxDomain, Interval, Simplex
from nngames.checks.check import require_game
from nngames.checks.effective_coupling import effective_coupling
from nngames.checks.potential_distances import require_bilinear
from nngames.core.errors import InputError, NotApplicableError
from nngames.core.plain import plain
from nngames.core.profiles import Array, Player
from nngames.games import CoupledGame, Game

#: Up to this many entries of an action the largest value over a box is found exactly, over all signs.
MOST_ENTRIES = 12


@dataclass(frozen=True)
class PairwiseDifference:
    """The maximum pairwise difference on a box, up to rounding.

    Attributes
    ----------
    nearest : pair of float
        Lower and upper bound of the maximum pairwise difference to the nearest exact potential game in least squares;
        equal where actions have at most 12 entries.
    least : float
        No exact potential game has a smaller one.
    player : player
        Whose cost changes differ most.
    """

    nearest: tuple[float, float]
    least: float
    player: Player

    def to_dict(self) -> dict[str, Any]:
        """Return the bounds as plain data."""
        return {name: plain(value) for name, value in vars(self).items()}


def maximum_pairwise_difference(game: Game, box: Any = None) -> PairwiseDifference:
    """Return the maximum pairwise difference of a game to exact potential games, with actions in a box.

    It is the largest |Delta J_l - Delta J'_l| over the players l, all actions of the others and all changes of l's
    action in the box [candogan2013]. An equilibrium of a game at a difference d is a d-equilibrium of the other one.

    Parameters
    ----------
    game : Game
        Of a network with the proximal cost, or quadratic; its domains products of intervals or simplices.
    box : pair (low, high), or mapping player -> such a pair, optional
        Numbers or arrays. Intervals are cut to it; a simplex is taken whole. Needed where a domain is unbounded.

    Returns
    -------
    PairwiseDifference

    Raises
    ------
    NotApplicableError
        If the costs are not bilinear in what the players hear, or a domain is neither a product of intervals nor a
        simplex.
    InputError
        If the box is no pair of ends, does not meet a domain, or is needed and not given.

    Notes
    -----
    With A = (B - B')/2, B the effective coupling, and m_k the middle of player k's actions, the game with
    u_l(x) - sum_k A_lk (x_k - m_k) in place of u_l is the exact potential game whose coupling is nearest to B, with the
    linear terms that change nothing at the middle profile. Its difference is the largest <d, sum_k A_lk (x_k - m_k)>, d
    a difference of two of l's actions: over d the largest value of a convex function, at a vertex, and over each x_k a
    support function. The cost changes of an exact potential game sum to 0 along closed paths of four steps, those of
    this one to 2 <d_l, A_lk d_k>: one of the four differs by at least half of <d_l, A_lk d_k>. With two players on
    boxes both bounds are equal.
    """
    coupled = require_bilinear(require_game(game), "maximum_pairwise_difference")
    coupling = effective_coupling(coupled)
    odd = (coupling - coupling.T) / 2
    ranges = _ranges(coupled, box)
    heard: dict[Player, list[tuple[_Range, Array]]] = {player: [] for player in coupled.players}
    owner = np.repeat(np.arange(len(coupled.players)), list(coupled.dims.values()))
    entries = odd.tocoo()
    for i, k in sorted(set(zip(owner[entries.row].tolist(), owner[entries.col].tolist(), strict=True))):
        one, two = coupled.players[i], coupled.players[k]
        block = odd[coupled.space.slices[one]][:, coupled.space.slices[two]].toarray()
        heard[one].append((ranges[two], block))
    bounds = {player: _largest(ranges[player], heard[player]) for player in coupled.players}
    most = max(bounds, key=lambda player: bounds[player][1])
    nearest = max(low for low, _ in bounds.values()), bounds[most][1]
    least = max((_four_steps(ranges[p], *pair) for p, pairs in heard.items() for pair in pairs), default=0.0)
    return PairwiseDifference(nearest, least, most)


@dataclass(frozen=True, eq=False)
class _Range:
    """A player's actions: the box around ``middle`` with half widths ``half``, or the simplex of a ``total``."""

    size: int
    half: Array | None
    total: float = 0.0

    def changes(self) -> Iterator[Array]:
        """Yield the vertices of the set of differences of two actions, one of each pair d, -d."""
        if self.half is None:
            for i, k in itertools.combinations(range(self.size), 2):
                yield self.total * (np.eye(self.size)[i] - np.eye(self.size)[k])
            return
        for signs in itertools.product((1.0, -1.0), repeat=self.size - 1):
            yield 2 * self.half * np.array([1.0, *signs])

    def support(self, g: Array) -> float:
        """Return max <g, x - m> over the actions x."""
        if self.half is None:
            return self.total * float(max(g.max() - g.mean(), 0.0))
        return float(np.sum(self.half * np.abs(g)))

    def width(self, g: Array) -> float:
        """Return max <g, d> over differences d of actions."""
        return self.total * float(np.ptp(g)) if self.half is None else 2 * self.support(g)


def _largest(own: _Range, heard: list[tuple[_Range, Array]]) -> tuple[float, float]:
    """Return bounds of the largest sum of supports over the changes of one's own action."""

    def value(d: Array) -> float:
        # A simplex is not symmetric about its middle: d and -d differ.
        return max(sum(other.support(block.T @ (sign * d)) for other, block in heard) for sign in (1.0, -1.0))

    if not heard:
        return 0.0, 0.0
    if own.half is None or own.size <= MOST_ENTRIES:
        exact = max((value(d) for d in own.changes()), default=0.0)
        return exact, exact
    # Each entry alone at its largest from above; from below, signs that no single change improves.
    above = sum(value(2 * own.half * unit) for unit in np.eye(own.size))
    signs = np.ones(own.size)
    below = value(2 * own.half * signs)
    improved = True
    while improved:
        improved = False
        for i in range(own.size):
            signs[i] = -signs[i]
            changed = value(2 * own.half * signs)
            if changed > below * (1 + 1e-12):
                below, improved = changed, True
            else:
                signs[i] = -signs[i]
    return below, above


def _four_steps(own: _Range, other: _Range, block: Array) -> float:
    """Return half of the largest <d_l, A_lk d_k>, or a lower bound of it where there are many entries."""
    if own.half is None or own.size <= MOST_ENTRIES:
        return max((other.width(block.T @ d) for d in own.changes()), default=0.0) / 2
    leading = np.linalg.svd(block)[0][:, 0]
    return other.width(block.T @ (2 * own.half * np.where(leading >= 0, 1.0, -1.0))) / 2


def _ranges(game: CoupledGame, box: Any) -> dict[Player, _Range]:
    result = {}
    for player, where in game.space.slices.items():
        block, coordinate = game.block_of(player)
        domain = game.own[block].activation.domain
        size = where.stop - where.start
        if isinstance(domain, Simplex):
            result[player] = _Range(size, None, domain.total)
            continue
        if not isinstance(domain, Interval | BoxDomain):
            raise NotApplicableError(
                f"maximum_pairwise_difference takes products of intervals and simplices as domains; the domain of "
                f"player {player} is {domain}"
            )
        whole = game.blocks.slices[block]
        ends = [domain.project(np.full(whole.stop - whole.start, end)) for end in (-np.inf, np.inf)]
        low, high = (end if coordinate is None else end[coordinate : coordinate + 1] for end in ends)
        given = _given(box, player, size)
        low, high = np.maximum(low, given[0]), np.minimum(high, given[1])
        if not np.isfinite(low).all() or not np.isfinite(high).all():
            raise InputError(
                f"the actions of player {player} have no bound: give box=(low, high), "
                "or a mapping player -> (low, high)"
            )
        if not (low <= high).all():
            raise InputError(f"the box does not meet the domain of player {player}, {domain}")
        result[player] = _Range(size, (high - low) / 2)
    return result


def _given(box: Any, player: Player, size: int) -> tuple[Array, Array]:
    pair = box.get(player) if isinstance(box, Mapping) else box
    if pair is None:
        return np.full(size, -np.inf), np.full(size, np.inf)
    try:
        low, high = (np.broadcast_to(np.asarray(end, dtype=float), size) for end in pair)
    except (TypeError, ValueError):
        raise InputError(
            f"the box of player {player} must be a pair (low, high) of numbers or of {size} numbers; got {pair!r}"
        ) from None
    if np.isnan(low).any() or np.isnan(high).any():
        raise InputError(f"the box of player {player} holds NaN")
    return low, high
