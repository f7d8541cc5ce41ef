"""Best-response dynamics: the players answer one after the other, all at once, or in random order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nngames.certificates import verdict_of
from nngames.certificates.figures import shown
from nngames.core.errors import check_choice
from nngames.core.profiles import Array
from nngames.core.verdicts import Decision
from nngames.games import Game
from nngames.solvers.fixed_point import weighted_max_norm
from nngames.solvers.options import share
from nngames.solvers.solver import Guarantee, Problem, Rate, Solver, State, no_guarantee, norm, solver_named

ORDERS = ("sequential", "simultaneous", "random")


class ResponseProblem(Problem):
    """The players' best responses, with the generator of a random order."""

    def __init__(self, game: Game, rng: np.random.Generator) -> None:
        self.game = game
        self.rng = rng

    def restrict(self, profile: Array) -> Array:
        """Return a copy of the profile."""
        return np.array(profile)

    def profile(self, x: Array) -> Array:
        """Return the profile itself."""
        return x

    def sweep(self, x: Array, order: str, damping: float) -> float:
        """Let every player answer once, in place; return the norm of the undamped displacements."""
        players = self.game.players
        if order == "simultaneous":
            moves = self.game.answers(x) - x
            x += damping * moves
            return norm(moves)
        chosen = players if order == "sequential" else [players[i] for i in self.rng.permutation(len(players))]
        squares = 0.0
        for player in chosen:
            where = self.game.space.slices[player]
            move = self.game.answer(player, x) - x[where]
            squares += float(move @ move)
            x[where] += damping * move if damping != 1.0 else move
        return float(np.sqrt(squares))


@solver_named("best_response")
@dataclass(frozen=True)
class BestResponse(Solver):
    """Best-response dynamics: x_l <- x_l + damping (BR_l(x) - x_l) for the players in turn.

    One sweep over all players is one evaluation.

    Parameters
    ----------
    order : {"sequential", "simultaneous", "random"}
        In the order of the players, all at once, or in a fresh random order each sweep.
    damping : float
        In (0, 1]; 1 is the full best response.

    Guarantee
    ---------
    If the joint best-response map contracts by q in a weighted maximum norm over the players, each sweep, in any order,
    contracts by 1 - damping (1 - q): max_l |x_l - x*_l| / u_l falls at that rate. With a self-loop a player's own share
    a of the row sum is solved for, and (q - a)/(1 - a) <= q.

    References
    ----------
    Bertsekas and Tsitsiklis (1989), Section 3.1, Propositions 1.1 and 1.4.
    """

    order: str = "sequential"
    damping: float = 1.0

    def __post_init__(self) -> None:
        check_choice("best_response: order", self.order, ORDERS)
        object.__setattr__(self, "damping", share("best_response", "damping", self.damping))

    @property
    def autonomous(self) -> bool:
        """Whether the order is fixed."""
        return self.order != "random"

    def guarantee(self, game: Game) -> Guarantee:
        """Return whether a contraction in a weighted maximum norm over the players is proved."""
        # A block norm over layers says nothing about neurons that answer one after the other.
        name = "neuron_contraction" if getattr(game, "neurons", False) else "joint_contraction"
        verdict = verdict_of(name, game)
        if not verdict.proved:
            return no_guarantee("no contraction in a weighted maximum norm over the players is proved")
        factor, weights = float(verdict.witness["factor"]), verdict.witness["weights"]
        sweep = (1 - self.damping * (1 - factor)) * (1 + 4e-16)
        if sweep >= 1:
            return no_guarantee(f"the joint map contracts by {shown(factor)} only: no rate is left after rounding")
        return Guarantee(
            Decision.PROVED,
            f"the joint map contracts by {shown(factor)} in a weighted maximum norm over the players, so every sweep "
            f"contracts by {shown(sweep)}, to the unique equilibrium",
            f"{name}, Bertsekas and Tsitsiklis (1989)",
            margin=1 - sweep,
            witness={"map": "joint", "factor": sweep, "weights": weights},
            references=("bertsekas1989",),
            rate=Rate(
                "distance",
                weighted_max_norm(game, weights),
                lambda k, d: sweep**k * d,
                f"max_l |x_l - x*_l| / u_l <= {sweep:.6g}^k of its start",
            ),
        )

    def problem(self, game: Game, rng: np.random.Generator) -> ResponseProblem:
        """Return the best-response view."""
        return ResponseProblem(game, rng)

    def start(self, problem: ResponseProblem, x0: Array) -> State:
        """Return the state at x0, with its residual."""
        return State(x0, norm(problem.game.residuals(x0)), 1)

    def step(self, problem: ResponseProblem, state: State) -> State:
        """Return the state after one sweep."""
        moved = problem.sweep(state.x, self.order, self.damping)
        return State(state.x, moved, state.evaluations + 1)
