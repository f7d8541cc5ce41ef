"""Gambit's .nfg format: finite games as text, with payoffs listed or with named outcomes.

    NFG 1 R "title" { "Row" "Column" } { { "T" "B" } { "L" "R" } } "comment"
    3 3  0 5  5 0  1 1

The profiles run with the first player's strategy fastest. In the place of the strategies' names their counts can stand,
``{ 2 2 }``; in the place of the payoffs a list of outcomes ``{ { "name" 3, 3 } ... }`` and each profile's outcome, 0
for none, which pays nothing. Numbers are integers, decimals or fractions and are kept exactly. In texts, a backslash
keeps a quotation mark or a backslash.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from nngames.core.errors import InputError

#: The most payoffs, and the most characters, of one file.
MOST_PAYOFFS = 8_000_000
MOST_CHARACTERS = 200_000_000
#: The most players: axes that every NumPy gives an array, less one.
MOST_PLAYERS = 31
#: The most characters of one number, and the largest decimal exponent.
_DIGITS, _EXPONENT = 2000, 400

_TOKEN = re.compile(r'\s*(?:(?P<text>"(?:[^"\\]|\\.)*")|(?P<mark>[{},])|(?P<word>[^\s{},"]+))', re.DOTALL)
_NUMBER = re.compile(r"[+-]?(?:\d+/\d+|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)", re.ASCII)


class NfgError(InputError):
    """A text is not a game in Gambit's .nfg format.

    Attributes
    ----------
    line, column : int
        Where, from 1 on.
    """

    def __init__(self, where: str, line: int, column: int, message: str) -> None:
        self.line, self.column = line, column
        super().__init__(f"{where}:{line}:{column}: {message}")


@dataclass(frozen=True, eq=False)
class NfgGame:
    """What a file says: payoffs (players, s_1, ..., s_L), an object array of Fractions, and the names."""

    title: str
    comment: str
    players: tuple[str, ...]
    strategies: tuple[tuple[str, ...], ...]
    payoffs: NDArray[Any]


def read_nfg(text: str, where: str = "<text>") -> NfgGame:
    """Return the game in ``text``.

    Raises
    ------
    NfgError
        With ``where``, line and column, if the text is not in the format or the game is too large.
    """
    return _Reader(text, where).game()


def write_nfg(game: NfgGame) -> str:
    """Return the payoff version of a game."""
    strategies = " ".join("{ " + " ".join(map(_quoted, names)) + " }" for names in game.strategies)
    players = " ".join(map(_quoted, game.players))
    head = f"NFG 1 R {_quoted(game.title)} {{ {players} }}\n\n{{ {strategies} }}\n{_quoted(game.comment)}\n\n"
    rows = np.moveaxis(game.payoffs, 0, -1)
    rows = rows.transpose(*reversed(range(rows.ndim - 1)), rows.ndim - 1).reshape(-1, len(game.players))
    return head + "\n".join(" ".join(map(str, row)) for row in rows.tolist()) + "\n"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _unquoted(token: str) -> str:
    return re.sub(r'\\(["\\])', r"\1", token[1:-1])


class _Reader:
    """The text with a position; tokens are texts, the marks { } and the comma, and words."""

    def __init__(self, text: str, where: str) -> None:
        self._text, self._where = text, where
        self._kind: str | None = None
        self._token = ""
        self._start = self._end = 0
        if len(text) > MOST_CHARACTERS:
            self._fail(f"the file has more than {MOST_CHARACTERS} characters")
        self._advance()

    def game(self) -> NfgGame:
        for word, what in (("NFG", "the word NFG"), ("1", "the version 1"), ("R", "R, for rational payoffs")):
            if self._token != word or self._kind != "word":
                self._fail(f'expected {what}, as in NFG 1 R "title"; got {self._shown}')
            self._advance()
        title = self._take_text("the title in quotation marks")
        players = self._texts("the players' names")
        if not 1 <= len(players) <= MOST_PLAYERS:
            self._fail(f"there must be 1 to {MOST_PLAYERS} players; got {len(players)}")
        strategies = self._strategies(len(players))
        comment = self._take_text("") if self._kind == "text" else ""
        profiles = math.prod(map(len, strategies))
        payoffs = self._outcomes(len(players), profiles) if self._token == "{" else self._listed(len(players), profiles)
        if self._kind is not None:
            self._fail(f"expected the end of the file; got {self._shown}")
        sizes = [len(names) for names in strategies]
        array = np.empty(len(payoffs), dtype=object)
        array[:] = payoffs
        array = array.reshape(*reversed(sizes), len(players)).transpose(*reversed(range(len(players) + 1)))
        return NfgGame(title, comment, players, strategies, array)

    def _strategies(self, count: int) -> tuple[tuple[str, ...], ...]:
        self._open("the players' strategies")
        sizes: list[tuple[str, ...]] = []
        profiles = 1
        while self._token != "}" or self._kind != "mark":
            if len(sizes) == count:
                self._fail(f"there are strategies for more than the {count} players")
            at = self._start
            if self._kind == "word":
                size = self._count("a number of strategies", 1, MOST_PAYOFFS)
                profiles *= size
                self._check_size(profiles * count, at)
                sizes.append(tuple(str(i + 1) for i in range(size)))
                continue
            names = self._texts("a player's strategies")
            if not names:
                self._fail("a player needs at least one strategy", at)
            profiles *= len(names)
            self._check_size(profiles * count, at)
            sizes.append(names)
        if len(sizes) < count:
            self._fail(f"expected strategies for {count} players; got {len(sizes)}")
        self._advance()
        return tuple(sizes)

    def _check_size(self, payoffs: int, at: int) -> None:
        if payoffs > MOST_PAYOFFS:
            self._fail(f"the game has more than {MOST_PAYOFFS} payoffs", at)

    def _listed(self, count: int, profiles: int) -> list[Fraction]:
        return [self._number(f"payoff {i + 1} of {count * profiles}") for i in range(count * profiles)]

    def _outcomes(self, count: int, profiles: int) -> list[Fraction]:
        table = [[Fraction(0)] * count]
        self._open("the outcomes")
        while self._token == "{" and self._kind == "mark":
            self._advance()
            self._take_text("an outcome's name in quotation marks")
            row = []
            for player in range(count):
                row.append(self._number(f"the outcome's payoff of player {player + 1}"))
                if self._token == "," and self._kind == "mark":
                    self._advance()
            self._close("the outcome")
            table.append(row)
        self._close("the outcomes")
        payoffs: list[Fraction] = []
        for profile in range(profiles):
            payoffs += table[self._count(f"the outcome of profile {profile + 1} of {profiles}", 0, len(table) - 1)]
        return payoffs

    def _texts(self, what: str) -> tuple[str, ...]:
        self._open(what)
        names = []
        while self._kind == "text":
            names.append(self._take_text(""))
        self._close(what)
        return tuple(names)

    def _take_text(self, what: str) -> str:
        if self._kind != "text":
            self._fail(f"expected {what}; got {self._shown}")
        token = self._token
        self._advance()
        return _unquoted(token)

    def _open(self, what: str) -> None:
        if self._token != "{" or self._kind != "mark":
            self._fail(f"expected {{ before {what}; got {self._shown}")
        self._advance()

    def _close(self, what: str) -> None:
        if self._token != "}" or self._kind != "mark":
            self._fail(f"expected }} after {what}; got {self._shown}")
        self._advance()

    def _count(self, what: str, least: int, most: int) -> int:
        token, at = self._token, self._start
        if self._kind != "word" or not token.isascii() or not token.isdigit():
            self._fail(f"expected {what}; got {self._shown}")
        if len(token) > 12 or not least <= int(token) <= most:
            self._fail(f"{what} must lie in [{least}, {most}]; got {self._shown}", at)
        self._advance()
        return int(token)

    def _number(self, what: str) -> Fraction:
        token = self._token
        if self._kind != "word" or len(token) > _DIGITS or not _NUMBER.fullmatch(token):
            self._fail(f"expected {what}, an integer, a decimal or a fraction; got {self._shown}")
        exponent = re.split("[eE]", token)[1:]
        if exponent and (len(exponent[0]) > 6 or abs(int(exponent[0])) > _EXPONENT):
            self._fail(f"the exponent of {self._shown} must lie in [-{_EXPONENT}, {_EXPONENT}]")
        try:
            value = Fraction(token)
        except ZeroDivisionError:
            self._fail(f"{self._shown} divides by zero")
        self._advance()
        return value

    def _advance(self) -> None:
        found = _TOKEN.match(self._text, self._end)
        if found is not None:
            self._kind = found.lastgroup
            self._token = found[self._kind]  # type: ignore[index]
            self._start, self._end = found.start(self._kind), found.end()  # type: ignore[arg-type]
            return
        rest = self._text[self._end :]
        self._start = self._end + len(rest) - len(rest.lstrip())
        if self._start < len(self._text):
            self._fail("the quotation mark is never closed")
        self._kind, self._token = None, ""

    @property
    def _shown(self) -> str:
        if self._kind is None:
            return "the end of the file"
        return repr(self._token if len(self._token) <= 40 else self._token[:40] + "...")

    def _fail(self, message: str, at: int | None = None) -> NoReturn:
        at = self._start if at is None else at
        line = self._text.count("\n", 0, at) + 1
        raise NfgError(self._where, line, at - self._text.rfind("\n", 0, at), message)
