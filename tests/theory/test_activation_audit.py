"""The audit of activations by a second route: dense 50-digit sampling with mpmath, and verdicts derived by hand.

The definitions in ``exact_activations`` share nothing with the package.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
import pytest
from exact_activations import EXACT
from mpmath import mpf

from nngames.activations import ScalarActivation, activation, activations
from nngames.activations.foundations.projections import SetProjection
from nngames.claims import AuditRow, audit, audit_activations
from nngames.claims.parameter_sets import valid_set
from nngames.claims.polynomials import evaluate
from nngames.claims.table import Claim, claims
from nngames.core.ball_ranges import working_precision


@pytest.fixture(scope="module")
def rows() -> tuple[AuditRow, ...]:
    return audit_activations()


@pytest.fixture(autouse=True)
def _digits() -> Iterator[None]:
    with mpmath.workdps(50):
        yield


CLAIMS = claims()
WELL_POSED = [claim for claim in CLAIMS if claim.pieces]
SCALAR = [claim for claim in WELL_POSED if claim.name in EXACT]
REGISTERED = sorted(name for name in EXACT if name in activations())
by_name = {"ids": lambda claim: f"{claim.number}-{claim.name}"}

#: Each row, derived by hand from the slopes: T tight, L loose, P for some parameters, F false, N not well-posed.
EXPECTED = {
    1: "L", 2: "L", 3: "L", 4: "L", 5: "L", 6: "L", 7: "L", 8: "P", 9: "P", 10: "L", 11: "L", 12: "N", 13: "P", 14: "F",
    15: "L", 16: "P", 17: "F", 18: "P", 19: "F", 20: "N", 21: "L", 22: "T", 23: "P", 24: "N", 25: "T", 26: "L", 27: "L",
    28: "P", 29: "L", 30: "L", 31: "P", 32: "P", 33: "N", 34: "L", 35: "T", 36: "L", 37: "L", 38: "N", 39: "L", 40: "L",
    41: "L", 42: "T", 43: "N", 44: "F", 45: "L", 46: "N", 47: "N",
}  # fmt: skip
LETTER = {
    "tight": "T",
    "valid but loose": "L",
    "valid for some parameters": "P",
    "false": "F",
    "not well-posed": "N",
}

#: The valid parameters, derived by hand; that of gelu ends at 1/S.
VALID = {
    2: "slope in [-1, 1]",
    3: "slope in [-1, 1]",
    4: "slope in [-1, 1]",
    7: "gain in (-1, 1)",
    10: "scale in [-1, 1]",
    11: "beta in (0, inf)",
    22: "width in (-inf, inf)",
    29: "lambda_ in [0, inf)",
    6: "scale in (-1, 1)",
    13: "alpha in [-1, 1]",
    16: "slope in [-1, 1]",
    18: "scale in [0, 10/11]",
    21: "1/epsilon in (0, 4]",
    23: "1/(1 + width_excess) in (0, 1]",
    28: "1/sqrt(1 + excess) in (0, 1]",
    31: "scale in [3/7, 1]",
    32: "exponent in {0}",
}


def exact_number(value: Any) -> Any:
    """A Fraction or a ball as an mpmath number."""
    if isinstance(value, Fraction):
        return mpf(value.numerator) / value.denominator
    return mpf(value.mid().str(40, radius=False))


def slopes(name: str, parameters: dict[str, Any], points: list[Any]) -> list[Any]:
    """Quotients of the exact response over tiny steps at the points."""
    step = mpf(2) ** -50
    numbers = {key: mpf(value) for key, value in parameters.items()}
    return [(EXACT[name](x + step, **numbers) - EXACT[name](x - step, **numbers)) / (2 * step) for x in points]


def samples(a: ScalarActivation, count: int, seed: int) -> list[Any]:
    """Points of the inputs of an activation, dense near 0 and reaching far out."""
    rng = np.random.default_rng(seed)
    low, high = a.inputs.lower, a.inputs.upper
    if np.isfinite(low) and np.isfinite(high):
        return [mpf(float(t)) for t in rng.uniform(low + 1e-9, high - 1e-9, count)]
    wide = np.concatenate([np.linspace(-8, 8, count // 2), rng.normal(size=count - count // 2) * 20])
    if np.isfinite(low):
        wide = low + 1e-6 + np.abs(wide)
    return [mpf(float(t)) for t in wide]


def sampled(name: str) -> bool:
    a = activation(name)
    return isinstance(a, ScalarActivation) and not isinstance(a, SetProjection)


def test_every_scalar_activation_has_a_definition_of_its_own() -> None:
    assert {name for name in activations() if sampled(name)} <= set(EXACT)


@pytest.mark.parametrize("name", REGISTERED)
def test_responses_are_the_definitions(name: str) -> None:
    a = activation(name)
    points = samples(a, 24, 1)
    for x, value in zip(points, a(np.array([float(x) for x in points])), strict=True):
        exact = EXACT[name](x)
        assert abs(mpf(float(value)) - exact) <= mpf(1e-13) * abs(exact) + mpf(1e-300), x


@pytest.mark.parametrize("name", [name for name in REGISTERED if activation(name).continuous])
def test_slopes_sampled_with_50_digits_are_within_the_proved_range_and_reach_it(name: str) -> None:
    a = activation(name)
    low, high = a.slope_range_exact
    found = slopes(name, {}, samples(a, 1200, 2))
    slack = mpf(10) ** -25
    if low.finite:
        assert min(found) >= mpf(low.digits) - slack
    if high.finite:
        assert max(found) <= mpf(high.digits) + slack
    for end in (low, high):
        x, y = (mpf(float(t)) for t in end.pair)
        quotient = (EXACT[name](x) - EXACT[name](y)) / (x - y)
        if end.finite:
            assert abs(quotient - mpf(end.digits)) <= mpf(1e-9) * max(1, abs(quotient))
        else:
            assert abs(quotient) > 1e3


def exact_softmax(v: list[Any], gain: Any) -> list[Any]:
    powers = [mpmath.exp(gain * t) for t in v]
    return [power / mpmath.fsum(powers) for power in powers]


def exact_softsign_norm(v: list[Any], _: Any) -> list[Any]:
    size = mpmath.sqrt(mpmath.fsum(t * t for t in v))
    return [t / (1 + size) for t in v]


@pytest.mark.parametrize(
    ("response", "low", "high", "gain"),
    [
        (exact_softmax, 0, mpf(1) / 2, mpf(1)),
        (exact_softmax, mpf(-3) / 8, 0, mpf(-3) / 4),
        (exact_softsign_norm, 0, 1, None),
    ],
)
def test_rayleigh_quotients_of_vectors_sampled_with_50_digits_are_within_the_derived_range(
    response: Any, low: Any, high: Any, gain: Any
) -> None:
    """Quotients of far pairs, and of near ones around points that a search from random starts improves."""
    rng = np.random.default_rng(4)

    def quotient(x: list[Any], d: list[Any]) -> Any:
        moved = [
            a - b
            for a, b in zip(response([s + t for s, t in zip(x, d, strict=True)], gain), response(x, gain), strict=True)
        ]
        return mpmath.fdot(moved, d) / mpmath.fdot(d, d)

    found = []
    for n in (2, 3, 5):
        for _ in range(150):
            scale = 10.0 ** rng.uniform(-6, 1)
            x = [mpf(float(t)) for t in rng.normal(size=n) * 10.0 ** rng.uniform(-6, 1)]
            found.append(quotient(x, [mpf(float(t)) for t in rng.normal(size=n) * scale]))
    tiny = mpf(10) ** -12
    found += [quotient([mpf(0), mpf(0)], [tiny, -tiny]), quotient([mpf(50), mpf(0)], [tiny, mpf(0)])]
    found.append(quotient([mpf(10) ** 12, mpf(0)], [mpf(10) ** 12, mpf(0)]))
    assert min(found) >= low - mpf(10) ** -20
    assert max(found) <= high + mpf(10) ** -20
    assert min(found) <= low + mpf(1e-9)
    assert max(found) >= high - mpf(1e-9)


def test_rows_are_those_of_the_source_and_verdicts_those_derived_by_hand(rows: tuple[AuditRow, ...]) -> None:
    table = {row.number: row for row in rows if row.number is not None}
    assert sorted(table) == list(range(1, 48))
    assert {number: LETTER[row.verdict] for number, row in table.items()} == EXPECTED
    for number, valid in VALID.items():
        assert table[number].valid_for == valid, number
    steepest = mpmath.ncdf(mpmath.sqrt(2)) + mpmath.sqrt(2) * mpmath.npdf(mpmath.sqrt(2))
    assert table[9].valid_for == f"scale in [0, {mpmath.nstr(1 / steepest, 12)}]"


#: Where a valid constant is the infimum, derived by hand: 2 gamma = 1 - s.
TIGHT = {
    2: "tight for slope in [-1, 0]", 3: "tight for slope in [-1, 0]", 4: "tight for slope in [-1, 0]",
    6: "tight for scale in (-1, 0]", 7: "tight for gain in {0}", 9: "tight for scale in {0}",
    10: "tight for scale in [-1, 0]", 11: "nowhere tight", 13: "tight for alpha in {-1}", 16: "tight for slope in {-1}",
    18: "tight for scale in {0}", 21: "nowhere tight", 23: "nowhere tight", 28: "nowhere tight", 29: "nowhere tight",
    31: "tight for scale in {3/7}", 32: "nowhere tight",
}  # fmt: skip


def test_tight_parameters_are_said(rows: tuple[AuditRow, ...]) -> None:
    for row in rows:
        if row.number in TIGHT:
            assert TIGHT[row.number] in row.statement, row.name


def claimed_value(text: str, names: dict[str, Any]) -> Any:
    """The claimed constant as its text says it: a formula, then perhaps its range after 'for'."""
    formula = text.split(" for ")[0].split(": ")[-1].split(" = ")[-1]
    formula = re.sub(r"\|(\w+)\|", r"abs(\1)", formula)
    formula = re.sub(r"(\d|\)) (\w|\()", r"\1*\2", formula)
    known = {"sqrt": mpmath.sqrt, "abs": abs, "e": mpmath.e, "mpf": mpf}
    return eval(re.sub(r"(?<![\w.])(\d+(\.\d+)?)", r"mpf('\1')", formula), {"__builtins__": {}}, {**known, **names})


@pytest.mark.parametrize("claim", WELL_POSED, **by_name)
def test_the_constant_that_is_decided_is_the_one_that_is_told(claim: Claim) -> None:
    for piece in claim.pieces:
        low, high = Fraction(max(piece.lower, Fraction(-3))), Fraction(min(piece.upper, Fraction(3)))
        for share in (Fraction(1, 8), Fraction(5, 8)):
            u = low + share * (high - low)
            names = {key: mpf(value) for key, value in claim.parameters(u).items()}
            with working_precision(200):
                decided = exact_number(evaluate(piece.constant, u))
            assert abs(claimed_value(claim.claimed, names) - decided) < mpf(1e-14), (u, claim.claimed)


def test_the_claimed_texts_are_evaluated_and_not_skipped() -> None:
    assert claimed_value("(1 + |slope|)/2 for |slope| <= 1", {"slope": mpf(-0.5)}) == mpf(3) / 4
    assert claimed_value("(2 + sqrt(e))/4", {}) == (2 + mpmath.sqrt(mpmath.e)) / 4
    assert claimed_value("as tanh: 3/4", {}) == mpf(3) / 4


def test_the_headline_is_refuted_by_rows_without_parameters(rows: tuple[AuditRow, ...]) -> None:
    verdict = audit().general["forty_activations_are_averaged"]
    assert str(verdict.status) == "REFUTED"
    assert set(verdict.witness) == {"silu", "mish", "logit", "softsign_probit"}
    for name, witness in verdict.witness.items():
        x, y = (mpf(Fraction(witness[key]).numerator) / Fraction(witness[key]).denominator for key in ("x", "y"))
        moved = EXACT[name](x) - EXACT[name](y)
        gamma = mpf(1)
        assert abs(gamma * (x - y) + moved - (x - y)) > gamma * abs(x - y)


def test_every_continuous_scalar_activation_is_proved_in_ball_arithmetic(rows: tuple[AuditRow, ...]) -> None:
    for row in rows:
        a = activation(row.name, **row.parameters)
        assert row.proof.proved == (isinstance(a, ScalarActivation) and a.continuous), row.name
        if row.proof.proved:
            assert row.proof.method.startswith("ball arithmetic on ")


@pytest.mark.parametrize("claim", [c for c in WELL_POSED if c.variable], **by_name)
def test_the_slopes_of_a_row_are_those_of_its_activation_for_every_parameter(claim: Claim) -> None:
    rng = random.Random(claim.number)
    for piece in claim.pieces:
        low, high = max(piece.lower, Fraction(-5)), min(piece.upper, Fraction(5))
        for _ in range(6):
            # Dyadic parameters near the interval's inside are exact as floats.
            u = low + (high - low) * Fraction(rng.randrange(1, 1 << 12), 1 << 12)
            a = activation(claim.name, **claim.parameters(u))
            ends = a.slope_range_exact
            with working_precision(200):
                for polynomial, end in zip((piece.low, piece.high), ends, strict=True):
                    if polynomial is None:
                        assert not end.finite
                        continue
                    expected = float(exact_number(evaluate(polynomial, u)))
                    assert float(end.digits) == pytest.approx(expected, rel=1e-12, abs=1e-15), u


@pytest.mark.parametrize("claim", SCALAR, **by_name)
def test_the_valid_parameters_are_those_for_which_no_sampled_pair_fails(claim: Claim) -> None:
    """Membership against the definition of averagedness on the sampled slopes, and the range of the constant."""
    valid = valid_set(claim.pieces)
    rng = random.Random(claim.number)
    for piece in claim.pieces:
        low, high = max(piece.lower, Fraction(-3)), min(piece.upper, Fraction(3))
        for _ in range(5 if claim.variable else 1):
            u = low + (high - low) * Fraction(rng.randrange(1, 1 << 10), 1 << 10)
            parameters = {key: float(value) for key, value in claim.parameters(u).items()}
            with working_precision(200):
                value = evaluate(piece.constant, u)
                gamma = exact_number(value)
            a = activation(claim.name, **parameters)
            points = samples(a, 300, 3)
            found = slopes(claim.name, parameters, points)
            for end in a.slope_range_exact:
                x, y = (mpf(float(t)) for t in end.pair)
                numbers = {key: mpf(p) for key, p in parameters.items()}
                found.append((EXACT[claim.name](x, **numbers) - EXACT[claim.name](y, **numbers)) / (x - y))
            moved = [abs(1 + (t - 1) / gamma) for t in found] if gamma > 0 else [mpf(2)]
            fails = not 0 < gamma <= 1 or max(moved) > 1 + mpf(10) ** -8
            assert valid.contains(u) == (not fails), (u, gamma, max(moved))


@pytest.mark.parametrize("claim", [c for c in CLAIMS if c.witness and c.name in EXACT], **by_name)
def test_witnesses_refute_the_claim_in_50_digits(claim: Claim, rows: tuple[AuditRow, ...]) -> None:
    witness = next(row.witness for row in rows if row.number == claim.number)
    assert witness is not None
    x, y = (mpf(Fraction(t).numerator) / Fraction(t).denominator for t in (witness.x, witness.y))
    numbers = {key: mpf(value) for key, value in witness.parameters.items()}
    moved = EXACT[claim.name](x, **numbers) - EXACT[claim.name](y, **numbers)
    assert float(moved / (x - y)) == pytest.approx(witness.slope, rel=1e-12)
    gamma = mpf(1)
    if claim.pieces:
        u = claim.witness[0]  # type: ignore[index]
        piece = next(p for p in claim.pieces if p.lower <= u <= p.upper)
        with working_precision(200):
            value = evaluate(piece.constant, u)
            gamma = exact_number(value)
    assert abs(gamma * (x - y) + moved - (x - y)) > gamma * abs(x - y) + mpf(10) ** -10


def test_false_rows_and_rows_that_fail_somewhere_have_a_witness(rows: tuple[AuditRow, ...]) -> None:
    for row in rows:
        if row.verdict == "false":
            assert row.witness is not None, row.name
            assert "It fails at" in row.statement
        if row.verdict == "valid for some parameters" and row.number != 28:
            # Where the claim of isru fails, its constant exceeds 1.
            assert row.witness is not None, row.name
        if row.verdict in ("tight", "valid but loose", "not claimed"):
            assert row.witness is None
        assert row.verdict != "undecided"
