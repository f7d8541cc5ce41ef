"""Results of many starts solved at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nngames.core.plain import plain
from nngames.core.verdicts import Verdict
from nngames.results.result import Array, Status, versions, without_proofs


@dataclass(frozen=True, eq=False)
class BatchResult:
    """What ``solve_batch`` returns; entry k of each array belongs to start k. It can be pickled, with its game.

    Attributes
    ----------
    profiles : ndarray (batch, N)
        The last iterates.
    statuses : ndarray (batch,) of Status
        ``converged`` means that the undamped residual at that very profile is at most tolerance * scale, in double
        precision unless the starts are in single.
    residuals : ndarray (batch,)
        The residuals |R(x) - x|_2 at the profiles, which nothing damps, up to rounding: products of matrices of other
        widths round otherwise.
    iterations, evaluations : ndarray (batch,) of int
        Steps of the scheme and passes over the network that the start took part in.
    seconds : float
        Time of the run.
    message : str
        How many starts ended how, and what to do next.
    scale, tolerance : float
        The unit of the residuals; the tolerance asked for.
    method : str
        The solver's name.
    options : mapping
        The solver's hyperparameters.
    """

    profiles: Array
    statuses: NDArray[np.object_]
    residuals: Array
    iterations: NDArray[np.int64]
    evaluations: NDArray[np.int64]
    seconds: float
    message: str
    scale: float
    tolerance: float
    method: str
    options: Mapping[str, Any]
    _guarantee: Callable[[], Verdict] = field(repr=False)

    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy is made of: it finds what is proved anew, for a rate is made of functions."""
        return without_proofs(self)

    def __len__(self) -> int:
        """The number of starts."""
        return len(self.profiles)

    @cached_property
    def converged(self) -> NDArray[np.bool_]:
        """Which starts have the status ``converged``."""
        return np.array([status is Status.CONVERGED for status in self.statuses])

    @cached_property
    def guarantee(self) -> Verdict:
        """Whether convergence of this scheme on this game is proved, by which theorem, at what rate."""
        return self._guarantee()

    def to_dict(self) -> dict[str, Any]:
        """Return the result as plain JSON-ready data."""
        return {
            "method": self.method,
            "options": plain(dict(self.options)),
            "message": self.message,
            "seconds": self.seconds,
            "scale": plain(self.scale),
            "tolerance": self.tolerance,
            "statuses": [status.value for status in self.statuses],
            "residuals": plain(self.residuals),
            "iterations": plain(self.iterations),
            "evaluations": plain(self.evaluations),
            "profiles": plain(self.profiles),
            "guarantee": self.guarantee.to_dict(),
            "versions": versions(),
        }


def batch_message(method: str, statuses: NDArray[np.object_], target: float, alone: Counter[str] | None = None) -> str:
    """Return how many starts ended how, and what to do about those that did not converge.

    ``alone`` counts those that were run one by one, by the scheme they ended with.
    """
    left = [(k, status) for k, status in enumerate(statuses.tolist()) if status is not Status.CONVERGED]
    converged = len(statuses) - len(left)
    said = f"{method}: {converged} of {len(statuses)} starts converged to residuals of at most {target:.2e}"
    if alone:
        said += f" (alone: {', '.join(f'{count} with {scheme}' for scheme, count in alone.most_common())})"
    if not left:
        return said
    counts = Counter(status for _, status in left)
    others = ", ".join(f"{count} {status.value}" for status, count in counts.most_common())
    first = left[0][0]
    return (
        f"{said}, {others}; nng.solve(game, {method!r}, start=starts[{first}]) says what to do about the first of them"
    )
