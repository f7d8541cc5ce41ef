"""Verdicts on cycles and ordinal potentials, from proofs of their absence and from cycles that were found."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from nngames.certificates.cost_structure import described
from nngames.checks.acyclicity import best_response_acyclic_by_contraction, examine_components
from nngames.checks.best_response_cycles import MOST_IN_ALL, follows_answers
from nngames.checks.cycle_certificates import Certifier
from nngames.checks.enclosed_best_responses import MOST_STARTS, SWEEPS, EnclosedPath, can_enclose, enclosed_path
from nngames.checks.improvement_cycles import Search, find_improvement_cycle
from nngames.checks.indifference import Indifference, find_indifference
from nngames.core.verdicts import Decision, Verdict
from nngames.games import Game
from nngames.results.cycle import Cycle

_MONDERER = ("monderer1996",)
_VOORNEVELD = ("voorneveld2000",)
_CLOSED = "closed path of unilateral deviations in which every mover strictly improves"
_CLOSED_ANSWERS = "closed path of best responses in which a mover strictly improves"
_COMPONENTS = "strongly connected components of the effective coupling"

#: The share of the time in which improvement cycles are sought; the rest is for best responses and indifferences.
_SEARCH = 0.8

#: Verdicts on acyclicity, an ordinal potential, and acyclicity of best responses.
Verdicts = tuple[Verdict, Verdict, Verdict]


def verdicts_of_potential(game: Game, kind: str, tolerance: float) -> Verdicts:
    """Return the verdicts where an exact or weighted potential, the ``kind``, is proved for data of a tolerance."""
    what, method = described(game), f"the {kind} potential"
    known = f" (data tolerance {tolerance:.3g})" if tolerance > 0 else ""
    falls = f"its {kind} potential would fall all the way{known}"
    return (
        Verdict(Decision.PROVED, f"{what} has no {_CLOSED}: {falls}", method, references=_MONDERER),
        Verdict(
            Decision.PROVED,
            f"{what} has an ordinal potential: its {kind} potential falls exactly where a mover's cost falls{known}",
            method,
            references=_MONDERER,
        ),
        Verdict(Decision.PROVED, f"{what} has no {_CLOSED_ANSWERS}: {falls}", method, references=_VOORNEVELD),
    )


def undecidable_verdicts(game: Game, reason: str) -> Verdicts:
    """Return the verdicts where no cost of the game can be handled exactly."""
    acyclic, ordinal, answers = (
        Verdict(
            Decision.UNDECIDED, f"it is not decided whether {described(game)} has {kind}: {reason}", "not applicable"
        )
        for kind in ("improvement cycles", "an ordinal potential", "cycles of best responses")
    )
    return acyclic, ordinal, answers


class Findings:
    """What proofs and searches give for a game without a known potential.

    Parameters
    ----------
    game : CoupledGame or TrackingGame
        One whose costs have an exact form.
    tolerance : float
        Of the data.
    rng : Generator
    max_seconds : float
        Of all searches together, most of it of the one for an improvement cycle.
    """

    def __init__(self, game: Any, tolerance: float, rng: np.random.Generator, max_seconds: float) -> None:
        self._what, self._certifier = described(game), Certifier(game)
        deadline = time.perf_counter() + max_seconds
        components = examine_components(game, tolerance)
        self._proof = components.proof
        self._contraction = best_response_acyclic_by_contraction(game)
        self._search = Search(None, None, 0, (), 0, False)
        self._path: EnclosedPath | None = None
        self._indifference: Indifference | None = None
        if self._proof is None:
            self._search = find_improvement_cycle(game, tolerance, rng, _SEARCH * max_seconds, components.culprit)
            if self._contraction is None and self._answers_cycle is None:
                self._path = enclosed_path(self._certifier, self._search.equilibria, rng, deadline)
        if self.cycle is None and self._path is None:
            self._indifference = find_indifference(game, rng, deadline)

    @property
    def cycle(self) -> Cycle | None:
        """The certified improvement cycle, if one was found."""
        return self._search.cycle

    @property
    def verdicts(self) -> Verdicts:
        """The verdicts."""
        return self._acyclic(), self._ordinal(), self._best_response_acyclic()

    @property
    def _answers_cycle(self) -> Cycle | None:
        """The certified cycle of best responses, if one was found."""
        if self.cycle is not None and self.cycle.best_responses:
            return self.cycle
        return self._search.answers

    def _acyclic(self) -> Verdict:
        if self._proof is not None:
            statement = (
                f"{self._what} has no {_CLOSED}: {self._proof}; in a game with infinitely many actions that gives no "
                "potential"
            )
            return Verdict(Decision.PROVED, statement, _COMPONENTS, references=_MONDERER)
        return self._refuted(f"a {_CLOSED}") or self._searched("improvement cycles")

    def _ordinal(self) -> Verdict:
        none = f"no ordinal potential, and no generalised one, since it has a {_CLOSED}"
        found = self._refuted(none)
        if found is not None:
            return found
        if self._indifference is not None:
            return _by_indifference(self._indifference, self._what)
        if self._proof is not None:
            statement = (
                f"it is not decided whether {self._what} has an ordinal potential: it has no improvement cycle, but in "
                "a game with infinitely many actions that gives no potential; a closed path on which one mover "
                "improves and the others are indifferent would refute it"
            )
            return Verdict(Decision.UNDECIDED, statement, _COMPONENTS, references=_MONDERER)
        return self._searched("an ordinal potential")

    def _best_response_acyclic(self) -> Verdict:
        none = f"{self._what} has no {_CLOSED_ANSWERS}"
        if self._proof is not None:
            statement = f"{none}, since it has no improvement cycle at all: {self._proof}"
            return Verdict(Decision.PROVED, statement, _COMPONENTS, references=_VOORNEVELD)
        if self._contraction is not None:
            statement = (
                f"{none}: along a closed path every mover would come closer to the movers' equilibrium "
                f"({self._contraction})"
            )
            method = "contraction of the best responses in a weighted maximum norm"
            return Verdict(Decision.PROVED, statement, method, references=("bertsekas1989",))
        if self._answers_cycle is not None or self._path is not None:
            found = self._refuted(f"a {_CLOSED_ANSWERS}", answers=True)
            if found is not None:
                return found
        statement = (
            f"it is not decided whether {self._what} has cycles of best responses: no order in which the players "
            f"answered came back to a profile in a way that could be proved ({self._followed}); such a path, or a "
            "contraction, would decide"
        )
        return Verdict(Decision.UNDECIDED, statement, "search")

    @property
    def _followed(self) -> str:
        """How far best responses were followed."""
        tried = []
        if follows_answers(self._certifier.game):
            tried.append(f"exact answers from small starts through up to {MOST_IN_ALL} profiles")
        if can_enclose(self._certifier):
            tried.append(f"answers in three orders, over {SWEEPS} sweeps from up to {MOST_STARTS} profiles")
        return "; ".join(tried) or "none could be followed exactly or enclosed"

    def _refuted(self, has: str, answers: bool = False) -> Verdict | None:
        """Return the refutation by the cycle that was found, or by the enclosed path; None where there is neither."""
        cycle = self._answers_cycle if answers else self.cycle
        if cycle is not None:
            return _by_cycle(cycle, f"{self._what} has {has}", _VOORNEVELD if answers else _MONDERER)
        if self._path is not None:
            return _by_enclosure(self._path, f"{self._what} has {has}")
        return None

    def _searched(self, what: str) -> Verdict:
        search = self._search
        ended = "stopped when its time was up" if search.out_of_time else "went through all its candidates"
        statement = (
            f"it is not decided whether {self._what} has {what}: {search.tried} games restricted to a few "
            f"actions of a few players, around {len(search.equilibria)} profiles and far from them, showed no "
            f"improvement cycle whose gains could be certified (the search, among {search.mover_sets} groups of "
            f"players that hear each other in turn, {ended}); such a cycle or a potential would decide: more "
            "max_seconds or another seed may find one"
        )
        return Verdict(Decision.UNDECIDED, statement, "search")


def _by_cycle(cycle: Cycle, statement: str, references: tuple[str, ...]) -> Verdict:
    least = min(step.gain_bounds[0] for step in cycle.deviations)
    exact = all(step.gain is not None for step in cycle.deviations)
    movers = ", ".join(str(step.mover) for step in cycle.deviations)
    return Verdict(
        Decision.REFUTED,
        f"{statement}: {len(cycle.deviations)} moves by {movers}, each gaining at least {least:.6g}",
        "gains in exact rational arithmetic" if exact else "gains enclosed in ball arithmetic",
        least,
        {"cycle": cycle.to_dict()},
        references,
    )


def _by_enclosure(path: EnclosedPath, statement: str) -> Verdict:
    return Verdict(
        Decision.REFUTED,
        f"{statement}: {len(path.order)} best responses in turn map a box of radius {float(path.radius.max()):.3g} "
        f"into itself, and {path.mover} changes its action on the way",
        "Brouwer's fixed-point theorem on a box, best responses enclosed in ball arithmetic",
        witness={"path": path.to_dict()},
        references=_VOORNEVELD,
    )


def _by_indifference(path: Indifference, what: str) -> Verdict:
    return Verdict(
        Decision.REFUTED,
        f"{what} has no ordinal potential: {path.indifferent} pays the same for two actions, between which "
        f"{path.improving} changes its mind, gaining at least {min(path.gains):.6g} each time; that does not exclude a "
        "generalised one",
        "a closed path on which one player improves and the other is indifferent",
        min(path.gains),
        {"path": path.to_dict()},
        _MONDERER,
    )
