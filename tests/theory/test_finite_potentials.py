"""Finite games: potentials, cycles and sinks against brute force; the decomposition against dense least squares."""

from __future__ import annotations

import itertools
from fractions import Fraction
from typing import Any

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

import nngames as nng
from nngames.checks.finite.better_replies import better_reply_graph
from nngames.core.verdicts import Decision

SIZES = [(2, 2), (2, 3), (3, 3), (2, 2, 2), (2, 1, 3), (2, 3, 2)]


def squares(table: Any) -> list[list[Fraction]]:
    """Return each player's alternating sum, 0 for the others, over all squares of all pairs of players."""
    sizes, rows = table.shape[1:], []
    for first, k in itertools.combinations(range(len(sizes)), 2):
        for s in itertools.product(*map(range, sizes)):
            for i, j in itertools.product(range(sizes[first]), range(sizes[k])):
                row = [Fraction(0)] * len(sizes)
                for m, sign in ((first, 1), (k, -1)):
                    for u, v, t in ((s[first], s[k], 1), (i, s[k], -1), (i, j, 1), (s[first], j, -1)):
                        corner = list(s)
                        corner[first], corner[k] = u, v
                        row[m] += sign * t * Fraction(table[(m, *corner)])
                rows.append(row)
    return rows


def graphs(table: Any) -> tuple[nx.DiGraph, nx.DiGraph, nx.DiGraph]:
    """Return the strictly improving, the not worsening and the best-response deviations; strict ones are marked."""
    sizes = table.shape[1:]
    strict, weak, best = nx.DiGraph(), nx.DiGraph(), nx.DiGraph()
    for s in itertools.product(*map(range, sizes)):
        strict.add_node(s)
        for m, size in enumerate(sizes):
            own = {i: table[(m, *s[:m], i, *s[m + 1 :])] for i in range(size)}
            for i in range(size):
                if i != s[m]:
                    t, falls = (*s[:m], i, *s[m + 1 :]), own[i] < own[s[m]]
                    if falls:
                        strict.add_edge(s, t)
                    if own[i] <= own[s[m]]:
                        weak.add_edge(s, t, strict=falls)
                    if own[i] == min(own.values()):
                        best.add_edge(s, t, strict=falls)
    return strict, weak, best


def has_strict_cycle(graph: nx.DiGraph) -> bool:
    return any(strict and nx.has_path(graph, t, s) for s, t, strict in graph.edges(data="strict"))


def drawn(rng: np.random.Generator, kind: int) -> Any:
    sizes = SIZES[rng.integers(len(SIZES))]
    count = len(sizes)
    table = rng.integers(0, 3, (count, *sizes))
    if kind:
        table = np.stack([rng.integers(0, 3, sizes)] * count)
        for m in range(count):
            table[m] += np.take(rng.integers(0, 3, sizes), [0], axis=m)
    if kind == 2:
        table = table * rng.integers(1, 4, count).reshape(-1, *[1] * count)
    if kind == 3:
        table.flat[rng.integers(table.size)] += 1
    return table


def test_every_verdict_is_that_of_brute_force() -> None:
    rng = np.random.default_rng(11)
    seen: dict[str, set[Decision]] = {}
    for trial in range(160):
        table = drawn(rng, trial % 4)
        rows = squares(table)
        strict, weak, best = graphs(table)
        weights = linprog(
            np.zeros(len(table)), A_eq=np.array(rows, dtype=float), b_eq=np.zeros(len(rows)), bounds=(1, None)
        )
        expected = {
            "exact": not any(sum(row) for row in rows),
            "weighted": weights.status == 0,
            "acyclic": nx.is_directed_acyclic_graph(strict),
            "ordinal": not has_strict_cycle(weak),
            "best_response_acyclic": not has_strict_cycle(best),
        }
        for game in (nng.FiniteGame(table), nng.FiniteGame(table / 7)):
            report = nng.check_potential(game)
            for name, holds in expected.items():
                verdict = getattr(report, name)
                assert verdict.status is (Decision.PROVED if holds else Decision.REFUTED), (table, verdict)
                seen.setdefault(name, set()).add(verdict.status)
            check_witnesses(game, report)
        graph = better_reply_graph(nng.FiniteGame(table))
        assert {tuple(s) for s in graph.sinks.tolist()} == {s for s in strict if strict.out_degree(s) == 0}
        condensed = nx.condensation(strict)
        sinks = {frozenset(condensed.nodes[c]["members"]) for c in condensed if condensed.out_degree(c) == 0}
        assert {frozenset(map(tuple, part.tolist())) for part in graph.sink_components} == sinks
        assert graph.weakly_acyclic == all(len(part) == 1 for part in sinks)
    assert all(decisions == {Decision.PROVED, Decision.REFUTED} for decisions in seen.values())


def check_witnesses(game: nng.FiniteGame, report: Any) -> None:
    """Recompute what the witnesses claim from the table alone."""
    table, players = game.costs, game.players
    if report.potential is not None:
        phi = report.potential.values
        for m, player in enumerate(players):
            rest = report.weights[player] * table[m] - phi
            spread = rest - np.take(rest, [0], axis=m)
            assert all(x == 0 for x in spread.flat) if game.exact else np.abs(spread).max() < 1e-14
    for verdict in (report.acyclic, report.ordinal, report.best_response_acyclic):
        if verdict.refuted:
            steps = verdict.witness["cycle"]["deviations"]
            gains = []
            for step, following in zip(steps, [*steps[1:], steps[0]], strict=True):
                before, after, m = tuple(step["before"]), tuple(step["after"]), players.index(step["mover"])
                assert after == tuple(following["before"])
                assert [i for i in range(len(players)) if before[i] != after[i]] == [m]
                gains.append(Fraction(table[(m, *before)]) - Fraction(table[(m, *after)]))
                assert gains[-1] == Fraction(step["gain"])
                assert step["best_response"] == (
                    table[(m, *after)]
                    == np.take(table[m], range(game.sizes[m]), axis=m)[(*after[:m], slice(None), *after[m + 1 :])].min()
                )
                assert step["best_response"] or verdict is not report.best_response_acyclic
            assert min(gains) >= 0 < max(gains)
            assert verdict is not report.acyclic or min(gains) > 0
    if report.exact.refuted:
        witness = report.exact.witness
        movers = [players.index(p) for p in witness["pair"]] * 2
        path = [tuple(p) for p in witness["path"]]
        assert path[0] == path[-1]
        total = sum(
            Fraction(table[(m, *s)]) - Fraction(table[(m, *t)])
            for m, s, t in zip(movers, path[:-1], path[1:], strict=True)
        )
        assert total == witness["sum"] != 0
    if report.weighted.refuted and "cycle" in report.weighted.witness:
        assert report.weighted.witness["product"] != 1


def test_weights_that_only_a_cycle_of_players_forbids() -> None:
    # c_1 = xy + xz, c_2 = xy + 2yz, c_3 = xz + yz: each pair alone can be balanced, by 1:1, 1:1 and 1:2.
    x, y, z = np.meshgrid([0, 1], [0, 1], [0, 1], indexing="ij")
    table = np.stack([x * y + x * z, x * y + 2 * y * z, x * z + y * z])
    for game in (nng.FiniteGame(table), nng.FiniteGame(table * 0.1)):
        report = nng.check_potential(game)
        assert report.weighted.refuted
        assert len(report.weighted.witness["cycle"]) == 4
        assert float(report.weighted.witness["product"]) in (pytest.approx(2), pytest.approx(0.5))
        assert report.ordinal.proved


def test_what_the_data_leave_open_is_undecided_and_the_exact_answer_is_not() -> None:
    table = np.array([[[0.0, 1.0], [1.0, 0.0]]] * 2)
    for change, decision in ((1e-13, "PROVED"), (5e-12, "UNDECIDED"), (1e-10, "REFUTED")):
        table[1, 1, 1] = change
        assert nng.check_potential(nng.FiniteGame(table)).exact.status == decision
        assert nng.check_potential(nng.FiniteGame(table), data_tolerance=0).exact.refuted
    ties = np.array([[[1.0, 1.0], [0.0, 1.0 + 5e-12]], [[0.0, 1.0], [1.0, 0.0]]])
    report = nng.check_potential(nng.FiniteGame(ties))
    assert report.acyclic.status == "UNDECIDED"
    assert report.ordinal.status == "UNDECIDED"
    assert nng.check_potential(nng.FiniteGame(ties), data_tolerance=0).acyclic.refuted


def test_a_generalised_ordinal_potential_need_not_be_an_ordinal_one() -> None:
    # Monderer and Shapley's example: player 1 is indifferent where the cycle would close.
    report = nng.check_potential(nng.FiniteGame(payoffs=[[[1, 2], [2, 0]], [[0, 0], [0, 1]]]))
    assert report.acyclic.proved
    assert report.ordinal.refuted


def test_the_shortest_cycle_is_preferred() -> None:
    # Rock, paper, scissors has better-reply cycles of four moves and best-response cycles of six.
    wins = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]])
    report = nng.check_potential(nng.FiniteGame(payoffs=[wins, -wins]))
    assert len(report.cycle.deviations) == 4
    assert len(report.best_response_acyclic.witness["cycle"]["deviations"]) == 6
    assert all(step.gain in (1, 2) for step in report.cycle.deviations)


@pytest.mark.parametrize("sizes", [(1,), (4,), *SIZES, (5, 2), (3, 2, 2, 2)])
def test_the_decomposition_is_that_of_dense_least_squares(sizes: tuple[int, ...]) -> None:
    table = np.random.default_rng(3).standard_normal((len(sizes), *sizes))
    found = nng.FiniteGame(table).decomposition()
    profiles = list(itertools.product(*map(range, sizes)))
    rows, flow = [], []
    for (a, s), (b, t) in itertools.combinations(enumerate(profiles), 2):
        movers = [m for m in range(len(sizes)) if s[m] != t[m]]
        if len(movers) == 1:
            row = np.zeros(len(profiles))
            row[a], row[b] = -1, 1
            rows.append(row)
            flow.append(table[(movers[0], *t)] - table[(movers[0], *s)])
    matrix = np.array(rows).reshape(-1, len(profiles))
    phi = np.linalg.lstsq(matrix, np.array(flow), rcond=None)[0] if rows else np.zeros(len(profiles))
    phi = (phi - phi.mean()).reshape(sizes)
    np.testing.assert_allclose(found.potential_function, phi, atol=1e-12)
    for m in range(len(sizes)):
        np.testing.assert_allclose(found.potential.costs[m], phi - phi.mean(axis=m, keepdims=True), atol=1e-12)
        np.testing.assert_allclose(
            found.nonstrategic.costs[m], np.broadcast_to(table[m].mean(axis=m, keepdims=True), sizes), atol=1e-12
        )


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    st.sampled_from([*SIZES, (2,) * 6, (17, 2), (3, 20)]), st.integers(0, 2**32), st.sampled_from([1e-200, 1.0, 1e200])
)
def test_the_identities_of_the_decomposition(sizes: tuple[int, ...], seed: int, unit: float) -> None:
    table = np.random.default_rng(seed).standard_normal((len(sizes), *sizes))
    found = nng.FiniteGame(table * unit).decomposition()
    parts = [part.costs / unit for part in (found.potential, found.harmonic, found.nonstrategic)]
    weights = np.array(sizes).reshape(-1, *[1] * len(sizes))
    np.testing.assert_allclose(sum(parts), table, atol=1e-12)
    size = float((weights * table * table).sum())
    for a, b in itertools.combinations(parts, 2):
        assert abs(float((weights * a * b).sum())) <= 1e-12 * size
    for part in parts[:2]:
        assert all(np.abs(part[m].sum(axis=m)).max() <= 1e-12 * size for m in range(len(sizes)))
    assert np.abs(sum(h * parts[1][m] for m, h in enumerate(sizes))).max() <= 1e-12 * size
    shares = [float((weights * part * part).sum()) / size for part in parts]
    assert list(found.shares.values()) == pytest.approx(shares, abs=1e-12)
    assert sum(found.shares.values()) == pytest.approx(1, abs=1e-12)
    assert found.distance / unit == pytest.approx(np.sqrt(shares[1] * size), abs=1e-12)
    report = nng.check_potential(found.nearest_potential_game)
    assert report.exact.proved
    difference = report.potential.values - found.potential_function
    np.testing.assert_allclose((difference - difference.flat[0]) / unit, 0, atol=1e-11)


def test_classical_games_are_their_own_parts() -> None:
    pennies = nng.FiniteGame(payoffs=[[[1, -1], [-1, 1]], [[-1, 1], [1, -1]]]).decomposition()
    assert pennies.shares == {"potential": 0.0, "harmonic": 1.0, "nonstrategic": 0.0}
    dilemma = nng.FiniteGame(payoffs=[[[3, 0], [5, 1]], [[3, 5], [0, 1]]]).decomposition()
    assert dilemma.shares["harmonic"] < 1e-30
    nothing = nng.FiniteGame(np.zeros((2, 2, 2))).decomposition()
    assert set(nothing.shares.values()) == {0.0}
