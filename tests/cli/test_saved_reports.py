"""Saved reports: verified from their file alone; what was tampered with is located."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from nngames.cli.main import run

_SCENARIO = """name: pair
network:
  kind: ring
  layers:
    - {weight: {file: arrays.npz, key: w}, bias: [0.1, 0.2], activation: tanh}
    - {weight: [[0.5, 0.0], [0.1, 0.2]], bias: [0.3, 0.0], activation: relu}
solve: {methods: [picard]}
"""


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    folder = tmp_path / "somewhere"
    folder.mkdir()
    np.savez(folder / "arrays.npz", w=np.array([[0.4, -0.3], [0.2, 0.5]]))
    (folder / "pair.yaml").write_text(_SCENARIO)
    assert run(["run", str(folder / "pair.yaml"), "--save", str(tmp_path / "report.json")]) == 0
    # The report must be enough.
    for file in folder.iterdir():
        file.unlink()
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
    saved.write_text(json.dumps(data))
    assert run(["check", str(saved)]) == 0
    data["solve"]["picard"]["status"] = "diverged"
    saved.write_text(json.dumps(data))
    assert run(["check", str(saved)]) == 1
    data["document"]["text"] = data["document"]["text"].replace("is: converged", "is: diverged")
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
    report.write_text(json.dumps(data))
    assert run(["check", str(report)]) == 1
