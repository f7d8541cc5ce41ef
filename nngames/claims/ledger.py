"""The ledger of the source's claims: each in our words with its verdict, and all of them derived again on demand."""

from __future__ import annotations

import inspect
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from nngames.claims.source_claim import SourceClaim
from nngames.claims.source_claims import registry
from nngames.core.plain import plain
from nngames.core.verdicts import Decision, Verdict


@dataclass(frozen=True)
class LedgerEntry:
    """A claim of the source as the ledger shows it.

    Attributes
    ----------
    number : int
        Its place in the source's order.
    name, place, claim : str
        Its short name, where it stands, and what it says in our words.
    verdict : Decision
        The verdict on record on the claim as printed.
    correction : str
        What holds instead, or under which reading it holds.
    shown_by : tuple of str
        Tests and scenarios.
    evidence : tuple of Verdict
        What was derived again, the verdict on the claim first; empty where nothing was.
    seconds : float or None
        What deriving took.
    """

    number: int
    name: str
    place: str
    claim: str
    verdict: Decision
    correction: str
    shown_by: tuple[str, ...]
    evidence: tuple[Verdict, ...] = ()
    seconds: float | None = None

    @property
    def agrees(self) -> bool | None:
        """Whether what was derived is the verdict on record; None where nothing was derived."""
        return self.evidence[0].status is self.verdict if self.evidence else None

    def to_dict(self) -> dict[str, Any]:
        """Return the entry as plain JSON-ready data."""
        return {**{name: plain(value) for name, value in vars(self).items()}, "agrees": self.agrees}


def ledger(names: Iterable[str] = ()) -> tuple[LedgerEntry, ...]:
    """Return the claims of the source with the verdicts on record, in its order.

    Parameters
    ----------
    names : iterable of str
        Only these claims; none: all.

    Raises
    ------
    UnknownNameError
        If there is no claim of that name.
    """
    return tuple(_entry(claim) for claim in _chosen(names))


def derive(names: Iterable[str] = ()) -> Iterator[LedgerEntry]:
    """Derive the verdicts on the claims again, one after the other in the source's order.

    Parameters
    ----------
    names : iterable of str
        Only these claims; none: all.

    Raises
    ------
    UnknownNameError
        If there is no claim of that name, before anything is derived.
    """
    return map(_derived, _chosen(names))


def _chosen(names: Iterable[str]) -> list[type[SourceClaim]]:
    wanted = list(names) or registry.names()
    return sorted({registry[name] for name in wanted}, key=lambda claim: claim.number)


def _entry(claim: type[SourceClaim]) -> LedgerEntry:
    words = " ".join((inspect.getdoc(claim) or "").split("\n\n")[0].split())
    return LedgerEntry(claim.number, claim.name, claim.place, words, claim.verdict, claim.correction, claim.shown_by)


def _derived(claim: type[SourceClaim]) -> LedgerEntry:
    begun = time.perf_counter()
    evidence = tuple(claim().decide())
    return replace(_entry(claim), evidence=evidence, seconds=time.perf_counter() - begun)
