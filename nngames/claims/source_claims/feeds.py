"""Claims about the feeds of a network: where iterating it leads, and limit cycles as minimisers of a functional."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from nngames.certificates import certify
from nngames.checks.projecting.functionals import least_distance, no_universal_functional
from nngames.claims.source_claim import SourceClaim, claim_named
from nngames.core.verdicts import Decision, Verdict
from nngames.networks import Network


@claim_named("iterated_feed_diverges")
class IteratedFeedDiverges(SourceClaim):
    """With the usual activations the iterated feed has, most of the time, no limit."""

    number = 2
    place = "Iterated input-output: asymptotic outcomes"
    verdict = Decision.UNDECIDED
    correction = (
        "No measure on architectures is given, so 'most of the time' is not a proposition. Below a contraction bound "
        "the feed always converges; docs/iterated-feed.md measures how often it does over random architectures."
    )
    shown_by = ("tests/theory/test_ledger.py", "`python docs/iterated_feed.py`")

    def decide(self) -> Sequence[Verdict]:
        """Return what is certain: a class where the feed always converges, and a member of each other behaviour."""
        open_question = Verdict(
            Decision.UNDECIDED,
            "whether the iterated feed has no limit 'most of the time' depends on a measure on architectures, and none "
            "is given; both behaviours occur on open sets of weights",
            "a proposition is missing",
        )
        contraction = certify(Network.ring([[[0.5]], [[0.5]]], [[1.0], [0.0]], ["tanh", "relu"]).game())[
            "composite_contraction"
        ]
        return [open_question, contraction, _grows(), _alternates()]


def _grows() -> Verdict:
    """The feed x -> max(0, 2x) from 1 doubles in every step."""
    x = Fraction(1)
    ratios = set()
    for _ in range(3):
        y = max(Fraction(0), 2 * x)
        ratios.add(y / x)
        x = y
    return Verdict(
        Decision.PROVED if ratios == {2} else Decision.UNDECIDED,
        "the iterated feed of the ReLU layer x -> max(0, 2x) doubles every positive state, so it has no limit",
        "exact rational arithmetic; a positive state stays positive",
        witness={"start": "1", "ratios": sorted(map(str, ratios))},
    )


def _alternates() -> Verdict:
    """The feed x -> hard tanh(-2x) from 1 alternates between -1 and 1, a bounded run without a limit."""
    states = [Fraction(1)]
    for _ in range(2):
        states.append(max(Fraction(-1), min(Fraction(1), -2 * states[-1])))
    cycle = states == [1, -1, 1]
    return Verdict(
        Decision.PROVED if cycle else Decision.UNDECIDED,
        "the iterated feed of x -> max(-1, min(1, -2x)) from 1 alternates between -1 and 1: bounded, and without a "
        "limit",
        "exact rational arithmetic",
        witness={"states": list(map(str, states))},
    )


@claim_named("cycles_as_minimisers")
class CyclesAsMinimisers(SourceClaim):
    """The theorem answers in part whether limit cycles, such as those of alternating projections, can be characterised
    as the minimisers of a functional.
    """

    number = 9
    place = "Weak convergence to the set of fixed points"
    verdict = Decision.REFUTED
    correction = (
        "The theorem is about fixed points and says nothing of it. For two sets the cycles minimise the distance. For "
        "three and more sets no functional has, for every family of closed convex sets, the cycles as its minimisers; "
        "the paper cited beside the theorem proves just this."
    )
    shown_by = (
        "tests/theory/test_projection_cycles.py",
        "gallery:examples/two_projections",
        "gallery:counterexamples/three_projections",
    )

    def decide(self) -> Sequence[Verdict]:
        """Run the proof for three to six sets, and that of the functional for two."""
        intervals = ((Fraction(0), Fraction(1)), (Fraction(2), Fraction(3)))
        return [*(no_universal_functional(m) for m in (3, 4, 5, 6)), least_distance(*intervals)]
