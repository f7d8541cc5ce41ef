"""Scenarios: networks and games written in YAML, read safely, checked, and built."""

from nngames.scenario.loader import load_scenario
from nngames.scenario.problems import Problem, ScenarioError
from nngames.scenario.scenario import Scenario
from nngames.scenario.schema import json_schema

__all__ = ["Problem", "Scenario", "ScenarioError", "json_schema", "load_scenario"]
