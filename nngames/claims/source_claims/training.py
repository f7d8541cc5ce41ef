"""The source's claims about training and design: the variational inequality, and its second and third main results."""

from __future__ import annotations

from collections.abc import Sequence

from nngames.claims.source_claim import SourceClaim, claim_named
from nngames.claims.training_instances import (
    a_solution_that_does_not_fit,
    another_element_makes_a_fit_no_equilibrium,
    common_parameters_converge,
    equilibria_are_the_fits_of_every_layer,
    fits_are_equilibria,
    fits_of_the_network_need_not_fit_layer_by_layer,
    fits_solve_the_inequality,
    least_squares_is_another_problem,
    parameters_for_each_sample_do_not_agree,
)
from nngames.core.verdicts import Decision, Verdict

TESTS = ("tests/theory/test_training_claims.py", "tests/theory/test_layer_games.py")


@claim_named("training_as_variational_inequality")
class TrainingAsVariationalInequality(SourceClaim):
    """Fitting input-output data can be restated, in a weak sense, as a variational inequality for the weights."""

    number = 3
    place = "Training and design reformulated, equation (4)"
    verdict = Decision.PROVED
    correction = (
        "Weak means: parameters that fit solve it. Conversely its solutions fit, if any parameters do, where each "
        "activation is the gradient of a convex function and Lipschitz; averaged with gamma < 1 is not enough. Where "
        "nothing fits, solutions are minimisers of the layer losses, and claim no fit."
    )
    shown_by = TESTS

    def decide(self) -> Sequence[Verdict]:
        """Return the proof both ways, and the instance in which the converse fails."""
        return [fits_solve_the_inequality(), a_solution_that_does_not_fit()]


@claim_named("verification_theorem")
class VerificationTheorem(SourceClaim):
    """Weights that fit the data solve a variational inequality, and are Nash equilibria of a least-squares game."""

    number = 23
    place = "Main result 2, equations (6) and (7)"
    verdict = Decision.PROVED
    correction = (
        "y + df(y) must be read as r^-1(y), and where it has several elements the cost holds the one that the fit "
        "takes: with another the fit is no equilibrium. The inclusion for each sample is exact fitting. The converse "
        "fails: where nothing fits, those of (7) are least squares in the pre-activations, another problem than (8)."
    )
    shown_by = TESTS

    def decide(self) -> Sequence[Verdict]:
        """Return the proof, what other elements do, and that (7) is not (8)."""
        return [fits_are_equilibria(), another_element_makes_a_fit_no_equilibrium(), least_squares_is_another_problem()]


@claim_named("layer_game")
class LayerGame(SourceClaim):
    """If the data can be fitted, the weights that fit are the Nash equilibria of a convex game layer by layer."""

    number = 24
    place = "Main result 3, equation (8)"
    verdict = Decision.REFUTED
    correction = (
        "It needs targets for the hidden layers. With given ones that can be met, the equilibria are exactly the "
        "parameters with which every layer meets its own; other fits of the whole network are no equilibria."
    )
    shown_by = TESTS

    def decide(self) -> Sequence[Verdict]:
        """Return the refutation by two linear layers, and the proof of what holds."""
        return [fits_of_the_network_need_not_fit_layer_by_layer(), equilibria_are_the_fits_of_every_layer()]


@claim_named("gradient_algorithm")
class GradientAlgorithm(SourceClaim):
    """A gradient algorithm, with its step written for each sample, converges to a minimiser of the layer problem."""

    number = 25
    place = "Main result 3"
    verdict = Decision.REFUTED
    correction = (
        "As printed each sample has parameters of its own, which end at different points. With common parameters and "
        "the weighted sum of the samples' terms it converges to a minimiser, if there is one, for steps below "
        "2/(S lambda_max(sum_t omega_t z_t z_t')), z_t = (x_t, 1)."
    )
    shown_by = TESTS

    def decide(self) -> Sequence[Verdict]:
        """Return the refutation by two samples, and the proof of the corrected algorithm."""
        return [parameters_for_each_sample_do_not_agree(), common_parameters_converge()]
