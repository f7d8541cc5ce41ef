"""The verb that trains the network of a scenario."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from nngames.cli.printing import Json, emit, say
from nngames.cli.running import (
    File,
    MaxIterations,
    MaxSeconds,
    Plot,
    Seed,
    Tolerance,
    check_file,
    check_picture,
    names_of,
)


def train(
    file: File,
    json: Json = False,
    plot: Plot = None,
    method: Annotated[
        list[str] | None,
        typer.Option(
            "--method", "--methods", metavar="NAMES", help="Methods, or labels of the file's, separated by commas."
        ),
    ] = None,
    tolerance: Tolerance = None,
    max_iterations: MaxIterations = None,
    max_seconds: MaxSeconds = None,
    seed: Seed = None,
    save: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Write the first method's network: NAME.npz and NAME.yaml, a scenario that 'run' takes.",
        ),
    ] = None,
    checkpoint: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="Write the state of the run there now and then; of several, NAME.METHOD.npz."
        ),
    ] = None,
    every: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="Between two checkpoints.  [default: 10]")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the checkpoints that are there, to the same result.")
    ] = False,
) -> int:
    """Train the network that a scenario's training section describes.

    By each of the file's methods, and what they came to in one table. The exit code is 0 if every expectation is met.
    """
    from nngames.scenario import RunInterrupted, load_scenario, train_scenario
    from nngames.scenario.train import check_outputs, checkpoint_files, chosen_methods
    from nngames.training.saved_network import pair_of_files

    if plot is not None:
        check_picture(plot, "--plot")
    if checkpoint is not None:
        check_file(checkpoint, "--checkpoint")
    pair = [] if save is None else [str(path) for path in pair_of_files(save)]
    for path in pair:
        check_file(path, "--save")
    scenario = load_scenario(file).with_changes(
        seed=seed, tolerance=tolerance, max_iterations=max_iterations, max_seconds=max_seconds
    )
    methods = names_of(method)
    labels = [chosen.label for chosen in chosen_methods(scenario, methods)]
    states = {} if checkpoint is None else checkpoint_files(checkpoint, labels)
    named = [checkpoint] if len(states) == 1 else [str(state) for state in states.values()]
    outputs: dict[str, Any] = {"--save": pair, "--checkpoint": named, "--plot": [plot] if plot else []}
    check_outputs(scenario, outputs)
    for state in states.values() if resume else ():
        say(f"going on from {state}" if state.exists() else f"there is no {state} yet: starting from the beginning")
    with _progress(scenario.stopping.max_iterations) as progress:
        try:
            report = train_scenario(scenario, methods, checkpoint, resume, every, progress)
        except RunInterrupted as interruption:
            emit(interruption.report, json)
            if states:
                label = list(interruption.report.results)[-1]
                say(f"the state is in {states[label]}; the same command with --resume goes on")
            raise
    code = 0 if report.ok else 1
    # Before anything is printed, which may fail: a run can be long.
    if save is not None and not report.usable:
        say("the network is not saved: the run came to nothing")
    elif save is not None:
        whose = f", the network of {report.label}" if len(labels) > 1 else ""
        try:
            for written in report.save(save):
                say(f"wrote {written}{whose}")
        except OSError as error:
            say(f"the network is not saved: {error.strerror}")
            code = 2
    emit(report, json)
    if plot is not None:
        report.plot(plot)
    return code


@contextmanager
def _progress(most: int) -> Iterator[Callable[[str, Any], Any] | None]:
    """Show each method's steps and residual on stderr, where that is a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    parts = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}", markup=False))
    with Progress(*parts, console=Console(stderr=True), transient=True) as bar:
        tasks: dict[str, Any] = {}

        def show(label: str, iterate: Any) -> None:
            if label not in tasks:
                tasks[label] = bar.add_task("", total=most)
            words = f"{label}: residual {iterate.residual:.2e}"
            bar.update(tasks[label], completed=iterate.iteration, description=words)

        yield show
