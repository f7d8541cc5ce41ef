"""Compiled passes over sparse networks against the passes in NumPy: maps, and whole runs step by step.

Without Numba the kernels are ordinary functions, so all tests run there too.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy import sparse

import nngames as nng
from nngames.core.operators import SparseMap
from nngames.networks.compiled import fused_sparse
from nngames.networks.compiled.sparse_map import PIECE
from nngames.solvers import loop, safeguard, spectral
from nngames.solvers.automatic.costs import DISPLACEMENTS, EARLY, Costs
from nngames.solvers.automatic.judging import Judge
from nngames.solvers.stopping import Stretch


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The kernels in use: compiled with Numba, interpreted without."""
    steps = {"sparse_relaxed_steps": fused_sparse.relaxed_steps, "spectral_steps": fused_sparse.spectral_steps}
    kernels = SimpleNamespace(**steps)
    monkeypatch.setattr(loop, "installed", lambda: True)
    monkeypatch.setattr(loop, "kernels_come", lambda limited: True)
    monkeypatch.setattr(loop, "kernels", lambda limited: kernels)
    with np.errstate(all="ignore"):
        yield


def matrix(n: int, norm: float, seed: int = 0, symmetric: bool = False) -> Any:
    """Return a sparse matrix (n, n) with that norm, some of whose rows are empty."""
    rng = np.random.default_rng(seed)
    rows, columns = rng.integers(0, n, (2, 4 * n))
    entries = sparse.csr_array((rng.standard_normal(4 * n), (rows, columns)), shape=(n, n))
    if symmetric:
        entries = entries + entries.T
    return (entries * (norm / np.linalg.norm(entries.toarray(), 2))).tocsr()


def layer(n: int, activation: Any, norm: float = 0.9, seed: int = 0, symmetric: bool = True) -> nng.NetworkGame:
    """Return the game of a sparse layer that feeds itself."""
    weight = matrix(n, norm, seed, symmetric)
    return nng.Network.recurrent(weight, np.random.default_rng(9).uniform(-0.5, 1.5, n), activation).game()


def agrees(game: nng.NetworkGame, kind: str) -> None:
    """Assert that the packed map's values are those of the view."""
    view = game.fixed_point(kind)
    x = np.random.default_rng(3).standard_normal(view.size)
    image = np.empty(view.size)
    assert view.fused.sparse
    length = fused_sparse.evaluate(*view.fused.arguments(), x, image)
    expected = view.evaluate(x, np.empty(view.size))
    np.testing.assert_allclose(image, expected, rtol=1e-13, atol=1e-14)
    assert length == pytest.approx(np.linalg.norm(expected - x))


@pytest.mark.parametrize("kind", ["composite", "joint"])
@pytest.mark.parametrize("n", [1, PIECE - 1, PIECE, 2 * PIECE + 3])
def test_a_packed_layer_agrees_with_the_view(n: int, kind: str) -> None:
    agrees(layer(n, "tanh"), kind)
    ends = np.random.default_rng(1).uniform(0.1, 0.6, n)
    agrees(layer(n, nng.activation("box", lower=-ends, upper=ends)), kind)


def test_packed_players_agree_with_the_view() -> None:
    """Three stretches of players, one of them longer than a piece, each with an activation of its own."""
    n = PIECE + 60
    weight = matrix(n, 0.9).tocoo()
    edges = {(int(i), int(j)): [[w]] for i, j, w in zip(weight.row, weight.col, weight.data, strict=True) if i != j}
    kinds = ["relu"] * 20 + ["tanh"] * (PIECE + 9) + [{"name": "box", "lower": 0.0, "upper": 0.5}] * 31
    network = nng.Network.graph(edges, {player: [0.3] for player in range(n)}, dict(enumerate(kinds)))
    assert network.joint.assembled
    agrees(network.game(), "joint")


def test_indices_of_64_bits_and_data_that_may_only_be_read_are_packed() -> None:
    given = matrix(40, 0.9)
    given.indices, given.indptr = given.indices.astype(np.int64), given.indptr.astype(np.int64)
    given.data.flags.writeable = False
    agrees(nng.Network.recurrent(SparseMap(given), np.ones(40), "relu").game(players="neurons"), "joint")


def test_layers_that_the_kernels_do_not_take() -> None:
    assert nng.Network.recurrent(matrix(9, 0.5), np.ones(9), "softmax").joint.fused is None
    assert nng.Network.recurrent(sparse.csr_array((9, 9)), np.ones(9), "relu").joint.fused is None
    ring = {("a", "b"): matrix(9, 0.5), ("b", "a"): matrix(9, 0.5)}
    assert nng.Network.graph(ring, {"a": np.ones(9), "b": np.ones(9)}, "relu").joint.fused is None


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("picard", {}),
        ("km", {"relaxation": 0.6}),
        ("spectral", {}),
        ("spectral", {"growth": 1.0, "map": "joint"}),
        ("anderson", {}),
    ],
)
def test_a_compiled_run_is_the_run(request: pytest.FixtureRequest, method: str, options: dict[str, Any]) -> None:
    game = layer(300, "relu")
    plain = nng.solve(game, method, **options)
    request.getfixturevalue("compiled")
    result = nng.solve(game, method, **options)
    assert result.converged
    # Rounding moves a length by more than its own size.
    same(result, plain, 1e-4)


def same(result: nng.Result, plain: nng.Result, rtol: float) -> None:
    """Assert that two runs took the same steps up to rounding."""
    assert (result.status, result.evaluations) == (plain.status, plain.evaluations)
    np.testing.assert_array_equal(result.trace.evaluations, plain.trace.evaluations)
    np.testing.assert_allclose(result.trace.residual, plain.trace.residual, rtol=rtol, atol=1e-13)


@pytest.mark.parametrize(
    ("limits", "growth"), [({}, 1.0), ({"STEP_LIMIT": 0.2}, 100.0), ({"RESIDUAL_LIMIT": 2.0}, 9.0)]
)
def test_compiled_spectral_steps_are_refused_and_relaxed_alike(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, limits: dict[str, float], growth: float
) -> None:
    """Where the map expands and is far from symmetric, most proposals fail."""
    rules = spectral._RULES.copy()
    for name, limit in limits.items():
        monkeypatch.setattr(safeguard, name, limit)
        rules[["STEP_LIMIT", "RESIDUAL_LIMIT"].index(name)] = limit
    monkeypatch.setattr(spectral, "_RULES", rules)
    game = nng.Network.ring([np.eye(30), matrix(30, 3.0)], [np.ones(30)] * 2, ["identity", "arctan"]).game()
    whole = nng.Network.recurrent(matrix(30, 3.0), np.ones(30), "arctan")
    scheme = nng.solver("spectral", growth=growth)
    single: Any = scheme.problem(game, np.random.default_rng(0))
    single.view = view = type(game.fixed_point("joint"))(whole)
    request.getfixturevalue("compiled")
    several: Any = scheme.problem(game, np.random.default_rng(0))
    several.view = view
    states = [problem.begin(np.zeros(30)) for problem in (single, several)]
    kernels, refused = loop.kernels(limited=True), 0
    for _ in range(12):
        states[0] = scheme.step(single, states[0])
        refused += single.rejected
        states[1], residuals, _ = several.several_steps(kernels, states[1], Stretch(1, 0, 0.0, np.inf, 1.0))
        assert len(residuals) == 1
        assert states[0].evaluations == states[1].evaluations
        assert (single._accepted, single._relaxation) == (several._accepted, several._relaxation)
        assert several.length == pytest.approx(single.length, rel=1e-6)
        np.testing.assert_allclose(states[1].x, states[0].x, rtol=1e-7, atol=1e-9)
        np.testing.assert_allclose(states[1].memory, view.evaluate(states[1].x, np.empty(30)) - states[1].x, atol=1e-12)
    assert 0 < refused < 12


@pytest.mark.usefixtures("compiled")
def test_cycles_are_found_in_compiled_sparse_passes() -> None:
    n = 7
    shift = sparse.csr_array((np.ones(n), (np.arange(n), (np.arange(n) - 1) % n)), shape=(n, n))
    bias = np.zeros(n)
    turned = nng.Network.recurrent(-shift, bias, {"name": "box", "lower": -1.0, "upper": 1.0})
    start = np.random.default_rng(0).uniform(-1, 1, n)
    result = nng.solve(turned.game(players="neurons"), "picard", start=start)
    assert result.status == "cycling"
    assert "period 14" in result.message


@pytest.mark.parametrize("dear", [False, True])
def test_an_automatic_run_is_judged_after_compiled_passes(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, dear: bool
) -> None:
    """Dear ones are judged as early as those that go singly; the forecast sees the displacements of plain passes."""
    request.getfixturevalue("compiled")
    seconds = 1e-2 if dear else 1e-5
    monkeypatch.setattr(
        "nngames.solvers.automatic.changes.costs_of",
        lambda game, compiled: Costs(seconds, 2 * seconds, 1e3, 1.1 * seconds),
    )
    monkeypatch.setattr("nngames.solvers.automatic.turns.mutual", lambda game: False)
    monkeypatch.setattr("nngames.solvers.automatic.turns.kernels", lambda limited: None)
    seen: list[np.ndarray] = []
    judge = Judge.judge

    def judged(self: Judge, turn: Any, residual: float, smallest: float, displacements: Any) -> Any:
        if displacements is not None:
            seen.append(np.array(displacements))
        return judge(self, turn, residual, smallest, displacements)

    monkeypatch.setattr(Judge, "judge", judged)
    game = nng.Network.recurrent(matrix(300, 0.95, symmetric=True), np.full(300, 2.0), "relu").game()
    result = nng.solve(game)
    assert result.converged
    assert result.method == "auto:spectral"
    first = (EARLY if dear else DISPLACEMENTS) + 1
    assert len(seen[0]) == first
    orbit = [np.zeros(300)]
    for _ in range(first):
        orbit.append(game.network.joint(orbit[-1]))
    np.testing.assert_allclose(seen[0], np.diff(orbit, axis=0), rtol=1e-9, atol=1e-13)
