"""One layer against scikit-learn and LAPACK: logistic, softmax and linear layers, to the same loss.

Run as ``python tests/benchmarks/layers_against_sklearn.py [--repeat 7]``; it needs scikit-learn. The data are
overlapping classes; the penalty is |W|^2 rho/2 beside the mean loss, which is scikit-learn's C = 1/(rho T). Printed are
the losses above the least one known, all below 1e-6, and the medians of interleaved times.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable

import numpy as np
from sklearn.linear_model import LogisticRegression

import nngames as nng
from nngames.core.threads import blas_threads

Fit = Callable[[], np.ndarray]


def classes(samples: int, columns: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return overlapping classes drawn from a multinomial model."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(samples, columns))
    v = x @ rng.normal(size=(columns, count)) / np.sqrt(columns) * 1.5
    p = np.exp(v - v.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    return x, np.array([rng.choice(count, p=row) for row in p])


def theirs(x: np.ndarray, y: np.ndarray, ridge: float) -> Fit:
    """Return scikit-learn's fit, its (W, b) as one row for two classes."""

    def fit() -> np.ndarray:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = LogisticRegression(C=1 / (ridge * len(x)) if ridge else np.inf, tol=1e-5, max_iter=10_000).fit(x, y)
        return np.column_stack([model.coef_, model.intercept_])

    return fit


def ours(problem: nng.TrainingProblem, method: str) -> Fit:
    """Return the fit by a method of nngames, the problem posed anew each time."""

    def fit() -> np.ndarray:
        posed = nng.TrainingProblem(
            problem.inputs, problem.targets[1], [problem.activations[1]], ridge=problem.ridge[1]
        )
        profile = nng.solve(posed.game(), method=method, tolerance=1e-4, max_iterations=10_000).profile
        return profile.reshape(problem.layers[1].features.shape)

    return fit


def main() -> None:
    """Print a row for each problem and method."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=7)
    arguments = parser.parse_args()
    print(f"{'problem':34s} {'method':22s} loss above the least   time   to scikit-learn's")
    for samples, columns, count, ridge in (
        (2000, 20, 2, 1e-3),
        (2000, 20, 2, 0.0),
        (5000, 200, 2, 1e-3),
        (2000, 20, 10, 1e-3),
        (5000, 100, 10, 1e-4),
    ):
        x, y = classes(samples, columns, count)
        name = "logistic" if count == 2 else "softmax"
        targets = y.astype(float) if count == 2 else np.eye(count)[y]
        problem = nng.TrainingProblem(x, targets, [name], ridge=ridge)
        layer = problem.layers[1]
        exact = nng.solve(problem.game(), method="newton_descent", tolerance=1e-12).profile
        least = layer.value(exact.reshape(layer.features.shape))
        fits = {"scikit-learn": theirs(x, y, ridge)}
        fits |= {
            method: ours(problem, method) for method in ("newton_descent", "accelerated_gradient", "scipy:l-bfgs-b")
        }
        times: dict[str, list[float]] = {method: [] for method in fits}
        above = {}
        for _ in range(arguments.repeat):
            for method, fit in fits.items():
                with blas_threads(1, 1):
                    began = time.perf_counter()
                    theta = fit()
                    times[method].append(time.perf_counter() - began)
                above[method] = layer.value(theta) - least
        reference = float(np.median(times["scikit-learn"]))
        what = f"{name} {samples} x {columns}, {count} classes, ridge {ridge:g}"
        for method, seconds in times.items():
            median = float(np.median(seconds))
            print(f"{what:34s} {method:22s} {above[method]:12.1e} {1e3 * median:14.2f} ms  {median / reference:6.2f}")
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(5000, 100)), rng.normal(size=(5000, 10))
    problem = nng.TrainingProblem(x, y, ["identity"])
    found = nng.solve(problem.game(), method="newton_descent", tolerance=1e-12).profile.reshape(10, 101)
    exact = np.linalg.lstsq(np.column_stack([x, np.ones(5000)]), y, rcond=None)[0].T
    print(f"identity 5000 x 100: largest difference to lstsq {np.abs(found - exact).max():.1e}")


if __name__ == "__main__":
    main()
