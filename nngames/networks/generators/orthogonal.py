"""Rings of orthogonal layers, as they are or scaled to just below norm 1, where plain iteration is slow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nngames.networks.generators.generator import Generated, Generator, generator_named
from nngames.networks.generators.matrices import NONEXPANSIVE, haar_orthogonal, planted_ring


@generator_named("orthogonal")
@dataclass(frozen=True)
class Orthogonal(Generator):
    """A ring of layers with orthogonal weights, uniformly distributed, times a scale.

    W_l'W_l = ``scale``^2 Id for every layer. The default is so little below 1 that it only keeps rounding from lifting
    the norms above 1: the composite map is nonexpansive and, for all practical purposes, no more. tanh still contracts
    it away from 0, ReLU leaves whole regions on which it is an isometry. A scale such as 0.999 makes Id - W_L ... W_1
    nearly singular: linear layers contract, by 0.999 a layer. The equilibrium is known: the pre-activations there are
    normal with standard deviation ``spread``.

    Parameters
    ----------
    size : int
        The neurons of a layer.
    layers : int
    scale : float
    activation : str
    spread : float
    """

    size: int = 200
    layers: int = 3
    scale: float = NONEXPANSIVE
    activation: str = "tanh"
    spread: float = 0.5

    def __post_init__(self) -> None:
        self.require_whole(1, "size", "layers")
        self.require_within(0, np.inf, "scale", "spread")
        self.require_activation(self.activation)

    @property
    def entries(self) -> int:
        """The weights and biases."""
        return self.layers * self.size * (self.size + 1)

    def build(self, rng: np.random.Generator) -> Generated:
        """Return the network and its equilibrium."""
        weights = [self.scale * haar_orthogonal(self.size, rng) for _ in range(self.layers)]
        at = self.spread * rng.standard_normal((self.layers, self.size))
        return planted_ring(weights, list(at), self.activation)
