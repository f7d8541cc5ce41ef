"""What a generator of networks is: frozen parameters, a network drawn from a random generator, and its registry."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from nngames.core.errors import OptionError
from nngames.core.profiles import Array
from nngames.core.registry import Registry
from nngames.networks.inputs import as_activation
from nngames.networks.network import Network

registry: Registry[Any] = Registry("generator")
generator_named = registry.named


@dataclass(frozen=True, eq=False)
class Generated:
    """A generated network, and its equilibrium where the construction gives one.

    Attributes
    ----------
    network : Network
    equilibrium : ndarray (N,) or None
        The profile the biases were chosen for: an equilibrium of the network up to the rounding of its biases. None
        where no equilibrium is known before solving.
    """

    network: Network
    equilibrium: Array | None


@dataclass(frozen=True)
class Generator(ABC):
    """A family of networks; the fields are its parameters, each with a default."""

    name: ClassVar[str]

    @property
    @abstractmethod
    def entries(self) -> int:
        """A bound on the numbers the network stores, known before it is drawn."""

    @abstractmethod
    def build(self, rng: np.random.Generator) -> Generated:
        """Return the network drawn from ``rng``; the same state of ``rng`` gives the same network."""

    def require_whole(self, least: int, *parameters: str) -> None:
        """Raise OptionError at a parameter that is not a whole number of at least ``least``."""
        for parameter in parameters:
            value = getattr(self, parameter)
            if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
                raise OptionError(f"{parameter} of {self.name} must be a whole number from {least} on; got {value!r}")

    def require_within(self, low: float, high: float, *parameters: str, closed: bool = False) -> None:
        """Raise OptionError at a parameter that is not a number in (low, high), or in (low, high] if ``closed``."""
        for parameter in parameters:
            value = getattr(self, parameter)
            number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
            if not number or not (low < value < high or (closed and value == high)):
                limit = f"at most {high:g}" if closed else f"below {high:g}" if np.isfinite(high) else "finite"
                raise OptionError(f"{parameter} of {self.name} must be above {low:g} and {limit}; got {value!r}")

    def require_activation(self, activation: str) -> None:
        """Raise UnknownNameError if there is no such activation."""
        as_activation(activation)
