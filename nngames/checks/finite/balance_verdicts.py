"""Whether a finite game has an exact or a weighted potential, and the potential as a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from itertools import combinations
from math import lcm
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nngames.certificates.balance import Balance, decide_mismatch, find_weights
from nngames.certificates.exact_balance import find_exact_weights
from nngames.checks.finite.changes import exact_change, weighted_change
from nngames.checks.finite.square_pairs import SquarePairs
from nngames.core.exact import nearest_float
from nngames.core.profiles import Array
from nngames.core.verdicts import Decision, Verdict
from nngames.games import FiniteGame
from nngames.games.finite.numbers import Numbers

_CRITERION = "costs summed around the closed paths of four deviations by two players"
_MONDERER = ("monderer1996",)
# Players' costs whose sizes differ by more than 2^900 are not compared in floats.
_FAR = 900


def described(game: FiniteGame) -> str:
    """Return what a statement calls the game."""
    shape = " x ".join(map(str, game.sizes)) if len(game.sizes) <= 6 else str(game.size)
    players = "1 player" if len(game.sizes) == 1 else f"{len(game.sizes)} players"
    return f"the finite game of {players} with {shape} profiles"


def shown(number: Fraction) -> str:
    """Return a number for a sentence: exactly where that is short."""
    exact = str(number)
    if len(exact) <= 12:
        return exact
    # Decimals reach further than floats.
    nearest = nearest_float(number)
    return f"{nearest:.6g}" if 0 < abs(nearest) < np.inf else f"{Decimal(number.numerator) / number.denominator:.6g}"


def known(game: FiniteGame, tolerance: float) -> str:
    """Return how the data are known."""
    return "exact rational arithmetic" if game.exact else f"data tolerance {tolerance:.3g}"


def exact_verdict(game: FiniteGame, pairs: SquarePairs, tolerance: float) -> Verdict:
    """Decide whether one function has the costs' differences under all unilateral deviations."""
    what = described(game)
    mismatch: Array = np.zeros(pairs.first.size)
    if game.exact:
        at = pairs.unequal()
        if at is not None:
            mismatch[at] = pairs.own_mismatch(at, 1.0, 1.0)
        decision = Decision.PROVED if at is None else Decision.REFUTED
    else:
        mismatch = pairs.mismatch(np.ones(len(game.players)))
        at = int(np.argmax(mismatch)) if mismatch.size else None
        decision = decide_mismatch(mismatch, pairs.rounding, tolerance)
    data, within = known(game, tolerance), None if game.exact else tolerance
    if decision is Decision.PROVED:
        largest = 0.0 if game.exact else float(mismatch.max(initial=0.0))
        statement = (
            f"{what} has an exact potential: both movers' costs change alike around every closed path of four "
            f"deviations (relative mismatch {largest:.3g}, {data})"
        )
        witness: dict[str, Any] = {"weights": dict.fromkeys(game.players, Fraction(1) if game.exact else 1.0)}
        margin = None if game.exact else tolerance - largest
        change = exact_change(pairs, decision, mismatch, {}, within)
        return Verdict(decision, statement, _CRITERION, margin, witness, _MONDERER, would_change=change)
    assert at is not None  # noqa: S101 - without pairs the potential is proved
    square = _square(game, pairs, at, pairs.unequal_square(at) if game.exact else pairs.square(at))
    change = exact_change(pairs, decision, mismatch, square, within)
    relative = f"relative mismatch {mismatch[at]:.3g}, {data}"
    if decision is Decision.UNDECIDED:
        statement = (
            f"it is not decided whether {what} has an exact potential: players {square['pair'][0]} and "
            f"{square['pair'][1]} differ by too little for the data ({relative})"
        )
        return Verdict(decision, statement, _CRITERION, None, square, _MONDERER, would_change=change)
    corners = " and ".join(f"({', '.join(square['strategies'][corner])})" for corner in (0, 2))
    statement = (
        f"{what} has no exact potential: around the four deviations of players {square['pair'][0]} and "
        f"{square['pair'][1]} between {corners} the movers gain "
        f"{shown(square['sum'])} in sum, not 0 ({relative})"
    )
    margin = abs(nearest_float(square["sum"]))
    return Verdict(decision, statement, _CRITERION, margin, square, _MONDERER, would_change=change)


def weighted_by_exact(game: FiniteGame, exact: Verdict, tolerance: float) -> Verdict | None:
    """Return the proof of a weighted potential where an exact one is proved; None where it is not."""
    if not exact.proved:
        return None
    statement = f"{described(game)} has a weighted potential: an exact one, with weights 1 ({known(game, tolerance)})"
    change = f"at least what takes its exact potential away: {exact.would_change}"
    return Verdict(exact.status, statement, _CRITERION, None, exact.witness, _MONDERER, would_change=change)


def weighted_verdict(game: FiniteGame, pairs: SquarePairs, tolerance: float) -> Verdict:
    """Decide whether weights w > 0 of the players make the costs w_l c_l a game with an exact potential.

    Weights make up for the size of a player's costs. Where sizes lie further apart than floats reach, the game is
    decided whose costs are each divided by a power of two, and the weights are Fractions.
    """
    what, data = described(game), known(game, tolerance)
    units = _far_units(game)
    if units is not None:
        game = game.with_numbers(_divided(game.numbers, units))
        pairs = SquarePairs(game, pairs.deadline)
        data += ", each player's costs divided by a power of two"
    balance = find_exact_weights(pairs) if game.exact else find_weights(pairs, tolerance)
    within = None if game.exact else tolerance
    size = Fraction(game.numbers.number(max(game.numbers.values.max(), -game.numbers.values.min())))
    if balance.weights is not None:
        statement = f"{what} has a weighted potential: the weighted costs change alike on every square ({data})"
        weights = balance.weights
        if units is not None:
            weights = [Fraction(w) / Fraction(2) ** unit for w, unit in zip(weights, units, strict=True)]
        witness: dict[str, Any] = {"weights": dict(zip(game.players, weights, strict=True))}
        change = weighted_change(pairs, balance, witness, size, within)
        return Verdict(balance.decision, statement, _CRITERION, None, witness, _MONDERER, would_change=change)
    witness = _culprit(game, pairs, balance)
    change = weighted_change(pairs, balance, witness, size, within)
    if balance.decision is Decision.REFUTED:
        statement = f"{what} has no weighted potential: {_reason(witness)} ({data})"
        margin = balance.mismatch
        return Verdict(balance.decision, statement, _CRITERION, margin, witness, _MONDERER, would_change=change)
    statement = (
        f"it is not decided whether {what} has a weighted potential: the data leave it open (relative mismatch "
        f"{balance.mismatch:.3g}, {data})"
    )
    return Verdict(balance.decision, statement, _CRITERION, None, witness, _MONDERER, would_change=change)


def _far_units(game: FiniteGame) -> list[int] | None:
    """Return the binary exponents of the players' largest |costs| if they lie too far apart for floats; else None."""
    largest = [max(costs.max(), -costs.min()) for costs in game.numbers.values]
    sizes = [int(x).bit_length() if game.exact else int(np.frexp(x)[1]) for x in largest]
    present = [size for size, x in zip(sizes, largest, strict=True) if x != 0]
    return sizes if present and max(present) - min(present) > _FAR else None


def _divided(numbers: Numbers, units: Sequence[int]) -> Numbers:
    """Return each player's numbers over 2^unit; exact ones times a common power of two, which no weight notices."""
    if not numbers.exact:
        return Numbers(np.stack([np.ldexp(x, -e) for x, e in zip(numbers.values, units, strict=True)]), None)
    most = max(units)
    values = numbers.values.astype(object)
    return Numbers(np.stack([x * 2 ** (most - e) for x, e in zip(values, units, strict=True)]), numbers.denominator)


def _square(game: FiniteGame, pairs: SquarePairs, pair: int, place: tuple[int, ...]) -> dict[str, Any]:
    """Return a square: its pair, closed path, each mover's gain, and their sum, exactly."""
    movers = [int(pairs.first[pair]), int(pairs.second[pair])]
    path = pairs.path(pair, place)
    closed = [*path, path[0]]
    gains = [
        Fraction(game.numbers.number(game.numbers.values[(movers[step % 2], *closed[step])]))
        - Fraction(game.numbers.number(game.numbers.values[(movers[step % 2], *closed[step + 1])]))
        for step in range(4)
    ]
    return {
        "pair": [game.players[m] for m in movers],
        "path": [list(profile) for profile in closed],
        "strategies": [list(game.names(profile)) for profile in closed],
        "gains": gains,
        "sum": sum(gains),
    }


def _culprit(game: FiniteGame, pairs: SquarePairs, balance: Balance) -> dict[str, Any]:
    if balance.cycle:
        players = [game.players[m] for m in (*balance.cycle, balance.cycle[0])]
        place = {(int(i), int(j)): at for at, (i, j) in enumerate(zip(pairs.first, pairs.second, strict=True))}
        steps = zip(balance.cycle, (*balance.cycle[1:], balance.cycle[0]), strict=True)
        squares, product = [], Fraction(1)
        for i, j in steps:
            at = place[min(i, j), max(i, j)]
            square = pairs.square(at, 1.0, 0.0)
            mine, other = (pairs.side(m, at, square) for m in (i, j))
            squares.append({"path": [list(p) for p in pairs.path(at, square)], "values": [mine, other]})
            product *= other / mine
        return {"cycle": players, "squares": squares, "product": product}
    pair = balance.pair
    assert pair is not None  # noqa: S101 - what is not proved names a pair
    names = [game.players[pairs.first[pair]], game.players[pairs.second[pair]]]
    squares = []
    for corner in pairs.telling(pair):
        values = [pairs.side(m, pair, corner) for m in (pairs.first[pair], pairs.second[pair])]
        squares.append({"path": [list(p) for p in pairs.path(pair, corner)], "values": values})
    return {"pair": names, "squares": squares}


def _reason(witness: dict[str, Any]) -> str:
    if "cycle" in witness:
        cycle = " - ".join(map(str, witness["cycle"]))
        return f"the weights that the cycle {cycle} demands multiply to {shown(witness['product'])}, not 1"
    found = [tuple(square["values"]) for square in witness["squares"]]
    alone = next(([entry] for entry in found if entry[0] * entry[1] <= 0 and any(entry)), None)
    both = next(([one, two] for one, two in combinations(found, 2) if one[0] * two[1] != two[0] * one[1]), found)
    values = " and ".join("{} against {}".format(*map(shown, entry)) for entry in alone or both)
    return "no weights balance players {} and {}, whose squares give ".format(*witness["pair"]) + values


@dataclass(frozen=True, eq=False)
class FinitePotential:
    """A potential of a finite game, 0 at the profile of first strategies.

    Attributes
    ----------
    game : FiniteGame
    numbers : Numbers
        Its values (s_1, ..., s_L).
    """

    game: FiniteGame
    numbers: Numbers

    def __call__(self, profile: Any) -> float | Fraction:
        """Return its value at a profile."""
        return self.numbers.number(self.numbers.values[self.game.profile(profile)])

    @property
    def values(self) -> NDArray[Any]:
        """The values (s_1, ..., s_L): floats, or Fractions in an object array."""
        return self.numbers.fractions() if self.numbers.exact else self.numbers.values


def finite_potential(game: FiniteGame, weights: Sequence[Any]) -> FinitePotential | None:
    """Return the potential of a game that has one with these weights; None where costs are floats and weights not.

    It sums the movers' weighted cost differences along the path from the first strategies on which the players move in
    their order: phi(s) = sum_l w_l (c_l(s_1..s_l, 0..0) - c_l(s_1..s_{l-1}, 0, 0..0)).
    """
    values, denominator = game.numbers.values, game.numbers.denominator
    if denominator is None:
        factors, total = [nearest_float(w) for w in weights], np.zeros(game.sizes)
        if not all(0 < factor < np.inf for factor in factors):
            return None
    else:
        common = lcm(*(Fraction(w).denominator for w in weights))
        factors, total = [int(Fraction(w) * common) for w in weights], np.zeros(game.sizes, dtype=object)
        denominator *= common
    for m, factor in enumerate(factors):
        rest = (slice(None),) * (m + 1) + (slice(0, 1),) * (len(game.sizes) - m - 1)
        costs = values[m][rest] if denominator is None else values[m][rest].astype(object)
        start = costs[(slice(None),) * m + (slice(0, 1),)]
        total = total + factor * (costs - start)
    return FinitePotential(game, Numbers(total, denominator))
