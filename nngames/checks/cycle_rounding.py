"""Cycles in rounder numbers: the profiles of a path moved to coarse grids, as long as every gain stays certified."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from nngames.activations.foundations.domain import Simplex
from nngames.checks.cycle_certificates import Certifier, Step
from nngames.checks.feasible_profiles import into_domain
from nngames.core.profiles import Array
from nngames.games import CoupledGame
from nngames.results.cycle import Cycle

#: Binary digits after the point that are tried.
DIGITS = (0, 1, 2, 3, 4, 6, 8, 12, 16, 24)


def rounded_cycle(certifier: Certifier, cycle: Cycle, deadline: float) -> Cycle:
    """Return the cycle with all actions rounded to multiples of 2^-k, for the least k at which every gain is certified.

    Where none is before the ``deadline``, a moment of time.monotonic, the cycle itself.
    """
    for digits in DIGITS:
        if time.monotonic() > deadline:
            break
        path: Sequence[Step] = [
            (step.mover, _rounded(certifier.game, step.before, digits)) for step in cycle.deviations
        ]
        found = certifier.cycle(path)
        if found is not None:
            return found
    return cycle


def _rounded(game: Any, profile: Array, digits: int) -> Array:
    unit = 2.0**-digits
    result = unit * np.rint(profile / unit)
    if isinstance(game, CoupledGame):
        for block, where in game.blocks.slices.items():
            domain = game.own[block].activation.domain
            if isinstance(domain, Simplex):
                # The largest share takes what rounding has left over.
                largest = where.start + int(np.argmax(profile[where]))
                result[largest] += domain.total - float(result[where].sum())
    return into_domain(game, result)
