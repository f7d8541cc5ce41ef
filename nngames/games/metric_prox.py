"""The metric prox: argmin over z of f(z) + z'Qz/2 - <z, u>, the best response of a player with a metric Q of its own.

Q need not be positive definite: the cost is strongly convex iff Q > (1 - 1/S) Id, S the Lipschitz constant of the prox
of f, since f + (1 - 1/S)|.|^2/2 is convex. Each case uses the most direct route that exists:

- Q diagonal and f separable: the prox with step 1/q, or a scalar equation; Q = q I with q > 0: the prox with step 1/q;
- f = 0: a linear system;
- f the indicator of a polyhedron (affine subspaces and points included): a quadratic program;
- else: accelerated proximal gradient steps, which contract since the cost is strongly convex.
"""

from __future__ import annotations

import numpy as np

from nngames.activations import Activation
from nngames.core.errors import NNGamesError
from nngames.core.profiles import Array
from nngames.core.quadratic_program import minimise_quadratic
from nngames.core.roots import increasing_root

_MOST_STEPS = 200_000


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


def dense_response(activation: Activation, metric: Array, u: Array) -> Array:
    """Return the metric prox for a symmetric matrix Q (n, n) with Q > (1 - 1/S) Id, u (n,) or (batch, n)."""
    if u.ndim > 1:
        return np.array([dense_response(activation, metric, row) for row in u])
    n = u.size
    scaled = metric[0, 0]
    if scaled > 0 and np.array_equal(metric, scaled * np.eye(n)):
        return activation.prox(u / scaled, 1 / scaled)
    if activation.name == "identity":
        return np.linalg.solve(metric, u)
    form = activation.polyhedral_form(n)
    if form is not None:
        return minimise_quadratic(metric, u, *form)
    return _proximal_gradient(activation, metric, u)


def _proximal_gradient(activation: Activation, metric: Array, u: Array) -> Array:
    """Accelerated proximal gradient with restart on z'Qz/2 - <z, u> + f(z), split so that each prox is admissible.

    f is shifted by k|.|^2/2, k = max(0, 1 - 1/S), to be convex, and Q by -k; the shifted Q is positive semidefinite and
    bounded by rho, so the step 1/rho is safe and the cost's strong convexity gives a linear rate.
    """
    values = np.linalg.eigvalsh(metric)
    shift = max(0.0, 1 - 1 / activation.slope_range[1]) if activation.slope_range[1] > 0 else 0.0
    rho = float(values[-1] - shift) * (1 + 1e-12) + 1e-300
    step = 1 / (rho + shift)
    z = previous = activation(u)
    momentum = 1.0
    for _ in range(_MOST_STEPS):
        following = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
        point = z + (momentum - 1) / following * (z - previous)
        updated = activation.prox(step * (rho * point - (metric @ point - shift * point) + u), step)
        if np.linalg.norm(updated - point) <= 2e-16 * max(1.0, float(np.linalg.norm(updated))):
            return updated
        # Momentum that points against the step is dropped: then the scheme keeps a linear rate.
        restart = float((point - updated) @ (updated - z)) > 0
        previous, z, momentum = (updated, updated, 1.0) if restart else (z, updated, following)
    raise NNGamesError(
        f"the response of a player with activation {activation.name!r} did not converge in {_MOST_STEPS} steps"
    )
