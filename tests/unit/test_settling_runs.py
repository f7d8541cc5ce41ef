"""A run whose convergence is proved is never said to cycle: there only rounding brings iterates back."""

from __future__ import annotations

import numpy as np
import pytest

import nngames as nng


@pytest.mark.parametrize(
    ("game", "start", "tolerance"),
    [
        (nng.Network.recurrent([[-(1 - 1e-15)]], [1.0], "identity").game(), np.array([10.0]), 1e-9),
        (
            nng.Network.recurrent(np.array([[-0.97]], np.float32), np.array([0.3], np.float32), "identity").game(),
            np.array([3.0], np.float32),
            1e-11,
        ),
    ],
    ids=["slower than rounding", "float32"],
)
def test_a_contraction_does_not_cycle(game, start, tolerance):
    result = nng.solve(game, method="picard", start=start, tolerance=tolerance, max_iterations=2500)
    assert result.guarantee.proved
    assert result.status in ("stalled", "max_iterations")
    assert "cycles" not in result.message


def test_a_rotation_still_cycles():
    game = nng.Network.recurrent([[0.0, -1.0], [1.0, 0.0]], [1.0, 0.0], "identity").game(players="neurons")
    assert nng.solve(game, method="picard").status == "cycling"
