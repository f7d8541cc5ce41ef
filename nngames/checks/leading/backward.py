"""Backward induction for games with affine responses: every level's play is affine in what was committed before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nngames.checks.leading.order import Levels
from nngames.checks.leading.rational_costs import Quadratic, RationalCosts, Vector
from nngames.core.exact import is_positive_semidefinite, rational


@dataclass(frozen=True)
class NoSolution:
    """Why there is no solution, or no single one.

    Attributes
    ----------
    reason : str
    unbounded : bool
        Whether it is proved that a player's cost has no minimum, whatever the players before it commit to.
    """

    reason: str
    unbounded: bool


def affine_solution(costs: RationalCosts, levels: Levels) -> Vector | NoSolution:
    """Return the profile that backward induction gives, exactly.

    Notes
    -----
    Given what the later levels answer, x = P y + p in the actions y that are still open, player m's cost is quadratic
    in its own action, H_m = P'H P restricted to it. If H_m > 0 its only minimiser solves a linear equation; those of a
    level are solved together, which gives their actions as affine functions of the earlier ones. If H_m has a negative
    eigenvalue the cost is unbounded below; if H_m >= 0 is singular it is unbounded below or the player is indifferent
    along a line.
    """
    from flint import fmpq_mat

    n = costs.size
    basis = fmpq_mat(n, n)
    origin = [rational(0.0)] * n
    fixed = set()
    for i in range(n):
        (piece,) = costs.own_pieces(i)
        if piece.low is not None:
            fixed.add(i)
            origin[i] = piece.low
        else:
            basis[i, i] = rational(1.0)
    for level in reversed(levels):
        own = [i for player in level for i in costs.places(player) if i not in fixed]
        rows: list[tuple[Vector, Any]] = []
        for player in level:
            free = [i for i in costs.places(player) if i not in fixed]
            if not free:
                continue
            whole = costs.with_own(player, [costs.own_pieces(i)[0] for i in costs.places(player)])
            reduced = whole.along(origin, basis)
            refusal = _refusal(player, reduced, free)
            if refusal is not None:
                return refusal
            rows += [([reduced.hessian[i, j] for j in range(n)], reduced.gradient[i]) for i in free]
        if not own:
            continue
        system = fmpq_mat(len(own), len(own), [row[j] for row, _ in rows for j in own])
        if system.det() == 0:
            names = ", ".join(map(str, level))
            return NoSolution(f"the players {names}, who move together, have no equilibrium or a continuum", False)
        rest = [j for j in range(n) if j not in own]
        sides = fmpq_mat(len(own), n + 1)
        for k, (row, constant) in enumerate(rows):
            for j in rest:
                sides[k, j] = -row[j]
            sides[k, n] = -constant
        answer = system.solve(sides)
        origin, basis = _substituted(origin, basis, own, answer)
    return origin


def _refusal(player: Any, reduced: Quadratic, free: list[int]) -> NoSolution | None:
    from flint import fmpq_mat

    block = fmpq_mat(len(free), len(free), [reduced.hessian[i, j] for i in free for j in free])
    if not is_positive_semidefinite(block):
        reason = f"player {player}'s cost, with the answers of those after it, is unbounded below"
        return NoSolution(reason, True)
    if block.det() == 0:
        reason = f"player {player}'s cost, with the answers of those after it, is flat or unbounded along a line"
        return NoSolution(reason, False)
    return None


def _substituted(origin: Vector, basis: Any, own: list[int], answer: Any) -> tuple[Vector, Any]:
    """Return x = P y + p after the actions ``own`` were replaced by their answers to the others."""
    from flint import fmpq_mat

    n = len(origin)
    change = fmpq_mat(n, n)
    for i in range(n):
        change[i, i] = rational(1.0)
    shift = [rational(0.0)] * n
    for k, i in enumerate(own):
        for j in range(n):
            change[i, j] = answer[k, j]
        shift[i] = answer[k, n]
    moved = (basis * fmpq_mat(n, 1, shift)).entries()
    return [a + b for a, b in zip(origin, moved, strict=True)], basis * change
