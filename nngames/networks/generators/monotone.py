"""Recurrent layers with a monotone Inclusion and weights far above norm 1."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nngames.core.errors import OptionError
from nngames.core.profiles import Array
from nngames.networks.generators.generator import Generated, Generator, generator_named
from nngames.networks.generators.matrices import leading_singular_pair, planted_ring, spectral_norm


@generator_named("monotone")
@dataclass(frozen=True)
class Monotone(Generator):
    """A recurrent layer with W = (1 - m) Id - A'A + B - B', which is monotone and no contraction.

    The symmetric part of Id - W is m Id + A'A, so Id - W is strongly monotone with modulus ``margin`` = m (Winston and
    Kolter 2020), and with slopes in [0, 1] the equilibrium is unique. Yet |W|_2 = ``norm`` is as large as one likes: A
    and B are Gaussian, A with half as many rows as columns, so that A'A and B - B' have equal norms, and both are
    scaled by the same number until the norm fits. The equilibrium is known: the pre-activations there are normal with
    standard deviation ``spread``.

    Parameters
    ----------
    size : int
        The neurons, at least 2.
    margin : float
        m, in (0, 1].
    norm : float
        |W|_2, above 1 - m.
    activation : str
        With slopes in [0, 1]: relu, tanh, hard_tanh, ...
    spread : float
    """

    size: int = 200
    margin: float = 0.1
    norm: float = 5.0
    activation: str = "relu"
    spread: float = 0.5

    def __post_init__(self) -> None:
        self.require_whole(2, "size")
        self.require_within(0, 1, "margin", closed=True)
        self.require_within(0, np.inf, "norm", "spread")
        if self.norm <= 1 - self.margin:
            raise OptionError(f"norm of monotone must be above 1 - margin = {1 - self.margin:g}; got {self.norm!r}")
        self.require_activation(self.activation)

    @property
    def entries(self) -> int:
        """The weights and the bias."""
        return self.size * (self.size + 1)

    def build(self, rng: np.random.Generator) -> Generated:
        """Return the network and its equilibrium."""
        symmetric, skew = rng.standard_normal((self.size // 2, self.size)), rng.standard_normal((self.size, self.size))
        gram, skew = symmetric.T @ symmetric, skew - skew.T
        weight = self._scaled(skew / spectral_norm(skew) - gram / spectral_norm(gram))
        return planted_ring([weight], [self.spread * rng.standard_normal(self.size)], self.activation)

    def _scaled(self, direction: Array) -> Array:
        """Return (1 - m) Id + s K with s > 0 such that its norm is right.

        The norm is convex in s, below the wanted one at 0 and not below it at the start, where s |K| - (1 - m) is the
        wanted norm: from there Newton's method decreases to the root.
        """
        identity = (1.0 - self.margin) * np.eye(self.size)
        scale = (self.norm + 1.0 - self.margin) / spectral_norm(direction)
        for _ in range(50):
            weight = identity + scale * direction
            norm, right = leading_singular_pair(weight)
            if norm - self.norm <= 4 * np.finfo(float).eps * self.size * self.norm:
                break
            slope = float((weight @ right) @ (direction @ right)) / norm
            scale -= (norm - self.norm) / slope
        return np.asarray(identity + scale * direction)
