"""The memory of a run is given back when it ends, without the collector of cycles, and mapped anew by no other run."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import nngames as nng
from nngames.solvers import registry
from nngames.solvers.automatic.auto import Auto


@pytest.fixture
def uncollected() -> Iterator[None]:
    """No cycle is collected."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def game(scale: float = 1.0) -> nng.NetworkGame:
    """Return the game of a ring whose composite map turns, so that plain passes do not end."""
    rng = np.random.default_rng(0)
    first, second = (np.linalg.qr(rng.standard_normal((12, 12)))[0] for _ in range(2))
    return nng.Network.ring([scale * first, second], [rng.standard_normal(12) for _ in range(2)], ["tanh"] * 2).game()


@pytest.mark.usefixtures("uncollected")
@pytest.mark.parametrize("name", ["auto", "picard", "km", "anderson", "broyden", "newton", "spectral", "golden_ratio"])
@pytest.mark.parametrize("scale", [0.5, 1.0, 40.0])
def test_a_problem_ends_with_its_run(monkeypatch: pytest.MonkeyPatch, name: str, scale: float) -> None:
    made: list[weakref.ref[Any]] = []
    solver = Auto() if name == "auto" else registry.create(name)
    make = type(solver).problem

    def noted(self: Any, *arguments: Any) -> Any:
        problem = make(self, *arguments)
        made.append(weakref.ref(problem))
        return problem

    monkeypatch.setattr(type(solver), "problem", noted)
    result = nng.solve(game(scale), solver, max_iterations=300)
    assert result.iterations > 1
    assert made
    assert not any(reference() for reference in made)
