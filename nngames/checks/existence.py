"""Whether a profile has an equilibrium near it, exactly one, within a ball of a proved radius."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from nngames.certificates import verdict_of
from nngames.certificates.error_bounds import euclidean_length
from nngames.certificates.figures import shown
from nngames.checks.check import Check, check_named, require_game
from nngames.checks.cycle_certificates import certification_reason
from nngames.checks.equilibria import is_exact_equilibrium
from nngames.checks.existing.contraction import Contraction, NewtonMap, SingularError, UnboundedError
from nngames.checks.existing.equation import EquilibriumEquation, equation_reason
from nngames.core.errors import DomainError, InputError, NotApplicableError
from nngames.core.plain import plain
from nngames.core.profiles import Array, Profile
from nngames.core.seeds import Seed
from nngames.core.verdicts import BallVerdict, Decision
from nngames.games import Game
from nngames.solvers import solve

NORM = "max over i of |x_i|"
#: How often the ball on which slopes are enclosed grows while no contraction fits into it.
_GROWTHS = 24
_METHOD = "Newton's map with slopes enclosed over all pairs of the ball (Krawczyk), rounding bounded"
_GLOBAL = "contraction of the whole map (Banach), the residual in ball arithmetic"
_CONTRACTIONS = ("joint_contraction", "euclidean_contraction")
_NO_CONTRACTION = (
    "No ball around the profile is decided: a response couples coordinates, of which no slopes are known on a ball, "
    "and the map is not shown to contract on the whole space; smaller weights would decide it"
)
_EXACT = "the data were taken as exact, and only other data would change it"
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
        return _undecided(f"No ball around the profile is decided: {reason}", _METHOD, centre)
    equation = EquilibriumEquation(game)
    try:
        # What overflows is a bound that is infinite, and decides nothing.
        with np.errstate(over="ignore", invalid="ignore"):
            return _decided(game, equation, centre, largest)
    except (NotApplicableError, DomainError) as error:
        return _undecided(f"No ball around the profile is decided: {error}", _METHOD, centre)


def _checked_radius(radius: Any) -> float | None:
    if radius is None:
        return None
    real = isinstance(radius, int | float | np.integer | np.floating) and not isinstance(radius, bool)
    if not (real and 0 <= radius < math.inf):
        raise InputError(f"radius must be a finite number that is not negative; got {radius!r}")
    return float(radius)


def _decided(game: Game, equation: EquilibriumEquation, centre: Array, radius: float | None) -> BallVerdict:
    if not equation.separable:
        return _by_contraction(game, equation, centre, radius) or _undecided(_NO_CONTRACTION, _GLOBAL, centre)
    found = _by_newton(game, equation, centre, radius)
    if found.status is Decision.UNDECIDED:
        return _by_contraction(game, equation, centre, radius) or found
    return found


def _by_newton(game: Game, equation: EquilibriumEquation, centre: Array, radius: float | None) -> BallVerdict:
    try:
        newton = NewtonMap(equation, centre)
    except UnboundedError as error:
        return _undecided(
            f"No ball around the profile is decided: {error}; smaller data or another profile would decide it",
            _METHOD,
            centre,
        )
    except SingularError as error:
        return _singular(game, centre, str(error), 0.0)
    needed = float(newton.step.high.max(initial=0.0)), float(-newton.step.low.min(initial=0.0))
    distance = max(needed)
    last: Contraction | None = None
    for trial in _trials(distance, centre, radius):
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
                f"would be {shortest[i]:.6g} off, give or take {reach[i]:.3g}; solve to a smaller tolerance, or ask "
                "for a larger radius",
                _METHOD,
                float(beyond[i]),
                {"centre": centre, "radius": radius, "norm": NORM, "coordinate": i, "distance": float(shortest[i])},
                _REFERENCES,
                radius,
            )
    sigma = float(np.linalg.svd(newton.jacobian, compute_uv=False)[-1])
    if sigma < 1e-6 or last is None or _is_exact(game, centre):
        why = f"with slopes D as they are around it, I - DA has singular values down to {sigma:.2g} or less"
        return _singular(game, centre, why, sigma)
    within = "" if radius is None else f" of at most {radius:.6g}"
    return _undecided(
        f"No ball{within} around the profile is decided: an equilibrium would be about {distance:.3g} away, and on a "
        f"ball of that size the slopes of the responses vary too much (factor {shown(last.factor)}); "
        + ("a larger radius or a" if radius is not None else "a")
        + " profile solved to a smaller tolerance would decide it, unless equilibria are multiple there",
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
    for _ in range(6):
        larger = 8 * within if radius is None else min(8 * within, radius)
        if larger <= within or not newton.on_ball(larger).factor < 1:
            break
        within = larger
    statement = (
        f"Exactly one equilibrium lies within {found:.6g} of the profile in the maximum norm, and no other within "
        f"{within:.6g}: Newton's map contracts by {shown(known.factor)}; {_EXACT}"
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
    }
    return BallVerdict(Decision.PROVED, statement, _METHOD, 1 - known.factor, witness, _REFERENCES, found)


def _by_contraction(
    game: Any, equation: EquilibriumEquation, centre: Array, radius: float | None
) -> BallVerdict | None:
    """Decide by a contraction of the whole map; None where none is proved."""
    if equation.metrics:
        return None
    proofs = [(name, verdict_of(name, game).witness) for name in _CONTRACTIONS if verdict_of(name, game).proved]
    if not proofs:
        return None
    found, name, factor = min(_reach(equation, centre, name, witness) for name, witness in proofs)
    witness = {"centre": centre, "radius": found, "norm": NORM, "factor": factor, "certificate": name}
    if math.isfinite(found) and (radius is None or found <= radius):
        statement = (
            f"Exactly one equilibrium exists, and it lies within {found:.6g} of the profile in the maximum norm: the "
            f"map contracts by {shown(factor)} ({name}); {_EXACT}"
        )
        witness["unique_within"] = math.inf
        return BallVerdict(Decision.PROVED, statement, _GLOBAL, 1 - factor, witness, ("bertsekas1989",), found)
    if radius is None:
        return _undecided(
            "Exactly one equilibrium exists, since the map contracts, but no ball around the profile is shown to hold "
            "it: the responses there are not known to any bound; smaller data, or a profile that is nearer, would "
            "decide it",
            _GLOBAL,
            centre,
            {"factor": factor, "certificate": name},
        )
    # The one equilibrium is near another profile, which is farther off than the radius.
    near = centre
    for _ in range(200):
        near = np.asarray(game.answers(near), dtype=np.float64)
    closer = min(_reach(equation, near, name, witness)[0] for name, witness in proofs)
    distance = float(np.abs(near - centre).max(initial=0.0)) * (1 - 1e-15) - closer
    if math.isfinite(distance) and distance * (1 - 1e-15) > radius:
        statement = (
            f"No equilibrium lies within {radius:.6g} of the profile in the maximum norm: the only one is at least "
            f"{distance:.6g} away; solve to a smaller tolerance, or ask for a larger radius"
        )
        refuted = {**witness, "radius": radius, "near": near, "distance": distance}
        return BallVerdict(Decision.REFUTED, statement, _GLOBAL, distance - radius, refuted, ("bertsekas1989",), radius)
    return _undecided(
        f"The one equilibrium lies within {found:.6g} of the profile, but is not shown to lie within {radius:.6g}; a "
        "profile solved to a smaller tolerance, or a larger radius, would decide it",
        _GLOBAL,
        centre,
        {"distance": found},
    )


def _reach(equation: EquilibriumEquation, x: Array, name: str, witness: Mapping[str, Any]) -> tuple[float, str, float]:
    """Return a bound on the distance of x to the fixed point of a contraction, which it is, and its factor."""
    residual = equation.residual(x, equation.preactivations(x))
    size = np.maximum(np.maximum(residual.high, -residual.low), 0.0)
    grow, factor = 1 + (len(size) + 8) * 2.0**-51, float(witness["factor"])
    if name == "joint_contraction":
        weights, spaces = witness["weights"], equation.game.network.space.slices
        worst = max(euclidean_length(size[where]) / weights[block] for block, where in spaces.items())
        worst *= max(weights.values())
    else:
        worst = euclidean_length(size)
    return worst * grow / math.nextafter(1 - factor, 0.0) * grow + 1e-290, name, factor


def _singular(game: Game, centre: Array, why: str, sigma: float) -> BallVerdict:
    exact = _is_exact(game, centre)
    itself = "The profile is an equilibrium exactly, but n" if exact else "N"
    return _undecided(
        f"{itself}o ball around it is shown to hold exactly one: {why}, as at a multiple equilibrium or in a "
        "continuum, which no contraction can separate; another profile or a small change of the game would decide it",
        _METHOD,
        centre,
        {"smallest_singular_value": sigma, "exact_equilibrium": exact},
    )


def _is_exact(game: Game, centre: Array) -> bool:
    return certification_reason(game) is None and is_exact_equilibrium(game, centre)


def _undecided(statement: str, method: str, centre: Array, witness: dict[str, Any] | None = None) -> BallVerdict:
    return BallVerdict(Decision.UNDECIDED, statement, method, None, {"centre": centre, **(witness or {})})


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
