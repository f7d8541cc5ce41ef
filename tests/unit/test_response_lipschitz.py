"""The Lipschitz constants of best responses with an own curvature, against difference quotients of the responses."""

from __future__ import annotations

import numpy as np
import pytest

import nngames as nng
from nngames.certificates.norms import response_lipschitz
from nngames.games import OwnCost


@pytest.mark.parametrize(
    ("activation", "curvature", "expected"),
    [
        # By hand: 1/(1/S + q - 1), S the steepest slope of r.
        (nng.activation("tanh", scale=2.0), 1.5, 1.0),
        (nng.activation("tanh", scale=2.0), 0.75, 4.0),
        (nng.activation("tanh"), 3.0, 1 / 3),
        (nng.activation("sigmoid"), 0.5, 1 / 3.5),
        (nng.activation("linear", slope=0.5), 2.0, 1 / 3),
        (nng.activation("relu"), 2.0, 0.5),
    ],
)
def test_it_is_the_steepest_slope_of_the_response(
    activation: nng.Activation, curvature: float, expected: float
) -> None:
    """No difference quotient of the response exceeds the constant, and those where r is steepest reach it."""
    constant = float(response_lipschitz(OwnCost(activation, np.array([curvature]))))
    assert constant == pytest.approx(expected, rel=1e-12)

    def answer(u: float) -> float:
        game = nng.Network.graph({(1, 1): [[1 - curvature]]}, {1: [u]}, {1: activation}).game(players="neurons")
        return float(game.best_response(game.players[0], [0.0])[0])

    # sigmoid is steepest where it answers 1/2, the others at 0 or beside it; a self-weight w leaves u as it is.
    middle = 0.5 * curvature - 0.5 if activation.name == "sigmoid" else 0.0
    points = middle + np.linspace(-1e-3, 1e-3, 41)
    answers = np.array([answer(u) for u in points])
    quotients = np.diff(answers) / np.diff(points)
    assert quotients.max() <= constant * (1 + 1e-9)
    assert quotients.max() >= constant * (1 - 1e-4)
