"""Tables of comparisons in files: one line a run, as CSV or Parquet."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nngames.core.errors import MissingExtraError
from nngames.core.files import write_atomic

if TYPE_CHECKING:
    from nngames.results.comparison import Row

#: The columns with their types.
COLUMNS: dict[str, type] = {
    "game": str,
    "seed": int,
    "method": str,
    "repeat": int,
    "call": str,
    "status": str,
    "seconds": float,
    "evaluations": int,
    "iterations": int,
    "residual": float,
    "scale": float,
    "tolerance": float,
    "nash_gap": float,
    "host": str,
    "message": str,
}


def table(rows: Sequence[Row]) -> dict[str, list[Any]]:
    """Return the columns of a comparison's table; a seed is None where the comparison has one only."""
    columns: dict[str, list[Any]] = {name: [] for name in COLUMNS}
    for row in rows:
        for name in COLUMNS:
            value = getattr(row if hasattr(row, name) else row.result, name)
            columns[name].append(None if value is None else COLUMNS[name](value))
    return columns


def write_csv(rows: Sequence[Row], path: str | os.PathLike[str]) -> Path:
    """Write the table as CSV with a header; numbers are written so that they are read back exactly."""
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    columns = table(rows)
    writer.writerow(columns)
    # The module csv writes repr of a float, and nothing for None.
    writer.writerows(zip(*columns.values(), strict=True))
    return write_atomic(path, stream.getvalue())


def write_parquet(rows: Sequence[Row], path: str | os.PathLike[str]) -> Path:
    """Write the table as a Parquet file.

    Raises
    ------
    MissingExtraError
        Without the extra ``tables``.
    """
    require_parquet()
    import pyarrow
    import pyarrow.parquet

    types = {str: pyarrow.string(), int: pyarrow.int64(), float: pyarrow.float64()}
    schema = pyarrow.schema([(name, types[kind]) for name, kind in COLUMNS.items()])
    sink = pyarrow.BufferOutputStream()
    pyarrow.parquet.write_table(pyarrow.table(table(rows), schema=schema), sink)
    return write_atomic(path, sink.getvalue().to_pybytes())


def require_parquet() -> None:
    """Raise MissingExtraError unless Parquet files can be written."""
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError:
        raise MissingExtraError("a Parquet file", "tables") from None
