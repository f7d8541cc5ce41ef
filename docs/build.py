"""Writes the generated pages: docs/catalogue.md from the registries, docs/activation-audit.md and docs/claims.md."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nngames.activations import activation
from nngames.activations.foundations.base import registry as activations
from nngames.certificates import registry as certificates
from nngames.claims import audit
from nngames.claims.audit import infimum_text, penalty_text
from nngames.claims.ledger import derive
from nngames.core.files import write_atomic
from nngames.report.audit_page import audit_page
from nngames.report.audit_tables import short
from nngames.report.claim_tables import claims_page
from nngames.solvers import registry as solvers

ROOT = Path(__file__).resolve().parent.parent


def first_sentence(entry: Any) -> str:
    """Return the first paragraph of a definition's docstring on one line."""
    return " ".join((inspect.getdoc(entry) or "").split("\n\n")[0].split())


def section(entry: Any, title: str) -> str:
    """Return a numpydoc section of a definition's docstring on one line; empty if there is none."""
    lines = (inspect.getdoc(entry) or "").splitlines()
    if title not in lines:
        return ""
    body: list[str] = []
    rest = lines[lines.index(title) + 2 :]
    for position, line in enumerate(rest):
        if position + 1 < len(rest) and rest[position + 1].startswith("---"):
            break
        body.append(line)
    return " ".join(" ".join(body).split())


def row(*cells: str) -> str:
    """Return a table row; bars inside a cell are escaped."""
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def shown(parameters: Mapping[str, Any]) -> str:
    """Return parameters as they are written in a call."""
    return ", ".join(f"{key}={value!r}" for key, value in parameters.items())


def activation_rows() -> list[str]:
    """Return the table of activations."""
    rows = [row("Name", "What it is", "Parameters", "Slopes", "Averaged", "Penalty"), row(*["---"] * 6)]
    for name in activations.names():
        entry = activation(name)
        slopes = "none"
        if entry.self_map:
            low, high = entry.slope_range_exact
            equations = dict.fromkeys(filter(None, (low.equation, high.equation)))
            slopes = "; ".join([f"[{low.expression}, {high.expression}]", *equations])
        averaged, kind = short(infimum_text(entry)), penalty_text(entry)
        rows.append(row(f"`{name}`", first_sentence(type(entry)), shown(entry.parameters), slopes, averaged, kind))
    return rows


def solver_rows() -> list[str]:
    """Return the table of methods."""
    rows = [row("Method", "Scheme", "Options", "Guarantee", "References"), row(*["---"] * 5)]
    # The solvers of other packages come last.
    for name in sorted(solvers.names(), key=lambda name: (solvers[name].external, name)):
        entry = solvers[name]
        options = shown(entry().options)
        rows.append(
            row(f"`{name}`", first_sentence(entry), options, section(entry, "Guarantee"), section(entry, "References"))
        )
    return rows


def certificate_rows() -> list[str]:
    """Return the table of certificates."""
    rows = [row("Certificate", "Map", "What it proves"), row(*["---"] * 3)]
    rows += [row(f"`{key}`", certificates[key].map, first_sentence(certificates[key])) for key in certificates.names()]
    return rows


def check_rows() -> list[str]:
    """Return the table of checks."""
    from nngames.checks import registry as checks

    rows = [row("Check", "What it decides"), row(*["---"] * 2)]
    return rows + [row(f"`{name}`", first_sentence(checks[name])) for name in checks.names()]


def catalogue() -> str:
    """Return the catalogue of everything the registries hold."""
    parts = [
        "# Catalogue",
        "Generated from the registries by `python docs/build.py`.",
        "## Activations",
        "Slopes are those at the default parameters; `averaged` is the infimum of the averagedness constants; "
        "`penalty` says of what kind of f the activation is the prox (with the modulus of weak convexity). "
        "[The audit of activations](activation-audit.md) gives the digits and the proofs.",
        "\n".join(activation_rows()),
        "## Methods",
        "`auto` runs the scheme whose convergence is proved, else the schemes in turn.",
        "\n".join(solver_rows()),
        "## Certificates",
        "\n".join(certificate_rows()),
        "## Checks",
        "\n".join(check_rows()),
    ]
    return "\n\n".join(parts) + "\n"


def activation_audit() -> str:
    """Return the page on the audit of activations."""
    return audit_page(audit())


def claims_ledger() -> str:
    """Return the page on the source's claims, every verdict derived again."""
    return claims_page(tuple(derive()))


if __name__ == "__main__":
    write_atomic(ROOT / "docs" / "catalogue.md", catalogue())
    write_atomic(ROOT / "docs" / "activation-audit.md", activation_audit())
    write_atomic(ROOT / "docs" / "claims.md", claims_ledger())
