"""Times solves against the layer size n, the number of layers L and the edges of sparse games, and fits exponents.

    OPENBLAS_NUM_THREADS=1 python tests/benchmarks/scaling.py [--picture FILE] [--full]

It prints a table in Markdown: the time of a solve grows as size^exponent, fitted by least squares of logarithms in the
larger half of the sizes, where the products outweigh what a step costs at any size. Passes are printed beside, since
a total grows with them too; the exponent of a pass is that of total time over passes. Runs are interleaved.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

import nngames as nng

METHODS = ("auto", "picard", "km", "anderson", "newton")
REPEAT = 5


@dataclass(frozen=True)
class Sweep:
    """One family of games that grow in one number."""

    label: str
    sizes: Sequence[int]
    game: Callable[[int], nng.Game]
    units: Callable[[nng.Game], int]
    methods: Sequence[str]


@dataclass(frozen=True)
class Times:
    """The medians of one method over a sweep."""

    sizes: np.ndarray
    seconds: np.ndarray
    passes: np.ndarray

    @property
    def exponent(self) -> float:
        """The exponent of the time of a solve."""
        return fitted(self.sizes, self.seconds)

    @property
    def pass_exponent(self) -> float:
        """The exponent of the time of a pass."""
        return fitted(self.sizes, self.seconds / self.passes)


def fitted(sizes: np.ndarray, values: np.ndarray) -> float:
    """Return the slope of log(values) against log(sizes) over the larger half of the sizes."""
    start = len(sizes) // 2
    return float(np.polyfit(np.log(sizes[start:]), np.log(values[start:]), 1)[0])


def gaussian(size: int, layers: int) -> nng.Game:
    """Return the game of a tanh ring that contracts by 0.95."""
    return nng.Network.generate("gaussian", 0, size=size, layers=layers, norm=0.95).game()


def sweeps(full: bool) -> tuple[Sweep, ...]:
    """Return the sweeps over n, over L and over the edges."""
    edges = (1_000, 3_000, 10_000, 30_000, 100_000, *((300_000, 1_000_000) if full else ()))
    return (
        Sweep("n, neurons a layer (L = 2)", (25, 50, 100, 200, 400, 800, 1600), lambda n: gaussian(n, 2),
              lambda game: game.size // 2, METHODS),
        Sweep("L, layers (n = 100)", (1, 2, 4, 8, 16, 32, 64), lambda layers: gaussian(100, layers),
              lambda game: game.size // 100, METHODS),
        Sweep("edges (public goods)", edges, lambda n: nng.Network.generate("public_goods", 0, size=n).game(),
              lambda game: game.network.weights[1, 1].matrix.nnz, METHODS[:-1]),
    )  # fmt: skip


def timed(sweep: Sweep) -> dict[str, Times]:
    """Return the medians of each method over a sweep."""
    units, seconds, passes = [], {m: [] for m in sweep.methods}, {m: [] for m in sweep.methods}
    for size in sweep.sizes:
        game = sweep.game(size)
        units.append(sweep.units(game))
        runs = {m: [] for m in sweep.methods}
        for repeat in range(REPEAT + 1):
            for method in sweep.methods:
                result = nng.solve(game, method, max_iterations=100_000)
                if not result.converged:
                    sys.exit(f"{method} on {sweep.label} at {size}: {result.message}")
                if repeat:
                    runs[method].append(result)
        for method in sweep.methods:
            seconds[method].append(median(result.seconds for result in runs[method]))
            passes[method].append(runs[method][0].evaluations)
        print(f"{sweep.label}: {size}", file=sys.stderr, flush=True)
    sizes = np.array(units, dtype=float)
    return {m: Times(sizes, np.array(seconds[m]), np.array(passes[m], dtype=float)) for m in sweep.methods}


def table(found: Mapping[str, Mapping[str, Times]]) -> str:
    """Return the table of exponents."""
    rows = ["| against | method | smallest | largest | passes | exponent of a solve | of a pass |", "|" + "---|" * 7]
    for label, methods in found.items():
        for method, times in methods.items():
            ends = [f"{times.seconds[i] * 1e3:.3g} ms at {times.sizes[i]:,.0f}" for i in (0, -1)]
            passes = f"{times.passes[0]:.0f} to {times.passes[-1]:.0f}"
            figures = f"{times.exponent:.2f} | {times.pass_exponent:.2f}"
            rows.append(f"| {label} | `{method}` | {ends[0]} | {ends[1]} | {passes} | {figures} |")
    return "\n".join(rows)


def draw(found: Mapping[str, Mapping[str, Times]], path: str) -> None:
    """Draw the times on double logarithmic axes, a panel for each sweep."""
    from nngames.report.figures import PALETTE, new_figure, save, style

    with style():
        figure = new_figure(13.0, 4.6)
        for axes, (label, methods) in zip(np.atleast_1d(figure.subplots(1, len(found))), found.items(), strict=True):
            for colour, (method, times) in zip(PALETTE, methods.items(), strict=False):
                line = f"{method}, exponent {times.exponent:.2f}"
                axes.loglog(times.sizes, times.seconds * 1e3, "o-", color=colour, markersize=4, label=line)
            axes.set_xlabel(label)
            axes.legend(fontsize="small")
        figure.axes[0].set_ylabel("time of a solve to 1e-9 in milliseconds")
    save(figure, path)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--picture", metavar="FILE", help="draw the times: .png, .svg or .pdf")
    parser.add_argument("--full", action="store_true", help="sparse games up to a million players")
    arguments = parser.parse_args()
    results = {sweep.label: timed(sweep) for sweep in sweeps(arguments.full)}
    print(table(results))
    if arguments.picture:
        draw(results, arguments.picture)
