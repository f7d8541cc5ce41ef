"""The pairs along a cycle of players, among all pairs of a game."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from nngames.certificates.potential_changes import steps_along


@pytest.mark.parametrize("cycle", [(0, 2, 4), (4, 2, 0), (3, 1, 4, 0), (2, 3)])
@pytest.mark.parametrize("seed", [0, 1])
def test_each_step_is_found_whatever_the_order_of_the_pairs(cycle: tuple[int, ...], seed: int) -> None:
    first, second = np.random.default_rng(seed).permutation(np.array(np.triu_indices(5, 1)), axis=1)
    pairs: Any = SimpleNamespace(players=tuple("abcde"), first=first, second=second)
    found = steps_along(pairs, cycle)
    ends = [(first[at], second[at])[::sign] for at, sign in found]
    assert ends == list(zip(cycle, (*cycle[1:], cycle[0]), strict=True))
