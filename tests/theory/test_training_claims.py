"""The claims about training on the toolkit's own problems, a second route to the instances in fractions."""

from __future__ import annotations

import numpy as np
import pytest

import nngames as nng
from nngames.claims import training_instances as instances
from nngames.training.preimages import preimages

SCALAR = [
    name
    for name in nng.activations()
    if nng.activation(name).separable
    and nng.activation(name).monotone
    and nng.activation(name).defined_everywhere
    and name not in ("singleton", "cloglog")
]


def test_every_instance_decides() -> None:
    derived = {
        name: getattr(instances, name)().status
        for name, value in vars(instances).items()
        if callable(value)
        and getattr(value, "__module__", "") == instances.__name__
        and not value.__code__.co_argcount
        and name != "fractions"
    }
    assert len(derived) == 9
    assert "UNDECIDED" not in set(derived.values())


def test_a_solution_need_not_fit_where_r_is_not_monotone() -> None:
    x, y = np.array([-1.0, 0.0, 1.0]), np.array([0.5, 0.0, 1.0])
    # That r is 3/4-averaged: Id + (r - Id)/(3/4) is 1-Lipschitz.
    v = np.linspace(-3, 3, 61)
    reflected = v + (np.maximum(v, -v / 2) - v) / 0.75
    np.testing.assert_allclose(np.abs(np.diff(reflected)), np.diff(v))
    rows = np.column_stack([x, np.ones(3)])
    np.testing.assert_array_equal(np.maximum(x, -x / 2), y)
    # Least squares on the branch r(v) = v, on which all of its pre-activations lie.
    theta = np.linalg.lstsq(rows, y, rcond=None)[0]
    assert (rows @ theta > 0).all()
    np.testing.assert_allclose(theta, [0.25, 0.5])
    assert np.abs(rows @ theta - y).max() > 0.2
    assert instances.a_solution_that_does_not_fit().witness["solution"] == ["1/4", "1/2"]
    with pytest.raises(nng.NotApplicableError):
        nng.TrainingProblem(x, y, ["absolute_value"])


def test_the_least_squares_game_has_other_equilibria() -> None:
    problem = nng.TrainingProblem([-1.0, 0.0, 1.0], [0.1, 0.2, 0.9], ["tanh"])
    game = problem.preactivation_game(np.zeros(2))
    seven = nng.solve(game, method="newton_descent").profile
    rows = np.column_stack([[-1.0, 0.0, 1.0], np.ones(3)])
    np.testing.assert_allclose(seven, np.linalg.lstsq(rows, np.arctanh([0.1, 0.2, 0.9]), rcond=None)[0], atol=1e-9)
    assert problem.verify(seven).equilibrium.proved
    assert problem.verify(seven).fits.refuted
    eight = nng.solve(problem.game(), method="newton_descent").profile
    assert np.linalg.norm(seven - eight) > 1e-2
    assert problem.report(seven).solves.refuted
    assert problem.verify(eight).equilibrium.refuted


@pytest.mark.parametrize("name", ["tanh", "relu", "hard_tanh", "softplus", "leaky_relu", "elu"])
def test_parameters_that_fit_are_equilibria_of_the_least_squares_game(name: str) -> None:
    rng = np.random.default_rng(2)
    activation = nng.activation(name)
    inputs, theta = rng.normal(size=(30, 3)), rng.normal(size=(2, 4))
    targets = activation(inputs @ theta[:, :3].T + theta[:, 3])
    problem = nng.TrainingProblem(inputs, targets, [name])
    report = problem.verify(theta.ravel())
    assert report.equilibrium.proved
    assert report.fits.proved
    flat = name in ("relu", "hard_tanh")
    assert (report.ambiguous[1] > 0) == flat
    # With the least elements in place of its own, a fit is an equilibrium only where r has one element each.
    least = problem.preactivation_game(theta.ravel(), "least")
    assert (least.residual(theta.ravel()) > 1e-3) == flat


def test_layers_whose_f_is_not_convex_are_named() -> None:
    report = nng.TrainingProblem([0.0, 1.0], [0.1, 0.2], ["selu"]).verify(np.zeros(2))
    assert report.not_a_prox == (1,)
    assert "slopes above 1, so f is not convex" in str(report)


def test_a_target_that_is_only_a_limit_has_no_preimage() -> None:
    problem = nng.TrainingProblem([0.0, 1.0], [0.0, 0.5], ["logistic"])
    with pytest.raises(nng.InputError, match="layer 1: row 0, column 0 is 0, which 'logistic' does not take"):
        problem.verify(np.zeros(2))
    with pytest.raises(nng.NotApplicableError, match="preimages are found for nondecreasing activations"):
        nng.TrainingProblem(np.eye(2), np.full((2, 2), 0.5), ["softmax"]).verify(np.zeros(6))


def test_other_fits_of_two_layers_are_no_equilibria_of_the_layer_game() -> None:
    problem = nng.TrainingProblem([1.0], [1.0], ["identity", "identity"], hidden=[[1.0]])
    other = np.array([2.0, 0.0, 0.5, 0.0])
    np.testing.assert_allclose(problem.predict(other), 1.0)
    assert problem.residual(other) > 1
    assert problem.residual([1.0, 0.0, 1.0, 0.0]) == 0


@pytest.mark.parametrize("name", SCALAR)
def test_preimages_hold_what_they_come_from(name: str) -> None:
    rng = np.random.default_rng(1)
    activation = nng.activation(name)
    v = rng.normal(size=(40, 3)) * 2
    y = activation(v)
    lower, upper = preimages(activation, y, "targets")
    room = 1e-12 * (1 + np.abs(v))
    assert (lower - room <= v).all()
    assert (v <= upper + room).all()
    inside = np.clip(v + rng.normal(size=v.shape), lower, upper)
    np.testing.assert_allclose(activation(inside), y, atol=1e-14, rtol=1e-14)
