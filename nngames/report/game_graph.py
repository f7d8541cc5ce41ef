"""What the picture of a game shows: its players as nodes at their places, its couplings as arrows with their norms.

How it is drawn is in ``nngames.report.graph_drawing``.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nngames.certificates.direction_spaces import DirectionSpace
from nngames.core.bounds import spectral_norm
from nngames.core.operators import as_linear_map
from nngames.games import CoupledGame, Game
from nngames.networks import LinearCoupling

Array = NDArray[np.floating[Any]]
Node = Hashable

#: A game of neurons is drawn neuron by neuron up to this size, and layer by layer above.
MOST_NEURONS = 40
#: A pair B_lk, B_kl' that differs by less than this (relative) is alike.
ALIKE = 1e-12
#: The node of a chain's fixed input.
INPUT = ("input",)


@dataclass(frozen=True)
class Arrow:
    """A coupling, or a pair of couplings that are each other's transpose.

    Attributes
    ----------
    source, target : node
    size : float
        The safe upper bound on its norm; nan where it is not linear, inf where no bound is known.
    label : str
        The norm, or the weight itself where it is a number.
    kind : str
        ``"itself"``, ``"one way"``, ``"alike"`` (a pair with B_lk = B_kl'), ``"proportional"`` (one of a pair with
        c_l B_lk = c_k B_kl' for some positive c), ``"different"`` (one of another pair), ``"not felt"`` (B_lk = 0).
        B_lk is W_lk between the directions in which the two players can move; without a known one W_lk itself.
    """

    source: Node
    target: Node
    size: float
    label: str
    kind: str


@dataclass(frozen=True, eq=False)
class GameGraph:
    """The graph of a game, laid out.

    Attributes
    ----------
    activations, sizes : mapping node -> str, int
    arrows : tuple of Arrow
    places : mapping node -> ndarray (2,)
    radius : float
        Of a node.
    couplings : int
        How many couplings the arrows stand for.
    """

    activations: dict[Node, str]
    sizes: dict[Node, int]
    arrows: tuple[Arrow, ...]
    places: dict[Node, Array]
    radius: float
    couplings: int

    @property
    def extent(self) -> tuple[Array, Array]:
        """The corners of the picture, with room for self-loops."""
        points = np.array(list(self.places.values()))
        loops = any(arrow.source == arrow.target for arrow in self.arrows)
        margin = (2.3 if loops else 1.3) * self.radius
        if len(points) == 1:
            margin *= 1.6
        return points.min(axis=0) - margin, points.max(axis=0) + margin


def graph_of(game: Game, seed: int = 0) -> GameGraph:
    """Return the graph of a network's or a quadratic game, its pairs told apart by what the players feel."""
    network: Any = game.network  # type: ignore[attr-defined]
    neurons = bool(getattr(game, "neurons", False)) and game.size <= MOST_NEURONS and network.linear
    activations: dict[Node, str]
    sizes: dict[Node, int]
    if neurons:
        activations = {
            (layer, i): network.activations[layer].name for layer, n in network.dims.items() for i in range(n)
        }
        sizes = dict.fromkeys(activations, 1)
        arrows = _neuron_arrows(network)
    else:
        activations = {layer: activation.name for layer, activation in network.activations.items()}
        sizes = dict(network.dims)
        arrows = _layer_arrows(game, network)
        if network.input is not None:
            activations, sizes = {INPUT: "fixed input", **activations}, {INPUT: network.input.size, **sizes}
            arrows.append(_arrow(INPUT, network.players[0], network._input_weight, "one way"))
    places = _layout(network, list(activations), arrows, neurons, seed)
    couplings = sum(2 if arrow.kind == "alike" else 1 for arrow in arrows)
    return GameGraph(activations, sizes, tuple(arrows), places, _radius(places), couplings)


# Arrows


def _layer_arrows(game: Game, network: Any) -> list[Arrow]:
    weights = {(c.source, c.target): c.weight for c in network.couplings if isinstance(c, LinearCoupling)}
    sign = -1.0 if game.cost_name == "quadratic" else 1.0
    felt = _felt(game, weights)
    arrows = []
    for (source, target), weight in weights.items():
        kind = _kind(felt, source, target, _compared)
        if kind is not None:
            arrows.append(_arrow(source, target, weight, kind, sign))
    for coupling in network.couplings:
        if not isinstance(coupling, LinearCoupling):
            arrows += [Arrow(k, coupling.target, np.nan, "not linear", "one way") for k in coupling.sources]
    return arrows


def _felt(game: Game, weights: dict[Any, Any]) -> dict[Any, Any]:
    """Return the couplings that are stored as P_l W_lk P_k, P the projections on the directions of the domains."""
    if not isinstance(game, CoupledGame):
        return weights
    spaces = {
        block: DirectionSpace(game.own[block].activation.domain.affine_hull(n), n)
        for block, n in game.blocks.dims.items()
    }
    result = {}
    for (source, target), weight in weights.items():
        whole = source == target or (spaces[source].whole and spaces[target].whole)
        if whole or not weight.has_dense:
            result[source, target] = weight
        else:
            felt = np.asarray(spaces[source].project(spaces[target].project(weight.dense).T).T)
            rounding = ALIKE * float(np.abs(weight.dense).max(initial=0.0))
            result[source, target] = as_linear_map(np.where(np.abs(felt) > rounding, felt, 0.0), "a coupling")
    return result


def _neuron_arrows(network: Any) -> list[Arrow]:
    entries = {
        ((source, int(k)), (target, int(i))): float(weight.dense[i, k])
        for (target, source), weight in network.weights.items()
        for i, k in np.argwhere(weight.dense)
    }
    arrows = []
    for (source, target), value in entries.items():
        kind = _kind(entries, source, target, _compared_numbers)
        if kind is not None:
            arrows.append(Arrow(source, target, abs(value), _signed(value), kind))
    return arrows


def _kind(weights: dict[Any, Any], source: Node, target: Node, compared: Any) -> str | None:
    """Return the kind of an arrow; None for the second one of a pair that is drawn once."""
    weight, back = weights[source, target], weights.get((target, source))
    if source == target:
        return "itself"
    if _vanishes(weight):
        return "not felt"
    if back is None or _vanishes(back):
        return "one way"
    kind: str = compared(weight, back)
    order = list(weights)
    first = order.index((source, target)) < order.index((target, source))
    return kind if kind != "alike" or first else None


def _vanishes(weight: Any) -> bool:
    """Return whether a coupling that is stored is 0."""
    return not isinstance(weight, float) and weight.has_dense and not weight.dense.any()


def _arrow(source: Node, target: Node, weight: Any, kind: str, sign: float = 1.0) -> Arrow:
    if weight.shape == (1, 1):
        value = sign * float(weight.dense[0, 0])
        return Arrow(source, target, abs(value), _signed(value), kind)
    size = spectral_norm(weight).upper
    return Arrow(source, target, size, f"{size:.3g}" if np.isfinite(size) else "?", kind)


def _signed(value: float) -> str:
    return f"{value:.3g}".replace("-", "\N{MINUS SIGN}")


def _compared_numbers(weight: float, back: float) -> str:
    if abs(weight - back) <= ALIKE * (abs(weight) + abs(back)):
        return "alike"
    return "proportional" if weight * back > 0 else "different"


def _compared(weight: Any, back: Any) -> str:
    """Compare B_lk with B_kl' up to rounding; maps that are not stored are compared on three directions."""
    if weight.has_dense and back.has_dense:
        a, b = weight.dense, back.dense.T
    else:
        directions = np.random.default_rng(0).standard_normal((3, weight.shape[1]))
        a, b = weight.apply(directions), back.adjoint(directions)
    sizes = float(np.linalg.norm(a)), float(np.linalg.norm(b))
    if np.linalg.norm(a - b) <= ALIKE * sum(sizes):
        return "alike"
    balanced = min(sizes) > 0 and np.linalg.norm(a / sizes[0] - b / sizes[1]) <= 2 * ALIKE
    return "proportional" if balanced else "different"


# Places


def _layout(
    network: Any, nodes: Sequence[Node], arrows: Sequence[Arrow], neurons: bool, seed: int
) -> dict[Node, Array]:
    """Return places: rings and small games on a circle, chains on a line, others by their distances in the graph."""
    if len(nodes) == 1:
        return {nodes[0]: np.zeros(2)}
    if not neurons and network.input is not None:
        return {node: np.array([2.0 * i, 0.0]) for i, node in enumerate(nodes)}
    if not neurons and network.ring_order is not None:
        return _circle(network.ring_order)
    import networkx

    graph = networkx.Graph()
    graph.add_nodes_from(nodes)
    graph.add_edges_from((arrow.source, arrow.target) for arrow in arrows if arrow.source != arrow.target)
    if len(nodes) <= 5 or networkx.density(graph) > 0.6:
        return _circle(nodes)
    return _spread(networkx, graph, seed)


def _circle(nodes: Sequence[Node]) -> dict[Node, Array]:
    """Return the nodes two units apart, clockwise from the top; two nodes stand side by side."""
    radius = 1.0 if len(nodes) == 2 else 1 / np.sin(np.pi / len(nodes))
    first = np.pi if len(nodes) == 2 else np.pi / 2
    angles = first - 2 * np.pi * np.arange(len(nodes)) / len(nodes)
    return {node: radius * np.array([np.cos(a), np.sin(a)]) for node, a in zip(nodes, angles, strict=True)}


def _spread(networkx: Any, graph: Any, seed: int) -> dict[Node, Array]:
    """Return places by the graph's distances, turned so that the long side lies flat, no two nodes closer than 1."""
    if len(graph) <= 100 and networkx.is_connected(graph):
        found = networkx.kamada_kawai_layout(graph)
    else:
        found = networkx.spring_layout(graph, seed=seed)
    points = np.array([found[node] for node in graph])
    points -= points.mean(axis=0)
    _, lengths, axes = np.linalg.svd(points, full_matrices=False)
    points = points @ axes.T
    points[:, 1] *= max(1.0, 0.7 * lengths[0] / max(lengths[1], 1e-9))
    points *= 1.1 * np.sqrt(len(graph)) / max(float(np.ptp(points, axis=0).mean()), 1e-9)
    for _ in range(200):
        apart = points[:, None] - points[None, :]
        distance = np.linalg.norm(apart, axis=-1) + np.eye(len(points)) * 9
        close = np.maximum(1.0 - distance, 0.0)
        if not close.any():
            break
        points += 0.25 * np.einsum("ij,ijk->ik", close / np.maximum(distance, 1e-9), apart)
    return dict(zip(graph, points, strict=True))


def _radius(places: dict[Node, Array]) -> float:
    """Return the radius of a node, so that nodes never touch and an arrow has room between the closest two."""
    points = np.array(list(places.values()))
    if len(points) == 1:
        return 0.5
    distances = np.linalg.norm(points[:, None] - points[None, :], axis=-1)
    np.fill_diagonal(distances, np.inf)
    return 0.27 * float(distances.min())
