"""The parts of a scenario while it is built: its arrays, and the complaints met on the way, each at its place."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nngames.core.errors import InputError, NNGamesError
from nngames.core.operators import as_linear_map
from nngames.scenario.arrays import load_matrix, load_vector
from nngames.scenario.problems import Path, Problem, ScenarioError

if TYPE_CHECKING:
    from nngames.scenario.scenario import Scenario

Array = NDArray[np.floating[Any]]

#: The most entries of all arrays together: 256 MB.
TOTAL_ENTRIES = 32_000_000


class Parts:
    """The arrays of a scenario, with the problems met on the way."""

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self._problems: list[Problem] = []
        self._entries = 0

    def report(self, path: Path, message: object) -> None:
        """Note a complaint at ``path``."""
        self._problems.append(self._scenario.document.problem(path, str(message)))

    def finish(self) -> None:
        """Raise what was reported."""
        if self._problems:
            raise ScenarioError(self._problems)

    def content(self, name: str) -> bytes:
        """Return the bytes of a file that the scenario may read."""
        if self._scenario.folder is None:
            raise InputError("a scenario given as text has no folder to read files from")
        return self._scenario.folder.content(name)

    def matrix(self, given: Any, path: Path) -> Array | None:
        """Return the matrix that stands at ``path``, or report what is wrong with it and return None."""
        return self.tried(path, lambda: self._admitted(load_matrix(given, self._scenario.source, path)))

    def vector(self, given: Any, path: Path) -> Array | None:
        """Return the vector that stands at ``path``, None where there is none, or report what is wrong with it."""
        return (
            None
            if given is None
            else self.tried(path, lambda: self._admitted(load_vector(given, self._scenario.source, path)))
        )

    def zeros(self, size: int, path: Path) -> Array | None:
        """Return zeros, unless they are too many."""
        return self.tried(path, lambda: self._admitted(np.zeros(size)))

    def _admitted(self, array: Array) -> Array:
        self._entries += array.size
        if self._entries > TOTAL_ENTRIES:
            raise InputError(f"the scenario's arrays have more than {TOTAL_ENTRIES} entries together")
        return array

    def tried(self, path: Path, make: Callable[[], Any]) -> Any:
        """Return what ``make`` returns, or report its complaint at ``path`` and return None."""
        try:
            return make()
        except NNGamesError as error:
            self.report(path, error)
            return None

    def built(self, path: Path, make: Callable[[], Any]) -> Any:
        """Return what ``make`` returns, or raise its complaint at ``path``."""
        result = self.tried(path, make)
        self.finish()
        return result

    def check_shape(self, weight: Array | None, what: str, shape: tuple[int | None, int | None], path: Path) -> None:
        """Report a weight of another shape."""
        if weight is not None:
            self.tried(path, lambda: as_linear_map(weight, what, shape))

    def bias(self, given: Any, size: int | None, player: Any, path: Path) -> Array | None:
        """Return the bias, zero where none is given; report it where its length is not ``size``."""
        bias = self.vector(given, path)
        if bias is None:
            return None if size is None else self.zeros(size, path)
        if size is not None and bias.shape != (size,):
            self.report(path, f"the bias of {player} has shape {bias.shape}; expected ({size},)")
        return bias

    def check_size(self, activation: Any, size: int | None, path: Path) -> None:
        """Report an activation that takes another size."""
        if size is not None:
            self.tried(path, lambda: activation.check_size(size))
