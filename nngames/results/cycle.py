"""Improvement cycles: closed paths of unilateral deviations, each with its mover and the mover's certified gain."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nngames.core.plain import plain

Array = NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False)
class Deviation:
    """One step of a cycle: a single player changes its action.

    Attributes
    ----------
    mover : player
    before, after : ndarray (N,)
        The profiles; they differ in the mover's action only. Their floats are exact.
    gain : Fraction or None
        The decrease of the mover's cost, exactly, where the cost is rational.
    gain_bounds : pair of float
        An enclosure of the decrease; its lower end is positive for a strict improvement.
    best_response : bool
        Whether ``after`` is proved to be the mover's best response.
    """

    mover: Hashable
    before: Array
    after: Array
    gain: Fraction | None
    gain_bounds: tuple[float, float]
    best_response: bool

    @property
    def strict(self) -> bool:
        """Whether the mover's cost is proved to fall."""
        return self.gain > 0 if self.gain is not None else self.gain_bounds[0] > 0

    def to_dict(self) -> dict[str, Any]:
        """Return the step as plain data."""
        return {
            "mover": plain(self.mover),
            "before": plain(self.before),
            "after": plain(self.after),
            "gain": plain(self.gain),
            "gain_bounds": plain(self.gain_bounds),
            "best_response": self.best_response,
        }


@dataclass(frozen=True, eq=False)
class Cycle:
    """A closed path of deviations: the last ``after`` is the first ``before``.

    Attributes
    ----------
    deviations : sequence of Deviation
    cost : str
        Which cost the gains belong to.
    """

    deviations: Sequence[Deviation]
    cost: str

    @property
    def strict(self) -> bool:
        """Whether every deviation strictly improves its mover."""
        return all(step.strict for step in self.deviations)

    @property
    def best_responses(self) -> bool:
        """Whether every deviation is a best response."""
        return all(step.best_response for step in self.deviations)

    def to_dict(self) -> dict[str, Any]:
        """Return the cycle as plain data."""
        return {"cost": self.cost, "deviations": [step.to_dict() for step in self.deviations]}
