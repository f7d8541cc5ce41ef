"""Passes near a base, with large products in single precision, and runs of Anderson acceleration that make them."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import numpy as np
import pytest
from scipy.sparse.linalg import LinearOperator, gmres

import nngames as nng
from nngames.networks import from_base
from nngames.networks.from_base import PassesFromBase
from nngames.solvers.automatic import turns
from nngames.solvers.differences import LARGEST_GRAM

#: The unit roundoff of single precision.
UNIT = 2.0**-24


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small products in single precision as well."""
    monkeypatch.setattr(from_base, "LARGE_PRODUCT", 0)


def ring(sizes: list[int], activation: str = "tanh", factor: float = 0.9) -> nng.NetworkGame:
    """Return the game of a ring with weights of one norm."""
    rng = np.random.default_rng(0)
    weights = [rng.standard_normal((n, sizes[layer - 1])) for layer, n in enumerate(sizes)]
    weights = [factor * weight / np.linalg.norm(weight, 2) for weight in weights]
    return nng.Network.ring(weights, [rng.standard_normal(n) for n in sizes], [activation] * len(sizes)).game()


@pytest.mark.parametrize("kind", ["composite", "joint"])
@pytest.mark.parametrize(("sizes", "activation"), [([20], "tanh"), ([12, 25, 7], "relu"), ([9, 9], "softmax")])
def test_rounding_is_relative_to_the_distance_from_the_base(
    small: None, kind: str, sizes: list[int], activation: str
) -> None:
    view = ring(sizes, activation).fixed_point(kind)
    near: Any = view.from_base()
    rng = np.random.default_rng(1)
    x = rng.standard_normal(view.size)
    given = x.copy()
    np.testing.assert_allclose(near(given, np.empty_like(x)), view.evaluate(x, np.empty_like(x)), rtol=0, atol=1e-15)
    # A base is not an array that the run may write to.
    given[:] = 0.0
    for size in (1e-3, 1e-6, 1e-9):
        moved = x + size * rng.standard_normal(view.size) / view.size**0.5
        found, true = near(moved, np.empty_like(x)), view.evaluate(moved, np.empty_like(x))
        rounding = np.linalg.norm(found - true)
        assert rounding <= 2 * len(sizes) * UNIT * size + 1e-15
        assert size < 1e-3 or rounding > 0
    assert near._passes == 3


def test_a_base_is_left_where_the_residual_is_rounding_and_after_many_passes(small: None) -> None:
    game = nng.Network.ring([0.3 * np.eye(15)] * 2, [np.ones(15), np.zeros(15)], ["identity"] * 2).game()
    view = game.fixed_point()
    near: Any = view.from_base()
    x, out = np.zeros(15), np.empty(15)
    for _ in range(12):
        x = near(x, out).copy()
        if near._base is None:
            break
    # Pass j has the residual 0.09^j r, at the distance (1 - 0.09^j) r / 0.91: that is 5e-7 of it from j = 6 on.
    assert near._passes == 6
    exact = view.evaluate(x, np.empty(15))
    np.testing.assert_allclose(near(x, out), exact, rtol=0, atol=1e-15)
    assert near._base is not None
    assert near._passes == 0
    for _ in range(from_base.FROM_BASE):
        assert near._base is not None
        near(x + 1.0, out)
    assert near._base is None


def test_what_has_no_place_in_single_precision(small: None, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ring([5, 5]).fixed_point().from_base() is not None
    assert ring([5, 5], factor=1e30).fixed_point().from_base() is None
    assert ring([5, 5], factor=1e-30).fixed_point().from_base() is None
    assert nng.Network.generate("public_goods", 0, size=40).game().fixed_point().from_base() is None
    near: Any = ring([5, 5]).fixed_point().from_base()
    x, out = np.zeros(5), np.empty(5)
    near(x, out)
    far = np.full(5, 1e40)
    assert np.isfinite(near(far, out)).all()
    assert np.array_equal(near._base, far)
    monkeypatch.setattr(from_base, "LARGE_PRODUCT", 26)
    assert ring([5, 5]).fixed_point().from_base() is None


@pytest.mark.parametrize("tolerance", [1e-6, 1e-12])
def test_an_automatic_run_near_bases_converges_in_double_precision(
    tolerance: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    whole = PassesFromBase._near

    def spied(self: PassesFromBase, move: Any, out: Any) -> None:
        made.append(len(move))
        whole(self, move, out)

    monkeypatch.setattr(PassesFromBase, "_near", spied)
    game = nng.Network.generate("iso", 1, size=700, layers=2).game()
    result = nng.solve(game, tolerance=tolerance)
    assert result.converged
    assert result.method == "auto:anderson"
    assert len(made) >= result.evaluations // 2
    assert float(np.linalg.norm(game.residuals(result.profile))) <= tolerance * game.scale
    made.clear()
    named = nng.solve(game, nng.solver("anderson", memory=32), tolerance=tolerance)
    assert named.converged
    assert not made
    assert result.evaluations <= named.evaluations + 4
    np.testing.assert_allclose(result.profile, named.profile, rtol=0, atol=100 * tolerance * game.scale)


@pytest.mark.parametrize("memory", [20, LARGEST_GRAM, LARGEST_GRAM + 1])
def test_on_an_affine_map_anderson_takes_as_many_products_as_gmres(memory: int) -> None:
    """With mixing 1 an accelerated step minimises the residual over the Krylov space, and moves by what is left."""
    game = ring([60], "identity", 0.7)
    weight, bias = game.network.weights[1, 1].dense, game.network.biases[1]
    result = nng.solve(game, nng.solver("anderson", memory=memory), tolerance=1e-9, start=np.zeros(60))
    products: list[float] = []
    system = LinearOperator((60, 60), matvec=lambda d: d - weight @ d, dtype=np.float64)
    target = 1e-9 * game.scale
    gmres(system, bias, rtol=0.0, atol=target, restart=60, callback=products.append, callback_type="pr_norm")
    assert result.converged
    assert 10 < len(products) < memory
    assert result.evaluations <= len(products) + 2


@pytest.mark.parametrize(
    ("network", "kept"),
    [
        (nng.Network.generate("iso", 0, size=160, layers=4), 16),
        (nng.Network.generate("iso", 0, size=400, layers=8), LARGEST_GRAM),
        (nng.Network.generate("gaussian", 0, size=50, layers=2), 10),
        (nng.Network.generate("public_goods", 0, size=100), 10),
    ],
)
def test_more_is_kept_where_a_pass_takes_longer(network: nng.Network, kept: int) -> None:
    assert turns.kept_differences(network.game()) == kept


def test_little_is_kept_of_long_iterates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "LONG_ITERATE", 160)
    assert turns.kept_differences(nng.Network.generate("iso", 0, size=160, layers=4).game()) == turns.LITTLE_MEMORY
    assert turns.kept_differences(nng.Network.generate("iso", 0, size=100, layers=4).game()) == turns.MEMORY


def test_games_that_were_solved_are_not_kept() -> None:
    game = ring([5, 5])
    turns.kept_differences(game)
    there = weakref.ref(game)
    del game
    gc.collect()
    assert there() is None


def test_negative_weights_have_a_size_as_well(small: None) -> None:
    weights = [-np.ones((6, 6)) / 10] * 2
    game = nng.Network.ring(weights, [np.ones(6)] * 2, ["tanh"] * 2).game()
    assert game.fixed_point().from_base() is not None
    assert nng.solve(game, start=np.ones(12, dtype=np.float32)).converged
