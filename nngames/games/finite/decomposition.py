"""The decomposition of a finite game into a potential, a harmonic and a nonstrategic part."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nngames.games.finite.numbers import Numbers
from nngames.games.finite.transform import axis_mean, solve_laplacian

if TYPE_CHECKING:
    from nngames.games.finite_game import FiniteGame

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Decomposition:
    """The three parts of a finite game, which add up to its costs [candogan2011].

    With h_m the number of player m's strategies and Pi_m = I - (mean over player m's strategies),

        nonstrategic  c_m - Pi_m c_m,   potential  Pi_m phi,   harmonic  Pi_m (c_m - phi),
        phi = (sum_m h_m Pi_m)^+ sum_m h_m Pi_m c_m,

    orthogonal in <c, d> = sum_m h_m <c_m, d_m>. In the norm |.| of this product the potential and nonstrategic
    parts together are the nearest game with an exact potential, and the harmonic part is what separates it.

    Attributes
    ----------
    potential, harmonic, nonstrategic : FiniteGame
        The parts, in floating-point numbers.
    potential_function : ndarray (s_1, ..., s_L)
        phi, the exact potential of the nearest potential game, with mean zero.
    shares : dict
        |part|^2 / |costs|^2 by the part's name; all 0 where every cost is 0.
    distance : float
        |harmonic|: how far the nearest potential game is.
    """

    potential: FiniteGame
    harmonic: FiniteGame
    nonstrategic: FiniteGame
    potential_function: Array
    shares: dict[str, float]
    distance: float

    @cached_property
    def nearest_potential_game(self) -> FiniteGame:
        """The nearest game with an exact potential, ``potential_function``."""
        costs = self.potential.float_costs + self.nonstrategic.float_costs
        return self.potential.with_numbers(Numbers(costs, None))


def decompose(game: FiniteGame) -> Decomposition:
    """Return the decomposition of a finite game's costs.

    Notes
    -----
    Delta = sum_m h_m Pi_m is the Laplacian of the graph of unilateral deviations, and sum_m h_m Pi_m c_m the divergence
    of the flow of cost differences; the Pi_m commute. Work: O(profiles * (players + strategies)). Costs are scaled by a
    power of two first, so neither large nor small ones leave the range of floats.
    """
    costs = game.float_costs
    unit = _unit(costs)
    if unit != 1.0:
        costs = costs / unit
    sizes = game.sizes
    nonstrategic, strategic = np.empty_like(costs), np.empty_like(costs)
    divergence = np.zeros(sizes)
    for m, size in enumerate(sizes):
        mean = axis_mean(costs[m], m)
        nonstrategic[m] = mean
        np.subtract(costs[m], mean, out=strategic[m])
        divergence += size * strategic[m]
    function = solve_laplacian(divergence)
    potential = np.empty_like(costs)
    for m in range(len(sizes)):
        np.subtract(function, axis_mean(function, m), out=potential[m])
    harmonic = strategic
    harmonic -= potential
    squares = {
        name: _square(part, sizes)
        for name, part in (("potential", potential), ("harmonic", harmonic), ("nonstrategic", nonstrategic))
    }
    total = sum(squares.values())
    if unit != 1.0:
        for part in (potential, harmonic, nonstrategic):
            part *= unit
    return Decomposition(
        game.with_numbers(Numbers(potential, None)),
        game.with_numbers(Numbers(harmonic, None)),
        game.with_numbers(Numbers(nonstrategic, None)),
        function * unit,
        {name: value / total if total > 0 else 0.0 for name, value in squares.items()},
        float(np.sqrt(squares["harmonic"])) * unit,
    )


def _unit(costs: Array) -> float:
    """Return the power of two by which costs that are too large or too small to be squared are divided; else 1."""
    largest = max(float(costs.max()), -float(costs.min()))
    if largest == 0 or 1e-100 < largest < 1e100:
        return 1.0
    return 2.0 ** min(int(np.frexp(largest)[1]), 1000)


def _square(part: Array, sizes: tuple[int, ...]) -> float:
    return float(sum(size * np.vdot(part[m], part[m]) for m, size in enumerate(sizes)))
