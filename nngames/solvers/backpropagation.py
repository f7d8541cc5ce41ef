"""Gradient training of a whole network: L-BFGS, Adam on random batches, or gradient steps that keep bounds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from nngames.core.errors import NotApplicableError, check_choice
from nngames.core.profiles import Array
from nngames.games import Descent, Game
from nngames.results.result import Status
from nngames.solvers.options import integer_from, positive_number
from nngames.solvers.solver import Ended, Guarantee, Problem, Solver, State, no_guarantee, norm, solver_named

OPTIMISERS = ("lbfgs", "adam", "projected_gradient")
#: Adam's decay of the means of the gradient and of its square, and what keeps its quotient finite [kingma2015].
DECAY, SQUARE_DECAY, SMALL = 0.9, 0.999, 1e-8
#: The pairs of steps and changes of the gradient that L-BFGS remembers.
PAIRS = 20
#: What a step must lower the loss by, and the slope that may be left, as shares of the slope before [nocedal2006].
ENOUGH, FLATTER = 1e-4, 0.9
#: A change of the loss by this share of it is rounding.
ROUNDING = 1e-14
#: Steps that a line search tries.
TRIALS = 50


class DescentProblem(Problem):
    """The loss bound to one run, with the generator that draws its batches."""

    resumable = True

    def __init__(self, game: Game, rng: np.random.Generator) -> None:
        self.view: Descent = game.descent()
        self.rng = rng

    def restrict(self, profile: Array) -> Array:
        """Return the nearest allowed profile, as a fresh float64 array."""
        return np.array(self.view.project(np.array(profile, dtype=np.float64)))

    def profile(self, x: Array) -> Array:
        """Return the profile itself."""
        return x

    def state(self, x: Array, value: float, gradient: Array, evaluations: int, **memory: Any) -> State:
        """Return the state at x; its residual is |x - P(x - E'(x))|."""
        residual = norm(self.view.natural_step(x, gradient))
        return State(x, residual, evaluations, {"value": float(value), "gradient": gradient, **memory})


@solver_named("backpropagation")
@dataclass(frozen=True)
class Backpropagation(Solver):
    """Steps down the loss of a whole network, whose gradient goes backwards through the layers.

    Parameters
    ----------
    optimiser : {"lbfgs", "adam", "projected_gradient"}
        L-BFGS on all samples, with a line search for the weak Wolfe conditions by bisection, which also ends where the
        loss has kinks; Adam, an iteration of which is an epoch of random batches; or gradient steps of the length of
        Barzilai and Borwein with a line search that is not monotone, which keep bounds on the weights' norms.
    batch : int
        The samples of a batch of Adam.
    step_size : float
        Of Adam.

    Guarantee
    ---------
    None: the loss is not convex. A residual of 0 is a critical point, and no more.

    References
    ----------
    Rumelhart, Hinton and Williams (1986); Liu and Nocedal (1989); Kingma and Ba (2015); Barzilai and Borwein (1988).
    """

    optimiser: str = "lbfgs"
    batch: int = 64
    step_size: float = 1e-3

    def __post_init__(self) -> None:
        check_choice("backpropagation: optimiser", self.optimiser, OPTIMISERS)
        object.__setattr__(self, "batch", integer_from("backpropagation", "batch", self.batch, 1))
        object.__setattr__(self, "step_size", positive_number("backpropagation", "step_size", self.step_size))

    @property
    def autonomous(self) -> bool:
        """Never: a step depends on those before it, or is drawn."""
        return False

    def guarantee(self, game: Game) -> Guarantee:
        """Return that nothing is proved."""
        game.descent()
        return no_guarantee("the loss of a network is not convex: back-propagation ends at a critical point at best")

    def problem(self, game: Game, rng: np.random.Generator) -> DescentProblem:
        """Return the loss. Raises NotApplicableError if there is none, or the optimiser would not keep bounds."""
        problem = DescentProblem(game, rng)
        if problem.view.constrained and self.optimiser != "projected_gradient":
            raise NotApplicableError(
                "it does not keep bounds on the weights with optimiser: "
                f"{self.optimiser}; optimiser: projected_gradient does"
            )
        return problem

    def start(self, problem: DescentProblem, x0: Array) -> State:
        """Return the state at x0."""
        value, gradient = problem.view.value_and_gradient(x0)
        return problem.state(x0, value, gradient, 1)

    def step(self, problem: DescentProblem, state: State) -> State:
        """Return the state after a step, of Adam an epoch."""
        if self.optimiser == "adam":
            return self._adam(problem, state)
        return _lbfgs(problem, state) if self.optimiser == "lbfgs" else _projected(problem, state)

    def _adam(self, problem: DescentProblem, state: State) -> State:
        x, view = state.x, problem.view
        memory = state.memory
        mean, square, step = (memory.get(name) for name in ("mean", "square", "step"))
        if step is None:
            mean, square, step = np.zeros_like(x), np.zeros_like(x), 0
        values = []
        for rows in np.array_split(problem.rng.permutation(view.samples), max(1, round(view.samples / self.batch))):
            value, gradient = view.value_and_gradient(x, rows)
            values.append(value)
            step += 1
            mean = DECAY * mean + (1 - DECAY) * gradient
            square = SQUARE_DECAY * square + (1 - SQUARE_DECAY) * gradient**2
            corrected = mean / (1 - DECAY**step)
            x = x - self.step_size * corrected / (np.sqrt(square / (1 - SQUARE_DECAY**step)) + SMALL)
        value, gradient = view.value_and_gradient(x)
        passed = float(np.mean(values))
        return problem.state(
            x, value, gradient, state.evaluations + 2, passed=passed, mean=mean, square=square, step=step
        )


def _lbfgs(problem: DescentProblem, state: State) -> State:
    """Return the state after a step along -H g, H the inverse curvature that the last pairs tell."""
    memory = state.memory
    steps, bends = (memory.get(name, np.empty((0, state.x.size))) for name in ("steps", "bends"))
    if len(steps):
        found = _line(problem, state, -_curved(memory["gradient"], steps, bends), 1.0)
        if found is not None:
            return _remembered(problem, state, found, steps, bends)
    # Along the gradient itself: the pairs, or a kink of the loss, may have led astray.
    gradient = memory["gradient"]
    found = _line(problem, state, -gradient, min(1.0, 1 / max(norm(gradient), 1e-300)))
    if found is None:
        raise Ended(Status.STALLED, "no step lowers the loss: rounding hides the rest")
    return _remembered(problem, state, found, steps[:0], bends[:0])


def _remembered(
    problem: DescentProblem, state: State, found: tuple[Array, float, Array, int], steps: Array, bends: Array
) -> State:
    x, value, gradient, tried = found
    moved, bent = x - state.x, gradient - state.memory["gradient"]
    if float(moved @ bent) > 1e-16 * norm(moved) * norm(bent):
        steps, bends = np.vstack([steps[-PAIRS + 1 :], moved]), np.vstack([bends[-PAIRS + 1 :], bent])
    return problem.state(x, value, gradient, state.evaluations + tried, steps=steps, bends=bends)


def _curved(gradient: Array, steps: Array, bends: Array) -> Array:
    """Return H g by the recursion of two loops [liu1989]."""
    q, shares = gradient.copy(), []
    inverses = [1 / float(s @ y) for s, y in zip(steps, bends, strict=True)]
    for s, y, inverse in zip(steps[::-1], bends[::-1], inverses[::-1], strict=True):
        share = inverse * float(s @ q)
        shares.append(share)
        q -= share * y
    q *= 1 / (inverses[-1] * float(bends[-1] @ bends[-1]))
    for s, y, inverse, share in zip(steps, bends, inverses, shares[::-1], strict=True):
        q += (share - inverse * float(y @ q)) * s
    return q


def _line(problem: DescentProblem, state: State, way: Array, size: float) -> tuple[Array, float, Array, int] | None:
    """Return a point on the way with enough less loss and a flatter slope, or None.

    The bracket is halved, or doubled while it has no upper end, which ends also where the loss has kinks. Where the
    loss changes by rounding only, the size of the gradient decides.
    """
    value, slope = state.memory["value"], float(state.memory["gradient"] @ way)
    size_before = norm(state.memory["gradient"])
    if not slope < 0 or not math.isfinite(slope):
        return None
    low, high = 0.0, math.inf
    best: tuple[Array, float, Array, int] | None = None
    for tried in range(1, TRIALS + 1):
        x = state.x + size * way
        there, gradient = problem.view.value_and_gradient(x)
        left = float(gradient @ way)
        lower = there <= value + ENOUGH * size * slope
        level = there <= value + ROUNDING * abs(value) and norm(gradient) < size_before
        if not (lower or level):
            high = size
        elif left < FLATTER * slope:
            low, best = size, (x, there, gradient, tried)
        else:
            return x, there, gradient, tried
        size = 2 * low if math.isinf(high) else (low + high) / 2
        if size in (low, high) or not np.any(size * way):
            break
    return None if best is None else (*best[:3], tried)


def _projected(problem: DescentProblem, state: State) -> State:
    """Return the state after a projected step of the length of Barzilai and Borwein, halved until it lowers the loss.

    It must come below the largest of the last ten losses.
    """
    memory, view = state.memory, problem.view
    x, gradient, losses = state.x, memory["gradient"], memory.get("losses", [memory["value"]])
    size = memory.get("size", 1.0)
    if "before" in memory:
        moved, bent = x - memory["before"], gradient - memory["gradient before"]
        curvature = float(np.dot(moved, bent))
        # The step of Barzilai and Borwein, where it is one.
        size = float(np.dot(moved, moved)) / curvature if curvature > 0 else 2 * size
    size = asked = min(max(size, 1e-10), 1e10)
    highest, tried = max(losses), 0
    while size > 1e-16:
        following = view.project(x - size * gradient)
        moved = following - x
        value, there = view.value_and_gradient(following)
        tried += 1
        if value <= highest - 1e-4 / size * float(np.dot(moved, moved)) and np.any(moved):
            kept = {"losses": [*losses[-9:], value], "size": asked, "before": x, "gradient before": gradient}
            return problem.state(following, value, there, state.evaluations + tried, **kept)
        size /= 2
    raise Ended(Status.STALLED, "no step lowers the loss: rounding hides the rest")
