"""The picture of an improvement cycle: profiles around a circle, arrows with each mover and its gain."""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_lowercase
from typing import Any

import numpy as np

from nngames.core.profiles import Player
from nngames.games import Game
from nngames.report.figures import BLACK, PALETTE, legend_columns, literal
from nngames.report.words import action_words, gain_words, movers, player_words, profile_words
from nngames.results.cycle import Cycle, Deviation

#: Gains are written on the arrows up to this many steps, movers up to twice as many.
MOST_GAINS = 12
#: A profile of more characters is abbreviated by letters for its actions, or by its number.
MOST_CHARACTERS = 26
#: At most this many actions get letters.
MOST_LETTERS = 6


def draw_cycle(figure: Any, cycle: Cycle, game: Game) -> None:
    """Draw a cycle on an empty figure or subfigure."""
    axes = figure.subplots()
    count = len(cycle.deviations)
    players = movers(cycle, game.space)
    colours = {player: PALETTE[i % (len(PALETTE) - 1)] for i, player in enumerate(players)}
    labels, letters, numbered = _labels(cycle, game, players)
    angles = np.pi / 2 - 2 * np.pi * np.arange(count + 1) / count
    # Arrows end before the boxes, whose half width in units of the circle's radius grows with their text.
    gap = float(np.clip(0.03 + 0.0125 * max(map(len, labels)), 0.12 * 2 * np.pi / count, 0.36 * 2 * np.pi / count))
    for i, step in enumerate(cycle.deviations):
        _draw_step(axes, angles[i], angles[i + 1], gap, step, colours[step.mover], count)
        _draw_profile(axes, angles[i], labels[i], first=i == 0, small=numbered)
    axes.update_datalim([(-1.35, -1.2), (1.35, 1.2)])
    axes.margins(0)
    axes.autoscale_view()
    axes.set_aspect("equal", adjustable="datalim")
    axes.set_axis_off()
    axes.set_title(_title(cycle, game, players, numbered))
    handles = _handles(colours, letters, game)
    figure.legend(handles=handles, loc="outside lower center", ncols=legend_columns(handles, 7.0))


def _labels(cycle: Cycle, game: Game, players: Sequence[Player]) -> tuple[list[str], dict[str, str], bool]:
    """Return what to write at each profile, the letters that stand for actions, and whether these are mere numbers."""
    profiles = [step.before for step in cycle.deviations]
    if len(profiles) <= MOST_GAINS:
        full = [profile_words(game.space, profile, players, digits=3) for profile in profiles]
        if max(map(len, full)) <= MOST_CHARACTERS:
            return full, {}, False
        names: dict[bytes, str] = {}
        meaning: dict[str, str] = {}
        short = [
            ", ".join(_letter(game.space.actions(profile)[player], names, meaning) for player in players)
            for profile in profiles
        ]
        if len(meaning) <= MOST_LETTERS and max(map(len, short)) + 2 <= MOST_CHARACTERS:
            return [f"({words})" for words in short], meaning, False
    return [str(i + 1) for i in range(len(profiles))], {}, True


def _letter(action: Any, names: dict[bytes, str], meaning: dict[str, str]) -> str:
    """Return the letter of a vector, a new one if it has none; a number stands for itself."""
    if action.size == 1:
        return action_words(action)
    name = names.setdefault(action.tobytes(), ascii_lowercase[len(names) % 26])
    meaning.setdefault(name, action_words(action))
    return name


def _title(cycle: Cycle, game: Game, players: Sequence[Player], numbered: bool) -> str:
    kind = "best responses that lead" if cycle.best_responses else "deviations that lead"
    strict = "every move lowers its mover's cost" if cycle.strict else "no move raises its mover's cost"
    if numbered:
        shown = "the profiles are numbered"
    elif len(players) == len(game.players):
        shown = "boxes: all players' actions"
    else:
        shown = "boxes: the movers' actions"
    return f"{len(cycle.deviations)} {kind} back to the start ({cycle.cost} cost)\n{strict}; {shown}"


def _handles(colours: dict[Player, str], letters: dict[str, str], game: Game) -> list[Any]:
    from matplotlib.lines import Line2D

    shown = list(colours.items())[:MOST_GAINS]
    handles = [Line2D([], [], color=c, linewidth=2, label=literal(f"{player_words(p)} moves")) for p, c in shown]
    if len(colours) > len(shown):
        handles.append(Line2D([], [], linestyle="none", label=f"and {len(colours) - len(shown)} more"))
    handles += [Line2D([], [], linestyle="none", label=f"{name} = {words}") for name, words in letters.items()]
    return handles


def _draw_step(axes: Any, start: float, stop: float, gap: float, step: Deviation, colour: str, count: int) -> None:
    """Draw one arc, clockwise, with its mover and gain."""
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path

    turn = np.linspace(start - gap, stop + gap, 30)
    path = Path(np.column_stack([np.cos(turn), np.sin(turn)]))
    scale = 14 if count <= MOST_GAINS else 8
    axes.add_patch(FancyArrowPatch(path=path, arrowstyle="-|>", mutation_scale=scale, color=colour, linewidth=1.8))
    if count > 2 * MOST_GAINS:
        return
    name = literal(player_words(step.mover))
    gain = gain_words(step, digits=4).replace("at least ", "at least\n")
    words = f"{name}\ngains {gain}" if count <= MOST_GAINS else literal(str(step.mover))
    x, y = np.cos((start + stop) / 2), np.sin((start + stop) / 2)
    # Inside at the sides, outside elsewhere: the corners of the picture are free.
    inside = abs(x) > 0.85
    radius = 0.94 if inside else 1.04
    across = "center" if abs(x) < 0.2 else "right" if (x > 0) == inside else "left"
    upright = "center" if abs(y) < 0.2 else "top" if (y > 0) == inside else "bottom"
    axes.text(radius * x, radius * y, words, fontsize=9, color=colour, ha=across, va=upright, linespacing=1.1)


def _draw_profile(axes: Any, angle: float, words: str, first: bool, small: bool) -> None:
    fill = "#FFE9A8" if first else "#F5F5F5"
    box: dict[str, Any] = {
        "boxstyle": "circle,pad=0.2" if small else "round,pad=0.35",
        "facecolor": fill,
        "edgecolor": BLACK,
    }
    place: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 7 if small else 9}
    axes.text(np.cos(angle), np.sin(angle), literal(words), bbox=box, zorder=4, **place)
