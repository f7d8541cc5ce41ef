"""Linear systems of Newton's method: (Id - J) d = g, reduced where layers can be eliminated, in single precision first.

From order ``SINGLE`` on a system is formed and factorised in single precision, in about half the time. What that solves
is looked at in double: with S the approximate inverse,

    d_0 = S g,    q = g - (Id - J) d_0,    d = d_0 + S q,

one step of iterative refinement. d is taken if eta = |q| / |g| <= ``FORCING``, and leaves about eta^2 |g|; eta is about
6e-8 times the condition number (Carson and Higham 2018). Where eta is larger, or not a number since entries exceed the
range of single precision, the run forms its systems in double precision from then on.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from nngames.core.factors import TriangularFactor, solution
from nngames.core.profiles import Array
from nngames.core.threads import blas_threads
from nngames.games import FixedPoint
from nngames.networks.elimination import Slopes
from nngames.solvers.solver import norm

#: The residual of a linear system, relative, is at most this.
FORCING = 1e-2
#: Up to this order a system is eliminated anew each time: the calls for the triangular factors cost more.
SMALL = 64
#: From this order on the factors in single precision are made so much faster that the look at what they solve pays.
SINGLE = 160

#: g -> d with (Id - J) d = g.
Solve = Callable[[Array], Array]


class Systems:
    """The systems of one run.

    Parameters
    ----------
    view : FixedPoint
    kept : dict or None
        Where the factors of a map are kept whose J is everywhere the same.

    Attributes
    ----------
    single : bool
        Whether single precision has served so far.
    """

    def __init__(self, view: FixedPoint, kept: dict[Any, Any] | None) -> None:
        self._view, self._kept = view, kept
        self.single = True

    def solve(self, x: Array, g: Array) -> tuple[Array | None, Solve | None, int]:
        """Return d with (Id - J) d = g at x, what solves so for other g, and the passes that this is worth.

        A singular system is solved in the least-squares sense. d is None where J is not finite.
        """
        passes = g.size + 1
        form = _Form(self._view, x)
        if self.single and g.size >= SINGLE and g.dtype == np.float64:
            single: SingleFactor | None = self._known("single", form, _in_single)
            if single is not None:
                found = single.refined(g)
                if found is not None:
                    return found, single, passes + 1
                passes += g.size + 1
                self.single = False
        double: Solve | None = self._known(g.dtype, form, _in_double)
        return (None if double is None else double(g)), double, passes

    def _known(self, precision: Any, form: _Form, make: Callable[[_Form], Any]) -> Any:
        if self._kept is None:
            return make(form)
        key = self._view.name, precision
        if key not in self._kept:
            self._kept[key] = make(form)
        return self._kept[key]


class _Form:
    """What is known at one point, made when it is first asked for."""

    def __init__(self, view: FixedPoint, x: Array) -> None:
        self._view, self._x = view, x
        self.dtype = x.dtype
        self._slopes: Slopes | WholeJacobian | None = None

    @property
    def slopes(self) -> Slopes | WholeJacobian:
        """J at the point."""
        if self._slopes is None:
            eliminated = self._view.elimination
            self._slopes = WholeJacobian(self._view.jacobian(self._x)) if eliminated is None else eliminated.at(self._x)
        return self._slopes


class WholeJacobian:
    """A Jacobian that is given as a matrix, used as ``Slopes`` are."""

    def __init__(self, jacobian: Array) -> None:
        self._jacobian = jacobian
        self.order, self.whole = len(jacobian), True

    def change(self, d: Array) -> Array:
        """Return J d."""
        return np.dot(self._jacobian, d)

    def system(self, dtype: Any) -> Array:
        """Return Id - J in that precision, with the entries in the order in which those of J lie."""
        system = np.negative(self._jacobian, dtype=dtype, casting="same_kind")
        system.ravel(order="K")[:: len(system) + 1] += 1
        return system

    def reduced(self, g: Array) -> Array:
        """Return g."""
        return g

    def completed(self, d: Array, g: Array) -> Array:
        """Return d."""
        return d


class SingleFactor:
    """g -> d with (Id - J) d = g up to the accuracy of factors in single precision; ``refined`` is more accurate."""

    def __init__(self, slopes: Slopes | WholeJacobian) -> None:
        self._slopes = slopes
        with blas_threads(slopes.order**2):
            self._factor = TriangularFactor(slopes.system(np.dtype(np.float32)), overwrite=True)

    def __call__(self, g: Array) -> Array:
        """Return S g: g is scaled, so that no small one is lost."""
        right = self._slopes.reduced(g)
        size = norm(right)
        if size > 0:
            right = size * self._factor.solve((right / size).astype(np.float32)).astype(np.float64)
        return self._slopes.completed(right, g)

    def refined(self, g: Array) -> Array | None:
        """Return d after one step of iterative refinement; None where the factors do not serve."""
        found = self(g)
        missed = g - found
        missed += self._slopes.change(found)
        # Also false where either is not finite.
        if not norm(missed) <= FORCING * norm(g):
            return None
        found += self(missed)
        return found


def _in_single(form: _Form) -> SingleFactor | None:
    if form.slopes.order < SINGLE:
        return None
    try:
        return SingleFactor(form.slopes)
    except np.linalg.LinAlgError:
        return None


def _in_double(form: _Form) -> Solve | None:
    """Return g -> d, a shortest least-squares one if Id - J is singular; None if it is not finite."""
    slopes = form.slopes
    if slopes.order == 0:
        return np.copy
    system = slopes.system(form.dtype)
    if not np.isfinite(system).all():
        return None
    if slopes.order <= SMALL:
        solve: Solve = partial(_eliminated, system)
    else:
        try:
            with blas_threads(system.size):
                solve = TriangularFactor(system, overwrite=True).solve
        except np.linalg.LinAlgError:
            solve = partial(_shortest, slopes.system(form.dtype))
    if slopes.whole:
        return solve
    return lambda g: slopes.completed(solve(slopes.reduced(g)), g)


def _eliminated(system: Array, g: Array) -> Array:
    found = solution(system, g)
    return found if math.isfinite(found.dot(found)) else _shortest(system, g)


def _shortest(system: Array, g: Array) -> Array:
    return np.linalg.lstsq(system, g, rcond=None)[0]
