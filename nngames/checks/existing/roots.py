"""All roots of x = r(Ax + b) in a box, with the proved count: interval branch and prune with Krawczyk's test."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from nngames.checks.existing.contraction import NewtonMap, SingularError
from nngames.checks.existing.equation import EquilibriumEquation
from nngames.core.deadlines import TimeUpError, look
from nngames.core.enclosures import Enclosed, enclosed
from nngames.core.profiles import Array

#: A box is not cut any further below this share of the largest coordinate.
SMALLEST = 2.0**-20
# By how much a box grows before Krawczyk's test, so that a root on its border is inside.
_INFLATION = 1.25
_MARGIN = 1e-6


@dataclass(frozen=True, eq=False)
class RootSearch:
    """What a search found.

    Attributes
    ----------
    roots, radii : ndarray (m, N)
        Boxes that hold exactly one root each, no two of them the same one.
    unresolved : list of (lower, upper)
        Boxes that may hold any number of further roots.
    boxes : int
        How many boxes were examined.
    stopped : bool
        Whether the time ran out.
    """

    roots: Array
    radii: Array
    unresolved: list[tuple[Array, Array]]
    boxes: int
    stopped: bool


@dataclass(frozen=True, eq=False)
class _Root:
    low: Array
    high: Array
    # The box in which it is the only one.
    region: tuple[Array, Array]


def search_roots(equation: EquilibriumEquation, lower: Array, upper: Array, deadline: float) -> RootSearch:
    """Return all roots between ``lower`` and ``upper``, as far as they are found before ``deadline``.

    Notes
    -----
    A box X shrinks to X and r(AX + b), which holds its roots, and is dropped when empty. With c the middle of a box Y
    around X, K = c - C F(c) -+ N rad(Y) holds the roots of Y, N as in ``contraction``: if K is inside Y, there is
    exactly one [neumaier1990, ch. 5]; else X shrinks to K and is cut in two where that moves F most.
    """
    search = _Search(equation, lower, upper, deadline)
    # What overflows is a bound that is infinite, and drops no box.
    with np.errstate(over="ignore", invalid="ignore"):
        search.run()
    roots = [(0.5 * (root.low + root.high), root) for root in search.roots]
    order = sorted(range(len(roots)), key=lambda i: tuple(roots[i][0].tolist()))
    middles = np.array([roots[i][0] for i in order]).reshape(-1, equation.size)
    radii = np.array(
        [
            np.nextafter(np.maximum(roots[i][1].high - m, m - roots[i][1].low), np.inf)
            for i, m in zip(order, middles, strict=True)
        ]
    )
    return RootSearch(
        middles,
        radii.reshape(middles.shape),
        merged(search.unresolved, 16 * search.smallest),
        search.boxes,
        search.stopped,
    )


class _Search:
    def __init__(self, equation: EquilibriumEquation, lower: Array, upper: Array, deadline: float) -> None:
        self.equation, self.deadline = equation, deadline
        self.queue: deque[tuple[Array, Array]] = deque(
            [(np.array(lower, dtype=np.float64), np.array(upper, dtype=np.float64))]
        )
        self.smallest = SMALLEST * max(1.0, float(np.abs([lower, upper]).max()))
        self.roots: list[_Root] = []
        self.unresolved: list[tuple[Array, Array]] = []
        self.steepest = np.ones(equation.size)
        self.boxes, self.stopped = 0, False

    def run(self) -> None:
        while self.queue:
            # Depth first: the queue stays short.
            box = self.queue.pop()
            try:
                look(self.deadline)
                self.examine(*box)
            except TimeUpError:
                self.stopped = True
                self.unresolved += [*self.queue, box]
                return
            self.boxes += 1

    def examine(self, low: Array, high: Array) -> None:
        box = self.shrunk(low, high)
        if box is None:
            return
        low, high = box
        if any(inside(low, high, *root.region) for root in self.roots):
            return
        tested = self.tested(low, high)
        if tested is None:
            return
        low, high = tested
        width = high - low
        if float(width.max()) <= self.smallest:
            self.unresolved.append((low, high))
            return
        steep = np.minimum(self.steepest, 1e3)
        moved = (np.maximum(steep[:, None] * self.equation.absolute, np.eye(len(width)))).max(axis=0) * width
        j = int(np.argmax(np.where(width > 0.05 * self.smallest, moved, -1.0)))
        # Off the middle: symmetric games have roots there.
        cut = low[j] + 0.4873 * width[j]
        for a, b in ((low[j], cut), (cut, high[j])):
            part_low, part_high = low.copy(), high.copy()
            part_low[j], part_high[j] = a, b
            self.queue.append((part_low, part_high))

    def reach(self, low: Array, high: Array) -> Enclosed:
        """Return the pre-activations of a box."""
        middle = low + 0.5 * (high - low)
        radii = np.nextafter(np.maximum(high - middle, middle - low), np.inf)
        return self.equation.spread(enclosed(self.equation.preactivations(middle)), radii)

    def slopes(self, middle: Array, radii: Array) -> tuple[Array, Array]:
        """Return bounds on the slopes over the box of ``radii`` around ``middle``."""
        around = self.equation.spread(enclosed(self.equation.preactivations(middle)), radii)
        return self.equation.slopes(around)

    def shrunk(self, low: Array, high: Array) -> tuple[Array, Array] | None:
        """Return a smaller box with the same roots; None if there are none."""
        for _ in range(8):
            look(self.deadline)
            down, up = self.equation.response_range(self.reach(low, high))
            new_low, new_high = np.maximum(low, down), np.minimum(high, up)
            if (new_low > new_high).any():
                return None
            gain = float(np.max((high - low) - (new_high - new_low) - 0.1 * (high - low), initial=0.0))
            low, high = new_low, new_high
            if gain <= 0:
                break
        return low, high

    def tested(self, low: Array, high: Array) -> tuple[Array, Array] | None:
        """Return what Krawczyk's test leaves of a box; None if its roots are known."""
        look(self.deadline)
        middle = low + 0.5 * (high - low)
        radii = _INFLATION * np.maximum(high - middle, middle - low) + 1e-2 * self.smallest
        slopes = self.slopes(middle, radii)
        self.steepest = np.abs(slopes).max(axis=0)
        try:
            newton = NewtonMap(self.equation, middle, slopes)
        except SingularError:
            return low, high
        image = newton.image(radii)
        down, up = np.maximum(low, image.low), np.minimum(high, image.high)
        if (down > up).any():
            return None
        # The margin is far above what floats round of a middle and less than what the radii have grown by.
        if (np.abs(image.middle - middle) + image.radius <= (1 - _MARGIN) * radii).all():
            self.add(image, (middle - (1 - _MARGIN) * radii, middle + (1 - _MARGIN) * radii))
            return None
        return down, up

    def add(self, image: Enclosed, region: tuple[Array, Array]) -> None:
        """Refine the only root of a region and keep it unless it is known."""
        low, high = np.maximum(image.low, region[0]), np.minimum(image.high, region[1])
        for _ in range(12):
            look(self.deadline)
            middle = low + 0.5 * (high - low)
            radii = np.nextafter(np.maximum(high - middle, middle - low), np.inf)
            try:
                image = NewtonMap(self.equation, middle, self.slopes(middle, radii)).image(radii)
            except SingularError:
                break
            new_low, new_high = np.maximum(low, image.low), np.minimum(high, image.high)
            if not (new_low <= new_high).all() or float((new_high - new_low).max()) > 0.9 * float((high - low).max()):
                break
            low, high = new_low, new_high
        for root in self.roots:
            if inside(low, high, *root.region) or inside(root.low, root.high, *region):
                return
        if any((low <= root.high).all() and (high >= root.low).all() for root in self.roots):
            # Neither the same nor another one.
            self.unresolved.append((low, high))
            return
        self.roots.append(_Root(low, high, region))


def inside(low: Array, high: Array, lower: Array, upper: Array) -> bool:
    """Return whether one box is in another."""
    return bool((low >= lower).all() and (high <= upper).all())


def merged(boxes: list[tuple[Array, Array]], gap: float) -> list[tuple[Array, Array]]:
    """Return the hulls of boxes that are at most ``gap`` apart."""
    result: list[tuple[Array, Array]] = []
    for low, high in boxes:
        hull = low, high
        while True:
            touching = [
                i for i, (a, b) in enumerate(result) if (hull[0] <= b + gap).all() and (hull[1] >= a - gap).all()
            ]
            if not touching:
                break
            for i in reversed(touching):
                a, b = result.pop(i)
                hull = np.minimum(hull[0], a), np.maximum(hull[1], b)
        result.append(hull)
    return result
