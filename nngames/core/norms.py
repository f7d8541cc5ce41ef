"""The Euclidean norm of vectors of any size: where squares leave the range of floats, without them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Below its number for a precision a norm may lack what squares lost to underflow.
LEAST: Mapping[Any, float] = {np.dtype(np.float64): 1e-140, np.dtype(np.float32): 1e-15}


def euclidean_length(d: NDArray[np.floating[Any]]) -> float:
    """Return |d|_2, which is 0 only if d is, and infinite only if it is too large for a float or an entry is."""
    norm = math.sqrt(d.dot(d))
    if LEAST[d.dtype] <= norm < math.inf or not d.any():
        return norm
    return math.hypot(*d.tolist())
