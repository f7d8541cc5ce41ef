"""Parameter sets of claims: exact roots, ends and membership, against brute force."""

from __future__ import annotations

import random
from fractions import Fraction

import pytest

from nngames.claims.parameter_sets import Piece, least_constants, stated_set, tight_set, valid_set
from nngames.core.ball_ranges import as_ball

ONE, HALF, ZERO = Fraction(1), Fraction(1, 2), Fraction(0)
INFINITY = float("inf")


def value(polynomial: tuple[Fraction, ...], u: Fraction) -> Fraction:
    return sum((c * u**k for k, c in enumerate(polynomial)), Fraction(0))


def test_a_line_valid_everywhere() -> None:
    pieces = [
        Piece(-ONE, ZERO, (ZERO, ONE), (ZERO, ONE), (HALF, -HALF)),
        Piece(ZERO, ONE, (ZERO, ONE), (ZERO, ONE), (HALF, HALF)),
    ]
    assert str(valid_set(pieces)) == str(stated_set(pieces)) == "[-1, 1]"
    assert str(tight_set(pieces)) == "[-1, 0]"


def test_open_ends_and_points_stay_apart() -> None:
    pieces = [
        Piece(-INFINITY, ZERO, (ZERO,), None, (ONE,), ("upper",)),
        Piece(ZERO, ZERO, (ONE,), (ONE,), (ONE,)),
        Piece(ZERO, INFINITY, (ZERO,), None, (ONE,), ("lower",)),
    ]
    assert str(valid_set(pieces)) == "{0}"
    assert str(stated_set(pieces)) == "(-inf, inf)"
    opened = [Piece(ZERO, Fraction(4), (ZERO,), (ZERO, Fraction(1, 4)), (HALF, Fraction(1, 8)), ("lower",))]
    assert str(valid_set(opened)) == "(0, 4]"
    assert not valid_set(opened).contains(ZERO)
    assert valid_set(opened).contains(Fraction(4))


def test_irrational_ends_are_told_by_digits_and_decide_membership() -> None:
    root = lambda: as_ball(2).sqrt()  # noqa: E731
    pieces = [Piece(ZERO, INFINITY, (ZERO,), (ZERO, root), (ONE,))]
    found = valid_set(pieces)
    assert str(found) == "[0, 0.707106781187]"
    assert found.contains(Fraction(7071067811, 10**10))
    assert not found.contains(Fraction(7071067812, 10**10))


def test_a_constant_of_zero_is_no_constant() -> None:
    """The identity has the slope 1; with gamma = u the claim holds for 0 < u <= 1 only."""
    pieces = [Piece(-ONE, Fraction(2), (ONE,), (ONE,), (ZERO, ONE))]
    assert str(valid_set(pieces)) == "(0, 1]"
    square = [Piece(-ONE, ONE, (ONE,), (ONE,), (ZERO, ZERO, ONE))]
    assert str(valid_set(square)) == "[-1, 0) or (0, 1]"


def test_pieces_that_are_open_at_a_shared_end_stay_apart() -> None:
    pieces = [
        Piece(-ONE, ZERO, (ZERO,), (ONE,), (ONE,), ("upper",)),
        Piece(ZERO, ONE, (ZERO,), (ONE,), (ONE,), ("lower",)),
    ]
    assert str(valid_set(pieces)) == "[-1, 0) or (0, 1]"
    assert not valid_set(pieces).contains(ZERO)
    closed = [pieces[0], Piece(ZERO, ONE, (ZERO,), (ONE,), (ONE,))]
    assert str(valid_set(closed)) == "[-1, 1]"


def test_tight_constants_are_points_or_intervals_of_the_valid_ones() -> None:
    # r = u x: the infimum is (1 - u)/2, and only u <= 1 is averaged.
    assert str(tight_set([Piece(ZERO, Fraction(3), (ZERO,), (ZERO, ONE), (HALF,))])) == "[0, 1]"
    assert str(tight_set([Piece(ZERO, ONE, (ZERO, ONE), (ZERO, ONE), (HALF, HALF))])) == "{0}"
    crossing = [Piece(ZERO, ONE, (ZERO, Fraction(1, 3)), (ZERO, ONE), (ZERO, ONE))]
    assert str(tight_set(crossing)) == "{3/7}"
    assert str(tight_set([Piece(ZERO, ONE, (ZERO,), None, (HALF,))])) == "no parameter"


def test_least_constants_are_told_interval_by_interval() -> None:
    pieces = [
        Piece(-INFINITY, ZERO, (ZERO, ONE), (ONE,), (ONE,)),
        Piece(ZERO, ONE, (ZERO,), (ONE,), (ONE,)),
        Piece(ONE, INFINITY, (ZERO,), (ZERO, ONE), (ONE,)),
    ]
    assert least_constants(pieces, "a") == "1/2 - 1/2 a for a in [-1, 0]; 1/2 for a in [0, 1]"


def test_no_parameter_is_said() -> None:
    assert str(valid_set([Piece(ONE, ONE, (-ONE,), (ONE,), (HALF,))])) == "no parameter"


def test_a_double_root_is_exact_for_rationals_and_an_error_where_it_cannot_be_decided() -> None:
    touching = (ZERO, Fraction(2), -ONE)
    assert str(valid_set([Piece(ZERO, Fraction(3), (ZERO,), touching, (ONE,))])) == "[0, 3]"
    crossing = (ZERO, Fraction(3), Fraction(-2))
    assert str(valid_set([Piece(ZERO, Fraction(3), (ZERO,), crossing, (ONE,))])) == "[0, 1/2] or [1, 3]"
    blurred = (ZERO, lambda: as_ball(2).sqrt(), Fraction(-1, 2))
    with pytest.raises(ArithmeticError, match="double root"):
        valid_set([Piece(ZERO, Fraction(3), (ZERO,), blurred, (ONE,))])


@pytest.mark.parametrize("seed", range(60))
def test_membership_is_that_of_the_inequalities(seed: int) -> None:
    rng = random.Random(seed)

    def coefficient() -> Fraction:
        return Fraction(rng.randrange(-8, 9), rng.choice((1, 2, 3, 5)))

    low = (coefficient(), coefficient())
    high = (low[0] + abs(coefficient()), low[1], abs(coefficient()) if seed % 2 else ZERO)
    constant = (coefficient(), coefficient())
    pieces = [Piece(Fraction(-2), Fraction(3), low, high, constant, ("upper",) if seed % 3 else ())]
    found = valid_set(pieces)
    for _ in range(80):
        u = Fraction(rng.randrange(-20, 31), 10) if rng.random() < 0.5 else Fraction(rng.randrange(-2000, 3001), 997)
        u = min(max(u, Fraction(-2)), Fraction(3))
        gamma = value(constant, u)
        valid = 0 < gamma <= 1 and value(high, u) <= 1 and value(low, u) >= 1 - 2 * gamma
        inside = not (u == 3 and "upper" in pieces[0].opened)
        assert found.contains(u) == (valid and inside), (u, str(found))
