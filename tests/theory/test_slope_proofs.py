"""Wrong slope ranges, charts, tails and covers are not proved."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

from nngames.activations import activation
from nngames.activations.foundations.charts import Chart, TailBound, chart_of, constant_chart
from nngames.activations.foundations.slopes import SlopeEnd, rational_end
from nngames.claims.slope_proofs import Evidence, prove_slopes
from nngames.claims.witnesses import refuting
from nngames.core.ball_ranges import as_ball

PAIR = (0.0, 1.0)


def posing(name: str, ends: tuple[SlopeEnd, SlopeEnd] | None = None, charts: Any = None) -> Any:
    """An activation that states other ends, or gives other charts, than its own."""
    original = activation(name)
    members: dict[str, Any] = {}
    if ends is not None:
        members["slope_range_exact"] = property(lambda self: ends)
    if charts is not None:
        members["slope_charts"] = lambda self: charts(original)
    return type("Posing", (type(original),), members)(**original.parameters)


def shifted(end: SlopeEnd, by: str) -> SlopeEnd:
    from flint import arb

    return SlopeEnd(end.expression, lambda: end.ball() + arb(by), end.pair, end.attained, end.equation)


def reason(a: Any) -> str:
    proof = prove_slopes(a)
    assert proof.evidence is Evidence.FAILED
    assert not proof.proved
    return proof.method


@pytest.mark.parametrize("name", ["silu", "gelu", "gelu_tanh", "mish", "gaussian", "sinc", "cloglog"])
@pytest.mark.parametrize("by", ["1e-25", "-1e-25"])
def test_ends_off_in_the_25th_digit_are_not_proved(name: str, by: str) -> None:
    low, high = activation(name).slope_range_exact
    for ends in ((shifted(low, by), high), (low, shifted(high, by))):
        assert name in reason(posing(name, ends))


@pytest.mark.parametrize(
    "name", ["arctan", "sigmoid", "tanh", "sqnl", "relu", "softplus_beta", "metallic_mean", "snake"]
)
def test_rational_ends_are_proved_exactly(name: str) -> None:
    low, high = activation(name).slope_range_exact
    tiny = Fraction(1, 2**130)
    assert prove_slopes(activation(name)).proved
    for ends in (
        (rational_end(Fraction(low.number) + tiny, PAIR), high),
        (low, rational_end(Fraction(high.number) - tiny, PAIR)),
    ):
        assert "slopes beyond the stated" in reason(posing(name, ends))


@pytest.mark.parametrize("name", ["absolute_value", "silu", "gelu", "sinc", "relu6", "celu", "sqnl", "sin", "gaussian"])
def test_a_part_that_is_left_out_is_missed(name: str) -> None:
    count = len(activation(name).slope_charts())
    for left_out in range(count):
        a = posing(name, charts=lambda o, k=left_out: o.slope_charts()[:k] + o.slope_charts()[k + 1 :])
        if count > 1:
            assert "do not cover its inputs" in reason(a)


def test_a_false_tail_is_found_out() -> None:
    def charts(original: Any) -> Any:
        left, middle, right = original.slope_charts()
        short = Chart(-1, 1, middle.slope)
        false = lambda start: (as_ball(Fraction(-3, 8)), as_ball(0))  # noqa: E731
        return (replace(left, start=-1.0, bounds=false), short, replace(right, start=1.0, bounds=false))

    a = posing("linear_gaussian", (rational_end(Fraction(-3, 8), PAIR), rational_end(1, PAIR)), charts)
    assert "the bounds of a tail" in reason(a)


def test_a_loose_tail_does_not_reach_its_bound() -> None:
    def charts(original: Any) -> Any:
        slope = lambda x: 1 / (1 + x * x)  # noqa: E731
        loose = lambda start: (as_ball(0), as_ball(2))  # noqa: E731
        return (*original.slope_charts(), TailBound(5.0, 1, slope, loose, "loose"))

    a = posing("arctan", (rational_end(0, PAIR), rational_end(2, PAIR)), charts)
    assert "reaches the stated greatest slope 2" in reason(a)


def test_an_unbounded_slope_must_be_shown() -> None:
    from flint import arb

    infinite = rational_end(float("inf"), PAIR)
    assert "no part shows it" in reason(posing("arctan", (rational_end(0, PAIR), infinite)))

    def charts(original: Any) -> Any:
        slope = lambda x: 1 / (1 + x * x)  # noqa: E731
        open_ended = lambda start: (as_ball(0), arb("inf"))  # noqa: E731
        return (*original.slope_charts(), TailBound(5.0, 1, slope, open_ended, "open", ("high",)))

    assert "not shown to be unbounded" in reason(posing("arctan", (rational_end(0, PAIR), infinite), charts))


def test_a_chart_of_another_map_is_found_out() -> None:
    a = posing("tanh", charts=lambda o: (constant_chart(1, float("-inf"), float("inf")),))
    assert "has other quotients than a part" in reason(a)
    b = posing("sin", charts=lambda o: (chart_of(lambda x: x.cos(), -8, 8),))
    assert "do not cover" in reason(b)


def test_what_has_no_charts_is_derived_or_has_no_slopes() -> None:
    assert prove_slopes(activation("softmax")).evidence is Evidence.DERIVED
    assert prove_slopes(activation("logit")).evidence is Evidence.DERIVED
    assert prove_slopes(activation("maxout")).evidence is Evidence.NONE


def test_points_that_do_not_refute_are_refused() -> None:
    relu = activation("relu")
    half = (Fraction(1, 2),)
    for x, y in ((-1, 2), (-2, -1), (1, 2)):
        with pytest.raises(ArithmeticError, match="does not fail at"):
            refuting(relu, x, y, half, Fraction(1))
    # Between -1 and 1 the slope of r(x) = max(0, x) is 1/2; on the left it is 0: that refutes what is below 1/2.
    assert refuting(relu, -2, -1, (Fraction(1, 2) - Fraction(1, 10**6),), Fraction(1)).slope == 0
    with pytest.raises(ArithmeticError):
        refuting(relu, -2, -1, (Fraction(1, 2) + Fraction(1, 10**6),), Fraction(1))
    # The slope of silu between 2 and 3 is 1.0961...: it refutes every constant.
    assert refuting(activation("silu"), 2, 3, (Fraction(1),), Fraction(1)).slope > 1
    with pytest.raises(ArithmeticError):
        refuting(activation("silu"), 0, 1, (Fraction(1),), Fraction(1))


def test_a_chart_that_stops_short_of_infinity_does_not_cover_the_line() -> None:
    from flint import arb

    def short(original: Any) -> Any:
        return (Chart(-1, 1, lambda x: 1 - 1 / ((x.exp() + (-x).exp()) / 2) ** 2, limits=("lower", "upper")),)

    end = SlopeEnd("tanh(1)^2", lambda: arb(1).tanh() ** 2, PAIR)
    assert "do not cover" in reason(posing("tanhshrink", (rational_end(0, PAIR), end), short))
    for name in ("arctan", "tanh", "sigmoid", "isru", "softsign", "soft_clipping", "multiquadric"):
        first = activation(name).slope_charts()[0]
        cut = Fraction(1, 1000)
        for side, change in (("lower", {"lower": first.lower + cut}), ("upper", {"upper": first.upper - cut})):
            if side in first.limits:
                a = posing(name, charts=lambda o, c=change: (replace(o.slope_charts()[0], **c), *o.slope_charts()[1:]))
                assert "do not cover" in reason(a), (name, side)


def test_a_change_of_r_between_the_points_shows() -> None:
    charts = lambda o: (constant_chart(0, float("-inf"), float("inf")),)  # noqa: E731
    flat = (rational_end(0, PAIR), rational_end(0, PAIR))
    original = activation("box", lower=3.0, upper=3.001)
    members = {"slope_range_exact": property(lambda self: flat), "slope_charts": charts}
    a = type("Posing", (type(original),), members)(**original.parameters)
    assert "has other quotients than a part" in reason(a)


def test_an_end_off_by_less_than_balls_can_tell_is_told_where_it_is_rational() -> None:
    low, _ = activation("absolute_value").slope_range_exact
    assert "reaches" in reason(posing("absolute_value", (low, rational_end(1 + Fraction(1, 10**31), PAIR))))
