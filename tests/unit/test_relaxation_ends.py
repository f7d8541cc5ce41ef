"""The Krasnoselskii-Mann condition at the end 1/gamma of its range, decided exactly."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest

from nngames.networks import Constant, as_relaxation


@pytest.mark.parametrize(
    ("relaxation", "averagedness", "holds"),
    [
        ({"initial": 2.0, "power": 1.0}, 0.5, True),
        ({"initial": math.nextafter(2.0, 3.0), "power": 1.0}, 0.5, False),
        ([2.0, 1.0], 0.5, True),
        ([1.0, 2.0], 0.5, False),
        (Constant(2.0), 0.5, False),
    ],
)
def test_the_end_of_the_range_counts_unless_the_sum_needs_the_inside(relaxation, averagedness, holds):
    condition = as_relaxation(relaxation).condition(averagedness)
    assert condition.proved is holds
    assert condition.refuted is not holds
    assert "(0, 1/gamma]" in condition.statement


def test_a_product_that_rounds_to_one_is_not_taken_for_one():
    averagedness, initial = 0.55, 1 / 0.55
    assert averagedness * initial == 1.0
    assert Fraction(averagedness) * Fraction(initial) > 1
    for relaxation in ({"initial": initial, "power": 1.0}, [initial, 0.5]):
        assert as_relaxation(relaxation).condition(averagedness).refuted
