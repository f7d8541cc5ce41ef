"""Sparse networks of neurons without a cycle: nilpotent, of a depth that no norm shows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nngames.core.operators import SparseMap
from nngames.networks.generators.generator import Generated, Generator, generator_named
from nngames.networks.generators.matrices import planted_ring


@generator_named("dag")
@dataclass(frozen=True)
class Dag(Generator):
    """One layer of neurons, each of which listens to earlier ones only.

    W is sparse and strictly lower triangular, hence nilpotent: the equilibrium is unique for every activation, and the
    joint map reaches it after at most ``size`` steps, one more than the longest path has edges. A neuron listens to
    up to ``degree`` of the ``reach`` neurons before it, with weights of random sign and size ``coupling`` /
    sqrt(degree); degree 1 and reach 1 make W the sub-diagonal, a shift. Residuals that do not decrease for long and
    then vanish mislead schemes that extrapolate. The equilibrium is known: the pre-activations there are normal with
    standard deviation ``spread``.

    Parameters
    ----------
    size : int
        The neurons, at least 2.
    degree : int
    reach : int
    coupling : float
    activation : str
    spread : float
    """

    size: int = 200
    degree: int = 3
    reach: int = 20
    coupling: float = 1.0
    activation: str = "relu"
    spread: float = 0.5

    def __post_init__(self) -> None:
        self.require_whole(2, "size")
        self.require_whole(1, "degree", "reach")
        self.require_within(0, np.inf, "coupling", "spread")
        self.require_activation(self.activation)

    @property
    def entries(self) -> int:
        """The weights with their places, and the bias."""
        return self.size * (2 * self.degree + 1)

    def build(self, rng: np.random.Generator) -> Generated:
        """Return the network and its equilibrium."""
        from scipy.sparse import csr_array

        neuron = np.repeat(np.arange(1, self.size), self.degree)
        heard = neuron - rng.integers(1, np.minimum(neuron, self.reach), endpoint=True)
        places = np.unique(neuron * self.size + heard)
        signs = rng.choice((-1.0, 1.0), len(places)) * (self.coupling / np.sqrt(self.degree))
        shape = (self.size, self.size)
        weight = SparseMap(csr_array((signs, (places // self.size, places % self.size)), shape=shape))
        return planted_ring([weight], [self.spread * rng.standard_normal(self.size)], self.activation)
