"""The registries a scenario chooses from, imported when they are first needed."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from nngames.core.registry import Registry


def activations() -> Registry[Any]:
    """Return the registry of activations."""
    from nngames.activations import registry

    return registry


def generators() -> Registry[Any]:
    """Return the registry of generators of networks."""
    from nngames.networks.generators import registry

    return registry


def sets() -> Collection[str]:
    """Return the names of the sets whose indicators are penalties."""
    from nngames.games.quadratic_game import set_names

    return set_names()


def solvers() -> Registry[Any]:
    """Return the registry of solvers."""
    from nngames.solvers import registry

    return registry


def checks() -> Registry[Any]:
    """Return the registry of checks."""
    from nngames.checks import registry

    return registry
