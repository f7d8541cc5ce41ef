"""Diagnosis: does a game settle, is that unique, how fast, is there a potential, and what to try next.

Every line names its evidence: PROVED and REFUTED by a certificate, measured in a few runs, or open. Nothing is decided
here: certificates, solvers and the potential check are asked, and their answers put into plain words.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nngames.certificates import certify
from nngames.core.errors import InputError, NNGamesError
from nngames.core.operators import as_linear_map
from nngames.core.plain import plain
from nngames.core.seeds import Seed, generator
from nngames.core.verdicts import Verdict
from nngames.games import Game, NetworkGame
from nngames.networks import Network
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


@dataclass(frozen=True)
class Finding:
    """One line of a diagnosis.

    Attributes
    ----------
    question : str
        ``settles?``, ``unique?``, ``how fast?`` or ``potential?``.
    evidence : {"PROVED", "REFUTED", "measured", "open"}
        A proof either way, what a few runs showed, or neither.
    answer : str
        In plain words.
    source : str
        The certificate, check or runs behind the answer.
    """

    question: str
    evidence: str
    answer: str
    source: str

    def to_dict(self) -> dict[str, str]:
        """Return the line as plain data."""
        return {
            "question": self.question,
            "evidence": self.evidence,
            "answer": self.answer,
            "source": self.source,
        }


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """What is known about a game after a second.

    Attributes
    ----------
    subject : str
        What was diagnosed.
    findings : tuple of Finding
    next_step : str
        A call, and its reason.
    certificates : mapping name -> Verdict
        Every certificate's verdict; empty where there is no game.
    runs : mapping label -> Result
        The runs behind what is measured.
    """

    subject: str
    findings: tuple[Finding, ...]
    next_step: str
    certificates: Mapping[str, Verdict]
    runs: Mapping[str, Result]

    def __getitem__(self, question: str) -> Finding:
        """Return the finding on a question, such as ``"unique?"``."""
        for finding in self.findings:
            if finding.question == question:
                return finding
        raise KeyError(question)

    def to_dict(self) -> dict[str, Any]:
        """Return the diagnosis as plain JSON-ready data."""
        return {
            "subject": self.subject,
            "findings": [finding.to_dict() for finding in self.findings],
            "next": self.next_step,
            "certificates": plain(dict(self.certificates)),
            "runs": {label: result.to_dict(trace=False) for label, result in self.runs.items()},
        }


def diagnose(subject: Any, bias: Any = None, activation: Any = None, *, seed: Seed = None) -> Diagnosis:
    """Print and return what is known about a network's long-run behaviour: settled, unique, how fast, what next.

    Parameters
    ----------
    subject : Game, Network, or array_like (n, n)
        A matrix W stands for the recurrent layer x = r(W x + b).
    bias : array_like (n,), optional
        b of the recurrent layer; default zero.
    activation : name, {"name": ..., parameters} or Activation
        r of the recurrent layer.
    seed : int or Generator, optional
        Of the starts of the runs.

    Returns
    -------
    Diagnosis

    Raises
    ------
    InputError, ShapeError, UnknownNameError
        If the subject, the bias or the activation is not usable.

    Examples
    --------
    >>> import nngames as nng
    >>> report = nng.diagnose([[0.2, -0.4], [0.5, 0.1]], [1.0, 0.0], "tanh")  # doctest: +SKIP
    """
    from rich.console import Console

    found = diagnosis_of(subject, bias, activation, seed=seed)
    print_diagnosis(Console(highlight=False), found)
    return found


def diagnosis_of(subject: Any, bias: Any = None, activation: Any = None, *, seed: Seed = None) -> Diagnosis:
    """Return the diagnosis without printing it; see ``diagnose``."""
    rng = generator(seed)
    if isinstance(subject, Game | Network):
        if bias is not None or activation is not None:
            raise InputError("diagnose takes a bias and an activation with a weight matrix only")
        return _of_game(subject, "game", rng) if isinstance(subject, Game) else _of_network(subject, "network", rng)
    if activation is None:
        raise InputError("diagnose needs the activation of the recurrent layer: nng.diagnose(W, b, 'tanh')")
    weight = as_linear_map(subject, "W")
    network = Network.recurrent(weight, np.zeros(weight.shape[0]) if bias is None else bias, activation)
    named = repr(activation) if isinstance(activation, str) else "activation"
    return _of_network(network, f"nng.Network.recurrent(W, {'0 * W[0]' if bias is None else 'b'}, {named})", rng)


def _of_network(network: Network, written: str, rng: np.random.Generator) -> Diagnosis:
    """Return the diagnosis of the first game that the network has: of its layers, else of its neurons."""
    from nngames.report.feed_diagnosis import diagnose_feed

    reason = ""
    for arguments in ({}, {"players": "neurons"}):
        try:
            game = network.game(**arguments)
        except NNGamesError as error:
            reason = reason or str(error)
            continue
        chosen = ", ".join(f"{key}={value!r}" for key, value in arguments.items())
        return _of_game(game, f"{written}.game({chosen})", rng)
    return diagnose_feed(network, written, reason, rng)


def _described(game: Game) -> str:
    if isinstance(game, NetworkGame):
        network = game.network
        names = ", ".join(list(dict.fromkeys(a.name for a in network.activations.values()))[:4])
        if network.ring_order is not None and len(network.players) == 1:
            return f"a recurrent layer of size {game.size} ({names})"
        shape = "a ring" if network.ring_order is not None else "a chain" if network.input is not None else "a network"
        return f"{shape} of {len(network.players)} layers, size {game.size} ({names})"
    return f"a {game.cost_name} game of {len(game.players)} players, size {game.size}"


# The findings


def _of_game(game: Game, written: str, rng: np.random.Generator) -> Diagnosis:
    certificates = certify(game)
    runs = _runs(game, rng)
    findings = (
        _settles(game, certificates, runs),
        _unique(game, certificates, runs),
        _speed(certificates, runs),
        _potential(game, certificates, rng),
    )
    return Diagnosis(_described(game), findings, _next_step(game, written, certificates, runs), certificates, runs)


def _runs(game: Game, rng: np.random.Generator) -> dict[str, Result]:
    """Return runs of the plain iteration from a few starts, and of the averaged and the extragradient method."""
    from nngames.solvers import solve

    iterations = max(50, min(RUN_ITERATIONS, RUN_MULTIPLICATIONS // max(game.multiplications, game.size**2, 1)))
    plans: dict[str, tuple[str, Array]] = {"picard": ("picard", np.zeros(game.size))}
    for number in range(DRAWN_STARTS):
        plans[f"picard, drawn start {number + 1}"] = ("picard", rng.normal(size=game.size))
    plans |= {name: (name, np.zeros(game.size)) for name in ("km", "extragradient")}
    found = {}
    for label, (method, start) in plans.items():
        try:
            found[label] = solve(game, method, start=start, max_iterations=iterations, max_seconds=RUN_SECONDS, seed=0)
        except NNGamesError:
            continue
    return found


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
    }.get(result.status, "not settled within the budget")


def _unique(game: Game, certificates: Mapping[str, Verdict], runs: Mapping[str, Result]) -> Finding:
    question, proof = "unique?", _unique_by(certificates)
    if proof is not None:
        return Finding(question, "PROVED", "yes: there is exactly one equilibrium", proof)
    points: list[Array] = []
    for result in runs.values():
        if result.converged and all(_apart(result.profile, point) for point in points):
            points.append(result.profile)
    bounded = isinstance(game, NetworkGame) and all(a.bounded for a in game.network.activations.values())
    exists = "one exists (bounded activations, Brouwer); " if bounded else ""
    if len(points) > 1:
        return Finding(question, "measured", f"no: {exists}the runs ended at {len(points)} profiles far apart", "runs")
    if points:
        words = f"{exists}every run that settled ended at the same profile, which proves nothing about others"
        return Finding(question, "measured", words, "runs")
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
        words = f"each pass leaves at most {factor:.4g} of the distance: {_passes(factor)} passes for nine digits"
        return Finding(question, "PROVED", words, name)
    settled: dict[str, list[int]] = {}
    for result in runs.values():
        if result.converged:
            settled.setdefault(result.method, []).append(result.evaluations)
    if not settled:
        return Finding(question, "open", "no run settled", "runs")
    name, passes = min(settled.items(), key=lambda item: max(item[1]))
    told = str(passes[0]) if min(passes) == max(passes) else f"{min(passes)} to {max(passes)}"
    unit = "pass" if told == "1" else "passes"
    return Finding(question, "measured", f"{name} took {told} {unit} to a residual below 1e-9", name)


def _passes(factor: float) -> int:
    return 1 if factor <= 0 else math.ceil(math.log(1e-9) / math.log(factor))


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
    from nngames.solvers.advice import licensed_methods

    licensed = licensed_methods(game, besides="")
    if licensed:
        name, reason = licensed[0]
        return f"nng.solve({written}, {name!r})  # convergence is proved: {reason}"
    settled = next((result.method for result in runs.values() if result.converged), None)
    if settled is not None:
        return f"nng.check_outcomes({written})  # nothing is proved, but {settled} settled: see where other starts lead"
    shrink = _shrinking(certificates)
    if shrink is not None and "recurrent(W" in written:
        layer = written.partition("recurrent(W")[2].partition(")")[0]
        return f"nng.diagnose({shrink:.2g} * W{layer})  # nothing settles; scaled by {shrink:.2g} the layer contracts"
    return f"nng.compare({written}, methods=nng.methods(), max_iterations=100_000)  # nothing settled: allow more"


def _shrinking(certificates: Mapping[str, Verdict]) -> float | None:
    """Return a factor for the weights of one layer that makes it a contraction."""
    factors = [float(v.witness["factor"]) for v in certificates.values() if "factor" in v.witness]
    smallest = min((f for f in factors if math.isfinite(f) and f >= 1), default=None)
    return None if smallest is None else math.floor(95 / smallest) / 100 or None


def print_diagnosis(console: Any, diagnosis: Diagnosis) -> None:
    """Print a diagnosis: one line for each question, with its evidence, and the next step."""
    from nngames.report.layout import coloured, columns, line

    line(console, f"Diagnosis of {diagnosis.subject}", "bold")
    columns(
        console,
        [
            [finding.question, coloured(finding.evidence), f"{finding.answer} [{finding.source}]"]
            for finding in diagnosis.findings
        ],
    )
    line(console, f"next: {diagnosis.next_step}", indent=2)
