"""Choices from the registries: an entry's name, or a mapping with the name and the entry's options.

The entries are found when a scenario is read, so that a new activation, solver or check is valid in a scenario as soon
as it is registered. The options are those of the entry's dataclass and are checked by building it.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import CoreSchema, core_schema

from nngames.core.errors import NNGamesError, suggestion
from nngames.core.registry import Registry
from nngames.scenario.problems import shown
from nngames.scenario.sections import Finding, a, findings_of, is_number, whole, wrong, wrong_inside, wrong_key


@dataclasses.dataclass(frozen=True)
class Chosen:
    """An entry of a registry with its options.

    Attributes
    ----------
    name : str
    options : mapping
        As the scenario gives them.
    entry : object
        The entry built from the options; None for a name outside the registry, such as ``auto``.
    label : str
        What the results are called by: the scenario's label, or the name.
    """

    name: str
    options: Mapping[str, Any]
    entry: Any
    label: str


@dataclasses.dataclass(frozen=True)
class Choice:
    """A pydantic annotation: validates to ``Chosen``.

    Attributes
    ----------
    registry : callable returning Registry
        Called when needed, so that reading the schema imports no room that it does not use.
    key : str
        The mapping's key that holds the name.
    only : callable returning names, optional
        Narrows the registry.
    also : tuple of str
        Names outside the registry, without options.
    labelled : bool
        Whether the mapping may have a ``label``.
    kind : str, optional
        What a choice is called in messages; by default what the registry calls it.
    """

    registry: Callable[[], Registry[Any]]
    key: str = "name"
    only: Callable[[], Collection[str]] | None = None
    also: tuple[str, ...] = ()
    labelled: bool = False
    kind: str | None = None

    def names(self) -> tuple[str, ...]:
        """Return the valid names, sorted."""
        known = self.registry().names() if self.only is None else self.only()
        return tuple(sorted({*known, *self.also}))

    def validate(self, value: Any) -> Chosen:
        """Return the choice that a scenario's value stands for; raise pydantic's errors otherwise."""
        if not isinstance(value, dict):
            return self._choose(self._name(value, ()), {}, None)
        if self.key not in value:
            raise wrong(f"has no {self.key!r}; give one of {', '.join(self.names())}")
        name = self._name(value[self.key], (self.key,))
        label = value.get("label") if self.labelled else None
        if label is not None and not (isinstance(label, str) and label.strip()):
            raise wrong_inside([(("label",), f"must be text; got {shown(label)}")])
        own = {self.key, "label"} if self.labelled else {self.key}
        return self._choose(name, {key: item for key, item in value.items() if key not in own}, label)

    def _name(self, name: Any, place: tuple[str, ...]) -> str:
        kind = self.kind or self.registry().kind
        if not isinstance(name, str):
            raise wrong_inside([(place, f"must be {a(kind)}'s name; got {shown(name)}")])
        if name not in self.names():
            raise wrong_inside([(place, f"unknown {kind} {shown(name)}; {suggestion(name, self.names())}")])
        return name

    def _choose(self, name: str, options: dict[Any, Any], label: str | None) -> Chosen:
        if name in self.also:
            if options:
                raise wrong_inside([((key,), f"{name!r} takes no options") for key in options])
            return Chosen(name, {}, None, label or name)
        return Chosen(name, options, build(self.registry(), name, options), label or name)

    # pydantic's protocol

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self.validate)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: Any) -> dict[str, Any]:
        return {"anyOf": [{"enum": list(self.names())}, *(self._entry_schema(name) for name in self.names())]}

    def _entry_schema(self, name: str) -> dict[str, Any]:
        properties: dict[str, Any] = {self.key: {"const": name}}
        if self.labelled:
            properties["label"] = {"type": "string"}
        if name not in self.also:
            properties |= {field: json_type(hint) for field, hint in option_types(self.registry()[name]).items()}
        return {"type": "object", "properties": properties, "required": [self.key], "additionalProperties": False}


class NestedChoice(Choice):
    """The same as a name, or a mapping ``{name: {option: value}}`` with one key."""

    def validate(self, value: Any) -> Chosen:
        """Return the choice that a scenario's value stands for; raise pydantic's errors otherwise."""
        if not isinstance(value, dict):
            return self._choose(self._name(value, ()), {}, None)
        if len(value) != 1:
            got = ", ".join(map(str, value)) or "none"
            raise wrong(f"must have one key, {a(self.registry().kind)}'s name; got {got}")
        ((given, options),) = value.items()
        name = self._name(given, (given,))
        if not isinstance(options, dict):
            raise wrong_inside([((given,), f"must be a mapping of options; got {shown(options)}")])
        try:
            return self._choose(name, options, None)
        except ValidationError as error:
            raise wrong_inside(findings_of(error, given)) from None

    def _entry_schema(self, name: str) -> dict[str, Any]:
        options = {field: json_type(hint) for field, hint in option_types(self.registry()[name]).items()}
        inner = {"type": "object", "properties": options, "additionalProperties": False}
        return {"type": "object", "properties": {name: inner}, "required": [name], "additionalProperties": False}


def option_types(entry: Any) -> dict[str, str]:
    """Return the options of a registered dataclass with their annotations, as written."""
    return {
        field.name: field.type if isinstance(field.type, str) else getattr(field.type, "__name__", "")
        for field in dataclasses.fields(entry)
        if field.init
    }


def json_type(annotation: str) -> dict[str, Any]:
    """Return the JSON schema of an option's values, by its annotation; anything for what JSON has no name."""
    names = {"float": "number", "int": "integer", "bool": "boolean", "str": "string"}
    return {"type": names[annotation]} if annotation in names else {}


def build(registry: Registry[Any], name: str, options: Mapping[Any, Any]) -> Any:
    """Return the registry's entry built from options read from YAML.

    Raises
    ------
    ValidationError
        Naming every option that is unknown or of the wrong kind; else the entry's own complaint.
    """
    types = option_types(registry[name])
    findings: list[Finding] = []
    given = {option: whole(value) if types.get(option) == "int" else value for option, value in options.items()}
    for option, value in given.items():
        if option not in types:
            valid = suggestion(str(option), tuple(sorted(types))) if types else "it takes none"
            findings.append(((option,), wrong_key(f"{registry.kind} {name!r} has no such option; {valid}")))
        elif complaint := _mismatch(types[option], value):
            findings.append(((option,), complaint))
    if findings:
        raise wrong_inside(findings)
    try:
        return registry.create(name, **given)
    except NNGamesError as error:
        named = [option for option in options if len(options) == 1 or re.search(rf"\b{option}\b", str(error))]
        raise wrong_inside([(tuple(named[:1]), str(error))]) from None
    except (TypeError, ValueError) as error:
        raise wrong(f"the options of {registry.kind} {name!r} cannot be used: {error}") from None


def _mismatch(annotation: str, value: Any) -> str | None:
    kinds: dict[str, tuple[str, Callable[[Any], bool]]] = {
        "float": ("a number", lambda v: is_number(v) and not math.isnan(v)),
        "int": ("a whole number", lambda v: isinstance(v, int) and not isinstance(v, bool)),
        "bool": ("true or false", lambda v: isinstance(v, bool)),
        "str": ("text", lambda v: isinstance(v, str)),
    }
    if annotation not in kinds or kinds[annotation][1](value):
        return None
    return f"must be {kinds[annotation][0]}; got {shown(value)}"
