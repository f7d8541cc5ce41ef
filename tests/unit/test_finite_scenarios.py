"""Finite games in scenarios: from costs, payoffs or a .nfg file, and complaints at the key behind them."""

from __future__ import annotations

from pathlib import Path

import pytest

import nngames as nng
from nngames.scenario import ScenarioError, load_scenario, run_scenario

GAME = "name: a game\ngame:\n  kind: finite\n"
NFG = 'NFG 1 R "t" { "A" "B" } { 2 2 }\n3 3 5 0 0 5 1 1\n'


def written(folder: Path, text: str, nfg: str = NFG) -> Path:
    (folder / "game.nfg").write_text(nfg)
    path = folder / "scenario.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    "given",
    [
        "  file: game.nfg\n",
        "  payoffs: {A: [[3, 0], [5, 1]], B: [[3, 5], [0, 1]]}\n",
        "  costs: {A: [[-3, 0], [-5, -1]], B: [[-3, -5], [0, -1]]}\n  strategies: {B: [x, y], A: ['1', '2']}\n",
    ],
)
def test_the_three_sources_give_the_same_game(tmp_path: Path, given: str) -> None:
    scenario = load_scenario(written(tmp_path, GAME + given + "checks: [potential, outcomes, certify]\n"))
    game = scenario.game
    assert isinstance(game, nng.FiniteGame)
    assert game.exact
    assert game.players == ("A", "B")
    assert game.payoffs.tolist() == [[[3, 0], [5, 1]], [[3, 5], [0, 1]]]
    assert "4 profiles" in scenario.summary
    report = run_scenario(scenario).to_dict()
    assert report["potential"]["exact"]["status"] == "PROVED"
    # The checks that need actions in R^n say so and stop nothing.
    assert "not finite games" in str(report["outcomes"])
    assert "not finite games" in str(report["certify"])


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("  costs: {A: [1, 2]}\nsolve: {methods: [km]}\n", "5:8: solve: solvers take games with actions in R^n"),
        ("  costs: {A: [1, 2]}\ncost: tracking\n", "5:7: cost: belongs to a network; a finite game"),
        ("  costs: {A: [1, 2]}\noutput: {plot: a.png}\n", "5:16: output.plot: there is no picture"),
        ("  strategies: {A: [x]}\n", "3:3: game: needs a file, costs or payoffs"),
        ("  costs: {A: [1, 2]}\n  payoffs: {A: [1, 2]}\n", "3:3: game: needs a file, costs or payoffs"),
        ("  costs: {A: [1, 2]}\n  strategies: {B: [x]}\n", "5:15: game.strategies: 'B' is not a player"),
        ("  costs: {A: [[1, 2]], B: [[1], [2]]}\n", "4:27: game.costs.B: has the shape (2, 1)"),
        ("  costs: {A: [1, x]}\n", "4:14: game.costs.A: costs must be numbers"),
        ("  costs: {A: [[1, 2]]}\n", "3:3: game: the table of a finite game"),
        ("  file: ../game.nfg\n", "4:9: game.file: the file '../game.nfg' lies outside"),
        ("  file: game.nfg\n", "4:9: game.file: game.nfg:1:7: expected R"),
    ],
)
def test_complaints_are_located(tmp_path: Path, text: str, start: str) -> None:
    path = written(tmp_path, GAME + text, 'NFG 1 D "t"')
    with pytest.raises(ScenarioError) as caught:
        _ = load_scenario(path).game
    assert str(caught.value).startswith(f"{path}:{start}")


def test_the_dilemma_in_words() -> None:
    text = load_scenario("gallery:prisoners_dilemma").game.explain()
    assert "player first: silent, confess" in text
    assert "(confess, silent)   0        3" in text
    assert r"(confess, silent) & 0 & 3 \\" in load_scenario("gallery:prisoners_dilemma").game.explain("latex")


def test_compare_skips_and_diagnose_refuses() -> None:
    scenario = load_scenario("gallery:prisoners_dilemma")
    result = nng.compare(scenario, ["km"]).rows[0].result
    assert result.status == "skipped"
    assert "not finite games" in result.message
    with pytest.raises(nng.NotApplicableError, match="not finite games"):
        nng.diagnose(scenario.game)
