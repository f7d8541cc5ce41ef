"""Numbers, actions, profiles and gains in few characters, for tables and pictures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nngames.core.profiles import Player, ProfileSpace
from nngames.results.cycle import Cycle, Deviation

Array = NDArray[np.floating[Any]]

#: Exact fractions up to this many characters are shown as they are.
FRACTION_CHARACTERS = 15
#: Entries of a vector that are shown; of a longer one the first two and the last.
SHOWN_ENTRIES = 3


def number_words(value: float, digits: int = 4) -> str:
    """Return a number with few digits: whole numbers as such, ``-`` for one that is not known."""
    if math.isnan(value):
        return "-"
    if math.isfinite(value) and value == int(value) and abs(value) < 1e6:
        return str(int(value))
    return f"{value:.{digits}g}"


def small_words(value: float) -> str:
    """Return a residual or gap, ``-`` where it is not known, with two digits."""
    if math.isnan(value):
        return "-"
    return "0" if value == 0 else "inf" if math.isinf(value) else f"{value:.1e}"


def seconds_words(seconds: float) -> str:
    """Return a duration in a fitting unit."""
    if seconds < 1e-3:
        return f"{seconds * 1e6:.0f} us"
    return f"{seconds * 1e3:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"


def action_words(action: Array, digits: int = 4, whole: bool = False) -> str:
    """Return an action: a number, or a vector with its middle left out where it is long and not asked for whole."""
    values = [number_words(float(value), digits) for value in np.ravel(action)]
    if len(values) == 1:
        return values[0]
    if len(values) > SHOWN_ENTRIES + 1 and not whole:
        values = [*values[: SHOWN_ENTRIES - 1], "...", values[-1]]
    return f"({', '.join(values)})"


def profile_words(space: ProfileSpace, profile: Array, players: Sequence[Player], digits: int = 4) -> str:
    """Return the actions of some players."""
    actions = space.actions(profile)
    return f"({', '.join(action_words(actions[player], digits) for player in players)})"


def player_words(player: Player) -> str:
    """Return a player's name; a number is introduced as one."""
    name = str(player)
    return f"player {name}" if name[:1].isdigit() else name


def movers(cycle: Cycle, space: ProfileSpace) -> tuple[Player, ...]:
    """Return the players that move in a cycle, in the order of a profile."""
    moving = {step.mover for step in cycle.deviations}
    return tuple(player for player in space.players if player in moving)


def gain_words(step: Deviation, digits: int = 6) -> str:
    """Return a mover's gain: exactly where that is short, else to some digits; where it is enclosed, its lower end."""
    if step.gain is not None:
        exact = str(step.gain)
        return exact if len(exact) <= FRACTION_CHARACTERS else f"{float(step.gain):.{digits}g}"
    low, high = step.gain_bounds
    same = f"{low:.{digits}g}" == f"{high:.{digits}g}"
    return f"{low:.{digits}g}" if same else f"at least {_rounded_down(low):.4g}"


def _rounded_down(value: float) -> float:
    """Return the largest number of four digits that is not above a positive value."""
    if value <= 0:
        return value
    shown = float(f"{value:.4g}")
    return shown if shown <= value else float(f"{value - 10.0 ** (math.floor(math.log10(value)) - 3) / 2:.4g}")
