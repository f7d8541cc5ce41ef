"""The spectral scheme on affine maps, where its lengths and its passes are known, and the forecast that chooses it."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import sparse
from scipy.sparse.linalg import LinearOperator, minres

import nngames as nng
from nngames.solvers import spectral
from nngames.solvers.automatic import forecast, turns
from nngames.solvers.safeguard import RELAXATION


def symmetric(eigenvalues: np.ndarray, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return a symmetric matrix with these eigenvalues, and a vector."""
    rng = np.random.default_rng(seed)
    basis = np.linalg.qr(rng.standard_normal((len(eigenvalues),) * 2))[0]
    matrix = (basis * eigenvalues) @ basis.T
    return (matrix + matrix.T) / 2, rng.standard_normal(len(eigenvalues))


def affine(matrix: np.ndarray, bias: np.ndarray, activation: str = "identity") -> nng.NetworkGame:
    """Return the game of one layer that feeds itself."""
    return nng.Network.recurrent(matrix, bias, activation).game()


def test_lengths_are_reciprocals_of_rayleigh_quotients() -> None:
    """On x -> J x + b the length after a step along g is one of g'g / g'Ag and g'Ag / |Ag|^2, A = Id - J."""
    matrix, bias = symmetric(np.linspace(-0.9, 0.95, 12))
    operator = np.eye(12) - matrix
    scheme = nng.solver("spectral")
    problem: Any = scheme.problem(affine(matrix, bias), np.random.default_rng(0))
    state, taken = scheme.start(problem, np.zeros(12)), []
    assert problem.length == 1.0
    for _ in range(25):
        g = bias - operator @ state.x
        np.testing.assert_allclose(state.memory, g, rtol=1e-9, atol=1e-13)
        before, length, state = state.x, problem.length, scheme.step(problem, state)
        np.testing.assert_allclose(state.x, before + length * g, rtol=1e-12, atol=1e-14)
        image = operator @ g
        long, short = g @ g / (g @ image), (g @ image) / (image @ image)
        assert short <= long * (1 + 1e-12)
        taken.append(short < spectral.RATIO * long)
        assert problem.length == pytest.approx(short if taken[-1] else long, rel=1e-6)
    assert True in taken
    assert False in taken
    rows = orbit(matrix, bias)
    problem.know(rows, 4)
    image = operator @ rows[2]
    long, short = rows[2] @ rows[2] / (rows[2] @ image), (rows[2] @ image) / (image @ image)
    assert problem.length == pytest.approx(short if short < spectral.RATIO * long else long)


def test_one_eigenvalue_takes_one_length() -> None:
    result = nng.solve(affine(np.diag([-0.7] * 5), np.arange(5.0)), "spectral")
    assert result.converged
    assert result.evaluations == 3


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_passes_on_a_symmetric_map_are_nearly_those_of_minres(seed: int) -> None:
    """Half of them at least, where plain steps need six times as many as the best combination of displacements."""
    matrix, bias = symmetric(1 - np.geomspace(0.05, 1.9, 80), seed)
    game, products = affine(matrix, bias), 0

    def product(v: np.ndarray) -> np.ndarray:
        nonlocal products
        products += 1
        return v - matrix @ v

    minres(LinearOperator((80, 80), matvec=product, dtype=float), bias, rtol=1e-9 / 5, maxiter=400)
    ours = nng.solve(game, "spectral")
    assert ours.converged
    assert ours.evaluations <= 2 * products
    assert nng.solve(game, "picard").evaluations >= 6 * products


def test_steps_without_curvature_are_plain_and_failed_ones_relaxed() -> None:
    """No length is right on x -> 2 x + b; and on x -> b - 5 x, whose first residuals grow, A = 6 Id, however far."""
    growing: Any = nng.solver("spectral").problem(affine_ring(2 * np.eye(2), np.ones(2)), np.random.default_rng(0))
    state = growing.move(growing.begin(np.zeros(2)))
    assert state.residual == pytest.approx(2 * math.sqrt(2))
    assert growing.length == 1.0
    refusing: Any = nng.solver("spectral", growth=1.0).problem(
        affine_ring(-5 * np.eye(2), np.ones(2)), np.random.default_rng(0)
    )
    state = refusing.move(refusing.begin(np.zeros(2)))
    assert refusing.rejected
    assert state.evaluations == 3
    np.testing.assert_allclose(state.x, RELAXATION * np.ones(2))
    assert refusing.length == pytest.approx(1 / 6)


def affine_ring(matrix: np.ndarray, bias: np.ndarray, activation: str = "identity") -> nng.NetworkGame:
    """Return a game with the composite map x -> r(W x + b): of one layer with this W there need be none."""
    identity = np.eye(len(bias))
    return nng.Network.ring([identity, matrix], [np.zeros(len(bias)), bias], ["identity", activation]).game()


def test_convergence_is_proved_where_the_safeguard_proves_it() -> None:
    matrix, bias = symmetric(np.linspace(-0.9, 0.9, 6))
    assert nng.solver("spectral").guarantee(affine(matrix, bias, "tanh")).proved
    assert not nng.solver("spectral").guarantee(affine_ring(2 * matrix, bias)).proved


def test_asymmetry_is_nothing_on_symmetric_maps_and_whole_on_skew_ones() -> None:
    rng = np.random.default_rng(1)
    matrix, g = rng.standard_normal((9, 9)), rng.standard_normal(9)
    assert forecast.Factors(orbit((matrix + matrix.T) / 8, g)).asymmetry < 1e-12
    assert 0.1 < forecast.Factors(orbit(matrix / 4, g)).asymmetry < 0.9
    assert 0.9 < forecast.Factors(orbit((matrix - matrix.T) / 8, g)).asymmetry < 1.0
    turn = np.array([[0.0, -0.5], [0.5, 0.0]])
    assert forecast.Factors(orbit(turn, np.array([3.0, 1.0]))).asymmetry == pytest.approx(1.0)
    assert forecast.Factors(np.zeros((5, 9))).asymmetry == 0.0


def orbit(matrix: np.ndarray, g: np.ndarray) -> np.ndarray:
    """Return g, J g, ..., J^4 g as rows."""
    rows = [g]
    for _ in range(4):
        rows.append(matrix @ rows[-1])
    return np.array(rows)


def test_the_forecast_of_symmetric_maps_is_chebyshevs() -> None:
    """The mean factor of T_m(x / q) / T_m(1 / q), the polynomial of degree m that is smallest on [-q, q] and 1 at 1."""
    q, m = 0.8, 400
    mean = math.exp(-(m * math.acosh(1 / q) - math.log(2)) / m)
    found = forecast.Factors(orbit(q * np.diag([1.0, -1.0, 1.0]), np.array([3.0, 1.0, 2.0])))
    assert found.plain == pytest.approx(q)
    assert found.symmetric == pytest.approx(mean, rel=1e-2)
    assert found.spectral == 0.0
    turned = q * np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    askew = forecast.Factors(orbit(turned, np.array([3.0, 1.0, 2.0])))
    assert (askew.symmetric, askew.spectral) == (1.0, 1.0)


def test_auto_takes_spectral_steps_in_a_game_with_a_potential_and_no_others() -> None:
    rng = np.random.default_rng(0)
    matrix = rng.standard_normal((400, 400)) / 20
    game = affine(0.34 * (matrix + matrix.T), rng.uniform(0.5, 1.5, 400), "relu")
    assert nng.solve(game).method == "auto:spectral"
    skew = affine_ring(0.34 * (matrix - matrix.T), rng.standard_normal(400), "relu")
    assert nng.solve(skew).method != "auto:spectral"


def ties(n: int, lean: float = 0.0) -> Any:
    """Return a sparse matrix of norm 0.95 on a circle, symmetric but for one entry that leans."""
    circle = sparse.diags_array([np.ones(n - 1)] * 2, offsets=[-1, 1]).tolil()
    circle[0, 1] += lean
    return (circle * (-0.95 / 2)).tocsr()


@pytest.mark.parametrize(("weight", "mutual"), [(ties(60), True), (ties(60, 1e-3), False), (ties(60).toarray(), False)])
def test_runs_begin_with_spectral_steps_where_influence_is_mutual(weight: Any, mutual: bool) -> None:
    game = nng.Network.recurrent(weight, np.ones(60), "relu").game(players="neurons")
    assert turns.mutual(game) == mutual
    result = nng.solve(game)
    assert result.converged
    if mutual:
        assert (result.method, result.message.count("before")) == ("auto:spectral", 0)
        assert result.evaluations == nng.solve(game, "spectral").evaluations


def test_players_one_by_one_are_mutual_too() -> None:
    edges = {(i, j): [[-0.45]] for i in range(20) for j in (i - 1, i + 1) if 0 <= j < 20}
    network = nng.Network.graph(edges, {i: [1.0] for i in range(20)}, "relu")
    assert turns.mutual(network.game())
    askew = nng.Network.graph({**edges, (0, 1): [[0.45]]}, {i: [1.0] for i in range(20)}, "relu")
    assert not turns.mutual(askew.game())
    # Its slopes may be negative.
    wavy = nng.Network.graph(edges, {i: [1.0] for i in range(20)}, "sin")
    assert not turns.mutual(wavy.game())


def test_weights_whose_products_overflow_are_not_mutual() -> None:
    game = nng.Network.recurrent(ties(60) * 1.7e308, np.ones(60), "relu").game(players="neurons")
    assert not turns.mutual(game)
    assert nng.solve(game).converged


def test_spectral_steps_that_lead_nowhere_are_followed_by_plain_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The forecast that follows knows their displacements, as if the run had begun with them."""
    game = nng.Network.recurrent(ties(60), np.ones(60), "relu").game(players="neurons")
    stuck = spectral.SpectralProblem.move
    monkeypatch.setattr(spectral.SpectralProblem, "move", lambda self, state: replace(stuck(self, state), residual=1e3))
    result = nng.solve(game)
    assert result.converged
    assert result.method != "auto:spectral"
    assert "spectral: residual" in result.message
    assert "picard" in result.message
