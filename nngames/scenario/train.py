"""Training a scenario's network by its methods: with curves, checkpoints, and a network saved at the end."""

from __future__ import annotations

import os
import re
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
from nngames.scenario.run import RunInterrupted, check_paths, decided, undecided
from nngames.scenario.scenario import Scenario
from nngames.scenario.scenario_report import ScenarioReport
from nngames.scenario.solve_sections import choose_methods
from nngames.solvers import Interrupted, solve
from nngames.solvers.automatic.auto import Auto
from nngames.solvers.checkpoints import Checkpoints, check_applies, check_resumable, solve_with_checkpoints
from nngames.solvers.solver import Iterate
from nngames.training.learning_curve import LearningCurve
from nngames.training.saved_network import save_network


@dataclass(frozen=True, eq=False)
class TrainingReport:
    """What the training runs of a scenario found.

    Attributes
    ----------
    report : ScenarioReport
        The runs and the expectations about them.
    curves : mapping label -> LearningCurve
    """

    report: ScenarioReport
    curves: Mapping[str, LearningCurve]

    @property
    def results(self) -> Mapping[str, Result]:
        """The runs by their methods' labels."""
        return self.report.results

    @property
    def outcomes(self) -> dict[str, Any]:
        """What they came to; without those whose parameters are no finite numbers."""
        return {label: self.report.outcome(label) for label in self.report.trained}

    @property
    def label(self) -> str:
        """The first method's."""
        return next(iter(self.results))

    @property
    def result(self) -> Result:
        """The first run."""
        return self.results[self.label]

    @property
    def outcome(self) -> Any:
        """What the first run came to; None where its parameters are no finite numbers."""
        return self.outcomes.get(self.label)

    @property
    def usable(self) -> bool:
        """Whether the first run's network is worth keeping: it has not diverged nor failed."""
        return self.label in self.report.trained and self.result.status not in (Status.DIVERGED, Status.FAILED)

    @property
    def expectations(self) -> tuple[Statement, ...]:
        """The expectations, each compared with the runs."""
        return tuple(self.report.expectations)

    @property
    def ok(self) -> bool:
        """Whether every expectation is met, and each run converged or was expected not to."""
        return self.report.ok

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain JSON-ready data."""
        found = self.report.to_dict()
        return {**found, "curves": plain({label: curve.to_dict() for label, curve in self.curves.items()})}

    def save(self, path: str | os.PathLike[str]) -> tuple[Path, Path]:
        """Write the first run's network as NAME.npz and NAME.yaml, in the data's units; return both names.

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
        """Draw losses and residuals against passes; save to ``path`` if given, and return the figure."""
        from nngames.report.plots import plot_learning_curves

        return plot_learning_curves(self.curves, self.results, path)


def train_scenario(
    source: str | os.PathLike[str] | Scenario,
    methods: str | Mapping[str, Any] | Sequence[Any] | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    resume: bool = False,
    every: float | None = None,
    progress: Callable[[str, Iterate], Any] | None = None,
) -> TrainingReport:
    """Train the network of a scenario by each of its methods.

    Parameters
    ----------
    source : path, "gallery:NAME", text or Scenario
        With a training section.
    methods : name, mapping, or sequence of them, optional
        Default: the scenario's methods. Where it names none, ``auto``, or ``alternating`` and ``backpropagation`` if
        hidden targets are to be found.
    checkpoint : path, optional
        A file that the state of the run is written to, from which it goes on if it is killed; of several runs one file
        each, ``checkpoint_files`` of it.
    resume : bool
        Whether to go on from the checkpoints that are there.
    every : float, optional
        Seconds between two checkpoints; default 10.
    progress : callable, optional
        Called with the method's label and each iterate.

    Returns
    -------
    TrainingReport

    Raises
    ------
    InputError, OptionError
        If the scenario trains nothing, a checkpoint is that of another run, or an option is not usable.
    NotApplicableError
        Before anything runs, if a method cannot run on the problem, or keeps no checkpoints.
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
    if every is not None and checkpoint is None:
        raise InputError("every needs a checkpoint, the file that is written so often")
    chosen = chosen_methods(scenario, methods)
    check_paths(scenario, chosen, ())
    _ = scenario.game, scenario.start
    for method in chosen:
        (check_applies if checkpoint is None else check_resumable)(scenario.game_of(method.name), _solver(method))
    often = {} if every is None else {"every": every}
    files = {} if checkpoint is None else checkpoint_files(checkpoint, [method.label for method in chosen])
    kept = {
        label: Checkpoints(file, {"problem": scenario.content()}, resume=resume, companion=_curve(scenario), **often)
        for label, file in files.items()
    }
    results: dict[str, Result] = {}
    curves: dict[str, LearningCurve] = {}
    for method in chosen:
        try:
            result = _trained(scenario, method, curves, kept.get(method.label), progress)
        except Interrupted as interruption:
            result = interruption.result
        except KeyboardInterrupt:
            # Between two steps' worth of work: what is done is told.
            if not results:
                raise
            raise RunInterrupted(TrainingReport(undecided(scenario, results, {}), curves)) from None
        results[method.label] = result
        curves[method.label].add(result.iterations, result.evaluations, result.profile)
        if result.status is Status.INTERRUPTED:
            raise RunInterrupted(TrainingReport(undecided(scenario, results, {}), curves))
    found = decided(ScenarioReport(scenario, results, {}), chosen, ())
    return TrainingReport(ScenarioReport(scenario, results, {}, found), curves)


def _trained(
    scenario: Scenario,
    method: Chosen,
    curves: dict[str, LearningCurve],
    kept: Checkpoints | None,
    progress: Callable[[str, Iterate], Any] | None,
) -> Result:
    curve: Any = _curve(scenario) if kept is None else kept.companion
    curves[method.label] = curve

    def note(iterate: Iterate) -> None:
        curve(iterate)
        if progress is not None:
            progress(method.label, iterate)

    stopping = scenario.stopping
    options: dict[str, Any] = {
        "start": scenario.start_of(method.name),
        "tolerance": stopping.tolerance,
        "max_iterations": stopping.max_iterations,
        "max_seconds": stopping.max_seconds,
        "seed": scenario.seed,
        "callback": note,
    }
    game = scenario.game_of(method.name)
    if kept is None:
        return solve(game, method.entry or "auto", **options)
    return solve_with_checkpoints(game, _solver(method), kept, **options)


def _curve(scenario: Scenario) -> LearningCurve:
    assert scenario.training is not None  # noqa: S101 - only asked of scenarios that train
    return LearningCurve(scenario.training.point)


def _solver(method: Chosen) -> Any:
    return method.entry or Auto()


def chosen_methods(scenario: Scenario, methods: str | Mapping[str, Any] | Sequence[Any] | None) -> Sequence[Chosen]:
    """Return the methods to train by: those named, by the scenario's own labels or otherwise, or the scenario's."""
    if methods is None:
        training = scenario.training
        return scenario.methods or choose_methods(["auto"] if training is None else training.default_methods)
    if isinstance(methods, str | Mapping):
        methods = [methods]
    own = {method.label: method for method in scenario.methods}
    # The scenario's own options go with its own labels.
    given = [own[method] if isinstance(method, str) and method in own else method for method in methods]
    mappings = [{"method": m.name, "label": m.label, **m.options} if isinstance(m, Chosen) else m for m in given]
    return choose_methods(mappings)


def checkpoint_files(path: str | os.PathLike[str], labels: Sequence[str]) -> dict[str, Path]:
    """Return the file of each method: the path itself of a single one, else NAME.LABEL.npz beside it."""
    given = Path(path)
    if len(labels) == 1:
        return {labels[0]: given}
    files: dict[str, Path] = {}
    for number, label in enumerate(labels, start=1):
        word = re.sub(r"[^\w-]+", "_", label)
        name = f"{given.stem}.{word}{given.suffix}"
        if any(file.name == name for file in files.values()):
            name = f"{given.stem}.{word}.{number}{given.suffix}"
        files[label] = given.with_name(name)
    return files


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
            if option == "--save" and path.exists():
                raise InputError(f"{option} {file}: the file exists, and a network is not overwritten; name another")
            taken[path] = f"what {option} writes"
            try:
                tempfile.TemporaryFile(dir=path.parent).close()
            except OSError as error:
                raise InputError(f"{option} {file}: cannot be written: {error.strerror}") from None
