"""The thread policy: both BLAS libraries with one thread inside, and set back outside."""

from __future__ import annotations

from contextlib import nullcontext

import scipy.linalg  # noqa: F401  (brings the second library)
from threadpoolctl import ThreadpoolController, threadpool_limits

from nngames.core.threads import LARGE_PRODUCT, SMALL_SIZE, blas_threads


def counts() -> list[int]:
    """Return the threads of every BLAS library."""
    return [library.num_threads for library in ThreadpoolController().select(user_api="blas").lib_controllers]


def test_every_library_has_one_thread_inside_and_its_own_number_outside() -> None:
    with threadpool_limits(limits=2, user_api="blas"):
        before = counts()
        with blas_threads(1000):
            assert set(counts()) == {1}
            with blas_threads(1000):
                assert set(counts()) == {1}
            assert set(counts()) == {1}
        assert counts() == before


def test_large_and_small_problems_are_left_alone() -> None:
    assert isinstance(blas_threads(LARGE_PRODUCT), nullcontext)
    assert isinstance(blas_threads(SMALL_SIZE**2, SMALL_SIZE), nullcontext)
    assert not isinstance(blas_threads(SMALL_SIZE**2, SMALL_SIZE + 1), nullcontext)
