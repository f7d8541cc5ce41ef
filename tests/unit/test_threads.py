"""The thread policy: both BLAS libraries with one thread inside, and set back outside."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
import scipy.linalg  # noqa: F401  (brings the second library)
import threadpoolctl
from threadpoolctl import ThreadpoolController, threadpool_limits

from nngames.core import threads
from nngames.core.threads import LARGE_PRODUCT, SMALL_SIZE, blas_threads

NUMPY, SCIPY, SHARED = (
    SimpleNamespace(filepath=path, num_threads=2)
    for path in (
        "/scipy/env/site-packages/numpy.libs/libscipy_openblas64_.so",
        "C:\\scipy\\site-packages\\scipy.libs\\libscipy_openblas.dll",
        "/scipy/lib/libopenblas.so",
    )
)


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


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[list[Any]]]:
    """What the next looks for libraries find."""
    given: list[list[Any]] = []

    class Controller:
        def __init__(self) -> None:
            self.lib_controllers = given.pop(0)

        def select(self, user_api: str) -> Controller:
            return self

    monkeypatch.setattr(threadpoolctl, "ThreadpoolController", Controller)
    threads._libraries.cache_clear()
    yield given
    threads._libraries.cache_clear()


@pytest.mark.parametrize(
    ("first", "second"),
    [([NUMPY, SCIPY], None), ([SCIPY, NUMPY], None), ([NUMPY], [NUMPY, SCIPY]), ([SHARED], [SHARED])],
)
def test_libraries_are_looked_for_again_where_scipys_may_have_come_later(
    looks: list[list[Any]], first: list[Any], second: list[Any] | None
) -> None:
    looks += [first] if second is None else [first, second]
    assert threads._libraries(False) == tuple(first)
    assert threads._libraries(True) == tuple(second or first)
    assert threads._libraries(True) == tuple(second or first)
    assert not looks
