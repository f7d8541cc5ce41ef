"""The gallery: every scenario under ``scenarios/`` runs from the command line with everything it expects met."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nngames.cli.main import run
from nngames.scenario import load_scenario

GALLERY = Path(__file__).resolve().parents[2] / "scenarios"
FILES = sorted(GALLERY.rglob("*.yaml"))

scenario_files = pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(GALLERY).as_posix())


@scenario_files
def test_a_scenario_runs_and_meets_its_expectations(path, capsys):
    code = run(["run", str(path), "--json"])
    output = capsys.readouterr()
    report = json.loads(output.out)
    assert [statement for statement in report["expect"] if statement["met"] is not True] == []
    assert (code, report["ok"]) == (0, True), output.err


@scenario_files
def test_a_scenario_says_what_it_shows_and_where_it_comes_from(path):
    scenario = load_scenario(path)
    sentences = [part for part in scenario.description.replace("?", ".").split(". ") if part.strip()]
    assert 2 <= len(sentences) <= 6
    assert scenario.section.source.strip()
    assert scenario.section.solve is not None
    assert scenario.section.expect


def test_the_gallery_is_complete():
    assert len(FILES) >= 15
    names = [load_scenario(path).name for path in FILES]
    assert len(set(names)) == len(names)
    stems = [path.stem for path in FILES]
    assert len(set(stems)) == len(stems), "gallery:NAME must be unique"
