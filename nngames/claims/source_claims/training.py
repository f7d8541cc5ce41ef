"""The source's claims about training and design, its second and third main results: not yet decided."""

from __future__ import annotations

from collections.abc import Sequence

from nngames.claims.source_claim import SourceClaim, claim_named
from nngames.core.verdicts import Decision, Verdict


class UndecidedTraining(SourceClaim):
    """A claim about training that nothing here decides yet."""

    verdict = Decision.UNDECIDED

    def decide(self) -> Sequence[Verdict]:
        """Say that it is not yet decided."""
        return [Verdict(Decision.UNDECIDED, "not yet decided: the toolkit has no training games yet", "none")]


@claim_named("training_as_variational_inequality")
class TrainingAsVariationalInequality(UndecidedTraining):
    """Fitting input-output data can be restated, in a weak sense, as a variational inequality for the weights."""

    number = 3
    place = "Training and design reformulated, equation (4)"


@claim_named("verification_theorem")
class VerificationTheorem(UndecidedTraining):
    """Weights that fit the data solve a variational inequality, and are Nash equilibria of a least-squares game."""

    number = 23
    place = "Main result 2, equations (6) and (7)"


@claim_named("layer_game")
class LayerGame(UndecidedTraining):
    """If the data can be fitted, the weights that fit are the Nash equilibria of a convex game layer by layer."""

    number = 24
    place = "Main result 3, equation (8)"


@claim_named("gradient_algorithm")
class GradientAlgorithm(UndecidedTraining):
    """A gradient algorithm, with its step written for each sample, converges to a minimiser of the layer problem."""

    number = 25
    place = "Main result 3"
