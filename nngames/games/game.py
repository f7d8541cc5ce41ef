"""The game protocol: players, costs, best responses, regrets, and the problem views that solvers take."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from nngames.core.errors import InputError, NotApplicableError
from nngames.core.norms import euclidean_length
from nngames.core.profiles import Array, Player, Profile, ProfileSpace
from nngames.games.finite_game import refuse_finite
from nngames.games.views.fixed_points import FixedPoint
from nngames.games.views.inclusions import Inclusion
from nngames.games.views.objectives import Alternation, Descent, Minimisation
from nngames.networks.classify import unit_of
from nngames.results.result import Status


class Game(ABC):
    """A non-zero-sum game with finitely many players and actions in R^{n_l}.

    Profiles are arrays (N,), mappings player -> action, or batches (batch, N).

    Attributes
    ----------
    space : ProfileSpace
        The players and the sizes of their actions.
    cost_name : str
        Which cost the players pay; structure verdicts belong to it and say it.
    """

    space: ProfileSpace
    cost_name: str
    #: What the refusal of a view ends in: the methods that are made for the game.
    solved_by: ClassVar[str] = ""

    @property
    def players(self) -> tuple[Player, ...]:
        """The players, in the order of a profile."""
        return self.space.players

    @property
    def dims(self) -> dict[Player, int]:
        """The size of each player's action."""
        return self.space.dims

    @property
    def size(self) -> int:
        """N, the length of a profile."""
        return self.space.size

    @property
    @abstractmethod
    def multiplications(self) -> int:
        """Scalar multiplications of the largest single product of a pass; steers the thread policy."""

    @abstractmethod
    def cost(self, player: Player, profile: Profile) -> Any:
        """Return J_player at the profile; +inf off the domain of the player's penalty."""

    @abstractmethod
    def answer(self, player: Player, x: Array) -> Array:
        """Return ``best_response`` for a profile that is known to be a valid array (..., N)."""

    @abstractmethod
    def answers(self, x: Array) -> Array:
        """Return ``best_responses`` for a profile that is known to be a valid array (..., N)."""

    @abstractmethod
    def regret_bounds(self, profile: Profile) -> dict[Player, tuple[Any, Any]]:
        """Return each player's regret with a bound on its rounding error.

        The regret is what the player could gain by deviating alone. Where an action leaves the domain of its penalty
        only by rounding, the regret is that of the projected action; farther off it is +inf.
        """

    @abstractmethod
    def residuals(self, profile: Profile) -> Array:
        """Return the vector R(x) - x (N,), R the map that the game's residual is about."""

    def distance(self, profile: Array) -> float:
        """Return |R(x) - x|_2 of one profile (N,), which is not looked at."""
        return euclidean_length(self.residuals(profile))

    @abstractmethod
    def fixed_point(self, kind: str = "auto") -> FixedPoint:
        """Return the fixed-point view: ``"joint"``, ``"composite"`` (rings only), or ``"auto"``.

        Raises
        ------
        NotApplicableError
            If the game has no such map.
        """

    @property
    def potential_reason(self) -> str | None:
        """Why ``potential`` is an exact potential, where the costs' form alone proves it; None elsewhere."""
        return None

    def potential(self, profile: Profile) -> float:
        """Return the exact potential that the form of the costs gives.

        Raises
        ------
        NotApplicableError
            If it gives none; ``check_potential`` then decides by the couplings.
        """
        raise NotApplicableError(f"the form of the {self.cost_name} cost alone gives no potential")

    def inclusion(self) -> Inclusion:
        """Return the monotone-inclusion view.

        Raises
        ------
        NotApplicableError
            If the game has none.
        """
        raise NotApplicableError(f"a game with the {self.cost_name} cost has no inclusion view" + self.solved_by)

    def minimisation(self) -> Minimisation:
        """Return the view as the minimisation of a convex function.

        Raises
        ------
        NotApplicableError
            If the game has none.
        """
        raise NotApplicableError(
            f"a game with the {self.cost_name} cost is not given as the minimum of one function" + self.solved_by
        )

    def alternation(self) -> Alternation:
        """Return the view in which the players improve in turn.

        Raises
        ------
        NotApplicableError
            If the game has none.
        """
        raise NotApplicableError(
            f"players of a game with the {self.cost_name} cost have no moves to make in turn" + self.solved_by
        )

    def descent(self) -> Descent:
        """Return the view as one differentiable function, a mean over samples, to be lowered by all players together.

        Raises
        ------
        NotApplicableError
            If the game has none.
        """
        raise NotApplicableError(
            f"players of a game with the {self.cost_name} cost do not share one network's loss" + self.solved_by
        )

    def advice(self, method: str, ended: Status, more: str) -> str | None:
        """Return the next thing to try after a run that did not converge; None leaves it to the certificates.

        ``more`` is the option that allows a longer run.
        """
        return None

    @abstractmethod
    def explain(self, format: str = "text") -> str:
        """Return the players, action spaces, costs and couplings, as ``"text"`` or ``"latex"``."""

    # Derived

    @np.errstate(over="ignore", invalid="ignore")
    def best_response(self, player: Player, profile: Profile) -> Array:
        """Return the player's unique best response to the others' actions, (n_l,) or (batch, n_l)."""
        self.space.slice(player)
        return self.answer(player, self.space.array(profile, batch=True))

    @np.errstate(over="ignore", invalid="ignore")
    def best_responses(self, profile: Profile) -> Array:
        """Return all players' best responses to the profile, (N,) or (batch, N)."""
        return self.answers(self.space.array(profile, batch=True))

    @np.errstate(over="ignore", invalid="ignore")
    def residual(self, profile: Profile) -> Any:
        """Return |R(x) - x|_2: zero exactly at equilibria. A batch gives an array."""
        x = self.space.array(profile, batch=True)
        return self.distance(x) if x.ndim == 1 else np.linalg.norm(self.residuals(x), axis=-1)

    @np.errstate(over="ignore", invalid="ignore")
    def regrets(self, profile: Profile) -> dict[Player, Any]:
        """Return each player's regret, at least 0; see ``regret_bounds``."""
        return {player: value for player, (value, _) in self.regret_bounds(profile).items()}

    def nash_gap(self, profile: Profile) -> Any:
        """Return the sum of the regrets: the supremum of the Nikaido-Isoda function at the profile."""
        return sum(self.regrets(profile).values())

    @cached_property
    def scale(self) -> float:
        """max(1, |R(0)|_2), the unit of the solvers' tolerance; 1 where R is not defined at 0."""
        with np.errstate(over="ignore", invalid="ignore"):
            return unit_of(lambda: self.distance(np.zeros(self.size)))


def required_game(value: Any, taker: str) -> Game:
    """Return the game, or raise InputError saying what ``taker`` ("a solver", ...) takes."""
    if isinstance(value, Game):
        return value
    refuse_finite(value, taker)
    if hasattr(value, "game"):
        given = type(value).__name__.lower()
        call = "()" if callable(value.game) else ""
        raise InputError(f"{taker} takes a game, not a {given}: pass {given}.game{call}")
    raise InputError(f"{taker} takes a game; got {type(value).__name__}")


def scalar(value: Any) -> Any:
    """Return a 0-d array as a float, anything else as it is."""
    return float(value) if np.ndim(value) == 0 else value
