"""``nngames train`` where hidden targets are found: moves in turn beside back-propagation, killed, resumed, saved."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import nngames as nng
from nngames.cli import main as cli
from nngames.scenario import load_scenario, train_scenario
from nngames.training.saved_network import load_network

ROOT = Path(nng.__file__).parent.parent
#: Slow enough to be killed on its way, in each of its methods.
FOUND = """\
name: found
seed: 3
training:
  data:
    inputs: {random: gaussian, shape: [200, 6]}
    targets: {random: uniform, shape: [200, 2]}
    hidden: found
    standardize: {targets: true}
    test: {last: 20}
  layers:
    - {activation: relu, width: 8, ridge: 1e-2}
    - {activation: tanh, width: 5, ridge: 1e-2, bound: 3}
    - {activation: identity, ridge: 1e-2, share: 0.5}
solve:
  methods:
    - alternating
    - {method: backpropagation, optimiser: projected_gradient, label: down}
stopping: {tolerance: 1e-14, max_iterations: 150}
expect:
  - {what: solve.alternating.status, is: max_iterations, origin: "few rounds"}
  - {what: solve.down.status, is: max_iterations, origin: "few steps"}
"""
FREE = FOUND.replace(", bound: 3", "").replace(
    "optimiser: projected_gradient, label: down", "optimiser: adam, batch: 4, label: down"
)
QUASI_NEWTON = FREE.replace("optimiser: adam, batch: 4, label: down", "label: down").replace("seed: 3", "seed: 5")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "f.yaml").write_text(FOUND)
    return tmp_path


@pytest.fixture
def command(capsys):
    def run(*arguments: str) -> tuple[int, str, str]:
        code = cli.run(arguments)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def timeless(report):
    for result in report["solve"].values():
        result.pop("seconds")
    return report


def stopped(how: int, watched: str, *arguments: str) -> tuple[int, str, str]:
    """Stop a run with a signal once it has written its state in a file twice; return its exit code and outputs."""
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "nngames",
            "train",
            "f.yaml",
            "--json",
            "--checkpoint",
            "c.npz",
            "--every",
            "0.01",
            *arguments,
        ],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    written: set[int] = set()
    # What is written first may be the start, from which every run goes on.
    while len(written) < 2:
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        if Path(watched).exists():
            written.add(os.stat(watched).st_mtime_ns)
        time.sleep(0.002)
    os.kill(process.pid, how)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def test_one_command_prints_all_methods_in_one_table(command):
    code, out, err = command("train", "f.yaml")
    assert (code, err) == (0, "")
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert (
        lines[1] == "training of 3 layers, 113 parameters, 180 samples, 20 more to test on, 2340 hidden targets to find"
    )
    header = "method kind loss VI residual fit error largest regret own gradient training error test error"
    place = lines.index(header)
    assert [line.split()[0] for line in lines[place + 1 : place + 3]] == ["alternating", "down"]
    place = lines.index("at most alternating down")
    named = [" ".join(line.split()[:2]) for line in lines[place + 1 : place + 6]]
    assert named == ["weights 1", "activations 1", "weights 2", "activations 2", "weights 3"]
    # What back-propagation holds is what its network answers.
    assert lines[place + 6].split()[-1] == "0"


def test_the_figures_are_those_of_the_network_and_of_the_game(command):
    report = json.loads(command("train", "f.yaml", "--json")[1])
    scenario = load_scenario("f.yaml")
    lift = scenario.training.lift
    x, y = lift.shape.inputs, lift.shape.targets
    for label in ("alternating", "down"):
        found, profile = report["training"][label], np.array(report["solve"][label]["profile"])
        sizes = [(8, 7), (5, 9), (2, 6)]
        if label == "alternating":
            space = lift.game().space
            theta = [
                profile[space.slice(("weights", k))].reshape(size) for k, size in zip((1, 2, 3), sizes, strict=True)
            ]
            held = [profile[space.slice(("activations", k))].reshape(180, -1) for k in (1, 2)]
        else:
            ends = np.cumsum([a * b for a, b in sizes])[:-1]
            theta = [part.reshape(size) for part, size in zip(np.split(profile, ends), sizes, strict=True)]
            held = []
        responses = (lambda v: np.maximum(v, 0), np.tanh, lambda v: v)
        answers = [x]
        for matrix, response in zip(theta, responses, strict=True):
            answers.append(response(answers[-1] @ matrix[:, :-1].T + matrix[:, -1]))
        held = held or answers[1:-1]
        ridges = sum(0.005 * np.sum(matrix[:, :-1] ** 2) for matrix in theta)
        assert found["loss"] == pytest.approx(np.mean(np.sum((answers[-1] - y) ** 2, axis=1)) / 2 + ridges, rel=1e-9)
        assert found["fit_error"] == pytest.approx(np.abs(answers[-1] - y).max(), rel=1e-9)
        assert found["drift"] == pytest.approx(
            max(np.abs(h - a).max() for h, a in zip(held, answers[1:-1], strict=True))
        )
        # The variational inequality of the layers at the hidden targets held; the last layer's ridge over its share.
        seen, wanted, total = [x, *held], [*held, y], 0.0
        for k, (matrix, response, ridge) in enumerate(zip(theta, responses, (0.01, 0.01, 0.02), strict=True)):
            features = np.column_stack([seen[k], np.ones(180)])
            slope = (response(features @ matrix.T) - wanted[k]).T @ features / 180
            slope[:, :-1] += ridge * matrix[:, :-1]
            moved = matrix - slope
            if k == 1:
                u, s, v = np.linalg.svd(moved[:, :-1], full_matrices=False)
                moved[:, :-1] = (u * np.minimum(s, 3)) @ v
            total += np.sum((moved - matrix) ** 2)
        assert found["residual"] == pytest.approx(np.sqrt(total), rel=1e-8)
        # The projected gradient of the network's own loss.
        slopes = [(answers[-1] - y).T @ np.column_stack([answers[2], np.ones(180)]) / 180]
        back = (answers[-1] - y) @ theta[2][:, :-1] * (1 - answers[2] ** 2) / 180
        slopes.insert(0, back.T @ np.column_stack([answers[1], np.ones(180)]))
        back = back @ theta[1][:, :-1] * (answers[1] > 0)
        slopes.insert(0, back.T @ np.column_stack([x, np.ones(180)]))
        total = 0.0
        for k, (matrix, slope) in enumerate(zip(theta, slopes, strict=True)):
            slope[:, :-1] += 0.01 * matrix[:, :-1]
            moved = matrix - slope
            if k == 1:
                u, s, v = np.linalg.svd(moved[:, :-1], full_matrices=False)
                moved[:, :-1] = (u * np.minimum(s, 3)) @ v
            total += np.sum((moved - matrix) ** 2)
        assert found["critical"] == pytest.approx(np.sqrt(total), rel=1e-8)
        curve = report["curves"][label]
        assert curve["loss"][-1] == pytest.approx(found["loss"], rel=1e-12)
        assert curve["residual"][-1] == pytest.approx(found["residual"], rel=1e-12)
        assert curve["iterations"][-1] == 150
        for gain, bound in found["regrets"].values():
            assert 0 <= gain <= bound
        assert found["regret"] == max(bound for _, bound in found["regrets"].values())
    # Both begin at the same weights.
    assert report["curves"]["alternating"]["loss"][0] == report["curves"]["down"]["loss"][0]
    assert report["training"]["down"]["loss"] < report["curves"]["down"]["loss"][0]


@pytest.mark.parametrize(
    ("text", "method"),
    [(FOUND, "alternating"), (FOUND, "down"), (FREE, "down"), (QUASI_NEWTON, "down")],
    ids=["alternating", "bounds", "adam", "lbfgs"],
)
def test_a_killed_run_goes_on_to_the_same_result(command, folder, text, method):
    (folder / "f.yaml").write_text(text)
    whole = timeless(train_scenario("f.yaml", [method]).to_dict())
    assert stopped(signal.SIGKILL, "c.npz", "--method", method)[:2] == (-signal.SIGKILL, "")
    arguments = ("f.yaml", "--json", "--method", method, "--checkpoint", "c.npz", "--resume")
    code, out, err = command("train", *arguments)
    assert (code, err) == (0, "nngames: going on from c.npz\n")
    assert timeless(json.loads(out)) == whole


def test_an_interrupted_run_keeps_its_state_and_those_before(command):
    code, out, err = stopped(signal.SIGINT, "c.down.npz")
    assert code == 130
    assert err == "nngames: the state is in c.down.npz; the same command with --resume goes on\ninterrupted\n"
    report = json.loads(out)
    assert {label: result["status"] for label, result in report["solve"].items()} == {
        "alternating": "max_iterations",
        "down": "interrupted",
    }
    assert all(statement["met"] is None for statement in report["expect"])
    out = command("train", "f.yaml", "--json", "--checkpoint", "c.npz", "--resume")[1]
    assert timeless(json.loads(out)) == timeless(train_scenario("f.yaml").to_dict())


def test_the_network_of_each_method_is_saved_and_runs(command):
    for label in ("alternating", "down"):
        code, _, err = command("train", "f.yaml", "--method", label, "--save", f"{label}.npz", "--plot", "p.svg")
        assert (code, err) == (0, f"nngames: wrote {label}.npz\nnngames: wrote {label}.yaml\n")
        training = load_scenario("f.yaml").training
        rows = training.inputs[training.test]
        result = train_scenario("f.yaml", label).result
        expected = training.trained(result.profile).predict(rows)
        np.testing.assert_array_equal(load_network(f"{label}.npz").predict(rows), expected)
        profile = json.loads(command("run", f"{label}.yaml", "--json")[1])["solve"]["best_response"]["profile"]
        np.testing.assert_allclose(profile[-2:], expected[0], rtol=1e-12)
    assert "down" in Path("p.svg").read_text() or "max iterations" in Path("p.svg").read_text()


def test_a_report_of_both_is_saved_and_verified(command, folder):
    text = FOUND.replace("tolerance: 1e-14", "tolerance: 1e-1").replace(", bound: 3", "")
    text = text.replace("optimiser: projected_gradient, ", "").replace(FOUND[FOUND.index("expect:") :], "")
    (folder / "f.yaml").write_text(text)
    assert command("run", "f.yaml", "--save", "r.json")[0] == 0
    code, out, err = command("check", "r.json")
    assert (code, err) == (0, "")
    assert "down: converged" in out
    report = json.loads(Path("r.json").read_text())
    report["solve"]["down"]["residual"] *= 0.5
    Path("r.json").write_text(json.dumps(report))
    assert "solve.down.residual" in command("check", "r.json")[2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--method", "auto", "--checkpoint", "c.npz"],
            "no checkpoints are kept of auto, so it cannot resume; they are of alternating",
        ),
        (
            ["--method", "anderson,picard", "--checkpoint", "c.npz"],
            "no checkpoints are kept of anderson, so it cannot resume; they are of alternating",
        ),
        (
            ["--method", "backpropagation"],
            "backpropagation does not apply: it does not keep bounds on the weights with optimiser: lbfgs; optimiser: "
            "projected_gradient does",
        ),
        (
            ["--method", "newton_descent"],
            "newton_descent does not apply: a game with the lifted loss cost is not given as the minimum of one "
            "function; alternating and backpropagation train where hidden targets are found",
        ),
        (["--method", "down,down"], "the label 'down' is taken by methods[0]; give it a label, or leave it out"),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_runs(command, arguments, message):
    code, out, err = command("train", "f.yaml", *arguments)
    assert (code, out) == (2, "")
    assert err.startswith(message) or message in err
    assert not list(Path().glob("c*.npz"))


def test_both_methods_are_the_default(command, folder):
    for text, optimiser in ((FOUND, "projected_gradient"), (FOUND.replace(", bound: 3", ""), "lbfgs")):
        (folder / "f.yaml").write_text(text[: text.index("solve:")] + "stopping: {max_iterations: 2}\n")
        report = json.loads(command("train", "f.yaml", "--json")[1])
        assert list(report["training"]) == ["alternating", "backpropagation"]
        assert report["solve"]["backpropagation"]["provenance"]["options"]["optimiser"] == optimiser


def test_back_propagation_is_for_hidden_targets_that_are_found(command):
    Path("g.yaml").write_text(
        "name: g\ntraining:\n  data: {inputs: [[1], [2]], targets: [[0], [1]]}\n  layers: [{activation: identity}]\n"
    )
    code, out, err = command("train", "g.yaml", "--method", "backpropagation")
    assert (code, out) == (2, "")
    assert err == (
        "backpropagation does not apply: players of a game with the layer loss cost do not share one network's loss; "
        "newton_descent, accelerated_gradient and auto train layers whose targets are given\n"
    )
