"""The runs of a comparison made by worker processes on this machine; one that dies takes one run with it."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from nngames.compare.pinning import cores, one_thread_environment
from nngames.compare.tasks import Task, Watch
from nngames.results.records import record_of
from nngames.results.result import Status

#: Bytes read at once.
_CHUNK = 1 << 20


class Workers:
    """Makes runs in ``number`` processes, each with one thread; with ``pin``, each on a core of its own.

    The runs of one queue stay together in one process, so that their times are taken under the same conditions.
    """

    def __init__(self, number: int, pin: bool) -> None:
        self._cores: list[int | None] = [*cores(number)] if pin else [None] * number

    def execute(self, queues: Sequence[Sequence[Task]], watch: Watch) -> None:
        """Make all runs."""
        waiting = deque(deque(queue) for queue in queues if queue)
        selector = selectors.DefaultSelector()
        slots = [_Slot(core, selector) for core in self._cores[: len(waiting)]]
        try:
            for slot in slots:
                slot.take(waiting, watch)
            while any(slot.task is not None for slot in slots):
                for key, _ in selector.select():
                    if key.data.read(watch):
                        key.data.take(waiting, watch)
        finally:
            for slot in slots:
                slot.close()
            selector.close()


class _Slot:
    """A place for one process at a time, with the queue that it works on."""

    def __init__(self, core: int | None, selector: selectors.BaseSelector) -> None:
        self._core, self._selector = core, selector
        self._queue: deque[Task] = deque()
        self._process: _Process | None = None
        self.task: Task | None = None

    def take(self, waiting: deque[deque[Task]], watch: Watch) -> None:
        """Begin the next run, of this queue or of the next one that waits."""
        if not self._queue and waiting:
            self._queue = waiting.popleft()
        self.task = self._queue.popleft() if self._queue else None
        if self.task is None:
            self.close()
            return
        if self._process is not None and (self.task.fresh or self._process.fresh):
            self.close()
        if self._process is None:
            self._process = _Process(self._core, self.task.fresh)
            self._selector.register(self._process.output, selectors.EVENT_READ, self)
        watch.began(self.task)
        self._process.send(self.task.payload())

    def read(self, watch: Watch) -> bool:
        """Read what the process wrote; return whether the run has ended, well or with the process."""
        task, process = self.task, self._process
        if task is None or process is None:
            return False
        line = process.receive()
        if line is None:
            return False
        if line:
            record = json.loads(line)
            watch.ended(task, {**record, "call": "fresh"} if task.fresh else record)
        else:
            reason = process.epitaph()
            self.close()
            failed = record_of(task.case.unrun(task.label, Status.FAILED, reason), False)
            watch.ended(task, {**failed, "call": "first", "host": ""}, finished=False)
        return True

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._selector.unregister(self._process.output)
            self._process.close()
            self._process = None


class _Process:
    """A worker process and the pipes to it."""

    def __init__(self, core: int | None, fresh: bool) -> None:
        self.fresh = fresh
        pin = "" if core is None else f"import os; os.sched_setaffinity(0, {{{core}}}); "
        path = os.pathsep.join(os.path.abspath(folder) for folder in sys.path if folder)
        self._errors: Any = tempfile.TemporaryFile()  # noqa: SIM115  (closed with the process)
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", f"{pin}from nngames.compare.worker import main; main()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env={**one_thread_environment(), "PYTHONPATH": path},
            # Ctrl-C is for the one process that knows what to do about it.
            start_new_session=True,
        )
        self._buffer = b""

    @property
    def output(self) -> int:
        """The descriptor that its records come from."""
        return self._process.stdout.fileno()  # type: ignore[union-attr]

    def send(self, payload: str) -> None:
        """Ask for a run."""
        # If it has died, its output has ended too, and says so.
        with suppress(BrokenPipeError):
            self._process.stdin.write(payload.encode("utf-8") + b"\n")  # type: ignore[union-attr]
            self._process.stdin.flush()  # type: ignore[union-attr]

    def receive(self) -> bytes | None:
        """Return a line, None while there is none, or nothing at all if the process has died."""
        chunk = os.read(self.output, _CHUNK)
        self._buffer += chunk
        if not chunk:
            return b""
        if b"\n" not in chunk:
            return None
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line

    def epitaph(self) -> str:
        """Return how the process died, with the last line that it said."""
        code = self._process.wait()
        try:
            how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        except ValueError:
            how = f"signal {-code}"
        self._errors.seek(0)
        said = self._errors.read().decode("utf-8", "replace").strip().splitlines()
        return f"the worker died ({how}{': ' + said[-1] if said else ''}); the same command makes this run again"

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            with suppress(BrokenPipeError):
                stream.close()  # type: ignore[union-attr]
        self._errors.close()
