"""SciPy's solvers of F(x) = 0, with F(x) = T(x) - x in NumPy: Newton-Krylov, Anderson, DF-SANE and Powell's hybrid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from nngames.core.profiles import Array
from nngames.solvers.external.whole_run import Answer, Enough, ExternalProblem, ExternalSolver, watched
from nngames.solvers.options import integer_from, number_that, positive_number
from nngames.solvers.solver import norm, solver_named


class Root(ExternalSolver):
    """A method of ``scipy.optimize.root`` on the passes of nngames.

    The run ends at the first point SciPy tries at which the residual is small enough, or at which the time is up; every
    call of the map is counted.
    """

    #: Whether SciPy bounds the calls of the map in place of the iterations.
    counts_calls: ClassVar[bool] = False

    def run(self, problem: ExternalProblem, x0: Array) -> Answer:
        """Return what SciPy finds."""
        from scipy.optimize import root

        calls = watched(problem)
        steps: list[None] = []
        method = self.name.partition(":")[2]
        try:
            found = root(
                calls,
                x0,
                method=method,
                callback=None if method == "hybr" else lambda x, f: steps.append(None),
                options=self.scipy_options(problem),
            )
        except Enough:
            iterations = calls.calls if method == "hybr" else len(steps) + 1
            return Answer(calls.best, iterations, calls.calls, True, "the residual it met")
        iterations = calls.calls if method == "hybr" else int(found.nit)
        exhausted = max(iterations, calls.calls if self.counts_calls else 0) >= problem.budget.max_iterations
        # MINPACK's sentences are broken into lines.
        said = " ".join(str(found.message).split())
        return Answer(np.asarray(found.x), iterations, calls.calls, bool(found.success), said, exhausted)

    def scipy_options(self, problem: ExternalProblem) -> dict[str, Any]:
        """Return the method's options in SciPy's names."""
        return {
            "fatol": problem.asked,
            "ftol": np.inf,
            "tol_norm": norm,
            "maxiter": max(1, problem.budget.max_iterations),
            "disp": False,
        }


@solver_named("scipy:krylov")
@dataclass(frozen=True)
class Krylov(Root):
    """SciPy's Newton-Krylov method: F(x) = 0 by Newton steps, each system by LGMRES on differences of F.

    Parameters
    ----------
    inner_iterations : int
        The most iterations of LGMRES in a step.

    Guarantee
    ---------
    None: nngames proves nothing about an external solver.

    References
    ----------
    Knoll and Keyes (2004); ``scipy.optimize.root(method="krylov")``.
    """

    inner_iterations: int = 20

    def __post_init__(self) -> None:
        number = integer_from(self.name, "inner_iterations", self.inner_iterations, 1)
        object.__setattr__(self, "inner_iterations", number)

    def scipy_options(self, problem: ExternalProblem) -> dict[str, Any]:
        """Return the options in SciPy's names."""
        return super().scipy_options(problem) | {"jac_options": {"inner_maxiter": self.inner_iterations}}


@solver_named("scipy:anderson")
@dataclass(frozen=True)
class Anderson(Root):
    """SciPy's Anderson mixing with a line search.

    Parameters
    ----------
    memory : int
        How many differences are kept.
    mixing : float
        The inverse Jacobian begins as -mixing * Id; 1 is that of a constant map.
    regularization : float
        SciPy's w0, relative to the diagonal of the Gram matrix.

    Guarantee
    ---------
    None: nngames proves nothing about an external solver.

    References
    ----------
    Anderson (1965); ``scipy.optimize.root(method="anderson")``.
    """

    memory: int = 5
    mixing: float = 1.0
    regularization: float = 0.01

    def __post_init__(self) -> None:
        object.__setattr__(self, "memory", integer_from(self.name, "memory", self.memory, 1))
        object.__setattr__(self, "mixing", positive_number(self.name, "mixing", self.mixing))
        weight = number_that(self.name, "regularization", self.regularization, "be nonnegative", lambda w: w >= 0)
        object.__setattr__(self, "regularization", weight)

    def scipy_options(self, problem: ExternalProblem) -> dict[str, Any]:
        """Return the options in SciPy's names."""
        jacobian = {"M": self.memory, "alpha": self.mixing, "w0": self.regularization}
        return super().scipy_options(problem) | {"jac_options": jacobian}


@solver_named("scipy:df-sane")
@dataclass(frozen=True)
class DfSane(Root):
    """SciPy's DF-SANE: spectral steps along the displacement, with a nonmonotone line search.

    Parameters
    ----------
    memory : int
        How many norms the line search looks back at.

    Guarantee
    ---------
    None: nngames proves nothing about an external solver.

    References
    ----------
    La Cruz, Martinez and Raydan (2006); ``scipy.optimize.root(method="df-sane")``.
    """

    memory: int = 10
    counts_calls: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "memory", integer_from(self.name, "memory", self.memory, 1))

    def scipy_options(self, problem: ExternalProblem) -> dict[str, Any]:
        """Return the options in SciPy's names."""
        return {
            "fatol": problem.asked,
            "ftol": 0.0,
            "fnorm": norm,
            "maxfev": max(1, problem.budget.max_iterations),
            "M": self.memory,
        }


@solver_named("scipy:hybr")
@dataclass(frozen=True)
class Hybrid(Root):
    """Powell's hybrid method, MINPACK's hybrd, with a dense Jacobian by differences.

    It has no tolerance on the residual: ``xtol`` is set to the smallest that makes sense, and the run ends at the first
    point it tries that meets the target. ``max_iterations`` bounds its calls of the map, n of which make a Jacobian.

    Guarantee
    ---------
    None: nngames proves nothing about an external solver.

    References
    ----------
    Powell (1970); ``scipy.optimize.root(method="hybr")``.
    """

    def scipy_options(self, problem: ExternalProblem) -> dict[str, Any]:
        """Return the options in SciPy's names."""
        return {"xtol": float(np.finfo(np.float64).eps), "maxfev": max(1, problem.budget.max_iterations)}
