"""The runs of a comparison made by a Dask cluster; a node that dies loses no finished run."""

from __future__ import annotations

import json
import queue
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import CancelledError
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
#: Seconds after which it looks which workers there are, where no run has ended.
LOOK = 1.0
#: Seconds that a cluster may be without any worker before its runs are given up.
DESERTED = 60.0
#: How often a run is tried again whose call raised an error, or whose node died when there was no other one; how often
#: one is that moved to another node is the scheduler's setting.
RETRIES = 2
#: What an address looks like. A client to any other one hangs at its end, or begins a cluster of its own.
_ADDRESS = re.compile(r"(\w+://)?[^\s/]+:\d{1,5}/?")


class _Call(NamedTuple):
    """A run that a worker makes, with the runs that come after it, and how often it was given to a worker again."""

    task: Task
    tasks: deque[Task]
    future: Any
    again: int = 0


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
        ended: queue.SimpleQueue[tuple[str, Any, str | Exception]] = queue.SimpleQueue()
        running: dict[str, _Call] = {}
        seen = time.monotonic()

        def submit(worker: str, task: Task, tasks: deque[Task], again: int = 0) -> None:
            future = self._client.submit(
                perform, task.payload(), workers=[worker], allow_other_workers=True, pure=False, retries=RETRIES
            )
            running[worker] = _Call(task, tasks, future, again)

            def fetch() -> None:
                ended.put((worker, future, _outcome(future)))

            # In a thread of its own: it waits for another node where the one that has the record dies before.
            future.add_done_callback(lambda done: threading.Thread(target=fetch, daemon=True).start())

        def begin(worker: str, tasks: deque[Task]) -> None:
            task = tasks.popleft()
            watch.began(task)
            submit(worker, task, tasks)

        try:
            self._fill(running, waiting, begin)
            while running or waiting:
                try:
                    worker, future, outcome = ended.get(timeout=LOOK)
                except queue.Empty:
                    if self._client.status == "closed":
                        self._desert("its scheduler has gone", running, waiting, watch)
                        return
                    self._place_again(running, waiting, submit, watch)
                    # Workers that have come meanwhile get work too.
                    self._fill(running, waiting, begin)
                    if self._workers():
                        seen = time.monotonic()
                    elif time.monotonic() - seen > DESERTED:
                        self._desert(f"it has had no worker for {DESERTED:g} s", running, waiting, watch)
                        return
                    continue
                seen = time.monotonic()
                if worker not in running or running[worker].future is not future:
                    # It was given up.
                    continue
                task, tasks = running.pop(worker)[:2]
                _note(task, outcome, watch)
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

    def _fill(
        self, running: dict[str, _Call], waiting: deque[deque[Task]], begin: Callable[..., None], first: str = ""
    ) -> None:
        """Give every worker without a run one, and ``first`` the queue that it has worked on."""
        for worker in sorted(self._workers(), key=lambda address: address != first):
            if waiting and worker not in running:
                begin(worker, waiting.popleft())

    def _place_again(
        self, running: dict[str, _Call], waiting: deque[deque[Task]], submit: Callable[..., None], watch: Watch
    ) -> None:
        """Give runs whose worker has gone to free workers where the scheduler has not done so.

        It forgets what it was asked to give to one worker, if possible, when no other one was there as that one went.
        """
        workers = self._workers()
        for gone in [worker for worker in running if worker not in workers]:
            call, free = running[gone], [worker for worker in workers if worker not in running]
            if not free or call.future.status not in ("pending", "lost") or self._is_placed(call.future.key):
                continue
            del running[gone]
            call.future.cancel()
            if call.again < RETRIES:
                submit(free[0], call.task, call.tasks, call.again + 1)
                continue
            _lost(call.task, f"its node died {call.again + 1} times", watch)
            if call.tasks:
                waiting.appendleft(call.tasks)

    def _is_placed(self, key: str) -> bool:
        """Return whether a call is at a worker, for all that is known."""
        try:
            return key in chain(*self._client.processing().values())
        except OSError:
            # The scheduler has gone meanwhile.
            return True

    def _workers(self) -> list[str]:
        try:
            return list(self._client.scheduler_info(n_workers=-1)["workers"])
        except (OSError, TypeError, KeyError):
            # The scheduler has gone: the client knows of no worker any more.
            return []

    def _desert(self, what: str, running: Mapping[str, _Call], waiting: Sequence[Sequence[Task]], watch: Watch) -> None:
        """Give up all runs that are left."""
        for call in running.values():
            _lost(call.task, what, watch)
        for task in chain(*(call.tasks for call in running.values()), *waiting):
            watch.began(task)
            _lost(task, what, watch)


def _outcome(future: Any) -> str | Exception:
    """Return the record that a call has ended with, or the error."""
    try:
        record: str = future.result()
    except Exception as error:
        return error
    return record


def _note(task: Task, outcome: str | Exception, watch: Watch) -> None:
    if isinstance(outcome, str):
        watch.ended(task, json.loads(outcome))
    elif isinstance(outcome, CancelledError):
        _lost(task, "it was cancelled", watch)
    else:
        _lost(task, f"{type(outcome).__name__}: {_first_line(outcome)}", watch)


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
