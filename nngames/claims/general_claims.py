"""What the source says of activations and layers in general, each decided by exact examples.

Every example is a handful of rational numbers, so each verdict is a computation with ``fractions.Fraction``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

from nngames.core.verdicts import Decision, Verdict

Vector = tuple[Fraction, ...]
Map = Callable[[Vector], Vector]

HALF = Fraction(1, 2)


def general_claims() -> dict[str, Verdict]:
    """Return the verdicts on the source's general claims about averaged activations, by a short name."""
    return {
        "averaged_maps_are_resolvents": _averaged_maps_are_resolvents(),
        "composition_rule_for_layers": _composition_rule_for_layers(),
        "compositions_need_not_be_convex": _compositions_need_not_be_convex(),
        "not_strict_contractions": _not_strict_contractions(),
    }


def _averaged_maps_are_resolvents() -> Verdict:
    """Every gamma-averaged map with gamma < 1 is the resolvent of a subdifferential: refuted twice."""
    line = ((Fraction(0),), (Fraction(1),))
    decreasing: Map = lambda x: (-x[0] / 2,)  # noqa: E731
    turn: Map = lambda x: ((x[0] - x[1]) / 2, (x[0] + x[1]) / 2)  # noqa: E731
    corners = ((1, 0), (1, 1), (0, 1), (-1, 0), (-1, -1), (0, -1))
    plane: Sequence[Vector] = tuple((Fraction(a), Fraction(b)) for a, b in corners)
    # A resolvent of a subdifferential is a gradient of a convex function, hence cyclically monotone.
    pair, hexagon = _cyclic_sum(decreasing, line), min(_cyclic_sum(turn, plane), _cyclic_sum(turn, plane[::-1]))
    averaged = _linear_excess(((-HALF,),), Fraction(3, 4)) <= 0
    firm = _linear_excess(((HALF, -HALF), (HALF, HALF)), HALF) <= 0
    refuted = averaged and firm and pair < 0 and hexagon < 0
    return Verdict(
        Decision.REFUTED if refuted else Decision.UNDECIDED,
        "Not every averaged map with a constant below 1 is the resolvent of a subdifferential: such a resolvent is "
        "cyclically monotone, but r(x) = -x/2 is 3/4-averaged and decreases, and in the plane half the sum of the "
        "identity and a quarter turn is firmly nonexpansive (1/2-averaged) and fails on a cycle of six points.",
        "exact rational arithmetic: averagedness by the matrix inequality, the sum over a cycle by its terms",
        float(-hexagon),
        {
            "line": {"map": "-x/2", "constant": "3/4", "points": _texts(line), "cyclic sum": str(pair)},
            "plane": {
                "map": "[[1/2, -1/2], [1/2, 1/2]]",
                "constant": "1/2",
                "points": _texts(plane),
                "cyclic sum": str(hexagon),
            },
        },
        ("moreau1965", "gribonval2020", "bauschke2017"),
    )


def _cyclic_sum(function: Map, points: Sequence[Vector]) -> Fraction:
    """Return sum_i <x_i - x_(i+1), r(x_i)>, which is >= 0 on every cycle iff r is cyclically monotone."""
    following = [*points[1:], points[0]]
    terms = (
        (a - b) * r for x, y in zip(points, following, strict=True) for a, b, r in zip(x, y, function(x), strict=True)
    )
    return sum(terms, Fraction(0))


def _linear_excess(matrix: Sequence[Sequence[Fraction]], gamma: Fraction) -> Fraction:
    """Return the largest diagonal entry, off by none, of Q'Q - I for Q = I + (A - I)/gamma where Q'Q is diagonal.

    A is gamma-averaged iff Q is nonexpansive; for the maps here Q'Q is diagonal, which is checked.
    """
    n = len(matrix)
    moved = [[Fraction(int(i == j)) + (matrix[i][j] - int(i == j)) / gamma for j in range(n)] for i in range(n)]
    gram = [[sum(moved[k][i] * moved[k][j] for k in range(n)) for j in range(n)] for i in range(n)]
    if any(gram[i][j] != 0 for i in range(n) for j in range(n) if i != j):
        raise ArithmeticError("the moved map is not orthogonal up to scale")
    return Fraction(max(gram[i][i] for i in range(n))) - 1


def _composition_rule_for_layers() -> Verdict:
    """The rule for compositions, with the activations' constants and |W| <= 1 only: refuted."""
    constants = [HALF, HALF]
    rule = 1 / (1 + 1 / sum(g / (1 - g) for g in constants))
    points = (Fraction(-1), Fraction(0))
    # Two ReLU layers with the weights -1 and 1 and no bias.
    values = [max(Fraction(0), max(Fraction(0), -x)) for x in points]
    slope = (values[0] - values[1]) / (points[0] - points[1])
    bound = 1 - 2 * rule
    refuted = slope < bound
    return Verdict(
        Decision.REFUTED if refuted else Decision.UNDECIDED,
        "The rule for the averagedness constant of a composition fails for layers r(W x + b) with only |W| <= 1: "
        f"two ReLU layers (constant 1/2 each, so the rule gives {rule}) with the weights -1 and 1 have the slope "
        f"{slope} between -1 and 0, below 1 - 2 * {rule} = {bound}. The rule holds for averaged maps, and "
        "x -> r(W x + b) need not be one.",
        "exact rational arithmetic at two points",
        float(bound - slope),
        {"weights": ["-1", "1"], "points": list(map(str, points)), "values": list(map(str, values)), "rule": str(rule)},
        ("bauschke2017", "combettes2020"),
    )


def _compositions_need_not_be_convex() -> Verdict:
    """A composition of ReLUs of affine functions that is not convex: proved by a midpoint."""

    def composed(x: Fraction) -> Fraction:
        return max(Fraction(0), 1 - max(Fraction(0), x))

    points = (Fraction(-1), Fraction(0), Fraction(1))
    excess = composed(points[1]) - (composed(points[0]) + composed(points[2])) / 2
    return Verdict(
        Decision.PROVED if excess > 0 else Decision.UNDECIDED,
        "Compositions of activations need not be convex: max(0, 1 - max(0, x)) is 1 at 0, above the mean 1/2 of its "
        "values at -1 and 1. (Compositions of ReLUs with nonnegative slopes are convex: this needs a negative one.)",
        "exact rational arithmetic at three points",
        float(excess),
        {
            "points": list(map(str, points)),
            "values": [str(composed(t)) for t in points],
        },
        ("djehiche2023",),
    )


def _not_strict_contractions() -> Verdict:
    """Activations need not be strict contractions: proved by ReLU on the right."""
    x, y = Fraction(2), Fraction(1)
    quotient = abs(max(Fraction(0), x) - max(Fraction(0), y)) / abs(x - y)
    return Verdict(
        Decision.PROVED if quotient == 1 else Decision.UNDECIDED,
        "Activations are not necessarily strict contractions: |ReLU(2) - ReLU(1)| = |2 - 1|.",
        "exact rational arithmetic at two points",
        0.0,
        {"points": ["1", "2"], "quotient": str(quotient)},
        ("djehiche2023",),
    )


def _texts(points: Sequence[Vector]) -> list[Any]:
    return [[str(t) for t in point] for point in points]
