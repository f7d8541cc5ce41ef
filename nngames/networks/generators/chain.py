"""Open chains: the joint map's linear part is nilpotent, and plain iteration ends after one step a layer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nngames.networks.generators.generator import Generated, Generator, generator_named
from nngames.networks.generators.matrices import gaussian_of_norm, planted_chain
from nngames.networks.inputs import as_activation


@generator_named("chain")
@dataclass(frozen=True)
class Chain(Generator):
    """An open chain of Gaussian layers behind a fixed input, each scaled to one spectral norm.

    |W_l|_2 = ``norm``, which may well be above 1: the equilibrium is the forward pass. The joint map reaches it after
    exactly as many steps as there are layers, and a sequential sweep after one, while a residual may grow on the way
    by ``norm`` a step. The pre-activations there are normal with standard deviation ``spread``.

    Parameters
    ----------
    size : int
        The neurons of a layer.
    layers : int
    norm : float
    activation : str
    spread : float
    """

    size: int = 20
    layers: int = 64
    norm: float = 2.0
    activation: str = "relu"
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
        return planted_chain(weights, list(at), rng.standard_normal(self.size), as_activation(self.activation))
