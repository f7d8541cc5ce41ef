"""Building training problems from scenarios; every complaint is located at the key behind it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nngames.core.seeds import generator
from nngames.scenario.parts import TOTAL_ENTRIES, Parts
from nngames.scenario.problems import Path
from nngames.scenario.training_section import TableColumns, Training
from nngames.training.data import check_reach, sample_rows, sample_weights
from nngames.training.datasets import load_dataset
from nngames.training.lifted import LiftedTraining
from nngames.training.prepared import PreparedSamples, PreparedTraining, split_rows
from nngames.training.prepared_lift import PreparedLift
from nngames.training.problem import TrainingProblem
from nngames.training.standardization import Standardization

if TYPE_CHECKING:
    from nngames.scenario.scenario import Scenario

Array = NDArray[np.float64]
_DATA: Path = ("training", "data")
_LAYERS: Path = ("training", "layers")


def build_training(scenario: Scenario) -> PreparedSamples | None:
    """Return the scenario's training problem with its samples; None where it gives a network or a game.

    Raises
    ------
    ScenarioError
        One line for everything that cannot be read or does not fit.
    MissingExtraError
        If a data set needs a package that is not installed.
    """
    given = scenario.section.training
    if given is None:
        return None
    parts = Parts(scenario)
    inputs, targets, hidden, weights = _samples(given, parts)
    train, test = parts.built((*_DATA, "test") if given.data.test else _DATA, lambda: _rows(given, scenario, inputs))
    input_units, target_units = _units(given, parts, inputs[train], targets[train])
    wanted: Any = targets if target_units is None else target_units.apply(targets)
    wanted, hidden = _reached(given, parts, wanted, hidden)
    convolutions = {
        i + 1: parts.tried((*_LAYERS, i, "convolution"), layer.convolution.convolution)
        for i, layer in enumerate(given.layers)
        if layer.convolution is not None
    }
    masks: dict[int, Any] = {
        i + 1: parts.matrix(layer.mask, (*_LAYERS, i, "mask"))
        for i, layer in enumerate(given.layers)
        if layer.mask is not None
    }
    parts.finish()
    seen = inputs if input_units is None else input_units.apply(inputs)
    rows: Any = {
        "inputs": inputs,
        "targets": targets,
        "train": train,
        "test": test,
        "input_units": input_units,
        "target_units": target_units,
    }
    if given.finds:
        _check_size(given, parts, len(train), seen.shape[1])
        lift = parts.built(("training",), lambda: _lift(given, seen[train], wanted[train], weights, train))
        return PreparedLift(lift=lift, **rows)
    problem = parts.built(
        ("training",),
        lambda: TrainingProblem(
            seen[train],
            wanted[train],
            [layer.activation.entry for layer in given.layers],
            hidden=[rows[train] for rows in hidden],
            weights=None if weights is None else weights[train],
            ridge=[layer.ridge for layer in given.layers],
            bounds=[layer.bound for layer in given.layers],
            masks=masks,
            convolutions=convolutions,
            certificate=given.certificate,
            margin=given.margin,
        ),
    )
    _check_layers(problem, given, parts)
    return PreparedTraining(problem=problem, **rows)


def _check_size(given: Training, parts: Parts, samples: int, before: int) -> None:
    """Report the layer at which weights and hidden targets become too many."""
    entries = 0
    for i, layer in enumerate(given.layers[:-1]):
        width = layer.width or 0
        entries += width * (before + 1 + samples)
        before = width
        if entries > TOTAL_ENTRIES:
            found = f"{entries} weights and hidden targets to find up to this layer"
            parts.report((*_LAYERS, i, "width"), f"makes {found}; at most {TOTAL_ENTRIES} are allowed")
            break
    parts.finish()


def _lift(given: Training, inputs: Array, targets: Array, weights: Array | None, train: Any) -> LiftedTraining:
    return LiftedTraining(
        inputs,
        targets,
        [layer.activation.entry for layer in given.layers],
        [layer.width or 0 for layer in given.layers[:-1]],
        weights=None if weights is None else weights[train],
        ridge=[layer.ridge for layer in given.layers],
        bounds=[layer.bound for layer in given.layers],
        certificate=given.certificate,
        margin=given.margin,
        shares=[1.0 if layer.share is None else layer.share for layer in given.layers],
    )


def _samples(given: Training, parts: Parts) -> tuple[Array, Array, list[Array], Array | None]:
    """Return inputs, targets, hidden targets and weights, with matching rows."""
    data = given.data
    inputs: Any
    targets: Any
    if data.dataset is not None:
        inputs, targets = load_dataset(data.dataset)
    else:
        inputs = parts.matrix(data.inputs, (*_DATA, "inputs"))
        targets = parts.matrix(data.targets, (*_DATA, "targets"))
    sources: Any = [] if given.finds else data.hidden
    hidden: list[Any] = [parts.matrix(rows, (*_DATA, "hidden", i)) for i, rows in enumerate(sources)]
    weights: Any = parts.vector(data.weights, (*_DATA, "weights"))
    if inputs is not None:
        places: list[tuple[Path, str, Any]] = [((*_DATA, "inputs"), "the inputs", inputs)]
        places += [((*_DATA, "targets"), "the target", targets)]
        places += [((*_DATA, "hidden", i), "the array", rows) for i, rows in enumerate(hidden)]
        for path, what, rows in places:
            if rows is not None:
                parts.tried(path, partial(sample_rows, rows, what, len(inputs)))
        if weights is not None:
            parts.tried((*_DATA, "weights"), partial(sample_weights, weights, len(inputs)))
    parts.finish()
    return inputs, targets, hidden, weights


def _rows(given: Training, scenario: Scenario, inputs: Array) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    test = given.data.test
    if test is None:
        return split_rows(len(inputs), None, None, generator(0))
    seed = scenario.seed if test.seed is None else test.seed
    return split_rows(len(inputs), test.last, test.fraction, generator(seed))


def _units(
    given: Training, parts: Parts, inputs: Array, targets: Array
) -> tuple[Standardization | None, Standardization | None]:
    asked = given.data.standardize
    found = []
    for key, rows in (("inputs", inputs), ("targets", targets)):
        path = (*_DATA, "standardize", key) if _has_keys(given) else (*_DATA, "standardize")
        section = getattr(given.data, key)
        names = section.columns if isinstance(section, TableColumns) else None
        found.append(parts.tried(path, partial(Standardization.of, rows, key, names)) if getattr(asked, key) else None)
    parts.finish()
    return found[0], found[1]


def _has_keys(given: Training) -> bool:
    return given.data.standardize.inputs != given.data.standardize.targets


def _reached(given: Training, parts: Parts, wanted: Array, hidden: list[Array]) -> tuple[Array, list[Array]]:
    """Return the targets, moved onto the edge of what the activations answer where rounding leaves them outside."""
    last = len(given.layers) - 1
    found = []
    for i, layer in enumerate(given.layers):
        response = layer.activation.entry
        if not response.monotone:
            parts.report((*_LAYERS, i, "activation"), f"{response.penalty_obstacle}: its layer has no convex problem")
            continue
        if given.finds:
            if not np.isfinite(response.lipschitz):
                message = f"{response.name!r} has no Lipschitz constant, so no step is safe where targets are found"
                parts.report((*_LAYERS, i, "activation"), message)
            elif i < last:
                parts.check_size(response, layer.width, (*_LAYERS, i, "activation"))
        if given.finds and i < last:
            continue
        rows = wanted if i == last else hidden[i]
        place: Path = (*_DATA, "targets") if i == last else (*_DATA, "hidden", i)
        if given.data.dataset is not None and i == last:
            place = (*_DATA, "dataset")
        what = "the targets" if i == last else f"the targets of layer {i + 1}"
        if i == last and given.data.standardize.targets:
            what += ", standardized"
        found.append(parts.tried(place, partial(check_reach, rows, response, what)))
    parts.finish()
    return found[-1], found[:-1]


def _check_layers(problem: TrainingProblem, given: Training, parts: Parts) -> None:
    """Build the layers one after the other, to see which is at fault."""
    for i, (player, layer) in enumerate(zip(problem.players, given.layers, strict=True)):
        path: Path = (*_LAYERS, i)
        if layer.mask is not None:
            path = (*path, "mask")
        elif layer.convolution is not None:
            path = (*path, "convolution")
        parts.tried(path, partial(problem.layer, player))
    parts.finish()
