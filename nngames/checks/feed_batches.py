"""Feeds of many starts at once: advanced as one batch until they settle, then classified one by one.

What is fed is the composite map O on a ring (its last layer), the joint map T on another network, and the
best-response map of a game without a network. The rules of the classification are those of
``nngames.networks.classify``.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nngames.core.errors import DomainError
from nngames.core.norms import euclidean_length
from nngames.core.profiles import Array
from nngames.core.threads import blas_threads
from nngames.games import NetworkGame
from nngames.networks.classify import DIVERGENCE, Classifier, unit_of
from nngames.networks.relaxation import Relaxation
from nngames.results.trajectory import TrajectoryKind

#: Steps of the classification after the batch: periods up to a third of them are recognised.
CLASSIFYING_STEPS = 150
#: So many distinct ends of a batch are classified; what belongs to none of them is undecided.
CLASSIFIED_ENDS = 64
#: So many multiplications are made before the next look at the clock.
_AT_ONCE = 1e8
_ROUNDING = 4 * float(np.finfo(np.float64).eps)


@dataclass(frozen=True, eq=False)
class FedMap:
    """The map that is fed, on states (..., n).

    Attributes
    ----------
    advance : callable
        State -> the map's value.
    lift : callable
        A state -> the profile whose other actions answer it; the profile of a fixed point is an equilibrium.
    restrict : callable
        A profile -> its state.
    size : int
    name : str
    """

    advance: Callable[[Array], Array]
    lift: Callable[[Array], Array]
    restrict: Callable[[Array], Array]
    size: int
    name: str

    @property
    def unit(self) -> float:
        """max(1, |value at 0|), the unit of tolerances; 1 where the map is not defined there."""
        return unit_of(lambda: euclidean_length(self.advance(np.zeros(self.size))))


def profiles_fed(game: Any) -> FedMap:
    """Return the map of all players' answers at once, on profiles."""
    if not isinstance(game, NetworkGame):
        return FedMap(game.answers, _same, _same, game.size, "the best-response map")
    joint = game.network.joint
    return FedMap(lambda x: joint(x), _same, _same, game.size, "the joint map T")


def fed_map(game: Any) -> FedMap:
    """Return the map that is fed in ``game``: of a ring the composite one, elsewhere all players' answers at once."""
    if not isinstance(game, NetworkGame) or game.network.ring_order is None:
        return profiles_fed(game)
    network = game.network
    composite = network.composite

    def lift(state: Array) -> Array:
        profile = composite(state)
        profile[..., composite.state] = state
        return profile

    def advance(state: Array) -> Array:
        return composite(state)[..., composite.state]

    return FedMap(advance, lift, lambda x: x[..., composite.state], composite.size, "the composite map O")


@dataclass(frozen=True, eq=False)
class Settled:
    """Where one start went.

    Attributes
    ----------
    kind : TrajectoryKind
    state : ndarray (n,)
        The last state.
    cycle : ndarray (period, n) or None
        The states of a limit cycle.
    steps : int
    left : bool
        Whether an activation is not defined at the last state, which is then undecided.
    late : bool
        Whether the deadline came before it was decided.
    """

    kind: TrajectoryKind
    state: Array
    cycle: Array | None
    steps: int
    left: bool = False
    late: bool = False


def settle(
    fed: FedMap,
    starts: Array,
    relaxation: Relaxation | None,
    steps: int,
    tolerance: float,
    multiplications: int,
    deadline: float = inf,
) -> list[Settled]:
    """Feed every start (rows of (m, n)) and classify where it goes.

    Parameters
    ----------
    fed : FedMap
    starts : ndarray (m, n)
    relaxation : Relaxation or None
        Of the averaged rule; None for the iterated one.
    steps : int
        Of the batch; ``CLASSIFYING_STEPS`` more are made in the classification.
    tolerance : float
        Relative to max(1, |R(0)|).
    multiplications : int
        Of one pass, for the thread policy.
    deadline : float
        Of time.monotonic: feeds that go on then stay undecided, and are marked late.
    """
    with blas_threads(multiplications), np.errstate(over="ignore", invalid="ignore"):
        scale = fed.unit
        bounds = DIVERGENCE * np.maximum(scale, np.linalg.norm(starts, axis=1))
        states, made = _advance(fed, starts, relaxation, steps, bounds, multiplications, deadline)
        rows = zip(states, bounds, made.tolist(), strict=True)
        return [
            _classify(fed, x, relaxation, tolerance, scale, bound, t, deadline)
            if time.monotonic() <= deadline
            else Settled(TrajectoryKind.UNDECIDED, x, None, t, late=True)
            for x, bound, t in rows
        ]


def basins(
    fed: FedMap, starts: Array, relaxation: Relaxation | None, steps: int, tolerance: float, multiplications: int
) -> tuple[NDArray[np.int_], list[Settled]]:
    """Feed every start and say which of the distinct ends it reaches; only one start of each end is classified.

    Parameters
    ----------
    fed, starts, relaxation, steps, tolerance, multiplications
        As for ``settle``.

    Returns
    -------
    labels : ndarray (m,)
        Each start's place among the ends; -1 where it reached none of them.
    ends : list of Settled
        Fixed points, limit cycles and, where a start diverged, one divergence.
    """
    labels = np.full(len(starts), -1)
    ends: list[Settled] = []
    with blas_threads(multiplications), np.errstate(over="ignore", invalid="ignore"):
        scale = fed.unit
        bounds = DIVERGENCE * np.maximum(scale, np.linalg.norm(starts, axis=1))
        states, made = _advance(fed, starts, relaxation, steps, bounds, multiplications)
        radius = 4 * np.sqrt(tolerance) * scale
        diverged = ~(np.linalg.norm(states, axis=1) <= bounds)
        open_rows = ~diverged
        for _ in range(CLASSIFIED_ENDS):
            if not open_rows.any():
                break
            row = int(np.argmax(open_rows))
            end = _classify(fed, states[row], relaxation, tolerance, scale, bounds[row], int(made[row]))
            visited = end.state[None] if end.cycle is None else end.cycle
            near = np.linalg.norm(states[:, None] - visited[None], axis=2).min(axis=1) <= radius
            near[row] = True
            if end.kind in (TrajectoryKind.FIXED_POINT, TrajectoryKind.LIMIT_CYCLE):
                labels[near & open_rows] = len(ends)
                ends.append(end)
            open_rows &= ~near
        if diverged.any():
            row = int(np.argmax(diverged))
            labels[diverged] = len(ends)
            ends.append(Settled(TrajectoryKind.DIVERGED, states[row], None, int(made[row])))
    return labels, ends


def defined(fed: FedMap, states: Array) -> NDArray[np.bool_]:
    """Return at which states, rows of (m, n), the map is defined, by halving the rows where it is not at all."""
    try:
        fed.advance(states)
    except DomainError:
        half = len(states) // 2
        if half == 0:
            return np.zeros(1, dtype=bool)
        return np.concatenate([defined(fed, states[:half]), defined(fed, states[half:])])
    return np.ones(len(states), dtype=bool)


def _advance(
    fed: FedMap,
    starts: Array,
    relaxation: Relaxation | None,
    steps: int,
    bounds: Array,
    multiplications: int,
    deadline: float = inf,
) -> tuple[Array, Array]:
    """Return the states after at most ``steps`` steps, or at the deadline, and the steps made.

    Rows stop that come back, diverge, or stand where the map is not defined.
    """
    states, made, anchors = starts.copy(), np.zeros(len(starts), dtype=int), starts.copy()

    def staying(rows: NDArray[np.int_], t: int) -> NDArray[np.int_]:
        """Make one step with some rows and return those that go on."""
        try:
            updated = _step(fed, states[rows], relaxation, t)
        except DomainError:
            rows = rows[defined(fed, states[rows])]
            if rows.size == 0:
                return rows
            updated = _step(fed, states[rows], relaxation, t)
        size = np.linalg.norm(updated, axis=1)
        rounding = _ROUNDING * np.maximum(1.0, size)
        # An anchor moves at powers of two (Brent): a state that comes back to it stands still or recurs.
        back = np.linalg.norm(updated - anchors[rows], axis=1) <= rounding
        states[rows], made[rows] = updated, t + 1
        if t & (t + 1) == 0:
            anchors[rows] = updated
        return rows[~back & (size <= bounds[rows])]

    active = np.arange(len(starts))
    at_once = max(1, int(_AT_ONCE // max(multiplications, fed.size)))
    for t in range(steps):
        parts = []
        for first in range(0, active.size, at_once):
            parts.append(staying(active[first : first + at_once], t))
            if time.monotonic() > deadline:
                return states, made
        active = np.concatenate(parts)
        if active.size == 0:
            break
    return states, made


def _step(fed: FedMap, x: Array, relaxation: Relaxation | None, t: int) -> Array:
    answer = fed.advance(x)
    return answer if relaxation is None else x + relaxation(t) * (answer - x)


def _classify(
    fed: FedMap,
    x: Array,
    relaxation: Relaxation | None,
    tolerance: float,
    scale: float,
    bound: float,
    made: int,
    deadline: float = inf,
) -> Settled:
    classifier = Classifier(scale, tolerance, x)
    classifier.bound = bound
    for t in range(made, made + CLASSIFYING_STEPS):
        try:
            answer = fed.advance(x)
        except DomainError:
            return Settled(TrajectoryKind.UNDECIDED, x, None, t, left=True)
        residual = float(np.linalg.norm(answer - x))
        updated = answer if relaxation is None else x + relaxation(t) * (answer - x)
        if classifier.is_diverged(x, residual):
            return Settled(TrajectoryKind.DIVERGED, x, None, t)
        if classifier.is_fixed(x, residual, float(np.linalg.norm(updated - x))):
            return Settled(TrajectoryKind.FIXED_POINT, x, None, t)
        period = classifier.period(updated, residual)
        if period is not None:
            return Settled(TrajectoryKind.LIMIT_CYCLE, x, classifier.cycle(period), t)
        if time.monotonic() > deadline:
            return Settled(TrajectoryKind.UNDECIDED, x, None, t, late=True)
        x = updated
    return Settled(TrajectoryKind.UNDECIDED, x, None, made + CLASSIFYING_STEPS)


def _same(x: Array) -> Array:
    return x
