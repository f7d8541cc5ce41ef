"""Claims about averaged operators: compositions, the Krasnoselskii-Mann theorem, Moreau's representation, duality."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from nngames.claims.audit import audit
from nngames.claims.averaged_identities import averaged_sum_identity, relaxation_identity
from nngames.claims.general_claims import general_claims
from nngames.claims.source_claim import SourceClaim, claim_named
from nngames.core.verdicts import Decision, Verdict


@claim_named("compositions_need_not_be_convex")
class CompositionsNeedNotBeConvex(SourceClaim):
    """Compositions of activations need not be convex; that of two ReLUs is given as an example."""

    number = 4
    place = "Activation functions used in deep learning"
    verdict = Decision.PROVED
    correction = "The example needs a negative slope: ReLUs composed with nonnegative slopes are convex."
    shown_by = ("tests/theory/test_general_claims.py",)

    def decide(self) -> Sequence[Verdict]:
        """Compare the value at a midpoint with the mean of the values at the ends."""
        return [general_claims()["compositions_need_not_be_convex"]]


@claim_named("not_strict_contractions")
class NotStrictContractions(SourceClaim):
    """Activations need not be strict contractions."""

    number = 5
    place = "Activation functions used in deep learning"
    verdict = Decision.PROVED
    shown_by = ("tests/theory/test_general_claims.py",)

    def decide(self) -> Sequence[Verdict]:
        """Return a pair of points whose distance ReLU keeps."""
        return [general_claims()["not_strict_contractions"]]


@claim_named("forty_activations_are_averaged")
class FortyActivationsAreAveraged(SourceClaim):
    """Forty of the most used activations are averaged, each with a constant in (0, 1]."""

    number = 6
    place = "Activation functions used in deep learning"
    verdict = Decision.REFUTED
    correction = "Maps with slopes above 1 are averaged with no constant; most rows of the table are averaged."
    shown_by = ("tests/theory/test_activation_audit.py",)

    def decide(self) -> Sequence[Verdict]:
        """Return what the audit of the whole table found."""
        return [audit().general["forty_activations_are_averaged"]]


@claim_named("composition_of_averaged_operators")
class CompositionOfAveragedOperators(SourceClaim):
    """The composition of averaged operators is averaged with 1/(1 + 1/sum of gamma_l/(1 - gamma_l))."""

    number = 7
    place = "Definition of averaged operators"
    verdict = Decision.PROVED
    correction = (
        "It needs that the operators themselves are averaged. The layers r(W x + b) of a network with |W| <= 1 are "
        "nonexpansive only, and for them the rule fails."
    )
    shown_by = ("tests/theory/test_ledger.py", "tests/theory/test_certificates_averaged.py")

    def decide(self) -> Sequence[Verdict]:
        """Verify the identity that the proof rests on, and refute the rule for layers."""
        return [averaged_sum_identity(), general_claims()["composition_rule_for_layers"]]


@claim_named("krasnoselskii_mann")
class KrasnoselskiiMann(SourceClaim):
    """If O is averaged with gamma and has a fixed point, relaxations in (0, 1/gamma) whose sums of
    lambda_t (1 - gamma lambda_t) diverge make O(x_t) - x_t tend to 0 and x_t converge weakly to a fixed point.
    """

    number = 8
    place = "Weak convergence to the set of fixed points"
    verdict = Decision.PROVED
    correction = (
        "Networks have spaces of finite dimension, where weak convergence is convergence in norm. The theorem is about "
        "the map that is iterated: the composite of the layers may be averaged where the joint map is not, and "
        "conversely."
    )
    shown_by = ("tests/theory/test_ledger.py", "gallery:counterexamples/ring_minus_two")

    def decide(self) -> Sequence[Verdict]:
        """Verify the identity that the proof rests on."""
        return [relaxation_identity()]


@claim_named("averaged_maps_are_resolvents")
class AveragedMapsAreResolvents(SourceClaim):
    """By Moreau, every averaged map with a constant below 1 is the resolvent of a subdifferential."""

    number = 10
    place = "Hidden convexity of activations"
    verdict = Decision.REFUTED
    correction = (
        "A firmly nonexpansive map (constant 1/2) is the resolvent of a maximally monotone operator, and of a "
        "subdifferential iff it is cyclically monotone; on the line iff its slopes lie in [0, 1]."
    )
    shown_by = ("tests/theory/test_general_claims.py",)

    def decide(self) -> Sequence[Verdict]:
        """Refute it on the line and, for the constant 1/2, in the plane."""
        return [general_claims()["averaged_maps_are_resolvents"]]


@claim_named("activations_are_gradients")
class ActivationsAreGradients(SourceClaim):
    """By Legendre-Fenchel duality each of the forty activations is the gradient of a convex function, the conjugate of
    f + |.|^2/2.
    """

    number = 11
    place = "Hidden convexity of activations, equations (5) and (9)"
    verdict = Decision.REFUTED
    correction = (
        "It holds for the maps that are the prox of a function, which are those that never decrease; the others are "
        "the gradient of no convex function, and their networks get the tracking cost."
    )
    shown_by = ("tests/theory/test_ledger.py", "gallery:examples/silu_tracking")

    def decide(self) -> Sequence[Verdict]:
        """Refute it by the absolute value, which decreases, and list the rows that are the prox of something."""
        points = (Fraction(-1), Fraction(0))
        values = [abs(point) for point in points]
        product = (values[1] - values[0]) * (points[1] - points[0])
        table = [row for row in audit().rows if row.number is not None]
        nothing = [row.name for row in table if row.penalty == "none"]
        return [
            Verdict(
                Decision.REFUTED if product < 0 else Decision.UNDECIDED,
                f"the absolute value is the gradient of no convex function: such a gradient is monotone, and "
                f"(|0| - |-1|)(0 - (-1)) = {product}",
                "exact rational arithmetic at two points",
                float(-product),
                {"points": list(map(str, points)), "values": list(map(str, values))},
                ("moreau1965", "gribonval2020"),
            ),
            Verdict(
                Decision.PROVED if len(nothing) < len(table) else Decision.UNDECIDED,
                f"{len(table) - len(nothing)} of the {len(table)} rows are the prox of a convex or weakly convex "
                f"function; the prox of nothing: {', '.join(nothing)}",
                "the audit of activations",
                references=("gribonval2020",),
            ),
        ]
