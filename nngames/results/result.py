"""Results of a solve: the profile, the status with a message that says what to do next, and the trace."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nngames.core.plain import plain
from nngames.core.verdicts import Verdict

Array = NDArray[np.floating[Any]]


class Status(StrEnum):
    """How a run ended."""

    CONVERGED = "converged"
    MAX_ITERATIONS = "max_iterations"
    MAX_SECONDS = "max_seconds"
    DIVERGED = "diverged"
    CYCLING = "cycling"
    STALLED = "stalled"
    NOT_FINITE = "not_finite"
    SKIPPED = "skipped"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, eq=False)
class Trace:
    """The course of a run, one entry for each iterate from the start on.

    Attributes
    ----------
    residual : ndarray (k,)
        The undamped residual of each iterate. A scheme that gets no residual with its pass (a sweep of best responses)
        has its undamped displacement there.
    evaluations : ndarray (k,)
        Passes over the network made before the iterate was known.
    seconds : ndarray (k,)
        Time since the start; callbacks are not counted. Steps that compiled passes make at once share it evenly.
    nash_gap : ndarray (k,) or None
        The sum of the regrets of each iterate, where it was asked for.
    """

    residual: Array
    evaluations: Array
    seconds: Array
    nash_gap: Array | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the trace as plain data."""
        return {
            "residual": plain(self.residual),
            "evaluations": plain(self.evaluations),
            "seconds": plain(self.seconds),
            "nash_gap": plain(self.nash_gap),
        }


def _no_bound(profile: Array) -> None:
    """Return that nothing is proved about a profile."""


@dataclass(frozen=True, eq=False)
class Result:
    """What ``solve`` returns.

    It can be pickled, with its game, of which what is proved about it is found when it is asked for.

    Attributes
    ----------
    profile : ndarray (N,)
        The last iterate.
    status : Status
        ``converged`` means that the undamped residual, recomputed at ``profile``, is at most tolerance * scale.
    message : str
        What happened and what to do next.
    iterations, evaluations : int
        Steps of the scheme; full passes over the network.
    seconds : float
        Time of the run, callbacks excluded.
    residual, scale, tolerance : float
        The recomputed residual |R(x) - x|_2; its unit; the tolerance asked for.
    method : str
        The solver's name.
    options : mapping
        The solver's hyperparameters.
    seed : int or None
    trace : Trace
    """

    profile: Array
    status: Status
    message: str
    iterations: int
    evaluations: int
    seconds: float
    residual: float
    scale: float
    tolerance: float
    method: str
    options: Mapping[str, Any]
    seed: Any
    trace: Trace
    _actions: Callable[[Array], dict[Any, Array]] = field(repr=False)
    _nash_gap: Callable[[Array], float] = field(repr=False)
    _guarantee: Callable[[], Verdict] = field(repr=False)
    _error_bound: Callable[[Array], Any] = field(repr=False, default=_no_bound)

    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy is made of: it finds what is proved anew, for a rate is made of functions."""
        return without_proofs(self)

    @property
    def converged(self) -> bool:
        """Whether the status is ``converged``."""
        return self.status is Status.CONVERGED

    @cached_property
    def actions(self) -> dict[Any, Array]:
        """The action of each player."""
        return self._actions(self.profile)

    @cached_property
    def nash_gap(self) -> float:
        """The sum of the regrets at the profile."""
        return self._nash_gap(self.profile)

    @cached_property
    def guarantee(self) -> Verdict:
        """Whether convergence of this scheme on this game is proved, by which theorem, at what rate."""
        return self._guarantee()

    @cached_property
    def error_bound(self) -> Any:
        """A proved bound on the distance of the profile to the equilibrium, or None where no certificate has one.

        It is the smallest one of ``nng.error_bounds``: ``error_bound.euclidean`` bounds |x - x*|_2 and
        ``error_bound.certificate`` says by which proof. Found when it is first asked for, which asks the certificates;
        None too for a result that was read from a file.
        """
        return self._error_bound(self.profile)

    @property
    def provenance(self) -> dict[str, Any]:
        """The versions, the seed and the options behind the result."""
        return {
            **versions(),
            "method": self.method,
            "options": plain(dict(self.options)),
            "seed": plain(self.seed),
        }

    def figures(self) -> dict[str, Any]:
        """Return how the run ended and its figures as plain data, without the profile and what is proved about it."""
        return {
            "method": self.method,
            "status": self.status.value,
            "message": self.message,
            "iterations": self.iterations,
            "evaluations": self.evaluations,
            "seconds": self.seconds,
            "residual": plain(self.residual),
            "scale": plain(self.scale),
            "tolerance": self.tolerance,
            "nash_gap": plain(self.nash_gap),
        }

    def to_dict(self, trace: bool = True) -> dict[str, Any]:
        """Return the result as plain JSON-ready data."""
        data = {
            **self.figures(),
            "profile": plain(self.profile),
            "guarantee": self.guarantee.to_dict(),
            "provenance": self.provenance,
        }
        if trace:
            data["trace"] = self.trace.to_dict()
        return data

    def plot(self, path: str | None = None) -> Any:
        """Draw residual and Nash gap against passes; save to ``path`` if given, and return the figure."""
        from nngames.report.plots import plot_results

        return plot_results({self.method: self}, path)


#: What ``Result.to_dict`` tells beside the trace.
REPORTED = (
    "method",
    "status",
    "message",
    "iterations",
    "evaluations",
    "seconds",
    "residual",
    "scale",
    "tolerance",
    "nash_gap",
    "profile",
    "guarantee",
    "provenance",
)


def without_proofs(result: Any) -> dict[str, Any]:
    """Return the state of a result but for what was proved about it when it was asked for."""
    return {name: value for name, value in vars(result).items() if name not in ("guarantee", "error_bound")}


def versions() -> dict[str, str]:
    """Return the versions that results here depend on."""
    import platform

    import scipy

    from nngames import __version__

    return {
        "nngames": __version__,
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "python": platform.python_version(),
    }


def empty_trace() -> Trace:
    """Return the trace of a run that made no step."""
    return Trace(np.empty(0), np.empty(0, dtype=int), np.empty(0))
