"""The schema of a scenario: its top-level keys, and the JSON schema published with the scenarios."""

from __future__ import annotations

from pathlib import PurePath
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, TypeAdapter, WrapValidator, model_validator

from nngames.scenario import registries
from nngames.scenario.arrays import Vector
from nngames.scenario.choices import Choice, Chosen, NestedChoice
from nngames.scenario.network_sections import GameSection, NetworkSection
from nngames.scenario.problems import shown
from nngames.scenario.sections import Count, Number, PlayerName, Positive, Section, Text, Whole, wrong, wrong_inside

MethodChoice = Annotated[Chosen, Choice(registries.solvers, key="method", also=("auto",), labelled=True)]
CheckChoice = Annotated[Chosen, NestedChoice(registries.checks)]

#: The kinds of comparison in an ``expect`` statement.
COMPARISONS = ("is", "near", "at_most", "at_least")


def _start(value: Any, handler: Any) -> Any:
    if value in ("zero", "random"):
        return value
    if isinstance(value, str):
        raise wrong(f"must be zero, random, a vector, or a mapping player -> vector; got {shown(value)}")
    if isinstance(value, dict) and not {"file", "random", "constant"} & set(value):
        return TypeAdapter(dict[PlayerName, Vector]).validate_python(value)
    return TypeAdapter(Vector).validate_python(value)


class Solve(Section):
    """Which methods solve the game, and from where."""

    methods: list[MethodChoice] = Field(min_length=1)
    start: Annotated[
        Literal["zero", "random"] | Vector | dict[PlayerName, Vector], WrapValidator(_start)
    ] = Field(default="zero", description="The profile to start from.")  # fmt: skip

    @model_validator(mode="after")
    def _distinct_labels(self) -> Any:
        seen: dict[str, int] = {}
        findings = []
        for i, method in enumerate(self.methods):
            if method.label in seen:
                message = f"the label {method.label!r} is taken by methods[{seen[method.label]}]; give it a label"
                findings.append((("methods", i), message))
            seen.setdefault(method.label, i)
        if findings:
            raise wrong_inside(findings)
        return self


class Stopping(Section):
    """When a solver stops."""

    tolerance: Annotated[float, Field(gt=0, lt=1)] = Field(
        default=1e-9, description="On the residual, in units of max(1, |T(0)|)."
    )
    max_iterations: Count = 10_000
    max_seconds: Positive | None = None


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


def _file_name(*suffixes: str) -> AfterValidator:
    def check(value: str) -> str:
        path = PurePath(value)
        if not value or "\0" in value or "\\" in value or path.is_absolute() or ".." in path.parts:
            raise wrong(f"must be a file below the working folder; got {shown(value)}")
        if path.suffix not in suffixes:
            raise wrong(f"must end in {' or '.join(suffixes)}; got {shown(value)}")
        return value

    return AfterValidator(check)


class Output(Section):
    """Files to write, relative to the working folder."""

    save: Annotated[str, _file_name(".json")] | None = Field(default=None, description="The report as JSON.")
    plot: Annotated[str, _file_name(".png", ".svg", ".pdf")] | None = Field(default=None, description="A picture.")


class ScenarioSection(Section):
    """A scenario: a network or game, what to do with it, and what to expect."""

    name: Text
    description: str = ""
    source: str = Field(default="", description="Where the scenario comes from.")
    seed: Annotated[Whole, Field(ge=0)] = 0
    network: NetworkSection | None = None
    game: GameSection | None = None
    players: Literal["auto", "layers", "neurons"] = "auto"
    cost: Literal["auto", "proximal", "tracking"] = "auto"
    solve: Solve | None = None
    checks: list[CheckChoice] = Field(default=[])
    stopping: Stopping = Stopping()
    expect: list[Expectation] = Field(default=[])
    output: Output = Output()

    @model_validator(mode="after")
    def _one_game(self) -> Any:
        if (self.network is None) == (self.game is None):
            found = "neither" if self.network is None else "both"
            raise wrong(f"needs a network or a game, one of the two; got {found}")
        if self.game is not None:
            chosen = [key for key in ("players", "cost") if key in self.model_fields_set]
            if chosen:
                raise wrong_inside([((key,), "belongs to a network; a quadratic game has its own") for key in chosen])
        return self


def json_schema() -> dict[str, Any]:
    """Return the JSON schema of scenarios, with the choices of the registries."""
    schema = ScenarioSection.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "An nngames scenario"}
