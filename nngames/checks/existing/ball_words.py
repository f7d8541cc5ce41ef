"""What verdicts about balls around a profile have in common: their norm, figures rounded outwards, and no decision."""

from __future__ import annotations

from typing import Any

from nngames.certificates.figures import floored, raised
from nngames.core.profiles import Array
from nngames.core.verdicts import BallVerdict, Decision

NORM = "max over i of |x_i|"


def larger_radius(without_one: BallVerdict | None) -> str:
    """Return which radius changes that none of the radius asked for has an equilibrium."""
    if without_one is None or without_one.radius is None or not without_one.proved:
        return "a larger radius, or a profile solved to a smaller tolerance"
    within = widened(without_one.radius)
    return f"a radius of {within}, within which exactly one lies, or a profile solved to a smaller tolerance"


def undecided(
    statement: str, change: str, method: str, centre: Array, witness: dict[str, Any] | None = None
) -> BallVerdict:
    """Return the verdict that nothing is decided, and what would change that."""
    evidence = {"centre": centre, **(witness or {})}
    return BallVerdict(Decision.UNDECIDED, statement, method, None, evidence, would_change=change)


def widened(radius: float) -> str:
    """Return six digits of a radius, rounded up."""
    return raised(radius, 6)


def reduced(radius: float) -> str:
    """Return six digits of a radius, rounded down."""
    return floored(radius, 6)
