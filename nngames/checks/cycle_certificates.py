"""Certification of cycles: every mover's gain in exact rational arithmetic, or in balls of growing precision.

The floats of a profile and of the game's data are taken as the rationals they are. A coupled player's gain is
phi(z) - phi(z') - <z - z', u(x)> (the constant of the cost cancels), a tracking player's
<z - z', (z + z')/2 - r(v(x))>.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from nngames.activations import Activation
from nngames.activations.foundations.projections import SetProjection
from nngames.core.deadlines import look
from nngames.core.errors import NotApplicableError
from nngames.core.exact import fraction, nearest_float, rational
from nngames.core.profiles import Array, Player
from nngames.games import CoupledGame, Game, TrackingGame
from nngames.results.cycle import Cycle, Deviation

#: Bits of the ball arithmetic, tried in this order until the sign of a gain is known to some digits.
_PRECISIONS = (64, 128, 256, 512, 1024)
# Seconds to solve an exact system of n unknowns, over n^3.
_SOLVE = 1e-7
#: One step of a path: the mover, and the profile before the step.
Step = tuple[Player, Array]


def certification_reason(game: Game) -> str | None:
    """Return why gains in this game cannot be certified; None if they can."""
    if not isinstance(game, CoupledGame | TrackingGame):
        return f"no exact form of the costs of a {type(game).__name__} is known"
    if not game.network.linear:
        return "a coupling is not linear"
    if not all(weight.has_dense for weight in game.network.weights.values()):
        return "a coupling is too large to be written out"
    return None


class Certifier:
    """Exact gains and best responses in a coupled or tracking game with linear couplings.

    Parameters
    ----------
    game : CoupledGame or TrackingGame
        One for which ``certification_reason`` is None.
    deadline : float
        A moment of time.monotonic, after which TimeUpError is raised where numbers are made exact or systems solved.
    """

    def __init__(self, game: Any, deadline: float = math.inf) -> None:
        self.game, self.deadline = game, deadline
        self._weights: dict[Any, Any] = {}
        self._metrics: dict[Player, Any] = {}
        blocks = game.network.dims.items()
        places: list[Any] = [(block, i) for block, n in blocks for i in range(n)] if game.neurons else []
        self._places = dict(zip(game.players, places or [(block, None) for block, _ in blocks], strict=True))

    # Cycles

    def cycle(self, path: Sequence[Step]) -> Cycle | None:
        """Certify a closed path in which every step strictly improves its mover.

        Parameters
        ----------
        path : sequence of (mover, profile before its step)
            The last step leads back to the first profile.

        Returns
        -------
        Cycle or None
            None where a step is not proved to improve, no exact form of a cost is known, or a player that stands still
            does so off its domain.
        """
        if not path or not np.isfinite(path[0][1]).all() or self._off_domain(path[0][1]):
            return None
        steps = []
        for i, (mover, before) in enumerate(path):
            step = self.deviation(mover, before, path[(i + 1) % len(path)][1])
            if step is None or not step.strict:
                return None
            steps.append(step)
        return Cycle(tuple(steps), self.game.cost_name)

    def deviation(self, mover: Player, before: Array, after: Array) -> Deviation | None:
        """Return the deviation with its gain; None if it is not the mover's alone, or no exact form is known."""
        where = self.game.space.slices[mover]
        others = np.ones(before.size, dtype=bool)
        others[where] = False
        if not np.array_equal(before[others], after[others]) or not np.isfinite([before, after]).all():
            return None
        try:
            gain, bounds = self._gain(mover, before, after)
        except NotApplicableError:
            return None
        if bounds is None:
            return None
        answer = self.response(mover, rationals(before))
        best = answer is not None and answer == rationals(after[where])
        return Deviation(mover, before.copy(), after.copy(), gain, bounds, best)

    def _off_domain(self, x: Array) -> bool:
        """Whether some block's actions are certainly off its domain, also where it never moves."""
        if isinstance(self.game, TrackingGame):
            return False
        for block, own in self.game.own.items():
            try:
                if own.activation.flint_conjugate(rationals(x[self.game.blocks.slices[block]])) is None:
                    return True
            except NotApplicableError:
                continue  # Without an exact form the domain is not known exactly either.
        return False

    def _gain(self, mover: Player, before: Array, after: Array) -> tuple[Fraction | None, tuple[float, float] | None]:
        from flint import arb, ctx

        low, high = -math.inf, math.inf
        for precision in _PRECISIONS:
            with ctx.workprec(precision):
                gain = self._flint_gain(mover, before, after)
                if gain is None:
                    return None, None
                if not isinstance(gain, arb):
                    exact = fraction(gain)
                    return exact, (_down(exact), _up(exact))
                if not gain.is_finite():
                    continue
                # Not by way of rationals: FLINT aborts where an exponent is too large for one.
                low = math.nextafter(float(gain.lower()), -math.inf)
                high = math.nextafter(float(gain.upper()), math.inf)
            # The sign, and the first six digits.
            if (low > 0 or high < 0) and high - low <= 1e-6 * max(abs(low), abs(high)):
                break
        return None, (low, high)

    def _flint_gain(self, mover: Player, before: Array, after: Array) -> Any | None:
        """Return the gain as fmpq or arb in the working precision; None off the domain of the mover's penalty."""
        block, coordinate = self._places[mover]
        where = self.game.network.space.slices[block]
        old, new, x = rationals(before[where]), rationals(after[where]), rationals(before)
        moved = range(len(old)) if coordinate is None else (coordinate,)
        if isinstance(self.game, TrackingGame):
            answer = self.game.network.activations[block].flint_response(self._preactivation(block, x))
            return sum((old[i] - new[i]) * ((old[i] + new[i]) / 2 - answer[i]) for i in moved)
        costs = self._own_cost(block, old), self._own_cost(block, new)
        if costs[0] is None or costs[1] is None:
            return None
        u = {i: self._drive(block, i, x) for i in moved} if coordinate is not None else self._block_drive(block, x)
        return costs[0] - costs[1] - sum((old[i] - new[i]) * u[i] for i in moved)

    # Best responses

    def response(self, player: Player, x: list[Any]) -> list[Any] | None:
        """Return a player's best response to rational actions (N,) if it is known to be rational; else None."""
        try:
            return self._response(player, x)
        except NotApplicableError:
            return None  # For instance rows of an affine set that are dependent only up to rounding.

    def _response(self, player: Player, x: list[Any]) -> list[Any] | None:
        block, coordinate = self._places[player]
        activation = self.game.network.activations[block]
        if not activation.piecewise_linear:
            return None
        if isinstance(self.game, TrackingGame):
            answer = activation.flint_response(self._preactivation(block, x))
        else:
            if coordinate is None:
                u = self._block_drive(block, x)
            else:
                # Neurons answer by coordinate: what the others of the block hear does not matter.
                u = [self._drive(block, coordinate, x)] * self.game.network.dims[block]
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
        block, coordinate = self._places[player]
        if isinstance(self.game, TrackingGame):
            u = self._preactivation(block, x)
        elif self.game.own[block].metric is None:
            u = self._block_drive(block, x)
        else:
            return None
        answer = self.game.network.activations[block].flint_response(u)
        return answer if coordinate is None else answer[coordinate : coordinate + 1]

    # The own cost

    def _own_cost(self, block: Player, z: list[Any]) -> Any | None:
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

    def _block_drive(self, block: Player, x: list[Any]) -> list[Any]:
        """Return u_l(x): what the others contribute to the block's pre-activation; for neurons by coordinate."""
        if self.game.neurons and (block, block) in self.game.network.weights:
            return [self._drive(block, i, x) for i in range(self.game.network.dims[block])]
        return self._preactivation(block, x, without=block)

    def _drive(self, block: Player, coordinate: int, x: list[Any]) -> Any:
        """Return what the others contribute to one neuron's pre-activation."""
        network = self.game.network
        total = rational(network.effective_bias(block)[coordinate])
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

    def _preactivation(self, block: Player, x: list[Any], without: Player | None = None) -> list[Any]:
        """Return v_l(x), or without the part of one source."""
        network = self.game.network
        total = [rational(value) for value in network.effective_bias(block).tolist()]
        for target, source in network.weights:
            if target == block and source != without:
                product = _times(self._rational(target, source), x[network.space.slices[source]])
                total = [a + b for a, b in zip(total, product, strict=True)]
        return total

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


def _down(value: Fraction) -> float:
    nearest = nearest_float(value)
    return nearest if nearest <= value else math.nextafter(nearest, -math.inf)


def _up(value: Fraction) -> float:
    return -_down(-value)
