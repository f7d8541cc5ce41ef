"""Balls around a profile where the whole map contracts: the distance of its fixed point from the residual (Banach)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from nngames.certificates import verdict_of
from nngames.certificates.figures import bound_reaches_one, shown
from nngames.checks.existing.ball_words import NORM, larger_radius, reduced, undecided, widened
from nngames.checks.existing.equation import EquilibriumEquation
from nngames.core.norms import euclidean_length
from nngames.core.profiles import Array
from nngames.core.verdicts import BallVerdict, Decision

METHOD = "contraction of the whole map (Banach), the residual in ball arithmetic"
CONTRACTIONS = ("joint_contraction", "euclidean_contraction")


def by_contraction(game: Any, equation: EquilibriumEquation, centre: Array, radius: float | None) -> BallVerdict | None:
    """Decide by a contraction of the whole map; None where none is proved."""
    if equation.metrics:
        return None
    proofs = [(name, verdict_of(name, game).witness) for name in CONTRACTIONS if verdict_of(name, game).proved]
    if not proofs:
        return None
    found, name, factor = min(_reach(equation, centre, name, witness) for name, witness in proofs)
    witness = {"centre": centre, "radius": found, "norm": NORM, "factor": factor, "certificate": name}
    if math.isfinite(found) and (radius is None or found <= radius):
        statement = (
            f"Exactly one equilibrium exists, and it lies within {widened(found)} of the profile in the maximum norm: "
            f"the map contracts by {shown(factor)} ({name})"
        )
        witness["unique_within"] = math.inf
        change = f"{bound_reaches_one(factor)}; other biases move the one equilibrium"
        return BallVerdict(
            Decision.PROVED, statement, METHOD, 1 - factor, witness, ("bertsekas1989",), found, would_change=change
        )
    unknown = undecided(
        "Exactly one equilibrium exists, since the map contracts, but no ball around the profile is shown to hold it: "
        "the responses there are not known to any bound",
        "smaller data, or a profile that is nearer",
        METHOD,
        centre,
        {"factor": factor, "certificate": name},
    )
    if radius is None:
        return unknown
    # The one equilibrium is near another profile, which is farther off than the radius.
    near = centre
    for _ in range(200):
        near = np.asarray(game.answers(near), dtype=np.float64)
    closer = min(_reach(equation, near, name, witness)[0] for name, witness in proofs)
    distance = float(np.abs(near - centre).max(initial=0.0)) * (1 - 1e-15) - closer
    if math.isfinite(distance) and distance * (1 - 1e-15) > radius:
        statement = (
            f"No equilibrium lies within {radius:.6g} of the profile in the maximum norm: the only one is at least "
            f"{reduced(distance)} away"
        )
        refuted = {**witness, "radius": radius, "near": near, "distance": distance}
        margin, change = distance - radius, larger_radius(by_contraction(game, equation, centre, None))
        return BallVerdict(
            Decision.REFUTED, statement, METHOD, margin, refuted, ("bertsekas1989",), radius, would_change=change
        )
    if not math.isfinite(found):
        return unknown
    return undecided(
        f"The one equilibrium lies within {widened(found)} of the profile, but is not shown to lie within {radius:.6g}",
        f"a radius of {widened(found)}, or a profile solved to a smaller tolerance",
        METHOD,
        centre,
        {"distance": found},
    )


def _reach(equation: EquilibriumEquation, x: Array, name: str, witness: Mapping[str, Any]) -> tuple[float, str, float]:
    """Return a bound on the distance of x to the fixed point of a contraction, which it is, and its factor."""
    residual = equation.residual(x, equation.preactivations(x))
    size = np.maximum(np.maximum(residual.high, -residual.low), 0.0)
    grow, factor = 1 + (len(size) + 8) * 2.0**-51, float(witness["factor"])
    if name == "joint_contraction":
        weights, spaces = witness["weights"], equation.game.network.space.slices
        worst = max(euclidean_length(size[where]) / weights[block] for block, where in spaces.items())
        worst *= max(weights.values())
    else:
        worst = euclidean_length(size)
    return worst * grow / math.nextafter(1 - factor, 0.0) * grow + 1e-290, name, factor
