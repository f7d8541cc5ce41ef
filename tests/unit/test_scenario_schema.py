"""The published schema: in step with the registries, and open to every choice that the loader takes."""

import json

from nngames.activations.foundations.base import registry as activations
from nngames.checks import registry as checks
from nngames.scenario import gallery
from nngames.scenario.schema import ScenarioSection, json_schema, schema_text
from nngames.solvers import methods


def test_the_published_schema_is_what_the_command_prints():
    assert (gallery.root() / "schema.json").read_text(encoding="utf-8") == schema_text(), (
        "run: nngames schema > scenarios/schema.json"
    )


def test_the_schema_lists_the_registries():
    text = json.dumps(json_schema())
    for name in (*activations.names(), *methods(), *checks.names()):
        assert f'"{name}"' in text


def test_the_top_level_keys_are_those_of_the_design():
    assert set(json_schema()["properties"]) == set(ScenarioSection.valid_keys())
    assert ScenarioSection.valid_keys() == (
        "name", "description", "source", "seed", "network", "game", "training", "players", "cost", "solve", "checks",
        "stopping", "expect", "output",
    )  # fmt: skip
    assert json_schema()["additionalProperties"] is False
