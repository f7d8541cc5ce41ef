"""Summaries of comparisons: medians and quantiles by game and method, ratios to the fastest, totals by method."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nngames.core.plain import plain

if TYPE_CHECKING:
    from nngames.results.comparison import Row


@dataclass(frozen=True)
class Quantiles:
    """The quartiles of a sample, interpolated linearly between its sorted values."""

    low: float
    median: float
    high: float


@dataclass(frozen=True)
class Group:
    """The runs of one method on one game, over all seeds and repetitions.

    Attributes
    ----------
    game, method : str
    runs, solved : int
        How many there are, and how many converged.
    statuses : mapping status -> int
    first : float or None
        The seconds of a first call: the median over the processes that made one, of the fresh ones if there are any.
    warm : int
        How many runs were no first calls.
    seconds, evaluations : Quantiles or None
        Of the warm runs; of the first calls where there is no other run. None where nothing ran.
    ratio : float or None
        The median of the seconds in units of the smallest such median on the game; None unless every run converged.
    reasons : tuple of str
        The distinct messages of the runs that did not converge.
    """

    game: str
    method: str
    runs: int
    solved: int
    statuses: Mapping[str, int]
    first: float | None
    warm: int
    seconds: Quantiles | None
    evaluations: Quantiles | None
    ratio: float | None
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Total:
    """One method over all games.

    Attributes
    ----------
    method : str
    games, solved : int
        Games it was run on; games on which every run converged.
    median_ratio, worst_ratio : float or None
        Of the ratios on the games that it solved.
    """

    method: str
    games: int
    solved: int
    median_ratio: float | None
    worst_ratio: float | None


@dataclass(frozen=True)
class Summary:
    """What the rows of a comparison say together.

    Attributes
    ----------
    groups : tuple of Group
    totals : tuple of Total
    """

    groups: tuple[Group, ...]
    totals: tuple[Total, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the summary as plain data."""
        return {
            "quantiles": [0.25, 0.5, 0.75],
            "groups": plain([asdict(group) for group in self.groups]),
            "methods": plain([asdict(total) for total in self.totals]),
        }


def timed(rows: Iterable[Row]) -> list[Row]:
    """Return the runs whose seconds stand for the method: the warm ones, or the first calls where there is no other."""
    ran = [row for row in rows if row.ran]
    return [row for row in ran if row.call == "warm"] or ran


def summarised(rows: Sequence[Row]) -> Summary:
    """Return the summary of the rows of a comparison."""
    by_pair: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        by_pair.setdefault((row.game, row.method), []).append(row)
    fastest: dict[str, float] = {}
    for (game, _), own in by_pair.items():
        seconds = _quantiles([row.result.seconds for row in timed(own)])
        if seconds is not None and _solved(own):
            fastest[game] = min(seconds.median, fastest.get(game, np.inf))
    groups = tuple(_group(game, method, own, fastest.get(game)) for (game, method), own in by_pair.items())
    methods = dict.fromkeys(group.method for group in groups)
    return Summary(groups, tuple(_total(method, groups) for method in methods))


def _group(game: str, method: str, rows: Sequence[Row], fastest: float | None) -> Group:
    ran = [row for row in rows if row.ran]
    seconds = _quantiles([row.result.seconds for row in timed(rows)])
    fresh = [row.result.seconds for row in ran if row.call == "fresh"]
    first = _quantiles(fresh or [row.result.seconds for row in ran if row.call == "first"])
    known = seconds is not None and fastest is not None and _solved(rows)
    return Group(
        game=game,
        method=method,
        runs=len(rows),
        solved=sum(row.result.converged for row in rows),
        statuses=dict(Counter(str(row.result.status) for row in rows)),
        first=None if first is None else first.median,
        warm=sum(row.call == "warm" for row in ran),
        seconds=seconds,
        evaluations=_quantiles([row.result.evaluations for row in timed(rows)]),
        ratio=_quotient(seconds.median, fastest) if known else None,  # type: ignore[union-attr, arg-type]
        reasons=tuple(dict.fromkeys(row.result.message for row in rows if not row.result.converged)),
    )


def _total(method: str, groups: Sequence[Group]) -> Total:
    own = [group for group in groups if group.method == method]
    ratios = [group.ratio for group in own if group.ratio is not None]
    return Total(
        method=method,
        games=len(own),
        solved=sum(group.solved == group.runs for group in own),
        median_ratio=float(np.median(ratios)) if ratios else None,
        worst_ratio=max(ratios, default=None),
    )


def _solved(rows: Sequence[Row]) -> bool:
    return all(row.result.converged for row in rows)


def _quotient(value: float, unit: float) -> float:
    # A clock too coarse for a run reads zero.
    return value / unit if unit > 0 else 1.0 if value == 0 else float("inf")


def _quantiles(values: Sequence[float]) -> Quantiles | None:
    return Quantiles(*(float(q) for q in np.quantile(values, [0.25, 0.5, 0.75]))) if values else None
