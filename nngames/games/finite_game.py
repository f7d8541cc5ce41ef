"""Finite games: finitely many strategies per player and a table of costs, given, sampled, or read from a .nfg file."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nngames.core.errors import InputError, NotApplicableError, ShapeError, UnknownNameError
from nngames.core.files import write_atomic
from nngames.core.profiles import Player
from nngames.games.finite.decomposition import Decomposition, decompose
from nngames.games.finite.explain import explain_finite
from nngames.games.finite.given import (
    action_name,
    checked_grids,
    checked_players,
    checked_strategies,
    decoded,
    file_text,
)
from nngames.games.finite.nfg import MOST_PAYOFFS, MOST_PLAYERS, NfgGame, read_nfg, write_nfg
from nngames.games.finite.numbers import Numbers, as_numbers

#: Profiles at which a game is sampled at once.
_BATCH = 8192


class FiniteGame:
    """A game in which each player has finitely many strategies and pays an entry of a table.

    Players *pay costs*, as in every game of this package: less is better. ``payoffs`` are minus the costs; Gambit's
    files hold payoffs. Integers, Fractions and Decimals are kept as exact rationals; floats stay floats.

    Parameters
    ----------
    costs : array-like (L, s_1, ..., s_L)
        ``costs[l, i_1, ..., i_L]`` is what player l pays where each player k plays its strategy i_k.
    payoffs : array-like (L, s_1, ..., s_L)
        Minus the costs, instead of them.
    players : sequence of int or str, optional
        1, ..., L if not given.
    strategies : sequence of sequences of str, optional
        The strategies' names, distinct for each player; "1", "2", ... if not given.
    title, comment : str
        What a file says of the game.

    Raises
    ------
    InputError, ShapeError
        If the table or the names are not usable, or the table has more than 8,000,000 entries.

    Notes
    -----
    A profile is a sequence of strategies in the players' order, or a mapping player -> strategy; a strategy is its
    index from 0 on, or its name. Mixed equilibria are not computed here: ``save`` the game and use Gambit.
    """

    cost_name = "finite"

    def __init__(
        self,
        costs: Any = None,
        *,
        payoffs: Any = None,
        players: Sequence[Player] | None = None,
        strategies: Sequence[Sequence[str]] | None = None,
        title: str = "",
        comment: str = "",
    ) -> None:
        if (costs is None) == (payoffs is None):
            raise InputError("a finite game takes either costs or payoffs")
        numbers = as_numbers(costs, "costs") if payoffs is None else as_numbers(payoffs, "payoffs").negative()
        shape = numbers.values.shape
        if not shape or len(shape) != shape[0] + 1 or not 1 <= shape[0] <= MOST_PLAYERS or 0 in shape:
            raise ShapeError(
                f"the table of a finite game has the shape (L, s_1, ..., s_L) for its L players, 1 to {MOST_PLAYERS}, "
                f"with at least one strategy each; got {shape}"
            )
        if numbers.values.size > MOST_PAYOFFS:
            raise InputError(f"a finite game has at most {MOST_PAYOFFS} costs; got {numbers.values.size}")
        numbers.values.flags.writeable = False
        self.numbers: Numbers = numbers
        self.sizes: tuple[int, ...] = tuple(int(size) for size in shape[1:])
        self.players: tuple[Player, ...] = checked_players(players, shape[0])
        self.strategies: tuple[tuple[str, ...], ...] = checked_strategies(strategies, self.players, self.sizes)
        for what, text in (("title", title), ("comment", comment)):
            if not isinstance(text, str):
                raise InputError(f"the {what} of a finite game must be a text; got {text!r}")
        self.title, self.comment = title, comment

    def __repr__(self) -> str:
        kind = "exact" if self.exact else "floating"
        return f"FiniteGame({len(self.players)} players, {' x '.join(map(str, self.sizes))} profiles, {kind} costs)"

    # Sources

    @classmethod
    def sampled(cls, game: Any, grids: Mapping[Player, ArrayLike]) -> FiniteGame:
        """Return the game in which each player may only play the actions of a grid.

        Parameters
        ----------
        game : Game
            With actions in R^{n_l}.
        grids : mapping player -> array (s_l, n_l), or (s_l,) where n_l = 1
            Distinct actions, one a row, for every player. They name the strategies.

        Raises
        ------
        InputError
            If a grid is missing or does not fit, or a cost is not finite at a profile, such as off a penalty's domain.
        """
        from nngames.games.game import required_game

        game = required_game(game, "FiniteGame.sampled")
        actions = checked_grids(game, grids)
        sizes = tuple(len(rows) for rows in actions)
        profiles = math.prod(sizes)
        if profiles * len(sizes) > MOST_PAYOFFS:
            raise InputError(f"the grids make {profiles} profiles; a finite game has at most {MOST_PAYOFFS} costs")
        costs = np.empty((len(sizes), profiles))
        for start in range(0, profiles, _BATCH):
            places = np.arange(start, min(start + _BATCH, profiles))
            indices = np.unravel_index(places, sizes)
            batch = np.concatenate([rows[index] for rows, index in zip(actions, indices, strict=True)], axis=1)
            for row, player in enumerate(game.players):
                values = np.asarray(game.cost(player, batch), dtype=np.float64)
                if not np.isfinite(values).all():
                    at = int(np.flatnonzero(~np.isfinite(values))[0])
                    raise InputError(
                        f"the cost of player {player!r} is {values[at]} at the profile {batch[at].tolist()}"
                    )
                costs[row, places] = values
        names = [[action_name(action) for action in rows] for rows in actions]
        return cls(costs.reshape(-1, *sizes), players=game.players, strategies=names)

    @classmethod
    def from_nfg(cls, source: str | os.PathLike[str]) -> FiniteGame:
        """Return the game of a file in Gambit's .nfg format, or of such a text; its costs are exact rationals.

        Parameters
        ----------
        source : path or str
            A str that begins with ``NFG`` and holds a quotation mark is the text itself.

        Raises
        ------
        NfgError
            Located, as ``file:line:column``, where the text is not in the format.
        InputError
            If the file cannot be read, or names are used twice.
        """
        if isinstance(source, str) and source.lstrip().startswith("NFG") and '"' in source:
            return cls._of_file(read_nfg(source))
        return cls._of_file(read_nfg(file_text(Path(source)), str(source)))

    @classmethod
    def _of_file(cls, given: NfgGame) -> FiniteGame:
        return cls(
            payoffs=given.payoffs,
            players=given.players,
            strategies=given.strategies,
            title=given.title,
            comment=given.comment,
        )

    @classmethod
    def from_nfg_content(cls, content: bytes, name: str) -> FiniteGame:
        """Return the game of a .nfg file that was read already; errors call it ``name``."""
        return cls._of_file(read_nfg(decoded(content, name), name))

    def to_nfg(self) -> str:
        """Return the game in Gambit's .nfg format: payoffs, exact; floats become the fractions that they equal."""
        payoffs = self.numbers.negative().fractions()
        names = tuple(str(player) for player in self.players)
        return write_nfg(NfgGame(self.title, self.comment, names, self.strategies, payoffs))

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the game to a .nfg file, whole or not at all, and return its path."""
        return write_atomic(path, self.to_nfg())

    def with_numbers(self, numbers: Numbers) -> FiniteGame:
        """Return the game with the same players and strategies and other costs, of the same shape, not copied."""
        game = object.__new__(FiniteGame)
        numbers.values.flags.writeable = False
        game.numbers, game.sizes, game.players, game.strategies = numbers, self.sizes, self.players, self.strategies
        game.title = game.comment = ""
        return game

    # Costs

    @property
    def exact(self) -> bool:
        """Whether the costs are given as exact rationals."""
        return self.numbers.exact

    @property
    def size(self) -> int:
        """The number of profiles."""
        return math.prod(self.sizes)

    @cached_property
    def costs(self) -> NDArray[Any]:
        """The costs (L, s_1, ..., s_L): float64, or Fractions in an object array where they are exact."""
        if not self.exact:
            return self.numbers.values
        table = self.numbers.fractions()
        table.flags.writeable = False
        return table

    @property
    def payoffs(self) -> NDArray[Any]:
        """Minus the costs."""
        return -self.costs

    @cached_property
    def float_costs(self) -> NDArray[np.float64]:
        """The costs as floats."""
        return self.numbers.floats()

    def profile(self, profile: Any) -> tuple[int, ...]:
        """Return the strategies' indices of a profile that is given by indices or names.

        Raises
        ------
        InputError
            If it does not fit the game.
        """
        if isinstance(profile, Mapping):
            for player in profile:
                self._index(player)
            missing = [player for player in self.players if player not in profile]
            if missing:
                raise InputError(f"the profile has no strategy of player {missing[0]!r}")
            given: list[Any] = [profile[player] for player in self.players]
        elif isinstance(profile, str) or not isinstance(profile, Iterable):
            raise InputError(f"a profile is a sequence of strategies, one a player; got {profile!r}")
        else:
            given = list(profile)
        if len(given) != len(self.players):
            raise ShapeError(f"a profile has {len(self.players)} strategies, one a player; got {len(given)}")
        return tuple(self._strategy(m, strategy) for m, strategy in enumerate(given))

    def names(self, profile: Any) -> tuple[str, ...]:
        """Return the strategies' names of a profile."""
        return tuple(names[i] for names, i in zip(self.strategies, self.profile(profile), strict=True))

    def cost(self, player: Player, profile: Any) -> float | Fraction:
        """Return what the player pays at the profile; a Fraction where costs are exact."""
        place: tuple[Any, ...] = (self._index(player), *self.profile(profile))
        return self.numbers.number(self.numbers.values[place])

    def best_responses(self, player: Player, profile: Any) -> tuple[int, ...]:
        """Return all strategies of least cost to the player against the others' strategies."""
        own = self._own(player, profile)
        return tuple(int(i) for i in np.flatnonzero(own == own.min()))

    def regrets(self, profile: Any) -> dict[Player, float | Fraction]:
        """Return what each player could gain by deviating alone; at least 0."""
        at = self.profile(profile)
        found = {}
        for m, player in enumerate(self.players):
            own = self._own(player, at)
            found[player] = self.numbers.number(own[at[m]] - own.min())
        return found

    def nash_gap(self, profile: Any) -> float | Fraction:
        """Return the sum of the regrets: 0 exactly at pure equilibria."""
        return sum(self.regrets(profile).values())

    def pure_equilibria(self) -> NDArray[np.intp]:
        """Return all pure equilibria, one a row of strategies' indices (count, L), in lexicographic order.

        Costs are compared as they are given, without a tolerance.
        """
        values = self.numbers.values
        stable = np.ones(self.sizes, dtype=bool)
        for m in range(len(self.players)):
            stable &= values[m] == values[m].min(axis=m, keepdims=True)
        return np.argwhere(stable)

    def decomposition(self) -> Decomposition:
        """Return the potential, harmonic and nonstrategic parts of the game, in floating-point numbers."""
        return decompose(self)

    def explain(self, format: str = "text") -> str:
        """Return the players, their strategies and costs, as ``"text"`` or ``"latex"``; of large games no costs."""
        return explain_finite(self, format)

    # Inside

    def _own(self, player: Player, profile: Any) -> NDArray[Any]:
        m, at = self._index(player), self.profile(profile)
        place: tuple[Any, ...] = (m, *at[:m], slice(None), *at[m + 1 :])
        return self.numbers.values[place]

    def _index(self, player: Any) -> int:
        try:
            return self.players.index(player)
        except ValueError:
            raise UnknownNameError("player", player, map(str, self.players)) from None

    def _strategy(self, m: int, strategy: Any) -> int:
        if isinstance(strategy, str):
            try:
                return self.strategies[m].index(strategy)
            except ValueError:
                what = f"strategy of player {self.players[m]!r}"
                raise UnknownNameError(what, strategy, self.strategies[m]) from None
        if not isinstance(strategy, int | np.integer) or isinstance(strategy, bool):
            raise InputError(f"a strategy is its index or its name; got {strategy!r}")
        if not 0 <= strategy < self.sizes[m]:
            raise InputError(f"player {self.players[m]!r} has the strategies 0 to {self.sizes[m] - 1}; got {strategy}")
        return int(strategy)


def refuse_finite(value: Any, taker: str) -> None:
    """Raise NotApplicableError if ``value`` is a finite game, which ``taker`` cannot use."""
    if isinstance(value, FiniteGame):
        raise NotApplicableError(
            f"{taker} takes games with actions in R^n, not finite games: nngames.check_potential(game) and "
            "game.pure_equilibria() take these, and Gambit finds mixed equilibria of what game.save(path) writes"
        )
