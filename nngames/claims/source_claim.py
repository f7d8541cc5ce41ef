"""What a claim of the source is: its place and content in our words, the verdict on record, and how it is derived."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from nngames.core.registry import Registry
from nngames.core.verdicts import Decision, Verdict

#: Every claim of the source, by name.
registry: Registry[type[SourceClaim]] = Registry("claim")

#: The decorator that registers a claim under a name.
claim_named = registry.named


class SourceClaim(ABC):
    """A claim of the source, taken as printed. The first paragraph of a subclass's docstring tells it in our words.

    Attributes
    ----------
    name : str
    number : int
        Its place in the source's order, from 1.
    place : str
        Where in the source it stands.
    verdict : Decision
        The verdict on record on the claim as printed. UNDECIDED without evidence means that it is not yet decided.
    correction : str
        What holds instead, or under which reading it holds; empty where nothing is to be added.
    shown_by : tuple of str
        Tests and scenarios that show it.
    """

    name: ClassVar[str]
    number: ClassVar[int]
    place: ClassVar[str]
    verdict: ClassVar[Decision]
    correction: ClassVar[str] = ""
    shown_by: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def decide(self) -> Sequence[Verdict]:
        """Derive the verdict on the claim as printed, then those on what supports or corrects it."""
