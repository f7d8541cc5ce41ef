"""Whether a profile of the lifted game is an equilibrium, by every player's regret, enclosed from both sides.

From above by duality; from below by a move that gains. What is found for one player is no claim about several at once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from nngames.core.errors import check_positive
from nngames.core.profiles import Array, Player, Profile
from nngames.core.verdicts import Decision, Verdict
from nngames.training.lifted_game import LiftedGame, role
from nngames.training.lifted_rounding import rounding_of_gaps, rounding_of_preactivations

_UNIT = 2.0**-53


@dataclass(frozen=True)
class EquilibriumReport:
    """What a profile of the lifted game is.

    Attributes
    ----------
    equilibrium : Verdict
        Whether every player's regret is at most the tolerance, of weights that change by their own size, and what
        makes their feature 1, at most: those k times as far gain at most k times as much. REFUTED with a player and a
        gain above it.
    regrets : mapping player -> (float, float)
        A gain that a move brings the player, and a bound on all its gains, each with its rounding error counted against
        it.
    losses : mapping layer -> float
        c_l times the sum of the layer's gaps g_l(v) + g_l*(z) - <v, z>. Their sum with the ridges is the potential.
    potential : float
    drift : mapping layer -> float
        The largest entry of |z_l - the answers of the forward pass|, of each hidden layer. Where all are 0 the losses
        of the hidden layers are 0 too, and that of the last one is the loss of the network.
    """

    equilibrium: Verdict
    regrets: Mapping[Player, tuple[float, float]]
    losses: Mapping[int, float]
    potential: float
    drift: Mapping[int, float]

    def __str__(self) -> str:
        lines = [f"{self.equilibrium}", f"  potential: {self.potential:.6g}"]
        for layer, loss in self.losses.items():
            away = f"; answers up to {self.drift[layer]:.3g} off the forward pass" if layer in self.drift else ""
            lines.append(f"  layer {layer}: loss {loss:.6g}{away}")
        for player, (gain, bound) in self.regrets.items():
            kind, layer = role(player)
            lines.append(f"  {kind} of layer {layer}: regret between {gain:.3g} and {bound:.3g}")
        return "\n".join(lines)


def report_on_profile(game: LiftedGame, profile: Profile, tolerance: float) -> EquilibriumReport:
    """Return the report.

    Raises
    ------
    OptionError
        If the tolerance is not a positive number.
    """
    check_positive("tolerance", tolerance)
    x = game.space.array(profile)
    above = {player: value + rounding for player, (value, rounding) in game.regret_bounds(x).items()}
    moves, below = game.alternation(), dict.fromkeys(game.players, 0.0)
    for turn in range(moves.turns):
        following = moves.move(x, turn)
        moved = [player for player, at in game.space.slices.items() if not np.array_equal(following[at], x[at])]
        for player in moved:
            (before, error), (after, more) = _cost(game, player, x), _cost(game, player, following)
            gain = before - after - error - more
            # An infinite cost before is that of answers off the domain.
            below[player] = max(0.0, gain) if math.isfinite(after + error + more) else 0.0
    layers = range(1, game.depth + 1)
    answers, drift = game.inputs, {}
    for layer in layers[:-1]:
        theta = game.matrix(layer, x)
        answers = game.activations[layer - 1](answers @ theta[:, :-1].T + theta[:, -1])
        drift[layer] = float(np.abs(game.answers_held(layer, x) - answers).max())
    return EquilibriumReport(
        _verdict(below, above, tolerance),
        {player: (below[player], above[player]) for player in game.players},
        {layer: game.loss(layer, x) for layer in layers},
        game.potential(x),
        drift,
    )


def _cost(game: LiftedGame, player: Player, x: Array) -> tuple[float, float]:
    """Return the player's cost and a bound on its rounding error."""
    kind, layer = role(player)
    total = error = 0.0
    for charged in (layer,) if kind == "weights" else (layer, layer + 1):
        activation, share = game.activations[charged - 1], game.shares[charged - 1]
        z, v = game.answers_held(charged, x), game.preactivations(charged, x)
        gaps, errors = activation.gap(z, v)
        total += share * float(np.dot(game.weights, activation.layer_sum(gaps)))
        moved = rounding_of_gaps(activation, z, v, rounding_of_preactivations(game, charged, x))
        rounding = activation.layer_sum(errors) + moved
        error += share * float(np.dot(game.weights, rounding))
    if kind == "weights":
        total += game.ridge_loss(layer, x)
    return total, error + 4 * (len(game.inputs) + x.size) * _UNIT * abs(total)


def _verdict(below: Mapping[Player, float], above: Mapping[Player, float], tolerance: float) -> Verdict:
    worst = max(above, key=lambda player: above[player])
    tempted = max(below, key=lambda player: below[player])
    method = "regrets bounded from above by weak duality, of weights that change by their own size at most, and from "
    method += "below by a move; weights k times as far gain at most k times as much"
    if above[worst] <= tolerance:
        return Verdict(
            Decision.PROVED,
            f"no player gains more than {above[worst]:.3g} by deviating alone, at most {tolerance:g}",
            method,
            margin=tolerance - above[worst],
        )
    kind, layer = role(tempted)
    if below[tempted] > tolerance:
        return Verdict(
            Decision.REFUTED,
            f"the {kind} of layer {layer} gain {below[tempted]:.3g} by deviating alone, more than {tolerance:g}",
            method,
            margin=below[tempted] - tolerance,
            witness={"player": list(role(tempted)), "gain": below[tempted]},
        )
    kind, layer = role(worst)
    return Verdict(
        Decision.UNDECIDED,
        f"the {kind} of layer {layer} may gain up to {above[worst]:.3g}, more than {tolerance:g}; no move that gains "
        "so much was found",
        method,
    )
