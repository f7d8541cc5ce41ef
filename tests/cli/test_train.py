"""The verb ``train``: its table, files and exit codes, and runs that are killed and go on."""

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

import nngames
from nngames.cli import main as cli
from nngames.scenario import train_scenario
from nngames.training.saved_network import load_network

ROOT = Path(nngames.__file__).parent.parent
TRAINING = """\
name: small
training:
  data:
    inputs: {file: d.csv, columns: [first, second]}
    targets: {file: d.csv, columns: [answer]}
    standardize: true
    test: {last: 4}
  layers:
    - activation: identity
solve:
  methods:
    - newton_descent
    - {method: gradient_descent, step_size: 1.5, label: long steps}
"""
#: Slow enough to be killed on its way.
LONG = """\
name: long
seed: 3
training:
  data:
    inputs: {random: gaussian, shape: [60, 6]}
    targets: {random: uniform, shape: [60, 2]}
  layers:
    - activation: tanh
solve:
  methods: [{method: stochastic_gradient, step_size: 1e-4, batch: 4}]
stopping: {tolerance: 1e-14, max_iterations: 1500}
expect:
  - {what: solve.stochastic_gradient.status, is: max_iterations, origin: "steps of 1e-4/L are too short"}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(1)
    x = rng.normal(size=(24, 2)) * [3, 0.1] + [10, -2]
    y = x @ [0.7, -4.0] + 2 + 0.1 * rng.normal(size=24)
    lines = [f"{a:.6f},{b:.6f},{c:.6f}" for (a, b), c in zip(x, y, strict=True)]
    (tmp_path / "d.csv").write_text("\n".join(["first,second,answer", *lines]) + "\n")
    (tmp_path / "small.yaml").write_text(TRAINING)
    (tmp_path / "long.yaml").write_text(LONG)
    return tmp_path


@pytest.fixture
def command(capsys):
    def run(*arguments: str) -> tuple[int, str, str]:
        code = cli.run(arguments)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def data(folder):
    return np.genfromtxt(folder / "d.csv", delimiter=",", skip_header=1)


def test_the_table_says_what_was_found_and_nothing_goes_to_stderr(command):
    code, out, err = command("train", "small.yaml")
    assert (code, err) == (0, "")
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert lines[:2] == ["small", "training of 1 layer, 3 parameters, 20 samples, 4 more to test on"]
    assert "method kind loss VI residual fit error training error test error" in lines
    assert any(line.startswith("newton_descent converged") for line in lines)
    assert any(line.startswith("newton_descent solution") for line in lines)
    assert any(line.startswith("fits REFUTED") for line in lines)
    # Both methods of the file, in one table.
    assert any(line.startswith("long steps solution") for line in lines)


def test_the_report_is_one_json_document(command, folder):
    code, out, err = command("train", "small.yaml", "--method", "long steps", "--json")
    assert (code, err) == (0, "")
    report = json.loads(out)
    assert list(report["solve"]) == list(report["training"]) == ["long steps"]
    assert report["solve"]["long steps"]["provenance"]["options"]["step_size"] == 1.5
    table = data(folder)
    ones = np.column_stack([table[:, :2], np.ones(24)])
    least = np.linalg.lstsq(ones[:20], table[:20, 2], rcond=None)[0]
    miss = ones @ least - table[:, 2]
    found = report["training"]["long steps"]
    assert found["kind"] == "solution"
    assert found["training_error"] == pytest.approx(np.sqrt(np.mean(miss[:20] ** 2)), rel=1e-7)
    assert found["test_error"] == pytest.approx(np.sqrt(np.mean(miss[20:] ** 2)), rel=1e-6)
    curve = report["curves"]["long steps"]
    assert curve["iterations"][:3] == [0, 1, 2]
    assert curve["iterations"][-1] == report["solve"]["long steps"]["iterations"]
    assert curve["residual"][-1] == found["residual"] < 1e-8 < curve["residual"][0]
    assert np.diff(curve["loss"]).max() < 1e-12


def test_the_saved_network_runs_and_answers_in_the_units_of_the_data(command, folder):
    code, _, err = command("train", "small.yaml", "--save", "net.npz")
    whose = ", the network of newton_descent"
    assert (code, err) == (0, f"nngames: wrote net.npz{whose}\nnngames: wrote net.yaml{whose}\n")
    before = Path("net.npz").read_bytes()
    assert command("train", "small.yaml", "--save", "net.npz") == (
        2,
        "",
        "--save net.npz: the file exists, and a network is not overwritten; name another\n",
    )
    assert Path("net.npz").read_bytes() == before
    table = data(folder)
    ones = np.column_stack([table[:, :2], np.ones(24)])
    least = np.linalg.lstsq(ones[:20], table[:20, 2], rcond=None)[0]
    network = load_network("net.npz")
    np.testing.assert_allclose(network.predict(table[:, :2])[:, 0], ones @ least, rtol=1e-9)
    code, out, _ = command("run", "net.yaml", "--json")
    assert code == 0
    profile = json.loads(out)["solve"]["best_response"]["profile"]
    # The sample fed is the first one that was kept back; three layers: to standard units, the network, and back.
    assert len(profile) == 2 + 1 + 1
    assert profile[-1] == pytest.approx(float(ones[20] @ least), rel=1e-9)
    with np.load("net.npz", allow_pickle=False) as arrays:
        assert sorted(arrays.files) == sorted(
            ["input", "description", *(f"{kind}_{n}" for n in (1, 2, 3) for kind in ("weight", "bias"))]
        )


def test_the_picture_is_written(command):
    code, _, err = command("train", "small.yaml", "--plot", "p.png")
    assert (code, err) == (0, "")
    assert Path("p.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["small.yaml", "--save", "net.txt"],
            "net.txt: a network is saved as a pair of files, NAME.npz and NAME.yaml; give one of them",
        ),
        (["small.yaml", "--save", "no/net.npz"], "--save no/net.npz: there is no folder 'no' to write into"),
        (["small.yaml", "--save", "small.npz"], "--save small.yaml: that is the scenario itself; give another name"),
        (
            ["small.yaml", "--save", "c.npz", "--checkpoint", "./c.npz", "--method", "long steps"],
            "--checkpoint ./c.npz: that is what --save writes; give another name",
        ),
        (["small.yaml", "--resume"], "resume needs a checkpoint, the file to go on from"),
        (["small.yaml", "--every", "5"], "every needs a checkpoint, the file that is written so often"),
        (["small.yaml", "--method", "newton"], None),
        (["small.yaml", "--checkpoint", "c.npz", "--every", "0"], "every must be a positive number; got 0.0"),
        (
            ["small.yaml", "--checkpoint", "c.npz", "--method", "newton_descent,scipy:l-bfgs-b"],
            "no checkpoints are kept of scipy:l-bfgs-b, so it cannot resume; they are of accelerated_gradient, "
            "block_iterative, gradient_descent, newton_descent, stochastic_gradient",
        ),
        (
            ["small.yaml", "--checkpoint", "c.npz", "--method", "auto"],
            "no checkpoints are kept of auto, so it cannot resume; they are of accelerated_gradient, block_iterative, "
            "gradient_descent, newton_descent, stochastic_gradient",
        ),
        (
            ["small.yaml", "--checkpoint", "d.csv", "--method", "newton_descent"],
            "--checkpoint d.csv: that is a file that the scenario reads; give another name",
        ),
        (["ring.yaml"], "ring.yaml: the scenario has no training section; nngames run solves its game"),
        (
            ["small.yaml", "--method", "extragradient"],
            "extragradient does not apply: a game with the layer loss cost has no inclusion view; newton_descent, "
            "accelerated_gradient and auto train layers whose targets are given",
        ),
    ],
)
def test_what_cannot_be_done_is_said(command, folder, arguments, message):
    (folder / "ring.yaml").write_text(command("new", "ring")[1])
    before = [(folder / name).read_bytes() for name in ("d.csv", "small.yaml")]
    code, out, err = command("train", *arguments)
    if message is None:
        assert (code, err) == (0, "")
    else:
        assert (code, out, err) == (2, "", message + "\n")
    assert [(folder / name).read_bytes() for name in ("d.csv", "small.yaml")] == before
    assert not (folder / "c.npz").exists()


@pytest.mark.parametrize("option", ["--save", "--checkpoint", "--plot"])
def test_a_folder_that_takes_no_files_is_found_before_the_run(command, monkeypatch, option):
    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.TemporaryFile", full)
    monkeypatch.setattr("nngames.scenario.train_scenario", None)
    name = "n.png" if option == "--plot" else "n.npz"
    code, out, err = command("train", "small.yaml", "--method", "newton_descent", option, name)
    assert (code, out, err) == (2, "", f"{option} {name}: cannot be written: No space left on device\n")


def test_a_run_whose_network_cannot_be_saved_is_still_told(command, monkeypatch):
    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("nngames.scenario.train.save_network", full)
    code, out, err = command("train", "small.yaml", "--save", "n.npz")
    assert (code, err) == (2, "nngames: the network is not saved: No space left on device\n")
    assert "newton_descent  converged" in out


def test_a_checkpoint_is_not_overwritten(command, folder):
    (folder / "c.npz").write_text("mine")
    assert command("train", "small.yaml", "--method", "newton_descent", "--checkpoint", "c.npz") == (
        2,
        "",
        "c.npz: the file exists; resume from it (--resume, resume=True), remove it, or name another\n",
    )
    assert (folder / "c.npz").read_text() == "mine"


def test_an_unmet_expectation_is_exit_code_1(command, folder):
    text = TRAINING + "expect:\n  - {what: training.newton_descent.test_error, at_most: 1e-3, origin: o}\n"
    (folder / "small.yaml").write_text(text)
    code, out, _ = command("train", "small.yaml")
    assert code == 1
    assert "NOT MET" in out
    assert command("train", "small.yaml", "--method", "long steps")[0] == 0


def test_a_run_that_diverges_saves_nothing(command, folder):
    (folder / "small.yaml").write_text(TRAINING.replace("step_size: 1.5", "step_size: 5"))
    code, out, err = command("train", "small.yaml", "--method", "long steps", "--save", "net.npz", "--plot", "p.png")
    assert (code, err) == (1, "nngames: the network is not saved: the run came to nothing\n")
    assert "diverged" in out
    assert "Not converged, and no expectation says so: long steps" in out
    assert not (folder / "net.npz").exists()
    assert not (folder / "net.yaml").exists()


def test_a_loose_tolerance_is_told_from_a_solution(command):
    out = command("train", "small.yaml", "--method", "long steps", "--tolerance", "1e-4")[1]
    assert "long steps  converged" in out
    assert "long steps  neither" in out
    wanted = out.split("to solve it, ask for --tolerance ")[1].split()[0]
    assert "long steps  solution" in command("train", "small.yaml", "--method", "long steps", "--tolerance", wanted)[1]


def launched(*arguments: str) -> subprocess.Popen:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "nngames", "train", "long.yaml", "--json", "--checkpoint", "c.npz", *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def stopped(how: int) -> tuple[int, str, str]:
    """Stop a run with a signal once it has written its state some times; return its exit code and outputs."""
    process, changes, before, deadline = launched("--every", "0.02"), 0, None, time.monotonic() + 60
    while changes < 3:
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        now = os.stat("c.npz").st_mtime_ns if Path("c.npz").exists() else None
        changes += now != before
        before = now
        time.sleep(0.01)
    os.kill(process.pid, how)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def timeless(report):
    for result in report["solve"].values():
        result.pop("seconds")
    return report


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The report of the run that is never stopped."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("whole"))
        Path("long.yaml").write_text(LONG)
        return timeless(train_scenario("long.yaml").to_dict())


def test_a_killed_run_goes_on_to_the_same_result(command, whole):
    code, out, _ = stopped(signal.SIGKILL)
    assert (code, out) == (-signal.SIGKILL, "")
    code, out, err = command("train", "long.yaml", "--json", "--checkpoint", "c.npz", "--resume")
    assert (code, err) == (0, "nngames: going on from c.npz\n")
    assert timeless(json.loads(out)) == whole


def test_an_interrupted_run_says_how_to_go_on(command, whole):
    code, out, err = stopped(signal.SIGINT)
    assert (code, err) == (
        130,
        "nngames: the state is in c.npz; the same command with --resume goes on\ninterrupted\n",
    )
    assert json.loads(out)["solve"]["stochastic_gradient"]["status"] == "interrupted"
    code, out, _ = command("train", "long.yaml", "--json", "--checkpoint", "c.npz", "--resume")
    assert (code, timeless(json.loads(out))) == (0, whole)


def test_resuming_without_a_checkpoint_starts_from_the_beginning(command):
    arguments = ("train", "small.yaml", "--method", "newton_descent", "--json", "--checkpoint", "c.npz", "--resume")
    code, out, err = command(*arguments)
    assert (code, err) == (0, "nngames: there is no c.npz yet: starting from the beginning\n")
    again = command(*arguments)
    assert again[0] == 0
    assert timeless(json.loads(again[1])) == timeless(json.loads(out))
    (Path() / "d.csv").write_text(Path("d.csv").read_text().replace("\n1", "\n2", 1))
    before = Path("c.npz").read_bytes()
    assert command(*arguments) == (
        2,
        "",
        "nngames: going on from c.npz\nc.npz: is the checkpoint of another run, with another problem\n",
    )
    assert Path("c.npz").read_bytes() == before
