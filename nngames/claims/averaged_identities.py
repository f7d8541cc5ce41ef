"""The identities behind two theorems on averaged maps, each verified as an identity of polynomials in exact rationals.

Both proofs are a line of algebra in a Hilbert space. An inner product enters each identity bilinearly, so that it holds
for all vectors iff it holds for all numbers, and a polynomial identity of degree at most d in each variable holds iff
it holds on a grid of d + 1 distinct values of each variable.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import product

from nngames.core.verdicts import Decision, Verdict

#: Three distinct values a variable: enough for the degree 2 that each variable has in either identity.
GRID = tuple(map(Fraction, (0, 1, 2)))
#: Of the variables that divide, or that occur with degree 3 after division is cleared.
POSITIVE = tuple(map(Fraction, (1, 2, 3, 5)))


def averaged_sum_identity() -> Verdict:
    """Return the verdict on the rule for compositions of averaged maps.

    T is averaged with gamma iff |Tx - Ty|^2 <= |x - y|^2 - k |(I - T)x - (I - T)y|^2 with k = (1 - gamma)/gamma. For
    T = T_2 T_1 put a = (I - T_1)x - (I - T_1)y and b = (I - T_2)T_1 x - (I - T_2)T_1 y; then (I - T)x - (I - T)y = a +
    b and |Tx - Ty|^2 <= |x - y|^2 - k_1 |a|^2 - k_2 |b|^2. By

        k_1 |a|^2 + k_2 |b|^2 = k_1 k_2/(k_1 + k_2) |a + b|^2 + |k_1 a - k_2 b|^2 / (k_1 + k_2)

    T is averaged with 1/k = 1/k_1 + 1/k_2, that is gamma/(1 - gamma) = sum of gamma_l/(1 - gamma_l); induction gives
    the rule for more maps [bauschke2017, proposition 4.46].
    """

    def difference(a: Fraction, b: Fraction, k: Fraction, m: Fraction) -> Fraction:
        left = (k * a * a + m * b * b) * (k + m)
        return left - k * m * (a + b) ** 2 - (k * a - m * b) ** 2

    largest = _largest(difference, GRID, GRID, POSITIVE, POSITIVE)
    return Verdict(
        Decision.PROVED if largest == 0 else Decision.UNDECIDED,
        "the composition of maps averaged with gamma_l < 1 is averaged with the constant of the rule, since the "
        "odds gamma/(1 - gamma) add: the squares k_1 |a|^2 + k_2 |b|^2 of the displacements are at least "
        "k_1 k_2/(k_1 + k_2) times that of their sum",
        "an identity of polynomials, verified in exact rationals on a grid that determines it",
        witness={"identity": "(k + m)(k a^2 + m b^2) = k m (a + b)^2 + (k a - m b)^2", "largest difference": largest},
        references=("bauschke2017",),
    )


def relaxation_identity() -> Verdict:
    """Return the verdict on the convergence of the Krasnoselskii-Mann scheme.

    N = I + (O - I)/gamma is nonexpansive with the fixed points of O, and the scheme is x' = (1 - m) x + m N x with
    m = gamma lambda in (0, 1). For a fixed point z

        |x' - z|^2 = (1 - m) |x - z|^2 + m |Nx - z|^2 - m (1 - m) |Nx - x|^2 <= |x - z|^2 - m (1 - m) |Nx - x|^2.

    So the distances to every fixed point never increase and the sum of m_t (1 - m_t) |N x_t - x_t|^2 is at most
    |x_0 - z|^2. As |N x_t - x_t| never increases either and the sum of m_t (1 - m_t) is infinite, it tends to 0. In
    finite dimension a subsequence converges, to a fixed point by continuity, and with it the whole sequence; in general
    dimension this is weak convergence by demiclosedness and Opial's lemma [bauschke2017, theorem 5.15].
    """

    def difference(x: Fraction, y: Fraction, m: Fraction) -> Fraction:
        # With z = 0 and y = N x.
        moved = (1 - m) * x + m * y
        return moved**2 - ((1 - m) * x**2 + m * y**2 - m * (1 - m) * (y - x) ** 2)

    largest = _largest(difference, GRID, GRID, GRID)
    return Verdict(
        Decision.PROVED if largest == 0 else Decision.UNDECIDED,
        "with relaxations in (0, 1/gamma) and an infinite sum of lambda_t (1 - gamma lambda_t) the scheme converges to "
        "a fixed point (weakly in general dimension, in norm in finite dimension) and its residual tends to 0: each "
        "step lowers the squared distance to every fixed point by lambda (1 - gamma lambda)/gamma |O(x) - x|^2 at "
        "least",
        "an identity of polynomials, verified in exact rationals on a grid that determines it",
        witness={
            "identity": "|(1-m)x + m y|^2 = (1-m)|x|^2 + m|y|^2 - m(1-m)|y - x|^2",
            "largest difference": largest,
        },
        references=("bauschke2017",),
    )


def _largest(difference: Callable[..., Fraction], *values: tuple[Fraction, ...]) -> Fraction:
    return max(abs(difference(*point)) for point in product(*values))
