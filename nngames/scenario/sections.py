"""What the models of a scenario share: strict keys with suggestions, strict numbers, and errors in plain words."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError

from nngames.core.errors import OptionError, suggestion
from nngames.scenario.problems import Path, shown

#: The place below the value being validated, and what is wrong there: with its value, or with its key.
Finding = tuple[Path, str | PydanticCustomError]


#: The type of errors that are about a key, not about its value.
KEY_ERROR = "scenario_key"
#: The most findings inside one value; nobody reads on, and looking for names that are meant takes time.
MOST_FINDINGS = 200
MISSING = "is missing"


class Section(BaseModel):
    """A mapping of a scenario with a fixed set of keys."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, populate_by_name=False, protected_namespaces=())

    @model_validator(mode="wrap")
    @classmethod
    def _known_keys(cls, data: Any, handler: Any) -> Any:
        if isinstance(data, cls):
            return data
        if not isinstance(data, dict):
            raise wrong(f"must be a mapping with the keys {', '.join(cls.valid_keys())}; got {shown(data)}")
        findings: list[Finding] = []
        for key, value in data.items():
            if len(findings) == MOST_FINDINGS:
                break
            if key not in cls.valid_keys():
                findings.append(((key,), wrong_key(f"unknown key; {suggestion(str(key), cls.valid_keys())}")))
            elif value is None:
                findings.append(((key,), wrong_key("has no value; give one or remove the key")))
        bad = {path[0] for path, _ in findings}
        return collect(handler, {key: value for key, value in data.items() if key not in bad}, findings, bad)

    @classmethod
    def valid_keys(cls) -> tuple[str, ...]:
        """Return the keys as they are written in YAML."""
        return tuple(info.alias or name for name, info in cls.model_fields.items())


SomeSection = TypeVar("SomeSection", bound=Section)


def changed(section: SomeSection, values: Mapping[str, Any]) -> SomeSection:
    """Return a section with other values, each checked as in a file.

    Raises
    ------
    OptionError
        If one is not valid.
    """
    checked = {}
    for key, value in values.items():
        field = type(section).model_fields[key]
        kind: Any = Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation
        try:
            checked[key] = TypeAdapter(kind).validate_python(value, strict=True)
        except ValidationError as error:
            raise OptionError(f"{key} {plain_words(error.errors()[0])}") from None
    return section.model_copy(update=checked)


def wrong(message: str) -> PydanticCustomError:
    """Return the error for the value being validated."""
    # The message is passed as data: braces in a user's text are not fields of a template.
    return PydanticCustomError("scenario", "{message}", {"message": message})


def wrong_key(message: str) -> PydanticCustomError:
    """Return the error for the key of a value."""
    return PydanticCustomError(KEY_ERROR, "{message}", {"message": message})


def wrong_inside(findings: Iterable[Finding]) -> ValidationError:
    """Return the error for places below the value being validated."""
    details = [
        InitErrorDetails(type=wrong(what) if isinstance(what, str) else what, loc=path, input=None)
        for path, what in itertools.islice(findings, MOST_FINDINGS)
    ]
    return ValidationError.from_exception_data("scenario", details)


def findings_of(error: ValidationError, *above: str | int) -> list[Finding]:
    """Return what an error found, its messages in plain words, its places below ``above``."""
    return [
        ((*above, *found["loc"]), wrong_key(plain_words(found)) if found["type"] == KEY_ERROR else plain_words(found))
        for found in error.errors(include_url=False)
    ]


def collect(handler: Any, data: Any, findings: Sequence[Finding], known: Iterable[Any] = ()) -> Any:
    """Return ``handler(data)``, or raise its errors and the findings; that ``known`` keys are missing is no error."""
    found = list(findings)
    result = None
    try:
        result = handler(data)
    except ValidationError as error:
        absent = {(key,) for key in known}
        found += [(path, what) for path, what in findings_of(error) if not (path in absent and what == MISSING)]
    if found:
        raise wrong_inside(found)
    return result


def plain_words(error: ErrorDetails) -> str:
    """Return one of pydantic's errors in a user's words."""
    got = shown(error.get("input"))
    context = error.get("ctx", {})
    match error["type"]:
        case "scenario" | "scenario_key":
            return str(context["message"])
        case "missing":
            return MISSING
        case "literal_error":
            valid = [item.strip().strip("'") for item in str(context["expected"]).replace(" or ", ", ").split(",")]
            return f"unknown value {got}; {suggestion(str(error.get('input')), valid)}"
        case "greater_than":
            return f"must be greater than {context['gt']:g}; got {got}"
        case "greater_than_equal":
            return f"must be at least {context['ge']:g}; got {got}"
        case "less_than":
            return f"must be less than {context['lt']:g}; got {got}"
        case "less_than_equal":
            return f"must be at most {context['le']:g}; got {got}"
        case "finite_number":
            return f"must be a finite number; got {got}"
        case "too_short" if context.get("actual_length") == 0:
            return "is empty"
        case "too_short":
            return f"has {context['actual_length']} of the {context['min_length']} entries it needs"
        case "too_long":
            return f"has {context.get('actual_length')} entries; at most {context['max_length']} are allowed"
    kinds = {
        "float_type": "a number",
        "int_type": "a whole number",
        "bool_type": "true or false",
        "string_type": "text",
        "list_type": "a list",
        "dict_type": "a mapping",
    }
    if error["type"] in kinds:
        return f"must be {kinds[error['type']]}; got {got}"
    return f"{error['msg'][:1].lower()}{error['msg'][1:]}; got {got}"


def a(noun: str) -> str:
    """Return a noun with its article."""
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"


def is_number(value: Any) -> bool:
    """Return whether a YAML value is a number (booleans are none)."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def whole(value: Any) -> Any:
    """Return a number such as 1e4 as the whole number it is, anything else as it is."""
    return int(value) if isinstance(value, float) and math.isfinite(value) and value == int(value) else value


def _no_blank(value: str) -> str:
    if not value.strip():
        raise wrong("is empty")
    return value


def _player(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise wrong(f"must be a player's name (text or a whole number); got {shown(value)}")
    if value == "":
        raise wrong("is empty; expected a player's name")
    # The player 2 is meant with and without quotes.
    return int(value) if isinstance(value, str) and _COUNTER.fullmatch(value) else value


_COUNTER = re.compile("0|[1-9][0-9]{0,17}")

#: A finite number.
Number = Annotated[float, Field(allow_inf_nan=False)]
#: A finite number above 0.
Positive = Annotated[float, Field(allow_inf_nan=False, gt=0)]
#: A whole number, also written as 1e4.
Whole = Annotated[int, BeforeValidator(whole)]
#: A count: a whole number from 1 to 1e9.
Count = Annotated[int, BeforeValidator(whole), Field(ge=1, le=1_000_000_000)]
#: Text that is not empty.
Text = Annotated[str, AfterValidator(_no_blank)]
#: A player: text or a whole number.
PlayerName = Annotated[str | int, BeforeValidator(_player)]
