"""Listings and pages of what the registries and the gallery hold, as text."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any

from nngames.core.errors import UnknownNameError
from nngames.core.registry import Registry

#: A listing: names with a sentence each.
Rows = list[tuple[str, str]]
#: Ends of words whose full stop ends no sentence.
_ABBREVIATIONS = ("et al.", "e.g.", "i.e.", "cf.", "resp.", "vs.")


def listing(kind: str | None) -> str:
    """Return what there is of a kind, one line each, or of every kind.

    Raises
    ------
    UnknownNameError
        If there is no such kind.
    """
    return "\n\n".join(_table(name, rows) for name, rows in _chosen(kind).items())


def listings(kind: str | None) -> dict[str, dict[str, str]]:
    """Return what ``listing`` shows as plain data: a sentence by kind and name; raises as it does."""
    return {name: dict(rows) for name, rows in _chosen(kind).items()}


def _chosen(kind: str | None) -> dict[str, Rows]:
    if kind is not None and kind not in _KINDS:
        raise UnknownNameError("kind", kind, _KINDS)
    return {name: rows() for name, rows in _KINDS.items() if kind in (None, name)}


def page(name: str) -> str | None:
    """Return the page of a method, activation, generator, certificate or check of that name; None if there is none."""
    found = [_page(registry, name) for registry in _registries() if name in registry]
    if name == "auto":
        from nngames.solvers.automatic import auto

        found.append(f"method auto\n\n{_plain(auto)}")
    return "\n\n".join(found) if found else None


def names() -> tuple[str, ...]:
    """Return every name that has a page, sorted."""
    return tuple(sorted({"auto", *(name for registry in _registries() for name in registry)}))


def _registries() -> Iterator[Registry[Any]]:
    from nngames.activations.foundations.base import registry as activations
    from nngames.certificates import registry as certificates
    from nngames.checks import registry as checks
    from nngames.networks.generators import registry as generators
    from nngames.solvers import registry as solvers

    yield from (solvers, activations, generators, certificates, checks)


def _rows(registry: Registry[Any]) -> Rows:
    return [(name, first_sentence(_plain(registry[name]))) for name in registry.names()]


def _methods() -> Rows:
    from nngames.solvers.automatic import auto

    own = [*_registered("method"), ("auto", first_sentence(_plain(auto)))]
    # Those of other packages, whose names have a colon, come last.
    return sorted(own, key=lambda row: (":" in row[0], row[0]))


def _registered(kind: str) -> Rows:
    return next(_rows(registry) for registry in _registries() if registry.kind == kind)


def _gallery() -> Rows:
    from nngames.scenario import gallery, load_scenario

    suites = gallery.suites()
    bench = {folder: suites.pop(folder) for folder in tuple(suites) if folder.split("/")[0] == "bench"}
    names = sorted(name for suite in suites.values() for name in suite)
    rows = [(gallery.PREFIX + name, first_sentence(load_scenario(gallery.PREFIX + name).description)) for name in names]
    # Benchmarks differ in sizes only: one line a suite.
    return rows + [
        (f"{gallery.PREFIX}{folder}/NAME", f"{len(s)} benchmarks: {', '.join(s)}") for folder, s in bench.items()
    ]


def _templates() -> Rows:
    from nngames.scenario.templates import SUMMARIES

    return list(SUMMARIES.items())


_KINDS: dict[str, Callable[[], Rows]] = {
    "methods": _methods,
    "activations": lambda: _registered("activation"),
    "generators": lambda: _registered("generator"),
    "certificates": lambda: _registered("certificate"),
    "checks": lambda: _registered("check"),
    "gallery": _gallery,
    "templates": _templates,
}


def _table(title: str, rows: Rows) -> str:
    width = max((len(name) for name, _ in rows), default=0)
    return "\n".join([title, *(f"  {name:<{width}}  {text}".rstrip() for name, text in rows)])


def _page(registry: Registry[Any], name: str) -> str:
    entry = registry[name]
    lines = [f"{registry.kind} {name}", "", _plain(entry)]
    if dataclasses.is_dataclass(entry):
        options = [f"{field.name}={field.default!r}" for field in dataclasses.fields(entry) if field.init]
        lines += ["", f"options: {', '.join(options) if options else 'none'}"]
    return "\n".join(lines)


def first_sentence(text: str) -> str:
    """Return the first sentence of a text on one line."""
    paragraph = " ".join(text.split("\n\n")[0].split())
    for stop in re.finditer(r"\. ", paragraph):
        sentence = paragraph[: stop.start() + 1]
        if not sentence.endswith(_ABBREVIATIONS):
            return sentence
    return paragraph


def _plain(entry: Any) -> str:
    """Return the docstring of a definition with names in single quotes, as a terminal shows them."""
    return (inspect.getdoc(entry) or "").replace("``", "'")
