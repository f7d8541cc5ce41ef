"""Slopes of a scalar activation between two points of an interval: enclosed by its charts in ball arithmetic."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from nngames.activations.foundations.charts import Chart, SlopePart
from nngames.core.enclosures import outward_floats
from nngames.core.errors import NotApplicableError

if TYPE_CHECKING:
    from nngames.activations.foundations.scalar import ScalarActivation

# Halvings by which the part of a chart that belongs to an interval is found.
_HALVINGS = 60
_BITS = 96


class SlopeEnclosure:
    """Bounds on (r(x) - r(y))/(x - y) over all pairs in an interval: the Clarke derivative's hull, for kinks too.

    Parameters
    ----------
    activation : ScalarActivation

    Notes
    -----
    A difference quotient of a continuous r that is differentiable on each chart is a mean of its slopes there. A chart
    x = p(t) is monotone, so that the t of an interval of x are found by halving: what is certainly outside is left out.
    Every bound is intersected with the slope range on the line, which stands alone where no charts are known.
    """

    def __init__(self, activation: ScalarActivation) -> None:
        self.range = activation.slope_range
        try:
            parts = activation.slope_charts()
        except NotApplicableError:
            parts = ()
        self._parts = [_Part(part) for part in parts]
        self._constant = self.range[0] == self.range[1]

    def __call__(self, lower: float, upper: float) -> tuple[float, float]:
        """Return (least, greatest) over lower <= y < x <= upper, rounded outwards."""
        from nngames.core.ball_ranges import working_precision

        if self._constant or not self._parts or not (math.isfinite(lower) and math.isfinite(upper)):
            return self.range
        with working_precision(_BITS, 4):
            found = [bounds for part in self._parts if (bounds := part.bounds(lower, upper)) is not None]
        if not found:
            return self.range
        low, high = min(low for low, _ in found), max(high for _, high in found)
        return max(low, self.range[0]), min(high, self.range[1])


class _Part:
    def __init__(self, part: SlopePart) -> None:
        from nngames.core.ball_ranges import as_ball, working_precision

        self.part = part
        with working_precision(_BITS, 4):
            if isinstance(part, Chart):
                self.ends = tuple(as_ball(end() if callable(end) else end) for end in (part.lower, part.upper))
                inner = [self._x(self.ends[0] + (self.ends[1] - self.ends[0]) * share / 8) for share in (3, 5)]
                self.rising = bool(inner[0] < inner[1])
            else:
                self.start = as_ball(part.start)

    def _x(self, t: Any) -> Any:
        return t if self.part.point is None else self.part.point(t)

    def bounds(self, lower: float, upper: float) -> tuple[float, float] | None:
        """Return bounds on the slopes of this part within [lower, upper]; None where it has no point there."""
        from flint import arb

        low, high = arb(lower), arb(upper)
        if isinstance(self.part, Chart):
            inside = self._inside(low, high)
            return None if inside is None else self._slopes(*inside)
        border, right = self._x(self.start), self.part.sign > 0
        if (high < border) if right else (low > border):
            return None
        tail = self.part.bounds(self.start)
        found = outward_floats(*tail)
        if self.part.point is None:
            a, b = (self.start.max(low), high) if right else (low, self.start.min(high))
            near = self._slopes(a, b)
            found = max(found[0], near[0]), min(found[1], near[1])
        return found

    def _inside(self, low: Any, high: Any) -> tuple[Any, Any] | None:
        """Return t's between which all of the chart's points in [low, high] lie."""
        first, last = self.ends
        if self.part.point is None:
            if high < first or low > last:
                return None
            return first.max(low), last.min(high)
        before, after = (low, high) if self.rising else (high, low)

        def leaves(t: Any, end: Any, towards_low: bool) -> bool:
            x = self._x(t)
            return bool(x < end if towards_low == self.rising else x > end)

        if leaves(last, before, True) or leaves(first, after, False):
            return None
        return self._cut(first, last, lambda t: leaves(t, before, True)), self._cut(
            last, first, lambda t: leaves(t, after, False)
        )

    @staticmethod
    def _cut(outside: Any, inside: Any, certainly_outside: Any) -> Any:
        """Return the innermost t that halving shows to be certainly outside, or the chart's own end."""
        if not certainly_outside(outside):
            # An infinite end is not a number in balls: it is outside if a point next to it is.
            step = (inside - outside) / 2**30
            if not certainly_outside(outside + step):
                return outside
        for _ in range(_HALVINGS):
            middle = ((outside + inside) / 2).mid()
            if certainly_outside(middle):
                outside = middle
            else:
                inside = middle
        return outside

    def _slopes(self, a: Any, b: Any) -> tuple[float, float]:
        from flint import arb_series

        box = a.union(b)
        try:
            slope = arb_series(self.part.slope(arb_series([box, 1], prec=3)))[0]
        except (ValueError, ZeroDivisionError):
            return -math.inf, math.inf
        return outward_floats(slope, slope)
