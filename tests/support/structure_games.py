"""Random games of every potential structure, with the data that they were built from."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import nngames as nng

FAMILIES = (
    "symmetric",
    "weighted",
    "perturbed",
    "pair",
    "one_way",
    "dense",
    "rotation",
    "ring",
    "recurrent",
    "degenerate",
    "quadratic",
    "open",
)
FREE = ("identity", "tanh", "sigmoid", "elu", "hard_tanh", "relu", "leaky_relu", "softmax", "simplex")
BOXES = ("nonnegative", "box", "identity", "simplex")


@dataclass(frozen=True, eq=False)
class Drawn:
    """A game with the data that it was built from.

    ``couplings[l, k]`` is B_lk in J_l = phi_l(z) - <z, b_l + sum_k B_lk x_k>; ``own[l]`` is Q_l, None for the identity;
    ``loops`` are neurons' self-weights.
    """

    family: str
    game: Any
    sizes: dict[Any, int]
    couplings: dict[tuple[Any, Any], np.ndarray]
    biases: dict[Any, np.ndarray]
    penalties: dict[Any, Any]
    own: dict[Any, np.ndarray] = field(default_factory=dict)
    loops: dict[Any, float] = field(default_factory=dict)


def drawn_game(number: int, seed: int = 0) -> Drawn:
    """Draw the game of a number: families in turn."""
    rng = np.random.default_rng([seed, number])
    family = FAMILIES[number % len(FAMILIES)]
    return _DRAW[family](rng, family)


def _matrix(rng: Any, shape: tuple[int, int], whole: bool) -> np.ndarray:
    return rng.integers(-6, 7, size=shape) / 4.0 if whole else rng.normal(size=shape)


def _players(rng: Any, count: int, names: tuple[str, ...] = FREE) -> tuple[dict[int, int], dict[int, Any]]:
    sizes = {i: int(rng.integers(1, 4)) for i in range(count)}
    penalties: dict[int, Any] = {}
    for i in sizes:
        name = str(rng.choice(names))
        if name in ("softmax", "simplex"):
            sizes[i] = max(sizes[i], 2)
        penalties[i] = {"name": "leaky_relu", "slope": 0.25} if name == "leaky_relu" else name
    return sizes, penalties


def _edges(rng: Any, count: int, density: float) -> list[tuple[int, int]]:
    """A connected undirected graph."""
    tree = [(int(rng.integers(0, k)), k) for k in range(1, count)]
    more = [e for e in itertools.combinations(range(count), 2) if e not in tree and rng.random() < density]
    return tree + more


def _network(
    family: str, sizes: dict[int, int], couplings: dict[Any, np.ndarray], penalties: dict[int, Any], rng: Any
) -> Drawn:
    biases = {i: rng.integers(-4, 5, size=n) / 8 for i, n in sizes.items()}
    game = nng.Network.graph(couplings, biases, penalties).game("layers", "proximal")
    return Drawn(family, game, sizes, couplings, biases, penalties)


def _balanced(rng: Any, sizes: dict[int, int], edges: list[tuple[int, int]], scales: Any, whole: bool) -> dict:
    couplings = {}
    for i, k in edges:
        block = _matrix(rng, (sizes[i], sizes[k]), whole)
        couplings[i, k], couplings[k, i] = scales[i] * block, scales[k] * block.T
    return couplings


def _potential(rng: Any, family: str) -> Drawn:
    sizes, penalties = _players(rng, int(rng.integers(2, 7)))
    whole = bool(rng.random() < 0.5)
    scales = np.ones(len(sizes))
    if family == "weighted":
        scales = rng.integers(1, 8, size=len(sizes)).astype(float) if whole else rng.uniform(0.2, 5.0, len(sizes))
    couplings = _balanced(rng, sizes, _edges(rng, len(sizes), 0.4), scales, whole)
    return _network(family, sizes, couplings, penalties, rng)


def _perturbed(rng: Any, family: str) -> Drawn:
    sizes, penalties = _players(rng, int(rng.integers(2, 6)))
    scales = rng.uniform(0.3, 3.0, len(sizes)) if rng.random() < 0.5 else np.ones(len(sizes))
    couplings = _balanced(rng, sizes, _edges(rng, len(sizes), 0.5), scales, False)
    edge = list(couplings)[int(rng.integers(len(couplings)))]
    couplings[edge] = couplings[edge] + 1e-6 * rng.normal(size=couplings[edge].shape)
    return _network(family, sizes, couplings, penalties, rng)


def _pair(rng: Any, family: str) -> Drawn:
    """A game with a weighted potential but for one pair, in which the players hear each other at cross purposes."""
    sizes, penalties = _players(rng, int(rng.integers(4, 9)))
    couplings = _balanced(rng, sizes, _edges(rng, len(sizes), 0.2), rng.uniform(0.5, 2.0, len(sizes)), False)
    i, k = list(couplings)[int(rng.integers(len(couplings)))]
    couplings[i, k] = rng.normal(size=(sizes[i], sizes[k]))
    return _network(family, sizes, couplings, penalties, rng)


def _one_way(rng: Any, family: str) -> Drawn:
    """A directed cycle of three or more players, and some other edges."""
    count = int(rng.integers(3, 7))
    sizes, penalties = _players(rng, count)
    length = int(rng.integers(3, count + 1))
    edges = {((k + 1) % length, k) for k in range(length)} | {(k, k - 1) for k in range(length, count)}
    edges |= {(i, k) for i in range(count) for k in range(count) if i != k and rng.random() < 0.12}
    whole = bool(rng.random() < 0.5)
    couplings = {(i, k): _matrix(rng, (sizes[i], sizes[k]), whole) for i, k in sorted(edges)}
    return _network(family, sizes, couplings, penalties, rng)


def _dense(rng: Any, family: str) -> Drawn:
    sizes, penalties = _players(rng, int(rng.integers(2, 6)))
    pairs = itertools.permutations(sizes, 2)
    couplings = {(i, k): rng.normal(size=(sizes[i], sizes[k])) for i, k in pairs if rng.random() < 0.8}
    return _network(family, sizes, couplings, penalties, rng)


def _rotation(rng: Any, family: str) -> Drawn:
    """Two players, one of whom wants what the other does not."""
    name = str(rng.choice(["identity", "tanh", "hard_tanh", "leaky_relu", "elu", "softmax", "simplex"]))
    n = int(rng.integers(2, 4)) if name in ("softmax", "simplex") else int(rng.integers(1, 4))
    penalty = {"name": "leaky_relu", "slope": 0.25} if name == "leaky_relu" else name
    block = _matrix(rng, (n, n), bool(rng.random() < 0.5)) + 0.5 * np.eye(n)
    couplings = {(0, 1): block, (1, 0): -float(rng.uniform(0.5, 2.0)) * block.T}
    return _network(family, {0: n, 1: n}, couplings, {0: penalty, 1: penalty}, rng)


def _ring(rng: Any, family: str) -> Drawn:
    count = int(rng.integers(2, 8))
    sizes, penalties = _players(rng, count)
    scale = float(rng.choice([0.4, 1.0, 2.0]))
    whole = bool(rng.random() < 0.4)
    couplings = {(i, i - 1 if i else count - 1): None for i in range(count)}
    for i, k in couplings:
        couplings[i, k] = scale * _matrix(rng, (sizes[i], sizes[k]), whole)
    return _network(family, sizes, couplings, penalties, rng)


def _recurrent(rng: Any, family: str) -> Drawn:
    """Neurons: symmetric, balanced by weights, of one sign with unequal products, or arbitrary."""
    n, kind = int(rng.integers(3, 8)), int(rng.integers(4))
    weight = rng.normal(size=(n, n))
    if kind < 3:
        weight = np.triu(weight, 1) + np.triu(weight, 1).T
    if kind == 1:
        weight = rng.integers(1, 5, size=n)[:, None] * np.round(4 * weight) / 4
    if kind == 2:
        weight = weight * np.exp(0.3 * rng.normal(size=(n, n)))
    np.fill_diagonal(weight, rng.uniform(-0.5, 0.5, n))
    name = str(rng.choice(["identity", "tanh", "hard_tanh", "relu", "elu"]))
    bias = rng.integers(-4, 5, size=n) / 8
    game = nng.Network.recurrent(weight, bias, name).game("neurons", "proximal")
    names = list(game.players)
    couplings = {
        (names[i], names[k]): weight[i : i + 1, k : k + 1]
        for i, k in itertools.permutations(range(n), 2)
        if weight[i, k] != 0
    }
    return Drawn(
        family,
        game,
        dict.fromkeys(names, 1),
        couplings,
        {p: bias[i : i + 1] for i, p in enumerate(names)},
        dict.fromkeys(names, name),
        loops={p: float(weight[i, i]) for i, p in enumerate(names)},
    )


def _degenerate(rng: Any, family: str) -> Drawn:
    """Simplices, points, boxes with a fixed coordinate; couplings partly such as these domains do not feel."""
    count = int(rng.integers(2, 6))
    sizes, penalties = {}, {}
    for i in range(count):
        kind = int(rng.integers(4))
        sizes[i] = 3
        if kind == 0:
            penalties[i] = str(rng.choice(["softmax", "simplex"]))
        elif kind == 1:
            penalties[i] = {"name": "box", "lower": [-1.0, 0.25, 0.0], "upper": [1.0, 0.25, 2.0]}
        elif kind == 2 and i:
            penalties[i] = {"name": "singleton", "point": [0.5, -1.0, 0.25]}
        else:
            penalties[i] = str(rng.choice(["tanh", "identity", "hard_tanh"]))
    couplings = {}
    ratio = float(rng.choice([1.0, 2.0]))
    for i, k in itertools.combinations(sizes, 2):
        block = rng.integers(-4, 5, size=(3, 3)) / 4
        couplings[i, k], couplings[k, i] = block + _unfelt(rng, penalties[i], penalties[k]), None
        back = block.T * (ratio if i == 0 else 1.0)
        if rng.random() < 0.3:
            back = rng.integers(-4, 5, size=(3, 3)) / 4
        couplings[k, i] = back + _unfelt(rng, penalties[k], penalties[i])
    return _network(family, sizes, couplings, penalties, rng)


def _unfelt(rng: Any, target: Any, source: Any) -> np.ndarray:
    total = np.zeros((3, 3))
    for d in _hidden(target):
        total += np.outer(d, rng.integers(-4, 5, size=3) / 4)
    for d in _hidden(source):
        total += np.outer(rng.integers(-4, 5, size=3) / 4, d)
    return total


def _hidden(penalty: Any) -> list[np.ndarray]:
    name = penalty if isinstance(penalty, str) else penalty["name"]
    if name in ("softmax", "simplex"):
        return [np.ones(3)]
    return list(np.eye(3)) if name == "singleton" else [np.eye(3)[1]] if name == "box" else []


def _quadratic(rng: Any, family: str) -> Drawn:
    sizes, penalties = _players(rng, int(rng.integers(2, 6)), BOXES)
    own, couplings = {}, {}
    for i, n in sizes.items():
        q = rng.integers(-2, 3, size=(n, n)) / 4
        own[i] = q @ q.T + np.eye(n)
    kind = int(rng.integers(3))
    scales = rng.integers(1, 5, size=len(sizes)).astype(float)
    for i, k in _edges(rng, len(sizes), 0.4):
        r = _matrix(rng, (sizes[i], sizes[k]), True)
        couplings[i, k] = scales[i] * r
        couplings[k, i] = scales[k] * r.T if kind else -scales[k] * r.T
    if kind == 2:
        edge = list(couplings)[int(rng.integers(len(couplings)))]
        couplings[edge] = _matrix(rng, couplings[edge].shape, True)
    linear = {i: rng.integers(-4, 5, size=n) / 8 for i, n in sizes.items()}
    sets = {i: name for i, name in penalties.items() if name != "identity"}
    game = nng.QuadraticGame(own, couplings, linear, sets)
    heard = {edge: -r for edge, r in couplings.items()}
    return Drawn(family, game, sizes, heard, {i: -q for i, q in linear.items()}, penalties, own)


def _open(rng: Any, family: str) -> Drawn:
    """No cycle but inside components with weighted potentials."""
    sizes, penalties = _players(rng, int(rng.integers(3, 7)))
    half = len(sizes) // 2
    couplings = _balanced(rng, sizes, _edges(rng, max(half, 1), 0.5), rng.uniform(0.5, 2.0, len(sizes)), False)
    for i in range(half, len(sizes)):
        for k in range(i):
            if rng.random() < 0.5:
                couplings[i, k] = rng.normal(size=(sizes[i], sizes[k]))
    return _network(family, sizes, couplings, penalties, rng)


_DRAW = {
    "symmetric": _potential,
    "weighted": _potential,
    "perturbed": _perturbed,
    "pair": _pair,
    "one_way": _one_way,
    "dense": _dense,
    "rotation": _rotation,
    "ring": _ring,
    "recurrent": _recurrent,
    "degenerate": _degenerate,
    "quadratic": _quadratic,
    "open": _open,
}
