"""When the scheme of an automatic run is left for another one: what each promises, and what the present one keeps."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

from nngames.core.profiles import Array
from nngames.games import Game, NetworkGame
from nngames.networks.order import is_acyclic
from nngames.solvers.automatic.costs import BEGINNING, DISPLACEMENTS, FORECAST, LOOK, QUICK, SHORT, SHORT_PASS, Costs
from nngames.solvers.automatic.forecast import CAUTION, Factors, plain_factor, steps_to
from nngames.solvers.automatic.turns import Turn
from nngames.solvers.mixed_precision import MixedProblem

#: A scheme is left for another that promises to need less than this share of its time.
GAIN = 0.8
#: So an accelerated or relaxed scheme for the other one, whose forecast is by then an old one.
STALE_GAIN = 0.5
#: By this factor quick passes lower the residual until there is something to judge.
QUICK_FALL = QUICK**DISPLACEMENTS
#: What one of them takes off its logarithm.
QUICK_PASS = -math.log(QUICK)
#: After a forecast a scheme is watched over windows of this many steps, Newton's method and dear passes over fewer.
WINDOW, NEWTON_WINDOW, DEAR_WINDOW = 16, 6, 5
#: Spectral steps over more: their residual does not fall steadily.
SPECTRAL_WINDOW = 32
#: The share of their time that plain passes take where the first ones are in single precision.
HALVED = 2 / 3
#: So many more plain steps are worth a copy of the weights in single precision.
SINGLE_STEPS = 6
#: A scheme that keeps its promise is left alone for a quarter of the steps it still promises, for no more than these.
LONGEST_WINDOW = 256
#: The schemes that need few passes.
ACCELERATED = ("anderson", "spectral")
#: In a window the smallest residual has to fall by this factor, with Newton's method by the other one.
FALL, NEWTON_FALL = 0.99, 0.5


class Promise(NamedTuple):
    """Why a scheme is left for a more promising one: the steps that it promised to need ``after`` so many."""

    steps: float
    after: int

    def __str__(self) -> str:
        more = f"promised {self.steps:,.0f} more steps" if math.isfinite(self.steps) else "did not lower the residual"
        return f"{more} after {self.after}"


class Judgement(NamedTuple):
    """What follows: the scheme goes on if there is no reason ``why`` it is left, for ``follower`` if that is known.

    ``watched`` says that its displacements are to be kept again, for a new forecast, and ``single`` that its passes are
    made in single precision as long as that helps.
    """

    why: str | Promise | None = None
    follower: str | None = None
    watched: bool = False
    single: bool = False


GOES_ON = Judgement()


class Judge:
    """The promises of the schemes on one game.

    Parameters
    ----------
    game : Game
    target : float
        The residual to reach.
    left : mapping
        Why each scheme was left, by name: those promise nothing more.
    costs : Costs
        The estimates; others may take their place.

    Attributes
    ----------
    known : ndarray or None
        The last displacements of plain passes on which the forecast rests, in their order.
    """

    def __init__(self, game: Game, target: float, left: Mapping[str, object], costs: Costs) -> None:
        self._game, self._target, self._left, self.costs = game, target, left, costs
        self.known: Array | None = None
        self._factors: Factors | None = None

    def learn(self, displacements: Array) -> None:
        """Let the promises rest on these displacements of plain passes."""
        self.known, self._factors = displacements, None

    def judge(self, turn: Turn, residual: float, smallest: float, displacements: Array | None) -> Judgement:
        """Judge the scheme whose turn it is and set when it is judged next.

        Parameters
        ----------
        turn : Turn
        residual, smallest : float
            The present one and the smallest so far.
        displacements : ndarray (count, n) or None
            Those of the plain passes just made, where they were kept.
        """
        name, costs = turn.scheme.name, self.costs
        fell, steps = smallest / turn.before, turn.count - turn.checked
        turn.check, turn.checked, turn.before = turn.count + self.window(name), turn.count, smallest
        if displacements is not None:
            factor = plain_factor(displacements)
            seconds = steps_to(self._target, residual, factor) * costs.plain
            shortest = min(FORECAST, SHORT, GAIN * seconds - BEGINNING)
            if costs.newton < shortest and not self._ends_by_itself():
                # What takes less than a forecast needs none.
                return Judgement(Promise(seconds / costs.plain, turn.count), "newton")
            if seconds <= FORECAST:
                return GOES_ON
            self.learn(displacements)
            if steps < turn.count and fell > FALL:
                # Passes that were watched again may promise the same each time they go round a cycle.
                return Judgement(f"residual {smallest:.1e} after {turn.count} steps")
            if factor <= QUICK and not costs.dear and costs.newton >= GAIN * seconds:
                turn.check += int(seconds / costs.plain)
                return self._halved(turn, seconds / costs.plain) or GOES_ON
            if costs.newton < SHORT and not self._ends_by_itself():
                if costs.newton < GAIN * seconds:
                    return Judgement(Promise(seconds / costs.plain, turn.count), "newton")
                if costs.plain >= SHORT_PASS:
                    return GOES_ON
        else:
            factor = fell ** (1 / steps)
            if fell > (NEWTON_FALL if name == "newton" else FALL):
                return Judgement(f"residual {smallest:.1e} after {turn.count} steps")
        if name == "newton":
            return GOES_ON
        expected = steps_to(self._target, smallest, factor)
        seconds = expected * self._step_cost(name)
        return GOES_ON if seconds <= FORECAST else self._compare(turn, smallest, factor, expected, seconds)

    def _compare(self, turn: Turn, smallest: float, factor: float, expected: float, seconds: float) -> Judgement:
        """Judge a scheme that lowers the residual by the factor, against what the others promise."""
        present, costs = turn.scheme.name, self.costs
        promised = {**self.promises(smallest), present: seconds}
        if present == "picard" and factor > 0.5 and self._ends_by_itself():
            # Where a signal has to pass through, no other figure of theirs counts.
            end = self._game.size + 1
            if promised.get("newton", math.inf) >= GAIN * (end - turn.count) * costs.plain:
                turn.check = max(end, turn.check)
                return GOES_ON
            return Judgement(f"up to {end - turn.count} more steps after {turn.count}", "newton")
        name = min(promised, key=lambda scheme: promised[scheme])
        gain = GAIN if name == "newton" or present == "picard" else STALE_GAIN
        if costs.dear and name in ACCELERATED and present not in ACCELERATED:
            gain = 1.0
        if name != present and promised[name] < gain * seconds:
            return Judgement(Promise(expected, turn.count), name)
        # A run that keeps its promise is not judged all the time.
        if present == "picard" and (halved := self._halved(turn, expected)):
            return halved
        if costs.dear and present == "picard":
            return Judgement(watched=True)
        turn.check += int(min(expected / 4, LONGEST_WINDOW))
        return GOES_ON

    def _halved(self, turn: Turn, steps: float) -> Judgement | None:
        """Return that so many more plain passes are made in single precision, where that gains; not twice in a run."""
        if not self.costs.halved or isinstance(turn.problem, MixedProblem) or steps < SINGLE_STEPS:
            return None
        return Judgement(single=True)

    def promises(self, smallest: float) -> dict[str, float]:
        """Return the seconds that each scheme which was not left promises to need from the smallest residual."""
        if self._factors is None and self.known is not None:
            self._factors = Factors(self.known)
        factors, promised = self._factors, {}
        if "newton" not in self._left:
            promised["newton"] = BEGINNING + self.costs.newton
        if factors is not None:
            accelerated = min(factors.accelerated ** (1 / CAUTION if self.costs.dear else 1), factors.symmetric)
            offers = [("picard", factors.plain), ("km", factors.relaxed), ("anderson", accelerated)]
            if self.costs.spectral < math.inf:
                offers.append(("spectral", factors.spectral))
            for name, factor in offers:
                if name not in self._left:
                    steps = steps_to(self._target, smallest, factor)
                    promised[name] = BEGINNING + steps * self._step_cost(name)
        return promised

    def _step_cost(self, name: str) -> float:
        plain = self.costs.plain
        costs = {
            "anderson": self.costs.accelerated,
            "spectral": self.costs.spectral,
            "picard": HALVED * plain if self.costs.halved else plain,
        }
        return costs.get(name, plain)

    def window(self, name: str) -> int:
        """Return after how many steps a scheme is judged next: compiled ones are not stopped for less than a look."""
        if name == "newton":
            return NEWTON_WINDOW if self.costs.newton >= FORECAST else WINDOW
        if name == "spectral":
            return SPECTRAL_WINDOW
        return DEAR_WINDOW if self.costs.dear and name == "picard" else max(WINDOW, int(LOOK / self.costs.plain))

    def _ends_by_itself(self) -> bool:
        """Whether plain passes end after finitely many because no signal returns."""
        return isinstance(self._game, NetworkGame) and is_acyclic(self._game.network)


def uninterrupted(costs: Costs, target: float, residual: float) -> tuple[int, float]:
    """Return how many of the first passes are made at once, and the residual above which they end with those kept.

    Quick passes are not even interrupted for a look at them, nor are those that, falling by one factor, reach the
    target before they have taken as long as a look.

    Parameters
    ----------
    costs : Costs
    target, residual : float
        The residual to reach and the first one.
    """
    if residual <= target:
        # The run did not end there, since the recomputed residual is above the target.
        return costs.at_once, residual
    if residual * costs.quick_share >= target:
        return DISPLACEMENTS + int((math.log(residual) - math.log(target)) / QUICK_PASS), residual * QUICK_FALL
    return costs.at_once, residual * (target / residual) ** costs.kept_share
