"""The verbs that solve nothing: explain, list, new, validate, schema."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nngames.cli.printing import Json, emit_json


def nngames(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    """Networks as games: solved by many schemes, decided with certificates.

    A scenario file describes a network, a game or a training, and what to do with it. 'nngames new ring' writes one to
    start from; 'nngames list gallery' names those that come with the package.
    """
    if version:
        from nngames import __version__

        print(__version__)
    elif context.invoked_subcommand is None:
        print(context.get_help())


def explain(
    subject: Annotated[
        str,
        typer.Argument(
            metavar="SUBJECT", help="A scenario; or a method, activation, generator, certificate or check by name."
        ),
    ],
    latex: Annotated[bool, typer.Option("--latex", help="Write the scenario's game in LaTeX.")] = False,
    json: Json = False,
) -> None:
    """Print a scenario's players and costs, or a method's page.

    A name that 'nngames list' shows is explained as such; anything else is a scenario.
    """
    from nngames.cli.catalogue import names, page
    from nngames.core.errors import UnknownNameError

    found = page(subject)
    if found is None and _is_name(subject) and not Path(subject).exists():
        raise UnknownNameError("name or scenario", subject, names())
    if found is None:
        from nngames.scenario import load_scenario

        found = load_scenario(subject).game.explain("latex" if latex else "text")
    if json:
        emit_json({"subject": subject, "text": found})
    else:
        print(found)


def _is_name(subject: str) -> bool:
    """Whether a subject looks like a registered name: an identifier, or one of an external solver's package."""
    from nngames.cli.catalogue import names

    package, colon, _ = subject.partition(":")
    return subject.isidentifier() or (bool(colon) and any(name.startswith(f"{package}:") for name in names()))


def show_list(
    kind: Annotated[
        str | None,
        typer.Argument(
            metavar="[KIND]",
            help="methods, activations, generators, certificates, checks, gallery or templates.",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """List methods, activations, generators, checks, scenarios."""
    from nngames.cli.catalogue import listing, listings

    if json:
        emit_json(listings(kind))
    else:
        print(listing(kind))


def new(
    kind: Annotated[
        str,
        typer.Argument(
            metavar="KIND", help="ring, chain, recurrent, graph, adjacency, generated, quadratic or training."
        ),
    ],
) -> None:
    """Print a commented scenario: nngames new ring > mine.yaml"""
    from nngames.scenario.templates import template

    print(template(kind), end="")


def validate(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="Scenario files, or gallery:NAME.")],
    json: Json = False,
) -> None:
    """Check the keys, arrays and shapes of scenarios; run nothing.

    Also that there are the figures about which they expect something.
    """
    from nngames.core.errors import InputError
    from nngames.scenario import ScenarioError, load_scenario
    from nngames.scenario.comparing import methods_of
    from nngames.scenario.run import check_paths

    problems, valid = [], {}
    for file in files:
        try:
            scenario = load_scenario(file)
            _ = scenario.game, scenario.start
            check_paths(scenario, methods_of(scenario), scenario.section.checks)
        except ScenarioError as error:
            problems.append(str(error))
        else:
            valid[file] = scenario.summary
    if json and not problems:
        emit_json({"valid": valid})
    elif not json:
        for file, summary in valid.items():
            print(f"{file}: valid; {summary}")
    if problems:
        raise InputError("\n".join(problems))


def schema() -> None:
    """Print the JSON schema of scenarios, for editors."""
    from nngames.scenario.schema import schema_text

    print(schema_text(), end="")
