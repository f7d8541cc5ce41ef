"""Explanations: the players of a game, their action spaces, costs and couplings, in readable text and in LaTeX.

Long games are summarised: the first players are written out, the others counted. How formulas are spelt is in
``nngames.games.notation``, how a player's parts are worded in ``nngames.games.wording``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nngames.core.bounds import symmetric_extremes
from nngames.core.profiles import Array, Player
from nngames.games.network_game import ProximalGame
from nngames.games.notation import Notation, Section, notation
from nngames.games.quadratic_game import QuadraticGame
from nngames.games.tracking_game import TrackingGame
from nngames.games.wording import (
    SHOWN_PLAYERS,
    SHOWN_TERMS,
    Entries,
    action_entry,
    added_terms,
    answer_words,
    count_words,
    drive_term,
    form_term,
    in_numbers,
    listening_entries,
    penalty_entry,
    penalty_term,
    response_term,
    shape_words,
    weight_words,
)
from nngames.networks import Network


def explain_proximal(game: ProximalGame, format: str) -> str:
    """Return the explanation of a network's game with the proximal cost.

    Parameters
    ----------
    game : ProximalGame
    format : {"text", "latex"}

    Raises
    ------
    OptionError
        If the format is neither.
    """
    write = notation(format)
    v, r, f = (write.indexed(symbol, "l") for symbol in "vrf")
    cost = f"{write.indexed('J', 'l')}(z; x) = {f}(z) + {write.half(write.square(f'z - {v}(x)'))}"
    general = (
        f"Player {write.math('l')} chooses {write.math('z')} and pays {write.math(cost)}; "
        f"the prox of {write.math(f)} is {write.math(r)}, so its best response is {write.math(f'{r}({v}(x))')}."
    )
    loops = "A player that feeds itself has that part of its pre-activation in its own cost, as written out below."
    opening = [_who(write, game)]
    if set(game.blocks.players) - set(game.self_weights):
        opening.append(general)
    if game.self_weights:
        opening.append(loops)
    opening += ["The equilibria are the network's fixed points.", *_structure(write, game.network)]
    sections = [_proximal_section(write, game, block) for block in game.blocks.players[:SHOWN_PLAYERS]]
    title = write.prose(f"The proximal game of {_shape(game.network)}")
    return write.page(title, opening, [*sections, *_rest(write, game.network)])


def explain_tracking(game: TrackingGame, format: str) -> str:
    """Return the explanation of a network's game with the tracking cost; see ``explain_proximal``."""
    write = notation(format)
    answer = response_term(write, "l")
    cost = f"{write.indexed('J', 'l')}(z; x) = {write.half(write.square(f'z - {answer}'))}"
    opening = [
        _who(write, game),
        f"Player {write.math('l')} chooses {write.math('z')} and pays {write.math(cost)}: it tracks what the network "
        "answers, which is its best response.",
        "The equilibria are the network's fixed points.",
        *_structure(write, game.network),
    ]
    sections = [_tracking_section(write, game, block) for block in game.network.players[:SHOWN_PLAYERS]]
    title = write.prose(f"The tracking game of {_shape(game.network)}")
    return write.page(title, opening, [*sections, *_rest(write, game.network)])


def explain_quadratic(game: QuadraticGame, format: str) -> str:
    """Return the explanation of a quadratic game; see ``explain_proximal``."""
    write = notation(format)
    inner = write.sum_over("k", f"{write.indexed('R', 'l', 'k')} {write.indexed('x', 'k')}")
    own = write.half(form_term(write, write.indexed("Q", "l"), 2))
    linear = write.product("z", f"{inner} + {write.indexed('q', 'l')}", 2)
    cost = f"{write.indexed('J', 'l')}(z; x) = {own} + {linear} + {write.indexed('f', 'l')}(z)"
    opening = [
        _who(write, game),
        f"Player {write.math('l')} chooses {write.math('z')} and pays {write.math(cost)}.",
    ]
    sections = [_quadratic_section(write, game, player) for player in game.players[:SHOWN_PLAYERS]]
    title = f"A quadratic game of {count_words(len(game.players), 'player')}"
    return write.page(title, opening, [*sections, *_rest(write, game.network)])


# Openings


def _who(write: Notation, game: Any) -> str:
    if game.cost_name == "quadratic":
        who = count_words(len(game.players), "player")
    elif game.neurons:
        who = f"{count_words(len(game.players), 'neuron')} of {count_words(len(game.network.players), 'layer')}"
    else:
        who = count_words(len(game.players), "layer")
    names = [write.indexed("x", player) for player in game.players]
    if len(names) > SHOWN_TERMS:
        names = [*names[:2], write.dots, names[-1]]
    profile = write.math(f"x = ({', '.join(names)}){write.element}{write.space(game.size)}")
    return f"{who if game.cost_name == 'quadratic' else f'Players: {who}'}. A profile is {profile}."


def _shape(network: Network) -> str:
    if network.input is not None:
        return f"an open chain of {count_words(len(network.players), 'layer')}"
    if network.ring_order is not None:
        return "one recurrent layer" if len(network.players) == 1 else f"a ring of {len(network.players)} layers"
    return (
        f"a graph of {count_words(len(network.players), 'layer')} and {count_words(len(network.couplings), 'coupling')}"
    )


def _structure(write: Notation, network: Network) -> list[str]:
    if network.input is not None:
        weight: Any = network._input_weight
        first, values = network.players[0], [write.number(v) for v in network.input[:SHOWN_TERMS].tolist()]
        shown = ", ".join([*values, *[write.dots] * (network.input.size > SHOWN_TERMS)])
        given = f"{write.indexed('x', 0)} = ({shown}){write.element}{write.space(network.input.size)}"
        heard = f"{write.math(write.indexed('W', first, 0))} ({shape_words(write, weight)})"
        sentence = (
            f"The input is fixed: {write.math(given)}; player {write.prose(str(first))} hears it through {heard}."
        )
        return [sentence, _passed_on(write, network.players)]
    if network.ring_order is not None and len(network.players) > 1:
        return [_passed_on(write, (network.ring_order[-1], *network.ring_order))]
    return []


def _passed_on(write: Notation, order: Sequence[Any]) -> str:
    names = [write.prose(str(player)) for player in order]
    if len(names) > SHOWN_PLAYERS:
        names = [*names[: SHOWN_PLAYERS - 2], write.math(write.dots), names[-1]]
    return "The layers pass on: " + write.math(write.arrow).join(names) + "."


# One player, or one layer of neurons


def _proximal_section(write: Notation, game: ProximalGame, block: Player) -> Section:
    if game.neurons:
        return _neuron_section(write, game, block)
    n, activation = game.blocks.dims[block], game.network.activations[block]
    penalty = penalty_term(write, activation, block)
    if block in game.self_weights:
        u, w = write.indexed("u", block), write.indexed("W", block, block)
        metric = f"({'1' if n == 1 else 'I'} - {w})"
        cost = f"{penalty}{write.half(form_term(write, metric, n))} - {write.product('z', f'{u}(x)', n)}"
        inner = f"{u}(x) = {drive_term(write, game.network, block)}"
    else:
        v = write.indexed("v", block)
        cost = f"{penalty}{write.half(write.square(f'z - {v}(x)', n))}"
        inner = f"{v}(x) = {drive_term(write, game.network, block)}"
    entries = [
        action_entry(write, activation, n),
        ("cost", write.math(f"{write.indexed('J', block)}(z; x) = {cost}")),
        ("with", write.math(inner)),
        penalty_entry(write, activation, block, n),
        *listening_entries(write, game.network, block),
    ]
    if block in game.self_weights:
        entries.append(("self-loop", _self_loop(write, game, block)))
    return f"Player {write.prose(str(block))}", entries


def _self_loop(write: Notation, game: ProximalGame, block: Player) -> str:
    weight = game.network.weights[block, block]
    modulus = write.math(write.number(game.own[block].modulus))
    return f"{weight_words(write, weight, block, block)}, in the own cost: strongly convex with modulus {modulus}"


def _tracking_section(write: Notation, game: TrackingGame, block: Player) -> Section:
    if game.neurons:
        return _neuron_section(write, game, block)
    n = game.network.dims[block]
    cost = write.half(write.square(f"z - {response_term(write, block)}", n))
    entries = [
        ("action", write.math(f"z{write.element}{write.space(n)}")),
        ("cost", write.math(f"{write.indexed('J', block)}(z; x) = {cost}")),
        ("with", write.math(f"{write.indexed('v', block)}(x) = {drive_term(write, game.network, block)}")),
        ("answer", answer_words(write, game.network.activations[block], block)),
        *listening_entries(write, game.network, block),
    ]
    return f"Player {write.prose(str(block))}", entries


def _neuron_section(write: Notation, game: ProximalGame | TrackingGame, block: Player) -> Section:
    """Return the section of a layer whose coordinates are the players."""
    network, n = game.network, game.network.dims[block]
    activation, loops = network.activations[block], getattr(game, "self_weights", {}).get(block)
    v, loop = write.indexed("v", "i"), write.indexed("w", "ii")
    if game.cost_name == "tracking":
        action = ("action", f"{write.math(f'z{write.element}{write.space(1)}')} for each neuron")
        cost = write.half(write.square(f"z - {write.indexed('r', block)}({v}(x))", 1))
        what = ("answer", answer_words(write, activation, block))
    else:
        action, what = action_entry(write, activation, 1, each=True), penalty_entry(write, activation, block, 1)
        if loops is None:
            own = write.half(write.square(f"z - {v}(x)", 1))
        else:
            curvature = write.half(f"(1 - {loop}) {write.square('z', 1)}")
            own = f"{curvature} - z ({v}(x) - {loop} {write.indexed('x', 'i')})"
        cost = f"{penalty_term(write, activation, block)}{own}"
    inner = f"{v}(x) = ({drive_term(write, network, block, own=True)})_i"
    cost = write.math(f"{write.indexed('J', 'i')}(z; x) = {cost}")
    entries = [
        action,
        ("cost", f"{cost} for neuron {write.math('i')}"),
        ("with", write.math(inner)),
        what,
        *listening_entries(write, network, block, own=True),
        *_neurons(write, network, block, loops),
    ]
    heading = f"Players {block}[0] to {block}[{n - 1}]: the neurons" if n > 1 else f"Player {block}[0]: the neuron"
    return write.prose(f"{heading} of layer {block}"), entries


def _neurons(write: Notation, network: Network, block: Player, loops: Array | None) -> Entries:
    """Return one entry for each of the first neurons: its bias, its self-loop, and whom it listens to."""
    if not network.linear:
        return []
    n, entries = network.dims[block], []
    weights = {source: weight for (target, source), weight in network.weights.items() if target == block}
    bias = network.effective_bias(block)
    for i in range(min(n, SHOWN_PLAYERS)):
        unit = np.zeros(n)
        unit[i] = 1.0
        row = {f"{source}[{k}]": w for source, weight in weights.items() for k, w in enumerate(weight.adjoint(unit))}
        heard = {name: float(w) for name, w in row.items() if w and name != f"{block}[{i}]"}
        words = f"bias {write.math(write.number(float(bias[i])))}"
        if loops is not None:
            words += f", self-loop {write.math(write.number(float(loops[i])))}"
        entries.append((write.prose(f"{block}[{i}]"), f"{words}, listens to {_heard(write, heard)}"))
    if n > SHOWN_PLAYERS:
        entries.append((write.math(write.dots), f"and {count_words(n - SHOWN_PLAYERS, 'more neuron')}"))
    return entries


def _heard(write: Notation, row: Mapping[str, float]) -> str:
    if not row:
        return "nobody else"
    if len(row) <= SHOWN_TERMS:
        words = [f"{write.prose(name)} ({write.math(write.number(w))})" for name, w in row.items()]
        return ", ".join(words).replace("(", "(weight ", 1)
    size = write.math(write.number(float(np.linalg.norm(list(row.values())))))
    return f"{len(row)} other neurons with weights of norm {size}"


def _quadratic_section(write: Notation, game: QuadraticGame, player: Player) -> Section:
    n, activation = game.dims[player], game.network.activations[player]
    entries = [
        action_entry(write, activation, n),
        ("cost", write.math(f"{write.indexed('J', player)}(z; x) = {_quadratic_cost(write, game, player)}")),
    ]
    if n > 1:
        entries.append(("curvature", _curvature(write, game, player)))
    if activation.name != "identity":
        entries.append(penalty_entry(write, activation, player, n))
    return f"Player {write.prose(str(player))}", [*entries, *listening_entries(write, game.network, player, symbol="R")]


def _curvature(write: Notation, game: QuadraticGame, player: Player) -> str:
    metric, q = game.own[player].metric, write.indexed("Q", player)
    if metric is None:
        return write.math(f"{q} = I")
    low, high = symmetric_extremes(np.diag(metric) if metric.ndim == 1 else metric)
    ends = write.math(f"[{write.number(low.lower)}, {write.number(high.upper)}]")
    return f"{write.math(q)} is {'diagonal, ' if metric.ndim == 1 else ''}positive definite, eigenvalues in {ends}"


def _quadratic_cost(write: Notation, game: QuadraticGame, player: Player) -> str:
    """Return the cost of one player, in numbers where everything is scalar and short."""
    n, activation, network = game.dims[player], game.network.activations[player], game.network
    penalty = "" if activation.name == "identity" else f" + {write.indexed('f', player)}(z)"
    numbers = in_numbers(write, network, player, sign=-1.0)
    if numbers is not None:
        metric = game.own[player].metric
        half = 0.5 if metric is None else float(metric.ravel()[0]) / 2
        own = f"{write.number(half)} {write.square('z', 1)}" if half != 1 else write.square("z", 1)
        linear = f"z ({numbers})" if " " in numbers else f"{numbers} z"
        return f"{own} + {linear}{penalty}" if numbers != "0" else f"{own}{penalty}"
    terms = [
        f"{write.indexed('R', player, k)} {write.indexed('x', k)}" for target, k in network.weights if target == player
    ]
    inner = " + ".join([*added_terms(write, terms, "R", player), write.indexed("q", player)])
    form = write.half(form_term(write, write.indexed("Q", player), n))
    return f"{form} + {write.product('z', inner, n)}{penalty}"


def _rest(write: Notation, network: Network) -> list[Section]:
    """Return a section that counts the players that are not written out."""
    rest = network.players[SHOWN_PLAYERS:]
    if not rest:
        return []
    kinds = Counter((network.activations[p].name, network.dims[p]) for p in rest)
    entries = [
        ("", f"{count} with {write.prose(name)} in {write.math(write.space(n))}")
        for (name, n), count in kinds.most_common(SHOWN_PLAYERS)
    ]
    inside = set(rest)
    edges = sum(coupling.target in inside for coupling in network.couplings)
    entries.append(("", f"listening through {count_words(edges, 'coupling')}"))
    return [(f"And {len(rest)} more: {write.prose(str(rest[0]))} to {write.prose(str(rest[-1]))}", entries)]
