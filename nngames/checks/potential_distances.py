"""How far a game is from the nearest potential games, in the couplings that its players feel."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nngames.checks.check import require_game
from nngames.checks.cycle_certificates import certification_reason
from nngames.checks.effective_coupling import effective_coupling, exact_distance, power_of_two
from nngames.checks.weighted_distance import CLOSE, PairTerms, nearest_weights
from nngames.core.errors import NotApplicableError, OptionError, check_positive
from nngames.core.plain import plain
from nngames.core.profiles import Array, Player
from nngames.core.seeds import Seed, generator
from nngames.core.verdicts import Decision, Verdict
from nngames.games import CoupledGame, Game


@dataclass(frozen=True, eq=False)
class PotentialDistance:
    """The nearest exact and the nearest weighted potential game with the same own costs.

    Attributes
    ----------
    size : float
        |B|, the Frobenius norm of the effective coupling.
    exact : float
        |B - B'|/2, the distance to the nearest game with an exact potential: attained by (B + B')/2 alone.
    weighted : float
        The distance that was found to games with a weighted potential whose weights have a bounded ratio.
    lower_bound : float
        No such game is closer, up to rounding.
    optimal : Verdict
        Whether ``weighted`` is the least distance: PROVED where the lower bound is within 1e-6 of its square.
    weights : mapping player -> float
        Of the game at the distance ``weighted``; the least one is 1.
    ratio : float
        The bound on the weights' ratio.
    """

    size: float
    exact: float
    weighted: float
    lower_bound: float
    optimal: Verdict
    weights: Mapping[Player, float]
    ratio: float
    _game: Any
    _coupling: Any

    def nearest(self, kind: str = "exact") -> dict[tuple[Player, Player], Array]:
        """Return the effective couplings of the nearest game found, ``"exact"`` or ``"weighted"``, by (target, source).

        What to subtract from a network's W_lk to get there is the effective coupling B_lk minus the one returned.
        """
        if kind not in ("exact", "weighted"):
            raise OptionError(f"kind must be 'exact' or 'weighted'; got {kind!r}")
        result: dict[tuple[Player, Player], Array] = {}
        for i, k, a, c in _pairs(self._game, self._coupling):
            u, v = (1.0, 1.0) if kind == "exact" else (1 / self.weights[i], 1 / self.weights[k])
            shared = (u * a + v * c) / (u * u + v * v)
            result[i, k], result[k, i] = u * shared, v * shared.T
        return result

    def to_dict(self) -> dict[str, Any]:
        """Return the distances as plain data."""
        names = ("size", "exact", "weighted", "lower_bound", "optimal", "weights", "ratio")
        return {name: plain(getattr(self, name)) for name in names}


@np.errstate(all="ignore")
def potential_distance(
    game: Game, ratio: float = 10.0, max_seconds: float = 5.0, seed: Seed = None
) -> PotentialDistance:
    """Return how far a game is from the nearest exact and the nearest weighted potential game.

    Games are compared by the effective couplings B_lk = P_l W_lk P_k between distinct players, in the Frobenius norm;
    own costs and linear terms matter to no potential.

    Parameters
    ----------
    game : Game
        Of a network with the proximal cost, or quadratic.
    ratio : float
        The largest ratio of two weights, at least 1. It must be bounded: the infimum over all weights need not be
        attained. If player 2 hears player 1 and not the other way round, weights c_1/c_2 -> 0 bring the distance to
        0, and no weighted potential game is that close.
    max_seconds : float
        After which the search for weights ends, with the lower bound that it has.
    seed : int or Generator, optional
        Of the starts of local minimisations.

    Returns
    -------
    PotentialDistance

    Raises
    ------
    NotApplicableError
        If the costs are not bilinear in what the players hear, or a coupling cannot be written out.
    OptionError
        If the ratio is no number in [1, 1e100], or the time not positive.

    Notes
    -----
    Exact: the symmetric matrix nearest to B is (B + B')/2, and |B - B'|^2 / 4 its squared distance, which is |B|^2
    times the antisymmetric share. Weighted: for weights c each pair of players adds
    |c_l B_lk - c_k B_kl'|^2 / (c_l^2 + c_k^2); the sum, which is not convex, is minimised by branch and bound over
    log c. For a few players the optimum is proved in no time; for many, ``optimal`` is UNDECIDED with the gap.
    """
    number = isinstance(ratio, int | float | np.number) and not isinstance(ratio, bool)
    if not number or not 1 <= ratio <= 1e100:
        raise OptionError(
            f"ratio must be a number in [1, 1e100]; got {ratio!r}: without a bound the infimum over all "
            "weights need not be attained"
        )
    check_positive("max_seconds", max_seconds)
    deadline = time.monotonic() + max_seconds
    game = require_bilinear(require_game(game), "potential_distance")
    coupling = effective_coupling(game)
    unit = power_of_two(float(abs(coupling).max()))
    terms = _terms(game, coupling / unit)
    size = unit * math.sqrt(terms.total)
    found = nearest_weights(terms, len(game.players), math.log(ratio), generator(seed), deadline)
    weighted, lower = unit * math.sqrt(found.squared), unit * math.sqrt(found.lower)
    logarithms = found.logarithms - found.logarithms.min()
    weights = dict(zip(game.players, np.exp(logarithms).tolist(), strict=True))
    close = found.lower >= (1 - 2 * CLOSE) * found.squared
    close = close or weighted <= 1e-13 * size
    optimal = _optimal(weighted, lower, close, float(ratio), found.boxes, max_seconds)
    return PotentialDistance(
        size, exact_distance(coupling), weighted, lower, optimal, weights, float(ratio), game, coupling
    )


def require_bilinear(game: Any, taker: str) -> CoupledGame:
    """Return the game if its costs are bilinear in what the players hear, with couplings that can be written out."""
    reason = certification_reason(game)
    if reason is None and not isinstance(game, CoupledGame):
        reason = f"the {game.cost_name} cost is not bilinear in what the players hear"
    if reason is not None:
        raise NotApplicableError(f"{taker} takes networks with the proximal cost and quadratic games: {reason}")
    return game


def _optimal(weighted: float, lower: float, close: bool, ratio: float, boxes: int, max_seconds: float) -> Verdict:
    found = f"weights of ratio at most {ratio:.6g} bring a weighted potential to distance {weighted:.6g}"
    method = "branch and bound over the logarithms of the weights"
    if close:
        statement = f"{found}, and none closer than {lower:.6g} ({boxes} boxes of weights bounded)"
        change = "couplings that are others, or a larger ratio of the weights"
        return Verdict(Decision.PROVED, statement, method, weighted - lower, would_change=change)
    statement = (
        f"{found}; that none comes closer than {lower:.6g} is what {boxes} boxes of weights proved, and the gap is open"
    )
    change = f"more than max_seconds={max_seconds:g}, or fewer players, would close the gap"
    return Verdict(Decision.UNDECIDED, statement, method, would_change=change)


def _pairs(game: CoupledGame, coupling: Any) -> list[tuple[Player, Player, Array, Array]]:
    """Return (l, k, B_lk, B_kl') for the pairs of players that are coupled, l before k."""
    owner = np.repeat(np.arange(len(game.players)), list(game.dims.values()))
    entries = coupling.tocoo()
    keys = {tuple(sorted(pair)) for pair in zip(owner[entries.row].tolist(), owner[entries.col].tolist(), strict=True)}
    result = []
    for i, k in sorted(keys):
        one, two = game.players[i], game.players[k]
        rows, columns = game.space.slices[one], game.space.slices[two]
        ahead, back = coupling[rows][:, columns].toarray(), coupling[columns][:, rows].toarray().T
        result.append((one, two, ahead, back))
    return result


def _terms(game: CoupledGame, coupling: Any) -> PairTerms:
    """Return the norms of the pairs' couplings A and C, and their defects."""
    from scipy import sparse

    owner, entries = np.repeat(np.arange(len(game.players)), list(game.dims.values())), coupling.tocoo()
    ahead = owner[entries.row] < owner[entries.col]
    sides = [
        sparse.csr_array((entries.data[kept], places), shape=coupling.shape)
        for kept, places in (
            (ahead, (entries.row[ahead], entries.col[ahead])),
            (~ahead, (entries.col[~ahead], entries.row[~ahead])),
        )
    ]
    numbers = [_pair_numbers(side, owner) for side in sides]
    pairs = np.unique(np.concatenate(numbers))
    places = [np.searchsorted(pairs, number) for number in numbers]
    norms = [
        np.sqrt(np.bincount(place, side.data**2, minlength=pairs.size))
        for place, side in zip(places, sides, strict=True)
    ]
    both = np.minimum(*norms) > 0
    for side, place, norm in zip(sides, places, norms, strict=True):
        side.data = np.where(both[place], side.data, 0.0) / np.where(both, norm, 1.0)[place]
    apart = sides[0] - sides[1]
    squares = np.bincount(np.searchsorted(pairs, _pair_numbers(apart, owner)), apart.data**2, minlength=pairs.size)
    first, second = pairs // len(game.players), pairs % len(game.players)
    return PairTerms(first, second, norms[0], norms[1], norms[0] * norms[1] * squares / 2)


def _pair_numbers(matrix: Any, owner: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the number of the pair of players that each entry of a sparse matrix belongs to."""
    rows = np.repeat(owner, np.diff(matrix.indptr))
    return np.asarray(rows * (owner.max(initial=0) + 1) + owner[matrix.indices], dtype=np.intp)
