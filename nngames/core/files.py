"""Writing files atomically: a reader sees the old content or the whole new one, never a part."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path


def write_atomic(path: str | os.PathLike[str], content: bytes | str) -> Path:
    """Write ``content`` to ``path`` through a temporary file in the same folder and a rename.

    A link is followed. What is no file, such as a device or a pipe, is written into: a rename would put a file in its
    place.

    Raises
    ------
    OSError
        If the folder does not exist or is not writable; the old file is then untouched.
    """
    try:
        return _write(path, content.encode("utf-8") if isinstance(content, str) else content)
    except OSError as error:
        if error.errno is not None:
            # A full disk names no file, and a folder that takes none the temporary one.
            error.filename = os.fspath(path)
        raise


def _write(path: str | os.PathLike[str], data: bytes) -> Path:
    if os.path.exists(path) and not os.path.isfile(path):
        with open(path, "wb") as stream:
            stream.write(data)
        return Path(path)
    target = Path(os.path.realpath(path))
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(temporary, 0o644 & ~_umask())
        os.replace(temporary, target)
    except BaseException:
        # An interruption may come when the rename is done.
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    return Path(path)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
