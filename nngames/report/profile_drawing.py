"""The picture of a performance profile: one staircase a method, the better the higher and the further left."""

from __future__ import annotations

from typing import Any

import numpy as np

from nngames.report.figures import GREY, legend_columns, line_style, literal
from nngames.results.performance_profile import PerformanceProfile

_UNITS = {"seconds": "median seconds", "evaluations": "median passes"}


def draw_profile(figure: Any, profile: PerformanceProfile) -> None:
    """Draw the profile on an empty figure."""
    from matplotlib.lines import Line2D

    axes = figure.subplots()
    finite = profile.ratios[np.isfinite(profile.ratios)]
    end = max(2.0, 1.15 * float(finite.max()))
    handles = []
    for number, method in enumerate(profile.methods):
        factors, shares = profile.curve(method)
        own = line_style(number)
        # From the left edge to the right one, where no factor is beyond.
        axes.step([1.0, *factors, end], [0.0, *shares, (shares[-1] if shares.size else 0.0)], where="post", **own)
        best, solved = profile.fraction(method, 1.0), profile.fraction(method, np.inf)
        words = literal(f"{method}: best on {best:.0%}, solves {solved:.0%}")
        handles.append(Line2D([], [], label=words, **own))
    axes.set_xscale("log")
    axes.set_xlim(1.0, end)
    axes.set_ylim(0, 1.03)
    axes.yaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
    axes.xaxis.set_major_formatter(lambda factor, _: f"{factor:g}")
    axes.xaxis.set_minor_formatter(lambda factor, _: f"{factor:g}" if end < 12 and factor < 10 else "")
    axes.set_xlabel(f"factor of the best method's {_UNITS[profile.measure]}")
    axes.set_ylabel("share of the problems solved within it")
    count = len(profile.problems)
    axes.set_title(f"Performance profile over {count} problem{'s' * (count != 1)}")
    axes.grid(color="#EEEEEE")
    axes.axhline(1.0, color=GREY, linewidth=0.8, zorder=0)
    figure.legend(handles=handles, loc="outside lower center", ncols=legend_columns(handles, 7.0))
