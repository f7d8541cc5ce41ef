"""The picture of a training run: its loss, and the residual of its variational inequality, against passes."""

from __future__ import annotations

from typing import Any

import numpy as np

from nngames.report.convergence import FLOOR, status_words
from nngames.report.figures import BLUE, GREY, VERMILLION, literal
from nngames.results.result import Result
from nngames.training.learning_curve import LearningCurve


def draw_learning_curve(figure: Any, curve: LearningCurve, result: Result) -> None:
    """Draw on an empty figure: the loss on the left, the residual on the right."""
    passes = curve.evaluations
    left, right = figure.subplots(1, 2)
    finite = np.isfinite(curve.loss)
    left.plot(passes[finite], curve.loss[finite], color=BLUE, linewidth=1.6)
    left.plot(passes[finite][-1:], curve.loss[finite][-1:], "o" if result.converged else "X", color=BLUE, clip_on=False)
    left.set_title("The loss that the layers pay together")
    left.set_ylabel("loss")
    good = np.isfinite(curve.residual)
    residual = np.maximum(curve.residual[good], FLOOR)
    right.plot(passes[good], residual, color=VERMILLION, linewidth=1.6)
    right.plot(passes[good][-1:], residual[-1:], "o" if result.converged else "X", color=VERMILLION, clip_on=False)
    right.set_yscale("log")
    right.set_title("How far the parameters are from solving")
    right.set_ylabel("residual of the variational inequality")
    logarithmic = passes[-1] > 200
    for axes in (left, right):
        axes.set_xlabel("passes over the data")
        axes.grid(axis="y", color="#EEEEEE")
        if logarithmic:
            axes.set_xscale("log")
            axes.xaxis.set_major_formatter("{x:.0f}")
        axes.set_xlim(left=0.9 if logarithmic else 0)
    figure.supxlabel(literal(f"{result.method}: {status_words(result)}"), fontsize=9, color=GREY)
