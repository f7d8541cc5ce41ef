"""Figures of verdicts: exact products, outward rounding, simplest fractions, and what a statement shows."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nngames.certificates.figures import product, round_down, round_up, shown, simplest_between

positive = st.fractions(min_value=0, max_value=1000, max_denominator=10**6)


@given(st.lists(st.floats(0, 1e100), max_size=6))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_products_are_exact_and_round_outwards(values):
    exact = math.prod(map(Fraction, values), start=Fraction(1))
    assert product(values) == exact
    up, down = round_up(exact), round_down(exact)
    assert down <= exact <= up
    assert up == down or math.nextafter(down, math.inf) == up


def test_infinite_factors():
    assert product([2.0, math.inf]) == math.inf
    assert product([0.0, math.inf]) == 0
    assert round_up(Fraction(10) ** 400) == math.inf


@given(positive, positive)
@settings(max_examples=200, deadline=None, derandomize=True)
def test_the_simplest_fraction_has_the_smallest_denominator(a, b):
    low, high = min(a, b), max(a, b)
    found = simplest_between(low, high)
    assert low <= found <= high
    for denominator in range(1, min(found.denominator, 200)):
        assert math.ceil(low * denominator) > high * denominator


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.25, "0.25"),
        (1.0, "1"),
        (1 - 2.0**-53, "1 - 1.11e-16"),
        (1 + 2.0**-52, "1 + 2.22e-16"),
        (12345.678, "12345.7"),
    ],
)
def test_a_statement_never_rounds_to_one(value, text):
    assert shown(value) == text
