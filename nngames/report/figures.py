"""What all pictures share: figures without global state, a palette safe for colour-blind readers, and saving."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nngames.core.errors import OptionError
from nngames.core.files import write_atomic

#: The suffixes of pictures.
FORMATS = ("pdf", "png", "svg")

#: The colours of Okabe and Ito (2008) that are strong enough for lines on white.
BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, BLACK = PALETTE = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
    "#000000",
)
GREY, PALE = "#6E6E6E", "#D9D9D9"

_STYLE = {
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.titlepad": 8,
    "axes.labelsize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.axisbelow": True,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": "black",
    "ytick.labelcolor": "black",
    "legend.frameon": False,
    "legend.fontsize": 9,
    "figure.titlesize": 12,
    "savefig.dpi": 150,
    "svg.hashsalt": "nngames",
    "path.simplify": True,
    "agg.path.chunksize": 20000,
}


@contextmanager
def style() -> Iterator[None]:
    """Draw with the house style inside the block; the user's settings are back afterwards."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        yield


def new_figure(width: float, height: float) -> Any:
    """Return an empty figure of that size in inches, drawn by Agg and unknown to pyplot."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def check_path(path: str | os.PathLike[str] | None) -> None:
    """Raise OptionError if a picture cannot be written under that name."""
    if path is not None and Path(path).suffix.lstrip(".").lower() not in FORMATS:
        suffix = Path(path).suffix
        what = f"has the suffix {suffix!r}, which is not supported" if suffix else "has no suffix"
        valid = ", ".join(f".{name}" for name in FORMATS)
        raise OptionError(f"the picture {os.fspath(path)!r} {what}; valid: {valid}")


def save(figure: Any, path: str | os.PathLike[str] | None) -> Any:
    """Write a figure to ``path``, if there is one, in the format of its suffix; return the figure.

    The file appears at once and whole. The same figure gives the same bytes.

    Raises
    ------
    OptionError
        If the suffix is not supported.
    """
    check_path(path)
    if path is None:
        return figure
    kind = Path(path).suffix.lstrip(".").lower()
    undated = {"pdf": {"CreationDate": None}, "png": {}, "svg": {"Date": None}}[kind]
    buffer = io.BytesIO()
    with style(), warnings.catch_warnings():
        # A player's name may hold a character that the font lacks; a box in its place is no fault of the picture.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure.savefig(buffer, format=kind, metadata=undated)
    write_atomic(path, buffer.getvalue())
    return figure


def literal(text: object) -> str:
    """Return a text so that no character of it is read as mathematics."""
    return str(text).replace("$", r"\$")


def line_style(number: int) -> dict[str, Any]:
    """Return colour and dashes of the line with that number; they differ for the first 28."""
    dashes = ("-", (0, (5, 2)), (0, (1, 1.5)), (0, (6, 2, 1, 2)))
    return {"color": PALETTE[number % len(PALETTE)], "linestyle": dashes[number // len(PALETTE) % len(dashes)]}


def legend_columns(handles: Sequence[Any], width: float) -> int:
    """Return how many columns of a legend fit into a width in inches."""
    longest = max((len(handle.get_label()) for handle in handles), default=1)
    return max(1, min(len(handles), int(width / (0.075 * longest + 0.55))))
