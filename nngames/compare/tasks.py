"""The tasks of a comparison: its runs in the order in which they are made, and what each one is to another process."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

from nngames.compare.cases import Case
from nngames.core.plain import plain
from nngames.results.result import versions


@dataclass(frozen=True, eq=False)
class Task:
    """One run.

    Attributes
    ----------
    case : Case
    label : str
        The method's.
    repeat : int
    fresh : bool
        Whether it has a process of its own.
    """

    case: Case
    label: str
    repeat: int
    fresh: bool = False

    @property
    def keep(self) -> bool:
        """Whether profile and trace are kept: repetitions have the same."""
        return self.repeat == 0

    def key(self, pinned: bool) -> dict[str, Any]:
        """Return everything that the run depends on."""
        method = self.case.portable(self.label)
        return {
            "scenario": self.case.subject.content(),
            "method": method.name,
            "options": method.options,
            **plain(self.case.arguments),
            "repeat": self.repeat,
            "pinned": pinned,
            "fresh": self.fresh,
            "versions": {**versions(), **_peer(method.name)},
        }

    def payload(self) -> str:
        """Return the run as text from which another process can make it."""
        method = self.case.portable(self.label)
        rebuild, data = self.case.subject.portable()
        return json.dumps(
            {
                "rebuild": rebuild,
                "data": data,
                "case": self.case.subject.content(),
                "method": method.name,
                "options": method.options,
                "arguments": plain(self.case.arguments),
                "keep": self.keep,
                "versions": versions(),
            }
        )


def queues_of(cases: Sequence[Case], repeat: int, fresh: bool) -> list[list[Task]]:
    """Return the runs of each case: repetition by repetition, so that all methods meet the same conditions."""
    return [
        [Task(case, label, number, fresh and number == 0) for number in range(repeat) for label in case.schemes]
        for case in cases
    ]


def _peer(method: str) -> Mapping[str, str | None]:
    """Return the version of the package behind a method such as ``scipy:krylov``, and of the compiler if there."""
    return {name: _installed(name) for name in ("numba", *([method.split(":")[0]] if ":" in method else []))}


@cache
def _installed(package: str) -> str | None:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return None


class Backend(Protocol):
    """Something that makes runs: this process, workers on this machine, or a cluster."""

    def execute(self, queues: Sequence[Sequence[Task]], watch: Watch) -> None:
        """Make all runs; those of one queue in order, one at a time."""


class Watch(Protocol):
    """What a backend tells."""

    def began(self, task: Task) -> None:
        """Take note that a run began."""

    def ended(self, task: Task, record: Mapping[str, Any], finished: bool = True) -> None:
        """Take note of a run's record; ``finished`` is False if its process died."""
