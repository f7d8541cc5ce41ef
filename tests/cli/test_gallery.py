"""The gallery: every scenario under ``scenarios/`` runs from the command line with everything it expects met.

Benchmarks are run where they are small, built where they are of middle size, and read where they are large.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from nngames.cli.main import run
from nngames.scenario import ScenarioError, gallery, load_scenario

GALLERY = Path(__file__).resolve().parents[2] / "scenarios"
FILES = sorted(GALLERY.rglob("*.yaml"))

#: The most neurons of a layer in a benchmark that is run here, and the most numbers in one that is built.
NEURONS, BUILT = 100, 150_000


def family(path):
    """Return a benchmark's generator; None for a scenario that lists its network."""
    section = load_scenario(path).section.network
    return section.generator.entry if section is not None and section.kind == "generated" else None


def is_run(path):
    made = family(path)
    return made is None or made.size <= NEURONS


def given(paths):
    return pytest.mark.parametrize("path", paths, ids=lambda path: path.relative_to(GALLERY).as_posix())


scenario_files = given(FILES)


def need_its_data(path):
    """Skip the test where the scenario's data set needs a package that is not installed."""
    training = load_scenario(path).section.training
    if training is not None and training.data.dataset is not None:
        pytest.importorskip("sklearn")


@given([path for path in FILES if is_run(path)])
def test_a_scenario_runs_and_meets_its_expectations(path, capsys):
    need_its_data(path)
    code = run(["run", str(path), "--json"])
    output = capsys.readouterr()
    report = json.loads(output.out)
    assert [statement for statement in report["expect"] if statement["met"] is not True] == []
    assert (code, report["ok"]) == (0, True), output.err


@given([path for path in FILES if not is_run(path) and family(path).entries <= BUILT])
def test_a_larger_benchmark_is_built(path):
    scenario = load_scenario(path)
    assert scenario.game.size > 0
    assert np.isfinite(scenario.game.residual(np.zeros(scenario.game.size)))


@scenario_files
def test_a_scenario_says_what_it_shows_and_where_it_comes_from(path):
    scenario = load_scenario(path)
    sentences = [part for part in scenario.description.replace("?", ".").split(". ") if part.strip()]
    assert 2 <= len(sentences) <= 6
    assert scenario.section.source.strip()
    finite = scenario.section.game is not None and scenario.section.game.kind == "finite"
    assert scenario.section.solve is not None or (finite and scenario.section.checks)
    assert scenario.section.expect


def test_the_gallery_is_complete():
    assert len(FILES) >= 15
    names = [load_scenario(path).name for path in FILES]
    assert len(set(names)) == len(names)
    stems = [path.stem for path in FILES]
    assert len(set(stems)) == len(stems), "gallery:NAME must be unique"


def test_the_suites_of_benchmarks_are_found_by_folder():
    suites = gallery.suites()
    assert 20 <= len(suites["bench"]) <= 30
    assert len(suites["bench/full"]) >= 50
    assert gallery.find("gallery:bench/iso_20_1") == gallery.find("gallery:iso_20_1")
    with pytest.raises(ScenarioError, match="no scenario 'bench/iso_20_9'; did you mean 'iso_20_1'"):
        gallery.find("gallery:bench/iso_20_9")
    with pytest.raises(ScenarioError, match="no scenario 'nowhere/iso_20_1'; did you mean 'iso_20_1'"):
        gallery.find("gallery:nowhere/iso_20_1")
