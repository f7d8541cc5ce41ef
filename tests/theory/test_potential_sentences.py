"""What a potential report says beside its figures: which players, which searches, and what follows from what."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nngames as nng
from nngames.activations import activation
from nngames.certificates.cost_structure import coupling_pairs
from nngames.certificates.exact_potential import exact_potential
from nngames.certificates.weighted_potential import weighted_potential
from nngames.checks.cycle_certificates import Certifier
from nngames.checks.effective_coupling import effective_coupling
from nngames.checks.enclosed_best_responses import can_enclose
from nngames.checks.finite import report as finite
from nngames.checks.indifference import _Search


def graph(couplings: dict[Any, Any], name: str, cost: str = "proximal", bias: float = 0.0) -> Any:
    sizes = {player: np.shape(matrix)[i] for edge, matrix in couplings.items() for i, player in enumerate(edge)}
    return nng.Network.graph(couplings, {p: np.full(n, bias) for p, n in sizes.items()}, name).game("layers", cost)


@pytest.mark.parametrize(
    ("cost", "couplings", "said"),
    [
        ("tracking", {("b", "a"): [[1.0]], ("c", "b"): [[0.5]]}, "with the tracking cost no paths"),
        (
            "proximal",
            {("b", "a"): [[1.0]], ("c", "b"): [[0.5]]},
            "player b pays the same for two actions, between which player c changes",
        ),
        ("tracking", {("b", "a"): [[1.0]], ("a", "b"): [[-1.0]]}, "moves by players "),
    ],
)
def test_who_is_meant_and_what_was_sought(cost, couplings, said):
    report = nng.check_potential(graph(couplings, "tanh", cost), seed=0)
    assert said in report.ordinal.statement
    assert "hears another one without being heard" not in report.ordinal.statement


def test_who_can_improve_in_one_direction_only_is_named():
    # Nobody can hear less than its own 1, so every answer stands at the upper end.
    couplings = {(1, 2): [[1.0]], (2, 3): [[1.0]], (3, 1): [[1.0]]}
    boxes = {p: {"name": "box", "lower": 0.0, "upper": 1.0} for p in (1, 2, 3)}
    game = nng.Network.graph(couplings, dict.fromkeys(boxes, np.ones(1)), boxes).game()
    verdict = nng.check_potential(game).acyclic
    assert verdict.proved
    assert "without players 1, 2, 3, who can improve" in verdict.statement
    assert verdict.would_change.endswith("data with which players 1, 2, 3 can improve both ways")


def test_changes_of_projected_couplings_are_changes_of_what_players_are_to_each_other():
    # What a simplex feels of (10, 9) is (1, -1)/2, which a change of 1 in the 10 takes away.
    couplings = {("l", "k"): [[10.0], [9.0]], ("k", "l"): [[9.0, 10.0]]}
    penalties = {"l": "simplex", "k": "tanh"}
    game = nng.Network.graph(couplings, {"l": np.zeros(2), "k": np.zeros(1)}, penalties).game()
    said = weighted_potential(game).would_change
    assert said == "a change by at least 0.5 of what one of the two is to the other"


def test_questions_about_one_pair_after_another_are_answered_for_each():
    rng = np.random.default_rng(0)
    block = rng.integers(-4, 5, size=(3, 3)) / 4.0
    couplings = {(1, 2): block, (2, 1): block.T, (2, 3): block, (3, 2): 2 * block.T, (1, 3): block, (3, 1): 2 * block.T}
    game = graph(couplings, "simplex")
    pairs = coupling_pairs(game)
    again = [pairs.rational_entries(pair) for pair in (0, 1, 0, 2)]
    assert again[0] == again[2]
    assert [a == c for a, c in again] == [True, False, True, False]
    assert exact_potential(game, 0.0).witness["pair"] == [1, 3]
    assert weighted_potential(game, 0.0).proved


def test_a_third_player_off_its_domain_makes_no_path():
    line = activation("affine", matrix=[[2.0, 1.0]], offset=[1.0])
    game = nng.QuadraticGame(
        {"k": [[1.0]], "l": [[1.0]], "still": np.eye(2)}, {("l", "k"): [[1.0]]}, penalties={"still": line}
    )
    search = _Search(game, np.random.default_rng(0), effective_coupling(game), np.inf)
    found = []
    for last in (1.0, np.nextafter(1.0, 2.0)):
        first, second = (np.array([z, 0.0, 0.0, last]) for z in (1.0, -1.0))
        tie = Certifier(game).deviation("k", first, second)
        assert tie is not None
        assert tie.gain == 0
        found.append(search.changed_mind(first, (second, second), "k", "l"))
    assert found[0] is not None
    assert found[1] is None


def test_an_exact_potential_is_a_weighted_one_also_where_time_is_up(monkeypatch):
    asked = []
    monkeypatch.setattr(finite, "weighted_verdict", lambda *arguments: asked.append(arguments))
    costs = np.random.default_rng(0).integers(-9, 10, size=(2, 3, 2))
    for game in (nng.FiniteGame([costs] * 3), nng.FiniteGame([0.5 * costs] * 3)):
        report = nng.check_potential(game)
        assert report.weighted.proved
        assert set(report.weighted.witness["weights"].values()) == {1}
    assert not asked
    assert "1 player " in nng.check_potential(nng.FiniteGame([[1, 2, 3]])).exact.statement


def follower(bias: float = 0.0, name: str = "identity") -> Any:
    return nng.Network.graph({("l", "k"): [[1.0]]}, {"k": [bias], "l": [0.0]}, {"k": name, "l": "identity"}).game()


def test_what_the_follower_prefers_is_certified_at_both_ends():
    # At 1 it prefers 1 to -1, at -1 and at -2 the other way round, and at 3 not.
    search = _Search(follower(), np.random.default_rng(0), effective_coupling(follower()), np.inf)
    first, near, beyond, wrong = (np.array([z, 0.0]) for z in (1.0, -1.0, -2.0, 3.0))
    assert search.changed_mind(first, (near, beyond), "k", "l") is not None
    assert search.changed_mind(first, (near, wrong), "k", "l") is None


@pytest.mark.parametrize("share", [1.0, 0.99, 1.01])
def test_ends_on_one_side_of_the_tie_enclose_none(monkeypatch, share):
    import scipy.optimize

    root = scipy.optimize.brentq
    monkeypatch.setattr(scipy.optimize, "brentq", lambda *arguments: share * root(*arguments))
    game = follower(0.3, "tanh")
    search = _Search(game, np.random.default_rng(0), effective_coupling(game), np.inf)
    centre = game.answer("k", np.zeros(2))
    first, mirrored = (np.array([centre[0] + d, 0.0]) for d in (0.5, -0.5))
    ends = search._enclosed(np.zeros(2), centre, first, mirrored, "k")
    assert (ends is not None) == (share == 1.0)


def test_what_floats_do_not_tell_apart_is_compared_in_all_entries():
    # 3 and 1 against 1 and the float 1/3: the quotient of the largest, as a float, is the one of the others.
    ahead, back = np.ones((17, 17)), np.full((17, 17), 1 / 3)
    ahead[0, 0], back[0, 0] = 3.0, 1.0
    couplings = {(1, 2): ahead, (2, 1): back.T}
    assert weighted_potential(graph(couplings, "tanh"), 0.0).refuted
    assert weighted_potential(graph({(1, 2): 2 * back, (2, 1): back.T}, "tanh"), 0.0).proved


@pytest.mark.parametrize(("name", "able"), [("hardshrink", False), ("softshrink", True)])
def test_only_continuous_answers_are_enclosed_for_brouwers_theorem(name, able):
    game = graph({(1, 2): [[1.0]], (2, 1): [[-1.0]]}, name, "tracking")
    assert can_enclose(Certifier(game)) == able
