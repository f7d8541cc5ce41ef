"""Array files: npz and csv, read without pickle, within a size, and from a scenario's own folders only."""

from __future__ import annotations

import io
import math
import stat
import warnings
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nngames.core.errors import InputError, suggestion

Array = NDArray[np.float64]

#: The largest array file, and the largest array in one, in bytes.
ARRAY_BYTES = 64_000_000


@dataclass(frozen=True)
class Folder:
    """The files a scenario may read.

    Attributes
    ----------
    base : Path
        The scenario's folder: names are relative to it.
    roots : tuple of Path
        The resolved folders in whose trees a file must lie, after every link is followed.
    """

    base: Path
    roots: tuple[Path, ...]

    @staticmethod
    def of(scenario: Path) -> Folder:
        """Return what the scenario in a file may read: its own folder and, in a gallery, the gallery's ``data``.

        A gallery is a folder that holds ``schema.json``; its scenarios lie in its sub-folders.
        """
        base = scenario.absolute().parent
        roots = [base.resolve()]
        gallery = base.resolve().parent
        if (gallery / "schema.json").is_file():
            roots.append((gallery / "data").resolve())
        return Folder(base, tuple(roots))

    def read(self, name: str, key: str | None) -> Array:
        """Return the array in the file ``name``, under ``key`` if it is an npz file.

        Raises
        ------
        InputError
            If the file lies elsewhere, is too large, is no npz or csv file, or does not hold numbers.
        """
        path = self._locate(name)
        if path.suffix == ".npz":
            return _numbers(_read_npz(path, name, key), name)
        if path.suffix == ".csv":
            if key is not None:
                raise InputError(f"the csv file {name!r} has no keys; remove 'key'")
            return _read_csv(path, name)
        raise InputError(f"the file {name!r} is not an .npz or .csv file")

    def content(self, name: str) -> bytes:
        """Return the bytes of the file ``name``.

        Raises
        ------
        InputError
            If the file lies elsewhere, is too large, or cannot be read.
        """
        try:
            return self._locate(name).read_bytes()
        except OSError as error:
            raise InputError(f"the file {name!r} cannot be read: {error.strerror or error}") from None

    def _locate(self, name: str) -> Path:
        outside = InputError(f"the file {name!r} lies outside the scenario's folder")
        if not name or "\0" in name or "\\" in name or Path(name).is_absolute():
            raise outside
        try:
            path = (self.base / name).resolve()
            if not any(path.is_relative_to(root) for root in self.roots):
                raise outside
            status = path.stat()
        except FileNotFoundError:
            raise InputError(f"there is no file {name!r} in the scenario's folder") from None
        except (OSError, RuntimeError) as error:
            raise InputError(f"the file {name!r} cannot be read: {getattr(error, 'strerror', None) or error}") from None
        if not stat.S_ISREG(status.st_mode):
            raise InputError(f"{name!r} is not a file")
        _check_size(status.st_size, f"the file {name!r}")
        return path


def _check_size(size: int, what: str) -> None:
    if size > ARRAY_BYTES:
        raise InputError(f"{what} has {size / 1e6:.0f} MB; at most {ARRAY_BYTES / 1e6:.0f} MB are read")


def _read_npz(path: Path, name: str, key: str | None) -> Any:
    try:
        with zipfile.ZipFile(path) as archive:
            members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
            if key is None and len(members) == 1:
                key = next(iter(members))
            if key not in members:
                wanted = f"has no array {key!r}" if key is not None else "needs a 'key'"
                raise InputError(f"the file {name!r} {wanted}; {suggestion(str(key), tuple(sorted(members)))}")
            # The stated size bounds what is unpacked: an archive can expand a thousandfold.
            _check_size(members[key].file_size, f"the array {key!r} of {name!r}")
            with archive.open(members[key]) as stream:
                content = stream.read(ARRAY_BYTES + 1)
        _check_size(len(content), f"the array {key!r} of {name!r}")
        return _read_npy(content)
    except InputError:
        raise
    except (OSError, ValueError, EOFError, NotImplementedError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"the file {name!r} is not an npz file of numbers: {_first_line(error)}") from None


def _read_npy(content: bytes) -> Any:
    stream = io.BytesIO(content)
    version = np.lib.format.read_magic(stream)
    read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read_header(stream)
    if dtype.hasobject:
        raise ValueError("it holds Python objects")
    # NumPy allocates what the header states before it looks at the data.
    if math.prod(shape) * dtype.itemsize > len(content):
        raise ValueError("it is shorter than its header says")
    stream.seek(0)
    return np.lib.format.read_array(stream, allow_pickle=False)


def _read_csv(path: Path, name: str) -> Array:
    try:
        with warnings.catch_warnings(), path.open(encoding="utf-8-sig") as stream:
            warnings.simplefilter("ignore", UserWarning)
            array = np.loadtxt(stream, delimiter=",", ndmin=2, dtype=np.float64)
    except (OSError, ValueError) as error:
        raise InputError(
            f"the file {name!r} is not a table of numbers separated by commas: {_first_line(error)}"
        ) from None
    if array.size == 0:
        raise InputError(f"the file {name!r} is empty")
    return array


def _numbers(array: Any, name: str) -> Array:
    if array.dtype.kind not in "fiub":
        raise InputError(f"the file {name!r} holds {array.dtype} entries; expected real numbers")
    return array.astype(np.float64)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
