"""What the schemes on a fixed-point map share: the view with its buffers, the relaxed step, and the proofs for it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from nngames.certificates import verdict_of
from nngames.certificates.figures import shown
from nngames.core.errors import check_choice
from nngames.core.profiles import Array
from nngames.core.verdicts import Decision
from nngames.games import FixedPoint, Game
from nngames.networks import Constant
from nngames.solvers.solver import Guarantee, Problem, Rate, State, no_guarantee, norm

MAPS = ("auto", "composite", "joint")


def check_map(owner: str, kind: str) -> None:
    """Raise OptionError unless ``kind`` names a map."""
    check_choice(f"{owner}: map", kind, MAPS)


class FixedPointProblem(Problem):
    """A fixed-point map with the buffers of one run."""

    def __init__(self, view: FixedPoint) -> None:
        self.view = view

    def restrict(self, profile: Array) -> Array:
        """Return the map's argument."""
        return np.array(self.view.restrict(profile))

    def profile(self, x: Array) -> Array:
        """Return the profile of the map's argument."""
        return self.view.profile(x)

    def start(self, x0: Array) -> State:
        """Return the state at x0; its memory is the map's value there."""
        self.difference, self._spare = np.empty_like(x0), np.empty_like(x0)
        return self._state(x0, np.empty_like(x0), 0)

    def relax(self, state: State, relaxation: float) -> State:
        """Return the state at x + relaxation (R(x) - x); x itself stays whole, should the step be interrupted."""
        x, image = state.x, state.memory
        if relaxation == 1.0:
            following, free = image, self._spare
        else:
            # The difference of the last residual is still in the buffer.
            following, free = np.multiply(self.difference, relaxation, out=self._spare), image
            following += x
        self._spare = x
        return self._state(following, free, state.evaluations)

    def _state(self, x: Array, spare: Array, evaluations: int) -> State:
        image = self.view.evaluate(x, spare)
        np.subtract(image, x, out=self.difference)
        return State(x, norm(self.difference), evaluations + 1, image)


class Accumulated:
    """The sequence a_0 = start, a_{k+1} = step(k, a_k), each term computed once."""

    def __init__(self, step: Callable[[int, float], float], start: float) -> None:
        self._step, self._terms = step, [start]

    def __call__(self, k: int) -> float:
        """Return a_k."""
        while len(self._terms) <= k:
            self._terms.append(self._step(len(self._terms) - 1, self._terms[-1]))
        return self._terms[k]


def contraction(game: Game, kind: str) -> tuple[float, Callable[[Array], float], str] | None:
    """Return a proved contraction factor of the map, its norm and the certificate's name; None where there is none."""
    if kind == "composite":
        verdict = verdict_of("composite_contraction", game)
        return (float(verdict.witness["factor"]), norm, "composite_contraction") if verdict.proved else None
    for name in ("joint_contraction", "neuron_contraction"):
        verdict = verdict_of(name, game)
        if verdict.proved:
            return float(verdict.witness["factor"]), weighted_max_norm(game, verdict.witness["weights"]), name
    return None


def weighted_max_norm(game: Game, weights: Any) -> Callable[[Array], float]:
    """Return the norm max_l |d_l|_2 / u_l over blocks (a mapping), or max_i |d_i| / u_i over coordinates (an array)."""
    if isinstance(weights, dict):
        blocks = getattr(game, "blocks", game.space)
        if hasattr(game, "network"):
            blocks = game.network.space
        parts = [(where, float(weights[block])) for block, where in blocks.slices.items()]
        return lambda d: max(norm(d[where]) / u for where, u in parts)
    u = np.asarray(weights, dtype=float)
    return lambda d: float(np.max(np.abs(d) / u))


def relaxed_guarantee(game: Game, kind: str, relaxation: Any) -> Guarantee:
    """Decide the convergence of x + lambda_t (R(x) - x) for a constant relaxation, or a sequence in (0, 1].

    Contraction: |R x - R y| <= q |x - y| gives |x_k - x*| <= prod (|1 - lambda_t| + lambda_t q) |x_0 - x*| [Banach].
    Nonexpansiveness of the composite map: if a fixed point exists, |x_{t+1} - x*|^2 <= |x_t - x*|^2 -
    lambda_t (1 - lambda_t) |R x_t - x_t|^2, and the residual does not increase, so
    |R x_k - x_k| <= |x_0 - x*| / sqrt(sum_{t <= k} lambda_t (1 - lambda_t)) [bauschke2017, Theorem 5.15].
    """
    if relaxation.satisfies(0.5) is None:
        return no_guarantee("the relaxation is a user's function: no property of its sequence is proved")
    found = contraction(game, kind)
    if found is not None:
        guarantee = _by_contraction(kind, relaxation, *found)
        if guarantee is not None:
            return guarantee
    if kind == "composite":
        verdict = verdict_of("composite_nonexpansive", game)
        if verdict.proved and relaxation.satisfies(1.0):
            return _by_nonexpansiveness(relaxation)
    return no_guarantee(f"neither a contraction nor nonexpansiveness of the {kind} map licenses {relaxation}")


def _by_contraction(
    kind: str, relaxation: Any, factor: float, measure: Callable[[Array], float], certificate: str
) -> Guarantee | None:
    def step_factor(step: int) -> float:
        lam = relaxation(step)
        return (abs(1 - lam) + lam * factor) * (1 + 4e-16)

    first = step_factor(0)
    if first >= 1 or not relaxation.satisfies((1 + factor) / 2):
        return None
    linear = isinstance(relaxation, Constant)
    products = Accumulated(lambda k, total: total * step_factor(k), 1.0)
    bound = (lambda k, d: first**k * d) if linear else (lambda k, d: products(k) * d)
    rate = Rate("distance", measure, bound, f"|x_k - x*| <= prod_t (|1 - lambda_t| + {factor:.6g} lambda_t) |x_0 - x*|")
    return Guarantee(
        Decision.PROVED,
        f"the {kind} map contracts by {shown(factor)}, so with {relaxation} it converges"
        f"{' linearly' if linear else ''} to the unique equilibrium",
        f"{certificate}, Banach's fixed-point theorem",
        margin=1 - first,
        witness={"map": kind, "factor": factor, "certificate": certificate},
        references=("bauschke2017", "bertsekas1989"),
        rate=rate,
    )


def _by_nonexpansiveness(relaxation: Any) -> Guarantee:
    sums = Accumulated(lambda k, total: total + relaxation(k) * (1 - relaxation(k)), 0.0)

    def bound(k: int, distance: float) -> float:
        total = sums(k + 1)
        return distance / math.sqrt(total) * (1 + 1e-12) if total > 0 else math.inf

    return Guarantee(
        Decision.PROVED,
        f"the composite map is nonexpansive, so with {relaxation} it converges to an equilibrium, if there is one",
        "composite_nonexpansive, Krasnoselskii-Mann theorem",
        witness={"map": "composite", "certificate": "composite_nonexpansive"},
        references=("bauschke2017", "cominetti2014"),
        rate=Rate("residual", norm, bound, "|O(x_k) - x_k| <= |x_0 - x*| / sqrt(sum_(t<=k) lambda_t (1 - lambda_t))"),
    )
