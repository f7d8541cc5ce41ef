"""The verb that audits activations."""

from __future__ import annotations

from typing import Annotated

import typer

from nngames.cli.printing import Json, emit_json, say

Names = Annotated[
    list[str] | None, typer.Argument(metavar="[NAME...]", help="Activations to tell of in full; none: all in a table.")
]
Sheets = Annotated[str | None, typer.Option("--plot", metavar="DIR", help="Draw them in a folder, a sheet a family.")]


def audit(names: Names = None, json: Json = False, plot: Sheets = None) -> None:
    """Decide the source's claims about activations.

    Each claimed constant of averagedness is proved tight, valid but loose, valid for some parameters, or refuted by two
    points; slope ranges are exact, with what they rest on.
    """
    from rich.console import Console

    from nngames.claims import audit as audited
    from nngames.claims import chosen
    from nngames.report.audit_tables import print_audit, print_audit_row

    if plot is not None:
        from nngames.report.activation_sheets import plot_activations

        for sheet in plot_activations(plot, names=names or None):
            say(f"wrote {sheet}")
    console = Console(highlight=False)
    if names:
        rows = chosen(names)
        if json:
            emit_json({"rows": rows})
        else:
            for row in rows:
                print_audit_row(console, row)
        return
    report = audited()
    if json:
        emit_json(report.to_dict())
    else:
        print_audit(console, report)
