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
    return {path.stem: path for path in sorted(root().rglob("*.yaml"), key=lambda path: path.stem)}


def suites() -> dict[str, dict[str, Path]]:
    """Return the files by the folder they lie in, such as ``examples`` or ``bench/full``, as ``files`` does."""
    found: dict[str, dict[str, Path]] = {}
    for name, path in files().items():
        found.setdefault(path.parent.relative_to(root()).as_posix(), {})[name] = path
    return dict(sorted(found.items()))


def find(name: str) -> Path:
    """Return the file of ``gallery:NAME``; a name may stand behind its folder, as in ``gallery:bench/NAME``.

    Raises
    ------
    ScenarioError
        If the gallery has no such scenario.
    """
    key = name.removeprefix(PREFIX)
    folder, _, stem = key.rpartition("/")
    known = suites().get(folder, {}) if folder else files()
    if stem not in known:
        known = known or files()
        hint = suggestion(stem, tuple(known)) if known else "the gallery is empty"
        raise ScenarioError([Problem(name, 1, 1, "", f"the gallery has no scenario {key!r}; {hint}")])
    return known[stem]
