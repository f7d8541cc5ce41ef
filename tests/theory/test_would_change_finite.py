"""What would change a verdict on the potentials and cycles of a finite game: every figure holds up to where it says."""

from __future__ import annotations

import itertools
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from phrases import figure

import nngames as nng
from nngames.certificates.figures import floored
from nngames.checks.finite import square_pairs
from nngames.checks.finite.square_pairs import SquarePairs

QUESTIONS = ("exact", "weighted", "ordinal", "acyclic", "best_response_acyclic")


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("exact", [True, False])
def test_finite_verdicts_hold_up_to_the_change_that_is_said(seed, exact):
    rng = np.random.default_rng(seed)
    sizes = [(2, 2), (2, 3), (2, 2, 2)][seed % 3]
    cells = int(np.prod(sizes))
    # Without ties, so that the figures are positive; few games of so many numbers have a potential.
    table = np.array([rng.permutation(cells) * 8 for _ in sizes]).reshape(len(sizes), *sizes)
    number: Any = Fraction if exact else float

    def verdicts(costs: Any) -> Any:
        numbers = np.array([number(x) for x in costs.ravel().tolist()], dtype=object if exact else float)
        return nng.check_potential(nng.FiniteGame(numbers.reshape(costs.shape)))

    report = verdicts(table)
    for name in ("exact", "acyclic", "ordinal", "best_response_acyclic"):
        verdict = getattr(report, name)
        words = "a change by at least" if name == "exact" else "costs changed by"
        if name == "exact" and verdict.proved:
            continue
        bound = figure(verdict.would_change, words)
        for _ in range(8):
            signs = rng.choice([-1, 1], size=table.shape)
            moved = table.astype(object) + Fraction(bound) * Fraction(999, 1000) * signs
            assert getattr(verdicts(moved), name).status == verdict.status
    if report.exact.refuted:
        # The eight costs along the four deviations, each moved against the sum of gains.
        square, closed = report.exact.witness, table.astype(object)
        step = abs(square["sum"]) / 8 * (1 if square["sum"] > 0 else -1)
        players = list(nng.FiniteGame(table).players)
        for i, (before, after) in enumerate(itertools.pairwise(square["path"])):
            mover = players.index(square["pair"][i % 2])
            closed[(mover, *before)] -= step
            closed[(mover, *after)] += step
        if len(sizes) == 2 and sizes == (2, 2):
            assert verdicts(closed).exact.proved
        assert floored(abs(square["sum"]) / 8) in report.exact.would_change


@pytest.mark.parametrize("seed", range(6))
def test_no_smaller_change_of_a_finite_game_balances_it(seed):
    rng = np.random.default_rng(seed)
    sizes = (2, 3) if seed % 2 else (2, 2, 2)
    table = rng.integers(-20, 21, size=(len(sizes), *sizes))
    game = nng.FiniteGame(table)
    report = nng.check_potential(game)
    assert report.weighted.refuted
    bound = figure(report.weighted.would_change, "a change by at least")
    for _ in range(20):
        moved = table.astype(object) + Fraction(bound) * Fraction(999, 1000) * rng.choice([-1, 1], size=table.shape)
        assert nng.check_potential(nng.FiniteGame(moved)).weighted.refuted


def test_all_entries_of_a_finite_game_are_compared(monkeypatch):
    common = np.arange(12).reshape(3, 4) ** 2
    assert nng.check_potential(nng.FiniteGame(np.array([common, 3 * common]))).weighted.proved
    monkeypatch.setattr(square_pairs, "_CHUNK", 2)
    assert nng.check_potential(nng.FiniteGame(np.array([common, 3 * common]))).weighted.proved
    pairs = SquarePairs(nng.FiniteGame(np.array([common, 3 * common])))
    entries = {(int(a.p), int(c.p)) for a, c in zip(*pairs.rational_entries(0), strict=True)}
    squares = common[1:, 1:] - common[1:, :1] - common[:1, 1:] + common[:1, :1]
    assert entries == {(int(x), 3 * int(x)) for x in squares.ravel()}


def test_a_sign_of_a_finite_game_turns_where_it_is_said():
    pennies = np.array([[[1.0, -1.0], [-1.0, 1.0]], [[-1.0, 1.0], [1.0, -1.0]]])
    bound = figure(nng.check_potential(nng.FiniteGame(pennies)).weighted.would_change, "a change by at least")
    assert bound == 1
    for share, refuted in ((0.999, True), (1.001, False)):
        moved = pennies.copy()
        moved[0] *= 1 - share * bound
        assert nng.check_potential(nng.FiniteGame(moved)).weighted.refuted == refuted


def test_who_is_not_felt_at_all_must_be_felt_as_a_multiple():
    costs = np.zeros((2, 2, 2), dtype=int)
    costs[0, 1, 1] = 7
    assert "positive multiple" in nng.check_potential(nng.FiniteGame(costs)).weighted.would_change


def test_a_best_response_must_stay_ahead_of_every_other_strategy():
    # The first player's third strategy always costs 1 more than its first one, which it chases the other with.
    costs = [[[0, 8], [8, 0], [1, 9]], [[8, 0], [0, 8], [8, 0]]]
    report = nng.check_potential(nng.FiniteGame(costs))
    assert figure(report.best_response_acyclic.would_change, "costs changed by") == 0.5
    assert figure(report.acyclic.would_change, "costs changed by") >= 0.5


def test_ties_of_a_finite_game_are_named():
    pennies = np.array([[[1, -1], [-1, 1]], [[-1, 1], [1, -1]]])
    for name in QUESTIONS[2:]:
        assert "tie" not in getattr(nng.check_potential(nng.FiniteGame(pennies)), name).would_change
    # The second player does not mind: it has no cycle of strict improvements, and no ordinal potential.
    pennies[1] = 0
    report = nng.check_potential(nng.FiniteGame(pennies))
    assert report.acyclic.proved
    assert report.ordinal.refuted
    assert "tie" in report.acyclic.would_change
    assert "tie" in report.ordinal.would_change


def test_the_change_of_four_costs_around_a_square_is_counted_along_a_cycle_of_weights():
    # Player l pays -sum_k a_lk s_l s_k: weights balance each pair, and around the players they multiply to 8.
    factors = {(0, 1): 2, (1, 0): 1, (1, 2): 2, (2, 1): 1, (2, 0): 2, (0, 2): 1}
    s = np.indices((2, 2, 2))
    costs = [-sum(factors[i, k] * s[i] * s[k] for k in range(3) if k != i) for i in range(3)]
    verdict = nng.check_potential(nng.FiniteGame(np.array(costs))).weighted
    assert verdict.refuted
    assert verdict.witness["product"] in (8, Fraction(1, 8))
    # Six values of size 1 or 2, and (1 + e)/(1 - e) = 2 for the relative change e of each: 4 d <= e.
    assert figure(verdict.would_change, "a change by at least") == pytest.approx(1 / 12, rel=0.01)
    assert figure(verdict.would_change, "a change by at least") <= 1 / 12
