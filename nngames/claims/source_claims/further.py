"""The source's claims about other work and later work: figures of a language model, and extensions without a proof."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from nngames.claims.source_claim import SourceClaim, claim_named
from nngames.core.verdicts import Decision, Verdict


class Unproved(SourceClaim):
    """A claim that the source makes without a statement precise enough to decide."""

    verdict = Decision.UNDECIDED
    reason: ClassVar[str]

    def decide(self) -> Sequence[Verdict]:
        """Say that it is not yet decided, and why."""
        return [Verdict(Decision.UNDECIDED, f"not yet decided: {self.reason}", "none")]


@claim_named("language_model_figures")
class LanguageModelFigures(Unproved):
    """A language model for finance has 50 billion parameters and was trained on some 700 billion tokens, more than half
    of them financial, perhaps the largest set of data of one field.
    """

    number = 1
    place = "Context"
    reason = "figures of another work (arXiv:2303.17564), which no computation here can check"


@claim_named("language_models")
class LanguageModels(Unproved):
    """The outcomes of large language models are Nash equilibria of a game that has no potential."""

    number = 26
    place = "Extension"
    reason = "no game is stated for a model whose layers attend to several others at once"


@claim_named("federated_learning")
class FederatedLearning(Unproved):
    """The outcomes of federated learning are Nash equilibria."""

    number = 27
    place = "Extension"
    reason = "no game is stated"


@claim_named("risk_awareness")
class RiskAwareness(Unproved):
    """The approach extends to outcomes, training and design that are aware of risk, through mean-field-type games."""

    number = 28
    place = "Future work"
    reason = "it is announced and not stated"
