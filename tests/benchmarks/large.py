"""Prints what games of a million players cost beside their data and bare products, each method in a fresh process.

The data are the CSR arrays of the weights, about ten entries a player, and the bias. Memory is the most that the
process grows by from the moment it has them: in building the network and its game, which keep a copy of their own, and
in the solve. ``owned`` hands the weights over as a SparseMap, of which no copy is made; ``compiled`` has loaded the
compiled passes before, where Numba is installed. Time is the processor's, that of a solve over that of the bare
scipy.sparse products, one for each of its passes: medians of solves and blocks of products that take turns, and the
first solve of the process, part of which are pages of memory that the system has to find: on a virtual machine, as long
as a product for each vector. Linux only: it reads /proc.

Run it with one BLAS thread: OPENBLAS_NUM_THREADS=1 python tests/benchmarks/large.py [SIZE]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from scipy import sparse

import nngames as nng
from nngames.core.operators import SparseMap

METHODS: dict[str, dict[str, Any]] = {
    "picard": {},
    "km": {},
    "best_response": {"order": "simultaneous"},
    "anderson": {},
    "auto": {},
}
#: What else is measured, beside runs on a copy of the weights without compiled passes.
WAYS = {"picard": ("owned", "compiled"), "anderson": ("compiled",), "auto": ("compiled",)}
#: The generators, with the activation of all their players.
GAMES: dict[str, Any] = {"clearing": {"name": "box", "lower": 0.0, "upper": 1.0}, "public_goods": "relu"}


#: Solves and blocks of products that take turns.
ROUNDS = 5


def megabytes(what: str) -> float:
    """Return a line of the process's memory figures, such as VmRSS, the present one, or VmHWM, the most so far."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(what))


def timed(call: Callable[[], Any]) -> tuple[float, Any]:
    """Return the processor's seconds of a call and its value."""
    began = time.process_time()
    value = call()
    return time.process_time() - began, value


def measure(path: Path, name: str, method: str, how: str) -> None:
    """Build and solve the game of the stored arrays, and print what it took."""
    with np.load(path) as stored:
        data, indices, indptr, bias = (stored[key] for key in ("data", "indices", "indptr", "bias"))
    weight = sparse.csr_array((data, indices, indptr), shape=(len(bias), len(bias)))
    size = sum(array.nbytes for array in (data, indices, indptr, bias)) / 2**20
    if how == "compiled":
        nng.compile_passes()
    before = megabytes("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")
    matrix = SparseMap(weight) if how == "owned" else weight
    built, game = timed(lambda: nng.Network.recurrent(matrix, bias, GAMES[name]).game())

    def solve() -> nng.Result:
        return nng.solve(game, method, max_iterations=100_000, **METHODS[method])

    first, result = timed(solve)
    grown = megabytes("VmHWM") - before
    passes, x = result.evaluations, result.profile

    def multiply() -> None:
        for _ in range(passes):
            weight @ x

    bare, solved = [], []
    for _ in range(ROUNDS):
        bare.append(timed(multiply)[0])
        solved.append(timed(solve)[0])
    products = median(bare)
    print(
        f"{name:12} {method:13} {how:8} {result.status}  {passes:4} passes  built in {built:5.2f} s  "
        f"solved in {median(solved):6.2f} s = {median(solved) / products:.2f} times the products, "
        f"at first in {first:6.2f} s = {first / products:.2f}  "
        f"data {size:4.0f} MB  grown by {grown:4.0f} MB = {grown / size:.2f} times the data",
        flush=True,
    )


def report(name: str, size: int) -> None:
    """Store the arrays of one game and measure each method in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "game.npz"
        network = nng.Network.generate(name, 0, size=size)
        matrix: Any = network.weights[1, 1]
        csr = matrix.matrix
        np.savez(path, data=csr.data, indices=csr.indices, indptr=csr.indptr, bias=network.biases[1])
        del network, matrix, csr
        for method in METHODS:
            for how in ("copied", *WAYS.get(method, ())):
                if how != "compiled" or find_spec("numba"):
                    subprocess.run([sys.executable, __file__, str(path), name, method, how], check=True)


if __name__ == "__main__":
    if len(sys.argv) == 5:
        measure(Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4])
    else:
        parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
        parser.add_argument("size", nargs="?", type=int, default=1_000_000, help="players")
        players = parser.parse_args().size
        for game in GAMES:
            report(game, players)
