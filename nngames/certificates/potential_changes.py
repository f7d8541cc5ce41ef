"""What would change a verdict on potentials: the changes of the couplings, and of their tolerance, that it excludes.

Two players' couplings A and C (``coupling_pairs``) that differ by D in an entry are equal only after one of the two
changed by D/2 there. That they become positive multiples of each other needs, with changes up to d of every entry:

- entries a, c with a c < 0: one of them must reach 0, so d >= min(|a|, |c|);
- entries a, c and a', c' with a c, a' c' >= 0: A = t C is reached with d >= |t c - a| / (1 + t), likewise for the other
  entries; the larger of the two is least where both are equal, at |a c' - a' c| / (|a| + |c| + |a'| + |c'|).

Ratios that multiply to p around m pairs of players multiply to 1 only after a relative change e of one of the 2m
couplings with ((1 + e)/(1 - e))^m >= max(p, 1/p), that is e >= tanh(|log p| / (2m)).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nngames.certificates.balance import Balance
from nngames.certificates.coupling_pairs import CouplingPairs
from nngames.certificates.figures import floored, raised
from nngames.core.exact import EXACT_ORDER, fraction
from nngames.core.profiles import Array
from nngames.core.verdicts import Decision

_UNIT = 2.0**-53
# By so much a figure may be too large: otherwise the tolerance would turn each 1 into 0.999.
_DIGITS = Fraction(1, 10**9)
_NO_PAIRS = "couplings between the players, of which there are none"
_DIRECTIONS = f"the directions of the domains in exact numbers, which are known for at most {EXACT_ORDER} equations"
#: What decides where the data tolerance leaves a question open.
TAKEN_EXACTLY = "data_tolerance=0, which takes the numbers as exact"

#: An entry of A and the same one of C.
Entry = tuple[Fraction, Fraction]


# Exact potentials


def exact_change(pairs: CouplingPairs, decision: Decision, at: int | None, mismatch: Array, tolerance: float) -> str:
    """Return what would change a verdict on an exact potential.

    Parameters
    ----------
    pairs : CouplingPairs
    decision : Decision
    at : int or None
        The pair that decides; None where all are equal.
    mismatch : ndarray (m,)
        Of the pairs.
    tolerance : float
        Of the data.
    """
    by_numbers = tolerance == 0 and pairs.exact
    # Where floats overflow, a mismatch is no number and no tolerance is named.
    least = float(np.nan_to_num(np.max(mismatch + pairs.rounding, initial=0.0), nan=2.0, posinf=2.0))
    most = Fraction(float(np.nan_to_num(np.max(mismatch - pairs.rounding, initial=0.0), posinf=0.0))) / 10
    if decision is Decision.PROVED:
        if not pairs.first.size:
            return _NO_PAIRS
        if by_numbers:
            return "any difference between what two players are to each other, however small"
        changes = []
        if 10 * tolerance < 1:
            changes.append(
                f"what two players are to each other differing by more than {10 * tolerance:.3g} of the larger coupling"
            )
        if least > 0:
            changes.append(f"a positive data tolerance below {floored(least)}")
        return ", or ".join(changes) or "what two players are to each other differing at all"
    assert at is not None  # noqa: S101 - without pairs the potential is proved
    if decision is Decision.UNDECIDED:
        if tolerance == 0:
            return _DIRECTIONS
        changes = [TAKEN_EXACTLY] if pairs.exact else []
        if least < 1:
            changes.append(f"a data tolerance of {raised(least)} or more, which would prove it")
        if most > 0:
            changes.append(f"a positive one below {floored(most)}, which would refute it")
        return "; ".join(changes) or _DIRECTIONS
    apart = _largest_difference(pairs, at, by_numbers)
    size = 0 if by_numbers or not mismatch[at] > 0 else apart / Fraction(float(mismatch[at]))
    half = still_apart(apart, size, tolerance, 2)
    figure = f"by at least {floored(half)} " if half > 0 else ""
    change = f"a change {figure}of what one of the two is to the other"
    if by_numbers or not 0 < most < 1:
        return change
    return f"{change}, or a data tolerance of {raised(most)} or more"


def still_apart(apart: Fraction, size: Fraction | int, tolerance: float, times: int) -> Fraction:
    """Return the d below which changes leave a difference, by at most d ``times``, beyond ten times the tolerance.

    The tolerance is relative to the ``size`` of the data, which grows by less than d. Nine digits of d are right.
    """
    tenfold = 10 * Fraction(tolerance)
    return (apart - tenfold * size) / (times + tenfold) * (1 + (_DIGITS if tolerance > 0 else 0))


def _largest_difference(pairs: CouplingPairs, pair: int, by_numbers: bool) -> Fraction:
    """Return the largest |a - c| over the entries of A and C, or less."""
    if by_numbers and not pairs.unrounded:
        return fraction(max(abs(a - c) for a, c in zip(*pairs.rational_entries(pair), strict=True)))
    a, c = pairs.entry(pair)[1]
    if not math.isfinite(a) or not math.isfinite(c):
        return Fraction(0)
    return max(abs(Fraction(a) - Fraction(c)) - 2 * _error(pairs, pair), Fraction(0))


def _error(pairs: CouplingPairs, pair: int) -> Fraction:
    """Return a bound of the rounding in the entries of A and C."""
    return Fraction(0) if pairs.unrounded else _size(pairs, pair) * Fraction(float(pairs.rounding[pair]) + 4 * _UNIT)


def _size(pairs: CouplingPairs, pair: int) -> Fraction:
    """Return the larger of the pair's max|B_lk|, from the shares of max|A| and max|C| in them."""
    largest = [abs(pairs.entry(pair, *weights)[1][side]) for side, weights in enumerate(((1.0, 0.0), (0.0, 1.0)))]
    shares = float(pairs.forward[pair]), float(pairs.backward[pair])
    known = zip(largest, shares, strict=True)
    return max(
        (Fraction(x) / Fraction(share) for x, share in known if share > 0 and math.isfinite(x)), default=Fraction(0)
    )


# Weighted potentials


def weighted_change(pairs: CouplingPairs, balance: Balance, tolerance: float) -> str:
    """Return what would change a verdict on a weighted potential, for data known to a tolerance."""
    if balance.decision is Decision.PROVED:
        return _balanced(pairs, balance, tolerance)
    if balance.decision is Decision.UNDECIDED:
        return TAKEN_EXACTLY if tolerance > 0 and pairs.exact else _DIRECTIONS
    by_numbers = tolerance == 0 and pairs.exact
    if balance.cycle:
        size = _logarithm_around(pairs, balance.cycle, by_numbers) - cycle_doubt(pairs, balance.cycle, tolerance)
        share = cycle_change(max(size, 0.0), len(balance.cycle))
        figure = f"by at least {floored(share)} " if share > 0 else ""
        return f"a relative change {figure}of what two neighbours along that cycle are to each other"
    assert balance.pair is not None  # noqa: S101 - what is refuted without a cycle is by a pair
    return _unbalanced(pairs, balance.pair, tolerance, by_numbers)


def _balanced(pairs: CouplingPairs, balance: Balance, tolerance: float) -> str:
    if not pairs.first.size:
        return _NO_PAIRS
    weaker, stronger = np.minimum(pairs.forward, pairs.backward), np.maximum(pairs.forward, pairs.backward)
    if pairs.scalar and _closes_no_cycle(pairs, stronger > tolerance):
        change = "a coupling that vanishes, appears or changes its sign, not one that changes its size: the couplings "
        change += "close no cycle of players"
    elif tolerance == 0:
        return "any change of the couplings that no weights balance, however small"
    else:
        change = f"couplings that no weights balance to within {tolerance:.3g} of the larger one of each pair"
    if tolerance == 0:
        return change
    assert balance.weights is not None  # noqa: S101 - proved
    counted = pairs.mismatch(np.array(balance.weights, dtype=float)) + pairs.rounding
    plain = len(set(balance.weights)) == 1
    known = np.where((weaker > tolerance) | plain, counted, stronger)
    least = float(known.max(initial=0.0))
    return f"{change}; perhaps a data tolerance below {raised(least)}" if least > 0 else change


def _closes_no_cycle(pairs: CouplingPairs, there: NDArray[np.bool_]) -> bool:
    from scipy import sparse
    from scipy.sparse.csgraph import connected_components

    n, kept = len(pairs.players), np.flatnonzero(there)
    entries = (np.ones(kept.size), (pairs.first[kept], pairs.second[kept]))
    count, _ = connected_components(sparse.csr_array(entries, shape=(n, n)), directed=False)
    return bool(kept.size == n - count)


def _unbalanced(pairs: CouplingPairs, pair: int, tolerance: float, by_numbers: bool) -> str:
    weaker = float(min(pairs.forward[pair], pairs.backward[pair]))
    if by_numbers:
        entries = _telling(list(zip(*pairs.rational_entries(pair), strict=True)))
        none = not any(a for a, _ in entries) or not any(c for _, c in entries)
        bound = multiple_change(entries)
    else:
        none = weaker == 0
        ratio = float(pairs.ratios()[pair])
        places = ((1.0, 0.0), (0.0, 1.0), (ratio, 1.0))
        values = [pairs.entry(pair, *weights)[1] for weights in places]
        found = [(Fraction(a), Fraction(c)) for a, c in values if math.isfinite(a) and math.isfinite(c)]
        bound = still_apart(multiple_change(found) - _error(pairs, pair), _size(pairs, pair), tolerance, 1)
    if none:
        size = "however small" if tolerance == 0 else "beyond the data tolerance"
        return f"a positive multiple of the one's coupling in return, {size}"
    change = f"a change by at least {floored(bound)} of what one of the two is to the other" if bound > 0 else ""
    if not 0 < weaker <= tolerance:
        return change or "a change of what one of the two is to the other"
    below = f"a data tolerance below {floored(weaker)}, to which the weaker of these couplings counts"
    return f"{below}, or {change}" if change else below


def _telling(entries: Sequence[tuple[Any, Any]]) -> list[Entry]:
    """Return a few of some rational entries that show that A and C are no positive multiples of each other."""
    largest = [max(entries, key=lambda entry: abs(entry[side])) for side in (0, 1)]
    opposed = [max(entries, key=lambda entry: -entry[0] * entry[1])]
    a, c = largest[0]
    chosen = [*largest, *opposed, max(entries, key=lambda entry: abs(entry[0] * c - a * entry[1]))]
    return [(fraction(one), fraction(other)) for one, other in chosen]


def multiple_change(entries: Sequence[Entry]) -> Fraction:
    """Return a d so that changes of the entries below d leave A and C no positive multiples of each other.

    0 where one of A and C is zero or nothing is known.
    """
    bounds = [min(abs(a), abs(c)) for a, c in entries if a * c < 0]
    for (a, c), (b, d) in itertools.combinations(entries, 2):
        size = abs(a) + abs(b) + abs(c) + abs(d)
        if size > 0 and a * c >= 0 and b * d >= 0:
            bounds.append(abs(a * d - b * c) / size)
    return max(bounds, default=Fraction(0))


def _logarithm_around(pairs: CouplingPairs, cycle: Sequence[int], by_numbers: bool) -> float:
    """Return |log p| for the product p of c_l / c_k around the cycle, rounded towards 0."""
    if by_numbers:
        product = Fraction(1)
        for at, sign in steps_along(pairs, cycle):
            a, c = max(zip(*pairs.rational_entries(at), strict=True), key=lambda entry: abs(entry[0]))
            product *= fraction(c / a) ** sign
        return abs(logarithm(product))
    total, doubt, ratios = 0.0, 0.0, pairs.ratios()
    for at, sign in steps_along(pairs, cycle):
        step, weaker = math.log(ratios[at]), min(pairs.forward[at], pairs.backward[at])
        total += sign * step
        doubt += 3 * pairs.rounding[at] / weaker + 32 * _UNIT * (1 + abs(step))
    return max(abs(total) - doubt, 0.0)


def steps_along(pairs: CouplingPairs, cycle: Sequence[int]) -> list[tuple[int, int]]:
    """Return the pairs along a closed cycle, each with 1 where it is followed from its first player and else -1."""
    steps, count = list(itertools.pairwise((*cycle, cycle[0]))), len(pairs.players)
    numbers = np.asarray(pairs.first, dtype=np.int64) * count + np.asarray(pairs.second)
    # Of millions of pairs a cycle takes few.
    found = np.flatnonzero(np.isin(numbers, [k for i, j in steps for k in (i * count + j, j * count + i)]))
    place = dict(zip(numbers[found].tolist(), found.tolist(), strict=True))
    return [(place[i * count + j], 1) if i * count + j in place else (place[j * count + i], -1) for i, j in steps]


def cycle_doubt(pairs: CouplingPairs, cycle: Sequence[int], tolerance: float) -> float:
    """Return a |log p| up to which a product p around a cycle refutes nothing, for data known to a tolerance."""
    weaker = [min(float(pairs.forward[at]), float(pairs.backward[at])) for at, _ in steps_along(pairs, cycle)]
    return sum(13 * tolerance / strength for strength in weaker) if tolerance > 0 else 0.0


def cycle_change(size: float, steps: int) -> float:
    """Return tanh(|log p| / (2m)) for the |log p| around a cycle of m steps, rounded down."""
    return math.tanh(size / (2 * steps)) * (1 - 1e-12)


def logarithm(value: Fraction) -> float:
    """Return log of a positive fraction, with its digits where it is near 1."""
    if Fraction(1, 2) < value < 2:
        return math.log1p(float(value - 1))
    return math.log(value.numerator) - math.log(value.denominator)
