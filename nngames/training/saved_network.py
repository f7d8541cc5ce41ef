"""Trained networks in files: an npz file of arrays without pickled objects, and a scenario beside it that runs it.

The npz file holds ``weight_1``, ``bias_1``, ``weight_2``, ... of the layers in their order, ``input``, the sample that
the scenario feeds, and the text ``description``: JSON with ``format`` and the layers' ``activations``, each its name
with its parameters. The scenario, of the same name with the suffix .yaml, is the open chain of these arrays.
"""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from nngames.core.errors import InputError, NNGamesError, OptionError, ShapeError
from nngames.core.files import write_atomic
from nngames.core.packed import UNREADABLE, load_arrays
from nngames.core.plain import plain
from nngames.core.profiles import float_array
from nngames.training.data import read_activation
from nngames.training.trained import TrainedNetwork

FORMAT = "nngames network 1"


def save_network(
    network: TrainedNetwork, path: str | os.PathLike[str], input: ArrayLike, name: str = "a trained network"
) -> tuple[Path, Path]:
    """Write a network as ``path`` (.npz) and its scenario (.yaml); return both names.

    Parameters
    ----------
    network : TrainedNetwork
    path : path
        With the suffix .npz, or .yaml for the same pair.
    input : array_like (n_0,)
        The sample that the scenario feeds.
    name : str
        The scenario's name.

    Raises
    ------
    OptionError
        If the suffix is another.
    ShapeError
        If the input does not fit the first layer.
    """
    arrays_path, scenario_path = pair_of_files(path)
    fed = float_array(input, "input")
    if fed.shape != network.weights[0].shape[1:]:
        raise ShapeError(f"input has shape {fed.shape}; expected ({network.weights[0].shape[1]},)")
    arrays: dict[str, Any] = {}
    for number, (weight, bias) in enumerate(zip(network.weights, network.biases, strict=True), start=1):
        arrays[f"weight_{number}"], arrays[f"bias_{number}"] = weight, bias
    activations = [plain({"name": a.name, **a.parameters}) for a in network.activations]
    described = json.dumps({"format": FORMAT, "activations": activations}, allow_nan=False)
    stream = io.BytesIO()
    np.savez(stream, input=fed, description=np.array(described), **arrays)
    write_atomic(arrays_path, stream.getvalue())
    write_atomic(scenario_path, _scenario(name, arrays_path.name, activations))
    return arrays_path, scenario_path


def pair_of_files(path: str | os.PathLike[str]) -> tuple[Path, Path]:
    """Return the names of the npz file and of the scenario that a name with either suffix stands for.

    Raises
    ------
    OptionError
        If the suffix is another.
    """
    given = Path(path)
    if given.suffix not in (".npz", ".yaml"):
        raise OptionError(f"{given}: a network is saved as a pair of files, NAME.npz and NAME.yaml; give one of them")
    return given.with_suffix(".npz"), given.with_suffix(".yaml")


def load_network(path: str | os.PathLike[str]) -> TrainedNetwork:
    """Return the network in an npz file that ``save_network`` wrote.

    Raises
    ------
    InputError
        If the file cannot be read or is none of these.
    """
    try:
        arrays = load_arrays(path)
        described = json.loads(str(arrays["description"][()]))
        if described["format"] != FORMAT:
            raise ValueError(f"its format is {described['format']!r}")
        activations = [read_activation(given) for given in described["activations"]]
        numbers = range(1, len(activations) + 1)
        weights = [float_array(arrays[f"weight_{n}"], f"weight_{n}") for n in numbers]
        biases = [float_array(arrays[f"bias_{n}"], f"bias_{n}") for n in numbers]
    except NNGamesError as error:
        raise InputError(f"{path}: is no saved network: {error}") from None
    except UNREADABLE as error:
        raise InputError(f"{path}: is no saved network: {' '.join(str(error).split())[:200]}") from None
    if not weights:
        raise InputError(f"{path}: is no saved network: it has no layers")
    before = None
    for number, (weight, bias) in enumerate(zip(weights, biases, strict=True), start=1):
        fits = weight.ndim == 2 and bias.shape == weight.shape[:1] and before in (None, weight.shape[1])
        if not fits:
            raise InputError(
                f"{path}: is no saved network: layer {number} has weight {weight.shape}, bias {bias.shape}"
            )
        if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
            raise InputError(f"{path}: is no saved network: layer {number} holds a number that is not finite")
        before = weight.shape[0]
    return TrainedNetwork(tuple(weights), tuple(biases), tuple(activations))


def _scenario(name: str, file: str, activations: list[Any]) -> str:
    # Of YAML, what JSON writes is a part.
    where = json.dumps(file)
    lines = [
        f"name: {json.dumps(name)}",
        "description: >",
        "  The trained network as an open chain behind one sample. Its equilibrium is what it answers to that sample.",
        'source: "trained by nngames"',
        "network:",
        "  kind: chain",
        f"  input: {{file: {where}, key: input}}",
        "  layers:",
    ]
    for number, activation in enumerate(activations, start=1):
        lines += [
            f"    - activation: {json.dumps(activation)}",
            f"      weight: {{file: {where}, key: weight_{number}}}",
            f"      bias: {{file: {where}, key: bias_{number}}}",
        ]
    return "\n".join([*lines, "solve:", "  methods: [best_response]", ""])
