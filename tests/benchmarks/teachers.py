"""Layers that a teacher can fit, at full size: the residual of the variational inequality, the fit, and its bound.

Run as ``python tests/benchmarks/teachers.py [--neurons 200] [--samples 5000] [--methods ...]``. For each strictly
increasing activation with slopes in [0, 1] a teacher's layer answers normal inputs; the schemes start from 0. Printed:
the residual, the largest error, and the ratio of sum omega |r - y|^2 to S |F| |theta - theta'|, theta' the teacher. In
exact arithmetic it is at most 1; where the errors are of the size of rounding it need not be.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

import nngames as nng


def strictly_increasing() -> list[str]:
    """Return the names of the activations that a teacher can use: invertible, slopes in [0, 1], one number each."""
    names = []
    for name in nng.activations():
        activation = nng.activation(name)
        if not (activation.separable and activation.monotone and activation.defined_everywhere):
            continue
        low, high = activation.slope_range
        if high <= 1 + 1e-12 and high > 0 and (low > 0 or not activation.slope_range_exact[0].attained):
            names.append(name)
    return names


def main() -> None:
    """Print a row for each activation and method."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--neurons", type=int, default=200)
    parser.add_argument("--samples", type=int, default=5000)
    parser.add_argument("--methods", default="accelerated_gradient,newton_descent,gradient_descent")
    parser.add_argument("--activations", default="")
    parser.add_argument("--max-seconds", type=float, default=120.0)
    arguments = parser.parse_args()
    n, samples = arguments.neurons, arguments.samples
    for name in arguments.activations.split(",") if arguments.activations else strictly_increasing():
        rng = np.random.default_rng(0)
        activation = nng.activation(name)
        inputs = rng.normal(size=(samples, n))
        teacher = np.concatenate([rng.normal(size=(n, n)) / np.sqrt(n), 0.3 * rng.normal(size=(n, 1))], axis=1)
        targets = activation(inputs @ teacher[:, :-1].T + teacher[:, -1])
        problem = nng.TrainingProblem(inputs, targets, [name])
        for method in arguments.methods.split(","):
            began = time.perf_counter()
            result = nng.solve(
                problem.game(),
                method=method,
                tolerance=2e-12,
                max_iterations=100_000,
                max_seconds=arguments.max_seconds,
            )
            seconds = time.perf_counter() - began
            theta = result.profile.reshape(teacher.shape)
            layer = problem.layers[1]
            misses = layer.errors(theta)
            square = float(np.mean(np.sum(misses**2, axis=1)))
            reach = activation.lipschitz * np.linalg.norm(layer.gradient(theta)) * np.linalg.norm(theta - teacher)
            print(
                f"{name:18s} {method:22s} {result.status!s:14s} residual {problem.residual(result.profile):.1e}  "
                f"error {np.abs(misses).max():.1e}  bound used {square / reach if reach else 0:.3f}  "
                f"{result.evaluations:6d} passes {seconds:7.2f} s",
                flush=True,
            )


if __name__ == "__main__":
    main()
