"""Exact costs and best responses of single players, in rational or in ball arithmetic, with linear couplings.

The floats of a profile and of the game's data are taken as the rationals they are.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from nngames.activations import Activation
from nngames.activations.foundations.projections import SetProjection
from nngames.core.deadlines import look
from nngames.core.errors import NotApplicableError
from nngames.core.exact import rational
from nngames.core.profiles import Array, Player
from nngames.games import TrackingGame
from nngames.networks.rational_bias import rational_bias

# Seconds to solve an exact system of n unknowns, over n^3.
_SOLVE = 1e-7


class ExactGame:
    """What the players of a coupled or tracking game with linear couplings hear, pay and answer, exactly.

    Parameters
    ----------
    game : CoupledGame or TrackingGame
        One with linear couplings that can be written out.
    deadline : float
        A moment of time.monotonic, after which TimeUpError is raised where numbers are made exact or systems solved.

    Attributes
    ----------
    places : mapping player -> (block, coordinate or None)
        The block that a player belongs to, and its coordinate there where it is a neuron.
    """

    def __init__(self, game: Any, deadline: float = math.inf) -> None:
        self.game, self.deadline = game, deadline
        self._weights: dict[Any, Any] = {}
        self._metrics: dict[Player, Any] = {}
        self._biases: dict[Player, list[Any]] = {}
        blocks = game.network.dims.items()
        places: list[Any] = [(block, i) for block, n in blocks for i in range(n)] if game.neurons else []
        self.places = dict(zip(game.players, places or [(block, None) for block, _ in blocks], strict=True))

    # Best responses

    def response(self, player: Player, x: list[Any]) -> list[Any] | None:
        """Return a player's best response to rational actions (N,) if it is known to be rational; else None."""
        try:
            return self._response(player, x)
        except NotApplicableError:
            return None  # For instance rows of an affine set that are dependent only up to rounding.

    def _response(self, player: Player, x: list[Any]) -> list[Any] | None:
        block, coordinate = self.places[player]
        activation = self.game.network.activations[block]
        if not activation.piecewise_linear:
            return None
        if isinstance(self.game, TrackingGame):
            answer = activation.flint_response(self.preactivation(block, x))
        else:
            if coordinate is None:
                u = self.block_drive(block, x)
            else:
                # Neurons answer by coordinate: what the others of the block hear does not matter.
                u = [self.drive(block, coordinate, x)] * self.game.network.dims[block]
            metric = self.metric(block)
            if metric is not None:
                look(self.deadline - _SOLVE * metric.nrows() ** 3)
            found = rational_response(activation, metric, u)
            if found is None:
                return None
            answer = found
        return answer if coordinate is None else answer[coordinate : coordinate + 1]

    @property
    def encloses_responses(self) -> bool:
        """Whether ``enclosed_response`` is known for every player: no player has a curvature of its own."""
        return isinstance(self.game, TrackingGame) or all(own.metric is None for own in self.game.own.values())

    def enclosed_response(self, player: Player, x: list[Any]) -> list[Any] | None:
        """Return balls that contain a player's best responses to all actions in the balls x (N,); None if unknown."""
        block, coordinate = self.places[player]
        if isinstance(self.game, TrackingGame):
            u = self.preactivation(block, x)
        elif self.game.own[block].metric is None:
            u = self.block_drive(block, x)
        else:
            return None
        answer = self.game.network.activations[block].flint_response(u)
        return answer if coordinate is None else answer[coordinate : coordinate + 1]

    # The own cost

    def own_cost(self, block: Player, z: list[Any]) -> Any | None:
        """Return phi(z) = g*(z) + z'(Q - I)z/2 exactly or as a ball; None off dom f."""
        total, metric = self.game.own[block].activation.flint_conjugate(z), self.metric(block)
        if total is None or metric is None:
            return total
        for i, j in itertools.product(range(len(z)), repeat=2):
            excess = metric[i, j] - int(i == j)
            if excess != 0:
                total = total + z[i] * z[j] * excess / 2
        return total

    def metric(self, block: Player) -> Any | None:
        """Return Q as a rational matrix, None for the identity; with a self-loop I - W_ll, which floats may round."""
        own, loop = self.game.own[block].metric, self.game.self_weights.get(block)
        if own is None:
            return None
        if block not in self._metrics:
            if loop is None:
                self._metrics[block] = self._exact_matrix(np.diag(own) if own.ndim == 1 else own)
            else:
                weight = self._exact_matrix(np.diag(loop) if loop.ndim == 1 else loop)
                self._metrics[block] = self._exact_matrix(np.eye(weight.nrows())) - weight
        return self._metrics[block]

    # What the others do

    def block_drive(self, block: Player, x: list[Any]) -> list[Any]:
        """Return u_l(x): what the others contribute to the block's pre-activation; for neurons by coordinate."""
        if self.game.neurons and (block, block) in self.game.network.weights:
            return [self.drive(block, i, x) for i in range(self.game.network.dims[block])]
        return self.preactivation(block, x, without=block)

    def drive(self, block: Player, coordinate: int, x: list[Any]) -> Any:
        """Return what the others contribute to one neuron's pre-activation."""
        network = self.game.network
        total = self._bias(block)[coordinate]
        for target, source in network.weights:
            if target != block:
                continue
            # One row, as floats: the rational form of the whole matrix takes seconds where it is large.
            look(self.deadline)
            row, start = network.weights[target, source].dense[coordinate], network.space.slices[source].start
            for j in np.flatnonzero(row).tolist():
                if source != block or j != coordinate:
                    total = total + rational(row[j]) * x[start + j]
        return total

    def preactivation(self, block: Player, x: list[Any], without: Player | None = None) -> list[Any]:
        """Return v_l(x), or without the part of one source."""
        network = self.game.network
        total = self._bias(block)
        for target, source in network.weights:
            if target == block and source != without:
                product = _times(self._rational(target, source), x[network.space.slices[source]])
                total = [a + b for a, b in zip(total, product, strict=True)]
        return total

    def _bias(self, block: Player) -> list[Any]:
        if block not in self._biases:
            look(self.deadline)
            self._biases[block] = rational_bias(self.game.network, block)
        return list(self._biases[block])

    def _rational(self, target: Player, source: Player) -> Any:
        if (target, source) not in self._weights:
            self._weights[target, source] = self._exact_matrix(self.game.network.weights[target, source].dense)
        return self._weights[target, source]

    def _exact_matrix(self, matrix: Array) -> Any:
        """Return a float matrix as the rational matrix that it is."""
        from flint import fmpq_mat

        entries: list[Any] = []
        for row in np.asarray(matrix, dtype=np.float64):
            look(self.deadline)
            entries += rationals(row)
        return fmpq_mat(*matrix.shape, entries)


def rationals(values: Array) -> list[Any]:
    """Return floats as the flint rationals they are."""
    from flint import fmpq

    return [fmpq(*value.as_integer_ratio()) for value in values.tolist()]


def rational_response(activation: Activation, metric: Any | None, u: list[Any]) -> list[Any] | None:
    """Return argmin f(z) + z'Qz/2 - <z, u> exactly, for a piecewise-linear response and a rational u.

    With a metric Q it is known for the indicator of a box and diagonal Q, where it is the projection of Q^-1 u, and for
    f = 0, where it is Q^-1 u; None elsewhere.
    """
    from flint import fmpq_mat

    if metric is None:
        return activation.flint_response(u)
    if activation.name == "identity":
        return metric.solve(fmpq_mat(len(u), 1, u)).entries()
    places = itertools.product(range(len(u)), repeat=2)
    diagonal = all(metric[i, j] == 0 for i, j in places if i != j)
    if diagonal and activation.separable and isinstance(activation, SetProjection):
        return activation.flint_response([t / metric[i, i] for i, t in enumerate(u)])
    return None


def _times(matrix: Any, x: list[Any]) -> list[Any]:
    """Return a rational matrix times a list of rationals or balls."""
    from flint import arb, arb_mat, fmpq_mat

    if any(isinstance(t, arb) for t in x):
        return (arb_mat(matrix) * arb_mat(len(x), 1, [arb(t) for t in x])).entries()
    return (matrix * fmpq_mat(len(x), 1, x)).entries()
