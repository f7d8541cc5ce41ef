"""A player's own cost phi(z) = f(z) + z'Qz/2 and what follows from it: response, regret, second routes.

Every player of a network game (proximal cost) and of a quadratic game pays phi_l(z) - <z, u> + a constant, where u
collects what the others do. For a network without self-loops Q = I and the response is r itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from nngames.activations import Activation
from nngames.core.bounds import symmetric_extremes
from nngames.core.errors import InputError
from nngames.core.profiles import Array
from nngames.games.metric_prox import DenseResponse, diagonal_response
from nngames.networks.linearisation import response_change

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

    def require_strongly_convex(self, what: str, looped: bool) -> None:
        """Raise InputError unless Q > (1 - 1/S) Id; then phi is strongly convex and the response unique.

        ``looped`` says whether Q comes from a self-weight, which is then what to change.
        """
        self.activation.require_penalty()
        if self.metric is None:
            return
        slope = self.activation.slope_range[1]
        needed = 1 - 1 / slope if slope > 0 else -np.inf
        bound = f"1 - 1/S = {needed:.6g} for activation {self.activation.name!r}"
        advice = "so its best response is not unique; " + (
            "a self-weight must be below 1/S (network.feed and nng.diagnose work without a game)"
            if looped
            else f"S = {slope:.6g} is its largest slope; give it a larger quadratic term or another penalty"
        )
        if self.metric.ndim == 1:
            bad = np.flatnonzero(~(self.metric > needed))
            if bad.size:
                i = int(bad[0])
                raise InputError(
                    f"{what}[{i}]: its own cost has curvature {self.metric[i]:.6g}, not above {bound}, {advice}"
                )
            return
        smallest, _ = symmetric_extremes(self.metric)
        if not smallest.lower > needed:
            raise InputError(
                f"{what}: the smallest eigenvalue of its own curvature is {smallest.lower:.6g}, not above {bound}, "
                f"{advice}"
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
        return float(curvature) + (1 / slope - 1)

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

    def linearise(self, u: Array) -> Callable[[Array], Array]:
        """Return d -> J(u) d for u (n,) and d (n,) or (count, n), J a generalised Jacobian of the response.

        p = r(s) with s = u - (Q - I) p, so p changes by (I + R (Q - I))^{-1} R d, R the Jacobian of r at s.
        """
        if self.metric is None:
            return response_change(self.activation, u)
        p = self.response(u)
        s = u - self.quadratic(p) + p
        if self.metric.ndim == 1:
            slopes = self.activation.derivative(s)
            shares = slopes / (1 + (self.metric - 1) * slopes)
            return lambda d: shares * d
        identity = np.eye(u.size)
        transposed = response_change(self.activation, s)(identity)
        jacobian = np.linalg.solve(identity + transposed.T @ (self.metric - identity), transposed.T)
        return lambda d: d @ jacobian.T

    @cached_property
    def _dense_response(self) -> DenseResponse:
        return DenseResponse(self.activation, np.asarray(self.metric))

    def coordinate_regret(self, x: Array, u: Array) -> tuple[Array, Array]:
        """Return the regret at the action x against u and a bound on its rounding error, by coordinate if separable.

        Notes
        -----
        Let p be near the response, s = u - (Q - I) p + e with its rounding e, p^ = r(s), d = x - p and b = p^ - p.
        Since s - p^ is a subgradient of f at p^, phi(x) - phi(p^) - <x - p^, u> is exactly
        gap(x, s) + d'(Q - I)d/2 - b'(Q - I)b/2 + <x - p^, e>, and the regret of p^ itself is at most
        |(Q - I)b + e|^2/(2m), m the modulus of phi. Only the first two terms are computed, without cancellation; the
        bound covers the others, which are of second order in rounding or scale with the distance to the response.
        """
        if self.metric is None:
            return self.activation.gap(x, u)
        by_coordinate = self.activation.separable and self.metric.ndim == 1
        p = self.response(u)
        s = u - self.quadratic(p) + p
        gap, error = self.activation.gap(x, s)
        d = x - p
        rest = 0.5 * d * (self.quadratic(d) - d)
        if not by_coordinate:
            rest = np.sum(rest, axis=-1)
            if self.activation.separable:
                gap, error = np.sum(gap, axis=-1), np.sum(error, axis=-1)
        return np.maximum(gap + rest, 0.0), error + self._formula_error(d, p, s, u, by_coordinate)

    def _formula_error(self, d: Array, p: Array, s: Array, u: Array, by_coordinate: bool) -> Array:
        """Bound the terms that ``coordinate_regret`` leaves out and the rounding of d'(Q - I)d/2."""
        metric = np.asarray(self.metric)
        unit = _EPS * (4 if by_coordinate else 4 + d.shape[-1])
        image = self.activation(s)
        bend: Any
        weight: Any
        modulus: Any
        if by_coordinate:
            bend, weight, modulus = np.abs(metric - 1), 1 + np.abs(metric), self._coordinate_moduli
        else:
            bend, weight = np.linalg.norm(metric - np.eye(len(metric))), 1 + np.linalg.norm(metric)
            modulus = self.modulus

        def size(vector: Array) -> Array:
            return np.abs(vector) if by_coordinate else np.linalg.norm(vector, axis=-1)

        off = size(image - p) + 8 * _EPS * size(image)
        slip = unit * (weight * size(p) + size(u))
        return (
            unit * weight * size(d) ** 2
            + bend * off**2
            + (size(d) + off) * slip
            + (bend * off + slip) ** 2 / (2 * modulus)
        )

    @cached_property
    def _coordinate_moduli(self) -> Array:
        slope = self.activation.slope_range[1]
        return np.asarray(self.metric) + (1 / slope - 1 if slope > 0 else np.inf)

    def regret(self, x: Array, u: Array) -> tuple[Array, Array]:
        """Return the regret summed over the player's coordinates, and its error bound, for x and u (..., n)."""
        value, error = self.coordinate_regret(x, u)
        if self.activation.separable and (self.metric is None or self.metric.ndim == 1):
            return np.sum(value, axis=-1), np.sum(error, axis=-1)
        return value, error
