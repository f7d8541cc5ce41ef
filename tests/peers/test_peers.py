"""External solvers of the extra ``peers``: they solve the same games to the same target, or say why not."""

from __future__ import annotations

import gc
from typing import Any

import numpy as np
import pytest
from scipy import sparse

import nngames as nng
from nngames.results.result import Status
from nngames.solvers import registry
from nngames.solvers.external import jax_library, torch_library
from nngames.solvers.external.formulas import FORMULAS, response
from nngames.solvers.external.network_maps import translated

# What the packages themselves warn of is not ours to fix.
pytestmark = pytest.mark.filterwarnings("ignore")

PEERS = [name for name in registry.names() if ":" in name and not name.startswith(("scipy:", "sklearn:"))]
MAPS = [name for name in PEERS if not name.startswith("nashopt:")]


def ring(activation: str = "tanh", n: int = 8, layers: int = 2, norm: float = 0.8) -> nng.NetworkGame:
    rng = np.random.default_rng(4)
    weights = [a * norm / np.linalg.norm(a, 2) for a in rng.standard_normal((layers, n, n))]
    return nng.Network.ring(weights, list(rng.standard_normal((layers, n))), [activation] * layers).game()


@pytest.mark.parametrize("method", PEERS)
def test_the_equilibrium_is_ours(method: str) -> None:
    game = ring("relu")
    result = nng.solve(game, method)
    assert result.converged, result.message
    assert game.residual(result.profile) <= 1e-9 * result.scale
    np.testing.assert_allclose(result.profile, nng.solve(game, "picard", tolerance=1e-12).profile, atol=1e-7)
    again = nng.solve(game, method)
    assert again.iterations == result.iterations
    np.testing.assert_array_equal(again.profile, result.profile)


@pytest.mark.parametrize("method", MAPS)
def test_the_iterations_are_limited(method: str) -> None:
    result = nng.solve(ring(norm=0.99), method, max_iterations=2)
    assert result.status in {Status.MAX_ITERATIONS, Status.STALLED}, result.message
    assert method in result.message


@pytest.mark.parametrize("method", PEERS)
def test_without_an_equilibrium_nothing_converges(method: str) -> None:
    game = nng.Network.ring([[[1.0]], [[1.0]]], [[1.0], [0.0]], ["identity"] * 2).game()
    result = nng.solve(game, method, max_iterations=50)
    assert not result.converged
    assert result.status is not Status.INTERRUPTED
    assert method in result.message


@pytest.mark.parametrize("method", MAPS)
def test_other_graphs_and_sparse_weights(method: str) -> None:
    rng = np.random.default_rng(5)
    thin = [sparse.csr_array(np.where(np.abs(w) > 0.5, w, 0) * 0.15) for w in rng.standard_normal((3, 6, 6))]
    network = nng.Network.graph(
        {(1, 2): thin[0], (2, 1): thin[1], (2, 3): thin[2]},
        {player: rng.standard_normal(6) for player in (1, 2, 3)},
        {1: "tanh", 2: "softmax", 3: "leaky_relu"},
    )
    result = nng.solve(network.game(), method)
    assert result.converged, result.message


@pytest.mark.parametrize("algorithm", ["dr_daqp", "op_extrap", "qp_gnep"])
def test_nashopt_solves_quadratic_games(algorithm: str) -> None:
    boxes = dict.fromkeys((1, 2), "nonnegative")
    game = nng.QuadraticGame({1: 2.0, 2: 2.0}, {(1, 2): 1.0, (2, 1): 1.0}, {1: -1.0, 2: -0.3}, boxes)
    result = nng.solve(game, "nashopt:lq", algorithm=algorithm)
    assert result.converged, result.message
    np.testing.assert_allclose(result.profile, [0.5, 0.0], atol=1e-8)


def test_what_a_peer_cannot_take_is_skipped() -> None:
    comparison = nng.compare(ring("tanh"), ["picard", "nashopt:lq", "torchdeq:anderson"])
    assert [str(row.result.status) for row in comparison.rows] == ["converged", "skipped", "converged"]
    assert "not the indicator of a box" in comparison.rows[1].result.message


@pytest.mark.parametrize("name", sorted(FORMULAS))
def test_formulas_in_jax_and_torch(name: str) -> None:
    import torch

    activation = nng.activation(name)
    v = 2 * np.random.default_rng(1).standard_normal(5)
    with jax_library.loaded().enable_x64(True):
        respond: Any = response(jax_library.library(), activation)
        np.testing.assert_allclose(np.asarray(respond(jax_library.library().asarray(v))), activation(v), rtol=1e-12)
    respond = response(torch_library.library(), activation)
    np.testing.assert_allclose(respond(torch.from_numpy(v)).numpy(), activation(v), rtol=1e-12, atol=1e-15)


def test_maps_are_kept_and_let_go() -> None:
    game = ring(n=5)
    for method in ("jaxopt:fixed_point", "torchdeq:fixed_point"):
        nng.solve(game, method)
    assert game.network in jax_library._compiled
    assert game.network in torch_library._maps
    kept = len(jax_library._compiled), len(torch_library._maps)
    del game
    gc.collect()
    assert (len(jax_library._compiled), len(torch_library._maps)) < kept


def test_precision_and_threads_of_the_user_stay() -> None:
    import jax
    import torch

    before = torch.get_num_threads(), jax.config.jax_enable_x64
    nng.solve(ring(), "torchdeq:anderson")
    nng.solve(ring(), "jaxopt:anderson")
    assert (torch.get_num_threads(), jax.config.jax_enable_x64) == before


def test_bilinear_couplings_are_translated() -> None:
    rng = np.random.default_rng(2)
    network = nng.Network(
        [nng.BilinearCoupling(3, (1, 2), rng.standard_normal((2, 2, 2)))],
        {player: rng.standard_normal(2) for player in (1, 2, 3)},
        dict.fromkeys((1, 2, 3), "tanh"),
    )
    x = rng.standard_normal(6)
    with jax_library.loaded().enable_x64(True):
        function, data = translated(network, jax_library.library())
        np.testing.assert_allclose(np.asarray(function(x, data)), network.joint(x), rtol=1e-12)
