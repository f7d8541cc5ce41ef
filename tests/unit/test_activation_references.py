"""Responses against independent implementations: PyTorch's, SciPy's and NumPy's outputs, and 400-digit values.

``tests/data/activations/references.json`` holds them; the script beside it makes them and says what they are.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nngames
from nngames.activations.foundations.base import registry
from nngames.activations.foundations.projections import SetProjection

REFERENCES: list[dict[str, Any]] = json.loads(
    (Path(__file__).resolve().parents[1] / "data" / "activations" / "references.json").read_text(encoding="utf-8")
)
REGISTERED = [reference for reference in REFERENCES if reference["name"] in registry]
TOLERANCE = 1e-14
#: A peer counts where its own error is below this.
PEER_TOLERANCE = 5e-15
#: Smallest subnormal number: zeros are compared with it.
LEAST = 5e-324

#: Why some activations that are not separable have no references.
WITHOUT_REFERENCES = {
    "attention": "its parameters are matrices; its softmax is compared here",
    "attention_gaussian": "its parameters are matrices; its softmax is compared here",
}


def label(reference: dict[str, Any]) -> str:
    return "-".join([reference["name"], *(f"{key}={value:g}" for key, value in reference["parameters"].items())])


def array(values: list[Any]) -> np.ndarray:
    """The numbers of the file, where inf and nan are strings."""
    return np.array(values).astype(np.float64)


def ours(reference: dict[str, Any]) -> np.ndarray:
    response = nngames.activation(reference["name"], **reference["parameters"])
    expected = np.shape(reference["exact"])
    return np.reshape(response(array(reference["inputs"])), expected)


def misses(reference: dict[str, Any], expected: np.ndarray, counts: np.ndarray) -> list[str]:
    values = ours(reference)
    allowed = TOLERANCE * np.abs(expected) + LEAST
    missed = counts & ~(np.abs(values - expected) <= allowed)
    found = []
    for row, *column in np.argwhere(missed).tolist():
        where = (row, *column)
        point = f"{reference['inputs'][row]!r}{column or ''}"
        found.append(f"at {point}: {float(values[where])!r}, not {float(expected[where])!r}")
    return found


@pytest.mark.parametrize("reference", REGISTERED, ids=label)
def test_responses_are_the_exact_values(reference: dict[str, Any]) -> None:
    exact = array(reference["exact"])
    assert misses(reference, exact, np.ones(exact.shape, dtype=bool)) == []


@pytest.mark.parametrize(
    ("reference", "peer"),
    [
        pytest.param(reference, peer, id=f"{reference['name']}-{peer['source']}-{number}")
        for number, (reference, peer) in enumerate((r, p) for r in REFERENCES for p in r["peers"])
        if reference["name"] in registry
    ],
)
def test_responses_are_those_of_the_peer_where_it_is_accurate(reference: dict[str, Any], peer: dict[str, Any]) -> None:
    counts = array(peer["errors"]) < PEER_TOLERANCE
    assert counts.any()
    assert misses(reference, array(peer["outputs"]), counts) == []


def test_all_names_are_registered() -> None:
    assert sorted({reference["name"] for reference in REFERENCES} - set(nngames.activations())) == []


def test_every_activation_that_is_not_a_set_has_references() -> None:
    sets = {name for name in registry if issubclass(registry[name], SetProjection)} - {"hard_tanh"}
    covered = {reference["name"] for reference in REFERENCES}
    # The other gated units are half of the layer times an activation of the other half, as glu is.
    gated = {name for name in registry if name.endswith("glu")} - {"glu"}
    assert sorted(set(registry) - sets - covered - gated - set(WITHOUT_REFERENCES)) == []


def test_every_parameter_takes_another_value_than_its_default() -> None:
    for name in {reference["name"] for reference in REGISTERED}:
        defaults = nngames.activation(name).parameters
        given = [reference["parameters"] for reference in REGISTERED if reference["name"] == name]
        assert {key for each in given for key in each if each[key] != defaults[key]} == set(defaults), name
