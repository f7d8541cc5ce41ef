"""The runs of a comparison made by a Dask cluster; a node that dies loses no finished run."""

from __future__ import annotations

import json
import queue
import re
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from itertools import chain
from typing import Any, NamedTuple

from nngames.compare.execution import Executor
from nngames.compare.tasks import Task, Watch
from nngames.core.errors import InputError, MissingExtraError
from nngames.results.records import record_of, written
from nngames.results.result import Status

#: Seconds in which the scheduler must answer and have a worker.
PATIENCE = 10.0
#: Seconds that a cluster may be without any worker before its runs are given up.
DESERTED = 60.0
#: How often a run whose call raised an error is tried again; how often one whose node died is the scheduler's setting.
RETRIES = 2
#: What an address looks like. A client to any other one hangs at its end, or begins a cluster of its own.
_ADDRESS = re.compile(r"(\w+://)?[^\s/]+:\d{1,5}/?")


class _Call(NamedTuple):
    """A run that a worker makes, with the runs that come after it."""

    task: Task
    tasks: deque[Task]
    future: Any


class Cluster:
    """Makes runs on the workers of a Dask scheduler.

    The runs of one queue go to one worker, one at a time, as long as it lives; then to another one.

    Raises
    ------
    MissingExtraError
        Without the extra ``dask``.
    InputError
        If it is no address, or no scheduler with a worker answers there.
    """

    def __init__(self, address: str, patience: float = PATIENCE) -> None:
        if not isinstance(address, str) or not _ADDRESS.fullmatch(address):
            raise InputError(f"a cluster is the address of a Dask scheduler, as in tcp://HOST:8786; got {address!r}")
        try:
            from distributed import Client
        except ImportError:
            raise MissingExtraError("a cluster", "dask") from None
        try:
            self._client = Client(address, timeout=patience, set_as_default=False)
        except (OSError, TypeError, ValueError) as error:
            # A TypeError where the scheme needs keys and certificates that are not there.
            raise InputError(f"no Dask scheduler answers at {address!r}: {_first_line(error)}") from None
        try:
            self._client.wait_for_workers(1, timeout=patience)
        except TimeoutError:
            self._client.close()
            raise InputError(f"the Dask scheduler at {address!r} has no worker") from None

    def execute(self, queues: Sequence[Sequence[Task]], watch: Watch) -> None:
        """Make all runs."""
        waiting = deque(deque(tasks) for tasks in queues if tasks)
        ended: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        running: dict[str, _Call] = {}
        seen = time.monotonic()

        def begin(worker: str, tasks: deque[Task]) -> None:
            task = tasks.popleft()
            watch.began(task)
            future = self._client.submit(
                perform, task.payload(), workers=[worker], allow_other_workers=True, pure=False, retries=RETRIES
            )
            running[worker] = _Call(task, tasks, future)
            future.add_done_callback(lambda done: ended.put((worker, done)))

        try:
            self._fill(running, waiting, begin)
            while running:
                try:
                    worker, future = ended.get(timeout=1.0)
                except queue.Empty:
                    if self._client.status == "closed":
                        self._desert("its scheduler has gone", running, waiting, watch)
                        return
                    # Workers that have come meanwhile get work too.
                    self._fill(running, waiting, begin)
                    if self._workers():
                        seen = time.monotonic()
                    elif time.monotonic() - seen > DESERTED:
                        self._desert(f"it has had no worker for {DESERTED:g} s", running, waiting, watch)
                        return
                    continue
                seen = time.monotonic()
                task, tasks = running.pop(worker)[:2]
                self._note(task, future, watch)
                if tasks:
                    waiting.appendleft(tasks)
                    self._fill(running, waiting, begin, first=worker)
                else:
                    self._fill(running, waiting, begin)
        finally:
            for call in running.values():
                # A client whose scheduler has gone can cancel nothing, and says so.
                with suppress(Exception):
                    call.future.cancel()
            self._client.close()

    def _fill(self, running: dict[str, _Call], waiting: deque[deque[Task]], begin: Any, first: str = "") -> None:
        """Give every worker without a run one, and ``first`` the queue that it has worked on."""
        for worker in sorted(self._workers(), key=lambda address: address != first):
            if waiting and worker not in running:
                begin(worker, waiting.popleft())
        if waiting and not running:
            # Every worker has gone; the scheduler keeps the run until one comes.
            begin(first or "none", waiting.popleft())

    def _workers(self) -> list[str]:
        try:
            return list(self._client.scheduler_info(n_workers=-1)["workers"])
        except (OSError, TypeError, KeyError):
            # The scheduler has gone: the client knows of no worker any more.
            return []

    def _note(self, task: Task, future: Any, watch: Watch) -> None:
        error = future.exception() if future.status != "cancelled" else None
        if future.status == "finished":
            watch.ended(task, json.loads(future.result()))
        else:
            what = "it was cancelled" if error is None else f"{type(error).__name__}: {_first_line(error)}"
            _lost(task, what, watch)

    def _desert(self, what: str, running: Mapping[str, _Call], waiting: Sequence[Sequence[Task]], watch: Watch) -> None:
        """Give up all runs that are left."""
        for call in running.values():
            _lost(call.task, what, watch)
        for task in chain(*(call.tasks for call in running.values()), *waiting):
            watch.began(task)
            _lost(task, what, watch)


def _lost(task: Task, what: str, watch: Watch) -> None:
    reason = f"the cluster lost the run ({what}); the same command makes this run again"
    failed = record_of(task.case.unrun(task.label, Status.FAILED, reason), False)
    watch.ended(task, {**failed, "call": "first", "host": ""}, finished=False)


@lru_cache(maxsize=1)
def _executor() -> Executor:
    return Executor()


def perform(payload: str) -> str:
    """Return the record of a run; called on a cluster's worker."""
    return written(_executor().perform_written(payload))


def _first_line(error: BaseException) -> str:
    """Return the first sentence of an error."""
    return (str(error).splitlines() or [type(error).__name__])[0].split(". ")[0]
