"""What the displacements of compiled plain passes promise of steps with relaxation 1/2 that follow without a pause."""

from __future__ import annotations

import math

from nngames.core.profiles import Array
from nngames.networks.compiled.fused_scalars import compiled

#: Steps that follow end after so many, and as many again and again, unless they keep this share of their promise.
WATCHED, KEPT = 12, 0.8
#: How much rounding, which is relative to x and in single precision to moves of it, may raise a residual.
ROUNDING = 1e-6

_plain = compiled()


@_plain
def relaxed_fall(displacements: Array, residuals: Array, caution: float) -> float:
    """Return by how much each step with relaxation 1/2 lowers log |R(x) - x|, as plain passes promise; else 0.

    With J the linear part of an affine map their displacements are g_j = J^j g_0, and m steps with relaxation 1/2 lead
    from g_0 to a_m = 2^-m sum_j binom(m, j) g_j. Of the last five displacements the factor of two such steps,
    (|a_4| / |a_2|)^(1/2), is taken to the power ``caution``, since the first means pay most.

    Nothing is promised where that of plain steps, (|g_4| / |g_2|)^(1/2), is smaller, nor where a pass has raised the
    residual: a nonexpansive map has |R(R(x)) - R(x)| <= |R(x) - x|, and where it is none means may lead nowhere.

    Parameters
    ----------
    displacements : ndarray (at least 5, 1 or L, n)
    residuals : ndarray (at least as many,)
        Their norms.
    caution : float
    """
    count, rows, columns = displacements.shape
    for k in range(1, count):
        # Also where one is not a number.
        if not residuals[k] <= (1.0 + ROUNDING) * residuals[k - 1]:
            return 0.0
    earlier, later = 0.0, 0.0
    for i in range(rows):
        for j in range(columns):
            first, second, third = (
                displacements[count - 5, i, j],
                displacements[count - 4, i, j],
                displacements[count - 3, i, j],
            )
            fourth, fifth = displacements[count - 2, i, j], displacements[count - 1, i, j]
            two = (first + 2.0 * second + third) / 4.0
            four = (first + 4.0 * second + 6.0 * third + 4.0 * fourth + fifth) / 16.0
            earlier += two * two
            later += four * four
    if not 0.0 < later < earlier < math.inf:
        return 0.0
    fall = 0.25 * caution * (math.log(earlier) - math.log(later))
    plain = 0.5 * (math.log(residuals[count - 3]) - math.log(residuals[count - 1]))
    return fall if fall > plain else 0.0
