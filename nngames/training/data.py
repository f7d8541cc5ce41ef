"""The samples a network is to fit, checked: matching rows, finite numbers, targets within reach of the activation."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from nngames.activations import Activation, activation
from nngames.core.errors import InputError, ShapeError, UnknownNameError
from nngames.core.packed import UNREADABLE, load_arrays
from nngames.core.profiles import Array, float_array

#: Entries whose squares, summed over all samples, are still far from the range of floats.
LARGEST = 1e100
#: A target this far (relative to its size) outside the closure of the activation's range counts as on it.
ON_THE_EDGE = 1e-9


def sample_rows(value: ArrayLike, what: str, samples: int | None = None) -> Array:
    """Return the samples (T, n) as a float64 array; a vector is a column.

    Raises
    ------
    ShapeError
        If there is no sample, the array has more than two axes, or there are not ``samples`` rows.
    InputError
        If an entry is not a finite number; the message names the row and the column.
    """
    array = np.asarray(float_array(value, what), dtype=np.float64)
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim != 2:
        raise ShapeError(f"{what} has shape {array.shape}; expected (samples, numbers)")
    if not array.size:
        raise ShapeError(f"{what} has shape {array.shape}; at least one sample with one number is needed")
    if samples is not None and len(array) != samples:
        raise ShapeError(f"{what} has {len(array)} rows, and the inputs have {samples}: a sample is a row of each")
    largest = np.maximum(array.max(), -array.min())
    if not np.isfinite(largest):
        row, column = (int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise InputError(f"{what}: row {row}, column {column} is {array[row, column]}; every entry must be finite")
    if largest > LARGEST:
        row, column = (int(i) for i in np.argwhere(np.abs(array) > LARGEST)[0])
        raise InputError(
            f"{what}: row {row}, column {column} is {array[row, column]:.3g}; squares of entries above {LARGEST:g} are "
            "beyond floats: scale the data"
        )
    return array


def check_reach(targets: Array, response: Activation, what: str) -> Array:
    """Return the targets, those outside the closure of r's range by rounding only moved onto it.

    Raises
    ------
    InputError
        If a target lies outside; the message names the row.
    """
    response.check_size(targets.shape[1])
    nearest = response.domain.project(targets)
    away = np.abs(nearest - targets)
    outside = away > ON_THE_EDGE * np.maximum(1.0, np.abs(targets))
    if outside.any():
        row, column = (int(i) for i in np.argwhere(outside)[0])
        where = f"row {row}" + (f", column {column}" if response.separable else "")
        raise InputError(
            f"{what}: {where} is {_shown(targets[row], column, response)}, which {response.name!r} does not come "
            f"near: its values lie in {response.domain}"
        )
    # Targets at an open end, the limits of r, stay there: of the domain's projection they would be off by a float.
    return np.where(away <= 4 * np.finfo(float).eps * np.maximum(1.0, np.abs(targets)), targets, nearest)


def _shown(row: Array, column: int, response: Activation) -> str:
    if response.separable:
        return f"{row[column]:.6g}"
    return "(" + ", ".join(f"{x:.6g}" for x in row[:6]) + (", ..." if len(row) > 6 else "") + ")"


def sample_weights(value: ArrayLike | None, samples: int) -> Array:
    """Return omega (T,), positive with sum 1; by default all alike.

    Raises
    ------
    ShapeError, InputError
        If there are not T of them, or one is not a positive finite number.
    """
    if value is None:
        return np.full(samples, 1 / samples)
    weights = np.asarray(float_array(value, "weights"), dtype=np.float64)
    if weights.shape != (samples,):
        raise ShapeError(f"weights has shape {weights.shape}; expected ({samples},), one for each sample")
    wrong = np.flatnonzero(~((weights > 0) & np.isfinite(weights)))
    if wrong.size:
        raise InputError(f"weights[{wrong[0]}] is {weights[wrong[0]]}; every weight must be a positive number")
    # Scaled first, as the sum may leave the range of floats.
    weights = weights / weights.max()
    return weights / weights.sum()


def read_activation(value: Any) -> Activation:
    """Return an activation given as an object, a name or a mapping with a name and parameters.

    Raises
    ------
    InputError, UnknownNameError, OptionError
        If it is none of these, or not known.
    """
    if isinstance(value, Activation):
        return value
    if isinstance(value, str):
        return activation(value)
    if isinstance(value, Mapping) and isinstance(value.get("name"), str):
        return activation(value["name"], **{str(k): v for k, v in value.items() if k != "name"})
    raise InputError(f"an activation is a name, a mapping with a name, or an Activation; got {value!r}")


def read_numbers(what: str, value: Any, layers: int, none: bool) -> list[Any]:
    """Return one nonnegative number for each layer, given as one for all or one each; None where ``none`` allows it.

    Raises
    ------
    ShapeError, InputError
        If their number is another, or one is no nonnegative number.
    """
    given = list(value) if isinstance(value, list | tuple | np.ndarray) else [value] * layers
    if len(given) != layers:
        raise ShapeError(f"{what} has {len(given)} numbers; expected one, or one for each of the {layers} layers")
    for number in given:
        if none and number is None:
            continue
        good = isinstance(number, int | float | np.number) and not isinstance(number, bool) and np.isfinite(number)
        if not good or number < 0:
            raise InputError(f"{what} must be nonnegative numbers; got {number!r}")
    return [None if number is None else float(number) for number in given]


def constant_columns(inputs: Array) -> list[int]:
    """Return the columns of the inputs that do not vary: the bias does the same, so their weights are not unique."""
    if len(inputs) < 2:
        return []
    # Most columns vary from the first row to the last.
    alike = np.flatnonzero(inputs[0] == inputs[-1])
    return alike[(inputs[:, alike] == inputs[0, alike]).all(axis=0)].tolist()


def read_csv(path: str | Path, columns: Sequence[str | int]) -> Array:
    """Return columns of a CSV file with one line of names, as (T, columns).

    Parameters
    ----------
    path : str or Path
    columns : sequence of str or int
        Names, or numbers counted from 0.

    Raises
    ------
    InputError
        If the file cannot be read, a column is not there, or an entry is no number; the message names the line.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as a CSV file: {error}") from None
    return csv_columns(text, path, columns)


def csv_columns(text: str, path: str | Path, columns: Sequence[str | int]) -> Array:
    """Return columns of the text of a CSV file, which errors call ``path``, as ``read_csv`` does."""
    try:
        lines = list(csv.reader(io.StringIO(text)))
    except csv.Error as error:
        raise InputError(f"{path}: cannot be read as a CSV file: {error}") from None
    if len(lines) < 2:
        raise InputError(f"{path}: a line of names and at least one sample are needed")
    names = [name.strip() for name in lines[0]]
    places = [_place(path, names, column) for column in columns]
    rows = []
    for number, line in enumerate(lines[1:], start=2):
        if not line:
            continue
        if len(line) != len(names):
            raise InputError(f"{path}:{number}: {len(line)} entries, and the first line has {len(names)} names")
        rows.append([_number(path, number, names[place], line[place]) for place in places])
    if not rows:
        raise InputError(f"{path}: a line of names and at least one sample are needed")
    return np.array(rows, dtype=np.float64).reshape(len(rows), len(places))


def _place(path: str | Path, names: list[str], column: str | int) -> int:
    if isinstance(column, int) and not isinstance(column, bool):
        if 0 <= column < len(names):
            return column
        raise InputError(f"{path}: there is no column {column}; there are {len(names)}, counted from 0")
    if column not in names:
        raise UnknownNameError(f"column of {path}", column, names)
    places = [place for place, name in enumerate(names, start=1) if name == column]
    if len(places) > 1:
        shown = ", ".join(map(str, places[:-1])) + f" and {places[-1]}"
        raise InputError(f"{path}:1: {len(places)} columns are called {column!r}, numbers {shown}; rename all but one")
    return places[0] - 1


def _number(path: str | Path, line: int, name: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise InputError(f"{path}:{line}: {name} is {text!r}; a number is needed") from None
    if not np.isfinite(number):
        raise InputError(f"{path}:{line}: {name} is {text!r}; a finite number is needed")
    return number


def read_npz(path: str | Path) -> dict[str, Array]:
    """Return the arrays of an npz file by name; nothing pickled is loaded.

    Raises
    ------
    InputError
        If the file cannot be read, or an array in it is not of numbers.
    """
    try:
        arrays = load_arrays(path)
    except UNREADABLE as error:
        raise InputError(f"{path}: cannot be read as an npz file of numbers: {error}") from None
    return {name: float_array(array, f"{path}: {name}") for name, array in arrays.items()}
