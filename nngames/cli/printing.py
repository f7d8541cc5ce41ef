"""Where the verbs print: results on stdout as tables or as one JSON document, progress on stderr."""

from __future__ import annotations

import json
import sys
from typing import Any

from nngames.core.plain import plain


def say(line: str) -> None:
    """Print a line of progress."""
    print(f"nngames: {line}", file=sys.stderr, flush=True)


def emit(report: Any, as_json: bool) -> None:
    """Print a report on stdout."""
    if as_json:
        print(json.dumps(plain(report.to_dict()), indent=2, allow_nan=False))
        return
    from rich.console import Console

    from nngames.report.terminal import render

    render(report, Console(highlight=False))
