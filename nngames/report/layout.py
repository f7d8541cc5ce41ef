"""How reports are laid out: aligned columns and headings, folded on a terminal, one line a row everywhere else.

Nothing is ever cut: on a terminal long cells go on in the next line; off one a row is as long as it must be, without
colour and without trailing blanks.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from typing import Any

#: A cell: a text, or a text with a style of rich.
Cell = str | tuple[str, str]

#: Wide enough that no row is folded off a terminal.
_UNFOLDED = 100_000
_COLOURS = {
    "PROVED": "green",
    "REFUTED": "red",
    "UNDECIDED": "yellow",
    "converged": "green",
    "skipped": "dim",
    "met": "green",
    "NOT MET": "bold red",
    "not asked": "dim",
}


def coloured(word: str, default: str = "") -> Cell:
    """Return a status with its colour."""
    return (word, _COLOURS.get(word, default))


def heading(console: Any, words: str) -> None:
    """Print an empty line and a heading."""
    console.print()
    line(console, words, "bold")


def line(console: Any, words: str, style: str = "", indent: int = 0) -> None:
    """Print one text; on a terminal it is folded with its indent."""
    columns(console, [[(words, style)]], indent=indent)


def columns(
    console: Any,
    rows: Iterable[Sequence[Cell]],
    header: Sequence[str] | None = None,
    right: Iterable[int] = (),
    indent: int = 2,
) -> None:
    """Print aligned columns.

    Parameters
    ----------
    console : rich.console.Console
    rows : sequence of sequences of cells
    header : sequence of str, optional
    right : sequence of int
        The columns that are aligned on the right.
    indent : int
    """
    given = [list(row) for row in rows]
    if not given:
        return
    roomy = _table(given, header, set(right), indent, gap=2)
    tight = console.is_terminal and console.measure(roomy).maximum > console.width
    _print(console, _table(given, header, set(right), indent, gap=1) if tight else roomy)


def _table(given: list[list[Cell]], header: Sequence[str] | None, right: set[int], indent: int, gap: int) -> Any:
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=header is not None, pad_edge=False, padding=(0, gap, 0, 0), header_style="dim")
    for i in range(max(map(len, given))):
        name = header[i] if header is not None else ""
        table.add_column(Text(name), justify="right" if i in right else "left", overflow="fold")
    for row in given:
        # Text, not markup: brackets in a player's name are brackets.
        table.add_row(*(Text(cell) if isinstance(cell, str) else Text(*cell) for cell in row))
    return Padding(table, (0, 0, 0, indent), expand=False)


def _print(console: Any, content: Any) -> None:
    if console.is_terminal:
        console.print(content)
        return
    from rich.console import Console

    plain = Console(file=io.StringIO(), width=_UNFOLDED, color_system=None, highlight=False, force_terminal=False)
    plain.print(content)
    for row in plain.file.getvalue().splitlines():  # type: ignore[attr-defined]
        console.out(row.rstrip(), highlight=False)
