"""One run: a game, a method and a target; its result, or the reason why there is none."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np

from nngames.compare.methods import Portable, Scheme, scheme_name
from nngames.core.errors import NNGamesError, NotApplicableError
from nngames.core.profiles import Array
from nngames.core.threads import blas_threads
from nngames.core.verdicts import Decision
from nngames.games import Game
from nngames.networks.compiled.loading import load_kernels
from nngames.results.records import record_of
from nngames.results.result import Result, Status, empty_trace, versions
from nngames.solvers import Guarantee, solve

#: Seconds for which a warm run is repeated.
SHORT = 0.02


def run(game: Game, scheme: Scheme, arguments: Mapping[str, Any]) -> Result:
    """Return the result of one solve with one BLAS thread; ``skipped`` or ``failed`` where the method refuses."""
    try:
        with blas_threads(0):
            return solve(game, scheme, **arguments)
    except NotApplicableError as error:
        # A finite game has no profiles in R^n.
        return without_run(scheme, Status.SKIPPED, str(error), arguments, game if isinstance(game, Game) else None)
    except NNGamesError as error:
        return without_run(scheme, Status.FAILED, str(error), arguments, game)


def warm_run(game: Game, scheme: Scheme, arguments: Mapping[str, Any]) -> Result:
    """Return the result of a run that is no first call: compiled code is loaded, and a short run is repeated.

    The first one brings the method's own code and data back into the caches, which the runs of others in between have
    filled with theirs. Those that follow it until ``SHORT`` seconds have passed, one at least, are readings, of which
    the one with the median time counts.
    """
    load_kernels()
    began = time.perf_counter()
    result = run(game, scheme, arguments)
    if not result.evaluations or result.seconds >= SHORT:
        return result
    readings = [run(game, scheme, arguments)]
    while time.perf_counter() - began < SHORT:
        readings.append(run(game, scheme, arguments))
    return sorted(readings, key=lambda reading: reading.seconds)[(len(readings) - 1) // 2]


def without_run(
    scheme: Scheme, status: Status, reason: str, arguments: Mapping[str, Any], game: Game | None = None
) -> Result:
    """Return the result of a run that was not made, with its reason."""
    return Result(
        profile=np.full(0 if game is None else game.size, np.nan),
        status=status,
        message=reason,
        iterations=0,
        evaluations=0,
        seconds=0.0,
        residual=float("nan"),
        scale=float("nan"),
        tolerance=arguments["tolerance"],
        method=scheme_name(scheme),
        options={} if isinstance(scheme, str) else scheme.options,
        seed=arguments["seed"],
        trace=empty_trace(),
        _actions=_no_actions if game is None else game.space.actions,
        _nash_gap=_no_gap,
        _guarantee=partial(Guarantee, Decision.UNDECIDED, reason, "the method did not run"),
    )


def _no_actions(profile: Array) -> dict[Any, Array]:
    return {}


def _no_gap(profile: Array) -> float:
    return float("nan")


class Executor:
    """Makes the runs of one process on scenarios, and knows which of them are first calls.

    It holds one scenario at a time, with its game and what is known of it.
    """

    def __init__(self) -> None:
        self._held: tuple[str, Any] | None = None
        self._made: set[tuple[str, str]] = set()

    def hold(self, case: str, subject: Any) -> None:
        """Use a scenario that is at hand for the runs on ``case``."""
        self._held = (case, subject)

    def perform(self, case: str, build: Callable[[], Any], scheme: Scheme, task: Mapping[str, Any]) -> dict[str, Any]:
        """Return the record of one run.

        Parameters
        ----------
        case : str
            Tells scenarios apart.
        build : callable
            Returns the scenario; called unless it is held.
        scheme : solver or "auto"
        task : mapping
            ``arguments`` of ``solve`` and whether to ``keep`` profile and trace.

        Raises
        ------
        Interrupted
            On Ctrl-C.
        """
        own = (case, json.dumps([scheme_name(scheme), repr(scheme)]))
        call = "warm" if own in self._made else "first"
        self._made.add(own)
        arguments = dict(task["arguments"])
        try:
            if self._held is None or self._held[0] != case:
                # Two large games need not fit into memory at the same time.
                self._held = None
                self._held = (case, build())
            subject = self._held[1]
            if arguments.get("start") is None:
                arguments["start"] = subject.start
            result = (run if call == "first" else warm_run)(subject.game, scheme, arguments)
            record = record_of(result, task["keep"])
        except NNGamesError as error:
            record = record_of(without_run(scheme, Status.FAILED, str(error), arguments), False)
        except Exception as error:
            # A fault in one method may not lose the runs of the others.
            if os.environ.get("NNGAMES_DEBUG") == "1":
                raise
            reason = f"internal error: {type(error).__name__}: {error}"
            record = record_of(without_run(scheme, Status.FAILED, reason, arguments), False)
        return {**record, "call": call, "host": socket.gethostname()}

    def perform_written(self, payload: str) -> dict[str, Any]:
        """Return the record of a run that another process wrote down."""
        given = json.loads(payload)
        here = versions()
        differ = [f"{name} {here[name]}" for name, version in given["versions"].items() if here[name] != version]
        scheme: Scheme = given["method"]
        try:
            if differ:
                wanted = ", ".join(f"{name} {given['versions'][name]}" for name in given["versions"])
                raise NotApplicableError(
                    f"the machine {socket.gethostname()} has {', '.join(differ)}; needed: {wanted}"
                )
            scheme = Portable(given["method"], given["options"]).scheme()
        except NNGamesError as error:
            failed = without_run(scheme, Status.FAILED, str(error), given["arguments"])
            return {**record_of(failed, False), "call": "first", "host": socket.gethostname()}
        module, function = given["rebuild"].split(":")
        build = partial(getattr(import_module(module), function), given["data"])
        return self.perform(given["case"], build, scheme, given)
