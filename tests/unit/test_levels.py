"""The levels of a graph without cycles, against longest paths by definition, and what a turn knows of its state."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
from scipy import sparse

import nngames as nng
from nngames.core.deadlines import TimeUpError
from nngames.networks import levels
from nngames.solvers.automatic import turns
from nngames.solvers.fixed_point import FixedPointProblem
from nngames.solvers.solver import State


def without_cycles(n: int, seed: int) -> Any:
    """Return who listens to whom: thin and wide levels, coordinates in no order, several that hear nobody."""
    rng = np.random.default_rng(seed)
    dense = np.tril(rng.random((n, n)) < 3 / n, -1)
    shuffled = rng.permutation(n)
    return sparse.csr_array(dense[np.ix_(shuffled, shuffled)].astype(float))


def longest_paths(pattern: Any) -> list[int]:
    heard = [pattern.indices[a:b].tolist() for a, b in zip(pattern.indptr, pattern.indptr[1:], strict=False)]
    found: dict[int, int] = {}

    def length(i: int) -> int:
        if i not in found:
            found[i] = max((1 + length(j) for j in heard[i]), default=0)
        return found[i]

    return [length(i) for i in range(len(heard))]


@pytest.mark.parametrize(("wide", "piece"), [(10**9, 10**9), (0, 10**9), (0, 3), (4, 3), (4, 1)])
@pytest.mark.parametrize("seed", range(3))
def test_a_level_is_the_length_of_the_longest_path(
    wide: int, piece: int, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(levels, "WIDE", wide)
    monkeypatch.setattr(levels, "PIECE", piece)
    pattern = without_cycles(60, seed)
    found = levels.levels_of(pattern)
    assert found is not None
    expected = np.array(longest_paths(pattern))
    np.testing.assert_array_equal(found.order, np.lexsort((np.arange(60), expected)))
    np.testing.assert_array_equal(np.diff(found.bounds), np.bincount(expected))
    assert found.bounds[0] == 0
    assert found.bounds[-1] == 60


@pytest.mark.parametrize("wide", [0, 10**9])
def test_a_cycle_behind_a_chain_has_no_levels(wide: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(levels, "WIDE", wide)
    pattern = without_cycles(30, 0).tolil()
    assert levels.levels_of(sparse.csr_array(pattern)) is not None
    last = int(np.argmax(longest_paths(sparse.csr_array(pattern))))
    pattern[last, last] = 1.0
    assert levels.levels_of(sparse.csr_array(pattern)) is None


def test_a_chain_is_left_when_the_time_is_up() -> None:
    chain = sparse.csr_array(sparse.eye_array(3 * levels.CLOCKED, k=-1))
    found = levels.levels_of(chain, time.monotonic() + 60)
    assert found is not None
    assert len(found.bounds) == 3 * levels.CLOCKED + 1
    with pytest.raises(TimeUpError):
        levels.levels_of(chain, time.monotonic() - 1)


@pytest.mark.parametrize("piece", [1, 4, 7, 10**9])
def test_every_row_counts_for_the_listed_order(piece: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(levels, "PIECE", piece)
    lower = np.tril(np.ones((10, 10)), -1)
    assert levels.strictly_lower(sparse.csr_array(lower))
    for i in range(10):
        for j in range(i, 10):
            wrong = lower.copy()
            wrong[i, j] = 1.0
            assert not levels.strictly_lower(sparse.csr_array(wrong))


def test_what_a_scheme_knows_of_its_last_displacement() -> None:
    game = nng.Network.ring([[[0.5]], [[0.5]]], [[1.0], [0.0]], ["tanh"] * 2).game()
    plain = FixedPointProblem(game.fixed_point())
    state = plain.start(np.array([0.25]))
    known = turns.known_displacement(plain, state)
    assert known is not None
    np.testing.assert_array_equal(known, [np.tanh(0.5 * np.tanh(0.5 * 0.25 + 1.0)) - 0.25])
    before = known.copy()
    plain.difference[...] = 7.0
    np.testing.assert_array_equal(known, before)
    single = State(state.x.astype(np.float32), state.residual, 1, None)
    assert turns.known_displacement(plain, single) is None
    newton = nng.solver("newton")
    problem = newton.problem(game, np.random.default_rng(0))
    safeguarded = newton.start(problem, np.array([0.25]))
    np.testing.assert_allclose(turns.known_displacement(problem, safeguarded), before, rtol=1e-15)
    other = nng.solver("best_response")
    problem = other.problem(game, np.random.default_rng(0))
    assert turns.known_displacement(problem, other.start(problem, np.zeros(2))) is None
