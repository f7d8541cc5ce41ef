"""The expectations of a saved report, compared again with what its file holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from nngames.core.plain import plain
from nngames.results.result import Status
from nngames.scenario.expectations import MissingPathError, Statement, evaluate, same, unasked
from nngames.scenario.problems import Path, shown

if TYPE_CHECKING:
    from nngames.scenario.scenario import Scenario

#: The keys of a report that are not reports of checks.
NO_CHECKS = ("document", "scenario", "game", "solve", "training", "expect", "ok")


def compared_again(
    scenario: Scenario, data: Mapping[str, Any], note: Callable[[Path, str], None]
) -> tuple[list[Statement], bool]:
    """Return the scenario's expectations, compared with a report's data, and whether all is as expected.

    Parameters
    ----------
    scenario : Scenario
    data : mapping
        The report.
    note : callable
        Told a path in the report and what stands there although it is otherwise.
    """
    solves = data["solve"]
    kinds = ("solve",) if scenario.section.training is None else ("solve", "training")
    known = {"scenario", "game", *(f"{kind}.{label}" for kind in kinds for label in solves)}
    known |= {key for key in data if key not in NO_CHECKS}
    # A run that was interrupted has decided nothing.
    open_run = any(given.get("status") == str(Status.INTERRUPTED) for given in solves.values())
    statements = []
    for i, expectation in enumerate(scenario.section.expect):
        what = expectation.what
        if open_run or not any(what == part or what.startswith(f"{part}.") for part in known):
            statements.append(unasked(expectation))
            continue
        try:
            statements.append(evaluate(expectation, data))
        except MissingPathError as error:
            note(("expect", i), f"has nothing to compare {what} with: {error}")
            statements.append(unasked(expectation))
    _compare(data.get("expect"), statements, note)
    judged = {statement.what for statement in statements}
    converged = all(
        given.get("status") == "converged" or f"solve.{label}.status" in judged for label, given in solves.items()
    )
    ok = converged and all(statement.met is not False for statement in statements)
    if data.get("ok") is not ok:
        note(("ok",), f"is {shown(data.get('ok'))}; by the results and expectations it is {shown(ok)}")
    return statements, ok


def _compare(stated: Any, statements: list[Statement], note: Callable[[Path, str], None]) -> None:
    if not isinstance(stated, list) or len(stated) != len(statements):
        note(("expect",), f"must be a list of the scenario's expectations, {len(statements)} in number")
        return
    for i, (given, statement) in enumerate(zip(stated, statements, strict=True)):
        right = plain(statement.to_dict())
        if not isinstance(given, dict) or given.keys() != right.keys():
            note(("expect", i), f"must be a mapping with {', '.join(right)}")
            continue
        for key, value in right.items():
            if not same(given[key], value):
                note(("expect", i, key), f"is {shown(given[key])}; by this file it is {shown(value)}")
