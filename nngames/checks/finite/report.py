"""The potential report of a finite game: its table and the graph of its deviations decide every question."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nngames.certificates.potential_changes import TAKEN_EXACTLY
from nngames.checks.finite.balance_verdicts import (
    described,
    exact_verdict,
    finite_potential,
    known,
    shown,
    weighted_by_exact,
    weighted_verdict,
)
from nngames.checks.finite.better_replies import MOST_ARCS, Deviations
from nngames.checks.finite.changes import of_arcs, of_path
from nngames.checks.finite.square_pairs import SquarePairs
from nngames.core.deadlines import TimeUpError
from nngames.core.errors import NotApplicableError
from nngames.core.exact import nearest_float
from nngames.core.verdicts import Decision, Verdict
from nngames.games import FiniteGame
from nngames.results.cycle import Cycle

# Seconds that pairs of players are compared in any case.
_AT_LEAST = 0.3


@dataclass(frozen=True)
class _Question:
    """A kind of closed path, and what its absence is, with the sentence and the literature behind it."""

    absence: str
    presence: str
    references: tuple[str, ...]


_ACYCLIC = _Question(
    "has no closed path of unilateral deviations in which every mover strictly improves, so it has a generalised "
    "ordinal potential",
    "has no generalised ordinal potential: on a closed path of unilateral deviations every mover strictly improves",
    ("monderer1996",),
)
_ORDINAL = _Question(
    "has an ordinal potential: no closed path of unilateral deviations worsens no mover and strictly improves one",
    "has no ordinal potential: a closed path of unilateral deviations worsens no mover and strictly improves one",
    ("voorneveld1997",),
)
_ANSWERS = _Question(
    "has no closed path of best responses in which a mover strictly improves, so it has a best-response potential",
    "has no best-response potential: on a closed path of best responses a mover strictly improves",
    ("voorneveld2000",),
)


def finite_report(game: FiniteGame, tolerance: float, max_seconds: float) -> dict[str, Any]:
    """Return the fields of a finite game's potential report.

    Parameters
    ----------
    game : FiniteGame
    tolerance : float
        Floating costs are known to it, relative to the player's largest |cost|; exact ones are known exactly. 0 takes
        floats as the rationals they are.
    max_seconds : float
        After which what is not decided is left open.

    Notes
    -----
    In a finite game, a generalised ordinal potential exists iff better replies have no cycle [monderer1996], an ordinal
    one iff there is no weak improvement cycle [voorneveld1997], and a best-response potential iff no cycle of best
    responses has a strict step [voorneveld2000].
    """
    began = time.monotonic()
    deadline = began + max_seconds
    if tolerance == 0 and not game.exact:
        game = game.with_numbers(game.numbers.rationals())
    more = f"more than max_seconds={max_seconds:g}"
    exact, weighted = (_not_compared(game, kind, more) for kind in ("an exact potential", "a weighted potential"))
    with contextlib.suppress(TimeUpError):
        # A small game is compared whatever the time.
        pairs = SquarePairs(game, max(deadline, began + _AT_LEAST))
        exact = exact_verdict(game, pairs, tolerance)
        weighted = weighted_by_exact(game, exact, tolerance) or weighted_verdict(game, pairs, tolerance)
    proved = exact if exact.proved else weighted
    weights = proved.witness["weights"] if proved.proved else None
    potential = None if weights is None else finite_potential(game, list(weights.values()))
    fields = {"exact": exact, "weighted": weighted, "potential": potential, "weights": weights, "asymmetry": None}
    if proved.proved:
        kind = "exact" if exact.proved else "weighted"
        questions = (_ACYCLIC, _ORDINAL, _ANSWERS)
        verdicts = [_by_potential(game, question, kind, tolerance, proved.would_change) for question in questions]
        return fields | dict(zip(("acyclic", "ordinal", "best_response_acyclic"), verdicts, strict=True), cycle=None)
    return fields | _by_graph(game, tolerance, deadline, more)


def _not_compared(game: FiniteGame, kind: str, more: str) -> Verdict:
    statement = (
        f"it is not decided whether {described(game)} has {kind}: the time was up before all pairs were compared"
    )
    return Verdict(Decision.UNDECIDED, statement, "not begun", would_change=f"{more}, which would decide it")


def _by_potential(game: FiniteGame, question: _Question, kind: str, tolerance: float, change: str) -> Verdict:
    statement = f"{described(game)} {question.absence}: its {kind} potential falls with the mover's cost"
    statement += f" ({known(game, tolerance)})"
    change = f"at least what takes its {kind} potential away: {change}"
    return Verdict(
        Decision.PROVED, statement, f"the {kind} potential", references=question.references, would_change=change
    )


def _by_graph(game: FiniteGame, tolerance: float, deadline: float, more: str) -> dict[str, Any]:
    questions = {"acyclic": _ACYCLIC, "ordinal": _ORDINAL, "best_response_acyclic": _ANSWERS}
    fields: dict[str, Any] = {"cycle": None}
    graph: Deviations | None = None
    try:
        graph = Deviations(game, tolerance, deadline)
    except TimeUpError:
        pass
    except NotApplicableError as error:
        statement = f"it is not decided which cycles {described(game)} has: {error}"
        change = f"a game of at most {MOST_ARCS} unilateral deviations"
        undecided = Verdict(Decision.UNDECIDED, statement, "not applicable", would_change=change)
        return fields | dict.fromkeys(questions, undecided)
    for name, question in questions.items():
        try:
            if graph is None:
                raise TimeUpError
            strict = graph.improves == 2, graph.improves >= 1
            allowed = {"acyclic": graph.improves, "ordinal": graph.keeps, "best_response_acyclic": graph.best}[name]
            fields[name], cycle = _decide(graph, question, (allowed == 2, allowed >= 1), strict, tolerance)
        except TimeUpError:
            fields[name], cycle = _out_of_time(game, question, graph, more), None
        if name == "acyclic":
            fields["cycle"] = cycle
    return fields


def _out_of_time(game: FiniteGame, question: _Question, graph: Deviations | None, more: str) -> Verdict:
    done = "its deviations were not listed yet" if graph is None else f"its {len(graph.sources)} deviations were listed"
    statement = (
        f"it is not decided whether {described(game)} {question.absence}: the time was up before the question was "
        f"decided ({done})"
    )
    change = f"{more}, which would decide it"
    return Verdict(Decision.UNDECIDED, statement, "not begun", references=question.references, would_change=change)


def _decide(
    graph: Deviations,
    question: _Question,
    arcs: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    strict: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    tolerance: float,
) -> tuple[Verdict, Cycle | None]:
    """Decide from the arcs that are sure and those that may be, and likewise the strict ones among them."""
    game, method = graph.game, "strongly connected components of the graph of unilateral deviations"
    what, data = described(game), known(game, tolerance)
    path = graph.closed_path(arcs[0], strict[0])
    if path is not None:
        cycle = graph.cycle(path)
        gains = [step.gain for step in cycle.deviations if step.gain is not None]
        least = min(gain for gain in gains if gain > 0)
        moves = ", ".join(
            f"{step.mover} to {game.strategies[m][int(step.after[m])]} (gains {shown(gain)})"
            for step, gain in zip(cycle.deviations, gains, strict=True)
            for m in [game.players.index(step.mover)]
        )
        start = ", ".join(game.names(graph.profile(path[0])))
        statement = f"{what} {question.presence}: from ({start}), {moves} ({data})"
        witness = {"cycle": cycle.to_dict(), "strategies": [game.names(graph.profile(at)) for at in path]}
        change = of_path(game, cycle, question is _ANSWERS, 0.0 if game.exact else tolerance)
        verdict = Verdict(
            Decision.REFUTED,
            statement,
            method,
            nearest_float(least),
            witness,
            question.references,
            would_change=change,
        )
        return verdict, cycle
    if (arcs[1] != arcs[0]).any() or (strict[1] != strict[0]).any():
        _, labels = graph.components(arcs[1])
        within = labels[graph.sources] == labels[graph.targets]
        if (arcs[1] & strict[1] & within).any():
            statement = (
                f"it is not decided whether {what} {question.absence}: gains between the data tolerance and ten times "
                f"it would close such a path ({data})"
            )
            references = question.references
            return Verdict(
                Decision.UNDECIDED, statement, method, references=references, would_change=TAKEN_EXACTLY
            ), None
    change = of_arcs(graph, 0.0 if game.exact else tolerance)
    proved = f"{what} {question.absence} ({data})"
    return Verdict(Decision.PROVED, proved, method, references=question.references, would_change=change), None
