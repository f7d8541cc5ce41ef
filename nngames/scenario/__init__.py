"""Scenarios: networks and games written in YAML, read safely, checked, and built."""

from nngames.scenario.loader import load_scenario
from nngames.scenario.problems import Problem, ScenarioError
from nngames.scenario.run import RunInterrupted, run_parts, run_scenario
from nngames.scenario.scenario import Scenario
from nngames.scenario.scenario_report import ScenarioReport
from nngames.scenario.schema import json_schema

__all__ = [
    "Problem",
    "RunInterrupted",
    "Scenario",
    "ScenarioError",
    "ScenarioReport",
    "json_schema",
    "load_scenario",
    "run_parts",
    "run_scenario",
]
