"""Certification of cycles: every mover's gain in exact rational arithmetic, or in balls of growing precision.

A coupled player's gain is phi(z) - phi(z') - <z - z', u(x)> (the constant of the cost cancels), a tracking player's
<z - z', (z + z')/2 - r(v(x))>.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from nngames.checks.exact_game import ExactGame, rationals
from nngames.core.enclosures import outward_floats
from nngames.core.errors import NotApplicableError
from nngames.core.exact import fraction, nearest_float
from nngames.core.profiles import Array, Player
from nngames.games import CoupledGame, Game, TrackingGame
from nngames.results.cycle import Cycle, Deviation

#: Bits of the ball arithmetic, tried in this order until the sign of a gain is known to some digits.
_PRECISIONS = (64, 128, 256, 512, 1024)
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
    given: Any = game.network.input_weight
    if given is not None and not (given.has_dense or hasattr(given, "matrix")):
        return "the weight of the fixed input is a map without a matrix"
    return None


class Certifier(ExactGame):
    """Exact gains in a coupled or tracking game for which ``certification_reason`` is None."""

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
        if not path or not np.isfinite(path[0][1]).all() or self.off_domain(path[0][1]):
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

    def off_domain(self, x: Array) -> bool:
        """Return whether some block's actions are certainly off its domain, also where it never moves."""
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
                low, high = outward_floats(gain, gain)
            # The sign, and the first six digits.
            if (low > 0 or high < 0) and high - low <= 1e-6 * max(abs(low), abs(high)):
                break
        return None, (low, high)

    def _flint_gain(self, mover: Player, before: Array, after: Array) -> Any | None:
        """Return the gain as fmpq or arb in the working precision; None off the domain of the mover's penalty."""
        block, coordinate = self.places[mover]
        where = self.game.network.space.slices[block]
        old, new, x = rationals(before[where]), rationals(after[where]), rationals(before)
        moved = range(len(old)) if coordinate is None else (coordinate,)
        if isinstance(self.game, TrackingGame):
            answer = self.game.network.activations[block].flint_response(self.preactivation(block, x))
            return sum((old[i] - new[i]) * ((old[i] + new[i]) / 2 - answer[i]) for i in moved)
        costs = self.own_cost(block, old), self.own_cost(block, new)
        if costs[0] is None or costs[1] is None:
            return None
        u = {i: self.drive(block, i, x) for i in moved} if coordinate is not None else self.block_drive(block, x)
        return costs[0] - costs[1] - sum((old[i] - new[i]) * u[i] for i in moved)


def _down(value: Fraction) -> float:
    nearest = nearest_float(value)
    return nearest if nearest <= value else math.nextafter(nearest, -math.inf)


def _up(value: Fraction) -> float:
    return -_down(-value)
