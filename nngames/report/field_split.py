"""The picture of a game of two numbers as a vector field, split into a gradient part and a rotational part.

The field is what each player would do next, F_l = -dJ_l/dx_l = u_l(x) - phi_l'(x_l). With S the symmetric and A the
antisymmetric part of the effective coupling, F = -grad V + A (x - m), V the potential of the game with S in place of
the coupling (and the linear terms that keep F at m). A (x - m) turns about m and has no divergence; it is the
rotational part of the linear coupling in Helmholtz's sense, and own costs, whatever they are, belong to the gradient.
The constant A m could stand in either part: with m an interior equilibrium both parts vanish where F does. m is the
equilibrium that was found, or the middle of the picture.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nngames.checks.effective_coupling import asymmetry, effective_coupling
from nngames.checks.potential_distances import require_bilinear
from nngames.core.errors import NotApplicableError, OptionError
from nngames.core.profiles import Array
from nngames.games import CoupledGame, Game
from nngames.report.figures import BLACK, GREY, PALE, legend_columns
from nngames.report.phase_portrait import axis_names, find_equilibria

#: Points of the grid of arrows and of the potential's grid, on each axis.
ARROWS, GRID = 15, 121
#: How far from the middle profile the picture reaches where a domain does not end before.
REACH = 2.0
# Points of the field this close to the end of a domain, relative to the picture, are left out: slopes may be infinite.
_MARGIN = 0.03
_STEP = 1e-6


def require_two_numbers(game: Game) -> CoupledGame:
    """Return the game if it is one of two numbers whose costs are bilinear in what the players hear.

    Raises
    ------
    NotApplicableError
        If it is not.
    """
    bilinear = require_bilinear(game, "plot_field_split")
    sizes = list(game.dims.values())
    if sizes != [1, 1]:
        raise NotApplicableError(f"a field is drawn for two players with one number each; this game's have {sizes}")
    return bilinear


def draw_field_split(figure: Any, game: CoupledGame, box: Any = None) -> None:
    """Draw the three fields on an empty figure or subfigure."""
    split = FieldSplit(game, box)
    parts = split.parts(*split.points(ARROWS))
    panels = figure.subplots(1, 3, sharex=True, sharey=True)
    titles = (
        "Where each player would go\n$-\\partial J_l/\\partial x_l$",
        "Gradient part\nsymmetric coupling; lines: its potential",
        "Rotational part\nantisymmetric coupling",
    )
    x, y = split.points(ARROWS)
    largest = max(float(np.linalg.norm(part, axis=-1).max()) for part in parts) or 1.0
    for axes, title, part in zip(panels, titles, parts, strict=True):
        _draw_field(axes, x, y, part, largest, split)
        axes.plot(*split.middle, "o", markersize=6, color=BLACK, zorder=4)
        axes.set_title(title)
    _draw_potential(panels[1], split)
    names = axis_names(game)
    for axes in panels:
        axes.set_xlabel(f"action of {names[0]}")
        axes.set_xlim(split.low[0], split.high[0])
        axes.set_ylim(split.low[1], split.high[1])
        axes.locator_params(nbins=4)
    panels[0].set_ylabel(f"action of {names[1]}")
    handles = _handles(game, split)
    figure.legend(handles=handles, loc="outside lower center", ncols=legend_columns(handles, 11.0))


class FieldSplit:
    """The field of a game of two numbers and its two parts.

    Parameters
    ----------
    game : CoupledGame
        Two players with one number each.
    box : ((low, high), (low, high)), optional
        What is shown.

    Attributes
    ----------
    middle : ndarray (2,)
        The point about which the rotational part turns.
    at_equilibrium : bool
        Whether that is an equilibrium.
    low, high : ndarray (2,)
        The corners of the picture.
    """

    def __init__(self, game: CoupledGame, box: Any = None) -> None:
        self._game = game
        coupling = effective_coupling(game).toarray()
        self._odd = (coupling - coupling.T) / 2
        ends = [game.own[game.block_of(p)[0]].activation.domain for p in game.players]
        self._ends = np.array([[d.project(np.full(1, t))[0] for d in ends] for t in (-np.inf, np.inf)])
        found = find_equilibria(game)
        self.at_equilibrium = bool(len(found)) and (box is None or _inside(found[0], box))
        centre = found[0] if len(found) else np.clip(np.zeros(2), *self._ends)
        if box is None:
            low, high = np.maximum(centre - REACH, self._ends[0]), np.minimum(centre + REACH, self._ends[1])
        else:
            low, high = _corners(box)
            low, high = np.maximum(low, self._ends[0]), np.minimum(high, self._ends[1])
        self.low, self.high = low, high
        self.middle: Array = centre if self.at_equilibrium else (low + high) / 2

    def points(self, count: int) -> tuple[Array, Array]:
        """Return a grid of the picture, away from the ends of the domains."""
        margin = _MARGIN * (self.high - self.low)
        x, y = (np.linspace(a, b, count) for a, b in zip(self.low + margin, self.high - margin, strict=True))
        first, second = np.meshgrid(x, y)
        return first, second

    def parts(self, x: Array, y: Array) -> tuple[Array, Array, Array]:
        """Return F, its gradient part and its rotational part at points, each (..., 2)."""
        profiles = np.stack([x, y], axis=-1)
        field = np.empty_like(profiles)
        flat = profiles.reshape(-1, 2)
        for i, player in enumerate(self._game.players):
            step = np.zeros(2)
            step[i] = _STEP * float(np.max(self.high - self.low))
            fall = self._game.cost(player, flat - step) - self._game.cost(player, flat + step)
            field[..., i] = (fall / (2 * step[i])).reshape(x.shape)
        rotation = (profiles - self.middle) @ self._odd.T
        return field, field - rotation, rotation

    def potential(self, x: Array, y: Array) -> Array:
        """Return V with -grad V the gradient part: own costs minus what the symmetric part couples."""
        profiles = np.stack([x, y], axis=-1)
        flat = profiles.reshape(-1, 2)
        one, two = self._game.players
        still = np.broadcast_to(self.middle, flat.shape)
        own = self._game.cost(one, np.column_stack([flat[:, 0], still[:, 1]]))
        own = own + self._game.cost(two, np.column_stack([still[:, 0], flat[:, 1]]))
        # J_l with the other at m holds -x_l B_lk m_k; the symmetric coupling adds -S (x_1 - m_1) (x_2 - m_2).
        coupling = effective_coupling(self._game).toarray()
        even = float(coupling[0, 1] + coupling[1, 0]) / 2
        apart = flat - self.middle
        return np.asarray(own - even * apart[:, 0] * apart[:, 1]).reshape(x.shape)


def _corners(box: Any) -> tuple[Array, Array]:
    """Return the corners of a box ((low, high), (low, high)), or raise OptionError."""
    try:
        ends = np.asarray(box, dtype=float)
    except (TypeError, ValueError):
        ends = np.empty(0)
    if ends.shape != (2, 2) or not np.isfinite(ends).all() or not (ends[:, 0] < ends[:, 1]).all():
        raise OptionError(f"box must be ((low, high), (low, high)) with low < high; got {box!r}")
    return ends[:, 0], ends[:, 1]


def _inside(point: Array, box: Any) -> bool:
    low, high = _corners(box)
    return bool(((point >= low) & (point <= high)).all())


def _draw_field(axes: Any, x: Array, y: Array, part: Array, largest: float, split: FieldSplit) -> None:
    """Draw arrows whose lengths grow with the square root of the field's, in one scale for all parts."""
    lengths = np.linalg.norm(part, axis=-1)
    shown = part / (split.high - split.low)
    units = shown / np.maximum(np.linalg.norm(shown, axis=-1), 1e-300)[..., None]
    units = units * np.sqrt(lengths / largest)[..., None]
    axes.quiver(
        x,
        y,
        units[..., 0],
        units[..., 1],
        color=GREY,
        angles="uv",
        scale=1.1 * ARROWS,
        scale_units="width",
        width=0.005,
        headwidth=4,
        pivot="mid",
        zorder=2,
    )


def _draw_potential(axes: Any, split: FieldSplit) -> None:
    x, y = split.points(GRID)
    values = split.potential(x, y)
    axes.contour(x, y, values, levels=14, colors=[PALE], linewidths=1.0, zorder=1)


def _handles(game: CoupledGame, split: FieldSplit) -> list[Any]:
    from matplotlib.lines import Line2D

    point = "an equilibrium; the rotation turns about it" if split.at_equilibrium else "the rotation turns about it"
    share = f"antisymmetric share of the coupling: {asymmetry(effective_coupling(game)):.3g}"
    return [
        Line2D([], [], color=GREY, marker=">", linestyle="none", label="longer: larger (square root)"),
        Line2D([], [], color=BLACK, marker="o", linestyle="none", label=point),
        Line2D([], [], linestyle="none", label=share),
    ]
