"""The store of a comparison: a folder with one file a run, so that a kill loses no finished run.

A file is named by a hash of everything that its run depends on: the scenario's content, seed, method, options, target,
repetition, conditions and versions. It is JSON, appears at once and whole, and states what it was named by and a hash
of the run. Files that are not what their name says, or were changed later, are left where they are, and their runs
are made again.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nngames.core.errors import InputError
from nngames.core.files import write_atomic
from nngames.core.plain import plain
from nngames.results.records import written

FORMAT = 2
NAME_LENGTH = 32


class Store:
    """Finished runs in a folder.

    Parameters
    ----------
    folder : path
        Made if its parent exists.

    Attributes
    ----------
    notes : list of str
        The files that could not be used.

    Raises
    ------
    InputError
        If it is no folder, or cannot be made or written into.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        self.notes: list[str] = []
        if self.folder.exists() and not self.folder.is_dir():
            raise InputError(f"the store {str(folder)!r} is a file; give a folder")
        try:
            self.folder.mkdir(exist_ok=True)
        except FileNotFoundError:
            raise InputError(f"the store {str(folder)!r}: there is no folder {str(self.folder.parent)!r}") from None
        except OSError as error:
            raise InputError(f"the store {str(folder)!r} cannot be made: {error.strerror or error}") from None
        if not os.access(self.folder, os.W_OK | os.X_OK):
            raise InputError(f"the store {str(folder)!r} cannot be written into")
        # Looked at once: a comparison of thousands of runs asks for each of them.
        self._known: dict[str, list[str]] = {}
        for name in sorted(path.name for path in self.folder.glob("*.json")):
            self._known.setdefault(name[:NAME_LENGTH], []).append(name)

    def load(self, key: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return the record of a finished run; None where there is none that can be used."""
        for path in self._files(key):
            reason = f"{path} "
            try:
                content = json.loads(path.read_text(encoding="utf-8"))
            except OSError as error:
                reason += f"cannot be read: {error.strerror or error}"
            except (ValueError, RecursionError):
                reason += "is not JSON"
            else:
                if not _belongs(content, key):
                    reason += "is not the run that its name says"
                elif content.get("hash") == _hash(content["run"]):
                    return dict(content["run"])
                else:
                    reason += "was changed after the run"
            note = f"{reason}; it was left as it is, and its run is made again"
            if note not in self.notes:
                self.notes.append(note)
        return None

    def save(self, key: Mapping[str, Any], record: Mapping[str, Any]) -> Path:
        """Write the record of a finished run; no file that exists is replaced.

        Raises
        ------
        InputError
            If the folder takes no file any more, as on a full disk.
        """
        name = name_of(key)
        taken, number = self._known.setdefault(name, []), 0
        while (file := f"{name}.json" if number == 0 else f"{name}-{number}.json") in taken:
            number += 1
        taken.append(file)
        run = written(record)
        head = json.dumps({"format": FORMAT, "hash": _hash(json.loads(run)), "key": plain(key)})[:-1]
        try:
            return write_atomic(self.folder / file, f'{head}, "run": {run}}}\n')
        except OSError as error:
            raise InputError(
                f"the store {str(self.folder)!r} cannot be written into: {error.strerror or error}; the runs in it are "
                "kept, and the same command goes on from there"
            ) from None

    def _files(self, key: Mapping[str, Any]) -> list[Path]:
        return [self.folder / name for name in self._known.get(name_of(key), [])]


def name_of(key: Mapping[str, Any]) -> str:
    """Return the name of a run's file, without its ending."""
    return _hash(plain(key))[:NAME_LENGTH]


def _hash(content: Any) -> str:
    """Return the hash of JSON data, however it is laid out."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode("utf-8")).hexdigest()


def _belongs(content: Any, key: Mapping[str, Any]) -> bool:
    """Return whether a file's content is of the run that a key names."""
    if not isinstance(content, dict) or content.get("format") != FORMAT or content.get("key") != plain(key):
        return False
    return isinstance(content.get("run"), dict)
