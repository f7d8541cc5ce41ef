"""The diagnosis of a game: certificates first, then a few runs, and the search for an improvement cycle."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nngames.activations import Activation
from nngames.certificates import certify
from nngames.certificates.figures import shown
from nngames.core.errors import NNGamesError
from nngames.core.verdicts import Verdict
from nngames.games import Game, NetworkGame
from nngames.report.diagnosis import Diagnosis, Finding
from nngames.results.result import Result, Status

Array = NDArray[np.floating[Any]]

#: Scalar multiplications, iterations and seconds that one run may take.
RUN_MULTIPLICATIONS, RUN_ITERATIONS, RUN_SECONDS = 300_000_000, 2000, 0.25
#: Drawn starts of the plain iteration, besides zero.
DRAWN_STARTS = 2
#: Improvement cycles are looked for in games up to this size, for so long.
CYCLE_SIZE, CYCLE_SECONDS = 200, 0.2
#: Couplings are known to this relative tolerance.
DATA_TOLERANCE = 1e-12
#: Profiles this far apart, relative to the larger, are different equilibria.
APART = 1e-4


def diagnose_game(game: Game, written: str, rng: np.random.Generator) -> Diagnosis:
    """Return the diagnosis of a game.

    Parameters
    ----------
    game : Game
    written : str
        The game as a user would write it, for the next step.
    rng : Generator
        Of the starts and of the search for cycles.
    """
    certificates = certify(game)
    runs = _runs(game, rng)
    findings = (
        _settles(game, certificates, runs),
        _unique(game, certificates, runs),
        _speed(certificates, runs),
        _potential(game, certificates, rng),
    )
    return Diagnosis(_described(game), findings, _next_step(game, written, certificates, runs), certificates, runs)


def _described(game: Game) -> str:
    if isinstance(game, NetworkGame):
        network = game.network
        names = ", ".join(list(dict.fromkeys(a.name for a in network.activations.values()))[:4])
        if network.ring_order is not None and len(network.players) == 1:
            return f"a recurrent layer of size {game.size} ({names})"
        shape = "a ring" if network.ring_order is not None else "a chain" if network.input is not None else "a network"
        return f"{shape} of {len(network.players)} layers, size {game.size} ({names})"
    return f"a {game.cost_name} game of {game.space.count} players, size {game.size}"


def _runs(game: Game, rng: np.random.Generator) -> dict[str, Result]:
    """Return runs of the plain iteration from a few starts, and of the averaged and the extragradient method."""
    from nngames.solvers import solver
    from nngames.solvers.loop import Run

    iterations = max(50, min(RUN_ITERATIONS, RUN_MULTIPLICATIONS // max(game.multiplications, game.size**2, 1)))
    plans: dict[str, tuple[str, Array]] = {"picard": ("picard", np.zeros(game.size))}
    for number in range(DRAWN_STARTS):
        plans[f"picard, drawn start {number + 1}"] = ("picard", rng.normal(size=game.size))
    plans |= {name: (name, np.zeros(game.size)) for name in ("km", "extragradient")}
    found = {}
    for label, (method, start) in plans.items():
        try:
            found[label] = Run(
                game, solver(method), start, 1e-9, iterations, RUN_SECONDS, seed=0, callback=None, given=False
            ).run()
        except NNGamesError:
            continue
    return found


def _all_left(runs: Mapping[str, Result]) -> bool:
    """Whether every run left the set where the activations are defined, or could not even start."""
    return bool(runs) and all(result.status is Status.FAILED for result in runs.values())


def _contraction(certificates: Mapping[str, Verdict]) -> tuple[str, float] | None:
    """Return the certificate with the smallest proved contraction factor."""
    factors = [
        (float(verdict.witness["factor"]), name)
        for name, verdict in certificates.items()
        if verdict.proved and "factor" in verdict.witness
    ]
    if not factors:
        return None
    factor, name = min(factors)
    return name, factor


def _settles(game: Game, certificates: Mapping[str, Verdict], runs: Mapping[str, Result]) -> Finding:
    question, contraction = "settles?", _contraction(certificates)
    network = isinstance(game, NetworkGame)
    feeding = "feeding the output back" if network else "letting all players answer at once"
    if contraction is not None:
        return Finding(question, "PROVED", f"yes: {feeding} converges from every start", contraction[0])
    counts: dict[str, int] = {}
    plain_runs = [result for label, result in runs.items() if label.startswith("picard")]
    for result in plain_runs:
        words = _behaviour(result)
        counts[words] = counts.get(words, 0) + 1
    told = ", ".join(f"{number} {words}" for words, number in counts.items())
    measured = f"{feeding} from {len(plain_runs)} starts: {told}"
    nonexpansive = certificates.get("composite_nonexpansive")
    if nonexpansive is not None and nonexpansive.proved:
        given = "from every start" if _unique_by(certificates) else "if there is an equilibrium"
        words = f"averaged feeding converges {given}; measured: {measured}"
        return Finding(question, "PROVED", words, "composite_nonexpansive")
    return Finding(question, "measured", measured, "picard")


def _behaviour(result: Result) -> str:
    if result.status is Status.CYCLING:
        return result.message.split("; ")[0].removeprefix("picard ")
    return {
        Status.CONVERGED: "settled",
        Status.DIVERGED: "diverged",
        Status.NOT_FINITE: "overflowed",
        Status.STALLED: "made no progress",
        Status.FAILED: "left the set where an activation is defined",
    }.get(result.status, "not settled within the budget")


def _unique(game: Game, certificates: Mapping[str, Verdict], runs: Mapping[str, Result]) -> Finding:
    question, proof = "unique?", _unique_by(certificates)
    if proof is not None:
        return Finding(question, "PROVED", "yes: there is exactly one equilibrium", proof)
    points: list[Array] = []
    for result in runs.values():
        if result.converged and all(_apart(result.profile, point) for point in points):
            points.append(result.profile)
    brouwer = isinstance(game, NetworkGame) and game.network.maps_into_a_ball
    exists = "one exists (bounded activations, Brouwer); " if brouwer else ""
    if len(points) > 1:
        return Finding(question, "measured", f"no: {exists}the runs ended at {len(points)} profiles far apart", "runs")
    if points:
        settled = sum(result.converged for result in runs.values())
        ended = "only one run settled" if settled == 1 else f"all {settled} runs that settled ended at the same profile"
        words = f"{exists}{ended}, which proves nothing about others"
        return Finding(question, "measured", words, "runs")
    if _all_left(runs):
        return Finding(question, "open", "every run left the set where an activation is defined", "runs")
    words = f"{exists}no run settled, so nothing is known" if exists else "no run settled: perhaps there is none"
    return Finding(question, "open", words, "runs")


def _unique_by(certificates: Mapping[str, Verdict]) -> str | None:
    """Return the certificate that proves exactly one equilibrium."""
    return next((name for name, v in certificates.items() if v.proved and v.witness.get("unique")), None)


def _apart(a: Array, b: Array) -> bool:
    return bool(np.linalg.norm(a - b) > APART * max(1.0, float(np.linalg.norm(a)), float(np.linalg.norm(b))))


def _speed(certificates: Mapping[str, Verdict], runs: Mapping[str, Result]) -> Finding:
    question, contraction = "how fast?", _contraction(certificates)
    if contraction is not None:
        name, factor = contraction
        left = f"in the proof's norm a pass leaves at most {shown(factor)} of the distance"
        words = f"{left}: {_passes(factor)} for nine digits"
        return Finding(question, "PROVED", words, name)
    settled: dict[str, list[int]] = {}
    for result in runs.values():
        if result.converged:
            settled.setdefault(result.method, []).append(result.evaluations)
    if not settled:
        return Finding(question, "open", "no run settled", "runs")
    name, passes = min(settled.items(), key=lambda item: max(item[1]))
    told = str(passes[0]) if min(passes) == max(passes) else f"{min(passes)} to {max(passes)}"
    return Finding(question, "measured", f"{name} took {_counted(told)} at tolerance 1e-9", name)


def _passes(factor: float) -> str:
    """Return how many passes at that factor make the distance 1e-9 of what it was."""
    return _counted(str(1 if factor <= 0 else math.ceil(math.log(1e-9) / math.log(factor))))


def _counted(number: str) -> str:
    return f"{number} {'pass' if number == '1' else 'passes'}"


def _potential(game: Game, certificates: Mapping[str, Verdict], rng: np.random.Generator) -> Finding:
    from nngames.checks.acyclicity import acyclic_by_components
    from nngames.checks.cycle_certificates import certification_reason
    from nngames.checks.improvement_cycles import find_improvement_cycle

    question, cost = "potential?", f"{game.cost_name} cost"
    for kind in ("exact", "weighted"):
        verdict = certificates.get(f"{kind}_potential")
        if verdict is not None and verdict.proved:
            words = f"yes, {'an exact' if kind == 'exact' else 'a weighted'} one ({cost}): who improves goes downhill"
            return Finding(question, "PROVED", words, f"{kind}_potential")
    if game.size <= CYCLE_SIZE and certification_reason(game) is None:
        if acyclic_by_components(game, DATA_TOLERANCE) is not None:
            words = f"open, but players that improve one by one never come back to the start ({cost})"
            return Finding(question, "PROVED", words, "strongly connected components")
        cycle = find_improvement_cycle(game, DATA_TOLERANCE, rng, CYCLE_SECONDS).cycle
        if cycle is not None:
            words = f"none of any kind ({cost}): {len(cycle.deviations)} improving moves lead back to the start"
            return Finding(question, "REFUTED", words, "improvement cycle")
    exact, weighted = certificates.get("exact_potential"), certificates.get("weighted_potential")
    if exact is not None and exact.refuted and weighted is not None and weighted.refuted:
        words = f"no exact or weighted one ({cost}); whether another kind exists is open"
        return Finding(question, "REFUTED", words, "exact_potential, weighted_potential")
    return Finding(question, "open", f"not decided ({cost})", "exact_potential, weighted_potential")


# What to try next


def _next_step(game: Game, written: str, certificates: Mapping[str, Verdict], runs: Mapping[str, Result]) -> str:
    """Return a call with its reason; for a game from elsewhere also the command that does the same to its file."""
    from nngames.solvers.advice import licensed_methods

    licensed = next(licensed_methods(game, besides=""), None)
    if licensed is not None:
        name, reason = licensed
        call, reason = f"nng.solve({written}, {name!r})", f"convergence is proved: {reason}"
        command = f"run FILE --method {name}"
    elif any(result.converged for result in runs.values()):
        settled = next(result.method for result in runs.values() if result.converged)
        call, reason = f"nng.check_outcomes({written})", f"{settled} settled, by no proof: see where other starts lead"
        command = "check FILE outcomes"
    elif _all_left(runs):
        names = ", ".join(dict.fromkeys(repr(a.name) for a in _activations(game) if not a.defined_everywhere))
        call, command = f"nng.solve({written}, start=...)", ""
        reason = "every run left the set where an activation is defined: start elsewhere"
        if names:
            reason += f", or put a bounded layer before {names}, whose outputs keep the pre-activations inside"
    elif (shrink := _shrinking(certificates)) is not None and "recurrent(W" in written:
        layer = written.partition("recurrent(W")[2].partition(")")[0]
        return f"nng.diagnose({shrink:.2g} * W{layer})  # nothing settles; scaled by {shrink:.2g} the layer contracts"
    else:
        call = f"nng.compare({written}, methods=nng.methods(), max_iterations=100_000)"
        reason, command = "nothing settled: allow more", "compare FILE --max-iterations 100000"
    return f"{call}  # {reason}" + (
        f"; on the command line: nngames {command}" if command and written == "game" else ""
    )


def _activations(game: Any) -> list[Activation]:
    return list(game.network.activations.values()) if hasattr(game, "network") else []


def _shrinking(certificates: Mapping[str, Verdict]) -> float | None:
    """Return a factor for the weights of one layer that makes it a contraction."""
    factors = [float(v.witness["factor"]) for v in certificates.values() if "factor" in v.witness]
    smallest = min((f for f in factors if math.isfinite(f) and f >= 1), default=None)
    return None if smallest is None else math.floor(95 / smallest) / 100 or None
