"""Composing YAML into nodes, each with its place: nothing a file says can construct an object.

PyYAML parses to events; they are composed here, one by one and within limits, by the scalars of YAML 1.2: 1e-6 is a
number, only ``true`` and ``false`` are booleans (``no``, ``on`` and ``10:30`` are text, ``010`` is ten), and nothing
becomes a date. Duplicate keys, tags, merge keys and second documents are refused; aliases are copies and count as such.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, NoReturn

import yaml

from nngames.scenario.problems import Path, Problem, ScenarioError, dotted, shown

#: The most values in a document, every alias counted with all it stands for.
NODES = 100_000
#: The deepest nesting.
DEPTH = 40
#: The most digits of a number.
DIGITS = 300

_PARSER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_INTEGER = re.compile(r"[-+]?[0-9]+\Z")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")
_SPECIAL = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
    **{sign + inf: float(sign + "inf") for sign in ("", "+", "-") for inf in (".inf", ".Inf", ".INF")},
}
#: The characters that YAML does not allow.
UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Node:
    """A value with its place: a scalar, a list of nodes, or a mapping key -> node.

    Attributes
    ----------
    value : scalar, list of Node or dict of Node
    line, column : int
        Counted from 1.
    keys : dict
        The places of a mapping's keys.
    size, height : int
        The number of values in it, and its nesting, aliases written out.
    """

    value: Any
    line: int
    column: int
    keys: dict[str | int, tuple[int, int]] = field(default_factory=dict)
    size: int = 1
    height: int = 0


class Composer:
    """Composes the events of one document into nodes, iteratively and within the limits."""

    def __init__(self, text: str, file: str) -> None:
        self._events = yaml.parse(text, Loader=_PARSER)
        self._file = file
        self._anchors: dict[str, Node | None] = {}
        self._frames: list[_Frame] = []
        self._total = 0
        self._root: Node | None = None

    def document(self) -> Node | None:
        """Return the document's node; None if there is none. Raises ScenarioError, or PyYAML's errors."""
        documents = 0
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self._stop(event, "a second document starts here; a scenario file holds one")
            elif isinstance(event, yaml.CollectionStartEvent):
                self._open(event)
            elif isinstance(event, yaml.CollectionEndEvent):
                self._close()
            elif isinstance(event, yaml.ScalarEvent):
                self._scalar(event)
            elif isinstance(event, yaml.AliasEvent):
                self._alias(event)
        return self._root

    def _open(self, event: Any) -> None:
        self._check_tag(event)
        self._count(event, 1)
        if self._expects_key():
            self._stop(event, "a key must be text or a whole number")
        if len(self._frames) == DEPTH:
            self._stop(event, f"nested deeper than {DEPTH} levels")
        self._frames.append(_Frame(event, {} if isinstance(event, yaml.MappingStartEvent) else []))
        if event.anchor is not None:
            self._anchors[event.anchor] = None

    def _close(self) -> None:
        frame = self._frames.pop()
        node = frame.node()
        if frame.event.anchor is not None:
            self._anchors[frame.event.anchor] = node
        self._add(node, frame.event)

    def _scalar(self, event: Any) -> None:
        self._check_tag(event)
        self._count(event, 1)
        bad = UNPRINTABLE.search(event.value)
        if bad:
            self._stop(event, f"the text holds the control character U+{ord(bad.group()):04X}")
        plain = bool(event.implicit[0])
        if self._expects_key() and plain and event.value == "<<":
            self._stop(event, "merge keys are not part of YAML 1.2; write the keys out")
        node = Node(self._resolve(event) if plain else event.value, *_mark(event))
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        self._add(node, event)

    def _alias(self, event: Any) -> None:
        if event.anchor not in self._anchors:
            self._stop(event, f"no anchor &{event.anchor} stands before this alias")
        target = self._anchors[event.anchor]
        if target is None:
            self._stop(event, f"the alias *{event.anchor} stands inside its own anchor")
        self._count(event, target.size)
        if len(self._frames) + target.height > DEPTH:
            self._stop(event, f"nested deeper than {DEPTH} levels, aliases written out")
        self._add(Node(target.value, *_mark(event), target.keys, target.size, target.height), event)

    def _add(self, node: Node, event: Any) -> None:
        if not self._frames:
            self._root = node
            return
        frame = self._frames[-1]
        if isinstance(frame.children, list):
            frame.children.append(node)
        elif frame.key is None:
            self._begin_key(frame, node, event)
        else:
            frame.children[frame.key] = node
            frame.key = None

    def _begin_key(self, frame: _Frame, node: Node, event: Any) -> None:
        key = node.value
        if isinstance(key, bool) or not isinstance(key, str | int):
            self._stop(event, f"a key must be text or a whole number; got {shown(key)}: put it in quotes")
        if str(key) in frame.seen:
            line, _ = frame.places[frame.seen[str(key)]]
            self._stop(event, f"the key {str(key)!r} is given twice, first in line {line}")
        frame.seen[str(key)] = key
        frame.places[key] = (node.line, node.column)
        frame.key = key

    def _expects_key(self) -> bool:
        return bool(self._frames) and isinstance(self._frames[-1].children, dict) and self._frames[-1].key is None

    def _count(self, event: Any, nodes: int) -> None:
        self._total += nodes
        if self._total > NODES:
            message = f"more than {NODES} values, aliases written out; put large arrays into an npz or csv file"
            self._stop(event, message)

    def _check_tag(self, event: Any) -> None:
        if event.tag is not None:
            self._stop(event, f"the tag {shown(event.tag)} is refused: a scenario holds plain data only")

    def _resolve(self, event: Any) -> Any:
        text = event.value
        if text in _SPECIAL:
            return _SPECIAL[text]
        number = int if _INTEGER.match(text) else float if _FLOAT.match(text) else None
        if number is None:
            return text
        if len(text) > DIGITS:
            self._stop(event, f"a number of {len(text)} characters; at most {DIGITS} are read")
        return number(text)

    def _stop(self, event: Any, message: str) -> NoReturn:
        raise ScenarioError([Problem(self._file, *_mark(event), dotted(self._path()), message)])

    def _path(self) -> Path:
        steps = [len(f.children) if isinstance(f.children, list) else f.key for f in self._frames]
        return tuple(step for step in steps if step is not None)


class _Frame:
    """A list or mapping that is still open."""

    def __init__(self, event: Any, children: Any) -> None:
        self.event = event
        self.children: Any = children
        self.key: str | int | None = None
        self.seen: dict[str, str | int] = {}
        self.places: dict[str | int, tuple[int, int]] = {}

    def node(self) -> Node:
        children = list(self.children.values()) if isinstance(self.children, dict) else self.children
        size = 1 + sum(child.size for child in children)
        height = 1 + max((child.height for child in children), default=0)
        return Node(self.children, *_mark(self.event), self.places, size, height)


def _mark(event: Any) -> tuple[int, int]:
    return event.start_mark.line + 1, event.start_mark.column + 1
