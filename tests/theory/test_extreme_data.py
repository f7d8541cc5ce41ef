"""Data near the ends of floats: certificates and guarantees answer, without a warning, and what is decided is so."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from flint import fmpq_mat

import nngames as nng
from nngames.certificates import verdict_of
from nngames.certificates.principal_minors import nonpositive_minor
from nngames.core.exact import is_positive_semidefinite, rational, rational_matrix
from nngames.solvers import registry

SCALES = (1.7e308, 1e308, 1e200, 1e154, 1e-200, 5e-324)
DRAWS = np.random.default_rng(0)
SHAPES = {
    "skew": np.array([[0.0, 1.0], [-1.0, 0.0]]),
    "negative": -np.eye(2),
    "full": np.array([[0.7, -0.3], [0.9, 0.9]]),
    "semidefinite": -np.ones((3, 3)),
    "drawn": DRAWS.uniform(-1, 1, (3, 3)),
    "spread": DRAWS.uniform(-1, 1, (3, 3)) * 10.0 ** DRAWS.integers(-3, 1, (3, 3)),
}


def games(shape: str, scale: float) -> list[Any]:
    """Return the games with W and this scale that exist."""
    weight = SHAPES[shape] * scale
    n = len(weight)
    makers = (
        lambda: nng.Network.recurrent(weight, np.full(n, scale), "relu").game(),
        lambda: nng.Network.ring([weight, np.eye(n)], [np.ones(n), np.zeros(n)], ["leaky_relu", "tanh"]).game(),
        lambda: nng.QuadraticGame(
            {1: np.eye(n) * scale, 2: np.eye(n)}, {(1, 2): weight, (2, 1): weight.T}, {1: np.ones(n)}
        ),
    )
    found = []
    for maker in makers:
        try:
            found.append(maker())
        except nng.InputError:
            # A best response that is not unique.
            continue
    return found


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("shape", SHAPES)
def test_every_certificate_and_guarantee_answers(shape: str, scale: float) -> None:
    for game in games(shape, scale):
        nng.certify(game)
        for name in registry.names():
            if ":" in name or name == "auto":
                continue
            solver = nng.solver(name)
            if solver.applies(game) is None:
                try:
                    solver.guarantee(game)
                except nng.NNGamesError:
                    continue


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("shape", SHAPES)
def test_what_is_decided_about_the_inclusion_holds_in_rationals(shape: str, scale: float) -> None:
    weight = SHAPES[shape] * scale
    n = len(weight)
    identity = fmpq_mat(n, n, [int(i == j) for i in range(n) for j in range(n)])
    exact = identity - rational_matrix(weight)
    symmetric = (exact + exact.transpose()) * rational(0.5)
    game = next(iter(games(shape, scale)))
    if not isinstance(game, nng.NetworkGame) or len(game.players) > 1:
        return
    monotone, cocoercive, minors = (verdict_of(name, game) for name in ("monotone", "cocoercive", "p_matrix"))
    assert monotone.proved == is_positive_semidefinite(symmetric)
    assert monotone.refuted != monotone.proved
    if monotone.proved:
        assert is_positive_semidefinite(symmetric - identity * rational(monotone.witness["modulus"]))
    if cocoercive.proved:
        beta = rational(cocoercive.witness["beta"])
        assert is_positive_semidefinite(symmetric - exact.transpose() * exact * beta)
    assert minors.proved == (nonpositive_minor(exact) is None)
    assert minors.refuted != minors.proved


def test_an_identity_up_to_subnormal_numbers_has_a_norm_above_1() -> None:
    """|M| = 1 + 1e-200 is not 1, and 1-cocoercivity of M = (1 + 1e-200) I is false."""
    game = nng.Network.recurrent([[-1e-200]], [0.0], "relu").game()
    assert game.inclusion().norm_bound > 1
    assert Fraction(verdict_of("cocoercive", game).witness["beta"]) * (1 + Fraction(1e-200)) <= 1


@pytest.mark.parametrize("method", ["douglas_rachford", "peaceman_rachford", "forward_backward", "extragradient"])
def test_steps_of_a_huge_operator_are_positive(method: str) -> None:
    game = nng.Network.recurrent(np.array([[0.0, 1e200], [-1e200, 0.0]]), [1.0, 1.0], "relu").game()
    guarantee = nng.solver(method).guarantee(game)
    assert guarantee.witness.get("step", 1.0) > 0
    assert game.inclusion().mean_singular_value == pytest.approx(1e200)
    assert nng.solve(game, method, max_iterations=3).status in tuple(nng.Status)
