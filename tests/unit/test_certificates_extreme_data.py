"""Certificates on data that lose digits or leave the range of floats: underflow, overflow, float32, split entries."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from scipy import sparse

import nngames as nng
from nngames.certificates import verdict_of
from nngames.certificates.least_eigenvalue import least_eigenvalue


def _ring(weights: list[np.ndarray]) -> nng.Network:
    sizes = [len(w) for w in weights]
    return nng.Network.ring(weights, [np.zeros(n) for n in sizes], ["identity"] * len(weights))


def test_a_product_that_underflows_on_the_way_is_no_contraction() -> None:
    game = _ring([np.array([[w]]) for w in (1e-200, 1e-200, 1e300, 1e300)]).game()
    for name in ("composite_contraction", "composite_nonexpansive"):
        verdict = verdict_of(name, game)
        assert verdict.refuted
        assert 0.99e200 < verdict.witness["norm_lower"] < 1.01e200


def test_no_bound_is_below_the_norm_of_a_product_of_wide_range() -> None:
    weights = [np.diag(d) for d in ([1e300, 1.0], [1e300, 1.0], [1e-200, 0.5], [1e-300, 0.5], [1e-200, 0.5])]
    verdict = verdict_of("composite_contraction", _ring(weights).game())
    assert not verdict.proved or verdict.witness["factor"] >= 0.125


def test_a_product_that_overflows_on_the_way_is_bounded() -> None:
    rng = np.random.default_rng(5)
    rotation = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    game = _ring([1e250 * rotation, 1e250 * rotation.T, 1e-250 * rotation, 0.5e-250 * rotation]).game()
    verdict = verdict_of("composite_contraction", game)
    assert verdict.proved
    assert 0.5 <= verdict.witness["factor"] * (1 + 1e-9) < 0.5 * (1 + 1e-6)


def test_a_product_of_slopes_beyond_floats_is_decided_where_a_weight_is_zero() -> None:
    steep = nng.activation("linear", slope=1e200)
    game = nng.Network.ring([[[0.0]], [[1.0]]], [np.zeros(1)] * 2, [steep, steep]).game()
    verdict = verdict_of("composite_averaged", game)
    # O = 0 is averaged with every alpha from 1/2 on.
    assert verdict.proved
    assert 0.5 <= verdict.witness["alpha"] < 0.5 + 1e-9
    assert verdict_of("composite_contraction", game).witness["factor"] == 0


@pytest.mark.parametrize("name", ["joint_contraction", "neuron_contraction"])
def test_only_what_is_on_a_circuit_would_change_a_spectral_radius(name: str) -> None:
    def chain(weight: float, back: float) -> nng.Game:
        graph = {("b", "a"): [[weight]], ("c", "b"): [[weight]], ("a", "c"): [[back]]}
        weights = {edge: w for edge, w in graph.items() if w != [[0.0]]}
        return nng.Network.graph(weights, {p: [0.0] for p in "abc"}, dict.fromkeys("abc", "tanh")).game()

    for verdict in (verdict_of(name, chain(weight, 0.0)) for weight in (1.0, 1e6)):
        assert verdict.proved
        assert "around a circuit of couplings" in verdict.would_change
    assert not verdict_of(name, chain(1e6, 1e-11)).proved


def test_float32_weights_are_added_in_full_precision() -> None:
    # Exactly, w_12 + w_21 > 2/S, so M has the eigenvalue 1/S - (w_12 + w_21)/2 < 0; the float32 sum is below 2/S.
    response = nng.activation("linear", slope=1.93)
    threshold = 2 / 1.93
    low = np.float32(threshold)
    low = low if float(low) <= threshold else np.nextafter(low, np.float32(0))
    middle = (float(low) + float(np.nextafter(low, np.float32(2)))) / 2
    first = np.float32(0.95 * float(low))
    second = np.float32((threshold + middle) / 2 - float(first))
    assert Fraction(float(first)) + Fraction(float(second)) > 2 / Fraction(1.93) > Fraction(float(first + second))
    weights = [np.array([[w]], dtype=np.float32) for w in (first, second)]
    game = nng.Network.ring(weights, [np.zeros(1, dtype=np.float32)] * 2, [response, response]).game()
    assert verdict_of("monotone", game).refuted


def test_an_entry_stored_in_two_parts_counts_as_their_sum() -> None:
    split = sparse.csr_matrix((np.array([3.0, -2.0, 1.0]), np.array([1, 1, 0]), np.array([0, 2, 3])), shape=(2, 2))
    game = nng.Network.recurrent(split, [0, 0], "identity").game(players="neurons")
    assert verdict_of("exact_potential", game).proved


def test_weights_beyond_floats_are_proved_and_give_no_function() -> None:
    weights = {(1, 2): 1e200, (2, 1): 1e-100, (2, 3): 1e200, (3, 2): 1e-100}
    game = nng.Network.graph(weights, {1: [0.0], 2: [0.0], 3: [0.0]}, "identity").game()
    report = nng.check_potential(game, data_tolerance=0)
    assert report.weighted.proved
    assert report.potential is None
    assert report.weights is not None
    assert report.weights[1] * Fraction(1e200) == report.weights[2] * Fraction(1e-100)
    assert report.weights[2] * Fraction(1e200) == report.weights[3] * Fraction(1e-100)


def test_a_coupling_below_the_data_tolerance_is_dropped_only_in_words() -> None:
    # The floats as they are have an improvement cycle: one of the two wants to agree, the other to differ.
    game = nng.Network.recurrent(np.array([[0, 1], [-1e-13, 0]]), [0, 0], "identity").game(players="neurons")
    assert nng.check_potential(game, data_tolerance=0).acyclic.refuted
    acyclic = nng.check_potential(game).acyclic
    assert acyclic.proved
    assert "data tolerance 1e-12" in acyclic.statement
    open_chain = nng.Network.chain([[[1.0]], [[2.0]]], [[0.0], [0.0]], ["relu", "relu"], [1.0]).game()
    assert "data tolerance" not in nng.check_potential(open_chain).acyclic.statement


def test_nearly_parallel_equations_leave_the_direction_exact() -> None:
    # The direction is (2, -1, 0); W_2 differs from W_1' by a matrix that this direction does not see.
    plane = nng.activation("affine", matrix=[[1.0, 2.0, 3.0], [1.0, 2.0, 3.0 + 2.0**-30]], offset=[0.0, 0.0])
    first = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 10.0]])
    second = first.T + np.outer([3.0, 1.0, 2.0], [1.0, 2.0, 5.0])
    game = nng.Network.ring([first, second], [np.zeros(3)] * 2, [plane, plane]).game()
    for tolerance in (0, 1e-12):
        assert nng.check_potential(game, data_tolerance=tolerance).exact.proved
    other = nng.Network.ring([first, second + np.diag([1e-9, 0, 0])], [np.zeros(3)] * 2, [plane, plane]).game()
    for tolerance in (0, 1e-12):
        assert nng.check_potential(other, data_tolerance=tolerance, max_seconds=0.1).exact.refuted


def test_a_thin_polyhedron_is_not_flat() -> None:
    # Along (1, -1) the couplings agree, across it they do not: the strip 1 - width <= x_1 + x_2 <= 1 has both.
    first = np.array([[1.0, 2.0], [3.0, 4.0]])
    second = first.T + np.outer([1.0, 1.0], [3.0, 5.0])

    def exact(width: float) -> nng.Verdict:
        strip = nng.activation("polyhedron", matrix=[[1.0, 1.0], [-1.0, -1.0]], offset=[1.0, width - 1.0])
        return verdict_of(
            "exact_potential", nng.Network.ring([first, second], [np.zeros(2)] * 2, [strip, strip]).game()
        )

    assert exact(0.0).proved
    assert exact(1e-9).refuted
    assert exact(2.0**-52).refuted


BOX = {"name": "box", "lower": [-1.0, -1.0], "upper": [1.0, 2.0]}
TURN = np.array([[1.0, 1.0], [1.0, -1.0]])


def ring_of(weights: list[Any], activation: Any = "relu") -> nng.NetworkGame:
    arrays = [np.array(weight, dtype=float) for weight in weights]
    return nng.Network.ring(arrays, [np.zeros(len(w)) for w in arrays], [activation] * len(arrays)).game()


@pytest.mark.parametrize(
    "weights",
    [
        [[[1e160]], [[1e160]]],
        [[[1e155]], [[-1e155]]],
        [TURN * 1e-200, TURN * 1e200],
        [TURN * 1e154, -TURN.T * 1e154],
        [TURN * 1e155, TURN * 1e155],
    ],
)
@pytest.mark.filterwarnings("ignore:overflow encountered", "ignore:invalid value encountered")
def test_every_certificate_decides_where_squares_overflow(weights: list[Any]) -> None:
    verdicts = nng.certify(ring_of(weights))
    assert all(verdict.statement for verdict in verdicts.values())
    if np.min(weights) > 0:
        # Positive signals pass both layers, and grow.
        assert not verdicts["composite_averaged"].proved


@pytest.mark.parametrize(
    "game",
    [
        lambda: ring_of([np.eye(2) / 2], BOX),
        lambda: nng.QuadraticGame(
            {0: 2 * np.eye(2), 1: np.eye(2)}, {(0, 1): np.eye(2), (1, 0): np.eye(2)}, {}, {0: BOX}
        ),
    ],
)
def test_boxes_with_ends_for_each_coordinate_are_certified(game: Any) -> None:
    assert nng.certify(game())["existence"].statement
    assert nng.certify(ring_of([np.eye(2) / 2], BOX))["existence"].proved


def test_a_direction_is_found_where_the_entries_span_the_floats() -> None:
    # Factorised as it stands, this matrix makes LAPACK give up.
    matrix = 2 * np.eye(5)
    matrix[0, 0], matrix[0, 1], matrix[0, 4], matrix[3, 4] = 1e-152, -1e148, -1e250, -0.3
    matrix = np.triu(matrix) + np.triu(matrix, 1).T
    lower, upper, direction = least_eigenvalue(sparse.csr_array(matrix), sparse.csr_array((5, 5)))
    assert lower <= -1e250 <= upper
    assert direction is not None
    assert direction @ (matrix @ direction) < -0.99e250 * (direction @ direction)
