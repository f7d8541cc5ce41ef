"""Suites: the scenarios of files, of folders and of the gallery's folders, in one list."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nngames.core.errors import OptionError
from nngames.scenario.gallery import PREFIX, suites
from nngames.scenario.loader import load_scenario
from nngames.scenario.problems import Problem, ScenarioError
from nngames.scenario.scenario import Scenario


def load_suite(sources: Sequence[str], full: bool = False) -> list[Scenario]:
    """Return scenarios.

    Parameters
    ----------
    sources : sequence of str
        Files, ``gallery:NAME``, folders and ``gallery:FOLDER``; a folder stands for the ``.yaml`` files in it.
    full : bool
        Whether a folder stands for the files in its sub-folders too.

    Raises
    ------
    ScenarioError
        With the problems of all files.
    OptionError
        If ``full`` is asked for and there is no folder.
    """
    files: list[str] = []
    folders = False
    for source in sources:
        inside = _inside(source, full)
        folders = folders or inside is not None
        files += [source] if inside is None else inside
    if full and not folders:
        raise OptionError(f"full is about the sub-folders of a folder; got {', '.join(sources)}")
    scenarios: list[Scenario] = []
    problems: list[Problem] = []
    for file in dict.fromkeys(files):
        try:
            scenarios.append(load_scenario(file))
        except ScenarioError as error:
            problems += error.problems
    if problems:
        raise ScenarioError(problems)
    return scenarios


def _inside(source: str, full: bool) -> list[str] | None:
    """Return the files of a folder; None for what is no folder."""
    if source.startswith(PREFIX):
        wanted, known = source.removeprefix(PREFIX).rstrip("/"), suites()
        names = [name for name in known if name == wanted or (full and name.startswith(f"{wanted}/"))]
        return [f"{PREFIX}{name}/{stem}" for name in names for stem in known[name]] or None
    folder = Path(source)
    if not folder.is_dir():
        return None
    found = sorted(folder.rglob("*.yaml") if full else folder.glob("*.yaml"))
    if not found:
        raise ScenarioError([Problem(source, 1, 1, "", "the folder holds no .yaml file")])
    return [str(path) for path in found]
