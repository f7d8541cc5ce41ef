"""The parameters under which a profile x is an equilibrium: a closed convex set, its projection in closed form.

A row of the parameters meets the features phi_i, the entries of x that it listens to and 1 for a bias that may change,
in v_i = <theta_i, phi_i> + offset_i, and x_l = r_l(v_l) iff v_l is in the preimage of x_l. The least change of
theta_i that moves v_i by e_i is e_i phi_i/|phi_i|^2, of the square e_i^2/|phi_i|^2, so the nearest parameters move v_l
to the point of the preimage that is nearest with the weights 1/|phi_i|^2. In the l1 norm the least change is that of
one entry, where |phi_ij| is largest, and costs |e_i|/max_j |phi_ij| (Hoelder).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nngames.core.errors import InfeasibleError
from nngames.core.profiles import Array
from nngames.networks import Network
from nngames.training.designing.entries import Entries
from nngames.training.designing.layer_preimages import Box, LayerPreimage

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Parameters:
    """The entries of the weights and the biases."""

    weights: Array
    biases: Array

    def __add__(self, other: Parameters) -> Parameters:
        return Parameters(self.weights + other.weights, self.biases + other.biases)

    def __sub__(self, other: Parameters) -> Parameters:
        return Parameters(self.weights - other.weights, self.biases - other.biases)

    @property
    def norm(self) -> float:
        """The Euclidean norm."""
        return float(np.hypot(np.linalg.norm(self.weights), np.linalg.norm(self.biases)))


@dataclass(frozen=True, eq=False)
class EquilibriumSet:
    """The parameters under which ``profile`` is an equilibrium.

    Attributes
    ----------
    network : Network
        The template.
    entries : Entries
    profile : ndarray (N,)
    preimages : mapping player -> LayerPreimage
    free : ndarray (E,) of bool
        The entries that may change; the others are those of the template, 0 where there is no weight.
    free_biases : ndarray (N,) of bool
    """

    network: Network
    entries: Entries
    profile: Array
    preimages: dict[Any, LayerPreimage]
    free: Mask
    free_biases: Mask

    @cached_property
    def start(self) -> Parameters:
        """The parameters of the template."""
        biases = [np.asarray(self.network.biases[p], dtype=np.float64) for p in self.network.players]
        return Parameters(self.entries.start, np.concatenate(biases))

    @cached_property
    def heard(self) -> Array:
        """The entry of the profile that each free entry of a weight meets; 0 at the others."""
        return np.where(self.free, self.profile[self.entries.columns], 0.0)

    @cached_property
    def squares(self) -> Array:
        """|phi_i|^2 by row."""
        return self._sums(np.square(self.heard)) + self.free_biases

    @cached_property
    def _fixed(self) -> Array:
        """What no change moves: the weighted input of a chain."""
        effective = [np.asarray(self.network.effective_bias(p), dtype=np.float64) for p in self.network.players]
        return np.concatenate(effective) - self.start.biases

    def _sums(self, values: Array) -> Array:
        return np.bincount(self.entries.rows, values, len(self.profile)).astype(np.float64, copy=False)

    def preactivation(self, point: Parameters) -> Array:
        """Return v at the profile."""
        return self._sums(point.weights * self.profile[self.entries.columns]) + point.biases + self._fixed

    def nearest_preactivation(self, v: Array, weights: Array, absolute: bool = False) -> Array:
        """Return the nearest v that the layers answer with the profile, with the weights given by row."""
        found = np.empty_like(v)
        for player, where in self.network.space.slices.items():
            layer = self.preimages[player]
            rule = layer.nearest_absolute if absolute else layer.nearest
            found[where] = rule(v[where], weights[where])
        return found

    def project(self, point: Parameters) -> Parameters:
        """Return the nearest parameters of the set."""
        kept = Parameters(
            np.where(self.free, point.weights, self.start.weights),
            np.where(self.free_biases, point.biases, self.start.biases),
        )
        v = self.preactivation(kept)
        return self.moved(kept, self.nearest_preactivation(v, self.costs) - v)

    def moved(self, point: Parameters, error: Array) -> Parameters:
        """Return the nearest parameters with a v that is larger by ``error``."""
        rate = np.divide(error, self.squares, out=np.zeros_like(error), where=self.squares > 0)
        return Parameters(
            point.weights + rate[self.entries.rows] * self.heard, point.biases + np.where(self.free_biases, rate, 0.0)
        )

    @cached_property
    def costs(self) -> Array:
        """1/|phi_i|^2 by row, 1 where no entry may change."""
        return 1 / np.where(self.squares > 0, self.squares, 1.0)

    def sparsest(self) -> Parameters:
        """Return the parameters of the set with the least l1 distance to the template: one change in a row at most."""
        rows, sizes = self.entries.rows, np.abs(self.heard)
        largest = np.zeros(len(self.profile))
        np.maximum.at(largest, rows, sizes)
        by_bias = self.free_biases & (largest <= 1)
        reach = np.where(by_bias, 1.0, largest)
        v = self.preactivation(self.start)
        error = self.nearest_preactivation(v, 1 / np.where(reach > 0, reach, 1.0), absolute=True) - v
        candidates = np.flatnonzero((sizes == largest[rows]) & (sizes > 0) & ~by_bias[rows])
        which, first = np.unique(rows[candidates], return_index=True)
        weights = self.start.weights.copy()
        weights[candidates[first]] += error[which] / self.heard[candidates[first]]
        return Parameters(weights, self.start.biases + np.where(by_bias, error, 0.0))

    def restricted(self, free: Mask, free_biases: Mask) -> EquilibriumSet:
        """Return the set with fewer entries that may change."""
        return replace(self, free=free, free_biases=free_biases)

    def check_frozen(self) -> None:
        """Raise InfeasibleError where no entry that may change moves a pre-activation which the profile needs moved."""
        frozen = self.squares == 0
        if not frozen.any():
            return
        v = self.preactivation(self.start)
        for player, where in self.network.space.slices.items():
            stuck, layer = frozen[where], self.preimages[player]
            if not stuck.any():
                continue
            cause = "no entry of its weights meets a nonzero action of the profile, and its bias is not to change"
            if not isinstance(layer, Box):
                raise InfeasibleError(
                    f"player {player}, neuron {int(np.argmax(stuck))}: no change moves its pre-activation ({cause}), "
                    "and its activation couples the neurons; use change_biases=True"
                )
            answer = self.network.activations[player](v[where])
            wanted = self.profile[where]
            wrong = stuck & (np.abs(answer - wanted) > 1e-12 * np.maximum(1.0, np.abs(wanted)))
            if wrong.any():
                i = int(np.argmax(wrong))
                raise InfeasibleError(
                    f"player {player}, neuron {i}: no change moves its pre-activation ({cause}); it answers "
                    f"{float(answer[i]):.6g}, the profile asks for {float(wanted[i]):.6g}"
                )
