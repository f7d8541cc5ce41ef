"""Where the verbs print: results on stdout as tables or as one JSON document, progress on stderr."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any

import typer

from nngames.core.plain import plain

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]


def say(line: str) -> None:
    """Print a line of progress."""
    print(f"nngames: {line}", file=sys.stderr, flush=True)


def emit_json(data: Any) -> None:
    """Print data on stdout as one JSON document."""
    print(json.dumps(plain(data), indent=2, allow_nan=False))


def emit(report: Any, as_json: bool) -> None:
    """Print a report on stdout."""
    if as_json:
        emit_json(report.to_dict())
        return
    from rich.console import Console

    from nngames.report.terminal import render

    render(report, Console(highlight=False))
