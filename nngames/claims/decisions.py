"""Deciding one claimed constant: the verdict, its sentence, the valid parameters and the points of a failure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import Any

from nngames.activations import Activation, activation
from nngames.claims.parameter_sets import Piece, least_constants, stated_set, tight_set, valid_set
from nngames.claims.polynomials import evaluate
from nngames.claims.slope_proofs import Evidence, SlopeProof
from nngames.claims.table import Claim
from nngames.claims.witnesses import Witness, refuting
from nngames.core.ball_ranges import as_ball, working_precision
from nngames.core.errors import NotApplicableError

NOT_AVERAGED, NO_SELF_MAP, UNKNOWN = "not averaged", "no self-map", "not known"
#: The parameters at which the law of a row is compared with its activation: shares of a piece, cut at +-4.
_SHARES = (Fraction(1, 16), Fraction(1, 2), Fraction(13, 16))


class AuditVerdict(StrEnum):
    """What an audit says of a claimed constant."""

    TIGHT = "tight"
    LOOSE = "valid but loose"
    PARTLY = "valid for some parameters"
    FALSE = "false"
    ILL_POSED = "not well-posed"
    UNDECIDED = "undecided"
    UNCLAIMED = "not claimed"


@dataclass(frozen=True)
class Decided:
    """The decision on a claim.

    Attributes
    ----------
    verdict : AuditVerdict
    statement : str
    valid_for : str
    witness : Witness or None
    """

    verdict: AuditVerdict
    statement: str
    valid_for: str = ""
    witness: Witness | None = None


def decided(claim: Claim, proof: SlopeProof) -> Decided:
    """Return the decision on a claim; undecided where the slope range is not that of its proof."""
    if proof.evidence is Evidence.FAILED:
        return Decided(AuditVerdict.UNDECIDED, f"Undecided: the slope range is not proved, since {proof.method}.")
    wrong = _broken_law(claim)
    if wrong:
        return Decided(AuditVerdict.UNDECIDED, f"Undecided: {wrong}.")
    if claim.obstacle:
        statement = f"Not well-posed: {claim.obstacle}. {infimum_sentence(instance(claim))}"
        return Decided(AuditVerdict.ILL_POSED, statement, "", _witness(claim))
    verdict, statement, valid_for = _verdict(claim)
    witness = _witness(claim)
    if verdict is AuditVerdict.FALSE and witness is None:
        return Decided(AuditVerdict.UNDECIDED, "Undecided: no two points are known at which the claim fails.")
    if witness is not None:
        u = claim.witness[0] if claim.witness else None
        where = (
            f" for {claim.variable} = {u}, where the constant would be {witness.constant[:8]}" if claim.variable else ""
        )
        statement += f" It fails at x = {witness.x} and y = {witness.y}{where}: the slope is {witness.slope:.6g}."
    return Decided(verdict, statement, valid_for, witness)


def instance(claim: Claim) -> Activation:
    """Return the activation of a claim at the parameters of the source's own function, or at our defaults."""
    return activation(claim.name, **claim.parameters(claim.at))


def _verdict(claim: Claim) -> tuple[AuditVerdict, str, str]:
    """Return the verdict on a well-posed claim, its statement, and the valid parameters."""
    valid, stated, tight = valid_set(claim.pieces), stated_set(claim.pieces), tight_set(claim.pieces)
    named = f"{claim.variable} in {valid}" if claim.variable else ""
    least = infimum_sentence(instance(claim))
    if claim.variable:
        least = f"The infimum of the constants is {least_constants(claim.pieces, claim.variable)}."
    if not valid.intervals:
        return AuditVerdict.FALSE, f"False. {least}", ""
    also = f"tight for {claim.variable} in {tight}" if tight.intervals else "nowhere tight"
    if valid != stated:
        return AuditVerdict.PARTLY, f"Valid exactly for {named}, {also}. {least}", named
    over = f" for all {named}" if claim.variable else ""
    if tight == stated:
        return AuditVerdict.TIGHT, f"Tight{over}. {least}", named
    loose = f"but loose; {also}" if claim.variable else "but loose"
    return AuditVerdict.LOOSE, f"Valid{over}, {loose}. {least}", named


def _broken_law(claim: Claim) -> str:
    """Return at which parameter the slopes of the activation are not those of the claim's pieces; empty if nowhere."""
    with working_precision(200):
        for piece in claim.pieces:
            for u in _inside(piece):
                ends = activation(claim.name, **claim.parameters(u)).slope_range_exact
                for polynomial, end in zip((piece.low, piece.high), ends, strict=True):
                    if not _agrees(polynomial, u, end):
                        at = f" at {claim.variable} = {u}" if claim.variable else ""
                        return f"the slopes of {claim.name!r}{at} are not those that the row supposes"
    return ""


def _inside(piece: Piece) -> list[Fraction]:
    """Return rational points inside a piece, or its only one."""
    low, high = Fraction(max(piece.lower, Fraction(-4))), Fraction(min(piece.upper, Fraction(4)))
    return [low] if low == high else [low + share * (high - low) for share in _SHARES]


def _agrees(polynomial: Any, u: Fraction, end: Any) -> bool:
    """Whether an end is the polynomial's value at u, up to the rounding of parameters that are no floats."""
    if polynomial is None or not end.finite:
        return polynomial is None and not end.finite
    value = as_ball(evaluate(polynomial, u))
    return bool(abs(value - end.ball()) <= as_ball(2.0**-50) * (1 + abs(value)))


def _witness(claim: Claim) -> Witness | None:
    """Return the points at which the claim fails; for one that is not well-posed, at which even the constant 1 does."""
    if claim.witness is None:
        return None
    u, x, y = claim.witness
    constant: Any = (Fraction(1),)
    if claim.pieces:
        constant = next(piece.constant for piece in claim.pieces if piece.lower <= u <= piece.upper)
    return refuting(activation(claim.name, **claim.parameters(u)), x, y, constant, u)


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


def infimum_sentence(entry: Activation) -> str:
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
