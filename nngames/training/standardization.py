"""Standardization of samples: each column minus its mean, over its standard deviation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nngames.core.errors import InputError
from nngames.core.profiles import Array

#: A column that varies by less has a scale whose inverse is near the end of floats.
LEAST = 1e-300
#: A column that varies by less, relative to its size, varies by rounding.
ROUNDING = 1e-12


@dataclass(frozen=True, eq=False)
class Standardization:
    """x -> (x - mean) / scale, column by column.

    Attributes
    ----------
    mean, scale : ndarray (n,)
    """

    mean: Array
    scale: Array

    @classmethod
    def of(cls, rows: Array, what: str, names: Sequence[str] | None = None) -> Standardization:
        """Return that of the rows (T, n), their means and standard deviations.

        Raises
        ------
        InputError
            If a column is constant, or as good as that; the message names it.
        """
        spread = np.ptp(rows, axis=0)
        constant = np.flatnonzero(spread < np.maximum(LEAST, ROUNDING * np.abs(rows).max(axis=0)))
        if constant.size:
            column = int(constant[0])
            name = f"column {column}" if names is None else repr(names[column])
            within = f", within {spread[column]:.1g}," if spread[column] else ""
            raise InputError(
                f"{what}: {name} is {rows[0, column]:.6g}{within} in every training row, so it cannot be standardized; "
                "leave it out, or do not standardize"
            )
        # Of the differences over their range, whose squares are floats.
        mean = rows.mean(axis=0)
        return cls(mean, spread * ((rows - mean) / spread).std(axis=0))

    def apply(self, rows: Array) -> Array:
        """Return (rows - mean) / scale."""
        return (rows - self.mean) / self.scale

    def undo(self, rows: Array) -> Array:
        """Return rows * scale + mean."""
        return rows * self.scale + self.mean

    @property
    def forward_layer(self) -> tuple[Array, Array]:
        """The weight and bias of the layer of identities that standardizes."""
        return np.diag(1 / self.scale), -self.mean / self.scale

    @property
    def backward_layer(self) -> tuple[Array, Array]:
        """The weight and bias of the layer of identities that returns to the data's units."""
        return np.diag(self.scale), self.mean
