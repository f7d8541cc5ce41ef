"""For which parameters a claimed constant is valid: polynomial inequalities in one variable, decided exactly.

A map with slopes in [s, S] and symmetric Jacobians is averaged with the constant gamma in (0, 1] iff S <= 1 and
s >= 1 - 2 gamma: Id + (r - Id)/gamma has the slopes 1 + (t - 1)/gamma, which must lie in [-1, 1]. With s, S and gamma
polynomials in a variable u of the parameter, the valid u are finitely many intervals, found from the roots.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from nngames.claims.polynomials import Polynomial, combine, evaluate, roots, value_of, written
from nngames.core.ball_ranges import as_ball, working_precision


@dataclass(frozen=True)
class Piece:
    """An interval of u on which the slopes' ends and the claimed constant are polynomials in u.

    Attributes
    ----------
    lower, upper : Fraction or float
        Its ends; infinite ones as floats.
    low, high : polynomial
        The infimum and the supremum of the slopes; high is None where the slopes are unbounded.
    constant : polynomial
        The claimed constant.
    opened : tuple of "lower", "upper"
        The finite ends that do not belong to the interval.
    """

    lower: Fraction | float
    upper: Fraction | float
    low: Polynomial
    high: Polynomial | None
    constant: Polynomial
    opened: tuple[str, ...] = ()

    @property
    def interval(self) -> tuple[End, End]:
        """The interval of u."""
        closed = (not isinstance(t, float) and side not in self.opened for t, side in self.sides)
        return (End(self.lower, next(closed)), End(self.upper, next(closed)))

    @property
    def sides(self) -> tuple[tuple[Fraction | float, str], tuple[Fraction | float, str]]:
        """The ends with their names."""
        return ((self.lower, "lower"), (self.upper, "upper"))


@dataclass(frozen=True)
class ParameterSet:
    """A union of intervals of u, in order; a point is an interval of length 0.

    Attributes
    ----------
    intervals : tuple of (End, End)
    """

    intervals: tuple[tuple[End, End], ...]

    def contains(self, u: Fraction) -> bool:
        """Whether a rational u lies in the set."""
        return any(low.before(u) and high.after(u) for low, high in self.intervals)

    def __str__(self) -> str:
        return " or ".join(_interval_text(low, high) for low, high in self.intervals) or "no parameter"


@dataclass(frozen=True)
class End:
    """An end of an interval: a rational, a ball or an infinity, and whether it belongs to the interval."""

    value: Any
    closed: bool

    def before(self, u: Fraction) -> bool:
        """Whether u is beyond this lower end, or is it."""
        return self._beyond(u, 1)

    def after(self, u: Fraction) -> bool:
        """Whether u is below this upper end, or is it."""
        return self._beyond(u, -1)

    def _beyond(self, u: Fraction, sign: int) -> bool:
        if isinstance(self.value, Fraction) and u == self.value:
            return self.closed
        if isinstance(self.value, float):
            return sign * self.value < 0
        with working_precision(200):
            return bool(sign * as_ball(u) > sign * as_ball(self.value))

    def __str__(self) -> str:
        if isinstance(self.value, float):
            return "inf" if self.value > 0 else "-inf"
        if isinstance(self.value, Fraction):
            return str(self.value)
        return str(self.value.str(12, radius=False))


def valid_set(pieces: Sequence[Piece]) -> ParameterSet:
    """Return the u for which the claimed constant lies in (0, 1] and is valid.

    Raises
    ------
    ArithmeticError
        If two ends cannot be told apart at the working precision.
    """
    found: list[tuple[End, End]] = []
    with working_precision(200):
        for piece in pieces:
            found += _valid_on(piece)
    return ParameterSet(tuple(_joined(found)))


def stated_set(pieces: Sequence[Piece]) -> ParameterSet:
    """Return the u that the pieces cover."""
    return ParameterSet(tuple(_joined([piece.interval for piece in pieces])))


def tight_set(pieces: Sequence[Piece]) -> ParameterSet:
    """Return the u for which the claimed constant is valid and is the infimum (1 - s)/2 of all constants."""
    found: list[tuple[End, End]] = []
    with working_precision(200):
        for piece in pieces:
            found += [ends for ends in _tight_on(piece) if not _is_known_point(ends, found)]
    return ParameterSet(tuple(_joined(found)))


def least_constants(pieces: Sequence[Piece], variable: str) -> str:
    """Return the infimum of the averagedness constants as a function of u, on the intervals where there is one."""
    one, half = Fraction(1), Fraction(1, 2)
    found: dict[str, list[tuple[End, End]]] = {}
    with working_precision(200):
        for piece in pieces:
            text = written(combine([(half, (one,)), (-half, piece.low)]), variable)
            known = [ends for where in found.values() for ends in where]
            valid = [ends for ends in _valid_on(replace(piece, constant=(one,))) if not _is_known_point(ends, known)]
            found.setdefault(text, []).extend(valid)
    parts = [
        f"{text} for {variable} in {ParameterSet(tuple(_joined(where)))}" for text, where in found.items() if where
    ]
    return "; ".join(parts)


def _tight_on(piece: Piece) -> list[tuple[End, End]]:
    """Return where the constant of one piece is valid and tight: the valid intervals, or single points."""
    one = Fraction(1)
    excess = combine([(2 * one, piece.constant), (one, piece.low), (-one, (one,))])
    if all(value_of(coefficient) == 0 for coefficient in excess):
        return _valid_on(piece)
    if piece.high is None:
        return []
    conditions, strict = _conditions(piece)
    ends = [t for t, side in piece.sides if not isinstance(t, float) and side not in piece.opened]
    points = [u for u in [*_inner_roots([excess], piece), *ends] if _sign(excess, u) == 0]
    return [(End(u, True), End(u, True)) for u in points if _all_hold(conditions, strict, u)]


def _conditions(piece: Piece) -> tuple[list[Polynomial], list[Polynomial]]:
    """Return the polynomials that must be nonnegative, and those that must be positive, for a valid constant."""
    one, two = Fraction(1), Fraction(2)
    weak = [
        combine([(one, piece.low), (two, piece.constant), (-one, (one,))]),
        combine([(one, (one,)), (-one, piece.high or (one,))]),
        combine([(one, (one,)), (-one, piece.constant)]),
    ]
    return weak, [piece.constant]


def _is_known_point(ends: tuple[End, End], known: Sequence[tuple[End, End]]) -> bool:
    """Whether the interval is a rational point that an earlier one holds, such as the end that two pieces share."""
    point = ends[0].value
    return isinstance(point, Fraction) and point == ends[1].value and ParameterSet(tuple(known)).contains(point)


def _valid_on(piece: Piece) -> list[tuple[End, End]]:
    """Return the valid intervals of one piece."""
    if piece.high is None:
        return []
    conditions, strict = _conditions(piece)
    cuts = [piece.lower, *_inner_roots([*conditions, *strict], piece), piece.upper]
    if piece.lower == piece.upper:
        cuts.pop()
    holds: list[tuple[Any, Any, bool]] = []
    for i, cut in enumerate(cuts):
        if isinstance(cut, float):
            continue
        left_out = (i == 0 and "lower" in piece.opened) or (i == len(cuts) - 1 and "upper" in piece.opened)
        if not left_out:
            holds.append((cut, cut, _all_hold(conditions, strict, cut)))
        if i + 1 < len(cuts) and cuts[i + 1] != cut:
            holds.append((cut, cuts[i + 1], _all_hold(conditions, strict, _between(cut, cuts[i + 1]))))
    if isinstance(piece.lower, float):
        first = cuts[1]
        holds.insert(0, (piece.lower, first, _all_hold(conditions, strict, _between(piece.lower, first))))
    return _merged(holds)


def _merged(holds: list[tuple[Any, Any, bool]]) -> list[tuple[End, End]]:
    """Join what holds on neighbouring points and open intervals into intervals."""
    result: list[tuple[End, End]] = []
    start: tuple[Any, bool] | None = None
    last: tuple[Any, bool] = (None, False)
    for low, high, good in holds:
        point = low is high
        if good:
            start = start or (low, point)
            last = (high, point)
        elif start is not None:
            result.append((End(*start), End(*last)))
            start = None
    if start is not None:
        result.append((End(*start), End(*last)))
    return result


def _joined(found: list[tuple[End, End]]) -> list[tuple[End, End]]:
    """Join intervals of neighbouring pieces that share an end."""
    result: list[tuple[End, End]] = []
    for low, high in found:
        shares = bool(result) and isinstance(low.value, Fraction) and result[-1][1].value == low.value
        if shares and (low.closed or result[-1][1].closed):
            result[-1] = (result[-1][0], high)
        else:
            result.append((low, high))
    return result


def _inner_roots(polynomials: Sequence[Polynomial], piece: Piece) -> list[Any]:
    """Return the roots inside the piece, sorted, without repetition."""
    inside: list[Any] = []
    for polynomial in polynomials:
        for root in roots([value_of(c) for c in polynomial]):
            if _less(piece.lower, root) and _less(root, piece.upper) and not any(_same(root, r) for r in inside):
                inside.append(root)
    return sorted(inside, key=lambda root: float(as_ball(root).mid()))


def _less(a: Any, b: Any) -> bool:
    """Whether a < b, decided; equal rationals are not less."""
    if isinstance(a, float) or isinstance(b, float) or (isinstance(a, Fraction) and isinstance(b, Fraction)):
        return _plain(a) < _plain(b)
    first, second = as_ball(a), as_ball(b)
    if not (first < second or first > second):
        raise ArithmeticError(f"{a} and {b} cannot be told apart")
    return bool(first < second)


def _plain(value: Any) -> Any:
    return value if isinstance(value, float | Fraction) else float(value.mid())


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, Fraction) and isinstance(b, Fraction):
        return a == b
    return not (as_ball(a) < as_ball(b) or as_ball(a) > as_ball(b))


def _between(low: Any, high: Any) -> Fraction:
    """Return a rational strictly between two numbers."""
    if isinstance(low, float) and isinstance(high, float):
        return Fraction(0)
    if isinstance(low, float):
        return Fraction(math.floor(float(as_ball(high).mid())) - 1)
    if isinstance(high, float):
        return Fraction(math.ceil(float(as_ball(low).mid())) + 1)
    return (Fraction(float(as_ball(low).mid())) + Fraction(float(as_ball(high).mid()))) / 2


def _all_hold(conditions: Sequence[Polynomial], strict: Sequence[Polynomial], u: Any) -> bool:
    """Whether all polynomials are >= 0 at u, the strict ones > 0; a ball root counts as an exact root of its own."""
    return all(_sign(p, u) >= 0 for p in conditions) and all(_sign(p, u) > 0 for p in strict)


def _sign(polynomial: Polynomial, u: Any) -> int:
    value = evaluate(polynomial, u)
    if isinstance(value, Fraction):
        return (value > 0) - (value < 0)
    if value > 0:
        return 1
    if value < 0:
        return -1
    # A ball around a root of this very polynomial: the value there is exactly 0.
    if any(_same(root, u) for root in roots([value_of(c) for c in polynomial])):
        return 0
    raise ArithmeticError(f"the sign of a condition at {u} cannot be decided")


def _interval_text(low: End, high: End) -> str:
    if low.value is high.value or (isinstance(low.value, Fraction) and low.value == high.value):
        return f"{{{low}}}"
    left = "[" if low.closed else "("
    right = "]" if high.closed else ")"
    return f"{left}{low}, {high}{right}"
