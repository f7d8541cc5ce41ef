"""A player's own cost phi(z) = f(z) + z'Qz/2 and what follows from it: response, regret, second routes.

Every player of a network game (proximal cost) and of a quadratic game pays phi_l(z) - <z, u> + a constant, where u
collects what the others do. For a network without self-loops Q = I and the response is r itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from nngames.activations import Activation
from nngames.core.bounds import symmetric_extremes
from nngames.core.errors import InputError
from nngames.core.profiles import Array
from nngames.games.metric_prox import DenseResponse, diagonal_response

_EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True, eq=False)
class OwnCost:
    """phi(z) = f(z) + z'Qz/2.

    Attributes
    ----------
    activation : Activation
        The prox of f.
    metric : ndarray or None
        Q: None for the identity, (n,) for a diagonal matrix with a separable f, (n, n) for a symmetric one.
    """

    activation: Activation
    metric: Array | None = None

    def require_strongly_convex(self, what: str) -> None:
        """Raise InputError unless Q > (1 - 1/S) Id; then phi is strongly convex and the response unique."""
        self.activation.require_penalty()
        if self.metric is None:
            return
        slope = self.activation.slope_range[1]
        needed = 1 - 1 / slope if slope > 0 else -np.inf
        if self.metric.ndim == 1:
            bad = np.flatnonzero(~(self.metric > needed))
            if bad.size:
                i = int(bad[0])
                raise InputError(
                    f"{what}[{i}]: its own cost has curvature {self.metric[i]:.6g}, not above 1 - 1/S = {needed:.6g} "
                    f"for activation {self.activation.name!r}, so its best response is not unique; a self-weight "
                    "must be below 1/S"
                )
            return
        smallest, _ = symmetric_extremes(self.metric)
        if not smallest.lower > needed:
            raise InputError(
                f"{what}: the smallest eigenvalue of its own curvature is {smallest.lower:.6g}; it must exceed "
                f"1 - 1/S = {needed:.6g} for activation {self.activation.name!r}"
            )

    @cached_property
    def modulus(self) -> float:
        """A lower bound on the strong convexity modulus of phi; inf if dom f is a point."""
        slope = self.activation.slope_range[1]
        if slope == 0:
            return np.inf
        if self.metric is None:
            return 1 / slope
        curvature = self.metric.min() if self.metric.ndim == 1 else symmetric_extremes(self.metric)[0].lower
        return 1 / slope + float(curvature) - 1

    def quadratic(self, z: Array) -> Array:
        """Return Q z for z (..., n)."""
        if self.metric is None:
            return z
        return self.metric * z if self.metric.ndim == 1 else z @ self.metric

    def value(self, z: Array) -> Array:
        """Return phi(z) for z (..., n); +inf off dom f."""
        return self.activation.layer_sum(self.activation.penalty(z)) + 0.5 * np.sum(z * self.quadratic(z), axis=-1)

    def response(self, u: Array) -> Array:
        """Return argmin phi(z) - <z, u> for u (..., n)."""
        if self.metric is None:
            return self.activation(u)
        if self.metric.ndim == 1:
            return diagonal_response(self.activation, self.metric, u)
        return self._dense_response(u)

    @cached_property
    def _dense_response(self) -> DenseResponse:
        return DenseResponse(self.activation, np.asarray(self.metric))

    def coordinate_regret(self, x: Array, u: Array) -> tuple[Array, Array]:
        """Return the regret at the action x against u and a bound on its rounding error, by coordinate if separable.

        With p the response, s = u - (Q - I) p and d = x - p: p = r(s), and the regret is the Fenchel-Young gap of
        (x, s) plus d'(Q - I)d/2. Both parts are computed without cancellation; where Q < I the second is negative, and
        what its rounding and p's can do is in the bound.
        """
        if self.metric is None:
            return self.activation.gap(x, u)
        p = self.response(u)
        gap, error = self.activation.gap(x, u - self.quadratic(p) + p)
        d = x - p
        rest = 0.5 * d * (self.quadratic(d) - d)
        rest = rest if self.activation.separable and self.metric.ndim == 1 else np.sum(rest, axis=-1)
        if self.activation.separable and self.metric.ndim == 2:
            gap, error = np.sum(gap, axis=-1), np.sum(error, axis=-1)
        size = np.abs(d) if rest.shape == d.shape else np.linalg.norm(d, axis=-1)
        magnitude = np.abs(p) if rest.shape == d.shape else np.linalg.norm(p, axis=-1)
        error = error + 64 * _EPS * (np.abs(rest) + gap + size * (magnitude + _EPS * magnitude))
        return np.maximum(gap + rest, 0.0), error

    def regret(self, x: Array, u: Array) -> tuple[Array, Array]:
        """Return the regret summed over the player's coordinates, and its error bound, for x and u (..., n)."""
        value, error = self.coordinate_regret(x, u)
        if self.activation.separable and (self.metric is None or self.metric.ndim == 1):
            return np.sum(value, axis=-1), np.sum(error, axis=-1)
        return value, error
