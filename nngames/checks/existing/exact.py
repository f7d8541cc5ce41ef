"""Whether floats are an equilibrium exactly: x = r(Ax + b) in rationals of flint, A and b as the data define them."""

from __future__ import annotations

from math import inf
from typing import Any

import numpy as np

from nngames.activations.foundations.domain import BoxDomain
from nngames.core.deadlines import look
from nngames.core.errors import NNGamesError
from nngames.core.exact import rational
from nngames.core.profiles import Array, Player
from nngames.games import NetworkGame
from nngames.networks.rational_bias import rational_bias


def is_exact_equilibrium(game: Any, x: Array, deadline: float = inf) -> bool:
    """Decide by exact or ball arithmetic whether the floats x are an equilibrium; False where it is not known.

    Parameters
    ----------
    game : CoupledGame or TrackingGame
        One with linear couplings that can be written out.
    x : ndarray (N,)
    deadline : float
        Of time.monotonic: every row looks at it.

    Raises
    ------
    TimeUpError
        After the deadline.
    """
    equation = _Rows(game, x, deadline)
    slices = game.network.space.slices
    with np.errstate(all="ignore"):
        off = np.abs(np.asarray(game.residuals(x), dtype=np.float64))
    # What is no equilibrium shows soonest there.
    worst = int(np.argmax(np.where(np.isnan(off), inf, off)))
    first = next(block for block, where in slices.items() if where.start <= worst < where.stop)
    try:
        if _by_coordinate(game.network.activations[first]) and not equation.holds_at(first, worst):
            return False
        return all(equation.holds(block) for block in sorted(slices, key=lambda block: block != first))
    except NNGamesError:
        return False


def _by_coordinate(activation: Any) -> bool:
    # Of separable responses, only the projection on a box has ends of its own for each coordinate.
    return activation.separable and not isinstance(activation.domain if activation.monotone else None, BoxDomain)


class _Rows:
    """The rows of x = r(Ax + b), A = W and, where a cost has a curvature Q of its own, W + I - Q."""

    def __init__(self, game: Any, x: Array, deadline: float) -> None:
        self.game, self.deadline = game, deadline
        self.x = [rational(value) for value in x.tolist()]
        self._bias: dict[Player, list[Any]] = {}

    def holds(self, block: Player) -> bool:
        """Return whether a layer's actions are its response."""
        where = self.game.network.space.slices[block]
        v = [self._row(block, i) for i in range(where.stop - where.start)]
        return self._are(block, v, self.x[where])

    def holds_at(self, block: Player, place: int) -> bool:
        """Return whether one coordinate's action is its response."""
        v = self._row(block, place - self.game.network.space.slices[block].start)
        return self._are(block, [v], [self.x[place]])

    def _are(self, block: Player, v: list[Any], actions: list[Any]) -> bool:
        answers = self.game.network.activations[block].flint_response(v)
        return all(answer - action == 0 for answer, action in zip(answers, actions, strict=True))

    def _row(self, block: Player, i: int) -> Any:
        """Return one pre-activation."""
        look(self.deadline)
        network = self.game.network
        if block not in self._bias:
            self._bias[block] = rational_bias(network, block)
        total = self._bias[block][i]
        for target, source in network.weights:
            if target == block:
                total = total + self._product(network.weights[target, source].dense[i], source)
        metric = None if isinstance(self.game, NetworkGame) else self.game.own[block].metric
        if metric is None:
            return total
        row = metric[i] if metric.ndim == 2 else np.eye(1, len(metric), i)[0] * metric[i]
        return total + self.x[network.space.slices[block].start + i] - self._product(row, block)

    def _product(self, row: Array, source: Player) -> Any:
        start = self.game.network.space.slices[source].start
        terms = np.flatnonzero(row)
        return sum((rational(row[j]) * self.x[start + j] for j in terms.tolist()), rational(0.0))
