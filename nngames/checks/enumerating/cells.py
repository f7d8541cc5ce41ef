"""The search through the cells of a piecewise linear game: which linear pieces can hold together at an equilibrium.

A node allows each neuron an interval of consecutive pieces. Its relaxation, linear in x, has for each neuron the range
of v_i = (W x + b)_i and the convex envelope of its response there. A node whose relaxation has no solution, confirmed
by multipliers in rationals, holds no equilibrium; a node with one piece for each neuron is solved exactly; every other
node is cut in two. All equilibria lie in the leaves, since the two halves cover a node.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Any

from nngames.checks.enumerating.envelopes import Envelope, envelope
from nngames.checks.enumerating.faces import OutOfTimeError, TooManyChoicesError, solutions
from nngames.checks.enumerating.infeasible import Row, in_floats, separate
from nngames.core.profiles import Array
from nngames.networks.rational_bias import rational_bias
from nngames.results.equilibria import Face
from nngames.solvers.piecewise_equation import PiecewiseEquation

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
    nodes, cuts, leaves : int
        Nodes examined, nodes without equilibria by multipliers, and leaves solved.
    stopped : bool
        Whether the time ran out.
    """

    faces: list[Face] = field(default_factory=list)
    undecided: list[Node] = field(default_factory=list)
    undescribed: int = 0
    nodes: int = 0
    cuts: int = 0
    leaves: int = 0
    stopped: bool = False


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
        self.weight, self.bias = weight, bias
        self._rows: dict[tuple[int, int, int], list[Row]] = {}
        self._floats: dict[tuple[int, int, int], list[tuple[Array, float]]] = {}

    def run(self, deadline: float) -> Findings:
        """Examine all nodes, those around the relaxations' solutions first, until ``deadline`` by time.monotonic."""
        found = Findings()
        stack: list[Node] = [whole_game(self.equation)]
        while stack:
            node = stack.pop()
            try:
                if time.monotonic() > deadline:
                    raise OutOfTimeError
                stack += self._examined(node, found, deadline)
            except OutOfTimeError:
                found.stopped = True
                found.undecided += [*stack, node]
                break
            found.nodes += 1
        return found

    def _examined(self, node: Node, found: Findings, deadline: float) -> list[Node]:
        """Return what is to be examined in place of a node."""
        if all(first == last for first, last in node):
            self._solve_leaf(node, found, deadline)
            return []
        rows, floats = [], []
        for i, (first, last) in enumerate(node):
            if time.monotonic() > deadline:
                raise OutOfTimeError
            rows += self._rows_of(i, first, last)
            floats += self._floats[i, first, last]
        proved, point = separate(rows, floats, deadline)
        found.cuts += proved
        return [] if proved else self._halves(node, point)

    def _solve_leaf(self, node: Node, found: Findings, deadline: float) -> None:
        cell = tuple(first for first, _ in node)
        equations, inequalities = [], []
        for i, piece in enumerate(cell):
            e = envelope(self.equation.pieces[i], piece, piece)
            equations.append(self._line(i, *e.lower[0]))
            inequalities += self._range(i, e)
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

    def _rows_of(self, i: int, first: int, last: int) -> list[Row]:
        key = (i, first, last)
        if key not in self._rows:
            e = envelope(self.equation.pieces[i], first, last)
            rows = self._range(i, e)
            # x_i >= s v_i + c as -x_i + s W_i x <= -c - s b_i, and the reverse for the upper lines.
            rows += [_negated(self._line(i, *line)) for line in e.lower]
            rows += [self._line(i, *line) for line in e.upper]
            self._rows[key] = rows
            self._floats[key] = [in_floats(row) for row in rows]
        return self._rows[key]

    def _line(self, i: int, slope: Any, offset: Any) -> Row:
        """Return the row of x_i - slope (W x)_i <= slope b_i + offset."""
        g = [-slope * w for w in self.weight[i]]
        g[i] += 1
        return g, slope * self.bias[i] + offset

    def _range(self, i: int, e: Envelope) -> list[Row]:
        rows: list[Row] = []
        if e.high is not None:
            rows.append((list(self.weight[i]), e.high - self.bias[i]))
        if e.low is not None:
            rows.append(_negated((list(self.weight[i]), e.low - self.bias[i])))
        return rows


def whole_game(equation: PiecewiseEquation) -> Node:
    """Return the node that allows every piece."""
    return tuple((0, len(pieces.slopes) - 1) for pieces in equation.pieces)


def _negated(row: Row) -> Row:
    return [-entry for entry in row[0]], -row[1]


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
