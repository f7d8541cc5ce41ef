"""The source's first main result: outcomes are the Nash equilibria, with no potential in general, and Stackelberg."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from nngames.checks.outcomes import check_outcomes
from nngames.checks.potential import check_potential
from nngames.checks.stackelberg import check_stackelberg
from nngames.claims.source_claim import SourceClaim, claim_named
from nngames.core.ball_ranges import as_ball, working_precision
from nngames.core.verdicts import Decision, Verdict
from nngames.networks import Network

#: Starts of the feeds that accompany the two inclusions as evidence.
STARTS = 16


def _bistable() -> Network:
    """The ring x_1 = tanh(2 x_2), x_2 = x_1, with equilibria at 0 and at two opposite points."""
    return Network.ring([[[2.0]], [[1.0]]], [[0.0], [0.0]], ["tanh", "identity"])


@claim_named("limits_are_equilibria")
class LimitsAreEquilibria(SourceClaim):
    """Every asymptotic outcome of a network is a Nash equilibrium of the game of its layers."""

    number = 19
    place = "Main result 1"
    verdict = Decision.PROVED
    correction = (
        "It needs continuous activations and a limit; runs that cycle or diverge have outcomes of another kind. The "
        "costs as printed need every activation to be a prox; else the tracking cost takes their place."
    )
    shown_by = ("tests/unit/test_outcomes.py", "gallery:examples/gaussian_contraction")

    def decide(self) -> Sequence[Verdict]:
        """Return the proof by continuity, with the outcomes of a ring and of a bistable layer as evidence."""
        ring = Network.ring([[[0.5]], [[0.5]]], [[1.0], [0.0]], ["tanh", "relu"])
        return [check_outcomes(n.game(), STARTS, seed=0).limits_are_equilibria for n in (ring, _bistable())]


@claim_named("equilibria_are_outcomes")
class EquilibriaAreOutcomes(SourceClaim):
    """Every Nash equilibrium of the game is an asymptotic outcome of the network."""

    number = 20
    place = "Main result 1"
    verdict = Decision.PROVED
    correction = (
        "It is the outcome of the run that starts there. It need not attract any other start: no start but 0 tends to "
        "the equilibrium 0 of x = tanh(2x). And an equilibrium need not exist."
    )
    shown_by = (
        "tests/unit/test_outcomes.py",
        "tests/theory/test_ledger.py",
        "gallery:counterexamples/hidden_equilibrium",
        "gallery:counterexamples/no_equilibrium",
    )

    def decide(self) -> Sequence[Verdict]:
        """Return the proof, and the refutation of the stronger reading that it attracts other starts."""
        return [check_outcomes(_bistable().game(), STARTS, seed=0).equilibria_are_outcomes, unattractive_origin()]


def unattractive_origin() -> Verdict:
    """Return the refutation that every equilibrium attracts starts around it.

    tanh(2x)/x decreases for x > 0, so |tanh(2x)| > |x| for all 0 < |x| <= c if tanh(2c) > c. Then |x_t| grows as long
    as it is at most c, so that no start but 0 tends to 0 without reaching it, and tanh(2x) = 0 only at 0.
    """
    with working_precision(64):
        c = as_ball(Fraction(9, 10))
        excess = (2 * c).tanh() - c
        grows = bool(excess > 0)
    return Verdict(
        Decision.REFUTED if grows else Decision.UNDECIDED,
        "not every equilibrium attracts starts around it: |tanh(2x)| > |x| wherever 0 < |x| <= 0.9, so no start but 0 "
        "tends to the equilibrium 0 of x = tanh(2x)",
        "ball arithmetic at 0.9 and the decrease of tanh(2x)/x",
        float(excess.mid()),
        {"c": "0.9", "tanh(2c) - c": excess.str(10)},
    )


@claim_named("some_networks_have_no_potential")
class SomeNetworksHaveNoPotential(SourceClaim):
    """For three or more layers there is a network whose game is not a potential game."""

    number = 21
    place = "Main result 1"
    verdict = Decision.PROVED
    correction = (
        "More holds: no ring of three or more layers with a nonzero effective coupling has an exact or weighted "
        "potential, and two layers suffice for a game without one."
    )
    shown_by = (
        "tests/theory/test_cycles.py",
        "gallery:counterexamples/three_imitators",
        "gallery:counterexamples/matching_pennies",
    )

    def decide(self) -> Sequence[Verdict]:
        """Find and certify improvement cycles of a ring of three layers and of one of two."""
        three = check_potential(Network.ring([[[1.0]]] * 3, [[0.0]] * 3, ["identity"] * 3).game(), seed=0)
        two = check_potential(Network.ring([[[1.0]], [[-1.0]]], [[0.0]] * 2, ["identity"] * 2).game(), seed=0)
        found = three.ordinal.refuted and three.cycle is not None
        claim = Verdict(
            Decision.PROVED if found else Decision.UNDECIDED,
            f"the ring of three layers with W = 1, f = 0 and b = 0 has no potential of any kind: "
            f"{three.ordinal.statement}",
            three.ordinal.method,
            three.ordinal.margin,
            three.ordinal.witness,
            three.ordinal.references,
        )
        return [claim, three.exact, three.weighted, two.ordinal]


@claim_named("outcomes_are_stackelberg")
class OutcomesAreStackelberg(SourceClaim):
    """The outcomes are also the multi-level Stackelberg solutions of the game, as each layer reacts to the one
    before.
    """

    number = 22
    place = "Main result 1"
    verdict = Decision.REFUTED
    correction = (
        "On an open chain it holds, for every order of commitment; on a closed ring a leader may gain by committing."
    )
    shown_by = (
        "tests/theory/test_ledger.py",
        "tests/theory/test_stackelberg.py",
        "gallery:counterexamples/commitment_pays",
    )

    def decide(self) -> Sequence[Verdict]:
        """Compare what a leader commits to with the equilibrium of a ring, and with that of a chain whose last layer
        commits first.
        """
        ring = Network.ring([[[1.0]], [[0.5]]], [[1.0], [0.0]], [{"name": "linear", "slope": 0.5}, "identity"])
        chain = Network.chain([[[1.0]], [[-2.0]], [[0.5]]], [[1.0], [0.0], [1.0]], ["tanh", "relu", "identity"], [0.5])
        led, passed = check_stackelberg(ring.game(), [1, 2]), check_stackelberg(chain.game(), [3, 2, 1])
        return [led.equals_nash, led.solution, passed.equals_nash]
