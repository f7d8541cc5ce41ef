"""Building networks, games and starting profiles from scenarios; every complaint is located at the key behind it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nngames.core.seeds import generator
from nngames.games import FiniteGame, Game, QuadraticGame
from nngames.games.finite.numbers import as_numbers
from nngames.networks import Network
from nngames.scenario.network_sections import (
    Adjacency,
    Chain,
    Finite,
    GeneratedNetwork,
    Graph,
    Layer,
    ListedGraph,
    Quadratic,
    ShippedGraph,
)
from nngames.scenario.parts import TOTAL_ENTRIES, Parts
from nngames.scenario.problems import Path

if TYPE_CHECKING:
    from nngames.scenario.scenario import Scenario

Array = NDArray[np.floating[Any]]


def build_network(scenario: Scenario) -> Network | None:
    """Return the scenario's network; None where it gives a game.

    Raises
    ------
    ScenarioError
        One line for every array that cannot be read and every shape that does not fit.
    """
    given = scenario.section.network
    if given is None:
        return None
    parts = Parts(scenario)
    if isinstance(given, Graph):
        return _graph(given, parts)
    if isinstance(given, Adjacency):
        return _adjacency(given, parts)
    if isinstance(given, GeneratedNetwork):
        return _generated(given, parts, scenario.section.seed)
    return _layered(given, parts)


def build_game(scenario: Scenario) -> Any:
    """Return the scenario's game, a Game or a FiniteGame.

    Raises
    ------
    ScenarioError
        As ``build_network``, or if the players or the cost do not fit the network.
    """
    section = scenario.section
    if scenario.training is not None:
        return scenario.training.game
    if section.game is not None:
        if isinstance(section.game, Finite):
            return _finite(section.game, Parts(scenario))
        return _quadratic(section.game, Parts(scenario))
    network = scenario.network
    assert network is not None  # noqa: S101 - the schema asks for a network or a game
    key = "cost" if "cost" in section.model_fields_set else "players"
    place = key if key in section.model_fields_set else "network"
    return Parts(scenario).built((place,), lambda: network.game(players=section.players, cost=section.cost))


def build_start(scenario: Scenario) -> Array | None:
    """Return the profile that the scenario's solvers start from; None for zero.

    Raises
    ------
    ScenarioError
        If it does not fit the game.
    """
    solve, training = scenario.section.solve, scenario.training
    said = solve is not None and "start" in solve.model_fields_set
    if training is not None and (solve is None or not said or solve.start == "random"):
        drawn = training.drawn_start(scenario.seed)
        if drawn is not None:
            return drawn
    if solve is None or solve.start == "zero":
        return None
    parts, path = Parts(scenario), ("solve", "start")
    space = scenario.game.space
    if solve.start == "random":
        return scenario.source.generator(path).standard_normal(space.size)
    profile: Any
    if isinstance(solve.start, dict):
        profile = {player: parts.vector(vector, (*path, player)) for player, vector in solve.start.items()}
    else:
        profile = parts.vector(solve.start, path)
    parts.finish()
    return parts.built(path, lambda: space.array(profile, what="start"))


def _layered(given: Any, parts: Parts) -> Network:
    layers: list[Layer] = given.layers
    paths: list[Path] = [("network", "layers", i) for i in range(len(layers))]
    names = [i + 1 if layer.name is None else layer.name for i, layer in enumerate(layers)]
    weights = [parts.matrix(layer.weight, (*path, "weight")) for layer, path in zip(layers, paths, strict=True)]
    sizes = [None if weight is None else weight.shape[0] for weight in weights]
    before: list[tuple[Any, int | None]] = [(names[-1], sizes[-1]), *zip(names, sizes, strict=True)]
    fixed = None
    if isinstance(given, Chain):
        fixed = parts.vector(given.input, ("network", "input"))
        before[0] = ("the input", None if fixed is None else fixed.size)
    biases = []
    for i, (layer, path) in enumerate(zip(layers, paths, strict=True)):
        source, columns = before[i]
        parts.check_shape(
            weights[i], f"the weight of the edge {source} -> {names[i]}", (sizes[i], columns), (*path, "weight")
        )
        biases.append(parts.bias(layer.bias, sizes[i], names[i], (*path, "bias")))
        parts.check_size(layer.activation.entry, sizes[i], (*path, "activation"))
    parts.finish()
    activations = [layer.activation.entry for layer in layers]
    data: dict[str, Any] = {"weights": weights, "biases": biases, "activations": activations, "names": names}
    if fixed is not None:
        return parts.built(("network",), lambda: Network.chain(**data, input=fixed))
    return parts.built(("network",), lambda: Network.ring(**data))


def _graph(given: Graph, parts: Parts) -> Network:
    sizes, biases, activations = {}, {}, {}
    for player, node in given.players.items():
        path: Path = ("network", "players", player)
        bias = parts.vector(node.bias, (*path, "bias"))
        size = node.size or (1 if bias is None else bias.size)
        sizes[player] = size
        biases[player] = parts.zeros(size, (*path, "size")) if bias is None else bias
        if bias is not None and bias.size != size:
            parts.report((*path, "bias"), f"the bias of {player} has shape {bias.shape}; expected ({size},)")
        activations[player] = node.activation.entry
        parts.check_size(node.activation.entry, size, (*path, "activation"))
    weights = {}
    for i, edge in enumerate(given.edges):
        path = ("network", "edges", i, "weight")
        weights[edge.target, edge.source] = weight = parts.matrix(edge.weight, path)
        shape = (sizes[edge.target], sizes[edge.source])
        parts.check_shape(weight, f"the weight of the edge {edge.source} -> {edge.target}", shape, path)
    parts.finish()
    data: Any = (weights, biases, activations)
    return parts.built(("network",), lambda: Network.graph(*data))


def _adjacency(given: Adjacency, parts: Parts) -> Network:
    if isinstance(given.graph, ListedGraph):
        nodes, edges = _listed(given, given.graph, parts)
    else:
        nodes, edges = _shipped(given, given.graph, parts)
    bias = parts.vector(given.bias, ("network", "bias"))
    if bias is None:
        bias = np.zeros(len(nodes))
    elif isinstance(given.bias, float):
        bias = np.full(len(nodes), given.bias)
    elif bias.size != len(nodes):
        parts.report(("network", "bias"), f"has {bias.size} entries; the graph has {len(nodes)} nodes")
    parts.check_size(given.activation.entry, 1, ("network", "activation"))
    parts.finish()
    weights: dict[tuple[Any, Any], float] = {}
    for source, target, weight in edges:
        weights[target, source] = given.coupling * weight
        if not given.directed:
            weights[source, target] = given.coupling * weight
    biases = {node: bias[i : i + 1] for i, node in enumerate(nodes)}
    return parts.built(("network",), lambda: Network.graph(weights, biases, given.activation.entry))


def _listed(given: Adjacency, graph: ListedGraph, parts: Parts) -> tuple[list[Any], list[tuple[Any, Any, float]]]:
    """Return the nodes, in the order in which they appear, and the edges."""
    edges: list[tuple[Any, Any, float]] = []
    places: dict[frozenset[Any] | tuple[Any, Any], int] = {}
    for i, edge in enumerate(graph.edges):
        path: Path = ("network", "graph", "edges", i)
        if given.weighted and len(edge) == 2:
            parts.report(path, "has no weight; weighted: true needs [player, other, weight]")
        elif not given.weighted and len(edge) == 3:
            parts.report(path, "has a weight, which counts only with weighted: true")
        pair = (edge[0], edge[1]) if given.directed else frozenset(edge[:2])
        if pair in places:
            parts.report(path, f"the edge is given twice, first in edges[{places[pair]}]")
        places.setdefault(pair, i)
        edges.append((edge[0], edge[1], float(edge[2]) if len(edge) == 3 else 1.0))
    return list(dict.fromkeys(node for edge in edges for node in edge[:2])), edges


def _shipped(given: Adjacency, shipped: ShippedGraph, parts: Parts) -> tuple[list[Any], list[tuple[Any, Any, float]]]:
    import networkx

    graph = getattr(networkx, f"{shipped.networkx}_graph")()
    unweighted = any("weight" not in data for _, _, data in graph.edges(data=True))
    if given.weighted and unweighted:
        parts.report(("network", "weighted"), f"the graph {shipped.networkx} has no weights")
    edges = [(a, b, float(data.get("weight", 1.0)) if given.weighted else 1.0) for a, b, data in graph.edges(data=True)]
    return list(graph.nodes), edges


def _generated(given: GeneratedNetwork, parts: Parts, seed: int) -> Network:
    path, family = ("network", "generator"), given.generator.entry
    if family.entries > TOTAL_ENTRIES:
        parts.report(path, f"would have {family.entries} entries; at most {TOTAL_ENTRIES} are allowed")
    parts.finish()
    return parts.built(path, lambda: family.build(generator(seed)).network)


def _finite(given: Finite, parts: Parts) -> FiniteGame:
    if given.file is not None:
        name = given.file
        return parts.built(("game", "file"), lambda: FiniteGame.from_nfg_content(parts.content(name), name))
    key = "costs" if given.costs is not None else "payoffs"
    table = given.costs if given.costs is not None else given.payoffs
    assert table is not None  # noqa: S101 - the schema asks for one of the three
    shapes: dict[Any, Any] = {}
    for player, own in table.items():
        shapes[player] = parts.tried(("game", key, player), partial(_shape, own, key))
    parts.finish()
    first = next(iter(shapes.values()), ())
    for player, shape in shapes.items():
        if shape != first:
            parts.report(("game", key, player), f"has the shape {shape}; the first player's is {first}")
    parts.finish()
    names: dict[str, Any] = {"players": list(table)}
    if given.strategies is not None:
        names["strategies"] = [given.strategies[player] for player in table]
    names[key] = list(table.values())
    return parts.built(("game",), lambda: FiniteGame(**names))


def _shape(given: Any, what: str) -> tuple[int, ...]:
    return as_numbers(given, what).values.shape


def _quadratic(given: Quadratic, parts: Parts) -> Game:
    quadratic: dict[Any, Any] = {}
    linear: dict[Any, Any] = {}
    penalties: dict[Any, Any] = {}
    for player, own in given.players.items():
        path: Path = ("game", "players", player)
        quadratic[player] = parts.matrix(own.quadratic, (*path, "quadratic"))
        linear[player] = parts.vector(own.linear, (*path, "linear"))
        penalties[player] = own.penalty.entry if own.penalty else None
        _check_player(player, quadratic[player], linear[player], penalties[player], path, parts)
    coupling = {}
    for i, term in enumerate(given.coupling):
        where: Path = ("game", "coupling", i)
        coupling[term.player, term.other] = matrix = parts.matrix(term.matrix, (*where, "matrix"))
        if term.player == term.other:
            parts.report(where, "couples a player with itself; its own curvature belongs into quadratic")
        elif quadratic[term.player] is not None and quadratic[term.other] is not None:
            shape = (len(quadratic[term.player]), len(quadratic[term.other]))
            parts.check_shape(matrix, f"the coupling of {term.player} with {term.other}", shape, (*where, "matrix"))
    parts.finish()
    linear, penalties = _present(linear), _present(penalties)
    return parts.built(("game",), lambda: QuadraticGame(quadratic, coupling, linear, penalties))


def _check_player(player: Any, quadratic: Any, linear: Any, penalty: Any, path: Path, parts: Parts) -> None:
    """Build the game of one player from its data, one piece after the other, to see which piece is at fault."""
    if quadratic is None:
        return
    alone = {player: quadratic}
    if parts.tried((*path, "quadratic"), lambda: QuadraticGame(alone)) is None:
        return
    if linear is not None:
        parts.tried((*path, "linear"), lambda: QuadraticGame(alone, linear={player: linear}))
    if penalty is not None:
        parts.tried((*path, "penalty"), lambda: QuadraticGame(alone, penalties={player: penalty}))


def _present(values: Mapping[Any, Any]) -> dict[Any, Any]:
    return {key: value for key, value in values.items() if value is not None}
