"""Runs that do not end by themselves, and interruptions at a chosen pass, for tests of what is kept then."""

from __future__ import annotations

from typing import Any

import pytest

import nngames as nng

#: A scenario whose first run ends at once and whose second takes for ever.
ENDLESS_SCENARIO = """\
name: slow
network:
  kind: recurrent
  layers:
    - {activation: tanh, weight: {rotation: 90, scale: 0.1}, bias: [0.1, 0]}
solve:
  methods:
    - {method: picard, label: first}
    - {method: km, relaxation: 1e-5, label: endless}
stopping: {tolerance: 1e-15, max_iterations: 1e9}
"""


def interrupt_composite(monkeypatch: pytest.MonkeyPatch, game: nng.NetworkGame, number: int) -> None:
    """Let the composite map of such games raise KeyboardInterrupt at the pass of that number."""
    view = type(game.fixed_point("composite"))
    original = view.evaluate
    calls: list[int] = []

    def broken(self: Any, x: Any, out: Any) -> Any:
        calls.append(0)
        if len(calls) == number:
            raise KeyboardInterrupt
        return original(self, x, out)

    monkeypatch.setattr(view, "evaluate", broken)
