"""The panels of the activations' sheets: a curve, slopes with their exact range, or words in an empty one."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from nngames.activations import Activation
from nngames.activations.foundations.slopes import SlopeEnd
from nngames.report.activation_curves import Array, Curve, sensible_limits, trace, values_at
from nngames.report.figures import BLUE, GREY, PALE, SKY, VERMILLION, literal

#: The ends of an interval beyond which nothing is drawn.
Ends = tuple[float, float]
LINE: Ends = (-math.inf, math.inf)

#: Characters of a line of text in a panel, and the line's height as a part of the panel's.
_LINE, _TEXT = 46, 0.1
#: The colour of what is beyond an end.
_STRIP = "#EBEBEB"
#: The width of what is beyond an end, as a part of the window's.
_BEYOND = 0.13


def draw_curve(axes: Any, curve: Curve, title: str, across: str, ends: Ends = LINE, beyond: str = "") -> None:
    """Draw curves; what is beyond the ends is grey and named."""
    single = ends[0] == ends[1]
    axes.plot(curve.x, curve.y, color=BLUE, linewidth=1.6, marker="o" if single else None)
    for x, upwards in curve.cuts:
        edge = curve.upper if upwards else curve.lower
        axes.plot([x], [edge], "^" if upwards else "v", color=BLUE, markersize=4.5, clip_on=False)
    _frame(axes, title, across)
    window = (float(np.nanmin(curve.x)), float(np.nanmax(curve.x)))
    _beyond(axes, window, ends, beyond)
    room = 0.08 * (curve.upper - curve.lower)
    axes.set_ylim(curve.lower - room, curve.upper + room)


def draw_slopes(
    axes: Any,
    function: Callable[[Array], Array],
    grid: Array,
    a: Activation,
    title: str,
    across: str,
    ends: Ends = LINE,
    beyond: str = "",
) -> None:
    """Draw slopes in the band of their exact range, whose ends are dashed and named above and below.

    On a side without bound the band goes on to the panel's edge.
    """
    least, most = sensible_limits(grid, values_at(function, grid), flat_room=0.0)
    low, high = a.slope_range
    # A slope outside the range would be seen.
    bottom, top = (low if low > -math.inf else least), (high if high < math.inf else most)
    bottom, top = min(bottom, least), max(top, most)
    span = top - bottom or max(1.0, abs(top))
    draw_curve(axes, trace(function, grid, (bottom - 1e-9 * span, top + 1e-9 * span)), title, across, ends, beyond)
    texts = [literal(text) for text, _ in end_texts(a)]
    below, above = (0.08 + _TEXT * (text.count("\n") + 1) for text in texts)
    scale = span / (1 - below - above)
    edges = bottom - below * scale, top + above * scale
    axes.set_ylim(*edges)
    axes.axhspan(max(low, edges[0]), min(high, edges[1]), color=SKY, alpha=0.25, linewidth=0, zorder=0.5)
    for value, edge, text, side in zip((low, high), (bottom, top), texts, (-1, 1), strict=True):
        if math.isfinite(value):
            axes.axhline(value, color=VERMILLION, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
        axes.annotate(
            text,
            (0.5, edge),
            (0, 2.5 * side),
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            ha="center",
            va="bottom" if side > 0 else "top",
            fontsize=7,
            linespacing=1.1,
            annotation_clip=False,
        )


def say(axes: Any, title: str, words: str) -> None:
    """Write words into an empty panel."""
    axes.set_title(title, fontsize=9, pad=4)
    axes.set_axis_off()
    text = "\n".join(textwrap.wrap(words, 38))
    axes.text(0.5, 0.5, literal(text), transform=axes.transAxes, ha="center", va="center", fontsize=8.5, color=GREY)


def _frame(axes: Any, title: str, across: str) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.set_title(title, fontsize=9, pad=4)
    axes.set_xlabel(across, fontsize=8, labelpad=0, loc="right", color=GREY)
    axes.tick_params(labelsize=8, length=2.5, pad=2)
    axes.xaxis.set_major_locator(MaxNLocator(6, steps=(1, 2, 5, 10)))
    axes.yaxis.set_major_locator(MaxNLocator(4, steps=(1, 2, 2.5, 5, 10)))
    axes.axhline(0, color=PALE, linewidth=0.7, zorder=0.8)


def _beyond(axes: Any, window: Ends, ends: Ends, word: str) -> None:
    """Set the limits of the horizontal axis, with a grey strip beyond an end that is in the window."""
    width = window[1] - window[0] or 2.0
    limits = []
    for at, end, side in zip(window, ends, (-1, 1), strict=True):
        stops = math.isfinite(end) and abs(end - at) <= 1e-6 * width
        limits.append(at + side * width * (_BEYOND if stops else 0.02))
        if stops:
            axes.axvspan(end, limits[-1], color=_STRIP, linewidth=0, zorder=0.7)
            axes.text(
                0.5 * (end + limits[-1]),
                0.5,
                word,
                transform=axes.get_xaxis_transform(),
                rotation=90,
                ha="center",
                va="center",
                fontsize=7,
                color=GREY,
            )
    axes.set_xlim(*limits)


def end_texts(a: Activation) -> list[tuple[str, str]]:
    """Return, for both ends of the slope range, what stands at its line, and what is too long for that."""
    return [_end_text(word, end, a) for word, end in zip(("inf", "sup"), a.slope_range_exact, strict=True)]


def _end_text(word: str, end: SlopeEnd, a: Activation) -> tuple[str, str]:
    if not end.finite:
        bound = f"no {'lower' if word == 'inf' else 'upper'} bound"
        return bound if a.continuous else f"{bound}: r jumps", ""
    # An end that is only bounded begins with <= or >=.
    sign, _, exact = end.expression.rpartition("= ") if end.expression[:2] in ("<=", ">=") else ("", "", end.expression)
    start = f"{word} {sign}= " if sign else f"{word} "
    number = start + (exact if _is_number(exact) else f"{float(end.ball().mid()):.6g} = {exact}")
    whole = f"{number}, {end.equation}" if end.equation else number
    if len(whole) <= _LINE:
        return whole, ""
    return "\n".join(textwrap.wrap(number, _LINE)), end.equation


def _is_number(expression: str) -> bool:
    try:
        Fraction(expression)
    except ValueError:
        return False
    return True
