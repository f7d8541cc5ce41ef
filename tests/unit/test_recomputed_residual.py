"""What a result says of its residual is recomputed at its profile, whatever the scheme believed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import count
from typing import Any, ClassVar

import numpy as np
import pytest
from scipy import sparse

import nngames as nng
from nngames.core.profiles import Array
from nngames.games import network_game
from nngames.solvers import fixed_point
from nngames.solvers.automatic.costs import DISPLACEMENTS, EARLY, costs_of, passes_before_forecast
from nngames.solvers.picard import Picard
from nngames.solvers.solver import State


@dataclass(frozen=True)
class Flattered(Picard):
    """Picard, but every state says that its residual is ``CLAIMED``."""

    CLAIMED: ClassVar[float] = 1e-30

    def start(self, problem: Any, x0: Array) -> State:
        """Return the start with the claim."""
        return replace(super().start(problem, x0), residual=self.CLAIMED)

    def step(self, problem: Any, state: State) -> State:
        """Return the next state with the claim."""
        return replace(super().step(problem, state), residual=self.CLAIMED)


def game() -> nng.NetworkGame:
    """Return a ring of two scalar layers whose composite map is x -> x/4 + 1."""
    return nng.Network.ring([[[0.5]], [[0.5]]], [[0.0], [1.0]], ["identity", "identity"]).game()


@pytest.mark.parametrize("most", [0, 3])
def test_a_scheme_that_flatters_itself_has_not_converged(most: int) -> None:
    """The status and the residual are those of the profile."""
    result = nng.solve(game(), Flattered(), max_iterations=most)
    x, y = result.profile
    assert result.residual == pytest.approx(np.hypot(y / 2 - x, x / 2 + 1 - y), rel=1e-12)
    assert result.residual > 1e-3
    assert result.status == "max_iterations"


def test_it_has_converged_once_its_profile_has() -> None:
    """The run goes on until the recomputed residual is within the tolerance: at (2/3, 4/3)."""
    result = nng.solve(game(), Flattered(), max_iterations=100)
    assert result.status == "converged"
    assert result.residual <= result.tolerance * result.scale
    np.testing.assert_allclose(result.profile, [2 / 3, 4 / 3], rtol=1e-8)


@pytest.mark.parametrize(("dtype", "size", "tolerance"), [(np.float64, 1e-170, 1e-300), (np.float32, 1e-28, 1e-36)])
def test_a_residual_whose_square_vanishes_is_not_none(dtype: type, size: float, tolerance: float) -> None:
    """At (s, s) it is s / sqrt(2), and the scale is 1."""
    halved = nng.Network.ring([[[0.5]], [[0.5]]], [[0.0], [0.0]], ["leaky_relu"] * 2).game()
    start = np.full(2, size, dtype=dtype)
    assert halved.residual(start) == pytest.approx(size / np.sqrt(2), rel=1e-6)
    results = [nng.solve(halved, method, start=start, tolerance=tolerance) for method in ("auto", "picard", "km")]
    batch = nng.solve_batch(halved, start[None], tolerance=tolerance)
    for x in (*(result.profile for result in results if result.converged), *batch.profiles):
        assert np.abs(x).max() <= 2 * tolerance
    assert results[1].converged
    assert batch.statuses[0] == "converged"


def test_a_scale_whose_square_is_beyond_all_floats_is_a_number() -> None:
    large = nng.Network.ring([[[0.5]], [[0.5]]], [[1e155], [1e155]], ["identity"] * 2).game()
    assert large.scale == pytest.approx(np.sqrt(2) * 1e155)
    result = nng.solve(large, start=np.full(2, 2.00002e155))
    assert result.converged
    np.testing.assert_allclose(result.profile, 2e155, rtol=1e-8)
    # The norm itself is beyond them here.
    assert nng.Network.ring([[[0.5]], [[0.5]]], [[1.7e308]] * 2, ["identity"] * 2).game().scale == np.finfo(float).max


@pytest.mark.parametrize("honest", [0, EARLY, DISPLACEMENTS])
@pytest.mark.parametrize("size", [1, 200])
def test_auto_leaves_a_scheme_that_flatters_itself(size: int, honest: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Schemes that claim to have no residual, after some honest ones, never end by it, nor take their turn for ever."""
    slow = nng.Network.ring([0.9999 * np.eye(size)] * 2, [np.ones(size), np.zeros(size)], ["identity"] * 2).game()
    # A large game is judged after as many passes as are kept.
    assert passes_before_forecast(costs_of(slow, compiled=False)) == (EARLY if size == 1 else DISPLACEMENTS)
    calls = count()
    monkeypatch.setattr(fixed_point, "norm", lambda d: float(np.linalg.norm(d)) if next(calls) < honest else 0.0)
    result = nng.solve(slow)
    assert result.converged
    assert result.iterations < 200
    assert result.residual <= result.tolerance * result.scale


@pytest.mark.parametrize("sizes", [(3, 3, 3), (2, 4, 3), (5, 1)])
@pytest.mark.parametrize("order", ["tanh", "softmax"])
def test_one_pass_tells_the_profile_and_its_residual(sizes: tuple[int, ...], order: str) -> None:
    """All layers of a ring but the last answer exactly, so that the residual is the last one's."""
    rng = np.random.default_rng(5)
    names = [f"player {k}" for k in range(len(sizes))]
    weights = {
        (names[k], names[k - 1]): rng.standard_normal((n, sizes[k - 1])) for k, n in reversed(list(enumerate(sizes)))
    }
    network = nng.Network.graph(
        weights, {name: rng.standard_normal(n) for name, n in zip(names, sizes, strict=True)}, order
    )
    view = network.game().fixed_point("composite")
    x = rng.standard_normal(view.size)
    profile, residual, _ = view.told(x)
    np.testing.assert_allclose(profile, view.profile(x), rtol=1e-15)
    np.testing.assert_array_equal(view.restrict(profile), x)
    assert residual > 0.01
    assert residual == pytest.approx(np.linalg.norm(network.game().residuals(profile)), rel=1e-14)


@pytest.mark.parametrize("method", ["picard", "km", "anderson", "broyden", "newton", "spectral", "supermann"])
def test_one_pass_ends_a_run_on_a_ring(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It tells the profile and its residual, so that neither takes a pass of its own."""
    rng = np.random.default_rng(3)
    weights = [0.5 * np.linalg.qr(rng.standard_normal((4, 4)))[0] for _ in range(3)]
    ring = nng.Network.ring(weights, list(rng.standard_normal((3, 4))), ["tanh"] * 3).game()
    assert ring.scale >= 1
    apart: list[str] = []
    with monkeypatch.context() as watched:
        watched.setattr(nng.NetworkGame, "residuals", lambda self, profile: apart.append("residuals"))
        watched.setattr(network_game.CompositeMap, "profile", lambda self, x: apart.append("profile"))
        result = nng.solve(ring, method)
    assert not apart
    assert result.converged
    assert result.residual == pytest.approx(ring.residual(result.profile), rel=1e-6, abs=1e-15)


def test_the_game_decides_where_two_routes_may_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is a hair below the target may be a hair above it: the residual of the game counts."""
    told = network_game.CompositeMap.told

    def shifted(self: network_game.CompositeMap, x: Array) -> tuple[Array, float, float] | None:
        profile, residual, rounding = told(self, x)
        return profile, min(residual, 0.9999 * target), rounding

    target = 1e-9 * game().scale
    monkeypatch.setattr(network_game.CompositeMap, "told", shifted)
    result = nng.solve(game(), Flattered(), max_iterations=100)
    assert result.status == "converged"
    assert np.linalg.norm(game().residuals(result.profile)) <= target


@pytest.mark.parametrize("layers", [3, 14])
def test_a_pass_tells_no_residual_below_its_rounding(layers: int) -> None:
    """Two routes sum in different orders, and the answers of a layer as large as 1e14 differ by more than the target.

    The matrix of many small layers is assembled: its products are others than those of a pass from layer to layer.
    """
    size = 24
    rng = np.random.default_rng(4)
    first, *others = (np.linalg.qr(rng.standard_normal((size, size)))[0] for _ in range(layers))
    weights = [1e14 * first, 1e-15 * others[0], *others[1:]]
    large = nng.Network.ring(weights, [np.ones(size)] * layers, ["identity"] * layers).game()
    results = [nng.solve(large, method) for method in ("picard", "auto")]
    for result in results:
        assert result.residual == pytest.approx(np.linalg.norm(large.residuals(result.profile)), rel=1e-12)
        assert result.converged == (result.residual <= result.tolerance * result.scale)
    batch = nng.solve_batch(large, rng.standard_normal((3, large.size)), "picard")
    lengths = [np.linalg.norm(large.residuals(profile)) for profile in batch.profiles]
    np.testing.assert_allclose(batch.residuals, lengths, rtol=1e-12)
    assert [status == "converged" for status in batch.statuses] == [
        length <= batch.tolerance * large.scale for length in lengths
    ]
    view = large.fixed_point("composite")
    profile, told, rounding = view.told(view.restrict(results[0].profile))
    assert abs(told - np.linalg.norm(large.residuals(profile))) <= rounding


def test_the_rounding_counts_what_cancels() -> None:
    """A layer whose answer is the small difference of large numbers: the exact residual at the profile shows it."""
    rng = np.random.default_rng(6)
    x, size = rng.standard_normal(8), 1e10
    first, second = (np.linalg.qr(rng.standard_normal((8, 8)))[0] for _ in range(2))
    network = nng.Network.ring([size * first, second], [-size * (first @ x), np.zeros(8)], ["identity"] * 2)
    profile, _, _ = network.game().fixed_point("composite").told(x)
    factor, constant = network.composite.apart
    eps = np.finfo(float).eps
    exact = [Fraction(0)] * 8
    for i, row in enumerate(size * first):
        terms = [Fraction(a) * Fraction(b) for a, b in zip(row.tolist(), x.tolist(), strict=True)]
        exact[i] = sum(terms) + Fraction((-size * (first @ x))[i]) - Fraction(profile[i])
    lacking = np.linalg.norm([float(difference) for difference in exact])
    # Products and biases are as large here, and either of the two terms is enough.
    assert 8 * eps * np.linalg.norm(profile) < lacking
    assert lacking <= eps / 2 * min(factor * np.linalg.norm(profile), constant)


@pytest.mark.parametrize(("method", "options"), [("best_response", {}), ("spectral", {"order": "sequential"})])
def test_a_run_whose_last_profile_is_within_the_tolerance_has_converged(method: str, options: dict[str, str]) -> None:
    """A sweep from afar may lead so close that the joint residual is low, which its own figure does not tell."""
    rng = np.random.default_rng(0)
    weight = sparse.random_array((40, 40), density=0.1, rng=rng, format="csr")
    near = nng.Network.recurrent(weight * (0.01 / sparse.linalg.norm(weight)), rng.standard_normal(40), "relu").game()
    result = nng.solve(near, method, start=np.full(40, 10.0), tolerance=1e-2, max_iterations=0, **options)
    while not result.residual <= result.tolerance * result.scale:
        result = nng.solve(
            near, method, start=np.full(40, 10.0), tolerance=1e-2, max_iterations=result.iterations + 1, **options
        )
    assert result.trace.residual[-1] > result.tolerance * result.scale
    assert near.residual(result.profile) <= result.tolerance * result.scale
    assert result.status == "converged"
    assert "converged" in result.message
