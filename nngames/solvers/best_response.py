"""Best-response dynamics: the players answer in turn, all at once, in random order, or to what they heard late."""

from __future__ import annotations

import math
import sys
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np

from nngames.certificates import verdict_of
from nngames.certificates.figures import shown
from nngames.core.deadlines import TimeUpError, ending, look
from nngames.core.errors import NotApplicableError, OptionError, check_choice
from nngames.core.profiles import Array, Player
from nngames.core.verdicts import Decision
from nngames.games import Game, ProximalGame
from nngames.networks.block_sweep import compiled_sweep
from nngames.networks.compiled.loading import kernels
from nngames.networks.forward import ForwardPass
from nngames.results.result import Status
from nngames.solvers.fixed_point import weighted_max_norm
from nngames.solvers.options import nonnegative_integer, share
from nngames.solvers.solver import (
    Ended,
    Guarantee,
    Problem,
    Rate,
    Solver,
    State,
    no_guarantee,
    norm,
    row_norms,
    solver_named,
)
from nngames.solvers.turn_order import forward_pass, one_sweep_guarantee, players_in_order

ORDERS = ("sequential", "simultaneous", "random", "asynchronous", "topological")
#: Whose steps depend on the profile alone.
FIXED_ORDERS = ("sequential", "simultaneous", "topological")


class ResponseProblem(Problem):
    """The players' best responses, with the generator of a random order and the last ``delay`` answers.

    ``players`` is their fixed order where it is not the listed one; ``forward`` is the pass that is a whole sweep and
    ends at the equilibrium; ``compiled`` is a sweep in the listed order that returns how far the players moved.
    """

    def __init__(self, game: Game, rng: np.random.Generator, delay: int = 0) -> None:
        self.game = game
        self.rng = rng
        self.players: Sequence[Player] | None = None
        self.forward: ForwardPass | None = None
        self.compiled: Callable[[Array], float] | None = None
        self._swept: bool | None = None
        self._delay = delay
        # Who answered, and the action that the answer replaced.
        self._replaced: deque[tuple[Player, Array]] = deque(maxlen=min(delay, sys.maxsize))

    #: The norm of the moves: of each row where there are many starts.
    norm: Callable[[Array], Any] = staticmethod(norm)

    def batched(self, dtype: np.dtype[Any]) -> ResponseProblem:
        """Return the problem on rows, for simultaneous answers."""
        batched = copy(self)
        batched.norm = row_norms
        return batched

    def restrict(self, profile: Array) -> Array:
        """Return a copy of the profile."""
        return np.array(profile)

    def profile(self, x: Array) -> Array:
        """Return the profile itself."""
        return x

    def sweep(self, x: Array, order: str, damping: float) -> float:
        """Let every player answer once, in place; return the norm of the undamped displacements."""
        if order == "simultaneous":
            moves = self.game.answers(x)
            moves -= x
            moved = self.norm(moves)
            if damping != 1.0:
                moves *= damping
            x += moves
            return moved
        if self.compiled is not None and x.dtype == np.float64:
            return self.compiled(x)
        squares, end = 0.0, ending()
        limited = end < math.inf
        for player in self._shuffled() if order == "random" else self.players or self.game.players:
            if limited:
                look(end)
            where = self.game.space.slices[player]
            move = self.game.answer(player, x) - x[where]
            squares += float(move @ move)
            x[where] += damping * move if damping != 1.0 else move
        return float(np.sqrt(squares))

    def forward_sweep(self, x: Array) -> None:
        """Write the equilibrium into x; the second time without compiled kernels, which round otherwise.

        Raises
        ------
        Ended
            The third time, for nothing would change; or where the time is up.
        """
        if self.forward is None or self._swept is False:
            raise Ended(Status.STALLED, "another sweep would change nothing")
        # Those that are loaded: one sweep is no reason to load any.
        found = None if self._swept else kernels(limited=True)
        try:
            self._swept = self.forward(x, found, ending())
        except TimeUpError:
            raise Ended(Status.MAX_SECONDS, "one sweep takes longer") from None

    def late_sweep(self, x: Array, damping: float) -> None:
        """Let every player answer once, in place, in a fresh random order and to outdated actions of the others."""
        slices, heard, end = self.game.space.slices, x.copy(), ending()
        for player in self._shuffled():
            look(end)
            where = slices[player]
            late = self._turn_back(heard, player)
            move = self.game.answer(player, heard) - x[where]
            for other in late:
                heard[slices[other]] = x[slices[other]]
            self._replaced.append((player, x[where].copy()))
            x[where] += damping * move if damping != 1.0 else move
            heard[where] = x[where]

    def _turn_back(self, heard: Array, listener: Player) -> set[Player]:
        """Give each other player the action of a random earlier event; return those whose action differs."""
        late: set[Player] = set()
        if self._replaced:
            lags: dict[Player, int] = {}
            draws = self.rng.integers(self._delay, size=len(self._replaced), endpoint=True)
            for age, (player, action) in enumerate(reversed(self._replaced)):
                # The newest answer of a player draws its lag: all later events than that are undone.
                if lags.setdefault(player, int(draws[age])) > age and player != listener:
                    heard[self.game.space.slices[player]] = action
                    late.add(player)
        return late

    def _shuffled(self) -> list[Player]:
        players = self.game.players
        return [players[i] for i in self.rng.permutation(len(players))]


@solver_named("best_response")
@dataclass(frozen=True)
class BestResponse(Solver):
    """Best-response dynamics: x_l <- x_l + damping (BR_l(x) - x_l) for the players in turn.

    One sweep over all N players is one evaluation. ``asynchronous``: N events make a sweep, at each of which one player
    answers, in a fresh random order each sweep, so that any 2N - 1 events in a row have an answer of every player; it
    hears each other player's action as it was after a random one of the last ``delay`` + 1 events. Players that act
    together are the case in which each hears nothing of the others' last events. What a player hears there says
    nothing about the residual, which is computed after each sweep: a second evaluation.

    Parameters
    ----------
    order : {"sequential", "simultaneous", "random", "asynchronous", "topological"}
        In the order of the players, all at once, in a fresh random order each sweep, that with delays, or each after
        all that it listens to, where there is such an order.
    damping : float
        In (0, 1]; 1 is the full best response, and the only one for ``topological``.
    delay : int
        By how many events an action may be outdated, for ``asynchronous``; 0 is ``random``. Beside its answer an event
        takes time in proportion to it.

    Guarantee
    ---------
    If the joint best-response map contracts by q in a weighted maximum norm over the players, each sweep, in any order,
    contracts by p = 1 - damping (1 - q): max_l |x_l - x*_l| / u_l falls at that rate. With a self-loop a player's own
    share a of the row sum is solved for, and (q - a)/(1 - a) <= q. Asynchronous: after k sweeps the distance is at most
    p^ceil(k/c) times that of the start, c = 1 + ceil(delay/N).

    Where each player answers after all that it listens to, in the listed or the topological order, one sweep of full
    responses ends at the only equilibrium, from every start: by induction over that order, what a player hears when it
    answers does not change any more. On a network without self-loops the sweep is then a forward pass by whole levels,
    and one to the same end where no coordinate's signal returns to it though some layers' do.

    Proof. Let all distances e_l = |x_l - x*_l| / u_l be at most m after every event from s - delay to s. An answer
    makes e_l <= (1 - damping) e_l + damping q m, so they stay at most m; one is at most p m from its player's first
    answer after s on, as (1 - damping) p + damping q <= p. If s ends a sweep, all are at most p m from event s + N on,
    so the same holds with p m at s + N + delay and at the end of that sweep, c sweeps after s. The actions before the
    start are those of the start, so s = 0 begins. These are the boxes of the asynchronous convergence theorem.

    References
    ----------
    Bertsekas and Tsitsiklis (1989), Section 3.1, Propositions 1.1 and 1.4; Sections 6.2, Proposition 2.1, and 6.3.
    """

    order: str = "sequential"
    damping: float = 1.0
    delay: int = 0

    def __post_init__(self) -> None:
        check_choice("best_response: order", self.order, ORDERS)
        object.__setattr__(self, "damping", share("best_response", "damping", self.damping))
        object.__setattr__(self, "delay", nonnegative_integer("best_response", "delay", self.delay))
        if self.delay and self.order != "asynchronous":
            raise OptionError(
                f"best_response: delay={self.delay} is for order='asynchronous'; the order is {self.order!r}"
            )
        if self.order == "topological" and self.damping != 1:
            raise OptionError(
                f"best_response: order='topological' ends after one sweep of full responses: damping={self.damping!r} "
                "is for the other orders"
            )

    @property
    def rowwise(self) -> bool:
        """Whether all answer at once."""
        return self.order == "simultaneous"

    @property
    def autonomous(self) -> bool:
        """Whether the order is fixed."""
        return self.order in FIXED_ORDERS

    def guarantee(self, game: Game) -> Guarantee:
        """Return whether one sweep ends the run, or a contraction in a weighted maximum norm is proved."""
        if self.damping == 1 and self.order in ("sequential", "topological"):
            ended = one_sweep_guarantee(game, listed=self.order == "sequential")
            if ended is not None:
                return ended
        # A block norm over layers says nothing about neurons that answer one after the other.
        name = "neuron_contraction" if getattr(game, "neurons", False) else "joint_contraction"
        verdict = verdict_of(name, game)
        if not verdict.proved:
            return no_guarantee("no contraction in a weighted maximum norm over the players is proved")
        factor, weights = float(verdict.witness["factor"]), verdict.witness["weights"]
        sweep = (1 - self.damping * (1 - factor)) * (1 + 4e-16)
        if sweep >= 1:
            return no_guarantee(f"the joint map contracts by {shown(factor)} only: no rate is left after rounding")
        sweeps = 1 + -(-self.delay // game.space.count)
        pace, power = (
            ("every sweep contracts", "k")
            if sweeps == 1
            else (f"{sweeps} sweeps with delays of up to {self.delay} events contract", f"ceil(k/{sweeps})")
        )
        return Guarantee(
            Decision.PROVED,
            f"the joint map contracts by {shown(factor)} in a weighted maximum norm over the players, so {pace} by "
            f"{shown(sweep)}, to the unique equilibrium",
            f"{name}, Bertsekas and Tsitsiklis (1989)",
            margin=1 - sweep,
            witness={"map": "joint", "factor": sweep, "sweeps": sweeps, "weights": weights},
            references=("bertsekas1989",),
            rate=Rate(
                "distance",
                weighted_max_norm(game, weights),
                lambda k, d: sweep ** -(-k // sweeps) * d,
                f"max_l |x_l - x*_l| / u_l <= {sweep:.6g}^{power} of its start",
            ),
        )

    def problem(self, game: Game, rng: np.random.Generator) -> ResponseProblem:
        """Return the best-response view."""
        problem = ResponseProblem(game, rng, self.delay)
        if self.order == "topological":
            problem.forward = forward_pass(game)
            if problem.forward is None:
                players, _ = players_in_order(game)
                if players is None:
                    raise NotApplicableError(
                        "no order of the players has each after all that it listens to; use order='sequential'"
                    )
                problem.players = players
        elif self.order == "sequential" and self.damping == 1:
            problem.compiled = _compiled(game)
        return problem

    def start(self, problem: ResponseProblem, x0: Array) -> State:
        """Return the state at x0, with its residual."""
        if self.order == "sequential" and self.damping == 1:
            # Where the time is up before there is an answer, the run ends at its start.
            with suppress(TimeUpError):
                forward = forward_pass(problem.game)
                problem.forward = forward if forward is not None and forward.in_listed_order else None
        return State(x0, problem.norm(problem.game.residuals(x0)), 1)

    def step(self, problem: ResponseProblem, state: State) -> State:
        """Return the state after one sweep."""
        if problem.forward is not None:
            problem.forward_sweep(state.x)
            # The same numbers follow from them again: the displacement of another sweep is 0, where they are numbers.
            return State(state.x, 0.0 if np.isfinite(state.x).all() else math.nan, state.evaluations + 1)
        before = state.x.copy() if ending() < math.inf else None
        try:
            if self.order == "asynchronous":
                problem.late_sweep(state.x, self.damping)
                return State(state.x, norm(problem.game.residuals(state.x)), state.evaluations + 2)
            moved = problem.sweep(state.x, self.order, self.damping)
        except TimeUpError:
            state.x[...] = before
            raise Ended(Status.MAX_SECONDS, "the time was up within a sweep, which does not count") from None
        return State(state.x, moved, state.evaluations + 1)


def _compiled(game: Game) -> Callable[[Array], float] | None:
    """Return the compiled sweep of a game whose players are neurons that answer to their pre-activations alone."""
    if not isinstance(game, ProximalGame) or game.space.count != game.size or game.self_weights:
        return None
    if any(cost.metric is not None for cost in game.own.values()):
        return None
    return compiled_sweep(game.network)
