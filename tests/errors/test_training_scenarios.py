"""Bad training sections: every error is located at its key, names the row or column, and says what is valid."""

from __future__ import annotations

import numpy as np
import pytest

import nngames as nng
from nngames.cli.main import run
from nngames.core.errors import MissingExtraError
from nngames.scenario import ScenarioError, load_scenario

CSV = "a,b,label\n1,5,0\n2,5,1\n3,5,0\n4,5,1\n"


def scenario(data: str, layers: str = "[{activation: logistic}]", rest: str = "") -> str:
    return f"name: t\ntraining:\n  data:\n{data}  layers: {layers}\n{rest}"


def table(more: str = "", columns: str = "[a, b]", target: str = "[label]") -> str:
    return f"    inputs: {{file: d.csv, columns: {columns}}}\n    targets: {{file: d.csv, columns: {target}}}\n" + more


def inline(inputs: str = "[[1], [2], [4]]", targets: str = "[[0], [1], [1]]", more: str = "") -> str:
    return f"    inputs: {inputs}\n    targets: {targets}\n{more}"


#: name -> (the data section, other options of ``scenario``, the lines after "s.yaml:")
BAD = {
    "no number in a table": (
        table(),
        {"csv": CSV.replace("3,5,0", "3,?,0")},
        ["4:13: training.data.inputs: d.csv:4: b is '?'; a number is needed"],
    ),
    "nan in a table": (
        table(),
        {"csv": CSV.replace("3,5,0", "nan,5,0")},
        ["4:13: training.data.inputs: d.csv:4: a is 'nan'; a finite number is needed"],
    ),
    "an unknown column": (
        table(columns="[a, c]"),
        {},
        ["4:13: training.data.inputs: unknown column of d.csv 'c'; valid: a, b, label"],
    ),
    "columns of one name": (
        table(columns="[b, a]", target="[label]"),
        {"csv": CSV.replace("a,b,label", "a,b,a").replace("label", "a")},
        [
            "4:13: training.data.inputs: d.csv:1: 2 columns are called 'a', numbers 1 and 3; rename all but one",
            "5:14: training.data.targets: unknown column of d.csv 'label'; valid: a, a, b",
        ],
    ),
    "found targets of one layer": (
        inline(more="    hidden: found\n"),
        {},
        ["6:13: training.data.hidden: is for two layers or more: a single layer has the targets alone"],
    ),
    "found targets without widths": (
        inline(more="    hidden: found\n"),
        {"layers": "[{activation: tanh}, {activation: logistic, width: 2}]"},
        [
            "7:12: training.layers[0].width: is missing: how many numbers the layer answers",
            "7:62: training.layers[1].width: the last layer has the targets' width; leave it out",
        ],
    ),
    "more found targets than fit": (
        inline(more="    hidden: found\n"),
        {"layers": "[{activation: tanh, width: 1000000000}, {activation: logistic}]"},
        [
            "7:38: training.layers[0].width: makes 5000000000 weights and hidden targets to find up to this layer; at "
            "most 32000000 are allowed"
        ],
    ),
    "found targets of a masked layer": (
        inline(more="    hidden: found\n"),
        {"layers": "[{activation: tanh, width: 2, mask: [[1], [0]]}, {activation: logistic}]"},
        [
            "7:47: training.layers[0].mask: is for layers whose targets are given; where they are found, layers are "
            "dense"
        ],
    ),
    "found targets of a layer that is no gradient": (
        inline(more="    hidden: found\n"),
        {"layers": "[{activation: gelu, width: 2}, {activation: logistic}]"},
        [
            "7:25: training.layers[0].activation: activation 'gelu' is not monotone (slopes down to -0.1289), so it is "
            "the prox of no function: its layer has no convex problem"
        ],
    ),
    "found targets misspelt": (
        inline(more="    hidden: fuond\n"),
        {"layers": "[{activation: tanh, width: 2}, {activation: logistic}]"},
        [
            "6:13: training.data.hidden: must be found, or a list with one array for each layer but the last; got "
            "'fuond'"
        ],
    ),
    "a width where targets are given": (
        inline(),
        {"layers": "[{activation: logistic, width: 1, share: 0.5}]"},
        [
            "6:42: training.layers[0].width: belongs to hidden targets that are found; say data: hidden: found",
            "6:52: training.layers[0].share: belongs to hidden targets that are found; say data: hidden: found",
        ],
    ),
    "a short line": (
        table(),
        {"csv": CSV.replace("3,5,0", "3,5")},
        [
            "4:13: training.data.inputs: d.csv:4: 2 entries, and the first line has 3 names",
            "5:14: training.data.targets: d.csv:4: 2 entries, and the first line has 3 names",
        ],
    ),
    "no sample": (
        table(),
        {"csv": "a,b,label\n"},
        [
            "4:13: training.data.inputs: d.csv: a line of names and at least one sample are needed",
            "5:14: training.data.targets: d.csv: a line of names and at least one sample are needed",
        ],
    ),
    "a table outside": (
        table().replace("d.csv", "../d.csv"),
        {},
        [
            "4:13: training.data.inputs: the file '../d.csv' lies outside the scenario's folder",
            "5:14: training.data.targets: the file '../d.csv' lies outside the scenario's folder",
        ],
    ),
    "one row": (
        table(),
        {"csv": "a,b,label\n1,2,0\n"},
        ["4:5: training.data: there is 1 row; at least two are needed to train on"],
    ),
    "too many rows to test on": (
        table("    test: {last: 3}\n"),
        {},
        ["6:11: training.data.test: 3 of 4 rows are kept back to test on; at least two are needed to train on"],
    ),
    "no row to test on": (
        table("    test: {fraction: 0.1}\n"),
        {},
        ["6:11: training.data.test: 0.1 of 4 rows is none to test on; take a larger fraction"],
    ),
    "a constant column": (
        table("    standardize: {inputs: true}\n"),
        {},
        [
            "6:27: training.data.standardize.inputs: inputs: 'b' is 5 in every training row, so it cannot be "
            "standardized; leave it out, or do not standardize"
        ],
    ),
    "rows that do not match": (
        inline(targets="[[0], [1]]"),
        {},
        ["5:14: training.data.targets: the target has 2 rows, and the inputs have 3: a sample is a row of each"],
    ),
    "nan in a list": (
        inline("[[1], [.nan], [4]]"),
        {},
        ["4:20: training.data.inputs[1][0]: must be a finite number; got nan"],
    ),
    "lists that are no matrices": (
        inline("[]", "[0, 1, 1]"),
        {},
        [
            "4:13: training.data.inputs: is an empty list",
            "5:14: training.data.targets: is a list of numbers; a matrix is a list of rows, such as [[1, 2], [3, 4]]",
        ],
    ),
    "numbers beyond what squares can hold": (
        inline("[[1], [1e200], [4]]", more="    standardize: {inputs: true}\n"),
        {},
        [
            "4:13: training.data.inputs: the inputs: row 1, column 0 is 1e+200; squares of entries above 1e+100 are "
            "beyond floats: scale the data"
        ],
    ),
    "a column that varies by rounding": (
        inline("[[0.1], [0.10000000000000002], [0.1]]", more="    standardize: {inputs: true}\n"),
        {},
        [
            "6:27: training.data.standardize.inputs: inputs: column 0 is 0.1, within 1e-17, in every training row, so "
            "it cannot be standardized; leave it out, or do not standardize"
        ],
    ),
    "labels that are standardized": (
        inline(more="    standardize: true\n"),
        {},
        [
            "5:14: training.data.targets: the targets, standardized: row 0, column 0 is -1.41421, which 'logistic' "
            "does not come near: its values lie in [0, 1]^n"
        ],
    ),
    "standardize that is no truth value": (
        inline(more="    standardize: 1\n"),
        {},
        [
            "6:18: training.data.standardize: must be true, false, or a mapping with the keys inputs, targets; got 1",
        ],
    ),
    "a label out of reach": (
        inline(targets="[[0], [1], [2]]"),
        {},
        [
            "5:14: training.data.targets: the targets: row 2, column 0 is 2, which 'logistic' does not come near: its "
            "values lie in [0, 1]^n"
        ],
    ),
    "hidden targets out of reach": (
        inline(more="    hidden:\n      - [[0], [3], [0]]\n"),
        {"layers": "[{activation: tanh}, {activation: logistic}]"},
        [
            "7:9: training.data.hidden[0]: the targets of layer 1: row 1, column 0 is 3, which 'tanh' does not come "
            "near: its values lie in [-1, 1]^n"
        ],
    ),
    "not as many hidden targets as layers": (
        inline(),
        {"layers": "[{activation: tanh}, {activation: logistic}]"},
        [
            "4:5: training.data.hidden: has 0 arrays; 2 layers need 1, one for each but the last; or say found, to "
            "find them too"
        ],
    ),
    "an activation without a convex function": (
        inline(),
        {"layers": "[{activation: gelu}]"},
        [
            "6:25: training.layers[0].activation: activation 'gelu' is not monotone (slopes down to -0.1289), so it is "
            "the prox of no function: its layer has no convex problem"
        ],
    ),
    "a bound on masked weights": (
        inline(),
        {"layers": "[{activation: logistic, mask: [[1]], bound: 1}]"},
        [
            "6:41: training.layers[0].mask: a bound on |W|_2 is taken for dense weights only, without a mask or a "
            "convolution"
        ],
    ),
    "a mask of another shape": (
        inline(),
        {"layers": "[{activation: logistic, mask: [[1, 0]]}]"},
        [
            "6:41: training.layers[0].mask: a mask is an array (1, 1) of zeros and ones, True where a weight is; got "
            "shape (1, 2)"
        ],
    ),
    "weights that are not positive": (
        inline(more="    weights: [1, 0, 1]\n"),
        {},
        ["6:14: training.data.weights: weights[1] is 0.0; every weight must be a positive number"],
    ),
    "a kernel larger than the image": (
        inline(),
        {"layers": "[{activation: logistic, convolution: {height: 1, width: 1, kernel: [2, 1], channels: 1}}]"},
        ["6:48: training.layers[0].convolution: the kernel (2, 1) is larger than the image (1, 1)"],
    ),
    "a data set and inputs": (
        "    dataset: digits\n    inputs: [[1], [2]]\n",
        {},
        ["5:13: training.data.inputs: the data set digits has its own"],
    ),
    "no data": (
        "    standardize: true\n",
        {},
        ["4:5: training.data: needs inputs and targets, or a dataset"],
    ),
    "two ways to test": (
        table("    test: {last: 1, fraction: 0.5}\n"),
        {},
        ["6:11: training.data.test: needs last or fraction, one of the two"],
    ),
    "a misspelt kind": (
        inline(),
        {"rest": "expect:\n  - {what: training.picard.kind, is: solutoin, origin: o}\n"},
        [
            "8:38: expect[0].is: unknown kind 'solutoin'; did you mean 'solution'? valid: fit, solution, no minimiser, "
            "equilibrium, critical point, neither"
        ],
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_data_is_located(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    data, options, lines = BAD[name]
    (tmp_path / "d.csv").write_text(options.get("csv", CSV))
    text = scenario(data, **{key: value for key, value in options.items() if key != "csv"})
    (tmp_path / "s.yaml").write_text(text)
    (tmp_path / "p.png").write_text("mine")
    code = run(["train", "s.yaml", "--save", "n.npz", "--plot", "p.png", "--checkpoint", "c.npz"])
    output = capsys.readouterr()
    told = output.err.splitlines()
    assert (code, output.out) == (2, "")
    assert told == [f"s.yaml:{line}" for line in lines]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["d.csv", "p.png", "s.yaml"]
    assert (tmp_path / "p.png").read_text() == "mine"


def test_a_scenario_given_as_text_reads_no_tables():
    with pytest.raises(
        ScenarioError, match=r"<text>:4:13: training.data.inputs: this scenario was not read from a file"
    ):
        _ = load_scenario(scenario(table())).training


def test_a_data_set_without_its_package_names_the_extra(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "sklearn", None)
    loaded = load_scenario(scenario("    dataset: digits\n", "[{activation: softmax}]"))
    with pytest.raises(MissingExtraError) as caught:
        _ = loaded.game
    assert str(caught.value) == "the data set 'digits' needs the extra 'data': pip install 'nngames[data]'"


def test_expectations_about_other_runs_are_found_before_anything_runs():
    text = scenario(
        inline(), rest="solve: {methods: [picard]}\nexpect:\n  - {what: training.km.loss, at_most: 1, origin: o}\n"
    )
    with pytest.raises(
        ScenarioError, match=r"nothing in this scenario reports 'training.km.loss'; valid: game, scenario, "
    ):
        nng.run_scenario(text)
    assert np.isfinite(load_scenario(text).game.residual(np.zeros(2)))
