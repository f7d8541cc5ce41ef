"""A worker process: it reads runs from its standard input, one line each, and writes a record a line.

It ends when its input does, in the middle of a run too: nobody is left to hear of it.
"""

from __future__ import annotations

import os
import queue
import sys
import threading

from nngames.compare.execution import Executor
from nngames.results.records import written


def main() -> None:
    """Make the runs that are asked for."""
    # What a library prints may not stand between the records.
    records = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    asked: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(asked,), daemon=True).start()
    executor = Executor()
    while True:
        record = executor.perform_written(asked.get())
        records.write(written(record) + "\n")
        records.flush()


def _listen(asked: queue.SimpleQueue[str]) -> None:
    for line in sys.stdin:
        asked.put(line)
    os._exit(0)
