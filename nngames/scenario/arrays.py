"""Arrays of a scenario: written out, read from a file beside it, drawn from its seed, or a named matrix."""

from __future__ import annotations

import hashlib
import itertools
import math
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, WrapValidator

from nngames.core.errors import InputError, suggestion
from nngames.scenario.array_files import ARRAY_BYTES, Folder
from nngames.scenario.problems import Path, dotted, shown
from nngames.scenario.sections import (
    MOST_FINDINGS,
    Count,
    Finding,
    Number,
    Positive,
    Section,
    is_number,
    wrong,
    wrong_inside,
)

Array = NDArray[np.float64]


@dataclass(frozen=True)
class ArraySource:
    """Where a scenario's arrays come from.

    Attributes
    ----------
    folder : Folder or None
        The files the scenario may read; None for a scenario given as text.
    seed : int
        The scenario's seed. Each random array has its own stream: that of the seed and the array's key, so an
        array does not change when others are added.
    """

    folder: Folder | None
    seed: int

    def generator(self, path: Path) -> np.random.Generator:
        """Return the generator of the array at ``path``."""
        child = hashlib.sha256(dotted(path).encode("utf-8", "surrogatepass")).digest()
        words = tuple(int(word) for word in np.frombuffer(child, dtype="<u4"))
        return np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=words))


class ArraySection(Section):
    """An array that is described rather than written out."""

    def array(self, source: ArraySource, path: Path) -> Array:
        """Return the array, which stands at ``path``.

        Raises
        ------
        InputError
            If it cannot be read or would be too large.
        """
        raise NotImplementedError


class ArrayFile(ArraySection):
    """An array in an npz or csv file beside the scenario."""

    file: str = Field(description="An .npz or .csv file in the scenario's folder.")
    key: str | None = Field(default=None, description="The array's name in an .npz file.")

    def array(self, source: ArraySource, path: Path) -> Array:
        """Return the array as it is stored."""
        if source.folder is None:
            raise InputError("this scenario was not read from a file, so it has no folder to read arrays from")
        return source.folder.read(self.file, self.key)


class RandomMatrix(ArraySection):
    """A random matrix: independent standard normal or uniform [-1, 1] entries, or orthonormal rows or columns."""

    random: Literal["gaussian", "orthogonal", "uniform"]
    shape: list[Count] = Field(min_length=2, max_length=2, description="[rows, columns]")
    norm: Positive | None = Field(default=None, description="The spectral norm it is scaled to.")

    def array(self, source: ArraySource, path: Path) -> Array:
        """Return the matrix, drawn from the stream of ``path``."""
        rows, columns = self.shape
        check_entries(rows * columns)
        generator = source.generator(path)
        if self.random == "orthogonal":
            return (self.norm or 1.0) * _orthogonal(
                generator.standard_normal((max(rows, columns), min(rows, columns))), rows
            )
        draw = generator.standard_normal if self.random == "gaussian" else lambda shape: generator.uniform(-1, 1, shape)
        matrix = draw((rows, columns))
        return matrix if self.norm is None else matrix * (self.norm / np.linalg.norm(matrix, 2))


class Identity(ArraySection):
    """A multiple of the identity matrix."""

    identity: Count = Field(description="The number of rows.")
    scale: Number = 1.0

    def array(self, source: ArraySource, path: Path) -> Array:
        """Return the matrix."""
        check_entries(self.identity**2)
        return self.scale * np.eye(self.identity)


class Rotation(ArraySection):
    """A multiple of the rotation of the plane; exact for multiples of 90 degrees."""

    rotation: Number = Field(description="The angle in degrees, counterclockwise.")
    scale: Number = 1.0

    def array(self, source: ArraySource, path: Path) -> Array:
        """Return the matrix (2, 2)."""
        quarter, rest = divmod(self.rotation, 90.0)
        if rest == 0:
            cosine, sine = ((1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.0, -1.0))[int(quarter % 4)]
        else:
            angle = math.radians(self.rotation)
            cosine, sine = math.cos(angle), math.sin(angle)
        return self.scale * np.array([[cosine, -sine], [sine, cosine]])


class RandomVector(ArraySection):
    """A random vector of independent standard normal or uniform [-1, 1] entries, times a scale."""

    random: Literal["gaussian", "uniform"]
    shape: Count = Field(description="The number of entries.")
    scale: Number = 1.0

    def array(self, source: ArraySource, path: Path) -> Array:
        """Return the vector, drawn from the stream of ``path``."""
        check_entries(self.shape)
        generator = source.generator(path)
        if self.random == "gaussian":
            return self.scale * generator.standard_normal(self.shape)
        return self.scale * generator.uniform(-1, 1, self.shape)


class ConstantVector(ArraySection):
    """A vector with equal entries."""

    constant: Number
    shape: Count = Field(description="The number of entries.")

    def array(self, source: ArraySource, path: Path) -> Array:
        """Return the vector."""
        check_entries(self.shape)
        return np.full(self.shape, self.constant)


_MATRICES: dict[str, type[ArraySection]] = {
    "file": ArrayFile, "random": RandomMatrix, "identity": Identity, "rotation": Rotation
}  # fmt: skip
_VECTORS: dict[str, type[ArraySection]] = {"file": ArrayFile, "random": RandomVector, "constant": ConstantVector}


def _described(value: Any, forms: dict[str, type[ArraySection]], what: str) -> ArraySection:
    if isinstance(value, dict):
        for key, form in forms.items():
            if key in value:
                return form.model_validate(value)
        given = ", ".join(str(key) for key in value) or "none"
        raise wrong(f"is not {what}, by its keys; got {given}; {suggestion(given, tuple(forms))}")
    raise wrong(f"must be {what}: a number, a list, or a mapping with {', '.join(forms)}; got {shown(value)}")


def _matrix(value: Any, handler: Any) -> Any:
    if isinstance(value, list):
        findings = list(itertools.islice(_matrix_findings(value), MOST_FINDINGS))
        if findings:
            raise wrong_inside(findings)
        return value
    if is_number(value):
        return _finite(value)
    return _described(value, _MATRICES, "a matrix")


def _vector(value: Any, handler: Any) -> Any:
    if isinstance(value, list):
        if not value:
            raise wrong("is an empty list")
        findings = list(itertools.islice(_entry_findings(value, ()), MOST_FINDINGS))
        if findings:
            raise wrong_inside(findings)
        return value
    if is_number(value):
        return _finite(value)
    return _described(value, _VECTORS, "a vector")


def _matrix_findings(rows: list[Any]) -> Any:
    if not rows:
        yield (), "is an empty list"
    elif all(is_number(row) for row in rows):
        yield (), "is a list of numbers; a matrix is a list of rows, such as [[1, 2], [3, 4]]"
    else:
        width = next((len(row) for row in rows if isinstance(row, list)), 0)
        for i, row in enumerate(rows):
            if not isinstance(row, list):
                yield (i,), f"must be a row of numbers; got {shown(row)}"
            elif len(row) != width or width == 0:
                yield (
                    (i,),
                    f"has {len(row)} entries" + (f"; the first row has {width}" if width else "; a row is empty"),
                )
            else:
                yield from _entry_findings(row, (i,))


def _entry_findings(entries: list[Any], path: Path) -> Any:
    for i, entry in enumerate(entries):
        if not is_number(entry):
            finding: Finding = ((*path, i), f"must be a number; got {shown(entry)}")
            yield finding
        elif not math.isfinite(entry):
            yield (*path, i), f"must be a finite number; got {shown(entry)}"


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise wrong(f"must be a finite number; got {shown(value)}")
    return float(value)


#: A matrix as a scenario gives it.
Matrix = Annotated[
    float | list[list[float]] | ArrayFile | RandomMatrix | Identity | Rotation, WrapValidator(_matrix)
]  # fmt: skip
#: A vector as a scenario gives it.
Vector = Annotated[float | list[float] | ArrayFile | RandomVector | ConstantVector, WrapValidator(_vector)]


def load_matrix(given: Any, source: ArraySource, path: Path) -> Array:
    """Return a matrix (m, n) from what the scenario gives at ``path``.

    Raises
    ------
    InputError
        If its file cannot be used, an entry is not finite, or it is no matrix.
    """
    array = given.array(source, path) if isinstance(given, ArraySection) else np.array(given, dtype=np.float64)
    if array.ndim == 0:
        array = array.reshape(1, 1)
    if array.ndim != 2 or 0 in array.shape:
        raise InputError(f"has shape {array.shape}; expected a matrix (rows, columns)")
    return _all_finite(array)


def load_vector(given: Any, source: ArraySource, path: Path) -> Array:
    """Return a vector (n,) from what the scenario gives at ``path``; a csv file's single row or column is one.

    Raises
    ------
    InputError
        If its file cannot be used, an entry is not finite, or it is no vector.
    """
    array = given.array(source, path) if isinstance(given, ArraySection) else np.array(given, dtype=np.float64)
    if array.ndim == 2 and 1 in array.shape:
        array = array.reshape(-1)
    array = np.atleast_1d(array)
    if array.ndim != 1 or array.size == 0:
        raise InputError(f"has shape {array.shape}; expected a vector (n,)")
    return _all_finite(array)


def _all_finite(array: Array) -> Array:
    bad = np.argwhere(~np.isfinite(array))
    if len(bad):
        index = tuple(int(i) for i in bad[0])
        raise InputError(f"entry {list(index)} is {array[index]}; every entry must be finite")
    return array


def _orthogonal(draw: Array, rows: int) -> Array:
    # The signs of R's diagonal make the distribution that of Haar.
    q, r = np.linalg.qr(draw)
    q = q * np.where(np.diag(r) < 0, -1.0, 1.0)
    return q if q.shape[0] == rows else q.T


def check_entries(count: int) -> None:
    """Raise InputError if an array of ``count`` entries would be too large."""
    if count > ARRAY_BYTES // 8:
        raise InputError(f"would have {count} entries; at most {ARRAY_BYTES // 8} are allowed")
