"""Peaceman-Rachford splitting: both reflected resolvents in turn, for a strongly monotone operator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from nngames.solvers.reflections import REFLECTION, ReflectionSolver
from nngames.solvers.solver import solver_named


@solver_named("peaceman_rachford")
@dataclass(frozen=True)
class PeacemanRachford(ReflectionSolver):
    """The scheme x = J(z), y = prox(2x - z), z <- z + 2 (y - x), J the resolvent of tau (M . + q), prox of tau F.

    It is douglas_rachford at relaxation 2: z <- R_F R_M z with the reflected resolvents R_M z = 2x - z and R_F.

    Parameters
    ----------
    step_size : float, optional
        tau > 0, with the default of douglas_rachford.

    Guarantee
    ---------
    With |d|_tau = |d + tau M d|. If M is strongly monotone with modulus mu: |x_k - x*|_tau <= rho^k |x_0 - x*|_tau with
    rho^2 = (1 - 2 tau mu + tau^2 |M|^2)/(1 + 2 tau mu + tau^2 |M|^2), and rho = max((1 - tau mu)/(1 + tau mu),
    (tau |M| - 1)/(tau |M| + 1)) if M is also symmetric: R_M contracts by rho and R_F is nonexpansive. A merely monotone
    M is not enough: a skew one without penalty turns z about its solution for ever.

    References
    ----------
    Peaceman and Rachford (1955); Lions and Mercier (1979), Proposition 1; Giselsson (2017) for the factor.
    """

    keys: ClassVar[tuple[str, ...]] = ("peaceman1955", "lions1979", "giselsson2017")

    @property
    def weight(self) -> float:
        """Whole reflections."""
        return REFLECTION
