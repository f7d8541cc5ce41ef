"""Halpern's scheme, Anderson acceleration, Broyden's and Newton's method: bounds, special cases, safeguards, passes."""

from __future__ import annotations

from itertools import islice
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import nngames as nng
from nngames.core import references
from nngames.core.errors import DomainError
from nngames.games import FixedPoint
from nngames.networks.elimination import Elimination
from nngames.solvers import Interrupted, anderson, anderson_steps, newton, safeguard
from nngames.solvers.multisecant import coefficients, solve_gram, solve_unrepeated
from nngames.solvers.safeguard import Turns
from nngames.solvers.solver import State

Array = NDArray[np.float64]
SAFEGUARDED: tuple[tuple[str, dict[str, Any]], ...] = (
    ("anderson", {}),
    ("anderson", {"type": "I"}),
    ("anderson", {"memory": 12, "mixing": 0.7, "regularization": 1e-12}),
    ("broyden", {}),
    ("broyden", {"memory": 8}),
    ("newton", {}),
    ("newton", {"linear_solver": "gmres"}),
)
METHODS = [pytest.param(*pair, id="-".join([pair[0], *map(str, pair[1].values())])) for pair in SAFEGUARDED]


def ring(weights: Any, biases: Any, activation: str = "identity") -> Any:
    return nng.Network.ring(weights, biases, [activation] * len(weights)).game()


def orthogonal(rng: np.random.Generator, n: int) -> Array:
    return np.linalg.qr(rng.standard_normal((n, n)))[0]


def scaled(matrix: Array, norm: float) -> Array:
    return matrix * (norm / np.linalg.norm(matrix, 2))


def slow_ring(activation: str, seed: int, n: int = 20, layers: int = 3, norm: float = 0.99) -> Any:
    """A contractive ring of positive weights, on which Picard iteration is slow."""
    rng = np.random.default_rng(seed)
    steepest = {"tanh": 1.0, "gaussian": float(np.sqrt(2 / np.e)), "sigmoid": 0.25}[activation]
    weights = [scaled(rng.random((n, n)), norm / steepest) for _ in range(layers)]
    return ring(weights, [0.05 * rng.standard_normal(n) for _ in range(layers)], activation)


def expansive_ring(seed: int, n: int = 4, norm: float = 3.0) -> Any:
    rng = np.random.default_rng(seed)
    return ring([scaled(-np.eye(n) + 0.2 * rng.standard_normal((n, n)), norm), np.eye(n)], rng.random((2, n)), "arctan")


def chain(length: int, activation: str = "identity") -> Any:
    return nng.Network.chain([1.0] * length, [0.1] * length, [activation] * length, [1.0]).game()


class Affine(FixedPoint):
    """x -> A x + b, and what it was asked."""

    name = "joint"

    def __init__(self, matrix: Array, shift: Array) -> None:
        self.matrix, self.shift, self.size = matrix, shift, len(shift)

    def evaluate(self, x: Array, out: Array) -> Array:
        return np.add(self.matrix @ x, self.shift, out=out)

    def restrict(self, profile: Array) -> Array:
        return profile

    def profile(self, x: Array) -> Array:
        return x

    def linearise(self, x: Array) -> Any:
        return lambda d: d @ self.matrix.T


def iterates(method: str, game: Any, count: int, start: Any = None, **options: Any) -> list[Any]:
    return list(islice(nng.solver(method, **options).iterate(game, start=start), count))


# Halpern


@st.composite
def nonexpansive_rings(draw: Any) -> tuple[Any, Array]:
    """A ring of signed permutations, whose norms are exactly 1, with an equilibrium known by construction."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n, layers = draw(st.integers(1, 6)), draw(st.integers(2, 4))
    kinds = [draw(st.sampled_from(["identity", "relu", "hard_tanh"])) for _ in range(layers)]
    weights = [np.eye(n)[rng.permutation(n)] * rng.choice([-1.0, 1.0], n) for _ in range(layers)]
    # Outputs in (0, 1) are the pre-activations themselves for all three activations.
    outputs = [rng.uniform(0.1, 0.9, n) for _ in range(layers)]
    biases = [output - weight @ outputs[i - 1] for i, (weight, output) in enumerate(zip(weights, outputs, strict=True))]
    return nng.Network.ring(weights, biases, kinds).game(), outputs[-1]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(case=nonexpansive_rings(), seed=st.integers(0, 1000))
def test_halpern_keeps_its_bound_at_every_iteration(case: Any, seed: int) -> None:
    game, equilibrium = case
    guarantee = nng.solver("halpern").guarantee(game)
    assert guarantee.proved, guarantee
    start = np.random.default_rng(seed).standard_normal(game.size)
    last = game.network.space.slices[game.network.composite.order[-1]]
    distance = float(np.linalg.norm(start[last] - equilibrium))
    for iterate in iterates("halpern", game, 120, start):
        bound = 2 * distance / (iterate.iteration + 1)
        assert guarantee.rate.bound(iterate.iteration, distance) == pytest.approx(bound, rel=1e-11)
        assert iterate.residual <= bound * (1 + 1e-9) + 1e-13


def test_halpern_attains_its_bound_on_minus_identity() -> None:
    game = ring([[[-1.0]]], [[0.0]])
    residuals = [iterate.residual for iterate in iterates("halpern", game, 41, [3.0])]
    np.testing.assert_allclose(residuals[::2], [6.0 / (k + 1) for k in range(0, 41, 2)], rtol=1e-12)


def test_halpern_is_its_formula() -> None:
    game = slow_ring("tanh", 0)
    start = np.random.default_rng(1).standard_normal(game.size)
    last = slice(40, 60)
    x, anchor = start[last], start[last]
    for k, iterate in enumerate(iterates("halpern", game, 20, start)):
        np.testing.assert_allclose(iterate.profile[last], x, rtol=1e-13, atol=1e-14)
        x = anchor / (k + 2) + (k + 1) / (k + 2) * game.network.forward(x)[-1]


def test_halpern_finds_the_equilibrium_nearest_to_its_start() -> None:
    # O turns the first two coordinates and keeps the third: the fixed points are the third axis.
    c, s = np.cos(2.0), np.sin(2.0)
    game = ring([[[c, -s, 0], [s, c, 0], [0, 0, 1.0]], np.eye(3)], np.zeros((2, 3)))
    result = nng.solve(game, "halpern", start=[0, 0, 0, 3.0, -2.0, 5.0], tolerance=1e-4)
    assert result.converged
    np.testing.assert_allclose(result.profile[3:], [0, 0, 5.0], atol=1e-3)


@pytest.mark.parametrize("kind", ["composite", "joint"])
def test_halpern_keeps_its_bound_on_contractions(kind: str) -> None:
    game = ring([scaled(np.random.default_rng(i).standard_normal((4, 4)), 0.9) for i in range(3)], np.ones((3, 4)))
    guarantee = nng.solver("halpern", map=kind).guarantee(game)
    assert guarantee.proved
    exact = nng.solve(game, "newton", tolerance=1e-15, max_iterations=50).profile
    where = slice(8, 12) if kind == "composite" else slice(None)
    steps = iterates("halpern", game, 200, map=kind)
    initial = guarantee.rate.norm((steps[0].profile - exact)[where])
    for step in steps:
        reached = guarantee.rate.norm((step.profile - exact)[where])
        assert reached <= guarantee.rate.bound(step.iteration, initial) * (1 + 1e-9) + 1e-13
    assert guarantee.rate.bound(2000, 1.0) < 1 / 150


def test_halpern_tells_the_bound_that_says_more_on_near_isometries() -> None:
    """An inverse within 1e-9 of an isometry, for which the contraction alone would bound nothing."""
    game = ring([[[1e-9 - 1.0]]], [[0.0]])
    guarantee = nng.solver("halpern").guarantee(game)
    assert guarantee.rate.quantity == "residual"
    assert guarantee.witness["unique"]
    for iterate in iterates("halpern", game, 41, [3.0]):
        assert iterate.residual <= guarantee.rate.bound(iterate.iteration, 3.0)
    assert guarantee.rate.bound(40, 3.0) == pytest.approx(6 / 41)


# Special cases that must coincide


@pytest.mark.parametrize("method", ["anderson", "broyden"])
@pytest.mark.parametrize("kind", ["composite", "joint"])
def test_without_memory_the_scheme_is_picard(method: str, kind: str) -> None:
    game = slow_ring("tanh", 1)
    plain = iterates("picard", game, 30, map=kind)
    for one, other in zip(iterates(method, game, 30, memory=0, map=kind), plain, strict=True):
        np.testing.assert_allclose(one.profile, other.profile, rtol=0, atol=1e-14)
        assert one.evaluations == other.evaluations


@pytest.mark.parametrize("mixing", [0.3, 0.8])
def test_anderson_without_memory_is_km(mixing: float) -> None:
    game = slow_ring("gaussian", 1)
    plain = iterates("km", game, 30, relaxation=mixing)
    for one, other in zip(iterates("anderson", game, 30, memory=0, mixing=mixing), plain, strict=True):
        np.testing.assert_allclose(one.profile, other.profile, rtol=0, atol=1e-14)


def _gmres_residuals(matrix: Array, residual: Array, count: int) -> list[float]:
    """Return min |r - B K y| over the Krylov spaces K_j of B = I - A, j = 0..count, by Arnoldi's basis and lstsq."""
    system = np.eye(len(matrix)) - matrix
    basis = [residual / np.linalg.norm(residual)]
    found = [float(np.linalg.norm(residual))]
    for _ in range(count):
        images = np.array([system @ v for v in basis]).T
        y = np.linalg.lstsq(images, residual, rcond=None)[0]
        found.append(float(np.linalg.norm(residual - images @ y)))
        following = system @ basis[-1]
        for _ in range(2):
            following = following - np.array(basis).T @ (np.array(basis) @ following)
        basis.append(following / np.linalg.norm(following))
    return found


@pytest.mark.parametrize("seed", range(4))
def test_anderson_of_type_two_on_a_linear_map_is_gmres(seed: int) -> None:
    # Walker and Ni (2011), Theorem 2.2: what gamma leaves of g_k is the GMRES residual after k steps.
    rng = np.random.default_rng(seed)
    n = 8
    matrix, shift = scaled(rng.standard_normal((n, n)), 0.9), rng.standard_normal(n)
    expected = _gmres_residuals(matrix, shift, n - 1)
    xs = [np.zeros(n)]
    for k in range(n):
        gs = [matrix @ x + shift - x for x in xs]
        moves, changes = np.diff(xs, axis=0)[::-1], np.diff(gs, axis=0)[::-1]
        gamma = coefficients(changes, changes, gs[-1], 0.0)[1] if k else np.zeros(0)
        left = gs[-1] - gamma @ changes if k else gs[-1]
        assert np.linalg.norm(left) == pytest.approx(expected[k], rel=1e-7, abs=1e-12)
        xs.append(xs[-1] + gs[-1] - gamma @ (moves + changes) if k else xs[-1] + gs[-1])
    game = ring([matrix], [shift])
    for found, x in zip(iterates("anderson", game, n, memory=n, growth=1e6), xs, strict=False):
        np.testing.assert_allclose(found.profile, x, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("kind", ["II", "I"])
def test_anderson_with_full_memory_ends_on_a_linear_map(kind: str) -> None:
    rng = np.random.default_rng(3)
    n = 12
    game = ring([scaled(rng.standard_normal((n, n)), 4.0), np.eye(n)], rng.standard_normal((2, n)))
    assert nng.solve(game, "picard").status == "diverged"
    result = nng.solve(game, "anderson", memory=n, type=kind, growth=1e6, tolerance=1e-10)
    assert result.converged
    assert result.evaluations <= n + 4


def test_broyden_with_full_memory_ends_on_a_linear_map() -> None:
    # Gay's theorem: at most 2n steps; an update that is left out would break it.
    rng = np.random.default_rng(3)
    n = 6
    game = ring([scaled(rng.standard_normal((n, n)), 0.95)], [rng.standard_normal(n)])
    result = nng.solve(game, "broyden", memory=3 * n, growth=1e6, tolerance=1e-9)
    assert result.converged
    assert result.evaluations <= 2 * n + 2


def test_broyden_is_the_update_of_the_inverse() -> None:
    rng = np.random.default_rng(5)
    game = slow_ring("tanh", 5, n=4, layers=2)
    start = rng.standard_normal(8)
    inverse, x = -np.eye(4), start[4:]

    def displacement(z: Array) -> Array:
        return game.network.forward(z)[-1] - z

    for found in iterates("broyden", game, 8, start, growth=1e6):
        np.testing.assert_allclose(found.profile[4:], x, rtol=1e-8, atol=1e-9)
        s = -inverse @ displacement(x)
        y = displacement(x + s) - displacement(x)
        inverse = inverse + np.outer(s - inverse @ y, s @ inverse) / (s @ inverse @ y)
        x = x + s


@pytest.mark.parametrize("solver", ["dense", "gmres"])
def test_newton_on_a_linear_map_is_one_step(solver: str) -> None:
    rng = np.random.default_rng(1)
    game = ring([5 * rng.standard_normal((6, 6)), rng.standard_normal((6, 6))], rng.standard_normal((2, 6)))
    result = nng.solve(game, "newton", linear_solver=solver)
    assert result.converged
    assert result.iterations <= (1 if solver == "dense" else 3)


def factorisations(result: Any, n: int) -> int:
    """Return how many of Newton's steps formed the Jacobian, which counts n directions."""
    return int(np.count_nonzero(np.diff(result.trace.evaluations) > n))


def test_dense_newton_counts_its_passes() -> None:
    game = slow_ring("tanh", 0, n=7)
    result = nng.solve(game, "newton")
    # Linearise, seven directions, one trial, and perhaps one before with the last Jacobian; or that one alone.
    assert {9, 1} <= set(np.diff(result.trace.evaluations)) <= {9, 10, 1}


def test_a_factorised_jacobian_is_used_while_it_serves() -> None:
    game = slow_ring("tanh", 0, n=7)
    result = nng.solve(game, "newton", tolerance=1e-13)
    steps, residual = np.diff(result.trace.evaluations), result.trace.residual
    again = np.flatnonzero(steps == 1)
    assert len(again) >= 3
    assert (residual[again + 1] <= newton.REUSE * residual[again]).all()
    assert factorisations(result, 7) < len(steps) - len(again) + 1


def test_a_dear_jacobian_serves_for_slower_steps() -> None:
    game = nng.load_scenario("gallery:bench/near_singular_tanh_200_2").game
    result = nng.solve(game, "newton")
    assert result.converged
    assert factorisations(result, 200) == 1
    steps, residual = np.diff(result.trace.evaluations), result.trace.residual
    again = np.flatnonzero(steps == 1)
    factors = residual[again + 1] / residual[again]
    assert newton.REUSE < factors.max() <= 10 ** (-60 / 200) * (1 + 1e-12)


# Coefficients


def test_dependent_differences_are_dropped_not_amplified() -> None:
    rng = np.random.default_rng(0)
    changes = rng.standard_normal((3, 10))
    changes = np.vstack([changes, changes[0] + 1e-12 * changes[1]])
    g = rng.standard_normal(10)
    chosen, gamma = coefficients(changes, changes, g, 0.0)
    assert chosen.tolist() == [True, True, True, False]
    np.testing.assert_allclose(gamma, np.linalg.lstsq(changes[:3].T, g, rcond=None)[0], rtol=1e-10)


@np.errstate(invalid="ignore")
@pytest.mark.parametrize("scale", [1e-100, 1.0, 1e100])
def test_the_gram_matrix_tells_which_differences_repeat_others(scale: float) -> None:
    """With the coefficients of the QR factorisation; it leaves to that what is neither a repetition nor clear of it."""
    rng = np.random.default_rng(2)
    a, b, c = scale * rng.standard_normal((3, 20))
    changes, g = np.array([a, b, a + b, c, b - c, 3 * a]), rng.standard_normal(20)
    chosen, gamma = coefficients(changes, changes, g, 0.0)
    assert chosen.tolist() == [True, True, False, True, False, False]
    gram, products = changes @ changes.T, changes @ g
    assert solve_gram(gram, products) is None
    found = solve_unrepeated(gram, products)
    assert found is not None
    assert not found[~chosen].any()
    np.testing.assert_allclose(found[chosen], gamma, rtol=1e-12)
    for nearly in (1e-5, 1e-6):
        changes[2] = a + b + nearly * rng.standard_normal(20) * scale
        assert solve_unrepeated(changes @ changes.T, changes @ g) is None
    assert solve_unrepeated(np.full((2, 2), np.nan), np.ones(2)) is None


@pytest.mark.parametrize("scale", [1e-150, 1e-9, 1.0, 1e100])
def test_regularisation_scales_with_the_gram_matrix(scale: float) -> None:
    rng = np.random.default_rng(1)
    changes, g = rng.standard_normal((3, 10)), rng.standard_normal(10)
    reference = coefficients(changes, changes, g, 0.1)[1]
    largest = np.linalg.norm(changes, 2) ** 2
    normal = np.linalg.solve(changes @ changes.T + 0.1 * largest * np.eye(3), changes @ g)
    np.testing.assert_allclose(reference, normal, rtol=1e-10)
    np.testing.assert_allclose(coefficients(scale * changes, scale * changes, scale * g, 0.1)[1], reference, rtol=1e-9)


def test_coefficients_of_what_is_not_finite_do_not_raise() -> None:
    for bad in (np.nan, np.inf):
        changes = np.full((2, 4), bad)
        for regularization in (0.0, 1e-3):
            coefficients(changes, changes, np.ones(4), regularization)


# Convergence and passes against Picard


@pytest.mark.parametrize(("method", "options"), METHODS)
@pytest.mark.parametrize("activation", ["tanh", "gaussian"])
@pytest.mark.parametrize("kind", ["composite", "joint"])
def test_smooth_contractive_rings(method: str, options: dict[str, Any], activation: str, kind: str) -> None:
    game = slow_ring(activation, 2)
    result = nng.solve(game, method, tolerance=1e-12, map=kind, **options)
    assert result.converged
    plain = nng.solve(game, "picard", tolerance=1e-12, map=kind)
    np.testing.assert_allclose(result.profile, plain.profile, rtol=0, atol=1e-9)
    if method in ("anderson", "broyden") and "mixing" not in options:
        assert result.evaluations <= plain.evaluations / 2
    if method == "newton":
        assert factorisations(result, game.fixed_point(kind).size) <= 8


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "gaussian"])
def test_easy_cases_at_a_tight_tolerance_cost_no_more_than_picard(seed: int, activation: str) -> None:
    rng = np.random.default_rng(seed)
    weights = [scaled(rng.standard_normal((15, 15)), 0.6) for _ in range(3)]
    game = ring(weights, rng.standard_normal((3, 15)), activation)
    plain = nng.solve(game, "picard", tolerance=1e-12)
    for method, options in SAFEGUARDED[:2]:
        result = nng.solve(game, method, tolerance=1e-12, **options)
        assert result.converged
        assert result.evaluations <= plain.evaluations + 1


@pytest.mark.parametrize("length", [5, 17, 20, 51, 56, 100, 333])
@pytest.mark.parametrize("activation", ["identity", "tanh", "relu"])
@pytest.mark.parametrize("memory", [1, 5, 10, 20])
def test_anderson_on_a_nilpotent_chain(length: int, activation: str, memory: int) -> None:
    # Plain steps end exactly once the signal has passed; an Anderson step mixes what has passed with what has not.
    game = chain(length, activation)
    plain = nng.solve(game, "picard")
    result = nng.solve(game, "anderson", memory=memory)
    assert result.converged
    assert result.evaluations <= 2 * plain.evaluations + memory


ACYCLIC = (
    ("dag", {"size": 200, "coupling": 0.5, "activation": "tanh"}),
    ("dag", {"size": 200, "coupling": 1.0}),
    ("dag", {"size": 300, "coupling": 2.0}),
    ("dag", {"size": 200, "coupling": 4.0, "reach": 5, "activation": "tanh"}),
    ("dag", {"size": 200, "coupling": 2.0, "activation": "linear"}),
    ("dag", {"size": 200, "degree": 1, "reach": 1, "activation": "linear"}),
    ("chain", {"size": 20, "layers": 16, "activation": "tanh"}),
    ("chain", {"size": 8, "layers": 4, "norm": 4.0}),
    ("chain", {"size": 8, "layers": 64, "norm": 0.9, "activation": "softplus"}),
    ("chain", {"size": 8, "layers": 64, "norm": 4.0, "activation": "sigmoid"}),
    ("chain", {"size": 8, "layers": 64, "norm": 4.0, "activation": "tanh"}),
)


@pytest.mark.parametrize(("family", "options"), ACYCLIC, ids=str)
@pytest.mark.parametrize(("memory", "kind"), [(0, "II"), (1, "II"), (5, "II"), (5, "I"), (20, "II")])
@pytest.mark.parametrize("seed", range(3))
def test_anderson_keeps_its_bound_on_acyclic_games(
    family: str, options: dict[str, Any], memory: int, kind: str, seed: int
) -> None:
    """The residual may grow by orders of magnitude before it vanishes; acceleration smears what had passed exactly."""
    game = nng.Network.generate(family, seed, **options).game()
    start = np.random.default_rng(seed).standard_normal(game.size)
    for tolerance in (1e-3, 1e-9, 1e-13):
        plain = nng.solve(game, "picard", start=start, tolerance=tolerance)
        result = nng.solve(game, "anderson", start=start, tolerance=tolerance, memory=memory, type=kind)
        assert result.converged
        assert result.evaluations <= 2 * plain.evaluations + memory
        np.testing.assert_array_equal(result.trace.residual, plain.trace.residual)
        np.testing.assert_array_equal(result.profile, plain.profile)


def test_an_acyclic_residual_may_grow_by_any_factor() -> None:
    """That no signal returns is a proof that the run settles, so that no growth is called divergence."""
    game = nng.Network.generate("dag", 1, size=300, coupling=2.0, activation="identity").game()
    for method in ("picard", "anderson"):
        result = nng.solve(game, method)
        assert result.trace.residual.max() > 1e10 * result.trace.residual[0]
        assert result.converged
        assert result.guarantee.proved
        assert result.guarantee.witness["unique"]


@pytest.mark.parametrize("options", [options for family, options in ACYCLIC[2:6]], ids=str)
@pytest.mark.parametrize("kind", ["II", "I"])
@pytest.mark.parametrize("memory", [1, 5, 20])
@pytest.mark.parametrize("seed", range(2))
def test_anderson_keeps_its_bound_where_only_the_product_of_layers_is_acyclic(
    options: dict[str, Any], kind: str, memory: int, seed: int
) -> None:
    # Without the orbit thousands of relaxed steps follow.
    network = nng.Network.generate("dag", seed, **options)
    (weight,), (bias,) = network.weights.values(), network.biases.values()
    activations = ["identity", *network.activations.values()]
    game = nng.Network.ring([np.eye(network.size), weight.dense], [0.0 * bias, bias], activations).game()
    plain = nng.solve(game, "picard")
    result = nng.solve(game, "anderson", memory=memory, type=kind)
    assert result.converged
    residuals = result.trace.residual
    paid = np.log(residuals[0] / residuals[:-1].min()) / np.log(1 / safeguard.PAYING)
    assert result.evaluations <= 2 * plain.evaluations + memory + 1 + paid
    # The passes that paid are few here.
    assert result.evaluations <= 2 * plain.evaluations + memory + 3


@pytest.mark.parametrize("seed", [3, 4])
def test_quick_first_passes_are_plain(seed: int) -> None:
    """Projections may end exactly, where an extrapolation would go beyond."""
    game = nng.Network.generate("projections", seed, size=8, layers=2).game()
    plain = nng.solve(game, "picard")
    result = nng.solve(game, "anderson")
    assert result.evaluations == plain.evaluations == 3
    np.testing.assert_array_equal(result.trace.residual, plain.trace.residual)


def test_slow_first_passes_are_left_at_once() -> None:
    rng = np.random.default_rng(0)
    game = ring([0.9 * orthogonal(rng, 10)], [rng.standard_normal(10)])
    plain, found = (iterates(method, game, 3) for method in ("picard", "anderson"))
    np.testing.assert_allclose(found[1].profile, plain[1].profile, rtol=0, atol=1e-14)
    assert np.linalg.norm(found[2].profile - plain[2].profile) > 1e-3


@pytest.mark.parametrize("seed", range(3))
def test_on_an_affine_map_plain_passes_lead_as_far_as_accelerated_ones(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(seed)
    game = ring([scaled(rng.standard_normal((8, 8)), 0.9)], [rng.standard_normal(8)])
    reached = {}
    for first in (0, 3):
        monkeypatch.setattr(anderson_steps, "FIRST_PASSES", first)
        monkeypatch.setattr(anderson_steps, "QUICK", 1.0)
        reached[first] = iterates("anderson", game, 6, growth=1e6)
    for few, many in zip(reached[0][4:], reached[3][4:], strict=True):
        assert few.evaluations == many.evaluations
        np.testing.assert_allclose(few.profile, many.profile, rtol=1e-7, atol=1e-9)
    assert np.linalg.norm(reached[0][2].profile - reached[3][2].profile) > 1e-3


@pytest.mark.parametrize("kind", ["II", "I"])
@pytest.mark.parametrize("name", ["tanh", "relu", "identity"])
@pytest.mark.parametrize("norm", [0.6, 0.97, 0.99])
@pytest.mark.parametrize("seed", range(2))
def test_anderson_never_takes_twice_the_plain_passes_on_contractions(
    kind: str, name: str, norm: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    weights = [norm * orthogonal(rng, 20), scaled(rng.standard_normal((20, 20)), 1.0)]
    game = ring(weights, rng.standard_normal((2, 20)), name)
    plain = nng.solve(game, "picard")
    for memory in (1, 5):
        result = nng.solve(game, "anderson", memory=memory, type=kind)
        assert result.converged
        assert result.evaluations <= 2 * plain.evaluations + memory


def test_the_orbit_of_anderson_is_plain_and_goes_on_from_where_it_was() -> None:
    """Where the residual grows the iterate stays behind; the orbit's passes in all turns are one orbit of the map."""
    n = 12
    view = Affine(3.0 * np.eye(n, k=-1), np.ones(n))
    problem = anderson_steps.AndersonProblem(view, anderson.Anderson(memory=2))
    state, apart = problem.begin(np.zeros(n)), []
    while state.residual > 0:
        followed, before = problem.behind, problem._orbit
        following = problem._scheme.step(problem, state)
        if followed and before is not None:
            x = before[0] + before[1]
            reached = following.x if problem._orbit is None else problem._orbit[0]
            np.testing.assert_array_equal(reached, x)
            if problem._orbit is not None:
                np.testing.assert_array_equal(following.x, state.x)
                assert following.residual == state.residual
            apart.append(before)
            assert following.evaluations == state.evaluations + 1
        state = following
        assert state.evaluations <= 2 * (n + 1) + 3
    assert len(apart) >= 3
    np.testing.assert_allclose(state.x, np.linalg.solve(np.eye(n) - view.matrix, view.shift), rtol=1e-12)


def test_an_orbit_that_diverges_is_given_up() -> None:
    problem = anderson_steps.AndersonProblem(Affine(np.diag([-1e4, 0.5]), np.ones(2)), anderson.Anderson(memory=1))
    state, apart = problem.begin(np.zeros(2)), 0
    for _ in range(60):
        state = problem._scheme.step(problem, state)
        if problem._orbit is not None:
            apart += 1
            assert np.linalg.norm(problem._orbit[1]) <= anderson_steps.ORBIT_LIMIT * np.sqrt(2)
    assert 0 < apart < 60


def test_long_memory_on_a_nearly_orthogonal_ring() -> None:
    rng = np.random.default_rng(0)
    n = 200
    game = ring([0.999 * orthogonal(rng, n) for _ in range(2)], rng.standard_normal((2, n)))
    plain = nng.solve(game, "picard", max_iterations=20_000)
    assert plain.converged
    for method, options in (("anderson", {"memory": n}), ("newton", {})):
        result = nng.solve(game, method, **options)
        assert result.converged
        assert result.evaluations <= plain.evaluations / 50


@pytest.mark.parametrize(("method", "options"), METHODS)
@pytest.mark.parametrize("seed", range(3))
def test_rings_on_which_picard_does_not_converge(method: str, options: dict[str, Any], seed: int) -> None:
    game = expansive_ring(seed)
    assert not nng.solve(game, "picard", max_iterations=2000).converged
    result = nng.solve(game, method, max_iterations=2000, **options)
    assert result.converged, result.message
    assert game.residual(result.profile) <= 1e-9 * result.scale


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("activation", ["relu", "hard_tanh", "leaky_relu"])
def test_newton_ends_exactly_on_piecewise_linear_games(seed: int, activation: str) -> None:
    rng = np.random.default_rng(seed)
    weights = [scaled(rng.standard_normal((10, 10)), 0.95) for _ in range(3)]
    result = nng.solve(ring(weights, rng.standard_normal((3, 10)), activation), "newton", tolerance=1e-14)
    assert result.converged
    assert factorisations(result, 10) <= 10


@pytest.mark.parametrize(("method", "options"), METHODS)
def test_other_games_and_maps(method: str, options: dict[str, Any]) -> None:
    rng = np.random.default_rng(0)
    names = ("a", "b", "c")
    graph = nng.Network.graph(
        {(k, m): 0.3 * rng.standard_normal((3, 3)) for k in names for m in names if k != m},
        {k: rng.standard_normal(3) for k in names},
        {"a": "softmax", "b": "silu", "c": "tanh"},
    ).game(cost="tracking")
    quadratic = nng.QuadraticGame(
        {k: 3 * np.eye(3) for k in names},
        {(k, m): rng.standard_normal((3, 3)) / 2 for k in names for m in names if k != m},
        {k: rng.standard_normal(3) for k in names},
        {"a": "nonnegative", "b": "simplex"},
    )
    for game in (graph, quadratic):
        result = nng.solve(game, method, **options)
        assert result.converged, result.message


# What every scheme owes the loop

ALL = [*METHODS, pytest.param("halpern", {}, id="halpern")]


@pytest.mark.parametrize(("method", "options"), ALL)
def test_iterating_by_hand_is_the_trace_of_solve(method: str, options: dict[str, Any]) -> None:
    game = expansive_ring(1)
    start = np.random.default_rng(2).standard_normal(game.size)
    kept = start.copy()
    result = nng.solve(game, method, start=start, max_iterations=25, **options)
    stepped = iterates(method, game, result.iterations + 1, start, **options)
    assert [s.residual for s in stepped] == result.trace.residual.tolist()
    assert [s.evaluations for s in stepped] == result.trace.evaluations.tolist()
    np.testing.assert_array_equal(stepped[-1].profile, result.profile)
    np.testing.assert_allclose(
        [game.residual(s.profile) for s in stepped], result.trace.residual, rtol=1e-9, atol=1e-14
    )
    np.testing.assert_array_equal(start, kept)


@pytest.mark.parametrize(("method", "options"), ALL)
def test_an_interruption_leaves_a_whole_iterate(method: str, options: dict[str, Any]) -> None:
    game = expansive_ring(1)
    seen: list[Any] = []

    def stop(iterate: Any) -> None:
        seen.append(iterate)
        if iterate.iteration == 3:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted) as caught:
        nng.solve(game, method, callback=stop, **options)
    np.testing.assert_array_equal(caught.value.result.profile, seen[-1].profile)


@pytest.mark.parametrize(("method", "options"), ALL)
@pytest.mark.parametrize("kind", ["composite", "joint"])
def test_every_pass_is_counted(
    method: str, options: dict[str, Any], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    game = expansive_ring(4)
    view = type(game.fixed_point(kind))
    evaluate, linearise, jacobian, passes = view.evaluate, view.linearise, view.jacobian, [0]

    def evaluated(self: Any, x: Array, out: Array) -> Array:
        passes[0] += 1
        return evaluate(self, x, out)

    def linearised(self: Any, x: Array) -> Any:
        passes[0] += 1
        change = linearise(self, x)

        def changed(d: Array) -> Array:
            passes[0] += 1 if d.ndim == 1 else len(d)
            return change(d)

        return changed

    monkeypatch.setattr(view, "evaluate", evaluated)

    def formed(self: Any, x: Array) -> Array:
        passes[0] += 1 + x.size
        return jacobian(self, x)

    at = Elimination.at

    def eliminated(self: Any, x: Array) -> Any:
        # What is formed of the Jacobian counts as the whole.
        passes[0] += 1 + x.size
        return at(self, x)

    monkeypatch.setattr(view, "linearise", linearised)
    monkeypatch.setattr(view, "jacobian", formed)
    monkeypatch.setattr(Elimination, "at", eliminated)
    made: list[int] = []
    # Proofs for the message at the end may evaluate the map too: they are no passes of the scheme.
    keep = lambda iterate: made.append(passes[0])  # noqa: E731
    result = nng.solve(game, method, map=kind, max_iterations=60, callback=keep, **options)
    assert result.evaluations == made[-1]


@pytest.mark.parametrize(("method", "options"), METHODS)
def test_a_short_run_on_a_contraction_is_told_to_go_on(method: str, options: dict[str, Any]) -> None:
    message = nng.solve(slow_ring("tanh", 0), method, max_iterations=1, **options).message
    assert message.endswith("convergence is proved, so allow more: --max-iterations 1000")


@pytest.mark.parametrize("method", ["halpern", "anderson", "broyden", "newton"])
def test_a_float32_start_stays_float32(method: str) -> None:
    game = ring([[[0.5, 0.1], [0.0, 0.4]]] * 2, np.ones((2, 2)), "tanh")
    start = np.ones(4, dtype=np.float32)
    result = nng.solve(game, method, start=start, tolerance=1e-3 if method == "halpern" else 1e-5)
    assert result.converged
    assert result.profile.dtype == np.float32


# The safeguard


@pytest.mark.parametrize(("method", "options"), METHODS)
def test_guarantees_are_those_of_the_safeguard(method: str, options: dict[str, Any]) -> None:
    solver = nng.solver(method, **options)
    contraction = solver.guarantee(slow_ring("tanh", 0))
    assert contraction.proved
    assert contraction.rate is None
    assert contraction.witness["unique"]
    turn = solver.guarantee(ring([[[0.0, -1.0], [1.0, 0.0]], np.eye(2)], np.ones((2, 2))))
    assert turn.proved
    assert "if there is one" in turn.statement
    assert not solver.guarantee(expansive_ring(0)).proved
    assert set(contraction.references) | set(turn.references) <= set(references.keys())
    assert contraction.cite()


@pytest.mark.parametrize(("method", "options"), METHODS)
def test_nonexpansive_maps_that_contract_nothing(method: str, options: dict[str, Any]) -> None:
    rng = np.random.default_rng(7)
    weights = [np.eye(6)[rng.permutation(6)] * rng.choice([-1.0, 1.0], 6) for _ in range(2)]
    game = ring(weights, [rng.uniform(0, 1, 6), np.zeros(6)], "hard_tanh")
    assert nng.solver(method, **options).guarantee(game).proved
    assert nng.solve(game, method, max_iterations=20_000, tolerance=1e-8, **options).converged


@pytest.mark.parametrize("proposal", ["random", "away", "huge", "nan", "zero"])
def test_the_safeguard_converges_whatever_is_proposed(proposal: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # With its own constants the licence lets a malicious scheme wander for very long.
    monkeypatch.setattr(safeguard, "RESIDUAL_LIMIT", 1.0)
    monkeypatch.setattr(safeguard, "DECAY", 1.0)
    rng = np.random.default_rng(0)
    # No eigenvalue is 1, since 5 is odd.
    n = 5
    view = Affine(-np.roll(np.eye(n), 1, axis=0), rng.standard_normal(n))
    problem = safeguard.SafeguardedProblem(view, 10.0)
    state = problem.begin(10 * rng.standard_normal(n))
    steps = {
        "random": lambda s: s.residual * rng.standard_normal(n),
        "away": lambda s: -s.memory,
        "huge": lambda s: np.full(n, 1e300),
        "nan": lambda s: np.full(n, np.nan),
        "zero": lambda s: np.zeros(n),
    }
    with np.errstate(over="ignore", invalid="ignore"):
        for _ in range(5000):
            state = problem.advance(state, steps[proposal](state))
    assert state.residual <= 1e-3 * problem._initial


def test_a_licence_ends_with_the_accepted_steps() -> None:
    view = Affine(np.zeros((1, 1)), np.ones(1))
    problem = safeguard.SafeguardedProblem(view, 10.0)
    state = problem.begin(np.zeros(1))
    assert problem.licensed(state, state.memory)
    assert not problem.licensed(state, 2e10 * state.memory)
    problem._accepted = 2_000_000
    assert not problem.licensed(state, state.memory)
    assert problem.licensed(State(state.x, 0.1, 1, state.memory), 0.1 * state.memory)


def test_turns_follow_what_pays() -> None:
    turns = Turns(3)
    turns.begin(1.0)
    assert [turns.passed(r) for r in (0.5, 0.4, 0.3, 0.24)] == [False] * 4
    assert not turns.plain
    for residual in (0.2, 0.15, 0.1, 0.06):
        assert not turns.passed(residual)
    seen = []
    while turns.plain:
        seen.append(turns.passed(0.07))
    assert seen == [False, False, False, True]


@pytest.mark.parametrize(("method", "options"), METHODS)
def test_a_map_that_overflows_is_called_by_its_name(method: str, options: dict[str, Any]) -> None:
    result = nng.solve(ring([1e200] * 3, [1.0, 0.0, 0.0]), method, **options)
    assert result.status == "not_finite"
    # Stepping on by hand neither raises nor warns.
    game = ring([-3.0, 4.0], [1.0, 0.0])
    for _ in islice(nng.solver(method, **options).iterate(game, start=[1e300, 1e300]), 50):
        pass


@pytest.mark.parametrize(("method", "options"), METHODS)
def test_a_trial_that_is_not_finite_does_not_poison_the_run(
    method: str, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    game = slow_ring("tanh", 3)
    view = type(game.fixed_point("composite"))
    original, calls = view.evaluate, []

    def spoiled(self: Any, x: Array, out: Array) -> Array:
        calls.append(0)
        original(self, x, out)
        if len(calls) in (3, 5):
            out[0] = np.nan
        return out

    monkeypatch.setattr(view, "evaluate", spoiled)
    result = nng.solve(game, method, **options)
    assert result.converged, result.message
    assert np.isfinite(result.trace.residual).all()


@pytest.mark.parametrize(("method", "options"), METHODS)
def test_leaving_the_domain_of_an_activation_is_a_rejection(
    method: str, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    game = slow_ring("tanh", 3)
    view = type(game.fixed_point("composite"))
    original, calls = view.evaluate, []

    def undefined(self: Any, x: Array, out: Array) -> Array:
        calls.append(0)
        if len(calls) in (3, 5):
            raise DomainError("not there")
        return original(self, x, out)

    monkeypatch.setattr(view, "evaluate", undefined)
    result = nng.solve(game, method, **options)
    assert result.converged, result.message


@pytest.mark.parametrize(("method", "options"), [*SAFEGUARDED, ("halpern", {})])
@pytest.mark.parametrize("start", [0.0, 3.0, -40.0])
def test_without_an_equilibrium_convergence_is_only_what_the_residual_says(
    method: str, options: dict[str, Any], start: float
) -> None:
    # log(1 + e^x) > x: the residual is e^-x at large x, and there is no equilibrium.
    game = ring([1.0, 1.0], [0.0, 0.0], "softplus")
    solver = nng.solver(method, **options)
    result = nng.solve(game, solver, start=[start, start], max_iterations=500, tolerance=1e-12)
    guarantee = solver.guarantee(game)
    assert "if there is one" in guarantee.statement or not guarantee.proved
    assert result.converged == (game.residual(result.profile) <= 1e-12 * result.scale)
    if result.converged:
        assert result.profile.min() > 20


@pytest.mark.parametrize(
    ("method", "options", "message"),
    [
        ("anderson", {"memory": -1}, "anderson: memory must be a nonnegative integer; got -1"),
        ("anderson", {"memory": 2.0}, "anderson: memory must be a nonnegative integer; got 2.0"),
        ("anderson", {"type": "III"}, "anderson: type='III' is unknown; valid: II, I"),
        ("anderson", {"mixing": 0}, "anderson: mixing must lie in (0, 1]; got 0"),
        ("anderson", {"mixing": True}, "anderson: mixing must lie in (0, 1]; got True"),
        ("anderson", {"growth": 0.5}, "anderson: growth must be a number of at least 1; got 0.5"),
        ("anderson", {"regularization": -1.0}, "anderson: regularization must be finite and nonnegative; got -1.0"),
        ("broyden", {"memory": "3"}, "broyden: memory must be a nonnegative integer; got '3'"),
        ("broyden", {"growth": np.inf}, "broyden: growth must be a number of at least 1; got inf"),
        ("newton", {"linear_solver": "lu"}, "newton: linear_solver='lu' is unknown; valid: auto, dense, gmres"),
        ("halpern", {"map": "T"}, "halpern: map='T' is unknown; valid: auto, composite, joint"),
    ],
)
def test_wrong_options_are_refused_exactly(method: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(nng.OptionError) as caught:
        nng.solver(method, **options)
    assert str(caught.value) == message
