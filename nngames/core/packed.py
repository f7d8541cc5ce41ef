"""Arrays, numbers, texts, and tuples, lists and mappings of them in an npz file without pickled objects, bit for bit.

Beside the arrays the file holds the text ``description``, JSON that says how they hang together, and ``digest``, a hash
of all that, by which damage is told.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nngames.core.errors import InputError, OptionError

#: What NumPy, zipfile and json raise at a file that is damaged, or none of theirs.
UNREADABLE = (
    OSError,
    ValueError,
    EOFError,
    KeyError,
    TypeError,
    AttributeError,
    OverflowError,
    MemoryError,
    RuntimeError,
    NotImplementedError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)


def load_arrays(path: str | os.PathLike[str]) -> dict[str, NDArray[Any]]:
    """Return the arrays of an npz file by name; nothing pickled is loaded, and the file is closed again.

    Raises one of ``UNREADABLE`` where it is damaged or no npz file.
    """
    with open(path, "rb") as stream, np.load(stream, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def pack(content: Any, format: str) -> bytes:
    """Return the npz file of a value, in a format that ``read_packed`` asks for.

    Raises
    ------
    OptionError
        If there is something else.
    """
    arrays: dict[str, NDArray[Any]] = {}
    tree = _packed(content, arrays)
    text = json.dumps({"format": format, "content": tree}, allow_nan=False)
    stream = io.BytesIO()
    named: dict[str, Any] = {**arrays, "description": np.array(text), "digest": np.array(_digest(text, arrays))}
    np.savez(stream, **named)
    return stream.getvalue()


def _digest(text: str, arrays: Mapping[str, NDArray[Any]]) -> str:
    found = hashlib.sha256(text.encode())
    for name, array in sorted(arrays.items()):
        found.update(f"{name} {array.dtype.str} {array.shape}".encode())
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()


def _packed(value: Any, arrays: dict[str, NDArray[Any]]) -> Any:
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float | np.floating):
        # As in memory, also where it is no number.
        return {"float": float(value).hex()}
    if isinstance(value, np.ndarray) and value.dtype.kind in "fiub":
        name = f"array_{len(arrays)}"
        arrays[name] = value
        return {"array": name}
    if isinstance(value, tuple):
        return {"tuple": [_packed(item, arrays) for item in value]}
    if isinstance(value, list):
        return [_packed(item, arrays) for item in value]
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {"mapping": {key: _packed(item, arrays) for key, item in value.items()}}
    raise OptionError(f"only arrays, numbers and texts are packed; got {type(value).__name__}")


def _unpacked(value: Any, arrays: Mapping[str, NDArray[Any]]) -> Any:
    if isinstance(value, list):
        return [_unpacked(item, arrays) for item in value]
    if not isinstance(value, dict):
        return value
    (kind, item), *_ = value.items()
    match kind:
        case "float":
            return float.fromhex(item)
        case "array":
            return arrays[item]
        case "tuple":
            return tuple(_unpacked(entry, arrays) for entry in item)
        case "mapping":
            return {key: _unpacked(entry, arrays) for key, entry in item.items()}
    raise ValueError(f"unknown kind {kind!r}")


def read_packed(path: Path, format: str, what: str) -> Any:
    """Return the value in a file.

    Raises
    ------
    InputError
        If the file cannot be read or has another format; ``what`` says what it should be.
    """
    try:
        arrays = load_arrays(path)
        text, digest = str(arrays.pop("description")[()]), str(arrays.pop("digest", ""))
        described = json.loads(text)
        if described["format"] != format:
            raise ValueError(f"its format is {described['format']!r}")
        if digest != _digest(text, arrays):
            raise ValueError("its content has been changed")
        return _unpacked(described["content"], arrays)
    except UNREADABLE as error:
        raise InputError(f"{path}: is no {what} of nngames: {' '.join(str(error).split())[:200]}") from None
