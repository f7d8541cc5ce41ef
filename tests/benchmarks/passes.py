"""Prints what passes and solves cost beside the bare work: interleaved medians, one thread, one process.

Run it with one BLAS thread and nothing set that changes the BLAS:

    env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE OPENBLAS_NUM_THREADS=1 python tests/benchmarks/passes.py

With Numba, the extra ``fast``, it also compares the compiled steps with a loop fused by hand for one kind of network.
Times are those of the thread, so that what else runs on the machine counts as little as possible.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from importlib.util import find_spec
from statistics import median
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

import nngames as nng
from nngames.networks.compiled import loading

RUNS = 30


def interleaved(*functions: Callable[[], object], inner: int) -> list[float]:
    """Return the median times of the functions in seconds, measured in turn."""
    times: list[list[float]] = [[] for _ in functions]
    for function in functions:
        function()
    for _ in range(RUNS):
        for function, kept in zip(functions, times, strict=True):
            began = time.thread_time()
            for _ in range(inner):
                function()
            kept.append((time.thread_time() - began) / inner)
    return [median(kept) for kept in times]


def ring(n: int, layers: int, activation: str = "tanh") -> nng.NetworkGame:
    """Return the game of a dense ring with weights of norm 0.9."""
    rng = np.random.default_rng(0)
    weights = [0.9 * np.linalg.qr(rng.standard_normal((n, n)))[0] for _ in range(layers)]
    biases = [rng.standard_normal(n) for _ in range(layers)]
    network = nng.Network.ring(weights, biases, [activation] * layers)
    return network.game(players="neurons" if layers == 1 else "auto")


def report_pass(n: int, layers: int, inner: int) -> None:
    """Print a pass of the joint and of the composite map against the bare products and activations."""
    game = ring(n, layers)
    weights = [game.network.weights[edge].dense for edge in sorted(game.network.weights)]
    sources = [np.random.default_rng(i).standard_normal(n) for i in range(layers)]
    buffers = [np.empty(n) for _ in range(layers)]

    def bare() -> None:
        for i in range(layers):
            np.dot(weights[i], sources[i - 1], out=buffers[i])
            np.tanh(buffers[i], out=buffers[i])

    for kind in ("joint", "composite"):
        view = game.fixed_point(kind)
        x = np.random.default_rng(1).standard_normal(view.size)
        out = np.empty_like(x)
        ours, least = interleaved(lambda v=view, x=x, o=out: v.evaluate(x, o), bare, inner=inner)
        print(f"{kind:9} pass  n = {n:4}  L = {layers}  {1e6 * ours:9.2f} us  bare {1e6 * least:9.2f} us", end="")
        print(f"  ratio {ours / least:.3f}")


def fused_by_hand(activation: str) -> Callable[..., Any]:
    """Return a compiled loop of plain passes through L layers with one activation, written for nothing else."""
    from numba import njit

    @njit(error_model="numpy")
    def tanh(v: float) -> float:
        return math.tanh(v)

    @njit(error_model="numpy")
    def relu(v: float) -> float:
        return max(v, 0.0)

    respond = {"tanh": tanh, "relu": relu}[activation]

    @njit(error_model="numpy", fastmath={"reassoc", "contract"})
    def passes(weights: Any, biases: Any, x: Any, y: Any, steps: int) -> float:
        layers, n, _ = weights.shape
        residual = 0.0
        for _ in range(steps):
            for i in range(n):
                y[0, i] = x[i]
            for layer in range(layers):
                for i in range(n):
                    total = biases[layer, i]
                    for j in range(n):
                        total += weights[layer, i, j] * y[layer, j]
                    y[layer + 1, i] = respond(total)
            residual = 0.0
            for i in range(n):
                residual += (y[layers, i] - x[i]) ** 2
                x[i] = y[layers, i]
            residual = math.sqrt(residual)
        return residual

    return passes


def report_compiled(n: int, layers: int, activation: str, steps: int) -> None:
    """Print a compiled step of picard against the loop fused by hand, and against a step in NumPy."""
    game = ring(n, layers, activation)
    view, by_hand = game.fixed_point(), fused_by_hand(activation)
    kernels: Any = loading.kernels(limited=True)
    packed: Any = view.fused
    x, image = np.zeros((2, 1, n))
    residuals, y = np.empty(steps), np.empty((layers + 1, n))
    arguments, in_double = packed.arguments(), packed.refined(False)
    weights, biases = packed.weights.reshape(layers, n, n), packed.biases.reshape(layers, n)

    def ours() -> None:
        numbers = np.array([1.0, -1.0, math.inf, math.inf, 1.0, math.inf, 1.0])
        counts = np.array([steps, 0, 0, 0, 1, 0])
        kernels.relaxed_steps(*arguments, x, image, x, numbers, counts, residuals, np.empty((0, 1, n)), *in_double)

    def hand() -> None:
        by_hand(weights, biases, x[0], y, steps)

    def plain() -> None:
        for _ in range(steps):
            view.evaluate(image[0], x[0])

    mine, least, numpy = (seconds / steps for seconds in interleaved(ours, hand, plain, inner=1))
    print(f"compiled step   n = {n:4}  L = {layers}  {activation}  {1e6 * mine:8.3f} us", end="")
    print(f"  by hand {1e6 * least:8.3f} us  ratio {mine / least:.3f}  (a pass in NumPy {1e6 * numpy:.2f} us)")


def report_solve(n: int, layers: int, label: str) -> None:
    """Print the time of a solve that starts at the equilibrium, its fixed overhead, and of one from zero by step."""
    game = ring(n, layers)
    for method in ("picard", "km", "anderson", "auto"):
        found = nng.solve(game, method)
        start = found.profile
        still, whole = interleaved(
            lambda m=method, s=start: nng.solve(game, m, start=s), lambda m=method: nng.solve(game, m), inner=10
        )
        step = (whole - still) / max(1, found.iterations)
        print(f"{label:8} solve  n = {n:4}  L = {layers}  {method:9} {1e3 * whole:.4f} ms", end="")
        print(f"  overhead {1e3 * still:.4f} ms  {found.iterations} steps of {1e6 * step:.2f} us")


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__.partition("\n")[0]).parse_args()
    with threadpool_limits(limits=1):
        for size, repetitions in ((1000, 3), (200, 30), (20, 300)):
            for depth in (1, 3):
                report_pass(size, depth, repetitions)
        installed, loading._process().installed = find_spec("numba") is not None, False
        for size in (20, 200):
            for depth in (1, 3):
                report_solve(size, depth, "NumPy")
        if installed:
            loading._process().installed = True
            nng.compile_passes()
            for size, depth, name in ((20, 1, "tanh"), (20, 3, "tanh"), (20, 1, "relu"), (20, 3, "relu")):
                report_compiled(size, depth, name, 1000)
            for size in (20, 200):
                for depth in (1, 3):
                    report_solve(size, depth, "compiled")
