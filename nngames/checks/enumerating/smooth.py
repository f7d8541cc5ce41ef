"""All equilibria of games with separable responses, smooth or mixed: interval branch and prune over a proved box."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from nngames.certificates.response_boxes import mapped_box
from nngames.checks.existing.equation import EquilibriumEquation, equation_reason
from nngames.checks.existing.roots import RootSearch, search_roots
from nngames.core.errors import NotApplicableError, check_positive
from nngames.core.profiles import Array
from nngames.core.verdicts import Decision, Verdict
from nngames.games import Game
from nngames.results.equilibria import EquilibriumSet

_METHOD = "interval branch and prune with Krawczyk tests over a box that holds every equilibrium"

#: So many coordinates of a box are all printed.
_SHOWN = 8


def smooth_reason(game: Any) -> str | None:
    """Return why the equilibria of a game cannot be enumerated by intervals; None if they can."""
    reason = equation_reason(game)
    if reason is not None:
        return reason
    for player, activation in game.network.activations.items():
        if not (activation.separable and activation.defined_everywhere):
            return f"the response of {player}, {activation.name!r}, couples coordinates or is not defined everywhere"
    return None


def smooth_equilibria(game: Game, max_seconds: float = 60.0) -> EquilibriumSet:
    """Return all equilibria, each proved to be the only one near its point, with the proved count.

    Parameters
    ----------
    game : Game
        With linear couplings and separable responses. About 6 coordinates that act on each other are workable.
    max_seconds : float
        The search stops there.

    Returns
    -------
    EquilibriumSet
        ``complete`` is PROVED where the search ended and left nothing open. Multiple equilibria and continua stay open:
        it is UNDECIDED then, and ``unresolved`` has the boxes they are in. ``radii`` bounds how far each point is from
        its equilibrium.

    Raises
    ------
    NotApplicableError
        If a coupling is not linear, responses couple coordinates, or no box that holds every equilibrium is known.

    Notes
    -----
    [krawczyk1969] [neumaier1990, ch. 5]
    """
    check_positive("max_seconds", max_seconds)
    reason = smooth_reason(game)
    if reason is not None:
        raise NotApplicableError(f"equilibria are not enumerated by intervals: {reason}")
    deadline = time.monotonic() + max_seconds
    box = mapped_box(game)
    if box is None:
        raise NotApplicableError(
            "equilibria are not enumerated by intervals: no box is known that holds them all; bounded responses, or "
            "weights small enough for the growth of the others, would give one"
        )
    found = search_roots(EquilibriumEquation(game), *box, deadline)
    rest = [{"lower": low, "upper": high} for low, high in found.unresolved]
    return EquilibriumSet(found.roots, (), _complete(found, box, max_seconds), radii=found.radii, unresolved=rest)


def _complete(found: RootSearch, box: tuple[Array, Array], max_seconds: float) -> Verdict:
    count, rest = len(found.roots), found.unresolved
    witness: dict[str, Any] = {
        "box": {"lower": box[0], "upper": box[1]},
        "count": count,
        "boxes": found.boxes,
        "open": len(rest),
    }
    references = ("krawczyk1969", "neumaier1990")
    noun = "equilibrium" if count == 1 else "equilibria"
    if not rest:
        covers = (
            "1 box, which holds them all, is" if found.boxes == 1 else f"{found.boxes} boxes, which hold them all, are"
        )
        statement = f"The game has exactly {count} {noun}: {covers} decided"
        change = "other data, which were taken as exact"
        return Verdict(Decision.PROVED, statement, _METHOD, None, witness, references, would_change=change)
    if found.stopped:
        why = f"the search stopped after {max_seconds:g} s and {found.boxes} box{'es' * (found.boxes != 1)}"
        change = f"more than {max_seconds:g} max_seconds"
    else:
        why = "they may hold multiple equilibria or a continuum, which no Krawczyk test separates"
        change = "a small change of the game"
    low, high = rest[0]
    ends = [np.array2string(end, precision=6, threshold=_SHOWN, edgeitems=2) for end in (low, high)]
    boxes = "1 box that is" if len(rest) == 1 else f"{len(rest)} boxes that are"
    where = f"the first from {ends[0]} to {ends[1]}"
    statement = f"The game has {count} isolated {noun} and {boxes} open, {where}: {why}"
    return Verdict(Decision.UNDECIDED, statement, _METHOD, None, witness, references, would_change=change)
