"""Training a scenario's network by one method: with a curve, checkpoints, and the network saved at the end."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nngames.core.errors import InputError
from nngames.core.plain import plain
from nngames.results.result import Result, Status
from nngames.scenario.choices import Chosen
from nngames.scenario.expectations import Statement
from nngames.scenario.loader import load_scenario
from nngames.scenario.portable import file_names
from nngames.scenario.run import RunInterrupted, check_paths, decided
from nngames.scenario.scenario import Scenario
from nngames.scenario.scenario_report import ScenarioReport
from nngames.scenario.solve_sections import choose_methods
from nngames.solvers import Interrupted, solve
from nngames.solvers.auto import Auto
from nngames.solvers.checkpoints import Checkpoints, solve_with_checkpoints
from nngames.solvers.solver import Iterate
from nngames.training.learning_curve import LearningCurve
from nngames.training.prepared import TrainingOutcome
from nngames.training.saved_network import save_network


@dataclass(frozen=True, eq=False)
class TrainingReport:
    """What a training run found.

    Attributes
    ----------
    report : ScenarioReport
        The run and the expectations about it.
    label : str
        The method's.
    curve : LearningCurve
    """

    report: ScenarioReport
    label: str
    curve: LearningCurve

    @property
    def result(self) -> Result:
        """The run."""
        return self.report.results[self.label]

    @property
    def outcome(self) -> TrainingOutcome | None:
        """What it came to; None where its parameters are no finite numbers."""
        return self.report.outcome(self.label) if self.label in self.report.trained else None

    @property
    def usable(self) -> bool:
        """Whether the network is worth keeping: the run has not diverged nor failed."""
        return self.outcome is not None and self.result.status not in (Status.DIVERGED, Status.FAILED)

    @property
    def expectations(self) -> tuple[Statement, ...]:
        """The expectations, each compared with the run."""
        return tuple(self.report.expectations)

    @property
    def ok(self) -> bool:
        """Whether every expectation is met, and the run converged or was expected not to."""
        return self.report.ok

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain JSON-ready data."""
        found = self.report.to_dict()
        return {**found, "curve": plain(self.curve.to_dict())}

    def save(self, path: str | os.PathLike[str]) -> tuple[Path, Path]:
        """Write the trained network as NAME.npz and NAME.yaml, in the data's units; return both names.

        Raises
        ------
        InputError
            If the run diverged or failed.
        """
        training = self.report.scenario.training
        if training is None or not self.usable:
            raise InputError(f"there is no network to save: {self.result.message}")
        row = int((training.test if training.test.size else training.train)[0])
        name = f"trained: {self.report.scenario.name}"
        return save_network(training.trained(self.result.profile), path, training.inputs[row], name)

    def plot(self, path: str | os.PathLike[str] | None = None) -> Any:
        """Draw loss and residual against passes; save to ``path`` if given, and return the figure."""
        from nngames.report.plots import plot_learning_curve

        return plot_learning_curve(self.curve, self.result, path)


def train_scenario(
    source: str | os.PathLike[str] | Scenario,
    method: Any = None,
    checkpoint: str | os.PathLike[str] | None = None,
    resume: bool = False,
    every: float = 10.0,
    progress: Callable[[Iterate], Any] | None = None,
) -> TrainingReport:
    """Train the network of a scenario by one method.

    Parameters
    ----------
    source : path, "gallery:NAME", text or Scenario
        With a training section.
    method : name or mapping, optional
        Default: the first of the scenario's methods; ``auto`` where it names none.
    checkpoint : path, optional
        A file that the state of the run is written to, from which it goes on if it is killed.
    resume : bool
        Whether to go on from the checkpoint if the file is there.
    every : float
        Seconds between two checkpoints.
    progress : callable, optional
        Called with each iterate.

    Returns
    -------
    TrainingReport

    Raises
    ------
    InputError, OptionError
        If the scenario trains nothing, a checkpoint is that of another run, or an option is not usable.
    NotApplicableError
        If the method cannot run on the problem, or keeps no checkpoints.
    ScenarioError
        As ``run_scenario``.
    RunInterrupted
        On Ctrl-C, once the checkpoint is written.
    """
    scenario = source if isinstance(source, Scenario) else load_scenario(source)
    if scenario.section.training is None:
        raise InputError(f"{scenario.file}: the scenario has no training section; nngames run solves its game")
    if resume and checkpoint is None:
        raise InputError("resume needs a checkpoint, the file to go on from")
    chosen = _chosen(scenario, method)
    check_paths(scenario, [chosen], ())
    training, start = scenario.training, scenario.start
    assert training is not None  # noqa: S101 - it has a training section
    game, curve = scenario.game, LearningCurve(training.problem)

    def note(iterate: Iterate) -> None:
        curve(iterate)
        if progress is not None:
            progress(iterate)

    stopping = scenario.stopping
    options: dict[str, Any] = {
        "start": start,
        "tolerance": stopping.tolerance,
        "max_iterations": stopping.max_iterations,
        "max_seconds": stopping.max_seconds,
        "seed": scenario.seed,
        "callback": note,
    }
    stopped = False
    try:
        if checkpoint is None:
            result = solve(game, chosen.entry or "auto", **options)
        else:
            kept = Checkpoints(Path(checkpoint), {"problem": scenario.content()}, every, resume, curve)
            result = solve_with_checkpoints(game, chosen.entry or Auto(), kept, **options)
    except Interrupted as interruption:
        result, stopped = interruption.result, True
    curve.add(result.iterations, result.evaluations, result.profile)
    report = ScenarioReport(scenario, {chosen.label: result}, {})
    if stopped or result.status is Status.INTERRUPTED:
        raise RunInterrupted(TrainingReport(report, chosen.label, curve))
    report = ScenarioReport(scenario, {chosen.label: result}, {}, decided(report, [chosen], ()))
    return TrainingReport(report, chosen.label, curve)


def check_outputs(scenario: Scenario, outputs: Mapping[str, Sequence[str | os.PathLike[str]]]) -> None:
    """Raise InputError, before anything runs, if a file to write is the scenario, one it reads, or named twice.

    Or if its folder takes no files.
    """
    taken = {Path(scenario.file).resolve(): "the scenario itself"}
    if scenario.folder is not None:
        for name in file_names(scenario.document.data):
            taken[(scenario.folder.base / name).resolve()] = "a file that the scenario reads"
    for option, files in outputs.items():
        for file in files:
            path = Path(file).resolve()
            if path in taken:
                raise InputError(f"{option} {file}: that is {taken[path]}; give another name")
            taken[path] = f"what {option} writes"
            try:
                tempfile.TemporaryFile(dir=path.parent).close()
            except OSError as error:
                raise InputError(f"{option} {file}: cannot be written: {error.strerror}") from None


def _chosen(scenario: Scenario, method: Any) -> Chosen:
    if method is None and scenario.methods:
        return scenario.methods[0]
    if isinstance(method, str):
        # The scenario's own options go with its own labels.
        for own in scenario.methods:
            if own.label == method:
                return own
    return choose_methods(["auto" if method is None else method])[0]
