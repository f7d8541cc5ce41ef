"""Linearised maps: J(x) d of the joint map, the composite map and best responses, against difference quotients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import sparse
from scipy.sparse.linalg import aslinearoperator

import nngames as nng


def ring(activation: str, convert: Any = np.asarray, sizes: tuple[int, ...] = (3, 5, 4)) -> Any:
    rng = np.random.default_rng(1)
    weights = [convert(rng.standard_normal((sizes[i], sizes[i - 1]))) for i in range(len(sizes))]
    return nng.Network.ring(weights, [rng.standard_normal(n) for n in sizes], [activation] * len(sizes))


def quadratic(penalty: Any, metric: str) -> Any:
    rng = np.random.default_rng(2)
    half = rng.standard_normal((3, 3))
    curvature = {"dense": half @ half.T + np.eye(3), "diagonal": np.diag([2.0, 0.7, 3.0]), "multiple": 2 * np.eye(3)}
    return nng.QuadraticGame(
        {"a": curvature[metric], "b": 2.0},
        {("a", "b"): rng.standard_normal((3, 1)), ("b", "a"): rng.standard_normal((1, 3))},
        {"a": rng.standard_normal(3)},
        {"a": penalty} if penalty else {},
    )


def self_feeding(players: str) -> Any:
    rng = np.random.default_rng(3)
    half = rng.standard_normal((4, 4))
    loop = 0.3 * (half + half.T) / np.linalg.norm(half + half.T, 2)
    weights = {("a", "a"): loop, ("a", "b"): rng.standard_normal((4, 2)), ("b", "a"): rng.standard_normal((2, 4))}
    return nng.Network.graph(weights, {"a": rng.standard_normal(4), "b": rng.standard_normal(2)}, "tanh").game(players)


def bilinear() -> Any:
    rng = np.random.default_rng(4)
    tensor = rng.standard_normal((2, 3, 2))
    term = nng.BilinearCoupling("c", ("a", "b"), tensor)
    weights = {("a", "c"): rng.standard_normal((3, 2)), ("b", "c"): rng.standard_normal((2, 2))}
    biases = {"a": rng.standard_normal(3), "b": rng.standard_normal(2), "c": rng.standard_normal(2)}
    linear = nng.Network.graph(weights, biases, "tanh")
    return nng.Network([*linear.couplings, term], linear.biases, linear.activations).game()


def many_small_players() -> Any:
    rng = np.random.default_rng(5)
    layers = 20
    weights = [rng.standard_normal((2, 2)) for _ in range(layers)]
    network = nng.Network.ring(weights, [rng.standard_normal(2) for _ in range(layers)], ["tanh"] * layers)
    assert network.joint.assembled
    return network.game()


VIEWS = [
    *[pytest.param(lambda a=a: ring(a).game(), kind, id=f"{a} {kind}") for a in ("tanh", "softmax", "gaussian")
      for kind in ("joint", "composite")],
    pytest.param(lambda: ring("tanh", sparse.csr_array).game(), "composite", id="sparse"),
    pytest.param(lambda: ring("tanh", aslinearoperator).game(), "joint", id="matrix-free"),
    pytest.param(many_small_players, "joint", id="assembled"),
    pytest.param(many_small_players, "composite", id="many layers"),
    pytest.param(bilinear, "joint", id="bilinear"),
    pytest.param(lambda: self_feeding("neurons"), "joint", id="self-loops"),
    *[pytest.param(lambda p=p, m=m: quadratic(p, m), "joint", id=f"quadratic {p} {m}") for m in
      ("dense", "diagonal", "multiple") for p in (None, "nonnegative", "simplex", {"name": "ball", "radius": 0.5})],
]  # fmt: skip


@pytest.mark.parametrize(("game_of", "kind"), VIEWS)
def test_linearisation_is_the_derivative(game_of: Any, kind: str) -> None:
    view = game_of().fixed_point(kind)
    rng = np.random.default_rng(0)
    x, directions, h = rng.standard_normal(view.size), rng.standard_normal((4, view.size)), 1e-6
    change = view.linearise(x)
    kept = x.copy()
    batch = change(directions)
    assert batch.shape == directions.shape
    for d, found in zip(directions, batch, strict=True):
        ahead, behind = (view.evaluate(x + s * h * d, np.empty_like(x)).copy() for s in (1, -1))
        np.testing.assert_allclose(found, (ahead - behind) / (2 * h), rtol=1e-6, atol=1e-7)
        np.testing.assert_allclose(change(d), found, rtol=1e-12, atol=1e-14)
    np.testing.assert_array_equal(x, kept)


def test_linearisation_keeps_float32() -> None:
    for kind in ("joint", "composite"):
        view = ring("tanh").game().fixed_point(kind)
        x = np.ones(view.size, dtype=np.float32)
        assert view.linearise(x)(x).dtype == np.float32
