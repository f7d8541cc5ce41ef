"""What an activation is: the response r, its slopes, and the penalty f, primitive g and conjugate g* behind it.

For r = grad g with g convex: r is the prox of f, where f + |.|^2/2 = g*, the conjugate of g. f is convex iff r is
1-Lipschitz, and (1 - 1/S)-weakly convex where S > 1 is the Lipschitz constant [gribonval2020]. A response that is
not the gradient of a convex function (for scalar r: not monotone) is the prox of nothing and has no f, g or g*.

Arrays are (..., n): the last axis is the layer, leading axes are a batch. Separable activations act on each coordinate:
their penalty, primitive, conjugate and gap are elementwise, of the input's shape. The others reduce the last axis.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import fields
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nngames.activations.foundations.domain import Domain
from nngames.activations.foundations.slopes import SlopeEnd, outward
from nngames.activations.numerics.rounding import wide
from nngames.core.errors import NotApplicableError, ShapeError, StepError
from nngames.core.profiles import float_array
from nngames.core.registry import Registry

Array = NDArray[np.floating[Any]]
#: Numbers of exact or ball arithmetic: flint's fmpq or arb.
FlintNumber = Any

#: Every activation, by name.
registry: Registry[type[Activation]] = Registry("activation")

#: The decorator that registers an activation class (a frozen dataclass of its parameters) under a name.
activation_named = registry.named


class Activation(ABC):
    """A response r: R^n -> R^n with everything known about it.

    Subclasses are frozen dataclasses whose fields are the parameters, each with a default.
    """

    name: ClassVar[str]
    #: Whether r acts on each coordinate by itself.
    separable: ClassVar[bool] = False
    #: Whether r is piecewise affine with rational data: ``flint_response`` and ``flint_conjugate`` are then rational.
    piecewise_linear: ClassVar[bool] = False
    #: Whether r maps R^n into R^n for every n it takes; a layer of a network needs that.
    self_map: ClassVar[bool] = True
    #: Whether the Jacobians of r are symmetric, so that r is the gradient of a primitive g.
    gradient: ClassVar[bool] = True
    #: Whether r is continuous.
    continuous: ClassVar[bool] = True

    def __getstate__(self) -> dict[str, Any]:
        # A copy derives the rest for itself: exact numbers have no copies, and other threads may add to what is known.
        known = dict(vars(self))
        return {name: known[name] for name in known if not isinstance(getattr(type(self), name, None), cached_property)}

    # Facts

    @property
    def bounded(self) -> bool:
        """Whether r(R^n) is bounded."""
        return False

    @property
    def defined_everywhere(self) -> bool:
        """Whether r is defined at every v; else it raises DomainError elsewhere."""
        return True

    @property
    def slope_range(self) -> tuple[float, float]:
        """The infimum and supremum of the slopes of r, rounded outwards.

        For a scalar r these are the difference quotients; for a gradient map the eigenvalues of its Jacobians; for any
        other map of R^n the eigenvalues of their symmetric parts.
        """
        return self._outward

    @cached_property
    def _outward(self) -> tuple[float, float]:
        return outward(*self.slope_range_exact)

    @property
    @abstractmethod
    def slope_range_exact(self) -> tuple[SlopeEnd, SlopeEnd]:
        """The exact ends of the slope range, each a closed form or a constant with its defining equation."""

    @property
    def has_one_slope(self) -> bool:
        """Whether r is affine in each coordinate, with the same slope in all."""
        if not self.separable:
            return False
        least, most = self.slope_range
        return least == most

    @property
    def lipschitz(self) -> float:
        """The Lipschitz constant of r; inf if there is none."""
        return max(abs(s) for s in self.slope_range)

    @property
    def averagedness(self) -> float | None:
        """The infimum of the averagedness constants of r; None if r is not averaged.

        With symmetric slopes in [s, S]: averaged iff S <= 1 and s >= -1; the infimum is (1 - s)/2, 0 for the identity.
        """
        low, high = self.slope_range
        if high > 1 or low < -1:
            return None
        return (1 - low) / 2

    @property
    def not_averaged_because(self) -> str | None:
        """Why r is averaged with no constant; None if it is averaged."""
        if self.averagedness is not None:
            return None
        if not self.continuous:
            return "it is not continuous"
        low, high = self.slope_range
        if high == np.inf:
            return "its slopes are unbounded"
        return f"its slopes go up to {high:.6g}" if high > 1 else f"its slopes go down to {low:.6g}"

    @property
    def monotone(self) -> bool:
        """Whether r is the gradient of a convex function, so that f, g and g* exist."""
        return self.gradient and self.slope_range[0] >= 0

    @property
    def convex_penalty(self) -> bool:
        """Whether r is the prox of a convex f."""
        return self.monotone and self.slope_range[1] <= 1

    @property
    def penalty_modulus(self) -> float | None:
        """The least k >= 0 for which f + k|.|^2/2 is convex: 0 for a convex f, 1 - 1/S else; None if there is no f."""
        if not self.monotone:
            return None
        high = self.slope_range[1]
        return 0.0 if high <= 1 else 1 - 1 / high

    @property
    def size(self) -> int | None:
        """The layer size that the parameters fix; None if any size is right."""
        return None

    @property
    @abstractmethod
    def domain(self) -> Domain:
        """The closure of dom f."""

    @cached_property
    def parameters(self) -> dict[str, Any]:
        """The parameters by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}  # type: ignore[arg-type]

    def check_size(self, n: int) -> None:
        """Raise ShapeError if a layer of size n cannot use this activation."""
        if self.size is not None and self.size != n:
            raise ShapeError(f"activation {self.name!r} has parameters for size {self.size}; the layer has size {n}")

    # The response

    @abstractmethod
    def __call__(self, v: ArrayLike, out: Array | None = None) -> Array:
        """Return r(v), into ``out`` if given (``out`` may be v itself)."""

    @abstractmethod
    def jvp(self, v: Array, d: Array) -> Array:
        """Return J(v) d, J the Jacobian of r or, at kinks, an element of Clarke's."""

    def vjp(self, v: Array, u: Array) -> Array:
        """Return J(v)' u; gradient maps have symmetric Jacobians."""
        return self.jvp(v, u)

    def derivative(self, v: ArrayLike, out: Array | None = None) -> Array:
        """Return r'(v) elementwise.

        Raises
        ------
        NotApplicableError
            If r is not separable.
        """
        raise NotApplicableError(f"activation {self.name!r} is not separable: use jvp(v, d) for J(v) d")

    # Penalty, primitive, conjugate

    @abstractmethod
    def primitive(self, v: ArrayLike) -> Array:
        """Return g(v), with grad g = r."""

    @abstractmethod
    def conjugate(self, z: ArrayLike) -> Array:
        """Return g*(z) = f(z) + |z|^2/2; +inf off dom f.

        Raises
        ------
        NotApplicableError
            If r is not monotone.
        """

    def penalty(self, z: ArrayLike) -> Array:
        """Return f(z) = g*(z) - |z|^2/2; +inf off dom f. Raises as ``conjugate`` does."""
        point = wide(z)
        square = point**2 if self.separable else np.sum(point**2, axis=-1)
        return self.conjugate(point) - 0.5 * square

    @property
    def penalty_formula(self) -> str | None:
        """f on its domain as a formula in one entry z, to be added over the entries; None where none is known.

        It is written as a person would type it: numbers to six digits, z, e, pi, ``+ - * / ^``, and the functions ln,
        cos, artanh, abs, min, max, sqrt and Li2, the dilogarithm. So are ``-0.5*z^2`` and ``z*ln(z) - z^2/2``. A
        constant response has none: its f is finite at one point.
        """
        return None

    @abstractmethod
    def prox(self, u: ArrayLike, step: ArrayLike = 1.0) -> Array:
        """Return prox of step * f at u: the minimiser of step f(p) + |p - u|^2/2.

        Every step is taken for which the minimiser is sure to be unique. p is the minimiser for some u and some step
        within rounding of the given ones, or within the smallest float times the step. Where parameters make r touch
        the identity away from 0, and for r that is neither affine there nor known in a form for it, w - r(w) has an
        absolute error of rounding, which steps above 1e10 magnify.

        Raises
        ------
        StepError
            If the step is not positive, or at least S/(S - 1) where S > 1 (above 1 where S is infinite): then the
            minimiser need not be unique.
        NotApplicableError
            If r is not monotone.
        """

    @abstractmethod
    def gap(self, x: Array, v: Array) -> tuple[Array, Array]:
        """Return the Fenchel-Young gap g*(x) + g(v) - <x, v> and a bound on its rounding error.

        The gap is computed in a form without cancellation, so that it keeps relative accuracy when x is close to
        r(v). It is never negative; +inf off dom f.
        """

    def layer_sum(self, values: Array) -> Array:
        """Return the sum over the layer of what ``penalty``, ``primitive``, ``conjugate`` or ``gap`` returned."""
        return np.sum(values, axis=-1) if self.separable else values

    def polyhedral_form(self, n: int) -> tuple[Array, Array, Array] | None:
        """Return (A, lower, upper) if f is the indicator of {z in R^n: lower <= A z <= upper}; None otherwise.

        Equal ends are equations; infinite ends are no constraint.
        """
        return None

    # Second routes and exact arithmetic

    def conjugate_cvxpy(self, z: Any) -> tuple[Any, list[Any]] | None:
        """Return (expression, constraints) for the sum of g* at a CVXPY variable z (n,); None if not expressible."""
        return None

    def flint_conjugate(self, z: Sequence[FlintNumber]) -> FlintNumber | None:
        """Return g*(z), exactly for rationals where ``piecewise_linear``, as a ball for arb; None off dom f.

        Raises
        ------
        NotApplicableError
            If no exact or ball form is known.
        """
        raise NotApplicableError(f"no ball-arithmetic form of the conjugate of {self.name!r} is known")

    def flint_response(self, v: Sequence[FlintNumber]) -> list[FlintNumber]:
        """Return r(v), exactly for rationals where ``piecewise_linear``, as balls for arb.

        Raises
        ------
        NotApplicableError
            If no exact or ball form is known.
        """
        raise NotApplicableError(f"no ball-arithmetic form of {self.name!r} is known")

    # Shared refusals

    @property
    def penalty_obstacle(self) -> str:
        """Why r is the prox of nothing; to be asked only where that is so."""
        if not self.gradient:
            return f"activation {self.name!r} has Jacobians that are not symmetric, so it is the prox of no function"
        return (
            f"activation {self.name!r} is not monotone (slopes down to {self.slope_range[0]:.4g}), so it is the prox "
            "of no function"
        )

    def no_penalty(self) -> NotApplicableError:
        """Return the error that says why r is the prox of nothing."""
        return NotApplicableError(f"{self.penalty_obstacle}: use cost='tracking'")

    def require_penalty(self) -> None:
        """Raise NotApplicableError if r is the prox of nothing."""
        if not self.monotone:
            raise self.no_penalty()

    def check_step(self, step: ArrayLike) -> Array:
        """Return the prox step as an array, or raise StepError if the prox is not single-valued there."""
        self.require_penalty()
        steps = np.asarray(float_array(step, f"prox of {self.name!r}: the step"), dtype=np.float64)
        if not (steps > 0).all() or not np.isfinite(steps).all():
            raise StepError(f"prox of {self.name!r}: the step must be positive and finite; got {step!r}")
        high = self.slope_range[1]
        if high == np.inf and not (steps <= 1).all():
            raise StepError(
                f"prox of {self.name!r}: the slopes are unbounded, so the step must be at most 1; got "
                f"{float(steps.max()):.6g}"
            )
        # For huge S, S/(S - 1) rounds to 1, which is a step below it.
        if 1 < high < np.inf and not ((steps < high / (high - 1)) | (steps <= 1)).all():
            raise StepError(
                f"prox of {self.name!r}: its penalty is weakly convex (slopes up to {high:.6g}), so the step must be "
                f"below S/(S - 1) = {high / (high - 1):.6g}; got {float(steps.max()):.6g}"
            )
        return steps

    def layer_steps(self, step: ArrayLike) -> Array:
        """Return the prox steps of an activation that is not separable, one for each layer: of shape () or (..., 1).

        Raises
        ------
        StepError
            As ``check_step``, or if the step varies within the layer.
        """
        steps = self.check_step(step)
        if steps.ndim and steps.shape[-1] != 1:
            if not (steps == steps[..., :1]).all():
                raise StepError(f"prox of {self.name!r}: not separable, so the step must be one number for the layer")
            steps = steps[..., :1]
        return steps
