"""Stochastic gradients with reduced variance: steps from a few samples, corrected by the last full gradient."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nngames.core.profiles import Array
from nngames.games import Game
from nngames.solvers.minimisation import MinimisationProblem
from nngames.solvers.options import integer_from, positive_number
from nngames.solvers.solver import Guarantee, Solver, State, no_guarantee, solver_named


class SampledProblem(MinimisationProblem):
    """The minimisation with the generator that draws its samples."""

    def __init__(self, game: Game, rng: np.random.Generator) -> None:
        super().__init__(game)
        self.rng = rng


@solver_named("stochastic_gradient")
@dataclass(frozen=True)
class StochasticGradient(Solver):
    """An epoch of z = P_C(z - s [B (phi_i'(z) - phi_i'(x_k)) + phi'(x_k)]) from z = x_k over random batches i.

    phi = sum of phi_i over B batches of samples, drawn anew for each epoch; s = step_size / L. At a solution the
    correction makes every step 0, so a constant step converges, which plain stochastic gradients do not.

    Parameters
    ----------
    batch : int
        The samples of a batch.
    step_size : float
        In units of 1/L_l, L_l the curvature of the player's whole loss.

    Guarantee
    ---------
    With independent draws and a strongly convex phi the expected loss falls by a constant factor in each epoch, for
    steps that are small against 1/max_i L_i (Johnson and Zhang). The batches here are drawn without replacement and the
    step is larger; nothing is proved about a given game.

    References
    ----------
    Johnson and Zhang (2013).
    """

    batch: int = 32
    step_size: float = 0.1

    def __post_init__(self) -> None:
        object.__setattr__(self, "batch", integer_from("stochastic_gradient", "batch", self.batch, 1))
        object.__setattr__(self, "step_size", positive_number("stochastic_gradient", "step_size", self.step_size))

    @property
    def autonomous(self) -> bool:
        """Never: it draws."""
        return False

    def guarantee(self, game: Game) -> Guarantee:
        """Return that nothing is proved about the game."""
        game.minimisation()
        return no_guarantee("convergence is proved in expectation, for strongly convex losses and smaller steps only")

    def problem(self, game: Game, rng: np.random.Generator) -> SampledProblem:
        """Return the minimisation view."""
        problem = SampledProblem(game, rng)
        problem.view.part(np.arange(1))
        return problem

    def start(self, problem: SampledProblem, x0: Array) -> State:
        """Return the state at x0."""
        return problem.state(x0, 0)

    def step(self, problem: SampledProblem, state: State) -> State:
        """Return the state after one epoch, which is two passes and that of the residual."""
        view, count = problem.view, problem.view.samples
        batches = np.array_split(problem.rng.permutation(count), max(1, round(count / self.batch)))
        sizes = self.step_size / view.curvature
        z, anchor, full = state.x, state.x, state.memory
        for rows in batches:
            part = view.part(rows)
            there, here = np.empty_like(z), np.empty_like(z)
            change = part.gradient(z, here) - part.gradient(anchor, there)
            z = view.project(z - sizes * (len(batches) * change + full))
        return problem.state(z, state.evaluations + 2)
