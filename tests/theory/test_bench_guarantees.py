"""Which schemes are proved to converge on which generated families, and that their bounds hold at every iteration.

Each pair in ``PROVED`` must be PROVED, so that proving nothing does not pass. The equilibria are known beside the
solvers: by the generator's construction, by nonnegative least squares, or by a linear system.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import nnls

import nngames as nng
from nngames.networks.generators import generate

#: Families of twenty neurons, or layers of twenty.
INSTANCES: dict[str, tuple[str, dict[str, Any]]] = {
    "gaussian tanh": ("gaussian", {"size": 20, "layers": 3}),
    "gaussian relu, one layer": ("gaussian", {"size": 20, "layers": 1, "activation": "relu"}),
    "orthogonal tanh": ("orthogonal", {"size": 20, "layers": 3}),
    "orthogonal relu": ("orthogonal", {"size": 20, "layers": 3, "activation": "relu"}),
    "iso": ("iso", {"size": 20, "layers": 3}),
    "iso, one layer": ("iso", {"size": 20, "layers": 1}),
    "near-singular linear": ("orthogonal", {"size": 20, "layers": 2, "scale": 0.999, "activation": "linear"}),
    "near-singular tanh": ("orthogonal", {"size": 20, "layers": 3, "scale": 0.999, "spread": 0.05}),
    "monotone relu": ("monotone", {"size": 20, "norm": 2.0}),
    "monotone tanh": ("monotone", {"size": 20, "norm": 10.0, "activation": "tanh"}),
    "monotone hard_tanh": ("monotone", {"size": 20, "norm": 50.0, "activation": "hard_tanh"}),
    "chain": ("chain", {"size": 20, "layers": 4}),
    "dag": ("dag", {"size": 20, "coupling": 2.0}),
    "shift": ("dag", {"size": 20, "degree": 1, "reach": 1, "activation": "linear"}),
    "public_goods": ("public_goods", {"size": 20}),
    "clearing": ("clearing", {"size": 20}),
    "projections": ("projections", {"size": 20, "layers": 3}),
}

INCLUSION = (
    "extragradient",
    "popov",
    "forward_backward",
    "forward_backward_forward",
    "projected_reflected",
    "forward_reflected_backward",
    "golden_ratio",
    "anchored_extragradient",
)
CONTRACTION = ("picard", "km", "halpern", "anderson", "broyden", "newton", "supermann")
NONEXPANSIVE = ("km", "halpern", "anderson", "broyden", "newton", "supermann")
REFLECTIONS = ("douglas_rachford", "peaceman_rachford")
MONOTONE = (*INCLUSION, *REFLECTIONS)

#: The schemes that must be PROVED on a family.
PROVED: dict[str, tuple[str, ...]] = {
    "gaussian tanh": (*CONTRACTION, "best_response", *MONOTONE),
    "gaussian relu, one layer": (*CONTRACTION, *MONOTONE, "complementarity"),
    "orthogonal tanh": (*NONEXPANSIVE, *MONOTONE),
    "orthogonal relu": (*NONEXPANSIVE, *MONOTONE, "complementarity"),
    "iso": (*NONEXPANSIVE, *MONOTONE, "complementarity"),
    "iso, one layer": (*NONEXPANSIVE, *MONOTONE, "complementarity"),
    "near-singular linear": (*CONTRACTION, "best_response", *MONOTONE, "complementarity"),
    "near-singular tanh": (*CONTRACTION, "best_response", *MONOTONE),
    "monotone relu": (*MONOTONE, "complementarity"),
    "monotone tanh": MONOTONE,
    "monotone hard_tanh": (*MONOTONE, "complementarity"),
    "chain": (*(name for name in CONTRACTION if name != "supermann"), "best_response", "complementarity"),
    "dag": ("best_response", "complementarity"),
    "shift": (*NONEXPANSIVE, "best_response", *MONOTONE, "complementarity"),
    "public_goods": (*CONTRACTION, "best_response", *MONOTONE, "complementarity", "potential_descent"),
    "clearing": ("best_response", "picard", "complementarity"),
    "projections": (
        *NONEXPANSIVE,
        *(name for name in MONOTONE if name not in ("forward_backward", "peaceman_rachford")),
    ),
}
pairs = pytest.mark.parametrize(
    ("instance", "method"), [(instance, method) for instance, methods in PROVED.items() for method in methods]
)

#: Iterations over which a bound is compared with the iterates.
STEPS = 120


@cache
def game(instance: str) -> Any:
    name, options = INSTANCES[instance]
    return generate(name, 1, **options).network.game(players="neurons" if name == "public_goods" else "auto")


@cache
def equilibrium(instance: str) -> NDArray[np.float64]:
    name, options = INSTANCES[instance]
    made = generate(name, 1, **options)
    if made.equilibrium is not None:
        return made.equilibrium
    if name == "projections":
        return nng.solve(made.network.game(), "picard", tolerance=1e-14).profile
    weight, bias = made.network.weights[1, 1].dense, made.network.biases[1]
    if name == "public_goods":
        # The potential x'(Id - W)x/2 - b'x over x >= 0, as least squares.
        root = np.linalg.cholesky(np.eye(len(bias)) - weight)
        return nnls(root.T, np.linalg.solve(root, bias))[0]
    # The fictitious default sequence of Eisenberg and Noe: those in default solve a linear system.
    default = np.zeros(len(bias), dtype=bool)
    while True:
        x = np.ones(len(bias))
        inside = weight[np.ix_(default, default)]
        x[default] = np.linalg.solve(np.eye(len(inside)) - inside, (bias + weight @ ~default)[default])
        found = weight @ x + bias < 1
        if (found == default).all():
            return x
        default = found


@pytest.mark.parametrize("instance", INSTANCES)
def test_the_equilibrium_is_one(instance):
    assert game(instance).residual(equilibrium(instance)) <= 1e-12
    assert instance in PROVED


@pairs
def test_the_bound_holds_at_every_iteration(instance, method):
    this, target = game(instance), equilibrium(instance)
    solver = nng.solver(method)
    guarantee = solver.guarantee(this)
    assert guarantee.status == "PROVED", guarantee.statement
    start = target + np.random.default_rng(0).standard_normal(this.size)
    rate = guarantee.rate
    if rate is None:
        assert method in ("anderson", "broyden", "newton", "supermann", "complementarity", "picard")
        found = nng.solve(this, solver, start=start, tolerance=1e-9, seed=1)
        assert found.converged, found.message
        return
    where = slice(None)
    if guarantee.witness["map"] == "composite":
        where = this.network.space.slices[this.network.players[-1]]
    floor = 1e-10 * rate.norm(np.ones(target[where].shape)) * max(1.0, np.abs(target).max())
    best, initial, compared = np.inf, 0.0, 0
    for iterate in solver.iterate(this, start=start, seed=1):
        distance = rate.norm(iterate.profile[where] - target[where])
        initial = distance if iterate.iteration == 0 else initial
        best = min(best, iterate.residual)
        reached = {"distance": distance, "residual": iterate.residual, "best_residual": best}[rate.quantity]
        bound = rate.bound(iterate.iteration, initial)
        assert reached <= bound * (1 + 1e-9) + floor, f"iteration {iterate.iteration}: {reached} > {bound}"
        compared += bound > 100 * floor
        if iterate.iteration == STEPS:
            break
    # After one sweep that ends the run the bound is 0.
    assert compared >= (3 if rate.bound(1, initial) > 0 else 1)


@pytest.mark.parametrize("instance", ["orthogonal tanh", "orthogonal relu", "iso", "iso, one layer"])
def test_the_bound_that_says_more_is_told_on_near_isometries(instance):
    """A contraction by 1 - 1e-9 leaves everything after the passes of a run; a nonexpansive map's residual falls."""
    guarantee = nng.solver("km").guarantee(game(instance))
    assert guarantee.rate.quantity == "residual"
    assert guarantee.witness["unique"]
    assert "to the unique equilibrium" in guarantee.statement
    assert guarantee.rate.bound(9_999, 1.0) == pytest.approx(0.02, rel=1e-3)
    # Plain passes on an averaged map bound the residual by 1/sqrt((1/alpha - 1)(k + 1)): by more than a contraction.
    assert nng.solver("picard").guarantee(game(instance)).rate.quantity == "distance"


@pytest.mark.parametrize(("factor", "told"), [(1 - 1e-5, "residual"), (0.5, "distance")])
def test_picard_tells_averagedness_where_that_leaves_less(factor, told):
    """O(x) = factor x on one neuron is averaged with alpha near 0: the residual bound is below (1 + q) q^k."""
    guarantee = nng.solver("picard").guarantee(nng.Network.recurrent([[factor]], [0.0], "identity").game())
    assert guarantee.status == "PROVED"
    assert guarantee.rate.quantity == told
    for k in (0, 10, 10_000):
        assert (1 - factor) * factor**k <= guarantee.rate.bound(k, 1.0)
