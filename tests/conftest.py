"""What all tests share: plain passes, whether or not Numba is installed, so that every run is the same."""

from __future__ import annotations

import pytest

from nngames.networks import fused


@pytest.fixture(autouse=True, scope="session")
def _plain_passes() -> None:
    """Let no run compile its passes: after so many seconds of runs it would."""
    fused._process().installed = False
