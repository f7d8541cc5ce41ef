"""Prints how long ``auto`` takes on each game of gallery:bench beside the solvers of other packages.

Each line comes from runs of ``nngames compare``: interleaved repetitions on one pinned core with one thread, one
command for each game and group of solvers. Compiled code cannot be interrupted, so a command that takes longer than the
limit is ended, and then each solver of the group has a command of its own. A last command repeats the fastest solvers
of the game beside ``auto`` with more repetitions; its medians are the ones that are printed, with how many times the
time of ``auto`` the fastest of the others takes. With ``--fresh`` the figures are first calls, each in a process of its
own.

It needs the extra ``peers``, and ``fast`` for compiled passes: python tests/benchmarks/peers.py [CASE ...]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from statistics import median

BENCH = Path(__file__).parents[2] / "scenarios" / "bench"
#: Solvers that are tried together.
GROUPS = (
    ("scipy:krylov", "scipy:anderson", "scipy:df-sane", "scipy:hybr"),
    ("jaxopt:anderson", "jaxopt:broyden", "jaxopt:fixed_point"),
    ("optimistix:chord", "optimistix:dogleg", "optimistix:fixed_point", "optimistix:newton"),
    ("torchdeq:anderson", "torchdeq:broyden", "torchdeq:fixed_point"),
    ("nashopt:lq",),
    ("nashopt:gnep",),
)
#: Solvers that are measured again with more repetitions.
FINALISTS = 3
#: One thread for everybody.
ONE_THREAD = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
}

Times = dict[str, float]


def compared(case: str, methods: list[str], options: list[str], call: str, limit: float) -> Times:
    """Return the median milliseconds of the methods that converged, none if the command did not end in time."""
    command = [sys.executable, "-m", "nngames", "compare", f"gallery:bench/{case}", "--methods", ",".join(methods)]
    try:
        done = subprocess.run(
            [*command, "--json", *options],
            capture_output=True,
            text=True,
            timeout=limit,
            env={**os.environ, **ONE_THREAD},
            check=False,
        )
        rows = json.loads(done.stdout)["rows"]
    except (subprocess.TimeoutExpired, json.JSONDecodeError, KeyError):
        return {}
    times = defaultdict(list)
    for row in rows:
        if row["status"] == "converged" and row["call"] == call:
            times[row["method"]].append(1e3 * row["seconds"])
    return {method: median(taken) for method, taken in times.items()}


def ratios(times: Times) -> Times:
    """Return the time of each other method by that of ``auto``; none where ``auto`` has none."""
    return {m: t / times["auto"] for m, t in times.items() if m != "auto"} if "auto" in times else {}


def screened(case: str, group: Sequence[str], options: list[str], call: str, limit: float) -> Times:
    """Return the times of ``auto`` and of the solvers of a group, of which each that ends in time has one."""
    times = compared(case, ["auto", *group], options, call, limit)
    if times or len(group) == 1:
        return times
    alone = [compared(case, ["auto", name], options, call, limit) for name in group]
    # Each was measured beside a run of ``auto`` of its own, whose median is the unit.
    unit = next((found["auto"] for found in alone if "auto" in found), None)
    return {"auto": unit} | {m: unit * r for found in alone for m, r in ratios(found).items()} if unit else {}


def measured(case: str, repeat: int, limit: float, fresh: bool) -> Times:
    """Return the times of ``auto`` and of the fastest others on one game."""
    options = ["--pin", "--max-seconds", "10", "--max-iterations", "3000"]
    call, few = ("fresh", ["--fresh", "--repeat", "2"]) if fresh else ("warm", ["--repeat", "5"])
    found: Times = {}
    alone: Times = {}
    for group in GROUPS:
        times = screened(case, group, [*options, *few], call, limit)
        found.update(ratios(times))
        alone = times or alone
    finalists = sorted(found, key=lambda method: found[method])[:FINALISTS]
    if not finalists:
        return {"auto": alone["auto"]} if "auto" in alone else compared(case, ["auto"], [*options, *few], call, limit)
    again = options + (few if fresh else ["--repeat", str(repeat)])
    return compared(case, ["auto", *finalists], again, call, 10 * limit)


def main() -> None:
    """Print the table, a line as soon as it is known, and the median of its ratios."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("cases", nargs="*", default=sorted(path.stem for path in BENCH.glob("*.yaml")))
    parser.add_argument("--repeat", type=int, default=31, help="repetitions of the fastest solvers")
    parser.add_argument("--limit", type=float, default=90, help="seconds for a group of solvers on one game")
    parser.add_argument("--fresh", action="store_true", help="first calls in processes of their own")
    given = parser.parse_args()
    print("| gallery:bench/ | `auto` | fastest other | times the time of `auto` | next |\n|---|---|---|---|---|")
    factors = []
    for case in given.cases:
        times = measured(case, given.repeat, given.limit, given.fresh)
        others = sorted(ratios(times).items(), key=lambda item: item[1])
        factors.append(others[0][1] if others else float("inf"))
        shown = [f"{times[method]:.3g} ms, {method}" for method, _ in others]
        ours = f"{times['auto']:.3g} ms" if "auto" in times else "not in time"
        fastest, ratio = (shown[0], f"{factors[-1]:.2f}") if others else ("none in time", "")
        print(f"| {case} | {ours} | {fastest} | {ratio} | {'; '.join(shown[1:])} |", flush=True)
    print(f"\nThe median case: {median(factors):.2f} times.")


if __name__ == "__main__":
    main()
