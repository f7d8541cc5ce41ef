"""Prints what a batch of starts costs beside the bare products: interleaved medians of processor time, one thread.

The bare work is W @ X with out= for each layer and pass, on the starts whose runs still go on at that pass; a second
figure has the bare activations on the products too. ``auto`` is the default method, ``double`` plain passes without a
step in single precision, both to the same target. Where Optimistix is installed its fixed-point iteration, compiled and
vmapped over the starts, is measured beside ours with the same starts, the same rule and warm caches. Where Numba is
installed, ours has its compiled parts.

Run it with one BLAS thread: OPENBLAS_NUM_THREADS=1 python tests/benchmarks/batches.py
"""

from __future__ import annotations

import argparse
import os

# Before anything that reads them.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")

import time
from collections.abc import Callable
from importlib.util import find_spec
from statistics import median

import numpy as np

import nngames as nng

RUNS = 25
STARTS, SIZE, LAYERS = 256, 200, 2
RESPONSES = {"relu": lambda v: np.maximum(v, 0.0, out=v), "tanh": lambda v: np.tanh(v, out=v)}


def ring(name: str, norm: float) -> tuple[nng.Network, list[np.ndarray], list[np.ndarray]]:
    """Return a dense ring whose weights are ``norm`` times orthogonal."""
    rng = np.random.default_rng(0)
    weights = [norm * np.linalg.qr(rng.standard_normal((SIZE, SIZE)))[0] for _ in range(LAYERS)]
    biases = [rng.standard_normal(SIZE) for _ in range(LAYERS)]
    return nng.Network.ring(weights, biases, [name] * LAYERS), weights, biases


def bare_products(
    weights: list[np.ndarray], active: np.ndarray, respond: Callable[[np.ndarray], object] | None = None
) -> Callable[[], None]:
    """Return the products of all passes, on as many columns as there are active starts, and ``respond`` on them."""
    x, y = np.random.default_rng(2).standard_normal((2, SIZE, STARTS))
    made = {count: (np.ascontiguousarray(x[:, :count]), np.ascontiguousarray(y[:, :count])) for count in set(active)}
    blocks = [made[count] for count in active]

    def run() -> None:
        for first, second in blocks:
            for weight in weights:
                np.matmul(weight, first, out=second)
                if respond is not None:
                    respond(second)
                first, second = second, first

    return run


def vmapped(weights: list[np.ndarray], biases: list[np.ndarray], name: str, starts: np.ndarray, target: float):
    """Return Optimistix's iteration on the composite map, vmapped and compiled."""
    import jax
    import jax.numpy as jnp
    import optimistix

    jax.config.update("jax_enable_x64", True)
    respond = {"tanh": jnp.tanh, "relu": jax.nn.relu}[name]
    parameters = [(jnp.asarray(w), jnp.asarray(b)) for w, b in zip(weights, biases, strict=True)]

    def composite(x, _):
        for weight, bias in parameters:
            x = respond(weight @ x + bias)
        return x

    method = optimistix.FixedPointIteration(rtol=0.0, atol=target, norm=lambda d: jnp.sqrt(jnp.vdot(d, d)))

    @jax.jit
    @jax.vmap
    def solve(x):
        return optimistix.fixed_point(composite, method, x, max_steps=10_000, throw=False).value

    columns = jnp.asarray(starts)
    return lambda: solve(columns).block_until_ready()


def report(name: str, norm: float, spread: float) -> None:
    """Print one case; ``spread`` is the number of decades over which the starts' distances lie."""
    network, weights, biases = ring(name, norm)
    game = network.game()
    rng = np.random.default_rng(1)
    starts = rng.standard_normal((STARTS, game.size)) * np.logspace(-spread / 2, spread / 2, STARTS)[:, None]
    result = nng.solve_batch(game, starts, "picard")
    assert result.converged.all()
    assert nng.solve_batch(game, starts).converged.all()
    active = np.array([np.count_nonzero(result.evaluations > k) for k in range(result.evaluations.max())])
    functions = {
        "auto": lambda: nng.solve_batch(game, starts),
        "double": lambda: nng.solve_batch(game, starts, "picard"),
        "bare": bare_products(weights, active),
        "with activations": bare_products(weights, active, RESPONSES[name]),
    }
    if find_spec("optimistix") is not None:
        target = result.tolerance * result.scale
        functions["optimistix"] = vmapped(weights, biases, name, starts[:, -SIZE:], target)
    times: dict[str, list[float]] = {key: [] for key in functions}
    for function in functions.values():
        function()
    for _ in range(RUNS):
        for key, function in functions.items():
            began = time.process_time()
            function()
            times[key].append(time.process_time() - began)
    medians = {key: median(taken) for key, taken in times.items()}
    shown = "  ".join(f"{key} {1e3 * seconds:8.2f} ms" for key, seconds in medians.items())
    passes = f"{result.evaluations.min()}-{result.evaluations.max()}"
    print(f"{name:5} norm {norm} spread {spread:3.1f}  passes {passes:9} {shown}")
    for ours in ("auto", "double"):
        ratios = "  ".join(f"{medians[ours] / medians[key]:.3f} of {key}" for key in list(functions)[2:])
        print(f"      {ours:6} {ratios}")


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__.partition("\n")[0]).parse_args()
    if find_spec("numba") is not None:
        nng.compile_passes()
    for name in RESPONSES:
        for norm, spread in ((0.8, 0.0), (0.95, 0.0), (0.95, 4.0), (0.99, 0.0)):
            report(name, norm, spread)
