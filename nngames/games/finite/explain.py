"""A finite game in words: its players, their strategies, and what each profile costs them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nngames.core.errors import check_choice

if TYPE_CHECKING:
    from nngames.games.finite_game import FiniteGame

#: The most profiles whose costs are printed.
_LISTED = 64
_ESCAPES = str.maketrans({**{c: f"\\{c}" for c in "&%$#_{}"}, "\\": r"\textbackslash{}", "^": r"\^{}", "~": r"\~{}"})


def explain_finite(game: FiniteGame, format: str) -> str:
    """Return the text, or the LaTeX code, that explains a finite game."""
    check_choice("format", format, ("text", "latex"))
    head, rows = ["profile", *(f"J_{player}" for player in game.players)], []
    if game.size <= _LISTED:
        for profile in np.ndindex(*game.sizes):
            costs = [str(game.cost(player, profile)) for player in game.players]
            rows.append([f"({', '.join(game.names(profile))})", *costs])
    if format == "latex":
        head = ["profile", *(rf"$J_{{\mathrm{{{_escaped(str(player))}}}}}$" for player in game.players)]
        lines = [" & ".join(map(_escaped, row)) + r" \\" for row in rows]
        columns = "l" + "r" * len(game.players)
        return "\n".join([rf"\begin{{tabular}}{{{columns}}}", " & ".join(head) + r" \\", *lines, r"\end{tabular}"])
    lines = [f"A finite game of {len(game.players)} players, who pay costs (minus their payoffs)."]
    for player, names in zip(game.players, game.strategies, strict=True):
        shown = ", ".join(names[:_LISTED]) + (", ..." if len(names) > _LISTED else "")
        lines.append(f"  player {player}: {shown}")
    if not rows:
        return "\n".join([*lines, f"Its {game.size} profiles are too many to list their costs."])
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    for row in [head, *rows]:
        lines.append("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    return "\n".join(lines)


def _escaped(text: str) -> str:
    return text.translate(_ESCAPES)
