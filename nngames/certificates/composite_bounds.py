"""Composite bounds: how Lipschitz the composite map O of a ring is, by products of norms over the ring.

O = r_L(W_L ... r_1(W_1 . + b_1) ... + b_L), so |O(x) - O(y)| <= prod_l lip_l |W_l| |x - y|. Around a layer whose
activation is affine the weights are multiplied first, which only lowers the bound; where all are affine but the last,
one product W_L ... W_1 is left. Where a bound meets 1 within rounding, |A|^2 <= s is decided exactly for rational s.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from nngames.activations import Activation
from nngames.certificates.figures import product, round_down, round_up, simplest_between
from nngames.certificates.norms import coupling_norms, no_lipschitz_reason, partial_response_reason
from nngames.core.bounds import TIGHT_SIDE, Enclosure, spectral_norm
from nngames.core.exact import EXACT_ORDER, is_positive_semidefinite, rational_matrix
from nngames.core.operators import DenseMap, LinearMap
from nngames.core.profiles import Array, Player
from nngames.games import Game, NetworkGame
from nngames.networks import Network

_UNIT = 2.0**-53


@dataclass(frozen=True)
class CompositeBound:
    """A Lipschitz constant of O and where it comes from.

    Attributes
    ----------
    lipschitz : float
        An upper bound on the Lipschitz constant of O, exactly 1.0 where that was decided.
    lower : float or None
        A lower bound where O is affine and ``lipschitz`` not below 1: the Lipschitz constant is then the norm of the
        linear part. Exactly 1.0 where that was decided; None elsewhere.
    norms : mapping layer -> float
        Upper bounds on |W_l|_2.
    lipschitz_constants : mapping layer -> float
        Of the activations.
    merged : tuple of tuple
        The runs of layers whose weights were multiplied before taking norms; empty for the plain product.
    method : str
    """

    lipschitz: float
    lower: float | None
    norms: dict[Player, float]
    lipschitz_constants: dict[Player, float]
    merged: tuple[tuple[Player, ...], ...]
    method: str


@dataclass(frozen=True)
class _Run:
    """Consecutive layers with affine activations inside: gain * |W_j ... W_i|, gain the product of their Lipschitz."""

    players: tuple[Player, ...]
    weights: tuple[LinearMap, ...]
    gain: Fraction
    norm: Enclosure

    def at_most(self) -> Fraction | float:
        return product((self.gain, self.norm.upper))


_bounds: WeakKeyDictionary[Network, CompositeBound] = WeakKeyDictionary()


def composite_reason(game: Game) -> str | None:
    """Return why a game has no composite map with linear couplings and Lipschitz layers; None if it has one."""
    if not isinstance(game, NetworkGame):
        return "only the game of a network has a composite map"
    if not game.network.linear:
        return "a coupling is not linear"
    if game.network.ring_order is None:
        return "the network is not a ring, so it has no composite map"
    return partial_response_reason(game) or no_lipschitz_reason(game)


def composite_bound(network: Network) -> CompositeBound:
    """Return a Lipschitz bound of the composite map of a linear ring, computed once."""
    if network not in _bounds:
        _bounds[network] = _bound(network)
    return _bounds[network]


def _bound(network: Network) -> CompositeBound:
    order = network.ring_order or ()
    enclosures = coupling_norms(network)
    edges = list(zip(order, (order[-1], *order[:-1]), strict=True))
    constants = {player: network.activations[player].lipschitz for player in order}
    norms = {edge[0]: enclosures[edge].upper for edge in edges}
    affine = all(is_affine(network.activations[player]) for player in order)
    single = [_Run((p,), (network.weights[p, k],), Fraction(constants[p]), enclosures[p, k]) for p, k in edges]
    value, runs, method = _product(single), single, "product of Lipschitz constants and safe spectral norms"
    lower = None
    if value >= 1 and (len(single) == 1 or any(is_affine(network.activations[player]) for player in order[:-1])):
        merged = _merge(network, single)
        if _product(merged) < value:
            value, runs, method = _product(merged), merged, f"{method} of merged affine layers"
        if affine and len(merged) == 1:
            lower = _lower(merged[0])
    if value > 1 and _is_at_most_one(runs):
        value, method = Fraction(1), f"{method}; at most 1 by exact rational arithmetic"
    groups = tuple(run.players for run in runs if len(run.players) > 1)
    return CompositeBound(round_up(value), lower, norms, constants, groups, method)


def _lower(run: _Run) -> float:
    """Bound gain |P| from below; 1.0 where the enclosure leaves 1 open and I/gain^2 - P'P is not positive definite."""
    lower = round_down(run.gain * Fraction(run.norm.lower))
    if not lower < 1 <= run.at_most() or not _is_small(run):
        return lower
    gap = _gap(run, 1 / run.gain**2)
    return lower if is_positive_semidefinite(gap) and gap.det() != 0 else 1.0


def is_affine(activation: Activation) -> bool:
    """Whether r is affine: all its slopes are equal."""
    low, high = activation.slope_range
    return low == high


def _product(runs: list[_Run]) -> Fraction | float:
    factors = [run.at_most() for run in runs]
    if 0 in factors:
        return Fraction(0)
    return math.inf if math.inf in factors else math.prod(factors, start=Fraction(1))


def _merge(network: Network, single: list[_Run]) -> list[_Run]:
    """Multiply weights over affine activations; a product too large to write out stays apart."""
    groups: list[list[_Run]] = [[single[0]]]
    for run in single[1:]:
        previous = groups[-1][-1]
        fits = all(max(w.shape) <= TIGHT_SIDE for w in (*previous.weights, *run.weights))
        if fits and is_affine(network.activations[previous.players[-1]]):
            groups[-1].append(run)
        else:
            groups.append([run])
    return [group[0] if len(group) == 1 else _joined(group) for group in groups]


def _joined(group: list[_Run]) -> _Run:
    weights = tuple(run.weights[0] for run in group)
    players = tuple(run.players[0] for run in group)
    gain = math.prod((run.gain for run in group), start=Fraction(1))
    return _Run(players, weights, gain, _product_norm([weight.dense for weight in weights]))


def _product_norm(matrices: list[Array]) -> Enclosure:
    """Enclose |A_m ... A_1|."""
    product = EnclosedProduct.of(matrices[0])
    for matrix in matrices[1:]:
        product = product.followed_by(matrix)
    return product.norm()


@dataclass(frozen=True)
class EnclosedProduct:
    """A product A_m ... A_1 = 2^exponent (value + E), |E| <= rounding entry by entry.

    Every matrix is scaled to row sums below 1 by a power of two, so nothing overflows; what underflows is less than a
    unit of rounding of the 1e-300 that each product adds to the magnitudes.
    """

    value: Array
    magnitude: Array
    terms: int
    exponent: int

    @classmethod
    def of(cls, matrix: Array) -> EnclosedProduct:
        """Return the product of one matrix."""
        scaled, exponent = _scaled_down(matrix)
        return cls(scaled, np.abs(scaled) + 1e-300, 2, exponent)

    def followed_by(self, matrix: Array) -> EnclosedProduct:
        """Return ``matrix`` times the product."""
        scaled, exponent = _scaled_down(matrix)
        magnitude = np.abs(scaled) @ self.magnitude + 1e-300
        return EnclosedProduct(
            scaled @ self.value, magnitude, self.terms + matrix.shape[1] + 2, self.exponent + exponent
        )

    @property
    def rounding(self) -> Array:
        """The componentwise bound on the error of ``value``."""
        return 1.01 * self.terms * _UNIT * self.magnitude + 1e-290

    def norm(self) -> Enclosure:
        """Enclose the norm: that of the computed product, plus the norm of its rounding."""
        found, error = spectral_norm(DenseMap(self.value)), norm_by_sums(self.rounding)
        upper, lower = (found.upper + error) * (1 + 4 * _UNIT), max(0.0, (found.lower - error) * (1 - 4 * _UNIT))
        unit = Fraction(2) ** self.exponent
        return Enclosure(round_down(Fraction(lower) * unit), round_up(Fraction(upper) * unit), found.method)


def norm_by_sums(error: Array) -> float:
    """Return an upper bound on the norm of a nonnegative matrix: sqrt(|E|_1 |E|_inf)."""
    return 1.01 * math.sqrt(float(error.sum(axis=0).max())) * math.sqrt(float(error.sum(axis=1).max()))


def _scaled_down(matrix: Array) -> tuple[Array, int]:
    """Return the matrix over the power of two that its row sums stay below, and the exponent."""
    first = math.frexp(float(np.abs(matrix).max()))[1]
    entries = np.ldexp(matrix, -first)
    second = math.frexp(float(np.abs(entries).sum(axis=1).max()))[1]
    return np.ldexp(entries, -second), first + second


def _is_at_most_one(runs: list[_Run]) -> bool:
    """Decide whether prod_j (gain_j |P_j|)^2 <= 1, P_j the exact products: each |P_j|^2 by its simplest rational bound.

    A float enclosure of |P|^2 that contains a simple rational s usually contains it because |P|^2 = s; that
    |P|^2 <= s is then proved by s I - P'P being positive semidefinite, and what remains is a product of rationals.
    """
    if not all(_is_small(run) and math.isfinite(run.norm.upper) for run in runs):
        return False
    floors = [run.gain * Fraction(run.norm.lower) for run in runs]
    if not math.prod(floors, start=Fraction(1)) <= 1:
        return False
    total = Fraction(1)
    for run in runs:
        total *= run.gain**2 * _square_bound(run, only=len(runs) == 1)
    return total <= 1


def _square_bound(run: _Run, *, only: bool) -> Fraction:
    low, high = Fraction(run.norm.lower) ** 2, Fraction(run.norm.upper) ** 2
    # Where nothing else contributes, the bound that is needed is known: |P|^2 <= 1/gain^2.
    candidate = min(1 / run.gain**2, high) if only and run.gain > 0 else simplest_between(low, high)
    return candidate if _norm_at_most(run, candidate) else high


def _norm_at_most(run: _Run, square: Fraction) -> bool:
    return is_positive_semidefinite(_gap(run, square))


def _is_small(run: _Run) -> bool:
    return all(max(weight.shape) <= EXACT_ORDER for weight in run.weights)


def _gap(run: _Run, square: Fraction) -> Any:
    """Return the rational matrix square I - P'P."""
    from flint import fmpq, fmpq_mat

    factors = [rational_matrix(weight.dense) for weight in run.weights]
    exact = reduce(lambda done, factor: factor * done, factors)
    n, bound = exact.ncols(), fmpq(square.numerator, square.denominator)
    identity = fmpq_mat(n, n, [bound * int(i == j) for i in range(n) for j in range(n)])
    return identity - exact.transpose() * exact
