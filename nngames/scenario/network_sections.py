"""The ``network`` and ``game`` sections of a scenario: their keys, choices and forms."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, WrapValidator, model_validator

from nngames.core.errors import suggestion
from nngames.scenario import registries
from nngames.scenario.array_files import ARRAY_BYTES
from nngames.scenario.arrays import Matrix, Vector
from nngames.scenario.choices import Choice, Chosen
from nngames.scenario.problems import shown
from nngames.scenario.sections import (
    MOST_FINDINGS,
    Count,
    Finding,
    Number,
    PlayerName,
    Section,
    is_number,
    wrong,
    wrong_inside,
)

ActivationChoice = Annotated[Chosen, Choice(registries.activations)]
GeneratorChoice = Annotated[Chosen, Choice(registries.generators)]
PenaltyChoice = Annotated[Chosen, Choice(registries.activations, only=registries.sets, kind="set")]

#: The graphs that networkx ships without a download.
SHIPPED_GRAPHS = (
    "davis_southern_women",
    "florentine_families",
    "karate_club",
    "krackhardt_kite",
    "les_miserables",
    "petersen",
)


class Layer(Section):
    """A layer of a ring, a chain or a recurrent network."""

    name: PlayerName | None = Field(default=None, description="The player's name; by default its place, from 1 on.")
    activation: ActivationChoice
    weight: Matrix = Field(description="The weight on the layer before; a ring's first layer listens to the last.")
    bias: Vector | None = Field(default=None, description="By default zero.")


class Node(Section):
    """A player of a graph."""

    size: Annotated[Count, Field(le=ARRAY_BYTES // 8)] | None = Field(
        default=None, description="The size of its action; by default the bias's, else 1."
    )
    activation: ActivationChoice
    bias: Vector | None = Field(default=None, description="By default zero.")


class Edge(Section):
    """A coupling of a graph: ``to`` listens to ``from``."""

    source: PlayerName = Field(alias="from")
    target: PlayerName = Field(alias="to")
    weight: Matrix


class _Layered(Section):
    kind: Any
    layers: list[Layer] = Field(min_length=1)

    @model_validator(mode="after")
    def _distinct_names(self) -> Any:
        seen: dict[str, int] = {}
        findings = []
        for i, layer in enumerate(self.layers):
            name = str(i + 1 if layer.name is None else layer.name)
            if name in seen:
                findings.append((("layers", i), f"the name {name!r} is taken by layers[{seen[name]}]"))
            seen.setdefault(name, i)
        if findings:
            raise wrong_inside(findings)
        return self


class Ring(_Layered):
    """Layers in a closed ring: each listens to the one before it, the first to the last."""

    kind: Literal["ring"]


class Chain(_Layered):
    """Layers in an open chain behind a fixed input."""

    kind: Literal["chain"]
    input: Vector


class Recurrent(_Layered):
    """One layer that feeds itself."""

    kind: Literal["recurrent"]
    layers: list[Layer] = Field(min_length=1, max_length=1)


class Graph(Section):
    """Players on a directed graph."""

    kind: Literal["graph"]
    players: dict[PlayerName, Node] = Field(min_length=1)
    edges: list[Edge] = Field(default=[])

    @model_validator(mode="after")
    def _known_players(self) -> Any:
        pairs = [(("edges", i), edge.source, "from", edge.target, "to") for i, edge in enumerate(self.edges)]
        check_pairs(pairs, list(self.players), "edge")
        return self


class ShippedGraph(Section):
    """A graph that networkx ships."""

    networkx: Literal[SHIPPED_GRAPHS]  # type: ignore[valid-type]


def _edge(value: Any, handler: Any) -> Any:
    form = "an edge [player, other] or [player, other, weight]"
    if not isinstance(value, list) or len(value) not in (2, 3):
        raise wrong(f"must be {form}; got {shown(value)}")
    for i, player in enumerate(value[:2]):
        if isinstance(player, bool) or not isinstance(player, str | int):
            raise wrong_inside([((i,), f"must be a player's name (text or a whole number); got {shown(player)}")])
    if len(value) == 3 and (not is_number(value[2]) or value[2] != value[2] or abs(value[2]) == float("inf")):
        raise wrong_inside([((2,), f"must be a finite number, the edge's weight; got {shown(value[2])}")])
    return tuple(value)


class ListedGraph(Section):
    """A graph as the list of its edges."""

    edges: list[Annotated[list[Any], WrapValidator(_edge)]] = Field(min_length=1)


def _graph(value: Any, handler: Any) -> Any:
    if isinstance(value, dict) and "edges" in value:
        return ListedGraph.model_validate(value)
    if isinstance(value, dict) and "networkx" in value:
        return ShippedGraph.model_validate(value)
    raise wrong(f"must be a mapping with networkx (the name of a graph) or edges (a list); got {shown(value)}")


class Adjacency(Section):
    """A graph whose nodes are players with one number each, all with the same activation."""

    kind: Literal["adjacency"]
    graph: Annotated[ShippedGraph | ListedGraph, WrapValidator(_graph)]
    directed: bool = Field(default=False, description="Whether an edge [a, b] only lets b listen to a.")
    weighted: bool = Field(default=False, description="Whether a coupling is multiplied by its edge's weight.")
    coupling: Number = Field(description="The weight of a coupling.")
    activation: ActivationChoice
    bias: Vector | None = Field(default=None, description="A number for all nodes, or one for each; by default zero.")


class GeneratedNetwork(Section):
    """A network of a family, drawn from the scenario's seed."""

    kind: Literal["generated"]
    generator: GeneratorChoice


NETWORKS: dict[str, type[Section]] = {
    "ring": Ring,
    "chain": Chain,
    "recurrent": Recurrent,
    "graph": Graph,
    "adjacency": Adjacency,
    "generated": GeneratedNetwork,
}


class QuadraticPlayer(Section):
    """A player's own data in a quadratic game: z'Qz/2 + z'q + f(z)."""

    quadratic: Matrix = Field(description="Q, symmetric and positive definite.")
    linear: Vector | None = Field(default=None, description="q; by default zero.")
    penalty: PenaltyChoice | None = Field(default=None, description="f, the indicator of a set; by default none.")


class QuadraticCoupling(Section):
    """The term z'Rx in the cost of ``player``, with x the action of ``other``."""

    player: PlayerName
    other: PlayerName
    matrix: Matrix


class Quadratic(Section):
    """A game with quadratic costs and no network."""

    kind: Literal["quadratic"]
    players: dict[PlayerName, QuadraticPlayer] = Field(min_length=1)
    coupling: list[QuadraticCoupling] = Field(default=[])

    @model_validator(mode="after")
    def _known_players(self) -> Any:
        pairs = [(("coupling", i), c.player, "player", c.other, "other") for i, c in enumerate(self.coupling)]
        check_pairs(pairs, list(self.players), "coupling")
        return self


class Finite(Section):
    """A game with finitely many strategies: one player's table of costs or payoffs each, or a file of Gambit's."""

    kind: Literal["finite"]
    file: str | None = Field(default=None, description="A .nfg file in the scenario's folder; it holds payoffs.")
    costs: dict[PlayerName, Any] | None = Field(
        default=None,
        description="Player -> nested lists: an entry per profile, axes in the players' order.",
    )
    payoffs: dict[PlayerName, Any] | None = Field(default=None, description="Minus the costs, instead of them.")
    strategies: dict[PlayerName, list[str]] | None = Field(
        default=None, description="Player -> its strategies' names; by default 1, 2, ..."
    )

    @model_validator(mode="after")
    def _one_source(self) -> Any:
        given = [key for key in ("file", "costs", "payoffs") if getattr(self, key) is not None]
        if len(given) != 1:
            raise wrong(f"needs a file, costs or payoffs, one of the three; got {', '.join(given) or 'none'}")
        table = self.costs if self.costs is not None else self.payoffs
        if self.strategies is not None:
            if table is None:
                raise wrong_inside([(("strategies",), "the file names the strategies")])
            unknown = [player for player in self.strategies if player not in table]
            missing = [player for player in table if player not in self.strategies]
            if unknown or missing:
                player = shown((unknown or missing)[0])
                problem = f"{player} is not a player" if unknown else f"has none of player {player}"
                raise wrong_inside([(("strategies",), problem)])
        return self


GAMES: dict[str, type[Section]] = {"quadratic": Quadratic, "finite": Finite}


def by_kind(forms: dict[str, type[Section]]) -> Any:
    """Return the validator that reads a mapping by its ``kind``; the others' errors stay away."""

    def dispatch(value: Any, handler: Any) -> Any:
        kinds = tuple(forms)
        if not isinstance(value, dict):
            raise wrong(f"must be a mapping with a kind ({', '.join(kinds)}); got {shown(value)}")
        if "kind" not in value:
            raise wrong_inside([(("kind",), f"is missing; valid: {', '.join(kinds)}")])
        kind = value["kind"]
        if not isinstance(kind, str) or kind not in forms:
            raise wrong_inside([(("kind",), f"unknown value {shown(kind)}; {suggestion(str(kind), kinds)}")])
        return forms[kind].model_validate(value)

    return WrapValidator(dispatch)


def check_pairs(pairs: list[Any], players: list[Any], what: str) -> None:
    """Raise an error at every pair that names an unknown player or is given twice."""
    findings: list[Finding] = []
    seen: dict[Any, int] = {}
    known = set(players)
    for i, (place, first, first_key, second, second_key) in enumerate(pairs):
        if len(findings) >= MOST_FINDINGS:
            break
        for player, key in ((first, first_key), (second, second_key)):
            if player not in known:
                hint = suggestion(str(player), [str(p) for p in players[:20]])
                findings.append(((*place, key), f"{shown(player)} is not a player; {hint}"))
        if (first, second) in seen:
            findings.append((place, f"the {what} is given twice, first in {place[0]}[{seen[first, second]}]"))
        seen.setdefault((first, second), i)
    if findings:
        raise wrong_inside(findings)


NetworkSection = Annotated[Ring | Chain | Recurrent | Graph | Adjacency | GeneratedNetwork, by_kind(NETWORKS)]
GameSection = Annotated[Quadratic | Finite, by_kind(GAMES)]

__all__ = [
    "Adjacency",
    "Chain",
    "Finite",
    "GameSection",
    "GeneratedNetwork",
    "Graph",
    "ListedGraph",
    "NetworkSection",
    "Quadratic",
    "Recurrent",
    "Ring",
    "ShippedGraph",
]
