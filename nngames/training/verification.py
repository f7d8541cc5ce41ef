"""The verification theorem of the source: parameters that fit are equilibria of a game of least squares.

In game (7) of the source layer l pays sum_t omega_t |u_t - A_t theta_l|^2 with u_t in y_t + df(y_t) = r^-1(y_t). Where
parameters fit, A_t theta is such a u_t, so the cost is 0. What is not so:

- Where r^-1(y_t) has more than one element, as of ReLU at 0, the cost depends on which is taken. Parameters that fit
  are an equilibrium for their own u_t = A_t theta, and in general for no other.
- Where nothing fits, equilibria of (7) minimise the pre-activations' errors: another problem than (8), with other
  solutions.
- y + df(y) stands for r^-1(y) wherever r is the gradient of a convex function; f is convex only if r is 1-Lipschitz.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from nngames.activations import activation
from nngames.core.errors import check_choice, check_positive
from nngames.core.profiles import Array, Player, Profile
from nngames.core.verdicts import Decision, Verdict
from nngames.training.layer_game import LayerGame
from nngames.training.layer_problem import LayerProblem
from nngames.training.preimages import preimages

SELECTIONS = ("nearest", "least")
METHOD = "preimages by bisection, and the gradient of the least-squares costs recomputed, with their rounding"
_UNIT = 2.0**-53


@dataclass(frozen=True)
class VerificationReport:
    """Whether parameters are an equilibrium of game (7).

    Attributes
    ----------
    equilibrium : Verdict
        Whether no layer's least-squares gradient exceeds the tolerance, with the elements u_t nearest to A_t theta.
        UNDECIDED where rounding hides it: of the sums, and of r where it is so flat that many floats have one answer.
    fits : Verdict
        Whether the A_t theta lie in the preimages, within the tolerance: the inclusion for each sample.
    distances : mapping player -> float
        The largest distance of a pre-activation to its preimage.
    ambiguous : mapping player -> int
        How many targets have a preimage of more than one element, so that the cost depends on the one that is taken.
    not_a_prox : tuple
        The layers whose f is not convex, as slopes exceed 1: their r is the prox of no convex function.
    """

    equilibrium: Verdict
    fits: Verdict
    distances: Mapping[Player, float]
    ambiguous: Mapping[Player, int]
    not_a_prox: tuple[Player, ...]

    def __str__(self) -> str:
        lines = [
            f"an equilibrium of the least-squares game: {self.equilibrium}",
            f"fits, sample by sample: {self.fits}",
        ]
        for player, count in self.ambiguous.items():
            if count:
                lines.append(f"layer {player}: {count} targets have more than one preimage; the nearest was taken")
        if self.not_a_prox:
            lines.append(f"layers {', '.join(map(str, self.not_a_prox))}: slopes above 1, so f is not convex")
        return "\n".join(lines)


def preactivation_game(game: LayerGame, theta: Profile, selection: str) -> LayerGame:
    """Return game (7), half of each cost less a constant, with the chosen elements of the preimages as targets.

    Parameters
    ----------
    game : LayerGame
        Game (8).
    theta : profile
        Where ``selection`` is ``nearest``: the parameters whose pre-activations say which elements are nearest.
    selection : {"nearest", "least"}
        Which element of a preimage: the nearest to A_t theta, or that of least absolute value.

    Raises
    ------
    OptionError, NotApplicableError, InputError
        If the selection is unknown, an activation has no preimages, or takes a target nowhere.
    """
    check_choice("selection", selection, SELECTIONS)
    identity = activation("identity")
    matrices = game.matrices(game.space.array(theta))
    layers = {}
    for player, layer in game.layers.items():
        lower, upper = _preimages(player, layer)
        nearest = selection == "nearest"
        wanted = layer.features.preactivations(matrices[player]) if nearest else np.zeros_like(layer.targets)
        u = np.clip(wanted, lower, upper)
        layers[player] = LayerProblem(layer.features, u, identity, layer.weights)
    return LayerGame(layers)


def verify(game: LayerGame, theta: Profile, tolerance: float) -> VerificationReport:
    """Return whether theta, parameters of game (8), is an equilibrium of game (7)."""
    check_positive("tolerance", tolerance)
    squares = preactivation_game(game, theta, "nearest")
    matrices = game.matrices(game.space.array(theta))
    gradients, distances, ambiguous = {}, {}, {}
    hidden, blurred = {}, {}
    for player, layer in game.layers.items():
        matrix, features = matrices[player], layer.features
        misses = squares.layers[player].errors(matrix)
        gradients[player] = float(np.linalg.norm(squares.layers[player].gradient(matrix)))
        distances[player] = float(np.abs(misses).max())
        lower, upper = _preimages(player, layer)
        with np.errstate(invalid="ignore"):
            width = upper - lower
        several = np.zeros(width.shape, dtype=bool)
        if layer.activation.slope_range_exact[0].attained:
            # Elsewhere r increases strictly, and wide intervals are what rounding of r hides.
            several = width > 1e-9 * (1 + np.abs(np.clip(0.0, lower, upper)))
        ambiguous[player] = int(np.count_nonzero(several))
        sizes = (np.abs(features.rows) @ np.abs(features.kept(matrix)).T).reshape(width.shape)
        unsure = np.where(several, 0.0, width) + (features.shape[1] + 8) * _UNIT * (sizes + np.abs(misses))
        hidden[player] = float(unsure.max())
        norms = np.linalg.norm(features.rows.reshape(features.samples, -1), axis=1)
        sums = (len(features.rows) + 16) * _UNIT * np.linalg.norm(misses, axis=1)
        blurred[player] = 1.01 * float(np.dot(layer.weights, (np.linalg.norm(unsure, axis=1) + sums) * norms))
    return VerificationReport(
        _within(tolerance, gradients, blurred, "the largest gradient of a layer's least-squares cost is {}{}"),
        _within(tolerance, distances, hidden, "the pre-activations lie within {} of the preimages of the targets{}"),
        distances,
        ambiguous,
        tuple(player for player, layer in game.layers.items() if not layer.activation.convex_penalty),
    )


def _within(tolerance: float, values: Mapping[Player, float], roundings: Mapping[Player, float], what: str) -> Verdict:
    """Return whether all values are at most the tolerance, each known up to its rounding."""
    worst = max(values, key=lambda player: values[player])
    most = max(value + roundings[player] for player, value in values.items())
    least = max(value - roundings[player] for player, value in values.items())
    decision = Decision.PROVED if most <= tolerance else Decision.REFUTED if least > tolerance else Decision.UNDECIDED
    end = {
        Decision.PROVED: f"at most {tolerance:g}",
        Decision.REFUTED: f"above {tolerance:g}",
        Decision.UNDECIDED: f"and rounding of up to {max(roundings.values()):.1g} hides on which side of {tolerance:g}",
    }[decision]
    margin = {Decision.PROVED: tolerance - most, Decision.REFUTED: least - tolerance}.get(decision)
    statement = what.format(f"{values[worst]:.3g}", f" (layer {worst})")
    return Verdict(decision, f"{statement}, {end}", METHOD, margin=margin)


def _preimages(player: Player, layer: LayerProblem) -> tuple[Array, Array]:
    return preimages(layer.activation, layer.targets, f"targets of layer {player}")
