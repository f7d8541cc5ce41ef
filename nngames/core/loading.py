"""Ctrl-C while the ``nngames`` command is still loading: a word and the exit code 130.

Importing this module, first of all, puts that in place; the command calls ``loaded`` when it is there. The exception of
Ctrl-C would print a traceback through half-loaded modules, and some of them turn it into another. In other programs
nothing is changed.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from itertools import pairwise
from typing import Any


def _leave(number: int, frame: Any) -> None:
    os.write(2, b"interrupted\n")
    # Without the clean-up of modules that are half loaded.
    os._exit(130)


def _is_command() -> bool:
    as_module = ("-m", "nngames") in pairwise(sys.orig_argv)
    return as_module or os.path.basename(sys.argv[0] if sys.argv else "") in ("nngames", "nngames.exe")


def loaded() -> None:
    """Let Ctrl-C raise KeyboardInterrupt again."""
    if signal.getsignal(signal.SIGINT) is _leave:
        signal.signal(signal.SIGINT, signal.default_int_handler)


if (
    _is_command()
    and threading.current_thread() is threading.main_thread()
    and signal.getsignal(signal.SIGINT) is signal.default_int_handler
):
    signal.signal(signal.SIGINT, _leave)
