"""The picture of runs: residual and Nash gap against passes, one line for each method, proved bounds dashed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nngames.report.figures import GREY, legend_columns, line_style, literal
from nngames.results.bound_curve import BoundCurve
from nngames.results.result import Result, Status

Array = NDArray[np.floating[Any]]

#: Values below this are drawn there: a logarithmic axis has no zero.
FLOOR = 1e-18
#: A diverging line is cut this far above the largest value that a run began with or ended at.
HEADROOM = 100.0
#: Where the longest run makes this many times the passes of the shortest, passes are drawn on a logarithmic axis.
SPREAD = 30


#: A bound may begin this far above the largest residual; what is higher is not drawn.
BOUND_HEADROOM = 30.0
#: What a bound is about, for the legend.
_BOUNDED = {
    "residual": "proved bound",
    "best_residual": "proved bound on the best residual so far",
    "distance": "proved bound on the distance to x*, not on the residual",
}
#: How it is drawn: a picture of several games may hold a bound of each kind.
_DASHES = {
    "residual": (0, (4, 2.5)),
    "best_residual": (0, (4, 2, 1, 2)),
    "distance": (0, (7, 2, 1, 2, 1, 2)),
}


def draw_convergence(
    figure: Any, results: Mapping[str, Result], bounds: Mapping[str, BoundCurve] | None = None
) -> None:
    """Draw the runs on an empty figure or subfigure: one panel for the residual, one for the Nash gap where traced.

    Parameters
    ----------
    figure : Figure or SubFigure
    results : mapping label -> Result
    bounds : mapping label -> BoundCurve, optional
        The proved bounds of some of the runs, drawn dashed in the panel of the residual.
    """
    bounds = bounds or {}
    with_gap = any(result.trace.nash_gap is not None for result in results.values())
    panels = figure.subplots(1, 1 + with_gap, squeeze=False)[0]
    _panel(panels[0], results, "residual")
    panels[0].set_title("How far the players are from their best answers")
    panels[0].set_ylabel("residual: norm of answer minus action")
    _targets(panels[0], results)
    _draw_bounds(panels[0], bounds, {label: number for number, label in enumerate(results)})
    if with_gap:
        _panel(panels[1], results, "nash_gap")
        panels[1].set_title("What the players could gain by deviating alone")
        panels[1].set_ylabel("Nash gap: sum of the regrets")
    handles = [_handle(number, label, result) for number, (label, result) in enumerate(results.items())]
    handles += [_bound_handle(number, bounds[label], label) for number, label in enumerate(results) if label in bounds]
    handles += _target_handles(bounds)
    figure.legend(handles=handles, loc="outside lower center", ncols=legend_columns(handles, 1.5 + 5 * (1 + with_gap)))


def draw_cases(
    figure: Any, cases: Mapping[str, Mapping[str, Result]], bounds: Mapping[str, Mapping[str, BoundCurve]], across: int
) -> None:
    """Draw the residuals of the runs on several games, a panel each, ``across`` of them side by side."""
    labels = list(dict.fromkeys(label for results in cases.values() for label in results))
    numbers = {label: number for number, label in enumerate(labels)}
    panels = figure.subplots(-(-len(cases) // across), across, squeeze=False).ravel()
    for axes, (name, results) in zip(panels, cases.items(), strict=False):
        _panel(axes, results, "residual", numbers)
        _targets(axes, results)
        _draw_bounds(axes, bounds[name], numbers)
        axes.set_title(literal(name))
    for axes in panels[len(cases) :]:
        axes.set_axis_off()
    figure.supylabel("residual: norm of answer minus action", fontsize=10)
    handles = [_method_handle(number, label) for label, number in numbers.items()]
    drawn = {curve.quantity: curve for own in bounds.values() for curve in own.values()}
    handles += [
        _bound_handle(None, curve, "dashed in a method's colour") for curve in drawn.values()
    ] + _target_handles(drawn)
    figure.legend(handles=handles, loc="outside lower center", ncols=legend_columns(handles, 4.5 * across))


def status_words(result: Result) -> str:
    """Return how a run ended, with its passes where it made some."""
    words = str(result.status).replace("_", " ")
    return f"{words}, {result.evaluations} passes" if result.evaluations else words


def _panel(axes: Any, results: Mapping[str, Result], what: str, numbers: Mapping[str, int] | None = None) -> None:
    numbers = numbers or {label: number for number, label in enumerate(results)}
    curves = {label: _curve(result, what) for label, result in results.items()}
    ceiling, floor = _limits(results, curves)
    for label, result in results.items():
        number = numbers[label]
        passes, values, left = _shown(*curves[label], floor, ceiling)
        if values.size:
            axes.plot(passes, values, label=literal(label), linewidth=1.6, **line_style(number))
            mark = "^" if left else "o" if result.converged else "X"
            axes.plot(passes[-1], values[-1], mark, color=line_style(number)["color"], markersize=6.5, clip_on=False)
    axes.set_yscale("log")
    axes.set_ylim(floor / 2, ceiling)
    axes.set_xlabel(_below(results, what))
    longest = [passes[-1] for passes, values in curves.values() if values.size]
    if longest and max(longest) > SPREAD * max(1, min(longest)):
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:.0f}")
        axes.set_xlim(left=0.9)
    else:
        axes.set_xlim(left=0)
    axes.grid(axis="y", color="#EEEEEE")


def _below(results: Mapping[str, Result], what: str) -> str:
    """Return what stands below a panel: the unit, and why a curve begins late."""
    values = [getattr(result.trace, what) for result in results.values()]
    infinite = any(value is not None and np.isposinf(value).any() for value in values)
    return "passes over the network" + infinite * "\n(not drawn: infinite values, an action off its domain)"


def _curve(result: Result, what: str) -> tuple[Array, Array]:
    """Return passes and values of a run, its non-finite values left out."""
    values = getattr(result.trace, what)
    if values is None:
        return np.empty(0), np.empty(0)
    finite = np.isfinite(values)
    return result.trace.evaluations[finite], values[finite]


def _limits(results: Mapping[str, Result], curves: Mapping[str, tuple[Array, Array]]) -> tuple[float, float]:
    """Return the largest and the smallest value to show: a diverging run does not squeeze the others."""
    kept, low = [], []
    for label, (_, values) in curves.items():
        if values.size:
            tame = results[label].status not in (Status.DIVERGED, Status.NOT_FINITE)
            kept.append(float(values.max() if tame else values[0] * HEADROOM))
            low += values[values > 0].tolist()
            if (values == 0).any():
                # Zero is drawn below everything else, and below the target.
                low.append(results[label].tolerance * results[label].scale / 10)
    ceiling = 2 * max([value for value in kept if value > 0], default=1.0)
    return ceiling, max(FLOOR, min(low, default=ceiling / 10))


def _shown(passes: Array, values: Array, floor: float, ceiling: float) -> tuple[Array, Array, bool]:
    """Return a curve up to where it leaves the picture at the top, and whether it does for good."""
    values = np.clip(values, floor, None)
    inside = np.flatnonzero(values <= ceiling)
    if inside.size == 0 or inside[-1] == values.size - 1:
        return passes, values, False
    last = int(inside[-1])
    low, high = np.log(values[last : last + 2])
    part = (np.log(ceiling) - low) / (high - low)
    exit_at = passes[last] + part * (passes[last + 1] - passes[last])
    return np.append(passes[: last + 1], exit_at), np.append(values[: last + 1], ceiling), True


def _targets(axes: Any, results: Mapping[str, Result]) -> None:
    """Draw a line at each run's tolerance times scale; its name stands outside, where no curve is."""
    targets = sorted({result.tolerance * result.scale for result in results.values() if np.isfinite(result.scale)})
    for target in targets:
        axes.axhline(target, color=GREY, linewidth=1, linestyle=(0, (2, 2)), zorder=1)
    if targets:
        place = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points"}
        axes.annotate("target", (1, targets[-1]), (3, 0), ha="left", va="center", color=GREY, fontsize=8, **place)
        low, high = axes.get_ylim()
        axes.set_ylim(min(low, targets[0] / 2), high)


def _draw_bounds(axes: Any, bounds: Mapping[str, BoundCurve], numbers: Mapping[str, int]) -> None:
    """Draw bounds dashed in the colours of their runs; what is far above all residuals is left out."""
    low, high = axes.get_ylim()
    starts = [curve.values[np.isfinite(curve.values)][:1] for curve in bounds.values()]
    tallest = max((float(start[0]) for start in starts if start.size), default=0.0)
    axes.set_ylim(low, max(high, min(2 * tallest, BOUND_HEADROOM * high)))
    for label, curve in bounds.items():
        shown = np.isfinite(curve.values) & (curve.values > 0)
        colour = line_style(numbers[label])["color"]
        axes.plot(
            curve.evaluations[shown],
            curve.values[shown],
            label=f"_bound of {literal(label)}",
            color=colour,
            linewidth=1.1,
            linestyle=_DASHES[curve.quantity],
            alpha=0.9,
        )


def _bound_handle(number: int | None, curve: BoundCurve, label: str) -> Any:
    from matplotlib.lines import Line2D

    colour = GREY if number is None else line_style(number)["color"]
    formula = "" if number is None else f", {curve.description}"
    text = literal(f"{label}: {_BOUNDED[curve.quantity]}{formula}")
    return Line2D([], [], linewidth=1.1, linestyle=_DASHES[curve.quantity], color=colour, label=text)


def _target_handles(bounds: Mapping[str, BoundCurve]) -> list[Any]:
    """Return the legend's line that says what a bound starts from."""
    from matplotlib.lines import Line2D

    if not bounds:
        return []
    return [Line2D([], [], linestyle="none", label="x*: the profile with the smallest residual that was found")]


def _method_handle(number: int, label: str) -> Any:
    from matplotlib.lines import Line2D

    return Line2D([], [], linewidth=1.6, label=literal(label), **line_style(number))


def _handle(number: int, label: str, result: Result) -> Any:
    from matplotlib.lines import Line2D

    text = literal(f"{label}: {status_words(result)}")
    if result.trace.residual.size == 0:
        return Line2D([], [], linestyle="none", label=text)
    return Line2D([], [], linewidth=1.6, label=text, **line_style(number))
