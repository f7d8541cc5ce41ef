"""SuperMann: what each kind of update promises, at every iteration, and where it ends."""

from __future__ import annotations

from itertools import islice, pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import nngames as nng
from nngames.core import references
from nngames.core.errors import DomainError
from nngames.solvers import Interrupted
from nngames.solvers.supermann import SLACK, SuperMannProblem

Array = NDArray[np.float64]
OPTIONS: tuple[dict[str, Any], ...] = (
    {},
    {"memory": 3, "projection_factor": 0.5},
    {"memory": 0},
    {"blind_factor": 0.9},
    {"educated_factor": 0.0, "relaxation": 1.6},
    {"educated_factor": 0.5, "relaxation": 0.4},
)


def ring(weights: Any, biases: Any, activation: str | list[str] = "identity") -> Any:
    kinds = activation if isinstance(activation, list) else [activation] * len(weights)
    return nng.Network.ring(weights, biases, kinds).game()


def turns(rng: np.random.Generator, n: int) -> Array:
    """An orthogonal matrix with entries 0 and +-1/2, 1, whose norm is exactly 1 in floats."""
    half = np.array([[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]]) / 2
    blocks = np.kron(np.eye(n // 4), half)
    whole = np.eye(n)
    whole[: len(blocks), : len(blocks)] = blocks
    return whole[rng.permutation(n)][:, rng.permutation(n)] * rng.choice([-1.0, 1.0], n)


def nonexpansive(seed: int, n: int, layers: int, kinds: list[str]) -> tuple[Any, Array]:
    """A ring whose norms are exactly 1, with an equilibrium at which every unit is strictly active, and its x_L."""
    rng = np.random.default_rng(seed)
    weights = [turns(rng, n) for _ in range(layers)]
    outputs = [rng.uniform(0.1, 0.9, n) for _ in range(layers)]
    biases = [output - weight @ outputs[i - 1] for i, (weight, output) in enumerate(zip(weights, outputs, strict=True))]
    return ring(weights, biases, kinds), outputs[-1]


class Followed:
    """A run step by step with the points that each step evaluated: (x, R(x) - x)."""

    def __init__(self, game: Any, start: Array, **options: Any) -> None:
        self.solver = nng.solver("supermann", **options)
        self.problem = self.solver.problem(game, np.random.default_rng(0))
        self.points: list[tuple[Array, Array]] = []
        evaluate = self.problem.view.evaluate

        def recorded(x: Array, out: Array) -> Array:
            image = evaluate(x, out)
            self.points.append((x.copy(), image - x))
            return image

        self.problem.view.evaluate = recorded  # type: ignore[method-assign]
        self.state = self.solver.start(self.problem, self.problem.restrict(start))

    def step(self) -> str:
        self.points.clear()
        self.state = self.solver.step(self.problem, self.state)
        return self.problem.kind


# What each update promises


@st.composite
def cases(draw: Any) -> tuple[Any, Array]:
    n, layers = draw(st.integers(1, 9)), draw(st.integers(2, 3))
    kinds = [draw(st.sampled_from(["identity", "relu", "hard_tanh"])) for _ in range(layers)]
    return nonexpansive(draw(st.integers(0, 2**32 - 1)), n, layers, kinds)


def promises(followed: Followed, equilibrium: Array, alpha: float, steps: int, seen: set[str]) -> None:
    """Check every update against the docstring, from the points it evaluated."""
    method = followed.solver
    lam = method.relaxation / (2 * alpha)
    first = limit = level = followed.state.residual
    initial = float(np.sum((followed.state.x - equilibrium) ** 2))
    decrease, increase = 0.0, 0.0
    for k in range(1, steps + 1):
        x, g = followed.state.x.copy(), followed.state.memory.copy()
        residual, distance = float(np.linalg.norm(g)), float(np.sum((x - equilibrium) ** 2))
        if residual <= 1e-9 * first:
            return
        kind = followed.step()
        following = followed.state
        seen.add(kind)
        if kind == "solved":
            assert following.residual <= 1e-13 * max(1.0, first)
            return
        reached = float(np.sum((following.x - equilibrium) ** 2))
        unit = 1e-12 * (1 + initial)
        if kind == "blind":
            assert residual <= method.blind_factor * level
            level = residual
        elif kind == "educated":
            assert following.residual <= method.educated_factor * residual
            assert residual <= limit
            limit = following.residual + SLACK**k * first
        else:
            # The last point is x+ itself; the candidate is the one before it, or x where t is 0.
            w, image = followed.points[-2] if kind == "projection" else (x, g)
            size = float(np.linalg.norm(image))
            # What rounding may turn the normal of the half-space by.
            noise = 1e-14 * (1 + np.linalg.norm(w)) / size * (distance + residual**2)
            rho = size**2 + 2 * alpha * float(image @ (w - x))
            assert rho >= method.projection_factor * size * residual * (1 - 1e-9) - unit
            np.testing.assert_allclose(following.x, x + lam * rho / size**2 * image, rtol=1e-9, atol=1e-10)
            # Every fixed point lies in the half-space.
            assert size**2 + 2 * alpha * float(image @ (w - equilibrium)) <= unit
            fall = lam * (1 / alpha - lam) * (rho / size) ** 2
            assert fall >= lam * (1 / alpha - lam) * (method.projection_factor * residual) ** 2 * (1 - 1e-9) - unit
            assert reached <= distance - fall + unit + noise
            decrease += fall
        if kind in ("blind", "educated"):
            increase += reached - distance
    assert decrease <= initial + increase + 1e-9 * (1 + initial)


@pytest.mark.parametrize("options", OPTIONS, ids=range(len(OPTIONS)))
def test_every_update_keeps_its_promise(options: dict[str, Any]) -> None:
    seen: set[str] = set()

    @settings(max_examples=25, deadline=None, derandomize=True)
    @given(case=cases(), seed=st.integers(0, 1000))
    def check(case: tuple[Any, Array], seed: int) -> None:
        game, equilibrium = case
        assert nng.solver("supermann", **options).guarantee(game).proved
        start = 3 * np.random.default_rng(seed).standard_normal(game.size)
        promises(Followed(game, start, **options), equilibrium, 1.0, 80, seen)

    check()
    assert "projection" in seen
    assert ("educated" in seen) == (options.get("educated_factor") != 0.0)
    assert ("blind" in seen) == ("blind_factor" in options)


def test_an_averaged_map_is_projected_farther() -> None:
    # O = (Id + Q)/2 is firmly nonexpansive: with alpha = 1/2 a projection goes twice as far.
    rng = np.random.default_rng(3)
    equilibrium = rng.standard_normal(8)
    weight = (np.eye(8) + turns(rng, 8)) / 2
    game = nng.Network.recurrent(weight, equilibrium - weight @ equilibrium, "identity").game("neurons")
    for alpha in (0.5, 0.75, 1.0):
        options = {"averagedness": alpha, "educated_factor": 0.0}
        assert nng.solver("supermann", **options).guarantee(game).proved
        promises(Followed(game, 5 * rng.standard_normal(8), **options), equilibrium, alpha, 60, set())
    assert not nng.solver("supermann", averagedness=0.4).guarantee(game).proved


@pytest.mark.parametrize("direction", ["random", "away", "huge", "nan", "zero"])
@pytest.mark.parametrize("options", OPTIONS, ids=range(len(OPTIONS)))
def test_it_converges_whatever_the_directions_are(
    direction: str, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    # -P has no eigenvalue 1, since 5 is odd.
    rng = np.random.default_rng(1)
    game = nng.Network.recurrent(-np.roll(np.eye(5), 1, axis=0), np.ones(5), "identity").game("neurons")
    directions = {
        "random": lambda g: np.linalg.norm(g) * rng.standard_normal(5),
        "away": lambda g: g,
        "huge": lambda g: np.full(5, 1e300),
        "nan": lambda g: np.full(5, np.nan),
        "zero": lambda g: np.zeros(5),
    }
    monkeypatch.setattr("nngames.solvers.broyden.InverseJacobian.__call__", lambda self, g: directions[direction](g))
    # A larger sigma than the default, with which bad directions slow the scheme down much.
    options = {**options, "projection_factor": 0.7}
    result = nng.solve(game, "supermann", start=10 * rng.standard_normal(5), tolerance=1e-6, **options)
    assert result.converged, result.message


# Where it ends, and how fast


@pytest.mark.parametrize(("n", "layers"), [(2, 1), (20, 1), (40, 3)])
def test_turning_rings_on_which_picard_cannot_converge(n: int, layers: int) -> None:
    # O turns by angles from 60 to 180 degrees around an equilibrium at which every unit is strictly active.
    rng = np.random.default_rng(n)
    turn = np.zeros((n, n))
    for i, angle in enumerate(rng.uniform(np.pi / 3, np.pi, n // 2)):
        c, s = np.cos(angle), np.sin(angle)
        turn[2 * i : 2 * i + 2, 2 * i : 2 * i + 2] = [[c, -s], [s, c]]
    basis = np.linalg.qr(rng.standard_normal((n, n)))[0]
    others = [np.linalg.qr(rng.standard_normal((n, n)))[0] for _ in range(layers - 1)]
    undo = np.eye(n)
    for other in others:
        undo = undo @ other.T
    weights = [basis @ turn @ basis.T @ undo, *others] if layers > 1 else [basis @ turn @ basis.T]
    outputs = [rng.uniform(0.5, 1.5, n) for _ in range(layers)]
    biases = [output - weight @ outputs[i - 1] for i, (weight, output) in enumerate(zip(weights, outputs, strict=True))]
    game = ring(weights, biases, "relu")
    start = np.concatenate(outputs) + 0.1 * rng.standard_normal(n * layers) / np.sqrt(n)
    assert not nng.solve(game, "picard", start=start, max_iterations=2000).converged
    result = nng.solve(game, "supermann", start=start)
    assert result.converged, result.message
    np.testing.assert_allclose(result.profile, np.concatenate(outputs), rtol=0, atol=1e-7)
    assert result.evaluations <= nng.solve(game, "km", start=start).evaluations


@pytest.mark.parametrize("seed", range(3))
def test_superlinear_on_a_smooth_regular_ring(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = 10
    weights = [rng.random((n, n)) for _ in range(2)]
    weights = [0.98 * weight / np.linalg.norm(weight, 2) for weight in weights]
    game = ring(weights, [0.05 * rng.standard_normal(n) for _ in range(2)], "tanh")
    exact = nng.solve(game, "newton", tolerance=1e-15, max_iterations=50).profile[n:]
    states = list(islice(nng.solver("supermann", memory=100).iterate(game, start=np.ones(2 * n)), 60))
    errors = [float(np.linalg.norm(state.profile[n:] - exact)) for state in states]
    ratios = [after / before for before, after in pairwise(errors) if before > 1e-12]
    # A linear rate would leave all ratios near one number, 0.96 for Picard; here the last three multiply to less than
    # what Broyden's method gains in the end.
    assert np.prod(ratios[-3:]) <= 1e-4
    assert errors[-1] <= 1e-13
    followed = Followed(game, np.ones(2 * n), memory=100)
    kinds = []
    while followed.state.residual > 1e-12:
        kinds.append(followed.step())
    assert set(kinds[-5:]) == {"educated"}


def test_a_fixed_point_that_a_candidate_hits_is_taken() -> None:
    # From x = 0 the step of R goes to the equilibrium itself.
    game = nng.Network.recurrent([[0.0]], [2.0], "identity").game("neurons")
    result = nng.solve(game, "supermann", educated_factor=0.0)
    assert (result.profile.tolist(), result.residual, result.iterations) == ([2.0], 0.0, 1)


# The guarantee


def test_guarantees() -> None:
    rng = np.random.default_rng(0)
    weights = [0.9 * turns(rng, 4) for _ in range(2)]
    contraction = ring(weights, rng.standard_normal((2, 4)), "tanh")
    for kind in ("composite", "joint"):
        guarantee = nng.solver("supermann", map=kind, averagedness=0.96).guarantee(contraction)
        assert guarantee.proved
        assert guarantee.witness["unique"]
        assert guarantee.rate is None
    # 0.81-Lipschitz is 0.905-averaged.
    assert nng.solver("supermann", averagedness=0.91).guarantee(contraction).proved
    turn, _ = nonexpansive(0, 4, 2, ["identity", "relu"])
    guarantee = nng.solver("supermann").guarantee(turn)
    assert guarantee.proved
    assert "if there is one" in guarantee.statement
    assert not nng.solver("supermann", averagedness=0.99).guarantee(turn).proved
    assert not nng.solver("supermann", map="joint").guarantee(turn).proved
    assert set(guarantee.references) <= set(references.keys())
    assert "themelis2019" in guarantee.cite()


@pytest.mark.parametrize("start", [0.0, 3.0, -40.0])
def test_without_an_equilibrium_convergence_is_only_what_the_residual_says(start: float) -> None:
    game = ring([1.0, 1.0], [0.0, 0.0], "softplus")
    assert "if there is one" in nng.solver("supermann").guarantee(game).statement
    result = nng.solve(game, "supermann", start=[start, start], max_iterations=500, tolerance=1e-12)
    assert result.converged == (game.residual(result.profile) <= 1e-12 * result.scale)


# What a scheme owes the loop


def expansive(seed: int = 1) -> Any:
    rng = np.random.default_rng(seed)
    weight = -np.eye(4) + 0.2 * rng.standard_normal((4, 4))
    return ring([3 * weight / np.linalg.norm(weight, 2), np.eye(4)], rng.random((2, 4)), "arctan")


@pytest.mark.parametrize("options", OPTIONS, ids=range(len(OPTIONS)))
def test_iterating_by_hand_is_the_trace_of_solve(options: dict[str, Any]) -> None:
    game = expansive()
    start = np.random.default_rng(2).standard_normal(game.size)
    result = nng.solve(game, "supermann", start=start, max_iterations=25, **options)
    stepped = list(islice(nng.solver("supermann", **options).iterate(game, start=start), result.iterations + 1))
    assert [s.residual for s in stepped] == result.trace.residual.tolist()
    assert [s.evaluations for s in stepped] == result.trace.evaluations.tolist()
    np.testing.assert_array_equal(stepped[-1].profile, result.profile)
    np.testing.assert_allclose(
        [game.residual(s.profile) for s in stepped], result.trace.residual, rtol=1e-9, atol=1e-14
    )


@pytest.mark.parametrize("options", OPTIONS, ids=range(len(OPTIONS)))
@pytest.mark.parametrize("kind", ["composite", "joint"])
def test_every_pass_is_counted(options: dict[str, Any], kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    game = expansive(4)
    view = type(game.fixed_point(kind))
    evaluate, passes = view.evaluate, [0]

    def evaluated(self: Any, x: Array, out: Array) -> Array:
        passes[0] += 1
        return evaluate(self, x, out)

    monkeypatch.setattr(view, "evaluate", evaluated)
    for iterate in islice(nng.solver("supermann", map=kind, **options).iterate(game), 60):
        assert iterate.evaluations == passes[0]


@pytest.mark.parametrize("fault", ["nan", "domain"])
def test_a_candidate_that_is_not_defined_is_passed_over(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    game = ring([0.9 * turns(rng, 5) for _ in range(2)], rng.standard_normal((2, 5)), "tanh")
    view = type(game.fixed_point("composite"))
    original, calls = view.evaluate, []

    def spoiled(self: Any, x: Array, out: Array) -> Array:
        calls.append(0)
        if fault == "domain" and len(calls) in (3, 4):
            raise DomainError("not there")
        original(self, x, out)
        if fault == "nan" and len(calls) in (3, 4):
            out[0] = np.nan
        return out

    monkeypatch.setattr(view, "evaluate", spoiled)
    result = nng.solve(game, "supermann")
    assert result.converged, result.message
    assert np.isfinite(result.trace.residual).all()


def test_an_interruption_leaves_a_whole_iterate() -> None:
    seen: list[Any] = []

    def stop(iterate: Any) -> None:
        seen.append(iterate)
        if iterate.iteration == 3:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted) as caught:
        nng.solve(expansive(), "supermann", callback=stop)
    np.testing.assert_array_equal(caught.value.result.profile, seen[-1].profile)


def test_a_float32_start_stays_float32() -> None:
    game = ring([[[0.5, 0.1], [0.0, 0.4]]] * 2, np.ones((2, 2)), "tanh")
    for options in OPTIONS:
        result = nng.solve(game, "supermann", start=np.ones(4, dtype=np.float32), tolerance=1e-5, **options)
        assert result.converged
        assert result.profile.dtype == np.float32


def test_a_map_that_overflows_is_called_by_its_name() -> None:
    assert nng.solve(ring([1e200] * 3, [1.0, 0.0, 0.0]), "supermann").status == "not_finite"


def test_the_memory_is_bounded() -> None:
    game = expansive()
    problem = nng.solver("supermann", memory=4).problem(game, np.random.default_rng(0))
    assert isinstance(problem, SuperMannProblem)
    state = problem.begin(np.ones(4))
    for _ in range(30):
        state = problem.advance(state)
        assert len(problem._inverse._left) <= 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"memory": -1}, "supermann: memory must be a nonnegative integer; got -1"),
        ({"blind_factor": 1.0}, "supermann: blind_factor must lie in [0, 1); got 1.0"),
        ({"educated_factor": -0.1}, "supermann: educated_factor must lie in [0, 1); got -0.1"),
        ({"projection_factor": 0}, "supermann: projection_factor must lie in (0, 1); got 0"),
        ({"averagedness": 1.5}, "supermann: averagedness must lie in (0, 1]; got 1.5"),
        ({"relaxation": 2}, "supermann: relaxation must lie in (0, 2); got 2"),
        ({"map": "T"}, "supermann: map='T' is unknown; valid: auto, composite, joint"),
    ],
)
def test_wrong_options_are_refused_exactly(options: dict[str, Any], message: str) -> None:
    with pytest.raises(nng.OptionError) as caught:
        nng.solver("supermann", **options)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("weights", "kind", "least"),
    [
        # |T(x) - T(y)| = 3/4 |x - y|, so T is (1 + 3/4)/2-averaged, and no certificate tells of less.
        ((0.75, -0.75), "joint", 0.875),
        # O is minus the identity, nonexpansive and nothing more.
        ((1.0, -1.0), "composite", 1.0),
    ],
)
def test_no_averagedness_is_taken_that_is_not_proved(weights: tuple[float, float], kind: str, least: float) -> None:
    game = nng.Network.ring([[[w]] for w in weights], [[1.0]] * 2, ["identity"] * 2).game()
    assert nng.solver("supermann", map=kind, averagedness=least).guarantee(game).proved
    for alpha in (0.6, 0.8, least - 1e-12):
        assert nng.solver("supermann", map=kind, averagedness=alpha).guarantee(game).status == "UNDECIDED"


def test_educated_updates_leave_a_limit_with_a_summable_slack() -> None:
    rng = np.random.default_rng(3)
    weights = [np.linalg.qr(rng.standard_normal((6, 6)))[0] for _ in range(2)]
    game = nng.Network.ring(weights, [rng.standard_normal(6) for _ in range(2)], ["tanh"] * 2).game()
    method = nng.solver("supermann")
    problem = method.problem(game, rng)
    state = method.start(problem, problem.restrict(np.ones(12)))
    initial, educated = state.residual, 0
    for k in range(1, 16):
        state = method.step(problem, state)
        if problem.kind == "educated":
            educated += 1
            assert problem._limit == pytest.approx(state.residual + 0.99**k * initial, rel=1e-12)
    assert educated >= 3
