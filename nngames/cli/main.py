"""The command's entry point: it runs a verb and turns every outcome into an exit code.

0 done and every expectation met; 1 an expectation not met, or a solve not converged that no expectation states;
2 bad input; 3 internal error; 130 interrupted.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence

import typer

from nngames.cli.app import app
from nngames.core.errors import NNGamesError
from nngames.core.loading import loaded

#: The class of typer's complaints about arguments; typer exports its subclass only.
_USAGE_ERROR: type[Exception] = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")


def main() -> None:
    """Run the command with the process's arguments and exit."""
    loaded()
    for stream in (sys.stdout, sys.stderr):
        # A name that the terminal's encoding cannot show is shown escaped.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    code = run(sys.argv[1:])
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        code = _closed_pipe()
    sys.exit(code)


def run(arguments: Sequence[str]) -> int:
    """Run the command with ``arguments`` and return its exit code; errors are told on stderr."""
    try:
        code = int(app(args=list(arguments), prog_name="nngames", standalone_mode=False) or 0)
        # Some versions of typer turn Ctrl-C into this code, others into an exception.
        return _tell("interrupted", code) if code == 130 else code
    except (KeyboardInterrupt, typer.Abort):
        return _tell("interrupted", 130)
    except _USAGE_ERROR as error:
        return _tell(f"nngames: {_usage(error)}", 2)
    except NNGamesError as error:
        return _tell(str(error), 2)
    except (BrokenPipeError, SystemExit):
        # typer and rich leave with SystemExit(1) when the reader of stdout has gone, and never else.
        return _closed_pipe()
    except OSError as error:
        return _tell(f"nngames: {error.strerror or error}: {error.filename or 'the output'}", 2)
    except Exception as error:
        if os.environ.get("NNGAMES_DEBUG") == "1":
            raise
        name = type(error).__name__
        return _tell(
            f"nngames: internal error: {name}: {error}\n"
            "This is a fault of nngames, not of your input. Please report it with the command and the file you gave; "
            "NNGAMES_DEBUG=1 shows where it happened.",
            3,
        )


def _tell(message: str, code: int) -> int:
    print(message, file=sys.stderr)
    return code


def _usage(error: Exception) -> str:
    message = error.format_message() if hasattr(error, "format_message") else str(error)
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "nngames"
    return f"{message} (see {path} --help)"


def _closed_pipe() -> int:
    # The reader of stdout has gone; what is still buffered has nowhere to go.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 141
