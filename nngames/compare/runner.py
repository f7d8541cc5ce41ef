"""The runner: games or scenarios x seeds x methods x repetitions, each run kept, failed ones with their reason."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any

import numpy as np

from nngames.compare.cases import Case, Target, cases_of
from nngames.compare.methods import Method
from nngames.compare.store import Store
from nngames.compare.tasks import Backend, Task, queues_of
from nngames.compare.this_process import ThisProcess
from nngames.core.errors import OptionError
from nngames.core.profiles import Array, Profile
from nngames.core.seeds import Seed
from nngames.results.comparison import Comparison, Row
from nngames.results.records import result_of
from nngames.results.result import Result, Status
from nngames.solvers import Interrupted
from nngames.solvers.solver import no_guarantee

#: The largest number of seeds that a count stands for, and of repetitions: the runs are listed before the first one.
MOST_REPEATED = 100_000
#: Called after each run with how many have ended, and how many there are.
Finished = Callable[[int, int], Any]


def compare(
    game: Any,
    methods: Sequence[Method] | None = None,
    repeat: int = 1,
    start: Profile | None = None,
    tolerance: float | None = None,
    max_iterations: int | None = None,
    max_seconds: float | None = None,
    seed: Seed = None,
    trace_nash_gap: bool = False,
    progress: Callable[[str], Any] | None = None,
    *,
    seeds: int | Sequence[int] | None = None,
    workers: int | None = None,
    cluster: str | None = None,
    store: str | os.PathLike[str] | None = None,
    pin: bool = False,
    fresh: bool = False,
    finished: Finished | None = None,
) -> Comparison:
    """Solve each game by each method from the same start to the same target, with one BLAS thread.

    Repetitions are interleaved: all methods make their first run, then all their second one, so that medians are
    taken under the same conditions. The first run of a method on a game in a process is told apart from the others,
    which are warm: they find its imports, compiled code (that of the extra ``fast`` too) and proofs about the game
    done, and a run of less than 20 ms is repeated for as long, after a first one that brings its own data back into the
    caches: what counts is the run with the median time.

    Parameters
    ----------
    game : Game, scenario, list of scenarios, or mapping label -> Game or scenario
        A scenario is what ``load_scenario`` returns.
    methods : sequence of name, solver object, or {"method": name, options, "label": text}
        By default a scenario's own, or all where it names none; of a game, best_response, km and extragradient.
    repeat : int
        Runs of each method on each game and seed.
    start, tolerance, max_iterations, max_seconds, seed, trace_nash_gap
        As for ``solve``; by default a scenario's own.
    progress : callable, optional
        Called with a line before each run.
    seeds : int or sequence of int, optional
        Instead of ``seed``: each is run; a number n means 0, ..., n - 1. A scenario draws its random arrays and its
        random start by its seed.
    workers : int, optional
        Processes on this machine that make the runs of scenarios. The runs on one scenario and seed stay together.
    cluster : str, optional
        The address of a Dask scheduler whose workers make the runs of scenarios (extra ``dask``).
    store : path, optional
        A folder in which each finished run on a scenario is kept, one file each; runs found there are not repeated.
    pin : bool
        Whether the process that makes a run is kept on one core; runs on scenarios are then made by a worker.
    fresh : bool
        Whether the first run of each method on each scenario and seed has a process of its own, so that it pays for all
        that a first call needs. The first repetition in the workers then warms them up.
    finished : callable, optional
        Called after each run with how many have ended, and how many there are.

    Returns
    -------
    Comparison
        One row for each run. A method that cannot take a game is ``skipped``, one that fails is ``failed``, each with
        its reason; so is a run whose process died, and the others go on.

    Raises
    ------
    UnknownNameError, OptionError, InputError, MissingExtraError
        If a method, an option or a game is not usable: before the first run.
    Interrupted
        On Ctrl-C; its ``comparison`` holds the runs made, interrupted ones included.
    """
    if isinstance(repeat, bool) or not isinstance(repeat, int) or repeat < 1:
        raise OptionError(f"repeat must be a positive integer; got {repeat!r}")
    if repeat > MOST_REPEATED:
        raise OptionError(f"repeat must be at most {MOST_REPEATED}")
    if methods is not None and not isinstance(methods, str | Mapping | Sequence):
        raise OptionError(f"methods must be a list with at least one method; got {methods!r}")
    target = Target(start, tolerance, max_iterations, max_seconds, seed, trace_nash_gap).checked()
    cases = cases_of(game, methods, target, _seeds(seeds, seed))
    _check_placement(cases, workers, cluster, store, pin, fresh)
    board = _Board(queues_of(cases, repeat, fresh), pin, progress, finished, repeat)
    if store is not None:
        board.open(Store(store))
    backend = _backend(cases, workers, cluster, pin, fresh)
    here = isinstance(backend, ThisProcess)
    try:
        with _pinned() if pin and here else nullcontext():
            backend.execute(board.remaining(), board)
    except KeyboardInterrupt as stop:
        raise board.interrupted(stop, backend) from None
    return board.comparison(backend)


class _Board:
    """What is known of each run while the comparison goes on."""

    def __init__(
        self,
        queues: list[list[Task]],
        pin: bool,
        progress: Callable[[str], Any] | None,
        finished: Finished | None,
        repeat: int,
    ) -> None:
        self._queues, self._pin, self._progress, self._finished = queues, pin, progress, finished
        self._repeat, self._total = repeat, sum(map(len, queues))
        self._records: dict[Task, Mapping[str, Any]] = {}
        self._running: list[Task] = []
        self._store: Store | None = None

    def open(self, store: Store) -> None:
        """Take the finished runs from a store, and keep others there."""
        self._store = store
        for queue in self._queues:
            for task in queue:
                record = store.load(task.key(self._pin))
                if record is not None:
                    self._records[task] = record
        if self._records and self._finished is not None:
            self._finished(len(self._records), self._total)

    def remaining(self) -> list[list[Task]]:
        """Return the runs to be made."""
        left = [[task for task in queue if task not in self._records] for queue in self._queues]
        return [queue for queue in left if queue]

    def began(self, task: Task) -> None:
        """Take note that a run began."""
        self._running.append(task)
        if self._progress is not None:
            again = f" ({task.repeat + 1} of {self._repeat})" if self._repeat > 1 else ""
            self._progress(f"{task.case.name}: {task.label}{again}")

    def ended(self, task: Task, record: Mapping[str, Any], finished: bool = True) -> None:
        """Take note of a run's record, and store it."""
        if self._store is not None and finished:
            self._store.save(task.key(self._pin), record)
        self._running.remove(task)
        self._records[task] = record
        if self._finished is not None:
            self._finished(len(self._records), self._total)

    def comparison(self, backend: Backend, unfinished: Mapping[Task, Result] | None = None) -> Comparison:
        """Return the runs so far, in the order of games, seeds, methods and repetitions."""
        rows = []
        for queue in self._queues:
            for task in sorted(queue, key=lambda t: [*t.case.schemes].index(t.label)):
                if task in self._records:
                    rows.append(_row(task, self._records[task], backend))
                elif unfinished and task in unfinished:
                    rows.append(_made_row(task, unfinished[task], "first", ""))
        return Comparison(tuple(rows), tuple(self._store.notes if self._store else ()))

    def interrupted(self, stop: KeyboardInterrupt, backend: Backend) -> Interrupted:
        """Return the interruption with the runs so far."""
        reason = "the run was interrupted; the same command makes it again"
        unfinished = {task: task.case.unrun(task.label, Status.INTERRUPTED, reason) for task in self._running}
        if isinstance(stop, Interrupted):
            unfinished[self._running[-1]] = stop.result
        # Between two runs, the last one of all stands for what was interrupted.
        last = self._queues[-1][-1]
        shown = next(iter(unfinished.values()), last.case.unrun(last.label, Status.INTERRUPTED, reason))
        found = stop if isinstance(stop, Interrupted) else Interrupted(shown)
        found.comparison = self.comparison(backend, unfinished)
        return found


def _row(task: Task, record: Mapping[str, Any], backend: Backend) -> Row:
    if isinstance(backend, ThisProcess) and task in backend.results:
        result, call = backend.results[task]
        return _made_row(task, result, call, "")
    case = task.case
    guarantee = (
        partial(case.guarantee, task.label) if record["evaluations"] else partial(no_guarantee, str(record["message"]))
    )
    result = result_of(record, partial(_actions, case), guarantee)
    host = "" if record["host"] == socket.gethostname() else str(record["host"])
    return _made_row(task, result, str(record["call"]), host)


def _actions(case: Case, profile: Array) -> dict[Any, Array]:
    return case.built.space.actions(profile)


def _made_row(task: Task, result: Result, call: str, host: str) -> Row:
    case = task.case
    # Rows can be pickled, which a function made here could not.
    bound = partial(case.bound, task.label, result)
    return Row(case.game, task.label, task.repeat, result, case.seed, call, host, bound)


def _seeds(seeds: int | Sequence[int] | None, seed: Seed) -> list[int] | None:
    """Return the seeds as a list of distinct nonnegative integers."""
    if seeds is None:
        return None
    if seed is not None:
        raise OptionError("give seed or seeds, not both")
    given: Any = range(seeds) if isinstance(seeds, int) and not isinstance(seeds, bool) else seeds
    if isinstance(given, range) and given.stop > MOST_REPEATED:
        raise OptionError(
            f"seeds as a number says how many, at most {MOST_REPEATED}; give a list, or seed, to run with that one"
        )
    whole = isinstance(given, range | list | tuple) and all(
        isinstance(value, int | np.integer) and not isinstance(value, bool) and value >= 0 for value in given
    )
    if not whole or not given or len(set(given)) < len(given):
        raise OptionError(f"seeds must be a positive integer or distinct nonnegative integers; got {seeds!r}")
    return [int(value) for value in given]


def _check_placement(cases: Sequence[Case], workers: Any, cluster: Any, store: Any, pin: bool, fresh: bool) -> None:
    """Raise OptionError unless the runs can be made where they are asked for."""
    if workers is not None and (isinstance(workers, bool) or not isinstance(workers, int) or workers < 1):
        raise OptionError(f"workers must be a positive integer; got {workers!r}")
    if cluster is not None:
        for name, given in (("workers", workers), ("pin", pin), ("fresh", fresh)):
            if given:
                raise OptionError(f"{name} is about processes on this machine; a cluster has its own")
    bare = next((case for case in cases if case.bare), None)
    if bare is None:
        return
    for name, given in (("workers", workers), ("cluster", cluster), ("store", store), ("fresh", fresh)):
        if given:
            raise OptionError(
                f"{name} needs scenarios, which other processes can build and a store can tell apart; "
                f"{bare.game!r} is a game in this process's memory: write it as a scenario, or leave {name} out"
            )


def _backend(cases: Sequence[Case], workers: int | None, cluster: str | None, pin: bool, fresh: bool) -> Backend:
    for case in cases:
        if workers or cluster or fresh or (pin and not case.bare):
            for label in case.schemes:
                case.portable(label)
    if cluster is not None:
        from nngames.compare.cluster import Cluster

        return Cluster(cluster)
    if workers or fresh or (pin and not any(case.bare for case in cases)):
        from nngames.compare.workers import Workers

        return Workers(workers or 1, pin)
    return ThisProcess()


def _pinned() -> Any:
    from nngames.compare.pinning import pinned

    return pinned()
