"""Newton's map x - C F(x), F(x) = x - r(Ax + b), on balls: when it contracts there, with every rounding bounded.

For two points of a ball, F(x) - F(y) = (I - DA)(x - y) with D diagonal and D_i a difference quotient of r_i, which is
between the least and the greatest slope d_i -+ e_i over the ball (Clarke's Jacobian at kinks). So x - C F(x) changes by
M (x - y) with |M| <= N = |I - C + C diag(d) A| + |C| diag(e) |A|, and N u <= q u with u > 0 and q < 1 makes it a
contraction in the norm max_i |x_i|/u_i: C is then invertible, and the fixed points are the roots of F.
"""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass

import numpy as np

from nngames.checks.existing.equation import EquilibriumEquation
from nngames.core.bounds import collatz_wielandt, perron_weights
from nngames.core.enclosures import Enclosed, enclosed
from nngames.core.profiles import Array

_UNIT = 2.0**-53
_SLACK = 1.01
# How many changes of the biases are tried.
_ALLOWANCES = 6


@dataclass(frozen=True, eq=False)
class Contraction:
    """What is known of x - C F(x) on a ball.

    Attributes
    ----------
    bounds : ndarray (N, N)
        The matrix N.
    weights : ndarray (N,)
        u, with max u_i = 1.
    factor : float
        q, an upper bound on max_i (N u)_i/u_i.
    """

    bounds: Array
    weights: Array
    factor: float

    def invariant_box(self, step: Enclosed) -> Array | None:
        """Return radii y >= 0 with |C F(c)| + N y <= y, so that the box of y around c is mapped into itself.

        None unless q < 1 and such radii are found; those that are, (I - N)^-1 |C F(c)|, are the least ones but for a
        millionth.
        """
        if not self.factor < 1:
            return None
        size, n = np.maximum(np.maximum(step.high, -step.low), 0.0), len(self.bounds)
        largest = float(size.max(initial=0.0))
        if not step.middle.any() and not step.radius.any():
            return np.zeros(n)
        weighted = self.weights * float(np.max(size / self.weights)) / (1 - self.factor) * (1 + 1e-9)
        candidates = [weighted]
        with contextlib.suppress(np.linalg.LinAlgError):
            candidates.append(np.linalg.solve(np.eye(n) - self.bounds, size + 1e-6 * largest))
        fitting = [
            y
            for y in candidates
            if np.isfinite(y).all()
            and (y >= 0).all()
            and (size + (self.bounds @ y) * (1 + 4 * (n + 4) * _UNIT) <= y * (1 - 4 * _UNIT)).all()
        ]
        return min(fitting, key=lambda y: float(y.max(initial=0.0)), default=None)


class NewtonMap:
    """x - C F(x) around a centre, C an approximate inverse of I - DA there.

    Parameters
    ----------
    equation : EquilibriumEquation
    centre : ndarray (N,)
    slopes : tuple of ndarray (N,), optional
        Bounds on the slopes of a box around the centre, whose middles make C; default: those at the centre.

    Raises
    ------
    SingularError
        If floats find no inverse.
    UnboundedError
        If there are no bounds on the slopes or the residual at the centre.
    NotApplicableError, DomainError
        As ``EquilibriumEquation.residual``.
    """

    def __init__(self, equation: EquilibriumEquation, centre: Array, slopes: tuple[Array, Array] | None = None) -> None:
        self.equation, self.centre = equation, centre
        v = equation.preactivations(centre)
        self.residual = equation.residual(centre, v)
        self.preactivations = enclosed(v)
        self.slopes = equation.slopes(self.preactivations) if slopes is None else slopes
        least, most = self.slopes
        self.jacobian = np.eye(equation.size) - (0.5 * (least + most))[:, None] * equation.matrix
        if not np.isfinite(self.jacobian).all():
            raise UnboundedError("the slopes of a response are not bounded at the profile")
        if not np.isfinite(self.residual.radius).all():
            raise UnboundedError("the responses at the profile are not known to any bound")
        try:
            self.inverse = np.linalg.inv(self.jacobian)
        except np.linalg.LinAlgError:
            self.inverse = np.full_like(self.jacobian, np.nan)
        if not np.isfinite(self.inverse).all():
            raise SingularError("I - DA is singular at the profile, D the slopes of the responses")
        self.step = _product(self.inverse, self.residual)
        self._absolute = np.abs(self.inverse)

    def on_ball(self, radius: float) -> Contraction:
        """Return what is known on the ball max_i |x_i - centre_i| <= radius."""
        return self._contraction(*self._slopes_around(radius))

    def bias_allowance(self, radius: float) -> float:
        """Return e > 0 such that biases changed by at most e each leave exactly one root within ``radius``, else 0.

        With pre-activations moved by up to e the slopes are between bounds s and S of larger intervals, and F(c)
        changes by at most max(|s|, |S|) e.
        """
        least, most = self._slopes_around(radius)
        known = self._contraction(least, most)
        if not known.factor < 1:
            return 0.0
        gain = float((self._absolute @ np.maximum(np.abs(least), np.abs(most))).max(initial=0.0))
        # Flat responses allow any change that leaves them flat, which is about what the ball itself moves.
        most_moved = radius * max(1.0, float(self.equation.absolute.sum(axis=1).max(initial=0.0)))
        allowed = radius * (1 - known.factor) * float(known.weights.min(initial=1.0)) / max(gain, 1e-290)
        allowed = min(allowed, most_moved)
        for _ in range(_ALLOWANCES):
            # Two digits, so that it is shown as it is.
            allowed = float(f"{allowed:.1e}") if math.isfinite(allowed) else 0.0
            if not allowed > 0:
                return 0.0
            least, most = self._slopes_around(radius, allowed)
            moved = self._absolute @ (np.maximum(np.abs(least), np.abs(most)) * allowed)
            step = Enclosed(self.step.middle, (self.step.radius + moved) * (1 + 4 * (len(moved) + 4) * _UNIT) + 1e-290)
            box = self._contraction(least, most).invariant_box(step)
            if box is not None and box.max(initial=0.0) <= radius:
                return allowed
            allowed /= 3
        return 0.0

    def _slopes_around(self, radius: float, moved: float = 0.0) -> tuple[Array, Array]:
        """Return bounds on the slopes on a ball, the pre-activations moved by up to ``moved`` besides."""
        around = self.equation.spread(self.preactivations, np.full(self.equation.size, radius))
        return self.equation.slopes(Enclosed(around.middle, np.nextafter(around.radius + moved, np.inf)))

    def _contraction(self, least: Array, most: Array) -> Contraction:
        """Return what is known where the slopes are between these bounds."""
        if not (np.isfinite(least).all() and np.isfinite(most).all()):
            infinite = np.full((self.equation.size,) * 2, np.inf)
            return Contraction(infinite, np.ones(self.equation.size), np.inf)
        bounds = self._bounds(*around_middle(least, most))
        u = np.ones(self.equation.size)
        factor = collatz_wielandt(bounds, u)
        if not factor < 1 and np.isfinite(bounds).all():
            weights = np.maximum(perron_weights(bounds), 1e-12)
            weighted = collatz_wielandt(bounds, weights / weights.max())
            if weighted < factor:
                u, factor = weights / weights.max(), weighted
        return Contraction(bounds, u, factor)

    def image(self, radii: Array) -> Enclosed:
        """Return a box with the roots of the box of ``radii`` around the centre: c - C F(c) -+ N radii.

        The slopes that the map was made with must hold on that box.
        """
        bounds, n = self._bounds(*around_middle(*self.slopes)), self.equation.size
        reach = (bounds @ radii) * (1 + 4 * (n + 4) * _UNIT) + self.step.radius
        middle = self.centre - self.step.middle
        radius = (reach + 2 * _UNIT * np.abs(middle)) * (1 + 4 * _UNIT) + 1e-290
        known = np.isfinite(middle) & np.isfinite(radius)
        return Enclosed(np.where(known, middle, 0.0), np.where(known, radius, np.inf))

    def _bounds(self, slopes: Array, spread: Array) -> Array:
        """Return N for slopes within ``spread`` of ``slopes``."""
        c, a, n = self.inverse, self.equation.matrix, self.equation.size
        gamma = (n + 4) * _UNIT * _SLACK
        product = (c * slopes) @ a
        size = (gamma * np.abs(slopes) + spread)[:, None] * self.equation.absolute
        size += (np.abs(slopes) + spread)[:, None] * self.equation.error
        identity = np.eye(n)
        middle = np.abs(identity - c + product)
        rounding = 4 * _UNIT * (identity + self._absolute + np.abs(product))
        # Products of tiny factors vanish: each by half the least float, times what multiplies it.
        vanished = 4 * n * 5e-324 * (self.equation.absolute.max(initial=1.0) + self._absolute.max(initial=1.0))
        bounds = (middle + rounding + self._absolute @ size + vanished) * (1 + 4 * (n + 4) * _UNIT) + 1e-290
        # Where infinities of both signs met.
        return np.where(np.isnan(bounds), np.inf, bounds)


class SingularError(ArithmeticError):
    """I - DA has no inverse in floats."""


class UnboundedError(SingularError):
    """What I - DA or the residual is at a point is not known to any bound."""


def around_middle(least: Array, most: Array) -> tuple[Array, Array]:
    """Return the middles of intervals and upper bounds on how far their ends are from these."""
    middle = least + (most - least) / 2
    return middle, np.nextafter(np.maximum(most - middle, middle - least), np.inf)


def _product(matrix: Array, vector: Enclosed) -> Enclosed:
    """Return bounds on a matrix of floats times an enclosed vector."""
    if not (vector.middle.any() or vector.radius.any()):
        return vector
    absolute, n = np.abs(matrix), len(matrix)
    gamma = (n + 4) * _UNIT * _SLACK
    radius = gamma * (absolute @ np.abs(vector.middle)) + absolute @ vector.radius
    middle = matrix @ vector.middle
    known = np.isfinite(middle) & np.isfinite(radius)
    return Enclosed(np.where(known, middle, 0.0), np.where(known, radius * _SLACK + 1e-290, np.inf))
