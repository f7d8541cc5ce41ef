"""The schema of a scenario: its top-level keys, and the JSON schema published with the scenarios."""

from __future__ import annotations

import json
from pathlib import PurePath
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from nngames.scenario.expect_section import Expectation
from nngames.scenario.network_sections import Finite, GameSection, NetworkSection
from nngames.scenario.problems import shown
from nngames.scenario.sections import Finding, Section, Text, Whole, wrong, wrong_inside
from nngames.scenario.solve_sections import CheckList, Solve, Stopping
from nngames.scenario.training_section import Training


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
    """A scenario: a network, a game or a training, what to do with it, and what to expect."""

    name: Text
    description: str = ""
    source: str = Field(default="", description="Where the scenario comes from.")
    seed: Annotated[Whole, Field(ge=0)] = 0
    network: NetworkSection | None = None
    game: GameSection | None = None
    training: Training | None = None
    players: Literal["auto", "layers", "neurons"] = "auto"
    cost: Literal["auto", "proximal", "tracking"] = "auto"
    solve: Solve | None = None
    checks: CheckList = Field(default=[])
    stopping: Stopping = Stopping()
    expect: list[Expectation] = Field(default=[])
    output: Output = Output()

    @model_validator(mode="after")
    def _consistent(self) -> Any:
        given = [key for key in ("network", "game", "training") if getattr(self, key) is not None]
        if len(given) != 1:
            raise wrong(f"needs a network, a game or a training, one of the three; got {' and '.join(given) or 'none'}")
        if self.network is None:
            chosen = [key for key in ("players", "cost") if key in self.model_fields_set]
            if chosen:
                kind = "training" if self.game is None else f"{self.game.kind} game"
                raise wrong_inside([((key,), f"belongs to a network; a {kind} has its own") for key in chosen])
        if isinstance(self.game, Finite):
            self._check_finite()
        return self

    def _check_finite(self) -> None:
        """Raise an error for what needs actions in R^n."""
        findings: list[Finding] = []
        if self.solve is not None:
            findings.append((("solve",), "solvers take games with actions in R^n, not finite games; use checks"))
        if self.output.plot is not None:
            findings.append((("output", "plot"), "there is no picture of a finite game"))
        if findings:
            raise wrong_inside(findings)


def schema_text() -> str:
    """Return the JSON schema as the text of ``scenarios/schema.json``."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def json_schema() -> dict[str, Any]:
    """Return the JSON schema of scenarios, with the choices of the registries."""
    schema = ScenarioSection.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "An nngames scenario"}
