"""The thread policy: one BLAS thread unless a product is large, through one cached controller."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from typing import Any

#: Products with at least this many multiplications a pass gain from several threads.
LARGE_PRODUCT = 20_000_000
#: OpenBLAS shares out no product of matrices with at most 64 rows and columns, so there is nothing to limit.
SMALL_SIZE = 64


class _OneThread(AbstractContextManager[None]):
    """A context in which each BLAS library uses one thread; a library that already does is left alone.

    NumPy and SciPy bring a library each. threadpoolctl's own context describes every library anew on entering, which
    takes as long as a short solve.
    """

    def __init__(self, libraries: tuple[Any, ...]) -> None:
        self._libraries = libraries

    def __enter__(self) -> None:
        self._changed = []
        for library in self._libraries:
            threads = library.num_threads
            if threads != 1:
                self._changed.append((library, threads))
                library.set_num_threads(1)

    def __exit__(self, *exception: object) -> None:
        for library, threads in self._changed:
            library.set_num_threads(threads)


@lru_cache(maxsize=2)
def _libraries(scipy_linalg_loaded: bool) -> tuple[Any, ...]:
    """Return the libraries there are, which are looked for again once ``scipy.linalg`` is loaded if it brings one.

    A look takes milliseconds, and the library of SciPy's wheels is mostly there before, for special functions.
    """
    if scipy_linalg_loaded and any(map(_came_with_scipy, _libraries(False))):
        return _libraries(False)
    from threadpoolctl import ThreadpoolController

    # A library that does not tell its number of threads cannot be set back.
    found = ThreadpoolController().select(user_api="blas").lib_controllers
    return tuple(library for library in found if library.num_threads is not None)


def _came_with_scipy(library: Any) -> bool:
    """Whether a library is in a folder of the package ``scipy``, as its wheels have one, or beside it."""
    _, packages, path = library.filepath.rpartition("site-packages")
    return bool(packages) and path[1:].startswith("scipy")


def blas_threads(multiplications: int, size: int | None = None) -> AbstractContextManager[Any]:
    """Return a context in which BLAS uses one thread, or its own default when the products are large.

    Parameters
    ----------
    multiplications : int
        Scalar multiplications of the largest single product.
    size : int, optional
        The most rows or columns of any matrix in the context, where they are known. For small ones the libraries are
        left alone: finding them takes milliseconds the first time.
    """
    if multiplications >= LARGE_PRODUCT or (size is not None and size <= SMALL_SIZE):
        return nullcontext()
    return _OneThread(_libraries("scipy.linalg" in sys.modules))
