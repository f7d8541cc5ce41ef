"""One result of a saved report against what its scenario gives: residual, Nash gap, status, guarantee and trace."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nngames.checks.existence import certify_equilibrium
from nngames.core.errors import NNGamesError
from nngames.core.plain import plain
from nngames.core.verdicts import BallVerdict, Verdict
from nngames.results.result import Status, versions
from nngames.scenario.problems import Path, shown
from nngames.scenario.sections import is_number
from nngames.solvers import registry
from nngames.solvers.automatic.auto import Auto

if TYPE_CHECKING:
    from nngames.games import Game
    from nngames.scenario.choices import Chosen

Note = Callable[[Path, str], None]

#: A stated figure may differ by this share from the recomputed one, and a residual by this much of the scale.
_SHARE, _ROUNDING = 1e-6, 1e-13
#: The largest float.
LARGEST = float(np.finfo(np.float64).max)
#: Schemes whose trace has displacements in place of residuals.
_DISPLACED = ("best_response",)
_UNMADE = (str(Status.SKIPPED), str(Status.FAILED))
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")


@dataclass(frozen=True, eq=False)
class CheckedResult:
    """A result of a saved report, recomputed.

    Attributes
    ----------
    status : str
        As the file has it.
    residual, scale, tolerance : float
        The first two recomputed; ``converged`` means residual <= tolerance * scale.
    nash_gap : float or None
        Recomputed; None where the profile is not finite or the game has none there.
    guarantee : Verdict or None
        What the scheme says again; None where it is not asked, as for runs that were not made.
    converged : bool
    existence : BallVerdict or None
        Whether an equilibrium is proved near the profile; None where the run did not converge.
    """

    status: str
    residual: float
    scale: float
    tolerance: float
    nash_gap: float | None
    guarantee: Verdict | None
    converged: bool
    existence: BallVerdict | None

    def to_dict(self) -> dict[str, Any]:
        """Return the figures and the verdicts as plain data."""
        verdicts = {
            name: None if verdict is None else verdict.to_dict()
            for name, verdict in (("guarantee", self.guarantee), ("existence", self.existence))
        }
        return {**plain({k: v for k, v in vars(self).items() if k not in verdicts}), **verdicts}


class ResultCheck:
    """The check of one result.

    Parameters
    ----------
    game : Game
        The one that the method plays.
    chosen : Chosen or None
        The scenario's method of that label; None where the run was asked for another.
    label : str
    given : mapping
        The result in the file.
    asked : float
        The tolerance of the run.
    note : callable
        Told a path in the file and what does not hold there.
    """

    def __init__(
        self, game: Game, chosen: Chosen | None, label: str, given: Mapping[str, Any], asked: Any, note: Note
    ) -> None:
        self.game, self.chosen, self.given, self.asked = game, chosen, given, asked
        self.where, self.note, self.sound = ("solve", label), note, True

    def checked(self) -> CheckedResult | None:
        """Recompute the result and tell what does not hold; None where something does not."""
        given, right = self.given, float(self.game.scale)
        numbers = {key: self.number(given, key) for key in ("residual", "scale", "tolerance")}
        try:
            x = np.asarray(given.get("profile"), dtype=np.float64)
        except (TypeError, ValueError, OverflowError):
            x = np.empty(0)
        if x.shape != (self.game.size,):
            self.tell(("profile",), f"must hold {self.game.size} numbers")
            return None
        if None in numbers.values():
            return None
        stated, scale, tolerance = (float(value) for value in numbers.values() if value is not None)
        try:
            residual = float(self.game.residual(x)) if np.isfinite(x).all() else math.inf
        except NNGamesError as error:
            self.tell(("profile",), f"is not a profile of the game: {error}")
            return None
        if not 0 < tolerance < 1 or tolerance != self.asked:
            self.tell(("tolerance",), f"is {tolerance:.6g}; the scenario was run with {shown(self.asked)}")
        # A run that was not made has no scale.
        unmade = math.isnan(scale) and given.get("status") in _UNMADE
        if not unmade and not abs(scale - right) <= _SHARE * right:
            self.tell(("scale",), f"is {scale:.6g}; the game's is {right:.6g}")
        if math.isfinite(residual) and not abs(stated - residual) <= self.accuracy(residual):
            self.tell(("residual",), f"is {stated:.6g}; at the profile it is {residual:.6g}")
        status = given.get("status")
        if status not in [str(known) for known in Status]:
            self.tell(("status",), f"is {shown(status)}, which is no status")
        target = tolerance * right
        converged = status == "converged"
        if converged and not residual <= target * (1 + _SHARE):
            message = f"is 'converged', but the residual {residual:.6g} is above tolerance * scale, {target:.6g}"
            self.tell(("status",), message)
        for key in ("iterations", "evaluations", "seconds"):
            self.number(given, key)
        gap = self.gap(x)
        if "trace" in given:
            self.trace(given["trace"], residual, gap, target if converged else math.inf)
        guarantee = self.guarantee()
        if not self.sound:
            return None
        existence = certify_equilibrium(self.game, x) if converged else None
        return CheckedResult(str(status), residual, right, tolerance, gap, guarantee, converged, existence)

    def tell(self, place: Sequence[str], message: str) -> None:
        """Note what does not hold at a place of the result."""
        self.sound = False
        self.note((*self.where, *place), message)

    def accuracy(self, residual: float) -> float:
        """Return how far a stated residual may be from the recomputed one."""
        return _SHARE * residual + _ROUNDING * float(self.game.scale) * self.game.size

    def number(self, given: Mapping[str, Any], key: str, least: float = 0.0) -> float | None:
        """Return a number, as ``plain`` writes it, or tell that there is none."""
        value: Any = given.get(key)
        if value in ("inf", "nan"):
            return float(value)
        if is_number(value) and least <= value <= LARGEST:
            return float(value)
        self.tell((key,), f"must be a number{' that is not negative' * (least == 0)}; got {shown(value)}")
        return None

    def gap(self, x: Any) -> float | None:
        """Return the Nash gap at the profile, which the file must state within its bound on the rounding error."""
        stated = self.number(self.given, "nash_gap", -LARGEST)
        if stated is None or not np.isfinite(x).all():
            return None
        try:
            with np.errstate(over="ignore", invalid="ignore"):
                bounds = self.game.regret_bounds(x)
                gap, error = (float(sum(bound[i] for bound in bounds.values())) for i in range(2))
        except NNGamesError:
            return None
        if math.isnan(gap) or math.isnan(error):
            return None
        # Both were rounded, and their sums once more.
        allowed = 2 * error + (_SHARE * abs(gap) if math.isfinite(gap) else 0.0) + 1e-290
        if gap != stated and not abs(gap - stated) <= allowed:
            self.tell(("nash_gap",), f"is {stated:.6g}; at the profile it is {gap:.6g}")
        return gap

    # The trace

    def trace(self, given: Any, residual: float, gap: float | None, target: float) -> None:
        """Tell what of the course of the run does not fit its end."""
        if not isinstance(given, dict):
            self.tell(("trace",), "must be a mapping")
            return
        columns = {name: self.column(given.get(name), name) for name in ("residual", "evaluations", "seconds")}
        if any(column is None for column in columns.values()):
            return
        ends, passes, seconds = (column for column in columns.values() if column is not None)
        if not len(ends) == len(passes) == len(seconds):
            self.tell(("trace",), f"has {len(ends)} residuals, {len(passes)} evaluations and {len(seconds)} seconds")
            return
        if not ends:
            return
        last, method = ends[-1], str(self.given.get("method"))
        if passes[-1] != self.given.get("evaluations"):
            stated = shown(self.given.get("evaluations"))
            self.tell(("trace", "evaluations"), f"ends with {passes[-1]:g}; the result has {stated}")
        steps = self.given.get("iterations")
        if ":" not in method and len(ends) - 1 != steps:
            self.tell(("trace",), f"has {len(ends) - 1} steps; the result has {shown(steps)}")
        for name, column in (("evaluations", passes), ("seconds", seconds)):
            if any(b < a for a, b in itertools.pairwise(column)):
                self.tell(("trace", name), "must not decrease")
        exact = not (":" in method or method in _DISPLACED) and math.isfinite(last) and math.isfinite(residual)
        if exact and not abs(last - residual) <= self.accuracy(residual):
            self.tell(("trace", "residual"), f"ends with {last:.6g}; at the profile it is {residual:.6g}")
        elif not last <= target * (1 + _SHARE):
            message = f"ends with {last:.6g}, above tolerance * scale, {target:.6g}, of a run that converged"
            self.tell(("trace", "residual"), message)
        gaps = given.get("nash_gap")
        if gaps is not None and not (isinstance(gaps, list) and len(gaps) == len(ends)):
            self.tell(("trace", "nash_gap"), f"must be null or a list of {len(ends)} numbers")
        elif gaps is not None and gap is not None and exact:
            number = gaps[-1] in ("inf", "nan") or (is_number(gaps[-1]) and abs(gaps[-1]) <= LARGEST)
            end = float(gaps[-1]) if number else math.nan
            stated_gap = self.given.get("nash_gap")
            if gaps[-1] != stated_gap and not abs(end - gap) <= _SHARE * abs(gap) + 1e-12:
                self.tell(("trace", "nash_gap"), f"ends with {end:.6g}; at the profile it is {gap:.6g}")

    def column(self, values: Any, name: str) -> list[float] | None:
        """Return a column of the trace, or tell that it is none."""
        numbers = isinstance(values, list) and all(
            value in ("inf", "nan") or (is_number(value) and 0 <= value <= LARGEST) for value in values
        )
        if not numbers:
            self.tell(("trace", name), "must be a list of numbers that are not negative")
            return None
        return [float(value) for value in values]

    # The guarantee

    def guarantee(self) -> Verdict | None:
        """Return what the scheme says of its convergence, which the file must state."""
        stated = self.given.get("guarantee")
        if not isinstance(stated, dict):
            self.tell(("guarantee",), "must be a mapping")
            return None
        scheme = self.scheme()
        if scheme is None or self.given.get("evaluations") == 0:
            if self.given.get("evaluations") == 0 and stated.get("status") != "UNDECIDED":
                self.tell(("guarantee", "status"), f"is {shown(stated.get('status'))} of a run that was not made")
            return None
        try:
            verdict: Verdict = scheme.guarantee(self.game)
        except NNGamesError:
            return None
        if stated.get("status") != verdict.status.value:
            message = f"is {shown(stated.get('status'))}; of this game {scheme.name} says {verdict.status.value}"
            self.tell(("guarantee", "status"), message)
        elif self.same_version() and not same_text(stated.get("statement"), verdict.statement):
            message = f"is {shown(stated.get('statement'))}; of this game {scheme.name} says {verdict.statement!r}"
            self.tell(("guarantee", "statement"), message)
        elif not agree(stated.get("margin"), plain(verdict.margin)):
            message = f"is {shown(stated.get('margin'))}; of this game it is {shown(verdict.margin)}"
            self.tell(("guarantee", "margin"), message)
        elif self.same_version() and not agree(stated.get("witness"), plain(verdict.witness)):
            self.tell(("guarantee", "witness"), f"is not that which {scheme.name} gives for this game")
        elif self.same_version():
            self.words(stated, verdict)
        return verdict

    def words(self, stated: Mapping[str, Any], verdict: Verdict) -> None:
        """Tell what else the file says of a guarantee that its scheme does not."""
        for key in ("method", "would_change"):
            if not same_text(stated.get(key), found := getattr(verdict, key)):
                self.tell(("guarantee", key), f"is {shown(stated.get(key))}; of this game it is {found!r}")
        if stated.get("references") != (found := plain(verdict.references)):
            self.tell(("guarantee", "references"), f"are {shown(stated.get('references'))}; they are {found!r}")

    def scheme(self) -> Any:
        """Return the scheme of the run; None, told where it ought to be one, where none can be made."""
        method, origin = str(self.given.get("method")), self.given.get("provenance")
        options = origin.get("options") if isinstance(origin, dict) else None
        if not (isinstance(origin, dict) and isinstance(options, dict)):
            self.tell(("provenance", "options"), "must be a mapping")
            return None
        if origin.get("method") != method:
            self.tell(("provenance", "method"), f"is {shown(origin.get('method'))}; the result's is {method!r}")
        own = self.chosen
        if own is not None and own.name != "auto":
            if method != own.name:
                self.tell(("method",), f"is {method!r}; the scenario's is {own.name!r}")
                return None
            if own.entry is not None and options != plain(dict(own.entry.options)):
                self.tell(("provenance", "options"), "are not those of the scenario")
                return None
            return own.entry
        try:
            return Auto() if method.partition(":")[0] == "auto" else registry[method](**options)
        except (NNGamesError, TypeError, ValueError) as error:
            self.tell(("provenance", "options"), f"make no {method}: {error}")
            return None

    def same_version(self) -> bool:
        """Whether the file was written by this version, whose sentences are the same."""
        origin = self.given.get("provenance")
        return isinstance(origin, dict) and origin.get("nngames") == versions()["nngames"]


def same_text(stated: Any, found: str) -> bool:
    """Whether two sentences are the same but for the last digits of their numbers."""
    if not isinstance(stated, str) or _NUMBER.sub("#", stated) != _NUMBER.sub("#", found):
        return False
    pairs = zip(_NUMBER.findall(stated), _NUMBER.findall(found), strict=True)
    return all(math.isclose(float(a), float(b), rel_tol=1e-4, abs_tol=1e-12) for a, b in pairs)


def agree(stated: Any, found: Any) -> bool:
    """Whether plain data are the same but for the last digits of numbers."""
    if is_number(stated) and is_number(found) and abs(stated) <= LARGEST:
        return math.isclose(stated, found, rel_tol=1e-6, abs_tol=1e-9)
    if isinstance(stated, dict) and isinstance(found, dict):
        return stated.keys() == found.keys() and all(agree(stated[key], value) for key, value in found.items())
    if isinstance(stated, list) and isinstance(found, list):
        return len(stated) == len(found) and all(agree(a, b) for a, b in zip(stated, found, strict=True))
    return type(stated) is type(found) and bool(stated == found)
