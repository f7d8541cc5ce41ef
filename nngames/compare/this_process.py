"""The runs of a comparison made in this process, one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from nngames.compare.execution import Executor, run, warm_run
from nngames.compare.tasks import Task, Watch
from nngames.results.result import Result


class ThisProcess:
    """Makes all runs here.

    Attributes
    ----------
    results : dict
        The results of runs on bare games, by task: they stay as ``solve`` returned them.
    """

    def __init__(self) -> None:
        self.results: dict[Task, tuple[Result, str]] = {}

    def execute(self, queues: Sequence[Sequence[Task]], watch: Watch) -> None:
        """Make all runs."""
        executor = Executor()
        for number, queue in enumerate(queues):
            made: set[str] = set()
            for task in queue:
                case = task.case
                watch.began(task)
                if case.bare:
                    call, make = ("warm", warm_run) if task.label in made else ("first", run)
                    self.results[task] = (make(case.subject, case.schemes[task.label], case.arguments), call)
                    made.add(task.label)
                    watch.ended(task, {})
                    continue
                if task is queue[0]:
                    # With several scenarios, each one's game is let go before the next one is built.
                    executor.hold(str(number), case.subject if len(queues) == 1 else case.subject.with_changes())
                described = {"arguments": case.arguments, "keep": task.keep}
                record = executor.perform(
                    str(number), partial(getattr, case, "subject"), case.schemes[task.label], described
                )
                watch.ended(task, record)
