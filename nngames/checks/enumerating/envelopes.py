"""The convex envelopes of a piecewise linear response on consecutive pieces, as exact lines."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from typing import Any

from nngames.solvers.piecewise_equation import Pieces

#: slope, offset
Line = tuple[Any, Any]


@dataclass(frozen=True)
class Envelope:
    """What holds of (v, r(v)) where v lies in consecutive pieces.

    Attributes
    ----------
    low, high : fmpq or None
        The ends of v; None where infinite.
    lower, upper : tuple of Line
        r(v) >= slope v + offset, and r(v) <= slope v + offset. Of a single piece both are its line.
    """

    low: Any | None
    high: Any | None
    lower: tuple[Line, ...]
    upper: tuple[Line, ...]


@lru_cache(maxsize=4096)
def envelope(pieces: Pieces, first: int, last: int) -> Envelope:
    """Return the envelope over the pieces ``first`` to ``last``.

    A line is below r iff it is so at the ends and breaks, and at an infinite end its slope is on the right side of r's.
    The lines through two such points, or through one with the slope of an infinite end, include all of the envelope.
    """
    low = pieces.breaks[first - 1] if first > 0 else None
    high = pieces.breaks[last] if last < len(pieces.breaks) else None
    if first == last:
        line = (pieces.slopes[first], pieces.offsets[first])
        return Envelope(low, high, (line,), (line,))
    places = [p for p in (low, *pieces.breaks[first:last], high) if p is not None]
    points = [(v, _value(pieces, v)) for v in places]
    left = pieces.slopes[first] if low is None else None
    right = pieces.slopes[last] if high is None else None
    candidates = [_through(a, b) for a, b in combinations(points, 2)]
    candidates += [(s, y - s * v) for s in (left, right) if s is not None for v, y in points]
    lower = tuple(dict.fromkeys(line for line in candidates if _below(line, points, left, right, 1)))
    upper = tuple(dict.fromkeys(line for line in candidates if _below(line, points, left, right, -1)))
    return Envelope(low, high, lower, upper)


def _through(a: tuple[Any, Any], b: tuple[Any, Any]) -> Line:
    slope = (b[1] - a[1]) / (b[0] - a[0])
    return slope, a[1] - slope * a[0]


def _below(line: Line, points: list[tuple[Any, Any]], left: Any, right: Any, sign: int) -> bool:
    slope, offset = line
    if left is not None and sign * (slope - left) < 0:
        return False
    if right is not None and sign * (slope - right) > 0:
        return False
    return all(sign * (y - slope * v - offset) >= 0 for v, y in points)


def _value(pieces: Pieces, v: Any) -> Any:
    k = sum(1 for b in pieces.breaks if b < v)
    return pieces.slopes[k] * v + pieces.offsets[k]
