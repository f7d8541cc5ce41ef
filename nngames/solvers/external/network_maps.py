"""A network's map written in another array library: composite on a ring, joint elsewhere, as nngames' own views."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from nngames.core.operators import DenseMap, LinearMap, SparseMap
from nngames.core.profiles import Player
from nngames.games import Game, NetworkGame
from nngames.networks import BilinearCoupling, LinearCoupling, Network
from nngames.networks.assembly import activation_runs, assembled_weight
from nngames.networks.couplings import Coupling
from nngames.solvers.external.formulas import FORMULAS, Library, response

#: (x, data) -> the map's value, in the library's arrays; the data are the weights and biases.
Map = Callable[[Any, Any], Any]


def untranslatable(game: Game) -> str | None:
    """Return why the game's map has no translation, or None."""
    if not isinstance(game, NetworkGame):
        return "only the map of a network is translated into other libraries"
    network = game.network
    for player, activation in network.activations.items():
        if activation.name not in FORMULAS:
            return f"player {player}: the activation {activation.name!r} has no translation into other libraries"
    for coupling in network.couplings:
        linear = isinstance(coupling, LinearCoupling) and isinstance(coupling.weight, DenseMap | SparseMap)
        if not (linear or isinstance(coupling, BilinearCoupling)):
            sources = ", ".join(map(str, coupling.sources))
            return f"the coupling {sources} -> {coupling.target} is matrix-free: it has no translation"
    return None


def translated(network: Network, library: Library, composite: bool = True) -> tuple[Map, Any]:
    """Return the map of the game's own view and its data, both in the library.

    The data are an argument of the map, so that a compiler need not take them for constants. Where ``composite`` is
    false, the map is the joint one on a ring too.
    """
    if composite and network.ring_order is not None:
        return _composite(network, library)
    return _joint(network, library)


def _composite(network: Network, library: Library) -> tuple[Map, Any]:
    incoming = {coupling.target: coupling for coupling in network.couplings}
    order = network.composite.order
    terms = [_term(incoming[player], library) for player in order]
    responses = [response(library, network.activations[player]) for player in order]
    biases = [_numbers(network.effective_bias(player), library) for player in order]

    def composite(x: Any, data: Any) -> Any:
        for apply, respond, (weight, bias) in zip(applications, responses, data, strict=True):
            x = respond(apply(weight, [x]) + bias)  # type: ignore[misc]
        return x

    applications = [apply for _, apply in terms]
    return composite, [(weight, bias) for (weight, _), bias in zip(terms, biases, strict=True)]


def _joint(network: Network, library: Library) -> tuple[Map, Any]:
    runs = [(where, response(library, activation)) for where, activation in activation_runs(network)]
    bias = _numbers(np.concatenate([network.effective_bias(player) for player in network.players]), library)
    if network.joint.assembled:
        matrix, product = _matrix(assembled_weight(network), library)

        def assembled(x: Any, data: Any) -> Any:
            weight, shift = data
            return _respond(library, runs, product(weight, x) + shift)

        return assembled, (matrix, bias)
    players, slices = tuple(network.players), network.space.slices
    by_target: dict[Player, list[Coupling]] = {player: [] for player in players}
    for coupling in network.couplings:
        by_target[coupling.target].append(coupling)
    terms = {player: [_term(c, library) for c in by_target[player]] for player in players}
    places = {player: [[slices[s] for s in c.sources] for c in by_target[player]] for player in players}
    applications = {player: [apply for _, apply in terms[player]] for player in players}

    def joint(x: Any, data: Any) -> Any:
        weights, shift = data
        parts = []
        for player, held in zip(players, weights, strict=True):
            total = shift[slices[player]]
            for apply, weight, sources in zip(applications[player], held, places[player], strict=True):
                total = total + apply(weight, [x[where] for where in sources])
            parts.append(total)
        return _respond(library, runs, library.concatenate(parts))

    return joint, ([[weight for weight, _ in terms[player]] for player in players], bias)


def _respond(library: Library, runs: Any, v: Any) -> Any:
    if len(runs) == 1:
        return runs[0][1](v)
    return library.concatenate([respond(v[where]) for where, respond in runs])


def _term(coupling: Coupling, library: Library) -> tuple[Any, Callable[[Any, Any], Any]]:
    """Return a coupling's data and (data, the sources' actions) -> its term."""
    if isinstance(coupling, BilinearCoupling):
        return _numbers(coupling.tensor, library), lambda b, xs: library.einsum("ijk,j,k->i", b, xs[0], xs[1])
    data, product = _matrix(coupling.weight, library)  # type: ignore[attr-defined]
    return data, lambda w, xs: product(w, xs[0])


def _matrix(weight: LinearMap, library: Library) -> tuple[Any, Callable[[Any, Any], Any]]:
    if isinstance(weight, SparseMap):
        return library.sparse(weight.matrix.astype(np.float64))
    return _numbers(weight.matrix, library), lambda w, x: w @ x  # type: ignore[attr-defined]


def _numbers(values: Any, library: Library) -> Any:
    return library.asarray(np.asarray(values, dtype=np.float64))
