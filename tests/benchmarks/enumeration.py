"""Counts and times of the enumeration of equilibria: against all activation patterns, at 30 neurons, and by intervals.

    OPENBLAS_NUM_THREADS=1 python tests/benchmarks/enumeration.py [--seeds K] [--least N] [--most N]
        [--activations relu hard_tanh]

The first table compares with a brute force over all patterns, in fractions and without linear programs, for 2 to N
neurons; a difference ends the run. Whether a pattern with singular equations holds an equilibrium is decided by
eliminating inequalities (Fourier and Motzkin), so that continua are compared too: each of these equilibria must lie on
a component, and each corner of a component must be one. The second table lists 30 neurons, the third the bistable pair
of tanh. It prints tables in Markdown.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Iterator
from fractions import Fraction

import numpy as np

import nngames as nng

#: Pieces of a response by hand: the range of v, slope and offset.
PIECES = {
    "relu": [(None, 0, 0, 0), (0, None, 1, 0)],
    "hard_tanh": [(None, -1, 0, -1), (-1, 1, 1, 0), (1, None, 0, 1)],
}
#: Neurons up to which every pattern is decided in fractions; above, floats first drop those that are far from holding.
MOST_IN_FRACTIONS = 5
Row = tuple[list[Fraction], Fraction]


def affine(rows: list[Row], n: int) -> tuple[list[Fraction], list[list[Fraction]]] | None:
    """Return a solution of the equations <g, x> = h and a basis of their directions; None if there is none."""
    table = [[*g, h] for g, h in rows]
    pivots: list[int] = []
    for column in range(n):
        pivot = next((i for i in range(len(pivots), len(table)) if table[i][column]), None)
        if pivot is None:
            continue
        k = len(pivots)
        table[k], table[pivot] = table[pivot], table[k]
        table[k] = [x / table[k][column] for x in table[k]]
        for i, row in enumerate(table):
            if i != k and row[column]:
                table[i] = [a - row[column] * b for a, b in zip(row, table[k], strict=True)]
        pivots.append(column)
    if any(row[n] for row in table[len(pivots) :]):
        return None
    origin = [Fraction(0)] * n
    for k, column in enumerate(pivots):
        origin[column] = table[k][n]
    basis = []
    for free in (column for column in range(n) if column not in pivots):
        direction = [Fraction(int(i == free)) for i in range(n)]
        for k, column in enumerate(pivots):
            direction[column] = -table[k][free]
        basis.append(direction)
    return origin, basis


def feasible(rows: list[Row], k: int) -> list[Fraction] | None:
    """Return a point with <g, t> <= h for all rows, eliminating one variable after another, or None."""
    if k == 0:
        return None if any(h < 0 for _, h in rows) else []
    scaled = [([x / abs(g[-1]) for x in g], h / abs(g[-1])) if g[-1] else (g, h) for g, h in rows]
    upper, lower = ([row for row in scaled if sign * row[0][-1] > 0] for sign in (1, -1))
    rest = [(g[:-1], h) for g, h in scaled if not g[-1]]
    rest += [
        ([a + b for a, b in zip(u[:-1], w[:-1], strict=True)], h + e)
        for (u, h), (w, e) in itertools.product(upper, lower)
    ]
    inner = feasible(list({(tuple(g), h): (g, h) for g, h in rest}.values()), k - 1)
    if inner is None:
        return None
    highs = [h - sum(a * t for a, t in zip(g, inner)) for g, h in upper]  # noqa: B905 - the last entry is the variable
    lows = [sum(a * t for a, t in zip(g, inner)) - h for g, h in lower]  # noqa: B905
    if highs and lows:
        return [*inner, (min(highs) + max(lows)) / 2]
    return [*inner, min(highs, default=max(lows, default=Fraction(1)) + 1) - (1 if highs else 0)]


def brute_force(weight: np.ndarray, bias: np.ndarray, activation: str) -> tuple[set[tuple[Fraction, ...]], list]:
    """Return the equilibria of the patterns with one solution, and one of every pattern with a continuum."""
    n = len(bias)
    w = [[Fraction(x) for x in row] for row in weight.tolist()]
    b = [Fraction(x) for x in bias.tolist()]
    points, spread = set(), []
    for pattern in nearly_possible(weight, bias, activation) if n > MOST_IN_FRACTIONS else all_patterns(n, activation):
        equations = [
            ([int(i == j) - p[2] * w[i][j] for j in range(n)], p[2] * b[i] + p[3]) for i, p in enumerate(pattern)
        ]
        solved = affine([([Fraction(x) for x in g], Fraction(h)) for g, h in equations], n)
        if solved is None:
            continue
        origin, basis = solved
        rows: list[Row] = []
        for i, (low, high, _, _) in enumerate(pattern):
            heard = b[i] + sum(a * x for a, x in zip(w[i], origin, strict=True))
            along = [sum(a * x for a, x in zip(w[i], d, strict=True)) for d in basis]
            rows += [] if high is None else [(along, high - heard)]
            rows += [] if low is None else [([-x for x in along], heard - low)]
        inside = feasible(rows, len(basis))
        if inside is None:
            continue
        x = tuple(o + sum(t * d[i] for t, d in zip(inside, basis, strict=True)) for i, o in enumerate(origin))
        if basis:
            spread.append(x)
        else:
            points.add(x)
    return points, spread


def all_patterns(n: int, activation: str) -> Iterator[tuple]:
    """Yield all patterns."""
    return itertools.product(PIECES[activation], repeat=n)


def nearly_possible(weight: np.ndarray, bias: np.ndarray, activation: str) -> Iterator[tuple]:
    """Yield the patterns but those that a float solution of a regular system misses by far.

    The data are small multiples of 1/16, so that determinants are 0 or far from it.
    """
    n = len(bias)
    patterns = all_patterns(n, activation)
    while block := list(itertools.islice(patterns, 20_000)):
        ends = np.array(
            [[[-np.inf if p[0] is None else p[0], np.inf if p[1] is None else p[1], *p[2:]] for p in q] for q in block]
        )
        slopes, offsets = ends[:, :, 2], ends[:, :, 3]
        systems = np.eye(n) - slopes[:, :, None] * weight
        singular = np.abs(np.linalg.det(systems)) < 1e-9
        systems[singular] = np.eye(n)
        x = np.linalg.solve(systems, (slopes * bias + offsets)[:, :, None])[:, :, 0]
        v = x @ weight.T + bias
        near = ((v >= ends[:, :, 0] - 1e-6) & (v <= ends[:, :, 1] + 1e-6)).all(axis=1)
        yield from (block[k] for k in np.flatnonzero(near | singular))


def on_component(component: object, weight: np.ndarray, bias: np.ndarray, x: tuple[Fraction, ...]) -> bool:
    """Whether an equilibrium lies on one of the faces, by the conditions that these state."""
    v = [
        Fraction(b) + sum(Fraction(a) * t for a, t in zip(row, x, strict=True))
        for row, b in zip(weight.tolist(), bias.tolist(), strict=True)
    ]
    return any(
        all(
            (low is None or low <= t) and (high is None or t <= high)
            for t, (low, high, _, _) in zip(v, face.conditions, strict=True)
        )
        for face in component.faces  # type: ignore[attr-defined]
    )


def small_games(n: int, activation: str, seeds: int) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yield games with |W| > 1: drawn ones, bistable pairs, ties at kinks, singular cells, and continua."""
    for seed in range(seeds):
        rng = np.random.default_rng([n, seed])
        drawn = rng.integers(-4, 5, size=(n, n)) / 2
        np.fill_diagonal(drawn, 0)
        yield "drawn", drawn, rng.integers(-3, 4, size=n) / 2
        pairs = rng.integers(-1, 2, size=(n, n)) / 8
        np.fill_diagonal(pairs, 0)
        for k in range(0, n - 1, 2):
            pairs[k, k + 1], pairs[k + 1, k] = 2, 1
        yield (
            "bistable pairs",
            pairs,
            (rng.integers(-3, 1, size=n) - 0.5) / 4 if activation == "relu" else rng.integers(-2, 3, size=n) / 8,
        )
        yield "ties at kinks", pairs, np.zeros(n)
        chain = np.diag(np.full(n - 1, 1.0), -1)
        chain[0, -1] = 1.0
        yield "continuum of a ring", chain, np.zeros(n)
        blocks = np.zeros((n, n))
        for k in range(0, n - 1, 2):
            # A continuum in the first pair, three or two isolated points in the others.
            blocks[k, k + 1], blocks[k + 1, k] = (1, 1) if k == 0 else (2, 1)
        yield "continua side by side", blocks, np.where(np.arange(n) > 1, -0.25, 0.0)


def compared(weight: np.ndarray, bias: np.ndarray, activation: str) -> tuple[int, int, int, float]:
    """Return the numbers of isolated equilibria, continua and singular patterns, and the seconds of the enumeration."""
    game = nng.Network.recurrent(weight, bias, activation).game(players="neurons")
    start = time.perf_counter()
    found = nng.enumerate_equilibria(game, 120)
    seconds = time.perf_counter() - start
    assert found.complete.proved, found.complete
    points, spread = brute_force(weight, bias, activation)
    isolated = set(found.exact)
    assert isolated <= points.union(spread), "an isolated point that is no equilibrium"
    # A singular pattern may hold one point alone; then it is isolated.
    for x in points.union(spread) - isolated:
        assert any(on_component(c, weight, bias, x) for c in found.components), f"{x} is missed"
    for x in isolated:
        assert not any(on_component(c, weight, bias, x) for c in found.components), f"{x} is not isolated"
    assert spread or not found.components
    for vertex in (v for c in found.components for face in c.faces for v in face.vertices):
        assert vertex in points or is_equilibrium(weight, bias, activation, vertex)
    return len(isolated), len(found.components), len(spread), seconds


def is_equilibrium(weight: np.ndarray, bias: np.ndarray, activation: str, x: tuple[Fraction, ...]) -> bool:
    """Whether x = r(W x + b), in fractions."""
    low, high = {"relu": (Fraction(0), None), "hard_tanh": (Fraction(-1), Fraction(1))}[activation]
    for row, b, y in zip(weight.tolist(), bias.tolist(), x, strict=True):
        v = max(low, Fraction(b) + sum(Fraction(a) * t for a, t in zip(row, x, strict=True)))
        if y != (v if high is None else min(v, high)):
            return False
    return True


def coupled_pairs(seed: int, activation: str) -> tuple[np.ndarray, np.ndarray]:
    """Return four bistable pairs among 30 neurons that all act on each other."""
    rng = np.random.default_rng(seed)
    weight = rng.normal(size=(30, 30)) / (4 * np.sqrt(30))
    np.fill_diagonal(weight, 0)
    for k in range(0, 8, 2):
        weight[k, k + 1] += 2
        weight[k + 1, k] += 1
    bias = 0.3 * rng.normal(size=30)
    bias[:8] -= 0.6 if activation == "relu" else 0.0
    return weight, bias


def memories(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the symmetric couplings of Hopfield with three stored patterns."""
    rng = np.random.default_rng(seed)
    stored = rng.choice([-1.0, 1.0], size=(3, 30))
    weight = 2 * stored.T @ stored / 30
    np.fill_diagonal(weight, 0)
    return weight, 0.05 * rng.normal(size=30)


def row(*cells: object) -> None:
    """Print a row of a table."""
    print("|", " | ".join(map(str, cells)), "|", flush=True)


def heads(*cells: str) -> None:
    """Print the heads of a table."""
    print()
    row(*cells)
    print("|" + "---|" * len(cells))


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--least", type=int, default=2)
    parser.add_argument("--most", type=int, default=12)
    parser.add_argument("--activations", nargs="+", default=list(PIECES), choices=list(PIECES))
    options = parser.parse_args()
    heads(
        "activation", "neurons", "games as brute force has them", "with several equilibria", "with continua", "most s"
    )
    for activation, n in itertools.product(options.activations, range(options.least, options.most + 1)):
        figures = [compared(w, b, activation) for _, w, b in small_games(n, activation, options.seeds)]
        several, continua = (sum(f[0] + f[1] > 1 for f in figures), sum(f[1] > 0 for f in figures))
        row(activation, n, len(figures), several, continua, f"{max(f[3] for f in figures):.2f}")
    heads("30 neurons", "activation", "seed", "|W|", "equilibria", "complete", "s", "s of the processor")
    cases = [("bistable pairs", activation, coupled_pairs) for activation in options.activations]
    for (name, activation, make), seed in itertools.product(
        [*cases, ("three memories", "hard_tanh", memories)], range(options.seeds)
    ):
        weight, bias = make(seed) if make is memories else make(seed, activation)  # type: ignore[operator]
        start, busy = time.perf_counter(), time.process_time()
        found = nng.enumerate_equilibria(nng.Network.recurrent(weight, bias, activation).game(players="neurons"), 60)
        seconds, busy = time.perf_counter() - start, time.process_time() - busy
        row(
            name,
            activation,
            seed,
            f"{np.linalg.norm(weight, 2):.2f}",
            len(found),
            found.complete.status,
            f"{seconds:.1f}",
            f"{busy:.1f}",
        )
    heads("pair", "equilibria", "complete", "largest radius", "s")
    start = time.perf_counter()
    found = nng.enumerate_equilibria(nng.Network.ring([[[2.0]], [[1.0]]], [[0.0], [0.0]], ["tanh", "tanh"]).game())
    assert found.radii is not None
    row(
        "tanh, w = 2 and 1",
        len(found),
        found.complete.status,
        f"{found.radii.max():.1e}",
        f"{time.perf_counter() - start:.2f}",
    )


if __name__ == "__main__":
    main()
