"""Closed paths on which one player improves and another is indifferent: they exclude an ordinal potential.

Let player k not hear player l, and l hear k. Let k pay the same at z and at z', whatever l does, and let l strictly
prefer p to q at z, and q to p at z'. Then (z, q), (z, p), (z', p), (z', q) and back is a closed path on which l
improves twice and k is indifferent twice. An ordinal potential falls exactly where a mover's cost falls
[monderer1996], so it is the same at both ends of k's moves and falls along l's: there is none.

k's cost is strictly convex, so that z and z' lie on both sides of its best response. Where z' is no float, k's costs at
two floats differ from that at z by opposite signs, and z' lies between them; what l gains is affine in k's action, so
that two certificates at the ends cover it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from nngames.checks.cycle_certificates import Certifier
from nngames.checks.effective_coupling import effective_coupling, listening_matrix
from nngames.checks.feasible_profiles import into_domain
from nngames.core.deadlines import TimeUpError, look
from nngames.core.errors import NNGamesError
from nngames.core.plain import plain
from nngames.core.profiles import Array, Player
from nngames.games import CoupledGame

#: How far from its best response the indifferent player goes.
DISTANCES = (1.0, 0.25, 0.0625, 2.0**-8)
#: Profiles of the others, and pairs of players, that are tried.
PROFILES = 4
MOST_PAIRS = 24


@dataclass(frozen=True, eq=False)
class Indifference:
    """A closed path of four deviations.

    Attributes
    ----------
    indifferent, improving : player
    first : ndarray (N,)
        The profile with the indifferent player's first action.
    second : pair of ndarray (N,)
        Profiles between which the one with its second action lies; equal where that is a float.
    actions : pair of ndarray (n_l,)
        What the improving player prefers at the first and at the second action.
    gains : pair of float
        Proved lower bounds of what it gains by the one and by the other change.
    """

    indifferent: Player
    improving: Player
    first: Array
    second: tuple[Array, Array]
    actions: tuple[Array, Array]
    gains: tuple[float, float]

    def to_dict(self) -> dict[str, Any]:
        """Return the path as plain data."""
        return {name: plain(value) for name, value in vars(self).items()}


@dataclass(eq=False)
class IndifferenceSearch:
    """What a search for such a path gave.

    Attributes
    ----------
    found : Indifference or None
    pairs : int
        Pairs of players, of which only one hears the other, that were tried.
    of : int
        How many there are.
    out_of_time : bool
        Whether it ended before the last pair.
    """

    found: Indifference | None = None
    pairs: int = 0
    of: int = 0
    out_of_time: bool = False


def find_indifference(
    game: Any, rng: np.random.Generator, deadline: float = np.inf, coupling: Any | None = None
) -> IndifferenceSearch:
    """Search for such a path, with every gain certified.

    Parameters
    ----------
    game : CoupledGame or TrackingGame
        One that can be certified; for the tracking cost, whose gains are not affine, nothing is tried.
    rng : Generator
    deadline : float
        A moment of time.monotonic.
    coupling : sparse (N, N), optional
        The effective coupling, where it is known already.
    """
    result = IndifferenceSearch()
    if not isinstance(game, CoupledGame):
        return result
    try:
        look(deadline)
        search = _Search(game, rng, effective_coupling(game) if coupling is None else coupling, deadline)
        pairs = _one_sided(game, search.coupling)
        result.of = len(pairs)
        profiles = search.profiles()
        for indifferent, improving in pairs[:MOST_PAIRS]:
            result.found = search.between(profiles, indifferent, improving)
            result.pairs += 1
            if result.found is not None:
                break
    except TimeUpError:
        result.out_of_time = True
    return result


def _one_sided(game: CoupledGame, coupling: Any) -> list[tuple[Player, Player]]:
    """Return the pairs of players of whom the second hears the first and not the other way round."""
    heard = listening_matrix(game, 0.0, coupling)
    heard.data[:] = 1.0
    alone = (heard - heard.multiply(heard.T)).tocoo()
    there = alone.data > 0
    places = zip(alone.row[there].tolist(), alone.col[there].tolist(), strict=True)
    return [(game.players[k], game.players[player]) for k, player in places]


class _Search:
    def __init__(self, game: CoupledGame, rng: np.random.Generator, coupling: Any, deadline: float) -> None:
        self.game, self.rng = game, rng
        self.certifier = Certifier(game, deadline)
        self.coupling = coupling

    def profiles(self) -> Array:
        """Return best responses to drawn profiles, those that are defined."""
        drawn = self.rng.normal(size=(PROFILES, self.game.size))
        drawn[0] = 0.0
        try:
            answers = self.game.best_responses(drawn)
        except NNGamesError:
            return drawn[:0]
        return into_domain(self.game, answers[np.isfinite(answers).all(axis=1)])

    def between(self, profiles: Array, indifferent: Player, improving: Player) -> Indifference | None:
        """Return a path of two players."""
        for profile in profiles:
            look(self.certifier.deadline)
            with contextlib.suppress(NNGamesError):
                for first, second in self.ties(profile, indifferent, improving):
                    found = self.changed_mind(first, second, indifferent, improving)
                    if found is not None:
                        return found
        return None

    def ties(
        self, profile: Array, indifferent: Player, improving: Player
    ) -> Iterator[tuple[Array, tuple[Array, Array]]]:
        """Yield profiles in which the indifferent player pays the same: one, and two between which the other lies."""
        slices = self.game.space.slices
        heard = self.coupling[slices[improving]][:, slices[indifferent]]
        d = heard.T @ self.rng.normal(size=heard.shape[0])
        length = float(np.linalg.norm(d))
        if length == 0:
            return  # The domain leaves the indifferent player no direction that the other one hears.
        centre = self.game.answer(indifferent, profile)
        for distance in DISTANCES:
            first = self.placed(profile, indifferent, centre + distance * d / length)
            mirrored = self.placed(profile, indifferent, 2 * centre - first[slices[indifferent]])
            tie = self.certifier.deviation(indifferent, first, mirrored)
            if tie is not None and tie.gain == 0 and (first != mirrored).any():
                yield first, (mirrored, mirrored)
            else:
                ends = self._enclosed(profile, centre, first, mirrored, indifferent)
                if ends is not None:
                    yield first, ends

    def _enclosed(
        self, profile: Array, centre: Array, first: Array, mirrored: Array, indifferent: Player
    ) -> tuple[Array, Array] | None:
        """Return two profiles from ``centre`` towards ``mirrored`` between which the cost is as in ``first``."""
        from scipy.optimize import brentq

        step = mirrored[self.game.space.slices[indifferent]] - centre

        def excess(t: float) -> float:
            there = self.placed(profile, indifferent, centre + t * step)
            return float(self.game.cost(indifferent, there) - self.game.cost(indifferent, first))

        with np.errstate(invalid="ignore", over="ignore"):
            far = next((t for t in (1.0, 2.0, 4.0) if 0 < excess(t) < np.inf), None)
            if far is None or not excess(0.0) < 0:
                return None
            t = float(brentq(excess, 0.0, far))
        near, beyond = (self.placed(profile, indifferent, centre + s * t * step) for s in (1 - 1e-6, 1 + 1e-6))
        low, high = (self.certifier.deviation(indifferent, first, x) for x in (near, beyond))
        certain = low is not None and high is not None and low.gain_bounds[0] > 0 > high.gain_bounds[1]
        return (near, beyond) if certain else None

    def changed_mind(
        self, first: Array, second: tuple[Array, Array], indifferent: Player, improving: Player
    ) -> Indifference | None:
        """Return the path if one action is certainly better in ``first``, and another in both of ``second``."""
        if self.certifier.off_domain(first):
            return None  # A third player that stands still has to stand in its domain.
        where = self.game.space.slices[improving]
        p, q = (self.placed(x, improving, self.game.answer(improving, x))[where] for x in (first, second[0]))
        gains = []
        for profile, old, new in ((first, q, p), *((x, p, q) for x in second)):
            before, after = (self.placed(profile, improving, action) for action in (old, new))
            step = self.certifier.deviation(improving, before, after)
            if step is None or not step.strict:
                return None
            gains.append(step.gain_bounds[0])
        return Indifference(indifferent, improving, first, second, (p, q), (gains[0], min(gains[1:])))

    def placed(self, profile: Array, player: Player, action: Array) -> Array:
        """Return the profile with a player's action, moved into its domain."""
        where = self.game.space.slices[player]
        changed = profile.copy()
        changed[where] = action
        changed[where] = into_domain(self.game, changed)[where]
        return changed
