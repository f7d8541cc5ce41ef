"""Prints what a pass and a solve cost beside the bare work: interleaved medians of 30, one thread, one process.

Run it with one BLAS thread: OPENBLAS_NUM_THREADS=1 python tests/benchmarks/passes.py
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

import numpy as np
from threadpoolctl import threadpool_limits

import nngames as nng

RUNS = 30


def interleaved(first: Callable[[], object], second: Callable[[], object], inner: int) -> tuple[float, float]:
    """Return the medians of both functions' times in seconds, measured in turn."""
    times: tuple[list[float], list[float]] = ([], [])
    for function in (first, second):
        function()
    for _ in range(RUNS):
        for function, kept in zip((first, second), times, strict=True):
            began = time.perf_counter()
            for _ in range(inner):
                function()
            kept.append((time.perf_counter() - began) / inner)
    return median(times[0]), median(times[1])


def ring(n: int, layers: int) -> tuple[nng.Network, list[np.ndarray], list[np.ndarray]]:
    """Return a contractive dense tanh ring with its weights and biases."""
    rng = np.random.default_rng(0)
    weights = [0.4 * rng.standard_normal((n, n)) / np.sqrt(n) for _ in range(layers)]
    biases = [rng.standard_normal(n) for _ in range(layers)]
    return nng.Network.ring(weights, biases, ["tanh"] * layers), weights, biases


def report_pass(n: int, layers: int, inner: int) -> None:
    """Print a pass of the joint and of the composite map against the bare products and activations."""
    network, weights, _ = ring(n, layers)
    x = np.random.default_rng(1).standard_normal(n * layers)
    out = np.empty_like(x)
    sources = [x[i * n : (i + 1) * n].copy() for i in range(layers)]
    buffers = [np.empty(n) for _ in range(layers)]

    def bare() -> None:
        for i in range(layers):
            np.dot(weights[i], sources[i - 1], out=buffers[i])
            np.tanh(buffers[i], out=buffers[i])

    state = sources[-1]
    for name, run in (
        ("joint", lambda: network.joint(x, out)),
        ("composite", lambda: network.composite(state, out)),
    ):
        ours, least = interleaved(run, bare, inner)
        print(f"{name:9} pass  n = {n:4}  L = {layers}  {1e6 * ours:9.1f} us  bare {1e6 * least:9.1f} us", end="")
        print(f"  ratio {ours / least:.3f}")


def report_solve() -> None:
    """Print the time of a solve that starts at the equilibrium: its fixed overhead."""
    network, _, _ = ring(1, 3)
    game = network.game()
    for method in ("picard", "km", "best_response"):
        start = nng.solve(game, method).profile
        seconds, _ = interleaved(lambda m=method, s=start: nng.solve(game, m, start=s), lambda: None, 20)
        print(f"solve overhead  {method:14}  {1e3 * seconds:.4f} ms")


if __name__ == "__main__":
    with threadpool_limits(limits=1):
        report_pass(1000, 3, 3)
        report_pass(200, 3, 30)
        report_solve()
