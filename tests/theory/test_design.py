"""Design of weights for a given equilibrium: the least changes against other optimisers, preimages, and refusals."""

from __future__ import annotations

import re
from typing import Any

import cvxpy as cp
import numpy as np
import pytest
from scipy import optimize, sparse

import nngames as nng
from nngames.core.errors import InfeasibleError

SCALAR = [
    name
    for name in nng.activations()
    if nng.activation(name).separable and nng.activation(name).monotone and nng.activation(name).defined_everywhere
]


def _ring(seed: int = 0, sizes: tuple[int, ...] = (4, 3, 5)) -> tuple[nng.Network, np.ndarray]:
    """Return a ring of tanh, relu and hard_tanh, and a profile with actions at the kinks and ends."""
    rng = np.random.default_rng(seed)
    weights = [rng.normal(size=(n, sizes[i - 1])) for i, n in enumerate(sizes)]
    network = nng.Network.ring(weights, [rng.normal(size=n) for n in sizes], ["tanh", "relu", "hard_tanh"])
    parts = [rng.uniform(-0.9, 0.9, sizes[0]), np.maximum(rng.normal(size=sizes[1]), 0)]
    last = np.clip(1.5 * rng.normal(size=sizes[2]), -1, 1)
    last[:2] = (1.0, -1.0)
    parts[1][0] = 0.0
    return network, np.concatenate([*parts, last])


def _variables(network: nng.Network, x: np.ndarray, biases: bool) -> tuple[Any, Any, list[Any]]:
    """Return CVXPY changes of weights and biases, and what makes x an equilibrium, each activation by hand."""
    change = {edge: cp.Variable(w.shape) for edge, w in network.weights.items()}
    shift = {p: cp.Variable(n) if biases else np.zeros(n) for p, n in network.dims.items()}
    parts, constraints = network.space.actions(x), []
    for player, z in parts.items():
        v = network.biases[player] + shift[player]
        for (target, source), d in change.items():
            if target == player:
                v = v + (network.weights[target, source].dense + d) @ parts[source]
        name = network.activations[player].name
        for i, t in enumerate(z):
            if name == "tanh":
                constraints.append(v[i] == np.arctanh(t))
            elif (name == "relu" and t == 0) or (name == "hard_tanh" and t == -1):
                constraints.append(v[i] <= t)
            elif name == "hard_tanh" and t == 1:
                constraints.append(v[i] >= t)
            else:
                constraints.append(v[i] == t)
    return change, shift, constraints


def _total(norm: Any, change: Any, shift: Any) -> Any:
    return sum(norm(d) for d in change.values()) + sum(norm(s) for s in shift.values() if not isinstance(s, np.ndarray))


def _difference(design: Any, network: nng.Network) -> np.ndarray:
    """Return all changes of entries in one vector."""
    weights = [(design.network.weights[e].dense - w.dense).ravel() for e, w in network.weights.items()]
    return np.concatenate([*weights, *(design.network.biases[p] - b for p, b in network.biases.items())])


@pytest.mark.parametrize("biases", [True, False])
def test_the_least_change_is_that_of_a_quadratic_program(biases: bool) -> None:
    network, x = _ring()
    design = nng.design_network(network, x, change_biases=biases)
    change, shift, constraints = _variables(network, x, biases)
    program = cp.Problem(cp.Minimize(_total(cp.sum_squares, change, shift)), constraints)
    least = program.solve(solver=cp.CLARABEL)
    assert design.change**2 == pytest.approx(least, rel=1e-7)
    assert design.change == pytest.approx(np.linalg.norm(_difference(design, network)), rel=1e-13)
    for edge, d in change.items():
        np.testing.assert_allclose(design.network.weights[edge].dense, network.weights[edge].dense + d.value, atol=1e-6)
    assert design.residual <= 1e-14
    assert np.linalg.norm(design.network.joint(x) - x) == design.residual
    if not biases:
        assert all(np.array_equal(design.network.biases[p], network.biases[p]) for p in network.players)


def test_for_invertible_activations_the_change_is_a_minimum_norm_solution() -> None:
    rng = np.random.default_rng(1)
    network = nng.Network.graph(
        {(1, 2): rng.normal(size=(3, 2)), (1, 1): rng.normal(size=(3, 3)), (2, 1): rng.normal(size=(2, 3))},
        {1: rng.normal(size=3), 2: rng.normal(size=2)},
        {1: "arctan", 2: "softplus"},
    )
    x = {1: rng.uniform(-1, 1, 3), 2: rng.uniform(0.1, 2, 2)}
    design = nng.design_network(network, x)
    v = np.tan(x[1])
    now = network.weights[1, 2].dense @ x[2] + network.weights[1, 1].dense @ x[1] + network.biases[1]
    features = np.concatenate([x[2], x[1], [1.0]])
    for i in range(3):
        least = np.linalg.lstsq(features[None], np.array([v[i] - now[i]]), rcond=None)[0]
        np.testing.assert_allclose(design.network.weights[1, 2].dense[i] - network.weights[1, 2].dense[i], least[:2])
        np.testing.assert_allclose(design.network.weights[1, 1].dense[i] - network.weights[1, 1].dense[i], least[2:5])
    np.testing.assert_allclose(design.network.joint(design.profile), np.concatenate([x[1], x[2]]), atol=1e-15)


@pytest.mark.parametrize("biases", [True, False])
def test_the_sparse_change_is_that_of_a_linear_program(biases: bool) -> None:
    network, x = _ring(2)
    design = nng.design_network(network, x, objective="sparse", change_biases=biases)
    change, shift, constraints = _variables(network, x, biases)
    least = cp.Problem(cp.Minimize(_total(lambda d: cp.sum(cp.abs(d)), change, shift)), constraints).solve(
        solver=cp.CLARABEL
    )
    moved = _difference(design, network)
    assert np.abs(moved).sum() == pytest.approx(least, rel=1e-7)
    assert design.changed == np.count_nonzero(moved) <= network.size
    assert design.residual <= 1e-14


def test_a_sparse_weight_keeps_its_pattern() -> None:
    rng = np.random.default_rng(3)
    matrix = sparse.random(8, 8, density=0.4, random_state=3, format="csr")
    network = nng.Network.recurrent(matrix, rng.normal(size=8), "tanh")
    x = rng.uniform(-0.9, 0.9, 8)
    for options in ({}, {"certificate": "contraction"}, {"certificate": "monotone"}, {"objective": "sparse"}):
        design = nng.design_network(network, x, **options)
        found = design.network.weights[1, 1]
        assert set(zip(*found.matrix.nonzero(), strict=True)) <= set(zip(*matrix.nonzero(), strict=True)), options
        assert design.residual <= 1e-14
    dense = nng.design_network(network, x).network.weights[1, 1].dense
    target = np.arctanh(x) - (matrix @ x + network.biases[1])
    for i in range(8):
        heard = np.where(matrix.toarray()[i] != 0, x, 0.0)
        np.testing.assert_allclose(dense[i], matrix.toarray()[i] + target[i] * heard / (heard @ heard + 1), atol=1e-12)


@pytest.mark.parametrize("name", SCALAR)
def test_every_scalar_activation_takes_what_it_answers(name: str) -> None:
    rng = np.random.default_rng(4)
    activation = nng.activation(name)
    network = nng.Network.ring(
        [rng.normal(size=(6, 2)), rng.normal(size=(2, 6))], [rng.normal(size=6), [0.1, 0.2]], [name, "tanh"]
    )
    x = {1: activation(2 * rng.normal(size=6)), 2: [0.3, -0.4]}
    for objective in ("least_norm", "sparse"):
        assert nng.design_network(network, x, objective=objective).residual <= 1e-14


def test_layers_on_a_simplex() -> None:
    """The preimage of x in the simplex is {v: v_i = x_i + t where x_i > 0, v_i <= t elsewhere}; of softmax, a line."""
    rng = np.random.default_rng(5)
    weights = [rng.normal(size=(5, 5)) for _ in range(2)]
    network = nng.Network.ring(weights, [rng.normal(size=5) for _ in range(2)], ["simplex", "softmax"])
    x = {1: np.array([0.5, 0.3, 0.2, 0.0, 0.0]), 2: rng.dirichlet(np.ones(5))}
    for objective, norm in (("least_norm", cp.sum_squares), ("sparse", lambda d: cp.sum(cp.abs(d)))):
        design = nng.design_network(network, x, objective=objective)
        assert design.residual <= 1e-14
        change = [cp.Variable((5, 5)) for _ in range(2)]
        shift = [cp.Variable(5) for _ in range(2)]
        level = cp.Variable(2)
        v = [(weights[i] + change[i]) @ x[2 - i] + network.biases[i + 1] + shift[i] for i in range(2)]
        constraints = [v[0][:3] == x[1][:3] + level[0], v[0][3:] <= level[0], v[1] == np.log(x[2]) + level[1]]
        least = cp.Problem(cp.Minimize(sum(map(norm, (*change, *shift)))), constraints).solve(solver=cp.CLARABEL)
        moved = _difference(design, network)
        found = moved @ moved if objective == "least_norm" else np.abs(moved).sum()
        assert found == pytest.approx(least, rel=1e-6)


def test_a_chain_keeps_its_input() -> None:
    rng = np.random.default_rng(6)
    network = nng.Network.chain(
        [rng.normal(size=(4, 3)), rng.normal(size=(2, 4))],
        [np.zeros(4), np.zeros(2)],
        ["tanh", "relu"],
        [1.0, 2.0, 3.0],
    )
    x = np.concatenate([rng.uniform(-0.9, 0.9, 4), [0.0, 0.7]])
    design = nng.design_network(network, x)
    np.testing.assert_allclose(np.concatenate(design.network.forward()), x, atol=1e-14)
    # The first layer hears the input alone: all of the change is its bias.
    np.testing.assert_allclose(
        design.network.biases[1], np.arctanh(x[:4]) - network.input_weight.apply(network.input), atol=1e-14
    )


def test_nothing_changes_where_the_profile_is_an_equilibrium() -> None:
    network, _ = _ring(7)
    contracting = network.with_parameters({e: 0.2 * w.dense for e, w in network.weights.items()}, {})
    x = nng.solve(contracting.game(), tolerance=1e-14).profile
    assert nng.design_network(contracting, x).change <= 1e-13


def test_a_row_that_nothing_moves() -> None:
    network = nng.Network.ring([[[1.0], [1.0]], [[1.0, 1.0]]], [[0.0, 0.5], [0.0]], ["relu", "relu"])
    # Player 2's action is 0, so player 1 answers its bias whatever its weights are.
    fits = nng.design_network(network, [0.0, 0.5, 0.0], change_biases=False)
    assert fits.residual == 0
    with pytest.raises(InfeasibleError) as caught:
        nng.design_network(network, [0.0, 0.7, 0.0], change_biases=False)
    assert str(caught.value) == (
        "player 1, neuron 1: no change moves its pre-activation (no entry of its weights meets a nonzero action of the "
        "profile, and its bias is not to change); it answers 0.5, the profile asks for 0.7"
    )


@pytest.mark.parametrize(
    ("name", "value", "kind", "message"),
    [
        (
            "tanh",
            1.0,
            nng.DomainError,
            "player 1, activation 'tanh': coordinate 1 of the profile is 1.0; r takes (-1, 1)",
        ),
        (
            "relu",
            -0.1,
            nng.DomainError,
            "player 1, activation 'relu': coordinate 1 of the profile is -0.1; r takes [0, inf)",
        ),
        (
            "elu",
            -1.0,
            nng.DomainError,
            "player 1, activation 'elu': coordinate 1 of the profile is -1.0; r takes (-1, inf)",
        ),
        (
            "hard_tanh",
            1.5,
            nng.DomainError,
            "player 1, activation 'hard_tanh': coordinate 1 of the profile is 1.5; r takes [-1, 1]",
        ),
        (
            "hardshrink",
            0.25,
            nng.DomainError,
            "player 1, activation 'hardshrink': coordinate 1 of the profile is 0.25; r takes values on "
            "both sides of it, or that tend to it, at pre-activations up to 1e+150",
        ),
        (
            "gelu",
            0.2,
            nng.NotApplicableError,
            "player 1, activation 'gelu': the pre-activations that have a given answer need not be convex",
        ),
        ("ball", 0.2, nng.NotApplicableError, "player 1, activation 'ball': its preimages have no form known here"),
        (
            "softmax",
            0.0,
            nng.DomainError,
            "player 1, activation 'softmax': coordinate 1 of the profile is 0.0; r takes the positive vectors with "
            "sum 1",
        ),
        (
            "softmax",
            0.2,
            nng.DomainError,
            "player 1, activation 'softmax': the action of the profile sums to 0.7; softmax takes vectors with sum 1",
        ),
        (
            "simplex",
            0.2,
            nng.DomainError,
            "player 1, activation 'simplex': the action of the profile is off the set that r projects on: constraint 2 "
            "is 0.7, valid: [1, 1]",
        ),
    ],
)
def test_what_an_activation_does_not_take(name: str, value: float, kind: type[Exception], message: str) -> None:
    network = nng.Network.ring([np.eye(2), np.eye(2)], [np.zeros(2), np.zeros(2)], [name, "identity"])
    with pytest.raises(kind, match=re.escape(message)):
        nng.design_network(network, [0.5 if name != "hardshrink" else 2.0, value, 1.0, 1.0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"certificate": "stable"}, "certificate='stable' is unknown; valid: contraction, averaged, monotone"),
        ({"objective": "l0"}, "objective='l0' is unknown; valid: least_norm, sparse"),
        ({"margin": 0.1}, "margin=0.1 belongs to a certificate; name one of contraction, averaged, monotone"),
        ({"certificate": "monotone", "margin": -1.0}, "margin must be a positive number; got -1.0"),
        (
            {"certificate": "contraction", "margin": 1.0},
            "margin=1.0 is out of range for certificate='contraction' of this network; valid: (0, 1)",
        ),
        ({"change_biases": 1}, "change_biases must be True or False; got 1"),
        ({"certificate": "monotone", "max_seconds": 0}, "max_seconds must be a positive number; got 0"),
    ],
)
def test_options_are_checked(options: dict[str, Any], message: str) -> None:
    network, x = _ring()
    with pytest.raises(nng.OptionError, match=re.escape(message)):
        nng.design_network(network, x, **options)


def test_templates_are_checked() -> None:
    network, x = _ring()
    with pytest.raises(nng.InputError, match="design needs a Network as the template; got ProximalGame"):
        nng.design_network(network.game(), x)  # type: ignore[arg-type]
    with pytest.raises(nng.ShapeError, match=re.escape("profile has shape (3,); expected (12,)")):
        nng.design_network(network, x[:3])
    from scipy.sparse.linalg import aslinearoperator

    free = nng.Network.recurrent(aslinearoperator(np.eye(2)), np.zeros(2), "tanh")
    with pytest.raises(nng.NotApplicableError, match="the weight of the edge 1 -> 1 is a map without entries"):
        nng.design_network(free, [0.1, 0.2])


def test_the_weighted_nearest_point_of_a_cone_is_least() -> None:
    """Rows with other patterns weigh the coordinates of a simplex differently: against SLSQP on the weights."""
    pattern = sparse.csr_array(np.array([[1.0, 0.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]))
    network = nng.Network.ring([pattern, np.eye(3)], [np.zeros(3), np.zeros(3)], ["simplex", "identity"])
    x = np.array([0.6, 0.4, 0.0, 2.0, -1.0, 0.5])
    design = nng.design_network(network, x, change_biases=False)
    squares = np.array([4.0, 5.0, 0.25])
    now = np.array([2.0, 1.0, 0.5])

    def cost(t: np.ndarray) -> float:
        v = np.array([0.6 + t[0], 0.4 + t[0], t[0] - t[1]])
        return float(np.sum((v - now) ** 2 / squares))

    least = optimize.minimize(cost, [0.0, 0.0], bounds=[(None, None), (0, None)], method="L-BFGS-B", tol=1e-14).fun
    change = design.network.weights[1, 2].dense - pattern.toarray()
    assert np.sum(change**2) == pytest.approx(least, rel=1e-6)
    assert design.residual <= 1e-15
