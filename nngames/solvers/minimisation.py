"""What the schemes for convex minimisation share: the view with the residual of its projected gradient step."""

from __future__ import annotations

import numpy as np

from nngames.core.errors import NotApplicableError
from nngames.core.profiles import Array
from nngames.games import Game, Minimisation
from nngames.solvers.solver import Problem, State, norm


class MinimisationProblem(Problem):
    """A convex minimisation bound to one run.

    Attributes
    ----------
    view : Minimisation
    """

    resumable = True

    def __init__(self, game: Game) -> None:
        self.view: Minimisation = game.minimisation()

    def refuse_bounds(self) -> None:
        """Raise NotApplicableError if actions are bounded, for schemes that minimise over the whole space."""
        if self.view.constrained:
            raise NotApplicableError("it minimises over the whole space, and actions of this game are bounded")

    def restrict(self, profile: Array) -> Array:
        """Return a copy of the profile in C, float64."""
        return np.array(self.view.project(np.array(profile, dtype=np.float64)))

    def profile(self, x: Array) -> Array:
        """Return the profile itself."""
        return x

    def gradient(self, x: Array) -> Array:
        """Return phi'(x) as a fresh array."""
        return self.view.gradient(x, np.empty_like(x))

    def state(self, x: Array, evaluations: int, memory: object = None) -> State:
        """Return the state at x with its residual; its memory is the gradient, or the pair of it and ``memory``."""
        gradient = self.gradient(x)
        kept = gradient if memory is None else (gradient, memory)
        return State(x, norm(self.view.residuals(x, gradient)), evaluations + 1, kept)
