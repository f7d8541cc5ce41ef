"""De Pierro's conjecture that under-relaxed cycles of projections converge: three sets in R^3 for which they do not.

With rho = 1/4 let f(x, y) be the larger one of 0 and the supremum over k >= 0 of
rho^k y/4 + rho^2k (|x - s_k|/8 - 1/4), where s_k = 1/2, -1/2, 1/2, ... It is convex, and 0 where |x| <= 1 and y <= 0.
The sets are C_1 = {z >= 1 + f(x, y)} and the lines C_2 = {(y, z) = (-4, 0)} and C_3 = {(y, z) = (4, -1)}, all where
|x| <= 1, |y| <= 8 and |z| <= 8.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any

from nngames.core.ball_ranges import working_precision
from nngames.core.errors import OptionError
from nngames.core.exact import rational
from nngames.core.verdicts import Decision, Verdict

#: Relaxations are powers of the ratio; slopes of f against y and x in units of these powers.
RATIO, SLOPE, SIDE = Fraction(1, 4), Fraction(1, 4), Fraction(1, 8)
SECOND, THIRD = (Fraction(-4), Fraction(0)), (Fraction(4), Fraction(-1))
#: The first relaxation is RATIO^FIRST.
FIRST = 2
Point = tuple[Fraction, Fraction, Fraction]


@dataclass(frozen=True)
class OscillatingCycle:
    """The only cycle y_i = y_(i-1) + relaxation (P_i y_(i-1) - y_(i-1)) at one relaxation, exactly.

    Attributes
    ----------
    number : int
        The relaxation is RATIO^number.
    points : tuple of three points
        y_1, y_2, y_3 = y_0.
    projection : point
        P_1 y_0.
    """

    number: int
    points: tuple[Point, Point, Point]
    projection: Point

    @property
    def relaxation(self) -> Fraction:
        """The relaxation."""
        return RATIO**self.number

    def verified(self) -> bool:
        """Whether the points are a cycle, and every cycle has the same x.

        ``projection`` is P_1 y_0 if it lies in C_1 and the step there, reversed, is a multiple of (0, m, -1), the mean
        of the outward normals of the two planes that meet at x = s. Two cycles have the same steps, as in
        ``check_periodic_projections``; those to C_2 and C_3 tell (y, z) of their points, and that |x| <= 1. So their
        projections differ in x only, and for the same (y, z) other points than x = s lie outside C_1.
        """
        x, y, z = self.projection
        top = plane(self.number, x, y)
        others = [plane(j, x, y) for j in range(self.number)]
        # For j > k, rho^j y - rho^2j + ... is at most rho^(k+1) y, as the terms without y are negative where |x| <= 1.
        others.append(SLOPE * RATIO ** (self.number + 1) * y)
        inside = x == valley(self.number) and top > 0 and all(top > other for other in others) and z == 1 + top
        before, (first, second, third), e = self.points[2], self.points, self.relaxation
        step = tuple(a - b for a, b in zip(self.projection, before, strict=True))
        normal = step[0] == 0 and step[2] > 0 and step[1] == -SLOPE * e * step[2]
        targets = (self.projection, (second[0], *SECOND), (third[0], *THIRD))
        closed = all(
            b == tuple(p + e * (t - p) for p, t in zip(a, target, strict=True))
            for a, b, target in zip((before, first, second), self.points, targets, strict=True)
        )
        return inside and normal and closed and abs(y) < 8 and abs(z) < 8

    def to_dict(self) -> dict[str, Any]:
        """Return the cycle as plain data."""
        return {"relaxation": str(self.relaxation), "points": [list(map(str, point)) for point in self.points]}


def valley(k: int) -> Fraction:
    """Return s_k."""
    return Fraction(1, 2) if k % 2 == 0 else Fraction(-1, 2)


def plane(k: int, x: Fraction, y: Fraction) -> Fraction:
    """Return the larger one of the two planes with the number k of f."""
    return SLOPE * RATIO**k * y + RATIO ** (2 * k) * (SIDE * abs(x - valley(k)) - SLOPE)


def oscillating_cycles(count: int) -> Iterator[OscillatingCycle]:
    """Yield the cycles at the first ``count`` relaxations."""
    for k in range(FIRST, FIRST + count):
        e = RATIO**k
        m, q, eta = _closed_form(e, SLOPE, 1 - SLOPE * e * e)
        s, y = valley(k), eta * e
        z = ((1 - e) ** 2 * q - 1) / (2 - e)
        projection = (s, y - m * q, z + q)
        first = (s, y - e * m * q, z + e * q)
        second = (s, first[1] + e * (SECOND[0] - first[1]), first[2] + e * (SECOND[1] - first[2]))
        yield OscillatingCycle(k, (first, second, (s, y, z)), projection)


def _closed_form(e: Any, slope: Any, height: Any) -> tuple[Any, Any, Any]:
    """Return m, q and eta of the cycle at relaxation e: P_1 y_0 - y_0 = q (0, -m, 1), and eta = y/e for y_0.

    In the plane x = s the set C_1 is z >= height + m y with m = slope e. The three steps give
    (2 - e) y_0 = (1 - e)^2 q (-m, 1) + (1 - e) p_2 + p_3 in (y, z), for p_2 = (-4, 0) and p_3 = (4, -1).
    """
    m, share = slope * e, (1 - e) ** 2
    q = (height + (4 * m * e + 1) / (2 - e)) / ((1 + m * m) * (1 + share / (2 - e)))
    return m, q, (4 - share * slope * q) / (2 - e)


def de_pierro_conjecture(count: int = 8) -> Verdict:
    """Return the refutation of the conjecture that under-relaxed cycles converge as the relaxation tends to 0.

    Parameters
    ----------
    count : int
        So many cycles are computed and verified exactly, and listed.

    Raises
    ------
    OptionError
        If count is no integer above 1: two cycles show that x alternates.

    Notes
    -----
    The points of least squared distances are those with y = z = 0 and |x| <= 1. At relaxation e = rho^k the cycle is
    that of the two planes with the number k, at a point of C_1 with 4/3 < y/e <= 2, where they alone are f: they are
    above those with j > k, since y/e - 1 > rho y/e, and positive, which those with j < k are not, since
    rho y/e - 1 + 1/2 <= 0. There f is least at x = s_k, and the step to C_1 moves x from every other place. So x is 1/2
    and -1/2 in turn: no limit. That y/e lies between the bounds is shown in ball arithmetic for all e up to the first
    one at once. The first counterexample is that of [cominetti2019]; this one is another.
    """
    from flint import arb

    if isinstance(count, bool) or not isinstance(count, int) or count < 2:
        raise OptionError(f"count must be an integer of at least 2, the number of cycles; got {count!r}")
    cycles = list(oscillating_cycles(count))
    with working_precision(128):
        half = rational(RATIO**FIRST) / 2
        e = arb(half, half)
        slope = arb(rational(SLOPE))
        _, q, eta = _closed_form(e, slope, 1 - slope * e * e)
        at_set = eta - slope * q
        always = bool(at_set > arb(4) / 3 and at_set <= 2 and q > 0)
    proved = always and all(cycle.verified() for cycle in cycles)
    alternate = all(a.points[2][0] == -b.points[2][0] != 0 for a, b in pairwise(cycles))
    return Verdict(
        Decision.REFUTED if proved and alternate else Decision.UNDECIDED,
        "under-relaxed cycles of projections need not converge as the relaxation tends to 0: for three compact convex "
        "sets in R^3 the only cycle at relaxation 4^-k lies in the plane x = 1/2 for even k and x = -1/2 for odd k, "
        f"from k = {FIRST}",
        "the cycles in exact rationals, and for all k at once in ball arithmetic",
        witness={"cycles": [cycle.to_dict() for cycle in cycles]},
        references=("cominetti2019",),
        would_change="sets with one point of least squared distances, to which bounded cycles do converge",
    )
