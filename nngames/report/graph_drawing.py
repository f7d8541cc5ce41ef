"""The picture of a game's graph: arrows from the one who is heard to the one who listens."""

from __future__ import annotations

from typing import Any

import numpy as np

from nngames.report.figures import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PALE,
    PURPLE,
    SKY,
    VERMILLION,
    legend_columns,
    literal,
)
from nngames.report.game_graph import Array, Arrow, GameGraph, Node

#: At most this many arrows are drawn, the strongest ones.
MOST_ARROWS = 200
#: Norms are written on arrows up to this many of them.
MOST_LABELS = 24

_COLOURS = {
    "itself": GREY,
    "one way": GREY,
    "not felt": PALE,
    "alike": BLUE,
    "proportional": GREEN,
    "different": VERMILLION,
}
_WORDS = {
    "itself": "hears itself",
    "one way": "one way",
    "not felt": "not felt in the domains",
    "alike": "both ways, each the other's transpose",
    "proportional": "both ways, weights would balance them",
    "different": "both ways, no weights balance them",
}
_FILLS = (SKY, ORANGE, GREEN, PURPLE, "#F0E442", "#BBBBBB")


def draw_game(figure: Any, graph: GameGraph) -> None:
    """Draw the graph on an empty figure or subfigure."""
    axes = figure.subplots()
    shown = sorted(graph.arrows, key=lambda arrow: -np.nan_to_num(arrow.size, nan=np.inf))[:MOST_ARROWS]
    fills = {name: _FILLS[i % len(_FILLS)] for i, name in enumerate(dict.fromkeys(graph.activations.values()))}
    axes.update_datalim(graph.extent)
    axes.margins(0)
    axes.autoscale_view()
    axes.set_aspect("equal", adjustable="datalim")
    axes.set_axis_off()
    for arrow in shown:
        _draw_arrow(axes, graph, arrow, shown)
    for node in graph.places:
        _draw_node(axes, graph, node, fills[graph.activations[node]])
    axes.set_title(_title(graph, shown))
    handles = _handles(fills, shown)
    figure.legend(handles=handles, loc="outside lower center", ncols=legend_columns(handles, 7.0))


def _draw_node(axes: Any, graph: GameGraph, node: Node, fill: str) -> None:
    from matplotlib.patches import Circle
    from matplotlib.patheffects import withStroke

    count, name, n = len(graph.places), _name(node), graph.sizes[node]
    place = graph.places[node]
    axes.add_patch(Circle(tuple(place), graph.radius, facecolor=fill, edgecolor=BLACK, linewidth=1.0, zorder=3))
    shown = name if len(name) <= 14 else name[:13] + "\N{HORIZONTAL ELLIPSIS}"
    font = 10 if count <= 8 else 9 if count <= 16 else 8
    # A name wider than its disc keeps readable by a light rim.
    fits = len(shown) <= (8 if count <= 5 else 5 if count <= 8 else 3)
    effects = [] if fits else [withStroke(linewidth=2.5, foreground="white")]
    said = count > 12 and len(set(graph.sizes.values())) == 1
    text = literal(shown) + (f"\nsize {n}" if n > 1 and not said else "")
    axes.text(*place, text, ha="center", va="center", fontsize=font, zorder=4, linespacing=1.1, path_effects=effects)


def _name(node: Node) -> str:
    return (
        node[0]
        if isinstance(node, tuple) and len(node) == 1
        else (f"{node[0]}[{node[1]}]" if isinstance(node, tuple) else str(node))
    )


def _draw_arrow(axes: Any, graph: GameGraph, arrow: Arrow, shown: list[Arrow]) -> None:
    from matplotlib.patches import FancyArrowPatch

    largest = max((a.size for a in shown if np.isfinite(a.size)), default=1.0) or 1.0
    share = arrow.size / largest if np.isfinite(arrow.size) else 1.0
    labelled = len(shown) <= MOST_LABELS
    looks: dict[str, Any] = {
        "arrowstyle": "<|-|>" if arrow.kind == "alike" else "-|>",
        "mutation_scale": 12 if len(shown) <= 40 else 7,
        "linewidth": 0.6 + 1.6 * share if labelled else 0.4 + 1.1 * share,
        "color": _COLOURS[arrow.kind],
        "alpha": 1.0 if labelled else 0.3 + 0.6 * share,
        "linestyle": (0, (3, 2)) if np.isnan(arrow.size) else "-",
        "shrinkA": 0,
        "shrinkB": 0,
        "zorder": 2,
    }
    if arrow.source == arrow.target:
        first, last, spot = _loop(graph, graph.places[arrow.source])
        bend = -1.9
    else:
        back = any(a.source == arrow.target and a.target == arrow.source for a in shown)
        bend = 0.18 if back else 0.0
        first, last, spot = _arc(graph.places[arrow.source], graph.places[arrow.target], graph.radius, bend)
    axes.add_patch(FancyArrowPatch(tuple(first), tuple(last), connectionstyle=f"arc3,rad={bend}", **looks))
    if labelled:
        box = {"boxstyle": "round,pad=0.12", "facecolor": "white", "edgecolor": "none"}
        axes.text(*spot, arrow.label, fontsize=9, ha="center", va="center", color=looks["color"], bbox=box, zorder=5)


def _loop(graph: GameGraph, place: Array) -> tuple[Array, Array, Array]:
    """Return the ends of a self-loop on the rim of its node, away from the others, and its farthest point."""
    out = place - np.mean(list(graph.places.values()), axis=0)
    angle = float(np.arctan2(out[1], out[0])) if np.linalg.norm(out) > 1e-9 else np.pi / 2

    def rim(turn: float) -> Array:
        return place + graph.radius * np.array([np.cos(angle + turn), np.sin(angle + turn)])

    return rim(0.5), rim(-0.5), place + 1.8 * (rim(0.0) - place)


def _arc(start: Array, stop: Array, radius: float, bend: float) -> tuple[Array, Array, Array]:
    """Return the ends of an arrow on the rims of its nodes, and the middle of its arc."""
    along = stop - start
    unit = along / np.linalg.norm(along)
    across = np.array([unit[1], -unit[0]])
    turn = np.arctan(2 * bend)
    first = start + 1.03 * radius * (np.cos(turn) * unit + np.sin(turn) * across)
    last = stop + 1.03 * radius * (-np.cos(turn) * unit + np.sin(turn) * across)
    return first, last, (first + last) / 2 + bend * float(np.linalg.norm(last - first)) / 2 * across


def _title(graph: GameGraph, shown: list[Arrow]) -> str:
    nodes = [node for node in graph.places if not (isinstance(node, tuple) and len(node) == 1)]
    kind = "neuron" if isinstance(nodes[0], tuple) else "player"
    players = f"{len(nodes)} {kind}{'s' * (len(nodes) != 1)}"
    if len(nodes) > 12 and set(graph.sizes.values()) not in ({1}, set()) and len(set(graph.sizes.values())) == 1:
        players += f" of size {graph.sizes[nodes[0]]}"
    couplings = f"{graph.couplings} coupling{'s' * (graph.couplings != 1)}"
    sizes = [arrow.size for arrow in shown if np.isfinite(arrow.size)]
    if not sizes:
        below = ""
    elif len(shown) <= MOST_LABELS:
        numbers = all(n == 1 for n in graph.sizes.values())
        below = "\nnumbers on the arrows: " + ("the weights" if numbers else "norms of the couplings")
    else:
        low, high = f"{min(sizes):.3g}", f"{max(sizes):.3g}"
        below = f"\nall weights of size {high}" if low == high else f"\nwidth of an arrow: norm, from {low} to {high}"
    if len(shown) < len(graph.arrows):
        below += f"; the {len(shown)} strongest of {len(graph.arrows)} arrows"
    return f"Who listens to whom: {players}, {couplings}{below}"


def _handles(fills: dict[str, str], shown: list[Arrow]) -> list[Any]:
    from matplotlib.lines import Line2D

    disc: dict[str, Any] = {"linestyle": "none", "marker": "o", "markersize": 9, "markeredgecolor": BLACK}
    handles = [Line2D([], [], markerfacecolor=fill, label=name, **disc) for name, fill in fills.items()]
    used = {arrow.kind for arrow in shown}
    handles += [Line2D([], [], color=_COLOURS[k], linewidth=1.8, label=w) for k, w in _WORDS.items() if k in used]
    return handles
