"""One leader against the answers of all others, piecewise linear: a quadratic program for each pattern of pieces.

A pattern names a piece of the response for each follower's coordinate and a piece of g* for each of the leader's. On
it the followers' equations x = r(W x + b) are linear and the leader's cost is quadratic, over a polyhedron; its least
cost is the least over the patterns.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from math import prod
from typing import Any

from nngames.checks.enumerating.infeasible import in_floats, separate
from nngames.checks.leading.quadratic_minimum import (
    OUT_OF_TIME,
    Minimum,
    Row,
    UnboundedError,
    UndecidedError,
    affine_set,
    minimise,
)
from nngames.checks.leading.rational_costs import OwnPiece, Quadratic, RationalCosts, Vector
from nngames.core.exact import rational
from nngames.core.profiles import Player

#: Games with more patterns are not examined one by one.
MOST_PATTERNS = 50_000
#: Rows beyond which infeasible patterns are first sought by linear programming.
_FEW_ROWS = 4


@dataclass(frozen=True)
class Reaction:
    """The profiles of one pattern: x = origin + basis t with rows in t, and the leader's cost there."""

    origin: Vector
    basis: list[Vector]
    rows: Sequence[Row]
    cost: Quadratic

    def profile(self, t: Vector) -> tuple[Any, ...]:
        """Return origin + basis t."""
        zero = rational(0.0)
        return tuple(
            x + sum((d[i] * s for d, s in zip(self.basis, t, strict=True)), zero) for i, x in enumerate(self.origin)
        )


@dataclass
class LeaderProblem:
    """What a search through the patterns found.

    Attributes
    ----------
    value : rational or None
        The least cost; None if no pattern has a profile.
    profiles : list of profiles
        Distinct ones at which it is taken.
    unique : bool
        Whether these are all.
    unbounded : Reaction or None
        A pattern along which the cost is unbounded below.
    undecided : list of tuples of str
        Why patterns were not decided, and what would decide them.
    reactions : list of Reaction
        The patterns that have profiles.
    patterns : int
        How many were examined.
    """

    value: Any = None
    profiles: list[tuple[Any, ...]] = field(default_factory=list)
    unique: bool = True
    unbounded: Reaction | None = None
    undecided: list[tuple[str, str]] = field(default_factory=list)
    reactions: list[Reaction] = field(default_factory=list)
    patterns: int = 0

    def add(self, reaction: Reaction, found: Minimum) -> None:
        """Take the minimum of one pattern into account."""
        self.reactions.append(reaction)
        if self.value is None or found.value < self.value:
            self.value, self.profiles, self.unique = found.value, [], True
        if found.value == self.value:
            profile = reaction.profile(found.point)
            if profile not in self.profiles:
                self.profiles.append(profile)
            self.unique = self.unique and found.unique


def leader_problem(costs: RationalCosts, leader: Player, deadline: float) -> LeaderProblem:
    """Return the leader's least cost over all its commitments and the followers' answers to them.

    Parameters
    ----------
    costs : RationalCosts
    leader : Player
    deadline : float
        By ``time.monotonic``.
    """
    problem = LeaderProblem()
    own = costs.places(leader)
    choices = _choices(costs, leader)
    costs_of: dict[tuple[OwnPiece, ...], Quadratic] = {}
    for pattern in product(*choices):
        if time.monotonic() > deadline:
            problem.undecided.append(OUT_OF_TIME)
            break
        problem.patterns += 1
        pieces = tuple(pattern[i] for i in own)
        if pieces not in costs_of:
            costs_of[pieces] = costs.with_own(leader, pieces)
        reaction = _reaction(costs, own, pattern, costs_of[pieces], deadline)
        if reaction is None:
            continue
        try:
            found = minimise(reaction.cost, reaction.rows, deadline)
        except UnboundedError:
            problem.reactions.append(reaction)
            problem.unbounded = problem.unbounded or reaction
        except UndecidedError as error:
            problem.undecided.append((error.reason, error.would_change))
        else:
            if found is not None:
                problem.add(reaction, found)
    return problem


def patterns_of(costs: RationalCosts, leader: Player) -> int:
    """Return the number of patterns."""
    return prod(map(len, _choices(costs, leader)))


def _choices(costs: RationalCosts, leader: Player) -> list[Sequence[Any]]:
    own = costs.places(leader)
    return [costs.own_pieces(i) if i in own else range(len(costs.pieces[i].slopes)) for i in range(costs.size)]


def _reaction(
    costs: RationalCosts, own: range, pattern: Sequence[Any], cost: Quadratic, deadline: float
) -> Reaction | None:
    """Return the profiles of a pattern; None where there are none, as far as that is quickly seen."""
    from flint import fmpq_mat

    n = costs.size
    table: list[Sequence[Any]] = []
    rows: list[Row] = []
    for i, piece in enumerate(pattern):
        unit = [rational(float(i == j)) for j in range(n)]
        if i in own:
            if piece.low is not None and piece.low == piece.high:
                table.append([*unit, piece.low])
            else:
                rows += list(_between(unit, piece.low, piece.high, rational(0.0)))
            continue
        found = costs.pieces[i]
        s, heard = found.slopes[piece], costs.weight[i]
        table.append([*(e - s * w for e, w in zip(unit, heard, strict=True)), s * costs.bias[i] + found.offsets[piece]])
        low = None if piece == 0 else found.breaks[piece - 1]
        high = None if piece == len(found.breaks) else found.breaks[piece]
        rows += list(_between(heard, low, high, costs.bias[i]))
    solved = affine_set(table, n)
    if solved is None:
        return None
    origin, basis = solved
    local = [(_along(g, basis), h - _along(g, [origin])[0]) for g, h in rows]
    if any(h < 0 for g, h in local if not any(x != 0 for x in g)):
        return None
    live = [(g, h) for g, h in local if any(x != 0 for x in g)]
    if len(live) > _FEW_ROWS and basis and separate(live, [in_floats(row) for row in live], deadline)[0]:
        return None
    matrix = fmpq_mat(n, len(basis), [d[i] for i in range(n) for d in basis])
    return Reaction(origin, basis, live, cost.along(origin, matrix))


def _between(row: Sequence[Any], low: Any, high: Any, constant: Any) -> Iterator[Row]:
    """Yield low <= <row, x> + constant <= high."""
    if low is not None:
        yield [-x for x in row], constant - low
    if high is not None:
        yield list(row), high - constant


def _along(row: Sequence[Any], vectors: Sequence[Vector]) -> Vector:
    zero = rational(0.0)
    return [sum((a * b for a, b in zip(row, v, strict=True) if a != 0 and b != 0), zero) for v in vectors]
