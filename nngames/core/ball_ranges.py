"""Ranges of analytic functions of one variable on compact intervals, proved in ball arithmetic (python-flint)."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nngames.core.errors import InputError

if TYPE_CHECKING:
    from flint import arb, arb_series

#: Terms of the Taylor models that sharpen a box's bounds: an overestimate on a box of width h falls as h^20, which
#: tails that are flat to many digits need. A function may take as many derivatives of its argument's series.
ORDER = 20
#: Where a box is cut, as a fraction of its width: off the middle, since symmetric functions have extremes there, and
#: a critical point on a cut is in two boxes and inside neither.
CUT = 0.4873046875


@dataclass(frozen=True)
class Extreme:
    """An extreme value and where it is taken.

    Attributes
    ----------
    value : arb
        Encloses the extreme value; of radius 0 where it is known exactly.
    place : arb
        Encloses a point where the value is taken, if ``rivals`` is 0; else the best of the candidates.
    resolved : bool
        Whether the place, and that of each rival, is one point that is proved: an end of the interval or the only
        critical point of a box. If not, the value is still enclosed.
    rivals : int
        How many other candidates have values that cannot be told apart from this one, such as the two equal maxima of
        an even function; ``value`` encloses the extreme over all of them.
    """

    value: arb
    place: arb
    resolved: bool
    rivals: int = 0


@dataclass(frozen=True)
class Range:
    """The least and the greatest value of a function on an interval, and the number of boxes examined."""

    low: Extreme
    high: Extreme
    boxes: int


def enclose_range(
    function: Callable[[arb_series], arb_series],
    lower: Any,
    upper: Any,
    *,
    exact_points: Iterable[Any] = (),
    digits: int = 40,
    max_boxes: int = 20000,
) -> Range:
    """Enclose the minimum and the maximum of an analytic function on [lower, upper].

    Parameters
    ----------
    function : callable
        From flint power series to flint power series, such as ``lambda x: 1 / (1 + (-x).exp())``; analytic on a
        neighbourhood of the interval. It may take up to 20 derivatives of the series, which lose terms.
    lower, upper : int, float, Fraction, fmpq or arb
        The ends. If one is known as a ball only, the enclosures hold for each number in the ball.
    exact_points : iterable of numbers
        Points where the derivative may vanish exactly. Only those where it evaluates to exactly 0 are used, and they
        make values there exact where the function's are.
    digits, max_boxes : int
        Critical points are enclosed to a radius of about 10^-digits. After ``max_boxes`` boxes, those that are left are
        enclosed as they are: still rigorous, but wide and not resolved.

    Returns
    -------
    Range
        Enclosures of the two extremes; infinite if the function cannot be evaluated near some point.

    Notes
    -----
    The extremes are at the ends or at critical points. A box is dropped if the derivative has no zero on it, or if its
    values are between those found; where the second derivative has one sign, the interval Newton method decides whether
    there is a critical point and encloses it; else the box is cut in two.
    """
    with working_precision(math.ceil(digits * math.log2(10)) + 64, 2 * ORDER + 1):
        ends = as_ball(lower), as_ball(upper)
        if not all(end.is_finite() for end in ends) or ends[0] > ends[1]:
            raise InputError(f"lower={lower} and upper={upper} must be finite, with lower <= upper")
        search = _Search(function, digits, [as_ball(point) for point in exact_points])
        search.run(*ends, max_boxes)
        return Range(_least(search.candidates, 1), _least(search.candidates, -1), search.boxes)


def as_ball(number: Any) -> arb:
    """Return a number as a ball: exactly if it is dyadic, else enclosed at the working precision; a ball as it is."""
    from flint import arb, fmpq

    if isinstance(number, arb):
        return number
    if isinstance(number, float) and not math.isfinite(number):
        return arb(number)
    numerator, denominator = map(int, (number.p, number.q) if isinstance(number, fmpq) else number.as_integer_ratio())
    if denominator & (denominator - 1) == 0:
        return arb((numerator, 1 - denominator.bit_length()))
    return arb(fmpq(numerator, denominator))


@contextmanager
def working_precision(bits: int, terms: int = 0) -> Iterator[None]:
    """Set flint's working precision, and let its power series have this many terms at least; restored on leaving."""
    from flint import ctx

    previous = ctx.prec, ctx.cap
    ctx.prec, ctx.cap = bits, max(ctx.cap, terms)
    try:
        yield
    finally:
        ctx.prec, ctx.cap = previous


class _Search:
    """The search for critical points: boxes are pairs of exact balls, so that comparing their ends is decisive."""

    def __init__(self, function: Callable[[Any], Any], digits: int, exact_points: Sequence[arb]) -> None:
        from flint import arb

        self.function, self.precision = function, arb(10) ** -digits
        self.exact_points = [point for point in exact_points if point.is_exact()]
        self.lost, self.boxes = 0, 0
        self.candidates: list[Extreme] = []
        self.taken = arb("inf"), arb("-inf")  # The minimum is at most the first, the maximum at least the second.

    def run(self, lower: arb, upper: arb, max_boxes: int) -> None:
        """Collect candidates, among which are the minimum and the maximum."""
        if not lower < upper:
            both = lower.union(upper)
            self.add(self.bounds(both)[0], both, both.is_exact())
            return
        a, b = (lower if lower.is_exact() else lower.upper()), (upper if upper.is_exact() else upper.lower())
        # The values on an inexact end cover it wherever it is in its ball, and all between it and the box [a, b].
        for end, inner in ((lower, a), (upper, b)):
            self.add(self.bounds(end.union(inner) if end is not inner else end)[0], end, True)
        self.tolerance = self.precision * (b - a if b - a < 1 else 1)
        # Breadth first: the values met on coarse boxes rule out most of the fine ones.
        queue = deque([(a, b)])
        while queue and self.boxes < max_boxes:
            self.boxes += 1
            queue.extend(self.examine(*queue.popleft()))
        for a, b in queue:
            self.add(self.bounds(a.union(b))[0], a.union(b), False)

    def examine(self, a: arb, b: arb) -> list[tuple[arb, arb]]:
        """Decide the box [a, b], or return its two parts."""
        box, middle = a.union(b), _inside(a, b)
        if not self.terms(box, 1)[1].contains(0):
            return []
        if divisible := a < middle < b:
            self.note(self.terms(middle, 0)[0])
        value, slope, curvature = self.bounds(box)
        # On a box where the function is constant it is constant everywhere, and the ends are candidates.
        if slope.is_zero() or not slope.contains(0) or self.is_between(value, 0):
            return []
        exact = self.only_exact_point(a, b, curvature)
        if exact is not None:
            self.add(self.bounds(exact)[0], exact, True)
        elif not curvature.contains(0):
            self.refine(a, b)
        elif divisible and b - a > self.tolerance and not self.is_between(value, self.precision):
            return [(a, middle), (middle, b)]
        else:
            self.add(value, box, False)
        return []

    def is_between(self, value: arb, share: arb | int) -> bool:
        """Return whether a value is strictly between those taken, or less than a share of their size beyond them."""
        least, greatest = self.taken
        slack = share * (abs(least) + abs(greatest))
        return least - slack < _bottom(value) and _top(value) < greatest + slack

    def only_exact_point(self, a: arb, b: arb, curvature: arb) -> arb | None:
        """Return the end or exact point that is the only critical point of [a, b], if there is one."""
        for point in (a, b, *self.exact_points):
            if a <= point <= b and self.terms(point, 1)[1].is_zero():
                terms = self.terms(point, ORDER)
                order = next((k for k in range(2, ORDER + 1) if not terms[k].is_zero()), ORDER)
                # If F^(k) has no zero on the box, then by Taylor's formula at the point F' has no other zero.
                around = curvature if order == 2 else self.terms(a.union(b), order)[order]
                if not around.contains(0):
                    return point
        return None

    def refine(self, a: arb, b: arb) -> None:
        """Add the critical point of a box on which the second derivative has one sign, unless there is none."""
        at_ends = self.terms(a, 1)[1], self.terms(b, 1)[1]
        exists = not any(slope.contains(0) for slope in at_ends)
        if exists and (at_ends[0] > 0) == (at_ends[1] > 0):
            return
        for _ in range(100):  # The first steps halve the box at least, the last ones double the digits.
            middle, width = _inside(a, b), b - a
            image = middle - self.terms(middle, 1)[1] / (2 * self.bounds(a.union(b))[2])
            first, last = image.lower(), image.upper()
            if first > b or last < a:
                return
            exists = exists or (a < first and last < b)
            a, b = (first if first > a else a), (last if last < b else b)
            # A step that gains little is at the working precision.
            if b - a < self.tolerance or not b - a < 0.9 * width:
                break
        place, middle = a.union(b), _inside(a, b)
        # By Taylor's formula at the critical point. In python-flint ** 2 of a ball around 0 is nan.
        drop = self.bounds(place)[2] * ((place - middle) * (place - middle))
        self.add(self.terms(middle, 0)[0] - drop, place, exists)

    def bounds(self, box: arb) -> list[arb]:
        """Enclose F, F' and F''/2 on a box, by evaluation there and by Taylor's formula at its middle."""
        bounds = self.terms(box)
        if box.is_exact() or not bounds[0].is_finite():
            return bounds
        middle = box.mid()
        terms = [*self.terms(middle, ORDER - 1), self.terms(box, ORDER)[ORDER]]
        for j in range(3):
            total: Any = 0
            for k in range(ORDER, j - 1, -1):
                total = total * (box - middle) + math.comb(k, j) * terms[k]
            if total.is_finite():
                bounds[j] = bounds[j].intersection(total)
        return bounds

    def note(self, value: arb) -> None:
        """Note the enclosure of a value that is taken on the interval."""
        least, greatest = self.taken
        top, bottom = _top(value), _bottom(value)
        self.taken = (top if top < least else least), (bottom if bottom > greatest else greatest)

    def add(self, value: arb, place: arb, resolved: bool) -> None:
        """Add a candidate, once: a point that is the end of two boxes is found in both."""
        from flint import arb

        if not value.is_finite():
            value, resolved = arb(0, math.inf), False
        self.note(value)
        if not (place.is_exact() and any(other.place.is_exact() and other.place == place for other in self.candidates)):
            self.candidates.append(Extreme(value, place, resolved))

    def terms(self, box: arb, order: int = 2) -> list[arb]:
        """Return F, F', F''/2, ... on a box up to an order; all are nan where they cannot be bounded."""
        from flint import arb, arb_series

        missing = 1
        while missing > 0:
            try:
                series = arb_series(self.function(arb_series([box, 1], prec=order + 1 + self.lost)))
            except (ValueError, ZeroDivisionError):  # The first term of a denominator may be 0.
                return [arb("nan")] * (order + 1)
            missing = max(0, order + 1 - series.prec)
            self.lost += missing
            if self.lost > ORDER:
                raise InputError(f"the function's series has {missing} terms too few, however long its argument's is")
        terms = [series[k] for k in range(order + 1)]
        return terms if all(term.is_finite() for term in terms) else [arb("nan")] * (order + 1)


def _inside(a: arb, b: arb) -> arb:
    return (a + CUT * (b - a)).mid() if a < b else a


def _bottom(value: arb) -> arb:
    from flint import arb

    return value.lower() if value.is_finite() else arb("-inf")


def _top(value: arb) -> arb:
    return -_bottom(-value)


def _least(candidates: Sequence[Extreme], sign: int) -> Extreme:
    """Return the minimum over candidates of sign * value: it is between their least lower and least upper bounds."""
    from flint import arb

    bounds = [(_top(sign * c.value), -_bottom(sign * c.value), not c.resolved) for c in candidates]
    first = min(range(len(bounds)), key=bounds.__getitem__)
    top, winner = bounds[first][0], candidates[first]
    # A value that is at least the winner's upper bound is at least the winner's value.
    rivals = [c for c, bound in zip(candidates, bounds, strict=True) if c is not winner and -bound[1] < top]
    if not rivals:
        return winner
    bottom = min(-bound[1] for bound in bounds)
    value = sign * bottom.union(top) if bottom.is_finite() and top.is_finite() else arb(0, math.inf)
    return Extreme(value, winner.place, winner.resolved and all(rival.resolved for rival in rivals), len(rivals))
