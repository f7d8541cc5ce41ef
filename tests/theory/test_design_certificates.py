"""Design under a certificate: least changes against convex programs, convergence inside the rate, refusals."""

from __future__ import annotations

import re
from typing import Any

import cvxpy as cp
import numpy as np
import pytest

import nngames as nng
from nngames.core.errors import InfeasibleError
from nngames.training.constraints import project_monotone, project_spectral

L1 = "sparse"


def _solve(objective: Any, constraints: list[Any]) -> float:
    value = cp.Problem(cp.Minimize(objective), constraints).solve(solver=cp.CLARABEL)
    return float(value)


def _recurrent(seed: int, n: int = 6) -> tuple[nng.Network, np.ndarray]:
    rng = np.random.default_rng(seed)
    return nng.Network.recurrent(rng.normal(size=(n, n)), rng.normal(size=n), "tanh"), rng.uniform(-0.8, 0.8, n)


def _ring(seed: int, sizes: tuple[int, ...] = (4, 3, 4)) -> tuple[nng.Network, np.ndarray]:
    rng = np.random.default_rng(seed)
    weights = [rng.normal(size=(n, sizes[i - 1])) for i, n in enumerate(sizes)]
    network = nng.Network.ring(weights, [rng.normal(size=n) for n in sizes], ["tanh", "sigmoid", "softplus"])
    x = [rng.uniform(-0.8, 0.8, sizes[0]), rng.uniform(0.1, 0.9, sizes[1]), rng.uniform(0.2, 2, sizes[2])]
    return network, np.concatenate(x)


def _preactivations(x: dict[Any, np.ndarray]) -> list[np.ndarray]:
    return [np.arctanh(x[1]), np.log(x[2] / (1 - x[2])), np.log(np.expm1(x[3]))]


@pytest.mark.parametrize("objective", ["least_norm", L1])
@pytest.mark.parametrize("certificate", ["contraction", "averaged", "monotone"])
def test_a_recurrent_layer_changes_least(certificate: str, objective: str) -> None:
    network, x = _recurrent(0)
    margin = {"contraction": 0.2, "averaged": 0.2, "monotone": 0.3}[certificate]
    design = nng.design_network(network, x, certificate=certificate, margin=margin, objective=objective)
    w, b = cp.Variable((6, 6)), cp.Variable(6)
    template, bias = network.weights[1, 1].dense, network.biases[1]
    # 1 - alpha = 1/5 = 1/(1 + odds), odds = 4 = (1/beta - 1) + 1: beta = 1/4.
    allowed = {
        "contraction": cp.sigma_max(w) <= 0.8,
        "averaged": cp.sigma_max(w - 0.25 * np.eye(6)) <= 0.75,
        "monotone": 0.7 * np.eye(6) - (w + w.T) / 2 >> 0,
    }[certificate]
    norm = cp.sum_squares if objective == "least_norm" else (lambda d: cp.sum(cp.abs(d)))
    least = _solve(norm(w - template) + norm(b - bias), [w @ x + b == np.arctanh(x), allowed])
    moved = np.append(design.network.weights[1, 1].dense - template, design.network.biases[1] - bias)
    found = moved @ moved if objective == "least_norm" else np.abs(moved).sum()
    assert found == pytest.approx(least, rel=2e-5)
    verdict = next(iter(design.verdicts.values()))
    assert verdict.proved
    assert verdict.margin >= margin * (1 - 1e-4)
    assert design.residual <= 1e-14
    fresh = nng.certify(design.network.game())
    assert {name: str(fresh[name]) for name in design.verdicts} == {k: str(v) for k, v in design.verdicts.items()}


@pytest.mark.parametrize("biases", [True, False])
def test_a_monotone_ring_changes_least(biases: bool) -> None:
    network, x = _ring(1)
    # With these biases it takes a profile that weights of that size have.
    x = x if biases else nng.solve(network.game()).profile + 0.01
    design = nng.design_network(network, x, certificate="monotone", change_biases=biases)
    parts = network.space.actions(x)
    w = [cp.Variable(network.weights[p, s].shape) for p, s in ((1, 3), (2, 1), (3, 2))]
    b = [cp.Variable(n) if biases else network.biases[p] for p, n in network.dims.items()]
    v = _preactivations(parts)
    joint = cp.bmat(
        [
            [np.zeros((4, 4)), np.zeros((4, 3)), w[0]],
            [w[1], np.zeros((3, 3)), np.zeros((3, 4))],
            [np.zeros((4, 4)), w[2], np.zeros((4, 4))],
        ]
    )
    constraints = [w[i] @ parts[s] + b[i] == v[i] for i, s in enumerate((3, 1, 2))]
    cost = sum(cp.sum_squares(w[i] - network.weights[e].dense) for i, e in enumerate(((1, 3), (2, 1), (3, 2))))
    if biases:
        cost = cost + sum(cp.sum_squares(b[i] - network.biases[i + 1]) for i in range(3))
    least = _solve(cost, [*constraints, 0.95 * np.eye(11) - (joint + joint.T) / 2 >> 0])
    assert design.change**2 == pytest.approx(least, rel=2e-5)
    assert design.verdicts["monotone"].margin >= 0.05 * (1 - 1e-4)
    assert nng.certify_equilibrium(design.network.game(), x).proved


def test_a_contracting_ring_changes_least_and_feeds_inside_its_rate() -> None:
    network, x = _ring(2)
    design = nng.design_network(network, x, certificate="contraction", margin=0.1)
    slopes = {1: 1.0, 2: 0.25, 3: 1.0}
    norms = {e: slopes[e[0]] * np.linalg.norm(w.dense, 2) for e, w in network.weights.items()}
    factor = 0.9 / np.prod(list(norms.values())) ** (1 / 3)
    parts, v = network.space.actions(x), _preactivations(network.space.actions(x))
    least = 0.0
    for (target, source), weight in network.weights.items():
        w, b = cp.Variable(weight.shape), cp.Variable(weight.shape[0])
        bound = norms[target, source] * factor / slopes[target]
        cost = cp.sum_squares(w - weight.dense) + cp.sum_squares(b - network.biases[target])
        least += _solve(cost, [w @ parts[source] + b == v[target - 1], cp.sigma_max(w) <= bound])
    assert design.change**2 == pytest.approx(least, rel=2e-5)
    assert design.verdicts["joint_contraction"].margin == pytest.approx(0.1, abs=1e-6)
    rate = design.verdicts["composite_contraction"].witness["factor"]
    assert rate <= 0.9**3 + 1e-6
    rng = np.random.default_rng(3)
    for _ in range(30):
        run = design.network.feed(rng.normal(scale=10, size=4), steps=400, tolerance=1e-12)
        assert run.kind == "fixed_point"
        np.testing.assert_allclose(run.limit, x, atol=1e-9)
        distances = np.linalg.norm(run.states - x[-4:], axis=1)
        assert (distances <= distances[0] * rate ** np.arange(len(distances)) * (1 + 1e-9) + 1e-13).all()


@pytest.mark.parametrize("sizes", [(3, 3, 3), (4, 3, 4)])
def test_the_averaged_feed_of_an_averaged_design_comes_nearer(sizes: tuple[int, ...]) -> None:
    network, x = _ring(4, sizes)
    network = nng.Network.ring(
        [network.weights[e].dense for e in ((1, 3), (2, 1), (3, 2))],
        [np.zeros(n) for n in sizes],
        ["tanh", "softplus", "softplus"],
    )
    design = nng.design_network(network, x, certificate="averaged", margin=0.05)
    alpha = design.verdicts["composite_averaged"].witness["alpha"]
    assert alpha <= 0.95 + 1e-6
    rng = np.random.default_rng(5)
    for relaxation in (1.0, 0.999 / alpha):
        run = design.network.feed(rng.normal(scale=5, size=sizes[-1]), "averaged", relaxation, steps=5000)
        distances = np.linalg.norm(run.states - x[-sizes[-1] :], axis=1)
        assert (np.diff(distances) <= 1e-12).all()
        assert run.kind == "fixed_point"


def test_layers_that_expand_are_averaged_through_a_contraction() -> None:
    network, x = _recurrent(6, 4)
    network = nng.Network.recurrent(network.weights[1, 1].dense, network.biases[1], {"name": "snake"})
    design = nng.design_network(network, x[:4], certificate="averaged", margin=0.1)
    assert np.linalg.norm(design.network.weights[1, 1].dense, 2) == pytest.approx(0.8 / 2, abs=1e-6)
    assert design.verdicts["composite_averaged"].margin >= 0.1 * (1 - 1e-4)


def test_a_graph_bounds_the_edges_on_cycles_only() -> None:
    rng = np.random.default_rng(7)
    network = nng.Network.graph(
        {("a", "b"): rng.normal(size=(3, 2)), ("b", "a"): rng.normal(size=(2, 3)), ("c", "a"): 5 * np.ones((2, 3))},
        {"a": np.zeros(3), "b": np.zeros(2), "c": np.zeros(2)},
        "tanh",
    )
    x = {"a": [0.1, -0.5, 0.3], "b": [0.7, 0.2], "c": [0.5, 0.5]}
    design = nng.design_network(network, x, certificate="contraction")
    free = nng.design_network(network, x)
    np.testing.assert_allclose(design.network.weights["c", "a"].dense, free.network.weights["c", "a"].dense, atol=1e-12)
    # The bounds of a cycle of two are in proportion to the norms, and their product is 0.95^2.
    norms = [np.linalg.norm(network.weights[e].dense, 2) for e in (("a", "b"), ("b", "a"))]
    found = [np.linalg.norm(design.network.weights[e].dense, 2) for e in (("a", "b"), ("b", "a"))]
    assert found[0] == pytest.approx(0.95 * np.sqrt(norms[0] / norms[1]), abs=1e-6)
    assert design.verdicts["joint_contraction"].margin == pytest.approx(1 - np.sqrt(found[0] * found[1]), abs=1e-4)


def test_biases_that_stay_may_exclude_a_contraction() -> None:
    network = nng.Network.ring([[[2.0]], [[2.0]]], [[0.0], [0.0]], ["identity", "identity"])
    with pytest.raises(InfeasibleError) as caught:
        nng.design_network(network, [3.0, 1.0], certificate="contraction", margin=0.1, change_biases=False)
    assert str(caught.value) == (
        "with these biases no weights have the profile as an equilibrium and norms within the certificate's bounds: it "
        "takes |W_l|_2 of at least 1: 3, 2: 0.3333, so the product of S_l |W_l|_2 is at least 1, and at most 0.81 is "
        "allowed; use change_biases=True"
    )
    assert nng.design_network(network, [3.0, 1.0], certificate="contraction").verdicts["joint_contraction"].proved
    # Needs of 3 and 1/6: bounds as the template's norms are, 0.9 each, exclude it, and others do not.
    network = network.with_parameters({}, {2: [0.5]})
    design = nng.design_network(network, [3.0, 1.0], certificate="contraction", margin=0.1, change_biases=False)
    assert float(design.network.weights[1, 2].dense[0, 0]) == pytest.approx(3)
    assert float(design.network.weights[2, 1].dense[0, 0]) == pytest.approx(1 / 6)


def test_sets_that_stay_apart_are_not_passed_off_as_a_design() -> None:
    network, x = _recurrent(8)
    # With b = 0 it takes x'Wx = x'v >= |x|^2, and x'Wx <= 0.1 |x|^2 is allowed.
    network = network.with_parameters({}, {1: np.zeros(6)})
    with pytest.raises(InfeasibleError, match=r"no weights were found .* monotone is proved with margin 0.9: .*apart"):
        nng.design_network(network, x, certificate="monotone", margin=0.9, change_biases=False)
    with pytest.raises(InfeasibleError, match="the convex program ended with 'infeasible"):
        nng.design_network(network, x, certificate="monotone", margin=0.9, change_biases=False, objective=L1)


def test_certificates_that_cannot_hold_are_named() -> None:
    chain = nng.Network.chain([np.eye(2)], [np.zeros(2)], ["tanh"], [1.0, 1.0])
    with pytest.raises(nng.NotApplicableError, match="is about the composite map of a ring; this network is no ring"):
        nng.design_network(chain, [0.1, 0.2], certificate="averaged")
    jumps = nng.Network.ring([np.eye(2)] * 2, [np.zeros(2)] * 2, ["hardshrink", "identity"])
    with pytest.raises(nng.NotApplicableError, match="player 1: activation 'hardshrink' has no Lipschitz constant"):
        nng.design_network(jumps, [2.0, 0.0, 1.0, 1.0], certificate="contraction")
    with pytest.raises(nng.NotApplicableError, match="monotone is not applicable: the activation 'hardshrink'"):
        nng.design_network(jumps, [2.0, 0.0, 1.0, 1.0], certificate="monotone")
    looped = nng.Network.recurrent(np.zeros((2, 2)), np.zeros(2), "softmax")
    with pytest.raises(nng.NotApplicableError, match="player 1 feeds itself and its activation 'softmax' couples"):
        nng.design_network(looped, [0.5, 0.5], certificate="contraction")
    network, x = _ring(0, (3, 3, 3))
    with pytest.raises(nng.OptionError, match=re.escape("valid: (0, 0.5)")):
        nng.design_network(network, x, certificate="averaged", margin=0.5)


@pytest.mark.parametrize("certificate", ["contraction", "monotone"])
def test_a_design_out_of_time_holds_what_it_says(certificate: str) -> None:
    network, x = _ring(9, (12, 12, 12))
    design = nng.design_network(network, x, certificate=certificate, max_seconds=1e-6)
    least = nng.design_network(network, x, certificate=certificate)
    assert "need not be the least (max_seconds=1e-06 were over)" in design.message
    assert design.change > least.change
    assert next(iter(design.verdicts.values())).proved
    assert design.residual <= 1e-14


def test_a_design_reads_well() -> None:
    network, x = _recurrent(0)
    lines = str(nng.design_network(network, x, certificate="contraction")).splitlines()
    assert lines[0].startswith(
        "the profile is an equilibrium of the designed network: the least change in the Frobenius norm under the "
        "certificate's bounds (after "
    )
    assert re.fullmatch(r"  residual \|T\(x\) - x\| = [0-9.e-]+", lines[1])
    assert re.fullmatch(r"  change \|W - W0, b - b0\| = [0-9.]+, in 42 entries", lines[2])
    assert lines[3].startswith("  joint_contraction: PROVED: the joint map T contracts with factor 0.95")
    assert len(lines) == 5


def test_projections_are_nearest() -> None:
    rng = np.random.default_rng(10)
    for shape, bound in (((5, 3), 1.0), ((4, 4), 0.5)):
        matrix = rng.normal(size=shape)
        found, w = project_spectral(matrix, bound), cp.Variable(shape)
        least = _solve(cp.sum_squares(w - matrix), [cp.sigma_max(w) <= bound])
        assert np.linalg.norm(found, 2) <= bound * (1 + 1e-14)
        assert np.sum((found - matrix) ** 2) == pytest.approx(least, rel=1e-6)
    ceiling = rng.uniform(0.1, 1, 5)
    matrix = rng.normal(size=(5, 5))
    for top in (ceiling, 0.7):
        found, w = project_monotone(matrix, top), cp.Variable((5, 5))
        least = _solve(cp.sum_squares(w - matrix), [np.diag(np.broadcast_to(top, 5)) - (w + w.T) / 2 >> 0])
        assert np.linalg.eigvalsh(np.diag(np.broadcast_to(top, 5)) - (found + found.T) / 2)[0] >= -1e-14
        assert np.sum((found - matrix) ** 2) == pytest.approx(least, rel=1e-6)
        assert project_monotone(-5 * np.eye(5), top) is not None
    inside = 0.1 * np.eye(5)
    assert project_monotone(inside, 0.7) is inside
    assert project_spectral(inside, 0.2) is inside


def test_a_modulus_that_no_ring_has_is_out_of_range() -> None:
    network, x = _ring(0)
    with pytest.raises(nng.OptionError, match=re.escape("certificate='monotone' of this network; valid: (0, 1)")):
        nng.design_network(network, x, certificate="monotone", margin=1.0)
    assert nng.design_network(network, x, certificate="monotone", margin=0.9).verdicts["monotone"].margin >= 0.9 - 1e-6


def test_a_monotone_design_counts_slopes_above_one() -> None:
    """Slopes up to 2 ask for (W + W')/2 <= (1/2 - margin) I."""
    template, x = _recurrent(11)
    network = nng.Network.recurrent(template.weights[1, 1].dense, template.biases[1], "snake")
    design = nng.design_network(network, x, certificate="monotone", margin=0.1)
    w = design.network.weights[1, 1].dense
    assert np.linalg.eigvalsh(w + w.T)[-1] / 2 == pytest.approx(0.4, abs=1e-6)
    assert design.verdicts["monotone"].margin == pytest.approx(0.1, abs=1e-6)


@pytest.mark.parametrize("seed", [2, 6, 9, 15])
def test_an_interior_point_on_the_edge_of_the_set_is_no_failure(seed: int) -> None:
    rng = np.random.default_rng(seed)
    template = nng.Network.ring([5 * rng.normal(size=(3, 3))], [np.zeros(3)], ["arctan"])
    profile = np.arctan(rng.normal(size=3))
    found = nng.design_network(template, profile, certificate="averaged", objective="sparse")
    assert found.verdicts["composite_averaged"].proved
    assert found.residual < 1e-12
