"""The curve of a training run: loss and residual of the variational inequality at some of its iterates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from nngames.core.profiles import Array
from nngames.solvers.solver import Iterate

#: Every iterate up to this one is on the curve, and as many between each power of two and the next.
DENSE = 64


class LearningCurve:
    """A callback of ``solve`` that computes loss and residual at iterates that become sparser as the run goes on.

    Parameters
    ----------
    point : callable profile -> (loss, residual)
    """

    def __init__(self, point: Callable[[Array], tuple[float, float]]) -> None:
        self._point = point
        self._points: list[tuple[int, int, float, float]] = []

    def __call__(self, iterate: Iterate) -> None:
        """Take note of an iterate, if it is on the curve."""
        number = iterate.iteration
        stride = max(1, (1 << number.bit_length() >> 1) // DENSE)
        if number % stride == 0:
            self.add(number, iterate.evaluations, iterate.profile)

    def add(self, iteration: int, evaluations: int, profile: Array) -> None:
        """Add a point, unless the curve has come that far."""
        if self._points and iteration <= self._points[-1][0]:
            return
        if np.isfinite(profile).all():
            with np.errstate(over="ignore", invalid="ignore"):
                loss, residual = self._point(profile)
            self._points.append((iteration, evaluations, loss, residual))

    @property
    def iterations(self) -> Array:
        """The numbers of the iterates."""
        return self._column(0)

    @property
    def evaluations(self) -> Array:
        """The passes made up to each."""
        return self._column(1)

    @property
    def loss(self) -> Array:
        """The sum of the layers' losses, or the network's own where hidden targets are found."""
        return self._column(2)

    @property
    def residual(self) -> Array:
        """The residual of the variational inequality."""
        return self._column(3)

    def _column(self, number: int) -> Array:
        return np.array([point[number] for point in self._points], dtype=float)

    def to_dict(self) -> dict[str, Any]:
        """Return the points as plain data."""
        return {
            "iterations": self.iterations.astype(int).tolist(),
            "evaluations": self.evaluations.astype(int).tolist(),
            "loss": self.loss.tolist(),
            "residual": self.residual.tolist(),
        }

    # As the companion of a checkpoint

    def state(self) -> dict[str, Any]:
        """Return the points as one array."""
        return {"points": np.array(self._points, dtype=float).reshape(-1, 4)}

    def recall(self, state: dict[str, Any]) -> None:
        """Take the points that ``state`` returned."""
        self._points = [(int(n), int(e), float(loss), float(r)) for n, e, loss, r in state["points"].tolist()]
