"""The cases of a comparison: games or scenarios with a seed, each with its methods and its target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from nngames.compare.bounds import bound_curve
from nngames.compare.execution import without_run
from nngames.compare.methods import Method, Portable, Scheme, distinct, labelled, portable
from nngames.core.errors import NNGamesError, OptionError
from nngames.core.profiles import Array, Profile
from nngames.core.seeds import Seed
from nngames.core.verdicts import Verdict
from nngames.games import Game
from nngames.results.bound_curve import BoundCurve
from nngames.results.result import Result, Status
from nngames.solvers import registry
from nngames.solvers.automatic.auto import Auto
from nngames.solvers.loop import check_stopping
from nngames.solvers.solver import MAX_ITERATIONS, TOLERANCE, check_game, no_guarantee

#: What solves a game where the caller names no methods.
DEFAULT_METHODS = ("best_response", "km", "extragradient")


@dataclass(frozen=True)
class Target:
    """The arguments of ``solve`` that are the same for all methods; None where a scenario's own value is meant."""

    start: Profile | None = None
    tolerance: float | None = None
    max_iterations: int | None = None
    max_seconds: float | None = None
    seed: Seed = None
    trace_nash_gap: bool = False

    def checked(self) -> Target:
        """Return the target; raise OptionError unless its stopping values are usable."""
        check_stopping(
            TOLERANCE if self.tolerance is None else self.tolerance,
            MAX_ITERATIONS if self.max_iterations is None else self.max_iterations,
            self.max_seconds,
        )
        return self


@dataclass(frozen=True, eq=False)
class Case:
    """A game or scenario with a seed.

    Attributes
    ----------
    game : str
        Its label.
    seed : int or None
        Given where the comparison has several seeds.
    subject : Game or scenario
    schemes : mapping label -> solver or "auto"
    arguments : mapping
        Of ``solve``.
    """

    game: str
    seed: int | None
    subject: Any
    schemes: Mapping[str, Scheme]
    arguments: Mapping[str, Any]
    _portable: dict[str, Portable] = field(default_factory=dict, repr=False)

    @property
    def bare(self) -> bool:
        """Whether it is a game that only this process has."""
        return isinstance(self.subject, Game)

    @property
    def name(self) -> str:
        """The label, with the seed where there are several."""
        return self.game if self.seed is None else f"{self.game} (seed {self.seed})"

    @property
    def built(self) -> Game:
        """The game itself."""
        return self.subject if self.bare else self.subject.game

    def portable(self, label: str) -> Portable:
        """Return one of its methods as another process can build it."""
        if label not in self._portable:
            self._portable[label] = portable(self.schemes[label])
        return self._portable[label]

    def unrun(self, label: str, status: Status, reason: str) -> Result:
        """Return the result of a run that was not made."""
        return without_run(self.schemes[label], status, reason, self.arguments)

    def guarantee(self, label: str) -> Verdict:
        """Return what is proved about a run that was made somewhere else."""
        scheme = self.schemes[label]
        try:
            return (Auto() if isinstance(scheme, str) else scheme).guarantee(self.built)
        except NNGamesError as error:
            return no_guarantee(str(error))

    def bound(self, label: str, result: Result, equilibrium: Array) -> BoundCurve | None:
        """Return the proved bound on the course of a run."""
        scheme, start = self.schemes[label], self.arguments.get("start")
        if isinstance(scheme, str):
            # The course of a run through several schemes has no rate.
            return None
        if start is None and not self.bare:
            start = self.subject.start
        return bound_curve(self.built, start, scheme, result, equilibrium)


def cases_of(given: Any, methods: Sequence[Method] | None, target: Target, seeds: Sequence[int] | None) -> list[Case]:
    """Return the cases of a comparison, in order.

    Parameters
    ----------
    given : Game, scenario, sequence of scenarios, or mapping label -> Game or scenario
    methods : sequence or None
        None: a scenario's own, or all where it names none; of a game, ``DEFAULT_METHODS``.
    target : Target
    seeds : sequence of int or None

    Raises
    ------
    InputError, UnknownNameError, OptionError
        If a game, a method or a value is not usable.
    """
    chosen = None if methods is None else labelled(methods)
    return [
        (_of_scenario if is_scenario(subject) else _of_game)(
            label, subject, seed, chosen, target if seed is None else replace(target, seed=seed)
        )
        for label, subject in _subjects(given).items()
        for seed in (seeds or (None,))
    ]


def _of_game(label: str, game: Game, seed: int | None, chosen: Mapping[str, Scheme] | None, target: Target) -> Case:
    arguments = _arguments(target, target.start, TOLERANCE, MAX_ITERATIONS, target.max_seconds, target.seed)
    return Case(label, seed, game, chosen or labelled(DEFAULT_METHODS), arguments)


def _of_scenario(
    label: str, scenario: Any, seed: int | None, chosen: Mapping[str, Scheme] | None, target: Target
) -> Case:
    if isinstance(target.seed, np.random.Generator):
        raise OptionError("a scenario's seed is a whole number; got a Generator")
    changes = {
        name: getattr(target, name)
        for name in ("seed", "tolerance", "max_iterations", "max_seconds")
        if getattr(target, name) is not None
    }
    subject = scenario.with_changes(**changes) if changes else scenario
    schemes = chosen or labelled([*subject.given_methods] or own_methods())
    stopping = subject.stopping
    arguments = _arguments(
        target,
        None if target.start is None else np.asarray(subject.game.space.array(target.start, what="start")),
        stopping.tolerance,
        stopping.max_iterations,
        stopping.max_seconds,
        subject.seed,
    )
    return Case(label, seed, subject, schemes, arguments)


def own_methods() -> list[str]:
    """Return the registered schemes, without those of other packages, which are named like ``scipy:krylov``."""
    return [name for name in registry.names() if ":" not in name]


def _arguments(
    target: Target, start: Any, tolerance: float, max_iterations: int, max_seconds: float | None, seed: Seed
) -> dict[str, Any]:
    return {
        "start": start,
        "tolerance": tolerance if target.tolerance is None else target.tolerance,
        "max_iterations": max_iterations if target.max_iterations is None else target.max_iterations,
        "max_seconds": max_seconds,
        "seed": seed,
        "trace_nash_gap": target.trace_nash_gap,
    }


def is_scenario(value: Any) -> bool:
    """Return whether a value describes a game that another process can build."""
    return hasattr(value, "portable") and hasattr(value, "with_changes")


def _subjects(given: Any) -> dict[str, Any]:
    """Return games and scenarios by distinct labels."""
    if isinstance(given, Mapping):
        for label, subject in given.items():
            if not is_scenario(subject):
                check_game(subject)
            if not isinstance(label, str):
                raise OptionError(f"games are labelled by strings; got {label!r}")
        if not given:
            raise OptionError("there is no game to compare on")
        return dict(given)
    if is_scenario(given):
        return {str(given.name): given}
    if isinstance(getattr(given, "game", None), Game):
        return {str(given.name): given.game}
    if isinstance(given, list | tuple) and given and all(map(is_scenario, given)):
        return dict(zip(distinct([str(scenario.name) for scenario in given]), given, strict=True))
    return {"game": check_game(given)}
