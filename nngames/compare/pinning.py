"""One core for a process and one thread for its libraries, so that times are taken under the same conditions."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from nngames.core.errors import OptionError

#: What the libraries read when they are loaded. Which kernels a BLAS picks is not changed.
_ONE_THREAD = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "NPROC",
)
_XLA = "--xla_cpu_multi_thread_eigen=false"


def cores(workers: int) -> list[int]:
    """Return a core for each worker: the last of those that this process may use, as the first serves the system.

    Raises
    ------
    OptionError
        If processes cannot be pinned here, or there are too few cores.
    """
    if not hasattr(os, "sched_setaffinity"):
        raise OptionError("pin: this system cannot pin a process to a core")
    usable = sorted(os.sched_getaffinity(0), reverse=True)
    if workers > len(usable):
        raise OptionError(f"pin: {workers} workers need {workers} cores; this process may use {len(usable)}")
    return usable[:workers]


@contextmanager
def pinned() -> Iterator[None]:
    """Keep this process on one core inside the block."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {cores(1)[0]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def one_thread_environment() -> dict[str, str]:
    """Return the environment of a process whose libraries use one thread."""
    flags = " ".join(filter(None, (os.environ.get("XLA_FLAGS"), _XLA)))
    return {**os.environ, **dict.fromkeys(_ONE_THREAD, "1"), "XLA_FLAGS": flags}
