"""The default method: among schemes that are proved to converge, the one whose pass is cheap."""

from __future__ import annotations

import pytest

import nngames as nng
from nngames.solvers.advice import SWEPT_PLAYERS


def circle(count: int, self_weight: float) -> nng.NetworkGame:
    """Return the game of ``count`` scalar players, each listening to both neighbours and to itself."""
    weights = {(i, (i + step) % count): [[0.2]] for i in range(count) for step in (-1, 1)}
    if self_weight:
        weights |= {(i, i): [[self_weight]] for i in range(count)}
    return nng.Network.graph(weights, {i: [0.5] for i in range(count)}, "tanh").game()


@pytest.mark.parametrize(
    ("count", "self_weight", "chosen"),
    [
        (SWEPT_PLAYERS, 0.0, "auto:best_response"),
        (SWEPT_PLAYERS + 1, 0.0, "auto:picard"),
        # T does not contract, so picard is not proved: by x_i -> tanh(-3 x_i + ...) alone. M = I - W is monotone.
        (SWEPT_PLAYERS + 1, -3.0, "auto:extragradient"),
    ],
)
def test_many_players_answer_at_once_where_that_is_proved(count: int, self_weight: float, chosen: str) -> None:
    """Beyond ``SWEPT_PLAYERS`` auto answers all at once where that is proved to converge."""
    result = nng.solve(circle(count, self_weight))
    assert result.method == chosen
    assert result.converged
    assert result.guarantee.proved
