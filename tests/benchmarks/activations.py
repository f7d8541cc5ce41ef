"""Prints what an activation costs at 10^6 elements over the best plain NumPy or SciPy expression of the same function.

python tests/benchmarks/activations.py [NAME ...]

Every scalar activation is timed in turn with each plain expression, in one run; the ratio is that of the medians, with
the fastest plain expression below. Plain expressions allocate their temporaries, as a user's would; some of them
overflow or lose digits where the activation does not. Ratios of one run count, not times.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np
from scipy import special

import nngames as nng
from nngames.activations import ScalarActivation
from nngames.activations.foundations.projections import SetProjection

SIZE, RUNS = 10**6, 15
Plain = Callable[[Any], Any]

_ROOT_2, _ROOT_2_PI = np.sqrt(2.0), np.sqrt(2 / np.pi)


def elu(v: Any) -> Any:
    """Return the exponential linear unit as it is usually written."""
    return np.where(v > 0, v, np.expm1(np.minimum(v, 0)))


#: The plain expressions of each activation at its default parameters.
PLAIN: dict[str, list[Plain]] = {
    "absolute_value": [np.abs],
    "arctan": [np.arctan],
    "bent_identity": [lambda v: 2 / 3 * (v + (np.sqrt(1 + v * v) - 1) / 2)],
    "bipolar_sigmoid": [lambda v: np.tanh(v / 2), lambda v: (1 - np.exp(-v)) / (1 + np.exp(-v))],
    "celu": [elu],
    "cloglog": [lambda v: 1 - np.exp(-np.exp(v)), lambda v: -np.expm1(-np.exp(v))],
    "elu": [elu],
    "gaussian": [lambda v: np.exp(-v * v), lambda v: np.exp(-(v**2))],
    "gelu": [lambda v: v * special.ndtr(v), lambda v: 0.5 * v * (1 + special.erf(v / _ROOT_2))],
    "gelu_tanh": [lambda v: 0.5 * v * (1 + np.tanh(_ROOT_2_PI * (v + 0.044715 * v * v * v)))],
    "hard_sigmoid": [lambda v: np.clip(v / 6 + 0.5, 0, 1), lambda v: np.minimum(np.maximum(v / 6 + 0.5, 0), 1)],
    "hard_tanh": [lambda v: np.clip(v, -1, 1), lambda v: np.minimum(np.maximum(v, -1), 1)],
    "hardshrink": [lambda v: np.where(np.abs(v) > 1, v, 0.0), lambda v: v * (np.abs(v) > 1)],
    "hardswish": [lambda v: v * np.clip(v + 3, 0, 6) / 6, lambda v: v * np.clip(v / 6 + 0.5, 0, 1)],
    "heaviside_approx": [lambda v: special.expit(4 * v), lambda v: 1 / (1 + np.exp(-4 * v))],
    "identity": [np.copy],
    "inverse_multiquadric": [lambda v: 1 / np.sqrt(v * v + 1), lambda v: 1 / np.hypot(v, 1)],
    "isrlu": [lambda v: np.where(v < 0, v / np.sqrt(1 + v * v), v)],
    "isru": [lambda v: v / np.sqrt(1 + 2 * v * v)],
    "leaky_relu": [lambda v: np.where(v > 0, v, 0.01 * v), lambda v: np.maximum(v, 0.01 * v)],
    "linear": [lambda v: 1.0 * v + 0.0, lambda v: 1.0 * v],
    "linear_gaussian": [lambda v: v * np.exp(-v * v)],
    "log_sigmoid": [special.log_expit, lambda v: -np.log1p(np.exp(-v)), lambda v: -np.logaddexp(0, -v)],
    "logistic": [special.expit, lambda v: 1 / (1 + np.exp(-v))],
    "logit": [lambda v: np.where((v >= 0.25) & (v <= 0.75), special.logit(np.clip(v, 0.25, 0.75)) / 10, 0.0)],
    "metallic_mean": [lambda v: (v + np.sqrt(v * v + 4)) / 2],
    "mish": [lambda v: v * np.tanh(np.log1p(np.exp(v))), lambda v: v * np.tanh(np.logaddexp(0, v))],
    "multiquadric": [lambda v: np.sqrt(v * v + 1), lambda v: np.hypot(v, 1)],
    "piecewise_linear": [lambda v: np.clip(v + 0.5, 0, 1)],
    "prelu": [lambda v: np.where(v > 0, v, 0.25 * v), lambda v: np.maximum(v, 0.25 * v)],
    "quick_gelu": [lambda v: v * special.expit(1.702 * v), lambda v: v / (1 + np.exp(-1.702 * v))],
    "relu": [lambda v: np.maximum(v, 0)],
    "relu6": [lambda v: np.clip(v, 0, 6), lambda v: np.minimum(np.maximum(v, 0), 6)],
    "selu": [lambda v: np.where(v > 0, 1.0507009873554805 * v, 1.7580993408473766 * np.expm1(np.minimum(v, 0)))],
    "selu_as_printed": [lambda v: 0.03413631 * elu(v)],
    "sigmoid": [special.expit, lambda v: 1 / (1 + np.exp(-v))],
    "silu": [lambda v: v * special.expit(v), lambda v: v / (1 + np.exp(-v))],
    "sin": [np.sin],
    "sinc": [lambda v: np.sinc(v / np.pi), lambda v: np.where(v == 0, 1.0, np.sin(v) / v)],
    "sinu_sigmoidal": [lambda v: (v + np.sin(v)) / (1 + np.exp(-v))],
    "snake": [lambda v: v + np.sin(v) ** 2],
    "soft_clipping": [lambda v: np.log((1 + np.exp(v)) / (1 + np.exp(v - 1)))],
    "soft_exponential": [lambda v: 1 + (np.exp(v) - 1), lambda v: 1 + np.expm1(v), np.exp],
    "soft_threshold": [lambda v: np.sign(v) * np.maximum(np.abs(v) - 1, 0), lambda v: v - np.clip(v, -1, 1)],
    "softplus": [lambda v: np.logaddexp(0, v), lambda v: np.log1p(np.exp(v))],
    "softplus_beta": [lambda v: np.logaddexp(0, v), lambda v: np.log1p(np.exp(v))],
    "softshrink": [lambda v: np.sign(v) * np.maximum(np.abs(v) - 1, 0), lambda v: v - np.clip(v, -1, 1)],
    "softsign": [lambda v: v / (1 + np.abs(v))],
    "softsign_probit": [lambda v: (q := special.ndtri(v)) / (1 + np.abs(q))],
    "sqnl": [lambda v: (c := np.clip(v, -2, 2)) - 0.25 * c * np.abs(c)],
    "squareplus": [lambda v: (v + np.sqrt(v * v + 4)) / 2],
    "swish": [lambda v: v * special.expit(v), lambda v: v / (1 + np.exp(-v))],
    "tanh": [np.tanh],
    "tanhshrink": [lambda v: v - np.tanh(v)],
}


def ratio(a: ScalarActivation, plain: list[Plain]) -> tuple[float, float]:
    """Return the median times of the activation and of the fastest plain expression, in seconds, taken in turn."""
    v = np.random.default_rng(0).standard_normal(SIZE) * 2
    ends = a.inputs
    if np.isfinite(ends.lower) and np.isfinite(ends.upper):
        v = np.random.default_rng(0).uniform(ends.lower, ends.upper, SIZE)
    functions = [a, *plain]
    times: list[list[float]] = [[] for _ in functions]
    for run in range(RUNS + 2):
        for function, kept in zip(functions, times, strict=True):
            # Once more before, so that each finds the memory that it freed itself.
            function(v)
            began = time.perf_counter()
            function(v)
            if run >= 2:
                kept.append(time.perf_counter() - began)
    ours, *theirs = map(median, times)
    return ours, min(theirs)


def main(names: list[str]) -> None:
    """Print the ratios, the largest first."""
    scalar = [nng.activation(name) for name in names or nng.activations()]
    chosen = [
        a for a in scalar if isinstance(a, ScalarActivation) and (a.name in PLAIN or not isinstance(a, SetProjection))
    ]
    found = []
    with np.errstate(all="ignore"):
        for a in chosen:
            ours, best = ratio(a, PLAIN[a.name])
            found.append((ours / best, a.name, ours, best))
    began = time.perf_counter()
    rows = nng.audit_activations()
    print(f"audit of {len(rows)} rows: {time.perf_counter() - began:.1f} s")
    for share, name, ours, best in sorted(found, reverse=True):
        print(f"{name:22} {1e3 * ours:8.3f} ms   plain {1e3 * best:8.3f} ms   ratio {share:.2f}")


if __name__ == "__main__":
    main(sys.argv[1:])
