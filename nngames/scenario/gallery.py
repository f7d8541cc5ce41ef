"""The gallery: the scenarios shipped with the package, by name."""

from __future__ import annotations

from pathlib import Path

from nngames.core.errors import suggestion
from nngames.scenario.problems import Problem, ScenarioError

#: What a gallery name starts with where a file name could stand.
PREFIX = "gallery:"
_PACKAGE = Path(__file__).parent.parent


def root() -> Path:
    """Return the gallery's folder: in an installed wheel inside the package, in a checkout beside it."""
    installed = _PACKAGE / "gallery"
    return installed if installed.is_dir() else _PACKAGE.parent / "scenarios"


def files() -> dict[str, Path]:
    """Return the gallery's scenario files by name, sorted; a name is the file's without its ending."""
    return {path.stem: path for path in sorted(root().glob("*/*.yaml"), key=lambda path: path.stem)}


def find(name: str) -> Path:
    """Return the file of ``gallery:NAME``.

    Raises
    ------
    ScenarioError
        If the gallery has no such scenario.
    """
    known = files()
    key = name.removeprefix(PREFIX)
    if key not in known:
        hint = suggestion(key, tuple(known)) if known else "the gallery is empty"
        raise ScenarioError([Problem(name, 1, 1, "", f"the gallery has no scenario {key!r}; {hint}")])
    return known[key]
