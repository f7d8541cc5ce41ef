"""Cycles of periodic projections: the proof that three sets have no functional, step by step, and that two have one."""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import nngames as nng
from nngames.checks import de_pierro_conjecture
from nngames.checks.projecting import de_pierro, functionals
from nngames.checks.projecting.functionals import decreases, is_cycle, least_distance, no_universal_functional
from nngames.core.errors import OptionError
from nngames.core.verdicts import Decision

ends = st.fractions(-3, 3, max_denominator=4)
intervals = st.tuples(ends, ends).map(lambda pair: (min(pair), max(pair)))


@pytest.mark.parametrize("m", [3, 4, 5, 6])
def test_the_decreases_close_and_each_holds_by_iterating_the_projections(m):
    """A second route: the cycle is where the projections themselves lead, from many starts, in floating point."""
    steps = list(decreases(m))
    assert len(steps) == 2 * m
    for step, following in zip(steps, steps[1:] + steps[:1], strict=True):
        assert step.cycle == following.other
        sets = np.array(step.sets, dtype=float)
        for start in np.linspace(-2, 2, 9):
            x = start
            for _ in range(3):
                profile = []
                for low, high in sets:
                    x = float(np.clip(x, low, high))
                    profile.append(x)
            assert profile == list(map(float, step.cycle))
        assert all(low <= x <= high for (low, high), x in zip(sets, map(float, step.other), strict=True))
        assert step.other != step.cycle
    assert no_universal_functional(m).status is Decision.REFUTED


def test_two_sets_do_not_close_the_path():
    # With two sets the predecessor of a player is its follower, and the 1 cannot walk on.
    assert not all(step.verified() for step in decreases(2))
    for m in (2, 0, 3.0, True, "3"):
        with pytest.raises(OptionError, match="at least 3"):
            no_universal_functional(m)


def test_a_wrong_step_leaves_the_verdict_open(monkeypatch):
    steps = list(decreases(3))
    steps[2] = dataclasses.replace(steps[2], other=steps[2].cycle)
    monkeypatch.setattr(functionals, "decreases", lambda m: iter(steps))
    assert no_universal_functional(3).status is Decision.UNDECIDED


def test_a_family_with_two_segments_is_not_accepted():
    (step, *_) = decreases(3)
    free = ((Fraction(0), Fraction(1)),) * 3
    assert not dataclasses.replace(step, sets=free).verified()


@given(intervals, intervals)
def test_two_intervals_cycle_exactly_where_they_are_nearest(first, second):
    assert least_distance(first, second).proved
    points = [Fraction(k, 4) for k in range(-12, 13)]
    inside = [(a, b) for a in points for b in points if first[0] <= a <= first[1] and second[0] <= b <= second[1]]
    if not inside:
        return
    # The ends need not be on the grid of points; the least distance is then taken from the cycles.
    gap = max(first[0] - second[1], second[0] - first[1], Fraction(0))
    assert all(is_cycle((first, second), pair) == (abs(pair[0] - pair[1]) == gap) for pair in inside)


def test_under_relaxed_cycles_that_do_not_converge():
    verdict = de_pierro_conjecture()
    assert verdict.refuted
    assert [float(cycle["points"][0][0].split("/")[0]) for cycle in verdict.witness["cycles"][:4]] == [1, -1, 1, -1]
    with_gap = [abs(Fraction(c["points"][2][1])) for c in verdict.witness["cycles"]]
    assert max(with_gap) < 1  # bounded, and close to the points of least squared distances
    assert all(after < before for before, after in pairwise(with_gap))


@pytest.mark.parametrize("number", [2, 3])
def test_the_cycle_is_one_of_projections_on_polyhedra_and_x_is_driven_to_it(number):
    """A second route: f with its first planes only, written out, and the package's projections in floats."""
    planes = [
        (side * 4.0 ** (-2 * k) / 8, 4.0**-k / 4, -(4.0 ** (-2 * k)) * (1 / 4 + side * s / 8))
        for k in range(number + 3)
        for s in [0.5 if k % 2 == 0 else -0.5]
        for side in (1, -1)
    ]
    # z >= 1 + a x + b y + c and z >= 1.
    rows = [[a, b, -1.0] for a, b, _ in planes] + [[0.0, 0.0, -1.0]]
    heights = [-1.0 - c for *_, c in planes] + [-1.0]
    surface = nng.activation("polyhedron", matrix=rows, offset=heights)
    (cycle,) = [c for c in de_pierro.oscillating_cycles(2) if c.number == number]
    e = float(cycle.relaxation)
    start = np.array(cycle.points[2], dtype=float)

    def turned(x):
        x = x + e * (surface(x) - x)
        for y, z in ((-4.0, 0.0), (4.0, -1.0)):
            x = x + e * (np.array([x[0], y, z]) - x)
        return x

    assert np.allclose(turned(start), start, rtol=0, atol=1e-12)
    for offset in (0.1, -0.1):
        moved = turned(start + offset * np.eye(3)[0])[0] - start[0] - offset
        assert moved * offset < 0
        assert abs(moved) > 1e-9


def test_a_wrong_cycle_leaves_the_conjecture_open(monkeypatch):
    cycles = list(de_pierro.oscillating_cycles(3))
    assert all(cycle.verified() for cycle in cycles)
    points = cycles[1].points
    x, y, z = points[2]
    for wrong in ((x + Fraction(1, 10**9), y, z), (x, y + Fraction(1, 10**9), z), (x, y, z - Fraction(1, 10**9))):
        assert not dataclasses.replace(cycles[1], points=(*points[:2], wrong)).verified()
    assert not dataclasses.replace(cycles[1], number=4).verified()
    monkeypatch.setattr(de_pierro, "SIDE", Fraction(1, 2))
    assert not next(de_pierro.oscillating_cycles(1)).verified()
    assert de_pierro_conjecture().status is Decision.UNDECIDED


@pytest.mark.parametrize("count", [1, 0, -1, 2.5, True, "8"])
def test_one_cycle_shows_no_alternation(count):
    with pytest.raises(OptionError, match="count must be an integer of at least 2"):
        de_pierro_conjecture(count)
