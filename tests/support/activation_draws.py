"""The registered activations, each with its defaults and the variants, and random arguments that each admits."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from activation_cases import VARIANTS

from nngames.activations import Activation, Interval, ScalarActivation, activation, activations

ALL = [activation(name) for name in activations()] + [activation(name, **options) for name, options in VARIANTS]
MONOTONE = [a for a in ALL if a.monotone]
#: One function on the line or an interval, for any size.
SCALAR = [a for a in ALL if isinstance(a, ScalarActivation) and a.size is None]
SCALAR_MONOTONE = [a for a in SCALAR if a.monotone]
IDS: dict[str, Any] = {"ids": lambda a: repr(a).replace(" ", "") if isinstance(a, Activation) else str(a)}


def size_of(a: Activation) -> int:
    return a.size or 4


def inputs_of(a: Activation) -> Interval:
    return a.inputs if isinstance(a, ScalarActivation) else Interval()


def admissible(a: Activation, v: np.ndarray) -> np.ndarray:
    """Map numbers into the interval where r is defined, increasing and in their precision; no change on the line."""
    ends = inputs_of(a)
    if ends == Interval():
        return v
    kind = v.dtype.type
    low, high = kind(ends.lower), kind(ends.upper)
    with np.errstate(under="ignore"):
        above, below = np.maximum(v, 0), np.maximum(-v, 0)
        if np.isfinite(low) and np.isfinite(high):
            result = np.where(v > 0, high - (high - low) / 2 / (1 + above), low + (high - low) / 2 / (1 + below))
        elif np.isfinite(low):
            result = low + np.where(v > 0, 1 + above, 1 / (1 + below))
        else:
            result = high - np.where(v < 0, 1 + below, 1 / (1 + above))
    return np.clip(result, np.nextafter(low, kind(np.inf)), np.nextafter(high, kind(-np.inf)))


def normals(a: Activation, count: int, scale: float = 2.0, seed: int = 0) -> np.ndarray:
    """Draw points of R^n, which may be no arguments of r: actions, or directions."""
    return np.random.default_rng(seed).normal(size=(count, size_of(a))) * scale


def points(a: Activation, count: int, scale: float = 2.0, seed: int = 0) -> np.ndarray:
    """Draw arguments of r."""
    return admissible(a, normals(a, count, scale, seed))


def domain_points(a: Activation, count: int, scale: float = 2.0, seed: int = 1) -> np.ndarray:
    """Draw points of dom f: projections, drawn a little to the inside where r has interior values."""
    z = a.domain.project(normals(a, count, scale, seed))
    return a.domain.project(0.5 * z + 0.5 * a(points(a, count, scale, seed + 1)))


@lru_cache(maxsize=8)
def _raw_pairs(shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(6)
    size = rng.choice([0.1, 1.0, 3.0, 10.0, 1e3], size=(*shape[:1], *(1 for _ in shape[1:])))
    x = rng.normal(size=shape) * size
    return x, x + rng.normal(size=shape) * size * 10.0 ** rng.uniform(-9, 0.5, size=size.shape)


def pairs(a: Activation, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw pairs of arguments near to and far from each other; one number each for scalar activations of any size."""
    shape = (count,) if a.separable and a.size is None else (count, size_of(a))
    x, y = _raw_pairs(shape)
    return admissible(a, x), admissible(a, y)


def step_limit(a: Activation) -> float:
    """The steps below it are those at which the prox is single-valued; for unbounded slopes it is one of them."""
    high = a.slope_range[1]
    return 1.0 if high == np.inf else high / (high - 1) if high > 1 else np.inf


def steps_of(a: Activation) -> list[float]:
    limit = step_limit(a)
    if a.slope_range[1] == np.inf:
        return [0.05, 0.5, 1.0]
    return [0.05, 0.5, 1.0] + ([1.7, 6.0] if limit == np.inf else [0.5 * (1 + limit), 1 + 0.98 * (limit - 1)])


def inner(a: Activation, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return what a layer adds up: x y of each coordinate if separable, <x, y> else."""
    return x * y if a.separable else np.sum(x * y, axis=-1)


def squared(a: Activation, x: np.ndarray) -> np.ndarray:
    return inner(a, x, x)


def lengths(a: Activation, x: np.ndarray) -> np.ndarray:
    return np.abs(x) if a.separable else np.linalg.norm(x, axis=-1)


def numbers_of_all_sizes(count: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    special = np.array([0.0, -0.0, 1.0, -1.0, 0.5, 1e6, -1e6, 5e-324, 1e-200])
    sizes = 10.0 ** np.concatenate([rng.uniform(-3, 2, count // 2), rng.uniform(-20, 6, count - count // 2)])
    return rng.permutation(np.concatenate([special, sizes * rng.choice([-1, 1], count)]))
