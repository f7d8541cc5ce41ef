"""Pivoting on piecewise-linear games: against enumeration of all cells, known games, hard examples, and its proofs."""

from __future__ import annotations

import itertools
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import nngames as nng
from nngames.activations.foundations.base import registry
from nngames.core.exact import fraction, rational
from nngames.solvers.absence import check_multiplier, prove_absence
from nngames.solvers.covering_ray import CoveringRay, End
from nngames.solvers.piecewise_equation import PiecewiseEquation, pieces_of

Array = NDArray[np.float64]
SCENARIOS = Path(__file__).parents[2] / "scenarios"

#: name -> breaks, slopes and offsets of the pieces, written here a second time.
PIECES: dict[str, tuple[list[float], list[float], list[float]]] = {
    "relu": ([0], [0, 1], [0, 0]),
    "hard_tanh": ([-1, 1], [0, 1, 0], [-1, 0, 1]),
    "leaky_relu": ([0], [0.01, 1], [0, 0]),
    "relu6": ([0, 6], [0, 1, 0], [0, 0, 6]),
    "softshrink": ([-1, 1], [1, 0, 1], [1, 0, -1]),
    "identity": ([], [1], [0]),
}


def scalar_game(weight: Array, bias: Array, names: list[str]) -> Any:
    n = len(bias)
    network = nng.Network.graph(
        {(i, j): weight[i, j] for i in range(n) for j in range(n)},
        {i: bias[i] for i in range(n)},
        dict(enumerate(names)),
    )
    return network.game("neurons")


def every_equilibrium(weight: Array, bias: Array, names: list[str]) -> list[Array]:
    """Return the solution of each cell's system that lies in the cell; cells with a singular system are left out."""
    n, found = len(bias), []
    for cell in itertools.product(*(range(len(PIECES[name][1])) for name in names)):
        slopes = np.array([PIECES[name][1][c] for name, c in zip(names, cell, strict=True)])
        offsets = np.array([PIECES[name][2][c] for name, c in zip(names, cell, strict=True)])
        system = np.eye(n) - weight * slopes
        if abs(np.linalg.det(system)) < 1e-12:
            continue
        v = np.linalg.solve(system, weight @ offsets + bias)
        ends = [([-np.inf, *PIECES[name][0], np.inf][c : c + 2]) for name, c in zip(names, cell, strict=True)]
        if all(low - 1e-10 <= t <= high + 1e-10 for t, (low, high) in zip(v, ends, strict=True)):
            found.append(slopes * v + offsets)
    return found


def positive(rng: np.random.Generator, n: int, skew: float = 1.0) -> Array:
    """Return a positive definite matrix, mostly skew."""
    half, root = rng.standard_normal((2, n, n)) / np.sqrt(n)
    return 0.1 * np.eye(n) + 0.3 * root @ root.T + skew * (half - half.T)


@pytest.mark.parametrize("engine", ["auto", "lemke"])
def test_p_matrices_against_the_enumeration_of_all_cells(engine: str) -> None:
    rng = np.random.default_rng(3)
    for _ in range(40):
        n = int(rng.integers(1, 6))
        names = [str(name) for name in rng.choice(list(PIECES), n)]
        weight, bias = np.eye(n) - positive(rng, n, 3.0), 3 * rng.standard_normal(n)
        game = scalar_game(weight, bias, names)
        equilibria = every_equilibrium(weight, bias, names)
        result = nng.solve(game, "complementarity", engine=engine)
        assert nng.solver("complementarity", engine=engine).guarantee(game).proved
        assert result.converged, result.message
        for equilibrium in equilibria:
            np.testing.assert_allclose(result.profile, equilibrium, atol=1e-9)
        assert equilibria


@pytest.mark.parametrize("engine", ["auto", "lemke"])
def test_any_matrix_gives_an_equilibrium_of_the_enumeration_or_none(engine: str) -> None:
    rng = np.random.default_rng(4)
    ends = {"found": 0, "none": 0, "proved": 0, "missed": 0}
    for _ in range(100):
        n = int(rng.integers(2, 6))
        names = [str(name) for name in rng.choice(list(PIECES)[:4], n)]
        weight, bias = np.round(2 * rng.standard_normal((n, n)), 1), np.round(rng.standard_normal(n), 1)
        np.fill_diagonal(weight, 0.0)
        game, equilibria = scalar_game(weight, bias, names), every_equilibrium(weight, bias, names)
        result = nng.solve(game, "complementarity", engine=engine)
        if result.converged:
            assert min(np.abs(result.profile - x).max() for x in equilibria) < 1e-8
            ends["found"] += 1
        elif equilibria:
            assert "proves nothing" in result.message
            ends["missed"] += 1
        else:
            assert result.status == "failed"
            ends["proved" if result.message.startswith("no equilibrium exists") else "none"] += 1
    assert ends["found"] > 60
    assert ends["missed"] < 5
    assert ends["proved"] > 0


@pytest.mark.parametrize(
    ("scenario", "profile"),
    [
        ("economics/cournot", [3, 2, 1, 0]),
        ("economics/clearing", [270 / 11, 290 / 11, 10]),
    ],
)
@pytest.mark.parametrize("engine", ["auto", "lemke"])
def test_known_games(scenario: str, profile: list[float], engine: str) -> None:
    game = nng.load_scenario(SCENARIOS / f"{scenario}.yaml").game
    result = nng.solve(game, "complementarity", engine=engine, tolerance=1e-13)
    assert result.converged, result.message
    np.testing.assert_allclose(result.profile, profile, rtol=1e-13)


@pytest.mark.parametrize("scenario", ["economics/public_goods", "economics/peer_effects", "economics/cournot"])
def test_networks_of_people_by_every_engine(scenario: str) -> None:
    game = nng.load_scenario(SCENARIOS / f"{scenario}.yaml").game
    expected = nng.solve(game, "extragradient", tolerance=1e-12, max_iterations=50_000).profile
    for engine in ("auto", "lemke", "quadratic_program"):
        if engine == "quadratic_program" and scenario.endswith("peer_effects"):
            continue
        result = nng.solve(game, "complementarity", engine=engine, tolerance=1e-12)
        assert result.converged, result.message
        np.testing.assert_allclose(result.profile, expected, atol=1e-9)


def test_the_equilibrium_that_the_feeds_never_show() -> None:
    game = nng.load_scenario(SCENARIOS / "counterexamples" / "hidden_equilibrium.yaml").game
    assert nng.solve(game, "complementarity", start=[1.2, 0.99]).profile.tolist() == [1, 1]
    assert nng.solve(game, "complementarity", start=[0.2, 0.3], engine="lemke").profile.tolist() in ([0, 0], [1, 1])


# The absence of equilibria


def counted_up() -> Any:
    """x_1 = max(0, x_2 + 1), x_2 = max(0, x_1)."""
    return nng.Network.ring([[[1.0]], [[1.0]]], [[1.0], [0.0]], ["relu", "relu"]).game()


def test_no_equilibrium_is_said_where_it_is_proved() -> None:
    for engine in ("auto", "lemke"):
        result = nng.solve(counted_up(), "complementarity", engine=engine)
        assert result.status == "failed"
        assert result.message.startswith("no equilibrium exists: with y = (1, 1)")
    guarantee = nng.solver("complementarity").guarantee(counted_up())
    assert guarantee.proved
    assert "if there is one" in guarantee.statement


def test_the_multiplier_is_a_farkas_certificate() -> None:
    equation = PiecewiseEquation(nng.Network.ring([[[2.0]], [[1.0]]], [[1.0], [0.0]], ["relu", "relu"]).game())
    path = CoveringRay(equation)
    while path.end is End.OPEN:
        path.advance()
    assert path.direction is not None
    found = prove_absence(equation, path.cell, path.direction)
    assert found is not None
    first, second = found.multiplier
    # By hand: y >= 0, (I - W)'y <= 0, <y, b> > 0.
    assert first >= 0
    assert second >= 0
    assert first - second <= 0
    assert second - 2 * first <= 0
    assert found.value == first > found.bound == 0


def test_a_wrong_multiplier_proves_nothing() -> None:
    equation = PiecewiseEquation(counted_up())
    assert check_multiplier(equation, [rational(1.0), rational(1.0)]) is not None
    for wrong in ([1.0, 0.5], [0.0, 0.0], [-1.0, -1.0], [1.0, 1.0 + 2**-50], [1.0, 1.0 - 2**-50]):
        assert check_multiplier(equation, [rational(x) for x in wrong]) is None
    solvable = PiecewiseEquation(nng.Network.ring([[[0.5]], [[1.0]]], [[1.0], [0.0]], ["relu", "relu"]).game())
    for y in itertools.product([-1.0, 0.0, 0.5, 1.0], repeat=2):
        assert check_multiplier(solvable, [rational(x) for x in y]) is None


def test_monotone_relu_games_end_at_an_equilibrium_or_with_a_proof() -> None:
    rng = np.random.default_rng(5)
    proved = 0
    for _ in range(40):
        n = int(rng.integers(2, 7))
        half = np.tril(rng.integers(-2, 3, (n, n)), -1).astype(float)
        bias = rng.integers(-2, 3, n).astype(float)
        game = nng.QuadraticGame(
            dict.fromkeys(range(n), 1.0),
            {(i, j): (half - half.T)[i, j] for i in range(n) for j in range(n) if i != j},
            {i: -bias[i] for i in range(n)},
            dict.fromkeys(range(n), "nonnegative"),
        )
        result = nng.solve(game, "complementarity", engine="lemke")
        assert nng.solver("complementarity").guarantee(game).proved
        # Q = 1 and a skew coupling: strongly monotone.
        assert result.converged
    rng = np.random.default_rng(6)
    for _ in range(40):
        n = int(rng.integers(1, 5))
        first = rng.integers(-2, 3, (n, n)).astype(float)
        weights = [np.eye(n) * 2 - first.T, first]
        biases = [rng.integers(-2, 3, n).astype(float) for _ in range(2)]
        game = nng.Network.ring(weights, biases, ["relu", "relu"]).game()
        guarantee = nng.solver("complementarity").guarantee(game)
        assert guarantee.proved, guarantee.statement
        result = nng.solve(game, "complementarity", engine="lemke")
        assert result.converged or result.message.startswith("no equilibrium exists"), result.message
        proved += not result.converged
    assert 0 < proved < 40


# The path


@pytest.mark.parametrize("upper", [False, True])
def test_exponential_examples(upper: bool) -> None:
    # Murty's triangular P-matrix, ones on the diagonal and twos on one side, b = e: from 2 to 2^n - 1 pivots.
    n = 7
    matrix = np.eye(n) + 2 * np.tril(np.ones((n, n)), -1)
    matrix = matrix.T if upper else matrix
    for bias in (np.ones(n), np.cumsum(2.0 ** np.arange(n)), np.cumsum(2.0 ** np.arange(n))[::-1].copy()):
        game = scalar_game(np.eye(n) - matrix, bias, ["relu"] * n)
        (expected,) = {tuple(x) for x in every_equilibrium(np.eye(n) - matrix, bias, ["relu"] * n)}
        for engine in ("auto", "lemke"):
            solver = nng.solver("complementarity", engine=engine)
            problem = solver.problem(game, np.random.default_rng(0))
            result = nng.solve(game, solver)
            assert result.converged
            np.testing.assert_allclose(result.profile, expected, atol=1e-12)
            path = CoveringRay(problem.equation)
            while path.end is End.OPEN:
                path.advance()
                assert path.pivots < 2**n
            assert path.end is End.SOLVED


def test_degenerate_games_do_not_cycle() -> None:
    # Integer data with ties in nearly every pivot.
    rng = np.random.default_rng(7)
    for _ in range(80):
        n = int(rng.integers(2, 6))
        half = np.tril(rng.integers(-1, 2, (n, n)), -1).astype(float)
        weight = -(half - half.T)
        bias = rng.integers(0, 2, n).astype(float)
        names = [str(name) for name in rng.choice(["relu", "hard_tanh"], n)]
        game = scalar_game(weight, bias, names)
        path = CoveringRay(PiecewiseEquation(game))
        while path.end is End.OPEN:
            path.advance()
            assert path.pivots <= 3**n
        assert path.end is End.SOLVED
        x = path.equation.response(path.v)
        assert game.residual(x) <= 1e-12
        np.testing.assert_allclose(x, every_equilibrium(weight, bias, names)[0], atol=1e-10)


def test_the_path_of_a_p_matrix_enters_no_cell_twice_and_keeps_to_its_equation() -> None:
    rng = np.random.default_rng(8)
    n = 30
    weight, bias = np.eye(n) - positive(rng, n, 4.0), 2 * rng.standard_normal(n)
    network = nng.Network.recurrent(weight, bias, "hard_tanh")
    equation = PiecewiseEquation(network.game("neurons"))
    path, seen, ts = CoveringRay(equation), set(), []
    d = np.ones(n)
    while path.end is End.OPEN:
        cell = tuple(path.cell.tolist())
        assert cell not in seen
        seen.add(cell)
        value = path.v - equation.weight @ np.clip(path.v, -1, 1) - bias
        t = -float(value @ d) / n
        np.testing.assert_allclose(value, -t * d, atol=1e-9)
        ts.append(t)
        path.advance()
    assert path.end is End.SOLVED
    assert len(seen) > 20
    assert (np.diff(ts) < 1e-12).all()


def test_bounded_responses_always_end_at_an_equilibrium() -> None:
    rng = np.random.default_rng(9)
    for _ in range(20):
        n = int(rng.integers(2, 20))
        names = [str(name) for name in rng.choice(["hard_tanh", "relu6"], n)]
        weight = 5 * rng.standard_normal((n, n))
        np.fill_diagonal(weight, 0.0)
        game = scalar_game(weight, rng.standard_normal(n), names)
        assert nng.solver("complementarity").guarantee(game).proved
        for engine in ("auto", "lemke"):
            assert nng.solve(game, "complementarity", engine=engine).converged


# Pieces and linear systems


@pytest.mark.parametrize(
    "name", [n for n in registry.names() if registry[n].piecewise_linear and registry[n].separable]
)
def test_the_pieces_are_those_of_the_response(name: str) -> None:
    activation = nng.activation(name)
    if not activation.monotone:
        with pytest.raises(nng.NotApplicableError, match="not continuous and nondecreasing"):
            pieces_of("a", activation, 1)
        return
    (pieces,) = pieces_of("a", activation, 1)
    assert len(pieces.slopes) == len(pieces.offsets) == len(pieces.breaks) + 1
    assert all(a < b for a, b in itertools.pairwise(pieces.breaks))
    for v in [Fraction(k, 7) for k in range(-60, 60)]:
        at = sum(rational(v) > b for b in pieces.breaks)
        assert pieces.slopes[at] * rational(v) + pieces.offsets[at] == activation.flint_response([rational(v)])[0]


def test_pieces_with_parameters() -> None:
    (pieces,) = pieces_of("a", nng.activation("relu", slope=3.0, bias=1.0), 1)
    assert [fraction(x) for x in pieces.breaks] == [Fraction(-1, 3)]
    assert [fraction(x) for x in pieces.slopes] == [0, 3]
    box = pieces_of("a", nng.activation("box", lower=[0.0, -np.inf, 2.0], upper=[1.0, 5.0, 2.0]), 3)
    assert [[float(fraction(x)) for x in found.breaks] for found in box] == [[0, 1], [5], []]
    assert [[float(fraction(x)) for x in found.slopes] for found in box] == [[0, 1, 0], [1, 0], [0]]


@pytest.mark.parametrize("activation", ["relu", "hard_tanh", "leaky_relu"])
def test_elimination_around_a_ring_is_the_dense_system(activation: str) -> None:
    rng = np.random.default_rng(10)
    sizes = (4, 7, 3, 6)
    weights = [rng.standard_normal((n, m)) / 2 for n, m in zip(sizes, (sizes[-1], *sizes[:-1]), strict=True)]
    network = nng.Network.ring(weights, [rng.standard_normal(n) for n in sizes], [activation] * 4)
    equation = PiecewiseEquation(network.game())
    assert equation.ring is not None
    for _ in range(20):
        cell = equation.cell_of(2 * rng.standard_normal(20))
        slopes, offsets = equation.slopes_at(cell), equation.offsets_at(cell)
        v = equation.solve(cell)
        assert v is not None
        dense = np.linalg.solve(np.eye(20) - equation.weight * slopes, equation.weight @ offsets + equation.bias)
        np.testing.assert_allclose(v, dense, atol=1e-9)


@pytest.mark.parametrize("layers", [1, 3])
def test_rings_of_rotations_with_every_unit_active(layers: int) -> None:
    # Picard's iteration turns for ever: the composite is x -> Q x + c near the equilibrium, Q orthogonal.
    rng = np.random.default_rng(11)
    n = 20
    weights = [np.linalg.qr(rng.standard_normal((n, n)))[0] for _ in range(layers)]
    frame, angles = np.linalg.qr(rng.standard_normal((n, n)))[0], rng.uniform(np.pi / 3, np.pi, n // 2)
    turn = np.kron(np.diag(np.cos(angles)), np.eye(2)) + np.kron(np.diag(np.sin(angles)), [[0.0, -1.0], [1.0, 0.0]])
    before = np.linalg.multi_dot([np.eye(n), np.eye(n), *weights[:0:-1]])
    weights[0] = before.T @ frame @ turn @ frame.T
    actions = [2 + rng.random(n) for _ in range(layers)]
    biases = [x - w @ y for x, w, y in zip(actions, weights, [actions[-1], *actions[:-1]], strict=True)]
    game = nng.Network.ring(weights, biases, ["relu"] * layers).game("neurons")
    start = np.concatenate(actions) + 0.1 * rng.standard_normal(n * layers)
    result = nng.solve(game, "complementarity", tolerance=1e-12, start=start)
    assert result.converged, result.message
    assert result.iterations == 1
    np.testing.assert_allclose(result.profile, np.concatenate(actions), atol=1e-10)
    assert not nng.solve(game, "picard", start=start, max_iterations=300).converged


# What is refused


def test_what_is_refused_and_why() -> None:
    solver = nng.solver("complementarity")
    smooth = nng.load_scenario(SCENARIOS / "counterexamples" / "no_equilibrium.yaml").game
    assert solver.applies(smooth) == "player 1: activation 'softplus_beta' is not piecewise linear in each coordinate"
    folded = nng.Network.ring([[[0.5]], [[0.5]]], [[1.0], [0.0]], ["absolute_value", "relu"]).game()
    assert solver.applies(folded) == "player 1: activation 'absolute_value' is not continuous and nondecreasing"
    large = nng.Network.graph(
        {(i, (i + 7) % 3000): 0.1 for i in range(3000)} | {(0, 5): 0.1},
        dict.fromkeys(range(3000), 1.0),
        dict.fromkeys(range(3000), "relu"),
    )
    assert "3000 unknowns" in str(solver.applies(large.game()))
    program = nng.solver("complementarity", engine="quadratic_program")
    assert "not symmetric" in str(
        program.applies(nng.Network.ring([[[1.0]], [[-1.0]]], [[1.0], [0.0]], ["relu"] * 2).game())
    )
    assert "not positive definite" in str(
        program.applies(nng.Network.ring([[[2.0]], [[2.0]]], [[1.0], [0.0]], ["relu"] * 2).game())
    )
    assert "no projection" in str(
        program.applies(nng.Network.ring([[[0.1]], [[0.1]]], [[1.0], [0.0]], ["leaky_relu"] * 2).game())
    )
    with pytest.raises(nng.OptionError, match="engine='murty' is unknown; valid: auto, lemke, quadratic_program"):
        nng.solver("complementarity", engine="murty")
    with pytest.raises(nng.NotApplicableError, match="complementarity does not apply: player 1"):
        nng.solve(smooth, "complementarity")


def test_a_scheme_that_has_ended_yields_no_more() -> None:
    states = list(nng.solver("complementarity", engine="lemke").iterate(counted_up()))
    assert 1 <= len(states) <= 5


def test_a_tolerance_below_rounding_ends_with_the_reason() -> None:
    rng = np.random.default_rng(12)
    game = scalar_game(np.eye(6) - positive(rng, 6), rng.standard_normal(6), ["relu"] * 6)
    result = nng.solve(game, "complementarity", tolerance=1e-30)
    if not result.converged:
        assert result.status == "failed"
        assert "up to rounding" in result.message
    assert result.iterations < 30


@pytest.mark.parametrize("activation", ["identity", "leaky_relu"])
@pytest.mark.parametrize("layers", [2, 3])
def test_a_singular_first_cell_is_decided_by_its_left_null_vectors(activation: str, layers: int) -> None:
    """Fredholm's alternative: with y'(I - W) = 0 there is an equilibrium of x = Wx + b iff y'b = 0."""
    W = np.array([[0.5, -0.25, 0.125], [0.25, 1.5, -0.375], [0.25, -0.25, 1.25]])
    rest = layers - 1

    def game(bias: list[float]) -> nng.Game:
        weights, biases = [W, *[np.eye(3)] * rest], [bias, *[np.zeros(3)] * rest]
        return nng.Network.ring(weights, biases, [activation, *["identity"] * rest]).game()

    assert (W.sum(axis=0) == 1).all()
    for bias in ([1.0, 1.0, 1.0], [0.0, 0.0, 2.0**-20]):
        result = nng.solve(game(bias), "complementarity")
        assert result.status is nng.Status.FAILED
        assert result.message.startswith("no equilibrium exists: with y = (1, 1, 1")
    if activation == "identity":
        assert "no equilibrium exists" not in nng.solve(game([1.0, 1.0, -2.0]), "complementarity").message


def test_the_shifted_identity_has_no_equilibrium() -> None:
    """x = x + 1, on a ring of two identities: also ``auto`` ends with the proof."""
    game = nng.Network.ring([[[1.0]], [[1.0]]], [[1.0], [0.0]], ["identity"] * 2).game()
    for method in ("complementarity", "auto"):
        result = nng.solve(game, method)
        assert result.message.startswith("no equilibrium exists: with y = (1, 1)")
        assert result.evaluations < 100


def test_a_settled_cell_that_is_not_the_solutions_is_left() -> None:
    # Solving with pieces (0, 1) gives v = (9, -2), whose settled v = (-18, 7) has those pieces too; x = (9/4, 1/4).
    game = nng.Network.ring([[[-3.0]], [[1.0]]], [[3.0], [-2.0]], ["relu", "relu"]).game()
    solver = nng.solver("complementarity")
    assert solver.guarantee(game).proved
    result = nng.solve(game, solver)
    assert result.converged, result.message
    np.testing.assert_allclose(result.profile, [2.25, 0.25], rtol=1e-12)


@pytest.mark.parametrize("activation", ["relu", "hard_tanh"])
def test_proved_rings_end_at_their_equilibrium(activation: str) -> None:
    rng = np.random.default_rng(7)
    proved = 0
    for _ in range(80):
        sizes = rng.integers(1, 4, size=int(rng.integers(2, 5)))
        weights = [np.round(4 * rng.standard_normal((sizes[i], sizes[i - 1]))) / 2 for i in range(len(sizes))]
        biases = [np.round(2 * rng.standard_normal(n)) for n in sizes]
        game = nng.Network.ring(weights, biases, [activation] * len(sizes)).game()
        if nng.solver("complementarity").guarantee(game).proved:
            proved += 1
            result = nng.solve(game, "complementarity")
            assert result.converged, (weights, biases, result.message)
            assert game.residual(result.profile) <= 1e-9 * game.scale
    assert proved >= 10
