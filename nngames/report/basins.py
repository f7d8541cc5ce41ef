"""The basins of attraction of a game with two-dimensional profiles: a picture of where each start of the feed ends."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nngames.checks.feed_batches import FedMap, Settled, basins, profiles_fed
from nngames.core.errors import OptionError
from nngames.games import Game
from nngames.networks.relaxation import Constant
from nngames.report.figures import BLACK, PALETTE, legend_columns, literal
from nngames.report.phase_portrait import axis_names
from nngames.report.words import action_words
from nngames.results.trajectory import TrajectoryKind

Array = NDArray[np.floating[Any]]

RULES = ("iterated", "averaged")
#: Starts on each axis, steps of a feed and the tolerance of its classification.
POINTS, STEPS, TOLERANCE = 201, 3000, 1e-9
#: The relaxation of the averaged feed.
RELAXATION = 0.5
#: The box without one given: this far from the origin, or so many times as far as the farthest end of a first look.
REACH, FACTOR = 2.0, 1.6
UNDECIDED_COLOUR, DIVERGED_COLOUR = "#ffffff", "#9a9a9a"
#: So many ends are named in the legend.
NAMED = 12


def draw_basins(figure: Any, game: Game, rule: str = "iterated", box: Any = None) -> None:
    """Draw the basins on an empty figure; see ``nngames.report.plots.plot_basins``."""
    from matplotlib.colors import ListedColormap

    if rule not in RULES:
        raise OptionError(f"unknown rule {rule!r}; valid: {', '.join(RULES)}")
    fed = profiles_fed(game)
    low, high = _first_box(game, fed, rule) if box is None else _checked_box(box)
    x, y = (np.linspace(a, b, POINTS) for a, b in zip(low, high, strict=True))
    starts = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    labels, ends = _ends(game, fed, starts, rule)
    colours = [UNDECIDED_COLOUR, *(_colour(place, end) for place, end in enumerate(ends))]
    axes = figure.subplots()
    axes.imshow(
        labels.reshape(POINTS, POINTS) + 1,
        origin="lower",
        extent=(low[0], high[0], low[1], high[1]),
        cmap=ListedColormap(colours),
        vmin=-0.5,
        vmax=len(colours) - 0.5,
        interpolation="nearest",
        aspect="auto",
        alpha=0.75,
    )
    for end in ends:
        if end.kind is not TrajectoryKind.DIVERGED:
            points = end.state[None] if end.cycle is None else end.cycle
            inside = points[((points >= low) & (points <= high)).all(axis=1)]
            marker = "*" if end.cycle is None else "o"
            axes.plot(*inside.T, marker, color=BLACK, markersize=11 if marker == "*" else 6, markeredgecolor="white")
    names = axis_names(game)
    axes.set_xlabel(f"action of {names[0]}")
    axes.set_ylabel(f"action of {names[1]}")
    axes.set_title(f"Where the {rule} feed ends, by its start")
    handles = _handles(labels, ends, colours)
    figure.legend(handles=handles, loc="outside lower center", ncols=legend_columns(handles, 7.0))


def _ends(game: Game, fed: FedMap, starts: Array, rule: str) -> tuple[NDArray[np.int_], list[Settled]]:
    relaxation = None if rule == "iterated" else Constant(RELAXATION)
    return basins(fed, starts, relaxation, STEPS, TOLERANCE, game.multiplications)


def _first_box(game: Game, fed: FedMap, rule: str) -> tuple[Array, Array]:
    """Return a box around the origin that holds the ends of a few feeds."""
    line = np.linspace(-2 * REACH, 2 * REACH, 9)
    _, ends = _ends(game, fed, np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2), rule)
    points = [
        end.state[None] if end.cycle is None else end.cycle for end in ends if end.kind is not TrajectoryKind.DIVERGED
    ]
    farthest = max((float(np.abs(p).max()) for p in points), default=0.0)
    reach = max(REACH, FACTOR * farthest)
    return np.full(2, -reach), np.full(2, reach)


def _checked_box(box: Any) -> tuple[Array, Array]:
    try:
        given = np.asarray(box, dtype=float)
    except (TypeError, ValueError):
        given = np.empty(0)
    if given.shape != (2, 2) or not np.isfinite(given).all() or not (given[:, 0] < given[:, 1]).all():
        raise OptionError(f"box must be ((low, high), (low, high)) with low < high for each action; got {box!r}")
    return given[:, 0], given[:, 1]


def _colour(place: int, end: Settled) -> str:
    return DIVERGED_COLOUR if end.kind is TrajectoryKind.DIVERGED else PALETTE[place % len(PALETTE)]


def _handles(labels: NDArray[np.int_], ends: list[Settled], colours: list[str]) -> list[Any]:
    from matplotlib.patches import Patch

    handles = [
        Patch(facecolor=colour, alpha=0.75, label=literal(f"{_words(end)}, {_share(labels == place)}"))
        for place, (end, colour) in enumerate(zip(ends[:NAMED], colours[1:], strict=False))
    ]
    if len(ends) > NAMED:
        handles.append(Patch(facecolor="none", label=f"and {len(ends) - NAMED} more"))
    if (labels == -1).any():
        handles.append(Patch(facecolor="white", edgecolor=BLACK, label=f"undecided, {_share(labels == -1)}"))
    return handles


def _share(where: NDArray[np.bool_]) -> str:
    return f"{100 * where.mean():.1f}%"


def _words(end: Settled) -> str:
    if end.kind is TrajectoryKind.DIVERGED:
        return "diverged"
    if end.cycle is not None:
        return f"limit cycle of period {len(end.cycle)}"
    return f"fixed point {action_words(end.state, digits=4, whole=True)}"
