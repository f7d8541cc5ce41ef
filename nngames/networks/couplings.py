"""Couplings: how the actions of some players enter the pre-activation of another."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from nngames.core.errors import InputError, ShapeError
from nngames.core.operators import LinearMap
from nngames.core.profiles import float_array

Array = NDArray[np.floating[Any]]
Player = Hashable


class Coupling(ABC):
    """A term c(x_{k_1}, ..., x_{k_m}) of the pre-activation of ``target``.

    Attributes
    ----------
    target : player
        Whose pre-activation the term belongs to.
    sources : tuple of player
        The players whose actions it reads, in the order of its arguments.
    linear : bool
        Whether the term is linear; most certificates, enumeration and linear resolvents need that.
    """

    target: Player
    sources: tuple[Player, ...]
    linear: ClassVar[bool] = False

    @property
    @abstractmethod
    def output_size(self) -> int:
        """The size of the target."""

    @property
    @abstractmethod
    def source_sizes(self) -> tuple[int, ...]:
        """The size of each source."""

    @abstractmethod
    def apply(self, actions: Sequence[Array]) -> Array:
        """Return the term at the sources' actions, each (..., n_k); the result is (..., n_l)."""

    @abstractmethod
    def jvp(self, actions: Sequence[Array], directions: Sequence[Array]) -> Array:
        """Return the derivative at ``actions`` along ``directions``."""

    @abstractmethod
    def vjp(self, actions: Sequence[Array], u: Array) -> tuple[Array, ...]:
        """Return the transposed derivative applied to u (..., n_l): one array for each source."""

    @property
    def multiplications(self) -> int:
        """Scalar multiplications of one application."""
        return 0

    def is_finite(self) -> bool:
        """Whether every known coefficient is finite."""
        return True


@dataclass(frozen=True, eq=False)
class LinearCoupling(Coupling):
    """The linear term W x_k.

    Attributes
    ----------
    target, source : player
        l and k of W_lk.
    weight : LinearMap
        W_lk, of shape (n_l, n_k).
    """

    target: Player
    source: Player
    weight: LinearMap
    linear: ClassVar[bool] = True

    @property
    def sources(self) -> tuple[Player, ...]:  # type: ignore[override]
        """The one source."""
        return (self.source,)

    @property
    def output_size(self) -> int:
        """The number of rows."""
        return self.weight.shape[0]

    @property
    def source_sizes(self) -> tuple[int, ...]:
        """The number of columns."""
        return (self.weight.shape[1],)

    @property
    def multiplications(self) -> int:
        """The multiplications of the product."""
        return self.weight.multiplications

    def apply(self, actions: Sequence[Array]) -> Array:
        """Return W x_k."""
        return self.weight.apply(actions[0])

    def jvp(self, actions: Sequence[Array], directions: Sequence[Array]) -> Array:
        """Return W d_k."""
        return self.weight.apply(directions[0])

    def vjp(self, actions: Sequence[Array], u: Array) -> tuple[Array, ...]:
        """Return (W' u,)."""
        return (self.weight.adjoint(u),)


@dataclass(frozen=True, eq=False)
class BilinearCoupling(Coupling):
    """The bilinear term with components x_j' B_i x_k, as the scores of attention are.

    Attributes
    ----------
    target : player
        l.
    sources : pair of players
        (j, k), distinct.
    tensor : ndarray (n_l, n_j, n_k)
        B.
    """

    target: Player
    sources: tuple[Player, ...]
    tensor: Array

    def __post_init__(self) -> None:
        tensor = np.array(float_array(self.tensor, "the tensor of a bilinear coupling"), dtype=np.float64)
        if tensor.ndim != 3 or 0 in tensor.shape:
            raise ShapeError(f"a bilinear coupling needs a tensor (n_l, n_j, n_k); got shape {tensor.shape}")
        if len(self.sources) != 2 or self.sources[0] == self.sources[1]:
            raise InputError(f"a bilinear coupling has two distinct sources; got {self.sources}")
        tensor.setflags(write=False)
        object.__setattr__(self, "tensor", tensor)

    @property
    def output_size(self) -> int:
        """n_l."""
        return int(self.tensor.shape[0])

    @property
    def source_sizes(self) -> tuple[int, ...]:
        """(n_j, n_k)."""
        return (int(self.tensor.shape[1]), int(self.tensor.shape[2]))

    @property
    def multiplications(self) -> int:
        """The multiplications of one application."""
        return int(self.tensor.size)

    def is_finite(self) -> bool:
        """Whether every coefficient is finite."""
        return bool(np.isfinite(self.tensor).all())

    def apply(self, actions: Sequence[Array]) -> Array:
        """Return the vector of x_j' B_i x_k."""
        return np.einsum("ijk,...j,...k->...i", self.tensor, actions[0], actions[1])

    def jvp(self, actions: Sequence[Array], directions: Sequence[Array]) -> Array:
        """Return B(d_j, x_k) + B(x_j, d_k)."""
        return self.apply((directions[0], actions[1])) + self.apply((actions[0], directions[1]))

    def vjp(self, actions: Sequence[Array], u: Array) -> tuple[Array, ...]:
        """Return the gradients of <u, B(x_j, x_k)>."""
        first = np.einsum("ijk,...i,...k->...j", self.tensor, u, actions[1])
        second = np.einsum("ijk,...i,...j->...k", self.tensor, u, actions[0])
        return (first, second)
