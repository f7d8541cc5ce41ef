"""Composite cuts: a Lipschitz constant of the composite map that lies between |W_m ... W_1| and the product of norms.

Write r_k(u) - r_k(u') = c_k (u - u') + g_k e with |e| <= |u - u'|: for slopes in [s, S] and a gradient map (a separable
one, say) c = (s + S)/2 and g = (S - s)/2, since the Jacobians are symmetric; for any other r, c = 0 and g = lip. With
d_0 = x - y and d_k the difference after layer k, unrolled from the last layer k < m whose e is taken,

    W_m d_{m-1} = c_{m-1} ... c_1 W_m ... W_1 d_0 + sum_{j<m} c_{m-1} ... c_{j+1} g_j W_m ... W_{j+1} e_j,

and |e_j| <= |W_j d_{j-1}|, so |W_k d_{k-1}| <= t_k |d_0| with t_1 = |W_1| and

    t_k = |c_{k-1} ... c_1| |W_k ... W_1| + sum_{j<k} |c_{k-1} ... c_{j+1}| g_j |W_k ... W_{j+1}| t_j.

O is lip_m t_m-Lipschitz, and O - (1 - alpha) Id is (|C W - (1 - alpha) I| + lip_m t_m - |C W|)-Lipschitz with W = W_m
... W_1 and C = c_m ... c_1. For firmly nonexpansive layers (c = g = 1/2) t_m = theta/2^{m-1}, theta the sum over all
sets of cuts, and the second bound is that of Combettes and Pesquet [combettes2020]: the recurrence over the last cut
sums 2^{m-1} terms in m^2 steps.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from weakref import WeakKeyDictionary

import numpy as np

from nngames.activations import Activation
from nngames.certificates.composite_bounds import EnclosedProduct
from nngames.certificates.figures import product
from nngames.certificates.norms import coupling_norms
from nngames.core.bounds import TIGHT_SIDE
from nngames.core.operators import LinearMap
from nngames.core.profiles import Player
from nngames.networks import Network

# That many partial products, and sides cubed of them, are formed at most: all of them up to 8 layers of side 400.
_MOST_PRODUCTS, _MOST_WORK = 128, 3e9

Bound = Fraction | float


@dataclass(frozen=True)
class Split:
    """r(u) - r(u') = centre (u - u') + radius e with |e| <= |u - u'|."""

    centre: Fraction
    radius: Fraction

    @property
    def lipschitz(self) -> Fraction:
        """A Lipschitz constant of r."""
        return abs(self.centre) + self.radius


@dataclass(frozen=True)
class CutBounds:
    """What the cuts give for a ring of m layers.

    Attributes
    ----------
    order : tuple
        The layers, from the one that the last layer feeds to the last.
    weights : tuple of LinearMap
        W_1, ..., W_m.
    splits : tuple of Split
    window : int
        The most factors of a partial product whose own norm was taken; longer ones are bounded by shorter ones.
    reach : Fraction or inf
        t_m.
    rest : Fraction or inf
        lip_m t_m - |C W|, the part that the shift by (1 - alpha) Id leaves alone.
    whole : EnclosedProduct or None
        W_m ... W_1; None where it is too large to be written out.
    """

    order: tuple[Player, ...]
    weights: tuple[LinearMap, ...]
    splits: tuple[Split, ...]
    window: int
    reach: Bound
    rest: Bound
    whole: EnclosedProduct | None

    @property
    def lipschitz(self) -> Bound:
        """A Lipschitz constant of O."""
        return product((self.splits[-1].lipschitz, self.reach))

    @property
    def gain(self) -> Fraction:
        """C = c_m ... c_1."""
        return math.prod((split.centre for split in self.splits), start=Fraction(1))

    @property
    def theta(self) -> Bound | None:
        """The sum over all sets of cuts where every layer is taken as firmly nonexpansive; None elsewhere."""
        firm = all(split == Split(Fraction(1, 2), Fraction(1, 2)) for split in self.splits)
        return product((Fraction(2) ** (len(self.splits) - 1), self.reach)) if firm else None


_cuts: WeakKeyDictionary[Network, CutBounds] = WeakKeyDictionary()


def cut_bounds(network: Network) -> CutBounds:
    """Return the bounds of the composite map of a linear ring with Lipschitz layers, computed once."""
    if network not in _cuts:
        _cuts[network] = _bounds(network)
    return _cuts[network]


def split_of(activation: Activation) -> Split:
    """Return the centre and radius of the slopes of a Lipschitz activation."""
    if not activation.gradient:
        return Split(Fraction(0), Fraction(activation.lipschitz))
    low, high = (Fraction(end) for end in activation.slope_range)
    return Split((low + high) / 2, (high - low) / 2)


def _bounds(network: Network) -> CutBounds:
    order = network.ring_order or ()
    edges = list(zip(order, (order[-1], *order[:-1]), strict=True))
    weights = tuple(network.weights[edge] for edge in edges)
    single = [coupling_norms(network)[edge].upper for edge in edges]
    splits = tuple(split_of(network.activations[player]) for player in order)
    window = _window(weights)
    if window == 1:
        return CutBounds(order, weights, splits, window, *_whole_sums(single, splits), _whole(weights, None))
    norms, whole = _partial_norms(weights, single, window)
    reach: list[Bound] = []
    for k in range(len(order)):
        shares, gain = [], Fraction(1)
        for j in range(k - 1, -1, -1):
            shares.append(product((gain, splits[j].radius, norms[j + 1, k], reach[j])))
            gain *= abs(splits[j].centre)
        rest: Bound = sum(shares, Fraction(0)) if math.inf not in shares else math.inf
        reach.append(rest + product((gain, norms[0, k])))
    # The loop's last ``rest`` leaves out the full product, which the shift is taken from.
    last = product((abs(splits[-1].centre), rest)) + product((splits[-1].radius, reach[-1]))
    return CutBounds(order, weights, splits, window, reach[-1], last, whole)


def _whole_sums(single: list[float], splits: tuple[Split, ...]) -> tuple[Bound, Bound]:
    """Return t_m and lip_m t_m - |C| |W_m| ... |W_1| where of partial products only the factors' norms are known.

    Then t_k = lip_{k-1} |W_k| t_{k-1}: the sum over the cuts is a product of factors c + g = lip multiplied out.
    """
    norms = [_exact(norm) for norm in single]
    reach = product((*norms, *(split.lipschitz for split in splits[:-1])))
    whole = product((splits[-1].lipschitz, reach))
    straight = product((*norms, *(abs(split.centre) for split in splits)))
    return reach, math.inf if math.inf in (whole, straight) else whole - straight


def _exact(norm: float) -> Bound:
    return math.inf if math.isinf(norm) else Fraction(norm)


def _window(weights: tuple[LinearMap, ...]) -> int:
    """Return how many factors the longest partial products have that can be afforded."""
    m, side = len(weights), max(max(weight.shape) for weight in weights)
    if side > TIGHT_SIDE or not all(weight.has_dense for weight in weights):
        return 1
    most, length, count = min(_MOST_PRODUCTS, _MOST_WORK / side**3), 1, 0
    while length < m and count + m - length <= most:
        count += m - length
        length += 1
    return length


def _partial_norms(
    weights: tuple[LinearMap, ...], single: list[float], window: int
) -> tuple[dict[tuple[int, int], Bound], EnclosedProduct | None]:
    """Return upper bounds on |W_k ... W_j| by (j, k), and the full product."""
    m = len(weights)
    norms: dict[tuple[int, int], Bound] = {(k, k): _exact(norm) for k, norm in enumerate(single)}
    partial: dict[int, EnclosedProduct] = {}
    for length in range(1, m + 1):
        for j in range(m - length + 1):
            k = j + length - 1
            if length > 1:
                # The shortest last factor of the least product is one whose own norm was taken.
                norms[j, k] = min(product((norms[j, i], norms[i + 1, k])) for i in range(max(j, k - window), k))
            if length > window:
                continue
            if length == 1:
                partial[j] = EnclosedProduct.of(weights[j].dense)
            else:
                partial[j] = partial[j].followed_by(weights[k].dense)
                upper = partial[j].norm().upper
                norms[j, k] = norms[j, k] if math.isinf(upper) else min(norms[j, k], Fraction(upper))
    return norms, _whole(weights, partial.get(0) if window == m else None)


def _whole(weights: tuple[LinearMap, ...], known: EnclosedProduct | None) -> EnclosedProduct | None:
    if known is not None or not all(weight.has_dense and max(weight.shape) <= TIGHT_SIDE for weight in weights):
        return known
    whole = EnclosedProduct.of(weights[0].dense)
    for weight in weights[1:]:
        whole = whole.followed_by(np.asarray(weight.dense))
    return whole
