"""The nearest weighted potential game with weights of a bounded ratio: a search over the weights with a lower bound.

For weights c the nearest couplings D with c_l D_lk = (c_k D_kl)' lie, pair by pair, at the squared distance
|c_l A - c_k C|^2 / (c_l^2 + c_k^2), A = B_lk, C = B_kl'. With d = log(c_l / c_k) that is

    p(d) = (|A|^2 + |C|^2)/2 + (|A|^2 - |C|^2)/2 tanh d - <A, C> sech d,

so the squared distance is sum p_lk(t_l - t_k) over the logarithms t of the weights, 0 <= t <= log(ratio). It is not
convex. Each p has one critical point, sinh d = -(|A|^2 - |C|^2) / (2 <A, C>), a minimum iff <A, C> > 0, so its minimum
over an interval is known. Boxes of t are bounded by the sum of these minima, or, where all p are convex on the box, by
a tangent; they shrink to a face where the sum is monotone in an entry, and are bisected.
"""

from __future__ import annotations

import heapq
import itertools
import time
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from nngames.core.deadlines import TimeUpError, watched
from nngames.core.profiles import Array

#: The search ends when its lower bound is this close to what it found, relatively.
CLOSE = 1e-6
#: Starts of local minimisations.
STARTS = 12
_MOST_BOXES = 20_000
# Squared distances below this, relative to the couplings, are rounding.
_ROUNDING = 1e-28
# Slopes are sums of products below the total, rounded a few times.
_TANGENT = 1e-14


@dataclass(frozen=True)
class Nearest:
    """What was found.

    Attributes
    ----------
    squared : float
        The squared distance that was reached.
    lower : float
        No weights of the ratio come below it.
    logarithms : ndarray (players,)
        Of the weights.
    boxes : int
        How many boxes of weights were bounded.
    """

    squared: float
    lower: float
    logarithms: Array
    boxes: int


@dataclass(frozen=True, eq=False)
class PairTerms:
    """The functions p of all pairs.

    Attributes
    ----------
    first, second : ndarray of int (m,)
    norms, other_norms : ndarray (m,)
        |A| and |C|.
    defects : ndarray (m,)
        |A| |C| - <A, C>, computed as |A| |C| |A/|A| - C/|C||^2 / 2, which keeps its digits where it is small.
    """

    first: NDArray[np.intp]
    second: NDArray[np.intp]
    norms: Array
    other_norms: Array
    defects: Array

    @property
    def differences(self) -> Array:
        """(|A|^2 - |C|^2) / 2."""
        return (self.norms - self.other_norms) * (self.norms + self.other_norms) / 2

    @property
    def products(self) -> Array:
        """<A, C>."""
        return self.norms * self.other_norms - self.defects

    @property
    def total(self) -> float:
        """The sum of all |A|^2 + |C|^2."""
        return float(np.sum(self.norms**2 + self.other_norms**2))

    def gaps(self, t: Array) -> Array:
        """Return t_l - t_k of each pair."""
        return np.asarray(t[..., self.first] - t[..., self.second])

    def values(self, d: Array) -> Array:
        """Return p(d) of each pair as (|A| c - |C| s)^2 + 2 defect c s, (c, s) the unit vector along (c_l, c_k)."""
        c, s = 1 / np.sqrt(1 + np.exp(-2 * d)), 1 / np.sqrt(1 + np.exp(2 * d))
        return np.asarray((self.norms * c - self.other_norms * s) ** 2 + 2 * self.defects * c * s)

    def slopes(self, d: Array) -> Array:
        """Return p'(d)."""
        sech = 1 / np.cosh(d)
        return sech * (self.differences * sech + self.products * np.tanh(d))

    def curvatures(self, d: Array) -> Array:
        """Return p''(d)."""
        sech, tanh = 1 / np.cosh(d), np.tanh(d)
        return sech * (-2 * self.differences * sech * tanh + self.products * (1 - 2 * tanh**2))

    def least(self, low: Array, high: Array) -> Array:
        """Return the minimum of each p over [low, high]."""
        ends = np.minimum(self.values(low), self.values(high))
        with np.errstate(divide="ignore", invalid="ignore"):
            inside = np.clip(np.arcsinh(-self.differences / self.products), low, high)
        usable = (self.products > 0) & np.isfinite(inside)
        return np.where(usable, np.minimum(ends, self.values(np.where(usable, inside, low))), ends)


def nearest_weights(terms: PairTerms, players: int, reach: float, rng: np.random.Generator, deadline: float) -> Nearest:
    """Minimise sum p(t_l - t_k) over t in [0, reach]^players.

    Parameters
    ----------
    terms : PairTerms
    players : int
    reach : float
        log(ratio).
    rng : Generator
        Draws starts.
    deadline : float
        A moment of time.monotonic, after which what was found and bounded until then is returned.
    """
    return _Search(terms, players, reach, deadline).run(rng)


@dataclass(order=True)
class _Box:
    bound: float
    number: int
    low: Array = field(compare=False)
    high: Array = field(compare=False)


class _Search:
    def __init__(self, terms: PairTerms, players: int, reach: float, deadline: float) -> None:
        self.terms, self.players, self.reach, self.deadline = terms, players, reach, deadline
        self.best = np.inf
        self.at: Array = np.zeros(players)
        # Bounds of the second derivatives, |(sech^2)'| < 0.8 and |(sech tanh)'| <= 1, and of the third ones,
        # |(sech^2)''| <= 2 and |(sech tanh)''| <= 5/2.
        self.second = 0.8 * np.abs(terms.differences) + np.abs(terms.products)
        self.third = 2 * np.abs(terms.differences) + 2.5 * np.abs(terms.products)
        self.numbers = itertools.count()

    def run(self, rng: np.random.Generator) -> Nearest:
        zeros, full = np.zeros(self.players), np.full(self.players, self.reach)
        self.keep(full / 2)
        for start in (full / 2, *rng.uniform(0, self.reach, size=(STARTS, self.players))):
            self.improve(start, zeros, full)
        boxes = [_Box(self.bound(zeros, full), next(self.numbers), zeros, full)]
        bounded = 1
        while boxes and boxes[0].bound < self.goal and bounded < _MOST_BOXES and time.monotonic() < self.deadline:
            box = heapq.heappop(boxes)
            for half in self.halves(box):
                low, high = self.contracted(*half)
                # Only ratios count: some weights with the least one 1 do as well as any, and lie in another box.
                if low.min() > 0:
                    continue
                value = max(box.bound, self.bound(low, high))
                bounded += 1
                if value < self.goal:
                    heapq.heappush(boxes, _Box(value, next(self.numbers), low, high))
        # What was left out is no better than the goal.
        lower = min(boxes[0].bound if boxes else np.inf, self.goal)
        return Nearest(self.best, max(lower, 0.0), self.at, bounded)

    @property
    def goal(self) -> float:
        """What no box may come below for the search to end."""
        return (1 - CLOSE) * self.best - _ROUNDING * self.terms.total

    def improve(self, start: Array, low: Array, high: Array) -> Array:
        """Return a local minimiser in a box, and keep it if it is the best one so far."""
        from scipy.optimize import minimize

        bounds = list(zip(low, high, strict=True))
        try:
            goal = watched(self.value_and_slope, self.deadline)
            found = minimize(goal, start, jac=True, method="L-BFGS-B", bounds=bounds)
        except TimeUpError:
            return start
        t = np.clip(found.x, low, high)
        self.keep(t)
        return t

    def keep(self, t: Array) -> None:
        """Keep logarithms that are the best so far."""
        value = float(self.terms.values(self.terms.gaps(t)).sum())
        if value < self.best:
            self.best, self.at = value, t

    def value_and_slope(self, t: Array) -> tuple[float, Array]:
        d = self.terms.gaps(t)
        slopes, gradient = self.terms.slopes(d), np.zeros(self.players)
        np.add.at(gradient, self.terms.first, slopes)
        np.subtract.at(gradient, self.terms.second, slopes)
        return float(self.terms.values(d).sum()), gradient

    def bound(self, low: Array, high: Array) -> float:
        """Return a lower bound of the sum over a box."""
        first, second = self.terms.first, self.terms.second
        a, b = low[first] - high[second], high[first] - low[second]
        plain = float(self.terms.least(a, b).sum())
        middle, half = (a + b) / 2, (b - a) / 2
        if plain >= self.best or not (self.terms.curvatures(middle) - self.third * half >= 0).all():
            return plain
        # All terms are convex here: the sum lies above its tangent at a minimiser.
        t = self.improve((low + high) / 2, low, high)
        value, gradient = self.value_and_slope(t)
        tangent = value + float(np.minimum(gradient * (low - t), gradient * (high - t)).sum())
        return max(plain, tangent - _TANGENT * self.reach * self.terms.total)

    def contracted(self, low: Array, high: Array) -> tuple[Array, Array]:
        """Return the face of a box that holds its minimisers where the sum strictly grows or falls with an entry."""
        first, second = self.terms.first, self.terms.second
        half = (high[first] - low[second] - low[first] + high[second]) / 2
        slopes = self.terms.slopes((low[first] + high[first] - low[second] - high[second]) / 2)
        spread = self.second * half
        least, most = np.zeros(self.players), np.zeros(self.players)
        np.add.at(least, first, slopes - spread)
        np.add.at(most, first, slopes + spread)
        np.subtract.at(least, second, slopes + spread)
        np.subtract.at(most, second, slopes - spread)
        rounding = 1e-13 * self.terms.total
        return np.where(most < -rounding, high, low), np.where(least > rounding, low, high)

    def halves(self, box: _Box) -> list[tuple[Array, Array]]:
        """Bisect a box where the terms vary most."""
        first, second = self.terms.first, self.terms.second
        widths, size = box.high - box.low, np.zeros(self.players)
        weight = np.abs(self.terms.differences) + np.abs(self.terms.products)
        np.add.at(size, first, weight)
        np.add.at(size, second, weight)
        i = int(np.argmax(widths * size))
        middle = (box.low[i] + box.high[i]) / 2
        left, right = box.high.copy(), box.low.copy()
        left[i] = right[i] = middle
        return [(box.low, left), (right, box.high)]
