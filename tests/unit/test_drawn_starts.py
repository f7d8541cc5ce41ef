"""Automatic runs go on from drawn profiles where the best one so far is a local minimum of the residual."""

from __future__ import annotations

import numpy as np
import pytest

import nngames as nng
from nngames.core.seeds import LateGenerator
from nngames.results.result import Status
from nngames.solvers.automatic import changes, last_resorts, stages


def planted(seed: int) -> nng.NetworkGame:
    """Return an expansive tracking game with an equilibrium whose pre-activations are v."""
    rng, silu = np.random.default_rng(seed), nng.activation("silu")
    weights = [10 * rng.standard_normal((4, 4)) for _ in range(2)]
    v = [rng.standard_normal(4) for _ in range(2)]
    biases = [v[k] - weights[k] @ np.asarray(silu(v[k - 1])) for k in range(2)]
    return nng.Network.ring(weights, biases, ["silu"] * 2).game(cost="tracking")


@pytest.mark.parametrize("seed", [12, 13, 15, 18])
def test_an_equilibrium_is_found_beyond_a_local_minimum(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    game = planted(seed)
    result = nng.solve(game, max_iterations=20_000)
    assert result.converged
    assert result.method == "auto:newton"
    assert game.residual(result.profile) <= 1e-9 * game.scale
    monkeypatch.setattr(last_resorts, "MOST_DRAWN", 0)
    assert nng.solve(game, max_iterations=20_000).status is Status.STALLED


def test_the_seed_tells_where_they_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[np.ndarray] = []

    def noted(best: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        drawn.append(last_resorts.drawn_profile(best, rng))
        return drawn[-1]

    monkeypatch.setattr(changes, "drawn_profile", noted)
    runs = []
    for seed in (3, 3, 4):
        nng.solve(planted(12), max_iterations=20_000, seed=seed)
        runs.append(drawn[:])
        drawn.clear()
    np.testing.assert_array_equal(runs[0], runs[1])
    assert not np.array_equal(runs[0][0], runs[2][0])
    assert len({profile.tobytes() for profile in runs[0]}) == len(runs[0])


def test_they_cost_no_more_than_a_multiple_of_the_rounds() -> None:
    game = planted(12)
    for share, count in ((0.0, 0), (0.01, 5), (1.0, last_resorts.MOST_DRAWN)):
        found = list(last_resorts.last_resorts(game, lambda: 1.0, share))
        drawn = [resort for resort in found if resort.drawn]
        rounds = sum(resort.steps for resort in found if not resort.drawn)
        assert len(drawn) == count == len(found[len(found) - count :])
        assert share == 1.0 or sum(resort.steps for resort in drawn) <= last_resorts.DRAWN_COST * rounds * share


@pytest.mark.parametrize("scale", [0.0, 1e-200, 1e3])
def test_drawn_profiles_have_about_the_size_of_the_best_one(scale: float) -> None:
    rng = np.random.default_rng(0)
    sizes = [float(np.abs(last_resorts.drawn_profile(scale * np.ones(100), rng)).max()) for _ in range(40)]
    unit = scale or 1.0
    assert min(sizes) > 0.1 * unit
    assert max(sizes) < 50 * unit
    assert max(sizes) > 10 * min(sizes)
    for kind in (np.float32, np.float64):
        assert last_resorts.drawn_profile(np.ones(3, dtype=kind), rng).dtype == kind


def test_a_late_generator_is_that_of_its_seed() -> None:
    late = LateGenerator(5)
    expected = np.random.default_rng(5)
    assert late.random() == expected.random()
    np.testing.assert_array_equal(late.standard_normal(3), expected.standard_normal(3))


def test_compiled_passes_take_no_drawn_profiles_and_no_trials_of_newtons_method_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Their steps cost little, those of the schemes that go singly as much as ever."""
    rng = np.random.default_rng(0)
    weights = [1000 * rng.standard_normal(shape) for shape in ((4, 3), (3, 4))]
    biases = [rng.standard_normal(4), rng.standard_normal(3)]
    game = nng.Network.ring(weights, biases, ["elu", "elu"]).game()
    assert game.fixed_point().fused is not None
    entered: list[tuple[str, bool]] = []
    enter = stages.Course._enter

    def noted(self: stages.Course, scheme: nng.Solver, evaluations: int, *arguments: object) -> object:
        entered.append((scheme.name, self._suspended is not None))
        return enter(self, scheme, evaluations, *arguments)

    monkeypatch.setattr(stages.Course, "_enter", noted)
    make, counts = stages.Course.__init__, []
    for compiled in (False, True):

        def course(self: stages.Course, *arguments: object, compiled: bool = compiled) -> None:
            make(self, *arguments)
            self._compiled = compiled

        monkeypatch.setattr(stages.Course, "__init__", course)
        assert nng.solve(game).status is Status.STALLED
        trials = sum(trial for _, trial in entered)
        counts.append((trials, entered.count(("newton", False))))
        entered.clear()
    plain, fast = counts
    assert plain[1] > 30
    assert fast[0] >= plain[0]
    assert fast[1] >= plain[1]
