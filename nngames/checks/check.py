"""What a check is: a question about a game, named in a scenario by its name and options, answered by a report."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Protocol

from nngames.core.registry import Registry
from nngames.core.seeds import Seed
from nngames.games import Game, required_game

#: Every check, by name.
registry: Registry[type[Check]] = Registry("check")

#: The decorator that registers a check class (a frozen dataclass of its options) under a name.
check_named = registry.named


class Report(Protocol):
    """What a check returns."""

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain JSON-ready data."""


class Check(ABC):
    """A question about a game. Subclasses are frozen dataclasses whose fields are the options, each with a default."""

    name: ClassVar[str]

    @abstractmethod
    def run(self, game: Game, seed: Seed = None) -> Report:
        """Return the report on ``game``; every random choice comes from ``seed``."""


def require_game(game: Any) -> Game:
    """Return the game, or raise InputError saying what to pass."""
    return required_game(game, "a check")
