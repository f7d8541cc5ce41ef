"""The block-iterative method: each step renews the part of a few samples and keeps what the others last said."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nngames.core.errors import NotApplicableError, check_choice
from nngames.core.profiles import Array
from nngames.core.verdicts import Decision
from nngames.games import Game, Minimisation
from nngames.solvers.minimisation import MinimisationProblem
from nngames.solvers.options import integer_from, number_that
from nngames.solvers.solver import Guarantee, Solver, State, solver_named

SCHEDULES = ("cyclic", "random")


class BlocksProblem(MinimisationProblem):
    """The minimisation with its samples in blocks.

    Attributes
    ----------
    parts : list of Minimisation
        One for each block.
    step : ndarray
        1 / max_i (B L_i), L_i the curvature of block i's sum.
    """

    def __init__(self, game: Game, blocks: int, rng: np.random.Generator) -> None:
        super().__init__(game)
        count = self.view.samples
        check_blocks(self.view, blocks)
        self.rng = rng
        self.parts: list[Minimisation] = [self.view.part(rows) for rows in np.array_split(np.arange(count), blocks)]
        largest = np.max([part.curvature for part in self.parts], axis=0)
        self.step = 1 / (len(self.parts) * largest)


def check_blocks(view: Minimisation, blocks: int) -> None:
    """Raise NotApplicableError if there are more blocks than samples, or the sum has no parts by samples."""
    if blocks > view.samples:
        raise NotApplicableError(f"{blocks} blocks of samples are asked for, and there are {view.samples} samples")
    view.part(np.arange(1))


@solver_named("block_iterative")
@dataclass(frozen=True)
class BlockIterative(Solver):
    """t_i = x_k - s B phi_i'(x_k) for the blocks i that are active, x_{k+1} = P_C(mean of all B latest t_i).

    phi = sum of phi_i over B blocks of samples. s = gamma / max_i (B L_i) with L_i the curvature of phi_i, so that each
    Id - s B phi_i' is averaged with gamma/2; their mean is Id - s phi', whose projected fixed points are the solutions.
    One step here is a sweep: B renewals of one block each. Its residual takes one more pass.

    Parameters
    ----------
    blocks : int
        B, at most the number of samples.
    schedule : {"cyclic", "random"}
        The order of a sweep: that of the samples, or drawn anew for each sweep.
    step_size : float
        gamma, in (0, 2).

    Guarantee
    ---------
    Each block is renewed at least once in 2 B - 1 renewals running, so with a solution the iterates converge to one,
    for every schedule.

    References
    ----------
    Combettes and Glaudin (2021); Combettes and Woodstock (2022), Proposition 4.3.
    """

    blocks: int = 4
    schedule: str = "cyclic"
    step_size: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "blocks", integer_from("block_iterative", "blocks", self.blocks, 1))
        check_choice("block_iterative: schedule", self.schedule, SCHEDULES)
        size = number_that("block_iterative", "step_size", self.step_size, "lie in (0, 2)", lambda gamma: 0 < gamma < 2)
        object.__setattr__(self, "step_size", size)

    @property
    def autonomous(self) -> bool:
        """Never: a step depends on what the blocks said before."""
        return False

    def guarantee(self, game: Game) -> Guarantee:
        """Return that the iterates converge to a solution, if there is one."""
        check_blocks(game.minimisation(), self.blocks)
        return Guarantee(
            Decision.PROVED,
            "each block's gradient step is averaged and renewed once in every sweep: if there is a minimiser, the "
            "iterates converge to one",
            "safe bounds on the blocks' curvatures, the theorem on block updates of averaged operators",
            margin=2 - self.step_size,
            witness={"map": "gradient step", "exists": False},
            references=("combettes2021", "combettes2022"),
        )

    def problem(self, game: Game, rng: np.random.Generator) -> BlocksProblem:
        """Return the minimisation with its blocks. Raises NotApplicableError if there are more blocks than samples."""
        return BlocksProblem(game, self.blocks, rng)

    def start(self, problem: BlocksProblem, x0: Array) -> State:
        """Return the state at x0; it remembers what each block said, at first x0."""
        return problem.state(x0, 0, np.repeat(x0[None], self.blocks, axis=0))

    def step(self, problem: BlocksProblem, state: State) -> State:
        """Return the state after one sweep over the blocks."""
        x, said = state.x, state.memory[1].copy()
        order = np.arange(self.blocks) if self.schedule == "cyclic" else problem.rng.permutation(self.blocks)
        for i in order:
            part = problem.parts[i]
            gradient = part.gradient(x, np.empty_like(x))
            said[i] = x - self.step_size * self.blocks * problem.step * gradient
            x = problem.view.project(said.mean(axis=0))
        return problem.state(x, state.evaluations + 1, said)
