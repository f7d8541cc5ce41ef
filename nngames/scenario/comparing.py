"""Comparisons of scenarios: many methods side by side, and what each scenario expects of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nngames.compare import compare
from nngames.compare.cases import own_methods
from nngames.compare.methods import distinct
from nngames.core.plain import plain
from nngames.results.comparison import Comparison
from nngames.scenario.choices import Chosen
from nngames.scenario.run import RunInterrupted, check_paths, decided, undecided
from nngames.scenario.scenario import Scenario
from nngames.scenario.scenario_report import ScenarioReport
from nngames.scenario.solve_sections import choose_methods
from nngames.solvers import Interrupted


@dataclass(frozen=True, eq=False)
class ComparisonReport:
    """Methods side by side on scenarios.

    Attributes
    ----------
    comparison : Comparison
    reports : mapping name -> ScenarioReport
        One for each scenario and seed, on the first repetition of each method.
    """

    comparison: Comparison
    reports: Mapping[str, ScenarioReport]

    @property
    def single(self) -> ScenarioReport | None:
        """The report, where there is one scenario, seed and repetition; None elsewhere."""
        alone = len(self.reports) == 1 and not any(row.repeat or row.seed is not None for row in self.comparison.rows)
        return next(iter(self.reports.values())) if alone else None

    @property
    def unexpected(self) -> tuple[str, ...]:
        """The runs that did not converge, by scenario and method, where no expectation states it."""
        # Repetitions end alike but for what happens to their processes.
        stated = {
            (name, label)
            for name, report in self.reports.items()
            for label in report.results
            if label not in report.unexpected
        }
        found = dict.fromkeys(
            f"{row.case}: {row.method}"
            for row in self.comparison.rows
            if not row.result.converged
            and ((row.case, row.method) not in stated or self.reports[row.case].results[row.method].converged)
        )
        return tuple(found)

    @property
    def ok(self) -> bool:
        """Whether every expectation is met and every run converged, or was expected not to."""
        met = all(s.met is not False for report in self.reports.values() for s in report.expectations)
        return met and not self.unexpected

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain JSON-ready data: of a single run of one scenario, as ``run`` reports it."""
        if self.single is not None:
            return self.single.to_dict()
        expectations = {name: [s.to_dict() for s in report.expectations] for name, report in self.reports.items()}
        return {
            **self.comparison.to_dict(full=False),
            "expect": plain({name: statements for name, statements in expectations.items() if statements}),
            "unexpected": list(self.unexpected),
            "ok": self.ok,
        }

    def plot(self, path: str | os.PathLike[str] | None = None) -> Any:
        """Draw the runs with their proved bounds; save to ``path`` if given, and return the figure."""
        return self.comparison.plot(path)


def compare_scenarios(
    scenarios: Sequence[Scenario],
    methods: Sequence[Chosen] | None = None,
    repeat: int = 1,
    seeds: int | Sequence[int] | None = None,
    gaps: bool = False,
    progress: Callable[[str], Any] | None = None,
    **placement: Any,
) -> ComparisonReport:
    """Compare methods on scenarios, and decide what the scenarios expect of them.

    Parameters
    ----------
    scenarios : sequence of Scenario
    methods : sequence of Chosen, optional
        By default each scenario's own, or all where it names none.
    repeat, seeds, progress
        As for ``compare``.
    gaps : bool
        Whether the traces hold the Nash gap of each iterate.
    **placement
        ``workers``, ``cluster``, ``store``, ``pin``, ``fresh`` and ``finished`` of ``compare``.

    Raises
    ------
    ScenarioError
        If an expectation's path leads nowhere, or the only scenario's parts do not fit.
    OptionError, InputError, MissingExtraError
        As ``compare``.
    RunInterrupted
        On Ctrl-C; its report holds what was reached so far.
    """
    chosen = [methods_of(scenario) if methods is None else methods for scenario in scenarios]
    for scenario, own in zip(scenarios, chosen, strict=True):
        check_paths(scenario, own, ())
    if len(scenarios) == 1 and seeds is None:
        # What is wrong with it is told before anything runs.
        _ = scenarios[0].game, scenarios[0].start
    labels = distinct([scenario.name for scenario in scenarios])
    subjects = dict(zip(labels, scenarios, strict=True))
    methods_by_label = dict(zip(labels, chosen, strict=True))
    given = None
    if methods is not None:
        given = [{"method": method.name, "label": method.label, **method.options} for method in methods]
    try:
        comparison = compare(subjects, given, repeat, seeds=seeds, trace_nash_gap=gaps, progress=progress, **placement)
    except Interrupted as interruption:
        reached = _report(interruption.comparison or Comparison(()), subjects, None)
        raise RunInterrupted(reached) from None
    return _report(comparison, subjects, methods_by_label)


def methods_of(scenario: Scenario) -> Sequence[Chosen]:
    """Return the methods that a scenario names, or all of nngames' own."""
    return scenario.methods or choose_methods(own_methods())


def _report(
    comparison: Comparison, subjects: Mapping[str, Scenario], methods: Mapping[str, Sequence[Chosen]] | None
) -> ComparisonReport:
    """Return the report on a comparison; without methods, its expectations are left open."""
    reports = {}
    for name, rows in comparison.cases().items():
        first = next(iter(rows.values()))
        scenario = subjects[first.game]
        if first.seed is not None:
            scenario = scenario.with_changes(seed=first.seed)
        results = {label: row.result for label, row in rows.items()}
        if methods is None:
            reports[name] = undecided(scenario, results, {})
            continue
        found = decided(ScenarioReport(scenario, results, {}), methods[first.game], ())
        reports[name] = ScenarioReport(scenario, results, {}, found)
    return ComparisonReport(comparison, reports)
