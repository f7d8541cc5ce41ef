"""The parts of an explanation that every kind of game shares: actions, penalties, pre-activations and couplings."""

from __future__ import annotations

from typing import Any

from nngames.activations import Activation
from nngames.core.bounds import spectral_norm
from nngames.core.operators import DenseMap, LinearMap, SparseMap
from nngames.core.profiles import Player
from nngames.games.notation import Notation, activation_words, convexity_words, norm_words
from nngames.networks import Coupling, LinearCoupling, Network

#: So many players, blocks or neurons are written out; the others are counted.
SHOWN_PLAYERS = 12
#: So many sources of one player are named.
SHOWN_SOURCES = 8
#: So many terms of a sum are written out.
SHOWN_TERMS = 4

Entries = list[tuple[str, str]]


def count_words(number: int, noun: str) -> str:
    """Return a number with its noun."""
    return f"{number} {noun}{'s' if number != 1 else ''}"


def response_term(write: Notation, player: Any) -> str:
    """Return r_l(v_l(x))."""
    return f"{write.indexed('r', player)}({write.indexed('v', player)}(x))"


def form_term(write: Notation, matrix: str, n: int) -> str:
    """Return the quadratic form of a matrix, z'Qz, or Q z^2 for a scalar."""
    return f"{matrix} {write.square('z', 1)}" if n == 1 else f"z{write.prime} {matrix} z"


def action_entry(write: Notation, activation: Activation, n: int, each: bool = False) -> tuple[str, str]:
    """Return the entry for the action space and the domain of the penalty."""
    space = write.math(f"z{write.element}{write.space(n)}") + (" for each neuron" if each else "")
    domain = str(activation.domain)
    if domain == "R^n":
        return "action", f"{space}; the cost is finite everywhere"
    extent = "only where all of them are in" if each and not domain.endswith("^n") else "only on"
    return "action", f"{space}; the cost is finite {extent} {write.math(write.domain(domain, n))}"


def penalty_term(write: Notation, activation: Activation, player: Player) -> str:
    """Return ``f_l(z) + ``, or nothing where f is 0."""
    return "" if activation.name == "identity" else f"{write.indexed('f', player)}(z) + "


def penalty_entry(write: Notation, activation: Activation, player: Player, n: int) -> tuple[str, str]:
    """Return the entry for the penalty, in closed form where one is known, and its prox."""
    f = write.indexed("f", player)
    formula, convexity = activation.penalty_formula, write.prose(convexity_words(activation))
    if formula is None:
        # A constant response is the prox of what is finite at one point.
        words = f"{write.math(f)} is {'constant there' if activation.slope_range[1] == 0 else convexity}"
    elif formula == "0":
        words = f"{write.math(f'{f}(z) = 0')}{'' if str(activation.domain) == 'R^n' else ' there'}"
    elif n == 1:
        words = f"{write.math(f'{f}(z) = {write.formula(formula)}')}, {convexity}"
    else:
        words = f"{write.math(f)} adds {write.math(write.formula(formula))} over the entries, {convexity}"
    return "penalty", f"{words}; its prox is {answer_words(write, activation, player)}"


def answer_words(write: Notation, activation: Activation, player: Player) -> str:
    """Return ``r_l = name``."""
    return f"{write.math(write.indexed('r', player))} = {write.prose(activation_words(activation))}"


def drive_term(write: Notation, network: Network, block: Player, own: bool = False) -> str:
    """Return b_l + sum_k W_lk x_k, without a self-loop unless ``own``, and in numbers where that is short."""
    terms = []
    for coupling in network.couplings:
        if coupling.target != block or (not own and block in coupling.sources):
            continue
        symbol = write.indexed("W" if coupling.linear else "c", block, *coupling.sources)
        inside = ", ".join(write.indexed("x", source) for source in coupling.sources)
        terms.append(f"{symbol} {inside}" if coupling.linear else f"{symbol}({inside})")
    terms = added_terms(write, terms, "W", block)
    if network.input is not None and block == network.players[0]:
        terms.append(f"{write.indexed('W', block, 0)} {write.indexed('x', 0)}")
    formula = " + ".join([write.indexed("b", block), *terms])
    numbers = in_numbers(write, network, block)
    return formula if numbers is None or own else f"{formula} = {numbers}"


def added_terms(write: Notation, terms: list[str], symbol: str, player: Any) -> list[str]:
    """Return the terms, or one sum over k where they are many."""
    if len(terms) <= SHOWN_TERMS:
        return terms
    return [write.sum_over("k", f"{write.indexed(symbol, player, 'k')} {write.indexed('x', 'k')}")]


def in_numbers(write: Notation, network: Network, player: Player, sign: float = 1.0) -> str | None:
    """Return sign (b_l + sum_{k != l} W_lk x_k) with its numbers; None unless all is scalar and short."""
    if not network.linear:
        return None
    heard = {source: w for (target, source), w in network.weights.items() if target == player and source != player}
    if len(heard) > SHOWN_TERMS or network.dims[player] > 1 or any(w.shape != (1, 1) for w in heard.values()):
        return None
    values = [(sign * float(network.effective_bias(player)[0]), "")]
    values += [(sign * float(w.dense[0, 0]), write.indexed("x", source)) for source, w in heard.items()]
    result = ""
    for value, symbol in values:
        if value != 0:
            size = write.number(abs(value))
            term = symbol if symbol and size == "1" else f"{size} {symbol}".strip()
            result += (" - " if value < 0 else " + ") + term if result else ("-" if value < 0 else "") + term
    return result or "0"


def listening_entries(
    write: Notation, network: Network, block: Player, symbol: str = "W", own: bool = False
) -> Entries:
    """Return whom a player listens to: scalars with their weights in one entry, the others one entry each."""
    heard = [c for c in network.couplings if c.target == block and (own or block not in c.sources)]
    input_only = network.input is not None and block == network.players[0]
    if not heard:
        return [("listens to", "the input only" if input_only else "nobody else")]
    scalars = [c for c in heard if isinstance(c, LinearCoupling) and c.weight.shape == (1, 1)]
    parts = []
    if scalars:
        sign = -1.0 if symbol == "R" else 1.0
        words = [
            f"{write.prose(str(c.source))} ({'weight ' * (i == 0)}"
            f"{write.math(write.number(sign * float(c.weight.dense[0, 0])))})"
            for i, c in enumerate(scalars[:SHOWN_SOURCES])
        ]
        more = [f"and {len(scalars) - SHOWN_SOURCES} more"] if len(scalars) > SHOWN_SOURCES else []
        parts.append(", ".join([*words, *more]))
    others = [c for c in heard if c not in scalars]
    parts += [_heard_from(write, coupling, symbol) for coupling in others[:SHOWN_SOURCES]]
    if len(others) > SHOWN_SOURCES:
        parts.append(f"{len(others) - SHOWN_SOURCES} more")
    return [("listens to" if i == 0 else "and to", part) for i, part in enumerate(parts)]


def _heard_from(write: Notation, coupling: Coupling, symbol: str) -> str:
    names = " and ".join(write.prose(str(source)) for source in coupling.sources)
    if isinstance(coupling, LinearCoupling):
        return f"{names} through {weight_words(write, coupling.weight, coupling.target, coupling.source, symbol)}"
    sizes = write.math(write.times.join(map(str, (coupling.output_size, *coupling.source_sizes))))
    name = write.math(write.indexed("c", coupling.target, *coupling.sources))
    return f"{names} through {name}, which is not linear ({sizes})"


def weight_words(write: Notation, weight: LinearMap, target: Player, source: Player, symbol: str = "W") -> str:
    """Return W_lk with its value or shape."""
    name = write.indexed(symbol, target, source)
    if weight.shape == (1, 1):
        return write.math(f"{name} = {write.number(float(weight.dense[0, 0]))}")
    return f"{write.math(name)} ({shape_words(write, weight)})"


def shape_words(write: Notation, weight: LinearMap) -> str:
    """Return the shape, the storage and the safe norm of a weight."""
    kind = "dense" if isinstance(weight, DenseMap) else "sparse" if isinstance(weight, SparseMap) else "matrix-free"
    size = write.math(f"{weight.shape[0]}{write.times}{weight.shape[1]}")
    return f"{size}, {kind}, {norm_words(spectral_norm(weight))}"
