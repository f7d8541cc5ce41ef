"""The ledger of claims: complete, in the source's order, each verdict derived again, and its identities true."""

from __future__ import annotations

import json
import re
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import nngames as nng
from nngames.claims import source_claims
from nngames.claims.averaged_identities import averaged_sum_identity, relaxation_identity
from nngames.claims.ledger import derive, ledger
from nngames.claims.source_claims.main_result import unattractive_origin
from nngames.core.errors import UnknownNameError
from nngames.core.verdicts import Decision
from nngames.scenario.gallery import find

ROOT = Path(__file__).resolve().parents[2]
ENTRIES = ledger()


def test_claims_are_numbered_in_order_without_gaps():
    assert [entry.number for entry in ENTRIES] == list(range(1, len(ENTRIES) + 1))
    assert len({entry.name for entry in ENTRIES}) == len(ENTRIES)


def test_what_nothing_decides_stands_as_not_yet_decided():
    open_claims = {e.name for e in ENTRIES if e.verdict is Decision.UNDECIDED}
    assert {"language_models", "federated_learning", "risk_awareness"} <= open_claims


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_every_claim_is_derived_again_as_on_record(entry):
    (derived,) = derive([entry.name])
    assert derived.agrees is True
    assert derived.evidence[0].status is entry.verdict
    assert json.dumps(derived.to_dict())
    if entry.verdict is Decision.REFUTED:
        assert entry.correction


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_what_shows_a_claim_exists(entry):
    for place in entry.shown_by:
        if place.startswith("gallery:"):
            assert find(place).is_file()
        else:
            path = re.sub(r"^`python |`$|::.*", "", place)
            assert (ROOT / path).is_file(), place


def test_a_wrong_record_is_told(monkeypatch):
    claim = source_claims.registry["not_strict_contractions"]
    monkeypatch.setattr(claim, "verdict", Decision.REFUTED)
    (entry,) = derive(["not_strict_contractions"])
    assert entry.agrees is False


def test_unknown_names_are_refused_before_anything_is_derived():
    with pytest.raises(UnknownNameError, match="did you mean 'krasnoselskii_mann'"):
        derive(["not_strict_contractions", "krasnoselski_mann"])


def test_the_composition_rule_holds_for_random_averaged_matrices():
    """The constant of the rule is valid for products of averaged matrices, and tight for rotations about one angle."""
    rng = np.random.default_rng(3)
    for _ in range(50):
        gammas = rng.uniform(0.1, 0.9, 2)
        maps = []
        for gamma in gammas:
            turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
            maps.append((1 - gamma) * np.eye(3) + gamma * turn)
        rule = 1 / (1 + 1 / sum(g / (1 - g) for g in gammas))
        product = maps[1] @ maps[0]
        assert np.linalg.norm(np.eye(3) + (product - np.eye(3)) / rule, 2) <= 1 + 1e-12
    assert averaged_sum_identity().proved


def test_the_scheme_lowers_distances_as_the_identity_says():
    rng = np.random.default_rng(4)
    for _ in range(50):
        gamma, share = rng.uniform(0.1, 1.0), rng.uniform(0.05, 0.95)
        turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
        averaged = (1 - gamma) * np.eye(3) + gamma * turn
        relaxation = share / gamma
        x = rng.normal(size=3)
        moved = x + relaxation * (averaged @ x - x)
        fall = relaxation * (1 - gamma * relaxation) / gamma * np.sum((averaged @ x - x) ** 2)
        assert np.sum(moved**2) <= np.sum(x**2) - fall + 1e-12
    assert relaxation_identity().proved


def test_starts_around_the_origin_of_the_bistable_layer_leave_it():
    verdict = unattractive_origin()
    assert verdict.refuted
    c = float(Fraction(verdict.witness["c"]))
    x = np.linspace(1e-6, c, 1000)
    assert (np.tanh(2 * x) > x).all()


def test_a_leader_on_the_ring_gains_and_pays_what_a_search_finds():
    """A second route: the equilibrium by the solver, the commitment by minimising over a grid with the game's own "
    "costs."""
    network = nng.Network.ring([[[1.0]], [[0.5]]], [[1.0], [0.0]], [{"name": "linear", "slope": 0.5}, "identity"])
    game = network.game()
    (entry,) = derive(["outcomes_are_stackelberg"])
    verdict = entry.evidence[0]
    assert verdict.refuted
    nash = nng.solve(game, tolerance=1e-14).profile
    np.testing.assert_allclose(nash, [float(x) for x in verdict.witness["equilibrium"]], atol=1e-12)
    first, second = game.players
    paid = {}
    for x in np.linspace(-1, 2, 3001):
        profile = np.array([x, 0.0])
        profile[1] = game.best_response(second, profile)[0]
        paid[x] = game.cost(first, profile)
    best = min(paid, key=paid.get)
    offset = game.cost(first, nash) - float(verdict.witness["equilibrium_cost"])
    assert abs(offset) <= 1e-12
    assert best == pytest.approx(float(verdict.witness["profile"][0]), abs=1e-3)
    assert paid[best] == pytest.approx(float(verdict.witness["cost"]), abs=1e-6)
