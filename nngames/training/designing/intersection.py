"""The nearest point of two closed convex sets' intersection, by their projections: Dykstra's method, accelerated.

min |p - start|^2/2 over A and B has the dual min over y of a function with the gradient -P_A(start - y), which is
1-Lipschitz, plus the support function of B; its proximal gradient step y <- (I - P_B)(y + P_A(start - y)) is Dykstra's
method where A is affine [bauschke2017, ch. 30]. Here it takes Nesterov's extrapolation, restarted where it goes uphill.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nngames.core.profiles import Array
from nngames.training.designing.equilibrium_set import Parameters

_TOLERANCE = 1e-11
_MOST_STEPS = 20_000
# The run ends where the gap fell by less than a tenth within so many steps.
_PATIENCE = 3000


@dataclass(frozen=True)
class Nearest:
    """The end of a run.

    Attributes
    ----------
    point : Parameters
        In the first set.
    gap : float
        Its distance to a point of the second one.
    converged : bool
        Whether the gap is at the tolerance: then the point is the nearest, up to the tolerance.
    reason : str
    """

    point: Parameters
    gap: float
    converged: bool
    reason: str


def nearest_common_point(
    start: Parameters,
    first: Callable[[Parameters], Parameters],
    second: Callable[[Array], Array],
    max_seconds: float | None,
) -> Nearest:
    """Return the point of both sets that is nearest to ``start``.

    Parameters
    ----------
    start : Parameters
    first : callable
        The projection on the first set.
    second : callable
        The projection on the second one, of the weights alone.
    max_seconds : float or None
    """
    began = time.perf_counter()
    dual = ahead = np.zeros_like(start.weights)
    momentum, best, best_at, reason = 1.0, np.inf, 0, f"{_MOST_STEPS} steps were made"
    for count in range(_MOST_STEPS):
        point = first(Parameters(start.weights - ahead, start.biases))
        sum_ = ahead + point.weights
        other = second(sum_)
        updated = sum_ - other
        gap = float(np.linalg.norm(point.weights - other))
        if gap <= _TOLERANCE * (1 + point.norm):
            return Nearest(point, gap, True, f"after {count + 1} steps")
        if gap < 0.9 * best:
            best, best_at = gap, count
        if count - best_at > _PATIENCE:
            reason = f"the two sets stay {best:.3g} apart"
            break
        if max_seconds is not None and time.perf_counter() - began > max_seconds:
            reason = f"max_seconds={max_seconds:g} were over"
            break
        if float((ahead - updated) @ (updated - dual)) > 0:
            momentum = 1.0
        following = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
        ahead = updated + (momentum - 1) / following * (updated - dual)
        dual, momentum = updated, following
    return Nearest(point, gap, False, reason)
