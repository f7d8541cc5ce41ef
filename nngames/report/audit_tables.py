"""The audit of activations on a terminal: the table of all rows, and single rows in full."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from nngames.claims import Audit, AuditRow
from nngames.report.layout import columns, heading, line
from nngames.report.structure_tables import print_verdicts

#: Significant digits of a slope or constant in the tables; the rows in full give 30.
SHORT = 8
_HEADER = ("row", "activation", "claimed", "verdict", "slopes", "least constant", "prox of f", "proof")


def print_audit(console: Any, audit: Audit) -> None:
    """Print the table of all rows, what is to be said of each claim that is not tight, and the general claims."""
    columns(console, [cells(row) for row in audit.rows], _HEADER, right=[0], indent=0)
    heading(console, "What is decided about each claim")
    columns(console, [[str(row.number), row.name, sentences(row)] for row in audit.rows if row.number is not None])
    heading(console, "General claims")
    print_verdicts(console, audit.general)
    console.print()
    line(console, summary(audit))


def print_audit_row(console: Any, row: AuditRow) -> None:
    """Print one row in full."""
    heading(console, row.name if row.number is None else f"{row.name} (row {row.number}: {row.title})")
    columns(console, list(_facts(row)))


def _facts(row: AuditRow) -> Iterable[list[str]]:
    yield ["verdict", str(row.verdict)]
    if row.claimed:
        yield ["claimed", row.claimed]
    yield ["decided", row.statement]
    if row.parameters:
        yield ["parameters", ", ".join(f"{key}={value}" for key, value in row.parameters.items())]
    for name, exact, digits in zip(("least slope", "greatest slope"), row.slopes, row.digits, strict=True):
        yield [name, exact if exact == digits else f"{exact} = {digits}"]
    yield ["least constant", row.infimum]
    yield ["prox of f", _penalty(row)]
    yield ["proof", row.proof.method]
    if row.law:
        yield ["law", f"for every parameter: {row.law}"]
    if row.note:
        yield ["note", row.note]


def cells(row: AuditRow) -> list[str]:
    """Return the row of the table: number, name, claim, verdict, slopes, least constant, prox of what, proof."""
    number = "" if row.number is None else str(row.number)
    slopes = "none" if row.digits[0] == "none" else f"[{short(row.digits[0])}, {short(row.digits[1])}]"
    if row.slopes[1].startswith("<="):
        slopes = f"within {slopes}"
    return [
        number,
        row.name,
        row.claimed,
        str(row.verdict),
        slopes,
        short(row.infimum),
        _penalty(row),
        str(row.proof.evidence),
    ]


def _penalty(row: AuditRow) -> str:
    return "nothing" if row.penalty == "none" else row.penalty


def short(number: str) -> str:
    """Return a number's first digits; texts, fractions and infinities as they are."""
    try:
        value = float(number)
    except ValueError:
        return number
    return f"{value:.{SHORT}g}"


def sentences(row: AuditRow) -> str:
    """Return what is decided about a row, with its note."""
    law = f" For every parameter: {row.law}." if row.law else ""
    note = f" Note: {row.note}." if row.note else ""
    return f"{row.statement}{law}{note}"


def summary(audit: Audit) -> str:
    """Return how many rows have each verdict, and how many slope ranges are proved."""
    counts = ", ".join(f"{count} {verdict}" for verdict, count in audit.counts.items())
    proved = sum(row.proof.proved for row in audit.rows)
    return (
        f"{sum(audit.counts.values())} rows of the source: {counts}. "
        f"The slope ranges of {proved} of {len(audit.rows)} activations are proved in ball arithmetic."
    )
