"""The slope range of (v + A sin(o v))/(1 + e^-v), proved in ball arithmetic for given parameters A and o.

With s = 1/(1 + e^-v), a = |A o|, c = cos(o v), n = sin(o v) the slope is s (1 + A o c) + (v + A n) s (1 - s). With the
sign of A o in front of c,
    slope - (1 + a) = (1 - s) (s (v + A n) - (1 + a)) - s a (1 -+ c),
    slope - (1 - a) = (1 - s) (s (v + A n) - (1 - a)) + s a (1 +- c).
What follows for A o != 0, with |A n| <= a |v| and 1 - |c| >= n^2/2:

* v <= 0: |slope| <= (1 + a) (1 + |v|) e^v, below 1 + a. For v < -2 (1 + a) - |A| the slope is negative.
* v > 1 + a with n = 0 and A o c = a: the slope exceeds 1 + a. On the right it comes close to 1 + A o c. So its supremum
  exceeds 1 + a and is attained.
* v >= 1: slope - (1 + a) <= v e^-v + |A/o| e^(-2v), which decreases, since (1 - s) |A n| - a n^2/2 is at most
  (1 - s)^2 |A/o|/2.
* v >= max(4, log(4 |A/o|)): slope > 1 - a. Either |A n| <= v/2 and s v/2 > 1, or a n^2/2 >= |o n| v/4 >= (1 - s) |A n|.
  On the right the limit inferior is 1 - a. So the infimum is attained if it is less than 1 - a, as for a <= 1, and is
  the limit 1 - a otherwise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any, NamedTuple

from nngames.activations.numerics.flint_forms import square
from nngames.core.errors import NotApplicableError

#: Bits of the computation; a supremum less than 2^-SLACK above 1 + a is not told apart from it.
PRECISION, SLACK = 300, 220
#: Boxes that a search examines at most.
_BOXES = 10000


@dataclass(frozen=True)
class ProvedEnd:
    """An end of the slope range: a ball around it, and the place where it is attained; None if that is not known.

    ``limit`` says that the end is the limit 1 - a and not attained.
    """

    value: Any
    place: float | None
    limit: bool = False


@dataclass(frozen=True)
class SinuSlopes:
    """The slopes for given nonzero parameters; see the module."""

    amplitude: float
    frequency: float

    @property
    def product(self) -> Fraction:
        """A o."""
        return Fraction(self.amplitude) * Fraction(self.frequency)

    @property
    def size(self) -> Fraction:
        """a = |A o|."""
        return abs(self.product)

    @property
    def right(self) -> float:
        """Beyond it the slope exceeds 1 - a."""
        return max(4.0, math.log(4) + math.log(abs(self.amplitude)) - math.log(abs(self.frequency)) + 1e-9)

    def left_bound(self, start: Any) -> Any:
        """Return the bound on the size of the slope left of start < 0, a ball."""
        return (1 + _exact(self.size)) * (1 - start) * start.exp()

    def right_excess(self, start: Any) -> Any:
        """Return the bound on slope - (1 + a) right of start >= 1, a ball."""
        e = (-start).exp()
        return e * (start + _exact(Fraction(self.amplitude) / Fraction(self.frequency)).abs_upper() * e)

    def ends(self) -> tuple[ProvedEnd, ProvedEnd]:
        """Return the infimum and the supremum.

        Raises
        ------
        NotApplicableError
            If the search takes too many steps, as for a high frequency.
        """
        from nngames.core.ball_ranges import working_precision

        with working_precision(PRECISION):
            return self._infimum(), self._supremum()

    def slope(self, v: Any) -> Any:
        """Return the slope at a ball or a power series."""
        amplitude, frequency = _exact(self.amplitude), _exact(self.frequency)
        share, wave = 1 / (1 + (-v).exp()), frequency * v
        rest = 1 / (1 + v.exp())
        return share * (1 + amplitude * frequency * wave.cos() + (v + amplitude * wave.sin()) * rest)

    @cached_property
    def left(self) -> float:
        """Left of it the slopes are nearer to 0 than the infimum."""
        from flint import arb

        from nngames.core.ball_ranges import working_precision

        with working_precision(PRECISION):
            for k in range(2, 400):
                if self.left_bound(arb(-k)) < -self._known_low:
                    return float(-k)
        raise self._unproved()

    @cached_property
    def _known_low(self) -> Any:
        """A number that the infimum does not exceed: 1 - a or a slope at a multiple of 1/4."""
        known = [self.slope(_exact(Fraction(-k, 4))).upper() for k in range(400)]
        known.append((1 - _exact(self.size)).upper())
        return min(known, key=lambda t: float(t.mid()))

    def _infimum(self) -> ProvedEnd:
        """Return the infimum."""
        from flint import arb

        limit = 1 - _exact(self.size)

        def excess(v: Any) -> tuple[Any, Any]:
            """Return bounds of (1 - a) - slope on a ball; the lower one counts on a point."""
            p = self._parts(v)
            gain, loss = p.rest * (limit - p.share * p.height), p.share * p.plus
            plain = limit - p.share * (limit + p.plus + p.rest * p.height)
            first, second = gain.upper() - _floor(loss), plain.upper()
            return plain.lower(), first if first < second else second

        known = (limit - self._known_low).lower()
        boxes = self._search(excess, self.left, self.right, known if known > 0 else arb(0), arb(0))[0]
        return self._refine(boxes, -1) if boxes else ProvedEnd(limit, None, limit=True)

    def _supremum(self) -> ProvedEnd:
        """Return the supremum."""
        from flint import arb

        top, slack = 1 + _exact(self.size), arb(2) ** -SLACK

        def excess(v: Any) -> tuple[Any, Any]:
            """Return bounds of slope - (1 + a) on a ball; the lower one counts on a point."""
            p = self._parts(v)
            gain, loss = p.rest * (p.share * p.height - top), p.share * p.minus
            return (gain - loss).lower(), gain.upper() - _floor(loss)

        end = arb(1)
        while not self.right_excess(end) < slack:
            end = end + 1
        known = max((excess(self._top(k))[0] for k in range(-2, 4)), key=lambda t: float(t.mid()))
        boxes, best = self._search(excess, 0.0, float(end), known if known > 0 else arb(0), slack)
        return self._refine(boxes, 1) if boxes else ProvedEnd(top + arb(0).union(best + slack), None)

    def _top(self, k: int) -> Any:
        """Return the k-th place next to 2 + a where A o cos(o v) = a, around which the slope exceeds 1 + a most."""
        from flint import arb

        first = 0 if self.product > 0 else 1
        turns = round(float((2 + self.size) * abs(Fraction(self.frequency))) / (2 * math.pi) - first / 2) + k
        return max(2 * turns + first, first) * arb.pi() / abs(_exact(self.frequency))

    def crest(self, start: float) -> float:
        """Return the first place after ``start`` where A o cos(o v) = a."""
        return self._first(start, 0 if self.product > 0 else 1)

    def trough(self, start: float) -> float:
        """Return the first place after ``start`` where A o cos(o v) = -a."""
        return self._first(start, 1 if self.product > 0 else 0)

    def _first(self, start: float, half_turns: int) -> float:
        half = math.pi / abs(self.frequency)
        return (2 * math.ceil((start / half - half_turns) / 2) + half_turns) * half

    def end_of_search(self, supremum: ProvedEnd) -> float:
        """Return a place beyond which the slope is above 1 - a, and not near the supremum if its place is known."""
        from flint import arb

        from nngames.core.ball_ranges import working_precision

        with working_precision(PRECISION):
            excess = arb(2) ** -SLACK
            if supremum.place is not None:
                excess = (supremum.value - (1 + _exact(self.size))).lower() / 2
            end = math.ceil(self.right)
            while not self.right_excess(arb(end)) < excess:
                end += 1
        return float(end)

    def _parts(self, v: Any) -> _Parts:
        """Return the parts of the slope on a ball."""
        frequency, amplitude, size = _exact(self.frequency), _exact(self.amplitude), _exact(self.size)
        sine, cosine = (frequency * v / 2).sin_cos()
        minus, plus = 2 * size * square(sine), 2 * size * square(cosine)
        if self.product < 0:
            minus, plus = plus, minus
        # s is monotone, and v + A n has the derivative 1 - a + a (1 +- c).
        low, high, middle = v.lower(), v.upper(), v.mid()
        share = (1 / (1 + (-low).exp())).union(1 / (1 + (-high).exp()))
        rest = (1 / (1 + low.exp())).union(1 / (1 + high.exp()))
        height = v + amplitude * (frequency * v).sin()
        around = middle + amplitude * (frequency * middle).sin() + (1 - size + plus) * (v - middle)
        return _Parts(share, rest, height.intersection(around), plus, minus)

    def _search(self, bounds: Any, lower: float, upper: float, known: Any, slack: Any) -> tuple[list[Any], Any]:
        """Return boxes that hold every maximiser of a function whose supremum is at least ``known``, and a lower bound.

        No boxes: the function is nowhere above the lower bound and the slack.
        """
        boxes, examined = [(_exact(lower), _exact(upper))], 0
        best, width = known, upper - lower
        enough = 1 / (8 * max(1.0, abs(self.frequency)))
        while boxes:
            found = []
            for low, high in boxes:
                top = bounds(low.union(high))[1]
                if not top <= best + slack:
                    value = bounds(((low + high) / 2).mid())[0]
                    best = value if value > best else best
                    found.append((low, high, top))
            examined += len(boxes)
            live = [(low, high) for low, high, top in found if not top <= best + slack]
            if not live or (width < enough and float(live[-1][1] - live[0][0]) < 8 * enough):
                return live, best
            if examined > _BOXES:
                raise self._unproved()
            middles = [((low + high) / 2).mid() for low, high in live]
            boxes = [part for (low, high), m in zip(live, middles, strict=True) for part in ((low, m), (m, high))]
            width /= 2
        return [], best

    def _refine(self, boxes: list[Any], sign: int) -> ProvedEnd:
        """Return the extreme of the slope on the hull of the boxes."""
        from flint import arb

        from nngames.core.ball_ranges import enclose_range

        found = enclose_range(self.slope, boxes[0][0], boxes[-1][1], digits=50)
        extreme = found.high if sign > 0 else found.low
        if not extreme.resolved:
            raise self._unproved()
        slack = sign * arb(2) ** -SLACK
        return ProvedEnd(extreme.value.union(extreme.value + slack), float(extreme.place.mid()))

    def _unproved(self) -> NotApplicableError:
        who = f"'sinu_sigmoidal' with amplitude={self.amplitude!r} and frequency={self.frequency!r}"
        return NotApplicableError(f"the slopes of {who} have no proved range: the search for it takes too many steps")


class _Parts(NamedTuple):
    """s, 1 - s, v + A n, a (1 +- c) and a (1 -+ c)."""

    share: Any
    rest: Any
    height: Any
    plus: Any
    minus: Any


def _exact(number: Any) -> Any:
    from nngames.core.ball_ranges import as_ball

    return as_ball(number)


def _floor(loss: Any) -> Any:
    """Return the lower end of a number that is not negative."""
    low = loss.lower()
    return low if low > 0 else 0 * low
