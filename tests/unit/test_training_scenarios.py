"""Training sections: what they build, how rows are kept back, and what is told apart by their content."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

import nngames as nng
from nngames.core.errors import InputError, OptionError
from nngames.scenario import compare_scenarios, load_scenario
from nngames.scenario.portable import portable_data, rebuild
from nngames.scenario.saved import check_saved, is_saved_report
from nngames.training.learning_curve import LearningCurve
from nngames.training.saved_network import load_network, save_network
from nngames.training.standardization import Standardization

RNG = np.random.default_rng(8)
INPUTS = RNG.normal(size=(12, 2))
TARGETS = np.tanh(RNG.normal(size=(12, 1)))


def text(data: str = "", layer: str = "activation: tanh", rest: str = "", seed: int = 0) -> str:
    return (
        f"name: t\nseed: {seed}\ntraining:\n  data:\n    inputs: {INPUTS.tolist()}\n    targets: {TARGETS.tolist()}\n"
        f"{data}  layers:\n    - {{{layer}}}\nsolve: {{methods: [newton_descent]}}\n{rest}"
    )


def test_the_problem_is_that_of_the_library():
    weights = np.arange(1.0, 13.0)
    built = load_scenario(text(f"    weights: {weights.tolist()}\n", "activation: tanh, ridge: 0.1")).game
    direct = nng.TrainingProblem(INPUTS, TARGETS, ["tanh"], weights=weights, ridge=0.1).game()
    x = RNG.normal(size=3)
    assert built.cost(1, x) == direct.cost(1, x)
    np.testing.assert_array_equal(built.residuals(x), direct.residuals(x))


def test_rows_are_kept_back_by_place_or_by_a_draw_of_the_seed():
    last = load_scenario(text("    test: {last: 3}\n")).training
    assert (last.train.tolist(), last.test.tolist()) == (list(range(9)), [9, 10, 11])

    def drawn(seed: int, more: str = "") -> list[int]:
        training = load_scenario(text(f"    test: {{fraction: 0.25{more}}}\n", seed=seed)).training
        assert sorted([*training.train, *training.test]) == list(range(12))
        np.testing.assert_array_equal(training.problem.inputs, INPUTS[training.train])
        np.testing.assert_array_equal(training.problem.targets[1], TARGETS[training.train])
        return training.test.tolist()

    assert len(drawn(1)) == 3
    assert drawn(1) == drawn(1) != drawn(2)
    assert drawn(1, ", seed: 7") == drawn(2, ", seed: 7")


def test_standard_units_are_those_of_the_training_rows():
    training = load_scenario(text("    standardize: {inputs: true}\n    test: {last: 4}\n")).training
    seen = training.problem.inputs
    np.testing.assert_allclose(seen.mean(axis=0), 0, atol=1e-14)
    np.testing.assert_allclose(seen.std(axis=0), 1)
    theta = RNG.normal(size=3)
    np.testing.assert_allclose(
        training.trained(theta).predict(INPUTS)[:8], training.problem.predict(theta), rtol=0, atol=1e-14
    )


def test_tiny_columns_have_standard_units_too():
    rows = np.array([[1e-200, 3e90], [2e-200, 1e90], [6e-200, 2e90]])
    units = Standardization.of(rows, "inputs")
    np.testing.assert_allclose(units.apply(rows).mean(axis=0), 0, atol=1e-15)
    np.testing.assert_allclose(units.apply(rows).std(axis=0), 1, rtol=1e-15)
    np.testing.assert_allclose(units.undo(units.apply(rows)), rows, rtol=1e-14)


def test_errors_on_far_rows_are_numbers():
    training = load_scenario(text(layer="activation: identity")).training
    theta = np.zeros(training.problem.game().size)
    far = dataclasses.replace(training, inputs=training.inputs * 1e90, test=np.array([0]))
    theta[0] = 1e90
    expected = abs(1e180 * training.inputs[0, 0])
    assert far.outcome(theta).test_error == pytest.approx(expected, rel=1e-12)


def test_masks_and_convolutions_are_kept_in_the_trained_network():
    masked = load_scenario(text(layer="activation: tanh, mask: [[1, 0]]")).training
    assert masked.trained(np.ones(3)).weights[0].tolist() == [[1.0, 0.0]]
    kernel = "activation: tanh, convolution: {height: 1, width: 2, kernel: [1, 2], channels: 1}"
    convolved = load_scenario(text(layer=kernel)).training
    assert convolved.trained(np.array([1.0, 2, 3])).weights[0].tolist() == [[1.0, 2.0]]


def test_accuracy_is_told_of_classes_only():
    classes = {"inputs": [[0.0], [1], [2], [3]], "targets": [[0.0], [1], [0], [1]]}
    scenario = f"name: c\ntraining:\n  data: {json.dumps(classes)}\n  layers: [{{activation: logistic}}]\n"
    training = load_scenario(scenario).training
    # Class 1 from 0.5 on: x >= 1.5.
    assert training.outcome(np.array([2.0, -3.0])).training_accuracy == 0.5
    assert training.outcome(np.array([2.0, -1.0])).training_accuracy == 0.75
    outcome = load_scenario(text()).training.outcome(np.zeros(3))
    assert (outcome.training_accuracy, outcome.test_error) == (None, None)


def test_a_report_holds_what_training_came_to():
    scenario = load_scenario(text("    test: {last: 4}\n"))
    report = nng.run_scenario(scenario)
    found = report.to_dict()["training"]["newton_descent"]
    profile = report.results["newton_descent"].profile
    problem = scenario.training.problem
    assert (found["kind"], found["solves"]["status"], found["fits"]["status"]) == ("solution", "PROVED", "REFUTED")
    assert found["residual"] == problem.residual(profile)
    misses = np.tanh(INPUTS @ profile[:2] + profile[2]) - TARGETS[:, 0]
    assert found["fit_error"] == pytest.approx(np.abs(misses[:8]).max())
    assert found["training_error"] == pytest.approx(np.sqrt(np.mean(misses[:8] ** 2)))
    assert found["test_error"] == pytest.approx(np.sqrt(np.mean(misses[8:] ** 2)))


def test_a_saved_report_is_checked_from_its_file_alone(tmp_path):
    path = nng.run_scenario(text()).save(tmp_path / "report.json")
    assert is_saved_report(str(path))
    assert check_saved(str(path)).ok
    scenario = tmp_path / "scenario.json"
    scenario.write_text(json.dumps(load_scenario(text()).document.data))
    assert not is_saved_report(str(scenario))


def test_runs_are_told_apart_by_the_training_and_rebuilt_elsewhere():
    scenario = load_scenario(text())
    assert load_scenario(text(rest="stopping: {tolerance: 1e-3}\n")).content() == scenario.content()
    others = [text("    standardize: {inputs: true}\n"), text(layer="activation: identity"), text(seed=1)]
    assert len({scenario.content(), *(load_scenario(other).content() for other in others)}) == 4
    again = rebuild(portable_data(scenario))
    x = RNG.normal(size=3)
    np.testing.assert_array_equal(again.game.residuals(x), scenario.game.residuals(x))


def test_methods_are_compared_on_a_training():
    expected = "expect:\n  - {what: training.newton_descent.kind, is: solution, origin: o}\n"
    report = compare_scenarios([load_scenario(text(rest=expected))])
    assert report.ok
    assert [statement.met for statement in report.single.expectations] == [True]


def test_the_curve_becomes_sparser_and_ends_with_the_run():
    problem = nng.TrainingProblem(INPUTS, TARGETS, ["tanh"])
    minimisation = problem.game().minimisation()
    curve = LearningCurve(lambda theta: (minimisation.value(theta), problem.residual(theta)))
    result = nng.solve(problem.game(), method="gradient_descent", step_size=1e-3, max_iterations=1000, callback=curve)
    numbers = curve.iterations.astype(int)
    assert numbers[:128].tolist() == list(range(128))
    assert set(np.diff(numbers[numbers >= 512])) == {8}
    curve.add(1000, result.evaluations, result.profile)
    assert curve.residual[-1] == problem.residual(result.profile)
    assert curve.loss[-1] == problem.game().cost(1, result.profile)
    assert len(curve.iterations) < 400


def test_a_network_is_saved_whole(tmp_path):
    activations = [nng.activation("leaky_relu", slope=0.1), nng.activation("softmax")]
    shapes = ((4, 3), (2, 4))
    network = nng.training.TrainedNetwork(
        tuple(RNG.normal(size=shape) for shape in shapes),
        tuple(RNG.normal(size=shape[0]) for shape in shapes),
        tuple(activations),
    )
    x = RNG.normal(size=(5, 3))
    arrays, scenario = save_network(network, tmp_path / "net.yaml", x[0], 'a "quoted" name: # not a comment')
    assert (arrays.name, scenario.name) == ("net.npz", "net.yaml")
    loaded = load_network(arrays)
    np.testing.assert_array_equal(loaded.predict(x), network.predict(x))
    assert loaded.activations[0].parameters == {"slope": 0.1}
    built = load_scenario(scenario)
    assert built.name == 'a "quoted" name: # not a comment'
    np.testing.assert_allclose(built.network.forward(x[0])[-1], network.predict(x)[0], rtol=1e-14)
    with pytest.raises(nng.ShapeError, match=r"input has shape \(2,\); expected \(3,\)"):
        save_network(network, arrays, x[0, :2])
    with pytest.raises(OptionError, match="a network is saved as a pair of files"):
        save_network(network, tmp_path / "net", x[0])


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"weight_1": np.eye(2)}, "is no saved network"),
        ({"description": np.array('{"format": "other"}')}, "its format is 'other'"),
        (
            {
                "description": np.array('{"format": "nngames network 1", "activations": [{"name": "tanh"}]}'),
                "weight_1": np.eye(2),
                "bias_1": np.zeros(3),
            },
            r"layer 1 has weight \(2, 2\), bias \(3,\)",
        ),
        (
            {"description": np.array('{"format": "nngames network 1", "activations": [{"name": "tahn"}]}')},
            "unknown activation 'tahn'; did you mean 'tanh'",
        ),
        ({"description": np.array({"format": 1}, dtype=object)}, "allow_pickle"),
        ({"description": np.array("[" * 100_000)}, "recursion"),
        ({"description": np.array('{"format": "nngames network 1", "activations": []}')}, "it has no layers"),
        (
            {
                "description": np.array('{"format": "nngames network 1", "activations": ["tanh"]}'),
                "weight_1": np.array(1.0),
                "bias_1": np.zeros(3),
            },
            r"layer 1 has weight \(\), bias \(3,\)",
        ),
        (
            {
                "description": np.array('{"format": "nngames network 1", "activations": ["tanh"]}'),
                "weight_1": np.array([[np.nan]]),
                "bias_1": np.zeros(1),
            },
            "layer 1 holds a number that is not finite",
        ),
    ],
)
def test_a_file_that_is_no_network_is_told(arrays, message, tmp_path):
    path = tmp_path / "net.npz"
    np.savez(path, **arrays)
    with pytest.raises(InputError, match=message):
        load_network(path)
