"""Passes whose products are in single precision, from a base in double: what they round, and where they stop."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nngames as nng
from nngames.networks.compiled import fused_kernels, maps

#: The unit roundoff of single precision.
UNIT = 2.0**-24


def ring(sizes: list[int], activation: str, norm: float, seed: int = 0, scale: float = 1.0) -> nng.NetworkGame:
    """Return the game of a ring with weights of one norm, and biases of a size."""
    rng = np.random.default_rng(seed)
    weights = [rng.standard_normal((n, sizes[layer - 1])) for layer, n in enumerate(sizes)]
    weights = [norm * weight / np.linalg.norm(weight, 2) for weight in weights]
    return nng.Network.ring(weights, [scale * rng.standard_normal(n) for n in sizes], [activation] * len(sizes)).game()


@pytest.fixture
def single(dense_kernels: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels in use, with small products in single precision as well."""
    monkeypatch.setattr(maps, "SINGLE_PRODUCT", 0)


def steps(
    game: nng.NetworkGame,
    kind: str,
    most: int,
    single: bool,
    target: float = 0.0,
    kept: int = 0,
    relaxation: float = 1.0,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return x and R(x) after the kernel's steps from zero, the residuals and the displacements."""
    packed: Any = game.fixed_point(kind).fused
    x, image = np.zeros((2, *packed.shape))
    fused_kernels.evaluate(*packed.arguments(), x, image)
    numbers = np.array([relaxation, target, 1e300, np.inf, 1.0, np.inf, 1.0])
    counts, residuals = np.array([most, 0, 0, 0, 0, 0]), np.empty(most)
    displacements = np.empty((kept, *packed.shape))
    made = fused_kernels.relaxed_steps(
        *packed.arguments(), x, image, x, numbers, counts, residuals, displacements, *packed.refined(single)
    )
    return x, image, residuals[:made], displacements


@pytest.mark.usefixtures("single")
@pytest.mark.parametrize("kind", ["composite", "joint"])
@pytest.mark.parametrize("relaxation", [1.0, 0.7])
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_a_pass_rounds_no_more_than_the_move_from_its_base(kind: str, relaxation: float, activation: str) -> None:
    """One product errs by at most (n + 2) u |W|_F |d|, passes that contract by q < 1 by 1/(1 - q) of one at most."""
    size, layers, norm = 7, 3, 0.8
    game = ring([size] * layers, activation, norm)
    double, single = (steps(game, kind, 9, way, relaxation=relaxation) for way in (False, True))
    longest = np.linalg.norm(double[0]) + np.linalg.norm(double[1])
    one = (size + 2) * UNIT * np.sqrt(size) * norm * longest * layers
    factor = norm**layers if kind == "composite" else norm
    difference = np.linalg.norm(single[0] - double[0])
    assert 0 < difference <= one / (relaxation * (1 - factor))
    np.testing.assert_allclose(single[2], double[2], atol=2 * one / (relaxation * (1 - factor)))


@pytest.mark.usefixtures("single")
@pytest.mark.parametrize("kind", ["composite", "joint"])
@pytest.mark.parametrize("target", [1e-6, 1e-9, 1e-13])
def test_what_ends_at_the_target_is_there(kind: str, target: float) -> None:
    """A new base comes whenever the rounding could hide how far it still is."""
    for seed in range(8):
        game = ring([6, 6, 6], "tanh", 0.9, seed)
        x, _, residuals, _ = steps(game, kind, 400, True, target)
        view = game.fixed_point(kind)
        assert residuals[-1] <= target < residuals[:-2].min()
        assert np.linalg.norm(view.evaluate(x.ravel(), np.empty(x.size)) - x.ravel()) <= target * (1 + 1e-3) + 1e-15


@pytest.mark.usefixtures("single")
def test_a_residual_within_the_rounding_is_no_reason_to_end() -> None:
    """One that falls below both the target and the rounding at once is made again in double precision."""
    again = 0
    for seed in range(20):
        game = ring([6, 6], "tanh", 0.15, seed)
        _, _, residuals, _ = steps(game, "composite", 100, False, 1e-9)
        x, _, refined, _ = steps(game, "composite", 100, True, 1e-9)
        again += len(refined) - len(residuals)
        expected = game.fixed_point().evaluate(x.ravel(), np.empty(x.size))
        assert np.linalg.norm(expected - x.ravel()) <= 1e-9
    assert 0 < again <= 20


@pytest.mark.usefixtures("single")
def test_the_last_displacement_that_is_kept_is_in_double_precision() -> None:
    """What is forecast from the displacements begins with the last one."""
    game = ring([6, 6], "tanh", 0.95)
    view = game.fixed_point()
    errors = []
    for most in (3, 4):
        x, _, _, displacements = steps(game, "composite", most, True, kept=4)
        exact = view.evaluate(x.ravel(), np.empty(6)) - x.ravel()
        errors.append(np.abs(displacements[most - 1].ravel() - exact).max())
    assert errors[0] > 1e-12
    assert errors[1] < 1e-15


@pytest.mark.usefixtures("single")
def test_a_base_is_left_after_some_passes() -> None:
    """Else the rounding of a long way from the first base would be in every residual of a slow run."""
    size = 8
    turn = np.linalg.qr(np.random.default_rng(3).standard_normal((size, size)))[0]
    game = nng.Network.ring([turn], [100.0 * np.ones(size)], ["identity"]).game(players="neurons")
    passes = 2 * fused_kernels.FROM_BASE + 2
    double, single = (steps(game, "composite", passes, way, relaxation=0.5) for way in (False, True))
    errors = np.abs(double[2] - single[2])
    last = fused_kernels.FROM_BASE
    # The pass from which the next base is made has gone a long way; the one at the base has gone none.
    x, image, _, _ = steps(game, "composite", last + 2, True, relaxation=0.5)
    assert errors[:last].max() > 0
    np.testing.assert_allclose(image[0], turn @ x[0] + 100.0, rtol=1e-14)


@pytest.mark.usefixtures("single")
@pytest.mark.parametrize(
    ("sizes", "refined"),
    [((1e-20,) * 2, False), ((1e20,) * 2, False), ((1e3, 1e-12, 0.5), False), ((1e3, 0.0, 0.5), True)],
)
def test_weights_out_of_range_stay_in_double_precision(sizes: tuple[float, ...], refined: bool) -> None:
    """Moves grow from layer to layer, so each is looked at by itself, whatever their product."""
    weights = [size * np.eye(3) for size in sizes]
    game = nng.Network.ring(weights, [np.ones(3)] * len(sizes), ["leaky_relu"] * len(sizes)).game()
    packed: Any = game.fixed_point().fused
    assert all(bool(array.size) == refined for array in packed.refined(True))


@pytest.mark.usefixtures("single")
def test_moves_out_of_range_are_made_in_double_precision() -> None:
    """A square of the move would exceed single precision."""
    game = ring([4, 4], "identity", 0.5, scale=1e30)
    double, single = (steps(game, "composite", 6, way) for way in (False, True))
    np.testing.assert_array_equal(double[0], single[0])


@pytest.mark.usefixtures("single")
@pytest.mark.parametrize("activation", ["tanh", "relu", "sigmoid"])
def test_only_automatic_runs_round(activation: str) -> None:
    """The iterates of picard are in double precision to the last; auto ends at the same equilibrium."""
    game = ring([9, 9, 9], activation, 0.9)
    plain = nng.solve(game, "picard", callback=lambda iterate: None)
    packed = nng.solve(game, "picard")
    np.testing.assert_allclose(packed.trace.residual, plain.trace.residual, rtol=1e-12, atol=1e-15)
    automatic = nng.solve(game)
    assert automatic.status == "converged"
    assert automatic.method == "auto:picard"
    shared = slice(0, min(len(automatic.trace.residual), len(plain.trace.residual)))
    difference = np.abs(automatic.trace.residual[shared] - plain.trace.residual[shared])
    assert 1e-14 < difference.max() < 1e-5
    np.testing.assert_allclose(automatic.profile, plain.profile, atol=4e-9 * game.scale)


@pytest.mark.usefixtures("single")
@pytest.mark.parametrize("tolerance", [1e-300, 1e-14])
def test_tolerances_beyond_reach_end_as_without(tolerance: float) -> None:
    game = ring([5, 5], "tanh", 0.9)
    result = nng.solve(game, tolerance=tolerance, max_iterations=3000)
    assert result.status in ("converged", "stalled", "max_iterations")
    assert result.residual <= 1e-14
