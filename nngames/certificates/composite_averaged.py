"""Whether the composite map O of a ring is averaged, and which relaxations that licenses."""

from __future__ import annotations

import math
from fractions import Fraction
from functools import reduce
from typing import Any

import numpy as np

from nngames.certificates.certificate import Certificate, certificate_named
from nngames.certificates.composite_bounds import EnclosedProduct, composite_reason, norm_by_sums
from nngames.certificates.composite_cuts import CutBounds, cut_bounds
from nngames.certificates.expanding_pairs import unaveraged_pair
from nngames.certificates.figures import round_down, round_up, shown, simplest_between
from nngames.core.bounds import spectral_norm
from nngames.core.eigenvectors import eigenvector
from nngames.core.exact import EXACT_ORDER, is_positive_semidefinite, rational, rational_matrix
from nngames.core.operators import DenseMap, LinearMap
from nngames.core.verdicts import Decision, Verdict
from nngames.games import Game

_UNIT = 2.0**-53
# The shift found in floats is given up by these shares, until what is left can be proved.
_LOSSES = (0.0, 1e-9, 1e-6, 1e-3, 0.1)
_EXACT_SHARES = ((1 - 1e-9, 1 + 1e-9), (1 - 1e-3, 1 - 1e-6))
_NEWTON_STEPS = 30
#: Smaller shifts are rounding: alpha is taken as 1.
_LEAST_SHIFT = 1e-9
#: The identity is averaged with every alpha > 0.
_MOST_SHIFT = 1 - 2.0**-20


@certificate_named("composite_averaged")
class CompositeAveraged(Certificate):
    """O is alpha-averaged, 0 < alpha < 1, if |C W - (1 - alpha) I| + L - |C W| <= alpha, W = W_m ... W_1.

    L and C come from the cuts (``composite_cuts``): for firmly nonexpansive layers (slopes in [0, 1]) C = 2^-m, L =
    theta/2^{m-1}, and the condition is that of Combettes and Pesquet, |W - 2^m (1 - alpha) I| - |W| + 2 theta <= 2^m
    alpha [combettes2020]. With the slopes in [s, S] centred it also serves r that are not firmly nonexpansive. Every
    partial product's own norm is taken on rings of up to 8 layers of up to 400 coordinates; where it costs more,
    products longer than the witness's ``window`` are bounded by those of shorter ones. Where all layers have one size,
    averaged layers compose as well, alpha = 1/(1 + 1/sum_l a_l/(1 - a_l)), and the smaller alpha counts
    [combettes2020, bauschke2017].

    An averaged O with a fixed point licenses x + lambda_t (O(x) - x) for lambda_t in (0, 1/alpha) with sum lambda_t
    (1 - alpha lambda_t) = infinity [bauschke2017, Prop. 5.16]; it claims no fixed point. REFUTED by two points x, y
    with |O(x) - O(y)| >= |x - y| and O(x) - O(y) != x - y, computed in rationals or balls: an averaged map has
    |O(x) - O(y)|^2 <= |x - y|^2 - (1/alpha - 1) |(x - O(x)) - (y - O(y))|^2. Witness: ``alpha``, ``relaxations``
    (0, 1/alpha), ``lipschitz`` L, ``theta`` where every layer is taken as firmly nonexpansive, ``window``, ``rule``,
    ``centres`` and ``radii`` of the slopes by layer; or ``points`` x and y.
    """

    map = "composite"

    def applies(self, game: Game) -> str | None:
        """Return a reason unless the game is that of a linear ring."""
        return composite_reason(game)

    def decide(self, game: Any) -> Verdict:
        """Decide by the smaller constant of the two rules; else look for two points."""
        bounds = cut_bounds(game.network)
        found, rule = max((_cuts_shift(bounds), "cuts"), (_composed_shift(bounds, game), "composition of layers"))
        alpha, witness = round_up(1 - found), _witness(bounds)
        method = f"safe norms of partial products of up to {bounds.window} weights"
        if found > _LEAST_SHIFT and alpha < 1:
            most = round_down(1 / Fraction(alpha))
            statement = (
                f"the composite map O is averaged with alpha = {shown(alpha)}, so relaxations in (0, {most:.6g}) "
                "converge where O has a fixed point"
            )
            witness = {"alpha": alpha, "relaxations": [0.0, most], "rule": rule, **witness}
            references = ("combettes2020", "bauschke2017")
            change = f"larger weights or slopes; this proof holds until alpha, {shown(alpha)} now, reaches 1"
            how = f"{method}; {rule}"
            return Verdict(Decision.PROVED, statement, how, 1 - alpha, witness, references, would_change=change)
        pair = unaveraged_pair(game)
        if pair is not None:
            statement = (
                "the composite map O is not averaged: two points x and y have |O(x) - O(y)| >= |x - y| and O(x) - O(y) "
                "!= x - y"
            )
            how = f"two points, {pair.method}"
            evidence = {"points": list(pair.points), "growth": pair.growth}
            change = "weights or activations for which O brings these two points closer together"
            return Verdict(Decision.REFUTED, statement, how, pair.growth, evidence, would_change=change)
        statement = (
            f"the composite map O is not shown to be averaged: its Lipschitz constant is at most "
            f"{shown(witness['lipschitz'])}, and no alpha < 1 meets the condition on the partial products, which is "
            "only sufficient"
        )
        change = "smaller weights or slopes, a sharper condition, or two points that refute it"
        return Verdict(Decision.UNDECIDED, statement, method, None, witness, ("combettes2020",), would_change=change)


def _witness(bounds: CutBounds) -> dict[str, Any]:
    centres = {p: float(split.centre) for p, split in zip(bounds.order, bounds.splits, strict=True)}
    radii = {p: float(split.radius) for p, split in zip(bounds.order, bounds.splits, strict=True)}
    witness = {"lipschitz": round_up(bounds.lipschitz), "window": bounds.window, "centres": centres, "radii": radii}
    theta = bounds.theta
    return witness if theta is None else {"theta": round_up(theta), **witness}


def _cuts_shift(bounds: CutBounds) -> Fraction:
    """Return a beta = 1 - alpha >= 0 proved by the cuts; 0 where there is none."""
    lipschitz = bounds.lipschitz
    # An L-Lipschitz map is (1 + L)/2-averaged.
    by_contraction = (1 - Fraction(lipschitz)) / 2 if lipschitz < 1 else Fraction(0)
    if bounds.whole is None or bounds.rest == math.inf or not _may_hold(lipschitz):
        return by_contraction
    return max(by_contraction, _Shift(bounds.weights, bounds.whole, bounds.gain).largest(1 - Fraction(bounds.rest)))


def _may_hold(lipschitz: Fraction | float) -> bool:
    """Whether |CW - beta I| + L - |CW| <= 1 - beta is possible: its left side is at least L - beta."""
    return lipschitz <= 1 + 1e-9


def _composed_shift(bounds: CutBounds, game: Any) -> Fraction:
    """Return beta = 1 - alpha of the composition of layers that are each averaged; 0 where one is not proved to be."""
    sizes = {n for weight in bounds.weights for n in weight.shape}
    if len(sizes) > 1 or bounds.whole is None:
        return Fraction(0)
    total = Fraction(0)
    for weight, split in zip(bounds.weights, bounds.splits, strict=True):
        bound = spectral_norm(weight).upper
        if bound == math.inf:
            return Fraction(0)
        product, norm = EnclosedProduct.of(weight.dense), Fraction(bound)
        # alpha/(1 - alpha) of the layer as a whole, and of its activation after its weight: (1 - s)/(1 + s) for r.
        odds = [_odds(_Shift((weight,), product, split.centre).largest(1 - split.radius * norm))]
        if split.lipschitz <= 1:
            lowest = split.centre - split.radius
            odds.append(_odds(_Shift((weight,), product, Fraction(1)).largest(Fraction(1))) + _odds((1 + lowest) / 2))
        if min(odds) == math.inf:
            return Fraction(0)
        total += Fraction(min(odds))
    return 1 / (1 + total)


def _odds(beta: Fraction) -> Fraction | float:
    return 1 / beta - 1 if beta > 0 else math.inf


class _Shift:
    """The largest beta with |C W - beta I| <= s - beta that can be proved, W a product of weights.

    h(beta) = |C W - beta I| + beta is convex and nondecreasing, so Newton's method from the right falls to the last
    beta with h <= s, and what holds there holds below.
    """

    def __init__(self, weights: tuple[LinearMap, ...], product: EnclosedProduct, gain: Fraction) -> None:
        self._weights, self._gain = weights, gain
        factor = round_up(gain * Fraction(2) ** product.exponent) if product.exponent < 900 else math.inf
        with np.errstate(over="ignore", invalid="ignore"):
            self._matrix = factor * product.value
            self._error = abs(factor) * product.rounding + 4 * _UNIT * np.abs(self._matrix) + 1e-290

    def largest(self, total: Fraction) -> Fraction:
        """Return a proved beta for s = ``total``, 0 where none is found."""
        if total <= 0 or not np.isfinite(self._matrix).all():
            return Fraction(0)
        estimate, slope = self._estimate(float(total))
        if not estimate >= _LEAST_SHIFT:
            return Fraction(0)
        first = excess = Fraction(0)
        for loss in _LOSSES:
            # h falls by about the slope times the loss: what cannot make up for half the first excess is not tried.
            if slope * loss * estimate < first / 2:
                continue
            beta = round_down(Fraction(estimate) * (1 - Fraction(loss)))
            excess = self._upper(beta) + Fraction(beta) - total
            if excess <= 0:
                return Fraction(beta)
            first = first or excess
        if excess < 2e-9:
            # Where h equals s on a whole interval, as with norms of exactly 1, no rounding is allowed.
            for low, high in _EXACT_SHARES:
                simple = simplest_between(Fraction(estimate) * Fraction(low), Fraction(estimate) * Fraction(high))
                if self._holds_exactly(simple, total):
                    return simple
        return Fraction(0)

    def _estimate(self, total: float) -> tuple[float, float]:
        """Return the last beta with h(beta) <= s, and h's slope near it, in floats."""
        beta, slope, last = min(total, _MOST_SHIFT), 0.0, len(self._matrix) - 1
        for _ in range(_NEWTON_STEPS):
            shifted = self._matrix - beta * np.eye(len(self._matrix))
            with np.errstate(over="ignore", invalid="ignore"):
                gram = shifted.T @ shifted
            if not np.isfinite(gram).all():
                return 0.0, slope
            right = eigenvector(gram, last)
            image = shifted @ right
            norm = float(np.linalg.norm(image))
            excess = norm + beta - total
            slope = 1 - (float(image @ right) / norm if norm > 0 else 0.0)
            if excess <= 1e-13 or slope <= 0:
                break
            beta -= excess / slope
            if beta < _LEAST_SHIFT:
                break
        return beta, slope

    def _upper(self, beta: float) -> Fraction:
        """Return an upper bound on |C W - beta I|."""
        shifted = self._matrix - beta * np.eye(len(self._matrix))
        error = self._error + 2 * _UNIT * np.abs(shifted)
        return Fraction(spectral_norm(DenseMap(shifted)).upper) + Fraction(norm_by_sums(error))

    def _holds_exactly(self, beta: Fraction, total: Fraction) -> bool:
        """Decide |C W - beta I| <= s - beta in rationals, up to order ``EXACT_ORDER``."""
        if beta > total or any(max(weight.shape) > EXACT_ORDER for weight in self._weights):
            return False
        factors = [rational_matrix(weight.dense) for weight in self._weights]
        exact = reduce(lambda done, factor: factor * done, factors)
        n = exact.nrows()
        shifted = exact * rational(self._gain) - _multiple_of_identity(beta, n)
        return is_positive_semidefinite(_multiple_of_identity((total - beta) ** 2, n) - shifted.transpose() * shifted)


def _multiple_of_identity(value: Fraction, n: int) -> Any:
    from flint import fmpq_mat

    return fmpq_mat(n, n, [rational(value) * int(i == j) for i in range(n) for j in range(n)])
