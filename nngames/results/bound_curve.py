"""Curves of proved bounds: what a theorem allows a run to be at each of its iterates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class BoundCurve:
    """A proved bound along a run.

    Attributes
    ----------
    evaluations : ndarray (k,)
        Passes of the run at its iterates.
    values : ndarray (k,)
        The bound at the same iterates.
    quantity : {"residual", "best_residual", "distance"}
        What is bounded.
    description : str
        The bound as a formula.
    """

    evaluations: NDArray[np.floating[Any]]
    values: NDArray[np.floating[Any]]
    quantity: str
    description: str
