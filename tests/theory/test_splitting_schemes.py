"""Douglas-Rachford and Peaceman-Rachford splitting: proved bounds at every iteration, formulas, limits and refusals.

A game is drawn from its M with a known equilibrium x* = r(v*): the activations are written here, W = diag(1/S) - M and
b = v* - W x*; a quadratic game from its costs, with the prox of its penalties at a drawn point.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import nngames as nng
from nngames.solvers.reflections import reflection_factor

Array = NDArray[np.float64]
METHODS = ("douglas_rachford", "peaceman_rachford")

#: name -> (parameters, the largest slope, the response).
ACTIVATIONS: dict[str, tuple[dict[str, Any], float, Callable[[Array], Array]]] = {
    "tanh": ({"name": "tanh"}, 1.0, np.tanh),
    "relu": ({"name": "relu"}, 1.0, lambda v: np.maximum(v, 0.0)),
    "hard_tanh": ({"name": "hard_tanh"}, 1.0, lambda v: np.clip(v, -1.0, 1.0)),
    "identity": ({"name": "identity"}, 1.0, lambda v: v),
    "steep_tanh": ({"name": "tanh", "scale": 2.0}, 2.0, lambda v: 2 * np.tanh(v)),
    "steep_linear": ({"name": "linear", "slope": 4.0}, 4.0, lambda v: 4 * v),
}


@dataclass(frozen=True)
class Case:
    """A game with an equilibrium."""

    game: Any
    equilibrium: Array


def checked(game: Any, profile: Array) -> Case:
    assert game.residual(profile) <= 1e-11 * game.scale * game.size
    return Case(game, profile)


def recurrent(rng: np.random.Generator, operator: Array, name: str) -> Case:
    """One layer that feeds itself, with this M."""
    mapping, slope, response = ACTIVATIONS[name]
    weight, drive = np.eye(len(operator)) / slope - operator, rng.standard_normal(len(operator))
    profile = response(drive)
    return checked(nng.Network.recurrent(weight, drive - weight @ profile, mapping).game("neurons"), profile)


def ring(rng: np.random.Generator, weights: list[Array], name: str) -> Case:
    mapping, _, response = ACTIVATIONS[name]
    drives = [rng.standard_normal(len(weight)) for weight in weights]
    outputs = [response(drive) for drive in drives]
    biases = [drive - weights[i] @ outputs[i - 1] for i, drive in enumerate(drives)]
    return checked(nng.Network.ring(weights, biases, [mapping] * len(weights)).game(), np.concatenate(outputs))


def contractionless(rng: np.random.Generator, size: float, name: str = "relu") -> Case:
    """W = (1 - m) I - A'A + B - B' with m = 0.1 and |W| = size, scaled to the slopes of the activation."""
    n, slope = 12, ACTIVATIONS[name][1]
    first, second = rng.standard_normal((2, n, n))
    part = first.T @ first + 2 * (second.T - second)
    low, high = 0.0, size
    for _ in range(60):
        middle = (low + high) / 2
        inside = np.linalg.norm(0.9 * np.eye(n) - middle * part, 2) < size
        low, high = (middle, high) if inside else (low, middle)
    return recurrent(rng, (0.1 * np.eye(n) + low * part) / slope, name)


def uneven_ring(rng: np.random.Generator, size: float, name: str = "tanh") -> Case:
    """Five layers of different sizes with |W_l| = size."""
    dims = (4, 2, 5, 3, 4)
    weights = [rng.standard_normal((dims[i], dims[i - 1])) for i in range(5)]
    return ring(rng, [weight * (size / np.linalg.norm(weight, 2)) for weight in weights], name)


def skew_pair(rng: np.random.Generator, size: float, name: str = "hard_tanh") -> Case:
    """M = Id + K, K skew-symmetric of norm size."""
    weight = rng.standard_normal((3, 4))
    weight *= size / np.linalg.norm(weight, 2)
    return ring(rng, [weight, -weight.T], name)


def symmetric(rng: np.random.Generator, size: float, name: str = "relu") -> Case:
    root = rng.standard_normal((6, 6))
    matrix = root @ root.T + 0.2 * np.eye(6)
    matrix *= size / np.linalg.norm(matrix, 2)
    return recurrent(rng, (matrix + matrix.T) / 2, name)


def merely_monotone(rng: np.random.Generator, size: float, name: str = "tanh") -> Case:
    """W_1 + W_2' = (2/S) U, U a signed permutation, so (M + M')/2 has the eigenvalue 0, exactly: dyadic entries."""
    weight = np.round(16 * size * rng.standard_normal((4, 4)) / 2) / 16
    turn = np.eye(4)[rng.permutation(4)] * rng.choice([-1.0, 1.0], 4)
    return ring(rng, [weight, (2 / ACTIVATIONS[name][1] * turn - weight).T], name)


def minus_two(rng: np.random.Generator, size: float = 2.0) -> Case:
    """The ring L = 3, W_l = -2 Id, r = Id: M has the eigenvalues 3 and +- i sqrt 3."""
    return ring(rng, [-2 * np.eye(2)] * 3, "identity")


def onto_simplex(u: Array) -> Array:
    ordered = np.sort(u)[::-1]
    excess = (np.cumsum(ordered) - 1) / np.arange(1, len(u) + 1)
    return np.maximum(u - excess[np.flatnonzero(ordered > excess)[-1]], 0.0)


PENALTIES: dict[Any, tuple[Any, Callable[[Array], Array]]] = {
    0: ("nonnegative", lambda u: np.maximum(u, 0.0)),
    1: ("simplex", onto_simplex),
    2: ({"name": "box", "lower": -1.0, "upper": 1.0}, lambda u: np.clip(u, -1.0, 1.0)),
}


def quadratic(rng: np.random.Generator, size: float) -> Case:
    """Three players with metrics and constraint sets; the couplings are skew but for a small part."""
    dims = (3, 4, 2)
    roots = [rng.standard_normal((n, n)) for n in dims]
    own = {i: (root @ root.T + np.eye(len(root))) for i, root in enumerate(roots)}
    own = {i: (matrix + matrix.T) / 2 for i, matrix in own.items()}
    coupling: dict[tuple[int, int], Array] = {}
    for i, j in ((0, 1), (1, 2), (0, 2)):
        coupling[i, j] = size * rng.standard_normal((dims[i], dims[j])) / 2
        coupling[j, i] = -coupling[i, j].T + 0.1 * rng.standard_normal((dims[j], dims[i]))
    points = [rng.standard_normal(n) for n in dims]
    outputs = [PENALTIES[i][1](point) for i, point in enumerate(points)]
    linear = {}
    for i in range(3):
        total = own[i] @ outputs[i] + points[i] - outputs[i]
        linear[i] = -(total + sum((coupling[i, j] @ outputs[j] for j in range(3) if j != i), np.zeros(dims[i])))
    game = nng.QuadraticGame(own, coupling, linear, {i: penalty for i, (penalty, _) in PENALTIES.items()})
    return checked(game, np.concatenate(outputs))


#: family, parameters, and whether strong monotonicity must be proved.
FAMILIES: tuple[tuple[Callable[..., Case], tuple[Any, ...], bool], ...] = (
    *((contractionless, (size, name), True) for size in (2.0, 10.0, 50.0) for name in ("relu", "tanh", "hard_tanh")),
    (contractionless, (4.0, "steep_tanh"), True),
    (contractionless, (3.0, "steep_linear"), True),
    (uneven_ring, (0.8,), True),
    (uneven_ring, (0.4, "steep_tanh"), True),
    (skew_pair, (0.5,), True),
    (skew_pair, (20.0, "relu"), True),
    (symmetric, (8.0,), True),
    (symmetric, (0.3, "steep_linear"), True),
    (quadratic, (0.5,), True),
    (quadratic, (5.0,), True),
    (merely_monotone, (1.0,), False),
    (merely_monotone, (4.0, "relu"), False),
    (merely_monotone, (2.0, "steep_tanh"), False),
    (minus_two, (), False),
)

_cases: dict[Any, Case] = {}


def case_of(family: Callable[..., Case], parameters: tuple[Any, ...]) -> Case:
    """Return the case of a family, built once."""
    key = (family.__name__, *parameters)
    if key not in _cases:
        _cases[key] = family(np.random.default_rng(len(str(key))), *parameters)
    return _cases[key]


def start_of(case: Case) -> Array:
    return case.equilibrium + np.random.default_rng(case.game.size).standard_normal(case.game.size)


def follow(case: Case, solver: Any, steps: int, start: Array | None = None) -> Any:
    """Compare the bound with the iterates, and the trace's residual with the game's."""
    guarantee = solver.guarantee(case.game)
    assert guarantee.proved, guarantee
    rate = guarantee.rate
    start = start_of(case) if start is None else start
    initial = rate.norm(start - case.equilibrium)
    floor = 1e-12 * max(1.0, float(np.abs(case.equilibrium).max()), initial) * case.game.scale
    for iterate in islice(solver.iterate(case.game, start=start), steps):
        k = iterate.iteration
        assert iterate.residual == pytest.approx(case.game.residual(iterate.profile), rel=1e-6, abs=floor)
        distance = rate.norm(iterate.profile - case.equilibrium)
        reached = {"distance": distance, "residual": iterate.residual}[rate.quantity]
        assert reached <= rate.bound(k, initial) * (1 + 1e-9) + floor, f"iteration {k}"
    return rate


@pytest.mark.parametrize(("family", "parameters", "strong"), FAMILIES)
@pytest.mark.parametrize("share", [None, 0.05, 30.0])
def test_bounds_hold_at_every_iteration(
    family: Callable[..., Case], parameters: tuple[Any, ...], strong: bool, share: float | None
) -> None:
    case = case_of(family, parameters)
    step = None if share is None else share / case.game.inclusion().norm_bound
    for relaxation in (0.3, 1.0, 1.9):
        rate = follow(case, nng.solver("douglas_rachford", step_size=step, relaxation=relaxation), 30)
        assert rate.quantity == ("distance" if strong else "residual")
    reflected = nng.solver("peaceman_rachford", step_size=step)
    if strong:
        assert follow(case, reflected, 30).quantity == "distance"
    else:
        assert reflected.guarantee(case.game).status == "UNDECIDED"


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 2**32 - 1),
    pick=st.integers(0, len(FAMILIES) - 1),
    relaxation=st.floats(0.05, 1.95),
    exponent=st.floats(-3, 3),
)
def test_bounds_hold_on_drawn_games(seed: int, pick: int, relaxation: float, exponent: float) -> None:
    family, parameters, _ = FAMILIES[pick]
    case = family(np.random.default_rng(seed), *parameters)
    if nng.certify(case.game)["monotone"].proved:
        follow(case, nng.solver("douglas_rachford", step_size=10**exponent, relaxation=relaxation), 30)


@pytest.mark.parametrize(("family", "parameters", "strong"), FAMILIES)
def test_both_solve_what_they_are_proved_to_solve(
    family: Callable[..., Case], parameters: tuple[Any, ...], strong: bool
) -> None:
    case = case_of(family, parameters)
    for method in METHODS if strong else METHODS[:1]:
        result = nng.solve(case.game, method, max_iterations=3000)
        assert result.converged, result.message
        assert case.game.residual(result.profile) <= 1e-9 * result.scale
        if strong:
            assert np.abs(result.profile - case.equilibrium).max() <= 1e-6 * result.scale


# Sharpness and what is not proved


def test_two_reflections_turn_for_ever_on_a_merely_monotone_ring() -> None:
    # (1 - tau i sqrt 3)/(1 + tau i sqrt 3) = -i at tau = 1/sqrt 3: four steps lead back. Only the mode of 3 dies out.
    case = case_of(minus_two, ())
    step = 1 / math.sqrt(3)
    reflected = nng.solve(case.game, "peaceman_rachford", step_size=step)
    assert reflected.status == "cycling"
    assert "period 4" in reflected.message
    assert nng.solve(case.game, "peaceman_rachford", max_iterations=2000).residual > 0.01
    guarantee = nng.solver("peaceman_rachford").guarantee(case.game)
    assert "two whole reflections need strong monotonicity" in guarantee.statement
    for relaxation in (0.5, 1.0, 1.9):
        assert nng.solve(case.game, "douglas_rachford", step_size=step, relaxation=relaxation).converged


@settings(max_examples=100, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 6), exponent=st.floats(-2, 2), even=st.booleans())
def test_reflected_resolvents_contract_by_their_factor(seed: int, n: int, exponent: float, even: bool) -> None:
    rng = np.random.default_rng(seed)
    root, half = rng.standard_normal((2, n, n))
    matrix = root @ root.T + rng.uniform(0, 0.5) * np.eye(n) + (0 if even else 3 * (half - half.T))
    matrix = (matrix + matrix.T) / 2 if even else matrix
    tau, identity = 10**exponent, np.eye(n)
    low = float(np.linalg.eigvalsh((matrix + matrix.T) / 2)[0])
    reflected = (identity - tau * matrix) @ np.linalg.inv(identity + tau * matrix)
    factor = reflection_factor(tau * float(np.linalg.norm(matrix, 2)), tau * low, even)
    true = float(np.linalg.norm(reflected, 2))
    assert true <= factor + 1e-12
    if even:
        assert factor == pytest.approx(true, abs=1e-9)


@pytest.mark.parametrize("tau", [0.05, 0.25, 1.0])
def test_the_factor_is_attained(tau: float) -> None:
    # M = [[1, -w], [w, 1]]: <Md, d> = |d|^2 and |Md|^2 = (1 + w^2)|d|^2 for every d.
    w = 4.0
    size = math.sqrt(1 + w**2)
    expected = math.sqrt((1 - 2 * tau + (tau * size) ** 2) / (1 + 2 * tau + (tau * size) ** 2))
    assert reflection_factor(tau * size, tau, False) == pytest.approx(expected, rel=1e-9)
    case = ring(np.random.default_rng(0), [np.array([[w]]), np.array([[-w]])], "identity")
    solver = nng.solver("peaceman_rachford", step_size=tau)
    rate = solver.guarantee(case.game).rate
    distances = [
        rate.norm(iterate.profile - case.equilibrium)
        for iterate in islice(solver.iterate(case.game, start=start_of(case)), 15)
    ]
    np.testing.assert_allclose(np.divide(distances[1:], distances[:-1]), expected, rtol=1e-7)


def test_the_symmetric_factor_is_best_at_the_geometric_mean() -> None:
    case = recurrent(np.random.default_rng(0), np.diag([0.25, 4.0]), "identity")
    solver = nng.solver("peaceman_rachford", step_size=1.0)
    assert solver.guarantee(case.game).witness["factor"] == pytest.approx(3 / 5, rel=1e-9)
    halfway = nng.solver("douglas_rachford", step_size=1.0, relaxation=1.0)
    assert halfway.guarantee(case.game).witness["factor"] == pytest.approx(4 / 5, rel=1e-9)


def test_without_monotonicity_nothing_is_proved() -> None:
    game = nng.Network.ring([[[2.0]], [[2.0]]], [[1.0], [0.0]], ["tanh"] * 2).game()
    for method in METHODS:
        guarantee = nng.solver(method).guarantee(game)
        assert guarantee.status == "UNDECIDED"
        assert "M is not proved monotone" in guarantee.statement


def test_unbounded_slopes_leave_convergence_without_a_rate() -> None:
    game = nng.Network.ring([[[-1.0]], [[1.0]]], [[0.5], [0.5]], ["soft_exponential"] * 2).game()
    guarantee = nng.solver("douglas_rachford").guarantee(game)
    assert guarantee.proved
    assert guarantee.rate is None


def test_huge_steps_keep_the_proof_honest() -> None:
    case = case_of(skew_pair, (20.0, "relu"))
    solver = nng.solver("peaceman_rachford", step_size=1e200)
    assert solver.guarantee(case.game).status == "UNDECIDED"
    assert nng.solver("douglas_rachford", step_size=1e200).guarantee(case.game).proved


# Formulas


def formula(operator: Array, offset: Array, prox: Callable[[Array], Array], tau: float, share: float, x: Array) -> Any:
    """Yield the shadow points of the relaxed scheme, with a dense system solved anew each time."""
    z = x + tau * (operator @ x + offset)
    while True:
        x = np.linalg.solve(np.eye(len(z)) + tau * operator, z - tau * offset)
        yield x
        z = z + share * (prox(2 * x - z) - x)


def compositions(operator: Array, offset: Array, prox: Callable[[Array], Array], tau: float, x: Array) -> Iterator[Any]:
    """Yield the shadow points of z <- R_F R_M z, written with reflections."""
    z = x + tau * (operator @ x + offset)
    while True:
        x = np.linalg.solve(np.eye(len(z)) + tau * operator, z - tau * offset)
        yield x
        turned = 2 * x - z
        z = 2 * prox(turned) - turned


def dense(game: Any) -> tuple[Array, Array]:
    network, n = game.network, game.size
    matrix, shift = np.eye(n), np.zeros(n)
    for (target, source), weight in network.weights.items():
        matrix[game.blocks.slices[target], game.blocks.slices[source]] -= weight.dense
    for player, bias in network.biases.items():
        shift[game.blocks.slices[player]] = -bias
    return matrix, shift


def profiles(solver: Any, case: Case, count: int) -> Array:
    return np.array([i.profile for i in islice(solver.iterate(case.game, start=start_of(case)), count)])


CLIPPED: dict[str, Callable[[Array], Array]] = {
    "hard_tanh": lambda u: np.clip(u, -1.0, 1.0),
    "relu": lambda u: np.maximum(u, 0.0),
    "identity": lambda u: u,
}


@pytest.mark.parametrize("name", CLIPPED)
@pytest.mark.parametrize(("family", "size"), [(uneven_ring, 0.9), (skew_pair, 7.0), (contractionless, 10.0)])
def test_iterates_are_those_of_the_dense_formula(name: str, family: Callable[..., Case], size: float) -> None:
    case = case_of(family, (size, name))
    matrix, shift = dense(case.game)
    for tau in (0.05, 0.7):
        for relaxation in (0.4, 1.0, 1.8, 2.0):
            solver = nng.solver("douglas_rachford", step_size=tau, relaxation=relaxation)
            expected = islice(formula(matrix, shift, CLIPPED[name], tau, relaxation, start_of(case)), 25)
            found = profiles(solver, case, 25)
            np.testing.assert_allclose(found, [*expected], rtol=0, atol=1e-10)
        reflected = profiles(nng.solver("peaceman_rachford", step_size=tau), case, 25)
        np.testing.assert_array_equal(reflected, found)
        expected = islice(compositions(matrix, shift, CLIPPED[name], tau, start_of(case)), 25)
        np.testing.assert_allclose(reflected, [*expected], rtol=0, atol=1e-10)


def test_a_start_is_its_own_first_iterate_and_passes_are_counted() -> None:
    for family, parameters, passes in ((contractionless, (10.0, "relu"), 1), (uneven_ring, (0.8,), 2)):
        case = case_of(family, parameters)
        start = start_of(case)
        states = [*islice(nng.solver("douglas_rachford").iterate(case.game, start=start), 4)]
        np.testing.assert_array_equal(states[0].profile, start)
        assert [state.evaluations for state in states] == [1, 1 + passes, 1 + 2 * passes, 1 + 3 * passes]


def test_the_default_step_is_one_over_the_mean_singular_value() -> None:
    case = case_of(skew_pair, (20.0, "relu"))
    singular = np.linalg.svd(dense(case.game)[0], compute_uv=False)
    for method in METHODS:
        problem = nng.solver(method).problem(case.game, np.random.default_rng(0))
        assert problem.step == pytest.approx(1 / np.sqrt(np.mean(singular**2)))
    # Slopes without bound leave M nothing of the identity.
    free = nng.Network.graph({}, {0: [0.5]}, {0: "soft_exponential"}).game()
    assert nng.solver("douglas_rachford").problem(free, np.random.default_rng(0)).step == 1.0


# Errors

WRONG = (0, -1, np.nan, np.inf, True, "1", 1j, [1.0], 10**400)


@pytest.mark.parametrize("method", METHODS)
def test_bad_steps_are_refused(method: str) -> None:
    for value in WRONG:
        with pytest.raises(nng.OptionError, match=f"^{method}: step_size must be a positive number; got "):
            nng.solver(method, step_size=value)
    assert type(nng.solver(method, step_size=np.float32(1)).options["step_size"]) is float


def test_bad_relaxations_are_refused() -> None:
    for value in (*WRONG, None, 2.0000001):
        with pytest.raises(nng.OptionError, match=r"^douglas_rachford: relaxation must lie in \(0, 2\]; got "):
            nng.solver("douglas_rachford", relaxation=value)
    assert nng.solver("douglas_rachford", relaxation=2).options["relaxation"] == 2.0
    with pytest.raises(nng.OptionError, match="has no option 'relaxation'"):
        nng.solver("peaceman_rachford", relaxation=1.0)


@pytest.mark.parametrize("method", METHODS)
def test_games_without_an_affine_operator_are_refused(method: str) -> None:
    bilinear = nng.Network(
        [nng.BilinearCoupling(2, (1, 3), np.ones((1, 1, 1)))],
        {1: [0.0], 2: [0.0], 3: [0.0]},
        dict.fromkeys((1, 2, 3), "tanh"),
    )
    tracking = nng.Network.ring([[[1.0]], [[1.0]]], [[0.0]] * 2, ["gelu"] * 2)
    singular = nng.Network.ring([-2 * np.eye(2)] * 64, [np.ones(2)] * 64, ["identity"] * 64)
    for network, options, reason in (
        (bilinear, {}, "not linear"),
        (tracking, {}, "the tracking cost has no inclusion view"),
        (singular, {"step_size": 1.0}, "give another step_size"),
    ):
        game = network.game()
        assert reason in (nng.solver(method, **options).applies(game) or "none")
        with pytest.raises(nng.NotApplicableError, match=f"{method} does not apply: .*{reason}"):
            nng.solve(game, method, **options)
