"""What all tests share: plain passes, whether or not Numba is installed, and Ctrl-C as users have it."""

from __future__ import annotations

import signal

import pytest

from nngames.networks.compiled import loading


@pytest.fixture(autouse=True, scope="session")
def _plain_passes() -> None:
    """Let no run compile its passes: after so many seconds of runs it would."""
    loading._process().installed = False


@pytest.fixture(autouse=True, scope="session")
def _interruptible() -> None:
    """Let processes that tests start take Ctrl-C, which those of a shell's background job inherit as ignored."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
