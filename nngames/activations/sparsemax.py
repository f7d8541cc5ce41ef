"""The sparsemax activation: the projection on the unit simplex under the name that attention has for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from nngames.activations.foundations.base import activation_named
from nngames.activations.simplex import SimplexProjection


@activation_named("sparsemax")
@dataclass(frozen=True)
class Sparsemax(SimplexProjection):
    """r(v) is the point of the unit simplex nearest to v: ``simplex`` with total 1 (Martins and Astudillo 2016)."""

    # No field, so no parameter.
    total: ClassVar[float] = 1.0  # type: ignore[misc]
