"""Saved reports: verified from their file alone; what was tampered with is located."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import nngames as nng
from nngames.cli.main import run

_SCENARIO = """name: pair
network:
  kind: ring
  layers:
    - {weight: {file: arrays.npz, key: w}, bias: [0.1, 0.2], activation: tanh}
    - {weight: [[0.5, 0.0], [0.1, 0.2]], bias: [0.3, 0.0], activation: relu}
solve: {methods: [picard]}
"""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("somewhere")
    np.savez(folder / "arrays.npz", w=np.array([[0.4, -0.3], [0.2, 0.5]]))
    (folder / "pair.yaml").write_text(_SCENARIO)
    assert run(["run", str(folder / "pair.yaml"), "--save", str(folder / "report.json")]) == 0
    text = (folder / "report.json").read_text()
    # The report must be enough.
    for file in folder.iterdir():
        file.unlink()
    return text


@pytest.fixture
def saved(tmp_path: Path, report: str) -> Path:
    (tmp_path / "report.json").write_text(report)
    return tmp_path / "report.json"


def test_a_report_is_verified_alone(saved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert run(["check", str(saved), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["results"]["picard"]
    assert found["converged"]
    assert found["existence"]["status"] == "PROVED"
    assert found["existence"]["radius"] < 1e-8
    assert run(["check", str(saved)]) == 0
    assert "PROVED" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("path", "value", "what"),
    [
        (("solve", "picard", "profile", 0), 0.9, "solve.picard.residual: is "),
        (("solve", "picard", "residual"), 1e-30, "solve.picard.residual: is 1e-30; at the profile it is"),
        (("solve", "picard", "scale"), 7.0, "solve.picard.scale: is 7; the game's is"),
        (("solve", "picard", "tolerance"), 1e-30, "solve.picard.status: is 'converged', but"),
        (("solve", "picard", "profile"), [1.0], "solve.picard.profile: must hold 4 numbers"),
        (("document", "seed"), "x", "document.seed: must be a int"),
        (("document", "seed"), -5, "document.seed: must be at least 0; got -5"),
        (("document", "probe"), [1, [2, 3], 1, 1], "document.probe: is not that of the"),
        (("document", "probe"), [10**400, 1, 1, 1], "document.probe: is not that of the"),
        (("document", "arrays"), {"\ud800": ""}, "document.arrays: holds a name that no file can have"),
        (("document", "arrays"), {".": ""}, "document.arrays..: cannot be a file beside the others: Is a directory"),
        (("document", "arrays"), {"a": "", "a/b": ""}, "document.arrays.a/b: cannot be a file beside the others"),
        (("solve", "picard", "profile", 0), 10**400, "solve.picard.profile: must hold 4 numbers"),
        (("solve", "picard", "tolerance"), 10**400, "solve.picard.tolerance: must be a number that is not negative"),
        (("solve", "picard", "tolerance"), "inf", "solve.picard.tolerance: is inf; the scenario was run with 1e-09"),
        (("solve", "picard", "tolerance"), 0.5, "solve.picard.tolerance: is 0.5; the scenario was run with 1e-09"),
        (("solve", "picard", "status"), "fine", "solve.picard.status: is 'fine', which is no status"),
        (("solve",), {"nonsense": {"method": "none"}}, "solve: holds 'nonsense', which is no method of the scenario"),
        (("solve",), {"\ud800": {"method": "picard"}}, "which is no method of the scenario and names none"),
        (("document", "arrays", "arrays.npz"), "!!", "is not base64 text"),
        (("document", "text"), _SCENARIO.replace("0.1, 0.2]]", "0.1, 0.3]]"), "document.probe: is not that of the"),
        (("document", "text"), "name: [", "report.json: document.text:"),
        (("document", "arrays"), {"../../../arrays.npz": ""}, "outside the scenario's folder"),
        (("document",), None, "is no saved report"),
        (("solve", "picard", "nash_gap"), 1e-3, "solve.picard.nash_gap: is 0.001; at the profile it is"),
        (("solve", "picard", "nash_gap"), "inf", "solve.picard.nash_gap: is inf; at the profile it is"),
        (("solve", "picard", "nash_gap"), -1e-12, "solve.picard.nash_gap: is -1e-12; at the profile it is"),
        (("solve", "picard", "nash_gap"), None, "solve.picard.nash_gap: must be a number; got nothing"),
        (
            ("solve", "picard", "guarantee", "status"),
            "REFUTED",
            "is 'REFUTED'; of this game picard says PROVED",
        ),
        (("solve", "picard", "guarantee", "statement"), "it converges", "guarantee.statement: is 'it converges'; of"),
        (
            ("solve", "picard", "guarantee", "margin"),
            0.9,
            "guarantee.margin: is 0.9; of this game it is 0.7",
        ),
        (("solve", "picard", "guarantee"), None, "solve.picard.guarantee: must be a mapping"),
        (("solve", "picard", "method"), "km", "solve.picard.method: is 'km'; the scenario's is 'picard'"),
        (("solve", "picard", "provenance", "options"), {"map": "joint"}, "options: are not those of the scenario"),
        (("solve", "picard", "provenance"), None, "solve.picard.provenance.options: must be a mapping"),
        (("solve", "picard", "evaluations"), 3, "trace.evaluations: ends with 12; the result has 3"),
        (
            ("solve", "picard", "trace", "residual", 11),
            1e-4,
            "residual: ends with 0.0001; at the profile it is 2.",
        ),
        (("solve", "picard", "trace", "residual"), [1.0], "trace: has 1 residuals, 12 evaluations and 12 seconds"),
        (("solve", "picard", "trace", "seconds", 0), 1e9, "solve.picard.trace.seconds: must not decrease"),
        (
            ("solve", "picard", "trace", "residual"),
            "x",
            "trace.residual: must be a list of numbers that are",
        ),
        (("solve", "picard", "trace"), [], "solve.picard.trace: must be a mapping"),
        (("solve", "picard", "trace", "evaluations", 0), 99, "solve.picard.trace.evaluations: must not decrease"),
        (("solve", "picard", "iterations"), 3, "trace: has 11 steps; the result has 3"),
        (("solve", "picard", "seconds"), "x", "solve.picard.seconds: must be a number that is not negative; got 'x'"),
        (
            ("solve", "picard", "guarantee", "witness", "factor"),
            0.1,
            "witness: is not that which picard gives",
        ),
        (("solve", "picard", "guarantee", "method"), "faith", "guarantee.method: is 'faith'; of this game it is"),
        (("solve", "picard", "guarantee", "would_change"), "all", "guarantee.would_change: is 'all'; of this game it"),
        (("solve", "picard", "guarantee", "references"), [], "guarantee.references: are a list; they are ["),
        (("solve", "picard", "provenance", "method"), "km", "provenance.method: is 'km'; the result's is 'picard'"),
        (("solve", "picard", "trace", "nash_gap"), "x", "trace.nash_gap: must be null or a list of 12 numbers"),
        (("scenario", "file"), "other.yaml", "scenario.file: is 'other.yaml'; the document's is"),
        (("game", "size"), 5, "game.size: is 5; of this scenario it is 4"),
        (("game",), None, "game.players: is nothing; of this scenario it is a list"),
        (("scenario", "name"), "pairs", "scenario.name: is 'pairs'; of this scenario it is 'pair'"),
        (("ok",), False, "ok: is false; by the results and expectations it is true"),
        (("expect",), [{}], "expect: must be a list of the scenario's expectations, 0 in number"),
        (("training",), {"picard": {"kind": "minimiser"}}, "training: is of a scenario that trains nothing"),
        (("solve",), {}, "solve: holds no result"),
    ],
)
def test_what_was_tampered_with_is_located(
    saved: Path, capsys: pytest.CaptureFixture[str], path: tuple, value: object, what: str
) -> None:
    data = json.loads(saved.read_text())
    place = data
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    saved.write_text(json.dumps(data, indent=1))
    capsys.readouterr()
    assert run(["check", str(saved)]) == 2
    error = capsys.readouterr().err
    assert what in error
    assert error.startswith(f"{saved}:")
    assert "Traceback" not in error


def test_what_is_not_json_is_located(saved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    saved.write_text('{"document":\n  {,}}')
    capsys.readouterr()
    assert run(["check", str(saved)]) == 2
    assert capsys.readouterr().err.startswith(f"{saved}:2:4: is not JSON")
    assert run(["run", "gallery:three_imitators", "--save", str(saved.parent / "none" / "x.json")]) == 2


def test_a_status_that_the_scenario_does_not_expect_is_told(saved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = json.loads(saved.read_text())
    expectation = "expect: [{what: solve.picard.status, is: converged, origin: a contraction}]\n"
    data["document"]["text"] += expectation
    met = {"what": "solve.picard.status", "is": "converged", "found": "converged", "met": True}
    data["expect"] = [{**met, "origin": "a contraction"}]
    saved.write_text(json.dumps(data))
    assert run(["check", str(saved)]) == 0
    data["solve"]["picard"]["status"] = "diverged"
    saved.write_text(json.dumps(data))
    capsys.readouterr()
    assert run(["check", str(saved)]) == 2
    error = capsys.readouterr().err
    assert "expect[0].found: is 'converged'; by this file it is 'diverged'" in error
    assert "expect[0].met: is true; by this file it is false" in error
    assert "ok: is true; by the results and expectations it is false" in error
    data["expect"][0] |= {"found": "diverged", "met": False}
    data["ok"] = False
    saved.write_text(json.dumps(data))
    capsys.readouterr()
    assert run(["check", str(saved)]) == 1
    assert "solve.picard.status" in capsys.readouterr().out
    data["potential"] = {"exact": {"status": "PROVED"}}
    saved.write_text(json.dumps(data))
    assert run(["check", str(saved)]) == 1
    assert "taken from the file, not recomputed: the reports of potential" in capsys.readouterr().out
    data["document"]["text"] = data["document"]["text"].replace("is: converged", "is: diverged")
    data["expect"][0] |= {"is": "diverged", "met": True}
    data["ok"] = True
    saved.write_text(json.dumps(data))
    assert run(["check", str(saved)]) == 0


def test_a_run_with_another_tolerance_is_verified_with_it(tmp_path: Path) -> None:
    (tmp_path / "ring.yaml").write_text(_SCENARIO.replace("{file: arrays.npz, key: w}", "[[0.4, -0.3], [0.2, 0.5]]"))
    report = tmp_path / "report.json"
    assert run(["run", str(tmp_path / "ring.yaml"), "--tolerance", "1e-4", "--save", str(report)]) == 0
    assert run(["check", str(report)]) == 0
    data = json.loads(report.read_text())
    del data["document"]["tolerance"]
    report.write_text(json.dumps(data))
    assert run(["check", str(report)]) == 2
    data["solve"]["picard"]["tolerance"] = 1e-9
    data["solve"]["picard"]["status"] = "max_iterations"
    data["ok"] = False
    report.write_text(json.dumps(data))
    assert run(["check", str(report)]) == 1


_TRAINING = """name: separable
training:
  data: {inputs: [[-2], [-1], [1], [2]], targets: [[0], [0], [1], [1]]}
  layers: [{activation: logistic}]
solve: {methods: [newton_descent]}
expect: [{what: training.newton_descent.kind, is: no minimiser, origin: the classes are separable}]
"""


def test_a_report_of_training_is_verified_with_what_was_trained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scenario, report = tmp_path / "separable.yaml", tmp_path / "report.json"
    scenario.write_text(_TRAINING)
    assert run(["run", str(scenario), "--save", str(report)]) == 0
    assert run(["check", str(report)]) == 0
    assert "newton descent  UNDECIDED  No ball around the profile is decided" in capsys.readouterr().out
    data = json.loads(report.read_text())
    for path, value, what in (
        (("kind",), "minimiser", "kind: is 'minimiser'; of this network it is 'no minimiser'"),
        (("loss",), 0.5, "loss: is 0.5; of this network it is "),
        (("training_accuracy",), 0.25, "training_accuracy: is 0.25; of this network it is 1.0"),
        (("minimiser", "status"), "PROVED", "minimiser.status: is 'PROVED'; of this network it is 'REFUTED'"),
    ):
        place = data["training"]["newton_descent"]
        for step in path[:-1]:
            place = place[step]
        before, place[path[-1]] = place[path[-1]], value
        report.write_text(json.dumps(data))
        assert run(["check", str(report)]) == 2
        assert f"training.newton_descent.{what}" in capsys.readouterr().err
        place[path[-1]] = before
    data["training"] = {"someone": {}}
    report.write_text(json.dumps(data))
    assert run(["check", str(report)]) == 2
    assert "training: holds 'someone', which is no result" in capsys.readouterr().err


def test_a_batch_is_no_saved_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    game = nng.Network.ring([[[0.5]], [[0.5]]], [[0.0], [1.0]], ["tanh", "tanh"]).game()
    file = tmp_path / "batch.json"
    file.write_text(json.dumps(nng.solve_batch(game, np.zeros((3, 2)), "picard").to_dict()))
    assert run(["check", str(file)]) == 2
    error = capsys.readouterr().err
    assert error == (
        f"{file}:1:1: is no saved report of a solve: it has no key 'document', which 'nngames run FILE --save' writes "
        "of scenarios that solve\n"
    )


@pytest.mark.parametrize("methods", ["auto", "best_response,km,extragradient", "scipy:hybr", "potential_descent"])
def test_runs_by_other_methods_are_verified(tmp_path: Path, methods: str) -> None:
    """A scheme that cannot take the game is skipped, and nothing is proved of its run."""
    (tmp_path / "ring.yaml").write_text(_SCENARIO.replace("{file: arrays.npz, key: w}", "[[0.4, -0.3], [0.2, 0.5]]"))
    report = tmp_path / "report.json"
    code = run(["run", str(tmp_path / "ring.yaml"), "--method", methods, "--save", str(report)])
    assert run(["check", str(report)]) == code
    data = json.loads(report.read_text())
    for label, given in data["solve"].items():
        claimed = "UNDECIDED" if given["guarantee"]["status"] != "UNDECIDED" else "PROVED"
        data["solve"][label]["guarantee"]["status"] = claimed
        report.write_text(json.dumps(data))
        assert run(["check", str(report)]) == 2
