"""Whether a profile has an equilibrium near it, exactly one, within a ball of a proved radius."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from nngames.certificates import verdict_of
from nngames.certificates.figures import shown
from nngames.checks.check import Check, check_named, require_game
from nngames.checks.cycle_certificates import certification_reason
from nngames.checks.existing.ball_words import NORM, larger_radius, reduced, undecided, widened
from nngames.checks.existing.contraction import Contraction, NewtonMap, SingularError, UnboundedError
from nngames.checks.existing.equation import MOST_COORDINATES, EquilibriumEquation, equation_reason
from nngames.checks.existing.exact import is_exact_equilibrium
from nngames.checks.existing.whole_map import CONTRACTIONS, METHOD, by_contraction
from nngames.core.errors import DomainError, InputError, NotApplicableError, is_real
from nngames.core.plain import plain
from nngames.core.profiles import Array, Profile
from nngames.core.seeds import Seed
from nngames.core.verdicts import BallVerdict, Decision
from nngames.games import Game, NetworkGame
from nngames.solvers import solve

#: How often the ball on which slopes are enclosed grows while no contraction fits into it.
_GROWTHS = 24
#: The ball without a second equilibrium grows up to so many times the largest action, at least 1.
_FARTHEST = 1e6
#: By what the ball without a second equilibrium grows as long as it can.
_GROWN = (4096.0, 64.0, 8.0)
_METHOD = "Newton's map with slopes enclosed over all pairs of the ball (Krawczyk), rounding bounded"
_NO_CONTRACTION = (
    "No ball around the profile is decided: a response couples coordinates, of which no slopes are known on a ball, "
    "and the map is not shown to contract on the whole space"
)
_SUPPORTED = (
    f"a game of a network or a quadratic game, with linear couplings, at most {MOST_COORDINATES} coordinates and "
    "continuous responses"
)
_REFERENCES = ("krawczyk1969", "neumaier1990")


def certify_equilibrium(game: Game, profile: Profile, radius: float | None = None) -> BallVerdict:
    """Decide whether exactly one equilibrium lies in a ball around a profile, max_i |x_i - profile_i| <= radius.

    Parameters
    ----------
    game : Game
        Of a network on any graph, with linear couplings and either cost, or a quadratic game.
    profile : array or mapping
        The centre of the ball; its floats are taken as the numbers they are.
    radius : float, optional
        The largest ball that counts; default: the smallest that is found.

    Returns
    -------
    BallVerdict
        PROVED: an equilibrium lies in the ball of ``.radius`` <= ``radius``, and there is no other in it; the witness'
        ``unique_within`` is a larger radius with no other. REFUTED: the ball of the radius asked for has none.
        UNDECIDED else, which multiple roots and continua of equilibria always are.

    Notes
    -----
    With F(x) = x - r(Ax + b) and C near the inverse of F', the differences of x - C F(x) over a ball of radius s around
    c are at most N |x - y|, N from slopes enclosed over all its pairs. If N u <= q u with u > 0 and q < 1, and y <= s
    has |C F(c)| + N y <= y, the box c -+ y is mapped into itself (Banach) and no other root is within s of c. If
    |C F(c)|_i > radius + (N 1)_i radius for some i, no root is within the radius. Responses that couple coordinates
    (softmax) have their contraction on the whole space instead, if it is proved. [krawczyk1969] [neumaier1990]
    """
    game = require_game(game)
    largest = _checked_radius(radius)
    centre = np.asarray(game.space.array(profile), dtype=np.float64)
    reason = equation_reason(game)
    if reason is not None:
        return undecided(f"No ball around the profile is decided: {reason}", _SUPPORTED, _METHOD, centre)
    equation = EquilibriumEquation(game)
    try:
        # What overflows is a bound that is infinite, and decides nothing.
        with np.errstate(over="ignore", invalid="ignore"):
            return _decided(game, equation, centre, largest)
    except DomainError as error:
        change = "a profile at which every response is defined"
        return undecided(f"No ball around the profile is decided: {error}", change, _METHOD, centre)
    except NotApplicableError as error:
        change = "responses whose values are known in ball arithmetic"
        return undecided(f"No ball around the profile is decided: {error}", change, _METHOD, centre)


def _checked_radius(radius: Any) -> float | None:
    if radius is None:
        return None
    if not (is_real(radius) and 0 <= radius < math.inf):
        raise InputError(f"radius must be a finite number that is not negative; got {radius!r}")
    return float(radius)


def _decided(game: Game, equation: EquilibriumEquation, centre: Array, radius: float | None) -> BallVerdict:
    if not equation.separable:
        found = by_contraction(game, equation, centre, radius)
        change = f"a proof that the whole map contracts: {verdict_of(CONTRACTIONS[0], game).would_change}"
        return found or undecided(_NO_CONTRACTION, change, METHOD, centre)
    found = _by_newton(game, equation, centre, radius)
    if found.status is Decision.UNDECIDED:
        return by_contraction(game, equation, centre, radius) or found
    return found


def _by_newton(game: Game, equation: EquilibriumEquation, centre: Array, radius: float | None) -> BallVerdict:
    try:
        newton = NewtonMap(equation, centre)
    except UnboundedError as error:
        change = "smaller data, or another profile"
        return undecided(f"No ball around the profile is decided: {error}", change, _METHOD, centre)
    except SingularError as error:
        return _singular(game, centre, str(error), 0.0)
    needed = float(newton.step.high.max(initial=0.0)), float(-newton.step.low.min(initial=0.0))
    distance = max(needed)
    last: Contraction | None = None
    trials = list(_trials(distance, centre, radius))
    for trial in trials:
        last = newton.on_ball(trial)
        box = last.invariant_box(newton.step)
        if box is not None and box.max(initial=0.0) <= trial:
            return _proved(newton, last, box, trial, radius)
    if radius is not None:
        around = newton.on_ball(radius)
        reach = _up(around.bounds.sum(axis=1), len(centre)) * radius
        shortest = np.maximum(newton.step.low, -newton.step.high)
        beyond = shortest * (1 - 1e-14) - (radius + reach) * (1 + 1e-14)
        if np.isfinite(beyond).all() and beyond.max(initial=-1.0) > 0:
            i = int(np.argmax(beyond))
            return BallVerdict(
                Decision.REFUTED,
                f"No equilibrium lies within {radius:.6g} of the profile in the maximum norm: coordinate {i} of one "
                f"would be {shortest[i]:.6g} off, give or take {reach[i]:.3g}",
                _METHOD,
                float(beyond[i]),
                {"centre": centre, "radius": radius, "norm": NORM, "coordinate": i, "distance": float(shortest[i])},
                _REFERENCES,
                radius,
                would_change=larger_radius(_by_newton(game, equation, centre, None)),
            )
    sigma = float(np.linalg.svd(newton.jacobian, compute_uv=False)[-1])
    if sigma < 1e-6 or last is None or _is_exact(game, centre):
        why = f"with slopes D as they are around it, I - DA has singular values down to {sigma:.2g} or less"
        return _singular(game, centre, why, sigma)
    within = "" if radius is None else f" of at most {radius:.6g}"
    return undecided(
        f"No ball{within} around the profile is decided: an equilibrium would be about {distance:.3g} away, and on a "
        f"ball of that size the slopes of the responses vary too much (factor {shown(last.factor)}); balls tried: "
        f"{len(trials)}, with radii from {trials[0]:.3g} to {trials[-1]:.3g}",
        ("a larger radius, or a" if radius is not None else "a")
        + " profile solved to a smaller tolerance, if an equilibrium is near that is not multiple",
        _METHOD,
        centre,
        {"factor": last.factor, "distance": distance, "smallest_singular_value": sigma},
    )


def _trials(distance: float, centre: Array, radius: float | None) -> Iterator[float]:
    """Yield the radii of balls on which a contraction is looked for, none beyond the one that is asked for."""
    smallest = 2.0**-44 * max(1.0, float(np.abs(centre).max(initial=0.0)))
    trial = max(2 * distance, smallest)
    for _ in range(_GROWTHS):
        if not math.isfinite(trial):
            return
        if radius is not None and trial >= radius:
            yield radius
            return
        yield trial
        trial *= 4 if trial > 1e-6 else 8


def _proved(newton: NewtonMap, known: Contraction, box: Array, trial: float, radius: float | None) -> BallVerdict:
    found, within = float(box.max(initial=0.0)), trial
    most = _FARTHEST * max(1.0, float(np.abs(newton.centre).max(initial=0.0))) if radius is None else radius
    for growth in _GROWN:
        while (larger := min(growth * within, most)) > within and newton.on_ball(larger).factor < 1:
            within = larger
    statement = (
        f"Exactly one equilibrium lies within {widened(found)} of the profile in the maximum norm, and no other within "
        f"{reduced(within)}: Newton's map contracts by {shown(known.factor)}"
    )
    biases = "biases" if isinstance(newton.equation.game, NetworkGame) else "linear terms"
    # At the end of the largest ball the contraction leaves no room.
    ball = float(reduced(max(within / 8, trial)))
    allowed = newton.bias_allowance(ball)
    change = "other data, which were taken as exact"
    if allowed > 0:
        change = (
            f"{biases} changed by more than {allowed:.1e} each, up to which there is exactly one equilibrium within "
            f"{widened(ball)}; or other weights"
        )
    witness = {
        "centre": newton.centre,
        "radius": found,
        "norm": NORM,
        "factor": known.factor,
        "weights": known.weights,
        "box": box,
        "step": float(max(newton.step.high.max(initial=0.0), -newton.step.low.min(initial=0.0))),
        "unique_within": within,
        "bias_change": allowed,
        "bias_change_within": ball,
    }
    margin = 1 - known.factor
    return BallVerdict(Decision.PROVED, statement, _METHOD, margin, witness, _REFERENCES, found, would_change=change)


def _singular(game: Game, centre: Array, why: str, sigma: float) -> BallVerdict:
    exact = _is_exact(game, centre)
    itself = "The profile is an equilibrium exactly, but n" if exact else "N"
    return undecided(
        f"{itself}o ball around it is shown to hold exactly one: {why}, as at a multiple equilibrium or in a "
        "continuum, which no contraction can separate",
        "another profile, or a small change of the game",
        _METHOD,
        centre,
        {"smallest_singular_value": sigma, "exact_equilibrium": exact},
    )


def _is_exact(game: Game, centre: Array) -> bool:
    return certification_reason(game) is None and is_exact_equilibrium(game, centre)


def _up(values: Array, terms: int) -> Array:
    return np.asarray(values * (1 + 2 * (terms + 4) * 2.0**-53))


@dataclass(frozen=True, eq=False)
class ExistenceReport:
    """A profile that a solver found, and whether an equilibrium is proved to be near it.

    Attributes
    ----------
    profile : ndarray (N,)
    status : str
        How the solve ended.
    existence : BallVerdict
    """

    profile: Array
    status: str
    existence: BallVerdict

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain JSON-ready data."""
        return {"solve": self.status, "profile": plain(self.profile), "existence": self.existence.to_dict()}


@check_named("existence")
@dataclass(frozen=True)
class Existence(Check):
    """Whether exactly one equilibrium is proved to lie near the profile that a solver finds.

    Attributes
    ----------
    radius : float or None
        The largest ball that counts; by default the smallest that is found.
    """

    radius: float | None = None

    def run(self, game: Game, seed: Seed = None) -> ExistenceReport:
        """Solve the game and certify what is found."""
        result = solve(require_game(game), "auto", tolerance=1e-12, seed=seed)
        return ExistenceReport(
            result.profile, result.status.value, certify_equilibrium(game, result.profile, self.radius)
        )
