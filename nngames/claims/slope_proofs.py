"""Proofs of slope ranges: every chart enclosed in ball arithmetic, every tail bounded, and the bounds checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nngames.activations.foundations.base import Activation
from nngames.activations.foundations.charts import Chart, SlopePart, TailBound
from nngames.activations.foundations.scalar import ScalarActivation
from nngames.activations.foundations.slopes import SlopeEnd
from nngames.core.ball_ranges import as_ball, enclose_range, working_precision

#: Decimal digits to which the ends are enclosed; the stated constants have 30.
DIGITS = 40
#: A stated end agrees with an enclosure if both are within this of each other.
AGREEMENT = "1e-30"
#: Points of a tail at which its stated bound is checked, as distances from its start.
_CHECKED = (0, 1, 5, 25)


@dataclass(frozen=True)
class SlopeProof:
    """What ball arithmetic proves about the slopes of an activation.

    Attributes
    ----------
    proved : bool
        Whether both stated ends are those of the enclosures: the slopes lie between the stated ends, exactly where
        they are binary fractions and to 1e-30 elsewhere, and come as close to them.
    method : str
        How: the charts, the tails and their number of boxes; or the statement from which the range follows.
    boxes : int
        Boxes examined.
    """

    proved: bool
    method: str
    boxes: int = 0


def prove_slopes(activation: Activation) -> SlopeProof:
    """Prove the slope range of a scalar activation from its charts.

    Returns
    -------
    SlopeProof
        Not proved where an activation has no charts: then its range rests on the derivation in its docstring.
    """
    if not isinstance(activation, ScalarActivation) or not activation.continuous:
        return SlopeProof(False, "derived in the activation's documentation")
    lows: list[Any] = []
    highs: list[Any] = []
    boxes = 0
    statements = []
    with working_precision(int(DIGITS * 3.33) + 64):
        for part in activation.slope_charts():
            low, high, count = _ends(part, activation)
            lows.append(low)
            highs.append(high)
            boxes += count
            statements.append(part.statement)
        stated_low, stated_high = activation.slope_range_exact
        agreed = _is_least(lows, stated_low, 1) and _is_least(highs, stated_high, -1)
    kinds = "; ".join(dict.fromkeys(statements))
    return SlopeProof(agreed, f"ball arithmetic on {len(lows)} parts and {boxes} boxes ({kinds})", boxes)


def _ends(part: SlopePart, activation: ScalarActivation) -> tuple[Any, Any, int]:
    """Return balls around the least and the greatest slope of a part (outer bounds for a tail), and the boxes."""
    if isinstance(part, TailBound):
        low, high = part.bounds(as_ball(part.start))
        _check_tail(part, activation, low, high)
        return low.lower(), high.upper(), 0
    _check_chart(part, activation)
    found = enclose_range(part.slope, _number(part.lower), _number(part.upper), exact_points=part.exact_points)
    return found.low.value, found.high.value, found.boxes


def _number(value: Any) -> Any:
    return value() if callable(value) else value


def _is_least(found: list[Any], stated: SlopeEnd, sign: int) -> bool:
    """Whether the stated end is the least (sign 1) or greatest (sign -1) of the parts' ends.

    Every part's end must be at least the stated one, and one of them must be within 1e-30 of it.
    """
    from flint import arb

    if not stated.finite:
        return any(not end.is_finite() for end in found)
    target, tolerance = sign * stated.ball(), arb(AGREEMENT)
    signed = [sign * end for end in found]
    if target.is_exact():
        beyond = any(not end >= target for end in signed)
    else:
        beyond = any(not end > target - tolerance for end in signed)
    return not beyond and any(abs(end - target) < tolerance for end in signed)


def _check_chart(part: Chart, activation: ScalarActivation) -> None:
    """Raise ArithmeticError where a substitution does not give the slope of r at inner points of the chart."""
    from flint import arb_series

    lower, upper = as_ball(_number(part.lower)), as_ball(_number(part.upper))
    for share in (0.25, 0.5, 0.8125):
        t = lower + as_ball(share) * (upper - lower)
        x = t if part.point is None else part.point(t)
        _compare(activation, x, part.slope(arb_series([t, 1], prec=6))[0], part.statement)


def _check_tail(part: TailBound, activation: ScalarActivation, low: Any, high: Any) -> None:
    """Raise ArithmeticError where a slope of r beyond the start violates the stated bounds."""
    for distance in _CHECKED:
        x = as_ball(part.start) + part.sign * (distance + as_ball(0.001))
        bracket = low.union(high)
        _compare(activation, x, bracket, part.statement)


def _compare(activation: ScalarActivation, x: Any, expected: Any, statement: str) -> None:
    """Raise ArithmeticError unless the quotient of r over a tiny interval at x overlaps the expected slope."""
    step = as_ball(2.0**-60) * (1 if x.contains(0) else abs(x.mid()))
    right, left = (as_ball(activation.flint_response([point])[0]) for point in (x + step, x - step))
    quotient = (right - left) / (2 * step)
    slack = as_ball(2.0**-40) * (1 + abs(expected))
    wide = expected + slack.union(-slack)
    if quotient.is_finite() and not wide.overlaps(quotient):
        raise ArithmeticError(
            f"a chart of {activation.name!r} ({statement}) has the slope {expected}, its response {quotient} at {x}"
        )
