"""Seeds: one seed gives one generator, passed down; nothing here reads a clock or a global state."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from nngames.core.errors import InputError

Seed = int | np.random.Generator | None


def generator(seed: Seed) -> np.random.Generator:
    """Return the generator of ``seed``; None means seed 0, so that the same call gives the same result.

    Raises
    ------
    InputError
        If the seed is neither a nonnegative integer nor a Generator.
    """
    check_seed(seed)
    if isinstance(seed, np.random.Generator):
        return seed
    return np.random.default_rng(0 if seed is None else int(seed))


class LateGenerator:
    """The generator of a seed, made when it is first drawn from: most runs never draw."""

    def __init__(self, seed: Seed) -> None:
        self._seed = seed

    @cached_property
    def _made(self) -> np.random.Generator:
        return generator(self._seed)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            # A copy is asked for such before there is anything in it.
            raise AttributeError(name)
        return getattr(self._made, name)


def check_seed(seed: object) -> None:
    """Raise InputError unless ``seed`` is None, a nonnegative integer or a Generator."""
    if seed is None or isinstance(seed, np.random.Generator):
        return
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise InputError(f"seed must be a nonnegative integer or a numpy Generator; got {seed!r}")
