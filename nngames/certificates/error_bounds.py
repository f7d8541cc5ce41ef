"""Error bounds: how far a profile is from the equilibrium, from its residual and what the certificates prove."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from nngames.certificates.composite_bounds import composite_bound
from nngames.certificates.joint_contraction import BLOCK_MAXIMUM
from nngames.certificates.neuron_contraction import WEIGHTED_MAXIMUM
from nngames.certificates.residuals import Residual, composite_residual, joint_residual
from nngames.core.norms import euclidean_length
from nngames.core.profiles import Array, Profile
from nngames.core.verdicts import Verdict
from nngames.games import Game, required_game

_UNIT = 2.0**-53
# The bounds themselves are computed in floats: sums of as many terms as there are coordinates.
_SLACK = 1 + 1e-9
_JOINT = ("joint_contraction", "neuron_contraction", "euclidean_contraction", "monotone", "nonnegative")
_COMPOSITE = ("composite_contraction", "composite_lipschitz")


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
        A bound on |x - x*|_2 of the whole profile.
    enclosed : bool
        Whether the rounding of the residual is in the bounds, by ball arithmetic. If not, responses are taken to be
        computed within some units of rounding, times the condition of an own metric: a response without a ball form, a
        game without a network, or more than 20,000 coordinates.
    """

    value: float
    norm: str
    certificate: str
    euclidean: float
    enclosed: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return the bound as plain JSON-ready data."""
        return {
            "value": self.value,
            "norm": self.norm,
            "certificate": self.certificate,
            "euclidean": self.euclidean,
            "enclosed": self.enclosed,
        }


def error_bounds(game: Game, profile: Profile) -> dict[str, ErrorBound]:
    """Return what each proved certificate says about the distance of ``profile`` to the equilibrium.

    With R a map that contracts by q to x*, |x - x*| <= |R(x) - x| / (1 - q) in its norm [Banach]; with a strongly
    monotone inclusion, |x - x*|_2 <= (|Q - k| + |M|)/mu |R(x) - x|_2 (``monotone``); in a diagonal metric P,
    |x - x*|_P <= c |T(x) - x|_P (``diagonal_stability``). For a nonnegative network with T(0) > 0 and x >= 0, T brings
    max_i |x_i - x*_i|/x*_i down by the factor 1 - k, so |x_i - x*_i| <= (upper_i / k) max_j |T(x)_j - x_j| / T(0)_j
    (``nonnegative``): x* is then the only equilibrium in the nonnegative orthant. Of a ring whose composite map
    contracts by q, e_L = |O(x_L) - x_L| / (1 - q) bounds the last layer's distance, and the others follow around it,
    e_l <= |T(x)_l - x_l| + lip_l |W_l| e_(l-1).

    Parameters
    ----------
    game : Game
    profile : profile

    Returns
    -------
    dict
        By certificate; empty where nothing that bounds the distance is proved. Upper bounds despite rounding, but see
        ``ErrorBound.enclosed``.

    Raises
    ------
    InputError, ShapeError
        If ``game`` is not a game, or ``profile`` not one of its profiles.
    """
    game = required_game(game, "an error bound")
    x = np.asarray(game.space.array(profile, what="profile"), dtype=float)
    with np.errstate(over="ignore", invalid="ignore"):
        return {bound.certificate: bound for bound in _Bounds(game, x) if bound.value < math.inf}


def error_bound(game: Game, profile: Profile) -> ErrorBound | None:
    """Return the bound of ``error_bounds`` that is smallest in the Euclidean norm of the profile; None without any."""
    bounds = [bound for bound in error_bounds(game, profile).values() if math.isfinite(bound.euclidean)]
    return min(bounds, key=lambda bound: bound.euclidean, default=None)


class _Bounds:
    """The bounds at one profile, by certificate; the residuals are evaluated where one is proved."""

    def __init__(self, game: Game, x: Array) -> None:
        self._game: Any = game
        self._x = x

    @cached_property
    def _joint(self) -> Residual:
        return joint_residual(self._game, self._x)

    @cached_property
    def _composite(self) -> Residual:
        return composite_residual(self._game, self._x)

    def __iter__(self) -> Iterator[ErrorBound]:
        from nngames.certificates import verdict_of

        for name in (*_JOINT, "diagonal_stability", *_COMPOSITE):
            verdict = verdict_of(name, self._game)
            if not verdict.proved or ("rate" if name == "nonnegative" else "error_factor") not in verdict.witness:
                continue
            if name == "nonnegative":
                if (self._x >= 0).all():
                    yield self._by_concavity(verdict)
            elif name in _COMPOSITE:
                yield self._around_the_ring(name, verdict)
            elif name == "diagonal_stability":
                yield self._in_metric(verdict)
            else:
                yield self._by_factor(name, verdict)

    def _by_factor(self, name: str, verdict: Verdict) -> ErrorBound:
        factor, weights = verdict.witness["error_factor"] * _SLACK, verdict.witness.get("weights")
        residual, enclosed = self._joint.size, self._joint.enclosed
        if weights is None:
            value = euclidean_length(residual) * factor
            return ErrorBound(value, "|x|_2", name, value, enclosed)
        if isinstance(weights, dict):
            blocks: Any = self._game.network.space.slices
            sizes = np.array([euclidean_length(residual[where]) for where in blocks.values()])
            u, norm = np.array([weights[block] for block in blocks]), BLOCK_MAXIMUM
        else:
            sizes, u, norm = residual, np.asarray(weights), WEIGHTED_MAXIMUM
        value = float(np.max(sizes / u)) * factor
        # Every part is at most u_l times the weighted maximum.
        return ErrorBound(value, norm, name, euclidean_length(u) * value * _SLACK, enclosed)

    def _in_metric(self, verdict: Verdict) -> ErrorBound:
        roots = np.sqrt(np.asarray(verdict.witness["multipliers"]))
        value = euclidean_length(roots * self._joint.size) * verdict.witness["error_factor"] * _SLACK
        euclidean = value / float(roots.min()) * _SLACK
        return ErrorBound(value, verdict.witness["norm"], "diagonal_stability", euclidean, self._joint.enclosed)

    def _by_concavity(self, verdict: Verdict) -> ErrorBound:
        upper, lower = verdict.witness["upper"], verdict.witness["lower"]
        share = (1 - verdict.witness["rate"]) * (1 - 4 * _UNIT)
        value = float(np.max(self._joint.size / lower)) / share * _SLACK if share > 0 else math.inf
        norm = "max over i of |x_i| / upper[i]"
        return ErrorBound(value, norm, "nonnegative", euclidean_length(upper) * value * _SLACK, self._joint.enclosed)

    def _around_the_ring(self, name: str, verdict: Verdict) -> ErrorBound:
        """Return the bound of the last layer, and with the joint residuals that of all layers."""
        network, bound = self._game.network, composite_bound(self._game.network)
        value = euclidean_length(self._composite.size) * verdict.witness["error_factor"] * _SLACK
        reach, parts = value, [value]
        for player in network.ring_order[:-1]:
            gain = bound.lipschitz_constants[player] * bound.norms[player]
            reach = (euclidean_length(self._joint.size[network.space.slices[player]]) + gain * reach) * _SLACK
            parts.append(reach)
        enclosed = self._composite.enclosed and self._joint.enclosed
        return ErrorBound(
            value, "|x_L|_2, of the last layer", name, euclidean_length(np.array(parts)) * _SLACK, enclosed
        )
