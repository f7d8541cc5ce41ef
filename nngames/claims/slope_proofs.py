"""Proofs of slope ranges: parts that cover the line, charts enclosed in ball arithmetic, tails bounded and checked."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Any

from nngames.activations.foundations.base import Activation
from nngames.activations.foundations.charts import Chart, SlopePart, TailBound
from nngames.activations.foundations.scalar import ScalarActivation
from nngames.activations.foundations.slopes import SlopeEnd
from nngames.core.ball_ranges import as_ball, enclose_range, working_precision

#: Decimal digits to which the ends are enclosed; the stated constants have 30.
DIGITS = 40
#: A stated end agrees with an enclosure, and two parts touch, if they are within this of each other.
AGREEMENT = "1e-30"
#: How far beyond its start a tail's bounds are verified, box by box, in ball arithmetic.
REACH = 16
#: The number of intervals of a part between whose ends the quotients of r are compared.
GRID = 32
#: A slope is unbounded where the lower bound of a tail exceeds this further out.
LARGE = 1e6


class Evidence(StrEnum):
    """What a slope range rests on."""

    BALLS = "balls"
    DERIVED = "derived"
    NONE = "no slopes"
    FAILED = "disagrees"


@dataclass(frozen=True)
class SlopeProof:
    """What is proved about the slopes of an activation.

    Attributes
    ----------
    evidence : Evidence
        ``balls``: the parts cover the line; the slopes lie between the stated ends, exactly where those are exact and
        to 1e-30 elsewhere; and charts, or limits of tails, come as close to both. ``derived``: there are no charts; the
        range rests on the derivation in the activation's docstring. ``disagrees``: the stated range is not that of
        the charts.
    method : str
        How: the parts and their number of boxes; or what disagrees.
    boxes : int
        Boxes examined.
    """

    evidence: Evidence
    method: str
    boxes: int = 0

    @property
    def proved(self) -> bool:
        """Whether the range is proved in ball arithmetic."""
        return self.evidence is Evidence.BALLS


class Disagreement(ArithmeticError):
    """A part, its bounds or its cover does not fit the activation."""


def prove_slopes(activation: Activation) -> SlopeProof:
    """Prove the slope range of a scalar activation from its charts and tails.

    Returns
    -------
    SlopeProof

    Notes
    -----
    A chart's range is enclosed whole. A tail's bounds rest on its statement, a derivation for all starts; here they are
    verified in ball arithmetic on the first 16 units of its variable, and for nesting there. That the formula of a part
    is the slope of r is a derivation too; it is compared with difference quotients of r on a grid.
    """
    if not activation.self_map:
        return SlopeProof(Evidence.NONE, "a map that is no self-map has no slopes")
    if not isinstance(activation, ScalarActivation) or not activation.continuous:
        return SlopeProof(Evidence.DERIVED, "derived in the activation's docstring")
    try:
        with working_precision(int(DIGITS * 3.33) + 64):
            return _proved(activation, activation.slope_charts())
    except Disagreement as reason:
        return SlopeProof(Evidence.FAILED, str(reason))


def _proved(activation: ScalarActivation, parts: tuple[SlopePart, ...]) -> SlopeProof:
    """Return the proof from the parts. Raises Disagreement."""
    check_cover(activation, parts)
    reached: list[tuple[Any, Any]] = []
    bounded: list[tuple[Any, Any]] = []
    boxes = 0
    for part in parts:
        if isinstance(part, Chart):
            found = enclose_range(part.slope, _number(part.lower), _number(part.upper), exact_points=part.exact_points)
            low, high = found.low.value, found.high.value
            reached.append((low, high))
            boxes += found.boxes
        else:
            low, high, count = _tail(activation, part)
            bounded.append((low, high))
            reached.append((low if "low" in part.limits else None, high if "high" in part.limits else None))
            boxes += count
        _compare(activation, part, low, high)
    for side, stated in enumerate(activation.slope_range_exact):
        _check_end(activation, stated, 1 - 2 * side, [ends[side] for ends in reached], [ends[side] for ends in bounded])
    kinds = "; ".join(dict.fromkeys(part.statement for part in parts))
    counted = ", ".join(f"{n} {what}{'' if n == 1 else 's'}" for n, what in ((len(parts), "part"), (boxes, "box")))
    return SlopeProof(Evidence.BALLS, f"ball arithmetic on {counted.replace('boxs', 'boxes')} ({kinds})", boxes)


def _number(value: Any) -> Any:
    return value() if callable(value) else value


def _check_end(
    activation: ScalarActivation, stated: SlopeEnd, sign: int, reached: list[Any], bounds: list[Any]
) -> None:
    """Raise Disagreement unless the stated end is the least (sign 1) or greatest (sign -1) of what the parts give.

    ``reached`` are ends that the slopes come as close to as one likes, None where a tail gives a bound only.
    """
    from flint import arb

    name = "least" if sign > 0 else "greatest"
    ends = [sign * end for end in reached if end is not None]
    if not stated.finite:
        if not any(not end.is_finite() and end < 0 for end in ends):
            raise Disagreement(f"the {name} slope of {activation.name!r} is stated as infinite; no part shows it")
        return
    target, tolerance = sign * stated.ball(), arb(AGREEMENT)
    for end in [*ends, *(sign * end for end in bounds)]:
        # Two exact numbers are compared exactly.
        slack = arb(0) if target.is_exact() or end.is_exact() else tolerance
        if not end >= target - slack:
            raise Disagreement(f"a part of {activation.name!r} has slopes beyond the stated {name} one: {sign * end}")
    if not any(abs(end - target) < tolerance and (end.overlaps(target) or not end.is_exact()) for end in ends):
        raise Disagreement(f"no part of {activation.name!r} reaches the stated {name} slope {stated}")


def _tail(activation: ScalarActivation, part: TailBound) -> tuple[Any, Any, int]:
    """Return the bounds of a tail, outward, and the boxes of their verification. Raises Disagreement."""
    start = as_ball(part.start)
    bounds = _outward(part, start)
    boxes, inner = 0, bounds
    for step in range(REACH):
        near, far = start + part.sign * step, start + part.sign * (step + 1)
        found = enclose_range(part.slope, *((near, far) if part.sign > 0 else (far, near)))
        following = _outward(part, far)
        boxes += found.boxes
        if not (_within((found.low.value, found.high.value), inner) and _within(following, inner)):
            raise Disagreement(f"the bounds of a tail of {activation.name!r} ({part.statement}) do not hold")
        inner = following
    for name, end in zip(("low", "high"), bounds, strict=True):
        if not end.is_finite() and not (name in part.limits and _grows(part, start)):
            raise Disagreement(f"a tail of {activation.name!r} ({part.statement}) is not shown to be unbounded")
    return (*bounds, boxes)


def _outward(part: TailBound, start: Any) -> tuple[Any, Any]:
    low, high = part.bounds(start)
    return low.lower(), high.upper()


def _within(inner: tuple[Any, Any], outer: tuple[Any, Any], default: bool = False) -> bool:
    """Whether one pair of bounds lies in another, to 1e-30: a bound may be met exactly, which balls cannot tell.

    ``default`` is returned where the inner pair is not known well enough to tell.
    """
    from flint import arb

    slack = arb(AGREEMENT)
    if default and not all(end.is_finite() and end.rad() < slack for end in inner):
        return default
    above = not outer[0].is_finite() or inner[0] >= outer[0] - slack * (1 + abs(outer[0]))
    return above and (not outer[1].is_finite() or inner[1] <= outer[1] + slack * (1 + abs(outer[1])))


def _grows(part: TailBound, start: Any) -> bool:
    """Whether the finite one of the bounds exceeds every moderate number further out."""
    for exponent in range(60):
        low, high = part.bounds(start + part.sign * as_ball(2.0**exponent))
        if (low.is_finite() and low > LARGE) or (high.is_finite() and high < -LARGE):
            return True
    return False


def check_cover(activation: ScalarActivation, parts: tuple[SlopePart, ...]) -> None:
    """Raise Disagreement unless the parts, from left to right, cover the inputs; neighbours touch to 1e-30."""
    from flint import arb

    extents = [_extent(part) for part in parts]
    ends, near = activation.inputs, arb(AGREEMENT)
    first, last = extents[0][0], extents[-1][1]
    whole = first <= as_ball(ends.lower) and last >= as_ball(ends.upper)
    if not whole or any(left[1] < right[0] - near for left, right in pairwise(extents)):
        raise Disagreement(f"the parts of {activation.name!r} do not cover its inputs")


def _extent(part: SlopePart) -> tuple[Any, Any]:
    """Return the x between which a part lies, as balls; infinite where x runs away at an end of it."""
    from flint import arb

    if isinstance(part, TailBound):
        start = as_ball(part.start)
        begin, beyond = (_x(part, start + part.sign * shift) for shift in (0, 1))
        return (begin, arb("inf")) if beyond > begin else (arb("-inf"), begin)
    lower, upper = as_ball(_number(part.lower)), as_ball(_number(part.upper))
    inner = [_x(part, lower + as_ball(share) * (upper - lower)) for share in (0.25, 0.75)]
    rising = inner[0] < inner[1]
    ends = [_end_of(part, lower, upper, not rising), _end_of(part, upper, lower, rising)]
    return (ends[0], ends[1]) if rising else (ends[1], ends[0])


def _end_of(part: Chart, end: Any, other: Any, right: bool) -> Any:
    """Return the x at an end of a chart; infinite if x grows there by ever larger steps as the distance is squared."""
    from flint import arb

    x = _x(part, end)
    if x.is_finite():
        return x
    near = [_x(part, end + (other - end) * as_ball(2.0**-k)) for k in (40, 80, 160)]
    steps = [(b - a) * (1 if right else -1) for a, b in pairwise(near)]
    runs_away = steps[0] > 0 and 2 * steps[1] >= 3 * steps[0]
    return arb("inf" if right else "-inf") if runs_away else near[-1]


def _x(part: SlopePart, t: Any) -> Any:
    return t if part.point is None else part.point(t)


def _compare(activation: ScalarActivation, part: SlopePart, low: Any, high: Any) -> None:
    """Raise Disagreement unless the part's slope is that of r at points, and all its quotients between them fit.

    The quotients of r over neighbouring points of a grid lie between the part's least and greatest slope: a change of
    r anywhere between the points would show.
    """
    from flint import arb_series

    if isinstance(part, TailBound):
        grid = [as_ball(part.start) + part.sign * as_ball(REACH * k / GRID) for k in range(GRID + 1)]
    else:
        lower, upper = as_ball(_number(part.lower)), as_ball(_number(part.upper))
        grid = [lower + as_ball(k / GRID) * (upper - lower) for k in range(1, GRID)]
    compared = 0
    points = [_x(part, t) for t in grid]
    values = [_response(activation, x) for x in points]
    for (x, r), (y, s) in pairwise(zip(points, values, strict=True)):
        if not _within(((s - r) / (y - x),) * 2, (low, high), default=True):
            raise Disagreement(f"r of {activation.name!r} has other quotients than a part ({part.statement}) at {x}")
    for t, x in list(zip(grid, points, strict=True))[1:-1:4]:
        expected = part.slope(arb_series([t, 1], prec=6))[0]
        step = as_ball(2.0**-60) * _room(activation, x)
        quotient = (_response(activation, x + step) - _response(activation, x - step)) / (2 * step)
        if not quotient.is_finite():
            continue
        compared += 1
        slack = as_ball(2.0**-40) * (1 + abs(expected))
        if not (expected + slack.union(-slack)).overlaps(quotient):
            raise Disagreement(f"a part of {activation.name!r} ({part.statement}) has another slope than r at {x}")
    if not compared:
        raise Disagreement(f"the slope of {activation.name!r} could not be compared with r ({part.statement})")


def _room(activation: ScalarActivation, x: Any) -> Any:
    """Return the size of x, or its distance to a finite end of the inputs where that is less."""
    room = as_ball(1) if x.contains(0) else abs(x.mid())
    for end in (activation.inputs.lower, activation.inputs.upper):
        distance = abs(x - as_ball(end)).mid()
        room = distance if distance < room else room
    return room


def _response(activation: ScalarActivation, x: Any) -> Any:
    return as_ball(activation.flint_response([x])[0])
