"""Clearing payments between banks on a scale-free graph of liabilities, with up to millions of banks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nngames.core.operators import SparseMap
from nngames.networks.generators.generator import Generated, Generator, generator_named
from nngames.networks.generators.scale_free import preferential_attachment
from nngames.networks.network import Network


@generator_named("clearing")
@dataclass(frozen=True)
class Clearing(Generator):
    """Banks that owe each other money; x_i is the share of its debt that bank i can pay.

    Liabilities L run along the edges of a graph by preferential attachment, in a random direction and of random
    size; of its total debt p_i a bank owes the share ``outside`` to others than banks. With cash e the payments
    p x solve p_i x_i = min(p_i, max(0, sum_j L_ji x_j + e_i)) (Eisenberg and Noe 2001), that is x = min(1, max(0,
    W x + e/p)) with W_ij = L_ji / p_i. The columns of diag(p) W diag(p)^(-1), the relative liabilities, sum to
    1 - outside, or to 0 for a bank that owes nothing to banks: W has a spectral radius of at most 1 - outside, the
    clearing payments are unique, and the map is increasing. Cash is a hundredth of a bank's debt and a random
    part of what it would lack if all others paid, so that most of those that lack something default and pull others
    with them.

    Parameters
    ----------
    size : int
        The banks, at least 2.
    degree : int
        About the number of liabilities for each bank.
    outside : float
        In (0, 1).
    """

    size: int = 200
    degree: int = 10
    outside: float = 0.05

    def __post_init__(self) -> None:
        self.require_whole(2, "size")
        self.require_whole(1, "degree")
        self.require_within(0, 1, "outside")

    @property
    def entries(self) -> int:
        """The weights with their places, and the bias."""
        return self.size * (2 * self.degree + 1)

    def build(self, rng: np.random.Generator) -> Generated:
        """Return the network; no equilibrium is known before it is solved."""
        from scipy.sparse import csr_array

        older, younger = preferential_attachment(self.size, self.degree, rng)
        turned = rng.random(len(older)) < 0.5
        debtor, creditor = np.where(turned, younger, older), np.where(turned, older, younger)
        amount = rng.uniform(0.5, 1.5, len(older))
        owed = np.bincount(debtor, amount, self.size) / (1.0 - self.outside)
        # A bank without debts to banks has one unit of debt outside.
        debt = np.where(owed > 0, owed, 1.0)
        due = np.bincount(creditor, amount, self.size)
        cash = rng.random(self.size) * np.maximum(debt - due, 0.0) / debt + 0.01
        shape = (self.size, self.size)
        matrix = csr_array((amount / debt[creditor], (creditor, debtor)), shape=shape)
        return Generated(Network.recurrent(SparseMap(matrix), cash, {"name": "box", "lower": 0.0, "upper": 1.0}), None)
