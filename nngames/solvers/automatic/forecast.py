"""Forecasts: by how much the first plain passes of a run let each scheme lower the residual a step.

For an affine map R with linear part J the displacements of plain passes are g_j = J^j g_0, so every polynomial scheme
can be judged by combinations of them, without a pass of its own: the Krasnoselskii-Mann scheme with relaxation 1/2 has
after m steps the displacement 2^-m sum_j binom(m, j) g_j, and Anderson acceleration finds the affine combination of
smallest norm. Elsewhere the figures are estimates, and a run that does not keep to them is forecast again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property

import numpy as np

from nngames.core.pieces import gram_matrix
from nngames.core.profiles import Array

#: Of the displacements those of the last four steps count: the first ones tell about the start.
JUDGED = 4
#: Relaxed and accelerated steps are expected to need 1/CAUTION times as many as their first ones promise.
CAUTION = 0.5
#: Below this share of the first displacement's square that of a combination of several is rounding.
EXHAUSTED = 1e-14
#: Below this share of what it could be, the asymmetry of a map does not keep spectral steps from paying; and they are
#: expected to need 1/SPECTRAL_CAUTION times as many as the best steps from the same displacements.
SYMMETRIC, SPECTRAL_CAUTION = 0.25, 0.85
#: The weights 2^-m binom(m, j) of ``_averaged``, by m.
_WEIGHTS = [np.array([math.comb(m, j) / 2.0**m for j in range(m + 1)]) for m in range(JUDGED + 1)]


class Factors:
    """By how much a step lowers the residual in the mean: plain, with relaxation 1/2, and accelerated.

    They follow from the last displacements g_0, ..., g_m of plain passes. The factor is that of the last two steps,
    since the first ones of a scheme that averages pay more than the later ones; those of relaxed and accelerated steps
    still do, so they are taken to the power ``CAUTION``. All figures come from the Gram matrix of the displacements.
    """

    def __init__(self, displacements: Array | Sequence[Array]) -> None:
        last = np.asarray(displacements[-JUDGED - 1 :])
        self._gram = gram_matrix(last)
        self._first, self._m = float(self._gram[0, 0]), len(last) - 1

    @cached_property
    def symmetric(self) -> float:
        """The factor of Chebyshev's polynomials where J is symmetric enough and plain steps converge, else 1.

        If the eigenvalues of J lie between -q and q, q < 1 the plain factor, they lower the residual in the mean by
        q / (1 + sqrt(1 - q^2)) a step.
        """
        q = self.plain
        return q / (1 + math.sqrt(1 - q * q)) if q < 1 and self.asymmetry <= SYMMETRIC else 1.0

    @cached_property
    def spectral(self) -> float:
        """The factor of a spectral step where J is symmetric enough, else 1; asymmetry slows such steps down."""
        if self.asymmetry > SYMMETRIC:
            return 1.0
        best = min(self.accelerated ** (1 / CAUTION), self.symmetric)
        return best ** (SPECTRAL_CAUTION * (1 - self.asymmetry))

    @cached_property
    def asymmetry(self) -> float:
        """How far J is from symmetric on the displacements, from 0 to 1, which a quarter turn has.

        It is the largest |<g_i, g_j> - <g_{i+1}, g_{j-1}>| / (|g_i||g_j| + |g_{i+1}||g_{j-1}|): as g_{j+1} = J g_j, the
        numerator is |<g_i, (J - J') g_{j-1}>|.
        """
        gram, largest = self._gram.tolist(), 0.0
        sizes = [math.sqrt(row[i]) for i, row in enumerate(gram)]
        for i in range(self._m - 1):
            for j in range(i + 2, self._m + 1):
                unit = sizes[i] * sizes[j] + sizes[i + 1] * sizes[j - 1]
                if unit > 0:
                    largest = max(largest, abs(gram[i][j] - gram[i + 1][j - 1]) / unit)
        return largest

    @cached_property
    def plain(self) -> float:
        """The factor of a plain step."""
        m, gram = self._m, self._gram
        return _mean_factor(self._first, float(gram[m - 2, m - 2]), float(gram[m, m]))

    @cached_property
    def relaxed(self) -> float:
        """The factor of a step with relaxation 1/2."""
        m, gram = self._m, self._gram
        return _mean_factor(self._first, _averaged(gram[: m - 1, : m - 1]), _averaged(gram)) ** CAUTION

    @cached_property
    def accelerated(self) -> float:
        """The factor of an accelerated step."""
        least = _least(self._gram)
        return _mean_factor(self._first, least[self._m - 2], least[self._m]) ** CAUTION


def plain_factor(displacements: Array | Sequence[Array]) -> float:
    """Return the factor of a plain step from the last two alone."""
    before, after = displacements[-3], displacements[-1]
    square = float(before.dot(before))
    return (float(after.dot(after)) / square) ** 0.25 if square > 0 else 0.0


def steps_to(target: float, residual: float, factor: float) -> float:
    """Return how many steps lower the residual to the target; inf where the factor does not."""
    if residual <= target:
        return 0.0
    if 0 < factor < 1:
        # The quotient of the residuals may be beyond all floats.
        return (math.log(residual) - math.log(target)) / -math.log(factor)
    return 1.0 if factor == 0 else math.inf


def _averaged(gram: Array) -> float:
    """Return the square of the norm of 2^-m sum_j binom(m, j) g_j, from the Gram matrix of the g_j."""
    weights = _WEIGHTS[len(gram) - 1]
    return float(weights.dot(gram).dot(weights))


def _least(gram: Array) -> list[float]:
    """Return for the first 1, 2, ... the square of the smallest norm of an affine combination: 1 / (1' G^-1 1).

    It is 0 from where G is singular on. With G = L D L' and y = L^-1 1 it is 1 / sum_i y_i^2 / d_i. NumPy's own checks
    would take longer than these sums.
    """
    least = [0.0] * len(gram)
    scaled: list[list[float]] = []
    ones: list[float] = []
    total = 0.0
    for i, row in enumerate(gram.tolist()):
        entries: list[float] = []
        products: list[float] = []
        pivot, one = row[i], 1.0
        for j in range(i):
            product = row[j]
            for k in range(j):
                product -= entries[k] * scaled[j][k]
            entry = product / scaled[j][j]
            entries.append(entry)
            products.append(product)
            pivot -= product * entry
            one -= entry * ones[j]
        if not pivot > EXHAUSTED * row[i]:
            break
        scaled.append([*products, pivot])
        ones.append(one)
        total += one * one / pivot
        least[i] = 1 / total
    return least


def _mean_factor(first: float, before: float, after: float) -> float:
    """Return the factor of one of the two steps between two squared norms; 0 where they left nothing but rounding."""
    return max(after / before, 0.0) ** 0.25 if before > EXHAUSTED * first else 0.0
