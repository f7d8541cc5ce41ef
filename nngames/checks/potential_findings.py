"""Verdicts on cycles and ordinal potentials, from proofs of their absence and from cycles that were found."""

from __future__ import annotations

from typing import Any

import numpy as np

from nngames.certificates.cost_structure import described
from nngames.checks.acyclicity import acyclic_by_components, best_response_acyclic_by_contraction
from nngames.checks.cycle_certificates import Certifier
from nngames.checks.enclosed_best_responses import EnclosedPath, enclosed_path
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
        Of the search for an improvement cycle.
    """

    def __init__(self, game: Any, tolerance: float, rng: np.random.Generator, max_seconds: float) -> None:
        self._what = described(game)
        self._proof = acyclic_by_components(game, tolerance)
        self._contraction = best_response_acyclic_by_contraction(game)
        self._search = Search(None, 0, ())
        self._path: EnclosedPath | None = None
        self._indifference: Indifference | None = None
        if self._proof is None:
            self._search = find_improvement_cycle(game, tolerance, rng, max_seconds)
            if self._contraction is None and not self._answers_cycle:
                self._path = enclosed_path(Certifier(game), self._search.equilibria, rng)
        if self.cycle is None and self._path is None:
            self._indifference = find_indifference(game, rng)

    @property
    def cycle(self) -> Cycle | None:
        """The certified improvement cycle, if one was found."""
        return self._search.cycle

    @property
    def verdicts(self) -> Verdicts:
        """The verdicts."""
        return self._acyclic(), self._ordinal(), self._best_response_acyclic()

    @property
    def _answers_cycle(self) -> bool:
        return self.cycle is not None and self.cycle.best_responses

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
        if self._answers_cycle or self._path is not None:
            found = self._refuted(f"a {_CLOSED_ANSWERS}", answers=True)
            if found is not None:
                return found
        statement = (
            f"it is not decided whether {self._what} has cycles of best responses: no order in which the players "
            "answered came back to a profile in a way that could be proved; such a path, or a contraction, would decide"
        )
        return Verdict(Decision.UNDECIDED, statement, "search")

    def _refuted(self, has: str, answers: bool = False) -> Verdict | None:
        """Return the refutation by the cycle that was found, or by the enclosed path; None where there is neither."""
        if self.cycle is not None and (not answers or self._answers_cycle):
            return _by_cycle(self.cycle, f"{self._what} has {has}", _VOORNEVELD if answers else _MONDERER)
        if self._path is not None:
            return _by_enclosure(self._path, f"{self._what} has {has}")
        return None

    def _searched(self, what: str) -> Verdict:
        statement = (
            f"it is not decided whether {self._what} has {what}: {self._search.tried} games restricted to a few "
            f"actions of a few players, around {len(self._search.equilibria)} profiles and far from them, showed no "
            "improvement cycle whose gains could be certified; such a cycle or a potential would decide"
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
