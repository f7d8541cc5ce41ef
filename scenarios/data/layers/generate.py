"""Writes the data of the scenarios about layers: lines with noise, two overlapping classes, and a teacher's answers."""

from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parent
rng = np.random.default_rng(20)


def table(name, header, rows, form):
    """Write a CSV file."""
    lines = [header, *(form.format(*row) for row in rows)]
    (FOLDER / name).write_text("\n".join(lines) + "\n", encoding="utf-8")


samples = 80
depth, load = rng.uniform(0, 10, samples), rng.normal(50, 8, samples)
stress = 3 + 0.8 * depth - 0.05 * load + 0.4 * rng.normal(size=samples)
strain = -1 + 0.1 * depth + 0.3 * load + 0.6 * rng.normal(size=samples)
rows = np.column_stack([depth, load, stress, strain])
table("linear.csv", "depth,load,stress,strain", rows, "{:.3f},{:.3f},{:.3f},{:.3f}")

samples = 150
first, second = rng.normal(size=samples), rng.normal(size=samples)
label = rng.uniform(size=samples) < 1 / (1 + np.exp(-(0.4 + 1.6 * first - 1.1 * second)))
table("classes.csv", "first,second,label", np.column_stack([first, second, label]), "{:.3f},{:.3f},{:.0f}")

inputs = np.round(rng.normal(size=(120, 6)), 3)
weight_1, bias_1 = 0.4 * rng.normal(size=(5, 6)), 0.3 * rng.normal(size=5)
weight_2, bias_2 = rng.normal(size=(3, 5)), 0.3 * rng.normal(size=3)
hidden = np.tanh(inputs @ weight_1.T + bias_1)
targets = 1 / (1 + np.exp(-(hidden @ weight_2.T + bias_2)))
np.savez_compressed(
    FOLDER / "teacher.npz",
    inputs=inputs,
    hidden=hidden,
    targets=targets,
    weight_1=weight_1,
    bias_1=bias_1,
    weight_2=weight_2,
    bias_2=bias_2,
)
