"""The methods of a comparison: names, solver objects and mappings, under distinct labels."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nngames.core.errors import NNGamesError, OptionError
from nngames.core.plain import plain
from nngames.solvers import Solver, solver

Method = str | Solver | Mapping[str, Any]
#: What a method is to ``solve``: a solver object, or the name ``auto``.
Scheme = str | Solver


@dataclass(frozen=True)
class Portable:
    """A method as another process can build it.

    Attributes
    ----------
    name : str
    options : mapping
        Plain data: every hyperparameter, defaults included.
    """

    name: str
    options: Mapping[str, Any]

    def scheme(self) -> Scheme:
        """Return what ``solve`` takes."""
        return "auto" if self.name == "auto" and not self.options else solver(self.name, **self.options)


def labelled(methods: Sequence[Method]) -> dict[str, Scheme]:
    """Return the methods as solver objects (or ``"auto"``) under distinct labels.

    Raises
    ------
    UnknownNameError, OptionError
        If one is not usable.
    """
    if isinstance(methods, str | Mapping) or not isinstance(methods, Sequence) or not methods:
        raise OptionError(f"methods must be a list with at least one method; got {methods!r}")
    pairs = [_labelled(method) for method in methods]
    return dict(zip(distinct([label for label, _ in pairs]), (scheme for _, scheme in pairs), strict=True))


def distinct(labels: Sequence[str]) -> list[str]:
    """Return labels with a number behind those that are taken already."""
    found: dict[str, None] = {}
    for label in labels:
        number, unique = 1, label
        while unique in found:
            number += 1
            unique = f"{label} ({number})"
        found[unique] = None
    return [*found]


def _labelled(method: Method) -> tuple[str, Scheme]:
    if isinstance(method, Mapping):
        if "method" not in method:
            raise OptionError(f"a method given as a mapping needs the key 'method'; got {dict(method)!r}")
        options = {str(k): v for k, v in method.items() if k not in ("method", "label")}
        name = str(method["method"])
        shown = ", ".join(f"{key}={value}" for key, value in options.items())
        return str(method.get("label", f"{name}({shown})" if shown else name)), Portable(name, options).scheme()
    if isinstance(method, Solver):
        return method.name, method
    return method, "auto" if isinstance(method, str) and method == "auto" else solver(method)


def scheme_name(scheme: Scheme) -> str:
    """Return the name of a method."""
    return scheme if isinstance(scheme, str) else scheme.name


def portable(scheme: Scheme) -> Portable:
    """Return a method as another process can build it.

    Raises
    ------
    OptionError
        If an option, such as a user's function, is no plain data.
    """
    if isinstance(scheme, str):
        return Portable(scheme, {})
    options = plain(scheme.options)
    found = Portable(scheme.name, json.loads(json.dumps(options)))
    try:
        same = plain(solver(found.name, **found.options).options) == options
    except (NNGamesError, TypeError, ValueError):
        same = False
    if not same:
        raise OptionError(
            f"the options of {scheme.name} cannot be written as plain data, which workers, a cluster and a store need; "
            "leave those out, or choose the method by name and plain options"
        )
    return found
