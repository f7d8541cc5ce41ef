"""Projections on sets bounded by linear equations or one linear inequality: affine subspace and halfspace."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from nngames.activations.foundations.base import Array, FlintNumber, activation_named
from nngames.activations.foundations.domain import AffineHull, sum_zero_basis
from nngames.activations.foundations.parameters import Matrix, Vector, matrix, number, refusal, store, vector
from nngames.activations.foundations.projections import ON_SET, RationalProjection, as_pair, row_scale
from nngames.activations.foundations.slopes import Pair
from nngames.activations.numerics.rounding import EPS, Mask, floating, wide
from nngames.core.errors import NotApplicableError
from nngames.core.exact import rational, rational_matrix


@activation_named("halfspace")
@dataclass(frozen=True)
class HalfspaceProjection(RationalProjection):
    """The projection on {z: <normal, z> <= offset}."""

    normal: Vector = (1.0,)
    offset: float = 0.0

    def __post_init__(self) -> None:
        store(self, normal=vector(self, "normal"), offset=number(self, "offset"))
        if not any(self.normal):
            raise refusal(self, "normal", "must not be zero")

    @cached_property
    def _unit(self) -> tuple[Array, float]:
        """The normal and the offset, over the length of the normal."""
        normal = np.asarray(self.normal)
        largest = np.max(np.abs(normal))
        length = np.linalg.norm(normal / largest)
        return normal / largest / length, float(self.offset / largest / length)

    @property
    def size(self) -> int:
        """The length of the normal."""
        return len(self.normal)

    @property
    def notation(self) -> str:
        """The set in the usual notation."""
        return f"{{z in R^{self.size}: <normal, z> <= {self.offset:g}}}"

    def slope_pair(self, slope: float) -> Pair:
        """Return two points along the normal, inside or outside."""
        normal, offset = self._unit
        far = max(1.0, abs(offset)) * (-1 if slope else 1)
        return as_pair(normal * (offset + far), normal * (offset + 2 * far))

    def _excess(self, v: Array) -> Array:
        """Return <normal, v> - offset over the length of the normal, (..., 1)."""
        normal, offset = self._unit
        return np.sum(v * normal, axis=-1, keepdims=True) - offset

    def project(self, v: Array) -> Array:
        """Return v less its excess along the normal."""
        normal, offset = self._unit
        scale = row_scale(v)
        shrunk = v / scale
        excess = np.sum(shrunk * normal, axis=-1, keepdims=True) - offset / scale
        p = shrunk - excess * normal
        # Once more, for what rounding left of a large excess.
        p = p - (np.sum(p * normal, axis=-1, keepdims=True) - offset / scale) * normal
        with np.errstate(over="ignore"):
            return np.where(excess > 0, p * scale, v)

    def contains(self, z: ArrayLike) -> Mask:
        """Return whether each row is in the halfspace up to rounding."""
        array = floating(z)
        self.check_shape(array)
        tolerance = max(ON_SET, 8 * self.size * float(np.finfo(array.dtype).eps))
        with np.errstate(over="ignore", invalid="ignore"):
            size = 1.0 + np.linalg.norm(wide(array), axis=-1) + abs(self._unit[1])
            return self._excess(wide(array))[..., 0] <= tolerance * size

    def jvp(self, v: Array, d: Array) -> Array:
        """Return d inside, its part across the normal outside."""
        normal = self._unit[0]
        across = d - normal * np.sum(d * normal, axis=-1, keepdims=True)
        return np.where(self._excess(wide(v)) > 0, across, d).astype(np.result_type(v, d), copy=False)

    def gap_parts(self, x: Array, v: Array) -> tuple[Array, Array, Array, Array]:
        """Return the normal part k (offset - <normal, x>) for a unit normal and the excess k > 0 of v."""
        unit, offset = (self.size + 8) * EPS, abs(self._unit[1])
        excess, slack = np.maximum(self._excess(v)[..., 0], 0.0), -self._excess(x)[..., 0]
        excess_error = unit * (np.linalg.norm(v, axis=-1) + offset)
        slack_error = unit * (np.linalg.norm(x, axis=-1) + offset) + np.maximum(-slack, 0.0)
        slack = np.maximum(slack, 0.0)
        error = excess * slack_error + excess_error * (slack + slack_error)
        inside = self._excess(v)[..., 0] < -excess_error
        zero = np.zeros(error.shape)
        return self.project(v), np.where(inside, zero, excess_error), excess * slack, np.where(inside, zero, error)

    def set_constraints(self, z: Any) -> list[Any]:
        """Return <normal, z> <= offset."""
        return [np.asarray(self.normal) @ z <= self.offset]

    def polyhedral_form(self, n: int) -> tuple[Array, Array, Array]:
        """Return the one row."""
        return np.asarray(self.normal)[None, :], np.array([-np.inf]), np.array([self.offset])

    def exact_projection(self, v: list[Any]) -> list[Any]:
        """Return v less its excess along the normal."""
        normal = [rational(a) for a in self.normal]
        excess = sum(a * t for a, t in zip(normal, v, strict=True)) - rational(self.offset)
        if excess <= 0:
            return v
        step = excess / sum(a * a for a in normal)
        return [t - step * a for a, t in zip(normal, v, strict=True)]

    def may_contain(self, z: Sequence[FlintNumber]) -> bool:
        """Return whether <normal, z> <= offset, or may be."""
        return not sum(rational(a) * t for a, t in zip(self.normal, z, strict=True)) > rational(self.offset)


@activation_named("affine")
@dataclass(frozen=True)
class AffineProjection(RationalProjection):
    """The projection on the affine subspace {z: A z = b} with the matrix A and the offset b."""

    matrix: Matrix = ((1.0, 1.0),)
    offset: Vector = (1.0,)

    def __post_init__(self) -> None:
        store(self, matrix=matrix(self, "matrix"), offset=vector(self, "offset"))
        if len(self.offset) != len(self.matrix):
            raise refusal(self, "offset", f"must have one entry a row, {len(self.matrix)}; got {len(self.offset)}")
        a, b = np.asarray(self.matrix), np.asarray(self.offset)
        point = self._system[1]
        residual = np.abs(a @ point - b)
        if not (residual <= 1e-10 * (np.abs(a) @ np.abs(point) + np.abs(b) + np.max(np.abs(a)))).all():
            row = int(np.argmax(residual))
            raise refusal(
                self, "offset", f"leaves no point: A x = b has no solution (row {row} is off by {residual[row]:.3g})"
            )

    @cached_property
    def _system(self) -> tuple[Array, Array, float]:
        """An orthonormal basis (n, r) of the rows, the point nearest to 0, and the condition number of A."""
        a, b = np.asarray(self.matrix), np.asarray(self.offset)
        left, values, right = np.linalg.svd(a, full_matrices=False)
        rank = int(np.sum(values > values[0] * max(a.shape) * EPS)) if values[0] > 0 else 0
        rows = right[:rank].T
        point = rows @ ((left[:, :rank].T @ b) / values[:rank])
        return rows, point, float(values[0] / values[rank - 1]) if rank else 1.0

    @property
    def size(self) -> int:
        """The number of columns of A."""
        return len(self.matrix[0])

    @property
    def rank(self) -> int:
        """The rank of A."""
        return int(self._system[0].shape[1])

    @property
    def bounded(self) -> bool:
        """Whether the set is a point."""
        return self.rank == self.size

    @property
    def slope_range(self) -> tuple[float, float]:
        """0 along the rows of A, 1 across them."""
        return (0.0 if self.rank else 1.0, 1.0 if self.rank < self.size else 0.0)

    @property
    def notation(self) -> str:
        """The set in the usual notation."""
        return f"{{z in R^{self.size}: A z = b}}"

    def slope_pair(self, slope: float) -> Pair:
        """Return two points along the set or across it."""
        rows, point, _ = self._system
        hull = self.affine_hull(self.size)
        basis = rows if not slope else np.eye(self.size) if hull.basis is None else hull.basis
        return as_pair(point, point + max(1.0, float(np.linalg.norm(point))) * basis[:, 0])

    def affine_hull(self, n: int) -> AffineHull:
        """Return the set itself."""
        rows, point, _ = self._system
        if self.rank == 0:
            return AffineHull(np.zeros(n))
        if self.rank == n:
            return AffineHull(point, np.zeros((n, 0)), "zero")
        if all(len(set(row)) == 1 for row in self.matrix):
            return AffineHull(point, sum_zero_basis(n), "sum_zero")
        complement = np.linalg.svd(rows.T, full_matrices=True)[2][self.rank :].T
        return AffineHull(point, complement, "floating", np.asarray(self.matrix))

    def project(self, v: Array) -> Array:
        """Return v less the part of v - a in the row space; twice, so that what rounding left of it goes too."""
        rows, point, _ = self._system
        scale = row_scale(v)
        base = point / scale
        p = v / scale
        for _ in range(2):
            p = p - ((p - base) @ rows) @ rows.T
        with np.errstate(over="ignore"):
            return p * scale

    def contains(self, z: ArrayLike) -> Mask:
        """Return whether each row solves A z = b up to rounding."""
        array = floating(z)
        self.check_shape(array)
        rows, point, condition = self._system
        tolerance = max(ON_SET, 8 * self.size * condition * float(np.finfo(array.dtype).eps))
        with np.errstate(over="ignore", invalid="ignore"):
            off = np.linalg.norm((wide(array) - point) @ rows, axis=-1)
            return off <= tolerance * (1.0 + np.linalg.norm(wide(array), axis=-1) + np.linalg.norm(point))

    def jvp(self, v: Array, d: Array) -> Array:
        """Return d less its part in the row space."""
        rows = self._system[0]
        return d - (d @ rows) @ rows.T

    def gap_parts(self, x: Array, v: Array) -> tuple[Array, Array, Array, Array]:
        """Return the normal part, which is 0: p - v is orthogonal to the set."""
        rows, point, condition = self._system
        sizes = np.linalg.norm(v, axis=-1) + np.linalg.norm(x, axis=-1) + np.linalg.norm(point)
        off = np.linalg.norm((x - point) @ rows, axis=-1)
        zero = np.zeros(off.shape)
        return self.project(v), (self.size + 8) * EPS * condition * sizes + off, zero, zero

    def set_constraints(self, z: Any) -> list[Any]:
        """Return A z = b."""
        return [np.asarray(self.matrix) @ z == np.asarray(self.offset)]

    def polyhedral_form(self, n: int) -> tuple[Array, Array, Array]:
        """Return A between b and b."""
        return np.asarray(self.matrix), np.asarray(self.offset), np.asarray(self.offset)

    @cached_property
    def _exact_system(self) -> tuple[Any, Any]:
        """Independent rational rows equivalent to A z = b, and their right-hand side.

        Raises
        ------
        NotApplicableError
            If the rows are dependent, or the system solvable, only up to rounding.
        """
        from flint import fmpq_mat

        n = self.size
        reduced, rank = rational_matrix(np.column_stack([np.asarray(self.matrix), np.asarray(self.offset)])).rref()
        if rank != self.rank or all(reduced[rank - 1, j] == 0 for j in range(n)):
            raise NotApplicableError(
                f"activation {self.name!r}: the rows of the matrix are dependent only up to rounding (numerical rank "
                f"{self.rank}, exact rank {rank} of [A b]), so there is no exact projection"
            )
        rows = fmpq_mat(rank, n, [reduced[i, j] for i in range(rank) for j in range(n)])
        return rows, fmpq_mat(rank, 1, [reduced[i, n] for i in range(rank)])

    def exact_projection(self, v: list[Any]) -> list[Any]:
        """Return v - A'(AA')^-1 (A v - b) for independent rows A."""
        from flint import fmpq_mat

        if self.rank == 0:
            return v
        rows, right = self._exact_system
        column = fmpq_mat(self.size, 1, v)
        correction = rows.transpose() * (rows * rows.transpose()).solve(rows * column - right)
        return [t - correction[i, 0] for i, t in enumerate(v)]

    def may_contain(self, z: Sequence[FlintNumber]) -> bool:
        """Return whether A z = b, or may be."""
        return not any(
            sum(rational(a) * t for a, t in zip(row, z, strict=True)) != rational(b)
            for row, b in zip(self.matrix, self.offset, strict=True)
        )
