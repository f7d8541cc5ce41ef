"""Finite games: costs, replies and regrets, sampling, Gambit's file format, and what is refused."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nngames as nng
from nngames.games.finite.nfg import NfgError
from nngames.games.finite.numbers import as_numbers

DILEMMA = [[[3, 0], [5, 1]], [[3, 5], [0, 1]]]


def dilemma() -> nng.FiniteGame:
    return nng.FiniteGame(payoffs=DILEMMA, players=["Row", "Column"], strategies=[["keep", "break"]] * 2)


def ring() -> nng.NetworkGame:
    return nng.Network.ring([[[0.5, 0.2]], [[0.5], [0.3]]], [[1.0], [0.0, 0.1]], ["tanh", "relu"]).game()


def test_costs_are_minus_payoffs_and_less_is_better() -> None:
    game = dilemma()
    assert game.cost("Row", ("break", "keep")) == -5
    assert game.cost("Column", {"Column": 0, "Row": "break"}) == 0
    assert (game.payoffs == np.array(DILEMMA)).all()
    assert game.best_responses("Row", [0, 0]) == (1,)
    assert game.regrets([0, 0]) == {"Row": 2, "Column": 2}
    assert game.nash_gap(["break", "break"]) == 0
    assert game.pure_equilibria().tolist() == [[1, 1]]
    assert game.names([1, 0]) == ("break", "keep")
    assert "exact" in repr(game)


def test_exact_numbers_stay_exact_and_floats_stay_floats() -> None:
    table = np.array([[Fraction(1, 3), Fraction(10**40, 7)]], dtype=object)
    game = nng.FiniteGame(table)
    assert game.exact
    assert game.cost(1, [1]) == Fraction(10**40, 7)
    assert (game.costs == table).all()
    assert not nng.FiniteGame([[0.5, 1.0]]).exact
    given = np.array([[0.5, 1.0]])
    held = nng.FiniteGame(given)
    given[0, 0] = 7
    assert held.cost(1, [0]) == 0.5
    assert nng.FiniteGame(payoffs=[[[1, 1], [1, 1]]] * 2).pure_equilibria().tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
    largest = np.array([2**63 - 1, -(2**63)])
    assert as_numbers(largest, "costs").values.tolist() == largest.tolist()


@pytest.mark.parametrize("scale", [1, 10**30])
def test_pure_equilibria_and_regrets_by_enumeration(scale: int) -> None:
    rng = np.random.default_rng(2)
    for sizes in ((3, 4), (2, 1, 3), (2, 2, 2, 2)):
        table = rng.integers(-3, 4, (len(sizes), *sizes)).astype(object) * scale
        game = nng.FiniteGame(table)
        stable = []
        for s in itertools.product(*map(range, sizes)):
            least = [min(table[(m, *s[:m], i, *s[m + 1 :])] for i in range(h)) for m, h in enumerate(sizes)]
            expected = [table[(m, *s)] - least[m] for m in range(len(sizes))]
            assert list(game.regrets(s).values()) == expected
            if not any(expected):
                stable.append(list(s))
        assert game.pure_equilibria().tolist() == stable


def test_a_sampled_game_has_the_costs_of_its_game() -> None:
    game = ring()
    first, second = game.players
    grids = {first: np.array([-0.5, 0.0, 0.7]), second: np.array([[0.0, 0.0], [1.0, 0.25]])}
    sampled = nng.FiniteGame.sampled(game, grids)
    assert sampled.players == game.players
    assert sampled.strategies == (("-0.5", "0.0", "0.7"), ("(0.0, 0.0)", "(1.0, 0.25)"))
    for i, j in itertools.product(range(3), range(2)):
        profile = np.concatenate([[grids[first][i]], grids[second][j]])
        for player in game.players:
            assert sampled.cost(player, [i, j]) == pytest.approx(game.cost(player, profile), abs=1e-15)


def test_a_sampled_equilibrium_on_the_grid_stays_one() -> None:
    game = nng.QuadraticGame({1: [[1.0]], 2: [[1.0]]}, {(1, 2): [[-0.5]], (2, 1): [[-0.5]]}, {1: [-0.5], 2: [-0.5]})
    grid = np.linspace(-1, 2, 7)
    sampled = nng.FiniteGame.sampled(game, {1: grid, 2: grid})
    assert [4, 4] in sampled.pure_equilibria().tolist()
    report = nng.check_potential(sampled)
    assert report.exact.proved
    assert nng.check_potential(game).exact.proved


NUMBERS = st.one_of(st.integers(-9, 9), st.fractions(), st.decimals(allow_nan=False, allow_infinity=False, places=3))
NAMES = st.text(st.sampled_from('ab\\" {},\n\té'), max_size=6)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.data())
def test_the_file_format_keeps_every_number_and_name(data: st.DataObject) -> None:
    sizes = data.draw(st.lists(st.integers(1, 3), min_size=1, max_size=3))
    count = len(sizes)
    table = np.empty(count * math.prod(sizes), dtype=object)
    table[:] = [Fraction(data.draw(NUMBERS)) for _ in table]
    game = nng.FiniteGame(
        table.reshape(count, *sizes),
        players=data.draw(st.lists(NAMES, min_size=count, max_size=count, unique=True)),
        strategies=[data.draw(st.lists(NAMES, min_size=h, max_size=h, unique=True)) for h in sizes],
        title=data.draw(NAMES),
        comment=data.draw(NAMES),
    )
    text = game.to_nfg()
    again = nng.FiniteGame.from_nfg(text)
    assert (again.costs == game.costs).all()
    assert (again.players, again.strategies) == (game.players, game.strategies)
    assert (again.title, again.comment) == (game.title, game.comment)
    assert again.to_nfg() == text


def test_floats_are_saved_as_the_rationals_they_are(tmp_path: Path) -> None:
    game = nng.FiniteGame([[0.1, -2.5e-7]])
    path = game.save(tmp_path / "game.nfg")
    again = nng.FiniteGame.from_nfg(path)
    assert again.exact
    assert [float(x) for x in again.costs.ravel()] == [0.1, -2.5e-7]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["game.nfg"]


def test_payoffs_run_with_the_first_player_fastest() -> None:
    text = 'NFG 1 R "t" { "A" "B" } { 2 3 }\n1 -1 2 .5 3 1/3 4 -1.5e1 5 0 6 +7'
    game = nng.FiniteGame.from_nfg(text)
    assert game.payoffs[0].tolist() == [[1, 3, 5], [2, 4, 6]]
    assert game.payoffs[1].tolist() == [[-1, Fraction(1, 3), 0], [Fraction(1, 2), -15, 7]]
    assert game.strategies == (("1", "2"), ("1", "2", "3"))


def test_outcomes_are_read_and_none_pays_nothing() -> None:
    text = """NFG 1 R "x \\"y\\"" { "p\\"1" "p2" } { { "a" "b" } { "c" "d" } } "com"
        { { "" 1/2, 1.5e-1 } { "o2" -3 .25 } }
        1 2 0 1"""
    game = nng.FiniteGame.from_nfg(text)
    assert game.payoffs[0].tolist() == [[Fraction(1, 2), 0], [-3, Fraction(1, 2)]]
    assert game.payoffs[1].tolist() == [[Fraction(3, 20), 0], [Fraction(1, 4), Fraction(3, 20)]]
    assert (game.title, game.comment, game.players[0]) == ('x "y"', "com", 'p"1')


HEAD = 'NFG 1 R "t" { "A" "B" } { 2 2 }\n'


@pytest.mark.parametrize(
    ("text", "line", "column", "words"),
    [
        ('NFG 2 R "t"', 1, 5, "version 1"),
        ('NFG 1 D "t"', 1, 7, "rational"),
        ('NFG 1 R { "A" }', 1, 9, "title"),
        ('NFG 1 R "t" { } { }', 1, 17, "1 to 31 players"),
        ('NFG 1 R "t" { "A" "B" }\n{ 2 }', 2, 5, "2 players; got 1"),
        ('NFG 1 R "t" { "A" }\n{ 2 2 }', 2, 5, "more than the 1"),
        ('NFG 1 R "t" { "A" }\n{ 0 }', 2, 3, "[1,"),
        ('NFG 1 R "t" { "A" }\n{ { } }', 2, 3, "at least one"),
        ('NFG 1 R "t" { "A" "B" }\n{ 4000 4000 }', 2, 8, "more than 8000000"),
        ('NFG 1 R "t" { "A" }\n{ 99999999999999999999 }', 2, 3, "number of strategies"),
        (HEAD + "1 1 2 2\n3 3 4", 3, 6, "payoff 8 of 8"),
        (HEAD + "1 1 2 2 3 3 4 4\n 5", 3, 2, "end of the file"),
        (HEAD + "1 1 2 x 3 3 4 4", 2, 7, "payoff 4 of 8"),
        (HEAD + "1 1 2 1/0 3 3 4 4", 2, 7, "divides by zero"),
        (HEAD + "1 1 2 1e999999999 3 3 4 4", 2, 7, "exponent"),
        (HEAD + "1 1 2 nan 3 3 4 4", 2, 7, "payoff 4"),
        (HEAD + "1 1 2 ٣ 3 3 4 4", 2, 7, "payoff 4"),
        (HEAD + "1 1 2 1_0 3 3 4 4", 2, 7, "payoff 4"),
        (HEAD + '{ { "a" 1 } }\n1 1 1 1', 2, 11, "player 2"),
        (HEAD + '{ { "a" 1 2 } }\n1 1 2 1', 3, 5, "[0, 1]"),
        (HEAD + '"never closed\n1', 2, 1, "never closed"),
        ("", 1, 1, "NFG"),
    ],
)
def test_what_is_wrong_is_located(tmp_path: Path, text: str, line: int, column: int, words: str) -> None:
    path = tmp_path / "bad.nfg"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(NfgError) as caught:
        nng.FiniteGame.from_nfg(path)
    assert str(caught.value).startswith(f"{path}:{line}:{column}: ")
    assert words in str(caught.value)
    assert (caught.value.line, caught.value.column) == (line, column)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(nng.InputError, match="cannot be read"):
        nng.FiniteGame.from_nfg(tmp_path / "none.nfg")
    (tmp_path / "bytes.nfg").write_bytes(b"NFG \xff")
    with pytest.raises(nng.InputError, match="UTF-8"):
        nng.FiniteGame.from_nfg(str(tmp_path / "bytes.nfg"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "either costs or payoffs"),
        ({"costs": DILEMMA, "payoffs": DILEMMA}, "either costs or payoffs"),
        ({"costs": [[1, 2], [3, 4]]}, "shape"),
        ({"costs": np.zeros((2, 2, 0))}, "shape"),
        ({"costs": 3}, "shape"),
        ({"costs": [[[1, 2], [3]]]}, "different lengths"),
        ({"costs": [[1.0, math.nan]]}, "finite"),
        ({"costs": [["1", "2"]]}, "numbers"),
        ({"costs": [[True, False]]}, "numbers"),
        ({"costs": np.array([[None, 1]], dtype=object)}, "numbers"),
        ({"costs": DILEMMA, "players": ["A"]}, "2 players"),
        ({"costs": DILEMMA, "players": ["A", "A"]}, "twice"),
        ({"costs": DILEMMA, "players": [1, "1"]}, "twice"),
        ({"costs": DILEMMA, "players": [1.5, 2]}, "int or a str"),
        ({"costs": DILEMMA, "strategies": [["a", "b"]]}, "each of the 2"),
        ({"costs": DILEMMA, "strategies": [["a", "b"], ["a"]]}, "2 strategies"),
        ({"costs": DILEMMA, "strategies": [["a", "b"], ["a", "a"]]}, "twice"),
        ({"costs": DILEMMA, "strategies": [["a", "b"], ["a", 3]]}, "is a str"),
        ({"costs": DILEMMA, "title": 3}, "title"),
        ({"costs": np.broadcast_to(0.0, (2, 2001, 2001))}, "at most"),
    ],
)
def test_tables_and_names_that_do_not_fit(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(nng.InputError, match=words):
        nng.FiniteGame(**arguments)


@pytest.mark.parametrize(
    ("profile", "words"),
    [
        ([0], "2 strategies"),
        ([0, 2], "0 to 1"),
        ([0, -1], "0 to 1"),
        ([0, True], "index or its name"),
        ([0, 0.0], "index or its name"),
        (["keep", "brake"], "did you mean 'break'"),
        ({"Row": 0}, "no strategy of player 'Column'"),
        ({"Row": 0, "Colum": 0}, "unknown player 'Colum'"),
        ("ab", "sequence"),
        (3, "sequence"),
    ],
)
def test_profiles_that_do_not_fit(profile: Any, words: str) -> None:
    with pytest.raises(nng.InputError, match=words):
        dilemma().cost("Row", profile)


def test_grids_that_do_not_fit() -> None:
    game = ring()
    first, second = game.players
    good = {first: [0.0], second: [[0.0, 0.0]]}
    for grids, words in (
        ({first: [0.0]}, "no actions"),
        (good | {"x": [0.0]}, "unknown player"),
        (good | {second: [0.0, 1.0]}, "shape"),
        (good | {first: [math.inf]}, "finite"),
        (good | {first: ["a"]}, "numbers"),
        (good | {first: np.ma.masked_less([0.0, 1.0], 1)}, "masked"),
        (good | {first: [0.0, 0.0]}, "twice"),
        (good | {second: [[0.0, -1.0]]}, "is inf at the profile"),
        (good | {first: [2.0]}, "is inf at the profile"),
        ([0.0], "mapping"),
    ):
        with pytest.raises(nng.InputError, match=words):
            nng.FiniteGame.sampled(game, grids)
    with pytest.raises(nng.NotApplicableError):
        nng.FiniteGame.sampled(dilemma(), {})


def test_what_needs_actions_in_space_refuses_a_finite_game() -> None:
    for call in (nng.solve, nng.certify, nng.check_outcomes):
        with pytest.raises(nng.NotApplicableError, match="not finite games"):
            call(dilemma())
