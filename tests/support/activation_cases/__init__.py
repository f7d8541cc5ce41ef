"""Cases for the activation tests, one module a family: parameters to test beside the defaults, and exact gaps.

``VARIANTS`` lists (name, parameters); ``GAPS`` maps the name of a scalar monotone activation to a function
(activation, x, v) -> g*(x) + g(v) - x v in mpmath's arithmetic, written from the formulas and not from the code.
``VECTOR_GAPS`` does so for the others, with lists x and v, unless their domain is a polyhedron; x is on the domain up
to rounding only, and the gap is that of the point of the domain that the activation's bound refers to.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from typing import Any

VARIANTS: list[tuple[str, dict[str, Any]]] = []
GAPS: dict[str, Callable[[Any, Any, Any], Any]] = {}
VECTOR_GAPS: dict[str, Callable[[Any, list[Any], list[Any]], Any]] = {}
for _found in pkgutil.iter_modules(__path__):
    _module = importlib.import_module(f"{__name__}.{_found.name}")
    VARIANTS.extend(getattr(_module, "VARIANTS", []))
    GAPS.update(getattr(_module, "GAPS", {}))
    VECTOR_GAPS.update(getattr(_module, "VECTOR_GAPS", {}))
