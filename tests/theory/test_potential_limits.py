"""Potential structure at its limits: time, the range of floats, and domains that floats hardly meet."""

from __future__ import annotations

import itertools
from fractions import Fraction
from typing import Any

import flint
import numpy as np
import pytest

import nngames as nng
from nngames.activations import activation
from nngames.certificates.weighted_potential import weighted_potential
from nngames.checks import best_response_cycles, enclosed_best_responses, one_way_players
from nngames.checks.cycle_certificates import Certifier
from nngames.checks.exact_game import rationals
from nngames.checks.feasible_profiles import into_domain
from nngames.cli.main import run
from nngames.games.finite.numbers import LARGEST

QUESTIONS = ("acyclic", "ordinal", "best_response_acyclic")


def neurons(n: int, name: str = "relu") -> Any:
    weight = np.random.default_rng(n).normal(size=(n, n))
    np.fill_diagonal(weight, 0.0)
    return nng.Network.recurrent(weight, np.zeros(n), name).game(players="neurons")


def test_exact_answers_stop_between_two_players(monkeypatch: pytest.MonkeyPatch) -> None:
    game = neurons(20)
    certifier, asked = Certifier(game), []
    clock = itertools.count()
    monkeypatch.setattr(best_response_cycles.time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(certifier, "response", lambda player, x: asked.append(player))
    best_response_cycles._explore(certifier, (1.0,) * 20, deadline=6)
    assert 1 <= len(asked) <= 6


def test_ranges_of_neurons_read_each_entry_a_few_times(monkeypatch: pytest.MonkeyPatch) -> None:
    n, counted, original = 20, [], one_way_players.rational
    monkeypatch.setattr(one_way_players, "rational", lambda value: counted.append(0) or original(value))
    one_way_players.one_way_players(neurons(n))
    assert len(counted) <= 8 * n * n


def test_one_neuron_answers_as_its_layer_from_its_own_row(monkeypatch: pytest.MonkeyPatch) -> None:
    weight = np.array([[0.0, 2.0, -1.0], [0.5, 0.0, 3.0], [1.0, -1.0, 0.25]])
    bias = np.array([0.5, -1.0, 0.25])
    game = nng.Network.recurrent(weight, bias, "identity").game(players="neurons")
    x = np.array([1.0, -2.0, 0.5])
    certifier = Certifier(game)
    monkeypatch.setattr(certifier, "_rational", lambda *edge: pytest.fail("the whole matrix was made rational"))
    exact = rationals(x)
    for i, player in enumerate(game.players):
        heard = Fraction(bias[i]) + sum(Fraction(weight[i, j]) * Fraction(x[j]) for j in range(3) if j != i)
        (answer,) = certifier.response(player, exact)
        assert Fraction(int(answer.p), int(answer.q)) == heard / (1 - Fraction(weight[i, i]))


def test_a_finite_game_without_time_says_what_is_left_open() -> None:
    costs = np.random.default_rng(0).integers(-9, 10, size=(3, 3, 3, 3))
    report = nng.check_potential(nng.FiniteGame(costs), max_seconds=1e-9)
    assert report.exact.refuted
    assert report.weighted.refuted
    for name in QUESTIONS:
        verdict = getattr(report, name)
        assert verdict.status == "UNDECIDED"
        assert "max_seconds" in verdict.would_change
        assert getattr(nng.check_potential(nng.FiniteGame(costs)), name).status != "UNDECIDED"


AFFINE = {
    "pivot one": ([[1.0, 2.0, 0.0]], [3.0]),
    "odd pivot": ([[3.0, 5.0, 0.0]], [1.0]),
    "dependent rows": ([[-2.0, -1.0, 1.0], [-4.0, -2.0, 2.0]], [-2.0, -4.0]),
    "two rows": ([[1.0, 1.0, 1.0], [3.0, 0.0, -1.0]], [1.0, 2.0]),
    "a point": ([[1.0, 1.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 4.0]], [2.0, 1.0, 1.0]),
}


@pytest.mark.parametrize(("matrix", "offset"), AFFINE.values(), ids=AFFINE)
def test_profiles_solve_affine_equations_exactly(matrix: Any, offset: Any) -> None:
    chosen = activation("affine", matrix=matrix, offset=offset)
    game = nng.QuadraticGame({1: np.eye(3), 2: np.eye(1)}, penalties={1: chosen})
    drawn = 3 * np.random.default_rng(1).normal(size=(20, 4))
    moved = into_domain(game, drawn)
    for row in moved[:, :3].tolist():
        for coefficients, right in zip(matrix, offset, strict=True):
            assert sum(Fraction(a) * Fraction(t) for a, t in zip(coefficients, row, strict=True)) == Fraction(right)
    np.testing.assert_allclose(moved[:, :3], chosen.domain.project(drawn[:, :3]), atol=1e-8)


def rotation_beside(offset: float) -> nng.QuadraticGame:
    """Two players who chase each other, and one who cannot leave a line and is heard by the first."""
    line = activation("affine", matrix=[[2.0, 1.0]], offset=[offset])
    couplings = {(1, 2): [[1.0]], (2, 1): [[-1.0]], (1, 3): [[1.0, 0.5]]}
    return nng.QuadraticGame({1: [[1.0]], 2: [[1.0]], 3: np.eye(2)}, couplings, penalties={3: line})


def test_who_stands_still_stands_in_its_domain() -> None:
    report = nng.check_potential(rotation_beside(0.7), seed=0)
    assert report.cycle is not None
    for step in report.cycle.deviations:
        first, second = (Fraction(t) for t in step.before[2:].tolist())
        assert 2 * first + second == Fraction(0.7)


def test_a_path_with_a_player_off_its_domain_is_no_cycle() -> None:
    game = rotation_beside(1.0)
    path = [(1, (1.0, 1.0)), (2, (-1.0, 1.0)), (1, (-1.0, -1.0)), (2, (1.0, -1.0))]
    certified = [
        Certifier(game).cycle([(mover, np.array([*pair, *still])) for mover, pair in path])
        for still in ((0.0, 1.0), (0.0, np.nextafter(1.0, 2.0)))
    ]
    assert certified[0] is not None
    assert certified[1] is None


@pytest.mark.parametrize(("name", "size", "found"), [("tanh", 3.0, True), ("identity", 1 + 2.0**-21, False)])
def test_a_box_that_best_responses_leave_proves_no_path(name: str, size: float, found: bool) -> None:
    # Free actions grow by size^4 in two sweeps: the image of every box around them overlaps it, and none comes back.
    game = nng.Network.graph({(1, 2): [[size]], (2, 1): [[-size]]}, {1: [0.0], 2: [0.0]}, name).game()
    x = np.array([-1.0, 1.0])
    for _ in range(60 if found else 0):
        for player in (1, 2):
            x[game.space.slices[player]] = game.answer(player, x)
    path = enclosed_best_responses._enclose(Certifier(game), x, [1, 2, 1, 2])
    assert (path is not None) == found


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("digits", [60, 160, 200])
def test_weights_beyond_floats(digits: int, exact: bool) -> None:
    phi = np.random.default_rng(2).integers(-5, 6, size=(3, 3))
    units = (10**digits, Fraction(1, 10**digits))
    as_number = Fraction if exact else float
    for sign in (1, -1):
        sizes = units[0], sign * units[1]
        table = np.array([[[as_number(size * int(t)) for t in row] for row in phi] for size in sizes])
        report = nng.check_potential(nng.FiniteGame(table))
        assert report.exact.refuted
        if sign > 0:
            assert report.weighted.proved
            ratio = Fraction(report.weights[2]) / Fraction(report.weights[1])
            assert abs(ratio / 10 ** (2 * digits) - 1) < 1e-9
        else:
            assert report.weighted.refuted


@pytest.mark.parametrize("sizes", [(1e200, 1e-200), (1e-200, 1e200), (1e300, 1e-300)])
def test_no_ratio_beyond_floats_is_held_against_a_network(sizes: tuple[float, float]) -> None:
    one, other = sizes
    game = nng.Network.graph({(1, 2): [[one]], (2, 1): [[other]]}, {1: [0.0], 2: [0.0]}, "tanh").game()
    assert not weighted_potential(game).refuted
    assert weighted_potential(game, data_tolerance=0).proved
    opposed = nng.Network.graph({(1, 2): [[one]], (2, 1): [[-other]]}, {1: [0.0], 2: [0.0]}, "tanh").game()
    assert not weighted_potential(opposed).proved
    assert weighted_potential(opposed, data_tolerance=0).refuted


def test_witnesses_of_costs_that_floats_do_not_tell_from_zero() -> None:
    tiny = Fraction(1, 10**400)
    costs = np.empty((3, 3, 3, 2), dtype=object)
    for place in itertools.product(range(3), range(3), range(2)):
        common = place[0] * place[1]
        costs[(0, *place)] = tiny * common
        costs[(1, *place)] = tiny * (common + (place[:2] == (2, 2)))
        costs[(2, *place)] = Fraction(1)
    report = nng.check_potential(nng.FiniteGame(costs))
    assert report.exact.refuted
    assert abs(report.exact.witness["sum"]) == tiny
    assert "1e-400 in sum" in report.exact.statement


def test_floats_that_differences_would_overflow_are_refused() -> None:
    with pytest.raises(nng.NNGamesError, match="1e\\+300"):
        nng.FiniteGame(np.full((2, 2, 2), 1e308))
    with pytest.raises(nng.NNGamesError, match="range"):
        nng.FiniteGame(np.full((2, 2, 2), 10**308, dtype=object)).decomposition()
    extreme = nng.FiniteGame(LARGEST * np.array([[[1.0, -1.0], [-1.0, 1.0]], [[-1.0, 1.0], [1.0, -1.0]]]))
    assert nng.check_potential(extreme).acyclic.refuted
    assert extreme.decomposition().shares["harmonic"] == pytest.approx(1.0)


def test_distances_of_large_couplings() -> None:
    game = nng.Network.graph({(1, 2): [[1e200]], (2, 1): [[-1e200]]}, {1: [0.0], 2: [0.0]}, "tanh").game()
    found = nng.potential_distance(game)
    assert found.optimal.proved
    assert found.weighted == pytest.approx(1e200 * np.sqrt(1 + 2 / 10.1), rel=1e-6)


@pytest.mark.parametrize("text", ['NFG 1 R "t\0" { "a" } { 1 } 1', 'nfg "\0"'])
def test_a_null_character_is_no_crash(text: str) -> None:
    with pytest.raises(nng.NNGamesError):
        nng.FiniteGame.from_nfg("x" + text)


def test_a_file_may_begin_with_a_byte_order_mark() -> None:
    game = nng.FiniteGame.from_nfg_content(b'\xef\xbb\xbfNFG 1 R "t" { "a" } { 2 }\r\n\r\n1 2', "x.nfg")
    assert game.payoffs.tolist() == [[1, 2]]


def test_a_finite_game_without_runs_has_no_picture(tmp_path: Any, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "pennies.yaml"
    costs = "    a: [[1, -1], [-1, 1]]\n    b: [[-1, 1], [1, -1]]\n"
    path.write_text(f"name: pennies\ngame:\n  kind: finite\n  costs:\n{costs}checks: [potential]\n")
    assert run(["check", str(path), "--plot", str(tmp_path / "x.png")]) == 2
    assert "internal error" not in capsys.readouterr().err


def test_gains_that_floats_do_not_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    game = nng.Network.graph({(1, 2): [[1.0]], (2, 1): [[-1.0]]}, {1: [0.0], 2: [0.0]}, "identity").game()
    certifier = Certifier(game)
    assert certifier.deviation(1, np.array([np.inf, 0.0]), np.array([0.0, 0.0])) is None
    assert certifier.cycle([(1, np.array([np.nan, 0.0]))]) is None
    huge = certifier.deviation(1, np.array([1e200, 0.0]), np.array([0.0, 0.0]))
    assert huge is not None
    assert huge.gain == Fraction(1e200) ** 2 / 2
    assert huge.gain_bounds[0] > 1e308
    # As a rational exp(-1e300) would take more digits than there are atoms: FLINT ends the process.
    monkeypatch.setattr(certifier, "_flint_gain", lambda *step: flint.arb(-1e300).exp())
    tiny = certifier.deviation(1, np.array([1.0, 0.0]), np.array([0.0, 0.0]))
    assert tiny is not None
    assert tiny.gain_bounds == (-5e-324, 5e-324)
    assert not tiny.strict


EXTREME = {
    "overflowing differences": ({(1, 2): [[1.7e308, -1.7e308]], (2, 1): [[-1.7e308], [1e-30]]}, "tanh"),
    "answers that overflow": ({(1, 2): [[-1e200]], (1, 3): [[1e30]], (2, 3): [[1e150]], (3, 1): [[1e307]]}, "relu"),
    "gains that overflow": ({(1, 2): [[1.7e308]], (2, 1): [[1e200]], (2, 3): [[-1e30]], (3, 2): [[1e150]]}, "identity"),
    "ratios that overflow": ({(1, 2): [[1.7e308]], (2, 1): [[3e-308]], (1, 3): [[1e308]], (3, 1): [[2.0]]}, "identity"),
    "subnormal": ({(1, 2): [[5e-324]], (2, 1): [[-1e-320]]}, "hard_tanh"),
}


@pytest.mark.parametrize("tolerance", [0.0, 1e-12])
@pytest.mark.parametrize(("couplings", "name"), EXTREME.values(), ids=EXTREME)
def test_extreme_data_are_decided_or_left_open_without_a_warning(couplings: Any, name: str, tolerance: float) -> None:
    sizes = {player: len(matrix) for (player, _), matrix in couplings.items()}
    game = nng.Network.graph(couplings, {player: np.zeros(n) for player, n in sizes.items()}, name).game("layers")
    report = nng.check_potential(game, tolerance, seed=0, max_seconds=0.3)
    if tolerance == 0:
        assert "UNDECIDED" not in (report.exact.status, report.weighted.status)
    assert np.isfinite(report.exact.witness.get("mismatch", 0.0))
    assert not report.exact.proved
    nng.potential_distance(game, max_seconds=0.1)


def test_rows_of_affine_sets_that_floats_hardly_tell_apart() -> None:
    rng = np.random.default_rng(0)
    for matrix in (np.array([[0.1, 0.2], [0.3, 0.6]]), rng.normal(size=(14, 16))):
        line, n = activation("affine", matrix=matrix, offset=np.zeros(len(matrix))), matrix.shape[1]
        game = nng.QuadraticGame({1: np.eye(n), 2: np.eye(1)}, {(1, 2): np.ones((n, 1))}, penalties={1: line})
        assert nng.check_potential(game, seed=0, max_seconds=0.2).acyclic.would_change


def test_squares_that_only_exact_numbers_tell_apart_are_shown() -> None:
    costs = np.array(
        [
            [[-2e-05, -6.000000000000001e-05], [4e-05, 2e-05], [4e-05, 2e-05]],
            [[-4e-05, -4e-05], [0.0, 1e-05], [2e-05, 3.0000000000000004e-05]],
        ]
    )
    verdict = nng.check_potential(nng.FiniteGame(costs), data_tolerance=0).weighted
    values = [square["values"] for square in verdict.witness["squares"]]
    assert verdict.refuted
    assert any(a * d != b * c for (a, c), (b, d) in itertools.combinations(values, 2))
    assert "a change by at least" in verdict.would_change
