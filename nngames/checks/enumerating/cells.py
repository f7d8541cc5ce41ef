"""The search through the cells of a piecewise linear game: which linear pieces can hold together at an equilibrium.

A node allows each neuron an interval of consecutive pieces. A node whose linear relaxation has no solution, which
multipliers prove in rationals, holds no equilibrium; a node with one piece for each neuron is solved exactly; every
other node is cut in two. All equilibria lie in the leaves, since the two halves cover a node.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Any

import numpy as np

from nngames.checks.enumerating.envelopes import envelope
from nngames.checks.enumerating.faces import OutOfTimeError, TooManyChoicesError, solutions
from nngames.checks.enumerating.ranges import Ranges
from nngames.checks.enumerating.relaxations import Relaxations, end_rows
from nngames.core.exact import rational
from nngames.core.profiles import Array
from nngames.networks.rational_bias import rational_bias
from nngames.results.equilibria import Face
from nngames.solvers.piecewise_equation import PiecewiseEquation

#: Ranges are tightened again where that made them narrower by this share, else after so many halvings at first.
PAYS, PATIENCE = 0.15, 4
#: And at most so often at one node: towards a kink they may shrink for long without passing it.
MOST_ROUNDS = 12
#: The first and the last piece that a node allows, for each neuron.
Node = tuple[tuple[int, int], ...]


@dataclass
class Findings:
    """What a search found.

    Attributes
    ----------
    faces : list of Face
        The solutions of the leaves, points as faces of dimension 0; the same point may come from several leaves.
    undecided : list of Node
        Nodes that were not decided: left when the time ran out, or leaves whose solutions were too many to describe.
    undescribed : int
        How many of these are such leaves.
    nodes, outside, cuts, leaves : int
        Nodes examined, nodes without equilibria by the ranges of their pre-activations and by multipliers, and leaves
        solved.
    stopped : bool
        Whether the time ran out.
    """

    faces: list[Face] = field(default_factory=list)
    undecided: list[Node] = field(default_factory=list)
    undescribed: int = 0
    nodes: int = 0
    outside: int = 0
    cuts: int = 0
    leaves: int = 0
    stopped: bool = False


@dataclass(frozen=True, eq=False)
class _Open:
    """A node, the ranges of v that hold every equilibrium in it, and in how many halvings they are next tightened, of
    how many that it was to wait.
    """

    node: Node
    low: Array
    high: Array
    left: int = 0
    wait: int = PATIENCE


class CellSearch:
    """The search on one game.

    Parameters
    ----------
    equation : PiecewiseEquation
    weight, bias : sequences
        As ``exact_data`` returns them.
    """

    def __init__(self, equation: PiecewiseEquation, weight: Sequence[Sequence[Any]], bias: Sequence[Any]) -> None:
        self.equation, self.size = equation, equation.size
        self.relaxations = Relaxations(equation, weight, bias)

    def run(self, deadline: float) -> Findings:
        """Examine all nodes, those around the relaxations' solutions first, until ``deadline`` by time.monotonic."""
        found = Findings()
        endless = np.full(self.size, np.inf)
        stack = [_Open(whole_game(self.equation), -endless, endless)]
        while stack:
            opened = stack.pop()
            try:
                if time.monotonic() > deadline:
                    raise OutOfTimeError
                stack += self._examined(opened, found, deadline)
            except OutOfTimeError:
                found.stopped = True
                found.undecided += [*(other.node for other in stack), opened.node]
                break
            found.nodes += 1
        return found

    def _examined(self, opened: _Open, found: Findings, deadline: float) -> list[_Open]:
        """Return what is to be examined in place of a node."""
        first, last = np.array(opened.node, dtype=np.intp).T
        ranges = self.relaxations.ranges.narrowed(first, last, opened.low, opened.high)
        left, wait, rounds = opened.left, opened.wait, 0
        while ranges is not None:
            node = tuple(zip(ranges.first.tolist(), ranges.last.tolist(), strict=True))
            if (ranges.first == ranges.last).all():
                self._solve_leaf(node, found, deadline)
                return []
            proved, point = self.relaxations.separated(ranges, deadline)
            if proved:
                found.cuts += 1
                return []
            if left or not ranges.bounded:
                low, high, left = ranges.low, ranges.high, max(left - 1, 0)
                return [_Open(half, low, high, left, wait) for half in self._halves(node, point)]
            width = _width(ranges)
            ranges = self.relaxations.tightened(ranges, deadline)
            # Where it pays it is done again, else after some halvings only, and each time after more of them.
            rounds += 1
            pays = ranges is None or (_width(ranges) < (1 - PAYS) * width and rounds < MOST_ROUNDS)
            left, wait = (0, PATIENCE) if pays else (wait, 2 * wait)
        found.outside += 1
        return []

    def _solve_leaf(self, node: Node, found: Findings, deadline: float) -> None:
        cell = tuple(first for first, _ in node)
        equations, inequalities = [], []
        for i, piece in enumerate(cell):
            e = envelope(self.equation.pieces[i], piece, piece)
            ((slope, offset),) = e.lower
            equations.append(self.relaxations.row(i, rational(1.0), -slope, offset))
            inequalities += [self.relaxations.row(i, *line) for line in end_rows(e)]
        try:
            face = solutions(equations, inequalities, cell, deadline)
        except TooManyChoicesError:
            found.undecided.append(node)
            found.undescribed += 1
            return
        found.leaves += 1
        if face is not None:
            found.faces.append(face)

    def _halves(self, node: Node, point: Array | None) -> list[Node]:
        """Return the two halves of a node, that with the point last; cut where it misses the response most."""
        heard = None if point is None else self.equation.weight @ point + self.equation.bias
        wide = [i for i, (first, last) in enumerate(node) if first < last]
        if heard is None or point is None:
            i = max(wide, key=lambda j: node[j][1] - node[j][0])
            at = (node[i][0] + node[i][1]) // 2
        else:
            cell = self.equation.cell_of(heard)
            answers = self.equation.slopes_at(cell) * heard + self.equation.offsets_at(cell)
            i = max(wide, key=lambda j: abs(answers[j] - point[j]))
            at = int(min(max(cell[i], node[i][0]), node[i][1] - 1))
        first, last = node[i]
        left, right = (*node[:i], (first, at), *node[i + 1 :]), (*node[:i], (at + 1, last), *node[i + 1 :])
        return [right, left] if heard is not None and self.equation.cell_of(heard)[i] <= at else [left, right]


def _width(ranges: Ranges) -> float:
    """Return the width of the ranges of all neurons with several pieces."""
    return float((ranges.high - ranges.low)[ranges.first < ranges.last].sum())


def whole_game(equation: PiecewiseEquation) -> Node:
    """Return the node that allows every piece."""
    return tuple((0, len(pieces.slopes) - 1) for pieces in equation.pieces)


def exact_data(equation: PiecewiseEquation, deadline: float = inf) -> tuple[list[list[Any]], list[Any]]:
    """Return the weights and the bias of v = W x + b in rationals, as the data define them.

    Raises
    ------
    OutOfTimeError
        If the data are so many that the ``deadline`` of time.monotonic passes.
    """
    weight = []
    for i in range(equation.size):
        if time.monotonic() > deadline:
            raise OutOfTimeError
        weight.append(equation.rational_row(i))
    bias = [b for player in equation.network.players for b in rational_bias(equation.network, player)]
    return weight, bias
