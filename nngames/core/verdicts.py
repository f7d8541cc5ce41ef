"""Verdicts: what was decided about a game, how, by what margin, and the witness that lets others check it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from nngames.core.plain import plain
from nngames.core.references import bibtex


class Decision(StrEnum):
    """The three answers to a mathematical question."""

    PROVED = "PROVED"
    REFUTED = "REFUTED"
    UNDECIDED = "UNDECIDED"


@dataclass(frozen=True)
class Verdict:
    """A decision with its evidence.

    PROVED and REFUTED mean proved: by exact rational or ball arithmetic, or by a floating-point margin that
    dominates a stated error bound. What only sampling suggests is UNDECIDED.

    Attributes
    ----------
    status : Decision
        PROVED, REFUTED or UNDECIDED.
    statement : str
        One sentence: what was decided, about which map or cost, with its figures.
    method : str
        How it was decided.
    margin : float or None
        The distance to the other decision, in the statement's own units, where there is one.
    witness : mapping
        Data from which another program can check the decision: weights, a cycle with exact gains, an interval.
    references : tuple of str
        Keys of the literature behind the method.
    would_change : str
        What would change the decision: the data, the size of a perturbation, a larger budget; a phrase that goes on
        from "what would change this:". Every verdict of ``nngames check`` has one.
    """

    status: Decision
    statement: str
    method: str
    margin: float | None = None
    witness: Mapping[str, Any] = field(default_factory=dict)
    references: tuple[str, ...] = ()
    would_change: str = field(default="", kw_only=True)

    @property
    def text(self) -> str:
        """The statement, and after it what would change the decision."""
        return f"{self.statement}; what would change this: {self.would_change}" if self.would_change else self.statement

    @property
    def proved(self) -> bool:
        """Whether the status is PROVED."""
        return self.status is Decision.PROVED

    @property
    def refuted(self) -> bool:
        """Whether the status is REFUTED."""
        return self.status is Decision.REFUTED

    def cite(self) -> str:
        """Return the BibTeX entries of the references behind the method."""
        return "\n\n".join(bibtex(key) for key in self.references)

    def to_dict(self) -> dict[str, Any]:
        """Return the verdict as plain JSON-ready data."""
        return {
            "status": str(self.status),
            "statement": self.statement,
            "method": self.method,
            "margin": self.margin,
            "witness": plain(self.witness),
            "references": list(self.references),
            "would_change": self.would_change,
        }

    def __str__(self) -> str:
        return f"{self.status}: {self.text}"


@dataclass(frozen=True)
class BallVerdict(Verdict):
    """A decision about a ball around a profile.

    Attributes
    ----------
    radius : float or None
        The radius of the ball that is decided on; None where nothing is decided.
    """

    radius: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the verdict as plain JSON-ready data, with the radius."""
        return {**super().to_dict(), "radius": self.radius}
