"""Many starts at once: every row of a batch ends as the same solve from its start alone."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import nngames as nng
from nngames.core.errors import NotApplicableError, ShapeError
from nngames.results.result import Status


def ring(scale: float, activation: str = "tanh") -> nng.NetworkGame:
    rng = np.random.default_rng(3)
    weights = [scale * rng.standard_normal((6, 6)) / 6 for _ in range(2)]
    return nng.Network.ring(weights, rng.standard_normal((2, 6)), [activation] * 2).game()


def recurrent() -> nng.NetworkGame:
    return nng.Network.generate("monotone", size=8, norm=3.0, seed=0).game()


@pytest.mark.parametrize("method", ["picard", "km", "halpern", "extragradient", "forward_backward_forward"])
@pytest.mark.parametrize("make", [lambda: ring(1.0), lambda: ring(1.0, "softmax"), recurrent])
def test_a_row_ends_as_its_start_alone(method: str, make: Any) -> None:
    game, rng = make(), np.random.default_rng(0)
    starts = rng.standard_normal((9, game.size)) * np.logspace(-3, 2, 9)[:, None]
    tolerance = 1e-3 if method == "halpern" else 1e-9
    batch = nng.solve_batch(game, starts, method, tolerance=tolerance, max_iterations=400)
    for k, start in enumerate(starts):
        alone = nng.solve(game, method, start=start, tolerance=tolerance, max_iterations=400)
        assert batch.statuses[k] is alone.status
        if alone.converged:
            assert batch.iterations[k] == alone.iterations
            np.testing.assert_allclose(batch.profiles[k], alone.profile, rtol=0, atol=1e-11)
            assert game.residual(batch.profiles[k]) <= tolerance * game.scale


def test_rows_end_each_in_its_own_way() -> None:
    """A ring of identities with weight 2 stays at its equilibrium and diverges from elsewhere."""
    game = nng.Network.ring([[[2.0]], [[1.0]]], [[0.0], [0.0]], ["identity"] * 2).game()
    batch = nng.solve_batch(game, [[0.0, 0.0], [1.0, 1.0], [-3.0, 2.0]], "picard")
    assert [str(status) for status in batch.statuses] == ["converged", "diverged", "diverged"]
    assert batch.converged.tolist() == [True, False, False]
    assert json.loads(json.dumps(batch.to_dict()))


def test_a_budget_ends_what_is_left() -> None:
    game = ring(1.0)
    batch = nng.solve_batch(game, np.ones((3, game.size)), "picard", max_iterations=2)
    assert set(batch.statuses) == {Status.MAX_ITERATIONS}
    assert batch.iterations.tolist() == [2, 2, 2]


def test_wrong_starts_and_methods_are_refused() -> None:
    game = ring(1.0)
    with pytest.raises(
        ShapeError, match=r"^starts has shape \(12,\); expected \(batch, 12\) with a row"
    ):
        nng.solve_batch(game, np.zeros(12))
    with pytest.raises(NotApplicableError, match="takes one start at a time: call solve for each start"):
        nng.solve_batch(game, np.zeros((2, 12)), "newton")
