"""Trajectories: what a feed did, and its classification."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nngames.core.plain import plain
from nngames.core.verdicts import Verdict

Array = NDArray[np.floating[Any]]


class TrajectoryKind(StrEnum):
    """What a trajectory does, by the rules of ``nngames.networks.classify``."""

    FIXED_POINT = "fixed_point"
    LIMIT_CYCLE = "limit_cycle"
    DIVERGED = "diverged"
    UNDECIDED = "undecided"


@dataclass(frozen=True, eq=False)
class Trajectory:
    """The course of a feed.

    Attributes
    ----------
    kind : TrajectoryKind
        fixed_point, limit_cycle, diverged or undecided.
    limit : ndarray (N,) or None
        The limit as a full profile; for a limit cycle, None.
    period : int or None
        The period of a limit cycle; 1 for a fixed point.
    steps : int
        Steps made.
    states : ndarray (kept, n)
        The fed states, from the start on: x_L on a ring, profiles elsewhere. Long runs keep the last ones.
    residuals : ndarray (steps + 1,)
        The undamped residual |O(x_t) - x_t| (of T where the network is not a ring) at each step.
    reason : str
        The rule that decided, with its figures.
    condition : Verdict or None
        For the averaged feed: whether the relaxation satisfies the Krasnoselskii-Mann condition.
    """

    kind: TrajectoryKind
    limit: Array | None
    period: int | None
    steps: int
    states: Array
    residuals: Array
    reason: str
    condition: Verdict | None = None
    cycle: Array | None = field(default=None)

    def to_dict(self) -> dict[str, Any]:
        """Return the classification as plain data, without the course."""
        return {
            "kind": self.kind.value,
            "limit": plain(self.limit),
            "period": self.period,
            "steps": self.steps,
            "residual": plain(float(self.residuals[-1])),
            "reason": self.reason,
            "condition": plain(self.condition),
        }
