"""Messages: what happened in a run and what to do next, in the user's terms, ending in a command or a call."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import numpy as np

from nngames.certificates import verdict_of
from nngames.core.deadlines import TimeUpError
from nngames.core.errors import NNGamesError
from nngames.core.norms import euclidean_length
from nngames.core.profiles import Array
from nngames.games import Game
from nngames.results.result import Status
from nngames.solvers.solver import MAX_ITERATIONS, Guarantee, Solver, registry

#: Beyond this size a message does not stop to prove anything.
LARGEST_ADVISED = 2000
#: With more players, one simultaneous pass costs less than a sweep in which they answer one by one.
SWEPT_PLAYERS = 200
#: A residual below this share of the profile's length is in the second half of the digits of single precision.
SINGLE = float(np.sqrt(np.finfo(np.float32).eps))
#: How a run ends that has used what it may.
BUDGETS = (Status.MAX_ITERATIONS, Status.MAX_SECONDS)


def message_for(
    game: Game,
    solver: Solver,
    status: Status,
    iterations: int,
    residual: float,
    target: float,
    period: int | None,
    precision: str | None = None,
) -> str:
    """Return the sentence for a finished run; ``precision`` is what ``more_digits`` says about it."""
    name = solver.name
    if status is Status.CONVERGED:
        return f"{name} converged: residual {residual:.2e} <= {target:.2e} after {iterations} iterations"
    what = {
        Status.MAX_ITERATIONS: f"{name} used its {iterations} iterations; residual {residual:.2e} > {target:.2e}",
        Status.MAX_SECONDS: f"{name} used its time after {iterations} iterations; residual {residual:.2e} > "
        f"{target:.2e}",
        Status.DIVERGED: f"{name} diverges: residual {residual:.2e} after {iterations} iterations",
        Status.CYCLING: f"{name} cycles with period {period}",
        Status.STALLED: f"{name} makes no more progress: residual {residual:.2e} > {target:.2e} "
        f"after {iterations} iterations",
        Status.NOT_FINITE: f"{name} left the finite numbers after {iterations} iterations",
        Status.INTERRUPTED: f"{name} was interrupted after {iterations} iterations; residual {residual:.2e}",
    }[status]
    if status is Status.INTERRUPTED:
        return what
    return f"{what}; {precision or next_step(game, solver, status, iterations, residual)}"


def more_digits(start: Array, x: Array, status: Status, residual: float, scale: float) -> str | None:
    """Return that a run ended at what single precision can tell, with what to do; None where that is not so.

    Parameters
    ----------
    start : ndarray (N,)
    x : ndarray
        The last iterate, in the precision of the passes.
    status : Status
    residual, scale : float
    """
    if x.dtype != np.float32 or status not in (Status.STALLED, Status.CYCLING, *BUDGETS):
        return None
    if not residual <= SINGLE * max(scale, euclidean_length(x)):
        return None
    if start.dtype == np.float32:
        return (
            "the passes are in single precision, as the start is: give it in double, "
            "nng.solve(game, start=start.astype(float)), or allow a larger tolerance"
        )
    # Where steps are left, a mixed run goes on in double precision by itself.
    return None if status in BUDGETS else "the passes were in single precision until then: try precision='double'"


def left_domain(solver: Solver, iterations: int, error: Exception) -> str:
    """Return the sentence for a run whose next step is not defined."""
    what = f"{solver.name} left the set where an activation is defined after {iterations} iterations: {error}"
    return f"{what}; try a start nearer to an equilibrium, nng.solve(game, start=...)"


def cannot_start(solver: Solver, error: Exception, given: bool) -> str:
    """Return the sentence for a run whose start is not defined; ``given`` says whether the user chose it."""
    if given:
        return f"{solver.name} cannot start there: {error}; give another start"
    return f"{solver.name} cannot start at zero: {error}; try another start, nng.solve(game, start=...)"


def no_time_to_begin(solver: Solver) -> str:
    """Return the sentence for a run whose time was up before its first state."""
    return f"{solver.name} used its time before its first step: try a larger --max-seconds"


def convergence_proved(game: Game, solver: Solver) -> bool:
    """Whether the scheme's convergence is proved on a game small enough to stop and prove."""
    return game.size <= LARGEST_ADVISED and solver.guarantee(game).proved


def existence_proved(guarantee: Guarantee) -> bool:
    """Whether a guarantee of convergence comes with a proof that there is an equilibrium."""
    distance = guarantee.rate is not None and guarantee.rate.quantity == "distance"
    witness = guarantee.witness or {}
    return distance or bool(witness.get("unique") or witness.get("exists"))


def will_settle(game: Game, solver: Solver) -> bool:
    """Whether a run is proved to reach an equilibrium in the end, however far it goes meanwhile."""
    try:
        return convergence_proved(game, solver) and existence_proved(solver.guarantee(game))
    except TimeUpError:
        return False


def next_step(game: Game, solver: Solver, status: Status, iterations: int, residual: float) -> str:
    """Return the next thing to try, with its reason."""
    more = "a larger --max-seconds" if status is Status.MAX_SECONDS else f"--max-iterations {10 * max(iterations, 100)}"
    own = game.advice(solver.name, status, more)
    if own is not None:
        return own
    if game.size <= LARGEST_ADVISED:
        with suppress(TimeUpError):
            return _proved_step(game, solver, status, residual, more)
    return "see nngames certify for what is proved about this game"


def _proved_step(game: Game, solver: Solver, status: Status, residual: float, more: str) -> str:
    """Return the next thing to try by what is proved. Raises TimeUpError where the time does not suffice for that."""
    if status in BUDGETS and convergence_proved(game, solver):
        faster = _faster(game, solver) if _is_far(game, residual) and _is_slow(solver.guarantee(game)) else None
        if faster is not None:
            return f"convergence is proved, but not at a rate worth waiting for; {faster[1]}: try --method {faster[0]}"
        if existence_proved(solver.guarantee(game)):
            return f"convergence is proved, so allow more: {more}"
        return f"convergence is proved if there is an equilibrium, which is not proved: allow more, {more}"
    if solver.steered:
        # It has tried whatever is proved.
        proof = solver.guarantee(game)
        if proof.proved:
            why = "the numbers here are beyond double precision: scale the weights, biases or the start down"
            if status is not Status.NOT_FINITE:
                why = "that scheme could not run here: try another start, nng.solve(game, start=...)"
            return f"in exact arithmetic {proof.statement}, but {why}"
        return f"no certificate licenses a scheme here: try another start, nng.solve(game, start=...), or {more}"
    better = next(licensed_methods(game, besides=solver.name), None)
    if better is not None:
        name, reason = better
        return f"{reason}: try --method {name}"
    if status in BUDGETS:
        return f"no certificate licenses a scheme here: try {more}"
    return "no certificate licenses a scheme here: try --method auto"


def licensed_methods(game: Game, besides: str) -> Iterator[tuple[str, str]]:
    """Yield the methods whose convergence is proved on the game, with the reason, fastest guarantee first.

    A proof is made when it is reached: whoever takes the first method only does not pay for the others. Those come last
    whose proof does not say that there is an equilibrium, or is of a rate as slow as that of a near-isometry.
    """
    last = []
    many = game.space.count > SWEPT_PLAYERS
    order = ("picard", "extragradient", "km", "best_response") if many else ("best_response", "extragradient", "km")
    for name in order:
        solver = registry.create(name)
        if name == besides or solver.applies(game) is not None:
            continue
        try:
            guarantee = solver.guarantee(game)
        except NNGamesError:
            continue
        if not guarantee.proved:
            continue
        found = (name, _reason(game, name, guarantee.statement))
        if existence_proved(guarantee) and not _is_slow(guarantee):
            yield found
        else:
            last.append(found)
    yield from last


def _faster(game: Game, solver: Solver) -> tuple[str, str] | None:
    """Return a method, with the reason, whose convergence is proved at a rate that is not slow."""
    found = next(licensed_methods(game, solver.name), None)
    return None if found is None or _is_slow(registry.create(found[0]).guarantee(game)) else found


def _is_far(game: Game, residual: float) -> bool:
    """Whether a residual is more than a tenth of that at zero: a run that ends there has hardly begun to converge."""
    try:
        return residual > game.residual(np.zeros(game.size)) / 10
    except NNGamesError:
        # Zero is no profile of the game, or an activation is not defined there.
        return False


def _is_slow(guarantee: Guarantee) -> bool:
    """Whether a proved rate leaves more than half of its bound after the iterations of a run: nobody waits for it."""
    rate = guarantee.rate
    return rate is not None and rate.bound(MAX_ITERATIONS, 1.0) > rate.bound(1, 1.0) / 2


def _reason(game: Game, name: str, statement: str) -> str:
    if name == "extragradient":
        verdict = verdict_of("monotone", game)
        margin = f" (margin {_figure(verdict.margin)})" if verdict.margin is not None else ""
        return f"M is monotone{margin}"
    return statement.split(",")[0]


def _figure(margin: float) -> str:
    """Return a margin with two digits after the point, as a power of ten where those would hide it."""
    return f"{margin:.1e}" if 0 < abs(margin) < 0.005 else f"{margin:.2f}"
