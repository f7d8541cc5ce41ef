"""Random games of twelve families: every verdict on potentials against an independent decision on the drawn data.

``tests/benchmarks/potential_structure.py`` takes 500 of them and prints the figures by family.
"""

from __future__ import annotations

import pytest
from structure_census import census
from structure_games import FAMILIES

GAMES = 60


@pytest.mark.parametrize("part", range(5))
def test_verdicts_equal_the_independent_decision_and_cycles_are_found(part):
    each = GAMES // 5
    rows = census(range(part * each, (part + 1) * each))
    assert set(rows) == set(FAMILIES)
    due, found = (sum(row[name] for row in rows.values()) for name in ("due", "found"))
    # At least 95% over all games; of a dozen one may be missed.
    assert due >= 5
    assert found >= due - 1
