"""The second route to an equilibrium: what players can still gain, by minimising their costs directly."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Any

import numpy as np

from nngames.core.deadlines import TimeUpError
from nngames.core.errors import NotApplicableError
from nngames.core.plain import plain
from nngames.core.profiles import Array, Player
from nngames.games import CoupledGame
from nngames.games.oracles import minimise_cost

#: The accuracy of the oracles' costs, relative to max(1, |cost|), with a margin.
ACCURACY = 1e-7
#: So much of |x|^2 the squares in a cost lose by rounding, as a share of ``ACCURACY``.
_ROUNDING = 64 * float(np.finfo(np.float64).eps) / ACCURACY
#: With more players than this, so many are drawn.
MOST_PLAYERS = 40


@dataclass(frozen=True)
class Improvement:
    """The largest improvement that the second route finds at a profile.

    Attributes
    ----------
    value : float
        The largest decrease of a player's cost, relative to max(1, |cost|), or to what rounding makes of |x|^2 if that
        is more; negative within ``ACCURACY`` where the oracle comes close to the player's cost from above.
    player : player
        Whose it is.
    tested, players : int
        How many players were tested, and how many there are.
    late : bool
        Whether the time was up before more were tested.
    """

    value: float
    player: Player
    tested: int
    players: int
    late: bool = False

    @property
    def consistent(self) -> bool:
        """Whether the profile is an equilibrium as far as the oracles can tell."""
        return abs(self.value) <= ACCURACY

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as plain data."""
        return {name: plain(value) for name, value in vars(self).items()}


def largest_improvement(
    game: Any, profile: Array, rng: np.random.Generator, deadline: float = inf
) -> Improvement | None:
    """Return what a player can gain at the profile by the second route; None where there is no such route.

    Actions that leave the domain of their penalty by rounding are projected on it first. At the deadline, a moment of
    time.monotonic, it returns what it has found.

    Raises
    ------
    TimeUpError
        If the deadline comes before any player is tested.
    """
    x = profile.copy()
    if isinstance(game, CoupledGame):
        for block, where in game.blocks.slices.items():
            x[where] = game.own[block].activation.domain.project(x[where])
    players = list(game.players)
    if len(players) > MOST_PLAYERS:
        players = [players[i] for i in sorted(rng.choice(len(players), MOST_PLAYERS, replace=False))]
    with np.errstate(over="ignore"):
        rounded = _ROUNDING * float(x @ x)
    worst: tuple[float, Player] | None = None
    tested, late = 0, False
    for player in players:
        cost = float(game.cost(player, x))
        try:
            _, least = minimise_cost(game, player, x, deadline=deadline)
        except NotApplicableError:
            return None
        except TimeUpError:
            if tested == 0:
                raise
            late = True
            break
        with np.errstate(invalid="ignore"):
            gain = float(np.float64(cost - least) / max(1.0, abs(cost), rounded))
        if np.isnan(gain):
            # Costs beyond the floats are not compared.
            continue
        tested += 1
        if worst is None or abs(gain) > abs(worst[0]):
            worst = gain, player
    return None if worst is None else Improvement(*worst, tested, len(game.players), late)
