"""Resolvents of affine operators: every structure against a dense system written from the game's own costs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import LinearOperator, aslinearoperator

import nngames as nng
from nngames.core import elimination, factors
from nngames.core.elimination import BlockElimination, feedback_blocks
from nngames.core.factors import DenseFactor, SparseFactor, factorised
from nngames.core.operators import DenseMap
from nngames.games import resolvent as resolvents

Array = NDArray[np.float64]
Given = Callable[[Array], Any]


def ring(seed: int, dims: tuple[int, ...], activation: Any = "relu", given: Given = np.asarray) -> Any:
    rng = np.random.default_rng(seed)
    count = len(dims)
    weights = [given(0.9 * rng.standard_normal((dims[i], dims[i - 1])) / np.sqrt(dims[i - 1])) for i in range(count)]
    return nng.Network.ring(weights, [rng.standard_normal(n) for n in dims], [activation] * count)


def graph(seed: int, dims: tuple[int, ...], edges: tuple[tuple[int, int], ...], activation: Any = "tanh") -> Any:
    rng = np.random.default_rng(seed)
    weights = {(i, j): rng.standard_normal((dims[i], dims[j])) / np.sqrt(dims[j]) for i, j in edges}
    biases = {i: rng.standard_normal(n) for i, n in enumerate(dims)}
    return nng.Network.graph(weights, biases, dict.fromkeys(biases, activation))


def quadratic(seed: int, dims: tuple[int, ...], diagonal: bool = False) -> Any:
    rng = np.random.default_rng(seed)
    roots = [rng.standard_normal((n, n)) for n in dims]
    own = {
        i: np.diag(rng.uniform(0.5, 3.0, len(root))) if diagonal else root @ root.T + np.eye(len(root))
        for i, root in enumerate(roots)
    }
    own = {i: (matrix + matrix.T) / 2 for i, matrix in own.items()}
    coupling = {
        (i, j): rng.standard_normal((n, m)) for i, n in enumerate(dims) for j, m in enumerate(dims) if abs(i - j) == 1
    }
    linear = {i: rng.standard_normal(n) for i, n in enumerate(dims)}
    return nng.QuadraticGame(own, coupling, linear, {0: "nonnegative"})


GAMES: dict[str, Callable[[], Any]] = {
    "recurrent": lambda: ring(0, (6,)).game("neurons"),
    "symmetric loop": lambda: nng.Network.recurrent([[0.2, -0.4], [-0.4, 0.1]], [1.0, 2.0], "tanh").game("layers"),
    "pair": lambda: ring(1, (5, 3)).game(),
    "ring": lambda: ring(2, (4, 7, 3, 5, 6), "tanh").game(),
    "scalar ring": lambda: ring(3, (1,) * 9).game(),
    "steep ring": lambda: ring(4, (4, 2, 3), {"name": "tanh", "scale": 3.0}).game(),
    "unbounded slopes": lambda: ring(4, (2, 3), "soft_exponential").game(),
    "sparse ring": lambda: ring(5, (6, 5, 4), given=sparse.csr_array).game(),
    "operator ring": lambda: ring(6, (6, 5, 4), given=aslinearoperator).game(),
    "chain": lambda: nng.Network.chain(
        [np.ones((30, 2)), 0.1 * np.ones((40, 30)), -np.ones((3, 40))],
        [np.ones(30), np.ones(40), np.ones(3)],
        ["tanh"] * 3,
        [1.0, -2.0],
    ).game(),
    "dag": lambda: graph(7, (60, 50, 70), ((1, 0), (2, 0), (2, 1))).game(),
    "ring with a branch": lambda: graph(8, (80, 20, 70), ((1, 0), (0, 1), (2, 0), (2, 1))).game(),
    "self-loops": lambda: graph(9, (80, 60, 9), ((0, 0), (1, 0), (1, 1), (0, 2), (2, 1))).game("neurons"),
    "complete": lambda: graph(10, (3, 4, 2), tuple((i, j) for i in range(3) for j in range(3) if i != j)).game(),
    "alone": lambda: graph(11, (3, 2), ()).game(),
    "quadratic": lambda: quadratic(12, (4, 3, 2)),
    "large quadratic": lambda: quadratic(13, (50, 70, 5)),
    "diagonal quadratic": lambda: quadratic(14, (4, 3), diagonal=True),
}


def system(game: Any) -> tuple[Array, Array]:
    """Return M and q as the costs define them: Q on the diagonal, less the shift of weakly convex penalties."""
    n = game.size
    matrix, offset = np.zeros((n, n)), np.zeros(n)
    network, places = game.network, game.blocks.slices
    for block, where in places.items():
        slope = game.own[block].activation.slope_range[1]
        metric = game.own[block].metric if game.cost_name == "quadratic" else None
        base = np.eye(where.stop - where.start) if metric is None else np.asarray(metric)
        matrix[where, where] = (np.diag(base) if base.ndim == 1 else base) - max(0.0, 1 - 1 / slope) * np.eye(len(base))
        offset[where] = -network.effective_bias(block)
    for (target, source), weight in network.weights.items():
        matrix[places[target], places[source]] -= weight.dense
    return matrix, offset


@pytest.mark.parametrize("name", GAMES)
@pytest.mark.parametrize("step", [1e-3, 0.3, 1.0, 20.0])
def test_resolvents_agree_with_a_dense_system(name: str, step: float) -> None:
    game = GAMES[name]()
    matrix, offset = system(game)
    found = game.inclusion().resolvent(step)
    for seed in range(3):
        u = np.random.default_rng(seed).standard_normal(game.size)
        before = u.copy()
        expected = np.linalg.solve(np.eye(game.size) + step * matrix, u - step * offset)
        np.testing.assert_allclose(found(u), expected, rtol=0, atol=1e-10 * max(1.0, np.abs(expected).max()))
        np.testing.assert_array_equal(u, before)


@pytest.mark.parametrize("name", GAMES)
def test_mean_singular_value(name: str) -> None:
    game = GAMES[name]()
    singular = np.linalg.svd(system(game)[0], compute_uv=False)
    assert game.inclusion().mean_singular_value == pytest.approx(np.sqrt(np.mean(singular**2)))


def test_a_factor_is_kept_until_another_step_is_asked_for() -> None:
    view = GAMES["ring"]().inclusion()
    assert view.resolvent(0.5) is view.resolvent(0.5)
    assert view.resolvent(0.25) is not view.resolvent(0.5)


# Structure


@pytest.fixture
def orders(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The orders of the dense factors that are made."""
    made: list[int] = []

    class Recorded(DenseFactor):
        def __init__(self, matrix: Array) -> None:
            made.append(len(matrix))
            super().__init__(matrix)

    for module in (elimination, factors):
        monkeypatch.setattr(module, "DenseFactor", Recorded)
    return made


@pytest.mark.parametrize("dims", [(9, 4, 7, 4, 8), (3, 5), (40, 30, 30, 50) * 4, (2,) * 100])
def test_a_ring_is_reduced_to_its_smallest_layer(dims: tuple[int, ...], orders: list[int]) -> None:
    found = ring(0, dims).game().inclusion().resolvent(0.2)
    assert orders == [min(dims)]
    assert found.passes == 2


def test_what_has_no_cycle_takes_one_pass(orders: list[int]) -> None:
    found: Any = graph(0, (200, 150, 180), ((1, 0), (2, 0), (2, 1))).game().inclusion().resolvent(0.5)
    assert isinstance(found._factor, BlockElimination)
    assert found.passes == 1
    assert orders == []
    assert ring(0, (30,)).game("neurons").inclusion().resolvent(0.5).passes == 1


def test_a_branch_costs_no_larger_factor(orders: list[int]) -> None:
    GAMES["ring with a branch"]().inclusion().resolvent(0.5)
    assert orders == [20]


def test_many_sparse_players_get_sparse_factors() -> None:
    n, rng = 1200, np.random.default_rng(0)
    order = rng.permutation(n)
    for pairs in ([(i, i - 1) for i in range(1, n)], [(i, i - 1) for i in range(n)]):
        weights = {(int(order[i]), int(order[j])): [[0.5]] for i, j in pairs}
        game = nng.Network.graph(weights, {i: [1.0] for i in range(n)}, dict.fromkeys(range(n), "tanh")).game()
        found: Any = game.inclusion().resolvent(1.0)
        assert isinstance(found._factor, SparseFactor)
        assert found._factor.multiplications <= 6 * n
        u = rng.standard_normal(n)
        x = found(u)
        np.testing.assert_allclose(x + game.inclusion().operator(x, np.empty(n)), u, atol=1e-12)


@pytest.mark.parametrize("kind", ["dag", "band", "dense", "scattered"])
def test_sparse_systems(kind: str) -> None:
    rng, n = np.random.default_rng(1), 700
    matrix: Any = sparse.random_array((n, n), density=0.2 if kind == "dense" else 0.01, rng=rng, format="csr")
    if kind == "dag":
        matrix = sparse.tril(matrix, -1)
    if kind == "band":
        matrix = sparse.diags_array([np.full(n - 2, 0.3), np.full(n - 1, -0.7)], offsets=[-2, 1])
    order = rng.permutation(n)
    matrix = sparse.csr_array(matrix.tocsr()[order][:, order] + 3 * sparse.eye_array(n))
    found = factorised(matrix)
    assert isinstance(found, DenseFactor if kind == "dense" else SparseFactor)
    if kind == "dag":
        # Up to the zeros that supernodes store.
        assert found.multiplications <= 1.5 * matrix.nnz
    if kind == "band":
        assert found.multiplications <= 3 * 4 * n
    rhs = rng.standard_normal((2, n))
    np.testing.assert_allclose(found.solve(rhs) @ matrix.T.toarray(), rhs, atol=1e-11)
    np.testing.assert_allclose(found.solve(rhs[0]), found.solve(rhs)[0], atol=1e-12)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(data=st.data())
def test_feedback_blocks_meet_every_cycle(data: st.DataObject) -> None:
    n = data.draw(st.integers(1, 8))
    pair = st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)).filter(lambda p: p[0] != p[1])
    edges = data.draw(st.sets(pair, max_size=20)) if n > 1 else set()
    kept, order = feedback_blocks([1 + i % 3 for i in range(n)], dict.fromkeys(edges))
    assert sorted((*kept, *order)) == list(range(n))
    for i, j in edges:
        if i in order and j in order:
            assert order.index(j) < order.index(i)
    if nx.is_directed_acyclic_graph(nx.DiGraph([*edges])):
        assert kept == ()


@settings(max_examples=40, deadline=None, derandomize=True)
@given(data=st.data())
def test_blocks_are_eliminated_whatever_their_graph(data: st.DataObject) -> None:
    sizes = data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=6))
    rng, n = np.random.default_rng(data.draw(st.integers(0, 99))), len(sizes)
    edges = [(i, j) for i in range(n) for j in range(n) if i != j and data.draw(st.booleans())]
    couplings = {(i, j): DenseMap(rng.standard_normal((sizes[i], sizes[j])) / 4) for i, j in edges}
    blocks: list[Any] = []
    for size in sizes:
        dense = 2 * np.eye(size) + rng.uniform(-0.2, 0.2, (size, size))
        blocks.append(data.draw(st.sampled_from([np.diag(dense).copy(), dense, sparse.csr_array(dense)])))
    found = BlockElimination(blocks, couplings, 0.5)
    matrix = sparse.block_diag([np.diag(b) if b.ndim == 1 else b for b in blocks]).toarray()
    ends = np.cumsum([0, *sizes])
    for (i, j), weight in couplings.items():
        matrix[ends[i] : ends[i + 1], ends[j] : ends[j + 1]] -= 0.5 * weight.matrix
    rhs = rng.standard_normal((3, len(matrix)))
    scale = np.linalg.cond(matrix)
    np.testing.assert_allclose(found.solve(rhs) @ matrix.T, rhs, atol=1e-12 * scale)
    np.testing.assert_allclose(found.solve(rhs[0]), found.solve(rhs)[0], atol=1e-12 * scale)


def test_a_reduction_in_groups_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    game = GAMES["ring"]()
    u = np.random.default_rng(0).standard_normal(game.size)
    whole = game.inclusion().resolvent(0.5)(u)
    monkeypatch.setattr(elimination, "_GROUP_ENTRIES", 2 * game.size)
    np.testing.assert_allclose(GAMES["ring"]().inclusion().resolvent(0.5)(u), whole, atol=1e-13)


def test_single_precision_weights_are_not_rounded_again() -> None:
    weights = [np.float32(0.1) * np.ones((2, 3), np.float32), np.float32(-0.7) * np.ones((3, 2), np.float32)]
    game = nng.Network.ring(weights, [np.ones(2), np.ones(3)], ["relu"] * 2).game()
    matrix, offset = system(game)
    u = np.arange(5.0)
    expected = np.linalg.solve(np.eye(5) + matrix, u - offset)
    np.testing.assert_allclose(game.inclusion().resolvent(1.0)(u), expected, rtol=0, atol=1e-14)


# Rounding and refusals


def minus_two(layers: int) -> Any:
    return nng.Network.ring([-2 * np.eye(3)] * layers, [np.ones(3)] * layers, ["identity"] * layers).game()


def test_an_elimination_that_loses_digits_is_refined() -> None:
    # M is not monotone: around the ring errors grow by (6/4)^64.
    view = minus_two(64).inclusion()
    found: Any = view.resolvent(3.0)
    assert found._refine
    assert found.passes == 5
    u = np.random.default_rng(3).standard_normal(view.size)
    x = found(u)
    np.testing.assert_allclose(x + 3 * view.operator(x, np.empty_like(x)), u, atol=1e-11)


@pytest.mark.parametrize("step", [1e-8, 0.1, 10.0, 1e8, 1e200])
def test_every_step_is_solved_where_the_operator_is_monotone(step: float) -> None:
    view = minus_two(3).inclusion()
    assert not view.resolvent(step)._refine


@pytest.mark.parametrize("step", [1.0, 1e3])
def test_a_singular_system_is_refused(step: float) -> None:
    # Id + M = 2 (Id + a cyclic shift) is singular on an even ring; 1000 loses every digit.
    with pytest.raises(nng.NotApplicableError, match=f"Id \\+ {step:g} M is singular, or its solutions lose"):
        minus_two(64).inclusion().resolvent(step)


def test_singular_blocks_are_refused() -> None:
    singular = nng.Network.graph(
        {(0, 0): [[3.0]], (1, 0): [[1.0]]}, {0: [1.0], 1: [0.0]}, dict.fromkeys((0, 1), "tanh")
    )
    with pytest.raises(nng.InputError, match="self-weight must be below"):
        singular.game()
    for matrix in (np.array([0.0, 1.0]), np.ones((2, 2)), sparse.csr_array(np.ones((2, 2)))):
        with pytest.raises(np.linalg.LinAlgError):
            factorised(matrix)
    with pytest.raises(np.linalg.LinAlgError):
        SparseFactor(sparse.csr_array((3, 3)))


def test_what_cannot_be_factorised_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    tensor = np.ones((1, 1, 1))
    bilinear = nng.Network(
        [nng.BilinearCoupling(2, (1, 3), tensor)], {1: [0.0], 2: [0.0], 3: [0.0]}, dict.fromkeys((1, 2, 3), "tanh")
    )
    with pytest.raises(nng.NotApplicableError, match="not linear"):
        bilinear.game().inclusion().resolvent(1.0)
    for module in (elimination, factors, resolvents):
        monkeypatch.setattr(module, "DENSE_ORDER", 10)
    with pytest.raises(nng.NotApplicableError, match=r"the blocks that close the cycles .* 12 entries"):
        ring(0, (12, 13)).game().inclusion().resolvent(1.0)
    with pytest.raises(nng.NotApplicableError, match=r"a dense factor of order 12 would be needed \(limit 10\)"):
        ring(0, (12,)).game("neurons").inclusion().resolvent(1.0)
    monkeypatch.setattr(factors, "SPARSE_ENTRIES", 1000)
    monkeypatch.setattr(factors, "_SPARSE_ORDER", 5)
    matrix = sparse.csr_array(sparse.random_array((400, 400), density=0.02, rng=0) + sparse.eye_array(400))
    with pytest.raises(nng.NotApplicableError, match="might have more than 1000 entries: its graph has cycles"):
        factorised(matrix)


def test_a_map_without_entries_is_refused_only_where_they_are_needed() -> None:
    n = 2500
    turn = LinearOperator((n, n), matvec=lambda x: np.roll(x, 1) / 2, rmatvec=lambda x: np.roll(x, -1) / 2)
    biases = {i: np.ones(n if i < 2 else 1) for i in range(3)}
    closed = {(0, 1): turn, (1, 0): turn, (1, 2): np.ones((n, 1)), (2, 1): np.ones((1, n))}
    many = {**biases, **{i: [1.0] for i in range(3, 700)}}
    view = nng.Network.graph(closed, many, dict.fromkeys(many, "tanh")).game().inclusion()
    with pytest.raises(nng.NotApplicableError, match="map without a matrix"):
        view.resolvent(1.0)
    cut = nng.Network.graph({(1, 0): turn}, {0: np.ones(n), 1: np.ones(n)}, dict.fromkeys((0, 1), "tanh"))
    view = cut.game().inclusion()
    x = np.random.default_rng(0).standard_normal(view.size)
    np.testing.assert_allclose(view.resolvent(0.5)(x + 0.5 * view.operator(x, np.empty_like(x))), x, atol=1e-12)
    # |M|_F^2 = 2 n + n/4, estimated from four random vectors.
    assert view.mean_singular_value == pytest.approx(np.sqrt(9 / 8), rel=0.05)
