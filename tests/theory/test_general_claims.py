"""The source's general claims about activations, re-decided in floating and symbolic ways of their own."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np

from nngames.claims import general_claims


def test_verdicts() -> None:
    assert {name: str(verdict.status) for name, verdict in general_claims().items()} == {
        "averaged_maps_are_resolvents": "REFUTED",
        "composition_rule_for_layers": "REFUTED",
        "compositions_need_not_be_convex": "PROVED",
        "not_strict_contractions": "PROVED",
    }


def test_the_plane_map_is_firmly_nonexpansive_and_no_gradient() -> None:
    """Its matrix is not symmetric, so it is no gradient; its cycle sum is recomputed in floats and shown minimal."""
    witness = general_claims()["averaged_maps_are_resolvents"].witness["plane"]
    matrix = np.array([[0.5, -0.5], [0.5, 0.5]])
    assert not np.array_equal(matrix, matrix.T)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 2))
    moved = x @ matrix.T
    # Firmly nonexpansive: |Tx|^2 <= <x, Tx>; here with equality.
    np.testing.assert_allclose(np.sum(moved**2, -1), np.sum(x * moved, -1), atol=1e-12)
    points = np.array([[float(Fraction(t)) for t in point] for point in witness["points"]])
    sums = []
    for cycle in (points, points[::-1]):
        after = np.roll(cycle, -1, axis=0)
        sums.append(float(np.sum((cycle - after) * (cycle @ matrix.T))))
    assert min(sums) == float(Fraction(witness["cyclic sum"])) == -1.0
    # Three points are never enough for this map.
    for triple in itertools.permutations(points, 3):
        cycle = np.array(triple)
        assert np.sum((cycle - np.roll(cycle, -1, axis=0)) * (cycle @ matrix.T)) >= 0


def test_the_two_layers_violate_the_rule() -> None:
    verdict = general_claims()["composition_rule_for_layers"]
    gamma = Fraction(verdict.witness["rule"])
    assert gamma == Fraction(2, 3)

    def network(x: float) -> float:
        return max(0.0, 1.0 * max(0.0, -1.0 * x))

    x, y = -1.0, 0.0
    moved = network(x) - network(y)
    assert abs(float(gamma) * (x - y) + moved - (x - y)) > float(gamma) * abs(x - y)
    # Both activations satisfy theirs, with the constant 1/2 each.
    for a, b in itertools.product(np.linspace(-3, 3, 25), repeat=2):
        assert abs(0.5 * (a - b) + max(0, a) - max(0, b) - (a - b)) <= 0.5 * abs(a - b) + 1e-15


def test_the_composition_is_not_convex() -> None:
    witness = general_claims()["compositions_need_not_be_convex"].witness
    left, middle, right = (Fraction(t) for t in witness["values"])
    assert middle > (left + right) / 2
