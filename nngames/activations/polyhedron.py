"""The projection on a polyhedron given by inequalities, by a dual active-set method polished to rounding."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from nngames.activations.foundations.base import Array, FlintNumber, activation_named
from nngames.activations.foundations.domain import AffineHull
from nngames.activations.foundations.parameters import Matrix, Vector, matrix, refusal, store, vector
from nngames.activations.foundations.projections import ON_SET, SAFE, RationalProjection, as_pair, row_scale
from nngames.activations.foundations.slopes import Pair
from nngames.activations.numerics.active_set import project_exactly
from nngames.activations.numerics.faces import RESIDUAL, Faces, Projected
from nngames.activations.numerics.rounding import EPS, Mask, floating, wide
from nngames.core.errors import NotApplicableError
from nngames.core.exact import fraction, rational


@activation_named("polyhedron")
@dataclass(frozen=True)
class PolyhedronProjection(RationalProjection):
    """The projection on {z: A z <= b} with the matrix A and the offset b.

    Notes
    -----
    p is the projection of v iff v - p = A'y with y >= 0, A p <= b and y'(A p - b) = 0. daqp finds which rows are
    active; the equations on them are then solved directly, and the conditions checked to ``RESIDUAL``. Where they fail
    the projection is computed in exact rational arithmetic.
    """

    matrix: Matrix = ((1.0,), (-1.0,))
    offset: Vector = (1.0, 1.0)

    def __post_init__(self) -> None:
        store(self, matrix=matrix(self, "matrix"), offset=vector(self, "offset"))
        if len(self.offset) != len(self.matrix):
            raise refusal(self, "offset", f"must have one entry a row, {len(self.matrix)}; got {len(self.offset)}")
        empty = [i for i, row in enumerate(self.matrix) if not any(row) and self.offset[i] < 0]
        if empty:
            raise refusal(
                self, "offset", f"leaves no point: row {empty[0]} of A x <= b reads 0 <= {self.offset[empty[0]]:g}"
            )
        if not np.isfinite(self._lengths).all():
            raise refusal(self, "matrix", "must have rows whose lengths are finite numbers")
        self._solve(np.zeros(self.size))

    @cached_property
    def _rows(self) -> tuple[Array, Array]:
        """The rows of A that are not zero, with their offsets, scaled to length 1."""
        a, b = np.asarray(self.matrix), np.asarray(self.offset)
        keep = np.any(a != 0, axis=1)
        return a[keep] / self._lengths[:, None], b[keep] / self._lengths

    @cached_property
    def _lengths(self) -> Array:
        """The lengths of the rows of A that are not zero."""
        a = np.asarray(self.matrix)
        return np.array([math.hypot(*row) for row in a.tolist() if any(row)])

    @cached_property
    def _faces(self) -> Faces:
        return Faces(*self._rows)

    @cached_property
    def _quadratic_program(self) -> tuple[Array, Array, Array, Array]:
        """What daqp takes for every point: the Hessian, the rows, no lower bounds, and no kind but inequalities."""
        rows = self._rows[0]
        return np.eye(self.size), rows, np.full(len(rows), -1e30), np.zeros(len(rows), dtype=np.int32)

    @property
    def size(self) -> int:
        """The number of columns of A."""
        return len(self.matrix[0])

    @cached_property
    def bounded(self) -> bool:
        """Whether no coordinate is unbounded on the set, by linear programs for its recession cone."""
        from scipy.optimize import linprog

        rows, _ = self._rows
        limits = [(-1, 1)] * self.size
        directions = np.vstack([np.eye(self.size), -np.eye(self.size)])
        if not rows.size:
            return False
        return all(-linprog(-c, A_ub=rows, b_ub=np.zeros(len(rows)), bounds=limits).fun < 1e-9 for c in directions)

    @property
    def slope_range(self) -> tuple[float, float]:
        """0 along active rows, 1 across them."""
        if not self._rows[0].size:
            return (1.0, 1.0)
        basis = self._hull.basis
        return (0.0, 0.0 if basis is not None and basis.shape[1] == 0 else 1.0)

    def slope_pair(self, slope: float) -> Pair:
        """Return two points of the set, as far apart as a direction of it gives them, or two along a normal."""
        if not self._rows[0].size:
            return as_pair(np.zeros(self.size), np.ones(self.size))
        if not slope:
            row, offset = self._rows[0][0], float(self._rows[1][0])
            outside = (2 * abs(offset) + 1) * row
            normal = outside - self.project(outside)
            return as_pair(outside, outside + normal)
        basis = np.eye(self.size) if self._hull.basis is None else self._hull.basis
        far = 1e3 * (1.0 + float(np.max(np.abs(self._rows[1]))))
        ends = [self.project(self._hull.point + far * np.array([d, -d])) for d in basis.T]
        first, second = max(ends, key=lambda pair: float(np.linalg.norm(pair[0] - pair[1])))
        return as_pair(first, second)

    @property
    def notation(self) -> str:
        """The set in the usual notation."""
        return f"{{z in R^{self.size}: A z <= b}}"

    def affine_hull(self, n: int) -> AffineHull:
        """Return the affine hull: everything, less the directions that inequalities forced to be equations exclude."""
        return self._hull

    @cached_property
    def _hull(self) -> AffineHull:
        """The affine hull; the implicit equations come from one linear program.

        In the maximum of sum t over A x + t <= b s, 0 <= t <= 1, s >= 1, row i has t_i = 1 if some point of the set
        satisfies it strictly (points can be averaged and scaled by s), and t_i = 0 if none does.
        """
        from scipy.optimize import linprog

        rows, offsets = self._rows
        m, n = rows.shape
        if m == 0:
            return AffineHull(np.zeros(n))
        solution = linprog(
            np.concatenate([np.zeros(n), -np.ones(m), [0.0]]),
            A_ub=np.hstack([rows, np.eye(m), -offsets[:, None]]),
            b_ub=np.zeros(m),
            bounds=[(None, None)] * n + [(0, 1)] * m + [(1, None)],
        )
        equations = solution.x[n : n + m] < 0.5
        # The linear program's tolerance takes a thin set for a flat one.
        for i in np.flatnonzero(equations):
            equations[i] = not self._has_room(int(i), solution.x[:n] / solution.x[-1])
        if not equations.any():
            return AffineHull(np.zeros(n))
        _, values, right = np.linalg.svd(rows[equations])
        rank = int(np.sum(values > values[0] * 1e-10))
        point = self.project(np.zeros(n))
        given = np.array([row for row in self.matrix if any(row)])[equations]
        return AffineHull(point, right[rank:].T, "zero" if rank == n else "floating", given)

    def _has_room(self, row: int, near: Array) -> bool:
        """Decide exactly whether a point of the set is 2^-200 of the row's length or more inside of that row."""
        rows, offsets = self._exact_rows
        inside = list(offsets)
        inside[row] = inside[row] - rational(2.0**-200 * float(self._lengths[row]))
        return project_exactly(rows, inside, [rational(t) for t in near.tolist()]) is not None

    def project(self, v: Array) -> Array:
        """Return the nearest point of the polyhedron."""
        if v.ndim == 1 and (square := float(np.vdot(v, v))) <= SAFE**2:
            face = self._faces.surely(v, math.sqrt(square), 1.0)
            if face is not None:
                return face.project(v, 1.0)[0]
            p = self._project_anew(v, 1.0)[0]
            return p.copy() if p is v else p
        return self._solve(v)[0]

    def _solve(self, v: Array) -> tuple[Array, Array, Array]:
        """Return the projections of v (..., n), their multipliers (..., m) for rows of length 1, and error bounds.

        These are 0 for points that computed slacks put in the set.
        """
        rows, scale = self._rows[0], row_scale(v)
        flat, scales = (v / scale).reshape(-1, self.size), scale.reshape(-1)
        p, y, error = np.empty_like(flat), np.zeros((len(flat), len(rows))), np.zeros(len(flat))
        for i, (point, factor) in enumerate(zip(flat, scales.tolist(), strict=True)):
            p[i], y[i], error[i] = self._project_one(point, factor)
        with np.errstate(over="ignore"):
            return (
                p.reshape(v.shape) * scale,
                y.reshape((*v.shape[:-1], len(rows))) * scale,
                error.reshape(v.shape[:-1]) * scale[..., 0],
            )

    def _project_one(self, v: Array, factor: float) -> Projected:
        """Return the projection of one point on {z: A z <= b/factor}, its multipliers, and a bound on its error."""
        length = math.sqrt(v.dot(v))
        face = self._faces.surely(v, length, factor)
        found = None if face is None else self._faces.accepted(face, v, length, factor)
        return self._project_anew(v, factor) if found is None else found

    def _project_anew(self, v: Array, factor: float) -> Projected:
        """Return the projection of one point on {z: A z <= b/factor}, its multipliers, and a bound on its error.

        Where the conditions fail, because daqp's tolerance let a row in or out, the exact method decides. For a set
        that has points only up to ``RESIDUAL`` the bound is an estimate.

        Raises
        ------
        OptionError
            If there is no point, not even up to ``RESIDUAL``: proved in exact arithmetic.
        """
        rows, faces = self._rows[0], self._faces
        offsets = self._rows[1] if factor == 1.0 else self._rows[1] / factor
        if (rows.dot(v) <= offsets).all():
            faces.last = None
            return v, np.zeros(len(rows)), 0.0
        active = self._active_rows(v, offsets)
        if active is not None and active.any():
            found = faces.accepted(faces.of(active), v, math.sqrt(v.dot(v)), factor)
            if found is not None:
                return found
        p, y = self._project_exactly(v, factor, 0.0)
        if p is not None:
            return p, y, 8 * EPS * float(np.linalg.norm(p))
        # Rows that meet in a face with rounded data may miss each other by rounding.
        slack = RESIDUAL * (1.0 + float(np.max(np.abs(offsets))))
        p, y = self._project_exactly(v, factor, slack)
        if p is None:
            raise refusal(self, "offset", "leaves no point: A x <= b has no solution")
        return p, y, 1e3 * slack

    def _project_exactly(self, v: Array, factor: float, slack: float) -> tuple[Any, Any]:
        """Return the projection on {z: A z <= b/factor + slack |rows|} and its multipliers; None twice if empty."""
        rows, offsets = self._exact_rows
        relaxed = [b / rational(factor) + rational(slack * t) for b, t in zip(offsets, self._lengths, strict=True)]
        exact = project_exactly(rows, relaxed, [rational(t) for t in v.tolist()])
        if exact is None:
            return None, None
        p, y = (np.array([float(fraction(t)) for t in values]) for values in exact)
        return p, y * self._lengths

    def _active_rows(self, v: Array, offsets: Array) -> Mask | None:
        """Return which rows daqp finds active at the projection of v; None if it fails."""
        import daqp

        hessian, rows, below, kinds = self._quadratic_program
        _, _, flag, information = daqp.solve(hessian, -v, rows, offsets, below, kinds, primal_tol=1e-13, dual_tol=1e-13)
        return None if flag < 0 else np.asarray(information["lam"]) > 0

    def contains(self, z: ArrayLike) -> Mask:
        """Return whether each row of z satisfies A z <= b up to rounding."""
        array = floating(z)
        self.check_shape(array)
        rows, offsets = self._rows
        if not rows.size:
            return np.ones(array.shape[:-1], dtype=bool)
        tolerance = max(ON_SET, 8 * self.size * float(np.finfo(array.dtype).eps))
        with np.errstate(over="ignore", invalid="ignore"):
            size = 1.0 + np.linalg.norm(wide(array), axis=-1) + np.max(np.abs(offsets))
            return np.max(wide(array) @ rows.T - offsets, axis=-1) <= tolerance * size

    def jvp(self, v: Array, d: Array) -> Array:
        """Return the part of d across the rows with a positive multiplier."""
        shape = np.broadcast_shapes(np.shape(v), np.shape(d))
        _, multipliers, _ = self._solve(np.broadcast_to(wide(v), shape))
        flat, y = np.broadcast_to(d, shape).reshape(-1, self.size), multipliers.reshape(-1, multipliers.shape[-1])
        result = np.empty(flat.shape, dtype=np.result_type(v, d))
        for i, direction in enumerate(flat):
            rows = self._rows[0][y[i] > 0]
            result[i] = direction - (rows.T @ np.linalg.lstsq(rows.T, direction)[0] if rows.size else 0.0)
        return result.reshape(shape)

    def gap_parts(self, x: Array, v: Array) -> tuple[Array, Array, Array, Array]:
        """Return the normal part y'(b - A x), y the multipliers at v."""
        rows, offsets = self._rows
        p, y, p_error = self._solve(v)
        inside = np.asarray(p_error) == 0
        if inside.any():
            # Computed slacks put these points in the set: they were returned as they are.
            p_error = np.array(p_error)
            p_error[inside] = [self._faces.rounding(point) for point in p[inside]]
        slack = offsets - x @ rows.T
        unit = (self.size + 8) * EPS
        slack_error = unit * (np.linalg.norm(x, axis=-1) + np.max(np.abs(offsets), initial=0.0))[..., None]
        slack_error = slack_error + np.maximum(-slack, 0.0)
        slack = np.maximum(slack, 0.0)
        y_error = unit * np.sum(y, axis=-1) + p_error
        error = np.sum(y * slack_error, axis=-1) + y_error * np.max(slack + slack_error, axis=-1, initial=0.0)
        return p, p_error, np.sum(y * slack, axis=-1), error

    def set_constraints(self, z: Any) -> list[Any]:
        """Return A z <= b."""
        return [np.asarray(self.matrix) @ z <= np.asarray(self.offset)]

    def polyhedral_form(self, n: int) -> tuple[Array, Array, Array]:
        """Return A below b."""
        return np.asarray(self.matrix), np.full(len(self.offset), -np.inf), np.asarray(self.offset)

    def exact_projection(self, v: list[Any]) -> list[Any]:
        """Return the projection by the exact active-set method.

        Raises
        ------
        NotApplicableError
            If the set has points only up to rounding.
        """
        result = project_exactly(*self._exact_rows, v)
        if result is None:
            raise NotApplicableError(
                f"activation {self.name!r}: A x <= b has solutions only up to rounding, so there is no exact projection"
            )
        return result[0]

    @cached_property
    def _exact_rows(self) -> tuple[list[list[Any]], list[Any]]:
        """The rows of A that are not zero, with their offsets, as rationals."""
        keep = [i for i, row in enumerate(self.matrix) if any(row)]
        return [[rational(a) for a in self.matrix[i]] for i in keep], [rational(self.offset[i]) for i in keep]

    def may_contain(self, z: Sequence[FlintNumber]) -> bool:
        """Return whether A z <= b, or may be."""
        return not any(
            sum(rational(a) * t for a, t in zip(row, z, strict=True)) > rational(b)
            for row, b in zip(self.matrix, self.offset, strict=True)
        )
