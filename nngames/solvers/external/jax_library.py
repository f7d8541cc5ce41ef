"""JAX as an array library: loaded on first use, in float64, on one thread of the CPU; its compiled runs are kept."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import cache
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from nngames.networks import Network
from nngames.solvers.external.formulas import Library
from nngames.solvers.external.network_maps import Map, translated

_ONE_THREAD = "--xla_cpu_multi_thread_eigen=false"


@cache
def loaded() -> Any:
    """Return the module jax. Where it is not loaded yet, it is told to use one thread, and the caller's for a run."""
    if "jax" not in sys.modules:
        flags = os.environ.get("XLA_FLAGS", "")
        if "xla_cpu_multi_thread_eigen" not in flags:
            os.environ["XLA_FLAGS"] = f"{flags} {_ONE_THREAD}".strip()
        os.environ.setdefault("JAX_CPU_ENABLE_ASYNC_DISPATCH", "false")
    import jax

    return jax


@cache
def library() -> Library:
    """Return JAX's functions."""
    jax = loaded()
    jnp = jax.numpy

    def sparse(matrix: Any) -> tuple[Any, Callable[[Any, Any], Any]]:
        rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
        data = tuple(jnp.asarray(part) for part in (matrix.data, matrix.indices, rows))

        def product(parts: Any, x: Any) -> Any:
            values, columns, targets = parts
            return jax.ops.segment_sum(
                values * x[columns], targets, num_segments=matrix.shape[0], indices_are_sorted=True
            )

        return data, product

    return Library(
        name="jax",
        asarray=jnp.asarray,
        where=jnp.where,
        expm1=jnp.expm1,
        tanh=jnp.tanh,
        sin=jnp.sin,
        arctan=jnp.arctan,
        erf=jax.scipy.special.erf,
        sqrt=jnp.sqrt,
        abs=jnp.abs,
        clip=jnp.clip,
        relu=jax.nn.relu,
        sigmoid=jax.nn.sigmoid,
        softplus=jax.nn.softplus,
        softmax=jax.nn.softmax,
        descending=lambda v: -jnp.sort(-v),
        cumulative=jnp.cumsum,
        concatenate=jnp.concatenate,
        einsum=jnp.einsum,
        sparse=sparse,
    )


class Compiled:
    """The map of one network, and the runs compiled on it."""

    def __init__(self, network: Network) -> None:
        self.map, self.data = translated(network, library())
        self.runs: dict[Any, Callable[..., Any]] = {}


_compiled: WeakKeyDictionary[Network, Compiled] = WeakKeyDictionary()


def run_compiled(network: Network, key: Any, make: Callable[[Map], Callable[..., Any]], x0: Any) -> Any:
    """Return run(x0, data), with the run that ``make`` writes for the network's map compiled at its first use.

    Parameters
    ----------
    network : Network
    key : hashable
        All that the run depends on besides the network.
    make : callable
        map -> (x0, data) -> arrays; JAX traces what it returns.
    x0 : ndarray
    """
    jax = loaded()
    with jax.enable_x64(True):
        if network not in _compiled:
            _compiled[network] = Compiled(network)
        held = _compiled[network]
        if key not in held.runs:
            held.runs[key] = jax.jit(make(held.map))
        return jax.block_until_ready(held.runs[key](x0, held.data))
