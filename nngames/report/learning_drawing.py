"""The picture of training runs: their losses, and the residuals of the variational inequality, against passes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nngames.report.convergence import FLOOR, status_words
from nngames.report.figures import BLUE, GREY, VERMILLION, line_style, literal
from nngames.results.result import Result
from nngames.training.learning_curve import LearningCurve

#: Characters of the status in a line.
LINE = 120


def draw_learning_curves(figure: Any, curves: Mapping[str, LearningCurve], results: Mapping[str, Result]) -> None:
    """Draw on an empty figure: the losses on the left, the residuals on the right."""
    left, right = figure.subplots(1, 2)
    single = len(curves) == 1
    for number, (label, curve) in enumerate(curves.items()):
        end = "o" if results[label].converged else "X"
        for axes, values, colour in ((left, curve.loss, BLUE), (right, np.maximum(curve.residual, FLOOR), VERMILLION)):
            looks = {"color": colour} if single else line_style(number)
            good = np.isfinite(values)
            passes, values = curve.evaluations[good], values[good]
            if np.unique(passes).size == 2 and passes[-1] > passes[0] + 1:
                # Of a run that tells nothing between its start and its end.
                looks = {**looks, "linestyle": ":"}
            axes.plot(passes, values, linewidth=1.6, label=literal(label), **looks)
            axes.plot(passes[-1:], values[-1:], end, color=looks["color"], clip_on=False)
    left.set_title("The loss")
    left.set_ylabel("loss")
    right.set_yscale("log")
    right.set_title("How far the parameters are from solving")
    right.set_ylabel("residual of the variational inequality")
    logarithmic = max(curve.evaluations[-1] for curve in curves.values()) > 200
    for axes in (left, right):
        axes.set_xlabel("passes over the data")
        axes.grid(axis="y", color="#EEEEEE")
        if logarithmic:
            axes.set_xscale("log")
            axes.xaxis.set_major_formatter("{x:.0f}")
        axes.set_xlim(left=0.9 if logarithmic else 0)
    if not single:
        left.legend()
    words = [f"{label}: {status_words(results[label])}" for label in curves]
    figure.supxlabel(literal(_lines(words)), fontsize=9, color=GREY)


def _lines(words: Sequence[str]) -> str:
    """Return the words one after the other, in lines that the figure is wide enough for."""
    lines = [""]
    for word in words:
        joined = f"{lines[-1]}; {word}" if lines[-1] else word
        if lines[-1] and len(joined) > LINE:
            lines.append(word)
        else:
            lines[-1] = joined
    return "\n".join(lines)
