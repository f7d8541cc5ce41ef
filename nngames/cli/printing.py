"""Where the verbs print: results on stdout as tables or as one JSON document, progress on stderr."""

from __future__ import annotations

import json
import sys
from typing import Any


def say(line: str) -> None:
    """Print a line of progress."""
    print(f"nngames: {line}", file=sys.stderr, flush=True)


def emit(report: Any, as_json: bool) -> None:
    """Print a report on stdout."""
    if as_json:
        emit_json(report.to_dict())
        return
    from nngames.report.terminal import render

    render(report, console())


def emit_json(data: Any) -> None:
    """Print plain data on stdout as one JSON document."""
    print(json.dumps(data, indent=2, allow_nan=False))


def console() -> Any:
    """Return the console of stdout: colours on a terminal only, and lines that are never folded off one."""
    from rich.console import Console

    terminal = sys.stdout.isatty()
    return Console(highlight=False, no_color=not terminal, width=None if terminal else 160)
