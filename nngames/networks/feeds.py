"""The two feeds: a network's output fed back as its input, iterated (source eq. 2) or averaged (source eq. 3)."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np

from nngames.core.bounds import spectral_norm
from nngames.core.errors import DomainError, InputError, OptionError, as_float, is_real, written
from nngames.core.norms import euclidean_length
from nngames.core.profiles import Array
from nngames.core.threads import blas_threads
from nngames.core.verdicts import Verdict
from nngames.networks.classify import Classifier, unit_of
from nngames.networks.perturbation import Perturbation, Schedule
from nngames.networks.relaxation import Relaxation, as_relaxation
from nngames.results.trajectory import Trajectory, TrajectoryKind

if TYPE_CHECKING:
    from nngames.networks.network import Network

#: At most this many numbers of a trajectory's states are kept.
KEPT_NUMBERS = 4_000_000


def feed(
    network: Network,
    x0: Any,
    rule: str = "iterated",
    relaxation: Any = 0.5,
    steps: int = 1000,
    tolerance: float = 1e-9,
    schedule: Schedule | Perturbation | None = None,
) -> Trajectory:
    """Feed the network's output back to its input and classify what happens.

    ``iterated``: x_{t+1} = O(x_t). ``averaged``: x_{t+1} = x_t + lambda_t (O(x_t) - x_t). O is the composite map on a
    ring and the joint map T elsewhere.

    Parameters
    ----------
    network : Network
    x0 : array_like
        The start: x_L on a ring, or a full profile, of which x_L is used; a profile elsewhere.
    rule : {"iterated", "averaged"}
    relaxation : float, "diminishing", mapping, sequence, callable or Relaxation
        lambda_t of the averaged rule; see ``as_relaxation``.
    steps : int
        The most steps to make.
    tolerance : float
        Of the classifier, relative to max(1, |O(0)|); the rules are in ``nngames.networks.classify``.
    schedule : callable t -> Network, or Perturbation
        The network of each step. The residual and the classification are those of ``network``, the limit.

    Returns
    -------
    Trajectory

    Raises
    ------
    InputError, ShapeError, OptionError
        If the start, the rule, the relaxation or the steps are not usable.
    """
    relaxed = _relaxation(rule, relaxation)
    if not isinstance(steps, int | np.integer) or isinstance(steps, bool) or steps < 1:
        raise OptionError(f"steps must be a positive integer; got {steps!r}")
    if not is_real(tolerance) or not 0 < as_float(tolerance) < 1:
        raise OptionError(f"tolerance must lie between 0 and 1; got {written(tolerance)}")
    if schedule is not None and not callable(schedule) and not isinstance(schedule, Perturbation):
        raise OptionError(f"schedule must be a function of the step or a Perturbation; got {schedule!r}")
    advance, lift, state = _map(network, x0)
    if isinstance(schedule, Perturbation):
        schedule = schedule.schedule(network)
    with blas_threads(network.joint.multiplications), np.errstate(over="ignore", invalid="ignore"):
        scale = unit_of(lambda: euclidean_length(advance(np.zeros_like(state))))
        return _run(network, advance, lift, state, relaxed, int(steps), Classifier(scale, tolerance, state), schedule)


def _run(
    network: Network,
    advance: Callable[[Array], Array],
    lift: Callable[[Array], Array],
    state: Array,
    relaxation: Relaxation | None,
    steps: int,
    classifier: Classifier,
    schedule: Schedule | None,
) -> Trajectory:
    keep = max(2, KEPT_NUMBERS // state.size)
    states, residuals = [state], []
    kind, period, reason, made = TrajectoryKind.UNDECIDED, None, "no rule decided within the steps allowed", 0
    cycle = None
    for made in range(steps + 1):
        try:
            answer = advance(state)
        except DomainError as error:
            if made == 0:
                raise
            residuals.append(math.nan)
            reason = f"after {made} steps a layer left the set where its activation is defined: {error}"
            break
        residual = float(np.linalg.norm(answer - state))
        residuals.append(residual)
        if classifier.is_diverged(state, residual):
            kind = TrajectoryKind.DIVERGED
            size = float(np.linalg.norm(state))
            reason = f"after {made} steps |x_t| = {size:.3g} exceeds {classifier.bound:.3g}, the residual does not fall"
            break
        if schedule is not None:
            answer = _map(schedule(made), state)[0](state)
        updated = answer if relaxation is None else state + relaxation(made) * (answer - state)
        if classifier.is_fixed(state, residual, float(np.linalg.norm(updated - state))):
            kind, period = TrajectoryKind.FIXED_POINT, 1
            reason = f"after {made} steps the residual is {residual:.3g} <= {classifier.target:.3g}"
            break
        period = classifier.period(updated, residual)
        if period is not None:
            kind, cycle = TrajectoryKind.LIMIT_CYCLE, classifier.cycle(period)
            reason = f"after {made} steps x_(t+{period}) = x_t within {classifier.target:.3g}"
            break
        if made < steps:
            state = updated
            states.append(state)
            if len(states) > keep:
                del states[0]
    return Trajectory(
        kind=kind,
        limit=lift(state) if kind is TrajectoryKind.FIXED_POINT else None,
        period=period,
        steps=made,
        states=np.array(states),
        residuals=np.array(residuals),
        reason=reason,
        condition=None if relaxation is None else condition(network, relaxation),
        cycle=cycle,
    )


def condition(network: Network, relaxation: Relaxation) -> Verdict:
    """Decide the Krasnoselskii-Mann condition for the map that the feed iterates.

    The averagedness constant is known where the product q of the norms of the layers is at most 1: a q-Lipschitz map
    is (1 + q)/2-averaged.
    """
    return relaxation.condition(feed_averagedness(network))


def feed_averagedness(network: Network) -> float | None:
    """Return a proved averagedness constant of the composite map of a ring; None where none is known."""
    if network not in _averagedness:
        _averagedness[network] = _averagedness_of_composite(network)
    return _averagedness[network]


_averagedness: WeakKeyDictionary[Network, float | None] = WeakKeyDictionary()


def _averagedness_of_composite(network: Network) -> float | None:
    if network.ring_order is None or not network.linear:
        return None
    product = Fraction(1)
    for edge, weight in network.weights.items():
        upper, activation = spectral_norm(weight).upper, network.activations[edge[0]]
        if not math.isfinite(upper * activation.lipschitz) or not activation.defined_everywhere:
            return None
        # Exactly, so that a product of norms that are 1 stays 1.
        product *= Fraction(activation.lipschitz) * Fraction(upper)
    if product > 1:
        return None
    constant = (1 + product) / 2
    nearest = float(constant)
    return nearest if nearest >= constant else math.nextafter(nearest, 2.0)


def _relaxation(rule: str, relaxation: Any) -> Relaxation | None:
    if not isinstance(rule, str) or rule not in ("averaged", "iterated"):
        raise OptionError(f"unknown feed rule {rule!r}; valid: averaged, iterated")
    return as_relaxation(relaxation) if rule == "averaged" else None


def _map(network: Network, x0: Any) -> tuple[Callable[[Array], Array], Callable[[Array], Array], Array]:
    """Return the fed map, the lift of a state to a profile, and the start as a state."""
    order = network.ring_order
    if order is None:
        start = network.space.array(x0, what="x0")
        return (lambda x: network.joint(x)), (lambda x: x), np.array(start)
    composite = network.composite
    start = network.ring_state(x0)
    if start.ndim != 1:
        raise InputError("feed takes one start; use check_outcomes for many")

    def lift(state: Array) -> Array:
        profile = composite(state)
        profile[composite.state] = state
        return profile

    return (lambda state: composite(state)[composite.state]), lift, np.array(start)
