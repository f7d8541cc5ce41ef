"""Safe bounds enclose exact values, roots and quadratic programs are good to rounding: against mpmath and rationals."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import LinearOperator, aslinearoperator

from nngames.core.bounds import (
    collatz_wielandt,
    largest_eigenvalue_bound,
    perron_weights,
    spectral_norm,
    symmetric_extremes,
)
from nngames.core.errors import InputError
from nngames.core.exact import is_positive_semidefinite, rational, rational_matrix
from nngames.core.operators import DenseMap, OperatorMap, SparseMap, as_linear_map
from nngames.core.quadratic_program import minimise_quadratic
from nngames.core.roots import increasing_root

Array = NDArray[np.float64]
rng = np.random.default_rng(2024)
HADAMARD = np.array([[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]], dtype=float)


def exact_eigenvalues(matrix: Array) -> list[Any]:
    """Return the eigenvalues of a symmetric float matrix to 60 digits, ascending."""
    with mp.workdps(60):
        return sorted(mp.eigsy(mp.matrix(matrix.tolist()), eigvals_only=True))


def exact_norm(matrix: Array) -> Any:
    """Return the spectral norm of a float matrix to 60 digits."""
    a = matrix if matrix.shape[0] >= matrix.shape[1] else matrix.T
    with mp.workdps(60):
        exact = mp.matrix(a.tolist())
        return mp.sqrt(max(mp.eigsy(exact.T * exact, eigvals_only=True)))


def _graded(n: int) -> Array:
    scale = 10.0 ** -np.arange(0, 3 * n, 3)
    return scale[:, None] * rng.standard_normal((n, n)) * scale


def _deficient(n: int, rank: int) -> Array:
    return rng.integers(-9, 10, (n, rank)).astype(float) @ rng.integers(-9, 10, (rank, n)).astype(float)


MATRICES = {
    "1x1": np.array([[-0.3]]),
    "zero": np.zeros((3, 2)),
    "row": rng.standard_normal((1, 9)),
    "column": rng.standard_normal((9, 1)),
    "random": rng.standard_normal((8, 8)),
    "tall": rng.standard_normal((12, 4)),
    "wide": rng.standard_normal((4, 12)),
    "graded": _graded(6),
    "graded backwards": _graded(6)[::-1],
    "graded 1e-150": np.diag([1.0, 1e-75, 1e-150]) @ rng.standard_normal((3, 3)),
    "rank deficient": _deficient(8, 3),
    "huge": 1e150 * rng.standard_normal((5, 5)),
    "tiny": 1e-150 * rng.standard_normal((5, 5)),
    "huge and tiny": np.array([[1e150, 1e-150], [1e-150, 1e150]]),
    "hadamard": HADAMARD / 2,
    "projector": np.full((2, 2), 0.5),
    "permutation": np.eye(7)[rng.permutation(7)],
    "just below 1": np.diag([1 - 2.0**-53, 0.5]),
    "just above 1": np.diag([1 + 2.0**-52, 0.5]),
    "clustered": np.eye(6) + 1e-15 * rng.standard_normal((6, 6)),
    "triangular ones": np.triu(np.ones((9, 9))),
    "hilbert": 1.0 / (np.arange(9)[:, None] + np.arange(9) + 1),
}


@pytest.mark.parametrize("name", MATRICES)
def test_spectral_norm_encloses_the_exact_norm_tightly(name: str) -> None:
    matrix = MATRICES[name]
    exact = exact_norm(matrix)
    for found in (spectral_norm(DenseMap(matrix.copy())), spectral_norm(SparseMap(sparse.csr_array(matrix)))):
        assert mp.mpf(found.lower) <= exact <= mp.mpf(found.upper)
        assert found.upper - found.lower <= 1e-12 * float(exact)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 2**32 - 1),
    m=st.integers(1, 6),
    n=st.integers(1, 6),
    rank=st.integers(1, 6),
    exponent=st.integers(-150, 150),
    spread=st.integers(0, 40),
)
def test_spectral_norm_encloses_drawn_matrices(
    seed: int, m: int, n: int, rank: int, exponent: int, spread: int
) -> None:
    draw = np.random.default_rng(seed)
    matrix = draw.standard_normal((m, rank)) @ draw.standard_normal((rank, n))
    matrix = 10.0**exponent * matrix * 10.0 ** -draw.uniform(0, spread + 1e-9, (m, 1))
    found, exact = spectral_norm(DenseMap(matrix)), exact_norm(matrix)
    assert mp.mpf(found.lower) <= exact <= mp.mpf(found.upper)
    assert found.upper <= found.lower * (1 + 1e-12)


@pytest.mark.parametrize("scale", [2.0**1022, 1.7e308, 5e-324, 2.0**-1040, 3e-310])
def test_spectral_norm_at_the_ends_of_the_floating_range(scale: float) -> None:
    with np.errstate(over="ignore"):
        matrix = scale * np.array([[0.9, 0.3], [0.0, 0.9]])
    exact = exact_norm(matrix)
    for found in (spectral_norm(DenseMap(matrix)), spectral_norm(SparseMap(sparse.csr_array(matrix)))):
        assert mp.mpf(found.lower) <= exact <= mp.mpf(found.upper)
        assert math.isfinite(found.lower)


@pytest.mark.parametrize(
    "matrix",
    [
        np.eye(300)[rng.permutation(300)] * rng.choice([-1.0, 1.0], 300),
        np.kron(np.eye(60), HADAMARD / 2),
        HADAMARD / 2,
        np.full((2, 2), 0.5),
        np.eye(40, 100),
    ],
    ids=["signed permutation", "blocks", "hadamard", "projector", "rectangular"],
)
def test_a_norm_of_exactly_one_is_decided(matrix: Array) -> None:
    assert spectral_norm(DenseMap(matrix)).upper == 1.0
    assert spectral_norm(SparseMap(sparse.csr_array(matrix.T))).upper == 1.0


@pytest.mark.parametrize("n", [1, 2, 300])
def test_a_norm_just_above_one_is_not_called_one(n: int) -> None:
    matrix = np.eye(n)
    matrix[-1, -1] = 1 + 2.0**-52
    assert spectral_norm(DenseMap(matrix)).upper >= 1 + 2.0**-52


@pytest.mark.parametrize("n", [100, 400])
def test_spectral_norm_of_large_matrices_with_known_norms(n: int) -> None:
    left, right = rng.integers(-9, 10, n).astype(float), rng.integers(-9, 10, n // 2).astype(float)
    found = spectral_norm(DenseMap(np.outer(left, right)))
    exact = mp.sqrt(int(left @ left)) * mp.sqrt(int(right @ right))
    assert mp.mpf(found.lower) <= exact <= mp.mpf(found.upper)
    assert found.upper - found.lower <= 1e-10 * float(exact)


def test_spectral_norm_counts_the_rounding_of_long_sums() -> None:
    # Each square of 2^-27 is lost when it is added to the square of 1, all of them together are 2^-34.
    column = np.full((2**20 + 1, 1), 2.0**-27)
    column[0] = 1.0
    found, exact = spectral_norm(DenseMap(column)), mp.sqrt(1 + mp.mpf(2) ** -34)
    assert mp.mpf(found.lower) <= exact <= mp.mpf(found.upper)
    assert found.upper - found.lower <= 1e-9


def test_spectral_norm_of_matrices_too_large_for_eigenvalues() -> None:
    # Tridiagonal (1, 2, 1) of order n: the norm is 2 + 2 cos(pi/(n + 1)).
    n = 5000
    ones = np.ones(n)
    matrix = sparse.diags_array([ones[1:], 2 * ones, ones[1:]], offsets=[-1, 0, 1])
    found = spectral_norm(SparseMap(1e200 * matrix))
    assert found.lower <= 1e200 * (2 + 2 * math.cos(math.pi / (n + 1))) <= found.upper <= 4.01e200
    assert spectral_norm(OperatorMap(aslinearoperator(matrix))).upper == math.inf


def test_spectral_norm_of_a_small_matrix_free_map_is_that_of_its_matrix() -> None:
    matrix = rng.standard_normal((4, 3))
    operator = LinearOperator((4, 3), matvec=lambda x: matrix @ x, rmatvec=lambda u: matrix.T @ u, dtype=float)
    found, exact = spectral_norm(as_linear_map(operator, "W")), exact_norm(matrix)
    assert found.lower <= float(exact) * (1 + 1e-15)
    assert found.upper >= float(exact) * (1 - 1e-15)


SYMMETRIC = {
    "1x1": np.array([[-2.5]]),
    "zero": np.zeros((4, 4)),
    "identity": np.eye(5),
    "indefinite": (lambda a: a + a.T)(rng.standard_normal((9, 9))),
    "singular": _deficient(6, 2) @ np.zeros((6, 6)) + (lambda a: a @ a.T)(rng.integers(-5, 6, (6, 2)).astype(float)),
    "graded": (lambda a: a @ a.T)(_graded(5)),
    "negative": -(lambda a: a @ a.T)(rng.standard_normal((6, 6))),
    "huge": 1e150 * (lambda a: a + a.T)(rng.standard_normal((4, 4))),
    "tiny": 1e-150 * (lambda a: a + a.T)(rng.standard_normal((4, 4))),
    "repeated": np.kron(np.eye(3), np.array([[2.0, 1.0], [1.0, 2.0]])),
}


@pytest.mark.parametrize("name", SYMMETRIC)
def test_symmetric_extremes_enclose_the_extreme_eigenvalues(name: str) -> None:
    matrix = SYMMETRIC[name]
    values = exact_eigenvalues(matrix)
    smallest, largest = symmetric_extremes(matrix)
    size = max(abs(values[0]), abs(values[-1]))
    for found, exact in ((smallest, values[0]), (largest, values[-1])):
        assert mp.mpf(found.lower) <= exact <= mp.mpf(found.upper)
        assert found.upper - found.lower <= 1e-12 * float(size)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 7), size=st.sampled_from([1e-14, 1e-6, 0.3]))
def test_symmetric_extremes_enclose_every_matrix_within_the_error(seed: int, n: int, size: float) -> None:
    draw = np.random.default_rng(seed)
    half = draw.standard_normal((n, n))
    matrix, error = half + half.T, size * (lambda a: np.maximum(a, a.T))(draw.random((n, n)))
    smallest, largest = symmetric_extremes(matrix, error)
    signs = draw.choice([-1.0, 1.0], (n, n))
    moved = exact_eigenvalues(matrix + 0.999 * error * np.triu(signs) + 0.999 * (error * np.triu(signs, 1)).T)
    assert mp.mpf(smallest.lower) <= moved[0] <= mp.mpf(smallest.upper)
    assert mp.mpf(largest.lower) <= moved[-1] <= mp.mpf(largest.upper)


def test_symmetric_extremes_of_a_large_matrix() -> None:
    n = 600
    matrix = 2 * np.eye(n) - np.eye(n, k=1) - np.eye(n, k=-1)
    smallest, largest = symmetric_extremes(matrix)
    angle = mp.pi / (n + 1)
    assert mp.mpf(smallest.lower) <= 2 - 2 * mp.cos(angle) <= mp.mpf(smallest.upper)
    assert mp.mpf(largest.lower) <= 2 + 2 * mp.cos(angle) <= mp.mpf(largest.upper)
    assert smallest.lower > 0


@settings(max_examples=60, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 7), density=st.floats(0.2, 1), exponent=st.integers(-200, 100))
def test_collatz_wielandt_bounds_the_spectral_radius(seed: int, n: int, density: float, exponent: int) -> None:
    draw = np.random.default_rng(seed)
    matrix = 10.0**exponent * draw.random((n, n)) * (draw.random((n, n)) < density)
    with mp.workdps(60):
        values = mp.eig(mp.matrix((matrix / 10.0**exponent).tolist()), left=False, right=False)
        radius = max(abs(value) for value in values) * mp.mpf(10.0**exponent)
    # mpmath's defective eigenvalues are good to the n-th root of its precision.
    for weights in (perron_weights(matrix), draw.random(n) + 1e-3, 10.0 ** draw.uniform(-140, 0, n)):
        assert mp.mpf(collatz_wielandt(matrix, weights)) >= radius * (1 - mp.mpf(10) ** -7)
        assert collatz_wielandt(sparse.csr_array(matrix), weights) == pytest.approx(collatz_wielandt(matrix, weights))


def test_collatz_wielandt_counts_what_underflows() -> None:
    matrix = np.array([[0.0, 1e-200], [1e-200, 0.0]])
    assert collatz_wielandt(matrix, np.full(2, 1e-150)) >= 1e-200


@pytest.mark.parametrize("n", [1, 3, 40])
def test_perron_weights_make_the_bound_tight_on_irreducible_matrices(n: int) -> None:
    matrix = rng.random((n, n)) + 0.1
    radius = max(abs(np.linalg.eigvals(matrix)))
    weights = perron_weights(matrix)
    assert (weights > 0).all()
    assert collatz_wielandt(matrix, weights) == pytest.approx(radius, rel=1e-6)


def test_perron_weights_of_a_cycle_do_not_oscillate() -> None:
    cycle = np.roll(np.eye(12), 1, axis=0) * np.linspace(0.5, 2.0, 12)[:, None]
    radius = float(np.prod(np.linspace(0.5, 2.0, 12)) ** (1 / 12))
    assert collatz_wielandt(cycle, perron_weights(cycle, 5000)) == pytest.approx(radius, rel=1e-3)


@pytest.mark.parametrize(
    ("matrix", "expected"),
    [
        (np.zeros((2, 2)), True),
        (np.full((3, 3), 1.0), True),
        (np.array([[1.0, 1.0], [1.0, 1 - 2.0**-53]]), False),
        (np.array([[1.0, 1.0], [1.0, 1 + 2.0**-52]]), True),
        (np.diag([1.0, -5e-324]), False),
        (np.diag([0.0, 5e-324]), True),
        (np.array([[0.0, 1.0], [1.0, 0.0]]), False),
        (np.array([[-1.0]]), False),
        (_deficient(7, 2) @ np.zeros((7, 7)) + (lambda a: a @ a.T)(rng.integers(-5, 6, (7, 3)).astype(float)), True),
    ],
    ids=range(9),
)
def test_semidefiniteness_is_decided_exactly(matrix: Array, expected: bool) -> None:
    assert is_positive_semidefinite(rational_matrix(matrix)) is expected


@settings(max_examples=60, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 6), rank=st.integers(1, 6))
def test_semidefiniteness_of_grams_and_of_grams_less_a_little(seed: int, n: int, rank: int) -> None:
    half = rational_matrix(np.random.default_rng(seed).standard_normal((n, rank)))
    gram = half * half.transpose()
    assert is_positive_semidefinite(gram)
    for i in range(n):
        gram[i, i] = gram[i, i] - rational(2.0**-900)
    # A Gram matrix of full rank keeps its distance to the singular ones.
    assert is_positive_semidefinite(gram) is (rank >= n)


ROOTS: dict[str, tuple[Callable[[Any], Any], Callable[[Array], Array], Callable[[Any], Any]]] = {
    "steep": (lambda w: w + 1e10 * np.tanh(w) - 3, lambda w: 1 + 1e10 * (1 - np.tanh(w) ** 2), mp.tanh),
    "flat": (lambda w: 1e-12 * w - 1, lambda w: 1e-12 + 0 * w, mp.tanh),
    "kink": (lambda w: np.where(w > 0, w, 1e-8 * w) + 1e-3, lambda w: np.where(w > 0, 1.0, 1e-8), mp.tanh),
    "cube": (lambda w: w**3 - 2, lambda w: 3 * w**2, mp.tanh),
    "large": (lambda w: w - 1e15, lambda w: 1 + 0 * w, mp.tanh),
    "exponential": (lambda w: np.exp(np.minimum(w, 700)) + w - 50, lambda w: np.exp(np.minimum(w, 700)) + 1, mp.exp),
}
EXACT_ROOTS = {
    "steep": lambda: mp.findroot(lambda w: w + mp.mpf(10) ** 10 * mp.tanh(w) - 3, mp.mpf(3) / 10**10),
    "flat": lambda: 1 / mp.mpf(1e-12),
    "kink": lambda: -mp.mpf(1e-3) / mp.mpf(1e-8),
    "cube": lambda: mp.cbrt(2),
    "large": lambda: mp.mpf(10) ** 15,
    "exponential": lambda: mp.findroot(lambda w: mp.exp(w) + w - 50, 3.8),
}


@pytest.mark.parametrize("name", ROOTS)
@pytest.mark.parametrize("start", [0.0, 1e3, -1e6, 1e-300])
def test_increasing_root_finds_the_root_to_the_last_bits(name: str, start: float) -> None:
    function, derivative, _ = ROOTS[name]
    with mp.workdps(50):
        exact = EXACT_ROOTS[name]()
        found = increasing_root(function, derivative, np.array([start]))[0]
        assert abs(mp.mpf(found) - exact) <= 4e-16 * abs(exact)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32 - 1), weight=st.floats(0.01, 1.99))
def test_increasing_root_solves_many_equations_at_once(seed: int, weight: float) -> None:
    right = 10 ** np.random.default_rng(seed).uniform(-3, 3, 40)
    found = increasing_root(
        lambda w: (1 - weight) * np.tanh(w) + weight * w - right,
        lambda w: (1 - weight) * (1 - np.tanh(w) ** 2) + weight,
        np.zeros(40),
    )
    # Where the slope is small the function's own rounding is what limits the root.
    slack = 4 * np.spacing(right) / min(weight, 1.0) + 4 * np.spacing(np.abs(found))
    above = (1 - weight) * np.tanh(found + slack) + weight * (found + slack) - right
    below = (1 - weight) * np.tanh(found - slack) + weight * (found - slack) - right
    assert (above >= 0).all()
    assert (below <= 0).all()


def test_increasing_root_takes_few_evaluations_when_newton_comes_from_one_side() -> None:
    calls = []

    def function(w: Array) -> Array:
        calls.append(0)
        return np.logaddexp(0, w) + w - 3

    increasing_root(function, lambda w: 1 / (1 + np.exp(-w)) + 1, np.zeros(50))
    assert len(calls) <= 40


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(1, 8),
    m=st.integers(1, 12),
    equations=st.integers(0, 3),
    spread=st.integers(0, 4),
)
def test_quadratic_programs_satisfy_the_optimality_conditions(
    seed: int, n: int, m: int, equations: int, spread: int
) -> None:
    draw = np.random.default_rng(seed)
    basis = np.linalg.qr(draw.standard_normal((n, n)))[0]
    q = basis @ np.diag(np.logspace(-spread, 0, n)) @ basis.T
    q = (q + q.T) / 2
    matrix, inside = draw.standard_normal((m, n)), draw.standard_normal(n)
    level = matrix @ inside
    lower, upper = level - draw.random(m), level + draw.random(m)
    lower[draw.random(m) < 0.3] = -np.inf
    upper[draw.random(m) < 0.3] = np.inf
    equations = min(equations, n - 1, m)
    lower[:equations] = upper[:equations] = level[:equations]
    u = 3 * draw.standard_normal(n)
    z = minimise_quadratic(q, u, matrix, lower, upper)
    slack = 1e-9 * max(1.0, float(np.abs(z).max()))
    value = matrix @ z
    assert (value >= lower - slack).all()
    assert (value <= upper + slack).all()
    # The negative gradient lies in the cone of the active constraints.
    gradient = u - q @ z
    cone = [row for row, v, b in zip(matrix, value, upper, strict=True) if v >= b - slack]
    cone += [-row for row, v, b in zip(matrix, value, lower, strict=True) if v <= b + slack]
    from scipy.optimize import nnls

    rest = nnls(np.array(cone).T, gradient)[1] if cone else np.linalg.norm(gradient)
    assert rest <= 1e-9 * max(1.0, float(np.linalg.norm(u)))


def test_quadratic_program_takes_read_only_arrays_and_leaves_them() -> None:
    arrays = [np.eye(2), np.array([3.0, -1.0]), np.eye(2), np.zeros(2), np.ones(2)]
    for array in arrays:
        array.setflags(write=False)
    np.testing.assert_allclose(minimise_quadratic(*arrays), [1.0, 0.0], atol=1e-15)


def test_an_infeasible_quadratic_program_says_so() -> None:
    with pytest.raises(InputError, match=r"^the constraints lower <= A z <= upper have no solution$"):
        minimise_quadratic(
            np.eye(1), np.zeros(1), np.array([[1.0], [1.0]]), np.array([1.0, -np.inf]), np.array([np.inf, 0.0])
        )


@pytest.mark.parametrize("scale", [1e-250, 1e-3, 1.0, 1e120])
@pytest.mark.parametrize(("n", "rank"), [(1, 1), (3, 1), (6, 6), (12, 5), (30, 30)])
def test_squaring_bounds_the_largest_eigenvalue_tightly(n: int, rank: int, scale: float) -> None:
    rng = np.random.default_rng(n + rank)
    factor = rng.normal(size=(n, rank))
    matrix = scale * (factor @ factor.T)
    matrix = (matrix + matrix.T) / 2
    with mp.workdps(60):
        exact = max(mp.eigsy(mp.matrix((matrix / scale).tolist()), eigvals_only=True))
    bound = largest_eigenvalue_bound(matrix) / scale
    assert exact <= bound * (1 + 1e-15)
    assert bound <= float(exact) * n ** (1 / 2**11) * (1 + 1e-9)


def test_squaring_bounds_equal_eigenvalues_and_zero() -> None:
    assert 1 <= largest_eigenvalue_bound(np.eye(50)) <= 50 ** (1 / 2**11) * (1 + 1e-9)
    assert largest_eigenvalue_bound(np.zeros((3, 3))) == 0
