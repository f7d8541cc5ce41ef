"""What the games of training share: no best-response map, and a map of small steps whose fixed points they seek."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import numpy as np

from nngames.core.errors import NotApplicableError
from nngames.core.profiles import Array, Player, Profile
from nngames.games import FixedPoint, Game
from nngames.results.result import Status

#: What helps where numbers of very different size meet.
SCALE = "samples on one scale, data: standardize: true"


class TrainingGame(Game):
    """A game of weights, in which a player's own problem may have many minimisers, or none."""

    #: What to call the game, and what to do in place of asking for best responses.
    called: ClassVar[str]
    instead: ClassVar[str]
    solved_by: ClassVar[str]

    @property
    @abstractmethod
    def map(self) -> FixedPoint:
        """R, the map that the game's residual is about."""

    def answer(self, player: Player, x: Array) -> Array:
        """Refuse: a layer's problem may have many minimisers, or none.

        Raises
        ------
        NotApplicableError
            Always.
        """
        raise NotApplicableError(f"a layer's problem may have many minimisers or none, so {self.instead}")

    def answers(self, x: Array) -> Array:
        """Refuse, as ``answer`` does."""
        return self.answer(self.space.players[0], x)

    def residuals(self, profile: Profile) -> Array:
        """Return R(x) - x."""
        given = self.space.array(profile, batch=True, finite=False)
        moved = [self.map.evaluate(x, np.empty_like(x)) - x for x in np.atleast_2d(given)]
        return np.array(moved).reshape(given.shape)

    @abstractmethod
    def advice(self, method: str, ended: Status, more: str) -> str:
        """Return the next thing to try after a run that did not converge."""

    def fixed_point(self, kind: str = "auto") -> FixedPoint:
        """Return R; ``kind`` is ``"joint"`` or ``"auto"``."""
        if kind not in ("auto", "joint"):
            raise NotApplicableError(f"the {self.called} has the joint map only")
        return self.map
