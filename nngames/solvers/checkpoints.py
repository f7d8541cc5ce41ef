"""Checkpoints: a run's whole state in a file, written now and then, from which a killed run goes on as if never killed.

A checkpoint is an npz file without pickled objects: arrays, and the text ``description``, JSON that says what they are.
It holds the iterate and the memory of the scheme, the state of the generator it draws from, what the stopping rules
remember, and the trace. What a step computes depends on nothing else, so the resumed run makes the same steps, bit for
bit; only its times differ.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from nngames.core.deadlines import postpone
from nngames.core.errors import InputError, NotApplicableError, check_positive
from nngames.core.files import write_atomic
from nngames.core.packed import pack, read_packed
from nngames.core.profiles import Profile
from nngames.core.seeds import generator
from nngames.games import Game
from nngames.results.result import Result
from nngames.solvers.loop import Callback, Interrupted, Run, check_stopping
from nngames.solvers.solver import MAX_ITERATIONS, TOLERANCE, Problem, Solver, State, check_game, registry

FORMAT = "nngames checkpoint 1"


class Companion(Protocol):
    """What is kept beside a run, such as a curve that a callback records."""

    def state(self) -> dict[str, Any]:
        """Return arrays and plain values."""

    def recall(self, state: dict[str, Any]) -> None:
        """Take what ``state`` returned."""


@dataclass(frozen=True)
class Checkpoints:
    """Where and when a run keeps its state.

    Attributes
    ----------
    path : Path
    identity : mapping str -> str
        What a run must have in common with the one that wrote the file, to go on from it; the method with its options
        and the seed are added.
    every : float
        Seconds between two writings. The end of the run, also by Ctrl-C, is written too.
    resume : bool
        Whether to go on from the file if there is one.
    companion : Companion, optional
    """

    path: Path
    identity: Mapping[str, str]
    every: float = 10.0
    resume: bool = False
    companion: Companion | None = None

    def __post_init__(self) -> None:
        check_positive("every", self.every)
        if self.path.exists() and not self.resume:
            raise InputError(
                f"{self.path}: the file exists; resume from it (--resume, resume=True), remove it, or name another"
            )


def solve_with_checkpoints(
    game: Game,
    method: Solver,
    checkpoints: Checkpoints,
    start: Profile | None = None,
    tolerance: float = TOLERANCE,
    max_iterations: int = MAX_ITERATIONS,
    max_seconds: float | None = None,
    seed: int | None = None,
    callback: Callback | None = None,
) -> Result:
    """Solve as ``solve`` does, and keep the state in a file.

    Parameters
    ----------
    game : Game
    method : Solver
        One whose state is all that a step depends on: ``check_resumable`` tells.
    checkpoints : Checkpoints
    start, tolerance, max_iterations, max_seconds, seed, callback
        As of ``solve``.

    Raises
    ------
    NotApplicableError
        If the method cannot run on the game, or keeps state in buffers of its own.
    InputError
        If the file is no checkpoint, or that of another run.
    Interrupted
        On Ctrl-C, once the state is written.
    """
    check_game(game)
    check_stopping(tolerance, max_iterations, max_seconds)
    check_resumable(game, method)
    given = start is not None
    profile = game.space.array(np.zeros(game.size) if start is None else start, what="start")
    run = _KeptRun(
        game, method, profile, float(tolerance), int(max_iterations), max_seconds, seed, callback, False, given
    )
    run.keep(checkpoints)
    return run.run()


class _KeptRun(Run):
    """A run that writes its state."""

    def keep(self, checkpoints: Checkpoints) -> None:
        """Say where, and read what is there."""
        self._kept, self._seed = checkpoints, self.seed
        # The problem draws from this very generator.
        self.seed = self._generator = generator(self._seed)
        options = json.dumps(self.solver.options, sort_keys=True, default=str)
        self._identity = {
            **checkpoints.identity,
            "method": f"{self.solver.name} {options}",
            "seed": str(self._seed),
        }
        self._noted: tuple[State, int, dict[str, Any]] | None = None
        self._written = time.perf_counter()
        stored = checkpoints.resume and checkpoints.path.exists()
        self._stored = _read(checkpoints.path, self._identity) if stored else None

    def run(self) -> Result:
        """Run the scheme, write the end, and return the result."""
        try:
            result = super().run()
        except Interrupted as interruption:
            self._write()
            interruption.result = replace(interruption.result, seed=self._seed)
            raise
        self._write()
        return replace(result, seed=self._seed)

    def _iterate(self, state: State, iteration: int = 0) -> Result:
        if self._stored is not None:
            state, iteration = self._restored(self._stored, state)
        return super()._iterate(state, iteration)

    def _record(self, state: State, iteration: int) -> None:
        super()._record(state, iteration)
        now = time.perf_counter()
        self._noted = (state, iteration, self._around())
        if now - self._written >= self._kept.every:
            self._write()
        self._exclude(time.perf_counter() - now)

    def _around(self) -> dict[str, Any]:
        """Return what the rules and the generator are at, before the state is looked at."""
        return {"generator": self._generator.bit_generator.state, **self._watch.memory()}

    def _write(self) -> None:
        if self._noted is None:
            return
        state, iteration, around = self._noted
        companion = self._kept.companion
        content = {
            "identity": self._identity,
            "iteration": iteration,
            "state": {name: getattr(state, name) for name in State.__slots__},
            **around,
            # An interruption may come when the next iterate is in the trace already.
            "trace": {
                "residuals": np.array(self._residuals[: iteration + 1]),
                "evaluations": np.array(self._evaluations[: iteration + 1]),
                "seconds": np.array(self._seconds[: iteration + 1]),
            },
            "companion": None if companion is None else companion.state(),
        }
        write_atomic(self._kept.path, pack(content, FORMAT))
        self._written = time.perf_counter()

    def _restored(self, stored: dict[str, Any], first: State) -> tuple[State, int]:
        """Return the state and iteration that were written, everything else put back; ``first`` is a fresh start."""
        state = State(**stored["state"])
        if state.x.shape != first.x.shape:
            raise InputError(f"{self._kept.path}: its iterate has shape {state.x.shape}; expected {first.x.shape}")
        trace = stored["trace"]
        # The loop records the state again.
        self._residuals = trace["residuals"].tolist()[:-1]
        self._evaluations = trace["evaluations"].tolist()[:-1]
        self._seconds = trace["seconds"].tolist()[:-1]
        before, self._began = self._began, time.perf_counter() - float(trace["seconds"][-1])
        postpone(self._began - before)
        self._generator.bit_generator.state = stored["generator"]
        self._watch.recall(stored["watch"], stored["returns"])
        if self._kept.companion is not None and stored["companion"] is not None:
            self._kept.companion.recall(stored["companion"])
        self._last = state
        return state, stored["iteration"]


def check_applies(game: Game, method: Solver) -> Problem:
    """Return the method's problem, or raise NotApplicableError, before a run, if it cannot run on the game."""
    try:
        return method.problem(game, np.random.default_rng(0))
    except NotApplicableError as error:
        raise NotApplicableError(f"{method.name} does not apply: {error}") from None


def check_resumable(game: Game, method: Solver) -> None:
    """Raise NotApplicableError, before a run, if no checkpoints are kept of it, or the method cannot run."""
    # Of another package's run there is nothing between its start and its end.
    if check_applies(game, method).resumable and not method.external:
        return
    others = [name for name in registry.names() if _keeps(game, registry[name]())]
    raise NotApplicableError(
        f"no checkpoints are kept of {method.name}, so it cannot resume"
        + (f"; they are of {', '.join(others)}" if others else "")
    )


def _keeps(game: Game, method: Solver) -> bool:
    try:
        return not method.external and method.problem(game, np.random.default_rng(0)).resumable
    except NotApplicableError:
        return False


def _read(path: Path, identity: Mapping[str, str]) -> dict[str, Any]:
    content: dict[str, Any] = read_packed(path, FORMAT, "checkpoint")
    if not isinstance(content, dict) or not isinstance(content.get("identity"), dict):
        raise InputError(f"{path}: is no checkpoint of nngames: it says nothing about its run")
    for name, value in identity.items():
        theirs = content["identity"].get(name)
        if theirs != value:
            # A hash tells nobody anything.
            shown = "" if name == "problem" else f": {theirs}, and here {value}"
            raise InputError(f"{path}: is the checkpoint of another run, with another {name}{shown}")
    return content
