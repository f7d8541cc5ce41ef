"""Scenarios: what a file asks for, checked, with the network and game built from it when they are needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nngames.games import FiniteGame
from nngames.networks import Network
from nngames.scenario.array_files import Folder
from nngames.scenario.arrays import ArraySource
from nngames.scenario.choices import Chosen
from nngames.scenario.schema import ScenarioSection
from nngames.scenario.sections import changed
from nngames.scenario.solve_sections import Stopping
from nngames.scenario.yaml_reader import Document

if TYPE_CHECKING:
    from nngames.training.prepared import PreparedSamples


@dataclass(frozen=True, eq=False)
class Scenario:
    """A scenario whose every key has been checked; ``load_scenario`` returns one.

    Attributes
    ----------
    section : ScenarioSection
        The keys with their values.
    document : Document
        The file they stand in, with their places.
    folder : Folder or None
        The files its arrays may come from; None for a scenario given as text.
    """

    section: ScenarioSection
    document: Document
    folder: Folder | None

    @property
    def name(self) -> str:
        """The scenario's name."""
        return self.section.name

    @property
    def description(self) -> str:
        """What the scenario shows."""
        return self.section.description

    @property
    def file(self) -> str:
        """The file as the user named it."""
        return self.document.file

    @property
    def seed(self) -> int:
        """The seed of its random arrays, its random start, and the methods that draw."""
        return self.section.seed

    @property
    def stopping(self) -> Stopping:
        """When its solvers stop."""
        return self.section.stopping

    @property
    def source(self) -> ArraySource:
        """Where its arrays come from."""
        return ArraySource(self.folder, self.section.seed)

    @property
    def summary(self) -> str:
        """What it describes, in a few words."""
        if self.training is not None:
            return self.training.summary
        given = self.section.network or self.section.game
        kind = f"{given.kind} network" if self.section.network else f"{given.kind} game"  # type: ignore[union-attr]
        if isinstance(self.game, FiniteGame):
            return f"{kind}, {len(self.game.players)} players, {self.game.size} profiles"
        return f"{kind}, {len(self.game.players)} players, profiles of {self.game.size} numbers"

    @property
    def methods(self) -> Sequence[Chosen]:
        """The methods that are to solve it."""
        return () if self.section.solve is None else self.section.solve.methods

    @property
    def given_methods(self) -> Sequence[Mapping[str, Any]]:
        """The methods that are to solve it, as ``compare`` takes them."""
        return [{"method": method.name, "label": method.label, **method.options} for method in self.methods]

    def portable(self) -> tuple[str, dict[str, Any]]:
        """Return the function, as module:name, and the plain data by which another process builds the scenario."""
        from nngames.scenario.portable import REBUILD, portable_data

        return REBUILD, portable_data(self)

    def content(self) -> str:
        """Return a hash of what its runs depend on: its game, start and seed, and the files its arrays come from."""
        return self._content

    @cached_property
    def _content(self) -> str:
        from nngames.scenario.portable import content_hash

        return content_hash(self)

    @cached_property
    def network(self) -> Network | None:
        """The network; None where the scenario gives a game.

        Raises
        ------
        ScenarioError
            If an array cannot be read or the parts do not fit.
        """
        from nngames.scenario.builder import build_network

        return build_network(self)

    @cached_property
    def training(self) -> PreparedSamples | None:
        """The samples and the training problem; None where the scenario gives a network or a game.

        Raises
        ------
        ScenarioError
            If an array cannot be read or the samples do not fit.
        MissingExtraError
            If they are of a data set that needs a package.
        """
        from nngames.scenario.training_builder import build_training

        return build_training(self)

    @cached_property
    def game(self) -> Any:
        """The game, a Game or a FiniteGame.

        Raises
        ------
        ScenarioError
            If an array cannot be read or the parts do not fit.
        """
        from nngames.scenario.builder import build_game

        return build_game(self)

    def game_of(self, method: str) -> Any:
        """Return the game that a method plays: the scenario's, but for training by back-propagation."""
        return self.game if self.training is None else self.training.game_of(method)

    def start_of(self, method: str) -> NDArray[np.floating[Any]] | None:
        """Return the profile of that game to start from; None for zero."""
        return self.start if self.training is None else self.training.start_of(method, self.start)

    @cached_property
    def start(self) -> NDArray[np.floating[Any]] | None:
        """The profile to start from; None for zero.

        Raises
        ------
        ScenarioError
            If it does not fit the game.
        """
        from nngames.scenario.builder import build_start

        return build_start(self)

    def with_changes(self, seed: int | None = None, **stopping: Any) -> Scenario:
        """Return the scenario with another seed or other stopping values; None changes nothing.

        Parameters
        ----------
        seed : int, optional
        **stopping
            ``tolerance``, ``max_iterations``, ``max_seconds``.

        Raises
        ------
        OptionError
            If a value is not valid.
        """
        changes: Mapping[str, Any] = {key: value for key, value in stopping.items() if value is not None}
        section = self.section if seed is None else changed(self.section, {"seed": seed})
        stopping_section = changed(section.stopping, changes)
        return replace(self, section=section.model_copy(update={"stopping": stopping_section}))
