"""The proved bounds of solvers hold, iterate by iterate, on random games whose equilibrium is known by construction.

A ring game gets its equilibrium x* first: b_l = r_l^{-1}(x*_l) - W_l x*_{l-1}, the inverses written here, not taken
from the package. Every pair (family, method) below must be PROVED, so that proving nothing does not pass.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import nngames as nng

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Invertible:
    """An activation with its inverse and a range of outputs to draw from."""

    name: str
    parameters: dict[str, float]
    slope: float
    inverse: Callable[[Array], Array]
    low: float
    high: float

    def draw(self, rng: np.random.Generator, n: int) -> Array:
        return rng.uniform(self.low, self.high, n)

    @property
    def mapping(self) -> dict[str, Any]:
        return {"name": self.name, **self.parameters}


def _two_slopes(a: float) -> Callable[[Array], Array]:
    return lambda x: np.where(x >= 0, x, x / a)


INVERTIBLE = (
    Invertible("tanh", {}, 1.0, np.arctanh, -0.9, 0.9),
    Invertible("sigmoid", {}, 0.25, lambda x: np.log(x / (1 - x)), 0.05, 0.95),
    Invertible("softplus_beta", {"beta": 2.0}, 1.0, lambda x: np.log(np.expm1(2 * x)) / 2, 0.05, 3.0),
    Invertible("arctan", {}, 1.0, np.tan, -1.3, 1.3),
    Invertible("softsign", {}, 1.0, lambda x: x / (1 - np.abs(x)), -0.8, 0.8),
    Invertible("leaky_relu", {"slope": 0.1}, 1.0, _two_slopes(0.1), -1.0, 2.0),
    Invertible("prelu", {}, 1.0, _two_slopes(0.25), -1.0, 2.0),
    Invertible("elu", {}, 1.0, lambda x: np.where(x > 0, x, np.log1p(np.minimum(x, 0.0))), -0.9, 2.0),
    Invertible("identity", {}, 1.0, lambda x: x, -2.0, 2.0),
    Invertible("linear", {"slope": 0.5}, 0.5, lambda x: 2 * x, -1.0, 1.0),
)
STEEP = (
    Invertible("tanh", {"scale": 2.0}, 2.0, lambda x: np.arctanh(x / 2), -1.8, 1.8),
    Invertible("elu", {"alpha": 2.0}, 2.0, lambda x: np.where(x > 0, x, np.log1p(np.minimum(x, 0.0) / 2)), -1.8, 2.0),
    Invertible("linear", {"slope": 2.0}, 2.0, lambda x: x / 2, -2.0, 2.0),
)
#: Slopes up to exactly 1, so that norms of 1 leave no contraction.
UNIT = tuple(kind for kind in INVERTIBLE if kind.slope == 1.0)
LINEAR = (INVERTIBLE[8],)


@dataclass(frozen=True)
class Case:
    """A game with a known equilibrium, and a Lipschitz constant of its joint map or of its composite map."""

    game: Any
    equilibrium: Array
    lipschitz: float


def _scaled(rng: np.random.Generator, rows: int, columns: int, norm: float) -> Array:
    matrix = rng.standard_normal((rows, columns))
    return matrix * (norm / np.linalg.norm(matrix, 2))


def _orthogonal(rng: np.random.Generator, n: int) -> Array:
    return np.linalg.qr(rng.standard_normal((n, n)))[0]


def _permutation(rng: np.random.Generator, n: int) -> Array:
    return np.eye(n)[rng.permutation(n)] * rng.choice([-1.0, 1.0], n)


def _ring(rng: np.random.Generator, weights: list[Array], kinds: tuple[Invertible, ...], players: str = "auto") -> Case:
    """Return the ring with these weights, drawn activations and a drawn equilibrium."""
    chosen = [kinds[i] for i in rng.integers(len(kinds), size=len(weights))]
    outputs = [kind.draw(rng, len(weight)) for kind, weight in zip(chosen, weights, strict=True)]
    biases = [
        kind.inverse(output) - weight @ outputs[i - 1]
        for i, (kind, output, weight) in enumerate(zip(chosen, outputs, weights, strict=True))
    ]
    network = nng.Network.ring(weights, biases, [kind.mapping for kind in chosen])
    lipschitz = max(kind.slope * np.linalg.norm(weight, 2) for kind, weight in zip(chosen, weights, strict=True))
    case = Case(network.game(players), np.concatenate(outputs), float(lipschitz))
    assert case.game.residual(case.equilibrium) <= 1e-12 * max(1.0, np.abs(case.equilibrium).max()) * case.game.size
    return case


def contraction(rng: np.random.Generator, n: int, layers: int) -> Case:
    """A ring with rectangular weights, some of norm above 1, whose norms and slopes multiply to 0.8^L."""
    sizes = [int(k) for k in rng.integers(max(1, n // 2), n + 1, layers)]
    kinds = tuple(INVERTIBLE[i] for i in rng.integers(len(INVERTIBLE), size=layers))
    logs = rng.normal(size=layers)
    norms = 0.8 * np.exp(logs - logs.mean())
    weights = [
        _scaled(rng, sizes[i], sizes[i - 1], norm / kind.slope)
        for i, (kind, norm) in enumerate(zip(kinds, norms, strict=True))
    ]
    outputs = [kind.draw(rng, size) for kind, size in zip(kinds, sizes, strict=True)]
    biases = [
        kind.inverse(outputs[i]) - weight @ outputs[i - 1]
        for i, (kind, weight) in enumerate(zip(kinds, weights, strict=True))
    ]
    network = nng.Network.ring(weights, biases, [kind.mapping for kind in kinds])
    return Case(network.game(), np.concatenate(outputs), float(norms.max()))


def scaled_permutations(rng: np.random.Generator, n: int, layers: int) -> Case:
    """Signed permutations times 0.8 with the identity: every step contracts by exactly 0.8, so the bounds are tight."""
    return _ring(rng, [0.8 * _permutation(rng, n) for _ in range(layers)], LINEAR)


def symmetric_loop(rng: np.random.Generator, n: int, layers: int) -> Case:
    """One layer that feeds itself through a symmetric weight of norm 0.8."""
    half = rng.standard_normal((n, n))
    return _ring(rng, [0.8 * (half + half.T) / np.linalg.norm(half + half.T, 2)], INVERTIBLE)


def permutations(rng: np.random.Generator, n: int, layers: int) -> Case:
    """Signed permutations: every norm is exactly 1."""
    return _ring(rng, [_permutation(rng, n) for _ in range(layers)], UNIT)


def quarter_turn(rng: np.random.Generator, n: int, layers: int) -> Case:
    """Rotations by 90 degrees with the identity, on which Picard iteration cycles."""
    turn = np.kron(np.eye(n // 2), np.array([[0.0, -1.0], [1.0, 0.0]]))
    return _ring(rng, [turn, *[np.eye(n)] * (layers - 1)], LINEAR)


def balanced(rng: np.random.Generator, n: int, layers: int) -> Case:
    """Norms 2 and 1/2 that multiply to exactly 1."""
    weights = [_permutation(rng, n) * (2.0 if i % 2 else 0.5) for i in range(layers)]
    return _ring(rng, weights, UNIT)


def strongly_monotone(rng: np.random.Generator, n: int, layers: int) -> Case:
    """W_l = -w Q_l with orthogonal Q_l that multiply to Id: I - sym W >= 0.1 I, also where w > 1 (L odd).

    sym W has the eigenvalues -w cos(2 pi k/L); the largest is w cos(pi/L) for odd L, w for even L.
    """
    w = 0.9 / np.cos(np.pi / layers) if layers % 2 else 0.9
    turns = [_orthogonal(rng, n) for _ in range(layers - 1)]
    last = np.eye(n)
    for turn in turns:
        last = turn @ last
    return _ring(rng, [-w * last.T, *[-w * turn for turn in turns]], INVERTIBLE)


def skew_pair(rng: np.random.Generator, n: int, layers: int) -> Case:
    """L = 2 with W_2 = -W_1' of norm 4: sym W = 0."""
    weight = _scaled(rng, n, n, 4.0)
    return _ring(rng, [weight, -weight.T], INVERTIBLE)


def steep_skew_pair(rng: np.random.Generator, n: int, layers: int) -> Case:
    """The same with slopes up to 2: the penalties are weakly convex, M = I/2 - W is monotone still."""
    weight = _scaled(rng, n, n, 4.0)
    return _ring(rng, [weight, -weight.T], STEEP)


def skew_neurons(rng: np.random.Generator, n: int, layers: int) -> Case:
    """A recurrent layer of neurons with a skew-symmetric weight of norm 3."""
    half = rng.standard_normal((n, n))
    skew = half - half.T
    return _ring(rng, [3 * skew / max(np.linalg.norm(skew, 2), 1e-300)], INVERTIBLE, "neurons")


def merely_monotone(rng: np.random.Generator, n: int, layers: int) -> Case:
    """Permutations that multiply to Id: sym W has the eigenvalue 1, so M is monotone and not strongly."""
    turns = [_permutation(rng, n) for _ in range(layers - 1)]
    last = np.eye(n)
    for turn in turns:
        last = turn @ last
    return _ring(rng, [last.T, *turns], UNIT)


def steep_merely_monotone(rng: np.random.Generator, n: int, layers: int) -> Case:
    """Slopes up to exactly 2 and weights of norm 1/2: the least eigenvalue of M = I/2 - sym W is exactly 0."""
    turns = [_permutation(rng, n) for _ in range(layers - 1)]
    last = np.eye(n)
    for turn in turns:
        last = turn @ last
    return _ring(rng, [last.T / 2, *[turn / 2 for turn in turns]], STEEP)


def minus_two(rng: np.random.Generator, n: int, layers: int) -> Case:
    """L = 3, W_l = -2 Id, r = Id: M is monotone, Picard and every constant KM on T diverge."""
    return _ring(rng, [-2 * np.eye(n)] * 3, LINEAR)


def _quadratic(rng: np.random.Generator, n: int, count: int, coupling: Callable[[int, int], Array | None]) -> Case:
    """A quadratic game with and without sets, x* on their boundary with a positive multiplier where it is active."""
    names = [f"p{i}" for i in range(count)]
    quadratic, linear, actions, penalties = {}, {}, [], {}
    couplings = {}
    for i in range(count):
        root = rng.standard_normal((n, n))
        quadratic[names[i]] = np.eye(n) + 0.3 * (root @ root.T) / n
        for j in range(count):
            matrix = coupling(i, j) if i != j else None
            if matrix is not None:
                couplings[names[i], names[j]] = matrix
        active = (rng.random(n) < 0.4) & (i % 2 == 0)
        actions.append(np.where(active, 0.0, rng.uniform(0.2, 2.0, n)))
        penalties[names[i]] = "nonnegative" if i % 2 == 0 else None
        linear[names[i]] = np.where(active, rng.uniform(0.1, 1.0, n), 0.0)
    for i, name in enumerate(names):
        heard = np.zeros(n)
        for j, other in enumerate(names):
            if (name, other) in couplings:
                heard += couplings[name, other] @ actions[j]
        # 0 = Qx + Rx + q - multiplier
        linear[name] = linear[name] - quadratic[name] @ actions[i] - heard
    game = nng.QuadraticGame(quadratic, couplings, linear, {k: v for k, v in penalties.items() if v})
    return Case(game, np.concatenate(actions), 3.0 * count)


def quadratic_contraction(rng: np.random.Generator, n: int, layers: int) -> Case:
    """Curvatures at least 1 and couplings of norm 0.8/(players - 1)."""
    return _quadratic(rng, n, layers, lambda i, j: _scaled(rng, n, n, 0.8 / (layers - 1)))


def quadratic_monotone(rng: np.random.Generator, n: int, layers: int) -> Case:
    """Skew couplings of norm 3: no contraction, M strongly monotone with modulus at least 1."""
    upper = {(i, j): _scaled(rng, n, n, 3.0) for i in range(layers) for j in range(i + 1, layers)}
    return _quadratic(rng, n, layers, lambda i, j: upper[i, j] if i < j else -upper[j, i].T)


Method = tuple[str, dict[str, Any]]
SLOWING = {"initial": 1.0, "power": 0.5}
BEST_RESPONSES: tuple[Method, ...] = (
    ("best_response", {}),
    ("best_response", {"order": "simultaneous"}),
    ("best_response", {"order": "random"}),
    ("best_response", {"damping": 0.6}),
)
KM_JOINT: tuple[Method, ...] = (
    ("km", {"map": "joint"}),
    ("km", {"map": "joint", "relaxation": 1.02}),
    ("km", {"map": "joint", "relaxation": SLOWING}),
    ("picard", {"map": "joint"}),
)
KM_COMPOSITE: tuple[Method, ...] = (
    ("km", {"map": "composite"}),
    ("km", {"map": "composite", "relaxation": 1.0}),
    ("km", {"map": "composite", "relaxation": SLOWING}),
    ("picard", {}),
    ("extragradient", {"operator": "identity_minus_map"}),
)
NONEXPANSIVE: tuple[Method, ...] = (
    ("km", {}),
    ("km", {"relaxation": 0.2}),
    ("km", {"relaxation": SLOWING}),
    ("km", {"relaxation": [0.9, 0.1, 0.7]}),
    ("extragradient", {"operator": "identity_minus_map"}),
)
EXTRAGRADIENT: tuple[Method, ...] = (("extragradient", {}),)
SIZES = ((1, 2), (2, 12), (7, 3), (40, 5), (300, 2), (120, 12))

#: family, (n, L) pairs, the methods that must be PROVED, and whether x* is unique.
FAMILIES: tuple[tuple[Callable[..., Case], tuple[tuple[int, int], ...], tuple[Method, ...], bool], ...] = (
    (contraction, SIZES, (*BEST_RESPONSES, *KM_JOINT, *KM_COMPOSITE), True),
    (contraction, ((300, 12),), (BEST_RESPONSES[0], KM_JOINT[0], KM_COMPOSITE[0]), True),
    (scaled_permutations, ((1, 2), (3, 3)), (*BEST_RESPONSES, *KM_JOINT, *KM_COMPOSITE), True),
    (symmetric_loop, ((1, 1), (5, 1), (60, 1)), (*BEST_RESPONSES, *KM_JOINT, *KM_COMPOSITE), True),
    (permutations, ((1, 1), (1, 2), (3, 5), (30, 12), (300, 3)), NONEXPANSIVE, False),
    (quarter_turn, ((2, 1), (4, 2), (40, 3)), NONEXPANSIVE, False),
    (balanced, ((1, 2), (6, 4), (48, 12)), NONEXPANSIVE, False),
    (strongly_monotone, ((1, 3), (2, 12), (30, 5), (300, 3)), EXTRAGRADIENT, True),
    (skew_pair, ((1, 2), (8, 2), (300, 2)), EXTRAGRADIENT, True),
    (steep_skew_pair, ((1, 2), (8, 2), (60, 2)), EXTRAGRADIENT, True),
    (skew_neurons, ((2, 1), (20, 1), (200, 1)), EXTRAGRADIENT, True),
    (merely_monotone, ((1, 2), (3, 4), (20, 12), (300, 2)), EXTRAGRADIENT, False),
    (steep_merely_monotone, ((1, 2), (4, 3), (40, 2)), EXTRAGRADIENT, False),
    (minus_two, ((1, 3), (10, 3)), (*EXTRAGRADIENT, ("extragradient", {"step_size": 0.3})), False),
    (quadratic_contraction, ((1, 2), (3, 4), (20, 3)), (*BEST_RESPONSES, *KM_JOINT, *EXTRAGRADIENT), True),
    (quadratic_monotone, ((1, 2), (3, 3), (20, 4)), EXTRAGRADIENT, True),
)


def _pairs(*, only_unique: bool) -> list[Any]:
    return [
        pytest.param(family, n, layers, method, id=f"{family.__name__}-{n}-{layers}-{number}")
        for family, sizes, methods, unique in FAMILIES
        for n, layers in sizes
        for number, method in enumerate(methods)
        if unique or not only_unique
    ]


#: Iterations over which a bound is compared with the iterates, and the budget in which it must be reached.
STEPS = 150

_cases: dict[tuple[str, int, int], Case] = {}


def case_of(family: Callable[..., Case], n: int, layers: int) -> Case:
    """Return the case of a family and size, built once."""
    key = (family.__name__, n, layers)
    if key not in _cases:
        _cases[key] = family(np.random.default_rng([len(family.__name__), n, layers]), n, layers)
    return _cases[key]


def _start(case: Case) -> Array:
    rng = np.random.default_rng(case.game.size)
    return case.equilibrium + rng.standard_normal(case.game.size)


def _variables(case: Case, guarantee: Any) -> slice:
    """Return where the scheme's own variables stand in a profile."""
    if guarantee.witness["map"] == "composite":
        return case.game.network.space.slices[case.game.network.players[-1]]
    return slice(None)


def _follow(case: Case, method: Method, steps: int) -> int:
    """Compare the bound with the iterates; return how many iterations it was above rounding."""
    solver = nng.solver(method[0], **method[1])
    guarantee = solver.guarantee(case.game)
    assert guarantee.proved, f"{method}: {guarantee}"
    rate = guarantee.rate
    where = _variables(case, guarantee)
    target = case.equilibrium[where]
    # x* is the equilibrium of the rounded data only up to this much, in the bound's own norm.
    floor = 1e-10 * max(1.0, float(np.abs(case.equilibrium).max())) * rate.norm(np.ones(target.shape))
    best, initial, met = np.inf, 0.0, 0
    for iterate in solver.iterate(case.game, start=_start(case), seed=1):
        k, distance = iterate.iteration, rate.norm(iterate.profile[where] - target)
        if k == 0:
            initial = distance
        best = min(best, iterate.residual)
        reached = {"distance": distance, "residual": iterate.residual, "best_residual": best}[rate.quantity]
        bound = rate.bound(k, initial)
        if bound > 100 * floor:
            met += 1
            assert reached <= bound * (1 + 1e-9) + floor, f"iteration {k}: {reached} > {bound}"
        if k == steps:
            break
    return met


@pytest.mark.parametrize(("family", "n", "layers", "method"), _pairs(only_unique=False))
def test_bound_holds_at_every_iteration(family: Callable[..., Case], n: int, layers: int, method: Method) -> None:
    case = case_of(family, n, layers)
    rate = nng.solver(method[0], **method[1]).guarantee(case.game).rate
    # After one sweep that ends the run the bound is 0.
    assert _follow(case, method, STEPS) >= (4 if rate.bound(1, 1.0) > 0 else 1)


@pytest.mark.parametrize(
    ("family", "methods"),
    [
        (contraction, (BEST_RESPONSES[0], KM_JOINT[0], KM_COMPOSITE[0])),
        (permutations, NONEXPANSIVE),
        (strongly_monotone, EXTRAGRADIENT),
        (steep_skew_pair, EXTRAGRADIENT),
        (merely_monotone, EXTRAGRADIENT),
        (quadratic_monotone, EXTRAGRADIENT),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
@settings(max_examples=20, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 6), layers=st.integers(3, 6), pick=st.integers(0, 100))
def test_bound_holds_on_drawn_games(
    family: Callable[..., Case], methods: tuple[Method, ...], seed: int, n: int, layers: int, pick: int
) -> None:
    case = family(np.random.default_rng(seed), n, layers)
    _follow(case, methods[pick % len(methods)], 60)


@pytest.mark.parametrize(("family", "n", "layers", "method"), _pairs(only_unique=False))
def test_tolerance_is_reached_when_the_bound_is_within_the_budget(
    family: Callable[..., Case], n: int, layers: int, method: Method
) -> None:
    case = case_of(family, n, layers)
    game, solver = case.game, nng.solver(method[0], **method[1])
    rate = solver.guarantee(game).rate
    where = _variables(case, solver.guarantee(game))
    start = _start(case)
    initial = rate.norm((start - case.equilibrium)[where])
    # |R(x) - x|_2 <= (1 + Lip R)|x - x*|_2 turns a bound on the distance into one on the residual.
    size = 1.0
    if rate.quantity == "distance":
        size = (1 + case.lipschitz) * _euclidean_factor(rate.norm, case.equilibrium[where].size)
    budget = STEPS
    while size * rate.bound(budget, initial) > 0.5 * game.scale and budget < 40_000:
        budget *= 2
    tolerance = size * rate.bound(budget, initial) / game.scale
    assert tolerance < 1, "the budget is too small to test anything"
    result = nng.solve(game, solver, start=start, tolerance=max(tolerance, 1e-9), max_iterations=budget, seed=1)
    assert result.status == "converged", result.message
    assert game.residual(result.profile) <= result.tolerance * result.scale


def _euclidean_factor(measure: Callable[[Array], float], n: int) -> float:
    """Return c with |d|_2 <= c measure(d) for a weighted maximum norm or the Euclidean one: |d_i| <= m(d)/m(e_i)."""
    unit, sizes = np.zeros(n), np.empty(n)
    for i in range(n):
        unit[i] = 1.0
        sizes[i] = measure(unit)
        unit[i] = 0.0
    return float(np.linalg.norm(1 / sizes))


@pytest.mark.parametrize(("family", "n", "layers", "method"), _pairs(only_unique=True))
def test_the_unique_equilibrium_is_reached(family: Callable[..., Case], n: int, layers: int, method: Method) -> None:
    case = case_of(family, n, layers)
    solver = nng.solver(method[0], **method[1])
    result = nng.solve(case.game, solver, tolerance=1e-11, max_iterations=20_000, seed=3)
    assert result.converged, result.message
    assert np.abs(result.profile - case.equilibrium).max() <= 1e-7


def test_a_proved_run_is_not_called_diverged_on_its_way() -> None:
    # The joint map contracts in a weighted norm only: in the Euclidean one a signal first grows by 1e13.
    game = nng.Network.ring([1e-14, *[10.0] * 13], [0.0] * 14, ["identity"] * 14).game()
    result = nng.solve(game, "picard", map="joint", start=np.eye(14)[0], tolerance=1e-6, max_iterations=200)
    assert nng.solver("picard", map="joint").guarantee(game).proved
    assert result.trace.residual.max() > 1e10 * max(result.trace.residual[0], result.scale)
    assert result.converged, result.message


def _ring_of(*weights: Any, activation: str = "identity") -> Any:
    matrices = [np.atleast_2d(weight) for weight in weights]
    return nng.Network.ring(matrices, [np.ones(len(m)) for m in matrices], [activation] * len(matrices)).game("neurons")


QUARTER_TURN = [[0.0, -1.0], [1.0, 0.0]]
#: A contraction of the plane in the Euclidean norm, and in no weighted maximum of its two coordinates.
EIGHTH_TURN = [[0.63, -0.63], [0.63, 0.63]]


@pytest.mark.parametrize(
    ("game", "method", "reason"),
    [
        (_ring_of(QUARTER_TURN), ("picard", {}), "neither a contraction nor nonexpansiveness"),
        (_ring_of(QUARTER_TURN), ("km", {"relaxation": 1.0}), "neither a contraction nor nonexpansiveness"),
        (_ring_of(QUARTER_TURN), ("km", {"relaxation": lambda t: 0.5}), "a user's function"),
        (_ring_of(QUARTER_TURN), ("km", {"map": "joint"}), "of the joint map"),
        (_ring_of(QUARTER_TURN), ("best_response", {}), "no contraction in a weighted maximum norm"),
        (_ring_of(EIGHTH_TURN), ("best_response", {}), "no contraction in a weighted maximum norm"),
        (
            _ring_of(QUARTER_TURN),
            ("extragradient", {"operator": "identity_minus_map", "step_size": 0.5}),
            "2-Lipschitz only",
        ),
        (_ring_of(-2.0, -2.0, -2.0), ("extragradient", {"step_size": 1.0}), "is not below 1/|M|"),
        (_ring_of(-2.0, -2.0, -2.0), ("km", {}), "neither a contraction nor nonexpansiveness"),
        (_ring_of(2.0, 2.0), ("extragradient", {}), "M is not proved monotone"),
        (_ring_of(1.0, 1.0), ("km", {"relaxation": {"initial": 0.5, "power": 1.5}}), "neither a contraction"),
        (_ring_of(0.5, 0.5), ("km", {"relaxation": 2.7}), "neither a contraction"),
        (_ring_of(0.5, 0.5), ("km", {"relaxation": 0.0}), "neither a contraction"),
    ],
    ids=range(13),
)
def test_no_guarantee_where_no_theorem_applies(game: Any, method: Method, reason: str) -> None:
    guarantee = nng.solver(method[0], **method[1]).guarantee(game)
    assert guarantee.status == "UNDECIDED"
    assert guarantee.rate is None
    assert reason in guarantee.statement
