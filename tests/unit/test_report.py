"""Reports on a terminal and off one, and the diagnosis: every line says what it rests on."""

import dataclasses
import io
import json
import re
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest
from rich.console import Console

import nngames as nng
from nngames.report.diagnose import diagnosis_of
from nngames.report.layout import columns, line
from nngames.report.structure_tables import print_cycle
from nngames.report.terminal import render
from nngames.report.words import number_words, seconds_words, small_words
from nngames.results.cycle import Cycle, Deviation
from nngames.scenario import run_scenario
from nngames.scenario.scenario_report import NotApplicable


def printed(report, width=40):
    """Return what is printed off a terminal."""
    stream = io.StringIO()
    render(report, Console(file=stream, width=width))
    return stream.getvalue()


def on_terminal(report, width, colour=True):
    stream = io.StringIO()
    render(report, Console(file=stream, width=width, force_terminal=True, color_system="standard" if colour else None))
    return stream.getvalue()


def plain(text):
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def minus_two():
    return nng.Network.ring([[[-2.0]]] * 3, [[1.0], [0.0], [0.0]], ["identity"] * 3).game()


def imitators():
    return nng.Network.ring([[[1.0]]] * 3, [[0.0]] * 3, ["identity"] * 3, names=["ann", "bob", "cem"]).game()


@pytest.fixture(scope="module")
def comparison():
    games = {"ring": minus_two(), "tracking": nng.Network.ring([[[0.5]], [[0.5]]], [[1], [0]], ["silu", "tanh"]).game()}
    return nng.compare(games, ["picard", "extragradient"], max_iterations=500)


# Layout


def test_off_a_terminal_nothing_is_folded_coloured_or_cut(comparison):
    for report in (comparison, nng.certify(minus_two()), nng.check_potential(imitators())):
        text = printed(report, width=20)
        assert "\x1b" not in text
        assert "\N{HORIZONTAL ELLIPSIS}" not in text
        assert all(row == row.rstrip() for row in text.splitlines())
        assert text == printed(report, width=500)


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_on_a_terminal_all_is_there_and_fits(comparison, width):
    text = plain(on_terminal(comparison, width))
    assert all(len(row) <= width for row in text.splitlines())
    letters = re.sub(r"\s", "", text)
    for row in comparison.rows:
        message = re.sub(r"\s", "", row.result.message)
        assert row.result.converged or message in letters
    if width == 200:
        # The same words as off a terminal, in the same order.
        assert text.split() == printed(comparison).split()


def test_statuses_are_coloured_on_a_terminal_only(comparison):
    assert "\x1b[32mconverged" in on_terminal(comparison, 120)
    assert "\x1b[31mdiverged" in on_terminal(comparison, 120)


def test_brackets_in_names_are_no_markup():
    stream = io.StringIO()
    for force in (False, True):
        console = Console(file=stream, width=80, force_terminal=force, color_system=None)
        columns(console, [["[bold]layer[0][/bold]", "[red]"]])
        line(console, "[i]x[/i]")
    assert stream.getvalue().count("[bold]layer[0][/bold]  [red]") == 2
    assert stream.getvalue().count("[i]x[/i]") == 2


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (number_words(3.0), "3"),
        (number_words(-0.33333333), "-0.3333"),
        (number_words(float("nan")), "-"),
        (number_words(1e300), "1e+300"),
        (small_words(0.0), "0"),
        (small_words(float("inf")), "inf"),
        (small_words(1.23e-10), "1.2e-10"),
        (seconds_words(3.2e-5), "32 us"),
        (seconds_words(0.0321), "32.1 ms"),
        (seconds_words(12.345), "12.3 s"),
    ],
)
def test_numbers_in_few_characters(words, expected):
    assert words == expected


def test_rich_and_matplotlib_load_on_first_use_only():
    code = (
        "import sys, nngames.report.terminal, nngames.report.diagnose, nngames.report.plots; "
        "assert not {'rich', 'matplotlib', 'networkx'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=60)


# Runs


def test_every_run_has_a_row_and_its_reason(comparison):
    text = printed(comparison)
    rows = [row.split() for row in text.splitlines()]
    assert rows[0] == ["ring"]
    assert rows[1] == ["method", "status", "residual", "Nash", "gap", "passes", "steps", "time", "guarantee"]
    picard, skipped = comparison.rows[0].result, comparison.rows[3].result
    assert rows[2][:2] == ["picard", "diverged"]
    assert rows[2][-1] == "none"
    assert rows[3][:2] == ["extragradient", "converged"]
    assert rows[3][-1] == "PROVED"
    assert picard.message in text
    assert ["extragradient", "skipped", "-", "-", "-", "-", "-", "-"] in rows
    assert skipped.message in text
    assert f"extragradient is proved to converge: {comparison.rows[1].result.guarantee.statement}" in text


def test_found_profile_is_printed_by_player():
    text = printed(nng.solve(imitators(), "extragradient", start=[0, 0, 1]))
    assert re.search(
        r"Profile found by extragradient:\n    ann  0.333333\n    bob  0.333333\n    cem  0.333333\n", text
    )


def test_agreement_of_converged_runs_is_told():
    game = nng.Network.graph({(1, 2): 2.0, (2, 1): 2.0}, {1: [0.0], 2: [0.0]}, "tanh").game()
    same = nng.compare(game, ["picard", "km"], start=[0.5, 0.5])
    assert "The 2 converged runs agree to" in printed(same)
    apart = {f"from {x}": nng.solve(game, "picard", start=[x, x]) for x in (0.5, -0.5)}
    stream = io.StringIO()
    from nngames.report.result_tables import print_results

    print_results(Console(file=stream), apart)
    assert "These runs ended elsewhere: from -0.5 (2.708 away)" in stream.getvalue()


def test_repetitions_are_numbered_and_told_once():
    text = printed(nng.compare(minus_two(), ["picard"], repeat=3, max_iterations=300))
    assert [row.split()[:2] for row in text.splitlines() if " #" in row] == [["picard", f"#{i}"] for i in (1, 2, 3)]
    assert text.count("picard diverges") == 1


def test_many_players_are_counted():
    game = nng.Network.graph({}, {i: [float(i)] for i in range(40)}, "identity").game()
    assert "and 28 more players; all are in .actions and in --json" in printed(nng.solve(game, "picard"))


# Structure


def test_certificates_have_one_line_each():
    verdicts = nng.certify(minus_two())
    rows = printed(verdicts).splitlines()
    assert len(rows) == len(verdicts)
    for row, (name, verdict) in zip(rows, verdicts.items(), strict=True):
        assert row.split(maxsplit=len(name.split("_")))[: len(name.split("_"))] == name.split("_")
        assert f"  {verdict.status} " in row
        assert row.endswith(verdict.text)


def test_a_verdict_alone():
    verdict = nng.certify(minus_two())["monotone"]
    assert printed(verdict) == f"{verdict}\n"


def test_potential_report_can_be_followed():
    report = nng.check_potential(imitators(), seed=0)
    rows = [row.split() for row in printed(report).splitlines()]
    names = [["exact"], ["weighted"], ["ordinal"], ["acyclic"], ["best", "response", "acyclic"]]
    assert [row[: len(name)] for row, name in zip(rows, names, strict=False)] == names
    assert ["step", "mover", "from", "to", "gain", "profile"] in rows
    start = next(i for i, row in enumerate(rows) if row[:1] == ["start"])
    state = report.cycle.deviations[0].before
    for row, deviation in zip(rows[start + 1 :], report.cycle.deviations, strict=False):
        where = imitators().space.slices[deviation.mover].start
        assert row[1] == deviation.mover
        assert (float(row[2]), float(row[3])) == (state[where], deviation.after[where])
        assert Fraction(row[4]) == deviation.gain
        assert np.array_equal(np.array(eval(" ".join(row[5:]))), deviation.after)
        state = deviation.after
    assert np.array_equal(state, report.cycle.deviations[0].before)
    assert "Gains are exact." in printed(report)


def test_weights_are_printed():
    game = nng.Network.ring([[[1.0, 2.0]], [[2.0], [4.0]]], [[0.0], [0.0, 1.0]], ["tanh", "relu"]).game()
    assert "weights: player 1 1, player 2 0.5" in printed(nng.check_potential(game))


def deviation(mover, before, after, gain):
    bounds = (float(gain), float(gain)) if isinstance(gain, Fraction) else gain
    exact = gain if isinstance(gain, Fraction) else None
    return Deviation(mover, np.array(before, float), np.array(after, float), exact, bounds, False)


def cycle_text(*steps):
    stream = io.StringIO()
    print_cycle(Console(file=stream), Cycle(steps, "proximal"))
    return stream.getvalue()


def test_long_fractions_say_where_they_are_whole():
    gain = Fraction(10**40 + 1, 3**80)
    text = cycle_text(deviation("a", (0, 1), (1, 1), gain), deviation("a", (1, 1), (0, 1), Fraction(1, 3)))
    assert f"{float(gain):.6g}" in text
    assert "1/3" in text
    assert "Gains are exact; the full fractions are in --json and to_dict()." in text


def test_enclosed_gains_are_rounded_down():
    text = cycle_text(deviation("a", (0, 1), (1, 1), (0.12349999, 0.2)), deviation("a", (1, 1), (0, 1), (2.0, 2.0)))
    assert "at least 0.1234\n" in text.replace("  (1, 1)", "")
    assert "Gains are enclosed in ball arithmetic." in text


def test_long_cycles_are_shortened_openly():
    steps = [deviation("a", (i,), (i + 1,), Fraction(1)) for i in range(50)]
    text = cycle_text(*steps)
    assert "... 17 more" in re.sub(" +", " ", text)
    assert re.search(r"\n +50 ", text)


def test_outcomes_are_counted_by_rule():
    network = nng.Network.ring([[[1.0]], [[-1.0]]], [[0.0], [0.0]], ["hard_tanh"] * 2)
    report = nng.check_outcomes(network.game(), starts=8, seed=0)
    rows = [" ".join(row.split()) for row in printed(report).splitlines()]
    assert "Outcomes of 8 starts by each rule:" in rows
    assert "outcome iterated averaged profile, or states of the cycle" in rows
    assert any(row.startswith("fixed point 1 8 (0, 0)") for row in rows)
    assert any(row.startswith("limit cycle of period 2") and " -> " in row for row in rows)
    assert "Equilibria found (1), each tested by minimising the costs:" in rows


def test_no_equilibrium_is_said():
    game = nng.Network.graph({(1, 2): 1.0, (2, 1): 1.0}, {1: [0.0], 2: [0.0]}, "softplus_beta").game()
    text = printed(nng.check_outcomes(game, starts=2, steps=200, seed=0))
    assert "No equilibrium was found, by the feeds or by any other method." in text


@dataclasses.dataclass
class OtherReport:
    decided: nng.Verdict
    figures: list

    def to_dict(self):
        return {}


def test_report_of_another_check_is_printed_by_field():
    verdict = nng.Verdict(nng.Decision.UNDECIDED, "it is open", "none")
    text = printed(OtherReport(verdict, list(range(1000))))
    assert re.search(r"decided  UNDECIDED  it is open\n", text)
    assert re.search(r"figures  \[0, 1, 2,.* \.\.\. \(\d+ characters; all in --json and to_dict\(\)\)\n", text)


def test_check_that_does_not_apply():
    assert printed(NotApplicable("a coupling is not linear")) == "  skipped: a coupling is not linear\n"


# Scenarios

SCENARIO = """
name: three imitators
description: |
  Each player imitates
  the one before.

  No potential.
network:
  kind: ring
  layers:
    - {name: ann, weight: [[1]], bias: [0], activation: identity}
    - {name: bob, weight: [[1]], bias: [0], activation: identity}
    - {name: cem, weight: [[1]], bias: [0], activation: identity}
solve:
  methods: [{method: picard, map: joint}, extragradient]
  start: [0, 0, 1]
checks: [certify, potential]
expect:
  - {what: potential.exact.status, is: REFUTED, origin: a ring of three}
  - {what: solve.extragradient.profile, near: [0.5, 0.5, 0.5], tolerance: 1e-6, origin: "a wrong [guess]"}
"""


@pytest.fixture(scope="module")
def scenario_report():
    return run_scenario(SCENARIO, gaps=True)


def test_scenario_report(scenario_report):
    text = printed(scenario_report)
    assert text.startswith("three imitators\nEach player imitates the one before.\nNo potential.\n")
    assert "Game: 3 players (ann, bob, cem), profiles in R^3, proximal cost\n" in text
    for heading in ("Solves", "What is proved (certificates)", "Potentials and improvement cycles"):
        assert f"\n\n{heading}\n" in text
    assert "\n\nExpectations: 1 met, 1 not met\n" in text
    assert re.search(r"\n  met +potential.exact.status is REFUTED \[a ring of three\]\n", text)
    near = "solve.extragradient.profile is near (0.5, 0.5, 0.5) to 1e-06; it is (0.333333, 0.333333, 0.333333)"
    assert f"\n  NOT MET  {near} [a wrong [guess]]\n" in text
    assert text.endswith("Not converged, and no expectation says so: picard\n")


def test_picture_of_a_scenario(scenario_report, tmp_path):
    figure = scenario_report.plot(tmp_path / "report.png")
    assert [axes.get_title(loc="left").split("\n")[0].split(":")[0] for axes in figure.axes] == [
        "How far the players are from their best answers",
        "What the players could gain by deviating alone",
        "Who listens to whom",
        "6 best responses that lead back to the start (proximal cost)",
    ]
    assert (tmp_path / "report.png").read_bytes().startswith(b"\x89PNG")


# Diagnosis


def evidence(diagnosis):
    return {finding.question: finding.evidence for finding in diagnosis.findings}


def test_contraction_is_proved_throughout():
    rng = np.random.default_rng(0)
    weight = rng.normal(size=(20, 20))
    weight *= 0.7 / np.linalg.norm(weight, 2)
    found = diagnosis_of(weight, rng.normal(size=20), "tanh")
    assert evidence(found) == {
        "settles?": "PROVED",
        "unique?": "PROVED",
        "how fast?": "PROVED",
        "potential?": "REFUTED",
    }
    fast = "in the proof's norm a pass leaves at most 0.7 of the distance: 59 passes for nine digits"
    assert found["how fast?"].answer == fast
    assert found["unique?"].answer == "yes: there is exactly one equilibrium"


def test_a_factor_near_one_is_told_from_one():
    found = diagnosis_of([[0.0, -0.9999999], [0.9999999, 0.0]], [1.0, 0.0], "identity")
    assert " a pass leaves at most 1 - 1.00e-07 of the distance: " in found["how fast?"].answer


def test_runs_that_settled_are_counted():
    # Norm 3, and M not monotone: no certificate is proved; biases of 9 saturate tanh wherever a run starts.
    weight = [[0.0, 3.0, 0.0], [0.0, 0.0, 3.0], [3.0, 0.0, 0.0]]
    found = diagnosis_of(weight, [9.0, 9.0, 9.0], "tanh")
    assert found["unique?"].answer == (
        "one exists (bounded activations, Brouwer); all 5 runs that settled ended at the same profile, which proves "
        "nothing about others"
    )


def test_rotation_cycles_and_is_averaged():
    found = diagnosis_of([[0.0, -1.0], [1.0, 0.0]], [1.0, 0.0], "identity")
    settles = found["settles?"]
    assert settles.evidence == "PROVED"
    assert settles.answer.startswith("averaged feeding converges from every start; measured: ")
    assert "3 cycles with period 4" in settles.answer
    assert evidence(found)["unique?"] == "PROVED"
    assert "'extragradient'" in found.next_step


def test_hopfield_network_has_a_potential_and_several_equilibria():
    weight = 2 * (np.ones((6, 6)) - np.eye(6)) / 5
    found = diagnosis_of(weight, np.zeros(6), "tanh", seed=1)
    assert evidence(found)["potential?"] == "PROVED"
    assert "exact" in found["potential?"].answer
    assert found["unique?"].evidence == "measured"
    assert found["unique?"].answer.startswith("no: one exists (bounded activations, Brouwer); the runs ended at ")


def test_nothing_settles_and_smaller_weights_are_proposed():
    weight = np.array([[0.0, -3.0], [3.0, 0.0]])
    found = diagnosis_of(weight, [1.0, 1.0], "identity")
    assert found["settles?"].answer == "feeding the output back from 3 starts: 3 diverged"
    weight = np.random.default_rng(3).normal(size=(30, 30)) * 2
    np.fill_diagonal(weight, 0.0)
    found = diagnosis_of(weight, np.ones(30), "tanh")
    assert evidence(found)["settles?"] == "measured"
    call, _, reason = found.next_step.partition("  # ")
    assert reason.startswith("nothing settles; scaled by ")
    scaled = eval(
        call.replace("nng.diagnose", "diagnosis_of"), {"diagnosis_of": diagnosis_of, "W": weight, "b": np.ones(30)}
    )
    assert evidence(scaled)["settles?"] == "PROVED"


def test_no_game_is_diagnosed_by_its_feeds():
    found = diagnosis_of([[1.5, 0.2], [0.1, 0.0]], [1.0, 0.0], "tanh")
    assert found["settles?"].answer == "iterated feed: 3 fixed point; averaged: 3 fixed point"
    assert found["potential?"].evidence == "open"
    assert (
        "the network has no game with the usual costs: 1[0]: its own cost has curvature -0.5"
        in found["potential?"].answer
    )
    assert found.next_step.startswith("nng.Network.recurrent(W, b, 'tanh').feed(")


def test_no_equilibrium_is_not_claimed():
    game = nng.Network.graph({(1, 2): 1.0, (2, 1): 1.0}, {1: [0.0], 2: [0.0]}, "softplus_beta").game()
    found = diagnosis_of(game)
    assert found["unique?"].evidence == "open"
    assert found["unique?"].answer == "no run settled: perhaps there is none"


def test_games_and_networks_are_taken_too():
    assert diagnosis_of(minus_two().network).subject == "a ring of 3 layers, size 3 (identity)"
    game = nng.QuadraticGame({"a": 2.0, "b": 2.0}, {("a", "b"): 1.0, ("b", "a"): 1.0}, {"a": -10.0, "b": -8.0})
    found = diagnosis_of(game)
    assert found.subject == "a quadratic game of 2 players, size 2"
    assert found["settles?"].answer == "yes: letting all players answer at once converges from every start"
    assert found["potential?"].answer.startswith("yes, an exact one (quadratic cost)")


def test_open_chain_never_comes_back():
    network = nng.Network.chain([np.ones((2, 2)), np.ones((1, 2))], [[0, 0], [0]], ["tanh", "relu"], [1.0, 2.0])
    found = diagnosis_of(network)["potential?"]
    assert found.evidence == "PROVED"
    assert found.answer.startswith("open, but players that improve one by one never come back to the start")


@pytest.mark.parametrize("subject", ["contraction", "rotation", "game"])
def test_next_step_can_be_called(subject):
    w, b = np.array([[0.2, -0.4], [0.5, 0.1]]), np.array([1.0, 0.0])
    if subject == "rotation":
        w = np.array([[0.0, -1.0], [1.0, 0.0]])
    name = "identity" if subject == "rotation" else "tanh"
    game = nng.Network.recurrent(w, b, name).game()
    found = diagnosis_of(game) if subject == "game" else diagnosis_of(w, b, name)
    result = eval(found.next_step, {"nng": nng, "W": w, "b": b, "game": game})
    assert result.converged


def test_diagnose_prints_what_it_returns(capsys):
    found = nng.diagnose([[0.2, -0.4], [0.5, 0.1]], [1.0, 0.0], "tanh")
    text = capsys.readouterr().out
    assert text.splitlines()[0] == "Diagnosis of a recurrent layer of size 2 (tanh)"
    assert text == printed(found)
    for finding in found.findings:
        assert f"{finding.answer} [{finding.source}]" in text
    assert text.splitlines()[-1] == f"  next: {found.next_step}"
    json.dumps(found.to_dict(), allow_nan=False)
    assert found.to_dict()["findings"][0]["question"] == "settles?"


def test_diagnosis_is_repeatable():
    weight = np.random.default_rng(5).normal(size=(4, 4)) * 0.5
    a, b = (diagnosis_of(weight, None, "sigmoid", seed=7) for _ in range(2))
    assert a.findings == b.findings
    assert a.next_step == b.next_step


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([[0.5]],), r"diagnose needs the activation of the recurrent layer: nng.diagnose(W, b, 'tanh')"),
        (([[0.5]], [0.0], "tahn"), r"unknown activation 'tahn'; did you mean 'tanh'?"),
        (([[0.5, 1.0]], [0.0], "tanh"), r"the weight of the edge 1 -> 1 has shape (1, 2); expected (1, 1)"),
        ((minus_two(), [0.0]), r"diagnose takes a bias and an activation with a weight matrix only"),
        (("text", None, "tanh"), r"W is not an array of real numbers"),
    ],
)
def test_unusable_subjects(arguments, message):
    with pytest.raises(nng.InputError, match=f"^{re.escape(message)}"):
        diagnosis_of(*arguments)


def test_unknown_question():
    with pytest.raises(KeyError, match="weather"):
        diagnosis_of(minus_two())["weather?"]
