"""The outcome report: where the feeds of a network go, which equilibria its game has, and whether they are the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from nngames.checks.check import Check, check_named, require_game
from nngames.checks.outcome_clusters import OutcomeReport
from nngames.checks.outcome_survey import OutcomeSurvey
from nngames.core.errors import NotApplicableError, OptionError, check_positive
from nngames.core.seeds import Seed, generator
from nngames.games import Game
from nngames.networks.relaxation import Constant

#: All starts are fed as one batch, and each settled one is classified by itself.
MAX_STARTS = 100_000


@check_named("outcomes")
@dataclass(frozen=True)
class OutcomesCheck(Check):
    """Where both feeds go from many starts, and whether their limits and the game's equilibria are the same.

    Parameters
    ----------
    starts, steps : int
    tolerance, relaxation, max_seconds : float
        As for ``check_outcomes``.
    """

    starts: int = 32
    steps: int = 3000
    tolerance: float = 1e-9
    relaxation: float = 0.5
    max_seconds: float = 60.0

    def __post_init__(self) -> None:
        _check_options(self.starts, self.steps, self.tolerance, self.relaxation, self.max_seconds)

    def run(self, game: Game, seed: Seed = None) -> OutcomeReport:
        """Return the report."""
        return check_outcomes(game, self.starts, seed, self.steps, self.tolerance, self.relaxation, self.max_seconds)


def check_outcomes(
    game: Game,
    starts: int = 32,
    seed: Seed = None,
    steps: int = 3000,
    tolerance: float = 1e-9,
    relaxation: float = 0.5,
    max_seconds: float = 60.0,
) -> OutcomeReport:
    """Feed a network from many starts by both rules, find equilibria by other methods, and compare.

    Parameters
    ----------
    game : Game
        Of a network; for a game without one the best-response map is fed.
    starts : int
        The zero start and drawn ones, Gaussian with standard deviations 1, 0.1 and 10 in turn.
    seed : int or Generator, optional
    steps : int
        Of each feed.
    tolerance : float
        Of the classification, relative to max(1, |R(0)|).
    relaxation : float
        Constant relaxation of the averaged feed.
    max_seconds : float
        After which feeds end undecided and no search or test goes on.

    Returns
    -------
    OutcomeReport

    Raises
    ------
    OptionError, InputError
        If an argument is not usable.
    NotApplicableError
        If the answers to the zero profile are not finite.

    Notes
    -----
    Every limit is an equilibrium where the map R that is fed is continuous, that is but for activations that jump or
    are not defined everywhere. If x_{t+1} = R(x_t) tends to x, so does R(x_t),
    which tends to R(x). If x_{t+1} = x_t + lambda_t (R(x_t) - x_t) tends to x and d = R(x) - x were not 0, then from
    some t on <R(x_t) - x_t, d> >= |d|^2/2, so <x_t, d> would grow by at least |d|^2/2 times the sum of the lambda_t,
    which is infinite.

    Conversely x = R(x) is the outcome of the feed that starts at x. That says nothing about other starts: the origin of
    x = tanh(2x) is an equilibrium that drawn starts leave.

    Neither needs that the floating-point findings be right; they are evidence, each equilibrium tested by the second
    route.
    """
    game = require_game(game)
    _check_options(starts, steps, tolerance, relaxation, max_seconds)
    average = Constant(float(relaxation))
    if not np.isfinite(game.scale):
        raise NotApplicableError("the answers to the zero profile are beyond the floats: no feed can be told")
    # What overflows is no limit and no equilibrium.
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        return OutcomeSurvey(game, starts, generator(seed), steps, tolerance, average, float(max_seconds)).report()


def _check_options(starts: Any, steps: Any, tolerance: Any, relaxation: Any, max_seconds: Any) -> None:
    for name, value in (("starts", starts), ("steps", steps)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
            raise OptionError(f"{name} must be a positive integer; got {value!r}")
    if starts > MAX_STARTS:
        raise OptionError(f"starts must be at most {MAX_STARTS}; got {starts!r}")
    for name, value in (("tolerance", tolerance), ("relaxation", relaxation), ("max_seconds", max_seconds)):
        check_positive(name, value)
    if not tolerance < 1e-3:
        raise OptionError(f"tolerance must be below 1e-3; got {tolerance!r}")
