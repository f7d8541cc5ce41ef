"""Activations: responses r with their slopes, penalties, primitives, conjugates and proximity operators.

To add one, define a frozen dataclass with ``@activation_named`` in a module of this folder; its fields are the
parameters. Everything else (listing, schema, contract tests) comes from the registry.
"""

from __future__ import annotations

import sys
from typing import Any

from nngames.activations.foundations.base import Activation, activation_named, registry
from nngames.activations.foundations.domain import AffineHull, Domain, Interval
from nngames.activations.foundations.scalar import ScalarActivation

registry.discover(sys.modules[__name__], infrastructure=("foundations", "numerics"))


def activation(name: str, **parameters: Any) -> Activation:
    """Return the activation of that name with those parameters; the others keep their defaults.

    Raises
    ------
    UnknownNameError, OptionError
        If there is no such activation or parameter; the message suggests the nearest.

    Examples
    --------
    >>> import nngames as nng
    >>> float(nng.activation("leaky_relu", slope=0.5)(-2.0))
    -1.0
    """
    return registry.create(name, **parameters)


def activations() -> tuple[str, ...]:
    """Return the names of all activations, sorted."""
    return registry.names()


__all__ = [
    "Activation",
    "AffineHull",
    "Domain",
    "Interval",
    "ScalarActivation",
    "activation",
    "activation_named",
    "activations",
]
