"""The phase portrait of a game with two-dimensional profiles: answers, best-response curves, feeds and equilibria."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nngames.core.errors import NNGamesError, NotApplicableError
from nngames.core.seeds import Seed, generator
from nngames.games import Game
from nngames.report.figures import BLACK, BLUE, GREY, PALETTE, PURPLE, VERMILLION, legend_columns, literal
from nngames.report.words import player_words

Array = NDArray[np.floating[Any]]

#: Points of the grid of arrows and of the grid of the curves, on each axis.
ARROWS, GRID = 21, 202
#: Steps of a drawn feed, and how many feeds are drawn where no starts are given.
STEPS, FEEDS = 60, 4
#: Equilibria are searched for up to this far from the origin in each coordinate, or twice as far as one is known.
SEARCH = 10.0
#: Points this close are the same equilibrium; more than so many are not listed.
SAME, MOST_EQUILIBRIA = 1e-6, 20
#: A Jacobian with a larger condition number is taken as singular.
REGULAR = 1e6


def require_two_dimensions(game: Game) -> None:
    """Raise NotApplicableError unless the game's profiles have two entries."""
    if game.size != 2:
        raise NotApplicableError(
            f"a phase portrait needs a two-dimensional profile; this game's profile has {game.size} entries: "
            "draw its graph with plot_game, or its runs with Result.plot()"
        )


def draw_phase_portrait(figure: Any, game: Game, equilibria: Any = None, starts: Any = None, seed: Seed = None) -> None:
    """Draw the portrait on an empty figure or subfigure; see ``nngames.report.plots.plot_phase_portrait``."""
    rng = generator(seed)
    known = equilibria is not None
    points = np.reshape(np.asarray(equilibria, dtype=float), (-1, 2)) if known else find_equilibria(game)
    given = None if starts is None else np.reshape(np.asarray(starts, dtype=float), (-1, 2))
    low, high = _window(game, points, given)
    begins = rng.uniform(low, high, (FEEDS, 2)) if given is None else given
    axes = figure.subplots()
    axes.set_xlim(low[0], high[0])
    axes.set_ylim(low[1], high[1])
    _draw_field(axes, game, low, high)
    _draw_answers(axes, game, low, high)
    for number, start in enumerate(begins):
        _draw_feed(axes, _feed(game, start), PALETTE[2 + number % (len(PALETTE) - 3)])
    axes.plot(points[:, 0], points[:, 1], "*", color=BLACK, markersize=15, markeredgecolor="white", zorder=6)
    names = axis_names(game)
    axes.set_xlabel(f"action of {names[0]}")
    axes.set_ylabel(f"action of {names[1]}")
    axes.set_title("Where the answers lead\narrows point from a profile towards the players' answers")
    handles = _handles(names, len(points), known)
    figure.legend(handles=handles, loc="outside lower center", ncols=legend_columns(handles, 7.0))


def find_equilibria(game: Game) -> Array:
    """Return the isolated equilibria (m, 2) on a grid around the origin and around what the default method finds.

    A cell of the grid in which both entries of R(x) - x change sign is refined by Newton's method with difference
    quotients. A point counts if it stays near its cell, its residual is at most 1e-9 in the game's unit and the
    Jacobian is regular there: a small residual alone is no equilibrium nearby. Others may lie farther out.
    """
    from nngames.solvers import solve

    radius = SEARCH
    try:
        result = solve(game, max_iterations=300)
        if result.converged:
            radius = max(radius, 2 * float(np.abs(result.profile).max()))
    except NNGamesError:
        pass
    x, y, moves = _grid(game, np.full(2, -radius), np.full(2, radius))
    cell = 2 * radius / (GRID - 1)
    found: list[Array] = []
    for i, k in np.argwhere(_changes_sign(moves[..., 0]) & _changes_sign(moves[..., 1])):
        middle = np.array([x[i : i + 2, k : k + 2].mean(), y[i : i + 2, k : k + 2].mean()])
        point = _newton(game, middle, reach=2 * cell)
        if point is not None and all(np.linalg.norm(point - other) > SAME for other in found):
            found.append(point)
        if len(found) == MOST_EQUILIBRIA:
            break
    return np.reshape(found, (-1, 2))


def _grid(game: Game, low: Array, high: Array) -> tuple[Array, Array, Array]:
    x, y = np.meshgrid(*(np.linspace(a, b, GRID) for a, b in zip(low, high, strict=True)))
    moves = game.residuals(np.column_stack([x.ravel(), y.ravel()]))
    return x, y, moves.reshape(*x.shape, 2)


def _changes_sign(values: Array) -> NDArray[np.bool_]:
    """Return for each cell of the grid whether the values at its corners are not all of one strict sign."""
    corners = np.stack([values[:-1, :-1], values[1:, :-1], values[:-1, 1:], values[1:, 1:]])
    return (corners.min(axis=0) <= 0) & (corners.max(axis=0) >= 0)


def _newton(game: Game, start: Array, reach: float) -> Array | None:
    """Return the regular zero of R(x) - x within ``reach`` of a start that Newton's method finds, or None."""
    point = start
    for _ in range(30):
        steps = 1e-7 * (1 + np.abs(point))
        values = game.residuals(np.vstack([point, point + np.diag(steps)]))
        jacobian = ((values[1:] - values[0]) / steps[:, None]).T
        if not np.linalg.cond(jacobian) < REGULAR:
            return None
        if np.linalg.norm(values[0]) <= 1e-9 * game.scale:
            return point
        point = point - np.linalg.solve(jacobian, values[0])
        if np.linalg.norm(point - start) > reach:
            return None
    return None


def _window(game: Game, points: Array, starts: Array | None) -> tuple[Array, Array]:
    """Return the corners of the picture: around equilibria, starts and the answers to nearby profiles."""
    anchors: list[Any] = [points] if len(points) else [np.zeros((1, 2))]
    if starts is not None:
        anchors.append(starts)
    core = np.concatenate(anchors)
    around = np.concatenate([core + d for d in ((1, 1), (1, -1), (-1, 1), (-1, -1))])
    low, high = around.min(axis=0), around.max(axis=0)
    answers = around + game.residuals(around)
    # Answers far away would squeeze the picture: they widen it to twice its size at most.
    reach = (high - low) / 2
    answers = np.clip(answers[np.isfinite(answers).all(axis=1)], low - reach, high + reach)
    everything = np.concatenate([around, answers])
    margin = 0.08 * np.ptp(everything, axis=0)
    return everything.min(axis=0) - margin, everything.max(axis=0) + margin


def _draw_field(axes: Any, game: Game, low: Array, high: Array) -> None:
    """Draw T(x) - x at the points of a grid: directions by arrows of one length, sizes by their shade."""
    x, y = np.meshgrid(*(np.linspace(a, b, ARROWS + 2)[1:-1] for a, b in zip(low, high, strict=True)))
    moves = game.residuals(np.column_stack([x.ravel(), y.ravel()]))
    # Directions as the picture shows them: its axes may have different scales.
    shown = moves / (high - low)
    lengths = np.linalg.norm(shown, axis=1)
    units = shown / np.maximum(lengths, 1e-300)[:, None]
    sizes = np.linalg.norm(moves, axis=1)
    shades = 0.85 - 0.3 * np.sqrt(sizes / max(float(sizes.max()), 1e-300))
    axes.quiver(
        x.ravel(),
        y.ravel(),
        *units.T,
        color=[str(round(float(shade), 3)) for shade in shades],
        angles="uv",
        scale=1.35 * ARROWS,
        scale_units="width",
        width=0.0028,
        headwidth=4,
        pivot="mid",
        zorder=1,
    )


def _draw_answers(axes: Any, game: Game, low: Array, high: Array) -> None:
    """Draw where each coordinate would not move; the curves cross at the equilibria."""
    x, y, moves = _grid(game, low, high)
    for i, colour in enumerate((BLUE, VERMILLION)):
        values = moves[..., i]
        if values.min() < 0 < values.max():
            axes.contour(x, y, values, levels=[0.0], colors=[colour], linewidths=1.6, zorder=2)


def _feed(game: Game, start: Array) -> Array:
    """Return the profiles of the feed x <- T(x) from a start, up to where it leaves the finite numbers."""
    path = [np.asarray(start, dtype=float)]
    with np.errstate(all="ignore"):
        for _ in range(STEPS):
            path.append(path[-1] + game.residuals(path[-1]))
            if not np.isfinite(path[-1]).all() or np.abs(path[-1]).max() > 1e6:
                break
    return np.array([point for point in path if np.isfinite(point).all()])


def _draw_feed(axes: Any, path: Array, colour: str) -> None:
    axes.plot(path[:, 0], path[:, 1], "-", color=colour, linewidth=1.1, marker=".", markersize=5, zorder=4)
    axes.plot(*path[0], "o", markerfacecolor="white", markeredgecolor=colour, markersize=6.5, zorder=5)


def axis_names(game: Game) -> list[str]:
    """Return what to call the two numbers of a profile: their players, or the entries of the only one's action."""
    if len(game.players) == 2:
        return [literal(player_words(player)) for player in game.players]
    return [literal(f"{player_words(game.players[0])}[{i}]") for i in range(2)]


def _handles(names: Sequence[str], equilibria: int, known: bool) -> list[Any]:
    from matplotlib.lines import Line2D

    star: dict[str, Any] = {"marker": "*", "markersize": 13, "markerfacecolor": BLACK, "markeredgecolor": "white"}
    word = "equilibrium" if equilibria == 1 else "equilibria"
    number = f"at least {equilibria}" if equilibria >= MOST_EQUILIBRIA else str(equilibria)
    found = f"{number} {word}" + ("" if known else " found") if equilibria else "no equilibrium found"
    return [
        Line2D([], [], color=BLUE, linewidth=1.6, label=f"{names[0]} would not move"),
        Line2D([], [], color=VERMILLION, linewidth=1.6, label=f"{names[1]} would not move"),
        Line2D([], [], linestyle="none", label=found, **(star if equilibria else {})),
        Line2D([], [], color=PURPLE, marker="o", markerfacecolor="white", label="iterated feed from its start"),
        Line2D([], [], color=GREY, marker=">", linestyle="none", label="towards the answers; darker: farther"),
    ]
