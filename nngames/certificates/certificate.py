"""What a certificate is: a sufficient or exact condition on a game that proves something about one of its maps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from nngames.core.registry import Registry
from nngames.core.verdicts import Decision, Verdict
from nngames.games import Game

#: Every certificate, by name.
registry: Registry[type[Certificate]] = Registry("certificate")

#: The decorator that registers a certificate class under a name.
certificate_named = registry.named


class Certificate(ABC):
    """A condition on a game and what it proves.

    Attributes
    ----------
    name : str
    map : {"composite", "joint", "inclusion", "costs"}
        What its verdict is about: the composite map O, the joint map (T, or the best-response map of a game without a
        network), the operator of the inclusion view, or the players' costs. It licenses that map only.
    """

    name: ClassVar[str]
    map: ClassVar[str]

    @abstractmethod
    def applies(self, game: Game) -> str | None:
        """Return why the game cannot be asked, by its structure alone; None if it can."""

    @abstractmethod
    def decide(self, game: Game) -> Verdict:
        """Return the verdict on a game to which the certificate applies."""


def not_applicable(reason: str) -> Verdict:
    """Return the verdict of a certificate that does not apply."""
    change = "a game of the kind that this certificate is about"
    return Verdict(Decision.UNDECIDED, f"not applicable: {reason}", "not applicable", would_change=change)
