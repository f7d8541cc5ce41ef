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
        distance within which no parameters fit, the largest that a layer gives.
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
    residuals, errors, roundings, margins, nearest = {}, {}, {}, {}, 0.0
    with np.errstate(over="ignore", invalid="ignore"):
        for player, layer in layers.items():
            theta = matrices[player]
            gradient = layer.gradient(theta)
            moved, blur = layer.natural_step(theta, gradient)
            misses = np.linalg.norm(layer.errors(theta), axis=1)
            margins[player] = _rounding_of_answers(layer, theta)
            residuals[player] = float(np.linalg.norm(moved))
            errors[player] = misses
            roundings[player] = _rounding(layer, theta, misses, margins[player]) + blur
            if layer.allowed is None and layer.ridge == 0 and math.isfinite(layer.activation.lipschitz):
                sure = np.maximum(misses - margins[player], 0.0)
                square = float(np.dot(layer.weights, sure**2)) * (1 - 1e-9)
                reach = layer.activation.lipschitz * (residuals[player] + roundings[player])
                if square > 0 and reach > 0:
                    nearest = max(nearest, square / reach)
        minimiser = separating_direction(layers, matrices)
    return SolutionReport(
        _solves(residuals, roundings, tolerance),
        _fits(errors, margins, tolerance, nearest if nearest > 0 else None),
        minimiser,
        residuals,
        {player: float(misses.max()) for player, misses in errors.items()},
    )


def _rounding_of_answers(layer: LayerProblem, theta: Array) -> Array:
    """Return bounds (T,) on the rounding of |r(A_t theta) - y_t|: of r, and of the pre-activations that it is given."""
    features, activation = layer.features, layer.activation
    v = features.preactivations(theta)
    moved = features.preactivation_rounding(theta)
    answers = activation(v)
    if math.isfinite(activation.lipschitz):
        spread = activation.lipschitz * np.linalg.norm(moved, axis=1)
    elif activation.separable and activation.defined_everywhere:
        ends = [np.abs(activation(v + way * moved) - answers) for way in (-1.0, 1.0)]
        spread = np.linalg.norm(np.maximum(*ends), axis=1)
    else:
        spread = np.full(len(v), np.inf)
    return spread + 16 * _UNIT * (np.linalg.norm(answers, axis=1) + np.linalg.norm(layer.targets, axis=1))


def _rounding(layer: LayerProblem, theta: Array, misses: Array, margins: Array) -> float:
    """Return a bound on the rounding of |F(theta)|: that of the answers, and that of the sums."""
    features = layer.features
    norms = np.linalg.norm(features.rows.reshape(features.samples, -1), axis=1)
    sums = 1.1 * (len(features.rows) + 16) * _UNIT * misses
    ridge = 4 * _UNIT * layer.ridge * float(np.linalg.norm(theta))
    return 1.01 * float(np.dot(layer.weights, (margins + sums) * norms)) + ridge


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


def _fits(
    errors: Mapping[Player, Array], margins: Mapping[Player, Array], tolerance: float, distance: float | None
) -> Verdict:
    # What left the range of floats is not known.
    with np.errstate(invalid="ignore"):
        most = {p: float(np.nan_to_num(m + margins[p], nan=np.inf, posinf=np.inf).max()) for p, m in errors.items()}
        least = {p: float(np.nan_to_num(m - margins[p], nan=0.0, posinf=0.0).max()) for p, m in errors.items()}
    worst = max(least, key=lambda player: least[player])
    largest, method = max(most.values()), "the answers recomputed, with a bound on their rounding"
    if largest <= tolerance:
        return Verdict(
            Decision.PROVED,
            f"every target is met within {largest:.3g}, at most {tolerance:g}",
            method,
            margin=tolerance - largest,
        )
    missed = float(errors[worst].max())
    if least[worst] > tolerance:
        beyond = "" if distance is None else f"; no parameters within {distance:.3g} of these fit exactly"
        return Verdict(
            Decision.REFUTED,
            f"a target of layer {worst} is missed by {missed:.3g}, more than {tolerance:g}{beyond}",
            method + "; a solution fits if anything near does",
            margin=distance,
            witness={"layer": worst, "largest_error": missed},
            references=("combettes2022",),
        )
    return Verdict(
        Decision.UNDECIDED,
        f"the targets are missed by {missed:.3g}, computed with a rounding of up to {largest - missed:.1g}: too close "
        f"to the tolerance {tolerance:g} to say; ask for a larger one",
        method,
    )
