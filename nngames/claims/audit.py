"""The audit of activations: every claimed averagedness constant decided, and the same facts for what nobody claimed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

from nngames.activations import Activation, activation, activations
from nngames.activations.foundations.projections import SetProjection
from nngames.claims.decisions import (
    NO_SELF_MAP,
    NOT_AVERAGED,
    AuditVerdict,
    Decided,
    decided,
    infimum_sentence,
    infimum_text,
    instance,
)
from nngames.claims.general_claims import general_claims
from nngames.claims.slope_proofs import SlopeProof, prove_slopes
from nngames.claims.table import Claim, claims
from nngames.claims.witnesses import Witness
from nngames.core.plain import plain
from nngames.core.verdicts import Decision, Verdict


@dataclass(frozen=True)
class AuditRow:
    """One activation with what the source claims of it and what is so.

    Attributes
    ----------
    number : int or None
        The row of the source's table; None for an activation beyond it.
    name, title : str
        The activation as registered, and in words.
    claimed : str
        The claimed constant; empty where none is claimed.
    verdict : AuditVerdict
    statement : str
        What is decided, in one or two sentences.
    parameters : mapping
        The parameters at which the facts hold.
    slopes : (str, str)
        The exact ends of the slope range; "none" for a map that is no self-map.
    digits : (str, str)
        The same to 30 digits.
    infimum : str
        The infimum of the averagedness constants, or "not averaged".
    penalty : str
        Whether r is the prox of a convex f, of a weakly convex f (with the modulus), or of nothing.
    valid_for : str
        The parameters for which the claimed constant is valid; empty where there is none.
    witness : Witness or None
        Two points at which the claimed inequality fails.
    proof : SlopeProof
        What the slope range rests on.
    law : str
        Why the slopes are what the statement supposes for every value of the parameter; empty for a single map.
    note : str
    """

    number: int | None
    name: str
    title: str
    claimed: str
    verdict: AuditVerdict
    statement: str
    parameters: Mapping[str, Any]
    slopes: tuple[str, str]
    digits: tuple[str, str]
    infimum: str
    penalty: str
    valid_for: str
    witness: Witness | None
    proof: SlopeProof
    law: str = ""
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the row as plain JSON-ready data."""
        data = {name: getattr(self, name) for name in self.__dataclass_fields__ if name not in ("witness", "proof")}
        data["witness"] = None if self.witness is None else self.witness.to_dict()
        data["proof"] = asdict(self.proof)
        return {name: plain(value) for name, value in data.items()}


@dataclass(frozen=True)
class Audit:
    """The rows of the audit and the verdicts on the general claims.

    Attributes
    ----------
    rows : tuple of AuditRow
    general : mapping name -> Verdict
    """

    rows: tuple[AuditRow, ...]
    general: Mapping[str, Verdict]

    @property
    def counts(self) -> dict[str, int]:
        """How many rows of the source have each verdict."""
        found = Counter(str(row.verdict) for row in self.rows if row.number is not None)
        return {str(verdict): found[str(verdict)] for verdict in AuditVerdict if found[str(verdict)]}

    def to_dict(self) -> dict[str, Any]:
        """Return the audit as plain JSON-ready data."""
        return {
            "counts": self.counts,
            "rows": [row.to_dict() for row in self.rows],
            "general": {name: verdict.to_dict() for name, verdict in self.general.items()},
        }


def audit() -> Audit:
    """Return the whole audit: the rows of ``audit_activations`` and the general claims."""
    rows = audit_activations()
    return Audit(rows, {"forty_activations_are_averaged": _forty_are_averaged(rows), **general_claims()})


def _forty_are_averaged(rows: Sequence[AuditRow]) -> Verdict:
    """The source's headline: the activations of its table are averaged with some constant in (0, 1]."""
    table = [row for row in rows if row.number is not None]
    failing = [row for row in table if row.infimum == NOT_AVERAGED and not row.parameters]
    others = [row.name for row in table if row.infimum == NOT_AVERAGED and row.parameters]
    outside = [row.name for row in table if row.infimum == NO_SELF_MAP]
    statement = (
        f"Not all activations of the table are averaged: {_list(row.name for row in failing)}, without parameters, "
        f"are averaged with no constant; {_list(others)} are not at their usual parameters (their rows say for which "
        f"they are); {_list(outside)} are no self-maps."
    )
    witnesses = {row.name: row.witness.to_dict() for row in failing if row.witness is not None}
    status = Decision.REFUTED if witnesses else Decision.UNDECIDED
    return Verdict(status, statement, "two points for each, in ball arithmetic", None, witnesses, ("djehiche2023",))


def _list(names: Iterable[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


@cache
def audit_activations() -> tuple[AuditRow, ...]:
    """Decide every averagedness constant of the source's table, and state the same facts of every other activation.

    Returns
    -------
    tuple of AuditRow
        The source's 47 rows in its order, then the activations beyond it by name; sets, whose projections are prox of
        indicators, are left out.

    Notes
    -----
    A slope range is proved by ball arithmetic on the activation's charts. A claim over a range of a parameter is
    decided by polynomial inequalities whose coefficients are the exact ends. A false claim comes with two points,
    checked in rational or ball arithmetic.
    """
    table = claims()
    known = {claim.name for claim in table}
    beyond = [name for name in activations() if name not in known and not is_set(activation(name))]
    return (*(_claimed(claim) for claim in table), *(_unclaimed(name) for name in beyond))


def is_set(entry: Activation) -> bool:
    """Whether the activation is known by the set it projects on."""
    return isinstance(entry, SetProjection) and not entry.familiar


def chosen(names: Iterable[str]) -> tuple[AuditRow, ...]:
    """Return the rows of some activations.

    Raises
    ------
    UnknownNameError
        If there is no activation of that name.
    """
    table = {claim.name: claim for claim in claims()}
    return tuple(
        _claimed(table[name]) if name in table else _unclaimed(activation(name).name) for name in dict.fromkeys(names)
    )


def _unclaimed(name: str) -> AuditRow:
    entry = activation(name)
    return _row(entry, prove_slopes(entry), Decided(AuditVerdict.UNCLAIMED, infimum_sentence(entry)))


def _claimed(claim: Claim) -> AuditRow:
    entry = instance(claim)
    proof = prove_slopes(entry)
    return _row(entry, proof, decided(claim, proof), claim)


def penalty_text(entry: Activation) -> str:
    """Return whether r is the prox of a convex function, of a weakly convex one, or of nothing."""
    if not entry.monotone:
        return "none"
    modulus = entry.penalty_modulus or 0.0
    return "convex" if modulus == 0 else f"weakly convex ({modulus:.6g})"


def _row(entry: Activation, proof: SlopeProof, decision: Decided, claim: Claim | None = None) -> AuditRow:
    ends = entry.slope_range_exact if entry.self_map else None
    slopes = ("none", "none") if ends is None else (str(ends[0]), str(ends[1]))
    return AuditRow(
        None if claim is None else claim.number,
        entry.name,
        entry.name if claim is None else claim.title,
        "" if claim is None else claim.claimed,
        decision.verdict,
        decision.statement,
        dict(entry.parameters),
        slopes,
        slopes if ends is None else (ends[0].digits, ends[1].digits),
        infimum_text(entry),
        penalty_text(entry),
        decision.valid_for,
        decision.witness,
        proof,
        "" if claim is None else claim.law,
        "" if claim is None else claim.note,
    )
