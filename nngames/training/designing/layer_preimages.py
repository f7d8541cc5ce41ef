"""Preimages of a layer's action: the closed convex set of the pre-activations that r answers with it.

r_l = prox of f_l, so x_l = r_l(v_l) iff v_l is in x_l + df_l(x_l): an interval for each neuron of a scalar activation,
a line for softmax, x_l + N(x_l) with the normal cone N of a polyhedron for a projection on one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np

from nngames.activations import Activation
from nngames.core.errors import DomainError, InputError, NotApplicableError
from nngames.core.profiles import Array, Player
from nngames.training.preimages import FARTHEST, preimages

# How far a point may be off a polyhedron, or off a face, relative to its size or to 1, and still count as on it.
_ON_FACE = 1e-12


class LayerPreimage(ABC):
    """A closed convex set of pre-activations of one layer."""

    @abstractmethod
    def nearest(self, v: Array, weights: Array) -> Array:
        """Return the point t of the set with the least sum_i weights_i (t_i - v_i)^2."""

    @abstractmethod
    def nearest_absolute(self, v: Array, weights: Array) -> Array:
        """Return a point t of the set with the least sum_i weights_i |t_i - v_i|."""

    @abstractmethod
    def constraints(self, v: Any) -> list[Any]:
        """Return the CVXPY constraints of v being in the set."""


@dataclass(frozen=True, eq=False)
class Box(LayerPreimage):
    """One interval for each neuron; its ends are equal where r is strictly increasing."""

    lower: Array
    upper: Array

    def nearest(self, v: Array, weights: Array) -> Array:
        """Clip v: the weights do not matter."""
        return np.clip(v, self.lower, self.upper)

    def nearest_absolute(self, v: Array, weights: Array) -> Array:
        """Clip v: the weights do not matter."""
        return np.clip(v, self.lower, self.upper)

    def constraints(self, v: Any) -> list[Any]:
        """Return the finite ends."""
        points = np.flatnonzero(self.lower == self.upper)
        low = np.flatnonzero(np.isfinite(self.lower) & (self.lower < self.upper))
        high = np.flatnonzero(np.isfinite(self.upper) & (self.lower < self.upper))
        found = [v[points] == self.lower[points]] if points.size else []
        found += [v[low] >= self.lower[low]] if low.size else []
        return found + ([v[high] <= self.upper[high]] if high.size else [])


@dataclass(frozen=True, eq=False)
class Cone(LayerPreimage):
    """The points base + D c with c >= 0, D the columns of ``directions``."""

    base: Array
    directions: Array

    def nearest(self, v: Array, weights: Array) -> Array:
        """Solve the nonnegative least squares for c."""
        if not self.directions.size:
            return self.base
        from scipy.optimize import nnls

        root = np.sqrt(weights / weights.max())
        return self.base + self.directions @ nnls(root[:, None] * self.directions, root * (v - self.base))[0]

    def nearest_absolute(self, v: Array, weights: Array) -> Array:
        """Solve the linear program min <weights, s>, -s <= base + D c - v <= s, c >= 0."""
        if not self.directions.size:
            return self.base
        from scipy.optimize import linprog

        n, count = self.directions.shape
        identity = np.eye(n)
        lines = np.block([[self.directions, -identity], [-self.directions, -identity]])
        gap = v - self.base
        scaled = np.concatenate([np.zeros(count), weights / weights.max()])
        program = linprog(scaled, A_ub=lines, b_ub=np.concatenate([gap, -gap]), bounds=(0, None))
        return self.base + self.directions @ program.x[:count]

    def constraints(self, v: Any) -> list[Any]:
        """Return v == base + D c with a new variable c >= 0."""
        if not self.directions.size:
            return [v == self.base]
        import cvxpy as cp

        return [v == self.base + self.directions @ cp.Variable(self.directions.shape[1], nonneg=True)]


def layer_preimage(player: Player, activation: Activation, action: Array) -> LayerPreimage:
    """Return the pre-activations that the layer answers with ``action``.

    Raises
    ------
    InputError
        If r does not take the action; the message names the player, the coordinate and the range of r.
    NotApplicableError
        If the preimages of that activation are not known to be convex, or not in a form that is known here.
    """
    who = f"player {player}, activation {activation.name!r}"
    if not activation.monotone:
        raise NotApplicableError(
            f"{who}: the pre-activations that have a given answer need not be convex, since r is not the gradient of a "
            "convex function; design takes activations that are"
        )
    if activation.separable and activation.defined_everywhere:
        return _box(who, activation, action)
    if activation.name == "softmax":
        return _softmax_line(who, activation, action)
    form = activation.polyhedral_form(len(action))
    if form is not None:
        return _normal_cone(who, action, *form)
    raise NotApplicableError(
        f"{who}: its preimages have no form known here; design takes scalar activations that are defined everywhere, "
        "softmax, and projections on polyhedra"
    )


def _box(who: str, activation: Any, action: Array) -> Box:
    low, high = sorted(activation.limits)
    closed = activation.slope_range_exact[0].attained
    outside = (action < low) | (action > high) | (not closed) & ((action == low) | (action == high))
    if outside.any() and low < high:
        left = "[" if closed and np.isfinite(low) else "("
        right = "]" if closed and np.isfinite(high) else ")"
        raise _off_range(who, action, int(np.argmax(outside)), f"{left}{low:g}, {high:g}{right}")
    try:
        lower, upper = preimages(activation, action[None], "profile")
    except InputError:
        valid = f"values on both sides of it, or that tend to it, at pre-activations up to {FARTHEST:g}"
        place = next((i for i, value in enumerate(action) if not _taken(activation, value)), 0)
        raise _off_range(who, action, place, valid) from None
    return Box(lower[0], upper[0])


def _taken(activation: Any, value: float) -> bool:
    try:
        preimages(activation, np.array([[value]]), "profile")
    except InputError:
        return False
    return True


def _softmax_line(who: str, activation: Any, action: Array) -> Cone:
    outside = ~(action > 0)
    if outside.any():
        raise _off_range(who, action, int(np.argmax(outside)), "the positive vectors with sum 1")
    total = float(action.sum())
    if abs(total - 1) > _ON_FACE * max(1, len(action)):
        raise DomainError(f"{who}: the action of the profile sums to {total:.12g}; softmax takes vectors with sum 1")
    ones = np.ones((len(action), 1))
    return Cone(np.log(action) / activation.gain, np.hstack([ones, -ones]))


def _normal_cone(who: str, action: Array, matrix: Array, lower: Array, upper: Array) -> Cone:
    values = matrix @ action
    slack = _ON_FACE * (1 + np.abs(matrix) @ np.abs(action))
    outside = (values < lower - slack) | (values > upper + slack)
    if outside.any():
        row = int(np.argmax(outside))
        raise DomainError(
            f"{who}: the action of the profile is off the set that r projects on: constraint {row} is {values[row]:.6g}"
            f", valid: [{lower[row]:g}, {upper[row]:g}]"
        )
    top, bottom = values >= upper - slack, values <= lower + slack
    return Cone(np.array(action), np.vstack([matrix[top], -matrix[bottom]]).T)


def _off_range(who: str, action: Array, place: int, valid: str) -> DomainError:
    return DomainError(f"{who}: coordinate {place} of the profile is {float(action[place])!r}; r takes {valid}")
