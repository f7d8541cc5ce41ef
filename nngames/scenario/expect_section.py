"""The ``expect`` section of a scenario: statements about its report, each with where the value comes from."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, WrapValidator, model_validator

from nngames.core.errors import suggestion
from nngames.core.verdicts import Decision
from nngames.results.result import Status
from nngames.scenario.problems import shown
from nngames.scenario.sections import Number, Positive, Section, Text, wrong, wrong_inside
from nngames.training.prepared import KINDS

#: The kinds of comparison in an ``expect`` statement.
COMPARISONS = ("is", "near", "at_most", "at_least")


def _comparable(value: Any, handler: Any) -> Any:
    if value is None or isinstance(value, dict):
        raise wrong(f"must be text, a number, true, false or a list; got {shown(value)}")
    return value


def _numbers(value: Any, handler: Any) -> Any:
    entries = value if isinstance(value, list) else [value]
    for i, entry in enumerate(entries):
        place = (i,) if isinstance(value, list) else ()
        if isinstance(entry, list):
            for j, item in enumerate(entry):
                _finite_number(item, (*place, j))
        else:
            _finite_number(entry, place)
    if entries == []:
        raise wrong("is an empty list")
    return value


def _finite_number(value: Any, place: tuple[int, ...]) -> None:
    good = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < float("inf")
    if not good:
        raise wrong_inside([(place, f"must be a finite number; got {shown(value)}")])


class Expectation(Section):
    """A statement about the report, with where the expected value comes from."""

    what: Text = Field(description="The value's place in the report, such as solve.picard.status.")
    equal: Annotated[str | float | bool | list[Any] | None, WrapValidator(_comparable)] = Field(
        default=None, alias="is", description="The exact value."
    )
    near: Annotated[float | list[Any] | None, WrapValidator(_numbers)] = Field(
        default=None, description="Numbers that every entry must be within ``tolerance`` of."
    )
    at_most: Number | None = None
    at_least: Number | None = None
    tolerance: Positive | None = Field(default=None, description="Absolute; for ``near``.")
    origin: Text = Field(description="Where the value comes from: a theorem, a paper, an independent computation.")

    @model_validator(mode="after")
    def _one_comparison(self) -> Any:
        values = (self.equal, self.near, self.at_most, self.at_least)
        given = [key for key, value in zip(COMPARISONS, values, strict=True) if value is not None]
        if len(given) != 1:
            found = " and ".join(given) if given else "none"
            raise wrong(f"needs exactly one of {', '.join(COMPARISONS)}; got {found}")
        if given == ["near"] and self.tolerance is None:
            raise wrong_inside([(("tolerance",), "is missing; near needs an absolute tolerance")])
        if given != ["near"] and self.tolerance is not None:
            raise wrong_inside([(("tolerance",), f"belongs to near; {given[0]} has no tolerance")])
        return self

    @model_validator(mode="after")
    def _known_status(self) -> Any:
        # A misspelt status would be an expectation that nothing can meet.
        if self.equal is None:
            return self
        word = self.what.rsplit(".", 1)[-1]
        if word == "status":
            valid = [str(status) for status in (Status if self.what.startswith("solve.") else Decision)]
        elif word == "kind" and self.what.startswith("training."):
            valid = list(KINDS)
        else:
            return self
        if self.equal not in valid:
            raise wrong_inside([(("is",), f"unknown {word} {shown(self.equal)}; {suggestion(str(self.equal), valid)}")])
        return self
