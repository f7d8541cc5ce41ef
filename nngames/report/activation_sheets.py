"""The sheets of activations: for each family the response r, its slopes with their exact range, f and g."""

from __future__ import annotations

import os
import tempfile
import textwrap
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from nngames.activations import Activation, Interval
from nngames.activations.foundations.base import registry
from nngames.activations.foundations.projections import SetProjection
from nngames.core.errors import InputError, check_choice
from nngames.report.activation_curves import (
    HALF,
    Array,
    Curve,
    direction,
    eigenvalues,
    first_entries,
    first_slopes,
    nodes,
    trace,
    window,
)
from nngames.report.activation_panels import draw_curve, draw_slopes, end_texts, say
from nngames.report.figures import FORMATS, GREY, literal, new_figure, save, style

#: Rows of a sheet; a larger family takes several sheets.
ROWS = 8
#: The sheet of the projections on sets, wherever they are defined.
SETS = "sets"

#: Inches: the sheet's width and margin, a row's height, and what stands above the rows.
_WIDTH, _MARGIN, _ROW, _HEAD = 13.0, 0.25, 2.25, 0.75
#: Inches: the first panel's left edge, the distance to the next one's, width and height, and what is below a panel.
_LEFT, _ACROSS, _WIDE, _HIGH, _BELOW = 0.6, 3.12, 2.6, 1.33, 0.42
#: Characters of a row's name, and of a line of what is said of the row.
_NAME, _NOTE = 70, 120

_ASYMMETRIC = "r is no gradient, since its Jacobians are not symmetric"
_LEGEND = (
    "r is the response; band and dashed lines are the exact range of its slopes; r is the prox of the penalty f and "
    "the slope of the primitive g. A triangle: the curve goes on beyond the panel."
)


def plot_activations(
    folder: str | os.PathLike[str], format: str = "png", names: Iterable[str] | None = None
) -> list[Path]:
    """Draw every activation with its defaults, a sheet a family, and return the files.

    A row holds r, its slopes with their exact range, the penalty f and the primitive g. Projections on sets share the
    sheet ``sets``, except those that are known as activations; a family of more than eight rows takes several sheets.

    Parameters
    ----------
    folder : path
        Where the sheets go; made if it does not exist. Files of their names are replaced, each at once and whole.
    format : str
        "png", "svg" or "pdf".
    names : iterable of str, optional
        Which activations to draw; all by default.

    Returns
    -------
    list of Path
        In the order of the families' names.

    Raises
    ------
    InputError
        If the folder cannot be made or written to, or there is nothing to draw.
    OptionError
        If the format is not supported.
    UnknownNameError
        If there is no such activation.
    """
    check_choice("format", format, FORMATS)
    sheets = sheets_of(names)
    place = writable_folder(folder)
    files = [place / f"{stem}.{format}" for stem in sheets]
    for file in files:
        if file.is_dir():
            raise InputError(f"the sheet {str(file)!r} cannot be written: there is a folder of that name")
    for file, (title, entries) in zip(files, sheets.values(), strict=True):
        save(draw_sheet(title, entries), file)
    return files


def writable_folder(folder: str | os.PathLike[str]) -> Path:
    """Return a folder into which files can be written; it is made if it does not exist.

    Raises
    ------
    InputError
        If it cannot be made or written to; the message says why.
    """
    if not isinstance(folder, str | os.PathLike) or not os.fspath(folder):
        raise InputError(f"the folder of the sheets must be a path; got {folder!r}")
    place = Path(folder)
    name = f"the folder {os.fspath(folder)!r}"
    try:
        taken = place.exists() and not place.is_dir()
        if not taken:
            place.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=place):
                pass
    except OSError as error:
        raise InputError(f"{name} cannot be made or written to: {error.strerror or error}") from error
    except ValueError as error:
        # A name with a null character is no path.
        raise InputError(f"{name} cannot be made: {error}") from error
    if taken:
        raise InputError(f"{name} cannot be made: there is a file of that name")
    return place


def family_of(cls: type[Activation]) -> str:
    """Return the family whose sheet shows an activation: the module that defines it, or ``sets``."""
    if issubclass(cls, SetProjection) and not cls.familiar:
        return SETS
    return cls.__module__.rpartition(".")[2]


def sheets_of(names: Iterable[str] | None = None) -> dict[str, tuple[str, list[Activation]]]:
    """Return the sheets: the file's name without suffix -> (title, activations).

    Raises
    ------
    InputError
        If there is nothing to draw, or no activation of a name.
    """
    wanted = registry if names is None else [names] if isinstance(names, str) else names
    classes = {registry[name] for name in wanted}
    if not classes:
        raise InputError("there is no activation to draw")
    families: dict[str, list[Activation]] = {}
    for cls in (registry[name] for name in registry):
        if cls in classes:
            families.setdefault(family_of(cls), []).append(cls())
    sheets = {}
    for family, entries in sorted(families.items()):
        title = family.replace("_", " ")
        count = -(-len(entries) // ROWS)
        for i in range(count):
            part = entries[i * len(entries) // count : (i + 1) * len(entries) // count]
            stem, of = (f"{family}_{i + 1}", f", sheet {i + 1} of {count}") if count > 1 else (family, "")
            sheets[stem] = (title + of, part)
    return sheets


def draw_sheet(title: str, entries: list[Activation]) -> Any:
    """Return a figure with one row of four panels for each activation."""
    height = _HEAD + _ROW * len(entries)
    with style():
        figure = new_figure(_WIDTH, height)
        # Every panel has its place in inches: rows look the same on every sheet.
        figure.set_layout_engine("none")

        def write(x: float, down: float, text: str, **options: Any) -> None:
            figure.text(x / _WIDTH, 1 - down / height, literal(text), va="top", **options)

        write(_MARGIN, 0.12, title, fontsize=14, fontweight="bold")
        write(_MARGIN, 0.43, _LEGEND, fontsize=8.5, color=GREY)
        for row, entry in enumerate(entries):
            down = _HEAD + row * _ROW
            write(_MARGIN, down + 0.03, _name(entry), fontweight="bold")
            write(_WIDTH - _MARGIN, down + 0.04, _note(entry), ha="right", fontsize=8, color=GREY)
            bottom, size = 1 - (down + _ROW - _BELOW) / height, (_WIDE / _WIDTH, _HIGH / height)
            panels = [figure.add_axes(((_LEFT + i * _ACROSS) / _WIDTH, bottom, *size)) for i in range(4)]
            (_draw_separable if entry.separable else _draw_vector)(panels, entry)
    return figure


def _name(a: Activation) -> str:
    """Return the activation with its parameters."""
    given = ", ".join(f"{name} = {_value(value)}" for name, value in a.parameters.items())
    text = f"{a.name}({given})" if given else a.name
    return text if len(text) <= _NAME else text[: _NAME - 4] + " ..."


def _value(value: Any) -> str:
    if isinstance(value, tuple | list):
        return f"({', '.join(_value(entry) for entry in value)})"
    return f"{value:g}" if isinstance(value, int | float) else str(value)


def _note(a: Activation) -> str:
    """Return what a reader has to know of the row."""
    notes = []
    if not a.separable:
        line = direction(a)
        along = "" if line.size == 1 else ", along v = t (1, ..., 1)" if line.all() else ", along v = t e1"
        notes.append(f"acts on vectors: drawn in R^{line.size}{along}")
    if not a.self_map:
        notes.append(_maps(a))
    ends = getattr(a, "inputs", Interval())
    if ends != Interval():
        notes.append(f"defined on ({ends.lower:g}, {ends.upper:g}) only")
    if not a.continuous:
        notes.append("not continuous")
    return "\n".join(["; ".join(notes)] * bool(notes) + _equations(a))


def _equations(a: Activation) -> list[str]:
    """Return the equations of the slope range's ends that are too long for its panel, in lines."""
    if not a.self_map:
        return []
    lower, upper = (rest for _, rest in end_texts(a))
    if lower == upper:
        texts = [f"where {lower}"] * bool(lower)
    else:
        texts = [f"{word}: {rest}" for word, rest in (("inf", lower), ("sup", upper)) if rest]
    return [line for text in texts for line in textwrap.wrap(text, _NOTE)]


def _draw_separable(panels: list[Any], a: Activation) -> None:
    low, high = window(a)
    inputs = getattr(a, "inputs", Interval())
    ends = (inputs.lower, inputs.upper)
    grid = nodes(low, high, low == ends[0], high == ends[1])
    draw_curve(panels[0], trace(a, grid), "r(v)", "v", ends, "not defined")
    draw_slopes(panels[1], a.derivative, grid, a, "r'(v)", "v", ends, "not defined")
    if a.monotone:
        _draw_penalty(panels[2], a)
    else:
        say(panels[2], "f", _no_penalty(a))
    draw_curve(panels[3], trace(a.primitive, grid), "g(v)", "v", ends, "not defined")


def _draw_penalty(axes: Any, a: Activation) -> None:
    """Draw f where it is finite."""
    domain = a.domain
    lower, upper = (float(np.ravel(getattr(domain, end))[0]) for end in ("lower", "upper"))
    if lower == upper:
        value = float(np.ravel(a.penalty(np.array([lower])))[0])
        curve = Curve(np.array([lower]), np.array([[value]]), value - 1, value + 1, ())
        draw_curve(axes, curve, "f(z)", "z", (lower, upper), "f = ∞")
        return
    low, high = max(lower, -HALF), min(upper, HALF)
    if not low < high:
        low, high = (lower, lower + 2 * HALF) if np.isfinite(lower) else (upper - 2 * HALF, upper)
    grid = nodes(low, high, low == lower, high == upper)
    if low == lower and np.isfinite(a.penalty(np.array([low]))).all():
        grid = np.concatenate([[low], grid])
    if high == upper and np.isfinite(a.penalty(np.array([high]))).all():
        grid = np.concatenate([grid, [high]])
    draw_curve(axes, trace(a.penalty, grid), "f(z)", "z", (lower, upper), "f = ∞")


def _draw_vector(panels: list[Any], a: Activation) -> None:
    """Draw along a line v = t d."""
    line, grid = direction(a), nodes(-HALF, HALF)

    def at(function: Callable[[Array], Array]) -> Callable[[Array], Array]:
        return lambda t: function(np.multiply.outer(t, line))

    many = "" if line.size == 1 else "first entry of "
    draw_curve(panels[0], trace(at(lambda v: first_entries(a(v))), grid), f"{many}r(v)", "t")
    if not a.self_map:
        draw_curve(panels[1], trace(lambda t: first_slopes(a, line, t), grid), "its slope in t", "t")
        say(panels[2], "f", f"no penalty: r {_maps(a)}")
        say(panels[3], "g", f"no primitive: r {_maps(a)}")
        return
    title = "eigenvalues of the Jacobian J at v" if a.gradient else "eigenvalues of (J + J')/2 at v"
    draw_slopes(panels[1], at(lambda v: eigenvalues(a, v)), grid, a, title, "t")
    if a.monotone:
        draw_curve(panels[2], trace(at(lambda v: a.penalty(a(v))), grid), "f(r(v))", "t")
    else:
        say(panels[2], "f", _no_penalty(a))
    if a.gradient:
        draw_curve(panels[3], trace(at(a.primitive), grid), "g(v)", "t")
    else:
        say(panels[3], "g", f"no primitive: {_ASYMMETRIC}")


def _maps(a: Activation) -> str:
    return f"maps {getattr(a, 'maps', 'R^n to another space')}"


def _no_penalty(a: Activation) -> str:
    return "prox of nothing: r is not monotone" if a.gradient else f"no penalty: {_ASYMMETRIC}"
