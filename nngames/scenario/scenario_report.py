"""The report on a scenario: results, checks and expectations, and whether all is as expected."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from nngames.checks.check import Report
from nngames.core.files import write_atomic
from nngames.core.plain import plain
from nngames.games import FiniteGame
from nngames.results.comparison import Comparison, Row
from nngames.results.result import Result
from nngames.scenario.expectations import Statement
from nngames.scenario.saved import DOCUMENT, document_of
from nngames.scenario.scenario import Scenario


@dataclass(frozen=True)
class NotApplicable:
    """The report of a check that cannot take the game.

    Attributes
    ----------
    reason : str
    """

    reason: str

    def to_dict(self) -> dict[str, Any]:
        """Return the reason."""
        return {"status": "skipped", "message": self.reason}


@dataclass(frozen=True, eq=False)
class ScenarioReport:
    """What a run of a scenario found.

    Attributes
    ----------
    scenario : Scenario
    results : mapping label -> Result
        One for each method; skipped and failed runs have one too, with the reason.
    checks : mapping name -> report
        One for each check; each has ``to_dict()``.
    expectations : sequence of Statement
    """

    scenario: Scenario
    results: Mapping[str, Result]
    checks: Mapping[str, Report]
    expectations: Sequence[Statement] = ()

    @property
    def comparison(self) -> Comparison:
        """The results side by side."""
        return Comparison(tuple(Row(self.scenario.name, label, 0, result) for label, result in self.results.items()))

    @property
    def unexpected(self) -> tuple[str, ...]:
        """The labels of the solves that did not converge, where no expectation states it."""
        stated = {statement.what for statement in self.expectations}
        return tuple(
            label
            for label, result in self.results.items()
            if not result.converged and f"solve.{label}.status" not in stated
        )

    @property
    def ok(self) -> bool:
        """Whether every expectation is met and every solve converged, or was expected not to."""
        return not self.unexpected and all(statement.met is not False for statement in self.expectations)

    def to_dict(self, trace: bool = False) -> dict[str, Any]:
        """Return the report as plain JSON-ready data: what the paths of ``expect`` lead into."""
        return {
            **self.findings(trace),
            **({DOCUMENT: plain(document_of(self.scenario))} if self.results else {}),
            "expect": plain([statement.to_dict() for statement in self.expectations]),
            "ok": self.ok,
        }

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the report as JSON, at once or not at all; ``nngames check`` verifies its results from that file alone.

        It carries the scenario's text, seed and array files beside the profiles.
        """
        return write_atomic(path, json.dumps(self.to_dict(trace=True), indent=2, ensure_ascii=False) + "\n")

    def findings(self, trace: bool = False) -> dict[str, Any]:
        """Return what was found, without the expectations."""
        return {
            "scenario": self._scenario_words(),
            "game": self._game_words(),
            "solve": plain({label: result.to_dict(trace=trace) for label, result in self.results.items()}),
            **self._training_words(self.trained),
            **{name: plain(report.to_dict()) for name, report in self.checks.items()},
        }

    def findings_at(self, paths: Sequence[str]) -> dict[str, Any]:
        """Return the part of ``findings`` that some paths lead into: what nobody asks for is not proved."""
        solves = {
            label: plain(result.to_dict(trace=False) if keys - result.figures().keys() else result.figures())
            for label, result in self.results.items()
            if (keys := {path.removeprefix(f"solve.{label}.") for path in paths if path.startswith(f"solve.{label}")})
        }
        return {
            "scenario": self._scenario_words(),
            **({"game": self._game_words()} if any(path.split(".")[0] == "game" for path in paths) else {}),
            "solve": solves,
            **self._training_words(
                label for label in self.trained if any(path.startswith(f"training.{label}") for path in paths)
            ),
            **{name: plain(report.to_dict()) for name, report in self.checks.items()},
        }

    @property
    def trained(self) -> tuple[str, ...]:
        """The labels of the runs that trained a network."""
        if self.scenario.training is None:
            return ()
        return tuple(label for label, result in self.results.items() if np.isfinite(result.profile).all())

    def outcome(self, label: str) -> Any:
        """Return what a training run came to."""
        if label not in self._outcomes:
            training = self.scenario.training
            assert training is not None  # noqa: S101 - only asked of those in ``trained``
            self._outcomes[label] = training.outcome(self.results[label].profile)
        return self._outcomes[label]

    @cached_property
    def _outcomes(self) -> dict[str, Any]:
        return {}

    def _training_words(self, labels: Iterable[str]) -> dict[str, Any]:
        outcomes = {label: plain(self.outcome(label).to_dict()) for label in labels}
        return {"training": outcomes} if outcomes else {}

    def _scenario_words(self) -> dict[str, Any]:
        return {
            "name": self.scenario.name,
            "description": self.scenario.description.strip(),
            "source": self.scenario.section.source.strip(),
            "seed": self.scenario.section.seed,
            "file": self.scenario.file,
        }

    def _game_words(self) -> dict[str, Any]:
        game = self.scenario.game
        # Numbers in an action, or strategies of a player.
        sizes = game.sizes if isinstance(game, FiniteGame) else game.dims.values()
        return {
            "players": [str(player) for player in game.players],
            "sizes": dict(zip(map(str, game.players), sizes, strict=True)),
            "size": game.size,
            "cost": game.cost_name,
        }

    def plot(self, path: str | os.PathLike[str] | None = None) -> Any:
        """Draw the scenario's picture; save it to ``path`` if given, and return the figure."""
        from nngames.report.plots import plot_report

        return plot_report(self, path)
