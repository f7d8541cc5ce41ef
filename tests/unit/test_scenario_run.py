"""Running scenarios: expectations decide, parts can be run alone, and an interruption keeps what was reached."""

import json

import numpy as np
import pytest

from nngames.results.result import REPORTED
from nngames.scenario import RunInterrupted, ScenarioError, load_scenario, run_parts, run_scenario
from nngames.scenario import run as run_module
from nngames.scenario.expect_section import Expectation
from nngames.scenario.expectations import MissingPathError, evaluate, find, near, same
from nngames.scenario.templates import KINDS, template

REPORT = {
    "solve": {"km 0.2": {"status": "converged", "profile": [1.0, 2.0], "on": True}, "km": {"status": "cycling"}},
    "outcomes": {"count": 1, "gain": "4/9", "points": [[0, 1], [1, 0]], "empty": []},
}

RING = """\
name: r
network:
  kind: ring
  layers:
    - {activation: identity, weight: -2}
    - {activation: identity, weight: -2}
    - {activation: identity, weight: -2}
solve:
  methods: [picard, extragradient]
  start: [1, 1, 1]
checks: [certify]
"""


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("solve.km 0.2.status", "converged"),
        ("solve.km.status", "cycling"),
        ("solve.km 0.2.profile.1", 2.0),
        ("outcomes.points.1.0", 1),
        ("outcomes", REPORT["outcomes"]),
    ],
)
def test_paths_lead_through_dotted_keys_and_lists(path, value):
    assert find(REPORT, path) == value


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("solv.km.status", "the report has no 'solv'; did you mean 'solve'? valid: solve, outcomes"),
        ("solve.kn.status", "solve has no 'kn'; valid: km 0.2, km"),
        ("solve.km.statu", "solve.km has no 'statu'; did you mean 'status'? valid: status"),
        ("outcomes.count.x", "outcomes.count is 1, which has no 'x'"),
        ("outcomes.points.2", "outcomes.points is a list and has no entry '2'; valid: 0 to 1"),
        ("outcomes.empty.0", "outcomes.empty is a list and has no entry '0'; valid: none, it is empty"),
    ],
)
def test_a_path_that_leads_nowhere_names_the_valid_keys(path, message):
    with pytest.raises(MissingPathError) as caught:
        find(REPORT, path)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("found", "expected", "answer"),
    [
        ("a", "a", True),
        ("a", "b", False),
        (1, 1.0, True),
        (1, True, False),
        (True, True, True),
        (True, 1, False),
        ("1", 1, False),
        (["a", 1], ["a", 1], True),
        (["a", 1], ["a"], False),
        ([True], [1], False),
        (None, False, False),
    ],
)
def test_is_compares_exactly(found, expected, answer):
    assert same(found, expected) is answer


@pytest.mark.parametrize(
    ("found", "expected", "answer"),
    [
        (1.0, 1.001, True),
        (1.0, 1.1, False),
        ([1, 2.001], [1, 2], True),
        ([1, 2], [1], False),
        ([[1], [2]], [[1], [2]], True),
        ([1, 2], 1, False),
        ("nan", 1, False),
        (True, 1, False),
        (float("nan"), 1, False),
    ],
)
def test_near_compares_every_entry(found, expected, answer):
    assert near(found, expected, 0.01) is answer


@pytest.mark.parametrize(
    ("given", "met", "text"),
    [
        ({"is": "converged"}, True, "solve.km 0.2.status is converged: met"),
        ({"is": "diverged"}, False, "solve.km 0.2.status is diverged: not met, it is converged"),
        ({"at_most": 1.0}, False, "solve.km 0.2.status is at most 1: not met, it is converged"),
    ],
)
def test_statements_say_what_was_found(given, met, text):
    expectation = Expectation.model_validate({"what": "solve.km 0.2.status", "origin": "o", **given})
    statement = evaluate(expectation, REPORT)
    assert (statement.met, str(statement)) == (met, text)


def test_bounds_and_near_in_words():
    near_one = {"what": "outcomes.points.0", "near": [0, 1.5], "tolerance": 0.1, "origin": "o"}
    assert str(evaluate(Expectation.model_validate(near_one), REPORT)) == (
        "outcomes.points.0 is near [0, 1.5] to 0.1: not met, it is [0, 1]"
    )
    bound = {"what": "outcomes.count", "at_least": 1, "origin": "o"}
    assert evaluate(Expectation.model_validate(bound), REPORT).met is True


@pytest.mark.parametrize("kind", KINDS)
def test_templates_run_and_meet_their_expectations(kind):
    report = run_scenario(template(kind))
    assert [str(statement) for statement in report.expectations if not statement.met] == []
    assert report.ok
    json.dumps(report.to_dict(trace=True), allow_nan=False)


def expecting(*lines: str):
    return run_scenario(RING + "expect:\n" + "".join(f"  - {line}\n" for line in lines))


def test_a_label_that_begins_with_another_one_is_left_open_where_it_was_not_asked_for():
    text = RING.replace("[picard, extragradient]", "[extragradient, {method: picard, label: extragradient.not}]")
    text += "expect: [{what: solve.extragradient.not.status, is: diverged, origin: o}]\n"
    assert [statement.met for statement in run_scenario(text).expectations] == [True]
    assert [statement.met for statement in run_scenario(text, ["extragradient"]).expectations] == [None]


def test_a_solve_that_does_not_converge_must_be_stated():
    silent = expecting("{what: solve.extragradient.status, is: converged, origin: o}")
    assert silent.unexpected == ("picard",)
    assert not silent.ok
    stated = expecting("{what: solve.picard.status, is: diverged, origin: o}")
    assert stated.results["extragradient"].converged
    assert stated.ok
    wrong = expecting("{what: solve.picard.status, is: converged, origin: o}")
    assert not wrong.ok


def test_a_wrong_path_is_located_before_and_after_the_run(monkeypatch):
    with pytest.raises(ScenarioError) as caught:
        expecting("{what: solve.picrd.status, is: diverged, origin: o}")
    assert str(caught.value) == (
        "<text>:13:12: expect[0].what: nothing in this scenario reports 'solve.picrd.status'; "
        "did you mean 'solve.picard'? valid: certify, game, scenario, solve.extragradient, solve.picard"
    )
    with monkeypatch.context() as changed:
        changed.setattr(run_module, "compare", lambda *given, **options: pytest.fail("it ran"))
        with pytest.raises(ScenarioError) as caught:
            expecting("{what: solve.picard.iteratoins, is: 3, origin: o}")
    assert str(caught.value).startswith(
        "<text>:13:12: expect[0].what: solve.picard has no 'iteratoins'; did you mean 'iterations'? valid: method, "
    )
    assert tuple(run_scenario(RING).results["picard"].to_dict(trace=False)) == REPORTED
    with pytest.raises(ScenarioError) as caught:
        expecting("{what: game.sise, is: 3, origin: o}", "{what: game.sizes.1.0, is: 3, origin: o}")
    assert str(caught.value).splitlines() == [
        "<text>:13:12: expect[0].what: game has no 'sise'; did you mean 'size'? valid: players, sizes, size, cost",
        "<text>:14:12: expect[1].what: game.sizes.1 is 1, which has no '0'",
    ]


def test_parts_leave_the_other_expectations_open():
    scenario = load_scenario(
        RING
        + "expect:\n  - {what: solve.picard.status, is: diverged, origin: o}\n  - {what: game.size, is: 3, origin: o}\n"
    )
    report = run_parts(scenario, (), ())
    assert [statement.met for statement in report.expectations] == [None, True]
    assert report.ok
    assert str(report.expectations[0]) == "solve.picard.status is diverged: not asked here"


def test_changes_replace_the_files_values_and_are_checked():
    scenario = load_scenario(RING)
    changed = scenario.with_changes(seed=7, tolerance=1e-3, max_iterations=5, max_seconds=2.0)
    assert changed.section.seed == 7
    assert changed.section.stopping.model_dump() == {"tolerance": 1e-3, "max_iterations": 5, "max_seconds": 2.0}
    assert scenario.section.stopping.max_iterations == 10_000
    for name, value, message in [
        ("tolerance", 2.0, "tolerance must be less than 1; got 2.0"),
        ("max_iterations", 0, "max_iterations must be at least 1; got 0"),
        ("max_seconds", -1.0, "max_seconds must be greater than 0; got -1.0"),
        ("seed", -1, "seed must be at least 0; got -1"),
    ]:
        with pytest.raises(ValueError, match=f"^{message}$"):
            scenario.with_changes(**{name: value})


def test_files_are_written_where_the_scenario_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    report = run_scenario(template("chain") + "\noutput: {save: report.json}\n")
    saved = json.loads((tmp_path / "report.json").read_text())
    assert saved["solve"]["picard"]["profile"] == report.results["picard"].profile.tolist()
    assert len(saved["solve"]["picard"]["trace"]["residual"]) == len(report.results["picard"].trace.residual)


def test_a_folder_that_is_missing_is_told_before_anything_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ScenarioError) as caught:
        run_scenario(RING + "output: {save: no/report.json}\n", progress=lambda line: pytest.fail(line))
    assert str(caught.value) == "<text>:12:16: output.save: there is no folder 'no' to write into"


def test_an_interruption_keeps_what_was_reached(monkeypatch):
    scenario = load_scenario(template("ring"))
    real = run_module._solve

    def interrupted(scenario, method, gaps):
        if method.label == "averaged":
            raise KeyboardInterrupt
        return real(scenario, method, gaps)

    monkeypatch.setattr(run_module, "_solve", interrupted)
    with pytest.raises(RunInterrupted) as caught:
        run_scenario(scenario)
    report = caught.value.report
    assert list(report.results) == ["picard"]
    assert [statement.met for statement in report.expectations] == [None]


def test_random_starts_and_arrays_come_from_the_seed():
    text = template("ring").replace("start: zero      ", "start: random    ")
    first, again = run_scenario(text), run_scenario(text)
    np.testing.assert_array_equal(first.results["picard"].profile, again.results["picard"].profile)
    other = run_scenario(load_scenario(text).with_changes(seed=2))
    assert not np.array_equal(first.results["picard"].profile, other.results["picard"].profile)
