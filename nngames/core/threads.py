"""The thread policy: one BLAS thread unless a product is large, through one cached controller."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from typing import Any

#: Products with at least this many multiplications a pass gain from several threads.
LARGE_PRODUCT = 20_000_000


@lru_cache(maxsize=4)
def _controller(scipy_linalg_loaded: bool) -> Any:
    # A controller sees the libraries loaded when it is made; SciPy brings its own BLAS, loaded later.
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def blas_threads(multiplications: int) -> AbstractContextManager[Any]:
    """Return a context in which BLAS uses one thread, or its own default when the products are large.

    Parameters
    ----------
    multiplications : int
        Scalar multiplications of the largest single product.
    """
    if multiplications >= LARGE_PRODUCT:
        return nullcontext()
    return _controller("scipy.linalg" in sys.modules).limit(limits=1, user_api="blas")
