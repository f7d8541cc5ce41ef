"""Working arrays: where they begin, that no two share memory, and that nothing a run returns lies in them."""

from __future__ import annotations

import threading

import numpy as np

import nngames as nng
from nngames.core import workspace as module
from nngames.core.workspace import MOST_KEPT, aligned, workspace


def first_byte(array: np.ndarray) -> int:
    return array.__array_interface__["data"][0]


def test_arrays_begin_at_cache_lines_and_share_nothing() -> None:
    for _ in range(3):
        with workspace():
            arrays = [aligned((3, k), kind) for k in range(1, 9) for kind in (np.float64, np.float32)]
            for k, array in enumerate(arrays):
                assert first_byte(array) % 64 == 0
                array[...] = k
            for k, array in enumerate(arrays):
                assert (array == k).all()
                assert array.flags.c_contiguous


def test_memory_is_kept_within_bounds() -> None:
    shape = (100, 300)
    for _ in range(2):
        with workspace():
            before = first_byte(aligned(shape, np.float64))
    with workspace():
        assert first_byte(aligned(shape, np.float64)) == before
        with workspace():
            # Of a run inside another one.
            assert not np.shares_memory(aligned(shape, np.float64), aligned(shape, np.float64))
        assert first_byte(aligned(shape, np.float64)) != before
    with workspace():
        aligned((MOST_KEPT,), np.float64)
    assert module._room.kept.size <= MOST_KEPT


def test_an_error_gives_the_memory_back() -> None:
    try:
        with workspace():
            raise ValueError
    except ValueError:
        pass
    assert not module._room.used


def test_every_thread_has_its_own() -> None:
    found: list[np.ndarray] = []

    def use() -> None:
        for _ in range(2):
            with workspace():
                found.append(aligned((50, 50), np.float64))

    thread = threading.Thread(target=use)
    with workspace():
        mine = aligned((50, 50), np.float64)
        thread.start()
        thread.join()
        assert not any(np.shares_memory(mine, other) for other in found)


def test_a_later_batch_leaves_results_as_they_are() -> None:
    rng = np.random.default_rng(0)
    weights = [0.8 * np.linalg.qr(rng.standard_normal((6, 6)))[0] for _ in range(2)]
    game = nng.Network.ring(weights, [np.ones(6)] * 2, ["tanh", "relu"]).game()
    for options in ({}, {"map": "joint"}):
        for starts in (rng.standard_normal((9, 12)), np.zeros((1, 12))):
            nng.solve_batch(game, starts, "picard", **options)
            result = nng.solve_batch(game, starts, "picard", max_iterations=5, **options)
            profiles, residuals = result.profiles.copy(), result.residuals.copy()
            nng.solve_batch(game, rng.standard_normal((9, 12)), "km", **options)
            np.testing.assert_array_equal(result.profiles, profiles)
            np.testing.assert_array_equal(result.residuals, residuals)
            np.testing.assert_allclose(residuals, game.residual(profiles), rtol=1e-9)
