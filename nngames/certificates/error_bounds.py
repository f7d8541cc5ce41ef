"""Error bounds: how far a profile is from the equilibrium, from its residual and what the certificates prove."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from nngames.certificates.joint_contraction import BLOCK_MAXIMUM
from nngames.certificates.neuron_contraction import WEIGHTED_MAXIMUM
from nngames.core.profiles import Array, Profile
from nngames.core.verdicts import Verdict
from nngames.games import Game, required_game

_UNIT = 2.0**-53
# The bounds themselves are computed in floats: sums of as many terms as there are coordinates.
_SLACK = 1 + 1e-9


@dataclass(frozen=True)
class ErrorBound:
    """A bound on |x - x*|, x* the unique equilibrium (for ``nonnegative``, the one in the nonnegative orthant).

    Attributes
    ----------
    value : float
        The bound in the norm named.
    norm : str
        Of what, and in which norm.
    certificate : str
        The certificate that was proved.
    euclidean : float
        A bound on |x - x*|_2 of the whole profile; inf where the certificate is about the composite map, whose bound is
        on the last layer alone.
    """

    value: float
    norm: str
    certificate: str
    euclidean: float


def error_bounds(game: Game, profile: Profile) -> dict[str, ErrorBound]:
    """Return what each proved certificate says about the distance of ``profile`` to the equilibrium.

    With R a map that contracts by q to x*, |x - x*| <= |R(x) - x| / (1 - q) in its norm [Banach]; with a strongly
    monotone inclusion, |x - x*|_2 <= (|Q - k| + |M|)/mu |R(x) - x|_2 (``monotone``). For a nonnegative network with
    T(0) > 0 and x >= 0, T brings max_i |x_i - x*_i|/x*_i down by the factor 1 - k, so |x_i - x*_i| <= (upper_i / k)
    max_j |T(x)_j - x_j| / T(0)_j (``nonnegative``): x* is then the only equilibrium in the nonnegative orthant.

    Parameters
    ----------
    game : Game
    profile : profile

    Returns
    -------
    dict
        By certificate; empty where nothing that bounds the distance is proved. The residual is as computed: its own
        rounding, about 1e-16 of the numbers in it, is not enclosed.

    Raises
    ------
    InputError, ShapeError
        If ``game`` is not a game, or ``profile`` not one of its profiles.
    """
    game = required_game(game, "an error bound")
    x = np.asarray(game.space.array(profile, what="profile"), dtype=float)
    return {bound.certificate: bound for bound in _bounds(game, x) if not math.isnan(bound.value)}


def error_bound(game: Game, profile: Profile) -> ErrorBound | None:
    """Return the bound of ``error_bounds`` that is smallest in the Euclidean norm of the profile; None without any."""
    bounds = [bound for bound in error_bounds(game, profile).values() if math.isfinite(bound.euclidean)]
    return min(bounds, key=lambda bound: bound.euclidean, default=None)


def _bounds(game: Game, x: Array) -> Iterator[ErrorBound]:
    from nngames.certificates import verdict_of

    residual: Array | None = None
    for name in ("joint_contraction", "neuron_contraction", "euclidean_contraction", "monotone", "nonnegative"):
        verdict = verdict_of(name, game)
        if not verdict.proved or ("error_factor" not in verdict.witness and "rate" not in verdict.witness):
            continue
        if residual is None:
            residual = _difference(game, "joint", x)
        if name == "nonnegative":
            if (x >= 0).all():
                yield _by_concavity(verdict, residual)
        else:
            yield _by_factor(game, name, verdict, residual)
    verdict = verdict_of("composite_contraction", game)
    if verdict.proved:
        value = float(np.linalg.norm(_difference(game, "composite", x))) * verdict.witness["error_factor"] * _SLACK
        yield ErrorBound(value, "|x_L|_2, of the last layer", "composite_contraction", math.inf)


def _difference(game: Game, kind: str, x: Array) -> Array:
    """Return R(x) - x for the joint or the composite map."""
    view = game.fixed_point(kind)
    start = np.array(view.restrict(x))
    return np.array(view.evaluate(start, np.empty_like(start))) - start


def _by_factor(game: Game, name: str, verdict: Verdict, residual: Array) -> ErrorBound:
    factor, weights = verdict.witness["error_factor"] * _SLACK, verdict.witness.get("weights")
    if weights is None:
        value = float(np.linalg.norm(residual)) * factor
        return ErrorBound(value, "|x|_2", name, value)
    if isinstance(weights, dict):
        blocks: Any = game.network.space.slices  # type: ignore[attr-defined]
        sizes = np.array([np.linalg.norm(residual[where]) for where in blocks.values()])
        u, norm = np.array([weights[block] for block in blocks]), BLOCK_MAXIMUM
    else:
        sizes, u, norm = np.abs(residual), np.asarray(weights), WEIGHTED_MAXIMUM
    value = float(np.max(sizes / u)) * factor
    # Every part is at most u_l times the weighted maximum.
    return ErrorBound(value, norm, name, float(np.linalg.norm(u)) * value * _SLACK)


def _by_concavity(verdict: Verdict, residual: Array) -> ErrorBound:
    upper, lower = verdict.witness["upper"], verdict.witness["lower"]
    share = (1 - verdict.witness["rate"]) * (1 - 4 * _UNIT)
    value = float(np.max(np.abs(residual) / lower)) / share * _SLACK if share > 0 else math.inf
    euclidean = float(np.linalg.norm(upper)) * value * _SLACK
    return ErrorBound(value, "max over i of |x_i| / upper[i]", "nonnegative", euclidean)
