"""What the tests of compiled passes share: the dense kernels, compiled with Numba or interpreted without it."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from nngames.networks.compiled import fused_anderson, fused_kernels, fused_newton
from nngames.solvers import loop


@pytest.fixture
def dense_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernels of small dense networks, in use."""
    kernels = SimpleNamespace(
        evaluate=fused_kernels.evaluate,
        relaxed_steps=fused_kernels.relaxed_steps,
        anderson_steps=fused_anderson.anderson_steps,
        newton_steps=fused_newton.newton_steps,
    )
    monkeypatch.setattr(loop, "installed", lambda: True)
    monkeypatch.setattr(loop, "kernels_come", lambda limited: True)
    monkeypatch.setattr(loop, "kernels", lambda limited: kernels)
