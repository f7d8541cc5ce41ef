"""What a result says of its residual is recomputed at its profile, whatever the scheme believed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pytest

import nngames as nng
from nngames.core.profiles import Array
from nngames.solvers.picard import Picard
from nngames.solvers.solver import State


@dataclass(frozen=True)
class Flattered(Picard):
    """Picard, but every state says that its residual is ``CLAIMED``."""

    CLAIMED: ClassVar[float] = 1e-30

    def start(self, problem: Any, x0: Array) -> State:
        """Return the start with the claim."""
        return replace(super().start(problem, x0), residual=self.CLAIMED)

    def step(self, problem: Any, state: State) -> State:
        """Return the next state with the claim."""
        return replace(super().step(problem, state), residual=self.CLAIMED)


def game() -> nng.NetworkGame:
    """Return a ring of two scalar layers whose composite map is x -> x/4 + 1."""
    return nng.Network.ring([[[0.5]], [[0.5]]], [[0.0], [1.0]], ["identity", "identity"]).game()


@pytest.mark.parametrize("most", [0, 3])
def test_a_scheme_that_flatters_itself_has_not_converged(most: int) -> None:
    """The status and the residual are those of the profile."""
    result = nng.solve(game(), Flattered(), max_iterations=most)
    x, y = result.profile
    assert result.residual == pytest.approx(np.hypot(y / 2 - x, x / 2 + 1 - y), rel=1e-12)
    assert result.residual > 1e-3
    assert result.status == "max_iterations"


def test_it_has_converged_once_its_profile_has() -> None:
    """The run goes on until the recomputed residual is within the tolerance: at (2/3, 4/3)."""
    result = nng.solve(game(), Flattered(), max_iterations=100)
    assert result.status == "converged"
    assert result.residual <= result.tolerance * result.scale
    np.testing.assert_allclose(result.profile, [2 / 3, 4 / 3], rtol=1e-8)
