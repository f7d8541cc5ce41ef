"""Scenarios: networks and games written in YAML, read safely, checked, and built."""

from nngames.scenario.comparing import ComparisonReport, compare_scenarios
from nngames.scenario.loader import load_scenario
from nngames.scenario.problems import Problem, ScenarioError
from nngames.scenario.run import RunInterrupted, run_parts, run_scenario
from nngames.scenario.scenario import Scenario
from nngames.scenario.scenario_report import ScenarioReport
from nngames.scenario.schema import json_schema
from nngames.scenario.suites import load_suite
from nngames.scenario.train import TrainingReport, train_scenario

__all__ = [
    "ComparisonReport",
    "Problem",
    "RunInterrupted",
    "Scenario",
    "ScenarioError",
    "ScenarioReport",
    "TrainingReport",
    "compare_scenarios",
    "json_schema",
    "load_scenario",
    "load_suite",
    "run_parts",
    "run_scenario",
    "train_scenario",
]
