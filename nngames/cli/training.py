"""The verb that trains the network of a scenario."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from nngames.cli.printing import Json, emit, say
from nngames.cli.running import File, MaxIterations, MaxSeconds, Plot, Seed, Tolerance, check_file, check_picture


def train(
    file: File,
    json: Json = False,
    plot: Plot = None,
    method: Annotated[
        str | None, typer.Option(metavar="NAME", help="A method or a label of the file's; by default its first method.")
    ] = None,
    tolerance: Tolerance = None,
    max_iterations: MaxIterations = None,
    max_seconds: MaxSeconds = None,
    seed: Seed = None,
    save: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Write the network: NAME.npz and NAME.yaml, a scenario that 'run' takes."),
    ] = None,
    checkpoint: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write the state of the run there now and then.")
    ] = None,
    every: Annotated[float, typer.Option(metavar="SECONDS", help="Between two checkpoints.")] = 10.0,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the checkpoint, if the file is there, to the same result.")
    ] = False,
) -> int:
    """Train the network that a scenario's training section describes.

    By one method; 'run' and 'compare' take several. The exit code is 0 if every expectation is met.
    """
    from nngames.scenario import RunInterrupted, load_scenario, train_scenario
    from nngames.scenario.train import check_outputs
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
    named = {"--checkpoint": checkpoint, "--plot": plot}
    check_outputs(scenario, {"--save": pair, **{option: [file] for option, file in named.items() if file is not None}})
    if resume and checkpoint is not None:
        there = Path(checkpoint).exists()
        say(f"going on from {checkpoint}" if there else f"there is no {checkpoint} yet: starting from the beginning")
    with _progress(scenario.stopping.max_iterations) as progress:
        try:
            report = train_scenario(scenario, method, checkpoint, resume, every, progress)
        except RunInterrupted as interruption:
            emit(interruption.report, json)
            if checkpoint is not None:
                say(f"the state is in {checkpoint}; the same command with --resume goes on")
            raise
    code = 0 if report.ok else 1
    # Before anything is printed, which may fail: a run can be long.
    if save is not None and not report.usable:
        say("the network is not saved: the run came to nothing")
    elif save is not None:
        try:
            for written in report.save(save):
                say(f"wrote {written}")
        except OSError as error:
            say(f"the network is not saved: {error.strerror}")
            code = 2
    emit(report, json)
    if plot is not None:
        report.plot(plot)
    return code


@contextmanager
def _progress(most: int) -> Iterator[Callable[[Any], Any] | None]:
    """Show steps and residual on stderr, where that is a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    parts = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}", markup=False))
    with Progress(*parts, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=most)
        yield lambda iterate: bar.update(
            task, completed=iterate.iteration, description=f"residual {iterate.residual:.2e}"
        )
