"""The linear systems of Newton's method: elimination, single precision and when it is left, factors that are kept."""

from __future__ import annotations

import gc
import weakref
from copy import copy, deepcopy
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import sparse

import nngames as nng
from nngames.core.factors import TriangularFactor
from nngames.networks.compiled import single_pass
from nngames.networks.elimination import Slopes
from nngames.solvers import loop, newton, newton_systems
from nngames.solvers.automatic import turns
from nngames.solvers.newton_systems import Systems

Array = NDArray[np.floating[Any]]
SINGLE, DOUBLE = np.dtype(np.float32), np.dtype(np.float64)


def ring(sizes: tuple[int, ...], activation: Any, seed: int = 0, size: float = 0.9, shift: float = 0.0) -> Any:
    """Return the game of a ring of layers of these sizes with weights of about that norm."""
    rng = np.random.default_rng(seed)
    around = (sizes[-1], *sizes)
    weights = [rng.standard_normal((m, n)) * size / (np.sqrt(m) + np.sqrt(n)) for n, m in pairwise(around)]
    biases = [rng.standard_normal(m) + shift for m in sizes]
    return nng.Network.ring(weights, biases, [activation] * len(sizes)).game()


@pytest.fixture
def formed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, np.dtype[Any]]]:
    """Return where the order and the precision of each system of eliminated layers are written."""
    systems: list[tuple[int, np.dtype[Any]]] = []
    system = Slopes.system

    def noted(self: Slopes, dtype: Any) -> Array:
        systems.append((self.order, dtype))
        return system(self, dtype)

    monkeypatch.setattr(Slopes, "system", noted)
    return systems


def directions(game: Any, x: Array, g: Array, kind: str = "auto") -> tuple[Array, Array]:
    """Return the direction at x, and the one from the whole Jacobian in double precision."""
    view = game.fixed_point(kind)
    found, _, _ = Systems(view, None).solve(x, g)
    assert found is not None
    return found, np.linalg.solve(np.eye(view.size) - view.jacobian(x), g)


# Elimination


@pytest.mark.parametrize("sizes", [(90,), (80, 120, 100), (300, 7, 100), (30, 100), (100, 20)])
@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "hard_tanh", "tanh", "identity"])
def test_eliminated_systems_have_the_solutions_of_the_whole_jacobian(sizes: tuple[int, ...], activation: str) -> None:
    game, rng = ring(sizes, activation), np.random.default_rng(1)
    x, g = rng.standard_normal((2, sizes[-1]))
    found, expected = directions(game, x, g)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12 * np.linalg.norm(g))
    slopes = game.fixed_point().elimination.at(x)
    active = np.count_nonzero(np.diag(np.eye(len(x))) * np.abs(game.fixed_point().jacobian(x)).sum(axis=1))
    reduces = activation in ("relu", "hard_tanh") and sizes[-1] > 64
    assert slopes.order == (active if reduces else len(x))
    np.testing.assert_allclose(slopes.change(g), game.fixed_point().jacobian(x) @ g, rtol=0, atol=1e-12)


def test_without_active_entries_a_direction_is_the_displacement(formed: list[Any]) -> None:
    g = np.random.default_rng(0).standard_normal(100)
    found, _ = directions(ring((100, 100), "relu", shift=-50.0), np.zeros(100), g)
    np.testing.assert_array_equal(found, g)
    # A layer on the way that is silent, before one of which all entries are active.
    weights = [np.ones((80, 100)), np.ones((100, 80))]
    silent = nng.Network.ring(weights, [np.full(80, -1.0), np.ones(100)], ["relu", "relu"]).game()
    assert not formed
    np.testing.assert_array_equal(directions(silent, np.zeros(100), g)[0], g)
    assert formed == [(100, DOUBLE)]


def test_kinks_take_one_element_of_the_jacobian() -> None:
    """At v = 0 exactly, as where a network starts at zero without biases."""
    rng = np.random.default_rng(2)
    weights = [0.05 * rng.standard_normal((100, 100)) for _ in range(2)]
    game = nng.Network.ring(weights, [np.zeros(100), rng.standard_normal(100)], ["relu", "relu"]).game()
    found, expected = directions(game, np.zeros(100), rng.standard_normal(100))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("sizes", [(5,), (5, 4), (200,)])
def test_a_copied_network_keeps_its_weights(sizes: tuple[int, ...]) -> None:
    """The arrays of a copy are writeable, which those of a network are not."""
    game = ring(sizes, "tanh")
    copied = deepcopy(game)
    before = [weight.matrix.copy() for weight in copied.network.weights.values()]
    result = nng.solve(copied, "newton", callback=lambda iterate: None)
    for weight, matrix in zip(copied.network.weights.values(), before, strict=True):
        np.testing.assert_array_equal(weight.matrix, matrix)
    np.testing.assert_array_equal(result.profile, nng.solve(game, "newton", callback=lambda iterate: None).profile)


# Single precision


@pytest.mark.parametrize("activation", ["relu", "tanh", "leaky_relu"])
@pytest.mark.parametrize("kind", ["composite", "joint"])
def test_single_precision_leaves_the_direction_and_the_root(
    activation: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    game = ring((180, 400), activation, size=1.2)
    view, rng = game.fixed_point(kind), np.random.default_rng(3)
    x, g = rng.standard_normal((2, view.size))
    found, expected = directions(game, x, g, kind)
    assert 0 < np.linalg.norm(found - expected) <= 1e-10 * np.linalg.norm(expected)
    # A displacement below all numbers of single precision.
    np.testing.assert_allclose(directions(game, x, 1e-60 * g, kind)[0], 1e-60 * expected, rtol=1e-8, atol=1e-68)
    assert Systems(view, None).solve(x, 1e-60 * g)[2] == view.size + 2
    result = nng.solve(game, "newton", map=kind, tolerance=1e-13)
    monkeypatch.setattr(newton_systems, "SINGLE", 10**9)
    double = nng.solve(game, "newton", map=kind, tolerance=1e-13)
    assert result.converged
    assert double.converged
    np.testing.assert_allclose(result.profile, double.profile, rtol=0, atol=1e-11 * result.scale)
    assert result.evaluations != double.evaluations


def test_a_refinement_is_one_pass_more(formed: list[Any]) -> None:
    game = ring((200,), "tanh")
    result = nng.solve(game, "newton")
    assert formed
    assert {dtype for _, dtype in formed} == {SINGLE}
    # The pass that prepares it, 200 directions, the refinement, and one trial.
    assert np.diff(result.trace.evaluations)[0] == 203


def feeding(weight: Array, bias: Array, activation: str) -> Any:
    """Return the game of a layer that hears itself through another one."""
    eye, none = np.eye(len(bias)), np.zeros(len(bias))
    return nng.Network.ring([eye, weight], [none, bias], ["identity", activation]).game()


def near_singular(gap: float, n: int = 200) -> tuple[Array, Array]:
    """Return W and b where Id - W has the singular value ``gap``, and others between 1 and 2."""
    rng = np.random.default_rng(4)
    left, right = (np.linalg.qr(rng.standard_normal((n, n)))[0] for _ in range(2))
    values = np.linspace(1.0, 2.0, n)
    values[-1] = gap
    return np.eye(n) - (left * values) @ right, rng.standard_normal(n)


@pytest.mark.parametrize(("gap", "precisions"), [(1e-3, [SINGLE]), (1e-9, [SINGLE, DOUBLE])])
def test_single_precision_is_left_near_a_singular_system(gap: float, precisions: list[Any], formed: list[Any]) -> None:
    weight, bias = near_singular(gap)
    result = nng.solve(feeding(weight, bias, "identity"), "newton", tolerance=1e-6)
    assert result.converged
    assert [dtype for _, dtype in formed] == precisions
    # The 200 directions of each, what prepares or refines them, and one trial.
    assert np.diff(result.trace.evaluations)[0] == (203 if len(precisions) == 1 else 403)
    exact = np.linalg.solve(np.eye(200) - weight, bias)
    assert np.linalg.norm(result.profile[200:] - exact) <= 1e-5 * np.linalg.norm(exact)


def test_weights_beyond_single_precision_are_multiplied_in_double(formed: list[Any]) -> None:
    rng, n = np.random.default_rng(5), 200
    weight = 0.5 * np.linalg.qr(rng.standard_normal((n, n)))[0]
    biases = [np.zeros(n), rng.standard_normal(n)]
    game = nng.Network.ring([1e60 * np.eye(n), 1e-60 * weight], biases, ["identity", "leaky_relu"]).game()
    result = nng.solve(game, "newton", start=np.zeros(2 * n))
    assert result.converged
    assert formed[0] == (n, SINGLE)
    assert {dtype for _, dtype in formed[1:]} == {DOUBLE}
    x = result.profile[n:]
    v = weight @ x + biases[1]
    np.testing.assert_allclose(np.where(v > 0, v, 0.01 * v), x, rtol=0, atol=1e-8)


def test_a_singular_system_of_any_size_is_solved_by_least_squares() -> None:
    """x_1 = x_1 and x_i = x_i / 2 + 1: the shortest step leaves x_1 where it is."""
    n = 200
    halves, bias = np.full(n, 0.5), np.ones(n)
    halves[0], bias[0] = 1.0, 0.0
    result = nng.solve(feeding(np.diag(halves), bias, "identity"), "newton", start=np.full(2 * n, 3.0))
    assert result.converged
    np.testing.assert_allclose(result.profile[n:], [3.0, *[2.0] * (n - 1)], rtol=1e-9)


def test_what_has_no_equilibrium_is_not_called_converged() -> None:
    n = 200
    result = nng.solve(feeding(np.eye(n), np.ones(n), "relu"), "newton", max_iterations=200)
    assert not result.converged
    assert result.residual == pytest.approx(np.sqrt(n))


def test_a_start_in_single_precision_needs_no_refinement(formed: list[Any]) -> None:
    game = ring((200,), "relu")
    result = nng.solve(game, "newton", start=np.zeros(200, dtype=np.float32), tolerance=1e-5)
    assert result.converged
    assert result.profile.dtype == np.float32
    assert np.diff(result.trace.evaluations)[0] == 202


def test_couplings_that_are_not_dense_keep_their_whole_jacobian() -> None:
    rng, n = np.random.default_rng(6), 200
    weight = sparse.random_array((n, n), density=0.05, rng=rng, data_sampler=rng.standard_normal)
    game = nng.Network.recurrent(0.5 * weight, rng.standard_normal(n), "tanh").game()
    assert game.fixed_point().elimination is None
    x, g = rng.standard_normal((2, n))
    found, expected = directions(game, x, g)
    assert 0 < np.linalg.norm(found - expected) <= 1e-10 * np.linalg.norm(expected)
    assert nng.solve(game, "newton").converged
    mixing = ring((100, 100), "softmax")
    assert mixing.fixed_point().elimination is None
    assert nng.solve(mixing, "newton").converged


# Factors that are kept


def test_an_affine_game_is_factorised_once_in_each_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[np.dtype[Any]] = []
    init = TriangularFactor.__init__

    def noted(self: TriangularFactor, matrix: Array, overwrite: bool = False) -> None:
        made.append(matrix.dtype)
        init(self, matrix, overwrite)

    monkeypatch.setattr(TriangularFactor, "__init__", noted)
    games = [ring((200, 200), "identity", seed) for seed in range(2)]
    first = [nng.solve(game, "newton") for game in games]
    assert made == [SINGLE] * 2
    again = [nng.solve(game, "newton") for game in games]
    assert made == [SINGLE] * 2
    for game, one, two in zip(games, first, again, strict=True):
        assert one.converged
        assert one.iterations == 1
        np.testing.assert_array_equal(two.profile, one.profile)
        np.testing.assert_array_equal(two.trace.evaluations, one.trace.evaluations)
        other = nng.solve(game, "newton", start=np.arange(400.0))
        np.testing.assert_allclose(other.profile, one.profile, rtol=0, atol=1e-8 * one.scale)
    assert made == [SINGLE] * 2
    # The joint map has another Jacobian, and a run in single precision its own factors.
    assert nng.solve(games[0], "newton", map="joint").converged
    assert len(made) == 3
    nng.solve(games[0], "newton", start=np.zeros(400, dtype=np.float32), tolerance=1e-5)
    assert len(made) == 4


@pytest.mark.parametrize("method", ["auto", "newton"])
@pytest.mark.parametrize("layers", [1, 3])
def test_the_first_solve_of_an_affine_ring_makes_no_copy_of_its_weights_that_stays(
    monkeypatch: pytest.MonkeyPatch, method: str, layers: int
) -> None:
    """Of all that a first solve does, reading and writing fresh memory may take longest."""

    def unexpected(*_: Any) -> Any:
        raise AssertionError

    kernels = SimpleNamespace(evaluate=unexpected)
    for module in (loop, turns, single_pass):
        monkeypatch.setattr(module, "kernels", lambda limited: kernels)
    monkeypatch.setattr(loop, "installed", lambda: True)
    monkeypatch.setattr(loop, "kernels_come", lambda limited: True)
    game = ring((200,) * layers, "identity")
    result = nng.solve(game, method)
    assert result.converged
    assert result.iterations == 1
    composite, view = game.network.composite, game.fixed_point()
    assert not view.fused._packed
    # Nor one in single precision, which the factors are made from.
    assert list(composite._layers) == [DOUBLE]
    kept = newton._kept[game]
    assert [precision for _, precision in kept] == ["single"]


def test_shallow_copies_of_a_packed_map_share_its_weights() -> None:
    packed = ring((20, 20), "tanh").fixed_point().fused
    twin = copy(packed)
    assert twin.weights is packed.weights
    assert packed.weights.shape == (2, 5, 4, 20)


def test_other_games_keep_no_factors_and_kept_ones_go_with_their_game() -> None:
    bent, straight = ring((100,), "relu"), ring((100,), "identity")
    for game in (bent, straight):
        assert nng.solve(game, "newton").converged
    assert bent not in newton._kept
    assert len(newton._kept[straight]) == 1
    # The factors of the weights in single precision are others.
    nng.solve(straight, "newton", start=np.zeros(100, dtype=np.float32), tolerance=1e-5)
    assert len(newton._kept[straight]) == 2
    gone = weakref.ref(straight)
    del straight, game
    gc.collect()
    assert gone() is None


# Updates


def test_updates_are_broydens() -> None:
    """B_{j+1} = B_j + (y_j - B_j s_j) s_j' / |s_j|^2, in which y_j - B_j s_j = -g_{j+1} after a full step."""
    rng, n = np.random.default_rng(7), 6
    base = np.eye(n) + 0.2 * rng.standard_normal((n, n))
    matrix, steps = base.copy(), [rng.standard_normal(n)]
    for _ in range(4):
        g = rng.standard_normal(n)
        matrix = matrix - np.outer(g, steps[-1]) / (steps[-1] @ steps[-1])
        found = newton._updated(np.linalg.solve(base, g), steps)
        np.testing.assert_allclose(matrix @ found, g, rtol=1e-9, atol=1e-9)
        steps.append(found)
