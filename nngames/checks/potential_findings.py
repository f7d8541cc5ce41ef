"""Verdicts on cycles and ordinal potentials, from proofs of their absence and from cycles that were found."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from nngames.certificates.cost_structure import described
from nngames.certificates.coupling_pairs import CouplingPairs
from nngames.checks.acyclicity import Components, best_response_acyclic_by_contraction, examine_components
from nngames.checks.best_response_cycles import follows_answers
from nngames.checks.cycle_certificates import Certifier
from nngames.checks.enclosed_best_responses import SWEEPS, EnclosedPath, EnclosedSearch, can_enclose, enclosed_path
from nngames.checks.improvement_cycles import Search, find_improvement_cycle
from nngames.checks.indifference import Indifference, IndifferenceSearch, find_indifference
from nngames.checks.potential_changes import of_answers, of_cycle
from nngames.core.deadlines import TimeUpError
from nngames.core.verdicts import Decision, Verdict
from nngames.games import CoupledGame, Game
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


@dataclass(frozen=True, eq=False)
class Known:
    """What was computed of a game already: its effective coupling, and its coupling pairs where they decide."""

    coupling: Any
    pairs: CouplingPairs | None


def verdicts_of_potential(game: Game, kind: str, tolerance: float, change: str) -> Verdicts:
    """Return the verdicts where an exact or weighted potential, the ``kind``, is proved for data of a tolerance.

    ``change`` is what would change that proof.
    """
    what, method = described(game), f"the {kind} potential"
    known = f" (data tolerance {tolerance:.3g})" if tolerance > 0 else ""
    falls = f"its {kind} potential would fall all the way{known}"
    change = f"at least what takes its {kind} potential away: {change}"
    acyclic, ordinal, answers = (
        f"{what} has no {_CLOSED}: {falls}",
        f"{what} has an ordinal potential: its {kind} potential falls exactly where a mover's cost falls{known}",
        f"{what} has no {_CLOSED_ANSWERS}: {falls}",
    )
    return (
        Verdict(Decision.PROVED, acyclic, method, references=_MONDERER, would_change=change),
        Verdict(Decision.PROVED, ordinal, method, references=_MONDERER, would_change=change),
        Verdict(Decision.PROVED, answers, method, references=_VOORNEVELD, would_change=change),
    )


def undecidable_verdicts(game: Game, reason: str) -> Verdicts:
    """Return the verdicts where no cost of the game can be handled exactly."""
    change = "proximal, tracking or quadratic costs with linear couplings that can be written out"
    acyclic, ordinal, answers = (
        Verdict(
            Decision.UNDECIDED,
            f"it is not decided whether {described(game)} has {kind}: {reason}",
            "not applicable",
            would_change=change,
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
    left, max_seconds : float
        The time of all proofs and searches together, most of it of the one for an improvement cycle; and what was asked
        for at first.
    known : Known
        What was computed of the game already.
    """

    def __init__(
        self, game: Any, tolerance: float, rng: np.random.Generator, left: float, max_seconds: float, known: Known
    ) -> None:
        self._what, self._seconds = described(game), max_seconds
        deadline = time.monotonic() + left
        self._certifier = Certifier(game, deadline)
        self._components, self._contraction = Components(None), None
        self._search, self._path, self._indifference = Search(), EnclosedSearch(None), IndifferenceSearch()
        self._begun = False
        coupling = known.coupling
        with contextlib.suppress(TimeUpError):
            self._components = examine_components(game, tolerance, deadline, coupling, known.pairs)
        with contextlib.suppress(TimeUpError):
            self._contraction = best_response_acyclic_by_contraction(game, deadline)
        left = deadline - time.monotonic()
        if self._proof is None and left > 0:
            self._begun = True
            culprit = self._components.culprit
            self._search = find_improvement_cycle(game, tolerance, rng, _SEARCH * left, culprit, coupling)
            if self._contraction is None and self._answers_cycle is None:
                self._path = enclosed_path(self._certifier, self._search.equilibria, rng, deadline)
        if self.cycle is None and self._path.found is None:
            self._indifference = find_indifference(game, rng, deadline, coupling)

    @property
    def _proof(self) -> str | None:
        return self._components.proof

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
            change = self._components.change
            return Verdict(Decision.PROVED, statement, _COMPONENTS, references=_MONDERER, would_change=change)
        return self._refuted(f"a {_CLOSED}") or self._searched("improvement cycles")

    def _ordinal(self) -> Verdict:
        none = f"no ordinal potential, and no generalised one, since it has a {_CLOSED}"
        found = self._refuted(none)
        if found is not None:
            return found
        if self._indifference.found is not None:
            return _by_indifference(self._indifference.found, self._what)
        if self._proof is not None:
            statement = (
                f"it is not decided whether {self._what} has an ordinal potential: it has no improvement cycle, but in "
                f"a game with infinitely many actions that gives no potential; {self._tied}"
            )
            change = "a closed path on which one mover improves and the others are indifferent would refute it"
            if self._indifference.out_of_time:
                change += f"; more than max_seconds={self._seconds:g} may find one"
            return Verdict(Decision.UNDECIDED, statement, _COMPONENTS, references=_MONDERER, would_change=change)
        return self._searched("an ordinal potential")

    @property
    def _tied(self) -> str:
        """How far paths with an indifferent mover were looked for."""
        search = self._indifference
        if not isinstance(self._certifier.game, CoupledGame):
            return "with the tracking cost no paths with an indifferent mover were sought"
        if search.of == 0 and not search.out_of_time:
            return "no player hears another one without being heard, so no path with an indifferent mover was sought"
        ended = ", when the time was up" if search.out_of_time else ""
        return (
            f"paths on which one of two players is indifferent were sought between {search.pairs} of the {search.of} "
            f"pairs of whom only one hears the other{ended}"
        )

    def _best_response_acyclic(self) -> Verdict:
        none = f"{self._what} has no {_CLOSED_ANSWERS}"
        if self._proof is not None:
            statement = f"{none}, since it has no improvement cycle at all: {self._proof}"
            change = self._components.change
            return Verdict(Decision.PROVED, statement, _COMPONENTS, references=_VOORNEVELD, would_change=change)
        if self._contraction is not None:
            statement = (
                f"{none}: along a closed path every mover would come closer to the movers' equilibrium "
                f"({self._contraction.proof})"
            )
            method, change = "contraction of the best responses in a weighted maximum norm", self._contraction.change
            return Verdict(Decision.PROVED, statement, method, references=("bertsekas1989",), would_change=change)
        if self._answers_cycle is not None or self._path.found is not None:
            found = self._refuted(f"a {_CLOSED_ANSWERS}", answers=True)
            if found is not None:
                return found
        statement = (
            f"it is not decided whether {self._what} has cycles of best responses: no order in which the players "
            f"answered came back to a profile in a way that could be proved ({self._followed})"
        )
        change = "a closed path of best responses, or a proof that they contract"
        if self._search.out_of_time or self._path.out_of_time or not self._begun:
            change += f"; more than max_seconds={self._seconds:g} may find one"
        return Verdict(Decision.UNDECIDED, statement, "search", would_change=change)

    @property
    def _followed(self) -> str:
        """How far best responses were followed."""
        if not self._begun:
            return "the time was up before the search began"
        tried = []
        if follows_answers(self._certifier.game):
            tried.append(f"exact answers of {self._search.followed} profiles, from small starts on")
        if can_enclose(self._certifier):
            starts, orders = self._path.starts, self._path.orders
            tried.append(f"answers in {orders} orders, over {SWEEPS} sweeps from {starts} profiles")
        return "; ".join(tried) or "none could be followed exactly or enclosed"

    def _refuted(self, has: str, answers: bool = False) -> Verdict | None:
        """Return the refutation by the cycle that was found, or by the enclosed path; None where there is neither."""
        cycle = self._answers_cycle if answers else self.cycle
        if cycle is not None:
            game = self._certifier.game
            change = of_answers(game, cycle) if answers else of_cycle(game, cycle)
            return _by_cycle(cycle, f"{self._what} has {has}", _VOORNEVELD if answers else _MONDERER, change)
        if self._path.found is not None:
            return _by_enclosure(self._path.found, f"{self._what} has {has}")
        return None

    def _searched(self, what: str) -> Verdict:
        search = self._search
        undecided = f"it is not decided whether {self._what} has {what}"
        decides = "an improvement cycle or a potential would decide"
        if not self._begun:
            return Verdict(
                Decision.UNDECIDED,
                f"{undecided}: the time was up before the search for improvement cycles began",
                "search",
                would_change=f"{decides}; more than max_seconds={self._seconds:g} may find one",
            )
        if search.out_of_time:
            ended, more = "stopped when its time was up", f"more than max_seconds={self._seconds:g} may find one"
        elif search.mover_sets:
            ended, more = "went through all its candidates", "another seed draws others, more max_seconds does not"
        else:
            ended, more = "had no candidates", "another seed or more max_seconds gives the search none"
        statement = (
            f"{undecided}: {search.tried} games restricted to a few actions of a few players, around "
            f"{len(search.equilibria)} profiles and far from them, showed no improvement cycle whose gains could be "
            f"certified (the search, among {search.mover_sets} groups of players that hear each other in turn, {ended})"
        )
        return Verdict(Decision.UNDECIDED, statement, "search", would_change=f"{decides}: {more}")


def _by_cycle(cycle: Cycle, statement: str, references: tuple[str, ...], change: str) -> Verdict:
    least = min(step.gain_bounds[0] for step in cycle.deviations)
    exact = all(step.gain is not None for step in cycle.deviations)
    movers = ", ".join(str(step.mover) for step in cycle.deviations)
    return Verdict(
        Decision.REFUTED,
        f"{statement}: {len(cycle.deviations)} moves by players {movers}, each gaining at least {least:.6g}",
        "gains in exact rational arithmetic" if exact else "gains enclosed in ball arithmetic",
        least,
        {"cycle": cycle.to_dict()},
        references,
        would_change=change,
    )


def _by_enclosure(path: EnclosedPath, statement: str) -> Verdict:
    return Verdict(
        Decision.REFUTED,
        f"{statement}: {len(path.order)} best responses in turn map a box of radius {float(path.radius.max()):.3g} "
        f"into itself, and player {path.mover} changes its action on the way",
        "Brouwer's fixed-point theorem on a box, best responses enclosed in ball arithmetic",
        witness={"path": path.to_dict()},
        references=_VOORNEVELD,
        would_change="data with which these best responses no longer map the box into itself",
    )


def _by_indifference(path: Indifference, what: str) -> Verdict:
    return Verdict(
        Decision.REFUTED,
        f"{what} has no ordinal potential: player {path.indifferent} pays the same for two actions, between which "
        f"player {path.improving} changes its mind, gaining at least {min(path.gains):.6g} each time; that does not "
        "exclude a generalised one",
        "a closed path on which one player improves and the other is indifferent",
        min(path.gains),
        {"path": path.to_dict()},
        _MONDERER,
        would_change=f"at least a coupling through which player {path.indifferent} hears player {path.improving}: then "
        "what the one chooses changes what the other pays",
    )
