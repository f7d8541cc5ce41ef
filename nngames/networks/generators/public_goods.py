"""Contributions to a local public good on a scale-free graph, with up to millions of players."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nngames.core.operators import SparseMap
from nngames.networks.generators.generator import Generated, Generator, generator_named
from nngames.networks.generators.scale_free import preferential_attachment
from nngames.networks.network import Network


@generator_named("public_goods")
@dataclass(frozen=True)
class PublicGoods(Generator):
    """Players on a scale-free graph who contribute max(0, benefit - what their neighbours' contributions replace).

    x = max(0, b - delta N x) with N = D^(-1/2) G D^(-1/2), G the adjacency matrix of a graph by preferential
    attachment and D its degrees (Bramoulle, Kranton and D'Amours 2014, with ties that count the less the more of
    them one has). N is symmetric with spectral radius 1, so |W|_2 = ``substitution`` = delta, the game has an exact
    potential, and for delta < 1 one equilibrium. The benefits b are uniform in [0.5, 1.5].

    Parameters
    ----------
    size : int
        The players, at least 2.
    degree : int
        About twice the number of edges for each player: the mean number of neighbours.
    substitution : float
        delta.
    """

    size: int = 200
    degree: int = 10
    substitution: float = 0.9

    def __post_init__(self) -> None:
        self.require_whole(2, "size", "degree")
        self.require_within(0, np.inf, "substitution")

    @property
    def entries(self) -> int:
        """The weights with their places, and the bias."""
        return self.size * (2 * self.degree + 1)

    def build(self, rng: np.random.Generator) -> Generated:
        """Return the network; no equilibrium is known before it is solved."""
        from scipy.sparse import csr_array

        older, younger = preferential_attachment(self.size, self.degree // 2, rng)
        root = np.sqrt(np.bincount(older, minlength=self.size) + np.bincount(younger, minlength=self.size))
        weight = -self.substitution / (root[older] * root[younger])
        rows, columns = np.concatenate([older, younger]), np.concatenate([younger, older])
        shape = (self.size, self.size)
        matrix = csr_array((np.concatenate([weight, weight]), (rows, columns)), shape=shape)
        return Generated(Network.recurrent(SparseMap(matrix), rng.uniform(0.5, 1.5, self.size), "relu"), None)
