"""ReLU rings that rotate around their equilibrium without coming closer, so that plain iteration cannot converge."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nngames.core.errors import OptionError
from nngames.core.profiles import Array
from nngames.networks.generators.generator import Generated, Generator, generator_named
from nngames.networks.generators.matrices import NONEXPANSIVE, haar_orthogonal, planted_ring


@generator_named("iso")
@dataclass(frozen=True)
class Iso(Generator):
    """A ReLU ring of orthogonal layers whose composite is a rotation around a strictly active equilibrium.

    The weights are orthogonal up to the factor 1 - 1e-9, which keeps rounding from lifting their norms above 1. The
    product W_L ... W_1 turns its planes by angles drawn uniformly from [``least_angle``, ``greatest_angle``] degrees
    (an odd size leaves one direction, which is reversed: 180 degrees). At the equilibrium every pre-activation lies in
    [1, 2], so within distance 1 of it the composite map is x* + P (x - x*) with P that product: an iterate that comes
    that near circles x* at the distance it has, less 1e-9 of it a layer, and plain iteration cannot converge within
    any reasonable number of passes. The equilibrium is unique: the fixed points of the nonexpansive composite map are
    a convex set, and Id - P is nonsingular around x*.

    Parameters
    ----------
    size : int
        The neurons of a layer, at least 2.
    layers : int
    least_angle, greatest_angle : float
        In degrees, in (0, 180].
    """

    size: int = 200
    layers: int = 3
    least_angle: float = 60.0
    greatest_angle: float = 180.0

    def __post_init__(self) -> None:
        self.require_whole(2, "size")
        self.require_whole(1, "layers")
        self.require_within(0, 180, "least_angle", "greatest_angle", closed=True)
        if self.least_angle > self.greatest_angle:
            raise OptionError(
                f"least_angle of iso must be at most greatest_angle; got {self.least_angle!r} and "
                f"{self.greatest_angle!r}"
            )

    @property
    def entries(self) -> int:
        """The weights and biases."""
        return self.layers * self.size * (self.size + 1)

    def build(self, rng: np.random.Generator) -> Generated:
        """Return the network and its equilibrium."""
        others = [haar_orthogonal(self.size, rng) for _ in range(self.layers - 1)]
        last = self._rotation(rng)
        for weight in others:
            # W_L = P W_1' ... W_{L-1}' makes P of the product W_L ... W_1.
            last = last @ weight.T
        weights = [NONEXPANSIVE * weight for weight in (*others, last)]
        return planted_ring(weights, list(rng.uniform(1.0, 2.0, (self.layers, self.size))), "relu")

    def _rotation(self, rng: np.random.Generator) -> Array:
        """Return P, block-diagonal rotations in a random orthonormal basis."""
        angles = np.radians(rng.uniform(self.least_angle, self.greatest_angle, self.size // 2))
        basis = haar_orthogonal(self.size, rng)
        even, odd = basis[:, : 2 * len(angles) : 2], basis[:, 1 : 2 * len(angles) : 2]
        cosine, sine = np.cos(angles), np.sin(angles)
        rotation = (even * cosine + odd * sine) @ even.T + (odd * cosine - even * sine) @ odd.T
        if self.size % 2:
            rotation -= np.outer(basis[:, -1], basis[:, -1])
        return np.asarray(rotation)
