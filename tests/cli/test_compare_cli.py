"""``nngames compare`` as typed: suites, seeds, repetitions, files, and what a kill and a second call do."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from interruptions import ENDLESS_SCENARIO

import nngames
from nngames.cli import main as cli

ROOT = Path(nngames.__file__).parent.parent

RING = """\
name: NAME
network:
  kind: ring
  layers:
    - {activation: tanh, weight: 0.5, bias: 1}
    - {activation: tanh, weight: -0.5}
solve:
  methods: [picard, km]
expect:
  - {what: solve.picard.status, is: converged, origin: the weights contract}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("suite/more").mkdir(parents=True)
    for place in ("a", "b", "more/c"):
        name = place[-1]
        Path(f"suite/{place}.yaml").write_text(RING.replace("NAME", f"game {name}").replace("-0.5", f"-0.{ord(name)}"))
    return tmp_path


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Any:
    def run(*arguments: str) -> tuple[int, str, str]:
        code = cli.run(("compare", *arguments))
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def start(*arguments: str) -> Any:
    return subprocess.Popen(
        [sys.executable, "-m", "nngames", "compare", *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_suite_is_a_table_a_game_and_totals(command: Any) -> None:
    code, out, err = command("suite", "--repeat", "3", "--seeds", "2")
    assert code == 0
    lines = [line.rstrip() for line in out.splitlines()]
    assert lines[0] == "game a"
    assert lines[1].split("  ")[1] == "method"
    assert lines[2].split()[:3] == ["picard", "converged", "x6"]
    assert "game b" in lines
    assert "game c" not in lines
    header = "All games (ratios: seconds in units of the fastest method's, on the games solved)"
    totals = lines[lines.index(header) + 2 :]
    assert [line.split()[:4] for line in totals] == [[name, "2", "of", "2"] for name in ("picard", "km")]
    assert err.splitlines()[:2] == [
        "nngames: game a (seed 0): picard (1 of 3)",
        "nngames: game a (seed 0): km (1 of 3)",
    ]
    assert len(err.splitlines()) == 2 * 2 * 2 * 3
    assert "game c" in command("suite", "--full")[1]


def test_json_of_several_runs_is_rows_with_their_summary(command: Any) -> None:
    code, out, _ = command("suite", "suite/more/c.yaml", "--json", "--methods", "km,extragradient", "--repeat", "2")
    data = json.loads(out)
    assert code == 0
    assert set(data) == {"rows", "summary", "notes", "expect", "unexpected", "ok"}
    assert len(data["rows"]) == 3 * 2 * 2
    assert {row["call"] for row in data["rows"]} == {"first", "warm"}
    assert not any("profile" in row for row in data["rows"])
    assert [group["method"] for group in data["summary"]["groups"]] == ["km", "extragradient"] * 3
    assert [entry["met"] for entry in data["expect"]["game a"]] == [None]


def test_one_run_of_one_file_is_reported_as_run_does(command: Any) -> None:
    code, out, _ = command("suite/a.yaml", "--json")
    data = json.loads(out)
    assert code == 0
    assert set(data) == {"scenario", "game", "solve", "document", "expect", "ok"}
    assert data["expect"][0]["met"] is True
    code, out, _ = command("suite/a.yaml")
    assert "Times" in out
    assert "Expectations: 1 met" in out
    code, out, _ = command("suite/a.yaml", "--method", "km")
    assert "Times" not in out


def test_failures_and_what_is_not_expected_are_told_with_reasons(command: Any) -> None:
    Path("suite/a.yaml").write_text(RING.replace("NAME", "game a").replace("is: converged", "is: diverged"))
    code, out, _ = command("suite", "--methods", "picard,douglas_rachford", "--max-iterations", "2", "--repeat", "2")
    assert code == 1
    lines = [line.strip() for line in out.splitlines()]
    assert "max iterations x2" in out
    assert any(line.startswith("picard used its 2 iterations; residual ") for line in lines)
    last = "Not converged, and no expectation says so: game a: douglas_rachford; game b: douglas_rachford"
    assert lines[-1] == last
    assert "NOT MET  solve.picard.status is diverged; it is max_iterations [the weights contract]" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["suite", "--seeds", "x"], "--seeds takes whole numbers such as 0,1,5, or how many; got 'x'"),
        (["suite", "--seeds", ""], "--seeds takes whole numbers such as 0,1,5, or how many; got ''"),
        (
            ["suite", "--seeds", "1,1"],
            "seeds must be a positive integer or distinct nonnegative integers; got [1, 1]",
        ),
        (["suite", "--seeds", "2", "--seed", "1"], "give --seed or --seeds, not both"),
        (["suite", "--repeat", "0"], "repeat must be a positive integer; got 0"),
        (["suite", "--workers", "0"], "workers must be a positive integer; got 0"),
        (["suite", "--measure", "passes"], "--measure='passes' is unknown; valid: seconds, evaluations"),
        (
            ["suite", "--seeds", "99999999999999999999999"],
            "seeds as a number says how many, at most 100000; give a list, or seed, to run with that one",
        ),
        (["suite", "--seeds", "9" * 5000], "--seeds takes numbers of a few digits; got one of 5000"),
        (["suite", "--repeat", "99999999999"], "repeat must be at most 100000"),
        (["suite", "--csv", "."], "--csv .: that is a folder; give the name of a file"),
        (["suite", "--csv", "suite"], "--csv suite: that is a folder; give the name of a file"),
        (["suite", "--csv", "x.svg", "--profile", "./x.svg"], "two outputs name the same file"),
        (["suite", "--csv", "no/x.csv"], "--csv no/x.csv: there is no folder 'no' to write into"),
        (["suite", "--profile", "no/x.png"], "--profile no/x.png: there is no folder 'no' to write into"),
        (
            ["suite", "--profile", "x.gif"],
            "the picture 'x.gif' has the suffix '.gif', which is not supported; valid: .pdf, .png, .svg",
        ),
        (["suite", "--store", "suite/a.yaml"], "the store 'suite/a.yaml' is a file; give a folder"),
        (["suite/a.yaml", "--full"], "full is about the sub-folders of a folder; got suite/a.yaml"),
        (["gallery:nowhere/x"], "gallery:nowhere/x:1:1: the gallery has no scenario 'nowhere/x'; "),
    ],
)
def test_bad_input_is_refused_before_the_first_run(command: Any, arguments: list[str], message: str) -> None:
    code, out, err = command(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith(message)
    assert len(err.splitlines()) == 1
    assert sorted(path.name for path in Path().iterdir()) == ["suite"]


def test_tables_and_pictures_are_written_where_asked(command: Any) -> None:
    code, _, _ = command("suite", "--seeds", "0,4", "--csv", "r.csv", "--plot", "c.svg", "--profile", "p.svg")
    assert code == 0
    with Path("r.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["game"], row["seed"], row["method"]) for row in rows] == [
        (game, seed, method) for game in ("game a", "game b") for seed in ("0", "4") for method in ("picard", "km")
    ]
    for name in ("c.svg", "p.svg"):
        assert Path(name).read_text().startswith("<?xml")


def gone(pid: int) -> bool:
    """Return whether a process has ended, whoever is to take note of it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="needs /proc to see a worker's end")
def test_a_killed_command_loses_no_finished_run_and_the_next_one_repeats_none() -> None:
    arguments = ("suite", "--repeat", "40", "--store", "runs", "--workers", "1", "--json")
    running = start(*arguments)
    while len(list(Path("runs").glob("*.json"))) < 10 if Path("runs").is_dir() else running.poll() is None:
        time.sleep(0.01)
    children = Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text().split()
    running.kill()
    running.communicate(timeout=60)
    done = len(list(Path("runs").glob("*.json")))
    assert 10 <= done < 160
    deadline = time.monotonic() + 30
    while not all(gone(int(child)) for child in children) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(children) == 1
    assert gone(int(children[0]))
    assert len(list(Path("runs").glob("*.json"))) == done
    before = {path: path.read_bytes() for path in Path("runs").glob("*.json")}
    again = start(*arguments)
    out, err = again.communicate(timeout=120)
    assert (again.returncode, len(err.splitlines())) == (0, 160 - done)
    assert len(json.loads(out)["rows"]) == 160
    assert all(path.read_bytes() == content for path, content in before.items())
    assert len(list(Path("runs").glob("*.json"))) == 160


@pytest.mark.parametrize("more", [(), ("--workers", "1")])
def test_ctrl_c_prints_what_was_finished_and_exits_130(more: tuple[str, ...]) -> None:
    Path("slow.yaml").write_text(ENDLESS_SCENARIO)
    running = start("slow.yaml", "--json", "--store", "runs", "--csv", "r.csv", *more)
    for line in running.stderr:
        if "slow: endless" in line:
            break
    time.sleep(0.3)
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=60)
    data = json.loads(out)
    assert (running.returncode, err) == (130, "interrupted\n")
    assert data["solve"]["first"]["status"] == "converged"
    assert data["solve"]["endless"]["status"] == "interrupted"
    assert len(list(Path("runs").iterdir())) == 1
    with Path("r.csv").open(newline="") as stream:
        assert [row["status"] for row in csv.DictReader(stream)] == ["converged", "interrupted"]
