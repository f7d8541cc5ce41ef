"""The audit of activations: every claimed averagedness constant decided, and the same facts for what nobody claimed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import Any

from nngames.activations import Activation, activation, activations
from nngames.activations.foundations.projections import SetProjection
from nngames.claims.general_claims import general_claims
from nngames.claims.parameter_sets import least_constants, stated_set, tight_set, valid_set
from nngames.claims.slope_proofs import SlopeProof, prove_slopes
from nngames.claims.table import Claim, claims
from nngames.claims.witnesses import Witness, refuting
from nngames.core.ball_ranges import working_precision
from nngames.core.errors import NotApplicableError
from nngames.core.plain import plain
from nngames.core.verdicts import Decision, Verdict

NOT_AVERAGED, NO_SELF_MAP, UNKNOWN = "not averaged", "no self-map", "not known"


class AuditVerdict(StrEnum):
    """What an audit says of a claimed constant."""

    TIGHT = "tight"
    LOOSE = "valid but loose"
    PARTLY = "valid for some parameters"
    FALSE = "false"
    ILL_POSED = "not well-posed"
    UNCLAIMED = "not claimed"


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
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the row as plain JSON-ready data."""
        data = {name: getattr(self, name) for name in self.__dataclass_fields__ if name not in ("witness", "proof")}
        data["witness"] = None if self.witness is None else self.witness.to_dict()
        data["proof"] = {"proved": self.proof.proved, "method": self.proof.method, "boxes": self.proof.boxes}
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
    failing = [row.name for row in table if row.infimum in (NOT_AVERAGED, NO_SELF_MAP)]
    statement = (
        f"Of the {len(table)} rows of the table, {len(table) - len(failing)} are averaged with some constant at the "
        f"source's parameters; {', '.join(failing)} are averaged with none or are no self-maps."
    )
    witness = {"failing": failing, "silu": "slopes up to " + next(row.digits[1] for row in table if row.name == "silu")}
    return Verdict(Decision.REFUTED, statement, "the slope ranges of the audit", None, witness, ("djehiche2023",))


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
    return tuple(_claimed(table[name]) if name in table else _unclaimed(activation(name).name) for name in names)


def _unclaimed(name: str) -> AuditRow:
    entry = activation(name)
    return _row(entry, None, name, "", AuditVerdict.UNCLAIMED, _infimum_sentence(entry), "", None, "")


def _claimed(claim: Claim) -> AuditRow:
    entry = activation(claim.name, **claim.parameters(claim.at))
    if claim.obstacle:
        witness = _ill_posed_witness(claim)
        statement = f"Not well-posed: {claim.obstacle}. {_infimum_sentence(entry)}"
        return _row(
            entry, claim.number, claim.title, claim.claimed, AuditVerdict.ILL_POSED, statement, "", witness, claim.note
        )
    verdict, statement, valid_for = _decide(claim)
    witness = _witness(claim)
    if witness is not None:
        statement += (
            f" It fails at x = {witness.x} and y = {witness.y}{_parameter_text(claim)}, slope {witness.slope:.6g}."
        )
    return _row(entry, claim.number, claim.title, claim.claimed, verdict, statement, valid_for, witness, claim.note)


def _decide(claim: Claim) -> tuple[AuditVerdict, str, str]:
    """Return the verdict on a well-posed claim, its statement, and the valid parameters."""
    valid, stated, tight = valid_set(claim.pieces), stated_set(claim.pieces), tight_set(claim.pieces)
    named = f"{claim.variable} in {valid}" if claim.variable else ""
    least = _infimum_sentence(_instance(claim))
    if claim.variable:
        least = f"The infimum of the constants is {least_constants(claim.pieces, claim.variable)}."
    if not valid.intervals:
        return AuditVerdict.FALSE, f"False. {least}", ""
    if str(valid) != str(stated):
        return AuditVerdict.PARTLY, f"Valid exactly for {named}. {least}", named
    over = f" for all {named}" if claim.variable else ""
    if str(tight) == str(stated):
        return AuditVerdict.TIGHT, f"Tight{over}. {least}", named
    also = f"; tight for {claim.variable} in {tight}" if tight.intervals else ""
    return AuditVerdict.LOOSE, f"Valid{over}, but loose{also}. {least}", named


def _instance(claim: Claim) -> Activation:
    return activation(claim.name, **claim.parameters(claim.at))


def _parameter_text(claim: Claim) -> str:
    return f" for {claim.variable} = {claim.witness[0]}" if claim.variable and claim.witness else ""


def _witness(claim: Claim) -> Witness | None:
    if claim.witness is None:
        return None
    u, x, y = claim.witness
    constant = next(piece.constant for piece in claim.pieces if piece.lower <= u <= piece.upper)
    return refuting(activation(claim.name, **claim.parameters(u)), x, y, constant, u)


def _ill_posed_witness(claim: Claim) -> Witness | None:
    """Return the points that refute even the weakest constant, 1, for a self-map whose claim is not well-posed."""
    if claim.witness is None:
        return None
    _, x, y = claim.witness
    return refuting(_instance(claim), x, y, (Fraction(1),), Fraction(1))


def infimum_text(entry: Activation) -> str:
    """Return the infimum of the averagedness constants, exactly where it is rational, or "not averaged"."""
    if not entry.self_map:
        return NO_SELF_MAP
    try:
        averaged = entry.averagedness is not None
    except NotApplicableError:
        return UNKNOWN
    if not averaged:
        return NOT_AVERAGED
    low = entry.slope_range_exact[0]
    if low.rational:
        least = (1 - Fraction(low.number)) / 2  # type: ignore[arg-type]
        return str(least) if least.denominator <= 1000 else f"{float(least):.15g}"
    with working_precision(200):
        return str(((1 - low.ball()) / 2).str(30, radius=False))


def _infimum_sentence(entry: Activation) -> str:
    """Return one sentence on the averagedness of an activation."""
    with_parameters = ", ".join(f"{key} = {value}" for key, value in entry.parameters.items())
    at = f" at {with_parameters}" if with_parameters else ""
    if not entry.self_map:
        return "Averagedness is a property of self-maps."
    try:
        averaged = entry.averagedness is not None
    except NotApplicableError as reason:
        return f"{str(reason)[:1].upper()}{str(reason)[1:]}."
    if not averaged:
        return f"{entry.name} is averaged with no constant{at}: {entry.not_averaged_because}."
    return f"The infimum of the constants of {entry.name}{at} is {infimum_text(entry)[:14]}."


def penalty_text(entry: Activation) -> str:
    """Return whether r is the prox of a convex function, of a weakly convex one, or of nothing."""
    if not entry.monotone:
        return "none"
    modulus = entry.penalty_modulus or 0.0
    return "convex" if modulus == 0 else f"weakly convex ({modulus:.6g})"


def _row(
    entry: Activation,
    number: int | None,
    title: str,
    claimed: str,
    verdict: AuditVerdict,
    statement: str,
    valid_for: str,
    witness: Witness | None,
    note: str,
) -> AuditRow:
    ends = entry.slope_range_exact if entry.self_map else None
    slopes = ("none", "none") if ends is None else (str(ends[0]), str(ends[1]))
    return AuditRow(
        number,
        entry.name,
        title,
        claimed,
        verdict,
        statement,
        dict(entry.parameters),
        slopes,
        slopes if ends is None else (ends[0].digits, ends[1].digits),
        infimum_text(entry),
        penalty_text(entry),
        valid_for,
        witness,
        prove_slopes(entry),
        note,
    )
