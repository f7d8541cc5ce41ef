"""Steps in single precision with a double finish: the same target, honestly met, and the change happens."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nngames as nng
from nngames.core.errors import OptionError
from nngames.solvers import advice, mixed_precision
from nngames.solvers.mixed_precision import MixedProblem


def ring(name: str = "tanh", norm: float = 0.9, n: int = 30, layers: int = 2) -> nng.NetworkGame:
    rng = np.random.default_rng(0)
    weights = [norm * np.linalg.qr(rng.standard_normal((n, n)))[0] for _ in range(layers)]
    return nng.Network.ring(weights, [rng.standard_normal(n) for _ in weights], [name] * layers).game()


def quadratic() -> nng.QuadraticGame:
    return nng.QuadraticGame(
        quadratic={1: 2 * np.eye(2), 2: [[3.0]]},
        coupling={(1, 2): [[0.5], [0.2]], (2, 1): [[-0.7, 0.1]]},
        linear={1: [-1.0, -2.0], 2: [-0.5]},
        penalties={1: "nonnegative", 2: "nonnegative"},
    )


@pytest.fixture
def dtypes(monkeypatch: pytest.MonkeyPatch) -> list[np.dtype[Any]]:
    """The precisions of the iterates at which the mixed problems evaluate their maps."""
    seen: list[np.dtype[Any]] = []
    state = MixedProblem._state

    def noted(self: MixedProblem, x: np.ndarray, spare: np.ndarray, evaluations: int) -> Any:
        following = state(self, x, spare, evaluations)
        seen.append(following.x.dtype)
        return following

    monkeypatch.setattr(MixedProblem, "_state", noted)
    return seen


@pytest.mark.parametrize("make", [ring, lambda: ring("softmax"), lambda: ring("linear", 0.97), quadratic])
@pytest.mark.parametrize(("method", "options"), [("picard", {}), ("km", {"relaxation": 0.6})])
def test_it_reaches_what_double_precision_reaches(
    make: Any, method: str, options: dict[str, Any], dtypes: list[np.dtype[Any]]
) -> None:
    game = make()
    double = nng.solve(game, method, **options)
    mixed = nng.solve(game, method, precision="mixed", **options)
    assert double.converged
    assert mixed.converged
    assert mixed.profile.dtype == np.float64
    assert mixed.residual == pytest.approx(game.residual(mixed.profile), rel=1e-6)
    assert mixed.residual <= mixed.tolerance * mixed.scale
    # Both residuals are at most the target, and the maps contract by 0.97 at most.
    assert np.linalg.norm(mixed.profile - double.profile) <= 4 * mixed.tolerance * mixed.scale / (1 - 0.97)
    assert np.isfinite(mixed.trace.residual).all()
    assert mixed.evaluations <= 1.1 * double.evaluations + 2
    # Single precision first, double to the end, and no way back.
    change = dtypes.index(np.dtype(np.float64))
    assert change > 1
    assert set(dtypes[:change]) == {np.dtype(np.float32)}
    assert set(dtypes[change:]) == {np.dtype(np.float64)}


def test_a_coarse_target_is_tested_in_double_precision(dtypes: list[np.dtype[Any]]) -> None:
    game = ring()
    result = nng.solve(game, "picard", precision="mixed", tolerance=1e-4)
    assert result.converged
    assert set(dtypes) == {np.dtype(np.float32)}
    assert result.residual == pytest.approx(game.residual(result.profile), rel=1e-9)
    assert game.residual(result.profile) <= 1e-4 * game.scale


def test_a_residual_that_rounds_to_nothing_is_not_taken_for_convergence() -> None:
    """In single precision x = (1 - 1e-9) x + 1e-9 stands still everywhere near 1/2; its residual there is not 0."""
    game = nng.Network.ring([[[1 - 1e-9]], [[1.0]]], [[1e-9], [0.0]], ["linear", "linear"]).game()
    result = nng.solve(game, "picard", start=[0.5, 0.5], precision="mixed", tolerance=1e-12, max_iterations=50)
    assert not result.converged
    assert result.residual > 1e-12 * result.scale
    assert game.residual(result.profile) == pytest.approx(result.residual, rel=1e-6)


def test_what_overflows_in_single_precision_goes_on_in_double(dtypes: list[np.dtype[Any]]) -> None:
    game = nng.Network.ring([[[0.5]], [[1.0]]], [[1e30], [0.0]], ["linear", "linear"]).game()
    result = nng.solve(game, "picard", precision="mixed", tolerance=1e-9)
    assert result.converged
    assert np.isfinite(result.trace.residual).all()
    np.testing.assert_allclose(result.profile, 2e30, rtol=1e-6)
    dtypes.clear()
    assert nng.solve(game, "picard", start=[1e100, 1e100], precision="mixed").converged
    assert set(dtypes) == {np.dtype(np.float64)}


def test_no_progress_ends_the_single_precision(dtypes: list[np.dtype[Any]]) -> None:
    rotation = nng.Network.recurrent([[0.0, -1.0], [1.0, 0.0]], [0.0, 0.0], "linear").game()
    result = nng.solve(rotation, "picard", start=[1.0, 0.0], precision="mixed", max_iterations=60)
    assert not result.converged
    assert dtypes.index(np.dtype(np.float64)) == mixed_precision.PATIENCE + 1


def test_starts_in_single_precision_stay_there() -> None:
    game = ring()
    result = nng.solve(game, "km", start=np.zeros(game.size, dtype=np.float32), precision="mixed", tolerance=1e-4)
    assert result.converged


def test_the_guarantee_counts_from_the_change() -> None:
    game = ring()
    guarantee = nng.solver("picard", precision="mixed").guarantee(game)
    assert guarantee.status is nng.Decision.PROVED
    assert guarantee.rate is None
    assert guarantee.statement.startswith("from the end of the single precision on")
    unknown = ring("relu", 3.0)
    assert nng.solver("km", precision="mixed").guarantee(unknown).status is nng.Decision.UNDECIDED


def test_unknown_precisions_are_refused() -> None:
    for method in ("picard", "km"):
        with pytest.raises(OptionError, match=rf"{method}: precision.*double, mixed"):
            nng.solve(ring(), method, precision="single")


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("picard", {}),
        ("picard", {"precision": "mixed"}),
        ("picard", {"max_iterations": 500}),
        ("km", {}),
        ("newton", {}),
        ("best_response", {}),
    ],
)
def test_a_run_that_single_precision_ends_says_so(method: str, options: dict[str, Any]) -> None:
    game = nng.Network.ring([[[-0.7]], [[1.0]]], [[1.3], [0.3]], ["linear", "linear"]).game()
    result = nng.solve(game, method, start=np.ones(game.size, np.float32), tolerance=1e-12, **options)
    assert not result.converged
    assert result.message.endswith(
        "the passes are in single precision, as the start is: give it in double, "
        "nng.solve(game, start=start.astype(float)), or allow a larger tolerance"
    )
    assert nng.solve(game, method, start=np.ones(game.size), tolerance=1e-12, **options).converged


def test_what_single_precision_is_no_reason_for_is_not_blamed_on_it() -> None:
    """A rotation turns in any precision, and a mixed run that used its steps goes on in double with more of them."""
    rotation = nng.Network.recurrent([[0.0, -1.0], [1.0, 0.0]], [0.0, 0.0], "linear").game()
    turning = nng.solve(rotation, "picard", start=np.array([1.0, 0.0], np.float32))
    assert turning.status == "cycling"
    assert "precision" not in turning.message
    short = nng.solve(ring("linear", 0.99), "picard", precision="mixed", max_iterations=100)
    assert short.status == "max_iterations"
    assert "convergence is proved, so allow more" in short.message


def test_a_mixed_run_that_stalls_in_single_precision_says_so() -> None:
    """What is left falls by its rounding unit or less at each step, and so has not ended the single precision."""
    x = np.full(2, 1.0, np.float32)
    said = advice.more_digits(x.astype(float), x, nng.Status.STALLED, 1e-6, 1.0)
    assert said == "the passes were in single precision until then: try precision='double'"
