"""Cycles of periodic projections and functionals: two sets have one for all families, three and more have none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from nngames.core.errors import OptionError
from nngames.core.verdicts import Decision, Verdict

#: A closed interval, or a point as one of length 0.
Interval = tuple[Fraction, Fraction]
Profile = tuple[Fraction, ...]
ZERO, ONE = Fraction(0), Fraction(1)


@dataclass(frozen=True)
class Decrease:
    """One family of sets and the strict inequality that it forces.

    Attributes
    ----------
    sets : tuple of Interval
        One segment and m - 1 points.
    cycle : Profile
        Their only cycle.
    other : Profile
        Another profile in the sets, so that Phi(cycle) < Phi(other) if the minimisers of Phi are the cycles.
    """

    sets: tuple[Interval, ...]
    cycle: Profile
    other: Profile

    def verified(self) -> bool:
        """Whether the cycle is one and the only one, and the other profile lies in the sets and is none.

        A cycle has x_i = P_i x_(i-1). Where one set is a segment and the others are points, the points are fixed and
        the segment's entry is the projection of its predecessor's: there is exactly one cycle, which is computed.
        """
        segments = [i for i, (low, high) in enumerate(self.sets) if low < high]
        if len(segments) != 1:
            return False
        (i,) = segments
        only = [low for low, _ in self.sets]
        only[i] = _project(self.sets[i], only[i - 1])
        inside = all(low <= x <= high for (low, high), x in zip(self.sets, self.other, strict=True))
        return tuple(only) == self.cycle and inside and not is_cycle(self.sets, self.other)

    def to_dict(self) -> dict[str, Any]:
        """Return the step as plain data."""
        sets = [str(low) if low == high else f"[{low}, {high}]" for low, high in self.sets]
        return {"sets": sets, "cycle": list(map(str, self.cycle)), "other": list(map(str, self.other))}


def is_cycle(sets: Sequence[Interval], x: Profile) -> bool:
    """Whether each entry is the projection of the one before it, the first of the last."""
    return all(x[i] == _project(sets[i], x[i - 1]) for i in range(len(sets)))


def decreases(m: int) -> Iterator[Decrease]:
    """Yield the 2m families of the proof: a single 1 walks around a ring of zeros.

    With the 1 at place k, the set k + 1 is [0, 1] and takes the value of its predecessor, 1; then the set k is [0, 1]
    and takes that of its predecessor, 0, which is another than k + 1 since m >= 3.
    """
    for k in range(m):
        single = _ones(m, k)
        pair = _ones(m, k, (k + 1) % m)
        following = _ones(m, (k + 1) % m)
        yield Decrease(_sets(single, free=(k + 1) % m), pair, single)
        yield Decrease(_sets(pair, free=k), following, pair)


def no_universal_functional(m: int) -> Verdict:
    """Return the verdict that no functional on R^m has, for all families of m closed convex sets, the cycles of
    periodic projections as its minimisers over the product of the sets.

    Parameters
    ----------
    m : int
        The number of sets, at least 3.

    Raises
    ------
    OptionError
        If m is no integer above 2.

    Notes
    -----
    Suppose Phi is one. Each family of ``decreases`` has exactly one cycle, so Phi is strictly less there than at
    another profile in its sets. The 2m inequalities run Phi(x_0) > Phi(x_1) > ... > Phi(x_2m) with x_2m = x_0. The
    theorem is that of [baillon2012]; with segments and points the line suffices. For two sets there is one, see
    ``least_distance``.
    """
    if isinstance(m, bool) or not isinstance(m, int) or m < 3:
        raise OptionError(f"m must be an integer of at least 3, the number of sets; got {m!r}")
    steps = list(decreases(m))
    linked = all(a.cycle == b.other for a, b in zip(steps, steps[1:] + steps[:1], strict=True))
    proved = linked and all(step.verified() for step in steps)
    return Verdict(
        Decision.REFUTED if proved else Decision.UNDECIDED,
        f"no functional has the cycles of periodic projections on {m} sets as its minimisers for all families of "
        f"closed convex sets: {len(steps)} families of a segment and {m - 1} points each make it fall strictly, around "
        "a closed path",
        "exact rational arithmetic: the only cycle of each family, and the path of strict decreases",
        witness={"steps": [step.to_dict() for step in steps]},
        references=("baillon2012",),
        would_change="two sets, for which |x_1 - x_2|^2/2 does it; or a single family with one cycle x*, for which "
        "|x - x*|^2 does it",
    )


def least_distance(first: Interval, second: Interval) -> Verdict:
    """Return the verdict that the cycles of two intervals are the minimisers of |x_1 - x_2|^2/2 over them.

    For any two closed convex sets, |x_1 - x_2|^2/2 is convex and smooth, so a point minimises it over the product iff
    each entry does given the other, which is x_1 = P_1 x_2 and x_2 = P_2 x_1: a cycle. The intervals are an instance:
    both sets are computed, the minimisers from the gap and the overlap, the cycles from the ends of the projections'
    ranges.
    """
    low, high = max(first[0], second[0]), min(first[1], second[1])
    if low <= high:
        # The intervals overlap: the minimisers are the pairs (t, t) with t in the overlap.
        corners = [(low, low), (high, high)]
    else:
        pair = (first[1], second[0]) if first[1] < second[0] else (first[0], second[1])
        corners = [pair]
    ends = [(a, b) for a in first for b in second]
    distance = min(abs(a - b) for a, b in corners)
    holds = all(is_cycle((first, second), corner) for corner in corners)
    holds = holds and not any(is_cycle((first, second), end) and abs(end[0] - end[1]) > distance for end in ends)
    return Verdict(
        Decision.PROVED if holds else Decision.UNDECIDED,
        "the cycles of two closed convex sets are the minimisers of |x_1 - x_2|^2/2 over them: it is convex and "
        "smooth, so a point is a minimiser iff each entry is the projection of the other",
        "first-order conditions of a convex function on a product; exact rational arithmetic on two intervals",
        witness={"sets": [list(map(str, s)) for s in (first, second)], "cycles": [list(map(str, c)) for c in corners]},
        references=("baillon2012",),
        would_change="a third set, with which no functional does this for all families; or sets that are not convex",
    )


def _project(interval: Interval, point: Fraction) -> Fraction:
    return min(max(point, interval[0]), interval[1])


def _ones(m: int, *places: int) -> Profile:
    return tuple(ONE if i in places else ZERO for i in range(m))


def _sets(profile: Profile, free: int) -> tuple[Interval, ...]:
    return tuple((ZERO, ONE) if i == free else (x, x) for i, x in enumerate(profile))
