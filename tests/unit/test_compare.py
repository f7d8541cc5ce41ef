"""Comparisons: every run kept with its label, status and reason; refusals before the first run; interruption."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import nngames as nng
from nngames.core.errors import InputError, OptionError, UnknownNameError
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
            "method 'km' has no option 'relax'; did you mean 'relaxation'? valid: map, relaxation",
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
    view = type(contraction().fixed_point("composite"))
    original = view.evaluate
    calls: list[int] = []

    def broken(self: Any, x: Any, out: Any) -> Any:
        calls.append(0)
        if len(calls) == 60:
            raise KeyboardInterrupt
        return original(self, x, out)

    monkeypatch.setattr(view, "evaluate", broken)
    with pytest.raises(Interrupted) as caught:
        nng.compare(contraction(), ["picard", "km", {"method": "km", "relaxation": 0.1}, "best_response"])
    rows = caught.value.comparison.rows
    assert [row.result.status for row in rows] == ["converged", "converged", "interrupted"]
    assert [row.method for row in rows] == ["picard", "km", "km(relaxation=0.1)"]
