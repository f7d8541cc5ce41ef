"""What a finite game is made from, checked: names of players and strategies, grids of actions, and files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nngames.core.errors import InputError, ShapeError, UnknownNameError
from nngames.core.profiles import Player, refuse_masked
from nngames.games.finite.nfg import MOST_CHARACTERS


def checked_players(given: Any, count: int) -> tuple[Player, ...]:
    """Return the players' names; 1, 2, ... where none are given."""
    if given is None:
        return tuple(range(1, count + 1))
    players = tuple(given) if not isinstance(given, str) else ()
    if len(players) != count:
        raise ShapeError(f"the table has {count} players; got {len(players)} names")
    for player in players:
        if not isinstance(player, int | str) or isinstance(player, bool):
            raise InputError(f"a player's name is an int or a str; got {player!r}")
    _check_distinct([str(player) for player in players], "players")
    return players


def checked_strategies(given: Any, players: tuple[Player, ...], sizes: tuple[int, ...]) -> tuple[tuple[str, ...], ...]:
    """Return the names of each player's strategies; "1", "2", ... where none are given."""
    if given is None:
        return tuple(tuple(str(i + 1) for i in range(size)) for size in sizes)
    if isinstance(given, str) or len(given) != len(players):
        raise ShapeError(f"strategies are named for each of the {len(players)} players")
    found = []
    for player, names, size in zip(players, given, sizes, strict=True):
        names = () if isinstance(names, str) else tuple(names)
        if len(names) != size:
            raise ShapeError(f"player {player!r} has {size} strategies; got {len(names)} names")
        for name in names:
            if not isinstance(name, str):
                raise InputError(f"a strategy's name is a str; got {name!r}")
        _check_distinct(names, f"strategies of player {player!r}")
        found.append(names)
    return tuple(found)


def _check_distinct(names: Sequence[str], what: str) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise InputError(f"the {what} must have distinct names; {name!r} is there twice")
        seen.add(name)


def checked_grids(game: Any, grids: Any) -> list[NDArray[np.float64]]:
    """Return each player's actions, one a row."""
    if not isinstance(grids, Mapping):
        raise InputError(f"grids is a mapping player -> actions; got {type(grids).__name__}")
    for player in grids:
        if player not in game.players:
            raise UnknownNameError("player", player, map(str, game.players))
    found = []
    for player, size in game.dims.items():
        if player not in grids:
            raise InputError(f"grids has no actions of player {player!r}")
        refuse_masked(grids[player], f"the grid of player {player!r}")
        try:
            rows = np.asarray(grids[player], dtype=np.float64)
        except (TypeError, ValueError):
            raise InputError(f"the grid of player {player!r} must be an array of numbers") from None
        rows = rows[:, None] if rows.ndim == 1 and size == 1 else rows
        if rows.ndim != 2 or rows.shape[1] != size or len(rows) == 0:
            raise ShapeError(f"the grid of player {player!r} has the shape (s, {size}), s >= 1; got {rows.shape}")
        if not np.isfinite(rows).all():
            raise InputError(f"the grid of player {player!r} must be finite")
        found.append(rows)
    return found


def action_name(action: NDArray[np.float64]) -> str:
    """Return the name of a strategy that is an action."""
    numbers = [repr(x + 0.0) for x in action.tolist()]
    return numbers[0] if len(numbers) == 1 else f"({', '.join(numbers)})"


def file_text(path: Path) -> str:
    """Return the text of a file."""
    try:
        if path.stat().st_size > MOST_CHARACTERS:
            raise InputError(f"{path} has more than {MOST_CHARACTERS} bytes")
        return decoded(path.read_bytes(), str(path))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise InputError(f"{str(path)!r} is no path: {error}") from None


def decoded(content: bytes, name: str) -> str:
    """Return the text of a file's content, without the mark that some editors put before UTF-8."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{name} is not UTF-8 text: {error}") from None
