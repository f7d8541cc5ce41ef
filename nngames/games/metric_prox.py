"""The metric prox: argmin over z of f(z) + z'Qz/2 - <z, u>, the best response of a player with a metric Q of its own.

Q need not be positive definite: the cost is strongly convex iff Q > (1 - 1/S) Id, S the Lipschitz constant of the prox
of f, since f + (1 - 1/S)|.|^2/2 is convex. Each case uses the most direct route that exists:

- Q diagonal and f separable: the prox with step 1/q, or a scalar equation; Q = q I with q > 0: the prox with step 1/q;
- f = 0: a linear system;
- f the indicator of a polyhedron (affine subspaces and points included): a quadratic program;
- else Newton's method for t + (Q - I) r(t) = u, z = r(t), and where that gets stuck at kinks of r: accelerated
  proximal gradient steps, which contract since the cost is strongly convex.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from nngames.activations import Activation
from nngames.core.errors import NNGamesError
from nngames.core.profiles import Array
from nngames.core.quadratic_program import minimise_quadratic
from nngames.core.roots import increasing_root

_EPS = float(np.finfo(np.float64).eps)
_MOST_STEPS = 200_000
_NEWTON_STEPS = 60


def diagonal_response(activation: Activation, metric: Array, u: Array) -> Array:
    """Return the metric prox for Q = diag(metric), f separable, u (..., n).

    With z = r(t), stationarity reads t + (q - 1) r(t) = u, increasing in t since 1 + (q - 1) r' > 0; where q > 0 it is
    the prox of f with step 1/q at u/q, for which activations have closed forms.
    """
    q, point = np.broadcast_arrays(metric, u)
    if (q > 0).all():
        return activation.prox(point / q, 1 / q)
    root = increasing_root(
        lambda t: t + (q - 1) * activation(t) - point, lambda t: 1 + (q - 1) * activation.derivative(t), point
    )
    return activation(root)


class DenseResponse:
    """The metric prox for a symmetric matrix Q (n, n) with Q > (1 - 1/S) Id.

    Parameters
    ----------
    activation : Activation
        The prox of f.
    metric : ndarray (n, n)
    """

    def __init__(self, activation: Activation, metric: Array) -> None:
        self._activation, self._metric = activation, metric
        n = len(metric)
        scaled = float(metric[0, 0])
        self._multiple = scaled if scaled > 0 and np.array_equal(metric, scaled * np.eye(n)) else None
        self._polyhedron = activation.polyhedral_form(n)
        self._excess = metric - np.eye(n)

    def __call__(self, u: Array) -> Array:
        """Return the minimiser for u (n,) or (batch, n)."""
        if self._multiple is not None:
            return self._activation.prox(u / self._multiple, 1 / self._multiple)
        if self._activation.name == "identity":
            return np.linalg.solve(self._metric, u.T).T
        return self._one(u) if u.ndim == 1 else np.array([self._one(row) for row in u])

    def _one(self, u: Array) -> Array:
        if self._polyhedron is not None:
            z = minimise_quadratic(self._metric, u, *self._polyhedron)
            if self._activation.separable:
                # Coordinates pressed against an end of their interval are put there exactly. A step of 1/q_ii along the
                # gradient shows them: of a longer one rounding alone would press.
                pushed = z + (u - self._metric @ z) / self._metric.diagonal()
                ends = self._activation(pushed)
                return np.where(pushed == ends, self._activation(z), ends)
            # Rounding alone may leave the set, where the cost is infinite.
            inside = np.isfinite(self._activation.layer_sum(self._activation.penalty(z)))
            return z if inside else self._activation(z)
        found = self._newton(u)
        return self._proximal_gradient(u) if found is None else found

    def _newton(self, u: Array) -> Array | None:
        """Solve F(t) = t + (Q - I) r(t) - u = 0; None where the damped steps get stuck above rounding.

        J, the Jacobian of r, is symmetric with 0 <= J <= S. With B = J^(1/2) the Jacobian I + (Q - I) J of F has the
        eigenvalues of I + B (Q - I) B > I - J/S >= 0, since Q - I > -1/S: every Newton step descends |F|.
        """
        activation, excess = self._activation, self._excess
        t, identity = np.array(u, dtype=np.float64), np.eye(u.size)
        z = activation(t)
        value = t + excess @ z - u
        size = float(np.linalg.norm(value))
        for _ in range(_NEWTON_STEPS):
            if size <= 4 * _EPS * (np.linalg.norm(t) + np.linalg.norm(u)):
                break
            jacobian = activation.jvp(np.broadcast_to(t, identity.shape), identity)
            step = np.linalg.solve(identity + excess @ jacobian, -value)
            share = 1.0
            while share > 1e-8:
                ahead = t + share * step
                image = activation(ahead)
                following = ahead + excess @ image - u
                length = float(np.linalg.norm(following))
                if length < (1 - 1e-4 * share) * size:
                    break
                share /= 2
            else:
                break
            t, z, value, size = ahead, image, following, length
        rounding = np.linalg.norm(t) + np.linalg.norm(u) + np.linalg.norm(np.abs(excess) @ np.abs(z))
        return z if size <= 16 * _EPS * rounding else None

    @cached_property
    def _extremes(self) -> tuple[float, float]:
        """The shift k that makes f + k|.|^2/2 convex, and a bound on Q - k."""
        slope = self._activation.slope_range[1]
        shift = max(0.0, 1 - 1 / slope) if slope > 0 else 0.0
        largest = float(np.linalg.eigvalsh(self._metric)[-1])
        return shift, (largest - shift) * (1 + 1e-12) + 1e-300

    def _proximal_gradient(self, u: Array) -> Array:
        """Accelerated proximal gradient with restart, split so that each prox is admissible.

        f is shifted by k|.|^2/2 to be convex, and Q by -k; the shifted Q is positive semidefinite and bounded by rho,
        so the step 1/rho is safe and the cost's strong convexity gives a linear rate.
        """
        activation, metric = self._activation, self._metric
        shift, rho = self._extremes
        step = 1 / (rho + shift)
        z = previous = activation(u)
        momentum, shortest, idle = 1.0, np.inf, 0
        for _ in range(_MOST_STEPS):
            following = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
            point = z + (momentum - 1) / following * (z - previous)
            updated = activation.prox(step * (rho * point - (metric @ point - shift * point) + u), step)
            length, size = float(np.linalg.norm(updated - point)), max(1.0, float(np.linalg.norm(updated)))
            idle = 0 if length < shortest else idle + 1
            shortest = min(shortest, length)
            # Rounding may keep the steps from ever vanishing.
            if length <= _EPS * size or (idle > 50 and shortest <= 64 * _EPS * size):
                return updated
            # Momentum that points against the step is dropped: then the scheme keeps a linear rate.
            restart = float((point - updated) @ (updated - z)) > 0
            previous, z, momentum = (updated, updated, 1.0) if restart else (z, updated, following)
        raise NNGamesError(
            f"the response of a player with activation {activation.name!r} did not converge in {_MOST_STEPS} steps"
        )
