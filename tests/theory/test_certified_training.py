"""Training under a certificate: the sets, their projections, the certificates proved anew, and the feeds promised."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import cvxpy
import numpy as np
import pytest

import nngames as nng
from nngames.scenario import ScenarioError
from nngames.training import LayerProblem, TrainingProblem, ring_sets
from nngames.training.constraints import MonotoneWeights, SpectralBall
from nngames.training.duality import regret_bound
from nngames.training.layer_features import LayerFeatures
from nngames.training.ring_sets import RingSet
from nngames.training.trained import TrainedNetwork

NAMES = ("tanh", "logistic", "identity")


def ring(
    sizes: tuple[int, ...], certificate: str, margin: float | None = None, names: tuple[str, ...] = NAMES
) -> RingSet:
    return RingSet(sizes, [nng.activation(name) for name in names[: len(sizes) - 1]], certificate, margin)


def drawn(sizes: tuple[int, ...], seed: int, size: float = 2.0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [size * rng.normal(size=(after, before)) for before, after in pairwise(sizes)]


@pytest.mark.parametrize("sizes", [(3, 3, 3), (3, 2, 3), (4, 3, 2, 4)])
def test_the_projection_on_the_joint_set_is_that_of_a_semidefinite_program(sizes: tuple[int, ...]) -> None:
    allowed, weights = ring(sizes, "monotone", 0.1), drawn(sizes, 0)
    nearest = allowed.project(weights)
    variables = [cvxpy.Variable(w.shape) for w in weights]
    total = cvxpy.sum([cvxpy.sum_squares(x - w) for x, w in zip(variables, weights, strict=True)])
    rows = []
    for place, x in enumerate(variables):
        line = [np.zeros((x.shape[0], n)) for n in sizes[1:]]
        line[place - 1] = x
        rows.append(line)
    joint = cvxpy.bmat(rows)
    cvxpy.Problem(cvxpy.Minimize(total), [0.9 * np.eye(sum(sizes[1:])) - (joint + joint.T) / 2 >> 0]).solve("CLARABEL")
    moved = sum(np.sum((x - w) ** 2) for x, w in zip(nearest, weights, strict=True))
    assert moved == pytest.approx(total.value, rel=1e-6)
    for x, variable in zip(nearest, variables, strict=True):
        np.testing.assert_allclose(x, variable.value, atol=2e-4)
    again = allowed.project(nearest)
    np.testing.assert_allclose(again[0], nearest[0], atol=1e-9)


@pytest.mark.parametrize("certificate", ["contraction", "averaged", "monotone"])
@pytest.mark.parametrize("sizes", [(3, 3), (3, 3, 3), (4, 2, 3, 4)])
@pytest.mark.parametrize("margin", [None, 0.2])
def test_the_certificate_is_proved_on_the_sets(certificate: str, sizes: tuple[int, ...], margin: float | None) -> None:
    allowed = ring(sizes, certificate, margin)
    biases = [np.ones(n) for n in sizes[1:]]
    for seed in range(3):
        weights = drawn(sizes, seed)
        own = [each.project(weight) for each, weight in zip(allowed.own_sets, weights, strict=True)]
        bounded = [SpectralBall(bound).project(w) for bound, w in zip(allowed.norm_bounds, weights, strict=True)]
        for found in (allowed.project(weights), own, bounded):
            verdicts = allowed.verdicts(found, biases, NAMES[: len(biases)])
            first = verdicts[allowed.names[0]]
            assert first.proved
            assert first.margin >= allowed.margin * (1 - 1e-4)


@pytest.mark.parametrize(
    ("sizes", "certificate", "margin"),
    [
        ((3, 3), "averaged", 0.5 - 1e-9),
        ((3, 3), "averaged", 0.5 - 1e-16),
        ((3, 3, 3), "averaged", 1 / 3),
        ((3, 2, 3), "monotone", 1 - 1e-9),
        ((3, 2, 3), "monotone", 1 - 1e-16),
        ((3, 2, 3), "contraction", 1 - 1e-9),
        ((3, 3), "monotone", 5e-324),
        ((3, 3), "averaged", 5e-324),
        ((3, 2, 3), "averaged", 5e-324),
    ],
)
def test_margins_at_the_ends_of_their_range_are_proved(sizes: tuple[int, ...], certificate: str, margin: float) -> None:
    allowed = ring(sizes, certificate, margin, ("tanh", "tanh"))
    for seed in range(3):
        found = allowed.project(drawn(sizes, seed, 100.0))
        verdicts = allowed.verdicts(found, [np.zeros(n) for n in sizes[1:]], ["tanh"] * (len(sizes) - 1))
        verdict = verdicts[allowed.names[0]]
        assert verdict.proved
        assert verdict.margin >= margin * (1 - 1e-4)


def test_a_projection_that_ends_early_lies_in_the_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ring_sets, "_MOST_STEPS", 2)
    allowed = ring((4, 3, 2, 4), "monotone", 0.1)
    found = allowed.project(drawn((4, 3, 2, 4), 0))
    assert allowed.verdicts(found, [np.zeros(n) for n in (3, 2, 4)], NAMES)["monotone"].proved


def test_tied_layers_may_expand_where_the_joint_weight_is_monotone() -> None:
    weight = 5 * np.random.default_rng(1).normal(size=(3, 3))
    skew = ring((3, 3, 3), "monotone").project([weight, -weight.T])
    np.testing.assert_allclose(skew[0], weight)


def one_layer(allowed: object, ridge: float, name: str = "identity") -> LayerProblem:
    rng = np.random.default_rng(2)
    inputs = rng.normal(size=(40, 3))
    targets = inputs @ (np.eye(3) + rng.normal(size=(3, 3))).T + 0.3
    if name == "tanh":
        targets = np.tanh(targets)
    return LayerProblem(
        LayerFeatures(inputs, 3),
        targets,
        nng.activation(name),
        np.full(40, 1 / 40),
        ridge,
        allowed,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("ridge", [0.0, 0.1])
@pytest.mark.parametrize("allowed", [SpectralBall(0.6, 0.4), SpectralBall(0.7), MonotoneWeights(0.5)])
def test_a_held_linear_layer_is_what_cvxpy_finds_and_its_regret_is_bounded(allowed: object, ridge: float) -> None:
    problem = one_layer(allowed, ridge)
    game = nng.training.LayerGame({1: problem})
    result = nng.solve(game, method="accelerated_gradient", tolerance=1e-10, max_iterations=20_000)
    assert result.status == "converged"
    theta = result.profile.reshape(3, 4)
    x = cvxpy.Variable((3, 4))
    rows = problem.features.rows
    loss = cvxpy.sum_squares(rows @ x.T - problem.targets) / 80 + ridge / 2 * cvxpy.sum_squares(x[:, :3])
    held = (
        [cvxpy.sigma_max(x[:, :3] - allowed.centre * np.eye(3)) <= allowed.bound]
        if isinstance(allowed, SpectralBall)
        else [0.5 * np.eye(3) - (x[:, :3] + x[:, :3].T) / 2 >> 0]
    )
    cvxpy.Problem(cvxpy.Minimize(loss), held).solve(solver="CLARABEL")
    np.testing.assert_allclose(theta, x.value, atol=2e-5)
    # The set binds.
    assert np.linalg.norm(problem.gradient(theta)) > 0.01
    assert regret_bound(problem, theta)[0] < 1e-8
    rng, least = np.random.default_rng(3), problem.value(theta)
    for _ in range(20):
        other = problem.project(theta + 0.1 * rng.normal(size=(3, 4)))
        assert problem.value(other) >= least - 1e-9
        bound, rounding = regret_bound(problem, other)
        assert problem.value(other) - least - 1e-9 <= bound + rounding < 2


@pytest.mark.parametrize("allowed", [SpectralBall(0.6, 0.4), MonotoneWeights(0.3)])
def test_a_held_curved_layer_has_no_regret_at_a_solution(allowed: object) -> None:
    problem = one_layer(allowed, 0.0, "tanh")
    game = nng.training.LayerGame({1: problem})
    result = nng.solve(game, method="accelerated_gradient", tolerance=1e-10, max_iterations=20_000)
    assert result.status == "converged"
    assert result.nash_gap < 1e-8
    assert np.linalg.norm(problem.gradient(result.profile.reshape(3, 4))) > 1e-3


def test_separable_classes_need_weights_that_the_set_may_not_hold() -> None:
    inputs = np.array([[-2.0], [-1.0], [1.0], [2.0]])
    labels = (inputs > 0).astype(float)
    free = TrainingProblem(inputs, labels, ["logistic"]).report(np.zeros(2)).minimiser
    assert free.refuted
    # The weight is at most 4 less the margin, so that the loss has a minimiser.
    held = TrainingProblem(inputs, labels, ["logistic"], certificate="monotone")
    assert held.report(np.zeros(2)).minimiser.status == "UNDECIDED"
    found = nng.solve(held.game(), method="accelerated_gradient", tolerance=1e-9, max_iterations=20_000)
    assert found.status == "converged"
    assert found.nash_gap < 1e-8


def forecasts(width: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(4)
    inputs = rng.normal(size=(60, width))
    return inputs, 1.5 * inputs[:, ::-1] + 0.2 * rng.normal(size=(60, width))


@pytest.mark.parametrize(("certificate", "widths"), [("contraction", (3,)), ("averaged", (4,)), ("monotone", (3,))])
def test_a_trained_ring_keeps_its_certificate_and_settles(certificate: str, widths: tuple[int, ...]) -> None:
    inputs, targets = forecasts(4)
    run = nng.train_by_backpropagation(
        inputs, targets, ["tanh", "identity"], widths, method="projected_gradient", certificate=certificate, seed=0,
        max_iterations=150, tolerance=1e-4,
    )  # fmt: skip
    verdicts = nng.certify(run.network.ring().game())
    for name, verdict in run.verdicts.items():
        assert verdict.proved
        assert verdicts[name].proved
    # The certificate costs something: the weights are held.
    free = nng.train_by_backpropagation(
        inputs, targets, ["tanh", "identity"], widths, method="projected_gradient", seed=0, max_iterations=150
    )
    assert free.loss < run.loss < free.losses[0]
    game = run.network.ring().game()
    methods = {"contraction": "picard", "averaged": "picard", "monotone": "peaceman_rachford"}
    rng, limits = np.random.default_rng(5), []
    for _ in range(20):
        result = nng.solve(game, method=methods[certificate], start=5 * rng.normal(size=game.size), max_iterations=5000)
        assert result.status == "converged"
        assert result.guarantee.proved
        limits.append(result.profile)
    assert np.ptp(limits, axis=0).max() < 1e-6


METHODS = ("auto", "anderson", "km", "halpern", "picard", "gradient_descent", "accelerated_gradient", "block_iterative")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("certificate", ["contraction", "averaged", "monotone"])
def test_every_scheme_keeps_the_certificate_wherever_it_ends(method: str, certificate: str) -> None:
    inputs, targets = forecasts(3)
    problem = TrainingProblem(inputs, targets, ["identity"], certificate=certificate, margin=1e-3)
    game, rng = problem.game(), np.random.default_rng(7)
    for steps in (1, 2, 4, 8):
        start = 10 * rng.normal(size=game.size)
        result = nng.solve(game, method=method, start=start, max_iterations=steps, tolerance=1e-12, seed=0)
        for verdict in problem.certificates(result.profile).values():
            assert verdict.proved
            assert verdict.margin > 0.9e-3 or certificate == "averaged"


@pytest.mark.parametrize("method", ["anderson", "km", "halpern", "picard"])
@pytest.mark.parametrize("certificate", ["contraction", "averaged", "monotone"])
def test_games_of_several_layers_keep_it_too(method: str, certificate: str) -> None:
    inputs, targets = forecasts(3)
    lift = nng.LiftedTraining(inputs, targets, ["tanh", "identity"], [3], ridge=0.01, certificate=certificate)
    chain, rng = lift.chain(), np.random.default_rng(9)
    for steps in (1, 4, 10):
        start = 10 * rng.normal(size=lift.game().size)
        held = nng.solve(lift.game(), method=method, start=start, max_iterations=steps).profile
        start = 10 * rng.normal(size=chain.size)
        own = chain.loss.matrices(nng.solve(chain, method=method, start=start, max_iterations=steps).profile)
        for network in (lift.trained(held), TrainedNetwork.of_matrices(own, chain.loss.shape.activations)):
            allowed = lift.ring_set
            verdicts = allowed.verdicts(network.weights, network.biases, network.activations)
            assert all(verdict.proved for verdict in verdicts.values())
    for game in (lift.game(), chain):
        x = 10 * rng.normal(size=game.size)
        displacement = np.linalg.norm(game.map.evaluate(x, np.empty_like(x)) - x)
        assert game.residual(game.map.profile(x)) <= displacement * (1 + 1e-12)


def test_the_map_beyond_the_set_moves_at_least_the_residual_of_the_nearest_point() -> None:
    inputs, targets = forecasts(3)
    game = TrainingProblem(inputs * [0.1, 1, 9], targets, ["identity"], certificate="averaged", ridge=0.1).game()
    rng = np.random.default_rng(8)
    for _ in range(20):
        z = 10 * rng.normal(size=game.size)
        image = game.map.evaluate(z, np.empty_like(z))
        profile = game.map.profile(z)
        np.testing.assert_allclose(profile, game.minimisation().project(profile), rtol=1e-12, atol=1e-13)
        assert game.residual(profile) <= np.linalg.norm(image - z) * (1 + 1e-12)
        inside = game.map.restrict(profile)
        np.testing.assert_allclose(game.map.evaluate(inside, np.empty_like(z)), image, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(game.residuals(profile), image - inside, rtol=1e-9, atol=1e-9)


def test_an_averaged_feed_stays_inside_its_rate() -> None:
    inputs, targets = forecasts(4)
    problem = TrainingProblem(inputs, targets, ["identity"], certificate="averaged", margin=0.02)
    theta = nng.solve(problem.game(), method="accelerated_gradient", tolerance=1e-10).profile
    verdict = problem.certificates(theta)["composite_averaged"]
    assert verdict.proved
    alpha, network = float(verdict.witness["alpha"]), problem.trained(theta).ring()
    limit = nng.solve(network.game(), tolerance=1e-14).profile
    x = 10 * np.random.default_rng(6).normal(size=4)
    distance = first = np.linalg.norm(x - limit)
    for k in range(200):
        image = network.composite(x)[-4:]
        assert np.linalg.norm(image - x) <= first / np.sqrt((k + 1) * (1 / alpha - 1)) * (1 + 1e-9)
        x = image
        assert np.linalg.norm(x - limit) <= distance * (1 + 1e-12) + 1e-13
        distance = np.linalg.norm(x - limit)


def test_hidden_targets_are_found_under_a_certificate() -> None:
    inputs, targets = forecasts(3)
    lift = nng.LiftedTraining(inputs, targets, ["tanh", "identity"], [3], ridge=0.01, certificate="averaged")
    result = nng.solve(lift.game(), method="alternating", start=lift.start(0), max_iterations=50, tolerance=1e-6)
    weights = lift.trained(result.profile).ring()
    assert nng.certify(weights.game())["composite_averaged"].proved


def test_what_does_not_go_with_a_certificate_is_said() -> None:
    inputs, targets = forecasts(3)
    with pytest.raises(nng.ShapeError, match="2 answers do not fit 3 inputs"):
        TrainingProblem(inputs, targets[:, :2], ["identity"], certificate="averaged")
    with pytest.raises(nng.OptionError, match="belongs to a certificate"):
        TrainingProblem(inputs, targets, ["identity"], margin=0.1)
    for margin in ("wide", True, -0.1):
        with pytest.raises(nng.OptionError, match="margin must be a positive number"):
            TrainingProblem(inputs, targets, ["identity"], certificate="averaged", margin=margin)
    with pytest.raises(nng.NotApplicableError, match="'softmax' couples its neurons"):
        TrainingProblem(inputs, np.eye(3)[np.zeros(60, dtype=int)], ["softmax"], certificate="averaged")
    with pytest.raises(nng.OptionError, match="give one of them"):
        TrainingProblem(inputs, targets, ["identity"], bounds=1.0, certificate="averaged")
    with pytest.raises(nng.OptionError, match=r"valid: \(0, 0.5\)"):
        TrainingProblem(inputs, targets, ["identity"], certificate="averaged", margin=0.5)
    with pytest.raises(nng.OptionError, match="valid: contraction, averaged, monotone"):
        TrainingProblem(inputs, targets, ["identity"], certificate="convex")
    with pytest.raises(nng.NotApplicableError, match="dense weights only"):
        _ = TrainingProblem(inputs, targets, ["identity"], masks={1: np.eye(3)}, certificate="monotone").layers
    with pytest.raises(nng.InputError, match="posed without a certificate"):
        TrainingProblem(inputs, targets, ["identity"]).certificates(np.zeros(12))
    with pytest.raises(nng.OptionError, match="a certificate is kept by method='projected_gradient'"):
        nng.train_by_backpropagation(inputs, targets, ["tanh", "identity"], [3], certificate="averaged")


SCENARIO = """name: held
training:
  certificate: averaged
  data:
    inputs: [[1, 2], [0.5, -1], [2, 0], [-1, 1], [0.3, 0.4]]
    targets: [[0.5, 1], [-1, 0.2], [1, 0.1], [0.4, -0.3], [0, 0]]
  layers:
    - {activation: identity, ridge: 0.01}
solve:
  methods: [accelerated_gradient]
expect:
  - {what: training.accelerated_gradient.composite_averaged.status, is: PROVED, origin: the set}
"""


def test_a_scenario_trains_under_a_certificate(tmp_path: Path) -> None:
    path = tmp_path / "held.yaml"
    path.write_text(SCENARIO)
    assert nng.run_scenario(path).ok
    units = "certificates are about the ring of the trained layers in standard units"
    layers = "  layers:\n    - {activation: identity, width: 2}\n"
    found = SCENARIO.replace("  layers:\n", f"    hidden: found\n{layers}").replace(
        "accelerated_gradient", "alternating"
    )
    scaled = [text.replace("  data:\n", "  data:\n    standardize: true\n") for text in (SCENARIO, found)]
    for text, noted in ((SCENARIO, False), (found, False), (scaled[0], True), (scaled[1], True)):
        path.write_text(text)
        notes = nng.train_scenario(path).outcome.notes
        assert any(note.startswith(units) for note in notes) == noted
    for old, new, message in (
        ("ridge: 0.01", "bound: 1", "training.layers[0].bound: does not go with a certificate"),
        ("certificate: averaged", "margin: 0.1", "training.margin: belongs to a certificate"),
        ("certificate: averaged", "certificate: soft", "training.certificate: unknown value 'soft'"),
        ("certificate: averaged", "certificate: averaged\n  margin: 3", "margin=3.0 is out of range"),
    ):
        path.write_text(SCENARIO.replace(old, new))
        with pytest.raises(ScenarioError) as caught:
            nng.run_scenario(path)
        assert message in str(caught.value)
