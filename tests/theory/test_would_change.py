"""What would change a verdict on potentials: every figure holds up to where it says, and not beyond; time is obeyed."""

from __future__ import annotations

import itertools
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from phrases import figure
from structure_games import FAMILIES, drawn_game

import nngames as nng
from nngames.certificates.exact_potential import exact_potential
from nngames.certificates.figures import floored, raised
from nngames.certificates.potential_changes import cycle_change, multiple_change
from nngames.certificates.weighted_potential import weighted_potential
from nngames.checks.acyclicity import examine_components
from nngames.checks.cycle_certificates import Certifier
from nngames.checks.effective_coupling import effective_coupling, listening_matrix
from nngames.checks.exact_game import rationals
from nngames.checks.finite.better_replies import Deviations
from nngames.checks.finite.square_pairs import SquarePairs
from nngames.checks.indifference import _one_sided
from nngames.checks.mover_cycles import mover_cycles
from nngames.checks.potential_changes import gain_change
from nngames.core.deadlines import TimeUpError

QUESTIONS = ("exact", "weighted", "ordinal", "acyclic", "best_response_acyclic")


def graph(couplings: dict[Any, Any], name: str = "tanh") -> Any:
    sizes = {target: np.shape(matrix)[0] for (target, _), matrix in couplings.items()}
    sizes |= {source: np.shape(matrix)[1] for (_, source), matrix in couplings.items()}
    return nng.Network.graph(couplings, {player: np.zeros(n) for player, n in sizes.items()}, name).game("layers")


# Every verdict


@pytest.mark.parametrize("number", range(2 * len(FAMILIES)))
def test_every_verdict_says_what_would_change_it(number):
    game = drawn_game(number, seed=3).game
    for tolerance, seconds in ((1e-12, 0.2), (0.0, 1e-9)):
        report = nng.check_potential(game, tolerance, seed=0, max_seconds=seconds)
        for name in QUESTIONS:
            verdict = getattr(report, name)
            assert verdict.would_change, (name, verdict)
            assert "  " not in verdict.text


OTHERS = {
    "tracking": lambda: nng.Network.ring([[[2.0]], [[-1.0]]], [[0.0]] * 2, ["relu"] * 2).game(cost="tracking"),
    "affine tracking": lambda: graph({(1, 2): [[1.0]], (2, 1): [[1.0]]}, "identity"),
    "alone": lambda: nng.QuadraticGame({1: np.eye(2)}),
    "one choice": lambda: nng.FiniteGame(np.zeros((2, 1, 1))),
    "constant": lambda: nng.FiniteGame(np.zeros((2, 2, 2))),
    "pennies": lambda: nng.FiniteGame([[[1, -1], [-1, 1]], [[-1, 1], [1, -1]]]),
    "floats": lambda: nng.FiniteGame(np.random.default_rng(0).normal(size=(3, 2, 3, 2))),
    "weighted": lambda: nng.FiniteGame(np.array([1.0, 2.0])[:, None, None] * np.array([[0.0, 1.0], [2.0, 5.0]])),
}


@pytest.mark.parametrize("build", OTHERS.values(), ids=OTHERS)
@pytest.mark.parametrize(("tolerance", "seconds"), [(1e-12, 0.3), (0.0, 0.3), (0.5, 0.3), (1e-12, 1e-9)])
def test_other_games_say_so_too(build, tolerance, seconds):
    report = nng.check_potential(build(), tolerance, seed=0, max_seconds=seconds)
    assert all(getattr(report, name).would_change for name in QUESTIONS)


def test_figures_are_rounded_to_the_safe_side():
    assert [floored(Fraction(2, 3)), raised(Fraction(2, 3)), floored(1.0), raised(Fraction(1, 5))] == [
        "0.666",
        "0.667",
        "1",
        "0.2",
    ]
    assert floored(Fraction(1, 10**400)).startswith("1.00e-400")


# Exact and weighted potentials


def couplings_of(rng: Any, shape: tuple[int, int]) -> dict[Any, Any]:
    """Two players whose couplings differ, and a third whose couplings with them are symmetric."""
    a, c, d, e = (rng.integers(-8, 9, size=size) / 4.0 for size in (shape, shape, (2, shape[0]), (2, shape[1])))
    return {(1, 2): a, (2, 1): c.T, (3, 1): d, (1, 3): d.T, (3, 2): e, (2, 3): e.T}


@pytest.mark.parametrize("seed", range(6))
def test_an_exact_potential_comes_with_the_change_that_is_said_and_no_smaller_one(seed):
    rng = np.random.default_rng(seed)
    data = couplings_of(rng, (2, 3))
    for tolerance in (0.0, 1e-12):
        verdict = exact_potential(graph(data), tolerance)
        bound = figure(verdict.would_change, "a change by at least")
        apart = data[2, 1].T - data[1, 2]
        assert bound <= np.abs(apart).max() / 2 < 1.01 * bound
        towards = np.clip(apart, -0.999 * bound, 0.999 * bound)
        nearly = data | {(1, 2): data[1, 2] + towards, (2, 1): data[2, 1] - towards.T}
        assert exact_potential(graph(nearly), tolerance).refuted
        assert exact_potential(
            graph(data | {(1, 2): data[1, 2] + apart / 2, (2, 1): (data[2, 1].T - apart / 2).T})
        ).proved


@pytest.mark.parametrize("beyond", [10.5, 15.0, 200.0])
def test_what_the_tolerance_takes_off_a_change_is_counted(beyond):
    tolerance = 0.25 / 4 / beyond

    def game(change):
        return graph(
            {(1, 2): np.array([[1.25 - change, 4.0 + change]]), (2, 1): np.array([[1.0 + change], [4.0 + change]])}
        )

    verdict = exact_potential(game(0.0), tolerance)
    assert verdict.refuted
    bound = figure(verdict.would_change, "a change by at least")
    assert exact_potential(game(0.99 * bound), tolerance).refuted
    assert not exact_potential(game(1.02 * bound), tolerance).refuted
    # Where ratios are compared, the change that is said may be too small, never too large.
    weighted = weighted_potential(game(0.0), tolerance)
    if weighted.refuted and "at least" in weighted.would_change:
        bound = figure(weighted.would_change, "a change by at least")
        assert weighted_potential(game(0.99 * bound), tolerance).refuted


def test_a_coupling_within_the_tolerance_closes_no_cycle_and_that_is_said():
    weight = np.array([[0.0, 1.0], [-1e-14, 0.0]])
    game = nng.Network.recurrent(weight, np.zeros(2), "identity").game("neurons")
    report = nng.check_potential(game, seed=0, max_seconds=0.3)
    assert report.acyclic.proved
    assert "a smaller data tolerance" in report.acyclic.would_change
    assert not nng.check_potential(game, data_tolerance=0, seed=0, max_seconds=0.3).acyclic.proved


@pytest.mark.parametrize("size", [1e-11, 3e-9, 1e-3])
@pytest.mark.parametrize("name", ["tanh", "simplex"])
def test_the_tolerance_that_leaves_an_exact_potential_open_is_the_one_that_is_said(size, name):
    rng = np.random.default_rng(2)
    data = couplings_of(rng, (3, 3))
    data[2, 1] = data[1, 2].T.copy()
    data[2, 1][0, 1] += size * np.abs(data[2, 1]).max()
    game = graph(data, name)
    refuted = exact_potential(game, size / 100)
    opens = figure(refuted.would_change, "a data tolerance of")
    assert refuted.refuted
    assert exact_potential(game, 0.99 * opens).refuted
    left = exact_potential(game, opens)
    assert left.status == "UNDECIDED"
    proves, refutes = (figure(left.would_change, words) for words in ("a data tolerance of", "a positive one below"))
    assert exact_potential(game, refutes * 0.999).refuted
    proved = exact_potential(game, proves)
    assert proved.proved
    assert not exact_potential(game, figure(proved.would_change, "a positive data tolerance below") * 0.999).proved


def distance_to_multiples(a: Any, c: Any) -> float:
    """The least change of all entries that makes A = t C, t > 0, over a fine grid of t."""
    t = np.exp(np.linspace(-12, 12, 40001))[:, None]
    return float(np.min(np.max(np.abs(t * c.ravel() - a.ravel()) / (1 + t), axis=1)))


@pytest.mark.parametrize("seed", range(8))
def test_no_smaller_change_than_the_one_that_is_said_balances_a_pair(seed):
    rng = np.random.default_rng(seed)
    a, c = rng.integers(-3, 9, size=(2, 2, 2)).astype(float)
    if seed % 2:
        a, c = np.abs(a) + 1, np.abs(c) + 1
    whole = list(zip(map(Fraction, a.ravel()), map(Fraction, c.ravel()), strict=True))
    assert 0 < multiple_change(whole) <= distance_to_multiples(a, c) * (1 + 1e-3)
    two = multiple_change(whole[:2])
    if (a[0] * c[0] >= 0).all():
        assert float(two) == pytest.approx(distance_to_multiples(a[0], c[0]), rel=1e-2, abs=1e-9)
    for tolerance in (0.0, 1e-12):
        verdict = weighted_potential(graph({(1, 2): a, (2, 1): c.T}), tolerance)
        assert verdict.refuted
        assert figure(verdict.would_change, "a change by at least") <= distance_to_multiples(a, c) * (1 + 1e-9)


@pytest.mark.parametrize("tolerance", [0.0, 1e-12])
def test_a_sign_turns_where_it_is_said(tolerance):
    verdict = weighted_potential(graph({(1, 2): [[3.0]], (2, 1): [[-0.75]]}), tolerance)
    bound = figure(verdict.would_change, "a change by at least")
    assert bound == 0.75
    assert weighted_potential(graph({(1, 2): [[3.0]], (2, 1): [[-0.75 + 0.999 * bound]]}), tolerance).refuted
    turned = weighted_potential(graph({(1, 2): [[3.0]], (2, 1): [[-0.75 + 1.001 * bound]]}), tolerance)
    assert turned.proved
    assert "not one that changes its size" in turned.would_change
    assert weighted_potential(graph({(1, 2): [[3e5]], (2, 1): [[1e-5]]}), tolerance).proved
    alone = weighted_potential(graph({(1, 2): [[3.0]], (2, 1): [[0.0]]}), tolerance)
    assert alone.refuted
    assert "in return" in alone.would_change


def ring_of_pairs(factors: Any) -> Any:
    ahead, back = factors
    steps = list(enumerate(itertools.pairwise((1, 2, 3, 1))))
    return graph({(p, k): [[ahead[i]]] for i, (p, k) in steps} | {(k, p): [[back[i]]] for i, (p, k) in steps})


@pytest.mark.parametrize("tolerance", [0.0, 1e-9])
def test_a_cycle_of_weights_closes_where_it_is_said(tolerance):
    sizes = np.array([[1.0, 2.0, 3.0], [0.5, 2.5, 1.5]])
    verdict = weighted_potential(ring_of_pairs(sizes), tolerance)
    share = figure(verdict.would_change, "a relative change by at least")
    exact = cycle_change(abs(np.log(sizes[1].prod() / sizes[0].prod())), 3)
    assert share <= exact < share * 1.01
    closing = np.array([[1 - exact], [1 + exact]])
    assert weighted_potential(ring_of_pairs(sizes * closing), 1e-9).proved
    for signs in itertools.product((-0.99, 0.99), repeat=6):
        changed = sizes * (1 + share * np.array(signs).reshape(2, 3))
        assert weighted_potential(ring_of_pairs(changed), tolerance).refuted


def test_a_tolerance_counts_a_weak_coupling_as_none_and_says_so():
    weight = np.array([[0.0, 1.0, 0.0], [1e-13, 0.0, 1.0], [0.0, 1.0, 0.0]])
    game = nng.Network.recurrent(weight, np.zeros(3), "tanh").game("neurons")
    verdict = weighted_potential(game)
    below = figure(verdict.would_change, "a data tolerance below")
    assert verdict.refuted
    assert weighted_potential(game, 0.99 * below).proved


def test_large_couplings_are_told_apart_by_some_entries_and_equal_ones_by_all():
    rng = np.random.default_rng(0)
    a = rng.normal(size=(20, 20))
    assert weighted_potential(graph({(1, 2): a, (2, 1): 2 * a.T}), 0.0).proved
    assert exact_potential(graph({(1, 2): a, (2, 1): a.T}), 0.0).proved
    moved = 2 * a.T
    moved[3, 4] = np.nextafter(moved[3, 4], 9.0)
    assert weighted_potential(graph({(1, 2): a, (2, 1): moved}), 0.0).refuted
    assert exact_potential(graph({(1, 2): 2 * a, (2, 1): moved}), 0.0).refuted
    for other in (-a.T, 0 * a.T, rng.normal(size=(20, 20))):
        assert weighted_potential(graph({(1, 2): a, (2, 1): other}), 0.0).refuted


# Cycles


def exact_gain(data: tuple[Any, Any], mover: int, before: Any, after: Any) -> Fraction:
    """A neuron's gain with the proximal cost and f the indicator of an interval, in rationals."""
    weight, bias = data
    z, new = Fraction(before[mover]), Fraction(after[mover])
    heard = Fraction(bias[mover]) + sum(
        Fraction(weight[mover, k]) * Fraction(before[k]) for k in range(len(bias)) if k != mover
    )
    return (1 - Fraction(weight[mover, mover])) * (z * z - new * new) / 2 - (z - new) * heard


@pytest.mark.parametrize("seed", range(4))
def test_gains_on_a_cycle_stay_up_to_the_change_that_is_said(seed):
    rng = np.random.default_rng(seed)
    n = 3
    weight, bias = rng.integers(-8, 9, size=(n, n)) / 4.0, rng.integers(-2, 3, size=n) / 4.0
    weight[0, 1], weight[1, 0] = 2.0, -2.0
    weight[np.diag_indices(n)] = -rng.integers(0, 3, size=n) / 2.0
    game = nng.Network.recurrent(weight, bias, "identity").game("neurons")
    report = nng.check_potential(game, seed=0, max_seconds=2.0)
    assert report.cycle is not None
    bound = gain_change(game, report.cycle)
    assert 0 < figure(report.acyclic.would_change, "changed by") <= float(bound)
    broken = []
    for step in report.cycle.deviations:
        mover = game.players.index(step.mover)
        d = np.sign(step.before[mover] - step.after[mover])
        against = np.zeros((n, n))
        against[mover] = d * np.sign(step.before)
        against[mover, mover] = np.sign(step.before[mover] ** 2 - step.after[mover] ** 2)
        worst = np.zeros(n)
        worst[mover] = d
        gains = [
            exact_gain((weight + t * bound * against, bias + t * bound * worst), mover, step.before, step.after)
            for t in (0.0, 0.999, 1.001)
        ]
        assert gains[0] == step.gain
        assert gains[1] > 0
        broken.append(gains[2] <= 0)
    assert any(broken)


def test_gains_of_the_tracking_cost_stay_up_to_the_change_that_is_said():
    weights = {(1, 2): [[2.0]], (2, 1): [[-2.0]]}
    game = nng.Network.graph(weights, {1: [0.5], 2: [0.0]}, "identity").game("layers", cost="tracking")
    cycle = nng.check_potential(game, seed=0, max_seconds=2.0).cycle
    assert cycle is not None
    bound, broken = gain_change(game, cycle), []
    for step in cycle.deviations:
        i = game.players.index(step.mover)
        z, new, heard = (Fraction(t) for t in (step.before[i], step.after[i], step.before[1 - i]))
        weight, bias = (Fraction(2), Fraction(1, 2)) if i == 0 else (Fraction(-2), Fraction(0))
        gains = []
        for share in (Fraction(0), Fraction(999, 1000), Fraction(1001, 1000)):
            worst = share * bound * (1 if z > new else -1)
            moved = (weight + (worst if heard > 0 else -worst)) * heard + bias + worst
            gains.append((z - new) * ((z + new) / 2 - moved))
        assert gains[0] == step.gain
        assert gains[1] > 0
        broken.append(gains[2] <= 0)
    assert any(broken)


@pytest.mark.parametrize("players", ["neurons", "layers"])
def test_answers_contract_up_to_the_growth_that_is_said(players):
    weight = np.array([[0.0, 0.5], [-0.3, 0.0]])
    build = {
        "neurons": lambda s: nng.Network.recurrent(s * weight, np.zeros(2), "tanh").game("neurons"),
        "layers": lambda s: graph({(1, 2): s * weight + s, (2, 1): -s * weight}),
    }[players]
    verdict = nng.check_potential(build(0.5), max_seconds=0.5, seed=0).best_response_acyclic
    assert verdict.proved
    growth = figure(verdict.would_change, "a factor of more than")
    assert nng.check_potential(build(0.5 * 0.999 * growth), max_seconds=0.5, seed=0).best_response_acyclic.proved
    if players == "neurons":
        beyond = nng.check_potential(build(0.5 * 1.02 * growth), max_seconds=0.2, seed=0).best_response_acyclic
        assert not beyond.proved


def test_a_coupling_counts_as_none_beside_its_own_matrix_not_beside_others():
    weights = {(1, 2): [[1e-14]], (2, 1): [[-1e-14]], (3, 4): [[1.0]], (4, 3): [[1.0]]}
    game = graph(weights, "identity")
    assert listening_matrix(game, 1e-12).nnz == 4
    assert not nng.check_potential(game, seed=0, max_seconds=0.3).acyclic.proved


def test_only_who_does_not_hear_the_other_can_be_indifferent_to_what_it_does():
    couplings = {(1, 2): [[1.0]], (2, 1): [[1.0]], (3, 2): [[2.0]], (1, 3): [[0.5]]}
    game = graph(couplings, "identity")
    assert sorted(_one_sided(game, effective_coupling(game))) == [(2, 3), (3, 1)]


# Time


def test_long_steps_look_at_the_clock():
    past = -np.inf
    game = nng.Network.recurrent(np.array([[0.0, 1.0], [-1.0, 0.0]]), np.zeros(2), "relu").game("neurons")
    layers = graph({(1, 2): [[1.0, 2.0]], (2, 1): [[-1.0], [3.0]]}, "relu")
    finite = nng.FiniteGame(np.arange(16).reshape(2, 2, 4))
    for step in (
        lambda: Certifier(game, past).response(game.players[0], rationals(np.ones(2))),
        lambda: Certifier(layers, past).response(1, rationals(np.ones(3))),
        lambda: examine_components(game, 0.0, past),
        lambda: SquarePairs(finite, past),
        lambda: Deviations(finite, 0.0, past),
    ):
        with pytest.raises(TimeUpError):
            step()
    graph_of_arcs = Deviations(finite)
    graph_of_arcs.deadline = past
    with pytest.raises(TimeUpError):
        graph_of_arcs.components(graph_of_arcs.improves == 2)
    dense = nng.Network.recurrent(np.random.default_rng(0).normal(size=(9, 9)), np.zeros(9), "relu").game("neurons")
    groups = [
        mover_cycles(dense, effective_coupling(dense), listening_matrix(dense, 0.0), (), deadline)
        for deadline in (past, np.inf)
    ]
    assert len(groups[0]) <= 1 < len(groups[1])


@pytest.mark.parametrize("number", range(len(FAMILIES)))
def test_without_time_what_needs_a_search_is_left_open(number):
    game = drawn_game(number, seed=5).game
    report = nng.check_potential(game, max_seconds=1e-9, seed=0)
    longer = nng.check_potential(game, max_seconds=1.0, seed=0)
    for name in QUESTIONS[:2]:
        assert getattr(report, name).status == getattr(longer, name).status
    if report.weighted.proved:
        return
    assert report.cycle is None
    for name in QUESTIONS[2:]:
        verdict = getattr(report, name)
        assert verdict.status == "UNDECIDED"
        assert "max_seconds=1e-09" in verdict.would_change
