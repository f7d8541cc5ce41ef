"""The compiled kernels of this process: when they are loaded, and what there is of them (extra ``fast``).

Numba takes a quarter of a second to import, and the kernels as long to load from disk or some seconds to compile, which
no short solve may pay. So they are loaded once the runs of this process that could have used them have taken as long as
loading takes, and compiled after they have taken as long as compiling does, both before a run without a limit of time;
or at once by ``compile_passes``. A run uses compiled passes from its beginning to its end or not at all.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache, cached_property
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import NamedTuple

from nngames.core.errors import NotApplicableError

#: Seconds that loading the kernels from disk takes, and compiling them.
LOADING, COMPILING = 0.5, 30.0
#: Whether Numba is there. A solve that looked for it would take as long as some short ones.
INSTALLED = find_spec("numba") is not None


class Kernels(NamedTuple):
    """The compiled kernels."""

    evaluate: Callable[..., None]
    relaxed_steps: Callable[..., int]
    anderson_steps: Callable[..., int]
    respond_in_place: Callable[..., None]
    respond_and_compare: Callable[..., None]
    add_squares: Callable[..., None]
    sparse_evaluate: Callable[..., float]
    sparse_relaxed_steps: Callable[..., int]
    spectral_steps: Callable[..., int]
    newton_steps: Callable[..., int]
    answer_in_order: Callable[..., None]


class _Process:
    """What this process has of the kernels, and the time that runs without them have taken."""

    def __init__(self) -> None:
        self.installed = INSTALLED
        self.kernels: Kernels | None = None
        self.spent = 0.0
        self._loading = Lock()

    @cached_property
    def _wanted_after(self) -> float:
        """The seconds that loading or compiling takes: a look at the disk tells, which takes a millisecond itself."""
        return LOADING if _on_disk() else COMPILING

    def load(self) -> None:
        """Load the kernels from disk, or compile them and keep them there, if no other thread has by now."""
        with self._loading:
            self.kernels = self.kernels or self._loaded()

    def _loaded(self) -> Kernels:
        _drop_stale()
        from nngames.networks.compiled import (
            fused_anderson,
            fused_columns,
            fused_kernels,
            fused_newton,
            fused_rows,
            fused_sparse,
        )

        found = (
            *fused_kernels.signatures(),
            *fused_anderson.signatures(),
            *fused_columns.signatures(),
            *fused_sparse.signatures(),
            *fused_newton.signatures(),
            *fused_rows.signatures(),
        )
        for kernel, signature in found:
            kernel.compile(signature)
        for kernel, _ in found:
            # An array of another type shall be an error, not seconds of compilation.
            kernel.disable_compile()
        return Kernels(
            fused_kernels.evaluate,
            fused_kernels.relaxed_steps,
            fused_anderson.anderson_steps,
            fused_columns.respond_in_place,
            fused_columns.respond_and_compare,
            fused_columns.add_squares,
            fused_sparse.evaluate,
            fused_sparse.relaxed_steps,
            fused_sparse.spectral_steps,
            fused_newton.newton_steps,
            fused_rows.answer_in_order,
        )

    def wanted(self) -> bool:
        """Whether runs have taken as long without the kernels as loading or compiling them takes."""
        return self.installed and self.spent >= LOADING and self.spent >= self._wanted_after


@cache
def _process() -> _Process:
    return _Process()


def kernels(limited: bool) -> Kernels | None:
    """Return the compiled kernels, None while they are not loaded.

    ``limited`` says whether the run that asks has a limit of time, which loading them would use up.
    """
    process = _process()
    if process.kernels is None and kernels_come(limited):
        process.load()
    return process.kernels


def kernels_come(limited: bool) -> bool:
    """Whether ``kernels`` returns them, or loads them first."""
    process = _process()
    return process.kernels is not None or (not limited and process.wanted())


def installed() -> bool:
    """Whether Numba is there to compile passes."""
    return _process().installed


def ran_without(seconds: float) -> None:
    """Count the seconds of a run that could have used the kernels."""
    _process().spent += seconds


def compile_passes() -> None:
    """Compile the passes of small dense and of sparse networks now, or load them from disk, so the next solve has them.

    It takes some seconds the first time and half a second later. Without this call it happens by itself once the runs
    of the process have taken that long.

    Raises
    ------
    NotApplicableError
        If Numba, the extra ``fast``, is not installed.
    """
    if not _process().installed:
        raise NotApplicableError("compiled passes need Numba: pip install 'nngames[fast]'")
    if _process().kernels is None:
        _process().load()


def load_kernels() -> None:
    """Load the kernels, where Numba is installed, for a run that shall find everything loaded and compiled."""
    if installed():
        compile_passes()


def _indices() -> Iterator[tuple[Path, bool]]:
    """Yield the indices of Numba's cache that belong to the kernels, and whether each is younger than all sources.

    Compiled code holds the values of constants that it reads: those of the kernels' own modules, of ``maps`` and of the
    table of forms.
    """
    here = Path(__file__)
    given = os.environ.get("NUMBA_CACHE_DIR")
    folder = Path(given) if given else here.parent / "__pycache__"
    try:
        sources = (*here.parent.glob("fused_*.py"), here.with_name("maps.py"), here.parents[1] / "forms.py")
        born = max(source.stat().st_mtime for source in sources)
        for index in folder.glob("**/fused_*.nbi"):
            yield index, index.stat().st_mtime >= born
    except OSError:
        return


def _on_disk() -> bool:
    """Whether the kernels of these sources lie where Numba keeps them."""
    fresh = [young for _, young in _indices()]
    return bool(fresh) and all(fresh)


def _drop_stale() -> None:
    """Delete indices older than a source: Numba compares each with its own file only, not with those it reads."""
    for index, young in list(_indices()):
        if not young:
            with suppress(OSError):
                index.unlink()
