"""Generators of networks: families drawn from a seed, each with a stated property, for benchmarks and tests.

To add one, define a frozen dataclass with ``@generator_named`` in a module of this folder; its fields are the
parameters. The listing, the scenario schema and the contract tests come from the registry.
"""

from __future__ import annotations

import sys
from typing import Any

from nngames.core import seeds
from nngames.networks.generators.generator import Generated, Generator, generator_named, registry

registry.discover(sys.modules[__name__], infrastructure=("generator", "matrices", "scale_free"))


def generate(name: str, seed: seeds.Seed = None, **parameters: Any) -> Generated:
    """Return a network of the family ``name``, with its equilibrium where the construction gives one.

    Parameters
    ----------
    name : str
        A registered generator: ``gaussian``, ``iso``, ``monotone``, ...
    seed : int or Generator, optional
        Default 0. The same seed and parameters give the same network, here and in a scenario.
    **parameters
        The generator's own; the others keep their defaults.

    Raises
    ------
    UnknownNameError, OptionError
        If there is no such generator or parameter, or a value is out of range.

    Examples
    --------
    >>> made = generate("iso", size=4, layers=2, seed=1)
    >>> made.network.game().residual(made.equilibrium) < 1e-14
    True
    """
    made: Generated = registry.create(name, **parameters).build(seeds.generator(seed))
    return made


__all__ = ["Generated", "Generator", "generate", "generator_named", "registry"]
