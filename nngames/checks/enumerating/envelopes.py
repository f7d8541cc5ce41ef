"""The convex envelopes of a piecewise linear response on consecutive pieces, as exact lines."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations
from math import inf, isfinite
from typing import Any

from nngames.core.exact import rational
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


def envelope(pieces: Pieces, first: int, last: int, low_end: float = -inf, high_end: float = inf) -> Envelope:
    """Return the envelope over the pieces ``first`` to ``last``, where v also lies from ``low_end`` to ``high_end``.

    A line is below r iff it is so at the ends and breaks, and at an infinite end its slope is on the right side of r's.
    The lines through two such points, or through one with the slope of an infinite end, include all of the envelope.
    """
    low = max(_ends(pieces.breaks[first - 1] if first > 0 else None, low_end), default=None)
    high = min(_ends(pieces.breaks[last] if last < len(pieces.breaks) else None, high_end), default=None)
    if first == last:
        line = (pieces.slopes[first], pieces.offsets[first])
        return Envelope(low, high, (line,), (line,))
    inside = [b for b in pieces.breaks[first:last] if (low is None or b > low) and (high is None or b < high)]
    places = [p for p in (low, *inside, high) if p is not None]
    places = places[:1] if low is not None and low == high else places
    points = [(v, _value(pieces, v)) for v in places]
    left = pieces.slopes[first] if low is None else None
    right = pieces.slopes[last] if high is None else None
    candidates = [_through(a, b) for a, b in combinations(points, 2)]
    candidates += [(s, y - s * v) for s in (left, right) if s is not None for v, y in points]
    lower, upper = (
        _distinct(line for line in candidates if _below(line, points, left, right, sign)) for sign in (1, -1)
    )
    return Envelope(low, high, lower, upper)


def _distinct(lines: Iterable[Line]) -> tuple[Line, ...]:
    found: list[Line] = []
    for line in lines:
        if line not in found:
            found.append(line)
    return tuple(found)


def _ends(end: Any | None, other: float) -> list[Any]:
    """Return those of two ends that are finite, as rationals."""
    return [*([] if end is None else [end]), *([rational(other)] if isfinite(other) else [])]


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
