"""The verbs about the source: its activations audited, and the ledger of its claims."""

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


ClaimNames = Annotated[
    list[str] | None, typer.Argument(metavar="[NAME...]", help="Claims to tell of in full; none: all in a table.")
]
Rederive = Annotated[
    bool, typer.Option("--run", help="Derive the verdicts again and compare them with those on record.")
]


def claims(names: ClaimNames = None, run: Rederive = False, json: Json = False) -> int:
    """List the source's claims and decide them again.

    With --run the exit code is 1 if a verdict is not the one on record.
    """
    from rich.console import Console

    from nngames.claims.ledger import derive, ledger
    from nngames.report.claim_tables import print_claim, print_ledger, summary

    console = Console(highlight=False)
    if not run:
        entries = ledger(names or ())
        if json:
            emit_json({"claims": entries})
        elif names:
            for entry in entries:
                print_claim(console, entry)
        else:
            print_ledger(console, entries)
        return 0
    derived = []
    for entry in derive(names or ()):
        derived.append(entry)
        say(f"{entry.name}: {entry.seconds:.1f} s")
        if not json:
            print_claim(console, entry)
    wrong = [entry.name for entry in derived if not entry.agrees]
    if json:
        emit_json({"claims": derived, "as_on_record": not wrong})
    else:
        console.print()
        console.print(summary(derived))
        console.print(f"not as on record: {', '.join(wrong)}" if wrong else "all as on record")
    return 1 if wrong else 0
