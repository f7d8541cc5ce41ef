"""Plain data: turning results into what JSON can hold, without losing a digit of an exact number."""

from __future__ import annotations

import math
from collections.abc import Mapping
from enum import Enum
from fractions import Fraction
from typing import Any

import numpy as np


def plain(value: Any) -> Any:
    """Return ``value`` as JSON-ready data.

    Arrays become nested lists, fractions become strings such as ``"4/9"``, enumerations their value, mapping keys
    strings; infinities and NaN, which JSON cannot hold, become the strings ``"inf"``, ``"-inf"`` and ``"nan"``.
    """
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, Fraction):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if hasattr(value, "to_dict"):
        return value.to_dict()
    return str(value)
