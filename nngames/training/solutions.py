"""What given parameters are: an exact fit, a solution of the variational inequality without one, or neither.

Why a solution fits if anything does: with r firmly nonexpansive up to its Lipschitz constant S, and parameters theta'
that fit, sum_t omega_t |r(A_t theta) - y_t|^2 <= S sum_t omega_t <r(A_t theta) - y_t, A_t (theta - theta')> =
S <F(theta), theta - theta'> <= S |F(theta)| |theta - theta'|. Turned round: no parameters within the distance
sum_t omega_t |r(A_t theta) - y_t|^2 / (S |F(theta)|) of theta fit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from nngames.core.errors import check_positive
from nngames.core.profiles import Array, Player
from nngames.core.verdicts import Decision, Verdict
from nngames.training.layer_problem import LayerProblem
from nngames.training.separation import separating_direction

_UNIT = 2.0**-53


@dataclass(frozen=True)
class SolutionReport:
    """What given parameters are.

    Attributes
    ----------
    solves : Verdict
        Whether the residual of the variational inequality is at most the tolerance.
    fits : Verdict
        Whether every |r(A_t theta) - y_t| is at most the tolerance. Where it is not, the margin of the verdict is the
        distance within which no parameters fit.
    minimiser : Verdict
        Whether the losses have minimisers at all: REFUTED with a direction in which a layer's loss falls without end.
    residuals, errors : mapping player -> float
        The residual of each layer, and its largest |r(A_t theta) - y_t|.
    """

    solves: Verdict
    fits: Verdict
    minimiser: Verdict
    residuals: Mapping[Player, float]
    errors: Mapping[Player, float]

    @property
    def kind(self) -> str:
        """``"fit"``, ``"solution"``, ``"no minimiser"`` or ``"neither"``."""
        # What fits exactly is a minimiser: without one, the targets are met within the tolerance only.
        if self.minimiser.refuted:
            return "no minimiser"
        if self.fits.proved:
            return "fit"
        return "solution" if self.solves.proved else "neither"

    def __str__(self) -> str:
        return "\n".join(
            [
                f"{self.kind}",
                f"  solves the variational inequality: {self.solves}",
                f"  fits: {self.fits}",
                f"  the losses have minimisers: {self.minimiser}",
            ]
        )


def report_on(
    layers: Mapping[Player, LayerProblem], matrices: Mapping[Player, Array], tolerance: float
) -> SolutionReport:
    """Return the report on each layer's matrix (W, b) (channels, features).

    Raises
    ------
    OptionError
        If the tolerance is not a positive number.
    """
    check_positive("tolerance", tolerance)
    residuals, errors, roundings, nearest = {}, {}, {}, math.inf
    for player, layer in layers.items():
        theta = matrices[player]
        gradient = layer.gradient(theta)
        moved = layer.features.kept(layer.project(theta - gradient) - theta)
        misses = np.linalg.norm(layer.errors(theta), axis=1)
        residuals[player] = float(np.linalg.norm(moved))
        errors[player] = float(misses.max())
        roundings[player] = _rounding(layer, theta)
        if layer.bound is None and layer.ridge == 0 and math.isfinite(layer.activation.lipschitz):
            square = float(np.dot(layer.weights, misses**2))
            reach = layer.activation.lipschitz * (residuals[player] + roundings[player])
            nearest = min(nearest, square / reach) if square > 0 else nearest
    return SolutionReport(
        _solves(residuals, roundings, tolerance),
        _fits(errors, tolerance, None if nearest == math.inf else nearest),
        separating_direction(layers, matrices),
        residuals,
        errors,
    )


def _rounding(layer: LayerProblem, theta: Array) -> float:
    """Return a bound on the rounding of |F(theta)|: of the sums, and of r at pre-activations that are rounded."""
    features = layer.features
    sizes = np.abs(features.rows) @ np.abs(features.kept(theta)).T
    slope = layer.activation.lipschitz
    answers = np.abs(layer.activation(features.preactivations(theta))) + np.abs(layer.targets)
    terms = len(features.rows) + features.shape[1] + 16
    error = terms * _UNIT * (min(slope, 1e16) * sizes.reshape(answers.shape) + answers) * layer.weights[:, None]
    total = np.abs(error).reshape(-1, features.channels).T @ np.abs(features.rows)
    return 2 * float(np.linalg.norm(total))


def _solves(residuals: Mapping[Player, float], roundings: Mapping[Player, float], tolerance: float) -> Verdict:
    total = math.sqrt(sum(r * r for r in residuals.values()))
    rounding = math.sqrt(sum(r * r for r in roundings.values()))
    worst = max(residuals, key=lambda player: residuals[player])
    where = f"the residual of the variational inequality is {total:.3g}, its rounding below {rounding:.1g}"
    method = "the operator recomputed in floats, with a bound on its rounding"
    if total + rounding <= tolerance:
        return Verdict(Decision.PROVED, f"{where}: at most {tolerance:g}", method, margin=tolerance - total - rounding)
    if total - rounding > tolerance:
        return Verdict(
            Decision.REFUTED,
            f"{where}: above {tolerance:g}, most of it in layer {worst}",
            method,
            margin=total - rounding - tolerance,
            witness={"layer": worst},
        )
    return Verdict(
        Decision.UNDECIDED, f"{where}: too close to the tolerance {tolerance:g} to say; ask for a larger one", method
    )


def _fits(errors: Mapping[Player, float], tolerance: float, distance: float | None) -> Verdict:
    worst = max(errors, key=lambda player: errors[player])
    largest = errors[worst]
    method = "the answers recomputed; a solution fits if anything near does"
    if largest <= tolerance:
        return Verdict(
            Decision.PROVED,
            f"every target is met within {largest:.3g}, at most {tolerance:g}",
            method,
            margin=tolerance - largest,
            references=("combettes2022",),
        )
    beyond = "" if distance is None else f"; no parameters within {distance:.3g} of these fit exactly"
    return Verdict(
        Decision.REFUTED,
        f"a target of layer {worst} is missed by {largest:.3g}, more than {tolerance:g}{beyond}",
        method,
        margin=distance,
        witness={"layer": worst, "largest_error": largest},
        references=("combettes2022",),
    )
