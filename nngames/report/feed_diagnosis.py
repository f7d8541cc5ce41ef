"""The diagnosis of a network that is no game with the given costs: what its feeds do, measured."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np

from nngames.core.errors import DomainError
from nngames.networks import Network
from nngames.report.diagnosis import Diagnosis, Finding
from nngames.report.game_diagnosis import APART, DRAWN_STARTS
from nngames.results.trajectory import Trajectory, TrajectoryKind

#: Steps of each feed.
STEPS = 2000


def diagnose_feed(network: Network, written: str, reason: str, rng: np.random.Generator) -> Diagnosis:
    """Return the diagnosis of a network without a game, from iterated and averaged feeds.

    Parameters
    ----------
    network : Network
    written : str
        The network as a user would write it.
    reason : str
        Why there is no game.
    rng : Generator
        Of the starts.
    """
    size = network.size if network.ring_order is None else network.dims[network.players[-1]]
    starts = [np.zeros(size), *(rng.normal(size=size) for _ in range(DRAWN_STARTS))]
    iterated = _fed(network, starts, rule="iterated")
    averaged = _fed(network, starts, rule="averaged", relaxation=0.5)
    limits = _limits([*iterated, *averaged])
    findings = (
        _settles(iterated, averaged, len(starts)),
        _unique(network, limits),
        _speed(iterated, averaged),
        Finding("potential?", "open", f"the network has no game with the usual costs: {reason}", "network.game()"),
    )
    rule = "averaged" if any(t.kind is TrajectoryKind.FIXED_POINT for t in averaged) else "iterated"
    why = "the feed needs no game" if iterated else "from an x0 at which every activation is defined"
    step = f"{written}.feed(x0, rule={rule!r}, steps=100_000)  # {why}"
    names = ", ".join(dict.fromkeys(a.name for a in network.activations.values()))
    return Diagnosis(f"a network of size {network.size} ({names})", findings, step, {}, {})


def _fed(network: Network, starts: list[Any], **rule: Any) -> list[Trajectory]:
    """Return the trajectories from the starts at which every activation is defined."""
    trajectories = []
    for start in starts:
        with contextlib.suppress(DomainError):
            trajectories.append(network.feed(start, steps=STEPS, **rule))
    return trajectories


def _settles(iterated: list[Trajectory], averaged: list[Trajectory], starts: int) -> Finding:
    told = f"iterated feed: {_kinds(iterated)}; averaged: {_kinds(averaged)}" if iterated else "no feed can start"
    if lost := starts - len(iterated):
        told += f"; an activation is not defined at {lost} of {starts} starts"
    return Finding("settles?", "measured", told, "feeds")


def _kinds(trajectories: list[Trajectory]) -> str:
    counts: dict[str, int] = {}
    for trajectory in trajectories:
        words = str(trajectory.kind).replace("_", " ")
        if trajectory.kind is TrajectoryKind.LIMIT_CYCLE:
            words += f" of period {trajectory.period}"
        counts[words] = counts.get(words, 0) + 1
    return ", ".join(f"{number} {words}" for words, number in counts.items())


def _limits(trajectories: list[Trajectory]) -> list[Any]:
    found: list[Any] = []
    for trajectory in trajectories:
        limit = trajectory.limit
        if limit is not None and all(
            np.linalg.norm(limit - other) > APART * max(1.0, float(np.linalg.norm(limit))) for other in found
        ):
            found.append(limit)
    return found


def _unique(network: Network, limits: list[Any]) -> Finding:
    exists = "a fixed point exists (bounded activations, Brouwer); " if network.maps_into_a_ball else ""
    if len(limits) > 1:
        return Finding("unique?", "measured", f"no: {exists}the feeds end at {len(limits)} points far apart", "feeds")
    if limits:
        words = f"{exists}every feed that settled ended at the same point, which proves nothing about others"
        return Finding("unique?", "measured", words, "feeds")
    return Finding("unique?", "open", f"{exists}no feed settled", "feeds")


def _speed(iterated: list[Trajectory], averaged: list[Trajectory]) -> Finding:
    told = []
    for rule, found in (("iterated", iterated), ("averaged", averaged)):
        steps = [trajectory.steps for trajectory in found if trajectory.kind is TrajectoryKind.FIXED_POINT]
        if steps:
            told.append(f"the {rule} feed took up to {max(steps)} steps")
    if not told:
        return Finding("how fast?", "open", "no feed settled", "feeds")
    return Finding("how fast?", "measured", "; ".join(told), "feeds")
