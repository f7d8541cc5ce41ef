"""Commitments of one leader against smooth answers: sought in floating point, with bounds in ball arithmetic.

The others answer the commitment z by R(z), an equilibrium among themselves; the leader pays J(z, R(z)) >= e(v), with
v = v(R(z)) what it hears and e(v) = g*(r(v)) - <r(v), v> + |v|^2/2 its cost at the best answer to v.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nngames.checks.cycle_certificates import Certifier, certification_reason
from nngames.checks.leading.order import Hearing, listening_order
from nngames.core.ball_ranges import working_precision
from nngames.core.enclosures import outward_floats
from nngames.core.errors import DomainError, NotApplicableError
from nngames.core.exact import rational, rational_matrix
from nngames.core.profiles import Array, Player
from nngames.games import Game
from nngames.networks.rational_bias import rational_bias

#: Steps of the followers towards an equilibrium among themselves, and the change at which they have arrived.
MOST_STEPS, ARRIVED = 2000, 1e-13
#: Standard deviations of the drawn first commitments, and how many are drawn with each.
SCALES, DRAWS = (0.1, 1.0, 10.0), 4
#: Boxes of commitments examined for the lower bound, and the gap, relative to max(1, |value|), at which it is done.
MOST_BOXES, GAP = 4000, 1e-4
#: Bits of the balls.
_PRECISION = 128


class Answers:
    """The followers' answers to a leader's commitment.

    Parameters
    ----------
    game : Game
    leader : Player
    heard : Hearing
    """

    def __init__(self, game: Game, leader: Player, heard: Hearing) -> None:
        self.game, self.leader = game, leader
        self.where = game.space.slice(leader)
        self.order = listening_order(heard, [player for player in heard if player != leader])

    @property
    def unique(self) -> bool:
        """Whether the followers' couplings have no cycle, so that they have exactly one answer."""
        return self.order is not None

    def profile(self, commitment: Array, start: Array) -> Array | None:
        """Return the commitment with the answers to it; None if they are not found."""
        x = start.copy()
        x[self.where] = commitment
        if self.order is not None:
            for player in self.order:
                x[self.game.space.slice(player)] = self.game.answer(player, x)
            return x
        for _ in range(MOST_STEPS):
            answered = self.game.answers(x)
            answered[self.where] = commitment
            change = float(np.abs(answered - x).max(initial=0.0))
            x = answered
            if change <= ARRIVED * max(1.0, float(np.abs(x).max())):
                return x
            if not np.isfinite(x).all():
                return None
        return None

    def cost(self, commitment: Array, start: Array) -> float:
        """Return the leader's cost with the answers; inf where there is none, or off its domain."""
        with np.errstate(over="ignore", invalid="ignore"):
            try:
                x = self.profile(commitment, start)
                value = np.inf if x is None else float(self.game.cost(self.leader, x))
            except DomainError:
                return np.inf
        return value if np.isfinite(value) else np.inf


def best_commitment(answers: Answers, start: Array, rng: np.random.Generator, deadline: float) -> Array:
    """Return the best commitment that is found from an equilibrium, from zero and from drawn ones."""
    from scipy.optimize import minimize

    n = answers.where.stop - answers.where.start
    drawn = [scale * rng.normal(size=n) for scale in SCALES for _ in range(DRAWS)]
    best = start[answers.where].copy()
    least = answers.cost(best, start)

    class _OutOfTimeError(Exception):
        pass

    def cost(z: Array) -> float:
        nonlocal best, least
        value = answers.cost(z, start)
        if value < least:
            best, least = z.copy(), value
        if time.monotonic() > deadline:
            raise _OutOfTimeError
        return value

    for first in [best.copy(), np.zeros(n), *drawn]:
        # On the domain, from which the simplex method may stray; costs are infinite there.
        first = answers.game.network.activations[_block(answers.game, answers.leader)].domain.project(first)  # type: ignore[attr-defined]
        try:
            # Costs may be infinite at all the points that are compared.
            with np.errstate(invalid="ignore"):
                minimize(cost, first, method="Nelder-Mead", options={"xatol": 1e-10, "fatol": 1e-14, "maxfev": 400 * n})
        except _OutOfTimeError:
            break
    return best


def _block(game: Any, player: Player) -> Player:
    return player if not game.neurons else game._places[player][0]


@dataclass(frozen=True)
class CostBalls:
    """The leader's cost in ball arithmetic, for answers that are unique.

    Attributes
    ----------
    answers : Answers
    certifier : Certifier
    """

    answers: Answers
    certifier: Certifier

    @staticmethod
    def of(answers: Answers) -> CostBalls | None:
        """Return the evaluation; None where no enclosure of the cost is known."""
        game: Any = answers.game
        if certification_reason(game) is not None or game.neurons or game.cost_name != "proximal":
            return None
        if game.self_weights:
            return None
        certifier = Certifier(game)
        return CostBalls(answers, certifier) if certifier.encloses_responses else None

    def at(self, x: Sequence[Any]) -> Any | None:
        """Return a ball with f(z) + |z - v|^2/2 for all profiles in the balls x; None where none is known."""
        v = self._heard(x)
        return self._of(list(x[self.answers.where]), v)

    def answered(self, commitment: Sequence[Any]) -> list[Any] | None:
        """Return balls with the commitments and the answers to all of them."""
        from flint import arb

        assert self.answers.order is not None  # noqa: S101 - balls are asked for where answers are unique
        x = [arb(0)] * self.answers.game.size
        x[self.answers.where] = commitment
        for player in self.answers.order:
            enclosed = self.certifier.enclosed_response(player, x)
            if enclosed is None:
                return None
            x[self.answers.game.space.slice(player)] = [arb(t) for t in enclosed]
        return x

    def floor(self, x: Sequence[Any]) -> Any | None:
        """Return a ball with e(v) over all profiles in the balls x."""
        game: Any = self.answers.game
        v = self._heard(x)
        return self._of(game.network.activations[self.answers.leader].flint_response(v), v)

    def _of(self, z: list[Any], v: list[Any]) -> Any | None:
        game: Any = self.answers.game
        try:
            value = game.network.activations[self.answers.leader].flint_conjugate(z)
        except NotApplicableError:
            return None
        if value is None:
            return None
        return value - sum(a * b for a, b in zip(z, v, strict=True)) + sum(t * t for t in v) / 2

    def _heard(self, x: Sequence[Any]) -> list[Any]:
        from flint import arb

        game: Any = self.answers.game
        network, leader = game.network, self.answers.leader
        v = [arb(b) for b in rational_bias(network, leader)]
        for (target, source), weight in network.weights.items():
            if target == leader:
                matrix, part = rational_matrix(weight.dense), x[network.space.slices[source]]
                for i in range(len(v)):
                    v[i] = v[i] + sum((arb(matrix[i, j]) * t for j, t in enumerate(part)), arb(0))
        return v


def enclosed_cost(balls: CostBalls, commitment: Array) -> tuple[float, float] | None:
    """Return bounds of the leader's cost at one commitment with the answers to it."""
    from flint import arb

    with working_precision(_PRECISION):
        x = balls.answered([arb(rational(t)) for t in commitment.tolist()])
        return None if x is None else _ends(balls.at(x))


def enclosed_cost_near(balls: CostBalls, profile: Array, radius: float) -> tuple[float, float] | None:
    """Return bounds of the leader's cost over the profiles within ``radius`` in every coordinate."""
    from flint import arb

    with working_precision(_PRECISION):
        return _ends(balls.at([arb(rational(t), radius) for t in profile.tolist()]))


def least_cost_bound(balls: CostBalls, value: float, deadline: float) -> float | None:
    """Return a proved lower bound on the leader's cost over all commitments of one number in a bounded interval.

    None where none is known. Boxes with the least bounds are cut first; on each the bound is the larger one of J's
    and e's.
    """
    from flint import arb

    game: Any = balls.answers.game
    where, activation = balls.answers.where, game.network.activations[balls.answers.leader]
    if where.stop - where.start != 1:
        return None
    low, high = (float(activation.domain.project(np.array([end]))[0]) for end in (-np.inf, np.inf))
    if not np.isfinite([low, high]).all():
        return None

    def bound(a: float, b: float) -> float:
        z = arb((rational(a) + rational(b)) / 2, (rational(b) - rational(a)) / 2)
        x = balls.answered([z])
        if x is None:
            return -np.inf
        found = [ends[0] for ends in (_ends(balls.at(x)), _ends(balls.floor(x))) if ends is not None]
        return max(found, default=-np.inf)

    with working_precision(_PRECISION):
        heap = [(bound(low, high), low, high)]
        for _ in range(MOST_BOXES):
            least, a, b = heap[0]
            if least >= value - GAP * max(1.0, abs(value)) or time.monotonic() > deadline:
                break
            middle = a + (b - a) / 2
            heapq.heapreplace(heap, (bound(a, middle), a, middle))
            heapq.heappush(heap, (bound(middle, b), middle, b))
    return heap[0][0] if np.isfinite(heap[0][0]) else None


def _ends(ball: Any | None) -> tuple[float, float] | None:
    from flint import arb

    if ball is None or not arb(ball).is_finite():
        return None
    return outward_floats(arb(ball), arb(ball))
