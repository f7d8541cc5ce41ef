"""Periodic projections: cycles of closed convex sets as equilibria, functionals for them, and under-relaxed cycles."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from nngames.checks.check import Check, check_named, require_game
from nngames.checks.projecting.functionals import no_universal_functional
from nngames.checks.projecting.rings import ProjectionRing
from nngames.core.errors import NotApplicableError, check_positive
from nngames.core.plain import plain
from nngames.core.profiles import Array, Player
from nngames.core.seeds import Seed, generator
from nngames.core.verdicts import Decision, Verdict
from nngames.games import Game

#: Relaxations of the under-relaxed cycles.
RELAXATIONS = tuple(2.0**-k for k in range(1, 13))
#: Residuals above which a point counts as not found, and the curvature above which a minimiser counts as the only one.
FOUND, CURVED = 1e-10, 1e-6
_REFERENCES = ("baillon2012", "baillon2014", "cominetti2019")


@dataclass(frozen=True, eq=False)
class UnderRelaxedCycle:
    """A cycle y_i = y_(i-1) + relaxation (P_i y_(i-1) - y_(i-1)).

    Attributes
    ----------
    relaxation : float
    point : ndarray (n,)
        y_m.
    distance : float
        Of y_m to the least-squares point.
    residual : float
    """

    relaxation: float
    point: Array
    distance: float
    residual: float

    def to_dict(self) -> dict[str, Any]:
        """Return the cycle as plain data."""
        return {name: plain(value) for name, value in vars(self).items()}


@dataclass(frozen=True, eq=False)
class PeriodicProjectionsReport:
    """The cycles of a ring of projections.

    Attributes
    ----------
    cycle : mapping player -> ndarray, or None
        A cycle x_i = P_i x_(i-1), which is an equilibrium; None if none was found.
    displacements : mapping player -> ndarray, or None
        x_i - x_(i-1), the same for all cycles.
    exists : Verdict
        Whether there is a cycle.
    functional : Verdict
        Whether one functional has, for all families of as many closed convex sets, the cycles as its minimisers: for
        two sets |x_1 - x_2|^2/2, for three and more none. (One game with one cycle x* always has |x - x*|^2.)
    least_squares : ndarray (n,) or None
        A point where sum_i d(x, C_i)^2 is least.
    curvature : float or None
        The least curvature found around it; 0 where the minimiser may not be the only one. None if time ran out.
    under_relaxed : tuple of UnderRelaxedCycle
        For relaxations 1/2, 1/4, ..., as far as they were found.
    rate : float or None
        What distance/relaxation tends to; None where a projection has a kink at the least-squares point, or time ran
        out.
    limit : Verdict
        Where under-relaxed cycles tend to.
    """

    cycle: Mapping[Player, Array] | None
    displacements: Mapping[Player, Array] | None
    exists: Verdict
    functional: Verdict
    least_squares: Array | None
    curvature: float | None
    under_relaxed: tuple[UnderRelaxedCycle, ...]
    rate: float | None
    limit: Verdict

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain JSON-ready data."""
        return {name: plain(value) for name, value in vars(self).items()}


@check_named("periodic_projections")
@dataclass(frozen=True)
class PeriodicProjectionsCheck(Check):
    """What the cycles of a ring of projections are, which functional they minimise, and what under-relaxation does.

    Parameters
    ----------
    max_seconds : float
        As for ``check_periodic_projections``.
    """

    max_seconds: float = 10.0

    def __post_init__(self) -> None:
        check_positive("max_seconds", self.max_seconds)

    def run(self, game: Game, seed: Seed = None) -> PeriodicProjectionsReport:
        """Return the report; UNDECIDED where the game is no ring of projections."""
        try:
            return check_periodic_projections(game, seed, self.max_seconds)
        except NotApplicableError as error:
            verdict = Verdict(
                Decision.UNDECIDED,
                f"there are no periodic projections to look at: {error}",
                "none applies",
                would_change="a ring of at least two projections on closed convex sets, without weights and biases",
            )
            return PeriodicProjectionsReport(None, None, verdict, verdict, None, None, (), None, verdict)


def check_periodic_projections(game: Game, seed: Seed = None, max_seconds: float = 10.0) -> PeriodicProjectionsReport:
    """Find the cycles of periodic projections, the functional behind them, and the limit of under-relaxed cycles.

    Parameters
    ----------
    game : Game
        Of a ring of projections on closed convex sets C_1, ..., C_m in one space, without weights and biases.
    seed : int or Generator, optional
        Of the points tried around the least-squares point.
    max_seconds : float
        After which searches stop, at the end of a step.

    Returns
    -------
    PeriodicProjectionsReport

    Raises
    ------
    NotApplicableError, InputError, OptionError
        If the game is another one, or another argument is not usable.

    Notes
    -----
    *Cycles* x_i = P_i x_(i-1), x_0 = x_m, are the equilibria. If a set is bounded there is one (Brouwer). If all are
    polyhedra there is one: the infimum of |Q x - x| for the composite Q is 0 [bauschke2003], and the range of Q - Id is
    a finite union of polyhedra, hence closed. Projections are firmly nonexpansive, so for two cycles x, y the sum over
    i of |(x_i - x_(i-1)) - (y_i - y_(i-1))|^2 is at most that of |x_(i-1) - y_(i-1)|^2 - |x_i - y_i|^2, which is 0: all
    cycles have the same displacements.

    *Functionals.* For m = 2, |x_1 - x_2|^2/2 is convex and smooth, so that a point minimises it over C_1 x C_2 iff
    each entry is the projection of the other: the cycles are its minimisers, for all pairs of sets. For m >= 3 no
    functional does this for all families [baillon2012]; see ``no_universal_functional``.

    *Under-relaxation.* A cycle y_i = y_(i-1) + s (P_i y_(i-1) - y_(i-1)) has sum_i (P_i y_(i-1) - y_(i-1)) = 0. If
    y_m stays bounded as s tends to 0, all y_i come together, and every point z that they accumulate at has
    sum_i (P_i z - z) = 0: it minimises the convex function sum_i d(z, C_i)^2. So where the minimiser is unique, bounded
    cycles tend to it [baillon2014]. De Pierro conjectured that they always converge; that is false [cominetti2019]: see
    ``de_pierro_conjecture``.
    """
    ring = ProjectionRing.of(require_game(game))
    check_positive("max_seconds", max_seconds)
    rng = generator(seed)
    # A residual that overflows counts as not found.
    with np.errstate(over="ignore", invalid="ignore"):
        return _report(ring, rng, time.monotonic() + max_seconds)


def _report(ring: ProjectionRing, rng: np.random.Generator, deadline: float) -> PeriodicProjectionsReport:
    points, residual = ring.cycle(1.0, np.zeros(ring.size), deadline)
    found = residual <= FOUND
    cycle = dict(zip(ring.players, points, strict=True)) if found else None
    before = [points[-1], *points[:-1]]
    displacements = {p: x - y for p, x, y in zip(ring.players, points, before, strict=True)} if found else None
    point, miss = ring.least_squares(points[-1], deadline)
    least_squares = point if miss <= FOUND else None
    curvature = rate = None
    relaxed: tuple[UnderRelaxedCycle, ...] = ()
    if least_squares is not None:
        around = ring.around(least_squares, rng)
        curvature = ring.curvature(around, deadline)
        curvature = curvature if curvature is None or curvature > CURVED else 0.0
        relaxed = _under_relaxed(ring, least_squares, deadline)
        rate = ring.rate(around, deadline) if curvature else None
    return PeriodicProjectionsReport(
        cycle,
        displacements,
        _exists(ring, deadline),
        _functional(ring, points, found),
        least_squares,
        curvature,
        relaxed,
        rate,
        _limit(relaxed, curvature, rate, time.monotonic() > deadline),
    )


def _under_relaxed(ring: ProjectionRing, least_squares: Array, deadline: float) -> tuple[UnderRelaxedCycle, ...]:
    found = []
    for relaxation in RELAXATIONS:
        points, residual = ring.cycle(relaxation, least_squares, deadline)
        # The residual of a cycle is of the order of the relaxation.
        if residual <= FOUND * relaxation:
            distance = float(np.linalg.norm(points[-1] - least_squares))
            found.append(UnderRelaxedCycle(relaxation, points[-1], distance, residual))
    return tuple(found)


def _exists(ring: ProjectionRing, deadline: float) -> Verdict:
    polyhedral = [projection.piecewise_linear for projection in ring.sets]
    if all(polyhedral):
        statement = (
            "there is a cycle of projections: all sets are polyhedra, so that the steps Q - Id of the composite "
        )
        statement += "Q have a closed range, and it holds 0"
        method = "asymptotic regularity of compositions of projections, and finitely many linear pieces"
        change = "an unbounded set that is no polyhedron, where no other set is bounded"
        return Verdict(Decision.PROVED, statement, method, references=("bauschke2003",), would_change=change)
    # Whether a polyhedron is bounded takes linear programs; of the others it is known.
    for place in sorted(range(len(ring.sets)), key=lambda k: polyhedral[k]):
        if polyhedral[place] and time.monotonic() > deadline:
            break
        if ring.sets[place].bounded:
            player = ring.players[place]
            statement = f"there is a cycle of projections: the set of {player} is bounded, and the composite maps it "
            method = "Brouwer's theorem for the composite of the projections"
            change = "an unbounded set in its place, where no other is bounded and not all are polyhedra"
            return Verdict(
                Decision.PROVED, statement + "into itself", method, witness={"bounded": player}, would_change=change
            )
    statement = (
        "it is not proved that there is a cycle of projections: none of the sets is known to be bounded, and not "
    )
    statement += "all are known to be polyhedra; unbounded sets need not have any cycle"
    return Verdict(
        Decision.UNDECIDED,
        statement,
        "whether a set is bounded, or all are polyhedra",
        would_change="one bounded set, or polyhedra only",
    )


def _functional(ring: ProjectionRing, points: list[Array], found: bool) -> Verdict:
    m = len(ring.sets)
    if m > 2:
        return no_universal_functional(m)
    distance = float(np.linalg.norm(points[0] - points[1]))
    measured = f"; the cycle found has the distance {distance:.12g}" if found else ""
    return Verdict(
        Decision.PROVED,
        "the cycles of two closed convex sets are the minimisers of |x_1 - x_2|^2/2 over them: a point is a minimiser "
        f"iff each entry is the projection of the other{measured}",
        "first-order conditions of a convex function on a product",
        witness={"distance": distance} if found else {},
        references=("baillon2012",),
        would_change="a third set, with which no functional does this for all families; or sets that are not convex",
    )


def _limit(relaxed: tuple[UnderRelaxedCycle, ...], curvature: float | None, rate: float | None, late: bool) -> Verdict:
    theorem = (
        "under-relaxed cycles that stay bounded accumulate, as the relaxation tends to 0, at points of least squared "
        "distances to the sets only"
    )
    if not curvature:
        measured = "; it was not found to be one point, and in general the cycles need not converge"
    else:
        measured = "; in floating point it is one point"
        if relaxed:
            last = relaxed[-1]
            measured += f", and at relaxation {last.relaxation:.3g} the cycle is {last.distance:.3g} away from it"
            measured += f", {last.distance / last.relaxation:.4g} times the relaxation "
            predicted = "no prediction" if rate is None else f"predicted {rate:.4g}"
            measured += f"({predicted})"
    change = "cycles that do not stay bounded, of which it says nothing"
    if not curvature:
        change += "; where they converge to is a matter of the single family of sets"
    if late:
        measured += f"; the time ran out after {len(relaxed)} of {len(RELAXATIONS)} relaxations"
        change += "; a larger max_seconds would measure more"
    witness = {"relaxations": [c.relaxation for c in relaxed], "distances": [c.distance for c in relaxed]}
    method = "the sum of a cycle's steps is zero; measured in floating point"
    return Verdict(Decision.PROVED, theorem + measured, method, None, witness, _REFERENCES, would_change=change)
