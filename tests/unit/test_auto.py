"""The default method: among schemes that are proved to converge, the one whose pass is cheap."""

from __future__ import annotations

import numpy as np
import pytest

import nngames as nng
from nngames.core.errors import DomainError
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


def test_a_scheme_that_cannot_start_counts_as_failed() -> None:
    weights = [[[0.58, 1.29], [-0.75, 1.69]], [[-0.29, 1.57], [-0.43, -0.74]]]
    game = nng.Network.ring(weights, [[0.36, 0.69], [0.66, 0.63]], ["softsign_probit"] * 2).game()
    ends = (
        "best_response: failed at the start, km: failed at the start",
        "best_response: failed at the start, km: cannot start",
    )
    for start, end in zip((None, np.zeros(4)), ends, strict=True):
        result = nng.solve(game, "auto", start=start)
        assert result.converged
        assert result.message.startswith(f"auto chose extragradient (no certificate licenses a scheme; {end}): ")
    with pytest.raises(DomainError, match=r"^best_response cannot start there: .*; give another start$"):
        nng.solve(game, "auto", start=np.full(4, 3.0))


def test_a_licensed_scheme_that_leaves_its_domain_is_followed_by_others() -> None:
    """M = I - W is monotone, but T is not defined at zero; the composite map is."""
    network = nng.Network.ring([[[0.33]], [[-0.33]]], [[0.71], [1.0]], ["softsign_probit"] * 2)
    game = network.game()
    assert nng.certify(game)["monotone"].proved
    result = nng.solve(game, "auto", max_iterations=300)
    assert result.converged
    assert result.method == "auto:km"
    assert "extragradient, whose convergence is proved where it is defined, left that set" in result.message
    assert "extragradient: failed at the start" in result.message
