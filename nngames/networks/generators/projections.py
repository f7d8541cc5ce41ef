"""Periodic projections on polyhedra that have no point in common."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nngames.activations import Activation, activation
from nngames.networks.generators.generator import Generated, Generator, generator_named
from nngames.networks.network import Network


@generator_named("projections")
@dataclass(frozen=True)
class Projections(Generator):
    """A ring of projections, one after the other, on polyhedra without a common point.

    Every weight is the identity and every bias 0. The last set is the box [-1, 1]^n / sqrt(n), inside the unit
    ball; each other one is {z: A z <= -``distance``} with ``faces`` rows of length 1 around a random direction and
    on its side, so that there are such points, and keeps that distance from the origin. A projection is firmly
    nonexpansive and one of the sets is bounded, so that a cycle exists and plain iteration of the composite map
    converges to one (Bauschke and Combettes 2017, chapter 5); for three sets or more the cycles minimise no
    functional (Baillon, Combettes and Cominetti 2012).

    Parameters
    ----------
    size : int
        The dimension of the space.
    layers : int
        The number of sets, at least 2.
    faces : int
    distance : float
        Above 1, so that no set meets the box.
    """

    size: int = 20
    layers: int = 3
    faces: int = 10
    distance: float = 2.0

    def __post_init__(self) -> None:
        self.require_whole(2, "layers")
        self.require_whole(1, "size", "faces")
        self.require_within(1, np.inf, "distance")

    @property
    def entries(self) -> int:
        """The faces, the weights and the biases."""
        return self.layers * self.size * (self.size + self.faces + 1)

    def build(self, rng: np.random.Generator) -> Generated:
        """Return the network; no cycle is known before it is solved."""
        half = 1.0 / np.sqrt(self.size)
        sets = [self._polyhedron(rng) for _ in range(self.layers - 1)]
        sets.append(activation("box", lower=-half, upper=half))
        weights = [np.eye(self.size)] * self.layers
        return Generated(Network.ring(weights, [np.zeros(self.size)] * self.layers, sets), None)

    def _polyhedron(self, rng: np.random.Generator) -> Activation:
        direction = rng.standard_normal(self.size)
        rows = direction + rng.standard_normal((self.faces, self.size))
        # Rows that all have a positive part along one direction leave points far on the other side of it.
        rows[rows @ direction < 0] *= -1
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        return activation("polyhedron", matrix=rows.tolist(), offset=[-self.distance] * self.faces)
