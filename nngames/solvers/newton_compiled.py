"""Newton's method in compiled steps: which rings have them, what they cost, and the room that one run needs."""

from __future__ import annotations

import math
from copy import copy
from weakref import WeakKeyDictionary

import numpy as np

from nngames.core.profiles import Array
from nngames.games import FixedPoint
from nngames.networks.compiled.loading import installed
from nngames.networks.compiled.maps import PANEL, FusedMap
from nngames.solvers.newton_systems import FORCING, SINGLE

#: A direction of at most so many multiplications takes less time in a compiled step than with factors that are kept.
COMPILED = 100_000
#: Seconds that a multiplication, and a column, of a compiled direction take at most.
PER_MULTIPLICATION, PER_COLUMN = 2e-10, 2e-7
#: After so many updates of compiled factors they are made anew.
UPDATES = 64
_known: WeakKeyDictionary[FusedMap, tuple[FusedMap, float]] = WeakKeyDictionary()
_NO_SINGLE = np.empty((4, 0), dtype=np.float32)


def fused_for_newton(view: FixedPoint, kept: bool) -> FusedMap | None:
    """Return the map for compiled steps, that of a ring of dense layers; None where there is none.

    None also where the factors are kept with the game, unless they are small ones. ``seconds`` bounds a step.
    """
    # The map of a large ring is a copy of its weights.
    fused = view.fused if view.size**3 / 3 <= COMPILED or (installed() and not kept) else None
    if fused is None:
        return None
    if fused not in _known:
        found, multiplications = copy(fused), compiled_multiplications(fused)
        # A step may form a Jacobian and try four shares.
        found.seconds = 5 * fused.seconds + PER_MULTIPLICATION * multiplications + PER_COLUMN * view.size
        _known[fused] = found, multiplications
    found, multiplications = _known[fused]
    return found if multiplications < (COMPILED if kept else math.inf) else None


def compiled_multiplications(fused: FusedMap | None) -> float:
    """Return those of a direction in a compiled step; inf where there is none, on sparse and joint maps."""
    if fused is None or fused.sparse or fused.shape[0] > 1:
        return math.inf
    n, first = fused.shape[1], int(fused.stages[0, 0] * fused.stages[0, 1])
    return n * (fused.multiplications - first) + n**3 / 3


def room_for(fused: FusedMap) -> list[Array]:
    """Return the work space of a run: see ``fused_newton``."""
    layers, rows, n = len(fused.stages), fused.parameters.shape[2], fused.shape[1]
    cells = max(rows, PANEL) * max(n, fused.weights.shape[3])
    double = np.empty((4, cells))
    single = np.empty((4, cells), dtype=np.float32) if n >= SINGLE else _NO_SINGLE
    return [
        np.zeros(fused.biases.shape),
        np.empty((layers, rows)),
        np.empty((layers, rows), dtype=np.int64),
        np.empty(layers, dtype=np.int64),
        double,
        double.view(np.int64),
        single,
        single.view(np.int32),
        np.empty(n, dtype=np.int64),
        np.empty((UPDATES, n)),
        np.empty((4, 1, n)),
    ]


def rules(*safeguard: float) -> Array:
    """Return the rules of compiled steps: those of the safeguard and the line search, and when precision is single."""
    return np.array((*safeguard, SINGLE, FORCING))
