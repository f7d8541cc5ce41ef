"""The bounds and default steps of schemes are those of their docstrings, on games whose |M|, mu, beta and S are known.

A bound that holds along every run may still be too large or rest on a weaker proof: here each is written out again.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import nngames as nng
from nngames.solvers.inclusion import residual_factor

PHI = (1 + math.sqrt(5)) / 2
DISTANCE = 2.5
SHARES = (0.3, 0.95)
Bound = Callable[[int], float]


@dataclass(frozen=True)
class Known:
    """A game of which |M|, mu and c of ``residual_factor`` are known."""

    game: Any
    norm: float
    modulus: float
    factor: Callable[[float], float]


def ring_of(*weights: float, activation: Any = "identity") -> Any:
    return nng.Network.ring([[[w]] for w in weights], [[1.0]] * len(weights), [activation] * len(weights)).game()


def metric_game() -> Any:
    """Q = diag(1/2, 4) for the first player, 1 for the second, the coupling skew: M has the modulus 1/2."""
    coupling = np.array([[3.0], [-1.0]])
    return nng.QuadraticGame(
        {0: np.diag([0.5, 4.0]), 1: [[1.0]]},
        {(0, 1): coupling, (1, 0): -coupling.T},
        {0: [1.0, 0.0], 1: [0.5]},
        {0: "nonnegative", 1: "nonnegative"},
    )


METRIC = np.array([[0.5, 0.0, 3.0], [0.0, 4.0, -1.0], [-3.0, 1.0, 1.0]])
STEEP = np.array([[0.5, -3.0], [2.0, 0.5]])

#: M = [[1, -w], [w, 1]].
SKEW = Known(ring_of(2.0, -2.0), math.sqrt(5), 1.0, lambda tau: 1 + abs(1 / tau - 1))
#: M is normal with the eigenvalues 3 and +- i sqrt 3.
MERE = Known(ring_of(-2.0, -2.0, -2.0), 3.0, 0.0, lambda tau: 1 + abs(1 / tau - 1))
#: Slopes of exactly 2: M = Id/2 - W, whose symmetric part has the eigenvalue 0.
STEEP_MERE = Known(
    ring_of(3.0, -2.0, activation={"name": "tanh", "scale": 2.0}),
    float(np.linalg.norm(STEEP, 2)),
    0.0,
    lambda tau: 1 + 2 * abs(1 / tau - 0.5),
)
#: c = 1 + max(|1/tau - 1/2|, |1/tau - 4|) / (1/2).
UNEVEN = Known(
    metric_game(),
    float(np.linalg.norm(METRIC, 2)),
    0.5,
    lambda tau: 1 + 2 * max(abs(1 / tau - 0.5), abs(1 / tau - 4.0)),
)
STRONG, MERELY = (SKEW, UNEVEN), (MERE, STEEP_MERE)


def start_growth(t: float) -> float:
    return (t + math.sqrt(1 + t * t)) ** 2


def linear(lead: float, square: float) -> Bound:
    return lambda k: math.sqrt(lead * square**k)


def fejer_linear(t: float, gain: float) -> Bound:
    return linear(1.0, 1 - min(gain, (1 - t * t) / 2))


def fejer(t: float) -> Bound:
    return lambda k: 1 / math.sqrt((1 - t * t) * (k + 1))


def popov_linear(t: float, gain: float) -> Bound:
    return linear(2 * start_growth(t), 1 - min(gain, 0.5 - 2 * t * t))


def popov(t: float) -> Bound:
    return lambda k: math.sqrt(2 * start_growth(t) / ((1 - 4 * t * t) * k))


def reflected_growth(t: float, gain: float) -> float:
    return 1 + min(2 * gain / (1 + t), (1 - 2 * t) / (2 * t))


def reflected_linear(t: float, gain: float) -> Bound:
    return linear(1 / (1 - t), 1 / reflected_growth(t, gain))


def reflected(t: float) -> Bound:
    return lambda k: (1 + t) / math.sqrt((1 - 2 * t) * (k + 1))


def projected_linear(t: float, gain: float) -> Bound:
    growth = reflected_growth(t, gain)
    return linear((2 + math.sqrt(growth)) ** 2 / (1 - t), 1 / growth)


def projected(t: float) -> Bound:
    return lambda k: 3 / math.sqrt((1 - 2 * t) * (k + 1))


def golden_linear(t: float, gain: float) -> Bound:
    square = max(1 - min(PHI, 2 * gain) / (2 * PHI**2), t / (PHI - t))
    lead = (1 / PHI + 1 / math.sqrt(PHI)) ** 2 * (PHI + start_growth(t))
    return lambda k: math.sqrt(lead * square ** (k - 1))


def golden(t: float) -> Bound:
    return lambda k: (PHI + 2) * math.sqrt((PHI + start_growth(t)) / PHI) / math.sqrt(k)


def anchored(t: float) -> Bound:
    return lambda k: 2 / k


#: method -> the end of tau |M|, the share of it that is the default, the quantity and the two bounds (without c).
SCHEMES: dict[str, tuple[float, float, str, Callable[[float, float], Bound] | None, Callable[[float], Bound]]] = {
    "extragradient": (1.0, 0.9, "best_residual", fejer_linear, fejer),
    "forward_backward_forward": (1.0, 0.9, "best_residual", fejer_linear, fejer),
    "popov": (0.5, 0.9, "best_residual", popov_linear, popov),
    "forward_reflected_backward": (0.5, 0.9, "best_residual", reflected_linear, reflected),
    "projected_reflected": (0.5, 1.8 * (math.sqrt(2) - 1), "best_residual", projected_linear, projected),
    "golden_ratio": (PHI / 2, 0.9, "best_residual", golden_linear, golden),
    "anchored_extragradient": (1.0, 0.9, "residual", None, anchored),
}


def check(rate: Any, quantity: str, expected: Bound) -> None:
    assert rate.quantity == quantity
    for k in (1, 2, 7, 60):
        assert rate.bound(k, DISTANCE) == pytest.approx(expected(k) * DISTANCE, rel=1e-7)


def check_residuals(name: str, known: Known, share: float) -> None:
    end, _, quantity, _, merely = SCHEMES[name]
    tau = share * end / known.norm
    rate = nng.solver(name, step_size=tau).guarantee(known.game).rate
    check(rate, quantity, lambda k: known.factor(tau) * merely(share * end)(k))


@pytest.mark.parametrize("name", SCHEMES)
@pytest.mark.parametrize("known", STRONG)
@pytest.mark.parametrize("share", SHARES)
def test_linear_bounds(name: str, known: Known, share: float) -> None:
    end, _, _, strong, _ = SCHEMES[name]
    if strong is None:
        check_residuals(name, known, share)
    else:
        tau = share * end / known.norm
        rate = nng.solver(name, step_size=tau).guarantee(known.game).rate
        check(rate, "distance", strong(share * end, tau * known.modulus))


@pytest.mark.parametrize("name", SCHEMES)
@pytest.mark.parametrize("known", MERELY)
@pytest.mark.parametrize("share", SHARES)
def test_bounds_on_residuals(name: str, known: Known, share: float) -> None:
    check_residuals(name, known, share)


@pytest.mark.parametrize("name", SCHEMES)
@pytest.mark.parametrize("known", [*STRONG, *MERELY])
def test_default_steps(name: str, known: Known) -> None:
    end, share, *_ = SCHEMES[name]
    problem = nng.solver(name).problem(known.game, np.random.default_rng(0))
    assert problem.step == pytest.approx(share * end / known.norm, rel=1e-9)
    assert problem.step <= share * end / known.norm * (1 + 1e-15)


@pytest.mark.parametrize("share", SHARES)
def test_forward_backward(share: float) -> None:
    # beta = 1/5 for the skew M: <M d, d> = |d|^2 and |M d|^2 = 5 |d|^2.
    tau = 2 * share / 5
    rate = nng.solver("forward_backward", step_size=tau).guarantee(SKEW.game).rate
    check(rate, "distance", linear(1.0, 1 - tau * (2 - 5 * tau)))
    # [[1, -1], [-1, 1]]: symmetric, with the eigenvalues 0 and 2.
    tau = share
    rate = nng.solver("forward_backward", step_size=tau).guarantee(ring_of(1.0, 1.0)).rate
    check(rate, "residual", lambda k: 1 / tau / math.sqrt((1 - tau) * (k + 1)))


@pytest.mark.parametrize("known", [*STRONG, *MERELY])
@pytest.mark.parametrize("relaxation", [0.4, 1.0, 1.7])
@pytest.mark.parametrize("tau", [0.05, 0.3, 1.1])
def test_douglas_rachford(known: Known, relaxation: float, tau: float) -> None:
    rate = nng.solver("douglas_rachford", step_size=tau, relaxation=relaxation).guarantee(known.game).rate
    if known.modulus == 0:
        constant = known.factor(tau) / math.sqrt(relaxation * (2 - relaxation))
        check(rate, "residual", lambda k: constant / math.sqrt(k + 1))
        return
    size, twice = 1 + (tau * known.norm) ** 2, 2 * tau * known.modulus
    rho = math.sqrt((size - twice) / (size + twice))
    check(rate, "distance", lambda k: (1 - relaxation * (1 - rho) / 2) ** k)
    whole = nng.solver("peaceman_rachford", step_size=tau).guarantee(known.game).rate
    check(whole, "distance", lambda k: rho**k)


@pytest.mark.parametrize("tau", [0.1, 0.45, 1.0, 3.0])
def test_reflections_of_a_symmetric_operator(tau: float) -> None:
    # [[1, -1/2], [-1/2, 1]] has the eigenvalues 1/2 and 3/2.
    rate = nng.solver("peaceman_rachford", step_size=tau).guarantee(ring_of(0.5, 0.5)).rate
    rho = max((1 - tau / 2) / (1 + tau / 2), (1.5 * tau - 1) / (1.5 * tau + 1))
    check(rate, "distance", lambda k: rho**k)


@pytest.mark.parametrize("tau", [0.1, 0.45])
def test_extragradient_on_the_displacement(tau: float) -> None:
    # O is the identity or its opposite: nonexpansive and nothing more.
    game = ring_of(1.0, -1.0)
    rate = nng.solver("extragradient", operator="identity_minus_map", step_size=tau).guarantee(game).rate
    check(rate, "best_residual", lambda k: 1 / (tau * math.sqrt((1 - 4 * tau**2) * (k + 1))))
    longer = nng.solver("extragradient", operator="identity_minus_map", step_size=0.5).guarantee(game)
    assert longer.status == "UNDECIDED"


def test_krasnoselskii_mann_and_halpern() -> None:
    # |O(x) - O(y)| = q |x - y| for q = 1 and q = 3/4.
    nonexpansive, contracting = ring_of(1.0, -1.0), ring_of(0.75, -1.0)
    check(nng.solver("halpern").guarantee(nonexpansive).rate, "residual", lambda k: 2 / (k + 1))
    for relaxation in (0.3, 0.8):
        rate = nng.solver("km", relaxation=relaxation).guarantee(nonexpansive).rate
        check(rate, "residual", lambda k, a=relaxation: 1 / math.sqrt(a * (1 - a) * (k + 1)))
        rate = nng.solver("km", relaxation=relaxation).guarantee(contracting).rate
        check(rate, "distance", lambda k, a=relaxation: (1 - a / 4) ** k)
    rate = nng.solver("km", relaxation=1.1).guarantee(contracting).rate
    check(rate, "distance", lambda k: (0.1 + 1.1 * 0.75) ** k)
    rate = nng.solver("km", relaxation={"initial": 1.0, "power": 0.5}).guarantee(nonexpansive).rate
    check(rate, "residual", lambda k: 1 / math.sqrt(sum((t**-0.5) * (1 - t**-0.5) for t in range(1, k + 2))))

    def shares(k: int) -> float:
        share = 1.0
        for j in range(k):
            share = (1 + (j + 1) * 0.75 * share) / (j + 2)
        return share

    check(nng.solver("halpern").guarantee(contracting).rate, "distance", shares)


@pytest.mark.parametrize("known", [*STRONG, *MERELY])
@pytest.mark.parametrize("tau", [0.02, 0.3, 0.45, 1.5, 40.0])
def test_the_factor_from_one_residual_to_the_other(known: Known, tau: float) -> None:
    assert residual_factor(known.game, tau) == pytest.approx(known.factor(tau), rel=1e-9)


@pytest.mark.parametrize("steep", [3.0, 7e9, 1e10 + 1, 1e15])
def test_the_factor_is_rounded_up_where_slopes_are_steep(steep: float) -> None:
    """1 - 1/S in floats leaves few digits of 1/S."""
    game = ring_of(0.5, -0.5, activation={"name": "leaky_relu", "slope": steep})
    slope = Fraction(game.own[1].activation.slope_range[1])
    for tau in (0.1, 1.0, 0.9 * steep, 2 * steep):
        exact = 1 + slope * abs(1 / Fraction(tau) - 1 / slope)
        assert exact <= Fraction(residual_factor(game, tau)) <= exact * (1 + Fraction(1, 10**9)) + slope / 2**51


def test_the_error_factor_of_strong_monotonicity() -> None:
    # (|Q - k| + |M|)/mu: Q = diag(1/2, 4), 1 and k = 0; a network's Q = 1, with k = 1/2 for slopes up to 2.
    steep = nng.Network.ring([[[2.0]], [[-2.0]]], [[1.0]] * 2, [{"name": "tanh", "scale": 2.0}] * 2).game()
    cases = ((UNEVEN.game, 4.0, UNEVEN.norm, 0.5), (SKEW.game, 1.0, SKEW.norm, 1.0), (steep, 0.5, math.sqrt(4.25), 0.5))
    for game, own, size, modulus in cases:
        witness = nng.certify(game)["monotone"].witness
        assert witness["modulus"] == pytest.approx(modulus, rel=1e-9)
        assert witness["error_factor"] == pytest.approx((own + size) / modulus, rel=1e-9)
        assert witness["error_factor"] >= (own + size) / modulus * (1 - 1e-15)


@pytest.mark.parametrize(("activation", "players"), [("softsign", "neurons"), ("softmax", "layers")])
@pytest.mark.parametrize("name", ["extragradient", "forward_backward_forward", "popov", "golden_ratio"])
def test_bounds_hold_where_weights_are_the_identity_up_to_rounding(name: str, activation: str, players: str) -> None:
    """Steps of a share of 1/|M| would be 1e15 there, and multiply the rounding of M x."""
    game = nng.Network.recurrent((1 - 2**-53) * np.eye(3), [0.06, -0.15, 0.05], activation).game(players=players)
    equilibrium = nng.solve(game, tolerance=1e-12).profile
    scheme = nng.solver(name)
    guarantee = scheme.guarantee(game)
    assert guarantee.proved
    rng, rate = np.random.default_rng(0), guarantee.rate
    assert rate is not None
    for size in (1.0, 100.0):
        start, best = equilibrium + size * rng.standard_normal(3), np.inf
        for iterate in itertools.islice(scheme.iterate(game, start=start), 200):
            best = min(best, iterate.residual)
            bound = rate.bound(iterate.iteration, rate.norm(start - equilibrium))
            assert best <= bound * (1 + 1e-9) + 1e-9
