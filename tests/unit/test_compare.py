"""Comparisons: every run kept with its label, status and reason; refusals before the first run; interruption.

And what is made of the rows: quantiles, ratios, performance profiles, tables, bounds.
"""

from __future__ import annotations

import csv
import dataclasses
import json
import os
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from interruptions import interrupt_composite

import nngames as nng
from nngames.compare import execution
from nngames.core.errors import InputError, MissingExtraError, OptionError, UnknownNameError
from nngames.results.comparison import Comparison, Row
from nngames.results.records import record_of, result_of, written
from nngames.results.result import Status
from nngames.solvers import Interrupted


def contraction() -> Any:
    return nng.Network.ring([0.5, 0.5], [1.0, 0.0], ["tanh"] * 2).game()


def imitators() -> Any:
    return nng.Network.ring([1.0] * 3, [0.0] * 3, ["identity"] * 3).game()


def tracking() -> Any:
    return nng.Network.graph({(1, 2): 0.5}, {1: 0.0, 2: 1.0}, "silu").game()


def test_every_pair_has_a_row_in_order() -> None:
    comparison = nng.compare({"a": contraction(), "b": tracking()}, ["picard", "extragradient", "auto"], repeat=2)
    assert [(row.game, row.method, row.repeat) for row in comparison.rows] == [
        (game, method, number)
        for game in ("a", "b")
        for method in ("picard", "extragradient", "auto")
        for number in (0, 1)
    ]
    by_label = comparison.results()
    assert set(by_label) == {f"{g}: {m}" for g in "ab" for m in ("picard", "extragradient", "auto")}
    assert by_label["a: picard"].converged
    assert by_label["b: extragradient"].status == "skipped"
    assert by_label["b: extragradient"].message == (
        "extragradient does not apply: a game with the tracking cost has no inclusion view"
    )
    assert np.isnan(by_label["b: extragradient"].profile).all()
    assert np.isnan(by_label["b: extragradient"].nash_gap)
    assert len(by_label["b: extragradient"].trace.residual) == 0
    assert by_label["b: extragradient"].guarantee.status == "UNDECIDED"
    json.dumps(comparison.to_dict(), allow_nan=False)


def test_a_run_that_fails_keeps_its_row_and_its_reason() -> None:
    comparison = nng.compare({"two": contraction(), "three": imitators()}, ["km"], start=[0.1, 0.2])
    assert [row.result.status for row in comparison.rows] == ["converged", "failed"]
    assert comparison.rows[1].result.message == (
        "start has shape (2,); expected (3,), the actions of 1 (1), 2 (1), 3 (1)"
    )


def test_runs_that_do_not_converge_keep_their_status() -> None:
    comparison = nng.compare(imitators(), ["best_response", {"method": "picard", "map": "joint"}], start=[0, 0, 1])
    statuses = {row.method: str(row.result.status) for row in comparison.rows}
    assert statuses == {"best_response": "converged", "picard(map=joint)": "cycling"}
    assert all(row.game == "game" for row in comparison.rows)


def test_labels_are_distinct_and_may_be_given() -> None:
    methods = [
        "km",
        "km",
        {"method": "km", "relaxation": 0.3},
        {"method": "km", "relaxation": 0.3, "label": "slow"},
        {"method": "auto"},
        nng.solver("km", relaxation=0.9),
    ]
    comparison = nng.compare(contraction(), methods)
    assert [row.method for row in comparison.rows] == ["km", "km (2)", "km(relaxation=0.3)", "slow", "auto", "km (3)"]
    assert comparison.rows[5].result.options["relaxation"] == 0.9
    assert comparison.rows[4].result.method.startswith("auto:")


def test_a_run_in_a_comparison_is_that_of_solve() -> None:
    game = contraction()
    row = nng.compare(game, [{"method": "best_response", "order": "random"}], seed=4, trace_nash_gap=True).rows[0]
    alone = nng.solve(game, "best_response", order="random", seed=4, trace_nash_gap=True)
    assert row.result.trace.residual.tolist() == alone.trace.residual.tolist()
    assert row.result.trace.nash_gap.tolist() == alone.trace.nash_gap.tolist()
    assert row.to_dict()["method"] == "best_response(order=random)"
    assert row.to_dict()["status"] == "converged"


def test_a_scenario_is_taken_by_its_game() -> None:
    scenario = SimpleNamespace(name="mine", game=contraction())
    assert nng.compare(scenario, ["km"]).rows[0].game == "mine"


def test_progress_is_told_before_each_run() -> None:
    lines: list[str] = []
    nng.compare({"a": contraction()}, ["km", "picard"], progress=lines.append)
    assert lines == ["a: km", "a: picard"]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"methods": "km"}, OptionError, "methods must be a list with at least one method; got 'km'"),
        ({"methods": []}, OptionError, "methods must be a list with at least one method; got []"),
        ({"methods": ["km"], "repeat": 0}, OptionError, "repeat must be a positive integer; got 0"),
        ({"methods": ["km"], "tolerance": 2}, OptionError, "tolerance must be a number between 0 and 1; got 2"),
        (
            {"methods": [{"relaxation": 1}]},
            OptionError,
            "a method given as a mapping needs the key 'method'; got {'relaxation': 1}",
        ),
        (
            {"methods": ["km", {"method": "km", "relax": 1}]},
            OptionError,
            "method 'km' has no option 'relax'; did you mean 'relaxation'? valid: map, precision, relaxation",
        ),
    ],
)
def test_wrong_arguments_are_refused_before_the_first_run(
    arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    lines: list[str] = []
    with pytest.raises(error) as caught:
        nng.compare(contraction(), progress=lines.append, **arguments)
    assert str(caught.value) == message
    assert lines == []


def test_unknown_methods_and_games_are_refused() -> None:
    with pytest.raises(UnknownNameError, match=r"^unknown method .nweton.; "):
        nng.compare(contraction(), ["nweton"])
    with pytest.raises(InputError, match=r"takes a game; got int$"):
        nng.compare({"a": 3}, ["km"])  # type: ignore[dict-item]
    with pytest.raises(InputError, match=r"pass network\.game\(\)$"):
        nng.compare(contraction().network, ["km"])
    with pytest.raises(OptionError) as caught:
        nng.compare({1: contraction()}, ["km"])  # type: ignore[dict-item]
    assert str(caught.value) == "games are labelled by strings; got 1"


def test_an_interruption_keeps_the_runs_made(monkeypatch: pytest.MonkeyPatch) -> None:
    interrupt_composite(monkeypatch, contraction(), 60)
    with pytest.raises(Interrupted) as caught:
        nng.compare(contraction(), ["picard", "km", {"method": "km", "relaxation": 0.1}, "best_response"])
    rows = caught.value.comparison.rows
    assert [row.result.status for row in rows] == ["converged", "converged", "interrupted"]
    assert [row.method for row in rows] == ["picard", "km", "km(relaxation=0.1)"]


def test_repetitions_are_interleaved_and_first_calls_told_apart() -> None:
    lines: list[str] = []
    counts: list[tuple[int, int]] = []
    comparison = nng.compare(
        contraction(), ["km", "picard"], repeat=2, progress=lines.append, finished=lambda *now: counts.append(now)
    )
    assert lines == [f"game: {label} ({k} of 2)" for k in (1, 2) for label in ("km", "picard")]
    assert counts == [(k, 4) for k in (1, 2, 3, 4)]
    assert [(row.method, row.repeat, row.call) for row in comparison.rows] == [
        ("km", 0, "first"),
        ("km", 1, "warm"),
        ("picard", 0, "first"),
        ("picard", 1, "warm"),
    ]


class Clock:
    """A clock that runs made with it set forward by what they take."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, seconds: list[float]) -> None:
        self.now, self.made, solve = 0.0, 0, execution.solve

        def timed(*arguments: Any, **options: Any) -> Any:
            taken = seconds[self.made]
            self.now, self.made = self.now + taken, self.made + 1
            return dataclasses.replace(solve(*arguments, **options), seconds=taken)

        monkeypatch.setattr(execution, "solve", timed)
        monkeypatch.setattr(execution, "time", SimpleNamespace(perf_counter=lambda: self.now))


@pytest.mark.parametrize(
    ("seconds", "counted"),
    [
        # The first call, then one that brings data back, and readings until 20 ms have passed.
        ([0.5, 0.009, 0.003, 0.007, 0.002, 0.5], 0.003),
        ([0.5, 0.009, 0.004, 0.002, 0.003, 0.005, 0.5], 0.003),
        # One reading at least.
        ([0.5, 0.019, 0.018, 0.5], 0.018),
        # Long runs are made once.
        ([0.5, 0.02, 0.5], 0.02),
    ],
)
def test_the_median_of_short_warm_runs_counts(
    monkeypatch: pytest.MonkeyPatch, seconds: list[float], counted: float
) -> None:
    clock = Clock(monkeypatch, seconds)
    comparison = nng.compare(contraction(), ["picard"], repeat=2)
    assert [row.result.seconds for row in comparison.rows] == [0.5, counted]
    assert clock.made == len(seconds) - 1


def test_a_warm_run_finds_the_kernels_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    run = execution.run
    monkeypatch.setattr(execution, "load_kernels", lambda: done.append("loaded"))
    monkeypatch.setattr(execution, "run", lambda *given: done.append("run") or run(*given))
    nng.compare(tracking(), ["extragradient"], repeat=2)
    # Not the first call.
    assert done == ["loaded", "run"]


def test_a_warm_run_that_was_refused_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, run = [], execution.run
    monkeypatch.setattr(execution, "run", lambda *given: asked.append(given) or run(*given))
    comparison = nng.compare(tracking(), ["extragradient"], repeat=3)
    assert [row.result.status for row in comparison.rows] == ["skipped"] * 3
    # The first call is made by another name.
    assert len(asked) == 2


def test_seeds_give_each_game_several_runs() -> None:
    method = {"method": "best_response", "order": "random"}
    comparison = nng.compare({"a": imitators()}, [method], seeds=[3, 5], start=[0.0, 0.0, 1.0])
    assert [(row.case, row.seed) for row in comparison.rows] == [("a (seed 3)", 3), ("a (seed 5)", 5)]
    for row in comparison.rows:
        alone = nng.solve(imitators(), "best_response", order="random", seed=row.seed, start=[0.0, 0.0, 1.0])
        assert row.result.trace.residual.tolist() == alone.trace.residual.tolist()
    assert [row.seed for row in nng.compare(contraction(), ["km"], seeds=2).rows] == [0, 1]


@pytest.mark.parametrize("seeds", [0, -1, [], [1, 1], [-1], [0.5], True, "0", [True]])
def test_wrong_seeds_are_refused(seeds: Any) -> None:
    with pytest.raises(OptionError) as caught:
        nng.compare(contraction(), ["km"], seeds=seeds)
    message = f"seeds must be a positive integer or distinct nonnegative integers; got {seeds!r}"
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"seed": 1, "seeds": 2}, "give seed or seeds, not both"),
        ({"workers": 0}, "workers must be a positive integer; got 0"),
        ({"workers": True}, "workers must be a positive integer; got True"),
        (
            {"cluster": "tcp://127.0.0.1:1", "workers": 2},
            "workers is about processes on this machine; a cluster has its own",
        ),
        (
            {"cluster": "tcp://127.0.0.1:1", "pin": True},
            "pin is about processes on this machine; a cluster has its own",
        ),
        *(
            (
                given,
                f"{name} needs scenarios, which other processes can build and a store can tell apart; 'game' is a game "
                f"in this process's memory: write it as a scenario, or leave {name} out",
            )
            for name, given in (
                ("workers", {"workers": 2}),
                ("cluster", {"cluster": "tcp://127.0.0.1:1"}),
                ("store", {"store": "runs"}),
                ("fresh", {"fresh": True}),
            )
        ),
    ],
)
def test_placements_that_cannot_be_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError) as caught:
        nng.compare(contraction(), ["km"], **arguments)
    assert str(caught.value) == message


def test_a_pinned_comparison_of_games_unpins_the_process() -> None:
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("this system cannot pin a process to a core")
    before = os.sched_getaffinity(0)
    during: list[set[int]] = []
    nng.compare(contraction(), ["km"], pin=True, progress=lambda line: during.append(os.sched_getaffinity(0)))
    assert during == [{max(before)}]
    assert os.sched_getaffinity(0) == before


# What is made of the rows


def rows_of(runs: list[tuple[str, str, int | None, str, float, int, bool]]) -> Comparison:
    """Return a comparison of runs (game, method, seed, call, seconds, passes, converged)."""
    template = nng.solve(contraction(), "km")
    rows = []
    for number, (game, method, seed, call, seconds, passes, converged) in enumerate(runs):
        status = Status.CONVERGED if converged else Status.MAX_ITERATIONS
        result = dataclasses.replace(
            template, seconds=seconds, evaluations=passes, status=status, message="done" if converged else f"no: {game}"
        )
        rows.append(Row(game, method, number, result, seed, call))
    return Comparison(tuple(rows))


def drawn_runs(rng: np.random.Generator) -> Comparison:
    runs = []
    for game in ("a", "b", "c", "d"):
        for method in ("x", "y", "z"):
            solves = not (method == "z" and game in "bd")
            for seed in (0, 1):
                for number in range(4):
                    call = "first" if number == 0 else "warm"
                    runs.append((game, method, seed, call, float(rng.exponential()), int(rng.integers(1, 99)), solves))
    return rows_of(runs)


def test_summaries_agree_with_numpy() -> None:
    comparison = drawn_runs(np.random.default_rng(7))
    summary = comparison.summary()
    assert [(g.game, g.method) for g in summary.groups] == [(g, m) for g in "abcd" for m in "xyz"]
    for group in summary.groups:
        rows = [row for row in comparison.rows if (row.game, row.method) == (group.game, group.method)]
        warm = [row.result for row in rows if row.call == "warm"]
        assert (group.runs, group.warm) == (8, 6)
        for measure in ("seconds", "evaluations"):
            quartiles = np.percentile([getattr(result, measure) for result in warm], [25, 50, 75])
            assert dataclasses.astuple(getattr(group, measure)) == pytest.approx(quartiles, rel=1e-15)
        firsts = sorted(row.result.seconds for row in rows if row.call == "first")
        assert group.first == pytest.approx((firsts[0] + firsts[1]) / 2)
        solved = all(row.result.converged for row in rows)
        assert group.solved == (8 if solved else 0)
        assert group.reasons == (() if solved else (f"no: {group.game}",))
        medians = {g.method: g.seconds.median for g in summary.groups if g.game == group.game and g.solved}
        expected = medians[group.method] / min(medians.values()) if solved else None
        assert group.ratio == (None if expected is None else pytest.approx(expected))
    for total in summary.totals:
        ratios = [group.ratio for group in summary.groups if group.method == total.method and group.ratio is not None]
        assert (total.games, total.solved) == (4, len(ratios))
        assert total.median_ratio == pytest.approx(np.median(ratios))
        assert total.worst_ratio == max(ratios)


def test_first_calls_stand_for_themselves_only_where_there_is_no_other() -> None:
    groups = (
        rows_of([("a", "x", None, "first", 3.0, 5, True), ("a", "y", None, "fresh", 9.0, 5, True)]).summary().groups
    )
    assert [(group.first, group.warm, group.seconds.median, group.ratio) for group in groups] == [
        (3.0, 0, 3.0, 1.0),
        (9.0, 0, 9.0, 3.0),
    ]
    runs = [
        ("a", "x", None, call, seconds, 5, True) for call, seconds in (("fresh", 9.0), ("first", 5.0), ("warm", 1.0))
    ]
    (group,) = rows_of(runs).summary().groups
    assert (group.first, group.warm, group.seconds.median) == (9.0, 1, 1.0)


def test_runs_that_were_not_made_have_no_figures() -> None:
    (group,) = nng.compare(tracking(), ["extragradient"], repeat=2).summary().groups
    assert (group.seconds, group.evaluations, group.first, group.ratio, group.warm) == (None, None, None, None, 0)
    assert group.statuses == {"skipped": 2}
    assert len(group.reasons) == 1


@pytest.mark.parametrize("measure", ["seconds", "evaluations"])
def test_profiles_agree_with_a_naive_count(measure: str) -> None:
    comparison = drawn_runs(np.random.default_rng(8))
    profile = comparison.profile(measure)
    assert profile.methods == ("x", "y", "z")
    assert len(profile.problems) == 8
    costs = {}
    for row in comparison.rows:
        if row.call == "warm":
            costs.setdefault((row.case, row.method), []).append(getattr(row.result, measure))
    for method in profile.methods:
        for factor in (1.0, 1.3, 2.0, 5.0, 1e6):
            within = 0
            for problem in profile.problems:
                medians = {
                    m: float(np.median(costs[problem, m]))
                    for m in profile.methods
                    if not (m == "z" and problem[0] in "bd")
                }
                within += method in medians and medians[method] <= factor * min(medians.values())
            assert profile.fraction(method, factor) == within / 8
        factors, shares = profile.curve(method)
        assert (np.diff(factors) > 0).all()
        assert [profile.fraction(method, factor) for factor in factors] == pytest.approx(shares.tolist())
    assert json.loads(json.dumps(profile.to_dict()))["methods"]["z"]["shares"][-1] == 0.5


def test_a_problem_that_nobody_solves_counts_against_all() -> None:
    profile = rows_of([("a", "x", None, "warm", 1.0, 1, True), ("b", "x", None, "warm", 1.0, 1, False)]).profile()
    assert profile.fraction("x", np.inf) == 0.5
    none = rows_of([("b", "x", None, "warm", 1.0, 1, False)])
    with pytest.raises(InputError, match=r"^no method solved a problem: there is no profile to draw$"):
        none.plot_profile()
    with pytest.raises(OptionError) as caught:
        none.profile("passes")
    assert str(caught.value) == "measure='passes' is unknown; valid: seconds, evaluations"


def test_csv_and_json_hold_every_figure_exactly(tmp_path: Any) -> None:
    comparison = nng.compare({'a, "b"': contraction(), "c": tracking()}, ["km", "extragradient"], repeat=2)
    path = comparison.to_csv(tmp_path / "runs.csv")
    with path.open(newline="") as stream:
        read = list(csv.DictReader(stream))
    data = json.loads(json.dumps(comparison.to_dict(full=False)))["rows"]
    assert len(read) == len(data) == len(comparison.rows) == 8
    for line, entry, row in zip(read, data, comparison.rows, strict=True):
        result = row.result
        assert (line["game"], line["method"], line["status"]) == (row.game, row.method, str(result.status))
        assert line["seed"] == ""
        assert line["message"] == entry["message"] == result.message
        assert float(line["seconds"]) == entry["seconds"] == result.seconds
        assert int(line["evaluations"]) == entry["evaluations"] == result.evaluations
        assert np.array_equal(float(line["residual"]), result.residual, equal_nan=True)
        assert np.array_equal(float(entry["residual"]), result.residual, equal_nan=True)
    assert list(tmp_path.iterdir()) == [path]


def test_parquet_holds_the_same_table(tmp_path: Any) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    comparison = nng.compare({"a": contraction(), "c": tracking()}, ["km", "extragradient"], seeds=2)
    table = parquet.read_table(comparison.to_parquet(tmp_path / "runs.parquet")).to_pylist()
    assert [(line["game"], line["seed"], line["seconds"]) for line in table] == [
        (row.game, row.seed, row.result.seconds) for row in comparison.rows
    ]


def test_extras_that_are_not_installed_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    for module in ("pyarrow", "pyarrow.parquet", "distributed"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError) as caught:
        nng.compare(contraction(), ["km"]).to_parquet(tmp_path / "runs.parquet")
    assert str(caught.value) == "a Parquet file needs the extra 'tables': pip install 'nngames[tables]'"
    with pytest.raises(MissingExtraError) as caught:
        nng.compare(nng.load_scenario("gallery:clearing"), ["km"], cluster="tcp://127.0.0.1:1")
    assert str(caught.value) == "a cluster needs the extra 'dask': pip install 'nngames[dask]'"


def test_a_result_comes_back_from_its_record() -> None:
    game = contraction()
    result = nng.solve(game, "km", trace_nash_gap=True)
    record = json.loads(written(record_of(result, keep=True)))
    back = result_of(record, game.space.actions, lambda: result.guarantee)
    assert back.to_dict() == result.to_dict()
    assert {player: action.tolist() for player, action in back.actions.items()} == {
        player: action.tolist() for player, action in result.actions.items()
    }
    short = result_of(record_of(result, keep=False), game.space.actions, lambda: result.guarantee)
    assert short.figures() == result.figures()
    assert (short.profile.size, short.trace.residual.size, short.actions) == (0, 0, {})


# Proved bounds


def nonexpansive() -> Any:
    rotation = np.array([[0.0, -1.0], [1.0, 0.0]])
    return nng.Network.recurrent(rotation, [0.5, 0.4], "relu").game()


@pytest.mark.parametrize("method", ["km", "halpern", "extragradient"])
def test_bounds_are_those_of_the_guarantee_and_hold(method: str) -> None:
    game = nonexpansive()
    comparison = nng.compare(game, [method, "km"], start=[3.0, 1.0], max_iterations=200)
    equilibrium = np.array([0.05, 0.45])
    row = comparison.rows[0]
    curve = row.bound(equilibrium)
    rate = row.result.guarantee.rate
    distance = rate.norm(np.array([3.0, 1.0]) - equilibrium)
    assert curve.values.tolist() == [rate.bound(k, distance) for k in range(row.result.iterations + 1)]
    assert curve.evaluations.tolist() == row.result.trace.evaluations.tolist()
    assert (curve.quantity, curve.description) == (rate.quantity, rate.description)
    if curve.quantity == "residual":
        assert (row.result.trace.residual <= curve.values * (1 + 1e-9)).all()
    figure = comparison.plot()
    dashed = [line for line in figure.axes[0].get_lines() if line.get_label() == f"_bound of {method}"]
    assert len(dashed) == 1
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend[-1] == "x*: the profile with the smallest residual that was found"
    assert any(text.startswith(f"{method}: proved bound") and text.endswith(curve.description) for text in legend)


def test_bounds_on_different_quantities_look_different() -> None:
    """A bound on the distance may lie below residuals: it is not to be taken for one on them."""
    comparison = nng.compare({"a": nonexpansive(), "b": contraction()}, ["km"], start=[3.0, 1.0], max_iterations=200)
    figure = comparison.plot()
    handles = {handle.get_label(): handle for handle in figure.legends[0].get_lines()}
    of_kinds = [
        handles["dashed in a method's colour: proved bound"],
        handles["dashed in a method's colour: proved bound on the distance to x*, not on the residual"],
    ]
    drawn = [line for axes in figure.axes for line in axes.get_lines() if line.get_label().startswith("_bound of ")]
    looks = [[line._unscaled_dash_pattern for line in lines] for lines in (of_kinds, drawn)]
    assert looks[0] == looks[1]
    assert looks[0][0] != looks[0][1]


def test_what_is_not_proved_has_no_bound() -> None:
    comparison = nng.compare(nonexpansive(), ["picard", "auto"], start=[3.0, 1.0], max_iterations=100)
    assert [row.bound(np.array([0.05, 0.45])) for row in comparison.rows] == [None, None]
    legend = [text.get_text() for text in comparison.plot().legends[0].get_texts()]
    assert len(legend) == 2


def test_several_games_have_a_panel_each() -> None:
    games = {"one": contraction(), "two": nonexpansive(), "three": imitators()}
    figure = nng.compare(games, ["km", "picard"], max_iterations=50).plot()
    assert [axes.get_title(loc="left") for axes in figure.axes if axes.axison] == ["one", "two", "three"]
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend[:2] == ["km", "picard"]


def test_a_profile_is_drawn_as_its_curve_says() -> None:
    comparison = drawn_runs(np.random.default_rng(9))
    profile = comparison.profile()
    axes = comparison.plot_profile().axes[0]
    for method, line in zip(profile.methods, axes.get_lines(), strict=False):
        factors, shares = profile.curve(method)
        assert np.asarray(line.get_xdata())[1:-1].tolist() == factors.tolist()
        assert np.asarray(line.get_ydata())[1:-1].tolist() == shares.tolist()
