"""One game of the census: its report compared with the decision on the drawn data, every witness verified anew."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
from structure_decisions import decide, gain_of, gains_of, is_smooth
from structure_games import Drawn, drawn_game

import nngames as nng

WORDS = {True: "PROVED", False: "REFUTED"}


def examined(number: int, max_seconds: float = 5.0) -> tuple[Drawn, Any, bool]:
    """Check everything that the report on a drawn game claims; return both, and whether a cycle is due."""
    drawn = drawn_game(number)
    report = nng.check_potential(drawn.game, seed=0, max_seconds=max_seconds)
    truth, rational = decide(drawn, False), decide(drawn, True)
    assert None not in (truth.exact, truth.weighted), "a mismatch between rounding and a real one"
    assert (str(report.exact.status), str(report.weighted.status)) == (WORDS[truth.exact], WORDS[truth.weighted])
    exactly = nng.check_potential(drawn.game, data_tolerance=0, seed=0, max_seconds=0.05)
    assert (str(exactly.exact.status), str(exactly.weighted.status)) == (
        WORDS[rational.exact],
        WORDS[rational.weighted],
    )
    _check_cycles(drawn, report, balanced=not truth.unbalanced)
    _check_cycles(drawn, exactly, balanced=not rational.unbalanced)
    if truth.unbalanced and report.acyclic.proved:
        _check_still(drawn)
    assert report.acyclic.proved or truth.unbalanced
    assert not report.ordinal.proved or truth.weighted
    return drawn, report, bool(truth.unbalanced)


def _check_still(drawn: Drawn) -> None:
    """Some players answer the same end of their domain to whatever the others can do, and the rest is balanced."""
    rng, game = np.random.default_rng(0), drawn.game
    answers = game.best_responses(game.best_responses(10 * rng.normal(size=(400, game.size))))
    constant = {p for p, place in game.space.slices.items() if np.ptp(answers[:, place], axis=0).max() < 1e-12}
    left = {p: n for p, n in drawn.sizes.items() if p not in constant}
    couplings = {edge: w for edge, w in drawn.couplings.items() if set(edge) <= set(left)}
    assert constant
    assert not decide(replace(drawn, sizes=left, couplings=couplings), False).unbalanced


def _check_cycles(drawn: Drawn, report: Any, balanced: bool) -> None:
    cycle = report.cycle
    assert report.acyclic.refuted == (cycle is not None or "path" in report.acyclic.witness)
    assert not (balanced and report.acyclic.refuted)
    if cycle is not None:
        _check_cycle(drawn, cycle)
    answers = report.best_response_acyclic
    if answers.refuted and "cycle" in answers.witness:
        _check_answers(drawn, answers.witness["cycle"])
    if report.ordinal.refuted and "indifferent" in report.ordinal.witness.get("path", {}):
        _check_indifference(drawn, report.ordinal.witness["path"])


def _number(drawn: Drawn, *players: Any) -> Any:
    return mpmath.mpf if any(is_smooth(drawn, player) for player in players) else Fraction


def _check_cycle(drawn: Drawn, cycle: Any) -> None:
    with mpmath.workdps(60):
        gains = gains_of(drawn, cycle, _number(drawn, *(step.mover for step in cycle.deviations)))
        for step, gain in zip(cycle.deviations, gains, strict=True):
            assert 0 < step.gain_bounds[0] <= gain <= step.gain_bounds[1]
            if step.gain is not None:
                assert gain == step.gain


def _check_answers(drawn: Drawn, cycle: dict[str, Any]) -> None:
    """Every move ends at a point that is better than points between it and where it came from, and one gains."""
    strict = 0
    for step in cycle["deviations"]:
        before, after = np.array(step["before"]), np.array(step["after"])
        number = _number(drawn, step["mover"])
        with mpmath.workdps(60):
            strict += gain_of(drawn, step["mover"], before, after, number) > 0
            for share in (2.0**-10, 0.5):
                near = after + share * (before - after)
                assert gain_of(drawn, step["mover"], near, after, number) > 0
    assert strict


def _check_indifference(drawn: Drawn, path: dict[str, Any]) -> None:
    """One player pays the same at the first and between the second profiles; the other changes its mind."""
    still, mover = path["indifferent"], path["improving"]
    players = {str(player): player for player in drawn.sizes}
    still, mover = players[str(still)], players[str(mover)]
    first, (near, beyond) = np.array(path["first"]), map(np.array, path["second"])
    place = drawn.game.space.slices[mover]
    with mpmath.workdps(60):
        number = _number(drawn, still)
        ends = [gain_of(drawn, still, first, end, number) for end in (near, beyond)]
        assert ends[0] == ends[1] == 0 or ends[0] > 0 > ends[1]
        liked, other = map(np.array, path["actions"])
        for profile, better, worse in ((first, liked, other), (near, other, liked), (beyond, other, liked)):
            low, high = profile.copy(), profile.copy()
            low[place], high[place] = worse, better
            assert gain_of(drawn, mover, low, high, _number(drawn, mover)) > 0


def census(numbers: Any, max_seconds: float = 5.0) -> dict[str, Counter[str]]:
    """Return for each family how many games there are, how many call for a cycle, and what was found."""
    rows: dict[str, Counter[str]] = {}
    for number in numbers:
        drawn, report, due = examined(number, max_seconds)
        row = rows.setdefault(drawn.family, Counter())
        row["games"] += 1
        row["due"] += due
        row["found"] += report.cycle is not None
        row["none"] += due and report.acyclic.proved
        row["answers"] += report.best_response_acyclic.refuted
        if report.cycle is not None:
            row["moves"] += len(report.cycle.deviations)
            row["of four"] += len(report.cycle.deviations) == 4
    return rows
