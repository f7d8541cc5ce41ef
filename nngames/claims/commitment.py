"""A leader who commits on a closed ring gains on the equilibrium, in exact numbers; on an open chain nobody can."""

from __future__ import annotations

from fractions import Fraction

from nngames.core.verdicts import Decision, Verdict

HALF = Fraction(1, 2)
#: The ring r_1(v) = v/2, r_2 = Id with the weights 1 and 1/2 and the biases 1 and 0.
WEIGHTS, BIASES = (Fraction(1), HALF), (Fraction(1), Fraction(0))


def leader_cost(x: Fraction, y: Fraction) -> Fraction:
    """Return the first layer's proximal cost: f_1(z) = z^2/2, whose prox is v/2, and half the square of x - W_1 y - "
    "b_1."""
    return HALF * x**2 + HALF * (x - WEIGHTS[0] * y - BIASES[0]) ** 2


def follower_answer(x: Fraction) -> Fraction:
    """Return the second layer's best response, the minimiser of |z - W_2 x - b_2|^2/2."""
    return WEIGHTS[1] * x + BIASES[1]


def commitment_on_a_ring() -> Verdict:
    """Return the refutation that the equilibria of a closed ring are its Stackelberg solutions.

    With its follower's answer y = x/2 the first layer's cost is x^2/2 + (x/2 - 1)^2/2, least at x = 2/5. In the only
    equilibrium, x = (y + 1)/2 and y = x/2, it plays 2/3 and pays 4/9; committed to 2/5 it pays 2/5.
    """
    # The equilibrium: x = (W_1 W_2 x + b_1)/2, affine with a slope below 1.
    x = HALF * BIASES[0] / (1 - HALF * WEIGHTS[0] * WEIGHTS[1])
    y = follower_answer(x)
    # The committed cost is quadratic; its minimiser follows from three of its values.
    at = [leader_cost(t, follower_answer(t)) for t in map(Fraction, (-1, 0, 1))]
    curvature, slope = at[0] - 2 * at[1] + at[2], (at[2] - at[0]) / 2
    committed = -slope / curvature
    nash, led = leader_cost(x, y), leader_cost(committed, follower_answer(committed))
    equilibrium = x == HALF * (WEIGHTS[0] * y + BIASES[0])
    refuted = equilibrium and curvature > 0 and led < nash
    return Verdict(
        Decision.REFUTED if refuted else Decision.UNDECIDED,
        f"the outcome of a closed ring need not be a Stackelberg solution of the game with the proximal cost as "
        f"printed: for r_1(v) = v/2, r_2 = Id, W = (1, 1/2), b = (1, 0) the only equilibrium is ({x}, {y}), where the "
        f"first layer pays {nash}; committed to {committed}, answered by {follower_answer(committed)}, it pays {led}",
        "exact rational arithmetic",
        float(nash - led),
        {
            "equilibrium": [str(x), str(y)],
            "cost": str(nash),
            "commitment": str(committed),
            "answer": str(follower_answer(committed)),
            "committed cost": str(led),
        },
        ("djehiche2023",),
    )


def commitment_on_a_chain() -> Verdict:
    """Return the verdict that on an open chain the forward pass is the Stackelberg solution for every order of
    commitment.

    Layer l's cost f_l(z) + |z - b_l - W_l x_(l-1)|^2/2 depends on nothing but its own action and that of the layer
    before. The first layer hears the fixed input only, so that its cost depends on its own action alone, and whatever
    the order it plays its only minimiser. Given that the layers before l play the forward pass, whoever commits when,
    the cost of l has one minimiser, its answer, and nothing that l commits to changes what they play. By induction
    everybody plays the forward pass. The argument is about every acyclic graph with single best responses.
    """
    return Verdict(
        Decision.PROVED,
        "on an open chain the forward pass is the only Stackelberg solution, for every order of commitment: no layer's "
        "action reaches a layer that its own cost depends on",
        "induction along the chain",
        references=("djehiche2023",),
    )
