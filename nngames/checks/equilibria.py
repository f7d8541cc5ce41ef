"""Equilibria found by several methods, and when a small residual may be taken for an equilibrium.

A small residual proves nothing: softplus with W = 1, b = 0 has residual 3e-10 at 22, exactly 0 in floating point at
40, and no equilibrium. A profile counts as an equilibrium found in floating point only if Id - R, R the map of the
residual, is invertible there with a margin that confines the solution: Newton's steps must reach a residual of 1e-12
scale, move the profile by at most sqrt(tolerance) scale, and leave (residual + rounding) / sigma below that, sigma the
smallest singular value of Id - DR. Otherwise it must be an equilibrium in exact arithmetic, itself or after rounding
to multiples of 2^-30.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nngames.checks.cycle_certificates import Certifier, certification_reason, rationals
from nngames.core.errors import NNGamesError
from nngames.core.profiles import Array
from nngames.games import Game
from nngames.solvers import registry, solve

#: The solvers that look for equilibria, as far as they apply.
METHODS = ("best_response", "km", "extragradient")
#: Above this size no Jacobian is formed.
MOST_COORDINATES = 400
_EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True, eq=False)
class Resolved:
    """A profile that counts as an equilibrium.

    Attributes
    ----------
    profile : ndarray (N,)
    residual : float
    isolated : bool
        Whether Id - DR is invertible there.
    how : str
    """

    profile: Array
    residual: float
    isolated: bool
    how: str


def roots(game: Game, starts: Sequence[Array]) -> Iterator[tuple[str, Array]]:
    """Yield ("root", profile) from Powell's hybrid method on R(x) - x = 0; nothing is claimed of the profiles."""
    from scipy.optimize import root

    options = {"xtol": 1e-13, "maxfev": 200 * (game.size + 1)}
    for start in starts if game.size <= MOST_COORDINATES // 2 else ():
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            x = np.asarray(root(game.residuals, start, method="hybr", options=options).x, dtype=np.float64)
        if np.isfinite(x).all() and game.residual(x) <= 1e-6 * game.scale:
            yield "root", x


def solutions(game: Game, starts: Sequence[Array], iterations: int = 300) -> Iterator[tuple[str, Array]]:
    """Yield (method, profile) from solvers that came near an equilibrium; nothing is claimed of the profiles."""
    for start in starts:
        for method in METHODS:
            if registry[method]().applies(game) is None:
                result = solve(game, method, start=start, max_iterations=iterations)
                if np.isfinite(result.profile).all() and result.residual <= 1e-3 * result.scale:
                    yield method, result.profile


def resolve(game: Game, profile: Array, tolerance: float) -> Resolved | str:
    """Return the equilibrium at ``profile``, or the reason why the profile does not count as one."""
    if game.size > MOST_COORDINATES:
        return _exact(game, profile, tolerance) or "no Jacobian is formed at this size"
    near = np.sqrt(tolerance) * game.scale
    with np.errstate(all="ignore"):
        jacobian = np.eye(game.size) - _derivative(game, profile)
        if not np.isfinite(jacobian).all():
            return "the derivative is not finite there"
        sigma = float(np.linalg.svd(jacobian, compute_uv=False)[-1])
        if sigma > 1e-7:
            x = _newton(game, profile, jacobian)
            residual = float(game.residual(x))
            rounding = 8 * _EPS * np.sqrt(game.size) * max(game.scale, float(np.linalg.norm(x)))
            moved = float(np.linalg.norm(x - profile))
            small = residual <= 1e-12 * max(game.scale, float(np.linalg.norm(x)))
            if small and moved <= near and (residual + rounding) / sigma <= near:
                return Resolved(x, residual, True, f"Id - DR is invertible there, sigma = {sigma:.3g}")
    return _exact(game, profile, tolerance) or (
        f"Id - DR is nearly singular there (smallest singular value {sigma:.3g}), so a residual of "
        f"{float(game.residual(profile)):.3g} does not tell an equilibrium from a drift"
    )


def _derivative(game: Game, x: Array) -> Array:
    """Return DR at x by central differences; game.residuals is R(x) - x."""
    steps = 1e-6 * np.maximum(1.0, np.abs(x))
    moves = np.diag(steps)
    change = (game.residuals(x + moves) + moves) - (game.residuals(x - moves) - moves)
    return (change / (2 * steps[:, None])).T


def _newton(game: Game, x: Array, jacobian: Array) -> Array:
    best, smallest = x, float(game.residual(x))
    for _ in range(8):
        x = best + np.linalg.solve(jacobian, game.residuals(best))
        size = float(game.residual(x)) if np.isfinite(x).all() else np.inf
        if not size < smallest:
            break
        best, smallest = x, size
    return best


def _exact(game: Game, profile: Array, tolerance: float) -> Resolved | None:
    """Return the profile, or its rounding, if it is an equilibrium in exact or ball arithmetic of radius 0."""
    if certification_reason(game) is not None:
        return None
    rounded = np.rint(profile * 2.0**30) / 2.0**30
    for x in (profile, rounded):
        if np.linalg.norm(x - profile) <= np.sqrt(tolerance) * game.scale and is_exact_equilibrium(game, x):
            return Resolved(x, float(game.residual(x)), False, "an equilibrium in exact arithmetic")
    return None


def is_exact_equilibrium(game: Any, x: Array) -> bool:
    """Decide by exact or ball arithmetic whether the floats x are an equilibrium; False where it is not known."""
    certifier = Certifier(game)
    exact = rationals(x)
    try:
        for player, where in game.space.slices.items():
            answer = certifier.response(player, exact)
            if answer is None:
                answer = certifier.enclosed_response(player, exact)
            if answer is None or any(not (a - b).is_zero() for a, b in zip(answer, exact[where], strict=True)):
                return False
    except NNGamesError:
        return False
    return True
