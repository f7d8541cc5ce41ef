"""Rings of Gaussian layers with one norm: below 1 everything about them is proved."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nngames.networks.generators.generator import Generated, Generator, generator_named
from nngames.networks.generators.matrices import gaussian_of_norm, planted_ring


@generator_named("gaussian")
@dataclass(frozen=True)
class Gaussian(Generator):
    """A ring of layers with Gaussian weights, each scaled to one spectral norm.

    |W_l|_2 = ``norm`` for every layer; one layer feeds itself. For a norm below 1 and an activation with slopes in
    [-1, 1] the joint map contracts by ``norm`` and the composite by its power, so the equilibrium is unique. It is
    known: the pre-activations there are normal with standard deviation ``spread``.

    Parameters
    ----------
    size : int
        The neurons of a layer.
    layers : int
    norm : float
    activation : str
    spread : float
    """

    size: int = 200
    layers: int = 3
    norm: float = 0.95
    activation: str = "tanh"
    spread: float = 0.5

    def __post_init__(self) -> None:
        self.require_whole(1, "size", "layers")
        self.require_within(0, np.inf, "norm", "spread")
        self.require_activation(self.activation)

    @property
    def entries(self) -> int:
        """The weights and biases."""
        return self.layers * self.size * (self.size + 1)

    def build(self, rng: np.random.Generator) -> Generated:
        """Return the network and its equilibrium."""
        weights = [gaussian_of_norm(self.size, self.size, self.norm, rng) for _ in range(self.layers)]
        at = self.spread * rng.standard_normal((self.layers, self.size))
        return planted_ring(weights, list(at), self.activation)
