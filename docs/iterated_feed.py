"""Measures how often the feeds of random networks settle, and writes the page docs/iterated-feed.md.

    python docs/iterated_feed.py [--draws 20] [--width 20]

Rings with Gaussian weights, each scaled to a given spectral norm, and Gaussian biases; one Gaussian start each.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import rich.progress

import nngames as nng
from nngames.core.files import write_atomic
from nngames.results.trajectory import TrajectoryKind

PAGE = Path(__file__).resolve().parent / "iterated-feed.md"
ACTIVATIONS = (
    "identity", "relu", "leaky_relu", "elu", "softplus", "gelu", "silu", "mish",
    "tanh", "sigmoid", "arctan", "softsign", "hard_tanh", "sin", "softmax",
)  # fmt: skip
NORMS = (0.5, 0.9, 1.5, 3.0, 10.0)
DEPTHS = (1, 2, 4, 8)
RULES = ("iterated", "averaged")
STEPS = 5000
#: What a cell counts, in the order in which it is printed.
KINDS = (
    TrajectoryKind.FIXED_POINT,
    TrajectoryKind.LIMIT_CYCLE,
    TrajectoryKind.DIVERGED,
    TrajectoryKind.UNDECIDED,
)


class Cell(NamedTuple):
    """One architecture and how its runs ended, by rule."""

    activation: str
    norm: float
    depth: int
    counts: dict[str, Counter[TrajectoryKind]]


def random_ring(activation: str, norm: float, depth: int, width: int, rng: np.random.Generator) -> nng.Network:
    """Return a ring of Gaussian weights of the given spectral norm with standard Gaussian biases."""
    weights = [rng.normal(size=(width, width)) for _ in range(depth)]
    weights = [norm * weight / np.linalg.norm(weight, 2) for weight in weights]
    return nng.Network.ring(weights, [rng.normal(size=width) for _ in range(depth)], [activation] * depth)


def survey(draws: int, width: int) -> Iterator[Cell]:
    """Yield the cells of the table; each has a seed of its own."""
    for i, activation in enumerate(ACTIVATIONS):
        for j, norm in enumerate(NORMS):
            for k, depth in enumerate(DEPTHS):
                counts: dict[str, Counter[TrajectoryKind]] = {rule: Counter() for rule in RULES}
                for draw in range(draws):
                    rng = np.random.default_rng([i, j, k, draw])
                    network = random_ring(activation, norm, depth, width, rng)
                    start = rng.normal(size=width)
                    for rule in RULES:
                        options = {"relaxation": 0.5} if rule == "averaged" else {}
                        counts[rule][network.feed(start, rule, steps=STEPS, **options).kind] += 1
                yield Cell(activation, norm, depth, counts)


def page(cells: list[Cell], draws: int, width: int) -> str:
    """Return the page."""
    total = len(cells) * draws
    ends = {rule: sum((cell.counts[rule] for cell in cells), Counter()) for rule in RULES}
    lines = [
        "# How often the iterated feed settles",
        "The source says that with the usual activations the iterated feed has, most of the time, no limit, and "
        "proposes the averaged feed. It names no measure on architectures, so this is no proposition; here is a "
        "measurement instead, made by",
        "    python docs/iterated_feed.py",
        f"For each activation, spectral norm of the weights and number of layers: {draws} rings of {width} neurons a "
        f"layer, with Gaussian weights and biases, and one Gaussian start each; at most {STEPS} steps; the averaged "
        "feed with relaxation 1/2. A cell counts, in percent, fixed points / limit cycles / divergence; what is "
        "missing to 100 is undecided (slow, chaotic or quasi-periodic).",
    ]
    for rule in RULES:
        shares = ", ".join(f"{100 * ends[rule][kind] / total:.0f}% {kind.value.replace('_', ' ')}" for kind in KINDS)
        lines.append(f"Over all cells the {rule} feed: {shares}.")
    for rule in RULES:
        lines.append(f"## The {rule} feed")
        header = ["activation", "layers", *(f"norm {norm:g}" for norm in NORMS)]
        rows = [header, ["---"] * len(header)]
        for activation in ACTIVATIONS:
            for depth in DEPTHS:
                found = {cell.norm: cell.counts[rule] for cell in cells if cell[0] == activation and cell[2] == depth}
                shown = [" / ".join(f"{100 * found[norm][kind] / draws:.0f}" for kind in KINDS[:3]) for norm in NORMS]
                rows.append([activation, str(depth), *shown])
        lines.append("\n".join("| " + " | ".join(row) + " |" for row in rows))
    return "\n\n".join(lines) + "\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--width", type=int, default=20)
    arguments = parser.parse_args()
    number = len(ACTIVATIONS) * len(NORMS) * len(DEPTHS)
    cells = list(rich.progress.track(survey(arguments.draws, arguments.width), total=number))
    write_atomic(PAGE, page(cells, arguments.draws, arguments.width))
