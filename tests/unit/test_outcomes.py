"""The outcome report: limits, stable outcomes, cycles and divergence told apart, and every equilibrium tested."""

from __future__ import annotations

import json
from fractions import Fraction

import numpy as np
import pytest

import nngames as nng
from nngames.checks import feed_batches
from nngames.checks.equilibria import resolve, roots, solutions
from nngames.checks.existing.exact import is_exact_equilibrium
from nngames.checks.feed_batches import Settled, defined, fed_map, settle
from nngames.checks.outcome_clusters import same_cycle
from nngames.checks.outcome_survey import _all_of
from nngames.checks.second_route import largest_improvement
from nngames.core import deadlines
from nngames.core.verdicts import Decision
from nngames.games import oracles
from nngames.games.oracles import minimise_cost
from nngames.results.trajectory import TrajectoryKind
from nngames.scenario import load_scenario

PROVED = Decision.PROVED


def ring(weights, activation, bias=0.0):
    weights = [np.atleast_2d(np.asarray(w, dtype=float)) for w in weights]
    return nng.Network.ring(weights, [np.full(len(w), bias) for w in weights], [activation] * len(weights)).game()


def counts(report, rule):
    return {kind: number for kind, number in report.kinds[rule].items() if number}


def test_a_contraction_has_one_outcome_and_it_is_the_equilibrium():
    game = ring([0.5, 0.8], "tanh", 0.3)
    report = nng.check_outcomes(game, starts=20, seed=1)
    assert counts(report, "iterated") == counts(report, "averaged") == {"fixed_point": 20}
    assert report.count == len(report.equilibria) == 1
    (equilibrium,) = report.equilibria
    reference = nng.solve(game, "best_response", tolerance=1e-14).profile
    np.testing.assert_allclose(equilibrium.profile, reference, atol=1e-12)
    assert {"iterated feed", "averaged feed", "root", "best_response", "km", "extragradient"} == set(
        equilibrium.found_by
    )
    assert equilibrium.stable
    assert equilibrium.isolated
    assert equilibrium.returns == {"iterated": True, "averaged": True}
    assert equilibrium.drawn == {"iterated": 19, "averaged": 19}
    assert equilibrium.improvement.consistent
    assert equilibrium.improvement.tested == 2
    assert report.limits_are_equilibria.status is report.equilibria_are_outcomes.status is PROVED
    assert "proximal cost" in report.limits_are_equilibria.statement


def test_the_origin_is_an_equilibrium_that_drawn_starts_leave():
    report = nng.check_outcomes(ring([2.0, 1.5], "tanh"), starts=32, seed=2)
    assert report.count == 3
    assert len(report.equilibria) == 3
    at_origin = next(e for e in report.equilibria if np.linalg.norm(e.profile) < 1e-9)
    others = [e for e in report.equilibria if e is not at_origin]
    assert not at_origin.stable
    assert at_origin.drawn == {"iterated": 0, "averaged": 0}
    assert at_origin.returns == {"iterated": False, "averaged": False}
    assert all(e.stable and sum(e.drawn.values()) > 0 for e in others)
    np.testing.assert_allclose(others[0].profile, -others[1].profile, atol=1e-12)
    outcome = next(o for o in report.outcomes if o.profile is not None and np.linalg.norm(o.profile) < 1e-9)
    assert outcome.starts == {"iterated": 1, "averaged": 1}  # the zero start alone
    assert not outcome.generic
    assert "of the 3 found, 2 attracted" in report.equilibria_are_outcomes.statement


def test_on_a_rotation_the_iterated_feed_cycles_and_the_averaged_one_converges():
    turn = [[0.0, -1.0], [1.0, 0.0]]
    report = nng.check_outcomes(ring([turn, np.eye(2)], "identity"), starts=12, seed=3)
    assert counts(report, "iterated") == {"fixed_point": 1, "limit_cycle": 11}
    assert counts(report, "averaged") == {"fixed_point": 12}
    cycles = [o for o in report.outcomes if o.kind == "limit_cycle"]
    assert len(cycles) == 11  # each start has its own
    for outcome in cycles:
        assert outcome.period == 4
        np.testing.assert_allclose(outcome.cycle[0], -outcome.cycle[2], atol=1e-8)
    (equilibrium,) = report.equilibria
    assert equilibrium.returns == {"iterated": False, "averaged": True}


def test_starts_that_end_on_one_limit_cycle_are_one_outcome():
    report = nng.check_outcomes(ring([2.0, -2.0], "tanh"), starts=16, seed=4)
    cycles = [o for o in report.outcomes if o.kind == "limit_cycle" and o.starts["iterated"]]
    assert len(cycles) == 1
    assert cycles[0].period == 2
    assert cycles[0].starts["iterated"] == 15
    assert cycles[0].generic


def test_an_attracting_cycle_draws_back_and_a_neutral_one_does_not():
    attracting = nng.check_outcomes(ring([-3.0], "tanh"), starts=8, seed=5)
    (cycle,) = [o for o in attracting.outcomes if o.kind == "limit_cycle"]
    assert cycle.period == 2
    assert cycle.returns == {"iterated": True}
    # x -> -x repeats from every start, and a displaced start repeats elsewhere.
    neutral = nng.check_outcomes(ring([-1.0], "identity"), starts=8, seed=5)
    cycles = [o for o in neutral.outcomes if o.kind == "limit_cycle"]
    assert cycles
    assert all(o.returns == {"iterated": False} for o in cycles)
    assert json.dumps(neutral.to_dict())


def test_divergence_is_not_the_absence_of_an_equilibrium():
    report = nng.check_outcomes(ring([-2.0] * 3, "identity"), starts=16, seed=5)
    assert counts(report, "iterated") == {"fixed_point": 1, "diverged": 15}
    assert counts(report, "averaged") == {"fixed_point": 1, "diverged": 15}
    (equilibrium,) = report.equilibria
    np.testing.assert_allclose(equilibrium.profile, 0, atol=1e-15)
    assert not equilibrium.stable
    assert "extragradient" in equilibrium.found_by


@pytest.mark.parametrize("count", [2, 3])
def test_a_softplus_ring_has_no_equilibrium_and_none_is_claimed(count):
    report = nng.check_outcomes(ring([1.0] * count, "softplus_beta"), starts=24, seed=6, tolerance=1e-8)
    assert report.equilibria == ()
    assert report.count == 0
    assert counts(report, "iterated") == counts(report, "averaged") == {"undecided": 24}
    assert "none was found, which does not prove that there is none" in report.equilibria_are_outcomes.statement


def test_a_vanishing_residual_is_not_an_equilibrium():
    game = ring([1.0, 1.0], "softplus_beta")
    far = np.array([40.0, 40.0])
    assert game.residual(far) < 1e-14
    reason = resolve(game, fed_map(game), far, 1e-9)
    assert isinstance(reason, str)
    assert "does not tell an equilibrium from a drift" in reason
    assert not is_exact_equilibrium(game, far)


def test_translations_have_no_equilibrium():
    report = nng.check_outcomes(ring([1.0, 1.0], "identity", 1.0), starts=8, seed=7)
    assert report.equilibria == ()
    assert counts(report, "iterated") == {"undecided": 8}


def test_a_continuum_of_equilibria_is_found_exactly_and_not_called_isolated():
    report = nng.check_outcomes(ring([1.0, 1.0], "identity"), starts=10, seed=8)
    assert report.count == 10
    assert all(not e.isolated and e.returns is None for e in report.equilibria)
    assert all(e.profile[0] == e.profile[1] for e in report.equilibria)
    assert counts(report, "iterated") == {"fixed_point": 10}


def test_an_equilibrium_of_higher_order_is_known_exactly():
    game = ring([1.0, 1.0], "tanh")
    report = nng.check_outcomes(game, starts=4, seed=9)
    (equilibrium,) = report.equilibria
    assert equilibrium.how == "an equilibrium in exact arithmetic"
    np.testing.assert_array_equal(equilibrium.profile, 0)
    # The feeds creep there like t^(-1/2): no rule calls that convergence.
    assert counts(report, "iterated") == {"fixed_point": 1, "undecided": 3}


def test_a_nonmonotone_network_is_tested_by_the_tracking_cost():
    rng = np.random.default_rng(10)
    network = nng.Network.ring([rng.normal(size=(3, 3)) / 2 for _ in range(3)], [rng.normal(size=3)] * 3, ["silu"] * 3)
    report = nng.check_outcomes(network.game(), starts=10, seed=10)
    assert counts(report, "iterated") == {"fixed_point": 10}
    assert "tracking cost" in report.limits_are_equilibria.statement
    assert report.equilibria[0].improvement.consistent


def test_a_graph_of_neurons_feeds_the_joint_map():
    rng = np.random.default_rng(11)
    weight = rng.normal(size=(6, 6))
    weight = np.tril(weight, -1) + np.tril(weight, -1).T
    report = nng.check_outcomes(nng.Network.recurrent(weight, np.zeros(6), "tanh").game("neurons"), seed=11)
    assert len([e for e in report.equilibria if e.stable]) >= 2
    for equilibrium in report.equilibria:
        assert equilibrium.improvement.tested == 6
        assert equilibrium.improvement.consistent


def test_a_quadratic_game_feeds_its_best_responses():
    game = nng.QuadraticGame(
        quadratic={"a": [[2.0]], "b": [[2.0]]},
        coupling={("a", "b"): [[1.0]], ("b", "a"): [[1.0]]},
        linear={"a": [-1.0], "b": [-1.0]},
        penalties={"a": "nonnegative", "b": "nonnegative"},
    )
    report = nng.check_outcomes(game, starts=10, seed=12)
    (equilibrium,) = report.equilibria
    np.testing.assert_allclose(equilibrium.profile, [1 / 3, 1 / 3], atol=1e-10)
    assert "the best-response map" in report.limits_are_equilibria.statement
    assert equilibrium.improvement.consistent


def test_the_second_route_finds_out_what_is_no_equilibrium():
    game = ring([0.5, 0.8], "tanh", 0.3)
    x = nng.solve(game, tolerance=1e-13).profile
    rng = np.random.default_rng(13)
    assert largest_improvement(game, x, rng).consistent
    off = largest_improvement(game, x + np.array([0.01, 0.0]), rng)
    assert not off.consistent
    assert off.value > 1e-6


def test_an_inconsistent_second_route_leaves_the_verdict_open(monkeypatch):
    from nngames.checks import outcome_survey
    from nngames.checks.second_route import Improvement

    monkeypatch.setattr(outcome_survey, "largest_improvement", lambda *_: Improvement(0.25, 2, 2, 2))
    verdict = nng.check_outcomes(ring([0.5, 0.8], "tanh"), starts=4).limits_are_equilibria
    assert verdict.status is Decision.UNDECIDED
    assert "0.25 by 2" in verdict.statement


def test_only_some_of_many_players_are_tested_and_it_is_said():
    game = nng.Network.recurrent(0.1 * np.eye(60), np.linspace(-1, 1, 60), "tanh").game("neurons")
    improvement = largest_improvement(game, nng.solve(game, tolerance=1e-13).profile, np.random.default_rng(14))
    assert improvement.tested == 40
    assert improvement.consistent


def test_the_report_is_reproducible_and_plain():
    game = ring([2.0, 1.5], "tanh")
    first, second = (nng.check_outcomes(game, starts=8, seed=15).to_dict() for _ in range(2))
    assert json.dumps(first) == json.dumps(second)
    assert first["count"] == 3
    assert first["limits_are_equilibria"]["status"] == "PROVED"
    assert nng.check_outcomes(game, starts=8, seed=16).to_dict() != first


def test_cycles_are_the_same_from_any_phase_but_not_in_another_order():
    a = np.array([[0.0, 1.0], [2.0, 0.0], [3.0, 3.0]])
    assert same_cycle(a, np.roll(a, 1, axis=0), 1e-12)
    assert not same_cycle(a, a[::-1], 1e-12)
    assert not same_cycle(a, a[:2], 1e-12)


def test_starts_that_leave_the_inputs_are_counted():
    weights = [[[0.1, 0.0], [0.0, 0.1]], [[0.1, 0.1], [0.0, 0.1]]]
    network = nng.Network.ring(weights, [[0.5, 0.4], [0.5, 0.6]], ["softsign_probit"] * 2)
    report = nng.check_outcomes(network.game(), starts=4, seed=0)
    assert counts(report, "iterated") == counts(report, "averaged") == {"fixed_point": 3, "undecided": 1}
    assert report.left == {"iterated": 1, "averaged": 1}
    verdict = report.limits_are_equilibria
    assert verdict.status is Decision.UNDECIDED
    assert verdict.statement.endswith(
        "1 of 4 starts of the iterated feed and 1 of 4 starts of the averaged feed left the set where an activation is "
        "defined"
    )
    (lost,) = [o for o in report.outcomes if o.kind == "undecided"]
    assert lost.reason == "it left the set where an activation is defined"
    (equilibrium,) = report.equilibria
    assert equilibrium.stable
    assert json.dumps(report.to_dict())


def test_an_equilibrium_is_found_where_no_feed_can_start():
    weights = [[[0.58, 1.29], [-0.75, 1.69]], [[-0.29, 1.57], [-0.43, -0.74]]]
    game = nng.Network.ring(weights, [[0.36, 0.69], [0.66, 0.63]], ["softsign_probit"] * 2).game()
    report = nng.check_outcomes(game, starts=8, seed=0)
    assert report.left == {"iterated": 8, "averaged": 8}
    (equilibrium,) = report.equilibria
    assert "extragradient" in equilibrium.found_by
    assert game.residual(equilibrium.profile) < 1e-12
    assert not equilibrium.stable


def test_rows_that_leave_do_not_disturb_the_others():
    network = nng.Network.ring([[[0.2]], [[1.0]]], [[0.5], [0.4]], ["softsign_probit"] * 2)
    fed = fed_map(network.game())
    starts = np.array([[0.1], [9.0], [-0.2], [0.3], [-9.0]])
    assert defined(fed, starts).tolist() == [True, False, True, True, False]
    ends = settle(fed, starts, None, 200, 1e-9, 1)
    assert [end.left for end in ends] == [False, True, False, False, True]
    for start, end in zip(starts, ends, strict=True):
        if not end.left:
            np.testing.assert_array_equal(end.state, settle(fed, start[None], None, 200, 1e-9, 1)[0].state)


@pytest.mark.parametrize(
    ("slope", "returns", "stable"),
    [
        # Eigenvalues of the iterated feed at 0: slope; of the averaged one: (1 + slope)/2.
        (0.999, {"iterated": None, "averaged": None}, None),
        (1.001, {"iterated": False, "averaged": False}, False),
        (-1.0, {"iterated": False, "averaged": True}, True),
    ],
)
def test_what_creeps_is_not_called_unstable(slope, returns, stable):
    report = nng.check_outcomes(ring([slope, 1.0], "hard_tanh"), starts=1, seed=2)
    at_origin = next(e for e in report.equilibria if not e.profile.any())
    assert at_origin.returns == returns
    assert at_origin.stable is stable
    assert ("is not decided within 3000 steps" in report.equilibria_are_outcomes.statement) == (stable is None)
    json.dumps(report.to_dict())


def test_displacements_on_the_way_leave_it_open():
    assert _all_of([True, True], [False, False]) is True
    assert _all_of([True, False], [False, True]) is None
    assert _all_of([True, False, False], [False, True, False]) is False


@pytest.mark.parametrize("size", [1e6, 1e8])
def test_large_actions_are_compared_within_the_rounding_of_their_squares(size):
    """x_2 = max(0, size - x_1/2): the oracle minimises z^2/2 - z v, whose terms are size^2."""
    network = nng.Network.ring([[[-0.5]], [[1.0]]], [[size], [0.0]], ["relu", "identity"])
    report = nng.check_outcomes(network.game(), starts=4, seed=3)
    assert report.limits_are_equilibria.proved, report.limits_are_equilibria.statement
    wrong = largest_improvement(network.game(), np.array([size, 1.01 * size]), np.random.default_rng(0))
    assert wrong is not None
    assert not wrong.consistent


def test_the_time_is_kept_and_told() -> None:
    rng = np.random.default_rng(0)
    weight = rng.normal(size=(300, 300)) / np.sqrt(300) * 3
    game = nng.Network.recurrent(weight, np.zeros(300), "tanh").game()
    report = nng.check_outcomes(game, starts=8, steps=10**6, max_seconds=0.2)
    assert report.stopped
    open_feeds = sum(kinds["undecided"] for kinds in report.kinds.values())
    for verdict in (report.limits_are_equilibria, report.equilibria_are_outcomes):
        said = f"0.2 s did not suffice for all: {open_feeds} of 16 feeds were not decided, the search for equilibria by"
        assert said in verdict.statement
        assert verdict.would_change.endswith("; more max_seconds would tell the rest")
    assert "the time was up" in {outcome.reason for outcome in report.outcomes}
    assert sum(report.kinds["averaged"].values()) == 8
    quick = nng.check_outcomes(nng.Network.recurrent([[0.5]], [1.0], "tanh").game())
    assert not quick.stopped
    with pytest.raises(nng.OptionError, match="max_seconds must be a positive number; got 0"):
        nng.check_outcomes(game, max_seconds=0)


class _Clock:
    """Time that passes by being looked at."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        self.now += 1.0
        return self.now


def _slow_costs() -> list[tuple[str, nng.Game]]:
    rng = np.random.default_rng(6)
    weight = rng.normal(size=(15, 15))
    symmetric = (weight + weight.T) / 20
    np.fill_diagonal(symmetric, 0.0)
    bias = rng.normal(size=15)
    return [
        ("tracking", nng.Network.ring([weight / 20] * 2, [bias] * 2, ["gelu"] * 2).game()),
        ("simplex", nng.Network.recurrent(symmetric, bias, "softmax").game("layers")),
        ("coupled by a matrix", nng.Network.recurrent(symmetric, bias, "arctan").game("layers")),
        ("coordinates", nng.Network.ring([weight / 20] * 2, [bias] * 2, ["arctan"] * 2).game()),
    ]


@pytest.mark.parametrize(("name", "game"), _slow_costs())
def test_every_minimisation_looks_at_the_clock_inside(monkeypatch, name, game):
    profile = nng.solve(game, tolerance=1e-12).profile
    monkeypatch.setattr(deadlines, "time", _Clock())
    with pytest.raises(deadlines.TimeUpError):
        minimise_cost(game, game.players[0], profile, deadline=20.0)
    assert deadlines.time.now == 21.0, name
    # The players before are told of: the last look is within the second one's cost.
    monkeypatch.setattr(deadlines, "time", _Clock())
    minimise_cost(game, game.players[0], profile)
    enough = deadlines.time.now + 1.5
    if len(game.players) > 1:
        monkeypatch.setattr(deadlines, "time", _Clock())
        improvement = largest_improvement(game, profile, np.random.default_rng(0), enough)
        assert (improvement.tested, improvement.players, improvement.late) == (1, 2, True)
        assert improvement.consistent


def test_convex_programs_stop_at_the_deadline(monkeypatch):
    rng = np.random.default_rng(7)
    weight = rng.normal(size=(200, 200)) / 20
    game = nng.Network.ring([weight] * 2, [rng.normal(size=200)] * 2, ["tanh"] * 2).game()
    minimise_cost(game, 1, np.zeros(400))
    monkeypatch.setattr(deadlines, "time", _Clock())
    monkeypatch.setattr(oracles, "time", _Clock())
    oracles.time.now = 1.0
    # One millisecond is left for a program of some twenty, and only the look after it comes too late.
    with pytest.raises(deadlines.TimeUpError):
        minimise_cost(game, 1, np.zeros(400), deadline=1.5)
    assert deadlines.time.now == 2.0


def test_what_is_exact_is_decided_with_the_data_as_they_are():
    """The product with a fixed input, W + I - Q and both ends of a box are not rounded."""
    third = nng.Network.chain([[[1 / 3, 1.0]], [[1.0]]], [[0.0], [0.0]], ["identity"] * 2, input=[0.1, 1.0])
    value = float(third.effective_bias(1)[0])
    assert Fraction(value) != Fraction(1 / 3) * Fraction(0.1) + 1
    assert not is_exact_equilibrium(third.game(), np.array([value, value]))
    half = nng.Network.chain([[[0.5, 1.0]], [[1.0]]], [[0.0], [0.0]], ["identity"] * 2, input=[0.25, 1.0])
    assert is_exact_equilibrium(half.game(), np.array([1.125, 1.125]))
    quadratic = nng.QuadraticGame(
        {"a": [[3.0, 1.0], [1.0, 2.0]], "b": [[4.0]]},
        {("a", "b"): [[1.0], [0.0]], ("b", "a"): [[2.0, 0.0]]},
        {"a": [-6.0, -4.0], "b": [-8.0]},
        {"b": "nonnegative"},
    )
    # 3 x + y + z = 6, x + 2 y = 4, 2 x + 4 z = 8.
    assert is_exact_equilibrium(quadratic, np.array([1.0, 1.5, 1.5]))
    assert not is_exact_equilibrium(quadratic, np.array([1.0, 1.5, np.nextafter(1.5, 2)]))
    box = nng.QuadraticGame(
        {"a": [[2.0, 0.0], [0.0, 4.0]]},
        {},
        {"a": [-8.0, -1.0]},
        {"a": nng.activation("box", lower=[0.0, 0.0], upper=[1.0, 2.0])},
    )
    assert is_exact_equilibrium(box, np.array([1.0, 0.25]))
    assert not is_exact_equilibrium(box, np.array([1.0, 2.0]))


def test_searches_look_at_the_clock_inside(monkeypatch):
    game = ring([2.0, 1.5], "tanh")
    fed = fed_map(game)
    x = nng.solve(game, start=[0.9, 0.9], tolerance=1e-13).profile
    for least, search in (
        (5, lambda late: next(roots(game, [np.array([0.3, 0.4])], late))),
        (20, lambda late: list(solutions(game, [np.array([0.3, 0.4])], deadline=late))),
        (1, lambda late: resolve(game, fed, x, 1e-9, late)),
        (3, lambda late: is_exact_equilibrium(ring([1.0, 1.0], "identity"), np.zeros(2), late)),
    ):
        monkeypatch.setattr(deadlines, "time", _Clock())
        search(np.inf)
        looks = deadlines.time.now
        assert looks >= least
        monkeypatch.setattr(deadlines, "time", _Clock())
        with pytest.raises(deadlines.TimeUpError):
            search(looks - 0.5)


def test_a_feed_stops_within_a_step_of_many_rows(monkeypatch):
    """Rows that were not fed are late, whatever step the others are at."""
    monkeypatch.setattr(feed_batches, "_AT_ONCE", 4)
    monkeypatch.setattr(feed_batches, "time", _Clock())
    fed = fed_map(ring([0.5, 0.8], "tanh"))
    ends = settle(fed, np.arange(1.0, 21.0)[:, None], None, 100, 1e-9, 1, 3.0)
    assert all(end.late for end in ends)
    assert [end.steps for end in ends] == [1] * 16 + [0] * 4
    assert ends[-1].state == 20.0


def test_what_was_not_tested_in_time_is_told(monkeypatch):
    from nngames.checks import outcome_survey

    def too_late(*_):
        raise deadlines.TimeUpError

    monkeypatch.setattr(outcome_survey, "largest_improvement", too_late)
    report = nng.check_outcomes(ring([2.0, 1.5], "tanh"), starts=8, max_seconds=30.0)
    assert report.stopped
    assert all(e.untested and e.improvement is None and e.returns is None for e in report.equilibria)
    said = "30 s did not suffice for all: 3 of the 3 equilibria were not tested or not for all players"
    assert report.limits_are_equilibria.statement.endswith(said)
    assert report.limits_are_equilibria.proved
    assert "2 attracted" in report.equilibria_are_outcomes.statement
    assert "for 1 there was no time to see" in report.equilibria_are_outcomes.statement
    assert "more steps" not in str(report.equilibria_are_outcomes)
    monkeypatch.setattr(outcome_survey, "resolve", too_late)
    report = nng.check_outcomes(ring([2.0, 1.5], "tanh"), starts=8, max_seconds=30.0)
    assert report.equilibria == ()
    assert counts(report, "iterated") == {"undecided": 8}
    (outcome,) = report.outcomes
    assert outcome.drawn == {"iterated": 7, "averaged": 7}
    assert outcome.reason == "the time was up"
    said = "16 of 16 feeds were not decided, the search for equilibria by other methods did not begin"
    assert said in report.limits_are_equilibria.statement


def test_late_displacements_leave_open_whether_they_come_back(monkeypatch):
    from nngames.checks import outcome_survey

    def late_ones(fed, starts, *rest):
        if len(starts) > outcome_survey.DISPLACEMENTS:
            return settle(fed, starts, *rest)
        return [Settled(TrajectoryKind.UNDECIDED, 2 * x, None, 0, late=True) for x in starts]

    monkeypatch.setattr(outcome_survey, "settle", late_ones)
    report = nng.check_outcomes(ring([2.0, 1.5], "tanh"), starts=8)
    assert all(e.returns == {"iterated": None, "averaged": None} for e in report.equilibria)
    assert sorted(map(str, (e.stable for e in report.equilibria))) == ["None", "True", "True"]
    assert report.limits_are_equilibria.statement.endswith("did not suffice for all: not all displacements settled")


def test_costs_beyond_the_floats_are_not_compared(monkeypatch):
    from nngames.checks import second_route

    monkeypatch.setattr(second_route, "minimise_cost", lambda *_, **__: (None, np.nan))
    game = ring([0.5, 0.8], "tanh")
    assert largest_improvement(game, np.zeros(2), np.random.default_rng(0)) is None


def test_starts_are_bounded_by_the_size_of_the_batch():
    game = nng.Network.recurrent(np.zeros((100, 100)), np.zeros(100), "tanh").game()
    with pytest.raises(nng.OptionError, match="starts must be at most 50000 for states of 100 coordinates; got 60000"):
        nng.check_outcomes(game, starts=60_000)


@pytest.mark.parametrize("name", ["softplus", "gelu", "soft_exponential"])
def test_data_near_the_end_of_the_floats_warn_of_nothing(name):
    for seed, size in ((0, 1e4), (1, 1e150), (2, 1e300)):
        rng = np.random.default_rng(seed)
        weights = [rng.normal(size=(4, 4)) * size for _ in range(2)]
        game = nng.Network.ring(weights, [rng.normal(size=4) for _ in range(2)], [name] * 2).game()
        if not np.isfinite(game.scale):
            with pytest.raises(nng.NotApplicableError, match="the answers to the zero profile are beyond the floats"):
                nng.check_outcomes(game, starts=6, steps=60)
            continue
        report = nng.check_outcomes(game, starts=6, steps=60, max_seconds=1.0)
        for equilibrium in report.equilibria:
            assert equilibrium.residual <= 1e-6 * max(1.0, np.linalg.norm(equilibrium.profile))
        json.dumps(report.to_dict())


def test_what_would_change_the_verdicts_is_told():
    proved = nng.check_outcomes(ring([0.5, 0.8], "tanh"), starts=4)
    jumping = nng.check_outcomes(ring([0.5, 0.8], "hardshrink"), starts=4)
    open_one = nng.check_outcomes(ring([0.999, 1.0], "hard_tanh"), starts=1)
    assert "only an activation that jumps" in proved.limits_are_equilibria.would_change
    assert "continuous and defined everywhere" in jumping.limits_are_equilibria.would_change
    assert "more steps may tell" in open_one.equilibria_are_outcomes.would_change
    for report in (proved, jumping, open_one):
        assert report.equilibria_are_outcomes.would_change
    quadratic = nng.QuadraticGame({"a": [[2.0]], "b": [[2.0]]}, {("a", "b"): [[0.5]]}, {"a": [1.0], "b": [1.0]})
    for game, data in ((ring([0.5, 0.8], "tanh"), "weights or biases"), (quadratic, "numbers of the game")):
        report = nng.check_outcomes(game, starts=2, steps=50)
        for verdict in (report.limits_are_equilibria, report.equilibria_are_outcomes):
            assert verdict.would_change.startswith(f"nothing in the {data}; only ")


def test_a_game_without_best_responses_is_refused_however_little_time_there_is():
    game = load_scenario("gallery:linear_layer").game
    for seconds in (1e-9, 1.0):
        with pytest.raises(nng.NotApplicableError, match="no best-response map"):
            nng.check_outcomes(game, starts=2, max_seconds=seconds)
