"""Performance profiles: on what share of the problems a method is within a factor of the best one [dolan2002]."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nngames.core.errors import check_choice
from nngames.core.plain import plain
from nngames.results.summary import timed

if TYPE_CHECKING:
    from nngames.results.comparison import Row

Array = NDArray[np.floating[Any]]

#: What a profile can be about, each a figure of a result.
MEASURES = ("seconds", "evaluations")
#: Below this, costs cannot be told apart: a clock's resolution.
LEAST = 1e-9


@dataclass(frozen=True, eq=False)
class PerformanceProfile:
    """The profile rho_m(f) = share of the problems p with cost(p, m) <= f * min over methods of cost(p, .).

    A problem is a game with a seed. A cost is the median over the timed runs, infinite unless every run converged; a
    problem that no method solves counts against all of them.

    Attributes
    ----------
    measure : {"seconds", "evaluations"}
    problems, methods : tuple of str
    costs : ndarray (problems, methods)
    ratios : ndarray (problems, methods)
        Costs in units of the smallest one of the problem.
    """

    measure: str
    problems: tuple[str, ...]
    methods: tuple[str, ...]
    costs: Array
    ratios: Array

    def fraction(self, method: str, factor: float) -> float:
        """Return the share of the problems on which ``method`` is within ``factor`` of the best."""
        own = self.ratios[:, self.methods.index(method)]
        return float(np.mean(np.isfinite(own) & (own <= factor)))

    def curve(self, method: str) -> tuple[Array, Array]:
        """Return the factors at which the share of ``method`` steps up, and the shares from there on."""
        own = self.ratios[:, self.methods.index(method)]
        factors, counts = np.unique(own[np.isfinite(own)], return_counts=True)
        return factors, np.cumsum(counts) / own.size

    def to_dict(self) -> dict[str, Any]:
        """Return the profile as plain data."""
        curves = {method: dict(zip(("factors", "shares"), self.curve(method), strict=True)) for method in self.methods}
        return {"measure": self.measure, "problems": list(self.problems), "methods": plain(curves)}


def performance_profile(rows: Sequence[Row], measure: str) -> PerformanceProfile:
    """Return the profile of the rows of a comparison.

    Raises
    ------
    OptionError
        If there is no such measure.
    """
    check_choice("measure", measure, MEASURES)
    problems = tuple(dict.fromkeys(row.case for row in rows))
    methods = tuple(dict.fromkeys(row.method for row in rows))
    by_pair: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        by_pair.setdefault((row.case, row.method), []).append(row)
    costs = np.array([[_cost(by_pair.get((p, m), ()), measure) for m in methods] for p in problems])
    costs = costs.reshape(len(problems), len(methods))
    best = costs.min(axis=1, initial=np.inf, keepdims=True)
    solved = np.isfinite(costs)
    ratios = np.divide(costs, best, out=np.full(costs.shape, np.inf), where=solved)
    return PerformanceProfile(measure, problems, methods, costs, ratios)


def _cost(rows: Sequence[Row], measure: str) -> float:
    if not rows or not all(row.result.converged for row in rows):
        return float("inf")
    return max(LEAST, float(np.median([getattr(row.result, measure) for row in timed(rows)])))
