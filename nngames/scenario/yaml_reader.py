"""Reading YAML files: plain data with the place of every key, from a regular file of UTF-8 text within a size."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NoReturn

import yaml

from nngames.scenario.problems import Path, Problem, ScenarioError, dotted, shown
from nngames.scenario.yaml_composer import DEPTH, UNPRINTABLE, Composer, Node

#: The largest file, in bytes; larger arrays belong in an npz or csv file.
FILE_BYTES = 2_000_000


@dataclass(frozen=True)
class Document:
    """A parsed file.

    Attributes
    ----------
    file : str
        Its name, as the user gave it.
    root : Node
        The top-level mapping.
    text : str
        What stands in it.
    """

    file: str
    root: Node
    text: str = ""

    @cached_property
    def data(self) -> Any:
        """The document as plain dictionaries, lists and scalars."""
        return _plain(self.root)

    def problem(self, path: Path, message: str, *, at_key: bool = False) -> Problem:
        """Return the problem at ``path``, located at its value or its key; a missing key is located at its mapping."""
        node, place = self.root, (self.root.line, self.root.column)
        for step in path:
            child = _child(node, step)
            if child is None:
                break
            place = node.keys[step] if at_key and step in node.keys else (child.line, child.column)
            node = child
        return Problem(self.file, *place, dotted(path), message)


def read_document(path: str | os.PathLike[str]) -> Document:
    """Return the document in a file.

    Raises
    ------
    ScenarioError
        If there is no such regular file, it is too large, or ``parse_document`` refuses its text.
    """
    file = os.fspath(path)
    try:
        status = os.stat(file)
        if stat.S_ISDIR(status.st_mode):
            _refuse(file, "is a folder; give a YAML file")
        if not stat.S_ISREG(status.st_mode):
            _refuse(file, "is not a regular file")
        if status.st_size > FILE_BYTES:
            _refuse_size(file, status.st_size)
        with open(file, "rb") as stream:
            content = stream.read(FILE_BYTES + 1)
    except ScenarioError:
        raise
    except FileNotFoundError:
        _refuse(file, "there is no such file")
    except (OSError, ValueError) as error:
        _refuse(file, f"cannot be read: {getattr(error, 'strerror', None) or error}")
    if len(content) > FILE_BYTES:
        _refuse_size(file, len(content))
    return parse_document(_decode(content, file), file)


def parse_document(text: str, file: str) -> Document:
    """Return the document in ``text``; ``file`` names it in messages.

    Raises
    ------
    ScenarioError
        If the text is empty, is not YAML, or uses what this reader refuses; the first such place is reported.
    """
    if len(text) > FILE_BYTES:
        _refuse_size(file, len(text))
    text = text.removeprefix("\ufeff")
    bad = UNPRINTABLE.search(text)
    if bad:
        line, column = _place(text, bad.start())
        _refuse(file, f"the character U+{ord(bad.group()):04X} is not allowed in YAML", line, column)
    try:
        root = Composer(text, file).document()
    except yaml.MarkedYAMLError as error:
        raise _syntax_error(error, text, file) from None
    except ScenarioError:
        raise
    except (yaml.YAMLError, ValueError) as error:
        _refuse(file, f"is not YAML: {error}")
    if root is None:
        _refuse(file, "is empty; 'nngames new ring' writes a scenario to start from")
    if not isinstance(root.value, dict):
        _refuse(file, f"holds {shown(root.value)}; expected the keys of a scenario", root.line, root.column)
    return Document(file, root, text)


def _plain(node: Node) -> Any:
    if isinstance(node.value, dict):
        return {key: _plain(child) for key, child in node.value.items()}
    if isinstance(node.value, list):
        return [_plain(child) for child in node.value]
    return node.value


def _child(node: Node, step: str | int) -> Node | None:
    if isinstance(node.value, dict):
        # A player's key is found with and without quotes.
        same = (key for key in node.value if str(key) == str(step))
        return node.value.get(step) or node.value.get(next(same, step))
    if isinstance(node.value, list) and isinstance(step, int) and 0 <= step < len(node.value):
        return node.value[step]
    return None


def _place(text: str, index: int) -> tuple[int, int]:
    return text.count("\n", 0, index) + 1, index - text.rfind("\n", 0, index)


def _decode(content: bytes, file: str) -> str:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        _refuse(file, "is UTF-16 text; save it as UTF-8")
    if b"\0" in content:
        _refuse(file, "is a binary file; expected YAML text")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        readable = content[: error.start].decode("utf-8")
        line, column = _place(readable, len(readable))
        _refuse(file, f"the byte 0x{content[error.start]:02x} is not UTF-8 text", line, column)


def _syntax_error(error: Any, text: str, file: str) -> ScenarioError:
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    lines = text.splitlines()
    found = lines[line - 1][column - 1 : column] if line <= len(lines) else ""
    if "nesting depth" in (error.problem or ""):
        # Newer scanners refuse deep nesting before the composer sees it.
        return ScenarioError([Problem(file, line, column, "", f"nested deeper than {DEPTH} levels")])
    message = f"is not YAML: {error.problem or error.context}"
    if found == "\t":
        message += "; indent with spaces, not tabs"
    elif found and found in "@`%":
        message += f"; put text that starts with {found} in quotes"
    elif error.context and error.context_mark and error.context_mark.line + 1 != line:
        message += f" ({error.context} that starts in line {error.context_mark.line + 1})"
    return ScenarioError([Problem(file, line, column, "", message)])


def _refuse_size(file: str, size: int) -> NoReturn:
    megabytes = f"{size / 1e6:.1f} MB"
    _refuse(file, f"has {megabytes}; at most {FILE_BYTES / 1e6:.0f} MB: put large arrays into an npz or csv file")


def _refuse(file: str, message: str, line: int = 1, column: int = 1) -> NoReturn:
    raise ScenarioError([Problem(file, line, column, "", message)])
