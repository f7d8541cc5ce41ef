"""Loading scenarios: from a file, the gallery or text, with every error of the file reported at once."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from nngames.core.errors import InputError
from nngames.scenario.array_files import Folder
from nngames.scenario.gallery import PREFIX, find
from nngames.scenario.problems import Problem, ScenarioError
from nngames.scenario.scenario import Scenario
from nngames.scenario.schema import ScenarioSection
from nngames.scenario.sections import KEY_ERROR, plain_words
from nngames.scenario.yaml_reader import Document, parse_document, read_document


def load_scenario(source: str | os.PathLike[str]) -> Scenario:
    """Return the scenario in a file.

    Parameters
    ----------
    source : path, "gallery:NAME", or text
        Text is recognised by a line break; it can read no files.

    Raises
    ------
    ScenarioError
        If the file cannot be read or is no valid scenario: one line ``FILE:LINE:COLUMN: key.path: what is wrong`` for
        everything that is wrong with its keys.

    Examples
    --------
    >>> import nngames as nng
    >>> nng.load_scenario("gallery:three_imitators").game.size
    3
    """
    if not isinstance(source, str | os.PathLike):
        raise InputError(f"a scenario is loaded from a path, 'gallery:NAME' or text; got {type(source).__name__}")
    if isinstance(source, str) and "\n" in source:
        return checked(parse_document(source, "<text>"), None)
    if isinstance(source, str) and source.startswith(PREFIX):
        path = find(source)
        document = read_document(path)
        return checked(Document(source, document.root, document.text), Folder.of(path))
    document = read_document(source)
    return checked(document, Folder.of(Path(source)))


def checked(document: Document, folder: Folder | None) -> Scenario:
    """Return the scenario that a document holds.

    Raises
    ------
    ScenarioError
        For everything that is wrong with its keys.
    """
    try:
        section = ScenarioSection.model_validate(document.data)
    except ValidationError as error:
        problems = [_problem(document, found) for found in error.errors(include_url=False)]
        raise ScenarioError(problems) from None
    return Scenario(section, document, folder)


def _problem(document: Document, found: Any) -> Problem:
    return document.problem(found["loc"], plain_words(found), at_key=found["type"] == KEY_ERROR)
