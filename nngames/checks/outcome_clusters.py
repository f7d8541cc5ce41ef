"""Outcomes and equilibria, each found from several starts or by several methods, gathered into distinct ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nngames.checks.second_route import Improvement
from nngames.core.plain import plain
from nngames.core.profiles import Array
from nngames.core.verdicts import Verdict
from nngames.results.trajectory import TrajectoryKind


@dataclass(frozen=True, eq=False)
class Outcome:
    """Where starts of the feeds went.

    Attributes
    ----------
    kind : TrajectoryKind
        fixed_point, limit_cycle, diverged or undecided.
    profile : ndarray (N,) or None
        The limit, for a fixed point.
    period : int or None
        1 for a fixed point.
    cycle : ndarray (period, n) or None
        The fed states of a limit cycle.
    starts : mapping rule -> int
        How many starts went there by each rule, the zero start included.
    drawn : mapping rule -> int
        How many of them were drawn.
    reason : str
        What decided, or kept from deciding.
    returns : mapping rule -> bool or None, or None
        For a limit cycle and each rule whose feed went there: whether that feed comes back to it from all of a few
        small displacements; None where no rule decided within the steps. The equilibria have their own.
    """

    kind: TrajectoryKind
    profile: Array | None
    period: int | None
    cycle: Array | None
    starts: Mapping[str, int]
    drawn: Mapping[str, int]
    reason: str
    returns: Mapping[str, bool | None] | None = None

    @property
    def generic(self) -> bool:
        """Whether a drawn start went there; the neutral cycles of a rotation are generic and attract nothing."""
        return any(self.drawn.values())

    def to_dict(self) -> dict[str, Any]:
        """Return the outcome as plain data."""
        return {**{name: plain(value) for name, value in vars(self).items()}, "generic": self.generic}


@dataclass(frozen=True, eq=False)
class FoundEquilibrium:
    """An equilibrium, as far as floating point tells; see ``nngames.checks.equilibria``.

    Attributes
    ----------
    profile : ndarray (N,)
    residual : float
    found_by : tuple of str
        Feeds and methods that led there.
    isolated : bool
        Whether Id - DR is invertible there.
    how : str
        Why it counts as an equilibrium.
    improvement : Improvement or None
        What the second route finds; None where there is none, or no time for it.
    drawn : mapping rule -> int
        How many drawn starts of the feed went there.
    returns : mapping rule -> bool or None, or None
        Whether the feed comes back from all of a few small displacements; None where it came nearer only, in all the
        steps. None as a whole where the equilibrium is not isolated, or not tested.
    untested : bool
        Whether the time was up before it was tested.
    """

    profile: Array
    residual: float
    found_by: tuple[str, ...]
    isolated: bool
    how: str
    improvement: Improvement | None
    drawn: Mapping[str, int]
    returns: Mapping[str, bool | None] | None
    untested: bool = False

    @property
    def stable(self) -> bool | None:
        """Whether a drawn start of a feed went there, or a feed comes back to it from small displacements; None where
        the steps decide neither.
        """
        if any(self.drawn.values()) or (self.returns is not None and any(self.returns.values())):
            return True
        return None if self.returns is None or None in self.returns.values() else False

    def to_dict(self) -> dict[str, Any]:
        """Return the equilibrium as plain data."""
        return {**{name: plain(value) for name, value in vars(self).items()}, "stable": self.stable}


@dataclass(frozen=True, eq=False)
class OutcomeReport:
    """Where the feeds go, and the equilibria.

    Attributes
    ----------
    outcomes : tuple of Outcome
        Distinct ones, each with the number of starts that went there by each rule.
    equilibria : tuple of FoundEquilibrium
        Distinct ones, found by the feeds or by other methods, each tested by the second route.
    limits_are_equilibria : Verdict
        Whether every limit of a feed is an equilibrium.
    equilibria_are_outcomes : Verdict
        Whether every equilibrium is the outcome of some start; how many attract drawn starts is said apart.
    kinds : mapping rule -> mapping kind -> int
        How many starts went where.
    starts : int
        Starts of each rule; the first one is zero, the others are drawn.
    left : mapping rule -> int
        How many of them left the set where an activation is defined: they are undecided.
    stopped : bool
        Whether the time was up: feeds may be undecided for that, searches left out, and equilibria not tested; the
        verdicts say which.
    """

    outcomes: tuple[Outcome, ...]
    equilibria: tuple[FoundEquilibrium, ...]
    limits_are_equilibria: Verdict
    equilibria_are_outcomes: Verdict
    kinds: Mapping[str, Mapping[str, int]]
    starts: int
    left: Mapping[str, int]
    stopped: bool = False

    @property
    def count(self) -> int:
        """The number of distinct fixed points and limit cycles that the feeds reached."""
        settled = (TrajectoryKind.FIXED_POINT, TrajectoryKind.LIMIT_CYCLE)
        return sum(outcome.kind in settled for outcome in self.outcomes)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain JSON-ready data."""
        return {**{name: plain(value) for name, value in vars(self).items()}, "count": self.count}


def same_cycle(a: Array, b: Array, radius: float) -> bool:
    """Whether two limit cycles (period, n) visit the same states in the same order, from any phase."""
    if a.shape != b.shape:
        return False
    return any(np.linalg.norm(a - np.roll(b, shift, axis=0), axis=1).max() <= radius for shift in range(len(b)))


def nearest(profiles: Sequence[Array], x: Array, radius: float) -> int | None:
    """Return the index of the first profile within ``radius`` of x; None if there is none."""
    return next((i for i, other in enumerate(profiles) if np.linalg.norm(other - x) <= radius), None)
