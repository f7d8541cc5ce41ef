"""Cocoercivity of the inclusion's operator: beta in rationals, vectors that refute, and the steps it licenses."""

from __future__ import annotations

from fractions import Fraction
from itertools import islice

import numpy as np
import pytest

import nngames as nng
from nngames.certificates import verdict_of
from nngames.core.exact import is_positive_semidefinite, rational, rational_matrix


def operator_of(weights):
    """M = I - W of a ring as a flint rational matrix, assembled here."""
    from flint import fmpq_mat

    sizes = [len(w) for w in weights]
    starts = np.cumsum([0, *sizes])
    n = int(starts[-1])
    m = fmpq_mat(n, n, [int(i == j) for i in range(n) for j in range(n)])
    for layer, w in enumerate(weights):
        source = layer - 1 if layer else len(weights) - 1
        block = rational_matrix(np.asarray(w, dtype=float))
        for i in range(block.nrows()):
            for j in range(block.ncols()):
                a, b = int(starts[layer]) + i, int(starts[source]) + j
                m[a, b] = m[a, b] - block[i, j]
    return m


def form(m, beta):
    return (m + m.transpose()) * rational(0.5) - (m.transpose() * m) * rational(beta)


def ring(weights, activation="relu"):
    weights = [np.atleast_2d(np.asarray(w, dtype=float)) for w in weights]
    return nng.Network.ring(weights, [np.full(len(w), 0.5) for w in weights], [activation] * len(weights)).game()


@pytest.mark.parametrize("seed", range(10))
def test_beta_is_proved_and_nearly_the_largest(seed):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 4, 3)
    weights = [rng.standard_normal((sizes[i], sizes[i - 1])) * rng.uniform(0.1, 0.6) for i in range(3)]
    verdict = verdict_of("cocoercive", ring(weights))
    m = operator_of(weights)
    monotone = verdict_of("monotone", ring(weights))
    if not monotone.proved:
        assert verdict.refuted
        return
    beta = verdict.witness["beta"]
    assert verdict.proved
    assert is_positive_semidefinite(form(m, beta))
    assert not is_positive_semidefinite(form(m, beta * (1 + 1e-6)))
    assert beta >= monotone.witness["modulus"] / monotone.witness["norm_bound"] ** 2


@pytest.mark.parametrize(
    ("weights", "beta"),
    [
        ([[[1.0]], [[1.0]]], 1 / 2),  # M = [[1, -1], [-1, 1]], singular and symmetric: 1/|M|
        ([[[1.0]], [[-1.0]]], 1 / 2),  # M = [[1, -1], [1, 1]]: <Mx, x> = |x|^2, |Mx|^2 = 2 |x|^2
        ([[[1.0]]] * 3, 1 / 2),  # singular and not symmetric: the eigenvalues 1 - w, w^3 = 1, have Re = |.|^2/2
        ([[[1.0]]] * 5, 1 / 2),
        ([np.zeros((2, 2))] * 2, 1.0),
    ],
)
def test_constants_that_are_known(weights, beta):
    game = ring(weights)
    verdict = verdict_of("cocoercive", game)
    assert verdict.proved
    assert verdict.witness["beta"] == pytest.approx(beta, rel=1e-8)
    assert verdict.witness["beta"] <= beta


def test_a_vector_refutes():
    for weights, sign in (([[[-2.0]]] * 3, 0), ([[[2.0]], [[2.0]]], -1), ([[[3.0, 1.0], [0.0, 0.2]], np.eye(2)], -1)):
        verdict = verdict_of("cocoercive", ring(weights, "identity"))
        assert verdict.refuted
        m = operator_of([np.atleast_2d(np.asarray(w, dtype=float)) for w in weights])
        direction = verdict.witness["direction"]
        n = m.nrows()
        x = [Fraction(d) if isinstance(d, Fraction) else Fraction(float(d)) for d in direction]
        entries = [[Fraction(int(m[i, j].p), int(m[i, j].q)) for j in range(n)] for i in range(n)]
        image = [sum(a * b for a, b in zip(row, x, strict=True)) for row in entries]
        value = sum(a * b for a, b in zip(image, x, strict=True))
        assert value <= Fraction(verdict.witness["value"])
        assert value < 0 if sign else value == 0
        assert any(image)


def test_every_cocoercive_operator_is_monotone():
    for weights in ([[[1.0]]] * 4, [[[0.5]], [[0.25]]], [[[1.0]], [[-3.0]]]):
        game = ring(weights)
        assert verdict_of("cocoercive", game).proved <= verdict_of("monotone", game).proved


def test_a_sparse_operator_beyond_dense_orders_is_proved_by_its_modulus():
    from scipy import sparse

    n = 3000
    weight = sparse.diags_array([np.full(n - 1, 0.3), np.full(n - 1, -0.2)], offsets=[-1, 1])
    game = nng.Network.recurrent(weight, np.ones(n), "relu").game(players="neurons")
    verdict, monotone = verdict_of("cocoercive", game), verdict_of("monotone", game)
    assert verdict.proved
    assert verdict.witness["beta"] == pytest.approx(
        monotone.witness["modulus"] / monotone.witness["norm_bound"] ** 2, rel=1e-12
    )


@pytest.mark.parametrize("share", [0.3, 1.0, 1.5, 1.95])
@pytest.mark.parametrize("seed", range(3))
def test_forward_backward_keeps_its_linear_bound_at_every_iteration(seed, share):
    rng = np.random.default_rng(seed)
    n = 6
    a, b = rng.standard_normal((n, n)) / 3, rng.standard_normal((n, n))
    weight = 0.8 * np.eye(n) - a.T @ a + b - b.T
    equilibrium = rng.uniform(0.1, 1.0, n)
    network = nng.Network.recurrent(weight, equilibrium - weight @ equilibrium, "relu")
    game = network.game()
    beta = verdict_of("cocoercive", game).witness["beta"]
    solver = nng.solver("forward_backward", step_size=share * beta)
    guarantee = solver.guarantee(game)
    assert guarantee.proved
    assert guarantee.rate.quantity == "distance"
    start = equilibrium + rng.standard_normal(n)
    first = np.linalg.norm(start - equilibrium)
    for k, iterate in enumerate(islice(solver.iterate(game, start=start), 80)):
        assert np.linalg.norm(iterate.profile - equilibrium) <= guarantee.rate.bound(k, first) + 1e-12
    assert not nng.solver("forward_backward", step_size=2.0001 * beta).guarantee(game).proved


@pytest.mark.parametrize("layers", [3, 5])
def test_forward_backward_on_a_singular_cocoercive_operator_keeps_its_bound(layers):
    # x_l = max(0, x_{l-1} + b_l) with sum b = 0 has a line of equilibria.
    rng = np.random.default_rng(layers)
    bias = rng.uniform(-1, 1, layers)
    bias -= bias.mean()
    game = nng.Network.ring([[[1.0]]] * layers, [[b] for b in bias], ["relu"] * layers).game()
    solver = nng.solver("forward_backward", step_size=0.9)
    guarantee = solver.guarantee(game)
    assert guarantee.proved
    assert guarantee.rate.quantity == "residual"
    equilibrium = np.cumsum(bias)
    equilibrium += 1 - equilibrium.min()
    assert game.residual(equilibrium) < 1e-14
    start = rng.uniform(-3, 3, layers)
    first = np.linalg.norm(start - equilibrium)
    for k, iterate in enumerate(islice(solver.iterate(game, start=start), 100)):
        assert game.residual(iterate.profile) <= guarantee.rate.bound(k, first) + 1e-13
