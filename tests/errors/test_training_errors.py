"""Bad training data: each error names what is wrong, where, and what is valid."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import nngames as nng
from nngames.training.data import read_csv

X = np.arange(12.0).reshape(6, 2)
Y = np.linspace(-0.5, 0.5, 6)


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        (
            (X, Y[:5], ["tanh"]),
            {},
            nng.ShapeError,
            "targets has 5 rows, and the inputs have 6: a sample is a row of each",
        ),
        (
            (np.where(X == 7, np.nan, X), Y, ["tanh"]),
            {},
            nng.InputError,
            "inputs: row 3, column 1 is nan; every entry must be finite",
        ),
        (
            (np.where(X == 3, 1e200, X), Y, ["tanh"]),
            {},
            nng.InputError,
            "inputs: row 1, column 1 is 1e+200; squares of entries above 1e+100 are beyond floats: scale the data",
        ),
        (
            (X, 3 * Y, ["tanh"]),
            {},
            nng.InputError,
            "targets: row 0, column 0 is -1.5, which 'tanh' does not come near: its values lie in [-1, 1]^n",
        ),
        (
            (X, np.tile([0.5, 0.6], (6, 1)), ["softmax"]),
            {},
            nng.InputError,
            "targets: row 0 is (0.5, 0.6), which 'softmax' does not come near: its values lie in "
            "{z in R^n: z >= 0, sum z = 1}",
        ),
        (
            (np.zeros((0, 2)), np.zeros((0, 1)), ["tanh"]),
            {},
            nng.ShapeError,
            "inputs has shape (0, 2); at least one sample with one number is needed",
        ),
        ((X, Y, []), {}, nng.InputError, "activations is empty: at least one layer is needed"),
        (
            (X, Y, ["tanh", "tanh"]),
            {},
            nng.ShapeError,
            "2 layers need targets for 1 hidden ones; hidden has 0. Where they are to be found too, use "
            "nng.LiftedTraining",
        ),
        (
            (X, Y, ["tanh"]),
            {"weights": [1, 1]},
            nng.ShapeError,
            "weights has shape (2,); expected (6,), one for each sample",
        ),
        (
            (X, Y, ["tanh"]),
            {"weights": [1, 1, 1, 0, 1, 1]},
            nng.InputError,
            "weights[3] is 0.0; every weight must be a positive number",
        ),
        ((X, Y, ["tanh"]), {"ridge": -1}, nng.InputError, "ridge must be nonnegative numbers; got -1"),
        (
            (X, Y, ["tanh"]),
            {"ridge": [1, 2]},
            nng.ShapeError,
            "ridge has 2 numbers; expected one, or one for each of the 1 layers",
        ),
        (
            (X, Y, ["tanh"]),
            {"masks": {2: np.ones((1, 2))}},
            nng.InputError,
            "masks has the layer 2; the layers are 1, ..., 1",
        ),
        (
            (X, Y, [3]),
            {},
            nng.InputError,
            "an activation is a name, a mapping with a name, or an Activation; got 3",
        ),
        ((X, Y, None), {}, nng.InputError, "activations is a list with one for each layer; got None"),
        (
            (X, Y, ["tanh"]),
            {"hidden": None},
            nng.InputError,
            "hidden is a list with the targets of each hidden layer; got None",
        ),
        (
            (X, Y, ["tanh"]),
            {"convolutions": {1: 3}},
            nng.InputError,
            "convolutions[1] must be a Convolution; got 3",
        ),
    ],
)
def test_bad_data(arguments: tuple, options: dict, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        nng.TrainingProblem(*arguments, **options)
    assert str(caught.value) == message


def test_parameters_are_pairs_by_layer() -> None:
    problem = nng.TrainingProblem(X, Y, ["tanh"])
    with pytest.raises(nng.InputError, match=r"parameters are a mapping layer -> \(weight, bias\); got int"):
        problem.parameters(3)
    for pair in (3, ([[1.0, 2.0]],)):
        with pytest.raises(nng.InputError, match=r"layer 1: parameters are a pair \(weight, bias\)"):
            problem.parameters({1: pair})
    good = ([[1.0, 2.0]], [0.0])
    with pytest.raises(nng.InputError, match="parameters has the layer 7; the layers are 1"):
        problem.parameters({1: good, 7: good})


def test_weights_and_parameters_near_the_end_of_floats_are_taken() -> None:
    problem = nng.TrainingProblem(X, Y, ["identity"], weights=[1e308] * 6)
    np.testing.assert_allclose(problem.weights, 1 / 6)
    report = problem.report([1e200, 1e200, 0.0])
    assert report.solves.status != "PROVED"
    assert report.fits.status != "PROVED"


def test_activations_without_a_convex_loss_are_refused() -> None:
    with pytest.raises(nng.NotApplicableError, match="'silu' is not monotone"):
        nng.TrainingProblem(X, Y, ["silu"])


def test_constant_columns_are_noted() -> None:
    problem = nng.TrainingProblem(np.column_stack([X, np.ones(6)]), Y, ["tanh"])
    assert problem.notes == ("columns 2 of the inputs are constant: the bias does the same, so weights are not unique",)
    assert nng.TrainingProblem(X, Y, ["tanh"]).notes == ()


def test_one_sample_is_enough() -> None:
    problem = nng.TrainingProblem([[1.0, 2.0]], [[0.5]], ["tanh"])
    result = nng.solve(problem.game(), method="newton_descent")
    assert problem.report(result.profile).kind == "fit"


def test_labels_at_the_ends_of_the_range_are_limits() -> None:
    problem = nng.TrainingProblem(X, np.array([0, 1, 0, 1, 1, 0]), ["logistic"])
    np.testing.assert_array_equal(problem.targets[1][:, 0], [0, 1, 0, 1, 1, 0])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n", "{path}: a line of names and at least one sample are needed"),
        ("a,b\n1,2\n3\n", "{path}:3: 1 entries, and the first line has 2 names"),
        ("a,b\n1,x\n", "{path}:2: b is 'x'; a number is needed"),
        ("a,c\n1,2\n", "unknown column of {path} 'b'; valid: a, c"),
    ],
)
def test_bad_csv_files(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "data.csv"
    path.write_text(text)
    with pytest.raises(nng.InputError) as caught:
        read_csv(path, ["a", "b"])
    assert str(caught.value) == message.format(path=path)


def test_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("a,b,y\n1,2,0.5\n3,4,-0.5\n5,7,0\n")
    problem = nng.TrainingProblem.from_csv(tmp_path / "data.csv", ["a", 1], ["y"], ["tanh"])
    np.testing.assert_array_equal(problem.inputs, [[1, 2], [3, 4], [5, 7]])
    np.testing.assert_array_equal(problem.targets[1], [[0.5], [-0.5], [0]])
    np.savez(tmp_path / "data.npz", inputs=X, targets=Y, hidden_1=np.tanh(X))
    assert nng.TrainingProblem.from_npz(tmp_path / "data.npz", ["tanh", "tanh"]).players == (1, 2)
    np.savez(tmp_path / "odd.npz", inputs=X, targets=Y, extra=Y)
    with pytest.raises(
        nng.InputError, match=r"unknown array 'extra'; valid: inputs, targets, hidden_1, hidden_2, \.\.\."
    ):
        nng.TrainingProblem.from_npz(tmp_path / "odd.npz", ["tanh"])
    np.savez(tmp_path / "pickled.npz", inputs=np.array([{}], dtype=object), targets=Y)
    with pytest.raises(nng.InputError, match="cannot be read as an npz file of numbers"):
        nng.TrainingProblem.from_npz(tmp_path / "pickled.npz", ["tanh"])


def test_the_game_says_what_it_cannot_do() -> None:
    game = nng.TrainingProblem(X, Y, ["tanh"]).game()
    with pytest.raises(nng.NotApplicableError, match="a layer's problem may have many minimisers or none"):
        game.best_response(1, np.zeros(3))
    with pytest.raises(nng.NotApplicableError, match="is not given as the minimum of one function"):
        nng.Network.recurrent([[0.5]], [1.0], "tanh").game().minimisation()
    bounded = nng.TrainingProblem(X, Y, ["tanh"], bounds=0.5).game()
    with pytest.raises(nng.NotApplicableError, match="it minimises over the whole space"):
        nng.solve(bounded, method="newton_descent")
    assert "(W, b) in R^(1 x 2) x R^1, |W|_2 <= 0.5" in bounded.explain()
    assert r"\text{player 1}" in game.explain("latex")
    with pytest.raises(nng.OptionError, match="tolerance must be a positive number; got 0"):
        nng.TrainingProblem(X, Y, ["tanh"]).report(np.zeros(3), tolerance=0)
