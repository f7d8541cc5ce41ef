"""Large sparse games: nothing is written out, copied or named that the solve does not need."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest
from scipy import sparse

import nngames as nng
from nngames.core.operators import SparseMap, _added_by_copy
from nngames.core.profiles import CoordinateSpace, ProfileSpace

PLAYERS, ENTRIES = 20_000, 10


@pytest.fixture(scope="module")
def given() -> tuple[Any, np.ndarray]:
    """The weights and the bias of a game that contracts by 0.9 in the maximum norm, ten entries a row."""
    rng = np.random.default_rng(0)
    rows = np.repeat(np.arange(PLAYERS), ENTRIES)
    columns = rng.integers(PLAYERS - 1, size=len(rows))
    # Nobody listens to itself.
    columns += columns >= rows
    values = rng.uniform(-1, 1, len(rows))
    weight = sparse.csr_array((values, (rows, columns)), shape=(PLAYERS, PLAYERS))
    weight.sum_duplicates()
    weight.data *= np.repeat(0.9 / abs(weight).sum(axis=1), np.diff(weight.indptr))
    return weight, rng.standard_normal(PLAYERS)


def bytes_of(weight: Any, bias: np.ndarray) -> int:
    return weight.data.nbytes + weight.indices.nbytes + weight.indptr.nbytes + bias.nbytes


@pytest.mark.parametrize(
    ("method", "options"),
    [("picard", {}), ("km", {"relaxation": 0.9}), ("best_response", {"order": "simultaneous"}), ("auto", {})],
)
def test_building_and_solving_take_at_most_twice_the_data(given: Any, method: str, options: dict[str, Any]) -> None:
    nng.solve(
        nng.Network.recurrent(sparse.csr_array([[0.0, 0.1], [0.1, 0.0]]), [1.0, 1.0], "tanh").game(), method, **options
    )
    tracemalloc.start()
    try:
        game = nng.Network.recurrent(*given, "tanh").game()
        result = nng.solve(game, method, **options)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert result.converged
    assert peak <= 2 * bytes_of(*given)
    assert "players" not in vars(game.space)
    assert "sizes" not in vars(game.space)


def test_the_weights_are_copied_once(given: Any) -> None:
    weight, bias = given
    network = nng.Network.recurrent(weight, bias, "tanh")
    kept = network.weights[1, 1]
    assert isinstance(kept, SparseMap)
    assert not np.shares_memory(kept.matrix.data, weight.data)
    # The passes and a precision that is already there work on that copy.
    assert network.composite.layers(np.dtype(np.float64))[0].single is kept
    assert network.joint.layers(np.dtype(np.float64))[0].single is kept
    # A map that is given as one is taken as it is.
    own = SparseMap(weight)
    assert nng.Network.recurrent(own, bias, "tanh").weights[1, 1] is own


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_products_into_an_array_are_those_of_scipy(given: Any, dtype: Any) -> None:
    matrix = given[0].astype(dtype)
    x = np.random.default_rng(1).standard_normal(PLAYERS).astype(dtype)
    sparse_map, out = SparseMap(matrix), np.full(PLAYERS, np.nan, dtype=dtype)
    assert sparse_map.apply(x, out) is out
    np.testing.assert_array_equal(out, matrix @ x)
    # Strided arguments, other precisions and batches go by SciPy's own product.
    wide = np.zeros((PLAYERS, 2), dtype=dtype)
    wide[:, 0] = x
    np.testing.assert_array_equal(sparse_map.apply(wide[:, 0], np.empty(PLAYERS, dtype=dtype)), matrix @ x)
    other = x.astype(np.float32 if dtype == np.float64 else np.float64)
    np.testing.assert_allclose(sparse_map.apply(other, np.empty(PLAYERS)), matrix @ other, rtol=1e-6, atol=1e-6)
    batch = np.empty((2, PLAYERS), dtype=dtype)
    np.testing.assert_array_equal(sparse_map.apply(np.stack([x, -x]), batch), np.stack([matrix @ x, -(matrix @ x)]))


def test_products_of_a_stretch_of_rows(given: Any) -> None:
    x, rows = np.random.default_rng(2).standard_normal(PLAYERS), slice(7, 40)
    sparse_map, out = SparseMap(given[0]), np.zeros(33)
    sparse_map.add_rows(rows, x, out)
    np.testing.assert_array_equal(out, (given[0] @ x)[rows])
    matrix, out = sparse_map.matrix, np.zeros(33)
    _added_by_copy(33, PLAYERS, matrix.indptr[7:41], matrix.indices, matrix.data, x, out)
    np.testing.assert_array_equal(out, (given[0] @ x)[rows])


def test_vectors_of_another_size_are_refused() -> None:
    """What is read and written by a compiled loop has to be there."""
    weight = SparseMap(sparse.csr_array(np.ones((3, 5))))
    for x, out in ((np.ones(4), np.empty(3)), (np.ones(5), np.empty(2))):
        with pytest.raises(ValueError, match=r"mismatch|broadcast"):
            weight.apply(x, out)


def test_products_without_scipys_private_function(given: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SparseMap, "_product", None)
    x = np.ones(PLAYERS)
    np.testing.assert_array_equal(SparseMap(given[0]).apply(x, np.empty(PLAYERS)), given[0] @ x)


def test_names_of_neurons_are_made_when_asked_for() -> None:
    blocks = ProfileSpace(("a", "b"), (2, 1))
    space = CoordinateSpace(blocks)
    assert (space.count, space.size) == (3, 3)
    assert "players" not in vars(space)
    assert space.players == ("a[0]", "a[1]", "b[0]")
    assert space.sizes == (1, 1, 1)
    assert space.slice("b[0]") == slice(2, 3)
    assert space == CoordinateSpace(blocks)
    assert hash(space) == hash(CoordinateSpace(blocks))


def test_neurons_answer_to_their_names(given: Any) -> None:
    game = nng.Network.recurrent(*given, "tanh").game()
    x = np.random.default_rng(2).standard_normal(PLAYERS)
    answers = game.best_responses(x)
    assert game.best_response("1[7]", x) == pytest.approx(answers[7:8], rel=1e-14)
    assert game.players[-1] == f"1[{PLAYERS - 1}]"


@pytest.mark.parametrize("name", ["public_goods", "clearing"])
def test_generated_games_keep_one_copy_and_reach_scipys_iterates(name: str) -> None:
    network = nng.Network.generate(name, 0, size=PLAYERS)
    kept: Any = network.weights[1, 1]
    weight, bias = kept.matrix, network.biases[1]
    nng.solve(nng.Network.generate(name, 0, size=20).game(), "picard")
    tracemalloc.start()
    try:
        game = network.game()
        result = nng.solve(game, "picard")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # Some vectors, as long as the weights' largest array together: another copy of the weights does not fit.
    assert peak <= 14 * bias.nbytes < weight.data.nbytes + weight.indices.nbytes
    assert game.network.weights[1, 1] is kept
    assert "players" not in vars(game.space)
    assert result.converged
    x, highest = np.zeros(PLAYERS), np.inf if name == "public_goods" else 1.0
    for _ in range(result.iterations):
        x = np.clip(weight @ x + bias, 0.0, highest)
    np.testing.assert_allclose(result.profile, x, rtol=1e-12, atol=1e-13)
    assert np.linalg.norm(np.clip(weight @ x + bias, 0.0, highest) - x) <= 1.001 * result.tolerance * result.scale
