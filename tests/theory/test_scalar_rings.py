"""Composite certificates on rings whose last layer is a number, where the slopes of O are known from those of r.

O is a function on the line whose slopes lie between the extreme values of S_m W_m D_{m-1} ... D_1 W_1 over diagonal D
with the layers' extreme slopes, which is all that weights and slopes tell. So it is nonexpansive if these are in
[-1, 1], a contraction if inside, and averaged with alpha if they are in [1 - 2 alpha, 1]: no certificate may say more.
"""

from __future__ import annotations

import itertools
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import nngames as nng
from nngames.certificates import verdict_of
from nngames.certificates.composite_averaged import _composed_shift, _Shift
from nngames.certificates.composite_bounds import EnclosedProduct
from nngames.certificates.composite_cuts import cut_bounds
from nngames.core.operators import DenseMap

ACTIVATIONS: tuple[tuple[Any, tuple[float, float]], ...] = (
    ("relu", (0.0, 1.0)),
    ("identity", (1.0, 1.0)),
    ("hard_tanh", (0.0, 1.0)),
    ("absolute_value", (-1.0, 1.0)),
    ({"name": "relu", "slope": 0.5}, (0.0, 0.5)),
    ({"name": "leaky_relu", "slope": 0.25}, (0.25, 1.0)),
    ({"name": "linear", "slope": -1.0}, (-1.0, -1.0)),
    ({"name": "linear", "slope": 2.0}, (2.0, 2.0)),
    ({"name": "tanh", "scale": 0.25}, (0.0, 0.25)),
)


def drawn(rng: np.random.Generator) -> tuple[Any, float, float, list[int]]:
    """Return a game, the extreme slopes of O and the sizes of its layers."""
    sizes = [*rng.integers(1, 4, size=int(rng.integers(1, 3))).tolist(), 1]
    if rng.random() < 0.4:
        sizes = [1] * len(sizes)
    weights = [np.round(4 * rng.standard_normal((sizes[i], sizes[i - 1]))) / 4 for i in range(len(sizes))]
    chosen = [ACTIVATIONS[i] for i in rng.integers(len(ACTIVATIONS), size=len(sizes))]
    game = nng.Network.ring(weights, [rng.standard_normal(n) for n in sizes], [mapping for mapping, _ in chosen]).game()
    products = [np.eye(1)]
    for weight, (_, ends), n in zip(weights, chosen, sizes, strict=True):
        masks = itertools.product(sorted(set(ends)), repeat=n)
        products = [np.diag(mask) @ weight @ known for mask in masks for known in products]
    values = [float(product[0, 0]) for product in products]
    return game, min(values), max(values), sizes


def test_no_certificate_says_more_than_the_slopes() -> None:
    rng = np.random.default_rng(5)
    counts = dict.fromkeys(("contraction", "nonexpansive", "averaged", "composed", "wide"), 0)
    names = ("composite_contraction", "composite_nonexpansive", "composite_averaged", "composite_lipschitz")
    for _ in range(300):
        game, low, high, sizes = drawn(rng)
        # All these numbers are dyadic and small, so that they are exact.
        reach = max(abs(low), abs(high))
        contraction, nonexpansive, averaged, lipschitz = (verdict_of(name, game) for name in names)
        assert all(bound >= reach for bound in lipschitz.witness["bounds"].values())
        assert lipschitz.witness["bounds"]["masks"] == pytest.approx(reach, rel=1e-12)
        if contraction.proved:
            counts["contraction"] += 1
            assert contraction.witness["factor"] >= reach
        if nonexpansive.proved:
            counts["nonexpansive"] += 1
            assert nonexpansive.witness["lipschitz"] >= reach
            assert reach <= 1
        if averaged.proved:
            counts["averaged"] += 1
            counts["wide"] += max(sizes) > 1
            assert 1 - 2 * averaged.witness["alpha"] <= low
            assert high <= 1
        # The other rule, which is seldom the better one.
        composed = _composed_shift(cut_bounds(game.network), game)
        if composed > 0:
            counts["composed"] += 1
            assert max(sizes) == 1
            assert 2 * composed - 1 <= low
            assert high <= 1
    assert min(counts.values()) >= 10, counts


@pytest.mark.parametrize(("mapping", "ends"), ACTIVATIONS)
@pytest.mark.parametrize("weight", [0.5, -0.5, 1.0, -0.75, 3.0, -3.0])
def test_a_scaled_number_is_averaged_with_the_least_constant(
    mapping: Any, ends: tuple[float, float], weight: float
) -> None:
    game = nng.Network.ring([[[1.0]], [[weight]]], [[0.0], [0.5]], ["identity", mapping]).game()
    low, high = sorted((weight * ends[0], weight * ends[1]))
    verdict = verdict_of("composite_averaged", game)
    if high <= 1 and low > -1:
        assert verdict.proved
        assert verdict.witness["alpha"] == pytest.approx((1 - low) / 2, rel=1e-6, abs=1e-5)
    else:
        assert not verdict.proved


def test_a_shift_is_proved_apart_from_its_estimate(monkeypatch: pytest.MonkeyPatch) -> None:
    # |0 - beta| <= 1 - beta up to beta = 1/2, whatever was estimated.
    weight = DenseMap(np.zeros((2, 2)))
    shift = _Shift((weight,), EnclosedProduct.of(weight.dense), Fraction(1))
    assert shift._holds_exactly(Fraction(1, 2), Fraction(1))
    assert not shift._holds_exactly(Fraction(3, 4), Fraction(1))
    for estimate in (0.9, 0.6, 0.5 + 1e-10, 0.5, 0.3):
        monkeypatch.setattr(shift, "_estimate", lambda total, estimate=estimate: (estimate, 1.0))
        assert shift.largest(Fraction(1)) <= Fraction(1, 2)


def test_a_map_whose_gap_is_rounding_is_not_averaged_with_the_constant_one() -> None:
    game = nng.Network.ring([[[-1.0 + 2.0**-53]], [[1.0]]], [[0.0]] * 2, ["identity"] * 2).game()
    assert verdict_of("composite_contraction", game).proved
    assert not verdict_of("composite_averaged", game).proved
