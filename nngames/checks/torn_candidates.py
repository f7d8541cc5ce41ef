"""Where to look for improvement cycles: profiles at which every mover is torn between two actions.

Mover l has the actions x_l - h_l and x_l + h_l, h_l = e_l d_l; the other players stand still. With
G_l(x) = [phi_l(x_l + h_l) - phi_l(x_l - h_l)] / (2 e_l) - <d_l, u_l(x)>, u_l affine in what it hears, the action
s_l = 1 rather than -1 changes its cost by 2 e_l [G_l(x) - sum_k s_k e_k <d_l, B_lk d_k>], whatever the amplitudes:
where G = 0, the signs s_k of the others alone decide. So x need be no equilibrium and the steps need not be small: one
equation for each mover is solved, with the actions of all players as unknowns.

Two movers with <d_1, B_12 d_2> <d_2, B_21 d_1> < 0 then chase each other for ever. Three or more movers that hear each
other in turn do if each hears the one before it more than all others: e_l must be found with
e_{l-1} |a_{l,l-1}| > e_k |a_lk|, a_lk = <d_l, B_lk d_k>. For three movers with a_lk a_kl > 0 there are such amplitudes
in one direction round the cycle iff the products of the a_lk differ between the two directions, that is iff the three
have no weighted potential.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nngames.activations.foundations.domain import Simplex
from nngames.checks.feasible_profiles import into_domain
from nngames.checks.local_candidates import directions_along
from nngames.core.deadlines import look
from nngames.core.profiles import Array, Player
from nngames.games import CoupledGame

#: Profiles from which G = 0 is sought at a time, for how many numbers in all at most, and the steps towards it.
STARTS = 24
MOST_NUMBERS = 2400
STEPS = 24
#: Of the largest amplitudes that the domains allow.
SHARES = (1.0, 0.2, 0.02)
# Sizes of the starts' actions where the domain has no end.
_SCALES = np.array([1.0, 0.3, 10.0])
# The largest ratio, as a logarithm, by which a mover is made to hear one player more than another.
_CLEAR = 2.0


def torn_candidates(
    game: CoupledGame,
    coupling: Any,
    movers: Sequence[Player],
    rng: np.random.Generator,
    share: float,
    deadline: float = math.inf,
) -> Iterator[tuple[Array, Array]]:
    """Yield pairs of profiles (low, high) between which the movers are torn, up to rounding.

    Parameters
    ----------
    game : CoupledGame
    coupling : sparse (N, N)
        The effective coupling.
    movers : sequence of players
        Each hears the one before it, the first one the last.
    rng : Generator
    share : float
        Of the largest amplitudes that the domains allow.
    deadline : float
        A moment of time.monotonic, after which TimeUpError is raised.
    """
    for directions in directions_along(game, coupling, None, movers, rng):
        look(deadline)
        torn = _Torn(game, coupling, movers, directions, deadline)
        amplitudes = torn.amplitudes()
        if amplitudes is None:
            continue
        amplitudes = amplitudes * share
        for x in torn.profiles(amplitudes, rng):
            step = amplitudes @ torn.directions
            yield into_domain(game, x - step), into_domain(game, x + step)


class _Torn:
    """The equations G = 0 for some movers with one direction each."""

    def __init__(
        self,
        game: CoupledGame,
        coupling: Any,
        movers: Sequence[Player],
        directions: Sequence[Array],
        deadline: float,
    ) -> None:
        self.game, self.movers, self.deadline = game, movers, deadline
        self.directions = np.zeros((len(movers), game.size))
        for i, (mover, d) in enumerate(zip(movers, directions, strict=True)):
            self.directions[i, game.space.slices[mover]] = d
        self.heard: Array = np.asarray(coupling.T @ self.directions.T).T  # d_l' B_l., (m, N)
        self.couplings = self.heard @ self.directions.T
        self._ranges = [
            _Range(game.own[block].activation.domain, where.stop - where.start, where)
            for block, where in game.blocks.slices.items()
        ]

    def amplitudes(self) -> Array | None:
        """Return the largest amplitudes with which the movers hear each other in turn; None where none are found."""
        m, a = len(self.movers), np.abs(self.couplings)
        before = (np.arange(m) - 1) % m
        if not (a[np.arange(m), before] > 0).all() or not np.isfinite(a).all():
            return None
        if m == 2:
            if self.couplings[0, 1] * self.couplings[1, 0] >= 0:
                return None
            logarithms: Array | None = -0.5 * np.log(np.array([a[1, 0], a[0, 1]]))
        else:
            logarithms = _dominant(np.log(np.where(a > 0, a, 1.0)), a > 0, before)
        if logarithms is None:
            return None
        result = np.exp(logarithms - logarithms.max())
        step = result @ self.directions
        return result * min(1.0, *(part.largest(step[part.where]) for part in self._ranges))

    def profiles(self, amplitudes: Array, rng: np.random.Generator) -> list[Array]:
        """Return the profiles with the smallest |G| that were found from drawn ones."""
        steps = amplitudes[:, None] * self.directions
        step = steps.sum(axis=0)
        starts = int(np.clip(MOST_NUMBERS // self.game.size, 2, STARTS))
        x = np.concatenate([part.draw(rng, starts) for part in self._ranges], axis=-1)
        x = self._settle(x, step)
        free = np.ones_like(x)
        for turn in range(STEPS):
            values, curvatures = self._equations(x, steps, amplitudes)
            jacobian = curvatures[..., None] * self.directions - self.heard
            if turn % 2:
                # Who stands at an end of its domain leaves the step to the others.
                jacobian = jacobian * free[:, None, :]
            wanted = x - _least_step(jacobian, values)
            settled = self._settle(np.where(np.isfinite(wanted), wanted, x), step)
            free = (np.abs(settled - wanted) <= 1e-9 * (1 + np.abs(wanted))).astype(float)
            x = settled
        values, _ = self._equations(x, steps, amplitudes)
        # The signs of the others must outweigh what is left.
        felt = np.abs(self.couplings) @ amplitudes
        misses = np.nan_to_num(np.max(np.abs(values) / felt, axis=1), nan=np.inf)
        return [x[i] for i in np.argsort(misses)[:2] if misses[i] < 1]

    def _settle(self, x: Array, step: Array) -> Array:
        result = np.empty_like(x)
        for part in self._ranges:
            result[..., part.where] = part.settle(x[..., part.where], step[part.where])
        return result

    def _equations(self, x: Array, steps: Array, amplitudes: Array) -> tuple[Array, Array]:
        """Return G (B, m), and by how much G_l grows with a shift of x_l along d_l."""
        values, curvatures = np.empty((2, len(x), len(self.movers)))
        with np.errstate(all="ignore"):
            for i, mover in enumerate(self.movers):
                look(self.deadline)
                low, here, high = self.game.cost(mover, np.concatenate([x - steps[i], x, x + steps[i]])).reshape(3, -1)
                values[:, i] = (high - low) / (2 * amplitudes[i])
                curvatures[:, i] = (high - 2 * here + low) / amplitudes[i] ** 2
        return values, np.where(np.isfinite(curvatures) & (curvatures > 1e-6), curvatures, 1.0)


def _dominant(sizes: Array, there: NDArray[np.bool_], before: Any) -> Array | None:
    """Return t with t_{l-1} + sizes_{l,l-1} > t_k + sizes_lk for all other k that l hears, by a linear program."""
    from scipy.optimize import linprog

    m = len(sizes)
    rows, limits = [], []
    for i in range(m):
        for k in np.flatnonzero(there[i]):
            if k not in (i, before[i]):
                row = np.zeros(m + 1)
                row[k] += 1
                row[before[i]] -= 1
                row[m] = 1
                rows.append(row)
                limits.append(sizes[i, before[i]] - sizes[i, k])
    if not rows:
        return np.zeros(m)
    cost = np.zeros(m + 1)
    cost[m] = -1
    bounds = [(0.0, 0.0), *[(-40.0, 40.0)] * (m - 1), (None, _CLEAR)]
    found = linprog(cost, np.array(rows), np.array(limits), bounds=bounds)
    return np.asarray(found.x[:m]) if found.status == 0 and found.x[m] > 1e-10 else None


def _least_step(jacobian: Array, values: Array) -> Array:
    """Return the least d (B, N) with J d = values, nearly where J J' is singular."""
    gram = jacobian @ np.swapaxes(jacobian, 1, 2)
    size = np.trace(gram, axis1=1, axis2=2)[:, None, None]
    ridge = (1e-13 * size + 1e-300) * np.eye(gram.shape[1])
    values = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
    return np.asarray(np.swapaxes(jacobian, 1, 2) @ np.linalg.solve(gram + ridge, values[..., None]))[..., 0]


@dataclass(frozen=True, eq=False)
class _Range:
    """Where one block's midpoints x can be, so that x - h and x + h are in its domain."""

    domain: Any
    size: int
    where: slice

    @property
    def _ends(self) -> tuple[Array, Array]:
        low, high = (self.domain.project(np.full(self.size, end)) for end in (-np.inf, np.inf))
        return low, high

    @property
    def _product(self) -> bool:
        return hasattr(self.domain, "lower")

    def largest(self, step: Array) -> float:
        """Return by how much h can be multiplied, with some room left around x."""
        half = np.abs(step)
        if isinstance(self.domain, Simplex):
            total = float(half.sum())
            return 0.9 * self.domain.total / total if total > 0 else np.inf
        if not self._product:
            return np.inf
        low, high = self._ends
        moved = half > 0
        return float(np.min(0.45 * (high - low)[moved] / half[moved], initial=np.inf))

    def draw(self, rng: np.random.Generator, count: int) -> Array:
        """Return drawn points (count, n) of the domain."""
        drawn = _SCALES[np.arange(count) % len(_SCALES), None] * rng.normal(size=(count, self.size))
        if isinstance(self.domain, Simplex):
            shares = rng.exponential(size=(count, self.size))
            return self.domain.total * shares / shares.sum(axis=1, keepdims=True)
        if not self._product:
            return np.asarray(self.domain.project(drawn))
        low, high = self._ends
        with np.errstate(invalid="ignore"):
            inside = low + rng.random((count, self.size)) * (high - low)
            from_low, from_high = low + np.abs(drawn), high - np.abs(drawn)
        ended = np.where(np.isfinite(low), from_low, np.where(np.isfinite(high), from_high, drawn))
        return np.where(np.isfinite(low) & np.isfinite(high), inside, ended)

    def settle(self, x: Array, step: Array) -> Array:
        """Return midpoints near x (..., n) whose ends x - h and x + h are in the domain."""
        half = np.abs(step)
        if isinstance(self.domain, Simplex):
            rest = self.domain.total - float(half.sum())
            return half + Simplex(rest).project(x - half) if rest > 0 else x
        if self._product:
            low, high = self._ends
            return np.clip(x, np.minimum(low + half, high), np.maximum(high - half, low))
        for _ in range(4):
            x = 0.5 * (self.domain.project(x - step) + self.domain.project(x + step))
        return x
