"""PyTorch as an array library: loaded on first use, in float64, on one thread; translated maps are kept."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from nngames.networks import Network
from nngames.solvers.external.formulas import Library
from nngames.solvers.external.network_maps import translated


@cache
def library() -> Library:
    """Return PyTorch's functions."""
    import torch

    def sparse(matrix: Any) -> tuple[Any, Callable[[Any, Any], Any]]:
        rows, columns = (torch.from_numpy(np.asarray(part, dtype=np.int64)) for part in (matrix.indptr, matrix.indices))
        stored = torch.sparse_csr_tensor(rows, columns, torch.from_numpy(np.array(matrix.data)), matrix.shape)
        return stored, lambda weight, x: weight @ x

    return Library(
        name="torch",
        asarray=lambda values: torch.from_numpy(np.array(values)),
        where=torch.where,
        expm1=torch.expm1,
        tanh=torch.tanh,
        sin=torch.sin,
        arctan=torch.arctan,
        erf=torch.erf,
        sqrt=torch.sqrt,
        abs=torch.abs,
        clip=torch.clip,
        relu=torch.relu,
        sigmoid=torch.sigmoid,
        softplus=lambda v: torch.relu(v) + torch.log1p(torch.exp(-torch.abs(v))),
        softmax=lambda v: torch.softmax(v, -1),
        descending=lambda v: torch.sort(v, descending=True).values,
        cumulative=lambda v: torch.cumsum(v, 0),
        concatenate=torch.cat,
        einsum=torch.einsum,
        sparse=sparse,
    )


_maps: WeakKeyDictionary[Network, Callable[[Any], Any]] = WeakKeyDictionary()


def map_of(network: Network) -> Callable[[Any], Any]:
    """Return the network's map on PyTorch's vectors (n,)."""
    if network not in _maps:
        function, data = translated(network, library())
        _maps[network] = lambda x: function(x, data)
    return _maps[network]


def one_thread() -> AbstractContextManager[None]:
    """Return a context in which PyTorch uses one thread and keeps no gradients."""
    import torch

    @contextmanager
    def limited() -> Any:
        before = torch.get_num_threads()
        if before != 1:
            torch.set_num_threads(1)
        try:
            with torch.inference_mode():
                yield
        finally:
            if before != 1:
                torch.set_num_threads(before)

    return limited()
