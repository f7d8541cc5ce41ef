"""Records: results as plain data that other processes and later days can read, and results made of them again."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from nngames.core.plain import plain
from nngames.core.verdicts import Verdict
from nngames.results.result import Array, Result, Status, Trace, empty_trace

#: Longer profiles are not written: a file of them would be larger than the scenario that it is about.
WRITTEN_PROFILE = 200_000


def record_of(result: Result, keep: bool) -> dict[str, Any]:
    """Return the record of a result; with profile and trace if ``keep``."""
    with np.errstate(all="ignore"):
        figures = result.figures()
    kept = {"profile": result.profile, "trace": _arrays(result.trace)} if keep else {"profile": None, "trace": None}
    return {**figures, "options": dict(result.options), "seed": result.seed, **kept}


def _arrays(trace: Trace) -> dict[str, Any]:
    """Return the arrays of a trace by name."""
    return {
        "residual": trace.residual,
        "evaluations": trace.evaluations,
        "seconds": trace.seconds,
        "nash_gap": trace.nash_gap,
    }


def result_of(
    record: Mapping[str, Any], actions: Callable[[Array], dict[Any, Array]], guarantee: Callable[[], Verdict]
) -> Result:
    """Return the result that a record is of.

    Parameters
    ----------
    record : mapping
        From ``record_of``, or read from JSON.
    actions : callable
        Profile -> action of each player.
    guarantee : callable
        Called when the guarantee is asked for.

    Raises
    ------
    KeyError, TypeError, ValueError
        If it is no record.
    """
    profile, trace = record["profile"], record["trace"]
    return Result(
        profile=np.empty(0) if profile is None else np.asarray(profile, dtype=float),
        status=Status(record["status"]),
        message=str(record["message"]),
        iterations=int(record["iterations"]),
        evaluations=int(record["evaluations"]),
        seconds=float(record["seconds"]),
        residual=float(record["residual"]),
        scale=float(record["scale"]),
        tolerance=float(record["tolerance"]),
        method=str(record["method"]),
        options=dict(record["options"]),
        seed=record["seed"],
        trace=empty_trace() if trace is None else _trace(trace),
        _actions=partial(_actions_of, actions),
        _nash_gap=partial(_known, float(record["nash_gap"])),
        _guarantee=guarantee,
    )


def _actions_of(actions: Callable[[Array], dict[Any, Array]], profile: Array) -> dict[Any, Array]:
    return actions(profile) if profile.size else {}


def _known(gap: float, profile: Array) -> float:
    return gap


def _trace(given: Mapping[str, Any]) -> Trace:
    gaps = given["nash_gap"]
    return Trace(
        np.asarray(given["residual"], dtype=float),
        np.asarray(given["evaluations"], dtype=int),
        np.asarray(given["seconds"], dtype=float),
        None if gaps is None else np.asarray(gaps, dtype=float),
    )


def written(record: Mapping[str, Any]) -> str:
    """Return a record as one line of JSON; a profile that is too long for it is left out."""
    profile = record.get("profile")
    if profile is not None and len(profile) > WRITTEN_PROFILE:
        record = {**record, "profile": None}
    return json.dumps(plain(record), allow_nan=False)
