"""The source's tables of averagedness constants, page by page: each row is decided by the audit of activations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import ClassVar

from nngames.claims.audit import audit_activations
from nngames.claims.decisions import AuditVerdict
from nngames.claims.source_claim import SourceClaim, claim_named
from nngames.core.verdicts import Decision, Verdict

_AUDIT = "`nngames audit`, docs/activation-audit.md"
_TESTS = ("tests/theory/test_activation_audit.py", "tests/theory/test_slope_proofs.py")
_VALID = (AuditVerdict.TIGHT, AuditVerdict.LOOSE)
_WRONG = (AuditVerdict.PARTLY, AuditVerdict.FALSE)


class TablePage(SourceClaim):
    """Every activation of a page is averaged with the constant printed beside it."""

    rows: ClassVar[tuple[int, int]]
    shown_by = _TESTS

    def decide(self) -> Sequence[Verdict]:
        """Return the verdict on the page, and one for each of its rows."""
        first, last = self.rows
        rows = [row for row in audit_activations() if row.number is not None and first <= row.number <= last]
        counts = Counter(str(row.verdict) for row in rows)
        wrong = [row.name for row in rows if row.verdict in _WRONG]
        unclear = [row.name for row in rows if row.verdict not in (*_VALID, *_WRONG)]
        status = Decision.REFUTED if wrong else Decision.UNDECIDED if unclear else Decision.PROVED
        words = ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
        statement = f"rows {first} to {last}: {words}"
        if wrong:
            statement += f"; not valid as printed: {', '.join(wrong)}"
        if unclear:
            statement += f"; not well-posed: {', '.join(unclear)}"
        page = Verdict(status, statement, _AUDIT, references=("djehiche2023",))
        return [page, *(_row_verdict(row.verdict, f"row {row.number}, {row.name}: {row.statement}") for row in rows)]


def _row_verdict(verdict: AuditVerdict, statement: str) -> Verdict:
    status = Decision.PROVED if verdict in _VALID else Decision.REFUTED if verdict in _WRONG else Decision.UNDECIDED
    return Verdict(status, statement, _AUDIT, references=("djehiche2023",))


@claim_named("table_1")
class IdentityToGelu(TablePage):
    """Page 1 of the table, identity to the tanh form of GELU: each is averaged with the constant printed beside it."""

    number = 12
    place = "Table of activations, page 1"
    rows = (1, 8)
    verdict = Decision.REFUTED
    correction = (
        "Two forms need parameters of their own: the tanh form of GELU is averaged for small scales only; the other "
        "six rows hold."
    )


@claim_named("table_2")
class GeluToLeaky(TablePage):
    """Page 2 of the table, GELU to leaky ReLU: each is averaged with the constant printed beside it."""

    number = 13
    place = "Table of activations, page 2"
    rows = (9, 15)
    verdict = Decision.REFUTED
    correction = (
        "GELU and ELU hold for some parameters, SELU with the printed parameters fails, and log-sum-exp is no "
        "self-map; the other rows hold."
    )


@claim_named("table_3")
class PreluToMish(TablePage):
    """Page 3 of the table, parametric ReLU to Mish: each is averaged with the constant printed beside it."""

    number = 14
    place = "Table of activations, page 3"
    rows = (16, 24)
    verdict = Decision.REFUTED
    correction = (
        "SiLU and Mish are averaged with no constant, the Gaussian needs a larger one, maxout is no self-map; "
        "parametric ReLU, Swish and the inverse multiquadric hold for some parameters."
    )


@claim_named("table_4")
class MetallicToSquare(TablePage):
    """Page 4 of the table, metallic mean to the square nonlinearity: each is averaged with the constant printed
    beside it.
    """

    number = 15
    place = "Table of activations, page 4"
    rows = (25, 30)
    verdict = Decision.REFUTED
    correction = (
        "All rows hold where the parameter of the inverse square root unit is nonnegative; below 0 its printed "
        "constant exceeds 1."
    )


@claim_named("table_5")
class BentToSinc(TablePage):
    """Page 5 of the table, bent identity to sinc: each is averaged with the constant printed beside it."""

    number = 16
    place = "Table of activations, page 5"
    rows = (31, 36)
    verdict = Decision.REFUTED
    correction = (
        "The bent identity and the soft exponential hold for some parameters; for soft clipping no constant is "
        "printed; the other rows hold."
    )


@claim_named("table_6")
class PiecewiseToProbit(TablePage):
    """Page 6 of the table, piecewise linear to softsign of the probit: each is averaged with the constant printed
    beside it.
    """

    number = 17
    place = "Table of activations, page 6"
    rows = (37, 44)
    verdict = Decision.REFUTED
    correction = (
        "The softsign of the probit has unbounded slopes, the sinu-sigmoidal unit slopes above 2, and the logit as "
        "printed jumps; the other rows hold."
    )


@claim_named("table_7")
class GaussianToAttention(TablePage):
    """Page 7 of the table, linear Gaussian and the two attention-based maps: each is averaged with the constant
    printed beside it.
    """

    number = 18
    place = "Table of activations, page 7"
    rows = (45, 47)
    verdict = Decision.UNDECIDED
    correction = "The linear Gaussian holds. The two attention-based rows rest on a score map that is not defined."
