"""Scenarios in other processes: rebuilt from their text, and told apart by what their runs depend on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nngames.core.errors import InputError
from nngames.core.plain import plain
from nngames.scenario.array_files import Folder
from nngames.scenario.yaml_reader import parse_document

if TYPE_CHECKING:
    from nngames.scenario.scenario import Scenario

#: The function that builds a scenario from ``portable_data``.
REBUILD = "nngames.scenario.portable:rebuild"
#: The keys that a solve depends on, besides the seed and the stopping values; of ``solve`` it is the start.
_KEYS = ("network", "game", "training", "players", "cost")


def portable_data(scenario: Scenario) -> dict[str, Any]:
    """Return a scenario's text, the folder of its array files, and its seed."""
    folder = None if scenario.folder is None else str(scenario.folder.base)
    return {"text": scenario.document.text, "file": scenario.file, "folder": folder, "seed": scenario.seed}


def rebuild(data: Mapping[str, Any]) -> Scenario:
    """Return the scenario of ``portable_data``; its array files are read from the same folder.

    Raises
    ------
    ScenarioError
        If the text is no valid scenario.
    """
    from nngames.scenario.loader import checked

    folder = None if data["folder"] is None else Folder.of(Path(data["folder"]) / "scenario.yaml")
    return checked(parse_document(data["text"], data["file"]), folder).with_changes(seed=data["seed"])


def content_hash(scenario: Scenario) -> str:
    """Return a hash of a scenario's game, start, seed and array files; its name, methods and claims do not matter."""
    data = scenario.document.data
    start = (data.get("solve") or {}).get("start")
    parts = [{key: data[key] for key in _KEYS if key in data}, start, scenario.seed]
    # The order of keys is that of the players, so it is left as it is.
    digest = hashlib.sha256(json.dumps(plain(parts)).encode("utf-8"))
    for name in file_names(parts):
        digest.update(name.encode("utf-8") + b"\0" + _file_digest(scenario, name))
    return digest.hexdigest()


def _file_digest(scenario: Scenario, name: str) -> bytes:
    try:
        content = b"" if scenario.folder is None else scenario.folder.content(name)
    except InputError as error:
        # The runs fail by that, and are made again when the file is there.
        content = str(error).encode("utf-8")
    return hashlib.sha256(content).digest()


def file_names(value: Any) -> Iterator[str]:
    """Yield the array files that a part of a scenario names."""
    if isinstance(value, Mapping):
        if isinstance(value.get("file"), str):
            yield value["file"]
        for item in value.values():
            yield from file_names(item)
    elif isinstance(value, list):
        for item in value:
            yield from file_names(item)
