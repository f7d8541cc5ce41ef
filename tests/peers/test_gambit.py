"""Gambit's own reader and writer: our files are its games and its files are ours; it finds the same equilibria."""

from __future__ import annotations

import io
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import nngames as nng

gambit = pytest.importorskip("pygambit")
pytestmark = pytest.mark.filterwarnings("ignore")


def payoffs(game: Any) -> Any:
    return np.array([[Fraction(str(x)) for x in table.ravel()] for table in game.to_arrays(dtype=gambit.Rational)])


@pytest.mark.parametrize("sizes", [(2, 2), (3, 2), (2, 3, 2), (1, 4)])
def test_round_trips_through_gambit(sizes: tuple[int, ...]) -> None:
    rng = np.random.default_rng(sum(sizes))
    table = np.empty((len(sizes), *sizes), dtype=object)
    for place in np.ndindex(table.shape):
        table[place] = Fraction(int(rng.integers(-20, 20)), int(rng.integers(1, 9)))
    players = [f'the "{i}" player' for i in range(len(sizes))]
    game = nng.FiniteGame(payoffs=table, players=players, title='a "title"', comment="said")
    theirs = gambit.read_nfg(io.StringIO(game.to_nfg()))
    assert theirs.title == game.title
    assert [player.label for player in theirs.players] == players
    np.testing.assert_array_equal(payoffs(theirs), table.reshape(len(sizes), -1))
    # Theirs is written with outcomes, ours with payoffs.
    again = nng.FiniteGame.from_nfg(theirs.to_nfg())
    assert (again.costs == game.costs).all()
    assert (again.players, again.strategies, again.title) == (game.players, game.strategies, game.title)


def test_pure_equilibria_are_gambits() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        game = nng.FiniteGame(payoffs=rng.integers(0, 4, (3, 2, 3, 2)))
        theirs = gambit.read_nfg(io.StringIO(game.to_nfg()))
        found = gambit.nash.enumpure_solve(theirs).equilibria
        profiles = {
            tuple(next(i for i, s in enumerate(player.strategies) if profile[s] == 1) for player in theirs.players)
            for profile in found
        }
        assert profiles == set(map(tuple, game.pure_equilibria().tolist()))
