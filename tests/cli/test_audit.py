"""The verb audit as a user types it: the table, single activations, JSON, figures and wrong names."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nngames.cli.main import run


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert run(["audit", *arguments]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out


def test_the_table_has_every_row_with_its_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(capsys).splitlines()
    rows = [line.split() for line in lines if line[:3].strip().isdigit()]
    assert [int(row[0]) for row in rows[:47]] == list(range(1, 48))
    text = "\n".join(lines)
    assert "silu" in text
    assert "General claims" in text
    assert "47 rows of the source: 4 tight" in text
    assert all(line == line.rstrip() for line in lines)


def test_one_activation_in_full(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, "gaussian", "squareplus")
    assert "gaussian (row 19: Gaussian)" in text
    assert "verdict" in text
    assert "false" in text
    assert "0.857763884960706796480189641279" in text
    assert "It fails at x = 0 and y = 1" in text
    assert "<x, x> is read as x^2" in text
    assert "ball arithmetic on 3 parts" in text
    assert "squareplus" in text
    assert "not claimed" in text


def test_json_is_one_document_with_exact_witnesses(capsys: pytest.CaptureFixture[str]) -> None:
    report = json.loads(printed(capsys, "--json"))
    assert set(report) == {"counts", "rows", "general"}
    assert sum(report["counts"].values()) == 47
    by_name = {row["name"]: row for row in report["rows"]}
    assert by_name["silu"]["witness"]["x"] == "2"
    assert by_name["silu"]["witness"]["constant"] == "1"
    assert by_name["silu"]["proof"]["evidence"] == "balls"
    assert by_name["silu"]["proof"]["boxes"] > 10
    assert set(by_name["silu"]) == {
        "number", "name", "title", "claimed", "verdict", "statement", "parameters", "slopes", "digits", "infimum",
        "penalty", "valid_for", "witness", "proof", "law", "note",
    }  # fmt: skip
    assert by_name["sigmoid"]["infimum"] == "1/2"
    assert report["general"]["composition_rule_for_layers"]["status"] == "REFUTED"
    single = json.loads(printed(capsys, "silu", "--json"))
    assert single["rows"] == [by_name["silu"]]


def test_unknown_names_are_bad_input(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["audit", "gaussain"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("unknown activation 'gaussain'; did you mean 'gaussian'? valid: ")


def test_figures_are_drawn_into_a_folder(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run(["audit", "sin", "--plot", str(tmp_path / "sheets")]) == 0
    captured = capsys.readouterr()
    drawn = sorted((tmp_path / "sheets").iterdir())
    assert drawn
    assert all(path.suffix == ".png" and path.stat().st_size > 5000 for path in drawn)
    assert captured.err.count("wrote ") == len(drawn)
    (tmp_path / "file").write_text("")
    assert run(["audit", "--plot", str(tmp_path / "file")]) == 2
    assert str(tmp_path / "file") in capsys.readouterr().err
