"""Relaxed Douglas-Rachford splitting: one prox and one solution with the factor of Id + tau M an iteration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from nngames.solvers.options import number_that
from nngames.solvers.reflections import ReflectionSolver
from nngames.solvers.solver import solver_named


@solver_named("douglas_rachford")
@dataclass(frozen=True)
class DouglasRachford(ReflectionSolver):
    """The scheme x = J(z), y = prox(2x - z), z <- z + lambda (y - x), J the resolvent of tau (M . + q), prox of tau F.

    Its iterate is x_k = J(z_k), with z_0 = x_0 + tau (M x_0 + q). Id + tau M is factorised once for a game and a step,
    on a ring by eliminating the layers in turn. A solution counts as the passes whose multiplications it has,
    rounded up: one for a single dense layer, two on a ring.

    Parameters
    ----------
    step_size : float, optional
        tau > 0. Default: sqrt(N) / |M|_F, one over the root mean square of the singular values of M. It needs
        no bound on |M|. The best proved factor belongs to 1 / |M|, or 1 / sqrt(mu |M|) for a symmetric M; on drawn
        games whose M is not symmetric the first took 1.2 to 2.7 times the iterations.
    relaxation : float
        lambda in (0, 2]; 1 is the plain scheme, 2 is peaceman_rachford. Default 1.5: where M is strongly monotone the
        proved progress 1 - factor is proportional to lambda, elsewhere the bound is best at 1 and loses 15 per cent.

    Guarantee
    ---------
    With |d|_tau = |d + tau M d|, so that |x - x*|_tau = |z - z*|. If M is monotone, lambda < 2 and a solution exists:
    for every tau, x_k converges to a solution, |x_k - x*|_tau does not increase, and
    |R(x_k) - x_k| <= c |x_0 - x*|_tau / sqrt(lambda (2 - lambda)(k + 1)), c of ``residual_factor``. If M is strongly
    monotone with modulus mu: |x_k - x*|_tau <= (1 - lambda (1 - rho)/2)^k |x_0 - x*|_tau, for lambda = 2 too, with
    rho^2 = (1 - 2 tau mu + tau^2 |M|^2)/(1 + 2 tau mu + tau^2 |M|^2), and rho = max((1 - tau mu)/(1 + tau mu),
    (tau |M| - 1)/(tau |M| + 1)) if M is also symmetric.

    Derivation
    ----------
    z <- (1 - a) z + a N z with a = lambda/2 and N = R_F R_M, the reflected resolvents: nonexpansive, and with factor
    rho by ``reflection_factor``. So |z_{k+1} - z*|^2 <= |z_k - z*|^2 - a (1 - a)|N z_k - z_k|^2, where N z - z = 2 (y -
    x) does not increase; and y is the prox step at x, since 2x - z = x - tau (Mx + q).

    References
    ----------
    Lions and Mercier (1979); Eckstein and Bertsekas (1992); Bauschke and Combettes (2017), Theorem 26.11; Giselsson
    (2017) for the factor.
    """

    relaxation: float = 1.5

    keys: ClassVar[tuple[str, ...]] = ("lions1979", "eckstein1992", "giselsson2017", "bauschke2017")

    def __post_init__(self) -> None:
        super().__post_init__()
        relaxation = number_that(
            self.name, "relaxation", self.relaxation, "lie in (0, 2]", lambda share: 0 < share <= 2
        )
        object.__setattr__(self, "relaxation", relaxation)

    @property
    def weight(self) -> float:
        """The relaxation."""
        return self.relaxation
